//! Codes that were shown, devices that were seen and keys that were used, in the model.

use holdfast_decision::command::Evidence;
use holdfast_decision::event::{CodeProof, KeyCohort, KeyUse};
use holdfast_decision::protection::{ApiKeySpec, CodePurpose, CredentialUse, PresentCode, RecordSession};
use holdfast_values::{Fingerprint, Timestamp};

use super::word::Fenced;
use super::{Answer, DAY, Model, ModelKey, Told};

const MINUTE: u64 = 60_000_000;

impl Model {
    pub(super) fn present(
        &mut self,
        at: Timestamp,
        sequence: u64,
        shown: &PresentCode,
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        let account = self.account(&shown.account)?;
        let mut outcomes = Vec::new();
        match shown.purpose {
            CodePurpose::Login => {
                self.spend(at, account, shown.proof, shown.device)?;
            }
            CodePurpose::Withdrawal(id) => {
                let which = self.own(&shown.account, id)?;
                let withdrawal = &self.withdrawals[which];
                if withdrawal.is_lapsed {
                    return Err("text_lapsed");
                }
                if withdrawal.status != "awaiting_approval" || !withdrawal.asked.0 {
                    return Err("not_awaiting_factor");
                }
                if matches!(shown.proof, CodeProof::Recovery { .. }) {
                    return Err("code_not_here");
                }
                if self.spend(at, account, shown.proof, shown.device)? {
                    self.withdrawals[which].code_shown = true;
                    outcomes.push(self.decide_again(at, sequence, which, told));
                }
            }
        }
        Ok(Answer::Done(outcomes))
    }

