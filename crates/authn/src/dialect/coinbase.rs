//! Coinbase's dialect for legacy keys, as ccxt's `coinbase` signs it with a plain key and secret: hexadecimal HMAC-SHA256
//! over timestamp, method, path and body; the secret is text.
//!
//! A query is signed behind the path on `/v2/` and not at all on `/api/v3/`: there it may only narrow what a GET reads,
//! and nothing else may have one. The newer keys (CDP) sign a JWT that leaves out the body: whoever holds one can put
//! another address under it for two minutes, so a bearer token is refused whatever stands beside it.

use holdfast_values::Network;

use super::form::{self, Rules};
use super::withdrawal::{self, Asked, Shape, amount, asset, one_of, only, optional, token};
use super::{Dialect, Passphrase, SignedRequest, Verified, common, times};
use crate::key::KeyMaterial;
use crate::request::{RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "CB-ACCESS-KEY";
/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "CB-ACCESS-SIGN";
/// The header that carries the time of signing.
pub const TIMESTAMP_HEADER: &str = "CB-ACCESS-TIMESTAMP";
/// The header that carries the passphrase, of keys that have one.
pub const PASSPHRASE_HEADER: &str = "CB-ACCESS-PASSPHRASE";
/// How long a request is valid, in milliseconds.
pub const WINDOW_MS: u64 = 30_000;

/// Under this path queries are not signed.
const QUERY_UNSIGNED_UNDER: &str = "/api/v3/";
/// Lists are spelled as one name many times over.
const RULES: Rules = Rules { repeats: true, ..form::QUERY };

/// What a withdrawal may say.
const WITHDRAWAL: [(&str, Shape); 12] = [
    ("type", Shape::Text),
    ("to", Shape::Text),
    ("amount", Shape::Number),
    ("currency", Shape::Text),
    ("network", Shape::Text),
    ("destination_tag", Shape::Text),
    ("idem", Shape::Text),
    ("description", Shape::Text),
    ("skip_notifications", Shape::Flag),
    ("to_financial_institution", Shape::Flag),
    ("financial_institution_website", Shape::Text),
    ("travel_rule_data", Shape::Any),
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    if raw.header_values("Authorization").next().is_some() {
        return Err(RequestError::BearerToken);
    }
    let api_key = raw.api_key(API_KEY_HEADER)?;
    let signature = raw.header(SIGNATURE_HEADER)?;
    let timestamp = raw.header(TIMESTAMP_HEADER)?;
    let passphrase = raw.optional_header(PASSPHRASE_HEADER)?;
    let passphrase = passphrase.map(|text| Passphrase(zeroize::Zeroizing::new(text.to_owned())));
    let signed_at = times::seconds(timestamp)?;

    let (target, fields) = if common::reads(raw.method)? {
        common::check_no_body(raw)?;
        common::check_query(raw.raw_query, true)?;
        let unsigned = raw.path.starts_with(QUERY_UNSIGNED_UNDER);
        let target = if unsigned { raw.path.as_bytes().to_vec() } else { common::target(raw) };
        (target, form::read([raw.raw_query], RULES)?)
    } else if raw.raw_query.is_empty() {
        (raw.path.as_bytes().to_vec(), common::read_json(raw)?)
    } else {
        return Err(RequestError::QueryUnsigned);
    };
    let payload = [timestamp.as_bytes(), raw.method.as_bytes(), &target, raw.raw_body].concat();
    let window = times::of_ms(WINDOW_MS);
    let head = common::Head { api_key, signed_at, window, signature, passphrase };
    Ok(common::signed(Dialect::Coinbase, raw, head, fields, payload))
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let secret = common::hmac_sha256(key)?;
    common::verify_hex(request, secret)?;
    let agrees = match &request.passphrase {
        Some(shown) => secret.has_passphrase(&shown.0),
        None => !secret.wants_passphrase(),
    };
    if agrees { Ok(()) } else { Err(RequestError::PassphraseInvalid) }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    let account =
        request.path.strip_prefix("/v2/accounts/").and_then(|rest| rest.strip_suffix("/transactions"));
    let account = account.filter(|id| !id.is_empty() && !id.contains('/'));
    if &*request.method != "POST" || account.is_none() {
        return Err(RequestError::WrongEndpoint { expected: "POST /v2/accounts/{account_id}/transactions" });
    }
    only(request, &WITHDRAWAL)?;
    withdrawal::required(request, "type")?;
    one_of(request, "type", &["send"], "send")?;
    let asset = asset(request, "currency")?;
    let network = withdrawal::network(&NETWORKS, optional(request, "network"), &asset)?;
    let amount_text = amount(request, "amount")?;
    let address = withdrawal::required_token(request, "to")?;
    let tag = token(request, "destination_tag")?;
    let client_order_id = token(request, "idem")?;
    Ok(withdrawal::verified(request, Asked { asset, network, address, tag, amount_text, client_order_id }))
}

/// Coinbase's names of networks.
pub(super) const NETWORKS: [(&str, Network); 15] = [
    ("bitcoin", Network::Bitcoin),
    ("ethereum", Network::Ethereum),
    ("bsc", Network::Bsc),
    ("tron", Network::Tron),
    ("solana", Network::Solana),
    ("ripple", Network::Xrp),
    ("stellar", Network::Stellar),
    ("litecoin", Network::Litecoin),
    ("dogecoin", Network::Dogecoin),
    ("bitcoin_cash", Network::BitcoinCash),
    ("polygon", Network::Polygon),
    ("arbitrum", Network::Arbitrum),
    ("optimism", Network::Optimism),
    ("base", Network::Base),
    ("avacchain", Network::AvalancheC),
];
