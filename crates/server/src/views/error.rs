//! Why the views cannot answer.

use std::path::{Path, PathBuf};

use holdfast_journal::JournalError;

use crate::record::RecordError;

/// Why the views cannot be made, followed or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewsError {
    /// The views have seen records that the journal no longer has.
    #[error(
        "the journal was cut or exchanged: the views have seen sequence {seen}, {found}. Nothing is served until this is \
         understood: restore the journal; only if the loss is accepted, run `holdfast views rebuild --force`"
    )]
    JournalCut {
        /// What the views have seen.
        seen: u64,
        /// What the journal has instead.
        found: String,
    },
    /// The file is of another format, or no views at all.
    #[error("{} is not a read model that this binary reads: run `holdfast views rebuild`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The database failed.
    #[error("{}: {reason}: run `holdfast views rebuild` if this persists", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// A record could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record names an account or an asset that no earlier record introduced.
    #[error(
        "record {sequence} names a {what} that no earlier record introduced: run `holdfast views rebuild`"
    )]
    Unknown {
        /// Which record.
        sequence: u64,
        /// What it names.
        what: &'static str,
    },
    /// A cursor that no list of this kind gave, or one of another filter.
    #[error("the cursor is none that a list of this kind and filter gave: begin again without one")]
    Cursor,
    /// The views did not reach a sequence in time.
    #[error("the views are at sequence {position} and have not reached {wanted} in time: ask again")]
    Behind {
        /// Where they are.
        position: u64,
        /// What was wanted.
        wanted: u64,
    },
}

impl ViewsError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::JournalCut { .. } => "journal_cut",
            Self::Format { .. } => "views_format_unknown",
            Self::Database { .. } => "views_unavailable",
            Self::Record(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Unknown { .. } => "views_inconsistent",
            Self::Cursor => "cursor_invalid",
            Self::Behind { .. } => "views_behind",
        }
    }

    /// What an SQLite error on `path` means.
    pub(super) fn database(path: &Path, error: &rusqlite::Error) -> Self {
        Self::Database { path: path.to_owned(), reason: error.to_string() }
    }
}
