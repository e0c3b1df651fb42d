//! The dialects that Harbor speaks beside Binance's: one small module each says where withdrawals and balances are asked
//! for and how answers look. What they share is here: who asks, what Holdfast gets to see, and what a "no" means.
//!
//! A withdrawal's raw request goes to Holdfast as it came. Whether it is fresh, new and permitted from where it came is
//! Holdfast's to judge; Harbor verifies the signature to know its customer, and lets Kraken's nonces only rise.

mod bybit;
mod coinbase;
mod http_signature;
mod kraken;
mod kucoin;
mod no;
mod okx;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use holdfast_authn::dialect::{Dialect, GateRefusal};
use holdfast_authn::{RawRequest, SignedRequest, Verified, parse, verify, verify_signature};
use holdfast_values::Amount;
use serde_json::Value;

use crate::binance::client_ip;
use crate::book::{ApiKey, Withdrawal};
use crate::exchange::{Ask, Exchange, Failure};
use crate::holdfast::{ApiRequest, Evidence};
use no::{No, Told};

/// How far a client's clock may be ahead where Harbor judges it itself: for what only reads.
const AHEAD_MS_MAX: u64 = 1_000;

/// A dialect: where it asks, what it sends, how it is answered.
struct Form {
    dialect: Dialect,
    /// Where withdrawals are asked for, by POST.
    withdraw: &'static str,
    /// Where balances are asked for.
    balances: (MethodFilter, &'static str),
    /// The headers that its signatures need. They alone go to Holdfast, beside Content-Type.
    headers: &'static [&'static str],
    withdrawn: fn(&Asked<'_>) -> (StatusCode, Value),
    owned: fn(&[Owned], u64) -> Value,
    refused: fn(No, &str) -> (StatusCode, Value),
}

static FORMS: [&Form; 6] =
    [&bybit::FORM, &coinbase::FORM, &http_signature::FORM, &kraken::FORM, &kucoin::FORM, &okx::FORM];

/// A withdrawal that was taken.
struct Asked<'a> {
    id: &'a str,
    /// What the customer signed.
    signed: &'a Verified,
    withdrawal: &'a Withdrawal,
    decimals: u8,
    now_ms: u64,
}

impl Asked<'_> {
    fn amount(&self) -> String {
        self.withdrawal.order.amount.to_short(self.decimals)
    }

    fn fee(&self) -> String {
        self.withdrawal.order.fee.to_short(self.decimals)
    }

    /// Harbor's own word, beside what the exchange's clients know: where the withdrawal stands, and why.
    fn harbor(&self) -> Value {
        serde_json::json!({ "stage": self.withdrawal.stage.name(), "info": self.withdrawal.info })
    }
}

/// What a customer owns of one asset, in decimals.
struct Owned {
    asset: String,
    free: String,
    locked: String,
    total: String,
}

/// A request as it came.
struct Raw {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    peer: SocketAddr,
}

/// The routes of every dialect.
pub(crate) fn router() -> Router<Arc<Exchange>> {
    FORMS.into_iter().fold(Router::new(), |router, form| {
        let (method, path) = form.balances;
        let withdrawals = on(
            MethodFilter::POST,
            move |State(exchange): State<Arc<Exchange>>,
                  ConnectInfo(peer): ConnectInfo<SocketAddr>,
                  method: Method,
                  uri: Uri,
                  headers: HeaderMap,
                  body: Bytes| async move {
                let raw = Raw { method, uri, headers, body, peer };
                answer(form, withdraw(form, &exchange, &raw).await)
            },
        );
        let balances = on(
            method,
            move |State(exchange): State<Arc<Exchange>>,
                  ConnectInfo(peer): ConnectInfo<SocketAddr>,
                  method: Method,
                  uri: Uri,
                  headers: HeaderMap,
                  body: Bytes| async move {
                let raw = Raw { method, uri, headers, body, peer };
                answer(form, balances(form, &exchange, &raw))
            },
        );
        router.route(form.withdraw, withdrawals).route(path, balances)
    })
}

