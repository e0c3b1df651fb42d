//! Time as State sees it: what counts towards refills, and what counts towards ages.
//!
//! Refills stand still while the clock is under suspicion. Ages and veto windows also leave out the time in which
//! nobody could have been told or could have objected.

use holdfast_values::{Micros, Timestamp};
use minicbor::{Decode, Encode};

/// The most spans of lost time that are kept apart; beyond it neighbours are joined, which only makes things younger.
const LOST_MAX: usize = 256;

/// The state of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Steady {
    #[n(0)]
    suspect_since: Option<Timestamp>,
    /// All the time spent under suspicion so far.
    #[n(1)]
    suspended: Micros,
    /// Spans that count towards no age, oldest first, not overlapping.
    #[n(2)]
    lost: Vec<(Timestamp, Timestamp)>,
}

impl Steady {
    /// True while deadlines and refills stand still.
    pub const fn is_suspect(&self) -> bool {
        self.suspect_since.is_some()
    }

    /// The time that refills run on.
    pub fn refill_time(&self, at: Timestamp) -> Timestamp {
        let running = self.suspect_since.map_or(0, |since| at.since(since));
        at.minus(self.suspended).minus(running)
    }

    /// How long ago `from` was, less the time in which nobody could object.
    pub fn age(&self, from: Timestamp, at: Timestamp) -> Micros {
        let running = self.suspect_since.map(|since| (since, at));
        let lost = self.lost.iter().copied().chain(running);
        lost.fold(at.since(from), |age, (start, end)| age.saturating_sub(end.min(at).since(start.max(from))))
    }

    pub(crate) fn lose(&mut self, from: Timestamp, to: Timestamp) {
        // Time under suspicion is lost as a whole when the suspicion ends.
        let to = self.suspect_since.map_or(to, |since| to.min(since));
        let from = self.lost.last().map_or(from, |(_, end)| from.max(*end));
        if to > from {
            self.lost.push((from, to));
        }
        if self.lost.len() > LOST_MAX {
            // Join the two oldest: the time between them is lost too.
            let second_end = self.lost.get(1).map(|(_, end)| *end);
            if let (Some(first), Some(end)) = (self.lost.first_mut(), second_end) {
                first.1 = end;
                self.lost.remove(1);
            }
        }
    }

    pub(crate) fn suspect(&mut self, at: Timestamp) {
        self.suspect_since.get_or_insert(at);
    }

    pub(crate) fn confirm(&mut self, at: Timestamp) {
        if let Some(since) = self.suspect_since.take() {
            self.suspended = self.suspended.saturating_add(at.since(since));
            self.lose(since, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downtime_under_suspicion_is_lost_once_with_the_rest_of_it() {
        let mut steady = Steady::default();
        steady.suspect(Timestamp(100));
        steady.lose(Timestamp(120), Timestamp(140));
        assert_eq!(steady.age(Timestamp(50), Timestamp(200)), 50);
        steady.confirm(Timestamp(200));
        assert_eq!(steady.age(Timestamp(50), Timestamp(260)), 110);
    }

    #[test]
    fn lost_time_makes_nothing_older() {
        let mut steady = Steady::default();
        steady.lose(Timestamp(100), Timestamp(150));
        assert_eq!(steady.age(Timestamp(50), Timestamp(200)), 100);
        assert_eq!(steady.age(Timestamp(120), Timestamp(200)), 50);
        assert_eq!(steady.age(Timestamp(160), Timestamp(200)), 40);
        steady.suspect(Timestamp(200));
        assert_eq!(steady.age(Timestamp(160), Timestamp(300)), 40);
        assert_eq!(steady.refill_time(Timestamp(300)), Timestamp(200));
        steady.confirm(Timestamp(400));
        assert_eq!(steady.refill_time(Timestamp(450)), Timestamp(250));
        assert_eq!(steady.age(Timestamp(160), Timestamp(450)), 90);
        for n in 0..1_000 {
            steady.lose(Timestamp(1_000 + 10 * n), Timestamp(1_005 + 10 * n));
        }
        assert!(steady.lost.len() <= LOST_MAX);
    }
}
