//! The part of Binance's HTTP interface that a client needs in order to load its markets, to withdraw and to see what
//! became of it. Paths, bodies and error codes are those that Binance's clients expect.
//!
//! Withdrawals differ in one point: the fee is charged on top, so that what the customer signs is what arrives.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use holdfast_authn::dialect::Dialect;
use holdfast_authn::{RawRequest, RequestError, SignedRequest, parse, verify, verify_signature};
use holdfast_values::{AccountId, Amount};
use serde_json::{Value, json};

use crate::book::{ApiKey, Refused, Withdrawal};
use crate::clock;
use crate::exchange::{Ask, Exchange, Failure};
use crate::holdfast::{ApiRequest, Evidence};

/// How far a client's clock may be ahead, as at Binance.
const AHEAD_MS_MAX: u64 = 1_000;
/// The most rows of one answer.
const ROWS_MAX: usize = 1_000;

type Shared = State<Arc<Exchange>>;
type Peer = ConnectInfo<std::net::SocketAddr>;

/// The routes.
pub(crate) fn router() -> Router<Arc<Exchange>> {
    Router::new()
        .route("/api/v3/ping", get(async || axum::Json(json!({}))))
        .route("/api/v3/time", get(time))
        .route("/api/v3/exchangeInfo", get(exchange_info))
        // Harbor lends nothing and trades no futures; clients that load all markets at once ask anyway.
        .route("/sapi/v1/margin/allPairs", get(async || axum::Json(json!([]))))
        .route("/sapi/v1/margin/isolated/allPairs", get(async || axum::Json(json!([]))))
        .route("/fapi/v1/exchangeInfo", get(async || axum::Json(json!({ "symbols": [] }))))
        .route("/dapi/v1/exchangeInfo", get(async || axum::Json(json!({ "symbols": [] }))))
        .route("/sapi/v1/system/status", get(async || axum::Json(json!({ "status": 0, "msg": "normal" }))))
        .route("/sapi/v1/capital/config/getall", get(config_getall))
        .route("/api/v3/account", get(account))
        .route("/sapi/v1/capital/withdraw/apply", post(withdraw))
        .route("/sapi/v1/capital/withdraw/history", get(history))
        .fallback(async || BinanceError::new(404, -1020, "This operation is not supported."))
}

async fn time(State(exchange): Shared) -> Response {
    axum::Json(json!({ "serverTime": exchange.clock.now_ms() })).into_response()
}

/// Every asset against USDT, so that clients know them.
async fn exchange_info(State(exchange): Shared) -> Response {
    let assets = &exchange.config.assets;
    let symbols: Vec<Value> = assets
        .iter()
        .filter(|(symbol, _)| symbol.as_str() != "USDT")
        .map(|(symbol, asset)| {
            json!({
                "symbol": format!("{symbol}USDT"), "status": "TRADING", "baseAsset": symbol.as_str(),
                "baseAssetPrecision": asset.decimals, "quoteAsset": "USDT", "quotePrecision": 8,
                "quoteAssetPrecision": 8, "orderTypes": [], "isSpotTradingAllowed": false,
                "isMarginTradingAllowed": false, "filters": [], "permissions": ["SPOT"],
            })
        })
        .collect();
    let now = exchange.clock.now_ms();
    let empty: [Value; 0] = [];
    axum::Json(json!({
        "timezone": "UTC", "serverTime": now, "rateLimits": empty, "exchangeFilters": empty, "symbols": symbols,
    }))
    .into_response()
}

