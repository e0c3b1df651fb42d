//! KuCoin.

use holdfast_authn::{Dialect, KeyMaterial, encoding::to_base64};
use holdfast_values::{Network, Timestamp, time};

use crate::sample::{
    BTC_ADDRESS, EVM_ADDRESS, PASSPHRASE, SECRET, SIGNED_AT_MICROS, Sample, XRP_ADDRESS, hmac_sha256,
    refuses_what_was_changed,
};

const HEADERS: [&str; 5] =
    ["KC-API-KEY", "KC-API-PASSPHRASE", "KC-API-TIMESTAMP", "KC-API-SIGN", "KC-API-KEY-VERSION"];
const BTC: &str = r#"{"currency":"BTC","toAddress":"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4","withdrawType":"ADDRESS","chain":"btc","amount":0.75}"#;

fn key() -> KeyMaterial {
    KeyMaterial::shared(Dialect::Kucoin, SECRET, Some(PASSPHRASE)).unwrap()
}

fn sent(line: &str, signature: &str, body: &str) -> Sample {
    let headers = [
        ("KC-API-KEY-VERSION", "2"),
        ("KC-API-KEY", "throwaway-key-1"),
        ("KC-API-TIMESTAMP", "1795353413562"),
        ("KC-API-PASSPHRASE", "3uWH3oHds6iV3EH92PL01SboUtGrhf/LEKRCUxUCgUg="),
        ("KC-API-SIGN", signature),
        ("KC-API-PARTNER", "ccxt"),
    ];
    Sample::new(Dialect::Kucoin, line, &headers, body)
}

fn withdrawal() -> Sample {
    sent("POST /api/v3/withdrawals", "lV9D9FWsKcb1/S8XmidbLNYftYOVcB3IuuLMz+fTk2M=", BTC)
}

fn signed(sample: Sample) -> Sample {
    let mark: &[u8] = if sample.query.is_empty() { b"" } else { b"?" };
    let payload = [
        sample.get("KC-API-TIMESTAMP").as_bytes(),
        sample.method.as_bytes(),
        sample.path.as_bytes(),
        mark,
        &sample.query,
        &sample.body,
    ]
    .concat();
    sample.setting("KC-API-SIGN", &to_base64(&hmac_sha256(&payload)))
}

#[test]
fn ccxt_withdrawals_verify_and_say_what_was_asked() {
    let path = "POST /api/v3/withdrawals";
    let usdt = r#"{"currency":"USDT","toAddress":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","withdrawType":"ADDRESS","chain":"eth","amount":1234.5}"#;
    let xrp = r#"{"currency":"XRP","toAddress":"rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY","withdrawType":"ADDRESS","memo":"12345","chain":"xrp","amount":20}"#;
    for (sample, said, tag) in [
        (withdrawal(), ("BTC", Network::Bitcoin, BTC_ADDRESS, "0.75"), None),
        (
            sent(path, "MKy80oV45VKOBah6QLdZICQYIuvttWhqxABWlQQKAl8=", usdt),
            ("USDT", Network::Ethereum, EVM_ADDRESS, "1234.5"),
            None,
        ),
        (
            sent(path, "kPPRpxvGdtuiKBI3eVriq0Uy+qNRUPOUweUEA9peY+8=", xrp),
            ("XRP", Network::Xrp, XRP_ADDRESS, "20"),
            Some("12345"),
        ),
    ] {
        let verified = sample.verify(&key()).unwrap();
        assert_eq!((verified.signed_at, verified.window), (Timestamp(SIGNED_AT_MICROS), 5 * time::SECOND));
        let address = verified.address.as_deref().unwrap();
        assert_eq!(
            (verified.asset.as_str(), verified.network.unwrap(), address, &*verified.amount_text),
            said
        );
        assert_eq!(verified.tag.as_deref(), tag);
    }
    let accounts = sent(
        "GET /api/v1/accounts?currency=BTC&type=trade",
        "6Yl/m+6/GRYAhHXIg2BgYJcbwJinNZTRXTdqBxgybG0=",
        "",
    );
    assert_eq!((accounts.gate(&key()), accounts.code(&key())), ("genuine", "wrong_endpoint"));
    let swapped = accounts.with(|sample| sample.query = b"type=trade&currency=BTC".to_vec());
    assert_eq!(swapped.gate(&key()), "signature_invalid");
}

