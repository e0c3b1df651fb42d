//! Recovery codes: what a customer keeps on paper for the day when the device is lost. Each is good once.
//!
//! Codes are 80 random bits, shown once, and kept only as Argon2id hashes. One set has one salt, so that a presented code is
//! hashed once, however many codes the set has, and compared with all of them in constant time. What the shared salt gives
//! away: who steals the hashes tries a guess against a whole set at a time. That makes ten codes of 80 bits as hard as one of
//! 76, which no hash needs to slow down; the hash is there should randomness ever be worse than it claims.
//!
//! Which codes have been used is remembered in the ordered state, by their index.

use core::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use holdfast_authn::encoding::{base64url, to_base64url};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// How many codes a set has.
pub const CODES: usize = 10;
/// The most codes that a stored set may have.
pub const CODES_MAX: usize = 32;
/// The longest text that is looked at as a code.
pub const CODE_BYTES_MAX: usize = 64;

/// What one hash costs: 19 MiB, twice over, in one lane, as OWASP recommends for Argon2id.
const COST: Cost = Cost { memory: 19 * 1024, passes: 2 };
/// What a stored set may ask for at most: a damaged one must not take the server's memory.
const COST_MAX: Cost = Cost { memory: 256 * 1024, passes: 16 };

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
const CODE_BYTES: usize = 10;
/// Base-32 digits of a code, in groups of four.
const CODE_DIGITS: usize = 16;
/// Crockford's base 32 in capitals: no I, L, O, U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why there are no recovery codes, or none could be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// None, or too many.
    #[error("a set has 1 to {CODES_MAX} recovery codes")]
    Count,
    /// What is stored is no set of codes.
    #[error(
        "this is no stored set of recovery codes: restore it from a backup, or have the customer make new codes"
    )]
    Stored,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: no codes were made")]
    NoRandomness,
    /// The hash could not be computed.
    #[error("there is not enough memory to check a recovery code: try again")]
    NoMemory,
}

impl RecoveryError {
    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Count => "recovery_count",
            Self::Stored => "recovery_stored",
            Self::NoRandomness => "recovery_no_randomness",
            Self::NoMemory => "recovery_no_memory",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    /// In KiB.
    memory: u32,
    passes: u32,
}

/// A new set: the codes, to be shown once, and what is kept of them.
pub struct NewCodes {
    /// `XXXX-XXXX-XXXX-XXXX`, wiped when dropped.
    pub codes: Vec<Zeroizing<String>>,
    /// What goes to the vault.
    pub stored: StoredCodes,
}

impl fmt::Debug for NewCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCodes").field("codes", &self.codes.len()).finish_non_exhaustive()
    }
}

/// The hashes of one set of codes, as they lie in the vault.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct StoredCodes {
    salt: [u8; SALT_BYTES],
    cost: Cost,
    hashes: Vec<[u8; HASH_BYTES]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    argon2id: String,
    memory_kib: u32,
    passes: u32,
    salt: String,
    hashes: Vec<String>,
}

impl From<StoredCodes> for Stored {
    fn from(codes: StoredCodes) -> Self {
        Self {
            argon2id: VERSION.to_owned(),
            memory_kib: codes.cost.memory,
            passes: codes.cost.passes,
            salt: to_base64url(&codes.salt),
            hashes: codes.hashes.iter().map(|hash| to_base64url(hash)).collect(),
        }
    }
}

/// Argon2's version 1.3, as its encoded hashes write it.
const VERSION: &str = "v=19";

impl TryFrom<Stored> for StoredCodes {
    type Error = RecoveryError;
    fn try_from(stored: Stored) -> Result<Self, RecoveryError> {
        fn bytes<const N: usize>(text: &str) -> Result<[u8; N], RecoveryError> {
            base64url(text.as_bytes()).and_then(|bytes| bytes.try_into().ok()).ok_or(RecoveryError::Stored)
        }
        let cost = Cost { memory: stored.memory_kib, passes: stored.passes };
        if stored.argon2id != VERSION
            || !(Params::MIN_M_COST..=COST_MAX.memory).contains(&cost.memory)
            || !(Params::MIN_T_COST..=COST_MAX.passes).contains(&cost.passes)
            || !(1..=CODES_MAX).contains(&stored.hashes.len())
        {
            return Err(RecoveryError::Stored);
        }
        let hashes = stored.hashes.iter().map(|hash| bytes(hash)).collect::<Result<_, _>>()?;
        Ok(Self { salt: bytes(&stored.salt)?, cost, hashes })
    }
}

