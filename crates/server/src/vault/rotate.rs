//! What another process than the serving one does to a vault while it is served from: going over to another
//! key-encryption key, destroying an account's key. And how the two keep in step.
//!
//! The serving process holds a shared lock on a file beside the vault and writes down, in `serving`, what it has taken
//! note of. The other one writes first, then looks at the lock: if it is free, whoever serves next reads what was
//! written; if not, it waits for the note.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_values::AccountId;
use rusqlite::{Connection, TransactionBehavior, params};

use super::keyring::{self, Row, Status};
use super::{FIRST_VERSION, Kek, KekSource, Opened, Vault, VaultError, open_existing, schema, wrapping};

/// How often a waiting process looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Data keys in one transaction at most: the server's own writes wait for as long as one takes.
const BATCH_MAX: u32 = 1_000;

/// What a rotation is told.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Data keys in one transaction, 1 to 1,000.
    pub batch: u32,
    /// How long the serving process may take to fetch the new key.
    pub patience: Duration,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The new key is registered; the serving process is waited for.
    Registered,
    /// So many data keys of so many are wrapped under the new key.
    Wrapped(u64, u64),
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Data keys that were wrapped anew in this run.
    pub wrapped: u64,
    /// Whether a server was running.
    pub served: bool,
    /// Whether the write-ahead log could be emptied: if not, pages of before stay in it until the server stops.
    pub emptied: bool,
}

