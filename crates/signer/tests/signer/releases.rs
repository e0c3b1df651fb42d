//! Whose word a release is, when it counts, and what it can still do once something was authorised.

use holdfast_authn::release::{self, Kind, Outcome, SigningKey};
use holdfast_transactions::outputs_digest;
use holdfast_values::{Amount, OperatorProof, Timestamp, WithdrawalId, time};

use crate::exchange::{BTC, CUSTOMER, Exchange, OTHER, START};

#[test]
fn only_a_pinned_key_speaks_and_only_as_a_release() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]);
    let stranger = SigningKey::from_seed(&[2; 32]);
    let mut code = |bytes: &[u8]| signer.authorise(bytes, &psbt).unwrap_err().code();
    assert_eq!(code(&release::seal(Kind::Release, &release.to_bytes(), &stranger)), "release_key_unknown");
    let other_kind = release::seal(Kind::Receipt, &release.to_bytes(), &exchange.release_key);
    assert_eq!(code(&other_kind), "release_signature");
    let mut touched = exchange.seal(&release);
    let middle = touched.len() / 2;
    touched[middle] ^= 1;
    assert_eq!(code(&touched), "release_signature");
    assert_eq!(code(&release::seal(Kind::Release, b"\xa0", &exchange.release_key)), "release_malformed");
    assert_eq!(code(b""), "envelope_untagged");
    for length in 0..exchange.seal(&release).len() {
        let cut = exchange.seal(&release)[..length].to_vec();
        assert!(signer.authorise(&cut, &psbt).is_err());
    }
    for length in (0..psbt.len()).step_by(7) {
        assert!(signer.authorise(&exchange.seal(&release), &psbt[..length]).is_err());
    }
    assert_eq!(signer.status().unwrap().counter, 0, "nothing of this left a trace");
}

#[test]
fn a_release_counts_for_this_signer_this_exchange_and_this_clock() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let intent = exchange.intent(CUSTOMER, BTC);
    let mut ask = |change: &dyn Fn(&mut release::Release)| {
        let mut release = exchange.release(&psbt, &[intent.clone()]);
        change(&mut release);
        exchange.refusal(&mut signer, &release, &psbt)
    };
    assert_eq!(ask(&|release| release.audience = "harbor-warm".parse().unwrap()), "audience_differs");
    assert_eq!(ask(&|release| release.exchange = "other.example".parse().unwrap()), "exchange_differs");
    assert_eq!(ask(&|release| release.simulated = true), "clock_simulated");
    assert_eq!(ask(&|release| release.transaction[0] ^= 1), "digest_differs");
    let late = exchange.now().plus(time::SECOND);
    assert_eq!(ask(&|release| release.not_before = late), "not_yet_valid");
    assert_eq!(ask(&|release| release.expires = exchange.now()), "expired");
    let long = exchange.now().plus(10 * time::MINUTE + 1);
    assert_eq!(ask(&|release| release.expires = long), "lifetime_too_long");
    assert_eq!(ask(&|release| release.epoch = 2), "epoch_unknown");
    assert_eq!(ask(&|release| release.epoch = 0), "epoch_old");
    assert_eq!(ask(&|release| release.receipts_seen = 1), "store_rolled_back");
}

#[test]
fn a_signer_that_is_pinned_as_simulated_takes_time_from_releases_alone() {
    let exchange = Exchange::with(|pins| pins.replace("simulated_clock = false", "simulated_clock = true"));
    let mut signer = exchange.signer();
    // The real clock says something else.
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let intent = exchange.intent(CUSTOMER, BTC);
    let mut release = exchange.release(&psbt, &[intent]);
    release.not_before = START.plus(30 * time::MINUTE);
    release.expires = START.plus(31 * time::MINUTE);
    release.simulated = false;
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "clock_real");
    release.simulated = true;
    assert!(exchange.ask(&mut signer, &release, &psbt).is_ok());
    assert_eq!(signer.status().unwrap().highest, START.plus(30 * time::MINUTE));
    // Made later, from a time before: it has ended by the newest that was seen.
    let psbt = exchange.psbt(&[(CUSTOMER, 5_000)]);
    let release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, 5_000)]);
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "expired");
}

#[test]
fn the_journal_neither_goes_back_nor_forks() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let first = exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]);
    exchange.ask(&mut signer, &first, &psbt).unwrap();
    let other = exchange.psbt(&[(CUSTOMER, 5_000)]);
    let mut release = exchange.release(&other, &[exchange.intent(CUSTOMER, 5_000)]);
    release.sequence = first.sequence - 1;
    assert_eq!(exchange.refusal(&mut signer, &release, &other), "sequence_old");
    release.sequence = first.sequence;
    release.head = [0xee; 32];
    assert_eq!(exchange.refusal(&mut signer, &release, &other), "head_differs");
    release.head = first.head;
    assert!(exchange.ask(&mut signer, &release, &other).is_ok(), "two releases may be of one sequence");
}

