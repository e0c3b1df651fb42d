//! The Settings Lock, panic links, and giving an account back to its owner.

use holdfast_authn::webauthn::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::customer::{
    Format, SecurityKey, aged_key, approved, change, later, open, open_account, ready, register, registration,
};
use super::server::{Answer, Server, agent, send, withdrawal};

const CHANGES: &str = "/v1/accounts/ac_1/changes";
const CREDENTIALS: &str = "/v1/accounts/ac_1/credentials";

fn sequence(server: &Server) -> u64 {
    server.get("/health").body["sequence"].as_u64().unwrap()
}

fn is_frozen(server: &Server, account: &str) -> bool {
    server.get(&format!("/v1/accounts/{account}")).body["frozen"].as_bool().unwrap()
}

/// As a browser asks: without a token.
fn browse(server: &Server, method: &str, path: &str) -> Answer {
    send(&agent(), method, &format!("{}{path}", server.url), &[], b"").unwrap()
}

#[test]
fn locked_settings_stay_locked_for_the_full_time() {
    let exchange = open();
    let server = ready(&exchange);
    let (server, mut key) = aged_key(&exchange, server, "ac_1");
    for days in [0, 31] {
        assert_eq!(change(&server, "ac_1", &json!({ "lock_settings": days })).code(), "change_invalid");
    }
    let book = json!({ "network": "bitcoin", "address": super::server::ADDRESS });
    assert_eq!(server.post("/v1/accounts/ac_1/addresses", &book).status, 200);
    let locked = change(&server, "ac_1", &json!({ "lock_settings": 2 }));
    assert_eq!(locked.status, 200, "{}", locked.body);

    let hmac = json!({ "scopes": ["read"], "algorithm": "hmac_sha256" });
    let put = server.call("PUT", "/v1/accounts/ac_1/api-keys/k", &[], hmac.to_string().as_bytes());
    assert_eq!((put.status, put.code()), (409, "settings_locked"), "{}", put.body);
    assert_eq!(server.post("/v1/accounts/ac_1/recovery-codes", &json!({})).code(), "settings_locked");
    let other = json!({ "network": "bitcoin", "address": "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i" });
    assert_eq!(server.post("/v1/accounts/ac_1/addresses", &other).code(), "settings_locked");
    let mut elsewhere = withdrawal("1");
    elsewhere["address"] = other["address"].clone();
    let denied = server.withdraw("k1", &elsewhere);
    assert_eq!(denied.body["reasons"][0]["code"], "settings_locked", "{}", denied.body);
    assert_eq!(server.withdraw("k2", &withdrawal("1")).body["status"], "approved");

    // The owner's ordinary key does not open it sooner.
    let ask = json!({ "change": "unlock_settings", "text_only": true });
    let before = sequence(&server);
    let asked = server.post(CHANGES, &ask);
    assert_eq!(sequence(&server), before, "asking for the text changes nothing");
    let text = asked.body["approval"]["text"].as_str().unwrap();
    let body = json!({ "change": "unlock_settings", "approval": key.approval(text) });
    assert_eq!(server.post(CHANGES, &body).code(), "credential_not_counting");
    let begun = change(&server, "ac_1", &json!("unlock_settings"));
    assert_eq!((begun.status, &begun.body["status"]), (200, &json!("begun")), "{}", begun.body);
    let server = later(&exchange, server, 24);
    assert_eq!(server.post("/v1/accounts/ac_1/addresses", &other).code(), "settings_locked");
    let server = later(&exchange, server, 25);
    assert_eq!(server.post("/v1/accounts/ac_1/addresses", &other).status, 200);
    assert_eq!(change(&server, "ac_1", &json!("unlock_settings")).code(), "nothing_to_change");
}

