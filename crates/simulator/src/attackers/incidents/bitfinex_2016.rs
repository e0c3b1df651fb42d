//! 2 August 2016: 119,756 BTC out of more than 2,000 accounts in about three hours; the limit on everything together had been
//! raised first. Here the wallet has 7,074 BTC, so that is what the accounts hold together; a hijacked operator first raises
//! buckets and limits, alone, a day before.

use holdfast_values::time;

use std::collections::BTreeSet;

use super::super::agenda::Agenda;
use super::super::cast::{Caster, Grip, Rank};
use super::super::catalogue::Inside;
use super::super::coins::Coins;
use super::super::insider::Inner;
use super::super::raid::Raid;
use super::super::reach::Attacker;
use super::super::taker::{Manner, Purse};
use super::shares;
use crate::format::Body;
use crate::population::Kind;

const ACCOUNTS: usize = 2_000;
/// The whole hot wallet, since there is no more.
const TOTAL: Coins = Coins::whole(7_074);
const WITHIN: u64 = 3 * time::HOUR;

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    caster.hands.inside = Some("otto".into());
    let most = caster.population.people().len() / 4;
    let usual = |person: &crate::population::Person| matches!(person.kind, Kind::Customer | Kind::Trader);
    let victims = caster.victims(ACCOUNTS.min(most), Rank::WidestLimits, usual);
    let strike = caster.full_day(1, 10, 26, 0);
    let weights: Vec<u64> = victims.iter().map(|person| person.tier.usd_24h()).collect();
    let amounts = shares(TOTAL, &weights);
    let mut agenda = Agenda::default();
    let (mut purses, mut accounts) = (Vec::new(), Vec::new());
    for (person, amount) in victims.into_iter().zip(amounts) {
        // The exchange's own servers ask, as if each customer had: with what the edge usually sees of them, and their codes.
        let facts = caster.usual(person);
        let grip = Grip { codes: true, cookies: true, ..Grip::default() };
        let account = caster.hold(person, grip, facts.clone());
        caster.only(&account, &[("BTC", amount)]);
        let from = strike.plus(caster.span(WITHIN));
        agenda.at(from.minus(time::MINUTE), Body::Session { account: account.clone(), facts });
        purses.push(Purse { from, ..caster.purse(&account, from, 1) });
        accounts.push(account);
    }
    let manner = Manner { assets: &["BTC"], open_max: 1, ..Manner::default() };
    Box::new(Inner {
        raid: Raid::new(agenda, manner, purses),
        inside: Inside::Operator,
        accounts,
        acts: Some(strike.minus(26 * time::HOUR)),
        tried: BTreeSet::new(),
        times: 1_000,
    })
}
