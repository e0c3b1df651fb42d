//! Token buckets: what may leave in a class, with a share for each account and a part kept for small withdrawals.
//!
//! Levels are exact: integers of 1/3600 of a unit, refilled by whole seconds, the rest of a second kept in the time.
//! What was taken plus what is left is never more than the size plus what time refilled.

use std::collections::BTreeMap;

use holdfast_values::{Amount, Micros, Timestamp, time};
use minicbor::{Decode, Encode};

use crate::configuration::{BucketSpec, Parameters};
use crate::event::AccountIndex;

const SCALE: u128 = 3_600;

/// A level that time moves towards its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    /// In 1/3600 of a unit.
    scaled: u128,
    /// Up to when time has been accounted for.
    at: Timestamp,
}

impl<C> Encode<C> for Level {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.encode(Amount::from_base_units(self.scaled))?.u64(self.at.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Level {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("level: an array of two"));
        }
        let scaled: Amount = d.decode()?;
        Ok(Self { scaled: scaled.base_units(), at: Timestamp(d.u64()?) })
    }
}

/// A bucket and what each account took of it lately.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Bucket {
    #[n(0)]
    spec: BucketSpec,
    #[n(1)]
    level: Level,
    /// What each account has taken and time has not yet given back to it; absent: nothing.
    #[n(2)]
    taken: BTreeMap<AccountIndex, Level>,
}

/// Who takes, and by which rules.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    /// Whose share is spent.
    pub account: AccountIndex,
    /// It may use what is kept for small withdrawals of old accounts.
    pub small: bool,
    /// Operators approved it: no share limits it, only the bucket.
    pub unshared: bool,
}

/// What a bucket says to an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It can be taken now.
    Now,
    /// It can be taken later, if nobody else takes meanwhile: after so many microseconds of each of these.
    After {
        /// Until the bucket holds enough.
        level: Micros,
        /// Until the account's share does.
        share: Micros,
    },
    /// It can never be taken.
    Never,
}

impl Fit {
    /// What two buckets say together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Now, fit) | (fit, Self::Now) => fit,
            (Self::After { level: a, share: b }, Self::After { level: c, share: d }) => {
                Self::After { level: a.max(c), share: b.max(d) }
            }
        }
    }

    /// How long that is; `None` for never.
    pub fn wait(self) -> Option<Micros> {
        match self {
            Self::Now => Some(0),
            Self::After { level, share } => Some(level.max(share)),
            Self::Never => None,
        }
    }
}

impl Bucket {
    /// A full bucket.
    pub fn full(spec: BucketSpec, at: Timestamp) -> Self {
        Self { spec, level: Level { scaled: scaled(spec.size), at }, taken: BTreeMap::new() }
    }

    /// Its size and refill.
    pub const fn spec(&self) -> BucketSpec {
        self.spec
    }

    /// What is left at `at`, rounded down.
    pub fn available(&self, at: Timestamp) -> Amount {
        Amount::from_base_units(self.level_at(at).scaled / SCALE)
    }

    fn level_at(&self, at: Timestamp) -> Level {
        let (seconds, upto) = whole_seconds(self.level.at, at);
        let full = scaled(self.spec.size);
        let refill = self.spec.refill_per_hour.base_units().saturating_mul(seconds);
        let level = self.level.scaled.saturating_add(refill);
        // A full bucket does not save time for later.
        if level >= full { Level { scaled: full, at } } else { Level { scaled: level, at: upto } }
    }

    fn taken_at(&self, account: AccountIndex, at: Timestamp, parameters: &Parameters) -> Level {
        let Some(taken) = self.taken.get(&account) else { return Level { scaled: 0, at } };
        let (seconds, upto) = whole_seconds(taken.at, at);
        let back = share(self.spec.refill_per_hour, parameters.account_share_permille)
            .saturating_mul(seconds)
            / SCALE;
        match taken.scaled.saturating_sub(back) {
            0 => Level { scaled: 0, at },
            left => Level { scaled: left, at: upto },
        }
    }

    /// Whether `amount` fits.
    pub fn fit(&self, amount: Amount, taker: Taker, at: Timestamp, parameters: &Parameters) -> Fit {
        let Some(need) = amount.base_units().checked_mul(SCALE) else { return Fit::Never };
        let full = scaled(self.spec.size);
        let kept = if taker.small { 0 } else { share(self.spec.size, parameters.small_reserve_permille) };
        let most =
            if taker.unshared { full } else { share(self.spec.size, parameters.account_share_permille) };
        if need > most || need.saturating_add(kept) > full {
            return Fit::Never;
        }
        let level = self.level_at(at);
        let missing = need.saturating_add(kept).saturating_sub(level.scaled);
        let wait_level = wait(missing, self.spec.refill_per_hour.base_units());
        let taken = self.taken_at(taker.account, at, parameters);
        let excess = if taker.unshared { 0 } else { taken.scaled.saturating_add(need).saturating_sub(most) };
        // Divisions in 128 bits are slow, and mostly there is nothing to wait for.
        let wait_share = if excess == 0 {
            Some(0)
        } else {
            wait(excess, share(self.spec.refill_per_hour, parameters.account_share_permille) / SCALE)
        };
        match (wait_level, wait_share) {
            (Some(0), Some(0)) => Fit::Now,
            (Some(level), Some(share)) => Fit::After { level, share },
            _ => Fit::Never,
        }
    }

