//! Envoy's external authorisation (ext_authz, API v3) over gRPC: one method, on a listener of its own.
//!
//! gRPC is little more than HTTP/2 with five bytes before each message and a trailer behind the last one, so it is
//! written out here; see docs/decisions. Whatever goes wrong is a gRPC error, upon which Envoy, configured as
//! docs/gate.md says, refuses the request.

mod proto;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use holdfast_gate::Verdict;
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::gate::Keeper;
use crate::http::Shared;
pub use crate::http::gate::Proxied;
use crate::http::gate::{denied_headers, judge};

use proto::{CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpStatus, OkHttpResponse};

/// The only method.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The largest question: a body, its headers, and what Envoy says about the connection.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long a question may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);
/// Connections at once: Envoy has one for each of its threads.
const CONNECTIONS_MAX: usize = 256;
/// Questions at once on one connection.
const STREAMS_MAX: u32 = 1_024;

/// gRPC's numbers of errors.
#[derive(Clone, Copy, Debug)]
enum Failure {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    Unimplemented = 12,
}

/// Answers questions until `stop` is ready.
pub async fn serve(listener: TcpListener, app: Shared, keeper: Arc<Keeper>, stop: impl Future<Output = ()>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    tokio::pin!(stop);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = &mut stop => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let _best_effort = stream.set_nodelay(true);
        let (builder, app, keeper) = (builder.clone(), Arc::clone(&app), Arc::clone(&keeper));
        tokio::spawn(async move {
            let _permit = permit;
            let service = service_fn(move |request| {
                let (app, keeper) = (Arc::clone(&app), Arc::clone(&keeper));
                async move { Ok::<_, Infallible>(answer(&app, &keeper, request).await) }
            });
            // What ends a connection was answered as far as it could be.
            let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Binds the listener.
///
/// # Errors
/// What the system says.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

type Reply = Response<BoxBody<Bytes, Infallible>>;

async fn answer(app: &Shared, keeper: &Arc<Keeper>, request: Request<Incoming>) -> Reply {
    match check(app, keeper, request).await {
        Ok(response) => reply(&response),
        Err(failure) => failed(failure),
    }
}

async fn check(
    app: &Shared,
    keeper: &Arc<Keeper>,
    request: Request<Incoming>,
) -> Result<CheckResponse, Failure> {
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/grpc"));
    if request.uri().path() != CHECK || request.method() != Method::POST || !is_grpc {
        return Err(Failure::Unimplemented);
    }
    let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX);
    let body = tokio::time::timeout(ARRIVAL, body.collect()).await.map_err(|_| Failure::DeadlineExceeded)?;
    let body = body.map_err(|_| Failure::InvalidArgument)?.to_bytes();
    let request = question(&body).ok_or(Failure::InvalidArgument)?;
    Ok(said(judge(app, keeper, &request).await))
}

/// The request that the body of a question is about.
pub fn question(body: &[u8]) -> Option<Proxied> {
    proxied(CheckRequest::decode(message(body)?).ok()?)
}

/// The one message of a body: not compressed, of the length that stands before it.
fn message(body: &[u8]) -> Option<&[u8]> {
    let [0, a, b, c, d, message @ ..] = body else { return None };
    let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
    (message.len() == length).then_some(message)
}

/// What Envoy tells of a request. Nothing if it does not tell who sent it: then nobody's address list could be held.
fn proxied(question: CheckRequest) -> Option<Proxied> {
    let attributes = question.attributes?;
    let address = attributes.source?.address?.socket_address?.address;
    let http = attributes.request?.http?;
    let (path, query) = match http.path.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.as_bytes().to_vec()),
        None => (http.path, Vec::new()),
    };
    let told: Vec<(String, String)> = match http.header_map {
        Some(map) => map
            .headers
            .into_iter()
            .map(|header| {
                let raw = header.raw_value;
                let value = if raw.is_empty() { Ok(header.value) } else { String::from_utf8(raw) };
                // A value that is no text is none that any dialect signs: it must be seen to be there all the same.
                (header.key, value.unwrap_or_else(|raw| String::from_utf8_lossy(raw.as_bytes()).into_owned()))
            })
            .collect(),
        None => http.headers.into_iter().collect(),
    };
    // What begins with a colon is not a header; of these, only the host matters further on.
    let mut headers: Vec<(String, String)> =
        told.into_iter().filter(|(name, _)| !name.starts_with(':')).collect();
    if !http.host.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        headers.push(("host".to_owned(), http.host));
    }
    // Envoy's own: a part was kept back.
    let is_partial = |name: &str| name.eq_ignore_ascii_case("x-envoy-auth-partial-body");
    let body_truncated = headers.iter().any(|(name, value)| is_partial(name) && value != "false");
    let body = if http.raw_body.is_empty() { http.body.into_bytes() } else { http.raw_body };
    let held_back = u64::try_from(http.size).is_ok_and(|size| size > u64::try_from(body.len()).unwrap_or(0));
    Some(Proxied {
        method: http.method,
        path,
        query,
        headers,
        body,
        ip: address.parse().ok()?,
        body_truncated: body_truncated || held_back,
    })
}

