//! Assertions in a file, as auditors have them: what it says, and whether each is what it is said to be. Needs neither
//! signer nor store nor pinned file, and prints nothing.

use holdfast_authn::encoding;
use holdfast_authn::webauthn::{
    Accepted, Assertion, PublicKey, RelyingParty, WebAuthnError, verify_assertion,
};
use holdfast_values::TextDigest;

use crate::json::{self, Json};

/// What one object of the file says.
struct Item {
    name: Option<String>,
    public_key: Vec<u8>,
    challenge: Vec<u8>,
    client_data_json: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    party: RelyingParty,
}

/// One assertion, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What the file calls it.
    pub name: Option<String>,
    /// Whether it is what it is said to be.
    pub verdict: Result<Accepted, WebAuthnError>,
}

/// Judges every assertion of a file: one JSON object, or a list of them. The error says what cannot be read.
pub fn check(text: &str) -> Result<Vec<Checked>, String> {
    let items = match json::parse(text).map_err(|place| format!("not JSON from byte {place} on"))? {
        Json::List(items) => items,
        one => vec![one],
    };
    let read = |(place, json)| item(json).map_err(|wrong| format!("assertion {place}: {wrong}"));
    // All of it is read before any is judged.
    let items: Vec<Item> = items.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(items.into_iter().map(|item| Checked { verdict: verdict(&item), name: item.name }).collect())
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
