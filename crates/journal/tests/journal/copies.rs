//! Copies made while the writer goes on.

use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_journal::{Checkpoint, Journal as _, JournalError, LocalJournal, LocalReader, verify};

use crate::common::{Scratch, draft};

#[test]
fn a_copy_beside_a_writer_is_a_prefix_that_verifies() {
    let (source, copies) = (Scratch::new("copied"), Scratch::new("copies"));
    let mut journal = LocalJournal::create(source.path()).unwrap();
    let group: Vec<_> = (1..=3_000).map(draft).collect();
    journal.append(&group).unwrap();
    let stop = AtomicBool::new(false);
    let made: Vec<Checkpoint> = std::thread::scope(|scope| {
        let reader = journal.reader().unwrap();
        let stop = &stop;
        let writer = scope.spawn(move || {
            let mut next = 3_001;
            while !stop.load(Ordering::Relaxed) {
                let group: Vec<_> = (next..next + 16).map(draft).collect();
                next = journal.append(&group).unwrap().sequence + 1;
            }
            journal.close().unwrap();
        });
        let copy = |n: u32| {
            let to = copies.path().join(n.to_string());
            std::fs::create_dir(&to).unwrap();
            reader.copy_to(&to, |_, _| {}).unwrap()
        };
        let made = (0..4).map(copy).collect();
        stop.store(true, Ordering::Relaxed);
        drop(reader);
        writer.join().unwrap();
        made
    });
    for (n, made) in made.iter().enumerate() {
        let copy = copies.path().join(n.to_string());
        let report = verify(&copy, Some(made)).unwrap();
        assert!(report.is_intact(), "{:?}", report.findings);
        assert_eq!((report.journal, report.head), (Some(made.journal), Some(made.head)));
        // The original contains it, and goes on behind it.
        let whole = verify(source.path(), Some(made)).unwrap();
        assert!(whole.is_intact() && whole.records > made.head.sequence, "{:?}", whole.findings);
        assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 1, "one file, no log");
    }
    assert!(made.is_sorted_by(|a, b| a.head.sequence <= b.head.sequence));
}

#[test]
fn a_copy_can_be_continued_and_an_existing_journal_is_never_copied_over() {
    let (source, copy) = (Scratch::new("original"), Scratch::new("continued"));
    let mut journal = LocalJournal::create(source.path()).unwrap();
    let head = journal.append(&[draft(1), draft(2)]).unwrap();
    journal.close().unwrap();
    let reader = LocalReader::open(source.path()).unwrap();
    assert_eq!(reader.copy_to(copy.path(), |_, _| {}).unwrap().head, head);
    assert!(matches!(reader.copy_to(copy.path(), |_, _| {}), Err(JournalError::Exists { .. })));
    let mut continued = LocalJournal::open(copy.path(), Some(head)).unwrap();
    assert_eq!(continued.append(&[draft(3)]).unwrap().sequence, 3);
    continued.close().unwrap();
    assert!(verify(copy.path(), None).unwrap().is_intact());
}

#[test]
fn an_empty_journal_copies_to_an_empty_journal() {
    let (source, copy) = (Scratch::new("empty"), Scratch::new("empty-copy"));
    LocalJournal::create(source.path()).unwrap().close().unwrap();
    let made = LocalReader::open(source.path()).unwrap().copy_to(copy.path(), |_, _| {}).unwrap();
    assert_eq!(made.head.sequence, 0);
    assert!(verify(copy.path(), Some(&made)).unwrap().is_intact());
}

#[test]
fn a_damaged_record_stops_a_copy() {
    let (source, copy) = (Scratch::new("damaged"), Scratch::new("damaged-copy"));
    let mut journal = LocalJournal::create(source.path()).unwrap();
    let marked = holdfast_journal::Draft { command: vec![0xC0; 64], ..draft(2) };
    journal.append(&[draft(1), marked, draft(3)]).unwrap();
    journal.close().unwrap();
    let path = source.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(64).position(|window| window == [0xC0; 64]).unwrap();
    bytes[place + 7] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let reader = LocalReader::open(source.path()).unwrap();
    let refused = reader.copy_to(copy.path(), |_, _| {}).unwrap_err();
    assert_eq!(refused.code(), "journal_damaged", "{refused}");
}
