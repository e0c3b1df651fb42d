//! `holdfast policy shadow`: a candidate beside the live policy of a running server.

use core::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::client::ServerArgs;
use crate::cli::{Failure, finish, pretty};

/// Compare a candidate with the live policy, on live traffic. It decides nothing.
#[derive(clap::Args, Debug)]
pub(super) struct ShadowArgs {
    #[command(subcommand)]
    command: ShadowCommand,
}

#[derive(clap::Subcommand, Debug)]
enum ShadowCommand {
    /// Compare this pack from now on, in the place of any other. It goes on after a restart of the server.
    Start {
        /// The directory of the candidate's pack.
        dir: PathBuf,
        #[command(flatten)]
        shown: Shown,
    },
    /// How it compares so far.
    Status(Shown),
    /// Compare no more; prints how it stood. The counts are forgotten.
    Stop(Shown),
}

#[derive(clap::Args, Debug)]
struct Shown {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &ShadowArgs) -> ExitCode {
    finish(match &args.command {
        ShadowCommand::Start { dir, shown } => start(dir, shown),
        ShadowCommand::Status(shown) => ask("GET", Vec::new(), shown),
        ShadowCommand::Stop(shown) => ask("DELETE", Vec::new(), shown),
    })
}

fn start(dir: &std::path::Path, shown: &Shown) -> Result<String, Failure> {
    let pack = holdfast_cedar::load_dir(dir).map_err(|error| Failure::new("policy_invalid", error))?;
    let files: serde_json::Map<String, Value> =
        pack.files.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
    ask("PUT", json!({ "files": files }).to_string().into_bytes(), shown)
}

fn ask(method: &str, body: Vec<u8>, shown: &Shown) -> Result<String, Failure> {
    let answer = shown.server.call(method, "/v1/policy/shadow", "application/json", body)?.accepted()?;
    Ok(if shown.json { pretty(&answer) } else { text(&answer) })
}

fn text(answer: &Value) -> String {
    let field = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or("-");
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!(
        "candidate {}\nlive      {}\nsince {} by {}: {} decisions compared, {} tighter, {} looser, {} mixed, {} in their \
         reasons alone, {} not compared\n",
        field("candidate"),
        field("live"),
        field("since"),
        field("by"),
        count("compared"),
        count("tighter"),
        count("looser"),
        count("mixed"),
        count("reasons_only"),
        count("dropped")
    );
    for (degrees, count) in answer.get("transitions").and_then(Value::as_object).into_iter().flatten() {
        let _infallible = writeln!(text, "  {degrees}: {count}");
    }
    for way in ["tighter", "looser"] {
        let examples = answer.get(format!("{way}_examples")).and_then(Value::as_array);
        for (number, example) in examples.into_iter().flatten().enumerate() {
            if number == 0 {
                let _infallible = writeln!(text, "last {way}");
            }
            let part = |key: &str| example.get(key).and_then(Value::as_str).unwrap_or("-");
            let usd = example.get("usd_cents").and_then(Value::as_u64);
            let usd = usd.map_or_else(|| "no price".to_owned(), |c| format!("{}.{:02}", c / 100, c % 100));
            let _infallible = writeln!(
                text,
                "  {} {} {} ({usd}): {} -> {}",
                part("time"),
                part("withdrawal"),
                part("account"),
                verdict(example.get("live")),
                verdict(example.get("candidate"))
            );
        }
    }
    text
}

fn verdict(verdict: Option<&Value>) -> String {
    let outcome = verdict.and_then(|verdict| verdict.get("outcome")).and_then(Value::as_str).unwrap_or("-");
    let reasons = verdict.and_then(|verdict| verdict.get("reasons")).and_then(Value::as_array);
    let reasons: Vec<&str> = reasons.into_iter().flatten().filter_map(Value::as_str).collect();
    if reasons.is_empty() { outcome.to_owned() } else { format!("{outcome} ({})", reasons.join(", ")) }
}
