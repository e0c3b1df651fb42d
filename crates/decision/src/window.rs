//! Sliding windows over 1 h, 24 h and 30 d: exact to 64 entries, and from then on rounded outward.
//!
//! Rounded outward means that an entry may count for longer than it should, never for shorter: a slot stands for the
//! instant at which it ends. An hour is made of five-minute slots (13 of them can matter), a day of hours (25), a
//! month of days (31).

use holdfast_values::{Micros, Timestamp, UsdCents, time};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

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

/// What ended in one slot. In memory a key of few entries must cost little: an exchange has millions of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// In units of five minutes: enough for 40,000 years.
    end: u32,
    /// At [`u32::MAX`] it has forgotten what it counted, and stays.
    count: u32,
    usd_cents: UsdCents,
}

impl Slot {
    fn new(end: Timestamp, count: u32, usd_cents: UsdCents) -> Self {
        Self { end: u32::try_from(end.0 / FIVE_MINUTES).unwrap_or(u32::MAX), count, usd_cents }
    }

    const fn end(&self) -> Timestamp {
        Timestamp((self.end as u64).saturating_mul(FIVE_MINUTES))
    }

    const fn add(&mut self, count: u32, usd_cents: UsdCents) {
        self.count = self.count.saturating_add(count);
        self.usd_cents = self.usd_cents.saturating_add(usd_cents);
    }
}

impl<C> Encode<C> for Slot {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(3)?.encode(self.end())?.u32(self.count)?.encode(self.usd_cents)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Slot {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(3) {
            return Err(decode::Error::message("slot: an array of three"));
        }
        let end: Timestamp = d.decode()?;
        let slot = Self::new(end, d.u32()?, d.decode()?);
        if slot.end() == end { Ok(slot) } else { Err(decode::Error::message("slot: an end off its grain")) }
    }
}

/// Slots of five minutes, then hours, then days, each in the order in which they came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slots {
    fives: u16,
    hours: u16,
    all: Box<[Slot]>,
}

/// Slots by grain, while they change.
type ByGrain = [Vec<Slot>; 3];

const fn round_up(at: Timestamp, grain: Micros) -> Timestamp {
    Timestamp(at.0.div_ceil(grain).saturating_mul(grain))
}

fn put(slots: &mut Vec<Slot>, end: Timestamp, slot: Slot) {
    let new = Slot::new(end, slot.count, slot.usd_cents);
    match slots.iter_mut().rev().find(|known| known.end == new.end) {
        Some(known) => known.add(slot.count, slot.usd_cents),
        None => slots.push(new),
    }
}

impl Slots {
    /// Five minutes, hours, days.
    fn by_grain(&self) -> [&[Slot]; 3] {
        let (fives, rest) = self.all.split_at_checked(usize::from(self.fives)).unwrap_or_default();
        let (hours, days) = rest.split_at_checked(usize::from(self.hours)).unwrap_or_default();
        [fives, hours, days]
    }

    fn take_apart(&self) -> ByGrain {
        self.by_grain().map(<[Slot]>::to_vec)
    }

    /// `None` if there are more than a window can have.
    fn join([fives, hours, days]: ByGrain) -> Option<Self> {
        let count = |slots: &Vec<Slot>| u16::try_from(slots.len()).ok();
        let (five_count, hour_count) = (count(&fives)?, count(&hours)?);
        Some(Self { fives: five_count, hours: hour_count, all: [fives, hours, days].concat().into() })
    }

    fn add(&mut self, at: Timestamp, usd_cents: UsdCents) {
        let new = Slot::new(round_up(at, FIVE_MINUTES), 1, usd_cents);
        let fives = usize::from(self.fives);
        // Nearly always the last slot; an older one only while history is imported.
        match self.all.iter_mut().take(fives).rev().find(|slot| slot.end == new.end) {
            Some(slot) => slot.add(1, usd_cents),
            None => {
                let mut all = core::mem::take(&mut self.all).into_vec();
                all.reserve_exact(1);
                all.insert(fives.min(all.len()), new);
                self.all = all.into();
                self.fives = self.fives.saturating_add(1);
            }
        }
    }

