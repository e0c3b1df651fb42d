//! Events into State. Nothing here can fail and nothing here decides: what an event says has happened.

use holdfast_policy::Program;
use holdfast_values::{Amount, Fingerprint, Timestamp, UsdCents, WithdrawalId, time};

use crate::account::{ADDRESSES_MAX, Account, Address, ApiKey, SecurityChangeRecord};
use crate::acts::Digest;
use crate::bucket::Bucket;
use crate::command::{Evidence, ImportedAccount, Initialise, PolicySource, Scope, Scopes, TokenSpec};
use crate::configuration::{BucketSpecs, Class, Configuration, Parameters};
use crate::event::{
    AccountIndex, AssetIndex, Decision, Event, Factors, Lane, Status, TierIndex, WalletIndex,
    WithdrawalRequested,
};
use crate::reason::Severity;
use crate::state::{ActiveProgram, AssetState, Buckets, IDEMPOTENCY_SPAN, Operator, State, id_at, key_at};
use crate::window::Window;
use crate::withdrawal::{Turn, Withdrawal};

/// How many destinations are looked at in one go when memory is trimmed.
const SWEEP: u32 = 10_000;

/// Folds one record: the only way in which State moves on.
pub fn fold(state: &mut State, sequence: u64, at: Timestamp, events: &[Event]) {
    state.sequence = sequence;
    state.time = state.time.max(at);
    for event in events {
        evolve(state, at, event);
    }
}

