//! A small blocking client of the HTTP interface, for the commands that talk to a server.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Failure;
use crate::data;
use crate::http::SEQUENCE_HEADER;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// How many connections wait to be used again.
const CONNECTIONS_KEPT: usize = 256;

/// Which server, and with whose word.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Where the server listens.
    #[arg(long, env = "HOLDFAST_URL", default_value = "http://127.0.0.1:8420")]
    pub(super) url: String,
    /// A token of the server's; better given in the environment than on the command line.
    #[arg(long, env = "HOLDFAST_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Trust this certificate authority (PEM) instead of the public ones.
    #[arg(long)]
    pub(super) ca: Option<PathBuf>,
}

/// A server's answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Value,
    /// The journal's record that the answer is of, where the server says one.
    pub(super) sequence: Option<u64>,
}

impl Answered {
    /// The body of a success.
    pub(super) fn accepted(self) -> Result<Value, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = |key: &str| self.body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (code, title, detail) = (text("code"), text("title"), text("detail"));
        Err(Failure::new("refused", format!("{code}: {title} {detail} (status {})", self.status)))
    }
}

/// A connection to a server, used for many requests.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Client {
    /// Sends one request and reads its answer.
    pub(super) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answered, Failure> {
        let failed =
            |error: &dyn core::fmt::Display| Failure::new("unreachable", format!("{}: {error}", self.url));
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).map_err(|error| failed(&error))?;
        let mut answer = self.agent.run(request).map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        let sequence =
            answer.headers().get(SEQUENCE_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.map_err(|error| failed(&error))?;
        Ok(Answered { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), sequence })
    }
}

impl ServerArgs {
    /// A client of that server. Nothing is sent yet.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let failed =
            |error: &dyn core::fmt::Display| Failure::new("unreachable", format!("{}: {error}", self.url));
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(CONNECTIONS_KEPT)
            .max_idle_connections_per_host(CONNECTIONS_KEPT)
            .timeout_global(Some(Duration::from_secs(60)));
        if let Some(path) = &self.ca {
            let pem = data::read_limited(path, 1 << 20).map_err(|error| failed(&error))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| failed(&error))?;
            let roots = RootCerts::new_with_certs(&[certificate]);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        let url = self.url.trim_end_matches('/').to_owned();
        Ok(Client { agent: config.build().into(), url, token: self.token.clone() })
    }

    /// Sends one request and reads its answer.
    pub(super) fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answered, Failure> {
        self.connect()?.call(method, path, &[("content-type", content_type)], body)
    }

    /// The exchange's name and the time at the server.
    pub(super) fn health(&self) -> Result<(String, String), Failure> {
        let body = self.call("GET", "/health", "application/json", Vec::new())?.accepted()?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        text("exchange").zip(text("time")).ok_or(Failure::new("unreachable", "this is no Holdfast server"))
    }
}
