//! T8: mimicry, by one who has read the policies and the configuration. He has his victims' own cookies and browsers and signs in
//! out of their own cities, at their own hours, for a month; puts his addresses into their books, where they age; and then takes
//! from all within one evening hour, first what each of them usually withdraws, and never as much as any rule or share asks about.

use holdfast_values::time;
use rand::RngExt as _;

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::Attacker;
use super::taker::{Manner, Purse};
use crate::format::{Body, Facts};
use crate::population::{Kind, Way};

/// One account's share of the *aged* bucket, 5 % of 3 % of the stated wallet, is 62,600 US dollars: above it a person looks. It
/// is also far below the 250,000 from which on aged destinations wait (policies/baseline, `aged-very-large`).
const CEILING_CENTS: u64 = 6_000_000;

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let victims =
        caster.victims(40, Rank::Richest, |person| matches!(person.kind, Kind::Customer | Kind::Trader));
    let mut agenda = Agenda::default();
    let mut purses = Vec::new();
    let strike = caster.full_day(4, 19, 0, 0);
    for person in victims {
        let owner = caster.usual(person);
        let proxy = caster.stranger(Way::Home, Some(&owner));
        // The owner's device and browser, out of a house in the owner's country.
        let facts = Facts { ip: proxy.ip, asn: proxy.asn, ..owner };
        let grip = Grip { codes: true, cookies: true, ..Grip::default() };
        let account = caster.hold(person, grip, facts.clone());
        let (usual_cents, hour) = caster
            .hands
            .accounts
            .get(&account)
            .map_or((0, 0), |held| (held.loot.usual_cents, u64::from(held.loot.usual_hour)));
        let targets = caster.targets(1);
        let entered = caster.between(caster.from, caster.days_before(15).plus(1));
        for to in targets.values().flatten() {
            let at = entered.plus(caster.span(6 * time::DAY)).plus(time::MINUTE);
            agenda.at(at, Body::AddAddress { account: account.clone(), to: to.clone() });
        }
        let mut day = entered.minus(entered.0 % time::DAY);
        while day < strike.minus(time::DAY) {
            let at = day.plus(hour * time::HOUR).plus(caster.span(time::HOUR)).max(entered);
            agenda.at(at, Body::Session { account: account.clone(), facts: facts.clone() });
            day = day.plus(u64::from(caster.draw.random_range(2..6u32)) * time::DAY);
        }
        let from = strike.plus(caster.span(time::HOUR));
        let first_cents = Some(usual_cents);
        purses.push(Purse { account, targets, first_cents, from, ..Purse::default() });
    }
    let manner =
        Manner { wary: true, ceiling_cents: CEILING_CENTS, pace: 4 * time::MINUTE, ..Manner::default() };
    Box::new(Raid::new(agenda, manner, purses))
}
