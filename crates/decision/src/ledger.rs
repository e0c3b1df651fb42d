//! What was released: the transactions that signers may have signed, what they spend, and where they stand.
//!
//! A transaction is known by its digest and found by what it spends and pays. It stays here until it is final or dead, and
//! [`REMEMBERED`] longer, so that a watcher that repeats itself meets an old acquaintance and not a thief.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::{
    AccountId, Amount, AssetSymbol, ConflictKey, Fingerprint, Micros, Name, Network, ReleaseId, Timestamp,
    TransferId, WithdrawalId, WithdrawalText, time,
};
use minicbor::{Decode, Encode};

use crate::acts::Digest;
use crate::bucket::{Bucket, Taker};
use crate::configuration::Class;
use crate::event::{
    AccountIndex, AssetIndex, Event, RecoveredTransaction, SpendRecovered, Standing, Status,
    TransactionReleased, WalletIndex,
};
use crate::state::State;
use crate::withdrawal::Releases;

/// How long a transaction that is over is remembered.
pub const REMEMBERED: Micros = 7 * time::DAY;
/// How many unknown transactions are remembered; beyond it the oldest is forgotten, and would alarm again.
const STRANGERS_MAX: usize = 10_000;

/// The account that stands for nobody's share: fees and what internal transfers pay.
pub(crate) const NOBODY: Taker = Taker { account: AccountIndex(u32::MAX), small: true, unshared: true };

/// Everything about releases. It comes into being with the first of them.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Ledger {
    /// Counts restores of the journal; zero stands for the first epoch, 1.
    #[n(0)]
    pub(crate) epoch: u64,
    #[n(1)]
    pub(crate) transactions: BTreeMap<Digest, Transaction>,
    /// The highest counter seen of each signer.
    #[n(2)]
    pub(crate) counters: BTreeMap<Name, u64>,
    /// In which epoch each signer's records were taken in.
    #[n(3)]
    pub(crate) recovered: BTreeMap<Name, u64>,
    #[n(4)]
    pub(crate) fees: BTreeMap<(WalletIndex, Network), Bucket>,
    /// Transactions that nobody released and that have alarmed already, by the wallet whose coins they spend.
    #[n(5)]
    pub(crate) strangers: BTreeMap<(WalletIndex, Network, Digest), Timestamp>,
    /// What signers paid and this journal has lost: the same is not paid again without a person.
    #[n(6)]
    pub(crate) lost: BTreeMap<WithdrawalId, Lost>,

    /// Found again from `transactions`.
    #[cbor(skip)]
    pub(crate) by_key: BTreeMap<ConflictKey, BTreeSet<Digest>>,
    /// Found again from `transactions`.
    #[cbor(skip)]
    pub(crate) transfers: BTreeMap<TransferId, BTreeSet<Digest>>,
}

/// A transaction that a signer may have signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transaction {
    /// Its last release.
    #[n(0)]
    pub release: ReleaseId,
    /// For which signer.
    #[n(1)]
    pub signer: Name,
    /// Who pays.
    #[n(2)]
    pub wallet: WalletIndex,
    /// Where.
    #[n(3)]
    pub network: Network,
    /// What it spends, in order.
    #[n(4)]
    pub spends: Vec<ConflictKey>,
    /// Digest of its outputs; unknown for one that only a signer remembers.
    #[n(5)]
    pub outputs: Option<Digest>,
    /// What it costs at most.
    #[n(6)]
    pub fee: Amount,
    /// What it pays.
    #[n(7)]
    pub withdrawals: Vec<WithdrawalId>,
    /// The internal transfer that it is instead.
    #[n(8)]
    pub transfer: Option<TransferId>,
    /// Until when its last release is good.
    #[n(9)]
    pub expires: Timestamp,
    /// Its signer's receipt was seen.
    #[n(10)]
    pub is_signed: bool,
    /// Where it stands on the chain.
    #[n(11)]
    pub standing: Standing,
    /// How many blocks deep.
    #[n(12)]
    pub confirmations: u32,
    /// Its id on the chain, once it was seen there.
    #[n(13)]
    pub chain_id: Option<Digest>,
    /// Since when it is final or dead.
    #[n(14)]
    pub over_at: Option<Timestamp>,
}

