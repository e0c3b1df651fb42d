//! What the dialects that sign by headers share: where a request goes, what it carries, and HMAC signatures.

use holdfast_values::{Micros, Name, Timestamp};

use super::{Dialect, Field, Passphrase, SignedRequest, form, json, request_digest};
use crate::encoding;
use crate::key::{HmacSecret, KeyMaterial};
use crate::request::{RawRequest, RequestError};

/// A path that every reader takes for the same one: what stands behind an edge that decodes, merges or resolves must
/// not see another path than the one that was signed and judged.
pub(super) fn check_path(path: &str) -> Result<(), RequestError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,:=@".contains(&byte);
    let inner =
        path.strip_prefix('/').filter(|inner| inner.bytes().all(plain)).ok_or(RequestError::PathMalformed)?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..");
    // The root has no segments.
    if path == "/" || inner.split('/').all(segment) { Ok(()) } else { Err(RequestError::PathMalformed) }
}

/// Whether a request by this method has its parameters in the query (true) or in the body.
pub(super) fn reads(method: &str) -> Result<bool, RequestError> {
    match method {
        "GET" | "HEAD" => Ok(true),
        "POST" | "PUT" | "PATCH" | "DELETE" => Ok(false),
        _ => Err(RequestError::MethodUnsupported { expected: "GET, HEAD, POST, PUT, PATCH or DELETE" }),
    }
}

/// Refuses a body behind GET and HEAD.
pub(super) fn check_no_body(raw: &RawRequest<'_>) -> Result<(), RequestError> {
    match raw.raw_body {
        [] => Ok(()),
        _ => Err(RequestError::BodyUnexpected { method: if raw.method == "HEAD" { "HEAD" } else { "GET" } }),
    }
}

/// The parameters of query and JSON body.
///
/// Where both are signed one behind the other, nothing marks the border: so a JSON body must begin with a bracket or
/// brace, and no query beside it may hold one. So one border fits.
pub(super) fn read_fields(raw: &RawRequest<'_>) -> Result<Vec<Field>, RequestError> {
    let reads = reads(raw.method)?;
    if reads {
        check_no_body(raw)?;
    }
    check_query(raw.raw_query, reads)?;
    let mut fields = form::read([raw.raw_query], form::QUERY)?;
    for field in read_json(raw)? {
        if fields.iter().any(|known| known.name == field.name) {
            return Err(RequestError::ParameterRepeated { position: fields.len().saturating_add(1) });
        }
        fields.push(field);
    }
    Ok(fields)
}

/// Refuses what no URL holds, and where `brackets` are not permitted, these as well.
pub(super) fn check_query(query: &[u8], brackets: bool) -> Result<(), RequestError> {
    let plain =
        |byte: &u8| byte.is_ascii_graphic() && *byte != b'#' && (brackets || !matches!(byte, b'{' | b'['));
    if query.iter().all(plain) { Ok(()) } else { Err(RequestError::QueryMalformed) }
}

/// The members of a JSON body; none of an absent one.
pub(super) fn read_json(raw: &RawRequest<'_>) -> Result<Vec<Field>, RequestError> {
    match raw.raw_body {
        [] => Ok(Vec::new()),
        body @ [b'{' | b'[', ..] => check_type(raw, "application/json").and_then(|()| json::read(body)),
        _ => Err(RequestError::BodyMalformed { expected: "JSON that begins with { or [" }),
    }
}

/// Refuses a Content-Type that says something else than the body is. It is not signed, and what stands behind the gate
/// may read the body by it.
pub(super) fn check_type(raw: &RawRequest<'_>, expected: &'static str) -> Result<(), RequestError> {
    let said = raw.optional_header("Content-Type")?;
    let kind = said.map(|value| value.split(';').next().unwrap_or_default().trim());
    let agrees = kind.is_none_or(|kind| kind.eq_ignore_ascii_case(expected));
    if agrees { Ok(()) } else { Err(RequestError::BodyMalformed { expected: "what its Content-Type says" }) }
}

/// The path, and the query behind a `?` if there is one.
pub(super) fn target(raw: &RawRequest<'_>) -> Vec<u8> {
    let mark: &[u8] = if raw.raw_query.is_empty() { b"" } else { b"?" };
    [raw.path.as_bytes(), mark, raw.raw_query].concat()
}

/// What a dialect reads from its headers.
pub(super) struct Head<'a> {
    pub api_key: Name,
    pub signed_at: Timestamp,
    pub window: Micros,
    pub signature: &'a str,
    pub passphrase: Option<Passphrase>,
}

/// A request of a dialect that signs by headers.
pub(super) fn signed(
    dialect: Dialect,
    raw: &RawRequest<'_>,
    head: Head<'_>,
    fields: Vec<Field>,
    payload: Vec<u8>,
) -> SignedRequest {
    let payload = payload.into_boxed_slice();
    SignedRequest {
        digest: request_digest(dialect, &head.api_key, &payload),
        dialect,
        method: raw.method.into(),
        path: raw.path.into(),
        api_key: head.api_key,
        signed_at: head.signed_at,
        window: head.window,
        nonce: None,
        fields,
        split: false,
        payload,
        signature: head.signature.into(),
        passphrase: head.passphrase,
        algorithm: None,
    }
}

/// Checks an HMAC-SHA256 signature in base64.
pub(super) fn verify_base64(request: &SignedRequest, secret: &HmacSecret) -> Result<(), RequestError> {
    let tag = encoding::base64(request.signature.as_bytes()).ok_or(RequestError::SignatureInvalid)?;
    if secret.verify(&request.payload, &tag) { Ok(()) } else { Err(RequestError::SignatureInvalid) }
}

/// Checks an HMAC-SHA256 signature in hexadecimal.
pub(super) fn verify_hex(request: &SignedRequest, secret: &HmacSecret) -> Result<(), RequestError> {
    let tag = encoding::hex::<32>(request.signature.as_bytes()).ok_or(RequestError::SignatureInvalid)?;
    if secret.verify(&request.payload, &tag) { Ok(()) } else { Err(RequestError::SignatureInvalid) }
}

/// The HMAC-SHA256 secret that a key is, for dialects that take no other.
pub(super) const fn hmac_sha256(key: &KeyMaterial) -> Result<&HmacSecret, RequestError> {
    match key {
        KeyMaterial::HmacSha256(secret) => Ok(secret),
        _ => Err(RequestError::SignatureInvalid),
    }
}

/// A required header that shows a passphrase.
pub(super) fn passphrase(raw: &RawRequest<'_>, header: &'static str) -> Result<Passphrase, RequestError> {
    raw.header(header).map(|text| Passphrase(zeroize::Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_reading() {
        for path in ["/", "/a", "/a/", "/0/private/Withdraw", "/api/v1/BTC-USDT/x.y~z", "/v2/accounts/a1:b@c"]
        {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "a",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/a/../b",
            "/a/.",
            "/a/..",
            "/a/../",
            "/%61",
            "/a%2Fb",
            "/a%2e%2e/b",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a;b=c",
            "/a b",
            "/\u{fc}",
            "/a\n",
            "/a\0",
            "/a{b}",
            "/a\"b",
            "*",
        ] {
            assert_eq!(check_path(path), Err(RequestError::PathMalformed), "{path}");
        }
    }
}
