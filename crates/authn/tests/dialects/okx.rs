//! OKX.

use holdfast_authn::{Dialect, KeyMaterial, encoding::to_base64};
use holdfast_values::{Network, Timestamp, time};

use crate::sample::{
    BTC_ADDRESS, EVM_ADDRESS, PASSPHRASE, SECRET, SIGNED_AT_MICROS, Sample, XRP_ADDRESS, hmac_sha256,
    refuses_what_was_changed,
};

const HEADERS: [&str; 4] = ["OK-ACCESS-KEY", "OK-ACCESS-PASSPHRASE", "OK-ACCESS-TIMESTAMP", "OK-ACCESS-SIGN"];
const BTC: &str = r#"{"ccy":"BTC","toAddr":"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4","dest":"4","amt":"0.75","chain":"BTC-Bitcoin","fee":"0.0001"}"#;

fn key() -> KeyMaterial {
    KeyMaterial::shared(Dialect::Okx, SECRET, Some(PASSPHRASE)).unwrap()
}

fn sent(line: &str, signature: &str, body: &str) -> Sample {
    let headers = [
        ("OK-ACCESS-KEY", "throwaway-key-1"),
        ("OK-ACCESS-PASSPHRASE", PASSPHRASE),
        ("OK-ACCESS-TIMESTAMP", "2026-11-22T13:16:53.562Z"),
        ("OK-ACCESS-SIGN", signature),
    ];
    Sample::new(Dialect::Okx, line, &headers, body)
}

fn withdrawal() -> Sample {
    sent("POST /api/v5/asset/withdrawal", "rSgkc0Wv9UN1avQ5F+h5Y3ksTDiHMTtdChKzYoN//TU=", BTC)
}

/// Signed anew, as its customer could.
fn signed(sample: Sample) -> Sample {
    let mark: &[u8] = if sample.query.is_empty() { b"" } else { b"?" };
    let payload = [
        sample.get("OK-ACCESS-TIMESTAMP").as_bytes(),
        sample.method.as_bytes(),
        sample.path.as_bytes(),
        mark,
        &sample.query,
        &sample.body,
    ]
    .concat();
    sample.setting("OK-ACCESS-SIGN", &to_base64(&hmac_sha256(&payload)))
}

#[test]
fn ccxt_withdrawals_verify_and_say_what_was_asked() {
    let path = "POST /api/v5/asset/withdrawal";
    let usdt = r#"{"ccy":"USDT","toAddr":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","dest":"4","amt":"1234.5","chain":"USDT-ERC20","fee":"1","clientId":"order1"}"#;
    let xrp = r#"{"ccy":"XRP","toAddr":"rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY:12345","dest":"4","amt":"20","chain":"XRP-Ripple","fee":"0.1"}"#;
    for (sample, said, tag, order) in [
        (withdrawal(), ("BTC", Network::Bitcoin, BTC_ADDRESS, "0.75"), None, None),
        (
            sent(path, "rJ2/rq4Y8DWeGOBIxHeb+z7s/Oe+tNqujZD6kqtMdNo=", usdt),
            ("USDT", Network::Ethereum, EVM_ADDRESS, "1234.5"),
            None,
            Some("order1"),
        ),
        (
            sent(path, "L+3hX10JLkEw6BgZLjgWiwcWjJEO1Opho9vhPgwILh4=", xrp),
            ("XRP", Network::Xrp, XRP_ADDRESS, "20"),
            Some("12345"),
            None,
        ),
    ] {
        let verified = sample.verify(&key()).unwrap();
        assert_eq!(verified.api_key.as_str(), "throwaway-key-1");
        assert_eq!((verified.signed_at, verified.window), (Timestamp(SIGNED_AT_MICROS), 30 * time::SECOND));
        let address = verified.address.as_deref().unwrap();
        assert_eq!(
            (verified.asset.as_str(), verified.network.unwrap(), address, &*verified.amount_text),
            said
        );
        assert_eq!((verified.tag.as_deref(), verified.client_order_id.as_deref()), (tag, order));
        assert_eq!(verified.destination_name, None);
    }
}

