//! Operators' passkeys in a real browser: made and used on the operators' page, which talks to nobody; what it gives is
//! taken by a real Holdfast over HTTP and by a signer.

use std::fs;

use holdfast_authn::operator::{parse_operator_proof, parse_operator_public_key, verify_operator};
use holdfast_authn::webauthn::RelyingParty;
use holdfast_signer::{Pins, Signer, system_clock};
use holdfast_values::TextDigest;
use serde_json::{Value, json};

use crate::stand::{
    Browser, Temporary, free_address, has_browser, holdfast, now, repository, run, serve_holdfast, until,
};
use crate::text;

const HOST: &str = "operate.harbor.example";

fn party() -> RelyingParty {
    RelyingParty { rp_id: HOST.into(), origins: vec![format!("https://{HOST}").into()], app_id: None }
}

/// What the operators' page gives.
fn page(browser: &mut Browser, act: Value) -> Value {
    let mut asked = json!({ "do": "operate", "key": "dora" });
    asked.as_object_mut().unwrap().extend(act.as_object().unwrap().clone());
    let answer = browser.ok(&asked);
    let known = ["/", "/style.css", "/operate.js", "/favicon.ico"];
    let asked: Vec<&str> = answer["asked"].as_array().unwrap().iter().map(text).collect();
    assert!(asked.iter().all(|path| known.contains(path)), "it asks for nothing else: {asked:?}");
    answer
}

#[test]
fn an_operator_signs_with_a_passkey_what_the_page_shows_and_holdfast_and_signer_take_it() {
    if !has_browser() {
        return;
    }
    let dir = Temporary::new();
    let mut browser = Browser::start(&dir, "1", "");
    browser.ok(&json!({ "do": "key", "name": "dora", "protocol": "passkey" }));
    let made = page(&mut browser, json!({ "name": "dora" }));
    assert_eq!((text(&made["title"]), text(&made["trouble"])), ("Made", ""), "{made}");
    let (passkey, half) = (text(&made["out"][0]).to_owned(), text(&made["out"][1]).to_owned());
    let public_key = parse_operator_public_key(&passkey).unwrap();
    assert!(public_key.is_passkey());

    // Alice has an Ed25519 key, dora the passkey: together they are two.
    run(holdfast(), &["operator", "keygen", "--out", &dir.text("alice")], "");
    let sample = fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    dir.write(
        "exchange.toml",
        &format!("{sample}\n[operate]\nrp_id = \"{HOST}\"\norigins = [\"https://{HOST}\"]\n"),
    );
    dir.write("server.toml", "");
    let (start, policy) = (now(), repository("policies/baseline").display().to_string());
    let (data, config, at) = (dir.text("data"), dir.text("exchange.toml"), start.to_string());
    let (alice, dora) = (format!("alice={}", dir.text("alice.pub")), format!("dora={passkey}"));
    let args = ["init", "--data", &data, "--config", &config, "--policy", &policy, "--json"];
    let more = ["--operator", &alice, "--operator", &dora, "--simulated-clock", "--clock-start", &at];
    let init: Value = serde_json::from_str(&run(holdfast(), &[&args[..], &more].concat(), "")).unwrap();
    assert_eq!(init["pin"]["operators"][1], json!({ "name": "dora", "public_key": passkey }));
    let token = text(&init["token"]);
    let listen = free_address();
    let url = format!("http://{listen}");
    let _server = serve_holdfast(&dir, &listen, start, 1);
    until("holdfast serves", || std::net::TcpStream::connect(&listen).is_ok());

    // A loosening act: a token that can ask for payments.
    let file = dir.text("token.text");
    let scopes =
        ["token", "new", "--client", "app", "--scopes", "read,service", "--out", &file, "--url", &url];
    run(holdfast(), &scopes, "");
    let act = fs::read_to_string(&file).unwrap();
    let signed = page(&mut browser, json!({ "text": act }));
    assert_eq!((text(&signed["title"]), text(&signed["trouble"])), ("Signed", ""), "{signed}");
    for line in act.lines() {
        let value = line.split_once(": ").map_or(line, |(_, value)| value);
        assert!(text(&signed["what"]).contains(value), "{value} is not shown: {signed}");
    }
    let digest = TextDigest::of(act.as_bytes());
    assert_eq!(text(&signed["out"][1]), digest.to_string());
    let proof = parse_operator_proof(text(&signed["out"][0])).unwrap();
    assert_eq!(verify_operator(&public_key, Some(&party()), &digest.0, &proof), Ok(()));
    dir.write("dora.json", text(&signed["out"][0]));
    let plain = run(holdfast(), &["operator", "sign", "--key", &dir.text("alice"), &file], "");
    let (alice, dora) = (format!("alice={}", plain.trim()), format!("dora={}", dir.text("dora.json")));
    let args = ["operator", "send", &file, "--signature", &alice, "--signature", &dora, "--url", &url];
    let answer: Value = serde_json::from_str(&run(holdfast(), &args, token)).unwrap();
    assert_eq!(answer["in_effect"], true, "{answer}");

    // The same on a device that did not see the passkey being made: the page asks for its public half.
    browser.ok(&json!({ "do": "forget" }));
    let elsewhere = page(&mut browser, json!({ "text": act }));
    assert!(elsewhere["asks"] == true && elsewhere["out"] == json!([]), "{elsewhere}");
    let elsewhere = page(&mut browser, json!({ "text": act, "half": half }));
    assert!(parse_operator_proof(text(&elsewhere["out"][0])).is_ok(), "{elsewhere}");

    signer_takes_it(&dir, &mut browser, &passkey, &half);
    refuses_what_is_no_text(&mut browser, &act);
}

