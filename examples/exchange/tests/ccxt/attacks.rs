//! What must not work: each attempt gets a typed answer, and nothing moves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::request::{ask, evidence, payload, payload_at, send, send_from, sign};
use crate::stand::{Answer, Ccxt, Kind, NEW, OWN, RATE, Setup, Stand, has_ccxt, repository, until};

/// The codes of the reasons of Holdfast's answer, and its status.
fn verdict(answer: &Answer) -> (u16, String, String) {
    let reasons = answer.body["reasons"].as_array().cloned().unwrap_or_default();
    let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["code"].as_str()).collect();
    (answer.status, answer.body["status"].as_str().unwrap_or_default().to_owned(), codes.join(" "))
}

fn denied(code: &str) -> (u16, String, String) {
    (201, "denied".to_owned(), code.to_owned())
}

/// Nothing of this account is free to go or locked.
fn nothing_moved(stand: &Stand, account: &str) {
    assert_eq!(stand.balance(account), ("20".to_owned(), "0".to_owned()), "{account} at Harbor");
    for row in stand.decided(account) {
        assert_eq!(row["status"], "denied", "{row}");
        assert_eq!(row["reserved"], Value::Null, "{row}");
    }
}

#[test]
fn altered_forged_and_stale_requests_move_nothing() {
    let stand = Stand::new(&[("ada", "full", Kind::Hmac), ("ben", "full", Kind::Hmac)]);
    let (ada, ben) = (&stand.customers["ada"], &stand.customers["ben"]);
    let now = || i64::try_from(stand.time().0 / 1_000).unwrap();

    // Signed too long ago, or ahead of time: by Holdfast's clock.
    for late in [-600_000, 600_000] {
        let body = sign(&ada.secret, &payload_at(now() + late, "1", OWN));
        let answer = send(&stand, ada, &body);
        assert_eq!(answer.number(), (400, -1021), "{late} ms: {}", answer.body);
        let body = sign(&ada.secret, &payload_at(now() + late, "1", OWN));
        let answer = ask(&stand, &format!("skew{late}"), &evidence("ada", "1", OWN, &ada.api_key, &body));
        assert_eq!(verdict(&answer), denied("api_timestamp"));
    }

    // Parameters said twice or smuggled in: what was signed is read one way only, or not at all.
    let time = now();
    let honest = payload_at(time, "1", OWN);
    for (payload, harbor, holdfast) in [
        (format!("{honest}&address={NEW}"), (400, -1101), "duplicate_parameter"),
        (format!("{honest}&amount=9"), (400, -1101), "duplicate_parameter"),
        (format!("{honest}&addres%73={NEW}"), (400, -1101), "duplicate_parameter"),
        (
            honest.replace("coin=BTC", &format!("coin=BTC&name=a=b&address={NEW}")),
            (400, -1100),
            "malformed_parameter",
        ),
        (format!("{honest}&signature=00"), (400, -1100), "signature_not_last"),
        (format!("{honest}&to={NEW}"), (400, -1103), "unknown_parameter"),
        (honest.replace("amount=1", "amount=1e3"), (400, -1100), "parameter_invalid"),
        (honest.replace("amount=1", "amount=-1"), (400, -1100), "parameter_invalid"),
        (format!("{honest}&recv%57indow=60000"), (400, -1101), "duplicate_parameter"),
        (honest.replace("60000", "60001"), (400, -1131), "window_invalid"),
    ] {
        let body = sign(&ada.secret, &payload);
        let answer = send(&stand, ada, &body);
        assert_eq!(answer.number(), harbor, "{payload}: {}", answer.body);
        let answer = ask(&stand, "smuggled", &evidence("ada", "1", OWN, &ada.api_key, &body));
        assert_eq!(answer.code(), (422, holdfast), "{payload}: {}", answer.body);
    }

    // A signed body with one byte changed, and a body signed with another's secret.
    let body = sign(&ada.secret, &payload(&stand, "1", OWN)).replace("amount=1", "amount=2");
    assert_eq!(send(&stand, ada, &body).number(), (400, -1022));
    let answer = ask(&stand, "changed", &evidence("ada", "2", OWN, &ada.api_key, &body));
    assert_eq!(answer.code(), (422, "signature_invalid"));
    let body = sign(&ben.secret, &payload(&stand, "1", OWN));
    assert_eq!(send(&stand, ada, &body).number(), (400, -1022));

    // A part of the signed bytes moved from the body into the query says the same, and is signed all the same; but it is
    // not what a client sends.
    let body = sign(&ada.secret, &payload(&stand, "1", OWN));
    let (query, rest) = body.split_once('&').unwrap();
    let mut moved = evidence("ada", "1", OWN, &ada.api_key, rest);
    moved["channel"]["api_request"]["query"] = json!(query);
    assert_eq!(ask(&stand, "moved", &moved).code(), (422, "signature_invalid"));

    // The key of another account, at Holdfast, whatever the backend says.
    let body = sign(&ben.secret, &payload(&stand, "1", OWN));
    let answer = ask(&stand, "foreign", &evidence("ada", "1", OWN, &ben.api_key, &body));
    assert_eq!(answer.code(), (422, "api_key_not_stored"));
    let path = format!("/v1/accounts/ada/api-keys/{}", ben.api_key);
    let key = json!({ "scopes": ["withdraw"], "ip_allowlist": ["127.0.0.1"], "algorithm": "hmac_sha256",
                      "secret": ben.secret });
    assert_eq!(stand.ask("PUT", &path, &stand.service, &key).code(), (409, "api_key_foreign"));
    // What was refused left nothing behind that could verify anything.
    let answer = ask(&stand, "foreign2", &evidence("ada", "1", OWN, &ben.api_key, &body));
    assert_eq!(answer.code(), (422, "api_key_not_stored"));

    // From an address that is not on the key's list.
    let body = sign(&ada.secret, &payload(&stand, "1", OWN));
    let answer = send_from(&stand, "203.0.113.9", &ada.api_key, &body);
    assert_eq!(answer.number(), (401, -1002), "{}", answer.body);
    assert!(answer.body["msg"].as_str().unwrap().ends_with("(api_ip_not_allowed)."), "{}", answer.body);
    let body = sign(&ada.secret, &payload(&stand, "1.5", OWN));
    let mut elsewhere = evidence("ada", "1.5", OWN, &ada.api_key, &body);
    elsewhere["channel"]["api_request"]["client_ip"] = json!("2001:db8::9");
    assert_eq!(verdict(&ask(&stand, "elsewhere", &elsewhere)), denied("api_ip_not_allowed"));

    // A backend that asks for something else than its customer signed.
    let lies = [("7", OWN, "amount"), ("1", NEW, "address"), ("7", NEW, "address amount")];
    for (number, (amount, address, _)) in lies.into_iter().enumerate() {
        let body = sign(&ada.secret, &payload(&stand, "1", OWN));
        let lie = evidence("ada", amount, address, &ada.api_key, &body);
        let answer = ask(&stand, &format!("lie{number}"), &lie);
        assert_eq!(verdict(&answer), denied("api_mismatch"));
        let observed = answer.body["reasons"][0]["observed"].as_str().unwrap();
        for field in lies[number].2.split(' ') {
            assert!(observed.contains(field), "{field} is not in {observed:?}");
        }
    }
    let body = sign(&ada.secret, &payload(&stand, "1", OWN));
    let mut lie = evidence("ada", "1", OWN, &ada.api_key, &body);
    lie["channel"]["api_request"]["path"] = json!("/sapi/v1/capital/withdraw/history");
    assert_eq!(ask(&stand, "path", &lie).code(), (422, "wrong_endpoint"));

    nothing_moved(&stand, "ada");
    nothing_moved(&stand, "ben");
}