#[test]
fn opening_a_panic_link_changes_nothing_and_its_button_freezes() {
    let exchange = open();
    let server = ready(&exchange);
    open_account(&server, "ac_2");
    let (server, mut key) = aged_key(&exchange, server, "ac_1");
    let link = server.poke("/v1/accounts/ac_1/panic-link");
    assert_eq!(link.status, 200, "{}", link.body);
    let path = link.body["path"].as_str().unwrap().to_owned();
    assert_eq!(server.poke("/v1/accounts/nobody/panic-link").code(), "account_unknown");

    let before = sequence(&server);
    for _ in 0..10 {
        for method in ["GET", "HEAD"] {
            let page = browse(&server, method, &path);
            assert_eq!(page.status, 200, "{}", page.text);
        }
    }
    let page = browse(&server, "GET", &path);
    assert!(page.text.contains("<form method=\"post\">") && !page.text.contains("<script"), "{}", page.text);
    assert!(!page.text.contains("ac_1"), "it names nobody");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert_eq!(sequence(&server), before);
    assert!(!is_frozen(&server, "ac_1"));

    // Links that nobody here made.
    let parts: Vec<&str> = path.split('/').collect();
    let mark = parts[4];
    let flipped = format!("{}{}", if mark.starts_with('0') { '1' } else { '0' }, &mark[1..]);
    let day: u64 = parts[3].parse().unwrap();
    for forged in [
        format!("/panic/ac_2/{day}/{mark}"),
        format!("/panic/ac_1/{}/{mark}", day + 1),
        format!("/panic/ac_1/{day}/{flipped}"),
        format!("/panic/ac_1/{day}/{}", mark.to_uppercase()),
        format!("/panic/ac_1/x/{mark}"),
        format!("/panic/ac_1/{day}/zz"),
        format!("/panic/%20/{day}/{mark}"),
    ] {
        for method in ["GET", "POST"] {
            let answer = browse(&server, method, &forged);
            assert_eq!((answer.status, answer.code()), (404, "panic_link_unknown"), "{method} {forged}");
        }
    }
    assert_eq!(sequence(&server), before);

    let frozen = browse(&server, "POST", &path);
    assert_eq!(frozen.status, 200, "{}", frozen.text);
    assert!(is_frozen(&server, "ac_1") && !is_frozen(&server, "ac_2"));
    assert_eq!(browse(&server, "POST", &path).status, 200, "pressed twice");
    let asked = server.withdraw("k1", &withdrawal("1"));
    assert_eq!(asked.body["reasons"][0]["code"], "account_frozen", "{}", asked.body);
    let other = registration(&server, "ac_1", &SecurityKey::new(Algorithm::Es256), "approve", Format::None);
    assert_eq!(server.post(CREDENTIALS, &other).code(), "account_frozen");

    // A session's word does not unfreeze; the owner's key does.
    let body = json!({ "change": "unfreeze" });
    assert_eq!(server.post(CHANGES, &body).code(), "approval_required");
    assert_eq!(approved(&server, "POST", CHANGES, &body, &mut key).status, 200);
    assert!(!is_frozen(&server, "ac_1"));
    assert_eq!(change(&server, "ac_1", &json!("unfreeze")).code(), "not_frozen");
    let server = later(&exchange, server, 31 * 24);
    for method in ["GET", "POST"] {
        assert_eq!(browse(&server, method, &path).status, 404, "its time is over");
    }
    assert!(!is_frozen(&server, "ac_1"));
}

/// Operators give the account back with this key.
fn recover(exchange: &super::server::Exchange, server: &Server, key: &SecurityKey, by: &[&str]) -> Answer {
    let hex = |bytes: &[u8]| holdfast_server::record::hex(&Sha256::digest(bytes));
    let detail = format!("credential={} key={}", hex(&key.id), hex(&key.key.public_key().to_cose()));
    let text = exchange.text(server.now(), "recover_account", "ac_1", &detail, None);
    server.post("/v1/operator-acts", &exchange.signed(&text, by, None))
}

