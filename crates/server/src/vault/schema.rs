//! The tables of `vault.db`, and how an older layout becomes this one.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::VaultError;

/// The layout that this module writes. 1 had one key-encryption key, whose probe stood in `meta`.
const FORMAT: u8 = 2;
const FORMAT_OF_ONE_KEY: u8 = 1;

/// `probe` is wrapped under the key itself; `endorsement` is a tag over the row under its predecessor. Ids are never
/// used again, so whoever says that it holds key 7 never means another.
const KEKS: &str = "CREATE TABLE keks (id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT NOT NULL, probe BLOB NOT NULL,
       source TEXT NOT NULL, predecessor INTEGER, endorsement BLOB) STRICT;
     CREATE UNIQUE INDEX keks_one_of_each ON keks (status) WHERE status IN ('current', 'next');
     CREATE TABLE serving (one INTEGER PRIMARY KEY CHECK (one = 1), kek INTEGER NOT NULL, erasures INTEGER NOT NULL)
       STRICT;
     INSERT INTO serving (one, kek, erasures) VALUES (1, 0, 0);
     CREATE TABLE erasures (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT;
     INSERT INTO erasures (one, count) VALUES (1, 0);";

/// Makes the tables in an empty file.
pub(super) fn create(database: &mut Connection, probe: &[u8]) -> Result<(), VaultError> {
    let transaction = database.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE data_keys (account TEXT, version INTEGER, wrapped BLOB, kek INTEGER NOT NULL DEFAULT 1,
           PRIMARY KEY (account, version)) STRICT, WITHOUT ROWID;
         CREATE TABLE secrets (account TEXT, name TEXT, sealed BLOB NOT NULL, PRIMARY KEY (account, name))
           STRICT, WITHOUT ROWID;",
    )?;
    transaction.execute_batch(KEKS)?;
    first_kek(&transaction, probe)?;
    transaction.execute("INSERT INTO meta (name, value) VALUES ('format', ?1)", [[FORMAT].as_slice()])?;
    transaction.commit()?;
    Ok(())
}

/// Brings an older layout to this one, all or nothing. [`VaultError::Format`] for one that is not known.
pub(super) fn migrate(database: &mut Connection) -> Result<(), VaultError> {
    if format(database)? == Some(FORMAT) {
        return Ok(());
    }
    // Another process may be doing the same.
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match format(&transaction)? {
        Some(FORMAT) => return Ok(()),
        Some(FORMAT_OF_ONE_KEY) => {}
        _ => return Err(VaultError::Format),
    }
    let probe: Vec<u8> = transaction
        .query_row("SELECT value FROM meta WHERE name = 'kek_check'", [], |row| row.get(0))
        .optional()?
        .ok_or(VaultError::Format)?;
    transaction.execute_batch(KEKS)?;
    first_kek(&transaction, &probe)?;
    transaction.execute_batch(
        "ALTER TABLE data_keys ADD COLUMN kek INTEGER NOT NULL DEFAULT 1;
         DELETE FROM meta WHERE name = 'kek_check';",
    )?;
    transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'format'", [[FORMAT].as_slice()])?;
    transaction.commit()?;
    tracing::info!("the vault has the layout of this version now: earlier ones cannot open it any more");
    Ok(())
}

fn first_kek(database: &Connection, probe: &[u8]) -> Result<(), VaultError> {
    database.execute(
        "INSERT INTO keks (id, status, probe, source) VALUES (1, 'current', ?1, '')",
        params![probe],
    )?;
    Ok(())
}

fn format(database: &Connection) -> Result<Option<u8>, VaultError> {
    let value: Option<Vec<u8>> = database
        .query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0))
        .optional()?;
    Ok(match value.as_deref() {
        Some(&[format]) => Some(format),
        _ => None,
    })
}
