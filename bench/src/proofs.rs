//! What a question about all requests costs: the invariants of baseline and of packs made by code, and what one rule less
//! means. The solver is cvc5; without it nothing is measured.

use std::time::Instant;

use holdfast_cedar::prove::{Invariant, Solver, Verdict, diff, parse_invariants, prove};
use holdfast_cedar::{CompiledPack, INVARIANTS_FILE, load_dir};

use crate::policies::made;
use crate::report::{Report, grouped, median};
use crate::{Failure, Options, progress};

const RUNS: usize = 3;
/// Policies of the packs.
const SIZES: [usize; 3] = [10, 100, 1_000];
/// Invariants about each of them.
const INVARIANTS: usize = 10;

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("proofs");
    let solver = Solver::find();
    report.table(&["question", "asked", "answers", "median"]);
    let baseline = load_dir(options.pack()).map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(options.pack().join(INVARIANTS_FILE))?;
    let invariants = parse_invariants(INVARIANTS_FILE, &text).map_err(|error| error.to_string())?;
    let name = format!("the invariants of baseline, {} policies", baseline.program.len());
    proofs(&mut report, (&name, "baseline"), &baseline, &invariants, &solver)?;
    let sizes = if options.quick { &SIZES[..2] } else { &SIZES[..] };
    for size in sizes {
        let (pack, conditions) = made(*size, None)?;
        // Every so many rules one of which the pack must make the demand that the rule makes.
        let text: String = conditions
            .iter()
            .step_by((conditions.len() / INVARIANTS).max(1))
            .take(INVARIANTS)
            .enumerate()
            .map(|(number, condition)| {
                format!(
                    "@id(\"i{number}\") @says(\"It waits.\") @at_least(\"dwell\") @for(\"10m\")\n\
                     forbid (principal, action == Action::\"withdraw\", resource) when {{ {condition} }};\n"
                )
            })
            .collect();
        let invariants = parse_invariants(INVARIANTS_FILE, &text).map_err(|error| error.to_string())?;
        let name = format!("invariants of a pack of {} policies", grouped(*size as u64));
        proofs(&mut report, (&name, &format!("made_{size}")), &pack, &invariants, &solver)?;
        let (without, _) = made(*size, Some(size / 2))?;
        for (what, key, new) in
            [("itself", "itself", &pack), ("itself without one rule", "without", &without)]
        {
            progress(&format!("proofs: a pack of {size} and {what}"));
            let mut took = Vec::new();
            let mut said = "";
            let mut rows = 0;
            for _ in 0..RUNS {
                let began = Instant::now();
                let found = diff(&pack, new, &solver, &|_| ()).map_err(|error| error.to_string())?;
                took.push(u64::try_from(began.elapsed().as_millis())?);
                (said, rows) = (found.change().name(), found.rows.len());
            }
            let took = median(took);
            let name = format!("diff of a pack of {} policies and {what}", grouped(*size as u64));
            report.row(&[&name, &format!("{rows} demands"), said, &format!("{} ms", grouped(took))]);
            report.value(format!("diff_{size}_{key}_millis"), took);
        }
    }
    report.note(format!(
        "By {}, two questions at a time, medians of {RUNS}; a row's time is that of the whole command but for reading the files.",
        solver.program().display()
    ));
    Ok(report)
}

fn proofs(
    report: &mut Report,
    (name, key): (&str, &str),
    pack: &CompiledPack,
    invariants: &[Invariant],
    solver: &Solver,
) -> Result<(), Failure> {
    progress(&format!("proofs: {name}"));
    let (mut took, mut proved) = (Vec::new(), 0);
    for _ in 0..RUNS {
        let began = Instant::now();
        let found = prove(pack, invariants, solver, &|_| ()).map_err(|error| error.to_string())?;
        took.push(u64::try_from(began.elapsed().as_millis())?);
        proved = found.iter().filter(|proof| matches!(proof.verdict, Verdict::Proved)).count();
    }
    let took = median(took);
    let (asked, answers) = (format!("{} invariants", invariants.len()), format!("{proved} proved"));
    report.row(&[name, &asked, &answers, &format!("{} ms", grouped(took))]);
    report.value(format!("prove_{key}_millis"), took);
    report.value(format!("prove_{key}_proved"), proved as u64);
    Ok(())
}
