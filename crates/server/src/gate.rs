//! The gate's keys: a replica of what State knows of API keys and frozen accounts, kept by the committer before any
//! answer leaves, and their material, read from the vault when a key is first used.
//!
//! Lives here: the replica, its changes, and the order in which a change and a first use meet. The checks are
//! `holdfast-gate`'s; how a request gets here is `http`'s and `grpc`'s.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError, RwLock};

use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_decision::State;
use holdfast_decision::account::{Account, ApiKey};
use holdfast_decision::command::Command;
use holdfast_decision::event::{AccountIndex, Event};
use holdfast_decision::keys::IDLE_AFTER;
use holdfast_decision::protection::{KEY_USES_MAX, KeyUse};
use holdfast_gate::{Anomalies, Gate, IpNet, KeyEntry, PutError, Stats};
use holdfast_values::{AccountId, Fingerprint, Name, Timestamp};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;
use crate::fingerprint::Fingerprinter;
use crate::intake::Intake;

/// How many keys are read from the vault at once.
const LOADS_MAX: usize = 4;
/// How often the replica may change while one key is being read from the vault.
const TRIES: usize = 4;

/// What State knows of a key, as far as the gate asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    account: AccountId,
    revision: u32,
    scopes: u8,
    is_revoked: bool,
    ends_at: Option<Timestamp>,
    /// Fingerprints of the addresses and networks that it may be used from.
    allow: Box<[Fingerprint]>,
}

impl KeyFacts {
    fn of(account: &Account, key: &ApiKey) -> Self {
        let fenced = key.fenced.as_deref();
        let expires_at = fenced.and_then(|fenced| fenced.fence.expires_at);
        // The core counts only time in which the server ran; here all time counts, so the gate never waits longer.
        let idle_at = fenced.filter(|_| key.ip_allowlist.is_empty()).map(|fenced| {
            let last_sign = fenced.last_used.map_or(key.put_at, |used| used.max(key.put_at));
            last_sign.plus(IDLE_AFTER)
        });
        Self {
            account: account.id.clone(),
            revision: key.revision,
            scopes: key.scopes.0,
            is_revoked: key.is_revoked,
            ends_at: expires_at.into_iter().chain(idle_at).min(),
            allow: key.ip_allowlist.clone(),
        }
    }
}

/// What State knows of an account, as far as the gate asks.
#[derive(Clone, Debug)]
pub struct AccountFacts {
    account: AccountId,
    is_frozen: bool,
    keys: Vec<(Fingerprint, KeyFacts)>,
}

impl AccountFacts {
    fn of(account: &Account) -> Self {
        Self {
            account: account.id.clone(),
            is_frozen: account.is_frozen,
            keys: account.api_keys.iter().map(|key| (key.key, KeyFacts::of(account, key))).collect(),
        }
    }
}

/// What a record changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// Something about one account or its keys.
    Account(AccountFacts),
    /// Keys of many accounts: what is known of all of them.
    All(Vec<AccountFacts>),
}

/// Everything that the gate asks of State.
fn all(state: &State) -> Vec<AccountFacts> {
    let count = u32::try_from(state.accounts_len()).unwrap_or(u32::MAX);
    let accounts = (0..count).filter_map(|index| state.account_at(AccountIndex(index)));
    accounts
        .filter(|account| account.is_frozen || !account.api_keys.is_empty())
        .map(AccountFacts::of)
        .collect()
}

/// What events changed that the gate asks about. `state` has them folded in.
pub fn changes(state: &State, events: &[Event]) -> Vec<Change> {
    let mut touched: BTreeSet<AccountIndex> = BTreeSet::new();
    for event in events {
        match event {
            Event::ApiKeyPut { account, .. }
            | Event::ApiKeyRevoked { account, .. }
            | Event::ProtectionChanged { account, .. }
            | Event::AccountRecovered { account, .. }
            | Event::AccountFrozen(account)
            | Event::OwnerFroze { account }
            | Event::AccountUnfrozen(account) => drop(touched.insert(*account)),
            Event::AccountImported { account, .. } => touched.extend(state.account_index(&account.account)),
            Event::ApiKeysUsed { keys } => {
                touched.extend(keys.iter().filter_map(|used| state.key_owner(&used.key)));
            }
            Event::ApiKeysRevoked { .. } => return vec![Change::All(all(state))],
            _ => {}
        }
    }
    let accounts = touched.into_iter().filter_map(|index| state.account_at(index));
    accounts.map(|account| Change::Account(AccountFacts::of(account))).collect()
}

