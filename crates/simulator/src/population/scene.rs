//! One person's day: what they do is written down here, and their money, devices and book follow.

use holdfast_values::{Micros, time};
use rand::RngExt as _;

use super::agents::Device;
use super::money::{self, Asset, Prices};
use super::networks::{self, Place};
use super::people;
use super::person::{Payee, Person, SHARED};
use super::world::World;
use super::{Kind, Model, addresses, ids, odds};
use crate::draw::{Draw, draw};
use crate::format::{Body, Channel, Entry, Facts, To};

/// Nobody withdraws less, in US cents.
const LEAST: u64 = 2_500;
/// The most payees that a person keeps in mind.
const BOOK_MAX: usize = 24;
/// A day's last instant.
const LAST: Micros = time::DAY - 1;

/// One person on one day.
pub(super) struct Scene<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) person: &'a mut Person,
    pub(super) draw: Draw,
    out: &'a mut Vec<Entry>,
    from: usize,
    nth: u32,
    /// Sign-ins of this thinned day that were told: device and network.
    told: [Option<(u8, u32)>; 4],
}

/// A withdrawal that somebody has in mind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Of what is owned.
    pub(super) share: f64,
    pub(super) to: Whom,
    /// The address may be put down today and paid days later.
    pub(super) may_plan: bool,
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// An address that was never paid before.
    New,
    /// Ether to a fresh address of one's own.
    Fresh,
    /// One of those that were, any of them.
    Known,
    /// This one.
    This(u16),
}

impl<'a> Scene<'a> {
    pub(super) fn new(world: &'a World<'a>, person: &'a mut Person, out: &'a mut Vec<Entry>) -> Self {
        let draw = draw(world.seed, "day", &[u64::from(person.number), u64::from(world.day)]);
        person.spent.turn(world.day16());
        let from = out.len();
        Self { world, person, draw, out, from, nth: 0, told: [None; 4] }
    }

    /// Puts the person's day into order of time.
    pub(super) fn end(self) {
        if let Some(own) = self.out.get_mut(self.from..) {
            own.sort_by_key(|entry| entry.at);
        }
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        odds::chance(&mut self.draw, p)
    }

    /// Minutes, in microseconds.
    pub(super) fn minutes(&mut self, low: f64, high: f64) -> Micros {
        odds::whole(odds::between(&mut self.draw, low, high) * time::MINUTE as f64)
    }

    pub(super) fn prices(&self, at: Micros) -> Prices {
        money::at(&self.world.prices, at)
    }

    pub(super) fn write(&mut self, at: Micros, body: Body) {
        let whose = ids::From::Person { number: self.person.number, day: self.world.day, nth: self.nth };
        self.nth += 1;
        let id = ids::event(self.world.seed, whose);
        self.out.push(Entry { at: self.world.begins.plus(at.min(LAST)), id, body });
    }

    /// A sign-in, and what the edge sees of it.
    pub(super) fn sign_in(&mut self, at: Micros) -> Facts {
        let (slot, device) = self.device();
        let place = self.place(at, device);
        let facts = facts(self.world, self.person, slot, device, &place);
        let seen = Some((slot, place.asn));
        if self.world.is_thinned {
            if self.told.contains(&seen) {
                return facts;
            }
            if let Some(free) = self.told.iter_mut().find(|told| told.is_none()) {
                *free = seen;
            }
        }
        let account = self.person.account();
        self.write(at, Body::Session { account, facts: facts.clone() });
        facts
    }

    fn device(&mut self) -> (u8, Device) {
        let [first, second, third] = self.person.devices;
        let part = odds::below(&mut self.draw, 100);
        let drawn = match part {
            0..10 => third.map(|device| (2, device)),
            10..35 => second.map(|device| (1, device)),
            _ => None,
        };
        let first = first.map(|device| (0, device));
        // Everybody has a first one.
        drawn.or(first).unwrap_or_else(|| (0, Device::new(&mut self.draw, None, 0)))
    }

    fn place(&mut self, at: Micros, device: Device) -> Place {
        let (home, networks) = (self.person.home, self.world.networks);
        let crowded = self.world.is_crowded && self.person.number.is_multiple_of(5);
        let draw = &mut self.draw;
        let p = draw.random::<f64>();
        if crowded {
            return networks.crowded(draw);
        }
        if home.vpn == 2 || (home.vpn == 1 && p < 0.25) {
            return networks.vpn(draw);
        }
        if let Some((_, country)) = self.person.away {
            // Roaming comes out at the carrier at home; a hotel does not.
            return if device.is_mobile() && p < 0.4 {
                networks.own_mobile(draw, home)
            } else {
                networks.anybody(draw, country)
            };
        }
        let hour = (at / time::HOUR) as i64 + i64::from(networks::of(home.country).ahead);
        let at_work = home.office > 0 && !self.world.is_weekend() && (9..17).contains(&hour.rem_euclid(24));
        match (device.is_mobile(), at_work) {
            (true, _) if p < 0.45 => networks.own_mobile(draw, home),
            (true, true) if p < 0.7 => networks.at_office(home),
            (false, true) if p < 0.7 => networks.at_office(home),
            (false, _) if p > 0.96 => networks.own_mobile(draw, home),
            _ => networks.at_home(home, self.world.day),
        }
    }

