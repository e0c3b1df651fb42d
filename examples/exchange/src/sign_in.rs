//! Signing in on the web page with a password and a one-time code: what a phisher can ask for, too. The session that comes
//! of it is a cookie of the app's host; it approves nothing by itself.

use core::num::NonZeroU32;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use holdfast_values::AccountId;
use ring::pbkdf2;
use serde::Deserialize;
use serde_json::json;

use crate::book::Password;
use crate::clock;
use crate::exchange::{Exchange, Failure};
use crate::web::{self, WebError};

/// Bound to its host, and kept from scripts and from other sites.
const COOKIE: &str = "__Host-session";
/// Few, since the example keeps nothing: a real exchange uses argon2.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);
static ALGORITHM: pbkdf2::Algorithm = pbkdf2::PBKDF2_HMAC_SHA256;

/// What is kept of a password.
pub(crate) fn password(text: &str) -> Result<Password, clock::NoRandomness> {
    let salt: [u8; 16] = clock::random()?;
    let mut hash = [0; 32];
    pbkdf2::derive(ALGORITHM, ROUNDS, &salt, text.as_bytes(), &mut hash);
    Ok(Password { salt, hash })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInForm {
    account: String,
    password: String,
    code: String,
}

/// The session's token, if a request carries the cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

pub(crate) async fn sign_in(
    State(exchange): State<Arc<Exchange>>,
    Json(form): Json<SignInForm>,
) -> Result<impl IntoResponse, WebError> {
    let account: AccountId = form.account.parse().map_err(|_| Failure::NotAuthorised)?;
    let kept = {
        let book = exchange.book();
        let kept = book.customers.get(&account).and_then(|customer| customer.password.as_ref());
        kept.map(|kept| (kept.salt, kept.hash)).ok_or(Failure::NotAuthorised)?
    };
    pbkdf2::verify(ALGORITHM, ROUNDS, &kept.0, form.password.as_bytes(), &kept.1)
        .map_err(|_| Failure::NotAuthorised)?;
    web::use_code(&exchange, &account, &form.code)?;
    let session = clock::random_id().map_err(|_| Failure::Unavailable)?;
    exchange.book().sessions.insert(session.clone(), account.clone());
    let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict");
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({ "account": account.as_str() }))))
}
