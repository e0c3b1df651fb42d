//! T7: just under the limits. He knows none of the rules, only what his accounts' pages say may leave in a day: he asks for a
//! little less, and creeps, half-way between what passed and what did not, until he knows to a twentieth where the line is.
//! Then each account gives just that, each day.

use holdfast_values::time;

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::Attacker;
use super::taker::{Manner, Purse};
use crate::format::Body;
use crate::population::{Kind, Way};

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let victims =
        caster.victims(30, Rank::Richest, |person| matches!(person.kind, Kind::Customer | Kind::Trader));
    let strike = caster.full_day(0, 8, 0, 0);
    let mut agenda = Agenda::default();
    let mut purses = Vec::new();
    for (place, person) in victims.into_iter().enumerate() {
        let owner = caster.usual(person);
        let facts = caster.stranger(Way::Home, Some(&owner));
        let account = caster.hold(person, Grip { codes: true, ..Grip::default() }, facts.clone());
        let entered = caster.between(caster.from, strike);
        agenda.at(entered, Body::Session { account: account.clone(), facts });
        let from =
            if place == 0 { strike } else { strike.plus(8 * time::HOUR).plus(caster.span(8 * time::HOUR)) };
        let just_under = person.tier.usd_24h().saturating_mul(99);
        purses.push(Purse { first_cents: Some(just_under), ..caster.purse(&account, from, 4) });
    }
    let manner = Manner { creeps: true, open_max: 1, ..Manner::default() };
    Box::new(Raid::new(agenda, manner, purses))
}
