//! Panic links: an address in a notice that freezes the account it is about. Opening it shows a page and changes nothing,
//! since mail scanners open every link; the button on the page sends a POST, and that freezes.
//!
//! The link carries no token of this interface: it is a keyed fingerprint of the account and the day it ends, which only
//! this installation can make. It can freeze, and nothing else.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use holdfast_decision::command::Command;
use holdfast_values::{AccountId, Fingerprint, Timestamp, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

use super::Shared;
use super::body;

/// For how many days a link is good.
const DAYS: u64 = 30;

/// A link.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct LinkReply {
    /// The path: put the public address of the exchange's page, or of this server, before it.
    path: String,
    /// Until when it is good.
    expires: String,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/panic-link", tag = "protection",
    summary = "A link for notices, which lets their reader freeze the account",
    params(("id" = String, Path)),
    responses((status = 200, body = LinkReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn link(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<axum::Json<LinkReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let asked = account.clone();
    let answer = app.intake.ask(move |desk| desk.state().account(&asked).map(|_| desk.time())).await?;
    let unknown = Problem::refused(holdfast_decision::reason::Refusal::AccountUnknown, "");
    let now = answer.value.ok_or(unknown)?;
    let day = now.0 / time::DAY + DAYS;
    let mark = app.fingerprints.panic_link(&account, day);
    Ok(axum::Json(LinkReply {
        path: format!("/panic/{account}/{day}/{mark}"),
        expires: Timestamp(day.saturating_mul(time::DAY)).to_string(),
    }))
}

/// The account of a link, if this installation made it and it is still good.
async fn account_of(app: &Shared, account: &str, day: &str, mark: &str) -> Result<AccountId, Problem> {
    let unknown = || Problem::new("panic_link_unknown");
    let account: AccountId = account.parse().map_err(|_| unknown())?;
    let day: u64 = day.parse().map_err(|_| unknown())?;
    let mark = crate::record::unhex(mark).map(Fingerprint).ok_or_else(unknown)?;
    let right = app.fingerprints.panic_link(&account, day);
    // Both sides are keyed fingerprints: comparing them tells nothing about one that would fit.
    let now = app.intake.ask(|desk| desk.time()).await?.value;
    if right == mark && now.0 < day.saturating_mul(time::DAY) { Ok(account) } else { Err(unknown()) }
}

/// A page without scripts, for people in a hurry.
fn page(title: &str, text: &str, button: bool) -> Response {
    let button =
        if button { "<form method=\"post\"><button>Freeze my account now</button></form>" } else { "" };
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>body{{font:1.1rem system-ui;max-width:34rem;\
         margin:12vh auto;padding:0 1rem;line-height:1.5}}button{{font:inherit;padding:.7em 1.2em;background:#b00020;\
         color:#fff;border:0;border-radius:.4em}}</style><h1>{title}</h1><p>{text}</p>{button}</html>"
    );
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[utoipa::path(
    get, path = "/panic/{account}/{day}/{mark}", tag = "protection",
    summary = "The page behind a panic link; opening it changes nothing", security(()),
    params(("account" = String, Path), ("day" = u64, Path), ("mark" = String, Path)),
    responses((status = 200, description = "A page with a button", content_type = "text/html"),
        (status = 404, description = "No such link")),
)]
pub(super) async fn show(
    State(app): State<Shared>,
    Path((account, day, mark)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    account_of(&app, &account, &day, &mark).await?;
    Ok(page(
        "Freeze this account?",
        "Nothing can be withdrawn from it, and nothing about its protection changed, until you unfreeze it with your \
         security key or our staff does. You can always do this; it costs nothing.",
        true,
    ))
}

#[utoipa::path(
    post, path = "/panic/{account}/{day}/{mark}", tag = "protection", summary = "Freeze the account of a panic link",
    security(()),
    params(("account" = String, Path), ("day" = u64, Path), ("mark" = String, Path)),
    responses((status = 200, description = "It is frozen", content_type = "text/html"),
        (status = 404, description = "No such link")),
)]
pub(super) async fn freeze(
    State(app): State<Shared>,
    Path((account, day, mark)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let account = account_of(&app, &account, &day, &mark).await?;
    let by = holdfast_decision::OWNER_FREEZE.parse().map_err(|_| Problem::new("internal"))?;
    let command = Command::FreezeAccount { account, by };
    app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value?;
    Ok(page("The account is frozen.", "Nothing leaves it. Contact us when you are ready.", false))
}
