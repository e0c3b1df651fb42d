//! What becomes of released transactions in the model: receipts, observations, epochs.

use std::collections::BTreeSet;

use holdfast_decision::Class;
use holdfast_decision::acts::{Digest, EpochStart};
use holdfast_decision::command::{ChainStatus, Observation, ReceiptOutcome, RecordReceipt, Scope};
use holdfast_decision::event::SpendRecovered;
use holdfast_values::texts::WithdrawalText;
use holdfast_values::{ConflictKey, Name, Network, Timestamp, TransferId, WithdrawalId};

use super::{Answer, DAY, LostPayment, Model, Outcome, Spent};

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Unseen,
    Pending,
    Included,
    Failed,
    Vanished,
    Final,
    Dead,
}

/// A transaction that a signer may have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelTransaction {
    pub(crate) digest: Digest,
    pub(crate) signer: Name,
    pub(crate) wallet: usize,
    pub(crate) network: Network,
    pub(crate) spends: Vec<ConflictKey>,
    pub(crate) outputs: Option<Digest>,
    pub(crate) withdrawals: Vec<WithdrawalId>,
    pub(crate) transfer: Option<TransferId>,
    pub(crate) is_signed: bool,
    pub(crate) stage: Stage,
    pub(crate) confirmations: u32,
    pub(crate) chain_id: Option<[u8; 32]>,
    pub(crate) over_since: Option<Timestamp>,
}

impl ModelTransaction {
    /// Nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        [Stage::Final, Stage::Dead].contains(&self.stage)
    }

    fn touches(&self, spends: &[ConflictKey]) -> bool {
        self.spends.iter().any(|key| spends.contains(key))
    }
}

impl Outcome {
    /// Something about a withdrawal that is said in one word.
    pub(crate) fn plain(id: WithdrawalId, status: &'static str) -> Self {
        Self {
            id,
            status,
            class: Class::Unvouched,
            dwell_until: Timestamp::ZERO,
            factors: (false, false),
            usd_cents: None,
            reasons: Vec::new(),
        }
    }
}

impl Model {
    pub(super) fn known(&self, digest: Digest) -> Option<&ModelTransaction> {
        self.transactions.iter().find(|one| one.digest == digest)
    }

