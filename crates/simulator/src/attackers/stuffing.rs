//! T1: passwords that leaked elsewhere, tried here. It hits whoever has used one twice, by chance; of a few of them the
//! mailbox opens by the same password, and with it the codes that are sent there.
//!
//! He comes through residential proxies with devices of his own. Where a session alone does not withdraw he makes an API
//! key and waits until it has an age.

use holdfast_values::time;
use rand::RngExt as _;

use super::agenda::Agenda;
use super::cast::{Caster, Grip, Rank};
use super::raid::Raid;
use super::reach::Attacker;
use super::taker::Manner;
use crate::format::Body;
use crate::population::{Kind, Way};

/// Of a hundred accounts so many are opened together with their mailbox. Assumed.
const MAILBOXES: u32 = 20;
/// Of a hundred sessions so many come from a rented server, not from a residential proxy. Assumed.
const SERVERS: u32 = 25;

pub(super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    let victims =
        caster.victims(60, Rank::Any, |person| matches!(person.kind, Kind::Customer | Kind::Trader));
    let mut agenda = Agenda::default();
    let mut purses = Vec::new();
    let (first, last) = (caster.from, caster.full_day(1, 0, 0, 0));
    for person in victims {
        let codes = caster.draw.random_range(0..100) < MAILBOXES;
        let way = if caster.draw.random_range(0..100) < SERVERS { Way::Hosting } else { Way::Home };
        let facts = caster.stranger(way, None);
        let account = caster.hold(person, Grip { codes, ..Grip::default() }, facts.clone());
        let hit = caster.between(first, last);
        agenda.at(hit, Body::Session { account: account.clone(), facts: facts.clone() });
        let mut purse = caster.purse(&account, hit.plus(3 * time::MINUTE), 2);
        if !codes {
            // A session is asked for a code that he does not have; a key never is. New keys are looked at for a day.
            agenda.at(hit.plus(2 * time::MINUTE), caster.new_key(&account, &facts));
            purse.from = hit.plus(25 * time::HOUR).plus(caster.span(3 * time::HOUR));
            purse.by_key = true;
        }
        purses.push(purse);
    }
    Box::new(Raid::new(agenda, Manner::default(), purses))
}
