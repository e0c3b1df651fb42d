//! May this transaction be signed? The whole batch is compared with what was decided, and then decided again.
//!
//! Whoever proposes has no say here: what the bytes do was read from the bytes (`transactions`), and each output is held
//! against the withdrawals that it claims to pay. The signer does all of this once more, without Holdfast.

use std::collections::BTreeSet;

use holdfast_values::texts::{Purpose, TransferText};
use holdfast_values::{Amount, Timestamp, UsdCents, WithdrawalId, time};

use crate::bucket::Fit;
use crate::command::{ProposeTransaction, ProposedOutput, Scope};
use crate::configuration::{Class, RELEASE_LIFETIME, WalletChain};
use crate::event::{
    AssetIndex, Dropped, Event, Events, Standing, Status, TransactionReleased, TransferReleased, WalletIndex,
};
use crate::judge::{Subject, judge};
use crate::ledger::NOBODY;
use crate::operate::{TEXT_SPAN_MAX, count_signatures};
use crate::reason::{Drop, Refusal};
use crate::refuse::{Answer, Refused};
use crate::settle::settle;
use crate::state::State;
use crate::withdrawal::Withdrawal;

/// The most withdrawals that one transaction pays.
pub const BATCH_MAX: usize = 1_000;

/// Decides whether a transaction may be signed.
pub(crate) fn propose(
    state: &State,
    at: Timestamp,
    proposed: &ProposeTransaction,
    out: &mut Events,
) -> Answer {
    let wallet = check_addressee(state, proposed)?;
    let chain = state.configuration().wallets.get(usize::from(wallet.0));
    let chain = chain.and_then(|wallet| wallet.on(proposed.network)).ok_or(Refusal::WalletChainUnknown)?;
    let is_batch = !proposed.withdrawals.is_empty();
    if is_batch == proposed.transfer.is_some() {
        return Err(Refusal::BatchEmpty.into());
    }
    check_same(state, proposed, wallet)?;
    if proposed.withdrawals.len() > BATCH_MAX {
        let detail = format!("a transaction pays at most {BATCH_MAX} withdrawals");
        return Err(Refused(Refusal::TooMany, detail));
    }
    let transfer = if is_batch {
        let dropped = check_batch(state, at, proposed, wallet, out)?;
        if !dropped.is_empty() {
            out.push(Event::ReleaseDropped { dropped });
            return Ok(());
        }
        None
    } else {
        Some(Box::new(check_transfer(state, at, proposed, wallet)?))
    };
    if let Some(reason) = stopped(state, proposed, wallet, transfer.as_deref()) {
        return Err(Refused(Refusal::HaltedNow, reason));
    }
    check_fee(state, at, proposed, wallet, chain)?;
    let lifetime = state.configuration().parameters.release_lifetime.unwrap_or(RELEASE_LIFETIME);
    out.push(Event::TransactionReleased(Box::new(TransactionReleased {
        release: proposed.release,
        signer: proposed.signer.clone(),
        wallet,
        network: proposed.network,
        transaction: proposed.transaction,
        spends: proposed.spends.clone(),
        outputs: proposed.outputs_digest,
        fee: proposed.fee,
        withdrawals: proposed.withdrawals.clone(),
        transfer,
        not_before: at,
        expires: at.plus(lifetime),
    })));
    Ok(())
}

/// The signer is one of ours; after a restore all of them have told what they remember, for any may have paid this;
/// the wallet exists.
fn check_addressee(state: &State, proposed: &ProposeTransaction) -> Result<WalletIndex, Refused> {
    let mut signers = state.configuration().signers.iter().flatten();
    if !signers.any(|signer| signer.name == proposed.signer) {
        return Err(Refused(Refusal::SignerUnknown, format!("no signer {} is configured", proposed.signer)));
    }
    if let Some(silent) = state.silent(state.epoch()).next() {
        let detail = format!("the records of signer {silent} were not taken in since the restore");
        return Err(Refused(Refusal::SignerNotRecovered, detail));
    }
    state.wallet_index(&proposed.wallet).ok_or_else(|| Refusal::WalletUnknown.into())
}

