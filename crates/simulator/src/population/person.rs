//! A person: small, since there may be a million of them. What can be drawn again from the seed is not kept.

use holdfast_values::Timestamp;

use crate::format::KeyScope;

/// How much an account may withdraw in 24 hours; ten times that in 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// 10,000 US dollars.
    Basic,
    /// 1,000,000 US dollars.
    Full,
    /// 2,360,000 US dollars: 400 BTC at the price of 7 May 2019.
    Vip400,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Full, Self::Vip400];

    /// As the configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Full => "full",
            Self::Vip400 => "vip400",
        }
    }

    /// The limit of any 24 hours, in US dollars.
    pub const fn usd_24h(self) -> u64 {
        match self {
            Self::Basic => 10_000,
            Self::Full => 1_000_000,
            Self::Vip400 => 2_360_000,
        }
    }

    /// The limit of any 30 days, in US dollars.
    pub const fn usd_30d(self) -> u64 {
        self.usd_24h() * 10
    }
}

/// How often somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stratum {
    /// Every other month.
    Dormant,
    /// Three times a month.
    Occasional,
    /// Twice a week.
    Weekly,
    /// Daily, and half of the days again.
    Daily,
    /// Six times a day.
    Heavy,
}

/// What kind of customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person.
    Customer,
    /// A person whose program trades by an API key.
    Trader,
    /// A firm whose programs trade all day and withdraw by a key with an allowlist to addresses that they have long used.
    MarketMaker,
    /// A firm that pays many people in batches by a key with an allowlist.
    Payer,
}

/// An API key, as its owner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public id.
    pub id: Box<str>,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// Where it works from; a key that withdraws has some.
    pub ip_allowlist: Vec<Box<str>>,
    /// Only its owner has the private half.
    pub asymmetric: bool,
}

/// One customer.
#[derive(Clone, Debug)]
pub struct Person {
    /// Counts from 1, in the order in which accounts are opened.
    pub number: u32,
    /// Its tier.
    pub tier: Tier,
    /// How often they sign in.
    pub stratum: Stratum,
    /// What kind of customer.
    pub kind: Kind,
    /// When the account is opened; may be in the course of the run.
    pub opened_at: Timestamp,
    /// When its first key that approves is enrolled, if it has one.
    pub credential_at: Option<Timestamp>,
    /// Bitcoins, in satoshi.
    pub btc: u64,
    /// Ether, in 1e-8.
    pub eth: u64,
}

impl Person {
    /// The account's id.
    pub fn account(&self) -> Box<str> {
        super::ids::account(self.number)
    }

    /// The name of the credential that approves, if there is one at `at`.
    pub fn credential(&self, at: Timestamp) -> Option<Box<str>> {
        self.credential_at.is_some_and(|since| since <= at).then(|| format!("pk_{:06}", self.number).into())
    }

    /// What is owned, in US dollars at these prices a whole coin.
    pub fn usd(&self, usd_per_btc: u64, usd_per_eth: u64) -> u64 {
        let worth = |units: u64, price: u64| u128::from(units) * u128::from(price) / 100_000_000;
        u64::try_from(worth(self.btc, usd_per_btc) + worth(self.eth, usd_per_eth)).unwrap_or(u64::MAX)
    }
}
