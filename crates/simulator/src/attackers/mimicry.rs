//! T8: mimicry, by one who has read the policies. He has his victims' own cookies and browsers and signs in out of their own
//! cities, at their own hours; withdraws first what they withdraw, to addresses that he put into their books a month before;
//! and goes up by less than anybody would notice, until each account is empty.
//!
//! He knows every threshold of the shipped pack, and stays below each that he cannot age away.

use std::collections::BTreeMap;

use holdfast_values::{Timestamp, time};

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::{Attacker, Reach};
use super::taker::{Manner, Purse};
use crate::format::{Body, Facts};
use crate::population::{Kind, Way};

/// A vouched destination is paid at once up to here: policies/baseline, `aged-very-large`.
const AGED_AT_ONCE_CENTS: u64 = 25_000_000;
/// To one that is not vouched for, without a passkey, in a day: policies/baseline, `unvouched-slices`.
const UNVOUCHED_DAY_CENTS: u64 = 5_000_000;
/// From here on whoever has a key is asked for it: policies/baseline, `owner-has-key`.
const OWNER_ASKED_CENTS: u64 = 100_000;
/// Each day he asks for so many times what he asked for the day before.
const GROWS: u64 = 3;

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let victims =
        caster.victims(40, Rank::Richest, |person| matches!(person.kind, Kind::Customer | Kind::Trader));
    let mut agenda = Agenda::default();
    let mut mimics = BTreeMap::new();
    let start = caster.full_day(0, 0, 0, 0);
    for person in victims {
        let owner = caster.usual(person);
        let proxy = caster.stranger(Way::Home, Some(&owner));
        let facts = Facts { ip: proxy.ip, asn: proxy.asn, ..owner };
        let grip = Grip { codes: true, cookies: true, ..Grip::default() };
        let account = caster.hold(person, grip, facts.clone());
        let entered = caster.between(caster.from, caster.days_before(20).plus(1));
        agenda.at(entered, Body::Session { account: account.clone(), facts });
        let targets = caster.targets(1);
        for to in targets.values().flatten() {
            let at = entered.plus(caster.span(6 * time::DAY)).plus(time::MINUTE);
            agenda.at(at, Body::AddAddress { account: account.clone(), to: to.clone() });
        }
        let jitter = caster.span(50 * time::MINUTE);
        mimics.insert((start, account.clone()), Mimic { account, targets, day: 0, jitter });
    }
    // He looks seldom, as owners do.
    let manner = Manner { open_max: 1, pace: 22 * time::HOUR, peek: 2 * time::HOUR, ..Manner::default() };
    Box::new(Mimicry { raid: Raid::new(agenda, manner, Vec::new()), mimics, ends: caster.ends })
}

struct Mimicry {
    raid: Raid,
    mimics: BTreeMap<(Timestamp, Box<str>), Mimic>,
    ends: Timestamp,
}

/// One account, and how far he has gone with it.
struct Mimic {
    account: Box<str>,
    targets: BTreeMap<&'static str, Vec<crate::format::To>>,
    day: u64,
    jitter: u64,
}

impl Mimicry {
    /// One day of an account: at its owner's hour, a little more than the day before.
    fn day(&mut self, at: Timestamp, mut mimic: Mimic, reach: &mut dyn Reach) {
        let Some(loot) = reach.spied(&mimic.account) else { return };
        let grown =
            loot.usual_cents.saturating_mul(GROWS.saturating_pow(u32::try_from(mimic.day).unwrap_or(9)));
        let ceiling = match (mimic.day, loot.has_passkey) {
            // If an owner took the addresses out again, or they have not aged, this is what passes without them.
            (0, true) => OWNER_ASKED_CENTS,
            (0, false) => UNVOUCHED_DAY_CENTS,
            _ => AGED_AT_ONCE_CENTS,
        };
        let purse = Purse {
            account: mimic.account.clone(),
            targets: mimic.targets.clone(),
            first_cents: Some(grown.min(ceiling.saturating_sub(100))),
            once: true,
            from: at.plus(u64::from(loot.usual_hour).saturating_mul(time::HOUR)).plus(mimic.jitter),
            ..Purse::default()
        };
        self.raid.taker.add(purse);
        mimic.day = mimic.day.saturating_add(1);
        let next = at.plus(time::DAY);
        if next < self.ends {
            self.mimics.insert((next, mimic.account.clone()), mimic);
        }
    }
}

impl Attacker for Mimicry {
    fn wakes(&self) -> Option<Timestamp> {
        let days = self.mimics.first_key_value().map(|((at, _), _)| *at);
        days.into_iter().chain(self.raid.wakes()).min()
    }

    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        while let Some(entry) = self.mimics.first_entry().filter(|entry| entry.key().0 <= at) {
            let ((due, _), mimic) = entry.remove_entry();
            self.day(due, mimic, reach);
        }
        self.raid.act(at, reach);
    }
}
