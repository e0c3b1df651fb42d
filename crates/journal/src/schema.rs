//! The SQLite table behind the local journal: how it is made, recognised, written and read. Nothing else issues SQL.

use std::path::{Path, PathBuf};

use rusqlite::{CachedStatement, Connection, Row, params};

use crate::{Head, JournalError, JournalId, Record, chain};

/// `HOLD` in the file's header, so that `file` and SQLite tools can tell a journal from any other database.
const APPLICATION_ID: i32 = 0x484f_4c44;
/// The version of the table, in the file's header and in `meta`.
const FORMAT: i32 = 1;
/// Measured in `examples/append.rs`.
pub(crate) const PAGE_SIZE: i64 = 4096;

const TABLES: &[&str] = &[
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE record (sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, rules INTEGER NOT NULL, \
     policy BLOB NOT NULL, command BLOB NOT NULL, events BLOB NOT NULL, previous BLOB NOT NULL, hash BLOB NOT NULL) STRICT",
    "CREATE TRIGGER record_keeps BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    "CREATE TRIGGER record_stays BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
];

pub(crate) const INSERT: &str = "INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const READ: &str = "SELECT sequence, time, rules, policy, command, events, previous, hash FROM record \
                    WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2";

/// The journal's file in a data directory.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Makes the tables and draws the journal's id, in one transaction.
pub(crate) fn create(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let mut sql =
        format!("BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT};");
    for table in TABLES {
        sql.push_str(table);
        sql.push(';');
    }
    sql.push_str("INSERT INTO meta VALUES ('id', randomblob(16)); COMMIT;");
    connection.execute_batch(&sql).map_err(|e| JournalError::from_sqlite(path, &e))
}

/// Refuses a file that is no journal, or one of another format.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let number = |pragma: &str| {
        connection
            .pragma_query_value(None, pragma, |r| r.get::<_, i32>(0))
            .map_err(|e| JournalError::from_sqlite(path, &e))
    };
    let (application, format) = (number("application_id")?, number("user_version")?);
    if application == APPLICATION_ID && format == FORMAT {
        return Ok(());
    }
    let reason =
        format!("application id {application:#x}, format {format}; expected {APPLICATION_ID:#x}, {FORMAT}");
    Err(JournalError::UnknownFormat { path: path.to_owned(), reason })
}

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
        check.next(&record).map_err(|what| JournalError::Damaged { file: path.to_owned(), what })?;
        bytes = bytes.saturating_add(chain::weight(&record));
        if bytes > chain::MAX_READ_BYTES && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(records)
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
