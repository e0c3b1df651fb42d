//! Bound approvals and mandates: what binds a withdrawal, what does not, and for how long.

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{ApiEvidence, Command, Evidence, SecurityChange};
use holdfast_decision::event::{Change, Event};
use holdfast_decision::protection::{CredentialUse, MANDATE_USES_MAX, NewMandate};
use holdfast_decision::{Class, Refusal, Status, Withdrawal};
use holdfast_values::{Amount, Network, WithdrawalId, time};

use crate::coins::{payment, propose};
use crate::owner::{
    approval, approved, approves, asymmetric, change_text, changes, credential, mandate_text, new_credential,
    plainly, terms,
};
use crate::play::Run;
use crate::world::{account, configuration, fingerprint, name, permit_all, policy, request, usual_prices};

const BTC: (&str, Network) = ("BTC", Network::Bitcoin);
const BITCOIN: u128 = 100_000_000;

/// An exchange whose customers are of age; credentials age for 72 hours.
pub(crate) fn exchange(policy: holdfast_decision::command::PolicySource) -> Run {
    exchange_by_rules(holdfast_decision::RULES_LATEST, policy)
}

/// The same by another version of the rules.
pub(crate) fn exchange_by_rules(rules: u32, policy: holdfast_decision::command::PolicySource) -> Run {
    let mut configuration = configuration();
    configuration.parameters.credential_ageing = None;
    configuration.parameters.recovery_wait = None;
    let mut run = Run::by_rules(rules, configuration, policy);
    for number in 0..3 {
        run.say(Command::OpenAccount { account: account(number), tier: name("full") });
    }
    run
}

/// Says something that must not be refused.
pub(crate) fn sure(run: &mut Run, command: Command) -> Vec<Event> {
    let events = run.say(command);
    assert_eq!(refusal(&events), None, "{events:?}");
    events
}

pub(crate) fn refusal(events: &[Event]) -> Option<Refusal> {
    match events {
        [Event::Refused { refusal, .. }] => Some(*refusal),
        _ => None,
    }
}

/// Account 0 has a credential of this number that counts, and prices are fresh.
pub(crate) fn with_key(run: &mut Run, number: u64, used_for: CredentialUse) {
    sure(run, changes(plainly(0, Change::AddCredential(Box::new(new_credential(number, used_for))))));
    run.wait(72 * time::HOUR);
    sure(run, usual_prices());
}

/// A withdrawal of account 0 to a new place, of so many thousandths of a bitcoin.
fn asks(run: &mut Run, number: u64, thousandths: u128) -> WithdrawalId {
    let made = request(run.now, number, 0, BTC, thousandths * BITCOIN / 1_000, 500 + number);
    let id = made.withdrawal;
    sure(run, Command::RequestWithdrawal(Box::new(made)));
    id
}

fn open(run: &Run, id: WithdrawalId) -> &Withdrawal {
    run.state.withdrawal(id).unwrap()
}

fn text(run: &Run, id: WithdrawalId) -> Digest {
    Digest(run.state.text_of(id).unwrap().digest().0)
}

/// Account 0's first credential approves it.
fn approve(run: &mut Run, id: WithdrawalId) -> Vec<Event> {
    let by = approval(1, text(run, id), 0);
    sure(run, approves(0, id, by))
}

#[test]
fn a_credential_of_age_binds_the_withdrawal_whose_text_it_approves() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    run.wait(7 * time::HOUR);
    run.say(usual_prices());
    // 35,000 USD: the policy asks for a passkey.
    let id = asks(&mut run, 1, 700);
    assert_eq!(
        (open(&run, id).status(), open(&run, id).decision.class),
        (Status::AwaitingApproval, Class::Unvouched)
    );
    let events = approve(&mut run, id);
    assert!(matches!(
        events[..],
        [Event::IntentApproved { .. }, Event::Reserved { class: Class::Bound, .. }, _]
    ));
    assert_eq!((open(&run, id).status(), open(&run, id).decision.class), (Status::Approved, Class::Bound));
}

