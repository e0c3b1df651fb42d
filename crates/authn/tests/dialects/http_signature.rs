//! HTTP Message Signatures (RFC 9421). The samples were signed by another implementation, `http-message-signatures` for
//! Node.

use holdfast_authn::{Dialect, KeyMaterial, encoding::to_base64};
use holdfast_values::{Network, Timestamp, time};
use ring::signature::Ed25519KeyPair;

use crate::sample::{EVM_ADDRESS, SECRET, Sample, hmac_sha256, refuses_what_was_changed, sha256};

const BODY: &str = r#"{"asset":"USDT","network":"ethereum","address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","amount":"1234.5","client_order_id":"order-1"}"#;
const DIGEST: &str = "sha-256=:QQWHQZ8nPklCis4CSQQHE4N/KQU01xjeXUSOmfg+QQU=:";
const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n-----END PUBLIC KEY-----";
const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3q1JwaKzbmVYo1EbcRGy
7S3yy1qkqXNfXX2f3wTZDzKJuj3DlMZqCxQFsl6/2ZY3XxycYfOiL09nVXIpB00q
ZUgVnJO11O2t+OCnk/G6dOQQpMd4VTU1IVKVdDUP0bY6Ut40KXt1fvcKPQLZaP49
B69BkGAI6642OrYAgaHWjl1kO+abFi2oro/952dfD04+IFOvO+VOI7/YzN1qHcpp
UEydCxxt1knYeMy4p6GxYymvrp04kbBtnKu5b/nkeNPRpopxtDMWd0/AX11/BBj1
zxUgokzOV8BcEhkSU07RRKNUTzGsR/QcnIPuEq89SETEpRorhtw/6eq27C3Jra/F
OwIDAQAB
-----END PUBLIC KEY-----";
const RSA_SIGNATURE: &str = "UoDh9IWDQstux/Ls9HBNx04BygzcRL2jo0Yfabzao3c3e09qnOifZy9mZ3S/lOcgnl4lgUCxOrP3UCXsEBu3mU+lKSGNXc2AemvG83aamzAQOb8L1Cc6O2GtpOqlZr3XXMdEbHOmFcduAmC6XEQfX6J+par8U4v6xbNfvzYULILc3tcyLnHUFCIjYPqOb5LgdENUoKTBHURIBxrHJYsXOBcfJk3p+s3I+H1EaFxGrHxhE0XRJjY4DzCvyvnb0tOc93PaaRZUhNLzh76xXFxgEgPZDUN1+xbeViAXwBnUgOGjqqsxQPfFpfCCeyJfBXsvH6iKb+hIFpm3xOzmw7OA+g==";

fn ed25519() -> KeyMaterial {
    KeyMaterial::from_public_key_pem(ED25519).unwrap()
}

fn hmac() -> KeyMaterial {
    KeyMaterial::shared(Dialect::HttpSignature, SECRET, None).unwrap()
}

fn sent(algorithm: &str, signature: &str) -> Sample {
    let input = format!(
        "sig1=(\"@method\" \"@path\" \"@authority\" \"content-type\" \"content-digest\");created=1795353413\
         ;expires=1795353443;keyid=\"throwaway-key-1\";alg=\"{algorithm}\";nonce=\"n-1\""
    );
    let headers = [
        ("Host", "api.exchange.test"),
        ("Content-Type", "application/json"),
        ("Content-Digest", DIGEST),
        ("Signature", &*format!("sig1=:{signature}:")),
        ("Signature-Input", &*input),
    ];
    Sample::new(Dialect::HttpSignature, "POST /v1/withdrawals", &headers, BODY)
}

fn withdrawal() -> Sample {
    sent(
        "ed25519",
        "jBxxmv8BLcQiDLuGw1Gry6hSa68TY0lbw4vYihoeK0eLNB35ENCkv2pGRB5yP5x6nvB2NeNZGWdSRlTR3eCNDw==",
    )
}

fn reading(components: &str, signature: &str) -> Sample {
    let headers = [
        ("Host", "api.exchange.test"),
        ("Signature", &*format!("sig1=:{signature}:")),
        ("Signature-Input", &*format!("sig1=({components});created=1795353413;keyid=\"throwaway-key-1\"")),
    ];
    Sample::new(Dialect::HttpSignature, "GET /v1/orders?b=2&a=1", &headers, "")
}

