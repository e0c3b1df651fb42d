//! One operator tightens the live policy while withdrawals keep coming: at once, and every decision is wholly by one policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{ADDRESS, Exchange, OPEN, Server, agent, holdfast, send};

const BEFORE: &str = "@id(\"all\") permit (principal, action, resource);
@id(\"mark\") @outcome(\"dwell\") @for(\"1s\") @reason(\"marked\")
forbid (principal, action == Action::\"withdraw\", resource) when { context.amount_usd_cents > 0 };";
const OVERLAY: &str = "@id(\"tight-one\") @outcome(\"hold\") @reason(\"tight_one\")
forbid (principal, action == Action::\"withdraw\", resource) when { context.amount_usd_cents > 0 };
@id(\"tight-two\") @outcome(\"hold\") @reason(\"tight_two\")
forbid (principal, action == Action::\"withdraw\", resource) when { context.amount_usd_cents > 1 };";
const ACCOUNTS: usize = 40;
const CLIENTS: usize = 4;

/// Tightening is an act of the rules from version 3 on.
pub(crate) fn govern(exchange: &Exchange, server: &Server) {
    if server.get("/v1/policy").body["rules"].as_u64().unwrap() < 3 {
        let text = exchange.text(server.now(), "activate_rules", "-", "version=3", None);
        let answer = server.post("/v1/operator-acts", &exchange.signed(&text, &["alice", "bob"], None));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

struct Answered {
    id: String,
    at: Instant,
    reasons: BTreeSet<String>,
}

fn codes<'v>(reasons: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    let of_policies = reasons.into_iter().filter(|reason| !reason["policy"].is_null());
    of_policies.map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}

fn ask_on(server: &Server, client: usize, stop: &AtomicBool, answers: &Mutex<Vec<Answered>>) {
    let agent = agent();
    let (url, token) = (format!("{}/v1/withdrawals", server.url), format!("Bearer {}", server.token));
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (key, account) = (format!("{client}-{number}"), format!("load_{}", number % ACCOUNTS));
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", &key),
        ];
        let body = json!({
            "account": account, "asset": "BTC", "network": "bitcoin", "address": ADDRESS, "amount": "0.001",
            "channel": { "session": { "one_time_code": true } },
        });
        let answer = send(&agent, "POST", &url, &headers, body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        answers.lock().unwrap().push(Answered {
            id: answer.body["id"].as_str().unwrap().to_owned(),
            at: Instant::now(),
            reasons: codes(answer.body["reasons"].as_array().unwrap()),
        });
    }
}

#[test]
fn a_tightening_is_live_at_once_under_load_and_no_decision_is_lost_or_mixed() {
    let exchange = Exchange::new(OPEN, Some(BEFORE), &[]);
    let server = exchange.ready(&[]);
    govern(&exchange, &server);
    for number in 0..ACCOUNTS {
        let opened =
            server.post("/v1/accounts", &json!({ "account": format!("load_{number}"), "tier": "full" }));
        assert_eq!(opened.status, 201, "{}", opened.body);
    }
    let from = server.get("/v1/policy").body["hash"].as_str().unwrap().to_owned();
    let pack = json!({ "all.cedar": BEFORE, "overlay.cedar": OVERLAY });
    let files =
        [("all.cedar".to_owned(), BEFORE.to_owned()), ("overlay.cedar".to_owned(), OVERLAY.to_owned())];
    let compiled = holdfast_cedar::compile_pack(&files).unwrap();
    let hash = compiled.hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let payload = pack.to_string();
    let text = exchange.text(server.now(), "tighten_policy", &hash, &format!("from={from}"), Some(&payload));
    let act = exchange.signed(&text, &["carol"], Some(&payload));

    let stop = Arc::new(AtomicBool::new(false));
    let answers = Mutex::new(Vec::new());
    let (sent, live) = std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, stop, answers) = (&server, &stop, &answers);
            scope.spawn(move || ask_on(server, client, stop, answers));
        }
        std::thread::sleep(Duration::from_millis(700));
        let sent = Instant::now();
        let answer = server.post("/v1/operator-acts", &act);
        let live = Instant::now();
        std::thread::sleep(Duration::from_millis(700));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(answer.status, 200, "{}", answer.body);
        (sent, live)
    });
    assert_eq!(server.get("/v1/policy").body["hash"], hash.as_str());
    assert_eq!(server.stop(), Some(0));

    let answers = answers.into_inner().unwrap();
    let set = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<BTreeSet<String>>();
    let wanted = BTreeMap::from([
        (from.clone(), set(&["marked"])),
        (hash.clone(), set(&["marked", "tight_one", "tight_two"])),
    ]);
    let first = answers.iter().filter(|answer| answer.reasons == wanted[&hash]).map(|answer| answer.at).min();
    let first = first.expect("withdrawals came after it");
    eprintln!(
        "{} withdrawals; the act was answered after {} ms; the first decision under the new policy after {} ms",
        answers.len(),
        live.duration_since(sent).as_millis(),
        first.duration_since(sent).as_millis()
    );
    // Whatever was answered after the act's own answer had been asked under one policy or the other, and later ones under it.
    let late = answers.iter().filter(|answer| answer.at > live + Duration::from_millis(300));
    assert!(late.clone().count() > 0);
    assert!(late.clone().all(|answer| answer.reasons == wanted[&hash]));

    let data = exchange.data().display().to_string();
    let mut requested = BTreeSet::new();
    let mut decided = BTreeMap::from([(from.clone(), 0u64), (hash.clone(), 0)]);
    let mut order = Vec::new();
    for line in holdfast(&["journal", "export", "--data", &data, "--jsonl"]).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let policy = record["policy"].as_str().unwrap();
        for event in record["events"].as_array().unwrap() {
            match event["type"].as_str().unwrap() {
                "withdrawal_requested" => {
                    assert!(requested.insert(event["withdrawal"].as_str().unwrap().to_owned()), "twice");
                }
                "withdrawal_decided" => {
                    let codes = codes(event["decision"]["reasons"].as_array().unwrap());
                    assert_eq!(codes, wanted[policy], "record {}", record["sequence"]);
                    *decided.get_mut(policy).unwrap() += 1;
                    order.push(policy.to_owned());
                }
                _ => {}
            }
        }
    }
    let answered: BTreeSet<String> = answers.iter().map(|answer| answer.id.clone()).collect();
    assert_eq!(answered.len(), answers.len());
    assert!(answered.is_subset(&requested), "an answer without its record");
    assert_eq!(answered.len(), requested.len(), "a record without its answer");
    assert!(decided.values().all(|count| *count > 10), "{decided:?}");
    order.dedup();
    assert_eq!(order, [from, hash], "never back");

    let replayed: Value = serde_json::from_str(&holdfast(&["replay", "--data", &data, "--json"])).unwrap();
    assert_eq!(replayed["equal"], true, "{replayed}");
}

