//! `holdfast import`: history in parts. `prepare` splits it and writes the manifest that operators sign; `send` brings
//! the parts once that act was accepted.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::client::ServerArgs;
use super::operator::{Validity, write_text};
use super::progress::Bar;
use super::{Failure, finish, pretty};
use crate::data;
use crate::fingerprint::Fingerprinter;
use crate::http::chunk_accounts;
use crate::record::hex;
use holdfast_decision::acts::ActLines;

/// The most bytes of a part: below the limit of a request's body.
const PART_BYTES_MAX: usize = 900 << 10;
/// The most accounts of a part.
const PART_LINES_MAX: usize = 2_000;
/// The largest history that is read at once.
const HISTORY_BYTES_MAX: u64 = 8 << 30;

/// Bring in the history that operators vouch for.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ImportCommand {
    /// Check a history (JSON lines, one account each), split it into parts, write manifest.txt and import.text.
    ///
    /// Operators then sign import.text, whose payload is manifest.txt.
    Prepare(PrepareArgs),
    /// Send the parts of a prepared import whose act was accepted.
    Send(SendArgs),
}

#[derive(Debug, clap::Args)]
struct PrepareArgs {
    /// The history.
    history: PathBuf,
    /// The directory for the parts; must not exist.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    validity: Validity,
}

#[derive(Debug, clap::Args)]
struct SendArgs {
    /// The directory that `prepare` wrote.
    dir: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub fn run(args: ImportArgs) -> ExitCode {
    finish(match args.command {
        ImportCommand::Prepare(args) => prepare(&args),
        ImportCommand::Send(args) => send(&args),
    })
}

fn file(error: impl core::fmt::Display) -> Failure {
    Failure::new("file", error)
}

fn part_path(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("part-{number:06}.jsonl"))
}

fn prepare(args: &PrepareArgs) -> Result<String, Failure> {
    let bytes = data::read_limited(&args.history, HISTORY_BYTES_MAX).map_err(file)?;
    let text = core::str::from_utf8(&bytes).map_err(|_| file("the history is not UTF-8"))?;
    std::fs::create_dir(&args.out).map_err(|error| file(format!("{}: {error}", args.out.display())))?;
    let (mut manifest, mut parts, mut accounts) = (String::new(), 0usize, 0usize);
    let mut part = String::new();
    let mut lines = 0usize;
    let mut finish_part = |part: &mut String, lines: &mut usize| {
        if *lines == 0 {
            return Ok(());
        }
        // Checked here as the server will, so that no manifest is signed that cannot be imported.
        let first = accounts.saturating_add(1);
        chunk_accounts(part.as_bytes(), &Fingerprinter::new([0; 32])).map_err(|problem| {
            Failure::new("import_chunk_invalid", format!("from account {first} on: {}", problem.message()))
        })?;
        parts = parts.saturating_add(1);
        accounts = accounts.saturating_add(*lines);
        std::fs::write(part_path(&args.out, parts), &*part).map_err(file)?;
        manifest.push_str(&hex(&Sha256::digest(part.as_bytes())));
        manifest.push('\n');
        part.clear();
        *lines = 0;
        Ok(())
    };
    for line in text.lines().filter(|line| !line.is_empty()) {
        if lines >= PART_LINES_MAX || part.len().saturating_add(line.len()) >= PART_BYTES_MAX {
            finish_part(&mut part, &mut lines)?;
        }
        part.push_str(line);
        part.push('\n');
        lines = lines.saturating_add(1);
    }
    finish_part(&mut part, &mut lines)?;
    std::fs::write(args.out.join("manifest.txt"), &manifest).map_err(file)?;
    let act = ActLines { act: "import", target: "-".into(), detail: "-".into(), payload: true };
    let digest = Sha256::digest(manifest.as_bytes()).into();
    let text = write_text(&act, Some(digest), &args.validity, Some(&args.out.join("import.text")))?;
    Ok(pretty(&json!({ "accounts": accounts, "parts": parts, "text": text })))
}

fn send(args: &SendArgs) -> Result<String, Failure> {
    let manifest = data::read_limited(&args.dir.join("manifest.txt"), 1 << 20).map_err(file)?;
    let parts = manifest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let (mut sent, mut known) = (0u64, 0u64);
    let mut bar = Bar::new("import");
    for number in 1..=parts {
        bar.show(u64::try_from(number).unwrap_or(u64::MAX), u64::try_from(parts).unwrap_or(u64::MAX));
        let part = data::read_limited(&part_path(&args.dir, number), 1 << 20).map_err(file)?;
        let answer = args.server.call("POST", "/v1/imports", "application/x-ndjson", part)?;
        // A part that was imported before is refused by its digest: sending again after an interruption is safe.
        if answer.body.get("code").and_then(Value::as_str) == Some("import_unknown") {
            known = known.saturating_add(1);
            continue;
        }
        answer.accepted()?;
        sent = sent.saturating_add(1);
    }
    bar.clear();
    if sent == 0 && known > 0 {
        return Err(Failure::new(
            "import_unknown",
            "no part is listed by an accepted manifest, or all were imported",
        ));
    }
    Ok(pretty(&json!({ "parts": parts, "sent": sent, "imported_before_or_not_listed": known })))
}
