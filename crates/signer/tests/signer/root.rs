//! Root on the Holdfast host, with the release key: an adversary who knows everything and asks for all that there is.

use std::collections::BTreeMap;

use holdfast_authn::release::{Basis, MandateUse, Payment, Release, SignedAct};
use holdfast_signer::{BucketName, Signer};
use holdfast_transactions::EvmFields;
use holdfast_values::texts::{Destinations, ExternalPayment, Seconds};
use holdfast_values::{Amount, Destination, Network, WithdrawalText, time};

use crate::exchange::{BTC, CUSTOMER, EVM_HOT, Exchange, UNVOUCHED, USDT, evm, evm_bytes, token_fields};
use crate::house::{CHANGE, COLD, Coin, FOREIGN, HOT, output};
use crate::keys::{ApiKey, CAP, FIRSTS, Key};

/// Where the adversary wants everything.
const THIEF: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
const THIEF_EVM: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

/// What left, as an upper bound: every authorised payment to anyone but the house, and every fee.
#[derive(Default)]
struct Loot {
    paid: BTreeMap<&'static str, u128>,
    burnt: BTreeMap<&'static str, u128>,
    refused: BTreeMap<&'static str, u32>,
    signed: u32,
}

struct Adversary<'a> {
    exchange: &'a Exchange,
    signer: Signer,
    loot: Loot,
    nonce: u64,
    /// What operators once signed, for others.
    approvals: Vec<SignedAct>,
    /// What was paid before, with the coin that paid it.
    old: Vec<(WithdrawalText, Coin)>,
}

