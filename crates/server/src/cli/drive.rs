//! `holdfast drive`: a file of events, put to a running server over HTTP at its own pace, by real calls with real keys.

mod clock;
mod found;
mod hands;
mod keys;
mod play;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_simulator::decide::{Watch, write_line};
use holdfast_simulator::format::BadLine;
use holdfast_simulator::log::FORMAT;
use holdfast_values::{Micros, time};
use ring::signature::Ed25519KeyPair;
use serde_json::json;

use self::clock::Clock;
use self::found::Found;
use self::hands::Hands;
use self::play::{Ended, Options};
use super::client::ServerArgs;
use super::decide::{Blame, blameless, events};
use super::progress::{Bar, fail, finish, interrupted};
use super::{Failure, operator};
use crate::data;

const READ_BYTES: usize = 1 << 20;
/// How many bad lines are told of one by one.
const TOLD_MAX: u64 = 20;
/// How many calls without an answer are told of one by one.
const LOST_TOLD_MAX: usize = 5;

/// Drive a running server with a file of events, over HTTP and at the file's pace.
///
/// The events come from wherever they come (docs/events.md is the format; `holdfast drill NAME --events FILE` writes one).
/// Each becomes the calls that an exchange would make, with real keys: passkeys in software, API requests signed by RFC
/// 9421. The file's first instant is sent at once, the rest follows on the server's clock, which a directory made with
/// `init --simulated-clock` can let run fast (`serve --clock-rate`). Never drive a server that guards real coins. Exits 0 if
/// every event was answered, 1 if a line is bad or a call had no answer, 2 if something cannot be read, written or reached,
/// 130 if it was interrupted.
#[derive(clap::Args, Debug)]
pub struct DriveArgs {
    /// The events, one JSON object a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// Where the decisions go, one JSON object a line, as `holdfast score` reads them; an existing file is replaced.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Play the file so many times faster than the server's clock. Dwells and ages keep the server's time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    speed: u64,
    /// How many connections; the events of one account use the same.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// An operator's key as `holdfast operator keygen` makes it, NAME=FILE, for what operators sign in the file.
    #[arg(long = "operator", value_name = "NAME=FILE")]
    operators: Vec<String>,
    /// The page on which customers' keys are asked, as the server's configuration names it; https://RP-ID if absent.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Leave out so many bad lines before giving up.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_bad: u64,
    /// Customers do only what the events say: no notice is delivered, no factor shown, unless an event says so.
    #[arg(long)]
    no_customers: bool,
    /// How many hours of the file's time to wait after the last event, so that what waits is decided.
    #[arg(long, value_name = "HOURS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=8_784))]
    after: u64,
    /// What customers do is drawn from this.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &DriveArgs) -> ExitCode {
    match driven(args) {
        Ok(Done { text, is_whole, interrupted }) => {
            let written = finish(io::stdout().lock().write_all(text.as_bytes()), is_whole);
            if interrupted { ExitCode::from(130) } else { written }
        }
        Err((Failure { code, message }, true)) => {
            let _unseen = writeln!(io::stderr(), "error: {code}: {message}");
            ExitCode::from(1)
        }
        Err((Failure { code, message }, false)) => fail(code, &message),
    }
}

struct Done {
    text: String,
    is_whole: bool,
    interrupted: bool,
}

struct Watcher {
    bar: Bar,
    end: u64,
    stop: Arc<AtomicBool>,
    told: u64,
}

impl Watch for Watcher {
    fn goes_on(&mut self, bytes: u64) -> bool {
        self.bar.show(bytes, self.end.max(bytes));
        !self.stop.load(Ordering::Relaxed)
    }

    fn skipped(&mut self, line: &BadLine) {
        self.told = self.told.saturating_add(1);
        if self.told <= TOLD_MAX {
            self.bar.clear();
            let _unseen = writeln!(io::stderr(), "skipped: {}: {line}", line.bad.code());
        }
    }
}

fn operators(args: &[String]) -> Result<BTreeMap<String, Ed25519KeyPair>, Failure> {
    let one = |text: &String| {
        let write = || Failure::new("operator_invalid", format!("{text}: write NAME=FILE"));
        let (name, path) = text.split_once('=').ok_or_else(write)?;
        Ok((name.to_owned(), operator::read_key(Path::new(path))?))
    };
    args.iter().map(one).collect()
}

