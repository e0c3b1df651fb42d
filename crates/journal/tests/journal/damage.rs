//! Altered, cut and torn journals: each is refused or named, or reads exactly as it was written.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use holdfast_journal::{
    Checkpoint, Journal, JournalError, LocalJournal, LocalReader, Record, VerifyReport, record_hash, verify,
};
use rusqlite::Connection;

use crate::common::{Scratch, Seeded, drafts};

const FILES: [&str; 4] = ["journal.db", "journal.db-wal", "journal.acknowledged", "lock"];

/// A journal of 180 records in groups of mixed size; with `in_log`, the later ones are in the write-ahead log only.
struct Sample {
    scratch: Scratch,
    records: Vec<Record>,
    checkpoint: Checkpoint,
    originals: Vec<(&'static str, Vec<u8>)>,
}

impl Sample {
    fn new(in_log: bool) -> Self {
        let scratch = Scratch::new("damage");
        let mut journal = LocalJournal::create(scratch.path()).unwrap();
        for (first, count) in [(1, 60), (61, 1), (62, 9)] {
            journal.append(&drafts(first, count)).unwrap();
        }
        journal.close().unwrap();
        let mut journal = LocalJournal::open(scratch.path(), None).unwrap();
        for (first, count) in [(71, 1), (72, 40), (112, 1), (113, 66), (179, 1), (180, 1)] {
            journal.append(&drafts(first, count)).unwrap();
        }
        let records = journal.read(1, 1000).unwrap();
        let checkpoint = Checkpoint { journal: journal.id(), head: journal.head() };
        if in_log {
            drop(journal)
        } else {
            journal.close().unwrap()
        }
        let read = |f: &&'static str| fs::read(scratch.path().join(f)).ok().map(|b| (*f, b));
        let originals = FILES.iter().filter_map(read).collect();
        Self { scratch, records, checkpoint, originals }
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn length(&self, file: &str) -> u64 {
        self.originals.iter().find(|(f, _)| *f == file).map_or(0, |(_, b)| b.len() as u64)
    }

    fn restore(&self) {
        for entry in fs::read_dir(self.dir()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (file, bytes) in &self.originals {
            fs::write(self.dir().join(file), bytes).unwrap();
        }
    }

    fn verify(&self) -> VerifyReport {
        verify(self.dir(), None).unwrap()
    }

    /// What a reader gets, or its refusal.
    fn read(&self) -> Result<Vec<Record>, JournalError> {
        LocalReader::open(self.dir())?.records(1).collect()
    }

    /// What a reader gets that is shown one record at a time, or its refusal.
    fn each(&self) -> Result<Vec<Record>, JournalError> {
        let mut shown = Vec::new();
        LocalReader::open(self.dir())?.each(1, |record| {
            shown.push(record.clone());
            Ok::<_, JournalError>(true)
        })?;
        Ok(shown)
    }

    /// What a server gets that starts on it, or its refusal.
    fn open(&self) -> Result<Vec<Record>, JournalError> {
        LocalJournal::open(self.dir(), None)?.read(1, 1000)
    }

    /// The one thing that must never happen is an answer that differs.
    fn judge(&self, what: &str) -> bool {
        let report = self.verify();
        if report.is_intact() {
            assert_eq!(self.read().unwrap(), self.records, "called intact, reads differently: {what}");
        }
        assert_eq!(self.each().ok(), self.read().ok(), "shown otherwise than read: {what}");
        if let Ok(records) = self.read() {
            assert_eq!(records, self.records, "read differently without a word: {what}");
        }
        if let Ok(records) = self.open() {
            assert_eq!(records, self.records, "opened differently without a word: {what}");
        }
        !report.is_intact()
    }
}

fn flip(path: &Path, offset: u64, mask: u8) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ mask], offset).unwrap();
}

#[test]
fn finds_each_of_a_thousand_flipped_bytes_or_reads_as_written() {
    let mut seeded = Seeded(0x5eed);
    let (mut found, mut harmless) = (0, 0);
    for (in_log, file, flips) in
        [(false, "journal.db", 400), (true, "journal.db", 200), (true, "journal.db-wal", 400)]
    {
        let sample = Sample::new(in_log);
        let length = sample.length(file);
        assert!(length > 10_000, "{file} holds the records");
        for _ in 0..flips {
            let (offset, mask) = (seeded.below(length), 1 + seeded.below(255) as u8);
            flip(&sample.dir().join(file), offset, mask);
            if sample.judge(&format!("{file} byte {offset} ^ {mask:#x}")) {
                found += 1
            } else {
                harmless += 1
            }
            sample.restore();
        }
    }
    assert_eq!(found + harmless, 1000);
    assert!(found > 600, "{found} found, {harmless} harmless");
}

