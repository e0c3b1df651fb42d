//! `vault.db`: secrets and personal data, enveloped.
//!
//! Every account has a data key of its own, wrapped by a key-encryption key that is never in the same place. What is
//! sealed is bound to its account and purpose, so a blob moved elsewhere does not open. Destroying an account's key
//! destroys everything sealed under it, in this file, in the journal and in every copy of both (a backup of
//! `vault.db` itself excepted, which must be kept no longer than the law permits).
//!
//! One process serves from a vault; another may work on the same file meanwhile, to rotate the key-encryption key or to
//! destroy an account's key (`rotate.rs`). It waits until the serving one has taken note.
//!
//! No policy here, no clock, no network. Nothing in this module prints a secret; what leaves it in the clear is
//! wiped when dropped.

mod envelope;
mod kek;
mod keyring;
mod private;
mod release_key;
mod rotate;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};

use holdfast_values::AccountId;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use zeroize::Zeroizing;

use envelope::{Key, open, seal};
pub use kek::Kek;
use keyring::Keyring;
pub use release_key::{ReleaseKey, ReleaseKeyError};
pub use rotate::{Erased, KekStatus, Rotated, Rotation, Step, erase, status};
pub use source::KekSource;
pub use token::{Pkcs11Uri, TokenError, TokenSigner, URI_BYTES_MAX};

/// The longest plaintext that is sealed.
pub const PLAINTEXT_BYTES_MAX: usize = 64 * 1024;
/// The longest purpose, and the longest name of a secret.
pub const PURPOSE_BYTES_MAX: usize = 160;
/// How many bytes a sealed blob is longer than its plaintext: format, key version, nonce, tag.
pub const SEALED_OVERHEAD: usize = 1 + 2 + 12 + 16;

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
    /// Not where a key-encryption key can be.
    #[error(
        "say where the key is: file:PATH, env:NAME, or pkcs11:token=LABEL;object=LABEL?module-path=...&pin-source=..."
    )]
    Source,
    /// An environment variable cannot be made.
    #[error("a key is made in a file or in a token, not in an environment variable")]
    SourceUnmakeable,
    /// A key in a token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Not the key-encryption key of this vault.
    #[error("this is not the key-encryption key of this vault")]
    WrongKek,
    /// The key that a rotation goes to, before it has ended.
    #[error(
        "a rotation to this key-encryption key is not finished: go on naming the one before it until \
         `holdfast vault rotate` says that it is done"
    )]
    Unfinished,
    /// A key that a rotation went to, and that data keys are wrapped under, cannot be had.
    #[error("the vault was rotated to the key-encryption key at {place}, which cannot be had: {cause}")]
    Successor {
        /// Where it should be.
        place: String,
        /// Why it cannot be had.
        cause: Box<Self>,
    },
    /// A rotation to another key is not finished.
    #[error("a rotation to {0} is not finished: finish it first, with the same --to")]
    RotationPending(String),
    /// A rotation may not go back.
    #[error("this key-encryption key was retired by an earlier rotation: rotate to a new one")]
    Retired,
    /// The key was struck off: the serving process could not have it.
    #[error(
        "the server cannot have the new key-encryption key, so nothing was wrapped under it and nothing has changed: its \
         log says why"
    )]
    StruckOff,
    /// The serving process does not answer.
    #[error("the server has not taken note within {0} seconds: look at it, then run this again")]
    ServerSilent(u64),
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
            Self::Source | Self::SourceUnmakeable => "vault_key_source",
            Self::Token(error) => error.code(),
            Self::WrongKek => "vault_key_wrong",
            Self::Unfinished => "vault_rotation_unfinished",
            Self::Successor { .. } => "vault_successor_missing",
            Self::RotationPending(_) => "vault_rotation_pending",
            Self::Retired => "vault_key_retired",
            Self::StruckOff => "vault_rotation_refused",
            Self::ServerSilent(_) => "vault_server_silent",
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
    database: Mutex<Opened>,
    keys: RwLock<BTreeMap<AccountId, Key>>,
    random: SystemRandom,
    /// Held while this process serves from the vault.
    serving: Option<File>,
}

