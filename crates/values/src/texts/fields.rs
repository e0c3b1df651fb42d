//! The values that only signed texts have: exchange, nonce, whole seconds, and what an act or a change is.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::time::{SECOND, Timestamp};

/// Why a text is not a value of its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not a lower-case DNS name.
    #[error("the exchange is a DNS name in lower case with at least two labels, such as harbor.example")]
    Exchange,
    /// Not 32 bytes in canonical base64url.
    #[error("the nonce is 32 bytes in base64url without padding: 43 characters, the last with two zero bits")]
    Nonce,
    /// Not a whole second.
    #[error("the time must be a whole second: YYYY-MM-DDTHH:MM:SSZ")]
    Second,
    /// A window that ends before it begins.
    #[error("not-after must be later than not-before")]
    Window,
    /// Not an act.
    #[error("an act has 1 to 40 lower-case letters and underscores")]
    Act,
    /// Not a target.
    #[error("a target has 1 to 160 printable ASCII characters without spaces, or is -")]
    Target,
    /// Not a detail.
    #[error("a detail has 1 to 400 printable ASCII characters, single spaces inside only, or is -")]
    Detail,
    /// Not a hash.
    #[error("the payload is a SHA-256 in 64 lower-case hexadecimal digits, or -")]
    Payload,
    /// Amounts of one text differ in their decimals, or have too many.
    #[error("all amounts have the same number of decimals, that of the asset on its network, and at most 24")]
    Decimals,
    /// Not a purpose.
    #[error("the purpose is sweep, consolidation, refill, gas, child-pays or cancel")]
    Purpose,
    /// A network whose transactions are not understood.
    #[error("transactions of this network cannot be released: only those of Bitcoin and EVM networks can")]
    NotReleasable,
    /// An address without an amount, or the other way round.
    #[error("address and amount belong together: both are given, or both are -")]
    External,
    /// A network fee with other decimals than the network's coin.
    #[error("fee-max is in the network's own coin: 8 decimals on Bitcoin networks, 18 on EVM networks")]
    FeeDecimals,
    /// Not the hash of a key.
    #[error("the key is the SHA-256 of its SubjectPublicKeyInfo in 64 lower-case hexadecimal digits")]
    Key,
    /// Destinations that are none, too many, out of order, or not all on one network.
    #[error(
        "a mandate has 1 to 16 destinations on one network, each an address, a space and its memo or -, in ascending order of \
         their bytes, each once"
    )]
    Destinations,
    /// A mandate for nothing, or for less in a day than at once.
    #[error("amount-max is more than zero, and day-max is at least amount-max")]
    Limits,
    /// A mandate for too long.
    #[error("a mandate is given for at most 90 days")]
    MandateTime,
}

impl FieldError {
    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exchange => "text_exchange",
            Self::Nonce => "text_nonce",
            Self::Second => "text_second",
            Self::Window => "text_window",
            Self::Act => "text_act",
            Self::Target => "text_target",
            Self::Detail => "text_detail",
            Self::Payload => "text_payload",
            Self::Decimals => "text_decimals",
            Self::Purpose => "text_purpose",
            Self::NotReleasable => "text_not_releasable",
            Self::External => "text_external",
            Self::FeeDecimals => "text_fee_decimals",
            Self::Key => "text_key",
            Self::Destinations => "text_destinations",
            Self::Limits => "text_limits",
            Self::MandateTime => "text_mandate_time",
        }
    }
}

