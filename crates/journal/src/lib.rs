//! The ordered, hash-chained log of commands and events, and the snapshots beside it.
//!
//! Lives here: durable group append, reading back, the hash chain (`docs/record-format.md`), verification, snapshots.
//! Sees bytes only: what a command or an event means is none of this crate's business, and it reads no clock.

mod chain;
mod checkpoint;
mod copy;
mod directory;
mod error;
mod local;
mod memory;
mod reader;
mod record;
mod schema;
mod snapshots;
mod verify;
mod wal;

pub use chain::{MAX_PART_BYTES, genesis_hash, record_hash};
pub use checkpoint::{Checkpoint, NotACheckpoint};
pub use error::JournalError;
pub use local::{Durability, LocalJournal};
pub use memory::MemoryJournal;
pub use reader::{LocalReader, Records};
pub use record::{Draft, Head, JournalId, Record};
pub use snapshots::{Snapshot, SnapshotWriter, Snapshots};
pub use verify::{Finding, VerifyReport, verify};

/// The one ordered log that everything is decided in.
///
/// Sequences begin at 1 and have no gaps. What `append` acknowledged is durable; a group is there whole or not at all.
pub trait Journal {
    /// The journal's own id, drawn when it was created.
    fn id(&self) -> JournalId;

    /// The last durable record, or the genesis (sequence 0) of an empty journal.
    fn head(&self) -> Head;

    /// Appends the drafts in order as one durable group and returns the new head. An empty group changes nothing.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] and [`JournalError::OutOfRange`] refuse the group and leave the journal usable. Any
    /// other error poisons it: nothing is retried, and every later append is [`JournalError::Unavailable`] until the
    /// journal is opened again. Whether the failed group became durable is known only after that.
    fn append(&mut self, group: &[Draft]) -> Result<Head, JournalError>;

    /// Up to `limit` records from sequence `from` on (0 counts as 1), in order, each checked against its hash and its
    /// predecessor in the answer. Fewer come back where they would exceed 32 MiB; none means that there are no more.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if a record does not read as it was written.
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Record>, JournalError>;
}
