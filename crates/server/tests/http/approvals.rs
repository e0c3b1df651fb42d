//! A withdrawal's approval by its owner's key under the baseline policy: what a session and a code cannot do.

use serde_json::{Value, json};

use super::authenticator::{UP, UV, sha256};
use super::customer::{SecurityKey, aged_key, baseline, later, open_account, ready, why};
use super::server::{Answer, Exchange, Server, withdrawal};

/// 59,000 US dollars: over baseline's bound.
const LARGE: &str = "10";

fn setting() -> (Exchange, Server, SecurityKey) {
    let exchange = baseline();
    let server = ready(&exchange);
    let (server, key) = aged_key(&exchange, server, "ac_1");
    (exchange, server, key)
}

fn path(id: &str) -> String {
    format!("/v1/withdrawals/{id}/approval")
}

fn send(server: &Server, id: &str, account: &str, assertion: &Value) -> Answer {
    server.post(&path(id), &json!({ "account": account, "assertion": assertion }))
}

fn large(server: &Server, key: &str) -> (String, String) {
    waiting(server, key, LARGE)
}

/// A withdrawal that waits for its owner's key; its id and its text.
fn waiting(server: &Server, key: &str, amount: &str) -> (String, String) {
    let asked = server.withdraw(key, &withdrawal(amount));
    assert_eq!(asked.status, 201, "{}", asked.body);
    assert_eq!(asked.body["status"], "awaiting_approval", "{}", asked.body);
    assert_eq!(asked.body["outcome"]["factors"], json!(["passkey"]), "{}", asked.body);
    let id = asked.body["id"].as_str().unwrap().to_owned();
    let text = server.get(&path(&id)).body["text"].as_str().unwrap().to_owned();
    (id, text)
}

#[test]
fn a_session_and_a_right_code_move_nothing_large_and_the_owners_key_does() {
    let (exchange, server, mut key) = setting();
    // The session says that a right code was shown with it; and shows another afterwards.
    let (id, text) = large(&server, "k1");
    let code = server.post(&format!("/v1/withdrawals/{id}/one-time-code"), &json!({ "account": "ac_1" }));
    assert_eq!(code.code(), "not_awaiting_factor", "{}", code.body);
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).body["status"], "awaiting_approval");

    let ask = server.get(&path(&id)).body;
    assert_eq!(
        (&ask["status"], &ask["rp_id"]),
        (&json!("awaiting_approval"), &json!("approve.harbor.example"))
    );
    assert_eq!(ask["allow"][0]["id"], holdfast_authn::encoding::to_base64url(&key.id));
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}/text")).text, text);
    let done = send(&server, &id, "ac_1", &key.approve(&text));
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!((&done.body["status"], &done.body["outcome"]["class"]), (&json!("approved"), &json!("bound")));

    // Journal, replay and every list agree, and the assertion lies in none of them in the clear.
    assert_eq!(server.stop(), Some(0));
    let data = exchange.data();
    let data = data.to_str().unwrap();
    assert!(super::server::holdfast(&["journal", "verify", "--data", data]).contains("intact"));
    super::server::holdfast(&["replay", "--data", data]);
}

