//! What goes into the journal and what comes out. Decides nothing and does no IO.

use std::fmt;

/// A journal's own id: 16 random bytes drawn when it is created. Its genesis hash depends on it, so that records of
/// one journal never continue another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JournalId(pub [u8; 16]);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JournalId({self})")
    }
}

/// One record on its way in: everything but its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Microseconds since 1970, as stamped at intake; at most `i64::MAX`.
    pub time: u64,
    /// The version of the rules that decided the command.
    pub rules: u32,
    /// The hash of the policy that was in force.
    pub policy: [u8; 32],
    /// The encoded command, at most [`crate::MAX_PART_BYTES`].
    pub command: Vec<u8>,
    /// The encoded events that it led to, at most [`crate::MAX_PART_BYTES`].
    pub events: Vec<u8>,
}

/// One record as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1 for the first record, without gaps from there.
    pub sequence: u64,
    /// Microseconds since 1970, as stamped at intake.
    pub time: u64,
    /// The version of the rules that decided the command.
    pub rules: u32,
    /// The hash of the policy that was in force.
    pub policy: [u8; 32],
    /// The encoded command.
    pub command: Vec<u8>,
    /// The encoded events that it led to.
    pub events: Vec<u8>,
    /// The hash of the record before, or the genesis hash.
    pub previous: [u8; 32],
    /// This record's hash: see `docs/record-format.md`.
    pub hash: [u8; 32],
}

impl Record {
    /// This record as a position in the journal.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash }
    }
}

/// A position in a journal: a sequence and the hash there. Sequence 0 is the genesis.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The sequence of the record, 0 for the genesis.
    pub sequence: u64,
    /// The hash of that record, or the genesis hash.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.sequence)?;
        write_hex(f, &self.hash)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({self})")
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}