#[test]
fn the_first_credential_of_a_phished_session_approves_nothing_for_72_hours_and_its_owner_is_told() {
    let mut run = exchange(policy());
    let new = new_credential(1, CredentialUse::Approve);
    let events = sure(&mut run, changes(plainly(0, Change::AddCredential(Box::new(new)))));
    let told =
        |event: &Event| matches!(event, Event::SecurityChanged { kind: SecurityChange::SecondFactor, .. });
    assert!(matches!(events[0], Event::ProtectionChanged { .. }) && told(&events[1]), "{events:?}");
    run.wait(71 * time::HOUR + 59 * time::MINUTE);
    run.say(usual_prices());
    let id = asks(&mut run, 1, 700);
    let before = open(&run, id).decision.clone();
    let by = approval(1, text(&run, id), 0);
    let events = run.say(approves(0, id, by.clone()));
    assert_eq!(refusal(&events), Some(Refusal::CredentialNotCounting));
    assert_eq!(open(&run, id).decision, before, "no effect on its class, or on anything");
    run.wait(time::MINUTE);
    sure(&mut run, approves(0, id, by));
    assert_eq!(open(&run, id).decision.class, Class::Bound);
}

#[test]
fn downtime_counts_towards_no_credentials_age() {
    let mut run = exchange(permit_all());
    sure(
        &mut run,
        changes(plainly(0, Change::AddCredential(Box::new(new_credential(1, CredentialUse::Approve))))),
    );
    run.wait(time::HOUR);
    run.say(usual_prices());
    run.now = run.now.plus(80 * time::HOUR);
    sure(&mut run, Command::Start);
    run.say(usual_prices());
    let id = asks(&mut run, 1, 20);
    let by = approval(1, text(&run, id), 0);
    assert_eq!(refusal(&run.say(approves(0, id, by.clone()))), Some(Refusal::CredentialNotCounting));
    run.wait(71 * time::HOUR);
    run.say(usual_prices());
    sure(&mut run, approves(0, id, by));
}

#[test]
fn an_approval_for_another_text_account_or_withdrawal_is_refused() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    let id = asks(&mut run, 1, 700);
    let other = asks(&mut run, 2, 701);
    let (said, other_said) = (text(&run, id), text(&run, other));
    let mut is = |account, id, by, expected| {
        assert_eq!(refusal(&run.say(approves(account, id, by))), Some(expected));
    };
    is(0, id, approval(1, other_said, 0), Refusal::TextDiffers);
    is(0, other, approval(1, said, 0), Refusal::TextDiffers);
    is(0, id, approval(1, Digest([0; 32]), 0), Refusal::TextDiffers);
    is(1, id, approval(1, said, 0), Refusal::WithdrawalForeign);
    is(0, id, approval(2, said, 0), Refusal::CredentialUnknown);
    is(0, WithdrawalId(9), approval(1, said, 0), Refusal::WithdrawalUnknown);
    is(9, id, approval(1, said, 0), Refusal::AccountUnknown);
    assert_eq!(open(&run, id).decision.class, Class::Unvouched);
}

#[test]
fn another_customers_credential_approves_nothing_here() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    let mut made = request(run.now, 9, 1, BTC, BITCOIN * 7 / 10, 9);
    made.account = account(1);
    let id = made.withdrawal;
    sure(&mut run, Command::RequestWithdrawal(Box::new(made)));
    let by = approval(1, text(&run, id), 0);
    assert_eq!(refusal(&run.say(approves(1, id, by))), Some(Refusal::CredentialUnknown));
}

#[test]
fn credentials_for_other_things_approve_no_withdrawal() {
    for used_for in [CredentialUse::Master, CredentialUse::Login] {
        let mut run = exchange(policy());
        with_key(&mut run, 8, CredentialUse::Approve);
        crate::protection::surely(&mut run, crate::protection::add(1, used_for), 8);
        let id = asks(&mut run, 1, 700);
        let by = approval(1, text(&run, id), 0);
        assert_eq!(refusal(&run.say(approves(0, id, by))), Some(Refusal::CredentialNotCounting));
    }
}

