//! T2: a page that looks like the exchange's and passes on what its visitors type, while they type it: passwords and
//! one-time codes alike. A passkey answers for the page that it is on, so it is of no use to him.
//!
//! While a visitor stays he has the codes; then he has what he made in those minutes: an API key.

use std::collections::BTreeMap;

use holdfast_values::{Timestamp, time};

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::{Attacker, Reach};
use super::taker::{Manner, Purse};
use crate::format::Body;
use crate::population::{Kind, Way};

/// For so long a visitor is kept on the page ("one moment, please"). Assumed.
const VISIT: u64 = 25 * time::MINUTE;

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let victims =
        caster.victims(40, Rank::Any, |person| matches!(person.kind, Kind::Customer | Kind::Trader));
    let mut agenda = Agenda::default();
    let mut visits = Vec::new();
    let mut later = BTreeMap::new();
    let (first, last) = (caster.from, caster.full_day(4, 0, 0, 0));
    for person in victims {
        let owner = caster.usual(person);
        // The relay's way out is near its visitor.
        let facts = caster.stranger(Way::Home, Some(&owner));
        let account = caster.hold(person, Grip { codes: true, ..Grip::default() }, facts.clone());
        let visit = caster.between(first, last);
        agenda.at(visit, Body::Session { account: account.clone(), facts: facts.clone() });
        agenda.at(visit.plus(time::MINUTE), caster.new_key(&account, &facts));
        let until = visit.plus(VISIT);
        let purse =
            Purse { codes_until: Some(until), ..caster.purse(&account, visit.plus(10 * time::SECOND), 2) };
        let by_key = Purse { by_key: true, ..purse.clone() };
        later.insert((visit.plus(26 * time::HOUR), account), by_key);
        visits.push(purse);
    }
    // While the visitor is there, there is no time to wait for answers.
    let manner = Manner { pace: time::MINUTE, peek: 2 * time::MINUTE, ..Manner::default() };
    Box::new(Relay { raid: Raid::new(agenda, manner, visits), later })
}

struct Relay {
    raid: Raid,
    /// What is tried by key, a day after each visit.
    later: BTreeMap<(Timestamp, Box<str>), Purse>,
}

impl Attacker for Relay {
    fn wakes(&self) -> Option<Timestamp> {
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        later.into_iter().chain(self.raid.wakes()).min()
    }

    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= at) {
            let ((from, _), purse) = entry.remove_entry();
            self.raid.taker.add(Purse { from, ..purse });
        }
        self.raid.act(at, reach);
    }
}
