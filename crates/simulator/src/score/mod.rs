//! Scores: what an attack took and what ordinary customers paid, from the lines of a log and the truth and nothing else. A
//! drill and `holdfast score` come through here, so that both say the same of the same files.

mod attack;
pub mod figure;
pub mod files;
pub mod layer;
mod ordinary;
pub mod rank;
mod tally;

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::{Micros, Timestamp, UsdCents, time};
use serde::Serialize;

use crate::exchange::Exchange;
use crate::log::{Line, Upon, What};
use crate::truth::{Mark, Role};

use figure::Figure;
use layer::{LAYERS, Layer, Standing, standing};
use rank::Ranked;

/// What a run was, as far as its scores need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Ordinary withdrawals are scored that were asked for from then on ...
    pub from: Timestamp,
    /// ... and before then.
    pub until: Timestamp,
    /// Customers, where known: without them nothing can be said of a customer and a month.
    pub accounts: Option<u32>,
    /// US cents a bitcoin.
    pub cents_per_btc: u64,
    /// Satoshi that a whole coin is worth, by asset; others are valued by their US dollars of then.
    pub satoshi_per_coin: BTreeMap<Box<str>, u64>,
}

impl Window {
    /// Of a stated exchange.
    pub fn new(exchange: &Exchange, from: Timestamp, until: Timestamp, accounts: Option<u32>) -> Self {
        let cents = |usd: u64| usd.saturating_mul(100).max(1);
        let ether = u128::from(cents(exchange.usd_per_eth)).saturating_mul(100_000_000)
            / u128::from(cents(exchange.usd_per_btc));
        let ether = u64::try_from(ether).unwrap_or(u64::MAX);
        let satoshi_per_coin = [("BTC".into(), 100_000_000), ("ETH".into(), ether)].into();
        Self { from, until, accounts, cents_per_btc: cents(exchange.usd_per_btc), satoshi_per_coin }
    }

    fn satoshi(&self, asset: &str, amount: &str, usd_cents: u64) -> u64 {
        let coins = crate::attackers::coins::Coins::parse(amount);
        if let (Some(coins), Some(rate)) = (coins, self.satoshi_per_coin.get(asset)) {
            return coins.cents(*rate);
        }
        let worth = u128::from(usd_cents).saturating_mul(100_000_000) / u128::from(self.cents_per_btc.max(1));
        u64::try_from(worth).unwrap_or(u64::MAX)
    }

    const fn holds(&self, at: Timestamp) -> bool {
        self.from.0 <= at.0 && at.0 < self.until.0
    }
}

/// One withdrawal, as the lines tell of it.
#[derive(Clone, Debug)]
struct Case {
    is_attacker: bool,
    requested_at: Timestamp,
    usd_cents: u64,
    satoshi: u64,
    over_limit: bool,
    asked_code: bool,
    asked_passkey: bool,
    was_held: bool,
    is_held: bool,
    denied: bool,
    denied_by_staff: bool,
    closed: bool,
    standing: Standing,
    dwell_until: Option<Timestamp>,
    since: Timestamp,
    credit: (Layer, Box<str>),
    spent: [Micros; LAYERS],
    touched: [bool; LAYERS],
    held: Micros,
    codes: BTreeSet<Box<str>>,
    severity: u8,
    reasons: u8,
    left: Option<Payment>,
}

/// Money that has left.
#[derive(Clone, Debug)]
struct Payment {
    at: Timestamp,
    class: Box<str>,
    asset: Box<str>,
    satoshi: u64,
    usd_cents: u64,
}

/// An hour of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// US cents that ordinary customers took out.
    pub ordinary_cents: u64,
    /// US cents that an attacker took out.
    pub attacker_cents: u64,
    /// Withdrawals that became cases for a person.
    pub holds: u32,
    /// Alarms, whatever about.
    pub alarms: u32,
}

/// What a layer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRow {
    /// Which.
    pub layer: Layer,
    /// The attacker's withdrawals that it stopped.
    pub stopped: u64,
    /// Their value in satoshi: what is asked for again counts again.
    pub stopped_satoshi: u64,
    /// Ordinary withdrawals that it made wait, or stopped.
    pub touched: u64,
    /// Ordinary withdrawals that it stopped.
    pub refused: u64,
    /// How long ordinary withdrawals waited for it, together.
    pub waited: Micros,
}

