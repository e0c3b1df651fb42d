//! A real Envoy before a server that shows what reaches it, and the gate of a real Holdfast between them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests: what is missing or odd fails the test"
)]

mod stand;

use serde_json::json;

use crate::stand::{Sent, Stand, form, has_envoy};

const ORDER: &str = "/api/v3/order";

/// Everything that Envoy and the gate do together, on one stand: starting it takes longer than all of it.
#[test]
fn an_existing_api_is_fenced_without_changing_its_clients() {
    if !has_envoy() {
        return;
    }
    let mut stand = Stand::new();
    bytes_arrive_as_they_were_sent(&stand);
    refusals_speak_the_dialect(&stand);
    paths_mean_one_thing(&stand);
    bodies_are_whole(&stand);
    clients_cannot_speak_as_the_gate(&stand);
    scopes_and_addresses_hold(&stand);
    changes_hold_from_the_next_request(&stand);
    http_answers_as_grpc_does(&stand);
    nothing_passes_while_holdfast_is_down(&mut stand);
    what_was_used_is_told_to_the_core(&stand);
}

fn bytes_arrive_as_they_were_sent(stand: &Stand) {
    // Un-escaped as ccxt sends it, in the query.
    let query = stand.signed("ada", "symbol=BTCUSDT&newClientOrderId=a/b:c@d,e'f(g)");
    let sent = stand.send(Sent::new("POST", ORDER).query(&query).key("ada"));
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert_eq!(sent.arrived["target"], format!("{ORDER}?{query}"));
    assert_eq!(sent.header("x-holdfast-account"), "ac_ada");
    assert_eq!((sent.header("x-holdfast-key"), sent.header("x-holdfast-scope")), ("ada", "trade"));
    // In the body, and once more in chunks.
    for chunked in [false, true] {
        let body = stand.signed("ada", "symbol=BTCUSDT&newClientOrderId=%C3%A4%26");
        let sent = form(Sent::new("POST", ORDER).key("ada"), &body);
        let sent = stand.send(if chunked { sent.chunked() } else { sent });
        assert_eq!(sent.status, 200, "chunked {chunked}: {}", sent.body);
        assert_eq!(sent.arrived["body"], body);
    }
    let public = stand.send(Sent::new("GET", "/api/v3/time"));
    assert_eq!((public.status, public.header("x-holdfast-scope")), (200, "public"));
    assert_eq!(public.header("x-holdfast-account"), "");
}

fn refusals_speak_the_dialect(stand: &Stand) {
    let query = stand.signed("ada", "symbol=BTCUSDT");
    let bad = query.replace("BTCUSDT", "ETHUSDT");
    let sent = stand.send(Sent::new("POST", ORDER).query(&bad).key("ada"));
    assert_eq!((sent.status, sent.json()["code"].as_i64()), (400, Some(-1022)), "{}", sent.body);
    assert!(sent.arrived.is_null());
    // Good once, and not again, wherever it is put.
    assert_eq!(stand.send(Sent::new("POST", ORDER).query(&query).key("ada")).status, 200);
    let again = stand.send(Sent::new("POST", ORDER).query(&query).key("ada"));
    assert_eq!((again.status, again.json()["code"].as_i64()), (400, Some(-4032)), "{}", again.body);
    let moved = stand.send(form(Sent::new("POST", ORDER).key("ada"), &query));
    assert_eq!(moved.json()["code"], -4032);
    let unknown = stand.send(Sent::new("POST", ORDER).query(&query).key("nobody"));
    assert_eq!((unknown.status, unknown.json()["code"].as_i64()), (401, Some(-2015)));
    let old = stand.signed_at("ada", "symbol=BTCUSDT", stand.now_ms() - 60_000);
    assert_eq!(stand.send(Sent::new("POST", ORDER).query(&old).key("ada")).json()["code"], -1021);
    // Kraken says it with 200, and so does its gate.
    let kraken = Sent::new("POST", "/0/private/Balance").header("api-key", "ada").header("api-sign", "AAAA");
    let kraken = stand.send(form(kraken, &format!("nonce={}", stand.now_ms())));
    assert_eq!(kraken.status, 200, "{}", kraken.body);
    assert!(kraken.json()["error"][0].as_str().unwrap().starts_with("EAPI:"), "{}", kraken.body);
    assert!(kraken.arrived.is_null(), "nothing went on");
}

