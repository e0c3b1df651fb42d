//! Acts that wait, over HTTP: what is answered, what is listed, who stops them.

use serde_json::{Value, json};

use super::server::{Exchange, OPEN, Server};

const BASE: &str = "@id(\"open\")\npermit (principal, action == Action::\"withdraw\", resource);\n";
const STOP: &str = "@id(\"stop\") @outcome(\"deny\") @reason(\"stopped\")\n\
                    forbid (principal, action == Action::\"withdraw\", resource);\n";
const CLOCK: [&str; 3] = ["--clock-rate", "1", "--clock-start"];

/// Two hours after the first record, when the set-up is over.
fn settled() -> (Exchange, Server) {
    let exchange =
        Exchange::new(OPEN, Some(BASE), &["--simulated-clock", "--clock-start", "2026-11-22T12:00:00Z"]);
    let at = |time| [CLOCK[0], CLOCK[1], CLOCK[2], time];
    let first = exchange.ready(&at("2026-11-22T12:00:00Z"));
    // Later tokens wait.
    exchange.issue(&first, "wallet", 63);
    let token = first.token.clone();
    drop(first);
    let mut server = exchange.serve(&at("2026-11-22T14:00:00Z"));
    server.token = token;
    server.price("5900.00");
    (exchange, server)
}

fn act(
    (exchange, server): (&Exchange, &Server),
    (name, target, detail): (&str, &str, &str),
    payload: Option<&str>,
    signers: &[&str],
) -> super::server::Answer {
    let text = exchange.text(server.now(), name, target, detail, payload);
    server.post("/v1/operator-acts", &exchange.signed(&text, signers, payload))
}

fn hash_of(files: &Value) -> String {
    let files = files.as_object().unwrap().iter();
    let texts: Vec<(&str, &str)> =
        files.map(|(name, text)| (name.as_str(), text.as_str().unwrap())).collect();
    holdfast_server::record::hex(&holdfast_values::pack_hash(texts))
}

#[test]
fn what_loosens_is_accepted_listed_and_stopped_by_whoever_can_halt() {
    let (exchange, mut server) = settled();
    let here = (&exchange, &server);
    let wider = OPEN.replace("usd_24h = \"1000000000000.00\"", "usd_24h = \"2000000000000.00\"");
    let alone = act(here, ("configure", "-", "-"), Some(&wider), &["alice"]);
    assert_eq!((alone.status, alone.code()), (403, "signatures_insufficient"), "{}", alone.body);
    let done = act(here, ("configure", "-", "-"), Some(&wider), &["alice", "bob"]);
    assert_eq!((done.status, &done.body["in_effect"]), (200, &json!(false)), "{}", done.body);
    assert!(done.body["due"].as_str().unwrap().starts_with("2026-11-23T14:0"), "{}", done.body);
    let nonce = done.body["nonce"].as_str().unwrap().to_owned();
    let listed = server.get("/v1/operator-acts").body;
    assert_eq!(listed["scheduled"][0]["nonce"], nonce.as_str());
    assert_eq!(listed["scheduled"][0]["act"], "configure");
    assert_eq!(listed["scheduled"][0]["by"], json!(["alice", "bob"]));
    assert_eq!(listed["setup_until"], Value::Null);

    server.token = exchange.token.clone();
    assert_eq!(server.get("/v1/operator-acts").body["scheduled"].as_array().unwrap().len(), 1);
    let stop = |nonce: &str| server.post(&format!("/v1/operator-acts/{nonce}/stop"), &json!({}));
    assert_eq!(stop("zz").code(), "path_invalid");
    assert_eq!((stop(&"0".repeat(64)).status, stop(&"0".repeat(64)).code()), (404, "act_unknown"));
    let stopped = stop(&nonce);
    assert_eq!(stopped.status, 200, "{}", stopped.body);
    assert_eq!(server.get("/v1/operator-acts").body["scheduled"], json!([]));
    assert_eq!(stop(&nonce).code(), "act_unknown");
}

