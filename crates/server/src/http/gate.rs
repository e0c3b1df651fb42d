//! Requests to the exchange's own API, judged by the gate: for proxies that speak HTTP here, and for `grpc`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use holdfast_gate::{CheckRequest, Denied, IpNet, Verdict};
use holdfast_values::{AccountId, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gate::{Keeper, Lost, Material};
use crate::problem::Problem;

use super::Shared;
use super::body::{self, SignedJson};
use super::evidence::StoredKeys;

/// A request as a proxy got it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GateCheckBody {
    /// `POST`.
    #[schema(example = "POST")]
    method: String,
    /// The path without query, undecoded.
    #[schema(example = "/api/v3/order")]
    path: String,
    /// What follows the `?`, undecoded.
    #[serde(default)]
    query: Option<String>,
    /// The same in base64, if it is not UTF-8.
    #[serde(default)]
    query_base64: Option<String>,
    /// All headers, names and values, `host` among them.
    headers: Vec<(String, String)>,
    /// The body, undecoded.
    #[serde(default)]
    body: Option<String>,
    /// The same in base64, if it is not UTF-8.
    #[serde(default)]
    body_base64: Option<String>,
    /// The proxy holds only a part of the body.
    #[serde(default)]
    body_truncated: bool,
    /// Where it came from, as the proxy saw it.
    #[schema(example = "203.0.113.7")]
    client_ip: String,
}

/// What the proxy is to do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct GateCheckReply {
    /// Let it go on, with `headers` added; otherwise answer `status`, `headers` and `body` and let nothing go on.
    allow: bool,
    /// Why not: a code of docs/gate.md.
    code: Option<&'static str>,
    /// Names and values.
    headers: Vec<(String, String)>,
    /// The status of the answer; some exchanges refuse with 200.
    status: Option<u16>,
    /// The body of the answer, in the words of the dialect.
    body: Option<String>,
}

impl From<Verdict> for GateCheckReply {
    fn from(verdict: Verdict) -> Self {
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        match verdict {
            Verdict::Allow(allowed) => Self {
                allow: true,
                code: None,
                headers: allowed.headers().into_iter().map(owned).collect(),
                status: None,
                body: None,
            },
            Verdict::Deny(denied) => Self {
                allow: false,
                code: Some(denied.code.as_str()),
                headers: denied_headers(&denied).into_iter().map(owned).collect(),
                status: Some(denied.status),
                body: Some(denied.body),
            },
        }
    }
}

/// The headers of a refusal.
pub(crate) fn denied_headers(denied: &Denied) -> Vec<(&'static str, String)> {
    let kind = ("content-type", denied.content_type.to_owned());
    let later = denied.retry_after_seconds.map(|seconds| ("retry-after", seconds.to_string()));
    core::iter::once(kind).chain(later).collect()
}

#[utoipa::path(
    post, path = "/v1/gate/check", tag = "gate", summary = "Judge a request to the exchange's own API",
    description = "Whether a request that a proxy got may go on to the exchange: its signature over the exact bytes, key, \
                   scope, address, time, replay and budget, by the routes of the server's configuration. Answers 200 either \
                   way. Nothing is journaled for it.",
    request_body = GateCheckBody,
    responses((status = 200, body = GateCheckReply), (status = "4XX", description = "Not such a question")),
)]
pub(super) async fn check(
    State(app): State<Shared>,
    SignedJson(asked): SignedJson<GateCheckBody>,
) -> Result<axum::Json<GateCheckReply>, Problem> {
    let keeper = app.gate.clone().ok_or(Problem::new("gate_not_configured"))?;
    let ip = body::ip("client_ip", &asked.client_ip)?;
    let either = |field, text: Option<String>, base64: Option<String>| match (text, base64) {
        (Some(_), Some(_)) => {
            Err(Problem::new("body_invalid").field(field).detail("give it as text or in base64, not both"))
        }
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => body::base64(field, &base64),
        (None, None) => Ok(Vec::new()),
    };
    let request = Proxied {
        method: asked.method,
        path: asked.path,
        query: either("query", asked.query, asked.query_base64)?,
        headers: asked.headers,
        body: either("body", asked.body, asked.body_base64)?,
        ip,
        body_truncated: asked.body_truncated,
    };
    Ok(axum::Json(judge(&app, &keeper, &request).await.into()))
}

/// A request as a proxy got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// `POST`.
    pub method: String,
    /// The path without query, undecoded.
    pub path: String,
    /// What follows the `?`, undecoded.
    pub query: Vec<u8>,
    /// Names and values, `host` among them.
    pub headers: Vec<(String, String)>,
    /// The body, undecoded.
    pub body: Vec<u8>,
    /// Where it came from, as the proxy saw it.
    pub ip: IpAddr,
    /// The proxy holds only a part of the body.
    pub body_truncated: bool,
}

impl Proxied {
    fn judge(&self, app: &Shared, keeper: &Keeper) -> Verdict {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = CheckRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body: &self.body,
            ip: self.ip,
            body_truncated: self.body_truncated,
        };
        keeper.gate().check(app.clock.now(), &request)
    }
}

/// The verdict on a request. A key that is used for the first time is read from the vault.
pub(crate) async fn judge(app: &Shared, keeper: &Arc<Keeper>, request: &Proxied) -> Verdict {
    let verdict = request.judge(app, keeper);
    let Verdict::Deny(denied) = &verdict else { return verdict };
    let Some(key) = denied.key.clone().filter(|key| keeper.knows(key)) else { return verdict };
    let dialect = denied.dialect;
    let Some(_leave) = keeper.leave_to_load().await else {
        return Verdict::Deny(Denied::unavailable(dialect));
    };
    let (reader, keys) = (Arc::clone(app), Arc::clone(keeper));
    let load = move || keys.load(&key, |account, revision| material(&reader, account, &key, revision));
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(true)) => request.judge(app, keeper),
        Ok(Ok(false)) => verdict,
        Ok(Err(Lost::Vault(problem))) => {
            tracing::error!(code = problem.code(), "the gate cannot read a key");
            Verdict::Deny(Denied::unavailable(dialect))
        }
        Ok(Err(Lost::Put(error))) => {
            tracing::error!(%error, "the gate does not take a key");
            Verdict::Deny(Denied::unavailable(dialect))
        }
        Ok(Err(Lost::Restless)) | Err(_) => Verdict::Deny(Denied::unavailable(dialect)),
    }
}

/// What the vault holds of a key's revision.
fn material(
    app: &Shared,
    account: &AccountId,
    key: &Name,
    revision: u32,
) -> Result<Option<Material>, Problem> {
    let stored = StoredKeys::read(&app.vault, account, key)?;
    let Some(stored) = stored.0.into_iter().find(|stored| stored.revision == revision) else {
        return Ok(None);
    };
    let Some(material) = stored.material() else { return Ok(None) };
    let allow: Result<Vec<IpNet>, _> = stored.allow.iter().map(|text| text.parse()).collect();
    let Ok(allow) = allow else { return Ok(None) };
    Ok(Some(Material { material, dialect: stored.dialect(), allow }))
}