impl Adversary<'_> {
    fn ask(
        &mut self,
        release: &Release,
        transaction: &[u8],
        asset: &'static str,
        gets: u128,
        fee: u128,
    ) -> bool {
        match self.exchange.ask(&mut self.signer, release, transaction) {
            Ok(answer) if answer.repeated => false,
            Ok(_) => {
                *self.loot.paid.entry(asset).or_default() += gets;
                let native = if release.network == Network::Bitcoin { "BTC" } else { "ETH" };
                *self.loot.burnt.entry(native).or_default() += fee;
                self.loot.signed += 1;
                true
            }
            Err(error) => {
                *self.loot.refused.entry(error.code()).or_default() += 1;
                false
            }
        }
    }

    /// The largest amount that is signed, found by halving.
    fn most(&mut self, most: u128, mut ask: impl FnMut(&mut Self, u128) -> bool) {
        let mut amount = most;
        let before = self.loot.signed;
        while amount > 0 {
            assert!(self.loot.signed - before < 1_000, "there is no end to it");
            if !ask(self, amount) {
                amount /= 2;
            }
        }
    }

    /// Withdrawals that nobody asked for, with the best evidence that Holdfast can forge: none that counts here.
    fn invented_withdrawal(&mut self, sats: u64, fee: u64, approvals: Vec<SignedAct>) -> bool {
        let intent = self.exchange.intent(THIEF, sats);
        let coin = self.exchange.coin(sats + fee);
        let psbt = self.exchange.house.pay(&[coin], &[(THIEF, sats)], fee).serialize();
        let mut release = self.exchange.release(&psbt, &[intent]);
        release.payments[0].approvals = approvals;
        self.ask(&release, &psbt, "BTC", sats.into(), fee.into())
    }

    fn token(&mut self, units: u128) -> bool {
        let to = Destination::parse(Network::Ethereum, THIEF_EVM, None).unwrap();
        let intent = self.exchange.intent_of("USDT", to, 6, units);
        self.nonce += 1;
        let mut fields = token_fields(self.nonce, USDT, THIEF_EVM, units);
        fields.max_fee_per_gas = 1_000_000_000;
        let transaction = evm(&fields);
        let release = self.exchange.release_on(Network::Ethereum, "eth-hot", &transaction, &[intent]);
        self.ask(&release, &transaction, "USDT", units, 100_000_000_000_000)
    }

    fn ether(&mut self, wei: u128) -> bool {
        let to = Destination::parse(Network::Ethereum, THIEF_EVM, None).unwrap();
        let intent = self.exchange.intent_of("ETH", to, 18, wei);
        self.nonce += 1;
        let mut fields = token_fields(self.nonce, THIEF_EVM, THIEF_EVM, 0);
        (fields.value, fields.data, fields.gas_limit) = (wei, vec![], 21_000);
        fields.max_fee_per_gas = 1_000_000_000;
        let transaction = evm(&fields);
        let release = self.exchange.release_on(Network::Ethereum, "eth-hot", &transaction, &[intent]);
        self.ask(&release, &transaction, "ETH", wei, 21_000_000_000_000)
    }

    /// A transaction of the house that burns `fee`; or that says so and pays elsewhere.
    fn moved(
        &mut self,
        branch: &'static str,
        hint: &'static str,
        external: Option<u64>,
        by: &SignedAct,
        fee: u64,
    ) -> bool {
        let mut outputs = vec![];
        let mut own = vec![];
        match external {
            Some(sats) => outputs.push(output(THIEF, sats)),
            None => {
                let script_pubkey = self.exchange.house.script(branch, 3);
                outputs.push(bitcoin::TxOut { value: bitcoin::Amount::from_sat(BTC), script_pubkey });
                own.push((0, hint, 3));
            }
        }
        let paid: u64 = outputs.iter().map(|output| output.value.to_sat()).sum();
        let coins = [self.exchange.coin(paid + fee)];
        let psbt = self.exchange.house.psbt(&coins, &outputs, &own).serialize();
        let mut text = self.exchange.transfer(None);
        text.external = external.map(|sats| ExternalPayment {
            destination: Destination::parse(Network::Bitcoin, THIEF, None).unwrap(),
            decimals: 8,
            amount: Amount::from_base_units(sats.into()),
        });
        let mut release = self.exchange.transfer_release(&psbt, &text, &[]);
        if let Some(transfer) = &mut release.transfer {
            transfer.signatures.clone_from(&by.signatures);
        }
        let gets = if branch == FOREIGN || external.is_some() { paid } else { 0 };
        self.ask(&release, &psbt, "BTC", gets.into(), fee.into())
    }

    /// Everything that could get around the buckets.
    fn tricks(&mut self) {
        let exchange = self.exchange;
        let approvals = self.approvals.clone();
        // Operators' old texts for another withdrawal; the same with the target rewritten under the old signatures.
        self.invented_withdrawal(9 * BTC, 1_000, approvals.clone());
        let next = exchange.intent(THIEF, 9 * BTC);
        let mut rewritten = exchange.approval(&next, &[]);
        rewritten.signatures.clone_from(&approvals[0].signatures);
        self.invented_withdrawal(9 * BTC, 1_000, vec![rewritten; 16]);
        // What was paid once, again: from other coins, to another address, for more, from the same coin.
        for (text, coin) in self.old.clone() {
            let mut theirs = text.clone();
            theirs.destination = Destination::parse(Network::Bitcoin, THIEF, None).unwrap();
            let mut more = text.clone();
            more.amount = Amount::from_base_units(u128::from(9 * BTC));
            for (intent, to, sats) in
                [(&text, CUSTOMER, 3 * BTC), (&theirs, THIEF, 3 * BTC), (&more, CUSTOMER, 9 * BTC)]
            {
                for coins in [
                    vec![exchange.coin(10 * BTC)],
                    vec![coin.clone()],
                    vec![coin.clone(), exchange.coin(10 * BTC)],
                ] {
                    let spent: u64 = coins.iter().map(|coin| coin.previous.output[0].value.to_sat()).sum();
                    if spent <= sats {
                        continue;
                    }
                    let psbt = exchange.house.pay(&coins, &[(to, sats)], 1_000.min(spent - sats)).serialize();
                    let mut release = exchange.release(&psbt, std::slice::from_ref(intent));
                    release.payments[0].approvals.clone_from(&approvals);
                    let gets = if to == THIEF || sats > 3 * BTC { u128::from(sats) } else { 0 };
                    self.ask(&release, &psbt, "BTC", gets, 1_000.min(spent - sats).into());
                }
            }
        }
        // Transfers outside, with signatures from elsewhere; change to foreign keys under our hints.
        let signed = approvals[0].clone();
        self.moved(HOT, HOT, Some(9 * BTC), &signed, 1_000);
        for hint in [HOT, CHANGE, COLD, FOREIGN] {
            self.moved(FOREIGN, hint, None, &signed, 1_000);
        }
        let intent = exchange.intent(CUSTOMER, 5_000);
        let foreign = bitcoin::TxOut {
            value: bitcoin::Amount::from_sat(9 * BTC),
            script_pubkey: exchange.house.script(FOREIGN, 3),
        };
        let coins = [exchange.coin(9 * BTC + 6_000)];
        let psbt =
            exchange.house.psbt(&coins, &[output(CUSTOMER, 5_000), foreign], &[(1, CHANGE, 3)]).serialize();
        let release = exchange.release(&psbt, &[intent]);
        self.ask(&release, &psbt, "BTC", (9 * BTC).into(), 1_000);
        // Another epoch, sequence, head, clock, wallet, audience; receipts never given.
        let psbt = exchange.psbt(&[(THIEF, 9 * BTC)]);
        let changes: [&dyn Fn(&mut Release); 8] = [
            &|release| release.epoch = 2,
            &|release| {
                release.epoch = 2;
                release.epochs = vec![
                    exchange.act(
                        "begin_epoch",
                        "epoch:2",
                        &format!("store={} counter=1", "0".repeat(32)),
                        &[]
                    );
                    64
                ];
            },
            &|release| release.sequence = u64::MAX >> 1,
            &|release| release.simulated = true,
            &|release| release.not_before = release.not_before.plus(365 * time::DAY),
            &|release| release.expires = release.expires.plus(365 * time::DAY),
            &|release| release.wallet = "btc-cold".parse().unwrap(),
            &|release| release.transaction = [0; 32],
        ];
        for change in changes {
            let sequence = exchange.sequence.load(std::sync::atomic::Ordering::Relaxed);
            let mut release = exchange.release(&psbt, &[exchange.intent(THIEF, 9 * BTC)]);
            change(&mut release);
            self.ask(&release, &psbt, "BTC", (9 * BTC).into(), 2_000);
            exchange.sequence.store(sequence + 1, std::sync::atomic::Ordering::Relaxed);
        }
        // Tokens called otherwise.
        for data in [vec![0x09, 0x5e, 0xa7, 0xb3], vec![0x23, 0xb8, 0x72, 0xdd], vec![]] {
            self.nonce += 1;
            let mut fields: EvmFields = token_fields(self.nonce, USDT, THIEF_EVM, 900_000_000_000);
            fields.data.splice(..4, data);
            let to = Destination::parse(Network::Ethereum, THIEF_EVM, None).unwrap();
            let intent = exchange.intent_of("USDT", to, 6, 900_000_000_000);
            let transaction = evm(&fields);
            let release = exchange.release_on(Network::Ethereum, "eth-hot", &transaction, &[intent]);
            self.ask(&release, &transaction, "USDT", 900_000_000_000, 0);
        }
    }

    /// All of the fee bucket, in transactions that stay in the house.
    fn burn(&mut self) {
        let none = SignedAct { text: String::new(), signatures: vec![] };
        self.most(40_000, |it, fee| it.moved(COLD, COLD, None, &none, u64::try_from(fee).unwrap()));
        self.most(40_000_000_000_000_000, |it, wei| {
            it.nonce += 1;
            let gas = 21_000u64.max(u64::try_from(wei / 100_000_000_000).unwrap());
            let price = wei / u128::from(gas);
            let mut fields = token_fields(it.nonce, EVM_HOT, EVM_HOT, 0);
            (fields.to, fields.data, fields.value) = (evm_bytes(EVM_HOT), vec![], 0);
            (fields.gas_limit, fields.max_fee_per_gas, fields.max_priority_fee_per_gas) = (gas, price, 0);
            let transaction = evm(&fields);
            let mut text = it.exchange.transfer(None);
            text.wallet = "eth-hot".parse().unwrap();
            (text.network, text.asset) = (Network::Ethereum, "ETH".parse().unwrap());
            text.fee_max = Amount::from_base_units(50_000_000_000_000_000);
            let release = it.exchange.transfer_release(&transaction, &text, &[]);
            price > 0 && it.ask(&release, &transaction, "ETH", 0, price * u128::from(gas))
        });
    }
}