#[test]
fn the_commands_tighten_the_live_policy_and_the_log_tells_it_with_its_signature_verified() {
    let exchange = Exchange::new(OPEN, Some(BEFORE), &[]);
    let server = exchange.ready(&[]);
    govern(&exchange, &server);
    let path = |name: &str| exchange.dir.path().join(name).display().to_string();
    let data = exchange.data().display().to_string();
    std::fs::create_dir(path("tighter")).unwrap();
    std::fs::write(path("tighter/all.cedar"), BEFORE).unwrap();
    std::fs::write(path("tighter/overlay.cedar"), OVERLAY).unwrap();
    std::fs::create_dir(path("looser")).unwrap();
    std::fs::write(path("looser/all.cedar"), "@id(\"all\") permit (principal, action, resource);").unwrap();
    std::fs::write(path("carol.key"), "03".repeat(32)).unwrap();

    let (out, payload) = (path("tighten.txt"), path("pack.json"));
    let refused = std::process::Command::new(crate::server::HOLDFAST)
        .args([
            "policy",
            "tighten",
            &path("looser"),
            "--data",
            &data,
            "--out",
            &out,
            "--payload-out",
            &payload,
        ])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("policy_not_tighter"));
    holdfast(&[
        "policy",
        "tighten",
        &path("tighter"),
        "--data",
        &data,
        "--out",
        &out,
        "--payload-out",
        &payload,
    ]);
    let signature = holdfast(&["operator", "sign", "--key", &path("carol.key"), &out]);
    let signature = format!("carol={}", signature.trim());
    let at = ["--url", &server.url, "--token", &server.token];
    let sent =
        [&["operator", "send", &out, "--payload", &payload, "--signature", &signature], &at[..]].concat();
    let sent: Value = serde_json::from_str(&holdfast(&sent)).unwrap();
    assert_eq!(sent["in_effect"], true, "{sent}");

    let of_server: Value =
        serde_json::from_str(&holdfast(&[&["policy", "log", "--json"], &at[..]].concat())).unwrap();
    let of_data: Value =
        serde_json::from_str(&holdfast(&["policy", "log", "--json", "--data", &data])).unwrap();
    assert_eq!(of_server["policies"], of_data["policies"]);
    let eras = of_data["policies"].as_array().unwrap();
    assert_eq!(eras.len(), 2);
    assert_eq!((&eras[0]["how"], &eras[1]["how"]), (&"initial".into(), &"tightened".into()));
    assert_eq!((&eras[0]["until"], &eras[1]["until"]), (&eras[1]["since"], &Value::Null));
    assert_eq!(eras[1]["from"], eras[0]["hash"]);
    assert_eq!(eras[1]["approvals"][0]["operator"], "carol");
    assert!(eras.iter().all(|era| era["verified"] == true), "{of_data}");
    let text = holdfast(&["policy", "log", "--data", &data]);
    assert!(text.contains("signed by carol (signature verified)"), "{text}");
    assert!(text.contains(", 1 of 1 operators counted\n  verified\n"), "{text}");

    // A proposal with its back-test: signed and sent it stands open, until anyone trusted takes it back.
    let (out, payload) = (path("propose.txt"), path("proposal.json"));
    let told = holdfast(&[
        "policy",
        "propose",
        &path("looser"),
        "--data",
        &data,
        "--reason",
        "no marks",
        "--backtest",
        "--out",
        &out,
        "--payload-out",
        &payload,
    ]);
    assert!(told.contains("holdfast operator send"), "{told}");
    let proposal: Value = serde_json::from_slice(&std::fs::read(&payload).unwrap()).unwrap();
    assert_eq!(
        (&proposal["reason"], &proposal["report"]["backtest"]["partial"]),
        (&"no marks".into(), &false.into())
    );
    let signature = holdfast(&["operator", "sign", "--key", &path("carol.key"), &out]);
    let signature = format!("carol={}", signature.trim());
    holdfast(
        &[&["operator", "send", &out, "--payload", &payload, "--signature", &signature], &at[..]].concat(),
    );
    let log: Value = serde_json::from_str(&holdfast(&["policy", "log", "--json", "--data", &data])).unwrap();
    assert_eq!(
        (&log["proposals"][0]["author"], &log["proposals"][0]["reason"]),
        (&"carol".into(), &"no marks".into())
    );
    let nonce = log["proposals"][0]["nonce"].as_str().unwrap();
    holdfast(&[&["operator", "stop", nonce], &at[..]].concat());
    let log: Value =
        serde_json::from_str(&holdfast(&[&["policy", "log", "--json"], &at[..]].concat())).unwrap();
    assert_eq!(log["proposals"], json!([]));
}

