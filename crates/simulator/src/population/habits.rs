//! The second model: creatures of habit. What they do are episodes, at hours of their own; withdrawals renew with
//! heavy-tailed gaps around pay days; on some days many do at once what they had in mind for later; an address book grows
//! as a Chinese restaurant does.

use holdfast_values::{Micros, time};

use super::extremes;
use super::odds;
use super::people::{GAP_ALPHA, TRIES, minutes};
use super::person::Kind;
use super::scene::{Scene, Whom, Wish};

/// Of needs, those that wait for the next pay day.
pub(super) const WAITS_FOR_PAY: f64 = 0.5;
/// Of episodes that would fall into the night, those that wait for the morning.
pub(super) const SLEEPS: f64 = 0.85;
/// Of episodes on a weekend of somebody who does not work then, those that wait for Monday.
pub(super) const WAITS_FOR_MONDAY: f64 = 0.3;
/// Of episodes, those of somebody who trades then.
pub(super) const TRADES: f64 = 0.2;
/// News bring forward what was in mind for so many days.
pub(super) const FORWARD: u32 = 5;
/// In a crash or a run those look who would have looked within so many days.
pub(super) const LOOKS: u32 = 14;
/// How many sit in the restaurant: payments that are remembered.
pub(super) const SAT_LEAST: u32 = 12;
const SAT_MOST: u32 = 24;
/// The most episodes of a person on a day.
const EPISODES_MAX: usize = 64;

pub(super) fn day(scene: &mut Scene<'_>, since: Micros) {
    paid(scene, since);
    let today = scene.world.minutes();
    let news = scene.world.today;
    let visit = scene.person.habits.visit;
    let soon = (today.end..today.end.saturating_add(LOOKS * 1_440)).contains(&visit);
    if (news.is_crash || news.is_run) && soon && scene.chance(0.7) {
        // They heard of it, and look.
        scene.person.habits.visit = today.start + 780 + odds::below(&mut scene.draw, 600);
    }
    let busy = scene.world.busy.visits.max(0.1);
    for _ in 0..EPISODES_MAX {
        let visit = scene.person.habits.visit;
        if visit >= today.end {
            break;
        }
        let rate = f64::from(scene.person.visits) * busy;
        let gap = odds::lomax(&mut scene.draw, 1.0 / rate.max(1e-4), GAP_ALPHA);
        scene.person.habits.visit = visit.saturating_add(minutes(gap).max(5));
        let minute = visit.max(today.start) - today.start;
        if let Some(at) = awake(scene, minute) {
            episode(scene, at.max(since));
        }
    }
    if scene.person.kind < Kind::MarketMaker {
        needs(scene, since);
    }
    extremes::join(scene, since);
}

/// The instant at which somebody gets to it: at night in the morning, if that is still today.
fn awake(scene: &mut Scene<'_>, minute: u32) -> Option<Micros> {
    let habits = scene.person.habits;
    if scene.world.is_weekend() && !habits.works_weekends && scene.chance(WAITS_FOR_MONDAY) {
        // Monday is one or two days off.
        let days = 7 - scene.world.weekday;
        let today = scene.world.minutes().start;
        let monday = today.saturating_add(days * 1_440).saturating_add(minute);
        scene.person.habits.visit = scene.person.habits.visit.min(monday);
        return None;
    }
    let up = (minute + 1_440 - u32::from(habits.wakes)) % 1_440;
    let mut minute = minute;
    // Up for sixteen hours.
    if up >= 960 && scene.chance(SLEEPS) {
        let morning = 1_440 - up;
        let wait = odds::whole(odds::exponential(&mut scene.draw) * 150.0) as u32;
        minute = (minute + morning + wait) % 1_440;
    } else if up < 960 && scene.chance(0.35) {
        // Evenings are when most have time.
        let evening = u32::from(habits.wakes) + 600 + odds::below(&mut scene.draw, 330);
        minute = evening % 1_440;
    }
    let second = odds::below(&mut scene.draw, 60_000_000);
    Some(u64::from(minute) * time::MINUTE + u64::from(second))
}

/// A sign-in with what somebody does on the occasion.
fn episode(scene: &mut Scene<'_>, at: Micros) {
    scene.sign_in(at);
    if scene.chance(TRADES * scene.world.busy.trades) {
        let mut at = at;
        for _ in 0..=odds::below(&mut scene.draw, 3) {
            let wait = scene.minutes(0.5, 12.0);
            at = at.saturating_add(wait);
            let share = odds::between(&mut scene.draw, 0.02, 0.3);
            scene.trade(at, share, None);
        }
    }
}