#[test]
fn a_counter_that_does_not_rise_is_refused_and_zero_never_has_to() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    let first = asks(&mut run, 1, 300);
    let said = text(&run, first);
    sure(&mut run, approves(0, first, approval(1, said, 0)));
    sure(&mut run, approves(0, first, approval(1, said, 0)));
    sure(&mut run, approves(0, first, approval(1, said, 7)));
    let second = asks(&mut run, 2, 300);
    let said = text(&run, second);
    for counter in [0, 6, 7] {
        let events = run.say(approves(0, second, approval(1, said, counter)));
        assert_eq!(refusal(&events), Some(Refusal::CounterWentBack), "{counter}");
    }
    sure(&mut run, approves(0, second, approval(1, said, 8)));
}

#[test]
fn a_hold_stays_a_hold_whoever_approves() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    sure(&mut run, Command::RecordSecurityChange { account: account(0), kind: SecurityChange::Password });
    let id = asks(&mut run, 1, 20);
    assert_eq!(open(&run, id).status(), Status::Held);
    approve(&mut run, id);
    assert_eq!((open(&run, id).status(), open(&run, id).decision.class), (Status::Held, Class::Bound));
}

#[test]
fn a_credential_that_is_removed_before_the_release_binds_it_no_more() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    run.wait(7 * time::HOUR);
    run.say(usual_prices());
    let id = asks(&mut run, 1, 700);
    approve(&mut run, id);
    assert_eq!(open(&run, id).status(), Status::Approved);
    let gone = Change::RemoveCredential { credential: credential(1) };
    let said = change_text(&account(0), &gone, run.now, 1).to_string();
    let mut asked = plainly(0, gone);
    asked.approval = Some(approved(&said, 1, 0));
    sure(&mut run, changes(asked));
    // Before any tick has looked at it again.
    let made = payment(&run.state, BTC.1, &[id], &[1]);
    let events = sure(&mut run, propose(&made));
    assert!(!events.iter().any(|event| matches!(event, Event::TransactionReleased(_))), "{events:?}");
    assert_ne!(open(&run, id).status(), Status::Approved);
    assert_eq!(open(&run, id).decision.class, Class::Unvouched);
    assert_eq!(open(&run, id).reserved, None, "what it held of the bound bucket is back");
}

#[test]
fn a_bound_withdrawal_is_released() {
    let mut run = exchange(policy());
    with_key(&mut run, 1, CredentialUse::Approve);
    run.wait(7 * time::HOUR);
    run.say(usual_prices());
    let id = asks(&mut run, 1, 700);
    approve(&mut run, id);
    let made = payment(&run.state, BTC.1, &[id], &[1]);
    let events = sure(&mut run, propose(&made));
    assert!(matches!(events[..], [Event::TransactionReleased(_)]), "{events:?}");
    assert!(open(&run, id).bound.is_some(), "the assertion travels in its release");
    let again = approval(1, text(&run, id), 0);
    assert_eq!(refusal(&run.say(approves(0, id, again))), Some(Refusal::AlreadyReleased));
}

// Mandates.

/// Account 0 has a credential of age and a key of its own, of age too.
fn with_api_key(policy: holdfast_decision::command::PolicySource) -> Run {
    let mut run = exchange(policy);
    sure(&mut run, changes(plainly(0, Change::PutApiKey(Box::new(asymmetric(0))))));
    with_key(&mut run, 1, CredentialUse::Approve);
    run
}

/// 0.1 bitcoin at once, 0.25 in a day, to places 7 and 8.
fn usual_terms(run: &Run, number: u64) -> NewMandate {
    terms(number, (0, 1), BTC, &[7, 8], (BITCOIN / 10, BITCOIN / 4), run.now)
}

fn grants(terms: &NewMandate, number: u64) -> Command {
    let said = mandate_text(&account(0), terms, (BTC.1, 8), &[7, 8], number).to_string();
    let mut asked = plainly(0, Change::GrantMandate(Box::new(terms.clone())));
    asked.approval = Some(approved(&said, 1, 0));
    changes(asked)
}

