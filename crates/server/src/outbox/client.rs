//! A small HTTP/1.1 client for one endpoint: one connection, kept while it works, one request at a time.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::uri::Scheme;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// What is read of an answer, so that the connection can be used again; a longer answer ends it.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why an attempt failed. The text never holds what the endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No TLS.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The exchange of request and answer broke off.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is no success.
    #[error("it answered {0}")]
    Status(u16),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
}

/// The certificate authorities that endpoints are checked against.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Roots")
    }
}

impl Roots {
    /// Those that the operating system trusts (or that `SSL_CERT_FILE` names).
    ///
    /// # Errors
    /// A text that says why TLS cannot be used.
    pub fn of_system() -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A system without any is no error yet: endpoints on this machine need none.
        let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::of(roots)
    }

    /// Exactly these.
    ///
    /// # Errors
    /// A text that says why TLS cannot be used.
    pub fn of(roots: RootCertStore) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// Where an endpoint listens.
#[derive(Clone, Debug)]
pub(super) struct Url {
    host: String,
    port: u16,
    tls: bool,
    authority: String,
    path: String,
}

impl Url {
    /// Parses `https://host[:port]/path`, or `http://` on this machine.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "its url does not read as one")?;
        let tls = if uri.scheme() == Some(&Scheme::HTTPS) {
            true
        } else if uri.scheme() == Some(&Scheme::HTTP) {
            false
        } else {
            return Err("its url must begin with https://");
        };
        let authority = uri.authority().ok_or("its url names no host")?;
        if authority.as_str().contains('@') {
            return Err("its url must not carry a user or password");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if !tls && !local {
            return Err("its url must begin with https://: without TLS only this machine can be told");
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self { host, port, tls, authority: authority.to_string(), path })
    }
}

/// The connection to one endpoint.
pub(super) struct Client {
    url: Url,
    roots: Roots,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(super) fn new(url: Url, roots: &Roots) -> Self {
        Self { url, roots: roots.clone(), connection: None }
    }

    /// Posts a body. Anything but a 2xx is an error. A connection that the other side closed while idle is made anew once.
    pub(super) async fn post(
        &mut self,
        headers: &[(&'static str, String)],
        body: &Bytes,
    ) -> Result<(), ClientError> {
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            match self.send(connection, headers, body).await {
                Err(ClientError::Broken(_)) => {}
                done => return done,
            }
        }
        let connection = self.connect().await?;
        self.send(connection, headers, body).await
    }

    /// Forgets the connection: after a timeout an answer may still be on its way.
    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    async fn send(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        headers: &[(&'static str, String)],
        body: &Bytes,
    ) -> Result<(), ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
        let mut request = Request::post(&self.url.path)
            .header(header::HOST, &self.url.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("holdfast/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body.clone())).map_err(|error| broken(&error))?;
        let answer = connection.send_request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        if Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.is_ok() {
            self.connection = Some(connection);
        }
        accept(status)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let failed = |error: std::io::Error| ClientError::Connect(error.to_string());
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        if self.url.tls {
            let name = ServerName::try_from(self.url.host.clone())
                .map_err(|error| ClientError::Tls(error.to_string()))?;
            let stream = TlsConnector::from(Arc::clone(&self.roots.0))
                .connect(name, stream)
                .await
                .map_err(|error| ClientError::Tls(error.to_string()))?;
            handshake(stream).await
        } else {
            handshake(stream).await
        }
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, ClientError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ClientError::Broken(error.to_string()))?;
    // Ends when the sender is dropped or the other side closes.
    tokio::spawn(async move {
        let _closed = connection.await;
    });
    Ok(sender)
}

fn accept(status: StatusCode) -> Result<(), ClientError> {
    if status.is_success() { Ok(()) } else { Err(ClientError::Status(status.as_u16())) }
}
