//! Verification: walks every record, the pages under them and the log beside them, and says what differs. Changes no
//! file.
//!
//! A journal is called intact only if every record reads as it was chained, the database's own page check finds nothing,
//! no committed frame of the log would be left out, and the journal reaches its own mark and the checkpoint given.
//! Damage in bytes that no record depends on may go unnamed.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::directory::{self, Company};
use crate::wal::{self, Tail};
use crate::{Checkpoint, Head, JournalError, JournalId, LocalReader, Record, chain, schema};

/// How many findings of the page check are reported.
const MAX_PAGE_FINDINGS: u32 = 20;

/// One thing that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `record_changed`, `records_missing`, `checkpoint_not_reached`, `log_damaged`, `page_damaged`, `file_damaged`.
    pub code: &'static str,
    /// The file concerned.
    pub file: PathBuf,
    /// The record concerned, where it is one.
    pub sequence: Option<u64>,
    /// What differs, and where.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.file.display(), self.what)
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// The journal's own id, if it could be read.
    pub journal: Option<JournalId>,
    /// How many records read as they were written, from the first on without a gap.
    pub records: u64,
    /// The last of them, or the genesis.
    pub head: Option<Head>,
    /// Everything that differs; empty for an intact journal.
    pub findings: Vec<Finding>,
    /// What a reader of the report should know although it is no damage.
    pub notes: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing differs.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies the journal in `dir`, and that it contains `checkpoint` if one is given.
///
/// # Errors
/// Only if there is no journal to verify ([`JournalError::Missing`]) or the system refuses to let it be read; damage is
/// in the report.
pub fn verify(dir: &Path, checkpoint: Option<&Checkpoint>) -> Result<VerifyReport, JournalError> {
    let mut verification = Verification {
        database: directory::database(dir),
        report: VerifyReport {
            journal: None,
            records: 0,
            head: None,
            findings: Vec::new(),
            notes: Vec::new(),
        },
    };
    verification.run(dir, checkpoint)?;
    Ok(verification.report)
}

struct Verification {
    database: PathBuf,
    report: VerifyReport,
}

impl Verification {
    fn run(&mut self, dir: &Path, checkpoint: Option<&Checkpoint>) -> Result<(), JournalError> {
        // Read before the records: the writer may go on meanwhile, and the mark must not be ahead of them.
        let mark = match directory::read_mark(dir) {
            Ok(mark) => mark,
            Err(error) => {
                self.damage("file_damaged", error)?;
                None
            }
        };
        let reader = match directory::company(dir)? {
            Company::Writer => {
                self.note("a writer has the journal: the log beside it is not checked frame by frame");
                LocalReader::beside_writer(dir)
            }
            Company::Nobody(lock) => {
                self.check_log(dir, mark.is_some())?;
                LocalReader::alone(dir, lock)
            }
        };
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => return self.damage("file_damaged", error),
        };
        self.report.journal = Some(reader.id());
        if let Err(error) = schema::check(reader.connection(), &self.database) {
            self.damage("file_damaged", error)?;
        }
        self.check_pages(&reader)?;
        self.check_records(&reader)?;
        if let Some(mark) = mark {
            self.check_reaches(&reader, &mark, &directory::acknowledged(dir))?;
        } else {
            self.note("the journal's own mark is not there: records cut from its end show only against a checkpoint");
        }
        if let Some(checkpoint) = checkpoint {
            let database = self.database.clone();
            self.check_reaches(&reader, checkpoint, &database)?;
        }
        Ok(())
    }

    fn note(&mut self, note: &str) {
        self.report.notes.push(note.to_owned());
    }

    fn find(&mut self, code: &'static str, file: &Path, sequence: Option<u64>, what: String) {
        self.report.findings.push(Finding { code, file: file.to_owned(), sequence, what });
    }

    /// Puts damage into the report; passes on what is not damage.
    fn damage(&mut self, code: &'static str, error: JournalError) -> Result<(), JournalError> {
        match error {
            JournalError::Damaged { file, what } => self.find(code, &file, None, what),
            JournalError::UnknownFormat { path, reason } => self.find(code, &path, None, reason),
            // SQLite names some kinds of damage as other errors (a file that grew shorter, a page size it cannot have).
            JournalError::Io { path, reason } => self.find(code, &path, None, reason),
            other => return Err(other),
        }
        Ok(())
    }

    fn check_log(&mut self, dir: &Path, marked: bool) -> Result<(), JournalError> {
        let path = directory::wal(dir);
        match wal::scan(&path) {
            Ok(Tail::Clean) => {}
            Ok(Tail::Torn { frame, committed: true }) if !marked => {
                let what = format!(
                    "frame {frame} does not check, and no mark says whether its group was acknowledged"
                );
                self.find("log_damaged", &path, None, what);
            }
            Ok(Tail::Torn { frame, .. }) => {
                self.note(&format!(
                    "the last group in the log was never acknowledged (torn from frame {frame} on)"
                ));
            }
            Err(error) => self.damage("log_damaged", error)?,
        }
        Ok(())
    }

    fn check_pages(&mut self, reader: &LocalReader) -> Result<(), JournalError> {
        let database = self.database.clone();
        let found = (|| -> Result<Vec<String>, rusqlite::Error> {
            let sql = format!("PRAGMA integrity_check({MAX_PAGE_FINDINGS})");
            reader.connection().prepare(&sql)?.query_map([], |r| r.get(0))?.collect()
        })();
        match found {
            Ok(lines) => {
                for line in lines.into_iter().filter(|l| l != "ok") {
                    self.find("page_damaged", &database, None, line);
                }
                Ok(())
            }
            Err(e) => self.damage("page_damaged", JournalError::from_sqlite(&database, &e)),
        }
    }

    /// Walks the records up to the first that differs.
    fn check_records(&mut self, reader: &LocalReader) -> Result<(), JournalError> {
        let database = self.database.clone();
        let mut follow = chain::Follow::from(1, reader.id());
        let mut head = chain::genesis(reader.id());
        let walked = schema::walk(reader.connection(), |record: &Record| {
            let checked = follow.next(record);
            if checked.is_ok() {
                head = record.head();
            }
            checked
        });
        self.report.head = Some(head);
        self.report.records = head.sequence;
        match walked {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                self.find(found.code, &database, Some(head.sequence.saturating_add(1)), found.what);
                Ok(())
            }
            Err(e) => {
                let next = head.sequence.saturating_add(1);
                match JournalError::from_sqlite(&database, &e) {
                    JournalError::Damaged { what, .. } | JournalError::Io { reason: what, .. } => {
                        let what = format!("record {next} cannot be read: {what}");
                        self.find("record_changed", &database, Some(next), what);
                        Ok(())
                    }
                    other => Err(other),
                }
            }
        }
    }

    fn check_reaches(
        &mut self,
        reader: &LocalReader,
        at: &Checkpoint,
        source: &Path,
    ) -> Result<(), JournalError> {
        match schema::require_checkpoint(reader.connection(), &self.database, reader.id(), at) {
            Ok(()) => Ok(()),
            Err(error @ JournalError::BehindCheckpoint { .. }) => {
                self.find("checkpoint_not_reached", source, Some(at.head.sequence), error.to_string());
                Ok(())
            }
            Err(error) => self.damage("file_damaged", error),
        }
    }
}
