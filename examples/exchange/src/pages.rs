//! The two web origins on one listener, told apart by the host that a request names: the app's host with its page, where
//! customers sign in, and the approve host (`approve`), which shares nothing with it but the exchange behind both.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use holdfast_values::AccountId;
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::approve::{self, Site, Wanted};
use crate::exchange::{Exchange, Failure};
use crate::holdfast::Answer;
use crate::tls::Tls;
use crate::web::{self, WebError};

const PAGE: &str = include_str!("pages/index.html");
const SCRIPT: &str = include_str!("pages/app.js");
const STYLE: &str = include_str!("pages/app.css");
/// The app's page asks no key and frames nothing; whoever takes it over gains no more than its session.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

/// Serves both hosts, if there are any to serve.
pub(crate) async fn open(exchange: &Arc<Exchange>) -> std::io::Result<()> {
    let Some(config) = exchange.config.web.clone() else { return Ok(()) };
    let site = Arc::new(Site::new(Arc::clone(exchange), &config.approve_folder, &config.approve_host)?);
    let app =
        App { exchange: Arc::clone(exchange), site: Arc::clone(&site), host: config.approve_host.clone() };
    let limit = DefaultBodyLimit::max(crate::BODY_BYTES_MAX);
    let hosts = Hosts {
        app: app_router(app).layer(limit),
        approve: approve::router(&site, &config.approve_folder)?.layer(limit),
        app_host: config.app_host,
        approve_host: config.approve_host,
    };
    let listener = Tls::bind(config.listen, &config.certificate_file, &config.key_file).await?;
    let router = Router::new().fallback(by_host).with_state(Arc::new(hosts));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

struct Hosts {
    app: Router,
    approve: Router,
    app_host: String,
    approve_host: String,
}

async fn by_host(State(hosts): State<Arc<Hosts>>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let router = if host == hosts.app_host {
        hosts.app.clone()
    } else if host == hosts.approve_host {
        hosts.approve.clone()
    } else {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    };
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What the app's own handlers reach.
#[derive(Clone)]
struct App {
    exchange: Arc<Exchange>,
    site: Arc<Site>,
    host: String,
}

fn app_router(app: App) -> Router {
    let own = Router::new().route("/keys", get(keys)).route("/tickets", post(ticket)).with_state(app.clone());
    let mut router = web::router().with_state(app.exchange).merge(own);
    for (path, text, kind) in [
        ("/", PAGE, "text/html; charset=utf-8"),
        ("/app.js", SCRIPT, "text/javascript; charset=utf-8"),
        ("/app.css", STYLE, "text/css; charset=utf-8"),
    ] {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        router = router.route(path, get(async move || (headers, text)));
    }
    router
}

/// The customer's keys, as Holdfast knows them.
async fn keys(State(app): State<App>, headers: HeaderMap) -> Result<Json<Value>, WebError> {
    let account = web::session(&app.exchange, &headers)?;
    let path = format!("/v1/accounts/{account}/credentials");
    match app.exchange.holdfast.protection("GET", path, None).await {
        Answer::Done(keys) => Ok(Json(keys)),
        Answer::Refused(problem) => Err(Failure::Refused(problem).into()),
        Answer::Unknown(_) => Err(Failure::Unavailable.into()),
    }
}

/// What the customer wants to do on the approve host.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum TicketForm {
    /// Approve a withdrawal, by Harbor's id.
    Withdrawal(String),
    /// Register a key, under a name.
    Register {
        label: String,
        #[serde(default)]
        master: bool,
    },
    /// Take a key out of use, by its fingerprint.
    Remove(String),
    /// A plain change, as Holdfast names it.
    Change(Value),
    /// Grant a mandate on these terms.
    Mandate(Value),
}

/// Turns a session's wish into a ticket for the approve host.
async fn ticket(
    State(app): State<App>,
    headers: HeaderMap,
    Json(form): Json<TicketForm>,
) -> Result<Json<Value>, WebError> {
    let account = web::session(&app.exchange, &headers)?;
    let wanted = wanted(&app.exchange, &account, form)?;
    let ticket = app.site.tickets.open(account, wanted).ok_or(Failure::Unavailable)?;
    // Behind the #, so that no server and no log sees it.
    Ok(Json(json!({ "url": format!("https://{}/#ticket={ticket}", app.host) })))
}

fn wanted(exchange: &Exchange, account: &AccountId, form: TicketForm) -> Result<Wanted, Failure> {
    let of_account = |path: &str| format!("/v1/accounts/{account}/{path}");
    Ok(match form {
        TicketForm::Withdrawal(id) => {
            Wanted::Withdrawal(exchange.withdrawal(account, &id)?.holdfast_id.ok_or(Failure::Unavailable)?)
        }
        TicketForm::Register { label, master } => {
            Wanted::Register { used_for: if master { "master" } else { "approve" }, label }
        }
        TicketForm::Remove(fingerprint) => {
            // It becomes part of a path.
            if fingerprint.len() != 32 || !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Failure::NoSuchWithdrawal);
            }
            Wanted::Change { path: of_account(&format!("credentials/{fingerprint}/remove")), body: json!({}) }
        }
        TicketForm::Change(change) => {
            Wanted::Change { path: of_account("changes"), body: json!({ "change": change }) }
        }
        TicketForm::Mandate(terms) => Wanted::Mandate(terms),
    })
}
