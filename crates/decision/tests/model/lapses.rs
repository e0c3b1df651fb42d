//! Texts past their time: they go back to their owner, with their reservation and without any word.

use holdfast_decision::command::Command;
use holdfast_decision::event::{CodeProof, Event};
use holdfast_decision::protection::CodePurpose;
use holdfast_decision::{Class, LAPSES_MAX, Refusal, Status, Withdrawal};
use holdfast_values::{WithdrawalId, time};

use crate::approvals::{exchange, exchange_by_rules, refusal, sure};
use crate::owner::{approval, approves, shows};
use crate::play::Run;
use crate::world::{account, permit_all, request, usual_prices};

use crate::protection::BTC;

fn asks(run: &mut Run, number: u64) -> WithdrawalId {
    let made = request(run.now, number, 0, BTC, 1_000_000, 7);
    let id = made.withdrawal;
    sure(run, Command::RequestWithdrawal(Box::new(made)));
    id
}

fn open(run: &Run, id: WithdrawalId) -> &Withdrawal {
    run.state.withdrawal(id).unwrap()
}

fn renews(run: &mut Run, id: WithdrawalId) -> Vec<Event> {
    let nonce = [run.state.sequence() as u8; 32];
    run.say(Command::RenewIntent { account: account(0), withdrawal: id, nonce })
}

/// What is left of the overall unvouched bucket, in cents.
fn left(run: &Run) -> u128 {
    run.state.overall_buckets().of(Class::Unvouched).available(run.state.refill_time(run.now)).base_units()
}

#[test]
fn a_text_that_lapses_goes_back_to_its_owner_with_its_reservation_and_without_any_word() {
    let mut run = exchange(permit_all());
    let id = asks(&mut run, 1);
    let text = run.state.text_of(id).unwrap();
    assert_eq!(refusal(&renews(&mut run, id)), Some(Refusal::TextNotLapsed));
    run.wait(3 * time::DAY);
    let lapsed = open(&run, id);
    assert_eq!((lapsed.status(), lapsed.reserved), (Status::AwaitingApproval, Some(Class::Unvouched)));
    assert!(lapsed.is_lapsed() && lapsed.bound.is_none() && lapsed.operators == 0);
    let digest = holdfast_decision::acts::Digest(text.digest().0);
    assert_eq!(refusal(&run.say(approves(0, id, approval(1, digest, 0)))), Some(Refusal::TextLapsed));
    let code = CodeProof::OneTime { revision: 1, step: 1 };
    let shown = run.say(shows(0, CodePurpose::Withdrawal(id), code, None));
    assert_eq!(refusal(&shown), Some(Refusal::TextLapsed));
    let stranger = Command::RenewIntent { account: account(1), withdrawal: id, nonce: [1; 32] };
    assert_eq!(refusal(&run.say(stranger)), Some(Refusal::WithdrawalForeign));
    run.say(usual_prices());
    let events = renews(&mut run, id);
    assert!(
        matches!(events[..], [Event::IntentRenewed { .. }, Event::WithdrawalDecided { .. }]),
        "{events:?}"
    );
    assert_eq!(open(&run, id).status(), Status::Approved, "it held its place all the time");
    let renewed = run.state.text_of(id).unwrap();
    assert!(renewed.nonce != text.nonce && renewed.not_after > text.not_after);
}

#[test]
fn a_lapsed_reservation_comes_back_once_when_it_expires() {
    let mut run = exchange(permit_all());
    let before = left(&run);
    let id = asks(&mut run, 1);
    assert_eq!(before - left(&run), 50_000);
    run.wait(3 * time::DAY);
    assert_eq!(open(&run, id).reserved, Some(Class::Unvouched), "time refills, and nothing was given back");
    let ticks = run.wait(3 * time::DAY);
    let ends = ticks.iter().flatten().filter(|event| matches!(event, Event::WithdrawalExpired { .. }));
    assert_eq!(ends.count(), 1);
    assert!(run.state.withdrawal(id).is_none());
    assert_eq!(left(&run), before);
}

#[test]
fn a_text_lapses_so_often_and_then_expires() {
    let mut run = exchange(permit_all());
    let id = asks(&mut run, 1);
    for _ in 0..LAPSES_MAX {
        run.wait(3 * time::DAY);
        run.say(usual_prices());
        assert!(open(&run, id).is_lapsed());
        assert_eq!(refusal(&renews(&mut run, id)), None);
    }
    run.wait(3 * time::DAY);
    assert!(run.state.withdrawal(id).is_none());
}

#[test]
fn by_the_first_rules_a_text_that_lapses_expires() {
    let mut run = exchange_by_rules(1, permit_all());
    let id = asks(&mut run, 1);
    run.wait(3 * time::DAY);
    assert!(run.state.withdrawal(id).is_none());
    assert_eq!(refusal(&renews(&mut run, id)), Some(Refusal::WithdrawalUnknown));
}

#[test]
fn a_code_that_came_with_the_request_is_no_word_for_the_next_text() {
    let mut run = exchange(crate::world::policy());
    let id = asks(&mut run, 1);
    run.wait(3 * time::DAY);
    run.say(usual_prices());
    renews(&mut run, id);
    // The destination is known by now, so that the policy asks no code for it: the facts say what was shown.
    let weighed = holdfast_decision::weigh::open(&run.state, run.now, id).unwrap();
    let shown = weighed.facts.get(holdfast_policy::Fact::ApprovalOneTimeCode);
    assert_eq!(shown, holdfast_policy::Value::Bool(false));
}
