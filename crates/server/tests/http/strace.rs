//! No 2xx is written before an fdatasync of the journal that began after its group's last write. A kill cannot show
//! that: the page cache survives it. So the server runs under strace, and the order of its system calls is read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_values::WithdrawalId;

use super::server::{Exchange, HOLDFAST, Server, withdrawal};

const CALLS: &str = "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg";
const REQUESTS: usize = 30;
const CLIENTS: usize = 8;

/// What a line of the trace says, in order.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    JournalWritten,
    SyncBegan { pid: String },
    SyncEnded { pid: String, ok: bool },
    Answered,
}

/// The steps of a trace that matter here: writes and syncs of the journal's write-ahead log, and 2xx answers.
fn steps(trace: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut syncing: HashMap<String, ()> = HashMap::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let (pid, call) = (pid.to_owned(), call.trim_start());
        let wal = call.contains("journal.db-wal>");
        if call.starts_with("pwrite64(") && wal {
            steps.push(Step::JournalWritten);
        } else if (call.starts_with("fdatasync(") || call.starts_with("fsync(")) && wal {
            steps.push(Step::SyncBegan { pid: pid.clone() });
            if call.contains("<unfinished") {
                syncing.insert(pid, ());
            } else {
                steps.push(Step::SyncEnded { pid, ok: call.trim_end().ends_with("= 0") });
            }
        } else if call.contains("sync resumed>") && syncing.remove(&pid).is_some() {
            steps.push(Step::SyncEnded { pid, ok: call.trim_end().ends_with("= 0") });
        } else if call.contains("\"HTTP/1.1 2") {
            steps.push(Step::Answered);
        }
    }
    steps
}

/// How many answers were given, and how many of them too early. Requests come one at a time, so whatever was written
/// to the journal before an answer must have been synced before it.
fn judge(steps: &[Step]) -> (usize, usize) {
    let (mut answers, mut early) = (0, 0);
    let mut unsynced = false;
    // Whether something was written since the sync of that thread began.
    let mut running: HashMap<&str, bool> = HashMap::new();
    for step in steps {
        match step {
            Step::JournalWritten => {
                unsynced = true;
                running.values_mut().for_each(|written| *written = true);
            }
            Step::SyncBegan { pid } => {
                running.insert(pid, false);
            }
            Step::SyncEnded { pid, ok } => {
                if running.remove(pid.as_str()) == Some(false) && *ok {
                    unsynced = false;
                }
            }
            Step::Answered => {
                answers += 1;
                early += usize::from(unsynced);
            }
        }
    }
    (answers, early)
}

fn has_strace() -> bool {
    let works = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    works.is_ok_and(|output| output.status.success())
}

/// Serves under strace while `ask` asks; the trace.
fn trace(binary: &str, print: &[&str], ask: impl FnOnce(&Server)) -> String {
    let exchange = Exchange::open(&[]);
    // The first token, account and price without strace.
    let server = exchange.ready(&[]);
    let token = server.token.clone();
    assert_eq!(server.stop(), Some(0));
    let trace = exchange.dir.path().join("trace");
    let mut command: Vec<String> = ["strace", "-f", "-y", "-e", CALLS, "-o"].map(ToOwned::to_owned).into();
    command.push(trace.display().to_string());
    command.extend(print.iter().map(|arg| (*arg).to_owned()));
    command.extend(exchange.serve_command(binary, &[]));
    let mut server = Server::start(&command, &token);
    server.token = token;
    ask(&server);
    server.kill_traced();
    std::fs::read_to_string(trace).unwrap()
}

/// Serves under strace, asks one withdrawal after the other, and judges the trace.
fn traced(binary: &str) -> (usize, usize) {
    let trace = trace(binary, &["-s", "64"], |server| {
        for number in 0..REQUESTS {
            let answer = server.withdraw(&format!("k{number}"), &withdrawal("0.001"));
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
    });
    judge(&steps(&trace))
}

/// Bytes as `strace -xx` prints them.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// With many clients at once, groups overlap: one is written while answers to the one before leave. Then each answer
/// is looked up by the withdrawal in it: the first write to the journal that holds its id must be followed by a sync
/// that began after it and ended before the answer. (One thread writes and syncs, so that sync began after the last
/// write of the group, too.) How many answers were judged, and how many of them were early.
fn judge_by_id(trace: &str) -> (usize, usize) {
    let lines: Vec<&str> = trace.lines().collect();
    let wal = format!("{}>", escaped(b"/journal.db-wal"));
    let writes: Vec<(usize, &str)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("pwrite64(") && line.contains(&wal))
        .map(|(at, line)| (at, *line))
        .collect();
    // Syncs that went well, by the lines on which they began and ended.
    let (mut syncs, mut began) = (Vec::new(), HashMap::new());
    for (at, line) in lines.iter().enumerate() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let is_sync = call.contains("fdatasync(") || call.contains("fsync(");
        if is_sync && call.contains(&wal) {
            if call.contains("<unfinished") {
                began.insert(pid, at);
            } else if call.ends_with("= 0") {
                syncs.push((at, at));
            }
        } else if call.contains("sync resumed>")
            && let Some(start) = began.remove(pid)
            && call.ends_with("= 0")
        {
            syncs.push((start, at));
        }
    }
    let (answer, id) = (escaped(b"HTTP/1.1 201"), escaped(b"\"id\":\"wd_"));
    let (mut answers, mut early) = (0, 0);
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(&answer)) {
        let Some((_, rest)) = line.split_once(&id) else { continue };
        let text: String = rest.split("\\x").skip(1).take(26).map(|hex| hex_char(&hex[..2])).collect();
        let id: WithdrawalId = format!("wd_{text}").parse().unwrap();
        let raw = escaped(&id.0.to_be_bytes());
        // An id that lies on the border of two pages is in no single write.
        let Some((written, _)) = writes.iter().find(|(_, line)| line.contains(&raw)) else { continue };
        answers += 1;
        let synced = syncs.iter().any(|(start, end)| start > written && *end < at);
        early += usize::from(!synced);
    }
    (answers, early)
}