#[test]
fn an_amount_that_a_program_wrote_with_an_exponent_is_refused() {
    // JavaScript prints 0.0000001 so. The signature is ccxt's own.
    let sample = sent(
        "POST /api/v3/withdrawals",
        "7DgufpZZFc6pashvyxVuVvGRIbH1WtHFJ231EEpXwpQ=",
        &BTC.replace("0.75", "1e-7"),
    );
    assert_eq!((sample.gate(&key()), sample.code(&key())), ("genuine", "parameter_invalid"));
    // No digit is lost on the way.
    let long = "123456789012345678901234567890.123456789012345678901234567890";
    let sample = signed(withdrawal().with_body("0.75", long));
    assert_eq!(&*sample.verify(&key()).unwrap().amount_text, long);
}

#[test]
fn what_was_changed_is_refused() {
    refuses_what_was_changed(&withdrawal(), &key(), "KC-API-SIGN", &HEADERS);
    let sample = withdrawal();
    let shown = sample.get("KC-API-PASSPHRASE").to_owned();
    for (expected, changed) in [
        ("key_version_unsupported", sample.setting("KC-API-KEY-VERSION", "1")),
        ("key_version_unsupported", sample.setting("KC-API-KEY-VERSION", "3")),
        ("passphrase_invalid", sample.setting("KC-API-PASSPHRASE", PASSPHRASE)),
        ("passphrase_invalid", sample.setting("KC-API-PASSPHRASE", &to_base64(&hmac_sha256(b"open sesam")))),
        ("passphrase_invalid", sample.setting("KC-API-PASSPHRASE", &shown[..43])),
        ("passphrase_invalid", sample.setting("KC-API-PASSPHRASE", "")),
        ("signature_invalid", sample.setting("KC-API-TIMESTAMP", "1795353413563")),
        ("timestamp_invalid", sample.setting("KC-API-TIMESTAMP", "1795353413")),
        ("timestamp_invalid", sample.setting("KC-API-TIMESTAMP", "2026-11-22T13:16:53.562Z")),
        ("signature_invalid", sample.with(|sample| sample.path = "/api/v1/withdrawals".into())),
        ("signature_invalid", sample.with(|sample| sample.method = "DELETE".into())),
        ("body_unexpected", sample.with(|sample| sample.method = "GET".into())),
    ] {
        assert_eq!(changed.code(&key()), expected, "{changed:?}");
    }
    let without = KeyMaterial::hmac_sha256(SECRET.as_bytes()).unwrap();
    assert_eq!(sample.code(&without), "passphrase_invalid", "the key must have a passphrase");
}

#[test]
fn a_body_says_one_thing() {
    for (expected, from, to) in [
        ("verified", "0.75", r#""0.75""#),
        (
            "verified",
            r#""amount""#,
            r#""isInner":false,"remark":"für später","feeDeductType":"INTERNAL","amount""#,
        ),
        ("duplicate_parameter", r#""amount""#, r#""amount":9,"amount""#),
        ("unknown_parameter", r#""amount""#, r#""address":"x","amount""#),
        ("parameter_invalid", r#""amount""#, r#""isInner":true,"amount""#),
        ("parameter_invalid", r#""amount""#, r#""isInner":"false","amount""#),
        ("parameter_invalid", "ADDRESS", "UID"),
        ("parameter_missing", r#""withdrawType":"ADDRESS","#, ""),
        ("parameter_missing", r#","amount":0.75"#, ""),
        ("parameter_invalid", "0.75", "-0.75"),
        ("body_malformed", "0.75", ".75"),
        ("body_malformed", "0.75", "00.75"),
        ("network_unknown", r#""chain":"btc""#, r#""chain":"BTC""#),
        ("verified", r#""chain":"btc","#, ""),
    ] {
        let changed = signed(withdrawal().with_body(from, to));
        assert_eq!(changed.code(&key()), expected, "{from} -> {to}");
    }
}
