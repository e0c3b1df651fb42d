//! The typed errors of the journal, with stable codes and text that says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why the journal refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A command or its events exceed the record limit; nothing was written.
    #[error("the {part} of a record has {bytes} bytes; at most {limit} fit")]
    TooLarge {
        /// `command` or `events`.
        part: &'static str,
        /// Its size.
        bytes: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// A number does not fit the format; nothing was written.
    #[error("{field} is out of range for a journal record")]
    OutOfRange {
        /// The field.
        field: &'static str,
    },
    /// An earlier write or sync failed: the journal takes nothing more until it is opened again.
    #[error("the journal is unavailable since an earlier write failed ({reason}): open it again")]
    Unavailable {
        /// What failed.
        reason: String,
    },
    /// Another process (or another part of this one) holds the journal.
    #[error("{} is in use by another holdfast process: stop it, or use another data directory", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// A file that should be here is not.
    #[error("{} does not exist: name the right path, or run `holdfast init` for a new data directory", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is a journal here already.
    #[error("{} exists already: nothing was changed", path.display())]
    Exists {
        /// The file that exists.
        path: PathBuf,
    },
    /// The directory or file cannot be written.
    #[error("{} cannot be written (read-only): mount it writable or mend its permissions", path.display())]
    ReadOnly {
        /// What cannot be written.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no space left to write {}: free space, then open the journal again", path.display())]
    Full {
        /// What could not be written.
        path: PathBuf,
    },
    /// The operating system or the database failed in another way.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is not a journal of a format that this binary knows.
    #[error("{} is not a journal that this binary reads: {reason}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file does not read as it was written.
    #[error("{} is damaged: {what}; restore it from a copy, and keep this one for examination", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where and how.
        what: String,
    },
    /// The journal is shorter than, or another than, what it is known to have reached.
    #[error("the journal does not contain sequence {expected} as it is known from elsewhere: {found}")]
    BehindCheckpoint {
        /// The sequence that must be there.
        expected: u64,
        /// What is there instead.
        found: String,
    },
}

impl JournalError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "record_too_large",
            Self::OutOfRange { .. } => "record_out_of_range",
            Self::Unavailable { .. } => "journal_unavailable",
            Self::InUse { .. } => "journal_in_use",
            Self::Missing { .. } => "journal_missing",
            Self::Exists { .. } => "journal_exists",
            Self::ReadOnly { .. } => "journal_read_only",
            Self::Full { .. } => "journal_disk_full",
            Self::Io { .. } => "journal_io",
            Self::UnknownFormat { .. } => "journal_format_unknown",
            Self::Damaged { .. } => "journal_damaged",
            Self::BehindCheckpoint { .. } => "journal_behind_checkpoint",
        }
    }

    /// What an operating-system error on `path` means.
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io { path, reason: error.to_string() },
        }
    }

    /// What an SQLite error on `path` means.
    pub(crate) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let file = path.to_owned();
        match (error.sqlite_error_code(), error) {
            (Some(ErrorCode::DiskFull), _) => Self::Full { path: file },
            (Some(ErrorCode::ReadOnly), _) => Self::ReadOnly { path: file },
            (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), _)
            | (
                None,
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::QueryReturnedNoRows,
            ) => Self::Damaged { file, what: error.to_string() },
            _ => Self::Io { path: file, reason: error.to_string() },
        }
    }
}
