//! Webhooks reach a real listener, signed, in order, at least once, and go on where they were.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use holdfast_decision::command::ChainStatus;
use holdfast_server::outbox::{Endpoint, MESSAGES, Outbox, Patience, Roots, webhooks_markdown};
use holdfast_server::views::{Follower, Signal, Views};
use holdfast_values::WithdrawalId;
use ring::hmac;
use serde_json::Value;

use crate::fixture::Books;
use crate::payments::{Spend, is_released};
use crate::world::account;

/// `whsec_` and the base64 of `KEY`.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A receiver that verifies what it gets and fails as often as it is told to.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(String, Value)>>>,
    failures: Arc<AtomicU32>,
    attempts: Arc<AtomicU32>,
}

impl Receiver {
    async fn listen(&self) -> (String, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks?from=holdfast", listener.local_addr().unwrap());
        let receiver = self.clone();
        let handler = move |headers: HeaderMap, body: Bytes| {
            let receiver = receiver.clone();
            async move { receiver.take(&headers, &body) }
        };
        let app = axum::Router::new().route("/hooks", post(handler));
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        (url, task)
    }

    fn take(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let header = |name: &str| headers[name].to_str().unwrap();
        // Verified by hand, from the specification: not by the library that signed.
        let signed = [header("webhook-id"), ".", header("webhook-timestamp"), "."].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
        let tag = hmac::sign(&key, &[signed.as_bytes(), body].concat());
        assert_eq!(header("webhook-signature"), format!("v1,{}", base64(tag.as_ref())));
        assert_eq!(header("content-type"), "application/json");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(header("webhook-timestamp").parse().unwrap()) < 60);
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        self.got.lock().unwrap().push((header("webhook-id").to_owned(), body));
        StatusCode::NO_CONTENT
    }

    fn ids(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(_, body)| body["type"].as_str().unwrap().to_owned()).collect()
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .map(|chunk| {
            let mut word = [0_u8; 4];
            word[1..=chunk.len()].copy_from_slice(chunk);
            let word = u32::from_be_bytes(word);
            (0..4)
                .map(|place| match place <= chunk.len() {
                    true => char::from(LETTERS[(word >> (18 - 6 * place) & 63) as usize]),
                    false => '=',
                })
                .collect::<String>()
        })
        .collect()
}

fn patience() -> Patience {
    Patience {
        attempt: Duration::from_secs(2),
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(40),
    }
}

