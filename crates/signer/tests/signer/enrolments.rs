//! Which customers' keys this signer takes, on whose word, and from when on they count.

use std::fs;

use holdfast_authn::release::{self, Basis, Kind};
use holdfast_signer::{Origin, Signer};
use holdfast_values::time;
use rusqlite::Connection;

use crate::exchange::{BTC, Exchange, START};
use crate::keys::{FIRSTS, Key};

fn code<T>(result: Result<T, holdfast_signer::Refused>) -> Result<T, &'static str> {
    result.map_err(|error| error.code())
}

#[test]
fn a_first_credential_counts_72_hours_after_the_signer_saw_it_and_not_before() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    // What Holdfast says about time is nothing.
    let mut enrolment = exchange.enrolment("ac_1", &key, Basis::First);
    enrolment.at = START.minus(365 * time::DAY);
    let enrolled = signer.enrol(&exchange.seal_enrolment(&enrolment)).unwrap();
    assert_eq!((enrolled.seen, enrolled.counts_from), (START, START.plus(72 * time::HOUR)));
    assert!(!enrolled.repeated);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Err("credential_too_young"));
    exchange.wait(72 * time::HOUR - 1);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Err("credential_too_young"));
    drop(signer);
    let mut signer = exchange.signer();
    exchange.wait(1);
    assert_eq!(exchange.pay_by(&mut signer, &key, 3 * BTC), Ok(()), "more than the unvouched bucket holds");
}

#[test]
fn the_ageing_that_is_pinned_holds_and_is_never_shorter_than_72_hours() {
    let exchange = Exchange::with(|pins| pins.replace("ageing = \"72h\"", "ageing = \"7d\""));
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Err("credential_too_young"));
    exchange.wait(4 * time::DAY);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Ok(()));
}

#[test]
fn the_same_enrolment_again_is_answered_the_same_and_does_not_age_anew() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    let first = exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    exchange.wait(time::HOUR);
    let again = exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    assert_eq!((again.seen, again.counts_from, again.repeated), (first.seen, first.counts_from, true));
}

#[test]
fn an_account_that_ever_had_a_credential_that_counted_gets_no_other_first_one() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    let other = Key::passkey(2);
    let enrol = |signer: &mut Signer| code(exchange.enrol(signer, "ac_1", &other, Basis::First)).map(drop);
    assert_eq!(enrol(&mut signer), Err("account_has_credentials"), "it will count");
    exchange.wait(72 * time::HOUR);
    signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    exchange.wait(365 * time::DAY);
    assert_eq!(enrol(&mut signer), Err("account_has_credentials"), "nor once it is removed");
}

#[test]
fn a_first_credential_that_was_removed_before_it_ever_counted_keeps_nobody_out() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (stranger, owner) = (Key::passkey(1), Key::passkey(2));
    exchange.enrol(&mut signer, "ac_1", &stranger, Basis::First).unwrap();
    exchange.wait(72 * time::HOUR - 1);
    signer.remove(&exchange.seal_removal("ac_1", &stranger)).unwrap();
    drop(signer);
    let mut signer = exchange.signer();
    exchange.wait(time::DAY);
    let enrolled = exchange.enrol(&mut signer, "ac_1", &owner, Basis::First).unwrap();
    // It ages from now on: the time of the one before it is not its own.
    assert_eq!(enrolled.counts_from, exchange.now().plus(72 * time::HOUR));
    assert_eq!(exchange.pay_by(&mut signer, &owner, BTC), Err("credential_too_young"));
    assert_eq!(
        code(exchange.enrol(&mut signer, "ac_1", &stranger, Basis::First)),
        Err("credential_removed"),
        "what was removed never comes back"
    );
    assert_eq!(
        code(exchange.enrol(&mut signer, "ac_1", &Key::passkey(3), Basis::First)),
        Err("account_has_credentials")
    );
    exchange.wait(72 * time::HOUR);
    assert_eq!(exchange.pay_by(&mut signer, &owner, 3 * BTC), Ok(()));
    assert_eq!(exchange.pay_by(&mut signer, &stranger, BTC), Err("credential_removed"));
}

