//! A withdrawal's text: its owner's approval by a credential, its end of validity and its renewal.

use holdfast_values::{AccountId, Timestamp, WithdrawalId};

use crate::event::{Event, Events};
use crate::protection::BoundApproval;
use crate::reason::Refusal;
use crate::refuse::Answer;
use crate::state::State;

pub(crate) fn approve(
    _state: &State,
    _at: Timestamp,
    _account: &AccountId,
    _withdrawal: WithdrawalId,
    _approval: &BoundApproval,
    _out: &mut Events,
) -> Answer {
    Err(Refusal::WithdrawalUnknown.into())
}

pub(crate) fn renew(
    _state: &State,
    _at: Timestamp,
    _account: &AccountId,
    _withdrawal: WithdrawalId,
    _nonce: [u8; 32],
    _out: &mut Events,
) -> Answer {
    Err(Refusal::WithdrawalUnknown.into())
}

impl State {
    pub(crate) fn evolve_approval(&mut self, _at: Timestamp, _event: &Event) {}
}
