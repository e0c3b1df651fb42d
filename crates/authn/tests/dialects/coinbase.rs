//! Coinbase's legacy keys.

use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_values::{Network, Timestamp, time};

use crate::sample::{
    BTC_ADDRESS, EVM_ADDRESS, PASSPHRASE, SECRET, Sample, XRP_ADDRESS, hex, hmac_sha256,
    refuses_what_was_changed,
};

const HEADERS: [&str; 3] = ["CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-TIMESTAMP"];
const BTC: &str =
    r#"{"type":"send","to":"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4","amount":"0.75","currency":"BTC"}"#;

fn key() -> KeyMaterial {
    KeyMaterial::shared(Dialect::Coinbase, SECRET, None).unwrap()
}

fn sent(line: &str, signature: &str, body: &str) -> Sample {
    let headers = [
        ("CB-VERSION", "2018-05-30"),
        ("CB-ACCESS-KEY", "throwaway-key-1"),
        ("CB-ACCESS-SIGN", signature),
        ("CB-ACCESS-TIMESTAMP", "1795353413"),
        ("Content-Type", "application/json"),
    ];
    Sample::new(Dialect::Coinbase, line, &headers, body)
}

fn withdrawal() -> Sample {
    sent(
        "POST /v2/accounts/c6afbd34-4bd0-501e-8616-4862c193cd84/transactions",
        "acdb81e9d5f9c480d052cb61b7fe975489f3d5b84bfed2ffc170bee46dce26d9",
        BTC,
    )
}

fn signed(sample: Sample) -> Sample {
    let payload = [
        sample.get("CB-ACCESS-TIMESTAMP").as_bytes(),
        sample.method.as_bytes(),
        sample.path.as_bytes(),
        &sample.body,
    ]
    .concat();
    sample.setting("CB-ACCESS-SIGN", &hex(&hmac_sha256(&payload)))
}

#[test]
fn ccxt_withdrawals_verify_and_say_what_was_asked() {
    let usdt = r#"{"type":"send","to":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","amount":"1234.5","currency":"USDT","network":"ethereum","idem":"order-1"}"#;
    let xrp = r#"{"type":"send","to":"rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY","amount":"20","currency":"XRP","destination_tag":"12345","network":"ripple"}"#;
    for (sample, said, tag, order) in [
        (withdrawal(), ("BTC", Network::Bitcoin, BTC_ADDRESS, "0.75"), None, None),
        (
            sent(
                "POST /v2/accounts/USDT/transactions",
                "3169c167211bdc95540955f5aeee6dbd3b45c533fff649af1ec8d588a13cf127",
                usdt,
            ),
            ("USDT", Network::Ethereum, EVM_ADDRESS, "1234.5"),
            None,
            Some("order-1"),
        ),
        (
            sent(
                "POST /v2/accounts/XRP/transactions",
                "e777b00cefd3b7281fe754b2c58289a678148e184b061d467b005649d279bebb",
                xrp,
            ),
            ("XRP", Network::Xrp, XRP_ADDRESS, "20"),
            Some("12345"),
            None,
        ),
    ] {
        let verified = sample.verify(&key()).unwrap();
        assert_eq!(
            (verified.signed_at, verified.window),
            (Timestamp(1_795_353_413_000_000), 30 * time::SECOND)
        );
        let address = verified.address.as_deref().unwrap();
        assert_eq!(
            (verified.asset.as_str(), verified.network.unwrap(), address, &*verified.amount_text),
            said
        );
        assert_eq!((verified.tag.as_deref(), verified.client_order_id.as_deref()), (tag, order));
    }
}

#[test]
fn queries_are_signed_on_v2_and_only_read_on_v3() {
    let v2 = sent(
        "GET /v2/accounts?limit=5",
        "1e34c2d992175c437764c7f62bbbf10667c5e7984dc9a1703b9b1235cfa4f9b0",
        "",
    );
    let v3 = sent(
        "GET /api/v3/brokerage/accounts?limit=5",
        "9d767995c51a37402c54db25acc1f5c4365a13f036ee09abd05cc4835556441d",
        "",
    );
    for sample in [&v2, &v3] {
        assert_eq!((sample.gate(&key()), sample.code(&key())), ("genuine", "wrong_endpoint"));
    }
    let limit = |sample: &Sample| sample.with(|sample| sample.query = b"limit=6".to_vec()).gate(&key());
    assert_eq!((limit(&v2), limit(&v3)), ("signature_invalid", "genuine"));
    // Whatever the query says, it is the same request: who judges replays sees the second one.
    let other = v3.with(|sample| sample.query = b"limit=6".to_vec());
    assert_eq!(v3.read().unwrap().digest(), other.read().unwrap().digest());
    // Lists are one name many times over.
    let list = v3.with(|sample| sample.query = b"product_ids=A&product_ids=B".to_vec());
    assert_eq!(list.gate(&key()), "genuine");
    // Nothing that acts has a query.
    let acting = withdrawal().with(|sample| sample.query = b"amount=9".to_vec());
    assert_eq!(acting.gate(&key()), "query_unsigned");
    assert_eq!(v3.with(|sample| sample.method = "DELETE".into()).gate(&key()), "query_unsigned");
}

