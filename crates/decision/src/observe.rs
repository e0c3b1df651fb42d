//! What chains and signers show of what was released, and what was never released.
//!
//! A transaction is recognised by everything that it spends and everything that it pays, never by an id alone. One that
//! spends a wallet's coins and is not recognised stops that wallet.

use std::collections::BTreeSet;

use holdfast_values::{ConflictKey, Name, Network, WithdrawalId};

use crate::acts::Digest;
use crate::command::{ChainStatus, Observation, ReceiptOutcome, RecordReceipt, Scope};
use crate::event::{Alarm, Event, Events, Standing, Status, WalletIndex};
use crate::ledger::Transaction;
use crate::reason::Refusal;
use crate::refuse::{Answer, Refused};
use crate::state::State;
use crate::withdrawal::Withdrawal;

/// Who stops what would have resumed a wallet, when a chain shows what cannot be.
const ALARM: &str = "chain-alarm";

/// Decides what an observation means.
pub(crate) fn observe(state: &State, seen: &Observation, out: &mut Events) -> Answer {
    let wallet = state.wallet_index(&seen.wallet).ok_or(Refusal::WalletUnknown)?;
    let chain = state.configuration().wallets.get(usize::from(wallet.0));
    let chain = chain.and_then(|wallet| wallet.on(seen.network)).ok_or(Refusal::WalletChainUnknown)?;
    let is_deep = seen.confirmations >= chain.confirmations_final;
    let Some((digest, known)) = recognise(state, wallet, seen) else {
        return unknown(state, wallet, seen, is_deep, out);
    };
    // Transactions that do the same may have several ids: a price bump, another signature. Of them one goes on.
    let is_namesake = known.chain_id.is_some_and(|id| id.0 != seen.chain_id);
    let is_in_block = matches!(seen.status, ChainStatus::Included | ChainStatus::Failed);
    if known.standing.is_over() {
        let is_undone = match known.standing {
            Standing::Final => !is_in_block && !is_namesake,
            _ => is_in_block,
        };
        if is_undone && !is_stranger(state, wallet, seen) {
            alarm(state, Alarm::DeepReorganisation, wallet, seen, out);
        }
        return Ok(());
    }
    if is_namesake && !is_in_block && known.standing != Standing::Vanished {
        return Ok(());
    }
    let standing = match seen.status {
        ChainStatus::Pending => Standing::Pending,
        ChainStatus::Included if is_deep => Standing::Final,
        ChainStatus::Failed if is_deep => Standing::Final,
        ChainStatus::Included => Standing::Included,
        ChainStatus::Failed => Standing::Failed,
        ChainStatus::Vanished => Standing::Vanished,
    };
    let confirmations = seen.confirmations;
    if known.standing == standing && known.confirmations == confirmations {
        return Ok(());
    }
    let chain_id = seen.chain_id;
    out.push(Event::TransactionObserved { transaction: digest, standing, confirmations, chain_id });
    match standing {
        Standing::Final => {
            for id in &known.withdrawals {
                let Some(open) = state.withdrawal(*id) else { continue };
                if seen.status == ChainStatus::Failed {
                    let transaction = Some(digest);
                    out.push(Event::WithdrawalMoved { withdrawal: *id, status: Status::Failed, transaction });
                } else {
                    if open.status() != Status::Confirmed {
                        let transaction = Some(digest);
                        let status = Status::Confirmed;
                        out.push(Event::WithdrawalMoved { withdrawal: *id, status, transaction });
                    }
                    out.push(Event::WithdrawalPaid { withdrawal: *id, transaction: digest });
                }
            }
            let settled: BTreeSet<WithdrawalId> = known.withdrawals.iter().copied().collect();
            bury_rivals(state, &known.spends, Some(digest), &settled, out);
        }
        _ => {
            for id in &known.withdrawals {
                move_along(state, *id, digest, standing, out);
            }
        }
    }
    Ok(())
}

/// Where a withdrawal stands by all of its transactions, one of which has just moved.
fn move_along(state: &State, id: WithdrawalId, digest: Digest, standing: Standing, out: &mut Events) {
    let Some(open) = state.withdrawal(id) else { return };
    let others = open.released.iter().flat_map(|releases| &releases.transactions);
    let is_included = standing == Standing::Included
        || others
            .filter(|other| **other != digest)
            .filter_map(|other| state.transaction(other))
            .any(|other| other.standing == Standing::Included);
    let status = if is_included { Status::Confirmed } else { Status::Broadcast };
    if open.status() != status {
        out.push(Event::WithdrawalMoved { withdrawal: id, status, transaction: Some(digest) });
    }
}

