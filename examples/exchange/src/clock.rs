//! What time it is, and random ids: the two things that the rest of Harbor does not make by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom as _, SystemRandom};

/// Milliseconds since 1970, by this machine.
pub(crate) fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The exchange's clock: this machine's, or in a demonstration Holdfast's simulated one, so that what customers sign
/// is judged by the clock that they were told.
pub(crate) struct Clock {
    /// Of the simulated clock; 0 is this machine's own clock.
    rate: AtomicU64,
    sample: Mutex<Option<(Instant, u64)>>,
}

impl Clock {
    /// `rate` is that of the simulated clock; 1 is this machine's own clock.
    pub(crate) const fn new(rate: u64) -> Self {
        let rate = if rate == 1 { 0 } else { rate };
        Self { rate: AtomicU64::new(rate), sample: Mutex::new(None) }
    }

    /// Whether [`set`](Self::set) is to be called now and then.
    pub(crate) fn is_simulated(&self) -> bool {
        self.rate.load(Ordering::Relaxed) != 0
    }

    /// How many seconds pass in one.
    pub(crate) fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed).max(1)
    }

    /// From now on the clock is simulated, at this rate; what it showed is forgotten.
    pub(crate) fn set_rate(&self, rate: u64) {
        self.rate.store(rate.max(1), Ordering::Relaxed);
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It was `ms` at `then`.
    pub(crate) fn set(&self, then: Instant, ms: u64) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some((then, ms));
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        match *self.sample.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((then, ms)) => {
                let elapsed = u64::try_from(then.elapsed().as_micros()).unwrap_or(u64::MAX);
                ms.saturating_add(elapsed.saturating_mul(self.rate()) / 1_000)
            }
            None => system_ms(),
        }
    }
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub(crate) struct NoRandomness;

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A random id of 32 hexadecimal digits.
pub(crate) fn random_id() -> Result<String, NoRandomness> {
    Ok(hex(&random::<16>()?))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|n| char::from_digit(u32::from(n), 16))
        .collect()
}

/// `2026-11-22 13:05:09`, in UTC, as Binance writes times.
pub(crate) fn to_text(ms: u64) -> String {
    let text = holdfast_values::Timestamp(ms.saturating_mul(1_000)).floor_second().to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}
