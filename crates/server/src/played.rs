//! The journal of a play: what a simulated exchange's core decided, record by record, in a directory that `holdfast replay`
//! and `holdfast journal verify` read like any other. It has no keys and no vault, and its first record says that its clock
//! was simulated: nobody serves from it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_decision::State;
use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_journal::{Draft, Journal as _, JournalError, LocalJournal};
use holdfast_simulator::play::Recorder;
use holdfast_values::Timestamp;

use crate::intake::draft_of;

/// How many records go to the disk at once: nobody waits for any of them.
const GROUP_RECORDS: usize = 4_096;
/// The same in bytes.
const GROUP_BYTES: usize = 8 << 20;

/// Why a play's journal cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PlayedError {
    /// What the journal says.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record that the journal does not take.
    #[error("a record is larger than the journal takes")]
    TooLarge,
}

impl PlayedError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::TooLarge => "body_too_large",
        }
    }
}

/// A journal that a play is recorded in.
#[derive(Debug)]
pub struct PlayedJournal(Arc<Mutex<Option<Inner>>>);

#[derive(Debug)]
struct Inner {
    journal: LocalJournal,
    group: Vec<Draft>,
    bytes: usize,
    failed: Option<PlayedError>,
}

struct Sink(Arc<Mutex<Option<Inner>>>);

impl PlayedJournal {
    /// Makes a journal in a directory that holds none.
    ///
    /// # Errors
    /// What the journal says.
    pub fn create(dir: &Path) -> Result<Self, PlayedError> {
        let journal = LocalJournal::create(dir)?;
        let inner = Inner { journal, group: Vec::new(), bytes: 0, failed: None };
        Ok(Self(Arc::new(Mutex::new(Some(inner)))))
    }

    /// What a play records to.
    #[must_use]
    pub fn recorder(&self) -> Box<dyn Recorder + Send> {
        Box::new(Sink(Arc::clone(&self.0)))
    }

    /// True once a record could not be written: nothing after it is.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.as_ref().is_none_or(|inner| inner.failed.is_some())
    }

    /// Writes what is left and closes the journal. Gives the number of its records.
    ///
    /// # Errors
    /// The first thing that went wrong since it was made.
    pub fn close(self) -> Result<u64, PlayedError> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut inner) = inner else { return Ok(0) };
        inner.flush();
        let records = inner.journal.head().sequence;
        let closed = inner.journal.close();
        match inner.failed {
            Some(failed) => Err(failed),
            None => closed.map(|()| records).map_err(PlayedError::from),
        }
    }
}

impl Inner {
    fn flush(&mut self) {
        if self.failed.is_none()
            && !self.group.is_empty()
            && let Err(error) = self.journal.append(&self.group)
        {
            self.failed = Some(error.into());
        }
        self.group.clear();
        self.bytes = 0;
    }
}

impl Recorder for Sink {
    fn record(&mut self, at: Timestamp, command: &Command, events: &[Event], state: &State) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(inner) = inner.as_mut().filter(|inner| inner.failed.is_none()) else { return };
        let Ok(draft) = draft_of(state, at, command, events) else {
            inner.failed = Some(PlayedError::TooLarge);
            return;
        };
        inner.bytes = inner.bytes.saturating_add(draft.command.len()).saturating_add(draft.events.len());
        inner.group.push(draft);
        if inner.group.len() >= GROUP_RECORDS || inner.bytes >= GROUP_BYTES {
            inner.flush();
        }
    }
}
