//! Customers' security keys: enrolling, ageing, vouching for one another, removing, and signing in.

use holdfast_authn::webauthn::Algorithm;
use serde_json::{Value, json};

use super::authenticator::{APP_ID, UP, sha256};
use super::customer::{
    self, Format, SecurityKey, approved, challenge, change, later, open, open_account, ready, register,
    registration, why, with_approval,
};
use super::server::{Server, withdrawal};

const CREDENTIALS: &str = "/v1/accounts/ac_1/credentials";

fn list(server: &Server) -> Vec<Value> {
    server.get(CREDENTIALS).body.as_array().unwrap().clone()
}

fn fingerprint(server: &Server, nth: usize) -> String {
    list(server)[nth]["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn a_first_key_counts_after_72_hours_and_brings_in_the_next_at_once() {
    let exchange = open();
    let server = ready(&exchange);
    let mut first = SecurityKey::new(Algorithm::Es256);
    let made = register(&server, "ac_1", &first, "approve");
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!((&made.body["basis"], &made.body["used_for"]), (&json!("first"), &json!("approve")));
    assert_eq!(made.body["label"], "the blue one from Valletta");
    let again = register(&server, "ac_1", &first, "approve");
    assert_eq!((again.status, again.code()), (409, "credential_exists"), "{}", again.body);

    // It counts for nothing yet: neither for a withdrawal nor for a second key.
    let asked = server.withdraw("k1", &withdrawal("1"));
    let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let early = server.post(&path, &json!({ "account": "ac_1", "assertion": first.approve(&text) }));
    assert_eq!((early.status, early.code()), (403, "credential_not_counting"), "{}", early.body);
    let mut second = SecurityKey::new(Algorithm::EdDsa);
    let body = registration(&server, "ac_1", &second, "approve", Format::PackedSelf);
    let asked = server.post(CREDENTIALS, &body);
    assert_eq!(asked.status, 403, "{}", asked.body);
    let early = server.post(CREDENTIALS, &with_approval(&asked, &body, &mut first));
    assert_eq!(early.code(), "credential_not_counting", "{}", early.body);

    let server = later(&exchange, server, 73);
    let body = registration(&server, "ac_1", &second, "approve", Format::PackedSelf);
    let asked = server.post(CREDENTIALS, &body);
    let approval = &asked.body["approval"];
    assert_eq!(approval["rp_id"], "approve.harbor.example", "{}", asked.body);
    assert_eq!(approval["app_id"], APP_ID);
    assert_eq!(approval["allow"].as_array().unwrap().len(), 1);
    let text = approval["text"].as_str().unwrap();
    assert!(text.starts_with("holdfast-change/v1\nexchange: harbor.example\naccount: ac_1\n"), "{text}");
    assert!(text.contains("\nchange: add_credential\ntarget: credential:"), "{text}");
    let good = with_approval(&asked, &body, &mut first);
    // The same approval for another key says something else.
    let third = SecurityKey::new(Algorithm::Es256);
    let mut other = registration(&server, "ac_1", &third, "approve", Format::None);
    other["approval"] = good["approval"].clone();
    let refused = server.post(CREDENTIALS, &other);
    assert_eq!(refused.code(), "change_text_differs", "{}", refused.body);
    let mut altered = good.clone();
    altered["approval"]["text"] = json!(text.replace("add_credential", "remove_credential"));
    let refused = server.post(CREDENTIALS, &altered);
    assert_eq!(refused.code(), "assertion_invalid", "{}", refused.body);
    let made = server.post(CREDENTIALS, &good);
    assert_eq!((made.status, &made.body["basis"]), (201, &json!("rotation")), "{}", made.body);
    assert_eq!(made.body["counts_from"], made.body["enrolled_at"], "at once");

    // The second removes the first, which never counts again.
    let path = format!("{CREDENTIALS}/{}/remove", fingerprint(&server, 0));
    let removed = approved(&server, "POST", &path, &json!({}), &mut second);
    assert_eq!((removed.status, &removed.body["status"]), (200, &json!("changed")), "{}", removed.body);
    assert_eq!(list(&server)[0]["removed"], true);
    let asked = server.withdraw("k2", &withdrawal("10"));
    let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let dead = server.post(&path, &json!({ "account": "ac_1", "assertion": first.approve(&text) }));
    assert_eq!(dead.code(), "credential_not_counting", "{}", dead.body);
    let alive = server.post(&path, &json!({ "account": "ac_1", "assertion": second.approve(&text) }));
    assert_eq!(alive.status, 200, "{}", alive.body);
    assert_eq!(alive.body["outcome"]["class"], "bound", "{}", alive.body);

    // An approval is good once, even of the same text.
    let body = json!({ "change": "remove_codes", "approval": good["approval"] });
    let reused = server.post("/v1/accounts/ac_1/changes", &body);
    assert_eq!(reused.code(), "change_text_differs", "{}", reused.body);
}

#[test]
fn keys_of_every_format_are_registered_and_legacy_u2f_approves_by_its_app_id() {
    let exchange = open();
    let server = ready(&exchange);
    for (account, algorithm, format) in [
        ("ac_2", Algorithm::Es256, Format::None),
        ("ac_3", Algorithm::EdDsa, Format::PackedSelf),
        ("ac_4", Algorithm::Rs256, Format::PackedSelf),
        ("ac_5", Algorithm::Es256, Format::FidoU2f),
    ] {
        open_account(&server, account);
        let body = registration(&server, account, &SecurityKey::new(algorithm), "approve", format);
        let made = server.post(&format!("/v1/accounts/{account}/credentials"), &body);
        assert_eq!(made.status, 201, "{account} {format:?}: {}", made.body);
        assert_eq!(made.body["legacy_u2f"], false);
    }
    let mut key = SecurityKey::new(Algorithm::Es256);
    let u2f = json!({ "key_handle": holdfast_authn::encoding::to_base64url(&key.id),
                      "public_key": holdfast_authn::encoding::to_base64url(key.key.public()) });
    let made = server.post(CREDENTIALS, &json!({ "u2f": u2f }));
    assert_eq!((made.status, &made.body["legacy_u2f"]), (201, &json!(true)), "{}", made.body);
    let server = later(&exchange, server, 73);
    let asked = server.withdraw("k1", &withdrawal("10"));
    let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
    let ask = server.get(&path).body;
    assert_eq!(ask["app_id"], APP_ID);
    let text = ask["text"].as_str().unwrap();
    key.counter += 1;
    let mut said = key.said("webauthn.get", &sha256(text.as_bytes()));
    (said.rp_id, said.flags) = (APP_ID.to_owned(), UP);
    let approved = server.post(&path, &json!({ "account": "ac_1", "assertion": key.sign(&said) }));
    assert_eq!(
        (approved.status, &approved.body["outcome"]["class"]),
        (200, &json!("bound")),
        "{}",
        approved.body
    );
}

#[test]
fn registrations_answer_a_challenge_of_their_account_and_purpose_once() {
    let exchange = open();
    let server = ready(&exchange);
    open_account(&server, "ac_2");
    let key = SecurityKey::new(Algorithm::Es256);
    let options = |account: &str, used_for: &str| {
        let path = format!("/v1/accounts/{account}/credentials/options");
        challenge(&server.post(&path, &json!({ "used_for": used_for })))
    };
    let send = |body: &Value| server.post(CREDENTIALS, body);
    let none = key.registration(&[7; 32], Format::None);
    assert_eq!(send(&none).code(), "challenge_unknown");
    options("ac_1", "approve");
    let foreign = key.registration(&options("ac_2", "approve"), Format::None);
    let refused = send(&foreign);
    assert_eq!((refused.code(), why(&refused)), ("registration_invalid", "webauthn_challenge_mismatch"));
    let master = key.registration(&options("ac_1", "master"), Format::None);
    assert_eq!(why(&send(&master)), "webauthn_challenge_mismatch", "for another purpose");

    // Nothing of that spends a challenge; a good answer does.
    let good = registration(&server, "ac_1", &key, "approve", Format::None);
    for (member, value) in [
        ("client_data_json", json!("####")),
        ("attestation_object", json!("oA")),
        ("u2f", json!({ "key_handle": "AA", "public_key": "AA" })),
        ("label", json!("x".repeat(65))),
        ("transports", json!(["USB!"])),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let refused = send(&bad);
        assert!((400..500).contains(&refused.status), "{member}: {}", refused.body);
    }
    assert_eq!(server.get(CREDENTIALS).body, json!([]));
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| send(&good).status);
        let asked: Vec<_> = (0..4).map(|_| ask()).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert_eq!(list(&server).len(), 1);
    let path = "/v1/accounts/nobody/credentials/options";
    assert_eq!(server.post(path, &json!({})).code(), "account_unknown");
    let path = "/v1/accounts/ac_1/credentials/00000000000000000000000000000000/remove";
    assert_eq!(server.post(path, &json!({})).code(), "credential_unknown");
}

