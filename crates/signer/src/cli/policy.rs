//! `policy`: which policies this signer followed, and, for operators at hand, the steps that lead on.

use std::path::Path;

use holdfast_authn::encoding::{base64url, to_base64url};

use super::arguments::{Given, Takes, Usage};
use super::control::{Asked, asked, help};
use super::{Command, Failure, Report, Value, verify};
use crate::store::hex;
use crate::store::policy::{Followed, PolicyLink};

pub(super) const POLICY: Command = Command {
    name: "policy",
    takes: Takes {
        positional: &["list|introduce|stop", "FILE|NONCE"],
        valued: &["pins", "store", "socket"],
        repeated: &[],
    },
    help: help!(
        "The policies that this signer follows: what it came through, and the steps that lead on.",
        "policy list (--socket PATH | --pins FILE --store FILE) [--json]
       holdfast-signer policy introduce FILE (--socket PATH | --pins FILE --store FILE) [--json]
       holdfast-signer policy stop NONCE (--socket PATH | --pins FILE --store FILE) [--json]",
        "
  list             the policies that were followed and the steps, the newest first
  introduce FILE   take a step in: what Holdfast signed, a COSE_Sign1
  stop NONCE       never follow a step, by the nonce of its text; needs no signature
"
    ),
    run,
};

fn run(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    match given.need(takes, 0)? {
        "list" => list(given),
        "introduce" => introduce(given, given.need(takes, 1)?),
        "stop" => stop(given, given.need(takes, 1)?),
        other => Err(Usage(format!("no command policy {other:?}: list, introduce or stop")).into()),
    }
}

fn list(given: &Given) -> Result<Report, Failure> {
    let status = match asked(given)? {
        Asked::Socket(mut client) => client.policy()?,
        Asked::Files(mut signer) => signer.policy()?,
    };
    let path = status.path.into_iter().map(|followed| Value::Map(describe(&followed)));
    let links = status.links.into_iter().map(|link| Value::Map(describe_link(&link)));
    Ok(vec![
        ("ok", true.into()),
        ("policies", Value::List(path.collect())),
        ("steps", Value::List(links.collect())),
    ])
}

fn describe(followed: &Followed) -> Report {
    vec![
        ("policy", hex(&followed.hash).into()),
        ("base", followed.base.into()),
        ("since", followed.since.to_string().into()),
        ("until", followed.until.map_or(Value::Nothing, |at| at.to_string().into())),
    ]
}

fn describe_link(link: &PolicyLink) -> Report {
    vec![
        ("nonce", to_base64url(&link.nonce).into()),
        ("kind", link.kind.as_str().into()),
        ("from", hex(&link.from).into()),
        ("to", hex(&link.to).into()),
        ("author", link.author.as_ref().map_or(Value::Nothing, |author| author.as_str().into())),
        ("signer", link.signer.as_str().into()),
        ("seen", link.seen.to_string().into()),
        ("counts_from", link.counts_from.to_string().into()),
        ("stopped", link.stopped.map_or(Value::Nothing, |at| at.to_string().into())),
        ("spent", link.spent.map_or(Value::Nothing, |at| at.to_string().into())),
    ]
}

fn introduce(given: &Given, file: &str) -> Result<Report, Failure> {
    let bytes = verify::release_bytes(&verify::read(Path::new(file))?)?;
    let introduced = match asked(given)? {
        Asked::Socket(mut client) => client.introduce_policy(&bytes)?,
        Asked::Files(mut signer) => signer.introduce_policy(&bytes)?,
    };
    Ok(vec![
        ("ok", true.into()),
        ("policy", hex(&introduced.to).into()),
        ("known_before", introduced.repeated.into()),
        ("seen", introduced.seen.to_string().into()),
        ("counts_from", introduced.counts_from.to_string().into()),
        ("stopped", introduced.stopped.into()),
    ])
}

fn stop(given: &Given, nonce: &str) -> Result<Report, Failure> {
    let nonce: [u8; 32] = base64url(nonce.as_bytes())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Usage("NONCE: the last line of the step's text, 43 characters".to_owned()))?;
    match asked(given)? {
        Asked::Socket(mut client) => client.stop_policy(&nonce)?,
        Asked::Files(mut signer) => signer.stop_policy(&nonce)?,
    }
    Ok(vec![("ok", true.into()), ("done", "stop".into())])
}
