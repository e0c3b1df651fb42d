//! `holdfast replay`: the command line of `crate::replay`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_journal::LocalReader;

use crate::replay::{Report, replay};

/// Decide every record of the journal again and compare.
///
/// Exits 0 if every record was decided again and is equal, 1 if one differs or was decided by rules that this binary
/// lacks, 2 if the journal cannot be read.
#[derive(clap::Args, Debug)]
pub struct ReplayArgs {
    /// The data directory; a server may be running on it.
    #[arg(long)]
    data: PathBuf,
    /// Compare from this record on; earlier ones are only folded.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: ReplayArgs) -> ExitCode {
    let mut bar = super::progress::Bar::new("replay");
    let reader = match LocalReader::open(&args.data) {
        Ok(reader) => reader,
        Err(error) => return super::progress::fail(error.code(), &error),
    };
    let report = replay(&reader, args.from, &mut |at, end| bar.show(at, end));
    bar.clear();
    let report = match report {
        Ok(report) => report,
        Err(error) => return super::progress::fail(error.code(), &error),
    };
    let text = if args.json { format!("{}\n", report.json()) } else { text(&report) };
    super::progress::finish(
        io::stdout().lock().write_all(text.as_bytes()),
        report.difference.is_none() && report.lacking.is_empty(),
    )
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{} records read up to {}, {} of them decided again and equal, {} snapshots equal; {} records/s\n",
        report.records,
        report.head,
        report.equal,
        report.snapshots,
        report.per_second()
    );
    for (rules, records) in &report.lacking {
        text.push_str(&format!(
            "{records} records were decided by version {rules} of the rules, which this binary lacks: replay them with \
             the release that contains it (see CHANGELOG.md)\n"
        ));
    }
    if let Some(difference) = &report.difference {
        text.push_str(&format!(
            "record {} differs in its {}\n  command:  {}\n  recorded: {}\n  decided:  {}\n",
            difference.sequence, difference.what, difference.command, difference.recorded, difference.decided
        ));
    }
    text
}
