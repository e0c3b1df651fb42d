//! The one writer of a local journal: SQLite in WAL mode, one synced transaction a group.
//!
//! Lives here: opening, appending, closing. The table is in `schema.rs`, readers in `reader.rs`, the files' names, lock
//! and mark in `directory.rs`. Nothing is ever retried here: a failure ends the value's life as a writer, and opening
//! again starts from what the files say.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use crate::wal::{self, Tail};
use crate::{
    Checkpoint, Draft, Head, Journal, JournalError, JournalId, LocalReader, Record, chain, directory, schema,
};

/// After how many bytes in the write-ahead log they are carried over into the database. `docs/decisions` has the
/// measurements: larger logs stall rarer but longer, and grow the file where a small one overwrites itself.
const CHECKPOINT_BYTES: u64 = 4 << 20;

/// How durable an acknowledged group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the disk before `append` returns.
    Full,
    /// Not synced: built with the feature `unsafe-sync-off`, or on an SQLite without syncs. A power cut loses
    /// acknowledged records.
    UnsafeSyncOff,
}

/// The one writer of a journal directory.
#[derive(Debug)]
pub struct LocalJournal {
    dir: PathBuf,
    connection: Connection,
    id: JournalId,
    head: Head,
    durability: Durability,
    torn: Option<String>,
    failed: Option<String>,
    log_bytes: u64,
    buffer: Vec<u8>,
    mark: directory::Mark,
    // Dropped last: no other writer may come before the connection is closed.
    _lock: File,
}

impl LocalJournal {
    /// Makes an empty journal in `dir` (which is made if it is missing) and opens it.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is a journal already, [`JournalError::InUse`], or what the system says.
    pub fn create(dir: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(|e| JournalError::from_io(dir, &e))?;
        let lock = directory::lock(dir)?;
        let path = directory::database(dir);
        if let Some(path) = directory::files(dir).into_iter().find(|p| p.exists()) {
            return Err(JournalError::Exists { path });
        }
        Self::create_at(dir, &path, lock).inspect_err(|_| {
            // Nothing half made may be taken for a journal. None of these files was here before.
            for path in directory::files(dir) {
                let _ = fs::remove_file(path);
            }
        })
    }

    fn create_at(dir: &Path, path: &Path, lock: File) -> Result<Self, JournalError> {
        let connection = schema::connect_writer(path, true)?;
        schema::create(&connection, path, None)?;
        Self::start(dir, connection, lock, None)
    }

    /// Opens the journal in `dir` for appending. With `at_least`, a journal that does not contain that position is
    /// refused: give the highest that is known from elsewhere (a snapshot, the views, a checkpoint).
    ///
    /// # Errors
    /// [`JournalError::InUse`] if another writer or a verification has it, [`JournalError::Missing`],
    /// [`JournalError::Damaged`] if acknowledged records would be left out, [`JournalError::BehindCheckpoint`], or what
    /// the system says. A refused journal is left as it was found.
    pub fn open(dir: &Path, at_least: Option<Head>) -> Result<Self, JournalError> {
        let path = directory::database(dir);
        let length = fs::metadata(&path).map_err(|e| JournalError::from_io(&path, &e))?.len();
        if length == 0 {
            // SQLite would take this for a new database, and delete the log beside it.
            return Err(JournalError::Damaged { file: path, what: "it is empty".to_owned() });
        }
        let lock = directory::lock(dir)?;
        let mark = directory::read_mark(dir)?;
        let tail = wal::scan(&directory::wal(dir))?;
        let torn = match tail {
            Tail::Clean => None,
            // What the mark says was acknowledged is compared below, so that only an unacknowledged group can be left out.
            Tail::Torn { frame, .. } if mark.is_some() => Some(frame),
            Tail::Torn { frame, committed: false } => Some(frame),
            Tail::Torn { frame, committed: true } => {
                let what = format!(
                    "frame {frame} does not check, and no mark says whether its group was acknowledged"
                );
                return Err(JournalError::Damaged { file: directory::wal(dir), what });
            }
        };
        let torn =
            torn.map(|f| format!("the last group was never acknowledged and is left out (log frame {f} on)"));
        let connection = schema::connect_writer(&path, false)?;
        schema::check(&connection, &path)?;
        let id = schema::journal_id(&connection, &path)?;
        if let Some(mark) = mark {
            schema::require_checkpoint(&connection, &path, id, &mark)?;
        }
        if let Some(expected) = at_least {
            schema::require(&connection, &path, id, expected)?;
        }
        Self::start(dir, connection, lock, torn)
    }

