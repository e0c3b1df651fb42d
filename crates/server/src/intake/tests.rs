//! Intake over a real journal: the clock steps, the queue is full, snapshots are edited, records are from the future.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Instant;

use holdfast_decision::acts::Act;
use holdfast_decision::command::{
    Command, Initialise, OperatorAct, OperatorKey, OperatorSignature, PolicySource, TokenScopes, TokenSpec,
};
use holdfast_decision::decide;
use holdfast_journal::{Draft, Journal as _, LocalJournal, Snapshots};
use holdfast_policy::Program;
use holdfast_values::texts::{Nonce, OperatorText, Seconds, Window};
use holdfast_values::{OperatorProof, OperatorPublicKey, Timestamp};

use super::*;

struct World {
    dir: PathBuf,
    skew: Arc<AtomicI64>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.dir);
    }
}

fn operators() -> Vec<OperatorKey> {
    [("alice", 1), ("bob", 2)]
        .map(|(name, key)| OperatorKey {
            name: name.parse().unwrap(),
            public_key: OperatorPublicKey::Ed25519([key; 32]),
        })
        .into()
}

impl World {
    /// A journal with its first record.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("holdfast-intake-{}-{number}", std::process::id()));
        let program = Program::permit_all();
        let first = Command::Initialise(Box::new(Initialise {
            exchange: "harbor.example".into(),
            simulated_clock: false,
            operators: operators(),
            configuration: exchange::parse(include_str!("../../../../examples/harbor.toml")).unwrap(),
            policy: PolicySource {
                hash: program.hash(),
                files: Vec::new(),
                program: program.to_bytes(),
                compiler: None,
            },
            token: TokenSpec {
                client: "init".parse().unwrap(),
                token_hash: [7; 32],
                scopes: TokenScopes::READ,
            },
            rules: None,
        }));
        let world = Self { dir, skew: Arc::new(AtomicI64::new(0)) };
        let (state, at) = (State::new(), crate::clock::wall_now());
        let mut events = Vec::new();
        decide(&state, at, &first, &mut events);
        let draft = draft_of(&state, at, &first, &events).unwrap();
        let mut journal = LocalJournal::create(&world.dir).unwrap();
        journal.append(&[draft]).unwrap();
        journal.close().unwrap();
        world
    }

    fn path(&self) -> &Path {
        &self.dir
    }

    fn intake(&self, queue_max: usize) -> Intake {
        let options = Options { data: self.dir.clone(), queue_max, snapshot_every: 1_000_000 };
        let wall = crate::clock::wall_now().0.saturating_add_signed(self.skew.load(Ordering::SeqCst));
        let clock = Clock::Moved { reference: (wall, Instant::now()), skew: Arc::clone(&self.skew) };
        let recovered = recover(&self.dir).unwrap();
        Intake::start(options, recovered, clock, Arc::default(), Signal::new(), None).unwrap()
    }

    fn skew_seconds(&self, seconds: i64) {
        self.skew.store(seconds * 1_000_000, Ordering::SeqCst);
    }
}

/// Intake, and a runtime to ask it.
struct Asking<'a>(&'a Intake, tokio::runtime::Runtime);

impl<'a> Asking<'a> {
    fn new(intake: &'a Intake) -> Self {
        Self(intake, tokio::runtime::Builder::new_current_thread().build().unwrap())
    }

    fn ask<T: Send + 'static>(&self, job: impl FnOnce(&mut Desk<'_>) -> T + Send + 'static) -> T {
        self.1.block_on(self.0.ask(job)).unwrap().value
    }

    fn is_suspect(&self) -> bool {
        self.ask(|desk| desk.state().is_clock_suspect())
    }

    fn time(&self) -> Timestamp {
        self.ask(|desk| desk.time())
    }

    fn open_account(&self, name: &str) {
        let command = Command::OpenAccount { account: name.parse().unwrap(), tier: "full".parse().unwrap() };
        self.ask(move |desk| desk.decide(&command).unwrap().accepted().map(|_| ())).unwrap();
    }

    fn confirm_clock(&self) {
        let from = Seconds::floor(self.time());
        let text = OperatorText {
            exchange: "harbor.example".parse().unwrap(),
            act: "confirm_clock".parse().unwrap(),
            target: "-".parse().unwrap(),
            detail: "-".parse().unwrap(),
            payload: None,
            window: Window::new(from, Seconds::floor(from.timestamp().plus(60_000_000))).unwrap(),
            nonce: Nonce([9; 32]),
        };
        let signatures = operators()
            .into_iter()
            .map(|operator| OperatorSignature { operator, signature: OperatorProof::Ed25519([0; 64]) })
            .collect();
        let act = OperatorAct { text: text.to_string(), signatures, act: Act::ConfirmClock };
        let command = Command::OperatorAct(Box::new(act));
        self.ask(move |desk| desk.decide(&command).unwrap().accepted().map(|_| ())).unwrap();
    }
}

