//! What holds for every dialect.

use holdfast_authn::{Dialect, KeyError, KeyMaterial, RawRequest, parse, verify, verify_signature};
use proptest::prelude::*;

use crate::sample::{PASSPHRASE, SECRET};

#[test]
fn dialects_have_one_name_each() {
    let names: Vec<_> = Dialect::ALL.into_iter().map(Dialect::as_str).collect();
    assert_eq!(names, ["binance", "kraken", "okx", "bybit", "kucoin", "coinbase", "rfc9421"]);
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::from_name(dialect.as_str()), Some(dialect));
    }
    assert_eq!(Dialect::from_name("Binance"), None);
}

#[test]
fn passphrases_belong_to_the_dialects_that_have_them() {
    for (dialect, without, with) in [
        (Dialect::Binance, Ok(()), Err(KeyError::PassphraseUnexpected)),
        (Dialect::Okx, Err(KeyError::PassphraseUnexpected), Ok(())),
        (Dialect::Bybit, Ok(()), Err(KeyError::PassphraseUnexpected)),
        (Dialect::Kucoin, Err(KeyError::PassphraseUnexpected), Ok(())),
        (Dialect::Coinbase, Ok(()), Ok(())),
        (Dialect::HttpSignature, Ok(()), Err(KeyError::PassphraseUnexpected)),
    ] {
        assert_eq!(KeyMaterial::shared(dialect, SECRET, None).map(|_| ()), without, "{dialect:?}");
        assert_eq!(KeyMaterial::shared(dialect, SECRET, Some(PASSPHRASE)).map(|_| ()), with, "{dialect:?}");
    }
    for long in [String::new(), "x".repeat(129)] {
        let key = KeyMaterial::shared(Dialect::Okx, SECRET, Some(&long));
        assert_eq!(key.map(|_| ()), Err(KeyError::PassphraseLength));
    }
}

#[test]
fn nothing_secret_prints() {
    let key = KeyMaterial::shared(Dialect::Okx, SECRET, Some(PASSPHRASE)).unwrap();
    assert_eq!(format!("{key:?}"), "HmacSha256(HmacSecret(..))");
    let headers = [
        ("OK-ACCESS-KEY", "k"),
        ("OK-ACCESS-PASSPHRASE", PASSPHRASE),
        ("OK-ACCESS-TIMESTAMP", "2026-11-22T13:16:53.562Z"),
        ("OK-ACCESS-SIGN", "x"),
    ];
    let raw = RawRequest { method: "GET", path: "/", raw_query: b"", raw_body: b"", headers: &headers };
    let printed = format!("{:?}", parse(Dialect::Okx, &raw).unwrap());
    assert!(!printed.contains(PASSPHRASE), "{printed}");
}

fn header() -> impl Strategy<Value = (String, String)> {
    let names = [
        "X-MBX-APIKEY",
        "API-Key",
        "API-Sign",
        "Content-Type",
        "OK-ACCESS-KEY",
        "OK-ACCESS-SIGN",
        "OK-ACCESS-TIMESTAMP",
        "OK-ACCESS-PASSPHRASE",
        "X-BAPI-API-KEY",
        "X-BAPI-SIGN",
        "X-BAPI-TIMESTAMP",
        "X-BAPI-RECV-WINDOW",
        "KC-API-KEY",
        "KC-API-SIGN",
        "KC-API-TIMESTAMP",
        "KC-API-PASSPHRASE",
        "KC-API-KEY-VERSION",
        "CB-ACCESS-KEY",
        "CB-ACCESS-SIGN",
        "CB-ACCESS-TIMESTAMP",
        "Signature",
        "Signature-Input",
        "Content-Digest",
        "Host",
    ];
    let values = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "key-1", "1795353413562", "1795353413", "2026-11-22T13:16:53.562Z", "2", "5000", "AAAA", "sig1=:AAAA:", "a.test",
            "sig1=(\"@method\" \"@path\" \"@query\");created=1795353413;keyid=\"key-1\"",
            "sig1=(\"@method\" \"@target-uri\" \"host\");created=1795353413;expires=1795353414;keyid=\"key-1\";alg=\"ed25519\"",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", "application/json",
        ])
        .prop_map(str::to_owned),
    ];
    (prop::sample::select(names.to_vec()).prop_map(str::to_owned), values)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "a=b",
        "&",
        "=",
        "%41",
        "{",
        "}",
        "\"a\":1",
        ",",
        "[",
        "]",
        "nonce=1795353413562",
        "{\"nonce\":1795353413562}",
        "amount=1",
        "\u{fc}",
        "timestamp=1795353413562",
        "&signature=00",
    ]);
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..100),
        prop::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn arbitrary_requests_never_panic_and_mean_the_same_twice(
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        method in prop::sample::select(vec!["GET", "POST", "DELETE", "HEAD", "x", ""]),
        path in prop_oneof![Just("/v5/asset/withdraw/create".to_owned()), Just("/".to_owned()), any::<String>()],
        query in bytes(),
        body in bytes(),
        headers in prop::collection::vec(header(), 0..40),
    ) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let raw = RawRequest { method, path: &path, raw_query: &query, raw_body: &body, headers: &headers };
        let request = parse(dialect, &raw);
        let again = parse(dialect, &raw);
        prop_assert_eq!(
            request.as_ref().map(|request| *request.digest()).map_err(|error| error.code()),
            again.as_ref().map(|again| *again.digest()).map_err(|error| error.code())
        );
        if let Ok(request) = request {
            prop_assert!((1..=60_000_000).contains(&request.window()));
            for key in [
                KeyMaterial::hmac_sha256(SECRET.as_bytes()).unwrap(),
                KeyMaterial::ed25519([9; 32]).unwrap(),
            ] {
                prop_assert!(verify_signature(&request, &key).is_err());
                prop_assert!(verify(&request, &key).is_err());
            }
        }
    }
}