fn hex_char(digits: &str) -> char {
    char::from(u8::from_str_radix(digits, 16).unwrap())
}

/// Builds the binary with a feature that breaks the promise, beside the one under test.
fn build_unsafe(feature: &str, keep: &Path) -> PathBuf {
    let target = Path::new(HOLDFAST).parent().unwrap().parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "-p",
            "holdfast-server",
            "--bin",
            "holdfast-unsafe",
            "--features",
            feature,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kept = keep.join(feature);
    std::fs::copy(target.join("debug/holdfast-unsafe"), &kept).unwrap();
    kept
}

#[test]
fn no_answer_leaves_before_its_group_is_synced() {
    if !has_strace() {
        eprintln!("SKIPPED: strace does not work here; install it to run this test");
        return;
    }
    let (answers, early) = traced(HOLDFAST);
    assert!(answers >= REQUESTS, "the trace shows {answers} answers");
    assert_eq!(early, 0, "answers before their sync");
}

#[test]
fn no_answer_of_overlapping_groups_leaves_before_its_own_is_synced() {
    if !has_strace() {
        eprintln!("SKIPPED: strace does not work here; install it to run this test");
        return;
    }
    let trace = trace(HOLDFAST, &["-xx", "-s", "8192"], |server| {
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || {
                    for number in 0..REQUESTS {
                        let answer = server.withdraw(&format!("c{client}-{number}"), &withdrawal("0.001"));
                        assert_eq!(answer.status, 201, "{}", answer.body);
                    }
                });
            }
        });
    });
    let (answers, early) = judge_by_id(&trace);
    assert!(answers > CLIENTS * REQUESTS * 9 / 10, "the trace shows {answers} answers with their writes");
    assert_eq!(early, 0, "of {answers} answers");
}

#[test]
fn trace_tells_a_server_that_answers_early_or_does_not_sync() {
    if !has_strace() {
        eprintln!("SKIPPED: strace does not work here; install it to run this test");
        return;
    }
    let exchange = super::server::Temporary::new();
    for feature in ["unsafe-early-reply", "unsafe-sync-off"] {
        let binary = build_unsafe(feature, exchange.path());
        let (answers, early) = traced(binary.to_str().unwrap());
        assert!(answers >= REQUESTS, "the trace shows {answers} answers");
        // An answer that leaves before its group is even written is early by its id alone, which is looked up below.
        let is_seen = early > 0 || feature == "unsafe-early-reply";
        assert!(is_seen, "{feature}: all {answers} answers seem to have waited");
        let trace = trace(binary.to_str().unwrap(), &["-xx", "-s", "8192"], |server| {
            for number in 0..REQUESTS {
                assert_eq!(server.withdraw(&format!("k{number}"), &withdrawal("0.001")).status, 201);
            }
        });
        let (answers, early) = judge_by_id(&trace);
        assert!(early > 0, "{feature}: all {answers} answers seem to have waited");
    }
}

#[test]
fn traces_are_judged_by_their_order() {
    let trace = |lines: &[&str]| judge(&steps(&lines.join("\n")));
    let write = "7 pwrite64(9</d/journal.db-wal>, \"..\", 24, 0) = 24";
    let sync = "7 fdatasync(9</d/journal.db-wal>) = 0";
    let answer = "8 writev(12<socket:[1]>, [{iov_base=\"HTTP/1.1 201 Created\\r\\n\", iov_len=9}], 1) = 9";
    assert_eq!(trace(&[write, sync, answer]), (1, 0));
    assert_eq!(trace(&[write, answer, sync]), (1, 1));
    assert_eq!(trace(&[write, "7 fdatasync(9</d/journal.db-wal> <unfinished ...>", answer]), (1, 1));
    let began = "7 fdatasync(9</d/journal.db-wal> <unfinished ...>";
    let ended = "7 <... fdatasync resumed>) = 0";
    assert_eq!(trace(&[write, began, ended, answer]), (1, 0));
    assert_eq!(trace(&[began, write, ended, answer]), (1, 1), "it began before the last write");
    assert_eq!(trace(&[write, "7 fdatasync(9</d/journal.db-wal>) = -1 EIO (I/O error)", answer]), (1, 1));
    assert_eq!(trace(&[write, "7 fdatasync(9</d/views.db-wal>) = 0", answer]), (1, 1), "another file");
    assert_eq!(trace(&[write, "8 write(12<TCP:[1]>, \"HTTP/1.1 503 Service\", 9) = 9"]), (0, 0));
}
