//! API keys: their fences, what they were used for, and taking many out of use at once.
//!
//! A key that was never put with a fence and never reported as used is not tracked: nothing is known of its use, and it
//! neither idles nor sleeps.

use std::collections::BTreeSet;

use holdfast_values::{Fingerprint, Micros, Timestamp, UsdCents, WithdrawalId, time};

use crate::account::{Account, ApiKey, FencedKey};
use crate::command::{ApiEvidence, Evidence};
use crate::event::{AccountIndex, Event, Events};
use crate::protection::{ApiKeySpec, KEY_USES_MAX, KeyCohort, KeyUse};
use crate::reason::{Cause, Reason, Refusal, Severity};
use crate::refuse::{Answer, Refused};
use crate::state::State;

/// A key that is bound to no address is good for so long after its last use.
pub const IDLE_AFTER: Micros = 14 * time::DAY;
/// A key that was not used for so long sleeps: its next use is told to its owner.
pub const SLEEPS_AFTER: Micros = 30 * time::DAY;
/// How many sums of one key are kept apart; beyond it the two oldest are joined, which only makes them count for longer.
pub const KEY_SPENT_MAX: usize = 256;

/// True if `new` lets a holder of the key do anything that `old` did not, or is held by somebody else.
pub fn widens(old: &ApiKey, new: &ApiKeySpec) -> bool {
    let unbounded = FencedKey::default();
    let fence = &old.fenced.as_deref().unwrap_or(&unbounded).fence;
    let adds_addresses = match (old.ip_allowlist.is_empty(), new.ip_allowlist.is_empty()) {
        // From anywhere before: any list is narrower.
        (true, _) => false,
        (false, true) => true,
        (false, false) => new.ip_allowlist.iter().any(|ip| !old.ip_allowlist.contains(ip)),
    };
    let adds_destinations = match (&fence.destinations, &new.fence.destinations) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => new.iter().any(|to| !old.contains(to)),
    };
    new.new_material
        || !old.scopes.contains(new.scopes)
        || adds_addresses
        || adds_destinations
        || is_more(fence.usd_cents_24h, new.fence.usd_cents_24h)
        || is_more(fence.expires_at, new.fence.expires_at)
        || fence.asymmetric != new.fence.asymmetric
}

/// Compares bounds; nothing is no bound.
fn is_more<T: Ord>(old: Option<T>, new: Option<T>) -> bool {
    old.is_some_and(|old| new.is_none_or(|new| new > old))
}

impl ApiKey {
    /// When its first revision was recorded, as far as that is known.
    pub fn made_at(&self) -> Timestamp {
        self.fenced.as_ref().map_or(self.put_at, |fenced| fenced.made_at)
    }

    /// When it was used last, as far as that is known.
    pub fn last_used(&self) -> Option<Timestamp> {
        self.fenced.as_ref()?.last_used
    }

    /// Its last sign of life: its last use, or its last revision. `None`: its use is not known.
    fn last_sign(&self) -> Option<Timestamp> {
        let fenced = self.fenced.as_ref()?;
        Some(fenced.last_used.map_or(self.put_at, |used| used.max(self.put_at)))
    }

    /// What was asked for with it in the 24 hours before `at`.
    pub fn spent(&self, at: Timestamp) -> UsdCents {
        let spent = self.fenced.as_ref().map(|fenced| fenced.spent.as_slice()).unwrap_or_default();
        let recent = spent.iter().filter(|(when, _)| at.since(*when) < time::DAY);
        recent.fold(UsdCents::default(), |sum, (_, cents)| sum.saturating_add(*cents))
    }
}

/// Why a key may not be used at all now, whatever for: the gate and withdrawals ask the same.
pub fn barred(state: &State, key: &ApiKey, at: Timestamp) -> Option<Cause> {
    if key.is_revoked {
        return Some(Cause::ApiKeyRevoked);
    }
    if key.fenced.as_ref().and_then(|fenced| fenced.fence.expires_at).is_some_and(|end| at >= end) {
        return Some(Cause::ApiKeyExpired);
    }
    let idle = key.last_sign().is_some_and(|sign| state.steady.age(sign, at) >= IDLE_AFTER);
    (key.ip_allowlist.is_empty() && idle).then_some(Cause::ApiKeyIdle)
}

