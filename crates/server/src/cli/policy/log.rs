//! `holdfast policy log`: every policy that ever decided, what is proposed, and what waits for its time.

use core::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdfast_journal::LocalReader;
use serde_json::{Value, json};

use crate::cli::client::ServerArgs;
use crate::cli::progress::Bar;
use crate::cli::{Failure, finish, pretty};
use crate::history::History;
use crate::intake::recover_state;
use crate::record::hex;

/// How many records pass between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;

/// Every policy that ever decided, since when and on whose word; open proposals, and acts that wait for their time.
///
/// Each is found out again from the journal: the signatures, whose hands counted (the author's does not), how many it takes,
/// what was proposed, how long it waited, that a tightening tightens, that the program is what the files compile to. Exits 1
/// if anything is wrong with one.
#[derive(clap::Args, Debug)]
pub(super) struct LogArgs {
    /// Read this data directory; a server may be running on it. Without it the server is asked.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &LogArgs) -> ExitCode {
    let found = match &args.data {
        Some(data) => of_data(data),
        None => of_server(&args.server),
    };
    let is_verified = found.as_ref().is_ok_and(|found| {
        items(found, "policies").iter().all(|era| era.get("verified") == Some(&Value::Bool(true)))
    });
    let shown = finish(found.map(|found| if args.json { pretty(&found) } else { text(&found) }));
    if is_verified { shown } else { ExitCode::FAILURE }
}

fn of_server(server: &ServerArgs) -> Result<Value, Failure> {
    let get = |path: &str| server.call("GET", path, "application/json", Vec::new())?.accepted();
    let (mut found, acts) = (get("/v1/policy/history")?, get("/v1/operator-acts")?);
    if let (Value::Object(found), Value::Object(acts)) = (&mut found, acts) {
        found.extend(acts);
    }
    Ok(found)
}

fn of_data(data: &Path) -> Result<Value, Failure> {
    let journal = |error: holdfast_journal::JournalError| Failure::new(error.code(), error);
    let reader = LocalReader::open(data).map_err(journal)?;
    let head = reader.head().map_err(journal)?;
    let mut bar = Bar::new("log");
    let mut history = History::default();
    for record in reader.records(1) {
        let record = record.map_err(journal)?;
        if record.sequence > head.sequence {
            break;
        }
        history.take(&record).map_err(|error| Failure::new(error.code(), error))?;
        if record.sequence.is_multiple_of(PROGRESS_EVERY) {
            bar.show(record.sequence, head.sequence);
        }
    }
    bar.clear();
    let (state, _) = recover_state(data, reader, head).map_err(|error| Failure::new(error.code(), error))?;
    let scheduled: Vec<Value> = state
        .scheduled_acts()
        .map(|waiting| {
            let act = &waiting.scheduled;
            let lines = act.act.lines();
            let by = act.approval.signatures.iter().map(|signature| signature.operator.name.to_string());
            json!({
                "nonce": hex(&act.nonce.0),
                "act": lines.act,
                "target": lines.target,
                "detail": lines.detail,
                "by": by.collect::<Vec<_>>(),
                "accepted_at": waiting.since.to_string(),
                "due": waiting.due.to_string(),
                "sequence": waiting.sequence,
            })
        })
        .collect();
    let proposals: Vec<Value> = state
        .proposals()
        .map(|open| {
            let proposal = &open.opened.proposal;
            json!({
                "nonce": hex(&open.opened.nonce.0),
                "policy": hex(&proposal.source.hash),
                "from": hex(&proposal.from),
                "author": open.opened.author.to_string(),
                "reason": proposal.reason,
                "proposed_at": open.at.to_string(),
                "expires": open.expires.to_string(),
            })
        })
        .collect();
    Ok(json!({ "policies": history.eras(), "scheduled": scheduled, "proposals": proposals }))
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn field<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

fn text(found: &Value) -> String {
    let mut text = String::new();
    for era in items(found, "policies") {
        let until = era.get("until").and_then(Value::as_str).unwrap_or("now");
        let sequence = era.get("sequence").and_then(Value::as_u64).unwrap_or_default();
        let _infallible = writeln!(
            text,
            "{} {}\n  {} until {until}, record {sequence}",
            field(era, "hash"),
            field(era, "how"),
            field(era, "since")
        );
        for (name, key) in [("author", "author"), ("reason", "reason")] {
            if let Some(value) = era.get(key).and_then(Value::as_str) {
                let _infallible = writeln!(text, "  {name}: {value}");
            }
        }
        for signed in items(era, "approvals") {
            let is = |key: &str| signed.get(key) == Some(&Value::Bool(true));
            let says = match (is("valid"), is("counts")) {
                (true, true) => "signature verified",
                (true, false) => "signature verified, does not count",
                (false, _) => "SIGNATURE NOT GOOD",
            };
            let _infallible = writeln!(text, "  signed by {} ({says})", field(signed, "operator"));
        }
        let number = |key: &str| era.get(key).and_then(Value::as_u64).unwrap_or_default();
        if let Some(accepted) = era.get("accepted").and_then(Value::as_str) {
            let (counted, needed) = (number("counted"), number("needed"));
            let _infallible =
                writeln!(text, "  accepted {accepted}, {counted} of {needed} operators counted");
        }
        if field(era, "program") == "other_compiler" {
            let by = era.get("compiler").and_then(Value::as_u64);
            let by = by.map_or("an unrecorded version".to_owned(), |by| format!("version {by}"));
            let _infallible = writeln!(
                text,
                "  program NOT COMPARED: {by} of the compiler made it, this binary has version {}, which makes another of \
                 the same files",
                number("this_compiler")
            );
        }
        if era.get("verified") == Some(&Value::Bool(true)) {
            text.push_str("  verified\n");
        } else {
            for problem in items(era, "problems").iter().filter_map(Value::as_str) {
                let _infallible = writeln!(text, "  NOT VERIFIED: {problem}");
            }
        }
    }
    for open in items(found, "proposals") {
        let _infallible = writeln!(
            text,
            "proposed {}\n  by {} at {}, closes {}; act:{}\n  reason: {}",
            field(open, "policy"),
            field(open, "author"),
            field(open, "proposed_at"),
            field(open, "expires"),
            field(open, "nonce"),
            field(open, "reason")
        );
    }
    for act in items(found, "scheduled") {
        let by: Vec<&str> = items(act, "by").iter().filter_map(Value::as_str).collect();
        let _infallible = writeln!(
            text,
            "waits: {} {} {}\n  due {}, signed by {}; stop it with act:{}",
            field(act, "act"),
            field(act, "target"),
            field(act, "detail"),
            field(act, "due"),
            by.join(", "),
            field(act, "nonce")
        );
    }
    text
}
