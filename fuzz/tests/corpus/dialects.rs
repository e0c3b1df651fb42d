//! Seeds of signed API requests of the dialects that sign by headers.

use holdfast_authn::Dialect;
use holdfast_authn::encoding::to_base64;
use holdfast_fuzz::house::{API_PASSPHRASE, API_SECRET};
use ring::{digest, hmac};

use crate::seeds::{Seed, bad, good};

/// What the target reads behind 0xfe: the signature in it is made by the target.
fn sent(dialect: Dialect, line: &str, body: &str, headers: &str) -> Vec<u8> {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let place = Dialect::ALL.iter().position(|known| *known == dialect).unwrap();
    let mut bytes = vec![0xfe, u8::try_from(place).unwrap()];
    bytes.extend([method, path, query, body, headers].map(str::as_bytes).join(&0xff));
    bytes
}

pub(crate) fn requests() -> Vec<Seed> {
    let kraken = "API-Key: key-1\nAPI-Sign: x";
    let okx = &*format!(
        "OK-ACCESS-KEY: key-1\nOK-ACCESS-SIGN: x\nOK-ACCESS-TIMESTAMP: 2026-11-22T13:16:53.562Z\n\
         OK-ACCESS-PASSPHRASE: {API_PASSPHRASE}"
    );
    let bybit =
        "X-BAPI-API-KEY: key-1\nX-BAPI-SIGN: x\nX-BAPI-TIMESTAMP: 1795353413562\nX-BAPI-RECV-WINDOW: 5000";
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, API_SECRET), API_PASSPHRASE.as_bytes());
    let kucoin = &*format!(
        "KC-API-KEY: key-1\nKC-API-SIGN: x\nKC-API-TIMESTAMP: 1795353413562\nKC-API-KEY-VERSION: 2\nKC-API-PASSPHRASE: {}",
        to_base64(tag.as_ref())
    );
    let coinbase = "CB-ACCESS-KEY: key-1\nCB-ACCESS-SIGN: x\nCB-ACCESS-TIMESTAMP: 1795353413";
    let body = r#"{"asset":"XRP","network":"xrp","address":"rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf","memo":"7","amount":"20.5"}"#;
    let digest = to_base64(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
    let covered = &*format!(
        "Host: api.exchange.test\nContent-Digest: sha-256=:{digest}:\nSignature: sig1=:AAAA:\n\
         Signature-Input: sig1=(\"@method\" \"@target-uri\" \"content-digest\");created=1795353413;keyid=\"key-1\""
    );
    let withdraw =
        "nonce=1795353413562&asset=XXRP&key=my%20own&amount=20.5&address=rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf";
    let orders = r#"{"nonce":"1795353413562","orders":["a",{"b":[1.5e3,null,true]}]}"#;
    vec![
        good("kraken", sent(Dialect::Kraken, "POST /0/private/Withdraw", withdraw, kraken)),
        good("kraken-json", sent(Dialect::Kraken, "POST /0/private/CancelOrderBatch", orders, kraken)),
        good(
            "okx",
            sent(
                Dialect::Okx,
                "POST /api/v5/asset/withdrawal",
                r#"{"ccy":"XRP","toAddr":"rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf:7","dest":"4","amt":20.5,"chain":"XRP-Ripple"}"#,
                okx,
            ),
        ),
        good("okx-query", sent(Dialect::Okx, "GET /api/v5/account/balance?ccy=BTC%2CETH&a=1", "", okx)),
        good(
            "bybit",
            sent(
                Dialect::Bybit,
                "POST /v5/asset/withdraw/create",
                r#"{"coin":"XRP","chain":"XRP","address":"rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf","tag":"7","amount":"20.5"}"#,
                bybit,
            ),
        ),
        good(
            "kucoin",
            sent(
                Dialect::Kucoin,
                "POST /api/v3/withdrawals",
                r#"{"currency":"XRP","toAddress":"rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf","withdrawType":"ADDRESS","amount":20.5}"#,
                kucoin,
            ),
        ),
        good(
            "coinbase",
            sent(
                Dialect::Coinbase,
                "POST /v2/accounts/a-1/transactions",
                r#"{"type":"send","to":"rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf","currency":"XRP","amount":"20.5"}"#,
                coinbase,
            ),
        ),
        good("rfc9421", sent(Dialect::HttpSignature, "POST /v1/withdrawals", body, covered)),
        bad("rfc9421-query", sent(Dialect::HttpSignature, "POST /v1/withdrawals?a=%", body, covered)),
        bad("json-repeated", sent(Dialect::Okx, "POST /x", r#"{"a":1,"\u0061":2}"#, okx)),
    ]
}
