//! A customer's API request as it came over the wire, its limits, and every way in which it can be refused.
//!
//! The bytes are those that the customer's client sent: nothing here may be re-encoded, sorted or trimmed before it
//! is verified.

use holdfast_values::Name;

/// The longest method, path, header name.
const SHORT_BYTES_MAX: usize = 256;
/// The longest raw query, and the longest raw body where parameters are sent as a form.
pub const PART_BYTES_MAX: usize = 8 * 1024;
/// The longest raw body where it is JSON: room for the batches of orders that exchanges take.
pub const JSON_BYTES_MAX: usize = 64 * 1024;
/// The longest header value.
const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;
/// The most headers.
pub const HEADERS_MAX: usize = 100;

/// A signed API request, byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path, without query.
    pub path: &'a str,
    /// What follows the `?`, undecoded; empty if there is none.
    pub raw_query: &'a [u8],
    /// The body, undecoded; empty if there is none.
    pub raw_body: &'a [u8],
    /// Header names, of any case, and values.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Why a signed API request is refused. Each has a stable [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A part is longer than any real request's.
    #[error("the {part} of the signed request has more than {max} bytes")]
    TooLarge {
        /// Which part.
        part: &'static str,
        /// Its limit.
        max: usize,
    },
    /// More than [`HEADERS_MAX`] headers.
    #[error("the signed request has more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// More parameters than any endpoint takes.
    #[error("the signed request has more than {max} parameters")]
    TooManyParameters {
        /// The limit.
        max: usize,
    },
    /// The request is not one that withdraws.
    #[error("the signed request is not {expected}")]
    WrongEndpoint {
        /// Method and path.
        expected: &'static str,
    },
    /// No API key.
    #[error("send the API key in the {header} header")]
    ApiKeyMissing {
        /// The dialect's header.
        header: &'static str,
    },
    /// The API key header more than once.
    #[error("send the {header} header exactly once")]
    ApiKeyRepeated {
        /// The dialect's header.
        header: &'static str,
    },
    /// Not the name of a key.
    #[error("an API key may hold only letters, digits, _, - and ., at most 128")]
    ApiKeyMalformed,
    /// A parameter that is not `name=value`, or whose encoding can be read in more than one way.
    #[error(
        "parameter {position} cannot be read in exactly one way: write name=value, percent-encode %, +, = and & in \
         values, use UTF-8 without control characters"
    )]
    ParameterMalformed {
        /// Counted from 1, query first.
        position: usize,
    },
    /// A parameter that the endpoint does not know.
    #[error("parameter {position} is none that this endpoint takes")]
    ParameterUnknown {
        /// Counted from 1, query first.
        position: usize,
    },
    /// The same parameter twice, in query, body or both, however it is spelled.
    #[error("parameter {position} repeats an earlier one")]
    ParameterRepeated {
        /// Counted from 1, query first.
        position: usize,
    },
    /// A required parameter is absent or empty.
    #[error("the parameter {name} is missing")]
    ParameterMissing {
        /// Its name.
        name: &'static str,
    },
    /// A parameter's value is not of its kind.
    #[error("the parameter {name} is not {expected}")]
    ParameterInvalid {
        /// Its name.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Parameters in query and body at once, where the dialect's signature does not fix which is where.
    #[error("send all parameters in the query or all in the body")]
    ParametersSplit,
    /// No signature.
    #[error("sign the request and send the signature as the last parameter")]
    SignatureMissing,
    /// Bytes behind the signature would not be signed.
    #[error("the signature must be the last parameter")]
    SignatureNotLast,
    /// The signature does not belong to this request and key.
    #[error("the signature does not fit the request and the key: sign exactly the bytes that are sent")]
    SignatureInvalid,
    /// No timestamp.
    #[error("the parameter timestamp is missing")]
    TimestampMissing,
    /// Not a timestamp in the dialect's spelling.
    #[error("the timestamp must be {expected}")]
    TimestampInvalid {
        /// The dialect's spelling.
        expected: &'static str,
    },
    /// The request claims to stay valid for longer than the dialect permits.
    #[error("the request may ask to stay valid for a whole number of milliseconds from 1 to {max_ms}")]
    WindowInvalid {
        /// The dialect's maximum.
        max_ms: u64,
    },
    /// No nonce.
    #[error("the parameter nonce is missing")]
    NonceMissing,
    /// Not a nonce that tells when it was made.
    #[error(
        "the nonce must be the time since 1970 in milliseconds, microseconds or nanoseconds, rising with each request"
    )]
    NonceInvalid,
    /// The passphrase is not the key's.
    #[error("the passphrase is not this key's")]
    PassphraseInvalid,
    /// The key's version is one whose passphrase travels in the clear.
    #[error("only keys of version {expected} are accepted: say so in the {header} header")]
    KeyVersion {
        /// The header.
        header: &'static str,
        /// What it must say.
        expected: &'static str,
    },
    /// A bearer token, whose signature leaves out what is asked for.
    #[error(
        "a bearer token (CDP JWT) does not cover the body of the request, so it vouches for nothing: sign with \
         CB-ACCESS-SIGN, or by RFC 9421"
    )]
    BearerToken,
    /// A header that must be there is not.
    #[error("send the {header} header")]
    HeaderMissing {
        /// Its name.
        header: &'static str,
    },
    /// A header more than once.
    #[error("send the {header} header exactly once")]
    HeaderRepeated {
        /// Its name.
        header: &'static str,
    },
    /// A header that does not read as what it should be.
    #[error("the {header} header is not {expected}")]
    HeaderMalformed {
        /// Its name.
        header: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A method that the dialect does not use.
    #[error("requests of this dialect are sent by {expected}")]
    MethodUnsupported {
        /// Which ones it uses.
        expected: &'static str,
    },
    /// A path that two readers could take for different ones.
    #[error("write the path plainly: no percent-escapes, no empty segments, no . or .. segments")]
    PathMalformed,
    /// A query where the dialect does not sign it.
    #[error("the query of this request is not signed: send parameters where the signature covers them")]
    QueryUnsigned,
    /// A query that two readers could take for different ones.
    #[error(
        "the query may hold only printable ASCII, and brackets and braces only in a GET: percent-encode the rest"
    )]
    QueryMalformed,
    /// A body where there should be none.
    #[error("a request by {method} has no body")]
    BodyUnexpected {
        /// GET or HEAD.
        method: &'static str,
    },
    /// A body that is not what the dialect sends, or could be read in more than one way.
    #[error("the body must be {expected}")]
    BodyMalformed {
        /// What it should be.
        expected: &'static str,
    },
    /// A body that is not the one whose digest was signed.
    #[error("the body is not the one of the Content-Digest header")]
    DigestMismatch,
    /// The signature leaves out what it must cover.
    #[error("the signature must cover {component}")]
    ComponentMissing {
        /// What is left out.
        component: &'static str,
    },
    /// The signature covers something that is not read here, twice, or not in its one spelling.
    #[error(
        "covered component {position} is repeated, unknown, or carries parameters, which are not supported"
    )]
    ComponentUnsupported {
        /// Counted from 1.
        position: usize,
    },
    /// A network that Holdfast does not know under that name.
    #[error("the network is none that Holdfast knows")]
    NetworkUnknown,
    /// The asset lives on several networks and the request names none.
    #[error("name the network: this asset has no network of its own")]
    NetworkMissing,
}