    /// Right, and spent; or wrong, and counted.
    pub(super) fn spend(
        &mut self,
        at: Timestamp,
        account: usize,
        proof: CodeProof,
        device: Option<Fingerprint>,
    ) -> Result<bool, &'static str> {
        let word = self.word(account);
        if !word.is_known {
            return Err("codes_unknown");
        }
        let known = device.filter(|device| {
            word.devices.iter().any(|known| known.0 == *device && self.age(known.1, at) >= DAY)
        });
        if let Some((_, times, last)) = word.failures.iter().find(|failures| failures.0 == known)
            && *times >= 5
        {
            let waits = [1, 2, 4, 8, 16, 32].get(*times as usize - 5).copied().unwrap_or(60) * MINUTE;
            if last.plus(waits) > at {
                return Err("code_locked");
            }
        }
        let is_right = match proof {
            CodeProof::OneTime { revision, step } => {
                if !word.codes.2 || word.codes.0 != revision {
                    return Err("codes_unknown");
                }
                if step <= word.codes.1 {
                    return Err("code_used");
                }
                self.word_mut(account).codes.1 = step;
                true
            }
            CodeProof::Recovery { revision, nth } => {
                // A set that was never made has no revision.
                if word.recovery_codes.0 != revision || revision == 0 || nth >= 32 {
                    return Err("codes_unknown");
                }
                let left = &word.recovery_codes.1;
                let place = left.iter().position(|one| *one == nth).ok_or("code_used")?;
                self.word_mut(account).recovery_codes.1.remove(place);
                true
            }
            CodeProof::Wrong => {
                if !word.codes.2 && word.recovery_codes.1.is_empty() {
                    return Err("codes_unknown");
                }
                false
            }
        };
        let word = self.word_mut(account);
        if is_right {
            word.failures.retain(|failures| failures.0 != known);
        } else {
            let devices = word.devices.clone();
            word.failures.retain(|failures| {
                let is_there = failures.0.is_none_or(|from| devices.iter().any(|known| known.0 == from));
                is_there && at.since(failures.2) < DAY
            });
            match word.failures.iter_mut().find(|failures| failures.0 == known) {
                Some(failures) => *failures = (known, failures.1 + 1, at),
                None => word.failures.push((known, 1, at)),
            }
        }
        Ok(is_right)
    }

    // Sessions and keys.

    pub(super) fn session(&mut self, at: Timestamp, session: &RecordSession) -> Result<(), &'static str> {
        let account = self.account(&session.account)?;
        if let Some((credential, counter)) = session.credential {
            let known = self.credential(account, credential).filter(|known| !known.is_removed);
            let known = known.ok_or("credential_unknown")?;
            if known.used_for != CredentialUse::Login || known.is_pending {
                return Err("credential_not_counting");
            }
            if counter <= known.counter && (counter, known.counter) != (0, 0) {
                return Err("counter_went_back");
            }
            for known in &mut self.word_mut(account).credentials {
                if known.credential == credential {
                    known.counter = counter;
                }
            }
        }
        let word = self.word_mut(account);
        if let Some(device) = session.facts.device
            && word.devices.iter().all(|known| known.0 != device)
        {
            word.devices.push((device, at));
        }
        Ok(())
    }

    pub(super) fn put_fenced(&mut self, at: Timestamp, account: usize, spec: &ApiKeySpec) {
        let keys = &mut self.accounts[account].keys;
        let old = keys.iter().position(|known| known.key == spec.key).map(|place| keys[place].clone());
        let was = old.as_ref().and_then(|old| old.fenced.clone());
        let made_at = match (&was, &old) {
            (Some(was), _) => was.made_at,
            (None, Some(old)) => old.put_at,
            (None, None) => at,
        };
        let was = was.unwrap_or_default();
        let new = ModelKey {
            key: spec.key,
            revision: old.as_ref().map_or(1, |old| old.revision + 1),
            put_at: at,
            scopes: spec.scopes.0,
            may_withdraw: spec.scopes.0 & 4 != 0,
            is_revoked: false,
            ips: spec.ip_allowlist.clone(),
            fenced: Some(Fenced {
                places: spec.fence.destinations.clone(),
                limit: spec.fence.usd_cents_24h.map(|limit| limit.0),
                expires_at: spec.fence.expires_at,
                is_asymmetric: spec.fence.asymmetric,
                asn: spec.fence.asn,
                made_at,
                ..was
            }),
        };
        match keys.iter_mut().find(|known| known.key == spec.key) {
            Some(known) => *known = new,
            None => keys.push(new),
        }
    }

    pub(super) fn revoke_cohort(&mut self, at: Timestamp, cohort: &KeyCohort) -> Result<(), &'static str> {
        if let Some(id) = &cohort.account {
            self.account(id)?;
        }
        let in_time = |when: Timestamp, from: Option<Timestamp>, until: Option<Timestamp>| {
            from.is_none_or(|from| from <= when) && until.is_none_or(|until| when < until)
        };
        for place in 0..self.accounts.len() {
            let mut changed = false;
            let id = self.accounts[place].id.clone();
            for key in self.accounts[place].keys.iter_mut().filter(|key| !key.is_revoked) {
                let fenced = key.fenced.as_ref();
                let made_at = fenced.map_or(key.put_at, |fenced| fenced.made_at);
                let is_made = in_time(made_at, cohort.made_from, cohort.made_until)
                    || in_time(key.put_at, cohort.made_from, cohort.made_until);
                let is_exposed = cohort.exposed_from.is_none_or(|from| from <= at)
                    && cohort.exposed_until.is_none_or(|until| made_at < until);
                let asn = fenced.and_then(|fenced| fenced.asn);
                let is_from = cohort.asn.is_none_or(|wanted| asn == Some(wanted));
                let is_whose = cohort.account.as_ref().is_none_or(|wanted| *wanted == id);
                if is_made && is_exposed && is_from && is_whose {
                    key.is_revoked = true;
                    changed = true;
                }
            }
            if changed {
                self.look_again(at, |withdrawal| withdrawal.account == place);
            }
        }
        Ok(())
    }

    pub(super) fn key_use(&mut self, at: Timestamp, uses: &[KeyUse]) {
        for used in uses.iter().filter(|used| used.allowed > 0) {
            let mut keys = self.accounts.iter_mut().flat_map(|account| &mut account.keys);
            let Some(key) = keys.find(|key| key.key == used.key) else { continue };
            let made_at = key.put_at;
            let fenced = key.fenced.get_or_insert_with(|| Fenced { made_at, ..Fenced::default() });
            fenced.last_used = fenced.last_used.max(Some(used.last_used.min(at)));
        }
    }

    /// What a withdrawal by key was asked for counts towards the key's limit.
    pub(super) fn key_asked(&mut self, at: Timestamp, which: usize) {
        let withdrawal = &self.withdrawals[which];
        let (account, cents) = (withdrawal.account, withdrawal.usd_cents);
        let Evidence::ApiRequest(evidence) = &withdrawal.evidence else { return };
        let key = evidence.key;
        let known = self.accounts[account].keys.iter_mut().find(|known| known.key == key);
        if let Some(fenced) = known.and_then(|known| known.fenced.as_mut())
            && fenced.limit.is_some()
            && let Some(cents) = cents
        {
            fenced.spent.push((at, cents));
        }
    }

    /// It was decided: a request that was denied neither used the key nor spent of it.
    pub(super) fn key_decided(&mut self, which: usize, is_denied: bool) {
        let withdrawal = &self.withdrawals[which];
        let Evidence::ApiRequest(evidence) = &withdrawal.evidence else { return };
        let (account, key) = (withdrawal.account, evidence.key);
        let (at, cents) = (withdrawal.requested_at, withdrawal.usd_cents);
        let known = self.accounts[account].keys.iter_mut().find(|known| known.key == key);
        let Some(fenced) = known.and_then(|known| known.fenced.as_mut()) else { return };
        if !is_denied {
            fenced.last_used = fenced.last_used.max(Some(at));
        } else if let Some(cents) = cents
            && let Some(place) = fenced.spent.iter().position(|spent| *spent == (at, cents))
        {
            fenced.spent.remove(place);
        }
    }
}
