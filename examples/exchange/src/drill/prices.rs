//! The market: prices that wobble around those of May 2019, reported to Holdfast under the price token.

use std::time::Duration;

use serde_json::json;

use super::client::Client;
use super::coin::Coin;
use super::draw::Draw;

/// A step is at most this, and the distance from where it began at most ten steps, in 1/10,000.
const STEP: i64 = 8;

/// Reports the prices of May 2019 at once: a clock that was set forward makes the last ones stale.
pub(crate) fn report(clients: &[Client]) -> Result<(), String> {
    let price = |coin: Coin| {
        let cents = coin.cents();
        json!({ "asset": coin.symbol(), "usd": format!("{}.{:02}", cents / 100, cents % 100) })
    };
    let prices = json!(Coin::ALL.map(price));
    clients.iter().try_for_each(|client| client.prices(&prices))
}

/// Reports prices for ever. A server that is not there is tried again: it is started anew now and then.
pub(crate) fn feed(clients: &[Client], seed: u64, every: Duration) {
    let mut draw = Draw::new(seed, "prices");
    let mut away = [0i64; 3];
    loop {
        let mut prices = Vec::new();
        for (coin, away) in Coin::ALL.into_iter().zip(&mut away) {
            let step = i64::try_from(draw.below(17)).unwrap_or(0).saturating_sub(STEP);
            *away = away.saturating_add(step).clamp(-10 * STEP, 10 * STEP);
            // A dollar token does not wobble.
            let moved = if coin == Coin::Usdt { 0 } else { *away };
            let factor = 10_000u64.saturating_add_signed(moved);
            let cents = coin.cents().saturating_mul(factor) / 10_000;
            prices.push(
                json!({ "asset": coin.symbol(), "usd": format!("{}.{:02}", cents / 100, cents % 100) }),
            );
        }
        let prices = json!(prices);
        std::thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| drop(client.prices(&prices)));
            }
        });
        std::thread::sleep(every);
    }
}
