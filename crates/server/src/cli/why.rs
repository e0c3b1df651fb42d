//! `holdfast why`: the command line of `crate::why`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_journal::LocalReader;
use holdfast_values::WithdrawalId;

use super::progress::{fail, finish};
use crate::why::why;

/// Tell everything that was decided about a withdrawal, and why.
///
/// Reads the journal alone; a server may be running on it. Exits 2 if there is no such withdrawal.
#[derive(clap::Args, Debug)]
pub struct WhyArgs {
    /// The withdrawal: `wd_...`.
    withdrawal: WithdrawalId,
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: WhyArgs) -> ExitCode {
    let reader = match LocalReader::open(&args.data) {
        Ok(reader) => reader,
        Err(error) => return fail(error.code(), &error),
    };
    match why(&reader, args.withdrawal) {
        Ok(why) => {
            let text = if args.json { format!("{}\n", why.json()) } else { why.text() };
            finish(io::stdout().lock().write_all(text.as_bytes()), true)
        }
        Err(error) => fail(error.code(), &error),
    }
}