fn paths_mean_one_thing(stand: &Stand) {
    for path in [
        "/api/v3/../v3/order",
        "/api/v3/./order",
        "//api/v3/order",
        "/api/v3//order",
        "/api/v3/order/",
        "/api/v3/Order",
        "/api/v3/%6Frder",
        "/api/v3/order%2F",
        "/api/v3%2forder",
        "/api/v3/order;x=1",
        "/api\\v3\\order",
        "/api/v3/order#x",
        "/api/v3/time/../order",
        "/elsewhere",
    ] {
        let query = stand.signed("ada", "symbol=BTCUSDT");
        let sent = stand.send(Sent::new("POST", path).query(&query).key("ada"));
        assert!(sent.arrived.is_null(), "{path} went on: {}", sent.arrived);
        assert!((400..500).contains(&sent.status), "{path}: {}", sent.status);
    }
}

fn bodies_are_whole(stand: &Stand) {
    for chunked in [false, true] {
        let body = stand.signed("ada", &format!("symbol={}", "A".repeat(70_000)));
        let sent = form(Sent::new("POST", ORDER).key("ada"), &body);
        let sent = stand.send(if chunked { sent.chunked() } else { sent });
        assert_eq!(sent.status, 413, "chunked {chunked}: {}", sent.body);
        assert!(sent.arrived.is_null());
    }
    // A body that Envoy takes and no request of this dialect has.
    let body = stand.signed("ada", &format!("symbol={}", "A".repeat(20_000)));
    let sent = stand.send(form(Sent::new("POST", ORDER).key("ada"), &body));
    assert_eq!((sent.status, sent.json()["code"].as_i64()), (413, Some(-1101)), "{}", sent.body);
    // A part of the body that was not signed.
    let query = stand.signed("ada", "symbol=BTCUSDT");
    let sent = stand.send(form(Sent::new("POST", ORDER).query(&query).key("ada"), "side=SELL"));
    assert!(sent.arrived.is_null(), "{}", sent.arrived);
}