/// A payment that was lost from the journal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lost {
    #[n(0)]
    pub(crate) account: AccountId,
    #[n(1)]
    pub(crate) asset: AssetSymbol,
    #[n(2)]
    pub(crate) destination: Fingerprint,
    #[n(3)]
    pub(crate) amount: Amount,
    #[n(4)]
    pub(crate) recovered_at: Timestamp,
}

impl Transaction {
    /// True if a chain may still take it.
    pub const fn is_live(&self) -> bool {
        !self.standing.is_over()
    }

    /// True if they spend something in common.
    pub fn conflicts_with(&self, spends: &[ConflictKey]) -> bool {
        self.spends.iter().any(|key| spends.contains(key))
    }
}

impl Ledger {
    /// The digests of all transactions that spend one of these, in order.
    pub(crate) fn touching(&self, spends: &[ConflictKey]) -> BTreeSet<Digest> {
        spends.iter().filter_map(|key| self.by_key.get(key)).flatten().copied().collect()
    }

    /// Finds again what is not written down.
    pub(crate) fn reindex(&mut self) {
        let all: Vec<Digest> = self.transactions.keys().copied().collect();
        for digest in all {
            self.index(digest);
        }
    }

    fn index(&mut self, digest: Digest) {
        let Some(transaction) = self.transactions.get(&digest) else { return };
        for key in &transaction.spends {
            self.by_key.entry(*key).or_default().insert(digest);
        }
        if let Some(transfer) = transaction.transfer {
            self.transfers.entry(transfer).or_default().insert(digest);
        }
    }

