//! The messages of Envoy's external authorisation, as far as the gate reads and writes them.
//!
//! Field numbers are those of `envoy/service/auth/v3/external_auth.proto`, `attribute_context.proto` and what they use,
//! of Envoy's API v3. What is not here is skipped when read, as Protocol Buffers want it.

use std::collections::HashMap;

use prost::Message;

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckRequest {
    /// All about the request.
    #[prost(message, optional, tag = "1")]
    pub(super) attributes: Option<AttributeContext>,
}

/// `envoy.service.auth.v3.AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AttributeContext {
    /// Who sends it.
    #[prost(message, optional, tag = "1")]
    pub(super) source: Option<Peer>,
    /// What is sent.
    #[prost(message, optional, tag = "4")]
    pub(super) request: Option<Request>,
}

/// `AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub(super) address: Option<Address>,
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Address {
    /// Of a socket; pipes have none.
    #[prost(message, optional, tag = "1")]
    pub(super) socket_address: Option<SocketAddress>,
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SocketAddress {
    /// As text.
    #[prost(string, tag = "2")]
    pub(super) address: String,
}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    /// If it is HTTP.
    #[prost(message, optional, tag = "2")]
    pub(super) http: Option<HttpRequest>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HttpRequest {
    /// `POST`.
    #[prost(string, tag = "2")]
    pub(super) method: String,
    /// Headers, those of a name joined by commas; empty with `encode_raw_headers`.
    #[prost(map = "string, string", tag = "3")]
    pub(super) headers: HashMap<String, String>,
    /// The request target: path and query, undecoded.
    #[prost(string, tag = "4")]
    pub(super) path: String,
    /// `Host` or `:authority`.
    #[prost(string, tag = "5")]
    pub(super) host: String,
    /// How long the body is, -1 if nobody knows.
    #[prost(int64, tag = "9")]
    pub(super) size: i64,
    /// The body, if `pack_as_bytes` is off.
    #[prost(string, tag = "11")]
    pub(super) body: String,
    /// The body, if `pack_as_bytes` is on.
    #[prost(bytes = "vec", tag = "12")]
    pub(super) raw_body: Vec<u8>,
    /// Headers one by one, with `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub(super) header_map: Option<HeaderMap>,
}

/// `envoy.config.core.v3.HeaderMap`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderMap {
    /// In their order.
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub(super) key: String,
    /// The value, as text.
    #[prost(string, tag = "2")]
    pub(super) value: String,
    /// The value, as bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) raw_value: Vec<u8>,
}

/// `envoy.service.auth.v3.CheckResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckResponse {
    /// 0 lets the request go on.
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<Status>,
    /// The answer to a request that does not go on.
    #[prost(message, optional, tag = "2")]
    pub(super) denied_response: Option<DeniedHttpResponse>,
    /// What is added to one that does.
    #[prost(message, optional, tag = "3")]
    pub(super) ok_response: Option<OkHttpResponse>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    /// 0, or 7: permission denied.
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    /// The gate's code, for Envoy's log.
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// `envoy.service.auth.v3.DeniedHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DeniedHttpResponse {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<HttpStatus>,
    /// Headers.
    #[prost(message, repeated, tag = "2")]
    pub(super) headers: Vec<HeaderValueOption>,
    /// The body.
    #[prost(string, tag = "3")]
    pub(super) body: String,
}

/// `envoy.type.v3.HttpStatus`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct HttpStatus {
    /// The number of the status.
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
}

/// `envoy.service.auth.v3.OkHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OkHttpResponse {
    /// Headers to add.
    #[prost(message, repeated, tag = "2")]
    pub(super) headers: Vec<HeaderValueOption>,
}

/// `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderValueOption {
    /// Name and value.
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<HeaderValue>,
    /// 2: in place of what is there.
    #[prost(int32, tag = "3")]
    pub(super) append_action: i32,
}

/// `OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE: i32 = 2;

impl HeaderValueOption {
    /// This header, and no other of its name.
    pub(super) fn new(name: &str, value: String) -> Self {
        let header = HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() };
        Self { header: Some(header), append_action: OVERWRITE }
    }
}
