//! Bybit.

use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_values::{Network, Timestamp, time};

use crate::sample::{
    BTC_ADDRESS, EVM_ADDRESS, SECRET, SIGNED_AT_MICROS, Sample, XRP_ADDRESS, hex, hmac_sha256,
    refuses_what_was_changed,
};

const HEADERS: [&str; 3] = ["X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-SIGN"];
const BTC: &str = r#"{"coin":"BTC","amount":"0.75","address":"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4","timestamp":1795353413562,"accountType":"SPOT","chain":"BTC"}"#;

fn key() -> KeyMaterial {
    KeyMaterial::shared(Dialect::Bybit, SECRET, None).unwrap()
}

fn sent(line: &str, signature: &str, body: &str) -> Sample {
    let headers = [
        ("Content-Type", "application/json"),
        ("X-BAPI-API-KEY", "throwaway-key-1"),
        ("X-BAPI-TIMESTAMP", "1795353413562"),
        ("X-BAPI-RECV-WINDOW", "5000"),
        ("X-BAPI-SIGN", signature),
        ("Referer", "CCXT"),
    ];
    Sample::new(Dialect::Bybit, line, &headers, body)
}

fn withdrawal() -> Sample {
    let signature = "88855c9a2dd399b4a78cd2177293417a6a27fdf04cd966be0530b581947f65ca";
    sent("POST /v5/asset/withdraw/create", signature, BTC)
}

fn signed(sample: Sample) -> Sample {
    let payload = [
        sample.get("X-BAPI-TIMESTAMP").as_bytes(),
        sample.get("X-BAPI-API-KEY").as_bytes(),
        sample.get("X-BAPI-RECV-WINDOW").as_bytes(),
        &sample.query,
        &sample.body,
    ]
    .concat();
    sample.setting("X-BAPI-SIGN", &hex(&hmac_sha256(&payload)))
}

#[test]
fn ccxt_withdrawals_verify_and_say_what_was_asked() {
    let path = "POST /v5/asset/withdraw/create";
    let usdt = r#"{"coin":"USDT","amount":"1234.5","address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","timestamp":1795353413562,"accountType":"SPOT","chain":"ETH","requestId":"order-1"}"#;
    let xrp = r#"{"coin":"XRP","amount":"20","address":"rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY","timestamp":1795353413562,"accountType":"SPOT","tag":"12345","chain":"XRP"}"#;
    for (sample, said, tag, order) in [
        (withdrawal(), ("BTC", Network::Bitcoin, BTC_ADDRESS, "0.75"), None, None),
        (
            sent(path, "abb1e9dccad50657372e61261c2ba91b1ba2a554b97c30311eb1d8bd52e336fd", usdt),
            ("USDT", Network::Ethereum, EVM_ADDRESS, "1234.5"),
            None,
            Some("order-1"),
        ),
        (
            sent(path, "510b9f220e6b289d32f9c683ffc0dad2eb1082edb9d1ba1164d69d4966943c6e", xrp),
            ("XRP", Network::Xrp, XRP_ADDRESS, "20"),
            Some("12345"),
            None,
        ),
    ] {
        let verified = sample.verify(&key()).unwrap();
        assert_eq!((verified.signed_at, verified.window), (Timestamp(SIGNED_AT_MICROS), 5 * time::SECOND));
        let address = verified.address.as_deref().unwrap();
        assert_eq!(
            (verified.asset.as_str(), verified.network.unwrap(), address, &*verified.amount_text),
            said
        );
        assert_eq!((verified.tag.as_deref(), verified.client_order_id.as_deref()), (tag, order));
    }
}

#[test]
fn other_requests_of_ccxt_are_genuine() {
    let balance = sent(
        "GET /v5/account/wallet-balance?accountType=UNIFIED&coin=BTC",
        "7be07cda3828c4a5e4c3b5a9d987ad973b12714a22812b43be2f0abf3b87d517",
        "",
    );
    let nothing = sent(
        "GET /v5/user/query-api",
        "54cd4b96267190e45460198fbc16000fe540485bdcc5957a7d858c942e42c5c6",
        "",
    );
    for sample in [&balance, &nothing] {
        assert_eq!((sample.gate(&key()), sample.code(&key())), ("genuine", "wrong_endpoint"));
    }
    for (expected, query) in [
        ("signature_invalid", "coin=BTC&accountType=UNIFIED"),
        ("signature_invalid", ""),
        ("duplicate_parameter", "coin=BTC&coin=BTC"),
        ("malformed_parameter", "coin"),
        ("malformed_parameter", "1=1"),
        ("query_malformed", "coin=B TC"),
    ] {
        assert_eq!(balance.with(|sample| sample.query = query.into()).gate(&key()), expected, "{query}");
    }
    // What was signed for reading is nothing that acts, and the other way round.
    let acting = balance.with(|sample| {
        sample.method = "POST".into();
        sample.body = core::mem::take(&mut sample.query);
    });
    assert_eq!(acting.gate(&key()), "body_malformed");
    let reading = withdrawal().with(|sample| {
        sample.method = "GET".into();
        sample.query = core::mem::take(&mut sample.body);
    });
    assert_eq!(reading.gate(&key()), "malformed_parameter");
    assert_eq!(withdrawal().with(|sample| sample.query = b"a=b".to_vec()).gate(&key()), "query_unsigned");
    assert_eq!(balance.with(|sample| sample.body = b"{}".to_vec()).gate(&key()), "body_unexpected");
}

