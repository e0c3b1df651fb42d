//! What ccxt really sends for `binance.withdraw()`, recorded by `ccxt/capture.mjs` with throwaway keys.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail")]

use holdfast_authn::dialect::Dialect;
use holdfast_authn::{KeyMaterial, RawRequest, RequestError, parse, verify};
use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[test]
fn every_recorded_request_verifies_and_says_what_was_asked() {
    let file: Value = serde_json::from_str(include_str!("ccxt/requests.json")).unwrap();
    let requests = file["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 14);
    for request in requests {
        let name = text(request, "name");
        let headers: Vec<(&str, &str)> = request["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| (header[0].as_str().unwrap(), header[1].as_str().unwrap()))
            .collect();
        let key = match text(request, "key") {
            pem if pem.starts_with("-----") => KeyMaterial::from_public_key_pem(pem),
            secret => KeyMaterial::hmac_sha256(secret.as_bytes()),
        };
        let raw = RawRequest {
            method: text(request, "method"),
            path: text(request, "path"),
            raw_query: text(request, "query").as_bytes(),
            raw_body: text(request, "body").as_bytes(),
            headers: &headers,
        };
        let signed = parse(Dialect::Binance, &raw);
        if name == "injection through the name" {
            // ccxt signs what it is given: the second address is in the signed bytes, and is refused all the same.
            assert_eq!(signed.unwrap_err().code(), "duplicate_parameter");
            continue;
        }
        let verified =
            verify(&signed.unwrap(), &key.unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.api_key.as_str(), "throwaway-key-1");
        let said =
            (
            verified.asset.as_str(),
            verified.network_text.unwrap(),
            verified.address.as_deref().unwrap(),
            &*verified.amount_text,
        );
        match name.split_once(' ').unwrap().1 {
            "btc without network" | "with space and umlaut" => {
                assert_eq!(said, ("BTC", "BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0.75"));
            }
            "usdt on ethereum" => {
                assert_eq!(said, ("USDT", "ETH", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "1234.5"));
                assert_eq!(verified.client_order_id.as_deref(), Some("order-1"));
            }
            "xrp with tag" => {
                assert_eq!(said, ("XRP", "XRP", "rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY", "20"));
                assert_eq!(verified.tag.as_deref(), Some("12345"));
                assert_eq!(verified.window, 59_999_000);
            }
            other => panic!("{other}"),
        }

        // The same bytes with one digit of the amount changed.
        let body = text(request, "body").replacen("amount=", "amount=9", 1);
        let forged = parse(Dialect::Binance, &RawRequest { raw_body: body.as_bytes(), ..raw }).unwrap();
        let key = match text(request, "key") {
            pem if pem.starts_with("-----") => KeyMaterial::from_public_key_pem(pem),
            secret => KeyMaterial::hmac_sha256(secret.as_bytes()),
        };
        assert_eq!(verify(&forged, &key.unwrap()), Err(RequestError::SignatureInvalid), "{name}");
    }
}