async fn withdraw(form: &Form, exchange: &Arc<Exchange>, raw: &Raw) -> Result<(StatusCode, Value), Told> {
    let (signed, key) = raw.signed(form, exchange)?;
    let verified = verify(&signed, &key.material).map_err(Failure::Request)?;
    raise_nonce(exchange, &signed)?;
    let Some(address) = verified.address.as_deref() else {
        return Err(Told::No(
            No::Address,
            "Harbor keeps no names of addresses: send the address too.".into(),
        ));
    };
    // What was verified as UTF-8 once is forwarded as text without a change.
    let body = std::str::from_utf8(&raw.body).unwrap_or_default();
    let evidence = Evidence::Api(ApiRequest {
        dialect: form.dialect.as_str(),
        method: raw.method.to_string(),
        path: raw.uri.path().to_owned(),
        query: raw.uri.query().unwrap_or_default().to_owned(),
        body: body.to_owned(),
        headers: raw.headers_of(form),
        client_ip: client_ip(exchange, &raw.headers, raw.peer.ip()),
    });
    let ask = Ask {
        account: &key.account,
        asset: &verified.asset,
        network: verified.network,
        address,
        memo: verified.tag.as_deref(),
        amount: &verified.amount_text,
        client_order_id: verified.client_order_id.as_deref(),
    };
    let (id, withdrawal) = exchange.withdraw(ask, evidence).await?;
    let decimals = exchange.config.assets.get(&withdrawal.order.asset).map_or(0, |asset| asset.decimals);
    let now_ms = exchange.clock.now_ms();
    let asked = Asked { id: &id, signed: &verified, withdrawal: &withdrawal, decimals, now_ms };
    Ok((form.withdrawn)(&asked))
}

/// May be asked from anywhere, and more than once within its window: it moves nothing.
fn balances(form: &Form, exchange: &Exchange, raw: &Raw) -> Result<(StatusCode, Value), Told> {
    let (signed, key) = raw.signed(form, exchange)?;
    verify_signature(&signed, &key.material).map_err(Failure::Request)?;
    let (now, at, window) = (exchange.clock.now_ms(), signed.signed_at().0 / 1_000, signed.window() / 1_000);
    if at >= now.saturating_add(AHEAD_MS_MAX) || now.saturating_sub(at) > window {
        return Err(Failure::OutsideWindow.into());
    }
    raise_nonce(exchange, &signed)?;
    let book = exchange.book();
    let balances = book.customers.get(&key.account).map(|customer| &customer.balances);
    let rows: Vec<Owned> = balances
        .into_iter()
        .flatten()
        .filter_map(|(symbol, balance)| {
            let decimals = exchange.config.assets.get(symbol)?.decimals;
            let text = |amount: Amount| amount.to_short(decimals);
            Some(Owned {
                asset: symbol.to_string(),
                free: text(balance.free),
                locked: text(balance.locked),
                total: text(balance.free.checked_add(balance.locked)?),
            })
        })
        .collect();
    Ok((StatusCode::OK, (form.owned)(&rows, now)))
}

/// A genuine request's nonce, where its dialect has one, must be higher than the last one of its key.
fn raise_nonce(exchange: &Exchange, signed: &SignedRequest) -> Result<(), Told> {
    let Some(nonce) = signed.nonce() else { return Ok(()) };
    let mut book = exchange.book();
    let key = book.api_keys.get_mut(signed.api_key().as_str()).ok_or(Failure::NotAuthorised)?;
    if nonce <= key.nonce {
        return Err(Told::Gate(GateRefusal::NonceOld, String::new()));
    }
    key.nonce = nonce;
    Ok(())
}

impl Raw {
    /// Reads the signed request and finds its key. The signature is not checked yet.
    fn signed(&self, form: &Form, exchange: &Exchange) -> Result<(SignedRequest, ApiKey), Failure> {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let raw = RawRequest {
            method: self.method.as_str(),
            path: self.uri.path(),
            raw_query: self.uri.query().unwrap_or_default().as_bytes(),
            raw_body: &self.body,
            headers: &headers,
        };
        let signed = parse(form.dialect, &raw).map_err(Failure::Request)?;
        let key = exchange.book().api_keys.get(signed.api_key().as_str()).cloned();
        let key = key.filter(|key| key.dialect == form.dialect).ok_or(Failure::NotAuthorised)?;
        Ok((signed, key))
    }

    /// The headers that Holdfast needs to verify the request as well.
    fn headers_of(&self, form: &Form) -> Vec<(String, String)> {
        let mut kept = Vec::new();
        for name in form.headers.iter().chain(&["Content-Type"]) {
            for value in self.headers.get_all(*name) {
                if let Ok(value) = value.to_str() {
                    kept.push(((*name).to_owned(), value.to_owned()));
                }
            }
        }
        kept
    }
}

fn answer(form: &Form, result: Result<(StatusCode, Value), Told>) -> Response {
    match result {
        Ok((status, value)) => (status, axum::Json(value)).into_response(),
        Err(Told::No(no, text)) => {
            let (status, value) = (form.refused)(no, &text);
            (status, axum::Json(value)).into_response()
        }
        Err(Told::Gate(refusal, detail)) => {
            let (status, kind, body) = form.dialect.error_body(refusal, &detail);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, [(header::CONTENT_TYPE, kind)], body).into_response()
        }
    }
}
