//! Random traffic of words: credentials, approvals, changes, mandates, codes, sessions and the fences of keys, said well
//! and badly.

use holdfast_decision::account::Account;
use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{Command, Evidence, RequestWithdrawal, Scopes};
use holdfast_decision::event::{ApprovedText, Change, CodeProof, KeyCohort, KeyUse};
use holdfast_decision::protection::{
    ApiKeySpec, CodePurpose, Credential, CredentialUse, KeyFence, Place, Protection, RecordSession,
    SessionFacts,
};
use holdfast_decision::{Need, State, Status};
use holdfast_policy::Factor;
use holdfast_values::{AccountId, MandateId, Network, Timestamp, UsdCents, WithdrawalId, time};

use crate::owner::{
    approval, approved, change_text, changes, digest, mandate_text, new_credential, plainly, shows, terms,
};
use crate::play::{ACCOUNTS, OLD, PLACES, Play};
use crate::world::{account, fingerprint, name, request};

/// Of so many accounts most is said, so that words meet.
const SPEAKERS: u64 = 6;
/// Credentials of one account.
const KEYS: u64 = 5;

impl Play {
    /// What the first words are: keys of some accounts whose private halves their owners have, and first credentials.
    pub(crate) fn first_words(&mut self) -> Vec<Command> {
        let speakers = OLD..SPEAKERS as usize + OLD - 1;
        let keys = speakers.map(|number| {
            let spec = crate::owner::asymmetric(number as u64);
            changes(plainly(number, Change::PutApiKey(Box::new(spec))))
        });
        let first = |number: usize| {
            let new = new_credential(number as u64 * KEYS, CredentialUse::Approve);
            changes(plainly(number, Change::AddCredential(Box::new(new))))
        };
        keys.chain((2..SPEAKERS as usize + 1).map(first)).collect()
    }

    fn speaker(&mut self) -> usize {
        let many = if self.random.one_in(12) { ACCOUNTS + 1 } else { SPEAKERS + 2 };
        self.random.below(many) as usize
    }

    /// Something about whose word it is.
    pub(crate) fn speak(&mut self, state: &State, now: Timestamp) -> Command {
        if let Some(guessed) = self.guessed {
            if self.random.one_in(9) {
                self.guessed = None;
            } else if self.random.one_in(2) {
                return shows(guessed, CodePurpose::Login, CodeProof::Wrong, None);
            }
        }
        match self.random.below(100) {
            0..26 => self.approves_something(state, now),
            26..34 => self.adds(state, now),
            34..38 => {
                let who = self.speaker();
                let known = self.known(state, who, |_| true);
                let credential = known.map_or_else(|| fingerprint("credential", 999), |one| one.credential);
                self.asks(state, now, who, Change::RemoveCredential { credential })
            }
            38..46 => self.codes(state, now),
            46..50 => self.fenced_key(state, now),
            50..61 => self.mandate(state, now),
            61..67 => self.lock(state, now),
            67..70 => {
                let frozen = (0..ACCOUNTS as usize)
                    .find(|number| state.account(&account(*number)).is_some_and(|account| account.is_frozen));
                let who = frozen.unwrap_or(3);
                self.asks(state, now, who, Change::Unfreeze)
            }
            70..80 => self.recovery(state, now),
            80..86 => self.code(state),
            86..92 => self.appears(state, now),
            92..96 => self.keys_at_large(state, now),
            _ => {
                let lapsed: Vec<_> =
                    state.withdrawals().filter(|(_, open)| open.is_lapsed()).map(|(id, _)| *id).collect();
                let withdrawal = if lapsed.is_empty() { self.open(state) } else { self.random.pick(&lapsed) };
                let nonce = [self.number() as u8; 32];
                Command::RenewIntent { account: self.owner(state, withdrawal), withdrawal, nonce }
            }
        }
    }

    /// A credential of an account that has some; mostly one that is not removed.
    fn known(
        &mut self,
        state: &State,
        who: usize,
        is_meant: impl Fn(&Credential) -> bool,
    ) -> Option<Credential> {
        let account = state.account(&account(who))?;
        let all = &account.protection.as_deref()?.credentials;
        let live: Vec<_> = all.iter().filter(|one| !one.is_removed && is_meant(one)).copied().collect();
        if live.is_empty() || self.random.one_in(20) {
            return (!all.is_empty()).then(|| self.random.pick(all));
        }
        Some(self.random.pick(&live))
    }

