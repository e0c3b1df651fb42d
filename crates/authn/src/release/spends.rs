//! The statement of spends: everything that a signer's store remembers to have authorised or voided, from which a
//! restored journal learns what it has forgotten.

use holdfast_values::texts::{ExchangeName, TEXT_BYTES_MAX};
use holdfast_values::{ConflictKey, Name, Network, Timestamp, WithdrawalId};

use super::envelope::Kind;
use super::receipt::CONFLICT_KEYS_MAX;
use super::wire::{self, Fault, PayloadError, Reader, Wire, Writer};

/// Most spends, transfers or voided withdrawals in one statement.
pub const SPENDS_MAX: usize = 1_000_000;
/// Most transactions of one withdrawal: the first and its replacements.
pub const TRANSACTIONS_MAX: usize = 1_000;

/// All that a signer's store remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spends {
    /// The signer.
    pub signer: Name,
    /// The exchange.
    pub exchange: ExchangeName,
    /// Names the signer's durable store.
    pub store: [u8; 16],
    /// The counter of the store's last receipt.
    pub counter: u64,
    /// The signer's time.
    pub at: Timestamp,
    /// The epoch that the signer is in.
    pub epoch: u64,
    /// The journal's highest sequence that the signer has seen.
    pub sequence: u64,
    /// That record's hash.
    pub head: [u8; 32],
    /// Withdrawals that were authorised.
    pub spends: Vec<Spend>,
    /// Internal transactions that were authorised.
    pub transfers: Vec<SpentTransfer>,
    /// Withdrawals that never will be authorised.
    pub voided: Vec<WithdrawalId>,
}

/// One withdrawal that was authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// Its `holdfast-withdrawal/v1` text, to the letter.
    pub intent: String,
    /// When it was authorised first.
    pub at: Timestamp,
    /// Where.
    pub network: Network,
    /// The wallet that pays.
    pub wallet: Name,
    /// The transactions that were authorised for it, in that order. At most one of them can ever be on chain.
    pub transactions: Vec<SpentTransaction>,
}

/// One internal transaction that was authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentTransfer {
    /// Its `holdfast-transfer/v1` text, to the letter.
    pub text: String,
    /// The transactions that were authorised for it, in that order.
    pub transactions: Vec<SpentTransaction>,
}

/// One transaction that was authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentTransaction {
    /// Its digest.
    pub digest: [u8; 32],
    /// What it uses up on chain.
    pub conflict_keys: Vec<ConflictKey>,
    /// When.
    pub at: Timestamp,
    /// The digest of its outputs, by which a chain's report of it is told from another transaction's of the same coins.
    pub outputs: [u8; 32],
}

impl Spends {
    /// The payload. What is over a limit is written too, and then refused by [`parse`](Self::parse).
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Exactly what [`to_bytes`](Self::to_bytes) gives, within the limits of the format. Texts are not parsed.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        wire::parse(Kind::Spends, bytes)
    }
}

impl Wire for Spends {
    fn write(&self, w: &mut Writer) {
        w.map(11);
        w.key(1).text(self.signer.as_str());
        w.key(2).printed(&self.exchange);
        w.key(3).bytes(&self.store);
        w.key(4).uint(self.counter);
        w.key(5).uint(self.at.0);
        w.key(6).uint(self.epoch);
        w.key(7).uint(self.sequence);
        w.key(8).bytes(&self.head);
        w.key(9).list(&self.spends, |w, spend| spend.write(w));
        w.key(10).list(&self.transfers, |w, transfer| transfer.write(w));
        w.key(11).list(&self.voided, |w, id| w.printed(id));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(11)?;
        Ok(Self {
            signer: r.key(1, "signer")?.parsed()?,
            exchange: r.key(2, "exchange")?.parsed()?,
            store: r.key(3, "store")?.bytes()?,
            counter: r.key(4, "counter")?.uint()?,
            at: Timestamp(r.key(5, "at")?.uint()?),
            epoch: r.key(6, "epoch")?.uint()?,
            sequence: r.key(7, "sequence")?.uint()?,
            head: r.key(8, "head")?.bytes()?,
            spends: r.key(9, "spends")?.list(SPENDS_MAX, Spend::read)?,
            transfers: r.key(10, "transfers")?.list(SPENDS_MAX, SpentTransfer::read)?,
            voided: r.key(11, "voided")?.list(SPENDS_MAX, Reader::parsed)?,
        })
    }
}

impl Wire for Spend {
    fn write(&self, w: &mut Writer) {
        w.map(5);
        w.key(1).text(&self.intent);
        w.key(2).uint(self.at.0);
        w.key(3).text(self.network.name());
        w.key(4).text(self.wallet.as_str());
        w.key(5).list(&self.transactions, |w, transaction| transaction.write(w));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(5)?;
        Ok(Self {
            intent: r.key(1, "intent")?.text(TEXT_BYTES_MAX)?.to_owned(),
            at: Timestamp(r.key(2, "at")?.uint()?),
            network: r.key(3, "network")?.parsed()?,
            wallet: r.key(4, "wallet")?.parsed()?,
            transactions: r.key(5, "transactions")?.list(TRANSACTIONS_MAX, SpentTransaction::read)?,
        })
    }
}

impl Wire for SpentTransfer {
    fn write(&self, w: &mut Writer) {
        w.map(2);
        w.key(1).text(&self.text);
        w.key(2).list(&self.transactions, |w, transaction| transaction.write(w));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(2)?;
        Ok(Self {
            text: r.key(1, "text")?.text(TEXT_BYTES_MAX)?.to_owned(),
            transactions: r.key(2, "transactions")?.list(TRANSACTIONS_MAX, SpentTransaction::read)?,
        })
    }
}

impl Wire for SpentTransaction {
    fn write(&self, w: &mut Writer) {
        w.map(4);
        w.key(1).bytes(&self.digest);
        w.key(2).list(&self.conflict_keys, |w, key| w.printed(key));
        w.key(3).uint(self.at.0);
        w.key(4).bytes(&self.outputs);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(4)?;
        Ok(Self {
            digest: r.key(1, "digest")?.bytes()?,
            conflict_keys: r.key(2, "conflict keys")?.list(CONFLICT_KEYS_MAX, Reader::parsed)?,
            at: Timestamp(r.key(3, "at")?.uint()?),
            outputs: r.key(4, "outputs")?.bytes()?,
        })
    }
}
