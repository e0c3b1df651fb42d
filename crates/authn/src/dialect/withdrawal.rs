//! What a withdrawal says, from the fields of a request: the same checks for every dialect.

use holdfast_values::{AssetSymbol, Network};

use super::{Field, Kind, SignedRequest, VERIFIER_VERSION, Verified};
use crate::request::RequestError;

/// The kinds of value that a parameter may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    /// A number, or text that is one.
    Number,
    /// `true` or `false`.
    Flag,
    /// Anything: it says nothing about where the money goes.
    Any,
}

/// Where withdrawals of a dialect are asked for.
pub(super) fn endpoint(request: &SignedRequest, expected: &'static str) -> Result<(), RequestError> {
    let wrong = RequestError::WrongEndpoint { expected };
    let (method, path) = expected.split_once(' ').ok_or(wrong)?;
    if &*request.method == method && &*request.path == path { Ok(()) } else { Err(wrong) }
}

/// Refuses parameters that the endpoint does not take, or of another kind than it takes.
pub(super) fn only(request: &SignedRequest, known: &[(&'static str, Shape)]) -> Result<(), RequestError> {
    for (index, field) in request.fields.iter().enumerate() {
        let (name, shape) = known
            .iter()
            .find(|(name, _)| *name == &*field.name)
            .ok_or(RequestError::ParameterUnknown { position: index.saturating_add(1) })?;
        let expected = match (shape, field.kind) {
            (Shape::Any, _)
            | (_, Kind::Null)
            | (Shape::Text, Kind::Text)
            | (Shape::Number, Kind::Number | Kind::Text)
            | (Shape::Flag, Kind::Flag) => continue,
            (Shape::Text, _) => "text",
            (Shape::Number, _) => "a number",
            (Shape::Flag, _) => "true or false",
        };
        return Err(RequestError::ParameterInvalid { name, expected });
    }
    Ok(())
}

/// A parameter's value; an empty one, or `null`, counts as absent.
pub(super) fn optional<'a>(request: &'a SignedRequest, name: &str) -> Option<&'a str> {
    let present = |field: &&Field| !field.value.is_empty() && field.kind != Kind::Null;
    request.fields.iter().find(|field| &*field.name == name).filter(present).map(|field| &*field.value)
}

pub(super) fn required<'a>(request: &'a SignedRequest, name: &'static str) -> Result<&'a str, RequestError> {
    optional(request, name).ok_or(RequestError::ParameterMissing { name })
}

/// A parameter that may say only one of these, if it is there.
pub(super) fn one_of(
    request: &SignedRequest,
    name: &'static str,
    values: &[&str],
    expected: &'static str,
) -> Result<(), RequestError> {
    let permitted = optional(request, name).is_none_or(|value| values.contains(&value));
    if permitted { Ok(()) } else { Err(RequestError::ParameterInvalid { name, expected }) }
}

pub(super) fn asset(request: &SignedRequest, name: &'static str) -> Result<AssetSymbol, RequestError> {
    let expected = "1 to 16 capital letters and digits";
    required(request, name)?.parse().map_err(|_| RequestError::ParameterInvalid { name, expected })
}

/// Digits and at most one point. A number that a program wrote with an exponent is refused.
pub(super) fn amount(request: &SignedRequest, name: &'static str) -> Result<Box<str>, RequestError> {
    let text = required(request, name)?;
    let expected = "a decimal number: digits, at most one point, no sign and no exponent";
    if is_decimal(text) { Ok(text.into()) } else { Err(RequestError::ParameterInvalid { name, expected }) }
}

/// A value of at most 128 printable ASCII characters without spaces.
pub(super) fn token(request: &SignedRequest, name: &'static str) -> Result<Option<Box<str>>, RequestError> {
    optional(request, name).map(|value| plain(name, value)).transpose()
}

pub(super) fn required_token(request: &SignedRequest, name: &'static str) -> Result<Box<str>, RequestError> {
    plain(name, required(request, name)?)
}

pub(super) fn plain(name: &'static str, value: &str) -> Result<Box<str>, RequestError> {
    let expected = "1 to 128 printable ASCII characters without spaces";
    let plain = (1..=128).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { Ok(value.into()) } else { Err(RequestError::ParameterInvalid { name, expected }) }
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 80 && digits(whole) && digits(fraction)
}

/// A dialect's names of networks. The first name of each is the one that ccxt sends.
pub(super) type Networks = [(&'static str, Network)];

pub(super) fn named_network(networks: &Networks, name: &str) -> Option<(&'static str, Network)> {
    networks.iter().copied().find(|(known, _)| *known == name)
}

/// The coins that have one network that nobody can mistake, so that it need not be named.
const COINS_WITH_OWN_NETWORK: [(&str, Network); 9] = [
    ("BTC", Network::Bitcoin),
    ("ETH", Network::Ethereum),
    ("LTC", Network::Litecoin),
    ("DOGE", Network::Dogecoin),
    ("BCH", Network::BitcoinCash),
    ("TRX", Network::Tron),
    ("SOL", Network::Solana),
    ("XRP", Network::Xrp),
    ("XLM", Network::Stellar),
];

/// The network that a request names, or the asset's own one.
pub(super) fn network(
    networks: &Networks,
    named: Option<&str>,
    asset: &AssetSymbol,
) -> Result<(&'static str, Network), RequestError> {
    let Some(name) = named else {
        let own = COINS_WITH_OWN_NETWORK.into_iter().find(|(coin, _)| *coin == asset.as_str());
        let (_, own) = own.ok_or(RequestError::NetworkMissing)?;
        return networks.iter().copied().find(|(_, known)| *known == own).ok_or(RequestError::NetworkMissing);
    };
    named_network(networks, name).ok_or(RequestError::NetworkUnknown)
}

/// The destination and amount that a dialect has read.
pub(super) struct Asked {
    pub asset: AssetSymbol,
    pub network: (&'static str, Network),
    pub address: Box<str>,
    pub tag: Option<Box<str>>,
    pub amount_text: Box<str>,
    pub client_order_id: Option<Box<str>>,
}

pub(super) fn verified(request: &SignedRequest, asked: Asked) -> Verified {
    let (network_text, network) = asked.network;
    Verified {
        api_key: request.api_key.clone(),
        signed_at: request.signed_at,
        window: request.window,
        request_digest: request.digest,
        asset: asked.asset,
        network: Some(network),
        network_text: Some(network_text),
        address: Some(asked.address),
        destination_name: None,
        tag: asked.tag,
        amount_text: asked.amount_text,
        client_order_id: asked.client_order_id,
        verifier_version: VERIFIER_VERSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_knows_the_networks_of_coins_that_need_not_name_them() {
        for networks in [
            &super::super::binance::NETWORKS[..],
            &super::super::okx::NETWORKS,
            &super::super::bybit::NETWORKS,
            &super::super::kucoin::NETWORKS,
            &super::super::coinbase::NETWORKS,
        ] {
            for (coin, own) in COINS_WITH_OWN_NETWORK {
                assert_eq!(
                    network(networks, None, &coin.parse().unwrap()).map(|(_, found)| found),
                    Ok(own),
                    "{coin}"
                );
            }
            assert_eq!(network(networks, None, &"USDT".parse().unwrap()), Err(RequestError::NetworkMissing));
            assert_eq!(
                network(networks, Some("?"), &"BTC".parse().unwrap()),
                Err(RequestError::NetworkUnknown)
            );
        }
    }
}
