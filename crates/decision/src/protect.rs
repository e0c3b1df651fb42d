//! Changes of an account's protection: what each needs, and what follows. What loosens needs a word that whoever holds a
//! session, a password or the backend does not have; what tightens needs nothing.

use holdfast_values::texts::{ChangeText, MandateText};
use holdfast_values::{AccountId, Timestamp, time};

use crate::account::{ALLOWLIST_MAX, API_KEYS_MAX, Account};
use crate::acts::Digest;
use crate::approve::{check_credential, digest_of};
use crate::codes::spend;
use crate::command::{Scopes, SecurityChange};
use crate::event::{AccountIndex, Event, Events};
use crate::keys::widens;
use crate::protection::{
    ApiKeySpec, ApprovedText, Basis, CREDENTIALS_MAX, Change, ChangeProtection, Credential, CredentialUse,
    KEY_DESTINATIONS_MAX, LOCK_DAYS_MAX, MANDATES_MAX, Mandate, NewCredential, NewMandate, Protection,
    RecoveryCodesRecord, SettingsLock, TEXTS_A_DAY_MAX, TextsApproved,
};
use crate::reason::Refusal;
use crate::refuse::{Answer, Refused};
use crate::sessions::is_known_device;
use crate::state::State;

/// The longest that the text of a change may be good.
pub const CHANGE_SPAN_MAX: u64 = time::DAY;
/// A device that was known for so long when a recovery began may stop it.
pub const VETO_DEVICE_AGE: u64 = time::DAY;

/// Whose word a change needs, beside the session that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nobody's.
    Nothing,
    /// The approval of a credential that counts, over the text of the change.
    Approval,
    /// A right one-time code, or a recovery code.
    Code,
    /// The approval of a master key that counts; without it, the lock's full time.
    MasterOrTime,
    /// The approval of a credential that counts, over the mandate's own text.
    MandateApproval,
    /// An approval, a right code, or a device that was known before.
    Veto,
    /// An approval, a right code, or another device that has been known for a day.
    Device,
}

impl Need {
    /// As answers and documents carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Approval => "approval",
            Self::Code => "code",
            Self::MasterOrTime => "master_or_time",
            Self::MandateApproval => "mandate_approval",
            Self::Veto => "veto",
            Self::Device => "device",
        }
    }
}

impl State {
    /// What a change of an account's protection needs now, or why it cannot be. `docs/changes.md` is printed from it.
    pub fn change_needs(&self, at: Timestamp, account: &AccountId, change: &Change) -> Result<Need, Refusal> {
        let account = self.account(account).ok_or(Refusal::AccountUnknown)?;
        need(self, at, account, change)
    }
}

