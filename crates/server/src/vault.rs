//! `vault.db`: secrets and personal data, enveloped.
//!
//! Every account has a data key of its own, wrapped by a key-encryption key that is never in the same place. What is
//! sealed is bound to its account and purpose, so a blob moved elsewhere does not open. Destroying an account's key
//! destroys everything sealed under it, in this file, in the journal and in every copy of both (a backup of
//! `vault.db` itself excepted, which must be kept no longer than the law permits).
//!
//! No policy here, no clock, no network. Nothing in this module prints a secret; what leaves it in the clear is
//! wiped when dropped.

mod envelope;
mod kek;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};

use holdfast_values::AccountId;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use zeroize::Zeroizing;

use envelope::{KEY_BYTES, Key, open, seal};
pub use kek::Kek;

/// The longest plaintext that is sealed.
pub const PLAINTEXT_BYTES_MAX: usize = 64 * 1024;
/// The longest purpose, and the longest name of a secret.
pub const PURPOSE_BYTES_MAX: usize = 160;
/// How many bytes a sealed blob is longer than its plaintext: format, key version, nonce, tag.
pub const SEALED_OVERHEAD: usize = 1 + 2 + 12 + 16;

/// The layout of `vault.db` that this module writes.
const FORMAT: u8 = 1;
/// The first byte of a sealed blob.
const SEALED_FORMAT: u8 = 1;
/// Unwrapped keys kept in memory. Past that all are forgotten and unwrapped again as needed.
const CACHED_KEYS_MAX: usize = 1 << 17;
/// Accounts get one key for now; blobs name its version, so that rotation can add more.
const FIRST_VERSION: u16 = 1;

/// Why the vault refuses or fails. Each has a stable [`code`](Self::code); none says anything about a secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file is not there.
    #[error("there is no vault at {0}: create one with `holdfast init`")]
    Missing(PathBuf),
    /// The file is already there.
    #[error("there is a vault at {0} already: nothing was changed")]
    Exists(PathBuf),
    /// Others than its owner may read or write the file.
    #[error("{0} must be readable by its owner alone: chmod 600 it")]
    Permissions(PathBuf),
    /// No key-encryption key where it should be.
    #[error("there is no key-encryption key in {0}")]
    KekMissing(String),
    /// Not a key-encryption key.
    #[error("the key-encryption key must be 64 hexadecimal digits (32 random bytes), on one line")]
    KekMalformed,
    /// Not the key-encryption key of this vault.
    #[error("this is not the key-encryption key that the vault was created with")]
    WrongKek,
    /// Written by a version of Holdfast with another layout.
    #[error("the vault has a layout that this version does not know")]
    Format,
    /// The account's key has been destroyed, and what was sealed under it with it.
    #[error("the data key of this account has been destroyed: what was sealed under it is gone for good")]
    Destroyed,
    /// The account never had a key.
    #[error("nothing was ever sealed for this account")]
    UnknownAccount,
    /// The blob was altered, cut, or sealed for another account or purpose.
    #[error("this was not sealed for this account and purpose, or it has been altered")]
    NotAuthentic,
    /// No secret of that name.
    #[error("there is no secret of this name")]
    SecretMissing,
    /// Too long, or an empty or too long name.
    #[error("the {part} must have {min} to {max} bytes")]
    Size {
        /// Which part.
        part: &'static str,
        /// The least it may have.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
    /// The file could not be read or written.
    #[error("the vault cannot be read or written")]
    Io(#[from] std::io::Error),
    /// SQLite could not.
    #[error("the vault's database failed")]
    Database(#[from] rusqlite::Error),
    /// A thread died while it held the vault.
    #[error("the vault is unusable after an internal error: restart the server")]
    Poisoned,
}

impl VaultError {
    /// The stable code of this failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "vault_missing",
            Self::Exists(_) => "vault_exists",
            Self::Permissions(_) => "vault_permissions",
            Self::KekMissing(_) => "vault_key_missing",
            Self::KekMalformed => "vault_key_malformed",
            Self::WrongKek => "vault_key_wrong",
            Self::Format => "vault_format_unknown",
            Self::Destroyed => "account_key_destroyed",
            Self::UnknownAccount => "account_key_unknown",
            Self::NotAuthentic => "sealed_not_authentic",
            Self::SecretMissing => "secret_missing",
            Self::Size { .. } => "vault_size",
            Self::Randomness => "randomness_unavailable",
            Self::Io(_) | Self::Database(_) | Self::Poisoned => "vault_unavailable",
        }
    }
}

