//! `holdfast drill`: the fire drill's command line. What is played, scored and reported is the simulator's.

mod files;
mod packs;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use holdfast_simulator::attackers;
use holdfast_simulator::drill::{Plan, Results, Watcher};
use holdfast_simulator::play::PlayError;
use holdfast_simulator::population::{Model, Settings};
use holdfast_simulator::report::condition::Condition;
use holdfast_simulator::report::{Report, html, table};
use serde_json::{Value, json};

use super::Failure;
use super::progress::{Bar, fail, finish, interrupted};

/// Re-enact the industry's thefts, and ones that nobody has seen yet, against a policy.
///
/// A simulated exchange of ordinary customers is attacked by adaptive attackers; the report says what left, what stopped the
/// rest, and what ordinary customers paid for it (docs/drill-report.md). Exits 0 if it is done, 1 if a --fail-if holds, 2 if
/// something is wrong with what was asked, 130 if it was interrupted: what was finished is reported and marked as partial.
#[derive(clap::Args, Debug)]
pub struct DrillArgs {
    /// An attack, `all` of them, or `list`, which prints them.
    #[arg(default_value = "all")]
    name: String,
    /// The directory of the policy pack to test; the baseline that this binary was built with if absent. Its exchange.toml
    /// may say that it is run without buckets.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// The first seed. Those below 1000 are for development, and the report says so.
    #[arg(long, value_name = "SEED", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..1_000_000_000))]
    first_seed: u64,
    /// Accounts; 2,000, and 100,000 with --full.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=1_000_000))]
    accounts: Option<u32>,
    /// Full days, the attacks' own.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=60))]
    days: u32,
    /// Thinned days before them, in which attackers prepare.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=400))]
    thinned_days: u32,
    /// Which of the two generators makes the customers; the other one is a control.
    #[arg(long, value_enum, default_value_t = Generator::Strata)]
    generator: Generator,
    /// The long run: 100,000 accounts, each layer taken away in turn, and the baselines at equal friction.
    #[arg(long)]
    full: bool,
    /// Where report.html, report.json and run.json go.
    #[arg(long, value_name = "DIR", default_value = "drill")]
    out: PathBuf,
    /// Threads; as many as there are processors if absent. The report does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Print report.json instead of the tables.
    #[arg(long)]
    json: bool,
    /// End with 1 if this holds: [DEFENCE:][ATTACK.]SCORE[.mean|p95|max|min] >|>=|<|<= NUMBER, for instance 'left_btc.max >
    /// 250'. May be given several times.
    #[arg(long = "fail-if", value_name = "EXPR")]
    fail_if: Vec<String>,
    #[command(flatten)]
    files: files::FileArgs,
}

/// A generator, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Generator {
    /// Each account for itself.
    Strata,
    /// Agents with habits.
    Habits,
}

/// How often the bar moves.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs the command.
pub fn run(args: &DrillArgs) -> ExitCode {
    if args.name == "list" {
        return finish(io::stdout().lock().write_all(list().as_bytes()), true);
    }
    match drilled(args) {
        Ok((text, conditions_hold, is_partial)) => {
            let written = finish(io::stdout().lock().write_all(text.as_bytes()), !conditions_hold);
            if is_partial { ExitCode::from(130) } else { written }
        }
        Err(Failure { code, message }) => fail(code, &message),
    }
}

fn list() -> String {
    let mut text = String::new();
    for attack in attackers::all() {
        text.push_str(&format!(
            "{:18}  {:8}  {}\n",
            attack.name,
            if attack.group() == attack.name { "incident" } else { attack.group() },
            attack.title
        ));
    }
    text
}

fn plan(args: &DrillArgs) -> Result<Plan, Failure> {
    let attacks = if args.name == "all" {
        attackers::all().iter().collect()
    } else {
        let attack = attackers::named(&args.name);
        vec![attack.ok_or_else(|| {
            Failure::new(
                "attack_unknown",
                format!("there is no attack {:?}: `holdfast drill list` prints them", args.name),
            )
        })?]
    };
    let model = match args.generator {
        Generator::Strata => Model::Strata,
        Generator::Habits => Model::Habits,
    };
    let settings = Settings {
        accounts: args.accounts.unwrap_or(if args.full { 100_000 } else { 2_000 }),
        thinned_days: args.thinned_days,
        days: args.days,
        model,
        ..Settings::default()
    };
    let arms = packs::arms(args.policy.as_deref(), args.full, &settings.exchange)?;
    let seeds = (args.first_seed..).take(usize::try_from(args.seeds).unwrap_or(1)).collect();
    let jobs = args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        usize::from,
    );
    let all = args.name == "all" || args.full;
    Ok(Plan { settings, attacks, arms, seeds, jobs, controls: true, sweep: all })
}

