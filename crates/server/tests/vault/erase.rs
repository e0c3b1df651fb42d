//! An account's key is destroyed: its data is gone, the journal is as true as before.

use std::process::Command;

use serde_json::Value;

use crate::files::{holds_any, wrapped};
use crate::rotate::{customer, signed_withdrawal};
use crate::server::{Exchange, HOLDFAST, holdfast};

#[test]
fn an_erased_account_is_gone_and_every_decision_replays() {
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let data = exchange.data().display().to_string();
    let path = exchange.data().join("vault.db");
    customer(&server, "ac_gone", "key-gone");
    let key_of_the_gone = wrapped(&path);
    assert_eq!(key_of_the_gone.len(), 1);
    customer(&server, "ac_kept", "key-kept");
    for _ in 0..3 {
        for (account, key) in [("ac_gone", "key-gone"), ("ac_kept", "key-kept")] {
            assert_eq!(signed_withdrawal(&server, account, key).0, 201);
        }
    }
    let export = |to: u64| {
        let to = to.to_string();
        holdfast(&["journal", "export", "--data", &data, "--jsonl", "--to", &to])
    };
    let sequence = server.get("/health").body["sequence"].as_u64().unwrap();
    let before = export(sequence);

    let erase = |confirm: &str| {
        let args =
            ["vault", "erase", "--data", &data, "--account", "ac_gone", "--confirm", confirm, "--json"];
        Command::new(HOLDFAST).args(args).output().unwrap()
    };
    let refused = erase("ac_kept");
    assert!(String::from_utf8_lossy(&refused.stderr).starts_with("error: not_confirmed: "));
    assert_eq!(signed_withdrawal(&server, "ac_gone", "key-gone").0, 201);
    let done = erase("ac_gone");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&done["had_key"], &done["server_running"], &done["log_emptied"]),
        (&Value::Bool(true), &Value::Bool(true), &Value::Bool(true))
    );

    // At once, in the running server, from whose memory the key is gone too.
    let (status, text) = signed_withdrawal(&server, "ac_gone", "key-gone");
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("api_key_not_stored"), "{text}");
    assert_eq!(signed_withdrawal(&server, "ac_kept", "key-kept").0, 201);
    assert!(!holds_any(&path, &key_of_the_gone), "the wrapped key is still in the file");

    // The record of before is what it was, to the letter, and every decision comes out the same.
    let well = |args: &[&str]| {
        let output = Command::new(HOLDFAST).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    };
    well(&["journal", "verify", "--data", &data]);
    well(&["replay", "--data", &data]);
    assert_eq!(export(sequence), before);
    let backend = server.token.clone();
    assert_eq!(server.stop(), Some(0));
    well(&["journal", "verify", "--data", &data]);
    well(&["replay", "--data", &data]);
    let mut server = exchange.serve(&[]);
    server.token = backend;
    server.price("5900.00");
    assert_eq!(signed_withdrawal(&server, "ac_gone", "key-gone").0, 422);
    assert_eq!(signed_withdrawal(&server, "ac_kept", "key-kept").0, 201);
}