/// A signed request of account 0 to a place, in hundredths of a bitcoin.
fn by_key(run: &Run, number: u64, hundredths: u128, to: u64) -> (WithdrawalId, Command) {
    let mut made = request(run.now, number, 0, BTC, hundredths * BITCOIN / 100, to);
    made.evidence = Evidence::ApiRequest(Box::new(ApiEvidence {
        key: fingerprint("key", 0),
        revision: 1,
        signed_at: run.now,
        window: 5 * time::SECOND,
        request: fingerprint("request", number),
        ip: fingerprint("ip", 0),
        differs: 0,
        verifier: 1,
        sealed: vec![1],
    }));
    (made.withdrawal, Command::RequestWithdrawal(Box::new(made)))
}

fn is_bound(run: &mut Run, number: u64, hundredths: u128, to: u64) -> bool {
    let (id, command) = by_key(run, number, hundredths, to);
    let events = sure(run, command);
    let used = events.iter().any(|event| matches!(event, Event::MandateUsed { .. }));
    let class = events.iter().find_map(|event| match event {
        Event::WithdrawalDecided { decision, .. } => Some(decision.class),
        _ => None,
    });
    assert_eq!(used, class == Some(Class::Bound), "{id}: {events:?}");
    used
}

#[test]
fn a_request_within_its_keys_mandate_is_bound_without_a_person() {
    let mut run = with_api_key(policy());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    assert!(is_bound(&mut run, 1, 10, 7));
    assert!(!is_bound(&mut run, 2, 11, 7), "more than at once");
    assert!(!is_bound(&mut run, 3, 1, 9), "to another place");
    assert!(is_bound(&mut run, 4, 10, 8));
    assert!(!is_bound(&mut run, 5, 6, 8), "more than in a day");
    assert!(is_bound(&mut run, 6, 5, 8));
    run.wait(24 * time::HOUR);
    run.say(usual_prices());
    assert!(!is_bound(&mut run, 7, 1, 8), "a day to the very end");
    run.wait(time::SECOND);
    assert!(is_bound(&mut run, 8, 10, 8));
}

#[test]
fn a_session_is_never_bound_by_a_mandate() {
    let mut run = with_api_key(policy());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    let made = request(run.now, 9, 0, BTC, BITCOIN / 100, 7);
    let id = made.withdrawal;
    sure(&mut run, Command::RequestWithdrawal(Box::new(made)));
    assert_eq!(open(&run, id).decision.class, Class::Unvouched);
}

#[test]
fn requests_in_one_group_share_a_mandates_day() {
    let mut run = with_api_key(permit_all());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    // All of one instant: the core takes them one after another.
    let bound = (0..20).filter(|number| is_bound(&mut run, 10 + number, 10, 7)).count();
    assert_eq!(bound, 2, "0.1 twice, and never 0.3 of 0.25");
}

#[test]
fn a_denied_request_uses_no_mandate_and_a_cancelled_one_gives_nothing_back() {
    let mut run = with_api_key(policy());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    let (_, mut late) = by_key(&run, 1, 10, 7);
    if let Command::RequestWithdrawal(made) = &mut late
        && let Evidence::ApiRequest(evidence) = &mut made.evidence
    {
        evidence.differs = 8;
    }
    let events = sure(&mut run, late);
    assert!(!events.iter().any(|event| matches!(event, Event::MandateUsed { .. })), "{events:?}");
    for number in 2..4 {
        let (id, command) = by_key(&run, number, 10, 7);
        sure(&mut run, command);
        sure(&mut run, Command::CancelWithdrawal { account: account(0), withdrawal: id });
    }
    assert!(!is_bound(&mut run, 5, 10, 7), "value is not given back");
}

#[test]
fn a_mandate_is_used_so_often_in_a_day_and_no_oftener() {
    let mut run = with_api_key(permit_all());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    for number in 0..MANDATE_USES_MAX as u64 + 1 {
        let (id, mut command) = by_key(&run, 100 + number, 1, 7);
        if let Command::RequestWithdrawal(made) = &mut command {
            made.amount = Amount::from_base_units(1_000);
        }
        let events = sure(&mut run, command);
        let used = events.iter().any(|event| matches!(event, Event::MandateUsed { .. }));
        assert_eq!(used, number < MANDATE_USES_MAX as u64, "{number}");
        sure(&mut run, Command::CancelWithdrawal { account: account(0), withdrawal: id });
    }
}

