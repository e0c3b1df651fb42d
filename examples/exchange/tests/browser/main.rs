//! Whose word it is, in a real browser: Chromium with virtual security keys on the sample exchange, two host names over TLS, a
//! real Holdfast, a real signer with a registry of its own, and a chain that checks every signature.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests: a failure is a failed test"
)]

mod operators;
mod stand;

use std::process::Command;

use holdfast_authn::encoding::{base64url, to_base64url};
use serde_json::{Value, json};

use crate::stand::{APP_ID, Alone, NEW, Stand, THIEF, has_browser, has_npm, repository, until};

/// Enrolled keys are at the signer, and past both ageings.
fn come_of_age(stand: &mut Stand, accounts: &[&str]) {
    for account in accounts {
        until("the signer knows the key", || stand.registered(account) == 1);
    }
    // 72 h, and some that do not count: hours in which Holdfast was starting again.
    stand.pass(100);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn key(stand: &mut Stand, name: &str, protocol: &str) {
    stand.browser.ok(&json!({ "do": "key", "name": name, "protocol": protocol }));
}

/// What an approved withdrawal must look like on its way: the page showed it, the key signed it, the coins arrived.
fn approves_and_is_paid(stand: &mut Stand, who: &str, key: &str, satoshi: u64) {
    let before = stand.paid(NEW);
    let amount = format!("{}.{:08}", satoshi / 100_000_000, satoshi % 100_000_000);
    let said = stand.browser.ok(&json!({ "do": "withdraw", "as": who, "amount": amount, "address": NEW }));
    assert!(text(&said).starts_with("Confirm it with: passkey"), "{said}");
    let answer = stand.browser.ok(&json!({ "do": "approve", "as": who, "key": key }));
    let (shown, after) = (&answer["before"], &answer["after"]);
    assert_eq!((text(&shown["host"]), text(&shown["title"])), ("approve.harbor.example", "Send this?"));
    for part in [amount.as_str(), "BTC", NEW, who] {
        assert!(text(&shown["what"]).contains(part), "{part} is missing in {shown}");
    }
    assert_eq!((text(&after["title"]), text(&after["trouble"])), ("Approved", ""), "{after}");
    until("the wallet sends it", || stand.pool() == 1);
    stand.chain("mine", &json!({ "blocks": 1 }));
    assert_eq!(stand.paid(NEW) - before, satoshi);
    until("Holdfast knows that it was signed", || {
        ["released", "broadcast"].contains(&stand.newest(who).1.as_str())
    });
}

/// The signer lets 0.2 BTC a day leave without a customer's key that it knows itself: what is paid here was vouched for.
#[test]
fn a_key_approves_what_the_page_shows_and_the_transaction_is_signed() {
    if !has_browser() {
        return;
    }
    let mut stand = Stand::new();
    for (name, protocol) in [("ada", "ctap2"), ("ben", "u2f")] {
        stand.open(name);
        stand.sign_in(name);
        key(&mut stand, name, protocol);
        let answer = stand.browser.ok(&json!({ "do": "register", "as": name, "key": name }));
        let after = &answer["registered"]["after"];
        assert_eq!((text(&after["title"]), text(&after["trouble"])), ("Registered", ""), "{answer}");
        until("its owner is told", || stand.told(name) == ["add_credential"]);
    }
    // A key from before there was an approve host, brought over by the exchange.
    stand.open("cleo");
    let u2f = stand.browser.ok(&json!({ "do": "legacy", "name": "cleo", "appId": APP_ID }));
    let known =
        stand.ask("POST", "/v1/accounts/cleo/credentials", &json!({ "u2f": u2f, "label": "old key" })).ok();
    assert_eq!(known["legacy_u2f"], true);
    stand.sign_in("cleo");

    come_of_age(&mut stand, &["ada", "ben", "cleo"]);
    approves_and_is_paid(&mut stand, "ada", "ada", 200_000_000);
    approves_and_is_paid(&mut stand, "ben", "ben", 150_000_000);
    approves_and_is_paid(&mut stand, "cleo", "cleo", 125_000_000);

    // A further key comes by the word of the first, and counts at once: here and at the signer.
    key(&mut stand, "spare", "u2f");
    let answer = stand.browser.ok(&json!({ "do": "register", "as": "ada", "key": "spare", "by": "ada" }));
    let asked = &answer["registered"]["after"];
    assert_eq!(text(&asked["title"]), "Add another security key?", "{answer}");
    assert_eq!(text(&answer["approved"]["after"]["title"]), "Approved", "{answer}");
    until("the signer knows the further key", || stand.registered("ada") == 2);
    // For a day after any such change Holdfast holds what leaves, whoever asks.
    stand.pass(40);
    approves_and_is_paid(&mut stand, "ada", "spare", 110_000_000);
}

/// The challenge of an account's newest withdrawal.
fn challenge(stand: &Stand, account: &str) -> (String, String) {
    let (id, status) = stand.newest(account);
    assert_eq!(status, "awaiting_approval");
    let asked = stand.ask("GET", &format!("/v1/withdrawals/{id}/approval"), &Value::Null).ok();
    let digest = ring::digest::digest(&ring::digest::SHA256, text(&asked["text"]).as_bytes());
    (id, to_base64url(digest.as_ref()))
}

/// What Holdfast says to an assertion.
fn verdict(stand: &Stand, account: &str, id: &str, assertion: &Value) -> String {
    let body = json!({ "account": account, "assertion": assertion });
    let answer = stand.ask("POST", &format!("/v1/withdrawals/{id}/approval"), &body);
    format!("{} {} {}", answer.status, answer.code().1, text(&answer.body["detail"]))
}

#[test]
fn a_phishing_relay_gets_a_session_and_next_to_nothing_else() {
    if !has_browser() {
        return;
    }
    let mut stand = Stand::new();
    for name in ["ada", "bob"] {
        stand.open(name);
    }
    stand.sign_in("ada");
    key(&mut stand, "ada", "ctap2");
    stand.browser.ok(&json!({ "do": "register", "as": "ada", "key": "ada" }));
    come_of_age(&mut stand, &["ada"]);

    // Ada signs in on a page that looks like Harbor's because it is Harbor's, passed on by somebody in between.
    let code = stand.code("ada");
    let act = json!({ "do": "relay", "as": "victim", "account": "ada", "password": "hunter2", "code": code });
    let caught = stand.browser.ok(&act);
    assert_eq!(caught["forms"][0][1]["code"], code, "password and code are his");
    let cookie = text(&caught["cookie"]).to_owned();
    assert!(cookie.starts_with("__Host-session="), "and so is the session");

    // The code was good once.
    let again = json!({ "account": "ada", "password": "hunter2", "code": code });
    let stolen = |method: &str, path: &str, body: &Value| json!({ "do": "stolen", "cookie": cookie, "method": method, "path": path, "body": body });
    let answer = stand.browser.ok(&stolen("POST", "/sign-in", &again));
    assert_eq!((answer["status"].as_u64(), text(&answer["body"]["error"])), (Some(403), "code_wrong"));

    // With the session and even one more code: what is small waits, in the open; what is not wants the key.
    let small = json!({ "asset": "BTC", "amount": "0.1", "address": THIEF });
    let small = stand.browser.ok(&stolen("POST", "/withdraw", &small));
    assert_eq!(text(&small["body"]["stage"]), "waiting", "590 dollars, and not at once: {small}");
    // He is patient. What he asks for meanwhile would count against it, and it would want the key as well.
    until("the small one is sent", || stand.pool() == 1);
    let fresh = stand.fresh_code("ada");
    let want = |amount: &str| json!({ "asset": "BTC", "amount": amount, "address": THIEF, "code": fresh });
    let large = stand.browser.ok(&stolen("POST", "/withdraw", &want("2")));
    assert_eq!(text(&large["body"]["stage"]), "awaiting_approval", "{large}");
    assert!(text(&large["body"]["info"]).contains("passkey"), "{large}");
    let (id, nonce) = challenge(&stand, "ada");
    let ticket = json!({ "withdrawal": large["body"]["id"] });
    // Nor does it go in slices.
    let slice = json!({ "asset": "BTC", "amount": "0.1", "address": THIEF });
    let slice = stand.browser.ok(&stolen("POST", "/withdraw", &slice));
    assert_eq!(text(&slice["body"]["stage"]), "awaiting_approval", "{slice}");

    // His page asks Ada's key: for Harbor's name the browser refuses, for its own the key has nothing.
    let elsewhere = |as_: &str, rp: Value, lie: bool| json!({ "do": "ask-elsewhere", "as": as_, "key": "ada", "challenge": nonce, "rpId": rp, "lie": lie });
    let mut act = elsewhere("victim", json!("approve.harbor.example"), false);
    assert_eq!(stand.browser.ok(&act)["error"], "SecurityError");
    act = elsewhere("victim", Value::Null, false);
    act.as_object_mut().unwrap().remove("rpId");
    assert_eq!(stand.browser.ok(&act)["error"], "NotAllowedError");
    // A key that answered all the same would have signed where it was asked.
    act["lie"] = json!(true);
    let lied = stand.browser.ok(&act);
    let verdict_lied = verdict(&stand, "ada", &id, &lied["assertion"]);
    assert!(verdict_lied.starts_with("422 assertion_invalid webauthn_origin_mismatch"), "{verdict_lied}");
    // Nor may Harbor's own app page ask for the approve host's name.
    assert_eq!(
        stand.browser.ok(&elsewhere("ada", json!("approve.harbor.example"), false))["error"],
        "SecurityError"
    );

    // The approval page lets nobody frame it. Were somebody to serve one there that does, Holdfast would see it.
    let seen = stand.browser.ok(&json!({ "do": "frame-page" }));
    assert!(text(&seen).contains("refused to connect"), "{seen}");
    let seen = stand.browser.ok(&json!({ "do": "frame-page", "bare": true }));
    assert!(text(&seen).contains("This page works in a window of its own only."), "{seen}");
    let framed = stand.browser.ok(&json!({ "do": "frame", "key": "ada", "challenge": nonce }));
    let said = base64url(text(&framed["assertion"]["client_data_json"]).as_bytes()).unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("\"crossOrigin\":true") && said.contains("\"origin\":\"https://approve."),
        "{said}"
    );
    let verdict_framed = verdict(&stand, "ada", &id, &framed["assertion"]);
    // Which of the two is named first is the verifier's: this browser says both.
    let codes =
        ["webauthn_cross_origin", "webauthn_top_origin"].map(|code| format!("422 assertion_invalid {code}"));
    assert!(codes.iter().any(|code| verdict_framed.starts_with(code)), "{verdict_framed}");

    // A ticket shows a text, to whoever holds it, and does nothing.
    let ticket = stand.browser.ok(&stolen("POST", "/tickets", &ticket));
    let url = text(&ticket["body"]["url"]).to_owned();
    let held = url.rsplit('=').next().unwrap().to_owned();
    let other = json!({ "do": "pretend", "path": "/api/ask", "body": { "ticket": held }, "origin": "https://app.harb0r.test" });
    assert_eq!(stand.browser.ok(&other)["status"], 403);
    key(&mut stand, "thief", "ctap2");
    let answer = stand.browser.ok(&json!({ "do": "open-ticket", "url": url, "key": "thief" }));
    assert_ne!(text(&answer["after"]["title"]), "Approved", "{answer}");

    // A key of his own needs Ada's; Bob, who has none, is told of it, and it counts for nothing for three days.
    let register = json!({ "register": { "label": "phone" } });
    let ticket = stand.browser.ok(&stolen("POST", "/tickets", &register));
    let act = json!({ "do": "open-ticket", "url": ticket["body"]["url"], "key": "thief" });
    let answer = stand.browser.ok(&act);
    assert_eq!(text(&answer["after"]["title"]), "Add another security key?", "{answer}");
    let code = stand.code("bob");
    let act =
        json!({ "do": "relay", "as": "victim-2", "account": "bob", "password": "hunter2", "code": code });
    let cookie = stand.browser.ok(&act)["cookie"].clone();
    let stolen = |path: &str, body: &Value| json!({ "do": "stolen", "cookie": cookie, "method": "POST", "path": path, "body": body });
    let ticket = stand.browser.ok(&stolen("/tickets", &register));
    key(&mut stand, "thief-2", "ctap2");
    let act = json!({ "do": "open-ticket", "url": ticket["body"]["url"], "key": "thief-2" });
    let answer = stand.browser.ok(&act);
    assert_eq!(text(&answer["after"]["title"]), "Registered", "{answer}");
    until("Bob is told", || stand.told("bob") == ["add_credential"]);
    stand.pass(48);
    let want = json!({ "asset": "BTC", "amount": "9", "address": THIEF });
    let large = stand.browser.ok(&stolen("/withdraw", &want));
    assert_ne!(text(&large["body"]["stage"]), "approved", "{large}");
    let ticket = stand.browser.ok(&stolen("/tickets", &json!({ "withdrawal": large["body"]["id"] })));
    let act = json!({ "do": "open-ticket", "url": ticket["body"]["url"], "key": "thief-2" });
    let answer = stand.browser.ok(&act);
    assert!(text(&answer["after"]["trouble"]).contains("credential_"), "{answer}");

    // All in all: the small one is all that could leave.
    stand.chain("mine", &json!({ "blocks": 1 }));
    assert_eq!(stand.paid(THIEF), 10_000_000, "0.1 BTC");
}

