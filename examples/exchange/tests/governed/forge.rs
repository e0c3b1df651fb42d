//! Root at the journal: rows rewritten in place, with every hash after them made anew.

use std::path::Path;

use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, OperatorSignature};
use holdfast_decision::event::{Approval, Event, PolicyMove, PolicyMoveKind};
use holdfast_journal::{Checkpoint, Head, Record, record_hash};
use rusqlite::{Connection, params};

/// Makes the policy that somebody proposed decide from its proposal on, "approved" by this text and operators who never
/// signed it.
pub(crate) fn approve_in_place(data: &Path, text: &str, signers: [&str; 2]) {
    let database = Connection::open(data.join("journal.db")).unwrap();
    let mut records = records(&database);
    let proposals = records.iter_mut().filter_map(|record| {
        let command: Command = minicbor::decode(&record.command).unwrap();
        let Command::OperatorAct(act) = command else { return None };
        match act.act {
            Act::ProposePolicy(proposal) => Some((record, act.signatures, proposal)),
            _ => None,
        }
    });
    let (record, author, proposal) = proposals.last().unwrap();
    let (from, hash) = (proposal.from, proposal.source.hash);
    let operator = author[0].operator.clone();
    let signatures = signers
        .map(|name| {
            let mut operator = operator.clone();
            operator.name = name.parse().unwrap();
            OperatorSignature { operator, signature: holdfast_values::OperatorProof::Ed25519([7; 64]) }
        })
        .into();
    let mut events: Vec<Event> = minicbor::decode(&record.events).unwrap();
    events.push(Event::PolicyMoved(Box::new(PolicyMove {
        how: PolicyMoveKind::Approved,
        from,
        hash,
        approval: Approval { text: text.to_owned(), signatures },
        author: Some(operator.name),
        reason: Some(proposal.reason),
    })));
    events.push(Event::PolicyActivated(Box::new(proposal.source)));
    record.events = minicbor::to_vec(&events).unwrap();
    let edited = record.sequence;
    records.iter_mut().filter(|record| record.sequence > edited).for_each(|record| record.policy = hash);
    write(&database, &mut records);
    forget(data);
}

/// Writes Holdfast's own mark of what it acknowledged as the journal is now.
pub(crate) fn acknowledge(data: &Path) {
    let database = Connection::open(data.join("journal.db")).unwrap();
    let last = records(&database).pop().unwrap();
    let mark = data.join("journal.acknowledged");
    let known: Checkpoint = std::fs::read_to_string(&mark).unwrap().parse().unwrap();
    let head = Head { sequence: last.sequence, hash: last.hash };
    std::fs::write(mark, Checkpoint { head, ..known }.to_string()).unwrap();
}

fn records(database: &Connection) -> Vec<Record> {
    let mut rows = database.prepare("SELECT * FROM record ORDER BY sequence").unwrap();
    let found = rows.query_map([], |row| {
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
    });
    found.unwrap().map(Result::unwrap).collect()
}

/// Writes them over what is there, each after the one before.
fn write(database: &Connection, records: &mut [Record]) {
    let triggers = "SELECT sql FROM sqlite_schema WHERE name = 'record_keeps'";
    let trigger: String = database.query_row(triggers, [], |row| row.get(0)).unwrap();
    database.execute_batch("DROP TRIGGER record_keeps").unwrap();
    let mut previous = None;
    for record in records {
        record.previous = previous.unwrap_or(record.previous);
        record.hash = record_hash(record);
        previous = Some(record.hash);
        let sequence = record.sequence.cast_signed();
        let changed = database
            .execute(
                "UPDATE record SET policy = ?2, events = ?3, previous = ?4, hash = ?5 WHERE sequence = ?1",
                params![sequence, record.policy, record.events, record.previous, record.hash],
            )
            .unwrap();
        assert_eq!(changed, 1);
    }
    database.execute_batch(&trigger).unwrap();
}

/// What else remembers the journal as it was: the views, and snapshots of State.
fn forget(data: &Path) {
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("views") {
            std::fs::remove_file(path).unwrap();
        } else if name.starts_with("snapshot") && path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}
