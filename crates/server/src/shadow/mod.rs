//! Shadow: a candidate policy decides beside the live one on live traffic, and is compared. It decides nothing.
//!
//! The writer hands over what the live policy was asked; a thread of its own asks both policies and counts. The queue
//! between them is bounded: when it is full the writer goes on, and what was left out is counted. None of this is in the
//! journal. Pack and counts lie in the data directory, so that a restart goes on; a crash loses the last seconds of them.

mod file;
mod tally;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use holdfast_cedar::second::KeptFacts;
use holdfast_decision::command::Command;
use holdfast_decision::event::{Event, Factors};
use holdfast_decision::{State, weigh};
use holdfast_policy::Program;
use holdfast_values::{Name, Timestamp, UsdCents, WithdrawalId};

use file::Kept;
pub use tally::{Example, Opinion, Tally};

/// How many decisions may wait for the comparing thread.
const QUEUE_MAX: usize = 4_096;
/// How often the counts are written down, if there are new ones.
const KEEP_EVERY: Duration = Duration::from_secs(10);

/// Why a shadow cannot be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// Its files cannot be written.
    #[error("the shadow's files in the data directory cannot be written: {0}")]
    File(#[from] std::io::Error),
    /// None is running.
    #[error("no shadow is running")]
    NotRunning,
}

impl ShadowError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "shadow_not_kept",
            Self::NotRunning => "shadow_not_running",
        }
    }
}

/// A candidate: who set it up, when, and its pack.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The pack's hash.
    pub hash: [u8; 32],
    /// The pack.
    pub files: BTreeMap<String, String>,
    /// What decides.
    pub program: Program,
    /// Whose token asked for it.
    pub by: Name,
    /// Since when.
    pub since: Timestamp,
}

/// What runs at the moment, for those who ask.
#[derive(Clone, Debug)]
pub struct Status {
    /// Which candidate.
    pub hash: [u8; 32],
    /// Whose token asked for it.
    pub by: Name,
    /// Since when.
    pub since: Timestamp,
    /// The live policy that it was compared with last.
    pub live: Option<[u8; 32]>,
    /// What came of it.
    pub tally: Tally,
    /// Decisions that were not compared, because the comparing thread was behind.
    pub dropped: u64,
}

/// One question that the live policy was asked.
struct Seen {
    sequence: u64,
    at: Timestamp,
    withdrawal: WithdrawalId,
    account: String,
    usd_cents: Option<UsdCents>,
    live: Arc<Program>,
    facts: KeptFacts,
    requested_at: Timestamp,
    discharged: Factors,
    holds_discharged: bool,
}

/// The writer's end.
struct Tap {
    sender: SyncSender<Box<Seen>>,
    /// The live program, copied once for each policy.
    live: Option<Arc<Program>>,
}

/// What the comparing thread works on, and others look at.
struct Running {
    candidate: Arc<Candidate>,
    live: Option<[u8; 32]>,
    tally: Tally,
}

struct Inner {
    data: PathBuf,
    is_on: AtomicBool,
    dropped: AtomicU64,
    tap: Mutex<Option<Tap>>,
    running: Mutex<Option<Running>>,
}

