//! KuCoin: a code in every answer, "200000" for done.

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use holdfast_authn::dialect::{Dialect, kucoin};
use serde_json::{Value, json};

use super::{Asked, Form, No, Owned};

pub(super) static FORM: Form = Form {
    dialect: Dialect::Kucoin,
    withdraw: kucoin::WITHDRAW_PATH,
    balances: (MethodFilter::GET, "/api/v1/accounts"),
    headers: &[
        kucoin::API_KEY_HEADER,
        kucoin::SIGNATURE_HEADER,
        kucoin::TIMESTAMP_HEADER,
        kucoin::PASSPHRASE_HEADER,
        kucoin::VERSION_HEADER,
    ],
    withdrawn,
    owned,
    refused,
};

fn withdrawn(asked: &Asked<'_>) -> (StatusCode, Value) {
    let data = json!({ "withdrawalId": asked.id, "harbor": asked.harbor() });
    (StatusCode::OK, json!({ "code": "200000", "data": data }))
}

fn owned(rows: &[Owned], _now_ms: u64) -> Value {
    let rows = rows.iter().map(|row| {
        json!({
            "id": row.asset, "currency": row.asset, "type": "trade", "balance": row.total, "available": row.free,
            "holds": row.locked,
        })
    });
    json!({ "code": "200000", "data": rows.collect::<Vec<Value>>() })
}

fn refused(no: No, text: &str) -> (StatusCode, Value) {
    let code = match no {
        No::Funds => "230003",
        No::Network => "900014",
        No::Asset | No::Amount | No::Address | No::OrderId => "400100",
        No::Denied => "130201",
    };
    (StatusCode::OK, json!({ "code": code, "msg": text }))
}
