//! `assertion check`: says of assertions, for auditors, whether they are what they are said to be. Needs no signer, no store
//! and no pinned file: the file itself says what is expected.

use std::path::Path;

use holdfast_authn::encoding;
use holdfast_authn::webauthn::{
    Accepted, Assertion, PublicKey, RelyingParty, WebAuthnError, verify_assertion,
};
use holdfast_values::TextDigest;

use super::arguments::{Given, Takes, Usage};
use super::json::{self, Json};
use super::{Command, Failure, Report, Value, verify};

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

/// What one object says.
struct Item {
    name: Option<String>,
    public_key: Vec<u8>,
    challenge: Vec<u8>,
    client_data_json: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    party: RelyingParty,
}

fn check(takes: &Takes, given: &Given) -> Result<Report, Failure> {
    match given.need(takes, 0)? {
        "check" => {}
        other => {
            return Err(Usage(format!("no command assertion {other:?}: write assertion check FILE")).into());
        }
    }
    let path = Path::new(given.need(takes, 1)?);
    let text = String::from_utf8(verify::read(path)?)
        .map_err(|_| Usage(format!("{}: not UTF-8", path.display())))?;
    let json = json::parse(&text)
        .map_err(|place| Usage(format!("{}: not JSON from byte {place} on", path.display())))?;
    let items = match json {
        Json::List(items) => items,
        one => vec![one],
    };
    let items: Vec<Item> = items
        .iter()
        .enumerate()
        .map(|(place, json)| item(json).map_err(|wrong| Usage(format!("assertion {place}: {wrong}"))))
        .collect::<Result<_, _>>()?;
    let verdicts: Vec<_> = items.iter().map(verdict).collect();
    let refused = verdicts.iter().filter(|verdict| verdict.is_err()).count();
    let told = items.iter().zip(verdicts).enumerate();
    let told = told.map(|(place, (item, verdict))| Value::Map(line(place, item, verdict))).collect();
    let report = vec![
        ("ok", (refused == 0).into()),
        ("checked", u64::try_from(items.len()).unwrap_or(u64::MAX).into()),
        ("refused", u64::try_from(refused).unwrap_or(u64::MAX).into()),
        ("assertions", Value::List(told)),
    ];
    if refused == 0 { Ok(report) } else { Err(Failure::Told(report)) }
}

fn verdict(item: &Item) -> Result<Accepted, WebAuthnError> {
    let key = PublicKey::from_sec1(&item.public_key).or_else(|_| PublicKey::from_cose(&item.public_key))?;
    let assertion = Assertion {
        client_data_json: &item.client_data_json,
        authenticator_data: &item.authenticator_data,
        signature: &item.signature,
    };
    verify_assertion(&item.party, &key, &item.challenge, &assertion)
}

fn line(place: usize, item: &Item, verdict: Result<Accepted, WebAuthnError>) -> Report {
    let mut line: Report = vec![
        ("assertion", u64::try_from(place).unwrap_or(u64::MAX).into()),
        ("name", item.name.clone().map_or(Value::Nothing, Value::Text)),
    ];
    match verdict {
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

const MEMBERS: [&str; 10] = [
    "public_key",
    "challenge",
    "text",
    "clientDataJSON",
    "authenticatorData",
    "signature",
    "origin",
    "rpId",
    "appId",
    "name",
];

fn item(json: &Json) -> Result<Item, String> {
    let Json::Object(members) = json else { return Err("not an object".to_owned()) };
    if let Some((name, _)) = members.iter().find(|(name, _)| !MEMBERS.contains(&name.as_str())) {
        return Err(format!("nothing is called {name:?}: see --help"));
    }
    let maybe = |wanted: &str| match members.iter().find(|(name, _)| name == wanted) {
        None => Ok(None),
        Some((_, Json::Text(text))) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("{wanted} is not a string")),
    };
    let need = |wanted: &str| maybe(wanted)?.ok_or_else(|| format!("{wanted} is missing"));
    let bytes = |wanted: &str| {
        let text = need(wanted)?;
        encoding::base64url(text.as_bytes())
            .ok_or_else(|| format!("{wanted} is not base64url without padding"))
    };
    let challenge = match (maybe("challenge")?, maybe("text")?) {
        (Some(_), None) => bytes("challenge")?,
        (None, Some(text)) => TextDigest::of(text.as_bytes()).0.to_vec(),
        _ => return Err("give challenge or text, one of them".to_owned()),
    };
    let key = need("public_key")?;
    let public_key = hexadecimal(key)
        .or_else(|| encoding::base64url(key.as_bytes()))
        .ok_or("public_key is neither hexadecimal nor base64url without padding")?;
    Ok(Item {
        name: maybe("name")?.map(str::to_owned),
        public_key,
        challenge,
        client_data_json: bytes("clientDataJSON")?,
        authenticator_data: bytes("authenticatorData")?,
        signature: bytes("signature")?,
        party: RelyingParty {
            rp_id: need("rpId")?.into(),
            origins: vec![need("origin")?.into()],
            app_id: maybe("appId")?.map(Into::into),
        },
    })
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|pair| encoding::hex::<1>(pair).map(|[byte]| byte));
    if rest.is_empty() && !pairs.is_empty() { bytes.collect() } else { None }
}