#[test]
fn root_on_the_holdfast_host_with_the_release_key_gets_the_unvouched_and_fee_buckets_at_most() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    // Honest days: operators vouched for a large withdrawal, which was paid. The adversary has seen all of it.
    let mut intent = exchange.intent(CUSTOMER, 3 * BTC);
    intent.not_after = Seconds::floor(exchange.now().plus(30 * time::DAY));
    let coin = exchange.coin(4 * BTC);
    let psbt = exchange.house.pay(&[coin.clone()], &[(CUSTOMER, 3 * BTC)], 1_000).serialize();
    let approval = exchange.approval(&intent, &["alice", "bob"]);
    let mut release = exchange.release(&psbt, &[intent.clone()]);
    release.payments[0].approvals = vec![approval.clone()];
    exchange.ask(&mut signer, &release, &psbt).unwrap();

    let hours = 6u64;
    let mut adversary = Adversary {
        exchange: &exchange,
        signer,
        loot: Loot::default(),
        nonce: 0,
        approvals: vec![approval],
        old: vec![(intent, coin)],
    };
    for hour in 0..=hours {
        if hour > 0 {
            exchange.wait(time::HOUR);
        }
        adversary.tricks();
        adversary.most(64 * u128::from(BTC), |it, sats| {
            it.invented_withdrawal(u64::try_from(sats).unwrap(), 200, vec![])
        });
        adversary.most(1 << 50, Adversary::token);
        adversary.most(1 << 66, Adversary::ether);
        adversary.burn();
        let _ = adversary.signer.void(holdfast_values::WithdrawalId(5_000 + u128::from(hour)));
    }

    let Adversary { mut signer, loot, .. } = adversary;
    let pins = exchange.pins();
    let bound = |symbol: &str, network: Network| {
        let asset = pins.asset(&symbol.parse().unwrap(), network).unwrap().unvouched;
        asset.size.base_units() + asset.refill_per_hour.base_units() * u128::from(hours)
    };
    let fees = |wallet: &str, network: Network| {
        let fees = pins.payer(network, &wallet.parse().unwrap()).unwrap().pin.fees.unwrap().bucket;
        fees.size.base_units() + fees.refill_per_hour.base_units() * u128::from(hours)
    };
    println!("root on the Holdfast host, {hours} hours, {} signed, refused: {:?}", loot.signed, loot.refused);
    for (asset, network, decimals) in
        [("BTC", Network::Bitcoin, 8), ("ETH", Network::Ethereum, 18), ("USDT", Network::Ethereum, 6)]
    {
        let (paid, most) = (loot.paid[asset], bound(asset, network));
        let show = |units| Amount::from_base_units(units).to_short(decimals);
        println!("  {asset}: {} left of at most {}", show(paid), show(most));
        assert!(paid <= most, "{asset}");
        assert!(
            paid * 100 >= most * 99,
            "the adversary should have got nearly all of {asset}: {}",
            show(paid)
        );
    }
    for (asset, wallet, network, decimals) in
        [("BTC", "btc-hot", Network::Bitcoin, 8), ("ETH", "eth-hot", Network::Ethereum, 18)]
    {
        let (burnt, most) = (loot.burnt[asset], fees(wallet, network));
        let show = |units| Amount::from_base_units(units).to_short(decimals);
        println!("  {asset} burnt as fees: {} of at most {}", show(burnt), show(most));
        assert!(burnt <= most, "{asset}");
        assert!(
            burnt * 10 >= most * 9,
            "the adversary should have burnt nearly all of {asset}: {}",
            show(burnt)
        );
    }
    // What operators vouch for is where the honest withdrawal left it, refilled.
    let status = signer.status().unwrap();
    let vouched = BucketName::Vouched("BTC".parse().unwrap(), Network::Bitcoin);
    let vouched = status.buckets.iter().find(|bucket| bucket.bucket == vouched).unwrap();
    assert_eq!(vouched.available, vouched.size);
    assert_eq!(status.epoch, 1);
}