/// What spends something that is now spent for good can never be; what only it could have paid comes back.
fn bury_rivals(
    state: &State,
    spends: &[ConflictKey],
    winner: Option<Digest>,
    settled: &BTreeSet<WithdrawalId>,
    out: &mut Events,
) {
    let Some(ledger) = state.ledger.as_ref() else { return };
    let mut dead = ledger.touching(spends);
    if let Some(winner) = winner {
        dead.remove(&winner);
    }
    dead.retain(|digest| state.transaction(digest).is_some_and(Transaction::is_live));
    bury(state, &dead, Status::Replaced, settled, out);
}

/// These transactions are dead: each withdrawal that has no other live one ends as `status`.
fn bury(
    state: &State,
    dead: &BTreeSet<Digest>,
    status: Status,
    settled: &BTreeSet<WithdrawalId>,
    out: &mut Events,
) {
    let mut touched = BTreeSet::new();
    for digest in dead {
        let transaction = *digest;
        let (standing, confirmations, chain_id) = (Standing::Dead, 0, [0; 32]);
        out.push(Event::TransactionObserved { transaction, standing, confirmations, chain_id });
        touched.extend(state.transaction(digest).into_iter().flat_map(|known| &known.withdrawals));
    }
    for id in touched.difference(settled) {
        let Some(open) = state.withdrawal(*id) else { continue };
        let mut all = open.released.iter().flat_map(|releases| &releases.transactions);
        let is_hopeless = all.all(|digest| {
            dead.contains(digest) || state.transaction(digest).is_none_or(|known| !known.is_live())
        });
        if is_hopeless {
            out.push(Event::WithdrawalMoved { withdrawal: *id, status, transaction: None });
        }
    }
}

/// The released transaction that spends and pays exactly this; of several the one that was seen under this id, or else
/// one whose outputs are known, that was never seen, and that its signer has signed.
fn recognise<'s>(
    state: &'s State,
    wallet: WalletIndex,
    seen: &Observation,
) -> Option<(Digest, &'s Transaction)> {
    let ledger = state.ledger.as_ref()?;
    let found = ledger.touching(&seen.spends).into_iter().filter_map(|digest| {
        let known = ledger.transactions.get(&digest)?;
        let is_it = known.wallet == wallet
            && known.network == seen.network
            && known.spends == seen.spends
            && known.outputs.is_none_or(|outputs| outputs == seen.outputs);
        is_it.then_some((digest, known))
    });
    found.min_by_key(|(_, known)| {
        let is_same = known.chain_id.is_some_and(|id| id.0 == seen.chain_id);
        (!is_same, known.outputs.is_none(), known.chain_id.is_some(), !known.is_signed)
    })
}

fn is_stranger(state: &State, wallet: WalletIndex, seen: &Observation) -> bool {
    has_alarmed(state, wallet, seen.network, Digest(seen.chain_id))
}

fn has_alarmed(state: &State, wallet: WalletIndex, network: Network, transaction: Digest) -> bool {
    let key = (wallet, network, transaction);
    state.ledger.as_ref().is_some_and(|ledger| ledger.strangers.contains_key(&key))
}

/// A spend that nobody released: the wallet stops, once.
fn unknown(
    state: &State,
    wallet: WalletIndex,
    seen: &Observation,
    is_deep: bool,
    out: &mut Events,
) -> Answer {
    if seen.spends.is_empty() {
        return Err(Refused(
            Refusal::BatchEmpty,
            "an observation names what the transaction spends".to_owned(),
        ));
    }
    if !is_stranger(state, wallet, seen) && seen.status != ChainStatus::Vanished {
        alarm(state, Alarm::UnknownSpend, wallet, seen, out);
    }
    if is_deep && matches!(seen.status, ChainStatus::Included | ChainStatus::Failed) {
        bury_rivals(state, &seen.spends, None, &BTreeSet::new(), out);
    }
    Ok(())
}

fn alarm(state: &State, alarm: Alarm, wallet: WalletIndex, seen: &Observation, out: &mut Events) {
    out.push(Event::ChainAlarm {
        alarm,
        wallet,
        network: seen.network,
        transaction: seen.chain_id,
        spends: seen.spends.clone(),
    });
    halt(state, wallet, out);
}

