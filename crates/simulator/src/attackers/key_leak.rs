//! T6: the secrets of API keys, as they lie on other people's machines. He has whatever keys the customers had given away:
//! many only trade, a few withdraw, and those work from the machines on which he found them.
//!
//! What withdraws he uses; with what only trades he can lose money for its owners, not win it, so he leaves it.

use holdfast_values::time;

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::Attacker;
use super::taker::{Manner, Purse};
use crate::format::{Facts, KeyScope};

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let population = caster.population;
    let has = |person: &crate::population::Person| {
        let keys = population.api_keys(person);
        keys.iter().any(|key| key.scopes.contains(&KeyScope::Withdraw) && !key.asymmetric)
    };
    let victims = caster.victims(120, Rank::Any, has);
    let strike = caster.full_day(3, 2, 30, 0);
    let mut purses = Vec::new();
    for (place, person) in victims.into_iter().enumerate() {
        let account = caster.hold(person, Grip { keys: true, ..Grip::default() }, Facts::default());
        // The first one shows what passes; two hours later all the others are asked.
        let from = if place == 0 {
            strike
        } else {
            strike.plus(2 * time::HOUR).plus(caster.span(10 * time::MINUTE))
        };
        purses.push(Purse { by_key: true, ..caster.purse(&account, from, 3) });
    }
    let manner = Manner { pace: 2 * time::MINUTE, ..Manner::default() };
    Box::new(Raid::new(Agenda::default(), manner, purses))
}
