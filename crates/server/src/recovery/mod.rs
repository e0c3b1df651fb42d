//! What brings a data directory back after a disaster: a backup of a running system, its restoring, and the new epoch in
//! which a restored journal may go on.
//!
//! A restored journal is a true record of a past that others have left behind: signers have authorised what it does not
//! know. So it stands still, marked, until operators have signed that each signer's own records are taken in. Nothing here
//! decides what that means for a withdrawal: the core does, through the same records as ever.

mod backup;
mod epoch;
mod files;
mod manifest;
mod marker;
mod restore;
mod scan;
mod statement;

use std::path::{Path, PathBuf};

use holdfast_journal::JournalError;

pub use backup::{Backup, backup};
pub use epoch::{Begun, Recovery, Signed};
pub use manifest::{FileEntry, Manifest};
pub use marker::{Marker, check_servable};
pub use restore::restore;
pub use statement::{Merge, Payment};

use crate::data::DataError;
use crate::intake::RecoverError;
use crate::record::RecordError;

/// Why a backup, a restore or a recovery is refused or fails.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A file or directory that must be new is there.
    #[error("{} exists already: name another place; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A database could not be copied.
    #[error("{}: {reason}", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// State cannot be had from the journal.
    #[error(transparent)]
    State(#[from] RecoverError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The data directory or its keys.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No manifest: the backup never came to its end.
    #[error("{} has no backup.json: the backup is not complete; take another", .0.display())]
    Incomplete(PathBuf),
    /// The manifest cannot be used.
    #[error("{}: {what}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of the backup is not the one that the manifest names.
    #[error("{}: {what}; take another backup", path.display())]
    FileDiffers {
        /// Which.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// The journal in the backup is not intact, or ends elsewhere than the manifest says.
    #[error("the journal in the backup is not intact: {0}; take another backup")]
    NotIntact(String),
    /// The directory was restored and its signers' records are not in.
    #[error(
        "{} was restored from a backup: what its signers have paid since is not in its journal; run `holdfast recover \
         --data {} --plan` and follow docs/recovery.md", .0.display(), .0.display()
    )]
    NotRecovered(PathBuf),
    /// The directory is a backup.
    #[error("{} is a backup: serve nothing from it; `holdfast restore` makes a data directory of it", .0.display())]
    IsBackup(PathBuf),
    /// There is nothing that remembers what was paid.
    #[error(
        "the configuration in this journal names no signer, so that nothing remembers what was paid: compare open \
         withdrawals with the chains by hand, then remove the file {}", .0.display()
    )]
    NoSigner(PathBuf),
    /// A signer's statement is missing.
    #[error(
        "the statement of signer {0} is missing: `holdfast-signer recover --out FILE` writes it; give --statement FILE"
    )]
    StatementMissing(String),
    /// A signer's statement cannot be used.
    #[error("{}: {what}", path.display())]
    Statement {
        /// The stable code.
        code: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// What operators signed, or are to sign, is something else.
    #[error("{what}")]
    Text {
        /// The stable code.
        code: &'static str,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The core refuses the act.
    #[error("{what}")]
    Refused {
        /// The core's code.
        code: &'static str,
        /// What it says.
        what: String,
    },
}

impl RecoveryError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "exists_already",
            Self::Io { .. } => "file",
            Self::Database { .. } => "database",
            Self::Journal(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Data(_) => "data_directory",
            Self::Incomplete(_) => "backup_incomplete",
            Self::Manifest { .. } => "backup_manifest_invalid",
            Self::FileDiffers { .. } => "backup_file_differs",
            Self::NotIntact(_) => "backup_journal_not_intact",
            Self::NotRecovered(_) => "restored_not_recovered",
            Self::IsBackup(_) => "backup_not_restored",
            Self::NoSigner(_) => "no_signer_configured",
            Self::StatementMissing(_) => "statement_missing",
            Self::Statement { code, .. } | Self::Text { code, .. } | Self::Refused { code, .. } => code,
        }
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RecoveryError {
    move |source| RecoveryError::Io { path: path.to_owned(), source }
}
