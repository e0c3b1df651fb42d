//! Who may ask for what: one table. A route that is not in it is refused, so that none can be forgotten.

use core::fmt::Write as _;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use holdfast_decision::command::TokenScopes;
use holdfast_values::Name;
use hyper::body::Body as _;

use crate::problem::Problem;

use super::Shared;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing: no token.
    Open,
    /// A token with at least one of these scopes.
    Any(TokenScopes),
}

const READ: Rule = Rule::Any(TokenScopes::READ.with(TokenScopes::SERVICE).with(TokenScopes::WALLET));
const WALLET: Rule = Rule::Any(TokenScopes::WALLET);
const CHAIN: Rule = Rule::Any(TokenScopes::CHAIN);
const SERVICE: Rule = Rule::Any(TokenScopes::SERVICE);
const PRICES: Rule = Rule::Any(TokenScopes::PRICES);
/// Tightening: anyone trusted may.
const TIGHTEN: Rule = Rule::Any(TokenScopes::SERVICE.with(TokenScopes::HALT));
/// Who may stop it may see it.
const WATCH: Rule =
    Rule::Any(TokenScopes::READ.with(TokenScopes::SERVICE).with(TokenScopes::WALLET).with(TokenScopes::HALT));
/// What operators signed: whose token brings it does not matter.
const SIGNED: Rule =
    Rule::Any(TokenScopes::READ.with(TokenScopes::SERVICE).with(TokenScopes::HALT).with(TokenScopes::PRICES));

/// Method, route, rule. No token can loosen anything: what loosens is signed by operators and goes through
/// `/v1/operator-acts`.
pub const AUTHORITY: &[(&str, &str, Rule)] = &[
    ("GET", "/health", Rule::Open),
    ("GET", "/ready", Rule::Open),
    ("GET", "/metrics", READ),
    ("GET", "/openapi.json", Rule::Open),
    ("POST", "/v1/withdrawals", SERVICE),
    ("GET", "/v1/withdrawals", READ),
    ("GET", "/v1/withdrawals/{id}", READ),
    ("POST", "/v1/withdrawals/{id}/cancel", SERVICE),
    ("POST", "/v1/withdrawals/{id}/one-time-code", SERVICE),
    ("POST", "/v1/withdrawals/{id}/deny", TIGHTEN),
    ("GET", "/v1/withdrawals/{id}/approval", READ),
    ("POST", "/v1/withdrawals/{id}/approval", SERVICE),
    ("POST", "/v1/withdrawals/{id}/renew", SERVICE),
    ("GET", "/v1/withdrawals/{id}/text", READ),
    ("GET", "/v1/withdrawals/{id}/decisions", READ),
    ("POST", "/v1/accounts", SERVICE),
    ("GET", "/v1/accounts/{id}", READ),
    ("POST", "/v1/accounts/{id}/freeze", TIGHTEN),
    ("POST", "/v1/accounts/{id}/limits", SERVICE),
    ("POST", "/v1/accounts/{id}/security-changes", SERVICE),
    ("POST", "/v1/accounts/{id}/addresses", SERVICE),
    ("DELETE", "/v1/accounts/{id}/addresses", SERVICE),
    ("POST", "/v1/accounts/{id}/addresses/notice-delivered", SERVICE),
    ("PUT", "/v1/accounts/{id}/api-keys/{key}", SERVICE),
    ("DELETE", "/v1/accounts/{id}/api-keys/{key}", SERVICE),
    ("POST", "/v1/api-keys/revoke", TIGHTEN),
    ("POST", "/v1/accounts/{id}/changes", SERVICE),
    ("POST", "/v1/accounts/{id}/credentials/options", SERVICE),
    ("POST", "/v1/accounts/{id}/credentials", SERVICE),
    ("GET", "/v1/accounts/{id}/credentials", READ),
    ("POST", "/v1/accounts/{id}/credentials/{credential}/remove", SERVICE),
    ("POST", "/v1/accounts/{id}/sign-in/options", SERVICE),
    ("POST", "/v1/accounts/{id}/sign-in", SERVICE),
    ("POST", "/v1/accounts/{id}/mandates/text", SERVICE),
    ("POST", "/v1/accounts/{id}/mandates", SERVICE),
    ("GET", "/v1/accounts/{id}/mandates", READ),
    ("POST", "/v1/accounts/{id}/one-time-codes", SERVICE),
    ("POST", "/v1/accounts/{id}/one-time-codes/confirm", SERVICE),
    ("POST", "/v1/accounts/{id}/recovery-codes", SERVICE),
    ("POST", "/v1/accounts/{id}/codes", SERVICE),
    ("POST", "/v1/accounts/{id}/sessions", SERVICE),
    ("GET", "/v1/accounts/{id}/devices", READ),
    ("POST", "/v1/accounts/{id}/panic-link", SERVICE),
    ("GET", "/panic/{account}/{day}/{mark}", Rule::Open),
    ("POST", "/panic/{account}/{day}/{mark}", Rule::Open),
    ("GET", "/v1/enrolments", WALLET),
    ("POST", "/v1/gate/check", SERVICE),
    ("POST", "/v1/transactions", WALLET),
    ("GET", "/v1/transactions", READ),
    ("POST", "/v1/transactions/receipts", WALLET),
    ("GET", "/v1/transactions/{digest}", READ),
    ("POST", "/v1/chain/observations", CHAIN),
    ("GET", "/v1/chain/alarms", READ),
    ("GET", "/v1/recovered-spends", READ),
    ("PUT", "/v1/prices", PRICES),
    ("POST", "/v1/halts", TIGHTEN),
    ("GET", "/v1/halts", READ),
    ("GET", "/v1/cases", READ),
    ("POST", "/v1/operator-acts", SIGNED),
    ("GET", "/v1/operator-acts", WATCH),
    ("POST", "/v1/operator-acts/{nonce}/stop", TIGHTEN),
    ("POST", "/v1/imports", SERVICE),
    ("GET", "/v1/operators", READ),
    ("GET", "/v1/policy", READ),
    ("GET", "/v1/policy/history", READ),
    // A shadow changes no decision; it shows what another policy would, so that whoever may read may see it.
    ("PUT", "/v1/policy/shadow", TIGHTEN),
    ("GET", "/v1/policy/shadow", READ),
    ("DELETE", "/v1/policy/shadow", TIGHTEN),
    ("GET", "/v1/buckets", READ),
    ("DELETE", "/v1/tokens/{client}", TIGHTEN),
];

