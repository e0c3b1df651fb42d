//! Timestamps: microseconds since the Unix epoch, and nothing that could read a clock.

use core::fmt;

use minicbor::{Decode, Encode};

/// A span of time in microseconds.
pub type Micros = u64;

/// One second.
pub const SECOND: Micros = 1_000_000;
/// One minute.
pub const MINUTE: Micros = 60 * SECOND;
/// One hour.
pub const HOUR: Micros = 60 * MINUTE;
/// One day.
pub const DAY: Micros = 24 * HOUR;

/// The last instant with a four-digit year, 9999-12-31T23:59:59.999999Z.
const LAST: u64 = 253_402_300_799_999_999;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] pub u64);

/// Why a text is not a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`.
    #[error("write the time as YYYY-MM-DDTHH:MM:SSZ, in UTC, with at most six decimals of a second")]
    Format,
    /// A month, day, hour, minute or second that does not exist.
    #[error("there is no such date or time")]
    Range,
}

impl Timestamp {
    /// The epoch itself; the time of an empty State.
    pub const ZERO: Self = Self(0);

    /// Later by `span`, saturating.
    pub const fn plus(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Earlier by `span`, saturating at the epoch.
    pub const fn minus(self, span: Micros) -> Self {
        Self(self.0.saturating_sub(span))
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub const fn since(self, earlier: Self) -> Micros {
        self.0.saturating_sub(earlier.0)
    }

    /// Rounded down to a whole second, as signed texts carry it.
    pub const fn floor_second(self) -> Self {
        Self(self.0 - self.0 % SECOND)
    }

    /// Parses RFC 3339 in UTC with `Z`: `2026-11-29T12:00:00Z`, `2026-11-29T12:00:00.123456Z`.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let bytes = text.as_bytes();
        let (head, rest) = bytes.split_at_checked(19).ok_or(TimeError::Format)?;
        let number = |from: usize, to: usize| -> Result<u64, TimeError> {
            let digits = head.get(from..to).ok_or(TimeError::Format)?;
            digits.iter().try_fold(0u64, |n, b| match b {
                b'0'..=b'9' => Ok(n * 10 + u64::from(b - b'0')),
                _ => Err(TimeError::Format),
            })
        };
        let mark =
            |at: usize, byte: u8| if head.get(at) == Some(&byte) { Ok(()) } else { Err(TimeError::Format) };
        mark(4, b'-')?;
        mark(7, b'-')?;
        mark(10, b'T')?;
        mark(13, b':')?;
        mark(16, b':')?;
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let micros = match rest {
            [b'Z'] => 0,
            [b'.', digits @ .., b'Z'] if (1..=6).contains(&digits.len()) => {
                let value = digits.iter().try_fold(0u64, |n, b| match b {
                    b'0'..=b'9' => Ok(n * 10 + u64::from(b - b'0')),
                    _ => Err(TimeError::Format),
                })?;
                let missing = u32::try_from(6 - digits.len()).map_err(|_| TimeError::Format)?;
                value * 10u64.pow(missing)
            }
            _ => return Err(TimeError::Format),
        };
        if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
            return Err(TimeError::Range);
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err(TimeError::Range);
        }
        let days = days_before_year(year) + (1..month).map(|m| days_in_month(year, m)).sum::<u64>() + day - 1;
        Ok(Self((((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND + micros))
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to January 1st of `year` (Gregorian, `year >= 1970`).
const fn days_before_year(year: u64) -> u64 {
    let y = year - 1;
    y * 365 + y / 4 - y / 100 + y / 400 - 719_162
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; decimals only if the instant is not a whole second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros_total = self.0.min(LAST);
        let (seconds, micros) = (micros_total / SECOND, micros_total % SECOND);
        let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970 + days / 366;
        while days_before_year(year + 1) <= days {
            year += 1;
        }
        days -= days_before_year(year);
        let mut month = 1;
        while days >= days_in_month(year, month) {
            days -= days_in_month(year, month);
            month += 1;
        }
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}", days + 1)?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::parse("2019-05-07T17:15:24Z"), Ok(Timestamp(1_557_249_324 * SECOND)));
        assert_eq!(Timestamp::parse("2000-02-29T00:00:00.5Z"), Ok(Timestamp(951_782_400_500_000)));
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59.999999Z"), Ok(Timestamp(LAST)));
        for (text, error) in [
            ("2019-05-07", TimeError::Format),
            ("2019-05-07T17:15:24", TimeError::Format),
            ("2019-05-07T17:15:24+00:00", TimeError::Format),
            ("2019-05-07t17:15:24Z", TimeError::Format),
            ("2019-05-07T17:15:24.Z", TimeError::Format),
            ("2019-05-07T17:15:24.1234567Z", TimeError::Format),
            ("2019-02-29T00:00:00Z", TimeError::Range),
            ("2019-13-01T00:00:00Z", TimeError::Range),
            ("2019-01-00T00:00:00Z", TimeError::Range),
            ("2019-01-01T24:00:00Z", TimeError::Range),
            ("1969-12-31T23:59:59Z", TimeError::Range),
        ] {
            assert_eq!(Timestamp::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(micros in 0u64..=LAST) {
            let time = Timestamp(micros);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }
    }
}
