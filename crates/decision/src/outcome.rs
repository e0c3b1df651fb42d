//! What is decided about a withdrawal, where it stands, and the line that it may wait in.
//!
//! All of it is journaled: a variant or a field number is never reused.

use holdfast_policy::Factor;
use holdfast_values::{Timestamp, UsdCents};
use minicbor::{Decode, Encode};

use crate::configuration::Class;
use crate::event::{AssetIndex, WalletIndex};
use crate::reason::{Reason, Severity};

/// What was decided about a withdrawal, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Decision {
    /// What is asked for now; reasons that are discharged are still listed.
    #[n(0)]
    pub severity: Severity,
    /// Where the withdrawal stands after this.
    #[n(1)]
    pub status: Status,
    /// Whose bucket it spends.
    #[n(2)]
    pub class: Class,
    /// It waits at least until then; not after the request if it need not.
    #[n(3)]
    pub dwell_until: Timestamp,
    /// Factors asked for and not yet shown.
    #[n(4)]
    pub factors: Factors,
    /// Value at the 24 h high.
    #[n(5)]
    pub usd_cents: UsdCents,
    /// Why.
    #[n(6)]
    pub reasons: Vec<Reason>,
}

/// A set of factors. Bits: 1 one-time code, 2 passkey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Factors(#[n(0)] pub u8);

impl Factors {
    const fn bit(factor: Factor) -> u8 {
        match factor {
            Factor::OneTimeCode => 1,
            Factor::Passkey => 2,
        }
    }

    /// True if nothing is asked for.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if `factor` is among them.
    pub const fn contains(self, factor: Factor) -> bool {
        self.0 & Self::bit(factor) != 0
    }

    /// With `factor` too.
    #[must_use]
    pub const fn with(self, factor: Factor) -> Self {
        Self(self.0 | Self::bit(factor))
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Where a withdrawal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Status {
    /// Its owner is asked for a factor.
    #[n(0)]
    AwaitingApproval,
    /// It waits: for its dwell, its bucket or the end of a halt.
    #[n(1)]
    Dwelling,
    /// A person looks at it.
    #[n(2)]
    Held,
    /// It may be released.
    #[n(3)]
    Approved,
    /// It does not go.
    #[n(4)]
    Denied,
    /// Its owner took it back.
    #[n(5)]
    Cancelled,
    /// It was not released in time.
    #[n(6)]
    Expired,
    /// A signer may sign a transaction that pays it: time alone gives nothing back from here on.
    #[n(7)]
    Released,
    /// A chain's nodes know a transaction that pays it.
    #[n(8)]
    Broadcast,
    /// A block holds one; final once there are enough blocks above.
    #[n(9)]
    Confirmed,
    /// A signer vouches that it never authorised it and never will.
    #[n(10)]
    Voided,
    /// A conflicting transaction that does not pay it is final.
    #[n(11)]
    Replaced,
    /// Its transaction is final and failed.
    #[n(12)]
    Failed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::AwaitingApproval,
        Self::Dwelling,
        Self::Held,
        Self::Approved,
        Self::Denied,
        Self::Cancelled,
        Self::Expired,
        Self::Released,
        Self::Broadcast,
        Self::Confirmed,
        Self::Voided,
        Self::Replaced,
        Self::Failed,
    ];

    /// As answers carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Dwelling => "dwelling",
            Self::Held => "held",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Released => "released",
            Self::Broadcast => "broadcast",
            Self::Confirmed => "confirmed",
            Self::Voided => "voided",
            Self::Replaced => "replaced",
            Self::Failed => "failed",
        }
    }

    /// True if nothing can follow. (`confirmed` can be reorganised until the journal says that it is paid.)
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Denied | Self::Cancelled | Self::Expired | Self::Voided | Self::Replaced | Self::Failed
        )
    }

    /// True if a signer may have signed: only a chain or the signer itself takes it back.
    pub const fn is_released(self) -> bool {
        matches!(self, Self::Released | Self::Broadcast | Self::Confirmed)
    }
}

/// One waiting line for a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Lane {
    /// Of which asset.
    #[n(0)]
    pub asset: AssetIndex,
    /// Paid by which wallet: two wallets of one asset do not wait for one another.
    #[n(1)]
    pub wallet: WalletIndex,
    /// From which buckets.
    #[n(2)]
    pub class: Class,
    /// For small withdrawals of old accounts, which may use what is kept for them.
    #[n(3)]
    pub small: bool,
}
