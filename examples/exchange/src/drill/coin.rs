//! What Harbor's customers hold, at the prices of May 2019.

use holdfast_values::Amount;

/// US dollar cents for one bitcoin: what everything is counted in for the table.
pub(crate) const BTC_CENTS: u64 = 590_000;
/// Base units of one bitcoin.
pub(crate) const SATS: u64 = 100_000_000;

/// An asset on the network that the drill uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coin {
    Btc,
    Eth,
    Usdt,
}

impl Coin {
    pub(crate) const ALL: [Self; 3] = [Self::Btc, Self::Eth, Self::Usdt];

    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Btc => "BTC",
            Self::Eth => "ETH",
            Self::Usdt => "USDT",
        }
    }

    /// As Holdfast calls it.
    pub(crate) const fn network(self) -> &'static str {
        match self {
            Self::Btc => "bitcoin",
            Self::Eth | Self::Usdt => "ethereum",
        }
    }

    /// As Binance's clients call it.
    pub(crate) const fn binance_network(self) -> &'static str {
        match self {
            Self::Btc => "BTC",
            Self::Eth | Self::Usdt => "ETH",
        }
    }

    /// What one costs, in cents.
    pub(crate) const fn cents(self) -> u64 {
        match self {
            Self::Btc => BTC_CENTS,
            Self::Eth => 17_000,
            Self::Usdt => 100,
        }
    }

    /// How many decimals its network counts with.
    pub(crate) const fn decimals(self) -> u8 {
        match self {
            Self::Btc => 8,
            Self::Eth => 18,
            Self::Usdt => 6,
        }
    }

    /// How many decimals customers type.
    const fn typed_decimals(self) -> u8 {
        match self {
            Self::Btc => 8,
            Self::Eth => 6,
            Self::Usdt => 2,
        }
    }

    /// An amount worth so many cents, as a customer types it.
    pub(crate) fn amount(self, cents: u64) -> String {
        let decimals = self.typed_decimals();
        let unit = 10u128.saturating_pow(u32::from(decimals));
        let units = u128::from(cents).saturating_mul(unit) / u128::from(self.cents());
        Amount::from_base_units(units).to_short(decimals)
    }
}

/// What so many US cents are in base units of bitcoin.
pub(crate) fn sats(cents: u64) -> u64 {
    let sats = u128::from(cents).saturating_mul(u128::from(SATS)) / u128::from(BTC_CENTS);
    u64::try_from(sats).unwrap_or(u64::MAX)
}

/// Bitcoin, for the table: two decimals and commas.
pub(crate) fn btc(sats: u64) -> String {
    let cents = sats.saturating_add(SATS / 200) / (SATS / 100);
    format!("{}.{:02}", thousands(cents / 100), cents % 100)
}

/// 12,345.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_typed_as_customers_do() {
        assert_eq!(Coin::Btc.amount(590_000), "1");
        assert_eq!(Coin::Btc.amount(30_000), "0.05084745");
        assert_eq!(Coin::Eth.amount(30_000), "1.764705");
        assert_eq!(Coin::Usdt.amount(30_050), "300.5");
        assert_eq!(btc(sats(4_173_660_000)), "7,074.00");
        assert_eq!((thousands(999).as_str(), thousands(1_234_567).as_str()), ("999", "1,234,567"));
    }
}
