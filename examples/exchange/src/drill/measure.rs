//! What came of it, read from Holdfast's own lists: never from what a client believed.

use std::collections::BTreeMap;

use holdfast_values::{Amount, Timestamp, time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::{Client, text};
use super::coin;
use super::plan::{Plan, Planned};

/// How many, and what they are worth in base units of bitcoin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Cell {
    pub(crate) count: u64,
    pub(crate) sats: u64,
}

impl Cell {
    pub(crate) fn add(&mut self, sats: u64) {
        self.count = self.count.saturating_add(1);
        self.sats = self.sats.saturating_add(sats);
    }
}

/// Withdrawals by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Tally {
    pub(crate) asked: Cell,
    pub(crate) approved: Cell,
    /// For time, a bucket or the end of a halt.
    pub(crate) waiting: Cell,
    /// For a factor that its owner must show.
    pub(crate) to_confirm: Cell,
    /// For a person.
    pub(crate) held: Cell,
    pub(crate) denied: Cell,
}

impl Tally {
    /// Counts a row where it stands.
    pub(crate) fn add(&mut self, row: &Value) {
        self.add_as(row, text(row, "status"));
    }

    /// Counts a row as if it stood there.
    pub(crate) fn add_as(&mut self, row: &Value, status: &str) {
        let sats = worth(row);
        self.asked.add(sats);
        match status {
            "dwelling" | "requested" => self.waiting.add(sats),
            "awaiting_approval" => self.to_confirm.add(sats),
            "held" => self.held.add(sats),
            "denied" | "cancelled" | "expired" => self.denied.add(sats),
            _ => self.approved.add(sats),
        }
    }
}

/// Delays in seconds of the exchange's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Delays {
    pub(crate) median: u64,
    pub(crate) p95: u64,
}

impl Delays {
    pub(crate) fn of(mut seconds: Vec<u64>) -> Self {
        seconds.sort_unstable();
        let at = |permille: usize| {
            let place = seconds.len().saturating_mul(permille).div_ceil(1_000).saturating_sub(1);
            seconds.get(place).copied().unwrap_or(0)
        };
        Self { median: at(500), p95: at(950) }
    }
}

/// What a row is worth in base units of bitcoin: bitcoin as it is, the rest at one price for all.
pub(crate) fn worth(row: &Value) -> u64 {
    let parsed = match text(row, "asset") {
        "BTC" => Amount::parse(text(row, "amount"), 8).map(Amount::base_units),
        _ => Amount::parse(text(row, "usd"), 2)
            .map(|cents| u128::from(coin::sats(u64::try_from(cents.base_units()).unwrap_or(u64::MAX)))),
    };
    parsed.ok().and_then(|sats| u64::try_from(sats).ok()).unwrap_or(0)
}

/// A time in a row.
pub(crate) fn instant(row: &Value, key: &str) -> Timestamp {
    Timestamp::parse(text(row, key)).unwrap_or_default()
}

/// The codes of a row's reasons.
pub(crate) fn codes(row: &Value) -> Vec<String> {
    let reasons = row.get("reasons").and_then(Value::as_array);
    reasons.into_iter().flatten().map(|reason| text(reason, "code").to_owned()).collect()
}

/// A signed request that was too old when it came, for which its sender signed another.
pub(crate) fn is_stale(row: &Value) -> bool {
    codes(row).iter().any(|code| code == "api_timestamp")
}

/// Seconds from request to approval, for what was approved.
pub(crate) fn delay(row: &Value) -> Option<u64> {
    let mut tally = Tally::default();
    tally.add(row);
    let span = instant(row, "decided_at").since(instant(row, "requested_at"));
    (tally.approved.count == 1).then_some(span / time::SECOND)
}

/// Asset, address and amount, each in one spelling.
pub(crate) type Key = (String, String, u128);

pub(crate) fn key(asset: &str, address: &str, amount: &str) -> Key {
    // Of all assets here none has more than 18 decimals.
    let amount = Amount::parse(amount, 18).map(Amount::base_units).unwrap_or(0);
    (asset.to_owned(), address.to_ascii_lowercase(), amount)
}

/// The row of each planned withdrawal.
pub(crate) fn match_rows<'r>(plan: &Plan, part: &[Planned], rows: &'r [Value]) -> Vec<Option<&'r Value>> {
    let mut by_key: BTreeMap<(&str, Key), Vec<&Value>> = BTreeMap::new();
    for row in rows.iter().rev() {
        let key = key(text(row, "asset"), text(row, "address"), text(row, "amount"));
        let known = by_key.entry((text(row, "account"), key)).or_default();
        // What was signed again counts once, as it ended.
        if !is_stale(row) {
            known.push(row);
        }
    }
    part.iter()
        .map(|planned| {
            let account = plan.customers.get(planned.customer)?.account.as_str();
            let key = key(planned.coin.symbol(), &planned.address, &planned.amount);
            by_key.get_mut(&(account, key))?.pop()
        })
        .collect()
}

/// Writes one of the drill's findings.
pub(crate) fn keep<T: Serialize>(client: &Client, file: &str, found: &T) -> Result<(), String> {
    let text = serde_json::to_string_pretty(found).map_err(|error| error.to_string())?;
    super::open::write(&client.stack.results.join(file), &text)
}

/// Reads it again.
pub(crate) fn kept<T: DeserializeOwned>(client: &Client, file: &str) -> Result<T, String> {
    let path = client.stack.results.join(file);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(status: &str, asset: &str, amount: &str, usd: &str) -> Value {
        json!({ "status": status, "asset": asset, "amount": amount, "usd": usd,
                "requested_at": "2019-05-07T00:00:00.5Z", "decided_at": "2019-05-07T00:10:00.9Z" })
    }

    #[test]
    fn every_status_has_one_place() {
        let mut tally = Tally::default();
        for status in
            ["approved", "dwelling", "awaiting_approval", "held", "denied", "cancelled", "broadcast"]
        {
            tally.add(&row(status, "BTC", "0.5", "3000.00"));
        }
        let counts = [tally.asked, tally.approved, tally.waiting, tally.to_confirm, tally.held, tally.denied]
            .map(|c| c.count);
        assert_eq!(counts, [7, 2, 1, 1, 1, 2]);
        assert_eq!(tally.asked.sats, 350_000_000);
        assert_eq!(worth(&row("approved", "USDT", "5900", "5900.00")), 100_000_000, "at 5,900 USD");
    }

    #[test]
    fn delays_are_those_of_what_was_approved() {
        assert_eq!(delay(&row("approved", "BTC", "1", "1.00")), Some(600));
        assert_eq!(delay(&row("held", "BTC", "1", "1.00")), None);
        assert_eq!(Delays::of((1..=100).collect()), Delays { median: 50, p95: 95 });
        assert_eq!(Delays::of(vec![7]), Delays { median: 7, p95: 7 });
        assert_eq!(Delays::of(Vec::new()), Delays::default());
    }
}
