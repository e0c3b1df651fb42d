//! Mandates: a program's signed requests, bound by one approval of their bounds.

use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

use super::customer::{SecurityKey, aged_key, change, open, ready};
use super::evidence::{IP, SECRET, body, pem, query, sign_ed25519};
use super::server::{ADDRESS, Answer, Exchange, Server};

const MANDATES: &str = "/v1/accounts/ac_1/mandates";

fn bot() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn put_bot(server: &Server, pair: &Ed25519KeyPair) {
    let spec = json!({ "scopes": ["withdraw"], "ip_allowlist": [IP], "algorithm": "ed25519",
                       "public_key": pem(pair) });
    let made = server.call("PUT", "/v1/accounts/ac_1/api-keys/bot", &[], spec.to_string().as_bytes());
    assert_eq!(made.status, 200, "{}", made.body);
}

/// An account whose owner has a key that counts, and a program's key.
fn setting() -> (Exchange, Server, SecurityKey) {
    let exchange = open();
    let server = ready(&exchange);
    put_bot(&server, &bot());
    let shared = json!({ "scopes": ["withdraw"], "ip_allowlist": [IP], "algorithm": "hmac_sha256",
                         "secret": SECRET });
    let made = server.call("PUT", "/v1/accounts/ac_1/api-keys/shared", &[], shared.to_string().as_bytes());
    assert_eq!(made.status, 200, "{}", made.body);
    let (server, owner) = aged_key(&exchange, server, "ac_1");
    (exchange, server, owner)
}

/// Up to 12 BTC at once, 20 BTC a day.
fn terms() -> Value {
    json!({ "api_key": "bot", "asset": "BTC", "network": "bitcoin", "destinations": [{ "address": ADDRESS }],
            "amount_max": "12", "day_max": "20", "days": 90 })
}

fn offer(server: &Server, terms: &Value) -> Answer {
    server.post(&format!("{MANDATES}/text"), terms)
}

fn granted(server: &Server, owner: &mut SecurityKey) -> String {
    let offered = offer(server, &terms());
    assert_eq!(offered.status, 200, "{}", offered.body);
    let approval = owner.approval(offered.body["text"].as_str().unwrap());
    let granted = server.post(MANDATES, &json!({ "approval": approval }));
    assert_eq!(granted.status, 201, "{}", granted.body);
    assert_eq!(granted.body["mandate"], offered.body["mandate"]);
    granted.body["mandate"].as_str().unwrap().to_owned()
}

fn ask(server: &Server, number: usize, amount: &str) -> Answer {
    let signed = sign_ed25519(&query(server, amount), &bot());
    server.withdraw(&format!("bot-{number}"), &body(&signed, "bot", IP, amount))
}

#[test]
fn a_programs_signed_requests_are_bound_within_what_its_owner_approved() {
    let (exchange, server, mut owner) = setting();
    let without = ask(&server, 0, "10");
    assert_eq!(without.body["status"], "awaiting_approval", "{}", without.body);

    let offered = offer(&server, &terms()).body;
    let text = offered["text"].as_str().unwrap();
    assert!(
        text.starts_with("holdfast-mandate/v1\nexchange: harbor.example\naccount: ac_1\nmandate: md_"),
        "{text}"
    );
    assert_eq!(offered["allow"][0]["id"], holdfast_authn::encoding::to_base64url(&owner.id));
    let id = granted(&server, &mut owner);
    let first = ask(&server, 1, "10");
    assert_eq!(
        (first.body["status"].as_str(), first.body["outcome"]["class"].as_str()),
        (Some("approved"), Some("bound")),
        "{}",
        first.body
    );
    let list = server.get(MANDATES).body;
    assert_eq!(list[0]["mandate"], id.as_str(), "{list}");
    assert_eq!(list[0]["used_24h_base_units"], "1000000000");
    assert_eq!(list[0]["day_max_base_units"], "2000000000");
    // Beyond its bounds it is an ordinary request again: too much at once, too much a day.
    for (number, amount) in [(2, "12.5"), (3, "11")] {
        let answer = ask(&server, number, amount);
        assert_eq!(answer.body["status"], "awaiting_approval", "{amount}: {}", answer.body);
    }
    // A session is no program.
    let session = server.withdraw("session", &super::server::withdrawal("9.5"));
    assert_eq!(session.body["status"], "awaiting_approval", "{}", session.body);

    let revoked = change(&server, "ac_1", &json!({ "revoke_mandate": id }));
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    let again = change(&server, "ac_1", &json!({ "revoke_mandate": id }));
    assert_eq!((again.status, again.code()), (404, "mandate_unknown"), "{}", again.body);
    let after = ask(&server, 4, "9");
    assert_eq!(after.body["status"], "awaiting_approval", "{}", after.body);
    assert_eq!(server.get(MANDATES).body[0]["revoked"], true);
    let taken = server.get(&format!("/v1/withdrawals/{}", first.body["id"].as_str().unwrap()));
    assert_ne!(
        (taken.body["status"].as_str(), taken.body["outcome"]["class"].as_str()),
        (Some("approved"), Some("bound")),
        "what waits under a mandate that was taken back does not go by it: {}",
        taken.body
    );
    assert_eq!(server.stop(), Some(0));
    super::server::holdfast(&["replay", "--data", exchange.data().to_str().unwrap()]);
}