    /// Coins that come in. On thinned days they come untold.
    pub(super) fn deposit(&mut self, at: Micros, asset: Asset, units: u64) {
        self.person.put(asset, units);
        if !self.world.is_thinned {
            let account = self.person.account();
            let amount = money::decimal(units);
            self.write(at, Body::Deposit { account, asset: asset.name().into(), amount });
        }
    }

    /// Buys one asset for the other; with a key if it is a program's.
    pub(super) fn trade(&mut self, at: Micros, share: f64, key: Option<u8>) {
        if self.world.is_thinned {
            return;
        }
        let prices = self.prices(at);
        let asset = people::owned(&mut self.draw, self.person);
        let units = money::rounded(odds::whole(self.person.owns(asset) as f64 * share), 3);
        let cents = prices.cents(asset, units);
        let got = prices.units(asset.other(), cents);
        if cents < 100 || got == 0 {
            return;
        }
        self.person.take(asset, units);
        self.person.put(asset.other(), got);
        let key = key.map(|nth| self.person.key_id(self.world.seed, nth));
        let body = Body::Trade {
            account: self.person.account(),
            sold: asset.name().into(),
            sold_amount: money::decimal(units),
            bought: asset.other().name().into(),
            bought_amount: money::decimal(got),
            key,
        };
        self.write(at, body);
    }

    /// Sees to it that there is something to withdraw: whoever wants to and has nothing has sent it before.
    fn fund(&mut self, at: Micros, asset: Asset) {
        let prices = self.prices(at);
        if prices.cents(asset, self.person.owns(asset)) >= 2 * LEAST {
            return;
        }
        let part = odds::between(&mut self.draw, 0.3, 1.0);
        let cents = odds::whole(self.person.wealth as f64 * part).max(4 * LEAST);
        let units = people::coins(prices, asset, cents);
        let before = self.minutes(20.0, 90.0);
        self.deposit(at.saturating_sub(before), asset, units);
    }

    /// Asks for a withdrawal in a session, or puts its address down for later. True if one was asked for.
    pub(super) fn withdraw(&mut self, at: Micros, facts: &Facts, wish: Wish) -> bool {
        let known = match wish.to {
            Whom::Known => self.known(),
            Whom::This(serial) => self.person.book.iter().position(|payee| payee.serial == serial),
            Whom::New | Whom::Fresh => None,
        };
        let place = known.unwrap_or_else(|| self.payee(wish.to));
        let Some(payee) = self.person.book.get(place).copied() else { return false };
        self.fund(at, payee.asset);
        if !payee.is_booked && !payee.is_paid && known.is_none() {
            let plans = wish.may_plan && self.person.plans;
            if plans || self.chance(0.4) {
                self.book(at, place, payee);
            }
            if plans {
                let days = 1 + odds::below(&mut self.draw, 6);
                let due = self.world.day.saturating_add(days);
                self.person.planned = Some((u16::try_from(due).unwrap_or(u16::MAX), payee.serial));
                return false;
            }
        }
        let after = self.minutes(0.5, 6.0);
        let at = at.saturating_add(after);
        let Some(units) = self.amount(at, payee.asset, wish.share) else { return false };
        let channel = Channel::Session { one_time_code: self.chance(0.9), facts: Some(facts.clone()) };
        self.ask(at, place, payee, units, channel);
        true
    }

    /// Asks for a withdrawal with the key that withdraws, from an address of its allowlist, to a destination of the book.
    pub(super) fn withdraw_by_key(&mut self, at: Micros, payee: usize, units: u64) {
        let Some((nth, key)) = self.person.withdrawing_key() else { return };
        let Some(to) = self.person.book.get(payee).copied() else { return };
        let prices = self.prices(at);
        let cents = prices.cents(to.asset, units);
        if units == 0
            || units > self.person.owns(to.asset)
            || cents > self.person.spent.room(self.person.tier)
        {
            return;
        }
        self.person.spent.add(cents);
        let place = odds::below(&mut self.draw, u32::from(key.places)) as u8;
        let ip = server(self.world, self.person, nth, place).ip();
        let channel = Channel::ApiRequest { key: self.person.key_id(self.world.seed, nth), ip };
        self.ask(at, payee, to, units, channel);
    }

    fn ask(&mut self, at: Micros, place: usize, payee: Payee, units: u64, channel: Channel) {
        let body = Body::RequestWithdrawal {
            account: self.person.account(),
            asset: payee.asset.name().into(),
            to: destination(self.world.seed, self.person.number, payee),
            amount: money::decimal(units),
            channel,
        };
        self.write(at, body);
        self.person.take(payee.asset, units);
        let today = self.world.day16();
        if let Some(payee) = self.person.book.get_mut(place) {
            payee.is_paid = true;
            payee.count = payee.count.saturating_add(1);
            payee.last = today;
        }
    }

