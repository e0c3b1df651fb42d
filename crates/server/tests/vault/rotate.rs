//! Rotation while a server serves, and while the process that rotates is killed.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holdfast_server::vault::{Kek, Vault, status};
use ring::hmac;
use serde_json::json;

use crate::files::{account, holds_any, wrapped};
use crate::server::{ADDRESS, Exchange, HOLDFAST, Server, holdfast};

const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const IP: &str = "203.0.113.7";
/// Accounts with an API key, and data keys that nobody asks for.
const CUSTOMERS: u32 = 60;
const OTHERS: u32 = 400;

/// The key of every request is verified with a secret from the vault: the answer says whether that could be had.
pub(crate) fn signed_withdrawal(server: &Server, account: &str, key: &str) -> (u16, String) {
    static AMOUNT: AtomicU32 = AtomicU32::new(1);
    let amount = format!("0.{:08}", AMOUNT.fetch_add(1, Ordering::Relaxed));
    let amount = amount.trim_end_matches('0');
    let ms = server.now().0 / 1_000;
    let query =
        format!("coin=BTC&network=BTC&address={ADDRESS}&amount={amount}&timestamp={ms}&recvWindow=60000");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), query.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({
        "account": account, "asset": "BTC", "network": "bitcoin", "address": ADDRESS, "amount": amount,
        "channel": { "api_request": {
            "dialect": "binance", "method": "POST", "path": "/sapi/v1/capital/withdraw/apply",
            "query": format!("{query}&signature={hex}"), "headers": [["X-MBX-APIKEY", key]], "client_ip": IP,
        } },
    });
    let answer = server.withdraw(&format!("{account}-{amount}"), &body);
    (answer.status, answer.text)
}

pub(crate) fn customer(server: &Server, account: &str, key: &str) {
    let opened = server.post("/v1/accounts", &json!({ "account": account, "tier": "full" }));
    assert_eq!(opened.status, 201, "{}", opened.body);
    let body =
        json!({ "scopes": ["withdraw"], "ip_allowlist": [IP], "algorithm": "hmac_sha256", "secret": SECRET });
    let path = format!("/v1/accounts/{account}/api-keys/{key}");
    let put = server.call("PUT", &path, &[], body.to_string().as_bytes());
    assert_eq!(put.status, 200, "{}", put.body);
}

fn new_key(exchange: &Exchange, name: &str) -> String {
    let source = format!("file:{}", exchange.dir.path().join(name).display());
    holdfast(&["vault", "make-key", &source]);
    source
}

fn under(exchange: &Exchange, id: i64) -> u64 {
    let keks = status(&exchange.data().join("vault.db")).unwrap();
    keks.iter().find(|kek| kek.id == id).map_or(0, |kek| kek.data_keys)
}

