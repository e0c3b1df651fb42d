//! What the demonstration's director uses, on a port and under a token of its own: customers, deposits, keys,
//! sessions, and the codes on customers' phones. A real exchange has nothing like it.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use holdfast_authn::encoding::to_base64;
use holdfast_authn::{Dialect, KeyKind, KeyMaterial};
use holdfast_values::{AccountId, Amount, AssetSymbol, Name};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::book::{ApiKey, Customer};
use crate::clock;
use crate::code;
use crate::exchange::Exchange;
use crate::holdfast::{Answer, KeyTerms, KeyText};
use crate::sign_in;
use crate::web;

type Shared = State<Arc<Exchange>>;

/// The routes, behind the admin token.
pub(crate) fn router(exchange: Arc<Exchange>) -> Router {
    Router::new()
        .route("/customers", post(create_customer))
        .route("/customers/{account}", get(customer))
        .route("/customers/{account}/deposits", post(deposit))
        .route("/customers/{account}/api-keys", post(create_api_key))
        .route("/customers/{account}/sessions", post(create_session))
        .route("/customers/{account}/code", get(current_code))
        .route("/customers/{account}/password-change", post(password_change))
        .route("/withdrawals/{id}", get(withdrawal))
        .route("/clock-rate", put(clock_rate))
        .layer(middleware::from_fn_with_state(Arc::clone(&exchange), authorise))
        .with_state(exchange)
}

