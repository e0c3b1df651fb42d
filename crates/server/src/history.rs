//! History: every policy that ever decided, since when, on whose word, read from the journal. Reads only.
//!
//! Nothing is believed that can be found out again: `recount` verifies each signature over the text that the journal keeps,
//! and counts hands and time anew.

mod recount;

use holdfast_decision::event::{Event, PolicyMove};
use holdfast_journal::{JournalError, Record};
use minicbor::Decoder;
use serde::Serialize;
use utoipa::ToSchema;

use crate::record::{self, Decoded, RecordError, hex};

use recount::Recount;

/// Events that bring another policy, or tell who may and how long it takes: their numbers in records. `Initialised`,
/// `DowntimeRecorded`, `ClockSuspected`, `ClockConfirmed`, `Configured` to `RulesActivated`, `PolicyProposed` to
/// `ActTookEffect`.
const TELLING: [core::ops::RangeInclusive<u32>; 3] = [0..=3, 32..=36, 68..=74];

/// Why the history cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl HistoryError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Record(error) => error.code(),
        }
    }
}

/// A policy while it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Era {
    /// The pack's hash.
    pub hash: String,
    /// `initial`, `approved`, `tightened`, `restored`; `activated` by rules before version 3; `unknown` where records are
    /// under a policy that none brought.
    pub how: String,
    /// From when it decided.
    pub since: String,
    /// Until when; nothing for the one that decides.
    pub until: Option<String>,
    /// The record that made it decide.
    pub sequence: u64,
    /// The pack before.
    pub from: Option<String>,
    /// Who proposed it.
    pub author: Option<String>,
    /// Why, as its author says.
    pub reason: Option<String>,
    /// What operators signed.
    pub text: Option<String>,
    /// When that was accepted: from then on an approval waits.
    pub accepted: Option<String>,
    /// Who signed, each verified again.
    pub approvals: Vec<Signed>,
    /// How many operators that makes, who counted when it began to decide.
    pub counted: u32,
    /// How many it takes.
    pub needed: u32,
    /// Its program, beside what this binary's compiler makes of its files: `same`; `other` if something else was recorded by
    /// the same version of the compiler, which is a problem; `other_compiler` if it was recorded by another version, or
    /// before versions were told, and differs: it was not compared; `none` where no program was recorded with files.
    pub program: String,
    /// Which version of the compiler made the program, as recorded; this binary's is `this_compiler`.
    pub compiler: Option<u32>,
    /// The version of the compiler in this binary.
    pub this_compiler: u32,
    /// What is wrong with it, in words; nothing if all was found to be as it must be.
    pub problems: Vec<String>,
    /// Nothing is wrong. Of the initial policy, which nobody signs, that its files have its hash.
    pub verified: bool,
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Signed {
    /// Whose.
    pub operator: String,
    /// Ed25519 in base64url, or `passkey:` and the SHA-256 of the passkey's public key.
    pub public_key: String,
    /// The signature is good, and the operator had been enrolled with that key.
    pub valid: bool,
    /// It counts: it is valid, and neither its author's hand nor that of somebody enrolled too recently.
    pub counts: bool,
}

/// Every policy so far; goes on where it stopped.
#[derive(Clone, Debug, Default)]
pub struct History {
    last: u64,
    eras: Vec<Era>,
    recount: Recount,
    /// The policy that the record before was under, if no record had brought it.
    stray: Option<[u8; 32]>,
}

impl History {
    /// The record that it has read last.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The policies, oldest first.
    #[must_use]
    pub fn eras(&self) -> &[Era] {
        &self.eras
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// [`HistoryError::Record`].
    pub fn take(&mut self, record: &Record) -> Result<(), HistoryError> {
        if self.last > 0 && record.policy != self.recount.policy() {
            self.stray(record);
        } else {
            self.stray = None;
        }
        if tells(&record.events) != Some(false) {
            self.tell(&record::decode(record)?);
        }
        self.last = record.sequence;
        Ok(())
    }

    /// A record is under a policy that none before it brought.
    fn stray(&mut self, record: &Record) {
        if self.stray.replace(record.policy) == Some(record.policy) {
            return;
        }
        let at = holdfast_values::Timestamp(record.time).to_string();
        let mut era = era((record.sequence, at), &record.policy, "unknown");
        era.problems.push("records are under this policy, and none before them brought it".to_owned());
        self.follow(era);
    }

    fn tell(&mut self, decoded: &Decoded) {
        let mut moved: Option<&PolicyMove> = None;
        for event in &decoded.events {
            match event {
                Event::PolicyMoved(told) => moved = Some(told),
                Event::Initialised(first) => {
                    let mut era = of(decoded, &first.policy.hash, "initial");
                    self.recount.begin(decoded, first, &mut era);
                    self.follow(era);
                }
                Event::PolicyActivated(source) => {
                    let moved = moved.take();
                    let mut era =
                        of(decoded, &source.hash, moved.map_or("activated", |moved| moved.how.name()));
                    era.author = moved.and_then(|moved| moved.author.as_ref()).map(ToString::to_string);
                    era.reason = moved.and_then(|moved| moved.reason.clone());
                    self.recount.moves(decoded, moved, source, &mut era);
                    self.follow(era);
                }
                event => self.recount.take(decoded, event),
            }
        }
        if moved.is_some()
            && let Some(era) = self.eras.last_mut()
        {
            era.problems.push(format!("record {} moves to another and brings none", decoded.sequence));
            era.verified = false;
        }
    }

    fn follow(&mut self, mut era: Era) {
        era.verified = era.problems.is_empty();
        if let Some(last) = self.eras.last_mut() {
            last.until = Some(era.since.clone());
            era.from = Some(last.hash.clone());
        }
        self.eras.push(era);
    }
}

/// Whether one of these events is worth reading; nothing if that cannot be seen.
fn tells(events: &[u8]) -> Option<bool> {
    let mut decoder = Decoder::new(events);
    for _ in 0..decoder.array().ok()?? {
        decoder.array().ok()??;
        let variant = decoder.u32().ok()?;
        if TELLING.iter().any(|telling| telling.contains(&variant)) {
            return Some(true);
        }
        decoder.skip().ok()?;
    }
    Some(false)
}

fn of(decoded: &Decoded, hash: &[u8; 32], how: &str) -> Era {
    era((decoded.sequence, decoded.at.to_string()), hash, how)
}

fn era((sequence, since): (u64, String), hash: &[u8; 32], how: &str) -> Era {
    Era {
        hash: hex(hash),
        how: how.to_owned(),
        since,
        until: None,
        sequence,
        from: None,
        author: None,
        reason: None,
        text: None,
        accepted: None,
        approvals: Vec::new(),
        counted: 0,
        needed: 0,
        program: "none".to_owned(),
        compiler: None,
        this_compiler: holdfast_cedar::COMPILER,
        problems: Vec::new(),
        verified: false,
    }
}
