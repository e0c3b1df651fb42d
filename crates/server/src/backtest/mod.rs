//! Back-test: every recorded decision once more, on the state it was made on, by a candidate policy.
//!
//! One step only: the candidate's decisions are compared and never folded in, so that everything after a changed decision
//! is as it happened under the policies of then. Reads only, beside a running server too.

pub(crate) mod compare;
mod report;

use std::time::{Duration, Instant};

use holdfast_decision::event::{AccountIndex, AssetIndex, Decision, Event};
use holdfast_decision::{RULES, State, decide, fold, weigh};
use holdfast_journal::{JournalError, LocalReader, Record};
use holdfast_policy::Program;
use holdfast_values::{Amount, Timestamp, WithdrawalId};

use crate::record::{self, Decoded, RecordError, command_name};

pub use compare::{Outcome, Way};
use report::Change;
pub use report::{Case, Customer, Money, Report, Side, WORST_MAX};

/// How many records pass between two looks at whether to go on.
const PROGRESS_EVERY: u64 = 1_024;

/// Why a back-test cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BacktestError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No record lies in the range.
    #[error(
        "no record of the journal lies in that range: they are from {first} to {last}, and --to is exclusive"
    )]
    RangeOutside {
        /// Of the first record.
        first: Timestamp,
        /// Of the last.
        last: Timestamp,
    },
    /// The journal has no record.
    #[error("the journal has no record")]
    Empty,
}

impl BacktestError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::RangeOutside { .. } => "range_outside",
            Self::Empty => "journal_empty",
        }
    }
}

/// Which records count. Earlier ones are only folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

