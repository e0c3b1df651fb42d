//! Why the gate refuses: stable codes, a sentence for the client, and as which of a dialect's errors it is told.

use holdfast_authn::RequestError;
use holdfast_authn::dialect::GateRefusal;

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident $code:literal $sentence:literal;)*) => {
        /// Why a request is refused.
        ///
        /// The codes are stable. They go to logs and metrics; the client is told in its dialect's own words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$meta])* $name,)*
        }

        impl Code {
            /// Every code, in the order in which they are checked.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// What the client is told beside its dialect's own words.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),* }
            }
        }
    };
}

codes! {
    /// The path, query or method can be read in more than one way.
    PathNotCanonical "path_not_canonical"
        "Write method, path and query in their only spelling: no dot segments, double slashes or needless escapes.";
    /// No route has this path and method.
    RouteUnknown "route_unknown"
        "There is no such method at this path.";
    /// A server that ignores case or an ending slash would take the path for another route.
    RouteAmbiguous "route_ambiguous"
        "Write the path in its own case and without a slash at its end.";
    /// Too many headers, or one that is no header, that is there twice, or that only the gate or nobody may set.
    HeaderRefused "header_refused"
        "A header is malformed, there twice, or not for clients to send.";
    /// The body is longer than the gate was given or permits.
    BodyTooLarge "body_too_large"
        "The body is too long.";
    /// The address has spent its minute.
    AddressBudget "address_budget"
        "Too many requests from this address: wait for the next minute.";
    /// The request has no such form as its dialect's requests have.
    RequestMalformed "request_malformed"
        "The request cannot be read in exactly one way.";
    /// Its timestamp or window is missing or malformed.
    TimeMalformed "time_malformed"
        "The timestamp or its window is missing or malformed.";
    /// Its nonce is missing or malformed.
    NonceMalformed "nonce_malformed"
        "The nonce is missing or malformed.";
    /// No API key.
    KeyMissing "api_key_missing"
        "Send the API key in its header, once.";
    /// Nobody has this API key.
    KeyUnknown "api_key_unknown"
        "There is no such API key.";
    /// The key signs in another dialect.
    KeyDialect "api_key_dialect"
        "The API key is not for this interface.";
    /// The signature does not fit.
    SignatureInvalid "signature_invalid"
        "The signature does not fit the request and the key: sign exactly the bytes that are sent.";
    /// The passphrase does not fit.
    PassphraseInvalid "passphrase_invalid"
        "The passphrase is not the one of the API key.";
    /// The key was revoked.
    KeyRevoked "api_key_revoked"
        "The API key was revoked: make a new one.";
    /// The key has expired.
    KeyExpired "api_key_expired"
        "The API key has expired: make a new one.";
    /// The account is frozen.
    AccountFrozen "account_frozen"
        "The account is frozen.";
    /// The key may not be used from this address.
    AddressNotAllowed "address_not_allowed"
        "The API key may not be used from this address.";
    /// The key may not do this.
    ScopeMissing "scope_missing"
        "The API key may not do this.";
    /// Signed later than the clock can be wrong.
    SignedAhead "signed_ahead"
        "The request was signed ahead of time: set the clock.";
    /// Signed longer ago than it asked to be valid.
    SignedTooLongAgo "signed_too_long_ago"
        "The request was signed too long ago: set the clock and sign it again.";
    /// Signed before the gate started: whether it was let through before is not known.
    SignedBeforeStart "signed_before_start"
        "The request was signed before the service started: sign it again.";
    /// A nonce that is not above the one before.
    NonceOld "nonce_old"
        "The nonce is not above the one before.";
    /// The request was let through before.
    Replayed "replayed"
        "The same signed request was seen before: sign a new one.";
    /// What the key is cannot be found out.
    Unavailable "unavailable"
        "The request cannot be judged now: sign it again in a few seconds.";
    /// The memory against replay is full.
    MemoryFull "memory_full"
        "The request cannot be judged now: sign it again in a few seconds.";
    /// The key has spent its minute.
    KeyBudget "key_budget"
        "Too many requests with this API key: wait for the next minute.";
}

/// How many codes there are.
pub(crate) const CODES: usize = Code::ALL.len();

impl Code {
    /// As what it is told in the dialect.
    pub const fn refusal(self, retry_after_seconds: u32) -> GateRefusal {
        match self {
            Self::PathNotCanonical
            | Self::RouteUnknown
            | Self::RouteAmbiguous
            | Self::HeaderRefused
            | Self::RequestMalformed => GateRefusal::Malformed,
            Self::BodyTooLarge => GateRefusal::TooLarge,
            Self::AddressBudget | Self::KeyBudget => GateRefusal::RateLimit { retry_after_seconds },
            Self::KeyMissing | Self::KeyUnknown | Self::KeyDialect => GateRefusal::KeyUnknown,
            Self::SignatureInvalid => GateRefusal::Signature,
            Self::PassphraseInvalid => GateRefusal::Passphrase,
            Self::KeyRevoked => GateRefusal::KeyRevoked,
            Self::KeyExpired => GateRefusal::KeyExpired,
            Self::AccountFrozen => GateRefusal::Frozen,
            Self::AddressNotAllowed => GateRefusal::Ip,
            Self::ScopeMissing => GateRefusal::Scope,
            Self::TimeMalformed | Self::SignedAhead | Self::SignedTooLongAgo | Self::SignedBeforeStart => {
                GateRefusal::Timestamp
            }
            Self::NonceMalformed | Self::NonceOld => GateRefusal::NonceOld,
            Self::Replayed => GateRefusal::Replay,
            Self::Unavailable | Self::MemoryFull => GateRefusal::Unavailable,
        }
    }

    /// What a dialect's reader, or its check of the signature, objects to.
    pub(crate) fn of(error: &RequestError) -> Self {
        match (error, error.refusal()) {
            (RequestError::TooLarge { part: "body", .. }, _) => Self::BodyTooLarge,
            (RequestError::ApiKeyMissing { .. }, _) => Self::KeyMissing,
            (_, GateRefusal::KeyUnknown) => Self::KeyUnknown,
            (_, GateRefusal::Signature) => Self::SignatureInvalid,
            (_, GateRefusal::Passphrase) => Self::PassphraseInvalid,
            (_, GateRefusal::Timestamp) => Self::TimeMalformed,
            (_, GateRefusal::NonceOld) => Self::NonceMalformed,
            _ => Self::RequestMalformed,
        }
    }
}
