//! KuCoin's dialect: base64 of HMAC-SHA256 over timestamp, method, path with query, and body. Keys have version 2, whose
//! passphrase is shown as its own HMAC under the secret; version 1 sends it in the clear and is refused.
//!
//! Amounts are JSON numbers: they are read as they were written, and one with an exponent is refused.

use holdfast_values::Network;

use super::withdrawal::{self, Asked, Shape, amount, asset, endpoint, one_of, only, optional, token};
use super::{Dialect, SignedRequest, Verified, common, times};
use crate::encoding;
use crate::key::KeyMaterial;
use crate::request::{RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "KC-API-KEY";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "KC-API-SIGN";
/// The header that carries the time of signing.
pub const TIMESTAMP_HEADER: &str = "KC-API-TIMESTAMP";
/// The header that carries the passphrase's HMAC.
pub const PASSPHRASE_HEADER: &str = "KC-API-PASSPHRASE";
/// The header that carries the key's version.
pub const VERSION_HEADER: &str = "KC-API-KEY-VERSION";
/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/api/v3/withdrawals";
/// How long a request is valid, in milliseconds.
pub const WINDOW_MS: u64 = 5_000;

const VERSION: &str = "2";

/// What a withdrawal may say.
const WITHDRAWAL: [(&str, Shape); 9] = [
    ("currency", Shape::Text),
    ("toAddress", Shape::Text),
    ("withdrawType", Shape::Text),
    ("chain", Shape::Text),
    ("memo", Shape::Text),
    ("amount", Shape::Number),
    ("isInner", Shape::Flag),
    ("remark", Shape::Text),
    ("feeDeductType", Shape::Text),
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    let api_key = raw.api_key(API_KEY_HEADER)?;
    let signature = raw.header(SIGNATURE_HEADER)?;
    let timestamp = raw.header(TIMESTAMP_HEADER)?;
    if raw.optional_header(VERSION_HEADER)? != Some(VERSION) {
        return Err(RequestError::KeyVersion { header: VERSION_HEADER, expected: VERSION });
    }
    let passphrase = Some(common::passphrase(raw, PASSPHRASE_HEADER)?);
    let signed_at = times::milliseconds(timestamp)?;
    let fields = common::read_fields(raw)?;
    let payload = [timestamp.as_bytes(), raw.method.as_bytes(), &common::target(raw), raw.raw_body].concat();
    let window = times::of_ms(WINDOW_MS);
    let head = common::Head { api_key, signed_at, window, signature, passphrase };
    Ok(common::signed(Dialect::Kucoin, raw, head, fields, payload))
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let secret = common::hmac_sha256(key)?;
    common::verify_base64(request, secret)?;
    let tag = request.passphrase.as_ref().and_then(|shown| encoding::base64(shown.0.as_bytes()));
    let shown = tag.is_some_and(|tag| secret.has_passphrase_tag(&tag));
    if shown { Ok(()) } else { Err(RequestError::PassphraseInvalid) }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    endpoint(request, "POST /api/v3/withdrawals")?;
    only(request, &WITHDRAWAL)?;
    withdrawal::required(request, "withdrawType")?;
    one_of(request, "withdrawType", &["ADDRESS"], "ADDRESS")?;
    one_of(request, "isInner", &["false"], "false: a withdrawal on chain")?;
    let asset = asset(request, "currency")?;
    let network = withdrawal::network(&NETWORKS, optional(request, "chain"), &asset)?;
    let amount_text = amount(request, "amount")?;
    let address = withdrawal::required_token(request, "toAddress")?;
    let tag = token(request, "memo")?;
    let asked = Asked { asset, network, address, tag, amount_text, client_order_id: None };
    Ok(withdrawal::verified(request, asked))
}

/// KuCoin's names of networks.
pub(super) const NETWORKS: [(&str, Network); 16] = [
    ("btc", Network::Bitcoin),
    ("eth", Network::Ethereum),
    ("bsc", Network::Bsc),
    ("trx", Network::Tron),
    ("sol", Network::Solana),
    ("xrp", Network::Xrp),
    ("xlm", Network::Stellar),
    ("ltc", Network::Litecoin),
    ("doge", Network::Dogecoin),
    ("bch", Network::BitcoinCash),
    ("matic", Network::Polygon),
    ("arbitrum", Network::Arbitrum),
    ("optimism", Network::Optimism),
    ("base", Network::Base),
    ("avaxc", Network::AvalancheC),
    ("bech32", Network::Bitcoin),
];
