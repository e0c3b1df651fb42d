//! The API keys that the gate knows, and what was seen of each.
//!
//! The table is a copy of what the core and the vault hold, kept up to date by whoever owns the gate. A key that was
//! revoked stays so, and a late word about an older revision changes nothing.

use core::hash::BuildHasher;
use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_values::{AccountId, Name, Timestamp};

use crate::budget::Minute;
use crate::net::{self, IpNet};
use crate::summary::{Anomalies, KeyUse, Summary};

const SHARDS: usize = 64;
/// The most networks in a key's allowlist.
pub const ALLOW_MAX: usize = 1_024;

/// An API key as the gate is told of it.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// Whose it is.
    pub account: AccountId,
    /// Its id.
    pub key: Name,
    /// Counts from 1; an entry with a lower one than the table has is ignored.
    pub revision: u32,
    /// What its signatures are checked against.
    pub material: KeyMaterial,
    /// The one dialect that it signs in; any if absent.
    pub dialect: Option<Dialect>,
    /// What it may do: 1 read, 2 trade, 4 withdraw, 8 transfer.
    pub scopes: u8,
    /// From where it may be used; from anywhere if empty, but then not to withdraw.
    pub allow: Vec<IpNet>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// It was revoked, for ever.
    pub revoked: bool,
}

/// Why an entry is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The table is full.
    #[error("the gate's table of keys is full: raise limits.keys_max")]
    Full,
    /// The allowlist is too long.
    #[error("an allowlist has at most {ALLOW_MAX} addresses and networks")]
    AllowTooLong,
    /// The key is another account's.
    #[error("the gate knows a key of this id that belongs to another account")]
    Foreign,
}

/// What is known and was seen of a key.
pub(crate) struct Known {
    pub(crate) entry: KeyEntry,
    pub(crate) used: Arc<Used>,
    /// It has changed, and must be put again before it counts.
    pub(crate) suspended: bool,
}

/// What was seen of a key, across its revisions.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub(crate) minute: Minute,
    /// One above the highest nonce; nothing yet if 0. Holds `u64::MAX` as such, which no nonce is above.
    nonce: AtomicU64,
    allowed: AtomicU32,
    refused: AtomicU32,
    unproven: AtomicU32,
    last_used: AtomicU64,
    anomalies: AtomicU16,
    /// A bit for each neighbourhood of addresses, by a keyed hash.
    places: AtomicU64,
    /// It stands in its shard's list of keys to tell of.
    listed: AtomicBool,
}

impl Used {
    /// Takes a nonce if it is above all before it.
    pub(crate) fn rise(&self, nonce: u64) -> bool {
        let above = nonce.saturating_add(1);
        let rise = |last| (above > last).then_some(above);
        self.nonce.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rise).is_ok()
    }
}

#[derive(Default)]
struct Shard {
    keys: RwLock<HashMap<Name, Arc<Known>>>,
    touched: Mutex<Vec<Name>>,
}

/// The table.
pub(crate) struct Keys {
    shards: Box<[Shard]>,
    hasher: RandomState,
    frozen: RwLock<HashSet<AccountId>>,
    max: usize,
}

