//! One-time and recovery codes: each is good once, guessing is slow from everywhere, and a stranger who guesses keeps
//! nobody out of his own device.

use holdfast_decision::codes::{FREE_FAILURES, GUESSES_A_DAY};
use holdfast_decision::command::{Command, Evidence, SessionFacts};
use holdfast_decision::event::Event;
use holdfast_decision::protection::{
    Change, ChangeProtection, CodeProof, CodePurpose, PresentCode, RecordSession,
};
use holdfast_decision::{Refusal, State, Status};
use holdfast_values::{Fingerprint, Network, Timestamp, WithdrawalId, time};

use crate::play::Run;
use crate::world::{account, configuration, fingerprint, name, policy, request, usual_prices};

const FIRST_STEP: u64 = 100;

fn device(number: u64) -> Fingerprint {
    fingerprint("device", number)
}

fn change(run: &mut Run, change: Change, code: Option<CodeProof>) -> Vec<Event> {
    let code = code.map(Box::new);
    run.say(Command::ChangeProtection(Box::new(ChangeProtection {
        account: account(0),
        change,
        approval: None,
        code,
        device: None,
    })))
}

fn enrolled() -> Run {
    let mut run = Run::new(configuration(), policy());
    run.say(Command::OpenAccount { account: account(0), tier: name("full") });
    change(&mut run, Change::EnrolCodes { step: FIRST_STEP }, None);
    run.wait(2 * time::DAY);
    run
}

/// An account that has known `device(0)` for a day.
fn at_home() -> Run {
    let mut run = enrolled();
    sign_in(&mut run, 0);
    run.wait(time::DAY);
    run
}

fn sign_in(run: &mut Run, number: u64) {
    run.say(Command::RecordSession(Box::new(RecordSession {
        account: account(0),
        facts: SessionFacts { device: Some(device(number)), ..SessionFacts::default() },
        credential: None,
        sealed: Vec::new(),
    })));
}

fn shown(purpose: CodePurpose, proof: CodeProof, source: u64, device: Option<Fingerprint>) -> Command {
    let source = fingerprint("network", source);
    Command::PresentCode(Box::new(PresentCode { account: account(0), purpose, proof, source, device }))
}

fn login(run: &mut Run, proof: CodeProof) -> Vec<Event> {
    run.say(shown(CodePurpose::Login, proof, 0, None))
}

const fn code(step: u64) -> CodeProof {
    CodeProof::OneTime { revision: 1, step }
}

const fn recovery(nth: u8) -> CodeProof {
    CodeProof::Recovery { revision: 1, nth }
}

#[track_caller]
fn refused(events: &[Event], expected: Refusal) {
    assert!(matches!(events, [Event::Refused { refusal, .. }] if *refusal == expected), "{events:?}");
}

#[track_caller]
fn accepted(events: &[Event]) {
    assert!(matches!(events, [Event::CodeAccepted { .. }, ..]), "{events:?}");
}

/// A withdrawal to a new address, which waits for a one-time code.
fn waiting(run: &mut Run, number: u64) -> WithdrawalId {
    run.say(usual_prices());
    let mut made = request(run.now, number, 0, ("BTC", Network::Bitcoin), 1_000, number);
    made.evidence = Evidence::Session { one_time_code: false };
    let id = made.withdrawal;
    run.say(Command::RequestWithdrawal(Box::new(made)));
    assert_eq!(run.state.withdrawal(id).map(|open| open.status()), Some(Status::AwaitingApproval));
    id
}

#[test]
fn a_code_signs_in_once() {
    let mut run = enrolled();
    refused(&login(&mut run, code(FIRST_STEP)), Refusal::CodeUsed);
    accepted(&login(&mut run, code(FIRST_STEP + 7)));
    refused(&login(&mut run, code(FIRST_STEP + 7)), Refusal::CodeUsed);
    accepted(&login(&mut run, code(FIRST_STEP + 8)));
}

