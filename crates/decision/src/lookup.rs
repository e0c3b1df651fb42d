//! Maps that offer look-up, insertion and removal but no iteration: their order can never leak into a decision.

#![expect(
    clippy::disallowed_types,
    reason = "the one place where a hash map is wrapped so that it cannot be iterated"
)]

use core::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::collections::HashMap;
use std::hash::DefaultHasher;

use hashbrown::HashTable;
use holdfast_values::WithdrawalId;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::event::AccountIndex;

/// A hash map without iteration.
#[derive(Clone, Debug)]
pub struct LookupMap<K, V>(HashMap<K, V, BuildHasherDefault<DefaultHasher>>);

impl<K, V> Default for LookupMap<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Eq + Hash, V> LookupMap<K, V> {
    /// The value of `key`.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: core::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.0.get(key)
    }

    /// Puts a value; returns the one that it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn hash_of<Q: Hash + ?Sized>(key: &Q) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(key)
}

/// Places in a list by the key that stands there: the list has the keys, so that none is kept twice.
#[derive(Clone, Debug)]
pub struct PlaceIndex<P = u32>(HashTable<P>);

impl<P> Default for PlaceIndex<P> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<P: Copy + Eq> PlaceIndex<P> {
    /// The place of `key`, if `has` says of a place that the key stands there.
    pub fn find<Q: Hash + ?Sized>(&self, key: &Q, has: impl Fn(P) -> bool) -> Option<P> {
        self.0.find(hash_of(key), |place| has(*place)).copied()
    }

    /// Puts the place of a key that is not in here; `key_at` gives the keys of the places that are.
    pub fn insert<Q: Hash + ?Sized, K: Hash>(&mut self, key: &Q, place: P, key_at: impl Fn(P) -> Option<K>) {
        self.0.insert_unique(hash_of(key), place, |place| key_at(*place).map_or(0, |key| hash_of(&key)));
    }

    /// Takes a place out.
    pub fn remove<Q: Hash + ?Sized>(&mut self, key: &Q, place: P) {
        if let Ok(entry) = self.0.find_entry(hash_of(key), |known| *known == place) {
            entry.remove();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Values by key in dense places, so that a snapshot has an order, with places used again in a fixed order.
#[derive(Clone, Debug)]
pub struct Slab<K, V> {
    places: Vec<Option<(K, V)>>,
    free: Vec<u32>,
    index: PlaceIndex,
}

impl<K, V> Default for Slab<K, V> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), index: PlaceIndex::default() }
    }
}

fn at<K, V>(places: &[Option<(K, V)>], place: u32) -> Option<&(K, V)> {
    places.get(usize::try_from(place).ok()?)?.as_ref()
}

impl<K: Eq + Hash + Copy, V> Slab<K, V> {
    fn place_of(&self, key: &K) -> Option<u32> {
        self.index.find(key, |place| at(&self.places, place).is_some_and(|(known, _)| known == key))
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        at(&self.places, self.place_of(key)?).map(|(_, value)| value)
    }

    /// The value of `key`, made by `V::default` if there is none; `None` if the slab is full.
    pub fn get_or_default(&mut self, key: K) -> Option<&mut V>
    where
        V: Default,
    {
        let place = match self.place_of(&key) {
            Some(place) => place,
            None => {
                let place = match self.free.pop() {
                    Some(place) => place,
                    None => {
                        let place = u32::try_from(self.places.len()).ok()?;
                        self.places.push(None);
                        place
                    }
                };
                *self.places.get_mut(usize::try_from(place).ok()?)? = Some((key, V::default()));
                let places = &self.places;
                self.index.insert(&key, place, |place| at(places, place).map(|(key, _)| *key));
                place
            }
        };
        self.places.get_mut(usize::try_from(place).ok()?)?.as_mut().map(|(_, value)| value)
    }

