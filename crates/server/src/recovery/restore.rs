//! A data directory from a backup: checked byte for byte, whole or not at all, and marked.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast_journal::Checkpoint;

use super::manifest::{KEYS, Manifest, SNAPSHOTS};
use super::marker::Marker;
use super::{RecoveryError, files, io};
use crate::data::DataDir;
use crate::intake;
use crate::record::hex;

/// Restores `backup` into `dir`, which must not exist. `progress` is told what is being done, how far it is and how much
/// there is.
///
/// The copy is made beside `dir`, verified there (every hash, the chain, the records folded to State) and gets its name
/// last, so that `dir` is a whole data directory or not there at all. It carries the marker, so that nothing serves from it
/// before its signers' records are in. The mark of what the journal acknowledged is not taken over but made anew at the
/// restored head: the old one says that records are missing, which is true and meant.
///
/// # Errors
/// [`RecoveryError`]; then `dir` has not come to be.
pub fn restore(
    backup: &Path,
    dir: &DataDir,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<Manifest, RecoveryError> {
    let manifest = Manifest::read(backup)?;
    let path = dir.path();
    if path.try_exists().map_err(io(path))? {
        return Err(RecoveryError::Exists(path.to_owned()));
    }
    let made = staging(path)?;
    files::make_dir(&made)?;
    let done = fill(backup, &made, &manifest, progress).and_then(|()| {
        fs::rename(&made, path).map_err(io(path))?;
        files::sync_dir(files::parent(path))
    });
    if let Err(error) = done {
        // Best effort: it was made a moment ago by this very call, and is of no use to anyone.
        let _unremovable = fs::remove_dir_all(&made);
        return Err(error);
    }
    Ok(manifest)
}

/// Where the copy is made: in the same directory, so that it can be renamed.
fn staging(path: &Path) -> Result<PathBuf, RecoveryError> {
    let name = path.file_name().ok_or_else(|| RecoveryError::Exists(path.to_owned()))?;
    let mut staging = OsString::from(".");
    staging.push(name);
    staging.push(".restoring");
    Ok(files::parent(path).join(staging))
}

fn fill(
    backup: &Path,
    made: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<(), RecoveryError> {
    copy(backup, made, manifest, progress)?;
    let end = manifest.checkpoint().ok_or_else(|| RecoveryError::Incomplete(backup.to_owned()))?;
    verify(made, &end)?;
    let recovered = intake::recover(made)?;
    let (epoch, exchange) = (recovered.state.epoch(), recovered.state.exchange().to_owned());
    recovered.journal.close()?;
    if (epoch, exchange.as_str()) != (manifest.epoch, manifest.exchange.as_str()) {
        let what = format!("its journal is of {exchange}, epoch {epoch}, and the manifest says otherwise");
        return Err(RecoveryError::NotIntact(what));
    }
    let backup_of = Some(manifest.created_at.clone());
    Marker::new(end.head.sequence, hex(&end.head.hash), epoch, backup_of).write(made)
}

fn copy(
    backup: &Path,
    made: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<(), RecoveryError> {
    let total: u64 = manifest.files.iter().fold(0, |sum, file| file.size.saturating_add(sum));
    let mut done = 0_u64;
    for folder in [KEYS, SNAPSHOTS] {
        if manifest.files.iter().any(|file| file.path.starts_with(folder)) {
            files::make_dir(&made.join(folder))?;
        }
    }
    for file in &manifest.files {
        let (from, to) = (backup.join(&file.path), made.join(&file.path));
        let sum = files::copy(&from, &to, |at| progress("files", done.saturating_add(at), total))?;
        done = done.saturating_add(sum.size);
        let differs = |what: String| Err(RecoveryError::FileDiffers { path: from.clone(), what });
        if sum.size != file.size {
            return differs(format!("it has {} bytes and had {}", sum.size, file.size));
        }
        if hex(&sum.sha256) != file.sha256 {
            return differs("its SHA-256 is not the one in the manifest".to_owned());
        }
    }
    for folder in [KEYS, SNAPSHOTS].map(|folder| made.join(folder)) {
        if folder.is_dir() {
            files::sync_dir(&folder)?;
        }
    }
    files::sync_dir(made)
}

fn verify(made: &Path, end: &Checkpoint) -> Result<(), RecoveryError> {
    let report = holdfast_journal::verify(made, Some(end))?;
    if let Some(finding) = report.findings.first() {
        return Err(RecoveryError::NotIntact(finding.what.clone()));
    }
    match report.head {
        Some(head) if head == end.head && report.journal == Some(end.journal) => Ok(()),
        found => {
            let found = found.map_or_else(|| "nowhere".to_owned(), |head| head.to_string());
            let what = format!("it ends at {found}, and the manifest says {}", end.head);
            Err(RecoveryError::NotIntact(what))
        }
    }
}
