//! October to December 2022: about 100,000 API keys leaked from a trading service. They could trade and not withdraw; 22 to 27
//! million dollars were lost by trades that nobody had asked for, to accounts that could.

use holdfast_values::time;
use rand::RngExt as _;

use super::super::cast::{Caster, Grip, Rank};
use super::super::coins::Coins;
use super::super::mules::{self, Source, Trader};
use super::super::reach::Attacker;
use super::shares;
use crate::format::{Facts, KeyScope};
use crate::population::Kind;

/// Of the keys that leaked, so many are of this exchange's customers. Assumed.
const ACCOUNTS: usize = 200;
const MULES: usize = 8;
/// What was lost together, in US dollars: the lower of the published numbers.
const LOST_USD: u64 = 22_000_000;

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let own = mules::open(caster, MULES, false);
    let population = caster.population;
    let has_key = |person: &crate::population::Person| {
        matches!(person.kind, Kind::Trader)
            && population
                .api_keys(person)
                .iter()
                .any(|key| key.scopes.contains(&KeyScope::Trade) && !key.asymmetric)
    };
    let victims = caster.victims(ACCOUNTS, Rank::Any, has_key);
    let cents = population.settings().exchange.usd_per_btc.saturating_mul(100);
    let total = Coins::worth(LOST_USD.saturating_mul(100), cents);
    let weights: Vec<u64> = victims.iter().map(|_| caster.draw.random_range(1..20)).collect();
    let mut sources = Vec::new();
    // On six days, in no order.
    let (first, last) = (caster.full_day(0, 3, 0, 0), caster.full_day(5, 20, 0, 0));
    for (person, amount) in victims.into_iter().zip(shares(total, &weights)) {
        let account = caster.hold(person, Grip { keys: true, ..Grip::default() }, Facts::default());
        caster.only(&account, &[("BTC", amount)]);
        let keys = population.api_keys(person).into_iter();
        let key = keys.filter(|key| key.scopes.contains(&KeyScope::Trade)).map(|key| key.id).next();
        let at = caster.between(first, last);
        sources.push(Source { account, key, at });
    }
    Box::new(Trader::new(own, sources, 30 * time::MINUTE))
}
