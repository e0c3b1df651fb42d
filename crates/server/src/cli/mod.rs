//! The command line: what the binary `holdfast` can be told. Each command is one file here; the work itself is done by the
//! library's other rooms.

pub mod address;
pub mod backup;
mod client;
pub mod decide;
pub mod drill;
pub mod drive;
pub mod import;
pub mod init;
pub mod journal;
pub mod keys;
pub mod operator;
pub mod policy;
mod progress;
mod proving;
pub mod recover;
pub mod release_key;
pub mod replay;
pub mod restore;
pub mod score;
pub mod serve;
pub mod text;
pub mod token;
pub mod vault;
pub mod views;
pub mod watch;
pub mod why;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::recovery::RecoveryError;

/// The security control plane of a custodial exchange: may this withdrawal leave now, and on whose word?
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory: journal, vault, keys, first operators, first policy, first token.
    Init(init::InitArgs),
    /// Serve the HTTP interface from a data directory.
    Serve(serve::ServeArgs),
    /// Keys and signed acts of the exchange's operators.
    Operator(operator::OperatorArgs),
    /// Tokens for clients of the HTTP interface.
    Token(token::TokenArgs),
    /// Customers' API keys: take a cohort of them out of use.
    Keys(keys::KeysArgs),
    /// Bring in the history that operators vouch for.
    Import(import::ImportArgs),
    /// Check addresses.
    Address(address::AddressArgs),
    /// Check signed texts and print their hash.
    Text(text::TextArgs),
    /// Check and explain policy packs.
    Policy(policy::PolicyArgs),
    /// The key that signs releases: print its public half, to be pinned at the signer.
    ReleaseKey(release_key::ReleaseKeyArgs),
    /// The vault: rotate the key-encryption key, erase an account.
    Vault(vault::VaultArgs),
    /// Verify, checkpoint and export the journal.
    Journal(journal::JournalArgs),
    /// Decide every record of a journal again and compare.
    Replay(replay::ReplayArgs),
    /// Copy a data directory, of a running server too.
    Backup(backup::BackupArgs),
    /// Make a data directory of a backup.
    Restore(restore::RestoreArgs),
    /// Let a restored journal go on, with what its signers have paid since taken in.
    Recover(recover::RecoverArgs),
    /// Decide a file of events in order, as a simulated exchange.
    Decide(decide::DecideArgs),
    /// Why a withdrawal was decided as it was.
    Why(why::WhyArgs),
    Drill(drill::DrillArgs),
    Drive(drive::DriveArgs),
    Score(score::ScoreArgs),
    /// The read model: rebuild it from the journal.
    Views(views::ViewsArgs),
    /// Watch a wallet on a chain's node and report what spends from it.
    Watch(watch::WatchArgs),
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Init(args) => init::run(args),
        Command::Serve(args) => serve::run(&args),
        Command::Operator(args) => operator::run(args),
        Command::Token(args) => token::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Import(args) => import::run(args),
        Command::Address(args) => address::run(args),
        Command::Text(args) => text::run(args),
        Command::Policy(args) => policy::run(args),
        Command::ReleaseKey(args) => release_key::run(&args),
        Command::Vault(args) => vault::run(&args),
        Command::Journal(args) => journal::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Decide(args) => decide::run(&args),
        Command::Why(args) => why::run(args),
        Command::Drill(args) => drill::run(&args),
        Command::Drive(args) => drive::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Views(args) => views::run(args),
        Command::Watch(args) => watch::run(&args),
    }
}

/// An error with a stable code, as commands end with it.
#[derive(Debug)]
struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    fn new(code: &'static str, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }

    fn recovery(error: RecoveryError) -> Self {
        Self::new(error.code(), error)
    }
}

/// Prints the text of a command that worked; nothing but it goes to standard output.
fn finish(result: Result<String, Failure>) -> ExitCode {
    let written = match &result {
        Ok(text) => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        Err(Failure { code, message }) => writeln!(std::io::stderr(), "error: {code}: {message}"),
    };
    if written.is_ok() && result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The text of a JSON answer.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
