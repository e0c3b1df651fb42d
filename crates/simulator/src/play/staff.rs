//! The exchange's staff: analysts who look at what is held, in order, and now and then are wrong; and operators who halt,
//! deny, freeze and resume.

use std::collections::BTreeSet;

use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, Scope};
use holdfast_decision::event::{AccountIndex, Status};
use holdfast_values::{Name, Timestamp, WithdrawalId, time};

use super::{OPERATORS, Play, THEFT, Todo, around, edge, happens, house};
use crate::format::{Body, Entry};
use crate::log::{Upon, What};

/// How long a halt lasts before operators sign its end.
const HALT: u64 = 6 * time::HOUR;
/// The median of the time until the owner of a drained account writes.
const COMPLAINT_MEDIAN: u64 = 12 * time::HOUR;
/// How unequal cases are: the deviation of the logarithm of the time that one takes.
const SPREAD: f64 = 0.6;

/// What the staff has in hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Staff {
    /// When the next case can be begun.
    free_at: Timestamp,
    in_incident: bool,
    /// Accounts that attackers withdrew from.
    robbed: BTreeSet<AccountIndex>,
    /// Accounts whose owner was told of it.
    told: BTreeSet<AccountIndex>,
    /// Accounts whose owner will complain.
    complaining: BTreeSet<AccountIndex>,
}

impl Staff {
    pub(super) fn robbed(&mut self, account: AccountIndex) {
        self.robbed.insert(account);
    }

    /// True the first time.
    pub(super) fn tells(&mut self, account: AccountIndex) -> bool {
        self.told.insert(account)
    }
}

fn name(text: &str) -> Option<Name> {
    text.parse().ok()
}

fn two() -> Vec<Name> {
    OPERATORS.iter().skip(1).filter_map(|operator| name(operator)).collect()
}

impl Play {
    /// A withdrawal is held: a case, which an analyst begins when one is free.
    pub(super) fn held(&mut self, at: Timestamp, id: WithdrawalId) {
        let Some(open) = self.book.get_mut(id).filter(|open| !open.is_case && !open.was_looked_at) else {
            return;
        };
        open.is_case = true;
        let (event, number) = (open.event.clone(), open.number);
        self.line(at, What::Alarm { kind: "held".into(), event });
        if self.with_staff {
            let begins = at.max(self.staff.free_at);
            let each = time::HOUR / u64::from(self.exchange.analyst_cases_an_hour.max(1));
            self.staff.free_at = begins.plus(each);
            let takes = around(&mut self.draw("analyst", number), self.exchange.analyst_delay, SPREAD);
            self.later(begins.plus(takes), Todo::Verdict(id));
        }
    }

    /// An analyst has looked: denies, or lets two operators sign.
    pub(super) fn verdict(&mut self, at: Timestamp, id: WithdrawalId) {
        let Some(open) = self.book.get_mut(id) else { return };
        open.is_case = false;
        let (event, number, is_attackers) = (open.event.clone(), open.number, open.is_attackers);
        if self.state.withdrawal(id).is_none_or(|open| open.status() != Status::Held) {
            return;
        }
        let is_wrong = happens(&mut self.draw("verdict", number), self.exchange.analyst_error_permille);
        if is_attackers != is_wrong {
            self.deny(at, id, event);
            if is_attackers {
                self.incident(at);
            }
            return;
        }
        if let Some(open) = self.book.get_mut(id) {
            open.was_looked_at = true;
        }
        self.line(at, What::Staff { did: "approve".into(), to: event.clone() });
        if let Ok(act) = edge::approve_held(&self.state, id) {
            let nonce = self.edge.nonce(&format!("approve {event}"));
            self.say(at, &house::act(act, two(), at, nonce), Upon::Approval);
        }
    }

    fn deny(&mut self, at: Timestamp, withdrawal: WithdrawalId, event: Box<str>) {
        let Some(by) = name(OPERATORS[0]) else { return };
        self.line(at, What::Staff { did: "deny".into(), to: event });
        self.say(at, &Command::DenyWithdrawal { withdrawal, by }, Upon::Act);
    }

    /// An attacker's withdrawal was paid: its owner will notice the empty account.
    pub(super) fn was_drained(&mut self, at: Timestamp, account: AccountIndex, event: &str) {
        if self.with_customers && self.has_owner(account) && self.staff.complaining.insert(account) {
            let delay = around(&mut self.draw("complaint", u64::from(account.0)), COMPLAINT_MEDIAN, 1.0);
            self.later(at.plus(delay), Todo::Complaint(account, event.into()));
        }
    }

    /// The owner of a drained account writes.
    pub(super) fn complaint(&mut self, at: Timestamp, account: AccountIndex, event: &str) {
        self.staff.complaining.remove(&account);
        self.line(at, What::Alarm { kind: "complaint".into(), event: event.into() });
        self.incident(at);
    }

    /// Somebody wrote to support: that an account was robbed without a withdrawal, by trades, only its owner knows.
    pub(super) fn was_written_to(&mut self, at: Timestamp, entry: &Entry) {
        let Body::Support { account, about } = &entry.body else { return };
        if self.with_customers && **about == *THEFT && self.marks.accounts.contains_key(account) {
            self.line(at, What::Alarm { kind: "complaint".into(), event: entry.id.clone() });
            self.incident(at);
        }
    }

    /// Somebody knows that this is an attack: everything stops in a while.
    fn incident(&mut self, at: Timestamp) {
        if self.with_staff && !self.staff.in_incident {
            self.staff.in_incident = true;
            self.later(at.plus(self.exchange.halt_delay), Todo::Halt);
        }
    }

    /// Everything stops, and what is known to be the attacker's is denied.
    pub(super) fn halt(&mut self, at: Timestamp) {
        let Some(by) = name(OPERATORS[0]) else { return };
        self.line(at, What::Staff { did: "halt".into(), to: "overall".into() });
        self.say(at, &Command::Halt { scope: Scope::Overall, by }, Upon::Act);
        self.clear(at);
        self.later(at.plus(HALT), Todo::Resume);
    }

    /// Operators sign the end of the halt; it comes after the configured delay. What attackers asked for meanwhile was found.
    pub(super) fn resume(&mut self, at: Timestamp) {
        self.clear(at);
        self.staff.in_incident = false;
        self.line(at, What::Staff { did: "resume".into(), to: "overall".into() });
        let nonce = self.edge.nonce(&format!("resume {at}"));
        self.say(at, &house::act(Act::Resume(Scope::Overall), two(), at, nonce), Upon::Act);
    }

    /// Denies what is open of attackers, and freezes the accounts that they withdrew from.
    fn clear(&mut self, at: Timestamp) {
        for id in self.book.attackers() {
            if let Some(event) = self.book.get(id).map(|open| open.event.clone()) {
                self.deny(at, id, event);
            }
        }
        let robbed: Vec<_> = self.staff.robbed.iter().copied().collect();
        for account in robbed {
            let known = self.state.account_at(account).filter(|known| !known.is_frozen);
            let (Some(known), Some(by)) = (known, name(OPERATORS[0])) else { continue };
            let account = known.id.clone();
            self.line(at, What::Staff { did: "freeze".into(), to: account.as_str().into() });
            self.say(at, &Command::FreezeAccount { account, by }, Upon::Act);
        }
    }
}