fn look_again(run: &mut Run) {
    sure(run, Command::RecordSecurityChange { account: account(0), kind: SecurityChange::Password });
    run.wait(0);
}

#[test]
fn a_text_that_lapsed_stands_on_no_mandate() {
    let mut run = with_api_key(permit_all());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    let (id, command) = by_key(&run, 1, 10, 7);
    sure(&mut run, command);
    assert_eq!(open(&run, id).decision.class, Class::Bound);
    run.wait(3 * time::DAY);
    sure(&mut run, usual_prices());
    assert_eq!(open(&run, id).mandate, None);
    sure(&mut run, Command::RenewIntent { account: account(0), withdrawal: id, nonce: [5; 32] });
    let facts = holdfast_decision::weigh::open(&run.state, run.now, id).unwrap();
    assert_eq!(facts.facts.get(holdfast_policy::Fact::ApprovalMandate), holdfast_policy::Value::Bool(false));
}

#[test]
fn what_was_asked_for_under_a_mandate_stays_bound_until_it_ends_or_is_revoked() {
    for is_revoked in [false, true] {
        let mut run = with_api_key(permit_all());
        let mut granted = usual_terms(&run, 1);
        granted.not_after = granted.not_before.plus(time::HOUR);
        sure(&mut run, grants(&granted, 1));
        run.wait(30 * time::MINUTE);
        let (id, command) = by_key(&run, 1, 10, 7);
        sure(&mut run, command);
        if is_revoked {
            sure(&mut run, changes(plainly(0, Change::RevokeMandate { mandate: granted.mandate })));
        } else {
            run.wait(30 * time::MINUTE - 1);
            run.say(usual_prices());
            look_again(&mut run);
            assert_eq!(open(&run, id).decision.class, Class::Bound, "to the end");
            run.wait(time::SECOND);
            look_again(&mut run);
        }
        run.wait(0);
        assert_eq!(open(&run, id).decision.class, Class::Unvouched);
        assert!(!is_bound(&mut run, 2, 1, 7), "what comes later is not");
    }
}

#[test]
fn a_mandate_is_void_once_its_credential_is_removed() {
    let mut run = with_api_key(policy());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    let gone = Change::RemoveCredential { credential: credential(1) };
    let said = change_text(&account(0), &gone, run.now, 2).to_string();
    let mut asked = plainly(0, gone);
    asked.approval = Some(approved(&said, 1, 0));
    sure(&mut run, changes(asked));
    assert!(!is_bound(&mut run, 1, 10, 7));
}

#[test]
fn a_mandate_is_of_one_revision_of_its_key() {
    let mut run = with_api_key(policy());
    let granted = usual_terms(&run, 1);
    sure(&mut run, grants(&granted, 1));
    // The same again, which widens nothing: another revision all the same.
    sure(&mut run, changes(plainly(0, Change::PutApiKey(Box::new(asymmetric(0))))));
    let (_, command) = by_key(&run, 1, 10, 7);
    let Command::RequestWithdrawal(mut made) = command else { panic!("a request") };
    let Evidence::ApiRequest(evidence) = &mut made.evidence else { panic!("by key") };
    evidence.revision = 2;
    let events = sure(&mut run, Command::RequestWithdrawal(made));
    assert!(!events.iter().any(|event| matches!(event, Event::MandateUsed { .. })), "{events:?}");
}

