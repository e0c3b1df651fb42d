//! A file of events over HTTP: decided as in process, by real calls with real keys, and through a kill of the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::customer::parties;
use crate::server::{Exchange, HOLDFAST, Server, repository};

/// One event of each type that has a route, in 25 minutes; what customers do is among them.
const EVENTS: &str = include_str!("events.jsonl");

/// Harbor under baseline, where a customer's key counts after ten minutes.
fn exchange() -> Exchange {
    let harbor = std::fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    let quick = harbor.replacen("[parameters]", "[parameters]\ncredential_ageing = \"10m\"", 1);
    Exchange::new(&format!("{quick}{}", parties()), None, &["--simulated-clock"])
}

/// A server with a token of all scopes whose clock runs so fast.
fn fast(exchange: &Exchange, rate: &str) -> Server {
    let slow = exchange.serve(&["--clock-rate", "1"]);
    let token = exchange.issue(&slow, "driver", 63);
    assert_eq!(slow.stop(), Some(0));
    let mut server = exchange.serve(&["--clock-rate", rate]);
    server.token = token;
    server
}

fn file(exchange: &Exchange, name: &str) -> PathBuf {
    exchange.dir.path().join(name)
}

fn drive(server: &Server, events: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(HOLDFAST);
    command.arg("drive").arg("--events").arg(events).args(["--json", "--url", &server.url]).args(more);
    command.env("HOLDFAST_TOKEN", &server.token).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

/// What was said of each event, without times and without what only one of the two knows.
fn said(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = match line["line"].as_str().unwrap() {
            "decided" => {
                let codes: Vec<&Value> =
                    line["reasons"].as_array().unwrap().iter().map(|why| &why["code"]).collect();
                format!(
                    "{} {} {} {} {} {} {codes:?}",
                    line["upon"],
                    line["outcome"],
                    line["status"],
                    line["class"],
                    line["factors"],
                    line["usd_cents"]
                )
            }
            "closed" => format!("closed {}", line["status"]),
            "refused" => "refused".to_owned(),
            // The wallet is played in process; over HTTP it is somebody else's process, and there is none here.
            _ => continue,
        };
        said.entry(line["event"].as_str().unwrap().to_owned()).or_default().push(text);
    }
    said
}

#[test]
fn a_file_is_decided_over_http_as_it_is_in_process() {
    let exchange = exchange();
    let server = fast(&exchange, "120");
    let (events, http, core) =
        (file(&exchange, "events.jsonl"), file(&exchange, "http.jsonl"), file(&exchange, "core.jsonl"));
    std::fs::write(&events, EVENTS).unwrap();
    let output = drive(&server, &events, &["--no-customers", "--decisions", http.to_str().unwrap()]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&output);
    assert_eq!(found["refused"].as_object().unwrap().len(), 4, "{found}");
    assert_eq!((&found["lost"], &found["events"]), (&0.into(), &52.into()), "{found}");

    let decided = Command::new(HOLDFAST)
        .args(["decide", "--no-staff", "--no-customers", "--after", "0", "--events"])
        .arg(&events)
        .args(["--config", file(&exchange, "exchange.toml").to_str().unwrap(), "--policy"])
        .arg(repository("policies/baseline"))
        .arg("--decisions")
        .arg(&core)
        .output()
        .unwrap();
    assert!(decided.status.success(), "{}", String::from_utf8_lossy(&decided.stderr));
    let (mut http, core) = (said(&http), said(&core));
    // Its destination is taken out of the book ten minutes after it was approved: in process it had been paid by then.
    let outlived = http.get_mut("w-a").unwrap().pop().unwrap();
    assert!(outlived.contains("destination_removed"), "{outlived}");
    assert_eq!(http, core);
    let all = |code: &str| http.values().flatten().any(|text| text.contains(code));
    for code in
        ["api_ip_not_allowed", "api_key_revoked", "account_frozen", "denied_by_staff", "halted", "bound"]
    {
        assert!(all(code), "{code} is nowhere: the file no longer shows what it is to show");
    }
}

