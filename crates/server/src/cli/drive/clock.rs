//! The server's clock as it is seen from outside, and the file's times on it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_values::{Micros, Timestamp};
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::client::Client;

/// The quickest of so many answers says best what time it is.
const READINGS: u32 = 5;

/// What time it is at the server. It may be started again meanwhile, at another rate too.
pub(super) struct Clock {
    seen: Mutex<Seen>,
    pub(super) is_simulated: bool,
    /// The exchange's name, which operators' texts carry.
    pub(super) exchange: String,
}

/// A reading.
#[derive(Clone, Copy)]
struct Seen {
    when: Instant,
    at: Timestamp,
    /// How much faster than real time it runs; 0 while the server is away.
    rate: u32,
}

fn micros(span: Duration) -> Micros {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn no_server() -> Failure {
    Failure::new("unreachable", "this is no Holdfast server: /health does not read")
}

impl Clock {
    pub(super) fn read(client: &Client) -> Result<Self, Failure> {
        let (seen, health) = reading(client)?;
        let exchange = health.get("exchange").and_then(Value::as_str).ok_or_else(no_server)?;
        Ok(Self {
            seen: Mutex::new(seen),
            is_simulated: health.get("simulated_clock").and_then(Value::as_bool).unwrap_or(false),
            exchange: exchange.to_owned(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last durable record.
    pub(super) fn sequence(client: &Client) -> Result<u64, Failure> {
        let (_, health) = reading(client)?;
        Ok(health.get("sequence").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Reads it again.
    pub(super) fn sync(&self, client: &Client) -> Result<(), Failure> {
        let (seen, _) = reading(client)?;
        *self.seen() = seen;
        Ok(())
    }

    /// The server is away: its time stands still until it is read again.
    pub(super) fn stand(&self) {
        let now = self.now();
        *self.seen() = Seen { when: Instant::now(), at: now, rate: 0 };
    }

    pub(super) fn stands(&self) -> bool {
        self.rate() == 0
    }

    pub(super) fn rate(&self) -> u32 {
        self.seen().rate
    }

    pub(super) fn now(&self) -> Timestamp {
        let Seen { when, at, rate } = *self.seen();
        at.plus(micros(when.elapsed()).saturating_mul(u64::from(rate)))
    }

    /// How long that is there.
    pub(super) fn span(&self, real: Duration) -> Micros {
        micros(real).saturating_mul(u64::from(self.rate()))
    }

    /// How long that is here.
    pub(super) fn real(&self, span: Micros) -> Duration {
        Duration::from_micros(span.checked_div(u64::from(self.rate())).unwrap_or(u64::MAX))
    }
}

fn reading(client: &Client) -> Result<(Seen, Value), Failure> {
    let mut best: Option<(Duration, Seen, Value)> = None;
    for _ in 0..READINGS {
        let asked = Instant::now();
        let health = client.call("GET", "/health", &[], Vec::new())?.accepted()?;
        let took = asked.elapsed();
        let time = health.get("time").and_then(Value::as_str).unwrap_or_default();
        let at = Timestamp::parse(time).map_err(|_| no_server())?;
        let rate = health.get("clock_rate").and_then(Value::as_u64).ok_or_else(no_server)?;
        let rate = u32::try_from(rate).map_err(|_| no_server())?.max(1);
        let when = asked.checked_add(took / 2).unwrap_or(asked);
        if best.as_ref().is_none_or(|(quickest, ..)| took < *quickest) {
            best = Some((took, Seen { when, at, rate }, health));
        }
    }
    best.map(|(_, seen, health)| (seen, health)).ok_or_else(no_server)
}

/// Where the file's times lie on the server's clock: what came first in the file came at `start`.
#[derive(Clone, Copy)]
pub(super) struct Times {
    first: Timestamp,
    start: Timestamp,
    speed: u64,
}

impl Times {
    pub(super) const fn new(first: Timestamp, start: Timestamp, speed: u64) -> Self {
        Self { first, start, speed }
    }

    /// When it is due at the server.
    pub(super) fn due(&self, at: Timestamp) -> Timestamp {
        self.start.plus(self.span(at.since(self.first)))
    }

    /// How long a span of the file is at the server.
    pub(super) const fn span(&self, span: Micros) -> Micros {
        // Never zero: clap allows no speed of 0.
        match span.checked_div(self.speed) {
            Some(span) => span,
            None => span,
        }
    }

    /// What a time of the server's is in the file.
    pub(super) fn told(&self, at: Timestamp) -> Timestamp {
        self.first.plus(at.since(self.start).saturating_mul(self.speed))
    }
}

/// Spans, counted by powers of two, so that any number of them takes the same memory.
pub(super) struct Spans {
    counts: [u64; 64],
    longest: Micros,
}

impl Default for Spans {
    fn default() -> Self {
        Self { counts: [0; 64], longest: 0 }
    }
}

impl Spans {
    pub(super) fn add(&mut self, span: Duration) {
        let span = micros(span);
        self.longest = self.longest.max(span);
        let class = usize::try_from(span.max(1).ilog2()).unwrap_or(0);
        if let Some(count) = self.counts.get_mut(class) {
            *count = count.saturating_add(1);
        }
    }

    /// The span that so many of a thousand do not exceed, rounded up to a power of two.
    pub(super) fn within(&self, permille: u64) -> Micros {
        let all: u64 = self.counts.iter().sum();
        let mut below: u64 = 0;
        for (class, count) in self.counts.iter().enumerate() {
            below = below.saturating_add(*count);
            if *count > 0 && below.saturating_mul(1_000) >= all.saturating_mul(permille) {
                let upper =
                    u32::try_from(class.saturating_add(1)).ok().and_then(|bits| 1u64.checked_shl(bits));
                return upper.unwrap_or(u64::MAX).min(self.longest);
            }
        }
        0
    }

    pub(super) const fn longest(&self) -> Micros {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_file_and_of_the_server_translate_both_ways() {
        let times = Times::new(Timestamp(1_000_000), Timestamp(9_000_000), 4);
        assert_eq!(times.due(Timestamp(5_000_000)), Timestamp(10_000_000));
        assert_eq!(times.told(Timestamp(10_000_000)), Timestamp(5_000_000));
        assert_eq!(times.told(Timestamp(8_000_000)), Timestamp(1_000_000), "what was sent before the start");
    }

    #[test]
    fn spans_are_told_within_a_factor_of_two_and_the_longest_exactly() {
        let mut spans = Spans::default();
        for micros in 1..=1_000 {
            spans.add(Duration::from_micros(micros));
        }
        assert!((500..=1_000).contains(&spans.within(500)), "{}", spans.within(500));
        assert_eq!((spans.within(1_000), spans.longest()), (1_000, 1_000));
        assert_eq!(Spans::default().within(990), 0);
    }
}
