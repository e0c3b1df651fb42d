//! The first model: each account for itself. Sign-ins and withdrawals are Poisson processes whose rates are a stratum's,
//! thinned by one rhythm of the day for all, with independent marks.

use holdfast_values::{Micros, time};

use super::extremes;
use super::odds;
use super::person::Kind;
use super::rhythm;
use super::scene::{Scene, Whom, Wish};

/// Trades at a sign-in on a full day.
pub(super) const TRADES: f64 = 0.3;
/// Deposits of somebody who owns less than usual, a day.
pub(super) const DEPOSITS: f64 = 0.15;
/// The median of a withdrawal, of what is owned of its asset, and the spread of its logarithm.
pub(super) const SHARE: [f64; 2] = [0.15, 1.0];

pub(super) fn day(scene: &mut Scene<'_>, since: Micros) {
    let (busy, calibrated) = (scene.world.busy, scene.world.calibrated);
    let mut instants = Vec::new();
    rhythm::thinned(&mut scene.draw, f64::from(scene.person.visits) * busy.visits, &mut instants);
    for at in instants.drain(..).filter(|at| *at >= since) {
        scene.sign_in(at);
        if scene.chance(TRADES * busy.trades) {
            let share = odds::between(&mut scene.draw, 0.02, 0.4);
            let wait = scene.minutes(0.5, 20.0);
            scene.trade(at.saturating_add(wait), share, None);
        }
    }
    deposit(scene, since);
    if let Some((due, serial)) = scene.person.planned
        && due <= scene.world.day16()
    {
        scene.person.planned = None;
        let at = rhythm::instant(&mut scene.draw).max(since);
        withdraw(scene, at, Whom::This(serial));
    }
    if scene.person.kind < Kind::MarketMaker {
        let needs = f64::from(scene.person.needs) * calibrated.withdrawals * busy.withdrawals;
        rhythm::thinned(&mut scene.draw, needs, &mut instants);
        for at in instants.into_iter().filter(|at| *at >= since) {
            let to = if scene.chance(calibrated.new) { Whom::New } else { Whom::Known };
            withdraw(scene, at, to);
        }
    }
    extremes::join(scene, since);
}

fn withdraw(scene: &mut Scene<'_>, at: Micros, to: Whom) {
    let facts = scene.sign_in(at);
    let [median, sigma] = SHARE;
    let share = odds::log_normal(&mut scene.draw, median, sigma).min(0.98);
    scene.withdraw(at, &facts, Wish { share, to, may_plan: scene.person.planned.is_none() });
}

fn deposit(scene: &mut Scene<'_>, since: Micros) {
    let prices = scene.prices(0);
    if scene.person.cents(prices) > scene.person.wealth / 10 * 7 {
        return;
    }
    if !scene.chance(DEPOSITS * scene.world.busy.deposits) {
        return;
    }
    let at = rhythm::instant(&mut scene.draw).max(since);
    let asset = super::people::owned(&mut scene.draw, scene.person);
    let part = odds::log_normal(&mut scene.draw, 0.3, 0.6).min(2.0);
    let cents = odds::whole(scene.person.wealth as f64 * part).max(1_000);
    let units = super::people::coins(prices, asset, cents);
    if !scene.world.is_thinned {
        let before = at.saturating_sub(5 * time::MINUTE).max(since);
        scene.sign_in(before);
    }
    scene.deposit(at, asset, units);
}
