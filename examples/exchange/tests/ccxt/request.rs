//! Signed requests made by hand: what an attacker or a lying backend sends, and what is in the ones that are honest.

use ring::hmac;
use serde_json::{Value, json};

use crate::stand::{Answer, Customer, FROM, Stand};

pub(crate) const PATH: &str = "/sapi/v1/capital/withdraw/apply";

/// What is to be signed: an honest withdrawal by now's clock.
pub(crate) fn payload(stand: &Stand, amount: &str, address: &str) -> String {
    payload_at(i64::try_from(stand.time().0 / 1_000).unwrap(), amount, address)
}

pub(crate) fn payload_at(ms: i64, amount: &str, address: &str) -> String {
    format!("coin=BTC&address={address}&amount={amount}&network=BTC&recvWindow=60000&timestamp={ms}")
}

/// The body with its HMAC signature.
pub(crate) fn sign(secret: &str, payload: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), payload.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{payload}&signature={hex}")
}

/// Sends a body to Harbor, as if from this address.
pub(crate) fn send_from(stand: &Stand, ip: &str, api_key: &str, body: &str) -> Answer {
    let headers =
        [("x-mbx-apikey", api_key), ("content-type", "application/x-www-form-urlencoded"), (FROM, ip)];
    stand.http.send("POST", &format!("{}{PATH}", stand.harbor), &headers, body).unwrap()
}

/// Sends a body to Harbor.
pub(crate) fn send(stand: &Stand, customer: &Customer, body: &str) -> Answer {
    send_from(stand, "127.0.0.1", &customer.api_key, body)
}

/// A withdrawal as a backend asks Holdfast for it, with a customer's signed body as evidence.
pub(crate) fn evidence(account: &str, amount: &str, address: &str, api_key: &str, body: &str) -> Value {
    json!({
        "account": account, "asset": "BTC", "network": "bitcoin", "address": address, "amount": amount,
        "channel": { "api_request": {
            "dialect": "binance", "method": "POST", "path": PATH, "body": body,
            "headers": [["X-MBX-APIKEY", api_key]], "client_ip": "127.0.0.1",
        } },
    })
}

/// Asks Holdfast itself, past Harbor, with Harbor's own token.
pub(crate) fn ask(stand: &Stand, idempotency_key: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {}", stand.service);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", idempotency_key),
    ];
    stand
        .http
        .send("POST", &format!("{}/v1/withdrawals", stand.holdfast), &headers, &body.to_string())
        .unwrap()
}
