//! Binance's dialect: `X-MBX-APIKEY`, and a `signature` parameter over the bytes of all the others.
//!
//! Signed are the raw query and the raw body, one behind the other with nothing between them, up to the signature. So
//! the border between query and body is not signed, and clients (ccxt among them) do not percent-encode values: a
//! careless reader can be made to see other parameters than the customer signed. Hence the strictness here: a raw `=`
//! or `+` in a value is refused, so is any repeated or unknown parameter of a withdrawal, and no known name is the end
//! of another, so that the same bytes can be cut into query and body in one way only. Method and path are not signed
//! either: `withdrawal` takes one endpoint only.

use holdfast_values::{AssetSymbol, Micros, Name, Network, Timestamp};

use super::{Dialect, Field, SignedRequest, VERIFIER_VERSION, Verified, request_digest};
use crate::encoding;
use crate::key::{KeyMaterial, verify_ed25519, verify_rsa};
use crate::request::{RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "X-MBX-APIKEY";
/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/sapi/v1/capital/withdraw/apply";
/// How long a request is valid if it does not say, in milliseconds.
pub const WINDOW_DEFAULT_MS: u64 = 5_000;
/// The longest that a request may ask to be valid, in milliseconds.
pub const WINDOW_MAX_MS: u64 = 60_000;

const PARAMETERS_MAX: usize = 64;
const MICROS_PER_MS: u64 = 1_000;

/// What a withdrawal may say. No name may be the end of another (see above; a test holds this).
const WITHDRAWAL_PARAMETERS: [&str; 11] = [
    "coin",
    "network",
    "address",
    "addressTag",
    "amount",
    "withdrawOrderId",
    "name",
    "walletType",
    "transactionFeeFlag",
    "timestamp",
    "recvWindow",
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    let api_key = raw.single_header(API_KEY_HEADER)?;
    let api_key: Name = api_key.parse().map_err(|_| RequestError::ApiKeyMalformed)?;

    // The signature is the last parameter of the last part that has any.
    let signature_in_query = raw.raw_body.is_empty();
    let last = if signature_in_query { raw.raw_query } else { raw.raw_body };
    let (signed, signature) = cut_signature(last)?;
    let (query, body) = if signature_in_query { (signed, &[][..]) } else { (raw.raw_query, signed) };

    let fields = read_fields(query, body)?;
    let field = |name: &str| fields.iter().find(|field| &*field.name == name).map(|field| &*field.value);
    let signed_at = read_timestamp(field("timestamp").ok_or(RequestError::TimestampMissing)?)?;
    let window = read_window(field("recvWindow"))?;
    let payload = [query, body].concat().into_boxed_slice();
    let digest = request_digest(Dialect::Binance, &api_key, &payload);
    Ok(SignedRequest {
        dialect: Dialect::Binance,
        method: raw.method.into(),
        path: raw.path.into(),
        api_key,
        signed_at,
        window,
        split: !query.is_empty() && !body.is_empty(),
        fields,
        payload,
        signature: signature.into(),
        digest,
    })
}

/// Splits a part into what is signed and the text of the signature, which must come last in it.
fn cut_signature(part: &[u8]) -> Result<(&[u8], &str), RequestError> {
    const MARK: &[u8] = b"signature=";
    let start =
        part.iter().rposition(|byte| *byte == b'&').map_or(0, |ampersand| ampersand.saturating_add(1));
    let (before, last) = part.split_at_checked(start).ok_or(RequestError::SignatureMissing)?;
    let Some(value) = last.strip_prefix(MARK) else {
        let elsewhere = part.split(|byte| *byte == b'&').any(|segment| segment.starts_with(MARK));
        return Err(if elsewhere { RequestError::SignatureNotLast } else { RequestError::SignatureMissing });
    };
    let value = core::str::from_utf8(value).map_err(|_| RequestError::SignatureInvalid)?;
    Ok((before.strip_suffix(b"&").unwrap_or(before), value))
}

/// The parameters of query and body, decoded, each name once.
fn read_fields(query: &[u8], body: &[u8]) -> Result<Vec<Field>, RequestError> {
    let mut fields: Vec<Field> = Vec::new();
    let parts = [query, body].into_iter().filter(|part| !part.is_empty());
    for (index, segment) in parts.flat_map(|part| part.split(|byte| *byte == b'&')).enumerate() {
        let position = index.saturating_add(1);
        if position > PARAMETERS_MAX {
            return Err(RequestError::TooManyParameters { max: PARAMETERS_MAX });
        }
        let malformed = RequestError::ParameterMalformed { position };
        let equals = segment.iter().position(|byte| *byte == b'=').ok_or(malformed)?;
        let (raw_name, raw_value) = segment.split_at_checked(equals).ok_or(malformed)?;
        let raw_value = raw_value.strip_prefix(b"=").ok_or(malformed)?;

        let name = decode(raw_name).ok_or(malformed)?;
        if fields.iter().any(|field| field.name == name) {
            return Err(RequestError::ParameterRepeated { position });
        }
        if &*name == "signature" {
            return Err(RequestError::SignatureNotLast);
        }
        // One spelling for each name: what must be escaped is no part of one.
        if raw_name.is_empty() || !raw_name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return Err(malformed);
        }
        // Some read `+` as a space and some as itself. The label of an address binds nothing; elsewhere it matters.
        if raw_value.contains(&b'=') || (raw_value.contains(&b'+') && &*name != "name") {
            return Err(malformed);
        }
        fields.push(Field { name, value: decode(raw_value).ok_or(malformed)? });
    }
    Ok(fields)
}