#[test]
fn a_server_goes_on_while_its_key_is_rotated_and_the_rotation_is_killed() {
    let exchange = Exchange::open(&[]);
    let path = exchange.data().join("vault.db");
    let kek = Kek::from_file(&exchange.data().join("keys/kek")).unwrap();
    let vault = Vault::open(&path, &kek).unwrap();
    let others: Vec<_> = (0..OTHERS).map(|n| account(&format!("other_{n}"))).collect();
    vault.ensure_keys(&others).unwrap();
    let blob = vault.seal(&others[17], "p", b"sealed before").unwrap();
    drop(vault);
    let server = exchange.ready(&[]);
    for n in 0..CUSTOMERS {
        customer(&server, &format!("c_{n}"), &format!("key-{n}"));
    }
    let backend = server.token.clone();
    assert_eq!(server.stop(), Some(0));
    // A server that has no data key in memory: each first request of an account unwraps one.
    let mut server = exchange.serve(&[]);
    server.token = backend;
    server.price("5900.00");
    let before = wrapped(&path);
    let to = new_key(&exchange, "second");
    let data = exchange.data().display().to_string();
    let rotate = ["vault", "rotate", "--data", &data, "--to", &to, "--batch", "1"];

    let (ended, asked, added) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let n = asked.fetch_add(1, Ordering::Relaxed) * 7 % CUSTOMERS;
                let (status, text) = signed_withdrawal(&server, &format!("c_{n}"), &format!("key-{n}"));
                assert_eq!(status, 201, "{text}");
            }
        });
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let n = added.fetch_add(1, Ordering::Relaxed);
                customer(&server, &format!("new_{n}"), &format!("new-key-{n}"));
            }
        });
        // Killed three times on its way, each time later.
        for goal in [20, 120, 250] {
            let mut child = Command::new(HOLDFAST)
                .args(rotate)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while under(&exchange, 2) < goal {
                assert!(
                    child.try_wait().unwrap().is_none() && Instant::now() < deadline,
                    "it ended too early"
                );
                std::thread::sleep(Duration::from_millis(2));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(under(&exchange, 1) > 0 && under(&exchange, 2) >= goal);
        }
        // A server that is started now, in the middle, holds both.
        let said = holdfast(&rotate);
        assert!(said.contains("[kek]") && said.contains("second"), "{said}");
        let settled = asked.load(Ordering::Relaxed);
        while asked.load(Ordering::Relaxed) < settled + 2 * CUSTOMERS {
            std::thread::sleep(Duration::from_millis(10));
        }
        ended.store(true, Ordering::Relaxed);
    });
    let (asked, added) = (asked.into_inner(), added.into_inner());
    assert!(asked > 3 * CUSTOMERS && added > 10, "{asked} requests, {added} new accounts");
    assert_eq!(under(&exchange, 1), 0);
    assert_eq!(under(&exchange, 2), u64::from(OTHERS + CUSTOMERS + added));
    assert!(!holds_any(&path, &before), "an old wrapping is still in the file");
    assert!(!server.log().contains("\"ERROR\""), "{}", server.log());

    // The configuration still names the old key: a restart follows its word. Then the new one, with the old one gone.
    let backend = server.token.clone();
    server.kill();
    let mut server = exchange.serve(&[]);
    server.token.clone_from(&backend);
    server.price("5900.00");
    assert!(server.log().contains("retired"), "{}", server.log());
    assert_eq!(signed_withdrawal(&server, "c_3", "key-3").0, 201);
    assert_eq!(server.stop(), Some(0));
    std::fs::write(exchange.data().join("holdfast.toml"), format!("[kek]\nfile = '{}'\n", &to[5..])).unwrap();
    std::fs::remove_file(exchange.data().join("keys/kek")).unwrap();
    let mut server = exchange.serve(&[]);
    server.token = backend;
    server.price("5900.00");
    for n in 0..CUSTOMERS {
        assert_eq!(signed_withdrawal(&server, &format!("c_{n}"), &format!("key-{n}")).0, 201);
    }
    assert_eq!(server.stop(), Some(0));
    let kek = Kek::from_file(to[5..].as_ref()).unwrap();
    let vault = Vault::open(&path, &kek).unwrap();
    assert_eq!(vault.unseal(&others[17], "p", &blob).unwrap().as_slice(), b"sealed before");
}

#[test]
fn a_server_started_in_the_middle_holds_both_keys() {
    let exchange = Exchange::open(&[]);
    let kek = Kek::from_file(&exchange.data().join("keys/kek")).unwrap();
    let vault = Vault::open(&exchange.data().join("vault.db"), &kek).unwrap();
    let others: Vec<_> = (0..OTHERS).map(|n| account(&format!("other_{n}"))).collect();
    vault.ensure_keys(&others).unwrap();
    drop(vault);
    let server = exchange.ready(&[]);
    customer(&server, "a_first", "key-1");
    customer(&server, "z_last", "key-2");
    let backend = server.token.clone();
    server.kill();
    let to = new_key(&exchange, "second");
    let data = exchange.data().display().to_string();
    let rotate = ["vault", "rotate", "--data", &data, "--to", &to, "--batch", "1"];
    let mut child = Command::new(HOLDFAST).args(rotate).stdout(Stdio::null()).spawn().unwrap();
    while under(&exchange, 2) < 30 {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let mut server = exchange.serve(&[]);
    server.token = backend;
    server.price("5900.00");
    for (account, key) in [("a_first", "key-1"), ("z_last", "key-2")] {
        assert_eq!(signed_withdrawal(&server, account, key).0, 201);
    }
    holdfast(&rotate);
    assert_eq!(under(&exchange, 1), 0);
    assert_eq!(signed_withdrawal(&server, "z_last", "key-2").0, 201);
}

#[test]
fn a_key_that_the_server_cannot_have_changes_nothing() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    customer(&server, "c_1", "key-1");
    let data = exchange.data().display().to_string();
    let output = Command::new(HOLDFAST)
        .args(["vault", "rotate", "--data", &data, "--to", "env:HOLDFAST_TEST_KEK"])
        .env("HOLDFAST_TEST_KEK", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.starts_with("error: vault_rotation_refused: "), "{error}");
    assert!(server.log().contains("vault_key_missing"), "{}", server.log());
    assert_eq!(signed_withdrawal(&server, "c_1", "key-1").0, 201);
    assert_eq!(status(&exchange.data().join("vault.db")).unwrap().len(), 1);
    // Another then works at once.
    let to = new_key(&exchange, "second");
    holdfast(&["vault", "rotate", "--data", &data, "--to", &to]);
    assert_eq!(signed_withdrawal(&server, "c_1", "key-1").0, 201);
}
