//! Time on a CPU, which other programs do not lengthen as they lengthen time on the wall.

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Nanoseconds that this thread was on a CPU so far.
pub(crate) fn nanos() -> Result<u64, Failure> {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec)?;
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec)?))
}

/// How long some work was on a CPU.
pub(crate) fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    let began = nanos()?;
    work()?;
    Ok(nanos()?.saturating_sub(began))
}
