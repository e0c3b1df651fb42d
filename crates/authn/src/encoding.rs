//! Strict decoders for what arrives as text: hexadecimal, base64, base64url and percent-encoding.
//!
//! Each value has one spelling (hexadecimal digits apart, which may be of either case): missing padding, stray bits,
//! white space and half escapes are errors, never repaired.

/// Decodes `2 * N` hexadecimal digits.
pub fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0u8; N];
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (hex_digit(*high)? << 4) | hex_digit(*low)?;
    }
    Some(out)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Decodes base64 with `+`, `/` and full padding (RFC 4648 section 4).
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let body = match text {
        [body @ .., b'=', b'='] | [body @ .., b'='] => body,
        body => body,
    };
    decode64(body, b'+', b'/')
}

/// Decodes base64url without padding (RFC 4648 section 5).
pub fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    decode64(text, b'-', b'_')
}

/// Spells bytes as base64url without padding.
pub fn to_base64url(bytes: &[u8]) -> String {
    encode64(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

/// Spells bytes as base64 with `+`, `/` and full padding.
pub fn to_base64(bytes: &[u8]) -> String {
    let mut out = encode64(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

fn encode64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| (group << 8) | u32::from(*byte));
        let missing = 3usize.saturating_sub(chunk.len());
        let group = group << (8 * missing);
        for place in (missing..4).rev() {
            let digit = usize::try_from((group >> (6 * place)) & 63).unwrap_or_default();
            out.push(alphabet.get(digit).copied().map(char::from).unwrap_or('A'));
        }
    }
    out
}

/// Decodes unpadded base64 digits with the given 62nd and 63rd digit; refuses bits that would not come back.
fn decode64(digits: &[u8], plus: u8, slash: u8) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut group = 0u32;
        for digit in chunk {
            let value = match *digit {
                b @ b'A'..=b'Z' => b - b'A',
                b @ b'a'..=b'z' => b - b'a' + 26,
                b @ b'0'..=b'9' => b - b'0' + 52,
                b if b == plus => 62,
                b if b == slash => 63,
                _ => return None,
            };
            group = (group << 6) | u32::from(value);
        }
        let (whole, spare) = match chunk.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if group & ((1 << spare) - 1) != 0 {
            return None;
        }
        let [_, a, b, c] = (group >> spare << (8 * (3 - whole))).to_be_bytes();
        out.extend([a, b, c].into_iter().take(whole));
    }
    Some(out)
}

/// Decodes `%XX` escapes; every other byte stands for itself, `+` included. `None` after a half escape.
pub fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return Some(out),
            [b'%', high, low, tail @ ..] => {
                out.push((hex_digit(*high)? << 4) | hex_digit(*low)?);
                rest = tail;
            }
            [b'%', ..] => return None,
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_is_read_as_it_is_written() {
        for length in 0..70u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(base64(to_base64(&bytes).as_bytes()).as_deref(), Some(&*bytes));
            assert_eq!(base64url(to_base64url(&bytes).as_bytes()).as_deref(), Some(&*bytes));
        }
        assert_eq!(to_base64(b"Man"), "TWFu");
        assert_eq!(to_base64(b"M"), "TQ==");
    }

    #[test]
    fn base64_has_one_spelling() {
        // RFC 4648 section 10.
        for (plain, spelled) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(spelled.as_bytes()).as_deref(), Some(plain.as_bytes()), "{spelled}");
            assert_eq!(to_base64url(plain.as_bytes()), spelled.trim_end_matches('='));
        }
        for text in
            ["Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "====", "=", "Zm 9", "Zm9v\n", "Zm-_", "Z"]
        {
            assert_eq!(base64(text.as_bytes()), None, "{text:?}");
        }
        for text in ["Zh", "Zg==", "Zm9+", "Z"] {
            assert_eq!(base64url(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn half_escapes_are_refused() {
        assert_eq!(percent(b"a%20b+c%2B").as_deref(), Some(b"a b+c+".as_slice()));
        for text in ["%", "%4", "a%", "%GG", "%-1", "%+1"] {
            assert_eq!(percent(text.as_bytes()), None, "{text}");
        }
        assert_eq!(hex::<2>(b"0aFf"), Some([10, 255]));
        assert_eq!(hex::<2>(b"0aF"), None);
        assert_eq!(hex::<2>(b"0x00"), None);
    }

    proptest! {
        #[test]
        fn base64url_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = to_base64url(&bytes);
            prop_assert_eq!(base64url(text.as_bytes()), Some(bytes));
        }

        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (hex::<8>(&bytes), base64(&bytes), base64url(&bytes), percent(&bytes));
        }
    }
}