/// A transaction that was released once is released again as the same: to the same signer, for the same payments.
/// Otherwise one output could pay two withdrawals, or one signer vouch for what another has signed. One that can never
/// be taken is not released: its withdrawals would wait for ever, since what replaces it could not be taken either.
fn check_same(state: &State, proposed: &ProposeTransaction, wallet: WalletIndex) -> Answer {
    let Some(known) = state.transaction(&proposed.transaction) else {
        let touched = state.ledger.as_ref().map(|ledger| ledger.touching(&proposed.spends));
        let mut touched = touched.iter().flatten().filter_map(|digest| state.transaction(digest));
        let is_spent = touched.any(|other| other.standing == Standing::Final);
        return if is_spent { Err(Refusal::CoinSpent.into()) } else { Ok(()) };
    };
    let transfer = proposed
        .transfer
        .as_ref()
        .and_then(|transfer| TransferText::parse(transfer.text.as_bytes()).ok())
        .map(|text| text.transfer);
    let withdrawals: BTreeSet<&WithdrawalId> = proposed.withdrawals.iter().collect();
    let is_same = known.is_live()
        && known.signer == proposed.signer
        && known.wallet == wallet
        && known.network == proposed.network
        && known.spends == proposed.spends
        && known.transfer == transfer
        && known.withdrawals.iter().collect::<BTreeSet<_>>() == withdrawals;
    if is_same { Ok(()) } else { Err(Refusal::ReleaseDiffers.into()) }
}

/// Holds the outputs against the withdrawals, and decides each again. Gives those that must be left out.
fn check_batch(
    state: &State,
    at: Timestamp,
    proposed: &ProposeTransaction,
    wallet: WalletIndex,
    out: &mut Events,
) -> Result<Vec<Dropped>, Refused> {
    let mut named = BTreeSet::new();
    let mut dropped = Vec::new();
    let mut batch: Vec<(WithdrawalId, &Withdrawal)> = Vec::with_capacity(proposed.withdrawals.len());
    for id in &proposed.withdrawals {
        if !named.insert(*id) {
            return Err(Refused(Refusal::BatchDuplicate, format!("{id} is named twice")));
        }
        match state.withdrawal(*id) {
            Some(open) => batch.push((*id, open)),
            None => dropped.push(Dropped { withdrawal: *id, why: Drop::Closed }),
        }
    }
    for (id, open) in &batch {
        if open.request.wallet != wallet || open.request.destination.network() != proposed.network {
            return Err(Refused(Refusal::WalletDiffers, format!("{id} is not paid by this wallet here")));
        }
    }
    if dropped.is_empty() {
        match_outputs(state, proposed, &batch)?;
        for (id, open) in &batch {
            check_conflicts(state, proposed, *id, open)?;
        }
    }
    for (id, open) in batch {
        let why = match open.status() {
            status if status.is_released() => released_again(state, at, open),
            Status::Approved => decide_again(state, at, open, out),
            _ => Some(Drop::NotApproved),
        };
        dropped.extend(why.map(|why| Dropped { withdrawal: id, why }));
    }
    Ok(dropped)
}

/// Every output pays exactly one withdrawal of the batch, or is change of the wallet that pays; nothing is missing.
fn match_outputs(
    state: &State,
    proposed: &ProposeTransaction,
    batch: &[(WithdrawalId, &Withdrawal)],
) -> Answer {
    let mut owed: Vec<(Owed<'_>, WithdrawalId)> = Vec::with_capacity(batch.len());
    for (id, open) in batch {
        let request = &open.request;
        let asset = state.configuration().assets.get(usize::from(request.asset.0));
        let on = asset.and_then(|asset| Some((asset, asset.spec.on(proposed.network)?)));
        let (asset, on) = on.ok_or(Refusal::NetworkNotConfigured)?;
        let amount = on.to_network_units(asset.spec.decimals, request.amount).ok_or_else(|| {
            Refused(Refusal::OutputMissing, format!("{id}: the network cannot express its amount"))
        })?;
        let address = request.destination.address();
        owed.push(((address, on.contract.as_deref(), amount), *id));
    }
    owed.sort_unstable();
    let mut paid: Vec<Owed<'_>> = Vec::with_capacity(batch.len());
    for (place, output) in proposed.outputs.iter().enumerate() {
        match &output.own {
            Some(own) if *own == proposed.wallet => {}
            _ => paid.push(owed_by(output)),
        }
        if output.destination.network() != proposed.network {
            return Err(Refused(Refusal::OutputExtra, format!("output {place} is on another network")));
        }
    }
    paid.sort_unstable();
    // Both in order: the first that stands on one side alone is what is missing, or too much.
    let mut paid = paid.into_iter().peekable();
    for (owed, id) in owed {
        match paid.peek() {
            Some(next) if *next == owed => {
                paid.next();
            }
            Some(next) if *next < owed => return Err(extra(next)),
            _ => {
                let (address, _, amount) = owed;
                let detail = format!("{id} is owed an output of {} units to {address}", amount.base_units());
                return Err(Refused(Refusal::OutputMissing, detail));
            }
        }
    }
    paid.peek().map_or(Ok(()), |next| Err(extra(next)))
}

/// Who gets how much of what: address, contract, network units.
type Owed<'a> = (&'a str, Option<&'a str>, Amount);

fn owed_by(output: &ProposedOutput) -> Owed<'_> {
    (output.destination.address(), output.contract.as_deref(), output.amount)
}

