//! Bybit's dialect (version 5): over timestamp, key, window and the query or the body, HMAC-SHA256 in hexadecimal or RSA
//! in base64.
//!
//! Method and path are not signed: `withdrawal` takes one endpoint only, a body is JSON and no query is, so that the one
//! cannot be sent in the other's place. A query may not begin with a digit, so that it cannot be cut from the window in
//! two ways.

use holdfast_values::Network;

use super::withdrawal::{self, Asked, Shape, amount, asset, endpoint, one_of, only, optional, token};
use super::{Dialect, SignedRequest, Verified, common, form, times};
use crate::encoding;
use crate::key::{KeyMaterial, verify_rsa};
use crate::request::{RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "X-BAPI-API-KEY";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-BAPI-SIGN";
/// The header that carries the time of signing.
pub const TIMESTAMP_HEADER: &str = "X-BAPI-TIMESTAMP";
/// The header that carries the window.
pub const WINDOW_HEADER: &str = "X-BAPI-RECV-WINDOW";
/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/v5/asset/withdraw/create";
/// How long a request is valid if it does not say, in milliseconds.
pub const WINDOW_DEFAULT_MS: u64 = 5_000;

/// What a withdrawal may say.
const WITHDRAWAL: [(&str, Shape); 11] = [
    ("coin", Shape::Text),
    ("chain", Shape::Text),
    ("address", Shape::Text),
    ("tag", Shape::Text),
    ("amount", Shape::Number),
    ("timestamp", Shape::Number),
    ("forceChain", Shape::Number),
    ("accountType", Shape::Text),
    ("feeType", Shape::Number),
    ("requestId", Shape::Text),
    ("beneficiary", Shape::Any),
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    let api_key = raw.api_key(API_KEY_HEADER)?;
    let signature = raw.header(SIGNATURE_HEADER)?;
    let timestamp = raw.header(TIMESTAMP_HEADER)?;
    let asked = raw.optional_header(WINDOW_HEADER)?;
    let signed_at = times::milliseconds(timestamp)?;
    let window = asked.map_or(Ok(times::of_ms(WINDOW_DEFAULT_MS)), times::window)?;
    let (parameters, fields) = if common::reads(raw.method)? {
        common::check_no_body(raw)?;
        common::check_query(raw.raw_query, true)?;
        if raw.raw_query.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
            return Err(RequestError::ParameterMalformed { position: 1 });
        }
        (raw.raw_query, form::read([raw.raw_query], form::QUERY)?)
    } else if raw.raw_query.is_empty() {
        (raw.raw_body, common::read_json(raw)?)
    } else {
        return Err(RequestError::QueryUnsigned);
    };
    let asked = asked.unwrap_or_default();
    let payload = [timestamp.as_bytes(), api_key.as_str().as_bytes(), asked.as_bytes(), parameters].concat();
    let head = common::Head { api_key, signed_at, window, signature, passphrase: None };
    Ok(common::signed(Dialect::Bybit, raw, head, fields, payload))
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    match key {
        KeyMaterial::HmacSha256(secret) => common::verify_hex(request, secret),
        KeyMaterial::Rsa(key) => {
            let signature = encoding::base64(request.signature.as_bytes());
            let genuine = signature.is_some_and(|signature| verify_rsa(key, &request.payload, &signature));
            if genuine { Ok(()) } else { Err(RequestError::SignatureInvalid) }
        }
        KeyMaterial::HmacSha512(_) | KeyMaterial::Ed25519(_) => Err(RequestError::SignatureInvalid),
    }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    endpoint(request, "POST /v5/asset/withdraw/create")?;
    only(request, &WITHDRAWAL)?;
    one_of(request, "forceChain", &["0", "1"], "0 or 1: to an address, not to a user id")?;
    let asset = asset(request, "coin")?;
    let network = withdrawal::network(&NETWORKS, optional(request, "chain"), &asset)?;
    let amount_text = amount(request, "amount")?;
    let address = withdrawal::required_token(request, "address")?;
    let tag = token(request, "tag")?;
    let client_order_id = token(request, "requestId")?;
    Ok(withdrawal::verified(request, Asked { asset, network, address, tag, amount_text, client_order_id }))
}

/// Bybit's names of networks.
pub(super) const NETWORKS: [(&str, Network); 15] = [
    ("BTC", Network::Bitcoin),
    ("ETH", Network::Ethereum),
    ("BSC", Network::Bsc),
    ("TRX", Network::Tron),
    ("SOL", Network::Solana),
    ("XRP", Network::Xrp),
    ("XLM", Network::Stellar),
    ("LTC", Network::Litecoin),
    ("DOGE", Network::Dogecoin),
    ("BCH", Network::BitcoinCash),
    ("MATIC", Network::Polygon),
    ("ARBI", Network::Arbitrum),
    ("OP", Network::Optimism),
    ("BASE", Network::Base),
    ("CAVAX", Network::AvalancheC),
];
