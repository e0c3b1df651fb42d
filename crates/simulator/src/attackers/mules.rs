//! T4: he cannot withdraw from his victims, but he can trade with them. What they lose on the market his own accounts win;
//! those he opened weeks before with bought papers, and they have what no phisher has: passkeys that are really theirs.

use std::collections::VecDeque;

use holdfast_values::{Timestamp, time};
use rand::RngExt as _;

use super::agenda::{Agenda, next_due};
use super::cast::{Caster, Grip, Rank};
use super::coins::{COIN, Coins};
use super::raid::Raid;
use super::reach::{Attacker, Cross, Reach};
use super::taker::{Manner, Purse};
use crate::format::{Body, Facts};
use crate::play::Answer;
use crate::population::{Kind, Way};
use crate::truth::Role;

/// What he pays for what he takes: 2 %. Assumed.
const PAID_PERMILLE: u32 = 20;

/// With less than this of a coin he cannot pay.
const FLOAT_MIN: Coins = Coins(COIN / 2);

/// Accounts of an attacker's own, opened over the first third of his time.
pub(super) fn open(caster: &mut Caster<'_>, count: usize, with_keys: bool) -> Own {
    let mut own = Own::default();
    let (first, strike) = (caster.from, caster.full_day(2, 0, 0, 0));
    let third = strike.since(first) / 3;
    for _ in 0..count {
        let account = caster.mule();
        let facts = caster.stranger(Way::Home, None);
        let at = first.plus(caster.span(third.max(1)));
        own.opens.push_back((at, account.clone()));
        own.agenda.at(at.plus(time::MINUTE), Body::Session { account: account.clone(), facts });
        // With what they pay for their winnings.
        let float = Coins::whole(u64::from(caster.draw.random_range(40..80u32)));
        let deposit = |asset: &str, amount: Coins| Body::Deposit {
            account: account.clone(),
            asset: asset.into(),
            amount: amount.text(),
        };
        own.agenda.at(at.plus(2 * time::HOUR), deposit("ETH", float));
        own.agenda.at(at.plus(2 * time::HOUR), deposit("BTC", float.permille(30)));
        if with_keys {
            let credential = account.replace("ac_", "pk_").into();
            let body = Body::AddCredential { account: account.clone(), credential, approved_by: None };
            own.agenda.at(at.plus(3 * time::HOUR), body);
        }
        let targets = caster.targets(1);
        for to in targets.values().flatten() {
            let added = at.plus(time::DAY).plus(caster.span(third.max(1)));
            own.agenda.at(added, Body::AddAddress { account: account.clone(), to: to.clone() });
        }
        own.purses.push(Purse { account, targets, ..Purse::default() });
    }
    own.opens.make_contiguous().sort();
    own
}

/// His own accounts.
#[derive(Default)]
pub(super) struct Own {
    pub(super) opens: VecDeque<(Timestamp, Box<str>)>,
    pub(super) agenda: Agenda,
    pub(super) purses: Vec<Purse>,
}

/// A victim, and how it trades.
pub(super) struct Source {
    pub(super) account: Box<str>,
    pub(super) key: Option<Box<str>>,
    pub(super) at: Timestamp,
}

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let mut own = open(caster, 12, true);
    let strike = caster.full_day(2, 9, 0, 0);
    let mut sources = Vec::new();
    for person in
        caster.victims(40, Rank::Richest, |person| matches!(person.kind, Kind::Customer | Kind::Trader))
    {
        let owner = caster.usual(person);
        // Copied cookies: the owner's own device, out of the owner's own city.
        let proxy = caster.stranger(Way::Home, Some(&owner));
        let facts = Facts { ip: proxy.ip, asn: proxy.asn, ..owner };
        let account = caster.hold(person, Grip { cookies: true, ..Grip::default() }, facts.clone());
        let at = strike.plus(caster.span(6 * time::HOUR));
        own.agenda.at(at.minus(2 * time::MINUTE), Body::Session { account: account.clone(), facts });
        sources.push(Source { account, key: None, at });
    }
    Box::new(Trader::new(own, sources, 20 * time::MINUTE))
}

