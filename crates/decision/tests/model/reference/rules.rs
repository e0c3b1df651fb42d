//! Time, prices, windows and buckets of the model, each counted from all that ever happened.

use holdfast_decision::configuration::{BucketSpec, Parameters};
use holdfast_decision::{Class, Configuration};
use holdfast_values::{Fingerprint, Network, Timestamp};

use super::{DAY, Model, Spent};

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// One of the three buckets that a withdrawal spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Asset(usize),
    Wallet(usize),
    Overall,
}

/// A price to decide by.
pub(super) struct ModelQuote {
    pub(super) high: u64,
    pub(super) stale: bool,
    pub(super) moved: bool,
}

/// What buckets say: now, later because one holds too little, later because of the account's own share, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Now,
    Level,
    Share,
    Never,
}

/// Limits of one bucket and what is in it.
struct Level {
    /// In 1/3600 units.
    left: u128,
    /// What the account has taken and time has not given back.
    taken: u128,
    spec: BucketSpec,
}

impl Model {
    /// How old something is, without the time in which nobody could have objected.
    pub(super) fn age(&self, from: Timestamp, at: Timestamp) -> u64 {
        let running = self.suspect_since.map(|since| (since, at));
        let mut spans: Vec<_> = self.lost.iter().chain(&self.suspected).copied().chain(running).collect();
        spans.sort();
        let (mut covered, mut age) = (from, at.since(from));
        for (start, end) in spans {
            let (start, end) = (start.max(covered), end.min(at));
            age -= end.since(start);
            covered = covered.max(end);
        }
        age
    }

    /// The time that refills run on: it stands still under suspicion.
    pub(super) fn running(&self, at: Timestamp) -> Timestamp {
        let running = self.suspect_since.map(|since| (since, at));
        let stood: u64 = self.suspected.iter().copied().chain(running).map(|(a, b)| b.since(a)).sum();
        at.minus(stood)
    }

    pub(super) fn quote(&self, asset: usize, at: Timestamp) -> Option<ModelQuote> {
        let all: Vec<_> = self.prices.iter().filter(|row| row.0 == asset).collect();
        let hour = |time: Timestamp| time.0 / HOUR;
        // What was said in an hour, and what stood when it was first said something in it, if that was not a day old.
        let of_hour = |number: u64| {
            let said: Vec<_> = all.iter().filter(|row| hour(row.1) == number).collect();
            let first = said.first().map(|row| row.1)?;
            let stood = all.iter().rfind(|row| hour(row.1) < number);
            let stood = stood.filter(|row| first.since(row.1) <= DAY).map(|row| row.2);
            let values: Vec<u64> = said.iter().map(|row| row.2).chain(stood).collect();
            Some((*values.iter().max()?, *values.iter().min()?))
        };
        let now = hour(at);
        let day: Vec<_> = (now - 24..=now).filter_map(of_hour).collect();
        let high = day.iter().map(|range| range.0).max()?;
        let recent: Vec<_> = (now - 1..=now).filter_map(of_hour).collect();
        let parameters = &self.configuration.parameters;
        let moved = match (recent.iter().map(|r| r.0).max(), recent.iter().map(|r| r.1).min()) {
            (Some(high), Some(low)) => {
                u128::from(high - low) * 1_000 > u128::from(low) * u128::from(parameters.price_move_permille)
            }
            _ => false,
        };
        let stale = at.since(all.last()?.1) > parameters.price_stale_after;
        Some(ModelQuote { high, stale, moved })
    }

    /// US dollar cents, rounded up; `None` if there is no price or no number for it.
    pub(super) fn value(&self, asset: usize, units: u128, at: Timestamp) -> Option<u64> {
        let quote = self.quote(asset, at)?;
        let scale = 10u128.pow(u32::from(self.configuration.assets[asset].spec.decimals));
        let micro = units.checked_mul(u128::from(quote.high))?.div_ceil(scale);
        u64::try_from(micro.div_ceil(10_000)).ok()
    }

    /// The same, and the most there can be where there is a price and no number for it.
    pub(super) fn value_or_most(&self, asset: usize, units: u128, at: Timestamp) -> Option<u64> {
        self.quote(asset, at)?;
        Some(self.value(asset, units, at).unwrap_or(u64::MAX))
    }

    pub(super) fn limits(&self, account: usize) -> (u64, u64) {
        let account = &self.accounts[account];
        let tier = &self.configuration.tiers[account.tier];
        let (day, month) = account.limits;
        (day.unwrap_or(tier.usd_cents_24h.0), month.unwrap_or(tier.usd_cents_30d.0))
    }

    /// When and how much: all that counts in windows, of those that `is_meant`, without `but`.
    pub(super) fn entries(
        &self,
        but: usize,
        is_meant: impl Fn(&super::ModelWithdrawal) -> bool,
    ) -> Vec<(Timestamp, u64)> {
        self.withdrawals
            .iter()
            .enumerate()
            .filter(|(which, withdrawal)| *which != but && withdrawal.counts() && is_meant(withdrawal))
            .filter_map(|(_, withdrawal)| Some((withdrawal.requested_at, withdrawal.usd_cents?)))
            .collect()
    }