#[test]
fn keys_sign_in_over_random_challenges_each_once() {
    let exchange = open();
    let server = ready(&exchange);
    open_account(&server, "ac_2");
    let mut key = SecurityKey::login();
    let made = register(&server, "ac_1", &key, "login");
    assert_eq!(made.status, 201, "{}", made.body);
    let options = |account: &str| server.poke(&format!("/v1/accounts/{account}/sign-in/options"));
    let ask = options("ac_1");
    assert_eq!(ask.body["rp_id"], "harbor.example");
    assert_eq!(ask.body["credentials"][0]["id"], holdfast_authn::encoding::to_base64url(&key.id));
    let first = challenge(&ask);
    assert_ne!(first, challenge(&options("ac_1")), "random");
    let sign_in = |account: &str, assertion: &Value, device: &str| {
        let session = json!({ "device": device, "ip": "203.0.113.7", "country": "MT" });
        let body = json!({ "assertion": assertion, "session": session });
        server.post(&format!("/v1/accounts/{account}/sign-in"), &body)
    };
    let foreign = key.assert(&challenge(&options("ac_2")));
    assert_eq!(sign_in("ac_2", &foreign, "d").code(), "credential_unknown");
    assert_eq!(why(&sign_in("ac_1", &foreign, "d")), "webauthn_challenge_mismatch");
    let mut relayed = key.said("webauthn.get", &first);
    relayed.origin = "https://harbor.example.evil.example".to_owned();
    assert_eq!(why(&sign_in("ac_1", &key.sign(&relayed), "d")), "webauthn_origin_mismatch");

    let good = key.assert(&first);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| sign_in("ac_1", &good, "d").status)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "one wins: {answers:?}");
    let again = sign_in("ac_1", &good, "d");
    assert!(["challenge_unknown", "assertion_invalid"].contains(&again.code()), "{}", again.body);
    let devices = server.get("/v1/accounts/ac_1/devices").body;
    assert_eq!(devices[0]["credential"], list(&server)[0]["fingerprint"], "{devices}");

    // A counter that does not rise is a copy.
    let copied = key.said("webauthn.get", &challenge(&options("ac_1")));
    let refused = sign_in("ac_1", &key.sign(&copied), "d");
    assert_eq!((refused.status, refused.code()), (403, "counter_went_back"), "{}", refused.body);

    // What signs in approves nothing.
    let asked = server.withdraw("k1", &withdrawal("1"));
    let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let refused = server.post(&path, &json!({ "account": "ac_1", "assertion": key.approve(&text) }));
    assert_eq!(refused.code(), "credential_not_counting", "{}", refused.body);
}

