//! Acts that wait: for how long, by which clock, and what becomes of them.

use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, Scope, TokenScopes, TokenSpec};
use holdfast_decision::event::Event;
use holdfast_decision::governance::SCHEDULED_MAX;
use holdfast_decision::{Refusal, next_deadline};
use holdfast_values::{Network, UsdCents, time};

use super::{does, house, lapses, refuses, scheduled, slow, stop};
use crate::approvals::{refusal, sure};
use crate::play::Run;
use crate::world::{Signing, account, initialise, name, operator, permit_all, usual_prices};

const TWO: [&str; 2] = ["alice", "bob"];

fn token(client: &str, scopes: TokenScopes) -> Act {
    let token_hash = *blake3::hash(client.as_bytes()).as_bytes();
    Act::IssueToken(TokenSpec { client: name(client), token_hash, scopes })
}

fn raise(cents: u64) -> Act {
    let raised = Some(UsdCents(cents));
    Act::SetLimits { account: account(0), usd_cents_24h: raised, usd_cents_30d: raised }
}

fn with_account() -> Run {
    let mut run = house();
    sure(&mut run, Command::OpenAccount { account: account(0), tier: name("full") });
    run
}

/// True if this waits, and what it does is done then.
fn waits(run: &mut Run, act: Act, signers: &[&str]) -> bool {
    does(run, act, signers).iter().any(|event| matches!(event, Event::ActScheduled(_)))
}

#[test]
fn what_loosens_waits_and_what_tightens_does_not() {
    let mut run = with_account();
    for act in [
        raise(900_000_000),
        Act::SetTier { account: account(0), tier: name("basic") },
        Act::EnrolOperator(operator("dave")),
        Act::Import(vec![holdfast_decision::acts::Digest([1; 32])]),
        token("app", TokenScopes::READ.with(TokenScopes::SERVICE)),
        Act::ActivateRules(3),
    ] {
        assert!(waits(&mut run, act.clone(), &TWO), "{act:?}");
        assert_eq!(
            refuses(&mut run, act.clone(), &["alice"]),
            Some(Refusal::SignaturesInsufficient),
            "{act:?}"
        );
    }
    run.wait(time::DAY);
    assert_eq!(run.state.scheduled_acts().count(), 0);
    assert!(run.state.operators().any(|(known, _)| *known == name("dave")));
    assert!(run.state.tokens().any(|token| token.client == name("app")));

    assert!(!waits(&mut run, raise(5), &["alice"]), "it lowers");
    assert!(!waits(&mut run, token("desk", TokenScopes::READ.with(TokenScopes::HALT)), &TWO));
    assert!(waits(&mut run, token("watch", TokenScopes::HALT.with(TokenScopes::WALLET)), &TWO));
    sure(&mut run, Command::FreezeAccount { account: account(0), by: name("dora") });
    assert!(!waits(&mut run, Act::UnfreezeAccount(account(0)), &TWO));
    let tier = Act::SetLimits { account: account(0), usd_cents_24h: None, usd_cents_30d: Some(UsdCents(1)) };
    assert!(waits(&mut run, tier, &TWO), "a limit of its own is given up");
}

#[test]
fn the_end_of_a_halt_waits_ten_minutes_and_a_new_halt_stops_it() {
    let mut run = house();
    let scope = Scope::Wallet(name("hot-btc"));
    let halt = Command::Halt { scope: scope.clone(), by: name("dora") };
    sure(&mut run, halt.clone());
    sure(&mut run, Command::Halt { scope: Scope::Overall, by: name("dora") });
    let nonce = scheduled(&does(&mut run, Act::Resume(scope.clone()), &TWO));
    run.wait(9 * time::MINUTE);
    let events = run.say(Command::Halt { scope: Scope::Overall, by: name("dora") });
    assert_eq!(events, [], "another scope's halt is another matter");
    let events = run.say(halt);
    assert_eq!(events, [Event::ActStopped { nonce, by: name("dora") }]);
    run.wait(time::HOUR);
    assert!(run.state.halts().any(|halted| *halted == scope));
    does(&mut run, Act::Resume(scope.clone()), &TWO);
    run.wait(10 * time::MINUTE);
    assert!(!run.state.halts().any(|halted| *halted == scope));
}

