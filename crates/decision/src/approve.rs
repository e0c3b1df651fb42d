//! A withdrawal's text: its owner's approval by a credential, its end of validity and its renewal; and which credential and
//! which mandate count.

use holdfast_values::{AccountId, MandateId, Timestamp, WithdrawalId, time};

use crate::RULES_LAPSE;
use crate::account::Account;
use crate::acts::Digest;
use crate::command::{Evidence, RequestWithdrawal};
use crate::configuration::CREDENTIAL_AGEING;
use crate::decide::own_withdrawal;
use crate::event::{AccountIndex, Event, Events, Factors, Status};
use crate::judge::{Subject, judge};
use crate::protection::{
    Basis, BoundApproval, Credential, CredentialUse, MANDATE_USES_MAX, Mandate, Protection,
};
use crate::reason::{Refusal, Severity};
use crate::refuse::{Answer, Refused};
use crate::settle::settle;
use crate::state::State;
use crate::withdrawal::{Lapse, Withdrawal};

/// How often a withdrawal's text may lapse: past the end of the next one it expires.
pub const LAPSES_MAX: u8 = 8;

impl Account {
    /// A credential of the account, removed or not.
    pub fn credential(&self, credential: &holdfast_values::Fingerprint) -> Option<&Credential> {
        let known = self.protection.iter().flat_map(|protection| &protection.credentials);
        known.into_iter().find(|known| known.credential == *credential)
    }

    /// A mandate of the account, in force or not.
    pub fn mandate(&self, mandate: MandateId) -> Option<&Mandate> {
        let known = self.protection.iter().flat_map(|protection| &protection.mandates);
        known.into_iter().find(|known| known.terms.mandate == mandate)
    }
}

impl State {
    /// True if what a credential says counts now, for something that it is for.
    pub fn credential_counts(&self, at: Timestamp, credential: &Credential, used_for: CredentialUse) -> bool {
        let ageing = self.configuration().parameters.credential_ageing.unwrap_or(CREDENTIAL_AGEING);
        let is_old = || self.steady.age(credential.enrolled_at, at) >= ageing;
        !credential.is_removed
            && !credential.is_pending
            && credential.used_for == used_for
            && (credential.basis == Basis::Rotation || is_old())
    }

    /// True if the account's credential may be heard now: it counts, and if its owner froze the account, it counted then.
    /// What came shortly before, and may be why the owner froze it, does not come of age meanwhile.
    pub fn is_heard(
        &self,
        at: Timestamp,
        account: &Account,
        credential: &Credential,
        used_for: CredentialUse,
    ) -> bool {
        let counted =
            |then| credential.enrolled_at <= then && self.credential_counts(then, credential, used_for);
        self.credential_counts(at, credential, used_for) && account.owner_froze.is_none_or(counted)
    }

    /// True if the account has a credential that counts for this.
    pub fn has_counting(&self, at: Timestamp, account: &Account, used_for: CredentialUse) -> bool {
        let mut known = account.protection.iter().flat_map(|protection| &protection.credentials);
        known.any(|known| self.credential_counts(at, known, used_for))
    }
}

/// The credential that approved something, if its word counts and its counter says that this is news.
pub(crate) fn check_credential<'s>(
    state: &State,
    at: Timestamp,
    account: &'s Account,
    approval: &BoundApproval,
    used_for: CredentialUse,
) -> Result<&'s Credential, Refused> {
    let known = account.credential(&approval.credential).ok_or(Refusal::CredentialUnknown)?;
    if !state.is_heard(at, account, known, used_for) {
        return Err(Refusal::CredentialNotCounting.into());
    }
    let is_news = approval.counter > known.counter || (approval.counter == 0 && known.counter == 0);
    if !is_news {
        let detail = format!(
            "the authenticator counts {}, and had counted {} before: the assertion was used, or the key was copied",
            approval.counter, known.counter
        );
        return Err(Refused(Refusal::CounterWentBack, detail));
    }
    Ok(known)
}

/// True if a mandate was not taken back, and the credential that approved it counts.
fn is_good(state: &State, at: Timestamp, account: &Account, mandate: &Mandate) -> bool {
    let credential = account.credential(&mandate.credential);
    !mandate.is_revoked
        && credential.is_some_and(|known| state.credential_counts(at, known, CredentialUse::Approve))
}

/// True if what was asked for under a mandate is still good: past its end nothing is signed under it.
pub(crate) fn stands(state: &State, at: Timestamp, account: &Account, mandate: MandateId) -> bool {
    let known = account.mandate(mandate);
    known.is_some_and(|known| at <= known.terms.not_after && is_good(state, at, account, known))
}

/// The first mandate that covers a request.
pub(crate) fn mandate_for(
    state: &State,
    at: Timestamp,
    account: &Account,
    request: &RequestWithdrawal,
) -> Option<MandateId> {
    let Evidence::ApiRequest(evidence) = &request.evidence else { return None };
    let mut known = account.protection.iter().flat_map(|protection| &protection.mandates);
    let covering = known.find(|mandate| {
        let terms = &mandate.terms;
        let recent = || mandate.used.iter().filter(|(when, _)| at.since(*when) <= time::DAY);
        let sum = || recent().try_fold(request.amount, |sum, (_, amount)| sum.checked_add(*amount));
        terms.key == evidence.key
            && terms.revision == evidence.revision
            && (terms.not_before..=terms.not_after).contains(&at)
            && terms.asset == request.asset
            && terms.destinations.contains(&request.fingerprint)
            && request.amount <= terms.amount_max
            && sum().is_some_and(|sum| sum <= terms.day_max)
            && recent().count() < MANDATE_USES_MAX
            && is_good(state, at, account, mandate)
    })?;
    Some(covering.terms.mandate)
}

