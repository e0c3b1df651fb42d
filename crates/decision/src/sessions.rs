//! Sessions: which devices and places an account is known to be used from.

use holdfast_values::Timestamp;

use crate::event::{Event, Events};
use crate::protection::RecordSession;
use crate::reason::Refusal;
use crate::refuse::Answer;
use crate::state::State;

pub(crate) fn record(_state: &State, _at: Timestamp, _session: &RecordSession, _out: &mut Events) -> Answer {
    Err(Refusal::AccountUnknown.into())
}

impl State {
    pub(crate) fn evolve_session(&mut self, _at: Timestamp, _event: &Event) {}
}
