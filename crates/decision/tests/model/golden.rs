//! Golden journals: records as they were written once, which must fold to the same State and be decided the same way for
//! as long as there are journals like them.
//!
//! A golden journal is never changed and never written anew: a test that fails here has found a change of meaning, and
//! the change needs a new variant or a new version of the rules instead. To add one, when there are new variants:
//!
//!     HOLDFAST_GOLDEN=NAME cargo test -p holdfast-decision --test model golden_journals_hold
//!
//! writes `tests/golden/NAME.cbor`: of many random runs the one with most variants that no golden journal has yet. It
//! refuses if the file is there. The test of that name says what is still missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_decision::command::{Command, OperatorSignature, Scope};
use holdfast_decision::event::{Change, CodeProof, Event, Events, KeyCohort, KeyUse, PolicyMoveKind};
use holdfast_decision::protection::{CodePurpose, CredentialUse};
use holdfast_decision::{Act, OWNER_FREEZE, State, decide, fold};
use holdfast_values::{OperatorProof, Timestamp, time};
use minicbor::{Decode, Encode};

use crate::governance;
use crate::owner::{asymmetric, changes, new_credential, plainly, shows};
use crate::play::{Play, Run, random_run};
use crate::world::{account, fingerprint, name, operator};

/// How many commands a golden journal is made of, ticks not counted.
const STEPS: usize = 230;
/// How many random runs a new one is chosen from.
const TRIED: u64 = 1_000;

#[derive(Encode, Decode)]
struct Golden {
    #[n(0)]
    records: Vec<GoldenRecord>,
    /// Of the State after the last record.
    #[cbor(n(1), with = "minicbor::bytes")]
    state_hash: [u8; 32],
}

#[derive(Encode, Decode)]
struct GoldenRecord {
    #[n(0)]
    sequence: u64,
    #[n(1)]
    at: Timestamp,
    #[n(2)]
    command: Command,
    #[n(3)]
    events: Events,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden_journals() -> Vec<(String, Golden)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "cbor"));
    paths.sort();
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let golden: Golden = minicbor::decode(&bytes).unwrap();
        assert!(minicbor::to_vec(&golden).unwrap() == bytes, "{}: is written as it was read", path.display());
        (path.file_stem().unwrap().to_string_lossy().into_owned(), golden)
    };
    paths.iter().map(read).collect()
}

/// The number of a variant, as the record format has it.
fn number(encoded: &[u8]) -> u64 {
    let mut decoder = minicbor::Decoder::new(encoded);
    decoder.array().unwrap();
    decoder.u64().unwrap()
}

/// How many variants there are: numbers from zero on that are known.
fn variants<T: for<'b> Decode<'b, ()>>() -> u64 {
    let is_known = |number: &u64| match minicbor::decode::<T>(&minicbor::to_vec((*number, [0u8; 0])).unwrap())
    {
        Ok(_) => true,
        Err(error) => !error.is_unknown_variant(),
    };
    (0..200).take_while(is_known).count() as u64
}

/// Which variants are in some records: commands, events.
type Kinds = (BTreeSet<u64>, BTreeSet<u64>);

fn kinds<'r>(records: impl Iterator<Item = (&'r Command, &'r Events)>) -> Kinds {
    let (mut commands, mut events) = Kinds::default();
    for (command, led_to) in records {
        commands.insert(number(&minicbor::to_vec(command).unwrap()));
        events.extend(led_to.iter().map(|event| number(&minicbor::to_vec(event).unwrap())));
    }
    (commands, events)
}

/// What no golden journal has yet.
fn missing() -> Kinds {
    let journals = golden_journals();
    let records = journals.iter().flat_map(|(_, golden)| &golden.records);
    let (commands, events) = kinds(records.map(|record| (&record.command, &record.events)));
    let (known_commands, known_events) = (variants::<Command>(), variants::<Event>());
    assert!((23..200).contains(&known_commands) && (44..200).contains(&known_events));
    // Repetitions are answered and not journaled.
    let repeated = number(&minicbor::to_vec(Event::Repeated { sequence: 1 }).unwrap());
    let commands = (0..known_commands).filter(|number| !commands.contains(number)).collect();
    (commands, (0..known_events).filter(|number| *number != repeated && !events.contains(number)).collect())
}

