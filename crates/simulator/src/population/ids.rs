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
    let mixed = mix(mix(number ^ mix(seed)).wrapping_add(mix(!seed)));
    let mut text = String::with_capacity(14);
    text.push('e');
    for place in 0..13u32 {
        let digit = (mixed >> (5 * place)) & 31;
        text.push(char::from(ALPHABET.get(digit as usize).copied().unwrap_or(b'0')));
    }
    text.into()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A permutation of 64 bits (the finaliser of MurmurHash3, Austin Appleby, public domain).
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}