/// Takes one event in.
pub fn evolve(state: &mut State, at: Timestamp, event: &Event) {
    match event {
        Event::Initialised(first) => state.initialise(at, first),
        Event::DowntimeRecorded { from } => {
            state.steady.lose(*from, at);
            state.put_off_governance(at);
        }
        Event::ClockSuspected => state.steady.suspect(at),
        Event::ClockConfirmed => {
            state.steady.confirm(at);
            state.put_off_governance(at);
            state.recheck_where(at, |_| true);
            state.wake_lanes(at);
        }
        Event::AccountOpened { account, tier } => {
            state.push_account(Account::new(account.clone(), at, *tier));
        }
        Event::AccountImported { account, tier } => state.import(at, account, *tier),
        Event::AccountFrozen(account) => {
            state.edit_account(*account, |account| {
                account.is_frozen = true;
                account.owner_froze = None;
            });
            state.recheck_account(at, *account);
        }
        Event::OwnerFroze { account } => {
            state.edit_account(*account, |account| {
                account.is_frozen = true;
                account.owner_froze = Some(at);
            });
            state.recheck_account(at, *account);
        }
        Event::AccountUnfrozen(account) => state.edit_account(*account, |account| {
            account.is_frozen = false;
            account.owner_froze = None;
        }),
        Event::TierSet { account, tier } => state.edit_account(*account, |account| account.tier = *tier),
        Event::LimitsSet { account, usd_cents_24h, usd_cents_30d } => {
            state.edit_account(*account, |account| {
                account.usd_cents_24h = *usd_cents_24h;
                account.usd_cents_30d = *usd_cents_30d;
            });
        }
        Event::SecurityChanged { account, kind } => {
            let record = SecurityChangeRecord { at, kind: *kind, sequence: state.sequence };
            state.edit_account(*account, |account| account.security_change = Some(record));
            state.recheck_account(at, *account);
        }
        Event::ApiKeyPut { account, key, revision, scopes, ip_allowlist } => {
            state.put_key(at, *account, *key, *revision, *scopes, ip_allowlist);
        }
        Event::ApiKeyRevoked { account, key } => {
            state.edit_account(*account, |account| {
                if let Some(known) = account.api_keys.iter_mut().find(|known| known.key == *key) {
                    known.is_revoked = true;
                }
            });
            state.recheck_account(at, *account);
        }
        Event::AddressRecorded { account, destination } => {
            state.edit_account(*account, |account| {
                if account.addresses.len() < ADDRESSES_MAX && account.address(destination).is_none() {
                    account.addresses.reserve_exact(1);
                    account.addresses.push(Address {
                        destination: *destination,
                        recorded_at: at,
                        notice_at: None,
                    });
                }
            });
        }
        Event::AddressRemoved { account, destination } => {
            state.edit_account(*account, |account| {
                account.addresses.retain(|address| address.destination != *destination);
            });
            state.recheck_account(at, *account);
        }
        Event::NoticeDelivered { account, destination } => {
            state.edit_account(*account, |account| {
                let entry = account.addresses.iter_mut().find(|entry| entry.destination == *destination);
                if let Some(entry) = entry {
                    entry.notice_at.get_or_insert(at);
                }
            });
        }
        Event::PricesSet { prices } => {
            for (asset, micro_usd) in prices {
                if let Some(asset) = state.assets.get_mut(usize::from(asset.0)) {
                    asset.prices.set(at, state.sequence, *micro_usd);
                }
            }
        }
        Event::WithdrawalRequested(request) => state.open(at, request),
        Event::WithdrawalDecided { withdrawal, decision } => state.decided(at, *withdrawal, decision),
        Event::FactorDischarged { withdrawal, factor } => {
            if let Some(withdrawal) = state.withdrawals.get_mut(withdrawal) {
                withdrawal.discharged = withdrawal.discharged.with(*factor);
            }
        }
        Event::CaseApproved { withdrawal, operators } => {
            if let Some(withdrawal) = state.withdrawals.get_mut(withdrawal) {
                withdrawal.operators = *operators;
            }
        }
        Event::Reserved { withdrawal, class } => state.reserve(at, *withdrawal, *class),
        Event::ReservationReturned { withdrawal } => state.give_back(at, *withdrawal),
        Event::Queued { withdrawal, lane, turn } => state.queue(at, *withdrawal, *lane, *turn),
        Event::Unqueued { withdrawal } => state.unqueue(*withdrawal),
        Event::LaneScheduled { lane, at } => state.wake_lane(*lane, *at),
        Event::WithdrawalCancelled { withdrawal } | Event::WithdrawalExpired { withdrawal } => {
            state.close(at, *withdrawal);
        }
        Event::Halted { scope } => {
            state.halts.insert(scope.clone());
            state.recheck_scope(at, scope);
        }
        Event::Resumed { scope } => {
            state.halts.remove(scope);
            state.recheck_scope(at, scope);
            state.wake_lanes(at);
        }
        Event::ActAccepted { nonce, not_after } => {
            state.used_texts.insert(Digest(*nonce), *not_after);
        }
        Event::Configured(configuration) => {
            state.configuration_moves(at, configuration);
            state.configure(at, configuration);
        }
        Event::OperatorEnrolled(operator) => {
            let record = Operator { public_key: operator.public_key, enrolled_at: at, is_founder: false };
            state.operators.insert(operator.name.clone(), record);
        }
        Event::OperatorRevoked(name) => {
            state.operators.remove(name);
        }
        Event::PolicyActivated(policy) => state.activate(at, policy),
        Event::RulesActivated(version) => {
            state.rules = *version;
            state.begin_governance(None);
        }
        Event::ImportAuthorised(digests) => state.imports.extend(digests.iter().copied()),
        Event::ImportDone(digest) => {
            state.imports.remove(digest);
        }
        Event::TokenIssued(token) => state.issue(token),
        Event::TokenRevoked(client) => {
            if let Some(token) = state.tokens.remove(client) {
                state.clients.remove(&token.token_hash);
            }
        }
        Event::Trimmed { until } => state.trim(*until),
        Event::WithdrawalApproved { withdrawal, operators, approval } => {
            if let Some(withdrawal) = state.withdrawals.get_mut(withdrawal) {
                withdrawal.operators = *operators;
                withdrawal.approval = Some(approval.clone());
            }
        }
        Event::TransactionReleased(_)
        | Event::WithdrawalMoved { .. }
        | Event::WithdrawalPaid { .. }
        | Event::TransactionObserved { .. }
        | Event::ChainAlarm { .. }
        | Event::ReceiptRecorded { .. }
        | Event::EpochBegun { .. }
        | Event::SpendRecovered(_) => state.evolve_ledger(at, event),
        Event::IntentApproved { .. }
        | Event::IntentLapsed { .. }
        | Event::IntentRenewed { .. }
        | Event::MandateUsed { .. } => state.evolve_approval(at, event),
        Event::ProtectionChanged { .. } | Event::UnlockBegun { .. } | Event::AccountRecovered { .. } => {
            state.evolve_protection(at, event);
        }
        Event::CodeAccepted { .. } | Event::CodeFailed { .. } => state.evolve_codes(at, event),
        Event::SessionSeen { .. } => state.evolve_session(at, event),
        Event::ApiKeysRevoked { .. } | Event::ApiKeysUsed { .. } | Event::ApiKeyWoke { .. } => {
            state.evolve_keys(at, event);
        }
        Event::PolicyProposed(_)
        | Event::ProposalClosed { .. }
        | Event::ActScheduled(_)
        | Event::ActStopped { .. }
        | Event::ActLapsed { .. }
        | Event::ActTookEffect { .. }
        | Event::PolicyMoved(_) => state.evolve_governance(at, event),
        Event::SnapshotRecorded { .. }
        | Event::Refused { .. }
        | Event::Repeated { .. }
        | Event::ReleaseDropped { .. } => {}
    }
}

