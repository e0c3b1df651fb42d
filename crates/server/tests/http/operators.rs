//! Whose word counts: tokens, operators, and what a service token cannot do.

use serde_json::json;

use super::server::{ADDRESS, Exchange, repository, withdrawal};

#[test]
fn tokens_open_only_what_they_are_for() {
    let exchange = Exchange::open(&[]);
    let mut server = exchange.ready(&[]);
    let service = server.token.clone();
    server.token = exchange.token.clone();
    // The token that init printed reads and halts.
    assert_eq!(server.get("/v1/operators").status, 200);
    assert_eq!(server.withdraw("k", &withdrawal("1")).code(), "scope_missing");
    assert_eq!(server.call("PUT", "/v1/prices", &[], b"{\"prices\":[]}").code(), "scope_missing");
    assert_eq!(server.post("/v1/halts", &json!({ "scope": "asset:BTC" })).status, 200);
    let halted = server.get("/v1/halts");
    assert_eq!(halted.body["halts"], json!(["asset:BTC"]));

    server.token = exchange.issue(&server, "prices-only", 4);
    assert_eq!(server.get("/v1/operators").code(), "scope_missing");
    server.price("6000.00");

    for (token, code) in [("", "token_missing"), ("hf_unknown", "token_unknown_or_revoked")] {
        server.token = token.to_owned();
        let answer = server.get("/v1/operators");
        assert_eq!((answer.status, answer.code()), (401, code));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }

    // What is halted waits; taking a token out of use works at once.
    server.token = service;
    let waiting = server.withdraw("k", &withdrawal("1"));
    assert_eq!(
        (waiting.status, waiting.body["status"].as_str()),
        (201, Some("dwelling")),
        "{}",
        waiting.body
    );
    assert_eq!(server.call("DELETE", "/v1/tokens/backend", &[], b"").status, 200);
    assert_eq!(server.get("/v1/operators").code(), "token_unknown_or_revoked");
}

#[test]
fn loosening_takes_two_operators() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    server.post("/v1/halts", &json!({ "scope": "overall" }));
    let asked = server.withdraw("k", &withdrawal("1"));
    let id = asked.body["id"].as_str().unwrap();
    let text = exchange.text(server.now(), "resume", "overall", "-", None);
    let send = |body| server.post("/v1/operator-acts", &body);
    let sequence = || server.get("/health").body["sequence"].as_u64().unwrap();

    let refused = send(exchange.signed(&text, &["alice"], None));
    assert_eq!((refused.status, refused.code()), (403, "signatures_insufficient"), "{}", refused.body);
    let before = sequence();
    let twice = send(exchange.signed(&text, &["alice", "alice"], None));
    assert_eq!((twice.status, twice.code()), (422, "operator_signature_repeated"));
    let mut forged = exchange.signed(&text, &["alice", "bob"], None);
    forged["signatures"][1]["signature"] = forged["signatures"][0]["signature"].clone();
    assert_eq!(send(forged).code(), "operator_signature_invalid");
    let mut stranger = exchange.signed(&text, &["alice", "bob"], None);
    stranger["signatures"][1]["operator"] = json!("mallory");
    assert_eq!(send(stranger).code(), "operator_unknown");
    let mut altered = exchange.signed(&text, &["alice", "bob"], None);
    altered["text"] = json!(text.replace("target: overall", "target: asset:BTC"));
    assert_eq!(send(altered).code(), "operator_signature_invalid");
    let unspelled = exchange.text(server.now(), "activate_rules", "-", "version=01", None);
    assert_eq!(send(exchange.signed(&unspelled, &["alice", "bob"], None)).code(), "operator_act_unknown");
    let mut short = exchange.signed(&text, &["alice", "bob"], None);
    short["text"] = json!(text.trim_end());
    assert_eq!(send(short).code(), "operator_text_malformed");
    assert_eq!(sequence(), before, "nothing of that reached the journal");
    let foreign = text.replace("harbor.example", "harbour.example");
    assert_eq!(send(exchange.signed(&foreign, &["alice", "bob"], None)).code(), "text_exchange");
    assert_eq!(server.get("/v1/halts").body["halts"], json!(["overall"]));

    let resumed = send(exchange.signed(&text, &["alice", "bob"], None));
    assert_eq!(resumed.status, 200, "{}", resumed.body);
    assert_eq!(server.get("/v1/halts").body["halts"], json!([]));
    server.wait_for(id, "approved");
    let again = send(exchange.signed(&text, &["alice", "bob"], None));
    assert_eq!((again.status, again.code()), (409, "text_used"), "{}", again.body);
}