/// Loses his victims' money to his own accounts, and withdraws it from there.
pub(super) struct Trader {
    opens: VecDeque<(Timestamp, Box<str>)>,
    sources: VecDeque<Source>,
    raid: Raid,
    /// His own accounts, to be filled in turn.
    own: Vec<Purse>,
    turn: usize,
    started: Vec<bool>,
    /// From a trade to the withdrawal.
    settles: u64,
}

impl Trader {
    pub(super) fn new(own: Own, mut sources: Vec<Source>, settles: u64) -> Self {
        sources.sort_by(|a, b| (a.at, &a.account).cmp(&(b.at, &b.account)));
        let manner = Manner {
            // A passkey of his own answers whatever asks for one; from there he doubles.
            first_cents: Some(4_000_000),
            open_max: 3,
            pace: 3 * time::MINUTE,
            wary: true,
            approves: true,
            ..Manner::default()
        };
        let started = vec![false; own.purses.len()];
        let raid = Raid::new(own.agenda, manner, Vec::new());
        Self { opens: own.opens, sources: sources.into(), raid, own: own.purses, turn: 0, started, settles }
    }

    /// Everything that a victim holds goes to the next of his accounts, for next to nothing.
    fn trade(&mut self, at: Timestamp, source: &Source, reach: &mut dyn Reach) {
        let Some(loot) = reach.spied(&source.account) else { return };
        for (asset, against) in [("BTC", "ETH"), ("ETH", "BTC")] {
            let has = loot.balances.get(asset).copied().unwrap_or_default();
            if has.cents(reach.price(asset)) < 10_000 {
                continue;
            }
            let count = self.own.len();
            // One account's float buys only so much: the next one goes on.
            for _ in 0..count {
                let place = self.turn.checked_rem(count).unwrap_or_default();
                self.turn = self.turn.saturating_add(1);
                let Some(purse) = self.own.get(place).cloned() else { return };
                if self.cross(source, &purse, (asset, has, against), reach) {
                    self.start(at, place, purse);
                    break;
                }
            }
        }
    }

    fn cross(
        &self,
        source: &Source,
        purse: &Purse,
        (asset, amount, against): (&'static str, Coins, &'static str),
        reach: &mut dyn Reach,
    ) -> bool {
        let worth = amount.cents(reach.price(asset));
        let has = |reach: &mut dyn Reach| {
            reach
                .spied(&purse.account)
                .and_then(|loot| loot.balances.get(against).copied())
                .unwrap_or_default()
        };
        let mut float = has(reach);
        if float < FLOAT_MIN {
            // It has withdrawn even what it pays with.
            let (account, amount) = (purse.account.clone(), FLOAT_MIN.text());
            reach.submit(Role::Prepare, Body::Deposit { account, asset: against.into(), amount });
            float = has(reach);
        }
        let price = reach.price(against);
        // Never all of it: the next victim is to be paid, too.
        let most = float.permille(300);
        let paid = Coins::worth(worth, price).permille(PAID_PERMILLE).min(most);
        if paid.0 == 0 {
            return false;
        }
        let keys = [source.key.clone(), None];
        let cross = Cross {
            from: source.account.clone(),
            to: purse.account.clone(),
            asset,
            amount,
            against,
            paid,
            keys,
        };
        reach.cross(&cross) == Answer::Taken
    }

    fn start(&mut self, at: Timestamp, place: usize, purse: Purse) {
        if let Some(started) = self.started.get_mut(place).filter(|started| !**started) {
            *started = true;
            self.raid.taker.add(Purse { from: at.plus(self.settles), ..purse });
        }
    }
}

impl Attacker for Trader {
    fn wakes(&self) -> Option<Timestamp> {
        let opens = self.opens.front().map(|(at, _)| *at);
        let sources = self.sources.front().map(|source| source.at);
        opens.into_iter().chain(sources).chain(self.raid.wakes()).min()
    }

    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        while let Some((_, account)) = next_due(&mut self.opens, |(due, _)| *due <= at) {
            reach.open(&account, "full");
        }
        // What is prepared comes before what it is for.
        self.raid.agenda.act(at, reach);
        while let Some(source) = next_due(&mut self.sources, |source| source.at <= at) {
            self.trade(at, &source, reach);
        }
        self.raid.taker.act(at, reach);
    }
}
