//! Assets, prices and amounts: whole numbers, except where an amount is drawn.

use holdfast_values::{Network, time};

use super::odds;
use crate::draw::{Draw, draw};

/// Units of a whole coin, of either asset: 1e8.
pub(super) const COIN: u64 = 100_000_000;

/// What customers own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asset {
    Btc,
    Eth,
}

impl Asset {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Btc => "BTC",
            Self::Eth => "ETH",
        }
    }

    pub(super) const fn network(self) -> Network {
        match self {
            Self::Btc => Network::Bitcoin,
            Self::Eth => Network::Ethereum,
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Btc => Self::Eth,
            Self::Eth => Self::Btc,
        }
    }
}

/// US cents a whole coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prices {
    pub(super) btc: u64,
    pub(super) eth: u64,
}

impl Prices {
    pub(super) const fn of(self, asset: Asset) -> u64 {
        match asset {
            Asset::Btc => self.btc,
            Asset::Eth => self.eth,
        }
    }

    /// US cents that so many units are worth.
    pub(super) fn cents(self, asset: Asset, units: u64) -> u64 {
        let cents = u128::from(units) * u128::from(self.of(asset)) / u128::from(COIN);
        u64::try_from(cents).unwrap_or(u64::MAX)
    }

    /// Units that so many US cents buy.
    pub(super) fn units(self, asset: Asset, cents: u64) -> u64 {
        let units = u128::from(cents) * u128::from(COIN) / u128::from(self.of(asset).max(1));
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// Prices at each hour of a day, from those at the end of the day before: a random walk, 0.5 % an hour. A crash takes
    /// 30 % within six hours from 13:00 on.
    pub(super) fn walk(self, seed: u64, day: u32, crash: bool) -> [Self; 24] {
        let mut draw = draw(seed, "prices", &[u64::from(day)]);
        let mut now = self;
        let mut hour = 0u32;
        [(); 24].map(|()| {
            let both = odds::normal(&mut draw);
            let own = odds::normal(&mut draw);
            // Ether follows bitcoin, with a step of its own. 0.7^(1/6) an hour in a crash.
            let fall = if crash && (13..19).contains(&hour) { 0.942_29 } else { 1.0 };
            let step = |price: u64, move_by: f64| {
                odds::whole(price as f64 * fall * libm::exp(move_by)).clamp(100, 100_000_000)
            };
            now = Self {
                btc: step(now.btc, 0.005 * both),
                eth: step(now.eth, 0.005 * (0.8 * both + 0.6 * own)),
            };
            hour += 1;
            now
        })
    }
}

/// The price at an instant of a day.
pub(super) fn at(prices: &[Prices; 24], instant: u64) -> Prices {
    let hour = usize::try_from(instant / time::HOUR).unwrap_or(0).min(23);
    let [first, ..] = *prices;
    prices.get(hour).copied().unwrap_or(first)
}

/// Decimal text of units in whole coins: `0.015` for 1,500,000.
pub(super) fn decimal(units: u64) -> Box<str> {
    let (whole, part) = (units / COIN, units % COIN);
    if part == 0 {
        return whole.to_string().into();
    }
    format!("{whole}.{part:08}").trim_end_matches('0').into()
}

/// Decimal text of cents in dollars.
pub(super) fn dollars(cents: u64) -> Box<str> {
    format!("{}.{:02}", cents / 100, cents % 100).into()
}

/// As people type amounts: rounded down to so many digits that count.
pub(super) fn rounded(units: u64, digits: u32) -> u64 {
    let mut step = 1u64;
    while units / step >= 10u64.saturating_pow(digits) {
        step = step.saturating_mul(10);
    }
    units - units % step
}

/// The amount of a withdrawal as somebody enters it: most type two digits that count, the others take what the page offers.
/// Attackers too, or their amounts would tell who they are.
pub(crate) fn entered(draw: &mut Draw, units: u64) -> u64 {
    if odds::chance(draw, 0.6) { rounded(units, 2).max(1) } else { units }
}

/// What somebody owns in US cents: log-normal, and a Pareto tail for two of a hundred.
pub(super) fn wealth(draw: &mut Draw) -> u64 {
    let usd = if odds::chance(draw, TAIL_SHARE) {
        odds::pareto(draw, TAIL_FROM_USD, TAIL_ALPHA).min(20_000_000.0)
    } else {
        odds::log_normal(draw, 600.0, 1.7).min(TAIL_FROM_USD)
    };
    odds::whole(usd.max(5.0) * 100.0)
}

/// Of all customers, how many are in the tail.
pub(super) const TAIL_SHARE: f64 = 0.02;
/// Where the tail begins.
pub(super) const TAIL_FROM_USD: f64 = 25_000.0;
/// The tail's index.
pub(super) const TAIL_ALPHA: f64 = 1.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let texts = [1_500_000, 100_000_000, 1, 123_456_789_000].map(decimal);
        assert_eq!(texts.map(String::from), ["0.015", "1", "0.00000001", "1234.56789"]);
        assert_eq!((rounded(123_456, 2), rounded(99, 2), rounded(7, 3)), (120_000, 99, 7));
        assert_eq!(&*dollars(590_005), "5900.05");
    }

    #[test]
    fn a_crash_takes_thirty_per_cent_and_a_day_without_one_little() {
        for seed in 0..20 {
            let before = Prices { btc: 590_000, eth: 17_000 };
            let fall = |prices: [Prices; 24]| 1_000 - prices[18].btc * 1_000 / prices[12].btc.max(1);
            let calm = before.walk(seed, 3, false);
            let crash = before.walk(seed, 3, true);
            assert!((240..360).contains(&fall(crash)), "{}", fall(crash));
            let [low, high] = [calm[18].btc * 1_000 / calm[12].btc, 1_050];
            assert!((950..high).contains(&low), "{low}");
        }
    }
}
