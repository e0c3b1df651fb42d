//! Replay: every record of a journal decided again on the state before it, and compared byte for byte.
//!
//! Reads only. A record of rules that this binary lacks is folded and named, not compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_decision::{RULES, State, decide, fold};
use holdfast_journal::{Head, JournalError, LocalReader};
use minicbor::Decoder;
use serde_json::{Value, json};

use crate::record::{self, Decoded, RecordError, command_json, event_json, hex};

/// How many records pass between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;
/// The number of `Command::RecordSnapshot` in records.
const RECORD_SNAPSHOT: u32 = 4;

/// Why a replay cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl ReplayError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Record(error) => error.code(),
        }
    }
}

/// What differs in the first record that does.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which record.
    pub sequence: u64,
    /// `events`, `rules`, `policy`, `state_hash` or `time`.
    pub what: &'static str,
    /// What was asked.
    pub command: Value,
    /// What the record says.
    pub recorded: Value,
    /// What it should say.
    pub decided: Value,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The last record that was read.
    pub head: Head,
    /// Records folded.
    pub records: u64,
    /// Records decided again and found equal.
    pub equal: u64,
    /// Snapshots whose hash was compared with the state and found equal.
    pub snapshots: u64,
    /// Rules versions that this binary lacks, and how many records they decided.
    pub lacking: BTreeMap<u32, u64>,
    /// The first record that differs.
    pub difference: Option<Difference>,
    /// How long it took, without the search for snapshots.
    pub elapsed: Duration,
}

impl Report {
    /// Records a second.
    pub fn per_second(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.records).saturating_mul(1_000_000) / micros).unwrap_or(u64::MAX)
    }

    /// As one JSON object.
    pub fn json(&self) -> Value {
        let lacking: BTreeMap<String, u64> =
            self.lacking.iter().map(|(rules, records)| (rules.to_string(), *records)).collect();
        json!({
            "equal": self.difference.is_none() && self.lacking.is_empty(),
            "sequence": self.head.sequence,
            "head": hex(&self.head.hash),
            "records": self.records,
            "records_equal": self.equal,
            "snapshots_equal": self.snapshots,
            "rules_lacking": lacking,
            "records_per_second": self.per_second(),
            "difference": self.difference.as_ref().map(|difference| json!({
                "sequence": difference.sequence,
                "what": difference.what,
                "command": difference.command,
                "recorded": difference.recorded,
                "decided": difference.decided,
            })),
        })
    }
}

