//! The HTTP interface: routes, who may use them, limits, problems. Parsing happens here and nowhere deeper; deciding
//! happens in the core and nowhere here.

mod accept;
mod accounts;
mod acts;
mod approvals;
mod assertion;
mod authority;
mod body;
mod chain;
mod changes;
mod codes;
mod compiled;
mod controls;
mod credentials;
mod enrolments;
mod evidence;
pub(crate) mod gate;
mod gauges;
mod governance;
mod history;
mod keys;
mod lists;
mod mandates;
mod meta;
mod openapi;
mod panic;
mod reply;
mod sessions;
mod shadow;
mod transactions;
mod vouchers;
mod withdrawals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use holdfast_cedar::second::SecondOpinion;
use holdfast_journal::LocalReader;
use tokio::sync::{Mutex, Semaphore};

use crate::challenges::Challenges;
use crate::clock::Clock;
use crate::config::Limits;
use crate::fingerprint::Fingerprinter;
use crate::gate::Keeper;
use crate::geo::Geo;
use crate::history::History;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::problem::{Code, Problem};
use crate::shadow::Shadow;
use crate::vault::{ReleaseKey, Vault};
use crate::views::Views;

pub use accept::{AcceptError, Acceptor, serve};
pub use acts::{ImportLine, chunk_accounts};
pub use authority::{AUTHORITY, Rule, authority_markdown, token_hash};
pub use compiled::CompiledPacks;
pub use governance::RefusedActs;
pub use openapi::document;

/// The journal's sequence that an answer is as of.
pub const SEQUENCE_HEADER: &str = "holdfast-sequence";
/// Says that an answer is that of an earlier request with the same idempotency key.
pub const REPLAY_HEADER: &str = "idempotent-replay";
const REQUEST_ID_HEADER: &str = "x-request-id";

/// What every handler can reach.
#[derive(Debug)]
pub struct App {
    /// The writer.
    pub intake: Intake,
    /// The lists.
    pub views: Arc<Views>,
    /// A connection to the journal that only reads.
    pub journal: std::sync::Mutex<LocalReader>,
    /// Secrets.
    pub vault: Vault,
    /// Makes fingerprints.
    pub fingerprints: Fingerprinter,
    /// Signs releases; without it nothing is released.
    pub release_key: Option<ReleaseKey>,
    /// Cedar's side of the active policy, once a release has needed it.
    pub second_opinion: std::sync::Mutex<Option<Arc<SecondOpinion>>>,
    /// Every policy so far, as far as somebody has asked.
    pub history: std::sync::Mutex<History>,
    /// Acts that were refused, so that none fills the journal.
    pub refused_acts: RefusedActs,
    /// What the packs of the last acts compiled to.
    pub compiled_packs: CompiledPacks,
    /// A candidate policy beside the live one.
    pub shadow: Shadow,
    /// What time it is.
    pub clock: Clock,
    /// Limits.
    pub limits: Limits,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Webhooks, if any are configured.
    pub outbox: Option<Outbox>,
    /// API keys and codes change one after the other, so that vault and State agree on revisions.
    pub key_changes: Mutex<()>,
    /// Challenges that wait for their answer.
    pub challenges: Challenges,
    /// Slow hashes, which take much memory each: so many at once.
    pub slow_hashes: Semaphore,
    /// Where addresses are.
    pub geo: Geo,
    /// Judges requests to the exchange's own API, if it is configured.
    pub gate: Option<Arc<Keeper>>,
    /// When the server started.
    pub started: Instant,
}

/// A handle on [`App`].
pub type Shared = Arc<App>;