#[test]
fn a_chain_that_shows_what_cannot_be_stops_the_end_of_its_halt() {
    let mut run = house();
    let scope = Scope::Wallet(name("hot-btc"));
    sure(&mut run, Command::Halt { scope: scope.clone(), by: name("dora") });
    does(&mut run, Act::Resume(scope.clone()), &TWO);
    let stranger = holdfast_decision::command::Observation {
        wallet: name("hot-btc"),
        network: Network::Bitcoin,
        chain_id: [7; 32],
        spends: vec![holdfast_values::ConflictKey::Outpoint { txid: [6; 32], vout: 0 }],
        outputs: holdfast_decision::acts::Digest([5; 32]),
        status: holdfast_decision::command::ChainStatus::Included,
        confirmations: 1,
    };
    let events = sure(&mut run, Command::RecordObservation(Box::new(stranger)));
    assert!(events.iter().any(|event| matches!(event, Event::ActStopped { .. })), "{events:?}");
    run.wait(time::HOUR);
    assert!(run.state.halts().any(|halted| *halted == scope));
}

#[test]
fn anyone_trusted_stops_what_waits_even_in_its_last_second() {
    let mut run = with_account();
    let nonce = scheduled(&does(&mut run, raise(900_000_000), &TWO));
    let (day, _) = run.state.account(&account(0)).unwrap().limits(run.state.configuration());
    run.wait(time::DAY - time::SECOND);
    assert_eq!(run.say(stop(nonce)), [Event::ActStopped { nonce, by: name("dora") }]);
    assert_eq!(refusal(&run.say(stop(nonce))), Some(Refusal::ActUnknown));
    run.wait(2 * time::DAY);
    assert_eq!(run.state.account(&account(0)).unwrap().limits(run.state.configuration()).0, day);
}

#[test]
fn limits_that_are_lowered_end_a_raise_that_waits_for_the_same_account_and_no_other() {
    let lower = Command::LowerLimits {
        account: account(0),
        usd_cents_24h: UsdCents(500),
        usd_cents_30d: UsdCents(500),
    };
    let set = Act::SetLimits {
        account: account(0),
        usd_cents_24h: Some(UsdCents(500)),
        usd_cents_30d: Some(UsdCents(500)),
    };
    for by_operator in [false, true] {
        let mut run = with_account();
        sure(&mut run, Command::OpenAccount { account: account(1), tier: name("full") });
        let nonce = scheduled(&does(&mut run, raise(900_000_000), &TWO));
        let other = Act::SetLimits {
            account: account(1),
            usd_cents_24h: Some(UsdCents(900_000_000)),
            usd_cents_30d: Some(UsdCents(900_000_000)),
        };
        does(&mut run, other, &TWO);
        run.wait(23 * time::HOUR);
        let events =
            if by_operator { does(&mut run, set.clone(), &["carol"]) } else { run.say(lower.clone()) };
        let lapsed = Event::ActLapsed { nonce, refusal: Refusal::LimitsSuperseded };
        assert_eq!(events.last(), Some(&lapsed), "{events:?}");
        run.wait(time::DAY);
        let limits = |of| run.state.account(&account(of)).unwrap().limits(run.state.configuration()).0;
        assert_eq!((limits(0), limits(1)), (UsdCents(500), UsdCents(900_000_000)));
        // What is signed after the lowering is another matter.
        does(&mut run, raise(800_000_000), &TWO);
        run.wait(time::DAY);
        let limits = run.state.account(&account(0)).unwrap().limits(run.state.configuration()).0;
        assert_eq!(limits, UsdCents(800_000_000));
    }
}

#[test]
fn a_stop_that_comes_when_the_time_has_come_but_nobody_ticked_still_counts() {
    let mut run = with_account();
    let nonce = scheduled(&does(&mut run, raise(900_000_000), &TWO));
    run.now = run.now.plus(2 * time::DAY);
    assert!(next_deadline(&run.state).is_some_and(|due| due < run.now));
    assert_eq!(run.say(stop(nonce)), [Event::ActStopped { nonce, by: name("dora") }]);
}

#[test]
fn hands_are_counted_again_when_the_time_has_come() {
    let mut run = with_account();
    does(&mut run, raise(900_000_000), &TWO);
    does(&mut run, Act::RevokeOperator(name("bob")), &["alice", "carol"]);
    assert_eq!(lapses(&run.wait(time::DAY)), [Refusal::SignaturesInsufficient]);

    // Nor do the old hands count when more are needed by then.
    let mut run = with_account();
    does(&mut run, raise(900_000_000), &TWO);
    let mut more = slow();
    more.parameters.loosening_signatures = 3;
    does(&mut run, Act::Configure(Box::new(more)), &TWO);
    assert_eq!(lapses(&run.wait(time::DAY)), [Refusal::SignaturesInsufficient]);
}