fn extra((address, _, amount): &Owed<'_>) -> Refused {
    let detail = format!("{} units to {address} pay no withdrawal of the batch", amount.base_units());
    Refused(Refusal::OutputExtra, detail)
}

/// Whatever else may pay this withdrawal must be impossible once this is on the chain.
fn check_conflicts(
    state: &State,
    proposed: &ProposeTransaction,
    id: WithdrawalId,
    open: &Withdrawal,
) -> Answer {
    for earlier in open.released.iter().flat_map(|releases| &releases.transactions) {
        let is_rival = *earlier != proposed.transaction
            && state
                .transaction(earlier)
                .is_none_or(|earlier| earlier.is_live() && !earlier.conflicts_with(&proposed.spends));
        if is_rival {
            let detail = format!("{id} may be paid by an earlier transaction that this one does not replace");
            return Err(Refused(Refusal::NotConflicting, detail));
        }
    }
    Ok(())
}

/// A fee bump pays the same again; it is not decided anew, but a stop of its account stops it.
fn released_again(state: &State, at: Timestamp, open: &Withdrawal) -> Option<Drop> {
    let subject = Subject::open(state, at, open)?;
    let is_stopped =
        subject.account.is_frozen || state.halts.contains(&Scope::Account(subject.account.id.clone()));
    is_stopped.then_some(Drop::Stopped)
}

/// Decides an approved withdrawal again, on everything that is known now.
fn decide_again(state: &State, at: Timestamp, open: &Withdrawal, out: &mut Events) -> Option<Drop> {
    let Some(subject) = Subject::open(state, at, open) else { return Some(Drop::Closed) };
    if subject.not_after <= at {
        crate::approve::past_its_time(state, open, out);
        return Some(Drop::DecidedAgain);
    }
    let judgement = judge(state, at, &subject);
    let reserved = subject.reserved.filter(|reserved| *reserved >= judgement.class);
    let still_goes = reserved.is_some()
        && !judgement.must_deny
        && !judgement.must_hold
        && !judgement.must_wait
        && judgement.factors.is_empty()
        && judgement.dwell_until <= at;
    if still_goes {
        return None;
    }
    let needs_seat =
        reserved.is_none() && !judgement.must_deny && !judgement.must_hold && judgement.factors.is_empty();
    // A place is found on State as it is, so that only the first finds one: the next proposal finds the next.
    if !needs_seat || out.is_empty() {
        settle(state, at, &subject, judgement, false, out);
    }
    Some(Drop::DecidedAgain)
}

