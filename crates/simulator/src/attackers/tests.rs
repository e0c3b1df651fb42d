//! Every attack to its end, over a small exchange; what he must not see or have; and what the buckets make of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_decision::command::PolicySource;
use holdfast_values::time;

use super::coins::Coins;
use super::*;
use crate::exchange::{Buckets, Exchange, SignerBuckets};
use crate::format::{Body, Entry};
use crate::log::{Line, What};
use crate::play::{Answer, Play, Seen};
use crate::population::{FIRST_FULL_DAY, Settings};
use crate::truth::{Mark, Role};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn policy(name: &str) -> PolicySource {
    let pack = holdfast_cedar::load_dir(repository(&format!("policies/{name}"))).unwrap();
    PolicySource {
        hash: pack.hash,
        files: pack.files.clone(),
        program: pack.program.to_bytes(),
        compiler: None,
    }
}

/// What came of an attack.
struct Outcome {
    lines: Vec<Line>,
    casting: Casting,
    entries: Vec<Entry>,
    his: BTreeSet<Box<str>>,
    /// Seconds from the first withdrawal that was his to the halt, or to the end.
    seconds: u64,
}

impl Outcome {
    /// What left by his hands.
    fn left(&self, asset: &str, class: &str) -> Coins {
        let amount = |line: &Line| match &line.what {
            What::Left { event, class: of, asset: what, amount, .. }
                if self.his.contains(event) && **what == *asset && (class.is_empty() || **of == *class) =>
            {
                Coins::parse(amount)
            }
            _ => None,
        };
        self.lines.iter().filter_map(amount).fold(Coins(0), Coins::plus)
    }
}

struct Scene {
    exchange: Exchange,
    accounts: u32,
    thinned_days: u32,
    days: u32,
    seed: u64,
}

impl Default for Scene {
    fn default() -> Self {
        Self { exchange: Exchange::default(), accounts: 400, thinned_days: 12, days: 3, seed: 7 }
    }
}

/// As in 2019: no buckets to speak of.
fn unbounded() -> Exchange {
    let much = 100_000;
    Exchange {
        bucket_permille: Buckets { unvouched: much, aged: much, bound: much },
        signer_permille: SignerBuckets { unvouched: much, vouched: much, credential: much },
        ..Exchange::default()
    }
}

fn play(name: &str, pack: &str, scene: &Scene) -> Outcome {
    let attack = named(name).unwrap();
    let Scene { accounts, thinned_days, days, seed, .. } = *scene;
    let exchange = scene.exchange.clone();
    let settings =
        Settings { accounts, thinned_days, days, exchange: exchange.clone(), ..Settings::default() };
    let mut population = Population::new(&settings, seed);
    let mut play = Play::new(&exchange, policy(pack), seed).unwrap();
    for entry in population.opening() {
        play.submit(&entry);
    }
    let mut casting = cast(attack, &population, seed);
    for day in 0..settings.days_total() {
        for entry in population.day(day) {
            while let Some(at) = casting.wakes().filter(|at| *at <= entry.at) {
                casting.act(at, &mut play);
            }
            play.submit(&entry);
        }
    }
    let ends = settings.begins(settings.days_total());
    while let Some(at) = casting.wakes().filter(|at| *at <= ends) {
        casting.act(at, &mut play);
    }
    play.advance(ends.plus(2 * time::DAY));
    assert!(casting.broken().is_none(), "{:?}", casting.broken());
    let mut lines = play.take_log();
    lines.extend(casting.take_lines());
    let his = casting
        .truth()
        .marks
        .iter()
        .filter_map(|mark| match mark {
            Mark::Event { id, .. } => Some(id.clone()),
            Mark::Account { .. } => None,
        })
        .collect::<BTreeSet<_>>();
    let entries = casting.take_entries();
    let first = entries
        .iter()
        .find(|entry| his.contains(&entry.id) && matches!(entry.body, Body::RequestWithdrawal { .. }))
        .map_or(FIRST_FULL_DAY, |entry| entry.at);
    let halt = lines.iter().find(|line| matches!(&line.what, What::Staff { did, .. } if &**did == "halt"));
    let seconds = halt.map_or(ends, |line| line.at).since(first) / time::SECOND;
    Outcome { lines, casting, entries, his, seconds }
}