impl Keys {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::new(),
            frozen: RwLock::default(),
            // Spread over the shards, with room for chance.
            max: usize::try_from(max).unwrap_or(usize::MAX).div_ceil(SHARDS).saturating_mul(2).max(16),
        }
    }

    fn shard(&self, key: &Name) -> Option<&Shard> {
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(place)
    }

    pub(crate) fn get(&self, key: &Name) -> Option<Arc<Known>> {
        let keys = self.shard(key)?.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(key).map(Arc::clone)
    }

    pub(crate) fn put(&self, mut entry: KeyEntry) -> Result<(), PutError> {
        if entry.allow.len() > ALLOW_MAX {
            return Err(PutError::AllowTooLong);
        }
        let Some(shard) = self.shard(&entry.key) else { return Err(PutError::Full) };
        let mut keys = shard.keys.write().unwrap_or_else(PoisonError::into_inner);
        let used = match keys.get(&entry.key) {
            Some(known) if known.entry.account != entry.account => return Err(PutError::Foreign),
            Some(known) if known.entry.revision > entry.revision => return Ok(()),
            Some(known) => {
                entry.revoked |= known.entry.revoked;
                Arc::clone(&known.used)
            }
            None if keys.len() >= self.max => return Err(PutError::Full),
            None => Arc::default(),
        };
        keys.insert(entry.key.clone(), Arc::new(Known { entry, used, suspended: false }));
        Ok(())
    }

    /// Changes what is known of a key; false if nothing is.
    pub(crate) fn change(&self, key: &Name, change: impl FnOnce(&mut KeyEntry, &mut bool)) -> bool {
        let Some(shard) = self.shard(key) else { return false };
        let mut keys = shard.keys.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = keys.get_mut(key) else { return false };
        let (mut entry, mut suspended) = (known.entry.clone(), known.suspended);
        change(&mut entry, &mut suspended);
        *known = Arc::new(Known { entry, used: Arc::clone(&known.used), suspended });
        true
    }

    /// Forgets a key and what was seen of it.
    pub(crate) fn remove(&self, key: &Name) {
        if let Some(shard) = self.shard(key) {
            shard.keys.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }

    /// Suspends every key.
    pub(crate) fn suspend_all(&self) {
        for shard in &self.shards {
            let mut keys = shard.keys.write().unwrap_or_else(PoisonError::into_inner);
            for known in keys.values_mut() {
                let (entry, used) = (known.entry.clone(), Arc::clone(&known.used));
                *known = Arc::new(Known { entry, used, suspended: true });
            }
        }
    }

    /// Which accounts are frozen, from the beginning.
    pub(crate) fn set_frozen(&self, accounts: HashSet<AccountId>) {
        *self.frozen.write().unwrap_or_else(PoisonError::into_inner) = accounts;
    }

    pub(crate) fn count(&self) -> usize {
        let len = |shard: &Shard| shard.keys.read().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(len).sum()
    }

    pub(crate) fn freeze(&self, account: AccountId, frozen: bool) {
        let mut all = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        if frozen {
            all.insert(account);
        } else {
            all.remove(&account);
        }
    }

    pub(crate) fn is_frozen(&self, account: &AccountId) -> bool {
        self.frozen.read().unwrap_or_else(PoisonError::into_inner).contains(account)
    }

    fn note(&self, known: &Known, count: &AtomicU32, anomalies: Anomalies) {
        let used = &known.used;
        let _always =
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_add(1)));
        if anomalies.0 != 0 {
            used.anomalies.fetch_or(anomalies.0, Ordering::Relaxed);
        }
        if !used.listed.swap(true, Ordering::AcqRel)
            && let Some(shard) = self.shard(&known.entry.key)
        {
            let mut touched = shard.touched.lock().unwrap_or_else(PoisonError::into_inner);
            touched.push(known.entry.key.clone());
        }
    }

    fn place(&self, known: &Known, ip: IpAddr) {
        let bit =
            1u64.checked_shl(u32::try_from(self.hasher.hash_one(net::neighbourhood(ip)) % 64).unwrap_or(0));
        known.used.places.fetch_or(bit.unwrap_or(1), Ordering::Relaxed);
    }

    /// A request of this key was let through.
    pub(crate) fn note_allowed(&self, known: &Known, now: Timestamp, ip: IpAddr) {
        known.used.last_used.fetch_max(now.0, Ordering::Relaxed);
        self.place(known, ip);
        self.note(known, &known.used.allowed, Anomalies::NONE);
    }

    /// A request that the key's owner, or whoever has the key, signed was refused.
    pub(crate) fn note_refused(&self, known: &Known, ip: IpAddr, anomalies: Anomalies) {
        self.place(known, ip);
        self.note(known, &known.used.refused, anomalies);
    }

    /// A request named this key with a signature that is not its: anybody can do that.
    pub(crate) fn note_unproven(&self, known: &Known) {
        self.note(known, &known.used.unproven, Anomalies::SIGNATURE);
    }

    /// What was seen of at most `max` keys since they were last told of.
    pub(crate) fn drain(&self, at: Timestamp, max: usize) -> Summary {
        let mut keys = Vec::new();
        for shard in &self.shards {
            let mut touched = shard.touched.lock().unwrap_or_else(PoisonError::into_inner);
            let room = max.saturating_sub(keys.len());
            let from = touched.len().saturating_sub(room);
            let names = touched.split_off(from);
            drop(touched);
            keys.extend(names.iter().filter_map(|name| self.get(name)).map(|known| take(&known)));
        }
        keys.sort_by(|a: &KeyUse, b| a.key.cmp(&b.key));
        let waiting = self
            .shards
            .iter()
            .map(|shard| shard.touched.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum();
        Summary { at, keys, waiting }
    }
}

/// Reads what was seen of a key and sets it back.
fn take(known: &Known) -> KeyUse {
    let used = &known.used;
    // First: what comes after this is told of again.
    used.listed.store(false, Ordering::Release);
    let last_used = used.last_used.load(Ordering::Relaxed);
    KeyUse {
        account: known.entry.account.clone(),
        key: known.entry.key.clone(),
        revision: known.entry.revision,
        allowed: used.allowed.swap(0, Ordering::Relaxed),
        refused: used.refused.swap(0, Ordering::Relaxed),
        unproven: used.unproven.swap(0, Ordering::Relaxed),
        last_used: (last_used != 0).then_some(Timestamp(last_used)),
        anomalies: Anomalies(used.anomalies.swap(0, Ordering::Relaxed)),
        places: u8::try_from(used.places.swap(0, Ordering::Relaxed).count_ones()).unwrap_or(64),
    }
}