/// What the vault holds of a key's revision.
#[derive(Debug)]
pub struct Material {
    /// What its signatures are checked against.
    pub material: KeyMaterial,
    /// The dialect that it signs in.
    pub dialect: Option<Dialect>,
    /// From where it may be used.
    pub allow: Vec<IpNet>,
}

/// The gate with its replica.
pub struct Keeper {
    gate: Gate,
    fingerprints: Fingerprinter,
    /// Held for reading while a key is put into the gate, for writing while it is taken out or changed: so neither
    /// overtakes the other.
    keys: RwLock<HashMap<Fingerprint, KeyFacts>>,
    /// The keys that the gate was given, by fingerprint.
    given: Mutex<HashMap<Fingerprint, Name>>,
    /// Revisions without usable material in the vault.
    absent: Mutex<HashMap<Fingerprint, u32>>,
    /// Keys that are read from the vault at once: it is one file.
    loads: Semaphore,
}

impl core::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// Why a key cannot be had.
#[derive(Debug)]
pub enum Lost<E> {
    /// The vault cannot be read.
    Vault(E),
    /// It changes faster than it can be read.
    Restless,
    /// The gate does not take it.
    Put(PutError),
}

impl Keeper {
    /// A gate that knows nothing yet.
    #[must_use]
    pub fn new(gate: Gate, fingerprints: Fingerprinter) -> Self {
        Self {
            gate,
            fingerprints,
            keys: RwLock::default(),
            given: Mutex::default(),
            absent: Mutex::default(),
            loads: Semaphore::new(LOADS_MAX),
        }
    }

    /// Leave to read a key; `None` when the server ends.
    pub async fn leave_to_load(&self) -> Option<SemaphorePermit<'_>> {
        self.loads.acquire().await.ok()
    }

    /// The gate.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Whether anybody has this key.
    pub fn knows(&self, key: &Name) -> bool {
        let key = self.fingerprints.api_key(key);
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Some(facts) = keys.get(&key) else { return false };
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(&key) != Some(&facts.revision)
    }

    /// The fingerprint of a key's id.
    pub fn fingerprint(&self, key: &Name) -> Fingerprint {
        self.fingerprints.api_key(key)
    }

    /// Takes State as it is.
    pub fn replace(&self, state: &State) {
        self.apply(vec![Change::All(all(state))]);
    }

    /// Takes what a group of records changed.
    pub fn apply(&self, changes: Vec<Change>) {
        for change in changes {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            match change {
                Change::Account(facts) => {
                    if facts.is_frozen {
                        self.gate.freeze_account(facts.account);
                    } else {
                        self.gate.unfreeze_account(facts.account);
                    }
                    for (key, facts) in facts.keys {
                        self.change(&mut keys, key, facts);
                    }
                }
                Change::All(accounts) => {
                    let frozen = accounts.iter().filter(|facts| facts.is_frozen);
                    self.gate.set_frozen_accounts(frozen.map(|facts| facts.account.clone()));
                    // Which of them changed is not said: all are read again.
                    self.gate.suspend_all();
                    self.absent.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    *keys = accounts.into_iter().flat_map(|facts| facts.keys).collect();
                }
            }
        }
    }

    fn change(&self, keys: &mut HashMap<Fingerprint, KeyFacts>, key: Fingerprint, facts: KeyFacts) {
        let old = keys.insert(key, facts.clone());
        if old.as_ref() == Some(&facts) {
            return;
        }
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = given.get(&key) {
            let same = old.is_some_and(|old| {
                KeyFacts { ends_at: None, is_revoked: false, ..old }
                    == KeyFacts { ends_at: None, is_revoked: false, ..facts.clone() }
            });
            let _known = if facts.is_revoked {
                self.gate.revoke_key(name)
            } else if same {
                self.gate.set_key_end(name, facts.ends_at)
            } else {
                self.gate.suspend_key(name)
            };
        }
    }

    /// Whether the vault's list of networks is State's: an allowlist that the vault lacks must not become one that lets
    /// everybody in.
    fn agree(&self, vault: &[IpNet], state: &[Fingerprint]) -> bool {
        let vault: BTreeSet<Fingerprint> = vault.iter().map(|net| self.fingerprints.network(net)).collect();
        vault == state.iter().copied().collect()
    }

    /// Gives the gate a key, its material read by `read`; false if nobody has it or its material. Blocks as `read` does.
    ///
    /// # Errors
    /// [`Lost`], and then nothing is known of the key.
    pub fn load<E>(
        &self,
        name: &Name,
        read: impl Fn(&AccountId, u32) -> Result<Option<Material>, E>,
    ) -> Result<bool, Lost<E>> {
        let key = self.fingerprints.api_key(name);
        for _ in 0..TRIES {
            let facts = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let Some(facts) = facts else { return Ok(false) };
            let found = read(&facts.account, facts.revision).map_err(Lost::Vault)?;
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            if keys.get(&key) != Some(&facts) {
                continue;
            }
            let Some(found) = found.filter(|found| self.agree(&found.allow, &facts.allow)) else {
                self.absent.lock().unwrap_or_else(PoisonError::into_inner).insert(key, facts.revision);
                return Ok(false);
            };
            self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(key, name.clone());
            let entry = KeyEntry {
                account: facts.account,
                key: name.clone(),
                revision: facts.revision,
                material: found.material,
                dialect: found.dialect,
                scopes: facts.scopes,
                allow: found.allow,
                expires_at: facts.ends_at,
                revoked: facts.is_revoked,
            };
            return self.gate.put_key(entry).map(|()| true).map_err(Lost::Put);
        }
        Err(Lost::Restless)
    }
}

