//! T3: the patient one. Over months he gets into account after account, signs in now and then from each owner's own city,
//! puts his addresses into their books so that they age, makes API keys, and touches nothing. Then he takes from all.
//!
//! Three of him: one whose accounts share networks, devices, destinations and the minute; one whose accounts share the
//! networks and the hour; and one whose accounts share nothing that could be counted.

use std::collections::BTreeMap;

use holdfast_values::time;
use rand::RngExt as _;

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::catalogue::Shared;
use super::raid::Raid;
use super::reach::Attacker;
use super::taker::{Manner, Purse};
use crate::format::Body;
use crate::population::{Kind, Way};

/// He begins with 5,000 US dollars, and doubles what passes.
const FIRST_CENTS: u64 = 500_000;

pub(super) fn cast(caster: &mut Caster<'_>, shared: Shared) -> Box<dyn Attacker> {
    let victims =
        caster.victims(50, Rank::Richest, |person| matches!(person.kind, Kind::Customer | Kind::Trader));
    let mut agenda = Agenda::default();
    let mut purses = Vec::new();
    let everywhere = caster.stranger(Way::Home, None);
    let common = caster.targets(2);
    let strike = caster.full_day(1, 14, 0, 0);
    for (place, person) in victims.into_iter().enumerate() {
        let owner = caster.usual(person);
        let mut facts = match shared {
            Shared::Everything => everywhere.clone(),
            Shared::Partly => caster.stranger(Way::Vpn, None),
            Shared::Nothing => caster.stranger(Way::Home, Some(&owner)),
        };
        if shared == Shared::Partly {
            // The same exits for all, each with a device of its own.
            facts.ip.clone_from(&everywhere.ip);
            facts.asn = everywhere.asn;
            facts.country.clone_from(&everywhere.country);
        }
        let account = caster.hold(person, Grip { codes: true, ..Grip::default() }, facts.clone());
        let targets = if shared == Shared::Everything { common.clone() } else { caster.targets(1) };
        // From 110 to 60 days before he gets in; then he adds what has to age, weeks apart.
        let (first, last) = (caster.days_before(110), caster.days_before(60));
        let entered = caster.between(first, last.plus(1));
        agenda.at(entered, Body::Session { account: account.clone(), facts: facts.clone() });
        prepare(caster, &mut agenda, (&account, entered, strike), &facts, &targets);
        let from = match shared {
            Shared::Everything => strike.plus(caster.span(2 * time::MINUTE)),
            Shared::Partly => strike.plus(caster.span(time::HOUR)),
            Shared::Nothing => strike.plus(caster.span(60 * time::HOUR)),
        };
        // One account goes first and shows what passes.
        let from = if place == 0 { strike.minus(3 * time::HOUR) } else { from };
        let by_key = shared == Shared::Nothing && caster.draw.random();
        purses.push(Purse { account, targets, by_key, from, ..Purse::default() });
    }
    let manner = Manner { first_cents: Some(FIRST_CENTS), open_max: 3, wary: true, ..Manner::default() };
    Box::new(Raid::new(agenda, manner, purses))
}

/// What has to age, and visits in between so that device and place do so too.
fn prepare(
    caster: &mut Caster<'_>,
    agenda: &mut Agenda,
    (account, entered, strike): (&str, holdfast_values::Timestamp, holdfast_values::Timestamp),
    facts: &crate::format::Facts,
    targets: &BTreeMap<&'static str, Vec<crate::format::To>>,
) {
    let quiet = strike.since(entered).saturating_sub(8 * time::DAY);
    for to in targets.values().flatten() {
        let at = entered.plus(caster.span(quiet)).plus(time::MINUTE);
        agenda.at(at, Body::AddAddress { account: account.into(), to: to.clone() });
    }
    let key_at = entered.plus(caster.span(quiet)).plus(time::MINUTE);
    agenda.at(key_at, caster.new_key(account, facts));
    for _ in 0..4 {
        let at = entered.plus(caster.span(strike.since(entered)));
        agenda.at(at, Body::Session { account: account.into(), facts: facts.clone() });
    }
}
