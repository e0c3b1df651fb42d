//! What an attacker has planned: requests with their times. Most of an attack is preparation that nobody answers.

use std::collections::{BTreeMap, VecDeque};

use holdfast_values::Timestamp;

use super::reach::Reach;
use crate::format::Body;
use crate::play::Answer;
use crate::truth::Role;

/// Requests in order of time.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    steps: BTreeMap<(Timestamp, u32), Body>,
    next: u32,
}

impl Agenda {
    /// Puts one down.
    pub(super) fn at(&mut self, at: Timestamp, body: Body) {
        self.next = self.next.saturating_add(1);
        self.steps.insert((at, self.next), body);
    }

    /// When the next one is due.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        self.steps.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what is due. An account that is frozen or gone loses the rest of its plan.
    pub(super) fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        while self.wakes().is_some_and(|due| due <= at) {
            let Some((_, body)) = self.steps.pop_first() else { return };
            let account: Box<str> = body.account().unwrap_or_default().into();
            if let Answer::Refused { code } = reach.submit(Role::Prepare, body).answer
                && is_lost(&code)
            {
                self.steps.retain(|_, step| step.account() != Some(&*account));
            }
        }
    }
}

/// The next one of a queue, if it is due.
pub(super) fn next_due<T>(queue: &mut VecDeque<T>, is_due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(is_due) { queue.pop_front() } else { None }
}

/// Whether a refusal says that the account is out of his hands.
pub(super) fn is_lost(code: &str) -> bool {
    matches!(code, "not_in_reach" | "out_of_budget" | "account_frozen" | "account_unknown")
}
