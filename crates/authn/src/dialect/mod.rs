//! Dialects of signed API requests: one small module each, from raw bytes to the same [`SignedRequest`] and
//! [`Verified`].
//!
//! Verification takes two steps, because the key is found by what the first one yields: [`parse`] reads a request to
//! any endpoint and needs no key; [`verify_signature`] checks its signature; [`verify`] does, and reads the withdrawal
//! that it asks for. Only raw bytes are verified, never a re-encoding. What is fresh, revoked, permitted or replayed is
//! not judged here. `docs/dialects.md` says what each dialect signs and where it is weak.

pub mod binance;
pub mod bybit;
pub mod coinbase;
pub mod http_signature;
pub mod kraken;
pub mod kucoin;
pub mod okx;

mod common;
mod components;
mod form;
mod json;
mod refusal;
mod times;
mod withdrawal;

use core::fmt;

use holdfast_values::{AssetSymbol, Micros, Name, Network, Timestamp};
use ring::digest;
use zeroize::Zeroizing;

use crate::key::KeyMaterial;
use crate::request::{JSON_BYTES_MAX, PART_BYTES_MAX, RawRequest, RequestError};

pub use refusal::GateRefusal;

/// The version of these verifiers, recorded beside every verdict: it changes whenever the same bytes could be judged
/// differently.
pub const VERIFIER_VERSION: u16 = 1;

/// The longest that a request of any dialect may ask to be valid, in milliseconds.
pub const WINDOW_MAX_MS: u64 = 60_000;

/// Whose way of signing a request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Binance: HMAC-SHA256, Ed25519 or RSA over the parameters.
    Binance,
    /// Kraken: HMAC-SHA512 over path, nonce and body.
    Kraken,
    /// OKX: HMAC-SHA256 over time, method, path, query and body, with a passphrase.
    Okx,
    /// Bybit, version 5: HMAC-SHA256 or RSA over time, key, window and parameters.
    Bybit,
    /// KuCoin, key version 2: HMAC-SHA256 over time, method, path, query and body, with a passphrase.
    Kucoin,
    /// Coinbase, legacy keys: HMAC-SHA256 over time, method, path and body. Its JWTs are refused.
    Coinbase,
    /// HTTP Message Signatures (RFC 9421): Ed25519, RSA or HMAC-SHA256 over what the signature lists.
    HttpSignature,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 7] = [
        Self::Binance,
        Self::Kraken,
        Self::Okx,
        Self::Bybit,
        Self::Kucoin,
        Self::Coinbase,
        Self::HttpSignature,
    ];

    /// The stable name: `binance`, `kraken`, `okx`, `bybit`, `kucoin`, `coinbase`, `rfc9421`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Kraken => "kraken",
            Self::Okx => "okx",
            Self::Bybit => "bybit",
            Self::Kucoin => "kucoin",
            Self::Coinbase => "coinbase",
            Self::HttpSignature => "rfc9421",
        }
    }

    /// The dialect of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }

    /// The longest body that a request may have.
    pub const fn body_bytes_max(self) -> usize {
        match self {
            Self::Binance => PART_BYTES_MAX,
            _ => JSON_BYTES_MAX,
        }
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
    pub(crate) nonce: Option<u64>,
    pub(crate) fields: Vec<Field>,
    /// Binance: parameters in query and body at once.
    pub(crate) split: bool,
    pub(crate) payload: Box<[u8]>,
    pub(crate) signature: Box<str>,
    pub(crate) passphrase: Option<Passphrase>,
    /// RFC 9421: the algorithm that the signature names.
    pub(crate) algorithm: Option<http_signature::Algorithm>,
    pub(crate) digest: [u8; 32],
}

/// One parameter of query, form or the outermost JSON object, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
    pub(crate) kind: Kind,
}

/// What a parameter is. Queries and forms know only text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// As it was written.
    Number,
    /// `true` or `false`.
    Flag,
    Null,
    /// An object or array; its value is left out.
    Nested,
}

