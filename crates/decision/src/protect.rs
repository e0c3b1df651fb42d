//! Changes of an account's protection: what each needs, and what follows.

use holdfast_values::Timestamp;

use crate::event::{Event, Events};
use crate::protection::ChangeProtection;
use crate::reason::Refusal;
use crate::refuse::Answer;
use crate::state::State;

pub(crate) fn change(_state: &State, _at: Timestamp, _asked: &ChangeProtection, _out: &mut Events) -> Answer {
    Err(Refusal::AccountUnknown.into())
}

impl State {
    pub(crate) fn evolve_protection(&mut self, _at: Timestamp, _event: &Event) {}
}
