//! The bytes pay exactly what the texts say, or they are refused: Bitcoin.

use bitcoin::TxOut;
use bitcoin::psbt::PsbtSighashType;
use holdfast_authn::release::Outcome;
use holdfast_transactions::Scheme;
use holdfast_values::Network;

use crate::exchange::{BTC, CUSTOMER, Exchange, OTHER};
use crate::house::{CHANGE, COLD, FOREIGN, HOT, TAPROOT, output};

#[test]
fn signs_what_was_decided_and_says_so_in_a_receipt() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intents = [exchange.intent(CUSTOMER, BTC), exchange.intent(OTHER, 5_000)];
    let coins = [exchange.coin(BTC), exchange.house.coin(TAPROOT, 77, BTC)];
    let transaction = exchange.house.pay(&coins, &[(OTHER, 5_000), (CUSTOMER, BTC)], 3_000).serialize();
    let release = exchange.release(&transaction, &intents);
    let authorised = exchange.ask(&mut signer, &release, &transaction).unwrap();
    assert!(!authorised.repeated);
    assert_eq!(authorised.sighashes.wallet().as_str(), "btc-hot");
    assert_eq!(authorised.sighashes.network(), Network::Bitcoin);
    assert_eq!(authorised.sighashes.digest(), &release.transaction);
    let schemes: Vec<_> = authorised.sighashes.each().iter().map(|hash| hash.scheme).collect();
    assert_eq!(schemes, [Scheme::EcdsaAll, Scheme::SchnorrDefault]);
    let receipt = exchange.receipt(&authorised.receipt);
    assert_eq!((receipt.counter, receipt.epoch, receipt.at), (1, 1, exchange.now()));
    let Outcome::Authorised { release: id, transaction, withdrawals, conflict_keys, .. } = receipt.what
    else {
        panic!("{receipt:?}")
    };
    assert_eq!((id, transaction), (release.id, release.transaction));
    assert_eq!(withdrawals, intents.map(|intent| intent.withdrawal));
    assert_eq!(conflict_keys.len(), 2);
}

/// What a release for two withdrawals, 1 BTC to `CUSTOMER` and 0.4 BTC to `OTHER`, says to a transaction.
fn two_withdrawals(outputs: &[(&str, u64)]) -> &'static str {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intents = [exchange.intent(CUSTOMER, BTC), exchange.intent(OTHER, 40_000_000)];
    let transaction = exchange.psbt(outputs);
    let release = exchange.release(&transaction, &intents);
    match exchange.ask(&mut signer, &release, &transaction) {
        Ok(_) => "signed",
        Err(error) => error.code(),
    }
}

#[test]
fn swapped_extra_missing_split_and_merged_outputs_are_refused() {
    let foreign = Exchange::new().house.address(FOREIGN, 1);
    assert_eq!(two_withdrawals(&[(CUSTOMER, BTC), (OTHER, 40_000_000)]), "signed");
    assert_eq!(two_withdrawals(&[(OTHER, 40_000_000), (CUSTOMER, BTC)]), "signed", "any order");
    assert_eq!(
        two_withdrawals(&[(OTHER, BTC), (CUSTOMER, 40_000_000)]),
        "payment_missing",
        "swapped amounts"
    );
    assert_eq!(
        two_withdrawals(&[(&foreign, BTC), (OTHER, 40_000_000)]),
        "payment_missing",
        "another address"
    );
    assert_eq!(two_withdrawals(&[(CUSTOMER, BTC + 1), (OTHER, 40_000_000)]), "payment_missing", "more");
    assert_eq!(two_withdrawals(&[(CUSTOMER, BTC - 1), (OTHER, 40_000_000)]), "payment_missing", "less");
    assert_eq!(two_withdrawals(&[(CUSTOMER, BTC)]), "payment_missing", "missing");
    assert_eq!(
        two_withdrawals(&[(CUSTOMER, BTC), (OTHER, 40_000_000), (&foreign, 600)]),
        "output_unexplained",
        "extra"
    );
    assert_eq!(
        two_withdrawals(&[(CUSTOMER, BTC), (CUSTOMER, BTC), (OTHER, 40_000_000)]),
        "output_unexplained",
        "twice"
    );
    assert_eq!(
        two_withdrawals(&[(CUSTOMER, BTC / 2), (CUSTOMER, BTC / 2), (OTHER, 40_000_000)]),
        "payment_missing",
        "split"
    );
    assert_eq!(two_withdrawals(&[(CUSTOMER, BTC + 40_000_000)]), "payment_missing", "merged");
}