#[test]
fn the_same_question_has_the_same_answer_and_spends_once() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let intent = exchange.intent(CUSTOMER, BTC);
    let release = exchange.release(&psbt, &[intent.clone()]);
    let first = exchange.ask(&mut signer, &release, &psbt).unwrap();
    let status = signer.status().unwrap();
    // Long after it ended, and from an older sequence: what was authorised stays authorised.
    exchange.wait(30 * time::DAY);
    let again = exchange.ask(&mut signer, &release, &psbt).unwrap();
    assert!(again.repeated);
    assert_eq!((again.receipt, again.sighashes), (first.receipt, first.sighashes));
    let mut fresh = exchange.release(&psbt, &[intent]);
    fresh.receipts_seen = 1;
    assert!(exchange.ask(&mut signer, &fresh, &psbt).unwrap().repeated);
    assert_eq!(signer.status().unwrap().counter, status.counter);
    // Another transaction under the same release is another matter.
    let other = exchange.psbt(&[(CUSTOMER, BTC)]);
    assert_eq!(exchange.refusal(&mut signer, &release, &other), "digest_differs");
    assert_eq!(exchange.refusal(&mut signer, &fresh, &other), "digest_differs");
}

#[test]
fn a_second_release_of_one_withdrawal_cannot_pay_it_twice() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = exchange.intent(CUSTOMER, BTC);
    let first = exchange.psbt(&[(CUSTOMER, BTC)]);
    exchange.ask(&mut signer, &exchange.release(&first, &[intent.clone()]), &first).unwrap();
    let second = exchange.psbt(&[(CUSTOMER, BTC)]);
    let release = exchange.release(&second, &[intent.clone()]);
    assert_eq!(exchange.refusal(&mut signer, &release, &second), "conflict_missing");
    // Nor within a batch of others.
    let another = exchange.intent(OTHER, 9_000);
    let batch = exchange.psbt(&[(OTHER, 9_000), (CUSTOMER, BTC)]);
    let release = exchange.release(&batch, &[another, intent]);
    assert_eq!(exchange.refusal(&mut signer, &release, &batch), "conflict_missing");
}

fn left(signer: &mut holdfast_signer::Signer, name: &str) -> u128 {
    let status = signer.status().unwrap();
    let bucket = status.buckets.iter().find(|bucket| bucket.bucket.to_string().starts_with(name)).unwrap();
    bucket.available.base_units()
}

#[test]
fn a_fee_bump_conflicts_with_every_earlier_one_and_is_charged_only_its_fee() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = exchange.intent(CUSTOMER, BTC);
    let coins = [exchange.coin(BTC), exchange.coin(BTC), exchange.coin(BTC)];
    let mut pay = |coins: &[&crate::house::Coin], fee: u64| {
        let coins: Vec<_> = coins.iter().map(|coin| (*coin).clone()).collect();
        let psbt = exchange.house.pay(&coins, &[(CUSTOMER, BTC)], fee).serialize();
        let release = exchange.release(&psbt, &[intent.clone()]);
        let answer = exchange.ask(&mut signer, &release, &psbt);
        let answer = answer.map_or_else(
            |error| error.code(),
            |authorised| {
                assert!(!authorised.repeated);
                "signed"
            },
        );
        (answer, left(&mut signer, "unvouched BTC"), left(&mut signer, "fees of btc-hot"))
    };
    let [a, b, c] = &coins;
    assert_eq!(pay(&[a, b], 1_000), ("signed", u128::from(BTC), 199_000));
    assert_eq!(pay(&[b, c], 4_000), ("signed", u128::from(BTC), 195_000), "only the fee is charged again");
    assert_eq!(pay(&[a, c], 9_000), ("signed", u128::from(BTC), 186_000), "in conflict with both");
    let d = exchange.coin(BTC);
    assert_eq!(pay(&[a, &d], 20_000), ("conflict_missing", u128::from(BTC), 186_000), "not with the second");
    assert_eq!(pay(&[&d, &d], 20_000).0, "input_duplicate");
}

#[test]
fn what_was_authorised_cannot_become_another_payment() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let coin = exchange.coin(3 * BTC);
    let intent = exchange.intent(CUSTOMER, 10_000);
    let psbt = exchange.house.pay(&[coin.clone()], &[(CUSTOMER, 10_000)], 1_000).serialize();
    exchange.ask(&mut signer, &exchange.release(&psbt, &[intent.clone()]), &psbt).unwrap();
    // It would conflict, and only its fee would be charged: so the text must be the same.
    for (address, sats) in [(CUSTOMER, 2 * BTC), (OTHER, 10_000)] {
        let mut changed = exchange.intent(address, sats);
        changed.withdrawal = intent.withdrawal;
        let psbt = exchange.house.pay(&[coin.clone()], &[(address, sats)], 2_000).serialize();
        let release = exchange.release(&psbt, &[changed]);
        assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "intent_changed");
    }
}

