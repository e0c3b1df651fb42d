//! Before the day: everybody who will come gets an account at Harbor, money, a way in; the wallets get their coins. Harbor forgets at its end; that
//! these accounts have a history, Holdfast knows from the import.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::client::{Access, Client, text};
use super::paid;
use super::plan::{Channel, Plan};

/// How many accounts are made at once.
const AT_ONCE: usize = 8;
const FILE: &str = "access.json";

/// How accounts get in, by account.
pub(crate) type Accesses = BTreeMap<String, Access>;

/// Makes all accounts and writes down how to get in.
pub(crate) fn open(client: &Client, plan: &Plan) -> Result<(), String> {
    let accounts = plan.accounts();
    let programs: Vec<&str> = plan
        .customers
        .iter()
        .filter(|customer| customer.channel == Channel::Api)
        .map(|customer| customer.account.as_str())
        .chain(plan.all_victims().map(|victim| victim.account.as_str()))
        .collect();
    let next = AtomicUsize::new(0);
    let made: Mutex<Result<Accesses, String>> = Mutex::new(Ok(Accesses::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, (account, tier))) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    accounts.get(number).map(|account| (number, account))
                } {
                    let has_key = programs.contains(&account.as_str());
                    let access = enter(client, number, account, tier, has_key);
                    let mut made = made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match (access, &mut *made) {
                        (Ok(access), Ok(accesses)) => drop(accesses.insert(account.clone(), access)),
                        (Err(error), made) => *made = Err(format!("{account}: {error}")),
                        (Ok(_), Err(_)) => {}
                    }
                }
            });
        }
    });
    let made = made.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
    paid::fund(client)?;
    let text = serde_json::to_string(&made).map_err(|error| error.to_string())?;
    write(&client.stack.results.join(FILE), &text)
}

fn enter(client: &Client, number: usize, account: &str, tier: &str, has_key: bool) -> Result<Access, String> {
    client.admin("POST", "/customers", Some(&json!({ "account": account, "tier": tier })))?;
    // Enough for everything that the limits allow.
    for (asset, amount) in [("BTC", "500"), ("ETH", "2000"), ("USDT", "500000")] {
        let deposit = json!({ "asset": asset, "amount": amount });
        client.admin("POST", &format!("/customers/{account}/deposits"), Some(&deposit))?;
    }
    let session = client.admin("POST", &format!("/customers/{account}/sessions"), None)?;
    let ip = format!("198.51.{}.{}", 100usize.saturating_add(number / 250), (number % 250).saturating_add(1));
    let mut access = Access { session: text(&session, "session").to_owned(), ip, ..Access::default() };
    if has_key {
        let wanted = json!({ "withdraw": true, "ips": [access.ip] });
        let key: Value = client.admin("POST", &format!("/customers/{account}/api-keys"), Some(&wanted))?;
        access.api_key = text(&key, "api_key").to_owned();
        access.api_secret = text(&key, "secret").to_owned();
    }
    Ok(access)
}

/// Reads what [`open`] wrote.
pub(crate) fn read(client: &Client) -> Result<Accesses, String> {
    let path = client.stack.results.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes one of the drill's files.
pub(crate) fn write(path: &std::path::Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
