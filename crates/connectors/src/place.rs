//! The file that a watcher keeps its place in: how far it came, and what Holdfast has not acknowledged yet.
//!
//! It is written whole beside the old one and renamed over it, before anything in it is told to Holdfast: so what Holdfast
//! may have heard, the file knows.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::follower::Followed;
use crate::ledger::Observation;

/// The format of the file.
const VERSION: u32 = 1;
/// A million coins have about 100 MB.
const FILE_BYTES_MAX: u64 = 512 << 20;

/// Why a place cannot be kept, or gone on from.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file cannot be read or written.
    #[error("{path}: {error}; the watcher needs a file here that it can write and a folder to write beside it", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is damaged.
    #[error(
        "{path}: not a watcher's file, or damaged ({what}): move it away and start again from a start_height before the oldest \
         transaction that is not final", path = path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        what: String,
    },
    /// The file is of another watcher.
    #[error(
        "{path}: kept for another network, wallet, address or set of descriptors: give each watcher a state file of its own; \
         after adding a descriptor move this one away and start from a start_height before its first coin", path = path.display()
    )]
    Other {
        /// Which.
        path: PathBuf,
    },
    /// Another process watches with this file.
    #[error("{path}: another watcher is running with this file: stop it first", path = path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
}

impl PlaceError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "state_io",
            Self::Damaged { .. } => "state_damaged",
            Self::Other { .. } => "state_of_another_watcher",
            Self::InUse { .. } => "state_in_use",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    watches: String,
    followed: Followed,
    outbox: Vec<Observation>,
}

/// A watcher's file.
#[derive(Debug)]
pub(crate) struct PlaceFile {
    path: PathBuf,
    watches: String,
    /// Held as long as the watcher lives.
    _lock: File,
}

impl PlaceFile {
    /// Opens the file, or prepares for one; returns what it holds.
    pub(crate) fn open(
        path: &Path,
        watches: String,
    ) -> Result<(Self, Followed, Vec<Observation>), PlaceError> {
        let io = |error| PlaceError::Io { path: path.to_owned(), error };
        let lock_path = beside(path, ".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(PlaceError::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(error)) => return Err(io(error)),
        }
        let file = Self { path: path.to_owned(), watches, _lock: lock };
        let mut text = Vec::new();
        match File::open(path) {
            Ok(opened) => opened.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(io)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((file, Followed::default(), Vec::new()));
            }
            Err(error) => return Err(io(error)),
        };
        let damaged = |what: String| PlaceError::Damaged { path: path.to_owned(), what };
        let document: Document = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if document.version != VERSION {
            return Err(damaged(format!("version {}", document.version)));
        }
        if document.watches != file.watches {
            return Err(PlaceError::Other { path: path.to_owned() });
        }
        if !document.followed.is_sound() {
            return Err(damaged("its blocks do not follow each other".into()));
        }
        Ok((file, document.followed, document.outbox))
    }

    /// Writes the file anew; it is on the disk when this returns.
    pub(crate) fn save(&self, followed: &Followed, outbox: &[Observation]) -> Result<(), PlaceError> {
        let document = DocumentRef { version: VERSION, watches: &self.watches, followed, outbox };
        let write = || {
            let text = serde_json::to_vec(&document)?;
            let new = beside(&self.path, ".new");
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| PlaceError::Io { path: self.path.clone(), error })
    }
}

#[derive(Serialize)]
struct DocumentRef<'a> {
    version: u32,
    watches: &'a str,
    followed: &'a Followed,
    outbox: &'a [Observation],
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