pub(crate) fn approve(
    state: &State,
    at: Timestamp,
    account: &AccountId,
    withdrawal: WithdrawalId,
    approval: &BoundApproval,
    out: &mut Events,
) -> Answer {
    let open = own_withdrawal(state, account, withdrawal)?;
    if open.released.is_some() {
        return Err(Refusal::AlreadyReleased.into());
    }
    if open.is_lapsed() || open.request.not_after <= at {
        return Err(Refusal::TextLapsed.into());
    }
    if state.text_of(withdrawal).is_none_or(|said| said.digest().0 != approval.text.0) {
        let detail = "the withdrawal's text has another SHA-256 than the one approved".to_owned();
        return Err(Refused(Refusal::TextDiffers, detail));
    }
    let owner = state.account_at(open.request.account).ok_or(Refusal::AccountUnknown)?;
    check_credential(state, at, owner, approval, CredentialUse::Approve)?;
    out.push(Event::IntentApproved { withdrawal, approval: Box::new(approval.clone()) });
    let subject = Subject::open(state, at, open).ok_or(Refusal::WithdrawalUnknown)?.approved(approval);
    let judgement = judge(state, at, &subject);
    settle(state, at, &subject, judgement, false, out);
    Ok(())
}

/// A withdrawal's text is past its time: its owner may renew it, a few times; by the first rules it expires.
pub(crate) fn past_its_time(state: &State, open: &Withdrawal, out: &mut Events) {
    let withdrawal = open.request.withdrawal;
    let count = open.lapse.map_or(0, |lapse| lapse.count);
    if state.rules() < RULES_LAPSE || open.is_lapsed() || count >= LAPSES_MAX {
        out.push(Event::WithdrawalExpired { withdrawal });
        return;
    }
    if open.queued.is_some() {
        out.push(Event::Unqueued { withdrawal });
    }
    out.push(Event::IntentLapsed { withdrawal });
}

pub(crate) fn renew(
    state: &State,
    at: Timestamp,
    account: &AccountId,
    withdrawal: WithdrawalId,
    nonce: [u8; 32],
    out: &mut Events,
) -> Answer {
    let open = own_withdrawal(state, account, withdrawal)?;
    if !open.is_lapsed() || open.released.is_some() {
        return Err(Refusal::TextNotLapsed.into());
    }
    let not_after = at.plus(state.configuration().parameters.withdrawal_lifetime);
    out.push(Event::IntentRenewed { withdrawal, nonce, not_after });
    let mut subject = Subject::open(state, at, open).ok_or(Refusal::WithdrawalUnknown)?;
    subject.not_after = not_after;
    let judgement = judge(state, at, &subject);
    settle(state, at, &subject, judgement, false, out);
    Ok(())
}

impl State {
    pub(crate) fn evolve_approval(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::IntentApproved { withdrawal, approval } => {
                let Some(open) = self.withdrawals.get_mut(withdrawal) else { return };
                open.bound = Some(approval.clone());
                let account = open.request.account;
                self.edit_protection(account, |protection| protection.counted(approval));
            }
            Event::IntentLapsed { withdrawal } => self.lapse(at, *withdrawal),
            Event::IntentRenewed { withdrawal, nonce, not_after } => {
                if let Some(open) = self.withdrawals.get_mut(withdrawal) {
                    open.request.nonce = *nonce;
                    open.request.not_after = *not_after;
                    if let Some(lapse) = &mut open.lapse {
                        lapse.is_waiting = false;
                    }
                }
            }
            Event::MandateUsed { withdrawal, mandate } => {
                let Some(open) = self.withdrawals.get_mut(withdrawal) else { return };
                open.mandate = Some(*mandate);
                let (account, amount) = (open.request.account, open.request.amount);
                self.edit_protection(account, |protection| {
                    let known = &mut protection.mandates;
                    if let Some(known) = known.iter_mut().find(|known| known.terms.mandate == *mandate) {
                        known.used.retain(|(when, _)| at.since(*when) <= time::DAY);
                        known.used.push((at, amount));
                    }
                });
            }
            _ => {}
        }
    }

    /// It goes back to its owner: nobody's word of before is good for the next text. What it has reserved, it keeps.
    fn lapse(&mut self, at: Timestamp, id: WithdrawalId) {
        let until = at.plus(self.configuration.parameters.withdrawal_lifetime);
        let Some(open) = self.withdrawals.get_mut(&id) else { return };
        let count = open.lapse.map_or(0, |lapse| lapse.count).saturating_add(1);
        open.lapse = Some(Lapse { count, is_waiting: true });
        open.discharged = Factors::default();
        open.operators = 0;
        open.approval = None;
        open.bound = None;
        open.mandate = None;
        open.decision.status = Status::AwaitingApproval;
        open.decision.severity = Severity::StepUp;
        open.decision.factors = Factors::default();
        open.decision.reasons = Vec::new();
        self.check_at(id, until);
    }

    pub(crate) fn edit_protection(&mut self, account: AccountIndex, edit: impl FnOnce(&mut Protection)) {
        self.edit_account(account, |account| edit(account.protection.get_or_insert_default()));
    }
}

impl Protection {
    /// A credential was used: its counter says so.
    pub(crate) fn counted(&mut self, approval: &BoundApproval) {
        let known = self.credentials.iter_mut().find(|known| known.credential == approval.credential);
        if let Some(known) = known {
            known.counter = known.counter.max(approval.counter);
        }
    }
}

/// The SHA-256 of a text.
pub(crate) fn digest_of(text: &str) -> Digest {
    Digest(holdfast_values::texts::TextDigest::of(text.as_bytes()).0)
}
