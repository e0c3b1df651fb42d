//! Whose word it is, in the model: credentials, changes and mandates in plain lists, and what each change needs in one
//! long match.

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{Evidence, RequestWithdrawal};
use holdfast_decision::event::{ApprovedText, BoundApproval, Change};
use holdfast_decision::protection::{ApiKeySpec, ChangeProtection, CredentialUse, NewMandate};
use holdfast_values::texts::TextDigest;
use holdfast_values::{AccountId, Fingerprint, MandateId, Timestamp, WithdrawalId};

use super::{Answer, DAY, Model, Told};

#[derive(Clone, Debug)]
pub(super) struct ModelCredential {
    pub(super) credential: Fingerprint,
    pub(super) names: (Digest, Digest),
    pub(super) used_for: CredentialUse,
    /// Another that counted approved it.
    pub(super) is_rotated: bool,
    pub(super) since: Timestamp,
    pub(super) counter: u32,
    pub(super) is_removed: bool,
    pub(super) is_pending: bool,
}

#[derive(Clone, Debug)]
struct ModelMandate {
    terms: NewMandate,
    by: Fingerprint,
    is_revoked: bool,
    used: Vec<(Timestamp, u128)>,
}

/// What protects an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Word {
    pub(super) credentials: Vec<ModelCredential>,
    mandates: Vec<ModelMandate>,
    /// Revision, last step, in use.
    pub(super) codes: (u32, u64, bool),
    /// Revision, which are left.
    pub(super) recovery_codes: (u32, Vec<u8>),
    /// How long an unlocking waits, and since when it does.
    pub(super) lock: Option<(u64, Option<Timestamp>)>,
    /// Since when the account is being recovered.
    pub(super) recovering: Option<Timestamp>,
    /// Each with its first time.
    pub(super) devices: Vec<(Fingerprint, Timestamp)>,
    /// Where wrong codes came from: how many, when last.
    pub(super) failures: Vec<(Option<Fingerprint>, u32, Timestamp)>,
    /// Since when its owner wants it frozen.
    pub(super) wished_still: Option<Timestamp>,
    /// Texts approved of late: since when, how many.
    approvals: Option<(Timestamp, u32)>,
    /// Anything of it was ever spoken of.
    pub(super) is_known: bool,
}

/// What bounds a key beside scopes and addresses, and what is known of its use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fenced {
    pub(super) places: Option<Vec<Fingerprint>>,
    pub(super) limit: Option<u64>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) is_asymmetric: bool,
    pub(super) asn: Option<u32>,
    pub(super) made_at: Timestamp,
    pub(super) last_used: Option<Timestamp>,
    pub(super) spent: Vec<(Timestamp, u64)>,
}

/// What can be compared of an account's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Credential, counter, removed, pending, counts.
    pub(crate) credentials: Vec<(Fingerprint, u32, bool, bool, bool)>,
    /// Those that are not revoked and not past their time for a day.
    pub(crate) mandates: Vec<MandateId>,
    pub(crate) codes: (u32, u64, bool),
    pub(crate) recovery_codes: (u32, u32),
    pub(crate) is_locked: bool,
    pub(crate) recovering: Option<Timestamp>,
    /// Key, revision, revoked.
    pub(crate) keys: Vec<(Fingerprint, u32, bool)>,
}

impl Model {
    pub(super) fn word(&self, account: usize) -> &Word {
        &self.accounts[account].word
    }

    pub(super) fn word_mut(&mut self, account: usize) -> &mut Word {
        let word = &mut self.accounts[account].word;
        word.is_known = true;
        word
    }

    pub(super) fn credential(&self, account: usize, credential: Fingerprint) -> Option<&ModelCredential> {
        self.word(account).credentials.iter().find(|known| known.credential == credential)
    }

    fn is_good(&self, at: Timestamp, known: &ModelCredential) -> bool {
        let ageing = self.configuration.parameters.credential_ageing.unwrap_or(3 * DAY);
        let is_live = !known.is_removed && !known.is_pending;
        is_live && (known.is_rotated || self.age(known.since, at) >= ageing)
    }

