//! What the web page of a signed-in customer calls. Sessions are bearer tokens, or a cookie of the page in `pages`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use holdfast_values::{AccountId, Network};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::book::Withdrawal;
use crate::clock;
use crate::code;
use crate::exchange::{Ask, Exchange, Failure};
use crate::holdfast::{Answer, Evidence};
use crate::sign_in;

type Shared = State<Arc<Exchange>>;

/// The routes.
pub(crate) fn router() -> Router<Arc<Exchange>> {
    Router::new()
        .route("/balances", get(balances))
        .route("/withdraw", post(withdraw))
        .route("/withdrawals", get(withdrawals))
        .route("/withdrawals/{id}", get(withdrawal))
        .route("/withdrawals/{id}/cancel", post(cancel))
        .route("/withdrawals/{id}/code", post(confirm))
        .route("/addresses", post(add_address))
        .route("/sign-in", post(sign_in::sign_in))
}

/// What the page sends to withdraw.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithdrawForm {
    asset: String,
    network: Option<String>,
    address: String,
    memo: Option<String>,
    amount: String,
    /// The code of the moment, if the customer typed one.
    code: Option<String>,
    /// Makes sending the form twice harmless.
    order_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeForm {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressForm {
    network: String,
    address: String,
    memo: Option<String>,
}

/// Whose session a request is of.
pub(crate) fn session(exchange: &Exchange, headers: &HeaderMap) -> Result<AccountId, Failure> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let token = token.or_else(|| sign_in::cookie(headers)).ok_or(Failure::NotAuthorised)?;
    exchange.book().sessions.get(token).cloned().ok_or(Failure::NotAuthorised)
}

/// Uses up a one-time code.
pub(crate) fn use_code(exchange: &Exchange, account: &AccountId, text: &str) -> Result<(), Failure> {
    let seconds = clock::system_ms() / 1_000;
    let mut book = exchange.book();
    let customer = book.customers.get_mut(account).ok_or(Failure::NotAuthorised)?;
    let step = code::matching_step(&customer.code_secret, text, seconds, customer.code_step);
    customer.code_step = step.ok_or(Failure::WrongCode)?;
    Ok(())
}

async fn balances(State(exchange): Shared, headers: HeaderMap) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    Ok(Json(balances_of(&exchange, &account)))
}

/// `{"BTC": {"free": "1", "locked": "0"}}`.
pub(crate) fn balances_of(exchange: &Exchange, account: &AccountId) -> Value {
    let book = exchange.book();
    let balances = book.customers.get(account).map(|customer| &customer.balances);
    let rows = balances.into_iter().flatten().filter_map(|(symbol, balance)| {
        let decimals = exchange.config.assets.get(symbol)?.decimals;
        let row =
            json!({ "free": balance.free.to_short(decimals), "locked": balance.locked.to_short(decimals) });
        Some((symbol.to_string(), row))
    });
    Value::Object(rows.collect())
}

async fn withdraw(
    State(exchange): Shared,
    headers: HeaderMap,
    Json(form): Json<WithdrawForm>,
) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    let asset = form.asset.parse().map_err(|_| Failure::UnknownAsset)?;
    let network: Option<Network> =
        form.network.map(|name| name.parse()).transpose().map_err(|_| Failure::UnknownNetwork)?;
    if let Some(code) = &form.code {
        use_code(&exchange, &account, code)?;
    }
    let ask = Ask {
        account: &account,
        asset: &asset,
        network,
        address: &form.address,
        memo: form.memo.as_deref(),
        amount: &form.amount,
        client_order_id: form.order_id.as_deref(),
    };
    let evidence = Evidence::Session { one_time_code: form.code.is_some() };
    let (id, withdrawal) = exchange.withdraw(ask, evidence).await?;
    Ok(Json(view(&exchange, &id, &withdrawal)))
}

async fn withdrawals(State(exchange): Shared, headers: HeaderMap) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    let book = exchange.book();
    Ok(Json(book.history(&account).take(1_000).map(|(id, w)| view(&exchange, id, w)).collect()))
}

