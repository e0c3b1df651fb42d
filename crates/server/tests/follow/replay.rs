//! Replay finds a journal equal to its own decisions, and names the first record that is not.

use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_journal::{Draft, Journal as _, LocalJournal, LocalReader};
use holdfast_server::replay::{Report, replay};

use crate::fixture::{Books, Dir};

fn run(books: &Books) -> Report {
    replay(&books.journal.reader().unwrap(), 1, &mut |_, _| {}).unwrap()
}

#[test]
fn a_day_and_random_traffic_replay_equal() {
    let mut books = Books::new();
    books.ordinary_day();
    let report = run(&books);
    assert_eq!(report.difference, None);
    assert_eq!((report.records, report.equal), (books.head(), books.head()));

    for seed in 1..=3 {
        let mut books = Books::new();
        books.traffic(seed, 400);
        books.snapshot();
        books.traffic(seed + 100, 100);
        let report = run(&books);
        assert_eq!(report.difference, None, "seed {seed}");
        assert_eq!((report.equal, report.snapshots), (books.head(), 1), "seed {seed}");
    }
}

/// Copies a journal, changing records on the way, so that the chain is intact and only the decisions are not.
fn copy(books: &Books, mut change: impl FnMut(u64, &mut Draft)) -> (Dir, LocalReader) {
    let dir = Dir::new();
    let mut journal = LocalJournal::create(dir.path()).unwrap();
    for record in books.journal.reader().unwrap().records(1) {
        let record = record.unwrap();
        let mut draft = Draft {
            time: record.time,
            rules: record.rules,
            policy: record.policy,
            command: record.command,
            events: record.events,
        };
        change(record.sequence, &mut draft);
        journal.append(&[draft]).unwrap();
    }
    drop(journal);
    let reader = LocalReader::open(dir.path()).unwrap();
    (dir, reader)
}

#[test]
fn names_the_first_record_whose_events_differ() {
    let mut books = Books::new();
    books.ordinary_day();
    let mut altered = None;
    let (_dir, reader) = copy(&books, |sequence, draft| {
        let mut events: Vec<Event> = minicbor::decode(&draft.events).unwrap();
        let decided = events.iter_mut().find_map(|event| match event {
            Event::WithdrawalDecided { decision, .. } => Some(decision),
            _ => None,
        });
        if let (Some(decision), None) = (decided, altered) {
            decision.usd_cents.0 += 1;
            draft.events = minicbor::to_vec(&events).unwrap();
            altered = Some(sequence);
        }
    });
    let report = replay(&reader, 1, &mut |_, _| {}).unwrap();
    let difference = report.difference.as_ref().unwrap();
    assert_eq!((Some(difference.sequence), difference.what), (altered, "events"));
    assert_eq!(difference.command["type"], "request_withdrawal");
    assert_ne!(difference.recorded, difference.decided);
    assert_eq!(report.json()["equal"], false);
}

#[test]
fn names_wrong_policies_and_state_hashes() {
    let mut books = Books::new();
    books.traffic(9, 50);
    books.snapshot();
    let last = books.head();
    let (_dir, reader) = copy(&books, |sequence, draft| {
        if sequence == 5 {
            draft.policy = [9; 32];
        }
    });
    let report = replay(&reader, 1, &mut |_, _| {}).unwrap();
    assert_eq!(
        report.difference.map(|difference| (difference.sequence, difference.what)),
        Some((5, "policy"))
    );

    let (_dir, reader) = copy(&books, |sequence, draft| {
        if sequence == last {
            let wrong = [1; 32];
            draft.command =
                minicbor::to_vec(Command::RecordSnapshot { sequence: last - 1, state_hash: wrong }).unwrap();
            let event = Event::SnapshotRecorded { sequence: last - 1, state_hash: wrong };
            draft.events = minicbor::to_vec(vec![event]).unwrap();
        }
    });
    let report = replay(&reader, 1, &mut |_, _| {}).unwrap();
    let difference = report.difference.map(|difference| (difference.sequence, difference.what));
    assert_eq!(difference, Some((last, "state_hash")));
}

#[test]
fn names_rules_that_this_binary_lacks() {
    let mut books = Books::new();
    books.traffic(3, 20);
    let (_dir, reader) = copy(&books, |sequence, draft| {
        if sequence > 4 {
            draft.rules = 77;
        }
    });
    let report = replay(&reader, 1, &mut |_, _| {}).unwrap();
    assert_eq!(report.difference, None);
    assert_eq!(report.equal, 4);
    assert_eq!(report.lacking.get(&77), Some(&(books.head() - 4)));
    assert_eq!(report.json()["equal"], false, "what was not compared is not equal");
}

#[test]
fn an_unknown_variant_names_its_record() {
    let mut books = Books::new();
    books.traffic(3, 20);
    let (_dir, reader) = copy(&books, |sequence, draft| {
        if sequence == 6 {
            draft.command = vec![0x82, 0x18, 200, 0x80];
        }
    });
    let error = replay(&reader, 1, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.code(), "record_unreadable");
    assert!(error.to_string().contains("record 6"), "{error}");
}
