//! `holdfast decide` as a command: what it writes, how it ends, what a bad file is told, and that its journal replays.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::fixture::Dir;

const HEAD: &str = "{\"format\":\"holdfast-events/1\"}\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn holdfast(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast")).args(arguments).current_dir(dir).output().unwrap()
}

/// Decides a file of the directory by the pack of the repository.
fn decide(dir: &Path, file: &str, more: &[&str]) -> Output {
    fs::write(dir.join("events.jsonl"), file).unwrap();
    let pack = root().join("policies/baseline");
    let mut arguments = vec!["decide", "--events", "events.jsonl", "--decisions", "out.jsonl", "--policy"];
    arguments.push(pack.to_str().unwrap());
    arguments.extend_from_slice(more);
    holdfast(dir, &arguments)
}

fn line(minute: u32, id: &str, rest: &str) -> String {
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{{\"at\":\"2026-03-02T{hour:02}:{minute:02}:00Z\",\"id\":\"{id}\",{rest}}}\n")
}

fn story() -> String {
    let mut file = HEAD.to_owned();
    file.push_str(&line(0, "a", "\"type\":\"open_account\",\"account\":\"ac_1\",\"tier\":\"full\""));
    file.push_str(&line(1, "s", "\"type\":\"session\",\"account\":\"ac_1\",\"facts\":{\"device\":\"d\"}"));
    for (minute, id, amount) in [(2, "small", "0.01"), (10, "large", "9"), (11, "held", "0.2")] {
        if id == "held" {
            let change = "\"type\":\"security_change\",\"account\":\"ac_1\",\"kind\":\"password\"";
            file.push_str(&line(minute, "c", change));
        }
        let ask = format!(
            "\"type\":\"request_withdrawal\",\"account\":\"ac_1\",\"asset\":\"BTC\",\"network\":\"bitcoin\",\
             \"address\":\"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\",\"amount\":\"{amount}\",\
             \"channel\":{{\"session\":{{\"one_time_code\":true,\"facts\":{{\"device\":\"d\"}}}}}}"
        );
        file.push_str(&line(minute, id, &ask));
    }
    file
}

fn decisions(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("out.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn statuses(lines: &[Value], event: &str) -> Vec<String> {
    let of = lines.iter().filter(|line| line["event"] == event && line["line"] != "alarm");
    of.map(|line| line["status"].as_str().or(line["line"].as_str()).unwrap().to_owned()).collect()
}

#[test]
fn decides_a_file_with_reasons_and_its_journal_replays() {
    let own = Dir::new();
    let dir = own.path();
    let output = decide(dir, &story(), &["--journal", "journal", "--json"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((summary["events"].as_u64(), summary["withdrawals"].as_u64()), (Some(6), Some(3)));
    let lines = decisions(dir);
    assert_eq!(lines[0]["format"], "holdfast-decisions/1");
    assert_eq!(lines[0]["policy"], summary["policy"]);
    assert_eq!(statuses(&lines, "small"), ["dwelling", "approved", "left"]);
    assert_eq!(statuses(&lines, "large")[0], "awaiting_approval");
    let held = statuses(&lines, "held");
    assert_eq!((held[0].as_str(), held.last().unwrap().as_str()), ("held", "left"), "{held:?}");
    let reasons = &lines.iter().find(|line| line["event"] == "held").unwrap()["reasons"];
    assert!(reasons.to_string().contains("recent_security_change"), "{reasons}");

    for command in [&["replay", "--json"][..], &["journal", "verify", "--json"]] {
        let mut arguments = command.to_vec();
        arguments.extend(["--data", "journal"]);
        let output = holdfast(dir, &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {text}");
        assert!(text.contains(&summary["journal_records"].to_string()), "{command:?}: {text}");
    }
    // A journal is never written into one that is there.
    let output = decide(dir, &story(), &["--journal", "journal"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: journal_exists"), "{output:?}");
}

#[test]
fn the_same_file_gives_the_same_bytes_and_staff_can_be_sent_home() {
    let own = Dir::new();
    let dir = own.path();
    let text = |more: &[&str]| {
        assert_eq!(decide(dir, &story(), more).status.code(), Some(0));
        fs::read(dir.join("out.jsonl")).unwrap()
    };
    let first = text(&[]);
    assert_eq!(first, text(&[]));
    assert_ne!(first, text(&["--seed", "2"]));
    text(&["--no-staff"]);
    assert_eq!(statuses(&decisions(dir), "held"), ["held"], "nobody looks");
    text(&["--no-customers", "--after", "240"]);
    assert!(!statuses(&decisions(dir), "large").contains(&"cancelled".to_owned()), "nobody takes it back");
}

#[test]
fn decides_by_an_exchanges_own_configuration() {
    let own = Dir::new();
    let dir = own.path();
    let config = root().join("examples/harbor.toml");
    let output = decide(dir, &story(), &["--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = decisions(dir);
    let small = lines.iter().find(|line| line["event"] == "small").unwrap();
    assert_eq!(small["status"], "held");
    assert!(small["reasons"].to_string().contains("price_unknown"), "no price was given: {small}");
    let mut priced = story();
    let prices = line(0, "p", "\"type\":\"prices\",\"prices\":{\"BTC\":\"5900\"}");
    priced.insert_str(HEAD.len(), &prices);
    decide(dir, &priced, &["--config", config.to_str().unwrap()]);
    assert_eq!(statuses(&decisions(dir), "small"), ["dwelling", "approved", "left"]);
}

#[test]
fn bad_files_end_with_one_and_say_line_code_and_remedy() {
    let own = Dir::new();
    let dir = own.path();
    let told = |file: &str, more: &[&str]| {
        let output = decide(dir, file, more);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let opens = line(0, "a", "\"type\":\"open_account\",\"account\":\"ac_1\",\"tier\":\"full\"");
    let writes = |minute, id: &str, account: &str| {
        line(minute, id, &format!("\"type\":\"support\",\"account\":\"{account}\",\"about\":\"hello\""))
    };
    let whole = |text: &str| format!("{HEAD}{opens}{text}");
    for (file, code, nth) in [
        (opens.clone(), "format_missing", 1),
        (whole("{]\n"), "json_invalid", 3),
        (whole(&line(1, "b", "\"type\":\"levitate\"")), "type_unknown", 3),
        (whole(&line(1, "b", "\"type\":\"support\",\"account\":\"ac_1\"")), "field_missing", 3),
        (whole(&line(1, "b", "\"type\":\"support\",\"account\":7,\"about\":\"x\"")), "field_invalid", 3),
        (whole(&writes(1, "a", "ac_1")), "id_duplicate", 3),
        (whole(&(writes(2, "b", "ac_1") + &writes(1, "c", "ac_1"))), "time_backwards", 4),
        (whole(&writes(1, "b", "ac_2")), "account_unknown", 3),
        (whole(&writes(1, "b", "ac_1")[..30]), "line_truncated", 3),
        (whole(&format!("{{\"about\":\"{}\"}}\n", "x".repeat(70_000))), "line_too_long", 3),
    ] {
        let (exit, text) = told(&file, &[]);
        assert_eq!(exit, Some(1), "{code}: {text}");
        assert!(text.starts_with(&format!("error: {code}: line {nth}: ")), "{code}: {text}");
        assert!(text.contains("what was decided before is in out.jsonl"), "{text}");
    }
    let file = whole(&format!("bad\nbad\n{}", writes(1, "b", "ac_1")));
    let (exit, text) = told(&file, &["--skip-bad", "2"]);
    assert_eq!(exit, Some(0), "{text}");
    assert_eq!(text.matches("skipped: json_invalid: line ").count(), 2, "{text}");
    let (exit, text) = told(&file, &["--skip-bad", "1"]);
    assert_eq!(exit, Some(1));
    assert!(text.contains("error: too_many_bad: line 4: "), "{text}");
}

#[test]
fn what_cannot_be_read_or_written_ends_with_two() {
    let own = Dir::new();
    let dir = own.path();
    fs::write(dir.join("events.jsonl"), story()).unwrap();
    let pack = root().join("policies/baseline");
    let with = |events: &str, decisions: &str, policy: Option<&str>| {
        let mut arguments = vec!["decide", "--events", events, "--decisions", decisions];
        arguments.extend(policy.iter().flat_map(|policy| ["--policy", policy]));
        let output = holdfast(dir, &arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let pack = pack.to_str();
    assert!(with("none.jsonl", "out.jsonl", pack).starts_with("error: events_unreadable: none.jsonl"));
    assert!(with("events.jsonl", "no/such/out.jsonl", pack).starts_with("error: decisions_unwritable"));
    assert!(with("events.jsonl", "events.jsonl", pack).contains("would replace the events"));
    assert_eq!(fs::read_to_string(dir.join("events.jsonl")).unwrap(), story(), "and did not");
    let text = with("events.jsonl", "out.jsonl", None);
    assert!(text.starts_with("error: policy_missing") && text.contains("--policy DIR"), "{text}");
}

#[test]
fn ctrl_c_writes_what_was_decided_so_far() {
    let own = Dir::new();
    let dir = own.path();
    let pack = root().join("policies/baseline");
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["decide", "--events", "-", "--decisions", "out.jsonl", "--policy", pack.to_str().unwrap()])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(story().as_bytes()).unwrap();
    // It looks up every 256 events: these wait in the pipe until it has read what was before.
    let writes = |nth: u32| {
        let about = "\"type\":\"support\",\"account\":\"ac_1\",\"about\":\"hello\"";
        line(12, &format!("w{nth}"), about)
    };
    for nth in 0..20_000 {
        input.write_all(writes(nth).as_bytes()).unwrap();
    }
    input.flush().unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut nth = 20_000;
    // The pipe breaks when it has ended.
    while nth < 2_000_000 && input.write_all(writes(nth).as_bytes()).is_ok() {
        nth += 1;
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(130), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("interrupted: this is what was decided so far"), "{text}");
    assert_eq!(statuses(&decisions(dir), "small")[0], "dwelling");
}

/// With `HOLDFAST_BIG_FILE` set: a file of 200 MB in bounded memory.
#[test]
fn a_file_of_200_megabytes_is_decided_in_bounded_memory() {
    if std::env::var_os("HOLDFAST_BIG_FILE").is_none() {
        eprintln!("skipped: set HOLDFAST_BIG_FILE=1 to decide a file of 200 MB");
        return;
    }
    let own = Dir::new();
    let dir = own.path();
    let path = dir.join("events.jsonl");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    file.write_all(HEAD.as_bytes()).unwrap();
    let mut bytes = 0;
    for nth in 0u32..1_000 {
        let open = format!("\"type\":\"open_account\",\"account\":\"ac_{nth}\",\"tier\":\"full\"");
        file.write_all(line(0, &format!("a{nth}"), &open).as_bytes()).unwrap();
    }
    let mut nth = 0u32;
    while bytes < 200 << 20 {
        let facts = format!("{{\"device\":\"device {0}\",\"ip\":\"203.0.113.{1}\"}}", nth % 1_000, nth % 250);
        let rest = format!("\"type\":\"session\",\"account\":\"ac_{}\",\"facts\":{facts}", nth % 1_000);
        let text = line(1 + nth / 2_000, &format!("e{nth}"), &rest);
        bytes += text.len();
        file.write_all(text.as_bytes()).unwrap();
        nth += 1;
    }
    drop(file);
    let pack = root().join("policies/baseline");
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["decide", "--events", "events.jsonl", "--decisions", "out.jsonl", "--policy"])
        .arg(pack)
        .current_dir(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The largest that it was, as the system saw it.
    let mut peak_kib = 0;
    let status = format!("/proc/{}/status", child.id());
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak_kib);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(child.wait().unwrap().success());
    assert!(peak_kib < 200 * 1_024, "{nth} events, {} MB, {peak_kib} KiB", bytes >> 20);
    eprintln!("{nth} events, {} MB, at most {peak_kib} KiB", bytes >> 20);
}
