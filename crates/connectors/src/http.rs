//! One HTTP request with a limit on everything: how long it takes, how much is read, where it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("no answer: {0}")]
    Unanswered(String),
    #[error("no answer within the time limit")]
    TimedOut,
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
}

/// A client that follows no redirect and uses no proxy.
pub(crate) fn agent(timeout: Duration, ca: Option<&[u8]>) -> Result<ureq::Agent, String> {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(timeout));
    if let Some(pem) = ca {
        let certificate = Certificate::from_pem(pem).map_err(|error| error.to_string())?;
        let roots = RootCerts::new_with_certs(&[certificate]);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().into())
}

/// Posts JSON; returns the status and at most `answer_bytes_max` bytes.
pub(crate) fn post(
    agent: &ureq::Agent,
    url: &str,
    authorization: Option<&str>,
    body: Vec<u8>,
    answer_bytes_max: u64,
) -> Result<(u16, Vec<u8>), HttpError> {
    let failed = |error: ureq::Error| match error {
        ureq::Error::Timeout(_) => HttpError::TimedOut,
        ureq::Error::BodyExceedsLimit(_) => HttpError::TooLong(answer_bytes_max),
        // A URL may hold a provider's key, so none is repeated.
        ureq::Error::BadUri(_) => HttpError::Unanswered("the URL is malformed".into()),
        other => HttpError::Unanswered(other.to_string()),
    };
    let mut request = agent.post(url).header("content-type", "application/json");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let mut answer = request.send(&body[..]).map_err(failed)?;
    let status = answer.status().as_u16();
    let bytes = answer.body_mut().with_config().limit(answer_bytes_max).read_to_vec().map_err(failed)?;
    Ok((status, bytes))
}

/// `http://host:port` of a URL: what may be logged of it.
pub(crate) fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// A small file with a secret in it, without the line end.
pub(crate) fn secret(path: &Path) -> Result<String, String> {
    const SECRET_BYTES_MAX: u64 = 4096;
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() >= 4096 || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(format!("{}: expected one line of printable text", path.display()));
    }
    Ok(text.to_owned())
}

/// Where a secret is, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeAuth {
    None,
    Cookie(PathBuf),
    Basic { user: String, password_file: PathBuf },
}

impl NodeAuth {
    /// The header. Files are read each time: Bitcoin Core writes a new cookie whenever it starts.
    pub(crate) fn header(&self) -> Result<Option<String>, String> {
        let pair = match self {
            Self::None => return Ok(None),
            Self::Cookie(path) => secret(path)?,
            Self::Basic { user, password_file } => format!("{user}:{}", secret(password_file)?),
        };
        Ok(Some(format!("Basic {}", base64(pair.as_bytes()))))
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4usize {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or_default();
            let digit = ALPHABET.get(digit).copied().unwrap_or(b'=');
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_fits_the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_log_shows_no_key_in_a_url() {
        assert_eq!(origin("https://user:pw@node.example:8545/v3/SECRET?k=1"), "https://node.example:8545");
        assert_eq!(origin("http://127.0.0.1:8332"), "http://127.0.0.1:8332");
    }
}
