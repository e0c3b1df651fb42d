//! The wallet service and the signer beside it: what is approved is proposed in batches, what Holdfast releases is signed if
//! the signer's own buckets hold it, and what was signed gets its receipt and its blocks.
//!
//! What is beyond a credential's cap at the signer, the wallet asks for without its owner's word, as wallets do: it spends
//! *unvouched* there.
//!
//! The wallet knows what the signer's buckets hold (the signer tells it) and proposes only what they do: what a bucket
//! refuses stays approved at Holdfast, where it can still be stopped, and is proposed again at the next batch.

use std::collections::{BTreeMap, VecDeque};

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{
    ChainStatus, Observation, ProposeTransaction, ProposedOutput, ReceiptOutcome, RecordReceipt,
};
use holdfast_decision::configuration::{BucketSpecs, CREDENTIAL_AGEING, Configuration};
use holdfast_decision::event::{AccountIndex, AssetIndex, Dropped, Status, WalletIndex};
use holdfast_decision::{BATCH_MAX, Command, State, Withdrawal};
use holdfast_values::bucket::{BucketSpec, Level};
use holdfast_values::{Amount, ConflictKey, Family, Name, Network, ReleaseId, Timestamp, WithdrawalId, time};

use super::{Play, Todo};
use crate::exchange::{Exchange, SignerBuckets};
use crate::log::{Upon, What};

/// From a transaction to enough blocks above it.
const FINAL_BITCOIN: u64 = time::HOUR;
const FINAL_EVM: u64 = 13 * time::MINUTE;
/// What a transaction costs, and each of its outputs, in 1/100,000,000 of a coin: never enough to be in the way.
const FEE: u128 = 1_000;
/// For so long the signer remembers what a credential vouched for, by whole hours.
const CAP_HOURS: u64 = 30 * 24;

/// The wallet and its signer.
#[derive(Debug, Clone)]
pub(super) struct Wallet {
    /// In the order in which they were approved.
    approved: BTreeMap<u64, WithdrawalId>,
    places: BTreeMap<WithdrawalId, u64>,
    count: u64,
    is_called: bool,
    signer: Option<Name>,
    vaults: Vec<Vault>,
    caps: Caps,
    sent: BTreeMap<u64, Sent>,
    /// What was said to the last proposal.
    pub(super) said: Said,
}

/// What Holdfast says to a proposal.
#[derive(Debug, Clone, Default)]
pub(super) enum Said {
    /// Nothing, or no.
    #[default]
    Nothing,
    /// It may be signed.
    Released,
    /// Not with these.
    Dropped(Vec<Dropped>),
}

/// The signer's two buckets of an asset.
#[derive(Debug, Clone, Copy)]
struct Vault {
    specs: [BucketSpec; 2],
    levels: [Level; 2],
    /// The most that one credential vouches for in 30 days.
    cap: Amount,
}

/// What each customer's credentials have vouched for at the signer, by hour. One cap for all credentials of an account: here
/// each stands in the line of the account's first.
#[derive(Debug, Clone, Default)]
struct Caps(BTreeMap<Voucher, VecDeque<(u64, Amount)>>);

/// Whose credentials, and for what.
type Voucher = (AccountIndex, AssetIndex, Network);

/// Whose word the signer has for a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Two operators' for this very withdrawal, which costs no credential anything.
    Operators,
    /// Its owner's, by a credential that the signer has known for 72 hours.
    Owner,
    /// Nobody's.
    Nobody,
}

/// A withdrawal on its way into a transaction, and how the signer is to take it.
#[derive(Debug, Clone, Copy)]
struct Payment {
    id: WithdrawalId,
    bucket: usize,
    word: Word,
}

const UNVOUCHED: usize = 0;
const VOUCHED: usize = 1;

#[derive(Debug, Clone)]
struct Sent {
    wallet: WalletIndex,
    network: Network,
    transaction: Digest,
    spends: Vec<ConflictKey>,
    outputs: Digest,
}