/// Withdrawals of a hundred accounts within half an hour.
fn burst() -> String {
    let mut text = "{\"format\":\"holdfast-events/1\"}\n".to_owned();
    let mut line = |at: u32, id: &str, rest: &str| {
        let (minute, second) = (at / 60, at % 60);
        text.push_str(&format!(
            "{{\"at\":\"2026-03-02T00:{minute:02}:{second:02}Z\",\"id\":\"{id}\",{rest}}}\n"
        ));
    };
    line(0, "p", r#""type":"prices","prices":{"BTC":"5900","ETH":"170","USDT":"1"}"#);
    for n in 0..100 {
        line(0, &format!("o{n}"), &format!(r#""type":"open_account","account":"ac_{n}","tier":"full""#));
    }
    for n in 0..900 {
        let body = format!(
            r#""type":"request_withdrawal","account":"ac_{}","asset":"ETH","network":"ethereum","address":"0x{:040x}","amount":"0.1","channel":{{"session":{{}}}}"#,
            n % 100,
            n + 1_000
        );
        line(60 + n, &format!("w{n}"), &body);
    }
    text
}

fn wait(mut child: Child) -> Output {
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the drive does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_server_that_is_killed_while_it_is_driven_loses_no_event_and_takes_none_twice() {
    let exchange = exchange();
    let mut server = fast(&exchange, "120");
    let events = file(&exchange, "events.jsonl");
    std::fs::write(&events, burst()).unwrap();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let child = drive(&server, &events, &[]).spawn().unwrap();
    let count = |server: &Server| {
        let mut rows = 0;
        let mut cursor = String::new();
        loop {
            let page = server.get(&format!("/v1/withdrawals?limit=500&min-sequence=1{cursor}")).body;
            rows += page["items"].as_array().unwrap().len();
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    };
    while count(&server) < 100 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let token = server.token.clone();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    // Away for a moment, and back at the same address with a faster clock.
    std::thread::sleep(Duration::from_millis(300));
    let mut command = exchange.serve_command(HOLDFAST, &["--clock-rate", "240"]);
    let place = command.iter().position(|arg| arg == "127.0.0.1:0").unwrap();
    command[place] = address;
    let again = Server::start(&command, &token);
    let output = wait(child);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&output);
    assert_eq!((&found["lost"], &found["clock_rate"]), (&0.into(), &240.into()), "{found}");
    let asked: u64 = found["asked"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(asked, 900, "{found}");
    assert_eq!(count(&again), 900, "each is there once");
}

#[test]
fn what_cannot_be_driven_is_said_with_its_line_or_its_reason() {
    let exchange = exchange();
    let server = fast(&exchange, "60");
    let events = file(&exchange, "events.jsonl");
    let ended = |server: &Server, more: &[&str]| {
        let output = drive(server, &events, more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    std::fs::write(&events, "{\"format\":\"holdfast-events/1\"}\n{\"at\":\"2026-03-02T00:00:00Z\",\"id\":\"a\",\"type\":\"sing\"}\n")
        .unwrap();
    let (code, said) = ended(&server, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("type_unknown") && said.contains("line 2"), "{said}");
    assert_eq!(ended(&server, &["--skip-bad", "1"]).0, Some(0));

    std::fs::write(&events, EVENTS).unwrap();
    let mut stranger = server;
    let token = std::mem::replace(&mut stranger.token, "hf_nobody".to_owned());
    let (code, said) = ended(&stranger, &[]);
    assert!(code == Some(2) && said.contains("token_refused"), "{code:?} {said}");
    stranger.token = token;
    let decisions = file(&exchange, "no/such/directory");
    let (code, said) = ended(&stranger, &["--decisions", decisions.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("decisions_unwritable"), "{code:?} {said}");
    let mut gone = drive(&stranger, &events, &[]);
    drop(stranger);
    let gone = gone.output().unwrap();
    let said = String::from_utf8(gone.stderr).unwrap();
    assert!(gone.status.code() == Some(2) && said.contains("unreachable"), "{said}");
}

#[test]
fn what_operators_sign_in_a_file_is_signed_by_the_keys_that_are_here() {
    let exchange = exchange();
    let server = fast(&exchange, "60");
    for (number, name) in [(1u8, "alice"), (2, "bob")] {
        std::fs::write(file(&exchange, name), format!("{number:02x}").repeat(32)).unwrap();
    }
    let keys = ["alice", "bob"].map(|name| format!("{name}={}", file(&exchange, name).display()));
    let mut text = "{\"format\":\"holdfast-events/1\"}\n".to_owned();
    let lines = [
        r#""id":"p","type":"prices","prices":{"BTC":"5900","ETH":"170","USDT":"1"}"#,
        r#""id":"o","type":"open_account","account":"ac_1","tier":"full""#,
        r#""id":"c","type":"security_change","account":"ac_1","kind":"password""#,
        r#""id":"w","type":"request_withdrawal","account":"ac_1","asset":"ETH","network":"ethereum","address":"0x0000000000000000000000000000000000001000","amount":"0.1","channel":{"session":{}}"#,
        r#""id":"h","type":"approve_held","withdrawal":"w","operators":["alice","bob"]"#,
        r#""id":"l","type":"set_limits","account":"ac_1","usd_24h":"50.00","usd_30d":"500.50","operators":["alice"]"#,
        r#""id":"s","type":"halt","scope":"asset:BTC","by":"sam""#,
        r#""id":"r","type":"resume","scope":"asset:BTC","operators":["alice","bob"]"#,
        r#""id":"b","type":"raise_buckets","times":2,"operators":["alice","bob"]"#,
        r#""id":"n","type":"resume","scope":"asset:ETH","operators":["nobody"]"#,
    ];
    for line in lines {
        text.push_str(&format!("{{\"at\":\"2026-03-02T00:00:00Z\",{line}}}\n"));
    }
    let events = file(&exchange, "events.jsonl");
    std::fs::write(&events, text).unwrap();
    let output = drive(&server, &events, &["--operator", &keys[0], "--operator", &keys[1]]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&output);
    assert_eq!((&found["taken"], found["refused"].as_object().unwrap().len()), (&8.into(), 0), "{found}");
    assert_eq!(
        found["not_driven"].as_object().unwrap().len(),
        2,
        "one has no call, the other no key: {found}"
    );
    assert_eq!(found["asked"]["hold"], 1, "{found}");
    assert_eq!(found["withdrawals"].get("held"), None, "operators let it go on: {found}");
    assert_eq!(server.get("/v1/accounts/ac_1").body["usd_30d_max"], "500.50");
}

/// What is small dwells for half an hour; with more than a thousand dollars asked for in a day the owner's key is wanted.
const LATER: &str = r#"
@id("open") permit (principal, action == Action::"withdraw", resource);
@id("first") @outcome("dwell") @for("30m") @reason("new_destination")
forbid (principal, action == Action::"withdraw", resource) when { !context.destination.known };
@id("key") @outcome("step_up") @factor("passkey") @reason("account_has_credential")
forbid (principal, action == Action::"withdraw", resource) when { context.account.usd_cents_24h >= 100000 };
"#;

#[test]
fn customers_are_asked_when_a_dwell_ends_too() {
    let harbor = std::fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    let quick = harbor.replacen("[parameters]", "[parameters]\ncredential_ageing = \"10m\"", 1);
    let exchange = Exchange::new(&format!("{quick}{}", parties()), Some(LATER), &["--simulated-clock"]);
    let server = fast(&exchange, "240");
    let asked = |id: &str, amount: &str, to: u32| {
        format!(
            r#""at":"2026-03-02T00:11:00Z","id":"{id}","type":"request_withdrawal","account":"ada","asset":"ETH","network":"ethereum","address":"0x{to:040x}","amount":"{amount}","channel":{{"session":{{}}}}"#
        )
    };
    let lines = [
        r#""format":"holdfast-events/1""#.to_owned(),
        r#""at":"2026-03-02T00:00:00Z","id":"p","type":"prices","prices":{"BTC":"5900","ETH":"170","USDT":"1"}"#.to_owned(),
        r#""at":"2026-03-02T00:00:00Z","id":"o","type":"open_account","account":"ada","tier":"full""#.to_owned(),
        r#""at":"2026-03-02T00:00:00Z","id":"c","type":"add_credential","account":"ada","credential":"key""#.to_owned(),
        asked("small", "0.1", 1),
        asked("large", "10", 2),
    ];
    let events = file(&exchange, "events.jsonl");
    std::fs::write(&events, lines.map(|line| format!("{{{line}}}\n")).concat()).unwrap();
    let decisions = file(&exchange, "decisions.jsonl");
    let more = ["--after", "1", "--seed", "3", "--decisions", decisions.to_str().unwrap()];
    let output = drive(&server, &events, &more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = json(&output);
    let said = said(&decisions);
    let [asked, later, approved] = said["small"].as_slice() else { panic!("{said:?}") };
    assert!(asked.starts_with("\"request\" \"dwell\" \"dwelling\""), "{asked}");
    assert!(later.starts_with("\"time\" \"step_up\" \"awaiting_approval\""), "{later}");
    assert!(approved.starts_with("\"approval\" \"allow\" \"approved\""), "{approved}");
    assert_eq!(
        (&found["withdrawals"]["approved"], &found["customers_undone"]),
        (&2.into(), &0.into()),
        "{found}"
    );
}
