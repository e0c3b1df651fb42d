//! What was before day 0: accounts with their keys, credentials and address books, and devices and places known for days.

use holdfast_values::{Timestamp, time};

use super::money::Prices;
use super::person::Person;
use super::scene::{destination, facts, server};
use super::world::World;
use super::{exchange_prices, ids};
use crate::draw::draw;
use crate::format::{Body, Entry};

/// Devices are known since between so many days before day 0.
const KNOWN: [u64; 2] = [10, 2];

/// All entries, in order of time.
pub(super) fn entries(world: &World<'_>, people: &[Person], prices: Prices) -> Vec<Entry> {
    let begin = world.begins;
    let mut out =
        Out { world, entries: Vec::with_capacity(people.len().saturating_mul(6)), number: 0, nth: 0 };
    let early = people.partition_point(|person| person.opened_at < begin);
    let early = people.get(..early).unwrap_or_default();
    if let Some(first) = early.first() {
        out.write(first.opened_at.minus(time::SECOND), exchange_prices(prices));
    }
    for (place, person) in early.iter().enumerate() {
        let next = early.get(place + 1).map_or(begin, |next| next.opened_at);
        out.account(person, next);
    }
    let [from, to] = KNOWN.map(|days| begin.minus(days * time::DAY));
    let count = u64::try_from(early.len()).unwrap_or(u64::MAX).max(1);
    for (person, place) in early.iter().zip(0..) {
        let at = from.plus(to.since(from) / count * place).max(person.opened_at.plus(time::MINUTE));
        out.sessions(person, at.min(begin.minus(time::SECOND)));
    }
    out.number = 0;
    out.write(begin.minus(1), exchange_prices(prices));
    // Nearly in order already: runs are merged.
    out.entries.sort_by_key(|entry| entry.at);
    out.entries
}

struct Out<'a> {
    world: &'a World<'a>,
    entries: Vec<Entry>,
    number: u32,
    nth: u32,
}

impl Out<'_> {
    fn write(&mut self, at: Timestamp, body: Body) {
        let whose = ids::From::Person { number: self.number, day: ids::OPENING, nth: self.nth };
        self.nth += 1;
        self.entries.push(Entry { at, id: ids::event(self.world.seed, whose), body });
    }

    /// The account and all that came with it, before the next account.
    fn account(&mut self, person: &Person, next: Timestamp) {
        (self.number, self.nth) = (person.number, 0);
        let count = u64::try_from(person.book.len() + person.keys.len() + 2).unwrap_or(2);
        let step = next.since(person.opened_at).min(time::DAY) / count;
        let mut at = person.opened_at;
        let account = person.account();
        self.write(at, Body::OpenAccount { account: account.clone(), tier: person.tier.name().into() });
        for (key, nth) in person.keys.iter().zip(0u8..) {
            at = at.plus(step);
            let body = Body::PutApiKey {
                account: account.clone(),
                key: person.key_id(self.world.seed, nth),
                scopes: key.scopes(),
                ip_allowlist: (0..key.places)
                    .map(|place| server(self.world, person, nth, place).ip())
                    .collect(),
                asymmetric: key.withdraws,
                session: None,
            };
            self.write(at, body);
        }
        for payee in &person.book {
            at = at.plus(step);
            let to = destination(self.world.seed, person.number, *payee);
            self.write(at, Body::AddAddress { account: account.clone(), to });
        }
        let enrolled = person.credential_at.filter(|since| *since < self.world.begins);
        if let Some(credential) = enrolled.and_then(|since| person.credential(since)) {
            self.write(at.plus(step), Body::AddCredential { account, credential, approved_by: None });
        }
    }

    /// Each device at home, and one that moves with its carrier too.
    fn sessions(&mut self, person: &Person, at: Timestamp) {
        (self.number, self.nth) = (person.number, 1_000);
        let mut at = at;
        let draw = &mut draw(self.world.seed, "known", &[u64::from(person.number)]);
        for (device, slot) in person.devices.iter().zip(0u8..) {
            let Some(device) = *device else { continue };
            let home = self.world.networks.at_home(person.home, 0);
            let mobile = device.is_mobile().then(|| self.world.networks.own_mobile(draw, person.home));
            for place in [Some(home), mobile].into_iter().flatten() {
                let facts = facts(self.world, person, slot, device, &place);
                self.write(at, Body::Session { account: person.account(), facts });
                at = at.plus(1);
            }
        }
    }
}
