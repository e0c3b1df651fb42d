//! 3 May 2024: after a test of 0.05 ETH to the right address, 1,155 WBTC went to one that began and ended alike, which somebody
//! had put into the sender's history by a payment of nothing. The owner asks, shows his code and touches his key himself:
//! what he approves is the wrong address.

use holdfast_values::time;
use rand::RngExt as _;

use super::super::agenda::Agenda;
use super::super::cast::{Caster, Grip, Rank};
use super::super::coins::{COIN, Coins};
use super::super::data::{self, Pair};
use super::super::raid::Raid;
use super::super::reach::Attacker;
use super::super::taker::{Manner, Purse};
use crate::format::{Body, Channel, To};
use crate::population::{Kind, Tier};

/// The one of 3 May, and others who copy from their history on the same days. Assumed.
const VICTIMS: usize = 40;
/// The large one: what 1,155 WBTC were worth does not fit any limit here, so it is what fits the widest, in ether.
const LARGE: Coins = Coins::whole(12_000);

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let usual = |person: &crate::population::Person| matches!(person.kind, Kind::Customer);
    let mut victims = caster.victims(1, Rank::WidestLimits, usual);
    victims.extend(caster.victims(VICTIMS - 1, Rank::Any, usual));
    let pairs = data::poisoning();
    let mut agenda = Agenda::default();
    let mut purses = Vec::new();
    for (place, person) in victims.into_iter().enumerate() {
        let pair = pairs.get(place).cloned().unwrap_or_else(|| invented(caster));
        let facts = caster.usual(person);
        let grip = Grip { codes: true, cookies: true, ..Grip::default() };
        let account = caster.hold(person, grip, facts.clone());
        let amount = if place == 0 { LARGE } else { Coins(caster.draw.random_range(COIN / 2..30 * COIN)) };
        if place == 0 {
            caster.widen(person, &account, Tier::Vip400.usd_24h());
        }
        caster.top_up(&account, "ETH", amount.plus(Coins::whole(1)));
        if let Some(held) = caster.hands.accounts.get_mut(&account) {
            // He touches it himself. Without one he has none to be deceived with, and shows a code.
            held.loot.credential = person.credential(caster.from);
            held.deceived = Some(held.loot.credential.clone().unwrap_or_default());
        }
        let strike =
            caster.full_day(1, 9, 14, 47).plus(if place == 0 { 0 } else { caster.span(4 * time::DAY) });
        let to = |address: &str| To { network: "ethereum".into(), address: address.into(), memo: None };
        // He paid the right address weeks before, and an hour before as a test.
        let earlier = strike.minus(time::HOUR).minus(caster.span(12 * time::DAY)).max(caster.from);
        let asks = |at, amount: Coins, address: &str, caster: &mut Caster<'_>| {
            let channel = Channel::Session { one_time_code: true, facts: Some(facts.clone()) };
            let (account, asset) = (account.clone(), "ETH".into());
            let body =
                Body::RequestWithdrawal { account, asset, to: to(address), amount: amount.text(), channel };
            caster.ordinary(at, body);
        };
        asks(earlier, Coins(COIN / 10), &pair.intended, caster);
        asks(strike.minus(time::HOUR), Coins(COIN / 20), &pair.intended, caster);
        // Dust, out of the address that looks alike.
        let dust =
            Body::Deposit { account: account.clone(), asset: "ETH".into(), amount: "0.00000001".into() };
        agenda.at(strike.minus(40 * time::MINUTE), dust);
        let targets = [("ETH", vec![to(&pair.alike)])].into();
        let first_cents = Some(u64::MAX);
        purses.push(Purse { account, targets, from: strike, once: true, first_cents, ..Purse::default() });
    }
    let manner = Manner { assets: &["ETH"], floor_cents: 1_000, ..Manner::default() };
    Box::new(Raid::new(agenda, manner, purses))
}

/// An address, and one that begins and ends with the same four letters.
fn invented(caster: &mut Caster<'_>) -> Pair {
    let (intended, other) = (caster.address("ETH").address, caster.address("ETH").address);
    let part = |address: &str, from: usize, to: usize| address.get(from..to).unwrap_or_default().to_owned();
    let alike = part(&intended, 0, 6) + &part(&other, 6, 38) + &part(&intended, 38, 42);
    Pair { intended: intended.to_lowercase().into(), alike: alike.to_lowercase().into() }
}
