//! Amounts as attackers reckon them: whole hundred-millionths of a coin, whatever the asset; texts as the format wants them.

use holdfast_values::Amount;

use crate::draw::Draw;
use crate::population::entered;

/// Hundred-millionths of a coin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coins(pub u64);

/// One coin.
pub const COIN: u64 = 100_000_000;

impl Coins {
    /// So many whole coins.
    pub const fn whole(coins: u64) -> Self {
        Self(coins.saturating_mul(COIN))
    }

    /// Decimal text in whole units.
    pub fn text(self) -> Box<str> {
        Amount::from_base_units(u128::from(self.0)).to_short(8).into()
    }

    /// As people enter amounts: most of them round.
    #[must_use]
    pub fn entered(self, draw: &mut Draw) -> Self {
        Self(entered(draw, self.0))
    }

    /// Reads decimal text of any precision; what is below a hundred-millionth is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find('.').map_or(text.len(), |dot| text.len().min(dot.saturating_add(9)));
        let units = Amount::parse(text.get(..end)?, 8).ok()?.base_units();
        u64::try_from(units).ok().map(Self)
    }

    /// What these are worth, in US cents, at `cents` a coin.
    pub fn cents(self, cents: u64) -> u64 {
        let worth = u128::from(self.0).saturating_mul(u128::from(cents)) / u128::from(COIN);
        u64::try_from(worth).unwrap_or(u64::MAX)
    }

    /// The coins that `worth` US cents buy at `cents` a coin.
    pub fn worth(worth: u64, cents: u64) -> Self {
        let coins = u128::from(worth).saturating_mul(u128::from(COIN)) / u128::from(cents.max(1));
        Self(u64::try_from(coins).unwrap_or(u64::MAX))
    }

    /// A share of these, in thousandths.
    #[must_use]
    pub fn permille(self, share: u32) -> Self {
        let part = u128::from(self.0).saturating_mul(u128::from(share)) / 1_000;
        Self(u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// The rest after `other` is taken; nothing if there is not so much.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        for (text, sats) in [("0.00000001", 1), ("12.5", 1_250_000_000), ("337", 33_700_000_000)] {
            assert_eq!(Coins::parse(text), Some(Coins(sats)), "{text}");
            assert_eq!(&*Coins(sats).text(), text);
        }
        assert_eq!(Coins::parse("1.123456789123456789"), Some(Coins(112_345_678)), "ether has more digits");
        assert_eq!(Coins::parse("-1"), None);
    }

    #[test]
    fn dollars_and_coins_are_each_others_inverse() {
        let price = 590_000;
        assert_eq!(Coins::whole(10).cents(price), 5_900_000);
        assert_eq!(Coins::worth(5_900_000, price), Coins::whole(10));
    }
}
