//! Files of events: what is read, what is refused and with which words, and that the schema and the parser agree.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure is a failed test")]

use std::io::Cursor;

use holdfast_simulator::decide::{DecideError, Options, Summary, Watch, decide};
use holdfast_simulator::format::{BadLine, Entry, LINE_MAX, ReadError, Reader, parse_line, schema};
use holdfast_simulator::play::Play;
use holdfast_values::time;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::house::{exchange, permit_all, root};
use crate::schema::accepts;

const HEAD: &str = "{\"format\":\"holdfast-events/1\"}\n";

fn line(at: u64, id: &str, rest: &str) -> String {
    let at = crate::house::START.plus(at * time::SECOND);
    format!("{{\"at\":\"{at}\",\"id\":\"{id}\",{rest}}}\n")
}

fn opens(at: u64, id: &str, account: &str) -> String {
    line(at, id, &format!("\"type\":\"open_account\",\"account\":\"{account}\",\"tier\":\"full\""))
}

fn supports(at: u64, id: &str, account: &str) -> String {
    line(at, id, &format!("\"type\":\"support\",\"account\":\"{account}\",\"about\":\"hello\""))
}

#[derive(Default)]
struct Told(Vec<String>);

impl Watch for Told {
    fn goes_on(&mut self, _: u64) -> bool {
        true
    }

    fn skipped(&mut self, line: &BadLine) {
        self.0.push(format!("{} {}", line.line, line.bad.code()));
    }
}

fn run(file: &[u8], skip_bad: u64) -> (Result<Summary, DecideError>, Vec<String>) {
    let mut play = Play::new(&exchange(), permit_all(), 1).unwrap();
    let (mut out, mut told) = (Vec::new(), Told::default());
    let options = Options { skip_bad, after: 0, seed: 1 };
    let summary = decide(Cursor::new(file), &mut play, &mut out, options, &mut told);
    assert!(out.starts_with(b"{\"format\":\"holdfast-decisions/1\""));
    (summary, told.0)
}