/// Anomalies that say that somebody else has the key, or tries to.
const GRAVE: Anomalies = Anomalies(
    Anomalies::ADDRESS.0
        | Anomalies::REVOKED.0
        | Anomalies::REPLAY.0
        | Anomalies::SCOPE.0
        | Anomalies::FROZEN.0,
);

/// Tells the core what was seen of the keys since it was last told, one record for at most [`KEY_USES_MAX`] of them.
/// While the journal cannot be written, what was seen in that time is lost to it; the log has it.
pub async fn tell(intake: &Intake, keeper: &Keeper, clock: &Clock) {
    loop {
        let summary = keeper.gate.drain(clock.now(), KEY_USES_MAX);
        if summary.keys.is_empty() {
            return;
        }
        for seen in summary.keys.iter().filter(|seen| seen.anomalies.0 & GRAVE.0 != 0) {
            let odd: Vec<&str> = seen.anomalies.names().collect();
            let (account, key, refused, places) = (&seen.account, &seen.key, seen.refused, seen.places);
            tracing::warn!(%account, %key, refused, places, odd = odd.join(" "), "requests that the gate refused");
        }
        let told = summary.keys.iter().map(|seen| KeyUse {
            key: keeper.fingerprint(&seen.key),
            allowed: seen.allowed,
            refused: seen.refused,
            last_used: seen.last_used.unwrap_or_default(),
        });
        // A name that strangers use tells nothing of its key.
        let keys: Vec<KeyUse> = told.filter(|told| told.allowed > 0 || told.refused > 0).collect();
        if keys.is_empty() {
            continue;
        }
        let command = Command::RecordKeyUse { keys };
        let decided = intake.ask(move |desk| desk.decide(&command)?.accepted()).await;
        match decided.map(|answer| answer.value) {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => tracing::error!(code = problem.code(), "the core refused what the gate saw"),
            Err(error) => {
                tracing::warn!(%error, "the core cannot be told what the gate saw");
                return;
            }
        }
    }
}