/// Percent-decodes; refuses what is not UTF-8 and control characters.
fn decode(raw: &[u8]) -> Option<Box<str>> {
    let text = String::from_utf8(encoding::percent(raw)?).ok()?;
    if text.chars().any(char::is_control) { None } else { Some(text.into()) }
}

fn read_timestamp(text: &str) -> Result<Timestamp, RequestError> {
    let plain = text.len() == 13 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let ms: Option<u64> = if plain { text.parse().ok() } else { None };
    let micros = ms.and_then(|ms| ms.checked_mul(MICROS_PER_MS)).ok_or(RequestError::TimestampInvalid)?;
    Ok(Timestamp(micros))
}

fn read_window(text: Option<&str>) -> Result<Micros, RequestError> {
    const INVALID: RequestError = RequestError::WindowInvalid { max_ms: WINDOW_MAX_MS };
    let Some(text) = text else { return Ok(WINDOW_DEFAULT_MS.saturating_mul(MICROS_PER_MS)) };
    let plain = text.len() <= 5 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let ms: Option<u64> = if plain { text.parse().ok() } else { None };
    match ms {
        Some(ms) if ms <= WINDOW_MAX_MS => Ok(ms.saturating_mul(MICROS_PER_MS)),
        _ => Err(INVALID),
    }
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let text = encoding::percent(request.signature.as_bytes()).ok_or(RequestError::SignatureInvalid)?;
    let genuine = match key {
        KeyMaterial::HmacSha256(secret) => {
            encoding::hex(&text).is_some_and(|tag| secret.verify(&request.payload, &tag))
        }
        KeyMaterial::Ed25519(key) => encoding::base64(&text)
            .and_then(|bytes| bytes.try_into().ok())
            .is_some_and(|signature| verify_ed25519(key, &request.payload, &signature)),
        KeyMaterial::Rsa(key) => {
            encoding::base64(&text).is_some_and(|signature| verify_rsa(key, &request.payload, &signature))
        }
    };
    if genuine { Ok(()) } else { Err(RequestError::SignatureInvalid) }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    if &*request.method != "POST" || &*request.path != WITHDRAW_PATH {
        return Err(RequestError::WrongEndpoint { expected: "POST /sapi/v1/capital/withdraw/apply" });
    }
    for (index, field) in request.fields.iter().enumerate() {
        if !WITHDRAWAL_PARAMETERS.contains(&&*field.name) {
            return Err(RequestError::ParameterUnknown { position: index.saturating_add(1) });
        }
    }
    let invalid = |name, expected| RequestError::ParameterInvalid { name, expected };
    let asset = required(request, "coin")?;
    let asset = asset.parse().map_err(|_| invalid("coin", "1 to 16 capital letters and digits"))?;
    let (network, network_text) = match optional(request, "network") {
        Some(text) => {
            let (name, network) = named_network(text).ok_or(RequestError::NetworkUnknown)?;
            (network, name)
        }
        None => {
            own_network(&asset).map(|(name, network)| (network, name)).ok_or(RequestError::NetworkMissing)?
        }
    };
    let amount = required(request, "amount")?;
    if !is_decimal(amount) {
        return Err(invalid(
            "amount",
            "a decimal number: digits, at most one point, no sign and no exponent",
        ));
    }
    let plain = "1 to 128 printable ASCII characters without spaces";
    let address = token(required(request, "address")?, 128).ok_or(invalid("address", plain))?;
    let tag = optional(request, "addressTag");
    let tag = tag.map(|tag| token(tag, 128).ok_or(invalid("addressTag", plain))).transpose()?;
    let order = optional(request, "withdrawOrderId");
    let order = order.map(|id| token(id, 128).ok_or(invalid("withdrawOrderId", plain))).transpose()?;
    if !matches!(optional(request, "walletType"), None | Some("0" | "1")) {
        return Err(invalid("walletType", "0 or 1"));
    }
    if !matches!(optional(request, "transactionFeeFlag"), None | Some("true" | "false")) {
        return Err(invalid("transactionFeeFlag", "true or false"));
    }
    Ok(Verified {
        api_key: request.api_key.clone(),
        signed_at: request.signed_at,
        window: request.window,
        request_digest: request.digest,
        asset,
        network,
        network_text,
        address,
        tag,
        amount_text: amount.into(),
        client_order_id: order,
        verifier_version: VERIFIER_VERSION,
    })
}