impl fmt::Debug for StoredCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCodes").field("codes", &self.hashes.len()).finish_non_exhaustive()
    }
}

impl StoredCodes {
    /// Makes a set of `count` codes. Takes a hash for each: call it where blocking is fine.
    pub fn generate(random: &SystemRandom, count: usize) -> Result<NewCodes, RecoveryError> {
        Self::generate_at(COST, random, count)
    }

    fn generate_at(cost: Cost, random: &SystemRandom, count: usize) -> Result<NewCodes, RecoveryError> {
        if !(1..=CODES_MAX).contains(&count) {
            return Err(RecoveryError::Count);
        }
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt).map_err(|_| RecoveryError::NoRandomness)?;
        let mut stored = Self { salt, cost, hashes: Vec::with_capacity(count) };
        let mut codes = Vec::with_capacity(count);
        for _ in 0..count {
            let mut code = Zeroizing::new([0; CODE_BYTES]);
            random.fill(&mut *code).map_err(|_| RecoveryError::NoRandomness)?;
            stored.hashes.push(*stored.hash(&code)?);
            codes.push(spelled(&code));
        }
        Ok(NewCodes { codes, stored })
    }

    /// How many codes the set was made with, used ones included.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }

    /// The index of the code that this is, if it is one of the set; the caller accepts each index once.
    ///
    /// Case, dashes and spaces do not matter, and O reads as 0, I and L as 1. Whatever has the form of a code takes one hash,
    /// some 20 ms and 19 MiB, so callers limit how often and how many at once, and call it where blocking is fine; anything
    /// else is refused at once.
    pub fn matches(&self, presented: &str) -> Result<Option<usize>, RecoveryError> {
        let Some(code) = parsed(presented) else { return Ok(None) };
        let hash = self.hash(&code)?;
        let (mut found, mut which) = (subtle::Choice::from(0), 0u64);
        for (index, kept) in (0u64..).zip(&self.hashes) {
            let same = kept[..].ct_eq(&hash[..]);
            which.conditional_assign(&index, same);
            found |= same;
        }
        Ok(usize::try_from(which).ok().filter(|_| bool::from(found)))
    }

    fn hash(&self, code: &[u8; CODE_BYTES]) -> Result<Zeroizing<[u8; HASH_BYTES]>, RecoveryError> {
        let params = Params::new(self.cost.memory, self.cost.passes, 1, Some(HASH_BYTES));
        let argon2 =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| RecoveryError::Stored)?);
        let mut hash = Zeroizing::new([0; HASH_BYTES]);
        // Of what can go wrong here, only memory can: the lengths are fixed.
        argon2.hash_password_into(code, &self.salt, &mut *hash).map_err(|_| RecoveryError::NoMemory)?;
        Ok(hash)
    }
}

fn spelled(code: &[u8; CODE_BYTES]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(CODE_DIGITS + 3));
    for half in code.chunks(5) {
        let value = half.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        for place in (0..8u32).rev() {
            if place % 4 == 3 && !text.is_empty() {
                text.push('-');
            }
            let digit = usize::try_from((value >> (place * 5)) & 31).unwrap_or_default();
            text.push(DIGITS.get(digit).copied().map_or('0', char::from));
        }
    }
    text
}