macro_rules! text_value {
    ($(#[$meta:meta])* $name:ident, $error:expr, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FieldError;
            fn from_str(text: &str) -> Result<Self, FieldError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err($error) }
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

text_value!(
    /// The exchange that a text is for: its DNS name (RFC 1123) in lower case, at least two labels, at most 253
    /// characters.
    ExchangeName,
    FieldError::Exchange,
    |text| text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
);
text_value!(
    /// What an operator does, or what a customer changes: `[a-z_]{1,40}`.
    Act,
    FieldError::Act,
    |text| (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
);
text_value!(
    /// What an act or a change is about: 1 to 160 printable ASCII characters without spaces; `-` for nothing.
    Target,
    FieldError::Target,
    |text| (1..=160).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);
text_value!(
    /// Short parameters of an act or a change: 1 to 400 printable ASCII characters, single spaces inside; `-` for none.
    Detail,
    FieldError::Detail,
    |text| {
        (1..=400).contains(&text.len())
            && text.split(' ').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic()))
    }
);

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// 32 bytes that are used once; printed in base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 32]);

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut group = |bytes: [u8; 3], letters: u32| {
            let [a, b, c] = bytes.map(u32::from);
            let value = (a << 16) | (b << 8) | c;
            (0..letters).try_for_each(|place| {
                let index = usize::try_from((value >> (18 - place * 6)) & 63).unwrap_or_default();
                f.write_char(BASE64URL.get(index).copied().map_or('A', char::from))
            })
        };
        let (groups, rest) = self.0.as_chunks::<3>();
        groups.iter().try_for_each(|bytes| group(*bytes, 4))?;
        match rest {
            [a, b] => group([*a, *b, 0], 3),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Nonce {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        if text.len() != 43 {
            return Err(FieldError::Nonce);
        }
        let mut bytes = [0u8; 32];
        let mut slots = bytes.iter_mut();
        let (mut buffer, mut bits) = (0u16, 0u8);
        for letter in text.bytes() {
            let value = BASE64URL.iter().position(|b| *b == letter).ok_or(FieldError::Nonce)?;
            buffer = (buffer << 6) | u16::try_from(value).map_err(|_| FieldError::Nonce)?;
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                let slot = slots.next().ok_or(FieldError::Nonce)?;
                *slot = (buffer >> bits).to_be_bytes()[1];
                buffer &= (1 << bits) - 1;
            }
        }
        // 43 letters are 258 bits: the last two must be zero, or a nonce would have four spellings.
        if buffer == 0 { Ok(Self(bytes)) } else { Err(FieldError::Nonce) }
    }
}

impl<C> Encode<C> for Nonce {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Nonce {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?.try_into().map_err(|_| decode::Error::message("nonce: 32 bytes"))?;
        Ok(Self(bytes))
    }
}

/// An instant on a whole second up to the end of the year 9999, as texts carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(Timestamp);

impl Seconds {
    /// 9999-12-31T23:59:59Z.
    const LAST: Timestamp = Timestamp(253_402_300_799 * SECOND);

    /// The whole second at or before `time`.
    pub fn floor(time: Timestamp) -> Self {
        Self(time.floor_second().min(Self::LAST))
    }

    /// The instant.
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Seconds {
    type Err = super::TextReason;
    fn from_str(text: &str) -> Result<Self, super::TextReason> {
        let time = Timestamp::parse(text)?;
        // Also refuses ".000000", which would be another spelling.
        if text.len() == 20 { Ok(Self(time)) } else { Err(FieldError::Second.into()) }
    }
}

/// When an operator's signature, or a mandate, may be used: from `not_before` until `not_after`, which is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    not_before: Seconds,
    not_after: Seconds,
}

impl Window {
    /// A window, if it ends after it begins.
    pub fn new(not_before: Seconds, not_after: Seconds) -> Result<Self, FieldError> {
        if not_after > not_before { Ok(Self { not_before, not_after }) } else { Err(FieldError::Window) }
    }

    /// Its first instant.
    pub const fn not_before(self) -> Seconds {
        self.not_before
    }

    /// Its last instant.
    pub const fn not_after(self) -> Seconds {
        self.not_after
    }

    /// True if `at` lies inside, both ends included.
    pub fn contains(self, at: Timestamp) -> bool {
        (self.not_before.0..=self.not_after.0).contains(&at)
    }
}
