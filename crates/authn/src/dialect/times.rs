//! How dialects write instants and windows: each in one spelling, in digits alone.

use holdfast_values::{Micros, Timestamp};

use super::WINDOW_MAX_MS;
use crate::request::RequestError;

const MICROS_PER_MS: u64 = 1_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// A number of exactly so many digits, the first not 0.
pub(super) fn digits(text: &str, count: usize) -> Option<u64> {
    let plain =
        text.len() == count && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Milliseconds since 1970: 13 digits.
pub(super) fn milliseconds(text: &str) -> Result<Timestamp, RequestError> {
    const INVALID: RequestError =
        RequestError::TimestampInvalid { expected: "in milliseconds since 1970, 13 digits" };
    digits(text, 13).and_then(|ms| ms.checked_mul(MICROS_PER_MS)).map(Timestamp).ok_or(INVALID)
}

/// Seconds since 1970: 10 digits, and up to six decimals.
pub(super) fn seconds(text: &str) -> Result<Timestamp, RequestError> {
    const INVALID: RequestError = RequestError::TimestampInvalid {
        expected: "in seconds since 1970, 10 digits and at most six decimals",
    };
    let (whole, fraction) = match text.split_once('.') {
        None => (text, 0),
        Some((whole, decimals)) => {
            let plain = decimals.bytes().all(|byte| byte.is_ascii_digit());
            let missing = 6usize.checked_sub(decimals.len()).filter(|missing| plain && *missing < 6);
            let scale =
                missing.and_then(|missing| u32::try_from(missing).ok()).map(|missing| 10u64.pow(missing));
            let fraction =
                decimals.parse::<u64>().ok().zip(scale).map(|(value, scale)| value.saturating_mul(scale));
            (whole, fraction.ok_or(INVALID)?)
        }
    };
    let seconds = digits(whole, 10).ok_or(INVALID)?;
    Ok(Timestamp(seconds.saturating_mul(MICROS_PER_SECOND).saturating_add(fraction)))
}

/// `2026-11-22T19:41:10.123Z`.
pub(super) fn iso(text: &str) -> Result<Timestamp, RequestError> {
    const INVALID: RequestError = RequestError::TimestampInvalid {
        expected: "in UTC and with milliseconds, such as 2026-11-22T19:41:10.123Z",
    };
    if text.len() == 24 { Timestamp::parse(text).map_err(|_| INVALID) } else { Err(INVALID) }
}

/// A window in milliseconds.
pub(super) fn window(text: &str) -> Result<Micros, RequestError> {
    const INVALID: RequestError = RequestError::WindowInvalid { max_ms: WINDOW_MAX_MS };
    let ms = (1..=5).contains(&text.len()).then(|| digits(text, text.len())).flatten();
    ms.filter(|ms| *ms <= WINDOW_MAX_MS).map(of_ms).ok_or(INVALID)
}

/// Milliseconds as microseconds.
pub(super) const fn of_ms(ms: u64) -> Micros {
    ms.saturating_mul(MICROS_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_has_one_spelling() {
        assert_eq!(milliseconds("1795353413562"), Ok(Timestamp(1_795_353_413_562_000)));
        assert_eq!(seconds("1795353413"), Ok(Timestamp(1_795_353_413_000_000)));
        assert_eq!(seconds("1795353413.5"), Ok(Timestamp(1_795_353_413_500_000)));
        assert_eq!(seconds("1795353413.000001"), Ok(Timestamp(1_795_353_413_000_001)));
        assert_eq!(
            iso("2026-11-22T19:41:10.123Z"),
            Timestamp::parse("2026-11-22T19:41:10.123Z").map_err(|_| unreachable!())
        );
        for text in [
            "",
            "0795353413562",
            "179535341356",
            "17953534135620",
            "+795353413562",
            "1795353413.62",
            " 795353413562",
        ] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
        for text in [
            "",
            "0795353413",
            "179535341",
            "1795353413562",
            "1795353413.",
            "1795353413.1234567",
            "1795353413.+1",
            "1.795353413",
            "-795353413",
            "1795353413.1.1",
            "1e9",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
        for text in [
            "2026-11-22T19:41:10Z",
            "2026-11-22T19:41:10.12Z",
            "2026-11-22T19:41:10.123456Z",
            "2026-11-22 19:41:10.123Z",
            "2026-11-22T19:41:10.123z",
            "2026-13-22T19:41:10.123Z",
            "2026-02-30T19:41:10.123Z",
            "1795353413562",
        ] {
            assert!(iso(text).is_err(), "{text}");
        }
        assert_eq!(window("60000"), Ok(60_000_000));
        for text in ["", "0", "60001", "05000", "5000.5", "99999999999999999999", "-1", "5e3"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