#[test]
fn a_request_is_good_once() {
    let stand = Stand::new(&[("ada", "full", Kind::Hmac)]);
    let ada = &stand.customers["ada"];
    let body = sign(&ada.secret, &payload(&stand, "1", OWN));
    let first = send(&stand, ada, &body);
    assert_eq!((first.status, &first.body["status"]), (200, &json!(4)), "{}", first.body);
    for _ in 0..2 {
        let again = send(&stand, ada, &body);
        assert_eq!(again.number(), (400, -4032), "{}", again.body);
    }
    // Nor from another backend's mouth, under any key of its own; only the same question gets the same answer.
    let question = evidence("ada", "1", OWN, &ada.api_key, &body);
    let denial = ask(&stand, "again", &question);
    assert_eq!(verdict(&denial), denied("api_replayed"));
    assert_eq!(ask(&stand, "again", &question).body, denial.body);
    assert_eq!(stand.balance("ada"), ("18.9999".to_owned(), "1.0001".to_owned()));

    // Twenty copies at once: one goes.
    let body = sign(&ada.secret, &payload(&stand, "0.01", OWN));
    let answers: Vec<(u16, i64)> = std::thread::scope(|scope| {
        let copies: Vec<_> = (0..20).map(|_| scope.spawn(|| send(&stand, ada, &body).number())).collect();
        copies.into_iter().map(|copy| copy.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| **answer == (200, 0)).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == (400, -4032)).count(), 19, "{answers:?}");
    assert_eq!(stand.balance("ada"), ("18.9898".to_owned(), "1.0102".to_owned()));
}