/// Replays the journal from its first record; records before `from` are folded, not compared. Stops at the first
/// difference. `progress` is told the sequence reached and the journal's head.
///
/// # Errors
/// [`ReplayError`] for a record that cannot be read.
pub fn replay(
    reader: &LocalReader,
    from: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, ReplayError> {
    let end = reader.head()?.sequence;
    // A snapshot's record comes after records that the snapshot lacks, so its sequence must be known beforehand.
    let mut wanted = snapshots(reader, end)?;
    let mut replay =
        Replay { state: State::new(), events: Vec::new(), bytes: Vec::new(), hashes: BTreeMap::new() };
    let started = Instant::now();
    let mut report = Report {
        head: Head { sequence: 0, hash: holdfast_journal::genesis_hash(reader.id()) },
        records: 0,
        equal: 0,
        snapshots: 0,
        lacking: BTreeMap::new(),
        difference: None,
        elapsed: Duration::ZERO,
    };
    for record in reader.records(1) {
        let record = record?;
        if record.sequence > end {
            break;
        }
        let decoded = record::decode(&record)?;
        report.head = record.head();
        report.records = report.records.saturating_add(1);
        if decoded.sequence >= from {
            if RULES.contains(&decoded.rules) {
                report.difference = replay.compare(&decoded, &record.events);
                if report.difference.is_some() {
                    break;
                }
                report.equal = report.equal.saturating_add(1);
            } else {
                let records = report.lacking.entry(decoded.rules).or_default();
                *records = records.saturating_add(1);
            }
        }
        fold(&mut replay.state, decoded.sequence, decoded.at, &decoded.events);
        report.difference = replay.compare_snapshots(&decoded, &mut report.snapshots);
        if report.difference.is_some() {
            break;
        }
        if wanted.remove(&decoded.sequence).is_some() {
            replay.hashes.insert(decoded.sequence, replay.state.hash());
        }
        if decoded.sequence.is_multiple_of(PROGRESS_EVERY) {
            progress(decoded.sequence, end);
        }
    }
    report.elapsed = started.elapsed();
    progress(report.head.sequence, end);
    Ok(report)
}

/// The sequences that snapshots were recorded for.
fn snapshots(reader: &LocalReader, end: u64) -> Result<BTreeMap<u64, ()>, ReplayError> {
    let mut wanted = BTreeMap::new();
    for record in reader.records(1) {
        let record = record?;
        if record.sequence > end {
            break;
        }
        let mut decoder = Decoder::new(&record.command);
        let variant = decoder.array().ok().and_then(|_| decoder.u32().ok());
        if variant == Some(RECORD_SNAPSHOT)
            && let Command::RecordSnapshot { sequence, .. } = record::decode(&record)?.command
        {
            wanted.insert(sequence, ());
        }
    }
    Ok(wanted)
}

struct Replay {
    state: State,
    events: Vec<Event>,
    bytes: Vec<u8>,
    /// State hashes after the records that snapshots were taken at.
    hashes: BTreeMap<u64, [u8; 32]>,
}

impl Replay {
    /// Decides a record again on the state before it.
    fn compare(&mut self, decoded: &Decoded, recorded: &[u8]) -> Option<Difference> {
        let differs = |what, recorded: Value, decided: Value| {
            let command = command_json(&decoded.command, &self.state);
            Some(Difference { sequence: decoded.sequence, what, command, recorded, decided })
        };
        if decoded.at < self.state.time() {
            let before = self.state.time().to_string();
            return differs("time", json!(decoded.at.to_string()), json!(format!("not before {before}")));
        }
        if decoded.rules != self.state.rules() {
            return differs("rules", json!(decoded.rules), json!(self.state.rules()));
        }
        if decoded.policy != self.state.policy_hash() {
            return differs("policy", json!(hex(&decoded.policy)), json!(hex(&self.state.policy_hash())));
        }
        decide(&self.state, decoded.at, &decoded.command, &mut self.events);
        self.bytes.clear();
        // Writing to memory cannot fail; if it did, the comparison would.
        let _infallible = minicbor::encode(&self.events, &mut self.bytes);
        if self.bytes == recorded {
            return None;
        }
        let json = |events: &[Event]| -> Value {
            events.iter().map(|event| event_json(event, &self.state)).collect()
        };
        let (recorded, decided) = (json(&decoded.events), json(&self.events));
        let command = command_json(&decoded.command, &self.state);
        Some(Difference { sequence: decoded.sequence, what: "events", command, recorded, decided })
    }

    /// Compares the state hashes that a record brings with those of the states themselves.
    fn compare_snapshots(&self, decoded: &Decoded, equal: &mut u64) -> Option<Difference> {
        for event in &decoded.events {
            let Event::SnapshotRecorded { sequence, state_hash } = event else { continue };
            let hash = self.hashes.get(sequence);
            if hash == Some(state_hash) {
                *equal = equal.saturating_add(1);
                continue;
            }
            return Some(Difference {
                sequence: decoded.sequence,
                what: "state_hash",
                command: command_json(&decoded.command, &self.state),
                recorded: json!({"sequence": sequence, "state_hash": hex(state_hash)}),
                decided: json!({"sequence": sequence, "state_hash": hash.map(|hash| hex(hash))}),
            });
        }
        None
    }
}
