//! Sessions: what is new to an account, what policies see of it, and that showing many devices pushes no known one out.

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{Command, Evidence, PolicySource, SecurityChange, SessionFacts};
use holdfast_decision::event::Event;
use holdfast_decision::protection::{
    ApprovalFlags, Change, ChangeProtection, CredentialUse, DEVICES_MAX, NewCredential, PLACES_MAX, Place,
    Protection, RecordSession,
};
use holdfast_decision::{Refusal, State, Status};
use holdfast_policy::expr::{Comparison, Expr};
use holdfast_policy::facts::{Action, Fact};
use holdfast_policy::outcome::Degree;
use holdfast_policy::program::{Effect, Policy, PolicyMeta, Program};
use holdfast_values::{Fingerprint, Network, time};

use crate::play::Run;
use crate::world::{account, configuration, fingerprint, name, permit_all, request, usual_prices};

fn device(number: u64) -> Fingerprint {
    fingerprint("device", number)
}

fn country(letters: &[u8; 2], asn: u32) -> Place {
    Place { country: *letters, asn }
}

fn session(device: Option<Fingerprint>, place: Option<Place>) -> SessionFacts {
    SessionFacts { device, place, ..SessionFacts::default() }
}

fn says(facts: SessionFacts, credential: Option<(Fingerprint, u32)>) -> Command {
    Command::RecordSession(Box::new(RecordSession {
        account: account(0),
        facts,
        credential,
        sealed: Vec::new(),
    }))
}

fn opened(policy: PolicySource) -> Run {
    let mut run = Run::new(configuration(), policy);
    run.say(Command::OpenAccount { account: account(0), tier: name("full") });
    run
}

fn protection(run: &Run) -> &Protection {
    run.state.account(&account(0)).unwrap().protection.as_ref().unwrap()
}

/// Whether device and place were new.
fn news(run: &mut Run, facts: SessionFacts) -> (bool, bool) {
    match run.say(says(facts, None))[..] {
        [Event::SessionSeen { new_device, new_place, .. }] => (new_device, new_place),
        ref events => panic!("{events:?}"),
    }
}

#[test]
fn a_device_and_a_place_are_new_once() {
    let mut run = opened(permit_all());
    let home = country(b"MT", 12_709);
    assert_eq!(news(&mut run, session(Some(device(0)), Some(home))), (true, true));
    assert_eq!(news(&mut run, session(Some(device(0)), Some(home))), (false, false));
    assert_eq!(news(&mut run, session(Some(device(0)), Some(country(b"MT", 15_735)))), (false, true));
    assert_eq!(news(&mut run, session(Some(device(1)), Some(home))), (true, false));
    // What is not reported is not new.
    assert_eq!(news(&mut run, session(None, None)), (false, false));
    let events = run.say(Command::RecordSession(Box::new(RecordSession {
        account: account(5),
        facts: SessionFacts::default(),
        credential: None,
        sealed: Vec::new(),
    })));
    assert!(matches!(events[..], [Event::Refused { refusal: Refusal::AccountUnknown, .. }]));
}

/// Keeps guests' devices and new places waiting for two days, each under a reason of its own.
fn guests() -> PolicySource {
    let meta = |id: &str, effect| PolicyMeta { id: id.into(), effect, actions: Action::Withdraw.bit() };
    let wait = |reason: &str| Effect::Forbid { degree: Degree::Dwell(2 * time::DAY), reason: reason.into() };
    let age = Expr::Fact(Fact::SessionDeviceAgeHours);
    let young = Expr::Compare(Comparison::Less, Box::new([age, Expr::Long(24)]));
    let policies = vec![
        Policy { meta: meta("open", Effect::Permit), condition: Expr::Bool(true) },
        Policy { meta: meta("guest", wait("guest")), condition: young },
        Policy { meta: meta("abroad", wait("abroad")), condition: Expr::Fact(Fact::SessionNewPlace) },
    ];
    let program = Program::new([9; 32], policies).unwrap();
    PolicySource { hash: program.hash(), files: Vec::new(), program: program.to_bytes(), compiler: None }
}

/// The reasons that a withdrawal gets.
fn reasons(run: &mut Run, number: u64, evidence: Evidence) -> Vec<String> {
    run.say(usual_prices());
    let mut made = request(run.now, number, 0, ("BTC", Network::Bitcoin), 1_000, 5);
    made.evidence = evidence;
    let events = run.say(Command::RequestWithdrawal(Box::new(made)));
    let decided = events.iter().find_map(|event| match event {
        Event::WithdrawalDecided { decision, .. } => Some(decision),
        _ => None,
    });
    decided.expect("a decision").reasons.iter().map(|reason| reason.code.clone()).collect()
}

const fn by(facts: SessionFacts) -> Evidence {
    Evidence::Device { one_time_code: true, facts }
}

#[test]
fn policies_see_how_long_the_device_and_the_place_are_known() {
    let mut run = opened(guests());
    let home = country(b"MT", 12_709);
    let owner = session(Some(device(0)), Some(home));
    // Who reports no devices is not asked for them; who does, and names none, has an unknown one.
    assert!(reasons(&mut run, 1, Evidence::Session { one_time_code: true }).is_empty());
    assert_eq!(reasons(&mut run, 2, by(session(None, None))), ["guest"]);
    assert_eq!(reasons(&mut run, 3, by(owner)), ["guest", "abroad"]);
    run.say(says(owner, None));
    // Signing in with it does not make it the owner's, nor does the place.
    assert_eq!(reasons(&mut run, 4, by(owner)), ["guest", "abroad"]);
    run.wait(time::DAY - time::SECOND);
    assert_eq!(reasons(&mut run, 5, by(owner)), ["guest", "abroad"]);
    run.wait(time::SECOND);
    assert!(reasons(&mut run, 6, by(owner)).is_empty());
    run.say(says(session(Some(device(0)), Some(country(b"KP", 131_279))), None));
    assert_eq!(reasons(&mut run, 7, by(session(Some(device(0)), Some(country(b"KP", 131_279))))), ["abroad"]);
    assert_eq!(reasons(&mut run, 8, by(session(Some(device(1)), Some(home)))), ["guest"]);
    assert!(reasons(&mut run, 9, by(session(Some(device(0)), None))).is_empty());
}