/// What a reason did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonRow {
    /// Its code.
    pub code: Box<str>,
    /// Ordinary withdrawals that had it.
    pub ordinary: u64,
    /// The attacker's that had it.
    pub attacker: u64,
    /// What of the attacker's it stopped, in satoshi.
    pub stopped_satoshi: u64,
}

/// Something that happened, for a picture: when, and how much left if it is money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// `left`, `alarm`, `halt`, `resume`.
    pub what: &'static str,
    /// Satoshi of an attacker's that left.
    pub satoshi: u64,
}

/// The scores of one run.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// Of the attack; empty without one.
    pub attack: Vec<Figure>,
    /// Of ordinary customers.
    pub ordinary: Vec<Figure>,
    /// By layer, in the order of [`Layer::ALL`].
    pub layers: Vec<LayerRow>,
    /// By reason, in the order of codes.
    pub reasons: Vec<ReasonRow>,
    /// By hour, from the window's beginning to the last line.
    pub hours: Vec<Hour>,
    /// The attack in time: what left, first alarms, halts.
    pub moments: Vec<Moment>,
    /// When the attack began to take money.
    pub began: Option<Timestamp>,
    /// What left of each asset, in satoshi, and when the last of it did.
    pub left_by_asset: BTreeMap<Box<str>, (u64, Timestamp)>,
    /// Every withdrawal's rank, ordinary and not.
    pub ranked: Vec<Ranked>,
    /// What left to the attacker, in satoshi, one a payment: what a simpler rule would have seen.
    pub taken: Vec<(u64, u64)>,
}

/// Reads lines and marks, in order, and says at the end what they come to. An event's mark comes before its lines.
#[derive(Clone, Debug)]
pub struct Scorer {
    window: Window,
    keeps_earlier: bool,
    events: BTreeMap<Box<str>, Role>,
    accounts: BTreeSet<Box<str>>,
    cases: BTreeMap<Box<str>, Case>,
    hours: Vec<Hour>,
    moments: Vec<Moment>,
    alarms: u64,
    false_alarms: u64,
    halts: u64,
    halted_since: Option<Timestamp>,
    halted: Micros,
    first_alarm: Option<Timestamp>,
    requests: Vec<Timestamp>,
    refused: BTreeMap<Box<str>, (u64, u64)>,
    order: Vec<Box<str>>,
    last: Timestamp,
}

impl Scorer {
    /// Of a run.
    pub fn new(window: Window) -> Self {
        let last = window.from;
        Self {
            window,
            keeps_earlier: true,
            events: BTreeMap::new(),
            accounts: BTreeSet::new(),
            cases: BTreeMap::new(),
            hours: Vec::new(),
            moments: Vec::new(),
            alarms: 0,
            false_alarms: 0,
            halts: 0,
            halted_since: None,
            halted: 0,
            first_alarm: None,
            requests: Vec::new(),
            refused: BTreeMap::new(),
            order: Vec::new(),
            last,
        }
    }

    /// Keeps nothing of ordinary withdrawals from before the window, which otherwise are still ranked among the others: of a
    /// day of a long run it holds that day alone.
    #[must_use]
    pub fn of_its_window_alone(self) -> Self {
        Self { keeps_earlier: false, ..self }
    }