#[test]
fn the_end_of_a_text_bounds_its_first_authorisation_alone() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let coin = exchange.coin(2 * BTC);
    let (paid, late) = (exchange.intent(CUSTOMER, BTC), exchange.intent(CUSTOMER, 5_000));
    let psbt = exchange.house.pay(&[coin.clone()], &[(CUSTOMER, BTC)], 1_000).serialize();
    exchange.ask(&mut signer, &exchange.release(&psbt, &[paid.clone()]), &psbt).unwrap();
    exchange.set_clock(Timestamp(late.not_after.timestamp().0 + 1));
    let bump = exchange.house.pay(&[coin], &[(CUSTOMER, BTC)], 2_000).serialize();
    assert!(exchange.ask(&mut signer, &exchange.release(&bump, &[paid]), &bump).is_ok());
    let psbt = exchange.psbt(&[(CUSTOMER, 5_000)]);
    let release = exchange.release(&psbt, &[late]);
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "intent_expired");
}

#[test]
fn a_voided_withdrawal_is_never_paid_and_a_paid_one_never_voided() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = exchange.intent(CUSTOMER, BTC);
    let receipt = signer.void(intent.withdrawal).unwrap();
    let what = exchange.receipt(&receipt);
    assert_eq!((what.counter, what.what), (1, Outcome::Voided { withdrawal: intent.withdrawal }));
    assert_eq!(signer.void(intent.withdrawal).unwrap(), receipt, "the same answer again");
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let release = exchange.release(&psbt, &[intent]);
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "voided");
    let paid = exchange.intent(CUSTOMER, 5_000);
    let psbt = exchange.psbt(&[(CUSTOMER, 5_000)]);
    exchange.ask(&mut signer, &exchange.release(&psbt, &[paid.clone()]), &psbt).unwrap();
    assert_eq!(signer.void(paid.withdrawal).unwrap_err().code(), "spent");
    assert_eq!(signer.status().unwrap().counter, 2, "receipts are numbered without gaps");
}

#[test]
fn operators_who_vouch_open_another_bucket_and_their_word_fits_one_text() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, 5 * BTC)]);
    let intent = exchange.intent(CUSTOMER, 5 * BTC);
    let other = exchange.intent(CUSTOMER, 5 * BTC);
    let mut changed = intent.clone();
    changed.account = "ac_2".parse().unwrap();
    let mut ask = |approvals: Vec<release::SignedAct>| {
        let mut release = exchange.release(&psbt, &[intent.clone()]);
        release.payments[0].approvals = approvals;
        exchange.ask(&mut signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
    };
    let both = ["alice", "bob"];
    assert_eq!(ask(vec![]), "bucket_empty");
    assert_eq!(ask(vec![exchange.approval(&intent, &["alice"])]), "bucket_empty", "one is not enough");
    assert_eq!(ask(vec![exchange.approval(&intent, &["alice", "alice"])]), "bucket_empty");
    assert_eq!(ask(vec![exchange.approval(&other, &both)]), "bucket_empty", "for another withdrawal");
    assert_eq!(ask(vec![exchange.approval(&changed, &both)]), "bucket_empty", "for another text of it");
    let detail = format!("text={}", intent.digest());
    let elsewhere = exchange.act("approve_withdrawal", &other.withdrawal.to_string(), &detail, &both);
    assert_eq!(ask(vec![elsewhere]), "bucket_empty", "the target is another");
    let otherwise = exchange.act("approve_case", &intent.withdrawal.to_string(), &detail, &both);
    assert_eq!(ask(vec![otherwise]), "bucket_empty", "another act");
    let mut forged = exchange.approval(&intent, &both);
    let OperatorProof::Ed25519(signature) = &mut forged.signatures[0].signature else { panic!("a key's") };
    signature[3] ^= 1;
    assert_eq!(ask(vec![forged]), "bucket_empty");
    let mut renamed = exchange.approval(&intent, &["alice"]);
    renamed.signatures.push(renamed.signatures[0].clone());
    renamed.signatures[1].operator = "bob".parse().unwrap();
    assert_eq!(ask(vec![renamed]), "bucket_empty");
    // Each on a text of their own.
    let apart = vec![exchange.approval(&intent, &["alice"]), exchange.approval(&intent, &["carol"])];
    assert_eq!(ask(apart), "signed");
    assert_eq!(left(&mut signer, "vouched BTC"), u128::from(15 * BTC));
    assert_eq!(left(&mut signer, "unvouched BTC"), u128::from(2 * BTC));
}