#[test]
fn one_output_pays_one_withdrawal_even_if_two_are_alike() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intents = [exchange.intent(CUSTOMER, 7_000), exchange.intent(CUSTOMER, 7_000)];
    let once = exchange.psbt(&[(CUSTOMER, 7_000)]);
    let release = exchange.release(&once, &intents);
    assert_eq!(exchange.refusal(&mut signer, &release, &once), "payment_missing");
    let twice = exchange.psbt(&[(CUSTOMER, 7_000), (CUSTOMER, 7_000)]);
    let release = exchange.release(&twice, &intents);
    assert!(exchange.ask(&mut signer, &release, &twice).is_ok());
    // Alike to the one that was paid, and not paid itself.
    let third = exchange.intent(CUSTOMER, 7_000);
    let release = exchange.release(&twice, &[intents[0].clone(), third]);
    assert_eq!(exchange.refusal(&mut signer, &release, &twice), "transaction_claimed");
    let release = exchange.release(&twice, &[intents[0].clone(), intents[0].clone()]);
    assert_eq!(exchange.refusal(&mut signer, &release, &twice), "withdrawal_twice");
}

#[test]
fn change_stays_in_the_wallet_that_pays() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let mut change_to = |branch: &'static str, hint: Option<&'static str>| {
        let script_pubkey = exchange.house.script(branch, 3);
        let change = TxOut { value: bitcoin::Amount::from_sat(1_000_000), script_pubkey };
        let own: Vec<_> = hint.map(|hint| (1, hint, 3)).into_iter().collect();
        let coins = [exchange.coin(BTC + 1_002_000)];
        let psbt = exchange.house.psbt(&coins, &[output(CUSTOMER, BTC), change], &own).serialize();
        let release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]);
        exchange.ask(&mut signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
    };
    assert_eq!(change_to(CHANGE, Some(CHANGE)), "signed");
    assert_eq!(change_to(FOREIGN, None), "output_unexplained");
    assert_eq!(change_to(FOREIGN, Some(CHANGE)), "output_unexplained", "a hint that lies");
    assert_eq!(change_to(FOREIGN, Some(FOREIGN)), "output_unexplained", "a hint of another wallet");
    assert_eq!(change_to(COLD, Some(COLD)), "output_other_wallet", "only a transfer moves coins inside");
}

#[test]
fn fees_over_the_bounds_are_refused() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let mut fee = |paid: u64, fee: u64| {
        let psbt =
            exchange.house.pay(&[exchange.coin(paid + fee + 5_000)], &[(CUSTOMER, paid)], fee).serialize();
        let release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, paid)]);
        exchange.ask(&mut signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
    };
    assert_eq!(fee(BTC, BTC), "fee_over_bound", "half of it all");
    assert_eq!(fee(BTC, 100_001), "fee_over_bound");
    assert_eq!(fee(BTC, 100_000), "fee_rate_over_bound", "0.001 BTC for one small transaction");
    assert_eq!(fee(10_000, 10_000), "signed", "half of a small one: a fee is judged by itself");
}

#[test]
fn sighash_types_other_than_all_are_refused() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = exchange.intent(CUSTOMER, BTC);
    for kind in [0x02u32, 0x03, 0x81, 0x82, 0x83] {
        let mut psbt = exchange.house.pay(&[exchange.coin(2 * BTC)], &[(CUSTOMER, BTC)], 2_000);
        psbt.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(kind));
        let psbt = psbt.serialize();
        let release = exchange.release(&psbt, &[intent.clone()]);
        assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "sighash_type", "{kind:#x}");
    }
}