    pub(super) fn wallet(&self, name: &Name) -> Result<usize, &'static str> {
        let place = self.configuration.wallets.iter().position(|wallet| wallet.name == *name);
        place.ok_or("wallet_unknown")
    }

    /// Something is taken that nothing had reserved.
    pub(super) fn force(
        &mut self,
        at: Timestamp,
        class: Class,
        asset: usize,
        wallet: usize,
        units: u128,
        usd_cents: u64,
    ) {
        let now = self.running(at);
        self.spent.push((now, Spent::Forced { class, asset, wallet, units, usd_cents }));
    }

    /// What a chain or a signer shows cannot be: the wallet stops.
    fn alarm(
        &mut self,
        at: Timestamp,
        wallet: usize,
        network: Network,
        id: [u8; 32],
        what: &'static str,
    ) -> Outcome {
        self.strangers.insert((wallet, network, id));
        let scope = Scope::Wallet(self.configuration.wallets[wallet].name.clone());
        self.stop_resumes(&scope);
        if self.halts.insert(scope.clone()) {
            self.look_again_in(at, &scope);
        }
        Outcome::plain(WithdrawalId(0), what)
    }

    pub(super) fn observe(&mut self, at: Timestamp, seen: &Observation) -> Result<Answer, &'static str> {
        let wallet = self.wallet(&seen.wallet)?;
        let chain = self.configuration.wallets[wallet].on(seen.network).ok_or("wallet_chain_unknown")?;
        let is_deep = seen.confirmations >= chain.confirmations_final;
        let in_block = [ChainStatus::Included, ChainStatus::Failed].contains(&seen.status);
        let has_alarmed = self.strangers.contains(&(wallet, seen.network, seen.chain_id));
        let mut said = Vec::new();
        // It is one of ours if it spends and pays the same. Best under the id that it was seen by; then one whose
        // outputs are known, one that was never seen, and one that was signed.
        let is_it = |one: &ModelTransaction| {
            (one.wallet, one.network) == (wallet, seen.network)
                && one.spends == seen.spends
                && (one.outputs.is_none() || one.outputs == Some(seen.outputs))
        };
        let ours = (0..self.transactions.len())
            .filter(|place| !seen.spends.is_empty() && is_it(&self.transactions[*place]))
            .min_by_key(|place| {
                let one = &self.transactions[*place];
                let other_id = one.chain_id != Some(seen.chain_id);
                (other_id, one.outputs.is_none(), one.chain_id.is_some(), !one.is_signed, one.digest)
            });
        let Some(place) = ours else {
            if seen.spends.is_empty() {
                return Err("batch_empty");
            }
            if !has_alarmed && seen.status != ChainStatus::Vanished {
                said.push(self.alarm(at, wallet, seen.network, seen.chain_id, "unknown_spend"));
            }
            if is_deep && in_block {
                said.extend(self.bury(at, &seen.spends, None));
            }
            return Ok(Answer::Done(said));
        };
        let known = self.transactions[place].clone();
        let other_id = known.chain_id.is_some_and(|id| id != seen.chain_id);
        if known.is_over() {
            let undone = if known.stage == Stage::Final { !in_block && !other_id } else { in_block };
            if undone && !has_alarmed {
                said.push(self.alarm(at, wallet, seen.network, seen.chain_id, "deep_reorganisation"));
            }
            return Ok(Answer::Done(said));
        }
        // Another of the same kind waits or is gone: that says nothing of the one that we follow.
        if other_id && !in_block && known.stage != Stage::Vanished {
            return Ok(Answer::Done(said));
        }
        let stage = match seen.status {
            ChainStatus::Included | ChainStatus::Failed if is_deep => Stage::Final,
            ChainStatus::Included => Stage::Included,
            ChainStatus::Failed => Stage::Failed,
            ChainStatus::Pending => Stage::Pending,
            ChainStatus::Vanished => Stage::Vanished,
        };
        if (known.stage, known.confirmations) == (stage, seen.confirmations) {
            return Ok(Answer::Done(said));
        }
        let one = &mut self.transactions[place];
        (one.stage, one.confirmations) = (stage, seen.confirmations);
        if seen.chain_id != [0; 32] {
            one.chain_id = Some(seen.chain_id);
        }
        one.over_since = (stage == Stage::Final).then_some(at);
        for id in &known.withdrawals {
            let Some(which) = self.open(*id) else { continue };
            if stage != Stage::Final {
                let digests = self.withdrawals[which].paying.iter().flat_map(|paying| &paying.digests);
                let included =
                    digests.filter_map(|digest| self.known(*digest)).any(|one| one.stage == Stage::Included);
                let status = if included { "confirmed" } else { "broadcast" };
                if self.withdrawals[which].status != status {
                    self.withdrawals[which].status = status;
                    said.push(Outcome::plain(*id, status));
                }
            } else if seen.status == ChainStatus::Failed {
                said.push(self.end(at, which, "failed"));
            } else {
                if self.withdrawals[which].status != "confirmed" {
                    said.push(Outcome::plain(*id, "confirmed"));
                }
                // It is gone and what it spent is spent.
                self.withdrawals[which].status = "paid";
                said.push(Outcome::plain(*id, "paid"));
            }
        }
        if stage == Stage::Final {
            said.extend(self.bury(at, &known.spends, Some(known.digest)));
        }
        Ok(Answer::Done(said))
    }

    /// A released withdrawal ends unpaid: its value goes back.
    fn end(&mut self, at: Timestamp, which: usize, status: &'static str) -> Outcome {
        if let Some(paying) = self.withdrawals[which].paying.take() {
            self.withdrawals[which].reserved = paying.class;
        }
        self.close_plainly(at, which, status)
    }

    /// What these coins could have paid otherwise is dead; withdrawals that nothing else may pay are replaced.
    fn bury(&mut self, at: Timestamp, spends: &[ConflictKey], winner: Option<Digest>) -> Vec<Outcome> {
        let mut touched = BTreeSet::new();
        for one in &mut self.transactions {
            if one.touches(spends) && !one.is_over() && Some(one.digest) != winner {
                (one.stage, one.confirmations, one.over_since) = (Stage::Dead, 0, Some(at));
                touched.extend(one.withdrawals.iter().copied());
            }
        }
        let mut said = Vec::new();
        for id in touched {
            let Some(which) = self.open(id) else { continue };
            if !self.may_be_paid_yet(which) {
                said.push(self.end(at, which, "replaced"));
            }
        }
        said
    }

    /// One of its transactions is not over.
    fn may_be_paid_yet(&self, which: usize) -> bool {
        !self.may_pay(which).is_empty()
    }

    pub(super) fn receipt(&mut self, at: Timestamp, receipt: &RecordReceipt) -> Result<Answer, &'static str> {
        let signer = &receipt.signer;
        if self.configuration.signers.iter().flatten().all(|one| one.name != *signer) {
            return Err("signer_unknown");
        }
        if receipt.exchange != self.exchange || receipt.epoch != self.epoch {
            return Err("receipt_stale");
        }
        let highest = self.counters.get(signer).copied().unwrap_or(0);
        let is_news = receipt.counter > highest;
        let mut said = Vec::new();
        match &receipt.what {
            ReceiptOutcome::Authorised { wallet, network, transaction, spends } => {
                let wallet = self.wallet(wallet)?;
                let known = self.transactions.iter_mut().find(|one| {
                    (one.digest, &one.signer, one.wallet, one.network, &one.spends)
                        == (*transaction, signer, wallet, *network, spends)
                });
                match known {
                    Some(known) if known.is_signed && !is_news => return Ok(Answer::Done(said)),
                    Some(known) => known.is_signed = true,
                    None if self.strangers.contains(&(wallet, *network, transaction.0)) => {}
                    None => {
                        said.push(self.alarm(at, wallet, *network, transaction.0, "unknown_authorisation"))
                    }
                }
            }
            ReceiptOutcome::Voided { withdrawal } => {
                let which = self.open(*withdrawal).ok_or("withdrawal_unknown")?;
                if !self.can_void(signer, which) {
                    return Err("receipt_stale");
                }
                said.extend(self.void(at, signer, which));
            }
        }
        self.counters.insert(signer.clone(), highest.max(receipt.counter));
        Ok(Answer::Done(said))
    }

    /// What may still pay it.
    fn may_pay(&self, which: usize) -> Vec<&ModelTransaction> {
        let digests = self.withdrawals[which].paying.iter().flat_map(|paying| &paying.digests);
        digests.filter_map(|digest| self.known(*digest)).filter(|one| !one.is_over()).collect()
    }

    /// Nothing may pay it, or something that this very signer was asked for; and none of that was signed or ever seen.
    fn can_void(&self, signer: &Name, which: usize) -> bool {
        let live = self.may_pay(which);
        let own: Vec<_> = live.iter().filter(|one| one.signer == *signer).collect();
        (live.is_empty() && self.all_told(signer) || !own.is_empty())
            && own.iter().all(|one| !one.is_signed && one.stage == Stage::Unseen)
    }

    /// No other signer may have signed what this journal does not know.
    fn all_told(&self, but: &Name) -> bool {
        let signers = self.configuration.signers.iter().flatten().map(|one| &one.name);
        let mut others = signers.filter(|name| *name != but);
        self.epoch == 1 || others.all(|name| self.told_in.get(name) == Some(&self.epoch))
    }

    /// What a signer was asked for will never be signed; what nothing else may pay is over.
    fn void(&mut self, at: Timestamp, signer: &Name, which: usize) -> Option<Outcome> {
        let own = self.may_pay(which).into_iter().filter(|one| one.signer == *signer);
        let own: Vec<_> = own.map(|one| one.digest).collect();
        for one in self.transactions.iter_mut().filter(|one| own.contains(&one.digest)) {
            (one.stage, one.confirmations, one.over_since) = (Stage::Dead, 0, Some(at));
        }
        let is_over = self.may_pay(which).is_empty() && self.all_told(signer);
        is_over.then(|| self.end(at, which, "voided"))
    }

    pub(super) fn begin_epoch(
        &mut self,
        at: Timestamp,
        start: &EpochStart,
    ) -> Result<Vec<Outcome>, &'static str> {
        let told = self.told_in.get(&start.signer) == Some(&self.epoch);
        let later = (self.epoch + 1..=self.epoch + 1_000).contains(&start.epoch);
        if !later && (start.epoch != self.epoch || self.epoch == 1 || told) {
            return Err("epoch_invalid");
        }
        if self.configuration.signers.iter().flatten().all(|one| one.name != start.signer) {
            return Err("signer_unknown");
        }
        self.epoch = start.epoch;
        self.told_in.insert(start.signer.clone(), start.epoch);
        self.counters.insert(start.signer.clone(), start.counter);
        // Decided on what was known before any of it was taken in.
        let is_closed_here = |spend: &SpendRecovered| {
            self.open(spend.withdrawal).is_none()
                && spend.transactions.iter().any(|one| {
                    self.known(one.transaction).is_some_and(|one| one.withdrawals.contains(&spend.withdrawal))
                })
        };
        let news: Vec<_> = start.spends.iter().filter(|spend| !is_closed_here(spend)).collect();
        let voided: BTreeSet<WithdrawalId> = start.voided.iter().copied().collect();
        let signed = |digest: &Digest| {
            start.spends.iter().flat_map(|spend| &spend.transactions).any(|one| one.transaction == *digest)
        };
        let voided: Vec<usize> = voided
            .into_iter()
            .filter(|id| start.spends.iter().all(|spend| spend.withdrawal != *id))
            .filter_map(|id| self.open(id))
            .filter(|which| {
                let live = self.may_pay(*which);
                let mut own = live.iter().filter(|one| one.signer == start.signer);
                self.can_void(&start.signer, *which) && !own.any(|one| signed(&one.digest))
            })
            .collect();
        for spend in news {
            self.recover(at, spend);
        }
        Ok(voided.into_iter().filter_map(|which| self.void(at, &start.signer, which)).collect())
    }

    /// What a signer remembers of one withdrawal.
    fn recover(&mut self, at: Timestamp, spend: &SpendRecovered) {
        let wallet = usize::from(spend.wallet.0);
        for recovered in &spend.transactions {
            match self.transactions.iter_mut().find(|one| one.digest == recovered.transaction) {
                Some(known) => {
                    known.is_signed = true;
                    if !known.withdrawals.contains(&spend.withdrawal) {
                        known.withdrawals.push(spend.withdrawal);
                    }
                }
                None => self.transactions.push(ModelTransaction {
                    digest: recovered.transaction,
                    signer: spend.signer.clone(),
                    wallet,
                    network: spend.network,
                    spends: recovered.spends.clone(),
                    outputs: recovered.outputs,
                    withdrawals: vec![spend.withdrawal],
                    transfer: None,
                    is_signed: true,
                    stage: Stage::Unseen,
                    confirmations: 0,
                    chain_id: None,
                    over_since: None,
                }),
            }
        }
        if let Some(which) = self.open(spend.withdrawal) {
            let open = &self.withdrawals[which];
            if open.reserved.is_none() && open.paying.is_none() {
                let (asset, units) = (open.asset, open.units);
                let usd = self.value_or_most(asset, units, at).unwrap_or(0);
                self.force(at, Class::Unvouched, asset, wallet, units, usd);
            }
            for recovered in &spend.transactions {
                self.pay_by(spend.withdrawal, recovered.transaction);
            }
            return;
        }
        if self.lost_payments.iter().any(|lost| lost.id == spend.withdrawal) {
            return;
        }
        let Ok(text) = WithdrawalText::parse(spend.intent.as_bytes()) else { return };
        let Some(asset) = self.asset(&text.asset) else { return };
        let spec = &self.configuration.assets[asset].spec;
        let Some(on) = spec.on(text.destination.network()) else { return };
        let Some(units) = on.from_network_units(spec.decimals, text.amount) else { return };
        let units = units.base_units();
        let usd = self.value_or_most(asset, units, at).unwrap_or(0);
        self.force(at, Class::Unvouched, asset, wallet, units, usd);
        self.lost_payments.push(LostPayment {
            id: spend.withdrawal,
            account: text.account,
            symbol: text.asset,
            place: spend.fingerprint,
            units,
            since: at,
        });
    }

    /// A week after it was over a transaction is forgotten, unless a withdrawal that is open speaks of it.
    pub(super) fn forget_transactions(&mut self, until: Timestamp) {
        let open: BTreeSet<WithdrawalId> =
            self.withdrawals.iter().filter(|one| one.is_open()).map(|one| one.id).collect();
        self.transactions.retain(|one| {
            let old = one.over_since.is_some_and(|since| until.since(since) >= 7 * DAY);
            !old || one.withdrawals.iter().any(|id| open.contains(id))
        });
        self.lost_payments.retain(|lost| until.since(lost.since) < 30 * DAY);
    }
}
