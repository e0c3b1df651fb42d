//! T6: the secrets of API keys, as they lie on other people's machines. He has whatever keys the customers had given away:
//! many only trade, a few withdraw, and those work from the machines on which he found them.
//!
//! What withdraws he uses; with what only trades he can lose money for its owners, not win it, so he leaves it.

use holdfast_values::time;

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::{Attacker, StolenKey};
use super::taker::{Manner, Purse};
use crate::format::{Body, Facts, KeyScope};
use crate::population::{Kind, Person};

/// Whose keys leaked. Assumed.
const ACCOUNTS: usize = 120;

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let population = caster.population;
    let has = |person: &Person| {
        let keys = population.api_keys(person);
        keys.iter().any(|key| key.scopes.contains(&KeyScope::Withdraw) && !key.asymmetric)
    };
    let mut victims = caster.victims(ACCOUNTS, Rank::Any, has);
    let missing = ACCOUNTS.min(population.people().len() / 8).saturating_sub(victims.len());
    let usual = |person: &Person| matches!(person.kind, Kind::Customer | Kind::Trader);
    victims.extend(caster.victims(missing, Rank::Richest, usual));
    let strike = caster.full_day(3, 2, 30, 0);
    let mut purses = Vec::new();
    for (place, person) in victims.into_iter().enumerate() {
        let account = caster.hold(person, Grip { keys: true, ..Grip::default() }, Facts::default());
        if caster.hands.accounts.get(&account).is_some_and(|held| held.loot.keys.is_empty()) {
            made_before(caster, person, &account);
        }
        // The first one shows what passes; two hours later all the others are asked.
        let from = if place == 0 {
            strike
        } else {
            strike.plus(2 * time::HOUR).plus(caster.span(10 * time::MINUTE))
        };
        purses.push(Purse { by_key: true, ..caster.purse(&account, from, 3) });
    }
    let manner =
        Manner { first_cents: Some(500_000), pace: 2 * time::MINUTE, wary: true, ..Manner::default() };
    Box::new(Raid::new(Agenda::default(), manner, purses))
}

/// A key that withdraws, which its owner made before and gave away.
fn made_before(caster: &mut Caster<'_>, person: &Person, account: &str) {
    let facts = caster.usual(person);
    let body = caster.new_key(account, &facts);
    if let (Body::PutApiKey { key, scopes, ip_allowlist, .. }, Some(held)) =
        (&body, caster.hands.accounts.get_mut(account))
    {
        let ip = ip_allowlist.first().cloned().unwrap_or_default();
        held.loot.keys.push(StolenKey { key: key.clone(), scopes: scopes.clone(), ip });
    }
    let at = caster.from.plus(caster.span(2 * time::DAY));
    caster.ordinary(at, body);
}
