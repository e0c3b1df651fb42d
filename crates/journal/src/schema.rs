//! The SQLite table behind the local journal: how it is made, recognised, written and read. Nothing else issues SQL,
//! but for the page check of `verify.rs`.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags, Row, params};

use crate::{Checkpoint, Durability, Head, JournalError, JournalId, Record, chain};

/// `HOLD` in the file's header, so that `file` and SQLite tools can tell a journal from any other database.
const APPLICATION_ID: i32 = 0x484f_4c44;
/// The version of the table, in the file's header.
const FORMAT: i32 = 1;
/// SQLite's default; larger pages made single appends slower and large groups hardly faster.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// How long a lock of another connection is waited for: readers hold theirs for one read only.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The schema, name by name, exactly as SQLite keeps it.
const SCHEMA: [(&str, &str); 4] = [
    ("meta", "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID"),
    (
        "record",
        "CREATE TABLE record (sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, rules INTEGER NOT NULL, \
         policy BLOB NOT NULL, command BLOB NOT NULL, events BLOB NOT NULL, previous BLOB NOT NULL, \
         hash BLOB NOT NULL) STRICT",
    ),
    (
        "record_keeps",
        "CREATE TRIGGER record_keeps BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    ),
    (
        "record_stays",
        "CREATE TRIGGER record_stays BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    ),
];

pub(crate) const INSERT: &str = "INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const READ: &str = "SELECT sequence, time, rules, policy, command, events, previous, hash FROM record \
                    WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2";

/// The writer's connection.
pub(crate) fn connect_writer(path: &Path, create: bool) -> Result<Connection, JournalError> {
    let extra = if create { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    prepare(&connection, path)?;
    if create {
        connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed()).map_err(fail)?;
    }
    connection.pragma_update(None, "journal_mode", "wal").map_err(fail)?;
    let synchronous = if cfg!(feature = "unsafe-sync-off") { "off" } else { "full" };
    connection.pragma_update(None, "synchronous", synchronous).map_err(fail)?;
    // `LocalJournal` carries the log over itself, where it sees every error.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(fail)?;
    Ok(connection)
}

/// The connection that writes a copy: unsynced, in no hurry to be seen by anyone, and synced as a file once it is whole.
pub(crate) fn connect_copy(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    prepare(&connection, path)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed()).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "off").map_err(fail)?;
    Ok(connection)
}

/// What every connection is set to.
pub(crate) fn prepare(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    // Closing writes nothing: after a failure it must not, and a reader never may.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fail)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(fail)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.pragma_update(None, "cell_size_check", true).map_err(fail)
}

/// Whether commits reach the disk, as SQLite itself says.
pub(crate) fn durability(connection: &Connection, path: &Path) -> Result<Durability, JournalError> {
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |r| r.get(0)).map_err(fail)?;
    let unsynced: bool = connection
        .query_row("SELECT sqlite_compileoption_used('NO_SYNC')", [], |r| r.get(0))
        .map_err(fail)?;
    // 2 is FULL, 3 is EXTRA.
    Ok(if synchronous >= 2 && !unsynced { Durability::Full } else { Durability::UnsafeSyncOff })
}

/// Makes the tables and, unless the journal is a copy of one that has an id, draws its id; in one transaction.
pub(crate) fn create(
    connection: &Connection,
    path: &Path,
    copied: Option<JournalId>,
) -> Result<(), JournalError> {
    let id = copied.map_or_else(|| "randomblob(16)".to_owned(), |id| format!("x'{id}'"));
    let mut sql =
        format!("BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT};");
    for (_, statement) in SCHEMA {
        sql.push_str(statement);
        sql.push(';');
    }
    sql.push_str("INSERT INTO meta VALUES ('id', ");
    sql.push_str(&id);
    sql.push_str("); COMMIT;");
    connection.execute_batch(&sql).map_err(|e| JournalError::from_sqlite(path, &e))
}