#[test]
fn an_approval_vouches_until_a_week_after_its_end() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let mut intent = exchange.intent(CUSTOMER, 5 * BTC);
    intent.not_after = holdfast_values::texts::Seconds::floor(exchange.now().plus(30 * time::DAY));
    let approval = exchange.approval(&intent, &["alice", "bob"]);
    let psbt = exchange.psbt(&[(CUSTOMER, 5 * BTC)]);
    let ask = |signer: &mut holdfast_signer::Signer| {
        let mut release = exchange.release(&psbt, &[intent.clone()]);
        release.payments[0].approvals = vec![approval.clone()];
        exchange.ask(signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
    };
    exchange.set_clock(START.minus(1));
    assert_eq!(ask(&mut signer), "bucket_empty", "not yet");
    exchange.set_clock(START.plus(8 * time::DAY + 1));
    assert_eq!(ask(&mut signer), "bucket_empty", "no more");
    exchange.set_clock(START.plus(8 * time::DAY));
    assert_eq!(ask(&mut signer), "signed");
}

#[test]
fn a_bucket_that_is_empty_refuses_the_whole_batch_and_refills_with_time() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    exchange.pay(&mut signer, BTC + 50_000_000).unwrap();
    assert_eq!(exchange.pay(&mut signer, BTC).unwrap_err().code(), "bucket_empty");
    let intents = [exchange.intent(CUSTOMER, 5_000), exchange.intent(OTHER, BTC)];
    let psbt = exchange.psbt(&[(CUSTOMER, 5_000), (OTHER, BTC)]);
    let release = exchange.release(&psbt, &intents);
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "bucket_empty");
    assert!(signer.void(intents[0].withdrawal).is_ok(), "the small one was not spent either");
    exchange.wait(30 * time::MINUTE);
    exchange.pay(&mut signer, BTC).unwrap();
    assert_eq!(left(&mut signer, "unvouched BTC"), 0);
}

#[test]
fn a_statement_tells_everything_that_was_authorised_or_voided() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = exchange.intent(CUSTOMER, BTC);
    let coin = exchange.coin(2 * BTC);
    let mut paid = Vec::new();
    for fee in [1_000, 2_000] {
        let psbt = exchange.house.pay(&[coin.clone()], &[(CUSTOMER, BTC)], fee).serialize();
        let release = exchange.release(&psbt, &[intent.clone()]);
        let (_, examined) = signer.would_authorise(&exchange.seal(&release), &psbt).unwrap();
        let outputs = examined.decoded.outputs.iter();
        paid.push(outputs_digest(outputs.map(|paid| (Some(&paid.destination), &paid.asset, paid.amount))));
        exchange.ask(&mut signer, &release, &psbt).unwrap();
    }
    signer.void(WithdrawalId(99)).unwrap();
    let statement = signer.spends().unwrap();
    let (payload, _) = release::open(Kind::Spends, &statement, &[exchange.receipt_key]).unwrap();
    let spends = release::Spends::parse(&payload).unwrap();
    assert_eq!((spends.counter, spends.epoch, spends.store), (3, 1, signer.status().unwrap().store));
    assert_eq!(spends.voided, [WithdrawalId(99)]);
    let [spend] = spends.spends.as_slice() else { panic!("{spends:?}") };
    assert_eq!(spend.intent, intent.to_string());
    assert_eq!(spend.transactions.len(), 2);
    assert_eq!(spend.transactions[0].conflict_keys, spend.transactions[1].conflict_keys);
    let outputs: Vec<[u8; 32]> = spend.transactions.iter().map(|transaction| transaction.outputs).collect();
    assert_eq!(outputs, paid, "what a chain shows of each");
    assert_ne!(paid[0], paid[1], "their change differs");
    assert_eq!(Some((spends.sequence, spends.head)), signer.status().unwrap().seen);
    assert_ne!(Amount::ZERO, intent.amount);
}

#[test]
fn no_byte_of_release_or_transaction_can_be_changed() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let sealed = exchange.seal(&exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]));
    let mut random = 3u64;
    for round in 0..600 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (mut release, mut transaction) = (sealed.clone(), psbt.clone());
        let into = if round % 2 == 0 { &mut release } else { &mut transaction };
        let place = usize::try_from(random >> 33).unwrap() % into.len();
        into[place] ^= 1 << (random >> 61);
        if round % 2 == 0 {
            assert!(signer.authorise(&release, &transaction).is_err(), "byte {place} of the release");
        } else if let Ok((_, examined)) = signer.would_authorise(&release, &transaction) {
            // A PSBT also says what no transaction holds, such as the fingerprint of a master key.
            assert_eq!(examined.decoded.outputs.len(), 2, "byte {place} of the transaction");
        }
    }
    assert_eq!(signer.status().unwrap().counter, 0);
}
