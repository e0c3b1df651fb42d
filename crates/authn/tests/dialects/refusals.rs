//! What a gate answers.

use holdfast_authn::{Dialect, GateRefusal, RequestError};

const ALL: [GateRefusal; 15] = [
    GateRefusal::Signature,
    GateRefusal::KeyUnknown,
    GateRefusal::KeyRevoked,
    GateRefusal::KeyExpired,
    GateRefusal::Scope,
    GateRefusal::Ip,
    GateRefusal::Timestamp,
    GateRefusal::Replay,
    GateRefusal::NonceOld,
    GateRefusal::RateLimit { retry_after_seconds: 7 },
    GateRefusal::Malformed,
    GateRefusal::TooLarge,
    GateRefusal::Passphrase,
    GateRefusal::Frozen,
    GateRefusal::Unavailable,
];

#[test]
fn each_dialect_has_its_own_form() {
    for (dialect, status, body) in [
        (
            Dialect::Binance,
            400,
            r#"{"code":-1022,"msg":"Signature for this request is not valid. It says so."}"#,
        ),
        (Dialect::Kraken, 200, r#"{"error":["EAPI:Invalid signature"],"detail":"It says so."}"#),
        (Dialect::Okx, 401, r#"{"code":"50113","data":[],"msg":"It says so."}"#),
        (Dialect::Bybit, 200, r#"{"retCode":10004,"retMsg":"It says so.","result":{},"retExtInfo":{}}"#),
        (Dialect::Kucoin, 401, r#"{"code":"400005","msg":"It says so."}"#),
        (
            Dialect::Coinbase,
            401,
            r#"{"errors":[{"id":"authentication_error","message":"invalid signature"}],"message":"invalid signature: It says so."}"#,
        ),
        (
            Dialect::HttpSignature,
            401,
            r#"{"type":"about:blank","title":"The signature does not fit the request and the key.","status":401,"code":"signature","detail":"It says so."}"#,
        ),
    ] {
        let (said_status, kind, said) = dialect.error_body(GateRefusal::Signature, "It says so.");
        assert_eq!((said_status, said.as_str()), (status, body), "{dialect:?}");
        let expected =
            if dialect == Dialect::HttpSignature { "application/problem+json" } else { "application/json" };
        assert_eq!(kind, expected);
    }
}

#[test]
fn every_answer_is_json_whatever_its_detail() {
    let detail = format!("\"\\\n\u{0}\u{fc}\u{1f600}</script>{}", "x".repeat(10_000));
    for dialect in Dialect::ALL {
        for refusal in ALL {
            for detail in ["", &detail] {
                let (status, _, body) = dialect.error_body(refusal, detail);
                assert!((200..600).contains(&status));
                assert!(body.is_ascii() && body.len() < 1_000, "{body}");
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert!(value.is_object());
            }
        }
    }
    let codes: std::collections::BTreeSet<_> = ALL.into_iter().map(GateRefusal::code).collect();
    assert_eq!(codes.len(), ALL.len());
}

#[test]
fn what_cannot_be_read_has_an_answer() {
    for (error, refusal) in [
        (RequestError::SignatureInvalid, GateRefusal::Signature),
        (RequestError::BearerToken, GateRefusal::Signature),
        (RequestError::PassphraseInvalid, GateRefusal::Passphrase),
        (RequestError::TimestampMissing, GateRefusal::Timestamp),
        (RequestError::WindowInvalid { max_ms: 60_000 }, GateRefusal::Timestamp),
        (RequestError::NonceInvalid, GateRefusal::NonceOld),
        (RequestError::ApiKeyMalformed, GateRefusal::KeyUnknown),
        (RequestError::TooManyHeaders, GateRefusal::TooLarge),
        (RequestError::PathMalformed, GateRefusal::Malformed),
        (RequestError::ParametersSplit, GateRefusal::Malformed),
    ] {
        assert_eq!(error.refusal(), refusal, "{error}");
    }
}