/// What stops a release whoever it pays. A cancellation pays nobody and is never stopped.
fn stopped(
    state: &State,
    proposed: &ProposeTransaction,
    wallet: WalletIndex,
    transfer: Option<&TransferReleased>,
) -> Option<String> {
    let is_cancel = transfer.is_some_and(|transfer| {
        TransferText::parse(transfer.approval.text.as_bytes())
            .is_ok_and(|text| text.purpose == Purpose::Cancel && text.external.is_none())
    });
    if is_cancel {
        return None;
    }
    if state.is_clock_suspect() {
        return Some("the clock is under suspicion".to_owned());
    }
    let wallet = state.configuration().wallets.get(usize::from(wallet.0)).map(|wallet| &wallet.name);
    let assets: Vec<_> = proposed
        .withdrawals
        .iter()
        .filter_map(|id| {
            state.configuration().assets.get(usize::from(state.withdrawal(*id)?.request.asset.0))
        })
        .map(|asset| &asset.spec.symbol)
        .collect();
    let moved = transfer.and_then(|transfer| TransferText::parse(transfer.approval.text.as_bytes()).ok());
    let halt = state.halts().find(|scope| match scope {
        Scope::Overall => true,
        Scope::Asset(symbol) => {
            assets.contains(&symbol) || moved.as_ref().is_some_and(|text| text.asset == *symbol)
        }
        Scope::Wallet(name) => Some(name) == wallet,
        Scope::Account(_) => false,
    })?;
    Some(format!("halted: {}", crate::acts::scope_text(halt)))
}

/// The bound for one transaction, and the bucket of all; a transaction that was released before has paid.
fn check_fee(
    state: &State,
    at: Timestamp,
    proposed: &ProposeTransaction,
    wallet: WalletIndex,
    chain: &WalletChain,
) -> Answer {
    if proposed.fee > chain.fee_max {
        let detail = format!(
            "the fee is {} units, at most {} are allowed",
            proposed.fee.base_units(),
            chain.fee_max.base_units()
        );
        return Err(Refused(Refusal::FeeTooHigh, detail));
    }
    if state.transaction(&proposed.transaction).is_some() {
        return Ok(());
    }
    let parameters = &state.configuration().parameters;
    let now = state.refill_time(at);
    let fit = state
        .fee_bucket(wallet, proposed.network, at)
        .map_or(Fit::Never, |bucket| bucket.fit(proposed.fee, NOBODY, now, parameters));
    match fit {
        Fit::Now => Ok(()),
        Fit::After { level, .. } => {
            let detail = format!("the bucket holds this fee again in {} s", level / time::SECOND);
            Err(Refused(Refusal::FeeBucketSpent, detail))
        }
        Fit::Never => Err(Refused(Refusal::FeeBucketSpent, "the bucket can never hold this fee".to_owned())),
    }
}

/// An internal transfer: its text says what it does, it pays own wallets alone, or exactly what operators signed.
fn check_transfer(
    state: &State,
    at: Timestamp,
    proposed: &ProposeTransaction,
    wallet: WalletIndex,
) -> Result<TransferReleased, Refused> {
    let approval = proposed.transfer.as_deref().ok_or(Refusal::BatchEmpty)?;
    let differs = |what: &str| Refused(Refusal::TransferDiffers, what.to_owned());
    let text = TransferText::parse(approval.text.as_bytes())
        .map_err(|error| Refused(Refusal::TransferDiffers, error.to_string()))?;
    if text.exchange.to_string() != state.exchange() {
        return Err(Refusal::TextExchange.into());
    }
    if text.wallet != proposed.wallet || text.network != proposed.network {
        return Err(differs("the text names another wallet or network"));
    }
    let until = text.not_after.timestamp();
    if until <= at || until.since(at) > TEXT_SPAN_MAX {
        return Err(Refusal::TextNotNow.into());
    }
    if proposed.fee > text.fee_max {
        return Err(differs("the fee is above the text's fee-max"));
    }
    let asset = state.asset_index(&text.asset).ok_or(Refusal::AssetUnknown)?;
    let on = state.configuration().assets.get(usize::from(asset.0));
    let on = on.and_then(|asset| asset.spec.on(proposed.network)).ok_or(Refusal::NetworkNotConfigured)?;
    let mut moved = proposed.outputs.iter().map(|output| output.contract.as_deref());
    if text.purpose != Purpose::Cancel && moved.any(|contract| contract != on.contract.as_deref()) {
        return Err(differs("an output moves another asset than the text says"));
    }
    let mut foreign = proposed.outputs.iter().filter(|output| output.own.is_none());
    let first = foreign.next();
    if foreign.next().is_some() {
        return Err(Refused(Refusal::TransferForeign, "it pays more than one foreign output".to_owned()));
    }
    let external = match (first, &text.external) {
        (None, None) => None,
        (None, Some(_)) => return Err(differs("the text's payment is missing")),
        (Some(output), None) => {
            let detail = format!("{} is no address of the exchange's wallets", output.destination.address());
            return Err(Refused(Refusal::TransferForeign, detail));
        }
        (Some(output), Some(said)) => {
            // With other decimals the amount that operators read would not be the amount that is paid.
            let is_said = output.destination == said.destination
                && output.amount == said.amount
                && on.decimals == said.decimals;
            if !is_said || on.contract.as_deref() != output.contract.as_deref() {
                return Err(differs("the output is not the text's payment"));
            }
            Some(check_external(state, at, proposed, &text, asset, wallet)?)
        }
    };
    check_transfer_conflicts(state, proposed, &text)?;
    Ok(TransferReleased { transfer: text.transfer, approval: approval.clone(), external })
}