/// What a bucket of the stated exchange gives over a time, in bitcoins.
fn bucket(permille: u32, seconds: u64) -> Coins {
    let size = Coins::whole(Exchange::default().hot_wallet_btc).permille(permille);
    let refill = u128::from(size.0) * u128::from(seconds) / 3_600;
    size.plus(Coins(u64::try_from(refill).unwrap()))
}

#[test]
fn every_attack_runs_to_its_end_within_its_budget() {
    for attack in all() {
        let scene = Scene { accounts: 250, days: 2, ..Scene::default() };
        let outcome = play(attack.name, "baseline", &scene);
        let (budget, spent) = (attack.budget, outcome.casting.spent());
        assert!(spent.accounts <= budget.accounts, "{}: {spent:?}", attack.name);
        assert!(spent.mules <= budget.mules, "{}: {spent:?}", attack.name);
        assert!(
            spent.requests <= budget.requests && spent.looks <= budget.looks,
            "{}: {spent:?}",
            attack.name
        );
        let submitted = outcome.entries.iter().filter(|entry| outcome.his.contains(&entry.id)).count();
        assert_eq!(u64::from(spent.requests), submitted as u64, "{}: each request is an event", attack.name);
        let entered = outcome.casting.truth().marks.iter();
        let entered = entered.filter(|mark| matches!(mark, Mark::Account { .. })).count();
        assert_eq!(u64::from(spent.accounts + spent.mules), entered as u64, "{}", attack.name);
        if !matches!(attack.name, "bybit-2025" | "bigone-2025") {
            assert!(submitted > 10, "{}: {submitted} events", attack.name);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_attack() {
    let scene = Scene { accounts: 200, days: 2, thinned_days: 8, ..Scene::default() };
    for name in ["patient-unshared", "mules", "just-under"] {
        let (first, second) = (play(name, "baseline", &scene), play(name, "baseline", &scene));
        assert_eq!(first.entries, second.entries, "{name}");
        assert_eq!(first.casting.truth(), second.casting.truth(), "{name}");
        let other = play(
            name,
            "baseline",
            &Scene { seed: 8, accounts: 200, days: 2, thinned_days: 8, ..Scene::default() },
        );
        assert_ne!(first.entries, other.entries, "{name}: another seed is another attack");
    }
}

#[test]
fn the_burst_of_2019_empties_the_wallet_under_the_limits_of_2019() {
    let scene = Scene { exchange: unbounded(), accounts: 2_000, thinned_days: 4, days: 2, seed: 3 };
    let outcome = play("binance-2019", "limits-2019", &scene);
    let left = outcome.left("BTC", "");
    assert!(left > Coins::whole(5_500), "{} BTC of 7,074", left.text());
}

#[test]
fn the_burst_of_2019_gets_what_two_buckets_hold_under_the_baseline() {
    let scene = Scene { accounts: 2_000, thinned_days: 4, days: 2, seed: 3, ..Scene::default() };
    let outcome = play("binance-2019", "baseline", &scene);
    let permille = scene.exchange.bucket_permille;
    for (class, permille) in [("unvouched", permille.unvouched), ("aged", permille.aged)] {
        let (left, bound) = (outcome.left("BTC", class), bucket(permille, outcome.seconds));
        assert!(left <= bound, "{class}: {} of {} BTC in {} s", left.text(), bound.text(), outcome.seconds);
    }
    assert_eq!(outcome.left("BTC", "bound"), Coins(0), "no key is his");
    assert!(outcome.left("BTC", "") > Coins(0), "he does get something: it is no drill without");
}

#[test]
fn a_relay_never_passes_a_passkey() {
    let scene = Scene {
        exchange: Exchange { customers_with_key_permille: 500, ..Exchange::default() },
        ..Scene::default()
    };
    let outcome = play("relay", "baseline", &scene);
    let mut asked = BTreeSet::new();
    for line in &outcome.lines {
        if let What::Decided { event, factors, .. } = &line.what
            && outcome.his.contains(event)
            && factors.iter().any(|factor| &**factor == "passkey")
        {
            asked.insert(event.clone());
        }
    }
    assert!(asked.len() > 5, "he is asked for passkeys: {}", asked.len());
    for line in &outcome.lines {
        if let What::Left { event, .. } = &line.what {
            assert!(!asked.contains(event), "{event} was asked for a passkey and left");
        }
    }
    assert_eq!(outcome.left("BTC", "bound").plus(outcome.left("ETH", "bound")), Coins(0));
}

#[test]
fn one_pair_of_hands_inside_loosens_nothing_and_is_an_alarm() {
    for name in ["insider-operator", "bitfinex-2016"] {
        let outcome = play(name, "baseline", &Scene::default());
        let acts: Vec<&Entry> = outcome
            .entries
            .iter()
            .filter(|entry| matches!(entry.body, Body::RaiseBuckets { .. } | Body::SetLimits { .. }))
            .collect();
        assert!(acts.len() >= 2, "{name}: {}", acts.len());
        for act in acts {
            let refused = outcome
                .lines
                .iter()
                .any(|line| matches!(&line.what, What::Refused { event, .. } if *event == act.id));
            assert!(refused, "{name}: {:?}", act.body);
        }
        let alarm =
            |line: &Line| matches!(&line.what, What::Alarm { kind, .. } if &**kind == "operator_act_refused");
        assert!(outcome.lines.iter().any(alarm), "{name}");
    }
}

#[test]
fn a_poisoned_history_is_paid_by_its_owner() {
    let outcome = play("poisoning-2024", "baseline", &Scene::default());
    assert!(outcome.left("ETH", "") > Coins::whole(100), "no rule finds a look-alike yet");
    let drains = outcome.casting.truth().marks.iter();
    let drains = drains.filter(|mark| matches!(mark, Mark::Event { role: Role::Drain, .. })).count();
    assert!(drains > 5);
}

/// An exchange that asks everybody for a passkey above a sum, and pays the rest.
struct Line100 {
    at_most_cents: u64,
    asked: std::collections::BTreeMap<Box<str>, u64>,
    cancelled: BTreeSet<Box<str>>,
}

impl Stage for Line100 {
    fn submit(&mut self, entry: &Entry) -> Answer {
        match &entry.body {
            Body::RequestWithdrawal { amount, .. } => {
                let cents = Coins::parse(amount).unwrap().cents(100);
                self.asked.insert(entry.id.clone(), cents);
                Answer::Withdrawal(self.seen(&entry.id).unwrap())
            }
            Body::CancelWithdrawal { withdrawal, .. } => {
                self.cancelled.insert(withdrawal.clone());
                Answer::Withdrawal(Seen::Cancelled)
            }
            _ => Answer::Taken,
        }
    }

    fn seen(&self, event: &str) -> Option<Seen> {
        let cents = *self.asked.get(event)?;
        Some(if self.cancelled.contains(event) {
            Seen::Cancelled
        } else if cents > self.at_most_cents {
            Seen::Pending { wants: Some(holdfast_policy::Factor::Passkey) }
        } else {
            Seen::Sent
        })
    }

    fn mark_event(&mut self, _: &str) {}

    fn mark_account(&mut self, _: &str, _: bool) {}

    fn price(&self, _: &str) -> Option<u64> {
        Some(100)
    }
}

#[test]
fn who_creeps_finds_the_line_and_stays_below_it() {
    let settings = Settings { accounts: 300, thinned_days: 10, days: 4, ..Settings::default() };
    let mut population = Population::new(&settings, 5);
    population.opening();
    let mut casting = cast(named("just-under").unwrap(), &population, 5);
    // A coin is a dollar here, so that the line is well within what the accounts hold.
    let mut stage =
        Line100 { at_most_cents: 30_000, asked: Default::default(), cancelled: Default::default() };
    while let Some(at) = casting.wakes() {
        casting.act(at, &mut stage);
    }
    let paid: Vec<u64> =
        stage.asked.values().copied().filter(|cents| *cents <= stage.at_most_cents).collect();
    let best = paid.iter().copied().max().unwrap_or_default();
    assert!(best * 10 > stage.at_most_cents * 8, "he came to {best} of {}", stage.at_most_cents);
    assert!(paid.len() * 2 > stage.asked.len(), "most of what he asks for passes once he knows");
}

#[test]
fn the_table_of_drills_is_the_catalogue() {
    let text = std::fs::read_to_string(repository("docs/drills/README.md")).unwrap();
    for attack in all() {
        let budget = attack.budget;
        let row = format!(
            "| [`{}`]({}) | {} | {} | {} | {} | {} |",
            attack.name,
            attack.page(),
            attack.title,
            budget.accounts,
            budget.mules,
            budget.requests,
            attack.days_before
        );
        assert!(text.contains(&row), "docs/drills/README.md has no row: {row}");
        let page = repository("docs/drills").join(attack.page());
        assert!(page.is_file(), "{}", page.display());
    }
}
