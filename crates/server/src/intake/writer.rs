//! The writer: takes jobs in order, stamps them, ticks when deadlines have come, and hands groups over. While one group
//! is being synced the next one is decided; no further.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use holdfast_decision::command::Command;
use holdfast_decision::{State, next_deadline};
use holdfast_values::Timestamp;

use crate::clock::Clock;
use crate::shadow::Shadow;

use super::committer::{Batch, Committer, answer};
use super::desk::Group;
use super::recover::{self, Recovered};
use super::{Desk, GROUP_MAX, Job, Message, Options, Published, Shared, Unavailable};

/// How often the clock is looked at when nothing happens.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// How often a broken journal is tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The most ticks before a job is looked at again.
const TICKS_MAX: usize = 16;

/// What exists while the journal can be written.
struct Core {
    state: State,
    committer: Committer,
    snapshot_at: u64,
    snapshot: Option<std::thread::JoinHandle<()>>,
}

pub(super) struct Writer {
    options: Options,
    clock: Clock,
    shared: Arc<Shared>,
    own: mpsc::Sender<Message>,
    inbox: mpsc::Receiver<Message>,
    backlog: VecDeque<Box<dyn Job>>,
    group: Group,
    committing: bool,
    stopping: bool,
    core: Option<Core>,
    failure: String,
    probe_at: Instant,
}

impl Writer {
    pub(super) fn new(
        options: Options,
        clock: Clock,
        shared: Arc<Shared>,
        own: mpsc::Sender<Message>,
        inbox: mpsc::Receiver<Message>,
    ) -> Self {
        Self {
            options,
            clock,
            shared,
            own,
            inbox,
            backlog: VecDeque::new(),
            group: Group::default(),
            committing: false,
            stopping: false,
            core: None,
            failure: String::new(),
            probe_at: Instant::now(),
        }
    }

    pub(super) fn run(mut self, recovered: Recovered) {
        if let Err(error) = self.begin(recovered) {
            tracing::error!(%error, "the committer cannot be started");
            return;
        }
        loop {
            self.receive();
            if self.core.is_some() {
                self.work();
            } else {
                self.mend();
            }
            if self.stopping && self.is_done() {
                self.end();
                return;
            }
        }
    }

    fn is_done(&self) -> bool {
        self.core.is_none() || (self.backlog.is_empty() && self.group.is_empty() && !self.committing)
    }

    /// Takes over a recovered core; its first record says that nobody was listening until now.
    fn begin(&mut self, recovered: Recovered) -> std::io::Result<()> {
        let Recovered { mut state, journal, snapshot_at } = recovered;
        let committer = Committer::spawn(journal, Arc::clone(&self.shared), self.own.clone())?;
        let (now, _) = self.clock.read();
        let last = state.time();
        decide_alone(
            (&mut state, &mut self.group, self.shared.shadow.as_ref()),
            last.max(now),
            &Command::Start,
        );
        let behind = last.since(now);
        if behind > crate::clock::STEP_MAX {
            tracing::error!(micros = behind, "the wall clock is behind the journal's last record");
            decide_alone(
                (&mut state, &mut self.group, self.shared.shadow.as_ref()),
                last,
                &Command::SuspectClock { step: behind },
            );
        }
        self.shared.durable.send_replace(state.sequence().saturating_sub(self.drafts()));
        self.shared.publish(Arc::new(Published::of(&state)));
        if let Some(keeper) = self.shared.keeper.get() {
            keeper.replace(&state);
        }
        self.shared.healthy.store(true, Ordering::Relaxed);
        self.core = Some(Core { state, committer, snapshot_at, snapshot: None });
        self.hand_over();
        Ok(())
    }

    fn drafts(&self) -> u64 {
        u64::try_from(self.group.drafts.len()).unwrap_or(u64::MAX)
    }

    fn is_full(&self) -> bool {
        self.group.drafts.len() >= GROUP_MAX || self.group.replies.len() >= GROUP_MAX
    }

