//! The routes of the exchange's API: which dialect signs a request, what its key must be allowed to do, what it weighs.

use std::collections::BTreeMap;

use holdfast_authn::Dialect;
use serde::Deserialize;

use crate::path;

/// A document of routes larger than this is none.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// The most routes.
pub const ROUTES_MAX: usize = 4_096;
/// The most that one request may weigh.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// What a key must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Nothing: no key is asked for, and none is looked at.
    Public,
    /// To read the account.
    Read,
    /// To trade.
    Trade,
    /// To withdraw.
    Withdraw,
    /// To move between the customer's own accounts.
    Transfer,
}

impl Scope {
    /// Its bit in [`KeyEntry::scopes`](crate::KeyEntry); none for a public route.
    pub const fn bit(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Read => 1,
            Self::Trade => 2,
            Self::Withdraw => 4,
            Self::Transfer => 8,
        }
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Withdraw => "withdraw",
            Self::Transfer => "transfer",
        }
    }
}

/// How a path belongs to a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is this path.
    Exact(Box<str>),
    /// It begins with these whole segments.
    Prefix(Box<str>),
}

impl Place {
    fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }
}

/// Whether a path begins with the whole segments of `prefix`, bytes compared by `same`.
fn begins(path: &str, prefix: &str, same: fn(&[u8], &[u8]) -> bool) -> bool {
    let (path, prefix) = (path.as_bytes(), prefix.as_bytes());
    let Some((head, rest)) = path.split_at_checked(prefix.len()) else { return false };
    same(prefix, head) && (prefix.ends_with(b"/") || rest.is_empty() || rest.starts_with(b"/"))
}

/// What a server that ignores case and an ending slash takes a path for.
fn lax(path: &str) -> Box<str> {
    let plain = path.strip_suffix('/').filter(|plain| !plain.is_empty()).unwrap_or(path);
    plain.to_ascii_lowercase().into()
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The only method; any if absent.
    pub method: Option<Box<str>>,
    /// The path or its beginning.
    pub place: Place,
    /// Whose way of signing it follows.
    pub dialect: Dialect,
    /// What the key must be allowed to do.
    pub scope: Scope,
    /// What a request costs of its minute's budget.
    pub weight: u32,
}

/// What becomes of a path that no route has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is refused.
    #[default]
    Deny,
    /// It is public: for a gate in front of a web site whose API paths are all listed.
    Public,
}

/// Why a document has no routes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Too large to be one.
    #[error("a document of routes has at most {DOCUMENT_BYTES_MAX} bytes and {ROUTES_MAX} routes")]
    TooLarge,
    /// Not such a document.
    #[error("{0}")]
    Document(String),
    /// A route that cannot be.
    #[error("route {number}: {problem}")]
    Route {
        /// Counted from 1.
        number: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A limit that cannot be.
    #[error("{name} must be {expected}")]
    Limit {
        /// Its key.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// The routes, and what holds for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// All routes of one exact path together, by [`lax`].
    exact: BTreeMap<Box<str>, Vec<Route>>,
    /// All routes of one prefix together, the longest first.
    prefixes: Vec<(Box<str>, Vec<Route>)>,
    /// The dialect in which paths that no route has are refused.
    pub dialect: Dialect,
    /// What becomes of them.
    pub unknown: Unknown,
    /// Limits.
    pub limits: Limits,
}

/// The gate's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// What a key may weigh in a minute.
    pub key_weight_per_minute: u32,
    /// What one address may weigh in a minute: public requests by their weight, refused ones 1 each.
    pub address_weight_per_minute: u32,
    /// How far the customer's clock may be ahead, in milliseconds.
    pub ahead_ms: u32,
    /// The longest body of a signed request, in bytes.
    pub body_bytes_max: u32,
    /// How many requests are remembered against replay; past it, new ones are refused until old ones have run out.
    pub remembered_max: u32,
    /// How many API keys are known.
    pub keys_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_weight_per_minute: 6_000,
            address_weight_per_minute: 6_000,
            ahead_ms: 1_000,
            body_bytes_max: 65_536,
            remembered_max: 1 << 20,
            keys_max: 1 << 20,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), RouteError> {
        let within = |name, value: u32, max: u32, expected| {
            if (1..=max).contains(&value) { Ok(()) } else { Err(RouteError::Limit { name, expected }) }
        };
        let weight = "1 to 1000000000";
        within("limits.key_weight_per_minute", self.key_weight_per_minute, 1_000_000_000, weight)?;
        within("limits.address_weight_per_minute", self.address_weight_per_minute, 1_000_000_000, weight)?;
        within("limits.ahead_ms", self.ahead_ms, 60_000, "1 to 60000 (milliseconds)")?;
        within("limits.body_bytes_max", self.body_bytes_max, 1 << 24, "1 to 16777216 (bytes)")?;
        within("limits.remembered_max", self.remembered_max, 1 << 28, "1 to 268435456")?;
        within("limits.keys_max", self.keys_max, 1 << 26, "1 to 67108864")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    dialect: String,
    #[serde(default)]
    unknown: Unknown,
    #[serde(default)]
    limits: Limits,
    #[serde(default, rename = "route")]
    routes: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    method: Option<String>,
    exact: Option<String>,
    prefix: Option<String>,
    dialect: Option<String>,
    scope: Scope,
    #[serde(default = "one")]
    weight: u32,
}

