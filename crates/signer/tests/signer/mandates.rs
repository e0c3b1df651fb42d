//! Payments under mandates: the owner's word once, the program's signed request for each, and sums that hold.

use std::collections::BTreeSet;

use holdfast_authn::release::{Basis, MandateUse};
use holdfast_signer::Signer;
use holdfast_values::texts::{Destinations, MandateText, Seconds, Window};
use holdfast_values::{Amount, Destination, Network, time};

use crate::exchange::{BTC, CUSTOMER, Exchange, OTHER, UNVOUCHED};
use crate::keys::{ApiKey, CAP, Key};

const HALF: u64 = BTC / 2;

/// An exchange without refills, a key that counts, and a program.
fn bot() -> (Exchange, Signer, Key, ApiKey) {
    let exchange = Exchange::with(|pins| pins.replace("refill_per_hour = \"1\"", "refill_per_hour = \"0\""));
    let mut signer = exchange.signer();
    let key = Key::counting(1);
    exchange.aged(&mut signer, &key);
    (exchange, signer, key, ApiKey::new(0x77))
}

#[test]
fn a_program_withdraws_under_its_mandate_and_nobody_is_asked() {
    let (exchange, mut signer, key, api_key) = bot();
    let mandate = exchange.mandate(1, &api_key);
    let approved = exchange.mandate_use(&mandate, &key, &api_key, HALF);
    for _ in 0..4 {
        let request = api_key.request(&exchange.parameters(HALF));
        exchange.pay_under(&mut signer, &MandateUse { request, ..approved.clone() }, HALF).unwrap();
    }
    let status = signer.status().unwrap();
    let left: Vec<u128> = status.buckets[..2].iter().map(|bucket| bucket.available.base_units()).collect();
    assert_eq!(left, [18 * u128::from(BTC), u128::from(UNVOUCHED)]);
}

#[test]
fn a_mandate_names_account_asset_destination_and_amount_and_the_withdrawal_must_be_all_of_it() {
    let (exchange, mut signer, key, api_key) = bot();
    let good = exchange.mandate(1, &api_key);
    let mut changed = |sats: u64, change: &dyn Fn(&mut MandateText)| {
        let mut mandate = good.clone();
        change(&mut mandate);
        let used = exchange.mandate_use(&mandate, &key, &api_key, sats);
        exchange.pay_under(&mut signer, &used, sats)
    };
    let elsewhere = Destination::parse(Network::Bitcoin, OTHER, None).unwrap();
    assert_eq!(changed(5_000, &|m| m.account = "ac_2".parse().unwrap()), Err("mandate_differs"));
    assert_eq!(changed(5_000, &|m| m.exchange = "pier.example".parse().unwrap()), Err("mandate_differs"));
    assert_eq!(changed(5_000, &|m| m.asset = "LTC".parse().unwrap()), Err("mandate_differs"));
    let nine = |m: &mut MandateText| m.decimals = 9;
    assert_eq!(changed(5_000, &nine), Err("mandate_differs"));
    let to = |m: &mut MandateText| m.destinations = Destinations::new(vec![elsewhere.clone()]).unwrap();
    assert_eq!(changed(5_000, &to), Err("mandate_destination"));
    assert_eq!(changed(HALF + 1, &|_| {}), Err("mandate_amount"));
    assert_eq!(changed(5_000, &|m| m.key[3] ^= 1), Err("mandate_key"));
    assert_eq!(changed(5_000, &|m| m.api_key = "maker-2".parse().unwrap()), Err("mandate_request_differs"));
    assert_eq!(changed(HALF, &|_| {}), Ok(()));
}

