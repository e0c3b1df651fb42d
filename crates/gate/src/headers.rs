//! Headers that a checked request may have.
//!
//! Refused are those that make two readers disagree, and those by which a client could speak as the gate.

use std::collections::BTreeSet;

/// The most headers, and the longest name and value.
const HEADERS_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// What the gate itself adds begins with this; no client may send such a header.
pub(crate) const OWN_PREFIX: &str = "x-holdfast-";

/// Headers that make some servers serve another method or path than the request line's.
const OVERRIDES: [&str; 6] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
];

/// Headers of which a request has at most one, because readers differ over which of two counts.
const SINGLE: [&str; 7] = [
    "authorization",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// Whether all headers may pass.
pub(crate) fn are_plain(headers: &[(&str, &str)]) -> bool {
    if headers.len() > HEADERS_MAX {
        return false;
    }
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    headers.iter().all(|(name, value)| {
        let is = |known: &&str| name.eq_ignore_ascii_case(known);
        let single = SINGLE.into_iter().find(|known| is(known));
        is_name(name)
            && is_value(value)
            && !begins_with_own(name)
            && !OVERRIDES.iter().any(is)
            && single.is_none_or(|single| seen.insert(single))
    })
}

fn begins_with_own(name: &str) -> bool {
    // Some servers hand `X_Holdfast_Account` and `X-Holdfast-Account` to the same variable.
    let same = |own: u8, byte: u8| own == byte.to_ascii_lowercase() || own == b'-' && byte == b'_';
    name.len() >= OWN_PREFIX.len() && OWN_PREFIX.bytes().zip(name.bytes()).all(|(own, byte)| same(own, byte))
}

/// A token of RFC 9110.
fn is_name(name: &str) -> bool {
    let token = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~')
    };
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(token)
}

fn is_value(value: &str) -> bool {
    value.len() <= VALUE_BYTES_MAX && value.bytes().all(|byte| !matches!(byte, 0..=8 | 0x0a..=0x1f | 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_could_mislead_are_refused() {
        assert!(are_plain(&[]));
        assert!(are_plain(&[("Host", "a"), ("X-MBX-APIKEY", "k"), ("cookie", "a\tb"), ("cookie", "c")]));
        for headers in [
            &[("", "a")][..],
            &[("a b", "a")],
            &[("a:", "a")],
            &[("café", "a")],
            &[("a", "b\r\nc: d")],
            &[("a", "b\0")],
            &[("x-holdfast-account", "a")],
            &[("X-Holdfast-Account", "a")],
            &[("x_holdfast_account", "a")],
            &[("X-HTTP-Method-Override", "POST")],
            &[("x-original-url", "/a")],
            &[("content-type", "a"), ("Content-Type", "a")],
            &[("Host", "a"), ("host", "b")],
            &[("content-length", "1"), ("content-length", "1")],
        ] {
            assert!(!are_plain(headers), "{headers:?}");
        }
        assert!(!are_plain(&[("a", "b"); HEADERS_MAX + 1]));
        assert!(are_plain(&[("a", "b"); HEADERS_MAX]));
    }
}