/// The one place that says what each change needs.
fn need(state: &State, at: Timestamp, account: &Account, change: &Change) -> Result<Need, Refusal> {
    let protection = account.protection.as_deref();
    let recovery = protection.and_then(|protection| protection.recovery);
    let named = match change {
        Change::RemoveCredential { credential } => account.credential(credential),
        _ => None,
    };
    let counts = named.is_some_and(|known| state.is_heard(at, account, known, known.used_for));
    let waits_for_operators = match change {
        Change::AddCredential(new) => recovery.is_some() && new.used_for == CredentialUse::Approve,
        _ => false,
    };
    let tightens = match change {
        Change::RevokeMandate { .. } | Change::ForgetDevice { .. } | Change::StopRecovery => true,
        // A stranger's young key goes, whatever the stranger locked.
        Change::RemoveCredential { .. } => !counts,
        // Nothing comes of it without operators and time.
        Change::BeginRecovery => true,
        _ => waits_for_operators,
    };
    if account.is_frozen && !tightens {
        match change {
            Change::RemoveCredential { .. } => {}
            // What staff froze, staff give back.
            Change::Unfreeze if account.owner_froze.is_some() => {}
            _ => return Err(Refusal::AccountFrozen),
        }
    }
    let is_about_lock = matches!(change, Change::LockSettings { .. } | Change::UnlockSettings);
    if state.settings_locked(at, account) && !tightens && !is_about_lock {
        return Err(Refusal::SettingsLocked);
    }
    let has_counting = state.has_counting(at, account, CredentialUse::Approve);
    let need = match change {
        Change::AddCredential(_) if waits_for_operators => Need::Nothing,
        Change::AddCredential(new) => {
            let is_first = new.used_for != CredentialUse::Master && !has_approved(account);
            if is_first { Need::Nothing } else { Need::Approval }
        }
        Change::RemoveCredential { .. } => {
            let is_login = named.is_some_and(|known| known.used_for == CredentialUse::Login);
            if counts && (account.is_frozen || has_counting || !is_login) {
                Need::Approval
            } else {
                Need::Nothing
            }
        }
        Change::EnrolCodes { .. } | Change::RemoveCodes | Change::PutRecoveryCodes { .. } => {
            match (has_counting, has_codes(account)) {
                (true, _) => Need::Approval,
                (false, true) => Need::Code,
                (false, false) => Need::Nothing,
            }
        }
        Change::PutApiKey(spec) => {
            let is_more = account.api_key(&spec.key).is_none_or(|known| widens(known, spec));
            if is_more && has_counting { Need::Approval } else { Need::Nothing }
        }
        Change::ForgetDevice { device } => {
            let known = protection.into_iter().flat_map(|known| &known.devices);
            let first_seen =
                known.into_iter().find(|known| known.device == *device).map(|known| known.first_seen);
            // It may be the one that says no to the recovery.
            if first_seen.zip(recovery).is_some_and(|(seen, recovery)| seen <= recovery.begun_at) {
                return Err(Refusal::RecoveryUnderWay);
            }
            if is_known_device(state, at, account, device) { Need::Device } else { Need::Nothing }
        }
        Change::UnlockSettings => Need::MasterOrTime,
        Change::Unfreeze => Need::Approval,
        Change::GrantMandate(_) => Need::MandateApproval,
        Change::StopRecovery => Need::Veto,
        Change::LockSettings { .. } | Change::RevokeMandate { .. } | Change::BeginRecovery => Need::Nothing,
    };
    Ok(need)
}

fn live(account: &Account) -> impl Iterator<Item = &Credential> {
    let known = account.protection.iter().flat_map(|protection| &protection.credentials);
    known.filter(|known| !known.is_removed)
}

/// True if the account has a credential for approvals, or had one that counted: then no session lets another one in. What
/// is removed and never counted is not remembered.
fn has_approved(account: &Account) -> bool {
    let mut known = account.protection.iter().flat_map(|protection| &protection.credentials);
    known.any(|known| known.used_for == CredentialUse::Approve)
}

/// Whoever has one of several codes could make the others: all are asked for alike.
fn has_codes(account: &Account) -> bool {
    account.protection.as_ref().is_some_and(|protection| {
        protection.codes.is_some_and(|codes| !codes.is_removed)
            || protection.recovery_codes.is_some_and(|codes| codes.left != 0)
    })
}

/// What cools an account off.
fn cools(state: &State, at: Timestamp, account: &Account, change: &Change) -> Option<SecurityChange> {
    match change {
        Change::RemoveCredential { credential } => {
            let known = account.credential(credential)?;
            let counts = state.credential_counts(at, known, known.used_for);
            counts.then_some(SecurityChange::SecondFactor)
        }
        Change::AddCredential(_)
        | Change::EnrolCodes { .. }
        | Change::RemoveCodes
        | Change::PutRecoveryCodes { .. } => Some(SecurityChange::SecondFactor),
        Change::BeginRecovery | Change::StopRecovery => Some(SecurityChange::Recovery),
        _ => None,
    }
}