/// What one transaction pays.
struct Lot {
    wallet: WalletIndex,
    network: Network,
    payments: Vec<Payment>,
}

impl Vault {
    fn of(unvouched: u128, vouched: u128, cap: u128) -> Self {
        let spec = |size: u128| {
            let size = Amount::from_base_units(size);
            BucketSpec::new(size, size)
                .unwrap_or(BucketSpec { size: Amount::ZERO, refill_per_hour: Amount::ZERO })
        };
        let specs = [spec(unvouched), spec(vouched)];
        let levels = specs.map(|spec| Level::full(spec, Timestamp::ZERO));
        Self { specs, levels, cap: Amount::from_base_units(cap) }
    }

    fn refill(&mut self, at: Timestamp) {
        for (level, spec) in self.levels.iter_mut().zip(self.specs) {
            *level = level.refilled(spec, at);
        }
    }

    /// Takes an amount, if the bucket holds it.
    fn take(&mut self, bucket: usize, amount: Amount) -> bool {
        let Some(level) = self.levels.get_mut(bucket) else { return false };
        let left = level.take(amount);
        *level = left.unwrap_or(*level);
        left.is_some()
    }
}

impl Caps {
    /// What they vouched for in the last 30 days: an hour counts as long as any of it lies in them.
    fn vouched(&self, of: &Voucher, at: Timestamp) -> Amount {
        let hour = at.0 / time::HOUR;
        let hours = self.0.get(of).into_iter().flatten();
        let counting = hours.filter(|(of, _)| of.saturating_add(CAP_HOURS) >= hour);
        counting.fold(Amount::ZERO, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    fn add(&mut self, of: Voucher, at: Timestamp, amount: Amount) {
        let (hours, hour) = (self.0.entry(of).or_default(), at.0 / time::HOUR);
        while hours.front().is_some_and(|(of, _)| of.saturating_add(CAP_HOURS) < hour) {
            hours.pop_front();
        }
        match hours.back_mut().filter(|(of, _)| *of == hour) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => hours.push_back((hour, amount)),
        }
    }
}

impl Wallet {
    pub(super) fn new(exchange: &Exchange, configuration: &Configuration) -> Self {
        let hot = |symbol: &str| match symbol {
            "BTC" => Some(u128::from(exchange.hot_wallet_btc)),
            "ETH" => Some(u128::from(exchange.hot_wallet_eth)),
            _ => None,
        };
        let vaults = configuration.assets.iter().map(|asset| {
            let spec = &asset.spec;
            let coins = hot(spec.symbol.as_str()).filter(|coins| *coins != 0);
            let units = coins.zip(10u128.checked_pow(u32::from(spec.decimals)));
            match units.and_then(|(coins, unit)| coins.checked_mul(unit)) {
                Some(units) => {
                    let share = |permille: u32| units.saturating_mul(u128::from(permille)) / 1_000;
                    Vault::of(
                        share(exchange.signer_permille.unvouched),
                        share(exchange.signer_permille.vouched),
                        share(exchange.signer_permille.credential),
                    )
                }
                None => as_configured(&asset.buckets, exchange.signer_permille),
            }
        });
        Self {
            approved: BTreeMap::new(),
            places: BTreeMap::new(),
            count: 0,
            is_called: false,
            signer: configuration.signers.iter().flatten().next().map(|signer| signer.name.clone()),
            vaults: vaults.collect(),
            caps: Caps::default(),
            sent: BTreeMap::new(),
            said: Said::Nothing,
        }
    }

    /// The signer's buckets are full when the exchange begins.
    pub(super) fn begin(&mut self, at: Timestamp) {
        for vault in &mut self.vaults {
            vault.levels = vault.specs.map(|spec| Level::full(spec, at));
        }
    }

    pub(super) fn not_approved(&mut self, id: &WithdrawalId) {
        if let Some(place) = self.places.remove(id) {
            self.approved.remove(&place);
        }
    }

