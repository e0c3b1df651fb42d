//! A person: small, since there may be a million of them. What can be drawn again from the seed is not kept.

use holdfast_values::Timestamp;

use super::agents::Device;
use super::ids;
use super::money::{Asset, Prices};
use super::networks::Home;
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
    /// What they are used to own, in US cents.
    pub(super) wealth: u64,
    pub(super) home: Home,
    /// Away until this day, in this country.
    pub(super) away: Option<(u16, u8)>,
    pub(super) devices: [Option<Device>; 3],
    pub(super) book: Vec<Payee>,
    /// Payees so far.
    pub(super) payees: u16,
    /// A withdrawal that waits for its address to age: from which day on, and to whom.
    pub(super) planned: Option<(u16, u16)>,
    /// Keys: numbered in the order of the list.
    pub(super) keys: Vec<Key>,
    /// Adds an address days before paying it.
    pub(super) plans: bool,
    pub(super) spent: Spent,
    /// Sign-ins a day, and withdrawals a day before calibration.
    pub(super) visits: f32,
    pub(super) needs: f32,
    pub(super) habits: Habits,
}

/// A destination of somebody's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payee {
    /// Which, of its account's.
    pub(super) serial: u16,
    /// The day after that on which it became known; 0: before day 0.
    pub(super) since: u16,
    /// The last day on which it was paid.
    pub(super) last: u16,
    /// How often it was paid, as far as that is remembered.
    pub(super) count: u16,
    pub(super) asset: Asset,
    pub(super) is_paid: bool,
    /// It was put into the address book.
    pub(super) is_booked: bool,
}

/// From here on a payee's serial is that of a destination which many customers pay.
pub(super) const SHARED: u16 = 0xff00;

/// An API key of somebody's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) withdraws: bool,
    /// Addresses on its allowlist.
    pub(super) places: u8,
}

/// What was asked for of late, in whole US dollars, rounded up: two calendar days and two spells of 30 days stand for 24
/// hours and 30 days, so that there is never more room than this says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    day: u16,
    days: [u32; 2],
    month: u16,
    months: [u32; 2],
    /// The customer has halved the tier's limits.
    is_lowered: bool,
}

impl Spent {
    /// Forgets what is over.
    pub(super) fn turn(&mut self, day: u16) {
        let [today, _] = self.days;
        match day.saturating_sub(self.day) {
            0 => {}
            1 => self.days = [0, today],
            _ => self.days = [0, 0],
        }
        self.day = day;
        let [current, _] = self.months;
        let month = day / 30;
        match month.saturating_sub(self.month) {
            0 => {}
            1 => self.months = [0, current],
            _ => self.months = [0, 0],
        }
        self.month = month;
    }

    /// The customer halves the tier's limits, for the rest of the run.
    pub(super) const fn lower(&mut self) {
        self.is_lowered = true;
    }

    pub(super) fn add(&mut self, cents: u64) {
        let usd = u32::try_from(cents.div_ceil(100)).unwrap_or(u32::MAX);
        let [today, _] = &mut self.days;
        *today = today.saturating_add(usd);
        let [month, _] = &mut self.months;
        *month = month.saturating_add(usd);
    }

    /// US cents that the tier leaves.
    pub(super) fn room(&self, tier: Tier) -> u64 {
        let sum = |two: [u32; 2]| two.iter().map(|usd| u64::from(*usd)).sum::<u64>();
        let left = |limit: u64, spent: u64| limit.saturating_sub(spent);
        let part = if self.is_lowered { 2 } else { 1 };
        let [day, month] = [tier.usd_24h(), tier.usd_30d()].map(|usd| usd / part);
        left(day, sum(self.days)).min(left(month, sum(self.months))) * 100
    }
}

/// What [`super::Model::Habits`] keeps of an agent. Times in minutes since the beginning of day 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habits {
    /// The next episode.
    pub(super) visit: u32,
    /// The next withdrawal as the renewal has it, and as it is really made.
    pub(super) need: u32,
    pub(super) need_at: u32,
    /// How readily the book gets another address.
    pub(super) theta: f32,
    /// The usual withdrawal, of what is usually owned.
    pub(super) usual: f32,
    /// Minutes after midnight UTC.
    pub(super) wakes: u16,
    /// Days between pay days, and the first of them.
    pub(super) pay_every: u8,
    pub(super) pay_first: u8,
    pub(super) works_weekends: bool,
}

impl Person {
    /// The account's id.
    pub fn account(&self) -> Box<str> {
        ids::account(self.number)
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

    pub(super) const fn owns(&self, asset: Asset) -> u64 {
        match asset {
            Asset::Btc => self.btc,
            Asset::Eth => self.eth,
        }
    }

    pub(super) const fn put(&mut self, asset: Asset, units: u64) {
        match asset {
            Asset::Btc => self.btc = self.btc.saturating_add(units),
            Asset::Eth => self.eth = self.eth.saturating_add(units),
        }
    }

    pub(super) const fn take(&mut self, asset: Asset, units: u64) {
        match asset {
            Asset::Btc => self.btc = self.btc.saturating_sub(units),
            Asset::Eth => self.eth = self.eth.saturating_sub(units),
        }
    }

    pub(super) fn cents(&self, prices: Prices) -> u64 {
        prices.cents(Asset::Btc, self.btc).saturating_add(prices.cents(Asset::Eth, self.eth))
    }

    /// The key that withdraws, if there is one, with its number.
    pub(super) fn withdrawing_key(&self) -> Option<(u8, Key)> {
        (0u8..).zip(self.keys.iter().copied()).find(|(_, key)| key.withdraws)
    }

    /// The public id of a key.
    pub(super) fn key_id(&self, seed: u64, nth: u8) -> Box<str> {
        format!("ak_{}", ids::token(seed, 1, u64::from(self.number) << 8 | u64::from(nth))).into()
    }

    /// The cookie of a device. The third one of a household is the family's.
    pub(super) fn cookie(&self, seed: u64, slot: u8, device: Device) -> Box<str> {
        let whose = if slot == 2 { u64::from(self.home.household) | 1 << 32 } else { u64::from(self.number) };
        let number = whose << 24 | u64::from(slot) << 16 | u64::from(device.serial);
        format!("d{}", ids::token(seed, 2, number)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_people_fit_into_memory() {
        assert!(size_of::<Person>() <= 300, "{}", size_of::<Person>());
    }

    #[test]
    fn what_a_limit_leaves_is_never_more_than_it_is() {
        let mut spent = Spent::default();
        spent.turn(10);
        spent.add(900_001);
        assert_eq!(spent.room(Tier::Basic), 99_900);
        spent.turn(11);
        assert_eq!(spent.room(Tier::Basic), 99_900);
        spent.turn(12);
        assert_eq!(spent.room(Tier::Basic), 1_000_000);
        for day in 13..23 {
            spent.turn(day);
            spent.add(spent.room(Tier::Basic));
        }
        spent.turn(24);
        // Ten days' worth of the month is gone, whatever the day leaves.
        assert!(spent.room(Tier::Basic) <= 5_100_000 && spent.room(Tier::Basic) > 0);
        spent.turn(90);
        assert_eq!(spent.room(Tier::Basic), 1_000_000);
    }
}