#[test]
fn first_credentials_in_place_of_removed_ones_stand_in_the_days_count() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let most = u8::try_from(FIRSTS).unwrap();
    for number in 1..=most {
        let key = Key::passkey(number);
        exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
        signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    }
    let one_more = exchange.enrol(&mut signer, "ac_1", &Key::passkey(most + 1), Basis::First);
    assert_eq!(code(one_more), Err("enrolments_exhausted"));
}

#[test]
fn a_known_credential_id_takes_neither_another_account_nor_another_key_nor_other_marks() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    assert_eq!(code(exchange.enrol(&mut signer, "ac_2", &key, Basis::First)), Err("credential_taken"));
    let swapped = Key { id: key.id.clone(), ..Key::passkey(2) };
    for basis in [Basis::First, exchange.recovery("ac_1", &swapped, &["alice", "bob"])] {
        assert_eq!(code(exchange.enrol(&mut signer, "ac_1", &swapped, basis)), Err("credential_differs"));
    }
    let mut marked = exchange.enrolment("ac_1", &key, Basis::First);
    marked.legacy_u2f = true;
    assert_eq!(code(signer.enrol(&exchange.seal_enrolment(&marked))), Err("credential_differs"));
    assert_eq!(code(signer.remove(&exchange.seal_removal("ac_2", &key))), Err("credential_taken"));
}

#[test]
fn first_credentials_of_a_day_are_bounded_and_the_refusal_says_when_to_come_again() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let enrol = |signer: &mut Signer, number: u8| {
        let key = Key::passkey(number);
        exchange.enrol(signer, &format!("ac_{number}"), &key, Basis::First)
    };
    for number in 1..=u8::try_from(FIRSTS).unwrap() {
        enrol(&mut signer, number).unwrap();
        exchange.wait(time::HOUR);
    }
    assert_eq!(signer.status().unwrap().credentials.first_today, u64::from(FIRSTS));
    let refused = enrol(&mut signer, 100).unwrap_err();
    assert_eq!(refused.code(), "enrolments_exhausted");
    let again = START.plus(time::DAY);
    assert!(refused.to_string().contains(&format!("come again at {again}")), "{refused}");
    // Known ones are answered, other bases are not bounded, and removing one makes no room.
    assert!(enrol(&mut signer, 1).unwrap().repeated);
    let recovered = Key::passkey(50);
    let basis = exchange.recovery("ac_50", &recovered, &["alice", "bob"]);
    exchange.enrol(&mut signer, "ac_50", &recovered, basis).unwrap();
    signer.remove(&exchange.seal_removal("ac_1", &Key::passkey(1))).unwrap();
    assert_eq!(code(enrol(&mut signer, 100)), Err("enrolments_exhausted"));
    exchange.set_clock(again.minus(1));
    assert_eq!(code(enrol(&mut signer, 100)), Err("enrolments_exhausted"));
    exchange.set_clock(again);
    enrol(&mut signer, 100).unwrap();
    assert_eq!(code(enrol(&mut signer, 101)), Err("enrolments_exhausted"), "one went, one came");
}

#[test]
fn a_key_that_counts_brings_in_another_at_once() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (old, new) = (Key::passkey(1), Key::passkey(2));
    exchange.aged(&mut signer, &old);
    let basis = exchange.rotation("ac_1", &new, &old);
    let enrolled = exchange.enrol(&mut signer, "ac_1", &new, basis).unwrap();
    assert_eq!(enrolled.counts_from, exchange.now());
    assert_eq!(exchange.pay_by(&mut signer, &new, 3 * BTC), Ok(()));
    let known = signer.credentials(&"ac_1".parse().unwrap()).unwrap();
    let seen: Vec<_> =
        known.iter().map(|status| (status.credential.origin, status.credential.lineage.clone())).collect();
    assert_eq!(seen, [(Origin::First, old.id.clone()), (Origin::Rotation, old.id.clone())]);
}

