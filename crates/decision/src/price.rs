//! Prices of one asset: the last one, the 24 h high that values are taken at, and whether it moved too much.

use holdfast_values::{Micros, Timestamp, time};
use minicbor::{Decode, Encode};

use crate::configuration::Parameters;

/// The extremes of one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Hour {
    #[n(0)]
    number: u64,
    #[n(1)]
    high: u64,
    #[n(2)]
    low: u64,
}

/// What is known of an asset's price, in micro-USD per whole unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Prices {
    /// At most 26 hours, oldest first.
    #[n(0)]
    hours: Vec<Hour>,
    #[n(1)]
    last: u64,
    #[n(2)]
    at: Timestamp,
    #[n(3)]
    sequence: u64,
}

/// A price as a decision uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The highest of the last 24 hours (rounded outward to whole hours).
    pub high_micro_usd: u64,
    /// How old the last price is.
    pub age: Micros,
    /// It is older than configured.
    pub stale: bool,
    /// It moved more than configured within this hour and the one before.
    pub moved: bool,
    /// The record that brought it.
    pub sequence: u64,
}

impl Prices {
    /// Takes a new price in.
    pub fn set(&mut self, at: Timestamp, sequence: u64, micro_usd: u64) {
        let number = at.0 / time::HOUR;
        self.hours.retain(|hour| number.saturating_sub(hour.number) <= 25);
        let before = if self.last != 0 && at.since(self.at) <= time::DAY { self.last } else { micro_usd };
        match self.hours.last_mut().filter(|hour| hour.number == number) {
            Some(hour) => {
                hour.high = hour.high.max(micro_usd);
                hour.low = hour.low.min(micro_usd);
            }
            // An hour begins at the price that stood: a jump over a silent hour is a jump.
            None => {
                self.hours.push(Hour { number, high: micro_usd.max(before), low: micro_usd.min(before) });
            }
        }
        self.last = micro_usd;
        self.at = at;
        self.sequence = sequence;
    }

    /// The price for a decision at `at`; `None` if there never was one, or none within 24 hours.
    pub fn quote(&self, at: Timestamp, parameters: &Parameters) -> Option<Quote> {
        let number = at.0 / time::HOUR;
        let recent =
            |hours: u64| self.hours.iter().filter(move |hour| number.saturating_sub(hour.number) <= hours);
        let high_micro_usd = recent(24).map(|hour| hour.high).max().filter(|high| *high != 0)?;
        let (high, low) = (recent(1).map(|hour| hour.high).max(), recent(1).map(|hour| hour.low).min());
        let moved = match (high, low) {
            (Some(high), Some(low)) => {
                u128::from(high - low) * 1_000 > u128::from(low) * u128::from(parameters.price_move_permille)
            }
            _ => false,
        };
        let age = at.since(self.at);
        Some(Quote {
            high_micro_usd,
            age,
            stale: age > parameters.price_stale_after,
            moved,
            sequence: self.sequence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_the_high_and_notices_moves() {
        let parameters = Parameters::default();
        let start = Timestamp(1_700_000_000 * time::SECOND);
        let mut prices = Prices::default();
        assert_eq!(prices.quote(start, &parameters), None);
        prices.set(start, 1, 100);
        prices.set(start.plus(time::MINUTE), 2, 90);
        let quote = prices.quote(start.plus(2 * time::MINUTE), &parameters).unwrap();
        assert_eq!((quote.high_micro_usd, quote.stale, quote.moved), (100, false, false));
        prices.set(start.plus(3 * time::MINUTE), 3, 75);
        assert!(prices.quote(start.plus(3 * time::MINUTE), &parameters).unwrap().moved);
        assert!(prices.quote(start.plus(14 * time::MINUTE), &parameters).unwrap().stale);
        let next_day = start.plus(26 * time::HOUR);
        assert_eq!(prices.quote(next_day, &parameters), None, "too old to value anything by");
        prices.set(next_day, 4, 200);
        let quote = prices.quote(next_day, &parameters).unwrap();
        assert_eq!((quote.high_micro_usd, quote.moved), (200, false), "yesterday's price is no jump");
        prices.set(next_day.plus(5 * time::HOUR), 5, 150);
        assert!(
            prices.quote(next_day.plus(5 * time::HOUR), &parameters).unwrap().moved,
            "over a silent hour"
        );
    }
}
