//! Strict reading of what comes in: bodies within their limits, JSON without unknown or repeated fields, queries and
//! ids with typed problems, and the texts inside them.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use holdfast_authn::encoding;
use holdfast_values::{Amount, AmountError, Destination, IdError, Network};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

use super::Shared;

/// The largest body.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The largest body of what operators sign or have signed: packs, configurations, parts of an import.
const SIGNED_BODY_BYTES_MAX: usize = 1 << 20;
/// The largest body with a transaction: 4 MiB in base64, and its batch.
const LARGE_BODY_BYTES_MAX: usize = 6 << 20;

/// A body as it came, whole, within the limit of its operation and its time.
async fn read(app: &Shared, request: Request, max: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new("body_too_large").detail(format!("at most {max} bytes"));
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|value| value.parse::<usize>().ok()).is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let body = http_body_util::Limited::new(request.into_body(), max);
    let limit = Duration::from_secs(app.limits.body_seconds);
    match tokio::time::timeout(limit, body.collect()).await {
        Err(_) => Err(Problem::new("request_timeout")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new("malformed_json").detail("the body was cut off")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Some complaints about an enum's form look like bad syntax: what reads as any value at all is JSON.
        let is_json = error.is_data() || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
        let code = if is_json { "body_invalid" } else { "malformed_json" };
        Problem::new(code).detail(error)
    })
}

/// A JSON body of at most 64 KiB, with its bytes as they came.
pub(super) struct Json<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, app: &Shared) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new("unsupported_media_type"));
        }
        let bytes = read(app, request, BODY_BYTES_MAX).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// A JSON body of at most 1 MiB, for what operators sign.
pub(super) struct SignedJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for SignedJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, app: &Shared) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new("unsupported_media_type"));
        }
        let bytes = read(app, request, SIGNED_BODY_BYTES_MAX).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// A JSON body of at most 6 MiB, for transactions with the transactions before them.
pub(super) struct LargeJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for LargeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, app: &Shared) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new("unsupported_media_type"));
        }
        let bytes = read(app, request, LARGE_BODY_BYTES_MAX).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// A body of at most 1 MiB, byte for byte.
pub(super) struct Raw(pub(super) Bytes);

impl FromRequest<Shared> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, app: &Shared) -> Result<Self, Problem> {
        read(app, request, SIGNED_BODY_BYTES_MAX).await.map(Self)
    }
}

/// A query, unknown parameters refused.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, app).await;
        query
            .map(|query| Self(query.0))
            .map_err(|error| Problem::new("query_invalid").detail(error.body_text()))
    }
}

/// An id in the path.
pub(super) fn path_id<T: core::str::FromStr<Err = IdError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::new("path_invalid").detail(error))
}

/// An id in a field.
pub(super) fn id<T: core::str::FromStr<Err = IdError>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::new("id_invalid").field(field).detail(error))
}

/// An asset's symbol.
pub(super) fn asset(field: &str, text: &str) -> Result<holdfast_values::AssetSymbol, Problem> {
    text.parse().map_err(|error| Problem::new("asset_invalid").field(field).detail(error))
}

/// A network's name.
pub(super) fn network(field: &str, text: &str) -> Result<Network, Problem> {
    text.parse().map_err(|error| Problem::new("network_unknown").field(field).detail(error))
}

/// A destination, checked.
pub(super) fn destination(
    network: Network,
    address: &str,
    memo: Option<&str>,
) -> Result<Destination, Problem> {
    Destination::parse(network, address, memo).map_err(|error| {
        let field = if error.code().starts_with("memo") { "memo" } else { "address" };
        Problem::new(error.code()).field(field).detail(error)
    })
}

/// Refuses what is no amount of any asset, before the asset's decimals are known.
pub(super) fn amount_shape(field: &str, text: &str) -> Result<(), Problem> {
    match Amount::parse(text, u8::MAX) {
        // The padding to 255 decimals overflows for every value but zero; only the text's own form matters here.
        Ok(_) | Err(AmountError::Overflow) => Ok(()),
        Err(error) => Err(amount_problem(error).field(field)),
    }
}

/// What is wrong with an amount.
pub(super) fn amount_problem(error: AmountError) -> Problem {
    let code = match error {
        AmountError::Decimals { .. } => "amount_too_precise",
        AmountError::Overflow => "amount_too_large",
        _ => "amount_malformed",
    };
    Problem::new(code).detail(error)
}

/// An IP address.
pub(super) fn ip(field: &str, text: &str) -> Result<IpAddr, Problem> {
    text.parse()
        .map_err(|error: std::net::AddrParseError| Problem::new("ip_invalid").field(field).detail(error))
}

/// Base64, in its one spelling.
pub(super) fn base64(field: &str, text: &str) -> Result<Vec<u8>, Problem> {
    encoding::base64(text.as_bytes()).ok_or_else(|| Problem::new("base64_invalid").field(field))
}