const fn one() -> u32 {
    1
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| format!("`{name}` is no dialect that Holdfast knows"))
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// This route.
    Route(&'a Route),
    /// None.
    Unknown,
    /// A server that ignores case or an ending slash would take it for another route than one that does not.
    Ambiguous,
}

impl Routes {
    /// Reads a TOML document of routes.
    ///
    /// # Errors
    /// [`RouteError`], naming the place.
    pub fn parse(text: &str) -> Result<Self, RouteError> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(RouteError::TooLarge);
        }
        let document: Document =
            toml::from_str(text).map_err(|error| RouteError::Document(error.to_string()))?;
        if document.routes.len() > ROUTES_MAX {
            return Err(RouteError::TooLarge);
        }
        document.limits.check()?;
        let default = dialect(&document.dialect).map_err(RouteError::Document)?;
        let mut exact: BTreeMap<Box<str>, Vec<Route>> = BTreeMap::new();
        let mut prefixes: BTreeMap<Box<str>, Vec<Route>> = BTreeMap::new();
        for (index, row) in document.routes.into_iter().enumerate() {
            let wrong = |problem: &str| RouteError::Route {
                number: index.saturating_add(1),
                problem: problem.to_owned(),
            };
            let route = read(row, default).map_err(|problem| wrong(&problem))?;
            let group = match &route.place {
                Place::Exact(path) => exact.entry(lax(path)).or_default(),
                Place::Prefix(path) => prefixes.entry(path.clone()).or_default(),
            };
            for other in group.iter() {
                if other.place != route.place {
                    return Err(wrong("an earlier route's path differs only in case or in its last slash"));
                }
                if other.method == route.method || other.method.is_none() || route.method.is_none() {
                    return Err(wrong("an earlier route has the same path and method"));
                }
            }
            group.push(route);
        }
        let mut prefixes: Vec<_> = prefixes.into_iter().collect();
        prefixes.sort_by_key(|(path, _)| core::cmp::Reverse(path.len()));
        Ok(Self { exact, prefixes, dialect: default, unknown: document.unknown, limits: document.limits })
    }

    /// How many routes there are.
    pub fn count(&self) -> usize {
        let groups = self.exact.values().chain(self.prefixes.iter().map(|(_, group)| group));
        groups.map(Vec::len).sum()
    }

    /// The route of a request whose path is canonical.
    ///
    /// Its methods are looked at once the longest path is found: a method that it has not must not fall through to what
    /// a shorter path permits.
    pub fn find(&self, method: &str, path: &str) -> Found<'_> {
        let group = match self.exact.get(&lax(path)) {
            Some(group) if group.iter().any(|route| route.place.text() == path) => Some(group),
            Some(_) => return Found::Ambiguous,
            None => {
                let longest = |same: fn(&[u8], &[u8]) -> bool| {
                    self.prefixes.iter().find(|(prefix, _)| begins(path, prefix, same))
                };
                let found = longest(|a, b| a == b);
                let laxly = longest(|a, b| a.eq_ignore_ascii_case(b));
                if found.map(|found| &found.0) != laxly.map(|found| &found.0) {
                    return Found::Ambiguous;
                }
                found.map(|(_, group)| group)
            }
        };
        group
            .into_iter()
            .flatten()
            .find(|route| route.method.as_deref().is_none_or(|own| own == method))
            .map_or(Found::Unknown, Found::Route)
    }
}

