//! Acts that wait in the model: when their time comes by its own count of it, and what becomes of them then.

use holdfast_decision::acts::Act;
use holdfast_decision::command::{OperatorKey, Scope, TokenScopes};
use holdfast_values::{Timestamp, WithdrawalId};

use super::{Model, Outcome, Told};

const HOUR: u64 = 3_600 * 1_000_000;

/// An act that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// Equal times are taken in this order.
    pub(super) nonce: [u8; 32],
    pub(super) act: Act,
    pub(super) hands: Vec<OperatorKey>,
    pub(super) since: Timestamp,
    pub(super) delay: u64,
    pub(super) sequence: u64,
}

impl Model {
    /// How many hands an act takes, and how long it waits.
    pub(super) fn terms(&self, at: Timestamp, act: &Act) -> Result<(u32, u64), &'static str> {
        if self.rules < 3 {
            let alone = matches!(act, Act::RevokeOperator(_));
            return Ok((if alone { 1 } else { self.needed() }, 0));
        }
        let parameters = &self.configuration.parameters;
        let setup = self.began.is_some_and(|began| at < began.plus(parameters.setup_window.unwrap_or(HOUR)));
        let long = parameters.loosening_delay.unwrap_or(24 * HOUR);
        let delay = match act {
            Act::ActivatePolicy(_) => return Err("act_replaced"),
            Act::RevokeOperator(name) => {
                let ageing = parameters.operator_ageing;
                let counts = |since, founder: bool| founder || self.age(since, at) >= ageing;
                let mut meant = self.operators.iter().filter(|known| known.0 == *name);
                let is_missed = meant.any(|(_, _, since, founder)| counts(*since, *founder));
                let others = self.operators.iter().filter(|known| known.0 != *name);
                let rest = others.filter(|(_, _, since, founder)| counts(*since, *founder)).count();
                let spare = rest.saturating_sub(self.needed() as usize);
                let alone = spare >= if is_missed { 2 } else { 1 };
                return Ok((if alone { 1 } else { self.needed() }, 0));
            }
            Act::SetLimits { account, usd_cents_24h, usd_cents_30d } if self.account(account).is_ok() => {
                let account = self.account(account)?;
                let (day, month) = self.limits(account);
                let own = self.accounts[account].limits;
                let falls = |new: Option<u64>, own: Option<u64>, now: u64| match new {
                    Some(new) => new <= now,
                    None => own.is_none(),
                };
                let day = falls(usd_cents_24h.map(|cents| cents.0), own.0, day);
                if day && falls(usd_cents_30d.map(|cents| cents.0), own.1, month) {
                    return Ok((1, 0));
                }
                long
            }
            // The random exchange has two configurations, each looser than the other somewhere.
            Act::Configure(next) if **next == self.configuration => return Ok((1, 0)),
            Act::IssueToken(token) if token.scopes == TokenScopes(token.scopes.0 & 9) => 0,
            Act::SetLimits { .. }
            | Act::SetTier { .. }
            | Act::Configure(_)
            | Act::EnrolOperator(_)
            | Act::Import(_)
            | Act::IssueToken(_)
            | Act::ActivateRules(_) => long,
            Act::Resume(_) => parameters.resume_delay.unwrap_or(HOUR / 6),
            Act::ApprovePolicy { .. } => long,
            Act::ProposePolicy(_) | Act::TightenPolicy(_) | Act::StopAct(_) => return Ok((1, 0)),
            Act::RestorePolicy { .. } => return Ok((2, 0)),
            _ => 0,
        };
        let delay = if setup && self.suspect_since.is_none() { 0 } else { delay };
        Ok((self.needed(), delay))
    }

    /// When an act's time comes, if no more of it is lost.
    fn due_of(&self, waiting: &Waiting) -> Timestamp {
        let waited = self.age(waiting.since, self.time);
        self.time.plus(waiting.delay.saturating_sub(waited))
    }

    /// The act whose time comes first.
    pub(super) fn first_waiting(&self) -> Option<(Timestamp, usize)> {
        let all = self.waiting.iter().enumerate();
        let first = all.map(|(place, one)| (self.due_of(one), &one.nonce, place)).min();
        first.map(|(due, _, place)| (due, place))
    }

    pub(super) fn take_effect(
        &mut self,
        at: Timestamp,
        sequence: u64,
        place: usize,
        told: &dyn Told,
    ) -> Vec<Outcome> {
        let waiting = self.waiting.remove(place);
        let lapsed = |code| vec![Outcome::plain(WithdrawalId(0), code)];
        if matches!(waiting.act, Act::Configure(_)) && self.configured > waiting.sequence {
            return lapsed("configuration_superseded");
        }
        let hands = self.hands_under(at, &waiting.act, &waiting.hands);
        if hands < self.needed() {
            return lapsed("signatures_insufficient");
        }
        let signed = (waiting.nonce, waiting.hands.as_slice());
        match self.perform((at, waiting.since), sequence, (&waiting.act, signed), hands, told) {
            Ok(outcomes) => outcomes,
            Err(code) => lapsed(code),
        }
    }

    /// A halt stops what would have ended it.
    pub(super) fn stop_resumes(&mut self, scope: &Scope) {
        self.waiting.retain(|waiting| !matches!(&waiting.act, Act::Resume(meant) if meant == scope));
    }

    /// Limits that are set at once end what waits to set them.
    pub(super) fn forget_limits(&mut self, account: usize) -> Vec<Outcome> {
        let id = self.accounts[account].id.clone();
        let before = self.waiting.len();
        self.waiting.retain(|one| !matches!(&one.act, Act::SetLimits { account, .. } if *account == id));
        vec![Outcome::plain(WithdrawalId(0), "limits_superseded"); before - self.waiting.len()]
    }

    /// Those that wait, by nonce.
    pub(crate) fn waiting(&self) -> Vec<([u8; 32], Timestamp)> {
        let mut all: Vec<_> = self.waiting.iter().map(|one| (one.nonce, self.due_of(one))).collect();
        all.sort();
        all
    }
}
