//! What a gate answers a request that it does not let through: the refusal in the words of the dialect, so that a client
//! made for that exchange understands it.
//!
//! The codes are those that ccxt maps to its exceptions; a test holds the map against the real ccxt. Statuses are the
//! exchanges' own: kraken and bybit answer 200 and say it in the body.

use core::fmt::Write as _;

use super::Dialect;
use crate::request::RequestError;

/// Longest detail that is repeated in an answer, in characters.
const DETAIL_CHARS_MAX: usize = 300;

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateRefusal {
    /// The signature does not fit, or is missing.
    Signature,
    /// Nobody has this key.
    KeyUnknown,
    /// The key was revoked.
    KeyRevoked,
    /// The key has expired, or was idle for too long.
    KeyExpired,
    /// The key may not do this.
    Scope,
    /// The key may not be used from this address.
    Ip,
    /// Signed too long ago, or ahead of time.
    Timestamp,
    /// The same request again.
    Replay,
    /// A nonce that is not higher than the last one.
    NonceOld,
    /// Too many requests.
    RateLimit {
        /// When to come again. The caller also sends it as Retry-After.
        retry_after_seconds: u32,
    },
    /// It does not read as a request of the dialect.
    Malformed,
    /// A part is too long.
    TooLarge,
    /// The passphrase is not the key's.
    Passphrase,
    /// The account is frozen.
    Frozen,
    /// It cannot be judged now.
    Unavailable,
}

impl GateRefusal {
    /// The stable code: `signature`, `key_unknown`, ...
    pub const fn code(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::KeyUnknown => "key_unknown",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
            Self::Scope => "scope",
            Self::Ip => "ip",
            Self::Timestamp => "timestamp",
            Self::Replay => "replay",
            Self::NonceOld => "nonce_old",
            Self::RateLimit { .. } => "rate_limit",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Passphrase => "passphrase",
            Self::Frozen => "frozen",
            Self::Unavailable => "unavailable",
        }
    }

    /// Its sentence.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Signature => "The signature does not fit the request and the key.",
            Self::KeyUnknown => "There is no such API key.",
            Self::KeyRevoked => "The API key was revoked.",
            Self::KeyExpired => "The API key has expired: make a new one.",
            Self::Scope => "The API key may not do this.",
            Self::Ip => "The API key may not be used from this address.",
            Self::Timestamp => "The request was signed too long ago, or ahead of time: set the clock.",
            Self::Replay => "The same signed request was seen before: sign a new one.",
            Self::NonceOld => "The nonce is not higher than the last one.",
            Self::RateLimit { .. } => "Too many requests.",
            Self::Malformed => "The request cannot be read in exactly one way.",
            Self::TooLarge => "A part of the request is too long.",
            Self::Passphrase => "The passphrase is not the one of the API key.",
            Self::Frozen => "The account is frozen.",
            Self::Unavailable => "The request cannot be judged now: send it again later.",
        }
    }

    /// The HTTP status that says the same.
    const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Scope | Self::Ip | Self::Frozen => 403,
            Self::TooLarge => 413,
            Self::RateLimit { .. } => 429,
            Self::Unavailable => 503,
            _ => 401,
        }
    }
}

impl RequestError {
    /// What a gate answers to this.
    pub const fn refusal(&self) -> GateRefusal {
        match self {
            Self::TooLarge { .. } | Self::TooManyHeaders => GateRefusal::TooLarge,
            Self::ApiKeyMissing { .. } | Self::ApiKeyMalformed => GateRefusal::KeyUnknown,
            Self::SignatureMissing | Self::SignatureInvalid | Self::BearerToken => GateRefusal::Signature,
            Self::TimestampMissing | Self::TimestampInvalid { .. } | Self::WindowInvalid { .. } => {
                GateRefusal::Timestamp
            }
            Self::NonceMissing | Self::NonceInvalid => GateRefusal::NonceOld,
            Self::PassphraseInvalid => GateRefusal::Passphrase,
            _ => GateRefusal::Malformed,
        }
    }
}