/// The verdict, as Envoy takes it.
fn said(verdict: Verdict) -> CheckResponse {
    let options = |headers: Vec<(&str, String)>| {
        headers.into_iter().map(|(name, value)| HeaderValueOption::new(name, value)).collect()
    };
    match verdict {
        Verdict::Allow(allowed) => CheckResponse {
            status: Some(proto::Status { code: 0, message: String::new() }),
            denied_response: None,
            ok_response: Some(OkHttpResponse { headers: options(allowed.headers()) }),
        },
        Verdict::Deny(denied) => CheckResponse {
            status: Some(proto::Status { code: 7, message: denied.code.as_str().to_owned() }),
            denied_response: Some(DeniedHttpResponse {
                status: Some(HttpStatus { code: i32::from(denied.status) }),
                headers: options(denied_headers(&denied)),
                body: denied.body,
            }),
            ok_response: None,
        },
    }
}

fn head(body: BoxBody<Bytes, Infallible>) -> Reply {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn reply(response: &CheckResponse) -> Reply {
    let length = u32::try_from(response.encoded_len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&response.encode_to_vec());
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    head(Full::new(Bytes::from(framed)).with_trailers(async move { Some(Ok(trailers)) }).boxed())
}

fn failed(failure: Failure) -> Reply {
    tracing::debug!(?failure, "a question of the proxy's was not answered");
    let mut response = head(Full::new(Bytes::new()).boxed());
    response.headers_mut().insert("grpc-status", HeaderValue::from(failure as u16));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(address: &str, path: &str) -> CheckRequest {
        let socket_address = Some(proto::SocketAddress { address: address.to_owned() });
        let source = proto::Peer { address: Some(proto::Address { socket_address }) };
        let http = proto::HttpRequest {
            method: "POST".to_owned(),
            path: path.to_owned(),
            host: "api.harbor.example".to_owned(),
            headers: [(":path".to_owned(), path.to_owned()), ("a".to_owned(), "b".to_owned())].into(),
            raw_body: vec![0xff, 0],
            size: 2,
            ..proto::HttpRequest::default()
        };
        let request = proto::Request { http: Some(http) };
        let attributes = proto::AttributeContext { source: Some(source), request: Some(request) };
        CheckRequest { attributes: Some(attributes) }
    }

    #[test]
    fn a_question_comes_through_byte_for_byte() {
        let encoded = question("203.0.113.7", "/a%2Fb?c=d%26&e?f").encode_to_vec();
        let request = proxied(CheckRequest::decode(encoded.as_slice()).unwrap()).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a%2Fb"));
        assert_eq!((request.query.as_slice(), request.body.as_slice()), (&b"c=d%26&e?f"[..], &[0xff, 0][..]));
        let headers = [("a", "b"), ("host", "api.harbor.example")];
        assert!(request.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(headers));
        assert!(!request.body_truncated);
        assert!(proxied(question("somewhere", "/a")).is_none());
        assert!(proxied(CheckRequest { attributes: None }).is_none());
    }

    #[test]
    fn a_body_that_is_not_whole_is_seen() {
        let mut short = question("203.0.113.7", "/a");
        let http = short.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
        http.size = 3;
        assert!(proxied(short).unwrap().body_truncated);
    }

    #[test]
    fn frames_are_read_strictly() {
        assert_eq!(message(&[0, 0, 0, 0, 2, 7, 8]), Some(&[7, 8][..]));
        assert_eq!(message(&[0, 0, 0, 0, 0]), Some(&[][..]));
        for frame in
            [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 1, 7], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 1, 7, 8]]
        {
            assert_eq!(message(frame), None, "{frame:?}");
        }
    }
}
