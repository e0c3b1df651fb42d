//! For explanations: the facts that a decision was made on, and what the policy found in them.
//!
//! `decide` does not use this; it reads the same facts by the same functions.

use holdfast_policy::{Action, Facts, Findings};
use holdfast_values::{Timestamp, WithdrawalId};

use crate::command::RequestWithdrawal;
use crate::configuration::Class;
use crate::judge::{Subject, facts};
use crate::state::State;

/// What stood before the policy, and what it found.
#[derive(Debug)]
pub struct Weighed<'s> {
    /// Whose buckets.
    pub class: Class,
    /// The slots.
    pub facts: Facts<'s>,
    /// Which policies matched.
    pub findings: Findings,
}

/// Weighs a withdrawal that is being asked for, on the State before it; `None` if it would be refused.
pub fn request<'s>(state: &'s State, at: Timestamp, request: &'s RequestWithdrawal) -> Option<Weighed<'s>> {
    let account = state.account_index(&request.account)?;
    let asset = state.asset_index(&request.asset)?;
    let wallet = state.wallet_of(asset, request.destination.network())?;
    let subject = Subject::new(state, at, request, (account, asset, wallet))?;
    Some(weigh(state, at, &subject))
}

/// Weighs an open withdrawal.
pub fn open(state: &State, at: Timestamp, id: WithdrawalId) -> Option<Weighed<'_>> {
    let subject = Subject::open(state, at, state.withdrawal(id)?)?;
    Some(weigh(state, at, &subject))
}

fn weigh<'s>(state: &'s State, at: Timestamp, subject: &Subject<'s>) -> Weighed<'s> {
    let facts = facts(state, at, subject);
    let mut findings = Findings::new();
    if let Some(program) = state.program() {
        program.evaluate(Action::Withdraw, &facts, &mut findings);
    }
    Weighed { class: crate::judge::class_of(state, at, subject), facts, findings }
}