#[test]
fn a_policy_is_tightened_by_one_restored_by_two_and_loosened_by_three_in_a_day() {
    let (exchange, server) = settled();
    let here = (&exchange, &server);
    let policy = || server.get("/v1/policy").body;
    let base = policy()["hash"].as_str().unwrap().to_owned();
    let from = format!("from={base}");
    let tight = json!({ "all.cedar": BASE, "now.cedar": STOP });
    let tight_hash = hash_of(&tight);
    let payload = tight.to_string();
    let done = act(here, ("tighten_policy", &tight_hash, &from), Some(&payload), &["carol"]);
    assert_eq!((done.status, &done.body["in_effect"]), (200, &json!(true)), "{}", done.body);
    assert_eq!(policy()["hash"], tight_hash.as_str());
    assert_eq!(policy()["base"], base.as_str());
    assert_eq!(policy()["from"], base.as_str());
    assert_eq!(policy()["restorable"][0]["hash"], base.as_str());
    let denied = server.withdraw("k", &super::server::withdrawal("1"));
    assert_eq!(denied.body["status"], "denied", "{}", denied.body);

    let labelled =
        json!({ "all.cedar": BASE, "now.cedar": STOP, "more.cedar": BASE.replace("open", "more") });
    let (from, payload) = (format!("from={tight_hash}"), labelled.to_string());
    let refused = act(here, ("tighten_policy", &hash_of(&labelled), &from), Some(&payload), &["carol"]);
    assert_eq!((refused.status, refused.code()), (422, "policy_not_tighter"), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().starts_with("more.cedar:"), "{}", refused.body);

    let done = act(here, ("restore_policy", &base, &from), None, &["alice", "bob"]);
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(policy()["hash"], base.as_str());

    let loose = json!({ "all.cedar": BASE.replace("open", "wide") });
    let (hash, from) = (hash_of(&loose), format!("from={base}"));
    for (reason, report, code) in [
        ("", json!({}), "operator_payload_invalid"),
        ("why\u{7}", json!({}), "operator_payload_invalid"),
        ("why", json!([]), "operator_payload_invalid"),
        ("why", json!({ "long": "x".repeat(66_000) }), "operator_payload_invalid"),
    ] {
        let payload = json!({ "files": loose, "reason": reason, "report": report }).to_string();
        let refused = act(here, ("propose_policy", &hash, &from), Some(&payload), &["alice"]);
        assert_eq!((refused.status, refused.code()), (422, code), "{}", refused.body);
    }
    let payload =
        json!({ "files": loose, "reason": "Another name.", "report": { "looser": [] } }).to_string();
    let done = act(here, ("propose_policy", &hash, &from), Some(&payload), &["alice"]);
    assert_eq!(done.status, 200, "{}", done.body);
    let proposed = server.get("/v1/operator-acts").body["proposals"][0].clone();
    assert_eq!((&proposed["policy"], &proposed["reason"]), (&json!(hash), &json!("Another name.")));
    assert_eq!(proposed["report"], json!({ "looser": [] }));
    let detail = format!("{from} author=alice");
    let own = act(here, ("approve_policy", &hash, &detail), None, &["alice", "bob"]);
    assert_eq!(own.code(), "signatures_insufficient", "{}", own.body);
    let done = act(here, ("approve_policy", &hash, &detail), None, &["bob", "carol"]);
    assert_eq!(done.body["in_effect"], false, "{}", done.body);
    let nonce = proposed["nonce"].as_str().unwrap();
    assert_eq!(server.post(&format!("/v1/operator-acts/{nonce}/stop"), &json!({})).status, 200);
    let listed = server.get("/v1/operator-acts").body;
    assert_eq!((&listed["proposals"], &listed["scheduled"]), (&json!([]), &json!([])));
}