#[test]
fn other_requests_of_ccxt_are_genuine_but_withdraw_nothing() {
    let balance = sent(
        "GET /api/v5/account/balance?ccy=BTC%2CUSDT",
        "gGiph3ih1PU7kC1VZb9qnu4dVyk5XFUMDJgB1xrJFQE=",
        "",
    );
    assert_eq!((balance.gate(&key()), balance.code(&key())), ("genuine", "wrong_endpoint"));
    assert_eq!(balance.read().unwrap().field("ccy"), Some("BTC,USDT"));
    let batch = r#"[{"instId":"BTC-USDT","sz":"1","clOrdId":"6b9ad766b55dBCDEc40a3ac774c1b849","tag":"6b9ad766b55dBCDE"}]"#;
    let batch =
        sent("POST /api/v5/trade/batch-orders", "cvLkRIlh6Kf+s/Po1QBFr7LUrGZVeCnxeuifohyQXRo=", batch);
    assert_eq!((batch.gate(&key()), batch.code(&key())), ("genuine", "wrong_endpoint"));
    // Everything is bound: method, path, query, its order, and where things stand.
    for changed in [
        balance.with(|sample| sample.method = "HEAD".into()),
        balance.with(|sample| sample.path.push('s')),
        balance.with(|sample| sample.query = b"ccy=BTC,USDT".to_vec()),
        balance.with(|sample| sample.query.clear()),
        batch.with(|sample| sample.method = "PUT".into()),
        batch.with(|sample| sample.query = b"a=b".to_vec()),
    ] {
        assert_eq!(changed.gate(&key()), "signature_invalid", "{changed:?}");
    }
    let two = signed(balance.with(|sample| sample.query = b"a=1&b=2".to_vec()));
    assert_eq!(two.gate(&key()), "genuine");
    assert_eq!(two.with(|sample| sample.query = b"b=2&a=1".to_vec()).gate(&key()), "signature_invalid");
}

#[test]
fn what_was_changed_is_refused() {
    refuses_what_was_changed(&withdrawal(), &key(), "OK-ACCESS-SIGN", &HEADERS);
    let sample = withdrawal();
    for (expected, changed) in [
        ("passphrase_invalid", sample.setting("OK-ACCESS-PASSPHRASE", "open sesam")),
        ("passphrase_invalid", sample.setting("OK-ACCESS-PASSPHRASE", "")),
        ("signature_invalid", sample.setting("OK-ACCESS-TIMESTAMP", "2026-11-22T13:16:53.563Z")),
        ("timestamp_invalid", sample.setting("OK-ACCESS-TIMESTAMP", "2026-11-22T13:16:53Z")),
        ("timestamp_invalid", sample.setting("OK-ACCESS-TIMESTAMP", "1795353413.562")),
        ("timestamp_invalid", sample.setting("OK-ACCESS-TIMESTAMP", "2026-02-30T13:16:53.562Z")),
        ("signature_invalid", sample.with(|sample| sample.path = "/api/v5/asset/withdrawals".into())),
        ("signature_invalid", sample.with(|sample| sample.method = "PUT".into())),
        ("method_unsupported", sample.with(|sample| sample.method = "post".into())),
        ("body_unexpected", sample.with(|sample| sample.method = "GET".into())),
        ("api_key_malformed", sample.setting("OK-ACCESS-KEY", "key 1")),
        ("body_malformed", sample.setting("Content-Type", "application/x-www-form-urlencoded")),
        ("verified", sample.setting("Content-Type", "application/json; charset=utf-8")),
    ] {
        assert_eq!(changed.code(&key()), expected, "{changed:?}");
    }
    let without = KeyMaterial::hmac_sha256(SECRET.as_bytes()).unwrap();
    assert_eq!(sample.code(&without), "passphrase_invalid", "the key must have a passphrase");
}

