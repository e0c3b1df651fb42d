//! Whole runs: the same twice, the same after a fork, decided again from their records, and within the signer's buckets.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use holdfast_decision::{Command, Event, State, decide, fold};
use holdfast_simulator::draw::draw;
use holdfast_simulator::exchange::{Exchange, SignerBuckets};
use holdfast_simulator::format::{Body, Channel, Entry, SecurityKind};
use holdfast_simulator::log::{Line, What};
use holdfast_simulator::play::{Play, Recorder};
use holdfast_values::{Amount, Timestamp, time};
use proptest::prelude::*;

use crate::house::{START, bitcoin, exchange, home, pack, permit_all};

/// Some days of a small exchange, drawn: accounts with and without keys, and withdrawals of every size.
fn entries(seed: u64, count: u64) -> Vec<Entry> {
    let mut draw = draw(seed, "entries", &[]);
    let mut at = START;
    let mut all = Vec::new();
    let accounts = 12;
    let mut push = |at: Timestamp, body: Body| {
        let id = format!("e{}", all.len()).into();
        all.push(Entry { at, id, body });
    };
    for nth in 0..accounts {
        let account = format!("ac_{nth}");
        push(at, Body::OpenAccount { account: account.as_str().into(), tier: "full".into() });
        push(at, Body::Session { account: account.as_str().into(), facts: home(&account) });
        if nth % 3 == 0 {
            let credential = "key".into();
            push(at, Body::AddCredential { account: account.as_str().into(), credential, approved_by: None });
        }
    }
    for nth in 0..count {
        at = at.plus(draw.next_u64() % (2 * time::HOUR));
        let account = format!("ac_{}", draw.next_u64() % accounts);
        let body = match draw.next_u64() % 10 {
            0 => Body::SecurityChange { account: account.as_str().into(), kind: SecurityKind::Password },
            1 => Body::Session { account: account.as_str().into(), facts: home(&account) },
            2 => Body::Prices {
                prices: BTreeMap::from([("BTC".into(), format!("{}", 5_800 + nth % 200).into())]),
            },
            _ => Body::RequestWithdrawal {
                account: account.as_str().into(),
                asset: "BTC".into(),
                to: bitcoin(&format!("{account} {}", draw.next_u64() % 4)),
                amount: format!("{}.{:02}", draw.next_u64() % 4, draw.next_u64() % 100).into(),
                channel: Channel::Session { one_time_code: true, facts: Some(home(&account)) },
            },
        };
        push(at, body);
    }
    all
}

fn attacked(exchange: &Exchange) -> Play {
    let mut play = Play::new(exchange, pack("baseline"), 3).unwrap();
    // Some of them are a thief's, so that owners, analysts and halts play along.
    for nth in (60..400).step_by(7) {
        play.mark_attacker_event(&format!("e{nth}"));
    }
    play
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}\n", serde_json::to_string(line).unwrap())).collect()
}

fn finish(play: &mut Play, entries: &[Entry]) {
    for entry in entries {
        play.submit(entry);
    }
    play.advance(play.now().plus(3 * time::DAY));
}

#[test]
fn two_runs_give_the_same_bytes_and_another_seed_does_not() {
    let entries = entries(1, 400);
    let run = |seed| {
        let mut play = Play::new(&Exchange::default(), pack("baseline"), seed).unwrap();
        finish(&mut play, &entries);
        (text(play.log()), play.state().hash(), play.commands())
    };
    let first = run(5);
    assert!(first.0.contains("\"line\":\"left\"") && first.0.contains("\"did\":\"approve\""), "{}", first.0);
    assert_eq!(first, run(5));
    assert_ne!(first.0, run(6).0);
}

#[test]
fn a_fork_goes_on_as_the_straight_run_does() {
    let entries = entries(2, 400);
    let mut straight = attacked(&Exchange::default());
    finish(&mut straight, &entries);
    let log = text(straight.log());
    assert!(log.contains("\"did\":\"halt\""), "there is something to differ in");
    for cut in [0, 30, 200, 399] {
        let mut trunk = attacked(&Exchange::default());
        for entry in &entries[..cut] {
            trunk.submit(entry);
        }
        let mut fork = trunk.clone();
        let mut other = trunk.clone();
        other.advance(trunk.now().plus(time::DAY));
        finish(&mut fork, &entries[cut..]);
        assert_eq!(text(fork.log()), log, "forked before {cut}");
        assert_eq!(fork.state().hash(), straight.state().hash());
        finish(&mut trunk, &entries[cut..]);
        assert_eq!(trunk.state().hash(), straight.state().hash(), "its forks move nothing");
    }
}

type Records = Vec<(Timestamp, Command, Vec<Event>, [u8; 32])>;

struct Keeper(Arc<Mutex<Records>>);

