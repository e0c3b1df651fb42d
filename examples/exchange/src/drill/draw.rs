//! Chance, from a seed: the same seed draws the same customers. Integers only, so that every machine draws alike.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to invent customers.
pub(crate) struct Draw(u64);

impl Draw {
    /// A stream of its own for each purpose, so that a change of one leaves the others alone.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mixed)
    }

    /// 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `0` to `below - 1`; the bias is beneath notice for small bounds.
    pub(crate) const fn below(&mut self, below: u64) -> u64 {
        self.next() % if below == 0 { 1 } else { below }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True this often in a thousand.
    pub(crate) const fn permille(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.next().to_le_bytes()[0])
    }

    /// A place in a row of weights.
    pub(crate) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return place,
            }
        }
        0
    }

    /// A log-normal amount: its median, and the sigma of its natural logarithm in thousandths.
    pub(crate) fn log_normal(&mut self, median: u64, sigma_milli: u64) -> u64 {
        // Twelve uniform numbers have a variance of one: a normal number in 1/1024, within six sigma.
        let sum: u64 = (0..12).map(|_| self.below(1_024)).sum();
        let sigmas = i64::try_from(sum).unwrap_or(0).saturating_sub(6 * 1_023);
        // In 1/1024 octaves: a nat is 1.442695 octaves.
        let sigma = i64::try_from(sigma_milli).unwrap_or(0);
        let octaves = sigmas.saturating_mul(sigma).saturating_mul(1_442_695) / 1_000_000_000;
        let (whole, part) = (octaves.div_euclid(1_024), octaves.rem_euclid(1_024));
        // Between two powers of two a straight line: at most 6 % above the curve.
        let scaled = u128::from(median).saturating_mul(1_024u128.saturating_add(part.unsigned_abs().into()));
        let shift = u32::try_from(whole.unsigned_abs()).unwrap_or(u32::MAX).min(60);
        let scaled = if whole < 0 { scaled >> shift } else { scaled << shift };
        u64::try_from(scaled / 1_024).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_median_and_the_tail_that_were_asked_for() {
        let mut draw = Draw::new(1, "test");
        let mut amounts: Vec<u64> = (0..20_000).map(|_| draw.log_normal(30_000, 1_500)).collect();
        amounts.sort_unstable();
        let median = amounts[10_000];
        assert!((28_000..34_000).contains(&median), "{median}");
        // One sigma above the median: 30,000 * e^1.5 = 134,451.
        let above = amounts[16_827];
        assert!((125_000..148_000).contains(&above), "{above}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let (mut one, mut two) = (Draw::new(7, "a"), Draw::new(7, "a"));
        assert_eq!(
            (0..9).map(|_| one.next()).collect::<Vec<_>>(),
            (0..9).map(|_| two.next()).collect::<Vec<_>>()
        );
        assert_ne!(Draw::new(7, "b").next(), Draw::new(7, "a").next());
        let counts = (0..6_000).fold([0u32; 3], |mut counts, _| {
            counts[one.weighted(&[1, 2, 3])] += 1;
            counts
        });
        assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
    }
}