#[test]
fn one_operator_alone_revokes_others_only_while_the_rest_can_do_without_him() {
    let mut run = house();
    // Of three nobody is revoked by one: the two that were left could not revoke him.
    let revoke = |of: &str| Act::RevokeOperator(name(of));
    assert_eq!(refuses(&mut run, revoke("bob"), &["alice"]), Some(Refusal::SignaturesInsufficient));
    for new in ["dave", "erin"] {
        does(&mut run, Act::EnrolOperator(operator(new)), &TWO);
    }
    run.wait(25 * time::HOUR);
    let mut young = house();
    does(&mut young, Act::EnrolOperator(operator("dave")), &TWO);
    young.wait(25 * time::HOUR);
    does(&mut young, revoke("dave"), &["alice"]);
    young.wait(60 * time::HOUR);
    assert_eq!(young.state.operators().count(), 3, "who does not count yet is revoked by one");
    assert_eq!(
        refuses(&mut run, revoke("bob"), &["alice"]),
        Some(Refusal::SignaturesInsufficient),
        "those who do not count yet are not there yet"
    );
    run.wait(30 * time::HOUR);
    does(&mut run, revoke("bob"), &["alice"]);
    assert_eq!(
        refuses(&mut run, revoke("carol"), &["alice"]),
        Some(Refusal::SignaturesInsufficient),
        "then dave and erin would need each other to be rid of him"
    );
    // Without carol, whose key is lost, they are rid of him, and go on.
    does(&mut run, revoke("alice"), &["dave", "erin"]);
    does(&mut run, Act::EnrolOperator(operator("frank")), &["dave", "erin"]);
}

#[test]
fn what_cannot_be_done_any_more_lapses() {
    let mut run = house();
    sure(&mut run, Command::Halt { scope: Scope::Overall, by: name("dora") });
    does(&mut run, Act::Resume(Scope::Overall), &TWO);
    run.wait(time::MINUTE);
    does(&mut run, Act::Resume(Scope::Overall), &["bob", "carol"]);
    let ticks = run.wait(time::HOUR);
    assert_eq!(lapses(&ticks), [Refusal::NotHalted], "{ticks:?}");
}

#[test]
fn what_cannot_be_done_now_is_refused_now() {
    let mut run = house();
    assert_eq!(refuses(&mut run, Act::Resume(Scope::Overall), &TWO), Some(Refusal::NotHalted));
    assert_eq!(refuses(&mut run, raise(1), &TWO), Some(Refusal::AccountUnknown));
    assert_eq!(refuses(&mut run, Act::ActivateRules(9), &TWO), Some(Refusal::RulesUnknown));
    assert_eq!(refuses(&mut run, Act::ActivateRules(2), &TWO), Some(Refusal::RulesOlder));
}

#[test]
fn a_clock_under_suspicion_stands_still_and_so_does_the_wait() {
    let mut run = with_account();
    does(&mut run, raise(900_000_000), &TWO);
    let signed = run.now;
    run.wait(20 * time::HOUR);
    sure(&mut run, Command::SuspectClock { step: 90 * time::HOUR });
    assert_eq!(next_deadline(&run.state), None);
    run.wait(90 * time::HOUR);
    assert_eq!(run.say(Command::Tick), [], "no deadline comes");
    does(&mut run, Act::ConfirmClock, &TWO);
    run.wait(4 * time::HOUR - time::SECOND);
    assert_eq!(run.state.scheduled_acts().count(), 1, "{} since", run.now.since(signed));
    run.wait(time::SECOND);
    assert_eq!(run.state.scheduled_acts().count(), 0);
}

#[test]
fn time_in_which_nobody_could_object_does_not_count() {
    let mut run = with_account();
    does(&mut run, raise(900_000_000), &TWO);
    run.wait(time::HOUR);
    run.say(Command::Tick);
    sure(&mut run, usual_prices());
    // The server was down for three days.
    run.now = run.now.plus(3 * time::DAY);
    run.say(Command::Start);
    let due = run.state.scheduled_acts().next().unwrap().due;
    assert_eq!(due.since(run.now), 23 * time::HOUR);
    run.wait(23 * time::HOUR - time::SECOND);
    assert_eq!(run.state.scheduled_acts().count(), 1);
    run.wait(time::SECOND);
    assert_eq!(run.state.scheduled_acts().count(), 0);
}