    /// Takes a mark of the truth.
    pub fn mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Account { account, .. } => drop(self.accounts.insert(account.clone())),
            Mark::Event { id, role, .. } => drop(self.events.insert(id.clone(), *role)),
        }
    }

    /// Takes a line.
    pub fn line(&mut self, line: &Line) {
        let at = line.at;
        self.last = self.last.max(at);
        match &line.what {
            What::Taken { .. } => {}
            What::Refused { event, code, .. } => self.refuse(at, event, code),
            What::Decided { .. } => self.decide(at, &line.what),
            What::Closed { event, status } => {
                if let Some(case) = self.cases.get_mut(event) {
                    case.spend(at);
                    case.closed = true;
                    case.denied = case.denied || &**status == "denied";
                }
            }
            What::Left { event, class, asset, amount, usd_cents, .. } => {
                let satoshi = self.window.satoshi(asset, amount, *usd_cents);
                let (class, asset) = (class.clone(), asset.clone());
                self.leave(event, Payment { at, class, asset, satoshi, usd_cents: *usd_cents });
            }
            What::SignerRefused { event, code } => self.signer_refuses(at, event, code),
            What::Alarm { event, .. } => self.alarm(at, event),
            What::Staff { did, to } => self.staff(at, did, to),
        }
    }

    fn is_attacker(&self, event: &str) -> bool {
        self.events.contains_key(event)
    }

    fn hour(&mut self, at: Timestamp) -> Option<&mut Hour> {
        if at < self.window.from {
            return None;
        }
        let place = usize::try_from(at.since(self.window.from) / time::HOUR).ok()?;
        // Two years are more than any run has.
        if place >= 17_520 {
            return None;
        }
        if self.hours.len() <= place {
            self.hours.resize(place.saturating_add(1), Hour::default());
        }
        self.hours.get_mut(place)
    }

    fn refuse(&mut self, at: Timestamp, event: &str, code: &str) {
        let is_attacker = self.is_attacker(event);
        if self.events.get(event) == Some(&Role::Drain) {
            self.requests.push(at);
        }
        if is_attacker || self.window.holds(at) {
            let (ordinary, attacker) = self.refused.entry(code.into()).or_default();
            let count = if is_attacker { attacker } else { ordinary };
            *count = count.saturating_add(1);
        }
    }

    fn decide(&mut self, at: Timestamp, what: &What) {
        let What::Decided { event, upon, outcome, status, dwell_until, factors, usd_cents, reasons, .. } =
            what
        else {
            return;
        };
        let is_attacker = self.is_attacker(event);
        if !self.cases.contains_key(event) {
            let is_early = at < self.window.from && !self.keeps_earlier;
            if *upon != Upon::Request || !(is_attacker || at < self.window.until && !is_early) {
                return;
            }
            if self.events.get(event) == Some(&Role::Drain) {
                self.requests.push(at);
            }
            let mut case = Case::new(is_attacker, at, *usd_cents);
            let worth = u128::from(*usd_cents).saturating_mul(100_000_000)
                / u128::from(self.window.cents_per_btc.max(1));
            case.satoshi = u64::try_from(worth).unwrap_or(u64::MAX);
            case.rank(outcome, reasons.len());
            self.cases.insert(event.clone(), case);
            self.order.push(event.clone());
        }
        let Some(case) = self.cases.get_mut(event) else { return };
        case.spend(at);
        let was_held = case.is_held;
        case.stand(standing(status, reasons), status, *dwell_until);
        let asks =
            |factor: &str| &**status == "awaiting_approval" && factors.iter().any(|one| &**one == factor);
        case.asked_code |= asks("one_time_code");
        case.asked_passkey |= asks("passkey");
        case.over_limit |= reasons.iter().any(|why| layer::is_over_limit(&why.code));
        case.codes.extend(reasons.iter().filter(|why| &*why.severity != "allow").map(|why| why.code.clone()));
        if case.is_held
            && !was_held
            && let Some(hour) = self.hour(at)
        {
            hour.holds = hour.holds.saturating_add(1);
        }
    }

    fn leave(&mut self, event: &str, payment: Payment) {
        let is_attacker = self.is_attacker(event);
        let (at, satoshi, usd_cents) = (payment.at, payment.satoshi, payment.usd_cents);
        if let Some(hour) = self.hour(at) {
            let cents = if is_attacker { &mut hour.attacker_cents } else { &mut hour.ordinary_cents };
            *cents = cents.saturating_add(usd_cents);
        }
        if is_attacker {
            self.moments.push(Moment { at, what: "left", satoshi });
            if !self.cases.contains_key(event) {
                // What a lying Holdfast or a swapped transaction took was never asked for.
                self.requests.push(at);
                self.cases.insert(event.into(), Case::new(true, at, usd_cents));
                self.order.push(event.into());
            }
        }
        if let Some(case) = self.cases.get_mut(event) {
            case.spend(at);
            case.closed = true;
            case.satoshi = satoshi;
            case.left = Some(payment);
        }
    }

    fn signer_refuses(&mut self, at: Timestamp, event: &str, code: &str) {
        let is_attacker = self.is_attacker(event);
        if is_attacker && !self.cases.contains_key(event) {
            self.requests.push(at);
            self.cases.insert(event.into(), Case::new(true, at, 0));
            self.order.push(event.into());
        }
        if let Some(case) = self.cases.get_mut(event) {
            case.spend(at);
            let by = Standing { layer: Layer::Signer, code: code.into(), then: None };
            case.codes.insert(code.into());
            case.stand(by, "approved", None);
        }
    }

    fn alarm(&mut self, at: Timestamp, event: &str) {
        let is_about = self.is_attacker(event) || self.accounts.contains(event);
        if is_about {
            if self.first_alarm.is_none() {
                self.first_alarm = Some(at);
                self.moments.push(Moment { at, what: "alarm", satoshi: 0 });
            }
        } else if self.window.holds(at) {
            self.false_alarms = self.false_alarms.saturating_add(1);
        }
        if self.window.holds(at) {
            self.alarms = self.alarms.saturating_add(1);
        }
        if let Some(hour) = self.hour(at) {
            hour.alarms = hour.alarms.saturating_add(1);
        }
    }

    fn staff(&mut self, at: Timestamp, did: &str, to: &str) {
        if to != "overall" {
            return;
        }
        match did {
            "halt" if self.halted_since.is_none() => {
                self.halted_since = Some(at);
                self.moments.push(Moment { at, what: "halt", satoshi: 0 });
                if self.window.holds(at) {
                    self.halts = self.halts.saturating_add(1);
                }
            }
            "resume" => {
                if let Some(since) = self.halted_since.take() {
                    self.halted = self.halted.saturating_add(at.since(since));
                    self.moments.push(Moment { at, what: "resume", satoshi: 0 });
                }
            }
            _ => {}
        }
    }

    /// What it comes to.
    pub fn finish(mut self) -> Scores {
        let last = self.last;
        for case in self.cases.values_mut().filter(|case| !case.closed) {
            case.spend(last);
        }
        if let Some(since) = self.halted_since {
            self.halted = self.halted.saturating_add(last.since(since));
        }
        let attacks = !self.events.is_empty();
        let (ranked, taken) = (self.ranked(), self.taken());
        let mut attack = if attacks { self.attack_figures() } else { Vec::new() };
        if attacks {
            attack.extend(rank::figures(&ranked));
        }
        Scores {
            attack,
            ordinary: self.ordinary_figures(),
            layers: self.layers(),
            reasons: self.reasons(),
            began: self.began(),
            left_by_asset: self.left_by_asset(),
            ranked,
            taken,
            hours: self.hours,
            moments: self.moments,
        }
    }

    /// The cases of one side, ordinary ones only of the window, in the order of their requests.
    fn of(&self, is_attacker: bool) -> impl Iterator<Item = &Case> {
        self.order.iter().filter_map(|event| self.cases.get(event)).filter(move |case| {
            case.is_attacker == is_attacker && (is_attacker || self.window.holds(case.requested_at))
        })
    }
}

/// The names of all scores: of an attack, and of ordinary customers.
pub fn names() -> (Vec<&'static str>, Vec<&'static str>) {
    let mut scorer = Scorer::new(Window::new(&Exchange::default(), Timestamp::ZERO, Timestamp::ZERO, None));
    scorer.mark(&Mark::Event { id: "".into(), attack: "".into(), role: Role::Prepare });
    let scores = scorer.finish();
    let of = |figures: &[Figure]| figures.iter().map(|figure| figure.name).collect();
    (of(&scores.attack), of(&scores.ordinary))
}

/// The value of a sum that lasts: cents as a figure keeps them.
fn usd(cents: u64) -> i128 {
    i128::from(UsdCents(cents).0)
}

#[cfg(test)]
mod tests;
