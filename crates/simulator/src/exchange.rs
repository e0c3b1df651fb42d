//! The exchange that is played: stated in every report, the same for every attack.

use holdfast_decision::Configuration;
use holdfast_values::{Micros, time};
use serde::Serialize;

/// What a run states about its exchange. Shares in 1/1000.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exchange {
    /// The hot wallet's bitcoins, in whole coins: 7,074.
    pub hot_wallet_btc: u64,
    /// US dollars a bitcoin: 5,900, as of 7 May 2019.
    pub usd_per_btc: u64,
    /// US dollars an ether: 170.
    pub usd_per_eth: u64,
    /// The hot wallet's ether, in whole coins: 100,000.
    pub hot_wallet_eth: u64,
    /// Bucket sizes as shares of the hot wallet, refilled by the same share an hour: unvouched 10 (1 %), aged 30, bound 200.
    pub bucket_permille: Buckets,
    /// The signer's own, beside Holdfast's: unvouched (aged and unvouched together) 40, vouched 200, and the cap of a
    /// customer's credential 4 (2 % of vouched, as in docs/signer.md).
    pub signer_permille: SignerBuckets,
    /// Ordinary withdrawals to an address that the account never paid before: 400 (40 %).
    pub new_address_permille: u32,
    /// Customers with a key that approves withdrawals: 0, 50 or 300.
    pub customers_with_key_permille: u32,
    /// Analysts' median time from a held withdrawal to its verdict: 30 min.
    pub analyst_delay: Micros,
    /// Verdicts that are wrong, either way: 50 (5 %).
    pub analyst_error_permille: u32,
    /// Held cases that analysts can look at in an hour: 30.
    pub analyst_cases_an_hour: u32,
    /// From the first right verdict on an attacker's withdrawal to the halt: 10 min.
    pub halt_delay: Micros,
    /// Owners who act upon the notice of a withdrawal that is not theirs: 200 (20 %).
    pub owners_who_notice_permille: u32,
    /// Median time until they do: 2 h.
    pub owner_delay: Micros,
    /// How often the wallet asks to release what is approved: 1 min.
    pub batch_every: Micros,
    /// How a benign extreme or an ablation changes the configuration that Holdfast decides by; none for the stated one.
    #[serde(skip)]
    pub configuration: Option<Configuration>,
}

/// Shares of the hot wallet by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Buckets {
    /// Unvouched.
    pub unvouched: u32,
    /// Aged.
    pub aged: u32,
    /// Bound.
    pub bound: u32,
}

/// The signer's two, and the cap of each credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SignerBuckets {
    /// What no customer's or operators' signature vouches for.
    pub unvouched: u32,
    /// What one does.
    pub vouched: u32,
    /// The most that one customer's credential vouches for in 30 days; what is beyond it spends *unvouched*.
    pub credential: u32,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            hot_wallet_btc: 7_074,
            usd_per_btc: 5_900,
            usd_per_eth: 170,
            hot_wallet_eth: 100_000,
            bucket_permille: Buckets { unvouched: 10, aged: 30, bound: 200 },
            signer_permille: SignerBuckets { unvouched: 40, vouched: 200, credential: 4 },
            new_address_permille: 400,
            customers_with_key_permille: 50,
            analyst_delay: 30 * time::MINUTE,
            analyst_error_permille: 50,
            analyst_cases_an_hour: 30,
            halt_delay: 10 * time::MINUTE,
            owners_who_notice_permille: 200,
            owner_delay: 2 * time::HOUR,
            batch_every: time::MINUTE,
            configuration: None,
        }
    }
}
