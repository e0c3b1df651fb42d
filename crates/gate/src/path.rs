//! Paths and methods that can be read in one way only.
//!
//! Between the client that signed a path and the code that serves it stand proxies and frameworks that decode, merge and
//! resolve. What any of them could turn into another path is refused here, so that the path that was checked is the path
//! that is served.

/// The longest path.
pub(crate) const PATH_BYTES_MAX: usize = 1024;
/// The longest query.
pub(crate) const QUERY_BYTES_MAX: usize = 8 * 1024;

/// Whether a path has one reading.
///
/// It begins with `/`; no segment is empty, `.` or `..` (one slash may end it); characters are those of RFC 3986 without
/// `;`, which some servers cut off; an escape has capital digits and stands for nothing that needs none, nor for a
/// slash, a backslash, a percent sign, a semicolon or a control character.
pub(crate) fn is_canonical(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    if path.len() > PATH_BYTES_MAX {
        return false;
    }
    let inner = rest.strip_suffix('/').unwrap_or(rest);
    let whole = rest.is_empty()
        || inner.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != "..");
    whole && has_canonical_bytes(path.as_bytes())
}

fn has_canonical_bytes(mut bytes: &[u8]) -> bool {
    while let Some((first, rest)) = bytes.split_first() {
        bytes = match (*first, rest) {
            (b'%', [high, low, rest @ ..]) => {
                let Some(byte) = escaped(*high, *low) else { return false };
                if is_unreserved(byte) || matches!(byte, b'/' | b'\\' | b'%' | b';' | 0..=0x1f | 0x7f) {
                    return false;
                }
                rest
            }
            (b'%' | b';', _) => return false,
            (byte, rest) if is_unreserved(byte) || is_delimiter(byte) => rest,
            _ => return false,
        };
    }
    true
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=')
}

/// The byte that an escape with capital digits stands for.
fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte.checked_sub(b'0'),
        b'A'..=b'F' => byte.checked_sub(b'A' - 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Whether a query can travel through a proxy unchanged: no spaces, control characters or fragment.
pub(crate) fn is_plain_query(query: &[u8]) -> bool {
    query.len() <= QUERY_BYTES_MAX && query.iter().all(|byte| !matches!(byte, 0..=0x20 | 0x7f | b'#'))
}

/// Whether a method is one: capital letters, as all that HTTP APIs use.
pub(crate) fn is_method(method: &str) -> bool {
    (1..=16).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_two_readings_are_refused() {
        for path in [
            "/",
            "/api/v3/order",
            "/api/v3/order/",
            "/0/private/Withdraw",
            "/a/b.json",
            "/a/..b/c..",
            "/a:b@c!$&'()*+,=~_-",
            "/a%20b",
            "/caf%C3%A9",
            "/a%3Fb",
        ] {
            assert!(is_canonical(path), "{path}");
        }
        for path in [
            "",
            "api",
            "*",
            "//",
            "//api",
            "/api//order",
            "/api/order//",
            "/.",
            "/..",
            "/./api",
            "/api/.",
            "/api/./order",
            "/api/../order",
            "/api/..",
            "/api/../",
            "/%2e%2e/order",
            "/%2E/order",
            "/api%2Forder",
            "/api%2forder",
            "/api%5Corder",
            "/api\\order",
            "/api;v=1/order",
            "/api%3Border",
            "/%61pi",
            "/%7Eme",
            "/caf%c3%a9",
            "/café",
            "/a b",
            "/a%0Ab",
            "/a\nb",
            "/a%00",
            "/a%7F",
            "/a%25b",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a?b",
            "/a#b",
            "/a\"b",
            "/a<b>",
            "/a|b",
            "/a^b`{}",
            "/a[b]",
        ] {
            assert!(!is_canonical(path), "{path}");
        }
        assert!(is_canonical(&format!("/{}", "a".repeat(PATH_BYTES_MAX - 1))));
        assert!(!is_canonical(&format!("/{}", "a".repeat(PATH_BYTES_MAX))));
    }

    #[test]
    fn queries_and_methods_are_plain() {
        assert!(is_plain_query(b"") && is_plain_query(b"a=b&c=%2F/\xc3\xa9;"));
        for query in [&b"a b"[..], b"a#b", b"a\nb", b"a\x7fb", &[b'a'; QUERY_BYTES_MAX + 1]] {
            assert!(!is_plain_query(query));
        }
        assert!(is_method("GET") && is_method("DELETE"));
        for method in ["", "get", "GET ", "G\nT", "ABCDEFGHIJKLMNOPQ"] {
            assert!(!is_method(method), "{method}");
        }
    }
}
