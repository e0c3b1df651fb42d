//! The approve host: the static page of the folder `approve`, and the few questions that it asks. Tickets tell it which text
//! to show, and carry no authority beyond that: what is done is done on the word of the customer's key, which Holdfast
//! verifies, and so does the signer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use holdfast_values::AccountId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock;
use crate::exchange::Exchange;
use crate::holdfast::{Answer, Problem};

/// How long a ticket opens its page.
const TICKET_LIFETIME: Duration = Duration::from_secs(600);
const TICKETS_MAX: usize = 10_000;
/// The page, its script, its style.
const FILES: [(&str, &str, &str); 3] = [
    ("/", "index.html", "text/html; charset=utf-8"),
    ("/approve.js", "approve.js", "text/javascript; charset=utf-8"),
    ("/style.css", "style.css", "text/css; charset=utf-8"),
];

/// What a ticket is about.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// A withdrawal, by Holdfast's id.
    Withdrawal(String),
    /// A new key.
    Register { used_for: &'static str, label: String },
    /// A change, as Holdfast is asked for it: first without the owner's approval, and then with it.
    Change { path: String, body: Value },
    /// A mandate on these terms.
    Mandate(Value),
}

#[derive(Clone)]
struct Ticket {
    account: AccountId,
    wanted: Wanted,
    until: Instant,
}

/// The tickets that are open. Each works until something came of it.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<BTreeMap<String, Ticket>>);

impl Tickets {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one; none if there are too many.
    pub(crate) fn open(&self, account: AccountId, wanted: Wanted) -> Option<String> {
        let id = clock::hex(&clock::random::<32>().ok()?);
        let now = Instant::now();
        let mut tickets = self.lock();
        tickets.retain(|_, ticket| ticket.until > now);
        if tickets.len() >= TICKETS_MAX {
            return None;
        }
        tickets.insert(id.clone(), Ticket { account, wanted, until: now.checked_add(TICKET_LIFETIME)? });
        Some(id)
    }

    fn find(&self, id: &str) -> Result<Ticket, Trouble> {
        let found = self.lock().get(id).filter(|ticket| ticket.until > Instant::now()).cloned();
        found.ok_or_else(|| Trouble::new(404, "This was used, or is too old. Begin again in your account."))
    }

    fn close(&self, id: &str) {
        self.lock().remove(id);
    }

    fn change(&self, id: &str, wanted: Wanted) {
        if let Some(ticket) = self.lock().get_mut(id) {
            ticket.wanted = wanted;
        }
    }
}

/// What the handlers of this host reach.
pub(crate) struct Site {
    exchange: Arc<Exchange>,
    pub(crate) tickets: Tickets,
    /// `https://` and the host.
    origin: String,
    headers: HeaderMap,
}

/// What the page is told when something does not go; shown as it is.
struct Trouble {
    status: u16,
    message: String,
}

impl Trouble {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn refused(problem: Problem) -> Self {
        let detail = problem.detail.map(|detail| format!(" {detail}")).unwrap_or_default();
        Self::new(422, format!("{}{detail} ({})", problem.title, problem.code))
    }

    fn silent(error: &str) -> Self {
        tracing::warn!(error, "holdfast gave no answer");
        Self::new(503, "The exchange cannot say now. Please try again.")
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({ "message": self.message }))).into_response()
    }
}

impl Site {
    /// The folder's headers go onto everything that this host answers.
    pub(crate) fn new(exchange: Arc<Exchange>, folder: &Path, host: &str) -> std::io::Result<Self> {
        let mut headers = HeaderMap::new();
        for line in std::fs::read_to_string(folder.join("headers.txt"))?.lines() {
            let pair = line.split_once(": ").and_then(|(name, value)| {
                Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
            });
            let (name, value) = pair.ok_or_else(|| std::io::Error::other(format!("no header: {line}")))?;
            headers.insert(name, value);
        }
        Ok(Self { exchange, tickets: Tickets::default(), origin: format!("https://{host}"), headers })
    }
}

