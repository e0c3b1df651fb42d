//! Clients that know nothing of Holdfast, through Envoy and the gate: every dialect withdraws, and what is refused there
//! reaches neither Harbor nor the journal.

use serde_json::{Value, json};

use crate::dialects::{CASES, customers, find, refused};
use crate::envoy::has_envoy;
use crate::stand::{Ccxt, Kind, OWN, Setup, Stand, has_ccxt};

/// How many withdrawals Holdfast was asked for.
fn asked(stand: &Stand) -> usize {
    stand.journal().iter().flat_map(|record| find(&record["command"], "differs")).count()
}

#[test]
fn every_dialect_withdraws_through_envoy_and_the_gate() {
    if !has_ccxt() || !has_envoy() {
        return;
    }
    let mut everyone = customers("full");
    everyone.extend([("ada", "full", Kind::Hmac), ("ben", "full", Kind::Ed25519)]);
    let stand = Stand::of(&everyone, Setup { rate: 1, config: None, young: &mut |_| {}, gate: true });
    // What was signed in the first second after its start the gate does not believe.
    std::thread::sleep(std::time::Duration::from_secs(2));

    // Binance, with all that ccxt asks before.
    let mut binance = Ccxt::start();
    for name in ["ada", "ben"] {
        binance.open(&stand, name, &stand.customers[name]);
        let done = binance.withdraw(name, "BTC", "0.75", OWN, json!({}));
        assert_eq!(done["ok"]["info"], "Approved: the wallet sends it.", "{done}");
        assert_eq!(binance.withdrawals(name).len(), 1);
    }

    let mut ccxt = Ccxt::of_dialects();
    for case in &CASES {
        let name = case.dialect;
        let url = stand.front();
        ccxt.open_in(name, case, url, &stand.customers[name]);
        let done = ccxt.sends(name, "0.75", &json!({}));
        assert_eq!(done["ok"]["info"]["harbor"]["stage"], "approved", "{name}: {done}");
        let balance = ccxt.say(&json!({ "do": "balance", "as": name }));
        assert_eq!(balance["ok"]["free"]["BTC"], 19.2499, "{name}: {balance}");
    }
    assert_eq!(asked(&stand), CASES.len() + 2);

    // What the gate refuses: nobody behind it hears of it, and ccxt throws what it throws at the exchange itself.
    for case in &CASES {
        let name = case.dialect;
        let reader = stand.open_key(name, case.kind(), false);
        ccxt.open_in("reader", case, stand.front(), &reader);
        refused(&ccxt.sends(name, "0.5", &json!({ "alter": { "body": ["0.5", "5.5"] } })), case.body);
        refused(&ccxt.sends(name, "0.5", &json!({ "late": 120_000 })), case.late);
        refused(&ccxt.sends("reader", "0.5", &json!({})), case.scope);
        let balance = ccxt.say(&json!({ "do": "balance", "as": "reader" }));
        assert_eq!(balance["ok"]["free"]["BTC"], 19.2499, "{name}: {balance}");
        // The gate's own memory: a balance that was asked for once cannot be asked for again with the same signature.
        refused(&ccxt.say(&json!({ "do": "again", "as": "reader" })), case.replay);
        // From the next request on.
        let path = format!("/v1/accounts/{name}/api-keys/{}", reader.api_key);
        stand.ask("DELETE", &path, &stand.service, &Value::Null).ok();
        let gone = ccxt.say(&json!({ "do": "balance", "as": "reader" }));
        let class = if name == "rfc9421" { "Refused key_revoked" } else { "AuthenticationError " };
        refused(&gone, class);
        assert_eq!(stand.balance(name), ("19.2499".to_owned(), "0.7501".to_owned()), "{name}");
    }
    assert_eq!(asked(&stand), CASES.len() + 2, "what the gate refused reached nobody");
}
