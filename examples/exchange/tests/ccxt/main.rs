//! What a customer's program sees, and what an attacker's: the real ccxt against the real Harbor in front of the real
//! Holdfast, under the baseline policy, over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests: a failure is a failed test"
)]

mod attacks;
mod authenticator;
mod dialects;
mod envoy;
mod gateway;
mod mandate;
mod request;
mod stand;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stand::{Ccxt, Kind, NEW, OWN, Stand, has_ccxt, holdfast, repository};

/// What a ccxt user is told: what `withdraw()` returns or throws.
fn said(answer: &Value) -> (&str, i64, &str) {
    match answer.get("ok") {
        Some(ok) => {
            (ok["status"].as_str().unwrap(), ok["state"].as_i64().unwrap(), ok["info"].as_str().unwrap())
        }
        None => {
            let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}"));
            (text("error"), answer["code"].as_i64().unwrap_or_default(), text("message"))
        }
    }
}

fn withdrawals_are_understood(kind: Kind) {
    if !has_ccxt() {
        return;
    }
    let stand = Stand::new(&[("ada", "full", kind), ("ben", "full", kind), ("eve", "basic", kind)]);
    stand.staff("POST", "/customers/ben/password-change", &Value::Null).ok();
    let mut ccxt = Ccxt::start();
    for (name, customer) in &stand.customers {
        ccxt.open(&stand, name, customer);
    }
    let none = || json!({});

    // Approved: the address has been in the book for a week. With and without a network.
    let approved = ccxt.withdraw("ada", "BTC", "2", OWN, none());
    assert_eq!(said(&approved), ("pending", 4, "Approved: the wallet sends it."));
    let named = ccxt.withdraw("ada", "BTC", "0.5", OWN, json!({ "network": "BTC" }));
    assert_eq!(said(&named), ("pending", 4, "Approved: the wallet sends it."));

    // Waiting: a new address and little money.
    let waiting = ccxt.withdraw("ada", "BTC", "0.1", NEW, none());
    let (status, state, info) = said(&waiting);
    assert_eq!((status, state), ("pending", 4));
    assert!(info.starts_with("Waiting until 20"), "{info}");
    assert!(info.ends_with("Z (first_withdrawal_to_address). You can still cancel it."), "{info}");
    let waits_since = Instant::now();

    // A factor is asked for: a new address and much money.
    let (status, state, info) = ("pending", 0, "Confirm it with: passkey (api_amount_needs_bound_approval).");
    let asked = ccxt.withdraw("ada", "BTC", "5", NEW, none());
    assert_eq!(said(&asked), (status, state, info));

    // Held: the password was changed a moment ago.
    let held = ccxt.withdraw("ben", "BTC", "2", OWN, none());
    assert_eq!(said(&held), ("pending", 2, "Under review by our security team (recent_security_change)."));

    // Denied: over the tier's limit.
    let denied = ccxt.withdraw("eve", "BTC", "2", OWN, none());
    let message = "Withdraw is limited. Denied (over_daily_limit).";
    assert_eq!(said(&denied), ("PermissionDenied", -4015, message));

    // What a customer gets wrong.
    for (coin, amount, address, params, expected) in [
        ("BTC", "1000", OWN, none(), ("InsufficientFunds", -4026, "You have insufficient balance.")),
        (
            "BTC",
            "0.0001",
            OWN,
            none(),
            ("BadRequest", -4022, "Not less than the minimum pick-up quantity 0.001."),
        ),
        (
            "USDT",
            "50",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            json!({ "network": "BEP20" }),
            ("BadRequest", -4019, ""),
        ),
        ("BTC", "0.1", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", none(), ("BadRequest", -4033, "")),
        (
            "USDT",
            "50",
            "0x52908400098527886E0F7030069857D2E4169Ee7",
            json!({ "network": "ERC20" }),
            ("BadRequest", -4033, "The checksum of the address does not fit: copy it again"),
        ),
    ] {
        let answer = ccxt.withdraw("ben", coin, amount, address, params);
        let (error, code, message) = said(&answer);
        assert_eq!((error, code), (expected.0, expected.1), "{answer}");
        assert!(message.starts_with(expected.2), "{message}");
    }
    let token = ccxt.withdraw(
        "ada",
        "USDT",
        "50",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        json!({ "network": "ERC20" }),
    );
    assert_eq!(said(&token).1, 4, "{token}");

    // fetchWithdrawals() says the same words, and after its minute the waiting one is approved.
    let find = |rows: &[Value], answer: &Value| -> Value {
        let row = rows.iter().find(|row| row["id"] == answer["ok"]["id"]);
        json!({ "ok": row.unwrap_or_else(|| panic!("{answer} is missing")) })
    };
    let seen = ccxt.withdrawals("ben");
    assert_eq!(said(&find(&seen, &held)), said(&held));
    let refused = seen.iter().filter(|row| {
        row["status"] == "failed" && row["info"].as_str().is_some_and(|info| info.starts_with("Refused: "))
    });
    // Of the five that were wrong, Harbor itself refused two: they were never under way.
    assert_eq!((seen.len(), refused.count()), (4, 3), "{seen:?}");
    let seen = ccxt.withdrawals("eve");
    assert_eq!(
        (seen.len(), said(&json!({ "ok": seen[0] }))),
        (1, ("failed", 3, "Denied (over_daily_limit)."))
    );
    loop {
        let seen = ccxt.withdrawals("ada");
        assert_eq!(seen.len(), 5);
        for answer in [&approved, &named, &asked] {
            assert_eq!(said(&find(&seen, answer)), said(answer));
        }
        if said(&find(&seen, &waiting)) == said(&approved) {
            break;
        }
        assert!(waits_since.elapsed() < Duration::from_secs(60), "{seen:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    // A minute at ten times real time, and not before.
    assert!(waits_since.elapsed() > Duration::from_secs(5), "{:?}", waits_since.elapsed());

    // The books: what is denied is free again, and what is under way is locked with its fee.
    assert_eq!(stand.balance("eve"), ("20".to_owned(), "0".to_owned()));
    assert_eq!(stand.balance("ben"), ("17.9999".to_owned(), "2.0001".to_owned()));
    assert_eq!(stand.balance("ada"), ("12.3996".to_owned(), "7.6004".to_owned()));
    let balance = ccxt.say(&json!({ "do": "balance", "as": "ben" }));
    assert_eq!(
        (&balance["ok"]["free"]["BTC"], &balance["ok"]["used"]["BTC"]),
        (&json!(17.9999), &json!(2.0001))
    );
}

#[test]
fn a_ccxt_user_with_an_hmac_key_understands_every_outcome() {
    withdrawals_are_understood(Kind::Hmac);
}

#[test]
fn a_ccxt_user_with_an_ed25519_key_understands_every_outcome() {
    withdrawals_are_understood(Kind::Ed25519);
}

#[test]
fn a_ccxt_user_with_an_rsa_key_understands_every_outcome() {
    withdrawals_are_understood(Kind::Rsa);
}

#[test]
fn the_walk_through_of_the_readme_works() {
    if !has_ccxt() {
        return;
    }
    let output = Command::new("node")
        .arg(repository("examples/exchange/ccxt/run.mjs"))
        .arg("--exit")
        .env("HOLDFAST_BIN", holdfast().parent().unwrap())
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    for part in [
        r#""status":"pending","currency":"BTC","network":"BTC","amount":2,"fee":0.0001,"state":4,"info":"Approved"#,
        r#""info":"Waiting until 20"#,
        r#""info":"Under review by our security team (recent_security_change).""#,
        r#"throws  {"error":"PermissionDenied","code":-4015,"message":"Withdraw is limited. Denied (over_daily_limit)."}"#,
        r#""status":"failed","currency":"BTC","network":"BTC","amount":2,"fee":0.0001,"state":3"#,
    ] {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
}
