//! Sliding windows over 1 h, 24 h and 30 d: exact to 64 entries, and from then on rounded outward.
//!
//! Rounded outward means that an entry may count for longer than it should, never for shorter: a slot stands for the
//! instant at which it ends. An hour is made of five-minute slots (13 of them can matter), a day of hours (25), a
//! month of days (31).

use holdfast_values::{Micros, Timestamp, UsdCents, time};
use minicbor::{Decode, Encode};

/// How many entries are kept exactly.
pub const EXACT_MAX: usize = 64;
const FIVE_MINUTES: Micros = 5 * time::MINUTE;
const MONTH: Micros = 30 * time::DAY;

/// Counts and sums over the three windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many in 1 h, 24 h and 30 d.
    pub count: [u64; 3],
    /// Their value.
    pub usd_cents: [UsdCents; 3],
}

impl Totals {
    fn add(&mut self, age: Micros, count: u64, usd_cents: UsdCents, from: usize) {
        let spans = [time::HOUR, time::DAY, MONTH];
        for (place, span) in spans.into_iter().enumerate().skip(from) {
            if age <= span
                && let (Some(n), Some(sum)) = (self.count.get_mut(place), self.usd_cents.get_mut(place))
            {
                *n = n.saturating_add(count);
                *sum = sum.saturating_add(usd_cents);
            }
        }
    }