    /// Puts a destination into the address book.
    pub(super) fn book(&mut self, at: Micros, place: usize, payee: Payee) {
        let account = self.person.account();
        let to = destination(self.world.seed, self.person.number, payee);
        self.write(at, Body::AddAddress { account, to });
        if let Some(payee) = self.person.book.get_mut(place) {
            payee.is_booked = true;
        }
    }

    /// One that was paid before, of an asset that is still owned: any as likely as any other, or, for a creature of habit, as
    /// often as it was paid.
    fn known(&mut self) -> Option<usize> {
        let weigh = match self.world.settings.model {
            Model::Strata => |_: &Payee| 1,
            Model::Habits => |payee: &Payee| u32::from(payee.count.max(1)),
        };
        let prices = self.prices(0);
        let has = |asset: Asset| prices.cents(asset, self.person.owns(asset)) >= LEAST;
        let has = [has(Asset::Btc), has(Asset::Eth)];
        let weight = |payee: &Payee| {
            let [btc, eth] = has;
            let owned = if payee.asset == Asset::Btc { btc } else { eth };
            if payee.is_paid && (owned || !(btc || eth)) { weigh(payee) } else { 0 }
        };
        if self.person.book.iter().all(|payee| weight(payee) == 0) {
            return self.person.book.iter().position(|payee| payee.is_paid);
        }
        Some(odds::weighted(&mut self.draw, self.person.book.iter().map(weight)))
    }

    /// Another payee; the one least needed is forgotten for it.
    fn payee(&mut self, to: Whom) -> usize {
        let asset = match to {
            Whom::Fresh => Asset::Eth,
            _ => people::owned(&mut self.draw, self.person),
        };
        if self.person.book.len() >= BOOK_MAX && self.person.kind != Kind::Payer {
            let planned = self.person.planned.map(|(_, serial)| serial);
            let book = self.person.book.iter().enumerate().filter(|(_, payee)| Some(payee.serial) != planned);
            let least = book.min_by_key(|(_, payee)| (payee.count, payee.last)).map(|(place, _)| place);
            if let Some(least) = least {
                self.person.book.remove(least);
            }
        }
        let serial = people::next_payee(&mut self.draw, self.person);
        let last = self.world.day16();
        let since = last.saturating_add(1);
        self.person.book.push(Payee {
            serial,
            since,
            last,
            count: 0,
            asset,
            is_paid: false,
            is_booked: false,
        });
        self.person.book.len() - 1
    }

    /// Units for a share of what is owned: rounded as people do, and within the limits, as nearly all of them know them.
    fn amount(&mut self, at: Micros, asset: Asset, share: f64) -> Option<u64> {
        let prices = self.prices(at);
        let owned = self.person.owns(asset);
        let mut units = odds::whole(owned as f64 * share.clamp(0.0, 0.98));
        units = money::entered(&mut self.draw, units.max(prices.units(asset, LEAST)));
        if units > owned {
            return None;
        }
        let room = self.person.spent.room(self.person.tier);
        let cents = prices.cents(asset, units);
        if cents > room {
            if self.chance(0.03) {
                // Who did not know: it is refused, and nothing is spent. What is written is within what is owned.
                return Some(units);
            }
            let within = odds::between(&mut self.draw, 0.4, 0.95);
            units = prices.units(asset, odds::whole(room as f64 * within));
            if prices.cents(asset, units) < LEAST {
                return None;
            }
        }
        self.person.spent.add(prices.cents(asset, units).min(room));
        Some(units)
    }
}

/// What the edge sees.
pub(super) fn facts(world: &World<'_>, person: &Person, slot: u8, device: Device, place: &Place) -> Facts {
    let (agent, tls) = device.shows(world.unix_day, world.browser_day);
    Facts {
        device: Some(person.cookie(world.seed, slot, device)),
        ip: Some(place.ip()),
        user_agent: Some(agent),
        tls: Some(tls),
        country: Some(place.country().into()),
        asn: Some(place.asn),
    }
}

/// An address of a key's allowlist.
pub(super) fn server(world: &World<'_>, person: &Person, key: u8, place: u8) -> Place {
    let whose = u64::from(person.number) << 16 | u64::from(key) << 8 | u64::from(place);
    world.networks.server(whose, person.home.country)
}

/// A payee's address.
pub(super) fn destination(seed: u64, number: u32, payee: Payee) -> To {
    let draw = &mut if payee.serial >= SHARED {
        draw(seed, "shared", &[u64::from(payee.serial)])
    } else {
        draw(seed, "payee", &[u64::from(number), u64::from(payee.serial)])
    };
    addresses::drawn(draw, payee.asset.network())
}