#[test]
fn a_text_is_used_once_while_it_waits_and_after() {
    let mut run = with_account();
    let command = Signing::new(run.now, 5, &TWO).sign(raise(900_000_000));
    sure(&mut run, command.clone());
    assert_eq!(refusal(&run.say(command.clone())), Some(Refusal::TextUsed));
    run.wait(time::DAY);
    assert_eq!(refusal(&run.say(command.clone())), Some(Refusal::TextNotNow));
    let mut long = Signing::new(run.now, 6, &TWO);
    long.until = long.from.plus(7 * time::DAY);
    let command = long.sign(raise(950_000_000));
    sure(&mut run, command.clone());
    let nonce = run.state.scheduled_acts().next().unwrap().scheduled.nonce;
    sure(&mut run, stop(nonce));
    assert_eq!(refusal(&run.say(command.clone())), Some(Refusal::TextUsed), "what was stopped stays stopped");
    run.wait(6 * time::DAY);
    assert_eq!(refusal(&run.say(command)), Some(Refusal::TextUsed));
}

#[test]
fn at_most_64_acts_wait() {
    let mut run = with_account();
    for number in 0..SCHEDULED_MAX {
        does(&mut run, raise(900_000_000 + number as u64), &TWO);
    }
    sure(&mut run, Command::OpenAccount { account: account(1), tier: name("full") });
    let lower = Act::SetLimits {
        account: account(1),
        usd_cents_24h: Some(UsdCents(9)),
        usd_cents_30d: Some(UsdCents(9)),
    };
    assert_eq!(refuses(&mut run, lower, &["alice", "bob"]), None, "what lowers needs no place");
    assert_eq!(refuses(&mut run, raise(900_000_000), &TWO), Some(Refusal::TooMany));
    let nonce = run.state.scheduled_acts().next().unwrap().scheduled.nonce;
    sure(&mut run, stop(nonce));
    does(&mut run, raise(900_000_000), &TWO);
}

#[test]
fn for_an_hour_after_the_first_record_nothing_waits_but_signatures_are_needed() {
    let mut run = Run::new(slow(), permit_all());
    assert_eq!(run.state.setup_until(run.now), Some(run.now.plus(time::HOUR)));
    run.wait(time::HOUR - time::SECOND);
    let app = token("app", TokenScopes::SERVICE);
    assert_eq!(refuses(&mut run, app.clone(), &["alice"]), Some(Refusal::SignaturesInsufficient));
    assert!(!waits(&mut run, app, &TWO));
    run.wait(time::SECOND);
    assert_eq!(run.state.setup_until(run.now), None);
    assert!(waits(&mut run, token("late", TokenScopes::SERVICE), &TWO));
}

#[test]
fn no_set_up_window_is_open_under_a_clock_that_is_suspect_or_in_an_older_house() {
    let mut run = Run::new(slow(), permit_all());
    sure(&mut run, Command::SuspectClock { step: 1 });
    assert!(waits(&mut run, token("app", TokenScopes::SERVICE), &TWO));

    let mut run = Run::empty();
    let mut first = initialise(slow(), permit_all());
    if let Command::Initialise(first) = &mut first {
        first.rules = Some(2);
    }
    run.say(first);
    assert!(!waits(&mut run, token("app", TokenScopes::SERVICE), &TWO), "by the rules before, nothing waits");
    assert_eq!(
        refuses(&mut run, Act::StopAct(holdfast_decision::acts::Digest([1; 32])), &TWO),
        Some(Refusal::RulesTooOld)
    );
    assert_eq!(refusal(&run.say(stop(holdfast_decision::acts::Digest([1; 32])))), Some(Refusal::ActUnknown));
    assert!(!waits(&mut run, Act::ActivatePolicy(Box::new(permit_all())), &TWO));
    assert!(!waits(&mut run, Act::ActivateRules(3), &TWO));
    assert!(waits(&mut run, token("late", TokenScopes::SERVICE), &TWO), "an older house is not being set up");
    assert_eq!(
        refuses(&mut run, Act::ActivatePolicy(Box::new(permit_all())), &TWO),
        Some(Refusal::ActReplaced)
    );
}