impl RequestError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "request_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::TooManyParameters { .. } => "too_many_parameters",
            Self::WrongEndpoint { .. } => "wrong_endpoint",
            Self::ApiKeyMissing { .. } => "api_key_missing",
            Self::ApiKeyRepeated { .. } => "api_key_repeated",
            Self::ApiKeyMalformed => "api_key_malformed",
            Self::ParameterMalformed { .. } => "malformed_parameter",
            Self::ParameterUnknown { .. } => "unknown_parameter",
            Self::ParameterRepeated { .. } => "duplicate_parameter",
            Self::ParameterMissing { .. } => "parameter_missing",
            Self::ParameterInvalid { .. } => "parameter_invalid",
            Self::ParametersSplit => "parameters_split",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureNotLast => "signature_not_last",
            Self::SignatureInvalid => "signature_invalid",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampInvalid { .. } => "timestamp_invalid",
            Self::WindowInvalid { .. } => "window_invalid",
            Self::NonceMissing => "nonce_missing",
            Self::NonceInvalid => "nonce_invalid",
            Self::PassphraseInvalid => "passphrase_invalid",
            Self::KeyVersion { .. } => "key_version_unsupported",
            Self::BearerToken => "bearer_token_refused",
            Self::HeaderMissing { .. } => "header_missing",
            Self::HeaderRepeated { .. } => "header_repeated",
            Self::HeaderMalformed { .. } => "header_malformed",
            Self::MethodUnsupported { .. } => "method_unsupported",
            Self::PathMalformed => "path_malformed",
            Self::QueryUnsigned => "query_unsigned",
            Self::QueryMalformed => "query_malformed",
            Self::BodyUnexpected { .. } => "body_unexpected",
            Self::BodyMalformed { .. } => "body_malformed",
            Self::DigestMismatch => "content_digest_mismatch",
            Self::ComponentMissing { .. } => "component_missing",
            Self::ComponentUnsupported { .. } => "component_unsupported",
            Self::NetworkUnknown => "network_unknown",
            Self::NetworkMissing => "network_missing",
        }
    }
}

impl<'a> RawRequest<'a> {
    /// Refuses what is larger than any real request, before anything is looked at.
    pub(crate) fn check_limits(&self, body_bytes_max: usize) -> Result<(), RequestError> {
        let short = |part, text: &str| limit(part, text.len(), SHORT_BYTES_MAX);
        short("method", self.method)?;
        short("path", self.path)?;
        limit("query", self.raw_query.len(), PART_BYTES_MAX)?;
        limit("body", self.raw_body.len(), body_bytes_max)?;
        if self.headers.len() > HEADERS_MAX {
            return Err(RequestError::TooManyHeaders);
        }
        self.headers.iter().try_for_each(|(name, value)| {
            short("header name", name)?;
            limit("header value", value.len(), HEADER_VALUE_BYTES_MAX)
        })
    }

    /// The values of a header, in order.
    pub(crate) fn header_values(&self, header: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(header))
            .map(|(_, value)| *value)
    }

    /// The value of a header that may be there once.
    pub(crate) fn optional_header(&self, header: &'static str) -> Result<Option<&'a str>, RequestError> {
        let mut values = self.header_values(header);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(RequestError::HeaderRepeated { header }),
        }
    }

    /// The value of a header that must be there once.
    pub(crate) fn header(&self, header: &'static str) -> Result<&'a str, RequestError> {
        self.optional_header(header)?.ok_or(RequestError::HeaderMissing { header })
    }

    /// The name of a key, from the header that must carry it once.
    pub(crate) fn api_key(&self, header: &'static str) -> Result<Name, RequestError> {
        let value = self.optional_header(header).map_err(|_| RequestError::ApiKeyRepeated { header })?;
        let value = value.ok_or(RequestError::ApiKeyMissing { header })?;
        value.parse().map_err(|_| RequestError::ApiKeyMalformed)
    }
}

const fn limit(part: &'static str, len: usize, max: usize) -> Result<(), RequestError> {
    if len > max { Err(RequestError::TooLarge { part, max }) } else { Ok(()) }
}