/// A halted signer, which only both of them set free.
fn signer_takes_it(dir: &Temporary, browser: &mut Browser, passkey: &str, half: &str) {
    let alice = fs::read_to_string(dir.0.join("alice.pub")).unwrap();
    let pins = |store: &str| {
        format!(
            "exchange = \"harbor.example\"\nname = \"harbor-hot\"\n{store}receipt_key_file = \"receipt.key\"\n\
             release_lifetime_max = \"60s\"\nassets = []\n[operators]\nthreshold = 2\n\
             keys = {{ alice = \"{}\", dora = \"{passkey}\" }}\n[operators.passkeys]\nrp_id = \"{HOST}\"\n\
             origins = [\"https://{HOST}\"]\n[policy]\ninitial = \"{}\"\n[[wallets]]\nname = \"eth-hot\"\n\
             network = \"ethereum\"\naddress = \"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\n",
            alice.trim(),
            "0".repeat(64)
        )
    };
    dir.write("wallet/signer.toml", &pins("release_keys = []\n"));
    let (pinned, store) = (dir.0.join("wallet/signer.toml"), dir.0.join("wallet/signer.db"));
    let made = Signer::init(&pinned, &store, 1).unwrap();
    let id: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
    dir.write(
        "wallet/signer.toml",
        &pins(&format!(
            "store = \"{id}\"\nrelease_keys = [\"{}\"]\n",
            holdfast_authn::print_operator_key(&made.receipt_key)
        )),
    );
    let mut signer = Signer::open(Pins::load(&pinned).unwrap(), &store, system_clock()).unwrap();
    signer.halt().unwrap();

    let file = dir.text("resume.text");
    let args = [
        "operator",
        "text",
        "resume_signer",
        "signer:harbor-hot",
        "--exchange",
        "harbor.example",
        "--out",
        &file,
    ];
    run(holdfast(), &args, "");
    let resume = fs::read_to_string(&file).unwrap();
    let signed = page(browser, json!({ "text": resume, "half": half }));
    let by = |operator: &str, proof: &str| holdfast_authn::release::OperatorSignature {
        operator: operator.parse().unwrap(),
        signature: parse_operator_proof(proof).unwrap(),
    };
    let plain = run(holdfast(), &["operator", "sign", "--key", &dir.text("alice"), &file], "");
    let dora = by("dora", text(&signed["out"][0]));
    let mut act = holdfast_authn::release::SignedAct { text: resume, signatures: vec![dora.clone()] };
    assert_eq!(signer.act(&act).unwrap_err().code(), "signatures_missing");
    act.signatures = vec![by("alice", &plain), dora];
    assert_eq!(signer.act(&act).unwrap().name(), "resume_signer");
    assert!(!signer.status().unwrap().halted);
}

/// What is no text of an operator is not signed, and neither is anything on another host.
fn refuses_what_is_no_text(browser: &mut Browser, act: &str) {
    for (from, to) in [
        ("operator/v1", "withdrawal/v1"),
        ("payload: -\n", ""),
        ("payload: -\n", "payload: -\npayload: -\n"),
        ("target: ", "target:  "),
        ("target: app", "target: \u{202e}app"),
        ("detail: ", "Detail: "),
    ] {
        let changed = act.replacen(from, to, 1);
        assert_ne!(changed, act, "{from}");
        let seen = page(browser, json!({ "text": changed }));
        assert!(!text(&seen["trouble"]).is_empty() && seen["out"] == json!([]), "{from} -> {to:?}: {seen}");
    }
    let elsewhere = page(browser, json!({ "text": act, "host": "operate.harb0r.test" }));
    assert!(!text(&elsewhere["trouble"]).is_empty() && elsewhere["out"] == json!([]), "{elsewhere}");
}
