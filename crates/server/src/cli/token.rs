//! `holdfast token`: a new token, and the text of the act that issues it. The token itself never reaches a journal.

use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_authn::encoding::to_base64url;
use holdfast_decision::acts::Act;
use holdfast_decision::command::{TokenScopes, TokenSpec};
use holdfast_values::Name;
use serde_json::json;

use super::operator::{Validity, write_text};
use super::{Failure, finish, pretty};
use crate::data;
use crate::http::token_hash;

/// Tokens for clients of the HTTP interface.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Make a token and write the text that operators sign to put it into use.
    ///
    /// Prints the token once; the server will only ever know its hash.
    New(NewArgs),
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// The client's name.
    #[arg(long)]
    client: Name,
    /// What it may ask, comma-separated: read, service, prices, halt.
    #[arg(long, value_parser = parse_scopes)]
    scopes: TokenScopes,
    /// Where to write the text of the act.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    validity: Validity,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: TokenArgs) -> ExitCode {
    match args.command {
        TokenCommand::New(args) => finish(new(&args)),
    }
}

fn parse_scopes(text: &str) -> Result<TokenScopes, String> {
    let mut scopes = TokenScopes::default();
    for name in text.split(',') {
        scopes = scopes.with(match name {
            "read" => TokenScopes::READ,
            "service" => TokenScopes::SERVICE,
            "prices" => TokenScopes::PRICES,
            "halt" => TokenScopes::HALT,
            "wallet" => TokenScopes::WALLET,
            "chain" => TokenScopes::CHAIN,
            _ => return Err(format!("{name:?} is none of read, service, prices, halt, wallet, chain")),
        });
    }
    Ok(scopes)
}

/// A new token: `hf_` and 32 random bytes.
pub(super) fn mint() -> Result<(String, [u8; 32]), Failure> {
    let bytes = data::random::<32>().map_err(|error| Failure::new("randomness_unavailable", error))?;
    let token = format!("hf_{}", to_base64url(&bytes));
    let hash = token_hash(&token);
    Ok((token, hash))
}

fn new(args: &NewArgs) -> Result<String, Failure> {
    let (token, token_hash) = mint()?;
    let act = Act::IssueToken(TokenSpec { client: args.client.clone(), token_hash, scopes: args.scopes });
    let text = write_text(&act.lines(), None, &args.validity, Some(&args.out))?;
    if args.json {
        return Ok(pretty(&json!({ "client": args.client.to_string(), "token": token, "text": text })));
    }
    Ok(format!(
        "{token}\n\nThis is shown once. It is in use as soon as operators have signed and sent {}:\n\n{text}",
        args.out.display()
    ))
}
