//! Bad input: a typed error, and nothing changed. One server, one table.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Exchange, Server, withdrawal};

fn sequence(server: &Server) -> u64 {
    server.get("/health").body["sequence"].as_u64().unwrap()
}

fn with(field: &str, value: Value) -> String {
    let mut body = withdrawal("0.01");
    body[field] = value;
    body.to_string()
}

#[test]
fn bad_requests_get_a_typed_error_and_change_nothing() {
    let exchange = Exchange::baseline(&["--simulated-clock"]);
    let server = exchange.ready(&[]);
    let before = sequence(&server);
    let good = withdrawal("0.01").to_string();
    let eighty = "9".repeat(80);
    let rows: Vec<(&str, String, u16, &str)> = vec![
        // JSON.
        ("not JSON", "{".into(), 400, "malformed_json"),
        ("nothing", String::new(), 400, "malformed_json"),
        ("two values", format!("{good}{good}"), 400, "malformed_json"),
        ("an array", "[]".into(), 422, "body_invalid"),
        ("unknown field", with("colour", json!("red")), 422, "body_invalid"),
        ("missing field", r#"{"account":"ac_1"}"#.into(), 422, "body_invalid"),
        ("repeated field", good.replacen('{', r#"{"amount":"5","#, 1), 422, "body_invalid"),
        ("deep nesting", format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)), 422, "body_invalid"),
        ("control character", good.replace("ac_1", "ac\u{1}"), 400, "malformed_json"),
        // Amounts.
        ("amount as number", with("amount", json!(0.01)), 422, "body_invalid"),
        ("too many decimals", with("amount", json!("0.123456789")), 422, "amount_too_precise"),
        ("negative", with("amount", json!("-1")), 422, "amount_malformed"),
        ("exponent", with("amount", json!("1e8")), 422, "amount_malformed"),
        ("80 digits", with("amount", json!(eighty)), 422, "amount_malformed"),
        ("45 digits", with("amount", json!("9".repeat(45))), 422, "amount_too_large"),
        ("empty amount", with("amount", json!("")), 422, "amount_malformed"),
        ("comma", with("amount", json!("1,5")), 422, "amount_malformed"),
        ("leading zero", with("amount", json!("01")), 422, "amount_malformed"),
        ("white space", with("amount", json!(" 1")), 422, "amount_malformed"),
        ("other digits", with("amount", json!("٣")), 422, "amount_malformed"),
        ("infinity", with("amount", json!("inf")), 422, "amount_malformed"),
        ("bad fee", with("fee_max", json!("-0.1")), 422, "amount_malformed"),
        // Destinations.
        ("unknown network", with("network", json!("bitcoins")), 422, "network_unknown"),
        ("wrong network", with("network", json!("ethereum")), 422, "address_encoding"),
        ("test network", with("network", json!("bitcoin-testnet")), 422, "address_network"),
        (
            "wrong checksum",
            with("address", json!("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")),
            422,
            "address_checksum",
        ),
        ("memo where none is", with("memo", json!("7")), 422, "memo_not_supported"),
        ("empty address", with("address", json!("")), 422, "address_empty"),
        ("long address", with("address", json!("a".repeat(5_000))), 422, "address_length"),
        // Ids.
        ("account id", with("account", json!("ac 1")), 422, "id_invalid"),
        ("account id with a path in it", with("account", json!("../ac_1")), 422, "id_invalid"),
        ("asset", with("asset", json!("btc")), 422, "asset_invalid"),
        ("unknown asset", with("asset", json!("DOGE")), 422, "asset_unknown"),
        // Channels.
        ("no channel", with("channel", json!({})), 422, "body_invalid"),
        (
            "two channels",
            with("channel", json!({ "session": { "one_time_code": true }, "api_request": {} })),
            422,
            "body_invalid",
        ),
        ("a time of one's own", with("time", json!("2019-05-07T17:15:24Z")), 422, "body_invalid"),
    ];
    for (name, body, status, code) in rows {
        let key = format!("bad-{}", name.replace(' ', "-"));
        let answer = server.call("POST", "/v1/withdrawals", &[("idempotency-key", &key)], body.as_bytes());
        assert_eq!((answer.status, answer.code()), (status, code), "{name}: {}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
        assert_eq!(answer.body["type"], format!("urn:holdfast:problem:{code}"), "{name}");
    }
    assert_eq!(sequence(&server), before, "nothing was journaled");

    // Headers and paths.
    let long = "k".repeat(129);
    for (name, method, path, headers, body, status, code) in [
        ("no key", "POST", "/v1/withdrawals", vec![], good.as_str(), 400, "idempotency_key_missing"),
        (
            "long key",
            "POST",
            "/v1/withdrawals",
            vec![("idempotency-key", long.as_str())],
            &good,
            400,
            "idempotency_key_invalid",
        ),
        (
            "key with a space",
            "POST",
            "/v1/withdrawals",
            vec![("idempotency-key", "a b")],
            &good,
            400,
            "idempotency_key_invalid",
        ),
        (
            "two keys",
            "POST",
            "/v1/withdrawals",
            vec![("idempotency-key", "a"), ("idempotency-key", "b")],
            &good,
            400,
            "idempotency_key_invalid",
        ),
        (
            "form",
            "POST",
            "/v1/withdrawals",
            vec![("content-type", "text/plain"), ("idempotency-key", "a")],
            &good,
            415,
            "unsupported_media_type",
        ),
        ("no such path", "GET", "/v1/withdrawal", vec![], "", 404, "not_found"),
        ("another method", "PATCH", "/v1/withdrawals", vec![], "", 405, "method_not_allowed"),
        ("no id", "GET", "/v1/withdrawals/wd_1", vec![], "", 404, "path_invalid"),
        (
            "zero price",
            "PUT",
            "/v1/prices",
            vec![],
            r#"{"prices":[{"asset":"BTC","usd":"0"}]}"#,
            422,
            "price_malformed",
        ),
        (
            "exact price",
            "PUT",
            "/v1/prices",
            vec![],
            r#"{"prices":[{"asset":"BTC","usd":"1.0000001"}]}"#,
            422,
            "price_malformed",
        ),
        ("no prices", "PUT", "/v1/prices", vec![], r#"{"prices":[]}"#, 422, "too_many_items"),
        ("halt of what", "POST", "/v1/halts", vec![], r#"{"scope":"everything"}"#, 422, "scope_invalid"),
        (
            "an ip",
            "PUT",
            "/v1/accounts/ac_1/api-keys/k",
            vec![],
            r#"{"scopes":["read"],"ip_allowlist":["1.2.3"],"algorithm":"hmac_sha256","secret":"0123456789abcdef"}"#,
            422,
            "ip_invalid",
        ),
        (
            "short secret",
            "PUT",
            "/v1/accounts/ac_1/api-keys/k",
            vec![],
            r#"{"scopes":["read"],"algorithm":"hmac_sha256","secret":"short"}"#,
            422,
            "key_hmac_length",
        ),
        (
            "secret for rsa",
            "PUT",
            "/v1/accounts/ac_1/api-keys/k",
            vec![],
            r#"{"scopes":["read"],"algorithm":"rsa","secret":"0123456789abcdef"}"#,
            422,
            "key_algorithm_mismatch",
        ),
        (
            "private key",
            "PUT",
            "/v1/accounts/ac_1/api-keys/k",
            vec![],
            "{\"scopes\":[\"read\"],\"algorithm\":\"ed25519\",\"public_key\":\"-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\"}",
            422,
            "key_is_private",
        ),
    ] {
        let answer = server.call(method, path, &headers, body.as_bytes());
        assert_eq!((answer.status, answer.code()), (status, code), "{name}: {}", answer.text);
    }
    assert_eq!(sequence(&server), before, "nothing was journaled");

    // No secret of a request is in the log.
    assert!(!server.log().contains("0123456789abcdef"));
    assert!(!server.log().contains(&server.token));
    // And the server is well.
    assert_eq!(server.withdraw("good", &withdrawal("0.01")).status, 201);
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn huge_bodies_and_slow_clients_are_cut_off() {
    let exchange = Exchange::open(&[]);
    let config = exchange.dir.path().join("server.toml");
    std::fs::write(&config, "[limits]\nhead_seconds = 1\nbody_seconds = 1\nconnections_max = 8\n").unwrap();
    let server = exchange.ready(&["--config", config.to_str().unwrap()]);

    // Declared too large: refused before a byte of it is read.
    let mut stream = connect(&server);
    let head = format!(
        "POST /v1/withdrawals HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: a\r\n\
         content-type: application/json\r\n",
        server.token
    );
    write!(stream, "{head}content-length: 1000000000\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");

    // Not declared, but too large.
    let body = withdrawal("1").to_string().replace("ac_1", &"a".repeat(70_000));
    let answer = server.call("POST", "/v1/withdrawals", &[("idempotency-key", "b")], body.as_bytes());
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));

    // A head that never ends.
    let mut stream = connect(&server);
    write!(stream, "GET /health HTTP/1.1\r\nhost: x\r\n").unwrap();
    let mut rest = Vec::new();
    let closed = stream.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(!matches!(closed, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{closed:?}");

    // A body that never ends.
    let mut stream = connect(&server);
    write!(stream, "{head}content-length: 100\r\n\r\n{{\"account\":").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");

    // Connections that say nothing, more of them than there may be, do not shut others out.
    let idle: Vec<TcpStream> = (0..16).map(|_| connect(&server)).collect();
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.withdraw("c", &withdrawal("1")).status, 201);
    drop(idle);

    // Nor do those that stay open after their first request.
    let mut kept: Vec<TcpStream> = (0..7).map(|_| connect(&server)).collect();
    for stream in &mut kept {
        write!(stream, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    for stream in &mut kept {
        // The rest of the answer, and then the end.
        stream.read_to_end(&mut rest).unwrap();
    }
}