    /// Moves what is surely out of a window into the next coarser slots; forgets what is out of all.
    fn roll(&mut self, now: Timestamp) {
        let spans = [time::HOUR, time::DAY, MONTH];
        let is_in = |slot: &Slot, span: Micros| now.since(slot.end()) <= span;
        let stays = |(slots, span): (&[Slot], Micros)| slots.iter().all(|slot| is_in(slot, span));
        if self.by_grain().into_iter().zip(spans).all(stays) {
            return;
        }
        let [mut fives, mut hours, mut days] = self.take_apart();
        for slot in fives.extract_if(.., |slot| !is_in(slot, time::HOUR)) {
            put(&mut hours, round_up(slot.end(), time::HOUR), slot);
        }
        for slot in hours.extract_if(.., |slot| !is_in(slot, time::DAY)) {
            put(&mut days, round_up(slot.end(), time::DAY), slot);
        }
        days.retain(|slot| is_in(slot, MONTH));
        // A window that would be too large stays as it is: it counts too much, never too little.
        if let Some(rolled) = Self::join([fives, hours, days]) {
            *self = rolled;
        }
    }

    /// Takes an entry out of the slot that holds it now.
    fn take(&mut self, at: Timestamp, usd_cents: UsdCents) {
        let five = round_up(at, FIVE_MINUTES);
        let hour = round_up(five, time::HOUR);
        let ends = [five, hour, round_up(hour, time::DAY)];
        let fives = usize::from(self.fives);
        let hours = fives.saturating_add(usize::from(self.hours));
        let ranges = [0..fives, fives..hours, hours..self.all.len()];
        let found = ranges.into_iter().zip(ends).enumerate().find_map(|(grain, (range, end))| {
            let slots = self.all.get(range.clone())?;
            Some((grain, range.start.saturating_add(slots.iter().position(|slot| slot.end() == end)?)))
        });
        let Some((grain, place)) = found else { return };
        let Some(slot) = self.all.get_mut(place) else { return };
        // What is saturated has forgotten what it was made of: it stays.
        if slot.count != u32::MAX {
            slot.count = slot.count.saturating_sub(1);
        }
        if slot.usd_cents != UsdCents::MAX {
            slot.usd_cents = UsdCents(slot.usd_cents.0.saturating_sub(usd_cents.0));
        }
        if slot.count == 0 {
            let mut all = core::mem::take(&mut self.all).into_vec();
            all.remove(place);
            self.all = all.into();
            match grain {
                0 => self.fives = self.fives.saturating_sub(1),
                1 => self.hours = self.hours.saturating_sub(1),
                _ => {}
            }
        }
    }
}

impl<C> Encode<C> for Slots {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(3)?;
        self.by_grain().into_iter().try_for_each(|slots| slots.encode(e, ctx))
    }
}

impl<'b, C> Decode<'b, C> for Slots {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(3) {
            return Err(decode::Error::message("slots: an array of three"));
        }
        let by_grain = [Vec::decode(d, ctx)?, Vec::decode(d, ctx)?, Vec::decode(d, ctx)?];
        Self::join(by_grain).ok_or_else(|| decode::Error::message("slots: too many"))
    }
}

