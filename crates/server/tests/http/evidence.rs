//! A customer's own signed API request as evidence: what does not verify is refused, what State forbids is denied.

use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::server::{ADDRESS, Answer, Exchange, Server};

pub(crate) const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
pub(crate) const IP: &str = "203.0.113.7";

pub(crate) fn query(server: &Server, amount: &str) -> String {
    let ms = server.now().0 / 1_000;
    format!("coin=BTC&network=BTC&address={ADDRESS}&amount={amount}&timestamp={ms}&recvWindow=60000")
}

pub(crate) fn sign(query: &str, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, query.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{query}&signature={hex}")
}

pub(crate) fn body(query: &str, key: &str, ip: &str, amount: &str) -> Value {
    json!({
        "account": "ac_1", "asset": "BTC", "network": "bitcoin", "address": ADDRESS, "amount": amount,
        "channel": { "api_request": {
            "dialect": "binance", "method": "POST", "path": "/sapi/v1/capital/withdraw/apply", "query": query,
            "headers": [["X-MBX-APIKEY", key]], "client_ip": ip,
        } },
    })
}

fn put(server: &Server, key: &str, scopes: &Value, ips: &Value, secret: &str) -> Answer {
    let body = json!({ "scopes": scopes, "ip_allowlist": ips, "algorithm": "hmac_sha256", "secret": secret });
    server.call("PUT", &format!("/v1/accounts/ac_1/api-keys/{key}"), &[], body.to_string().as_bytes())
}

#[test]
fn signed_requests_are_verified_and_judged() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let refused = put(&server, "key1", &json!(["withdraw"]), &json!([]), SECRET);
    assert_eq!(refused.code(), "ip_allowlist_required", "{}", refused.body);
    let made = put(&server, "key1", &json!(["read", "withdraw"]), &json!([IP]), SECRET);
    assert_eq!((made.status, made.body["revision"].as_u64()), (200, Some(1)), "{}", made.body);

    let good = sign(&query(&server, "0.5"), SECRET);
    let approved = server.withdraw("k1", &body(&good, "key1", IP, "0.5"));
    assert_eq!(
        (approved.status, approved.body["status"].as_str()),
        (201, Some("approved")),
        "{}",
        approved.body
    );

    // Judged by the core: an answer with its reason.
    let denied = |key: &str, body: &Value, code: &str| {
        let answer = server.withdraw(key, body);
        assert_eq!(
            (answer.status, answer.body["status"].as_str()),
            (201, Some("denied")),
            "{code}: {}",
            answer.body
        );
        assert_eq!(answer.body["reasons"][0]["code"], code, "{}", answer.body);
    };
    denied("k2", &body(&good, "key1", IP, "0.5"), "api_replayed");
    let other = sign(&query(&server, "0.25"), SECRET);
    denied("k3", &body(&other, "key1", IP, "0.5"), "api_mismatch");
    let elsewhere = sign(&query(&server, "0.125"), SECRET);
    denied("k4", &body(&elsewhere, "key1", "198.51.100.1", "0.125"), "api_ip_not_allowed");
    let old = sign(&query(&server, "0.0625").replace("timestamp=17", "timestamp=16"), SECRET);
    denied("k5", &body(&old, "key1", IP, "0.0625"), "api_timestamp");

    // Refused at the edge, and never journaled.
    let before = server.get("/health").body["sequence"].clone();
    let fresh = query(&server, "0.5");
    let tampered = sign(&fresh, SECRET).replace("amount=0.5", "amount=5.5");
    let forged = sign(&fresh, "another secret of some length");
    let doubled = sign(&format!("{fresh}&amount=5"), SECRET);
    let injected = sign(&fresh.replace("coin=BTC", "coin=BTC%26amount=9"), SECRET);
    for (query, code) in [
        (tampered.as_str(), "signature_invalid"),
        (&forged, "signature_invalid"),
        (&doubled, "duplicate_parameter"),
        (&injected, "malformed_parameter"),
        (&fresh, "signature_missing"),
    ] {
        let answer = server.withdraw("k6", &body(query, "key1", IP, "0.5"));
        assert_eq!((answer.status, answer.code()), (422, code), "{}", answer.body);
    }
    let answer = server.withdraw("k6", &body(&sign(&fresh, SECRET), "key2", IP, "0.5"));
    assert_eq!(answer.code(), "api_key_not_stored", "somebody else's key");
    assert_eq!(server.get("/health").body["sequence"], before);

    // A new revision: what the old secret signed is refused from then on, by the core.
    let second = "another secret that is long enough";
    let made = put(&server, "key1", &json!(["withdraw"]), &json!([IP]), second);
    assert_eq!(made.body["revision"], 2);
    let old = sign(&query(&server, "0.03"), SECRET);
    denied("k7", &body(&old, "key1", IP, "0.03"), "api_key_revision");
    let new = sign(&query(&server, "0.03"), second);
    assert_eq!(server.withdraw("k8", &body(&new, "key1", IP, "0.03")).body["status"], "approved");

    let revoked = server.call("DELETE", "/v1/accounts/ac_1/api-keys/key1", &[], b"");
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    let late = sign(&query(&server, "0.015"), second);
    denied("k9", &body(&late, "key1", IP, "0.015"), "api_key_revoked");

    // The secrets are in none of the files in the clear, nor in the log.
    for file in std::fs::read_dir(exchange.data()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in [SECRET, second] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
    assert!(!server.log().contains(second));
}

#[test]
fn ed25519_keys_need_only_their_public_half() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let pem = pem(&pair);
    let made = server.call(
        "PUT",
        "/v1/accounts/ac_1/api-keys/ed",
        &[],
        json!({ "scopes": ["withdraw"], "ip_allowlist": [IP], "algorithm": "ed25519", "public_key": pem })
            .to_string()
            .as_bytes(),
    );
    assert_eq!(made.status, 200, "{}", made.body);
    let query = query(&server, "0.5");
    let signed = sign_ed25519(&query, &pair);
    let answer = server.withdraw("k1", &body(&signed, "ed", IP, "0.5"));
    assert_eq!(answer.body["status"], "approved", "{}", answer.body);
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    let url = holdfast_authn::encoding::to_base64url(bytes);
    let padding = "=".repeat((4 - url.len() % 4) % 4);
    format!("{}{padding}", url.replace('-', "+").replace('_', "/"))
}

/// A public key as its owner gives it.
pub(crate) fn pem(pair: &Ed25519KeyPair) -> String {
    let spki = [
        &[0x30u8, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..],
        pair.public_key().as_ref(),
    ]
    .concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&spki))
}

/// A query with its signature, as its dialect wants it.
pub(crate) fn sign_ed25519(query: &str, pair: &Ed25519KeyPair) -> String {
    let signature = base64(pair.sign(query.as_bytes()).as_ref());
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("{query}&signature={signature}")
}
