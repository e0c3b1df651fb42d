//! A consistent copy of a data directory, of a running system too. Nothing of the server's waits for it.
//!
//! The files are copied one after another while records go on being written, so their order matters:
//!
//! 1. `outbox.db` before the journal: a webhook's cursor never points behind the journal's end. What was delivered
//!    between the two is delivered again, under the same ids.
//! 2. `journal.db`: the records up to one moment, the head of the backup.
//! 3. `vault.db` after the journal: the server makes an account's data key and keeps a secret before the record that
//!    speaks of them, so every key that the copied records need is in the vault copied later. The other way round a key
//!    made in between would be missing, and what was sealed under it would be lost. A key destroyed in between is
//!    destroyed in the backup too.
//! 4. Snapshots as of a record before the head, the keys (which never change) and the server's own configuration.
//! 5. The backup is read back: State is folded from it, every file is hashed, and the manifest comes last.

use std::fs;
use std::path::{Path, PathBuf};

use holdfast_journal::{Checkpoint, LocalReader, Snapshots};

use super::manifest::{FORMAT, FileEntry, KEYS, Manifest, SNAPSHOTS};
use super::{RecoveryError, check_servable, files, io};
use crate::config::Config;
use crate::data::DataDir;
use crate::record::hex;
use crate::vault::KekSource;
use crate::{clock, intake};

/// What a backup made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The manifest as written.
    pub manifest: Manifest,
    /// What a person should know: what else must be kept for this backup to be of use.
    pub notes: Vec<String>,
}

/// Backs up the data directory into `out`, which must not exist. `progress` is told what is being done, how far it is and
/// how much there is.
///
/// # Errors
/// [`RecoveryError`]. What was copied by then is left without a manifest, and will not be restored.
pub fn backup(
    dir: &DataDir,
    out: &Path,
    with_keys: bool,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<Backup, RecoveryError> {
    check_servable(dir)?;
    let reader = LocalReader::open(dir.path())?;
    files::make_dir(out)?;
    let mut paths = Vec::new();
    copy_outbox(dir, out, &mut paths)?;
    let end = reader.copy_to(out, |at, end| progress("journal", at, end))?;
    paths.push("journal.db".to_owned());
    files::copy_database(&dir.vault(), &out.join("vault.db"))?;
    paths.push("vault.db".to_owned());
    copy_snapshots(dir, out, end.head.sequence, &mut paths)?;
    if with_keys {
        copy_keys(dir, out, &mut paths)?;
    }
    if dir.config().exists() {
        files::copy(&dir.config(), &out.join("holdfast.toml"), |_| {})?;
        paths.push("holdfast.toml".to_owned());
    }
    // Whoever ran the server may start it again from here on.
    drop(reader);
    let manifest = describe(out, end, with_keys, &paths, progress)?;
    let bytes = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| RecoveryError::Manifest { path: Manifest::path(out), what: error.to_string() })?;
    files::sync_dir(out)?;
    files::write_whole(&Manifest::path(out), &bytes)?;
    files::sync_dir(files::parent(out))?;
    Ok(Backup { manifest, notes: notes(dir, with_keys) })
}

fn copy_outbox(dir: &DataDir, out: &Path, paths: &mut Vec<String>) -> Result<(), RecoveryError> {
    let outbox = dir.path().join("outbox.db");
    if outbox.exists() {
        files::copy_database(&outbox, &out.join("outbox.db"))?;
        paths.push("outbox.db".to_owned());
    }
    Ok(())
}

fn copy_snapshots(
    dir: &DataDir,
    out: &Path,
    head: u64,
    paths: &mut Vec<String>,
) -> Result<(), RecoveryError> {
    let snapshots = Snapshots::new(dir.path());
    let older: Vec<u64> = snapshots.list()?.into_iter().filter(|sequence| *sequence < head).collect();
    if older.is_empty() {
        return Ok(());
    }
    files::make_dir(&out.join(SNAPSHOTS))?;
    for sequence in older {
        let from = snapshots.path(sequence);
        let Some(name) = from.file_name().and_then(|name| name.to_str()) else { continue };
        let to = out.join(SNAPSHOTS).join(name);
        match files::copy(&from, &to, |_| {}) {
            Ok(_) => paths.push(format!("{SNAPSHOTS}/{name}")),
            // The server has just thrown it away for a newer one: a snapshot only saves time.
            Err(RecoveryError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                fs::remove_file(&to).map_err(io(&to))?;
            }
            Err(error) => return Err(error),
        }
    }
    files::sync_dir(&out.join(SNAPSHOTS))
}

fn copy_keys(dir: &DataDir, out: &Path, paths: &mut Vec<String>) -> Result<(), RecoveryError> {
    let (from, to) = (dir.keys(), out.join(KEYS));
    files::make_dir(&to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&from).map_err(io(&from))? {
        let entry = entry.map_err(io(&from))?;
        if entry.file_type().map_err(io(&from))?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        files::copy(&from.join(&name), &to.join(&name), |_| {})?;
        paths.push(format!("{KEYS}/{name}"));
    }
    files::sync_dir(&to)
}

/// Reads the copy back: it must fold to a State, and every file gets its hash.
fn describe(
    out: &Path,
    end: Checkpoint,
    keys: bool,
    paths: &[String],
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<Manifest, RecoveryError> {
    let (state, _) = intake::recover_state(out, LocalReader::open(out)?, end.head)?;
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let total: u64 = paths.iter().map(|path| size(&out.join(path))).sum();
    let mut done = 0_u64;
    let mut entries = Vec::with_capacity(paths.len());
    for path in paths {
        let sum = files::sum(&out.join(path), |at| progress("hashes", done.saturating_add(at), total))?;
        done = done.saturating_add(sum.size);
        entries.push(FileEntry { path: path.clone(), size: sum.size, sha256: hex(&sum.sha256) });
    }
    Ok(Manifest {
        format: FORMAT.to_owned(),
        holdfast: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: clock::wall_now().to_string(),
        exchange: state.exchange().to_owned(),
        journal: end.journal.to_string(),
        sequence: end.head.sequence,
        head: hex(&end.head.hash),
        epoch: state.epoch(),
        simulated_clock: state.is_simulated(),
        keys,
        files: entries,
    })
}

fn notes(dir: &DataDir, with_keys: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if with_keys {
        notes.push(
            "the keys are in it: whoever has this backup reads what is sealed and signs as this Holdfast; \
             `--without-keys` leaves them out"
                .to_owned(),
        );
    } else {
        notes.push(format!(
            "the keys are not in it: without a copy of {} the vault and all destinations are unreadable",
            dir.keys().display()
        ));
    }
    if let Ok(config) = Config::read(&dir.config()) {
        match config.kek {
            Some(KekSource::File(path)) => notes.push(format!(
                "the key-encryption key lies at {}: keep a copy of it elsewhere",
                path.display()
            )),
            Some(KekSource::Environment(variable)) => notes.push(format!(
                "the key-encryption key comes from the environment ({variable}): keep a copy of it elsewhere"
            )),
            Some(KekSource::Pkcs11(uri)) => notes.push(format!(
                "the key-encryption key never leaves its token ({uri}): without a backup of the token itself, by its \
                 maker's means, the vault is lost with it"
            )),
            None => {}
        }
        for webhook in config.webhooks {
            notes.push(format!(
                "the secret of webhook {} lies at {}: it is not in the backup",
                webhook.name,
                webhook.secret_file.display()
            ));
        }
    }
    notes
}