/// Decides every recorded decision of the range again by `candidate`. `watch` is told the sequence reached and that of
/// the journal's head; where it answers false the back-test ends, and its report says that it is partial.
///
/// # Errors
/// [`BacktestError`] for a journal that cannot be read, or a range that holds no record.
pub fn backtest(
    reader: &LocalReader,
    candidate: Program,
    range: Range,
    watch: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Report, BacktestError> {
    let end = reader.head()?.sequence;
    check_range(reader, end, range)?;
    let started = Instant::now();
    let mut test = Backtest {
        state: State::new(),
        hash: candidate.hash(),
        candidate: Some(candidate),
        events: Vec::new(),
        report: Report::new(range),
    };
    test.report.candidate = test.hash;
    reader.each(1, |record| {
        if record.sequence > end || range.to.is_some_and(|to| Timestamp(record.time) >= to) {
            return Ok(false);
        }
        test.take(record, range.from)?;
        if record.sequence.is_multiple_of(PROGRESS_EVERY) && !watch(record.sequence, end) {
            test.report.is_partial = true;
            return Ok(false);
        }
        Ok::<_, BacktestError>(true)
    })?;
    test.report.active = test.state.policy_hash();
    test.report.elapsed = started.elapsed().max(Duration::from_micros(1));
    watch(test.report.last, end);
    Ok(test.report)
}

/// That some record lies in the range: times never fall from record to record.
fn check_range(reader: &LocalReader, end: u64, range: Range) -> Result<(), BacktestError> {
    let time_of = |sequence| -> Result<Timestamp, BacktestError> {
        let found = reader.read(sequence, 1)?;
        found.first().map(|record| Timestamp(record.time)).ok_or(BacktestError::Empty)
    };
    let (first, last) = (time_of(1)?, time_of(end.max(1))?);
    let is_outside = range.from.is_some_and(|from| from > last)
        || range.to.is_some_and(|to| to <= first)
        || range.from.zip(range.to).is_some_and(|(from, to)| from >= to);
    if is_outside { Err(BacktestError::RangeOutside { first, last }) } else { Ok(()) }
}

/// What a withdrawal is, for a case.
struct Subject {
    account: AccountIndex,
    asset: AssetIndex,
    amount: Amount,
}

struct Backtest {
    state: State,
    hash: [u8; 32],
    candidate: Option<Program>,
    events: Vec<Event>,
    report: Report,
}

impl Backtest {
    fn take(&mut self, record: &Record, from: Option<Timestamp>) -> Result<(), BacktestError> {
        let decoded = record::decode(record)?;
        self.report.records = self.report.records.saturating_add(1);
        self.report.last = decoded.sequence;
        let counts = from.is_none_or(|from| decoded.at >= from);
        if counts && weigh::asks_policy(&decoded.command) {
            if RULES.contains(&decoded.rules) {
                self.decide_again(&decoded);
            } else {
                let records = self.report.lacking.entry(decoded.rules).or_default();
                *records = records.saturating_add(1);
            }
        }
        fold(&mut self.state, decoded.sequence, decoded.at, &decoded.events);
        Ok(())
    }

    fn decide_again(&mut self, decoded: &Decoded) {
        let Self { state, candidate, events, .. } = self;
        state.with_program(candidate, |state| decide(state, decoded.at, &decoded.command, events));
        if decoded.policy == self.hash {
            self.report.reproduced(decoded.sequence, self.events == decoded.events);
        }
        let then: Vec<WithdrawalId> =
            weigh::decided(&self.state, &decoded.command, &decoded.events).collect();
        let now = weigh::decided(&self.state, &decoded.command, &self.events);
        let others: Vec<WithdrawalId> = now.filter(|id| !then.contains(id)).collect();
        let is_batch = matches!(decoded.command, holdfast_decision::Command::ProposeTransaction(_));
        for id in &then {
            self.compare(decoded, *id, !others.is_empty() && !is_batch);
        }
        for id in others {
            self.compare(decoded, id, false);
        }
    }

    /// Compares what became of a withdrawal in this record: a decision in its events, or else the one that stood.
    /// `may_be_displaced` if the candidate decided about another instead.
    fn compare(&mut self, decoded: &Decoded, id: WithdrawalId, may_be_displaced: bool) {
        let standing = self.state.withdrawal(id).map(|open| &open.decision);
        let own = decision_in(&self.events, id);
        if may_be_displaced && own.is_none() {
            // One withdrawal a step: the waiting line went on with another first. That one is compared instead.
            self.report.displaced = self.report.displaced.saturating_add(1);
            return;
        }
        let (Some(old), Some(new)) = (decision_in(&decoded.events, id).or(standing), own.or(standing)) else {
            return;
        };
        self.report.decisions = self.report.decisions.saturating_add(1);
        let Some(way) = compare::way(old, new) else { return };
        let Some(subject) = self.subject(decoded, id) else { return };
        let asset =
            self.state.configuration().assets.get(usize::from(subject.asset.0)).map(|asset| &asset.spec);
        self.report.changed(&Change {
            sequence: decoded.sequence,
            at: decoded.at,
            command: command_name(&decoded.command),
            withdrawal: id,
            account: self.state.account_id(subject.account).map_or("", |account| account.as_str()),
            asset: asset.map_or("", |asset| asset.symbol.as_str()),
            amount: subject.amount,
            decimals: asset.map_or(0, |asset| asset.decimals),
            way,
            old,
            new,
        });
    }

    fn subject(&self, decoded: &Decoded, id: WithdrawalId) -> Option<Subject> {
        if let Some(open) = self.state.withdrawal(id) {
            let request = &open.request;
            return Some(Subject { account: request.account, asset: request.asset, amount: request.amount });
        }
        decoded.events.iter().find_map(|event| match event {
            Event::WithdrawalRequested(asked) if asked.withdrawal == id => {
                Some(Subject { account: asked.account, asset: asked.asset, amount: asked.amount })
            }
            _ => None,
        })
    }
}

fn decision_in(events: &[Event], id: WithdrawalId) -> Option<&Decision> {
    events.iter().find_map(|event| match event {
        Event::WithdrawalDecided { withdrawal, decision } if *withdrawal == id => Some(&**decision),
        _ => None,
    })
}