fn clients_cannot_speak_as_the_gate(stand: &Stand) {
    for (name, value) in [
        ("x-holdfast-account", "ac_eve"),
        ("X-Holdfast-Account", "ac_eve"),
        ("x_holdfast_account", "ac_eve"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/sapi/v1/capital/withdraw/apply"),
        ("x-mbx-apikey", "bob"),
    ] {
        let query = stand.signed("ada", "symbol=BTCUSDT");
        let sent = stand.send(Sent::new("POST", ORDER).query(&query).key("ada").header(name, value));
        assert!(sent.arrived.is_null(), "{name} went on");
        assert!((400..500).contains(&sent.status), "{name}: {}", sent.status);
        let sent = stand.send(Sent::new("GET", "/api/v3/time").header(name, value));
        assert!(name == "x-mbx-apikey" || sent.arrived.is_null(), "{name} went on where no key is asked for");
    }
    // What a client says about where it comes from is not believed.
    let query = stand.signed("bob", "symbol=BTCUSDT");
    let sent = Sent::new("POST", ORDER).query(&query).key("bob").header("x-forwarded-for", "203.0.113.7");
    assert_eq!(stand.send(sent).json()["code"], -1002);
}

fn scopes_and_addresses_hold(stand: &Stand) {
    // Bob's key is for another address, Cyd's for reading.
    let query = stand.signed("bob", "symbol=BTCUSDT");
    let sent = stand.send(Sent::new("POST", ORDER).query(&query).key("bob"));
    assert_eq!((sent.status, sent.json()["code"].as_i64()), (401, Some(-1002)));
    let query = stand.signed("cyd", "symbol=BTCUSDT");
    let sent = stand.send(Sent::new("POST", ORDER).query(&query).key("cyd"));
    assert_eq!((sent.status, sent.json()["code"].as_i64()), (401, Some(-1002)));
    let query = stand.signed("cyd", "");
    let sent = stand.send(Sent::new("GET", "/api/v3/account").query(&query).key("cyd"));
    assert_eq!((sent.status, sent.header("x-holdfast-account")), (200, "ac_cyd"));
    // In no network's list any more, and in one's.
    stand.put_key("bob", &["127.0.0.0/8"], &["read", "trade"]);
    let query = stand.signed("bob", "symbol=BTCUSDT");
    let sent = stand.send(Sent::new("POST", ORDER).query(&query).key("bob"));
    assert_eq!((sent.status, sent.header("x-holdfast-key-revision")), (200, "2"));
}

fn changes_hold_from_the_next_request(stand: &Stand) {
    let ask = |key: &str| {
        let query = stand.signed(key, "symbol=BTCUSDT");
        stand.send(Sent::new("POST", ORDER).query(&query).key(key)).status
    };
    for key in ["eve", "fay", "gus"] {
        assert_eq!(ask(key), 200, "{key}");
    }
    stand.ask("DELETE", "/v1/accounts/ac_eve/api-keys/eve", &json!(null));
    assert_eq!(ask("eve"), 401, "revoked");
    stand.ask("POST", "/v1/accounts/ac_fay/freeze", &json!({ "reason": "lost her phone" }));
    assert_eq!(ask("fay"), 401, "frozen");
    // A key that did not exist a moment ago.
    stand.put_key("new", &["127.0.0.1"], &["trade"]);
    assert_eq!(ask("new"), 200, "just made");
    assert_eq!(ask("gus"), 200);
}

fn http_answers_as_grpc_does(stand: &Stand) {
    let query = stand.signed("ada", "symbol=BTCUSDT");
    let question = json!({
        "method": "POST", "path": ORDER, "query": query, "client_ip": "127.0.0.1",
        "headers": [["host", "api.harbor.example"], ["x-mbx-apikey", "ada"]],
    });
    let answer = stand.ask("POST", "/v1/gate/check", &question);
    assert_eq!(answer["allow"], true, "{answer}");
    assert!(answer["headers"].as_array().unwrap().contains(&json!(["x-holdfast-account", "ac_ada"])));
    let answer = stand.ask("POST", "/v1/gate/check", &question);
    assert_eq!(
        (&answer["allow"], &answer["code"], &answer["status"]),
        (&json!(false), &json!("replayed"), &json!(400))
    );
    assert!(answer["body"].as_str().unwrap().contains("-4032"));
}

fn nothing_passes_while_holdfast_is_down(stand: &mut Stand) {
    let before = stand.signed("ada", "symbol=BTCUSDT&recvWindow=60000");
    assert_eq!(stand.send(Sent::new("POST", ORDER).query(&before).key("ada")).status, 200);
    stand.stop_holdfast();
    let query = stand.signed("ada", "symbol=BTCUSDT");
    let sent = stand.send(Sent::new("POST", ORDER).query(&query).key("ada"));
    assert_eq!(sent.status, 403, "{}", sent.body);
    let sent = stand.send(Sent::new("GET", "/api/v3/time"));
    assert_eq!(sent.status, 403);
    assert!(sent.arrived.is_null());
    stand.start_holdfast();
    // The memory of what was let through is gone, and so is what it was about.
    let again = stand.send(Sent::new("POST", ORDER).query(&before).key("ada"));
    assert_eq!((again.status, again.json()["code"].as_i64()), (400, Some(-1021)), "{}", again.body);
    assert!(again.body.contains("before the service started"), "{}", again.body);
    stand.until("requests signed after the start pass", || {
        let query = stand.signed("ada", "symbol=BTCUSDT");
        stand.send(Sent::new("POST", ORDER).query(&query).key("ada")).status == 200
    });
    let query = stand.signed("eve", "symbol=BTCUSDT");
    assert_eq!(stand.send(Sent::new("POST", ORDER).query(&query).key("eve")).status, 401, "still revoked");
}

fn what_was_used_is_told_to_the_core(stand: &Stand) {
    let metrics = stand.metrics();
    assert!(metrics.contains("holdfast_gate_checks_total{code=\"allowed\"}"), "{metrics}");
    stand.until("a summary is in the journal", || stand.log().contains("requests that the gate refused"));
}