impl Dialect {
    /// HTTP status, content type and body of a refusal. `detail` says more, in words that may be shown to whoever sent the
    /// request; it may be empty.
    pub fn error_body(self, refusal: GateRefusal, detail: &str) -> (u16, &'static str, String) {
        const JSON: &str = "application/json";
        let said = if detail.is_empty() { refusal.sentence().to_owned() } else { cut(detail) };
        match self {
            Self::Binance => {
                let (status, code, msg) = binance(refusal);
                (status, JSON, format!("{{\"code\":{code},\"msg\":{}}}", quoted(&[msg, " ", &said])))
            }
            Self::Kraken => {
                let error = quoted(&[kraken(refusal)]);
                (200, JSON, format!("{{\"error\":[{error}],\"detail\":{}}}", quoted(&[&said])))
            }
            Self::Okx => {
                let code = okx(refusal);
                let msg = quoted(&[&said]);
                (refusal.status(), JSON, format!("{{\"code\":\"{code}\",\"data\":[],\"msg\":{msg}}}"))
            }
            Self::Bybit => {
                let (code, msg) = (bybit(refusal), quoted(&[&said]));
                let body =
                    format!("{{\"retCode\":{code},\"retMsg\":{msg},\"result\":{{}},\"retExtInfo\":{{}}}}");
                (200, JSON, body)
            }
            Self::Kucoin => {
                let (code, before) = kucoin(refusal);
                let msg = quoted(&[before, &said]);
                (refusal.status(), JSON, format!("{{\"code\":\"{code}\",\"msg\":{msg}}}"))
            }
            Self::Coinbase => {
                let (id, message) = coinbase(refusal);
                let body = format!(
                    "{{\"errors\":[{{\"id\":\"{id}\",\"message\":{}}}],\"message\":{}}}",
                    quoted(&[message]),
                    quoted(&[message, ": ", &said])
                );
                (refusal.status(), JSON, body)
            }
            Self::HttpSignature => {
                let status = refusal.status();
                let body = format!(
                    "{{\"type\":\"about:blank\",\"title\":{},\"status\":{status},\"code\":\"{}\",\"detail\":{}}}",
                    quoted(&[refusal.sentence()]),
                    refusal.code(),
                    quoted(&[&said])
                );
                (status, "application/problem+json", body)
            }
        }
    }
}

const fn binance(refusal: GateRefusal) -> (u16, i32, &'static str) {
    match refusal {
        GateRefusal::Signature | GateRefusal::Passphrase => {
            (400, -1022, "Signature for this request is not valid.")
        }
        GateRefusal::KeyUnknown => (401, -2015, "Invalid API-key, IP, or permissions for action."),
        // Not -2015: ccxt takes that for a passing ban once a request of the same client has worked, and tries again.
        GateRefusal::KeyRevoked
        | GateRefusal::KeyExpired
        | GateRefusal::Scope
        | GateRefusal::Ip
        | GateRefusal::Frozen => (401, -1002, "You are not authorized to execute this request."),
        GateRefusal::Timestamp | GateRefusal::NonceOld => {
            (400, -1021, "Timestamp for this request is outside of the recvWindow.")
        }
        GateRefusal::Replay => (400, -4032, "Request verification exception."),
        GateRefusal::RateLimit { .. } => (429, -1003, "Too many requests."),
        GateRefusal::Malformed => (400, -1100, "Illegal characters found in a parameter."),
        GateRefusal::TooLarge => (413, -1101, "Too many parameters sent for this endpoint."),
        GateRefusal::Unavailable => {
            (503, -1001, "Internal error; unable to process your request. Please try again.")
        }
    }
}

const fn kraken(refusal: GateRefusal) -> &'static str {
    match refusal {
        // Kraken's own word. ccxt has no entry for it and throws a bare ExchangeError, as it does at Kraken.
        GateRefusal::Signature => "EAPI:Invalid signature",
        GateRefusal::KeyUnknown
        | GateRefusal::KeyRevoked
        | GateRefusal::KeyExpired
        | GateRefusal::Passphrase => "EAPI:Invalid key",
        GateRefusal::Scope | GateRefusal::Ip => "EGeneral:Permission denied",
        GateRefusal::Timestamp | GateRefusal::Replay | GateRefusal::NonceOld => "EAPI:Invalid nonce",
        GateRefusal::RateLimit { .. } => "EAPI:Rate limit exceeded",
        GateRefusal::Malformed | GateRefusal::TooLarge => "EGeneral:Invalid arguments",
        GateRefusal::Frozen => "ETrade:User Locked",
        GateRefusal::Unavailable => "EService:Unavailable",
    }
}

