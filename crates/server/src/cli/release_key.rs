//! `holdfast release-key`: the public half of the key that signs releases, for the signer's pinned file.

use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_authn::print_operator_key;
use serde_json::json;

use super::{Failure, finish, pretty};
use crate::data::{self, DataDir};

/// Print the public half of the release key.
#[derive(Debug, clap::Args)]
pub struct ReleaseKeyArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Make a key if the directory has none. One that is there is never replaced.
    #[arg(long)]
    make: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &ReleaseKeyArgs) -> ExitCode {
    finish(release_key(args))
}

fn release_key(args: &ReleaseKeyArgs) -> Result<String, Failure> {
    let dir = DataDir::new(&args.data);
    let failed = |error| Failure::new("release_key", error);
    if args.make && !dir.release_key().exists() {
        let seed = data::random::<32>().map_err(failed)?;
        data::write_secret(&dir.release_key(), &seed).map_err(failed)?;
    }
    let key = dir.read_release_key().map_err(failed)?.ok_or_else(|| {
        Failure::new("release_key_missing", "there is no release key in this directory: make one with --make")
    })?;
    let public = print_operator_key(&key.public_key());
    Ok(if args.json { pretty(&json!({ "release_key": public })) } else { format!("{public}\n") })
}
