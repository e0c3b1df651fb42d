//! Payments that their owners' keys approve: over exactly their text, by a key that counts, within its cap.

use holdfast_authn::release::{Basis, BoundAssertion, Release};
use holdfast_signer::Signer;
use holdfast_values::{WithdrawalText, time};

use crate::enrolments::without_approvals;
use crate::exchange::{BTC, CUSTOMER, Exchange, OTHER, UNVOUCHED};
use crate::keys::{CAP, Key, ORIGIN};

fn asked(
    exchange: &Exchange,
    signer: &mut Signer,
    sats: u64,
    assert: impl FnOnce(&str) -> BoundAssertion,
) -> Result<(), &'static str> {
    let (intent, psbt, mut release) = exchange.payment(sats);
    release.payments[0].assertion = Some(assert(&intent.to_string()));
    exchange.ask(signer, &release, &psbt).map(drop).map_err(|error| error.code())
}

fn left(signer: &mut Signer, name: &str) -> u64 {
    let status = signer.status().unwrap();
    let bucket = status.buckets.iter().find(|bucket| bucket.bucket.to_string() == name).unwrap();
    bucket.available.base_units().try_into().unwrap()
}

#[test]
fn an_approved_payment_spends_the_vouched_bucket_and_no_other() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    exchange.pay_by(&mut signer, &key, 3 * BTC).unwrap();
    assert_eq!(left(&mut signer, "unvouched BTC on bitcoin"), UNVOUCHED);
    assert_eq!(left(&mut signer, "vouched BTC on bitcoin"), 17 * BTC);
    // Two in one transaction, one of them nobody's.
    let intents = [exchange.intent(CUSTOMER, BTC), exchange.intent(OTHER, 5_000)];
    let psbt = exchange.psbt(&[(CUSTOMER, BTC), (OTHER, 5_000)]);
    let mut release = exchange.release(&psbt, &intents);
    release.payments[0].assertion = Some(key.assert(&intents[0].to_string()));
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    assert_eq!(left(&mut signer, "unvouched BTC on bitcoin"), UNVOUCHED - 5_000);
    assert_eq!(left(&mut signer, "vouched BTC on bitcoin"), 16 * BTC);
}

#[test]
fn an_old_u2f_key_approves_by_its_app_id_and_others_do_not() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::u2f("old key");
    exchange.aged(&mut signer, &key);
    assert_eq!(exchange.pay_by(&mut signer, &key, 3 * BTC), Ok(()));
    let new = Key { scope: crate::keys::APP_ID, ..Key::passkey(2) };
    let mut enrolment = exchange.enrolment("ac_2", &new, Basis::First);
    enrolment.legacy_u2f = false;
    signer.enrol(&exchange.seal_enrolment(&enrolment)).unwrap();
    exchange.wait(72 * time::HOUR);
    let (mut intent, psbt, mut release) = exchange.payment(BTC);
    intent.account = "ac_2".parse().unwrap();
    release.payments[0].intent = intent.to_string();
    release.payments[0].assertion = Some(new.assert(&intent.to_string()));
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "assertion_invalid");
}