/// Signed anew over what its own Signature-Input lists, where the base is what was read.
fn signed(sample: Sample) -> Sample {
    let sample = sample.setting("Signature", "sig1=:AAAA:");
    let Ok(request) = sample.read() else { return sample };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let signature = to_base64(pair.sign(request.payload()).as_ref());
    sample.setting("Signature", &format!("sig1=:{signature}:"))
}

/// With another Signature-Input.
fn with_input(from: &str, to: &str) -> Sample {
    let sample = withdrawal();
    let input = sample.get("Signature-Input").to_owned();
    assert!(input.contains(from), "{from}");
    sample.setting("Signature-Input", &input.replacen(from, to, 1))
}

#[test]
fn another_implementation_signs_what_is_verified() {
    let hmac_signature = "0XTvqfV3XyqCHove5akLj05VlwOl5uvjie/Q019On2Y=";
    let rsa = KeyMaterial::from_public_key_pem(RSA).unwrap();
    for (sample, key) in [
        (withdrawal(), ed25519()),
        (sent("rsa-v1_5-sha256", RSA_SIGNATURE), rsa.clone()),
        (sent("hmac-sha256", hmac_signature), hmac()),
    ] {
        let verified = sample.verify(&key).unwrap();
        assert_eq!((verified.asset.as_str(), verified.network), ("USDT", Some(Network::Ethereum)));
        assert_eq!((verified.address.as_deref(), &*verified.amount_text), (Some(EVM_ADDRESS), "1234.5"));
        assert_eq!(verified.client_order_id.as_deref(), Some("order-1"));
        assert_eq!(
            (verified.signed_at, verified.window),
            (Timestamp(1_795_353_413_000_000), 30 * time::SECOND)
        );
        // Each key with the algorithm that it is of.
        for other in [ed25519(), rsa.clone(), hmac()] {
            assert_eq!(sample.code(&other) == "verified", other.kind() == key.kind());
        }
    }
    for sample in [
        reading(
            r#""@method" "@target-uri""#,
            "TvGfUhEHJ3mTIMOabt/Y6cn7xpU7TpHy6lFbkKelqvoWQS46Hio6OWjgtgPs18zgr6UmXSHp3eyLwqp4PGVbDA==",
        ),
        reading(
            r#""@method" "@path" "@query""#,
            "jUhhrC4LxXfvSkgjes/JYNMph1HUJxsT7GMUz1ZEwY3MHfrCxV3/lwSCbTQl/iY8qcjDc6wlLAA0+QF356wFDw==",
        ),
    ] {
        assert_eq!((sample.gate(&ed25519()), sample.code(&ed25519())), ("genuine", "wrong_endpoint"));
        for query in ["a=1&b=2", "b=2&a=2", "b=2", ""] {
            assert_eq!(
                sample.with(|sample| sample.query = query.into()).gate(&ed25519()),
                "signature_invalid"
            );
        }
        assert_eq!(sample.with(|sample| sample.path.push('x')).gate(&ed25519()), "signature_invalid");
        assert_eq!(sample.with(|sample| sample.method = "HEAD".into()).gate(&ed25519()), "signature_invalid");
    }
}

#[test]
fn the_ed25519_example_of_the_rfc_verifies() {
    // Appendix B.2.6. It covers neither query nor body, so here the request has none.
    let headers = [
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Length", "18"),
        (
            "Signature-Input",
            "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")\
             ;created=1618884473;keyid=\"test-key-ed25519\"",
        ),
        (
            "Signature",
            "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
        ),
    ];
    let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----";
    let key = KeyMaterial::from_public_key_pem(key).unwrap();
    let sample = Sample::new(Dialect::HttpSignature, "POST /foo", &headers, "");
    assert_eq!(sample.gate(&key), "genuine");
    // As it stands in the RFC, with a query and a body that the signature leaves out, it is refused.
    let query = sample.with(|sample| sample.query = b"param=Value&Pet=dog".to_vec());
    assert_eq!(query.gate(&key), "component_missing");
    let body = sample.with(|sample| sample.body = br#"{"hello": "world"}"#.to_vec());
    assert_eq!(body.gate(&key), "header_missing");
    // So is B.2.5, which covers no method.
    let b25 = sample.setting(
        "Signature-Input",
        "sig-b26=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"k\"",
    );
    assert_eq!(b25.gate(&key), "component_missing");
}