    /// A number that was never used.
    const fn number(&mut self) -> u64 {
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// What Holdfast's buckets of an asset let through together, where the exchange states no shares for its signer; a credential
/// may vouch for the same part of *vouched* as elsewhere.
fn as_configured(specs: &BucketSpecs, stated: SignerBuckets) -> Vault {
    let unvouched = specs.aged.size.saturating_add(specs.unvouched.size);
    let vouched = specs.bound.size.base_units();
    let cap = vouched.saturating_mul(u128::from(stated.credential)) / u128::from(stated.vouched.max(1));
    Vault::of(unvouched.base_units(), vouched, cap)
}

impl Play {
    /// A withdrawal may be released: the wallet asks for it at its next batch.
    pub(super) fn approved(&mut self, at: Timestamp, id: WithdrawalId) {
        if self.wallet.places.contains_key(&id) {
            return;
        }
        let place = self.wallet.number();
        self.wallet.places.insert(id, place);
        self.wallet.approved.insert(place, id);
        self.call(at);
    }

    fn call(&mut self, at: Timestamp) {
        if self.wallet.is_called {
            return;
        }
        self.wallet.is_called = true;
        let every = self.exchange.batch_every.max(time::SECOND);
        let next = (at.0 / every).saturating_add(1).saturating_mul(every);
        self.later(Timestamp(next), Todo::Batch);
    }

    /// Asks for the release of what is approved, as far as the signer's buckets hold it.
    pub(super) fn batch(&mut self, at: Timestamp) {
        self.wallet.is_called = false;
        for vault in &mut self.wallet.vaults {
            vault.refill(at);
        }
        for lot in self.lots(at) {
            self.propose(at, lot);
        }
        if !self.wallet.approved.is_empty() {
            self.call(at);
        }
    }

    /// What to propose: on bitcoin many in one transaction, elsewhere one in each.
    fn lots(&mut self, at: Timestamp) -> Vec<Lot> {
        let ids: Vec<WithdrawalId> = self.wallet.approved.values().copied().collect();
        let (mut vaults, mut planned) = (self.wallet.vaults.clone(), BTreeMap::<Voucher, Amount>::new());
        let mut lots: BTreeMap<(WalletIndex, Network), Vec<Payment>> = BTreeMap::new();
        for id in ids {
            let open = self.state.withdrawal(id).filter(|open| open.status() == Status::Approved);
            let Some(open) = open else {
                self.wallet.not_approved(&id);
                continue;
            };
            let word = word_for(&self.state, at, open);
            let request = &open.request;
            let (wallet, network) = (request.wallet, request.destination.network());
            let Some(vault) = vaults.get_mut(usize::from(request.asset.0)) else { continue };
            let of = (request.account, request.asset, network);
            let vouched = planned.get(&of).copied().unwrap_or(Amount::ZERO).saturating_add(request.amount);
            let is_capped =
                word == Word::Owner && self.wallet.caps.vouched(&of, at).saturating_add(vouched) > vault.cap;
            let word = if is_capped { Word::Nobody } else { word };
            let bucket = if word == Word::Nobody { UNVOUCHED } else { VOUCHED };
            if vault.take(bucket, request.amount) {
                if word == Word::Owner {
                    planned.insert(of, vouched);
                }
                lots.entry((wallet, network)).or_default().push(Payment { id, bucket, word });
            } else {
                self.signer_refuses(at, id, if is_capped { "credential_cap" } else { "bucket_empty" });
            }
        }
        let split = lots.into_iter().flat_map(|((wallet, network), payments)| {
            let most = if network.family() == Family::Bitcoin { BATCH_MAX } else { 1 };
            let chunks: Vec<_> = payments.chunks(most).map(<[_]>::to_vec).collect();
            chunks.into_iter().map(move |payments| Lot { wallet, network, payments })
        });
        split.collect()
    }

    fn signer_refuses(&mut self, at: Timestamp, id: WithdrawalId, code: &str) {
        let Some(open) = self.book.get_mut(id).filter(|open| !open.was_refused) else { return };
        open.was_refused = true;
        let event = open.event.clone();
        self.line(at, What::SignerRefused { event: event.clone(), code: code.into() });
        self.line(at, What::Alarm { kind: "signer_refused".into(), event });
    }

    /// Proposes, and leaves out what Holdfast says to leave out, until it is released or nothing is left.
    fn propose(&mut self, at: Timestamp, mut lot: Lot) {
        while !lot.payments.is_empty() {
            let number = self.wallet.number();
            let Some(proposed) = self.proposal(at, &lot, number) else { return };
            let sent = Sent {
                wallet: lot.wallet,
                network: lot.network,
                transaction: proposed.transaction,
                spends: proposed.spends.clone(),
                outputs: proposed.outputs_digest,
            };
            self.wallet.said = Said::Nothing;
            self.say(at, &Command::ProposeTransaction(Box::new(proposed)), Upon::Release);
            match core::mem::take(&mut self.wallet.said) {
                Said::Released => return self.sign(at, &lot, number, sent),
                Said::Dropped(dropped) => {
                    let before = lot.payments.len();
                    lot.payments.retain(|one| dropped.iter().all(|dropped| dropped.withdrawal != one.id));
                    if lot.payments.len() == before {
                        return;
                    }
                }
                Said::Nothing => return,
            }
        }
    }

    fn proposal(&self, at: Timestamp, lot: &Lot, number: u64) -> Option<ProposeTransaction> {
        let configuration = self.state.configuration();
        let wallet = configuration.wallets.get(usize::from(lot.wallet.0))?;
        let mut hasher = blake3::Hasher::new();
        let mut outputs = Vec::with_capacity(lot.payments.len());
        for Payment { id, .. } in &lot.payments {
            let request = &self.state.withdrawal(*id)?.request;
            let asset = configuration.assets.get(usize::from(request.asset.0))?;
            let on = asset.spec.on(lot.network)?;
            hasher.update(&id.0.to_le_bytes());
            outputs.push(ProposedOutput {
                destination: request.destination.clone(),
                own: None,
                contract: on.contract.clone(),
                amount: on.to_network_units(asset.spec.decimals, request.amount)?,
            });
        }
        let outputs_digest = Digest(*hasher.finalize().as_bytes());
        hasher.update(&number.to_le_bytes());
        let transaction = Digest(*hasher.finalize().as_bytes());
        let spends = match lot.network.chain_id() {
            Some(chain) => ConflictKey::Nonce { chain, sender: [0xaa; 20], nonce: number },
            None => ConflictKey::Outpoint { txid: transaction.0, vout: 0 },
        };
        // The coin's own smallest units: as many zeros as its decimals have beyond eight.
        let decimals = u32::from(lot.network.native_decimals().unwrap_or(8)).saturating_sub(8);
        let parts = u128::try_from(lot.payments.len()).ok()?.saturating_add(1);
        let fee = FEE.saturating_mul(parts).saturating_mul(10u128.checked_pow(decimals)?);
        Some(ProposeTransaction {
            release: ReleaseId(u128::from(at.0 / 1_000) << 80 | u128::from(number)),
            signer: self.wallet.signer.clone()?,
            wallet: wallet.name.clone(),
            network: lot.network,
            transaction,
            spends: vec![spends],
            outputs,
            outputs_digest,
            fee: Amount::from_base_units(fee),
            withdrawals: lot.payments.iter().map(|one| one.id).collect(),
            transfer: None,
            reader: 1,
        })
    }

    /// The signer spends its buckets and signs: from here on the money has left.
    fn sign(&mut self, at: Timestamp, lot: &Lot, number: u64, sent: Sent) {
        for Payment { id, bucket, word } in lot.payments.iter().copied() {
            self.wallet.not_approved(&id);
            let Some(open) = self.state.withdrawal(id) else { continue };
            let (asset, amount) = (open.request.asset, open.request.amount);
            let (class, account) = (open.decision.class, open.request.account);
            let vault = self.wallet.vaults.get_mut(usize::from(asset.0));
            // It was held against the same buckets when the lot was made.
            if !vault.is_some_and(|vault| vault.take(bucket, amount)) {
                self.signer_refuses(at, id, "bucket_empty");
                continue;
            }
            if word == Word::Owner {
                self.wallet.caps.add((account, asset, lot.network), at, amount);
            }
            let (symbol, amount, usd_cents) = self.valued(asset, amount);
            let Some(open) = self.book.get_mut(id) else { continue };
            open.has_left = true;
            let (event, is_attackers) = (open.event.clone(), open.is_attackers);
            if is_attackers {
                self.was_drained(at, account, &event);
            }
            let bucket = if bucket == VOUCHED { "vouched" } else { "unvouched" }.into();
            self.line(
                at,
                What::Left { event, class: class.name().into(), bucket, asset: symbol, amount, usd_cents },
            );
        }
        let wallet = self.state.configuration().wallets.get(usize::from(lot.wallet.0));
        let (Some(wallet), Some(signer)) = (wallet, &self.wallet.signer) else { return };
        let receipt = Command::RecordReceipt(Box::new(RecordReceipt {
            signer: signer.clone(),
            exchange: self.state.exchange().to_owned(),
            epoch: self.state.epoch(),
            counter: number,
            what: ReceiptOutcome::Authorised {
                wallet: wallet.name.clone(),
                network: lot.network,
                transaction: sent.transaction,
                spends: sent.spends.clone(),
            },
            receipt: Vec::new(),
        }));
        self.say(at, &receipt, Upon::Act);
        self.wallet.sent.insert(number, sent);
        let wait = if lot.network.family() == Family::Bitcoin { FINAL_BITCOIN } else { FINAL_EVM };
        self.later(at.plus(wait), Todo::Final(number));
    }

    /// Symbol, decimal text and value at the last price.
    fn valued(&self, asset: AssetIndex, amount: Amount) -> (Box<str>, Box<str>, u64) {
        let Some(asset) = self.state.configuration().assets.get(usize::from(asset.0)) else {
            return (Box::default(), Box::default(), 0);
        };
        let (symbol, decimals) = (&asset.spec.symbol, asset.spec.decimals);
        let price = self.prices.get(symbol).copied().unwrap_or_default();
        let usd = amount.to_usd_cents(decimals, price);
        (symbol.as_str().into(), amount.to_short(decimals).into(), usd.0)
    }

    /// A transaction has enough blocks above it.
    pub(super) fn is_final(&mut self, at: Timestamp, number: u64) {
        let Some(sent) = self.wallet.sent.remove(&number) else { return };
        let wallet = self.state.configuration().wallets.get(usize::from(sent.wallet.0));
        let Some((wallet, chain)) = wallet.and_then(|wallet| Some((wallet, wallet.on(sent.network)?))) else {
            return;
        };
        let seen = Command::RecordObservation(Box::new(Observation {
            wallet: wallet.name.clone(),
            network: sent.network,
            chain_id: sent.transaction.0,
            spends: sent.spends,
            outputs: sent.outputs,
            status: ChainStatus::Included,
            confirmations: chain.confirmations_final,
        }));
        self.say(at, &seen, Upon::Act);
    }
}

/// Whose word the signer has for a withdrawal: two operators' who signed this very one, or that of a credential of its owner's
/// that the signer has known for 72 hours. An age is otherwise Holdfast's word alone, which the signer does not take.
fn word_for(state: &State, at: Timestamp, open: &Withdrawal) -> Word {
    let needed = state.configuration().parameters.loosening_signatures.max(2);
    if u32::from(open.operators) >= needed {
        return Word::Operators;
    }
    let credential = open.bound.as_deref().map(|approval| approval.credential);
    let account = state.account_at(open.request.account);
    let known = account.zip(credential).and_then(|(account, id)| account.credential(&id));
    let counts =
        known.is_some_and(|known| !known.is_removed && at.since(known.enrolled_at) >= CREDENTIAL_AGEING);
    if counts { Word::Owner } else { Word::Nobody }
}