fn read(row: Row, default: Dialect) -> Result<Route, String> {
    let place = match (row.exact, row.prefix) {
        (Some(text), None) => Place::Exact(text.into()),
        (None, Some(text)) => Place::Prefix(text.into()),
        _ => return Err("give either `exact` or `prefix`".to_owned()),
    };
    if !path::is_canonical(place.text()) {
        return Err(format!("`{}` is no path in its only spelling (docs/gate.md)", place.text()));
    }
    if row.method.as_deref().is_some_and(|method| !path::is_method(method)) {
        return Err("a method is written in capital letters".to_owned());
    }
    if !(1..=WEIGHT_MAX).contains(&row.weight) {
        return Err(format!("a weight is 1 to {WEIGHT_MAX}"));
    }
    let dialect = row.dialect.as_deref().map_or(Ok(default), dialect)?;
    Ok(Route { method: row.method.map(Into::into), place, dialect, scope: row.scope, weight: row.weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        Routes::parse(
            "dialect = 'binance'
             [[route]]
             prefix = '/api'
             scope = 'read'
             [[route]]
             prefix = '/api/v3/'
             scope = 'public'
             [[route]]
             method = 'GET'
             exact = '/api/v3/order'
             scope = 'read'
             weight = 4
             [[route]]
             method = 'POST'
             exact = '/api/v3/order'
             scope = 'trade'",
        )
        .unwrap()
    }

    fn scope(method: &str, path: &str) -> &'static str {
        match routes().find(method, path) {
            Found::Route(route) => route.scope.as_str(),
            Found::Unknown => "unknown",
            Found::Ambiguous => "ambiguous",
        }
    }

    #[test]
    fn the_longest_path_wins_and_no_method_falls_through() {
        for (method, path, expected) in [
            ("GET", "/api", "read"),
            ("GET", "/api/x", "read"),
            ("GET", "/apix", "unknown"),
            ("GET", "/", "unknown"),
            ("GET", "/api/v3", "read"),
            ("GET", "/api/v3/", "public"),
            ("GET", "/api/v3/time", "public"),
            ("GET", "/api/v3/order", "read"),
            ("POST", "/api/v3/order", "trade"),
            ("DELETE", "/api/v3/order", "unknown"),
            ("HEAD", "/api/v3/order", "unknown"),
            ("POST", "/api/v3/order/test", "public"),
            // A server that ignores case or the slash would serve the order.
            ("POST", "/api/v3/Order", "ambiguous"),
            ("POST", "/API/v3/order", "ambiguous"),
            ("POST", "/api/v3/order/", "ambiguous"),
            ("POST", "/api/v3/ORDER/", "ambiguous"),
            ("GET", "/Api/x", "ambiguous"),
            ("GET", "/api/X", "read"),
        ] {
            assert_eq!(scope(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn wrong_documents_say_where() {
        let route =
            |text: &str| Routes::parse(&format!("dialect = 'binance'\n[[route]]\nscope='read'\n{text}"));
        assert!(route("exact = '/a'").is_ok());
        for text in [
            "",
            "exact = '/a'\nprefix = '/a'",
            "exact = 'a'",
            "exact = '/a//b'",
            "exact = '/%61'",
            "exact = '/a'\nmethod = 'get'",
            "exact = '/a'\nweight = 0",
            "exact = '/a'\nweight = 1000001",
            "exact = '/a'\ndialect = 'nobody'",
            "exact = '/a'\n[[route]]\nscope='trade'\nexact='/a'",
            "exact = '/a'\n[[route]]\nscope='trade'\nexact='/a'\nmethod='GET'",
            "exact = '/a'\n[[route]]\nscope='trade'\nexact='/A'\nmethod='GET'",
            "exact = '/a'\n[[route]]\nscope='trade'\nexact='/a/'\nmethod='GET'",
        ] {
            assert!(matches!(route(text), Err(RouteError::Route { .. })), "{text}: {:?}", route(text));
        }
        for text in ["", "dialect = 'nobody'", "dialect = 'binance'\nunknwon = 'deny'", "dialect = 1"] {
            assert!(matches!(Routes::parse(text), Err(RouteError::Document(_))), "{text}");
        }
        for text in ["ahead_ms = 0", "ahead_ms = 60001", "keys_max = 0", "key_weight_per_minute = 0"] {
            let document = format!("dialect = 'binance'\n[limits]\n{text}");
            assert!(matches!(Routes::parse(&document), Err(RouteError::Limit { .. })), "{text}");
        }
        assert_eq!(Routes::parse(&" ".repeat(DOCUMENT_BYTES_MAX + 1)), Err(RouteError::TooLarge));
    }
}
