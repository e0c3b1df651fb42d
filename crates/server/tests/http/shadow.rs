//! A candidate policy decides beside the live one, is compared with it, and changes nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{ADDRESS, Exchange, HOLDFAST, Server};

const ALL: &str = "@id(\"all\") permit (principal, action, resource);";
const HOLDS: &str = "@id(\"all\") permit (principal, action, resource);
@id(\"large\") @outcome(\"hold\") @reason(\"large_amount\")
forbid (principal, action == Action::\"withdraw\", resource) when { context.amount_usd_cents > 100000 };";

fn put(server: &Server, text: &str) -> crate::server::Answer {
    let body = json!({ "files": { "all.cedar": text } }).to_string();
    server.call("PUT", "/v1/policy/shadow", &[], body.as_bytes())
}

fn withdraw(server: &Server, key: &str, amount: &str) -> Value {
    let answer = server.withdraw(
        key,
        &json!({ "account": "ac_1", "asset": "BTC", "network": "bitcoin", "address": ADDRESS, "amount": amount, "channel": { "session": { "one_time_code": true } } }),
    );
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

/// The comparison comes a moment after the answer.
fn compared(server: &Server, count: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = server.get("/v1/policy/shadow");
        if answer.body["compared"] == count || Instant::now() > deadline {
            assert_eq!(answer.body["compared"], count, "{}", answer.body);
            return answer.body;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_candidate_is_compared_on_live_traffic_kept_over_a_restart_and_decides_nothing() {
    let exchange = Exchange::open(&[]);
    let mut server = exchange.ready(&[]);
    assert_eq!(server.get("/v1/policy/shadow").code(), "shadow_not_running");
    let started = put(&server, HOLDS);
    assert_eq!((started.status, &started.body["by"]), (200, &"backend".into()), "{}", started.body);

    // 0.01 BTC is 59 USD, 1 BTC is 5,900.
    assert_eq!(withdraw(&server, "a", "0.01")["status"], "approved");
    assert_eq!(withdraw(&server, "b", "1")["status"], "approved");
    let status = compared(&server, 2);
    assert_eq!(
        (&status["tighter"], &status["looser"], &status["dropped"]),
        (&1.into(), &0.into(), &0.into())
    );
    assert_eq!(status["transitions"], json!({ "allow -> hold": 1 }));
    let example = &status["tighter_examples"][0];
    assert_eq!((&example["account"], &example["usd_cents"]), (&"ac_1".into(), &590_000.into()));
    assert_eq!(
        (&example["live"]["outcome"], &example["candidate"]["outcome"]),
        (&"allow".into(), &"hold".into())
    );
    assert_eq!(example["candidate"]["reasons"], json!(["large_amount"]));
    let metrics = server.get("/metrics").text;
    assert!(
        metrics.contains("holdfast_shadow_compared_total 2")
            && metrics.contains("holdfast_shadow_tighter_total 1")
    );

    let token = server.token.clone();
    server.stop();
    server = exchange.serve(&[]);
    server.token = token;
    assert_eq!(compared(&server, 2)["tighter"], 1, "goes on after a restart");
    withdraw(&server, "c", "2");
    assert_eq!(compared(&server, 3)["tighter"], 2);

    // Another one starts again; one that does not compile changes nothing.
    assert_eq!(put(&server, "permit (principal").code(), "policy_pack_invalid");
    assert_eq!(compared(&server, 3)["tighter"], 2);
    assert_eq!(put(&server, ALL).body["compared"], 0);
    withdraw(&server, "d", "3");
    let same = compared(&server, 1);
    assert_eq!((&same["tighter"], &same["looser"], &same["reasons_only"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(same["live"], same["candidate"]);

    assert_eq!(server.call("DELETE", "/v1/policy/shadow", &[], b"").body["compared"], 1);
    assert_eq!(server.get("/v1/policy/shadow").status, 404);
    assert!(!exchange.data().join("shadow").exists());
}

#[test]
fn the_commands_start_show_and_stop_a_shadow() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let pack = exchange.dir.path().join("candidate");
    std::fs::create_dir(&pack).unwrap();
    std::fs::write(pack.join("all.cedar"), HOLDS).unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(HOLDFAST);
        command.args(["policy", "shadow"]).args(args).args(["--url", &server.url, "--token", &server.token]);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, error) = run(&["status"]);
    assert!(code == Some(1) && error.contains("shadow_not_running"), "{error}");
    let (code, _, error) = run(&["start", &pack.display().to_string()]);
    assert_eq!(code, Some(0), "{error}");
    withdraw(&server, "b", "1");
    compared(&server, 1);
    let (code, text, error) = run(&["status"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        text.contains("1 decisions compared, 1 tighter") && text.contains("allow -> hold (large_amount)"),
        "{text}"
    );
    let (code, text, _) = run(&["stop", "--json"]);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &body["tighter"]), (Some(0), &1.into()));
    assert_eq!(run(&["stop"]).0, Some(1));
}

#[test]
fn a_token_that_only_reads_may_look_and_not_start() {
    let exchange = Exchange::open(&[]);
    let mut server = exchange.ready(&[]);
    server.token = exchange.issue(&server, "reader", 1);
    assert_eq!(put(&server, HOLDS).code(), "scope_missing");
    assert_eq!(server.get("/v1/policy/shadow").code(), "shadow_not_running");
}