#[test]
fn an_assertion_is_for_one_text_on_the_pinned_page_and_never_inside_another() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    let mut refused = |rest: &str| asked(&exchange, &mut signer, 5_000, |text| key.assert_on(text, rest));
    for rest in [
        "\"origin\":\"https://app.harbor.example\"",
        "\"origin\":\"https://approve.harbor.example.evil.example\"",
        &format!("\"origin\":\"{ORIGIN}\",\"crossOrigin\":true"),
        &format!("\"origin\":\"{ORIGIN}\",\"topOrigin\":\"https://app.harbor.example\""),
        &format!("\"origin\":\"{ORIGIN}\",\"origin\":\"{ORIGIN}\""),
        "\"crossOrigin\":false",
    ] {
        assert_eq!(refused(rest), Err("assertion_invalid"), "{rest}");
    }
    let elsewhere = Key { scope: "harbor.example", ..Key::passkey(1) };
    assert_eq!(exchange.pay_by(&mut signer, &elsewhere, 5_000), Err("assertion_invalid"));
    let absent = Key { flags: 0x04, ..Key::passkey(1) };
    assert_eq!(exchange.pay_by(&mut signer, &absent, 5_000), Err("assertion_invalid"));
    // Another text, such as an earlier one; another key under the same id.
    let (earlier, ..) = exchange.payment(5_000);
    let replayed = key.assert(&earlier.to_string());
    assert_eq!(asked(&exchange, &mut signer, 5_000, |_| replayed), Err("assertion_invalid"));
    let forged = Key { id: key.id.clone(), ..Key::passkey(2) };
    assert_eq!(exchange.pay_by(&mut signer, &forged, 5_000), Err("assertion_invalid"));
    for change in [0, 40, 36] {
        let spoiled = asked(&exchange, &mut signer, 5_000, |text| {
            let mut by = key.assert(text);
            let part = if change == 40 { &mut by.signature } else { &mut by.authenticator_data };
            part[change] ^= 1;
            by
        });
        assert_eq!(spoiled, Err("assertion_invalid"), "{change}");
    }
    assert_eq!(left(&mut signer, "unvouched BTC on bitcoin"), UNVOUCHED, "none of it counted as unvouched");
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Ok(()));
}

#[test]
fn the_refusal_names_what_webauthn_found() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    let (intent, psbt, mut release) = exchange.payment(5_000);
    let rest = format!("\"origin\":\"{ORIGIN}\",\"crossOrigin\":true");
    release.payments[0].assertion = Some(key.assert_on(&intent.to_string(), &rest));
    let refused = exchange.ask(&mut signer, &release, &psbt).unwrap_err();
    assert!(refused.to_string().contains("(webauthn_cross_origin)"), "{refused}");
}

#[test]
fn the_key_of_another_account_vouches_for_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let theirs = Key::passkey(2);
    exchange.enrol(&mut signer, "ac_2", &theirs, Basis::First).unwrap();
    exchange.aged(&mut signer, &Key::passkey(1));
    assert_eq!(exchange.pay_by(&mut signer, &theirs, 5_000), Err("credential_unknown"));
    assert_eq!(exchange.pay_by(&mut signer, &Key::passkey(3), 5_000), Err("credential_unknown"));
}

#[test]
fn user_verification_is_asked_for_where_it_is_pinned() {
    let exchange = Exchange::with(|pins| pins.replace("\"optional\"", "\"required\""));
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    let touched = Key { flags: 0x01, ..Key::passkey(1) };
    assert_eq!(exchange.pay_by(&mut signer, &touched, 5_000), Err("assertion_user_unverified"));
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Ok(()));
}

#[test]
fn without_pinned_approvals_evidence_is_refused_and_other_payments_are_not() {
    let exchange = Exchange::with(without_approvals);
    let mut signer = exchange.signer();
    assert_eq!(exchange.pay_by(&mut signer, &Key::passkey(1), 5_000), Err("approvals_not_pinned"));
    exchange.pay(&mut signer, 5_000).unwrap();
}

