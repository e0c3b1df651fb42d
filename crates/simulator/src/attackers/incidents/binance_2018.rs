//! 7 March 2018, 14:58 to 14:59 UTC: keys made since January on phished accounts, one on each and then silence, buy one coin
//! from 31 accounts of the attackers' within two minutes. Those withdraw at once; nothing left, since withdrawals had been
//! halted by then. The coin was VIA; here bitcoins change hands against next to no ether.

use holdfast_values::time;

use super::super::cast::{Caster, Grip, Rank};
use super::super::mules::{self, Source, Trader};
use super::super::reach::Attacker;
use crate::format::{Body, KeyScope};
use crate::population::{Kind, Way};

/// Assumed: how many were phished was not published.
const ACCOUNTS: usize = 120;
const MULES: usize = 31;

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let most = caster.population.people().len() / 4;
    let mut own = mules::open(caster, MULES, false);
    let burst = caster.full_day(2, 14, 58, 0);
    let mut sources = Vec::new();
    let usual = |person: &crate::population::Person| matches!(person.kind, Kind::Customer | Kind::Trader);
    for person in caster.victims(ACCOUNTS.min(most), Rank::Any, usual) {
        let owner = caster.usual(person);
        let facts = caster.stranger(Way::Home, Some(&owner));
        let account = caster.hold(person, Grip::default(), facts.clone());
        let entered = caster.between(caster.days_before(60), caster.days_before(13).plus(1));
        own.agenda.at(entered, Body::Session { account: account.clone(), facts: facts.clone() });
        // It trades, and does not withdraw.
        let key = caster.key_name();
        let body = Body::PutApiKey {
            account: account.clone(),
            key: key.clone(),
            scopes: vec![KeyScope::Read, KeyScope::Trade],
            ip_allowlist: Vec::new(),
            asymmetric: false,
            session: Some(facts),
        };
        own.agenda.at(entered.plus(time::MINUTE), body);
        let at = burst.plus(caster.span(2 * time::MINUTE));
        sources.push(Source { account, key: Some(key), at });
    }
    Box::new(Trader::new(own, sources, 30 * time::SECOND))
}
