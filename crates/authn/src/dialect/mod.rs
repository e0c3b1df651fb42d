//! Dialects of signed API requests: one small module each, from raw bytes to the same [`SignedRequest`] and
//! [`Verified`].
//!
//! Verification takes two steps, because the key is found by what the first one yields: [`parse`] reads the request
//! and needs no key; [`verify`] checks its signature and what it asks for. Only raw bytes are verified, never a
//! re-encoding. What is fresh, revoked, permitted or replayed is not judged here.

pub mod binance;

use holdfast_values::{AssetSymbol, Micros, Name, Network, Timestamp};
use ring::digest;

use crate::key::KeyMaterial;
use crate::request::{RawRequest, RequestError};

/// The version of these verifiers, recorded beside every verdict: it changes whenever the same bytes could be judged
/// differently.
pub const VERIFIER_VERSION: u16 = 1;

/// Whose way of signing a request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Binance: HMAC-SHA256, Ed25519 or RSA over the parameters.
    Binance,
}

impl Dialect {
    /// The stable name: `binance`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
        }
    }

    /// The dialect of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Binance].into_iter().find(|dialect| dialect.as_str() == name)
    }
}

/// A request that has been read but not verified: nothing in it may be believed yet.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    pub(crate) dialect: Dialect,
    pub(crate) method: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) api_key: Name,
    pub(crate) signed_at: Timestamp,
    pub(crate) window: Micros,
    pub(crate) fields: Vec<Field>,
    pub(crate) split: bool,
    pub(crate) payload: Box<[u8]>,
    pub(crate) signature: Box<str>,
    pub(crate) digest: [u8; 32],
}

/// One parameter, percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
}

impl SignedRequest {
    /// The dialect it was read in.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The id of the API key that it names.
    pub const fn api_key(&self) -> &Name {
        &self.api_key
    }

    /// When it claims to have been signed.
    pub const fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// How long after `signed_at` it asks to stay valid.
    pub const fn window(&self) -> Micros {
        self.window
    }

    /// The signed bytes.
    pub const fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The value of a parameter, percent-decoded.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| &*field.name == name).map(|field| &*field.value)
    }

    /// SHA-256 over dialect, API key and signed bytes, for replay detection.
    ///
    /// Nothing unsigned goes in, neither the signature nor its spelling, nor the path, other headers or where query ends
    /// and body begins: who has a signed request cannot make another one of it with a different digest. (Give every
    /// API key key material of its own: the same public key under two API keys would make two digests.)
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// What a customer's key vouches for: a withdrawal, as its signed bytes say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The API key's id.
    pub api_key: Name,
    /// When it was signed, by the customer's clock.
    pub signed_at: Timestamp,
    /// How long it was meant to be valid.
    pub window: Micros,
    /// [`SignedRequest::digest`].
    pub request_digest: [u8; 32],
    /// The asset.
    pub asset: AssetSymbol,
    /// The network; the asset's own one if the request names none.
    pub network: Network,
    /// The network in the dialect's spelling.
    pub network_text: &'static str,
    /// The destination, as text: checked elsewhere.
    pub address: Box<str>,
    /// Destination tag or memo.
    pub tag: Option<Box<str>>,
    /// The amount, in decimals: digits and at most one point, parsed elsewhere.
    pub amount_text: Box<str>,
    /// The customer's own id for this withdrawal.
    pub client_order_id: Option<Box<str>>,
    /// [`VERIFIER_VERSION`].
    pub verifier_version: u16,
}

/// Reads a signed request. Total: every input gives a request or a typed refusal.
pub fn parse(dialect: Dialect, raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    raw.check_limits()?;
    match dialect {
        Dialect::Binance => binance::parse(raw),
    }
}

/// Checks the signature alone, of a request to any endpoint.
pub fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    match request.dialect {
        Dialect::Binance if request.split => Err(RequestError::ParametersSplit),
        Dialect::Binance => binance::verify_signature(request, key),
    }
}

/// Checks the signature of a request and that it is one to withdraw; says what it asks for.
pub fn verify(request: &SignedRequest, key: &KeyMaterial) -> Result<Verified, RequestError> {
    match request.dialect {
        Dialect::Binance => {
            binance::verify_signature(request, key)?;
            binance::withdrawal(request)
        }
    }
}

/// The digest of [`SignedRequest::digest`]. Lengths go before what they measure, so that no two inputs are alike.
pub(crate) fn request_digest(dialect: Dialect, api_key: &Name, payload: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [b"holdfast/request/v1", dialect.as_str().as_bytes(), api_key.as_str().as_bytes(), payload] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}
