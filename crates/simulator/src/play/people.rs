//! What customers do when they are told or asked something: notices, one-time codes, keys, giving up, and the link by which
//! an owner stops an account.

use holdfast_decision::command::Command;
use holdfast_decision::event::{AccountIndex, Status};
use holdfast_decision::protection::{ChangeProtection, CredentialUse};
use holdfast_decision::{OWNER_FREEZE, Withdrawal};
use holdfast_policy::Factor;
use holdfast_values::{Fingerprint, Timestamp, WithdrawalId};

use super::customers::{Customers, StepUp};
use super::{Play, Todo, around, happens};
use crate::format::Entry;
use crate::log::{Upon, What};

/// Bits of what a customer has reacted to.
const CODE: u8 = 1;
const PASSKEY: u8 = 2;

impl Play {
    /// The owner of a book is told of a new destination.
    pub(super) fn notice(&mut self, at: Timestamp, account: AccountIndex, destination: Fingerprint) {
        if self.with_customers {
            let [a, b, c, d, e, f, g, h, ..] = destination.0;
            let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let delay = self.customers().soon("notice", number ^ u64::from(account.0));
            self.later(at.plus(delay), Todo::Notice(account, destination));
        }
    }

    const fn customers(&self) -> Customers {
        Customers::new(self.seed)
    }

    /// A withdrawal asks its owner for something.
    pub(super) fn is_asked(&mut self, at: Timestamp, id: WithdrawalId, factors: &[Factor]) {
        let Some(open) = self.book.get(id).filter(|open| self.with_customers && !open.is_attackers) else {
            return;
        };
        let (number, asked) = (open.number, open.asked);
        let mut now = asked;
        if factors.contains(&Factor::OneTimeCode) && asked & CODE == 0 {
            now |= CODE;
            let delay = self.customers().soon("code", number);
            self.later(at.plus(delay), Todo::Code(id));
        }
        if factors.contains(&Factor::Passkey) && asked & PASSKEY == 0 {
            now |= PASSKEY;
            match self.customers().step_up(number, self.key_of(at, id).is_some()) {
                StepUp::Approves(delay) => self.later(at.plus(delay), Todo::Approve(id)),
                StepUp::TakesBack(delay) => self.later(at.plus(delay), Todo::Cancel(id)),
                StepUp::Nothing => {}
            }
        }
        if let Some(open) = self.book.get_mut(id) {
            open.asked = now;
        }
    }

    /// A credential of a withdrawal's owner that counts now.
    fn key_of(&self, at: Timestamp, id: WithdrawalId) -> Option<Fingerprint> {
        self.counting_key(at, self.state.withdrawal(id)?.request.account)
    }

    fn counting_key(&self, at: Timestamp, account: AccountIndex) -> Option<Fingerprint> {
        let protection = self.state.account_at(account)?.protection.as_deref()?;
        let counts = |known: &&holdfast_decision::protection::Credential| {
            self.state.credential_counts(at, known, CredentialUse::Approve)
        };
        protection.credentials.iter().find(counts).map(|known| known.credential)
    }

    /// An attacker's withdrawal was asked for: the notice reaches the owner, who may look at it.
    pub(super) fn owner_is_told(&mut self, at: Timestamp, account: AccountIndex) {
        self.staff.robbed(account);
        if !self.with_customers || !self.has_owner(account) || !self.staff.tells(account) {
            return;
        }
        let mut draw = self.draw("owner", u64::from(account.0));
        if happens(&mut draw, self.exchange.owners_who_notice_permille) {
            let delay = around(&mut draw, self.exchange.owner_delay, 1.0);
            self.later(at.plus(delay), Todo::PanicLink(account));
        }
    }

    /// False of a mule's account.
    pub(super) fn has_owner(&self, account: AccountIndex) -> bool {
        let id = self.state.account_id(account);
        let is_mules = id.and_then(|id| self.marks.accounts.get(id.as_str())).copied();
        !is_mules.unwrap_or(false)
    }

    /// What a customer does at its time.
    pub(super) fn customer_acts(&mut self, at: Timestamp, todo: Todo) {
        match todo {
            Todo::Notice(account, destination) => {
                let Some(account) = self.state.account_id(account).cloned() else { return };
                let command = Command::RecordNoticeDelivered { account, destination };
                self.say(at, &command, Upon::Act);
            }
            Todo::Code(id) => {
                let waits =
                    self.waiting(id).filter(|open| open.decision.factors.contains(Factor::OneTimeCode));
                let Some(account) = waits.and_then(|open| self.state.account_id(open.request.account)) else {
                    return;
                };
                let command = Command::ReportOneTimeCode { account: account.clone(), withdrawal: id };
                self.say(at, &command, Upon::Approval);
            }
            Todo::Approve(id) => {
                let waits = self.waiting(id).filter(|open| open.decision.factors.contains(Factor::Passkey));
                let account = waits.and_then(|open| self.state.account_id(open.request.account));
                let (Some(account), Some(key)) = (account, self.key_of(at, id)) else { return };
                if let Ok(command) = self.edge.approval(&self.state, account.as_str(), id, key) {
                    self.say(at, &command, Upon::Approval);
                }
            }
            Todo::Cancel(id) => {
                let waits = self.waiting(id);
                let Some(account) = waits.and_then(|open| self.state.account_id(open.request.account)) else {
                    return;
                };
                let command = Command::CancelWithdrawal { account: account.clone(), withdrawal: id };
                self.say(at, &command, Upon::Act);
            }
            Todo::PanicLink(account) => self.panic_link(at, account),
            _ => {}
        }
    }

    fn waiting(&self, id: WithdrawalId) -> Option<&Withdrawal> {
        self.state.withdrawal(id).filter(|open| open.status() == Status::AwaitingApproval)
    }

    fn panic_link(&mut self, at: Timestamp, account: AccountIndex) {
        let known = self.state.account_at(account).filter(|known| !known.is_frozen);
        let (Some(known), Ok(by)) = (known, OWNER_FREEZE.parse()) else { return };
        let id = known.id.clone();
        self.line(at, What::Alarm { kind: "owner".into(), event: id.as_str().into() });
        self.say(at, &Command::FreezeAccount { account: id, by }, Upon::Act);
    }

    /// An owner who has a key approves the API key that he made himself.
    pub(super) fn owner_approves_change(
        &self,
        at: Timestamp,
        entry: &Entry,
        asked: &ChangeProtection,
    ) -> Option<Command> {
        if !self.with_customers || self.marks.events.contains(&entry.id) || asked.approval.is_some() {
            return None;
        }
        let key = self.counting_key(at, self.state.account_index(&asked.account)?)?;
        Some(self.edge.approve_change(at, &entry.id, asked, key))
    }
}