/// A parameter's value; an empty one counts as absent.
fn optional<'a>(request: &'a SignedRequest, name: &str) -> Option<&'a str> {
    request.field(name).filter(|value| !value.is_empty())
}

fn required<'a>(request: &'a SignedRequest, name: &'static str) -> Result<&'a str, RequestError> {
    optional(request, name).ok_or(RequestError::ParameterMissing { name })
}

/// A value of printable ASCII without spaces.
fn token(value: &str, max: usize) -> Option<Box<str>> {
    let plain = (1..=max).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| value.into())
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 80 && digits(whole) && digits(fraction)
}

/// Binance's names of networks. The first name of each is the one that ccxt sends.
const NETWORKS: [(&str, Network); 16] = [
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
    ("POLYGON", Network::Polygon),
    ("ARBITRUM", Network::Arbitrum),
    ("OPTIMISM", Network::Optimism),
    ("BASE", Network::Base),
    ("AVAXC", Network::AvalancheC),
];

/// The coins that Binance withdraws on their own network if none is named, where there can be no doubt which it is.
const COINS_WITH_OWN_NETWORK: [&str; 9] = ["BTC", "ETH", "LTC", "DOGE", "BCH", "TRX", "SOL", "XRP", "XLM"];

fn named_network(name: &str) -> Option<(&'static str, Network)> {
    NETWORKS.into_iter().find(|(known, _)| *known == name)
}

fn own_network(asset: &AssetSymbol) -> Option<(&'static str, Network)> {
    COINS_WITH_OWN_NETWORK.into_iter().find(|coin| *coin == asset.as_str()).and_then(named_network)
}

/// The network that Binance calls `name`.
pub fn network(name: &str) -> Option<Network> {
    named_network(name).map(|(_, network)| network)
}

/// What Binance calls `network`, if it has it.
pub fn network_name(network: Network) -> Option<&'static str> {
    NETWORKS.into_iter().find(|(_, known)| *known == network).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coin_with_a_network_of_its_own_finds_it() {
        for coin in COINS_WITH_OWN_NETWORK {
            assert!(own_network(&coin.parse().unwrap()).is_some(), "{coin}");
        }
        assert_eq!(network("POLYGON"), network("MATIC"));
        assert_eq!(network_name(Network::Polygon), Some("MATIC"));
        assert_eq!((network("btc"), network_name(Network::BitcoinTestnet)), (None, None));
    }

    #[test]
    fn no_parameter_name_is_the_end_of_another() {
        for name in WITHDRAWAL_PARAMETERS {
            for other in WITHDRAWAL_PARAMETERS {
                assert!(name == other || !other.ends_with(name), "{other} ends with {name}");
            }
        }
    }
}
