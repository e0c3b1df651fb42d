//! Customers: who they are, where they sign in from, what they own, and what they do on each day.
//!
//! A [`Population`] is made from [`Settings`] and a seed, and gives a stream of [`Entry`]s a day at a time. Two models make
//! it ([`Model`]), which differ in structure and not only in numbers, so that what holds for one can be tried on the other.
//! `docs/simulator.md` lists every parameter with its unit, default, range and source, and what is not modelled.
//!
//! Nothing here knows what Holdfast decides: a customer's answers to a decision are `play`'s, an attacker's acts are his own.

pub mod addresses;
mod agents;
mod changes;
mod extremes;
mod firms;
mod habits;
pub mod ids;
mod money;
mod networks;
mod odds;
mod opening;
mod people;
mod person;
mod rhythm;
mod scene;
mod strata;
mod sweep;
mod world;

use std::collections::BTreeMap;

use holdfast_values::{Timestamp, time};
use rand::RngExt as _;

use crate::draw::Draw;
use crate::exchange::Exchange;
use crate::format::{Body, Entry, Facts, To};

use agents::Device;
use money::{Asset, Prices};
use networks::Networks;
use people::Calibrated;
use scene::Scene;
use world::World;

pub use agents::Browser;
pub(crate) use money::entered;
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
    seed: u64,
    networks: Networks,
    calibrated: Calibrated,
    people: Vec<Person>,
    /// At the end of the last day.
    prices: Prices,
    /// The day that is lived next.
    next: u32,
}

