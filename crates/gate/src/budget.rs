//! Weights spent per minute, by API key and by address, in memory that no caller can make grow.

use core::hash::BuildHasher;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_values::{Timestamp, time};

use crate::net;

/// What was spent in the current minute. Minutes are those of the clock, as Binance counts them.
#[derive(Debug, Default)]
pub(crate) struct Minute(AtomicU64);

/// The minute that `now` lies in, as the upper half of a [`Minute`].
const fn minute(now: Timestamp) -> u64 {
    (now.0 / time::MINUTE) << 32
}

const SPENT: u64 = u32::MAX as u64;

impl Minute {
    fn spent(packed: u64, minute: u64) -> u64 {
        if packed & !SPENT == minute { packed & SPENT } else { 0 }
    }

    /// Spends `weight` unless that is more than is left of `limit`; what is refused is not spent.
    pub(crate) fn spend(&self, now: Timestamp, weight: u32, limit: u32) -> bool {
        let minute = minute(now);
        let spend = |packed| {
            let spent = Self::spent(packed, minute).saturating_add(u64::from(weight));
            (spent <= u64::from(limit)).then_some(minute | spent)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// Adds without asking.
    fn add(&self, now: Timestamp, weight: u32) {
        let minute = minute(now);
        let add = |packed| {
            let spent = Self::spent(packed, minute).saturating_add(u64::from(weight)).min(SPENT);
            Some(minute | spent)
        };
        let _always = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Gives back what was spent, if the minute is still the same.
    fn give_back(&self, now: Timestamp, weight: u32) {
        let minute = minute(now);
        let less = |packed: u64| {
            (packed & !SPENT == minute)
                .then(|| minute | Self::spent(packed, minute).saturating_sub(u64::from(weight)))
        };
        let _another_minute = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// Seconds until the minute after `now` begins, 1 to 60.
pub(crate) fn seconds_left(now: Timestamp) -> u32 {
    let left = time::MINUTE.saturating_sub(now.0 % time::MINUTE);
    u32::try_from(left.div_ceil(time::SECOND)).unwrap_or(60)
}

/// Cells of one row. Two rows of them are 2 MiB.
const CELLS: usize = 1 << 17;

/// What addresses spent: a sketch of fixed size, so that a crowd of addresses costs no memory.
///
/// Each address has a cell in each of two rows, and the lesser of the two counts. It can be told too much, where other
/// addresses share both cells, and never too little. Who shares with whom depends on keys drawn at start.
pub(crate) struct Addresses {
    rows: [(RandomState, Box<[Minute]>); 2],
}

impl Addresses {
    pub(crate) fn new() -> Self {
        let row = || (RandomState::new(), (0..CELLS).map(|_| Minute::default()).collect());
        Self { rows: [row(), row()] }
    }

    fn cells(&self, address: IpAddr) -> impl Iterator<Item = &Minute> {
        let address = net::counted(address);
        self.rows.iter().filter_map(move |(keys, cells)| {
            let place = usize::try_from(keys.hash_one(address) % CELLS as u64).unwrap_or(0);
            cells.get(place)
        })
    }

    /// Spends `weight` of an address's `limit`; false if it has less.
    pub(crate) fn spend(&self, now: Timestamp, address: IpAddr, weight: u32, limit: u32) -> bool {
        let minute = minute(now);
        let least =
            self.cells(address).map(|cell| Minute::spent(cell.0.load(Ordering::Relaxed), minute)).min();
        if least.unwrap_or(0).saturating_add(u64::from(weight)) > u64::from(limit) {
            return false;
        }
        self.cells(address).for_each(|cell| cell.add(now, weight));
        true
    }

    /// Gives back what a request spent that turned out to be somebody's.
    pub(crate) fn give_back(&self, now: Timestamp, address: IpAddr, weight: u32) {
        self.cells(address).for_each(|cell| cell.give_back(now, weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000 * time::SECOND);

    #[test]
    fn a_minute_holds_its_limit_and_the_next_begins_anew() {
        let minute = Minute::default();
        assert!(minute.spend(NOON, 7, 10) && minute.spend(NOON, 3, 10));
        assert!(!minute.spend(NOON, 1, 10));
        assert!(!minute.spend(NOON.plus(59 * time::SECOND), 1, 10));
        assert!(minute.spend(NOON.plus(60 * time::SECOND), 10, 10));
        assert!(!minute.spend(NOON.plus(60 * time::SECOND), u32::MAX, u32::MAX - 1));
        assert_eq!((seconds_left(NOON), seconds_left(NOON.plus(1))), (60, 60));
        assert_eq!(seconds_left(NOON.plus(59 * time::SECOND)), 1);
        assert_eq!(seconds_left(NOON.plus(60 * time::SECOND - 1)), 1);
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let minute = Minute::default();
        assert!(!minute.spend(NOON, 11, 10));
        assert!(minute.spend(NOON, 10, 10));
    }

    #[test]
    fn a_crowd_of_addresses_leaves_a_stranger_his_budget() {
        let addresses = Addresses::new();
        for n in 0..100_000u32 {
            assert!(addresses.spend(NOON, IpAddr::from(n.to_be_bytes()), 1, 1_000));
        }
        let stranger: IpAddr = "2001:db8::1".parse().unwrap();
        let granted = (0..1_100).filter(|_| addresses.spend(NOON, stranger, 1, 1_000)).count();
        assert!((950..=1_000).contains(&granted), "{granted}");
        addresses.give_back(NOON, stranger, 1_000);
        assert!(addresses.spend(NOON, stranger, 500, 1_000));
    }
}