#[test]
fn a_rotation_is_exactly_what_the_old_key_approved() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (old, new, thief) = (Key::passkey(1), Key::passkey(2), Key::passkey(3));
    exchange.aged(&mut signer, &old);
    exchange.enrol(&mut signer, "ac_2", &Key::passkey(9), Basis::First).unwrap();
    let text = exchange.change("ac_1", &new).to_string();
    let by = old.assert(&text);
    let mut enrol = |account: &str, key: &Key, text: &str| {
        let basis = Basis::Rotation { text: text.to_owned(), by: by.clone() };
        code(exchange.enrol(&mut signer, account, key, basis)).map(drop)
    };
    assert_eq!(enrol("ac_1", &thief, &text), Err("change_differs"), "another credential");
    let same_id = Key { id: new.id.clone(), ..Key::passkey(3) };
    assert_eq!(enrol("ac_1", &same_id, &text), Err("change_differs"), "another key");
    assert_eq!(enrol("ac_2", &new, &text), Err("change_differs"), "another account");
    let rewritten = exchange.change("ac_1", &thief).to_string();
    assert_eq!(enrol("ac_1", &thief, &rewritten), Err("assertion_invalid"), "another text");
    let mut other = exchange.change("ac_1", &new);
    other.change = "remove_credential".parse().unwrap();
    assert_eq!(enrol("ac_1", &new, &other.to_string()), Err("change_differs"));
    other = exchange.change("ac_1", &new);
    other.exchange = "pier.example".parse().unwrap();
    assert_eq!(enrol("ac_1", &new, &other.to_string()), Err("change_differs"));
    assert_eq!(enrol("ac_1", &new, text.trim_end()), Err("text_unterminated"));
    assert_eq!(enrol("ac_1", &new, &text), Ok(()));
}

#[test]
fn a_rotation_waits_for_the_old_key_to_count_and_not_for_ever() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (old, new) = (Key::passkey(1), Key::passkey(2));
    exchange.enrol(&mut signer, "ac_1", &old, Basis::First).unwrap();
    // Approved on the first day, as customers do who enrol two keys.
    let basis = exchange.rotation("ac_1", &new, &old);
    let enrol = |signer: &mut Signer, key: &Key, basis: &Basis| {
        code(exchange.enrol(signer, "ac_1", key, basis.clone())).map(drop)
    };
    assert_eq!(enrol(&mut signer, &new, &basis), Err("credential_too_young"));
    exchange.wait(72 * time::HOUR);
    assert_eq!(enrol(&mut signer, &new, &basis), Ok(()));
    let third = Key::passkey(3);
    let late = exchange.rotation("ac_1", &third, &old);
    exchange.wait(time::HOUR + 7 * time::DAY + time::SECOND);
    assert_eq!(enrol(&mut signer, &third, &late), Err("change_expired"));
    let stranger = exchange.rotation("ac_1", &third, &Key::passkey(77));
    assert_eq!(enrol(&mut signer, &third, &stranger), Err("credential_unknown"));
    signer.remove(&exchange.seal_removal("ac_1", &old)).unwrap();
    let removed = exchange.rotation("ac_1", &third, &old);
    assert_eq!(enrol(&mut signer, &third, &removed), Err("credential_removed"));
}

#[test]
fn a_key_of_another_account_brings_in_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (mine, theirs, new) = (Key::passkey(1), Key::passkey(2), Key::passkey(3));
    exchange.enrol(&mut signer, "ac_2", &theirs, Basis::First).unwrap();
    exchange.aged(&mut signer, &mine);
    let basis = exchange.rotation("ac_1", &new, &theirs);
    assert_eq!(code(exchange.enrol(&mut signer, "ac_1", &new, basis)), Err("credential_unknown"));
}