pub(crate) fn change(state: &State, at: Timestamp, asked: &ChangeProtection, out: &mut Events) -> Answer {
    let index = state.account_index(&asked.account).ok_or(Refusal::AccountUnknown)?;
    let account = state.account_at(index).ok_or(Refusal::AccountUnknown)?;
    let change = &asked.change;
    let need = need(state, at, account, change)?;
    check(state, at, index, account, change)?;

    let approval = asked.approval.as_deref();
    match (need, approval) {
        (Need::MandateApproval, approval) => {
            let approval = approval.ok_or(Refusal::ApprovalNeeded)?;
            let Change::GrantMandate(terms) = change else { return Err(Refusal::ChangeInvalid.into()) };
            out.push(check_mandate(state, at, account, terms, approval)?);
        }
        (Need::MasterOrTime, None) => {
            let lock = account.protection.as_ref().and_then(|protection| protection.lock);
            if lock.is_some_and(|lock| lock.unlocking_since.is_none()) {
                out.push(Event::UnlockBegun { account: index });
            }
            return Ok(());
        }
        (Need::MasterOrTime, Some(approval)) => {
            out.push(check_text(state, at, account, change, approval, CredentialUse::Master)?);
        }
        (_, Some(approval)) => {
            out.push(check_text(state, at, account, change, approval, CredentialUse::Approve)?);
        }
        (Need::Approval, None) => return Err(Refusal::ApprovalNeeded.into()),
        (Need::Nothing, None) => {}
        (Need::Code | Need::Veto | Need::Device, None) => {
            let is_known = match need {
                Need::Veto => may_veto(state, account, asked),
                Need::Device => is_another_known_device(state, at, account, asked),
                _ => false,
            };
            if !is_known {
                let proof = asked.code.as_deref().copied().ok_or(Refusal::CodeNeeded)?;
                if !spend(state, at, index, proof, asked.device, out)? {
                    return Ok(());
                }
            }
        }
    }

    let basis = match change {
        Change::AddCredential(_) if approval.is_some() => Some(Basis::Rotation),
        Change::AddCredential(new) if new.used_for == CredentialUse::Approve && is_recovering(account) => {
            Some(Basis::Recovery)
        }
        Change::AddCredential(_) => Some(Basis::First),
        _ => None,
    };
    let approval = asked.approval.clone();
    out.push(Event::ProtectionChanged { account: index, change: Box::new(change.clone()), basis, approval });
    if matches!(change, Change::Unfreeze) {
        out.push(Event::AccountUnfrozen(index));
    }
    if let Some(kind) = cools(state, at, account, change) {
        out.push(Event::SecurityChanged { account: index, kind });
    }
    Ok(())
}

fn is_recovering(account: &Account) -> bool {
    account.protection.as_ref().is_some_and(|protection| protection.recovery.is_some())
}

/// A device that the account had known for a day when the recovery began: whoever began it cannot have made it since.
fn may_veto(state: &State, account: &Account, asked: &ChangeProtection) -> bool {
    let known = account.protection.as_ref().zip(asked.device).and_then(|(protection, device)| {
        let known = protection.devices.iter().find(|known| known.device == device)?;
        Some((known.first_seen, protection.recovery?.begun_at))
    });
    known.is_some_and(|(seen, begun)| state.steady.age(seen, begun) >= VETO_DEVICE_AGE)
}

/// Asked for on a device that the account has known for a day, and about another one.
fn is_another_known_device(
    state: &State,
    at: Timestamp,
    account: &Account,
    asked: &ChangeProtection,
) -> bool {
    let Change::ForgetDevice { device } = &asked.change else { return false };
    asked.device.is_some_and(|from| from != *device && is_known_device(state, at, account, &from))
}