impl Recorder for Keeper {
    fn record(&mut self, at: Timestamp, command: &Command, events: &[Event], state: &State) {
        let record = (at, command.clone(), events.to_vec(), state.hash());
        self.0.lock().unwrap().push(record);
    }
}

#[test]
fn deciding_the_records_again_gives_the_same_events_and_the_same_state() {
    let records = Arc::new(Mutex::new(Records::new()));
    let mut play = attacked(&Exchange::default());
    play.record_to(Box::new(Keeper(Arc::clone(&records))));
    finish(&mut play, &entries(2, 150));
    let records = records.lock().unwrap();
    let (mut state, mut events) = (State::new(), Vec::new());
    for (nth, (at, command, recorded, before)) in records.iter().enumerate() {
        assert_eq!(state.hash(), *before, "record {nth}");
        decide(&state, *at, command, &mut events);
        assert_eq!(events, *recorded, "record {nth}: {command:?}");
        let sequence = state.sequence() + 1;
        fold(&mut state, sequence, *at, &events);
    }
    assert_eq!(state.hash(), play.state().hash());
    assert!(records.iter().any(|(_, command, ..)| matches!(command, Command::OperatorAct(_))));
    assert!(records.iter().any(|(_, command, ..)| matches!(command, Command::ApproveIntent { .. })));
}

/// With `HOLDFAST_SPEED` set: entries a second that are decided, apart from their making.
#[test]
fn entries_are_decided_fast() {
    if std::env::var_os("HOLDFAST_SPEED").is_none() {
        eprintln!("skipped: set HOLDFAST_SPEED=1 to measure");
        return;
    }
    use holdfast_simulator::population::{Population, Settings};
    let settings = Settings { accounts: 10_000, thinned_days: 0, days: 2, ..Settings::default() };
    let mut population = Population::new(&settings, 1);
    let mut play = Play::new(&Exchange::default(), pack("baseline"), 1).unwrap();
    for part in 0..3 {
        let entries = if part == 0 { population.opening() } else { population.day(part - 1) };
        let (began, before) = (std::time::Instant::now(), play.commands());
        for entry in &entries {
            play.submit(entry);
        }
        let spent = began.elapsed();
        let lines = play.take_log().len();
        let commands = play.commands() - before;
        eprintln!("part {part}: {} entries, {commands} commands, {lines} lines, {spent:?}", entries.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is asked for, no window of time sees more leave through a signer's bucket than it holds and what flows in.
    #[test]
    fn what_leaves_stays_within_the_signers_buckets(
        seed in any::<u64>(),
        unvouched in 0u32..3,
        vouched in 0u32..3,
        credential in 0u32..3,
        baseline in any::<bool>(),
    ) {
        let signer_permille = SignerBuckets { unvouched, vouched, credential };
        let exchange = Exchange { signer_permille, ..exchange() };
        let policy = if baseline { pack("baseline") } else { permit_all() };
        let mut play = Play::new(&exchange, policy, seed).unwrap();
        let entries = entries(seed, 250);
        finish(&mut play, &entries);
        for (bucket, permille) in [("unvouched", unvouched), ("vouched", vouched)] {
            let left: Vec<(Timestamp, u128)> = play.log().iter().filter_map(|line| match &line.what {
                What::Left { bucket: from, amount, .. } if **from == *bucket => {
                    Some((line.at, Amount::parse(amount, 8).unwrap().base_units()))
                }
                _ => None,
            }).collect();
            let size = 707_400_000_000 * u128::from(permille) / 1_000;
            for first in 0..left.len() {
                let mut sum = 0;
                for (at, amount) in &left[first..] {
                    sum += amount;
                    let refill = size * u128::from(at.since(left[first].0)) / u128::from(time::HOUR);
                    prop_assert!(sum <= size + refill + 1, "{bucket} {sum} of {size} and {refill}");
                }
            }
        }
        // The run is shorter than 30 days. Operators' words cost a credential nothing.
        let by_operators: BTreeSet<&str> = play.log().iter().filter_map(|line| match &line.what {
            What::Staff { did, to } if &**did == "approve" => Some(&**to),
            _ => None,
        }).collect();
        let accounts: BTreeMap<&str, &str> = entries.iter().filter_map(|entry| match &entry.body {
            Body::RequestWithdrawal { account, .. } => Some((&*entry.id, &**account)),
            _ => None,
        }).collect();
        let mut sums: BTreeMap<&str, u128> = BTreeMap::new();
        for line in play.log() {
            if let What::Left { event, bucket, amount, .. } = &line.what
                && **bucket == *"vouched"
                && !by_operators.contains(&**event)
            {
                *sums.entry(accounts[&**event]).or_default() += Amount::parse(amount, 8).unwrap().base_units();
            }
        }
        let cap = 707_400_000_000 * u128::from(credential) / 1_000;
        prop_assert!(sums.values().all(|sum| *sum <= cap), "{sums:?} of {cap}");
    }
}