#[test]
fn golden_journals_hold_every_command_and_event_that_can_be_journaled() {
    if let Ok(name) = std::env::var("HOLDFAST_GOLDEN") {
        add(&name);
    }
    let (commands, events) = missing();
    assert!(
        commands.is_empty() && events.is_empty(),
        "add a golden journal with commands {commands:?} and events {events:?}"
    );
}

#[test]
fn a_golden_journal_holds_a_passkey_and_what_it_signed() {
    let golden = golden_journals();
    let records = golden.iter().flat_map(|(_, golden)| &golden.records);
    let events: Vec<&Event> = records.clone().flat_map(|record| &record.events).collect();
    let is_passkey = |signatures: &[OperatorSignature]| {
        signatures.iter().any(|one| matches!(one.signature, OperatorProof::Passkey(_)))
    };
    let enrolled =
        |event: &&Event| matches!(event, Event::OperatorEnrolled(key) if key.public_key.is_passkey());
    assert!(events.iter().any(enrolled));
    for how in [PolicyMoveKind::Approved, PolicyMoveKind::Tightened, PolicyMoveKind::Restored] {
        let is_it = |event: &&Event| {
            matches!(event, Event::PolicyMoved(moved)
                if moved.how == how && is_passkey(&moved.approval.signatures))
        };
        assert!(events.iter().any(is_it), "{how:?} by a passkey");
    }
    let acts = records.filter_map(|record| match &record.command {
        Command::OperatorAct(signed) if is_passkey(&signed.signatures) => Some(signed.act.lines().act),
        _ => None,
    });
    let acts: BTreeSet<&str> = acts.collect();
    for act in
        ["enrol_operator", "resume", "approve_policy", "propose_policy", "tighten_policy", "restore_policy"]
    {
        assert!(acts.contains(act), "{act} among {acts:?}");
    }
}

#[test]
fn golden_journals_fold_to_the_recorded_state() {
    for (name, golden) in golden_journals() {
        let mut state = State::new();
        for record in &golden.records {
            fold(&mut state, record.sequence, record.at, &record.events);
        }
        assert_eq!(
            state.hash(),
            golden.state_hash,
            "{name} folds to another State: a golden journal never changes"
        );
    }
}

#[test]
fn golden_journals_are_decided_as_they_were() {
    for (name, golden) in golden_journals() {
        let mut state = State::new();
        let mut events = Events::new();
        for record in &golden.records {
            decide(&state, record.at, &record.command, &mut events);
            assert_eq!(events, record.events, "{name}, record {}: decided differently", record.sequence);
            fold(&mut state, record.sequence, record.at, &record.events);
        }
    }
}

/// What random runs say seldom, or are not long enough for: codes, a lock, a key that sleeps for a month and wakes, a
/// recovery.
fn say_what_is_seldom(run: &mut Run) {
    run.say(Command::OpenAccount { account: account(90), tier: name("full") });
    run.say(changes(plainly(90, Change::EnrolCodes { step: 10 })));
    let right = CodeProof::OneTime { revision: 1, step: 11 };
    for proof in [CodeProof::Wrong, right, right] {
        run.say(shows(90, CodePurpose::Login, proof, None));
    }
    run.say(changes(plainly(90, Change::PutApiKey(Box::new(asymmetric(90))))));
    run.say(changes(plainly(90, Change::LockSettings { days: 1 })));
    run.say(changes(plainly(90, Change::UnlockSettings)));
    run.wait(31 * time::DAY);
    let used = KeyUse { key: fingerprint("key", 90), allowed: 1, refused: 0, last_used: run.now };
    run.say(Command::RecordKeyUse { keys: vec![used] });
    run.say(Command::FreezeAccount { account: account(90), by: name(OWNER_FREEZE) });
    run.act(Act::ConfirmClock, &["alice", "bob", "carol"]);
    run.say(changes(plainly(90, Change::BeginRecovery)));
    let new = new_credential(90, CredentialUse::Approve);
    run.say(changes(plainly(90, Change::AddCredential(Box::new(new.clone())))));
    run.wait(4 * time::DAY);
    let act = Act::RecoverAccount { account: account(90), credential: new.id, key: new.key };
    run.act(act, &["alice", "bob", "carol"]);
    let cohort = KeyCohort { account: Some(account(90)), ..KeyCohort::default() };
    run.say(Command::RevokeApiKeys { cohort: Box::new(cohort), by: name("dora") });
}