fn parsed(text: &str) -> Option<Zeroizing<[u8; CODE_BYTES]>> {
    if text.len() > CODE_BYTES_MAX {
        return None;
    }
    let (mut value, mut digits) = (Zeroizing::new(0u128), 0);
    for letter in text.bytes().filter(|letter| !matches!(letter, b' ' | b'-')) {
        let letter = match letter.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            letter => letter,
        };
        let digit = u128::try_from(DIGITS.iter().position(|known| *known == letter)?).ok()?;
        digits += 1;
        if digits > CODE_DIGITS {
            return None;
        }
        *value = (*value << 5) | digit;
    }
    if digits != CODE_DIGITS {
        return None;
    }
    let bytes = Zeroizing::new(value.to_be_bytes());
    bytes.last_chunk().copied().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As little as Argon2 allows: what is tested here is not how slow it is.
    const CHEAP: Cost = Cost { memory: 8, passes: 1 };

    fn new_codes(count: usize) -> NewCodes {
        StoredCodes::generate_at(CHEAP, &SystemRandom::new(), count).unwrap()
    }

    #[test]
    fn each_code_is_found_at_its_own_index() {
        let set = new_codes(CODES);
        assert_eq!((set.codes.len(), set.stored.count()), (CODES, CODES));
        for (index, code) in set.codes.iter().enumerate() {
            assert_eq!(set.stored.matches(code), Ok(Some(index)));
        }
        let other = new_codes(CODES);
        for code in &other.codes {
            assert_eq!(set.stored.matches(code), Ok(None), "a code of another set");
        }
        let distinct: std::collections::BTreeSet<&str> =
            set.codes.iter().chain(&other.codes).map(|code| code.as_str()).collect();
        assert_eq!(distinct.len(), 2 * CODES);
    }

    #[test]
    fn a_code_may_be_typed_in_many_ways() {
        let set = new_codes(3);
        let code = set.codes[2].as_str();
        assert_eq!(code.len(), 19);
        assert!(code.split('-').all(|group| group.len() == 4 && group.bytes().all(|b| DIGITS.contains(&b))));
        for typed in [
            code.to_lowercase(),
            code.replace('-', ""),
            code.replace('-', " "),
            format!("  {} ", code.replace('-', " - ")),
            code.replace('0', "o").replace('1', "l"),
            code.replace('0', "O").replace('1', "I"),
        ] {
            assert_eq!(set.stored.matches(&typed), Ok(Some(2)), "{typed:?}");
        }
        for typed in [
            String::new(),
            "-".repeat(19),
            code[..18].to_owned(),
            format!("{code}0"),
            format!("{code}{}", " ".repeat(64)),
            code.replacen(|_: char| true, "U", 1),
            code.replacen(|_: char| true, "\u{ff10}", 1),
            code.replace('-', "_"),
            code.replace('-', "\u{2013}"),
        ] {
            assert_eq!(set.stored.matches(&typed), Ok(None), "{typed:?}");
        }
    }

    #[test]
    fn what_is_stored_reads_back_and_holds_no_code() {
        let set = new_codes(CODES);
        let json = serde_json::to_string(&set.stored).unwrap();
        let again: StoredCodes = serde_json::from_str(&json).unwrap();
        assert_eq!(again, set.stored);
        for (index, code) in set.codes.iter().enumerate() {
            assert_eq!(again.matches(code), Ok(Some(index)));
            assert!(!json.contains(code.as_str()) && !format!("{set:?}{again:?}").contains(&code[..4]));
        }
    }

    #[test]
    fn damaged_sets_are_refused() {
        let json = serde_json::to_value(&new_codes(2).stored).unwrap();
        for (field, value) in [
            ("argon2id", serde_json::json!("v=16")),
            ("memory_kib", serde_json::json!(7)),
            ("memory_kib", serde_json::json!(COST_MAX.memory + 1)),
            ("passes", serde_json::json!(0)),
            ("passes", serde_json::json!(COST_MAX.passes + 1)),
            ("salt", serde_json::json!("AAAA")),
            ("salt", serde_json::json!("not base64url")),
            ("hashes", serde_json::json!([])),
            ("hashes", serde_json::json!(["AAAA"])),
            ("hashes", serde_json::json!(vec!["A".repeat(43); CODES_MAX + 1])),
            ("another", serde_json::json!(1)),
        ] {
            let mut damaged = json.clone();
            damaged[field] = value;
            assert!(serde_json::from_value::<StoredCodes>(damaged.clone()).is_err(), "{damaged}");
        }
        for count in [0, CODES_MAX + 1] {
            let error = StoredCodes::generate(&SystemRandom::new(), count).unwrap_err();
            assert_eq!((error, error.code()), (RecoveryError::Count, "recovery_count"));
        }
    }

    #[test]
    fn real_sets_cost_what_they_should() {
        let set = StoredCodes::generate(&SystemRandom::new(), 1).unwrap();
        assert_eq!(set.stored.cost, Cost { memory: 19_456, passes: 2 });
        let json = serde_json::to_value(&set.stored).unwrap();
        assert_eq!((json["memory_kib"].as_u64(), json["passes"].as_u64()), (Some(19_456), Some(2)));
        assert_eq!(set.stored.matches(&set.codes[0]), Ok(Some(0)));
        // A set that was made when hashes cost less is still checked as it was made.
        assert_ne!(new_codes(1).stored.cost, set.stored.cost);
    }

    proptest! {
        #[test]
        fn codes_parse_what_they_print(bytes in any::<[u8; CODE_BYTES]>()) {
            prop_assert_eq!(*parsed(&spelled(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parsed(&text);
        }
    }
}