#[test]
fn parallel_requests_never_take_more_than_the_day_allows() {
    let (_exchange, server, mut owner) = setting();
    granted(&server, &mut owner);
    // Each alone fits: nine of them are 81 BTC.
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..9)
            .map(|number| {
                let amount = format!("9.{}", number + 1);
                let server = &server;
                scope.spawn(move || ask(server, number, &amount))
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let bound = answers.iter().filter(|answer| answer.body["status"] == "approved").count();
    assert_eq!(bound, 2, "20 BTC a day hold two of over nine");
    let waiting = answers.iter().filter(|answer| answer.body["status"] == "awaiting_approval").count();
    assert_eq!(bound + waiting, 9);
    let used = server.get(MANDATES).body[0]["used_24h_base_units"].as_str().unwrap().to_owned();
    assert!(used.parse::<u64>().unwrap() <= 2_000_000_000, "{used}");
}

#[test]
fn only_the_owners_key_over_the_mandates_own_text_grants_it() {
    let (_exchange, server, mut owner) = setting();
    for (edit, code) in [
        (json!({ "api_key": "shared" }), "mandate_needs_public_key"),
        (json!({ "api_key": "nobody" }), "api_key_unknown"),
        (json!({ "days": 91 }), "mandate_invalid"),
        (json!({ "days": 0 }), "mandate_invalid"),
        (json!({ "amount_max": "21" }), "mandate_invalid"),
        (json!({ "amount_max": "0" }), "mandate_invalid"),
        (json!({ "destinations": [] }), "too_many_items"),
        (json!({ "destinations": [{ "address": "nonsense" }] }), "address_checksum"),
        (json!({ "asset": "DOGE" }), "asset_unknown"),
    ] {
        let mut asked = terms();
        for (member, value) in edit.as_object().unwrap() {
            asked[member] = value.clone();
        }
        let answer = offer(&server, &asked);
        assert!((400..500).contains(&answer.status), "{edit}: {}", answer.body);
        assert_eq!(answer.code(), code, "{edit}: {}", answer.body);
    }
    let text = offer(&server, &terms()).body["text"].as_str().unwrap().to_owned();
    let grant = |approval: Value| server.post(MANDATES, &json!({ "approval": approval }));
    let good = owner.approval(&text);
    let mut wider = good.clone();
    wider["text"] = json!(text.replace("day-max: 20", "day-max: 90"));
    assert_ne!(wider["text"], good["text"], "{text}");
    assert_eq!(grant(wider).code(), "assertion_invalid");
    let foreign = text.replace("account: ac_1", "account: ac_9");
    let answer = grant(owner.approval(&foreign));
    assert_eq!(answer.code(), "text_differs", "{}", answer.body);
    let elsewhere = text.replace("harbor.example", "harbour.example");
    let answer = grant(owner.approval(&elsewhere));
    assert_eq!(answer.code(), "text_exchange", "{}", answer.body);
    let answer = grant(json!({ "text": "nonsense", "assertion": good["assertion"] }));
    assert_eq!(answer.code(), "mandate_text_malformed");
    let mut stranger = SecurityKey::new(holdfast_authn::webauthn::Algorithm::Es256);
    assert_eq!(grant(stranger.approval(&text)).code(), "credential_unknown");

    // The program's key is another by now: what was approved was the old one.
    let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let spec = json!({ "scopes": ["withdraw"], "ip_allowlist": [IP], "algorithm": "ed25519",
                       "public_key": pem(&other) });
    let path = "/v1/accounts/ac_1/api-keys/bot";
    let put = super::customer::approved(&server, "PUT", path, &spec, &mut owner);
    assert_eq!(put.status, 200, "{}", put.body);
    let answer = grant(owner.approval(&text));
    assert_eq!(answer.code(), "mandate_key_differs", "{}", answer.body);

    let text = offer(&server, &terms()).body["text"].as_str().unwrap().to_owned();
    assert_eq!(grant(owner.approval(&text)).status, 201);
    let answer = grant(owner.approval(&text));
    assert!((400..500).contains(&answer.status), "a text is good once: {}", answer.body);
}