#[test]
fn a_device_does_not_become_known_while_its_withdrawal_waits() {
    let mut run = opened(guests());
    let guest = session(Some(device(0)), None);
    run.say(says(guest, None));
    assert_eq!(reasons(&mut run, 1, by(guest)), ["guest"]);
    run.wait(30 * time::HOUR);
    run.say(usual_prices());
    // This makes every open withdrawal of the account be looked at again.
    run.say(Command::RecordSecurityChange { account: account(0), kind: SecurityChange::Password });
    let events = run.wait(time::SECOND).concat();
    let decided = events.iter().find_map(|event| match event {
        Event::WithdrawalDecided { decision, .. } => Some(decision),
        _ => None,
    });
    let decided = decided.expect("a second look");
    assert_eq!((decided.status, decided.reasons[0].code.as_str()), (Status::Dwelling, "guest"));
}

#[test]
fn a_device_that_was_forgotten_is_a_guests_again() {
    let mut run = opened(guests());
    let owner = session(Some(device(0)), None);
    run.say(says(owner, None));
    run.say(says(session(Some(device(1)), None), None));
    run.wait(2 * time::DAY);
    assert!(reasons(&mut run, 1, by(owner)).is_empty());
    run.say(Command::ChangeProtection(Box::new(ChangeProtection {
        account: account(0),
        change: Change::ForgetDevice { device: device(0) },
        approval: None,
        code: None,
        device: Some(device(1)),
    })));
    assert_eq!(reasons(&mut run, 2, by(owner)), ["guest"]);
    assert_eq!(news(&mut run, owner), (true, false));
}

#[test]
fn many_new_devices_and_places_push_no_known_one_out() {
    let mut run = opened(permit_all());
    let home = country(b"MT", 12_709);
    for number in 0..3 {
        run.say(says(session(Some(device(number)), Some(home)), None));
    }
    run.wait(time::DAY);
    for number in 0..500u32 {
        let place = country(b"KP", number);
        run.say(says(session(Some(device(1_000 + u64::from(number))), Some(place)), None));
        run.now = run.now.plus(time::SECOND);
    }
    let known = protection(&run);
    assert_eq!((known.devices.len(), known.places.len()), (DEVICES_MAX, PLACES_MAX));
    assert!((0..3).all(|number| known.devices.iter().any(|known| known.device == device(number))));
    assert!(known.places.iter().any(|known| known.place == home));
    // Of the new ones the last are left.
    assert!(known.devices.iter().any(|known| known.device == device(1_499)));
    assert_eq!(news(&mut run, session(Some(device(2)), Some(home))), (false, false));
}

fn enrol(run: &mut Run, number: u64, used_for: CredentialUse, counter: u32) -> Fingerprint {
    let credential = fingerprint("credential", number);
    let digest = |what: &str| Digest(*blake3::hash(format!("{what}{number}").as_bytes()).as_bytes());
    let new = NewCredential {
        credential,
        id: digest("id"),
        key: digest("key"),
        legacy_u2f: false,
        used_for,
        counter,
        flags: ApprovalFlags::USER_VERIFIED,
        sealed: Vec::new(),
    };
    let events = run.say(Command::ChangeProtection(Box::new(ChangeProtection {
        account: account(0),
        change: Change::AddCredential(Box::new(new)),
        approval: None,
        code: None,
        device: None,
    })));
    assert!(matches!(events[0], Event::ProtectionChanged { .. }), "{events:?}");
    credential
}

#[test]
fn a_session_names_only_a_credential_that_signs_in_and_whose_counter_rises() {
    let mut run = opened(permit_all());
    let login = enrol(&mut run, 1, CredentialUse::Login, 5);
    let approve = enrol(&mut run, 2, CredentialUse::Approve, 0);
    let seen = session(Some(device(0)), None);
    let mut refusal = |credential, counter| match run.say(says(seen, Some((credential, counter))))[..] {
        [Event::Refused { refusal, .. }] => Some(refusal),
        [Event::SessionSeen { .. }] => None,
        ref events => panic!("{events:?}"),
    };
    assert_eq!(refusal(fingerprint("credential", 9), 6), Some(Refusal::CredentialUnknown));
    assert_eq!(refusal(approve, 6), Some(Refusal::CredentialNotCounting));
    assert_eq!(refusal(login, 5), Some(Refusal::CounterWentBack));
    assert_eq!(refusal(login, 0), Some(Refusal::CounterWentBack));
    assert_eq!(refusal(login, 6), None);
    assert_eq!(refusal(login, 6), Some(Refusal::CounterWentBack));
    assert_eq!(refusal(login, 7), None);
    let known = protection(&run).devices[0];
    assert_eq!((known.device, known.credential), (device(0), Some(login)));
}

#[test]
fn devices_and_places_stand_in_a_snapshot() {
    let mut run = opened(permit_all());
    run.say(says(session(Some(device(0)), Some(country(b"MT", 1))), None));
    let mut bytes = Vec::new();
    run.state.encode(&mut bytes);
    run.state = State::decode(&bytes).unwrap();
    assert_eq!(news(&mut run, session(Some(device(0)), Some(country(b"MT", 1)))), (false, false));
}
