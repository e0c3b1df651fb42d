//! Typed ids. Account ids and key ids are the exchange's own; Holdfast mints the others at intake.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty or too long.
    #[error("an id of this kind has 1 to {max} characters")]
    Length {
        /// The longest such id.
        max: usize,
    },
    /// A character outside the id's alphabet.
    #[error("an id may hold only {alphabet}")]
    Character {
        /// The permitted characters, for people.
        alphabet: &'static str,
    },
    /// A minted id without its prefix, or not in canonical base 32.
    #[error("not an id of this kind: it should read {prefix}_ and 26 characters of base 32")]
    Minted {
        /// `wd`, `case`.
        prefix: &'static str,
    },
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $max:expr, $allowed:expr, $alphabet:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.is_empty() || text.len() > $max {
                    return Err(IdError::Length { max: $max });
                }
                let allowed: fn(u8) -> bool = $allowed;
                if !text.bytes().all(allowed) {
                    return Err(IdError::Character { alphabet: $alphabet });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                d.str()?.parse().map_err(|_| decode::Error::message(concat!("not a ", stringify!($name))))
            }
        }
    };
}

text_id!(
    /// An account id of the exchange: `[A-Za-z0-9_-]{1,64}`.
    AccountId,
    64,
    |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-',
    "letters, digits, _ and -"
);
text_id!(
    /// An asset's symbol: `[A-Z0-9]{1,16}`.
    AssetSymbol,
    16,
    |b| b.is_ascii_uppercase() || b.is_ascii_digit(),
    "capital letters and digits"
);
text_id!(
    /// A name that the exchange's staff gives: operators, tiers, wallets, clients, API keys. `[A-Za-z0-9_.-]{1,128}`.
    Name,
    128,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
    "letters, digits, _, - and ."
);

/// Crockford's base 32 in lower case: no i, l, o, u, so that ids survive being read aloud.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn write_base32(value: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write as _;
    for place in (0..26u32).rev() {
        let digit = usize::try_from((value >> (place * 5)) & 31).unwrap_or_default();
        f.write_char(BASE32.get(digit).copied().map(char::from).unwrap_or('0'))?;
    }
    Ok(())
}

fn parse_base32(text: &str) -> Option<u128> {
    if text.len() != 26 || !matches!(text.as_bytes().first(), Some(b'0'..=b'7')) {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = BASE32.iter().position(|b| *b == byte)?;
        Some((value << 5) | u128::try_from(digit).ok()?)
    })
}

macro_rules! minted_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                write_base32(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(parse_base32)
                    .map(Self)
                    .ok_or(IdError::Minted { prefix: $prefix })
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0.to_be_bytes())?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let bytes = d.bytes()?.try_into().map_err(|_| decode::Error::message("id: 16 bytes"))?;
                Ok(Self(u128::from_be_bytes(bytes)))
            }
        }
    };
}

minted_id!(
    /// A withdrawal, `wd_` and 26 characters: 48 bits of milliseconds, then 80 random bits, so that ids sort by time.
    WithdrawalId,
    "wd"
);
minted_id!(
    /// A case that waits for a person, `case_...`: it carries the number of the withdrawal that it is about.
    CaseId,
    "case"
);
minted_id!(
    /// An internal transaction's text, `tr_...`: sweeps, refills, gas, cancellations. Minted by whoever asks for it.
    TransferId,
    "tr"
);
minted_id!(
    /// A release, `rl_...`: one permission to sign one transaction.
    ReleaseId,
    "rl"
);
minted_id!(
    /// A mandate, `md_...`: what one API key may withdraw without asking its owner again.
    MandateId,
    "md"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = WithdrawalId(u128::MAX);
        assert_eq!(id.to_string(), "wd_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(MandateId(u128::MAX).to_string(), "md_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!("md_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse(), Ok(MandateId(u128::MAX)));
        for text in [
            "md_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "wd_",
            "wd_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "wd_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "case_00000000000000000000000000",
        ] {
            assert!(text.parse::<WithdrawalId>().is_err(), "{text}");
        }
        assert!("ac_1-B".parse::<AccountId>().is_ok());
        for text in ["", "a b", "ü", "a.b"] {
            assert!(text.parse::<AccountId>().is_err(), "{text:?}");
        }
        assert!("A".repeat(65).parse::<AccountId>().is_err());
    }
}