    fn forget(&mut self, digest: Digest) {
        let Some(transaction) = self.transactions.remove(&digest) else { return };
        for key in &transaction.spends {
            if let Some(users) = self.by_key.get_mut(key) {
                users.remove(&digest);
                if users.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        if let Some(transfer) = transaction.transfer
            && let Some(users) = self.transfers.get_mut(&transfer)
        {
            users.remove(&digest);
            if users.is_empty() {
                self.transfers.remove(&transfer);
            }
        }
    }

    /// Forgets what is over for long, unless an open withdrawal still speaks of it.
    pub(crate) fn trim(&mut self, until: Timestamp, is_open: impl Fn(&WithdrawalId) -> bool) {
        let old = |at: Timestamp| until.since(at) >= REMEMBERED;
        let over: Vec<Digest> = self
            .transactions
            .iter()
            .filter(|(_, transaction)| {
                transaction.over_at.is_some_and(old) && !transaction.withdrawals.iter().any(&is_open)
            })
            .map(|(digest, _)| *digest)
            .collect();
        for digest in over {
            self.forget(digest);
        }
        self.lost.retain(|_, lost| until.since(lost.recovered_at) < 30 * time::DAY);
    }

    /// True if there is anything that time will make it forget.
    pub(crate) fn has_memory(&self) -> bool {
        !self.lost.is_empty() || self.transactions.values().any(|transaction| transaction.over_at.is_some())
    }
}

impl State {
    /// The epoch of this journal: 1 until it is restored for the first time.
    pub fn epoch(&self) -> u64 {
        self.ledger.as_ref().map_or(1, |ledger| ledger.epoch.max(1))
    }

    /// The signers that have not told what they remember since the journal was restored into this epoch.
    pub(crate) fn silent(&self, epoch: u64) -> impl Iterator<Item = &Name> {
        let recovered = |name| self.ledger.as_ref().and_then(|ledger| ledger.recovered.get(name));
        let signers = self.configuration().signers.iter().flatten().map(|signer| &signer.name);
        signers.filter(move |name| epoch > 1 && recovered(*name) != Some(&epoch))
    }

    /// A transaction that was released and is not forgotten.
    pub fn transaction(&self, digest: &Digest) -> Option<&Transaction> {
        self.ledger.as_ref()?.transactions.get(digest)
    }

    /// All of them, by digest.
    pub fn transactions(&self) -> impl Iterator<Item = (&Digest, &Transaction)> {
        self.ledger.iter().flat_map(|ledger| ledger.transactions.iter())
    }

    /// The highest counter that a signer's receipts have shown.
    pub fn receipts_seen(&self, signer: &Name) -> u64 {
        self.ledger.as_ref().and_then(|ledger| ledger.counters.get(signer)).copied().unwrap_or(0)
    }

    /// What a wallet's fee bucket on a network holds; `None` where the wallet is not.
    pub fn fees_left(&self, wallet: WalletIndex, network: Network, at: Timestamp) -> Option<Amount> {
        Some(self.fee_bucket(wallet, network, at)?.available(self.refill_time(at)))
    }

    /// A wallet's fee bucket; full if nothing was spent yet.
    pub(crate) fn fee_bucket(&self, wallet: WalletIndex, network: Network, at: Timestamp) -> Option<Bucket> {
        let chain = self.configuration().wallets.get(usize::from(wallet.0))?.on(network)?;
        let known = self.ledger.as_ref().and_then(|ledger| ledger.fees.get(&(wallet, network)));
        Some(known.cloned().unwrap_or_else(|| Bucket::full(chain.fee_bucket, self.refill_time(at))))
    }

    /// The text of an open withdrawal, which customers and operators sign and releases carry.
    pub fn text_of(&self, id: WithdrawalId) -> Option<WithdrawalText> {
        let request = &self.withdrawal(id)?.request;
        let asset = self.configuration().assets.get(usize::from(request.asset.0))?;
        let on = asset.spec.on(request.destination.network())?;
        Some(WithdrawalText {
            exchange: self.exchange().parse().ok()?,
            account: self.account_id(request.account)?.clone(),
            withdrawal: id,
            asset: asset.spec.symbol.clone(),
            destination: request.destination.clone(),
            decimals: on.decimals,
            amount: on.to_network_units(asset.spec.decimals, request.amount)?,
            fee_max: on.to_network_units(asset.spec.decimals, request.fee_max)?,
            not_after: holdfast_values::texts::Seconds::floor(request.not_after),
            nonce: holdfast_values::texts::Nonce(request.nonce),
        })
    }

    fn ledger_mut(&mut self) -> &mut Ledger {
        self.ledger.get_or_insert_default()
    }

    /// A release: its fee is spent, its withdrawals are out of reach of time.
    pub(crate) fn release(&mut self, at: Timestamp, released: &TransactionReleased) {
        let now = self.refill_time(at);
        let parameters = self.configuration.parameters;
        let digest = released.transaction;
        let is_new = self.transaction(&digest).is_none();
        if is_new && let Some(mut bucket) = self.fee_bucket(released.wallet, released.network, at) {
            bucket.take(released.fee, NOBODY.account, now, &parameters);
            self.ledger_mut().fees.insert((released.wallet, released.network), bucket);
        }
        if is_new
            && let Some((asset, amount, usd)) =
                released.transfer.as_ref().and_then(|transfer| transfer.external)
        {
            self.spend_for_nobody(at, (asset, released.wallet), Class::Bound, amount, usd);
        }
        let ledger = self.ledger_mut();
        match ledger.transactions.get_mut(&digest) {
            Some(known) => {
                known.release = released.release;
                known.expires = released.expires;
                known.outputs = Some(released.outputs);
            }
            None => {
                let transaction = Transaction {
                    release: released.release,
                    signer: released.signer.clone(),
                    wallet: released.wallet,
                    network: released.network,
                    spends: released.spends.clone(),
                    outputs: Some(released.outputs),
                    fee: released.fee,
                    withdrawals: released.withdrawals.clone(),
                    transfer: released.transfer.as_ref().map(|transfer| transfer.transfer),
                    expires: released.expires,
                    is_signed: false,
                    standing: Standing::Unseen,
                    confirmations: 0,
                    chain_id: None,
                    over_at: None,
                };
                ledger.transactions.insert(digest, transaction);
                ledger.index(digest);
            }
        }
        for id in &released.withdrawals {
            self.pay_by(at, *id, digest);
        }
    }

    /// A withdrawal may now be paid by this transaction too. Its value is spent: what its buckets hold stays taken.
    fn pay_by(&mut self, at: Timestamp, id: WithdrawalId, digest: Digest) {
        self.unqueue(id);
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else { return };
        let (since, class) = (at, withdrawal.reserved.take());
        let releases = withdrawal
            .released
            .get_or_insert_with(|| Box::new(Releases { since, class, transactions: Vec::new() }));
        if !releases.transactions.contains(&digest) {
            releases.transactions.push(digest);
        }
        if !withdrawal.decision.status.is_released() {
            withdrawal.decision.status = Status::Released;
        }
        // Time alone changes nothing any more.
        self.checks.remove(&(withdrawal.next_check, id));
        withdrawal.next_check = Timestamp(u64::MAX);
    }

    pub(crate) fn moved(&mut self, at: Timestamp, id: WithdrawalId, status: Status) {
        if status.is_final() {
            if let Some(withdrawal) = self.withdrawals.get_mut(&id)
                && let Some(releases) = withdrawal.released.take()
            {
                // It was never paid: what was taken for it goes back, once, the way a reservation does.
                withdrawal.reserved = releases.class;
            }
            self.close(at, id);
        } else if let Some(withdrawal) = self.withdrawals.get_mut(&id) {
            withdrawal.decision.status = status;
        }
    }

    /// It arrived: it leaves State, its place in the windows and what it spent stay.
    pub(crate) fn paid(&mut self, id: WithdrawalId) {
        self.unqueue(id);
        let Some(withdrawal) = self.withdrawals.remove(&id) else { return };
        self.checks.remove(&(withdrawal.next_check, id));
        self.open_by_account.remove(withdrawal.request.account, id);
    }

    pub(crate) fn observed(
        &mut self,
        at: Timestamp,
        digest: Digest,
        standing: Standing,
        confirmations: u32,
        chain_id: [u8; 32],
    ) {
        let ledger = self.ledger_mut();
        let Some(transaction) = ledger.transactions.get_mut(&digest) else { return };
        transaction.standing = standing;
        transaction.confirmations = confirmations;
        if chain_id != [0; 32] {
            transaction.chain_id = Some(Digest(chain_id));
        }
        transaction.over_at = standing.is_over().then_some(at);
    }

    fn remember_stranger(
        &mut self,
        at: Timestamp,
        wallet: WalletIndex,
        network: Network,
        transaction: [u8; 32],
    ) {
        let ledger = self.ledger_mut();
        if ledger.strangers.len() >= STRANGERS_MAX {
            let oldest = ledger.strangers.iter().min_by_key(|(_, seen)| **seen).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                ledger.strangers.remove(&oldest);
            }
        }
        ledger.strangers.insert((wallet, network, Digest(transaction)), at);
    }

    pub(crate) fn receipt(&mut self, signer: &Name, counter: u64, transaction: Option<&Digest>) {
        let ledger = self.ledger_mut();
        let known = ledger.counters.entry(signer.clone()).or_default();
        *known = (*known).max(counter);
        if let Some(transaction) = transaction.and_then(|digest| ledger.transactions.get_mut(digest)) {
            transaction.is_signed = true;
        }
    }

    pub(crate) fn begin_epoch(&mut self, epoch: u64, signer: &Name, counter: u64) {
        let ledger = self.ledger_mut();
        ledger.epoch = epoch;
        ledger.recovered.insert(signer.clone(), epoch);
        ledger.counters.insert(signer.clone(), counter);
    }

    /// A signer's record of a payment that this journal did not know as released.
    pub(crate) fn recover(&mut self, at: Timestamp, spend: &SpendRecovered) {
        for recovered in &spend.transactions {
            self.remember(spend, recovered);
        }
        let id = spend.withdrawal;
        if let Some(open) = self.withdrawals.get(&id) {
            if open.reserved.is_none() && open.released.is_none() {
                let (asset, amount) = (open.request.asset, open.request.amount);
                let usd = self.value(asset, amount, at).unwrap_or_default();
                self.spend_for_nobody(at, (asset, spend.wallet), Class::Unvouched, amount, usd);
            }
            for recovered in &spend.transactions {
                self.pay_by(at, id, recovered.transaction);
            }
            return;
        }
        if self.ledger_mut().lost.contains_key(&id) {
            return;
        }
        let Ok(text) = WithdrawalText::parse(spend.intent.as_bytes()) else { return };
        let Some(asset) = self.asset_index(&text.asset) else { return };
        let spec = self.configuration.assets.get(usize::from(asset.0)).map(|asset| &asset.spec);
        let amount = spec.and_then(|spec| {
            spec.on(text.destination.network())?.from_network_units(spec.decimals, text.amount)
        });
        let Some(amount) = amount else { return };
        let usd = self.value(asset, amount, at).unwrap_or_default();
        self.spend_for_nobody(at, (asset, spend.wallet), Class::Unvouched, amount, usd);
        let lost = Lost {
            account: text.account,
            asset: text.asset,
            destination: spend.fingerprint,
            amount,
            recovered_at: at,
        };
        self.ledger_mut().lost.insert(id, lost);
    }

    fn remember(&mut self, spend: &SpendRecovered, recovered: &RecoveredTransaction) {
        let ledger = self.ledger_mut();
        let digest = recovered.transaction;
        if let Some(known) = ledger.transactions.get_mut(&digest) {
            known.is_signed = true;
            if !known.withdrawals.contains(&spend.withdrawal) {
                known.withdrawals.push(spend.withdrawal);
            }
            return;
        }
        let transaction = Transaction {
            release: ReleaseId(0),
            signer: spend.signer.clone(),
            wallet: spend.wallet,
            network: spend.network,
            spends: recovered.spends.clone(),
            outputs: recovered.outputs,
            fee: Amount::ZERO,
            withdrawals: vec![spend.withdrawal],
            transfer: None,
            expires: Timestamp::ZERO,
            is_signed: true,
            standing: Standing::Unseen,
            confirmations: 0,
            chain_id: None,
            over_at: None,
        };
        ledger.transactions.insert(digest, transaction);
        ledger.index(digest);
    }

    /// Takes value that nothing of this journal reserved. It is spent, so it is taken whether it fits or not.
    fn spend_for_nobody(
        &mut self,
        at: Timestamp,
        (asset, wallet): (AssetIndex, WalletIndex),
        class: Class,
        amount: Amount,
        usd: holdfast_values::UsdCents,
    ) {
        let now = self.refill_time(at);
        let parameters = self.configuration.parameters;
        let usd = Amount::from_base_units(u128::from(usd.0));
        if let Some(asset) = self.assets.get_mut(usize::from(asset.0)) {
            asset.buckets.of_mut(class).take(amount, NOBODY.account, now, &parameters);
        }
        if let Some(wallet) = self.wallets.get_mut(usize::from(wallet.0)) {
            wallet.of_mut(class).take(usd, NOBODY.account, now, &parameters);
        }
        self.overall.of_mut(class).take(usd, NOBODY.account, now, &parameters);
    }

    /// Folds the events of this module.
    pub(crate) fn evolve_ledger(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::TransactionReleased(released) => self.release(at, released),
            Event::WithdrawalMoved { withdrawal, status, .. } => self.moved(at, *withdrawal, *status),
            Event::WithdrawalPaid { withdrawal, .. } => self.paid(*withdrawal),
            Event::TransactionObserved { transaction, standing, confirmations, chain_id } => {
                self.observed(at, *transaction, *standing, *confirmations, *chain_id);
            }
            Event::ChainAlarm { wallet, network, transaction, .. } => {
                self.remember_stranger(at, *wallet, *network, *transaction);
            }
            Event::ReceiptRecorded { signer, counter, transaction } => {
                self.receipt(signer, *counter, transaction.as_ref());
            }
            Event::EpochBegun { epoch, signer, counter } => self.begin_epoch(*epoch, signer, *counter),
            Event::SpendRecovered(spend) => self.recover(at, spend),
            _ => {}
        }
    }
}