#[test]
fn a_lineage_vouches_for_its_cap_in_30_days_and_rotations_do_not_renew_it() {
    let exchange = Exchange::with(|pins| pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\""));
    let mut signer = exchange.signer();
    let (key, second, third) = (Key::passkey(1), Key::passkey(2), Key::passkey(3));
    exchange.aged(&mut signer, &key);
    exchange.pay_by(&mut signer, &key, CAP - BTC).unwrap();
    let first_paid = exchange.now();
    let basis = exchange.rotation("ac_1", &second, &key);
    exchange.enrol(&mut signer, "ac_1", &second, basis).unwrap();
    let basis = exchange.rotation("ac_1", &third, &second);
    exchange.enrol(&mut signer, "ac_1", &third, basis).unwrap();
    exchange.wait(10 * time::DAY);
    assert_eq!(exchange.pay_by(&mut signer, &third, BTC + 1), Err("credential_cap"));
    assert_eq!(exchange.pay_by(&mut signer, &third, BTC), Ok(()));
    for key in [&key, &second, &third] {
        assert_eq!(exchange.pay_by(&mut signer, key, 600), Err("credential_cap"));
    }
    // Operators vouch beyond it; the evidence must be good all the same.
    let (intent, psbt, mut release) = exchange.payment(2 * BTC);
    release.payments[0].approvals = vec![exchange.approval(&intent, &["alice", "bob"])];
    release.payments[0].assertion = Some(Key::passkey(9).assert(&intent.to_string()));
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "credential_unknown");
    release.payments[0].assertion = Some(third.assert(&intent.to_string()));
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    // Another asset has another cap, and so has a recovered credential.
    let recovered = Key::passkey(4);
    let basis = exchange.recovery("ac_1", &recovered, &["alice", "bob"]);
    exchange.enrol(&mut signer, "ac_1", &recovered, basis).unwrap();
    exchange.set_clock(first_paid.plus(30 * time::DAY));
    assert_eq!(exchange.pay_by(&mut signer, &key, 600), Err("credential_cap"));
    assert_eq!(exchange.pay_by(&mut signer, &recovered, CAP), Ok(()));
    exchange.wait(time::HOUR);
    assert_eq!(
        exchange.pay_by(&mut signer, &key, CAP - BTC),
        Ok(()),
        "30 days and the rest of an hour later"
    );
    assert_eq!(exchange.pay_by(&mut signer, &key, 600), Err("credential_cap"));
}

#[test]
fn a_replacement_needs_its_owners_word_no_second_time() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::counting(1);
    exchange.aged(&mut signer, &key);
    let (intent, coin) = (exchange.intent(CUSTOMER, 3 * BTC), exchange.coin(4 * BTC));
    let bump = |fee| exchange.house.pay(&[coin.clone()], &[(CUSTOMER, 3 * BTC)], fee).serialize();
    let by = key.assert(&intent.to_string());
    let ask = |signer: &mut Signer, fee: u64, by: Option<BoundAssertion>| {
        let psbt = bump(fee);
        let mut release = exchange.release(&psbt, &[intent.clone()]);
        release.payments[0].assertion = by;
        exchange.ask(signer, &release, &psbt).map(drop).map_err(|error| error.code())
    };
    assert_eq!(ask(&mut signer, 1_000, Some(by.clone())), Ok(()));
    assert_eq!(ask(&mut signer, 2_000, Some(by.clone())), Ok(()), "the same assertion");
    signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    assert_eq!(ask(&mut signer, 3_000, Some(by)), Ok(()), "by a key that is gone");
    assert_eq!(ask(&mut signer, 4_000, None), Ok(()), "without it");
    assert_eq!(left(&mut signer, "vouched BTC on bitcoin"), 17 * BTC, "charged once");
    assert_eq!(left(&mut signer, "unvouched BTC on bitcoin"), UNVOUCHED);
}

#[test]
fn a_counter_stands_beside_one_text_and_never_becomes_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::counting(1);
    exchange.aged(&mut signer, &key);
    key.counter.set(Some(7));
    exchange.pay_by(&mut signer, &key, 5_000).unwrap();
    // A copy of the key that counts by itself.
    key.counter.set(Some(7));
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Err("counter_back"));
    key.counter.set(None);
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Err("counter_back"));
    key.counter.set(Some(8));
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Ok(()));
    // What was refused has shown nothing.
    key.counter.set(Some(9));
    assert_eq!(exchange.pay_by(&mut signer, &key, CAP), Err("credential_cap"));
    key.counter.set(Some(9));
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Ok(()));
    // A key that never counted goes on so.
    let steady = Key::passkey(2);
    let basis = exchange.rotation("ac_1", &steady, &key);
    exchange.enrol(&mut signer, "ac_1", &steady, basis).unwrap();
    for _ in 0..3 {
        exchange.pay_by(&mut signer, &steady, 5_000).unwrap();
    }
}