impl Vault {
    /// Wraps every data key under another key-encryption key and retires the present one. The serving process goes on.
    ///
    /// Each step is durable and can be done again: whoever was interrupted calls this again with the same key.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn rotate(
        &self,
        source: &KekSource,
        next: &Kek,
        rotation: Rotation,
        progress: &mut dyn FnMut(Step),
    ) -> Result<Rotated, VaultError> {
        let mut database = self.database.lock().map_err(|_| VaultError::Poisoned)?;
        let Some(id) = self.register(&mut database, source, next)? else {
            let emptied = empty_log(&database.connection)?;
            return Ok(Rotated { wrapped: 0, served: false, emptied });
        };
        progress(Step::Registered);
        let path = self.path(&database.connection)?;
        let served = wait_for_server(&path, rotation.patience, || {
            if !is_registered(&database.connection, id)? {
                return Err(VaultError::StruckOff);
            }
            Ok(database.connection.query_row("SELECT kek FROM serving", [], |row| row.get::<_, i64>(0))?
                >= id)
        })?;

        let mut wrapped = 0_u64;
        loop {
            let left = count_other(&database.connection, id)?;
            if left == 0 && self.finish(&mut database, id)? {
                break;
            }
            let total = wrapped.saturating_add(left);
            progress(Step::Wrapped(wrapped, total));
            // From the first account to the last; those that the server adds meanwhile are wrapped under the new key.
            let mut after = String::new();
            while let Some((done, last)) =
                self.wrap_batch(&mut database, id, next, &after, rotation.batch.clamp(1, BATCH_MAX))?
            {
                wrapped = wrapped.saturating_add(done);
                progress(Step::Wrapped(wrapped, total.max(wrapped)));
                after = last;
            }
        }
        let emptied = empty_log(&database.connection)?;
        Ok(Rotated { wrapped, served, emptied })
    }

    /// Registers the next key, or finds it registered; `None` if the vault has gone over to it already.
    fn register(
        &self,
        database: &mut Opened,
        source: &KekSource,
        next: &Kek,
    ) -> Result<Option<i64>, VaultError> {
        let Opened { connection, keks, .. } = database;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = Row::all(&transaction)?;
        for row in &rows {
            match (row.status, row.is_of(next)?) {
                (Status::Current, true) => return Ok(None),
                (Status::Next, true) => {
                    keks.follow(&transaction)?;
                    transaction.commit()?;
                    return Ok(Some(row.id));
                }
                (Status::Retired, true) => return Err(VaultError::Retired),
                (Status::Next, false) => return Err(VaultError::RotationPending(row.source.clone())),
                (_, false) => {}
            }
        }
        let id = keyring::register(&transaction, &self.random, keks.current(&rows)?, (source, next))?;
        keks.follow(&transaction)?;
        transaction.commit()?;
        Ok(Some(id))
    }

    /// Wraps at most `batch` data keys of the accounts that come after one under the key `id`, in one transaction; how
    /// many, and up to which account. `None` if there are none.
    fn wrap_batch(
        &self,
        database: &mut Opened,
        id: i64,
        next: &Kek,
        after: &str,
        batch: u32,
    ) -> Result<Option<(u64, String)>, VaultError> {
        let began = Instant::now();
        let Opened { connection, keks, .. } = database;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !is_registered(&transaction, id)? {
            return Err(VaultError::StruckOff);
        }
        let (mut done, mut last) = (0_u64, None);
        {
            let mut select = transaction.prepare_cached(
                "SELECT account, wrapped, kek FROM data_keys
                  WHERE account > ?1 AND version = ?2 AND kek <> ?3 AND wrapped IS NOT NULL ORDER BY account LIMIT ?4",
            )?;
            let mut update = transaction.prepare_cached(
                "UPDATE data_keys SET wrapped = ?3, kek = ?4 WHERE account = ?1 AND version = ?2",
            )?;
            let rows = select.query_map(params![after, FIRST_VERSION, id, batch], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
            })?;
            for row in rows.collect::<Result<Vec<_>, _>>()? {
                let (account, wrapped, kek) = row;
                let key = keks.get(kek).ok_or(VaultError::WrongKek)?.unwrap(&wrapping(&account), &wrapped)?;
                let wrapped = next.wrap(&self.random, &wrapping(&account), &key)?;
                update.execute(params![account, FIRST_VERSION, wrapped, id])?;
                done = done.saturating_add(1);
                last = Some(account);
            }
        }
        transaction.commit()?;
        if last.is_some() {
            // The server gets at least as much of the file as this.
            std::thread::sleep(began.elapsed().min(Duration::from_millis(100)));
        }
        Ok(last.map(|last| (done, last)))
    }

    /// Retires the present key, if nothing is wrapped under it any more; whether it could be.
    fn finish(&self, database: &mut Opened, id: i64) -> Result<bool, VaultError> {
        let Opened { connection, keks, .. } = database;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // In the transaction: nobody wraps a key under the present one in between.
        if count_other(&transaction, id)? > 0 {
            return Ok(false);
        }
        transaction.execute("UPDATE keks SET status = 'retired' WHERE status = 'current'", [])?;
        let finished = transaction
            .execute("UPDATE keks SET status = 'current' WHERE id = ?1 AND status = 'next'", [id])?;
        if finished != 1 {
            return Err(VaultError::StruckOff);
        }
        keks.follow(&transaction)?;
        transaction.commit()?;
        Ok(true)
    }

    fn path(&self, connection: &Connection) -> Result<PathBuf, VaultError> {
        connection.path().map(PathBuf::from).ok_or(VaultError::Format)
    }
}

/// What an erasure did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Whether the account had a data key.
    pub had_key: bool,
    /// Whether a server was running. It has forgotten the key.
    pub served: bool,
    /// Whether the write-ahead log could be emptied.
    pub emptied: bool,
}

/// Destroys an account's data key and its secrets for good, while a server runs or not. Needs no key.
///
/// # Errors
/// [`VaultError`]; after [`VaultError::ServerSilent`] the key is destroyed in the file, but perhaps not in the memory of
/// the server.
pub fn erase(path: &Path, account: &AccountId, patience: Duration) -> Result<Erased, VaultError> {
    let mut connection = open_existing(path)?;
    schema::migrate(&mut connection)?;
    let (had_key, count) = destroy(&mut connection, account)?;
    let served = wait_for_server(path, patience, || {
        Ok(connection.query_row("SELECT erasures FROM serving", [], |row| row.get::<_, i64>(0))? >= count)
    })?;
    Ok(Erased { had_key, served, emptied: empty_log(&connection)? })
}