/// The code and line of the error that a file ends with.
fn error_of(file: &str) -> (String, u64) {
    match run(file.as_bytes(), 0).0.unwrap_err() {
        DecideError::Bad(line) => {
            let text = line.to_string();
            assert!(text.starts_with(&format!("line {}: ", line.line)), "{text}");
            (line.bad.code().to_owned(), line.line)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_error_names_its_line_and_has_its_code() {
    let good = opens(0, "a", "ac_1");
    let bad = |text: &str| format!("{HEAD}{good}{text}");
    for (file, code, at) in [
        (String::new(), "format_missing", 1),
        (good.clone(), "format_missing", 1),
        ("{\"format\":\"holdfast-events/2\"}\n".to_owned(), "format_missing", 1),
        ("[]\n".to_owned(), "format_missing", 1),
        (bad("nonsense\n"), "json_invalid", 3),
        (bad("\n"), "json_invalid", 3),
        (bad("[1]\n"), "json_invalid", 3),
        (bad(&line(1, "b", "\"type\":\"levitate\",\"height\":3")), "type_unknown", 3),
        (bad(&line(1, "b", "\"account\":\"ac_1\"")), "field_missing", 3),
        (bad(&line(1, "b", "\"type\":\"support\",\"account\":\"ac_1\"")), "field_missing", 3),
        (
            bad(&line(1, "b", "\"type\":\"support\",\"account\":\"ac_1\",\"about\":\"x\",\"tone\":1")),
            "field_unknown",
            3,
        ),
        (
            bad(&line(
                1,
                "b",
                "\"type\":\"support\",\"account\":\"ac_1\",\"account\":\"ac_1\",\"about\":\"x\"",
            )),
            "field_duplicate",
            3,
        ),
        (bad(&line(1, "b", "\"type\":\"support\",\"account\":\"a b\",\"about\":\"x\"")), "field_invalid", 3),
        (bad(&line(1, "b", "\"type\":\"support\",\"account\":null,\"about\":\"x\"")), "field_invalid", 3),
        (
            bad(&line(1, "no spaces", "\"type\":\"support\",\"account\":\"ac_1\",\"about\":\"x\"")),
            "field_invalid",
            3,
        ),
        (bad(&supports(1, "a", "ac_1")), "id_duplicate", 3),
        (bad(&format!("{}{}", supports(9, "b", "ac_1"), supports(8, "c", "ac_1"))), "time_backwards", 4),
        (bad(&supports(1, "b", "ac_2")), "account_unknown", 3),
        (bad(supports(1, "b", "ac_1").get(..40).unwrap()), "line_truncated", 3),
        (bad(&format!("{{\"about\":\"{}\"}}\n", "x".repeat(LINE_MAX))), "line_too_long", 3),
    ] {
        let end: String = file.chars().rev().take(120).collect::<Vec<_>>().into_iter().rev().collect();
        assert_eq!(error_of(&file), (code.to_owned(), at), "{end}");
    }
}

#[test]
fn an_error_says_what_would_be_right() {
    let told = |file: &str| run(file.as_bytes(), 0).0.unwrap_err().to_string();
    let text = told(&format!("{HEAD}{}", supports(0, "a", "ac_9")));
    assert_eq!(
        text,
        "line 2: no earlier line opened the account ac_9: put an open_account before its first event"
    );
    let channel = "\"type\":\"request_withdrawal\",\"account\":\"ac_1\",\"asset\":\"BTC\",\"network\":\"bitcoin\",\
                   \"address\":\"bc1q\",\"amount\":\"1\",\"channel\":{\"session\":{\"facts\":{\"asn\":-1}}}";
    let text = told(&format!("{HEAD}{}", line(0, "a", channel)));
    assert_eq!(text, "line 2: field channel.session.facts.asn must be a whole number from 0 to 4294967295");
}

#[test]
fn bad_lines_are_left_out_up_to_the_number_that_is_allowed() {
    let file = format!(
        "{HEAD}{}nonsense\n{}{{}}\n{}",
        opens(0, "a", "ac_1"),
        supports(5, "b", "ac_1"),
        supports(6, "c", "ac_1")
    );
    let (summary, told) = run(file.as_bytes(), 2);
    let summary = summary.unwrap();
    assert_eq!((summary.lines, summary.events, summary.skipped), (6, 3, 2));
    assert_eq!(told, ["3 json_invalid", "5 field_missing"]);
    let (summary, _) = run(file.as_bytes(), 1);
    let error = summary.unwrap_err();
    assert_eq!(error.code(), "too_many_bad");
    assert!(error.to_string().starts_with("line 5: field type is missing"), "{error}");
    // A file that is none is not read on, however much may be left out.
    assert_eq!(run(b"nonsense\n", 9).0.unwrap_err().code(), "format_missing");
}

#[test]
fn a_last_line_without_an_end_is_read_if_it_is_whole() {
    let file = format!("{HEAD}{}{}", opens(0, "a", "ac_1"), supports(5, "b", "ac_1"));
    assert_eq!(run(file.trim_end().as_bytes(), 0).0.unwrap().events, 2);
}

#[test]
fn an_address_that_is_none_is_refused_by_the_exchange_and_not_by_the_reader() {
    let mut play = Play::new(&exchange(), permit_all(), 1).unwrap();
    let asks = "\"type\":\"request_withdrawal\",\"account\":\"ac_1\",\"asset\":\"BTC\",\"network\":\"bitcoin\",\
                \"address\":\"bc1qwrong\",\"amount\":\"1\",\"channel\":{\"session\":{}}";
    let file = format!("{HEAD}{}{}", opens(0, "a", "ac_1"), line(1, "b", asks));
    let mut out = Vec::new();
    let options = Options { skip_bad: 0, after: 0, seed: 1 };
    let summary = decide(Cursor::new(file), &mut play, &mut out, options, &mut Told::default()).unwrap();
    assert_eq!(summary.refused, 1);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("\"line\":\"refused\",\"event\":\"b\",\"code\":\"address_invalid\""), "{out}");
}

#[test]
fn the_schema_in_the_documents_is_the_one_that_the_parser_checks_by() {
    let path = root().join("docs/schemas/events.schema.json");
    let printed = format!("{:#}\n", schema());
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &printed).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, printed, "HOLDFAST_BLESS=1 writes it");
}

