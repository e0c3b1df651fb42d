//! Customers' signed API requests and the keys that they are checked against.

use holdfast_authn::dialect::binance::{API_KEY_HEADER, WITHDRAW_PATH};
use holdfast_authn::{
    Dialect, HmacSecret, KeyMaterial, RawRequest, SignedRequest, Verified, encoding, parse, verify,
    verify_signature,
};
use holdfast_values::Name;
use ring::hmac;

use crate::house;

/// The label of signatures by RFC 9421 here.
const LABEL: &str = "sig1";
/// Longest signed payload that is cut at every place.
const CUT_MAX: usize = 400;

/// API key, query and body, separated by bytes 0xff; what lacks a signature is signed here. As text, also a public key.
/// Behind a byte 0xfe, a request of another dialect: see [`other`].
pub(super) fn request(bytes: &[u8]) -> bool {
    if let [0xfe, dialect, rest @ ..] = bytes {
        return Dialect::ALL.get(usize::from(*dialect)).is_some_and(|dialect| other(*dialect, rest));
    }
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
        plain(verified.address.as_deref().unwrap_or_default())
            && plain(&verified.amount_text)
            && verified.tag.as_deref().is_none_or(plain)
    );
    Some(verified)
}

/// Method, path, query, body and headers (`Name: value`, one a line), separated by bytes 0xff. It is signed here, whatever
/// it says.
fn other(dialect: Dialect, bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(5, |byte| *byte == 0xff);
    let [method, path, query, body, headers] = core::array::from_fn(|_| parts.next().unwrap_or_default());
    let [Ok(method), Ok(path), Ok(headers)] = [method, path, headers].map(core::str::from_utf8) else {
        return false;
    };
    let mut headers: Vec<(&str, &str)> = headers.lines().filter_map(|line| line.split_once(": ")).collect();
    let Some(key) = key(dialect) else { return false };
    let read = |query: &[u8], body: &[u8], headers: &[(&str, &str)]| {
        parse(dialect, &RawRequest { method, path, raw_query: query, raw_body: body, headers }).ok()
    };
    let Some(unsigned) = read(query, body, &headers) else { return false };
    assert!((1..=60_000_000).contains(&unsigned.window()), "a minute at most");

    let Some((header, signature)) = sign(&unsigned) else { return false };
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
    headers.push((header, &signature));
    let signed = read(query, body, &headers);
    // By RFC 9421 a signature carries the label of what it covers, which here is always the same.
    let Some(signed) = signed else {
        assert_eq!(dialect, Dialect::HttpSignature, "a signature changes nothing that is read");
        return false;
    };
    if dialect != Dialect::HttpSignature {
        assert_eq!(
            (signed.payload(), signed.digest()),
            (unsigned.payload(), unsigned.digest()),
            "nor what is signed"
        );
    }
    if verify_signature(&signed, &key).is_err() {
        // The passphrase, or an algorithm that the request names, is not this key's.
        assert!(verify(&signed, &key).is_err());
        return false;
    }
    let Ok(verified) = verify(&signed, &key) else { return true };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(verified.address.as_deref().is_none_or(plain) && plain(&verified.amount_text));
    assert!(verified.tag.as_deref().is_none_or(plain));
    assert!(verified.address.is_some() || verified.destination_name.is_some());

    // Wherever the border between query and body is put, the request says the same or nothing.
    let joined = [query, body].concat();
    for cut in 0..=joined.len().min(CUT_MAX) {
        let Some((query, body)) = joined.split_at_checked(cut) else { break };
        if let Some(moved) = read(query, body, &headers).and_then(|moved| verify(&moved, &key).ok()) {
            assert_eq!(moved, verified, "cut at {cut}");
        }
    }
    // Nor is it the same with another body, or for another key.
    let more = [body, b" "].concat();
    assert!(read(query, &more, &headers).is_none_or(|moved| verify(&moved, &key).is_err()), "another body");
    true
}

/// The key of the house's customer, as each dialect has it.
fn key(dialect: Dialect) -> Option<KeyMaterial> {
    let secret = core::str::from_utf8(house::API_SECRET).ok()?;
    match dialect {
        Dialect::Kraken => HmacSecret::sha512(house::API_SECRET).ok().map(KeyMaterial::HmacSha512),
        Dialect::Okx | Dialect::Kucoin => {
            KeyMaterial::shared(dialect, secret, Some(house::API_PASSPHRASE)).ok()
        }
        _ => KeyMaterial::shared(dialect, secret, None).ok(),
    }
}

/// The header and the value that sign a request of this dialect.
fn sign(request: &SignedRequest) -> Option<(&'static str, String)> {
    let tag = |algorithm| hmac::sign(&hmac::Key::new(algorithm, house::API_SECRET), request.payload());
    let base64 = |tag: hmac::Tag| encoding::to_base64(tag.as_ref());
    let hex = |tag: hmac::Tag| tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match request.dialect() {
        Dialect::Binance => None,
        Dialect::Kraken => Some(("API-Sign", base64(tag(hmac::HMAC_SHA512)))),
        Dialect::Okx => Some(("OK-ACCESS-SIGN", base64(tag(hmac::HMAC_SHA256)))),
        Dialect::Bybit => Some(("X-BAPI-SIGN", hex(tag(hmac::HMAC_SHA256)))),
        Dialect::Kucoin => Some(("KC-API-SIGN", base64(tag(hmac::HMAC_SHA256)))),
        Dialect::Coinbase => Some(("CB-ACCESS-SIGN", hex(tag(hmac::HMAC_SHA256)))),
        Dialect::HttpSignature => {
            Some(("Signature", format!("{}=:{}:", LABEL, base64(tag(hmac::HMAC_SHA256)))))
        }
    }
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
        Ok(KeyMaterial::HmacSha256(_) | KeyMaterial::HmacSha512(_)) => {
            unreachable!("a secret is no public key")
        }
        Err(_) => {}
    }
    for (decoded, print) in [
        (encoding::base64(text.as_bytes()), encoding::to_base64 as fn(&[u8]) -> String),
        (encoding::base64url(text.as_bytes()), encoding::to_base64url),
    ] {
        assert!(decoded.is_none_or(|bytes| print(&bytes) == text), "has one spelling");
    }
}
