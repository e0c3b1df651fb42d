//! The evaluator held against Cedar's authorizer for as long as one likes: `cargo xtask soak policy-agreement`.
//!
//! Requests are drawn in chunks, each from a seed of its own, so that a run that was interrupted goes on from the chunk
//! that it names.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast_cedar::compare::{Tally, compare};
use holdfast_cedar::{CompiledPack, load_dir};

/// Requests of a chunk.
const CHUNK: u64 = 5_000;
const USAGE: &str = "agreement [--requests N] [--seed N] [--from CHUNK] [--seconds N] PACK..";

struct Options {
    requests: u64,
    seed: u64,
    from: u64,
    seconds: u64,
    packs: Vec<String>,
}

fn options() -> Option<Options> {
    let mut options =
        Options { requests: 10_000_000, seed: 1, from: 0, seconds: u64::MAX, packs: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.replace('_', "").parse().ok();
        match argument.as_str() {
            "--requests" => options.requests = number()?,
            "--seed" => options.seed = number()?,
            "--from" => options.from = number()?,
            "--seconds" => options.seconds = number()?,
            other if other.starts_with('-') => return None,
            _ => options.packs.push(argument),
        }
    }
    (!options.packs.is_empty() && options.requests > 0).then_some(options)
}

/// A closed pipe does not end the run.
fn say(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        say(USAGE);
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(line) => {
            drop(writeln!(std::io::stdout().lock(), "{line}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// What the threads share.
struct Shared {
    next: AtomicU64,
    stop: AtomicBool,
    /// For each pack what was seen; the chunks that are done out of turn; how far everything is done.
    done: Mutex<(Vec<Tally>, Vec<u64>, u64)>,
    failure: Mutex<Option<String>>,
}

fn run(options: &Options) -> Result<String, String> {
    let load = |name: &String| load_dir(name).map_err(|error| error.to_string());
    let packs: Vec<CompiledPack> = options.packs.iter().map(load).collect::<Result<_, _>>()?;
    let chunks = options.requests.div_ceil(CHUNK);
    let shared = Shared {
        next: AtomicU64::new(options.from),
        stop: AtomicBool::new(false),
        done: Mutex::new((vec![Tally::default(); packs.len()], Vec::new(), options.from)),
        failure: Mutex::new(None),
    };
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| work(&packs, options.seed, chunks, &shared))).collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(100));
            if began.elapsed().as_secs() >= options.seconds {
                shared.stop.store(true, Ordering::Relaxed);
            }
            if told.elapsed() >= Duration::from_secs(5) {
                told = Instant::now();
                progress(&shared, options, chunks, began);
            }
        }
    });
    if let Some(failure) = shared.failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        return Err(failure);
    }
    let (tallies, _, upto) = shared.done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let requests: u64 = tallies.iter().map(|tally| tally.requests).sum();
    let seen = tallies.iter().flat_map(|tally| tally.policies.values()).fold([0u64; 3], |sums, counts| {
        let [a, b, c] = sums;
        let [x, y, z] = counts;
        [a + x, b + y, c + z]
    });
    let [yes, no, error] = seen.map(grouped);
    let policies: usize = packs.iter().map(|pack| pack.program.len()).sum();
    let rest = if upto < chunks {
        format!("; to go on: --seed {} --from {upto}", options.seed)
    } else {
        String::new()
    };
    Ok(format!(
        "policy-agreement: {} requests over {} packs ({policies} policies), seed {}, chunks {} to {upto}: evaluator and \
         authorizer agree on each policy of each ({yes} true, {no} false, {error} errors) in {} s{rest}",
        grouped(requests),
        packs.len(),
        options.seed,
        options.from,
        began.elapsed().as_secs(),
    ))
}

fn work(packs: &[CompiledPack], seed: u64, chunks: u64, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        let chunk = shared.next.fetch_add(1, Ordering::Relaxed);
        if chunk >= chunks {
            return;
        }
        // The packs take turns.
        let at = usize::try_from(chunk).unwrap_or_default().checked_rem(packs.len()).unwrap_or_default();
        let Some(pack) = packs.get(at) else { return };
        let of_chunk = seed.wrapping_mul(1_000_003).wrapping_add(chunk);
        match compare(pack, &pack.program, of_chunk, CHUNK) {
            Ok(tally) => {
                let mut done = shared.done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let (tallies, early, upto) = &mut *done;
                tallies.iter_mut().skip(at).take(1).for_each(|sum| sum.add(&tally));
                early.push(chunk);
                while let Some(place) = early.iter().position(|chunk| chunk == upto) {
                    early.swap_remove(place);
                    *upto += 1;
                }
            }
            Err(error) => {
                let mut failure = shared.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                failure.get_or_insert(format!("seed {seed}, chunk {chunk}: {error}"));
                shared.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn progress(shared: &Shared, options: &Options, chunks: u64, began: Instant) {
    let upto = shared.done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).2;
    let (done, all) = (upto - options.from, chunks.saturating_sub(options.from));
    let left = (began.elapsed().as_secs() * (all - done.min(all))).checked_div(done);
    say(&format!(
        "    {} of {} requests, {}; Ctrl-C ends it, and --seed {} --from {upto} goes on",
        grouped(upto * CHUNK),
        grouped(chunks * CHUNK),
        left.map_or_else(|| "beginning".to_owned(), |left| format!("about {left} s left")),
        options.seed,
    ));
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
