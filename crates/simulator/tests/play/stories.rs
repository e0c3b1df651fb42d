//! A story for each rule of the exchange.

use holdfast_policy::Factor;
use holdfast_simulator::exchange::{Buckets, Exchange, SignerBuckets};
use holdfast_simulator::format::Body;
use holdfast_simulator::log::What;
use holdfast_simulator::play::{Answer, Seen};
use holdfast_values::time;

use crate::house::{Town, exchange, pack, permit_all};

const PENDING: Seen = Seen::Pending { wants: None };
const WANTS_KEY: Seen = Seen::Pending { wants: Some(Factor::Passkey) };

#[test]
fn a_small_withdrawal_dwells_a_minute_and_is_sent_with_the_next_batch() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    town.customer("ac_1", false);
    town.wait(40 * time::DAY);
    assert_eq!(town.withdraw("w", "ac_1", "0.01", "shop"), Answer::Withdrawal(PENDING));
    let asked = town.now;
    town.wait(5 * time::MINUTE);
    assert_eq!(town.story("w"), ["dwelling unvouched", "approved unvouched", "left unvouched"]);
    assert_eq!(town.seen("w"), Some(Seen::Sent));
    let left = town.when(|what| matches!(what, What::Left { .. })).unwrap();
    assert!((time::MINUTE..=2 * time::MINUTE).contains(&left.since(asked)), "{left}");
    town.wait(2 * time::HOUR);
    assert_eq!(town.play.state().withdrawals().count(), 0, "its blocks close it");
    assert_eq!(town.seen("w"), Some(Seen::Sent));
}

#[test]
fn an_address_that_its_owner_was_told_of_a_day_ago_is_aged_and_paid_at_once() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    town.customer("ac_1", false);
    town.withdraw("w1", "ac_1", "0.01", "cold storage");
    town.wait(2 * time::DAY);
    assert_eq!(town.withdraw("w2", "ac_1", "5", "cold storage"), Answer::Withdrawal(PENDING));
    town.wait(time::MINUTE);
    assert_eq!(town.story("w2"), ["approved aged", "left unvouched"], "an age is no word for the signer");
}

#[test]
fn a_step_up_is_approved_by_a_customer_with_a_key_within_minutes_and_spends_the_vouched_bucket() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    town.customer("ac_1", true);
    town.wait(4 * time::DAY);
    assert_eq!(town.withdraw("w", "ac_1", "3", "new"), Answer::Withdrawal(WANTS_KEY));
    town.wait(time::HOUR);
    assert_eq!(town.story("w"), ["awaiting_approval unvouched", "approved bound", "left vouched"]);
}

#[test]
fn a_step_up_without_a_key_is_cancelled_after_a_day_or_expires() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    for nth in 0..20 {
        let account = format!("ac_{nth}");
        town.customer(&account, false);
    }
    town.wait(2 * time::DAY);
    for nth in 0..20 {
        let asked = town.withdraw(&format!("w{nth}"), &format!("ac_{nth}"), "10", &format!("new {nth}"));
        assert_eq!(asked, Answer::Withdrawal(WANTS_KEY));
    }
    town.wait(30 * time::DAY);
    let ends: Vec<String> = (0..20).map(|nth| town.story(&format!("w{nth}")).pop().unwrap()).collect();
    let count = |end: &str| ends.iter().filter(|other| *other == end).count();
    assert_eq!(count("closed cancelled") + count("closed expired"), 20, "{ends:?}");
    assert!(count("closed cancelled") > count("closed expired") && count("closed expired") > 0, "{ends:?}");
}

