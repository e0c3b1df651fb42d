//! The evaluator is what Cedar's authorizer is: 200,000 requests over the shipped packs, and a pack of every construct.
//! (`cargo xtask soak policy-agreement` draws 10,000,000.)

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly"
)]

use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use holdfast_cedar::cases::{ordinary, parse_fact, set};
use holdfast_cedar::compare::{CompareError, Tally, compare, compare_on};
use holdfast_cedar::{CompiledPack, compile_pack, load_dir};
use holdfast_policy::{Comparison, Expr, Policy, Program};

/// Each policy is to be seen true and false at least this often.
const BOTH_WAYS: u64 = 1_000;

fn shipped(name: &str) -> CompiledPack {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies").join(name);
    load_dir(path).unwrap_or_else(|error| panic!("{error}"))
}

fn agree(pack: &CompiledPack, seed: u64, requests: u64, both_ways: u64) -> Tally {
    let began = Instant::now();
    // A seed for each thread; Cedar is slow here, since nothing of it is optimised.
    let threads = 4;
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let run = |number| move || compare(pack, &pack.program, seed * 100 + number, requests / threads);
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(run(number))).collect();
        let done = running.into_iter().map(|thread| thread.join().unwrap());
        done.map(|tally| tally.unwrap_or_else(|error| panic!("{error}"))).collect()
    });
    let mut tally = Tally::default();
    tallies.iter().for_each(|other| tally.add(other));
    println!("{requests} requests in {:.1} s", began.elapsed().as_secs_f64());
    for policy in pack.program.policies() {
        let [yes, no, error] = tally.policies[&*policy.meta.id];
        println!("{:24} true {yes:6}  false {no:6}  error {error:6}", policy.meta.id);
        assert!(yes >= both_ways, "{} was true only {yes} times", policy.meta.id);
        // A condition that always holds has no other way to be hit.
        if policy.condition != Expr::Bool(true) {
            assert!(no >= both_ways, "{} was false only {no} times", policy.meta.id);
            assert!(error > 0, "{} was never an error", policy.meta.id);
        }
    }
    tally
}

/// Every pack that is shipped, on 200,000 requests in all.
#[test]
fn shipped_packs_mean_what_cedar_says_on_200_000_requests() {
    let shares = [("baseline", 130_000), ("limits-2019", 35_000), ("limits-24h", 35_000)];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut shipped_packs: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    shipped_packs.sort();
    assert_eq!(shipped_packs, shares.map(|(name, _)| name), "each shipped pack has its share");
    let mut sum = 0;
    for (number, (name, requests)) in (1..).zip(shares) {
        sum += agree(&shipped(name), number, requests, BOTH_WAYS).requests;
    }
    assert_eq!(sum, 200_000);
}

/// Everything that compiles, and each order of operands in which an error may hide.
const CONSTRUCTS: &str = r#"
@id("open") permit (principal, action, resource) when { context.asset != "XMR" } unless { context.price.stale };
@id("open-in") permit (principal, action in [Action::"withdraw"], resource) when { context.tier == "vip" };
@id("sum") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { context.account.usd_cents_24h + context.amount_usd_cents > 1000 };
@id("guarded-sum") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { context.amount_usd_cents < 10 && context.account.usd_cents_24h + context.amount_usd_cents > 1000 };
@id("sum-or") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { context.amount_usd_cents < 10 || context.account.usd_cents_1h * 7 >= 700 };
@id("or-sum") @outcome("deny") @reason("r") forbid (principal, action, resource)
when { context.account.usd_cents_1h * 7 >= 700 || context.amount_usd_cents < 10 };
@id("negated") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { -context.amount_usd_cents <= -50 };
@id("if") @outcome("dwell") @for("1h30m") @reason("r") forbid (principal, action, resource)
when { if context.api_key.present then context.api_key.age_hours - 24 < 0 else context.amount_usd_cents == 77 };
@id("if-number") @outcome("step_up") @factor("one_time_code") @reason("r") forbid (principal, action, resource)
when { (if context.destination.known then 500 else 50) != context.amount_usd_cents };
@id("assets") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { ["BTC", "ETH"].contains(context.asset) && !["bitcoin"].contains(context.network) };
@id("counts") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { [1, 2, 3].contains(context.approval.operators) };
@id("words") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { context.class in [Class::"aged", Class::"unvouched"] && context.channel in Channel::"api" };
@id("word") @outcome("hold") @reason("r") forbid (principal, action, resource)
unless { Class::"bound" == context.class || [Channel::"session"].contains(context.channel) };
@id("truths") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { context.price.moved == context.price.stale } when { context.account.cooling_off != true };
@id("extreme") @outcome("hold") @reason("r") forbid (principal, action, resource)
when { context.amount_usd_cents == -9223372036854775808 || context.amount_usd_cents == 9223372036854775807 };
"#;

