//! A strict reader of the CBOR that authenticators write: CTAP2 canonical form, which every value has in one spelling.
//!
//! [`split`] checks one item to its last byte before anybody reads in it; [`Reader`] then takes it apart. What the
//! items mean is not known here.

use super::WebAuthnError;

/// How deep maps and arrays may be in each other (CTAP 2.1, section 8).
const DEPTH_MAX: u8 = 4;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// The first item, checked, and what follows it.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), WebAuthnError> {
    let mut reader = Reader { rest: bytes };
    reader.check(0)?;
    let length = bytes.len().saturating_sub(reader.rest.len());
    bytes.split_at_checked(length).ok_or(WebAuthnError::CborMalformed)
}

/// The one item that these bytes are, checked.
pub(super) fn only(bytes: &[u8]) -> Result<Reader<'_>, WebAuthnError> {
    match split(bytes)? {
        (item, []) => Ok(Reader { rest: item }),
        _ => Err(WebAuthnError::CborTrailing),
    }
}

/// Whether a checked item is a map with nothing but texts as keys.
pub(super) fn is_map_of_texts(item: &[u8]) -> bool {
    let mut reader = Reader { rest: item };
    let Some(members) = reader.map() else { return false };
    for _ in 0..members {
        if reader.text().is_none() || reader.check(1).is_err() {
            return false;
        }
    }
    true
}