fn conditions(args: &DrillArgs, plan: &Plan) -> Result<Vec<Condition>, Failure> {
    let one = |text: &String| {
        let condition = Condition::parse(text)?;
        condition.check(plan)?;
        Ok(condition)
    };
    let all: Result<_, holdfast_simulator::report::condition::ConditionError> =
        args.fail_if.iter().map(one).collect();
    all.map_err(|error| Failure::new(error.code(), error))
}

/// What goes to standard output, whether a condition holds, and whether it was interrupted.
fn drilled(args: &DrillArgs) -> Result<(String, bool, bool), Failure> {
    let plan = plan(args)?;
    let conditions = conditions(args, &plan)?;
    let writable =
        |error: io::Error| Failure::new("out_unwritable", format!("{}: {error}", args.out.display()));
    std::fs::create_dir_all(&args.out).map_err(writable)?;
    let began = Instant::now();
    let watcher = Watcher::default();
    let results = watched(&plan, &watcher).map_err(|error| Failure::new(error.code(), error))?;
    let report = Report::of(&args.name, &plan, &results);
    let write = |name: &str, text: &str| {
        let path = args.out.join(name);
        std::fs::write(&path, text)
            .map_err(|error| Failure::new("out_unwritable", format!("{}: {error}", path.display())))
    };
    let json = report.json();
    write("report.json", &json)?;
    write("report.html", &html(&report))?;
    write("run.json", &format!("{:#}\n", timings(&plan, &results, began.elapsed())))?;
    files::write(&args.files, &plan, &watcher)?;
    let mut text = if args.json { json } else { table(&report) };
    if !args.json {
        let paths = ["report.html", "report.json"].map(|name| args.out.join(name).display().to_string());
        text.push_str(&format!("\n{} and {} are written\n", paths[0], paths[1]));
    }
    let mut holds = false;
    for condition in &conditions {
        // A drill that was interrupted may not have what is asked for.
        let found = match condition.holds(&report) {
            Err(_) if results.is_partial => continue,
            found => found.map_err(|error| Failure::new(error.code(), error))?,
        };
        if let Some(found) = found {
            holds = true;
            let _unseen = writeln!(io::stderr(), "failed: {}: {found}", condition.text());
        }
    }
    Ok((text, holds, results.is_partial))
}

/// Plays, with a bar on the terminal; Ctrl-C ends it with what is finished.
fn watched(plan: &Plan, watcher: &Watcher) -> Result<Results, PlayError> {
    let stop = interrupted();
    let mut bar = Bar::new("drill: days played");
    let end = plan.days();
    let results = std::thread::scope(|scope| {
        let playing = scope.spawn(|| plan.run(watcher));
        while !playing.is_finished() {
            if stop.load(Ordering::Relaxed) {
                watcher.stop.store(true, Ordering::Relaxed);
            }
            bar.show(watcher.days.load(Ordering::Relaxed).min(end), end);
            std::thread::sleep(LOOK_EVERY);
        }
        playing.join()
    });
    bar.clear();
    match results {
        Ok(results) => results,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// How long it took: apart from the report, since it differs from run to run.
fn timings(plan: &Plan, results: &Results, elapsed: Duration) -> Value {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let runs = results.outcomes.iter().map(|(key, run)| {
        json!({
            "what": format!("{:?}", key.what),
            "arm": plan.arms.get(key.arm).map(|arm| &*arm.name),
            "other_generator": key.other_model,
            "seed": key.seed,
            "entries": run.entries,
            "commands": run.commands,
            "milliseconds": millis(run.elapsed),
        })
    });
    json!({
        "milliseconds": millis(elapsed),
        "jobs": plan.jobs,
        "runs": runs.collect::<Vec<_>>(),
    })
}

/// Reads a small file of text.
fn read_small(path: &Path) -> Result<String, Failure> {
    let bytes = crate::data::read_limited(path, 1 << 16)
        .map_err(|error| Failure::new("file", format!("{}: {error}", path.display())))?;
    String::from_utf8(bytes).map_err(|_| Failure::new("file", format!("{}: not UTF-8", path.display())))
}
