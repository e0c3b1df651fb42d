//! Exact amounts: integers of an asset's base units, and US dollars in cents.

use core::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// The most decimals an asset may have (ether has 18, NEAR and yocto-denominated assets 24).
pub const DECIMALS_MAX: u8 = 24;
/// Longest decimal text that is looked at; longer input is refused before it is scanned.
pub const TEXT_LEN_MAX: usize = 64;

/// A quantity of base units (satoshi, wei, ...). The asset, and with it the number of decimals, is known from context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

/// Why a decimal text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// No digits at all.
    #[error("the amount is empty")]
    Empty,
    /// More than [`TEXT_LEN_MAX`] characters.
    #[error("the amount is longer than {TEXT_LEN_MAX} characters")]
    TooLong,
    /// A sign, an exponent, a separator or any other character than digits and one point.
    #[error("the amount may hold only digits and one decimal point")]
    Character,
    /// `.5`, `5.` and `007` have other spellings: one value has one spelling.
    #[error("write the amount with digits on both sides of the point and no leading zeros")]
    Spelling,
    /// More digits after the point than the asset has decimals.
    #[error("the amount has more than {allowed} decimals")]
    Decimals {
        /// How many decimals this asset has on this network.
        allowed: u8,
    },
    /// The value does not fit 128 bits of base units.
    #[error("the amount is too large")]
    Overflow,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest representable amount.
    pub const MAX: Self = Self(u128::MAX);

    /// Wraps a number of base units.
    pub const fn from_base_units(units: u128) -> Self {
        Self(units)
    }

    /// The number of base units.
    pub const fn base_units(self) -> u128 {
        self.0
    }

    /// True for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// Difference, or `None` below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// Sum, at most [`Amount::MAX`]: for totals that may only ever over-count.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Parses a decimal text of an asset with `decimals` decimals, exactly: `"0.75"`, `"0.75000000"`, `"3"`.
    ///
    /// Trailing zeros after the point are accepted up to `decimals`; everything else has one spelling.
    pub fn parse(text: &str, decimals: u8) -> Result<Self, AmountError> {
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        if text.len() > TEXT_LEN_MAX {
            return Err(AmountError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(AmountError::Character);
        }
        let (whole, fraction) = match text.split_once('.') {
            None => (text, ""),
            Some((_, "")) => return Err(AmountError::Spelling),
            Some((_, fraction)) if fraction.contains('.') => return Err(AmountError::Character),
            Some(parts) => parts,
        };
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(AmountError::Spelling);
        }
        if fraction.len() > usize::from(decimals) {
            return Err(AmountError::Decimals { allowed: decimals });
        }
        let padding = usize::from(decimals) - fraction.len();
        let digits = whole.bytes().chain(fraction.bytes()).chain(core::iter::repeat_n(b'0', padding));
        let mut units: u128 = 0;
        for digit in digits {
            let value = u128::from(digit - b'0');
            units = units.checked_mul(10).and_then(|u| u.checked_add(value)).ok_or(AmountError::Overflow)?;
        }
        Ok(Self(units))
    }

    /// Prints with exactly `decimals` digits after the point, the one spelling that signed texts use: `"0.75000000"`.
    pub fn to_fixed(self, decimals: u8) -> String {
        let digits = format!("{:0width$}", self.0, width = usize::from(decimals) + 1);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }

    /// Prints the shortest exact text, for people: `"0.75"`.
    pub fn to_short(self, decimals: u8) -> String {
        let fixed = self.to_fixed(decimals);
        if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
    }

    /// The value in US dollar cents at `price_micro_usd` micro-USD a whole unit, rounded up and saturating.
    pub fn to_usd_cents(self, decimals: u8, price_micro_usd: u64) -> UsdCents {
        // cents = units * price / 10^decimals / 10^4, rounded up; split so that the product cannot overflow silently.
        let Some(scale) = 10u128.checked_pow(u32::from(decimals)) else { return UsdCents::MAX };
        let price = u128::from(price_micro_usd);
        let whole = self.0 / scale;
        let part = self.0 % scale;
        let (Some(whole_micro), Some(part_scaled)) = (whole.checked_mul(price), part.checked_mul(price))
        else {
            return UsdCents::MAX;
        };
        let Some(micro) = whole_micro.checked_add(part_scaled.div_ceil(scale)) else {
            return UsdCents::MAX;
        };
        UsdCents(u64::try_from(micro.div_ceil(10_000)).unwrap_or(u64::MAX))
    }
}

impl<C> Encode<C> for Amount {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        // Two words: CBOR integers end at 64 bits and almost every amount fits the low one.
        match u64::try_from(self.0) {
            Ok(low) => e.u64(low)?.ok(),
            Err(_) => e.bytes(&self.0.to_be_bytes())?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Amount {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match d.datatype()? {
            minicbor::data::Type::Bytes => {
                let bytes: [u8; 16] =
                    d.bytes()?.try_into().map_err(|_| decode::Error::message("amount: 16 bytes"))?;
                Ok(Self(u128::from_be_bytes(bytes)))
            }
            _ => Ok(Self(u128::from(d.u64()?))),
        }
    }
}

/// A value in US dollar cents, rounded up and saturating: it may over-state what leaves, never under-state it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct UsdCents(#[n(0)] pub u64);

impl UsdCents {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Saturation: "more than can be said".
    pub const MAX: Self = Self(u64::MAX);

    /// Sum, saturating.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for UsdCents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_every_other_spelling() {
        for (text, error) in [
            ("", AmountError::Empty),
            ("-1", AmountError::Character),
            ("+1", AmountError::Character),
            ("1e8", AmountError::Character),
            ("1,5", AmountError::Character),
            ("1.2.3", AmountError::Character),
            (" 1", AmountError::Character),
            ("٣", AmountError::Character),
            (".5", AmountError::Spelling),
            ("5.", AmountError::Spelling),
            (".", AmountError::Spelling),
            ("007", AmountError::Spelling),
            ("0.000000001", AmountError::Decimals { allowed: 8 }),
            ("9999999999999999999999999999999999999999", AmountError::Overflow),
        ] {
            assert_eq!(Amount::parse(text, 8), Err(error), "{text:?}");
        }
        assert_eq!(Amount::parse(&"9".repeat(80), 8), Err(AmountError::TooLong));
    }

    #[test]
    fn usd_values_round_up_and_saturate() {
        let price = 5_900_000_000; // 5,900 USD
        assert_eq!(Amount(1).to_usd_cents(8, price), UsdCents(1), "one satoshi is not free");
        assert_eq!(Amount(100_000_000).to_usd_cents(8, price), UsdCents(590_000));
        assert_eq!(Amount::MAX.to_usd_cents(0, u64::MAX), UsdCents::MAX);
        assert_eq!(Amount::MAX.to_usd_cents(18, 1_000_000), UsdCents::MAX);
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(units in any::<u128>(), decimals in 0u8..=DECIMALS_MAX) {
            let amount = Amount(units);
            prop_assert_eq!(Amount::parse(&amount.to_fixed(decimals), decimals), Ok(amount));
            prop_assert_eq!(Amount::parse(&amount.to_short(decimals), decimals), Ok(amount));
            let bytes = minicbor::to_vec(amount).unwrap();
            prop_assert_eq!(decode::<Amount>(&bytes).unwrap(), amount);
        }
    }
}