/// The vectors of docs/texts.md that customers sign, and their digests.
fn vectors() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(repository("docs/texts.md")).unwrap();
    let mut found = Vec::new();
    for part in page.split("```text-vector\n").skip(1) {
        let (text, rest) = part.split_once("```").unwrap();
        let digest = rest.split_once("sha256: `").unwrap().1.split('`').next().unwrap();
        let kinds = ["holdfast-withdrawal/", "holdfast-change/", "holdfast-mandate/"];
        if kinds.iter().any(|kind| text.starts_with(kind)) {
            found.push((text.to_owned(), digest.to_owned()));
        }
    }
    found
}

#[test]
fn the_page_signs_what_it_shows_and_shows_nothing_that_it_does_not_understand() {
    if !has_browser() {
        return;
    }
    let mut alone = Alone::new();
    let mut see = |text: &str| {
        let answer =
            json!({ "text": text, "allow": [{ "id": "AAAA", "transports": ["usb"] }], "app_id": null });
        alone.browser.ok(&json!({ "do": "page", "answer": answer }))
    };
    let vectors = vectors();
    assert_eq!(vectors.len(), 8, "of withdrawals, changes and mandates");
    for (text, digest) in &vectors {
        let seen = see(text);
        assert_eq!(seen["address"], "https://approve.harbor.example/", "the ticket is gone from the address");
        // A key that the page did not see being made is not added, whatever the text says.
        if text.contains("add_credential") {
            assert!(self::text(&seen["trouble"]).contains("did not show on this page"), "{seen}");
            assert_eq!(seen["challenge"], Value::Null);
            continue;
        }
        assert_eq!(seen["challenge"], json!(digest), "{text}{seen}");
        for line in text.lines().skip(1) {
            let (name, value) = line.split_once(": ").unwrap();
            assert!(self::text(&seen["what"]).contains(value), "{name} is not shown: {seen}");
        }
    }
    let (text, _) = &vectors[0];
    for (from, to) in [
        ("withdrawal/v1", "withdrawal/v2"),
        ("memo: -\n", ""),
        ("memo: -\n", "memo: -\nmemo: -\n"),
        ("amount: 0.75", "amount: \u{0660}.75"),
        ("address: bc1q", "address: \u{202e}bc1q"),
        ("address: bc1q", "address:  bc1q"),
        ("amount: 0.75000000", "amount: 00.75000000"),
        ("amount: 0.75000000", "amount: 0.75 BTC"),
        ("nonce: paWl", "nonce: <b>l"),
        ("account: ac_1\n", "account: ac_1\r\n"),
        ("paU\n", "paU"),
        ("paU\n", "paU\nnote: it is fine\n"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(&changed, text, "{from}");
        let seen = see(&changed);
        assert_eq!(self::text(&seen["title"]), "This cannot be approved", "{from} -> {to:?}: {seen}");
        assert_eq!(seen["challenge"], Value::Null, "{from} -> {to:?}");
    }
    let (text, _) = vectors.iter().find(|(text, _)| text.contains("unlock_settings")).unwrap();
    let seen = see(&text.replace("unlock_settings", "sell_everything"));
    assert!(self::text(&seen["trouble"]).contains("does not know the change"), "{seen}");
}

#[test]
fn the_committed_script_is_what_the_compiler_makes_of_the_source() {
    if !has_npm("typescript") {
        return;
    }
    for page in ["approve", "operate"] {
        let out =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{page}-{}", std::process::id()));
        let output = Command::new("node")
            .arg(repository("tests/client/node_modules/typescript/bin/tsc"))
            .arg("--project")
            .arg(repository(page))
            .arg("--outDir")
            .arg(&out)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let made = std::fs::read_to_string(out.join(format!("{page}.js"))).unwrap();
        std::fs::remove_dir_all(&out).unwrap();
        let committed = std::fs::read_to_string(repository(&format!("{page}/{page}.js"))).unwrap();
        assert!(made == committed, "run `tests/client/node_modules/.bin/tsc -p {page}`");
        let source = std::fs::read_to_string(repository(&format!("{page}/{page}.ts"))).unwrap();
        // The operators' page keeps public keys in its browser, and asks nobody; the customers' page the other way round.
        let other = if page == "approve" { "localStorage" } else { "fetch(" };
        for never in ["innerHTML", "eval(", "import ", "http://", "https://", "rpId", other] {
            assert!(!source.contains(never), "{never} has no place in the page {page}");
        }
    }
}

#[test]
fn the_approve_host_serves_three_files_under_strict_headers_and_nothing_else() {
    if !has_browser() {
        return;
    }
    let mut stand = Stand::new();
    let get = |host: &str, path: &str| json!({ "do": "headers", "host": host, "path": path });
    for path in ["/", "/approve.js", "/style.css"] {
        let answer = stand.browser.ok(&get("approve.harbor.example", path));
        assert_eq!(answer["status"], 200);
        let policy = text(&answer["headers"]["content-security-policy"]).to_owned();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!(answer["headers"]["cross-origin-opener-policy"], "same-origin");
    }
    for path in ["/.well-known/webauthn", "/withdrawals", "/sign-in", "/approve.ts", "/../Cargo.toml"] {
        assert_eq!(stand.browser.ok(&get("approve.harbor.example", path))["status"], 404, "{path}");
    }
    assert_eq!(stand.browser.ok(&get("other.harbor.example", "/"))["status"], 421);
    for path in ["/approve.js", "/api/ask"] {
        assert_eq!(stand.browser.ok(&get("app.harbor.example", path))["status"], 404, "{path}");
    }
}