    /// The value of `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place_of(key)?;
        self.places.get_mut(usize::try_from(place).ok()?)?.as_mut().map(|(_, value)| value)
    }

    /// Forgets those of the `count` places from `cursor` on that `is_dead`; returns where to go on.
    pub fn sweep(&mut self, cursor: u32, count: u32, mut is_dead: impl FnMut(&mut V) -> bool) -> u32 {
        let len = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let start = if cursor >= len { 0 } else { cursor };
        let end = start.saturating_add(count).min(len);
        for number in start..end {
            let Some(place) = usize::try_from(number).ok().and_then(|at| self.places.get_mut(at)) else {
                break;
            };
            if let Some((key, value)) = place
                && is_dead(value)
            {
                self.index.remove(key, number);
                *place = None;
                self.free.push(number);
            }
        }
        end
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

impl<C, K: Encode<C>, V: Encode<C>> Encode<C> for Slab<K, V> {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        self.places.encode(e, ctx)?;
        self.free.encode(e, ctx)
    }
}

impl<'b, C, K: Decode<'b, C> + Eq + Hash + Copy, V: Decode<'b, C>> Decode<'b, C> for Slab<K, V> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(2) {
            return Err(decode::Error::message("slab: an array of two"));
        }
        let places: Vec<Option<(K, V)>> = Vec::decode(d, ctx)?;
        let free = Vec::decode(d, ctx)?;
        let mut index = PlaceIndex::default();
        for (number, place) in places.iter().enumerate() {
            if let Some((key, _)) = place {
                let number = u32::try_from(number).map_err(|_| decode::Error::message("slab: too large"))?;
                index.insert(key, number, |place| at(&places, place).map(|(key, _)| *key));
            }
        }
        Ok(Self { places, free, index })
    }
}

/// The open withdrawals of each account, in the order of their ids: what is asked about with every request lies at one
/// place.
#[derive(Clone, Debug, Default)]
pub struct OpenByAccount(Vec<Vec<WithdrawalId>>);

impl OpenByAccount {
    /// Those of an account.
    pub fn of(&self, account: AccountIndex) -> &[WithdrawalId] {
        self.0.get(place(account)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds one; it may be there.
    pub fn insert(&mut self, account: AccountIndex, id: WithdrawalId) {
        let place = place(account);
        if self.0.len() <= place {
            self.0.resize_with(place.saturating_add(1), Vec::new);
        }
        if let Some(ids) = self.0.get_mut(place)
            && let Err(at) = ids.binary_search(&id)
        {
            ids.insert(at, id);
        }
    }

    /// Takes one out; an account without any takes no memory but its place.
    pub fn remove(&mut self, account: AccountIndex, id: WithdrawalId) {
        if let Some(ids) = self.0.get_mut(place(account))
            && let Ok(at) = ids.binary_search(&id)
        {
            ids.remove(at);
            if ids.is_empty() {
                *ids = Vec::new();
            }
        }
    }
}

fn place(account: AccountIndex) -> usize {
    usize::try_from(account.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_finds_what_it_holds_and_uses_places_again() {
        let mut slab: Slab<u64, u64> = Slab::default();
        for key in 0..10_000 {
            *slab.get_or_default(key).unwrap() = key * 3;
        }
        let mut cursor = 0;
        for _ in 0..10 {
            cursor = slab.sweep(cursor, 1_000, |value| value.is_multiple_of(2));
        }
        assert_eq!((slab.len(), cursor), (5_000, 10_000));
        for key in 0..10_000 {
            assert_eq!(slab.get(&key).copied(), (key % 2 == 1).then_some(key * 3));
        }
        for key in 20_000..26_000 {
            *slab.get_or_default(key).unwrap() = key;
        }
        assert_eq!((slab.len(), slab.places.len()), (11_000, 11_000));
        let bytes = minicbor::to_vec(&slab).unwrap();
        let back: Slab<u64, u64> = Decoder::new(&bytes).decode().unwrap();
        assert_eq!(minicbor::to_vec(&back).unwrap(), bytes);
        assert!((0..26_000).all(|key| back.get(&key) == slab.get(&key)));
    }
}
