//! Kraken: forms, base64 secrets, errors in a list, 200 for everything.

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use holdfast_authn::dialect::{Dialect, kraken};
use serde_json::{Value, json};

use super::{Asked, Form, No, Owned};

pub(super) static FORM: Form = Form {
    dialect: Dialect::Kraken,
    withdraw: kraken::WITHDRAW_PATH,
    balances: (MethodFilter::POST, "/0/private/BalanceEx"),
    headers: &[kraken::API_KEY_HEADER, kraken::SIGNATURE_HEADER],
    withdrawn,
    owned,
    refused,
};

fn withdrawn(asked: &Asked<'_>) -> (StatusCode, Value) {
    let result = json!({ "refid": asked.id, "harbor": asked.harbor() });
    (StatusCode::OK, json!({ "error": [], "result": result }))
}

fn owned(rows: &[Owned], _now_ms: u64) -> Value {
    let rows = rows.iter().map(|row| {
        // Kraken's own names of the oldest assets.
        let name = match row.asset.as_str() {
            "BTC" => "XXBT",
            "ETH" => "XETH",
            other => other,
        };
        (name.to_owned(), json!({ "balance": row.total, "hold_trade": row.locked }))
    });
    json!({ "error": [], "result": Value::Object(rows.collect()) })
}

fn refused(no: No, text: &str) -> (StatusCode, Value) {
    let error = match no {
        No::Funds => "EFunding:Invalid amount",
        No::Asset => "EFunding:Unknown asset",
        No::Network => "EFunding:No funding method",
        No::Amount | No::OrderId => "EGeneral:Invalid arguments",
        No::Address => "EFunding:Unknown withdraw key",
        No::Denied => "EGeneral:Permission denied",
    };
    (StatusCode::OK, json!({ "error": [error], "detail": text }))
}
