//! One-time and recovery codes: each once, and guessing is slow without locking the owner out.

use holdfast_values::Timestamp;

use crate::event::{Event, Events};
use crate::protection::PresentCode;
use crate::reason::Refusal;
use crate::refuse::Answer;
use crate::state::State;

pub(crate) fn present(_state: &State, _at: Timestamp, _shown: &PresentCode, _out: &mut Events) -> Answer {
    Err(Refusal::AccountUnknown.into())
}

impl State {
    pub(crate) fn evolve_codes(&mut self, _at: Timestamp, _event: &Event) {}
}
