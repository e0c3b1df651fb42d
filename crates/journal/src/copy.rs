//! A copy of a journal, made while its writer goes on.
//!
//! Record by record and not page by page: a journal only ever grows at its end, so the records up to the head of one
//! moment, read in short steps, are that journal as of that moment. No step holds back the writer's log, every record is
//! checked on the way, and a damaged page stays behind.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;

use crate::{Checkpoint, Head, JournalError, LocalReader, Record, chain, directory, schema};

/// How many records pass between two reports of progress.
const PROGRESS_EVERY: u64 = 4_096;

impl LocalReader {
    /// Copies the records up to the head of now into a new journal of the same id in `dir`, durably, and returns where
    /// it ends. The copy is one file, `journal.db`: it has no log, no lock and no mark of what was acknowledged, and may
    /// be opened, verified and moved like any journal. `progress` is told the sequence reached and the last one.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if there is a journal in `dir`, [`JournalError::Damaged`] if a record does not read as it
    /// was written, or what the system says. What was made by then is left, and is no journal to rely on.
    pub fn copy_to(
        &self,
        dir: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Checkpoint, JournalError> {
        let path = directory::database(dir);
        if let Some(path) = directory::files(dir).into_iter().find(|path| path.exists()) {
            return Err(JournalError::Exists { path });
        }
        let head = self.head()?;
        let connection = schema::connect_copy(&path)?;
        schema::create(&connection, &path, Some(self.id()))?;
        self.fill(&connection, &path, head, &mut progress)?;
        connection.close().map_err(|(_, error)| JournalError::from_sqlite(&path, &error))?;
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|error| JournalError::from_io(&path, &error))?;
        directory::sync(dir)?;
        Ok(Checkpoint { journal: self.id(), head })
    }

    fn fill(
        &self,
        connection: &Connection,
        path: &Path,
        head: Head,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), JournalError> {
        let fail = |error: rusqlite::Error| JournalError::from_sqlite(path, &error);
        let transaction = connection.unchecked_transaction().map_err(fail)?;
        let mut copied = chain::genesis(self.id());
        {
            let mut insert = transaction.prepare_cached(schema::INSERT).map_err(fail)?;
            for record in self.records(1) {
                if copied.sequence >= head.sequence {
                    break;
                }
                let record = record?;
                schema::insert(&mut insert, &fields(&record), &record.hash).map_err(fail)?;
                copied = record.head();
                if copied.sequence.is_multiple_of(PROGRESS_EVERY) {
                    progress(copied.sequence, head.sequence);
                }
            }
        }
        if copied != head {
            let what = format!("it ends at {copied}, and ended at {head} when the copy began");
            return Err(JournalError::Damaged { file: path.to_owned(), what });
        }
        transaction.commit().map_err(fail)?;
        progress(head.sequence, head.sequence);
        Ok(())
    }
}

fn fields(record: &Record) -> chain::Fields<'_> {
    chain::Fields {
        previous: &record.previous,
        sequence: record.sequence,
        time: record.time,
        rules: record.rules,
        policy: &record.policy,
        command: &record.command,
        events: &record.events,
    }
}