/// Refuses a file that is no journal, or one of another format, or one whose table or triggers were altered.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let number =
        |pragma: &str| connection.pragma_query_value(None, pragma, |r| r.get::<_, i32>(0)).map_err(fail);
    let (application, format) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID || format != FORMAT {
        let reason = format!(
            "application id {application:#x}, format {format}; expected {APPLICATION_ID:#x}, {FORMAT}"
        );
        return Err(JournalError::UnknownFormat { path: path.to_owned(), reason });
    }
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").map_err(fail)?;
    let found: Result<Vec<(String, String)>, _> =
        statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).map_err(fail)?.collect();
    if found.map_err(fail)?.iter().map(|(n, s)| (n.as_str(), s.as_str())).eq(SCHEMA) {
        return Ok(());
    }
    let what = "its tables are not those of a journal (see docs/record-format.md)".to_owned();
    Err(JournalError::Damaged { file: path.to_owned(), what })
}

/// Carries the write-ahead log over into the database and syncs it; returns how many bytes are left to carry over.
///
/// `whole` empties the log too, and insists that nothing is left.
pub(crate) fn carry_over(connection: &Connection, path: &Path, whole: bool) -> Result<u64, JournalError> {
    let sql = if whole { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
    let (log, done): (i64, i64) = connection
        .prepare_cached(sql)
        .and_then(|mut s| s.query_row([], |r| Ok((r.get(1)?, r.get(2)?))))
        .map_err(|e| JournalError::from_sqlite(path, &e))?;
    let left = u64::try_from(log.saturating_sub(done)).unwrap_or(0);
    if whole && left > 0 {
        let reason = "another program keeps reading an old state of it: end that program".to_owned();
        return Err(JournalError::Io { path: path.to_owned(), reason });
    }
    Ok(left.saturating_mul(PAGE_BYTES))
}

/// The journal's own id.
pub(crate) fn journal_id(connection: &Connection, path: &Path) -> Result<JournalId, JournalError> {
    connection
        .query_row("SELECT value FROM meta WHERE key = 'id'", [], |r| r.get(0).map(JournalId))
        .map_err(|e| JournalError::from_sqlite(path, &e))
}

/// The last record's position, its hash recomputed.
pub(crate) fn head(connection: &Connection, path: &Path, id: JournalId) -> Result<Head, JournalError> {
    let last: Option<i64> = connection
        .query_row("SELECT max(sequence) FROM record", [], |r| r.get(0))
        .map_err(|e| JournalError::from_sqlite(path, &e))?;
    let Some(last) = last else { return Ok(chain::genesis(id)) };
    let sequence = u64::try_from(last).unwrap_or(0);
    match read(connection, path, id, sequence, 1)?.first() {
        Some(record) => Ok(record.head()),
        None => Err(JournalError::Damaged {
            file: path.to_owned(),
            what: format!("record {last} cannot be found"),
        }),
    }
}

/// Refuses a journal that is not the checkpoint's, or does not contain it.
pub(crate) fn require_checkpoint(
    connection: &Connection,
    path: &Path,
    id: JournalId,
    at: &Checkpoint,
) -> Result<(), JournalError> {
    if at.journal != id {
        let found = format!("it is journal {id}, not {}", at.journal);
        return Err(JournalError::BehindCheckpoint { expected: at.head.sequence, found });
    }
    require(connection, path, id, at.head)
}

/// Refuses a journal that does not contain `expected`.
pub(crate) fn require(
    connection: &Connection,
    path: &Path,
    id: JournalId,
    expected: Head,
) -> Result<(), JournalError> {
    let found = if expected.sequence == 0 {
        Some(chain::genesis(id))
    } else {
        read(connection, path, id, expected.sequence, 1)?.first().map(Record::head)
    };
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) => {
            let found = format!("its hash is another ({found})");
            Err(JournalError::BehindCheckpoint { expected: expected.sequence, found })
        }
        None => {
            let found = format!("it ends at sequence {}", head(connection, path, id)?.sequence);
            Err(JournalError::BehindCheckpoint { expected: expected.sequence, found })
        }
    }
}