/// Whether a change could be made at all.
fn check(state: &State, at: Timestamp, index: AccountIndex, account: &Account, change: &Change) -> Answer {
    let protection = account.protection.as_deref();
    let nothing = || Err(Refusal::NothingToChange.into());
    let invalid = |what: String| Err(Refused(Refusal::ChangeInvalid, what));
    match change {
        Change::AddCredential(new) => check_credential_fits(state, account, new)?,
        Change::RemoveCredential { credential } => {
            if account.credential(credential).ok_or(Refusal::CredentialUnknown)?.is_removed {
                return nothing();
            }
        }
        Change::RemoveCodes => {
            if protection.and_then(|known| known.codes).is_none_or(|codes| codes.is_removed) {
                return nothing();
            }
        }
        Change::PutRecoveryCodes { count } => {
            if !(1..=32).contains(count) {
                return invalid(format!("a set has 1 to 32 recovery codes, not {count}"));
            }
        }
        Change::PutApiKey(spec) => check_api_key(state, index, account, spec)?,
        Change::LockSettings { days } => {
            if !(1..=LOCK_DAYS_MAX).contains(days) {
                return invalid(format!("settings are locked for 1 to {LOCK_DAYS_MAX} days, not {days}"));
            }
            let lock = protection.and_then(|known| known.lock).filter(|_| state.settings_locked(at, account));
            if lock.is_some_and(|lock| wait_of(*days) < lock.wait) {
                return Err(Refusal::SettingsLocked.into());
            }
            if lock.is_some_and(|lock| wait_of(*days) == lock.wait && lock.unlocking_since.is_none()) {
                return nothing();
            }
        }
        Change::UnlockSettings => {
            if !state.settings_locked(at, account) {
                return nothing();
            }
        }
        Change::Unfreeze => {
            if !account.is_frozen {
                return Err(Refusal::NotFrozen.into());
            }
        }
        Change::RevokeMandate { mandate } => {
            if account.mandate(*mandate).is_none_or(|known| known.is_revoked) {
                return Err(Refusal::MandateUnknown.into());
            }
        }
        Change::BeginRecovery => {
            if is_recovering(account) {
                return Err(Refusal::RecoveryUnderWay.into());
            }
            if live(account).next().is_none() && !has_approved(account) && !has_codes(account) {
                return nothing();
            }
        }
        Change::StopRecovery => {
            if !is_recovering(account) {
                return Err(Refusal::RecoveryNotBegun.into());
            }
        }
        Change::ForgetDevice { device } => {
            let mut devices = protection.into_iter().flat_map(|known| &known.devices);
            if !devices.any(|known| known.device == *device) {
                return nothing();
            }
        }
        // Its text says whether it could.
        Change::GrantMandate(terms) => check_mandate_fits(state, at, index, account, terms)?,
        Change::EnrolCodes { .. } => {}
    }
    Ok(())
}

fn wait_of(days: u8) -> u64 {
    u64::from(days).saturating_mul(time::DAY)
}

fn check_credential_fits(state: &State, account: &Account, new: &NewCredential) -> Answer {
    let parties = state.configuration().parties.as_deref().ok_or(Refusal::PartyMissing)?;
    if new.used_for == CredentialUse::Login && parties.login.is_none() {
        return Err(Refusal::PartyMissing.into());
    }
    let known = account.protection.iter().flat_map(|protection| &protection.credentials);
    if known.clone().any(|known| known.credential == new.credential || known.id == new.id) {
        return Err(Refusal::CredentialExists.into());
    }
    if known.count() >= CREDENTIALS_MAX {
        let detail = format!("an account has at most {CREDENTIALS_MAX} credentials, removed ones included");
        return Err(Refused(Refusal::TooMany, detail));
    }
    Ok(())
}

/// What must hold of every key, whoever asks for it.
pub(crate) fn check_api_key(
    state: &State,
    index: AccountIndex,
    account: &Account,
    spec: &ApiKeySpec,
) -> Answer {
    if state.key_owner(&spec.key).is_some_and(|owner| owner != index) {
        return Err(Refusal::ApiKeyForeign.into());
    }
    if spec.scopes.contains(Scopes::WITHDRAW) && spec.ip_allowlist.is_empty() {
        return Err(Refusal::AllowlistRequired.into());
    }
    if spec.ip_allowlist.len() > ALLOWLIST_MAX {
        let detail = format!("an allowlist holds at most {ALLOWLIST_MAX} addresses");
        return Err(Refused(Refusal::TooMany, detail));
    }
    if spec.fence.destinations.as_ref().is_some_and(|named| named.len() > KEY_DESTINATIONS_MAX) {
        let detail = format!("a key is fenced to at most {KEY_DESTINATIONS_MAX} destinations");
        return Err(Refused(Refusal::TooMany, detail));
    }
    let known = account.api_key(&spec.key);
    if known.is_some_and(|known| known.is_revoked) {
        return Err(Refusal::ApiKeyRevoked.into());
    }
    if known.is_none() && account.api_keys.len() >= API_KEYS_MAX {
        let detail = format!("an account has at most {API_KEYS_MAX} keys, revoked ones included");
        return Err(Refused(Refusal::TooMany, detail));
    }
    Ok(())
}

