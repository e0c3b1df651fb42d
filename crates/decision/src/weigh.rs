//! For explanations and comparisons: the facts that a decision was made on, and what the policy found in them.
//!
//! `decide` does not use this; it reads the same facts by the same functions.

use holdfast_policy::{Action, Facts, Findings};
use holdfast_values::{Timestamp, WithdrawalId};

use crate::acts::Act;
use crate::command::{Command, RequestWithdrawal};
use crate::configuration::Class;
use crate::event::{Event, Factors, Status};
use crate::judge::{Subject, facts, is_settled_by_ladder};
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

/// What a policy was asked in a decision, and what of its answer is discharged.
#[derive(Debug)]
pub struct Asked<'s> {
    /// The slots.
    pub facts: Facts<'s>,
    /// When the withdrawal was asked for: dwells count from there.
    pub requested_at: Timestamp,
    /// The factors that were shown.
    pub discharged: Factors,
    /// Operators approved it: holds are discharged.
    pub holds_discharged: bool,
}

/// True for a command that may lead to a policy being asked about a withdrawal.
pub const fn asks_policy(command: &Command) -> bool {
    match command {
        Command::RequestWithdrawal(_)
        | Command::ReportOneTimeCode { .. }
        | Command::ApproveIntent { .. }
        | Command::RenewIntent { .. }
        | Command::PresentCode(_)
        | Command::ProposeTransaction(_)
        | Command::Tick => true,
        Command::OperatorAct(signed) => {
            matches!(signed.act, Act::ApproveCase(_) | Act::ApproveWithdrawal { .. })
        }
        _ => false,
    }
}

/// The withdrawals that a record decided about by a policy: those that its events name and, where a transaction was
/// proposed, those of its batch that went on as they were. `state` is the one before the record.
pub fn decided<'s>(
    state: &'s State,
    command: &'s Command,
    events: &'s [Event],
) -> impl Iterator<Item = WithdrawalId> + 's {
    let asks = asks_policy(command);
    let named = |id: WithdrawalId| {
        events
            .iter()
            .any(|event| matches!(event, Event::WithdrawalDecided { withdrawal, .. } if *withdrawal == id))
    };
    let is_refused = events.iter().any(|event| matches!(event, Event::Refused { .. }));
    let batch = match command {
        Command::ProposeTransaction(proposed) if !is_refused => proposed.withdrawals.as_slice(),
        _ => &[],
    };
    let went_on = batch.iter().copied().filter(move |id| {
        state.withdrawal(*id).is_some_and(|open| open.status() == Status::Approved) && !named(*id)
    });
    let decided = events.iter().filter_map(move |event| match event {
        Event::WithdrawalDecided { withdrawal, .. } if asks => Some(*withdrawal),
        _ => None,
    });
    decided.chain(went_on)
}

/// What the policy was asked about a withdrawal in a record; `None` if it was not asked. `state` is the one before the
/// record, whose events say what was shown in it.
pub fn asked<'s>(
    state: &'s State,
    at: Timestamp,
    (command, events): (&'s Command, &'s [Event]),
    id: WithdrawalId,
) -> Option<Asked<'s>> {
    let mut subject = match command {
        Command::RequestWithdrawal(request) => {
            let account = state.account_index(&request.account)?;
            let asset = state.asset_index(&request.asset)?;
            let wallet = state.wallet_of(asset, request.destination.network())?;
            Subject::new(state, at, request, (account, asset, wallet))?
        }
        _ => Subject::open(state, at, state.withdrawal(id)?)?,
    };
    for event in events {
        match event {
            Event::FactorDischarged { withdrawal, factor } if *withdrawal == id => {
                subject.discharged = subject.discharged.with(*factor);
            }
            Event::CaseApproved { withdrawal, operators }
            | Event::WithdrawalApproved { withdrawal, operators, .. }
                if *withdrawal == id =>
            {
                subject.operators = *operators;
            }
            Event::IntentApproved { withdrawal, approval } if *withdrawal == id => {
                subject = subject.approved(approval);
            }
            _ => {}
        }
    }
    if is_settled_by_ladder(state, at, &subject) {
        return None;
    }
    Some(Asked {
        facts: facts(state, at, &subject),
        requested_at: subject.requested_at,
        discharged: subject.discharged,
        holds_discharged: subject.is_approved_by_operators(state),
    })
}