/// What windows and buckets count of a withdrawal.
#[derive(Clone, Copy)]
struct Counted {
    account: AccountIndex,
    asset: AssetIndex,
    wallet: WalletIndex,
    fingerprint: Fingerprint,
    amount: Amount,
    usd_cents: UsdCents,
}

impl Counted {
    const fn of(request: &WithdrawalRequested) -> Self {
        Self {
            account: request.account,
            asset: request.asset,
            wallet: request.wallet,
            fingerprint: request.fingerprint,
            amount: request.amount,
            usd_cents: request.usd_cents,
        }
    }
}

impl State {
    fn initialise(&mut self, at: Timestamp, first: &Initialise) {
        self.exchange.clone_from(&first.exchange);
        self.simulated_clock = first.simulated_clock;
        self.rules = first.rules.unwrap_or(crate::RULES_FIRST);
        self.begin_governance(Some(at));
        for operator in &first.operators {
            let record = Operator { public_key: operator.public_key, enrolled_at: at, is_founder: true };
            self.operators.insert(operator.name.clone(), record);
        }
        self.configure(at, &first.configuration);
        self.activate(at, &first.policy);
        self.issue(&first.token);
        self.trim_at = at.plus(TRIM_EVERY);
    }

    fn issue(&mut self, token: &TokenSpec) {
        self.clients.insert(token.token_hash, token.client.clone());
        self.tokens.insert(token.client.clone(), token.clone());
    }

    fn activate(&mut self, at: Timestamp, policy: &PolicySource) {
        // decide() has loaded this very program before; should it not load now, everything is denied.
        self.program = ActiveProgram(Program::from_bytes(&policy.program).ok());
        self.policy = policy.clone();
        self.policy_since = at;
    }

    fn configure(&mut self, at: Timestamp, configuration: &Configuration) {
        let now = self.refill_time(at);
        let old = self.configuration.parameters;
        for (place, asset) in configuration.assets.iter().enumerate() {
            match self.assets.get_mut(place) {
                Some(known) => resize(&mut known.buckets, &asset.buckets, now, &old),
                None => self.assets.push(AssetState {
                    prices: Default::default(),
                    window: Window::in_slots(),
                    buckets: Buckets::full(&asset.buckets, now),
                }),
            }
        }
        for (place, wallet) in configuration.wallets.iter().enumerate() {
            match self.wallets.get_mut(place) {
                Some(known) => resize(known, &wallet.buckets, now, &old),
                None => self.wallets.push(Buckets::full(&wallet.buckets, now)),
            }
        }
        if self.is_configured() {
            resize(&mut self.overall, &configuration.overall, now, &old);
        } else {
            self.overall = Buckets::full(&configuration.overall, now);
        }
        if let Some(ledger) = &mut self.ledger {
            for ((wallet, network), bucket) in &mut ledger.fees {
                let chain =
                    configuration.wallets.get(usize::from(wallet.0)).and_then(|wallet| wallet.on(*network));
                if let Some(chain) = chain {
                    bucket.resize(chain.fee_bucket, now, &old);
                }
            }
        }
        self.configuration = configuration.clone();
        self.wake_lanes(at);
    }

