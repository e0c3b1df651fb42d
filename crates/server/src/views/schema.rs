//! The tables of `views.db`, and what they say of the journal that they were made from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_decision::configuration::Configuration;
use holdfast_journal::{Head, JournalId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::ViewsError;

/// `HFVW` in the file's header.
const APPLICATION_ID: i32 = 0x4846_5657;
/// Raised with every change of the tables: views of an older format are folded anew, never migrated.
const FORMAT: i32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE withdrawals (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, asset TEXT NOT NULL,
    network TEXT NOT NULL, wallet TEXT NOT NULL, address TEXT NOT NULL, memo TEXT, amount TEXT NOT NULL,
    fee_max TEXT NOT NULL, usd TEXT NOT NULL, channel TEXT NOT NULL, nonce TEXT NOT NULL, requested_at TEXT NOT NULL,
    not_after TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT NOT NULL, class TEXT NOT NULL,
    dwell_until TEXT NOT NULL, factors TEXT NOT NULL, reasons TEXT NOT NULL, reserved TEXT, queued_turn INTEGER,
    decided_at TEXT NOT NULL, closed_at TEXT, paid_at TEXT, updated_sequence INTEGER NOT NULL) STRICT;
CREATE INDEX withdrawals_account ON withdrawals (account, sequence);
CREATE INDEX withdrawals_status ON withdrawals (status, sequence);
CREATE INDEX withdrawals_time ON withdrawals (requested_at);
CREATE TABLE decisions (
    sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, withdrawal TEXT NOT NULL, at TEXT NOT NULL,
    outcome TEXT NOT NULL, status TEXT NOT NULL, class TEXT NOT NULL, dwell_until TEXT NOT NULL, factors TEXT NOT NULL,
    usd TEXT NOT NULL, reasons TEXT NOT NULL, rules INTEGER NOT NULL, policy TEXT NOT NULL,
    PRIMARY KEY (sequence, ordinal)) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_withdrawal ON decisions (withdrawal, sequence, ordinal);
CREATE TABLE cases (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, withdrawal TEXT NOT NULL, account TEXT NOT NULL,
    opened_sequence INTEGER NOT NULL, opened_at TEXT NOT NULL, reasons TEXT NOT NULL, closed_sequence INTEGER,
    closed_at TEXT, result TEXT) STRICT;
CREATE INDEX cases_withdrawal ON cases (withdrawal);
CREATE INDEX cases_open ON cases (number) WHERE closed_at IS NULL;
CREATE TABLE accounts (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tier TEXT NOT NULL, opened_at TEXT NOT NULL,
    frozen INTEGER NOT NULL, limit_usd_24h TEXT, limit_usd_30d TEXT, security_changed_at TEXT,
    updated_sequence INTEGER NOT NULL) STRICT;
CREATE TABLE addresses (
    account INTEGER NOT NULL, destination TEXT NOT NULL, recorded_at TEXT NOT NULL, notice_delivered_at TEXT,
    removed_at TEXT, PRIMARY KEY (account, destination)) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY, at TEXT NOT NULL, command TEXT NOT NULL, by TEXT, subject TEXT, refusal TEXT,
    summary TEXT NOT NULL) STRICT;
CREATE TABLE transactions (
    number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, release_id TEXT, signer TEXT NOT NULL,
    wallet TEXT NOT NULL, network TEXT NOT NULL, spends TEXT NOT NULL, outputs TEXT, fee TEXT, fee_network_units TEXT,
    transfer TEXT, transfer_text TEXT, external TEXT, standing TEXT NOT NULL, confirmations INTEGER NOT NULL,
    chain_id TEXT, is_signed INTEGER NOT NULL, released_at TEXT NOT NULL, expires TEXT, seen_at TEXT, over_at TEXT,
    sequence INTEGER NOT NULL, updated_sequence INTEGER NOT NULL) STRICT;
CREATE INDEX transactions_standing ON transactions (standing, number);
CREATE INDEX transactions_wallet ON transactions (wallet, network, number);
CREATE TABLE payments (
    digest TEXT NOT NULL, withdrawal TEXT NOT NULL, PRIMARY KEY (digest, withdrawal)) STRICT, WITHOUT ROWID;
CREATE INDEX payments_withdrawal ON payments (withdrawal, digest);
CREATE TABLE drops (
    sequence INTEGER NOT NULL, withdrawal TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (sequence, withdrawal)) STRICT, WITHOUT ROWID;