    /// One of these accounts, if there is any; now and then another.
    fn one_of(&mut self, state: &State, is_meant: impl Fn(&Account) -> bool) -> usize {
        let meant: Vec<usize> = (0..ACCOUNTS as usize)
            .filter(|number| state.account(&account(*number)).is_some_and(&is_meant))
            .collect();
        if meant.is_empty() || self.random.one_in(8) { self.speaker() } else { self.random.pick(&meant) }
    }

    /// A signed request that a mandate of its key may cover.
    pub(crate) fn mandated(
        &mut self,
        state: &State,
        now: Timestamp,
        number: u64,
    ) -> Option<RequestWithdrawal> {
        let live = |from: usize| {
            let known = state.account(&account(from))?.protection.as_deref()?;
            let last = known.mandates.iter().rfind(|one| !one.is_revoked && one.terms.not_after >= now)?;
            Some((from, last.terms.clone()))
        };
        let all: Vec<_> = (0..ACCOUNTS as usize).filter_map(live).collect();
        if all.is_empty() {
            return None;
        }
        let (from, terms) = all[self.random.below(all.len() as u64) as usize].clone();
        let network = if terms.asset.as_str() == "BTC" { Network::Bitcoin } else { Network::Ethereum };
        let most = terms.amount_max.base_units();
        let units = most / u128::from(1 + self.random.below(4)) + u128::from(self.random.below(2));
        let to = self.random.below(11);
        let mut made = request(now, number, from, (terms.asset.as_str(), network), units, to);
        made.evidence = Evidence::ApiRequest(Box::new(self.evidence(state, now, from)));
        Some(made)
    }

    /// What an authenticator counts: half of them do not, and some are heard twice.
    fn counter(&mut self, known: &Credential) -> u32 {
        match known.credential.0[0] % 2 {
            0 => 0,
            _ if self.random.one_in(9) => known.counter,
            _ => known.counter + 1 + self.random.below(3) as u32,
        }
    }

    fn approves_something(&mut self, state: &State, now: Timestamp) -> Command {
        let asks = |open: &holdfast_decision::Withdrawal| {
            open.status() == Status::AwaitingApproval && open.decision.factors.contains(Factor::Passkey)
        };
        let may = |id: &AccountId| {
            state.account(id).is_some_and(|account| state.has_counting(now, account, CredentialUse::Approve))
        };
        let open = state.withdrawals().filter(|(_, open)| {
            (asks(open) || open.status() != Status::Approved)
                && state.account_id(open.request.account).is_some_and(may)
        });
        let ids: Vec<WithdrawalId> = open.map(|(id, _)| *id).collect();
        let id =
            if ids.is_empty() || self.random.one_in(9) { self.open(state) } else { self.random.pick(&ids) };
        let owner = self.owner(state, id);
        let who = (0..ACCOUNTS as usize).find(|number| account(*number) == owner).unwrap_or(0);
        let known = self.known(state, who, |one| one.used_for == CredentialUse::Approve);
        let text = state.text_of(id).map_or([0; 32], |text| text.digest().0);
        let text = if self.random.one_in(20) { [1; 32] } else { text };
        let mut by = approval(999, Digest(text), 0);
        if let Some(known) = known {
            by.credential = known.credential;
            by.counter = self.counter(&known);
        }
        Command::ApproveIntent { account: owner, withdrawal: id, approval: Box::new(by) }
    }

    fn adds(&mut self, state: &State, now: Timestamp) -> Command {
        if self.random.one_in(3) {
            // A master key comes where somebody can approve it.
            let who = self.one_of(state, |known| state.has_counting(now, known, CredentialUse::Approve));
            let new = new_credential(who as u64 * KEYS + self.random.below(KEYS), CredentialUse::Master);
            return self.asks(state, now, who, Change::AddCredential(Box::new(new)));
        }
        let who = self.speaker();
        let number = who as u64 * KEYS + self.random.below(KEYS);
        let used_for = self.random.pick(&[
            CredentialUse::Approve,
            CredentialUse::Approve,
            CredentialUse::Master,
            CredentialUse::Master,
            CredentialUse::Login,
        ]);
        let new = new_credential(number, used_for);
        self.asks(state, now, who, Change::AddCredential(Box::new(new)))
    }