#[test]
fn the_request_must_be_signed_by_the_mandates_key_and_ask_for_exactly_this_payment() {
    let (exchange, mut signer, key, api_key) = bot();
    let mandate = exchange.mandate(1, &api_key);
    let good = exchange.mandate_use(&mandate, &key, &api_key, 5_000);
    let mut with = |change: &dyn Fn(&mut MandateUse)| {
        let mut used = good.clone();
        change(&mut used);
        exchange.pay_under(&mut signer, &used, 5_000)
    };
    let parameters = exchange.parameters(5_000);
    let replaced = |from: &str, to: &str| {
        let changed = parameters.replace(from, to);
        assert_ne!(changed, parameters);
        api_key.request(&changed)
    };
    let amount = "amount=0.00005&";
    assert_eq!(with(&|u| u.request = replaced(amount, "amount=0.00006&")), Err("mandate_request_differs"));
    assert_eq!(
        with(&|u| u.request = replaced(amount, "amount=0.000050000001&")),
        Err("mandate_request_differs")
    );
    assert_eq!(with(&|u| u.request = replaced(CUSTOMER, OTHER)), Err("mandate_request_differs"));
    assert_eq!(with(&|u| u.request = replaced("coin=BTC", "coin=LTC")), Err("mandate_request_differs"));
    assert_eq!(with(&|u| u.request = replaced("network=BTC", "network=LTC")), Err("mandate_request_differs"));
    assert_eq!(
        with(&|u| u.request = replaced("&timestamp", "&amount=7&timestamp")),
        Err("mandate_request_invalid")
    );
    let other = ApiKey::new(0x78);
    assert_eq!(with(&|u| u.request = other.request(&parameters)), Err("mandate_request_invalid"));
    assert_eq!(with(&|u| u.key = other.spki()), Err("mandate_key"));
    let flip = |u: &mut MandateUse| u.request.query[20] ^= 1;
    assert_eq!(with(&flip), Err("mandate_request_invalid"));
    assert_eq!(
        with(&|u| u.request.path = "/sapi/v1/capital/other".to_owned()),
        Err("mandate_request_invalid")
    );
    assert_eq!(with(&|u| u.request.headers.clear()), Err("mandate_request_invalid"));
    assert_eq!(with(&|u| u.request.dialect = "unheard-of".to_owned()), Err("mandate_dialect"));
    assert_eq!(with(&|u| u.request.dialect = "okx".to_owned()), Err("mandate_request_invalid"));
    assert_eq!(with(&|u| u.text.insert(0, ' ')), Err("text_header"));
    assert_eq!(with(&|_| {}), Ok(()));
}

#[test]
fn a_shared_secret_makes_no_mandate() {
    let (exchange, mut signer, key, api_key) = bot();
    let mut mandate = exchange.mandate(1, &api_key);
    let secret = b"a secret that Holdfast knows as well as its owner".to_vec();
    mandate.key = crate::keys::sha256(&secret).try_into().unwrap();
    let used = MandateUse { key: secret, ..exchange.mandate_use(&mandate, &key, &api_key, 5_000) };
    assert_eq!(exchange.pay_under(&mut signer, &used, 5_000), Err("mandate_key"));
}

#[test]
fn a_mandate_needs_its_owners_assertion_by_a_key_that_counts() {
    let (exchange, mut signer, key, api_key) = bot();
    let mandate = exchange.mandate(1, &api_key);
    let good = exchange.mandate_use(&mandate, &key, &api_key, 5_000);
    // Approved for a smaller one, and widened.
    let mut wider = mandate.clone();
    wider.day_max = Amount::from_base_units(u128::from(20 * BTC));
    let widened = MandateUse { text: wider.to_string(), ..good.clone() };
    assert_eq!(exchange.pay_under(&mut signer, &widened, 5_000), Err("assertion_invalid"));
    let young = Key::passkey(5);
    exchange.enrol(&mut signer, "ac_5", &young, Basis::First).unwrap();
    let theirs = MandateUse { assertion: young.assert(&good.text), ..good.clone() };
    assert_eq!(exchange.pay_under(&mut signer, &theirs, 5_000), Err("credential_unknown"));
    exchange.pay_under(&mut signer, &good, 5_000).unwrap();
    // Nobody tells a signer that a mandate was taken back. It ends with its key.
    signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    let next = MandateUse { request: api_key.request(&exchange.parameters(5_000)), ..good };
    assert_eq!(exchange.pay_under(&mut signer, &next, 5_000), Err("credential_removed"));
}

