//! The fire drill through the real binary: what it must show, that it is the same on every machine, and that its files are
//! what they say.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a drill that cannot be played or read fails the test, and what it printed is shown"
)]

mod schema;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

/// Small, but with the weeks that the attackers of 2019 prepare in, and customers enough for shares to mean something.
const SMALL: [&str; 10] =
    ["--accounts", "1000", "--thinned-days", "80", "--days", "3", "--seeds", "1", "--first-seed", "1001"];

fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).display().to_string()
}

/// A directory that is gone with the value.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("holdfast-drill-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join(name)).unwrap()).unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn holdfast(args: &[&str]) -> Output {
    Command::new(HOLDFAST).args(args).output().unwrap()
}

fn drill(name: &str, out: &str, more: &[&str]) -> Output {
    let mut args = vec!["drill", name, "--out", out];
    args.extend(SMALL);
    args.extend(more);
    holdfast(&args)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

#[test]
fn the_theft_of_2019_empties_the_wallet_of_then_and_not_that_of_the_baseline() {
    let dir = Temporary::new();
    let files = ["events", "truth", "decisions"].map(|name| dir.path(name));
    let journal = dir.path("journal");
    let more = [
        "--jobs",
        "1",
        "--events",
        &files[0],
        "--truth",
        &files[1],
        "--decisions",
        &files[2],
        "--journal",
        &journal,
    ];
    let output = drill("binance-2019", &dir.path("one"), &more);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("which layer stopped what, and what ordinary customers paid for it: baseline"),
        "{table}"
    );
    println!("{table}");
    let report = dir.json("one/report.json");
    let against = |arm: usize| &report["attacks"][0]["against"][arm];
    let score = |arm: usize, name: &str| number(&against(arm)["attack"][name]["max"]);
    assert_eq!(report["arms"][1]["name"], "limits-2019");
    assert!(score(1, "left_btc") > 0.5 * 7_074.0, "under limits-2019 most of it is gone");
    let loose = score(0, "left_unvouched_btc") + score(0, "left_aged_btc");
    assert!(loose <= score(0, "ceiling_btc"), "{loose} BTC, over what the buckets say");
    assert!(score(0, "left_btc") < 0.2 * score(1, "left_btc"), "the baseline is worth something");
    let ordinary = |name: &str, of: &str| number(&report["attack_free"][0]["ordinary"][name][of]);
    assert!(ordinary("without_person_share", "min") >= 0.97, "{table}");
    assert!(ordinary("delay_median_seconds", "max") <= 600.0, "{table}");
    assert!(ordinary("denied_fitting", "max") == 0.0, "{table}");
    assert!(ordinary("fitting", "min") > 100.0, "there were customers");

    let schema: Value = serde_json::from_str(
        &std::fs::read_to_string(repository("docs/schemas/drill-report.schema.json")).unwrap(),
    )
    .unwrap();
    let problems = schema::problems(&schema, &report);
    assert!(problems.is_empty(), "{problems:#?}");
    let mut wrong = report.clone();
    wrong["attacks"][0]["against"][0]["attack"]["left_btc"]["max"] = Value::from(1);
    wrong["more"] = Value::from("x");
    assert_eq!(schema::problems(&schema, &wrong).len(), 2, "the schema is not empty");

    // Two threads, the same bytes.
    let other = drill("binance-2019", &dir.path("two"), &["--jobs", "2"]);
    assert_eq!(code(&other), 0, "{}", errors(&other));
    for name in ["report.json", "report.html"] {
        let bytes = |of: &str| std::fs::read(dir.0.join(of).join(name)).unwrap();
        assert!(bytes("one") == bytes("two"), "{name} differs between one thread and two");
    }

    // The files, played from the beginning, are what the fork came to.
    let scored = holdfast(&["score", "--decisions", &files[2], "--truth", &files[1], "--json"]);
    assert_eq!(code(&scored), 0, "{}", errors(&scored));
    let scored: Value = serde_json::from_slice(&scored.stdout).unwrap();
    for of in ["attack", "ordinary"] {
        for (name, value) in scored[of].as_object().unwrap() {
            assert_eq!(*value, against(0)[of][name]["seeds"][0], "{of}: {name}");
        }
    }
    let replayed = holdfast(&["replay", "--data", &journal, "--json"]);
    assert_eq!(code(&replayed), 0, "{}", errors(&replayed));
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert!(replayed["records"].as_u64().unwrap() > 10_000, "{replayed}");

    let page = std::fs::read_to_string(dir.0.join("one/report.html")).unwrap();
    for never in ["<script", "http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(never), "the page has {never}");
    }
}

