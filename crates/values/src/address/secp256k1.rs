//! One question about Bitcoin's curve, y² = x³ + 7 over p = 2²⁵⁶ - 2³² - 977: is there a point with this x?
//!
//! Public data only, so nothing here needs to run in constant time.

/// 256 bits, least significant word first.
type Words = [u64; 4];

/// The field's prime.
const P: Words = [0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX];
/// 2²⁵⁶ mod p.
const FOLD: u64 = 0x1_0000_03d1;

/// True if the 32 bytes are the x-coordinate of a point: smaller than p, and x³ + 7 a square (BIP-340, `lift_x`).
pub(super) fn is_x_coordinate(bytes: &[u8; 32]) -> bool {
    let x = from_bytes(bytes);
    if !is_less(&x, &P) {
        return false;
    }
    let cube = multiply(&multiply(&x, &x), &x);
    let mut rhs = [0; 4];
    let carry = add_small(&mut rhs, &cube, 7);
    if carry || !is_less(&rhs, &P) {
        rhs = subtract(&rhs, &P);
    }
    // No point has y = 0: the group's order is odd.
    jacobi(rhs) == 1
}

fn from_bytes(bytes: &[u8; 32]) -> Words {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*chunk);
    }
    words
}

fn is_less(a: &Words, b: &Words) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// a - b mod 2²⁵⁶.
fn subtract(a: &Words, b: &Words) -> Words {
    let mut out = [0; 4];
    let mut borrow = false;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        let (low, first) = a.overflowing_sub(*b);
        let (low, second) = low.overflowing_sub(u64::from(borrow));
        *out = low;
        borrow = first || second;
    }
    out
}

/// out = a + small mod 2²⁵⁶; true on a carry.
fn add_small(out: &mut Words, a: &Words, small: u64) -> bool {
    let mut carry = small;
    for (out, a) in out.iter_mut().zip(a) {
        let (low, over) = a.overflowing_add(carry);
        *out = low;
        carry = u64::from(over);
    }
    carry != 0
}

/// a · b mod p.
fn multiply(a: &Words, b: &Words) -> Words {
    let mut wide = [0u64; 8];
    for (shift, a) in a.iter().enumerate() {
        let mut carry = 0u128;
        for (slot, b) in wide.iter_mut().skip(shift).zip(b.iter().chain(core::iter::once(&0))) {
            let sum = u128::from(*slot) + u128::from(*a) * u128::from(*b) + carry;
            *slot = low(sum);
            carry = sum >> 64;
        }
    }
    // wide = high · 2²⁵⁶ + low = high · FOLD + low (mod p); what overflows is folded in once more.
    let (low_half, high_half) = wide.split_at(4);
    let mut out = [0; 4];
    let mut carry = 0u128;
    for ((out, low_word), high_word) in out.iter_mut().zip(low_half).zip(high_half) {
        let sum = u128::from(*low_word) + u128::from(*high_word) * u128::from(FOLD) + carry;
        *out = low(sum);
        carry = sum >> 64;
    }
    // carry < 2³⁴, so carry · FOLD < 2⁶⁷: two words.
    let mut rest = carry * u128::from(FOLD);
    let mut over = 0u128;
    for word in &mut out {
        let sum = u128::from(*word) + u128::from(low(rest)) + over;
        *word = low(sum);
        over = sum >> 64;
        rest >>= 64;
    }
    if over != 0 {
        // The value wrapped, so what is left is small and one more fold cannot wrap again.
        let wrapped = out;
        add_small(&mut out, &wrapped, FOLD);
    }
    while !is_less(&out, &P) {
        out = subtract(&out, &P);
    }
    out
}

#[expect(clippy::cast_possible_truncation, reason = "the low word is what is wanted")]
const fn low(value: u128) -> u64 {
    value as u64
}

/// The Jacobi symbol (a / p), by the binary algorithm: 1 for a square, -1 for a non-square, 0 for zero.
fn jacobi(mut a: Words) -> i8 {
    let mut n = P;
    let mut sign = 1;
    while a != [0; 4] {
        while low_bits(&a) & 1 == 0 {
            halve(&mut a);
            if matches!(low_bits(&n) & 7, 3 | 5) {
                sign = -sign;
            }
        }
        if is_less(&a, &n) {
            core::mem::swap(&mut a, &mut n);
            if low_bits(&a) & 3 == 3 && low_bits(&n) & 3 == 3 {
                sign = -sign;
            }
        }
        a = subtract(&a, &n);
    }
    if n == [1, 0, 0, 0] { sign } else { 0 }
}

const fn low_bits(a: &Words) -> u64 {
    let [low, ..] = a;
    *low
}

fn halve(a: &mut Words) {
    let mut carry = 0;
    for word in a.iter_mut().rev() {
        let next = *word << 63;
        *word = (*word >> 1) | carry;
        carry = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        let mut out = [0; 32];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[i * 2..i * 2 + 2], 16).unwrap();
        }
        out
    }

    #[test]
    fn tells_points_from_other_numbers() {
        for (x, expected) in [
            // The generator; BIP-340 test vectors 5 (not on the curve), 13 (x = p) and 3's key; BIP-350's v1 program.
            ("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", true),
            ("f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9", true),
            ("dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659", true),
            ("25d1dff95105f5253c4022f628a996ad3a0d95fbf21d468a1b33f8c160d8f517", true),
            ("eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34", false),
            ("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30", false),
            ("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", false),
            ("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false),
            ("000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433", true),
            // x = 0 would need the square root of 7, which does not exist; x = 1 has one.
            ("0000000000000000000000000000000000000000000000000000000000000000", false),
            ("0000000000000000000000000000000000000000000000000000000000000001", true),
            ("0000000000000000000000000000000000000000000000000000000000000005", false),
        ] {
            assert_eq!(is_x_coordinate(&bytes(x)), expected, "{x}");
        }
    }
}
