//! OKX: a code in every answer, "0" for done, and a list of one.

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use holdfast_authn::dialect::{Dialect, okx};
use serde_json::{Value, json};

use super::{Asked, Form, No, Owned};

pub(super) static FORM: Form = Form {
    dialect: Dialect::Okx,
    withdraw: okx::WITHDRAW_PATH,
    balances: (MethodFilter::GET, "/api/v5/account/balance"),
    headers: &[okx::API_KEY_HEADER, okx::SIGNATURE_HEADER, okx::TIMESTAMP_HEADER, okx::PASSPHRASE_HEADER],
    withdrawn,
    owned,
    refused,
};

fn withdrawn(asked: &Asked<'_>) -> (StatusCode, Value) {
    let asset = asked.signed.asset.as_str();
    let row = json!({
        "ccy": asset, "chain": format!("{asset}-{}", asked.signed.network_text.unwrap_or_default()),
        "amt": asked.amount(), "wdId": asked.id,
        "clientId": asked.signed.client_order_id.as_deref().unwrap_or_default(), "harbor": asked.harbor(),
    });
    (StatusCode::OK, json!({ "code": "0", "msg": "", "data": [row] }))
}

fn owned(rows: &[Owned], now_ms: u64) -> Value {
    let rows = rows.iter().map(|row| {
        json!({ "ccy": row.asset, "eq": row.total, "cashBal": row.total, "availBal": row.free, "frozenBal": row.locked })
    });
    let details: Vec<Value> = rows.collect();
    json!({ "code": "0", "msg": "", "data": [{ "uTime": now_ms.to_string(), "details": details }] })
}

fn refused(no: No, text: &str) -> (StatusCode, Value) {
    let code = match no {
        No::Funds => "58350",
        No::Asset | No::Network => "58200",
        No::Amount | No::OrderId => "51000",
        No::Address => "58207",
        No::Denied => "58205",
    };
    (StatusCode::OK, json!({ "code": code, "msg": text, "data": [] }))
}