#[test]
fn conditions_end_a_drill_by_their_exit_code() {
    let dir = Temporary::new();
    let policy = repository("policies/limits-2019");
    let run = |name: &str, conditions: &[&str]| {
        let mut more = vec!["--policy", &policy, "--thinned-days", "20", "--accounts", "120"];
        conditions.iter().for_each(|one| more.extend(["--fail-if", one]));
        // Later arguments must not repeat earlier ones.
        let out = dir.path(name);
        let mut args = vec!["drill", "just-under", "--out", &out, "--days", "2", "--seeds", "1"];
        args.extend(more);
        holdfast(&args)
    };
    let output = run("a", &["left_btc.max > 1000000", "ordinary.without_person_share.min < 0"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let report = dir.json("a/report.json");
    assert_eq!(report["arms"].as_array().unwrap().len(), 2, "a pack is not compared with itself");
    let output = run("b", &["left_btc.max > 1000000", "just-under.asked_btc > 0"]);
    assert_eq!(code(&output), 1, "{}", errors(&output));
    assert!(errors(&output).contains("failed: just-under.asked_btc > 0"), "{}", errors(&output));
    for (condition, code_says) in [
        ("left_btc", "condition_invalid"),
        ("left_btd > 1", "condition_unknown"),
        ("stuffing.left_btc > 1", "condition_unknown"),
        ("no-dwell:left_btc > 1", "condition_unknown"),
    ] {
        let output = run("c", &[condition]);
        assert_eq!(code(&output), 2, "{condition}");
        assert!(errors(&output).starts_with(&format!("error: {code_says}: ")), "{}", errors(&output));
        assert!(
            !dir.0.join("c/report.json").exists(),
            "nothing is played for a condition that cannot be asked"
        );
    }
}

#[test]
fn attacks_are_listed_and_what_is_wrong_is_said() {
    let list = holdfast(&["drill", "list"]);
    let text = String::from_utf8(list.stdout).unwrap();
    for name in ["binance-2019", "bybit-2025", "mimicry", "T8"] {
        assert!(text.contains(name), "{text}");
    }
    let dir = Temporary::new();
    for (args, says) in [
        (vec!["drill", "nothing"], "attack_unknown"),
        (vec!["drill", "stuffing", "--policy", "nowhere"], "policy_invalid"),
        (vec!["score", "--decisions", "nowhere", "--truth", "nowhere"], "unreadable"),
    ] {
        let output = Command::new(HOLDFAST).args(&args).current_dir(&dir.0).output().unwrap();
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(errors(&output).contains(says), "{args:?}: {}", errors(&output));
    }
}

#[test]
fn the_configuration_to_drive_a_server_with_is_that_of_the_exchange_which_is_played() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(repository.join("examples/drills.toml")).unwrap();
    let mut written = holdfast_server::exchange::parse(&text).unwrap();
    let mut played =
        holdfast_simulator::play::configuration(&holdfast_simulator::exchange::Exchange::default()).unwrap();
    // A server is set up at its own pace, and has a signer and chains of its own.
    written.parameters.setup_window = played.parameters.setup_window;
    played.signers = None;
    played.wallets.iter_mut().for_each(|wallet| wallet.chains = None);
    assert_eq!(written, played);
}

/// The page at the widths of a desk, a tablet and a telephone: nothing reaches past it, and at a desk nothing has to be scrolled.
#[test]
fn the_page_fits_its_width_at_a_desk_and_on_a_telephone() {
    const CHROMIUM: &str = "/usr/bin/chromium";
    let client = repository("tests/client/node_modules");
    if !Path::new(CHROMIUM).exists() || !Path::new(&client).join("playwright-core").exists() {
        println!("skipped: {CHROMIUM} or {client}/playwright-core is missing: npm ci --prefix tests/client");
        return;
    }
    let dir = Temporary::new();
    let mut args =
        vec!["drill", "cryptocom-2022", "--accounts", "150", "--thinned-days", "20", "--days", "2"];
    let out = dir.path("drill");
    args.extend(["--seeds", "2", "--out", &out]);
    let output = holdfast(&args);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let script = repository("crates/server/tests/drill/look.mjs");
    let page = dir.path("drill/report.html");
    let looked = Command::new("node").args([&script, &client, CHROMIUM, &page]).output().unwrap();
    assert!(looked.status.success(), "{}", errors(&looked));
    let looked = String::from_utf8(looked.stdout).unwrap();
    let widths: Vec<Value> = looked.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(widths.len(), 4, "{looked}");
    for width in widths {
        assert_eq!(width["out"], serde_json::json!([]), "{width}");
        assert_eq!(width["page"], width["wide"], "the page itself scrolls sideways: {width}");
        if width["wide"].as_u64().unwrap() >= 1_200 {
            assert_eq!(width["scrolling"], serde_json::json!([]), "cut off at a desk: {width}");
        }
    }
}