#[test]
fn a_code_discharges_one_withdrawal_of_two_that_come_in_one_group() {
    let mut run = enrolled();
    let (first, second) = (waiting(&mut run, 1), waiting(&mut run, 2));
    let step = FIRST_STEP + 1;
    // Both lie in one group of records: no time passes between them.
    let events = run.say(shown(CodePurpose::Withdrawal(first), code(step), 0, None));
    accepted(&events);
    assert!(matches!(events[1], Event::FactorDischarged { withdrawal, .. } if withdrawal == first));
    assert_eq!(run.state.withdrawal(first).map(|open| open.status()), Some(Status::Dwelling));
    refused(&run.say(shown(CodePurpose::Withdrawal(second), code(step), 0, None)), Refusal::CodeUsed);
    refused(&login(&mut run, code(step)), Refusal::CodeUsed);
    assert_eq!(run.state.withdrawal(second).map(|open| open.status()), Some(Status::AwaitingApproval));
    refused(
        &run.say(shown(CodePurpose::Withdrawal(first), code(step + 1), 0, None)),
        Refusal::NotAwaitingFactor,
    );
    refused(
        &run.say(shown(CodePurpose::Withdrawal(WithdrawalId(5)), code(step + 1), 0, None)),
        Refusal::WithdrawalUnknown,
    );
}

#[test]
fn a_code_of_a_clock_that_is_ahead_voids_the_ones_before_it() {
    let mut run = enrolled();
    // The edge allows a step of drift either way; whichever it found, none before it is good any more.
    accepted(&login(&mut run, code(FIRST_STEP + 11)));
    refused(&login(&mut run, code(FIRST_STEP + 10)), Refusal::CodeUsed);
    refused(&login(&mut run, code(FIRST_STEP + 9)), Refusal::CodeUsed);
    accepted(&login(&mut run, code(FIRST_STEP + 12)));
}

#[test]
fn codes_of_an_older_generator_are_codes_of_none() {
    let mut run = enrolled();
    let old = code(FIRST_STEP + 1);
    change(&mut run, Change::EnrolCodes { step: 500 }, Some(old));
    refused(&login(&mut run, code(600)), Refusal::CodesUnknown);
    accepted(&login(&mut run, CodeProof::OneTime { revision: 2, step: 501 }));
    change(&mut run, Change::RemoveCodes, Some(CodeProof::OneTime { revision: 2, step: 502 }));
    refused(&login(&mut run, CodeProof::OneTime { revision: 2, step: 503 }), Refusal::CodesUnknown);
}

#[test]
fn an_account_without_codes_counts_no_failures() {
    let mut run = Run::new(configuration(), policy());
    run.say(Command::OpenAccount { account: account(0), tier: name("full") });
    refused(&login(&mut run, CodeProof::Wrong), Refusal::CodesUnknown);
    refused(&login(&mut run, code(1)), Refusal::CodesUnknown);
    assert!(run.state.account(&account(0)).unwrap().protection.is_none());
}

#[test]
fn a_recovery_code_signs_in_once_and_approves_no_withdrawal() {
    let mut run = enrolled();
    change(&mut run, Change::PutRecoveryCodes { count: 10 }, Some(code(FIRST_STEP + 1)));
    run.wait(time::DAY);
    let id = waiting(&mut run, 1);
    refused(&run.say(shown(CodePurpose::Withdrawal(id), recovery(3), 0, None)), Refusal::CodeNotHere);
    accepted(&login(&mut run, recovery(3)));
    refused(&login(&mut run, recovery(3)), Refusal::CodeUsed);
    accepted(&login(&mut run, recovery(9)));
    refused(&login(&mut run, recovery(10)), Refusal::CodeUsed);
    refused(&login(&mut run, recovery(200)), Refusal::CodesUnknown);
    refused(&login(&mut run, CodeProof::Recovery { revision: 2, nth: 0 }), Refusal::CodesUnknown);
}

#[test]
fn a_strangers_thousand_wrong_codes_do_not_lock_the_owners_device() {
    let mut run = at_home();
    for number in 0..1_000 {
        // From a network and a device of its own each time.
        run.say(shown(CodePurpose::Login, CodeProof::Wrong, number, Some(device(1_000 + number))));
        run.now = run.now.plus(time::SECOND);
    }
    refused(
        &run.say(shown(CodePurpose::Login, code(FIRST_STEP + 5), 1, Some(device(9)))),
        Refusal::CodeLocked,
    );
    assert!(run.state.codes_locked_until(run.now, &account(0), None).is_some_and(|until| until > run.now));
    assert_eq!(run.state.codes_locked_until(run.now, &account(0), Some(device(0))), None);
    accepted(&run.say(shown(CodePurpose::Login, code(FIRST_STEP + 5), 1, Some(device(0)))));
    let failures = &run.state.account(&account(0)).unwrap().protection.as_ref().unwrap().failures;
    assert_eq!(failures.len(), 1, "strangers are counted together: {failures:?}");
}

