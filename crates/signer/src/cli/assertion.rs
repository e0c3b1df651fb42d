//! `assertion check`: says of assertions, for auditors, whether they are what they are said to be. Needs no signer, no store
//! and no pinned file: the file itself says what is expected.

use std::path::Path;

use super::arguments::{Given, Takes, Usage};
use super::{Command, Failure, Report, Value, verify};
use crate::audit::{self, Checked};

pub(super) const ASSERTION: Command = Command {
    name: "assertion",
    takes: Takes { positional: &["check", "FILE"], valued: &[], repeated: &[] },
    help: "\
Check assertions of security keys and passkeys: is this the key's signature over exactly this challenge, for this domain, on
this page? Needs no signer, no store and no pinned file.

Usage: holdfast-signer assertion check FILE [--json]

  FILE  JSON: one object, or a list of them:

    public_key         COSE_Key in base64url or hexadecimal, or an uncompressed point of P-256 (SEC1: 04, x, y)
    challenge          in base64url; or
    text               the signed text, to the letter: the challenge is its SHA-256
    clientDataJSON     in base64url, as the browser gave it
    authenticatorData  in base64url
    signature          in base64url
    origin             the page that must have asked, such as https://approve.harbor.example
    rpId               the domain that the key must have signed for
    appId              optional: the AppID of a key that was registered under U2F
    name               optional: printed beside the verdict

Says of each: accepted, or refused with a code (docs/webauthn.md); and whether the key knew its owner, its counter, and whether
it signed for the AppID. Whether the counter went back, and whose key it is, is not in the file and not judged.

Exit code: 0 all accepted, 1 one or more refused, 2 the file cannot be read as said above.
",
    run: check,
};

fn check(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    match given.need(takes, 0)? {
        "check" => {}
        other => {
            return Err(Usage(format!("no command assertion {other:?}: write assertion check FILE")).into());
        }
    }
    let path = Path::new(given.need(takes, 1)?);
    let wrong = |what: &str| Usage(format!("{}: {what}", path.display()));
    let text = String::from_utf8(verify::read(path)?).map_err(|_| wrong("not UTF-8"))?;
    let checked = audit::check(&text).map_err(|what| wrong(&what))?;
    let refused = checked.iter().filter(|one| one.verdict.is_err()).count();
    let report = vec![
        ("ok", (refused == 0).into()),
        ("checked", number(checked.len())),
        ("refused", number(refused)),
        (
            "assertions",
            Value::List(
                checked.iter().enumerate().map(|(place, one)| Value::Map(line(place, one))).collect(),
            ),
        ),
    ];
    if refused == 0 { Ok(report) } else { Err(Failure::Told(report)) }
}

fn number(count: usize) -> Value {
    u64::try_from(count).unwrap_or(u64::MAX).into()
}

fn line(place: usize, checked: &Checked) -> Report {
    let mut line: Report = vec![
        ("assertion", number(place)),
        ("name", checked.name.clone().map_or(Value::Nothing, Value::Text)),
    ];
    match &checked.verdict {
        Ok(accepted) => line.extend([
            ("verdict", "accepted".into()),
            ("user_verified", accepted.user_verified.into()),
            ("counter", u64::from(accepted.counter).into()),
            ("by_app_id", accepted.by_app_id.into()),
            ("backed_up", accepted.backed_up.into()),
        ]),
        Err(error) => line.extend([
            ("verdict", "refused".into()),
            ("code", error.code().into()),
            ("text", error.to_string().into()),
        ]),
    }
    line
}
