//! `holdfast decide`: the command line of the simulator's `decide`: any file of events, decided in order.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_decision::command::PolicySource;
use holdfast_simulator::decide::{DecideError, Options, Summary, Watch, decide};
use holdfast_simulator::exchange::Exchange;
use holdfast_simulator::format::BadLine;
use holdfast_simulator::play::Play;
use holdfast_values::{Micros, time};

use super::Failure;
use super::progress::{Bar, fail, finish, interrupted};
use crate::played::PlayedJournal;
use crate::{data, exchange};

/// The pack that decides if none is named.
const DEFAULT_POLICY: &str = "policies/baseline";
/// How many bad lines are told of one by one.
const TOLD_MAX: u64 = 20;
const READ_BYTES: usize = 1 << 20;

/// Decide a file of events in order, and write each decision with its reasons.
///
/// The events come from wherever they come: an exchange's own history, another generator (docs/events.md is the format).
/// They are put to Holdfast's core in process, with the rest of an exchange around it: a wallet and its signer, customers
/// who answer, staff who look at what is held. Exits 0 if it is done, 1 if a line is bad (--skip-bad goes on), 2 if
/// something cannot be read or written, 130 if it was interrupted: what was decided so far is written.
#[derive(clap::Args, Debug)]
pub struct DecideArgs {
    /// The events, one JSON object a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// The directory of the policy pack; policies/baseline if there is one here.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// The exchange's configuration (TOML), as for `holdfast init`; the exchange of the drills if absent.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the decisions go, one JSON object a line; an existing file is replaced.
    #[arg(long, value_name = "FILE")]
    decisions: PathBuf,
    /// Record every command in a journal in this new directory, for `holdfast replay`.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Leave out so many bad lines before giving up.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_bad: u64,
    /// Nobody looks at what is held, and nothing halts.
    #[arg(long)]
    no_staff: bool,
    /// Customers do only what the events say: no notice is delivered, no factor shown, unless an event says so.
    #[arg(long)]
    no_customers: bool,
    /// How many hours the exchange goes on after the last event, so that what waits is decided.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=8_784))]
    after: u64,
    /// What customers and staff do is drawn from this.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &DecideArgs) -> ExitCode {
    match decided(args) {
        Ok((summary, text)) => {
            let written = finish(io::stdout().lock().write_all(text.as_bytes()), true);
            if summary.interrupted { ExitCode::from(130) } else { written }
        }
        Err((Failure { code, message }, true)) => {
            let _unseen = writeln!(io::stderr(), "error: {code}: {message}");
            ExitCode::from(1)
        }
        Err((Failure { code, message }, false)) => fail(code, &message),
    }
}

/// The failure, and whether the events are to blame.
pub(super) type Blame = (Failure, bool);

pub(super) fn blameless(code: &'static str, message: impl ToString) -> Blame {
    (Failure::new(code, message), false)
}

fn pack(given: Option<&Path>) -> Result<PolicySource, Blame> {
    let dir = match given {
        Some(dir) => dir,
        None if Path::new(DEFAULT_POLICY).is_dir() => Path::new(DEFAULT_POLICY),
        None => {
            let message = format!(
                "there is no {DEFAULT_POLICY} here: name a pack with --policy DIR; `holdfast policy new DIR` writes one to \
                 start from"
            );
            return Err(blameless("policy_missing", message));
        }
    };
    let pack = holdfast_cedar::load_dir(dir).map_err(|error| blameless("policy_invalid", error))?;
    Ok(PolicySource {
        hash: pack.hash,
        files: pack.files,
        program: pack.program.to_bytes(),
        compiler: Some(holdfast_cedar::COMPILER),
    })
}

fn play(args: &DecideArgs) -> Result<Play, Blame> {
    let mut stated = Exchange::default();
    if let Some(path) = &args.config {
        let text = data::read_limited(path, 1 << 20).map_err(|error| blameless("file", error))?;
        let text = String::from_utf8(text).map_err(|_| blameless("configuration_invalid", "not UTF-8"))?;
        let configuration =
            exchange::parse(&text).map_err(|error| blameless("configuration_invalid", error))?;
        // The signer's buckets then follow this configuration's, and prices are those of the events alone.
        stated = Exchange {
            hot_wallet_btc: 0,
            hot_wallet_eth: 0,
            usd_per_btc: 0,
            usd_per_eth: 0,
            configuration: Some(configuration),
            ..stated
        };
    }
    let play = Play::new(&stated, pack(args.policy.as_deref())?, args.seed);
    let mut play = play.map_err(|error| blameless(error.code(), error))?.forget_closed();
    if args.no_staff {
        play = play.without_staff();
    }
    if args.no_customers {
        play = play.without_customers();
    }
    Ok(play)
}

