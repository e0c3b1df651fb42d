//! Small damage to bytes, drawn from a number: the same number does the same damage, always.

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        // What formats are made of comes up more often than chance would have it.
        const TELLING: &[u8] = b"\x00\x01\x7f\x80\xff\xf6\x9f\xbf\x18\x1b019afAF-._:= \n\"[]";
        if self.next().is_multiple_of(2) { self.next() as u8 } else { TELLING[self.below(TELLING.len())] }
    }
}

/// A copy with one to four blows; `others` give what is spliced in.
pub(crate) fn damage(bytes: &[u8], others: &[&[u8]], number: u64) -> Vec<u8> {
    let mut draw = Draw(number);
    let mut damaged = bytes.to_vec();
    for _ in 0..=draw.below(4) {
        let at = draw.below(damaged.len() + 1);
        let end = at + draw.below((damaged.len() - at).min(40) + 1);
        match draw.below(10) {
            0 | 1 if at < damaged.len() => damaged[at] ^= 1 << draw.below(8),
            2 | 3 if at < damaged.len() => damaged[at] = draw.byte(),
            4 => damaged.insert(at, draw.byte()),
            5 => drop(damaged.drain(at..end)),
            6 => {
                let again = damaged[at..end].to_vec();
                drop(damaged.splice(at..at, again));
            }
            // The head of a CBOR item in more bytes than it needs.
            7 if at < damaged.len() => {
                let (kind, number) = (damaged[at] & 0xe0, damaged[at] & 0x1f);
                let longer = if number < 24 { vec![kind | 24, number] } else { vec![damaged[at] | 1, 0] };
                drop(damaged.splice(at..=at, longer));
            }
            8 => damaged[at..end].iter_mut().for_each(|byte| byte.make_ascii_lowercase()),
            _ => {
                let other = others[draw.below(others.len())];
                let from = draw.below(other.len() + 1);
                let to = from + draw.below((other.len() - from).min(40) + 1);
                drop(damaged.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    damaged
}

#[test]
fn damage_repeats_and_differs() {
    let bytes = b"holdfast-operator/v1\nexchange: harbor.example\n";
    let all: Vec<Vec<u8>> = (0..100).map(|number| damage(bytes, &[bytes], number)).collect();
    assert!((0u64..).zip(&all).all(|(number, damaged)| *damaged == damage(bytes, &[bytes], number)));
    assert!(all.iter().filter(|damaged| damaged.as_slice() != bytes).count() > 90);
}