CREATE INDEX drops_withdrawal ON drops (withdrawal, sequence);
CREATE TABLE alarms (
    number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at TEXT NOT NULL, alarm TEXT NOT NULL, wallet TEXT NOT NULL,
    network TEXT NOT NULL, transaction_id TEXT NOT NULL, spends TEXT NOT NULL) STRICT;
CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY, at TEXT NOT NULL, signer TEXT NOT NULL, counter INTEGER NOT NULL, digest TEXT,
    voided TEXT) STRICT;
CREATE TABLE epochs (
    number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, at TEXT NOT NULL,
    signer TEXT NOT NULL, counter INTEGER NOT NULL) STRICT;
CREATE TABLE enrolments (
    number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at TEXT NOT NULL, account TEXT NOT NULL,
    credential TEXT NOT NULL, legacy_u2f INTEGER NOT NULL, is_removal INTEGER NOT NULL,
    -- Of a step of the policy, whose account is empty and whose credential is the nonce: the records with its text, and
    -- with its proposal or the pack before.
    step_source INTEGER, step_before INTEGER) STRICT;
CREATE TABLE policy_packs (hash TEXT PRIMARY KEY NOT NULL, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE policy_proposals (
    hash TEXT NOT NULL, before TEXT NOT NULL, author TEXT NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (hash, before, author)) STRICT, WITHOUT ROWID;
CREATE INDEX enrolments_account ON enrolments (account, credential);
CREATE TABLE pending_credentials (
    account TEXT NOT NULL, credential TEXT NOT NULL, legacy_u2f INTEGER NOT NULL,
    PRIMARY KEY (account, credential)) STRICT, WITHOUT ROWID;
CREATE TABLE recovered_spends (
    number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at TEXT NOT NULL, withdrawal TEXT NOT NULL,
    signer TEXT NOT NULL, wallet TEXT NOT NULL, network TEXT NOT NULL, transactions TEXT NOT NULL,
    is_lost INTEGER NOT NULL, intent TEXT NOT NULL) STRICT;
-- Each withdrawal with the transaction that pays it: of several the one that came furthest, and of equals the newest.
CREATE VIEW withdrawals_on_chain AS
    SELECT withdrawals.*, paying.digest AS paying_digest, paying.standing AS paying_standing,
        paying.confirmations AS paying_confirmations, paying.chain_id AS paying_chain_id
    FROM withdrawals LEFT JOIN transactions AS paying ON paying.number = (
        SELECT rival.number FROM payments JOIN transactions AS rival ON rival.digest = payments.digest
        WHERE payments.withdrawal = withdrawals.id
        ORDER BY CASE rival.standing WHEN 'final' THEN 0 WHEN 'included' THEN 1 WHEN 'failed' THEN 2 WHEN 'pending' THEN 3
            WHEN 'vanished' THEN 4 WHEN 'unseen' THEN 5 ELSE 6 END, rival.number DESC
        LIMIT 1);
";

/// The views' file in a data directory.
pub fn path(dir: &Path) -> PathBuf {
    dir.join("views.db")
}

/// What views know of the journal that they were made from.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) journal: JournalId,
    pub(super) head: Head,
    pub(super) configuration: Option<Configuration>,
}

/// Makes empty views of a journal whose genesis is `genesis`.
pub(super) fn create(path: &Path, journal: JournalId, genesis: Head) -> Result<Connection, ViewsError> {
    let fail = |error: rusqlite::Error| ViewsError::database(path, &error);
    let mut connection = connect(path, true)?;
    let transaction = connection.transaction().map_err(fail)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
    transaction.pragma_update(None, "user_version", FORMAT).map_err(fail)?;
    transaction.execute_batch(TABLES).map_err(fail)?;
    put(&transaction, "journal_id", journal.0.as_slice()).map_err(fail)?;
    put_head(&transaction, genesis).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    Ok(connection)
}

/// Opens existing views for writing.
pub(super) fn open(path: &Path) -> Result<Connection, ViewsError> {
    let connection = connect(path, false)?;
    check(&connection, path)?;
    Ok(connection)
}

/// Opens existing views for reading.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, ViewsError> {
    let connection = connect_read_only(path)?;
    check(&connection, path)?;
    Ok(connection)
}

