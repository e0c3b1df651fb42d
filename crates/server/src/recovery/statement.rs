//! A signer's signed statement, and what of it a restored journal has to take in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_authn::release::{Kind, Spend, Spends, SpentTransaction, open};
use holdfast_decision::State;
use holdfast_decision::acts::{Act, ActLines, Digest, EpochStart};
use holdfast_decision::event::{RecoveredTransaction, SpendRecovered};
use holdfast_values::{Name, Network, Timestamp, WithdrawalId, WithdrawalText};

use super::RecoveryError;
use super::scan::{Known, Wanted};
use crate::data;
use crate::fingerprint::Fingerprinter;
use crate::record::hex;

/// What an envelope may have beyond its payload.
const ENVELOPE_BYTES_MAX: u64 = 256;

/// A statement that its signer signed.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) path: PathBuf,
    pub(super) spends: Spends,
    /// The texts of its spends, in their order.
    texts: Vec<WithdrawalText>,
}

impl Statement {
    /// Reads a statement and proves whose it is: one of the signers in the journal's configuration.
    pub(super) fn read(path: &Path, state: &State) -> Result<Self, RecoveryError> {
        let refused = |code: &'static str, what: String| {
            Err(RecoveryError::Statement { code, path: path.to_owned(), what })
        };
        let max = u64::try_from(Kind::Spends.payload_bytes_max()).unwrap_or(u64::MAX);
        let bytes = data::read_limited(path, max.saturating_add(ENVELOPE_BYTES_MAX))?;
        let signers: Vec<_> = state.configuration().signers.iter().flatten().collect();
        let keys: Vec<[u8; 32]> = signers.iter().map(|signer| signer.receipt_key).collect();
        let (payload, key) = match open(Kind::Spends, &bytes, &keys) {
            Ok(opened) => opened,
            Err(error) => return refused(error.code(), error.to_string()),
        };
        let spends = match Spends::parse(&payload) {
            Ok(spends) => spends,
            Err(error) => return refused(error.code(), error.to_string()),
        };
        if !signers.iter().any(|signer| signer.name == spends.signer && signer.receipt_key == key) {
            let what = format!("it calls itself {}, and is signed with another signer's key", spends.signer);
            return refused("statement_signer", what);
        }
        if spends.exchange.to_string() != state.exchange() {
            let what = format!("it is of {}, and this journal of {}", spends.exchange, state.exchange());
            return refused("statement_exchange", what);
        }
        let mut texts = Vec::with_capacity(spends.spends.len());
        for spend in &spends.spends {
            match WithdrawalText::parse(spend.intent.as_bytes()) {
                Ok(text) => texts.push(text),
                Err(error) => return refused("statement_text", format!("a text in it is none: {error}")),
            }
        }
        Ok(Self { path: path.to_owned(), spends, texts })
    }

    /// What has to be looked for in the journal.
    pub(super) fn wants(&self, wanted: &mut Wanted) {
        wanted.withdrawals.extend(self.texts.iter().map(|text| text.withdrawal));
        let transfers = self.spends.transfers.iter().flat_map(|transfer| &transfer.transactions);
        wanted.transfers.extend(transfers.map(digest));
    }

    /// The spends with their texts.
    fn each(&self) -> impl Iterator<Item = (&Spend, &WithdrawalText)> {
        self.spends.spends.iter().zip(&self.texts)
    }
}

fn digest(transaction: &SpentTransaction) -> Digest {
    Digest(transaction.digest)
}

/// A payment that a signer authorised, for a person who has to book it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// Its text, as the signer recorded it.
    pub text: WithdrawalText,
    /// When the signer authorised it first.
    pub at: Timestamp,
    /// Who pays.
    pub wallet: Name,
    /// Where.
    pub network: Network,
    /// Digests of the transactions that may pay it, in hex. At most one of them can be on chain.
    pub transactions: Vec<String>,
    /// It is open in this journal, and asks for something else there: another destination, amount, asset or account.
    pub differs: bool,
}

