//! State: what all events so far add up to, and how it is written down in canonical order.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_policy::Program;
use holdfast_values::{
    AccountId, AssetSymbol, Fingerprint, Name, Network, OperatorPublicKey, Timestamp, UsdCents, WithdrawalId,
};
use minicbor::{Decode, Encode};

use crate::account::Account;
use crate::acts::Digest;
use crate::bucket::Bucket;
use crate::command::{PolicySource, Scope, TokenSpec};
use crate::configuration::{BucketSpecs, Class, Configuration};
use crate::event::{AccountIndex, AssetIndex, Lane, TierIndex, WalletIndex};
use crate::governance::Governance;
use crate::ledger::Ledger;
use crate::lookup::{LookupMap, OpenByAccount, PlaceIndex, Slab};
use crate::price::Prices;
use crate::steady::Steady;
use crate::window::Window;
use crate::withdrawal::Withdrawal;

/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_SPAN: u64 = holdfast_values::time::DAY;

/// Everything that decisions depend on.
#[derive(Clone, Debug, Encode, Decode)]
pub struct State {
    #[n(0)]
    pub(crate) sequence: u64,
    #[n(1)]
    pub(crate) time: Timestamp,
    #[n(2)]
    pub(crate) exchange: String,
    #[n(3)]
    pub(crate) simulated_clock: bool,
    #[n(4)]
    pub(crate) rules: u32,
    #[n(5)]
    pub(crate) policy: PolicySource,
    #[n(6)]
    pub(crate) configuration: Configuration,
    #[n(7)]
    pub(crate) operators: BTreeMap<Name, Operator>,
    /// Nonces of used texts with the end of their validity.
    #[n(8)]
    pub(crate) used_texts: BTreeMap<Digest, Timestamp>,
    #[n(9)]
    pub(crate) tokens: BTreeMap<Name, TokenSpec>,
    #[n(10)]
    pub(crate) assets: Vec<AssetState>,
    #[n(11)]
    pub(crate) wallets: Vec<Buckets>,
    #[n(12)]
    pub(crate) overall: Buckets,
    #[n(13)]
    pub(crate) overall_window: Window,
    #[n(14)]
    pub(crate) accounts: Vec<Account>,
    #[n(15)]
    pub(crate) destinations: Slab<Fingerprint, SharedWindow>,
    #[n(16)]
    /// Boxed: ids grow, so that half of each node stays empty.
    pub(crate) withdrawals: BTreeMap<WithdrawalId, Box<Withdrawal>>,
    #[n(17)]
    pub(crate) lanes: BTreeMap<Lane, LaneState>,
    #[n(18)]
    pub(crate) halts: BTreeSet<Scope>,
    #[n(19)]
    pub(crate) steady: Steady,
    /// Signed requests seen, by the end of their time window.
    #[n(20)]
    pub(crate) requests_until: BTreeSet<(Timestamp, Fingerprint)>,
    /// Idempotency keys by the end of their memory: body and sequence of the reply.
    #[n(21)]
    pub(crate) idempotency_until: BTreeMap<(Timestamp, Fingerprint), (Fingerprint, u64)>,
    #[n(22)]
    pub(crate) imports: BTreeSet<Digest>,
    #[n(23)]
    pub(crate) sweep_cursor: u32,
    #[n(24)]
    pub(crate) policy_since: Timestamp,
    /// When memory is trimmed next.
    #[n(25)]
    pub(crate) trim_at: Timestamp,
    /// What was released; nothing before the first release.
    #[n(26)]
    pub(crate) ledger: Option<Box<Ledger>>,
    /// Proposals and acts that wait; nothing before rules version 3.
    #[n(27)]
    pub(crate) governance: Option<Box<Governance>>,

    // What follows is found again from the rest.
    #[cbor(skip)]
    pub(crate) program: ActiveProgram,
    #[cbor(skip)]
    pub(crate) account_numbers: PlaceIndex,
    #[cbor(skip)]
    pub(crate) key_owners: PlaceIndex<KeyPlace>,
    #[cbor(skip)]
    pub(crate) clients: LookupMap<[u8; 32], Name>,
    #[cbor(skip)]
    pub(crate) requests: LookupMap<Fingerprint, Timestamp>,
    #[cbor(skip)]
    pub(crate) idempotency: LookupMap<Fingerprint, Timestamp>,
    #[cbor(skip)]
    pub(crate) open_by_account: OpenByAccount,
    #[cbor(skip)]
    pub(crate) checks: BTreeSet<(Timestamp, WithdrawalId)>,
    #[cbor(skip)]
    pub(crate) lane_checks: BTreeSet<(Timestamp, Lane)>,
}

