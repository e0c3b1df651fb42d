//! Requests that were let through, remembered for as long as they could be let through again.
//!
//! Nothing is forgotten early: when the memory is full, new requests are refused until old ones have run out. Only what
//! carries a good signature gets here, so a stranger cannot fill it, and a customer's share is bounded by his budget.

use core::hash::BuildHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_values::{Timestamp, time};

const SHARDS: usize = 64;

/// Half of a request's SHA-256: 128 bits, of which nobody can make two alike.
type Mark = [u8; 16];

#[derive(Default)]
struct Shard {
    marks: HashSet<Mark>,
    /// By the second after which they cannot come again.
    ends: BTreeMap<u64, Vec<Mark>>,
}

/// What was seen.
pub(crate) struct Seen {
    shards: Box<[Mutex<Shard>]>,
    /// Which shard a mark lies in is nobody's to choose.
    keys: RandomState,
    count: AtomicUsize,
    max: usize,
    swept: AtomicU64,
}

/// What came of remembering a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// It is new, and remembered.
    New,
    /// It was there already.
    Again,
    /// There is no room.
    Full,
    /// It is new, but was not paid for, and is not remembered.
    Unpaid,
}

impl Seen {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys: RandomState::new(),
            count: AtomicUsize::new(0),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            swept: AtomicU64::new(0),
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn shard(&self, mark: &Mark) -> Option<MutexGuard<'_, Shard>> {
        let place = usize::try_from(self.keys.hash_one(mark) % SHARDS as u64).unwrap_or(0);
        self.shards.get(place).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what ended before this second.
    fn purge(&self, shard: &mut Shard, second: u64) {
        while let Some(entry) = shard.ends.first_entry()
            && *entry.key() < second
        {
            let ended = entry.remove();
            for mark in &ended {
                shard.marks.remove(mark);
            }
            self.count.fetch_sub(ended.len(), Ordering::Relaxed);
        }
    }

    /// Purges every shard, at most once a second.
    fn sweep(&self, second: u64) {
        if self.swept.swap(second, Ordering::Relaxed) == second {
            return;
        }
        for shard in &self.shards {
            self.purge(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), second);
        }
    }

    /// Remembers a request until `end` has passed, if it is new and `pay` says that it was paid for.
    ///
    /// In this order, because a copy of a request must not spend its key's budget, and what the budget does not cover
    /// must not take room.
    pub(crate) fn remember(
        &self,
        now: Timestamp,
        digest: &[u8; 32],
        end: Timestamp,
        pay: impl FnOnce() -> bool,
    ) -> Remembered {
        let second = now.0 / time::SECOND;
        if self.len() >= self.max {
            self.sweep(second);
        }
        let mark = mark(digest);
        let Some(mut shard) = self.shard(&mark) else { return Remembered::Full };
        self.purge(&mut shard, second);
        if shard.marks.contains(&mark) {
            return Remembered::Again;
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Remembered::Full;
        }
        if !pay() {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Remembered::Unpaid;
        }
        shard.marks.insert(mark);
        shard.ends.entry(end.0 / time::SECOND).or_default().push(mark);
        Remembered::New
    }
}

fn mark(digest: &[u8; 32]) -> Mark {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *digest;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000 * time::SECOND);

    fn digest(n: u32) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&n.to_be_bytes());
        digest
    }

    #[test]
    fn nothing_is_forgotten_before_its_end() {
        let seen = Seen::new(10);
        let end = NOON.plus(5 * time::SECOND);
        assert_eq!(seen.remember(NOON, &digest(1), end, || true), Remembered::New);
        for micros in [0, 1, time::SECOND, 5 * time::SECOND] {
            assert_eq!(
                seen.remember(NOON.plus(micros), &digest(1), end, || true),
                Remembered::Again,
                "{micros}"
            );
        }
        assert_eq!(seen.remember(NOON.plus(6 * time::SECOND), &digest(1), end, || true), Remembered::New);
    }

    #[test]
    fn a_full_memory_refuses_and_frees_itself_with_time() {
        let seen = Seen::new(100);
        let end = NOON.plus(5 * time::SECOND);
        for n in 0..100 {
            assert_eq!(seen.remember(NOON, &digest(n), end, || true), Remembered::New);
        }
        assert_eq!(seen.remember(NOON, &digest(100), end, || true), Remembered::Full);
        assert_eq!(seen.remember(NOON, &digest(7), end, || true), Remembered::Again);
        assert_eq!(seen.len(), 100);
        let later = NOON.plus(6 * time::SECOND);
        assert_eq!(seen.remember(later, &digest(100), later, || true), Remembered::New);
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn of_parallel_copies_one_is_new() {
        let seen = Seen::new(1_000);
        let end = NOON.plus(5 * time::SECOND);
        let fresh: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500)
                            .filter(|n| seen.remember(NOON, &digest(*n), end, || true) == Remembered::New)
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((fresh, seen.len()), (500, 500));
    }

    #[test]
    fn what_is_not_paid_for_takes_no_room_and_copies_pay_nothing() {
        let seen = Seen::new(10);
        let end = NOON.plus(5 * time::SECOND);
        assert_eq!(seen.remember(NOON, &digest(1), end, || false), Remembered::Unpaid);
        assert_eq!(seen.len(), 0);
        assert_eq!(seen.remember(NOON, &digest(1), end, || true), Remembered::New);
        assert_eq!(seen.remember(NOON, &digest(1), end, || panic!("pays again")), Remembered::Again);
    }
}
