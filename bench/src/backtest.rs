//! How fast a policy is tested over a journal: every recorded decision again, read from disk, on one core.

use std::path::Path;

use holdfast_decision::State;
use holdfast_decision::command::Command;
use holdfast_journal::{Journal as _, LocalJournal, LocalReader};
use holdfast_server::backtest::{Range, Report as Found, backtest};

use crate::report::{Report, grouped, median, reached};
use crate::world::{self, START};
use crate::{Failure, Options, progress};

const RUNS: usize = 5;
/// The aim, in decisions a second.
const AIM: u64 = 100_000;
/// Records in one group of the journal.
const GROUP: usize = 1_000;

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let (accounts, requests) = if options.quick { (2_000, 20_000) } else { (20_000, 300_000) };
    let dir = options.directory("backtest")?;
    std::fs::create_dir_all(&dir)?;
    progress(&format!("backtest: a journal of {requests} requests by {accounts} accounts"));
    let measured = journal(options, &dir, accounts, requests).and_then(|()| measure(options, &dir));
    std::fs::remove_dir_all(&dir)?;
    measured
}

/// A journal that the baseline pack decided.
fn journal(options: &Options, dir: &Path, accounts: u64, requests: u64) -> Result<(), Failure> {
    let mut journal = LocalJournal::create(dir)?;
    let mut state = State::new();
    let (mut events, mut group) = (Vec::new(), Vec::with_capacity(GROUP));
    let imported = (0..accounts).map(|number| world::imported(number, true));
    // One part takes no more than 10,000 accounts.
    let imported = imported.collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<_> = imported.chunks(5_000).map(<[_]>::to_vec).collect();
    let digests: Vec<[u8; 32]> =
        (0..parts.len()).map(|part| *blake3::hash(&part.to_be_bytes()).as_bytes()).collect();
    let mut commands = vec![
        (START, world::initialise(world::policy(Some(&options.pack()))?)?),
        (START, world::prices()?),
        (START, world::authorise_import(digests.clone(), START)?),
    ];
    for (digest, accounts) in digests.into_iter().zip(parts) {
        commands.push((START, Command::ImportChunk { digest, accounts }));
    }
    commands.extend(world::requests(0..requests, accounts)?);
    for (at, command) in commands {
        while world::is_due(&state, at) {
            group.extend(world::record(&mut state, at, &Command::Tick, &mut events)?);
        }
        group.extend(world::record(&mut state, at, &command, &mut events)?);
        if group.len() >= GROUP {
            journal.append(&group)?;
            group.clear();
        }
    }
    journal.append(&group)?;
    Ok(())
}

fn measure(options: &Options, dir: &Path) -> Result<Report, Failure> {
    let reader = LocalReader::open(dir)?;
    let baseline =
        holdfast_cedar::load_dir(options.pack()).map_err(|error| Failure::from(error.to_string()))?;
    let tighter: Vec<(String, String)> = baseline
        .files
        .iter()
        .cloned()
        .chain([(
            "overlay.cedar".to_owned(),
            "@id(\"bench-new\") @outcome(\"hold\") @reason(\"new_destination\")\n\
             forbid (principal, action == Action::\"withdraw\", resource) when { !context.destination.known };\n"
                .to_owned(),
        )])
        .collect();
    let tighter = holdfast_cedar::compile_pack(&tighter).map_err(|error| Failure::from(error.to_string()))?;
    let mut report = Report::new("backtest");
    report.table(&["candidate", "decisions", "of them change", "decisions/s a core", "aim", "reached"]);
    for (name, key, program) in [
        ("the same policy", "same", baseline.program),
        ("one that holds two in five more", "tighter", tighter.program),
    ] {
        let mut speeds = Vec::new();
        let mut last: Option<Found> = None;
        for number in 0..RUNS {
            progress(&format!("backtest, {name}: run {} of {RUNS}", number + 1));
            let found = backtest(&reader, program.clone(), Range::default(), &mut |_, _| true)?;
            speeds.push(found.per_second());
            last = Some(found);
        }
        let found = last.ok_or("no run")?;
        if key == "same" && (found.changes() != 0 || !found.is_reproduced()) {
            return Err("the same policy did not reproduce its decisions".into());
        }
        let speed = median(speeds);
        report.row(&[
            name,
            &grouped(found.decisions),
            &grouped(found.changes()),
            &grouped(speed),
            &grouped(AIM),
            reached(speed >= AIM),
        ]);
        report.value(format!("{key}_decisions_per_second"), speed);
        report.value(format!("{key}_changes"), found.changes());
    }
    report.note(
        "The records are read, their hashes and chain checked, decoded, decided again by the candidate and folded, on one \
         thread, from a journal in the page cache that the baseline pack decided.",
    );
    Ok(report)
}