#[test]
fn a_policy_that_no_good_signature_brought_is_named_by_the_log() {
    let exchange = Exchange::new(OPEN, Some(BEFORE), &[]);
    let data = exchange.data();
    let reader = holdfast_journal::LocalReader::open(&data).unwrap();
    let first = reader.read(1, 1).unwrap().remove(0);
    drop(reader);
    let mut history = holdfast_server::history::History::default();
    history.take(&first).unwrap();
    assert!(history.eras()[0].verified && history.eras()[0].how == "initial");
    // An activation of which the journal holds a text and signatures of nobody.
    let pack =
        holdfast_cedar::compile_pack(&[("all.cedar".to_owned(), OVERLAY.to_owned() + BEFORE)]).unwrap();
    let source = holdfast_decision::command::PolicySource {
        hash: pack.hash,
        files: pack.files.clone(),
        program: pack.program.to_bytes(),
        compiler: None,
    };
    let forged = holdfast_journal::Record {
        sequence: 2,
        command: minicbor::to_vec(holdfast_decision::command::Command::Tick).unwrap(),
        events: minicbor::to_vec(vec![holdfast_decision::event::Event::PolicyActivated(Box::new(source))])
            .unwrap(),
        ..first
    };
    history.take(&forged).unwrap();
    let last = history.eras().last().unwrap();
    assert!(!last.verified && last.approvals.is_empty());
    assert_eq!(history.last(), 2);
}
