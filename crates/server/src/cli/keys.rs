//! `holdfast keys`: take customers' API keys out of use, many at once. Which keys are meant, and that they stay revoked for
//! ever, is the server's business.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use holdfast_values::{AccountId, Timestamp};
use serde_json::{Value, json};

use super::client::ServerArgs;
use super::init::parse_time;
use super::{Failure, finish, pretty};

/// Customers' API keys.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Take a cohort of API keys out of use, for ever, from the next request on.
    ///
    /// Every condition that is given must hold. Asks on a terminal; elsewhere say --yes. Needs a token that may halt or
    /// serve.
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// Made, or made anew, from then on (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    made_from: Option<Timestamp>,
    /// Made, or made anew, before then.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    made_until: Option<Timestamp>,
    /// Made from this autonomous system.
    #[arg(long)]
    asn: Option<u32>,
    /// In existence, and in use, at some time from then on.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    exposed_from: Option<Timestamp>,
    /// In existence, and in use, at some time before then.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    exposed_until: Option<Timestamp>,
    /// Of this account alone.
    #[arg(long)]
    account: Option<AccountId>,
    /// Every key of the exchange: instead of any condition.
    #[arg(long)]
    all: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub fn run(args: KeysArgs) -> ExitCode {
    match args.command {
        KeysCommand::Revoke(args) => finish(revoke(&args)),
    }
}

impl RevokeArgs {
    /// The conditions as the interface takes them.
    fn conditions(&self) -> serde_json::Map<String, Value> {
        let time = |time: Option<Timestamp>| time.map(|time| json!(time.to_string()));
        [
            ("made_from", time(self.made_from)),
            ("made_until", time(self.made_until)),
            ("asn", self.asn.map(|asn| json!(asn))),
            ("exposed_from", time(self.exposed_from)),
            ("exposed_until", time(self.exposed_until)),
            ("account", self.account.as_ref().map(|account| json!(account.to_string()))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

fn revoke(args: &RevokeArgs) -> Result<String, Failure> {
    let mut body = args.conditions();
    if args.all != body.is_empty() {
        return Err(Failure::new(
            "cohort_missing",
            "name at least one condition; or none, and --all for every key of the exchange",
        ));
    }
    if !args.yes {
        confirm(&body)?;
    }
    body.insert("all".to_owned(), json!(args.all));
    let body = Value::Object(body).to_string().into_bytes();
    let answer = args.server.call("POST", "/v1/api-keys/revoke", "application/json", body)?.accepted()?;
    if args.json {
        return Ok(pretty(&answer));
    }
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (revoked, sequence) = (number("revoked"), number("sequence"));
    let keys = if revoked == 1 { "key is" } else { "keys are" };
    Ok(format!("{revoked} {keys} out of use from the next request on (record {sequence}).\n"))
}

/// Asks whoever sits at the terminal.
fn confirm(conditions: &serde_json::Map<String, Value>) -> Result<(), Failure> {
    let refused = |message: &str| Failure::new("not_confirmed", message);
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(refused("nobody is there to ask: say --yes"));
    }
    let named: Vec<String> = conditions.iter().map(|(name, value)| format!("  {name} {value}\n")).collect();
    let which = if named.is_empty() { "EVERY key of the exchange\n".to_owned() } else { named.concat() };
    let question = format!("Revoked for ever:\n{which}Type `revoke` to go on: ");
    let mut line = String::new();
    let mut err = std::io::stderr();
    err.write_all(question.as_bytes())
        .and_then(|()| err.flush())
        .and_then(|()| stdin.lock().read_line(&mut line))
        .map_err(|error| Failure::new("not_confirmed", error))?;
    if line.trim() == "revoke" { Ok(()) } else { Err(refused("nothing was revoked")) }
}
