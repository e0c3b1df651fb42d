//! Bybit, version 5: `retCode` in every answer, 0 for done.

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use holdfast_authn::dialect::{Dialect, bybit};
use serde_json::{Value, json};

use super::{Asked, Form, No, Owned};

pub(super) static FORM: Form = Form {
    dialect: Dialect::Bybit,
    withdraw: bybit::WITHDRAW_PATH,
    balances: (MethodFilter::GET, "/v5/account/wallet-balance"),
    headers: &[bybit::API_KEY_HEADER, bybit::SIGNATURE_HEADER, bybit::TIMESTAMP_HEADER, bybit::WINDOW_HEADER],
    withdrawn,
    owned,
    refused,
};

fn done(result: &Value, now_ms: u64) -> Value {
    json!({ "retCode": 0, "retMsg": "success", "result": result, "retExtInfo": {}, "time": now_ms })
}

fn withdrawn(asked: &Asked<'_>) -> (StatusCode, Value) {
    (StatusCode::OK, done(&json!({ "id": asked.id, "harbor": asked.harbor() }), asked.now_ms))
}

fn owned(rows: &[Owned], now_ms: u64) -> Value {
    let rows = rows.iter().map(|row| {
        json!({ "coin": row.asset, "walletBalance": row.total, "free": row.free, "locked": row.locked })
    });
    let coins: Vec<Value> = rows.collect();
    done(&json!({ "list": [{ "accountType": "SPOT", "coin": coins }] }), now_ms)
}

fn refused(no: No, text: &str) -> (StatusCode, Value) {
    let code = match no {
        No::Funds => 131_212,
        No::Asset | No::Network | No::Address => 131_002,
        No::Amount => 131_215,
        No::OrderId => 131_214,
        No::Denied => 10_024,
    };
    (StatusCode::OK, json!({ "retCode": code, "retMsg": text, "result": {}, "retExtInfo": {} }))
}