impl Population {
    /// Draws everybody.
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let networks = Networks::new(seed, settings.accounts);
        let mut people = people::everybody(settings, seed, &networks);
        let calibrated = people::calibrated(settings, seed, &mut people);
        let cents = |usd: u64| usd.max(1).saturating_mul(100);
        let prices =
            Prices { btc: cents(settings.exchange.usd_per_btc), eth: cents(settings.exchange.usd_per_eth) };
        Self { settings: settings.clone(), seed, networks, calibrated, people, prices, next: 0 }
    }

    /// What it was made from.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Everything before day 0: prices, accounts, their first credentials, keys, address books, devices and places, over
    /// about two years and ordered by time. Prices stand at its beginning and at its end only. To be asked for before
    /// day 0 is lived.
    pub fn opening(&mut self) -> Vec<Entry> {
        let world = self.world(0);
        opening::entries(&world, &self.people, self.prices)
    }

    /// All of one day, ordered by time, account and number. Days are lived once and in turn: those skipped are lived
    /// untold, and of a day that is over nothing is told again.
    pub fn day(&mut self, day: u32) -> Vec<Entry> {
        let mut entries = Vec::new();
        while self.next <= day {
            entries = self.live();
        }
        if day + 1 < self.next { Vec::new() } else { entries }
    }

    fn world(&self, day: u32) -> World<'_> {
        World::new(&self.settings, self.seed, &self.networks, self.calibrated, self.prices, day)
    }

    fn live(&mut self) -> Vec<Entry> {
        let world =
            World::new(&self.settings, self.seed, &self.networks, self.calibrated, self.prices, self.next);
        let mut entries = Vec::new();
        for (prices, hour) in world.prices.iter().zip(0u32..) {
            let whose = ids::From::Person { number: 0, day: world.day, nth: hour };
            let at = world.begins.plus(u64::from(hour) * time::HOUR);
            entries.push(Entry { at, id: ids::event(self.seed, whose), body: exchange_prices(*prices) });
        }
        let threads = usize::try_from(self.settings.threads.clamp(1, 64)).unwrap_or(1);
        let part = self.people.len().div_ceil(threads).max(1);
        if threads == 1 {
            live_one(&world, &mut self.people, &mut entries);
        } else {
            let world = &world;
            std::thread::scope(|scope| {
                let lived = |people| {
                    move || {
                        let mut entries = Vec::new();
                        live_one(world, people, &mut entries);
                        entries
                    }
                };
                let parts: Vec<_> =
                    self.people.chunks_mut(part).map(|people| scope.spawn(lived(people))).collect();
                for part in parts {
                    // A part panics only by a mistake of ours, which is then everybody's.
                    match part.join() {
                        Ok(mut told) => entries.append(&mut told),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
            });
        }
        // Stable: among equals the order of accounts stays, and each one's own.
        entries.sort_by_key(|entry| entry.at);
        let [.., last] = world.prices;
        self.prices = last;
        self.next = self.next.saturating_add(1);
        entries
    }

    /// Everybody, as they are at the end of the last day that was told.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// What the exchange's edge usually sees of somebody: their first device, at home, on `day`.
    pub fn usual_facts(&self, person: &Person, day: u32) -> Facts {
        let world = self.world(day);
        let [first, ..] = person.devices;
        let draw = &mut crate::draw::draw(self.seed, "usual", &[u64::from(person.number)]);
        let device = first.unwrap_or_else(|| Device::new(draw, None, 0));
        let place = self.networks.at_home(person.home, day);
        scene::facts(&world, person, 0, device, &place)
    }

    /// The destinations that somebody has paid or put down, the last one last.
    pub fn book(&self, person: &Person) -> Vec<To> {
        let to = |payee: &person::Payee| scene::destination(self.seed, person.number, *payee);
        person.book.iter().map(to).collect()
    }

    /// Somebody's API keys.
    pub fn api_keys(&self, person: &Person) -> Vec<ApiKey> {
        let world = self.world(self.next);
        let key = |(key, nth): (&person::Key, u8)| ApiKey {
            id: person.key_id(self.seed, nth),
            scopes: key.scopes(),
            ip_allowlist: (0..key.places)
                .map(|place| scene::server(&world, person, nth, place).ip())
                .collect(),
            asymmetric: key.withdraws,
        };
        person.keys.iter().zip(0..).map(key).collect()
    }

    /// The browser behind [`Self::usual_facts`]: what it shows at other times.
    pub fn usual_browser(&self, person: &Person) -> Browser {
        let [first, ..] = person.devices;
        let draw = &mut crate::draw::draw(self.seed, "usual", &[u64::from(person.number)]);
        self.browser(first.unwrap_or_else(|| Device::new(draw, None, 0)))
    }

    fn browser(&self, device: Device) -> Browser {
        let extreme = Extreme::BrowserDay;
        let browser_day = self.settings.extremes.contains(&extreme).then(|| {
            let begins = self.settings.begins(extreme.day(&self.settings));
            u32::try_from(begins.0 / time::DAY).unwrap_or(0)
        });
        Browser { device, browser_day }
    }

    /// A sign-in from the same networks, browsers and builds that customers have, with a device of its own, as of a day,
    /// and the browser that it comes from. `country` if it should be somebody's.
    pub fn stranger(&self, draw: &mut Draw, way: Way, country: Option<&str>, day: u32) -> (Facts, Browser) {
        let country = country.and_then(|code| self.networks.country_named(code));
        let country = country.unwrap_or_else(|| self.networks.country(draw));
        let place = match way {
            Way::Home => self.networks.anybody(draw, country),
            Way::Mobile => self.networks.mobile(draw, country),
            Way::Vpn => self.networks.vpn(draw),
            Way::Hosting => self.networks.server(draw.random(), country),
        };
        let device = Device::new(draw, Some(way == Way::Mobile), 0);
        let browser = self.browser(device);
        let (agent, tls) = browser.shows(self.settings.begins(day));
        let facts = Facts {
            device: Some(format!("d{}", ids::token(self.seed, 3, draw.random())).into()),
            ip: Some(place.ip()),
            user_agent: Some(agent),
            tls: Some(tls),
            country: Some(place.country().into()),
            asn: Some(place.asn),
        };
        (facts, browser)
    }
}

/// A part of the people live a day, one after the other.
fn live_one(world: &World<'_>, people: &mut [Person], entries: &mut Vec<Entry>) {
    for person in people {
        if person.opened_at >= world.begins.plus(time::DAY) {
            // In order of opening: nobody after this one is there yet.
            break;
        }
        let mut scene = Scene::new(world, person, entries);
        if let Some(since) = changes::begin(&mut scene) {
            changes::change(&mut scene, since);
            match world.settings.model {
                Model::Strata => strata::day(&mut scene, since),
                Model::Habits => habits::day(&mut scene, since),
            }
            firms::run(&mut scene, since);
        }
        scene.end();
    }
}

fn exchange_prices(prices: Prices) -> Body {
    let price = |asset: Asset| (asset.name().into(), money::dollars(prices.of(asset)));
    Body::Prices { prices: BTreeMap::from([price(Asset::Btc), price(Asset::Eth)]) }
}

#[cfg(test)]
mod tests;