#[test]
fn configuration_and_policy_come_as_signed_payloads() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let signers = ["bob", "carol"];
    let now = server.now();

    let wider = super::server::OPEN.replace("usd_24h = \"1000000000000.00\"", "usd_24h = \"50.00\"");
    let text = exchange.text(now, "configure", "-", "-", Some(&wider));
    let mut other = exchange.signed(&text, &signers, Some(&wider));
    other["payload"] = json!(super::server::OPEN);
    assert_eq!(server.post("/v1/operator-acts", &other).code(), "operator_payload_differs");
    other.as_object_mut().unwrap().remove("payload");
    assert_eq!(server.post("/v1/operator-acts", &other).code(), "operator_payload_missing");
    let done = server.post("/v1/operator-acts", &exchange.signed(&text, &signers, Some(&wider)));
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(server.get("/v1/accounts/ac_1").body["usd_24h_max"], "50.00");

    let broken = "tiers = 7";
    let text = exchange.text(now, "configure", "-", "-", Some(broken));
    let refused = server.post("/v1/operator-acts", &exchange.signed(&text, &signers, Some(broken)));
    assert_eq!(refused.code(), "operator_payload_invalid", "{}", refused.body);

    let pack = holdfast_cedar::load_dir(repository("policies/baseline")).unwrap();
    let hash = holdfast_server::record::hex(&pack.hash);
    let files: serde_json::Map<_, _> =
        pack.files.into_iter().map(|(name, text)| (name, json!(text))).collect();
    let payload = json!(files).to_string();
    let from = format!("from={}", server.get("/v1/policy").body["hash"].as_str().unwrap());
    let text = exchange.text(now, "propose_policy", &hash, &from, Some(&payload));
    let bare = server.post("/v1/operator-acts", &exchange.signed(&text, &["alice"], Some(&payload)));
    assert_eq!(bare.code(), "operator_payload_invalid", "a proposal says why: {}", bare.body);
    let payload =
        json!({ "files": files, "reason": "The baseline.", "report": { "looser": [] } }).to_string();
    let text = exchange.text(now, "propose_policy", &"0".repeat(64), &from, Some(&payload));
    let wrong = server.post("/v1/operator-acts", &exchange.signed(&text, &signers, Some(&payload)));
    assert_eq!(
        wrong.code(),
        "operator_act_unknown",
        "the hash that was signed is another pack's: {}",
        wrong.body
    );
    let text = exchange.text(now, "propose_policy", &hash, &from, Some(&payload));
    let done = server.post("/v1/operator-acts", &exchange.signed(&text, &["alice"], Some(&payload)));
    assert_eq!((done.status, &done.body["in_effect"]), (200, &json!(true)), "{}", done.body);
    let text = exchange.text(now, "approve_policy", &hash, &format!("{from} author=alice"), None);
    let done = server.post("/v1/operator-acts", &exchange.signed(&text, &signers, None));
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body["why"].as_str().unwrap().starts_with("set-up window until "), "{}", done.body);
    assert_eq!(server.get("/v1/policy").body["hash"], hash);
}

#[test]
fn history_enters_once_and_only_as_it_was_signed() {
    let exchange = Exchange::open(&["--simulated-clock", "--clock-start", "2026-11-22T12:00:00Z"]);
    let server = exchange.ready(&["--clock-rate", "1", "--clock-start", "2026-11-22T12:00:00Z"]);
    let part = format!(
        "{}\n",
        json!({
            "account": "ac_old", "tier": "full", "opened_at": "2019-01-01T00:00:00Z",
            "api_keys": [{ "id": "key1", "scopes": ["read", "withdraw"], "ip_allowlist": ["203.0.113.7"],
                           "created_at": "2020-01-01T00:00:00Z" }],
            "addresses": [{ "network": "bitcoin", "address": ADDRESS, "first_recorded_at": "2019-02-01T00:00:00Z" }],
            "withdrawals": [{ "at": "2026-11-20T00:00:00Z", "usd": "100.00" }],
        })
    );
    let bring = |part: &str| {
        server.call("POST", "/v1/imports", &[("content-type", "application/x-ndjson")], part.as_bytes())
    };
    assert_eq!(bring(&part).code(), "import_unknown");
    let digest = |part: &str| {
        use sha2::Digest as _;
        holdfast_server::record::hex(&sha2::Sha256::digest(part.as_bytes()))
    };
    let manifest = format!("{}\n", digest(&part));
    let text = exchange.text(server.now(), "import", "-", "-", Some(&manifest));
    let signed = exchange.signed(&text, &["alice", "carol"], Some(&manifest));
    assert_eq!(server.post("/v1/operator-acts", &signed).status, 200);
    assert_eq!(bring(&part.replace("full", "vip4")).code(), "import_unknown", "another byte, another part");
    let done = bring(&part);
    assert_eq!(done.status, 200, "{}", done.body);
    let account = server.get("/v1/accounts/ac_old").body;
    assert_eq!(account["opened_at"], "2019-01-01T00:00:00Z");
    assert_eq!(account["addresses"][0]["recorded_at"], "2019-02-01T00:00:00Z");
    assert_eq!(account["api_keys"][0]["scopes"], json!(["read", "withdraw"]));
    assert_eq!(bring(&part).code(), "import_unknown", "once");
    assert_eq!(bring("{}\n").code(), "import_chunk_invalid");
}