/// All routes.
pub fn router(app: Shared) -> Router {
    let v1 = Router::new()
        .route("/v1/withdrawals", post(withdrawals::create).get(lists::withdrawals))
        .route("/v1/withdrawals/{id}", get(withdrawals::get))
        .route("/v1/withdrawals/{id}/cancel", post(withdrawals::cancel))
        .route("/v1/withdrawals/{id}/one-time-code", post(withdrawals::one_time_code))
        .route("/v1/withdrawals/{id}/deny", post(withdrawals::deny))
        .route("/v1/withdrawals/{id}/approval", get(approvals::ask).post(approvals::approve))
        .route("/v1/withdrawals/{id}/renew", post(approvals::renew))
        .route("/v1/withdrawals/{id}/text", get(withdrawals::text))
        .route("/v1/withdrawals/{id}/decisions", get(lists::decisions))
        .route("/v1/accounts", post(accounts::open))
        .route("/v1/accounts/{id}", get(accounts::get))
        .route("/v1/accounts/{id}/freeze", post(accounts::freeze))
        .route("/v1/accounts/{id}/limits", post(accounts::lower_limits))
        .route("/v1/accounts/{id}/security-changes", post(accounts::security_change))
        .route("/v1/accounts/{id}/addresses", post(accounts::add_address).delete(accounts::remove_address))
        .route("/v1/accounts/{id}/addresses/notice-delivered", post(accounts::notice_delivered))
        .route("/v1/accounts/{id}/api-keys/{key}", put(keys::put).delete(keys::revoke))
        .route("/v1/api-keys/revoke", post(keys::revoke_cohort))
        .route("/v1/accounts/{id}/changes", post(changes::plain))
        .route("/v1/accounts/{id}/credentials/options", post(credentials::registration_options))
        .route("/v1/accounts/{id}/credentials", post(credentials::register).get(credentials::list))
        .route("/v1/accounts/{id}/credentials/{credential}/remove", post(credentials::remove))
        .route("/v1/accounts/{id}/sign-in/options", post(credentials::sign_in_options))
        .route("/v1/accounts/{id}/sign-in", post(credentials::sign_in))
        .route("/v1/accounts/{id}/mandates/text", post(mandates::offer))
        .route("/v1/accounts/{id}/mandates", post(mandates::grant).get(mandates::list))
        .route("/v1/accounts/{id}/one-time-codes", post(codes::begin))
        .route("/v1/accounts/{id}/one-time-codes/confirm", post(codes::confirm))
        .route("/v1/accounts/{id}/recovery-codes", post(codes::recovery_codes))
        .route("/v1/accounts/{id}/codes", post(codes::present))
        .route("/v1/accounts/{id}/sessions", post(sessions::report))
        .route("/v1/accounts/{id}/devices", get(sessions::devices))
        .route("/v1/accounts/{id}/panic-link", post(panic::link))
        .route("/panic/{account}/{day}/{mark}", get(panic::show).post(panic::freeze))
        .route("/v1/enrolments", get(enrolments::list))
        .route("/v1/transactions", post(transactions::propose).get(lists::transactions))
        .route("/v1/transactions/receipts", post(transactions::receipt))
        .route("/v1/transactions/{digest}", get(transactions::get))
        .route("/v1/chain/observations", post(chain::observe))
        .route("/v1/chain/alarms", get(lists::alarms))
        .route("/v1/recovered-spends", get(lists::recovered_spends))
        .route("/v1/prices", put(controls::set_prices))
        .route("/v1/halts", post(controls::halt).get(controls::halts))
        .route("/v1/cases", get(lists::cases))
        .route("/v1/operator-acts", post(acts::operator_act).get(governance::list))
        .route("/v1/operator-acts/{nonce}/stop", post(governance::stop))
        .route("/v1/imports", post(acts::import))
        .route("/v1/operators", get(controls::operators))
        .route("/v1/policy", get(controls::policy))
        .route("/v1/policy/history", get(history::history))
        .route("/v1/policy/shadow", put(shadow::start).get(shadow::status).delete(shadow::stop))
        .route("/v1/buckets", get(controls::buckets))
        .route("/v1/tokens/{client}", delete(controls::revoke_token))
        .route("/v1/gate/check", post(gate::check))
        .route("/health", get(meta::health))
        .route("/ready", get(meta::ready))
        .route("/metrics", get(meta::metrics))
        .route("/openapi.json", get(meta::openapi));
    v1.method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), authority::check))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

async fn not_found() -> Problem {
    Problem::new("not_found")
}

async fn method_not_allowed() -> Problem {
    Problem::new("method_not_allowed")
}

const fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// A request's id: the caller's, if it is short and plain, else one of our own.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(plain).map_or_else(
        || crate::data::random::<8>().map(|bytes| crate::record::hex(&bytes)).unwrap_or_default(),
        ToOwned::to_owned,
    )
}

/// Gives every request an id, a time limit, a log line and its place in the metrics. Neither bodies nor queries are
/// logged, and of the path only the route's pattern.
async fn observe(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let limit = Duration::from_secs(app.limits.request_seconds);
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new("outcome_unknown").into_response(),
    };
    let took = started.elapsed();
    let status = response.status().as_u16();
    app.metrics.request(method, &route, status, took);
    let code = response.extensions().get::<Code>().map_or("", |code| code.0);
    let client = response.extensions().get::<authority::Caller>().map_or("", |caller| caller.client.as_str());
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(request = id, method, route, status, code, client, micros, "answered");
    } else if status < 400 {
        tracing::debug!(request = id, method, route, status, client, micros, "answered");
    } else {
        tracing::info!(request = id, method, route, status, code, client, micros, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    response
}