/// What a key's fence says of a withdrawal that is being asked for.
pub(crate) fn fence_reason(
    key: &ApiKey,
    at: Timestamp,
    destination: &Fingerprint,
    usd_cents: UsdCents,
) -> Option<Reason> {
    let deny = |cause, observed: String, expected: String| {
        Some(Reason::new(cause, Severity::Deny, observed, expected))
    };
    let fence = &key.fenced.as_ref()?.fence;
    if fence.destinations.as_ref().is_some_and(|named| !named.contains(destination)) {
        let expected = "one that the key's owner named".to_owned();
        return deny(Cause::ApiDestinationNotAllowed, format!("destination {destination}"), expected);
    }
    let limit = fence.usd_cents_24h?;
    // What has no value cannot be shown to fit, and would be in no sum.
    let sum = key.spent(at).saturating_add(usd_cents);
    if sum > limit || usd_cents == UsdCents::MAX {
        let observed = if usd_cents == UsdCents::MAX {
            "a value that is not known".to_owned()
        } else {
            format!("{sum} USD in 24 h with this one")
        };
        return deny(Cause::ApiKeyOverLimit, observed, format!("at most {limit} USD in 24 h"));
    }
    None
}

/// Tells that a key woke, if a withdrawal that did not fail with it comes after its sleep.
pub(crate) fn woke(state: &State, at: Timestamp, account: AccountIndex, by: &Evidence, out: &mut Events) {
    if let Evidence::ApiRequest(by) = by
        && let Some(key) = state.account_at(account).and_then(|account| account.api_key(&by.key))
        && let Some(idle) = slept(key, at)
    {
        out.push(Event::ApiKeyWoke { account, key: key.key, idle_days: days(idle) });
    }
}

fn slept(key: &ApiKey, at: Timestamp) -> Option<Micros> {
    let idle = at.since(key.last_sign()?);
    (idle >= SLEEPS_AFTER).then_some(idle)
}

fn days(span: Micros) -> u32 {
    u32::try_from(span / time::DAY).unwrap_or(u32::MAX)
}

/// True if a cohort means this key.
pub(crate) fn is_meant(cohort: &KeyCohort, account: &Account, key: &ApiKey, at: Timestamp) -> bool {
    let within = |when: Timestamp, from: Option<Timestamp>, until: Option<Timestamp>| {
        from.is_none_or(|from| when >= from) && until.is_none_or(|until| when < until)
    };
    let made_at = key.made_at();
    // A new revision in the window is as suspect as a new key.
    let is_made =
        [made_at, key.put_at].into_iter().any(|when| within(when, cohort.made_from, cohort.made_until));
    // A key in use is exposed from its making until now, used or not: whoever has copied it may be waiting.
    let is_exposed = cohort.exposed_from.is_none_or(|from| at >= from)
        && cohort.exposed_until.is_none_or(|until| made_at < until);
    let asn = key.fenced.as_ref().and_then(|fenced| fenced.fence.asn);
    !key.is_revoked
        && is_made
        && is_exposed
        && cohort.asn.is_none_or(|wanted| asn == Some(wanted))
        && cohort.account.as_ref().is_none_or(|wanted| *wanted == account.id)
}

pub(crate) fn revoke(state: &State, at: Timestamp, cohort: &KeyCohort, out: &mut Events) -> Answer {
    if cohort.account.as_ref().is_some_and(|account| state.account_index(account).is_none()) {
        return Err(Refusal::AccountUnknown.into());
    }
    let keys =
        state.accounts.iter().flat_map(|account| account.api_keys.iter().map(move |key| (account, key)));
    let count = keys.filter(|(account, key)| is_meant(cohort, account, key, at)).count();
    if count > 0 {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        out.push(Event::ApiKeysRevoked { cohort: Box::new(cohort.clone()), count });
    }
    Ok(())
}

pub(crate) fn used(state: &State, at: Timestamp, keys: &[KeyUse], out: &mut Events) -> Answer {
    if keys.len() > KEY_USES_MAX {
        return Err(Refused(Refusal::TooMany, format!("a report holds at most {KEY_USES_MAX} keys")));
    }
    let mut known = Vec::with_capacity(keys.len());
    let mut woken = BTreeSet::new();
    let mut wakes = Vec::new();
    for report in keys {
        // What the gate saw of keys that nobody has is the gate's own to tell.
        let Some(account) = state.key_owner(&report.key) else { continue };
        let report = KeyUse { last_used: report.last_used.min(at), ..*report };
        known.push(report);
        let key = state.account_at(account).and_then(|account| account.api_key(&report.key));
        if let Some(idle) = key.filter(|_| report.allowed > 0).and_then(|key| slept(key, report.last_used))
            && woken.insert(report.key)
        {
            wakes.push(Event::ApiKeyWoke { account, key: report.key, idle_days: days(idle) });
        }
    }
    if !known.is_empty() {
        out.push(Event::ApiKeysUsed { keys: known });
        out.append(&mut wakes);
    }
    Ok(())
}