/// At most [`EXACT_MAX`] entries, or slots.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Form {
    #[n(0)]
    Exact(#[n(0)] Box<[Entry]>),
    #[n(1)]
    Slots(#[n(0)] Slots),
}

/// One key's window.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Window(#[n(0)] Form);

impl Default for Window {
    fn default() -> Self {
        Self(Form::Exact(Box::default()))
    }
}

impl Window {
    /// A window that is kept in slots from the first entry on: for keys that many accounts share.
    pub fn in_slots() -> Self {
        Self(Form::Slots(Slots::default()))
    }

    /// Adds an entry; `now` is not before `at`.
    pub fn add(&mut self, now: Timestamp, at: Timestamp, usd_cents: UsdCents) {
        if let Form::Exact(kept) = &mut self.0 {
            let mut entries = core::mem::take(kept).into_vec();
            entries.retain(|entry| now.since(entry.at) <= MONTH);
            if entries.len() < EXACT_MAX {
                entries.reserve_exact(1);
                entries.push(Entry { at, usd_cents });
                *kept = entries.into();
                return;
            }
            let mut slots = Slots::default();
            for entry in entries {
                slots.add(entry.at, entry.usd_cents);
            }
            self.0 = Form::Slots(slots);
        }
        if let Form::Slots(slots) = &mut self.0 {
            slots.add(at, usd_cents);
            slots.roll(now);
        }
    }

    /// Takes an entry back, as far as it can still be told apart: what cannot stays counted.
    pub fn remove(&mut self, at: Timestamp, usd_cents: UsdCents) {
        match &mut self.0 {
            Form::Exact(kept) => {
                if let Some(place) = kept.iter().position(|e| e.at == at && e.usd_cents == usd_cents) {
                    let mut entries = core::mem::take(kept).into_vec();
                    entries.remove(place);
                    *kept = entries.into();
                }
            }
            Form::Slots(slots) => slots.take(at, usd_cents),
        }
    }

    /// What lies in the windows that end at `now`.
    pub fn totals(&self, now: Timestamp) -> Totals {
        let mut totals = Totals::default();
        match &self.0 {
            Form::Exact(entries) => {
                for entry in &**entries {
                    totals.add(now.since(entry.at), 1, entry.usd_cents, 0);
                }
            }
            Form::Slots(slots) => {
                // A coarse slot lies, whole, outside the windows finer than it: that is when it was made.
                for (from, slots) in slots.by_grain().into_iter().enumerate() {
                    for slot in slots {
                        totals.add(now.since(slot.end()), u64::from(slot.count), slot.usd_cents, from);
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
            Form::Slots(slots) => slots.all.iter().all(|slot| now.since(slot.end()) > MONTH),
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

    /// As snapshots have had it from the first one on.
    #[derive(Encode)]
    struct SlotWritten(#[n(0)] Timestamp, #[n(1)] u64, #[n(2)] UsdCents);
    #[derive(Encode)]
    struct SlotsWritten(#[n(0)] Vec<SlotWritten>, #[n(1)] Vec<SlotWritten>, #[n(2)] Vec<SlotWritten>);
    #[derive(Encode)]
    enum FormWritten {
        #[n(0)]
        Exact(#[n(0)] Vec<Entry>),
        #[n(1)]
        Slots(#[n(0)] SlotsWritten),
    }

    #[test]
    fn is_written_as_lists_by_grain_and_read_back() {
        let day = Timestamp(1_700_006_400 * time::SECOND);
        let mut shared = Window::in_slots();
        let mut own = Window::default();
        for (hours, cents) in [(0, 5), (47, 6), (47, 7), (71, 8)] {
            let at = day.plus(hours * time::HOUR);
            shared.add(at, at, UsdCents(cents));
            own.add(at, at, UsdCents(cents));
        }
        let slot =
            |hours: u64, count, cents| SlotWritten(day.plus(hours * time::HOUR), count, UsdCents(cents));
        let slots = SlotsWritten(vec![slot(71, 1, 8)], vec![slot(47, 2, 13)], vec![slot(0, 1, 5)]);
        let entry =
            |hours: u64, cents| Entry { at: day.plus(hours * time::HOUR), usd_cents: UsdCents(cents) };
        let entries = vec![entry(0, 5), entry(47, 6), entry(47, 7), entry(71, 8)];
        for (window, written) in [(shared, FormWritten::Slots(slots)), (own, FormWritten::Exact(entries))] {
            let bytes = minicbor::to_vec(&window).unwrap();
            assert_eq!(bytes, minicbor::to_vec(&written).unwrap());
            let back: Window = Decoder::new(&bytes).decode().unwrap();
            assert_eq!(back, window);
        }
    }

    #[test]
    fn a_window_of_a_few_slots_is_small() {
        assert!(size_of::<Window>() <= 24 && size_of::<Slot>() <= 16);
    }
}
