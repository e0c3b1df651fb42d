//! Ids of accounts and events. An event's id says nothing: not whose it is, not when it was made, not in which order.

/// The id of an account: `ac_000001` for 1.
pub fn account(number: u32) -> Box<str> {
    format!("ac_{number:06}").into()
}

/// Who an event is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The nth of a person on a day; day [`OPENING`] is the time before the first.
    Person {
        /// The account's number, below 2^27; 0 is the exchange itself.
        number: u32,
        /// The day, below 2^14.
        day: u32,
        /// Which, below 2^22.
        nth: u32,
    },
    /// The nth of somebody else: whoever adds to the stream, numbered by themselves; below 2^63.
    Other(u64),
}

/// The day of everything before day 0.
pub const OPENING: u32 = (1 << 14) - 1;

/// The id of an event: `e` and thirteen characters. Different events of a run have different ids, because the numbers are
/// only permuted (by the seed); an attacker's look like everybody's.
pub fn event(seed: u64, from: From) -> Box<str> {
    let number = match from {
        From::Person { number, day, nth } => {
            (u64::from(number) & 0x07ff_ffff) << 36
                | (u64::from(day) & 0x3fff) << 22
                | u64::from(nth) & 0x003f_ffff
        }
        From::Other(nth) => nth | 1 << 63,
    };
    format!("e{}", letters(permuted(seed, number))).into()
}

/// A name that is drawn for a device, a key or the like: thirteen characters, different for different numbers.
pub(super) fn token(seed: u64, what: u64, number: u64) -> String {
    letters(permuted(seed ^ mix(what), number))
}

const fn permuted(seed: u64, number: u64) -> u64 {
    mix(mix(number ^ mix(seed)).wrapping_add(mix(!seed)))
}

fn letters(bits: u64) -> String {
    let digit = |place: u32| usize::try_from((bits >> (5 * place)) & 31).unwrap_or(0);
    let letter = |place| char::from(ALPHABET.get(digit(place)).copied().unwrap_or(b'0'));
    (0..13).map(letter).collect()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A permutation of 64 bits (the finaliser of MurmurHash3, Austin Appleby, public domain).
pub(super) const fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_tell_neither_order_nor_origin() {
        let mut ids = Vec::new();
        for number in 0..40 {
            for day in [0, 1, 127, OPENING] {
                ids.extend((0..20).map(|nth| event(7, From::Person { number, day, nth })));
            }
        }
        ids.extend((0..3_200).map(|nth| event(7, From::Other(nth))));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 6_400);
        assert!(ids.iter().all(|id| id.len() == 14 && id.starts_with('e')));
        // Each first letter is as frequent among the ones as among the others, and neighbours are in no order.
        let count = |ids: &[Box<str>], letter: u8| ids.iter().filter(|id| id.as_bytes()[1] == letter).count();
        for letter in ALPHABET {
            for part in ids.chunks(3_200) {
                assert!((60..145).contains(&count(part, *letter)), "{}", char::from(*letter));
            }
        }
        let rising = ids.windows(2).filter(|two| two[0] < two[1]).count();
        assert!((3_000..3_400).contains(&rising), "{rising}");
        assert_ne!(event(7, From::Other(1)), event(8, From::Other(1)));
    }
}