#[test]
fn stepped_clock_is_suspect_until_operators_confirm_it() {
    let world = World::new();
    let intake = world.intake(10);
    let asking = Asking::new(&intake);
    world.skew_seconds(4);
    assert!(!asking.is_suspect(), "within five seconds");
    world.skew_seconds(4_000);
    assert!(asking.is_suspect());
    let ahead = asking.time();
    asking.confirm_clock();
    assert!(!asking.is_suspect());
    world.skew_seconds(0);
    assert!(asking.is_suspect(), "and back again");
    assert!(asking.time() >= ahead, "time never goes back");
    intake.stop();

    // A clock behind the last record at the start is as bad.
    world.skew_seconds(-3_600);
    let intake = world.intake(10);
    let asking = Asking::new(&intake);
    assert!(asking.is_suspect());
    assert!(asking.time() >= ahead);
    intake.stop();
}

#[test]
fn full_queue_refuses_at_once() {
    let world = World::new();
    let intake = world.intake(1);
    let (release, wait) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel::<()>();
    let busy = intake.clone();
    let thread = std::thread::spawn(move || {
        Asking::new(&busy).ask(move |_| {
            started.send(()).unwrap();
            wait.recv().unwrap();
        });
    });
    running.recv().unwrap();
    let asking = Asking::new(&intake);
    assert_eq!(asking.1.block_on(intake.ask(|_| ())).unwrap_err(), Unavailable::Overloaded);
    release.send(()).unwrap();
    thread.join().unwrap();
    asking.ask(|_| ());
    intake.stop();
    assert_eq!(asking.1.block_on(intake.ask(|_| ())).unwrap_err(), Unavailable::Stopping);
}

#[test]
fn refused_commands_are_journaled_and_repeats_are_not() {
    let world = World::new();
    let intake = world.intake(10);
    let asking = Asking::new(&intake);
    asking.open_account("ac_1");
    let before = asking.ask(|desk| desk.state().sequence());
    let command = Command::OpenAccount { account: "ac_1".parse().unwrap(), tier: "full".parse().unwrap() };
    let refused = asking.ask(move |desk| desk.decide(&command).unwrap().accepted().unwrap_err());
    assert_eq!(refused.code(), "account_exists");
    assert_eq!(asking.ask(|desk| desk.state().sequence()), before + 1);
    let freeze = Command::FreezeAccount { account: "ac_1".parse().unwrap(), by: "desk".parse().unwrap() };
    for _ in 0..2 {
        let freeze = freeze.clone();
        asking.ask(move |desk| desk.decide(&freeze).unwrap().accepted().map(|_| ())).unwrap();
    }
    assert_eq!(asking.ask(|desk| desk.state().sequence()), before + 2, "nothing to do, nothing recorded");
    intake.stop();
}

#[test]
fn recovery_gives_the_same_state_from_a_snapshot_and_from_the_beginning() {
    let world = World::new();
    let intake = world.intake(10);
    let asking = Asking::new(&intake);
    for number in 0..20 {
        asking.open_account(&format!("ac_{number}"));
    }
    intake.stop();
    let from_snapshot = recover(world.path()).unwrap();
    assert!(from_snapshot.snapshot_at > 0);
    let hash = from_snapshot.state.hash();
    drop(from_snapshot);
    std::fs::remove_dir_all(world.path().join("snapshots")).unwrap();
    let folded = recover(world.path()).unwrap();
    assert_eq!((folded.snapshot_at, folded.state.hash()), (0, hash));
}

#[test]
fn edited_snapshots_are_refused() {
    let world = World::new();
    let intake = world.intake(10);
    Asking::new(&intake).open_account("ac_1");
    intake.stop();
    let genuine = recover(world.path()).unwrap();
    let (hash, sequence) = (genuine.state.hash(), genuine.snapshot_at);
    let record = genuine.journal.read(sequence, 1).unwrap().remove(0);
    drop(genuine);

    // A byte of the file.
    let snapshots = Snapshots::new(world.path());
    let path = snapshots.path(sequence);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let recovered = recover(world.path()).unwrap();
    assert_eq!(
        (recovered.snapshot_at, recovered.state.hash()),
        (0, hash),
        "folded from the beginning instead"
    );
    drop(recovered);

    // A well-formed file with a State that the journal does not vouch for.
    std::fs::remove_file(&path).unwrap();
    let mut forged = Vec::new();
    State::new().encode(&mut forged);
    snapshots.write(record.head(), &forged).unwrap();
    let recovered = recover(world.path()).unwrap();
    assert_eq!((recovered.snapshot_at, recovered.state.hash()), (0, hash));
}

#[test]
fn events_of_a_later_release_stop_the_start() {
    let world = World::new();
    let mut journal = LocalJournal::open(world.path(), None).unwrap();
    let time = crate::clock::wall_now().0;
    // One event of variant 9999 without fields.
    let events = vec![0x81, 0x82, 0x19, 0x27, 0x0f, 0x80];
    let command = minicbor::to_vec(Command::Tick).unwrap();
    journal.append(&[Draft { time, rules: 1, policy: [0; 32], command, events }]).unwrap();
    journal.close().unwrap();
    let error = recover(world.path()).unwrap_err();
    assert_eq!(error.code(), "event_unknown");
    assert!(error.to_string().starts_with("record 2 holds an event that this holdfast"), "{error}");
}