#[test]
fn finds_every_flipped_byte_of_every_log_header_and_commit() {
    let sample = Sample::new(true);
    let path = sample.dir().join("journal.db-wal");
    let frames = (sample.length("journal.db-wal") - 32) / 4120;
    let headers = (0..frames).flat_map(|f| (0..24).map(move |b| 32 + f * 4120 + b));
    for offset in (0..32).chain(headers) {
        for mask in [0xff, sample_byte(&sample, offset).max(1)] {
            flip(&path, offset, mask);
            assert!(
                sample.judge(&format!("log byte {offset} ^ {mask:#x}")),
                "not found: byte {offset} ^ {mask:#x}"
            );
            sample.restore();
        }
    }
}

/// Flipping a byte with itself makes it zero: a commit frame then looks like none.
fn sample_byte(sample: &Sample, offset: u64) -> u8 {
    sample.originals.iter().find(|(f, _)| *f == "journal.db-wal").unwrap().1[offset as usize]
}

#[test]
fn names_the_log_frame_that_would_cut_acknowledged_groups() {
    let sample = Sample::new(true);
    flip(&sample.dir().join("journal.db-wal"), 32 + 4120 + 500, 1);
    let error = sample.open().unwrap_err();
    assert_eq!(error.code(), "journal_damaged");
    assert!(error.to_string().contains("frame 2 (at byte 4152)"), "{error}");
    // Without the mark too, since later groups prove that this one had been synced.
    fs::remove_file(sample.dir().join("journal.acknowledged")).unwrap();
    assert_eq!(sample.open().unwrap_err().code(), "journal_damaged");
    assert!(sample.verify().findings.iter().any(|f| f.code == "log_damaged"));
}

#[test]
fn finds_truncation_at_any_offset() {
    let mut seeded = Seeded(7);
    for (in_log, file) in [(false, "journal.db"), (true, "journal.db"), (true, "journal.db-wal")] {
        let sample = Sample::new(in_log);
        let length = sample.length(file);
        let frames = (1..(length / 4120)).map(|n| 32 + n * 4120).filter(|_| file.ends_with("wal"));
        let pages = (0..(length / 4096)).map(|n| n * 4096);
        let random: Vec<u64> = (0..100).map(|_| seeded.below(length)).collect();
        for offset in frames.chain(pages).chain(random).chain([0, 1, 31, 32, 33]).filter(|o| *o < length) {
            fs::File::options().write(true).open(sample.dir().join(file)).unwrap().set_len(offset).unwrap();
            let found = sample.judge(&format!("{file} cut to {offset}"));
            // The log may hold every page that was cut from the database.
            if !(in_log && file == "journal.db") {
                assert!(found, "{file} cut to {offset} of {length} went unnoticed");
            }
            sample.restore();
        }
    }
}

#[test]
fn a_group_that_was_never_acknowledged_may_be_torn() {
    let sample = Sample::new(true);
    // As a death between writing and acknowledging leaves it: the mark is one group behind, the group incomplete.
    let before = &sample.records[178];
    let mark = Checkpoint { journal: sample.checkpoint.journal, head: before.head() };
    fs::write(sample.dir().join("journal.acknowledged"), mark.to_string()).unwrap();
    let length = sample.length("journal.db-wal");
    let frames = (length - 32) / 4120;
    for cut in [1, 100, 4119] {
        let log = fs::File::options().write(true).open(sample.dir().join("journal.db-wal")).unwrap();
        log.set_len(32 + frames * 4120 - cut).unwrap();
        let report = sample.verify();
        assert!(report.is_intact(), "{:?}", report.findings);
        assert_eq!(report.records, 179);
        assert!(report.notes.iter().any(|n| n.contains("never acknowledged")), "{:?}", report.notes);
    }
    let mut journal = LocalJournal::open(sample.dir(), None).unwrap();
    assert!(journal.left_out().unwrap().contains("never acknowledged"));
    assert_eq!(journal.head(), before.head());
    assert_eq!(journal.append(&drafts(180, 2)).unwrap().sequence, 181);
    drop(journal);
    assert_eq!(sample.verify().records, 181);
}

#[test]
fn names_a_record_changed_by_sql() {
    let sample = Sample::new(false);
    alter(&sample, "UPDATE record SET time = time + 1 WHERE sequence = 33");
    let report = sample.verify();
    assert_eq!((report.findings[0].code, report.findings[0].sequence), ("record_changed", Some(33)));
    assert_eq!(report.records, 32);
    assert!(sample.read().is_err());
}

#[test]
fn names_the_break_after_a_record_changed_together_with_its_hash() {
    let sample = Sample::new(false);
    let mut record = sample.records[32].clone();
    record.command[0] ^= 1;
    record.hash = record_hash(&record);
    let connection = root(&sample);
    connection
        .execute(
            "UPDATE record SET command = ?1, hash = ?2 WHERE sequence = 33",
            (&record.command, record.hash),
        )
        .unwrap();
    drop(connection);
    let report = sample.verify();
    let codes: Vec<_> = report.findings.iter().map(|f| (f.code, f.sequence)).collect();
    assert_eq!(
        codes,
        [("file_damaged", None), ("record_changed", Some(34))],
        "the missing triggers are named too"
    );
    assert!(report.findings[1].what.contains("does not continue"));
}

