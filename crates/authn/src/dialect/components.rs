//! The two headers of HTTP Message Signatures (RFC 9421) and Content-Digest (RFC 9530), each read in the one spelling
//! that serialising structured fields gives (RFC 8941), so that the bytes sent are the bytes signed.

use ring::digest;

use super::http_signature::Algorithm;
use crate::encoding;
use crate::request::{RawRequest, RequestError};

/// Most components that a signature may cover.
const COMPONENTS_MAX: usize = 32;

pub(super) const INPUT_HEADER: &str = "Signature-Input";
pub(super) const SIGNATURE_HEADER: &str = "Signature";
pub(super) const DIGEST_HEADER: &str = "Content-Digest";

const INPUT_MALFORMED: RequestError = RequestError::HeaderMalformed {
    header: INPUT_HEADER,
    expected: "one signature: LABEL=(\"@method\" \"@path\" ...);created=...;keyid=\"...\", in canonical form, with alg, expires, \
               nonce and tag as the only other parameters",
};
const SIGNATURE_MALFORMED: RequestError = RequestError::HeaderMalformed {
    header: SIGNATURE_HEADER,
    expected: "one signature of the same label: LABEL=:BASE64:",
};
const DIGEST_MALFORMED: RequestError = RequestError::HeaderMalformed {
    header: DIGEST_HEADER,
    expected: "sha-256=:BASE64: or sha-512=:BASE64:, or both with a comma and a space between",
};

/// What a signature covers and says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input<'a> {
    pub label: &'a str,
    pub components: Vec<&'a str>,
    pub created: Option<&'a str>,
    pub expires: Option<&'a str>,
    pub key: Option<&'a str>,
    pub algorithm: Option<Algorithm>,
    /// The inner list with its parameters: the value of `@signature-params`.
    pub text: &'a str,
}

/// Reads Signature-Input.
pub(super) fn read_input(value: &str) -> Result<Input<'_>, RequestError> {
    let malformed = INPUT_MALFORMED;
    let (label, text) = value.split_once('=').filter(|(label, _)| is_key(label)).ok_or(malformed)?;
    let (list, mut rest) = text.strip_prefix('(').and_then(|inner| inner.split_once(')')).ok_or(malformed)?;
    let mut components: Vec<&str> = Vec::new();
    for (index, item) in list.split(' ').enumerate().filter(|_| !list.is_empty()) {
        let position = index.saturating_add(1);
        let unsupported = RequestError::ComponentUnsupported { position };
        let name = item.strip_prefix('"').and_then(|item| item.strip_suffix('"')).ok_or(unsupported)?;
        if components.contains(&name) {
            return Err(unsupported);
        }
        if position > COMPONENTS_MAX {
            return Err(RequestError::TooManyParameters { max: COMPONENTS_MAX });
        }
        components.push(name);
    }
    let mut input =
        Input { label, components, created: None, expires: None, key: None, algorithm: None, text };
    let mut nonce = None;
    let mut tag = None;
    let mut algorithm = None;
    while !rest.is_empty() {
        let (name, value) = rest.strip_prefix(';').and_then(|rest| rest.split_once('=')).ok_or(malformed)?;
        let (slot, value, after) = match name {
            "created" | "expires" => {
                let end = value.find(';').unwrap_or(value.len());
                let (number, after) = value.split_at_checked(end).ok_or(malformed)?;
                (if name == "created" { &mut input.created } else { &mut input.expires }, number, after)
            }
            "keyid" | "alg" | "nonce" | "tag" => {
                let slot = match name {
                    "keyid" => &mut input.key,
                    "alg" => &mut algorithm,
                    "nonce" => &mut nonce,
                    _ => &mut tag,
                };
                let (text, after) =
                    value.strip_prefix('"').and_then(|value| value.split_once('"')).ok_or(malformed)?;
                if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'\\') {
                    return Err(malformed);
                }
                (slot, text, after)
            }
            _ => return Err(malformed),
        };
        if slot.replace(value).is_some() {
            return Err(malformed);
        }
        rest = after;
    }
    input.algorithm = algorithm.map(|name| Algorithm::from_name(name).ok_or(malformed)).transpose()?;
    Ok(input)
}

/// Reads Signature: the base64 of the signature of this label.
pub(super) fn read_signature<'a>(value: &'a str, label: &str) -> Result<&'a str, RequestError> {
    let rest = value.strip_prefix(label).and_then(|rest| rest.strip_prefix("=:"));
    let text = rest.and_then(|rest| rest.strip_suffix(':')).filter(|text| !text.is_empty());
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.filter(|text| text.bytes().all(base64)).ok_or(SIGNATURE_MALFORMED)
}

/// Refuses a body that is not the one of its Content-Digest.
pub(super) fn check_digest(value: &str, body: &[u8]) -> Result<(), RequestError> {
    let mut seen: Vec<&str> = Vec::new();
    for member in value.split(", ") {
        let (name, text) = member.split_once("=:").ok_or(DIGEST_MALFORMED)?;
        let text = text.strip_suffix(':').ok_or(DIGEST_MALFORMED)?;
        let algorithm = match name {
            "sha-256" => &digest::SHA256,
            "sha-512" => &digest::SHA512,
            _ => return Err(DIGEST_MALFORMED),
        };
        if seen.contains(&name) {
            return Err(DIGEST_MALFORMED);
        }
        seen.push(name);
        let said = encoding::base64(text.as_bytes()).ok_or(DIGEST_MALFORMED)?;
        if digest::digest(algorithm, body).as_ref() != said {
            return Err(RequestError::DigestMismatch);
        }
    }
    Ok(())
}

/// The signature base (RFC 9421, section 2.5). Without a listener of its own there is no other scheme than https.
pub(super) fn base(raw: &RawRequest<'_>, input: &Input<'_>) -> Result<String, RequestError> {
    let query = core::str::from_utf8(raw.raw_query).map_err(|_| RequestError::QueryMalformed)?;
    let mark = if query.is_empty() { "" } else { "?" };
    let mut out = String::new();
    for (index, name) in input.components.iter().enumerate() {
        let unsupported = RequestError::ComponentUnsupported { position: index.saturating_add(1) };
        let value = match *name {
            "@method" => raw.method.to_owned(),
            "@path" => raw.path.to_owned(),
            "@query" => format!("?{query}"),
            "@request-target" => format!("{}{mark}{query}", raw.path),
            "@scheme" => "https".to_owned(),
            "@authority" => authority(raw)?,
            "@target-uri" => format!("https://{}{}{mark}{query}", authority(raw)?, raw.path),
            header => {
                let token =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
                let plain = !header.is_empty() && header.bytes().all(token);
                let mut values = raw.header_values(header);
                let (value, None) = (values.next().filter(|_| plain).ok_or(unsupported)?, values.next())
                else {
                    return Err(unsupported);
                };
                // A line break inside a value would be a line of the base.
                let value = value.trim_matches([' ', '\t']);
                if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
                    return Err(unsupported);
                }
                value.to_owned()
            }
        };
        out.push('"');
        out.push_str(name);
        out.push_str("\": ");
        out.push_str(&value);
        out.push('\n');
    }
    out.push_str("\"@signature-params\": ");
    out.push_str(input.text);
    Ok(out)
}

/// The host that the request was sent to, in lower case, without the port that https has anyway.
fn authority(raw: &RawRequest<'_>) -> Result<String, RequestError> {
    let host = raw.header("Host")?.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(RequestError::HeaderMalformed { header: "Host", expected: "a host name" });
    }
    Ok(host.strip_suffix(":443").unwrap_or(&host).to_owned())
}

fn is_key(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*');
    first
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte))
}
