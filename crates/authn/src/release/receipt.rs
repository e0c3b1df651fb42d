//! The receipt: the signer's word that it authorised a transaction, or that it will never authorise a withdrawal.

use holdfast_values::texts::ExchangeName;
use holdfast_values::{ConflictKey, Name, Network, ReleaseId, Timestamp, TransferId, WithdrawalId};

use super::envelope::Kind;
use super::payload::PAYMENTS_MAX;
use super::wire::{self, Fault, PayloadError, Reader, Wire, Writer};

/// Most conflict keys of one transaction.
pub const CONFLICT_KEYS_MAX: usize = 1_000;

/// One entry of the signer's own count of what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The signer.
    pub signer: Name,
    /// The exchange.
    pub exchange: ExchangeName,
    /// Names the signer's durable store.
    pub store: [u8; 16],
    /// 1 for the first receipt of the store, then without gaps.
    pub counter: u64,
    /// The signer's time.
    pub at: Timestamp,
    /// The epoch that the signer is in.
    pub epoch: u64,
    /// What it did.
    pub what: Outcome,
}

/// What a receipt is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A transaction may be signed.
    Authorised {
        /// By which release.
        release: ReleaseId,
        /// Where.
        network: Network,
        /// The wallet that pays.
        wallet: Name,
        /// The transaction's digest.
        transaction: [u8; 32],
        /// What the transaction uses up on chain.
        conflict_keys: Vec<ConflictKey>,
        /// The withdrawals that it pays.
        withdrawals: Vec<WithdrawalId>,
        /// What an internal transaction is for.
        transfer: Option<TransferId>,
    },
    /// No transaction that pays this withdrawal will be authorised, ever.
    Voided {
        /// The withdrawal.
        withdrawal: WithdrawalId,
    },
}

impl Receipt {
    /// The payload. What is over a limit is written too, and then refused by [`parse`](Self::parse).
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Exactly what [`to_bytes`](Self::to_bytes) gives, within the limits of the format.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        wire::parse(Kind::Receipt, bytes)
    }
}

impl Wire for Receipt {
    fn write(&self, w: &mut Writer) {
        w.map(7);
        w.key(1).text(self.signer.as_str());
        w.key(2).printed(&self.exchange);
        w.key(3).bytes(&self.store);
        w.key(4).uint(self.counter);
        w.key(5).uint(self.at.0);
        w.key(6).uint(self.epoch);
        self.what.write(w.key(7));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(7)?;
        Ok(Self {
            signer: r.key(1, "signer")?.parsed()?,
            exchange: r.key(2, "exchange")?.parsed()?,
            store: r.key(3, "store")?.bytes()?,
            counter: r.key(4, "counter")?.uint()?,
            at: Timestamp(r.key(5, "at")?.uint()?),
            epoch: r.key(6, "epoch")?.uint()?,
            what: Outcome::read(r.key(7, "what")?)?,
        })
    }
}

impl Wire for Outcome {
    fn write(&self, w: &mut Writer) {
        w.map(1);
        match self {
            Self::Authorised {
                release,
                network,
                wallet,
                transaction,
                conflict_keys,
                withdrawals,
                transfer,
            } => {
                w.key(1).map(7);
                w.key(1).printed(release);
                w.key(2).text(network.name());
                w.key(3).text(wallet.as_str());
                w.key(4).bytes(transaction);
                w.key(5).list(conflict_keys, |w, key| w.printed(key));
                w.key(6).list(withdrawals, |w, id| w.printed(id));
                w.key(7).option(transfer.as_ref(), |w, id| w.printed(id));
            }
            Self::Voided { withdrawal } => {
                w.key(2).map(1);
                w.key(1).printed(withdrawal);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.map(1)?;
        match r.any_key()? {
            1 => {
                r.map(7)?;
                Ok(Self::Authorised {
                    release: r.key(1, "release")?.parsed()?,
                    network: r.key(2, "network")?.parsed()?,
                    wallet: r.key(3, "wallet")?.parsed()?,
                    transaction: r.key(4, "transaction")?.bytes()?,
                    conflict_keys: r.key(5, "conflict keys")?.list(CONFLICT_KEYS_MAX, Reader::parsed)?,
                    withdrawals: r.key(6, "withdrawals")?.list(PAYMENTS_MAX, Reader::parsed)?,
                    transfer: r.key(7, "transfer")?.option(Reader::parsed)?,
                })
            }
            2 => {
                r.map(1)?;
                Ok(Self::Voided { withdrawal: r.key(1, "withdrawal")?.parsed()? })
            }
            _ => Err(Fault::Value),
        }
    }
}