#[test]
fn a_held_withdrawal_of_a_customer_is_let_go_by_two_operators_when_the_analyst_has_looked() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    town.customer("ac_1", false);
    town.wait(2 * time::DAY);
    let kind = holdfast_simulator::format::SecurityKind::Password;
    town.say(Body::SecurityChange { account: "ac_1".into(), kind });
    assert_eq!(town.withdraw("w", "ac_1", "0.5", "new"), Answer::Withdrawal(Seen::UnderReview));
    let asked = town.now;
    town.wait(12 * time::HOUR);
    let story = town.story("w");
    assert_eq!(story[..3], ["held unvouched", "alarm held", "staff approve"], "{story:?}");
    assert_eq!(story.last().unwrap(), "left vouched", "operators signed it: {story:?}");
    let looked = town.when(|what| matches!(what, What::Staff { .. })).unwrap();
    assert!((5 * time::MINUTE..4 * time::HOUR).contains(&looked.since(asked)), "{looked}");
    assert!(town.when(|what| matches!(what, What::Staff { did, .. } if &**did == "halt")).is_none());
}

#[test]
fn a_right_verdict_halts_denies_freezes_and_resumes_after_six_hours() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    for account in ["ac_victim", "ac_other", "ac_bystander"] {
        town.customer(account, false);
    }
    town.wait(2 * time::DAY);
    let kind = holdfast_simulator::format::SecurityKind::Password;
    town.say(Body::SecurityChange { account: "ac_victim".into(), kind });
    for (id, account) in [("x1", "ac_victim"), ("x2", "ac_other")] {
        town.play.mark_attacker_account(account);
        town.play.mark_attacker_event(id);
    }
    assert_eq!(town.withdraw("x1", "ac_victim", "0.5", "thief"), Answer::Withdrawal(Seen::UnderReview));
    while town.when(|what| matches!(what, What::Staff { did, .. } if &**did == "deny")).is_none() {
        town.wait(time::MINUTE);
    }
    let denied = town.now;
    // Both are on their way when the halt comes.
    town.wait(5 * time::MINUTE);
    assert_eq!(town.withdraw("x2", "ac_other", "0.5", "thief"), Answer::Withdrawal(PENDING));
    assert_eq!(town.withdraw("w", "ac_bystander", "0.5", "mine"), Answer::Withdrawal(PENDING));
    town.wait(10 * time::MINUTE);
    let halted = town.when(|what| matches!(what, What::Staff { did, .. } if &**did == "halt")).unwrap();
    assert!(halted.since(denied) <= 10 * time::MINUTE, "{halted}");
    assert_eq!(town.seen("x1"), Some(Seen::Refused));
    assert_eq!(town.seen("x2"), Some(Seen::Refused));
    assert_eq!(town.seen("w"), Some(PENDING), "it waits for the end of the halt");
    let frozen = |account: &str| town.play.state().account(&account.parse().unwrap()).unwrap().is_frozen;
    assert!(frozen("ac_victim") && frozen("ac_other") && !frozen("ac_bystander"));
    assert_eq!(town.play.state().halts().count(), 1);
    town.wait(7 * time::HOUR);
    assert_eq!(town.play.state().halts().count(), 0, "resumed");
    assert_eq!(town.seen("w"), Some(Seen::Sent));
    assert_eq!(town.withdraw("x3", "ac_victim", "0.01", "thief"), Answer::Withdrawal(Seen::Refused));
}

#[test]
fn an_analyst_who_is_always_wrong_lets_the_attacker_go_and_denies_the_customer() {
    let mut town = Town::new(&Exchange { analyst_error_permille: 1_000, ..exchange() }, pack("baseline"));
    for account in ["ac_victim", "ac_customer"] {
        town.customer(account, false);
    }
    town.wait(2 * time::DAY);
    for account in ["ac_victim", "ac_customer"] {
        let kind = holdfast_simulator::format::SecurityKind::Password;
        town.say(Body::SecurityChange { account: account.into(), kind });
    }
    town.play.mark_attacker_event("x");
    town.withdraw("x", "ac_victim", "0.5", "thief");
    town.withdraw("w", "ac_customer", "0.5", "mine");
    town.wait(6 * time::HOUR);
    assert_eq!(town.seen("x"), Some(Seen::Sent));
    assert_eq!(town.seen("w"), Some(Seen::Refused));
    let halted = |town: &Town| town.when(|what| matches!(what, What::Staff { did, .. } if &**did == "halt"));
    assert!(halted(&town).is_none());
    town.wait(10 * time::DAY);
    assert!(
        town.when(|what| matches!(what, What::Alarm { kind, .. } if &**kind == "complaint")).is_some(),
        "its owner writes"
    );
    assert!(halted(&town).is_some(), "and that is heard");
}

