//! Files of backups: copied, hashed, synced. What is in them is no business of this module.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::{RecoveryError, io};

const CHUNK_BYTES: usize = 1 << 20;

/// Size and SHA-256 of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// Makes a new directory that only its owner can enter; its parent must be there.
pub(super) fn make_dir(path: &Path) -> Result<(), RecoveryError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(RecoveryError::Exists(path.to_owned()))
        }
        Err(error) => Err(io(path)(error)),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), RecoveryError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io(path))
}

/// The directory that a path lies in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file that comes to be whole or not at all, durably. Its name must be new.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RecoveryError> {
    let temporary = path.with_extension("tmp");
    let mut file = create(&temporary)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(&temporary))?;
    fs::rename(&temporary, path).map_err(io(path))?;
    sync_dir(parent(path))
}

/// A new file for its owner alone.
fn create(path: &Path) -> Result<File, RecoveryError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))
}

/// Reads a file to its end; `each` is given every piece.
fn read(path: &Path, mut each: impl FnMut(&[u8]) -> Result<(), RecoveryError>) -> Result<Sum, RecoveryError> {
    let mut file = File::open(path).map_err(io(path))?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut hasher, mut size) = (Sha256::new(), 0_u64);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(io(path)(error)),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        hasher.update(piece);
        size = size.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        each(piece)?;
    }
    Ok(Sum { size, sha256: hasher.finalize().into() })
}

/// Size and SHA-256 of a file; `progress` is told how many bytes of it were read.
pub(super) fn sum(path: &Path, mut progress: impl FnMut(u64)) -> Result<Sum, RecoveryError> {
    let mut done = 0_u64;
    read(path, |piece| {
        done = done.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        progress(done);
        Ok(())
    })
}

/// Copies a file into a new one for its owner alone, durably, and says what was copied.
pub(super) fn copy(from: &Path, to: &Path, mut progress: impl FnMut(u64)) -> Result<Sum, RecoveryError> {
    let mut file = create(to)?;
    let mut done = 0_u64;
    let sum = read(from, |piece| {
        done = done.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        progress(done);
        file.write_all(piece).map_err(io(to))
    })?;
    file.sync_all().map_err(io(to))?;
    Ok(sum)
}

/// Copies a database that others may be writing to, as of one moment, into a new file for its owner alone.
pub(super) fn copy_database(from: &Path, to: &Path) -> Result<(), RecoveryError> {
    let fail =
        |error: rusqlite::Error| RecoveryError::Database { path: from.to_owned(), reason: error.to_string() };
    let name = to.to_str().ok_or_else(|| RecoveryError::Database {
        path: to.to_owned(),
        reason: "its path is not UTF-8".to_owned(),
    })?;
    // SQLite fills an empty file and keeps its mode; one that it makes itself could be read by others.
    drop(create(to)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(from, flags).map_err(fail)?;
    database.busy_timeout(std::time::Duration::from_secs(10)).map_err(fail)?;
    database.execute("VACUUM INTO ?1", [name]).map_err(fail)?;
    database.close().map_err(|(_, error)| fail(error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(io(to))
}
