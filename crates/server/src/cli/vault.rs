//! `holdfast vault`: the key-encryption key and the erasure of an account, while a server runs or not. The work is
//! `crate::vault`'s.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use holdfast_values::AccountId;
use serde_json::json;

use super::progress::Bar;
use super::{Failure, finish, pretty};
use crate::config::Config;
use crate::data::DataDir;
use crate::vault::{self, Kek, KekSource, Rotation, Step, Vault, VaultError};

/// Look after the vault: the key that wraps all data keys, and the erasure of an account. See docs/secrets.md.
///
/// A server may be running on the data directory: it goes on, and takes note of what is done here within a second.
#[derive(Debug, clap::Args)]
pub struct VaultArgs {
    #[command(subcommand)]
    command: VaultCommand,
}

#[derive(Debug, clap::Subcommand)]
enum VaultCommand {
    /// Make a key-encryption key: a new file of mode 0600, or a new key in a PKCS#11 token that never leaves it.
    MakeKey(MakeKeyArgs),
    /// Go over to another key-encryption key: wrap every account's data key under it, and retire the present one.
    ///
    /// The server goes on serving. If this is interrupted, run it again with the same --to.
    Rotate(RotateArgs),
    /// Destroy an account's data key and with it, for good, all that was ever sealed for that account.
    Erase(EraseArgs),
    /// Print which key-encryption keys the vault knows and how many data keys are wrapped under each.
    Status(StatusArgs),
}

const SOURCE_HELP: &str = "file:PATH, env:NAME or pkcs11:token=LABEL;object=LABEL?module-path=/PATH/MODULE.so&pin-source=file:/PATH";

#[derive(Debug, clap::Args)]
struct MakeKeyArgs {
    #[arg(value_parser = source, help = SOURCE_HELP)]
    source: KekSource,
}

#[derive(Debug, clap::Args)]
struct RotateArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// The server's configuration, which names the present key; holdfast.toml in the data directory if absent and there.
    #[arg(long)]
    config: Option<PathBuf>,
    #[arg(long, value_name = "SOURCE", value_parser = source, help = SOURCE_HELP)]
    to: KekSource,
    /// Data keys in one transaction, 1 to 1000. The server's own writes wait for as long as one takes.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// Seconds that the server may take to fetch the new key.
    #[arg(long, default_value_t = 30)]
    wait: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct EraseArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// The account.
    #[arg(long)]
    account: AccountId,
    /// The account again: what is erased never comes back.
    #[arg(long)]
    confirm: AccountId,
    /// Seconds that the server may take to forget the key.
    #[arg(long, default_value_t = 30)]
    wait: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &VaultArgs) -> ExitCode {
    finish(match &args.command {
        VaultCommand::MakeKey(args) => make_key(args),
        VaultCommand::Rotate(args) => rotate(args),
        VaultCommand::Erase(args) => erase(args),
        VaultCommand::Status(args) => status(args),
    })
}

/// A source on the command line. The server looks there too, from another directory: the path is made absolute.
fn source(text: &str) -> Result<KekSource, String> {
    match KekSource::parse(text).map_err(|error| error.to_string())? {
        KekSource::File(path) => {
            std::path::absolute(path).map(KekSource::File).map_err(|error| error.to_string())
        }
        source => Ok(source),
    }
}

fn failed(error: VaultError) -> Failure {
    Failure::new(error.code(), error)
}

fn make_key(args: &MakeKeyArgs) -> Result<String, Failure> {
    args.source.make().map_err(failed)?;
    // A token may make what it then refuses to use.
    drop(args.source.load().map_err(failed)?);
    Ok(format!("{}\n", args.source))
}

fn present(dir: &DataDir, config: Option<&Path>) -> Result<Kek, Failure> {
    let path = config.map_or_else(|| dir.config(), Path::to_path_buf);
    let config = if config.is_some() || path.exists() {
        Config::read(&path).map_err(|error| Failure::new("configuration_invalid", error))?
    } else {
        Config::default()
    };
    config.kek(dir).load().map_err(failed)
}

fn rotate(args: &RotateArgs) -> Result<String, Failure> {
    let dir = DataDir::new(&args.data);
    // Whether the new key can be had is known before anything is opened.
    let next = args.to.load().map_err(failed)?;
    let vault = Vault::open(&dir.vault(), &present(&dir, args.config.as_deref())?).map_err(failed)?;
    let rotation = Rotation { batch: args.batch, patience: Duration::from_secs(args.wait) };
    let mut bar = Bar::new("wrapping data keys anew");
    let rotated = vault.rotate(&args.to, &next, rotation, &mut |step| {
        if let Step::Wrapped(done, total) = step {
            bar.show(done, total);
        }
    });
    bar.clear();
    let rotated = rotated.map_err(failed)?;
    if args.json {
        return Ok(pretty(&json!({
            "kek": args.to.to_string(), "wrapped": rotated.wrapped, "server_running": rotated.served,
            "log_emptied": rotated.emptied,
        })));
    }
    let setting = match &args.to {
        KekSource::File(path) => format!("file = \"{}\"", path.display()),
        KekSource::Environment(name) => format!("environment = \"{name}\""),
        KekSource::Pkcs11(uri) => format!("pkcs11 = \"{uri}\""),
    };
    let mut out = format!(
        "{} data keys wrapped anew: nothing is wrapped under an earlier key any more.\n\
         Write into the server's configuration (it need not be restarted for it):\n\n  [kek]\n  {setting}\n\n\
         Then destroy the earlier key, once no backup that was made under it is needed any more.\n",
        rotated.wrapped
    );
    if !rotated.emptied {
        out.push_str(LOG_IN_USE);
    }
    Ok(out)
}

const LOG_IN_USE: &str = "note: vault.db-wal was in use and still holds what was there before: run this again, or stop the server once\n";

fn erase(args: &EraseArgs) -> Result<String, Failure> {
    if args.account != args.confirm {
        return Err(Failure::new("not_confirmed", "--account and --confirm differ: nothing was erased"));
    }
    let dir = DataDir::new(&args.data);
    let erased = vault::erase(&dir.vault(), &args.account, Duration::from_secs(args.wait)).map_err(failed)?;
    if args.json {
        return Ok(pretty(&json!({
            "account": args.account.to_string(), "had_key": erased.had_key, "server_running": erased.served,
            "log_emptied": erased.emptied,
        })));
    }
    let mut out = if erased.had_key {
        format!(
            "{}: what was sealed for this account is gone. Backups of vault.db still have its key.\n",
            args.account
        )
    } else {
        format!("{}: nothing was sealed for this account; nothing will be.\n", args.account)
    };
    if !erased.emptied {
        out.push_str(LOG_IN_USE);
    }
    Ok(out)
}

fn status(args: &StatusArgs) -> Result<String, Failure> {
    let keks = vault::status(&DataDir::new(&args.data).vault()).map_err(failed)?;
    if args.json {
        let keks: Vec<_> = keks
            .iter()
            .map(|kek| json!({ "id": kek.id, "status": kek.status, "source": kek.source, "data_keys": kek.data_keys }))
            .collect();
        return Ok(pretty(&json!({ "keks": keks })));
    }
    Ok(keks.iter().fold(String::new(), |out, kek| {
        let source = if kek.source.is_empty() { "(the one that it was made with)" } else { &kek.source };
        format!("{out}{:3} {:8} {:10} data keys  {source}\n", kek.id, kek.status, kek.data_keys)
    }))
}
