//! `holdfast release-key`: the public half of the key that signs releases, for the signer's pinned file; and where that
//! key is.

use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_authn::print_operator_key;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failure, finish, pretty};
use crate::data::{self, DataDir};
use crate::vault::{Pkcs11Uri, TokenError, TokenSigner};

/// Print the public half of the release key.
///
/// The key is `keys/release.key` in the data directory: 32 random bytes, or one line with a `pkcs11:` reference to an
/// Ed25519 key in a token, which then signs. See docs/secrets.md.
#[derive(Debug, clap::Args)]
pub struct ReleaseKeyArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Make a key if the directory has none. One that is there is never replaced.
    #[arg(long)]
    make: bool,
    /// Let the directory's release key be this key in a token; with --make, a new one. For a directory that has none:
    /// move an old keys/release.key away first, and pin the new key at the signers.
    #[arg(
        long,
        value_name = "URI",
        help = "pkcs11:token=LABEL;object=LABEL?module-path=/PATH/MODULE.so&pin-source=file:/PATH"
    )]
    pkcs11: Option<String>,
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
    let path = dir.release_key();
    if let Some(uri) = &args.pkcs11 {
        if path.exists() {
            let message = format!("{} is there already: move it away first", path.display());
            return Err(Failure::new("release_key_exists", message));
        }
        let token = |error: TokenError| Failure::new(error.code(), error);
        let uri = Pkcs11Uri::parse(uri).map_err(token)?;
        if args.make {
            TokenSigner::make(&uri).map_err(token)?;
        }
        drop(TokenSigner::open(&uri).map_err(token)?);
        data::write_secret(&path, format!("{uri}\n").as_bytes()).map_err(failed)?;
    } else if args.make && !path.exists() {
        let seed = Zeroizing::new(data::random::<32>().map_err(failed)?);
        data::write_secret(&path, seed.as_slice()).map_err(failed)?;
    }
    let key = dir.read_release_key().map_err(failed)?.ok_or_else(|| {
        Failure::new("release_key_missing", "there is no release key in this directory: make one with --make")
    })?;
    let public = print_operator_key(&key.public_key());
    Ok(if args.json { pretty(&json!({ "release_key": public })) } else { format!("{public}\n") })
}
