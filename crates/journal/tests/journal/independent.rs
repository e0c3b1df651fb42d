//! The format as others read it: the test vector of `docs/record-format.md` and the verifier in `examples/verify`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_journal::{Checkpoint, Journal, JournalId, LocalJournal, Record, genesis_hash, record_hash};

use crate::common::{Scratch, drafts};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_documented_test_vector_is_what_the_code_computes() {
    let text = fs::read_to_string(repository().join("docs/record-format.md")).unwrap();
    let id = JournalId(std::array::from_fn(|n| n as u8));
    let mut record = Record {
        sequence: 1,
        time: 1_700_000_000_000_000,
        rules: 1,
        policy: [0xaa; 32],
        command: b"withdraw".to_vec(),
        events: b"approved".to_vec(),
        previous: genesis_hash(id),
        hash: [0; 32],
    };
    record.hash = record_hash(&record);
    assert!(text.contains(&format!("    genesis  {}\n", hex(&record.previous))));
    assert!(text.contains(&format!("    record   {}\n", hex(&record.hash))));
    let checkpoint = Checkpoint { journal: id, head: record.head() }.to_string();
    let indented: String = checkpoint.lines().map(|l| format!("    {l}\n")).collect();
    assert!(text.contains(&indented), "{indented}");
}

/// The exit code and what was printed.
fn run(journal: &Path, checkpoint: Option<&Path>) -> (Option<i32>, String) {
    let mut command = Command::new("python3");
    command.arg("-B").arg(repository().join("examples/verify/verify.py")).arg(journal).args(checkpoint);
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), format!("{out}{err}"))
}

#[test]
fn the_independent_verifier_agrees() {
    let present =
        Command::new("python3").args(["-c", "import blake3"]).output().is_ok_and(|o| o.status.success());
    if !present {
        let _ =
            writeln!(std::io::stderr(), "skipped: needs python3 with the blake3 package (examples/verify)");
        return;
    }
    let scratch = Scratch::new("independent");
    let database = scratch.path().join("journal.db");
    let checkpoint = scratch.path().join("checkpoint");
    let mut journal = LocalJournal::create(scratch.path()).unwrap();
    for n in 0..10 {
        journal.append(&drafts(1 + n * 30, 30)).unwrap();
    }
    let at = Checkpoint { journal: journal.id(), head: journal.head() };
    fs::write(&checkpoint, at.to_string()).unwrap();
    let intact = format!("intact: 300 records, head {}", hex(&at.head.hash));
    drop(journal);

    // From the log, without touching it; then from the database alone.
    let log = fs::read(scratch.path().join("journal.db-wal")).unwrap();
    let (code, said) = run(&database, Some(&checkpoint));
    assert!(code == Some(0) && said.starts_with(&intact), "{said}");
    assert!(fs::read(scratch.path().join("journal.db-wal")).unwrap() == log);
    LocalJournal::open(scratch.path(), None).unwrap().close().unwrap();
    for at in [None, Some(checkpoint.as_path()), Some(&scratch.path().join("journal.acknowledged"))] {
        let (code, said) = run(&database, at);
        assert!(code == Some(0) && said.starts_with(&intact), "{said}");
    }

    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("DROP TRIGGER record_keeps; DROP TRIGGER record_stays").unwrap();
    connection.execute_batch("DELETE FROM record WHERE sequence = 300").unwrap();
    let (code, said) = run(&database, None);
    assert!(code == Some(0) && said.contains("would not show"), "{said}");
    let (code, said) = run(&database, Some(&checkpoint));
    assert!(code == Some(1) && said.contains("does not contain checkpoint 300"), "{said}");
    connection.execute_batch("UPDATE record SET rules = rules + 1 WHERE sequence = 77").unwrap();
    let (code, said) = run(&database, None);
    assert!(code == Some(1) && said.contains("record 77 differs from its hash"), "{said}");
    connection.execute_batch("DELETE FROM record WHERE sequence = 50").unwrap();
    let (code, said) = run(&database, None);
    assert!(code == Some(1) && said.contains("record 50 is missing"), "{said}");
    assert_eq!(run(&scratch.path().join("none.db"), None).0, Some(2));
    assert_eq!(run(&database, Some(&database)).0, Some(2));
}
