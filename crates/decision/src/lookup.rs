//! Maps that offer look-up, insertion and removal but no iteration: their order can never leak into a decision.

#![expect(
    clippy::disallowed_types,
    reason = "the one place where a hash map is wrapped so that it cannot be iterated"
)]

use core::hash::{BuildHasherDefault, Hash};
use std::collections::HashMap;
use std::hash::DefaultHasher;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

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

/// Values by key in dense places, so that a snapshot has an order, with places used again in a fixed order.
#[derive(Clone, Debug)]
pub struct Slab<K, V> {
    places: Vec<Option<(K, V)>>,
    free: Vec<u32>,
    index: LookupMap<K, u32>,
}

impl<K, V> Default for Slab<K, V> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), index: LookupMap::default() }
    }
}

impl<K: Eq + Hash + Copy, V> Slab<K, V> {
    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        let place = *self.index.get(key)?;
        self.places.get(usize::try_from(place).ok()?)?.as_ref().map(|(_, value)| value)
    }

    /// The value of `key`, made by `V::default` if there is none; `None` if the slab is full.
    pub fn get_or_default(&mut self, key: K) -> Option<&mut V>
    where
        V: Default,
    {
        let place = match self.index.get(&key) {
            Some(place) => *place,
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
                self.index.insert(key, place);
                place
            }
        };
        self.places.get_mut(usize::try_from(place).ok()?)?.as_mut().map(|(_, value)| value)
    }

    /// The value of `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.index.get(key)?;
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
                self.index.remove(key);
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
        let mut index = LookupMap::default();
        for (number, place) in places.iter().enumerate() {
            if let Some((key, _)) = place {
                let number = u32::try_from(number).map_err(|_| decode::Error::message("slab: too large"))?;
                index.insert(*key, number);
            }
        }
        Ok(Self { places, free, index })
    }
}