#[test]
fn analysts_look_at_as_many_cases_an_hour_as_the_exchange_says() {
    let mut town = Town::new(&Exchange { analyst_cases_an_hour: 2, ..exchange() }, pack("baseline"));
    for nth in 0..20 {
        town.customer(&format!("ac_{nth}"), false);
    }
    town.wait(2 * time::DAY);
    for nth in 0..20 {
        let kind = holdfast_simulator::format::SecurityKind::Password;
        town.say(Body::SecurityChange { account: format!("ac_{nth}").into(), kind });
        town.withdraw(&format!("w{nth}"), &format!("ac_{nth}"), "0.2", "new");
    }
    town.wait(5 * time::HOUR);
    let looked = |town: &Town| {
        let staff = town.lines.iter().filter(|line| matches!(line.what, What::Staff { .. }));
        staff.count()
    };
    assert!((5..=11).contains(&looked(&town)), "{}", looked(&town));
    town.wait(10 * time::HOUR);
    assert!(looked(&town) > 15);
}

#[test]
fn an_owner_who_notices_freezes_the_account_and_what_waits_becomes_a_case() {
    let mut town = Town::new(&Exchange { owners_who_notice_permille: 1_000, ..exchange() }, pack("baseline"));
    town.customer("ac_1", false);
    town.wait(2 * time::DAY);
    town.play.mark_attacker_account("ac_1");
    town.play.mark_attacker_event("x");
    assert_eq!(town.withdraw("x", "ac_1", "10", "thief"), Answer::Withdrawal(WANTS_KEY));
    town.wait(2 * time::DAY);
    let story = town.story("x");
    assert!(story.contains(&"held unvouched".to_owned()), "frozen: {story:?}");
    assert_eq!(story.last().unwrap(), "closed denied", "{story:?}");
    assert!(town.when(|what| matches!(what, What::Alarm { kind, .. } if &**kind == "owner")).is_some());
    assert!(town.when(|what| matches!(what, What::Staff { did, .. } if &**did == "halt")).is_some());
}

#[test]
fn nobody_notices_at_a_mules_account() {
    let mut town = Town::new(&Exchange { owners_who_notice_permille: 1_000, ..exchange() }, pack("baseline"));
    town.customer("ac_mule", false);
    town.wait(2 * time::DAY);
    town.play.mark_mule("ac_mule");
    town.play.mark_attacker_event("x");
    town.withdraw("x", "ac_mule", "0.1", "thief");
    town.wait(20 * time::DAY);
    assert_eq!(town.story("x").last().unwrap(), "left unvouched");
    assert!(town.when(|what| matches!(what, What::Alarm { .. })).is_none());
}

#[test]
fn a_spent_bucket_queues_and_time_refills_it() {
    let small = Exchange {
        bucket_permille: Buckets { unvouched: 1, aged: 30, bound: 200 },
        signer_permille: SignerBuckets { unvouched: 40, vouched: 200, credential: 4 },
        ..exchange()
    };
    // 7.074 BTC, of which 0.3537 are the most for one account and 30 % are kept for small ones.
    let mut town = Town::new(&small, permit_all());
    for nth in 0..20 {
        town.customer(&format!("ac_{nth}"), false);
    }
    town.wait(time::MINUTE);
    for nth in 0..20 {
        town.withdraw(&format!("w{nth}"), &format!("ac_{nth}"), "0.35", "new");
    }
    let queued = (0..20).filter(|nth| town.story(&format!("w{nth}"))[0] == "dwelling unvouched").count();
    assert_eq!(queued, 6, "14 fit above what is kept for small ones");
    town.wait(2 * time::HOUR);
    for nth in 0..20 {
        assert_eq!(
            town.seen(&format!("w{nth}")),
            Some(Seen::Sent),
            "w{nth}: {:?}",
            town.story(&format!("w{nth}"))
        );
    }
}