    /// Asks for a change, mostly with the word that it needs.
    fn asks(&mut self, state: &State, now: Timestamp, who: usize, change: Change) -> Command {
        let need = state.change_needs(now, &account(who), &change);
        let mut asked = plainly(who, change);
        let used_for = match need {
            Ok(Need::MasterOrTime) if self.random.one_in(2) => Some(CredentialUse::Master),
            Ok(Need::Approval) => Some(CredentialUse::Approve),
            Ok(Need::Veto | Need::Device) if self.random.one_in(2) => Some(CredentialUse::Approve),
            _ => self.random.one_in(12).then_some(CredentialUse::Approve),
        };
        if let Some(used_for) = used_for.filter(|_| !self.random.one_in(12)) {
            asked.approval = self.approved_change(state, now, who, &asked.change, used_for);
        }
        if matches!(need, Ok(Need::Code | Need::Veto | Need::Device)) && !self.random.one_in(12) {
            asked.code = self.proof(state, who).map(Box::new);
        }
        if self.random.one_in(2) {
            asked.device = Some(fingerprint("device", self.random.below(4)));
        }
        changes(asked)
    }

    fn approved_change(
        &mut self,
        state: &State,
        now: Timestamp,
        who: usize,
        change: &Change,
        used_for: CredentialUse,
    ) -> Option<Box<ApprovedText>> {
        let known = self.known(state, who, |one| one.used_for == used_for)?;
        let nonce = if self.random.one_in(12) { self.said } else { self.number() };
        self.said = nonce;
        let mut text = change_text(&account(who), change, now, nonce);
        match self.random.below(60) {
            0 => text.exchange = "other.example".parse().unwrap(),
            1 => text.account = account(99),
            2 => text.change = "unfreeze".parse().unwrap(),
            3 => text.not_after = holdfast_values::texts::Seconds::floor(now),
            4 => text.not_after = holdfast_values::texts::Seconds::floor(now.plus(25 * time::HOUR)),
            _ => {}
        }
        let counter = self.counter(&known);
        let said = if self.random.one_in(60) { "hello".to_owned() } else { text.to_string() };
        let mut approved = approved(&said, 0, counter);
        approved.by.credential = known.credential;
        if self.random.one_in(40) {
            approved.by.text = Digest([2; 32]);
        }
        Some(approved)
    }

    fn proof(&mut self, state: &State, who: usize) -> Option<CodeProof> {
        let account = state.account(&account(who))?;
        let known: &Protection = account.protection.as_deref()?;
        if self.random.one_in(4) {
            return Some(CodeProof::Wrong);
        }
        let old = u32::from(self.random.one_in(12));
        match (known.codes, known.recovery_codes) {
            (Some(codes), _) if !codes.is_removed && !self.random.one_in(4) => Some(CodeProof::OneTime {
                revision: codes.revision - old,
                step: codes.last_step + self.random.below(4),
            }),
            (_, Some(codes)) => {
                Some(CodeProof::Recovery { revision: codes.revision - old, nth: self.random.below(9) as u8 })
            }
            _ => Some(CodeProof::OneTime { revision: 1, step: 1 }),
        }
    }

    fn codes(&mut self, state: &State, now: Timestamp) -> Command {
        let who = self.one_of(state, |known| !known.is_frozen && !state.settings_locked(now, known));
        let change = match self.random.below(9) {
            0..3 => Change::EnrolCodes { step: now.0 / (30 * time::SECOND) },
            3..7 => Change::RemoveCodes,
            _ => Change::PutRecoveryCodes { count: self.random.pick(&[8, 8, 8, 8, 32, 0, 33]) },
        };
        self.asks(state, now, who, change)
    }

    fn code(&mut self, state: &State) -> Command {
        let waits: Vec<_> = state
            .withdrawals()
            .filter(|(_, open)| {
                open.status() == Status::AwaitingApproval
                    && open.decision.factors.contains(Factor::OneTimeCode)
            })
            .map(|(id, _)| *id)
            .collect();
        let (who, purpose) = if waits.is_empty() || self.random.one_in(3) {
            let id = self.open(state);
            let purpose =
                if self.random.one_in(6) { CodePurpose::Withdrawal(id) } else { CodePurpose::Login };
            (
                self.one_of(state, |known| {
                    known
                        .protection
                        .as_ref()
                        .is_some_and(|one| one.codes.is_some_and(|codes| !codes.is_removed))
                }),
                purpose,
            )
        } else {
            let id = self.random.pick(&waits);
            let owner = self.owner(state, id);
            let who = (0..ACCOUNTS as usize).find(|number| account(*number) == owner).unwrap_or(0);
            (who, CodePurpose::Withdrawal(id))
        };
        let right = self.proof(state, who);
        let proof = right.filter(|_| self.random.one_in(2)).unwrap_or(CodeProof::Wrong);
        let device = self.random.one_in(2).then(|| self.random.below(4));
        // Now and then somebody goes on guessing.
        self.guessed = Some(who).filter(|_| purpose == CodePurpose::Login && self.random.one_in(2));
        shows(who, purpose, proof, device)
    }

