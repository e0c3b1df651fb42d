//! What depends on the store and the clock: is the release fresh, was any of it authorised before, and do the buckets hold
//! enough. Everything that it changes it changes in the caller's one transaction.

use std::collections::BTreeMap;

use holdfast_authn::release::spends::TRANSACTIONS_MAX;
use holdfast_authn::release::{self, Kind, Outcome, Receipt, SigningKey};
use holdfast_transactions::outputs_digest;
use holdfast_values::{Amount, ConflictKey, Timestamp, TransferId, WithdrawalId};

use crate::acts::{self, SignerAct};
use crate::approve;
use crate::examine::{Examined, check_window};
use crate::pins::Pins;
use crate::policy;
use crate::refused::{BucketName, Refused};
use crate::store::records::{Authorised, Records, Standing};
use holdfast_values::bucket::{BucketSpec, Level};

/// Who spends: the pinned file, the store's id and the signer's key.
#[derive(Clone, Copy)]
pub(crate) struct Spender<'a> {
    pub(crate) pins: &'a Pins,
    pub(crate) store: [u8; 16],
    pub(crate) key: &'a SigningKey,
}

/// What was answered.
pub(crate) struct Granted {
    pub(crate) receipt: Vec<u8>,
    pub(crate) repeated: bool,
}

/// What is to be taken from a bucket.
struct Need {
    spec: BucketSpec,
    sum: Amount,
    /// Of that, for withdrawals, in their order.
    by: Vec<(WithdrawalId, Amount)>,
}

/// Which texts of a release were authorised before, in the order of its payments; and its transfer.
struct Known {
    payments: Vec<bool>,
    transfer: bool,
}