/// A key without a word of its owner's: not while settings are locked, and no new or wider one where a credential counts.
pub(crate) fn check_plain_api_key(
    state: &State,
    at: Timestamp,
    index: AccountIndex,
    account: &Account,
    spec: &ApiKeySpec,
) -> Answer {
    check_api_key(state, index, account, spec)?;
    // A freeze never stood in the way of this: it stops the key as well as everything else.
    if state.settings_locked(at, account) {
        return Err(Refusal::SettingsLocked.into());
    }
    let is_more = account.api_key(&spec.key).is_none_or(|known| widens(known, spec));
    if is_more && state.has_counting(at, account, CredentialUse::Approve) {
        return Err(Refusal::ApprovalNeeded.into());
    }
    Ok(())
}

/// What an approval says of a text: that it was accepted, once.
fn check_text(
    state: &State,
    at: Timestamp,
    account: &Account,
    change: &Change,
    approval: &ApprovedText,
    used_for: CredentialUse,
) -> Result<Event, Refused> {
    let text = ChangeText::parse(approval.text.as_bytes())
        .map_err(|error| Refused(Refusal::TextDiffers, error.to_string()))?;
    let says_so = text.account == account.id
        && text.change.as_str() == change.name()
        && digest_of(&approval.text) == approval.by.text;
    if !says_so {
        return Err(Refusal::TextDiffers.into());
    }
    if text.exchange.as_str() != state.exchange() {
        return Err(Refusal::TextExchange.into());
    }
    let not_after = text.not_after.timestamp();
    if not_after <= at || not_after.since(at) > CHANGE_SPAN_MAX {
        let detail = "the text of a change is good for at most a day".to_owned();
        return Err(Refused(Refusal::TextNotNow, detail));
    }
    accept(state, at, account, approval, used_for, text.nonce.0, not_after)
}

/// The rest of what every approved text needs: a nonce that is new, and a credential that counts.
fn accept(
    state: &State,
    at: Timestamp,
    account: &Account,
    approval: &ApprovedText,
    used_for: CredentialUse,
    nonce: [u8; 32],
    not_after: Timestamp,
) -> Result<Event, Refused> {
    if state.used_texts.contains_key(&Digest(nonce)) {
        return Err(Refusal::TextUsed.into());
    }
    check_credential(state, at, account, &approval.by, used_for)?;
    let texts = account.protection.as_ref().and_then(|protection| protection.texts);
    if texts.is_some_and(|texts| texts.are_recent(at) && texts.count >= TEXTS_A_DAY_MAX) {
        let detail = format!("an account approves at most {TEXTS_A_DAY_MAX} changes and mandates a day");
        return Err(Refused(Refusal::TooMany, detail));
    }
    Ok(Event::ActAccepted { nonce, not_after })
}

/// What a mandate needs beside its owner's approval.
fn check_mandate_fits(
    state: &State,
    at: Timestamp,
    index: AccountIndex,
    account: &Account,
    terms: &NewMandate,
) -> Answer {
    let invalid = |what: &str| Err(Refused(Refusal::ChangeInvalid, what.to_owned()));
    let key = account.api_key(&terms.key).ok_or(Refusal::ApiKeyUnknown)?;
    if key.is_revoked {
        return Err(Refusal::ApiKeyRevoked.into());
    }
    if key.revision != terms.revision {
        return invalid("the key has another revision than the mandate names");
    }
    if !key.fenced.as_ref().is_some_and(|fenced| fenced.fence.asymmetric) {
        return invalid("only a key whose private half the customer alone has can have a mandate");
    }
    if !key.scopes.contains(Scopes::WITHDRAW) {
        return invalid("the key may not withdraw");
    }
    let known = account.protection.iter().flat_map(|protection| &protection.mandates);
    if known.clone().any(|known| known.terms.mandate == terms.mandate) {
        return invalid("the account had a mandate of this id before");
    }
    if known.filter(|known| !state.is_mandate_over(at, index, known)).count() >= MANDATES_MAX {
        let detail = format!("an account has at most {MANDATES_MAX} mandates");
        return Err(Refused(Refusal::TooMany, detail));
    }
    Ok(())
}

