//! `holdfast views rebuild`: the command line of `crate::views::rebuild`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::progress::{Bar, fail, finish};
use crate::views::rebuild;

/// Work with the read model.
#[derive(clap::Args, Debug)]
pub struct ViewsArgs {
    #[command(subcommand)]
    command: ViewsCommand,
}

#[derive(clap::Subcommand, Debug)]
enum ViewsCommand {
    /// Throw views.db away and fold it again from the journal. The server must not be running.
    Rebuild(RebuildArgs),
}

#[derive(clap::Args, Debug)]
struct RebuildArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Also if the views have seen records that the journal no longer has: what they know is lost then.
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub fn run(args: ViewsArgs) -> ExitCode {
    let ViewsCommand::Rebuild(args) = args.command;
    let mut bar = Bar::new("rebuild");
    let rebuilt = rebuild(&args.data, args.force, |at, end| bar.show(at, end));
    bar.clear();
    match rebuilt {
        Ok(rebuilt) => finish(writeln!(io::stdout().lock(), "views are at {}", rebuilt.head), true),
        Err(error) => fail(error.code(), &error),
    }
}
