//! One walk over a restored journal: what it knows of the payments that a signer's statement names.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_decision::acts::Digest;
use holdfast_decision::event::Event;
use holdfast_journal::LocalReader;
use holdfast_values::{Name, WithdrawalId};

use super::RecoveryError;
use crate::record;

/// How many records pass between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) withdrawals: BTreeSet<WithdrawalId>,
    pub(super) transfers: BTreeSet<Digest>,
}

/// What the journal knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// In which epoch each signer's records were taken in last.
    pub(super) merged: BTreeMap<Name, u64>,
    /// Those of the transfers looked for that it released.
    pub(super) transfers: BTreeSet<Digest>,
    traces: BTreeMap<WithdrawalId, Trace>,
}

/// A withdrawal's way through the journal.
#[derive(Debug, Default)]
struct Trace {
    /// The transactions that may pay it.
    transactions: BTreeSet<Digest>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// Open, closed without a release, or never heard of.
    #[default]
    Unsettled,
    /// A transaction that pays it is final.
    Paid,
    /// It was released and then closed without being paid, or was taken in as lost after an earlier restore: whatever
    /// those transactions do was reckoned with.
    Settled,
}

impl Known {
    /// True if the journal has closed this withdrawal in knowledge of all these transactions: there is nothing to merge.
    pub(super) fn is_settled(&self, id: WithdrawalId, transactions: &[Digest]) -> bool {
        let Some(trace) = self.traces.get(&id) else { return false };
        match trace.fate {
            // At most one of the transactions of a withdrawal can be on chain: the final one.
            Fate::Paid => true,
            Fate::Settled => transactions.iter().all(|digest| trace.transactions.contains(digest)),
            Fate::Unsettled => false,
        }
    }

    fn learn(&mut self, event: &Event, wanted: &Wanted) {
        match event {
            Event::EpochBegun { epoch, signer, .. } => {
                self.merged.insert(signer.clone(), *epoch);
            }
            Event::TransactionReleased(released) => {
                if wanted.transfers.contains(&released.transaction) {
                    self.transfers.insert(released.transaction);
                }
                for id in released.withdrawals.iter().filter(|id| wanted.withdrawals.contains(id)) {
                    self.traces.entry(*id).or_default().transactions.insert(released.transaction);
                }
            }
            Event::WithdrawalPaid { withdrawal, .. } if wanted.withdrawals.contains(withdrawal) => {
                self.traces.entry(*withdrawal).or_default().fate = Fate::Paid;
            }
            Event::WithdrawalMoved { withdrawal, status, .. } if status.is_final() => {
                if let Some(trace) = self.traces.get_mut(withdrawal)
                    && trace.fate == Fate::Unsettled
                    && !trace.transactions.is_empty()
                {
                    trace.fate = Fate::Settled;
                }
            }
            Event::SpendRecovered(spend) if wanted.withdrawals.contains(&spend.withdrawal) => {
                let trace = self.traces.entry(spend.withdrawal).or_default();
                trace.transactions.extend(spend.transactions.iter().map(|known| known.transaction));
                if spend.is_lost && trace.fate == Fate::Unsettled {
                    trace.fate = Fate::Settled;
                }
            }
            _ => {}
        }
    }
}

/// Walks over the journal up to `end`. `progress` is told the sequence reached and the last one.
pub(super) fn scan(
    reader: &LocalReader,
    end: u64,
    wanted: &Wanted,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Known, RecoveryError> {
    let mut known = Known::default();
    for record in reader.records(1) {
        let record = record?;
        if record.sequence > end {
            break;
        }
        for event in &record::decode(&record)?.events {
            known.learn(event, wanted);
        }
        if record.sequence.is_multiple_of(PROGRESS_EVERY) {
            progress(record.sequence, end);
        }
    }
    Ok(known)
}