/// A payment to the thief from `ac_1`, on the evidence that `word` gives it.
fn theft(
    exchange: &Exchange,
    signer: &mut Signer,
    sats: u64,
    word: &dyn Fn(&WithdrawalText, &mut Payment),
) -> &'static str {
    let intent = exchange.intent(THIEF, sats);
    let psbt = exchange.house.pay(&[exchange.coin(sats + 1_000)], &[(THIEF, sats)], 200).serialize();
    let mut release = exchange.release(&psbt, &[intent.clone()]);
    word(&intent, &mut release.payments[0]);
    exchange.ask(signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
}

/// The largest sum that an adversary gets without any customer's word that counts.
fn all_of_the_unvouched(exchange: &Exchange, signer: &mut Signer) -> u64 {
    let (mut got, mut sats) = (0, 64 * BTC);
    while sats > 0 {
        match theft(exchange, signer, sats, &|_, _| {}) {
            "signed" => got += sats,
            _ => sats /= 2,
        }
    }
    got
}

#[test]
fn root_swaps_and_adds_no_key_of_an_account_that_has_one() {
    let exchange = Exchange::with(|pins| pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\""));
    let mut signer = exchange.signer();
    let (owner, thief) = (Key::counting(1), Key::passkey(66));
    exchange.aged(&mut signer, &owner);
    // What root has seen pass: a payment, a rotation and a recovery of other accounts' keys, by the right people.
    let (seen_intent, psbt, mut release) = exchange.payment(BTC);
    let seen = owner.assert(&seen_intent.to_string());
    release.payments[0].assertion = Some(seen.clone());
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    let spare = Key::passkey(2);
    let seen_rotation = exchange.rotation("ac_1", &spare, &owner);
    exchange.enrol(&mut signer, "ac_1", &spare, seen_rotation.clone()).unwrap();
    let other = Key::passkey(3);
    let seen_recovery = exchange.recovery("ac_2", &other, &["alice", "bob"]);
    exchange.enrol(&mut signer, "ac_2", &other, seen_recovery.clone()).unwrap();
    // A key of his own for an account that had none.
    exchange.enrol(&mut signer, "ac_9", &thief, Basis::First).unwrap();

    let by_himself = |text: String| Basis::Rotation { by: thief.assert(&text), text };
    let rewritten = exchange.change("ac_1", &Key::passkey(67)).to_string();
    let Basis::Rotation { by: old_word, .. } = seen_rotation.clone() else { panic!() };
    let Basis::Recovery { act } = seen_recovery.clone() else { panic!() };
    let mut forged = exchange.recovery("ac_1", &Key::passkey(67), &[]);
    if let Basis::Recovery { act: text } = &mut forged {
        text.signatures.clone_from(&act.signatures);
    }
    let fresh = Key::passkey(67);
    let swapped = |id: &[u8]| Key { id: id.to_vec(), ..Key::passkey(66) };
    for (what, key, basis, code) in [
        ("another first key", &fresh, Basis::First, "account_has_credentials"),
        ("another key under its id", &swapped(&owner.id), Basis::First, "credential_differs"),
        ("the same by an old word", &swapped(&owner.id), seen_rotation.clone(), "credential_differs"),
        ("his own, which is another account's", &thief, Basis::First, "credential_taken"),
        ("on his own word", &fresh, by_himself(rewritten.clone()), "credential_unknown"),
        ("on an old word for another key", &fresh, seen_rotation, "change_differs"),
        (
            "on an old word under a new text",
            &fresh,
            Basis::Rotation { text: rewritten.clone(), by: old_word },
            "assertion_invalid",
        ),
        (
            "on the word for a payment",
            &fresh,
            Basis::Rotation { text: rewritten, by: seen.clone() },
            "assertion_invalid",
        ),
        ("on operators' word for another account", &fresh, seen_recovery, "recovery_differs"),
        ("on operators' word under a new text", &fresh, forged, "signatures_missing"),
    ] {
        let refused = exchange.enrol(&mut signer, "ac_1", key, basis).unwrap_err();
        assert_eq!(refused.code(), code, "{what}");
    }
    // What was asserted once is no word for anything else; nor is his own.
    let replayed = |_: &WithdrawalText, payment: &mut Payment| payment.assertion = Some(seen.clone());
    assert_eq!(theft(&exchange, &mut signer, BTC, &replayed), "assertion_invalid");
    let his = |text: &WithdrawalText, payment: &mut Payment| {
        payment.assertion = Some(thief.assert(&text.to_string()));
    };
    assert_eq!(theft(&exchange, &mut signer, BTC, &his), "credential_unknown");
    let swapped = |text: &WithdrawalText, payment: &mut Payment| {
        payment.assertion = Some(Key { id: vec![1; 20], ..Key::passkey(66) }.assert(&text.to_string()));
    };
    assert_eq!(theft(&exchange, &mut signer, BTC, &swapped), "assertion_invalid");
    let his_account = |text: &WithdrawalText, payment: &mut Payment| {
        let text = WithdrawalText { account: "ac_9".parse().unwrap(), ..text.clone() };
        payment.intent = text.to_string();
        payment.assertion = Some(thief.assert(&payment.intent));
    };
    let mut hours = 0;
    while hours < 72 {
        assert_eq!(theft(&exchange, &mut signer, 9 * BTC, &his_account), "credential_too_young", "{hours} h");
        hours += 8;
        exchange.wait(8 * time::HOUR - u64::from(hours == 72));
    }
    assert_eq!(theft(&exchange, &mut signer, 600, &his_account), "credential_too_young", "less a moment");
    // Removing the owner's key opens nothing either.
    signer.remove(&exchange.seal_removal("ac_1", &owner)).unwrap();
    let again = exchange.enrol(&mut signer, "ac_1", &fresh, Basis::First).unwrap_err();
    assert_eq!(again.code(), "account_has_credentials");

    let got = all_of_the_unvouched(&exchange, &mut signer);
    println!("root with the release key, 72 hours, one customer's key known: {got} of {UNVOUCHED} satoshi");
    assert!(got <= UNVOUCHED && got * 100 >= UNVOUCHED * 99);
    let status = signer.status().unwrap();
    assert_eq!(
        status.buckets[0].available.base_units(),
        u128::from(20 * BTC),
        "the vouched one has refilled"
    );
}

