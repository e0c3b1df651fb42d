//! One contract, every journal: what `Journal` promises, run on each engine.

use crate::common::{Scratch, draft, drafts};
use holdfast_journal::{
    Draft, Journal, JournalError, JournalId, LocalJournal, MAX_PART_BYTES, MemoryJournal, genesis_hash,
    record_hash,
};

macro_rules! journal_contract {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn begins_at_its_genesis() {
                let (_keep, journal) = $make;
                assert_eq!(journal.head().sequence, 0);
                assert_eq!(journal.head().hash, genesis_hash(journal.id()));
                assert!(journal.read(0, 10).unwrap().is_empty());
            }

            #[test]
            fn returns_what_was_appended_in_order_and_chained() {
                let (_keep, mut journal) = $make;
                let drafts = drafts(1, 40);
                let first = journal.append(&drafts[..1]).unwrap();
                assert_eq!(first.sequence, 1);
                let head = journal.append(&drafts[1..]).unwrap();
                assert_eq!((head.sequence, head), (40, journal.head()));
                let records = journal.read(1, 100).unwrap();
                assert_eq!(records.len(), 40);
                let mut previous = genesis_hash(journal.id());
                for ((n, draft), record) in (1..).zip(&drafts).zip(&records) {
                    assert_eq!(record.sequence, n);
                    assert_eq!(record.previous, previous);
                    assert_eq!(record.hash, record_hash(record));
                    let back = Draft {
                        time: record.time,
                        rules: record.rules,
                        policy: record.policy,
                        command: record.command.clone(),
                        events: record.events.clone(),
                    };
                    assert_eq!(&back, draft);
                    previous = record.hash;
                }
                assert_eq!(previous, head.hash);
            }

            #[test]
            fn reads_from_a_sequence_up_to_a_limit() {
                let (_keep, mut journal) = $make;
                journal.append(&drafts(1, 20)).unwrap();
                let sequences = |from, limit| -> Vec<u64> {
                    journal.read(from, limit).unwrap().iter().map(|r| r.sequence).collect()
                };
                assert_eq!(sequences(0, 2), [1, 2]);
                assert_eq!(sequences(19, 10), [19, 20]);
                assert_eq!(sequences(5, 0), [0_u64; 0]);
                assert_eq!(sequences(21, 10), [0_u64; 0]);
                assert_eq!(sequences(u64::MAX, usize::MAX), [0_u64; 0]);
            }

            #[test]
            fn an_empty_group_changes_nothing() {
                let (_keep, mut journal) = $make;
                let head = journal.append(&drafts(1, 3)).unwrap();
                assert_eq!(journal.append(&[]).unwrap(), head);
                assert_eq!(journal.read(1, 10).unwrap().len(), 3);
            }

            #[test]
            fn refuses_oversized_parts_and_stays_usable() {
                let (_keep, mut journal) = $make;
                let mut large = draft(2);
                large.command = vec![7; MAX_PART_BYTES + 1];
                let refused = journal.append(&[draft(1), large.clone()]).unwrap_err();
                assert_eq!(refused.code(), "record_too_large");
                large.command = vec![7; MAX_PART_BYTES];
                large.events = vec![8; MAX_PART_BYTES + 1];
                assert!(matches!(
                    journal.append(&[large.clone()]),
                    Err(JournalError::TooLarge { part: "events", .. })
                ));
                assert_eq!(journal.head().sequence, 0);
                large.events = vec![8; MAX_PART_BYTES];
                assert_eq!(journal.append(&[draft(1), large]).unwrap().sequence, 2);
                assert_eq!(journal.read(2, 1).unwrap()[0].events.len(), MAX_PART_BYTES);
            }

            #[test]
            fn refuses_a_time_that_the_format_cannot_hold() {
                let (_keep, mut journal) = $make;
                let late = Draft { time: 1 << 63, ..draft(1) };
                assert_eq!(journal.append(&[late]).unwrap_err().code(), "record_out_of_range");
                assert_eq!(journal.append(&[Draft { time: (1 << 63) - 1, ..draft(1) }]).unwrap().sequence, 1);
            }

            #[test]
            fn holds_empty_parts_and_extreme_numbers() {
                let (_keep, mut journal) = $make;
                let empty =
                    Draft { time: 0, rules: u32::MAX, policy: [0; 32], command: vec![], events: vec![] };
                journal.append(&[empty]).unwrap();
                let record = journal.read(1, 1).unwrap().remove(0);
                assert_eq!((record.rules, record.command.len(), record.events.len()), (u32::MAX, 0, 0));
            }

            #[test]
            fn bounds_what_one_read_returns() {
                let (_keep, mut journal) = $make;
                let large = Draft { command: vec![1; 1 << 20], ..draft(1) };
                for _ in 0..5 {
                    journal.append(&vec![large.clone(); 8]).unwrap();
                }
                let mut next = 1;
                let mut reads = 0;
                loop {
                    let records = journal.read(next, 1000).unwrap();
                    let Some(last) = records.last() else { break };
                    assert!(records.len() < 40);
                    next = last.sequence + 1;
                    reads += 1;
                }
                assert_eq!((next, reads), (41, 2));
            }
        }
    };
}

journal_contract!(memory, ((), MemoryJournal::new(JournalId([7; 16]))));
journal_contract!(local, {
    let scratch = Scratch::new("contract");
    let journal = LocalJournal::create(scratch.path()).unwrap();
    (scratch, journal)
});