#[test]
fn inputs_that_lie_about_what_they_spend_are_refused() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = exchange.intent(CUSTOMER, BTC);
    let psbt = || exchange.house.pay(&[exchange.coin(2 * BTC)], &[(CUSTOMER, BTC)], 2_000);
    let mut ask = |psbt: bitcoin::Psbt| {
        let psbt = psbt.serialize();
        let release = exchange.release(&psbt, &[intent.clone()]);
        exchange.refusal(&mut signer, &release, &psbt)
    };
    let mut lying = psbt();
    lying.inputs[0].witness_utxo.as_mut().unwrap().value = bitcoin::Amount::from_sat(BTC + 4_000);
    assert_eq!(ask(lying), "witness_utxo_differs");
    let mut bare = psbt();
    bare.inputs[0].non_witness_utxo = None;
    assert_eq!(ask(bare), "previous_transaction_missing");
    let coin = exchange.house.coin(FOREIGN, 5, 2 * BTC);
    assert_eq!(ask(exchange.house.pay(&[coin], &[(CUSTOMER, BTC)], 2_000)), "input_foreign");
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let intent = exchange.intent(CUSTOMER, BTC);
    let mut ask = |change: &dyn Fn(&mut holdfast_authn::release::Release)| {
        let mut release = exchange.release(&psbt, &[intent.clone()]);
        change(&mut release);
        exchange.refusal(&mut signer, &release, &psbt)
    };
    let swap = |from: &'static str, to: &'static str| {
        move |release: &mut holdfast_authn::release::Release| {
            release.payments[0].intent = release.payments[0].intent.replace(from, to);
        }
    };
    assert_eq!(ask(&swap("harbor.example", "other.example")), "text_exchange_differs");
    assert_eq!(ask(&swap("1.00000000", "1.0000000")), "text_decimals");
    assert_eq!(ask(&swap("asset: BTC", "asset: ETH")), "asset_unpinned");
    assert_eq!(ask(&swap("network: bitcoin", "network: litecoin")), "address_network");
    assert_eq!(ask(&swap("memo: -\n", "")), "text_expected");
    assert_eq!(ask(&|release| release.payments.clear()), "release_empty");
    assert_eq!(
        ask(&|release| release.transfer = Some(exchange.sign(&exchange.transfer(None).to_string(), &[]))),
        "release_mixed"
    );
    // The same payment written with fewer decimals than are pinned.
    let coarse = intent.to_string().replace("1.00000000", "1.0000000").replace("0.00001000", "0.0000100");
    assert_eq!(ask(&|release| release.payments[0].intent = coarse.clone()), "decimals_differ");
}

#[test]
fn only_pinned_wallets_with_fee_bounds_pay() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt =
        exchange.house.pay(&[exchange.house.coin(COLD, 1, 2 * BTC)], &[(CUSTOMER, BTC)], 2_000).serialize();
    let intent = exchange.intent(CUSTOMER, BTC);
    let release = exchange.release_on(Network::Bitcoin, "btc-cold", &psbt, &[intent.clone()]);
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "wallet_receives_only");
    let mut release = exchange.release(&psbt, &[intent]);
    release.wallet = "btc-warm".parse().unwrap();
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "wallet_unpinned");
}

#[test]
fn transfers_stay_in_the_house_unless_operators_signed_the_one_payment_that_does_not() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let mut ask =
        |outputs: &[TxOut], own: &[(usize, &str, u32)], external: Option<(&str, u64)>, by: &[&str]| {
            let sum: u64 = outputs.iter().map(|output| output.value.to_sat()).sum();
            let psbt = exchange.house.psbt(&[exchange.coin(sum + 2_000)], outputs, own).serialize();
            let release = exchange.transfer_release(&psbt, &exchange.transfer(external), by);
            exchange.ask(&mut signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
        };
    let own = |branch: &str| {
        let script_pubkey = exchange.house.script(branch, 3);
        TxOut { value: bitcoin::Amount::from_sat(50 * BTC), script_pubkey }
    };
    let both = ["alice", "carol"];
    assert_eq!(ask(&[own(HOT)], &[(0, HOT, 3)], None, &[]), "signed", "no bucket but that of fees");
    assert_eq!(ask(&[own(COLD)], &[(0, COLD, 3)], None, &[]), "signed");
    assert_eq!(ask(&[own(FOREIGN)], &[(0, FOREIGN, 3)], None, &[]), "output_unexplained");
    assert_eq!(ask(&[own(FOREIGN)], &[(0, FOREIGN, 3)], None, &both), "output_unexplained");
    let pays = || [own(COLD), output(OTHER, BTC)];
    assert_eq!(ask(&pays(), &[(0, COLD, 3)], Some((OTHER, BTC)), &[]), "transfer_unsigned");
    assert_eq!(ask(&pays(), &[(0, COLD, 3)], Some((OTHER, BTC)), &["alice"]), "transfer_unsigned");
    assert_eq!(ask(&pays(), &[(0, COLD, 3)], Some((OTHER, BTC)), &["alice", "alice"]), "transfer_unsigned");
    assert_eq!(ask(&pays(), &[(0, COLD, 3)], Some((OTHER, BTC - 1)), &both), "transfer_payment_missing");
    assert_eq!(ask(&pays(), &[(0, COLD, 3)], Some((OTHER, BTC)), &both), "signed");
    let large = [output(OTHER, 25 * BTC)];
    assert_eq!(
        ask(&large, &[], Some((OTHER, 25 * BTC)), &both),
        "bucket_empty",
        "vouched value has an end too"
    );
    let mut text = exchange.transfer(None);
    text.fee_max = holdfast_values::Amount::from_base_units(1_999);
    let psbt =
        exchange.house.psbt(&[exchange.coin(50 * BTC + 2_000)], &[own(COLD)], &[(0, COLD, 3)]).serialize();
    let release = exchange.transfer_release(&psbt, &text, &[]);
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "transfer_fee");
}
