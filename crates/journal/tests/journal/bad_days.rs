//! Bad days: kills, a full disk, a read-only one, a sync that fails, a second writer.
//!
//! Some need a process of their own, to be killed or traced: the test binary starts itself with that very test, which,
//! told a directory by its environment, plays the part of the child.

#![expect(clippy::unwrap_used, reason = "a child that cannot go on fails the test that started it")]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast_journal::{Durability, Journal, JournalError, LocalJournal, LocalReader, Record, verify};

use crate::common::{Scratch, Seeded, draft, drafts};

const CHILD_DIR: &str = "HOLDFAST_JOURNAL_TEST_DIR";

/// What runs one test of this binary as a child: append to a wrapper's arguments.
fn child(name: &str) -> Vec<OsString> {
    let binary = std::env::current_exe().unwrap().into_os_string();
    let arguments = [format!("bad_days::{name}").into(), "--exact".into(), "--nocapture".into()];
    [binary].into_iter().chain(arguments).collect()
}

fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD_DIR).map(PathBuf::from)
}

fn wrapped(wrapper: &[&str], name: &str, dir: &Path) -> Command {
    let words: Vec<OsString> = wrapper.iter().map(OsString::from).chain(child(name)).collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(CHILD_DIR, dir);
    command
}

/// Whether a tool works here; says so if the test has to be skipped.
fn can(words: &[&str]) -> bool {
    let run = Command::new(words[0]).args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = run.is_ok_and(|s| s.success());
    if !works {
        let _ = writeln!(std::io::stderr(), "skipped: `{}` does not work here", words.join(" "));
    }
    works
}

fn say(line: &str) {
    // Straight to the descriptor, which the test harness does not capture.
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

fn child_appends_until_killed(dir: &Path) {
    let mut journal = LocalJournal::open(dir, None).unwrap();
    let mut seeded = Seeded(journal.head().sequence);
    loop {
        let count = 1 + if seeded.below(2) == 0 { seeded.below(3) } else { seeded.below(300) };
        let head = journal.append(&drafts(journal.head().sequence + 1, count)).unwrap();
        say(&format!("acknowledged {}\n", head.sequence));
    }
}

#[test]
fn loses_nothing_acknowledged_when_killed_at_random_moments() {
    if let Some(dir) = child_dir() {
        return child_appends_until_killed(&dir);
    }
    let scratch = Scratch::new("kill");
    LocalJournal::create(scratch.path()).unwrap().close().unwrap();
    let mut seeded = Seeded(20);
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut process =
            wrapped(&["env"], "loses_nothing_acknowledged_when_killed_at_random_moments", scratch.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let reading = std::thread::spawn(move || {
            let numbers =
                lines.map_while(Result::ok).filter_map(|l| l.strip_prefix("acknowledged ")?.parse().ok());
            numbers.last().unwrap_or(0_u64)
        });
        std::thread::sleep(Duration::from_millis(20 + seeded.below(120)));
        process.kill().unwrap();
        process.wait().unwrap();
        acknowledged = acknowledged.max(reading.join().unwrap());

        let report = verify(scratch.path(), None).unwrap();
        assert!(report.is_intact(), "round {round}: {:?}", report.findings);
        assert!(report.records >= acknowledged, "round {round}: {} of {acknowledged}", report.records);
    }
    assert!(acknowledged > 100, "{acknowledged} appended before the kills");
    let journal = LocalJournal::open(scratch.path(), None).unwrap();
    let reader = journal.reader().unwrap();
    for record in reader.records(1) {
        let record = record.unwrap();
        let expected = draft(record.sequence);
        assert_eq!((record.command, record.events), (expected.command, expected.events));
    }
    // One at a time, from the middle on, until somebody has seen enough.
    let (from, enough) = (acknowledged / 2, acknowledged / 2 + 50);
    let mut shown = Vec::new();
    let show = |record: &Record| {
        shown.push(record.clone());
        Ok::<_, JournalError>(record.sequence < enough)
    };
    reader.each(from, show).unwrap();
    let read: Vec<Record> = reader.records(from).take(51).map(Result::unwrap).collect();
    assert_eq!(shown, read);
}

fn child_appends_ten_groups(dir: &Path) {
    let mut journal = LocalJournal::create(dir).unwrap();
    for n in 0..10 {
        let head = journal.append(&drafts(1 + n * 5, 5)).unwrap();
        say(&format!("acknowledged {}\n", head.sequence));
    }
}

/// What the system calls must show: between the last write of a group to the log and its acknowledgement lies a whole
/// sync of the log. A kill cannot show it: a journal that never syncs survives every kill.
#[test]
fn acknowledges_only_after_a_sync_that_began_after_the_groups_last_write() {
    if let Some(dir) = child_dir() {
        return child_appends_ten_groups(&dir);
    }
    if !can(&["strace", "-o", "/dev/null", "true"]) {
        return;
    }
    let scratch = Scratch::new("trace");
    let trace = scratch.path().join("trace");
    let strace =
        ["strace", "-f", "-y", "-o", trace.to_str().unwrap(), "-e", "trace=write,pwrite64,fsync,fdatasync"];
    let dir = scratch.path().join("data");
    let run = wrapped(&strace, "acknowledges_only_after_a_sync_that_began_after_the_groups_last_write", &dir)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));

    let text = fs::read_to_string(&trace).unwrap();
    let (mut synced, mut acknowledged, mut early) = (false, 0, 0);
    for line in text.lines() {
        let log = line.contains("journal.db-wal>");
        if log && line.contains("pwrite64(") {
            synced = false;
        } else if log && line.contains("sync(") && line.trim_end().ends_with("= 0") {
            synced = true;
        } else if line.contains("\"acknowledged ") {
            acknowledged += 1;
            early += u32::from(!synced);
        }
    }
    assert_eq!(acknowledged, 10, "{text}");
    if cfg!(feature = "unsafe-sync-off") {
        assert_eq!(early, 10, "built without syncs, and the trace must show it");
    } else {
        assert_eq!(early, 0, "{text}");
    }
}

