//! OKX's dialect: base64 of HMAC-SHA256 over timestamp, method, path with query, and body; beside it a passphrase.
//!
//! Everything that matters is signed, one thing behind the other: `common::read_fields` says why they can be cut apart
//! in one way only.

use holdfast_values::Network;

use super::withdrawal::{self, Asked, Shape, amount, asset, endpoint, one_of, only, optional, token};
use super::{Dialect, SignedRequest, Verified, common, times};
use crate::key::KeyMaterial;
use crate::request::{RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "OK-ACCESS-KEY";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "OK-ACCESS-SIGN";
/// The header that carries the time of signing.
pub const TIMESTAMP_HEADER: &str = "OK-ACCESS-TIMESTAMP";
/// The header that carries the passphrase.
pub const PASSPHRASE_HEADER: &str = "OK-ACCESS-PASSPHRASE";
/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/api/v5/asset/withdrawal";
/// How long a request is valid, in milliseconds.
pub const WINDOW_MS: u64 = 30_000;

/// What a withdrawal may say.
const WITHDRAWAL: [(&str, Shape); 10] = [
    ("ccy", Shape::Text),
    ("amt", Shape::Number),
    ("dest", Shape::Text),
    ("toAddr", Shape::Text),
    ("toAddrType", Shape::Text),
    ("chain", Shape::Text),
    ("fee", Shape::Number),
    ("clientId", Shape::Text),
    ("areaCode", Shape::Text),
    ("rcvrInfo", Shape::Any),
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    let api_key = raw.api_key(API_KEY_HEADER)?;
    let signature = raw.header(SIGNATURE_HEADER)?;
    let timestamp = raw.header(TIMESTAMP_HEADER)?;
    let passphrase = Some(common::passphrase(raw, PASSPHRASE_HEADER)?);
    let signed_at = times::iso(timestamp)?;
    let fields = common::read_fields(raw)?;
    let payload = [timestamp.as_bytes(), raw.method.as_bytes(), &common::target(raw), raw.raw_body].concat();
    let window = times::of_ms(WINDOW_MS);
    let head = common::Head { api_key, signed_at, window, signature, passphrase };
    Ok(common::signed(Dialect::Okx, raw, head, fields, payload))
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let secret = common::hmac_sha256(key)?;
    common::verify_base64(request, secret)?;
    let shown = request.passphrase.as_ref().is_some_and(|passphrase| secret.has_passphrase(&passphrase.0));
    if shown { Ok(()) } else { Err(RequestError::PassphraseInvalid) }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    endpoint(request, "POST /api/v5/asset/withdrawal")?;
    only(request, &WITHDRAWAL)?;
    withdrawal::required(request, "dest")?;
    one_of(request, "dest", &["4"], "4: a withdrawal on chain")?;
    one_of(request, "toAddrType", &["1"], "1: an address of a wallet")?;
    let asset = asset(request, "ccy")?;
    let named = optional(request, "chain").map(|chain| {
        // The currency, a hyphen, the network.
        let network = chain.strip_prefix(asset.as_str()).and_then(|rest| rest.strip_prefix('-'));
        network.ok_or(RequestError::NetworkUnknown)
    });
    let network = withdrawal::network(&NETWORKS, named.transpose()?, &asset)?;
    let amount_text = amount(request, "amt")?;
    let to = withdrawal::required_token(request, "toAddr")?;
    // Where a network has tags, they stand behind the address.
    let (address, tag) = match to.split_once(':') {
        Some((address, tag)) if matches!(network.1, Network::Xrp | Network::Stellar) => {
            (withdrawal::plain("toAddr", address)?, Some(withdrawal::plain("toAddr", tag)?))
        }
        _ => (to, None),
    };
    let client_order_id = token(request, "clientId")?;
    Ok(withdrawal::verified(request, Asked { asset, network, address, tag, amount_text, client_order_id }))
}

/// OKX's names of networks, behind the currency and a hyphen.
pub(super) const NETWORKS: [(&str, Network); 17] = [
    ("Bitcoin", Network::Bitcoin),
    ("ERC20", Network::Ethereum),
    ("BSC", Network::Bsc),
    ("BEP20", Network::Bsc),
    ("TRC20", Network::Tron),
    ("Solana", Network::Solana),
    ("Ripple", Network::Xrp),
    ("Stellar Lumens", Network::Stellar),
    ("Litecoin", Network::Litecoin),
    ("Dogecoin", Network::Dogecoin),
    ("BitcoinCash", Network::BitcoinCash),
    ("Polygon", Network::Polygon),
    ("Arbitrum One", Network::Arbitrum),
    ("Optimism", Network::Optimism),
    ("OPTIMISM", Network::Optimism),
    ("Base", Network::Base),
    ("Avalanche C-Chain", Network::AvalancheC),
];