#[test]
fn an_act_that_nobody_signed_or_that_is_sent_again_and_again_does_not_fill_the_journal() {
    let (exchange, mut server) = settled();
    let sequence = |server: &Server| server.get("/health").body["sequence"].as_u64().unwrap();
    let base = server.get("/v1/policy").body["hash"].as_str().unwrap().to_owned();
    let loose = json!({ "all.cedar": BASE, "more.cedar": BASE.replace("open", "more") });
    let (payload, detail) = (loose.to_string(), format!("from={base}"));
    let text = exchange.text(server.now(), "tighten_policy", &hash_of(&loose), &detail, Some(&payload));
    // Any token carries acts.
    server.token = exchange.token.clone();
    let before = sequence(&server);
    let unsigned = server.post("/v1/operator-acts", &exchange.signed(&text, &[], Some(&payload)));
    assert_eq!((unsigned.status, unsigned.code()), (403, "signatures_insufficient"), "{}", unsigned.body);
    assert_eq!(sequence(&server), before);
    let signed = exchange.signed(&text, &["carol"], Some(&payload));
    for _ in 0..10 {
        let refused = server.post("/v1/operator-acts", &signed);
        assert_eq!((refused.status, refused.code()), (422, "policy_not_tighter"), "{}", refused.body);
    }
    assert_eq!(sequence(&server), before + 4);

    // Nor does a pack with two texts under one name say to one reader what it does not say to another.
    let stop = serde_json::to_string(STOP).unwrap();
    let twice = format!("{{\"all.cedar\": {}, \"x.cedar\": {stop}, \"x.cedar\": {stop}}}", json!(BASE));
    let hash = hash_of(&json!({ "all.cedar": BASE, "x.cedar": STOP }));
    let refused = act((&exchange, &server), ("tighten_policy", &hash, &detail), Some(&twice), &["carol"]);
    assert_eq!((refused.status, refused.code()), (422, "operator_payload_invalid"), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("two files have one name"), "{}", refused.body);
}

#[test]
fn an_approval_that_lapses_is_told_to_signers_as_stopped() {
    let (exchange, server) = settled();
    let here = (&exchange, &server);
    let base = server.get("/v1/policy").body["hash"].as_str().unwrap().to_owned();
    let (loose, from) = (json!({ "all.cedar": BASE.replace("open", "wide") }), format!("from={base}"));
    let hash = hash_of(&loose);
    let payload = json!({ "files": loose, "reason": "Another name." }).to_string();
    assert_eq!(act(here, ("propose_policy", &hash, &from), Some(&payload), &["alice"]).status, 200);
    let detail = format!("{from} author=alice");
    assert_eq!(act(here, ("approve_policy", &hash, &detail), None, &["bob", "carol"]).status, 200);
    // Carol is found out; at the signer her key stays pinned until somebody edits its file.
    assert_eq!(
        act(here, ("revoke_operator", "carol", "-"), None, &["bob"]).code(),
        "signatures_insufficient"
    );
    assert_eq!(act(here, ("revoke_operator", "carol", "-"), None, &["alice", "bob"]).status, 200);
    drop(server);
    // Time in which it was down counts for nothing: two days, and then fast.
    let mut server = exchange.serve(&["--clock-rate", "40000", "--clock-start", "2026-11-24T14:10:00Z"]);
    server.token = format!("hf_test-wallet-{}", exchange.token);
    let key = super::server::holdfast(&["release-key", "--data", exchange.data().to_str().unwrap()]);
    let key = holdfast_authn::parse_operator_key(key.trim()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let told = loop {
        let sequence = server.get("/health").body["sequence"].as_u64().unwrap();
        let body = server.get(&format!("/v1/enrolments?min-sequence={sequence}")).body;
        let steps: Vec<bool> = body["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|document| {
                let sealed = document["document"].as_str().unwrap().as_bytes();
                let sealed = holdfast_authn::encoding::base64(sealed).unwrap();
                let kind = holdfast_authn::release::Kind::Policy;
                let (payload, _) = holdfast_authn::release::open(kind, &sealed, &[key]).unwrap();
                holdfast_authn::release::PolicyStep::parse(&payload).unwrap().stopped
            })
            .collect();
        if steps.len() > 1 || std::time::Instant::now() > deadline {
            break steps;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!(told, [false, true]);
    assert_eq!(server.get("/v1/policy").body["hash"], base.as_str());
}