    fn is_configured(&self) -> bool {
        self.configuration != Configuration::default()
    }

    fn push_account(&mut self, account: Account) {
        let index = AccountIndex(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        self.account_numbers.insert(&account.id, index.0, |place| id_at(&self.accounts, place));
        self.accounts.push(account);
        let keys = self.accounts.last().map(|account| account.api_keys.as_slice()).unwrap_or_default();
        for (nth, key) in (0..=u8::MAX).zip(keys) {
            self.key_owners.insert(&key.key, (index.0, nth), |place| key_at(&self.accounts, place));
        }
    }

    fn import(&mut self, at: Timestamp, imported: &ImportedAccount, tier: TierIndex) {
        let mut account = Account::new(imported.account.clone(), imported.opened_at, tier);
        account.api_keys = imported
            .api_keys
            .iter()
            .map(|key| ApiKey {
                key: key.key,
                revision: 1,
                put_at: key.created_at,
                scopes: key.scopes,
                is_revoked: false,
                ip_allowlist: key.ip_allowlist.clone().into(),
                fenced: None,
            })
            .collect();
        account.addresses = imported
            .addresses
            .iter()
            .map(|address| Address {
                destination: address.destination,
                recorded_at: address.first_recorded_at,
                notice_at: Some(address.first_recorded_at),
            })
            .collect();
        for withdrawal in &imported.withdrawals {
            account.window.add(at, withdrawal.at, withdrawal.usd_cents);
        }
        self.push_account(account);
    }

    pub(crate) fn edit_account(&mut self, index: AccountIndex, edit: impl FnOnce(&mut Account)) {
        if let Some(account) = usize::try_from(index.0).ok().and_then(|place| self.accounts.get_mut(place)) {
            edit(account);
        }
    }

    pub(crate) fn put_key(
        &mut self,
        at: Timestamp,
        index: AccountIndex,
        key: Fingerprint,
        revision: u32,
        scopes: Scopes,
        ip_allowlist: &[Fingerprint],
    ) {
        let new = ApiKey {
            key,
            revision,
            put_at: at,
            scopes,
            is_revoked: false,
            ip_allowlist: ip_allowlist.into(),
            fenced: None,
        };
        let place = usize::try_from(index.0).ok();
        let Some(account) = place.and_then(|place| self.accounts.get_mut(place)) else { return };
        if let Some(known) = account.api_keys.iter_mut().find(|known| known.key == key) {
            // A fence stays until it is changed by name.
            let fenced = known.fenced.take();
            *known = ApiKey { fenced, ..new };
            return;
        }
        // decide() lets no account have more keys than this can count.
        let Ok(nth) = u8::try_from(account.api_keys.len()) else { return };
        account.api_keys.reserve_exact(1);
        account.api_keys.push(new);
        self.key_owners.insert(&key, (index.0, nth), |place| key_at(&self.accounts, place));
    }

    fn open(&mut self, at: Timestamp, request: &WithdrawalRequested) {
        self.count(at, at, Counted::of(request));
        if let Evidence::ApiRequest(evidence) = &request.evidence {
            self.key_asked(at, request.account, evidence, request.usd_cents);
        }

        let key = request.idempotency.key;
        let until = at.plus(IDEMPOTENCY_SPAN);
        if let Some(old) = self.idempotency.insert(key, until) {
            self.idempotency_until.remove(&(old, key));
        }
        self.idempotency_until.insert((until, key), (request.idempotency.body, self.sequence));
        if let Evidence::ApiRequest(evidence) = &request.evidence {
            let until = evidence.signed_at.plus(evidence.window);
            let known = self.requests.get(&evidence.request).copied();
            if until >= at && known.is_none_or(|known| known < until) {
                if let Some(known) = known {
                    self.requests_until.remove(&(known, evidence.request));
                }
                self.requests.insert(evidence.request, until);
                self.requests_until.insert((until, evidence.request));
            }
        }

        let id = request.withdrawal;
        let decision = Decision {
            severity: Severity::Allow,
            status: Status::Dwelling,
            class: Class::Unvouched,
            dwell_until: at,
            factors: Factors::default(),
            usd_cents: request.usd_cents,
            reasons: Vec::new(),
        };
        let mut request = request.clone();
        if let Evidence::ApiRequest(evidence) = &mut request.evidence {
            // No decision reads the sealed original: it stays in the journal alone.
            evidence.sealed = Vec::new();
        }
        let withdrawal = Withdrawal {
            next_check: request.not_after,
            requested_at: at,
            sequence: self.sequence,
            decision,
            discharged: Factors::default(),
            operators: 0,
            reserved: None,
            queued: None,
            request,
            approval: None,
            released: None,
            bound: None,
            mandate: None,
            lapse: None,
        };
        self.checks.insert((withdrawal.next_check, id));
        self.open_by_account.insert(withdrawal.request.account, id);
        self.withdrawals.insert(id, Box::new(withdrawal));
    }

    /// Adds a withdrawal to the windows. What has no value yet is in none of them; it cannot be reserved either.
    fn count(&mut self, now: Timestamp, at: Timestamp, request: Counted) {
        let usd_cents = request.usd_cents;
        if usd_cents == UsdCents::MAX {
            return;
        }
        self.edit_account(request.account, |account| account.window.add(now, at, usd_cents));
        if let Some(window) = self.destinations.get_or_default(request.fingerprint) {
            window.0.add(now, at, usd_cents);
        }
        if let Some(asset) = self.assets.get_mut(usize::from(request.asset.0)) {
            asset.window.add(now, at, usd_cents);
        }
        self.overall_window.add(now, at, usd_cents);
    }

    /// Takes a withdrawal out of the windows again.
    fn uncount(&mut self, at: Timestamp, request: Counted) {
        let usd_cents = request.usd_cents;
        if usd_cents == UsdCents::MAX {
            return;
        }
        self.edit_account(request.account, |account| account.window.remove(at, usd_cents));
        if let Some(window) = self.destinations.get_mut(&request.fingerprint) {
            window.0.remove(at, usd_cents);
        }
        if let Some(asset) = self.assets.get_mut(usize::from(request.asset.0)) {
            asset.window.remove(at, usd_cents);
        }
        self.overall_window.remove(at, usd_cents);
    }

    fn decided(&mut self, at: Timestamp, id: WithdrawalId, decision: &Decision) {
        self.key_decided(id, decision.status == Status::Denied);
        if decision.status.is_final() {
            self.close(at, id);
            return;
        }
        let valued = self.withdrawals.get_mut(&id).and_then(|withdrawal| {
            let is_first =
                withdrawal.request.usd_cents == UsdCents::MAX && decision.usd_cents != UsdCents::MAX;
            is_first.then(|| {
                withdrawal.request.usd_cents = decision.usd_cents;
                (withdrawal.requested_at, Counted::of(&withdrawal.request))
            })
        });
        if let Some((requested_at, request)) = valued {
            self.count(at, requested_at, request);
        }
        let queue_hold_after = self.configuration.parameters.queue_hold_after;
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else { return };
        withdrawal.decision = decision.clone();
        let mut next = withdrawal.request.not_after;
        if decision.status == Status::Dwelling {
            if decision.dwell_until > at {
                next = next.min(decision.dwell_until);
            }
            if let Some(turn) = withdrawal.queued {
                let patience = turn.since.plus(queue_hold_after);
                if patience > at {
                    next = next.min(patience);
                }
            }
        }
        self.check_at(id, next);
    }

    pub(crate) fn check_at(&mut self, id: WithdrawalId, next: Timestamp) {
        if let Some(withdrawal) = self.withdrawals.get_mut(&id)
            && withdrawal.released.is_none()
        {
            self.checks.remove(&(withdrawal.next_check, id));
            withdrawal.next_check = next;
            self.checks.insert((next, id));
        }
    }

    /// What waits for nothing but a person, or for a text that is good, is not looked at again by itself.
    fn recheck(&mut self, at: Timestamp, ids: Vec<WithdrawalId>) {
        for id in ids {
            let due = self.withdrawals.get(&id).is_some_and(|open| {
                let asks = open.status() == Status::Held || open.is_lapsed();
                open.released.is_none() && !asks && open.next_check > at
            });
            if due {
                self.check_at(id, at);
            }
        }
    }

    pub(crate) fn recheck_account(&mut self, at: Timestamp, account: AccountIndex) {
        let ids = self.open_by_account.of(account).to_vec();
        self.recheck(at, ids);
    }

    fn recheck_where(&mut self, at: Timestamp, is_meant: impl Fn(&Withdrawal) -> bool) {
        let meant = self.withdrawals.iter().filter(|(_, withdrawal)| is_meant(withdrawal));
        let ids = meant.map(|(id, _)| *id).collect();
        self.recheck(at, ids);
    }

    fn recheck_scope(&mut self, at: Timestamp, scope: &Scope) {
        match scope {
            Scope::Overall => self.recheck_where(at, |_| true),
            Scope::Asset(symbol) => {
                let asset = self.asset_index(symbol);
                self.recheck_where(at, |withdrawal| Some(withdrawal.request.asset) == asset);
            }
            Scope::Wallet(name) => {
                let wallet = self.wallet_index(name);
                self.recheck_where(at, |withdrawal| Some(withdrawal.request.wallet) == wallet);
            }
            Scope::Account(id) => {
                if let Some(account) = self.account_index(id) {
                    self.recheck_account(at, account);
                }
            }
        }
    }

    /// A withdrawal leaves State: its windows, its buckets and its place in line are given back, once.
    pub(crate) fn close(&mut self, at: Timestamp, id: WithdrawalId) {
        self.give_back(at, id);
        self.unqueue(id);
        let Some(withdrawal) = self.withdrawals.remove(&id) else { return };
        self.checks.remove(&(withdrawal.next_check, id));
        self.open_by_account.remove(withdrawal.request.account, id);
        self.uncount(withdrawal.requested_at, Counted::of(&withdrawal.request));
    }

    /// Calls `spend` on each of the three buckets that a withdrawal spends, with the amount in the bucket's own unit.
    fn with_buckets(&mut self, request: Counted, class: Class, mut spend: impl FnMut(&mut Bucket, Amount)) {
        let usd = Amount::from_base_units(u128::from(request.usd_cents.0));
        if let Some(asset) = self.assets.get_mut(usize::from(request.asset.0)) {
            spend(asset.buckets.of_mut(class), request.amount);
        }
        if let Some(wallet) = self.wallets.get_mut(usize::from(request.wallet.0)) {
            spend(wallet.of_mut(class), usd);
        }
        spend(self.overall.of_mut(class), usd);
    }

    pub(crate) fn reserve(&mut self, at: Timestamp, id: WithdrawalId, class: Class) {
        let now = self.refill_time(at);
        let parameters = self.configuration.parameters;
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else { return };
        withdrawal.reserved = Some(class);
        let request = Counted::of(&withdrawal.request);
        self.with_buckets(request, class, |bucket, amount| {
            bucket.take(amount, request.account, now, &parameters);
        });
    }

    fn give_back(&mut self, at: Timestamp, id: WithdrawalId) {
        let now = self.refill_time(at);
        let parameters = self.configuration.parameters;
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else { return };
        let Some(class) = withdrawal.reserved.take() else { return };
        let request = Counted::of(&withdrawal.request);
        self.with_buckets(request, class, |bucket, amount| {
            bucket.give_back(amount, request.account, now, &parameters);
        });
        self.wake_lanes(at);
    }

    fn queue(&mut self, at: Timestamp, id: WithdrawalId, lane: Lane, turn: u32) {
        let order = self.sequence;
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else { return };
        withdrawal.queued = Some(Turn { lane, turn, since: at, order });
        let amount = withdrawal.request.amount;
        let state = self.lanes.entry(lane).or_default();
        state.queue.insert((turn, order, id));
        state.waiting = state.waiting.saturating_add(amount);
        let patience = at.plus(self.configuration.parameters.queue_hold_after);
        if withdrawal.next_check > patience {
            self.check_at(id, patience);
        }
    }

    pub(crate) fn unqueue(&mut self, id: WithdrawalId) {
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else { return };
        let Some(turn) = withdrawal.queued.take() else { return };
        let amount = withdrawal.request.amount;
        if let Some(state) = self.lanes.get_mut(&turn.lane) {
            state.queue.remove(&(turn.turn, turn.order, id));
            state.waiting = state.waiting.checked_sub(amount).unwrap_or_default();
            if state.queue.is_empty() {
                self.lane_checks.remove(&(state.wake, turn.lane));
                self.lanes.remove(&turn.lane);
            }
        }
    }

    fn wake_lane(&mut self, lane: Lane, at: Timestamp) {
        if let Some(state) = self.lanes.get_mut(&lane) {
            self.lane_checks.remove(&(state.wake, lane));
            state.wake = at;
            self.lane_checks.insert((at, lane));
        }
    }

    fn wake_lanes(&mut self, at: Timestamp) {
        let later: Vec<Lane> =
            self.lanes.iter().filter(|(_, state)| state.wake > at).map(|(lane, _)| *lane).collect();
        for lane in later {
            self.wake_lane(lane, at);
        }
    }

    fn trim(&mut self, until: Timestamp) {
        while let Some((end, request)) = self.requests_until.first().copied().filter(|(end, _)| *end < until)
        {
            self.requests_until.remove(&(end, request));
            self.requests.remove(&request);
        }
        while let Some((end, key)) =
            self.idempotency_until.keys().next().copied().filter(|(end, _)| *end < until)
        {
            self.idempotency_until.remove(&(end, key));
            self.idempotency.remove(&key);
        }
        self.used_texts.retain(|_, not_after| *not_after >= until);
        self.sweep_cursor =
            self.destinations.sweep(self.sweep_cursor, SWEEP, |window| window.0.is_over(until));
        let now = self.refill_time(until);
        let parameters = self.configuration.parameters;
        let asset_buckets = self.assets.iter_mut().map(|asset| &mut asset.buckets);
        for buckets in asset_buckets.chain(self.wallets.iter_mut()).chain([&mut self.overall]) {
            for class in Class::ALL {
                buckets.of_mut(class).trim(now, &parameters);
            }
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.trim(until, |id| self.withdrawals.contains_key(id));
        }
        self.trim_governance(until);
        self.trim_at = until.plus(TRIM_EVERY);
    }

    /// True if there is anything that time will make it forget.
    pub(crate) fn has_memory(&self) -> bool {
        !self.requests_until.is_empty()
            || !self.idempotency_until.is_empty()
            || !self.used_texts.is_empty()
            || !self.destinations.is_empty()
            || self.ledger.as_ref().is_some_and(|ledger| ledger.has_memory())
            || self.governance.as_ref().is_some_and(|governance| governance.has_memory())
    }
}

/// How often memory is trimmed.
pub(crate) const TRIM_EVERY: u64 = time::HOUR;

fn resize(buckets: &mut Buckets, specs: &BucketSpecs, now: Timestamp, old: &Parameters) {
    for class in Class::ALL {
        buckets.of_mut(class).resize(specs.of(class), now, old);
    }
}
