//! What events say of releases: the transaction that may be signed, why some were left out, where one stands on its chain,
//! what cannot be, and what a signer remembers after a restore.
//!
//! Like all events, these are journaled: a field number is never reused.

use holdfast_values::{
    Amount, ConflictKey, Fingerprint, Name, Network, ReleaseId, Timestamp, TransferId, UsdCents, WithdrawalId,
};
use minicbor::{Decode, Encode};

use crate::acts::Digest;
use crate::event::{AssetIndex, WalletIndex};
use crate::reason::Drop;
use crate::subject::OperatorSignature;

/// What operators signed to let a withdrawal go on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Approval {
    /// The `holdfast-operator/v1` text, to the letter.
    #[n(0)]
    pub text: String,
    /// Its signatures.
    #[n(1)]
    pub signatures: Vec<OperatorSignature>,
}

/// A transaction that may be signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionReleased {
    /// The release's id.
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
    /// The transaction's digest.
    #[n(4)]
    pub transaction: Digest,
    /// What it spends, in order.
    #[n(5)]
    pub spends: Vec<ConflictKey>,
    /// Digest of its outputs, as observations carry it.
    #[n(6)]
    pub outputs: Digest,
    /// What it costs at most, in the network's own units.
    #[n(7)]
    pub fee: Amount,
    /// What it pays.
    #[n(8)]
    pub withdrawals: Vec<WithdrawalId>,
    /// The internal transfer that it is instead.
    #[n(9)]
    pub transfer: Option<Box<TransferReleased>>,
    /// The release is good from here ...
    #[n(10)]
    pub not_before: Timestamp,
    /// ... to here.
    #[n(11)]
    pub expires: Timestamp,
}

/// An internal transfer that may be signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransferReleased {
    /// Its id.
    #[n(0)]
    pub transfer: TransferId,
    /// Its text, and operators' signatures where it pays somebody else.
    #[n(1)]
    pub approval: Approval,
    /// What it pays outside the wallets: asset, base units, and their value.
    #[n(2)]
    pub external: Option<(AssetIndex, Amount, UsdCents)>,
}

/// A withdrawal that a proposed transaction may not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Dropped {
    /// Which.
    #[n(0)]
    pub withdrawal: WithdrawalId,
    /// Why.
    #[n(1)]
    pub why: Drop,
}

/// Where a released transaction stands on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Standing {
    /// Nobody has seen it.
    #[n(0)]
    Unseen,
    /// A node keeps it for a block.
    #[n(1)]
    Pending,
    /// A block holds it.
    #[n(2)]
    Included,
    /// A block holds it, and it failed.
    #[n(3)]
    Failed,
    /// It was seen and is gone.
    #[n(4)]
    Vanished,
    /// It is final.
    #[n(5)]
    Final,
    /// It can never be: what it spends is spent for good, or its signer voided it.
    #[n(6)]
    Dead,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Unseen, Self::Pending, Self::Included, Self::Failed, Self::Vanished, Self::Final, Self::Dead];

    /// As answers carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Pending => "pending",
            Self::Included => "included",
            Self::Failed => "failed",
            Self::Vanished => "vanished",
            Self::Final => "final",
            Self::Dead => "dead",
        }
    }

    /// True if nothing more can come of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Final | Self::Dead)
    }
}

/// What a chain or a signer shows that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Alarm {
    /// A wallet's coins were spent by a transaction that was never released.
    #[n(0)]
    UnknownSpend,
    /// A final transaction is final no more.
    #[n(1)]
    DeepReorganisation,
    /// A signer authorised what was never released.
    #[n(2)]
    UnknownAuthorisation,
}

impl Alarm {
    /// As answers carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownSpend => "unknown_spend",
            Self::DeepReorganisation => "deep_reorganisation",
            Self::UnknownAuthorisation => "unknown_authorisation",
        }
    }
}

/// A payment that a signer remembers and the restored journal does not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SpendRecovered {
    /// Which withdrawal.
    #[n(0)]
    pub withdrawal: WithdrawalId,
    /// Its text, as the signer recorded it.
    #[n(1)]
    pub intent: String,
    /// Its destination, as a key.
    #[n(2)]
    pub fingerprint: Fingerprint,
    /// The signer.
    #[n(3)]
    pub signer: Name,
    /// Who paid.
    #[n(4)]
    pub wallet: WalletIndex,
    /// Where.
    #[n(5)]
    pub network: Network,
    /// The transactions that may pay it.
    #[n(6)]
    pub transactions: Vec<RecoveredTransaction>,
    /// It is not among the open withdrawals of this journal.
    #[n(7)]
    pub is_lost: bool,
}

/// A transaction that a signer authorised.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveredTransaction {
    /// Its digest.
    #[n(0)]
    pub transaction: Digest,
    /// What it spends.
    #[n(1)]
    pub spends: Vec<ConflictKey>,
    /// Digest of its outputs, if known.
    #[n(2)]
    pub outputs: Option<Digest>,
}
