//! Who there is: everybody is drawn once, and the rates are calibrated so that the stated shares come out.

use holdfast_values::{Timestamp, time};

use super::agents::Device;
use super::money::{self, Asset, COIN, Prices};
use super::networks::Networks;
use super::person::{Habits, Key, Kind, Payee, Person, SHARED, Spent, Stratum, Tier};
use super::{Model, Settings, ids, odds};
use crate::draw::{Draw, draw};

/// So old is the oldest account on day 0.
const OLDEST: u64 = 810 * time::DAY;
/// Accounts opened in the course of a run, in 1/100,000 of all for each day of it.
const GROWTH: u64 = 110;
/// A tail index above 2: gaps have a mean and hardly a variance.
pub(super) const GAP_ALPHA: f64 = 2.2;
/// Of withdrawals to new addresses by creatures of habit, those that begin with a small one to try.
pub(super) const TRIES: f64 = 0.2;

/// Waiting for pay days, for Monday and for an address to age costs creatures of habit a tenth of their withdrawals a
/// month: measured, and made up for.
const WAITS: f64 = 1.1;

/// What makes the stated shares come out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calibrated {
    /// Multiplies each person's own rate of withdrawals.
    pub(super) withdrawals: f64,
    /// Of withdrawals in sessions, those to new addresses.
    pub(super) new: f64,
}

/// Sign-ins a day of each stratum, weights of withdrawals, and shares of people in 1/1000.
const STRATA: [(Stratum, f64, f64, u32); 5] = [
    (Stratum::Dormant, 1.0 / 60.0, 0.1, 400),
    (Stratum::Occasional, 0.1, 0.5, 300),
    (Stratum::Weekly, 0.3, 1.0, 170),
    (Stratum::Daily, 1.5, 1.8, 100),
    (Stratum::Heavy, 6.0, 3.0, 30),
];

/// When each account is opened: ids are given in that order.
fn opened_at(settings: &Settings, number: u32) -> Timestamp {
    let begin = settings.begins(0);
    let accounts = u64::from(settings.accounts.max(1));
    let span = u64::from(settings.days_total()) * time::DAY;
    let late = (accounts * GROWTH * u64::from(settings.days_total()) / 100_000).min(accounts / 4);
    let early = accounts - late;
    let nth = u64::from(number - number.min(1));
    if nth >= early {
        let part = u128::from(nth - early) * u128::from(span) / u128::from(late.max(1));
        return begin.plus(u64::try_from(part).unwrap_or(0));
    }
    // Growth that got faster: x for most of it, a little of its square.
    let x = (early - nth) as f64 / early as f64;
    let age = OLDEST as f64 * (0.9 * x + 0.1 * x * x);
    begin.minus(odds::whole(age).max(time::SECOND))
}

/// Everybody.
pub(super) fn everybody(settings: &Settings, seed: u64, networks: &Networks) -> Vec<Person> {
    let threads = settings.threads.clamp(1, 64);
    let part = settings.accounts.div_ceil(threads).max(1);
    let one = |number| person(settings, seed, networks, number);
    if threads == 1 {
        return (1..=settings.accounts).map(one).collect();
    }
    let mut people = Vec::with_capacity(usize::try_from(settings.accounts).unwrap_or(0));
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|nth| {
                let first = nth.saturating_mul(part).saturating_add(1);
                let last = first.saturating_add(part - 1).min(settings.accounts);
                scope.spawn(move || (first..=last).map(one).collect::<Vec<_>>())
            })
            .collect();
        for part in parts {
            people.extend(part.join().unwrap_or_default());
        }
    });
    people
}