const fn okx(refusal: GateRefusal) -> u32 {
    match refusal {
        GateRefusal::Signature => 50_113,
        GateRefusal::KeyUnknown | GateRefusal::KeyRevoked => 50_111,
        GateRefusal::KeyExpired | GateRefusal::Scope => 50_114,
        GateRefusal::Ip => 50_110,
        GateRefusal::Timestamp | GateRefusal::Replay | GateRefusal::NonceOld => 50_102,
        GateRefusal::RateLimit { .. } => 50_011,
        GateRefusal::Malformed | GateRefusal::TooLarge => 51_000,
        GateRefusal::Passphrase => 50_105,
        GateRefusal::Frozen => 50_007,
        GateRefusal::Unavailable => 50_026,
    }
}

const fn bybit(refusal: GateRefusal) -> u32 {
    match refusal {
        GateRefusal::Signature | GateRefusal::Passphrase => 10_004,
        GateRefusal::KeyUnknown | GateRefusal::KeyRevoked => 10_003,
        GateRefusal::KeyExpired => 33_004,
        GateRefusal::Scope => 10_005,
        GateRefusal::Ip => 10_010,
        GateRefusal::Timestamp | GateRefusal::NonceOld => 10_002,
        GateRefusal::Replay => 10_014,
        GateRefusal::RateLimit { .. } => 10_006,
        GateRefusal::Malformed | GateRefusal::TooLarge => 10_001,
        GateRefusal::Frozen => 10_008,
        GateRefusal::Unavailable => 10_016,
    }
}

/// The code, and what the message must begin with for ccxt to know it.
const fn kucoin(refusal: GateRefusal) -> (u32, &'static str) {
    match refusal {
        GateRefusal::Signature => (400_005, ""),
        GateRefusal::KeyUnknown | GateRefusal::KeyRevoked | GateRefusal::KeyExpired => (400_003, ""),
        GateRefusal::Scope => (400_007, ""),
        GateRefusal::Ip => (400_006, ""),
        GateRefusal::Timestamp | GateRefusal::Replay | GateRefusal::NonceOld => (400_002, ""),
        GateRefusal::RateLimit { .. } => (429_000, "Exceeded the access frequency: "),
        GateRefusal::Malformed | GateRefusal::TooLarge => (400_100, ""),
        GateRefusal::Passphrase => (400_004, ""),
        GateRefusal::Frozen => (411_100, ""),
        GateRefusal::Unavailable => (500_000, ""),
    }
}

/// Id and message.
const fn coinbase(refusal: GateRefusal) -> (&'static str, &'static str) {
    match refusal {
        GateRefusal::Signature => ("authentication_error", "invalid signature"),
        GateRefusal::KeyUnknown => ("authentication_error", "invalid api key"),
        GateRefusal::KeyRevoked => ("authentication_error", "revoked api key"),
        GateRefusal::KeyExpired => ("authentication_error", "expired api key"),
        GateRefusal::Passphrase => ("authentication_error", "invalid passphrase"),
        GateRefusal::Scope => ("invalid_scope", "the api key lacks the scope"),
        GateRefusal::Ip => ("PERMISSION_DENIED", "ip not permitted"),
        GateRefusal::Frozen => ("PERMISSION_DENIED", "account frozen"),
        // With the id `authentication_error`, as Coinbase sends it, ccxt would not see the message.
        GateRefusal::Timestamp | GateRefusal::Replay | GateRefusal::NonceOld => {
            ("timestamp_expired", "request timestamp expired")
        }
        GateRefusal::RateLimit { .. } => ("rate_limit_exceeded", "rate limit exceeded"),
        GateRefusal::Malformed | GateRefusal::TooLarge => ("invalid_request", "invalid request"),
        GateRefusal::Unavailable => ("internal_server_error", "temporarily unavailable"),
    }
}

fn cut(detail: &str) -> String {
    detail.chars().take(DETAIL_CHARS_MAX).collect()
}

/// A JSON string, in ASCII.
fn quoted(parts: &[&str]) -> String {
    let mut out = String::from("\"");
    for unit in parts.iter().flat_map(|part| part.encode_utf16()) {
        match u8::try_from(unit) {
            Ok(byte @ (b' '..=b'~')) if !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&') => {
                out.push(char::from(byte));
            }
            // Writing to a String does not fail.
            _ => drop(write!(out, "\\u{unit:04x}")),
        }
    }
    out.push('"');
    out
}