/// At most one candidate beside the live policy. Clones share it.
#[derive(Clone)]
pub struct Shadow {
    inner: Arc<Inner>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl core::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shadow").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shadow {
    /// Goes on with the candidate that the data directory keeps, if there is one. What cannot be read is left alone and
    /// logged: a shadow keeps nothing from starting.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        let inner = Inner {
            data: data.to_owned(),
            is_on: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            tap: Mutex::new(None),
            running: Mutex::new(None),
        };
        let shadow = Self { inner: Arc::new(inner), thread: Arc::new(Mutex::new(None)) };
        match file::read(data) {
            Ok(None) => {}
            Ok(Some(Kept { candidate, tally, dropped })) => {
                shadow.inner.dropped.store(dropped, Ordering::Relaxed);
                if let Err(error) = shadow.run(candidate, tally) {
                    tracing::error!(%error, "the shadow policy is not compared");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the shadow policy's files cannot be read: it is not compared")
            }
        }
        shadow
    }

    /// Compares this candidate from now on, in the place of any other; counts start again.
    ///
    /// # Errors
    /// [`ShadowError::File`].
    pub fn start(&self, candidate: Candidate) -> Result<(), ShadowError> {
        self.end_thread();
        self.inner.dropped.store(0, Ordering::Relaxed);
        let tally = Tally::default();
        file::write_pack(&self.inner.data, &candidate)?;
        file::write_tally(&self.inner.data, &candidate.hash, &tally, 0)?;
        self.run(candidate, tally)
    }

    /// Compares no more, and forgets the counts.
    ///
    /// # Errors
    /// [`ShadowError`].
    pub fn stop(&self) -> Result<Status, ShadowError> {
        self.end_thread();
        let status = self.status().ok_or(ShadowError::NotRunning)?;
        file::remove(&self.inner.data)?;
        *lock(&self.inner.running) = None;
        Ok(status)
    }

    /// How it stands; `None` if no candidate runs.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let running = lock(&self.inner.running);
        let running = running.as_ref()?;
        Some(Status {
            hash: running.candidate.hash,
            by: running.candidate.by.clone(),
            since: running.candidate.since,
            live: running.live,
            tally: running.tally.clone(),
            dropped: self.inner.dropped.load(Ordering::Relaxed),
        })
    }

    /// Writes the counts down and ends the thread; the candidate goes on with the next start.
    pub fn close(&self) {
        self.end_thread();
    }

    /// Counts as Prometheus text; nothing while no candidate runs.
    #[must_use]
    pub fn metrics(&self) -> String {
        let Some(Status { tally, dropped, .. }) = self.status() else { return String::new() };
        let rows = [
            ("compared", "Decisions that the shadow policy was compared on.", tally.compared),
            ("tighter", "Decisions that the shadow policy makes tighter.", tally.tighter),
            ("looser", "Decisions that the shadow policy makes looser.", tally.looser),
            ("mixed", "Decisions in which it asks for more of one thing and less of another.", tally.mixed),
            ("reasons_only", "Decisions that differ in their reasons alone.", tally.reasons_only),
            ("dropped", "Decisions that were not compared because the comparing thread was behind.", dropped),
        ];
        rows.iter().fold(String::new(), |text, (name, help, count)| {
            let name = format!("holdfast_shadow_{name}_total");
            format!("{text}# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}\n")
        })
    }

    /// On the writer's thread, before the record is folded in: hands over what the live policy was asked.
    pub fn see(&self, state: &State, at: Timestamp, command: &Command, events: &[Event]) {
        if !self.inner.is_on.load(Ordering::Relaxed) || !weigh::asks_policy(command) {
            return;
        }
        let mut tap = lock(&self.inner.tap);
        let (Some(tap), Some(program)) = (tap.as_mut(), state.program()) else { return };
        if tap.live.as_ref().is_none_or(|live| live.hash() != program.hash()) {
            tap.live = Some(Arc::new(program.clone()));
        }
        let Some(live) = &tap.live else { return };
        for withdrawal in weigh::decided(state, command, events) {
            let Some(asked) = weigh::asked(state, at, (command, events), withdrawal) else { continue };
            let open = state.withdrawal(withdrawal);
            let account = match command {
                Command::RequestWithdrawal(request) => Some(request.account.to_string()),
                _ => open.and_then(|open| state.account_id(open.request.account)).map(ToString::to_string),
            };
            let usd_cents = match asked.facts.get(holdfast_policy::Fact::AmountUsdCents) {
                holdfast_policy::Value::Long(cents) => u64::try_from(cents).ok().map(UsdCents),
                _ => None,
            };
            let seen = Seen {
                sequence: state.sequence().saturating_add(1),
                at,
                withdrawal,
                account: account.unwrap_or_default(),
                usd_cents,
                live: Arc::clone(live),
                facts: KeptFacts::keep(&asked.facts),
                requested_at: asked.requested_at,
                discharged: asked.discharged,
                holds_discharged: asked.holds_discharged,
            };
            match tap.sender.try_send(Box::new(seen)) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.inner.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn run(&self, candidate: Candidate, tally: Tally) -> Result<(), ShadowError> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let candidate = Arc::new(candidate);
        let running = Running { candidate: Arc::clone(&candidate), live: None, tally };
        *lock(&self.inner.running) = Some(running);
        *lock(&self.inner.tap) = Some(Tap { sender, live: None });
        let inner = Arc::clone(&self.inner);
        let work = move || compare(&inner, &candidate, &receiver);
        let thread = std::thread::Builder::new().name("shadow".to_owned()).spawn(work)?;
        *lock(&self.thread) = Some(thread);
        self.inner.is_on.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The queue is worked off, the counts written down.
    fn end_thread(&self) {
        self.inner.is_on.store(false, Ordering::Relaxed);
        *lock(&self.inner.tap) = None;
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread that compares the shadow policy had failed");
        }
    }
}

/// The comparing thread: until the writer's end is gone.
fn compare(inner: &Inner, candidate: &Candidate, receiver: &Receiver<Box<Seen>>) {
    let mut opinions = (Opinion::default(), Opinion::default());
    let mut kept = Instant::now();
    let mut is_new = false;
    loop {
        match receiver.recv_timeout(KEEP_EVERY) {
            Ok(seen) => {
                opinions.0.form(&seen.live, &seen);
                opinions.1.form(&candidate.program, &seen);
                if let Some(running) = lock(&inner.running).as_mut() {
                    running.live = Some(seen.live.hash());
                    running.tally.take(&seen, &opinions.0, &opinions.1);
                }
                is_new = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if is_new && kept.elapsed() >= KEEP_EVERY {
            keep(inner, candidate);
            (kept, is_new) = (Instant::now(), false);
        }
    }
    keep(inner, candidate);
}

fn keep(inner: &Inner, candidate: &Candidate) {
    let tally = lock(&inner.running).as_ref().map(|running| running.tally.clone());
    let Some(tally) = tally else { return };
    let dropped = inner.dropped.load(Ordering::Relaxed);
    if let Err(error) = file::write_tally(&inner.data, &candidate.hash, &tally, dropped) {
        tracing::error!(%error, "the shadow policy's counts cannot be written down");
    }
}