#[test]
fn roots_own_first_keys_vouch_for_their_caps_after_72_hours_and_for_no_more() {
    let exchange = Exchange::with(|pins| {
        let pins = pins
            .replace("size = \"20\", refill_per_hour = \"5\"", "size = \"2000\", refill_per_hour = \"0\"");
        let pins = pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\"");
        pins.replace("fee_bucket = { size = \"0.002\"", "fee_bucket = { size = \"1\"")
    });
    let mut signer = exchange.signer();
    let (days, mut enrolled, mut got) = (4u64, 0u8, 0u64);
    let mut seen = vec![];
    for _ in 0..days * 4 {
        // As many keys as are taken, each for an account of its own.
        loop {
            let key = Key::passkey(100 + enrolled);
            if exchange.enrol(&mut signer, &format!("ac_{enrolled}"), &key, Basis::First).is_err() {
                break;
            }
            seen.push(exchange.now());
            enrolled += 1;
        }
        for number in 0..enrolled {
            let key = Key::passkey(100 + number);
            for sats in [CAP, BTC, BTC / 8] {
                let word = |text: &WithdrawalText, payment: &mut Payment| {
                    let account = format!("ac_{number}").parse().unwrap();
                    payment.intent = WithdrawalText { account, ..text.clone() }.to_string();
                    payment.assertion = Some(key.assert(&payment.intent));
                };
                if theft(&exchange, &mut signer, sats, &word) == "signed" {
                    assert!(exchange.now().since(seen[usize::from(number)]) >= 72 * time::HOUR);
                    got += sats;
                }
            }
        }
        exchange.wait(6 * time::HOUR);
    }
    assert_eq!(u64::from(enrolled), days * u64::from(FIRSTS));
    let counted = seen.iter().filter(|at| exchange.now().since(**at) > 72 * time::HOUR).count();
    let most = CAP * u64::try_from(counted).unwrap();
    println!(
        "root's own keys, {days} days: {enrolled} taken, {counted} aged, {got} of at most {most} satoshi"
    );
    assert_eq!(got, most, "all of it, and no more");
    let counts = signer.status().unwrap().credentials;
    assert_eq!(counts.seen, u64::from(enrolled), "and it shows");
}

