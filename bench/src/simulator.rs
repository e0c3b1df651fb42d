//! How fast the simulated exchange is: entries a second that its customers are made to produce. What Holdfast's core makes of
//! them is a part of its own.

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