/// An open `vault.db`. Shared between threads; sealing under a key that is in memory takes no lock on the file.
pub struct Vault {
    database: Mutex<Connection>,
    keys: RwLock<BTreeMap<AccountId, Key>>,
    kek: Key,
    random: SystemRandom,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// Creates a vault at `path`, readable by its owner alone, durably. Refuses to touch an existing file.
    pub fn create(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        let random = SystemRandom::new();
        let mut check = [0u8; KEY_BYTES];
        random.fill(&mut check).map_err(|_| VaultError::Randomness)?;
        let check = seal(&random, kek.key(), &[b"kek-check"], &check)?;

        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file.sync_all()?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(VaultError::Exists(path.into()));
            }
            Err(error) => return Err(error.into()),
        }
        let mut database = connect(path)?;
        let transaction = database.transaction()?;
        transaction.execute_batch(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE data_keys (account TEXT, version INTEGER, wrapped BLOB, PRIMARY KEY (account, version))
               STRICT, WITHOUT ROWID;
             CREATE TABLE secrets (account TEXT, name TEXT, sealed BLOB NOT NULL, PRIMARY KEY (account, name))
               STRICT, WITHOUT ROWID;",
        )?;
        let mut insert = transaction.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)")?;
        insert.execute(params!["format", [FORMAT].as_slice()])?;
        insert.execute(params!["kek_check", check])?;
        drop(insert);
        transaction.commit()?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Self::open(path, kek)
    }

    /// Opens the vault at `path`; [`VaultError::WrongKek`] if `kek` is not the key it was created with.
    pub fn open(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(VaultError::Missing(path.into()));
            }
            Err(error) => return Err(error.into()),
        };
        if mode & 0o077 != 0 {
            return Err(VaultError::Permissions(path.into()));
        }
        let database = connect(path)?;
        let meta = |name: &str| {
            database
                .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        };
        if meta("format")?.as_deref() != Some(&[FORMAT]) {
            return Err(VaultError::Format);
        }
        let check = meta("kek_check")?.ok_or(VaultError::Format)?;
        open(kek.key(), &[b"kek-check"], &check).map_err(|_| VaultError::WrongKek)?;
        Ok(Self {
            database: Mutex::new(database),
            keys: RwLock::new(BTreeMap::new()),
            kek: kek.key().clone(),
            random: SystemRandom::new(),
        })
    }

    /// Makes sure that each of these accounts has a data key, all in one durable transaction.
    ///
    /// [`seal`](Self::seal) does this by itself, one account at a time; for many new accounts at once this costs one
    /// sync instead of one each. Accounts whose key was destroyed are left alone.
    pub fn ensure_keys<'a>(
        &self,
        accounts: impl IntoIterator<Item = &'a AccountId>,
    ) -> Result<(), VaultError> {
        let missing: Vec<&AccountId> = {
            let keys = self.keys.read().map_err(|_| VaultError::Poisoned)?;
            accounts.into_iter().filter(|account| !keys.contains_key(*account)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut fresh = Vec::new();
        let mut database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let transaction = database.transaction()?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO data_keys (account, version, wrapped) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
            let mut known = transaction.prepare_cached("SELECT 1 FROM data_keys WHERE account = ?1")?;
            for account in missing {
                if known.exists([account.as_str()])? {
                    continue;
                }
                let mut key = Key::zero();
                self.random.fill(key.as_mut()).map_err(|_| VaultError::Randomness)?;
                let wrapped = seal(&self.random, &self.kek, &wrapping(account), key.as_ref())?;
                insert.execute(params![account.as_str(), FIRST_VERSION, wrapped])?;
                fresh.push((account.clone(), key));
            }
        }
        // Nothing may be sealed under a key that could still be lost.
        transaction.commit()?;
        fresh.into_iter().try_for_each(|(account, key)| self.remember(account, key))
    }

    /// Seals `plaintext` for `account` and `purpose`: a blob that holds all but the key, [`SEALED_OVERHEAD`] longer.
    ///
    /// The account's data key is made, durably, if it has none yet. Sealing the same bytes twice gives two blobs.
    pub fn seal(&self, account: &AccountId, purpose: &str, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        size("purpose", purpose.len(), 1, PURPOSE_BYTES_MAX)?;
        size("plaintext", plaintext.len(), 0, PLAINTEXT_BYTES_MAX)?;
        let key = match self.key(account) {
            Err(VaultError::UnknownAccount) => {
                self.ensure_keys([account])?;
                self.key(account)?
            }
            result => result?,
        };
        let version = FIRST_VERSION.to_be_bytes();
        let sealed = seal(&self.random, &key, &binding(account, purpose, &version), plaintext)?;
        Ok([[SEALED_FORMAT].as_slice(), &version, &sealed].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same account and purpose.
    pub fn unseal(
        &self,
        account: &AccountId,
        purpose: &str,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        size("purpose", purpose.len(), 1, PURPOSE_BYTES_MAX)?;
        let [SEALED_FORMAT, high, low, sealed @ ..] = blob else { return Err(VaultError::NotAuthentic) };
        let version = [*high, *low];
        if blob.len() > PLAINTEXT_BYTES_MAX + SEALED_OVERHEAD || version != FIRST_VERSION.to_be_bytes() {
            return Err(VaultError::NotAuthentic);
        }
        let key = self.key(account)?;
        open(&key, &binding(account, purpose, &version), sealed)
    }

    /// Keeps a secret under a name, durably; replaces an earlier one.
    pub fn put_secret(&self, account: &AccountId, name: &str, secret: &[u8]) -> Result<(), VaultError> {
        size("name", name.len(), 1, PURPOSE_BYTES_MAX - SECRET_PURPOSE.len())?;
        let sealed = self.seal(account, &format!("{SECRET_PURPOSE}{name}"), secret)?;
        let database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        database
            .prepare_cached("INSERT OR REPLACE INTO secrets (account, name, sealed) VALUES (?1, ?2, ?3)")?
            .execute(params![account.as_str(), name, sealed])?;
        Ok(())
    }

    /// The secret of this name.
    pub fn get_secret(&self, account: &AccountId, name: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        size("name", name.len(), 1, PURPOSE_BYTES_MAX - SECRET_PURPOSE.len())?;
        let sealed = {
            let database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
            database
                .prepare_cached("SELECT sealed FROM secrets WHERE account = ?1 AND name = ?2")?
                .query_row([account.as_str(), name], |row| row.get::<_, Vec<u8>>(0))
                .optional()?
        };
        match sealed {
            Some(sealed) => self.unseal(account, &format!("{SECRET_PURPOSE}{name}"), &sealed),
            // Without its key an account has no secrets either; say which it is.
            None => match self.key(account) {
                Err(VaultError::Destroyed) => Err(VaultError::Destroyed),
                Err(VaultError::UnknownAccount) | Ok(_) => Err(VaultError::SecretMissing),
                Err(error) => Err(error),
            },
        }
    }

    /// Forgets the secret of this name, durably. Whether there was one.
    pub fn delete_secret(&self, account: &AccountId, name: &str) -> Result<bool, VaultError> {
        let database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let deleted = database
            .execute("DELETE FROM secrets WHERE account = ?1 AND name = ?2", [account.as_str(), name])?;
        Ok(deleted > 0)
    }

    /// Destroys the account's data key and its secrets, durably and for good; no new key will be made for it.
    ///
    /// Overwrites them in the file and empties the write-ahead log. The disk may still remember, behind the
    /// key-encryption key.
    pub fn destroy_account_key(&self, account: &AccountId) -> Result<(), VaultError> {
        let mut database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let transaction = database.transaction()?;
        transaction.execute("DELETE FROM secrets WHERE account = ?1", [account.as_str()])?;
        transaction.execute("UPDATE data_keys SET wrapped = NULL WHERE account = ?1", [account.as_str()])?;
        // An account that never had a key gets a destroyed one, so that none is made later.
        transaction.execute(
            "INSERT INTO data_keys (account, version, wrapped) VALUES (?1, ?2, NULL) ON CONFLICT DO NOTHING",
            params![account.as_str(), FIRST_VERSION],
        )?;
        transaction.commit()?;
        self.keys.write().map_err(|_| VaultError::Poisoned)?.remove(account);
        let busy: i64 = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            tracing::warn!(
                "the vault's write-ahead log is in use elsewhere: a destroyed key stays in it until restart"
            );
        }
        Ok(())
    }

    /// The account's data key, from memory or unwrapped.
    fn key(&self, account: &AccountId) -> Result<Key, VaultError> {
        if let Some(key) = self.keys.read().map_err(|_| VaultError::Poisoned)?.get(account) {
            return Ok(key.clone());
        }
        let database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let wrapped = database
            .prepare_cached("SELECT wrapped FROM data_keys WHERE account = ?1 AND version = ?2")?
            .query_row(params![account.as_str(), FIRST_VERSION], |row| row.get::<_, Option<Vec<u8>>>(0))
            .optional()?
            .ok_or(VaultError::UnknownAccount)?
            .ok_or(VaultError::Destroyed)?;
        let key = open(&self.kek, &wrapping(account), &wrapped)?;
        let key = Key::from_slice(&key).ok_or(VaultError::NotAuthentic)?;
        // Still under the database's lock: a key destroyed meanwhile must not come back into memory.
        self.remember(account.clone(), key.clone())?;
        Ok(key)
    }

    fn remember(&self, account: AccountId, key: Key) -> Result<(), VaultError> {
        let mut keys = self.keys.write().map_err(|_| VaultError::Poisoned)?;
        if keys.len() >= CACHED_KEYS_MAX {
            keys.clear();
        }
        keys.insert(account, key);
        Ok(())
    }
}

/// Purposes that start with this belong to [`Vault::put_secret`].
const SECRET_PURPOSE: &str = "secret/";

/// What a sealed blob is bound to.
fn binding<'a>(account: &'a AccountId, purpose: &'a str, version: &'a [u8; 2]) -> [&'a [u8]; 4] {
    [b"sealed", account.as_str().as_bytes(), purpose.as_bytes(), version]
}

/// What a wrapped data key is bound to.
fn wrapping(account: &AccountId) -> [&[u8]; 3] {
    const VERSION: &[u8] = &FIRST_VERSION.to_be_bytes();
    [b"data-key", account.as_str().as_bytes(), VERSION]
}

const fn size(part: &'static str, len: usize, min: usize, max: usize) -> Result<(), VaultError> {
    if len < min || len > max { Err(VaultError::Size { part, min, max }) } else { Ok(()) }
}

fn connect(path: &Path) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA busy_timeout = 5000;",
    )?;
    Ok(database)
}
