//! What the data directory keeps of a shadow: `shadow/pack.json` and `shadow/counts.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use holdfast_values::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::record::hex;

use super::{Candidate, Tally};

/// The largest file that is read: a pack of the largest size, escaped.
const BYTES_MAX: u64 = 16 << 20;

/// A candidate with what was counted so far.
pub(super) struct Kept {
    pub(super) candidate: Candidate,
    pub(super) tally: Tally,
    pub(super) dropped: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    by: String,
    since: String,
    files: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    hash: String,
    dropped: u64,
    tally: Tally,
}

fn dir(data: &Path) -> PathBuf {
    data.join("shadow")
}

fn other(error: impl core::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// What is kept; counts of another candidate, or none, start again.
pub(super) fn read(data: &Path) -> io::Result<Option<Kept>> {
    let path = dir(data).join("pack.json");
    if !path.exists() {
        return Ok(None);
    }
    let pack: Pack = serde_json::from_slice(&data::read_limited(&path, BYTES_MAX).map_err(other)?)?;
    let files: Vec<(String, String)> = pack.files.clone().into_iter().collect();
    let compiled = holdfast_cedar::compile_pack(&files).map_err(other)?;
    let by: Name = pack.by.parse().map_err(other)?;
    let since = Timestamp::parse(&pack.since).map_err(other)?;
    let counts = data::read_limited(&dir(data).join("counts.json"), BYTES_MAX).ok();
    let counts = counts.and_then(|bytes| serde_json::from_slice::<Counts>(&bytes).ok());
    let (tally, dropped) = match counts {
        Some(counts) if counts.hash == hex(&compiled.hash) => (counts.tally, counts.dropped),
        _ => (Tally::default(), 0),
    };
    let candidate =
        Candidate { hash: compiled.hash, files: pack.files, program: compiled.program, by, since };
    Ok(Some(Kept { candidate, tally, dropped }))
}

pub(super) fn write_pack(data: &Path, candidate: &Candidate) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir(data)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let pack = Pack {
        by: candidate.by.to_string(),
        since: candidate.since.to_string(),
        files: candidate.files.clone(),
    };
    write(&dir(data).join("pack.json"), &serde_json::to_vec(&pack)?)
}

pub(super) fn write_tally(data: &Path, hash: &[u8; 32], tally: &Tally, dropped: u64) -> io::Result<()> {
    let counts = Counts { hash: hex(hash), dropped, tally: tally.clone() };
    write(&dir(data).join("counts.json"), &serde_json::to_vec(&counts)?)
}

pub(super) fn remove(data: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir(data)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts the bytes there, all or nothing.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
