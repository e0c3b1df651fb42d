//! Seeded randomness: a generator for each thing that is drawn, so that what one draws never moves another.

use rand_pcg::Pcg64Mcg;

/// A generator. Its values are stable across platforms and versions of its crate.
pub type Draw = Pcg64Mcg;

/// The generator of one thing: `seed` of the run, what is drawn (`"withdrawals"`), and whose (account, day, ...).
/// Different words or numbers give unrelated generators.
pub fn draw(seed: u64, what: &str, whose: &[u64]) -> Draw {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&u64::try_from(what.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(what.as_bytes());
    for number in whose {
        hasher.update(&number.to_le_bytes());
    }
    let mut state = [0; 16];
    hasher.finalize_xof().fill(&mut state);
    // The generator's state must be odd; `new` sees to it.
    Pcg64Mcg::new(u128::from_le_bytes(state))
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn each_thing_has_a_generator_of_its_own() {
        let first = |seed, what, whose: &[u64]| draw(seed, what, whose).next_u64();
        assert_eq!(first(1, "a", &[2]), first(1, "a", &[2]));
        for other in [first(2, "a", &[2]), first(1, "b", &[2]), first(1, "a", &[3]), first(1, "a", &[2, 0])] {
            assert_ne!(first(1, "a", &[2]), other);
        }
    }
}
