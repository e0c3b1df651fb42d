//! When things happen: the rhythm of the day, of the week, and thinning a Poisson process by both.

use holdfast_values::{Micros, time};

use super::odds;
use crate::draw::Draw;

/// How busy each hour of the day (UTC) is: the busiest six times as busy as the quietest. An exchange of one region.
const HOURS: [u16; 24] =
    [18, 14, 11, 10, 10, 12, 17, 25, 33, 38, 41, 43, 44, 44, 45, 46, 48, 51, 55, 58, 60, 57, 46, 30];
/// Monday to Sunday, in 1/1000 of the mean.
const WEEK: [u16; 7] = [1_020, 1_040, 1_040, 1_030, 1_050, 940, 880];
const HOURS_SUM: f64 = 856.0;
const HOUR_MAX: f64 = 60.0;

/// How busy an instant of the day is, against the day's mean.
fn hourly(at: Micros) -> f64 {
    let hour = usize::try_from(at / time::HOUR).unwrap_or(0);
    let of = |hour: usize| HOURS.get(hour % 24).copied().map_or(0.0, f64::from);
    let part = (at % time::HOUR) as f64 / time::HOUR as f64;
    // Between the middles of two hours, linearly.
    let value = if part < 0.5 {
        of(hour + 23) * (0.5 - part) + of(hour) * (0.5 + part)
    } else {
        of(hour) * (1.5 - part) + of(hour + 1) * (part - 0.5)
    };
    value * 24.0 / HOURS_SUM
}

/// How busy a day of the week is, against the week's mean; Monday is 0.
pub(super) fn weekly(weekday: u32) -> f64 {
    let place = usize::try_from(weekday % 7).unwrap_or(0);
    WEEK.get(place).copied().map_or(1.0, |permille| f64::from(permille) / 1_000.0)
}

/// The instants of a day at which a process with this mean count happens, thinned by the day's rhythm; in order.
pub(super) fn thinned(draw: &mut Draw, mean: f64, out: &mut Vec<Micros>) {
    const PEAK: f64 = HOUR_MAX * 24.0 / HOURS_SUM;
    let rate = mean * PEAK;
    if rate <= 0.0 {
        return;
    }
    let mut at = 0.0;
    loop {
        at += odds::exponential(draw) / rate;
        if at >= 1.0 {
            return;
        }
        let instant = odds::whole(at * time::DAY as f64);
        if odds::chance(draw, hourly(instant) / PEAK) {
            out.push(instant);
        }
    }
}

/// One instant of a day by the day's rhythm.
pub(super) fn instant(draw: &mut Draw) -> Micros {
    const PEAK: f64 = HOUR_MAX * 24.0 / HOURS_SUM;
    // Each try succeeds with probability 0.6.
    for _ in 0..64 {
        let instant = odds::whole(odds::between(draw, 0.0, time::DAY as f64));
        if odds::chance(draw, hourly(instant) / PEAK) {
            return instant;
        }
    }
    12 * time::HOUR
}

/// Instants with this mean count, at any hour: programs do not sleep.
pub(super) fn steady(draw: &mut Draw, mean: f64, out: &mut Vec<Micros>) {
    if mean <= 0.0 {
        return;
    }
    let mut at = 0.0;
    loop {
        at += odds::exponential(draw) / mean;
        if at >= 1.0 {
            return;
        }
        out.push(odds::whole(at * time::DAY as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_tables() {
        assert_eq!(HOURS.iter().map(|hour| u32::from(*hour)).sum::<u32>(), 856);
        assert_eq!(WEEK.iter().map(|day| u32::from(*day)).sum::<u32>(), 7_000);
        assert_eq!(HOURS.iter().max().unwrap() / HOURS.iter().min().unwrap(), 6);
    }
}
