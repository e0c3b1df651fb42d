//! Programs: customers' bots that trade, market makers, and firms that pay many people. They keep no hours.

use holdfast_values::{Micros, time};

use super::money::Asset;
use super::odds;
use super::person::{Kind, Payee, Person};
use super::rhythm;
use super::scene::Scene;

/// Trades of a customer's bot a day.
pub(super) const BOT_TRADES: f64 = 24.0;
/// Trades of a market maker a day.
pub(super) const MAKER_TRADES: f64 = 240.0;
/// Withdrawals of a market maker a day.
pub(super) const MAKER_WITHDRAWALS: f64 = 2.0;
/// Withdrawals of a bot whose key may, a day: what was earned, to an address of its owner's.
pub(super) const BOT_WITHDRAWALS: f64 = 0.05;
/// Payments of a payer's batch, each Friday.
pub(super) const BATCH: u32 = 15;
/// Payments of a market maker on the day of [`super::Extreme::Payout`].
pub(super) const PAYOUT: u32 = 300;

/// What programs of somebody withdraw a day, on the mean.
pub(super) fn withdrawals_a_day(person: &Person) -> f64 {
    match person.kind {
        Kind::Customer => 0.0,
        Kind::Trader if person.keys.iter().any(|key| key.withdraws) => BOT_WITHDRAWALS,
        Kind::Trader => 0.0,
        Kind::MarketMaker => MAKER_WITHDRAWALS,
        Kind::Payer => f64::from(BATCH) / 7.0,
    }
}

/// What somebody's programs do on a day.
pub(super) fn run(scene: &mut Scene<'_>, since: Micros) {
    let busy = scene.world.busy;
    let key = scene.person.keys.iter().position(|key| !key.withdraws).and_then(|nth| u8::try_from(nth).ok());
    let (trades, share) = match scene.person.kind {
        Kind::Customer | Kind::Payer => (0.0, 0.0),
        Kind::Trader => (BOT_TRADES, 0.03),
        Kind::MarketMaker => (MAKER_TRADES, 0.01),
    };
    let mut instants = Vec::new();
    if !scene.world.is_thinned {
        rhythm::steady(&mut scene.draw, trades * busy.trades, &mut instants);
        for at in instants.drain(..).filter(|at| *at >= since) {
            let share = share * odds::exponential(&mut scene.draw).min(4.0);
            scene.trade(at, share, key);
        }
    }
    let withdrawals = match scene.person.kind {
        Kind::Payer => {
            if scene.world.weekday == 4 {
                batch(scene, 10 * time::HOUR, BATCH);
            }
            return;
        }
        Kind::Customer => return,
        Kind::Trader | Kind::MarketMaker => withdrawals_a_day(scene.person),
    };
    rhythm::steady(&mut scene.draw, withdrawals, &mut instants);
    for at in instants.into_iter().filter(|at| *at >= since) {
        withdraw(scene, at);
    }
    if scene.world.today.is_payout && scene.person.number == 1 {
        batch(scene, 14 * time::HOUR, PAYOUT);
    }
}

/// A part of what is there, to a destination that has been paid for long.
fn withdraw(scene: &mut Scene<'_>, at: Micros) {
    let Some(payee) = old_payee(scene) else { return };
    let Some(asset) = scene.person.book.get(payee).map(|payee| payee.asset) else { return };
    let median = if scene.person.kind == Kind::MarketMaker { 0.004 } else { 0.1 };
    let share = odds::log_normal(&mut scene.draw, median, 0.8).min(0.5);
    let units = odds::whole(scene.person.owns(asset) as f64 * share);
    if scene.prices(at).cents(asset, units) >= 10_000 {
        scene.withdraw_by_key(at, payee, units);
    }
    refill(scene, at);
}

/// Many payments within minutes.
fn batch(scene: &mut Scene<'_>, from: Micros, count: u32) {
    let start = from.saturating_add(scene.minutes(0.0, 40.0));
    for nth in 0..count {
        let Some(payee) = old_payee(scene) else { return };
        let Some(asset) = scene.person.book.get(payee).map(|payee| payee.asset) else { return };
        let cents = odds::whole(odds::log_normal(&mut scene.draw, 40_000.0, 0.9)).clamp(5_000, 500_000);
        let at = start.saturating_add(u64::from(nth) * 3 * time::SECOND);
        let units = scene.prices(at).units(asset, cents);
        scene.withdraw_by_key(at, payee, units);
    }
    refill(scene, start);
}

/// One that stands in the book, and has for days.
fn old_payee(scene: &mut Scene<'_>) -> Option<usize> {
    let today = scene.world.day16();
    let is_old =
        |payee: &Payee| payee.is_paid && payee.is_booked && (payee.since == 0 || payee.since + 3 <= today);
    let book = scene.person.book.iter().enumerate().filter(|(_, payee)| is_old(payee));
    let count = u32::try_from(book.clone().count()).ok().filter(|count| *count > 0)?;
    let nth = usize::try_from(odds::below(&mut scene.draw, count)).ok()?;
    book.map(|(place, _)| place).nth(nth)
}

/// Firms keep enough of each asset.
fn refill(scene: &mut Scene<'_>, at: Micros) {
    if scene.person.kind < Kind::MarketMaker {
        return;
    }
    let prices = scene.prices(at);
    for asset in [Asset::Btc, Asset::Eth] {
        let least = scene.person.wealth / 4;
        if prices.cents(asset, scene.person.owns(asset)) < least {
            let units = super::people::coins(prices, asset, least);
            scene.deposit(at.saturating_sub(time::HOUR), asset, units);
        }
    }
}