fn start(books: &Books, views: &Arc<Views>, url: &str, kinds: &[&str]) -> Outbox {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let endpoint = Endpoint::new("backend", url, SECRET, &kinds).unwrap();
    let roots = Roots::of_system().unwrap();
    Outbox::start(books.path(), vec![endpoint], views, || books.journal.reader(), &roots, patience()).unwrap()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

fn follow(books: &Books) -> (Follower, Arc<Views>) {
    Follower::start(books.path(), books.journal.reader().unwrap(), Signal::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_happens_signed_and_in_order() {
    let mut books = Books::new();
    let (_follower, views) = follow(&books);
    let receiver = Receiver::default();
    let (url, _server) = receiver.listen().await;
    let outbox = start(&books, &views, &url, &[]);
    books.ordinary_day();
    let head = books.head();
    until("delivered", || outbox.statuses()[0].delivered_sequence == head).await;
    let status = outbox.statuses().remove(0);
    assert!(status.is_well() && status.lag() == 0 && status.delivered_total > 20, "{status:?}");

    let kinds: BTreeSet<String> = receiver.kinds().into_iter().collect();
    for kind in [
        "withdrawal.decided",
        "withdrawal.awaiting_approval",
        "withdrawal.approved",
        "withdrawal.held",
        "withdrawal.denied",
        "withdrawal.cancelled",
        "withdrawal.lapsed",
        "case.opened",
        "case.approved",
        "notice.address_recorded",
        "notice.security_changed",
        "account.frozen",
        "halt.started",
        "halt.ended",
    ] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
    assert!(kinds.iter().all(|kind| MESSAGES.iter().any(|known| known.name == kind)));
    let order: Vec<(u64, u32)> = receiver.ids().iter().map(|id| place(id)).collect();
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    let got = receiver.got.lock().unwrap();
    let (_, opened) = got.iter().find(|(_, body)| body["type"] == "case.opened").unwrap();
    let data = &opened["data"];
    assert_eq!((data["account"].as_str(), data["amount"].as_str()), (Some("ac_1"), Some("9.00000000")));
    assert_eq!(data["withdrawal"], books.id("held").to_string());
    assert!(opened["timestamp"].as_str().unwrap().starts_with("2026-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_of_releases_and_of_what_became_of_them() {
    let mut books = Books::paying();
    let (_follower, views) = follow(&books);
    let receiver = Receiver::default();
    let (url, _server) = receiver.listen().await;
    let outbox = start(&books, &views, &url, &["transaction.released", "withdrawal.released"]);
    // More messages of one event than the places that events have by themselves.
    let ids: Vec<_> = (0..7).map(|number| books.approved(&format!("w{number}"), "0.01")).collect();
    let spend = Spend { number: 1, coin: 1 };
    assert!(is_released(&books.propose(spend, &ids)));
    books.write();
    let head = books.head();
    until("delivered", || outbox.statuses()[0].delivered_sequence == head).await;
    let places: Vec<(u64, u32)> = receiver.ids().iter().map(|id| place(id)).collect();
    assert_eq!(places, (0..8).map(|index| (head, index)).collect::<Vec<_>>());
    assert_eq!(receiver.kinds()[0], "transaction.released");
    assert!(receiver.kinds()[1..].iter().all(|kind| kind == "withdrawal.released"));
    let told: Vec<Value> = receiver.got.lock().unwrap()[1..]
        .iter()
        .map(|(_, body)| body["data"]["withdrawal"].clone())
        .collect();
    assert_eq!(told, ids.iter().map(|id| Value::from(id.to_string())).collect::<Vec<_>>());
    drop(outbox);

    let rest = Receiver::default();
    let (url, _server) = rest.listen().await;
    let endpoint = Endpoint::new("rest", &url, SECRET, &[]).unwrap();
    let roots = Roots::of_system().unwrap();
    let outbox =
        Outbox::start(books.path(), vec![endpoint], &views, || books.journal.reader(), &roots, patience())
            .unwrap();
    books.observe(spend, ChainStatus::Pending, 0);
    books.observe(spend, ChainStatus::Included, 1);
    books.observe(spend, ChainStatus::Included, 6);
    let foreign = Spend { number: 2, coin: 2 };
    books.observe(foreign, ChainStatus::Included, 1);
    books.begin_epoch(&[(WithdrawalId(77), Spend { number: 3, coin: 3 })], &[]);
    books.write();
    let head = books.head();
    until("delivered", || outbox.statuses()[0].delivered_sequence == head).await;
    let count = |kind: &str| rest.kinds().iter().filter(|told| *told == kind).count();
    for (kind, times) in [
        ("withdrawal.broadcast", 7),
        ("withdrawal.confirmed", 7),
        ("withdrawal.paid", 7),
        ("chain.alarm", 1),
        ("halt.started", 1),
        ("epoch.begun", 2),
        ("spend.recovered", 1),
    ] {
        assert_eq!(count(kind), times, "{kind} in {:?}", rest.kinds());
    }
    let order: Vec<(u64, u32)> = rest.ids().iter().map(|id| place(id)).collect();
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    let got = rest.got.lock().unwrap();
    let data = |kind: &str| got.iter().find(|(_, body)| body["type"] == kind).unwrap().1["data"].clone();
    assert_eq!(data("withdrawal.paid")["chain_id"], spend.chain_id_text());
    assert_eq!(data("withdrawal.paid")["confirmations"], 6);
    assert_eq!(data("chain.alarm")["transaction"], foreign.chain_id_text());
    assert_eq!(data("chain.alarm")["wallet"], "hot-btc");
    assert_eq!(data("epoch.begun")["by"], serde_json::json!(["alice", "bob"]));
    let lost = data("spend.recovered");
    assert_eq!((lost["account"].as_str(), lost["amount"].as_str()), (Some("ac_1"), Some("0.50000000")));
    assert_eq!(lost["is_lost"], true);
}

fn place(id: &str) -> (u64, u32) {
    let parts: Vec<&str> = id.strip_prefix("msg_").unwrap().split('_').collect();
    assert_eq!(parts[2].len(), 8, "the beginning of the record's hash");
    (parts[0].parse().unwrap(), parts[1].parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_again_until_it_arrives_and_says_so_meanwhile() {
    let mut books = Books::new();
    let (_follower, views) = follow(&books);
    let receiver = Receiver::default();
    receiver.failures.store(u32::MAX, Ordering::SeqCst);
    let (url, _server) = receiver.listen().await;
    let outbox = start(&books, &views, &url, &["halt.started"]);
    books.world.say(holdfast_decision::Command::Halt {
        scope: holdfast_decision::command::Scope::Overall,
        by: "desk".parse().unwrap(),
    });
    books.write();
    until("failing", || outbox.statuses()[0].failing_attempts >= 3).await;
    let status = outbox.statuses().remove(0);
    assert!(!status.is_well());
    assert_eq!(status.last_error.as_deref(), Some("it answered 500"));
    assert!(
        outbox.metrics().contains("holdfast_webhook_up{endpoint=\"backend\"} 0\n"),
        "{}",
        outbox.metrics()
    );
    receiver.failures.store(0, Ordering::SeqCst);
    until("well again", || outbox.statuses()[0].is_well()).await;
    until("told", || receiver.kinds() == ["halt.started"]).await;
    let data = receiver.got.lock().unwrap()[0].1["data"].clone();
    assert_eq!((data["scope"].as_str(), data["by"][0].as_str()), (Some("overall"), Some("desk")));
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_where_it_was_after_a_restart() {
    let mut books = Books::new();
    let (_follower, views) = follow(&books);
    let receiver = Receiver::default();
    let (url, server) = receiver.listen().await;
    let outbox = start(&books, &views, &url, &[]);
    books.customer("ac_1");
    books.world.withdraw("one", "ac_1", "BTC", "0.01", "old");
    books.write();
    let head = books.head();
    until("delivered", || outbox.statuses()[0].delivered_sequence == head).await;
    let before = receiver.ids();
    drop(outbox);
    server.abort();

    // Meanwhile nobody listens, and then nobody sends.
    books.world.withdraw("two", "ac_1", "BTC", "0.01", "old");
    books.write();
    let outbox = start(&books, &views, &url, &[]);
    until("failing", || outbox.statuses()[0].failing_attempts > 0).await;
    assert!(outbox.statuses()[0].last_error.as_deref().unwrap().starts_with("cannot connect"));
    drop(outbox);
    let (url, _server) = receiver.listen().await;
    let outbox = start(&books, &views, &url, &[]);
    let head = books.head();
    until("delivered", || outbox.statuses()[0].delivered_sequence == head).await;
    let after = receiver.ids();
    assert_eq!(after[..before.len()], before);
    assert!(after.len() > before.len());
    let unique: BTreeSet<&String> = after.iter().collect();
    assert_eq!(unique.len(), after.len(), "nothing was told twice by an orderly restart");
    let last = receiver.got.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(last["data"]["withdrawal"], books.id("two").to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_holds_up_neither_others_nor_the_views() {
    let mut books = Books::new();
    let (_follower, views) = follow(&books);
    // Accepts connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let receiver = Receiver::default();
    let (url, _server) = receiver.listen().await;
    let endpoints = vec![
        Endpoint::new("silent", &silent_url, SECRET, &[]).unwrap(),
        Endpoint::new("well", &url, SECRET, &[]).unwrap(),
    ];
    let roots = Roots::of_system().unwrap();
    let quick = Patience { attempt: Duration::from_millis(50), ..patience() };
    let outbox =
        Outbox::start(books.path(), endpoints, &views, || books.journal.reader(), &roots, quick).unwrap();
    books.ordinary_day();
    let head = books.head();
    views.wait_for(head, Duration::from_secs(5)).await.unwrap();
    until("delivered", || outbox.statuses()[1].delivered_sequence == head).await;
    until("timed out", || outbox.statuses()[0].last_error.as_deref() == Some("no answer in time")).await;
    assert!(outbox.statuses()[0].lag() > 0);
}

#[tokio::test]
async fn endpoints_are_checked_before_anything_is_sent() {
    for (url, secret, kinds, problem) in [
        ("https://a.example/", "whsec_", vec![], "secret"),
        ("https://a.example/", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", vec![], "secret"),
        ("https://a.example/", "whsec_MDEyMzQ1Njc4OWFi", vec![], "24 to 64"),
        ("http://a.example/", SECRET, vec![], "without TLS"),
        ("ftp://a.example/", SECRET, vec![], "https://"),
        ("https://user:word@a.example/", SECRET, vec![], "password"),
        ("/hooks", SECRET, vec![], "https://"),
        ("https://a.example/", SECRET, vec!["withdrawal.sung".to_owned()], "withdrawal.sung"),
    ] {
        let error = Endpoint::new("e", url, secret, &kinds).unwrap_err();
        assert_eq!(error.code(), "webhook_endpoint_invalid");
        let text = error.to_string();
        assert!(text.contains(problem), "{text}");
        assert!(!text.contains("MDEy") && !text.contains("word@"), "{text}");
    }
    assert!(Endpoint::new("e", "https://a.example", SECRET, &[]).is_ok());
    assert!(Endpoint::new("e", "http://[::1]:9/x", SECRET, &[]).is_ok());
}

#[test]
fn the_page_lists_every_message_with_an_example() {
    let page = webhooks_markdown();
    for kind in MESSAGES {
        let section = page.split("### ").find(|part| part.starts_with(&format!("`{}`", kind.name))).unwrap();
        assert!(section.contains("```json"), "{} has no example", kind.name);
        assert!(section.contains(&format!("\"type\": \"{}\"", kind.name)));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks.md");
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/webhooks.md differs from the code: run this test with HOLDFAST_BLESS=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_journal_that_lacks_what_an_endpoint_was_told() {
    let mut books = Books::new();
    let (_follower, views) = follow(&books);
    let receiver = Receiver::default();
    let (url, _server) = receiver.listen().await;
    drop(start(&books, &views, &url, &[]));
    books.world.say(holdfast_decision::Command::OpenAccount {
        account: account("ac_9"),
        tier: "full".parse().unwrap(),
    });
    books.write();
    let connection = rusqlite::Connection::open(books.path().join("outbox.db")).unwrap();
    connection.execute("UPDATE endpoints SET next_sequence = 9999", []).unwrap();
    let endpoint = Endpoint::new("backend", &url, SECRET, &[]).unwrap();
    let roots = Roots::of_system().unwrap();
    let error =
        Outbox::start(books.path(), vec![endpoint], &views, || books.journal.reader(), &roots, patience())
            .unwrap_err();
    assert_eq!(error.code(), "journal_cut");
}
