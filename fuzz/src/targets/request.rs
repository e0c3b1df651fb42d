//! Customers' signed API requests and the keys that they are checked against.

use holdfast_authn::dialect::binance::{API_KEY_HEADER, WITHDRAW_PATH};
use holdfast_authn::{Dialect, KeyMaterial, RawRequest, Verified, encoding, parse, verify, verify_signature};
use holdfast_values::Name;
use ring::hmac;

use crate::house;

/// Longest signed payload that is cut at every place.
const CUT_MAX: usize = 400;

/// API key, query and body, separated by bytes 0xff; what lacks a signature is signed here. As text, also a public key.
pub(super) fn request(bytes: &[u8]) -> bool {
    if let Ok(text) = core::str::from_utf8(bytes) {
        public_key(text);
    }
    let mut parts = bytes.splitn(3, |byte| *byte == 0xff);
    let [api_key, query, body] = core::array::from_fn(|_| parts.next().unwrap_or_default());
    let Ok(api_key) = core::str::from_utf8(api_key) else { return false };
    let Ok(key) = KeyMaterial::hmac_sha256(house::API_SECRET) else { return false };

    let as_sent = judge(api_key, query, body, &key);
    // Signed by the customer, whatever it says.
    let payload = [query, body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, house::API_SECRET), &payload);
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = |part: &[u8]| {
        let joint: &[u8] = if part.is_empty() { b"" } else { b"&" };
        [part, joint, b"signature=", tag.as_bytes()].concat()
    };
    let send = |query: &[u8], body: &[u8]| match body.is_empty() {
        true => judge(api_key, &signed(query), body, &key),
        false => judge(api_key, query, &signed(body), &key),
    };
    let Some(verified) = send(query, body) else { return as_sent.is_some() };
    assert!(api_key.parse::<Name>().as_ref() == Ok(&verified.api_key));

    // The border between query and body is not signed: wherever it is put, the request says the same or nothing.
    for cut in 0..=payload.len().min(CUT_MAX) {
        let Some((query, body)) = payload.split_at_checked(cut) else { break };
        if let Some(moved) = send(query, body) {
            assert_eq!(moved, verified, "cut at {cut}");
        }
    }
    // A signature over anything else is none.
    let mut forged = signed(&payload);
    if let Some(last) = forged.last_mut() {
        *last = if *last == b'0' { b'1' } else { b'0' };
    }
    assert_eq!(judge(api_key, &forged, b"", &key), None, "another signature");
    true
}

/// What a request is verified to say, if it is.
fn judge(api_key: &str, query: &[u8], body: &[u8], key: &KeyMaterial) -> Option<Verified> {
    let raw = RawRequest {
        method: "POST",
        path: WITHDRAW_PATH,
        raw_query: query,
        raw_body: body,
        headers: &[("Accept", "*/*"), (API_KEY_HEADER, api_key)],
    };
    let request = parse(Dialect::Binance, &raw).ok()?;
    let again = parse(Dialect::Binance, &raw).ok();
    assert_eq!(again.as_ref().map(|again| again.digest()), Some(request.digest()), "means the same twice");
    let verified = verify(&request, key).ok()?;
    assert_eq!(&verified.request_digest, request.digest());
    assert!(
        query.is_empty()
            || body.is_empty()
            || verify_signature(&request, key).is_err()
            || !request.payload().is_empty()
    );
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(
        plain(verified.address.as_deref().unwrap_or_default()) && plain(&verified.amount_text) && verified.tag.as_deref().is_none_or(plain)
    );
    Some(verified)
}

fn public_key(text: &str) {
    if let Ok(key) = holdfast_authn::parse_operator_key(text) {
        assert_eq!(holdfast_authn::print_operator_key(&key), text, "has one spelling");
    }
    match KeyMaterial::from_public_key_pem(text) {
        Ok(KeyMaterial::Rsa(key)) => {
            let again = holdfast_authn::RsaPublicKey::from_pkcs1_der(key.as_pkcs1_der());
            assert_eq!(again, Ok(key), "a key reads as itself");
        }
        Ok(KeyMaterial::Ed25519(key)) => assert!(KeyMaterial::ed25519(key).is_ok()),
        Ok(KeyMaterial::HmacSha256(_) | KeyMaterial::HmacSha512(_)) => unreachable!("a secret is no public key"),
        Err(_) => {}
    }
    for (decoded, print) in [
        (encoding::base64(text.as_bytes()), encoding::to_base64 as fn(&[u8]) -> String),
        (encoding::base64url(text.as_bytes()), encoding::to_base64url),
    ] {
        assert!(decoded.is_none_or(|bytes| print(&bytes) == text), "has one spelling");
    }
}