/// The active program; before the first record, one that permits nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveProgram(pub(crate) Option<Program>);

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Operator {
    /// An Ed25519 key or a passkey.
    #[n(0)]
    pub public_key: OperatorPublicKey,
    /// When the signature begins to count.
    #[n(1)]
    pub enrolled_at: Timestamp,
    /// One of the first operators: counts at once.
    #[n(2)]
    pub is_founder: bool,
}

/// The window of a key that many accounts may share: always in slots.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(transparent)]
pub(crate) struct SharedWindow(#[n(0)] pub(crate) Window);

impl Default for SharedWindow {
    fn default() -> Self {
        Self(Window::in_slots())
    }
}

/// One asset.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct AssetState {
    #[n(0)]
    pub(crate) prices: Prices,
    #[n(1)]
    pub(crate) window: Window,
    #[n(2)]
    pub(crate) buckets: Buckets,
}

/// A bucket a class.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Buckets {
    /// For [`Class::Bound`].
    #[n(0)]
    pub bound: Bucket,
    /// For [`Class::Aged`].
    #[n(1)]
    pub aged: Bucket,
    /// For [`Class::Unvouched`].
    #[n(2)]
    pub unvouched: Bucket,
}

impl Buckets {
    pub(crate) fn full(specs: &BucketSpecs, at: Timestamp) -> Self {
        Self {
            bound: Bucket::full(specs.bound, at),
            aged: Bucket::full(specs.aged, at),
            unvouched: Bucket::full(specs.unvouched, at),
        }
    }

    /// The bucket of a class.
    pub const fn of(&self, class: Class) -> &Bucket {
        match class {
            Class::Bound => &self.bound,
            Class::Aged => &self.aged,
            Class::Unvouched => &self.unvouched,
        }
    }

    pub(crate) const fn of_mut(&mut self, class: Class) -> &mut Bucket {
        match class {
            Class::Bound => &mut self.bound,
            Class::Aged => &mut self.aged,
            Class::Unvouched => &mut self.unvouched,
        }
    }
}

/// A waiting line.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub(crate) struct LaneState {
    /// By turn, then by when they came.
    #[n(0)]
    pub(crate) queue: BTreeSet<(u32, u64, WithdrawalId)>,
    /// When it is looked at again.
    #[n(1)]
    pub(crate) wake: Timestamp,
    /// What waits in it, in base units; for the time that is told.
    #[n(2)]
    pub(crate) waiting: holdfast_values::Amount,
}

/// Why bytes are not a State.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not the encoding of a State of this version.
    #[error("the snapshot does not decode: {0}")]
    Malformed(String),
    /// The policy program in it does not load.
    #[error("the snapshot's policy program does not load: {0}")]
    Program(String),
}

/// An account's number, and which of its keys.
pub(crate) type KeyPlace = (u32, u8);

/// The key in that place. Keys are put in place or at the end, and never leave.
pub(crate) fn key_at(accounts: &[Account], (account, nth): KeyPlace) -> Option<&Fingerprint> {
    let account = accounts.get(usize::try_from(account).ok()?)?;
    account.api_keys.get(usize::from(nth)).map(|key| &key.key)
}