/// The mandate's text says exactly its terms, and its owner approved it.
fn check_mandate(
    state: &State,
    at: Timestamp,
    account: &Account,
    terms: &NewMandate,
    approval: &ApprovedText,
) -> Result<Event, Refused> {
    let text = MandateText::parse(approval.text.as_bytes())
        .map_err(|error| Refused(Refusal::TextDiffers, error.to_string()))?;
    if text.exchange.as_str() != state.exchange() {
        return Err(Refusal::TextExchange.into());
    }
    let asset = state.asset_index(&terms.asset).ok_or(Refusal::AssetUnknown)?;
    let spec = state.configuration().assets.get(usize::from(asset.0)).map(|asset| &asset.spec);
    let (spec, on) =
        spec.and_then(|spec| Some((spec, spec.on(text.network())?))).ok_or(Refusal::NetworkNotConfigured)?;
    let units = |amount| on.to_network_units(spec.decimals, amount);
    let mut named = terms.destinations.clone();
    named.sort_unstable();
    named.dedup();
    let (from, until) = (text.window.not_before().timestamp(), text.window.not_after().timestamp());
    let says_so = text.account == account.id
        && text.mandate == terms.mandate
        && text.asset == terms.asset
        && text.decimals == on.decimals
        && units(terms.amount_max) == Some(text.amount_max)
        && units(terms.day_max) == Some(text.day_max)
        && (from, until) == (terms.not_before, terms.not_after)
        && named.len() == text.destinations.as_slice().len()
        && named.len() == terms.destinations.len()
        && digest_of(&approval.text) == approval.by.text;
    if !says_so {
        return Err(Refusal::TextDiffers.into());
    }
    if until <= at {
        return Err(Refused(Refusal::TextNotNow, "the mandate's time is over".to_owned()));
    }
    accept(state, at, account, approval, CredentialUse::Approve, text.nonce.0, until)
}

impl State {
    /// True if a mandate is needed no more: taken back, or past its time for a day and nothing open stands on it.
    fn is_mandate_over(&self, at: Timestamp, account: AccountIndex, mandate: &Mandate) -> bool {
        mandate.is_revoked
            || (at.since(mandate.terms.not_after) > time::DAY
                && !self.open_of(account).any(|open| open.mandate == Some(mandate.terms.mandate)))
    }

    pub(crate) fn evolve_protection(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ProtectionChanged { account, change, basis, approval } => {
                if let Some(approval) = approval {
                    self.edit_protection(*account, |protection| {
                        protection.counted(&approval.by);
                        protection.approved_text(at);
                    });
                }
                self.changed(at, *account, change, *basis, approval.as_deref());
            }
            Event::UnlockBegun { account } => self.edit_protection(*account, |protection| {
                if let Some(lock) = &mut protection.lock {
                    lock.unlocking_since = Some(at);
                }
            }),
            Event::AccountRecovered { account, credential, .. } => {
                self.forget_credentials(at, *account, |known| known.credential != *credential);
                self.edit_protection(*account, |protection| protection.recovered(at, credential));
                self.recheck_account(at, *account);
            }
            _ => {}
        }
    }

    fn changed(
        &mut self,
        at: Timestamp,
        account: AccountIndex,
        change: &Change,
        basis: Option<Basis>,
        approval: Option<&ApprovedText>,
    ) {
        let sequence = self.sequence;
        match change {
            Change::AddCredential(new) => {
                let basis = basis.unwrap_or(Basis::First);
                self.edit_protection(account, |protection| protection.add(at, sequence, new, basis));
            }
            Change::RemoveCredential { credential } => {
                self.forget_credentials(at, account, |known| known.credential == *credential);
                self.recheck_account(at, account);
            }
            Change::PutApiKey(spec) => self.put_fenced_key(at, account, spec),
            Change::GrantMandate(terms) => {
                let Some(approval) = approval else { return };
                let over: Vec<_> = self
                    .account_at(account)
                    .and_then(|account| account.protection.as_deref())
                    .into_iter()
                    .flat_map(|protection| &protection.mandates)
                    .filter(|known| self.is_mandate_over(at, account, known))
                    .map(|known| known.terms.mandate)
                    .collect();
                let mandate = Mandate {
                    terms: (**terms).clone(),
                    credential: approval.by.credential,
                    text: approval.by.text,
                    sequence,
                    used: Vec::new(),
                    is_revoked: false,
                };
                self.edit_protection(account, |protection| {
                    protection.mandates.retain(|known| !over.contains(&known.terms.mandate));
                    protection.mandates.push(mandate);
                });
            }
            Change::RevokeMandate { mandate } => {
                self.edit_protection(account, |protection| {
                    let meant =
                        protection.mandates.iter_mut().filter(|known| known.terms.mandate == *mandate);
                    meant.for_each(|known| known.is_revoked = true);
                });
                self.recheck_account(at, account);
            }
            Change::StopRecovery => {
                self.forget_credentials(at, account, |known| known.is_pending);
                self.edit_protection(account, |protection| protection.recovery = None);
            }
            _ => self.edit_protection(account, |protection| protection.plainly_changed(at, sequence, change)),
        }
    }

    /// Removes credentials. One that counted is remembered as removed; one that never came to count leaves no trace, so
    /// that nobody can fill an account up with what counts for nothing.
    fn forget_credentials(
        &mut self,
        at: Timestamp,
        account: AccountIndex,
        is_meant: impl Fn(&Credential) -> bool,
    ) {
        let known = self.account_at(account).and_then(|account| account.protection.as_deref());
        let known = known.map(|protection| protection.credentials.as_slice()).unwrap_or_default();
        let counts = |known: &Credential| self.credential_counts(at, known, known.used_for);
        let left = known.iter().filter(|known| !is_meant(known) || known.is_removed || counts(known));
        let left: Vec<Credential> = left
            .map(|known| Credential { is_removed: known.is_removed || is_meant(known), ..*known })
            .collect();
        self.edit_protection(account, |protection| protection.credentials = left);
    }
}