#[test]
fn operators_recover_an_account_together_once_and_the_new_key_ages() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (lost, new, third) = (Key::passkey(1), Key::passkey(2), Key::passkey(3));
    exchange.aged(&mut signer, &lost);
    let enrol = |signer: &mut Signer, account: &str, key: &Key, basis: &Basis| {
        code(exchange.enrol(signer, account, key, basis.clone())).map(drop)
    };
    let alone = exchange.recovery("ac_1", &new, &["alice"]);
    assert_eq!(enrol(&mut signer, "ac_1", &new, &alone), Err("signatures_missing"));
    let both = exchange.recovery("ac_1", &new, &["alice", "carol"]);
    assert_eq!(enrol(&mut signer, "ac_2", &new, &both), Err("recovery_differs"));
    assert_eq!(enrol(&mut signer, "ac_1", &third, &both), Err("recovery_differs"));
    let other = Basis::Recovery { act: exchange.act("add_credential", "ac_1", "-", &["alice", "bob"]) };
    assert_eq!(enrol(&mut signer, "ac_1", &new, &other), Err("recovery_differs"));
    assert_eq!(enrol(&mut signer, "ac_1", &new, &both), Ok(()));
    assert_eq!(exchange.pay_by(&mut signer, &new, BTC), Err("credential_too_young"));
    exchange.wait(72 * time::HOUR);
    assert_eq!(exchange.pay_by(&mut signer, &new, 3 * BTC), Ok(()));
    // The same operators' text under a nonce that was used: only by forging can its credential be another one.
    let late = exchange.recovery("ac_1", &third, &["alice", "bob"]);
    exchange.wait(8 * time::DAY + time::SECOND);
    assert_eq!(enrol(&mut signer, "ac_1", &third, &late), Err("act_not_now"));
}

#[test]
fn an_act_of_recovery_counts_once() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    let basis = exchange.recovery("ac_1", &key, &["alice", "bob"]);
    exchange.enrol(&mut signer, "ac_1", &key, basis.clone()).unwrap();
    drop(signer);
    // Were the credential forgotten, its text would still be used.
    let db = Connection::open(exchange.store_path()).unwrap();
    db.execute("delete from credentials", []).unwrap();
    db.close().unwrap();
    let mut signer = exchange.signer();
    assert_eq!(code(exchange.enrol(&mut signer, "ac_1", &key, basis)), Err("act_used"));
}

#[test]
fn a_removed_credential_never_counts_again_and_one_removed_before_it_came_never_does() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (key, late) = (Key::passkey(1), Key::passkey(2));
    exchange.aged(&mut signer, &key);
    signer.halt().unwrap();
    signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    signer.remove(&exchange.seal_removal("ac_1", &key)).unwrap();
    let refused = code(exchange.enrol(&mut signer, "ac_7", &Key::passkey(7), Basis::First));
    assert_eq!(refused, Err("halted"), "what loosens waits");
    signer.act(&exchange.act("resume_signer", "signer:harbor-hot", "-", &["alice", "bob"])).unwrap();
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Err("credential_removed"));
    assert_eq!(code(exchange.enrol(&mut signer, "ac_1", &key, Basis::First)), Err("credential_removed"));
    signer.remove(&exchange.seal_removal("ac_2", &late)).unwrap();
    assert_eq!(code(exchange.enrol(&mut signer, "ac_2", &late, Basis::First)), Err("credential_removed"));
    // That it was removed does not stand in the way of another first one.
    exchange.enrol(&mut signer, "ac_2", &Key::passkey(3), Basis::First).unwrap();
    let counts = signer.status().unwrap().credentials;
    assert_eq!((counts.seen, counts.removed), (2, 1));
}

#[test]
fn a_master_key_approves_no_payment_is_no_first_and_brings_in_masters_alone() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (key, master, third) = (Key::passkey(1), Key::passkey(2), Key::passkey(3));
    let enrol = |signer: &mut Signer, key: &Key, basis: Basis, master: bool| {
        let mut enrolment = exchange.enrolment("ac_1", key, basis);
        enrolment.master = master;
        code(signer.enrol(&exchange.seal_enrolment(&enrolment))).map(drop)
    };
    assert_eq!(enrol(&mut signer, &master, Basis::First, true), Err("credential_master"));
    exchange.aged(&mut signer, &key);
    let basis = exchange.rotation("ac_1", &master, &key);
    assert_eq!(enrol(&mut signer, &master, basis, true), Ok(()));
    assert_eq!(exchange.pay_by(&mut signer, &master, 5_000), Err("credential_master"));
    let basis = exchange.rotation("ac_1", &third, &master);
    assert_eq!(enrol(&mut signer, &third, basis.clone(), false), Err("credential_master"));
    assert_eq!(enrol(&mut signer, &third, basis, true), Ok(()));
}

