//! The way of a withdrawal over HTTP.

use serde_json::json;

use super::server::{Exchange, Server, holdfast, withdrawal};

#[test]
fn withdrawal_dwells_and_is_approved_by_a_tick() {
    let exchange = Exchange::baseline(&["--simulated-clock"]);
    let server = exchange.ready(&["--clock-rate", "60"]);
    let asked = server.withdraw("k1", &withdrawal("0.01"));
    assert_eq!(asked.status, 201, "{}", asked.body);
    assert_eq!(asked.body["status"], "dwelling");
    assert_eq!(asked.body["outcome"]["severity"], "dwell");
    assert_eq!(asked.body["outcome"]["class"], "unvouched");
    assert_eq!(asked.body["reasons"][0]["code"], "first_withdrawal_to_address");
    assert_eq!(asked.body["amount"], "0.01000000");
    assert_eq!(asked.body["usd"], "59.00");
    let id = asked.body["id"].as_str().unwrap();
    let text = server.get(&format!("/v1/withdrawals/{id}/text"));
    assert_eq!(text.header("content-type"), Some("text/plain; charset=us-ascii"));
    assert!(text.text.starts_with("holdfast-withdrawal/v1\nexchange: harbor.example\naccount: ac_1\n"));

    let approved = server.wait_for(id, "approved");
    let sequence: u64 = approved.header("holdfast-sequence").unwrap().parse().unwrap();
    assert!(sequence > asked.body["sequence"].as_u64().unwrap(), "a tick was logged");

    // Lists follow, and wait if they are told for what.
    let list = server.get(&format!("/v1/withdrawals?account=ac_1&status=approved&min-sequence={sequence}"));
    assert_eq!(list.body["items"][0]["id"], id, "{}", list.body);
    assert!(list.body["as_of"].as_u64().unwrap() >= sequence);
    let decisions = server.get(&format!("/v1/withdrawals/{id}/decisions?min-sequence={sequence}"));
    assert_eq!(decisions.body["items"].as_array().unwrap().len(), 2, "{}", decisions.body);
    let beyond = server.get(&format!("/v1/withdrawals?min-sequence={}", sequence + 1_000_000));
    assert_eq!((beyond.status, beyond.code()), (503, "views_behind"));

    assert_eq!(server.stop(), Some(0), "a graceful end");
    let data = exchange.data();
    let data = data.to_str().unwrap();
    assert!(holdfast(&["journal", "verify", "--data", data]).contains("intact"));
    holdfast(&["replay", "--data", data]);
    assert!(exchange.data().join("snapshots").read_dir().unwrap().next().is_some(), "a last snapshot");

    // Another process goes on where this one stopped.
    let server = exchange.serve(&[]);
    let again = server.get(&format!("/v1/withdrawals/{id}"));
    assert_eq!(again.body["status"], "approved");
    assert_eq!(again.body["amount"], "0.01000000");
}

#[test]
fn repeated_requests_get_the_first_answer() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let first = server.withdraw("k1", &withdrawal("1"));
    assert_eq!((first.status, first.body["status"].as_str()), (201, Some("approved")), "{}", first.body);
    assert_eq!(first.header("idempotent-replay"), None);
    let id = first.body["id"].as_str().unwrap().to_owned();
    let cancelled = server.post(&format!("/v1/withdrawals/{id}/cancel"), &json!({ "account": "ac_1" }));
    assert_eq!((cancelled.status, cancelled.body["status"].as_str()), (200, Some("cancelled")));

    // Also after it has changed, and in another process.
    let token = server.token.clone();
    let check = |server: &Server| {
        let again = server.withdraw("k1", &withdrawal("1"));
        assert_eq!(again.status, 201);
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("idempotent-replay"), Some("true"));
        let other = server.withdraw("k1", &withdrawal("2"));
        assert_eq!((other.status, other.code()), (422, "idempotency_conflict"));
    };
    check(&server);
    server.kill();
    let mut server = exchange.serve(&[]);
    server.token = token;
    check(&server);
}

#[test]
fn what_its_owner_takes_back_returns_to_the_bucket() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let available = || {
        let buckets = server.get("/v1/buckets").body;
        buckets["assets"][0]["buckets"][2]["available"].as_str().unwrap().to_owned()
    };
    assert_eq!(available(), "1000000.00000000");
    let asked = server.withdraw("k1", &withdrawal("2.5"));
    let id = asked.body["id"].as_str().unwrap();
    assert_eq!(available(), "999997.50000000");

    let foreign = server.post(&format!("/v1/withdrawals/{id}/cancel"), &json!({ "account": "ac_2" }));
    assert!(foreign.status == 404 || foreign.status == 403, "{}", foreign.body);
    assert_eq!(available(), "999997.50000000");
    let cancelled = server.post(&format!("/v1/withdrawals/{id}/cancel"), &json!({ "account": "ac_1" }));
    assert_eq!(cancelled.body["status"], "cancelled", "{}", cancelled.body);
    assert_eq!(available(), "1000000.00000000");
    let twice = server.post(&format!("/v1/withdrawals/{id}/cancel"), &json!({ "account": "ac_1" }));
    assert_eq!((twice.status, twice.code()), (404, "withdrawal_unknown"));
    // It left State; the views remember it.
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).body["status"], "cancelled");
    assert_eq!(server.get("/v1/withdrawals/wd_00000000000000000000000000").code(), "withdrawal_not_found");
}

#[test]
fn pages_follow_one_another() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let mut last = 0;
    for number in 0..7 {
        last = server.withdraw(&format!("k{number}"), &withdrawal("1")).body["sequence"].as_u64().unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/v1/withdrawals?limit=3&min-sequence={last}{cursor}")).body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|row| row["sequence"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once: {seen:?}");
    assert_eq!(server.get("/v1/withdrawals?cursor=nonsense").code(), "cursor_invalid");
    assert_eq!(server.get("/v1/withdrawals?limit=501").code(), "query_invalid");
    assert_eq!(server.get("/v1/withdrawals?colour=red").code(), "query_invalid");
}

#[test]
fn metrics_tell_how_full_the_buckets_are_and_what_waits() {
    let exchange = Exchange::baseline(&[]);
    let server = exchange.ready(&[]);
    let before = server.get("/metrics").text;
    assert!(
        before.contains("holdfast_bucket_available_permille{scope=\"asset:BTC\",class=\"unvouched\"} 1000")
    );
    assert!(before.contains("holdfast_withdrawals_open{status=\"dwelling\"} 0"), "{before}");
    let asked = server.withdraw("k1", &withdrawal("1.5"));
    assert_eq!(asked.body["status"], "dwelling", "{}", asked.body);
    let after = server.get("/metrics").text;
    let left = "holdfast_bucket_available_permille{scope=\"asset:BTC\",class=\"unvouched\"} 97";
    assert!(after.contains(left), "1.5 of 70.74 BTC are taken: {after}");
    assert!(after.contains("holdfast_withdrawals_open{status=\"dwelling\"} 1"));
    assert!(after.contains("holdfast_withdrawals_queued 0") && after.contains("holdfast_clock_suspect 0"));
}
