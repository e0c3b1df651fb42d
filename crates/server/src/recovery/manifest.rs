//! `backup.json`: what a backup holds and where its journal ends. Written last: a backup without it is none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_journal::{Checkpoint, Head, JournalId};
use serde::{Deserialize, Serialize};

use super::RecoveryError;
use crate::data;
use crate::record::unhex;

/// The name of the manifest in a backup.
pub(super) const NAME: &str = "backup.json";
/// What the manifest calls its own form.
pub(super) const FORMAT: &str = "holdfast-backup/v1";
/// A manifest larger than this is none.
const BYTES_MAX: u64 = 1 << 20;
/// The files that may lie in a backup itself ...
const FILES: [&str; 4] = ["journal.db", "vault.db", "outbox.db", "holdfast.toml"];
/// ... and the folders with others.
pub(super) const KEYS: &str = "keys";
pub(super) const SNAPSHOTS: &str = "snapshots";

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `holdfast-backup/v1`.
    pub format: String,
    /// The version of Holdfast that made it.
    pub holdfast: String,
    /// When the backup was complete, by the wall clock.
    pub created_at: String,
    /// The exchange.
    pub exchange: String,
    /// The journal's id, in hex.
    pub journal: String,
    /// The last record in it.
    pub sequence: u64,
    /// That record's hash, in hex.
    pub head: String,
    /// The journal's epoch there.
    pub epoch: u64,
    /// The journal's time is simulated.
    pub simulated_clock: bool,
    /// The keys are in it; if not, they must be kept elsewhere.
    pub keys: bool,
    /// Every file.
    pub files: Vec<FileEntry>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path in the backup, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

impl Manifest {
    /// Where the manifest of a backup lies.
    #[must_use]
    pub fn path(backup: &Path) -> PathBuf {
        backup.join(NAME)
    }

    /// Reads the manifest of a backup and checks its form; the files it names are not looked at.
    ///
    /// # Errors
    /// [`RecoveryError::Incomplete`] if there is none, [`RecoveryError::Manifest`] if it is no manifest.
    pub fn read(backup: &Path) -> Result<Self, RecoveryError> {
        let path = Self::path(backup);
        if !path.exists() {
            return Err(RecoveryError::Incomplete(backup.to_owned()));
        }
        let invalid = |what: String| RecoveryError::Manifest { path: path.clone(), what };
        let bytes = data::read_limited(&path, BYTES_MAX)?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        manifest.check().map_err(invalid)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, and this holdfast reads {FORMAT:?}", self.format));
        }
        self.checkpoint().ok_or("its journal or head is not hexadecimal")?;
        let mut seen = BTreeSet::new();
        for file in &self.files {
            if !is_known(&file.path) {
                return Err(format!("{:?} is no file of a backup", file.path));
            }
            if !seen.insert(file.path.as_str()) {
                return Err(format!("{:?} stands in it twice", file.path));
            }
            unhex::<32>(&file.sha256).ok_or_else(|| format!("{:?} has no SHA-256", file.path))?;
        }
        for needed in ["journal.db", "vault.db"] {
            if !seen.contains(needed) {
                return Err(format!("it does not name {needed}"));
            }
        }
        Ok(())
    }

    /// Where the journal ends.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let head = Head { sequence: self.sequence, hash: unhex(&self.head)? };
        Some(Checkpoint { journal: JournalId(unhex(&self.journal)?), head })
    }
}

/// Paths lead nowhere else than into the backup.
fn is_known(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.len() <= 100
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    match path.split_once('/') {
        None => FILES.contains(&path),
        Some((KEYS | SNAPSHOTS, name)) => is_name(name),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_manifest_lead_only_into_the_backup() {
        for known in ["journal.db", "holdfast.toml", "keys/kek", "snapshots/00000000000000000001.snap"] {
            assert!(is_known(known), "{known}");
        }
        for other in [
            "",
            "views.db",
            "/etc/passwd",
            "../x",
            "keys/../x",
            "keys/",
            "keys/.x",
            "keys/a/b",
            "x/y",
            "keys",
        ] {
            assert!(!is_known(other), "{other}");
        }
    }
}
