//! 7 May 2019, 17:15:24 UTC: 7,074 BTC in one transaction with 44 outputs, of which 21 to bech32 addresses carried 99.97 %,
//! out of accounts whose number was never published (here 21, one for each large output). Keys and codes had been phished
//! over months. What had no second chance then has one here: what the burst does not get he takes in slices.

use holdfast_values::time;

use super::super::agenda::Agenda;
use super::super::burst::{Ask, Burst};
use super::super::cast::{Caster, Grip, Rank};
use super::super::coins::{COIN, Coins};
use super::super::data;
use super::super::raid::Raid;
use super::super::reach::Attacker;
use super::super::taker::{Manner, Purse};
use super::shares;
use crate::format::{Body, To};
use crate::population::{Kind, Tier, Way};

/// Everything that left.
pub(in super::super) const TOTAL: Coins = Coins::whole(7_074);
/// The large outputs, and in this drill the accounts.
const ACCOUNTS: usize = 21;
/// All outputs.
const OUTPUTS: usize = 44;
/// What the small outputs carried together: 0.03 %.
const SMALL: Coins = Coins(7_074 * COIN / 10_000 * 3);

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let phished = |person: &crate::population::Person| {
        matches!(person.kind, Kind::Customer | Kind::Trader) && person.credential_at.is_none()
    };
    let victims = caster.victims(ACCOUNTS, Rank::WidestLimits, phished);
    let burst = caster.full_day(1, 17, 15, 24);
    let outputs = outputs(caster);
    let (large, small) = outputs.split_at(ACCOUNTS.min(outputs.len()));
    let mut agenda = Agenda::default();
    let (mut asks, mut purses) = (Vec::new(), Vec::new());
    for (place, person) in victims.iter().enumerate() {
        let owner = caster.usual(person);
        let facts = caster.stranger(Way::Home, Some(&owner));
        let account = caster.hold(person, Grip { codes: true, ..Grip::default() }, facts.clone());
        caster.widen(person, &account, Tier::Vip400.usd_24h());
        let entered = caster.between(caster.days_before(75), caster.days_before(20).plus(1));
        agenda.at(entered, Body::Session { account: account.clone(), facts: facts.clone() });
        agenda.at(
            entered.plus(caster.span(3 * time::DAY)).plus(time::MINUTE),
            caster.new_key(&account, &facts),
        );
        let ask = |(to, amount): &(To, Coins), by_key| Ask {
            at: burst,
            account: account.clone(),
            asset: "BTC",
            to: to.clone(),
            amount: *amount,
            by_key,
        };
        let every = victims.len().max(1);
        let mine =
            |outputs: &[(To, Coins)]| outputs.iter().skip(place).step_by(every).cloned().collect::<Vec<_>>();
        let (large, small) = (mine(large), mine(small));
        asks.extend(large.iter().map(|output| ask(output, true)));
        asks.extend(small.iter().map(|output| ask(output, false)));
        let sum = large.iter().chain(&small).fold(Coins(0), |sum, (_, amount)| sum.plus(*amount));
        caster.only(&account, &[("BTC", sum)]);
        // Slices of what is left go to the same addresses.
        let targets = [("BTC", large.into_iter().map(|(to, _)| to).collect())].into();
        let from = burst.plus(3 * time::MINUTE).plus(caster.span(time::MINUTE));
        purses.push(Purse { account, targets, by_key: true, from, ..Purse::default() });
    }
    let manner = Manner { assets: &["BTC"], ..Manner::default() };
    Box::new(Burst::new(asks, Raid::new(agenda, manner, purses)))
}

/// The outputs, the large ones first: to the addresses of then where they are known here, else to invented ones.
fn outputs(caster: &mut Caster<'_>) -> Vec<(To, Coins)> {
    let (large, small) = data::binance_2019().unwrap_or_else(|| {
        let mut invented = |count| (0..count).map(|_| caster.address("BTC").address).collect();
        (invented(ACCOUNTS), invented(OUTPUTS.saturating_sub(ACCOUNTS)))
    });
    let amounts = |count, total| shares(total, &vec![1; count]);
    let amounts: Vec<Coins> =
        amounts(large.len(), TOTAL.less(SMALL)).into_iter().chain(amounts(small.len(), SMALL)).collect();
    let to = |address| To { network: "bitcoin".into(), address, memo: None };
    large.into_iter().chain(small).map(to).zip(amounts).collect()
}
