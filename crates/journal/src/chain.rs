//! The hash chain: pure functions over bytes, as `docs/record-format.md` has them. No IO.

use crate::{Draft, Head, JournalError, JournalId, Record};

/// The largest command and the largest events of one record: 16 MiB each. Nearly all have a few hundred bytes; what a
/// signer remembers and a restored journal has lost comes in one record.
pub const MAX_PART_BYTES: usize = 16 << 20;

/// Begins the hash input of a record.
const RECORD_DOMAIN: &[u8] = b"holdfast-record/v1\n";
/// Begins the hash input of a journal's genesis.
const JOURNAL_DOMAIN: &[u8] = b"holdfast-journal/v1\n";

/// The hash that the first record of a journal carries as its predecessor: BLAKE3 of a domain line and the id.
#[must_use]
pub fn genesis_hash(id: JournalId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(JOURNAL_DOMAIN).update(&id.0);
    *hasher.finalize().as_bytes()
}

/// The genesis of a journal as a position.
pub(crate) fn genesis(id: JournalId) -> Head {
    Head { sequence: 0, hash: genesis_hash(id) }
}

/// The fields of a record that its hash covers, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) previous: &'a [u8; 32],
    pub(crate) sequence: u64,
    pub(crate) time: u64,
    pub(crate) rules: u32,
    pub(crate) policy: &'a [u8; 32],
    pub(crate) command: &'a [u8],
    pub(crate) events: &'a [u8],
}

impl Fields<'_> {
    /// BLAKE3 of the framing. `buffer` is scratch: one contiguous input is hashed faster than many small ones.
    pub(crate) fn hash(&self, buffer: &mut Vec<u8>) -> [u8; 32] {
        buffer.clear();
        buffer.extend_from_slice(RECORD_DOMAIN);
        buffer.extend_from_slice(self.previous);
        buffer.extend_from_slice(&self.sequence.to_be_bytes());
        buffer.extend_from_slice(&self.time.to_be_bytes());
        buffer.extend_from_slice(&self.rules.to_be_bytes());
        buffer.extend_from_slice(self.policy);
        buffer.extend_from_slice(&(self.command.len() as u64).to_be_bytes());
        buffer.extend_from_slice(self.command);
        buffer.extend_from_slice(&(self.events.len() as u64).to_be_bytes());
        buffer.extend_from_slice(self.events);
        *blake3::hash(buffer).as_bytes()
    }
}

/// The hash of a record, recomputed from all of its fields but `hash`.
#[must_use]
pub fn record_hash(record: &Record) -> [u8; 32] {
    fields(record).hash(&mut Vec::new())
}

/// The hashed fields of a record.
pub(crate) fn fields(record: &Record) -> Fields<'_> {
    Fields {
        previous: &record.previous,
        sequence: record.sequence,
        time: record.time,
        rules: record.rules,
        policy: &record.policy,
        command: &record.command,
        events: &record.events,
    }
}

/// Refuses what the format cannot hold, before anything of the group is written.
pub(crate) fn check_group(head: Head, group: &[Draft]) -> Result<(), JournalError> {
    let last = head.sequence.checked_add(group.len() as u64);
    if last.and_then(|l| i64::try_from(l).ok()).is_none() {
        return Err(JournalError::OutOfRange { field: "sequence" });
    }
    for draft in group {
        for (part, bytes) in [("command", &draft.command), ("events", &draft.events)] {
            if bytes.len() > MAX_PART_BYTES {
                return Err(JournalError::TooLarge {
                    part,
                    bytes: bytes.len() as u64,
                    limit: MAX_PART_BYTES as u64,
                });
            }
        }
        if i64::try_from(draft.time).is_err() {
            return Err(JournalError::OutOfRange { field: "time" });
        }
    }
    Ok(())
}

/// What one read returns at most, so that a caller's limit in records cannot exhaust the memory.
pub(crate) const MAX_READ_BYTES: usize = 32 << 20;

/// Roughly what a record costs in memory.
pub(crate) fn weight(record: &Record) -> usize {
    record.command.len().saturating_add(record.events.len()).saturating_add(size_of::<Record>())
}

/// Gives a draft its place after `head`.
pub(crate) fn seal(head: Head, draft: &Draft, buffer: &mut Vec<u8>) -> Record {
    let mut record = Record {
        sequence: head.sequence.saturating_add(1),
        time: draft.time,
        rules: draft.rules,
        policy: draft.policy,
        command: draft.command.clone(),
        events: draft.events.clone(),
        previous: head.hash,
        hash: [0; 32],
    };
    record.hash = fields(&record).hash(buffer);
    record
}

/// How a record does not follow.
pub(crate) struct Break {
    /// `records_missing` or `record_changed`.
    pub(crate) code: &'static str,
    pub(crate) what: String,
}

/// Follows records in order and says how one differs from what was written.
pub(crate) struct Follow {
    next: u64,
    previous: Option<[u8; 32]>,
    buffer: Vec<u8>,
}

impl Follow {
    /// Expects sequence `from` next. Only the first record's predecessor is known beforehand.
    pub(crate) fn from(from: u64, id: JournalId) -> Self {
        let previous = (from <= 1).then(|| genesis_hash(id));
        Self { next: from.max(1), previous, buffer: Vec::new() }
    }

    /// Takes the next record, or says what is wrong with it.
    pub(crate) fn next(&mut self, record: &Record) -> Result<(), Break> {
        let sequence = record.sequence;
        if sequence != self.next {
            let what = format!("record {} is missing: the next one there is {sequence}", self.next);
            return Err(Break { code: "records_missing", what });
        }
        if fields(record).hash(&mut self.buffer) != record.hash {
            return Err(Break {
                code: "record_changed",
                what: format!("record {sequence} differs from its hash"),
            });
        }
        if self.previous.is_some_and(|p| p != record.previous) {
            let what = format!(
                "record {sequence} does not continue the record before it: one of the two was changed together with \
                 its own hash"
            );
            return Err(Break { code: "record_changed", what });
        }
        self.next = record.sequence.saturating_add(1);
        self.previous = Some(record.hash);
        Ok(())
    }
}
