//! Every dialect but Binance's: what ccxt withdraws and reads, and what becomes of requests that somebody meddles with.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stand::{Ccxt, Customer, FROM, Kind, OWN, PASSPHRASE, Stand, has_ccxt};

/// Name, and how ccxt (or, at the end, our own client) calls each refusal.
pub(crate) struct Case {
    pub(crate) dialect: &'static str,
    /// A signature that does not fit.
    pub(crate) signature: &'static str,
    /// A body that is not the one that was signed.
    pub(crate) body: &'static str,
    /// A query where there was none.
    pub(crate) query: &'static str,
    /// Seen before.
    pub(crate) replay: &'static str,
    /// Signed two minutes ago.
    pub(crate) late: &'static str,
    /// From elsewhere.
    pub(crate) ip: &'static str,
    /// A key that may only read.
    pub(crate) scope: &'static str,
    /// Of a balance that is too small, and of a withdrawal that Holdfast denies.
    pub(crate) no: [&'static str; 2],
    /// Of an address that somebody mistyped, and of an amount under the minimum.
    pub(crate) wrong: [&'static str; 2],
}

pub(crate) const CASES: [Case; 6] = [
    Case {
        dialect: "kraken",
        signature: "ExchangeError EAPI:Invalid signature",
        body: "ExchangeError EAPI:Invalid signature",
        query: "BadRequest EGeneral:Invalid arguments",
        replay: "InvalidNonce EAPI:Invalid nonce",
        late: "InvalidNonce EAPI:Invalid nonce",
        ip: "PermissionDenied EGeneral:Permission denied",
        scope: "PermissionDenied EGeneral:Permission denied",
        no: ["InsufficientFunds EFunding:Invalid amount", "PermissionDenied EGeneral:Permission denied"],
        wrong: ["InvalidAddress EFunding:Unknown withdraw key", "BadRequest EGeneral:Invalid arguments"],
    },
    Case {
        dialect: "okx",
        signature: "AuthenticationError 50113",
        body: "AuthenticationError 50113",
        query: "AuthenticationError 50113",
        replay: "InvalidNonce 50102",
        late: "InvalidNonce 50102",
        ip: "PermissionDenied 50110",
        scope: "AuthenticationError 50114",
        no: ["InsufficientFunds 58350", "ExchangeError 58205"],
        wrong: ["InvalidAddress 58207", "BadRequest 51000"],
    },
    Case {
        dialect: "bybit",
        signature: "AuthenticationError 10004",
        body: "AuthenticationError 10004",
        query: "BadRequest 10001",
        replay: "BadRequest 10014",
        late: "InvalidNonce 10002",
        ip: "PermissionDenied 10010",
        scope: "PermissionDenied ",
        no: ["InsufficientFunds 131212", "PermissionDenied 10024"],
        wrong: ["BadRequest 131002", "BadRequest 131215"],
    },
    Case {
        dialect: "kucoin",
        signature: "AuthenticationError 400005",
        body: "AuthenticationError 400005",
        query: "AuthenticationError 400005",
        replay: "InvalidNonce 400002",
        late: "InvalidNonce 400002",
        ip: "AuthenticationError 400006",
        scope: "AuthenticationError 400007",
        no: ["InsufficientFunds 230003", "PermissionDenied 130201"],
        wrong: ["BadRequest 400100", "BadRequest 400100"],
    },
    Case {
        dialect: "coinbase",
        signature: "AuthenticationError invalid signature",
        body: "AuthenticationError invalid signature",
        query: "ExchangeError invalid_request",
        replay: "InvalidNonce request timestamp expired",
        late: "InvalidNonce request timestamp expired",
        ip: "PermissionDenied PERMISSION_DENIED",
        scope: "AuthenticationError invalid_scope",
        no: ["InsufficientFunds INSUFFICIENT_FUND", "PermissionDenied PERMISSION_DENIED"],
        wrong: ["BadRequest INVALID_ARGUMENT", "BadRequest INVALID_ARGUMENT"],
    },
    Case {
        dialect: "rfc9421",
        signature: "Refused signature",
        body: "Refused malformed",
        query: "Refused malformed",
        replay: "Refused replay",
        late: "Refused timestamp",
        ip: "Refused ip",
        scope: "Refused scope",
        no: ["Refused insufficient_balance", "Refused denied"],
        wrong: ["Refused address_invalid", "Refused amount_invalid"],
    },
];

impl Case {
    pub(crate) fn kind(&self) -> Kind {
        Kind::Dialect(self.dialect)
    }
}

pub(crate) fn customers(tier: &'static str) -> Vec<(&'static str, &'static str, Kind)> {
    CASES.iter().map(|case| (case.dialect, tier, case.kind())).collect()
}

impl Ccxt {
    pub(crate) fn open_in(&mut self, name: &str, case: &Case, url: &str, customer: &Customer) {
        let answer = self.say(&json!({
            "do": "open", "as": name, "dialect": case.dialect, "url": url, "apiKey": customer.api_key,
            "secret": customer.secret, "password": PASSPHRASE,
        }));
        assert!(answer.get("error").is_none(), "{answer}");
    }

    /// `withdraw()`, with what becomes of the request on its way.
    pub(crate) fn sends(&mut self, name: &str, amount: &str, more: &Value) -> Value {
        let mut what = json!({
            "do": "withdraw", "as": name, "coin": "BTC", "network": "BTC", "amount": amount, "address": OWN,
        });
        for (key, value) in more.as_object().unwrap() {
            what[key] = value.clone();
        }
        self.say(&what)
    }
}

/// It was refused: by this exception of ccxt's, with this in what the exchange said.
pub(crate) fn refused(answer: &Value, expected: &str) {
    let (class, said) = expected.split_once(' ').unwrap();
    assert_eq!(answer["error"], class, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains(said), "{expected}: {answer}");
}

#[test]
fn ccxt_withdraws_and_reads_its_balance_in_every_dialect() {
    if !has_ccxt() {
        return;
    }
    let stand = Stand::at_rate(&customers("full"), 1);
    let mut ccxt = Ccxt::of_dialects();
    for case in &CASES {
        let name = case.dialect;
        ccxt.open_in(name, case, &stand.harbor, &stand.customers[name]);
        let done = ccxt.sends(name, "0.75", &json!({}));
        assert!(done["ok"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{name}: {done}");
        let harbor = &done["ok"]["info"]["harbor"];
        assert_eq!(harbor["info"], "Approved: the wallet sends it.", "{name}: {done}");

        let balance = ccxt.say(&json!({ "do": "balance", "as": name }));
        assert_eq!(balance["ok"]["free"]["BTC"], 19.2499, "{name}: {balance}");
        assert_eq!(balance["ok"]["used"]["BTC"], 0.7501, "{name}: {balance}");

        // What Harbor itself says no to, and what Holdfast denies.
        refused(&ccxt.sends(name, "1000", &json!({})), case.no[0]);
        let mistyped = OWN.replace("f3t4", "f3t5");
        refused(&ccxt.sends(name, "0.5", &json!({ "address": mistyped })), case.wrong[0]);
        refused(&ccxt.sends(name, "0.0005", &json!({})), case.wrong[1]);
        stand.ask("POST", &format!("/v1/accounts/{name}/limits"), &stand.service, &small()).ok();
        let denied = ccxt.sends(name, "1.5", &json!({}));
        refused(&denied, case.no[1]);
        assert!(denied["message"].as_str().unwrap().contains("over_daily_limit"), "{denied}");
        assert_eq!(stand.balance(name), ("19.2499".to_owned(), "0.7501".to_owned()));
    }

    // Each was asked for with the customer's own request, which says the same thing in every respect.
    let journal = stand.journal();
    let evidence: Vec<&Value> =
        journal.iter().flat_map(|record| find(&record["command"], "differs")).collect();
    assert_eq!(evidence.len(), 2 * CASES.len(), "{evidence:?}");
    assert!(evidence.iter().all(|differs| differs.as_array().is_some_and(Vec::is_empty)), "{evidence:?}");
}

/// Limits under which nothing more goes today.
fn small() -> Value {
    json!({ "usd_24h_max": "5000.00", "usd_30d_max": "10000.00" })
}

/// The values under this name, wherever they stand.
pub(crate) fn find<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(members) => {
            let own = members.get(name);
            own.into_iter().chain(members.values().flat_map(|inner| find(inner, name))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|inner| find(inner, name)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn requests_that_somebody_meddled_with_move_nothing_in_any_dialect() {
    if !has_ccxt() {
        return;
    }
    let stand = Stand::at_rate(&customers("full"), 1);
    let mut ccxt = Ccxt::of_dialects();
    for case in &CASES {
        let name = case.dialect;
        ccxt.open_in(name, case, &stand.harbor, &stand.customers[name]);
        let reader = stand.open_key(name, case.kind(), false);
        ccxt.open_in("reader", case, &stand.harbor, &reader);

        // Two minutes late; first, since kraken's nonces only rise.
        refused(&ccxt.sends(name, "0.75", &json!({ "late": 120_000 })), case.late);
        // Changed on its way: the amount, the address, and what the signature says nothing about.
        let amount = json!({ "alter": { "body": ["0.75", "7.5"] } });
        refused(&ccxt.sends(name, "0.75", &amount), case.body);
        let address = json!({ "alter": { "body": [OWN, "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"] } });
        refused(&ccxt.sends(name, "0.75", &address), case.body);
        let query = json!({ "alter": { "path": [path_of(case), format!("{}?note=1", path_of(case))] } });
        refused(&ccxt.sends(name, "0.75", &query), case.query);
        // Sent to another place, where the path is signed.
        if let Some((from, to)) = elsewhere(case) {
            refused(&ccxt.sends(name, "0.75", &json!({ "alter": { "path": [from, to] } })), case.signature);
        }
        // From an address that is in none of the key's networks.
        let from = |ip: &str| json!({ "alter": { "headers": { FROM: ip } } });
        refused(&ccxt.sends(name, "0.75", &from("203.0.113.9")), case.ip);
        refused(&ccxt.sends(name, "0.75", &from("2001:db8::9")), case.ip);
        // With another passphrase, or with one where the key has none.
        if let Some(header) = passphrase_header(case) {
            let wrong = json!({ "alter": { "headers": { header: "bm90IGl0" } } });
            let answer = ccxt.sends(name, "0.75", &wrong);
            refused(&answer, "AuthenticationError ");
            assert!(answer["message"].as_str().unwrap().to_lowercase().contains("passphrase"), "{answer}");
        }
        // A key that may only read reads, and does no more.
        let balance = ccxt.say(&json!({ "do": "balance", "as": "reader" }));
        assert_eq!(balance["ok"]["free"]["BTC"], 20, "{name}: {balance}");
        refused(&ccxt.sends("reader", "0.75", &json!({})), case.scope);

        // Two dialects tell the time in seconds: the same withdrawal again within one of them would be the same request.
        std::thread::sleep(Duration::from_millis(1_100));
        // Nothing moved so far. Then one goes, from another address of the key's network, and only once.
        assert_eq!(stand.balance(name), ("20".to_owned(), "0".to_owned()), "{name}");
        let done = ccxt.sends(name, "0.75", &from("127.45.6.7"));
        assert_eq!(done["ok"]["info"]["harbor"]["stage"], "approved", "{name}: {done}");
        for _ in 0..2 {
            refused(&ccxt.say(&json!({ "do": "again", "as": name })), case.replay);
        }
        // A nonce that went back is too low, however fresh.
        if name == "kraken" {
            refused(&ccxt.sends(name, "0.5", &json!({ "late": 20_000 })), case.replay);
        }
        // A key that was revoked.
        let path = format!("/v1/accounts/{name}/api-keys/{}", reader.api_key);
        stand.ask("DELETE", &path, &stand.service, &Value::Null).ok();
        let revoked = ccxt.sends("reader", "0.75", &json!({}));
        let class =
            if name == "rfc9421" { "Refused key_revoked" } else { "AuthenticationError api_key_revoked" };
        refused(&revoked, if name == "coinbase" { "AuthenticationError revoked" } else { class });
        assert_eq!(stand.balance(name), ("19.2499".to_owned(), "0.7501".to_owned()), "{name}");
    }
}

const fn path_of(case: &Case) -> &'static str {
    match case.dialect.as_bytes() {
        b"kraken" => "/0/private/Withdraw",
        b"okx" => "/api/v5/asset/withdrawal",
        b"bybit" => "/v5/asset/withdraw/create",
        b"kucoin" => "/api/v3/withdrawals",
        b"coinbase" => "/v2/accounts/wallet/transactions",
        _ => "/v1/withdrawals",
    }
}

/// Another path that somebody listens on.
fn elsewhere(case: &Case) -> Option<(&'static str, &'static str)> {
    match case.dialect {
        "kraken" => Some(("Withdraw", "BalanceEx")),
        "coinbase" => Some(("/wallet/", "/vault/")),
        _ => None,
    }
}

fn passphrase_header(case: &Case) -> Option<&'static str> {
    match case.dialect {
        "okx" => Some("OK-ACCESS-PASSPHRASE"),
        "kucoin" => Some("KC-API-PASSPHRASE"),
        "coinbase" => Some("CB-ACCESS-PASSPHRASE"),
        _ => None,
    }
}
