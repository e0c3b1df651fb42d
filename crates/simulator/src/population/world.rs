//! A day as everybody meets it: its date, prices, shocks and extremes. Nothing here changes while the day is made.

use holdfast_values::{Timestamp, time};

use super::money::Prices;
use super::networks::Networks;
use super::people::Calibrated;
use super::{Extreme, Model, Settings, odds, rhythm};
use crate::draw::draw;

/// One day.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) settings: &'a Settings,
    pub(super) seed: u64,
    pub(super) networks: &'a Networks,
    pub(super) calibrated: Calibrated,
    /// As [`super::Population::day`] counts.
    pub(super) day: u32,
    pub(super) begins: Timestamp,
    /// Days since 1970-01-01.
    pub(super) unix_day: u32,
    /// Monday is 0.
    pub(super) weekday: u32,
    pub(super) is_thinned: bool,
    /// At each hour.
    pub(super) prices: [Prices; 24],
    pub(super) busy: Busy,
    /// How much of what creatures of habit had in mind for later they do today: 0 to 1.
    pub(super) shock: f64,
    /// Since when every Chromium is one version on, in days since 1970-01-01.
    pub(super) browser_day: Option<u32>,
    /// A carrier has run out of addresses.
    pub(super) is_crowded: bool,
    pub(super) today: Today,
}

/// How much more there is of everything today.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    pub(super) visits: f64,
    pub(super) withdrawals: f64,
    pub(super) deposits: f64,
    pub(super) trades: f64,
}

/// Extremes that happen today.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Today {
    pub(super) is_run: bool,
    pub(super) is_crash: bool,
    pub(super) is_airdrop: bool,
    pub(super) is_payday: bool,
    pub(super) is_payout: bool,
}

impl<'a> World<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        seed: u64,
        networks: &'a Networks,
        calibrated: Calibrated,
        yesterday: Prices,
        day: u32,
    ) -> Self {
        let begins = settings.begins(day);
        let unix_day = u32::try_from(begins.0 / time::DAY).unwrap_or(0);
        // 1970-01-01 was a Thursday.
        let weekday = (unix_day + 3) % 7;
        let happens = |extreme: Extreme| settings.extremes.contains(&extreme);
        let is_now = |extreme: Extreme| happens(extreme) && extreme.day(settings) == day;
        let today = Today {
            is_run: is_now(Extreme::Run),
            is_crash: is_now(Extreme::Crash),
            is_airdrop: is_now(Extreme::Airdrop),
            is_payday: is_now(Extreme::Payday),
            is_payout: is_now(Extreme::Payout),
        };
        let week = rhythm::weekly(weekday);
        let mut busy = Busy { visits: week, withdrawals: week, deposits: week, trades: week };
        if today.is_crash {
            busy = Busy { visits: 5.0, withdrawals: 3.0, deposits: 2.0, trades: 8.0 };
        } else if today.is_run {
            busy.visits *= 3.0;
        } else if today.is_payday {
            busy.deposits *= 6.0;
            busy.withdrawals *= 3.0;
        }
        let browser = Extreme::BrowserDay;
        let browser_day = (happens(browser) && day >= browser.day(settings))
            .then(|| u32::try_from(settings.begins(browser.day(settings)).0 / time::DAY).unwrap_or(0));
        Self {
            settings,
            seed,
            networks,
            calibrated,
            day,
            begins,
            unix_day,
            weekday,
            is_thinned: settings.is_thinned(day),
            prices: yesterday.walk(seed, day, today.is_crash),
            busy,
            shock: shock(settings.model, seed, day, today),
            browser_day,
            is_crowded: happens(Extreme::Nat) && day >= Extreme::Nat.day(settings),
            today,
        }
    }

    /// Saturday or Sunday.
    pub(super) const fn is_weekend(&self) -> bool {
        self.weekday >= 5
    }

    pub(super) fn day16(&self) -> u16 {
        u16::try_from(self.day).unwrap_or(u16::MAX)
    }

    /// The day's last minute in minutes since the beginning of day 0.
    pub(super) const fn minutes(&self) -> std::ops::Range<u32> {
        let from = self.day.saturating_mul(1_440);
        from..from.saturating_add(1_440)
    }
}

/// News: on one day of sixteen people do today what they had in mind for later.
fn shock(model: Model, seed: u64, day: u32, today: Today) -> f64 {
    if model == Model::Strata {
        return 0.0;
    }
    if today.is_crash || today.is_payday {
        return 0.8;
    }
    let draw = &mut draw(seed, "shock", &[u64::from(day)]);
    if odds::chance(draw, 1.0 / 16.0) { odds::between(draw, 0.1, 0.5) } else { 0.0 }
}
