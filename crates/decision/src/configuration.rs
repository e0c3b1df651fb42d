//! What the exchange has and how much may leave: assets, wallets, tiers, buckets, parameters.
//!
//! A configuration enters in the first record and is replaced as a whole by an operator's act (`configure`).

use holdfast_values::{AssetSpec, Amount, Micros, Name, Network, UsdCents, time};
use minicbor::{Decode, Encode};

/// The three classes of outflow, by how well somebody vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Class {
    /// An intent-bound approval, or two operators' signatures on this very withdrawal.
    #[n(0)]
    Bound,
    /// A destination past its ageing whose notice was delivered a veto window ago.
    #[n(1)]
    Aged,
    /// The rest.
    #[n(2)]
    Unvouched,
}

impl Class {
    /// All of them, by trust.
    pub const ALL: [Self; 3] = [Self::Bound, Self::Aged, Self::Unvouched];

    /// As policies and people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Aged => "aged",
            Self::Unvouched => "unvouched",
        }
    }
}

/// A token bucket's size and refill; asset buckets in base units, wallet and overall buckets in US dollar cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BucketSpec {
    /// The most that it holds, and what it starts with.
    #[n(0)]
    pub size: Amount,
    /// What flows back in an hour.
    #[n(1)]
    pub refill_per_hour: Amount,
}

/// One bucket a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BucketSpecs {
    /// For [`Class::Bound`].
    #[n(0)]
    pub bound: BucketSpec,
    /// For [`Class::Aged`].
    #[n(1)]
    pub aged: BucketSpec,
    /// For [`Class::Unvouched`].
    #[n(2)]
    pub unvouched: BucketSpec,
}

impl BucketSpecs {
    /// The bucket of `class`.
    pub const fn of(&self, class: Class) -> BucketSpec {
        match class {
            Class::Bound => self.bound,
            Class::Aged => self.aged,
            Class::Unvouched => self.unvouched,
        }
    }
}

/// An asset, what pays it on each network, and its buckets.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AssetConfiguration {
    /// Symbol, decimals, networks.
    #[n(0)]
    pub spec: AssetSpec,
    /// Which wallet pays on which network.
    #[n(1)]
    pub wallets: Vec<(Network, Name)>,
    /// In base units.
    #[n(2)]
    pub buckets: BucketSpecs,
}

/// A hot wallet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WalletConfiguration {
    /// Unique name.
    #[n(0)]
    pub name: Name,
    /// In US dollar cents.
    #[n(1)]
    pub buckets: BucketSpecs,
}

/// What accounts of a tier may withdraw.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TierConfiguration {
    /// Unique name.
    #[n(0)]
    pub name: Name,
    /// In any 24 hours.
    #[n(1)]
    pub usd_cents_24h: UsdCents,
    /// In any 30 days.
    #[n(2)]
    pub usd_cents_30d: UsdCents,
}

/// Times, shares and thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Parameters {
    /// How old a destination must be to be aged.
    #[n(0)]
    pub address_ageing: Micros,
    /// How long its owner had to object, counted from the delivery of the notice.
    #[n(1)]
    pub veto_window: Micros,
    /// How long a security change counts as recent.
    #[n(2)]
    pub cooling_off: Micros,
    /// How long after enrolment an operator's signature begins to count.
    #[n(3)]
    pub operator_ageing: Micros,
    /// A withdrawal that waits for its bucket longer than this becomes a case.
    #[n(4)]
    pub queue_hold_after: Micros,
    /// How long a withdrawal may stay open without being released.
    #[n(5)]
    pub withdrawal_lifetime: Micros,
    /// A price older than this is stale.
    #[n(6)]
    pub price_stale_after: Micros,
    /// A price that moved more than this within an hour or two is a reason to hold, in 1/1000.
    #[n(7)]
    pub price_move_permille: u32,
    /// The most of a bucket that one account may take, in 1/1000.
    #[n(8)]
    pub account_share_permille: u32,
    /// What of a bucket is kept for small withdrawals of old accounts, in 1/1000.
    #[n(9)]
    pub small_reserve_permille: u32,
    /// Below this a withdrawal is small.
    #[n(10)]
    pub small_usd_cents: UsdCents,
    /// From this age on an account may use what is kept for small withdrawals.
    #[n(11)]
    pub small_account_age: Micros,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            address_ageing: time::DAY,
            veto_window: time::DAY,
            cooling_off: time::DAY,
            operator_ageing: time::DAY,
            queue_hold_after: time::DAY,
            withdrawal_lifetime: 7 * time::DAY,
            price_stale_after: 10 * time::MINUTE,
            price_move_permille: 200,
            account_share_permille: 50,
            small_reserve_permille: 300,
            small_usd_cents: UsdCents(100_000),
            small_account_age: 30 * time::DAY,
        }
    }
}

/// Everything that an exchange configures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Configuration {
    /// At most [`ASSETS_MAX`]; an asset is never removed, only halted, since the journal speaks of it.
    #[n(0)]
    pub assets: Vec<AssetConfiguration>,
    /// At most [`WALLETS_MAX`].
    #[n(1)]
    pub wallets: Vec<WalletConfiguration>,
    /// At most [`TIERS_MAX`].
    #[n(2)]
    pub tiers: Vec<TierConfiguration>,
    /// Over all assets and wallets, in US dollar cents.
    #[n(3)]
    pub overall: BucketSpecs,
    /// Times, shares and thresholds.
    #[n(4)]
    pub parameters: Parameters,
}

/// The most assets.
pub const ASSETS_MAX: usize = 1_000;
/// The most wallets.
pub const WALLETS_MAX: usize = 1_000;
/// The most tiers.
pub const TIERS_MAX: usize = 100;
/// The largest bucket: levels are kept in 1/3600 of a unit, and the product must fit 128 bits.
pub const BUCKET_SIZE_MAX: u128 = u128::MAX / 3_600_000;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Too many of something.
    #[error("at most {max} {what} can be configured")]
    TooMany {
        /// Assets, wallets, tiers.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Two things of one name.
    #[error("{what} {name} is configured twice")]
    Duplicate {
        /// Asset, wallet, tier.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// An asset says something impossible.
    #[error("asset {asset}: {problem}")]
    Asset {
        /// Which.
        asset: String,
        /// What is wrong.
        problem: String,
    },
    /// A bucket above [`BUCKET_SIZE_MAX`].
    #[error("a bucket of {what} is too large: at most {BUCKET_SIZE_MAX} units")]
    Bucket {
        /// Whose bucket.
        what: String,
    },
    /// A parameter out of its range.
    #[error("parameter {name} is out of range: {expected}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// Something that the journal speaks of is missing from the new configuration.
    #[error("{what} {name} cannot be removed or reordered, nor may an asset change its decimals")]
    Removed {
        /// Asset, wallet, tier.
        what: &'static str,
        /// Its name.
        name: String,
    },
}