#[test]
fn what_ccxt_sent_once_is_refused_when_it_is_sent_again() {
    if !has_ccxt() {
        return;
    }
    let stand = Stand::new(&[("ada", "full", Kind::Ed25519), ("ben", "full", Kind::Hmac)]);
    let mut ccxt = Ccxt::start();
    for (name, customer) in &stand.customers {
        ccxt.open(&stand, name, customer);
        let done = ccxt.withdraw(name, "BTC", "1", OWN, json!({}));
        assert_eq!(done["ok"]["info"], "Approved: the wallet sends it.", "{done}");
        let again = send(&stand, customer, done["sent"]["body"].as_str().unwrap());
        assert_eq!(again.number(), (400, -4032), "{}", again.body);
        assert_eq!(stand.balance(name), ("18.9999".to_owned(), "1.0001".to_owned()));
    }

    // ccxt does not escape what it signs: whoever can put an `&` into a value puts in a parameter.
    let smuggled = |ccxt: &mut Ccxt, address: &str, params: Value| {
        let answer = ccxt.withdraw("ada", "BTC", "1", address, params);
        assert!(answer["sent"]["body"].as_str().unwrap().contains("&amount=1&"), "{answer}");
        (answer["error"].as_str().unwrap_or_default().to_owned(), answer["code"].as_i64().unwrap_or_default())
    };
    let bad_request = |code| ("BadRequest".to_owned(), code);
    assert_eq!(smuggled(&mut ccxt, &format!("{OWN}&address={NEW}"), json!({})), bad_request(-1101));
    assert_eq!(smuggled(&mut ccxt, OWN, json!({ "name": format!("x&address={NEW}") })), bad_request(-1101));
    assert_eq!(smuggled(&mut ccxt, OWN, json!({ "name": "x&to=somewhere" })), bad_request(-1103));
    assert_eq!(smuggled(&mut ccxt, OWN, json!({ "addressTag": "1&amount=9" })), bad_request(-1101));
    // A client whose clock is wrong, and one that asks from elsewhere.
    let late = i64::try_from(stand.time().0 / 1_000).unwrap() - 120_000;
    let answer = ccxt.withdraw("ada", "BTC", "1", OWN, json!({ "timestamp": late }));
    assert_eq!((&answer["error"], &answer["code"]), (&json!("InvalidNonce"), &json!(-1021)), "{answer}");
    // A key that was revoked: not a passing ban that a program would wait for.
    let path = format!("/v1/accounts/ada/api-keys/{}", stand.customers["ada"].api_key);
    stand.ask("DELETE", &path, &stand.service, &Value::Null).ok();
    let answer = ccxt.withdraw("ada", "BTC", "1", OWN, json!({}));
    assert_eq!(
        (&answer["error"], &answer["code"]),
        (&json!("AuthenticationError"), &json!(-1002)),
        "{answer}"
    );
    assert!(answer["message"].as_str().unwrap().ends_with("(api_key_revoked)."), "{answer}");
    assert_eq!(stand.balance("ada"), ("18.9999".to_owned(), "1.0001".to_owned()));
}