fn driven(args: &DriveArgs) -> Result<Done, Blame> {
    let (events, end) = events(&args.events)?;
    let client = args.server.connect().map_err(|failure| (failure, false))?;
    let clock = Clock::read(&client).map_err(|failure| (failure, false))?;
    let random: [u8; 8] = data::random().map_err(|error| blameless("randomness_unavailable", error))?;
    let unwritable = |path: &Path, error: io::Error| {
        blameless("decisions_unwritable", format!("{}: {error}", path.display()))
    };
    let decisions = match &args.decisions {
        Some(path) => Some((path, File::create(path).map_err(|error| unwritable(path, error))?)),
        None => None,
    };
    if !clock.is_simulated {
        let _unseen = writeln!(
            io::stderr(),
            "warning: this server's clock is real: dwells and ages take their time, and what it decides stands"
        );
    }
    let stop = interrupted();
    let hands = Hands {
        client,
        clock,
        operators: operators(&args.operators).map_err(|failure| (failure, false))?,
        origin: args.origin.clone(),
        run: crate::record::hex(&random),
        withdrawals: Mutex::default(),
        answered: Mutex::default(),
        stop: Arc::clone(&stop),
        unauthorised: Mutex::default(),
    };
    let options = Options {
        connections: usize::from(args.connections),
        speed: args.speed,
        skip_bad: args.skip_bad,
        with_customers: !args.no_customers,
        seed: args.seed,
        after: Micros::saturating_mul(args.after, time::HOUR),
    };
    let found = Mutex::new(Found::default());
    let mut watcher = Watcher { bar: Bar::new("drive"), end, stop: Arc::clone(&stop), told: 0 };
    let (times, ended) = play::drive(events, &hands, &options, &found, &mut watcher);
    watcher.bar.clear();
    match ended {
        Ok(()) => {}
        Err(Ended::Bad(line)) => return Err((Failure::new(line.bad.code(), line), true)),
        Err(Ended::TooManyBad(line)) => {
            let message = format!("{line}; that is one more than --skip-bad allows");
            return Err((Failure::new("too_many_bad", message), true));
        }
        Err(Ended::Read(error)) => return Err(blameless("events_unreadable", error)),
        Err(Ended::Failed(failure)) => return Err((failure, false)),
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.interrupted = stop.swap(false, Ordering::Relaxed);
    let withdrawals = std::mem::take(&mut *hands.withdrawals.lock().unwrap_or_else(PoisonError::into_inner));
    let seen = Clock::sequence(&hands.client).map_err(|failure| (failure, false))?;
    found::gather(&mut found, &withdrawals, |known| hands.what_became(known, seen))
        .map_err(|failure| (failure, false))?;
    if let Some((path, file)) = decisions {
        let mut to = BufWriter::with_capacity(READ_BYTES, file);
        let head = json!({ "format": FORMAT, "seed": args.seed });
        let mut write = || {
            writeln!(to, "{head}")?;
            found.take_lines(times.as_ref()).iter().try_for_each(|line| write_line(line, &mut to))?;
            to.flush()
        };
        write().map_err(|error| unwritable(path, error))?;
    }
    for lost in found.lost().iter().take(LOST_TOLD_MAX) {
        let _unseen = writeln!(io::stderr(), "without an answer: {lost}");
    }
    let answered = hands.answered.lock().unwrap_or_else(PoisonError::into_inner);
    let text = if args.json {
        let mut json = found.json(&answered);
        if let Some(map) = json.as_object_mut() {
            map.insert("clock_rate".to_owned(), hands.clock.rate().into());
            map.insert("simulated_clock".to_owned(), hands.clock.is_simulated.into());
        }
        format!("{json:#}\n")
    } else {
        let mut text = found.text(&answered);
        if let Some(path) = &args.decisions {
            text.push_str(&format!("decisions: {}\n", path.display()));
        }
        text
    };
    Ok(Done { text, is_whole: found.is_whole(), interrupted: found.interrupted })
}