#[test]
fn what_was_changed_is_refused() {
    refuses_what_was_changed(&withdrawal(), &key(), "X-BAPI-SIGN", &HEADERS);
    let sample = withdrawal();
    for (expected, changed) in [
        ("signature_invalid", sample.setting("X-BAPI-TIMESTAMP", "1795353413563")),
        ("timestamp_invalid", sample.setting("X-BAPI-TIMESTAMP", "1795353413")),
        ("timestamp_invalid", sample.setting("X-BAPI-TIMESTAMP", "17953534135625")),
        ("signature_invalid", sample.setting("X-BAPI-RECV-WINDOW", "50000")),
        ("window_invalid", sample.setting("X-BAPI-RECV-WINDOW", "60001")),
        ("window_invalid", sample.setting("X-BAPI-RECV-WINDOW", "05000")),
        ("window_invalid", sample.setting("X-BAPI-RECV-WINDOW", "")),
        ("signature_invalid", sample.setting("X-BAPI-API-KEY", "throwaway-key-2")),
        (
            "header_repeated",
            sample.with(|sample| sample.headers.push(("x-bapi-recv-window".into(), "5000".into()))),
        ),
        (
            "signature_invalid",
            sample.with(|sample| sample.headers.retain(|(name, _)| name != "X-BAPI-RECV-WINDOW")),
        ),
        // Neither is signed: so a withdrawal has one path and one method.
        ("wrong_endpoint", sample.with(|sample| sample.path = "/v5/asset/withdraw/cancel".into())),
        ("wrong_endpoint", sample.with(|sample| sample.method = "PUT".into())),
    ] {
        assert_eq!(changed.code(&key()), expected, "{changed:?}");
    }
    // Without a window the default holds.
    let without =
        signed(sample.with(|sample| sample.headers.retain(|(name, _)| name != "X-BAPI-RECV-WINDOW")));
    assert_eq!(without.verify(&key()).unwrap().window, 5 * time::SECOND);
}

#[test]
fn no_border_of_what_is_signed_can_be_moved() {
    let sample = signed(withdrawal().with(|sample| {
        sample.method = "GET".into();
        sample.body.clear();
        sample.query = b"a1=1".to_vec();
    }));
    let rest = "50a1=1";
    let sample = signed(sample.setting("X-BAPI-RECV-WINDOW", "50"));
    for border in 0..=rest.len() {
        let moved = sample.with(|sample| {
            sample.set("X-BAPI-RECV-WINDOW", &rest[..border]);
            sample.query = rest[border..].into();
        });
        assert_eq!(moved.gate(&key()) == "genuine", border == 2, "{border}");
    }
}

#[test]
fn a_body_says_one_thing() {
    for (expected, from, to) in [
        ("verified", r#""0.75""#, "0.75"),
        (
            "verified",
            r#""chain""#,
            r#""beneficiary":{"vaspEntityId":"x"},"forceChain":1,"feeType":0,"chain""#,
        ),
        ("duplicate_parameter", r#""chain""#, r#""coin":"BTC","chain""#),
        ("unknown_parameter", r#""chain""#, r#""toAddress":"x","chain""#),
        ("parameter_invalid", r#""chain""#, r#""forceChain":2,"chain""#),
        ("parameter_invalid", r#""0.75""#, "7.5E-1"),
        ("parameter_missing", r#""amount":"0.75","#, ""),
        ("network_unknown", r#""chain":"BTC""#, r#""chain":"btc""#),
    ] {
        let changed = signed(withdrawal().with_body(from, to));
        assert_eq!(changed.code(&key()), expected, "{from} -> {to}");
    }
}
