//! State from the disk: the newest snapshot that the journal vouches for, and the records after it folded in. No policy
//! and no signature is evaluated again.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use holdfast_decision::event::Event;
use holdfast_decision::{State, fold};
use holdfast_journal::{Head, Journal as _, JournalError, LocalJournal, LocalReader, Record, Snapshots};
use holdfast_values::Timestamp;
use minicbor::Decoder;

/// Records read and decoded at once.
const BATCH: usize = 4_096;
/// How many snapshots are kept.
const SNAPSHOTS_KEPT: usize = 2;
/// How long the file of a snapshot waits for its record to become durable.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(60);

/// Why State cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The journal does not open or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal was made but never begun.
    #[error("the journal has no first record: run `holdfast init`")]
    Empty,
    /// A record that this binary does not understand.
    #[error(
        "record {sequence} holds an event that this holdfast ({version}) does not know ({detail}): run the release that \
         wrote it, or a later one; nothing was changed",
        version = env!("CARGO_PKG_VERSION")
    )]
    UnknownEvent {
        /// Which record.
        sequence: u64,
        /// What the decoder met.
        detail: String,
    },
    /// The reading thread died.
    #[error("the journal could not be read to its end")]
    Interrupted,
}

impl RecoverError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Empty => "journal_empty",
            Self::UnknownEvent { .. } => "event_unknown",
            Self::Interrupted => "journal_interrupted",
        }
    }
}

/// State as of the journal's head, and the journal, open for appending.
#[derive(Debug)]
pub struct Recovered {
    /// State.
    pub state: State,
    /// The journal.
    pub journal: LocalJournal,
    /// The sequence that the last snapshot is as of; zero without one.
    pub snapshot_at: u64,
}

/// Opens the journal in `data` and recovers State from it.
///
/// # Errors
/// [`RecoverError`].
pub fn recover(data: &Path) -> Result<Recovered, RecoverError> {
    let journal = LocalJournal::open(data, None)?;
    if journal.head().sequence == 0 {
        return Err(RecoverError::Empty);
    }
    let (state, snapshot_at) = recover_state(data, journal.reader()?, journal.head())?;
    Ok(Recovered { state, journal, snapshot_at })
}

/// State as of `head`, and the sequence of the snapshot that it was made from.
///
/// # Errors
/// [`RecoverError`].
pub fn recover_state(data: &Path, reader: LocalReader, head: Head) -> Result<(State, u64), RecoverError> {
    let started = Instant::now();
    let (mut state, snapshot_at) = match newest_snapshot(data, &reader, head)? {
        Some(state) => {
            let sequence = state.sequence();
            (state, sequence)
        }
        None => (State::new(), 0),
    };
    let loaded = started.elapsed();
    fold_tail(&mut state, reader, head)?;
    tracing::info!(
        sequence = state.sequence(),
        snapshot = snapshot_at,
        snapshot_ms = loaded.as_millis(),
        fold_ms = started.elapsed().saturating_sub(loaded).as_millis(),
        "state recovered"
    );
    Ok((state, snapshot_at))
}

/// The newest snapshot whose file is whole and whose state hash stands in the journal.
fn newest_snapshot(data: &Path, reader: &LocalReader, head: Head) -> Result<Option<State>, RecoverError> {
    let snapshots = Snapshots::new(data);
    for sequence in snapshots.list()?.into_iter().rev().filter(|sequence| *sequence < head.sequence) {
        match load(&snapshots, reader, sequence) {
            Ok(state) => return Ok(Some(state)),
            Err(reason) => {
                tracing::error!(
                    sequence,
                    reason,
                    "a snapshot is refused; an older one or the journal is used"
                );
            }
        }
    }
    Ok(None)
}

fn load(snapshots: &Snapshots, reader: &LocalReader, sequence: u64) -> Result<State, String> {
    let snapshot = snapshots.load(sequence).map_err(|error| error.to_string())?;
    let records = reader.read(sequence, 2).map_err(|error| error.to_string())?;
    let [last, next] = records.as_slice() else { return Err("its records are not in the journal".into()) };
    if last.hash != snapshot.record_hash {
        return Err("it is as of a record that this journal does not have".into());
    }
    // The record of a snapshot follows at once on the last record in it.
    let vouched = events(next).map_err(|error| error.to_string())?.iter().any(|event| {
        matches!(event, Event::SnapshotRecorded { sequence: at, state_hash }
            if *at == sequence && *state_hash == snapshot.state_hash)
    });
    if !vouched {
        return Err("its state hash does not stand in the journal".into());
    }
    let state = State::decode(&snapshot.body).map_err(|error| error.to_string())?;
    if state.sequence() == sequence {
        Ok(state)
    } else {
        Err("it is of another sequence than it says".into())
    }
}

fn events(record: &Record) -> Result<Vec<Event>, RecoverError> {
    let unknown = |detail: String| RecoverError::UnknownEvent { sequence: record.sequence, detail };
    let mut decoder = Decoder::new(&record.events);
    let events = decoder.decode().map_err(|error| unknown(error.to_string()))?;
    if decoder.position() == record.events.len() {
        Ok(events)
    } else {
        Err(unknown("bytes after the events".into()))
    }
}

/// A record's place, time and events.
type Decoded = (u64, Timestamp, Vec<Event>);

/// Folds everything after State up to `head`; one thread reads and decodes while this one folds.
fn fold_tail(state: &mut State, reader: LocalReader, head: Head) -> Result<(), RecoverError> {
    let from = state.sequence().saturating_add(1);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Result<Vec<Decoded>, RecoverError>>(4);
        scope.spawn(move || {
            let mut next = from;
            while next <= head.sequence {
                let batch = decode_batch(&reader, next);
                let ended = match &batch {
                    Ok(batch) => batch.last().map(|(sequence, ..)| *sequence),
                    Err(_) => None,
                };
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    return;
                }
                let Some(last) = ended else { return };
                next = last.saturating_add(1);
            }
        });
        for batch in receiver {
            for (sequence, at, events) in batch? {
                fold(state, sequence, at, &events);
            }
        }
        if state.sequence() == head.sequence { Ok(()) } else { Err(RecoverError::Interrupted) }
    })
}

fn decode_batch(reader: &LocalReader, from: u64) -> Result<Vec<Decoded>, RecoverError> {
    let records = reader.read(from, BATCH)?;
    records.iter().map(|record| Ok((record.sequence, Timestamp(record.time), events(record)?))).collect()
}

/// State, encoded, and its hash.
pub(super) struct Snapshot {
    sequence: u64,
    pub(super) state: Vec<u8>,
    pub(super) state_hash: [u8; 32],
}

pub(super) fn snapshot_of(state: &State) -> Snapshot {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    Snapshot { sequence: state.sequence(), state_hash: *blake3::hash(&bytes).as_bytes(), state: bytes }
}

/// Writes the file of a snapshot, once its last record is durable and so has a hash.
pub(super) fn write_snapshot(data: &Path, snapshot: &Snapshot) -> Result<(), JournalError> {
    let reader = LocalReader::open(data)?;
    let since = Instant::now();
    let record = loop {
        let found = reader.read(snapshot.sequence, 1)?.into_iter().find(|r| r.sequence == snapshot.sequence);
        match found {
            Some(record) => break record,
            None if since.elapsed() > SNAPSHOT_WAIT => {
                let reason = "its last record did not become durable".into();
                return Err(JournalError::Unavailable { reason });
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let snapshots = Snapshots::new(data);
    snapshots.write(record.head(), &snapshot.state)?;
    snapshots.prune(SNAPSHOTS_KEPT)
}
