//! `holdfast restore`: the command line of `crate::recovery::restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::progress::Bar;
use super::{Failure, finish, pretty};
use crate::data::DataDir;
use crate::recovery;

/// Make a data directory of a backup.
///
/// Every file and every record is checked; then the directory is there, whole, and marked: `holdfast serve` refuses it
/// until `holdfast recover` has taken in what its signers have paid since. See docs/recovery.md.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(long)]
    backup: PathBuf,
    /// The data directory to make; it must not exist.
    #[arg(long)]
    data: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &RestoreArgs) -> ExitCode {
    finish(restore(args))
}

fn restore(args: &RestoreArgs) -> Result<String, Failure> {
    let mut bar = Bar::new("restore");
    let dir = DataDir::new(&args.data);
    let restored = recovery::restore(&args.backup, &dir, &mut |what, at, end| {
        bar.name(what);
        bar.show(at, end);
    });
    bar.clear();
    let manifest = restored.map_err(Failure::recovery)?;
    if args.json {
        return Ok(pretty(&json!({
            "data": args.data, "exchange": manifest.exchange, "journal": manifest.journal,
            "sequence": manifest.sequence, "head": manifest.head, "epoch": manifest.epoch,
            "created_at": manifest.created_at, "keys": manifest.keys,
        })));
    }
    let mut out = format!(
        "{}: records 1 to {} of epoch {}, as of {}\n",
        args.data.display(),
        manifest.sequence,
        manifest.epoch,
        manifest.created_at
    );
    if !manifest.keys {
        out.push_str(&format!(
            "The backup has no keys: put your copy of them at {}.\n",
            dir.keys().display()
        ));
    }
    out.push_str(&format!(
        "Nothing serves from it yet: what was paid since is not in its journal. Next: holdfast recover --data {} --plan\n",
        args.data.display()
    ));
    Ok(out)
}