#[test]
fn the_signers_bucket_refuses_what_holdfast_lets_through_and_pays_it_later() {
    let signer_permille = SignerBuckets { unvouched: 1, vouched: 200, credential: 4 };
    let tight = Exchange { signer_permille, ..exchange() };
    let mut town = Town::new(&tight, permit_all());
    for nth in 0..4 {
        town.customer(&format!("ac_{nth}"), false);
    }
    town.wait(time::MINUTE);
    for nth in 0..4 {
        town.withdraw(&format!("w{nth}"), &format!("ac_{nth}"), "3", "new");
    }
    town.wait(2 * time::MINUTE);
    let left = |town: &Town| (0..4).filter(|nth| town.seen(&format!("w{nth}")) == Some(Seen::Sent)).count();
    assert_eq!(left(&town), 2, "7.074 BTC hold two of 3");
    let refused =
        (0..4).filter(|nth| town.story(&format!("w{nth}")).contains(&"signer bucket_empty".to_owned()));
    assert_eq!(refused.count(), 2);
    town.wait(time::HOUR);
    assert_eq!(left(&town), 4, "an hour refills 7.074 BTC");
}

#[test]
fn beyond_its_cap_a_credential_vouches_no_more_and_the_unvouched_bucket_pays_until_30_days_have_passed() {
    // 14.148 BTC for each credential in 30 days, and as much an hour for what nobody vouches for.
    let signer_permille = SignerBuckets { unvouched: 2, vouched: 200, credential: 2 };
    let mut town = Town::new(&Exchange { signer_permille, ..exchange() }, pack("baseline"));
    for account in ["ac_1", "ac_2"] {
        town.customer(account, true);
    }
    town.wait(4 * time::DAY);
    for (id, account, btc) in [("a", "ac_1", "7"), ("b", "ac_1", "7"), ("c", "ac_1", "7"), ("d", "ac_2", "7")]
    {
        town.withdraw(id, account, btc, &format!("to {id}"));
        town.wait(2 * time::DAY);
    }
    let last = |town: &Town, id: &str| town.story(id).last().cloned().unwrap();
    assert_eq!(
        ["a", "b", "c", "d"].map(|id| last(&town, id)),
        ["left vouched", "left vouched", "left unvouched", "left vouched"]
    );
    town.withdraw("e", "ac_1", "14.2", "to e");
    town.wait(time::DAY);
    assert_eq!(town.story("e").last().unwrap(), "alarm signer_refused", "more than either holds");
    assert!(town.story("e").contains(&"signer credential_cap".to_owned()));
    town.wait(30 * time::DAY);
    town.withdraw("f", "ac_1", "7", "to f");
    town.wait(time::DAY);
    assert_eq!(last(&town, "f"), "left vouched");
}

#[test]
fn what_a_customer_takes_back_does_not_leave() {
    let mut town = Town::new(&exchange(), pack("baseline"));
    town.customer("ac_1", false);
    town.wait(2 * time::DAY);
    town.withdraw("w", "ac_1", "1", "new");
    let cancel = Body::CancelWithdrawal { account: "ac_1".into(), withdrawal: "w".into() };
    assert_eq!(town.say(cancel.clone()), Answer::Withdrawal(Seen::Cancelled));
    assert_eq!(town.say(cancel), Answer::Refused { code: "withdrawal_unknown".into() });
    town.wait(time::DAY);
    assert_eq!(town.story("w"), ["dwelling unvouched", "closed cancelled"]);
}