    /// With one more, of this instant.
    #[must_use]
    pub fn with(mut self, usd_cents: UsdCents) -> Self {
        self.add(0, 1, usd_cents, 0);
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    at: Timestamp,
    #[n(1)]
    usd_cents: UsdCents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Slot {
    #[n(0)]
    end: Timestamp,
    #[n(1)]
    count: u64,
    #[n(2)]
    usd_cents: UsdCents,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Slots {
    #[n(0)]
    fives: Vec<Slot>,
    #[n(1)]
    hours: Vec<Slot>,
    #[n(2)]
    days: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Form {
    #[n(0)]
    Exact(#[n(0)] Vec<Entry>),
    #[n(1)]
    Slots(#[n(0)] Box<Slots>),
}

/// One key's window.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Window(#[n(0)] Form);

impl Default for Window {
    fn default() -> Self {
        Self(Form::Exact(Vec::new()))
    }
}

const fn round_up(at: Timestamp, grain: Micros) -> Timestamp {
    Timestamp(at.0.div_ceil(grain).saturating_mul(grain))
}

fn put(slots: &mut Vec<Slot>, end: Timestamp, count: u64, usd_cents: UsdCents) {
    // Nearly always the last slot; an older one only while history is imported.
    match slots.iter_mut().rev().find(|slot| slot.end == end) {
        Some(slot) => {
            slot.count = slot.count.saturating_add(count);
            slot.usd_cents = slot.usd_cents.saturating_add(usd_cents);
        }
        None => slots.push(Slot { end, count, usd_cents }),
    }
}

fn take(slots: &mut Vec<Slot>, end: Timestamp, usd_cents: UsdCents) -> bool {
    let Some(place) = slots.iter().position(|slot| slot.end == end) else { return false };
    if let Some(slot) = slots.get_mut(place) {
        slot.count = slot.count.saturating_sub(1);
        // A saturated sum has forgotten what it was made of: it stays.
        if slot.usd_cents != UsdCents::MAX {
            slot.usd_cents = UsdCents(slot.usd_cents.0.saturating_sub(usd_cents.0));
        }
        if slot.count == 0 {
            slots.remove(place);
        }
    }
    true
}

impl Slots {
    fn add(&mut self, at: Timestamp, usd_cents: UsdCents) {
        put(&mut self.fives, round_up(at, FIVE_MINUTES), 1, usd_cents);
    }

    /// Moves what is surely out of a window into the next coarser slots; forgets what is out of all.
    fn roll(&mut self, now: Timestamp) {
        let hours = &mut self.hours;
        self.fives.retain(|slot| {
            let stays = now.since(slot.end) <= time::HOUR;
            if !stays {
                put(hours, round_up(slot.end, time::HOUR), slot.count, slot.usd_cents);
            }
            stays
        });
        let days = &mut self.days;
        self.hours.retain(|slot| {
            let stays = now.since(slot.end) <= time::DAY;
            if !stays {
                put(days, round_up(slot.end, time::DAY), slot.count, slot.usd_cents);
            }
            stays
        });
        self.days.retain(|slot| now.since(slot.end) <= MONTH);
    }
}

impl Window {
    /// A window that is kept in slots from the first entry on: for keys that many accounts share.
    pub fn in_slots() -> Self {
        Self(Form::Slots(Box::default()))
    }

    /// Adds an entry; `now` is not before `at`.
    pub fn add(&mut self, now: Timestamp, at: Timestamp, usd_cents: UsdCents) {
        if let Form::Exact(entries) = &mut self.0 {
            entries.retain(|entry| now.since(entry.at) <= MONTH);
            if entries.len() < EXACT_MAX {
                // Most keys have few entries: grow by what is needed, not by doubling.
                if entries.len() == entries.capacity() && entries.len() < 8 {
                    entries.reserve_exact(1);
                }
                entries.push(Entry { at, usd_cents });
                return;
            }
            let mut slots = Slots::default();
            for entry in entries.iter() {
                slots.add(entry.at, entry.usd_cents);
            }
            self.0 = Form::Slots(Box::new(slots));
        }
        if let Form::Slots(slots) = &mut self.0 {
            slots.add(at, usd_cents);
            slots.roll(now);
        }
    }

    /// Takes an entry back, as far as it can still be told apart: what cannot stays counted.
    pub fn remove(&mut self, at: Timestamp, usd_cents: UsdCents) {
        match &mut self.0 {
            Form::Exact(entries) => {
                if let Some(place) = entries.iter().position(|e| e.at == at && e.usd_cents == usd_cents) {
                    entries.remove(place);
                }
            }
            Form::Slots(slots) => {
                let five = round_up(at, FIVE_MINUTES);
                let hour = round_up(five, time::HOUR);
                let day = round_up(hour, time::DAY);
                let _found = take(&mut slots.fives, five, usd_cents)
                    || take(&mut slots.hours, hour, usd_cents)
                    || take(&mut slots.days, day, usd_cents);
            }
        }
    }

    /// What lies in the windows that end at `now`.
    pub fn totals(&self, now: Timestamp) -> Totals {
        let mut totals = Totals::default();
        match &self.0 {
            Form::Exact(entries) => {
                for entry in entries {
                    totals.add(now.since(entry.at), 1, entry.usd_cents, 0);
                }
            }
            Form::Slots(slots) => {
                // A coarse slot lies, whole, outside the windows finer than it: that is when it was made.
                for (from, slots) in [&slots.fives, &slots.hours, &slots.days].into_iter().enumerate() {
                    for slot in slots {
                        totals.add(now.since(slot.end), slot.count, slot.usd_cents, from);
                    }
                }
            }
        }
        totals
    }

    /// True if nothing of it can matter after `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        match &self.0 {
            Form::Exact(entries) => entries.iter().all(|entry| now.since(entry.at) > MONTH),
            Form::Slots(slots) => [&slots.fives, &slots.hours, &slots.days]
                .into_iter()
                .flatten()
                .all(|slot| now.since(slot.end) > MONTH),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(entries: &[(Timestamp, UsdCents)], now: Timestamp) -> Totals {
        let mut totals = Totals::default();
        for (at, cents) in entries {
            totals.add(now.since(*at), 1, *cents, 0);
        }
        totals
    }

    proptest! {
        /// Exact to 64 entries; beyond that never under, and over by no more than the slots' grain.
        #[test]
        fn never_counts_too_little(gaps in prop::collection::vec((0u64..7_200, 1u64..100_000), 1..400)) {
            let mut window = Window::default();
            let mut slots = Window::in_slots();
            let mut all = Vec::new();
            let mut now = Timestamp(1_700_000_000 * time::SECOND);
            for (gap, cents) in gaps {
                now = now.plus(gap * time::SECOND + 1);
                window.add(now, now, UsdCents(cents));
                slots.add(now, now, UsdCents(cents));
                all.push((now, UsdCents(cents)));
                let truth = exact(&all, now);
                let counted = window.totals(now);
                if all.len() <= EXACT_MAX {
                    prop_assert_eq!(counted, truth);
                }
                for totals in [counted, slots.totals(now)] {
                    for place in 0..3 {
                        prop_assert!(totals.count[place] >= truth.count[place]);
                        prop_assert!(totals.usd_cents[place] >= truth.usd_cents[place]);
                    }
                    let grains = [FIVE_MINUTES, time::HOUR, time::DAY];
                    for (place, span) in [time::HOUR, time::DAY, MONTH].into_iter().enumerate() {
                        // What is over-counted lies within two grains of the window's edge.
                        let reach = span + 2 * grains[place];
                        let most = all.iter().filter(|(at, _)| now.since(*at) <= reach).count();
                        prop_assert!(totals.count[place] <= most as u64);
                    }
                }
            }
        }

        #[test]
        fn taking_back_leaves_nothing(count in 1usize..200, gap in 0u64..3_600) {
            let mut window = Window::default();
            let start = Timestamp(1_700_000_000 * time::SECOND);
            let mut added = Vec::new();
            let mut now = start;
            for _ in 0..count {
                now = now.plus(gap * time::SECOND);
                window.add(now, now, UsdCents(7));
                added.push(now);
            }
            for at in added {
                if now.since(at) <= 29 * time::DAY {
                    window.remove(at, UsdCents(7));
                }
            }
            prop_assert_eq!(window.totals(now).count[1], 0);
        }
    }
}