    /// The number of a destination's entry in an account's book.
    pub(super) fn booked(
        &self,
        account: usize,
        place: Fingerprint,
    ) -> Option<(Timestamp, Option<Timestamp>)> {
        let book = &self.accounts[account].book;
        book.iter().find(|entry| entry.0 == place).map(|entry| (entry.1, entry.2))
    }

    pub(super) fn is_aged(&self, account: usize, place: Fingerprint, at: Timestamp) -> bool {
        let parameters = &self.configuration.parameters;
        self.booked(account, place).is_some_and(|(recorded, notice)| {
            self.age(recorded, at) >= parameters.address_ageing
                && notice.is_some_and(|notice| self.age(notice, at) >= parameters.veto_window)
        })
    }

    /// Plays everything that ever happened to one bucket.
    fn play(&self, whose: Whose, class: Class, account: usize, now: Timestamp) -> Level {
        let mut level: Option<Level> = None;
        let mut parameters = Parameters::default();
        let mut last = Timestamp::ZERO;
        let pass = |level: &mut Level, parameters: &Parameters, seconds: u128| {
            let refill = level.spec.refill_per_hour.base_units();
            level.left = (level.left + refill * seconds).min(level.spec.size.base_units() * 3_600);
            let share = refill * u128::from(parameters.account_share_permille) / 1_000;
            level.taken = level.taken.saturating_sub(share * seconds);
        };
        for (at, spent) in &self.spent {
            if let Some(level) = &mut level {
                pass(level, &parameters, u128::from(at.since(last) / SECOND));
            }
            last = *at;
            match spent {
                Spent::Configured(configuration) => {
                    let specs = match whose {
                        Whose::Asset(asset) => configuration.assets[asset].buckets,
                        Whose::Wallet(wallet) => configuration.wallets[wallet].buckets,
                        Whose::Overall => configuration.overall,
                    };
                    let spec = specs.of(class);
                    let full = spec.size.base_units() * 3_600;
                    let (left, taken) = level.map_or((full, 0), |old| (old.left.min(full), old.taken));
                    level = Some(Level { left, taken, spec });
                    parameters = configuration.parameters;
                }
                Spent::Taken { class: of, withdrawal } | Spent::Returned { class: of, withdrawal } => {
                    let withdrawal = &self.withdrawals[*withdrawal];
                    let units = match whose {
                        Whose::Asset(asset) if asset == withdrawal.asset => withdrawal.units,
                        Whose::Wallet(wallet) if wallet == withdrawal.wallet => {
                            u128::from(withdrawal.usd_cents.unwrap())
                        }
                        Whose::Overall => u128::from(withdrawal.usd_cents.unwrap()),
                        _ => continue,
                    };
                    let Some(level) = level.as_mut().filter(|_| *of == class) else { continue };
                    let own = if withdrawal.account == account { units * 3_600 } else { 0 };
                    if matches!(spent, Spent::Taken { .. }) {
                        level.left =
                            level.left.checked_sub(units * 3_600).expect("no more is taken than there is");
                        level.taken += own;
                    } else {
                        level.left = (level.left + units * 3_600).min(level.spec.size.base_units() * 3_600);
                        level.taken = level.taken.saturating_sub(own);
                    }
                }
                Spent::Forced { class: of, asset, wallet, units, usd_cents } => {
                    let units = match whose {
                        Whose::Asset(place) if place == *asset => *units,
                        Whose::Wallet(place) if place == *wallet => u128::from(*usd_cents),
                        Whose::Overall => u128::from(*usd_cents),
                        _ => continue,
                    };
                    let Some(level) = level.as_mut().filter(|_| *of == class) else { continue };
                    level.left = level.left.saturating_sub(units.saturating_mul(3_600));
                }
                Spent::Fee { .. } => {}
            }
        }
        let mut level = level.expect("configured");
        pass(&mut level, &parameters, u128::from(now.since(last) / SECOND));
        level
    }

