//! `holdfast backup`: the command line of `crate::recovery::backup`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::progress::Bar;
use super::{Failure, finish, pretty};
use crate::data::DataDir;
use crate::recovery;

/// Copy a data directory, of a running server too.
///
/// The copy is the journal up to one record with everything that belongs to it, and a manifest, which is written last.
/// The server goes on meanwhile. A data directory is made of it with `holdfast restore`. See docs/recovery.md.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Where the copy goes: a new directory.
    #[arg(long)]
    out: PathBuf,
    /// Leave the keys out: they never change, and are safest in another place than the rest.
    #[arg(long)]
    without_keys: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &BackupArgs) -> ExitCode {
    finish(backup(args))
}

fn backup(args: &BackupArgs) -> Result<String, Failure> {
    let mut bar = Bar::new("backup");
    let made =
        recovery::backup(&DataDir::new(&args.data), &args.out, !args.without_keys, &mut |what, at, end| {
            bar.name(what);
            bar.show(at, end);
        });
    bar.clear();
    let recovery::Backup { manifest, notes } = made.map_err(Failure::recovery)?;
    let bytes = manifest.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    if args.json {
        return Ok(pretty(&json!({
            "backup": args.out, "journal": manifest.journal, "sequence": manifest.sequence, "head": manifest.head,
            "epoch": manifest.epoch, "created_at": manifest.created_at, "keys": manifest.keys,
            "files": manifest.files.len(), "bytes": bytes, "notes": notes,
        })));
    }
    let mut out = format!(
        "{}: records 1 to {} of epoch {}, head {}\n{} files, {bytes} bytes\n",
        args.out.display(),
        manifest.sequence,
        manifest.epoch,
        manifest.head,
        manifest.files.len()
    );
    for note in notes {
        out.push_str(&format!("note: {note}\n"));
    }
    Ok(out)
}