/// `docs/authority.md`.
#[must_use]
pub fn authority_markdown() -> String {
    let mut text = String::from(
        "# Who may ask for what\n\nA token carries scopes: `read`, `service`, `prices`, `halt`, `wallet`, `chain`. An operation is open to a \
         token with at least one of the scopes\nin its row. No scope loosens anything: what lets more through is signed by \
         operators and goes through\n`/v1/operator-acts`, whose token only carries it there (`docs/operator-acts.md`).\n\n\
         This page is printed from the code; `cargo test -p holdfast-server` compares it.\n\n\
         | operation | scopes |\n|---|---|\n",
    );
    for (method, route, rule) in AUTHORITY {
        let scopes = match rule {
            Rule::Open => "no token".to_owned(),
            Rule::Any(scopes) => scope_names(*scopes),
        };
        let _infallible = writeln!(text, "| `{method} {route}` | {scopes} |");
    }
    text
}

/// Whose request it is.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The client that the token belongs to.
    pub(super) client: Name,
}

/// Looks up the rule of a route. `HEAD` is `GET`.
fn rule(method: &Method, route: &str) -> Option<Rule> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    AUTHORITY.iter().find(|row| row.0 == method && row.1 == route).map(|row| row.2)
}

/// Lets a request through to its handler if its token may ask for that.
pub(super) async fn check(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(rule) = route.and_then(|route| rule(request.method(), route)) else {
        // Known path, other method: the router says which it is, after a token was shown.
        return match caller(&app, &request) {
            Ok(_) => Problem::new("method_not_allowed").into_response(),
            Err(problem) => problem.into_response(),
        };
    };
    let Rule::Any(scopes) = rule else { return next.run(request).await };
    // The body of a refused request is not read, so its connection cannot carry another one: it says so.
    let unread = !request.body().is_end_stream();
    let refuse = |problem: Problem| {
        let mut response = problem.into_response();
        if unread {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    };
    let (caller, has) = match caller(&app, &request) {
        Ok(found) => found,
        Err(problem) => return refuse(problem),
    };
    let mut response = if has.0 & scopes.0 == 0 {
        refuse(Problem::new("scope_missing").detail(format!("one of: {}", scope_names(scopes))))
    } else {
        request.extensions_mut().insert(caller.clone());
        next.run(request).await
    };
    response.extensions_mut().insert(caller);
    response
}

fn caller(app: &Shared, request: &Request) -> Result<(Caller, TokenScopes), Problem> {
    let header = request.headers().get(header::AUTHORIZATION).ok_or(Problem::new("token_missing"))?;
    let token = header
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(Problem::new("token_missing"))?;
    // The hash is looked up, so the time it takes says nothing about the token.
    let hash = token_hash(token);
    let published = app.intake.published();
    let spec = published.tokens.get(&hash).ok_or(Problem::new("token_unknown_or_revoked"))?;
    Ok((Caller { client: spec.client.clone() }, spec.scopes))
}

/// What State knows of a token.
pub fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}

/// The names of a set of scopes.
fn scope_names(scopes: TokenScopes) -> String {
    let names = [
        (TokenScopes::READ, "read"),
        (TokenScopes::SERVICE, "service"),
        (TokenScopes::PRICES, "prices"),
        (TokenScopes::HALT, "halt"),
        (TokenScopes::WALLET, "wallet"),
        (TokenScopes::CHAIN, "chain"),
    ];
    let set: Vec<&str> =
        names.into_iter().filter(|(s, _)| scopes.contains(*s)).map(|(_, name)| name).collect();
    set.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_is_open_but_these() {
        let open: Vec<&str> = AUTHORITY.iter().filter(|row| row.2 == Rule::Open).map(|row| row.1).collect();
        let panic = "/panic/{account}/{day}/{mark}";
        assert_eq!(open, ["/health", "/ready", "/openapi.json", panic, panic]);
    }

    #[test]
    fn every_operation_of_the_interface_stands_in_the_table() {
        let document = crate::http::document();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let mut routes = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
        let mut table: Vec<_> =
            AUTHORITY.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        routes.sort();
        table.sort();
        assert_eq!(routes, table);
    }
}
