//! Token buckets as a signer keeps them: what may leave of an asset in a class, and what may be burnt as fees.
//!
//! Levels are exact: integers of 1/3600 of a base unit, refilled by whole seconds, the rest of a second kept in the time.
//! What was taken plus what is left is never more than the size plus what time refilled. No clock and no IO here.

use crate::{Amount, Timestamp, time};

/// Parts of a base unit that levels count: a refill per hour is a whole number of them each second.
const SCALE: u128 = 3_600;

/// How large a bucket is and what flows into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSpec {
    /// The most that it holds.
    pub size: Amount,
    /// What an hour gives back.
    pub refill_per_hour: Amount,
}

impl BucketSpec {
    /// A bucket whose levels can be counted exactly: at most 2^128 / 3600 base units.
    pub fn new(size: Amount, refill_per_hour: Amount) -> Option<Self> {
        let counts = |amount: Amount| amount.base_units().checked_mul(SCALE).is_some();
        (counts(size) && counts(refill_per_hour)).then_some(Self { size, refill_per_hour })
    }

    fn full(self) -> u128 {
        self.size.base_units().saturating_mul(SCALE)
    }
}

/// What is left in a bucket, up to when time has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// In 1/3600 of a base unit.
    pub scaled: u128,
    /// Up to when refill has been added.
    pub at: Timestamp,
}

impl Level {
    /// A full bucket.
    pub fn full(spec: BucketSpec, at: Timestamp) -> Self {
        Self { scaled: spec.full(), at }
    }

    /// The level at `at`: refilled, and never above the size that is pinned now. A clock behind refills nothing.
    #[must_use]
    pub fn refilled(self, spec: BucketSpec, at: Timestamp) -> Self {
        let seconds = at.since(self.at) / time::SECOND;
        let refill = spec.refill_per_hour.base_units().saturating_mul(u128::from(seconds));
        let scaled = self.scaled.saturating_add(refill);
        if scaled >= spec.full() {
            // A full bucket does not save time for later.
            Self { scaled: spec.full(), at: at.max(self.at) }
        } else {
            Self { scaled, at: self.at.plus(seconds.saturating_mul(time::SECOND)) }
        }
    }

    /// What can be taken, rounded down.
    pub const fn available(self) -> Amount {
        Amount::from_base_units(self.scaled / SCALE)
    }

    /// The level after `amount` is taken, if it holds that much.
    #[must_use]
    pub fn take(self, amount: Amount) -> Option<Self> {
        let need = amount.base_units().checked_mul(SCALE)?;
        Some(Self { scaled: self.scaled.checked_sub(need)?, at: self.at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked and when, what was taken never exceeds the size and the refill of the time that passed.
        #[test]
        fn never_gives_more_than_size_and_refill(
            size in 0u128..1_000_000,
            refill in 0u128..1_000_000,
            steps in prop::collection::vec((0u64..4_000_000_000, 0u128..200_000), 1..200),
        ) {
            let spec = BucketSpec::new(Amount::from_base_units(size), Amount::from_base_units(refill)).unwrap();
            let start = Timestamp(1_700_000_000_000_123);
            let (mut level, mut now, mut out) = (Level::full(spec, start), start, 0u128);
            for (gap, amount) in steps {
                now = now.plus(gap);
                level = level.refilled(spec, now);
                if let Some(left) = level.take(Amount::from_base_units(amount)) {
                    level = left;
                    out += amount;
                }
                let refilled = refill * u128::from(now.since(start)) / 3_600_000_000;
                prop_assert!(out + level.available().base_units() <= size + refilled);
            }
        }
    }

    #[test]
    fn refills_by_whole_seconds_and_keeps_the_rest_of_a_second() {
        let units = Amount::from_base_units;
        let spec = BucketSpec::new(units(3_600), units(3_600)).unwrap();
        let start = Timestamp(1_700_000_000_000_000);
        let empty = Level::full(spec, start).take(units(3_600)).unwrap();
        let at = |micros| empty.refilled(spec, start.plus(micros));
        assert_eq!(at(time::SECOND - 1).available(), units(0));
        let half = at(time::SECOND / 2);
        assert_eq!(
            half.refilled(spec, start.plus(time::SECOND)).available(),
            units(1),
            "half a second was not lost"
        );
        assert_eq!(at(90 * time::MINUTE).available(), units(3_600), "never more than its size");
        assert_eq!(half.refilled(spec, start.minus(time::DAY)), half, "a clock behind refills nothing");
    }

    #[test]
    fn a_larger_bucket_does_not_jump_and_a_smaller_one_is_cut() {
        let units = Amount::from_base_units;
        let (small, large) =
            (BucketSpec::new(units(10), units(0)).unwrap(), BucketSpec::new(units(100), units(0)).unwrap());
        let start = Timestamp(1_700_000_000_000_000);
        assert_eq!(Level::full(small, start).refilled(large, start).available(), units(10));
        assert_eq!(Level::full(large, start).refilled(small, start).available(), units(10));
    }

    #[test]
    fn sizes_that_could_not_be_counted_exactly_are_refused() {
        assert_eq!(BucketSpec::new(Amount::MAX, Amount::ZERO), None);
        assert_eq!(BucketSpec::new(Amount::ZERO, Amount::MAX), None);
    }
}