#[test]
fn what_was_changed_is_refused() {
    let sample = withdrawal();
    refuses_what_was_changed(&sample, &ed25519(), "Signature", &["Signature", "Signature-Input"]);
    for (expected, changed) in [
        (
            "header_repeated",
            sample.with(|sample| sample.headers.push(("content-type".into(), "text/plain".into()))),
        ),
        (
            "component_unsupported",
            sample.with(|sample| sample.headers.retain(|(name, _)| name != "Content-Type")),
        ),
        (
            "header_repeated",
            sample.with(|sample| sample.headers.push(("content-digest".into(), DIGEST.into()))),
        ),
        ("header_missing", sample.with(|sample| sample.headers.retain(|(name, _)| name != "Content-Digest"))),
        ("header_missing", sample.with(|sample| sample.headers.retain(|(name, _)| name != "Host"))),
        ("signature_invalid", sample.setting("Host", "api.other.test")),
        ("header_malformed", sample.setting("Host", "api.exchange.test/x")),
        ("body_malformed", sample.setting("Content-Type", "text/plain")),
        ("signature_invalid", sample.setting("Content-Type", "application/json; charset=utf-8")),
        ("component_unsupported", sample.setting("Content-Type", "application/json;\n\"@path\": /x")),
        ("content_digest_mismatch", sample.with_body("1234.5", "1234.6")),
        (
            "content_digest_mismatch",
            sample.setting("Content-Digest", &format!("sha-256=:{}:", to_base64(&sha256(b"x")))),
        ),
        ("header_malformed", sample.setting("Content-Digest", "md5=:AAAA:")),
        ("header_malformed", sample.setting("Content-Digest", &format!("{DIGEST}, {DIGEST}"))),
        ("header_malformed", sample.setting("Content-Digest", &format!("{DIGEST},"))),
        ("header_malformed", sample.setting("Content-Digest", "")),
        (
            "signature_invalid",
            sample.with_body("1234.5", "1234.6").with(|sample| {
                let digest = format!("sha-256=:{}:", to_base64(&sha256(&sample.body)));
                sample.set("Content-Digest", &digest);
            }),
        ),
        ("signature_invalid", sample.with(|sample| sample.path = "/v1/withdrawals/x".into())),
        ("signature_invalid", sample.with(|sample| sample.method = "PUT".into())),
        ("component_missing", sample.with(|sample| sample.query = b"a=b".to_vec())),
        (
            "header_malformed",
            sample.with(|sample| {
                let two = format!("{}, sig2=:AAAA:", sample.get("Signature"));
                sample.set("Signature", &two);
            }),
        ),
        (
            "header_malformed",
            sample.with(|sample| {
                let other = sample.get("Signature").replace("sig1", "sig2");
                sample.set("Signature", &other);
            }),
        ),
    ] {
        assert_eq!(changed.code(&ed25519()), expected, "{changed:?}");
    }
    // The authority in any case, and with the port that https has anyway.
    assert_eq!(sample.setting("Host", "API.Exchange.test:443").code(&ed25519()), "verified");
}

