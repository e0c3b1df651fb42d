//! Operators with passkeys over HTTP: enrolled, signing beside an Ed25519 key, and refused by name for whatever is wrong.

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::authenticator::{Key, UP, UV, authenticator_data, client_data, sha256};
use super::server::{Exchange, Server, repository};

const RP_ID: &str = "operate.harbor.example";
const ORIGIN: &str = "https://operate.harbor.example";

fn spelled(key: &Key) -> String {
    let digest = sha256(&key.cose());
    format!("passkey:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Harbor, with dora who has a passkey.
fn exchange(dora: &Key) -> Exchange {
    let sample = std::fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    let config = format!("{sample}\n[operate]\nrp_id = \"{RP_ID}\"\norigins = [\"{ORIGIN}\"]\n");
    Exchange::new(&config, None, &["--operator", &format!("dora={}", spelled(dora))])
}

/// What the passkey says over a digest.
fn says(key: &Key, digest: &[u8], origin: &str, rp_id: &str, flags: u8, more: &str) -> Value {
    let client = client_data("webauthn.get", digest, origin, more);
    let data = authenticator_data(rp_id, flags, 0, &[]);
    let signature = key.sign(&[&data[..], &sha256(&client)].concat());
    json!({
        "public_key": to_base64url(&key.cose()), "client_data_json": to_base64url(&client),
        "authenticator_data": to_base64url(&data), "signature": to_base64url(&signature),
    })
}

fn good(key: &Key, text: &str) -> Value {
    says(key, &Sha256::digest(text.as_bytes()), ORIGIN, RP_ID, UP | UV, "")
}

/// The act with alice's signature and a passkey's.
fn both(exchange: &Exchange, text: &str, name: &str, passkey: &Value) -> Value {
    let mut body = exchange.signed(text, &["alice"], None);
    body["signatures"].as_array_mut().unwrap().push(json!({ "operator": name, "passkey": passkey }));
    body
}

fn sequence(server: &Server) -> u64 {
    server.get("/health").body["sequence"].as_u64().unwrap()
}

#[test]
fn a_passkey_and_an_ed25519_key_loosen_together() {
    let dora = Key::new(Algorithm::Es256);
    let exchange = exchange(&dora);
    let server = exchange.serve(&[]);
    let known = server.get("/v1/operators").body;
    let listed = known["operators"].as_array().unwrap().iter().find(|one| one["name"] == "dora").unwrap();
    assert_eq!(listed["public_key"], json!(spelled(&dora)));

    server.post("/v1/halts", &json!({ "scope": "asset:BTC" }));
    let text = exchange.text(server.now(), "resume", "asset:BTC", "-", None);
    let alone =
        json!({ "text": text, "signatures": [{ "operator": "dora", "passkey": good(&dora, &text) }] });
    assert_eq!(server.post("/v1/operator-acts", &alone).code(), "signatures_insufficient");
    let answer = server.post("/v1/operator-acts", &both(&exchange, &text, "dora", &good(&dora, &text)));
    assert_eq!((answer.status, &answer.body["in_effect"]), (200, &json!(true)), "{}", answer.body);
    assert_eq!(server.get("/v1/halts").body["halts"], json!([]));

    // A further passkey is enrolled by name and key; a revoked one is nobody's.
    let erin = Key::new(Algorithm::EdDsa);
    let text =
        exchange.text(server.now(), "enrol_operator", "erin", &format!("key={}", spelled(&erin)), None);
    let answer = server.post("/v1/operator-acts", &both(&exchange, &text, "dora", &good(&dora, &text)));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let twice =
        exchange.text(server.now(), "enrol_operator", "fred", &format!("key={}", spelled(&erin)), None);
    let answer = server.post("/v1/operator-acts", &both(&exchange, &twice, "dora", &good(&dora, &twice)));
    assert_eq!(answer.code(), "operator_exists", "one key under two names");
    let text = exchange.text(server.now(), "revoke_operator", "dora", "-", None);
    assert_eq!(
        server.post("/v1/operator-acts", &exchange.signed(&text, &["alice", "bob"], None)).status,
        200
    );
    let text = exchange.text(server.now(), "confirm_clock", "-", "-", None);
    let answer = server.post("/v1/operator-acts", &both(&exchange, &text, "dora", &good(&dora, &text)));
    assert_eq!(answer.code(), "operator_unknown");

    // What it signed is in the journal, which opens with it again.
    let last = sequence(&server);
    server.stop();
    let server = exchange.serve(&[]);
    assert!(sequence(&server) >= last);
    let known = server.get("/v1/operators").body.to_string();
    assert!(known.contains(&spelled(&erin)) && !known.contains(&spelled(&dora)), "{known}");
}

#[test]
fn what_is_not_the_passkeys_word_over_this_text_is_refused_by_name() {
    let dora = Key::new(Algorithm::Es256);
    let thief = Key::new(Algorithm::Es256);
    let exchange = exchange(&dora);
    let server = exchange.serve(&[]);
    server.post("/v1/halts", &json!({ "scope": "asset:BTC" }));
    let text = exchange.text(server.now(), "resume", "asset:BTC", "-", None);
    let digest = Sha256::digest(text.as_bytes()).to_vec();
    let ours = UP | UV;
    let altered = |field: &str, value: Value| {
        let mut by = good(&dora, &text);
        by[field] = value;
        by
    };
    let before = sequence(&server);
    for (name, passkey, code) in [
        (
            "dora",
            says(&dora, &digest, "https://approve.harbor.example", RP_ID, ours, ""),
            "webauthn_origin_mismatch",
        ),
        ("dora", says(&dora, &digest, ORIGIN, "approve.harbor.example", ours, ""), "webauthn_rp_id_mismatch"),
        ("dora", says(&dora, &digest, ORIGIN, RP_ID, UP, ""), "operator_user_not_verified"),
        ("dora", says(&dora, &[7; 32], ORIGIN, RP_ID, ours, ""), "webauthn_challenge_mismatch"),
        (
            "dora",
            says(&dora, &digest, ORIGIN, RP_ID, ours, r#","crossOrigin":true"#),
            "webauthn_cross_origin",
        ),
        ("dora", good(&thief, &text), "operator_passkey_differs"),
        ("dora", altered("public_key", json!(to_base64url(&thief.cose()))), "operator_passkey_differs"),
        ("dora", altered("signature", json!("AAAA")), "webauthn_signature_invalid"),
        ("dora", altered("signature", json!("=")), "operator_signature_malformed"),
        (
            "dora",
            altered("client_data_json", json!(to_base64url(&[b' '; 1_025]))),
            "operator_signature_malformed",
        ),
        ("bob", good(&dora, &text), "operator_signature_kind"),
        ("mallory", good(&dora, &text), "operator_unknown"),
    ] {
        let answer = server.post("/v1/operator-acts", &both(&exchange, &text, name, &passkey));
        assert_eq!(answer.code(), code, "{}", answer.body);
        assert_eq!(answer.body["field"], json!(format!("signatures.{name}")), "{}", answer.body);
    }
    // An Ed25519 signature under her name; both at once, and neither.
    let mut body = exchange.signed(&text, &["alice", "bob"], None);
    body["signatures"][1]["operator"] = json!("dora");
    assert_eq!(server.post("/v1/operator-acts", &body).code(), "operator_signature_kind");
    body["signatures"][1]["passkey"] = good(&dora, &text);
    assert_eq!(server.post("/v1/operator-acts", &body).code(), "operator_signature_malformed");
    body["signatures"][1] = json!({ "operator": "dora" });
    assert_eq!(server.post("/v1/operator-acts", &body).code(), "operator_signature_malformed");
    assert_eq!(sequence(&server), before, "what the edge refuses is not in the journal");
}

#[test]
fn no_passkey_is_enrolled_where_none_can_be_used() {
    let dora = Key::new(Algorithm::Es256);
    let exchange = Exchange::baseline(&[]);
    let server = exchange.serve(&[]);
    let text =
        exchange.text(server.now(), "enrol_operator", "dora", &format!("key={}", spelled(&dora)), None);
    let answer = server.post("/v1/operator-acts", &exchange.signed(&text, &["alice", "bob"], None));
    assert_eq!(answer.code(), "party_not_configured", "{}", answer.body);
}
