//! Customers: who they are, where they sign in from, what they own, and what they do on each day.
//!
//! A [`Population`] is made from [`Settings`] and a seed, and gives a stream of [`Entry`]s a day at a time. Two models make
//! it ([`Model`]), which differ in structure and not only in numbers, so that what holds for one can be tried on the other.
//! `docs/simulator.md` lists every parameter with its unit, default, range and source, and what is not modelled.
//!
//! Nothing here knows what Holdfast decides: a customer's answers to a decision are `play`'s, an attacker's acts are his own.

pub mod addresses;
pub mod ids;
mod person;
mod sweep;

use holdfast_values::{Timestamp, time};

use crate::draw::Draw;
use crate::exchange::Exchange;
use crate::format::{Entry, Facts, To};

pub use person::{ApiKey, Kind, Person, Stratum, Tier};
pub use sweep::{Range, Sweep};

/// When the first full day begins: 2026-03-02T00:00:00Z, a Monday.
pub const FIRST_FULL_DAY: Timestamp = Timestamp(1_772_409_600_000_000);

/// What a run's customers are drawn from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Accounts, those included that are opened in the course of the run: 2,000.
    pub accounts: u32,
    /// Days before the full ones, of which only sign-ins, changes and withdrawals are told: 120.
    pub thinned_days: u32,
    /// Full days: 7.
    pub days: u32,
    /// Which of the two generators: [`Model::Strata`].
    pub model: Model,
    /// Benign extremes, each on its own day ([`Extreme::day`]); none.
    pub extremes: Vec<Extreme>,
    /// What nobody publishes.
    pub sweep: Sweep,
    /// The exchange whose customers they are: prices, shares of new addresses and of customers with a key.
    pub exchange: Exchange,
    /// Threads that make a day; the bytes are the same with any number: 1.
    pub threads: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accounts: 2_000,
            thinned_days: 120,
            days: 7,
            model: Model::Strata,
            extremes: Vec::new(),
            sweep: Sweep::default(),
            exchange: Exchange::default(),
            threads: 1,
        }
    }
}

impl Settings {
    /// All days, thinned and full; [`Population::day`] counts from 0.
    pub const fn days_total(&self) -> u32 {
        self.thinned_days.saturating_add(self.days)
    }

    /// True if only sign-ins, changes and withdrawals of this day are told.
    pub const fn is_thinned(&self, day: u32) -> bool {
        day < self.thinned_days
    }

    /// When a day begins; day 0 is the first thinned one. Everything of [`Population::opening`] is before day 0.
    pub fn begins(&self, day: u32) -> Timestamp {
        let first = FIRST_FULL_DAY.minus(u64::from(self.thinned_days).saturating_mul(time::DAY));
        first.plus(u64::from(day).saturating_mul(time::DAY))
    }
}

/// The two generators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Each account for itself: rates by one of five strata, thinned Poisson processes under one rhythm for all, a fixed
    /// share of new addresses.
    Strata,
    /// Agents with habits: renewals with heavy-tailed gaps around pay days, common shocks, an address book that grows as a
    /// Chinese restaurant, sessions as episodes of several acts, households.
    Habits,
}

/// What happens to an exchange at its worst without any thief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extreme {
    /// A quarter of all customers withdraw on one day.
    Run,
    /// Prices fall by 30 % within six hours: everybody looks, trades and moves money.
    Crash,
    /// Customers take a little ether to fresh addresses of their own, in order to be given something there.
    Airdrop,
    /// All pay days at once.
    Payday,
    /// A market maker pays a few hundred addresses within minutes.
    Payout,
    /// From this day on a carrier puts a fifth of all customers behind four addresses.
    Nat,
    /// Every Chromium becomes the next version on one day, and its TLS fingerprint changes too.
    BrowserDay,
}

impl Extreme {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Run, Self::Crash, Self::Airdrop, Self::Payday, Self::Payout, Self::Nat, Self::BrowserDay];

    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Crash => "crash",
            Self::Airdrop => "airdrop",
            Self::Payday => "payday",
            Self::Payout => "payout",
            Self::Nat => "nat",
            Self::BrowserDay => "browser_day",
        }
    }

    /// The day on which it happens, as [`Population::day`] counts: each on a full day of its own, or on the last one.
    pub fn day(self, settings: &Settings) -> u32 {
        let nth = match self {
            Self::Nat => 0,
            Self::Airdrop => 1,
            Self::Run => 2,
            Self::Crash => 3,
            Self::Payday => 4,
            Self::Payout => 5,
            Self::BrowserDay => 6,
        };
        settings.thinned_days.saturating_add(settings.days.saturating_sub(1).min(nth))
    }
}

/// From where somebody who is no customer of this account signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Somebody's broadband: what residential proxies sell.
    Home,
    /// A mobile carrier's addresses, shared by many.
    Mobile,
    /// An exit of a commercial VPN, shared by hundreds.
    Vpn,
    /// A rented server.
    Hosting,
}

/// An exchange's customers.
#[derive(Clone, Debug)]
pub struct Population {
    settings: Settings,
    people: Vec<Person>,
}

impl Population {
    /// Draws everybody. What a person is does not depend on how many others there are after them.
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let _ = seed;
        Self { settings: settings.clone(), people: Vec::new() }
    }

    /// What it was made from.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Everything before day 0: prices, accounts, their first credentials, keys, address books, devices and places, over
    /// about two years and ordered by time. Prices stand at its beginning and at its end only.
    pub fn opening(&mut self) -> Vec<Entry> {
        Vec::new()
    }

    /// All of one day, ordered by time, account and number. Days are lived once and in turn: those skipped are lived
    /// untold, and of a day that is over nothing is told again.
    pub fn day(&mut self, day: u32) -> Vec<Entry> {
        let _ = day;
        Vec::new()
    }

    /// Everybody, as they are at the end of the last day that was told.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// What the exchange's edge usually sees of somebody: their first device, at home, on `day`.
    pub fn usual_facts(&self, person: &Person, day: u32) -> Facts {
        let _ = (person, day);
        Facts::default()
    }

    /// The destinations that somebody has paid or put down, the last one last.
    pub fn book(&self, person: &Person) -> Vec<To> {
        let _ = person;
        Vec::new()
    }

    /// Somebody's API keys.
    pub fn api_keys(&self, person: &Person) -> Vec<ApiKey> {
        let _ = person;
        Vec::new()
    }
    /// A sign-in from the same networks, browsers and builds that customers have, with a device of its own. `country` if it
    /// should be somebody's.
    pub fn stranger(&self, draw: &mut Draw, way: Way, country: Option<&str>, day: u32) -> Facts {
        let _ = (draw, way, country, day);
        Facts::default()
    }
}