#[test]
fn says_whether_it_is_durable() {
    let scratch = Scratch::new("durability");
    let journal = LocalJournal::create(scratch.path()).unwrap();
    let expected =
        if cfg!(feature = "unsafe-sync-off") { Durability::UnsafeSyncOff } else { Durability::Full };
    assert_eq!(journal.durability(), expected);
}

fn child_meets_a_failing_sync(dir: &Path) {
    let mut journal = LocalJournal::create(dir).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match journal.append(&drafts(journal.head().sequence + 1, 3)) {
            Ok(head) => acknowledged = head.sequence,
            Err(error) => break error,
        }
        assert!(acknowledged < 1000, "no sync failed");
    };
    assert_eq!(error.code(), "journal_io", "{error}");
    let refused = journal.append(&[draft(1)]).unwrap_err();
    assert!(matches!(refused, JournalError::Unavailable { .. }), "{refused}");
    assert!(journal.failed().is_some());
    assert_eq!(journal.head().sequence, acknowledged);
    assert_eq!(journal.read(1, 5000).unwrap().first().unwrap().sequence, 1);
    drop(journal);
    // The failed group may have become durable or not; what follows is chained to whatever is there.
    let mut journal = LocalJournal::open(dir, None).unwrap();
    assert!(journal.head().sequence >= acknowledged);
    journal.append(&drafts(journal.head().sequence + 1, 3)).unwrap();
    assert!(verify(dir, None).unwrap().is_intact());
    say("met a failing sync\n");
}

#[test]
fn takes_nothing_more_after_a_failed_sync_until_opened_again() {
    if let Some(dir) = child_dir() {
        return child_meets_a_failing_sync(&dir);
    }
    if cfg!(feature = "unsafe-sync-off") || !can(&["strace", "-o", "/dev/null", "true"]) {
        return;
    }
    let scratch = Scratch::new("sync-fails");
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync,fdatasync:error=EIO:when=40"];
    let run = wrapped(
        &strace,
        "takes_nothing_more_after_a_failed_sync_until_opened_again",
        &scratch.path().join("data"),
    )
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("met a failing sync"), "{said}");
}

