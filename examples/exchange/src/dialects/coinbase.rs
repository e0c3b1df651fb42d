//! Coinbase, for legacy keys: withdrawals are transactions of an account, under `/v2/`; balances as the newer interface
//! gives them, under `/api/v3/`.

use axum::http::StatusCode;
use axum::routing::MethodFilter;
use holdfast_authn::dialect::{Dialect, coinbase};
use serde_json::{Value, json};

use super::{Asked, Form, No, Owned};
use crate::clock;

pub(super) static FORM: Form = Form {
    dialect: Dialect::Coinbase,
    // The account in the path is one of Coinbase's wallets. Harbor has one of each asset, and goes by the currency.
    withdraw: "/v2/accounts/{account_id}/transactions",
    balances: (MethodFilter::GET, "/api/v3/brokerage/accounts"),
    headers: &[
        coinbase::API_KEY_HEADER,
        coinbase::SIGNATURE_HEADER,
        coinbase::TIMESTAMP_HEADER,
        coinbase::PASSPHRASE_HEADER,
    ],
    withdrawn,
    owned,
    refused,
};

fn withdrawn(asked: &Asked<'_>) -> (StatusCode, Value) {
    let order = &asked.withdrawal.order;
    let money = |amount: String| json!({ "amount": amount, "currency": order.asset.as_str() });
    let at = clock::to_text(asked.withdrawal.applied_ms);
    let data = json!({
        "id": asked.id, "type": "send", "status": "pending", "amount": money(format!("-{}", asked.amount())),
        "created_at": at, "updated_at": at, "resource": "transaction",
        "network": {
            "status": "pending", "network_name": asked.signed.network_text,
            "transaction_amount": money(format!("-{}", asked.amount())), "transaction_fee": money(asked.fee()),
        },
        "to": { "resource": "address", "address": order.address },
        "idem": asked.signed.client_order_id.as_deref(), "harbor": asked.harbor(),
    });
    (StatusCode::CREATED, json!({ "data": data }))
}

fn owned(rows: &[Owned], _now_ms: u64) -> Value {
    let rows = rows.iter().map(|row| {
        let money = |value: &str| json!({ "value": value, "currency": row.asset });
        json!({
            "uuid": row.asset, "name": row.asset, "currency": row.asset, "type": "ACCOUNT_TYPE_CRYPTO", "active": true,
            "available_balance": money(&row.free), "hold": money(&row.locked),
        })
    });
    json!({ "accounts": rows.collect::<Vec<Value>>(), "has_next": false })
}

fn refused(no: No, text: &str) -> (StatusCode, Value) {
    let (status, id) = match no {
        No::Funds => (StatusCode::BAD_REQUEST, "INSUFFICIENT_FUND"),
        No::Denied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        No::Asset | No::Network | No::Amount | No::Address | No::OrderId => {
            (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT")
        }
    };
    (status, json!({ "errors": [{ "id": id, "message": text }], "message": text }))
}
