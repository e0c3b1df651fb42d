//! The commands that read a journal, run as people run them: on a directory that a server has open, and on one at rest.

use std::path::Path;
use std::process::{Command, Output};

use holdfast_decision::command::ChainStatus;
use holdfast_journal::Journal as _;
use serde_json::Value;

use crate::fixture::{Books, Dir};
use crate::payments::Spend;

fn holdfast(arguments: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast")).args(arguments).arg("--data").arg(data).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Copies a data directory at rest.
fn copy(from: &Path) -> Dir {
    let dir = Dir::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() {
            std::fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    dir
}

#[test]
fn journal_verify_tells_intact_from_changed_and_cut() {
    let mut books = Books::new();
    books.traffic(11, 60);
    let beside = holdfast(&["journal", "verify"], books.path());
    assert_eq!(code(&beside), Some(0), "beside its writer: {beside:?}");
    let Books { dir: cut, journal, .. } = books;
    journal.close().unwrap();
    let intact = holdfast(&["journal", "verify"], cut.path());
    assert_eq!(code(&intact), Some(0), "{intact:?}");
    assert!(text(&intact).starts_with("intact: "), "{intact:?}");
    let checkpoint = cut.path().join("checkpoint");
    std::fs::write(&checkpoint, holdfast(&["journal", "checkpoint"], cut.path()).stdout).unwrap();
    let checkpoint = checkpoint.to_str().unwrap();
    let reached = holdfast(&["journal", "verify", "--json", "--checkpoint", checkpoint], cut.path());
    let report: Value = serde_json::from_slice(&reached.stdout).unwrap();
    assert_eq!((code(&reached), &report["intact"]), (Some(0), &Value::Bool(true)));

    // The last record is taken out, with whatever keeps that from happening.
    let sql = |statement: &str| {
        let connection = rusqlite::Connection::open(cut.path().join("journal.db")).unwrap();
        connection.execute_batch(statement).unwrap();
    };
    let changed = copy(cut.path());
    sql("DROP TRIGGER record_stays; DELETE FROM record WHERE sequence = (SELECT max(sequence) FROM record)");
    let shorter = holdfast(&["journal", "verify", "--json", "--checkpoint", checkpoint], cut.path());
    let report: Value = serde_json::from_slice(&shorter.stdout).unwrap();
    assert_eq!((code(&shorter), &report["intact"]), (Some(1), &Value::Bool(false)), "{report}");
    let codes: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"checkpoint_not_reached"), "{report}");

    let connection = rusqlite::Connection::open(changed.path().join("journal.db")).unwrap();
    let alter = "DROP TRIGGER record_keeps; UPDATE record SET time = time + 1 WHERE sequence = 9";
    connection.execute_batch(alter).unwrap();
    drop(connection);
    let altered = holdfast(&["journal", "verify"], changed.path());
    assert_eq!(code(&altered), Some(1), "{altered:?}");
    assert!(text(&altered).contains("record_changed") && text(&altered).contains('9'), "{altered:?}");
}

#[test]
fn journal_export_prints_one_record_a_line_with_names() {
    let mut books = Books::new();
    books.ordinary_day();
    let head = books.head();
    let all = text(&holdfast(&["journal", "export", "--jsonl"], books.path()));
    let records: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len() as u64, head);
    assert_eq!(records[0]["command"]["type"], "initialise");
    let asked = records.iter().find(|record| record["command"]["type"] == "request_withdrawal").unwrap();
    assert_eq!(asked["events"][0]["account"], "ac_1");
    assert_eq!(asked["events"][0]["amount"], "0.01000000");
    let some = text(&holdfast(&["journal", "export", "--jsonl", "--from", "8", "--to", "9"], books.path()));
    assert_eq!(some, all.lines().skip(7).take(2).map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(code(&holdfast(&["journal", "export", "--jsonl"], Path::new("/nowhere"))), Some(2));
}

#[test]
fn replay_and_why_answer_beside_a_writer() {
    let mut books = Books::new();
    books.ordinary_day();
    let replayed = holdfast(&["replay", "--json"], books.path());
    let report: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!((code(&replayed), &report["equal"]), (Some(0), &Value::Bool(true)), "{report}");
    assert_eq!(report["records_equal"].as_u64(), Some(books.head()));

    let id = books.id("held").to_string();
    let told = holdfast(&["why", &id], books.path());
    assert_eq!(code(&told), Some(0));
    assert!(text(&told).contains("large: hold (large_amount)"), "{told:?}");
    let told: Value =
        serde_json::from_slice(&holdfast(&["why", &id, "--json"], books.path()).stdout).unwrap();
    assert_eq!(told["records"][0]["decision"]["status"], "held");
    let none = holdfast(&["why", "wd_00000000000000000000000007"], books.path());
    assert_eq!(code(&none), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("withdrawal_not_found"));
}

#[test]
fn replay_export_and_why_read_what_was_released() {
    let mut books = Books::paying();
    let id = books.approved("w", "0.01");
    let spend = Spend { number: 201, coin: 201 };
    books.propose(spend, &[id]);
    books.observe(spend, ChainStatus::Included, 6);
    books.payments(2, 300);
    let replayed = holdfast(&["replay", "--json"], books.path());
    let report: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!((code(&replayed), &report["equal"]), (Some(0), &Value::Bool(true)), "{report}");
    let all = text(&holdfast(&["journal", "export", "--jsonl"], books.path()));
    let records: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events = || records.iter().flat_map(|record| record["events"].as_array().unwrap());
    let seen = events().find(|event| event["type"] == "transaction_observed").unwrap();
    assert!(seen["chain_id"].as_str().unwrap().ends_with("ff"), "as explorers write it: {seen}");
    let paid = events().find(|event| event["type"] == "withdrawal_paid").unwrap();
    let told = text(&holdfast(&["why", paid["withdrawal"].as_str().unwrap()], books.path()));
    assert!(told.contains("transaction_released") && told.contains("withdrawal_paid"), "{told}");
}

#[test]
fn views_rebuild_wants_the_journal_for_itself() {
    let mut books = Books::new();
    books.ordinary_day();
    let busy = holdfast(&["views", "rebuild"], books.path());
    assert_eq!(code(&busy), Some(2));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("journal_in_use"), "{busy:?}");
    let head = books.journal.head();
    let Books { dir, journal, .. } = books;
    journal.close().unwrap();
    let rebuilt = holdfast(&["views", "rebuild"], dir.path());
    assert_eq!(code(&rebuilt), Some(0), "{rebuilt:?}");
    assert_eq!(text(&rebuilt), format!("views are at {head}\n"));
}
