//! A file of events, decided: read line by line, put to a [`Play`], and what happened written line by line.
//!
//! Memory is bounded by what the exchange knows (accounts, open withdrawals) and a fingerprint of each event's id.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use holdfast_values::{Micros, Timestamp};
use serde_json::{Value, json};

use crate::format::{BadLine, ReadError, Reader};
use crate::log::{self, Line, What};
use crate::play::Play;

/// How a file is decided.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// So many bad lines are left out; the next one ends it.
    pub skip_bad: u64,
    /// How long the exchange goes on after the last event, so that what waits is decided.
    pub after: Micros,
    /// For the head of the decisions.
    pub seed: u64,
}

/// Why a file was not decided to its end. What was decided before is written.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// A line is bad, and none may be left out.
    #[error("{0}")]
    Bad(BadLine),
    /// More lines are bad than may be left out.
    #[error("{last}; {skipped} bad lines were left out before it, which is all that --skip-bad allows")]
    TooManyBad {
        /// How many were left out.
        skipped: u64,
        /// The one that was too many.
        last: BadLine,
    },
    /// The events cannot be read.
    #[error("{0}")]
    Read(ReadError),
    /// The decisions cannot be written.
    #[error("the decisions cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl DecideError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bad(line) => line.bad.code(),
            Self::TooManyBad { .. } => "too_many_bad",
            Self::Read(error) => error.code(),
            Self::Write(_) => "decisions_unwritable",
        }
    }
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that were read, the first one included.
    pub lines: u64,
    /// Events that were put to the exchange.
    pub events: u64,
    /// Bad lines that were left out.
    pub skipped: u64,
    /// Events that the exchange refused.
    pub refused: u64,
    /// Commands that the core decided, time's own included.
    pub commands: u64,
    /// Withdrawals that were asked for, by what was decided at once.
    pub asked: BTreeMap<Box<str>, u64>,
    /// Withdrawals that ended, by how: `left`, `denied`, `cancelled`, `expired`.
    pub ended: BTreeMap<Box<str>, u64>,
    /// Alarms by their kind.
    pub alarms: BTreeMap<Box<str>, u64>,
    /// Withdrawals that were still open.
    pub open: u64,
    /// The first and the last event's time.
    pub span: Option<(Timestamp, Timestamp)>,
    /// It was stopped before the end of the file.
    pub interrupted: bool,
}

impl Summary {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "lines": self.lines,
            "events": self.events,
            "skipped": self.skipped,
            "refused": self.refused,
            "commands": self.commands,
            "withdrawals": self.asked.values().sum::<u64>(),
            "asked": self.asked,
            "ended": self.ended,
            "alarms": self.alarms,
            "open": self.open,
            "from": self.span.map(|(from, _)| from.to_string()),
            "to": self.span.map(|(_, to)| to.to_string()),
            "interrupted": self.interrupted,
        })
    }

    fn count(&mut self, what: &What) {
        let mut add = |to: fn(&mut Self) -> &mut BTreeMap<Box<str>, u64>, key: &str| {
            let count = to(self).entry(key.into()).or_default();
            *count = count.saturating_add(1);
        };
        match what {
            What::Decided { upon: log::Upon::Request, outcome, .. } => add(|all| &mut all.asked, outcome),
            What::Closed { status, .. } => add(|all| &mut all.ended, status),
            What::Left { .. } => add(|all| &mut all.ended, "left"),
            What::Alarm { kind, .. } => add(|all| &mut all.alarms, kind),
            What::Refused { .. } => self.refused = self.refused.saturating_add(1),
            _ => {}
        }
    }
}

/// Somebody who watches while a file is decided.
pub trait Watch {
    /// So many bytes were read. False ends it with what was decided so far.
    fn goes_on(&mut self, bytes: u64) -> bool;
    /// A line is left out.
    fn skipped(&mut self, line: &BadLine);
}

/// Decides a file.
///
/// # Errors
/// [`DecideError`]; what was decided before is written.
pub fn decide(
    events: impl BufRead,
    play: &mut Play,
    decisions: &mut impl Write,
    options: Options,
    watch: &mut dyn Watch,
) -> Result<Summary, DecideError> {
    let mut reader = Reader::new(events);
    let mut summary = Summary::default();
    let head = json!({
        "format": log::FORMAT,
        "policy": play.policy_hash(),
        "seed": options.seed,
    });
    writeln!(decisions, "{head}")?;
    let ended = run(&mut reader, play, decisions, options, watch, &mut summary);
    summary.lines = reader.line();
    summary.commands = play.commands();
    summary.open = u64::try_from(play.open()).unwrap_or(u64::MAX);
    write_log(play, decisions, &mut summary)?;
    decisions.flush()?;
    ended.map(|()| summary)
}

fn run(
    reader: &mut Reader<impl BufRead>,
    play: &mut Play,
    decisions: &mut impl Write,
    options: Options,
    watch: &mut dyn Watch,
    summary: &mut Summary,
) -> Result<(), DecideError> {
    loop {
        if summary.events.is_multiple_of(LOOK_EVERY) && !watch.goes_on(reader.bytes()) {
            summary.interrupted = true;
            return Ok(());
        }
        let entry = match reader.next(|account| play.knows(account)) {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(ReadError::Line(last)) => {
                // Without its first line nothing says that this is such a file at all.
                let is_head = matches!(last.bad, crate::format::Bad::FormatMissing(_));
                if is_head || options.skip_bad == 0 {
                    return Err(DecideError::Bad(last));
                }
                if summary.skipped >= options.skip_bad {
                    return Err(DecideError::TooManyBad { skipped: summary.skipped, last });
                }
                summary.skipped = summary.skipped.saturating_add(1);
                watch.skipped(&last);
                continue;
            }
            Err(error) => return Err(DecideError::Read(error)),
        };
        summary.events = summary.events.saturating_add(1);
        let (from, _) = summary.span.unwrap_or((entry.at, entry.at));
        summary.span = Some((from, entry.at));
        play.submit(&entry);
        if play.log().len() >= LINES_MAX {
            write_log(play, decisions, summary)?;
        }
    }
    if let Some((_, last)) = summary.span {
        play.advance(last.plus(options.after));
    }
    Ok(())
}

/// How often it is asked whether to go on.
const LOOK_EVERY: u64 = 256;
/// How many lines are kept before they are written.
const LINES_MAX: usize = 256;

fn write_log(play: &mut Play, to: &mut impl Write, summary: &mut Summary) -> io::Result<()> {
    for line in play.take_log() {
        summary.count(&line.what);
        write_line(&line, to)?;
    }
    Ok(())
}

/// Writes a line of decisions, with its end.
///
/// # Errors
/// If it cannot be written.
pub fn write_line(line: &Line, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line).map_err(io::Error::from)?;
    to.write_all(b"\n")
}