    fn start(
        dir: &Path,
        connection: Connection,
        lock: File,
        torn: Option<String>,
    ) -> Result<Self, JournalError> {
        let path = directory::database(dir);
        let id = schema::journal_id(&connection, &path)?;
        let head = schema::head(&connection, &path, id)?;
        // Everything is written to the database and synced once more before anything is acknowledged on top of it: if
        // the last process saw a sync fail, the log that it left may be in the system's memory only.
        schema::carry_over(&connection, &path, true)?;
        let durability = schema::durability(&connection, &path)?;
        let mark = directory::Mark::open(dir, &Checkpoint { journal: id, head })?;
        directory::sync(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            connection,
            id,
            head,
            durability,
            torn,
            failed: None,
            log_bytes: 0,
            buffer: Vec::new(),
            mark,
            _lock: lock,
        })
    }

    /// Another connection to the same journal that only reads, for a follower on a thread of its own. It sees what is
    /// committed at the moment of each read, which may be ahead of what `append` has returned.
    ///
    /// # Errors
    /// What the system says.
    pub fn reader(&self) -> Result<LocalReader, JournalError> {
        LocalReader::beside_writer(&self.dir)
    }

    /// Whether an acknowledged group is on the disk. Anything but [`Durability::Full`] is for one test alone.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.durability
    }

    /// If a torn, never acknowledged group was left out when the journal was opened: a sentence that says so.
    #[must_use]
    pub fn left_out(&self) -> Option<&str> {
        self.torn.as_deref()
    }

    /// Why the journal takes nothing more, if an earlier write failed.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Carries the log over, syncs the mark and closes. Dropping the value instead is safe too, as a kill is: the next
    /// start then has more to carry over.
    ///
    /// # Errors
    /// What the system says. Everything acknowledged is durable all the same.
    pub fn close(self) -> Result<(), JournalError> {
        if self.failed.is_none() {
            schema::carry_over(&self.connection, &directory::database(&self.dir), true)?;
            self.mark.sync()?;
        }
        Ok(())
    }

    fn write(&mut self, group: &[Draft]) -> Result<Head, rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut head = self.head;
        {
            let mut insert = transaction.prepare_cached(schema::INSERT)?;
            for draft in group {
                let sequence = head.sequence.saturating_add(1);
                let fields = chain::Fields {
                    previous: &head.hash,
                    sequence,
                    time: draft.time,
                    rules: draft.rules,
                    policy: &draft.policy,
                    command: &draft.command,
                    events: &draft.events,
                };
                let hash = fields.hash(&mut self.buffer);
                schema::insert(&mut insert, &fields, &hash)?;
                self.log_bytes = self.log_bytes.saturating_add(self.buffer.len() as u64);
                head = Head { sequence, hash };
            }
        }
        transaction.commit()?;
        self.log_bytes = self.log_bytes.saturating_add(schema::PAGE_BYTES);
        Ok(head)
    }

    /// What follows an acknowledged group. A failure does not take the group back, but the next one is refused.
    fn after(&mut self) -> Result<(), JournalError> {
        self.mark.put(&Checkpoint { journal: self.id, head: self.head })?;
        if self.log_bytes >= CHECKPOINT_BYTES {
            // SQLite's own trigger for this hides a failed write or sync, and tries again later, when the system may
            // have forgotten what it could not write.
            self.log_bytes = schema::carry_over(&self.connection, &directory::database(&self.dir), false)?;
        }
        Ok(())
    }

    fn fail(&mut self, error: &JournalError) {
        let mut reason = String::new();
        // Writing to a string cannot fail.
        let _ = write!(reason, "{}: {error}", error.code());
        self.failed = Some(reason);
    }
}

impl Journal for LocalJournal {
    fn id(&self) -> JournalId {
        self.id
    }

    fn head(&self) -> Head {
        self.head
    }

    fn append(&mut self, group: &[Draft]) -> Result<Head, JournalError> {
        if let Some(reason) = &self.failed {
            return Err(JournalError::Unavailable { reason: reason.clone() });
        }
        chain::check_group(self.head, group)?;
        if group.is_empty() {
            return Ok(self.head);
        }
        match self.write(group) {
            Ok(head) => self.head = head,
            Err(error) => {
                let error = JournalError::from_sqlite(&directory::database(&self.dir), &error);
                self.fail(&error);
                return Err(error);
            }
        }
        if let Err(error) = self.after() {
            self.fail(&error);
        }
        Ok(self.head)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        schema::read(&self.connection, &directory::database(&self.dir), self.id, from, limit)
    }
}