/// Where the events come from, and how many bytes there are, if that is known.
pub(super) fn events(path: &Path) -> Result<(Box<dyn BufRead>, u64), Blame> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())), 0));
    }
    let unreadable = |error| blameless("events_unreadable", format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let known = file.metadata().map_err(unreadable)?;
    if known.is_dir() {
        return Err(blameless("events_unreadable", format!("{} is a directory", path.display())));
    }
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, file)), known.len()))
}

struct Watcher<'a> {
    bar: Bar,
    end: u64,
    stop: Arc<AtomicBool>,
    journal: Option<&'a PlayedJournal>,
    told: u64,
}

impl Watch for Watcher<'_> {
    fn goes_on(&mut self, bytes: u64) -> bool {
        self.bar.show(bytes, self.end.max(bytes));
        !self.stop.load(Ordering::Relaxed) && !self.journal.is_some_and(PlayedJournal::has_failed)
    }

    fn skipped(&mut self, line: &BadLine) {
        self.told = self.told.saturating_add(1);
        if self.told <= TOLD_MAX {
            self.bar.clear();
            let _unseen = writeln!(io::stderr(), "skipped: {}: {line}", line.bad.code());
        } else if self.told == TOLD_MAX.saturating_add(1) {
            let _unseen = writeln!(io::stderr(), "skipped: further bad lines are only counted");
        }
    }
}

fn decided(args: &DecideArgs) -> Result<(Summary, String), Blame> {
    let mut play = play(args)?;
    let (events, end) = events(&args.events)?;
    if is_same_file(&args.events, &args.decisions) {
        return Err(blameless(
            "decisions_unwritable",
            "the decisions would replace the events: name another file",
        ));
    }
    let unwritable = |error: io::Error| {
        blameless("decisions_unwritable", format!("{}: {error}", args.decisions.display()))
    };
    let mut decisions =
        BufWriter::with_capacity(READ_BYTES, File::create(&args.decisions).map_err(unwritable)?);
    let journal = args.journal.as_deref().map(PlayedJournal::create).transpose();
    let journal = journal.map_err(|error| blameless(error.code(), error))?;
    if let Some(journal) = &journal {
        play.record_to(journal.recorder());
    }
    let options = Options {
        skip_bad: args.skip_bad,
        after: Micros::saturating_mul(args.after, time::HOUR),
        seed: args.seed,
    };
    let mut watcher =
        Watcher { bar: Bar::new("decide"), end, stop: interrupted(), journal: journal.as_ref(), told: 0 };
    let summary = decide(events, &mut play, &mut decisions, options, &mut watcher);
    watcher.bar.clear();
    let records = journal.map(PlayedJournal::close).transpose();
    let records = records.map_err(|error| blameless(error.code(), error))?;
    let summary = summary.map_err(|error| {
        let is_events = matches!(error, DecideError::Bad(_) | DecideError::TooManyBad { .. });
        let message = format!("{error}; what was decided before is in {}", args.decisions.display());
        (Failure::new(error.code(), message), is_events)
    })?;
    let text = if args.json {
        let mut json = summary.json();
        if let Some(map) = json.as_object_mut() {
            map.insert("policy".to_owned(), play.policy_hash().into());
            map.insert("decisions".to_owned(), args.decisions.display().to_string().into());
            map.insert("journal_records".to_owned(), records.into());
        }
        format!("{json:#}\n")
    } else {
        text(&summary, args, records)
    };
    Ok((summary, text))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

fn text(summary: &Summary, args: &DecideArgs, records: Option<u64>) -> String {
    let list = |counts: &std::collections::BTreeMap<Box<str>, u64>| {
        let all = counts.iter().map(|(name, count)| format!("{count} {name}"));
        let all = all.collect::<Vec<_>>().join(", ");
        if all.is_empty() { "none".to_owned() } else { all }
    };
    let mut text = String::new();
    if summary.interrupted {
        text.push_str("interrupted: this is what was decided so far\n");
    }
    if let Some((from, to)) = summary.span {
        text.push_str(&format!("{} events from {from} to {to}\n", summary.events));
    } else {
        text.push_str("no events\n");
    }
    if summary.skipped > 0 {
        text.push_str(&format!("{} bad lines left out\n", summary.skipped));
    }
    text.push_str(&format!(
        "{} withdrawals: {}\nended: {}; open: {}\nrefused: {} events\nalarms: {}\n",
        summary.asked.values().sum::<u64>(),
        list(&summary.asked),
        list(&summary.ended),
        summary.open,
        summary.refused,
        list(&summary.alarms),
    ));
    text.push_str(&format!("decisions: {}\n", args.decisions.display()));
    if let (Some(records), Some(journal)) = (records, &args.journal) {
        let journal = journal.display();
        text.push_str(&format!("journal: {records} records; holdfast replay --data {journal}\n"));
    }
    text
}