async fn authorise(State(exchange): Shared, request: Request, next: Next) -> Response {
    let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    // Digests are compared, so that how long it takes says nothing about the token.
    if digest(shown).as_ref() == digest(&exchange.config.admin_token).as_ref() {
        next.run(request).await
    } else {
        AdminError::new(401, "not_authorised", "Send the admin token.").into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    account: String,
    tier: String,
    /// To sign in on the web page.
    password: Option<String>,
}

async fn create_customer(
    State(exchange): Shared,
    Json(new): Json<NewCustomer>,
) -> Result<Json<Value>, AdminError> {
    let account = account(&new.account)?;
    done(exchange.holdfast.open_account(account.as_str(), &new.tier).await)?;
    let code_secret = clock::random().map_err(AdminError::internal)?;
    let password =
        new.password.as_deref().map(sign_in::password).transpose().map_err(AdminError::internal)?;
    let mut book = exchange.book();
    book.customers.entry(account.clone()).or_insert_with(|| Customer {
        code_secret,
        password,
        ..Customer::default()
    });
    Ok(Json(json!({ "account": account.as_str() })))
}

async fn customer(State(exchange): Shared, Path(name): Path<String>) -> Result<Json<Value>, AdminError> {
    let account = known(&exchange, &name)?;
    let withdrawals: Vec<Value> =
        exchange.book().history(&account).map(|(id, w)| web::view(&exchange, id, w)).collect();
    let balances = web::balances_of(&exchange, &account);
    Ok(Json(json!({ "account": name, "balances": balances, "withdrawals": withdrawals })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDeposit {
    asset: String,
    amount: String,
}

async fn deposit(
    State(exchange): Shared,
    Path(name): Path<String>,
    Json(new): Json<NewDeposit>,
) -> Result<Json<Value>, AdminError> {
    let account = known(&exchange, &name)?;
    let asset: AssetSymbol =
        new.asset.parse().map_err(|error| AdminError::new(400, "asset_invalid", format!("{error}")))?;
    let held = exchange.config.assets.get(&asset);
    let held =
        held.ok_or_else(|| AdminError::new(400, "asset_unknown", "Harbor does not hold this asset."))?;
    let amount = Amount::parse(&new.amount, held.decimals)
        .map_err(|error| AdminError::new(400, "amount_invalid", format!("{error}")))?;
    let deposited = exchange.book().deposit(&account, &asset, amount);
    let balance =
        deposited.map_err(|refused| AdminError::new(409, "not_possible", format!("{refused:?}")))?;
    Ok(Json(json!({ "asset": asset.as_str(), "free": balance.free.to_short(held.decimals) })))
}

/// An API key: an HMAC key is made here, of the others the customer keeps the private half.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApiKey {
    /// Made up, if absent.
    key: Option<String>,
    /// Ed25519 or RSA, PEM. Without it, an HMAC secret is made.
    public_key: Option<String>,
    /// How its requests are signed; `binance`, if absent.
    dialect: Option<String>,
    /// What okx and kucoin want beside the secret, and coinbase takes.
    passphrase: Option<String>,
    #[serde(default)]
    withdraw: bool,
    /// Addresses and networks that it may be used from; must be given if it may withdraw.
    #[serde(default)]
    ips: Vec<String>,
}

async fn create_api_key(
    State(exchange): Shared,
    Path(name): Path<String>,
    Json(new): Json<NewApiKey>,
) -> Result<Json<Value>, AdminError> {
    let owner = known(&exchange, &name)?;
    let key = match new.key {
        Some(key) => key,
        None => clock::random_id().map_err(AdminError::internal)?,
    };
    let key: Name = key.parse().map_err(|error| AdminError::new(400, "key_invalid", format!("{error}")))?;
    if exchange.book().api_keys.get(key.as_str()).is_some_and(|known| known.account != owner) {
        return Err(AdminError::new(409, "key_taken", "This key belongs to another customer."));
    }
    let dialect = Dialect::from_name(new.dialect.as_deref().unwrap_or("binance"));
    let dialect =
        dialect.ok_or_else(|| AdminError::new(400, "dialect_unknown", "Nobody signs like that."))?;
    let random = clock::random::<32>().map_err(AdminError::internal)?;
    // Kraken's secrets are base64.
    let secret = if dialect == Dialect::Kraken { to_base64(&random) } else { clock::hex(&random) };
    let passphrase = new.passphrase.as_deref();
    let material = match &new.public_key {
        Some(pem) => KeyMaterial::from_public_key_pem(pem),
        None => KeyMaterial::shared(dialect, &secret, passphrase),
    };
    let material = material.map_err(|error| AdminError::new(400, error.code(), format!("{error}")))?;
    let text = match (&new.public_key, material.kind()) {
        (Some(pem), KeyKind::RsaPkcs1Sha256) => KeyText::Public { algorithm: "rsa", pem },
        (Some(pem), _) => KeyText::Public { algorithm: "ed25519", pem },
        (None, KeyKind::HmacSha512) => {
            KeyText::Hmac { algorithm: "hmac_sha512", secret: &secret, passphrase }
        }
        (None, _) => KeyText::Hmac { algorithm: "hmac_sha256", secret: &secret, passphrase },
    };
    let terms = KeyTerms { dialect: dialect.as_str(), withdraw: new.withdraw, ips: &new.ips };
    done(exchange.holdfast.put_api_key(owner.as_str(), key.as_str(), text, terms).await)?;
    exchange.book().api_keys.insert(key.to_string(), ApiKey { account: owner, dialect, material, nonce: 0 });
    let secret = new.public_key.is_none().then_some(secret);
    Ok(Json(json!({ "api_key": key.as_str(), "secret": secret })))
}

async fn create_session(
    State(exchange): Shared,
    Path(name): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let account = known(&exchange, &name)?;
    let session = clock::random_id().map_err(AdminError::internal)?;
    exchange.book().sessions.insert(session.clone(), account);
    Ok(Json(json!({ "session": session })))
}

/// What the customer's phone shows: the code of the next step that was not used.
async fn current_code(State(exchange): Shared, Path(name): Path<String>) -> Result<Json<Value>, AdminError> {
    let account = known(&exchange, &name)?;
    let book = exchange.book();
    let customer = book.customers.get(&account).ok_or_else(AdminError::unknown_customer)?;
    let now = clock::system_ms() / 1_000 / code::STEP_SECONDS;
    let step = now.max(customer.code_step.saturating_add(1));
    Ok(Json(json!({ "code": code::code_at(&customer.code_secret, step) })))
}

async fn password_change(
    State(exchange): Shared,
    Path(name): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let account = known(&exchange, &name)?;
    done(exchange.holdfast.security_change(account.as_str(), "password").await)?;
    Ok(Json(json!({ "account": name })))
}

/// Holdfast's simulated clock was started again at another rate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClockRate {
    rate: u32,
}

async fn clock_rate(State(exchange): Shared, Json(new): Json<NewClockRate>) -> Json<Value> {
    exchange.clock.set_rate(u64::from(new.rate));
    exchange.follow_clock().await;
    Json(json!({ "rate": exchange.clock.rate() }))
}

async fn withdrawal(State(exchange): Shared, Path(id): Path<String>) -> Result<Json<Value>, AdminError> {
    let withdrawal = exchange.book().withdrawal(&id).cloned();
    let withdrawal = withdrawal
        .ok_or_else(|| AdminError::new(404, "withdrawal_unknown", "There is no such withdrawal."))?;
    Ok(Json(web::view(&exchange, &id, &withdrawal)))
}

fn account(text: &str) -> Result<AccountId, AdminError> {
    text.parse().map_err(|error| AdminError::new(400, "account_invalid", format!("{error}")))
}

fn known(exchange: &Exchange, name: &str) -> Result<AccountId, AdminError> {
    let account = account(name)?;
    if exchange.book().customers.contains_key(&account) {
        Ok(account)
    } else {
        Err(AdminError::unknown_customer())
    }
}

fn done(answer: Answer<Value>) -> Result<(), AdminError> {
    match answer {
        Answer::Done(_) => Ok(()),
        Answer::Refused(problem) => {
            let detail = problem.detail.unwrap_or_default();
            Err(AdminError::new(422, problem.code, format!("{} {detail}", problem.title)))
        }
        Answer::Unknown(error) => Err(AdminError::new(503, "holdfast_unavailable", error)),
    }
}

/// An error for the director.
struct AdminError {
    status: u16,
    error: String,
    message: String,
}

impl AdminError {
    fn new(status: u16, error: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, error: error.into(), message: message.into() }
    }

    fn internal(error: clock::NoRandomness) -> Self {
        Self::new(500, "internal", error.to_string())
    }

    fn unknown_customer() -> Self {
        Self::new(404, "customer_unknown", "There is no such customer.")
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({ "error": self.error, "message": self.message }))).into_response()
    }
}