#[test]
fn only_a_pinned_release_key_enrols_and_only_for_this_exchange() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    let enrolment = exchange.enrolment("ac_1", &key, Basis::First);
    let other = release::SigningKey::from_seed(&[2; 32]);
    let sealed = release::seal(Kind::Enrolment, &enrolment.to_bytes(), &other);
    assert_eq!(code(signer.enrol(&sealed)), Err("enrolment_key_unknown"));
    let sealed = release::seal(Kind::Removal, &enrolment.to_bytes(), &exchange.release_key);
    assert_eq!(code(signer.enrol(&sealed)), Err("enrolment_signature"));
    let sealed = release::seal(Kind::Enrolment, b"\xa0", &exchange.release_key);
    assert_eq!(code(signer.enrol(&sealed)), Err("enrolment_malformed"));
    let mut elsewhere = enrolment.clone();
    elsewhere.exchange = "pier.example".parse().unwrap();
    assert_eq!(code(signer.enrol(&exchange.seal_enrolment(&elsewhere))), Err("exchange_differs"));
    let mut odd = enrolment.clone();
    odd.public_key.push(0);
    assert_eq!(code(signer.enrol(&exchange.seal_enrolment(&odd))), Err("credential_key_invalid"));
    let without = Exchange::with(without_approvals);
    let sealed = without.seal_enrolment(&enrolment);
    assert_eq!(code(without.signer().enrol(&sealed)), Err("approvals_not_pinned"));
}

pub(crate) fn without_approvals(pins: String) -> String {
    let (before, rest) = pins.split_once("[approval]").unwrap();
    let (_, after) = rest.split_once("[[wallets]]").unwrap();
    let after: String = after
        .lines()
        .filter(|line| !line.starts_with("credential_cap"))
        .map(|line| format!("{line}\n"))
        .collect();
    format!("{before}[[wallets]]{after}")
}

#[test]
fn a_clock_behind_enrols_nothing_and_one_that_was_ahead_makes_nothing_older() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    exchange.set_clock(START.plus(time::HOUR));
    exchange.enrol(&mut signer, "ac_2", &Key::passkey(2), Basis::First).unwrap();
    exchange.set_clock(START);
    let key = Key::passkey(1);
    assert_eq!(code(exchange.enrol(&mut signer, "ac_1", &key, Basis::First)), Err("clock_behind"));
    // A clock that is a year ahead, set right by operators.
    exchange.set_clock(START.plus(365 * time::DAY));
    exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    exchange.set_clock(START);
    let store: String = signer.status().unwrap().store.iter().map(|byte| format!("{byte:02x}")).collect();
    let adopt = exchange.act(
        "adopt_store",
        "signer:harbor-hot",
        &format!("store={store} counter=0"),
        &["alice", "bob"],
    );
    signer.act(&adopt).unwrap();
    exchange.wait(72 * time::HOUR - 1);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Err("credential_too_young"));
    exchange.wait(1);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Ok(()));
}

#[test]
fn a_simulated_signer_goes_by_the_time_that_enrolments_and_releases_say() {
    let exchange = Exchange::with(|pins| pins.replace("simulated_clock = false", "simulated_clock = true"));
    let mut signer = exchange.signer();
    let key = Key::passkey(1);
    let enrolled = exchange.enrol(&mut signer, "ac_1", &key, Basis::First).unwrap();
    assert_eq!(enrolled.counts_from, START.plus(72 * time::HOUR));
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Err("credential_too_young"));
    exchange.wait(72 * time::HOUR);
    assert_eq!(exchange.pay_by(&mut signer, &key, BTC), Ok(()));
}