fn child_meets_a_full_and_a_read_only_disk(dir: &Path) {
    let mount =
        |words: &[&str]| assert!(Command::new("mount").args(words).arg(dir).status().unwrap().success());
    mount(&["-t", "tmpfs", "-o", "size=4m", "none"]);
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 4_190_000]).unwrap();
    assert_eq!(LocalJournal::create(dir).unwrap_err().code(), "journal_disk_full");
    assert!(
        !dir.join("journal.db").exists() && !dir.join("journal.db-wal").exists(),
        "nothing half made stays"
    );
    fs::write(&ballast, vec![1; 2_500_000]).unwrap();

    let mut journal = LocalJournal::create(dir).unwrap();
    let reader = journal.reader().unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match journal.append(&drafts(journal.head().sequence + 1, 100)) {
            Ok(head) => acknowledged = head.sequence,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), "journal_disk_full", "{error}");
    assert!(acknowledged > 1000);
    assert_eq!(journal.append(&[draft(1)]).unwrap_err().code(), "journal_unavailable");
    assert_eq!(reader.head().unwrap(), journal.head());
    assert_eq!(reader.records(1).map(Result::unwrap).count() as u64, acknowledged);

    // Opening again on the full disk says the same, as often as it is tried, and readers go on.
    drop(journal);
    assert_eq!(LocalJournal::open(dir, None).unwrap_err().code(), "journal_disk_full");
    assert_eq!(LocalJournal::open(dir, None).unwrap_err().code(), "journal_disk_full");
    assert_eq!(reader.head().unwrap().sequence, acknowledged);
    drop(reader);
    assert!(verify(dir, None).unwrap().is_intact());

    for log in [true, false] {
        mount(&["-o", "remount,ro"]);
        assert_eq!(LocalJournal::open(dir, None).unwrap_err().code(), "journal_read_only");
        let reader = LocalReader::open(dir).unwrap();
        assert!(reader.records(1).map(Result::unwrap).count() as u64 >= acknowledged);
        assert!(verify(dir, None).unwrap().is_intact(), "log {log}");
        drop(reader);
        mount(&["-o", "remount,rw"]);
        if log {
            fs::remove_file(&ballast).unwrap();
            let mut journal = LocalJournal::open(dir, None).unwrap();
            assert_eq!(journal.head().sequence, acknowledged, "nothing of the failed group is there");
            acknowledged = journal.append(&drafts(acknowledged + 1, 10)).unwrap().sequence;
            journal.close().unwrap();
        }
    }
    assert_eq!(verify(dir, None).unwrap().records, acknowledged);
    say("met a full and a read-only disk\n");
}

#[test]
fn refuses_writes_and_goes_on_reading_on_a_full_and_a_read_only_disk() {
    if let Some(dir) = child_dir() {
        return child_meets_a_full_and_a_read_only_disk(&dir);
    }
    if !can(&["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]) {
        return;
    }
    let scratch = Scratch::new("full");
    let unshare = ["unshare", "-m"];
    let run = wrapped(
        &unshare,
        "refuses_writes_and_goes_on_reading_on_a_full_and_a_read_only_disk",
        scratch.path(),
    )
    .output()
    .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("met a full and a read-only disk"), "{said}");
}

#[test]
fn refuses_a_second_writer_and_a_writer_beside_a_lone_reader() {
    let scratch = Scratch::new("lock");
    let journal = LocalJournal::create(scratch.path()).unwrap();
    let refused = LocalJournal::open(scratch.path(), None).unwrap_err();
    assert_eq!(refused.code(), "journal_in_use");
    assert!(refused.to_string().contains("in use by another holdfast process"));
    assert_eq!(LocalJournal::create(scratch.path()).unwrap_err().code(), "journal_in_use");
    journal.close().unwrap();
    assert_eq!(LocalJournal::create(scratch.path()).unwrap_err().code(), "journal_exists");
    let reader = LocalReader::open(scratch.path()).unwrap();
    assert_eq!(LocalJournal::open(scratch.path(), None).unwrap_err().code(), "journal_in_use");
    drop(reader);
    LocalJournal::open(scratch.path(), None).unwrap();
}

#[test]
fn a_follower_on_its_own_thread_sees_each_group_and_the_log_stays_small() {
    let scratch = Scratch::new("follow");
    let mut journal = LocalJournal::create(scratch.path()).unwrap();
    let reader = journal.reader().unwrap();
    let total = 40_000;
    let follower = std::thread::spawn(move || {
        let mut next = 1;
        while next <= total {
            for record in reader.read(next, 500).unwrap() {
                assert_eq!(record.sequence, next);
                next += 1;
            }
        }
    });
    let mut longest = 0;
    for n in 0..total / 200 {
        journal.append(&drafts(1 + n * 200, 200)).unwrap();
        longest = longest.max(fs::metadata(scratch.path().join("journal.db-wal")).unwrap().len());
    }
    follower.join().unwrap();
    assert!(longest < 24 << 20, "the log grew to {longest} bytes");
    assert!(journal.failed().is_none());
    journal.close().unwrap();
    let log = fs::metadata(scratch.path().join("journal.db-wal")).map_or(0, |m| m.len());
    assert_eq!(log, 0);
}

#[test]
fn reads_a_journal_in_a_directory_with_an_odd_name() {
    let scratch = Scratch::new("odd");
    let dir = scratch.path().join("a b?c#d%20é");
    let mut journal = LocalJournal::create(&dir).unwrap();
    journal.append(&drafts(1, 3)).unwrap();
    drop(journal);
    assert_eq!(LocalReader::open(&dir).unwrap().records(1).count(), 3);
    LocalJournal::open(&dir, None).unwrap().close().unwrap();
    assert_eq!(LocalReader::open(&dir).unwrap().records(1).count(), 3);
    assert!(verify(&dir, None).unwrap().is_intact());
}
