//! `holdfast policy`: checks, explains and describes packs of policies. The work is done by `holdfast-cedar`; here are
//! only the arguments and the printing.

mod backtest;
mod change;
mod log;
mod shadow;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdfast_cedar::fmt::format_dir;
use holdfast_cedar::judge::test_dir;
use holdfast_cedar::known::Known;
use holdfast_cedar::new::new_dir;
use holdfast_cedar::prove::{Solver, Watch, check_dir, diff_dirs, prove_dir};
use holdfast_cedar::report::{Report, explain_dir};
use holdfast_cedar::{docs, schema};

use super::proving::{Asking, ask};
use super::{Failure, finish};

/// Check, explain and describe packs of policies.
#[derive(clap::Args, Debug)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(clap::Subcommand, Debug)]
enum PolicyCommand {
    /// Parse, validate, lint and compile a pack, run the cases beside it, and warn of what it says in vain.
    Check {
        /// The directory of the pack.
        dir: PathBuf,
        /// Warn also of policies that are dead, needless, hidden by others or can error: needs cvc5.
        #[arg(long)]
        deep: bool,
        /// The exchange's configuration: assets, networks and tiers that the pack names must be in it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// End with 1 if there is a warning.
        #[arg(long)]
        deny_warnings: bool,
        #[command(flatten)]
        asking: Asking,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a pack makes of a withdrawal, and why. What no --fact says is as in an ordinary withdrawal
    /// (docs/facts.md).
    Explain {
        /// The directory of the pack.
        dir: PathBuf,
        /// A fact that differs: path=value, such as amount_usd_cents=5_000_000 or class=unvouched; `unset` forgets it.
        #[arg(long = "fact", value_name = "PATH=VALUE")]
        given: Vec<String>,
        /// A file of such facts, a counter-example for instance: a line each, or JSON. Each --fact comes after it.
        #[arg(long = "facts", value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a small pack to start from, with cases, reasons and invariants.
    New {
        /// A directory that is not there yet, or is empty.
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lay out a pack's files in the one layout; comments stay, meaning cannot change.
    Fmt {
        /// The directory of the pack.
        dir: PathBuf,
        /// Change nothing, and end with 1 if a file is laid out otherwise.
        #[arg(long)]
        check: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run the cases beside a pack (*.cases), and show those that fail.
    Test {
        /// The directory of the pack.
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prove the invariants beside a pack (invariants.cedar) for all requests, or print one that breaks them. Needs cvc5.
    Prove {
        /// The directory of the pack.
        dir: PathBuf,
        #[command(flatten)]
        asking: Asking,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prove what a change of policy means: equal, tighter, looser or mixed at each outcome, with requests that show it.
    /// Needs cvc5. Ends with 1 only if something could not be proved.
    Diff {
        /// The directory of the pack that is.
        old: PathBuf,
        /// The directory of the pack that is to be.
        new: PathBuf,
        #[command(flatten)]
        asking: Asking,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the Cedar schema that policies are validated against.
    Schema {
        /// Print the table of facts as Markdown instead: docs/facts.md.
        #[arg(long)]
        markdown: bool,
    },
    Backtest(backtest::BacktestArgs),
    Shadow(shadow::ShadowArgs),
    Log(log::LogArgs),
    Propose(change::ProposeArgs),
    Approve(change::ApproveArgs),
    Tighten(change::TightenArgs),
    Restore(change::RestoreArgs),
}

/// Runs the command: 0 if all is well, 1 if the pack or a fact was refused, or nothing could be printed.
pub fn run(args: PolicyArgs) -> ExitCode {
    let written = match args.command {
        PolicyCommand::Check { dir, deep, config, deny_warnings, asking, json } => {
            let known = match config.as_deref().map(known).transpose() {
                Ok(known) => known,
                Err(failure) => return finish(Err(failure)),
            };
            let check =
                |deep: Option<(&Solver, Watch<'_>)>| check_dir(&dir, known.as_ref(), deep, deny_warnings);
            let report =
                if deep { ask(&asking, |solver, watch| check(Some((solver, watch)))) } else { check(None) };
            return tell(&report, json);
        }
        PolicyCommand::Explain { dir, given, file, json } => {
            return tell(&explain_dir(&dir, file.as_deref(), &given), json);
        }
        PolicyCommand::New { dir, json } => return tell(&new_dir(&dir), json),
        PolicyCommand::Fmt { dir, check, json } => return tell(&format_dir(&dir, check), json),
        PolicyCommand::Test { dir, json } => return tell(&test_dir(&dir), json),
        PolicyCommand::Backtest(args) => return backtest::run(&args),
        PolicyCommand::Prove { dir, asking, json } => {
            return tell(&ask(&asking, |solver, watch| prove_dir(&dir, solver, watch)), json);
        }
        PolicyCommand::Diff { old, new, asking, json } => {
            return tell(&ask(&asking, |solver, watch| diff_dirs(&old, &new, solver, watch)), json);
        }
        PolicyCommand::Shadow(args) => return shadow::run(&args),
        PolicyCommand::Log(args) => return log::run(&args),
        PolicyCommand::Propose(args) => return change::propose(&args),
        PolicyCommand::Approve(args) => return change::approve(&args),
        PolicyCommand::Tighten(args) => return change::tighten(&args),
        PolicyCommand::Restore(args) => return change::restore(&args),
        PolicyCommand::Schema { markdown: true } => print(&docs::facts_markdown()),
        PolicyCommand::Schema { markdown: false } => print(&schema::schema_text()),
    };
    code(written)
}

/// What a configuration has that policies can name.
fn known(path: &Path) -> Result<Known, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new("file", format!("cannot read {}: {error}", path.display())))?;
    let configuration = crate::exchange::parse(&text)
        .map_err(|error| Failure::new("configuration_invalid", format!("{}: {error}", path.display())))?;
    let networks = configuration.assets.iter().flat_map(|asset| &asset.wallets);
    Ok(Known {
        assets: configuration.assets.iter().map(|asset| asset.spec.symbol.to_string()).collect(),
        networks: networks.map(|(network, _)| network.name().to_owned()).collect(),
        tiers: configuration.tiers.iter().map(|tier| tier.name.to_string()).collect(),
    })
}

/// JSON and good news go to standard output, problems for people to standard error.
fn tell(report: &Report, json: bool) -> ExitCode {
    let written = match (json, report.ok) {
        (true, _) => print(&format!("{:#}\n", report.json)),
        (false, true) => print(&report.text),
        (false, false) => std::io::stderr().lock().write_all(report.text.as_bytes()).is_ok(),
    };
    code(written && report.ok)
}

fn print(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

fn code(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