#[test]
fn a_store_from_before_credentials_were_kept_is_brought_up_to_date_when_it_is_opened() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let (_, psbt, release) = exchange.payment(BTC);
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    drop(signer);
    let db = Connection::open(exchange.store_path()).unwrap();
    for table in ["credentials", "removals", "assertions", "vouched", "mandates", "mandate_sums", "requests"]
    {
        db.execute_batch(&format!("drop table {table}")).unwrap();
    }
    db.execute_batch("drop table policy; drop table policy_path; drop table policy_links").unwrap();
    db.execute_batch("pragma user_version = 1; update signer set schema = 1").unwrap();
    db.close().unwrap();
    let mut signer = exchange.signer();
    assert!(exchange.ask(&mut signer, &release, &psbt).unwrap().repeated, "it has forgotten nothing");
    let key = Key::passkey(1);
    exchange.aged(&mut signer, &key);
    assert_eq!(exchange.pay_by(&mut signer, &key, 3 * BTC), Ok(()));
    drop(signer);
    let status = exchange.signer().status().unwrap();
    assert_eq!((status.counter, status.credentials.seen), (2, 1));
    // One from a later version is refused.
    let db = Connection::open(exchange.store_path()).unwrap();
    db.execute_batch("pragma user_version = 4").unwrap();
    db.close().unwrap();
    assert_eq!(exchange.open().unwrap_err().code(), "store_schema");
}

#[test]
fn pinned_approvals_with_anything_odd_are_refused_and_the_place_is_named() {
    let exchange = Exchange::new();
    let good = fs::read_to_string(exchange.pins_path()).unwrap();
    let table = [
        ("ageing = \"72h\"", "ageing = \"71h\"", "approval.ageing: write 72h to 90d"),
        ("ageing = \"72h\"", "ageing = \"91d\"", "approval.ageing: "),
        ("ageing = \"72h\"", "ageing = \"072h\"", "approval.ageing: "),
        ("\"optional\"", "\"maybe\"", "approval.user_verification: write required or optional"),
        ("rp_id = \"approve.harbor.example\"", "rp_id = \"Approve\"", "approval.rp_id: "),
        ("[\"https://approve.harbor.example\"]", "[]", "approval.origins: "),
        ("\"https://approve.harbor.example\"", "\"https://harbor.example\"", "approval.origins[0]: "),
        (
            "\"https://approve.harbor.example\"",
            "\"https://evilapprove.harbor.example\"",
            "approval.origins[0]: ",
        ),
        ("\"https://approve.harbor.example\"", "\"http://approve.harbor.example\"", "approval.origins[0]: "),
        (
            "\"https://approve.harbor.example\"",
            "\"https://approve.harbor.example/\"",
            "approval.origins[0]: ",
        ),
        (
            "\"https://approve.harbor.example\"",
            "\"https://approve.harbor.example:443\"",
            "approval.origins[0]: ",
        ),
        ("app_id = \"https://", "app_id = \"ftp://", "approval.app_id: "),
        ("enrolments_per_day = 5", "enrolments_per_day = 1000001", "approval.enrolments_per_day: "),
        ("enrolments_per_day = 5\n", "", "missing field `enrolments_per_day`"),
        ("credential_cap = \"4\"\n", "", "assets[0].credential_cap: write the most"),
        ("credential_cap = \"4\"", "credential_cap = \"0.000000001\"", "assets[0].credential_cap: "),
    ];
    for (from, to, expected) in table {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let said = holdfast_signer::Pins::parse(&text, std::path::Path::new("signer.toml")).unwrap_err();
        assert!(said.to_string().contains(expected), "{from} -> {to}: {said}");
    }
    let caps_alone =
        without_approvals(good.clone()).replacen("decimals = 8", "decimals = 8\ncredential_cap = \"4\"", 1);
    let said = holdfast_signer::Pins::parse(&caps_alone, std::path::Path::new("signer.toml")).unwrap_err();
    assert!(said.to_string().contains("assets[0].credential_cap: means something only"), "{said}");
    let ports = good.replace(
        "[\"https://approve.harbor.example\"]",
        "[\"https://approve.harbor.example:8443\", \"https://eu.approve.harbor.example\"]",
    );
    holdfast_signer::Pins::parse(&ports, std::path::Path::new("signer.toml")).unwrap();
}