/// A line of every type, with every field.
fn samples() -> Vec<Value> {
    let facts = json!({ "device": "d", "ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "tls": "t13", "country": "MT", "asn": 12709 });
    let to = |rest: Value| {
        let mut all = json!({ "account": "ac_1", "network": "bitcoin", "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "memo": "7" });
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        all
    };
    let operators = json!(["olivia", "otto"]);
    let bodies = [
        ("open_account", json!({ "account": "ac_1", "tier": "full" })),
        ("session", json!({ "account": "ac_1", "facts": facts })),
        ("security_change", json!({ "account": "ac_1", "kind": "second_factor" })),
        ("add_credential", json!({ "account": "ac_1", "credential": "key:1", "approved_by": "key:0" })),
        (
            "put_api_key",
            json!({ "account": "ac_1", "key": "K1", "scopes": ["read", "withdraw"], "ip_allowlist": ["203.0.113.0/24"], "asymmetric": true, "session": facts }),
        ),
        ("revoke_api_key", json!({ "account": "ac_1", "key": "K1" })),
        ("add_address", to(json!({}))),
        ("remove_address", to(json!({}))),
        ("notice_delivered", to(json!({}))),
        ("lower_limits", json!({ "account": "ac_1", "usd_24h": "100.50", "usd_30d": "1000" })),
        ("freeze_account", json!({ "account": "ac_1", "by": "panic-link" })),
        (
            "request_withdrawal",
            to(
                json!({ "asset": "BTC", "amount": "0.75", "channel": { "session": { "one_time_code": true, "facts": facts } } }),
            ),
        ),
        (
            "request_withdrawal",
            to(
                json!({ "asset": "BTC", "amount": "0.75", "channel": { "api_request": { "key": "K1", "ip": "2001:db8::1" } } }),
            ),
        ),
        ("one_time_code", json!({ "account": "ac_1", "withdrawal": "e1" })),
        ("approve_withdrawal", json!({ "account": "ac_1", "withdrawal": "e1", "credential": "key:1" })),
        ("cancel_withdrawal", json!({ "account": "ac_1", "withdrawal": "e1" })),
        ("deny_withdrawal", json!({ "withdrawal": "e1", "by": "olivia" })),
        ("approve_held", json!({ "withdrawal": "e1", "operators": operators })),
        ("prices", json!({ "prices": { "BTC": "5900", "ETH": "170.25" } })),
        ("halt", json!({ "scope": "asset:BTC", "by": "olivia" })),
        ("resume", json!({ "scope": "overall", "operators": operators })),
        ("set_limits", json!({ "account": "ac_1", "usd_24h": "1", "usd_30d": "2", "operators": operators })),
        ("raise_buckets", json!({ "times": 2, "operators": operators })),
        ("deposit", json!({ "account": "ac_1", "asset": "BTC", "amount": "1" })),
        (
            "trade",
            json!({ "account": "ac_1", "sold": "BTC", "sold_amount": "1", "bought": "ETH", "bought_amount": "30", "key": "K1" }),
        ),
        ("support", json!({ "account": "ac_1", "about": "where is it?" })),
    ];
    let lines = bodies.into_iter().map(|(kind, mut body)| {
        let map = body.as_object_mut().unwrap();
        map.insert("at".to_owned(), json!("2026-03-02T00:00:00.25Z"));
        map.insert("id".to_owned(), json!("e-1"));
        map.insert("type".to_owned(), json!(kind));
        body
    });
    lines.collect()
}

fn reads(line: &Value) -> Option<Entry> {
    parse_line(line.to_string().as_bytes()).ok()
}

#[test]
fn every_type_is_read_and_written_back_the_same() {
    let schema = schema();
    let types = schema["oneOf"].as_array().unwrap().len() - 1;
    let samples = samples();
    let kinds: std::collections::BTreeSet<_> = samples.iter().map(|line| line["type"].to_string()).collect();
    assert_eq!(kinds.len(), types, "a sample of every type");
    for sample in samples {
        assert!(accepts(&schema, &sample), "{sample}");
        let entry = reads(&sample)
            .unwrap_or_else(|| panic!("{sample}: {:?}", parse_line(sample.to_string().as_bytes())));
        let mut written = Vec::new();
        entry.write(&mut written).unwrap();
        assert_eq!(parse_line(&written[..written.len() - 1]).unwrap(), entry);
        // Without defaults it is the same text.
        let written: Value = serde_json::from_slice(&written).unwrap();
        let mut sample = sample;
        sample["at"] = json!("2026-03-02T00:00:00.250000Z");
        assert_eq!(written, sample);
    }
}

/// A place within a value: by fields and places.
fn places(value: &Value, path: Vec<String>, all: &mut Vec<Vec<String>>) {
    all.push(path.clone());
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(nth, value)| (nth.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in below {
        let mut path = path.clone();
        path.push(name);
        places(value, path, all);
    }
}

fn at_mut<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(map) => map.get_mut(step),
        Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// What a value may become: things that are nearly right, and things that are not.
fn other() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "x",
        "ac_1",
        "overall",
        "asset:btc",
        "wallet:a b",
        "1",
        "01",
        "1.",
        ".5",
        "0.123",
        "0.1234567",
        "-1",
        "1e3",
        "bitcoin",
        "Bitcoin",
        "ripple",
        "read",
        "password",
        "MT",
        "mt",
        "203.0.113.7",
        "203.0.113.0/24",
        "203.0.113.0/",
        "not an ip",
        "é",
        "olivia",
        "2026-03-02T00:00:00Z",
        "2026-13-02T00:00:00Z",
        "2026-03-02 00:00:00Z",
        "1969-01-01T00:00:00Z",
        "2026-03-02T24:00:00Z",
        "2026-03-02T00:00:00.1234567Z",
        "a:b.c-d_e",
        "99999999999999999999999999999999999999999",
        "session",
        "open_account",
        "levitate",
    ];
    prop_oneof![
        4 => prop::sample::select(texts.to_vec()).prop_map(|text| json!(text)),
        1 => "[ -~é]{0,140}".prop_map(|text| json!(text)),
        1 => (0u64..6_000_000_000).prop_map(|number| json!(number)),
        1 => (-5i64..5).prop_map(|number| json!(number)),
        1 => Just(json!(true)),
        1 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!({})),
        1 => Just(json!(["read"])),
        1 => Just(json!({ "session": {} })),
        1 => Just(json!({ "session": {}, "api_request": { "key": "K", "ip": "::1" } })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever is done to a good line, parser and schema say the same of it.
    #[test]
    fn what_the_parser_takes_is_what_the_schema_takes(
        sample in 0usize..26,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4, other()), 0..3),
    ) {
        thread_local!(static SCHEMA: Value = schema());
        let mut line = samples()[sample].clone();
        for (place, how, other) in changes {
            let mut all = Vec::new();
            places(&line, Vec::new(), &mut all);
            let path = place.get(&all).clone();
            let Some((last, parent)) = path.split_last() else { continue };
            match how {
                0 | 1 => {
                    if let Some(value) = at_mut(&mut line, &path) { *value = other; }
                }
                2 => {
                    if let Some(Value::Object(map)) = at_mut(&mut line, parent) { map.remove(last); }
                }
                _ => {
                    if let Some(Value::Object(map)) = at_mut(&mut line, parent) { map.insert("more".to_owned(), other); }
                }
            }
        }
        let taken = reads(&line).is_some();
        let valid = SCHEMA.with(|schema| accepts(schema, &line)) && line.get("format").is_none();
        prop_assert_eq!(taken, valid, "{}: {:?}", line, parse_line(line.to_string().as_bytes()));
    }

    /// Whatever bytes a file holds, reading it ends, and never by a panic.
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let mut file = HEAD.as_bytes().to_vec();
        file.extend_from_slice(&bytes);
        let mut reader = Reader::new(Cursor::new(file));
        let mut lines = 0;
        loop {
            match reader.next(|_| true) {
                Ok(None) => break,
                Ok(Some(_)) | Err(ReadError::Line(_)) => lines += 1,
                Err(error) => panic!("{error}"),
            }
        }
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(lines, ends + usize::from(bytes.last().is_some_and(|byte| *byte != b'\n')));
    }
}
