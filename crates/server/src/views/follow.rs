//! The follower: a thread that reads committed records and folds them, woken when intake has committed.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use holdfast_journal::{Head, JournalError, JournalId, LocalReader, genesis_hash};
use tokio::sync::watch;

use super::fold::Projection;
use super::{Views, ViewsError, schema};

/// The most records in one transaction: enough to be fast, few enough for lists to stay fresh.
const BATCH: usize = 1_000;
/// How long the follower waits for a signal before it looks by itself.
const LOOK: Duration = Duration::from_millis(500);
/// How long it waits after an error that may pass, such as a full disk.
const MEND: Duration = Duration::from_secs(1);

/// Tells followers that records were committed. Cheap to clone and to raise; raising never blocks.
#[derive(Clone, Debug, Default)]
pub struct Signal {
    inner: Arc<(Mutex<Raised>, Condvar)>,
}

#[derive(Debug, Default)]
struct Raised {
    committed: bool,
    stop: bool,
}

impl Signal {
    /// A signal that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something was committed.
    pub fn raise(&self) {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner).committed = true;
        self.inner.1.notify_all();
    }

    fn stop(&self) {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.inner.1.notify_all();
    }

    /// Waits for the signal or the timeout; false when it is time to stop.
    fn wait(&self, timeout: Duration) -> bool {
        let raised = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut raised, _) = self
            .inner
            .1
            .wait_timeout_while(raised, timeout, |raised| !raised.committed && !raised.stop)
            .unwrap_or_else(PoisonError::into_inner);
        raised.committed = false;
        !raised.stop
    }

    fn stopped(&self) -> bool {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner).stop
    }
}

/// Where the follower is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last record in the views.
    pub head: Head,
    /// What keeps the follower from going on, if something does.
    pub failed: Option<ViewsError>,
}

/// The thread that keeps the views. Dropping it stops the thread after its batch.
#[derive(Debug)]
pub struct Follower {
    signal: Signal,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Opens (or makes) the views in `dir`, checks them against the journal, and starts to follow it.
    ///
    /// Raise `signal` after each commit.
    ///
    /// # Errors
    /// [`ViewsError::JournalCut`] if the views have seen what the journal does not have: nothing may be served then.
    pub fn start(dir: &Path, reader: LocalReader, signal: Signal) -> Result<(Self, Arc<Views>), ViewsError> {
        let projection = open(dir, &reader)?;
        let (sender, receiver) = watch::channel(Position { head: projection.head(), failed: None });
        let views = Arc::new(Views::new(dir, receiver));
        let own = signal.clone();
        let thread = Builder::new()
            .name("views".to_owned())
            .spawn(move || follow(projection, &reader, &own, &sender))
            .map_err(|error| ViewsError::Database { path: schema::path(dir), reason: error.to_string() })?;
        Ok((Self { signal, thread: Some(thread) }, views))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.signal.stop();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Opens the views, or makes them, and compares them with the journal.
pub(super) fn open(dir: &Path, reader: &LocalReader) -> Result<Projection, ViewsError> {
    let path = schema::path(dir);
    let older = path.exists().then(|| schema::seen(&path)).transpose()?.filter(|seen| seen.is_older);
    if let Some(seen) = older {
        // Of an earlier release: what it has seen is compared with the journal before it is thrown away.
        check(seen.journal, seen.head, reader)?;
        tracing::info!(
            records = seen.head.sequence,
            "the views are of an earlier release and are folded anew"
        );
        schema::remove(&path)?;
    }
    let connection = if path.exists() {
        schema::open(&path)?
    } else {
        let genesis = Head { sequence: 0, hash: genesis_hash(reader.id()) };
        schema::create(&path, reader.id(), genesis)?
    };
    let meta = schema::meta(&connection, &path)?;
    check(meta.journal, meta.head, reader)?;
    Projection::new(&path, connection)
}

/// Refuses a journal that does not contain what the views have seen.
pub(super) fn check(journal: JournalId, head: Head, reader: &LocalReader) -> Result<(), ViewsError> {
    let seen = head.sequence;
    let cut = |found: String| Err(ViewsError::JournalCut { seen, found });
    if journal != reader.id() {
        return cut("and this journal has another id".to_owned());
    }
    if seen == 0 {
        return Ok(());
    }
    match reader.read(seen, 1)?.first().filter(|record| record.sequence == seen) {
        Some(record) if record.head() == head => Ok(()),
        Some(_) => cut("where the journal has another record".to_owned()),
        None => cut(format!("and the journal ends at {}", reader.head()?.sequence)),
    }
}

fn follow(
    mut projection: Projection,
    reader: &LocalReader,
    signal: &Signal,
    position: &watch::Sender<Position>,
) {
    loop {
        match step(&mut projection, reader) {
            Ok(0) => {
                if position.borrow().failed.is_some() {
                    position.send_replace(Position { head: projection.head(), failed: None });
                }
                if !signal.wait(LOOK) {
                    return;
                }
            }
            Ok(_) => {
                position.send_replace(Position { head: projection.head(), failed: None });
                if signal.stopped() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the views cannot follow the journal");
                position.send_replace(Position { head: projection.head(), failed: Some(error) });
                if !signal.wait(MEND) {
                    return;
                }
            }
        }
    }
}

/// Folds the next batch and says how many records it had.
pub(super) fn step(projection: &mut Projection, reader: &LocalReader) -> Result<usize, ViewsError> {
    let head = projection.head();
    let records = reader.read(head.sequence.saturating_add(1), BATCH)?;
    let Some(first) = records.first() else { return Ok(0) };
    if first.previous != head.hash {
        let found = "where the journal has another record".to_owned();
        return Err(ViewsError::JournalCut { seen: head.sequence, found });
    }
    projection.fold(&records)?;
    Ok(records.len())
}

impl ViewsError {
    /// True if the journal lacks what the views have seen.
    pub const fn is_cut(&self) -> bool {
        matches!(self, Self::JournalCut { .. } | Self::Journal(JournalError::BehindCheckpoint { .. }))
    }
}