impl State {
    pub(crate) fn evolve_keys(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::ApiKeysRevoked { cohort, .. } => self.revoke_cohort(at, cohort),
            Event::ApiKeysUsed { keys } => {
                for report in keys.iter().filter(|report| report.allowed > 0) {
                    let Some(account) = self.key_owner(&report.key) else { continue };
                    self.edit_key(account, &report.key, |key| {
                        let made_at = key.put_at;
                        let new = || Box::new(FencedKey { made_at, ..FencedKey::default() });
                        let fenced = key.fenced.get_or_insert_with(new);
                        fenced.last_used = fenced.last_used.max(Some(report.last_used));
                    });
                }
            }
            _ => {}
        }
    }

    fn edit_key(&mut self, account: AccountIndex, key: &Fingerprint, edit: impl FnOnce(&mut ApiKey)) {
        self.edit_account(account, |account| {
            if let Some(key) = account.api_keys.iter_mut().find(|known| known.key == *key) {
                edit(key);
            }
        });
    }

    fn revoke_cohort(&mut self, at: Timestamp, cohort: &KeyCohort) {
        let mut changed = Vec::new();
        for (index, account) in (0..).zip(&mut self.accounts) {
            let meant: Vec<Fingerprint> = account
                .api_keys
                .iter()
                .filter(|key| is_meant(cohort, account, key, at))
                .map(|key| key.key)
                .collect();
            for key in account.api_keys.iter_mut().filter(|key| meant.contains(&key.key)) {
                key.is_revoked = true;
            }
            if !meant.is_empty() {
                changed.push(AccountIndex(index));
            }
        }
        for account in changed {
            self.recheck_account(at, account);
        }
    }

    /// A key as its owner wants it: new, or a further revision. What is known of its use stays.
    pub(crate) fn put_fenced_key(&mut self, at: Timestamp, account: AccountIndex, spec: &ApiKeySpec) {
        let known = self.account_at(account).and_then(|account| account.api_key(&spec.key));
        let revision = known.map_or(1, |known| known.revision.saturating_add(1));
        let old = known.and_then(|known| known.fenced.as_deref().cloned());
        let fenced = FencedKey {
            fence: spec.fence.clone(),
            made_at: known.map_or(at, ApiKey::made_at),
            ..old.unwrap_or_default()
        };
        self.put_key(at, account, spec.key, revision, spec.scopes, &spec.ip_allowlist);
        self.edit_key(account, &spec.key, |key| key.fenced = Some(Box::new(fenced)));
    }

    /// A withdrawal came in by a key: it counts towards the key's own limit.
    pub(crate) fn key_asked(
        &mut self,
        at: Timestamp,
        account: AccountIndex,
        by: &ApiEvidence,
        usd: UsdCents,
    ) {
        self.edit_key(account, &by.key, |key| {
            if let Some(fenced) = &mut key.fenced
                && fenced.fence.usd_cents_24h.is_some()
                && usd != UsdCents::MAX
            {
                spend(&mut fenced.spent, at, usd);
            }
        });
    }

    /// A withdrawal that came by a key was decided: if it was denied, the key neither was used nor spent anything.
    pub(crate) fn key_decided(&mut self, id: WithdrawalId, is_denied: bool) {
        let Some(withdrawal) = self.withdrawals.get(&id) else { return };
        let Evidence::ApiRequest(by) = &withdrawal.request.evidence else { return };
        let entry = (withdrawal.requested_at, withdrawal.request.usd_cents);
        let (account, key) = (withdrawal.request.account, by.key);
        self.edit_key(account, &key, |key| {
            let Some(fenced) = &mut key.fenced else { return };
            if !is_denied {
                fenced.last_used = fenced.last_used.max(Some(entry.0));
            } else if let Some(place) = fenced.spent.iter().position(|known| *known == entry) {
                fenced.spent.remove(place);
            }
        });
    }
}

fn spend(spent: &mut Vec<(Timestamp, UsdCents)>, at: Timestamp, usd_cents: UsdCents) {
    spent.retain(|(when, _)| at.since(*when) < time::DAY);
    spent.push((at, usd_cents));
    if spent.len() > KEY_SPENT_MAX {
        let (_, oldest) = spent.remove(0);
        if let Some((_, next)) = spent.first_mut() {
            *next = next.saturating_add(oldest);
        }
    }
}
