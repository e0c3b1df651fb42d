//! 17 January 2022, 00:46 UTC: 443.93 BTC and 4,836.26 ETH out of 483 accounts. Withdrawals were approved for which no second
//! factor had ever been entered: so here each request says that a code was shown, and nobody had one.

use holdfast_values::time;
use rand::RngExt as _;

use super::super::agenda::Agenda;
use super::super::burst::{Ask, Burst};
use super::super::cast::{Caster, Grip, Rank};
use super::super::coins::Coins;
use super::super::raid::Raid;
use super::super::reach::Attacker;
use super::super::taker::{Manner, Purse};
use super::shares;
use crate::format::Body;
use crate::population::{Kind, Way};

const ACCOUNTS: usize = 483;
const BTC: Coins = Coins(44_393_000_000);
const ETH: Coins = Coins(483_626_000_000);
/// Nobody loses more than so much of their limit, in US dollars: small accounts were hit as well.
const SHARE_USD_MAX: u64 = 40_000;
/// All of it within so long. Assumed: monitoring noticed it at 00:46, and how long it had gone on was not published.
const WITHIN: u64 = 40 * time::MINUTE;

pub(in super::super) fn cast(caster: &mut Caster<'_>) -> Box<dyn Attacker> {
    // A quarter of a small population at most: the rest must be able to be ordinary.
    let most = caster.population.people().len() / 4;
    let usual = |person: &crate::population::Person| {
        matches!(person.kind, Kind::Customer | Kind::Trader) && person.credential_at.is_none()
    };
    let victims = caster.victims(ACCOUNTS.min(most), Rank::WidestLimits, usual);
    let begins = caster.full_day(0, 0, 46, 0);
    let weights: Vec<u64> = victims.iter().map(|person| person.tier.usd_24h().min(SHARE_USD_MAX)).collect();
    // Six of seven dollars were bitcoins: every seventh account loses ether.
    let of = |ether: bool| -> Vec<u64> {
        let weight = |(place, weight): (usize, &u64)| if (place % 7 == 0) == ether { *weight } else { 0 };
        weights.iter().enumerate().map(weight).collect()
    };
    let (btc, eth) = (shares(BTC, &of(false)), shares(ETH, &of(true)));
    let (mut asks, mut purses) = (Vec::new(), Vec::new());
    let mut agenda = Agenda::default();
    for (person, (btc, eth)) in victims.iter().zip(btc.into_iter().zip(eth)) {
        let way = if caster.draw.random_range(0..3) == 0 { Way::Vpn } else { Way::Home };
        let facts = caster.stranger(way, None);
        let account = caster.hold(person, Grip { codes: true, ..Grip::default() }, facts.clone());
        let at = begins.plus(caster.span(WITHIN));
        agenda.at(at.minus(30 * time::SECOND), Body::Session { account: account.clone(), facts });
        caster.only(&account, &[("BTC", btc), ("ETH", eth)]);
        let purse = caster.purse(&account, at.plus(5 * time::MINUTE), 1);
        for (asset, amount) in [("BTC", btc), ("ETH", eth)] {
            if amount.0 == 0 {
                continue;
            }
            if let Some(to) = purse.targets.get(asset).and_then(|targets| targets.first()).cloned() {
                asks.push(Ask { at, account: account.clone(), asset, to, amount, by_key: false });
            }
        }
        purses.push(Purse { from: at.plus(5 * time::MINUTE), ..purse });
    }
    Box::new(Burst::new(asks, Raid::new(agenda, Manner { open_max: 1, ..Manner::default() }, purses)))
}