/// Everything that changes the rules of the house, from a proposal to a policy that is restored.
fn govern(mut run: Run) -> Run {
    let mut slow = run.state.configuration().clone();
    (slow.parameters.loosening_delay, slow.parameters.resume_delay) = (None, None);
    let all = ["alice", "bob", "carol"];
    run.act(Act::ActivateRules(3), &all);
    run.act(Act::ConfirmClock, &all);
    run.act(Act::Configure(Box::new(slow)), &all);
    run.wait(3 * time::HOUR);
    let (from, to) = (governance::base(), governance::stopping());
    let none = run.state.policy().clone();
    run.act(governance::propose(from.clone(), &none), &["alice"]);
    run.act(governance::propose(to.clone(), &none), &["bob"]);
    let events = run.act(governance::approve(&to, &none, "bob"), &["alice", "carol"]);
    run.say(Command::StopAct { act: governance::scheduled(&events), by: name("dora") });
    run.act(governance::approve(&from, &none, "alice"), &["bob", "carol"]);
    run.act(governance::approve(&to, &none, "bob"), &["alice", "carol"]);
    run.wait(time::DAY);
    run.act(governance::tighten(to.clone(), &from), &["carol"]);
    run.wait(time::HOUR);
    run.act(governance::restore(&from, &to), &["alice", "bob"]);
    run
}

/// What operators with passkeys sign: alone, beside a key of the other kind, over acts that wait, and that end them.
fn with_passkeys(mut run: Run) -> Run {
    let two = ["carol", "dave"];
    run.act(Act::ActivateRules(3), &["alice", "bob", "carol"]);
    run.act(Act::ConfirmClock, &["alice", "bob", "carol"]);
    run.act(Act::EnrolOperator(operator("dave")), &["alice", "carol"]);
    run.wait(3 * time::DAY);
    run.say(Command::Halt { scope: Scope::Overall, by: name("dora") });
    run.act(Act::Resume(Scope::Overall), &two);
    let (from, to) = (governance::base(), governance::stopping());
    let none = run.state.policy().clone();
    run.act(governance::propose(from.clone(), &none), &["alice"]);
    run.act(governance::approve(&from, &none, "alice"), &two);
    run.wait(2 * time::DAY);
    run.act(governance::propose(to.clone(), &from), &["dave"]);
    run.act(governance::tighten(to.clone(), &from), &["dave"]);
    run.act(governance::restore(&from, &to), &["carol", "bob"]);
    run.act(Act::RevokeOperator(name("dave")), &["alice", "carol"]);
    run
}

/// Writes a golden journal that is not there yet.
fn add(name: &str) {
    std::fs::create_dir_all(folder()).unwrap();
    let path = folder().join(format!("{name}.cbor"));
    assert!(!path.exists(), "{} is there, and a golden journal never changes", path.display());
    let missing = missing();
    let adds = |run: &Run| {
        let found = kinds(run.records.iter().map(|record| (&record.command, &record.events)));
        found.0.intersection(&missing.0).count() + found.1.intersection(&missing.1).count()
    };
    let runs = (1..=TRIED).map(|seed| random_run(Play::new(seed, false), STEPS));
    let mut run = runs.max_by_key(adds).unwrap();
    if name.starts_with("governance") {
        run = govern(random_run(Play::new(3, false), STEPS / 4));
    } else if name.starts_with("passkeys") {
        run = with_passkeys(random_run(Play::new(4, false), STEPS / 8));
    } else {
        say_what_is_seldom(&mut run);
    }
    let records = run.records.into_iter().map(|record| GoldenRecord {
        sequence: record.sequence,
        at: record.at,
        command: record.command,
        events: record.events,
    });
    let golden = Golden { records: records.collect(), state_hash: run.state.hash() };
    std::fs::write(&path, minicbor::to_vec(&golden).unwrap()).unwrap();
}
