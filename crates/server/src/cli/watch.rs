//! `holdfast watch`: what a chain's node shows of one wallet, told to Holdfast. The work is done in `holdfast-connectors`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use holdfast_connectors::{WatchError, Watcher};

use super::{Failure, finish, serve};

/// Watch one wallet on one node (Bitcoin Core or EVM JSON-RPC) and tell Holdfast every transaction that spends from it:
/// pending, in a block with each confirmation until it is final, failed, or vanished.
///
/// Runs until it is stopped, which is safe at any time. What goes wrong is said in the log and tried again. The token in
/// holdfast.token_file needs the scope `chain`. docs/connectors.md explains the file and what a watcher cannot see.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// The watcher's TOML file; paths in it are relative to its folder.
    #[arg(long)]
    config: PathBuf,
    /// Stop once all that the node has was told; the first thing that goes wrong ends it.
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub fn run(args: &WatchArgs) -> ExitCode {
    serve::start_log();
    finish(watch(args).map_err(|error| Failure::new(error.code(), error)))
}

fn watch(args: &WatchArgs) -> Result<String, WatchError> {
    let mut watcher = Watcher::open(&args.config)?;
    if args.once {
        watcher.once()?;
        return Ok(String::new());
    }
    tracing::info!(height = watcher.height(), "watching");
    watcher.run(&AtomicBool::new(false));
    Ok(String::new())
}