#[test]
fn a_revoked_key_loses_the_race_against_its_use() {
    let stand = Stand::new(&[("ada", "full", Kind::Hmac)]);
    let ada = &stand.customers["ada"];
    let (acknowledged, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (revoked_at, answers) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u32)
            .map(|thread| {
                let (stand, acknowledged, stop) = (&stand, &acknowledged, &stop);
                scope.spawn(move || {
                    // Approved, denied, and approved although asked after the revocation was acknowledged.
                    let (mut approved, mut denied, mut late) = (0_usize, 0_usize, 0_usize);
                    while !stop.load(Ordering::SeqCst) && approved + denied < 500 {
                        // Every request says something else: none is a replay.
                        let amount = format!("0.001{:05}", thread as usize * 1_000 + approved + denied);
                        let began_after = acknowledged.load(Ordering::SeqCst);
                        let body = sign(&ada.secret, &payload(stand, &amount, OWN));
                        let answer = send(stand, ada, &body);
                        if answer.status == 200 {
                            approved += 1;
                            late += usize::from(began_after);
                        } else {
                            denied += 1;
                            assert_eq!(answer.number(), (401, -1002), "{}", answer.body);
                            let why = answer.body["msg"].as_str().unwrap();
                            assert!(why.ends_with("(api_key_revoked)."), "{why}");
                        }
                    }
                    [approved, denied, late]
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(600));
        let path = format!("/v1/accounts/ada/api-keys/{}", ada.api_key);
        let revoked = stand.ask("DELETE", &path, &stand.service, &Value::Null).ok();
        acknowledged.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(400));
        stop.store(true, Ordering::SeqCst);
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        let answers = answers.fold([0; 3], |sum, one| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]]);
        (revoked["sequence"].as_u64().unwrap(), answers)
    });
    let [approved, denied, late] = answers;
    assert_eq!(late, 0, "asked after the revocation was acknowledged, and approved");
    assert!(approved > 0 && denied > 0, "{approved} approved, {denied} denied: no race was run");

    // What the key had got approved and nobody has released yet is decided again and denied; its money is free again.
    until("everything that the key asked for is denied", || {
        let rows = stand.decided("ada");
        rows.len() == approved + denied && rows.iter().all(|row| row["status"] == "denied")
    });
    until("the money is free again", || stand.balance("ada") == ("20".to_owned(), "0".to_owned()));
    nothing_moved(&stand, "ada");

    // In the order that counts, the journal's: asked before, approved at first; asked after, denied at once.
    for row in stand.decided("ada") {
        let before = row["sequence"].as_u64().unwrap() < revoked_at;
        let first = if before { "approved" } else { "denied" };
        let decisions = stand.decisions(row["id"].as_str().unwrap());
        assert_eq!(decisions.first().map(|one| &one["status"]), Some(&json!(first)), "{row}");
        let last = decisions.last().unwrap();
        assert_eq!(
            (&last["status"], &last["reasons"][0]["code"]),
            (&json!("denied"), &json!("api_key_revoked"))
        );
    }
    // A key comes back under no circumstances.
    let path = format!("/v1/accounts/ada/api-keys/{}", ada.api_key);
    let key = json!({ "scopes": ["withdraw"], "ip_allowlist": ["127.0.0.1"], "algorithm": "hmac_sha256",
                      "secret": ada.secret });
    assert_eq!(stand.ask("PUT", &path, &stand.service, &key).code(), (422, "api_key_revoked"));
}