impl Spender<'_> {
    /// Authorises what was examined, or gives the answer that was given before. `clock` is the wall clock's time.
    pub(crate) fn spend(
        self,
        records: &Records<'_>,
        examined: &Examined,
        clock: Timestamp,
    ) -> Result<Granted, Refused> {
        let mut standing = records.standing()?;
        let now = self.now(&standing, examined, clock);
        let known = known(records, examined, now)?;
        if let Some(receipt) = answered(records, examined)? {
            return Ok(Granted { receipt, repeated: true });
        }
        self.check_fresh(records, &mut standing, examined, now)?;
        policy::follow(self.pins, records, &examined.release.policy, now)?;
        check_conflicts(records, examined, &known)?;
        let levels = self.levels(records, examined, &known, now)?;
        standing.counter = standing.counter.saturating_add(1);
        let receipt = self.record(records, examined, &known, &standing, now)?;
        for (bucket, level) in levels {
            records.set_level(&bucket, level)?;
        }
        standing.highest = now;
        records.set_standing(&standing)?;
        Ok(Granted { receipt, repeated: false })
    }

    fn now(&self, standing: &Standing, examined: &Examined, clock: Timestamp) -> Timestamp {
        if self.pins.simulated_clock { standing.highest.max(examined.release.not_before) } else { clock }
    }

    fn check_fresh(
        &self,
        records: &Records<'_>,
        standing: &mut Standing,
        examined: &Examined,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let release = &examined.release;
        if now < standing.highest {
            return Err(Refused::ClockBehind { now, highest: standing.highest });
        }
        check_window(self.pins, release, now)?;
        if release.epoch < standing.epoch {
            return Err(Refused::EpochOld { epoch: release.epoch, current: standing.epoch });
        }
        if release.epoch > standing.epoch {
            self.follow_epoch(records, standing, examined, now)?;
        }
        match standing.seen {
            Some((highest, _)) if release.sequence < highest => {
                return Err(Refused::SequenceOld { sequence: release.sequence, highest });
            }
            Some((highest, head)) if release.sequence == highest && release.head != head => {
                return Err(Refused::HeadDiffers { sequence: highest });
            }
            _ => standing.seen = Some((release.sequence, release.head)),
        }
        if release.receipts_seen > standing.counter {
            return Err(Refused::StoreRolledBack { seen: release.receipts_seen, counter: standing.counter });
        }
        Ok(())
    }

    /// Takes the epoch of a release that brings the operators' act for it.
    fn follow_epoch(
        &self,
        records: &Records<'_>,
        standing: &mut Standing,
        examined: &Examined,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let release = &examined.release;
        let mut refused = Refused::EpochUnknown { epoch: release.epoch, current: standing.epoch };
        for signed in &release.epochs {
            match acts::prove(self.pins, &self.store, signed, now) {
                Ok((SignerAct::BeginEpoch { epoch, counter }, text)) if epoch == release.epoch => {
                    use_text(records, SignerAct::BeginEpoch { epoch, counter }, &text, now)?;
                    return begin_epoch(standing, epoch, counter);
                }
                // Acts for other signers' stores and for earlier epochs travel along.
                Ok(_) | Err(Refused::ActTarget) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The levels after this transaction, if every bucket holds enough and every customer's word counts.
    fn levels(
        &self,
        records: &Records<'_>,
        examined: &Examined,
        known: &Known,
        now: Timestamp,
    ) -> Result<Vec<(BucketName, Level)>, Refused> {
        let release = &examined.release;
        let mut needs: BTreeMap<BucketName, Need> = BTreeMap::new();
        let mut need = |bucket: BucketName, spec: BucketSpec, amount: Amount, by: Option<WithdrawalId>| {
            let need = needs.entry(bucket).or_insert(Need { spec, sum: Amount::ZERO, by: Vec::new() });
            need.sum = need.sum.saturating_add(amount);
            need.by.extend(by.map(|withdrawal| (withdrawal, amount)));
        };
        need(
            BucketName::Fee(release.wallet.clone(), release.network),
            examined.fees.bucket,
            examined.decoded.fee,
            None,
        );
        let texts = examined.payments.iter().zip(&release.payments).zip(&examined.words).zip(&known.payments);
        for (((text, payment), word), known) in texts {
            // Charged when it was authorised first, on the word of then; its amount cannot have changed since.
            if *known {
                continue;
            }
            let (symbol, network) = (text.asset.clone(), release.network);
            let Some(asset) = self.pins.asset(&symbol, network) else {
                return Err(Refused::AssetUnpinned { symbol, network });
            };
            let vouchers =
                acts::vouchers(self.pins, text.withdrawal, &payment.intent, &payment.approvals, now);
            let operators = vouchers.len() >= self.pins.threshold;
            let withdrawal = text.withdrawal;
            let owner = approve::vouch(self.pins, records, text, (&payment.intent, word), !operators, now)
                .map_err(|why| why.of(withdrawal))?;
            if operators || owner {
                need(BucketName::Vouched(symbol, network), asset.vouched, text.amount, Some(withdrawal));
            } else {
                need(BucketName::Unvouched(symbol, network), asset.unvouched, text.amount, Some(withdrawal));
            }
        }
        if let Some(text) = &examined.transfer
            && let Some(external) = &text.external
            && !known.transfer
        {
            let (symbol, network) = (text.asset.clone(), release.network);
            let Some(asset) = self.pins.asset(&symbol, network) else {
                return Err(Refused::AssetUnpinned { symbol, network });
            };
            need(BucketName::Vouched(symbol, network), asset.vouched, external.amount, None);
        }
        let mut levels = Vec::with_capacity(needs.len());
        for (bucket, Need { spec, sum: needed, by }) in needs {
            let level = records.level(&bucket)?.unwrap_or_else(|| Level::full(spec, now)).refilled(spec, now);
            let Some(left) = level.take(needed) else {
                let available = level.available();
                let refused = Refused::BucketEmpty { bucket, available, needed };
                return Err(match first_over(available, &by) {
                    Some(withdrawal) => refused.of(withdrawal),
                    None => refused,
                });
            };
            levels.push((bucket, left));
        }
        Ok(levels)
    }

    fn record(
        &self,
        records: &Records<'_>,
        examined: &Examined,
        known: &Known,
        standing: &Standing,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refused> {
        let (release, decoded) = (&examined.release, &examined.decoded);
        let withdrawals: Vec<WithdrawalId> = examined.payments.iter().map(|text| text.withdrawal).collect();
        let transfer = examined.transfer.as_ref().map(|text| text.transfer);
        let receipt = self.receipt(
            standing,
            now,
            Outcome::Authorised {
                release: release.id,
                network: release.network,
                wallet: release.wallet.clone(),
                transaction: decoded.digest,
                conflict_keys: decoded.conflict_keys.clone(),
                withdrawals: withdrawals.clone(),
                transfer,
            },
        );
        let counter = standing.counter;
        let outputs = decoded.outputs.iter();
        let outputs =
            outputs_digest(outputs.map(|output| (Some(&output.destination), &output.asset, output.amount)));
        let (digest, keys) = (decoded.digest, decoded.conflict_keys.clone());
        records.add_transaction(&Authorised { counter, digest, keys, at: now, outputs }, &receipt)?;
        let texts = withdrawals.into_iter().zip(&release.payments).zip(&known.payments);
        for ((withdrawal, payment), known) in texts {
            if !known {
                records.add_spend(withdrawal, &payment.intent, now, release.network, &release.wallet)?;
            }
            records.add_payment(withdrawal, counter)?;
        }
        if let (Some(transfer), Some(signed)) = (transfer, &release.transfer) {
            if !known.transfer {
                records.add_transfer(transfer, &signed.text, now, release.network, &release.wallet)?;
            }
            records.add_transfer_payment(transfer, counter)?;
        }
        Ok(receipt)
    }

    /// Signs what was done under the counter of `standing`.
    pub(crate) fn receipt(&self, standing: &Standing, at: Timestamp, what: Outcome) -> Vec<u8> {
        let receipt = Receipt {
            signer: self.pins.name.clone(),
            exchange: self.pins.exchange.clone(),
            store: self.store,
            counter: standing.counter,
            at,
            epoch: standing.epoch,
            what,
        };
        release::seal(Kind::Receipt, &receipt.to_bytes(), self.key)
    }
}

/// The first withdrawal for which a bucket does not suffice after those before it.
fn first_over(available: Amount, by: &[(WithdrawalId, Amount)]) -> Option<WithdrawalId> {
    let mut sum = Amount::ZERO;
    let mut over = by.iter().filter(|(_, amount)| {
        sum = sum.saturating_add(*amount);
        sum > available
    });
    over.next().map(|(withdrawal, _)| *withdrawal)
}

/// Which texts were authorised before; refuses voided and changed ones, and new ones past their end.
fn known(records: &Records<'_>, examined: &Examined, now: Timestamp) -> Result<Known, Refused> {
    for text in &examined.payments {
        if records.voided(text.withdrawal)?.is_some() {
            return Err(Refused::Voided { withdrawal: text.withdrawal });
        }
    }
    let mut payments = Vec::with_capacity(examined.payments.len());
    for (text, payment) in examined.payments.iter().zip(&examined.release.payments) {
        let withdrawal = text.withdrawal;
        let not_after = text.not_after.timestamp();
        payments.push(match records.intent(withdrawal)? {
            Some(before) if before == payment.intent => true,
            Some(_) => return Err(Refused::IntentChanged { withdrawal }),
            None if now > not_after => return Err(Refused::IntentExpired { withdrawal, not_after }),
            None => false,
        });
    }
    let mut transfer = false;
    if let (Some(text), Some(signed)) = (&examined.transfer, &examined.release.transfer) {
        let (id, not_after) = (text.transfer, text.not_after.timestamp());
        transfer = match records.transfer_text(id)? {
            Some(before) if before == signed.text => true,
            Some(_) => return Err(Refused::TransferChanged { transfer: id }),
            None if now > not_after => return Err(Refused::TransferExpired { transfer: id, not_after }),
            None => false,
        };
    }
    Ok(Known { payments, transfer })
}

/// The receipt that was given for exactly this transaction. Its outputs were compared with the texts of this release, so
/// none of the withdrawals that it was given for can be missing here; another one, alike to it, could have been added.
fn answered(records: &Records<'_>, examined: &Examined) -> Result<Option<Vec<u8>>, Refused> {
    let Some((counter, receipt)) = records.receipt(&examined.decoded.digest)? else { return Ok(None) };
    let in_it = |before: &[Authorised]| before.iter().any(|before| before.counter == counter);
    for text in &examined.payments {
        if !in_it(&records.transactions(text.withdrawal)?) {
            return Err(Refused::TransactionClaimed);
        }
    }
    if let Some(text) = &examined.transfer
        && !in_it(&records.transfer_transactions(text.transfer)?)
    {
        return Err(Refused::TransactionClaimed);
    }
    Ok(Some(receipt))
}

/// Of everything ever authorised for a withdrawal at most one transaction may be mined.
fn check_conflicts(records: &Records<'_>, examined: &Examined, known: &Known) -> Result<(), Refused> {
    let keys = &examined.decoded.conflict_keys;
    let texts = examined.payments.iter().zip(&known.payments).filter(|(_, known)| **known);
    for (text, _) in texts {
        let withdrawal = text.withdrawal;
        if !conflicts_with_all(keys, &records.transactions(withdrawal)?)? {
            return Err(Refused::ConflictMissing { withdrawal });
        }
    }
    if let Some(text) = examined.transfer.as_ref().filter(|_| known.transfer) {
        let transfer: TransferId = text.transfer;
        if !conflicts_with_all(keys, &records.transfer_transactions(transfer)?)? {
            return Err(Refused::TransferConflictMissing { transfer });
        }
    }
    Ok(())
}

/// `keys` are in ascending order.
fn conflicts_with_all(keys: &[ConflictKey], before: &[Authorised]) -> Result<bool, Refused> {
    if before.len() >= TRANSACTIONS_MAX {
        return Err(Refused::ReplacedTooOften);
    }
    Ok(before.iter().all(|earlier| earlier.keys.iter().any(|key| keys.binary_search(key).is_ok())))
}

/// Uses up an act's nonce.
pub(crate) fn use_text(
    records: &Records<'_>,
    act: SignerAct,
    text: &holdfast_values::OperatorText,
    at: Timestamp,
) -> Result<(), Refused> {
    if records.use_nonce(&text.nonce.0, act.name(), at)? { Ok(()) } else { Err(Refused::ActUsed) }
}

/// A later epoch, in which sequences begin anew. What this store authorised before, the operators have seen merged.
pub(crate) fn begin_epoch(standing: &mut Standing, epoch: u64, counter: u64) -> Result<(), Refused> {
    if epoch <= standing.epoch {
        return Err(Refused::EpochNotNext { current: standing.epoch });
    }
    if counter != standing.counter {
        return Err(Refused::CounterDiffers { named: counter, counter: standing.counter });
    }
    standing.epoch = epoch;
    standing.seen = None;
    Ok(())
}