/// What the gate holds and did, as Prometheus text.
#[must_use]
pub fn metrics(stats: &Stats) -> String {
    let mut out = String::from(
        "# HELP holdfast_gate_checks_total Requests judged by the gate, by their answer.\n\
         # TYPE holdfast_gate_checks_total counter\n",
    );
    let allowed = core::iter::once(("allowed", stats.allowed));
    for (code, count) in allowed.chain(stats.refused.iter().map(|(code, count)| (code.as_str(), *count))) {
        let _infallible = writeln!(out, "holdfast_gate_checks_total{{code=\"{code}\"}} {count}");
    }
    for (name, help, value) in [
        ("gate_keys", "Keys that the gate has read.", stats.keys),
        ("gate_remembered", "Requests that the gate remembers against replay.", stats.remembered),
    ] {
        let _infallible = writeln!(
            out,
            "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} gauge\nholdfast_{name} {value}"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use holdfast_gate::{CheckRequest, Routes, Verdict};
    use ring::hmac;

    use super::*;

    const SECRET: &[u8] = b"a secret of forty letters, known to two only";
    const NOON: Timestamp = Timestamp(1_795_348_800_000_000);

    fn keeper() -> Keeper {
        let routes = Routes::parse("dialect = 'binance'\n[[route]]\nexact = '/o'\nscope = 'trade'").unwrap();
        Keeper::new(Gate::new(routes, Timestamp::ZERO), Fingerprinter::new([7; 32]))
    }

    fn facts(keeper: &Keeper, revision: u32) -> KeyFacts {
        let home: IpNet = "203.0.113.0/24".parse().unwrap();
        KeyFacts {
            account: "ac_1".parse().unwrap(),
            revision,
            scopes: 2,
            is_revoked: false,
            ends_at: None,
            allow: vec![keeper.fingerprints.network(&home)].into(),
        }
    }

    fn tell(keeper: &Keeper, facts: KeyFacts, is_frozen: bool) {
        let key = keeper.fingerprint(&"k".parse().unwrap());
        let account = facts.account.clone();
        let change = AccountFacts { account, is_frozen, keys: vec![(key, facts)] };
        keeper.apply(vec![Change::Account(change)]);
    }

    /// What becomes of a good request, the key read from a vault that holds `allow` for every revision.
    fn ask(keeper: &Keeper, allow: &str) -> &'static str {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let signed = format!("n={count}&timestamp={}", NOON.0 / 1_000);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
        let query = format!("{signed}&signature={}", crate::record::hex(tag.as_ref()));
        let request = CheckRequest {
            method: "GET",
            path: "/o",
            query: query.as_bytes(),
            headers: &[("x-mbx-apikey", "k")],
            body: b"",
            ip: "203.0.113.7".parse().unwrap(),
            body_truncated: false,
        };
        let mut verdict = keeper.gate.check(NOON, &request);
        let unknown = match &verdict {
            Verdict::Deny(denied) => denied.key.clone().filter(|key| keeper.knows(key)),
            Verdict::Allow(_) => None,
        };
        if let Some(key) = unknown {
            let read = |_: &AccountId, _: u32| {
                Ok::<_, ()>(Some(Material {
                    material: KeyMaterial::hmac_sha256(SECRET).unwrap(),
                    dialect: Some(Dialect::Binance),
                    allow: allow.split_whitespace().map(|net| net.parse().unwrap()).collect(),
                }))
            };
            if keeper.load(&key, read).unwrap() {
                verdict = keeper.gate.check(NOON, &request);
            }
        }
        match verdict {
            Verdict::Allow(_) => "allowed",
            Verdict::Deny(denied) => denied.code.as_str(),
        }
    }

    const HOME: &str = "203.0.113.0/24";

    #[test]
    fn changes_of_state_hold_from_the_next_request() {
        let keeper = keeper();
        assert_eq!(ask(&keeper, HOME), "api_key_unknown");
        let key = || facts(&keeper, 1);
        tell(&keeper, key(), false);
        assert_eq!(ask(&keeper, HOME), "allowed");
        tell(&keeper, key(), true);
        assert_eq!(ask(&keeper, HOME), "account_frozen");
        tell(&keeper, KeyFacts { ends_at: Some(NOON), ..key() }, false);
        assert_eq!(ask(&keeper, HOME), "api_key_expired");
        tell(&keeper, KeyFacts { scopes: 1, ..facts(&keeper, 2) }, false);
        assert_eq!(ask(&keeper, HOME), "scope_missing");
        tell(&keeper, facts(&keeper, 3), false);
        assert_eq!(ask(&keeper, HOME), "allowed");
        tell(&keeper, KeyFacts { is_revoked: true, ..facts(&keeper, 3) }, false);
        assert_eq!(ask(&keeper, HOME), "api_key_revoked");
        keeper.apply(vec![Change::All(Vec::new())]);
        assert_eq!(ask(&keeper, HOME), "api_key_unknown");
    }

    #[test]
    fn a_list_of_addresses_that_the_vault_lacks_or_alters_opens_nothing() {
        for allow in ["", "0.0.0.0/0", "203.0.113.0/24 0.0.0.0/0", "203.0.113.0/25"] {
            let keeper = keeper();
            tell(&keeper, facts(&keeper, 1), false);
            assert_eq!(ask(&keeper, allow), "api_key_unknown", "{allow}");
            assert!(!keeper.knows(&"k".parse().unwrap()), "it is not read again for every request");
            tell(&keeper, facts(&keeper, 2), false);
            assert_eq!(ask(&keeper, HOME), "allowed");
        }
    }

    #[test]
    fn a_key_that_is_revoked_while_it_is_read_stays_so() {
        let keeper = keeper();
        tell(&keeper, facts(&keeper, 1), false);
        let name: Name = "k".parse().unwrap();
        let read = |_: &AccountId, _: u32| {
            tell(&keeper, KeyFacts { is_revoked: true, ..facts(&keeper, 1) }, false);
            Ok::<_, ()>(Some(Material {
                material: KeyMaterial::hmac_sha256(SECRET).unwrap(),
                dialect: None,
                allow: vec![HOME.parse().unwrap()],
            }))
        };
        assert!(keeper.load(&name, read).unwrap());
        assert_eq!(ask(&keeper, HOME), "api_key_revoked");
    }
}