#[test]
fn root_widens_no_mandate_and_replays_no_request() {
    let exchange = Exchange::with(|pins| pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\""));
    let mut signer = exchange.signer();
    let (owner, api_key) = (Key::counting(1), ApiKey::new(0x77));
    exchange.aged(&mut signer, &owner);
    let seen = exchange.mandate_use(&exchange.mandate(1, &api_key), &owner, &api_key, BTC / 2);
    exchange.pay_under(&mut signer, &seen, BTC / 2).unwrap();
    let under = |used: MandateUse| {
        move |_: &WithdrawalText, payment: &mut Payment| payment.mandate = Some(used.clone())
    };
    assert_eq!(theft(&exchange, &mut signer, BTC / 2, &under(seen.clone())), "mandate_destination");
    let mut wider = exchange.mandate(1, &api_key);
    let thief = Destination::parse(Network::Bitcoin, THIEF, None).unwrap();
    wider.destinations = Destinations::new(vec![thief]).unwrap();
    let widened = MandateUse { text: wider.to_string(), ..seen.clone() };
    assert_eq!(theft(&exchange, &mut signer, BTC / 2, &under(widened.clone())), "mandate_request_differs");
    // With an API key of his own.
    let his_key = ApiKey::new(0x66);
    wider.key = crate::keys::sha256(&his_key.spki()).try_into().unwrap();
    let parameters = exchange.parameters(BTC / 2).replace(CUSTOMER, THIEF);
    let own = MandateUse {
        text: wider.to_string(),
        key: his_key.spki(),
        request: his_key.request(&parameters),
        ..widened
    };
    assert_eq!(theft(&exchange, &mut signer, BTC / 2, &under(own.clone())), "assertion_invalid");
    let by_him = MandateUse { assertion: Key::passkey(66).assert(&own.text), ..own };
    assert_eq!(theft(&exchange, &mut signer, BTC / 2, &under(by_him)), "credential_unknown");
    // To the customer's own address, once more.
    assert_eq!(exchange.pay_under(&mut signer, &seen, BTC / 2), Err("mandate_request_used"));
    let got = all_of_the_unvouched(&exchange, &mut signer);
    assert!(got <= UNVOUCHED);
}
