//! `holdfast policy backtest`: the command line of `crate::backtest`.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use holdfast_journal::LocalReader;
use holdfast_values::Timestamp;

use crate::backtest::{Range, backtest};
use crate::cli::init::parse_time;
use crate::cli::progress::{Bar, fail, finish, interrupted};

/// What a policy would have decided: every recorded decision once more, on the state it was made on.
///
/// One step: what came after a changed decision is as it happened. Exits 0 if it is done, 1 if decisions of this very
/// policy do not come out as they are recorded, 2 if the journal or the pack cannot be read, 130 if it was interrupted:
/// what was counted so far is printed and marked as partial.
#[derive(clap::Args, Debug)]
pub(super) struct BacktestArgs {
    /// The directory of the candidate's pack.
    dir: PathBuf,
    /// The data directory; a server may be running on it.
    #[arg(long)]
    data: PathBuf,
    /// Count decisions from this time on (RFC 3339); earlier ones are only folded.
    #[arg(long, value_parser = parse_time)]
    from: Option<Timestamp>,
    /// Count decisions before this time.
    #[arg(long, value_parser = parse_time)]
    to: Option<Timestamp>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Write the JSON to this file too. It names customers.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &BacktestArgs) -> ExitCode {
    let pack = match holdfast_cedar::load_dir(&args.dir) {
        Ok(pack) => pack,
        Err(error) => return fail("policy_invalid", &error),
    };
    let reader = match LocalReader::open(&args.data) {
        Ok(reader) => reader,
        Err(error) => return fail(error.code(), &error),
    };
    let stop = interrupted();
    let mut bar = Bar::new("backtest");
    let range = Range { from: args.from, to: args.to };
    let report = backtest(&reader, pack.program, range, &mut |at, end| {
        bar.show(at, end);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let report = match report {
        Ok(report) => report,
        Err(error) => return fail(error.code(), &error),
    };
    let json = format!("{:#}\n", report.json());
    if let Some(out) = &args.out
        && let Err(error) = write_private(out, json.as_bytes())
    {
        return fail("file", &format!("cannot write {}: {error}", out.display()));
    }
    let text = if args.json { json } else { report.text() };
    let written = finish(io::stdout().lock().write_all(text.as_bytes()), report.is_reproduced());
    if report.is_partial { ExitCode::from(130) } else { written }
}

/// Writes a file that only its owner may read, in the place of one that is there.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}