#[test]
fn a_mandate_is_used_in_its_time_by_the_signers_clock_with_requests_of_its_time() {
    let (exchange, mut signer, key, api_key) = bot();
    let mut mandate = exchange.mandate(1, &api_key);
    let from = exchange.now().plus(time::DAY);
    mandate.window = Window::new(Seconds::floor(from), Seconds::floor(from.plus(time::DAY))).unwrap();
    let early = exchange.mandate_use(&mandate, &key, &api_key, 5_000);
    assert_eq!(exchange.pay_under(&mut signer, &early, 5_000), Err("mandate_not_now"));
    exchange.set_clock(from);
    assert_eq!(
        exchange.pay_under(&mut signer, &early, 5_000),
        Err("mandate_not_now"),
        "signed the day before"
    );
    let next = || MandateUse { request: api_key.request(&exchange.parameters(5_000)), ..early.clone() };
    assert_eq!(exchange.pay_under(&mut signer, &next(), 5_000), Ok(()));
    exchange.set_clock(from.plus(time::DAY));
    assert_eq!(exchange.pay_under(&mut signer, &next(), 5_000), Ok(()));
    let last = next();
    exchange.wait(1);
    assert_eq!(exchange.pay_under(&mut signer, &last, 5_000), Err("mandate_not_now"));
}

#[test]
fn one_request_pays_one_withdrawal() {
    let (exchange, mut signer, key, api_key) = bot();
    let used = exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, 5_000);
    let (_, psbt, mut release) = exchange.payment(5_000);
    release.payments[0].mandate = Some(used.clone());
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    assert!(exchange.ask(&mut signer, &release, &psbt).unwrap().repeated);
    assert_eq!(exchange.pay_under(&mut signer, &used, 5_000), Err("mandate_request_used"));
    // Nor under another mandate of the same key.
    let second = exchange.mandate(2, &api_key);
    let again =
        MandateUse { request: used.request.clone(), ..exchange.mandate_use(&second, &key, &api_key, 5_000) };
    assert_eq!(exchange.pay_under(&mut signer, &again, 5_000), Err("mandate_request_used"));
    // Nor twice in one release.
    let intents = [exchange.intent(CUSTOMER, 5_000), exchange.intent(CUSTOMER, 5_000)];
    let psbt = exchange.psbt(&[(CUSTOMER, 5_000), (CUSTOMER, 5_000)]);
    let mut release = exchange.release(&psbt, &intents);
    let fresh = exchange.mandate_use(&second, &key, &api_key, 5_000);
    for payment in &mut release.payments {
        payment.mandate = Some(fresh.clone());
    }
    key.counter.set(Some(60));
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "mandate_request_used");
}

#[test]
fn a_mandates_id_has_one_text() {
    let (exchange, mut signer, key, api_key) = bot();
    let first = exchange.mandate(1, &api_key);
    exchange.pay_under(&mut signer, &exchange.mandate_use(&first, &key, &api_key, 5_000), 5_000).unwrap();
    let second = exchange.mandate(1, &api_key);
    let used = exchange.mandate_use(&second, &key, &api_key, 5_000);
    assert_eq!(exchange.pay_under(&mut signer, &used, 5_000), Err("mandate_changed"));
}

#[test]
fn the_sum_of_any_24_hours_is_the_mandates_and_the_sum_of_30_days_its_keys() {
    let (exchange, mut signer, key, api_key) = bot();
    let good = exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, HALF);
    let pay = |signer: &mut Signer, sats: u64| {
        let request = api_key.request(&exchange.parameters(sats));
        exchange.pay_under(signer, &MandateUse { request, ..good.clone() }, sats)
    };
    for _ in 0..3 {
        assert_eq!(pay(&mut signer, HALF), Ok(()));
        exchange.wait(6 * time::HOUR);
    }
    assert_eq!(pay(&mut signer, HALF - 5_000), Ok(()));
    assert_eq!(pay(&mut signer, 5_001), Err("mandate_day"));
    assert_eq!(pay(&mut signer, 5_000), Ok(()));
    assert_eq!(pay(&mut signer, 600), Err("mandate_day"));
    drop(signer);
    let mut signer = exchange.signer();
    exchange.wait(6 * time::HOUR - 1);
    assert_eq!(pay(&mut signer, 600), Err("mandate_day"), "a day after the first, less a moment");
    exchange.wait(time::MINUTE + 1);
    assert_eq!(pay(&mut signer, HALF), Ok(()));
    assert_eq!(pay(&mut signer, 600), Err("mandate_day"));
    // Two days' worth is the key's cap.
    exchange.wait(2 * time::DAY);
    let spent = 2 * BTC + HALF;
    for _ in 0..3 {
        pay(&mut signer, HALF).unwrap();
    }
    assert_eq!(spent + 3 * HALF, CAP);
    assert_eq!(pay(&mut signer, 600), Err("credential_cap"));
    assert_eq!(exchange.pay_by(&mut signer, &key, 600), Err("credential_cap"), "they share it");
}

