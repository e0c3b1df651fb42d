//! Sessions as the edge reports them: what is new about them, where they are, and that the journal tells nobody.

use std::path::Path;

use serde_json::{Value, json};

use super::customer::{aged_key, approved, change, open, ready};
use super::server::{Server, holdfast};

fn report(server: &Server, session: &Value) -> (bool, bool) {
    let answer = server.post("/v1/accounts/ac_1/sessions", session);
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.body["new_device"].as_bool().unwrap(), answer.body["new_place"].as_bool().unwrap())
}

#[test]
fn new_devices_and_new_places_are_told_and_devices_can_be_forgotten() {
    let exchange = open();
    let server = ready(&exchange);
    let at = |device: &str, country: &str, asn: u32| {
        json!({ "device": device, "ip": "203.0.113.7", "user_agent": "Firefox", "tls": "t13d1715h2",
                "country": country, "asn": asn })
    };
    assert_eq!(report(&server, &at("a", "MT", 64_500)), (true, true));
    assert_eq!(report(&server, &at("a", "MT", 64_500)), (false, false));
    assert_eq!(report(&server, &at("b", "MT", 64_500)), (true, false));
    assert_eq!(report(&server, &at("a", "MT", 64_501)), (false, true), "another network");
    assert_eq!(report(&server, &at("a", "KP", 64_500)), (false, true));
    assert_eq!(report(&server, &json!({})), (false, false), "nothing is known, nothing is new");
    let devices = server.get("/v1/accounts/ac_1/devices").body;
    assert_eq!(devices.as_array().unwrap().len(), 2, "{devices}");
    let first = devices[0]["device"].as_str().unwrap();
    let forgotten = change(&server, "ac_1", &json!({ "forget_device": first }));
    assert_eq!(forgotten.status, 200, "{}", forgotten.body);
    assert_eq!(change(&server, "ac_1", &json!({ "forget_device": first })).code(), "nothing_to_change");
    assert_eq!(change(&server, "ac_1", &json!({ "forget_device": "zz" })).code(), "id_invalid");
    assert_eq!(report(&server, &at("a", "MT", 64_500)), (true, false));

    for (bad, code) in [
        (json!({ "ip": "203.0.113.777" }), "ip_invalid"),
        (json!({ "country": "mt", "ip": "203.0.113.7" }), "body_invalid"),
        (json!({ "user_agent": "x".repeat(513) }), "body_invalid"),
        (json!({ "device": "" }), "body_invalid"),
        (json!({ "colour": "red" }), "body_invalid"),
    ] {
        let answer = server.post("/v1/accounts/ac_1/sessions", &bad);
        assert_eq!((answer.status, answer.code()), (422, code), "{}", answer.body);
    }
    let unknown = server.post("/v1/accounts/nobody/sessions", &json!({}));
    assert_eq!((unknown.status, unknown.code()), (404, "account_unknown"), "{}", unknown.body);
}

#[test]
fn places_come_from_the_operators_files_where_the_edge_says_nothing() {
    let files = super::server::repository("../shared/data/network/mmdb");
    let (countries, systems) = (
        files.join("test-data__GeoLite2-Country-Test.mmdb"),
        files.join("test-data__GeoLite2-ASN-Test.mmdb"),
    );
    if !countries.exists() || !systems.exists() {
        eprintln!("skipped: {} holds no test files of MaxMind's", files.display());
        return;
    }
    let exchange = open();
    let config = format!("[geo]\ncountries = {countries:?}\nsystems = {systems:?}\n");
    std::fs::write(exchange.data().join("holdfast.toml"), config).unwrap();
    let server = ready(&exchange);
    let from = |ip: &str| report(&server, &json!({ "device": "a", "ip": ip }));
    // GB, GB again, SE (both in the test files), an address that no file knows.
    assert_eq!(from("81.2.69.142"), (true, true));
    assert_eq!(from("81.2.69.144"), (false, false));
    assert_eq!(from("89.160.20.112"), (false, true));
    assert_eq!(from("::ffff:81.2.69.142"), (false, false), "mapped into IPv6 it is the same");
    assert_eq!(from("203.0.113.7"), (false, false), "no place, so no new one");
    assert_eq!(server.stop(), Some(0));
    std::fs::write(exchange.data().join("holdfast.toml"), "[geo]\ncountries = \"/nowhere\"\n").unwrap();
    let refused =
        Server::try_start(&exchange.serve_command(super::server::HOLDFAST, &["--clock-rate", "1"]), "");
    assert!(refused.err().unwrap().contains("geo_file"));
}