fn person(settings: &Settings, seed: u64, networks: &Networks, number: u32) -> Person {
    let draw = &mut draw(seed, "person", &[u64::from(number)]);
    let opened_at = opened_at(settings, number);
    let kind = match number {
        1 => Kind::MarketMaker,
        2 => Kind::Payer,
        _ if odds::chance(draw, 1.0 / 2_000.0) => Kind::MarketMaker,
        _ if odds::chance(draw, 1.0 / 3_000.0) => Kind::Payer,
        _ => Kind::Customer,
    };
    let wealth = match kind {
        Kind::MarketMaker => odds::whole(odds::log_normal(draw, 6e8, 0.5)).clamp(300_000_000, 3_000_000_000),
        Kind::Payer => odds::whole(odds::log_normal(draw, 1.5e8, 0.5)).clamp(60_000_000, 600_000_000),
        _ => money::wealth(draw),
    };
    let (stratum, visits, needs) = rates(settings.model, draw, kind, wealth);
    let household = match settings.model {
        Model::Strata => number,
        // 1.8 on the mean in each that has anybody.
        Model::Habits => {
            let households = u64::from(settings.accounts) * 10 / 14;
            u32::try_from(ids::mix(seed ^ u64::from(number)) % households.max(1)).unwrap_or(0)
        }
    };
    let mut home = networks.home(&mut crate::draw::draw(seed, "home", &[u64::from(household)]), household);
    if odds::chance(draw, 0.2) || kind >= Kind::MarketMaker {
        home.office = networks.office_for(draw);
    }
    home.vpn = match odds::below(draw, 100) {
        0..4 => 2,
        4..12 => 1,
        _ => 0,
    };
    let prices = Prices {
        btc: settings.exchange.usd_per_btc.max(1) * 100,
        eth: settings.exchange.usd_per_eth.max(1) * 100,
    };
    // Half own mostly bitcoin, a fifth mostly ether.
    let in_btc = match odds::below(draw, 10) {
        0..5 => odds::between(draw, 0.85, 1.0),
        5..7 => odds::between(draw, 0.0, 0.15),
        _ => odds::between(draw, 0.15, 0.85),
    };
    let has = odds::between(draw, 0.6, 1.2);
    let cents = |share: f64| odds::whole(wealth as f64 * has * share);
    let mut person = Person {
        number,
        tier: tier(draw, kind, wealth),
        stratum,
        kind,
        opened_at,
        credential_at: None,
        btc: prices.units(Asset::Btc, cents(in_btc)),
        eth: prices.units(Asset::Eth, cents(1.0 - in_btc)),
        wealth,
        home,
        away: None,
        devices: devices(settings.model, seed, draw, household),
        book: Vec::new(),
        payees: 0,
        planned: None,
        keys: Vec::new(),
        plans: odds::chance(draw, 0.3),
        spent: Spent::default(),
        visits: visits as f32,
        needs: needs as f32,
        habits: Habits::default(),
    };
    person.credential_at = credential(settings, draw, &person);
    keys(draw, &mut person);
    book(settings, draw, &mut person);
    if settings.model == Model::Habits {
        person.habits = habits(settings, draw, &person);
    }
    person
}

fn rates(model: Model, draw: &mut Draw, kind: Kind, wealth: u64) -> (Stratum, f64, f64) {
    if kind >= Kind::MarketMaker {
        return (Stratum::Daily, 1.5, 0.0);
    }
    let [dormant, .., heavy] = STRATA;
    match model {
        Model::Strata => {
            let mut place = odds::weighted(draw, STRATA.iter().map(|(.., share)| *share));
            // Who owns much looks after it.
            if place == 0 && wealth > 1_000_000 {
                place = 1;
            }
            let (stratum, visits, needs, _) = STRATA.get(place).copied().unwrap_or(dormant);
            (stratum, visits, needs)
        }
        Model::Habits => {
            let visits = odds::log_normal(draw, 0.1, 1.6).clamp(1.0 / 200.0, 8.0);
            let nearest = STRATA.iter().find(|(_, rate, ..)| visits < rate * 2.0).copied().unwrap_or(heavy);
            let needs = libm::sqrt(visits) * odds::log_normal(draw, 1.0, 0.6);
            (nearest.0, visits, needs)
        }
    }
}

fn tier(draw: &mut Draw, kind: Kind, wealth: u64) -> Tier {
    match wealth / 100 {
        _ if kind >= Kind::MarketMaker => Tier::Vip400,
        3_000_000.. => Tier::Vip400,
        15_000.. => Tier::Full,
        _ if odds::chance(draw, 0.1) => Tier::Full,
        _ => Tier::Basic,
    }
}

fn devices(model: Model, seed: u64, draw: &mut Draw, household: u32) -> [Option<Device>; 3] {
    let first = Device::new(draw, None, 0);
    let second = odds::chance(draw, 0.6).then(|| Device::new(draw, Some(!first.is_mobile()), 0));
    // The third one is the family's, where there are families.
    let third = match model {
        Model::Strata => odds::chance(draw, 0.1).then(|| Device::new(draw, None, 0)),
        Model::Habits => {
            let shared = &mut crate::draw::draw(seed, "family", &[u64::from(household)]);
            let device = Device::new(shared, Some(false), 0);
            odds::chance(draw, 0.3).then_some(device)
        }
    };
    [Some(first), second, third]
}