    /// What is left of a wallet's fees, in 1/3600 units; `None` where the wallet is not. Full until the first is spent.
    fn fee_level(&self, wallet: usize, network: Network, now: Timestamp) -> Option<(u128, BucketSpec)> {
        let spec_in = |configuration: &Configuration| {
            configuration.wallets.get(wallet)?.on(network).map(|chain| chain.fee_bucket)
        };
        let spec = spec_in(&self.configuration)?;
        let mut level: Option<(u128, BucketSpec)> = None;
        let (mut last, mut latest) = (Timestamp::ZERO, None);
        let flow = |(left, spec): (u128, BucketSpec), seconds: u64| {
            let flown = left + spec.refill_per_hour.base_units() * u128::from(seconds);
            (flown.min(spec.size.base_units() * 3_600), spec)
        };
        for (at, spent) in &self.spent {
            level = level.map(|level| flow(level, at.since(last) / SECOND));
            last = *at;
            match spent {
                Spent::Configured(configuration) => {
                    latest = spec_in(configuration).or(latest);
                    level = level
                        .zip(latest)
                        .map(|((left, _), spec)| (left.min(spec.size.base_units() * 3_600), spec));
                }
                Spent::Fee { wallet: of, network: on, units } if (*of, *on) == (wallet, network) => {
                    let spec = latest.expect("configured");
                    let (left, spec) = level.unwrap_or((spec.size.base_units() * 3_600, spec));
                    level = Some((left.checked_sub(units * 3_600).expect("fees that were there"), spec));
                }
                _ => {}
            }
        }
        let full = (spec.size.base_units() * 3_600, spec);
        Some(level.map_or(full, |level| flow(level, now.since(last) / SECOND)))
    }

    /// What is left of a wallet's fees, rounded down.
    pub(crate) fn fees_left(&self, wallet: usize, network: Network, at: Timestamp) -> Option<u128> {
        Some(self.fee_level(wallet, network, self.running(at))?.0 / 3_600)
    }

    /// Whether a fee can be had.
    pub(super) fn has_fee(&self, wallet: usize, network: Network, units: u128, at: Timestamp) -> bool {
        let level = self.fee_level(wallet, network, self.running(at));
        level.is_some_and(|(left, _)| units.checked_mul(3_600).is_some_and(|need| need <= left))
    }

    /// Whether the bound buckets hold what operators pay out of the wallets.
    pub(super) fn has_bound(
        &self,
        asset: usize,
        wallet: usize,
        units: u128,
        usd: u64,
        at: Timestamp,
    ) -> bool {
        let buckets = [
            (Whose::Asset(asset), units),
            (Whose::Wallet(wallet), u128::from(usd)),
            (Whose::Overall, u128::from(usd)),
        ];
        buckets.into_iter().all(|(whose, units)| {
            let level = self.play(whose, Class::Bound, usize::MAX, self.running(at));
            units.checked_mul(3_600).is_some_and(|need| need <= level.left)
        })
    }

    /// What is left in a bucket, rounded down.
    pub(crate) fn left(&self, whose: Whose, class: Class, at: Timestamp) -> u128 {
        self.play(whose, class, 0, self.running(at)).left / 3_600
    }

    /// Whether a withdrawal's value can be had from a class.
    pub(super) fn room(&self, which: usize, class: Class, small: bool, at: Timestamp) -> Room {
        let withdrawal = &self.withdrawals[which];
        let parameters = &self.configuration.parameters;
        let Some(usd_cents) = self.value_of(which, at) else { return Room::Never };
        let unshared = u32::from(withdrawal.operators) >= parameters.loosening_signatures;
        let buckets = [
            (Whose::Asset(withdrawal.asset), withdrawal.units),
            (Whose::Wallet(withdrawal.wallet), u128::from(usd_cents)),
            (Whose::Overall, u128::from(usd_cents)),
        ];
        let mut room = Room::Now;
        for (whose, units) in buckets {
            let level = self.play(whose, class, withdrawal.account, self.running(at));
            let (size, refill) = (level.spec.size.base_units(), level.spec.refill_per_hour.base_units());
            let Some(need) = units.checked_mul(3_600) else { return Room::Never };
            let kept =
                if small { 0 } else { size * u128::from(parameters.small_reserve_permille) * 3_600 / 1_000 };
            let share = size * u128::from(parameters.account_share_permille) * 3_600 / 1_000;
            let too_much = if unshared { need > size * 3_600 } else { need > share };
            if too_much || need + kept > size * 3_600 {
                return Room::Never;
            }
            let lacks = level.left < need + kept;
            let over = !unshared && level.taken + need > share;
            if refill == 0 && (lacks || over) {
                return Room::Never;
            }
            room = match room {
                Room::Share => Room::Share,
                _ if over => Room::Share,
                Room::Level => Room::Level,
                _ if lacks => Room::Level,
                _ => Room::Now,
            };
        }
        room
    }

    /// A withdrawal's value: what it had when it came in, or has now if it had none.
    pub(super) fn value_of(&self, which: usize, at: Timestamp) -> Option<u64> {
        let withdrawal = &self.withdrawals[which];
        withdrawal.usd_cents.or_else(|| self.value(withdrawal.asset, withdrawal.units, at))
    }

    /// A withdrawal of little value, of an old account.
    pub(super) fn is_small(&self, which: usize, at: Timestamp) -> bool {
        let withdrawal = &self.withdrawals[which];
        let parameters = &self.configuration.parameters;
        self.value_of(which, at).is_some_and(|value| value < parameters.small_usd_cents.0)
            && self.age(self.accounts[withdrawal.account].opened_at, at) >= parameters.small_account_age
    }
}
