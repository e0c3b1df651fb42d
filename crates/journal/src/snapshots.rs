//! Snapshots of State beside the journal: one file each, written whole or not at all, checked when loaded.
//!
//! The body is bytes here. A file `SEQUENCE.snap` (20 digits, so that names sort) is a header of 133 bytes and the body;
//! `docs/record-format.md` has the layout. A snapshot proves nothing by itself: whoever loads one compares its record hash
//! with the journal and its state hash with the record that names it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Head, JournalError, directory};

const MAGIC: &[u8; 21] = b"holdfast-snapshot/v1\n";
/// Magic, sequence, record hash, state hash, body length.
const FIELDS_BYTES: usize = 21 + 8 + 32 + 32 + 8;
/// And the hash of those.
const HEADER_BYTES: usize = FIELDS_BYTES + 32;
const CHUNK_BYTES: usize = 1 << 20;

/// A loaded snapshot, its hashes checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The sequence of the last record that the state contains.
    pub sequence: u64,
    /// That record's hash.
    pub record_hash: [u8; 32],
    /// BLAKE3 of the body.
    pub state_hash: [u8; 32],
    /// The encoded state.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({}, {} bytes)", self.head(), self.body.len())
    }
}

impl Snapshot {
    /// The position in the journal that the state is as of.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.record_hash }
    }

    /// Reads one snapshot file and checks it whole.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if it was changed in any byte, [`JournalError::Missing`], or what the system says.
    pub fn load(path: &Path) -> Result<Self, JournalError> {
        let fail = |e: io::Error| JournalError::from_io(path, &e);
        let damaged = |what: &str| JournalError::Damaged { file: path.to_owned(), what: what.to_owned() };
        let mut file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut header = [0; HEADER_BYTES];
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("it ends within its header"));
            }
            Err(e) => return Err(fail(e)),
        }
        let header = Header::parse(&header).ok_or_else(|| damaged("its header does not check"))?;
        if length.checked_sub(HEADER_BYTES as u64) != Some(header.body_bytes) {
            return Err(damaged("its length is not the one in its header"));
        }
        let size = usize::try_from(header.body_bytes).map_err(|_| damaged("it is larger than the memory"))?;
        let mut body = Vec::new();
        body.try_reserve_exact(size).map_err(|_| damaged("it is larger than the memory"))?;
        let mut hasher = blake3::Hasher::new();
        let mut reader = file.take(header.body_bytes);
        loop {
            let start = body.len();
            let read = (&mut reader).take(CHUNK_BYTES as u64).read_to_end(&mut body).map_err(fail)?;
            if read == 0 {
                break;
            }
            hasher.update(body.get(start..).unwrap_or_default());
        }
        if *hasher.finalize().as_bytes() != header.state_hash {
            return Err(damaged("its state differs from its hash"));
        }
        let Header { sequence, record_hash, state_hash, .. } = header;
        Ok(Self { sequence, record_hash, state_hash, body })
    }
}

struct Header {
    sequence: u64,
    record_hash: [u8; 32],
    state_hash: [u8; 32],
    body_bytes: u64,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.record_hash);
        bytes.extend_from_slice(&self.state_hash);
        bytes.extend_from_slice(&self.body_bytes.to_be_bytes());
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        bytes
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<21>()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (record_hash, rest) = rest.split_first_chunk()?;
        let (state_hash, rest) = rest.split_first_chunk()?;
        let (body_bytes, check) = rest.split_first_chunk()?;
        let sound = magic == MAGIC && blake3::hash(bytes.get(..FIELDS_BYTES)?).as_bytes() == check;
        sound.then_some(Self {
            sequence: u64::from_be_bytes(*sequence),
            record_hash: *record_hash,
            state_hash: *state_hash,
            body_bytes: u64::from_be_bytes(*body_bytes),
        })
    }
}