    /// Takes everything that has arrived; waits for something if there is nothing to do.
    fn receive(&mut self) {
        if self.backlog.is_empty() || (self.is_full() && self.committing) {
            let wait = self.wait();
            match self.inbox.recv_timeout(wait) {
                Ok(message) => self.take(message),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // Cannot happen while this writer holds a sender of its own.
                Err(mpsc::RecvTimeoutError::Disconnected) => self.stopping = true,
            }
        }
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
    }

    fn wait(&mut self) -> Duration {
        if self.stopping {
            return Duration::from_millis(1);
        }
        let Some(core) = &self.core else { return PROBE_EVERY };
        let Some(deadline) = next_deadline(&core.state) else { return IDLE_MAX };
        let now = self.clock.now();
        self.clock.until(now, deadline).clamp(Duration::from_millis(1), IDLE_MAX)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Job(job) => self.backlog.push_back(job),
            Message::Committed => self.committing = false,
            Message::Failed(reason) => self.fail(reason),
            Message::Stop => self.stopping = true,
        }
    }

    /// Decides what has arrived, as far as one group goes.
    fn work(&mut self) {
        self.watch_clock();
        self.tick();
        while !self.is_full() {
            let Some(job) = self.backlog.pop_front() else { break };
            self.tick();
            let now = self.clock.now();
            let Some(core) = &mut self.core else { return job.refuse(Unavailable::Stopping) };
            let at = core.state.time().max(now);
            let mut desk = Desk {
                state: &mut core.state,
                group: &mut self.group,
                at,
                shadow: self.shared.shadow.as_ref(),
            };
            let reply = job.run(&mut desk);
            self.group.replies.push(reply);
        }
        self.snapshot_if_due();
        if !self.committing {
            self.hand_over();
        }
    }

    fn watch_clock(&mut self) {
        let (now, step) = self.clock.read();
        let Some(step) = step else { return };
        let Some(core) = &mut self.core else { return };
        tracing::error!(micros = step, "the wall clock moved against the monotonic clock: deadlines stop");
        let at = core.state.time().max(now);
        decide_alone(
            (&mut core.state, &mut self.group, self.shared.shadow.as_ref()),
            at,
            &Command::SuspectClock { step },
        );
    }

    /// Logs ticks until no deadline is due.
    fn tick(&mut self) {
        for _ in 0..TICKS_MAX {
            let now = self.clock.now();
            let Some(core) = &mut self.core else { return };
            let at = core.state.time().max(now);
            match next_deadline(&core.state) {
                Some(deadline) if deadline <= at => {}
                _ => return,
            }
            if !decide_alone(
                (&mut core.state, &mut self.group, self.shared.shadow.as_ref()),
                at,
                &Command::Tick,
            ) {
                tracing::error!("a deadline is due and a tick changes nothing");
                return;
            }
        }
    }

    /// Gives the group to the committer, or answers at once what needs no disk.
    fn hand_over(&mut self) {
        if self.group.is_empty() {
            return;
        }
        let Some(core) = &self.core else { return };
        let Group { drafts, replies, publish, gate } = std::mem::take(&mut self.group);
        if drafts.is_empty() {
            // Everything before these reads is durable: no group is on its way.
            return answer(replies, &Ok(()));
        }
        let publish = publish.then(|| Arc::new(Published::of(&core.state)));
        self.committing = true;
        if let Err(mpsc::SendError(batch)) =
            core.committer.batches.send(Batch { drafts, replies, publish, gate })
        {
            answer(batch.replies, &Err(Unavailable::Journal("the committer has ended".into())));
        }
    }

    /// A group could not be written: State knows more than the disk and is dropped.
    fn fail(&mut self, reason: String) {
        self.shared.healthy.store(false, Ordering::Relaxed);
        self.shared.metrics.journal_failures.increment();
        let group = std::mem::take(&mut self.group);
        answer(group.replies, &Err(Unavailable::Journal(reason.clone())));
        self.failure = reason;
        self.committing = false;
        self.probe_at = Instant::now() + PROBE_EVERY;
        if let Some(core) = self.core.take() {
            drop(core.committer.batches);
            let _failed_anyway = core.committer.thread.join();
        }
    }

    /// Refuses jobs, and tries whether the disk can be written again.
    fn mend(&mut self) {
        for job in self.backlog.drain(..) {
            job.refuse(Unavailable::Journal(self.failure.clone()));
        }
        if self.stopping || Instant::now() < self.probe_at {
            return;
        }
        self.probe_at = Instant::now() + PROBE_EVERY;
        if let Err(error) = probe(&self.options.data) {
            tracing::warn!(%error, "the data directory still cannot be written");
            return;
        }
        match recover::recover(&self.options.data) {
            Ok(recovered) => match self.begin(recovered) {
                Ok(()) => tracing::info!("the journal can be written again; the core was rebuilt"),
                Err(error) => tracing::error!(%error, "the committer cannot be started"),
            },
            Err(error) => {
                self.failure = error.to_string();
                tracing::error!(code = error.code(), %error, "the core cannot be rebuilt yet");
            }
        }
    }

    fn snapshot_if_due(&mut self) {
        let Some(core) = &mut self.core else { return };
        let written = core.state.sequence().saturating_sub(core.snapshot_at);
        if written < self.options.snapshot_every.max(1) {
            return;
        }
        if core.snapshot.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        self.snapshot();
    }

    /// Encodes State as of its last record, logs its hash in the next one, and lets a thread write the file. The file
    /// counts only once that record is in the journal, so their order on the disk does not matter.
    fn snapshot(&mut self) {
        let now = self.clock.now();
        let Some(core) = &mut self.core else { return };
        let sequence = core.state.sequence();
        let started = Instant::now();
        let snapshot = recover::snapshot_of(&core.state);
        let at = core.state.time().max(now);
        let command = Command::RecordSnapshot { sequence, state_hash: snapshot.state_hash };
        decide_alone((&mut core.state, &mut self.group, self.shared.shadow.as_ref()), at, &command);
        core.snapshot_at = core.state.sequence();
        let bytes = snapshot.state.len();
        tracing::info!(sequence, bytes, ms = started.elapsed().as_millis(), "snapshot taken");
        let data = self.options.data.clone();
        let write = move || {
            if let Err(error) = recover::write_snapshot(&data, &snapshot) {
                tracing::error!(%error, sequence, "the snapshot cannot be written; the journal has everything");
            }
        };
        match std::thread::Builder::new().name("snapshot".into()).spawn(write) {
            Ok(thread) => core.snapshot = Some(thread),
            Err(error) => tracing::error!(%error, "no thread for the snapshot"),
        }
    }

    /// Graceful end: a last snapshot, so that the next start need not fold.
    fn end(&mut self) {
        let Some(core) = &self.core else { return };
        // More than the record of the last snapshot itself.
        if core.state.sequence() > core.snapshot_at {
            self.snapshot();
            self.hand_over();
        }
        let Some(core) = self.core.take() else { return };
        drop(core.committer.batches);
        let committed = core.committer.thread.join();
        let written = core.snapshot.map_or(Ok(()), std::thread::JoinHandle::join);
        if committed.is_err() || written.is_err() {
            tracing::error!("a thread failed while the server was stopping");
        }
        for job in self.backlog.drain(..) {
            job.refuse(Unavailable::Stopping);
        }
    }
}

/// Decides a command that nobody waits for; true if it became a record.
fn decide_alone(
    (state, group, shadow): (&mut State, &mut Group, Option<&Shadow>),
    at: Timestamp,
    command: &Command,
) -> bool {
    let before = state.sequence();
    if let Err(problem) = (Desk { state, group, at, shadow }).decide(command) {
        tracing::error!(code = problem.code(), "a record of intake's own was refused");
    }
    state.sequence() > before
}

/// Whether the data directory takes and syncs a write.
fn probe(data: &std::path::Path) -> std::io::Result<()> {
    let path = data.join("probe");
    let mut file = File::create(&path)?;
    // As much as a group and its bookkeeping may need, so that a disk with a few free bytes does not flap.
    file.write_all(&[0; 64 * 1024])?;
    file.sync_all()?;
    drop(file);
    std::fs::remove_file(path)
}
