//! `credential`: which keys customers have here, and, for operators at hand, what Holdfast tells about them.

use std::path::Path;

use holdfast_authn::encoding::to_base64url;
use holdfast_values::{AccountId, TextDigest};

use super::arguments::{Given, Takes, Usage};
use super::control::{Asked, asked, help};
use super::{Command, Failure, Report, Value, verify};
use crate::store::registry::CredentialStatus;

pub(super) const CREDENTIAL: Command = Command {
    name: "credential",
    takes: Takes {
        positional: &["list|enrol|remove", "ACCOUNT|FILE"],
        valued: &["pins", "store", "socket"],
        repeated: &[],
    },
    help: help!(
        "Customers' keys as this signer knows them: which count, and from when on.",
        "credential list ACCOUNT (--socket PATH | --pins FILE --store FILE) [--json]
       holdfast-signer credential enrol FILE (--socket PATH | --pins FILE --store FILE) [--json]
       holdfast-signer credential remove FILE (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  list ACCOUNT   every credential that the account ever had
  enrol FILE     take a credential: the enrolment that Holdfast signed, a COSE_Sign1
  remove FILE    never let a credential count again: the removal that Holdfast signed
"
    ),
    run,
};

fn run(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    let (action, what) = (given.need(takes, 0)?, given.need(takes, 1)?);
    match action {
        "list" => list(given, what),
        "enrol" => enrol(given, what),
        "remove" => remove(given, what),
        other => Err(Usage(format!("no command credential {other:?}: list, enrol or remove")).into()),
    }
}

fn list(given: &Given, account: &str) -> Result<Report, Failure> {
    let account: AccountId = account.parse().map_err(|error| Usage(format!("ACCOUNT: {error}")))?;
    let known = match asked(given)? {
        Asked::Socket(mut client) => client.credentials(&account)?,
        Asked::Files(mut signer) => signer.credentials(&account)?,
    };
    Ok(vec![
        ("ok", true.into()),
        ("account", account.as_str().into()),
        ("credentials", Value::List(known.into_iter().map(|status| Value::Map(describe(status))).collect())),
    ])
}

fn describe(status: CredentialStatus) -> Report {
    let CredentialStatus { credential, counts_from, counter } = status;
    vec![
        ("credential", to_base64url(&credential.id).into()),
        ("key", TextDigest::of(&credential.public_key).to_string().into()),
        ("basis", credential.origin.as_str().into()),
        ("seen", credential.seen.to_string().into()),
        ("counts_from", counts_from.to_string().into()),
        ("removed", credential.removed.map_or(Value::Nothing, |at| at.to_string().into())),
        ("master", credential.master.into()),
        ("legacy_u2f", credential.legacy_u2f.into()),
        ("counter", counter.into()),
        ("lineage", to_base64url(&credential.lineage).into()),
    ]
}

fn enrol(given: &Given, file: &str) -> Result<Report, Failure> {
    let bytes = verify::release_bytes(&verify::read(Path::new(file))?)?;
    let enrolled = match asked(given)? {
        Asked::Socket(mut client) => client.enrol(&bytes)?,
        Asked::Files(mut signer) => signer.enrol(&bytes)?,
    };
    Ok(vec![
        ("ok", true.into()),
        ("known_before", enrolled.repeated.into()),
        ("seen", enrolled.seen.to_string().into()),
        ("counts_from", enrolled.counts_from.to_string().into()),
    ])
}

fn remove(given: &Given, file: &str) -> Result<Report, Failure> {
    let bytes = verify::release_bytes(&verify::read(Path::new(file))?)?;
    match asked(given)? {
        Asked::Socket(mut client) => client.remove(&bytes)?,
        Asked::Files(mut signer) => signer.remove(&bytes)?,
    }
    Ok(vec![("ok", true.into()), ("done", "remove".into())])
}