    fn fenced_key(&mut self, state: &State, now: Timestamp) -> Command {
        let who = self.speaker();
        let key = fingerprint("key", if self.random.one_in(9) { self.random.below(12) } else { who as u64 });
        let some = |random: &mut crate::random::Random| random.one_in(5);
        let places = some(&mut self.random).then(|| {
            let networks = [Network::Bitcoin, Network::Ethereum];
            let on = |network: Network| (0..5).map(move |number| crate::world::place(network, number));
            networks.into_iter().flat_map(on).collect()
        });
        let spec = ApiKeySpec {
            key,
            scopes: Scopes(self.random.pick(&[1, 7, 7, 7, 7])),
            ip_allowlist: (0..1 + self.random.below(3) % 3).map(|number| fingerprint("ip", number)).collect(),
            fence: KeyFence {
                destinations: places,
                usd_cents_24h: some(&mut self.random).then(|| UsdCents(self.random.below(2_000_000))),
                expires_at: some(&mut self.random).then(|| now.plus(self.random.below(30) * time::HOUR)),
                asymmetric: !self.random.one_in(5),
                asn: some(&mut self.random).then_some(7),
            },
            new_material: self.random.one_in(8),
        };
        self.asks(state, now, who, Change::PutApiKey(Box::new(spec)))
    }

    fn mandate(&mut self, state: &State, now: Timestamp) -> Command {
        let who = self.one_of(state, |known| {
            let has_key = known.api_keys.iter().any(|key| {
                key.scopes.contains(Scopes::WITHDRAW)
                    && key.fenced.as_ref().is_some_and(|fenced| fenced.fence.asymmetric)
            });
            has_key && !known.is_frozen && state.has_counting(now, known, CredentialUse::Approve)
        });
        let known = state.account(&account(who)).and_then(|account| account.protection.as_deref());
        let mandates: Vec<MandateId> =
            known.iter().flat_map(|known| &known.mandates).map(|known| known.terms.mandate).collect();
        if self.random.one_in(6) {
            let mandate = if mandates.is_empty() { MandateId(3) } else { self.random.pick(&mandates) };
            return self.asks(state, now, who, Change::RevokeMandate { mandate });
        }
        let key = fingerprint("key", who as u64);
        let revision = state
            .account(&account(who))
            .and_then(|account| account.api_key(&key))
            .map_or(1, |known| known.revision);
        let revision = if self.random.one_in(15) { revision + 1 } else { revision };
        let number = self.number();
        let (asset, network, unit) = self.random.pick(&PLACES[..3]);
        let decimals = match asset {
            "BTC" => 8,
            "ETH" => 18,
            _ => 6,
        };
        let price = match asset {
            "BTC" => 50_000,
            "ETH" => 2_000,
            _ => 1,
        };
        let dollars = 2_000 + u128::from(self.random.below(40_000));
        let at_once = dollars * unit / price;
        let places: Vec<u64> = (0..9).filter(|_| !self.random.one_in(4)).chain([9]).collect();
        let limits = (at_once, at_once * (1 + u128::from(self.random.below(3))));
        let mut said = terms(1_000 + number, (who as u64, revision), (asset, network), &places, limits, now);
        if self.random.one_in(3) {
            said.not_after = said.not_before.plus(time::HOUR * (1 + self.random.below(20)));
        }
        if self.random.one_in(20) {
            said.not_before = said.not_before.minus(3 * time::HOUR);
            said.not_after = said.not_before.plus(2 * time::HOUR);
        }
        if self.random.one_in(15) && !mandates.is_empty() {
            said.mandate = self.random.pick(&mandates);
        }
        let mut text = mandate_text(&account(who), &said, (network, decimals), &places, number);
        match self.random.below(50) {
            0 => text.exchange = "other.example".parse().unwrap(),
            1 => text.account = account(99),
            2 => said.amount_max = said.day_max.saturating_add(holdfast_values::Amount::from_base_units(1)),
            3 => said.destinations.truncate(1),
            4 => said.asset = "DOGE".parse().unwrap(),
            5 => text.nonce = holdfast_values::texts::Nonce([0xcd; 32]),
            _ => {}
        }
        let mut asked = plainly(who, Change::GrantMandate(Box::new(said)));
        if let Some(known) = self.known(state, who, |one| one.used_for == CredentialUse::Approve)
            && !self.random.one_in(15)
        {
            let mut by = approved(&text.to_string(), 0, self.counter(&known));
            by.by.credential = known.credential;
            asked.approval = Some(by);
        }
        changes(asked)
    }