/// On a pay day money comes in.
fn paid(scene: &mut Scene<'_>, since: Micros) {
    let habits = scene.person.habits;
    let every = u32::from(habits.pay_every.max(1));
    let is_payday = scene.world.day % every == u32::from(habits.pay_first) || scene.world.today.is_payday;
    let prices = scene.prices(0);
    if !is_payday || scene.person.cents(prices) > scene.person.wealth / 10 * 12 || !scene.chance(0.6) {
        return;
    }
    let asset = super::people::owned(&mut scene.draw, scene.person);
    let part = f64::from(every) / 30.0 * odds::log_normal(&mut scene.draw, 0.4, 0.4).min(1.5);
    let units =
        super::people::coins(prices, asset, odds::whole(scene.person.wealth as f64 * part).max(1_000));
    let at = awake(scene, 600).unwrap_or(12 * time::HOUR);
    scene.deposit(at.max(since), asset, units);
}

/// Withdrawals whose time has come.
fn needs(scene: &mut Scene<'_>, since: Micros) {
    let today = scene.world.minutes();
    let planned = scene.person.planned.filter(|(due, _)| *due <= scene.world.day16());
    if let Some((_, serial)) = planned {
        scene.person.planned = None;
        let minute = odds::below(&mut scene.draw, 1_440);
        let at = awake(scene, minute).unwrap_or(12 * time::HOUR);
        withdraw(scene, at.max(since), Whom::This(serial));
    }
    let shock = scene.world.shock;
    let near = scene.person.habits.need < today.end.saturating_add(FORWARD * 1_440);
    if shock > 0.0 && near && scene.person.habits.need_at >= today.end && scene.chance(shock) {
        // Most of what is done upon news is done in the same few hours.
        let minute = 720 + odds::below(&mut scene.draw, 360);
        scene.person.habits.need_at = today.start + minute;
    }
    for _ in 0..8 {
        let habits = scene.person.habits;
        if habits.need_at >= today.end {
            return;
        }
        let minute = habits.need_at.max(today.start) - today.start;
        next_need(scene);
        let at = if shock > 0.0 {
            Some(u64::from(minute) * time::MINUTE + u64::from(odds::below(&mut scene.draw, 60_000_000)))
        } else {
            awake(scene, minute)
        };
        let at = at.unwrap_or_else(|| u64::from(minute) * time::MINUTE).max(since);
        let to = whom(scene);
        withdraw(scene, at, to);
    }
}

/// When the next withdrawal is due. The renewal itself is not moved by pay days and news: rates stay what they are.
fn next_need(scene: &mut Scene<'_>) {
    let rate = f64::from(scene.person.needs) * scene.world.calibrated.withdrawals;
    let mean = 1.0 / rate.max(1e-4);
    let gap = minutes(odds::lomax(&mut scene.draw, mean, GAP_ALPHA));
    let habits = scene.person.habits;
    let need = habits.need.saturating_add(gap.max(30));
    let mut at = need;
    if scene.chance(WAITS_FOR_PAY) {
        let every = u32::from(habits.pay_every.max(1)) * 1_440;
        let first = u32::from(habits.pay_first) * 1_440;
        let payday = need.saturating_sub(first).div_ceil(every).saturating_mul(every).saturating_add(first);
        let delay = minutes(odds::lomax(&mut scene.draw, 0.8, GAP_ALPHA));
        // Who withdraws often does not wait for weeks.
        if f64::from(payday - need) < mean * 1_440.0 {
            at = payday.saturating_add(540).saturating_add(delay);
        }
    }
    scene.person.habits.need = need;
    // Never before now: an earlier one may have waited long.
    scene.person.habits.need_at = at.max(scene.person.habits.need_at.saturating_add(30));
}

/// A new table with weight theta, or one of the tables, by how many sit there.
fn whom(scene: &mut Scene<'_>) -> Whom {
    let sat: u32 =
        scene.person.book.iter().filter(|payee| payee.is_paid).map(|payee| u32::from(payee.count)).sum();
    if sat > SAT_MOST {
        // What was long ago is forgotten.
        for payee in &mut scene.person.book {
            payee.count = payee.count.div_ceil(2);
        }
    }
    let theta = f64::from(scene.person.habits.theta);
    if scene.chance(theta / (theta + f64::from(sat.max(SAT_LEAST)))) { Whom::New } else { Whom::Known }
}

fn withdraw(scene: &mut Scene<'_>, at: Micros, to: Whom) {
    let facts = scene.sign_in(at);
    let prices = scene.prices(at);
    let usual = f64::from(scene.person.habits.usual) * scene.person.wealth as f64;
    let part = odds::log_normal(&mut scene.draw, 1.0, 0.35);
    let share = (usual * part / scene.person.cents(prices).max(1) as f64).clamp(0.005, 0.97);
    let may_plan = scene.person.planned.is_none();
    if to == Whom::New && scene.chance(TRIES) {
        // A little first, to see whether it arrives.
        if scene.withdraw(at, &facts, Wish { share: share * 0.03, to, may_plan: false })
            && let Some(serial) = scene.person.book.last().map(|payee| payee.serial)
        {
            let wait = scene.minutes(12.0, 45.0);
            let rest = Wish { share: share * 0.97, to: Whom::This(serial), may_plan: false };
            scene.withdraw(at.saturating_add(wait), &facts, rest);
        }
        return;
    }
    scene.withdraw(at, &facts, Wish { share, to, may_plan });
}