#[test]
fn the_backends_token_can_only_ask_and_tighten() {
    let sample = std::fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    let config = sample.replace("#resume_delay = \"10m\"", "resume_delay = \"20s\"");
    assert_ne!(config, sample);
    let setup = Setup { rate: RATE, config: Some(config), young: &mut |_| {}, gate: false };
    let stand = Stand::of(&[("ada", "full", Kind::Hmac)], setup);
    let service = stand.service.as_str();
    let ada = &stand.customers["ada"];

    // Tighter limits are taken; looser ones, and the way back, are not.
    let limits = |day: &str, month: &str| {
        let body = json!({ "usd_24h_max": day, "usd_30d_max": month });
        stand.ask("POST", "/v1/accounts/ada/limits", service, &body)
    };
    assert_eq!(limits("100000000.00", "100000000.00").code(), (403, "not_tighter"));
    limits("1000.00", "10000.00").ok();
    assert_eq!(limits("1000.01", "10000.00").code(), (403, "not_tighter"));

    // It freezes, and does not thaw; it halts, and does not resume. Two operators do, not one, not one twice.
    stand.ask("POST", "/v1/halts", service, &json!({ "scope": "asset:BTC" })).ok();
    stand.ask("POST", "/v1/accounts/ada/freeze", service, &Value::Null).ok();
    let act = |body: &Value| stand.ask("POST", "/v1/operator-acts", service, body);
    for line in [["resume", "asset:BTC"], ["unfreeze_account", "ada"]] {
        let text = stand.signed(&line, &["alice"]);
        assert_eq!(act(&text).code(), (403, "signatures_insufficient"));
        let nobody = json!({ "text": text["text"], "signatures": [] });
        assert_eq!(act(&nobody).code(), (403, "signatures_insufficient"));
        let twice =
            json!({ "text": text["text"], "signatures": [text["signatures"][0], text["signatures"][0]] });
        assert_eq!(act(&twice).code(), (422, "operator_signature_repeated"));
        let mut forged = stand.signed(&line, &["alice", "bob"]);
        forged["signatures"][1]["signature"] = forged["signatures"][0]["signature"].clone();
        assert_eq!(act(&forged).code(), (422, "operator_signature_invalid"));
        let mut other = stand.signed(&line, &["alice", "bob"]);
        other["text"] = json!(other["text"].as_str().unwrap().replace(line[1], "account:ada"));
        assert_eq!(act(&other).code(), (422, "operator_signature_invalid"));
    }

    // What is not its business: prices, and whatever has no way but the operators'.
    let prices = json!({ "prices": [{ "asset": "BTC", "usd": "1.00" }] });
    assert_eq!(stand.ask("PUT", "/v1/prices", service, &prices).code(), (403, "scope_missing"));
    let body = json!({ "asset": "BTC" });
    assert_eq!(stand.ask("POST", "/v1/withdrawals", &stand.prices, &body).code(), (403, "scope_missing"));
    assert_eq!(stand.ask("POST", "/v1/withdrawals", &stand.init, &body).code(), (403, "scope_missing"));
    assert_eq!(stand.ask("DELETE", "/v1/halts", service, &Value::Null).code(), (405, "method_not_allowed"));

    // While frozen and halted, nothing goes, whoever signed it.
    let body = sign(&ada.secret, &payload(&stand, "0.01", OWN));
    let answer = send(&stand, ada, &body);
    assert_eq!(answer.number(), (400, -4015), "{}", answer.body);
    assert_eq!(answer.body["msg"], "Withdraw is limited. Denied (account_frozen).");
    nothing_moved(&stand, "ada");

    // Two operators open again; an act is good once.
    for line in [["resume", "asset:BTC"], ["unfreeze_account", "ada"]] {
        let both = stand.signed(&line, &["alice", "bob"]);
        act(&both).ok();
        assert_eq!(act(&both).code(), (409, "text_used"));
    }
    // The end of a halt waits, for whoever would rather have it go on.
    let halts = || stand.ask("GET", "/v1/halts", service, &Value::Null).ok();
    until("the halt ends", || halts()["halts"].as_array().is_some_and(Vec::is_empty));
    let body = sign(&ada.secret, &payload(&stand, "0.01", OWN));
    let answer = send(&stand, ada, &body);
    assert_eq!(
        (answer.status, &answer.body["info"]),
        (200, &json!("Approved: the wallet sends it.")),
        "{}",
        answer.body
    );
}
