//! kill -9 at random moments under load: nothing acknowledged is lost, no reservation leaks or doubles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Exchange, Server, agent, holdfast, send, withdrawal};

const ROUNDS: u64 = 20;
const CLIENTS: u64 = 6;

/// What clients were told: withdrawal, status by key.
#[derive(Default)]
struct Told {
    by_key: BTreeMap<String, (String, String)>,
    /// Keys whose request was sent and got no answer.
    unanswered: Vec<(u64, String)>,
    sequence: u64,
}

/// An account has only so many open withdrawals: each client has one of its own.
fn account(number: u64) -> String {
    format!("ac_{number}")
}

fn body(number: u64) -> Value {
    let mut body = withdrawal("0.001");
    body["account"] = json!(account(number));
    body
}

fn client(
    server: &Server,
    number: u64,
    round: u64,
    stop: &AtomicBool,
    told: &Mutex<Told>,
    count: &AtomicU64,
) {
    let agent = agent();
    let authorization = format!("Bearer {}", server.token);
    let url = |path: &str| format!("{}{path}", server.url);
    let mut next = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("r{round}-c{number}-{next}");
        next += 1;
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", &key),
        ];
        let body = body(number).to_string();
        let Ok(answer) = send(&agent, "POST", &url("/v1/withdrawals"), &headers, body.as_bytes()) else {
            told.lock().unwrap().unanswered.push((number, key));
            return;
        };
        assert_eq!(answer.status, 201, "{}", answer.body);
        count.fetch_add(1, Ordering::Relaxed);
        let id = answer.body["id"].as_str().unwrap().to_owned();
        let mut status = answer.body["status"].as_str().unwrap().to_owned();
        let sequence: u64 = answer.header("holdfast-sequence").unwrap().parse().unwrap();
        {
            let mut told = told.lock().unwrap();
            told.sequence = told.sequence.max(sequence);
            told.by_key.insert(key.clone(), (id.clone(), status.clone()));
        }
        // Most are taken back at once.
        if !next.is_multiple_of(4) {
            let path = url(&format!("/v1/withdrawals/{id}/cancel"));
            let body = json!({ "account": account(number) }).to_string();
            match send(&agent, "POST", &path, &headers[..2], body.as_bytes()) {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    status = "cancelled".to_owned();
                }
                // Cancelled or not: unknown.
                Err(_) => status = "unknown".to_owned(),
            }
            told.lock().unwrap().by_key.insert(key, (id, status));
        }
    }
}

/// All withdrawals as the views have them.
fn everything(server: &Server) -> BTreeMap<String, Value> {
    let sequence = server.get("/health").body["sequence"].as_u64().unwrap();
    let (mut all, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        // The views may have to catch up first; that takes as long as it takes.
        let page = server.get(&format!("/v1/withdrawals?limit=500&min-sequence={sequence}{cursor}"));
        if page.status == 503 {
            continue;
        }
        for row in page.body["items"].as_array().unwrap() {
            all.insert(row["id"].as_str().unwrap().to_owned(), row.clone());
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Satoshi in the unvouched bucket.
fn available(server: &Server) -> u64 {
    let buckets = server.get("/v1/buckets").body;
    let text = buckets["assets"][0]["buckets"][2]["available"].as_str().unwrap().replace('.', "");
    text.parse().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_nine() {
    let exchange = Exchange::open(&[]);
    let config = exchange.dir.path().join("server.toml");
    // Snapshots happen under load, too.
    std::fs::write(&config, "snapshot_every = 300\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut server = exchange.ready(&arguments);
    for number in (0..CLIENTS).filter(|number| *number != 1) {
        let opened = server.post("/v1/accounts", &json!({ "account": account(number), "tier": "full" }));
        assert_eq!(opened.status, 201, "{}", opened.body);
    }
    let token = server.token.clone();
    let told = Arc::new(Mutex::new(Told::default()));
    let count = AtomicU64::new(0);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    for round in 0..ROUNDS {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (server, stop, told, count) = (&server, &stop, &*told, &count);
                scope.spawn(move || client(server, number, round, stop, told, count));
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_millis(20 + random % 250));
            super::server::signal_process(server.child.id(), "KILL");
            stop.store(true, Ordering::Relaxed);
        });
        server.kill();
        server = exchange.serve(&arguments);
        server.token.clone_from(&token);

        let head = server.get("/health").body["sequence"].as_u64().unwrap();
        let mut told = told.lock().unwrap();
        assert!(
            head >= told.sequence,
            "round {round}: the journal ends at {head}, acknowledged was {}",
            told.sequence
        );
        let all = everything(&server);
        for (key, (id, status)) in &mut told.by_key {
            let row = all
                .get(id)
                .unwrap_or_else(|| panic!("round {round}: {key} {id} was acknowledged and is lost"));
            if status == "unknown" {
                *status = row["status"].as_str().unwrap().to_owned();
            }
            assert_eq!(row["status"], *status, "round {round}: {key} {id}");
        }
        // Asking again with the same key gives one withdrawal, whether the first request was decided or not.
        for (number, key) in std::mem::take(&mut told.unanswered) {
            let answer = server.withdraw(&key, &body(number));
            assert_eq!(answer.status, 201, "{}", answer.body);
            let again = server.withdraw(&key, &body(number));
            assert_eq!((again.text, again.headers.get("idempotent-replay").is_some()), (answer.text, true));
            let status = answer.body["status"].as_str().unwrap().to_owned();
            told.by_key.insert(key, (answer.body["id"].as_str().unwrap().to_owned(), status));
        }
        // What is missing from the bucket is what open withdrawals hold: nothing leaked, nothing counted twice.
        let all = everything(&server);
        assert_eq!(all.len(), told.by_key.len(), "round {round}: one withdrawal for each key");
        let open = all.values().filter(|row| row["status"] == "approved").count() as u64;
        assert_eq!(
            available(&server),
            100_000_000_000_000 - open * 100_000,
            "round {round}: {open} are open"
        );
    }
    assert!(count.load(Ordering::Relaxed) > ROUNDS, "there was load: {count:?}");
    assert_eq!(server.stop(), Some(0));
    let data = exchange.data();
    let data = data.to_str().unwrap();
    assert!(holdfast(&["journal", "verify", "--data", data]).contains("intact"));
    holdfast(&["replay", "--data", data]);
    eprintln!("{} withdrawals acknowledged over {ROUNDS} kills", count.load(Ordering::Relaxed));
}