#[test]
fn an_owner_speaks_once_for_a_payment() {
    let (exchange, mut signer, key, api_key) = bot();
    let (intent, psbt, mut release) = exchange.payment(5_000);
    release.payments[0].assertion = Some(key.assert(&intent.to_string()));
    release.payments[0].mandate =
        Some(exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, 5_000));
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "approved_twice");
}

#[test]
fn mandates_of_one_key_are_told_apart() {
    let (exchange, mut signer, key, api_key) = bot();
    let texts: BTreeSet<String> =
        (1..=2).map(|number| exchange.mandate(number, &api_key).to_string()).collect();
    assert_eq!(texts.len(), 2);
    for text in texts {
        let used = MandateUse {
            assertion: key.assert(&text),
            text,
            key: api_key.spki(),
            request: api_key.request(&exchange.parameters(HALF)),
        };
        exchange.pay_under(&mut signer, &used, HALF).unwrap();
    }
}

#[test]
fn what_a_mandate_does_not_permit_is_named() {
    let (exchange, mut signer, key, api_key) = bot();
    let up_to = |number: u128, sats: u128| {
        let most = Amount::from_base_units(sats);
        MandateText { amount_max: most, day_max: most, ..exchange.mandate(number, &api_key) }
    };
    let enough = up_to(1, 5_000);
    let first = exchange.mandate_use(&enough, &key, &api_key, 5_000);
    exchange.pay_under(&mut signer, &first, 5_000).unwrap();
    for (mandate, code) in [(&enough, "mandate_day"), (&up_to(2, 4_000), "mandate_amount")] {
        let (intent, psbt, mut release) = exchange.payment(5_000);
        release.payments[0].mandate = Some(exchange.mandate_use(mandate, &key, &api_key, 5_000));
        let refused = exchange.ask(&mut signer, &release, &psbt).unwrap_err();
        assert_eq!((refused.code(), refused.withdrawal()), (code, Some(intent.withdrawal)));
    }
}

#[test]
fn a_mandate_that_holdfast_took_back_ends_here_with_its_time_or_with_its_key() {
    let (exchange, mut signer, key, api_key) = bot();
    let good = exchange.mandate_use(&exchange.mandate(1, &api_key), &key, &api_key, 5_000);
    let pay = |signer: &mut Signer| {
        let request = api_key.request(&exchange.parameters(5_000));
        exchange.pay_under(signer, &MandateUse { request, ..good.clone() }, 5_000)
    };
    // Of a revocation no document tells: a release that Holdfast's host still makes is good.
    exchange.wait(29 * time::DAY);
    assert_eq!(pay(&mut signer), Ok(()));
    exchange.wait(time::DAY + time::SECOND);
    assert_eq!(pay(&mut signer), Err("mandate_not_now"));
    exchange.wait(time::DAY);
    let good = exchange.mandate_use(&exchange.mandate(2, &api_key), &key, &api_key, 5_000);
    assert_eq!(exchange.pay_under(&mut signer, &good, 5_000), Ok(()));
    signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    let request = api_key.request(&exchange.parameters(5_000));
    assert_eq!(
        exchange.pay_under(&mut signer, &MandateUse { request, ..good }, 5_000),
        Err("credential_removed")
    );
}