/// When the key that approves is enrolled: mostly long ago, the others in the thinned days, four days before the full
/// ones at the latest; who comes later, a day after coming.
fn credential(settings: &Settings, draw: &mut Draw, person: &Person) -> Option<Timestamp> {
    let share = f64::from(settings.exchange.customers_with_key_permille.min(1_000)) / 1_000.0;
    if !odds::chance(draw, share) {
        return None;
    }
    let (begin, full) = (settings.begins(0), super::FIRST_FULL_DAY);
    if person.opened_at >= begin {
        return Some(person.opened_at.plus(odds::whole(odds::between(draw, 0.5, 1.5) * time::DAY as f64)));
    }
    let span = full.minus(4 * time::DAY).since(begin);
    if span > 0 && odds::chance(draw, 0.3) {
        return Some(begin.plus(odds::whole(span as f64 * odds::between(draw, 0.0, 1.0))));
    }
    Some(person.opened_at)
}

fn keys(draw: &mut Draw, person: &mut Person) {
    let trades = match (person.kind, person.stratum) {
        (Kind::MarketMaker | Kind::Payer, _) => {
            person.keys = vec![Key { withdraws: false, places: 3 }, Key { withdraws: true, places: 2 }];
            return;
        }
        (_, Stratum::Heavy) => 0.2,
        (_, Stratum::Daily) => 0.05,
        _ => return,
    };
    if !odds::chance(draw, trades) {
        return;
    }
    person.kind = Kind::Trader;
    let is_fenced = odds::chance(draw, 0.5);
    person.keys.push(Key { withdraws: false, places: if is_fenced { 1 } else { 0 } });
    if odds::chance(draw, 0.15) {
        person.keys.push(Key { withdraws: true, places: 1 });
    }
}

/// The destinations that somebody paid before day 0.
fn book(settings: &Settings, draw: &mut Draw, person: &mut Person) {
    if person.opened_at >= settings.begins(0) {
        return;
    }
    let count = match person.kind {
        Kind::Payer => 120,
        Kind::MarketMaker => 8,
        _ => 1 + odds::whole(odds::exponential(draw) * 1.5).min(9) as u16,
    };
    for _ in 0..count {
        let asset = owned(draw, person);
        let serial = next_payee(draw, person);
        let paid = 1 + odds::whole(odds::exponential(draw) * 4.0).min(12) as u16;
        person.book.push(Payee {
            serial,
            since: 0,
            last: 0,
            count: paid,
            asset,
            is_paid: true,
            is_booked: true,
        });
    }
    let sat: u16 = person.book.iter().map(|payee| payee.count).sum();
    let least = u16::try_from(super::habits::SAT_LEAST).unwrap_or(0);
    if let Some(favourite) = person.book.first_mut() {
        favourite.count += least.saturating_sub(sat);
    }
    person.book.shrink_to_fit();
}

/// The number of another payee: nobody else's, or a payment processor's for three of a hundred.
pub(super) fn next_payee(draw: &mut Draw, person: &mut Person) -> u16 {
    if person.kind < Kind::MarketMaker && odds::chance(draw, 0.03) {
        let shared = SHARED + u16::try_from(odds::below(draw, 8)).unwrap_or(0);
        if person.book.iter().all(|payee| payee.serial != shared) {
            return shared;
        }
    }
    let serial = person.payees;
    // Nobody has so many; beyond, addresses would repeat.
    person.payees = (serial + 1).min(SHARED - 1);
    serial
}

/// An asset, as likely as what is owned of it is worth.
pub(super) fn owned(draw: &mut Draw, person: &Person) -> Asset {
    // Close enough for a choice: 35 ether a bitcoin.
    let (btc, eth) = (person.btc as f64 * 35.0, person.eth as f64);
    if odds::chance(draw, btc / (btc + eth).max(1.0)) { Asset::Btc } else { Asset::Eth }
}

