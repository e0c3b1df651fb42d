//! Kraken.

use holdfast_authn::{Dialect, KeyError, KeyMaterial, encoding::to_base64};
use holdfast_values::{Timestamp, time};

use crate::sample::{
    BTC_ADDRESS, KRAKEN_SECRET, SECRET, SIGNED_AT_MICROS, Sample, hmac_sha512, refuses_what_was_changed,
    sha256,
};

const HEADERS: [&str; 2] = ["API-Key", "API-Sign"];
const BTC: &str = "nonce=1795353413562&asset=XXBT&amount=0.75&address=bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4&key=my%20cold%20wallet";

fn key() -> KeyMaterial {
    KeyMaterial::shared(Dialect::Kraken, KRAKEN_SECRET, None).unwrap()
}

fn sent(path: &str, signature: &str, kind: &str, body: &str) -> Sample {
    let headers = [("API-Key", "throwaway-key-1"), ("API-Sign", signature), ("Content-Type", kind)];
    Sample::new(Dialect::Kraken, &format!("POST {path}"), &headers, body)
}

fn withdrawal() -> Sample {
    let signature =
        "far3j+vC2aV1lfkX8Rcadk2gYsf6GcJy2q2kqDbz0Q1WqM4tB6adWYucP4jHWWQJ9olwC5FRuMlaQXX4iS6W9g==";
    sent("/0/private/Withdraw", signature, "application/x-www-form-urlencoded", BTC)
}

/// Signed anew with this nonce, which the body must carry.
fn signed(sample: Sample, nonce: &str) -> Sample {
    let hash = sha256(&[nonce.as_bytes(), &sample.body].concat());
    let tag = hmac_sha512(&[sample.path.as_bytes(), &hash].concat());
    sample.setting("API-Sign", &to_base64(&tag))
}

#[test]
fn ccxt_withdrawals_name_a_saved_destination() {
    let verified = withdrawal().verify(&key()).unwrap();
    assert_eq!(verified.asset.as_str(), "BTC");
    assert_eq!(verified.destination_name.as_deref(), Some("my cold wallet"));
    // The address beside it is signed as well; its network is the saved destination's.
    assert_eq!((verified.address.as_deref(), verified.network), (Some(BTC_ADDRESS), None));
    assert_eq!(&*verified.amount_text, "0.75");
    assert_eq!((verified.signed_at, verified.window), (Timestamp(SIGNED_AT_MICROS), 60 * time::SECOND));
    let saved = sent(
        "/0/private/Withdraw",
        "eeYVEPulPI28Z6v/okTKKb9OhltCZnwomif4fBqQ9CawRUh5Cf0r/MxOIhoVMVgX7CM/1wRWGmlSy5vtnG+fQA==",
        "application/x-www-form-urlencoded",
        "nonce=1795353413562&asset=XXBT&amount=0.75&key=cold",
    );
    let verified = saved.verify(&key()).unwrap();
    assert_eq!((verified.destination_name.as_deref(), verified.address), (Some("cold"), None));
}