pub(crate) fn insert(
    statement: &mut CachedStatement<'_>,
    fields: &chain::Fields<'_>,
    hash: &[u8; 32],
) -> Result<(), rusqlite::Error> {
    let (sequence, time) = (fields.sequence.cast_signed(), fields.time.cast_signed());
    statement
        .execute(params![
            sequence,
            time,
            fields.rules,
            fields.policy.as_slice(),
            fields.command,
            fields.events,
            fields.previous.as_slice(),
            hash.as_slice()
        ])
        .map(|_| ())
}

/// Up to `limit` records from `from` on, checked: sequences without a gap, hashes recomputed, each after its
/// predecessor.
pub(crate) fn read(
    connection: &Connection,
    path: &Path,
    id: JournalId,
    from: u64,
    limit: usize,
) -> Result<Vec<Record>, JournalError> {
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let from = from.max(1);
    let mut statement = connection.prepare_cached(READ).map_err(fail)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![i64::try_from(from).unwrap_or(i64::MAX), limit]).map_err(fail)?;
    let mut records: Vec<Record> = Vec::new();
    let mut check = chain::Follow::from(from, id);
    let mut bytes = 0_usize;
    while let Some(row) = rows.next().map_err(fail)? {
        let record = record(row).map_err(fail)?;
        check.next(&record).map_err(|b| JournalError::Damaged { file: path.to_owned(), what: b.what })?;
        bytes = bytes.saturating_add(chain::weight(&record));
        if bytes > chain::MAX_READ_BYTES && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(records)
}

/// Shows up to `limit` records from `from` on, checked as [`read`] checks them, in memory that is used again. Answers the
/// sequence of the last one; nothing if there was none, or `see` said that it is enough.
pub(crate) fn each<E: From<JournalError>>(
    connection: &Connection,
    path: &Path,
    (from, limit): (u64, usize),
    check: &mut chain::Follow,
    see: &mut impl FnMut(&Record) -> Result<bool, E>,
) -> Result<Option<u64>, E> {
    let fail = |e: rusqlite::Error| JournalError::from_sqlite(path, &e);
    let mut statement = connection.prepare_cached(READ).map_err(fail)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![i64::try_from(from).unwrap_or(i64::MAX), limit]).map_err(fail)?;
    let mut shown: Option<Record> = None;
    while let Some(row) = rows.next().map_err(fail)? {
        let next = match shown.take() {
            None => record(row),
            Some(last) => record_into(row, last),
        };
        let next = next.map_err(fail)?;
        check.next(&next).map_err(|b| JournalError::Damaged { file: path.to_owned(), what: b.what })?;
        if !see(&next)? {
            return Ok(None);
        }
        shown = Some(next);
    }
    Ok(shown.map(|last| last.sequence))
}

/// Shows every record, in order, until one is answered with what is wrong with it.
pub(crate) fn walk(
    connection: &Connection,
    mut check: impl FnMut(&Record) -> Result<(), chain::Break>,
) -> Result<Option<chain::Break>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(READ)?;
    let mut rows = statement.query(params![i64::MIN, -1])?;
    while let Some(row) = rows.next()? {
        if let Err(found) = check(&record(row)?) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// As [`record`], into the memory of another.
fn record_into(row: &Row<'_>, mut into: Record) -> Result<Record, rusqlite::Error> {
    for (column, bytes) in [(4, &mut into.command), (5, &mut into.events)] {
        bytes.clear();
        bytes.extend_from_slice(row.get_ref(column)?.as_blob()?);
    }
    Ok(Record {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        time: row.get::<_, i64>(1)?.cast_unsigned(),
        rules: row.get(2)?,
        policy: row.get(3)?,
        command: into.command,
        events: into.events,
        previous: row.get(6)?,
        hash: row.get(7)?,
    })
}

fn record(row: &Row<'_>) -> Result<Record, rusqlite::Error> {
    Ok(Record {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        time: row.get::<_, i64>(1)?.cast_unsigned(),
        rules: row.get(2)?,
        policy: row.get(3)?,
        command: row.get(4)?,
        events: row.get(5)?,
        previous: row.get(6)?,
        hash: row.get(7)?,
    })
}
