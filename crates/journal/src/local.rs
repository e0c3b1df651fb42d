//! The journal in one local SQLite file: WAL, `synchronous=FULL`, one transaction a group.
//!
//! Lives here: the single writer and the read-only readers. The table is in `schema.rs`, the chain in `chain.rs`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::{Draft, Head, Journal, JournalError, JournalId, Record, chain, schema};

/// How durable an acknowledged group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the disk before `append` returns.
    Full,
    /// Not synced: built with the feature `unsafe-sync-off`. A power cut loses acknowledged records.
    UnsafeSyncOff,
}

/// The one writer of a journal directory.
#[derive(Debug)]
pub struct LocalJournal {
    dir: PathBuf,
    connection: Connection,
    id: JournalId,
    head: Head,
    failed: Option<String>,
    buffer: Vec<u8>,
    // Held for as long as this value lives; the operating system lets go of it when the process dies.
    _lock: File,
}

impl LocalJournal {
    /// Makes an empty journal in `dir` (which is made if it is missing) and opens it.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is a journal already.
    pub fn create(dir: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(|e| JournalError::from_io(dir, &e))?;
        let lock = lock(dir)?;
        let path = schema::path(dir);
        if path.exists() {
            return Err(JournalError::Exists { path });
        }
        let connection = connect_writer(&path, OpenFlags::SQLITE_OPEN_CREATE)?;
        schema::create(&connection, &path)?;
        sync_dir(dir)?;
        Self::start(dir, connection, lock)
    }

    /// Opens the journal in `dir` for appending. With `at_least`, a journal that does not contain that position is
    /// refused.
    ///
    /// # Errors
    /// [`JournalError::InUse`] if another writer has it, [`JournalError::Missing`], [`JournalError::Damaged`],
    /// [`JournalError::BehindCheckpoint`], or what the system says.
    pub fn open(dir: &Path, at_least: Option<Head>) -> Result<Self, JournalError> {
        let path = schema::path(dir);
        if !path.exists() {
            return Err(JournalError::Missing { path });
        }
        let lock = lock(dir)?;
        let connection = connect_writer(&path, OpenFlags::empty())?;
        schema::check(&connection, &path)?;
        let journal = Self::start(dir, connection, lock)?;
        if let Some(expected) = at_least {
            schema::require(&journal.connection, &path, journal.id, expected)?;
        }
        Ok(journal)
    }

    fn start(dir: &Path, connection: Connection, lock: File) -> Result<Self, JournalError> {
        let path = schema::path(dir);
        let id = schema::journal_id(&connection, &path)?;
        let head = schema::head(&connection, &path, id)?;
        connection.set_prepared_statement_cache_capacity(16);
        Ok(Self { dir: dir.to_owned(), connection, id, head, failed: None, buffer: Vec::new(), _lock: lock })
    }

    /// Another connection to the same journal that only reads, for a follower on a thread of its own. It sees what is
    /// committed at the moment of each read.
    ///
    /// # Errors
    /// What the system says.
    pub fn reader(&self) -> Result<LocalReader, JournalError> {
        LocalReader::connect(&self.dir)
    }

    /// Whether an acknowledged group is on the disk. Anything but [`Durability::Full`] is for one test alone.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        if cfg!(feature = "unsafe-sync-off") { Durability::UnsafeSyncOff } else { Durability::Full }
    }

    fn write(&mut self, group: &[Draft]) -> Result<Head, rusqlite::Error> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
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
                head = Head { sequence, hash };
            }
        }
        transaction.commit()?;
        Ok(head)
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
            Ok(head) => {
                self.head = head;
                Ok(head)
            }
            Err(error) => {
                let error = JournalError::from_sqlite(&schema::path(&self.dir), &error);
                self.failed = Some(error.to_string());
                Err(error)
            }
        }
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        schema::read(&self.connection, &schema::path(&self.dir), self.id, from, limit)
    }
}

/// A read-only connection to a journal.
#[derive(Debug)]
pub struct LocalReader {
    path: PathBuf,
    connection: Connection,
    id: JournalId,
}

impl LocalReader {
    fn connect(dir: &Path) -> Result<Self, JournalError> {
        let path = schema::path(dir);
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|e| JournalError::from_sqlite(&path, &e))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(|e| JournalError::from_sqlite(&path, &e))?;
        let id = schema::journal_id(&connection, &path)?;
        Ok(Self { path, connection, id })
    }

    /// The journal's own id.
    #[must_use]
    pub const fn id(&self) -> JournalId {
        self.id
    }

    /// The last committed record, or the genesis.
    ///
    /// # Errors
    /// [`JournalError::Damaged`], or what the system says.
    pub fn head(&self) -> Result<Head, JournalError> {
        schema::head(&self.connection, &self.path, self.id)
    }

    /// As [`Journal::read`].
    ///
    /// # Errors
    /// [`JournalError::Damaged`], or what the system says.
    pub fn read(&self, from: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        schema::read(&self.connection, &self.path, self.id, from, limit)
    }
}

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

fn connect_writer(path: &Path, extra: OpenFlags) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.pragma_update(None, "page_size", schema::PAGE_SIZE).map_err(fail)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(fail)?;
    let synchronous = if cfg!(feature = "unsafe-sync-off") { "off" } else { "full" };
    connection.pragma_update(None, "synchronous", synchronous).map_err(fail)?;
    Ok(connection)
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| JournalError::from_io(&path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(JournalError::from_io(&path, &e)),
    }
}

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| JournalError::from_io(dir, &e))
}