#[test]
fn names_a_record_cut_from_the_middle() {
    let sample = Sample::new(false);
    alter(&sample, "DELETE FROM record WHERE sequence = 50");
    let report = sample.verify();
    assert_eq!((report.findings[0].code, report.findings[0].sequence), ("records_missing", Some(50)));
}

#[test]
fn a_cut_end_shows_against_the_mark_and_against_a_checkpoint_but_not_by_itself() {
    let sample = Sample::new(false);
    alter(&sample, "DELETE FROM record WHERE sequence = 180");
    assert_eq!(sample.verify().findings[0].code, "checkpoint_not_reached");
    assert_eq!(sample.open().unwrap_err().code(), "journal_behind_checkpoint");
    // Whoever may change the journal may remove its mark: then only what is kept elsewhere shows the cut.
    fs::remove_file(sample.dir().join("journal.acknowledged")).unwrap();
    let report = sample.verify();
    assert!(report.is_intact());
    assert!(report.notes.iter().any(|n| n.contains("only against a checkpoint")), "{:?}", report.notes);
    let report = verify(sample.dir(), Some(&sample.checkpoint)).unwrap();
    assert_eq!((report.findings[0].code, report.findings[0].sequence), ("checkpoint_not_reached", Some(180)));
    assert!(report.findings[0].what.contains("ends at sequence 179"), "{}", report.findings[0].what);
    let refused = LocalJournal::open(sample.dir(), Some(sample.checkpoint.head)).unwrap_err();
    assert_eq!(refused.code(), "journal_behind_checkpoint");
}

#[test]
fn refuses_another_journal_than_the_checkpoints() {
    let (one, two) = (Sample::new(false), Sample::new(false));
    assert!(!verify(one.dir(), Some(&two.checkpoint)).unwrap().is_intact());
    assert!(verify(one.dir(), Some(&one.checkpoint)).unwrap().is_intact());
    assert!(LocalJournal::open(one.dir(), Some(two.checkpoint.head)).is_err());
    assert!(LocalJournal::open(one.dir(), Some(one.checkpoint.head)).is_ok());
}

#[test]
fn verifying_and_reading_change_no_file() {
    for in_log in [false, true] {
        let sample = Sample::new(in_log);
        assert!(sample.verify().is_intact());
        assert_eq!(sample.read().unwrap(), sample.records);
        let mut names: Vec<String> = fs::read_dir(sample.dir())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        let mut expected: Vec<&str> = sample.originals.iter().map(|(f, _)| *f).collect();
        expected.sort_unstable();
        names.retain(|n| n != "journal.db-shm");
        assert_eq!(names, expected);
        for (file, bytes) in &sample.originals {
            assert!(fs::read(sample.dir().join(file)).unwrap() == *bytes, "{file} changed");
        }
    }
}

#[test]
fn verifies_beside_a_writer() {
    let scratch = Scratch::new("live");
    let mut journal = LocalJournal::create(scratch.path()).unwrap();
    journal.append(&drafts(1, 50)).unwrap();
    let report = verify(scratch.path(), None).unwrap();
    assert!(report.is_intact(), "{:?}", report.findings);
    assert_eq!((report.records, report.head), (50, Some(journal.head())));
    assert!(report.notes.iter().any(|n| n.contains("a writer has the journal")));
    assert_eq!(journal.append(&drafts(51, 1)).unwrap().sequence, 51);
}

#[test]
fn refuses_altered_triggers_and_other_databases() {
    let sample = Sample::new(false);
    root(&sample);
    assert_eq!(sample.open().unwrap_err().code(), "journal_damaged");
    sample.restore();
    fs::remove_file(sample.dir().join("journal.db")).unwrap();
    assert_eq!(sample.open().unwrap_err().code(), "journal_missing");
    Connection::open(sample.dir().join("journal.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert_eq!(sample.open().unwrap_err().code(), "journal_format_unknown");
    fs::write(sample.dir().join("journal.db"), "not a database, but long enough to be looked at").unwrap();
    assert_eq!(sample.open().unwrap_err().code(), "journal_damaged");
}

#[test]
fn update_and_delete_are_refused_by_the_database() {
    let sample = Sample::new(false);
    let connection = Connection::open(sample.dir().join("journal.db")).unwrap();
    for sql in ["UPDATE record SET time = 1", "DELETE FROM record WHERE sequence = 180"] {
        assert!(connection.execute(sql, []).unwrap_err().to_string().contains("append-only"));
    }
}

/// Someone with every right on the file, and no respect for its triggers.
fn root(sample: &Sample) -> Connection {
    let connection = Connection::open(sample.dir().join("journal.db")).unwrap();
    connection.execute_batch("DROP TRIGGER record_keeps; DROP TRIGGER record_stays").unwrap();
    connection
}

fn alter(sample: &Sample, sql: &str) {
    let connection = Connection::open(sample.dir().join("journal.db")).unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
}
