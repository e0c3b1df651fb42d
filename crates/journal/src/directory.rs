//! The journal's files in a data directory: their names, the lock, the mark of what was acknowledged.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Checkpoint, JournalError};

/// The journal itself. Never open it but through SQLite in a process that has it open: closing any descriptor of a file
/// drops all of the process's POSIX locks on it, and with them what keeps another process from removing the log.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// SQLite's write-ahead log beside it.
pub(crate) fn wal(dir: &Path) -> PathBuf {
    dir.join("journal.db-wal")
}

/// The journal's own mark of the last group that it acknowledged.
pub(crate) fn acknowledged(dir: &Path) -> PathBuf {
    dir.join("journal.acknowledged")
}

/// Every file that belongs to the journal itself.
pub(crate) fn files(dir: &Path) -> [PathBuf; 4] {
    [database(dir), wal(dir), dir.join("journal.db-shm"), acknowledged(dir)]
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// Takes the directory for one writer. The operating system lets go of it when the file is closed or the process dies.
pub(crate) fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = lock_path(dir);
    let fail = |e: io::Error| JournalError::from_io(&path, &e);
    let file =
        File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(fail(e)),
    }
}

/// Who else is at the directory.
pub(crate) enum Company {
    /// A writer has it.
    Writer,
    /// Nobody, and no writer can come while the lock is held (none where there is no lock file, as in a copy).
    Nobody(Option<File>),
}

/// Looks whether a writer has the directory, and keeps writers out if not. Writes nothing.
pub(crate) fn company(dir: &Path) -> Result<Company, JournalError> {
    let path = lock_path(dir);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Company::Nobody(None)),
        Err(e) => return Err(JournalError::from_io(&path, &e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Company::Nobody(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Company::Writer),
        Err(TryLockError::Error(e)) => Err(JournalError::from_io(&path, &e)),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| JournalError::from_io(dir, &e))
}

/// The mark of what was acknowledged, if there is one.
pub(crate) fn read_mark(dir: &Path) -> Result<Option<Checkpoint>, JournalError> {
    match Checkpoint::read(&acknowledged(dir)) {
        Ok(mark) => Ok(Some(mark)),
        Err(JournalError::Missing { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The mark of what was acknowledged, open for writing.
///
/// It is written after every group and synced only when the journal opens and closes, which costs a group next to
/// nothing. It is never ahead of what the disk holds; it survives the death of the process exactly and a power cut to
/// within what the system had not yet written back. So a journal that ends before its mark has lost something.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    path: PathBuf,
}

impl Mark {
    pub(crate) fn open(dir: &Path, at: &Checkpoint) -> Result<Self, JournalError> {
        let path = acknowledged(dir);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| JournalError::from_io(&path, &e))?;
        let mark = Self { file, path };
        mark.put(at)?;
        mark.sync()?;
        Ok(mark)
    }

    /// One write in place: the text only ever grows, and is far smaller than a sector.
    pub(crate) fn put(&self, at: &Checkpoint) -> Result<(), JournalError> {
        self.file
            .write_all_at(at.to_string().as_bytes(), 0)
            .map_err(|e| JournalError::from_io(&self.path, &e))
    }

    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_all().map_err(|e| JournalError::from_io(&self.path, &e))
    }
}
