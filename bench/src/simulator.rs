//! How fast the simulated exchange is: entries a second that its customers are made to produce, and, apart from that, entries a
//! second that are put to Holdfast's core with the rest of the exchange around it.

use holdfast_decision::command::PolicySource;
use holdfast_simulator::exchange::Exchange;
use holdfast_simulator::play::Play;
use holdfast_simulator::population::{Model, Population, Settings};
use holdfast_values::time;

use crate::report::{Report, busy, grouped, median, per_second};
use crate::{Failure, Options, cpu, progress};

const RUNS: usize = 5;
/// Accounts; and in a quick run.
const ACCOUNTS: [u32; 2] = [100_000, 10_000];
/// Full days that are told in a run.
const DAYS: u32 = 3;
const SEED: u64 = 1;

/// What one run of one model cost, in nanoseconds of CPU, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Run {
    drawn: u64,
    opened: u64,
    opening: u64,
    lived: u64,
    entries: u64,
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("simulator");
    let [full, quick] = ACCOUNTS;
    let accounts = if options.quick { quick } else { full };
    generation(&mut report, accounts)?;
    decision(&mut report, options, accounts)?;
    report.note(busy()?);
    Ok(report)
}

/// Customers are drawn, their past is told, and then some days of theirs.
fn generation(report: &mut Report, accounts: u32) -> Result<(), Failure> {
    let models = [("strata", Model::Strata), ("habits", Model::Habits)];
    let mut runs: [Vec<Run>; 2] = Default::default();
    for number in 0..RUNS {
        progress(&format!("simulator: generation, run {} of {RUNS}", number + 1));
        for ((_, model), runs) in models.iter().zip(&mut runs) {
            runs.push(generated(*model, accounts)?);
        }
    }
    report.table(&[
        "generation",
        "accounts drawn/s",
        "entries of the opening/s",
        "entries of a day",
        "entries of full days/s",
        "aim",
        "reached",
    ]);
    for ((name, _), runs) in models.iter().zip(runs) {
        let rate = |of: fn(&Run) -> (u64, u64)| {
            median(runs.iter().map(of).map(|(count, nanos)| per_second(count, nanos)).collect())
        };
        let drawn = median(runs.iter().map(|run| per_second(u64::from(accounts), run.drawn)).collect());
        let opened = rate(|run| (run.opened, run.opening));
        let lived = rate(|run| (run.entries, run.lived));
        let entries = runs.first().map_or(0, |run| run.entries / u64::from(DAYS));
        report.row(&[
            name,
            &grouped(drawn),
            &grouped(opened),
            &grouped(entries),
            &grouped(lived),
            &grouped(AIM),
            crate::report::reached(lived >= AIM),
        ]);
        report.value(format!("{name}_accounts_drawn_per_cpu_second"), drawn);
        report.value(format!("{name}_opening_entries_per_cpu_second"), opened);
        report.value(format!("{name}_entries_per_cpu_second"), lived);
    }
    report.note(format!(
        "Median of {RUNS} interleaved runs on one thread, by time on a CPU; {} accounts, no thinned days, {DAYS} full days; \
         nothing is written, parsed or decided.",
        grouped(u64::from(accounts)),
    ));
    Ok(())
}

/// The same entries are decided by the policy, the wallet pays, customers and staff answer; only that is timed.
fn decision(report: &mut Report, options: &Options, accounts: u32) -> Result<(), Failure> {
    let pack = holdfast_cedar::load_dir(options.pack()).map_err(|error| Failure::from(error.to_string()))?;
    let policy = PolicySource {
        hash: pack.hash,
        files: pack.files.clone(),
        program: pack.program.to_bytes(),
        compiler: None,
    };
    let settings = Settings { accounts, thinned_days: 0, days: DAYS, ..Settings::default() };
    let mut runs = Vec::new();
    for number in 0..DECISION_RUNS {
        progress(&format!("simulator: decision, run {} of {DECISION_RUNS}", number + 1));
        let mut population = Population::new(&settings, SEED);
        let mut play = Play::new(&Exchange::default(), policy.clone(), SEED)?.forget_closed();
        let (mut opened, mut lived, mut entries, mut lines) = (0, 0, 0u64, 0u64);
        for day in 0..=DAYS {
            let told = if day == 0 { population.opening() } else { population.day(day - 1) };
            let nanos = cpu::timed(|| {
                for entry in &told {
                    play.submit(entry);
                }
                Ok(())
            })?;
            lines += u64::try_from(play.take_log().len())?;
            if day == 0 {
                opened += per_second(u64::try_from(told.len())?, nanos);
            } else {
                lived += nanos;
                entries += u64::try_from(told.len())?;
            }
        }
        runs.push((opened, per_second(entries, lived), entries, play.commands(), lines));
    }
    let of = |which: fn(&(u64, u64, u64, u64, u64)) -> u64| median(runs.iter().map(which).collect());
    let (opened, lived) = (of(|run| run.0), of(|run| run.1));
    report.table(&[
        "decision",
        "entries of the opening/s",
        "entries of full days/s",
        "entries",
        "commands",
        "lines of the log",
        "aim",
        "reached",
    ]);
    report.row(&[
        "baseline",
        &grouped(opened),
        &grouped(lived),
        &grouped(of(|run| run.2)),
        &grouped(of(|run| run.3)),
        &grouped(of(|run| run.4)),
        &grouped(AIM_DECIDED),
        crate::report::reached(lived >= AIM_DECIDED),
    ]);
    report.value("decided_opening_entries_per_cpu_second", opened);
    report.value("decided_entries_per_cpu_second", lived);
    report.note(format!(
        "Decision: median of {DECISION_RUNS} runs on one thread, by time on a CPU, of {} accounts over {DAYS} full days; making \
         the entries is not counted. Every command is decided and folded, customers and staff answer, the wallet pays; \
         nothing is written.",
        grouped(u64::from(accounts)),
    ));
    Ok(())
}

const DECISION_RUNS: usize = 3;
/// Entries a second and core that are to be decided.
const AIM_DECIDED: u64 = 150_000;

/// Entries a second and core that are wanted.
const AIM: u64 = 300_000;

fn generated(model: Model, accounts: u32) -> Result<Run, Failure> {
    let settings = Settings { accounts, thinned_days: 0, days: DAYS, model, ..Settings::default() };
    let mut population = None;
    let drawn = cpu::timed(|| {
        population = Some(Population::new(&settings, SEED));
        Ok(())
    })?;
    let mut population = population.ok_or("nobody was drawn")?;
    let mut opened = 0;
    let opening = cpu::timed(|| {
        opened = population.opening().len();
        Ok(())
    })?;
    let mut entries = 0;
    let lived = cpu::timed(|| {
        for day in 0..DAYS {
            let told = population.day(day);
            let end = settings.begins(day).plus(time::DAY);
            if told.last().is_none_or(|entry| entry.at >= end) {
                return Err("a day was told wrongly".into());
            }
            entries += told.len();
        }
        Ok(())
    })?;
    Ok(Run { drawn, opened: u64::try_from(opened)?, opening, lived, entries: u64::try_from(entries)? })
}
