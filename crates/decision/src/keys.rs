//! API keys: their fences, what they were used for, and taking many out of use at once.

use holdfast_values::Timestamp;

use crate::event::{Event, Events};
use crate::protection::{KeyCohort, KeyUse};
use crate::reason::Refusal;
use crate::refuse::Answer;
use crate::state::State;

pub(crate) fn revoke(_state: &State, _cohort: &KeyCohort, _out: &mut Events) -> Answer {
    Err(Refusal::AccountUnknown.into())
}

pub(crate) fn used(_state: &State, _at: Timestamp, _keys: &[KeyUse], _out: &mut Events) -> Answer {
    Err(Refusal::AccountUnknown.into())
}

impl State {
    pub(crate) fn evolve_keys(&mut self, _at: Timestamp, _event: &Event) {}
}