/// A key-encryption key that a vault knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekStatus {
    /// Its number.
    pub id: i64,
    /// `current`, `next` or `retired`.
    pub status: &'static str,
    /// Where a rotation found it; empty for the first one.
    pub source: String,
    /// How many data keys are wrapped under it.
    pub data_keys: u64,
}

/// The key-encryption keys that a vault knows, oldest first. Needs no key.
///
/// # Errors
/// [`VaultError`].
pub fn status(path: &Path) -> Result<Vec<KekStatus>, VaultError> {
    let mut connection = open_existing(path)?;
    schema::migrate(&mut connection)?;
    let of = |row: Row| {
        Ok(KekStatus {
            id: row.id,
            status: match row.status {
                Status::Current => "current",
                Status::Next => "next",
                Status::Retired => "retired",
            },
            data_keys: count(
                &connection,
                "SELECT count(*) FROM data_keys WHERE kek = ?1 AND wrapped IS NOT NULL",
                row.id,
            )?,
            source: row.source,
        })
    };
    Row::all(&connection)?.into_iter().map(of).collect()
}

/// Destroys an account's data key and its secrets in the file; whether there was one, and how many times that has been
/// done.
pub(super) fn destroy(connection: &mut Connection, account: &AccountId) -> Result<(bool, i64), VaultError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM secrets WHERE account = ?1", [account.as_str()])?;
    let destroyed = transaction.execute(
        "UPDATE data_keys SET wrapped = NULL WHERE account = ?1 AND wrapped IS NOT NULL",
        [account.as_str()],
    )?;
    // An account that never had a key gets a destroyed one, so that none is made later.
    transaction.execute(
        "INSERT INTO data_keys (account, version, wrapped) VALUES (?1, ?2, NULL) ON CONFLICT DO NOTHING",
        params![account.as_str(), FIRST_VERSION],
    )?;
    transaction.execute("UPDATE erasures SET count = count + 1", [])?;
    let count = transaction.query_row("SELECT count FROM erasures", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok((destroyed > 0, count))
}

/// Empties the write-ahead log; whether nobody was in the way for a few seconds.
pub(super) fn empty_log(connection: &Connection) -> Result<bool, VaultError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))? == 0)
}

/// Writes down what the serving process has taken note of.
pub(super) fn take_note(database: &mut Opened) -> Result<(), VaultError> {
    let (kek, _) = database.keks.writing()?;
    database
        .connection
        .execute("UPDATE serving SET kek = ?1, erasures = ?2", params![kek, database.seen_erasures])?;
    Ok(())
}

/// The lock that says that this process serves from the vault; given up when the file is dropped.
pub(super) fn lock_to_serve(path: &Path) -> Result<File, VaultError> {
    let file = lock_file(path)?;
    file.lock_shared()?;
    Ok(file)
}

/// Waits until the serving process has taken note, if there is one; whether there is.
fn wait_for_server(
    path: &Path,
    patience: Duration,
    noted: impl Fn() -> Result<bool, VaultError>,
) -> Result<bool, VaultError> {
    let file = lock_file(path)?;
    let began = Instant::now();
    let mut served = false;
    loop {
        match file.try_lock() {
            Ok(()) => {
                file.unlock()?;
                return Ok(served);
            }
            Err(TryLockError::WouldBlock) => served = true,
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if noted()? {
            return Ok(true);
        }
        if began.elapsed() > patience {
            return Err(VaultError::ServerSilent(patience.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn lock_file(path: &Path) -> Result<File, VaultError> {
    let path = path.with_extension("lock");
    Ok(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?)
}

fn is_registered(connection: &Connection, id: i64) -> Result<bool, VaultError> {
    Ok(count(connection, "SELECT count(*) FROM keks WHERE id = ?1", id)? > 0)
}

fn count_other(connection: &Connection, id: i64) -> Result<u64, VaultError> {
    count(connection, "SELECT count(*) FROM data_keys WHERE kek <> ?1 AND wrapped IS NOT NULL", id)
}

fn count(connection: &Connection, sql: &str, id: i64) -> Result<u64, VaultError> {
    let count: i64 = connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}
