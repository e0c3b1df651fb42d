//! What the proxy is told.

use holdfast_authn::Dialect;
use holdfast_authn::dialect::GateRefusal;
use holdfast_values::{AccountId, Name};

use crate::code::Code;
use crate::keys::KeyEntry;
use crate::route::{Route, Scope};

/// Whose request it is; headers of these names are added to what goes on to the exchange.
pub const ACCOUNT_HEADER: &str = "x-holdfast-account";
/// The API key's id.
pub const KEY_HEADER: &str = "x-holdfast-key";
/// The key's revision.
pub const REVISION_HEADER: &str = "x-holdfast-key-revision";
/// What the route asked of the key: `read`.
pub const SCOPE_HEADER: &str = "x-holdfast-scope";

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Allow(Allowed),
    /// It may not.
    Deny(Denied),
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Whose it is; nobody's on a public route.
    pub signer: Option<Signer>,
    /// What the route asked of the key.
    pub scope: Scope,
    /// What it cost.
    pub weight: u32,
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The account.
    pub account: AccountId,
    /// The key's id.
    pub key: Name,
    /// The key's revision.
    pub revision: u32,
}

impl Allowed {
    pub(crate) const fn public(weight: u32) -> Self {
        Self { signer: None, scope: Scope::Public, weight }
    }

    pub(crate) fn signed(entry: &KeyEntry, route: &Route) -> Self {
        let signer =
            Signer { account: entry.account.clone(), key: entry.key.clone(), revision: entry.revision };
        Self { signer: Some(signer), scope: route.scope, weight: route.weight }
    }

    /// Headers to add. The gate has refused requests that came with such headers of their own.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let scope = (SCOPE_HEADER, self.scope.as_str().to_owned());
        match &self.signer {
            None => vec![scope],
            Some(signer) => vec![
                (ACCOUNT_HEADER, signer.account.to_string()),
                (KEY_HEADER, signer.key.to_string()),
                (REVISION_HEADER, signer.revision.to_string()),
                scope,
            ],
        }
    }
}

/// A request that may not go on, and what its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why, for logs and metrics.
    pub code: Code,
    /// In whose words.
    pub dialect: Dialect,
    /// The key that it names and that is not known: it may be put and the request judged again.
    pub key: Option<Name>,
    /// As what the dialect tells it.
    pub refusal: GateRefusal,
    /// The HTTP status; some exchanges answer 200 and say it in the body.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// The body, as the dialect's exchange writes it.
    pub body: String,
    /// When to come again, for the `retry-after` header.
    pub retry_after_seconds: Option<u32>,
}

impl Denied {
    /// That it cannot be judged now, for whoever could not find out about its key.
    pub fn unavailable(dialect: Dialect) -> Self {
        Self::new(Code::Unavailable, None, dialect, 0)
    }

    pub(crate) fn new(code: Code, detail: Option<&str>, dialect: Dialect, seconds_left: u32) -> Self {
        let refusal = code.refusal(seconds_left);
        let (status, content_type, body) = dialect.error_body(refusal, detail.unwrap_or(code.sentence()));
        let retry_after_seconds = match refusal {
            GateRefusal::RateLimit { retry_after_seconds } => Some(retry_after_seconds),
            _ => None,
        };
        Self { code, dialect, key: None, refusal, status, content_type, body, retry_after_seconds }
    }
}