impl TextsApproved {
    fn are_recent(&self, at: Timestamp) -> bool {
        at.since(self.since) < time::DAY
    }
}

impl Protection {
    fn approved_text(&mut self, at: Timestamp) {
        let known = self.texts.filter(|texts| texts.are_recent(at));
        let (since, count) = known.map_or((at, 0), |texts| (texts.since, texts.count));
        self.texts = Some(TextsApproved { since, count: count.saturating_add(1) });
    }

    fn add(&mut self, at: Timestamp, sequence: u64, new: &NewCredential, basis: Basis) {
        self.credentials.push(Credential {
            credential: new.credential,
            id: new.id,
            key: new.key,
            legacy_u2f: new.legacy_u2f,
            used_for: new.used_for,
            basis,
            enrolled_at: at,
            sequence,
            counter: new.counter,
            is_removed: false,
            is_pending: basis == Basis::Recovery,
        });
    }

    /// What touches nothing but this.
    fn plainly_changed(&mut self, at: Timestamp, sequence: u64, change: &Change) {
        match change {
            Change::EnrolCodes { step } => {
                let revision = self.codes.map_or(0, |codes| codes.revision).saturating_add(1);
                let codes = crate::protection::CodesRecord { revision, last_step: *step, is_removed: false };
                self.codes = Some(codes);
            }
            Change::RemoveCodes => {
                if let Some(codes) = &mut self.codes {
                    codes.is_removed = true;
                }
            }
            Change::PutRecoveryCodes { count } => {
                let revision = self.recovery_codes.map_or(0, |codes| codes.revision).saturating_add(1);
                let left = u32::MAX.checked_shr(32u32.saturating_sub(u32::from(*count))).unwrap_or(0);
                self.recovery_codes = Some(RecoveryCodesRecord { revision, left });
            }
            Change::LockSettings { days } => {
                self.lock = Some(SettingsLock { wait: wait_of(*days), unlocking_since: None });
            }
            Change::UnlockSettings => self.lock = None,
            Change::BeginRecovery => {
                self.recovery = Some(crate::protection::Recovery { begun_at: at, sequence });
            }
            Change::ForgetDevice { device } => self.devices.retain(|known| known.device != *device),
            _ => {}
        }
    }

    /// Only what waited for operators is left, and begins to age.
    fn recovered(&mut self, at: Timestamp, credential: &holdfast_values::Fingerprint) {
        for known in self.credentials.iter_mut().filter(|known| known.credential == *credential) {
            known.is_pending = false;
            known.enrolled_at = at;
        }
        if let Some(codes) = &mut self.codes {
            codes.is_removed = true;
        }
        if let Some(codes) = &mut self.recovery_codes {
            codes.left = 0;
        }
        self.mandates.iter_mut().for_each(|mandate| mandate.is_revoked = true);
        self.recovery = None;
    }
}