    /// Takes `amount`; whoever calls has seen that it fits.
    pub fn take(&mut self, amount: Amount, account: AccountIndex, at: Timestamp, parameters: &Parameters) {
        let need = scaled(amount);
        let mut level = self.level_at(at);
        level.scaled = level.scaled.saturating_sub(need);
        let mut taken = self.taken_at(account, at, parameters);
        taken.scaled = taken.scaled.saturating_add(need);
        self.level = level;
        self.taken.insert(account, taken);
    }

    /// Gives `amount` back, at most to the brim.
    pub fn give_back(
        &mut self,
        amount: Amount,
        account: AccountIndex,
        at: Timestamp,
        parameters: &Parameters,
    ) {
        let back = scaled(amount);
        let mut level = self.level_at(at);
        level.scaled = level.scaled.saturating_add(back).min(scaled(self.spec.size));
        self.level = level;
        let mut taken = self.taken_at(account, at, parameters);
        taken.scaled = taken.scaled.saturating_sub(back);
        if taken.scaled == 0 {
            self.taken.remove(&account);
        } else {
            self.taken.insert(account, taken);
        }
    }

    /// Another size and refill: a larger bucket does not jump, a smaller one is cut.
    /// `parameters` are those of until now: what accounts have taken so far comes back by the old shares.
    pub fn resize(&mut self, spec: BucketSpec, at: Timestamp, parameters: &Parameters) {
        self.trim(at, parameters);
        let settled: Vec<(AccountIndex, Level)> =
            self.taken.keys().map(|account| (*account, self.taken_at(*account, at, parameters))).collect();
        self.taken.extend(settled);
        let mut level = self.level_at(at);
        level.scaled = level.scaled.min(scaled(spec.size));
        level.at = at.max(level.at);
        self.level = level;
        self.spec = spec;
    }

    /// Forgets accounts that time has given everything back to.
    pub fn trim(&mut self, at: Timestamp, parameters: &Parameters) {
        let dead: Vec<AccountIndex> = self
            .taken
            .keys()
            .filter(|account| self.taken_at(**account, at, parameters).scaled == 0)
            .copied()
            .collect();
        for account in dead {
            self.taken.remove(&account);
        }
    }
}

const fn scaled(amount: Amount) -> u128 {
    amount.base_units().saturating_mul(SCALE)
}

/// A share in 1/1000 of an amount, scaled, rounded down.
const fn share(amount: Amount, permille: u32) -> u128 {
    amount.base_units().saturating_mul(SCALE).saturating_mul(permille as u128) / 1_000
}

fn whole_seconds(from: Timestamp, to: Timestamp) -> (u128, Timestamp) {
    let seconds = to.since(from) / time::SECOND;
    (u128::from(seconds), from.plus(seconds.saturating_mul(time::SECOND)))
}

