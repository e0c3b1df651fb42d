//! Incidents that happened, as far as they can be played again. `docs/drills/` says of each what is known and what is assumed.

pub(super) mod bigone_2025;
pub(super) mod binance_2018;
pub(super) mod binance_2019;
pub(super) mod bitfinex_2016;
pub(super) mod bybit_2025;
pub(super) mod cryptocom_2022;
pub(super) mod poisoning_2024;
pub(super) mod three_commas_2022;

use super::coins::Coins;

/// A total in shares by weight; what does not divide goes with the first.
fn shares(total: Coins, weights: &[u64]) -> Vec<Coins> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum::<u128>().max(1);
    let share = |weight: &u64| u128::from(total.0).saturating_mul(u128::from(*weight)) / sum;
    let mut shares: Vec<Coins> =
        weights.iter().map(|weight| Coins(u64::try_from(share(weight)).unwrap_or_default())).collect();
    let given = shares.iter().fold(Coins(0), |all, share| all.plus(*share));
    if let Some(first) = shares.first_mut() {
        *first = first.plus(total.less(given));
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let total = Coins(1_000);
        let parts = shares(total, &[1, 1, 1]);
        assert_eq!(parts, [Coins(334), Coins(333), Coins(333)]);
        assert_eq!(shares(total, &[]), []);
        assert_eq!(shares(total, &[0, 0]).iter().map(|share| share.0).sum::<u64>(), 1_000);
    }
}
