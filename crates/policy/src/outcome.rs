//! What a policy may ask for: the degrees of refusal, in order of severity, and their names.

use core::fmt;

use holdfast_values::Micros;
use minicbor::{Decode, Encode};

/// The reason of the hold that a policy which cannot be evaluated causes.
pub const POLICY_ERROR: &str = "policy_error";
/// The reason of the denial when no `permit` is satisfied.
pub const NOT_PERMITTED: &str = "not_permitted";

/// A proof that a withdrawal may be made to wait for. The order is that of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Factor {
    /// A one-time code: shows that somebody has the code, not what they meant by it.
    #[n(0)]
    OneTimeCode,
    /// An assertion by a passkey over the very text of the withdrawal.
    #[n(1)]
    Passkey,
}

impl Factor {
    /// Every factor.
    pub const ALL: [Self; 2] = [Self::OneTimeCode, Self::Passkey];

    /// The name in policies, records and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneTimeCode => "one_time_code",
            Self::Passkey => "passkey",
        }
    }

    /// The factor of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|factor| factor.name() == name)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a `forbid` goes. The order is that of severity, and "allow" is the absence of any: allow < dwell < step-up
/// < hold < deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Degree {
    /// Wait that long, counted from the request.
    #[n(0)]
    Dwell(#[n(0)] Micros),
    /// Wait for that proof.
    #[n(1)]
    StepUp(#[n(0)] Factor),
    /// Wait for a person at the exchange.
    #[n(2)]
    Hold,
    /// No.
    #[n(3)]
    Deny,
}

impl Degree {
    /// The name in policies, records and replies, without the span or the factor.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dwell(_) => "dwell",
            Self::StepUp(_) => "step_up",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Degree {
    /// `dwell 10m`, `step_up passkey`, `hold`, `deny`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dwell(span) => write!(f, "dwell {}", Span(*span)),
            Self::StepUp(factor) => write!(f, "step_up {factor}"),
            Self::Hold | Self::Deny => f.write_str(self.name()),
        }
    }
}

/// A span of time as policies write it: `45s`, `10m`, `1h30m`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Micros);

/// The units of a span, largest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const SECOND: Micros = 1_000_000;
/// The longest dwell that a policy may ask for.
pub const DWELL_MAX: Micros = 30 * 86_400 * SECOND;

impl Span {
    /// Parses `10m`, `1h30m`: units in falling order, each at most once, no leading zeros, at least a second and at
    /// most [`DWELL_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 16 {
            return None;
        }
        let (mut rest, mut seconds) = (text, 0u64);
        for (letter, scale) in UNITS {
            let Some((head, tail)) = rest.split_once(letter) else { continue };
            let plain =
                !head.is_empty() && !head.starts_with('0') && head.bytes().all(|b| b.is_ascii_digit());
            let count: u64 = if plain { head.parse().ok()? } else { return None };
            seconds = seconds.checked_add(count.checked_mul(scale)?)?;
            rest = tail;
        }
        let span = seconds.checked_mul(SECOND)?;
        (rest.is_empty() && span > 0 && span <= DWELL_MAX).then_some(Self(span))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seconds = self.0.div_ceil(SECOND);
        if seconds == 0 {
            return f.write_str("0s");
        }
        for (letter, scale) in UNITS {
            if seconds >= scale {
                write!(f, "{}{letter}", seconds / scale)?;
                seconds %= scale;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_allow_dwell_step_up_hold_deny() {
        let rising = [
            None,
            Some(Degree::Dwell(1)),
            Some(Degree::Dwell(2)),
            Some(Degree::StepUp(Factor::OneTimeCode)),
            Some(Degree::StepUp(Factor::Passkey)),
            Some(Degree::Hold),
            Some(Degree::Deny),
        ];
        assert!(rising.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn spans_have_one_reading() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("10m", 600), ("1h30m", 5_400), ("1d2h3m4s", 93_784)]
        {
            assert_eq!(Span::parse(text), Some(Span(seconds * SECOND)), "{text}");
        }
        assert_eq!(Span(5_400 * SECOND).to_string(), "1h30m");
        for text in
            ["", "0s", "10", "m", "1m1h", "1m1m", "-1m", "1.5h", "010m", "31d", "99999999999d", "1h 3m", "١m"]
        {
            assert_eq!(Span::parse(text), None, "{text:?}");
        }
    }
}
