//! What a page gives the browser, as the JSON that `PublicKeyCredential.parseCreationOptionsFromJSON` and
//! `parseRequestOptionsFromJSON` read (WebAuthn section 5.1). Which challenge and which credentials is the caller's.

use core::fmt::Write as _;

use super::{Algorithm, RelyingParty};
use crate::encoding::to_base64url;

/// Whether the key must know its owner (PIN, finger), and not only that somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserVerification {
    /// Keys that cannot are of no use.
    Required,
    /// If the key can.
    Preferred,
    /// Not asked for.
    Discouraged,
}

impl UserVerification {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
            Self::Discouraged => "discouraged",
        }
    }
}

/// What to ask for when a key is registered.
#[derive(Clone, Copy, Debug)]
pub struct CreationOptions<'a> {
    /// Whose key it will be. With an AppID, keys that were registered for it under U2F are excluded too.
    pub party: &'a RelyingParty,
    /// The exchange, as the customer knows it.
    pub party_name: &'a str,
    /// Names the account, 1 to 64 bytes, and nothing about its owner.
    pub user_id: &'a [u8],
    /// The account, as its owner knows it.
    pub user_name: &'a str,
    /// Random, or the digest of a text.
    pub challenge: &'a [u8],
    /// The account's credentials: a key that has one of them is not registered again.
    pub exclude: &'a [&'a [u8]],
    /// Whether the key can be found without a credential id (a passkey).
    pub discoverable: bool,
    /// Whether the key must know its owner.
    pub user_verification: UserVerification,
    /// Whether to ask for an attestation.
    pub attested: bool,
    /// How long the browser waits.
    pub timeout_milliseconds: u32,
}

/// What to ask for when a key signs.
#[derive(Clone, Copy, Debug)]
pub struct RequestOptions<'a> {
    /// Whose key it is. With an AppID, keys that were registered for it under U2F may sign.
    pub party: &'a RelyingParty,
    /// Random, or the digest of a text.
    pub challenge: &'a [u8],
    /// The credentials that may sign; none for whatever passkey there is.
    pub allow: &'a [&'a [u8]],
    /// Whether the key must know its owner.
    pub user_verification: UserVerification,
    /// How long the browser waits.
    pub timeout_milliseconds: u32,
}

impl CreationOptions<'_> {
    /// As JSON.
    pub fn to_json(&self) -> String {
        let algorithms: Vec<String> = Algorithm::ALL
            .iter()
            .map(|algorithm| format!(r#"{{"type":"public-key","alg":{}}}"#, algorithm.cose()))
            .collect();
        format!(
            r#"{{"rp":{{"id":{},"name":{}}},"user":{{"id":"{}","name":{},"displayName":{}}},"challenge":"{}","pubKeyCredParams":[{}],"timeout":{},"excludeCredentials":{},"authenticatorSelection":{{"residentKey":"{}","requireResidentKey":{},"userVerification":"{}"}},"attestation":"{}","extensions":{}}}"#,
            text(&self.party.rp_id),
            text(self.party_name),
            to_base64url(self.user_id),
            text(self.user_name),
            text(self.user_name),
            to_base64url(self.challenge),
            algorithms.join(","),
            self.timeout_milliseconds,
            credentials(self.exclude),
            if self.discoverable { "required" } else { "discouraged" },
            self.discoverable,
            self.user_verification.as_str(),
            if self.attested { "direct" } else { "none" },
            extensions("appidExclude", self.party),
        )
    }
}

impl RequestOptions<'_> {
    /// As JSON.
    pub fn to_json(&self) -> String {
        format!(
            r#"{{"challenge":"{}","timeout":{},"rpId":{},"allowCredentials":{},"userVerification":"{}","extensions":{}}}"#,
            to_base64url(self.challenge),
            self.timeout_milliseconds,
            text(&self.party.rp_id),
            credentials(self.allow),
            self.user_verification.as_str(),
            extensions("appid", self.party),
        )
    }
}

fn credentials(ids: &[&[u8]]) -> String {
    let credentials: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"type":"public-key","id":"{}"}}"#, to_base64url(id))).collect();
    format!("[{}]", credentials.join(","))
}

fn extensions(name: &str, party: &RelyingParty) -> String {
    match &party.app_id {
        Some(app_id) => format!(r#"{{"{name}":{}}}"#, text(app_id)),
        None => "{}".to_owned(),
    }
}

/// A JSON text, safe inside a script element too.
fn text(plain: &str) -> String {
    let mut json = String::with_capacity(plain.len().saturating_add(2));
    json.push('"');
    for character in plain.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..=' ' | '<' | '>' | '&' | '\u{7f}' | '\u{2028}' | '\u{2029}' if character != ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
