//! HTTP Message Signatures (RFC 9421), the dialect to choose for new clients: the signature lists what it covers, and
//! Holdfast says what it must list.
//!
//! Covered must be the method, the path, the query if there is one, and by `content-digest` (RFC 9530) the body if there
//! is one; `created` and `keyid` must be there. What is not covered must be absent. There is one signature, its headers
//! are in canonical form, and no component has parameters: nothing is re-encoded to check it. Withdrawals use Holdfast's
//! own names of networks.

use holdfast_values::{Network, Timestamp};

use super::withdrawal::{self, Asked, Shape, amount, asset, endpoint, only, optional, token};
use super::{Dialect, SignedRequest, Verified, WINDOW_MAX_MS, common, components, times};
use crate::encoding;
use crate::key::{KeyMaterial, verify_ed25519, verify_rsa};
use crate::request::{RawRequest, RequestError};

/// Where withdrawals are asked for.
pub const WITHDRAW_PATH: &str = "/v1/withdrawals";
/// How long a request is valid if it does not say, in milliseconds.
pub const WINDOW_DEFAULT_MS: u64 = 30_000;

/// What a signature says that it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `ed25519`.
    Ed25519,
    /// `rsa-v1_5-sha256`.
    RsaPkcs1Sha256,
    /// `hmac-sha256`.
    HmacSha256,
}

impl Algorithm {
    /// The algorithm of a registered name, if it is one that is taken here.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ed25519" => Some(Self::Ed25519),
            "rsa-v1_5-sha256" => Some(Self::RsaPkcs1Sha256),
            "hmac-sha256" => Some(Self::HmacSha256),
            _ => None,
        }
    }
}

/// What a withdrawal may say.
const WITHDRAWAL: [(&str, Shape); 6] = [
    ("asset", Shape::Text),
    ("network", Shape::Text),
    ("address", Shape::Text),
    ("memo", Shape::Text),
    ("amount", Shape::Number),
    ("client_order_id", Shape::Text),
];

pub(super) fn parse(raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    let input = components::read_input(raw.header(components::INPUT_HEADER)?)?;
    let signature = components::read_signature(raw.header(components::SIGNATURE_HEADER)?, input.label)?;
    let api_key = input.key.ok_or(RequestError::ApiKeyMissing { header: components::INPUT_HEADER })?;
    let api_key = api_key.parse().map_err(|_| RequestError::ApiKeyMalformed)?;
    let (signed_at, window) = read_times(&input)?;

    let fields = common::read_fields(raw)?;
    check_covered(raw, &input)?;
    let payload = components::base(raw, &input)?.into_bytes();
    let head = common::Head { api_key, signed_at, window, signature, passphrase: None };
    let request = common::signed(Dialect::HttpSignature, raw, head, fields, payload);
    Ok(SignedRequest { algorithm: input.algorithm, ..request })
}

fn read_times(input: &components::Input<'_>) -> Result<(Timestamp, u64), RequestError> {
    let whole = |text: &str| match text.contains('.') {
        false => times::seconds(text),
        true => Err(RequestError::TimestampInvalid { expected: "in seconds since 1970, 10 digits" }),
    };
    let created = whole(input.created.ok_or(RequestError::TimestampMissing)?)?;
    let window = match input.expires.map(whole).transpose()? {
        Some(expires) => expires.since(created),
        None => times::of_ms(WINDOW_DEFAULT_MS),
    };
    if (1..=times::of_ms(WINDOW_MAX_MS)).contains(&window) {
        Ok((created, window))
    } else {
        Err(RequestError::WindowInvalid { max_ms: WINDOW_MAX_MS })
    }
}

/// Method, path, query and body must be covered as far as they are there.
fn check_covered(raw: &RawRequest<'_>, input: &components::Input<'_>) -> Result<(), RequestError> {
    let covered = |names: &[&str]| names.iter().any(|name| input.components.contains(name));
    let missing = |component| Err(RequestError::ComponentMissing { component });
    if !covered(&["@method"]) {
        return missing("@method");
    }
    if !covered(&["@path", "@request-target", "@target-uri"]) {
        return missing("@path");
    }
    if !raw.raw_query.is_empty() && !covered(&["@query", "@request-target", "@target-uri"]) {
        return missing("@query");
    }
    let digest = raw.optional_header(components::DIGEST_HEADER)?;
    match digest {
        Some(digest) => components::check_digest(digest, raw.raw_body)?,
        None if raw.raw_body.is_empty() => {}
        None => return Err(RequestError::HeaderMissing { header: components::DIGEST_HEADER }),
    }
    if !raw.raw_body.is_empty() && !covered(&["content-digest"]) {
        return missing("content-digest");
    }
    Ok(())
}

pub(super) fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    let signature = encoding::base64(request.signature.as_bytes()).ok_or(RequestError::SignatureInvalid)?;
    let named = |algorithm| request.algorithm.is_none_or(|named| named == algorithm);
    let genuine = match key {
        KeyMaterial::Ed25519(key) => {
            named(Algorithm::Ed25519)
                && signature.try_into().is_ok_and(|bytes| verify_ed25519(key, &request.payload, &bytes))
        }
        KeyMaterial::Rsa(key) => {
            named(Algorithm::RsaPkcs1Sha256) && verify_rsa(key, &request.payload, &signature)
        }
        KeyMaterial::HmacSha256(secret) => {
            named(Algorithm::HmacSha256) && secret.verify(&request.payload, &signature)
        }
        KeyMaterial::HmacSha512(_) => false,
    };
    if genuine { Ok(()) } else { Err(RequestError::SignatureInvalid) }
}

/// What a request to withdraw asks for. The caller has verified its signature.
pub(super) fn withdrawal(request: &SignedRequest) -> Result<Verified, RequestError> {
    endpoint(request, "POST /v1/withdrawals")?;
    only(request, &WITHDRAWAL)?;
    let asset = asset(request, "asset")?;
    let networks = Network::ALL.map(|network| (network.name(), network));
    let network = withdrawal::network(&networks, optional(request, "network"), &asset)?;
    let amount_text = amount(request, "amount")?;
    let address = withdrawal::required_token(request, "address")?;
    let tag = token(request, "memo")?;
    let client_order_id = token(request, "client_order_id")?;
    Ok(withdrawal::verified(request, Asked { asset, network, address, tag, amount_text, client_order_id }))
}
