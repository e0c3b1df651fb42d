//! T5: someone inside. An analyst who is bribed sees which of his friend's withdrawals are held, and signs for them, alone;
//! an operator whose workplace is hijacked raises limits and buckets, alone, before anything is taken. One pair of hands
//! never suffices, and each attempt is written down: so he takes what he can without.

use std::collections::BTreeSet;

use holdfast_values::{Timestamp, time};

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::catalogue::Inside;
use super::raid::Raid;
use super::reach::{Attacker, Insider, Reach};
use super::taker::Manner;
use crate::format::Body;
use crate::population::{Kind, Way};

/// How often the one inside looks.
const LOOKS_EVERY: u64 = 15 * time::MINUTE;
/// Refused so often he does not dare again.
const ATTEMPTS: usize = 6;

pub(super) fn cast(caster: &mut Caster<'_>, inside: Inside) -> Box<dyn Attacker> {
    // One of the three who hold a key.
    caster.hands.inside = Some("otto".into());
    let strike = caster.full_day(1, 11, 0, 0);
    let mut agenda = Agenda::default();
    let mut purses = Vec::new();
    let mut accounts = Vec::new();
    for person in
        caster.victims(20, Rank::Richest, |person| matches!(person.kind, Kind::Customer | Kind::Trader))
    {
        let owner = caster.usual(person);
        let facts = caster.stranger(Way::Home, Some(&owner));
        let account = caster.hold(person, Grip { codes: true, ..Grip::default() }, facts.clone());
        let entered = caster.between(caster.from, strike);
        agenda.at(entered, Body::Session { account: account.clone(), facts });
        let from = strike.plus(caster.span(2 * time::HOUR));
        purses.push(caster.purse(&account, from, 2));
        accounts.push(account);
    }
    let raid = Raid::new(agenda, Manner::default(), purses);
    let acts = strike.minus(if inside == Inside::Operator { 26 * time::HOUR } else { 0 });
    Box::new(Inner { raid, inside, accounts, acts: Some(acts), tried: BTreeSet::new(), times: 10 })
}

/// Takes, with someone inside.
pub(super) struct Inner {
    pub(super) raid: Raid,
    pub(super) inside: Inside,
    pub(super) accounts: Vec<Box<str>>,
    /// When the one inside next does something.
    pub(super) acts: Option<Timestamp>,
    pub(super) tried: BTreeSet<Box<str>>,
    /// How many times the buckets are to be raised.
    pub(super) times: u32,
}

impl Inner {
    fn inside(&mut self, at: Timestamp, insider: &mut dyn Insider) {
        match self.inside {
            Inside::Analyst => {
                for case in insider.cases() {
                    if self.tried.len() < ATTEMPTS && self.tried.insert(case.clone()) {
                        insider.approve(&case);
                    }
                }
                self.acts = (self.tried.len() < ATTEMPTS).then(|| at.plus(LOOKS_EVERY));
            }
            Inside::Operator => {
                // A day before, since what loosens is said to wait for a day.
                insider.raise_buckets(self.times);
                for account in self.accounts.iter().take(3) {
                    insider.raise_limits(account, 100_000_000);
                }
                self.acts = None;
            }
        }
    }
}

impl Attacker for Inner {
    fn wakes(&self) -> Option<Timestamp> {
        // With nothing left to be taken there is nothing to be signed.
        let acts = self.acts.filter(|_| self.raid.wakes().is_some());
        acts.into_iter().chain(self.raid.wakes()).min()
    }

    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        if self.acts.is_some_and(|acts| acts <= at)
            && let Some(insider) = reach.insider()
        {
            self.inside(at, insider);
        }
        self.raid.act(at, reach);
    }
}
