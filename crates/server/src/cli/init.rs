//! `holdfast init`: everything that must exist before the first request, in one new directory.

use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_authn::{parse_operator_public_key, print_operator_key, print_operator_public_key};
use holdfast_decision::command::{Command, Initialise, OperatorKey, PolicySource, TokenScopes, TokenSpec};
use holdfast_decision::event::Event;
use holdfast_decision::{State, decide};
use holdfast_journal::{Journal as _, LocalJournal};
use holdfast_values::texts::ExchangeName;
use holdfast_values::{Name, Timestamp};
use serde_json::json;

use super::{Failure, finish, pretty, token};
use crate::data::{self, DataDir};
use crate::intake::draft_of;
use crate::record::hex;
use crate::vault::{Kek, Vault};
use crate::{clock, exchange};

/// Make a data directory.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The directory; made if it is missing, and must hold no journal.
    #[arg(long)]
    data: PathBuf,
    /// The exchange's configuration (TOML); examples/harbor.toml is a sample.
    #[arg(long)]
    config: PathBuf,
    /// The directory of the first policy pack.
    #[arg(long)]
    policy: PathBuf,
    /// A first operator and the file with the public key: NAME=FILE, once for each, at least two.
    #[arg(long = "operator", value_name = "NAME=FILE", required = true)]
    operators: Vec<String>,
    /// The exchange's DNS name, as signed texts carry it.
    #[arg(long, default_value = "harbor.example")]
    exchange: ExchangeName,
    /// Simulated time: `serve --clock-rate` works, and no such journal is ever to be trusted with real coins.
    #[arg(long)]
    simulated_clock: bool,
    /// When simulated time begins; now if absent.
    #[arg(long, requires = "simulated_clock", value_parser = parse_time)]
    clock_start: Option<Timestamp>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A time on the command line.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Runs the command.
pub fn run(args: InitArgs) -> ExitCode {
    finish(init(args))
}

fn operators(args: &[String]) -> Result<Vec<OperatorKey>, Failure> {
    let invalid = |message: String| Failure::new("operator_invalid", message);
    let operator = |text: &String| {
        let write = "write NAME=FILE, or NAME=passkey:HEX";
        let (name, path) = text.split_once('=').ok_or(invalid(format!("{text}: {write}")))?;
        let key = if path.starts_with("passkey:") {
            path.to_owned()
        } else {
            let bytes =
                data::read_limited(path.as_ref(), 256).map_err(|error| Failure::new("file", error))?;
            String::from_utf8(bytes).map_err(|_| invalid(format!("{path} is not text")))?
        };
        Ok(OperatorKey {
            name: name.parse().map_err(|error| invalid(format!("{name}: {error}")))?,
            public_key: parse_operator_public_key(key.trim())
                .map_err(|error| invalid(format!("{path}: {error}")))?,
        })
    };
    args.iter().map(operator).collect()
}

fn init(args: InitArgs) -> Result<String, Failure> {
    // Everything that can be wrong is found before anything is made.
    let text = data::read_limited(&args.config, 1 << 20).map_err(|error| Failure::new("file", error))?;
    let text = String::from_utf8(text).map_err(|_| Failure::new("configuration_invalid", "not UTF-8"))?;
    let configuration =
        exchange::parse(&text).map_err(|error| Failure::new("configuration_invalid", error))?;
    let pack =
        holdfast_cedar::load_dir(&args.policy).map_err(|error| Failure::new("policy_invalid", error))?;
    let operators = operators(&args.operators)?;
    let client: Name = "init".parse().map_err(|error| Failure::new("internal", error))?;
    let (token, token_hash) = token::mint()?;
    let required = configuration.parameters.loosening_signatures;
    let command = Command::Initialise(Box::new(Initialise {
        exchange: args.exchange.to_string(),
        simulated_clock: args.simulated_clock,
        operators: operators.clone(),
        configuration,
        policy: PolicySource {
            hash: pack.hash,
            files: pack.files,
            program: pack.program.to_bytes(),
            compiler: Some(holdfast_cedar::COMPILER),
        },
        token: TokenSpec { client, token_hash, scopes: TokenScopes::READ.with(TokenScopes::HALT) },
        rules: Some(holdfast_decision::RULES_LATEST),
    }));
    let at = args.clock_start.unwrap_or_else(clock::wall_now);
    let state = State::new();
    let mut events = Vec::new();
    decide(&state, at, &command, &mut events);
    if let Some(Event::Refused { refusal, detail }) = events.first() {
        return Err(Failure::new(refusal.code(), detail));
    }
    let draft = draft_of(&state, at, &command, &events)
        .map_err(|problem| Failure::new(problem.code(), problem.message()))?;

    let dir = DataDir::new(&args.data);
    if dir.path().join("journal.db").exists() {
        let message = format!("{} holds a journal already: nothing was changed", args.data.display());
        return Err(Failure::new("journal_exists", message));
    }
    dir.create().map_err(|error| Failure::new("data_directory", error))?;
    let kek = Kek::create_file(&dir.kek()).map_err(|error| Failure::new(error.code(), error))?;
    drop(Vault::create(&dir.vault(), &kek).map_err(|error| Failure::new(error.code(), error))?);
    let mut journal = LocalJournal::create(dir.path()).map_err(|error| Failure::new(error.code(), error))?;
    let head = journal.append(&[draft]).map_err(|error| Failure::new(error.code(), error))?;
    let release_key = dir.read_release_key().map_err(|error| Failure::new("release_key", error))?;
    let release_key = release_key.map(|key| print_operator_key(&key.public_key())).unwrap_or_default();
    let id = journal.id();
    journal.close().map_err(|error| Failure::new(error.code(), error))?;

    let pins: Vec<_> = operators
        .iter()
        .map(|operator| {
            json!({ "name": operator.name.to_string(),
                    "public_key": print_operator_public_key(&operator.public_key) })
        })
        .collect();
    if args.json {
        return Ok(pretty(&json!({
            "data": args.data, "token": token, "token_scopes": ["read", "halt"], "journal": id.to_string(),
            "exchange": args.exchange.to_string(), "policy": hex(&pack.hash), "head": head.to_string(),
            "simulated_clock": args.simulated_clock,
            "pin": { "release_key": release_key, "exchange": args.exchange.to_string(), "operators": pins,
                     "loosening_signatures": required, "simulated": args.simulated_clock, "policy": hex(&pack.hash) },
        })));
    }
    let mut out = format!(
        "{}\n\nThis token can read and halt, and is shown once. Others are issued by operators: see `holdfast token new`.\n\n\
         Pin at the signer:\n  exchange              {}\n  release key           {release_key}\n  simulated clock       {}\n  signatures to loosen  {required}\n  policy initial        {}\n",
        token,
        args.exchange,
        args.simulated_clock,
        hex(&pack.hash)
    );
    for operator in &operators {
        let key = print_operator_public_key(&operator.public_key);
        out.push_str(&format!("  operator              {} {key}\n", operator.name));
    }
    out.push_str(&format!(
        "\nJournal {id} begins with policy {}.\nBack up {} apart from the rest. Next: holdfast serve --data {}\n",
        hex(&pack.hash),
        dir.keys().display(),
        args.data.display()
    ));
    Ok(out)
}