fn habits(settings: &Settings, draw: &mut Draw, person: &Person) -> Habits {
    let pay_every = match odds::below(draw, 10) {
        0..6 => 30,
        6..9 => 7,
        _ => 14,
    };
    let ahead = i64::from(super::networks::of(person.home.country).ahead) * 60;
    // Seven in the morning there, give or take.
    let wakes = odds::normal(draw).clamp(-3.0, 3.0).mul_add(110.0, 430.0) as i64 - ahead;
    let wakes = u16::try_from(wakes.rem_euclid(1_440)).unwrap_or(0);
    let from = u32::try_from(person.opened_at.since(settings.begins(0)) / time::MINUTE).unwrap_or(u32::MAX);
    let visit = from.saturating_add(minutes(left(draw, f64::from(person.visits))));
    Habits {
        visit,
        // Drawn when rates are calibrated.
        need: 0,
        need_at: 0,
        theta: 0.0,
        usual: odds::log_normal(draw, 0.2, 0.7).min(0.9) as f32,
        wakes,
        pay_every,
        pay_first: odds::below(draw, u32::from(pay_every)) as u8,
        works_weekends: odds::chance(draw, 0.6),
    }
}

/// Minutes in so many days, up to two years.
pub(super) fn minutes(days: f64) -> u32 {
    odds::whole(days.clamp(0.0, 730.0) * 1_440.0) as u32
}

/// Days that are left of a gap when one looks at any time: the equilibrium of a renewal process of this rate a day.
pub(super) fn left(draw: &mut Draw, rate: f64) -> f64 {
    (odds::pareto(draw, 1.0, GAP_ALPHA - 1.0) - 1.0) * (GAP_ALPHA - 1.0) / rate.max(1e-4)
}

/// Finds the rates by which the stated shares come out, and starts what depends on them.
pub(super) fn calibrated(settings: &Settings, seed: u64, people: &mut [Person]) -> Calibrated {
    let sweep = settings.sweep;
    let wanted = f64::from(sweep.withdrawals) / 1_000.0;
    let share = sweep.new_addresses.unwrap_or(settings.exchange.new_address_permille).min(950);
    let share = f64::from(share) / 1_000.0;
    let mut scale = wanted / 30.0;
    let mut customers = 0.0;
    let sample = || people.iter().filter(|person| person.kind < Kind::MarketMaker).take(20_000);
    // Withdrawals bring sign-ins with them, so who is active depends a little on what is being looked for.
    for _ in 0..12 {
        let (mut active, mut needs) = (0.0, 0.0);
        for person in sample() {
            let (visits, own) = (f64::from(person.visits), f64::from(person.needs) * scale);
            let silent = match settings.model {
                Model::Strata => libm::exp(-30.0 * visits),
                Model::Habits => libm::pow(1.0 + 30.0 * visits / (GAP_ALPHA - 1.0), 1.0 - GAP_ALPHA),
            };
            active += 1.0 - silent * libm::exp(-30.0 * own);
            needs += f64::from(person.needs);
        }
        if needs <= 0.0 {
            break;
        }
        scale = wanted * active / (30.0 * needs);
        customers = needs * scale;
    }
    // What programs withdraw goes where it always went: customers make up for it.
    let programs: f64 = people.iter().take(20_000).map(super::firms::withdrawals_a_day).sum();
    let mut new = share;
    if customers > 0.0 {
        new = (share * (customers + programs) / customers).min(0.95);
    }
    if settings.model == Model::Habits {
        new /= 1.0 - TRIES * new;
        new = new.min(0.95);
        scale *= WAITS / TRIES.mul_add(new, 1.0);
        for person in people {
            let draw = &mut draw(seed, "needs", &[u64::from(person.number)]);
            let from = u32::try_from(person.opened_at.since(settings.begins(0)) / time::MINUTE);
            let rate = f64::from(person.needs) * scale;
            let wait = if rate > 0.0 { minutes(left(draw, rate)) } else { u32::MAX };
            person.habits.need = from.unwrap_or(u32::MAX).saturating_add(wait);
            person.habits.need_at = person.habits.need;
            person.habits.theta = (17.0 * new / (1.0 - new) * odds::log_normal(draw, 1.0, 0.4)) as f32;
        }
    }
    Calibrated { withdrawals: scale, new }
}

/// Coins for somebody who needs some, worth so many cents.
pub(super) fn coins(prices: Prices, asset: Asset, cents: u64) -> u64 {
    money::rounded(prices.units(asset, cents).max(COIN / 100_000), 4)
}
