//! Binance's dialect: `X-MBX-APIKEY`, and a `signature` parameter over the bytes of all the others.
//!
//! Signed are the raw query and the raw body, one behind the other with nothing between them, up to the signature. So
//! the border between query and body is not signed, and clients (ccxt among them) do not percent-encode values: a
//! careless reader can be made to see other parameters than the customer signed. Hence the strictness here: a raw `=`
//! or `+` in a value is refused, so is any repeated or unknown parameter of a withdrawal, and no known name is the end
//! of another, so that the same bytes can be cut into query and body in one way only. Method and path are not signed
//! either: `withdrawal` takes one endpoint only.

use holdfast_values::{Micros, Name, Network};

use super::form::{self, Rules};
use super::withdrawal::{self, Asked, named_network};
use super::{Dialect, SignedRequest, Verified, request_digest, times};
use crate::encoding;
use crate::key::{KeyMaterial, verify_ed25519, verify_rsa};
use crate::request::{RawRequest, RequestError};

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "X-MBX-APIKEY";
/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/sapi/v1/capital/withdraw/apply";
/// How long a request is valid if it does not say, in milliseconds.
pub const WINDOW_DEFAULT_MS: u64 = 5_000;

/// The label of an address binds nothing, so a `+` may stand in it; elsewhere it matters how that is read.
const RULES: Rules =
    Rules { plain_names: true, plain_values: true, plus_in: "name", reserved: "signature", repeats: false };

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
    let api_key: Name = raw.api_key(API_KEY_HEADER)?;

    // The signature is the last parameter of the last part that has any.
    let signature_in_query = raw.raw_body.is_empty();
    let last = if signature_in_query { raw.raw_query } else { raw.raw_body };
    let (signed, signature) = cut_signature(last)?;
    let (query, body) = if signature_in_query { (signed, &[][..]) } else { (raw.raw_query, signed) };

    let fields = form::read([query, body], RULES)?;
    let field = |name: &str| fields.iter().find(|field| &*field.name == name).map(|field| &*field.value);
    let signed_at = times::milliseconds(field("timestamp").ok_or(RequestError::TimestampMissing)?)?;
    let window: Micros = match field("recvWindow") {
        Some(text) => times::window(text)?,
        None => times::of_ms(WINDOW_DEFAULT_MS),
    };
    let payload = [query, body].concat().into_boxed_slice();
    let digest = request_digest(Dialect::Binance, &api_key, &payload);
    Ok(SignedRequest {
        dialect: Dialect::Binance,
        method: raw.method.into(),
        path: raw.path.into(),
        api_key,
        signed_at,
        window,
        nonce: None,
        split: !query.is_empty() && !body.is_empty(),
        fields,
        payload,
        signature: signature.into(),
        passphrase: None,
        algorithm: None,
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

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let text = encoding::percent(request.signature.as_bytes()).ok_or(RequestError::SignatureInvalid)?;
    let genuine = match key {
        KeyMaterial::HmacSha256(secret) => {
            encoding::hex::<32>(&text).is_some_and(|tag| secret.verify(&request.payload, &tag))
        }
        KeyMaterial::HmacSha512(_) => false,
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
    let asset = withdrawal::asset(request, "coin")?;
    let network = withdrawal::network(&NETWORKS, withdrawal::optional(request, "network"), &asset)?;
    let amount_text = withdrawal::amount(request, "amount")?;
    let address = withdrawal::required_token(request, "address")?;
    let tag = withdrawal::token(request, "addressTag")?;
    let client_order_id = withdrawal::token(request, "withdrawOrderId")?;
    withdrawal::one_of(request, "walletType", &["0", "1"], "0 or 1")?;
    withdrawal::one_of(request, "transactionFeeFlag", &["true", "false"], "true or false")?;
    Ok(withdrawal::verified(request, Asked { asset, network, address, tag, amount_text, client_order_id }))
}

/// Binance's names of networks. The first name of each is the one that ccxt sends.
pub(super) const NETWORKS: [(&str, Network); 16] = [
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

/// The network that Binance calls `name`.
pub fn network(name: &str) -> Option<Network> {
    named_network(&NETWORKS, name).map(|(_, network)| network)
}

/// What Binance calls `network`, if it has it.
pub fn network_name(network: Network) -> Option<&'static str> {
    NETWORKS.into_iter().find(|(_, known)| *known == network).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_the_names_that_clients_send() {
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