#[test]
fn other_requests_of_ccxt_are_genuine_as_form_or_json() {
    let form = sent(
        "/0/private/Balance",
        "xz3v4hd3BfF6lUTVZ/o3O2Zm0osa0S1QSUyCz1V+BvidlO/qlAHwxE1G2l67r7B+HyepUUaMQPrVdDQHMZaFTA==",
        "application/x-www-form-urlencoded",
        "nonce=1795353413562",
    );
    let json = sent(
        "/0/private/CancelOrderBatch",
        "l5Jt2DJndqXVj4UpdmrEe1GAAV9aOUsBmHI3ixUvqRF0L69Nz7KXMEr7+vQCpYgeFCiPlWP3aFABhA1Hue4w1w==",
        "application/json",
        r#"{"nonce":"1795353413562","orders":["O1","O2"]}"#,
    );
    for sample in [&form, &json] {
        assert_eq!((sample.gate(&key()), sample.code(&key())), ("genuine", "wrong_endpoint"));
        assert_eq!(sample.read().unwrap().nonce(), Some(1_795_353_413_562));
        assert_eq!(
            sample.with(|sample| sample.path = "/0/private/Withdraw".into()).gate(&key()),
            "signature_invalid"
        );
    }
    // What reads the body must be what was judged.
    assert_eq!(form.setting("Content-Type", "application/json").gate(&key()), "body_malformed");
    assert_eq!(
        json.setting("Content-Type", "application/x-www-form-urlencoded").gate(&key()),
        "body_malformed"
    );
    assert_eq!(json.setting("Content-Type", "Application/JSON; charset=utf-8").gate(&key()), "genuine");
    let number = signed(json.with_body(r#""1795353413562""#, "1795353413562"), "1795353413562");
    assert_eq!(number.gate(&key()), "genuine");
    // Nested names, as ccxt spells them.
    let nested = form.with(|sample| sample.body = b"nonce=1795353413562&close%5Bordertype%5D=limit".to_vec());
    assert_eq!(signed(nested, "1795353413562").gate(&key()), "genuine");
}

#[test]
fn the_example_of_krakens_documentation_verifies() {
    let key = KeyMaterial::shared(
        Dialect::Kraken,
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==",
        None,
    );
    let sample = sent(
        "/0/private/AddOrder",
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
        "application/x-www-form-urlencoded",
        "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
    );
    assert_eq!(sample.gate(&key.unwrap()), "genuine");
}

#[test]
fn what_was_changed_is_refused() {
    refuses_what_was_changed(&withdrawal(), &key(), "API-Sign", &HEADERS);
    let sample = withdrawal();
    for (expected, changed) in [
        ("signature_invalid", sample.with(|sample| sample.path = "/0/private/WithdrawStatus".into())),
        ("signature_invalid", sample.with_body("1795353413562", "1795353413563")),
        ("query_unsigned", sample.with(|sample| sample.query = b"key=hot".to_vec())),
        ("method_unsupported", sample.with(|sample| sample.method = "GET".into())),
        ("method_unsupported", sample.with(|sample| sample.method = "PUT".into())),
        ("request_too_large", sample.with(|sample| sample.body = vec![b'a'; 8 * 1024 + 1])),
    ] {
        assert_eq!(changed.code(&key()), expected, "{changed:?}");
    }
    assert_eq!(sample.code(&KeyMaterial::hmac_sha256(SECRET.as_bytes()).unwrap()), "signature_invalid");
    for (expected, secret, passphrase) in [
        (KeyError::HmacBase64, SECRET, None),
        (KeyError::HmacBase64, &KRAKEN_SECRET[1..], None),
        (KeyError::HmacLength, "YQ==", None),
        (KeyError::PassphraseUnexpected, KRAKEN_SECRET, Some("x")),
    ] {
        let key = KeyMaterial::shared(Dialect::Kraken, secret, passphrase);
        assert_eq!(key.map(|_| ()).unwrap_err(), expected, "{secret}");
    }
}

#[test]
fn a_nonce_is_a_time() {
    for (expected, nonce) in [
        ("verified", "1795353413562"),
        ("verified", "1795353413562123"),
        ("verified", "1795353413562123456"),
        ("nonce_invalid", "1795353413"),
        ("nonce_invalid", "17953534135621"),
        ("nonce_invalid", "0795353413562"),
        ("nonce_invalid", "-795353413562"),
        ("nonce_invalid", "179535341356x"),
        ("nonce_invalid", ""),
        ("nonce_invalid", "99999999999999999999"),
    ] {
        let sample = signed(withdrawal().with_body("1795353413562", nonce), nonce);
        assert_eq!(sample.code(&key()), expected, "{nonce}");
        if expected == "verified" {
            let request = sample.read().unwrap();
            assert_eq!(request.nonce(), nonce.parse().ok());
            assert_eq!(request.signed_at().0 / 1_000, 1_795_353_413_562);
        }
    }
    assert_eq!(withdrawal().with_body("nonce=1795353413562&", "").code(&key()), "nonce_missing");
}

#[test]
fn a_body_says_one_thing() {
    for (expected, from, to) in [
        ("verified", "amount=0.75", "amount=0.75&max_fee=0.001"),
        ("verified", "XXBT", "XBT"),
        ("verified", "my%20cold%20wallet", "f%C3%BCr%20sp%C3%A4ter"),
        ("duplicate_parameter", "amount=0.75", "amount=0.75&amount=9"),
        ("duplicate_parameter", "amount=0.75", "amount=0.75&k%65y=hot"),
        ("duplicate_parameter", "amount=0.75", "amount=0.75&nonce=1795353413562"),
        ("unknown_parameter", "amount=0.75", "amount=0.75&foo=1"),
        ("unknown_parameter", "amount=0.75", "amount=0.75&key%5B%5D=hot"),
        ("malformed_parameter", "my%20cold%20wallet", "my+cold+wallet"),
        ("malformed_parameter", "my%20cold%20wallet", "my=wallet"),
        ("malformed_parameter", "my%20cold%20wallet", "my%0awallet"),
        ("malformed_parameter", "my%20cold%20wallet", "my%ffwallet"),
        ("malformed_parameter", "amount=0.75", "amount=0.75&"),
        ("parameter_invalid", "my%20cold%20wallet", "my%20"),
        ("parameter_invalid", "amount=0.75", "amount=75e-2"),
        ("parameter_invalid", "asset=XXBT", "asset=xbt"),
        ("parameter_missing", "my%20cold%20wallet", ""),
        ("parameter_missing", "&key=my%20cold%20wallet", ""),
    ] {
        let changed = signed(withdrawal().with_body(from, to), "1795353413562");
        assert_eq!(changed.code(&key()), expected, "{from} -> {to}");
    }
}