/// Reads on in items that [`split`] checked. What is not of the kind asked for is `None`.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over an item that was checked.
    pub(super) const fn new(item: &'a [u8]) -> Self {
        Self { rest: item }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn map(&mut self) -> Option<u64> {
        self.of_kind(MAP)
    }

    pub(super) fn array(&mut self) -> Option<u64> {
        self.of_kind(ARRAY)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.of_kind(BYTES)?;
        self.take(length).ok()
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.of_kind(TEXT)?;
        core::str::from_utf8(self.take(length).ok()?).ok()
    }

    pub(super) fn integer(&mut self) -> Option<i64> {
        let (kind, number) = self.head().ok()?;
        let number = i64::try_from(number).ok()?;
        match kind {
            UNSIGNED => Some(number),
            NEGATIVE => Some(-1 - number),
            _ => None,
        }
    }

    /// The bytes of the next item, whatever it is.
    pub(super) fn item(&mut self) -> Option<&'a [u8]> {
        let (item, rest) = split(self.rest).ok()?;
        self.rest = rest;
        Some(item)
    }

    fn of_kind(&mut self, wanted: u8) -> Option<u64> {
        match self.head().ok()? {
            (kind, number) if kind == wanted => Some(number),
            _ => None,
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], WebAuthnError> {
        let length = usize::try_from(length).map_err(|_| WebAuthnError::CborMalformed)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WebAuthnError::CborMalformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Kind and number of an item's head, in the fewest bytes that hold them.
    fn head(&mut self) -> Result<(u8, u64), WebAuthnError> {
        let [first, rest @ ..] = self.rest else { return Err(WebAuthnError::CborMalformed) };
        self.rest = rest;
        let kind = first >> 5;
        let (length, least) = match first & 0x1f {
            small @ 0..=23 => return Ok((kind, u64::from(small))),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 if (BYTES..=MAP).contains(&kind) => return Err(WebAuthnError::CborNotCanonical),
            _ => return Err(WebAuthnError::CborMalformed),
        };
        let digits = self.take(length)?;
        let number = digits.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        // The bits of a float are no number that could be shorter.
        let is_float = kind == SIMPLE && length > 1;
        if number < least && !is_float {
            return Err(WebAuthnError::CborNotCanonical);
        }
        Ok((kind, number))
    }

    /// Goes past one item if it is in canonical form.
    fn check(&mut self, depth: u8) -> Result<(), WebAuthnError> {
        let is_simple_byte = matches!(self.rest, [0xf8, ..]);
        let (kind, number) = self.head()?;
        match kind {
            UNSIGNED | NEGATIVE => Ok(()),
            BYTES => self.take(number).map(drop),
            TEXT => {
                core::str::from_utf8(self.take(number)?).map(drop).map_err(|_| WebAuthnError::CborMalformed)
            }
            ARRAY | MAP if depth >= DEPTH_MAX => Err(WebAuthnError::CborMalformed),
            ARRAY => (0..number).try_for_each(|_| self.check(depth.saturating_add(1))),
            MAP => self.check_members(number, depth.saturating_add(1)),
            // Booleans, null, undefined and floats; other simple values are nothing yet.
            SIMPLE if is_simple_byte || number < 20 => Err(WebAuthnError::CborMalformed),
            SIMPLE => Ok(()),
            // Tags are not permitted.
            _ => Err(WebAuthnError::CborNotCanonical),
        }
    }

    /// Keys in their order: encoded in the fewest bytes, they compare as bytes. A key twice is said by name.
    fn check_members(&mut self, members: u64, depth: u8) -> Result<(), WebAuthnError> {
        let mut last: &[u8] = &[];
        for _ in 0..members {
            let whole = self.rest;
            if !matches!(whole, [first, ..] if first >> 5 <= TEXT) {
                return Err(WebAuthnError::CborMalformed);
            }
            self.check(depth)?;
            let key = whole.get(..whole.len().saturating_sub(self.rest.len())).unwrap_or_default();
            match key.cmp(last) {
                core::cmp::Ordering::Greater => last = key,
                core::cmp::Ordering::Equal => return Err(WebAuthnError::CborDuplicateKey),
                core::cmp::Ordering::Less => return Err(WebAuthnError::CborNotCanonical),
            }
            self.check(depth)?;
        }
        Ok(())
    }
}

/// Appends a byte string.
pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match u16::try_from(bytes.len()) {
        Ok(length @ 0..=23) => out.push(0x40 | length.to_be_bytes()[1]),
        Ok(length @ 24..=255) => out.extend([0x58, length.to_be_bytes()[1]]),
        Ok(length) => {
            out.push(0x59);
            out.extend(length.to_be_bytes());
        }
        // No key has a part that is as long.
        Err(_) => return,
    }
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn one_spelling_is_read() {
        for text in [
            "00",
            "17",
            "1818",
            "190100",
            "1a00010000",
            "1b0000000100000000",
            "20",
            "3863",
            "40",
            "4101",
            "60",
            "6161",
            "80",
            "820102",
            "a0",
            "a2010203 04",
            "a2016061610 2",
            "f4",
            "f5",
            "f6",
            "f7",
            "f97e00",
            "fa3f800000",
            "fb3ff0000000000000",
            "81818180",
        ] {
            let bytes = hex(&text.replace(' ', ""));
            assert!(only(&bytes).is_ok(), "{text}");
            for end in 0..bytes.len() {
                assert!(only(&bytes[..end]).is_err(), "{text} cut at {end}");
            }
            assert_eq!(only(&[&bytes[..], &[0]].concat()).err(), Some(WebAuthnError::CborTrailing));
        }
    }

    #[test]
    fn other_spellings_are_refused_by_name() {
        use WebAuthnError::{CborDuplicateKey, CborMalformed, CborNotCanonical};
        for (text, error) in [
            ("1817", CborNotCanonical),
            ("1900ff", CborNotCanonical),
            ("1a0000ffff", CborNotCanonical),
            ("1b00000000ffffffff", CborNotCanonical),
            ("5800", CborNotCanonical),
            ("5f4101ff", CborNotCanonical),
            ("7f6161ff", CborNotCanonical),
            ("9f01ff", CborNotCanonical),
            ("bf0102ff", CborNotCanonical),
            ("c000", CborNotCanonical),
            ("a203040102", CborNotCanonical),
            ("a2200101 02", CborNotCanonical),
            ("a262616101616202", CborNotCanonical),
            ("a201020103", CborDuplicateKey),
            ("a2616101616102", CborDuplicateKey),
            ("81a201020103", CborDuplicateKey),
            ("a1800", CborMalformed),
            ("a18000", CborMalformed),
            ("a1f500", CborMalformed),
            ("1c", CborMalformed),
            ("1f", CborMalformed),
            ("ff", CborMalformed),
            ("e0", CborMalformed),
            ("f818", CborMalformed),
            ("f8ff", CborMalformed),
            ("61ff", CborMalformed),
            ("8181818180", CborMalformed),
            ("9bffffffffffffffff", CborMalformed),
            ("bbffffffffffffffff", CborMalformed),
            ("5bffffffffffffffff", CborMalformed),
        ] {
            let mut text = text.replace(' ', "");
            if text.len() % 2 == 1 {
                text.push('0');
            }
            assert_eq!(only(&hex(&text)).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn byte_strings_are_written_in_their_one_spelling() {
        for length in [0, 1, 23, 24, 255, 256, 1023] {
            let bytes = vec![7; length];
            let mut out = Vec::new();
            write_bytes(&mut out, &bytes);
            assert_eq!(only(&out).unwrap().bytes(), Some(&bytes[..]));
        }
    }
}