fn constructs() -> CompiledPack {
    let files = [("constructs.cedar".to_owned(), CONSTRUCTS.to_owned())];
    compile_pack(&files).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_construct_means_what_cedar_says() {
    agree(&constructs(), 3, 12_000, 60);
}

/// Each line is a request that a solver once found against some pack: what differs from an ordinary one. `HOLDFAST_BLESS=1`
/// with the tests of `proofs.rs` adds those that it finds then.
#[test]
fn every_counter_example_that_a_solver_ever_found_means_the_same_to_both() {
    let text = include_str!("counterexamples.txt");
    let mut requests = vec![ordinary()];
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut facts = ordinary();
        for word in line.split_whitespace() {
            let (fact, value) = parse_fact(word).unwrap_or_else(|error| panic!("{line}: {error}"));
            set(&mut facts, fact, value);
        }
        requests.push(facts);
    }
    assert!(requests.len() > 30, "only {}", requests.len());
    for pack in [shipped("baseline"), shipped("limits-2019"), shipped("limits-24h"), constructs()] {
        let tally = compare_on(&pack, &pack.program, &requests).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(tally.requests, requests.len() as u64);
    }
}

/// A program that is wrong in one place, for each place: the comparison finds every one.
#[test]
fn an_altered_program_is_found_out() {
    for (name, pack) in [("constructs", constructs()), ("baseline", shipped("baseline"))] {
        let mut tried = 0;
        for at in 0..pack.program.len() {
            let mut policies: Vec<Policy> = pack.program.policies().to_vec();
            if !alter(&mut policies[at].condition) {
                continue;
            }
            tried += 1;
            let id = policies[at].meta.id.clone();
            let altered = Program::new(pack.hash, policies).unwrap();
            let outcome = compare(&pack, &altered, 5, 4_000);
            assert!(
                matches!(outcome, Err(CompareError::Disagreement { .. })),
                "{name}: {id} was not found out"
            );
        }
        assert!(tried >= 12, "{name}: only {tried} alterations");
    }
}

/// Makes the first comparison, or number, wrong by the least that is wrong.
fn alter(expr: &mut Expr) -> bool {
    match expr {
        Expr::Compare(comparison, _) => {
            *comparison = match comparison {
                Comparison::Equal => Comparison::NotEqual,
                Comparison::NotEqual => Comparison::Equal,
                Comparison::Less => Comparison::LessOrEqual,
                Comparison::LessOrEqual => Comparison::Less,
                Comparison::Greater => Comparison::GreaterOrEqual,
                Comparison::GreaterOrEqual => Comparison::Greater,
            };
            true
        }
        Expr::Among(_, set) if set.len() > 1 => {
            *set = set[1..].to_vec().into_boxed_slice();
            true
        }
        Expr::Not(inner) => alter(inner),
        // The last part first: what stands behind others is harder to reach.
        Expr::All(parts) | Expr::Any(parts) => parts.iter_mut().rev().any(alter),
        Expr::If(parts) => parts.iter_mut().rev().any(alter),
        Expr::Fact(_) => {
            *expr = Expr::Not(Box::new(expr.clone()));
            true
        }
        _ => false,
    }
}
