//! Where time comes from: the wall clock beside the monotonic clock, or a simulated clock that runs faster.
//!
//! The only place that reads a clock for the core. `max(last, now)` is intake's business, not this module's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdfast_values::{Micros, Timestamp, time};

/// A step of the wall clock against the monotonic clock beyond this is suspect.
pub const STEP_MAX: Micros = 5 * time::SECOND;
/// Steps are looked for over at least this long, so that ordinary slewing never adds up to one.
const REFERENCE_AGE_MAX: Duration = Duration::from_secs(60);

/// The clock of the server.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    Wall {
        /// When wall and monotonic clock were last compared, by each.
        reference: (u64, Instant),
    },
    /// A wall clock that a test can move, in microseconds.
    #[cfg(test)]
    Moved {
        /// As for the wall clock.
        reference: (u64, Instant),
        /// By how much it differs from the real one.
        skew: std::sync::Arc<std::sync::atomic::AtomicI64>,
    },
    /// `start + rate * elapsed`, only over a journal made for it.
    Simulated {
        /// Where it starts.
        start: Timestamp,
        /// When it started.
        since: Instant,
        /// How much faster than the monotonic clock.
        rate: u32,
    },
}

fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The wall clock, for what is no decision: log lines, the validity of texts made on the command line.
#[must_use]
pub fn wall_now() -> Timestamp {
    Timestamp(wall())
}

impl Clock {
    /// The wall clock.
    #[must_use]
    pub fn wall() -> Self {
        Self::Wall { reference: (wall(), Instant::now()) }
    }

    /// A simulated clock that starts now.
    #[must_use]
    pub fn simulated(start: Timestamp, rate: u32) -> Self {
        Self::Simulated { start, since: Instant::now(), rate }
    }

    /// Now, and by how much the wall clock stepped since the last comparison if that is suspect.
    pub fn read(&mut self) -> (Timestamp, Option<Micros>) {
        match self {
            Self::Simulated { .. } => (self.now(), None),
            #[cfg(test)]
            Self::Moved { .. } => self.compare(),
            Self::Wall { .. } => self.compare(),
        }
    }

    /// Compares the wall clock with the monotonic one.
    fn compare(&mut self) -> (Timestamp, Option<Micros>) {
        let (Timestamp(now), instant) = (self.now(), Instant::now());
        match self {
            Self::Simulated { .. } => (Timestamp(now), None),
            #[cfg(test)]
            Self::Moved { reference, .. } => (Timestamp(now), step_since(reference, now, instant)),
            Self::Wall { reference } => (Timestamp(now), step_since(reference, now, instant)),
        }
    }

    /// Now, without looking for steps.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall { .. } => Timestamp(wall()),
            #[cfg(test)]
            Self::Moved { skew, .. } => {
                Timestamp(wall().saturating_add_signed(skew.load(std::sync::atomic::Ordering::SeqCst)))
            }
            Self::Simulated { start, since, rate } => {
                start.plus(micros(since.elapsed()).saturating_mul(u64::from(*rate)))
            }
        }
    }

    /// How much faster than real time it runs.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        match self {
            Self::Simulated { rate, .. } => *rate,
            Self::Wall { .. } => 1,
            #[cfg(test)]
            Self::Moved { .. } => 1,
        }
    }

    /// How long to sleep until the clock reaches `deadline`.
    #[must_use]
    pub fn until(&self, now: Timestamp, deadline: Timestamp) -> Duration {
        let span = deadline.since(now);
        match self {
            Self::Wall { .. } => Duration::from_micros(span),
            #[cfg(test)]
            Self::Moved { .. } => Duration::from_micros(span),
            Self::Simulated { rate, .. } => Duration::from_micros(span.div_ceil(u64::from((*rate).max(1)))),
        }
    }
}

/// A step since the reference; the reference moves on after a step, and when it has grown old.
fn step_since(reference: &mut (u64, Instant), now: u64, instant: Instant) -> Option<Micros> {
    let elapsed = instant.saturating_duration_since(reference.1);
    let step = step(reference.0, micros(elapsed), now);
    if step.is_some() || elapsed > REFERENCE_AGE_MAX {
        *reference = (now, instant);
    }
    step
}

/// By how much `wall` differs from where it should be `elapsed` after `reference`, if that is more than a clock may.
fn step(reference: u64, elapsed: u64, wall: u64) -> Option<Micros> {
    let difference = wall.abs_diff(reference.saturating_add(elapsed));
    (difference > STEP_MAX).then_some(difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_of_more_than_five_seconds_is_suspect() {
        const T: u64 = 1_700_000_000_000_000;
        assert_eq!(step(T, 1_000_000, T + 1_000_000), None);
        assert_eq!(step(T, 1_000_000, T + 6_000_000), None);
        assert_eq!(step(T, 1_000_000, T + 6_000_001), Some(5_000_001));
        assert_eq!(step(T, 1_000_000, T - 4_000_001), Some(5_000_001));
        assert_eq!(step(T, 3_600_000_000, T), Some(3_600_000_000), "a machine that was asleep");
    }

    #[test]
    fn simulated_time_runs_faster() {
        let clock = Clock::simulated(Timestamp(0), 1_000);
        assert_eq!(clock.until(Timestamp(0), Timestamp(1_000_000)), Duration::from_millis(1));
    }
}
