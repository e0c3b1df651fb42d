//! What an attack took, and when somebody noticed.

use std::collections::BTreeMap;

use holdfast_values::{Micros, Timestamp};

use super::figure::{Figure, Unit};
use super::{Case, Payment, Scorer, usd};

impl Scorer {
    /// When the attacker first asked for money, or first got some.
    pub(super) fn began(&self) -> Option<Timestamp> {
        let paid = self.payments().map(|payment| payment.at).min();
        self.requests.iter().copied().chain(paid).min()
    }

    fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.of(true).filter_map(|case| case.left.as_ref())
    }

    pub(super) fn attack_figures(&self) -> Vec<Figure> {
        let began = self.began();
        let since = |at: Timestamp| -> Micros { began.map_or(0, |began| at.since(began)) };
        let events = |at: Timestamp| self.requests.iter().filter(|one| **one <= at).count();
        let contained = self.contained();
        let sum = |chosen: &dyn Fn(&Payment) -> bool| {
            self.payments().filter(|one| chosen(one)).fold(0u64, |sum, one| sum.saturating_add(one.satoshi))
        };
        let btc = |name, satoshi: u64| Figure::of(name, Unit::Btc, i128::from(satoshi));
        let of_class = |name, class: &str| btc(name, sum(&|one| &*one.class == class));
        let cents = self.payments().fold(0u64, |sum, one| sum.saturating_add(one.usd_cents));
        let asked: u64 = self.of(true).fold(0, |sum, case: &Case| sum.saturating_add(case.satoshi));
        let before = |mark: Option<Timestamp>| sum(&|one| mark.is_none_or(|mark| one.at <= mark));
        let last = self.payments().map(|one| one.at).max();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let seconds = |name, at: Option<Timestamp>| {
            Figure::maybe(name, Unit::Seconds, at.map(|at| i128::from(since(at))))
        };
        let number = |name, at: Option<Timestamp>| {
            let number = at.map(|at| i128::from(count(events(at))).saturating_mul(100));
            Figure::maybe(name, Unit::Count, number)
        };
        vec![
            btc("left_btc", sum(&|_| true)),
            Figure::of("left_usd", Unit::Usd, usd(cents)),
            of_class("left_unvouched_btc", "unvouched"),
            of_class("left_aged_btc", "aged"),
            of_class("left_bound_btc", "bound"),
            btc("left_before_alarm_btc", before(self.first_alarm)),
            btc("left_before_containment_btc", before(contained)),
            btc("asked_btc", asked),
            Figure::count("requests", count(self.requests.len())),
            Figure::count("paid", count(self.payments().count())),
            seconds("first_alarm_seconds", self.first_alarm),
            number("first_alarm_events", self.first_alarm),
            seconds("containment_seconds", contained),
            number("containment_events", contained),
            seconds("last_left_seconds", last),
        ]
    }

    /// From when on nothing of the attacker's has left, because people or a layer stood in the way: the first halt after
    /// which nothing left; without one, the first alarm, if nothing ever left. Nothing: it went on until it was over.
    fn contained(&self) -> Option<Timestamp> {
        let last = self.payments().map(|one| one.at).max();
        let began = self.began()?;
        let halts = self.moments.iter().filter(|one| one.what == "halt" && one.at >= began).map(|one| one.at);
        let after = halts.into_iter().find(|halt| last.is_none_or(|last| last <= *halt));
        after.or(if last.is_none() { self.first_alarm } else { None })
    }

    /// What left of each asset, in satoshi, and when the last of it did.
    pub(super) fn left_by_asset(&self) -> BTreeMap<Box<str>, (u64, Timestamp)> {
        let mut left: BTreeMap<Box<str>, (u64, Timestamp)> = BTreeMap::new();
        for payment in self.payments() {
            let one = left.entry(payment.asset.clone()).or_insert((0, payment.at));
            *one = (one.0.saturating_add(payment.satoshi), one.1.max(payment.at));
        }
        left
    }
}