#[test]
fn bearer_tokens_are_refused_whatever_stands_beside_them() {
    let token = "Bearer eyJhbGciOiJFUzI1NiJ9.e30.AAAA";
    assert_eq!(withdrawal().setting("Authorization", token).code(&key()), "bearer_token_refused");
    let alone = withdrawal().setting("authorization", token).with(|sample| {
        sample.headers.retain(|(name, _)| !name.starts_with("CB-"));
    });
    assert_eq!(alone.code(&key()), "bearer_token_refused");
    let error = alone.read().unwrap_err().to_string();
    assert!(error.contains("does not cover the body"), "{error}");
}

#[test]
fn what_was_changed_is_refused() {
    refuses_what_was_changed(&withdrawal(), &key(), "CB-ACCESS-SIGN", &HEADERS);
    let sample = withdrawal();
    for (expected, changed) in [
        ("signature_invalid", sample.setting("CB-ACCESS-TIMESTAMP", "1795353414")),
        ("signature_invalid", sample.setting("CB-ACCESS-TIMESTAMP", "1795353413.0")),
        ("timestamp_invalid", sample.setting("CB-ACCESS-TIMESTAMP", "1795353413562")),
        ("timestamp_invalid", sample.setting("CB-ACCESS-TIMESTAMP", "1795353413.1234567")),
        ("signature_invalid", sample.with(|sample| sample.path = "/v2/accounts/other/transactions".into())),
        ("signature_invalid", sample.with(|sample| sample.method = "PUT".into())),
        ("body_unexpected", sample.with(|sample| sample.method = "GET".into())),
        // A passphrase that the key does not have.
        ("passphrase_invalid", sample.setting("CB-ACCESS-PASSPHRASE", PASSPHRASE)),
    ] {
        assert_eq!(changed.code(&key()), expected, "{changed:?}");
    }
    let with = KeyMaterial::shared(Dialect::Coinbase, SECRET, Some(PASSPHRASE)).unwrap();
    for (expected, shown) in
        [("verified", PASSPHRASE), ("passphrase_invalid", "open sesam"), ("passphrase_invalid", "")]
    {
        assert_eq!(sample.setting("CB-ACCESS-PASSPHRASE", shown).code(&with), expected);
    }
    assert_eq!(sample.code(&with), "passphrase_invalid");
    // Endpoints.
    for path in [
        "/v2/accounts//transactions",
        "/v2/accounts/a/b/transactions",
        "/v2/accounts/a/transactions/x",
        "/v2/transactions",
    ] {
        let moved = signed(sample.with(|sample| sample.path = path.into()));
        assert!(["wrong_endpoint", "path_malformed"].contains(&moved.code(&key())), "{path}");
    }
}

#[test]
fn a_body_says_one_thing() {
    for (expected, from, to) in [
        ("verified", r#""0.75""#, "0.75"),
        ("verified", r#""type""#, r#""travel_rule_data":{"a":[1]},"skip_notifications":true,"type""#),
        ("duplicate_parameter", r#""amount""#, r#""amount":"9","amount""#),
        ("unknown_parameter", r#""amount""#, r#""address":"x","amount""#),
        ("parameter_invalid", r#""send""#, r#""transfer""#),
        ("parameter_missing", r#""type":"send","#, ""),
        ("parameter_invalid", r#""0.75""#, r#""0,75""#),
        ("parameter_invalid", r#""BTC""#, r#""btc""#),
        ("network_missing", r#""BTC""#, r#""USDC""#),
    ] {
        let changed = signed(withdrawal().with_body(from, to));
        assert_eq!(changed.code(&key()), expected, "{from} -> {to}");
    }
}