fn halt(state: &State, wallet: WalletIndex, out: &mut Events) {
    if let Some(wallet) = state.configuration().wallets.get(usize::from(wallet.0)) {
        let scope = Scope::Wallet(wallet.name.clone());
        let by = ALARM.parse().unwrap_or_else(|_| wallet.name.clone());
        crate::govern::halt(state, &scope, &by, out);
    }
}

/// Decides what a signer's receipt means. Its signature was verified at the edge.
pub(crate) fn receipt(state: &State, receipt: &RecordReceipt, out: &mut Events) -> Answer {
    let mut signers = state.configuration().signers.iter().flatten();
    if !signers.any(|signer| signer.name == receipt.signer) {
        return Err(Refusal::SignerUnknown.into());
    }
    if receipt.exchange != state.exchange() || receipt.epoch != state.epoch() {
        return Err(Refusal::ReceiptStale.into());
    }
    let (signer, counter) = (receipt.signer.clone(), receipt.counter);
    match &receipt.what {
        ReceiptOutcome::Authorised { wallet, network, transaction, spends } => {
            let wallet = state.wallet_index(wallet).ok_or(Refusal::WalletUnknown)?;
            let known = state.transaction(transaction).filter(|known| {
                known.signer == receipt.signer
                    && (known.wallet, known.network) == (wallet, *network)
                    && known.spends == *spends
            });
            let is_news = counter > state.receipts_seen(&receipt.signer);
            let has_alarmed = has_alarmed(state, wallet, *network, *transaction);
            if !is_news && known.map_or(has_alarmed, |known| known.is_signed) {
                return Ok(());
            }
            let transaction_known = known.map(|_| *transaction);
            out.push(Event::ReceiptRecorded { signer, counter, transaction: transaction_known });
            if known.is_none() && !has_alarmed {
                out.push(Event::ChainAlarm {
                    alarm: Alarm::UnknownAuthorisation,
                    wallet,
                    network: *network,
                    transaction: transaction.0,
                    spends: spends.clone(),
                });
                halt(state, wallet, out);
            }
        }
        ReceiptOutcome::Voided { withdrawal } => {
            let open = state.withdrawal(*withdrawal).ok_or(Refusal::WithdrawalUnknown)?;
            let void = Void::by(state, receipt.epoch, &receipt.signer, open).ok_or(Refusal::ReceiptStale)?;
            out.push(Event::ReceiptRecorded { signer, counter, transaction: None });
            void.tell(*withdrawal, out);
        }
    }
    Ok(())
}

/// What a signer's word that it never signed a withdrawal, and never will, comes to.
pub(crate) struct Void {
    /// Its own transactions that might have paid it: they never will. Others in them go on with another.
    pub(crate) dead: BTreeSet<Digest>,
    /// Nothing else may pay it.
    is_over: bool,
}

impl Void {
    /// `None` if the word means nothing: a signer speaks for itself alone, and what it signed or a chain has seen cannot be
    /// void. After a restore another signer may have signed what this journal has lost, until it has told.
    pub(crate) fn by(state: &State, epoch: u64, signer: &Name, open: &Withdrawal) -> Option<Self> {
        let all = open.released.iter().flat_map(|releases| &releases.transactions);
        let live = all.filter_map(|digest| Some((*digest, state.transaction(digest)?)));
        let (own, others): (Vec<_>, Vec<_>) =
            live.filter(|(_, known)| known.is_live()).partition(|(_, known)| known.signer == *signer);
        let is_void = own.iter().all(|(_, known)| !known.is_signed && known.standing == Standing::Unseen);
        let is_over = others.is_empty() && state.silent(epoch).all(|silent| silent == signer);
        let is_meant = is_over || !own.is_empty();
        let dead = own.into_iter().map(|(digest, _)| digest).collect();
        (is_void && is_meant).then_some(Self { dead, is_over })
    }

    /// Says so.
    pub(crate) fn tell(self, withdrawal: WithdrawalId, out: &mut Events) {
        if self.is_over {
            out.push(Event::WithdrawalMoved { withdrawal, status: Status::Voided, transaction: None });
        }
        for transaction in self.dead {
            let (standing, confirmations, chain_id) = (Standing::Dead, 0, [0; 32]);
            out.push(Event::TransactionObserved { transaction, standing, confirmations, chain_id });
        }
    }
}