#[test]
fn a_young_key_is_removed_on_a_sessions_word_and_an_old_one_is_not() {
    let exchange = open();
    let server = ready(&exchange);
    assert_eq!(register(&server, "ac_1", &SecurityKey::new(Algorithm::Es256), "approve").status, 201);
    let path = format!("{CREDENTIALS}/{}/remove", fingerprint(&server, 0));
    assert_eq!(server.post(&path, &json!({})).status, 200, "whoever enrolled it with a phished session");
    assert_eq!(server.get(CREDENTIALS).body, json!([]), "as if it had never been");
    let (server, mut key) = customer::aged_key(&exchange, server, "ac_1");
    let path = format!("{CREDENTIALS}/{}/remove", fingerprint(&server, 0));
    assert_eq!(server.post(&path, &json!({})).code(), "approval_required");
    assert_eq!(approved(&server, "POST", &path, &json!({}), &mut key).status, 200);
    assert_eq!(change(&server, "ac_1", &json!("remove_codes")).code(), "nothing_to_change");
}

#[test]
fn a_master_key_opens_settings_and_nothing_else() {
    let exchange = open();
    let server = ready(&exchange);
    let (server, mut key) = customer::aged_key(&exchange, server, "ac_1");
    let mut master = SecurityKey::new(Algorithm::EdDsa);
    let body = registration(&server, "ac_1", &master, "master", Format::None);
    let made = approved(&server, "POST", CREDENTIALS, &body, &mut key);
    assert_eq!((made.status, &made.body["used_for"]), (201, &json!("master")), "{}", made.body);

    let asked = server.withdraw("k1", &withdrawal("1"));
    let path = format!("/v1/withdrawals/{}/approval", asked.body["id"].as_str().unwrap());
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let refused = server.post(&path, &json!({ "account": "ac_1", "assertion": master.approve(&text) }));
    assert_eq!(refused.code(), "credential_not_counting", "{}", refused.body);

    let locked = change(&server, "ac_1", &json!({ "lock_settings": 30 }));
    assert_eq!(locked.status, 200, "{}", locked.body);
    let other = SecurityKey::new(Algorithm::Es256);
    let body = registration(&server, "ac_1", &other, "approve", Format::None);
    assert_eq!(server.post(CREDENTIALS, &body).code(), "settings_locked");
    let shorter = change(&server, "ac_1", &json!({ "lock_settings": 1 }));
    assert_eq!(shorter.code(), "settings_locked", "{}", shorter.body);

    // Without the master key the full time would begin: the text is asked for, which changes nothing.
    let ask = json!({ "change": "unlock_settings", "text_only": true });
    let asked = server.post("/v1/accounts/ac_1/changes", &ask);
    assert_eq!(asked.code(), "approval_required", "{}", asked.body);
    let text = asked.body["approval"]["text"].as_str().unwrap().to_owned();
    assert_eq!(
        asked.body["approval"]["allow"][0]["id"],
        holdfast_authn::encoding::to_base64url(&master.id),
        "the master key is asked"
    );
    let unlock = |approval: Value| {
        let body = json!({ "change": "unlock_settings", "approval": approval });
        server.post("/v1/accounts/ac_1/changes", &body)
    };
    assert_eq!(unlock(key.approval(&text)).code(), "credential_not_counting", "the ordinary key does not");
    let opened = unlock(master.approval(&text));
    assert_eq!((opened.status, &opened.body["status"]), (200, &json!("changed")), "{}", opened.body);
    assert_eq!(server.post(CREDENTIALS, &body).code(), "approval_required", "settings are open");
}
