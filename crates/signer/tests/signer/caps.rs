//! Over random sequences of enrolments, removals, payments and waits: a key counts after its ageing and not before, no
//! lineage vouches beyond its cap in any 30 days, and no mandate pays beyond its day in any 24 hours.

use std::collections::BTreeMap;

use holdfast_authn::release::{Basis, MandateUse};
use holdfast_signer::Signer;
use holdfast_values::texts::MandateText;
use holdfast_values::{Micros, Timestamp, time};
use proptest::prelude::*;

use crate::exchange::{BTC, Exchange};
use crate::keys::{ApiKey, CAP, FIRSTS, Key};

const KEYS: u8 = 6;
const DAY_MAX: u64 = 2 * BTC;

#[derive(Clone, Debug)]
enum Step {
    First(u8),
    Rotation {
        new: u8,
        by: u8,
    },
    Recovery {
        new: u8,
        operators: usize,
    },
    Remove(u8),
    Pay {
        by: u8,
        sats: u64,
    },
    /// Under the mandate of that number, which that key approved.
    Bot {
        by: u8,
        mandate: u8,
        sats: u64,
    },
    Wait {
        minutes: u64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS;
    prop_oneof![
        2 => key().prop_map(Step::First),
        2 => (key(), key()).prop_map(|(new, by)| Step::Rotation { new, by }),
        1 => (key(), 0usize..3).prop_map(|(new, operators)| Step::Recovery { new, operators }),
        1 => key().prop_map(Step::Remove),
        6 => (key(), 600..2 * BTC).prop_map(|(by, sats)| Step::Pay { by, sats }),
        6 => (key(), 0u8..2, 600..BTC / 2).prop_map(|(by, mandate, sats)| Step::Bot { by, mandate, sats }),
        4 => prop_oneof![1u64..600, 1u64..6_000].prop_map(|minutes| Step::Wait { minutes }),
        1 => Just(Step::Restart),
    ]
}

/// What is known of a key, by the rules alone.
struct Known {
    counts_from: Timestamp,
    lineage: u8,
    removed: Option<Timestamp>,
}

#[derive(Default)]
struct Model {
    keys: BTreeMap<u8, Known>,
    /// Removed, known or not.
    removed: Vec<u8>,
    firsts: Vec<Timestamp>,
    vouched: BTreeMap<u8, Vec<(Timestamp, u64)>>,
    mandates: BTreeMap<u8, (u8, MandateText, MandateUse)>,
    paid: BTreeMap<u8, Vec<(Timestamp, u64)>>,
}

impl Model {
    fn counts(&self, key: u8, now: Timestamp) -> bool {
        self.keys.get(&key).is_some_and(|known| known.removed.is_none() && known.counts_from <= now)
    }

    fn enrolled(&mut self, key: u8, counts_from: Timestamp, lineage: u8) {
        assert!(!self.removed.contains(&key), "it was removed");
        self.keys.entry(key).or_insert(Known { counts_from, lineage, removed: None });
    }