#[test]
fn a_device_of_less_than_a_day_is_a_strangers() {
    let mut run = enrolled();
    sign_in(&mut run, 0);
    run.wait(time::HOUR);
    for number in 0..u64::from(FREE_FAILURES) {
        run.say(shown(CodePurpose::Login, CodeProof::Wrong, number, None));
    }
    let new = shown(CodePurpose::Login, code(FIRST_STEP + 1), 0, Some(device(0)));
    refused(&run.say(new.clone()), Refusal::CodeLocked);
    run.wait(time::DAY);
    accepted(&run.say(new));
}

#[test]
fn waiting_doubles_to_an_hour_and_a_right_code_ends_it() {
    let mut run = at_home();
    let wrong = || shown(CodePurpose::Login, CodeProof::Wrong, 0, Some(device(0)));
    let mut waits = Vec::new();
    for _ in 0..14 {
        let events = run.say(wrong());
        assert!(matches!(events[..], [Event::CodeFailed { device: Some(_), .. }]), "{events:?}");
        let until = run.state.codes_locked_until(run.now, &account(0), Some(device(0)));
        waits.push(until.map_or(0, |until| until.since(run.now) / time::MINUTE));
        if let Some(until) = until {
            run.now = until.minus(1);
            refused(&run.say(wrong()), Refusal::CodeLocked);
            run.now = until;
        }
    }
    assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    accepted(&run.say(shown(CodePurpose::Login, code(FIRST_STEP + 1), 0, Some(device(0)))));
    run.say(wrong());
    assert_eq!(run.state.codes_locked_until(run.now, &account(0), Some(device(0))), None);
}

/// When guesses were taken, if somebody guesses whenever `is_awake` says so, each second.
fn guesses(days: u64, is_awake: impl Fn(u64) -> bool) -> Vec<Timestamp> {
    let mut run = enrolled();
    let start = run.now;
    let mut taken = Vec::new();
    for second in (0..days * 86_400).filter(|second| is_awake(*second)) {
        run.now = start.plus(second * time::SECOND);
        // Every guess comes from another network and device; what is refused told nothing.
        let until = run.state.codes_locked_until(run.now, &account(0), Some(device(second)));
        if until.is_none() {
            run.say(shown(CodePurpose::Login, CodeProof::Wrong, second, Some(device(second))));
            taken.push(run.now);
        }
    }
    taken
}

/// The bound that is documented: a code of six digits with three steps in view stands for thousands of days of guessing.
#[test]
fn strangers_guess_no_more_than_documented_in_any_day() {
    let most = |taken: &[Timestamp]| {
        let in_the_day = |from: &Timestamp| {
            taken.iter().filter(|at| at.0 >= from.0 && at.since(*from) < time::DAY).count()
        };
        taken.iter().map(in_the_day).max().unwrap_or(0)
    };
    let tireless = most(&guesses(3, |_| true));
    assert_eq!(u32::try_from(tireless).unwrap(), GUESSES_A_DAY);
    // Who stops for a day so that failures are forgotten, or guesses in bursts, gets no more.
    for pause in [3_600u64, 7_200, 43_200, 86_400, 90_000] {
        let patient = most(&guesses(6, |second| second % (pause + 7_200) < 7_200));
        assert!(u32::try_from(patient).unwrap() <= GUESSES_A_DAY, "pausing {pause} s: {patient}");
    }
    // 3 of 1,000,000 codes are good at once: after a year of it, less than 4 in 100.
    assert!(u64::from(GUESSES_A_DAY) * 365 * 3 < 40_000);
}

#[test]
fn spent_codes_and_failures_stand_in_a_snapshot() {
    let mut run = at_home();
    run.say(shown(CodePurpose::Login, CodeProof::Wrong, 0, Some(device(0))));
    accepted(&login(&mut run, code(FIRST_STEP + 3)));
    let mut bytes = Vec::new();
    run.state.encode(&mut bytes);
    let back = State::decode(&bytes).unwrap();
    assert_eq!(back.hash(), run.state.hash());
    run.state = back;
    refused(&login(&mut run, code(FIRST_STEP + 3)), Refusal::CodeUsed);
}

#[test]
fn an_account_that_is_not_known_has_no_codes() {
    let mut run = enrolled();
    let events = run.say(Command::PresentCode(Box::new(PresentCode {
        account: account(7),
        purpose: CodePurpose::Login,
        proof: CodeProof::Wrong,
        source: fingerprint("network", 0),
        device: None,
    })));
    refused(&events, Refusal::AccountUnknown);
}