/// The id of the account in that place.
pub(crate) fn id_at(accounts: &[Account], place: u32) -> Option<&AccountId> {
    accounts.get(usize::try_from(place).ok()?).map(|account| &account.id)
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Before the first record.
    pub fn new() -> Self {
        Self {
            sequence: 0,
            time: Timestamp::ZERO,
            exchange: String::new(),
            simulated_clock: false,
            rules: crate::RULES_FIRST,
            policy: PolicySource { hash: [0; 32], files: Vec::new(), program: Vec::new(), compiler: None },
            configuration: Configuration::default(),
            operators: BTreeMap::new(),
            used_texts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            assets: Vec::new(),
            wallets: Vec::new(),
            overall: Buckets::full(&BucketSpecs::default(), Timestamp::ZERO),
            overall_window: Window::in_slots(),
            accounts: Vec::new(),
            destinations: Slab::default(),
            withdrawals: BTreeMap::new(),
            lanes: BTreeMap::new(),
            halts: BTreeSet::new(),
            steady: Steady::default(),
            requests_until: BTreeSet::new(),
            idempotency_until: BTreeMap::new(),
            imports: BTreeSet::new(),
            sweep_cursor: 0,
            policy_since: Timestamp::ZERO,
            trim_at: Timestamp::ZERO,
            ledger: None,
            governance: None,
            program: ActiveProgram::default(),
            account_numbers: PlaceIndex::default(),
            key_owners: PlaceIndex::default(),
            clients: LookupMap::default(),
            requests: LookupMap::default(),
            idempotency: LookupMap::default(),
            open_by_account: OpenByAccount::default(),
            checks: BTreeSet::new(),
            lane_checks: BTreeSet::new(),
        }
    }

    /// The last record folded in.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The time of the last record.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The version of the rules that decides.
    pub const fn rules(&self) -> u32 {
        self.rules
    }

    /// The exchange's DNS name.
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The data directory was made with a simulated clock.
    pub const fn is_simulated(&self) -> bool {
        self.simulated_clock
    }

    /// The first record has been folded in.
    pub const fn is_initialised(&self) -> bool {
        self.sequence != 0
    }

    /// Deadlines and refills stand still.
    pub const fn is_clock_suspect(&self) -> bool {
        self.steady.is_suspect()
    }

    /// The active policy with its source.
    pub const fn policy(&self) -> &PolicySource {
        &self.policy
    }

    /// Since when it decides.
    pub const fn policy_since(&self) -> Timestamp {
        self.policy_since
    }

    /// The active policy's hash.
    pub const fn policy_hash(&self) -> [u8; 32] {
        self.policy.hash
    }

    /// The active program.
    pub const fn program(&self) -> Option<&Program> {
        self.program.0.as_ref()
    }

    /// Asks something with another program in the place of the active one, and puts that one back. What is decided so
    /// stands on this State, and is never to be folded into it.
    pub fn with_program<T>(&mut self, other: &mut Option<Program>, ask: impl FnOnce(&Self) -> T) -> T {
        core::mem::swap(&mut self.program.0, other);
        let answer = ask(self);
        core::mem::swap(&mut self.program.0, other);
        answer
    }

    /// What the exchange has.
    pub const fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// An open withdrawal.
    pub fn withdrawal(&self, id: WithdrawalId) -> Option<&Withdrawal> {
        self.withdrawals.get(&id).map(Box::as_ref)
    }

    /// All open withdrawals, by id.
    pub fn withdrawals(&self) -> impl Iterator<Item = (&WithdrawalId, &Withdrawal)> {
        self.withdrawals.iter().map(|(id, withdrawal)| (id, &**withdrawal))
    }

    /// The open withdrawals of an account.
    pub(crate) fn open_of(&self, account: AccountIndex) -> impl Iterator<Item = &Withdrawal> {
        self.open_by_account.of(account).iter().filter_map(|id| self.withdrawal(*id))
    }

    /// An account.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.account_at(self.account_index(id)?)
    }

    /// An account's number.
    pub fn account_index(&self, id: &AccountId) -> Option<AccountIndex> {
        let has = |place| self.account_at(AccountIndex(place)).is_some_and(|account| account.id == *id);
        self.account_numbers.find(id, has).map(AccountIndex)
    }

    /// The account of a number.
    pub fn account_at(&self, index: AccountIndex) -> Option<&Account> {
        self.accounts.get(usize::try_from(index.0).ok()?)
    }

    /// The id of an account's number.
    pub fn account_id(&self, index: AccountIndex) -> Option<&AccountId> {
        self.account_at(index).map(|account| &account.id)
    }

    /// How many accounts there are.
    pub const fn accounts_len(&self) -> usize {
        self.accounts.len()
    }

    /// Whose key this is.
    pub fn key_owner(&self, key: &Fingerprint) -> Option<AccountIndex> {
        let has = |place| key_at(&self.accounts, place) == Some(key);
        self.key_owners.find(key, has).map(|(account, _)| AccountIndex(account))
    }

    /// The client that a token's hash belongs to.
    pub fn token_by_hash(&self, hash: &[u8; 32]) -> Option<&TokenSpec> {
        self.tokens.get(self.clients.get(hash)?)
    }

    /// All tokens, by client.
    pub fn tokens(&self) -> impl Iterator<Item = &TokenSpec> {
        self.tokens.values()
    }

    /// All operators, by name.
    pub fn operators(&self) -> impl Iterator<Item = (&Name, &Operator)> {
        self.operators.iter()
    }

    /// What is halted.
    pub fn halts(&self) -> impl Iterator<Item = &Scope> {
        self.halts.iter()
    }

    /// The time that bucket levels are read at.
    pub fn refill_time(&self, at: Timestamp) -> Timestamp {
        self.steady.refill_time(at)
    }

    /// The buckets of an asset, in base units.
    pub fn asset_buckets(&self, asset: AssetIndex) -> Option<&Buckets> {
        self.assets.get(usize::from(asset.0)).map(|asset| &asset.buckets)
    }

    /// The buckets of a wallet, in US dollar cents.
    pub fn wallet_buckets(&self, wallet: WalletIndex) -> Option<&Buckets> {
        self.wallets.get(usize::from(wallet.0))
    }

    /// The buckets over everything, in US dollar cents.
    pub const fn overall_buckets(&self) -> &Buckets {
        &self.overall
    }

    /// An asset's place.
    pub fn asset_index(&self, symbol: &AssetSymbol) -> Option<AssetIndex> {
        let place = self.configuration.assets.iter().position(|asset| asset.spec.symbol == *symbol)?;
        u16::try_from(place).ok().map(AssetIndex)
    }

    /// A tier's place.
    pub fn tier_index(&self, name: &Name) -> Option<TierIndex> {
        let place = self.configuration.tiers.iter().position(|tier| tier.name == *name)?;
        u16::try_from(place).ok().map(TierIndex)
    }

    /// A wallet's place.
    pub fn wallet_index(&self, name: &Name) -> Option<WalletIndex> {
        let place = self.configuration.wallets.iter().position(|wallet| wallet.name == *name)?;
        u16::try_from(place).ok().map(WalletIndex)
    }

    /// The wallet that pays an asset on a network.
    pub fn wallet_of(&self, asset: AssetIndex, network: Network) -> Option<WalletIndex> {
        let asset = self.configuration.assets.get(usize::from(asset.0))?;
        let (_, name) = asset.wallets.iter().find(|(on, _)| *on == network)?;
        self.wallet_index(name)
    }

    /// What `amount` base units are worth at the 24 h high; `None` without a price.
    pub fn value(
        &self,
        asset: AssetIndex,
        amount: holdfast_values::Amount,
        at: Timestamp,
    ) -> Option<UsdCents> {
        let place = usize::from(asset.0);
        let quote = self.assets.get(place)?.prices.quote(at, &self.configuration.parameters)?;
        let decimals = self.configuration.assets.get(place)?.spec.decimals;
        Some(amount.to_usd_cents(decimals, quote.high_micro_usd))
    }

    /// Writes State in canonical order: equal States give equal bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Writing to memory cannot fail.
        let _infallible = minicbor::encode(self, out);
    }

    /// Reads what [`State::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let mut state: Self =
            decoder.decode().map_err(|error| SnapshotError::Malformed(error.to_string()))?;
        if decoder.position() != bytes.len() {
            return Err(SnapshotError::Malformed("bytes after its end".to_owned()));
        }
        state.reindex()?;
        Ok(state)
    }

    /// BLAKE3 of the canonical bytes.
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        *blake3::hash(&bytes).as_bytes()
    }

    fn reindex(&mut self) -> Result<(), SnapshotError> {
        if self.is_initialised() {
            let program = Program::from_bytes(&self.policy.program)
                .map_err(|error| SnapshotError::Program(error.to_string()))?;
            self.program = ActiveProgram(Some(program));
        }
        for (place, account) in self.accounts.iter().enumerate() {
            let index = AccountIndex(u32::try_from(place).unwrap_or(u32::MAX));
            self.account_numbers.insert(&account.id, index.0, |place| id_at(&self.accounts, place));
            for (nth, key) in (0..=u8::MAX).zip(&account.api_keys) {
                self.key_owners.insert(&key.key, (index.0, nth), |place| key_at(&self.accounts, place));
            }
        }
        for token in self.tokens.values() {
            self.clients.insert(token.token_hash, token.client.clone());
        }
        for (until, request) in &self.requests_until {
            self.requests.insert(*request, *until);
        }
        for (until, key) in self.idempotency_until.keys() {
            self.idempotency.insert(*key, *until);
        }
        for (id, withdrawal) in &self.withdrawals {
            self.open_by_account.insert(withdrawal.request.account, *id);
            if withdrawal.released.is_none() {
                self.checks.insert((withdrawal.next_check, *id));
            }
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.reindex();
        }
        for (lane, state) in &self.lanes {
            self.lane_checks.insert((state.wake, *lane));
        }
        Ok(())
    }
}