/// A payment out of the wallets: operators signed this very text, and it fits the bound buckets.
fn check_external(
    state: &State,
    at: Timestamp,
    proposed: &ProposeTransaction,
    text: &TransferText,
    asset: AssetIndex,
    wallet: WalletIndex,
) -> Result<(AssetIndex, Amount, UsdCents), Refused> {
    let signatures = proposed.transfer.iter().flat_map(|approval| &approval.signatures);
    let signers = count_signatures(state, at, signatures.map(|signature| &signature.operator));
    let needed = state.configuration().parameters.loosening_signatures.max(2);
    if signers < needed {
        let detail = format!("{signers} of {needed} operators signed the transfer's text");
        return Err(Refused(Refusal::SignaturesInsufficient, detail));
    }
    let said = text.external.as_ref().ok_or(Refusal::TransferDiffers)?;
    let spec = state.configuration().assets.get(usize::from(asset.0)).map(|asset| &asset.spec);
    let amount =
        spec.and_then(|spec| spec.on(proposed.network)?.from_network_units(spec.decimals, said.amount));
    let amount = amount.ok_or(Refusal::NetworkNotConfigured)?;
    let Some(usd) = state.value(asset, amount, at) else {
        return Err(Refused(Refusal::TransferDiffers, "there is no price for its asset".to_owned()));
    };
    let now = state.refill_time(at);
    let parameters = &state.configuration().parameters;
    let value = Amount::from_base_units(u128::from(usd.0));
    let mut fits = vec![state.overall_buckets().of(Class::Bound).fit(value, NOBODY, now, parameters)];
    fits.extend(state.asset_buckets(asset).map(|b| b.of(Class::Bound).fit(amount, NOBODY, now, parameters)));
    fits.extend(state.wallet_buckets(wallet).map(|b| b.of(Class::Bound).fit(value, NOBODY, now, parameters)));
    let is_known = state.transaction(&proposed.transaction).is_some();
    if !is_known && fits.iter().any(|fit| *fit != Fit::Now) {
        return Err(Refused(Refusal::TransferForeign, "the bound buckets do not hold it now".to_owned()));
    }
    Ok((asset, amount, usd))
}

/// A transfer's text is for one transaction, or for one that replaces it; a cancellation must cancel something.
fn check_transfer_conflicts(state: &State, proposed: &ProposeTransaction, text: &TransferText) -> Answer {
    let ledger = state.ledger.as_ref();
    let earlier = ledger.and_then(|ledger| ledger.transfers.get(&text.transfer));
    for digest in earlier.into_iter().flatten().filter(|digest| **digest != proposed.transaction) {
        let known = state.transaction(digest);
        if known.is_some_and(|known| !known.is_live() || !known.conflicts_with(&proposed.spends)) {
            let detail =
                format!("{} was used for a transaction that this one does not replace", text.transfer);
            return Err(Refused(Refusal::NotConflicting, detail));
        }
    }
    if text.purpose == Purpose::Cancel {
        let touched = ledger.map(|ledger| ledger.touching(&proposed.spends)).unwrap_or_default();
        let cancels = touched.iter().any(|digest| {
            *digest != proposed.transaction && state.transaction(digest).is_some_and(|known| known.is_live())
        });
        let again = state.transaction(&proposed.transaction).is_some();
        if !cancels && !again {
            return Err(Refused(Refusal::NotConflicting, "there is nothing that it would cancel".to_owned()));
        }
    }
    Ok(())
}