/// What one signer's statement brings into a restored journal.
#[derive(Clone, Debug)]
pub struct Merge {
    /// The signer.
    pub signer: Name,
    /// The epoch that begins.
    pub epoch: u64,
    /// The signer's store.
    pub store: [u8; 16],
    /// Its counter.
    pub counter: u64,
    /// Open in this journal: counts as released from then on.
    pub released: Vec<Payment>,
    /// Not in this journal, or closed in it without a release: gone all the same, to be booked by hand.
    pub lost: Vec<Payment>,
    /// Of wallets that this journal does not have, and that were told to be left out: to be booked by hand.
    pub left_out: Vec<Payment>,
    /// Open in this journal, and never to be authorised by this signer.
    pub voided: Vec<WithdrawalId>,
    /// How many spends the journal had settled itself.
    pub settled: u64,
    /// Texts of internal transactions that this journal does not know: a watcher that reports them will halt their wallet.
    pub unknown_transfers: Vec<String>,
    /// How many records were lost at least, as far as the signer has seen them.
    pub lost_records: u64,
    spends: Vec<SpendRecovered>,
}

impl Merge {
    pub(super) fn of(
        statement: &Statement,
        state: &State,
        known: &Known,
        fingerprints: &Fingerprinter,
        without: &[Name],
        (epoch, lost_records): (u64, u64),
    ) -> Result<Self, RecoveryError> {
        let said = &statement.spends;
        let mut merge = Self {
            signer: said.signer.clone(),
            epoch,
            store: said.store,
            counter: said.counter,
            released: Vec::new(),
            lost: Vec::new(),
            left_out: Vec::new(),
            voided: said.voided.iter().copied().filter(|id| state.withdrawal(*id).is_some()).collect(),
            settled: 0,
            unknown_transfers: Vec::new(),
            lost_records,
            spends: Vec::new(),
        };
        // What a transaction spends is said once, with the first withdrawal that it pays.
        let mut described = BTreeSet::new();
        for (spend, text) in statement.each() {
            let transactions: Vec<Digest> = spend.transactions.iter().map(digest).collect();
            if known.is_settled(text.withdrawal, &transactions) {
                merge.settled = merge.settled.saturating_add(1);
                continue;
            }
            let payment = payment(spend, text, state);
            let Some(wallet) = state.wallet_index(&spend.wallet) else {
                if without.contains(&spend.wallet) {
                    merge.left_out.push(payment);
                    continue;
                }
                let what = format!(
                    "{} was paid by the wallet {}, which this journal's configuration does not have yet: restore a later \
                     backup, or leave what it paid out with --without-wallet {}",
                    text.withdrawal, spend.wallet, spend.wallet
                );
                let path = statement.path.clone();
                return Err(RecoveryError::Statement { code: "statement_wallet_unknown", path, what });
            };
            let is_lost = state.withdrawal(text.withdrawal).is_none();
            merge.spends.push(SpendRecovered {
                withdrawal: text.withdrawal,
                intent: spend.intent.clone(),
                fingerprint: fingerprints.destination(&text.destination),
                signer: said.signer.clone(),
                wallet,
                network: spend.network,
                transactions: spend
                    .transactions
                    .iter()
                    .map(|spent| RecoveredTransaction {
                        transaction: digest(spent),
                        spends: if described.insert(digest(spent)) {
                            spent.conflict_keys.clone()
                        } else {
                            Vec::new()
                        },
                        outputs: Some(Digest(spent.outputs)),
                    })
                    .collect(),
                is_lost,
            });
            if is_lost { &mut merge.lost } else { &mut merge.released }.push(payment);
        }
        for transfer in &said.transfers {
            if !transfer.transactions.iter().all(|spent| known.transfers.contains(&digest(spent))) {
                merge.unknown_transfers.push(transfer.text.clone());
            }
        }
        Ok(merge)
    }

    /// The act that takes this in.
    pub(super) fn act(&self) -> Act {
        Act::BeginEpoch(Box::new(EpochStart {
            epoch: self.epoch,
            store: self.store,
            counter: self.counter,
            signer: self.signer.clone(),
            spends: self.spends.clone(),
            voided: self.voided.clone(),
        }))
    }

    /// How operators' text must name it.
    #[must_use]
    pub fn lines(&self) -> ActLines {
        self.act().lines()
    }
}

fn payment(spend: &Spend, text: &WithdrawalText, state: &State) -> Payment {
    let asked = state.text_of(text.withdrawal);
    let differs = asked.is_some_and(|asked| {
        (&asked.account, &asked.asset, &asked.destination, asked.amount)
            != (&text.account, &text.asset, &text.destination, text.amount)
    });
    Payment {
        withdrawal: text.withdrawal,
        text: text.clone(),
        at: spend.at,
        wallet: spend.wallet.clone(),
        network: spend.network,
        transactions: spend.transactions.iter().map(|spent| hex(&spent.digest)).collect(),
        differs,
    }
}