/// The folder of snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    /// The snapshots of a data directory; their folder is made at the first write.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("snapshots") }
    }

    /// Where the snapshot at a sequence lies.
    #[must_use]
    pub fn path(&self, sequence: u64) -> PathBuf {
        self.dir.join(format!("{sequence:020}.snap"))
    }

    /// The sequences of the snapshots there, ascending. Whether they load is not looked at.
    ///
    /// # Errors
    /// What the system says.
    pub fn list(&self) -> Result<Vec<u64>, JournalError> {
        let fail = |e: io::Error| JournalError::from_io(&self.dir, &e);
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(fail(e)),
        };
        let mut sequences = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let sequence = name.to_str().and_then(|n| n.strip_suffix(".snap")).and_then(|n| n.parse().ok());
            if let Some(sequence) = sequence.filter(|s| self.path(*s).file_name() == Some(&name)) {
                sequences.push(sequence);
            }
        }
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// Loads the snapshot at a sequence.
    ///
    /// # Errors
    /// As [`Snapshot::load`]; [`JournalError::Damaged`] too if the file is another sequence's.
    pub fn load(&self, sequence: u64) -> Result<Snapshot, JournalError> {
        let path = self.path(sequence);
        let snapshot = Snapshot::load(&path)?;
        if snapshot.sequence == sequence {
            return Ok(snapshot);
        }
        let what = format!("it is the snapshot of sequence {} under another name", snapshot.sequence);
        Err(JournalError::Damaged { file: path, what })
    }

    /// Writes a snapshot as of `at` durably and returns its state hash.
    ///
    /// # Errors
    /// What the system says; then no snapshot of that name has come to be.
    pub fn write(&self, at: Head, body: &[u8]) -> Result<[u8; 32], JournalError> {
        let mut writer = self.begin(at)?;
        writer.write_all(body).map_err(|e| JournalError::from_io(&self.path(at.sequence), &e))?;
        writer.finish()
    }

    /// Begins a snapshot whose body is written piece by piece. It comes to be with [`SnapshotWriter::finish`].
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(&self, at: Head) -> Result<SnapshotWriter, JournalError> {
        if !self.dir.is_dir() {
            fs::create_dir_all(&self.dir).map_err(|e| JournalError::from_io(&self.dir, &e))?;
            self.dir.parent().map_or(Ok(()), directory::sync)?;
        }
        let path = self.path(at.sequence);
        let temporary = path.with_extension("tmp");
        let open = || {
            let mut file = BufWriter::with_capacity(CHUNK_BYTES, File::create(&temporary)?);
            file.write_all(&[0; HEADER_BYTES])?;
            Ok(file)
        };
        let file = open().map_err(|e| JournalError::from_io(&temporary, &e))?;
        let (hasher, dir) = (blake3::Hasher::new(), self.dir.clone());
        Ok(SnapshotWriter { at, path, temporary, dir, file, hasher, body_bytes: 0, done: false })
    }

    /// Removes all but the newest `keep` snapshots, and what unfinished writes left. Not while one is being written.
    ///
    /// # Errors
    /// What the system says.
    pub fn prune(&self, keep: usize) -> Result<(), JournalError> {
        let sequences = self.list()?;
        let old = sequences.len().saturating_sub(keep);
        let mut paths: Vec<PathBuf> = sequences.iter().take(old).map(|s| self.path(*s)).collect();
        if let Ok(entries) = fs::read_dir(&self.dir) {
            let files = entries.filter_map(|e| e.ok().map(|e| e.path()));
            paths.extend(files.filter(|p| p.extension().is_some_and(|e| e == "tmp")));
        }
        for path in paths {
            fs::remove_file(&path).map_err(|e| JournalError::from_io(&path, &e))?;
        }
        Ok(())
    }
}

/// A snapshot on its way to the disk. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct SnapshotWriter {
    at: Head,
    path: PathBuf,
    temporary: PathBuf,
    dir: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    body_bytes: u64,
    done: bool,
}

impl SnapshotWriter {
    /// Syncs the file, gives it its name, syncs the name, and returns the state hash.
    ///
    /// # Errors
    /// What the system says; then no snapshot of that name has come to be.
    pub fn finish(mut self) -> Result<[u8; 32], JournalError> {
        let state_hash = *self.hasher.finalize().as_bytes();
        let Head { sequence, hash: record_hash } = self.at;
        let header = Header { sequence, record_hash, state_hash, body_bytes: self.body_bytes }.bytes();
        let store = |file: &mut BufWriter<File>| {
            file.flush()?;
            file.get_ref().write_all_at(&header, 0)?;
            file.get_ref().sync_all()?;
            fs::rename(&self.temporary, &self.path)
        };
        store(&mut self.file).map_err(|e| JournalError::from_io(&self.temporary, &e))?;
        self.done = true;
        directory::sync(&self.dir)?;
        Ok(state_hash)
    }
}

impl Write for SnapshotWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.body_bytes = self.body_bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.done {
            // Best effort: `prune` removes what stays.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
