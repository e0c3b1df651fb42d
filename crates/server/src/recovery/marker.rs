//! The file `restored`: this data directory serves nothing until its signers' records are taken in.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RecoveryError, files, io, manifest};
use crate::data::{self, DataDir};

const NAME: &str = "restored";
const FORMAT: &str = "holdfast-restored/v1";
/// A marker larger than this is none.
const BYTES_MAX: u64 = 1 << 16;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// `holdfast-restored/v1`.
    pub format: String,
    /// The last record of the restored journal.
    pub sequence: u64,
    /// That record's hash, in hex.
    pub head: String,
    /// Its epoch: what goes on does so in a later one.
    pub epoch: u64,
    /// When the backup was made; absent if the journal came back in another way.
    pub backup_of: Option<String>,
}

impl Marker {
    pub(super) fn new(sequence: u64, head: String, epoch: u64, backup_of: Option<String>) -> Self {
        Self { format: FORMAT.to_owned(), sequence, head, epoch, backup_of }
    }

    /// Where the marker of a data directory lies.
    #[must_use]
    pub fn path(dir: &DataDir) -> PathBuf {
        dir.path().join(NAME)
    }

    /// The marker of a data directory, if it has one.
    ///
    /// # Errors
    /// [`RecoveryError::Manifest`] if it cannot be read.
    pub fn read(dir: &DataDir) -> Result<Option<Self>, RecoveryError> {
        let path = Self::path(dir);
        if !is_there(&path)? {
            return Ok(None);
        }
        let invalid = |what: String| RecoveryError::Manifest { path: path.clone(), what };
        let bytes = data::read_limited(&path, BYTES_MAX)?;
        let marker: Self = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if marker.format != FORMAT {
            return Err(invalid(format!("its format is {:?}, not {FORMAT:?}", marker.format)));
        }
        Ok(Some(marker))
    }

    /// Marks a directory, durably.
    pub(super) fn write(&self, dir: &Path) -> Result<(), RecoveryError> {
        let path = dir.join(NAME);
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| RecoveryError::Manifest { path: path.clone(), what: error.to_string() })?;
        files::write_whole(&path, &bytes)
    }

    /// Takes the mark away, durably.
    pub(super) fn remove(dir: &DataDir) -> Result<(), RecoveryError> {
        let path = Self::path(dir);
        fs::remove_file(&path).map_err(io(&path))?;
        files::sync_dir(dir.path())
    }
}

/// A file whose presence cannot be found out is an error, never an absence.
fn is_there(path: &Path) -> Result<bool, RecoveryError> {
    path.try_exists().map_err(io(path))
}

/// Refuses to serve from a directory that was restored and not recovered, or that is a backup itself.
///
/// # Errors
/// [`RecoveryError::NotRecovered`], [`RecoveryError::IsBackup`].
pub fn check_servable(dir: &DataDir) -> Result<(), RecoveryError> {
    if is_there(&Marker::path(dir))? {
        return Err(RecoveryError::NotRecovered(dir.path().to_owned()));
    }
    if is_there(&dir.path().join(manifest::NAME))? {
        return Err(RecoveryError::IsBackup(dir.path().to_owned()));
    }
    Ok(())
}
