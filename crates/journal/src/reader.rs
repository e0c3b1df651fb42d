//! Reading a local journal beside its writer, or with nobody there. Changes no file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::directory::{self, Company};
use crate::wal::{self, Tail};
use crate::{Head, JournalError, JournalId, Record, chain, schema};

/// A connection that only reads. It can be sent to a thread of its own.
#[derive(Debug)]
pub struct LocalReader {
    path: PathBuf,
    connection: Connection,
    id: JournalId,
    beside_writer: bool,
    // While nobody writes, keeps it so.
    _lock: Option<File>,
}

impl LocalReader {
    /// Opens the journal in `dir` for reading: beside its writer if there is one, and otherwise so that no writer can
    /// start for as long as this value lives. Nothing in the directory is changed: it may be read-only.
    ///
    /// # Errors
    /// [`JournalError::Missing`], [`JournalError::Damaged`], or what the system says.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        match directory::company(dir)? {
            Company::Writer => Self::beside_writer(dir),
            Company::Nobody(lock) => {
                if let Tail::Torn { frame, committed: true } = wal::scan(&directory::wal(dir))?
                    && directory::read_mark(dir)?.is_none()
                {
                    let what = format!("frame {frame} does not check");
                    return Err(JournalError::Damaged { file: directory::wal(dir), what });
                }
                let reader = Self::alone(dir, lock)?;
                schema::check(&reader.connection, &reader.path)?;
                if let Some(mark) = directory::read_mark(dir)? {
                    schema::require_checkpoint(&reader.connection, &reader.path, reader.id, &mark)?;
                }
                Ok(reader)
            }
        }
    }

    /// Beside a writer, whose wal-index is shared.
    pub(crate) fn beside_writer(dir: &Path) -> Result<Self, JournalError> {
        let path = directory::database(dir);
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|e| JournalError::from_sqlite(&path, &e))?;
        Self::finish(path, connection, true, None)
    }

    /// With nobody writing: SQLite's locks and shared wal-index are left out, so that nothing is written anywhere.
    pub(crate) fn alone(dir: &Path, lock: Option<File>) -> Result<Self, JournalError> {
        let path = directory::database(dir);
        let length = fs::metadata(&path).map_err(|e| JournalError::from_io(&path, &e))?.len();
        if length == 0 {
            return Err(JournalError::Damaged { file: path, what: "it is empty".to_owned() });
        }
        let has_log = fs::metadata(directory::wal(dir)).is_ok_and(|m| m.len() > 0);
        let name = escape(&path)?;
        let uri = if has_log {
            format!("file:{name}?mode=ro&vfs=unix-none")
        } else {
            format!("file:{name}?immutable=1")
        };
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let fail = |e: rusqlite::Error| JournalError::from_sqlite(&path, &e);
        let connection = Connection::open_with_flags(uri, flags).map_err(fail)?;
        if has_log {
            // Exclusive before the first access keeps the wal-index in this process's memory.
            connection.pragma_update(None, "locking_mode", "exclusive").map_err(fail)?;
        }
        Self::finish(path, connection, false, lock)
    }

    fn finish(
        path: PathBuf,
        connection: Connection,
        beside_writer: bool,
        lock: Option<File>,
    ) -> Result<Self, JournalError> {
        schema::prepare(&connection, &path)?;
        let id = schema::journal_id(&connection, &path)?;
        Ok(Self { path, connection, id, beside_writer, _lock: lock })
    }

    /// The journal's own id.
    #[must_use]
    pub const fn id(&self) -> JournalId {
        self.id
    }

    /// Whether a writer had the journal when this was opened.
    #[must_use]
    pub const fn is_beside_writer(&self) -> bool {
        self.beside_writer
    }

    /// The last committed record, or the genesis.
    ///
    /// # Errors
    /// [`JournalError::Damaged`], or what the system says.
    pub fn head(&self) -> Result<Head, JournalError> {
        schema::head(&self.connection, &self.path, self.id)
    }

    /// As [`crate::Journal::read`].
    ///
    /// # Errors
    /// [`JournalError::Damaged`], or what the system says.
    pub fn read(&self, from: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
        schema::read(&self.connection, &self.path, self.id, from, limit)
    }

    /// All records from `from` on, checked, in bounded memory. Ends after the first error.
    #[must_use]
    pub fn records(&self, from: u64) -> Records<'_> {
        Records { reader: self, next: from.max(1), batch: Vec::new().into_iter(), last: None, done: false }
    }

    /// Shows all records from `from` on, checked as [`Self::records`] checks them, until `see` answers false. One record
    /// is in memory at a time, and its memory is used again: for those who read millions.
    ///
    /// # Errors
    /// Those of `see`, [`JournalError::Damaged`], or what the system says.
    pub fn each<E: From<JournalError>>(
        &self,
        from: u64,
        mut see: impl FnMut(&Record) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut check = chain::Follow::from(from, self.id);
        let mut next = from.max(1);
        // In parts, so that no reader holds a writer's log back for longer than one takes.
        while let Some(last) =
            schema::each(&self.connection, &self.path, (next, BATCH), &mut check, &mut see)?
        {
            next = last.saturating_add(1);
        }
        Ok(())
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// An iterator over checked records.
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a LocalReader,
    next: u64,
    batch: std::vec::IntoIter<Record>,
    last: Option<[u8; 32]>,
    done: bool,
}

/// Records fetched at a time.
const BATCH: usize = 1024;

impl Iterator for Records<'_> {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.batch.len() == 0 && !self.done {
            match self.reader.read(self.next, BATCH) {
                Ok(records) => {
                    self.done = records.is_empty();
                    self.batch = records.into_iter();
                }
                Err(e) => {
                    self.done = true;
                    return Some(Err(e));
                }
            }
        }
        let record = self.batch.next()?;
        if self.last.is_some_and(|last| last != record.previous) {
            self.done = true;
            self.batch = Vec::new().into_iter();
            let what = format!("record {} does not continue the record before it", record.sequence);
            return Some(Err(JournalError::Damaged { file: self.reader.path.clone(), what }));
        }
        self.last = Some(record.hash);
        self.next = record.sequence.saturating_add(1);
        Some(Ok(record))
    }
}

/// A path as SQLite's URIs take it.
fn escape(path: &Path) -> Result<String, JournalError> {
    let unwritable =
        || JournalError::Io { path: path.to_owned(), reason: "its path is not UTF-8".to_owned() };
    let text = path.to_str().ok_or_else(unwritable)?;
    Ok(text.replace('%', "%25").replace('?', "%3f").replace('#', "%23"))
}