    fn lock(&mut self, state: &State, now: Timestamp) -> Command {
        let who = if !self.random.one_in(3) {
            self.one_of(state, |known| state.settings_locked(now, known))
        } else {
            self.speaker()
        };
        let is_locked = state.account(&account(who)).is_some_and(|known| state.settings_locked(now, known));
        if !is_locked && self.random.one_in(2) {
            // Whoever locks has a master key, as far as anybody has one.
            let who = self.one_of(state, |known| state.has_counting(now, known, CredentialUse::Master));
            return self.asks(state, now, who, Change::LockSettings { days: 1 });
        }
        let change = match self.random.below(4) {
            0 if !is_locked => Change::LockSettings { days: self.random.pick(&[1, 1, 1, 2, 0, 31]) },
            1 if is_locked => Change::LockSettings { days: self.random.pick(&[1, 2, 3]) },
            _ => Change::UnlockSettings,
        };
        self.asks(state, now, who, change)
    }

    fn recovery(&mut self, state: &State, now: Timestamp) -> Command {
        let recovering: Vec<usize> = (0..ACCOUNTS as usize)
            .filter(|number| {
                let known = state.account(&account(*number));
                known
                    .and_then(|account| account.protection.as_ref())
                    .is_some_and(|known| known.recovery.is_some())
            })
            .collect();
        if recovering.is_empty() || self.random.one_in(4) {
            let who = self.speaker();
            let change = if self.random.one_in(4) { Change::StopRecovery } else { Change::BeginRecovery };
            return self.asks(state, now, who, change);
        }
        let who = self.random.pick(&recovering);
        let pending = self.known(state, who, |known| known.is_pending).filter(|known| known.is_pending);
        match (pending, self.random.below(10)) {
            (_, 0..2) => self.asks(state, now, who, Change::StopRecovery),
            (Some(known), 2..7) => {
                let key = if self.random.one_in(9) { digest("other", 1) } else { known.key };
                let act = Act::RecoverAccount { account: account(who), credential: known.id, key };
                self.signed(act, now)
            }
            _ => {
                let new = new_credential(who as u64 * KEYS + self.random.below(KEYS), CredentialUse::Approve);
                self.asks(state, now, who, Change::AddCredential(Box::new(new)))
            }
        }
    }

    /// Somebody is seen on a device, or a device is forgotten.
    fn appears(&mut self, state: &State, now: Timestamp) -> Command {
        let who = self
            .one_of(state, |known| known.protection.as_ref().is_some_and(|known| !known.devices.is_empty()));
        let device = fingerprint("device", self.random.below(4));
        if self.random.one_in(5) {
            return self.asks(state, now, who, Change::ForgetDevice { device });
        }
        let place = Place { country: *b"CH", asn: self.random.below(3) as u32 };
        let facts = SessionFacts {
            device: Some(device),
            ip: Some(fingerprint("ip", 0)),
            place: self.random.one_in(2).then_some(place),
            ..SessionFacts::default()
        };
        let known = self.known(state, who, |known| known.used_for == CredentialUse::Login);
        let credential =
            known.filter(|_| self.random.one_in(2)).map(|known| (known.credential, self.counter(&known)));
        let sealed = vec![1];
        Command::RecordSession(Box::new(RecordSession { account: account(who), facts, credential, sealed }))
    }

    fn keys_at_large(&mut self, _state: &State, now: Timestamp) -> Command {
        if !self.random.one_in(5) {
            let keys = (0..1 + self.random.below(4)).map(|_| KeyUse {
                key: fingerprint("key", self.random.below(14)),
                allowed: self.random.below(3) as u32,
                refused: 1,
                last_used: now.minus(self.random.below(100) * time::SECOND),
            });
            return Command::RecordKeyUse { keys: keys.collect() };
        }
        let mut when = || {
            let long = self.random.below(50) * time::HOUR;
            self.random.one_in(2).then(|| now.minus(long).floor_second())
        };
        let cohort = KeyCohort {
            made_from: when(),
            made_until: when(),
            asn: None,
            exposed_from: when(),
            exposed_until: when(),
            account: None,
        };
        let who = account(self.random.below(SPEAKERS * 3) as usize);
        let cohort = KeyCohort {
            asn: self.random.one_in(2).then_some(7),
            account: self.random.one_in(2).then_some(who),
            ..cohort
        };
        Command::RevokeApiKeys { cohort: Box::new(cohort), by: name("dora") }
    }
}