#[test]
fn payments_may_leave_in_another_order_than_they_were_approved_in_for_a_week() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::counting(1);
    exchange.aged(&mut signer, &key);
    let approved: Vec<_> = (0..3)
        .map(|_| {
            let (intent, psbt, mut release) = exchange.payment(5_000);
            release.payments[0].assertion = Some(key.assert(&intent.to_string()));
            (psbt, release)
        })
        .collect();
    let mut ask = |place: usize| {
        let (psbt, mut release) = approved[place].clone();
        release.sequence = exchange.sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (release.not_before, release.expires) = (exchange.now(), exchange.now().plus(time::MINUTE));
        exchange.ask(&mut signer, &release, &psbt).map(drop).map_err(|error| error.code())
    };
    assert_eq!(ask(2), Ok(()));
    exchange.wait(6 * time::DAY);
    assert_eq!(ask(0), Ok(()), "it dwelt");
    exchange.wait(time::DAY - time::SECOND);
    key.counter.set(Some(2));
    assert_eq!(ask(1), Ok(()));
    // A copy of the key, found later, shows what the key showed long ago.
    exchange.wait(8 * time::DAY);
    key.counter.set(Some(100));
    exchange.pay_by(&mut signer, &key, 5_000).unwrap();
    exchange.wait(7 * time::DAY + 1);
    key.counter.set(Some(50));
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Err("counter_back"));
    key.counter.set(Some(101));
    assert_eq!(exchange.pay_by(&mut signer, &key, 5_000), Ok(()));
}

/// A transaction that pays `sats` by the word of a key, between two that nobody speaks for.
fn between(exchange: &Exchange, sats: u64) -> ([WithdrawalText; 3], Vec<u8>, Release) {
    let intents =
        [exchange.intent(OTHER, 5_000), exchange.intent(CUSTOMER, sats), exchange.intent(OTHER, 6_000)];
    let psbt = exchange.psbt(&[(OTHER, 5_000), (CUSTOMER, sats), (OTHER, 6_000)]);
    let release = exchange.release(&psbt, &intents);
    (intents, psbt, release)
}

#[test]
fn a_word_that_does_not_count_is_named_and_without_it_the_payment_is_unvouched() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    let (intents, psbt, mut release) = between(&exchange, BTC / 2);
    release.payments[1].assertion = Some(key.assert(&intents[1].to_string()));
    let refused = exchange.ask(&mut signer, &release, &psbt).unwrap_err();
    assert_eq!((refused.code(), refused.withdrawal()), ("credential_too_young", Some(intents[1].withdrawal)));
    assert!(refused.to_string().starts_with(&format!("{}: the credential of ac_1", intents[1].withdrawal)));
    assert_eq!(left(&mut signer, "unvouched BTC on bitcoin"), UNVOUCHED, "nothing was spent");
    release.payments[1].assertion = None;
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    assert_eq!(left(&mut signer, "unvouched BTC on bitcoin"), UNVOUCHED - BTC / 2 - 11_000);
}

#[test]
fn a_cap_that_is_used_up_and_a_broken_assertion_name_the_payment() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    exchange.pay_by(&mut signer, &key, CAP).unwrap();
    let (intents, psbt, mut release) = between(&exchange, 7_000);
    let named = Some(intents[1].withdrawal);
    for (word, code) in [
        (key.assert(&intents[1].to_string()), "credential_cap"),
        (key.assert(&intents[0].to_string()), "assertion_invalid"),
        (Key::passkey(2).assert(&intents[1].to_string()), "credential_unknown"),
    ] {
        release.payments[1].assertion = Some(word);
        let refused = exchange.ask(&mut signer, &release, &psbt).unwrap_err();
        assert_eq!((refused.code(), refused.withdrawal()), (code, named));
    }
}

#[test]
fn a_bucket_that_is_empty_names_the_first_payment_that_it_does_not_hold() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (intents, psbt, release) = between(&exchange, UNVOUCHED);
    let refused = exchange.ask(&mut signer, &release, &psbt).unwrap_err();
    assert_eq!((refused.code(), refused.withdrawal()), ("bucket_empty", Some(intents[1].withdrawal)));
    // What is about the whole transaction names none.
    let (_, other, _) = between(&exchange, 7_000);
    let refused = exchange.ask(&mut signer, &release, &other).unwrap_err();
    assert_eq!((refused.code(), refused.withdrawal()), ("digest_differs", None));
}
