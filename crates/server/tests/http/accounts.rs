//! Accounts over HTTP: what tightens works alone, what loosens does not.

use serde_json::json;

use super::server::{ADDRESS, Exchange, withdrawal};

#[test]
fn accounts_tighten_alone() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let twice = server.post("/v1/accounts", &json!({ "account": "ac_1", "tier": "full" }));
    assert_eq!((twice.status, twice.code()), (409, "account_exists"));
    assert_eq!(
        server.post("/v1/accounts", &json!({ "account": "ac_2", "tier": "gold" })).code(),
        "tier_unknown"
    );
    assert_eq!(server.get("/v1/accounts/ac_9").code(), "account_not_found");

    let limits = |day: &str| {
        server.post("/v1/accounts/ac_1/limits", &json!({ "usd_24h_max": day, "usd_30d_max": "100.00" }))
    };
    assert_eq!(limits("50.00").status, 200);
    let looser = limits("51.00");
    assert_eq!((looser.status, looser.code()), (403, "not_tighter"));
    assert_eq!(limits("5e3").code(), "amount_malformed");

    let change = server.post("/v1/accounts/ac_1/security-changes", &json!({ "kind": "second_factor" }));
    assert_eq!(change.status, 200);
    assert!(server.get("/v1/accounts/ac_1").body["security_changed_at"].is_string());

    assert_eq!(server.post("/v1/accounts/ac_1/freeze", &json!({})).status, 200);
    assert_eq!(server.get("/v1/accounts/ac_1").body["frozen"], true);
    let denied = server.withdraw("k", &withdrawal("0.001"));
    assert_eq!((denied.status, denied.body["status"].as_str()), (201, Some("denied")), "{}", denied.body);
    assert_eq!(denied.body["reasons"][0]["code"], "account_frozen");
    // A denied withdrawal left State; its answer stays.
    let id = denied.body["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).body["status"], "denied");
}

#[test]
fn address_book_remembers_and_forgets() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let destination = json!({ "network": "bitcoin", "address": ADDRESS });
    let told = "/v1/accounts/ac_1/addresses/notice-delivered";
    assert_eq!(server.post(told, &destination).code(), "address_unknown");
    assert_eq!(server.post("/v1/accounts/ac_1/addresses", &destination).status, 200);
    assert_eq!(server.post(told, &destination).status, 200);
    let account = server.get("/v1/accounts/ac_1").body;
    assert_eq!(account["addresses"].as_array().unwrap().len(), 1);
    assert!(account["addresses"][0]["notice_delivered_at"].is_string());
    assert!(!account.to_string().contains(ADDRESS), "a fingerprint, not the address");

    let path = format!("/v1/accounts/ac_1/addresses?network=bitcoin&address={ADDRESS}");
    assert_eq!(server.call("DELETE", &path, &[], b"").status, 200);
    assert_eq!(server.get("/v1/accounts/ac_1").body["addresses"], json!([]));
    assert_eq!(server.call("DELETE", &path, &[], b"").code(), "address_unknown");
}