    /// It is heard now: good, and if its owner froze the account, good then.
    fn is_heard(&self, at: Timestamp, account: usize, known: &ModelCredential) -> bool {
        let then = self.word(account).wished_still;
        self.is_good(at, known) && then.is_none_or(|then| known.since <= then && self.is_good(then, known))
    }

    fn has_counting(&self, at: Timestamp, account: usize) -> bool {
        let known = &self.word(account).credentials;
        known.iter().any(|known| known.used_for == CredentialUse::Approve && self.is_good(at, known))
    }

    pub(super) fn is_locked(&self, at: Timestamp, account: usize) -> bool {
        match self.word(account).lock {
            None => false,
            Some((_, None)) => true,
            Some((wait, Some(since))) => self.age(since, at) < wait,
        }
    }

    /// The credential's word is good for this, and news; from now on its counter stands there.
    fn hear(
        &self,
        at: Timestamp,
        account: usize,
        by: &BoundApproval,
        used_for: CredentialUse,
    ) -> Result<(), &'static str> {
        let known = self.credential(account, by.credential).ok_or("credential_unknown")?;
        if known.used_for != used_for || !self.is_heard(at, account, known) {
            return Err("credential_not_counting");
        }
        let is_old = by.counter <= known.counter && (by.counter, known.counter) != (0, 0);
        if is_old { Err("counter_went_back") } else { Ok(()) }
    }

    /// A text was approved, and its approval counted.
    fn heard_text(&mut self, at: Timestamp, account: usize, by: &BoundApproval) {
        self.heard(account, by);
        let known = &mut self.word_mut(account).approvals;
        *known = match *known {
            Some((since, many)) if at.since(since) < DAY => Some((since, many + 1)),
            _ => Some((at, 1)),
        };
    }

    fn heard(&mut self, account: usize, by: &BoundApproval) {
        for known in &mut self.word_mut(account).credentials {
            if known.credential == by.credential {
                known.counter = known.counter.max(by.counter);
            }
        }
    }

    /// Somebody vouches for this very withdrawal: its owner's credential, or a mandate.
    pub(super) fn is_vouched(&self, at: Timestamp, which: usize) -> bool {
        let withdrawal = &self.withdrawals[which];
        let by_key = withdrawal.bound.and_then(|bound| self.credential(withdrawal.account, bound));
        let by_key =
            by_key.is_some_and(|known| known.used_for == CredentialUse::Approve && self.is_good(at, known));
        by_key || withdrawal.mandate.is_some_and(|mandate| self.stands(at, withdrawal.account, mandate))
    }

    fn stands(&self, at: Timestamp, account: usize, id: MandateId) -> bool {
        let mandate = self.word(account).mandates.iter().find(|mandate| mandate.terms.mandate == id);
        mandate.is_some_and(|mandate| {
            let by = self.credential(account, mandate.by);
            !mandate.is_revoked && at <= mandate.terms.not_after && by.is_some_and(|by| self.is_good(at, by))
        })
    }

    pub(super) fn mandate_for(
        &self,
        at: Timestamp,
        account: usize,
        request: &RequestWithdrawal,
    ) -> Option<MandateId> {
        let Evidence::ApiRequest(evidence) = &request.evidence else { return None };
        let units = request.amount.base_units();
        let covers = |mandate: &&ModelMandate| {
            let terms = &mandate.terms;
            let recent: Vec<_> = mandate.used.iter().filter(|used| at.since(used.0) <= DAY).collect();
            let sum = recent.iter().fold(units, |sum, used| sum.saturating_add(used.1));
            (terms.key, terms.revision, &terms.asset) == (evidence.key, evidence.revision, &request.asset)
                && terms.not_before <= at
                && at <= terms.not_after
                && terms.destinations.contains(&request.fingerprint)
                && units <= terms.amount_max.base_units()
                && sum <= terms.day_max.base_units()
                && recent.len() < 1_024
                && self.stands(at, account, terms.mandate)
        };
        let mandate = self.word(account).mandates.iter().find(covers)?;
        Some(mandate.terms.mandate)
    }

    /// A request that was not refused used a mandate.
    pub(super) fn used(&mut self, at: Timestamp, account: usize, id: MandateId, units: u128) {
        let mandates = &mut self.word_mut(account).mandates;
        for mandate in mandates.iter_mut().filter(|mandate| mandate.terms.mandate == id) {
            mandate.used.push((at, units));
        }
    }

    pub(super) fn approve_intent(
        &mut self,
        at: Timestamp,
        sequence: u64,
        (account, id): (&AccountId, WithdrawalId),
        by: &BoundApproval,
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        let which = self.own(account, id)?;
        let withdrawal = &self.withdrawals[which];
        if withdrawal.is_released() {
            return Err("already_released");
        }
        if withdrawal.is_lapsed || withdrawal.not_after <= at {
            return Err("text_lapsed");
        }
        if self.text_digest(which) != Some(by.text) {
            return Err("text_differs");
        }
        let account = withdrawal.account;
        self.hear(at, account, by, CredentialUse::Approve)?;
        self.heard(account, by);
        self.withdrawals[which].bound = Some(by.credential);
        Ok(Answer::Done(vec![self.decide_again(at, sequence, which, told)]))
    }

    pub(super) fn renew_intent(
        &mut self,
        at: Timestamp,
        sequence: u64,
        (account, id): (&AccountId, WithdrawalId),
        nonce: [u8; 32],
        told: &dyn Told,
    ) -> Result<Answer, &'static str> {
        let which = self.own(account, id)?;
        let lifetime = self.configuration.parameters.withdrawal_lifetime;
        let withdrawal = &mut self.withdrawals[which];
        if !withdrawal.is_lapsed || withdrawal.is_released() {
            return Err("text_not_lapsed");
        }
        withdrawal.is_lapsed = false;
        withdrawal.request.nonce = nonce;
        withdrawal.not_after = at.plus(lifetime);
        Ok(Answer::Done(vec![self.decide_again(at, sequence, which, told)]))
    }

    /// Its text is past its time.
    pub(super) fn past_its_time(&mut self, at: Timestamp, which: usize) -> super::Outcome {
        let lifetime = self.configuration.parameters.withdrawal_lifetime;
        let rules = self.rules;
        let withdrawal = &self.withdrawals[which];
        if rules == 1 || withdrawal.is_lapsed || withdrawal.lapses == 8 {
            return self.close_plainly(at, which, "expired");
        }
        self.leave_line(which);
        let withdrawal = &mut self.withdrawals[which];
        withdrawal.is_lapsed = true;
        withdrawal.lapses += 1;
        withdrawal.status = "awaiting_approval";
        withdrawal.asked = (false, false);
        withdrawal.code_shown = false;
        withdrawal.operators = 0;
        withdrawal.bound = None;
        withdrawal.mandate = None;
        withdrawal.next_check = at.plus(lifetime);
        super::Outcome::plain(withdrawal.id, "lapsed")
    }

    /// A text that a credential approved: its nonce and its end.
    fn text(
        &self,
        at: Timestamp,
        account: usize,
        approved: &ApprovedText,
        used_for: CredentialUse,
        end: &str,
        longest: u64,
    ) -> Result<(String, Timestamp), &'static str> {
        let line = |name: &str| {
            let found = approved.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.unwrap_or_default().to_owned()
        };
        let until = Timestamp::parse(&line(end)).unwrap();
        if until <= at || until.since(at) > longest {
            return Err("text_not_now");
        }
        let nonce = line("nonce");
        if self.used_nonces.iter().any(|used| used.0 == nonce) {
            return Err("text_used");
        }
        self.hear(at, account, &approved.by, used_for)?;
        let recent = self.word(account).approvals.filter(|(since, _)| at.since(*since) < DAY);
        if recent.is_some_and(|(_, many)| many >= 256) {
            return Err("too_many");
        }
        Ok((nonce, until))
    }

    fn change_text(
        &self,
        at: Timestamp,
        account: usize,
        change: &Change,
        approved: &ApprovedText,
        used_for: CredentialUse,
    ) -> Result<(String, Timestamp), &'static str> {
        let has = |line: String| approved.text.lines().any(|known| known == line);
        let says = approved.text.starts_with("holdfast-change/v1\n")
            && has(format!("account: {}", self.accounts[account].id))
            && has(format!("change: {}", change.name()))
            && TextDigest::of(approved.text.as_bytes()).0 == approved.by.text.0;
        if !says {
            return Err("text_differs");
        }
        if !has(format!("exchange: {}", self.exchange)) {
            return Err("text_exchange");
        }
        self.text(at, account, approved, used_for, "not-after", DAY)
    }

    fn mandate_text(
        &self,
        at: Timestamp,
        account: usize,
        terms: &NewMandate,
        approved: &ApprovedText,
    ) -> Result<(String, Timestamp), &'static str> {
        let has = |line: String| approved.text.lines().any(|known| known == line);
        if !approved.text.starts_with("holdfast-mandate/v1\n") {
            return Err("text_differs");
        }
        if !has(format!("exchange: {}", self.exchange)) {
            return Err("text_exchange");
        }
        let asset = self.asset(&terms.asset).ok_or("asset_unknown")?;
        let spec = &self.configuration.assets[asset].spec;
        let on = spec.networks.iter().find(|on| has(format!("network: {}", on.network)));
        let on = on.ok_or("network_not_configured")?;
        let listed = approved.text.lines().filter(|line| line.starts_with("destination: ")).count();
        // All networks of the tests' exchange count as its assets do.
        let fixed = |amount: holdfast_values::Amount| amount.to_fixed(on.decimals);
        let says = has(format!("account: {}", self.accounts[account].id))
            && has(format!("mandate: {}", terms.mandate))
            && has(format!("asset: {}", terms.asset))
            && has(format!("amount-max: {}", fixed(terms.amount_max)))
            && has(format!("day-max: {}", fixed(terms.day_max)))
            && has(format!("not-before: {}", terms.not_before))
            && has(format!("not-after: {}", terms.not_after))
            && listed == terms.destinations.len()
            && TextDigest::of(approved.text.as_bytes()).0 == approved.by.text.0;
        if !says {
            return Err("text_differs");
        }
        self.text(at, account, approved, CredentialUse::Approve, "not-after", u64::MAX)
    }

    /// A change of an account's protection, asked in the order in which the core asks.
    pub(super) fn change(&mut self, at: Timestamp, asked: &ChangeProtection) -> Result<Answer, &'static str> {
        let account = self.account(&asked.account)?;
        let change = &asked.change;
        let frozen = self.accounts[account].is_frozen;
        let removes_young = match change {
            Change::RemoveCredential { credential } => {
                self.credential(account, *credential).is_none_or(|known| !self.is_heard(at, account, known))
            }
            _ => false,
        };
        let brings_pending = match change {
            Change::AddCredential(new) => {
                new.used_for == CredentialUse::Approve && self.word(account).recovering.is_some()
            }
            _ => false,
        };
        let may_always = removes_young
            || brings_pending
            || matches!(
                change,
                Change::RevokeMandate { .. }
                    | Change::ForgetDevice { .. }
                    | Change::BeginRecovery
                    | Change::StopRecovery
            );
        let may_while_frozen = match change {
            Change::RemoveCredential { .. } => true,
            Change::Unfreeze => self.word(account).wished_still.is_some(),
            _ => may_always,
        };
        if frozen && !may_while_frozen {
            return Err("account_frozen");
        }
        let may_while_locked =
            may_always || matches!(change, Change::LockSettings { .. } | Change::UnlockSettings);
        if self.is_locked(at, account) && !may_while_locked {
            return Err("settings_locked");
        }
        let mut known_device = false;
        if let Change::ForgetDevice { device } = change {
            let word = self.word(account);
            let since = word.devices.iter().find(|known| known.0 == *device).map(|known| known.1);
            if let (Some(since), Some(begun)) = (since, word.recovering)
                && since <= begun
            {
                return Err("recovery_under_way");
            }
            known_device = since.is_some_and(|since| self.age(since, at) >= DAY);
        }
        self.could_be(at, account, change)?;

        let counting = self.has_counting(at, account);
        let word = self.word(account);
        let has_codes = word.codes.2 || !word.recovery_codes.1.is_empty();
        let approved = asked.approval.as_deref();
        let text = match (change, approved) {
            (Change::GrantMandate(terms), Some(approved)) => {
                Some(self.mandate_text(at, account, terms, approved)?)
            }
            (Change::UnlockSettings, Some(approved)) => {
                Some(self.change_text(at, account, change, approved, CredentialUse::Master)?)
            }
            (_, Some(approved)) => {
                Some(self.change_text(at, account, change, approved, CredentialUse::Approve)?)
            }
            _ => None,
        };
        let approve = CredentialUse::Approve;
        let needs_approval = match change {
            Change::Unfreeze | Change::GrantMandate(_) => true,
            Change::AddCredential(new) => {
                let had = word.credentials.iter().any(|known| known.used_for == approve);
                !brings_pending && (had || new.used_for == CredentialUse::Master)
            }
            Change::RemoveCredential { credential } => {
                let known = self.credential(account, *credential).unwrap();
                let is_login = known.used_for == CredentialUse::Login;
                !removes_young && (frozen || counting || !is_login)
            }
            Change::EnrolCodes { .. } | Change::RemoveCodes | Change::PutRecoveryCodes { .. } => counting,
            Change::PutApiKey(spec) => counting && self.is_more(account, spec),
            _ => false,
        };
        if needs_approval && text.is_none() {
            return Err("approval_required");
        }
        let is_about_codes = matches!(
            change,
            Change::EnrolCodes { .. } | Change::RemoveCodes | Change::PutRecoveryCodes { .. }
        );
        let vetoes = matches!(change, Change::StopRecovery);
        let mut is_device = false;
        if let (true, Some(device), Some(begun)) = (vetoes, asked.device, word.recovering) {
            let known = word.devices.iter().find(|known| known.0 == device);
            is_device = known.is_some_and(|known| self.age(known.1, begun) >= DAY);
        }
        if let (Change::ForgetDevice { device }, Some(from)) = (change, asked.device) {
            let mut known = word.devices.iter().filter(|known| known.0 == from && from != *device);
            is_device = known.any(|known| self.age(known.1, at) >= DAY);
        }
        let needs_code =
            (is_about_codes && has_codes || vetoes || known_device) && text.is_none() && !is_device;
        if needs_code {
            let proof = asked.code.as_deref().ok_or("code_needed")?;
            if !self.spend(at, account, *proof, asked.device)? {
                return Ok(Answer::Done(Vec::new()));
            }
        }
        if let (Change::UnlockSettings, None) = (change, &text) {
            if let Some((_, since @ None)) = &mut self.word_mut(account).lock {
                *since = Some(at);
            }
            return Ok(Answer::Done(Vec::new()));
        }
        let is_approved = text.is_some();
        self.used_nonces.extend(text);
        if let Some(approved) = approved {
            self.heard_text(at, account, &approved.by);
        }
        self.follow(at, account, change, is_approved, approved.map(|approved| approved.by.credential));
        Ok(Answer::Done(Vec::new()))
    }

    /// Whether a change could be made, whoever asks.
    fn could_be(&self, at: Timestamp, account: usize, change: &Change) -> Result<(), &'static str> {
        let word = self.word(account);
        let fail = |fails: bool, code: &'static str| if fails { Err(code) } else { Ok(()) };
        match change {
            Change::AddCredential(new) => {
                let parties = self.configuration.parties.as_ref().ok_or("party_not_configured")?;
                let no_login = new.used_for == CredentialUse::Login && parties.login.is_none();
                fail(no_login, "party_not_configured")?;
                let known = self.credential(account, new.credential).is_some();
                fail(known, "credential_exists")?;
                fail(word.credentials.len() >= 32, "too_many")
            }
            Change::RemoveCredential { credential } => {
                let known = self.credential(account, *credential).ok_or("credential_unknown")?;
                fail(known.is_removed, "nothing_to_change")
            }
            Change::EnrolCodes { .. } => Ok(()),
            Change::RemoveCodes => fail(!word.codes.2, "nothing_to_change"),
            Change::PutRecoveryCodes { count } => fail(*count == 0 || *count > 32, "change_invalid"),
            Change::PutApiKey(spec) => {
                let foreign = (0..self.accounts.len()).any(|other| {
                    other != account && self.accounts[other].keys.iter().any(|known| known.key == spec.key)
                });
                fail(foreign, "api_key_foreign")?;
                fail(spec.scopes.0 & 4 != 0 && spec.ip_allowlist.is_empty(), "ip_allowlist_required")?;
                fail(spec.ip_allowlist.len() > 32, "too_many")?;
                fail(spec.fence.destinations.as_ref().is_some_and(|all| all.len() > 64), "too_many")?;
                let known = self.accounts[account].keys.iter().find(|known| known.key == spec.key);
                fail(known.is_some_and(|known| known.is_revoked), "api_key_revoked")
            }
            Change::LockSettings { days } => {
                fail(!(1..=30).contains(days), "change_invalid")?;
                let wait = u64::from(*days) * DAY;
                match word.lock.filter(|_| self.is_locked(at, account)) {
                    Some((old, _)) if wait < old => Err("settings_locked"),
                    Some((old, None)) if wait == old => Err("nothing_to_change"),
                    _ => Ok(()),
                }
            }
            Change::UnlockSettings => fail(!self.is_locked(at, account), "nothing_to_change"),
            Change::Unfreeze => fail(!self.accounts[account].is_frozen, "not_frozen"),
            Change::GrantMandate(terms) => {
                let key = self.accounts[account].keys.iter().find(|known| known.key == terms.key);
                let key = key.ok_or("api_key_unknown")?;
                fail(key.is_revoked, "api_key_revoked")?;
                let asymmetric = key.fenced.as_ref().is_some_and(|fenced| fenced.is_asymmetric);
                fail(key.revision != terms.revision || !asymmetric || !key.may_withdraw, "change_invalid")?;
                let known = self.kept_mandates(at, account);
                fail(known.contains(&terms.mandate), "change_invalid")
            }
            Change::RevokeMandate { mandate } => {
                let mut known = word.mandates.iter().filter(|known| known.terms.mandate == *mandate);
                fail(known.all(|known| known.is_revoked), "mandate_unknown")
            }
            Change::BeginRecovery => {
                fail(word.recovering.is_some(), "recovery_under_way")?;
                let is_gone =
                    |known: &ModelCredential| known.is_removed && known.used_for != CredentialUse::Approve;
                let nobody = word.credentials.iter().all(is_gone);
                let no_codes = !word.codes.2 && word.recovery_codes.1.is_empty();
                fail(nobody && no_codes, "nothing_to_change")
            }
            Change::StopRecovery => fail(word.recovering.is_none(), "recovery_not_begun"),
            Change::ForgetDevice { device } => {
                fail(word.devices.iter().all(|known| known.0 != *device), "nothing_to_change")
            }
        }
    }

    /// All mandates that the account ever had: the tests give each an id of its own or one that is still there.
    fn kept_mandates(&self, _at: Timestamp, account: usize) -> Vec<MandateId> {
        self.word(account).mandates.iter().map(|known| known.terms.mandate).collect()
    }

    /// True if the key is new, or may do something that it might not before.
    fn is_more(&self, account: usize, spec: &ApiKeySpec) -> bool {
        let Some(known) = self.accounts[account].keys.iter().find(|known| known.key == spec.key) else {
            return true;
        };
        let fenced = known.fenced.clone().unwrap_or_default();
        let fence = &spec.fence;
        // No list is every address, and no bound is above every bound.
        let adds = |old: Option<&[Fingerprint]>, new: Option<&[Fingerprint]>| match (old, new) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(old), Some(new)) => new.iter().any(|one| !old.contains(one)),
        };
        let list = |ips: &[Fingerprint]| (!ips.is_empty()).then(|| ips.to_vec());
        let (old_ips, new_ips) = (list(&known.ips), list(&spec.ip_allowlist));
        let above =
            |old: Option<u64>, new: Option<u64>| old.is_some_and(|old| new.is_none_or(|new| new > old));
        spec.new_material
            || spec.scopes.0 & !known.scopes != 0
            || adds(old_ips.as_deref(), new_ips.as_deref())
            || adds(fenced.places.as_deref(), fence.destinations.as_deref())
            || above(fenced.limit, fence.usd_cents_24h.map(|limit| limit.0))
            || above(fenced.expires_at.map(|end| end.0), fence.expires_at.map(|end| end.0))
            || fenced.is_asymmetric != fence.asymmetric
    }

    /// A key without its owner's word.
    pub(super) fn may_put_plainly(
        &self,
        at: Timestamp,
        account: usize,
        (key, scopes, ips): (Fingerprint, u8, &[Fingerprint]),
    ) -> Result<(), &'static str> {
        if self.is_locked(at, account) {
            return Err("settings_locked");
        }
        let known = self.accounts[account].keys.iter().find(|known| known.key == key);
        let is_more = known.is_none_or(|known| {
            let adds_ips =
                !known.ips.is_empty() && (ips.is_empty() || ips.iter().any(|ip| !known.ips.contains(ip)));
            scopes & !known.scopes != 0 || adds_ips
        });
        if is_more && self.has_counting(at, account) { Err("approval_required") } else { Ok(()) }
    }

    fn follow(
        &mut self,
        at: Timestamp,
        account: usize,
        change: &Change,
        is_approved: bool,
        by: Option<Fingerprint>,
    ) {
        let mut cools = false;
        let mut looks = false;
        match change {
            Change::AddCredential(new) => {
                let waits = !is_approved
                    && new.used_for == CredentialUse::Approve
                    && self.word(account).recovering.is_some();
                self.word_mut(account).credentials.push(ModelCredential {
                    credential: new.credential,
                    names: (new.id, new.key),
                    used_for: new.used_for,
                    is_rotated: is_approved,
                    since: at,
                    counter: new.counter,
                    is_removed: false,
                    is_pending: waits,
                });
                cools = true;
            }
            Change::RemoveCredential { credential } => {
                let known = self.credential(account, *credential).unwrap();
                cools = self.is_good(at, known);
                looks = true;
                self.remove(at, account, |known| known.credential == *credential);
            }
            Change::EnrolCodes { step } => {
                let codes = &mut self.word_mut(account).codes;
                *codes = (codes.0 + 1, *step, true);
                cools = true;
            }
            Change::RemoveCodes => {
                self.word_mut(account).codes.2 = false;
                cools = true;
            }
            Change::PutRecoveryCodes { count } => {
                let codes = &mut self.word_mut(account).recovery_codes;
                *codes = (codes.0 + 1, (0..*count).collect());
                cools = true;
            }
            Change::PutApiKey(spec) => self.put_fenced(at, account, spec),
            Change::LockSettings { days } => {
                self.word_mut(account).lock = Some((u64::from(*days) * DAY, None));
            }
            Change::UnlockSettings => self.word_mut(account).lock = None,
            Change::Unfreeze => {
                self.accounts[account].is_frozen = false;
                self.word_mut(account).wished_still = None;
            }
            Change::GrantMandate(terms) => {
                let (terms, by) = ((**terms).clone(), by.unwrap());
                let mandate = ModelMandate { terms, by, is_revoked: false, used: Vec::new() };
                self.word_mut(account).mandates.push(mandate);
            }
            Change::RevokeMandate { mandate } => {
                let all = &mut self.word_mut(account).mandates;
                all.iter_mut()
                    .filter(|known| known.terms.mandate == *mandate)
                    .for_each(|known| known.is_revoked = true);
                looks = true;
            }
            Change::BeginRecovery => {
                self.word_mut(account).recovering = Some(at);
                cools = true;
            }
            Change::StopRecovery => {
                self.word_mut(account).recovering = None;
                self.word_mut(account).credentials.retain(|known| !known.is_pending);
                cools = true;
            }
            Change::ForgetDevice { device } => {
                self.word_mut(account).devices.retain(|known| known.0 != *device);
            }
        }
        if cools {
            self.accounts[account].security_change = Some(at);
        }
        if cools || looks {
            self.look_again(at, |withdrawal| withdrawal.account == account);
        }
    }

    /// What counted is remembered as removed, the rest is forgotten.
    fn remove(&mut self, at: Timestamp, account: usize, is_meant: impl Fn(&ModelCredential) -> bool) {
        let known = self.word(account).credentials.clone();
        let mut left = Vec::new();
        for mut one in known {
            if is_meant(&one) && !one.is_removed {
                if !self.is_good(at, &one) {
                    continue;
                }
                one.is_removed = true;
            }
            left.push(one);
        }
        self.word_mut(account).credentials = left;
    }

    pub(super) fn recover_account(
        &mut self,
        at: Timestamp,
        id: &AccountId,
        named: (Digest, Digest),
        signed_from: Timestamp,
    ) -> Result<(), &'static str> {
        let account = self.account(id)?;
        let word = self.word(account);
        let begun = word.recovering.ok_or("recovery_not_begun")?;
        let waiting = word.credentials.iter().find(|known| known.is_pending && known.names == named);
        let waiting = waiting.ok_or("recovery_not_begun")?.credential;
        if self.age(begun, at) < self.configuration.parameters.recovery_wait.unwrap_or(3 * DAY) {
            return Err("recovery_waits");
        }
        if signed_from <= begun {
            return Err("text_not_now");
        }
        self.remove(at, account, |known| known.credential != waiting);
        let word = self.word_mut(account);
        for known in word.credentials.iter_mut().filter(|known| known.credential == waiting) {
            known.is_pending = false;
            known.since = at;
        }
        word.codes.2 = false;
        word.recovery_codes.1.clear();
        word.mandates.iter_mut().for_each(|mandate| mandate.is_revoked = true);
        word.recovering = None;
        self.accounts[account].security_change = Some(at);
        self.look_again(at, |withdrawal| withdrawal.account == account);
        Ok(())
    }

    /// What can be compared.
    pub(crate) fn shown(&self, at: Timestamp) -> Vec<Shown> {
        let all = self.accounts.iter().enumerate().map(|(place, account)| {
            let word = &account.word;
            let credentials = word.credentials.iter().map(|known| {
                let counts = self.is_good(at, known);
                (known.credential, known.counter, known.is_removed, known.is_pending, counts)
            });
            let live = word
                .mandates
                .iter()
                .filter(|known| !known.is_revoked && at.since(known.terms.not_after) <= DAY);
            Shown {
                credentials: credentials.collect(),
                mandates: live.map(|known| known.terms.mandate).collect(),
                codes: word.codes,
                recovery_codes: (
                    word.recovery_codes.0,
                    word.recovery_codes.1.iter().fold(0, |bits, nth| bits | 1 << nth),
                ),
                is_locked: self.is_locked(at, place),
                recovering: word.recovering,
                keys: account.keys.iter().map(|key| (key.key, key.revision, key.is_revoked)).collect(),
            }
        });
        all.collect()
    }
}