#[test]
fn a_signature_covers_what_it_must_and_has_one_spelling() {
    for (expected, from, to) in [
        ("signature_invalid", "1795353443", "1795353444"),
        ("signature_invalid", "nonce=\"n-1\"", "nonce=\"n-2\""),
        ("signature_invalid", "throwaway-key-1", "throwaway-key-2"),
        ("signature_invalid", "\"@method\" \"@path\"", "\"@path\" \"@method\""),
        ("component_missing", "\"@method\" ", ""),
        ("component_missing", "\"@path\" ", ""),
        ("component_missing", " \"content-digest\"", ""),
        ("component_unsupported", "\"@path\"", "\"@path\" \"@path\""),
        ("component_unsupported", "\"@path\"", "\"@path\" \"@status\""),
        ("component_unsupported", "\"@path\"", "\"@path\" \"@query-param\";name=\"a\""),
        ("component_unsupported", "\"content-digest\"", "\"content-digest\";sf"),
        ("component_unsupported", "\"content-digest\"", "\"content-digest\" \"x-absent\""),
        ("component_unsupported", "\"content-type\"", "\"Content-Type\""),
        ("component_unsupported", "\"@path\" ", "\"@path\"  "),
        ("component_unsupported", "(\"@method\"", "( \"@method\""),
        ("timestamp_missing", ";created=1795353413", ""),
        ("timestamp_invalid", "created=1795353413", "created=1795353413562"),
        ("timestamp_invalid", "created=1795353413", "created=1795353413.5"),
        ("timestamp_invalid", "created=1795353413", "created=\"1795353413\""),
        ("timestamp_invalid", "expires=1795353443", "expires=?1"),
        ("window_invalid", "expires=1795353443", "expires=1795353474"),
        ("window_invalid", "expires=1795353443", "expires=1795353413"),
        ("window_invalid", "expires=1795353443", "expires=1795353412"),
        ("api_key_missing", ";keyid=\"throwaway-key-1\"", ""),
        ("api_key_malformed", "throwaway-key-1", "throwaway key"),
        ("header_malformed", "throwaway-key-1", "throwaway\\\"key"),
        ("header_malformed", "alg=\"ed25519\"", "alg=\"rsa-pss-sha512\""),
        ("header_malformed", "alg=\"ed25519\"", "alg=ed25519"),
        ("header_malformed", ";expires", "; expires"),
        ("header_malformed", ";expires", ";created=1795353413;expires"),
        ("header_malformed", ";expires", ";unknown=1;expires"),
        ("header_malformed", ";nonce=\"n-1\"", ";nonce=\"n-1\";"),
        ("header_malformed", ";nonce=\"n-1\"", ";nonce=\"n-1\", sig2=()"),
        ("header_malformed", "sig1=", "Sig1="),
        ("header_malformed", "sig1=", "sig1 = "),
        ("header_malformed", "sig1=(", "sig1="),
    ] {
        assert_eq!(with_input(from, to).code(&ed25519()), expected, "{from} -> {to}");
    }
    // Signed by the customer himself, some of these are another genuine request.
    for (expected, from, to) in [
        ("verified", "\"@method\" \"@path\"", "\"@path\" \"@method\""),
        ("verified", "\"@path\"", "\"@request-target\""),
        ("verified", "\"@path\"", "\"@target-uri\" \"@scheme\" \"@query\""),
        ("verified", ";alg=\"ed25519\"", ""),
        ("verified", ";expires=1795353443", ""),
        ("verified", "nonce=\"n-1\"", "tag=\"exchange\""),
        ("verified", " \"@authority\" \"content-type\"", ""),
        ("signature_invalid", "alg=\"ed25519\"", "alg=\"hmac-sha256\""),
        ("component_missing", " \"content-digest\"", ""),
    ] {
        assert_eq!(signed(with_input(from, to)).code(&ed25519()), expected, "{from} -> {to}");
    }
    let many = (0..40).map(|n| format!("\"x-{n}\"")).collect::<Vec<_>>().join(" ");
    assert_eq!(with_input("\"@method\"", &many).code(&ed25519()), "too_many_parameters");
    // Both digests, if both fit.
    let sha512 = to_base64(ring::digest::digest(&ring::digest::SHA512, BODY.as_bytes()).as_ref());
    let both = withdrawal().setting("Content-Digest", &format!("{DIGEST}, sha-512=:{sha512}:"));
    assert_eq!(signed(both).code(&ed25519()), "verified");
    // The signature names no other key: an HMAC over the same base with the public key's own bytes is none.
    let base = withdrawal().read().unwrap().payload().to_vec();
    let forged = withdrawal().setting("Signature", &format!("sig1=:{}:", to_base64(&hmac_sha256(&base))));
    assert_eq!((forged.code(&ed25519()), forged.code(&hmac())), ("signature_invalid", "signature_invalid"));
}

#[test]
fn a_body_says_one_thing() {
    for (expected, from, to) in [
        ("verified", "\"1234.5\"", "1234.5"),
        ("verified", "\"amount\"", "\"memo\":null,\"amount\""),
        ("duplicate_parameter", "\"amount\"", "\"amount\":\"9\",\"amount\""),
        ("unknown_parameter", "\"amount\"", "\"to\":\"x\",\"amount\""),
        ("network_unknown", "\"ethereum\"", "\"ETH\""),
        ("parameter_missing", "\"amount\":\"1234.5\",", ""),
        ("body_malformed", "{\"asset\"", "{asset"),
    ] {
        let changed = withdrawal().with_body(from, to).with(|sample| {
            let digest = format!("sha-256=:{}:", to_base64(&sha256(&sample.body)));
            sample.set("Content-Digest", &digest);
        });
        assert_eq!(signed(changed).code(&ed25519()), expected, "{from} -> {to}");
    }
}