async fn withdrawal(
    State(exchange): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    Ok(Json(view(&exchange, &id, &exchange.withdrawal(&account, &id)?)))
}

async fn cancel(
    State(exchange): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    Ok(Json(view(&exchange, &id, &exchange.cancel(&account, &id).await?)))
}

async fn confirm(
    State(exchange): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(form): Json<CodeForm>,
) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    exchange.withdrawal(&account, &id)?;
    use_code(&exchange, &account, &form.code)?;
    Ok(Json(view(&exchange, &id, &exchange.confirm(&account, &id).await?)))
}

/// Puts an address into the customer's book, and tells Holdfast once the customer has been told.
async fn add_address(
    State(exchange): Shared,
    headers: HeaderMap,
    Json(form): Json<AddressForm>,
) -> Result<Json<Value>, WebError> {
    let account = session(&exchange, &headers)?;
    let mut destination = json!({ "network": form.network, "address": form.address });
    if let (Value::Object(fields), Some(memo)) = (&mut destination, form.memo) {
        fields.insert("memo".to_owned(), json!(memo));
    }
    answered(exchange.holdfast.add_address(account.as_str(), &destination).await)?;
    // Here a real exchange sends mail and waits for the mail server's receipt; without one, no veto window begins.
    tracing::info!(account = account.as_str(), "a new address: its owner is told");
    answered(exchange.holdfast.notice_delivered(account.as_str(), &destination).await)?;
    Ok(Json(destination))
}

fn answered(answer: Answer<Value>) -> Result<(), Failure> {
    match answer {
        Answer::Done(_) => Ok(()),
        Answer::Refused(problem) => Err(Failure::Refused(problem)),
        Answer::Unknown(error) => {
            tracing::warn!(error, "holdfast gave no answer");
            Err(Failure::Unavailable)
        }
    }
}

/// A withdrawal as the page shows it.
pub(crate) fn view(exchange: &Exchange, id: &str, withdrawal: &Withdrawal) -> Value {
    let order = &withdrawal.order;
    let decimals = exchange.config.assets.get(&order.asset).map_or(0, |asset| asset.decimals);
    json!({
        "id": id, "account": order.account.as_str(), "asset": order.asset.as_str(), "network": order.network.name(),
        "address": order.address, "memo": order.memo, "amount": order.amount.to_short(decimals),
        "fee": order.fee.to_short(decimals), "stage": withdrawal.stage.name(), "info": withdrawal.info,
        "applied": clock::to_text(withdrawal.applied_ms), "holdfast_id": withdrawal.holdfast_id,
    })
}

/// A failure as the page shows it.
pub(crate) struct WebError(pub(crate) Failure);

impl From<Failure> for WebError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let (status, error, message) = match self.0 {
            Failure::NotAuthorised => (401, "not_signed_in", "Sign in first.".to_owned()),
            Failure::WrongCode => {
                (403, "code_wrong", "This code is wrong or was used: wait for the next.".to_owned())
            }
            Failure::UnknownAsset => (400, "asset_unknown", "Harbor does not hold this asset.".to_owned()),
            Failure::UnknownNetwork => (400, "network_unknown", "Not on this network.".to_owned()),
            Failure::BadAmount(why) => (400, "amount_invalid", why),
            Failure::BelowMinimum(min) => (400, "amount_too_small", format!("Withdraw at least {min}.")),
            Failure::Book(refused) => (409, "not_possible", format!("{refused:?}")),
            Failure::Refused(problem) => (422, "refused", format!("{} [{}]", problem.title, problem.code)),
            Failure::Denied(code, info) => (403, "denied", format!("{info} [{code}]")),
            Failure::NoSuchWithdrawal => {
                (404, "withdrawal_unknown", "There is no such withdrawal.".to_owned())
            }
            Failure::Request(error) => (400, "request_invalid", error.to_string()),
            Failure::OutsideWindow | Failure::Unavailable => {
                (503, "unavailable", "Please try again.".to_owned())
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({ "error": error, "message": message }))).into_response()
    }
}