#[test]
fn a_recovery_can_be_stopped_by_whoever_still_has_a_factor() {
    let exchange = open();
    let server = ready(&exchange);
    assert_eq!(change(&server, "ac_1", &json!("begin_recovery")).code(), "nothing_to_change");
    let session = json!({ "device": "owners-cookie" });
    assert_eq!(server.post("/v1/accounts/ac_1/sessions", &session).status, 200);
    let (server, mut key) = aged_key(&exchange, server, "ac_1");
    let begin = || change(&server, "ac_1", &json!("begin_recovery"));
    assert_eq!(change(&server, "ac_1", &json!("stop_recovery")).code(), "recovery_not_begun");
    assert_eq!(begin().status, 200);
    assert_eq!(begin().code(), "recovery_under_way");

    // By a key, over a text; by a device that was known before it began; not by one that is new, nor by nothing.
    let stop = |body: Value| server.post(CHANGES, &body);
    let bare = stop(json!({ "change": "stop_recovery" }));
    assert_eq!(bare.code(), "code_needed", "{}", bare.body);
    assert_eq!(stop(json!({ "change": "stop_recovery", "device": "a-guests" })).code(), "code_needed");
    let asked = stop(json!({ "change": "stop_recovery", "text_only": true }));
    let text = asked.body["approval"]["text"].as_str().unwrap();
    let stopped = stop(json!({ "change": "stop_recovery", "approval": key.approval(text) }));
    assert_eq!(stopped.status, 200, "{}", stopped.body);
    assert_eq!(begin().status, 200);
    let stopped = stop(json!({ "change": "stop_recovery", "device": "owners-cookie" }));
    assert_eq!(stopped.status, 200, "{}", stopped.body);
    let server = later(&exchange, server, 80);
    let new = SecurityKey::new(Algorithm::Es256);
    let answer = recover(&exchange, &server, &new, &["alice", "bob"]);
    assert_eq!(answer.code(), "recovery_not_begun", "{}", answer.body);
}

#[test]
fn operators_give_an_account_back_after_the_wait_and_the_old_keys_are_dead() {
    let exchange = open();
    let server = ready(&exchange);
    let (server, mut old) = aged_key(&exchange, server, "ac_1");
    assert_eq!(change(&server, "ac_1", &json!("begin_recovery")).status, 200);
    let mut new = SecurityKey::new(Algorithm::EdDsa);
    let waiting = register(&server, "ac_1", &new, "approve");
    assert_eq!((waiting.status, &waiting.body["basis"]), (201, &json!("recovery")), "{}", waiting.body);
    assert_eq!(waiting.body["counts_from"], Value::Null, "it waits for operators");
    let early = recover(&exchange, &server, &new, &["alice", "bob"]);
    assert_eq!((early.status, early.code()), (409, "recovery_waits"), "{}", early.body);
    let server = later(&exchange, server, 73);
    let alone = recover(&exchange, &server, &new, &["alice"]);
    assert_eq!(alone.code(), "signatures_insufficient", "{}", alone.body);
    let stranger = recover(&exchange, &server, &SecurityKey::new(Algorithm::Es256), &["alice", "bob"]);
    assert_eq!(stranger.code(), "recovery_not_begun", "another key does not wait: {}", stranger.body);
    let done = recover(&exchange, &server, &new, &["alice", "bob"]);
    assert_eq!(done.status, 200, "{}", done.body);

    let approve = |server: &Server, number: &str, key: &mut SecurityKey| {
        let asked = server.withdraw(number, &withdrawal("10"));
        let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
        let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
        let answer = server.post(&path, &json!({ "account": "ac_1", "assertion": key.approve(&text) }));
        (answer.status, answer.code().to_owned())
    };
    let dead = approve(&server, "k1", &mut old);
    assert!(["credential_not_counting", "credential_unknown"].contains(&dead.1.as_str()), "{dead:?}");
    assert_eq!(approve(&server, "k2", &mut new).1, "credential_not_counting", "it ages first");
    let server = later(&exchange, server, 73);
    assert_eq!(approve(&server, "k3", &mut new).0, 200);

    // Signers are told in order: the first key, its end, the new one with the operators' act behind it.
    let documents = server.get(&format!("/v1/enrolments?min-sequence={}", sequence(&server))).body;
    let kinds: Vec<&str> =
        documents["documents"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["enrolment", "removal", "enrolment"], "{documents}");
}