/// None of these strings stands in any file of a data directory, in the exported journal, or in bytes that hold them in
/// base64 or hex.
pub(crate) fn assert_nowhere(data: &Path, secrets: &[&str]) {
    let mut files = vec![("the exported journal".to_owned(), exported(data))];
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    for (name, bytes) in &files {
        for secret in secrets {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            let base64 = holdfast_authn::encoding::to_base64url(secret.as_bytes());
            // The last character of base64 may share bits with what follows.
            for form in [secret.as_bytes(), hex.as_bytes(), &base64.as_bytes()[..base64.len() - 1]] {
                let found = bytes.windows(form.len()).any(|window| window == form);
                assert!(!found, "{secret} stands in {name}");
            }
        }
    }
}

fn exported(data: &Path) -> Vec<u8> {
    holdfast(&["journal", "export", "--jsonl", "--data", data.to_str().unwrap()]).into_bytes()
}

#[test]
fn the_journal_and_every_file_beside_it_tell_nothing_personal_in_the_clear() {
    let exchange = open();
    let server = ready(&exchange);
    let session = json!({ "device": "cookie-of-the-owner-4711", "ip": "203.0.113.77",
        "user_agent": "Harbor/7.3 (a telephone in Valletta)", "tls": "t13d1715h2_5b57614c22b0_3d5424432f57" });
    report(&server, &session);
    let key_body = json!({ "scopes": ["withdraw"], "ip_allowlist": ["198.51.100.8"], "algorithm": "hmac_sha256",
                           "client_ip": "198.51.100.9" });
    let path = "/v1/accounts/ac_1/api-keys/bots-key-81";
    let put = server.call("PUT", path, &[], key_body.to_string().as_bytes());
    assert_eq!(put.status, 200, "{}", put.body);
    let (server, mut key) = aged_key(&exchange, server, "ac_1");
    let login = super::customer::SecurityKey::login();
    let body = super::customer::registration(&server, "ac_1", &login, "login", super::customer::Format::None);
    let made = approved(&server, "POST", "/v1/accounts/ac_1/credentials", &body, &mut key);
    assert_eq!(made.status, 201, "{}", made.body);
    let begun = server.poke("/v1/accounts/ac_1/one-time-codes").body;
    let secret = put.body["secret"].as_str().unwrap();
    let asked = server.withdraw("k1", &super::server::withdrawal("1"));
    let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let assertion = key.approve(&text);
    let done = server.post(&path, &json!({ "account": "ac_1", "assertion": assertion }));
    assert_eq!(done.status, 200, "{}", done.body);
    let listed = server.get("/v1/accounts/ac_1").text;
    assert!(!listed.contains(secret) && !listed.contains("bots-key-81"), "{listed}");
    let log = server.log();
    assert_eq!(server.stop(), Some(0));

    let id = holdfast_authn::encoding::to_base64url(&key.id);
    let secrets = [
        "cookie-of-the-owner-4711",
        "203.0.113.77",
        "a telephone in Valletta",
        "t13d1715h2_5b57614c22b0",
        "the blue one from Valletta",
        &id,
        "198.51.100.8",
        "198.51.100.9",
        secret,
        begun["secret"].as_str().unwrap(),
        assertion["signature"].as_str().unwrap(),
        assertion["client_data_json"].as_str().unwrap(),
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    // The vault finds a key's material by its id; the journal knows neither.
    assert!(!log.contains("bots-key-81"));
    let export = String::from_utf8(exported(&exchange.data())).unwrap();
    assert!(!export.contains("bots-key-81"));
    assert_nowhere(&exchange.data(), &secrets);
    // The raw bytes of the credential's id neither.
    let journal = std::fs::read(exchange.data().join("journal.db")).unwrap_or_default();
    assert!(!journal.windows(key.id.len()).any(|window| window == key.id));
}
