//! Records for people and machines: the command and the events of a journal record decoded, and printed as JSON.
//!
//! Lives here: decoding (an unknown variant names its record), the stable JSON names of every command, event and
//! field, and the names that dense indexes stand for. Nothing here decides, stores or sends anything.

pub(crate) mod chain;
mod command;
mod event;
mod governance;
pub(crate) mod json;
mod names;
pub(crate) mod protection;

use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_journal::Record;
use holdfast_values::Timestamp;
use minicbor::Decoder;
use serde_json::Value;

pub use command::{command_json, command_name};
pub use event::{decision_json, event_json, event_name, reason_json};
pub use json::{hex, unhex};
pub use names::{Names, NoNames, Seen};

/// A record with its command and events read.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Its place in the journal.
    pub sequence: u64,
    /// When it was ordered.
    pub at: Timestamp,
    /// The version of the rules that decided it.
    pub rules: u32,
    /// The hash of the policy that was active.
    pub policy: [u8; 32],
    /// The hash of the record.
    pub hash: [u8; 32],
    /// What was asked.
    pub command: Command,
    /// What happened.
    pub events: Vec<Event>,
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "record {sequence}: its {part} cannot be read ({detail}): it was written by a newer holdfast, or is damaged; \
     use the release that wrote it"
)]
pub struct RecordError {
    /// Which record.
    pub sequence: u64,
    /// `command` or `events`.
    pub part: &'static str,
    /// What the decoder met.
    pub detail: String,
}

impl RecordError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        "record_unreadable"
    }
}

/// Reads the command and the events of a record.
///
/// # Errors
/// [`RecordError`] for a variant that this binary does not know, malformed bytes, or bytes left over.
pub fn decode(record: &Record) -> Result<Decoded, RecordError> {
    let error = |part, detail| RecordError { sequence: record.sequence, part, detail };
    Ok(Decoded {
        sequence: record.sequence,
        at: Timestamp(record.time),
        rules: record.rules,
        policy: record.policy,
        hash: record.hash,
        command: whole(&record.command).map_err(|detail| error("command", detail))?,
        events: whole(&record.events).map_err(|detail| error("events", detail))?,
    })
}

/// Decodes a value that must be all of `bytes`.
fn whole<'b, T: minicbor::Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, String> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode().map_err(|error| error.to_string())?;
    match bytes.len().saturating_sub(decoder.position()) {
        0 => Ok(value),
        left => Err(format!("{left} bytes are left over")),
    }
}

/// A whole record as JSON: `sequence`, `time`, `rules`, `policy`, `hash`, `command`, `events`.
pub fn record_json(record: &Decoded, names: &dyn Names) -> Value {
    let events: Vec<Value> = record.events.iter().map(|event| event_json(event, names)).collect();
    json::Object::new()
        .put("sequence", record.sequence)
        .put("time", record.at.to_string())
        .put("rules", record.rules)
        .put("policy", hex(&record.policy))
        .put("hash", hex(&record.hash))
        .put("command", command_json(&record.command, names))
        .put("events", events)
        .into()
}