async fn config_getall(
    State(exchange): Shared,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, BinanceError> {
    let (account, _) = read_request(&exchange, &method, &uri, &headers)?;
    let book = exchange.book();
    let balances = book.customers.get(&account).map(|customer| &customer.balances);
    let rows = exchange.config.assets.iter().map(|(symbol, asset)| {
        let balance = balances.and_then(|balances| balances.get(symbol)).copied().unwrap_or_default();
        let unit = Amount::from_base_units(1).to_fixed(asset.decimals);
        let networks: Vec<Value> = asset
            .networks
            .iter()
            .enumerate()
            .map(|(index, route)| {
                json!({
                    "network": route.binance, "coin": symbol.as_str(), "name": route.network.name(),
                    "isDefault": index == 0, "depositEnable": true, "withdrawEnable": true, "busy": false,
                    "withdrawFee": route.fee.to_short(asset.decimals),
                    "withdrawMin": route.min.to_short(asset.decimals), "withdrawMax": "9999999999",
                    "withdrawIntegerMultiple": unit, "minConfirm": 1, "unLockConfirm": 0,
                    "addressRegex": "", "memoRegex": "", "sameAddress": false,
                })
            })
            .collect();
        json!({
            "coin": symbol.as_str(), "name": asset.name, "depositAllEnable": true, "withdrawAllEnable": true,
            "free": balance.free.to_short(asset.decimals), "locked": balance.locked.to_short(asset.decimals),
            "freeze": "0", "withdrawing": balance.locked.to_short(asset.decimals), "ipoing": "0", "ipoable": "0",
            "storage": "0", "isLegalMoney": false, "trading": true, "networkList": networks,
        })
    });
    Ok(axum::Json(rows.collect()))
}

async fn account(
    State(exchange): Shared,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, BinanceError> {
    let (account, _) = read_request(&exchange, &method, &uri, &headers)?;
    let book = exchange.book();
    let balances = book.customers.get(&account).map(|customer| &customer.balances);
    let rows: Vec<Value> = balances
        .into_iter()
        .flatten()
        .filter_map(|(symbol, balance)| {
            let decimals = exchange.config.assets.get(symbol)?.decimals;
            Some(json!({
                "asset": symbol.as_str(), "free": balance.free.to_short(decimals),
                "locked": balance.locked.to_short(decimals),
            }))
        })
        .collect();
    let now = exchange.clock.now_ms();
    Ok(axum::Json(json!({
        "accountType": "SPOT", "canTrade": false, "canWithdraw": true, "canDeposit": true, "updateTime": now,
        "balances": rows,
    })))
}

async fn withdraw(
    State(exchange): Shared,
    ConnectInfo(peer): Peer,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<axum::Json<Value>, BinanceError> {
    let query = uri.query().unwrap_or_default();
    let (signed, key) = with_raw(&method, &uri, &headers, &body, |raw| authenticate(&exchange, raw))?;
    // Proves that the customer asks for exactly this. Whether it is fresh, new and permitted from here is Holdfast's
    // to judge, which gets the same bytes.
    let asked = verify(&signed, &key.material).map_err(Failure::Request)?;
    // What was verified as UTF-8 once is forwarded as text without a change.
    let body = std::str::from_utf8(&body).map_err(|_| Failure::Request(RequestError::SignatureInvalid))?;
    let evidence = Evidence::Api(ApiRequest {
        dialect: Dialect::Binance.as_str(),
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: query.to_owned(),
        body: body.to_owned(),
        headers: vec![("X-MBX-APIKEY".to_owned(), asked.api_key.to_string())],
        client_ip: client_ip(&exchange, &headers, peer.ip()),
    });
    let ask = Ask {
        account: &key.account,
        asset: &asked.asset,
        network: asked.network,
        address: asked.address.as_deref().unwrap_or_default(),
        memo: asked.tag.as_deref(),
        amount: &asked.amount_text,
        client_order_id: asked.client_order_id.as_deref(),
    };
    let (id, withdrawal) = exchange.withdraw(ask, evidence).await?;
    Ok(axum::Json(row(&exchange, &id, &withdrawal)))
}

async fn history(
    State(exchange): Shared,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, BinanceError> {
    let (account, signed) = read_request(&exchange, &method, &uri, &headers)?;
    let number = |name: &'static str| {
        let invalid = BinanceError::new(400, -1102, format!("Parameter '{name}' must be a whole number."));
        signed.field(name).map(|text| text.parse::<u64>().map_err(|_| invalid)).transpose()
    };
    let (from, to) = (number("startTime")?.unwrap_or(0), number("endTime")?.unwrap_or(u64::MAX));
    let (status, offset) = (number("status")?, number("offset")?.unwrap_or(0));
    let limit = number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(ROWS_MAX);
    let book = exchange.book();
    let rows = book
        .history(&account)
        .filter(|(_, w)| signed.field("coin").is_none_or(|coin| w.order.asset.as_str() == coin))
        .filter(|(_, w)| {
            signed.field("withdrawOrderId").is_none_or(|own| w.client_order_id.as_deref() == Some(own))
        })
        .filter(|(_, w)| (from..=to).contains(&w.applied_ms))
        .filter(|(_, w)| status.is_none_or(|status| u64::from(w.stage.binance()) == status))
        .skip(usize::try_from(offset).unwrap_or(usize::MAX))
        .take(limit.min(ROWS_MAX))
        .map(|(id, withdrawal)| row(&exchange, id, withdrawal));
    Ok(axum::Json(rows.collect()))
}

/// A withdrawal as Binance's history shows it. Also the answer to asking for one: clients that read more than its id
/// learn at once where it stands.
fn row(exchange: &Exchange, id: &str, withdrawal: &Withdrawal) -> Value {
    let order = &withdrawal.order;
    let decimals = exchange.config.assets.get(&order.asset).map_or(0, |asset| asset.decimals);
    let network = holdfast_authn::dialect::binance::network_name(order.network).unwrap_or_default();
    json!({
        "id": id, "amount": order.amount.to_short(decimals), "transactionFee": order.fee.to_short(decimals),
        "coin": order.asset.as_str(), "status": withdrawal.stage.binance(), "address": order.address,
        "addressTag": order.memo.as_deref().unwrap_or_default(), "txId": "",
        "applyTime": clock::to_text(withdrawal.applied_ms), "network": network, "transferType": 0,
        "withdrawOrderId": withdrawal.client_order_id.as_deref().unwrap_or_default(),
        "info": withdrawal.info, "confirmNo": 0, "walletType": 0, "txKey": "", "type": "withdrawal",
    })
}

/// Where the request came from: the socket, or what the proxy before Harbor says.
pub(crate) fn client_ip(exchange: &Exchange, headers: &HeaderMap, peer: IpAddr) -> String {
    let header = exchange.config.client_ip_header.as_deref();
    let said = header.and_then(|name| headers.get(name)).and_then(|value| value.to_str().ok());
    // The last address is the one that the nearest proxy saw; those before it are the client's own words.
    let said =
        said.and_then(|value| value.rsplit(',').next()).and_then(|ip| ip.trim().parse::<IpAddr>().ok());
    said.unwrap_or(peer).to_canonical().to_string()
}

/// Builds the raw request from the parts of an HTTP request.
fn with_raw<T>(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    then: impl FnOnce(&RawRequest<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let headers: Vec<(&str, &str)> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    then(&RawRequest {
        method: method.as_str(),
        path: uri.path(),
        raw_query: uri.query().unwrap_or_default().as_bytes(),
        raw_body: body,
        headers: &headers,
    })
}

/// Reads a signed request and finds its key. The signature is not checked yet.
fn authenticate(exchange: &Exchange, raw: &RawRequest<'_>) -> Result<(SignedRequest, ApiKey), Failure> {
    let signed = parse(Dialect::Binance, raw).map_err(Failure::Request)?;
    let key = exchange.book().api_keys.get(signed.api_key().as_str()).cloned();
    let key = key.filter(|key| key.dialect == Dialect::Binance);
    Ok((signed, key.ok_or(Failure::NotAuthorised)?))
}

/// Authenticates a request that only reads. It may come from anywhere and more than once within its window.
fn read_request(
    exchange: &Exchange,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(AccountId, SignedRequest), Failure> {
    let (signed, key) = with_raw(method, uri, headers, &[], |raw| authenticate(exchange, raw))?;
    verify_signature(&signed, &key.material).map_err(Failure::Request)?;
    let (now, at, window) = (exchange.clock.now_ms(), signed.signed_at().0 / 1_000, signed.window() / 1_000);
    if at >= now.saturating_add(AHEAD_MS_MAX) || now.saturating_sub(at) > window {
        return Err(Failure::OutsideWindow);
    }
    Ok((key.account, signed))
}

/// An error as Binance writes it.
#[derive(Clone, Debug)]
pub(crate) struct BinanceError {
    status: u16,
    code: i32,
    msg: String,
}

impl BinanceError {
    fn new(status: u16, code: i32, msg: impl Into<String>) -> Self {
        Self { status, code, msg: msg.into() }
    }
}

impl IntoResponse for BinanceError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, axum::Json(json!({ "code": self.code, "msg": self.msg }))).into_response()
    }
}

const NOT_AUTHORISED: &str = "Invalid API-key, IP, or permissions for action.";

impl From<Failure> for BinanceError {
    fn from(failure: Failure) -> Self {
        let bad = |code, msg: &str| Self::new(400, code, msg);
        match failure {
            Failure::Request(error) => request_error(error),
            Failure::NotAuthorised => Self::new(401, -2015, NOT_AUTHORISED),
            Failure::OutsideWindow => bad(-1021, "Timestamp for this request is outside of the recvWindow."),
            Failure::WrongCode => bad(-4032, "Withdraw verification exception."),
            Failure::UnknownAsset => bad(-4018, "We don't have this asset."),
            Failure::UnknownNetwork => {
                bad(-4019, "Current asset is not open for withdrawal on this network.")
            }
            Failure::BadAmount(why) => Self::new(400, -1111, format!("Amount: {why}.")),
            Failure::BelowMinimum(min) => {
                Self::new(400, -4022, format!("Not less than the minimum pick-up quantity {min}."))
            }
            Failure::Book(Refused::InsufficientBalance) => bad(-4026, "You have insufficient balance."),
            Failure::Book(Refused::UnknownCustomer) => bad(-4039, "The user does not exist."),
            Failure::Book(Refused::OrderIdTaken) => bad(
                -1130,
                "Data sent for parameter 'withdrawOrderId' is not valid: it names another withdrawal.",
            ),
            Failure::Book(Refused::Overflow) => bad(-1111, "Amount: too large."),
            Failure::Refused(problem) => refused(&problem.code, &problem.title, problem.detail.as_deref()),
            Failure::Denied(code, info) => denied(&code, &info),
            Failure::NoSuchWithdrawal => bad(-4029, "The withdrawal record does not exist."),
            Failure::Unavailable => {
                Self::new(503, -1001, "Internal error; unable to process your request. Please try again.")
            }
        }
    }
}

/// What is wrong with the customer's own request.
fn request_error(error: RequestError) -> BinanceError {
    use RequestError as E;
    let code = match error {
        E::SignatureInvalid => {
            return BinanceError::new(400, -1022, "Signature for this request is not valid.");
        }
        E::ApiKeyMissing { .. } | E::ApiKeyRepeated { .. } | E::ApiKeyMalformed => {
            return BinanceError::new(401, -2014, "API-key format invalid.");
        }
        E::TimestampMissing | E::SignatureMissing | E::ParameterMissing { .. } => -1102,
        E::WindowInvalid { .. } => -1131,
        E::ParameterRepeated { .. } | E::TooManyParameters { .. } => -1101,
        E::ParameterUnknown { .. } => -1103,
        E::NetworkUnknown | E::NetworkMissing => -4019,
        _ => -1100,
    };
    BinanceError::new(400, code, format!("{error}."))
}

/// Holdfast refused the request as such.
fn refused(code: &str, title: &str, detail: Option<&str>) -> BinanceError {
    let number = match code {
        "signature_invalid" => -1022,
        "api_key_unknown" | "api_key_foreign" | "api_key_not_stored" => -1002,
        "memo_invalid" | "memo_not_supported" | "memo_conflict" => -4008,
        "asset_unknown" | "asset_invalid" => -4018,
        "network_not_configured" | "network_not_releasable" | "network_unknown" => -4019,
        "amount_too_precise" | "amount_malformed" | "amount_too_large" | "amount_zero" => -1111,
        "account_unknown" => -4039,
        _ if code.starts_with("address_") => -4033,
        _ => -4015,
    };
    let detail = detail.unwrap_or_default();
    // A detail may begin with what the title says.
    let said = title.trim_end_matches('.');
    let begins = detail.get(..said.len()).is_some_and(|start| start.eq_ignore_ascii_case(said));
    let more = if begins { detail.get(said.len()..).unwrap_or_default() } else { detail };
    let text = match (begins, more) {
        (_, "") => title.to_owned(),
        (true, more) => format!("{said}{more}."),
        (false, more) => format!("{title} {more}."),
    };
    BinanceError::new(400, number, format!("{text} [{code}]"))
}

/// Holdfast decided that it does not go.
///
/// A key that may not do this is -1002, not Binance's -2015: clients (ccxt among them) take a -2015 after a request that
/// worked for a passing ban, and try again.
fn denied(code: &str, info: &str) -> BinanceError {
    match code {
        "api_key_unknown" | "api_key_revoked" | "api_key_revision" | "api_key_scope"
        | "api_ip_not_allowed" => {
            BinanceError::new(401, -1002, format!("You are not authorized to execute this request. {info}"))
        }
        "api_timestamp" => {
            BinanceError::new(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        }
        "api_replayed" => {
            let msg = "This signed request was used before: sign a new one, with a new timestamp.";
            BinanceError::new(400, -4032, msg)
        }
        _ => BinanceError::new(400, -4015, format!("Withdraw is limited. {info}")),
    }
}