fn connect_read_only(path: &Path) -> Result<Connection, ViewsError> {
    let fail = |error: rusqlite::Error| ViewsError::database(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn connect(path: &Path, create: bool) -> Result<Connection, ViewsError> {
    let fail = |error: rusqlite::Error| ViewsError::database(path, &error);
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(fail)?;
    // The journal is the truth: what a power cut takes from here is folded again.
    connection.pragma_update(None, "synchronous", "normal").map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn check(connection: &Connection, path: &Path) -> Result<(), ViewsError> {
    match format(connection, path)? {
        FORMAT => Ok(()),
        _ => Err(ViewsError::Format { path: path.to_owned() }),
    }
}

/// The format of some views.
fn format(connection: &Connection, path: &Path) -> Result<i32, ViewsError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let found = number("application_id").and_then(|application| Ok((application, number("user_version")?)));
    match found {
        Ok((APPLICATION_ID, format)) => Ok(format),
        Ok(_) => Err(ViewsError::Format { path: path.to_owned() }),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(ViewsError::Format { path: path.to_owned() })
        }
        Err(error) => Err(ViewsError::database(path, &error)),
    }
}

/// Which journal some views have seen, how far, and whether their tables are of an older format: those can be folded
/// anew, and what they have seen is evidence all the same.
pub(super) fn seen(path: &Path) -> Result<Seen, ViewsError> {
    let connection = connect_read_only(path)?;
    let is_older = match format(&connection, path)? {
        FORMAT => false,
        1..FORMAT => true,
        _ => return Err(ViewsError::Format { path: path.to_owned() }),
    };
    let (journal, head) = position(&connection, path)?;
    Ok(Seen { journal, head, is_older })
}

/// What [`seen`] tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) journal: JournalId,
    pub(super) head: Head,
    pub(super) is_older: bool,
}

/// Throws views away.
pub(super) fn remove(path: &Path) -> Result<(), ViewsError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match std::fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ViewsError::Database { path: file, reason: error.to_string() }),
        }
    }
    Ok(())
}

pub(super) fn put(
    connection: &Connection,
    key: &str,
    value: impl rusqlite::ToSql,
) -> Result<(), rusqlite::Error> {
    // Everything in `meta` is a blob, so that the column has one type; integers are eight bytes, big-endian.
    connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

pub(super) fn put_head(connection: &Connection, head: Head) -> Result<(), rusqlite::Error> {
    put(connection, "position", head.sequence.to_be_bytes().as_slice())?;
    put(connection, "head_hash", head.hash.as_slice())
}

/// What the views know.
pub(super) fn meta(connection: &Connection, path: &Path) -> Result<Meta, ViewsError> {
    let (journal, head) = position(connection, path)?;
    let configuration = match get(connection, path, "configuration")? {
        Some(bytes) => {
            Some(minicbor::decode(&bytes).map_err(|_| ViewsError::Format { path: path.to_owned() })?)
        }
        None => None,
    };
    Ok(Meta { journal, head, configuration })
}

/// Journal and position: these stand the same way in every format.
fn position(connection: &Connection, path: &Path) -> Result<(JournalId, Head), ViewsError> {
    let format = || ViewsError::Format { path: path.to_owned() };
    let fixed = |key: &str| get(connection, path, key)?.ok_or_else(format);
    let journal = fixed("journal_id")?.try_into().map_err(|_| format())?;
    let sequence = fixed("position")?.try_into().map_err(|_| format())?;
    let hash = fixed("head_hash")?.try_into().map_err(|_| format())?;
    Ok((JournalId(journal), Head { sequence: u64::from_be_bytes(sequence), hash }))
}

fn get(connection: &Connection, path: &Path, key: &str) -> Result<Option<Vec<u8>>, ViewsError> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
        .map_err(|error| ViewsError::database(path, &error))
}

/// The position of the journal that the views in a data directory have seen, if there are views: for
/// [`holdfast_journal::LocalJournal::open`], which refuses a journal that does not contain it.
///
/// # Errors
/// [`ViewsError::Format`] and [`ViewsError::Database`] if there are views that cannot be read.
pub fn known_head(dir: &Path) -> Result<Option<(JournalId, Head)>, ViewsError> {
    let path = path(dir);
    if !path.exists() {
        return Ok(None);
    }
    let seen = seen(&path)?;
    Ok(Some((seen.journal, seen.head)))
}