/// Microseconds until `missing` has flowed in at `per_second` (scaled units); `None` if it never does.
fn wait(missing: u128, per_second: u128) -> Option<u64> {
    if missing == 0 {
        return Some(0);
    }
    if per_second == 0 {
        return None;
    }
    let seconds = u64::try_from(missing.div_ceil(per_second)).ok()?;
    Some(seconds.saturating_add(1).saturating_mul(time::SECOND))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However it is taken and given back, never more than the size and the refill of the time that passed.
        #[test]
        fn never_gives_more_than_size_and_refill(
            size in 1u128..1_000_000,
            refill in 0u128..1_000_000,
            steps in prop::collection::vec((0u64..4_000_000_000, 0u32..5, 1u128..200_000, any::<bool>()), 1..200),
        ) {
            let parameters = Parameters::default();
            let spec = BucketSpec { size: Amount::from_base_units(size), refill_per_hour: Amount::from_base_units(refill) };
            let start = Timestamp(1_700_000_000_000_123);
            let mut bucket = Bucket::full(spec, start);
            let (mut now, mut out, mut live) = (start, 0u128, Vec::new());
            for (gap, account, amount, back) in steps {
                now = now.plus(gap);
                let account = AccountIndex(account);
                if back && let Some((account, amount)) = live.pop() {
                    bucket.give_back(amount, account, now, &parameters);
                    out -= amount.base_units();
                } else {
                    let amount = Amount::from_base_units(amount);
                    let taker = Taker { account, small: true, unshared: true };
                    if bucket.fit(amount, taker, now, &parameters) == Fit::Now {
                        bucket.take(amount, account, now, &parameters);
                        out += amount.base_units();
                        live.push((account, amount));
                    }
                }
                let refilled = refill * u128::from(now.since(start)) / 3_600_000_000;
                prop_assert!(out + bucket.available(now).base_units() <= size + refilled);
            }
        }
    }

    #[test]
    fn refills_by_whole_seconds_and_keeps_the_rest_of_a_second() {
        let parameters = Parameters::default();
        let units = Amount::from_base_units;
        let mut bucket = Bucket::full(
            BucketSpec { size: units(3_600), refill_per_hour: units(3_600) },
            Timestamp(1_700_000_000_000_000),
        );
        let at = |micros| Timestamp(1_700_000_000_000_000).plus(micros);
        bucket.take(units(3_600), AccountIndex(0), at(0), &parameters);
        assert_eq!(bucket.available(at(time::SECOND - 1)), units(0));
        bucket.take(units(0), AccountIndex(0), at(time::SECOND / 2), &parameters);
        assert_eq!(bucket.available(at(time::SECOND)), units(1), "half a second was not lost");
        assert_eq!(bucket.available(at(90 * time::MINUTE)), units(3_600), "never more than its size");
        bucket.take(units(3_600), AccountIndex(0), at(90 * time::MINUTE + 1), &parameters);
        assert_eq!(
            bucket.available(at(90 * time::MINUTE + time::SECOND)),
            units(0),
            "a full one saves no time"
        );
    }

    #[test]
    fn what_is_kept_for_small_ones_is_for_nobody_else() {
        let parameters = Parameters::default();
        let size = Amount::from_base_units(1_000);
        let at = Timestamp(1_700_000_000_000_000);
        let mut bucket = Bucket::full(BucketSpec { size, refill_per_hour: size }, at);
        // 70 % is gone: what is left is the share that is kept.
        bucket.take(Amount::from_base_units(700), AccountIndex(1), at, &parameters);
        let one = Amount::from_base_units(1);
        let fit = |small| {
            bucket.fit(one, Taker { account: AccountIndex(0), small, unshared: false }, at, &parameters)
        };
        assert_eq!(fit(true), Fit::Now);
        assert!(matches!(fit(false), Fit::After { .. }));
    }

    #[test]
    fn what_was_taken_before_a_change_of_size_comes_back_by_the_old_share() {
        let parameters = Parameters::default();
        let spec = |units| BucketSpec {
            size: Amount::from_base_units(units),
            refill_per_hour: Amount::from_base_units(units),
        };
        let at = Timestamp(1_700_000_000_000_000);
        let fifty = Amount::from_base_units(50);
        let taker = Taker { account: AccountIndex(0), small: true, unshared: false };
        let mut bucket = Bucket::full(spec(1_000), at);
        bucket.take(fifty, AccountIndex(0), at, &parameters);
        let half_an_hour = at.plus(30 * time::MINUTE);
        bucket.resize(spec(2_000), half_an_hour, &parameters);
        assert_eq!(bucket.available(half_an_hour), Amount::from_base_units(1_000), "no jump");
        // 25 of 50 came back, and an account may now have 100: 75 fit, 76 do not.
        let now = |units| bucket.fit(Amount::from_base_units(units), taker, half_an_hour, &parameters);
        assert_eq!(now(75), Fit::Now);
        assert_ne!(now(76), Fit::Now);
    }

    #[test]
    fn no_account_takes_more_than_its_share_and_some_is_kept() {
        let parameters = Parameters::default();
        let spec = BucketSpec {
            size: Amount::from_base_units(1_000),
            refill_per_hour: Amount::from_base_units(1_000),
        };
        let at = Timestamp(1_700_000_000_000_000);
        let mut bucket = Bucket::full(spec, at);
        let taker = |account: u32| Taker { account: AccountIndex(account), small: false, unshared: false };
        let fifty = Amount::from_base_units(50);
        assert_eq!(
            bucket.fit(Amount::from_base_units(51), taker(0), at, &parameters),
            Fit::Never,
            "over 5 %"
        );
        for account in 0..14 {
            assert_eq!(bucket.fit(fifty, taker(account), at, &parameters), Fit::Now);
            bucket.take(fifty, AccountIndex(account), at, &parameters);
        }
        assert_ne!(bucket.fit(fifty, taker(14), at, &parameters), Fit::Now, "30 % is kept");
        let small = Taker { account: AccountIndex(15), small: true, unshared: false };
        assert_eq!(bucket.fit(fifty, small, at, &parameters), Fit::Now, "for small withdrawals");
        let Fit::After { level, share } = bucket.fit(fifty, taker(0), at, &parameters) else {
            panic!("it refills")
        };
        let wait = level.max(share);
        let later = at.plus(wait);
        assert_eq!(bucket.fit(fifty, taker(0), later, &parameters), Fit::Now, "when it was said");
        assert_ne!(bucket.fit(fifty, taker(0), at.plus(wait - 2 * time::SECOND), &parameters), Fit::Now);
    }
}