#[test]
fn what_is_not_the_owners_key_over_this_text_on_the_right_page_is_refused() {
    let (exchange, server, mut key) = setting();
    open_account(&server, "ac_2");
    let (id, text) = large(&server, "k1");
    // Who has a key is asked for it from far less on.
    let (other_id, other_text) = waiting(&server, "k2", "0.5");
    let challenge = sha256(text.as_bytes());
    let before = server.get("/health").body["sequence"].clone();

    // For another text, on another page, within another page, for another purpose, by nobody who is there.
    let said = key.said("webauthn.get", &challenge);
    let spoil = |edit: &dyn Fn(&mut super::customer::Said)| {
        let mut said = said.clone();
        said.counter += 5;
        edit(&mut said);
        said
    };
    for (said, code) in [
        (spoil(&|said| said.challenge = sha256(other_text.as_bytes())), "webauthn_challenge_mismatch"),
        (
            spoil(&|said| said.origin = "https://approve.harbor.example.evil.example".into()),
            "webauthn_origin_mismatch",
        ),
        (spoil(&|said| said.origin = "https://harbor.example".into()), "webauthn_origin_mismatch"),
        (spoil(&|said| said.more = r#","crossOrigin":true"#.into()), "webauthn_cross_origin"),
        (
            spoil(&|said| said.more = r#","crossOrigin":false,"topOrigin":"https://harbor.example""#.into()),
            "webauthn_top_origin",
        ),
        (spoil(&|said| said.kind = "webauthn.create"), "webauthn_type_mismatch"),
        (spoil(&|said| said.rp_id = "harbor.example".into()), "webauthn_rp_id_mismatch"),
        (spoil(&|said| said.flags = UV), "webauthn_user_not_present"),
    ] {
        let answer = send(&server, &id, "ac_1", &key.sign(&said));
        assert_eq!((answer.code(), why(&answer)), ("assertion_invalid", code), "{}", answer.body);
    }
    let mut stranger = SecurityKey::new(holdfast_authn::webauthn::Algorithm::Es256);
    let answer = send(&server, &id, "ac_1", &stranger.approve(&text));
    assert_eq!((answer.status, answer.code()), (404, "credential_unknown"), "{}", answer.body);
    stranger.id.clone_from(&key.id);
    let answer = send(&server, &id, "ac_1", &stranger.approve(&text));
    assert_eq!(why(&answer), "webauthn_signature_invalid", "another key under the same id: {}", answer.body);
    let good = key.approve(&text);
    let foreign = send(&server, &id, "ac_2", &good);
    assert_eq!((foreign.status, foreign.code()), (403, "withdrawal_foreign"), "{}", foreign.body);
    let mut cut = good.clone();
    cut["signature"] = json!("AAAA");
    assert_eq!(send(&server, &id, "ac_1", &cut).code(), "assertion_invalid");
    cut["signature"] = json!("not base64");
    assert_eq!(send(&server, &id, "ac_1", &cut).code(), "base64url_invalid");
    let unknown = send(&server, "wd_00000000000000000000000000", "ac_1", &good);
    assert_eq!(unknown.code(), "withdrawal_unknown");
    assert_eq!(server.get("/health").body["sequence"], before, "nothing of that was journaled");

    // In parallel the one assertion counts once.
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let ask = || {
            let answer = send(&server, &id, "ac_1", &good);
            (answer.status, answer.code().to_owned())
        };
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
    assert!(
        answers.iter().all(|(status, code)| *status == 200 || code == "counter_went_back"),
        "{answers:?}"
    );

    // A counter that did not rise was a copy's, whatever it says.
    let mut said = key.said("webauthn.get", &sha256(other_text.as_bytes()));
    said.flags = UP | UV;
    let answer = send(&server, &other_id, "ac_1", &key.sign(&said));
    assert_eq!((answer.status, answer.code()), (403, "counter_went_back"), "{}", answer.body);
    drop(exchange);
}

#[test]
fn an_approval_outlives_neither_its_key_nor_the_text() {
    let (exchange, server, mut key) = setting();
    let (id, text) = large(&server, "k1");
    // Its text's time passes: the approval of the old text is worth nothing for the new one.
    let old = key.approve(&text);
    let server = later(&exchange, server, 7 * 24 + 1);
    let late = send(&server, &id, "ac_1", &old);
    assert_eq!((late.status, late.code()), (409, "text_lapsed"), "{}", late.body);
    let renew = format!("/v1/withdrawals/{id}/renew");
    open_account(&server, "ac_2");
    let foreign = server.post(&renew, &json!({ "account": "ac_2" }));
    assert_eq!(foreign.status, 403, "{}", foreign.body);
    let renewed = server.post(&renew, &json!({ "account": "ac_1" }));
    assert_eq!(
        (renewed.status, &renewed.body["status"]),
        (200, &json!("awaiting_approval")),
        "{}",
        renewed.body
    );
    let again = server.post(&renew, &json!({ "account": "ac_1" }));
    assert_eq!(again.code(), "text_not_lapsed");
    let answer = send(&server, &id, "ac_1", &old);
    assert_eq!(why(&answer), "webauthn_challenge_mismatch", "{}", answer.body);
    let text = server.get(&path(&id)).body["text"].as_str().unwrap().to_owned();
    assert_eq!(send(&server, &id, "ac_1", &key.approve(&text)).body["status"], "approved");
}