/// The file, and what is known of it.
struct Opened {
    connection: Connection,
    keks: Keyring,
    /// SQLite's count of what other processes have written.
    seen_version: i64,
    /// How many keys had been destroyed when the cached ones were last forgotten.
    seen_erasures: i64,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// Creates a vault at `path`, readable by its owner alone, durably. Refuses to touch an existing file.
    pub fn create(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        let probe = keyring::probe(&SystemRandom::new(), kek)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file.sync_all()?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(VaultError::Exists(path.into()));
            }
            Err(error) => return Err(error.into()),
        }
        schema::create(&mut connect(path)?, &probe)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Self::open(path, kek)
    }

    /// Opens the vault at `path` with the key-encryption key that the configuration names;
    /// [`VaultError::WrongKek`] if it is not one of this vault. A vault of an older layout gets the one of this version.
    pub fn open(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        let mut connection = open_existing(path)?;
        schema::migrate(&mut connection)?;
        let keks = Keyring::open(&connection, kek)?;
        let mut opened = Opened { connection, keks, seen_version: 0, seen_erasures: 0 };
        opened.look_around()?;
        Ok(Self {
            database: Mutex::new(opened),
            keys: RwLock::new(BTreeMap::new()),
            random: SystemRandom::new(),
            serving: None,
        })
    }

    /// Opens the vault to serve from it: others that work on the file wait until this process has taken note, which it
    /// does in [`look_around`](Self::look_around).
    pub fn serve(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        // Before anything is read: whoever finds this free may rely on it that all is read later.
        let lock = rotate::lock_to_serve(path)?;
        let mut vault = Self::open(path, kek)?;
        vault.serving = Some(lock);
        rotate::take_note(&mut *vault.database.lock().map_err(|_| VaultError::Poisoned)?)?;
        Ok(vault)
    }

    /// Takes note of what other processes have done to the file: a key-encryption key to go over to, an account's key
    /// destroyed. Costs next to nothing if they have done nothing. Blocks.
    pub fn look_around(&self) -> Result<(), VaultError> {
        let mut database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let before = database.seen_erasures;
        if database.look_around()? {
            if database.seen_erasures != before {
                self.keys.write().map_err(|_| VaultError::Poisoned)?.clear();
            }
            if self.serving.is_some() {
                rotate::take_note(&mut database)?;
            }
        }
        Ok(())
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
        let Opened { connection, keks, .. } = &mut *database;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // In the transaction: a rotation that has just ended must not leave a key behind under the one that it retired.
        keks.follow(&transaction)?;
        let (kek_id, kek) = keks.writing()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO data_keys (account, version, wrapped, kek) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?;
            let mut known = transaction.prepare_cached("SELECT 1 FROM data_keys WHERE account = ?1")?;
            for account in missing {
                if known.exists([account.as_str()])? {
                    continue;
                }
                let mut key = Key::zero();
                self.random.fill(key.as_mut()).map_err(|_| VaultError::Randomness)?;
                let wrapped = kek.wrap(&self.random, &wrapping(account.as_str()), key.as_ref())?;
                insert.execute(params![account.as_str(), FIRST_VERSION, wrapped, kek_id])?;
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
            .connection
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
                .connection
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
            .connection
            .execute("DELETE FROM secrets WHERE account = ?1 AND name = ?2", [account.as_str(), name])?;
        Ok(deleted > 0)
    }

    /// Destroys the account's data key and its secrets, durably and for good; no new key will be made for it.
    ///
    /// Overwrites them in the file and empties the write-ahead log. The disk may still remember, behind the
    /// key-encryption key.
    pub fn destroy_account_key(&self, account: &AccountId) -> Result<(), VaultError> {
        let mut database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        rotate::destroy(&mut database.connection, account)?;
        self.keys.write().map_err(|_| VaultError::Poisoned)?.remove(account);
        if !rotate::empty_log(&database.connection)? {
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
        let mut database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let Opened { connection, keks, .. } = &mut *database;
        let (wrapped, kek) = connection
            .prepare_cached("SELECT wrapped, kek FROM data_keys WHERE account = ?1 AND version = ?2")?
            .query_row(params![account.as_str(), FIRST_VERSION], |row| {
                Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?
            .ok_or(VaultError::UnknownAccount)?;
        let wrapped = wrapped.ok_or(VaultError::Destroyed)?;
        if keks.get(kek).is_none() {
            keks.follow(connection)?;
        }
        let kek = keks.get(kek).ok_or(VaultError::WrongKek)?;
        let key = kek.unwrap(&wrapping(account.as_str()), &wrapped)?;
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
fn wrapping(account: &str) -> [&[u8]; 3] {
    const VERSION: &[u8] = &FIRST_VERSION.to_be_bytes();
    [b"data-key", account.as_bytes(), VERSION]
}

impl Opened {
    /// Whether others have written, and if so: follows the key-encryption keys.
    fn look_around(&mut self) -> Result<bool, VaultError> {
        let version = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if version == self.seen_version {
            return Ok(false);
        }
        // What has happened by now is read below, what happens from now on changes the version again.
        self.keks.follow(&self.connection)?;
        self.seen_erasures = self.connection.query_row("SELECT count FROM erasures", [], |row| row.get(0))?;
        self.seen_version = version;
        Ok(true)
    }
}

const fn size(part: &'static str, len: usize, min: usize, max: usize) -> Result<(), VaultError> {
    if len < min || len > max { Err(VaultError::Size { part, min, max }) } else { Ok(()) }
}

/// A connection to a vault that is there and that its owner alone can read.
fn open_existing(path: &Path) -> Result<Connection, VaultError> {
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
    connect(path)
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