/// What a request shows for a passphrase: the thing itself, or (kucoin) its tag in base64. It never prints.
#[derive(Clone)]
pub(crate) struct Passphrase(pub(crate) Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl SignedRequest {
    /// The dialect it was read in.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The method, as it was sent. Binance, kraken and bybit do not sign it.
    pub const fn method(&self) -> &str {
        &self.method
    }

    /// The path, as it was sent. Binance and bybit do not sign it.
    pub const fn path(&self) -> &str {
        &self.path
    }

    /// The id of the API key that it names.
    pub const fn api_key(&self) -> &Name {
        &self.api_key
    }

    /// When it claims to have been signed. Kraken's nonce is such a claim.
    pub const fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// How long after `signed_at` it asks to stay valid, 60 s at most.
    pub const fn window(&self) -> Micros {
        self.window
    }

    /// The number that must be higher in each request of the key than in those before it, where the dialect has one
    /// (kraken). It is microseconds, milliseconds or nanoseconds, as the client likes: judge only that it rises.
    pub const fn nonce(&self) -> Option<u64> {
        self.nonce
    }

    /// The signed bytes.
    pub const fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The value of a parameter, decoded: of query or form, or of the outermost object of a JSON body. A number is as it
    /// was written; an object or array is empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| &*field.name == name).map(|field| &*field.value)
    }

    /// SHA-256 over dialect, API key and signed bytes, for replay detection.
    ///
    /// Nothing unsigned goes in, neither the signature nor its spelling, nor (where they are not signed) the path, other
    /// headers or where query ends and body begins: who has a signed request cannot make another one of it with a
    /// different digest. (Give every API key key material of its own: the same public key under two API keys would make
    /// two digests.)
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
    /// The network; the asset's own one if the request names none. `None` only beside `destination_name`, which then
    /// decides it.
    pub network: Option<Network>,
    /// The network in the dialect's spelling.
    pub network_text: Option<&'static str>,
    /// The destination, as text: checked elsewhere. `None` only beside `destination_name`.
    pub address: Option<Box<str>>,
    /// The name under which the customer saved the destination (kraken). The request signs the name: that it stands for
    /// a certain address is the word of whoever keeps the names. With an address beside it, the address is signed too.
    pub destination_name: Option<Box<str>>,
    /// Destination tag or memo.
    pub tag: Option<Box<str>>,
    /// The amount, in decimals: digits and at most one point, parsed elsewhere.
    pub amount_text: Box<str>,
    /// The customer's own id for this withdrawal.
    pub client_order_id: Option<Box<str>>,
    /// [`VERIFIER_VERSION`].
    pub verifier_version: u16,
}

/// Reads a signed request to any endpoint. Total: every input gives a request or a typed refusal.
pub fn parse(dialect: Dialect, raw: &RawRequest<'_>) -> Result<SignedRequest, RequestError> {
    raw.check_limits(dialect.body_bytes_max())?;
    common::check_path(raw.path)?;
    match dialect {
        Dialect::Binance => binance::parse(raw),
        Dialect::Kraken => kraken::parse(raw),
        Dialect::Okx => okx::parse(raw),
        Dialect::Bybit => bybit::parse(raw),
        Dialect::Kucoin => kucoin::parse(raw),
        Dialect::Coinbase => coinbase::parse(raw),
        Dialect::HttpSignature => http_signature::parse(raw),
    }
}

/// Checks the signature alone, of a request to any endpoint.
pub fn verify_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    match request.dialect {
        Dialect::Binance if request.split => Err(RequestError::ParametersSplit),
        _ => check_signature(request, key),
    }
}

/// Checks the signature of a request and that it is one to withdraw; says what it asks for.
pub fn verify(request: &SignedRequest, key: &KeyMaterial) -> Result<Verified, RequestError> {
    check_signature(request, key)?;
    match request.dialect {
        Dialect::Binance => binance::withdrawal(request),
        Dialect::Kraken => kraken::withdrawal(request),
        Dialect::Okx => okx::withdrawal(request),
        Dialect::Bybit => bybit::withdrawal(request),
        Dialect::Kucoin => kucoin::withdrawal(request),
        Dialect::Coinbase => coinbase::withdrawal(request),
        Dialect::HttpSignature => http_signature::withdrawal(request),
    }
}

fn check_signature(request: &SignedRequest, key: &KeyMaterial) -> Result<(), RequestError> {
    match request.dialect {
        Dialect::Binance => binance::verify_signature(request, key),
        Dialect::Kraken => kraken::verify_signature(request, key),
        Dialect::Okx => okx::verify_signature(request, key),
        Dialect::Bybit => bybit::verify_signature(request, key),
        Dialect::Kucoin => kucoin::verify_signature(request, key),
        Dialect::Coinbase => coinbase::verify_signature(request, key),
        Dialect::HttpSignature => http_signature::verify_signature(request, key),
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