#[test]
fn a_mandates_text_must_say_its_terms_and_be_approved() {
    let mut run = with_api_key(policy());
    let granted = usual_terms(&run, 1);
    let good = |terms: &NewMandate| mandate_text(&account(0), terms, (BTC.1, 8), &[7, 8], 1);
    let mut refused = |terms: &NewMandate, said: &str, by: u64, expected| {
        let mut asked = plainly(0, Change::GrantMandate(Box::new(terms.clone())));
        asked.approval = Some(approved(said, by, 0));
        assert_eq!(refusal(&run.say(changes(asked))), Some(expected), "{said}");
    };
    let other = |edit: &dyn Fn(&mut NewMandate)| {
        let mut terms = granted.clone();
        edit(&mut terms);
        terms
    };
    let said = good(&granted).to_string();
    let amount = Amount::from_base_units;
    refused(&other(&|terms| terms.amount_max = amount(BITCOIN / 5)), &said, 1, Refusal::TextDiffers);
    refused(&other(&|terms| terms.day_max = amount(BITCOIN)), &said, 1, Refusal::TextDiffers);
    refused(
        &other(&|terms| terms.not_after = terms.not_after.plus(time::DAY)),
        &said,
        1,
        Refusal::TextDiffers,
    );
    refused(
        &other(&|terms| terms.not_before = terms.not_before.minus(time::DAY)),
        &said,
        1,
        Refusal::TextDiffers,
    );
    refused(&other(&|terms| terms.destinations.push(fingerprint("x", 1))), &said, 1, Refusal::TextDiffers);
    refused(&other(&|terms| terms.destinations.truncate(1)), &said, 1, Refusal::TextDiffers);
    refused(&other(&|terms| terms.mandate = holdfast_values::MandateId(9)), &said, 1, Refusal::TextDiffers);
    refused(&other(&|terms| terms.asset = "ETH".parse().unwrap()), &said, 1, Refusal::NetworkNotConfigured);
    refused(&other(&|terms| terms.revision = 2), &said, 1, Refusal::ChangeInvalid);
    refused(&other(&|terms| terms.key = fingerprint("key", 5)), &said, 1, Refusal::ApiKeyUnknown);
    refused(&granted, &said, 2, Refusal::CredentialUnknown);
    refused(&granted, "holdfast-mandate/v2\n", 1, Refusal::TextDiffers);
    let mut elsewhere = good(&granted);
    elsewhere.exchange = "other.example".parse().unwrap();
    refused(&granted, &elsewhere.to_string(), 1, Refusal::TextExchange);
    let over = other(&|terms| {
        terms.not_before = terms.not_before.minus(2 * time::HOUR);
        terms.not_after = terms.not_before.plus(time::HOUR);
    });
    refused(&over, &good(&over).to_string(), 1, Refusal::TextNotNow);

    let plain = plainly(0, Change::GrantMandate(Box::new(granted.clone())));
    assert_eq!(refusal(&run.say(changes(plain))), Some(Refusal::ApprovalNeeded));
    sure(&mut run, grants(&granted, 1));
    assert_eq!(refusal(&run.say(grants(&granted, 2))), Some(Refusal::ChangeInvalid), "the same id again");
    let next = usual_terms(&run, 2);
    assert_eq!(refusal(&run.say(grants(&next, 1))), Some(Refusal::TextUsed));
}

#[test]
fn keys_with_shared_secrets_have_no_mandates() {
    let mut run = exchange(policy());
    let mut spec = asymmetric(0);
    spec.fence.asymmetric = false;
    sure(&mut run, changes(plainly(0, Change::PutApiKey(Box::new(spec)))));
    with_key(&mut run, 1, CredentialUse::Approve);
    let granted = usual_terms(&run, 1);
    assert_eq!(refusal(&run.say(grants(&granted, 1))), Some(Refusal::ChangeInvalid));
    let mut reads = asymmetric(5);
    reads.scopes = holdfast_decision::command::Scopes(1);
    let mut asked = plainly(0, Change::PutApiKey(Box::new(reads)));
    let said = change_text(&account(0), &asked.change, run.now, 3).to_string();
    asked.approval = Some(approved(&said, 1, 0));
    sure(&mut run, changes(asked));
    let mut granted = usual_terms(&run, 1);
    granted.key = fingerprint("key", 5);
    assert_eq!(refusal(&run.say(grants(&granted, 1))), Some(Refusal::ChangeInvalid), "it may not withdraw");
    sure(&mut run, Command::RevokeApiKey { account: account(0), key: fingerprint("key", 5) });
    assert_eq!(refusal(&run.say(grants(&granted, 1))), Some(Refusal::ApiKeyRevoked));
}
