//! What chains and signers show of what was released, and what was never released.
//!
//! A transaction is recognised by everything that it spends and everything that it pays, never by an id alone. One that
//! spends a wallet's coins and is not recognised stops that wallet.

use std::collections::BTreeSet;

use holdfast_values::{ConflictKey, WithdrawalId};

use crate::acts::Digest;
use crate::command::{ChainStatus, Observation, ReceiptOutcome, RecordReceipt, Scope};
use crate::event::{Alarm, Event, Events, Standing, Status, WalletIndex};
use crate::ledger::Transaction;
use crate::reason::Refusal;
use crate::refuse::{Answer, Refused};
use crate::state::State;

/// Decides what an observation means.
pub(crate) fn observe(state: &State, seen: &Observation, out: &mut Events) -> Answer {
    let wallet = state.wallet_index(&seen.wallet).ok_or(Refusal::WalletUnknown)?;
    let chain = state.configuration().wallets.get(usize::from(wallet.0));
    let chain = chain.and_then(|wallet| wallet.on(seen.network)).ok_or(Refusal::WalletChainUnknown)?;
    let is_deep = seen.confirmations >= chain.confirmations_final;
    let Some((digest, known)) = recognise(state, wallet, seen) else {
        return unknown(state, wallet, seen, is_deep, out);
    };
    if known.standing == Standing::Dead && matches!(seen.status, ChainStatus::Vanished) {
        return Ok(());
    }
    if known.standing.is_over() {
        let was_final = known.standing == Standing::Final;
        let is_same = was_final == matches!(seen.status, ChainStatus::Included | ChainStatus::Failed);
        let was_told = is_stranger(state, seen);
        if !is_same && !was_told && !(known.standing == Standing::Dead && seen.status == ChainStatus::Pending)
        {
            alarm(state, Alarm::DeepReorganisation, wallet, seen, out);
        }
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

/// The released transaction that spends and pays exactly this.
fn recognise<'s>(
    state: &'s State,
    wallet: WalletIndex,
    seen: &Observation,
) -> Option<(Digest, &'s Transaction)> {
    let ledger = state.ledger.as_ref()?;
    ledger.touching(&seen.spends).into_iter().find_map(|digest| {
        let known = ledger.transactions.get(&digest)?;
        let is_it = known.wallet == wallet
            && known.network == seen.network
            && known.spends == seen.spends
            && known.outputs.is_none_or(|outputs| outputs == seen.outputs);
        is_it.then_some((digest, known))
    })
}

fn is_stranger(state: &State, seen: &Observation) -> bool {
    let key = (seen.network, Digest(seen.chain_id));
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
    if !is_stranger(state, seen) && seen.status != ChainStatus::Vanished {
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
        if !state.halts.contains(&scope) {
            out.push(Event::Halted { scope });
        }
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
            let known = state.transaction(transaction).filter(|known| known.signer == receipt.signer);
            let is_news = counter > state.receipts_seen(&receipt.signer);
            if known.is_some_and(|known| known.is_signed) && !is_news {
                return Ok(());
            }
            out.push(Event::ReceiptRecorded { signer, counter, transaction: Some(*transaction) });
            if known.is_none() {
                let wallet = state.wallet_index(wallet).ok_or(Refusal::WalletUnknown)?;
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
            let of = |digest: &Digest| state.transaction(digest);
            let rivals: BTreeSet<Digest> =
                open.released.iter().flat_map(|releases| &releases.transactions).copied().collect();
            // A signer speaks for itself alone, and one that authorised cannot void.
            let is_its_own = rivals
                .iter()
                .filter_map(of)
                .all(|known| !known.is_live() || (known.signer == receipt.signer && !known.is_signed));
            if !is_its_own {
                return Err(Refusal::ReceiptStale.into());
            }
            out.push(Event::ReceiptRecorded { signer, counter, transaction: None });
            let live = rivals.into_iter().filter(|digest| of(digest).is_some_and(Transaction::is_live));
            let (transaction, status) = (None, Status::Voided);
            out.push(Event::WithdrawalMoved { withdrawal: *withdrawal, status, transaction });
            // No transaction that pays it will ever be signed; others in it go on with another.
            for transaction in live {
                let (standing, confirmations, chain_id) = (Standing::Dead, 0, [0; 32]);
                out.push(Event::TransactionObserved { transaction, standing, confirmations, chain_id });
            }
        }
    }
    Ok(())
}