#[test]
fn a_body_says_one_thing() {
    for (expected, from, to) in [
        ("verified", r#""0.75""#, "0.75"),
        ("verified", r#""0.75""#, "0.750000000000000000000000001"),
        ("verified", r#""chain":"BTC-Bitcoin","#, ""),
        ("verified", r#""fee""#, r#""rcvrInfo":{"walletType":"exchange"},"fee""#),
        ("verified", r#""fee""#, r#""clientId":null,"fee""#),
        ("duplicate_parameter", r#""fee""#, r#""amt":"9","fee""#),
        ("duplicate_parameter", r#""fee""#, r#""\u0061mt":"9","fee""#),
        ("duplicate_parameter", r#""fee""#, r#""rcvrInfo":{"a":1,"a":1},"fee""#),
        ("unknown_parameter", r#""fee""#, r#""Amt":"9","fee""#),
        ("unknown_parameter", r#""fee""#, r#""amount":"9","fee""#),
        ("body_malformed", r#"{"ccy""#, r#" {"ccy""#),
        ("body_malformed", r#"{"ccy""#, r#"ccy=BTC&{"ccy""#),
        ("body_malformed", r#"0.0001"}"#, r#"0.0001"}}"#),
        ("body_malformed", r#"0.0001"}"#, r#"0.0001",}"#),
        ("parameter_invalid", r#""0.75""#, "75e-2"),
        ("parameter_invalid", r#""0.75""#, "-0.75"),
        ("parameter_invalid", r#""0.75""#, r#""1e3""#),
        ("parameter_invalid", r#""0.75""#, "true"),
        ("parameter_invalid", r#""0.75""#, r#"["0.75"]"#),
        ("parameter_invalid", r#""BTC""#, r#"{"a":"BTC"}"#),
        ("parameter_invalid", r#""BTC""#, r#""btc""#),
        ("parameter_invalid", r#""dest":"4""#, r#""dest":"3""#),
        ("parameter_invalid", r#""dest":"4""#, r#""dest":4"#),
        ("parameter_missing", r#""dest":"4","#, ""),
        ("parameter_missing", r#""0.75""#, "null"),
        ("parameter_missing", r#""amt":"0.75","#, ""),
        ("parameter_invalid", "bc1qw5", "bc1q w5"),
        ("parameter_invalid", "bc1qw5", r"bc1q\u0000w5"),
        ("parameter_invalid", "bc1qw5", "bc1q\u{430}"),
        ("network_unknown", "BTC-Bitcoin", "BTC-bitcoin"),
        ("network_unknown", "BTC-Bitcoin", "Bitcoin"),
        ("network_unknown", "BTC-Bitcoin", "ETH-Bitcoin"),
        ("network_unknown", "BTC-Bitcoin", "BTC-Lightning"),
    ] {
        let changed = signed(withdrawal().with_body(from, to));
        assert_eq!(changed.code(&key()), expected, "{from} -> {to}");
    }
    let token = withdrawal()
        .with_body(r#""ccy":"BTC""#, r#""ccy":"USDT""#)
        .with_body(r#""chain":"BTC-Bitcoin","#, "");
    assert_eq!(signed(token).code(&key()), "network_missing");
    // Beside a query: parameters come once in both, and the query has no brackets.
    for (expected, query) in [
        ("duplicate_parameter", "amt=9"),
        ("duplicate_parameter", "x=1&x=2"),
        ("unknown_parameter", "x=1"),
        ("query_malformed", "x={"),
        ("query_malformed", "x[0]=1"),
        ("query_malformed", "x= 1"),
        ("query_malformed", "x=1#"),
        ("malformed_parameter", "x"),
        ("malformed_parameter", "x=%"),
        ("malformed_parameter", "x=1&&y=1"),
    ] {
        let changed = signed(withdrawal().with(|sample| sample.query = query.into()));
        assert_eq!(changed.code(&key()), expected, "{query}");
    }
}

#[test]
fn no_border_of_what_is_signed_can_be_moved() {
    let sample = signed(withdrawal().with(|sample| {
        sample.path = "/api/v5/x".into();
        sample.query = b"a=1&b=2".to_vec();
    }));
    let rest = [sample.path.as_bytes(), b"?", &sample.query, &sample.body].concat();
    let mut fitting = Vec::new();
    for path_end in 1..=rest.len() {
        for query_end in path_end..=rest.len() {
            let (Ok(path), query) = (str::from_utf8(&rest[..path_end]), &rest[path_end..query_end]) else {
                continue;
            };
            let moved = sample.with(|sample| {
                sample.path = path.into();
                sample.query = query.strip_prefix(b"?").unwrap_or(query).to_vec();
                sample.body = rest[query_end..].to_vec();
            });
            if moved.gate(&key()) == "genuine" {
                fitting.push((moved.path, moved.query, moved.body));
            }
        }
    }
    assert_eq!(fitting, [(sample.path.clone(), sample.query.clone(), sample.body.clone())]);
}
