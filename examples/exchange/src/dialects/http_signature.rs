//! HTTP Message Signatures (RFC 9421): Harbor's own interface, for programs that are written anew. Errors are problem
//! details.

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use holdfast_authn::dialect::{Dialect, http_signature};
use serde_json::{Value, json};

use super::{Asked, Form, No, Owned};

pub(super) static FORM: Form = Form {
    dialect: Dialect::HttpSignature,
    withdraw: http_signature::WITHDRAW_PATH,
    balances: (MethodFilter::GET, "/v1/balances"),
    // Beside the signature's own, those that Harbor's clients may cover.
    headers: &["Signature-Input", "Signature", "Content-Digest", "Host", "Content-Length", "Date"],
    withdrawn,
    owned,
    refused,
};

fn withdrawn(asked: &Asked<'_>) -> (StatusCode, Value) {
    let order = &asked.withdrawal.order;
    let body = json!({
        "id": asked.id, "asset": order.asset.as_str(), "network": order.network.name(), "address": order.address,
        "memo": order.memo, "amount": asked.amount(), "fee": asked.fee(),
        "client_order_id": asked.signed.client_order_id.as_deref(), "harbor": asked.harbor(),
    });
    (StatusCode::CREATED, body)
}

fn owned(rows: &[Owned], _now_ms: u64) -> Value {
    let rows = rows.iter().map(|row| (row.asset.clone(), json!({ "free": row.free, "locked": row.locked })));
    Value::Object(rows.collect())
}

fn refused(no: No, text: &str) -> (StatusCode, Value) {
    let (status, code) = match no {
        No::Funds => (StatusCode::CONFLICT, "insufficient_balance"),
        No::OrderId => (StatusCode::CONFLICT, "client_order_id_taken"),
        No::Asset => (StatusCode::UNPROCESSABLE_ENTITY, "asset_unknown"),
        No::Network => (StatusCode::UNPROCESSABLE_ENTITY, "network_unknown"),
        No::Amount => (StatusCode::UNPROCESSABLE_ENTITY, "amount_invalid"),
        No::Address => (StatusCode::UNPROCESSABLE_ENTITY, "address_invalid"),
        No::Denied => (StatusCode::FORBIDDEN, "denied"),
    };
    let body = json!({ "type": "about:blank", "title": text, "status": status.as_u16(), "code": code, "detail": text });
    (status, body)
}
