//! The desk: what a job sees of State, and how it decides something.

use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_decision::{State, decide, fold};
use holdfast_journal::{Draft, MAX_PART_BYTES};
use holdfast_values::Timestamp;

use crate::gate;
use crate::problem::Problem;
use crate::shadow::Shadow;

use super::Reply;

/// State and its records that are not handed to the committer yet.
#[derive(Default)]
pub(super) struct Group {
    pub(super) drafts: Vec<Draft>,
    pub(super) replies: Vec<Box<dyn Reply>>,
    /// Something that the edge knows by heart has changed.
    pub(super) publish: bool,
    /// What the gate has to know before the answers leave.
    pub(super) gate: Vec<gate::Change>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.replies.is_empty()
    }
}

/// What a job works with.
pub struct Desk<'a> {
    pub(super) state: &'a mut State,
    pub(super) group: &'a mut Group,
    pub(super) at: Timestamp,
    pub(super) shadow: Option<&'a Shadow>,
}

/// What a command led to.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The record that holds it; for a repeated request the earlier one.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub events: Vec<Event>,
}

impl Decided {
    /// The first refusal, as a problem.
    ///
    /// # Errors
    /// That problem.
    pub fn accepted(self) -> Result<Self, Problem> {
        let refusal = self.events.iter().find_map(|event| match event {
            Event::Refused { refusal, detail } => Some(Problem::refused(*refusal, detail).at(self.sequence)),
            _ => None,
        });
        refusal.map_or(Ok(self), Err)
    }

    /// The earlier record, if this request was a repeated one.
    #[must_use]
    pub fn repeated(&self) -> Option<u64> {
        self.events.iter().find_map(|event| match event {
            Event::Repeated { sequence } => Some(*sequence),
            _ => None,
        })
    }
}

impl Desk<'_> {
    /// State, which may be ahead of the disk; the answer waits until it is not.
    #[must_use]
    pub const fn state(&self) -> &State {
        self.state
    }

    /// The time of this job.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.at
    }

    /// The number of a new id: 48 bits of milliseconds, then 80 random bits, so that ids sort by time.
    #[must_use]
    pub const fn mint(&self, random: [u8; 16]) -> u128 {
        ((self.at.0 / 1_000) as u128) << 80 | (u128::from_be_bytes(random) >> 48)
    }

    /// Decides a command and folds what happened into State.
    ///
    /// # Errors
    /// `body_too_large` if its record would be larger than the journal takes; nothing was changed then.
    pub fn decide(&mut self, command: &Command) -> Result<Decided, Problem> {
        let at = self.at;
        let mut events = Vec::new();
        decide(self.state, at, command, &mut events);
        match events.as_slice() {
            [] => return Ok(Decided { sequence: self.state.sequence(), at, events }),
            [Event::Repeated { sequence }] => return Ok(Decided { sequence: *sequence, at, events }),
            _ => {}
        }
        let draft = draft_of(self.state, at, command, &events)?;
        if let Some(shadow) = self.shadow {
            shadow.see(self.state, at, command, &events);
        }
        let sequence = self.state.sequence().saturating_add(1);
        fold(self.state, sequence, at, &events);
        self.group.drafts.push(draft);
        self.group.gate.extend(gate::changes(self.state, &events));
        self.group.publish |= events.iter().any(|event| {
            matches!(
                event,
                Event::TokenIssued(_)
                    | Event::TokenRevoked(_)
                    | Event::OperatorEnrolled(_)
                    | Event::OperatorRevoked(_)
                    | Event::Initialised(_)
                    | Event::Configured(_)
            )
        });
        Ok(Decided { sequence, at, events })
    }
}

/// The record of a command as the rules and the policy in force decided it. `state` is State before it.
///
/// # Errors
/// `body_too_large` if the journal does not take it.
pub fn draft_of(state: &State, at: Timestamp, command: &Command, events: &[Event]) -> Result<Draft, Problem> {
    let (Ok(command), Ok(events)) = (minicbor::to_vec(command), minicbor::to_vec(events)) else {
        return Err(Problem::new("internal").detail("a record cannot be encoded"));
    };
    if command.len() > MAX_PART_BYTES || events.len() > MAX_PART_BYTES {
        return Err(
            Problem::new("body_too_large").detail("its record would be larger than the journal takes")
        );
    }
    Ok(Draft { time: at.0, rules: state.rules(), policy: state.policy_hash(), command, events })
}