    fn vouch(&mut self, key: u8, now: Timestamp, sats: u64) {
        assert!(self.counts(key, now), "it counts");
        let lineage = self.keys[&key].lineage;
        let sums = self.vouched.entry(lineage).or_default();
        sums.push((now, sats));
        assert!(most(sums, 30 * time::DAY) <= CAP, "the cap of a lineage");
    }
}

/// The most in any span.
fn most(sums: &[(Timestamp, u64)], span: Micros) -> u64 {
    let within = |from: Timestamp| {
        sums.iter().filter(|(at, _)| *at >= from && at.since(from) < span).map(|(_, sats)| sats).sum()
    };
    sums.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
}

fn run(steps: &[Step]) {
    let exchange = Exchange::with(|pins| {
        let pins = pins.replace("\"20\", refill_per_hour = \"5\"", "\"2000\", refill_per_hour = \"0\"");
        pins.replace("size = \"0.002\"", "size = \"2\"")
    });
    let keys: Vec<Key> = (0..KEYS).map(|seed| Key::passkey(seed + 1)).collect();
    let key = |number: u8| &keys[usize::from(number)];
    let api_key = ApiKey::new(0x77);
    let mut signer = Some(exchange.signer());
    let mut model = Model::default();
    for step in steps {
        let (open, now) = (signer.as_mut().unwrap(), exchange.now());
        let enrol = |signer: &mut Signer, number: u8, basis: Basis| {
            exchange.enrol(signer, "ac_1", key(number), basis).ok().filter(|enrolled| !enrolled.repeated)
        };
        match step.clone() {
            Step::First(new) => {
                if enrol(open, new, Basis::First).is_some() {
                    let gone = |known: &Known| known.removed.is_some_and(|at| at < known.counts_from);
                    assert!(model.keys.values().all(gone), "the first that may come to count");
                    model.firsts.push(now);
                    let today = model.firsts.iter().filter(|at| now.since(**at) < time::DAY).count();
                    assert!(today <= usize::try_from(FIRSTS).unwrap());
                    model.enrolled(new, now.plus(72 * time::HOUR), new);
                }
            }
            Step::Rotation { new, by } => {
                let basis = exchange.rotation("ac_1", key(new), key(by));
                if enrol(open, new, basis).is_some() {
                    assert!(model.counts(by, now), "who brings it in counts");
                    let lineage = model.keys[&by].lineage;
                    model.enrolled(new, now, lineage);
                }
            }
            Step::Recovery { new, operators } => {
                let basis = exchange.recovery("ac_1", key(new), &["alice", "bob"][..operators]);
                if enrol(open, new, basis).is_some() {
                    assert_eq!(operators, 2);
                    model.enrolled(new, now.plus(72 * time::HOUR), new);
                }
            }
            Step::Remove(gone) => {
                open.remove(&exchange.seal_removal("ac_1", key(gone))).unwrap();
                model.removed.push(gone);
                if let Some(known) = model.keys.get_mut(&gone) {
                    known.removed.get_or_insert(now);
                }
            }
            Step::Pay { by, sats } => {
                if exchange.pay_by(open, key(by), sats) == Ok(()) {
                    model.vouch(by, now, sats);
                }
            }
            Step::Bot { by, mandate, sats } => {
                let (by, text, used) = model
                    .mandates
                    .entry(mandate)
                    .or_insert_with(|| {
                        let text = exchange.mandate(mandate.into(), &api_key);
                        let used = exchange.mandate_use(&text, key(by), &api_key, sats);
                        (by, text, used)
                    })
                    .clone();
                let request = api_key.request(&exchange.parameters(sats));
                if exchange.pay_under(open, &MandateUse { request, ..used }, sats) == Ok(()) {
                    assert!(now <= text.window.not_after().timestamp());
                    model.vouch(by, now, sats);
                    let sums = model.paid.entry(mandate).or_default();
                    sums.push((now, sats));
                    assert!(most(sums, time::DAY) <= DAY_MAX, "the day of a mandate");
                }
            }
            Step::Wait { minutes } => exchange.wait(minutes * time::MINUTE + minutes % 7),
            Step::Restart => {
                drop(signer.take());
                signer = Some(exchange.signer());
            }
        }
    }
    let vouched: u64 = model.vouched.values().flatten().map(|(_, sats)| sats).sum();
    let status = signer.unwrap().status().unwrap();
    let left: u64 = status.buckets[0].available.base_units().try_into().unwrap();
    assert_eq!(left, 2_000 * BTC - vouched, "the bucket has paid for all of it");
}

#[test]
fn such_a_sequence_gets_somewhere() {
    let mut steps = vec![Step::First(0), Step::Wait { minutes: 72 * 60 }, Step::Rotation { new: 1, by: 0 }];
    steps.extend((0..9).map(|_| Step::Pay { by: 1, sats: BTC / 4 }));
    steps.extend((0..9).map(|_| Step::Bot { by: 0, mandate: 0, sats: BTC / 4 }));
    run(&steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn keys_count_when_they_may_and_nothing_exceeds_cap_or_day(steps in prop::collection::vec(step(), 1..80)) {
        // Half of the sequences begin with a key that counts.
        let begun = [Step::First(0), Step::Wait { minutes: 72 * 60 }];
        let begun = if steps.len().is_multiple_of(2) { &begun[..] } else { &[] };
        run(&[begun, &steps].concat());
    }
}
