//! `outbox.db`: how far each endpoint was told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::OutboxError;

/// `HFOB` in the file's header.
const APPLICATION_ID: i32 = 0x4846_4f42;

/// The next message: the record, and the place of the message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    pub(super) index: u32,
}

#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    pub(super) fn open(dir: &Path) -> Result<Self, OutboxError> {
        let path = dir.join("outbox.db");
        let fail =
            |error: rusqlite::Error| OutboxError::Database { path: path.clone(), reason: error.to_string() };
        let connection = Connection::open(&path).map_err(fail)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(fail)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(fail)?;
        // A cursor that a power cut takes back means messages delivered twice, which receivers must bear anyway.
        connection.pragma_update(None, "synchronous", "normal").map_err(fail)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS endpoints (name TEXT PRIMARY KEY NOT NULL, \
                 next_sequence INTEGER NOT NULL, next_index INTEGER NOT NULL) STRICT, WITHOUT ROWID",
            )
            .map_err(fail)?;
        Ok(Self { path, connection })
    }

    fn fail(&self, error: &rusqlite::Error) -> OutboxError {
        OutboxError::Database { path: self.path.clone(), reason: error.to_string() }
    }

    /// Where an endpoint is; a new one begins after `head`.
    pub(super) fn cursor(&self, name: &str, head: u64) -> Result<Mark, OutboxError> {
        let known = self
            .connection
            .query_row("SELECT next_sequence, next_index FROM endpoints WHERE name = ?1", [name], |row| {
                Ok(Mark { sequence: row.get::<_, i64>(0)?.cast_unsigned(), index: row.get(1)? })
            })
            .optional()
            .map_err(|error| self.fail(&error))?;
        if let Some(mark) = known {
            return Ok(mark);
        }
        let mark = Mark { sequence: head.saturating_add(1), index: 0 };
        self.advance(name, mark)?;
        Ok(mark)
    }

    pub(super) fn advance(&self, name: &str, mark: Mark) -> Result<(), OutboxError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO endpoints VALUES (?1, ?2, ?3)")
            .and_then(|mut statement| {
                statement.execute(params![name, mark.sequence.cast_signed(), mark.index])
            })
            .map(drop)
            .map_err(|error| self.fail(&error))
    }
}