/// The routes: three files, three questions, nothing else.
pub(crate) fn router(site: &Arc<Site>, folder: &Path) -> std::io::Result<Router> {
    let mut router = Router::new()
        .route("/api/ask", post(ask))
        .route("/api/approve", post(approve))
        .route("/api/register", post(register))
        .layer(middleware::from_fn_with_state(Arc::clone(site), same_origin));
    for (path, name, kind) in FILES {
        let text = std::fs::read_to_string(folder.join(name))?;
        router = router.route(path, get(async move || ([(header::CONTENT_TYPE, kind)], text.clone())));
    }
    let router = router.fallback(async || StatusCode::NOT_FOUND);
    Ok(router
        .layer(middleware::from_fn_with_state(Arc::clone(site), with_headers))
        .with_state(Arc::clone(site)))
}

async fn with_headers(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let own = site.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    response.headers_mut().extend(own);
    response
}

/// Only this host's own page asks.
async fn same_origin(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let from = request.headers().get(header::ORIGIN).map(HeaderValue::as_bytes);
    if from == Some(site.origin.as_bytes()) {
        next.run(request).await
    } else {
        Trouble::new(403, "This is for the approval page alone.").into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskBody {
    ticket: String,
}

/// What is to be shown: a text, or a registration.
async fn ask(State(site): State<Arc<Site>>, Json(body): Json<AskBody>) -> Result<Json<Value>, Trouble> {
    let Ticket { account, wanted, .. } = site.tickets.find(&body.ticket)?;
    let holdfast = &site.exchange.holdfast;
    let answer = match &wanted {
        Wanted::Withdrawal(id) => {
            holdfast.protection("GET", format!("/v1/withdrawals/{id}/approval"), None).await
        }
        Wanted::Register { used_for, .. } => {
            let path = format!("/v1/accounts/{account}/credentials/options");
            let asked = json!({ "used_for": used_for });
            let mut options = settled(holdfast.protection("POST", path, Some(asked)).await)?;
            if let Value::Object(fields) = &mut options {
                fields.insert("account".to_owned(), json!(account.as_str()));
                fields.insert("used_for".to_owned(), json!(used_for));
            }
            return Ok(Json(options));
        }
        Wanted::Mandate(terms) => {
            let path = format!("/v1/accounts/{account}/mandates/text");
            holdfast.protection("POST", path, Some(terms.clone())).await
        }
        Wanted::Change { path, body: change } => {
            match holdfast.protection("POST", path.clone(), Some(change.clone())).await {
                Answer::Done(_) => {
                    site.tickets.close(&body.ticket);
                    return Ok(Json(json!({ "message": "It needed no approval." })));
                }
                Answer::Refused(Problem { approval: Some(approval), .. }) => Answer::Done(*approval),
                answer => answer,
            }
        }
    };
    Ok(Json(settled(answer)?))
}

fn settled(answer: Answer<Value>) -> Result<Value, Trouble> {
    match answer {
        Answer::Done(value) => Ok(value),
        Answer::Refused(problem) => Err(Trouble::refused(problem)),
        Answer::Unknown(error) => Err(Trouble::silent(&error)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    ticket: String,
    text: String,
    assertion: Value,
}

/// The key's word, for Holdfast to verify.
async fn approve(
    State(site): State<Arc<Site>>,
    Json(body): Json<ApproveBody>,
) -> Result<Json<Value>, Trouble> {
    let Ticket { account, wanted, .. } = site.tickets.find(&body.ticket)?;
    let approval = json!({ "text": body.text, "assertion": body.assertion });
    let (path, sent, message) = match wanted {
        Wanted::Withdrawal(id) => {
            let sent = json!({ "account": account.as_str(), "assertion": body.assertion });
            (format!("/v1/withdrawals/{id}/approval"), sent, "The withdrawal is approved.")
        }
        Wanted::Change { path, body: mut change } => {
            if let Value::Object(fields) = &mut change {
                fields.insert("approval".to_owned(), approval);
            }
            (path, change, "The change is made.")
        }
        Wanted::Mandate(_) => {
            let path = format!("/v1/accounts/{account}/mandates");
            (path, json!({ "approval": approval }), "The mandate is granted.")
        }
        Wanted::Register { .. } => return Err(Trouble::new(409, "There is nothing to approve yet.")),
    };
    match site.exchange.holdfast.protection("POST", path.clone(), Some(sent)).await {
        // Its time is over: there will be another text, and this page must show that one.
        Answer::Refused(problem) if problem.code == "text_lapsed" => {
            let path = path.replace("/approval", "/renew");
            let renewed = json!({ "account": account.as_str() });
            settled(site.exchange.holdfast.protection("POST", path, Some(renewed)).await)?;
            Err(Trouble::new(409, "The time of this text is over. Open it once more in your account."))
        }
        answer => {
            settled(answer)?;
            site.tickets.close(&body.ticket);
            Ok(Json(json!({ "message": message })))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    ticket: String,
    client_data_json: String,
    attestation_object: String,
    transports: Vec<String>,
}

/// A new key; the answer is a text if another key must approve it first.
async fn register(
    State(site): State<Arc<Site>>,
    Json(body): Json<RegisterBody>,
) -> Result<Json<Value>, Trouble> {
    let Ticket { account, wanted, .. } = site.tickets.find(&body.ticket)?;
    let Wanted::Register { used_for, label } = wanted else {
        return Err(Trouble::new(409, "There is nothing to register."));
    };
    let path = format!("/v1/accounts/{account}/credentials");
    let made = json!({
        "used_for": used_for, "label": label, "client_data_json": body.client_data_json,
        "attestation_object": body.attestation_object, "transports": body.transports,
    });
    match site.exchange.holdfast.protection("POST", path.clone(), Some(made.clone())).await {
        Answer::Refused(Problem { approval: Some(approval), .. }) => {
            site.tickets.change(&body.ticket, Wanted::Change { path, body: made });
            Ok(Json(*approval))
        }
        answer => {
            let known = settled(answer)?;
            site.tickets.close(&body.ticket);
            let from = known.get("counts_from").and_then(Value::as_str).unwrap_or("a later time");
            Ok(Json(json!({ "message": format!("Your key counts from {from} on.") })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_works_until_something_came_of_it() {
        let tickets = Tickets::default();
        let account: AccountId = "ac_1".parse().unwrap();
        let id = tickets.open(account.clone(), Wanted::Withdrawal("wd_1".to_owned())).unwrap();
        assert_eq!(id.len(), 64);
        assert_eq!(tickets.find(&id).map(|ticket| ticket.account).ok(), Some(account.clone()));
        assert!(tickets.find(&id).is_ok(), "looking at it does not use it up");
        tickets.close(&id);
        assert!(tickets.find(&id).is_err_and(|trouble| trouble.status == 404));
        assert!(tickets.find("").is_err());

        let id = tickets.open(account, Wanted::Withdrawal("wd_1".to_owned())).unwrap();
        tickets.lock().get_mut(&id).unwrap().until = Instant::now();
        assert!(tickets.find(&id).is_err(), "it is too old");
    }

    #[test]
    fn there_are_only_so_many_tickets() {
        let tickets = Tickets::default();
        let account: AccountId = "ac_1".parse().unwrap();
        let open = || tickets.open(account.clone(), Wanted::Mandate(Value::Null));
        assert_eq!((0..TICKETS_MAX).filter_map(|_| open()).count(), TICKETS_MAX);
        assert!(open().is_none());
        for ticket in tickets.lock().values_mut() {
            ticket.until = Instant::now();
        }
        assert!(open().is_some(), "old ones make room");
    }
}
