//! One-time and recovery codes: enrolled with a picture, each good once, and no stranger locks their owner out.

use serde_json::{Value, json};

use super::customer::{aged_key, approved, change, later, open, ready};
use super::server::{Answer, Server};

const STRANGER: &str = "198.51.100.66";

/// An authenticator app: somebody else's implementation.
struct App(totp_rs::Totp);

impl App {
    /// As typed in from what the enrolment showed.
    fn new(begun: &Value) -> Self {
        let uri = begun["uri"].as_str().unwrap();
        let secret = begun["secret"].as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/harbor.example"), "{uri}");
        assert!(uri.contains(&format!("secret={secret}")), "{uri}");
        assert!(begun["qr_svg"].as_str().unwrap().starts_with("<svg"), "{begun}");
        let totp = totp_rs::Builder::new()
            .with_algorithm(totp_rs::Algorithm::SHA1)
            .with_digits(begun["digits"].as_u64().unwrap().try_into().unwrap())
            .with_step_duration(begun["period"].as_u64().unwrap())
            .with_secret(base32(secret))
            .build()
            .unwrap();
        Self(totp)
    }

    /// The code of a step from now: -1 is the last one.
    fn code(&self, server: &Server, steps: i64) -> String {
        let seconds = server.now().0 / 1_000_000;
        self.0.generate(seconds.saturating_add_signed(steps * 30)).to_string()
    }
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0u32, 0u64, Vec::new());
    for byte in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == byte).unwrap();
        held = held << 5 | value as u64;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}

fn begin(server: &Server) -> App {
    let begun = server.poke("/v1/accounts/ac_1/one-time-codes");
    assert_eq!(begun.status, 200, "{}", begun.body);
    App::new(&begun.body)
}

fn confirm(server: &Server, body: &Value) -> Answer {
    server.post("/v1/accounts/ac_1/one-time-codes/confirm", body)
}

fn enrolled(server: &Server) -> App {
    let app = begin(server);
    let made = confirm(server, &json!({ "code": app.code(server, -1) }));
    assert_eq!((made.status, &made.body["revision"]), (200, &json!(1)), "{}", made.body);
    app
}

fn present(server: &Server, code: &Value, device: Option<&str>) -> Answer {
    let mut body = json!({ "code": code, "client_ip": STRANGER });
    if let Some(device) = device {
        body["device"] = json!(device);
    }
    server.post("/v1/accounts/ac_1/codes", &body)
}

/// A code that is wrong whatever the time.
fn wrong(app: &App, server: &Server) -> String {
    let right: Vec<String> = (-3..=3).map(|steps| app.code(server, steps)).collect();
    (0..).map(|n| format!("{n:06}")).find(|code| !right.contains(code)).unwrap()
}

#[test]
fn a_generator_counts_from_its_first_right_code_and_each_code_is_good_once() {
    let exchange = open();
    let server = ready(&exchange);
    assert_eq!(confirm(&server, &json!({ "code": "000000" })).code(), "codes_not_begun");
    assert_eq!(present(&server, &json!({ "one_time": "000000" }), None).code(), "codes_unknown");
    let forgotten = begin(&server);
    let app = begin(&server);
    let old = confirm(&server, &json!({ "code": forgotten.code(&server, 0) }));
    assert_eq!(old.code(), "code_wrong", "the last one begun counts: {}", old.body);
    let made = confirm(&server, &json!({ "code": app.code(&server, -1) }));
    assert_eq!((made.status, &made.body["revision"]), (200, &json!(1)), "{}", made.body);
    assert_eq!(confirm(&server, &json!({ "code": app.code(&server, 0) })).code(), "codes_not_begun");
    let used = present(&server, &json!({ "one_time": app.code(&server, -1) }), None);
    assert_eq!((used.status, used.code()), (409, "code_used"), "{}", used.body);

    let code = json!({ "one_time": app.code(&server, 0) });
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let ask = || {
            let answer = present(&server, &code, None);
            (answer.status, answer.code().to_owned())
        };
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, code)| *status == 200 || code == "code_used"), "{answers:?}");
    let failed = present(&server, &json!({ "one_time": wrong(&app, &server) }), None);
    assert_eq!((failed.status, failed.code()), (422, "code_wrong"), "{}", failed.body);
    assert!(failed.header("holdfast-sequence").is_some(), "it was counted");
    for bad in ["", "12345", "½23456"] {
        assert_eq!(present(&server, &json!({ "one_time": bad }), None).status, 422, "{bad}");
    }
}

#[test]
fn a_code_discharges_the_withdrawal_that_asks_for_one() {
    let exchange = super::server::Exchange::new(
        super::server::OPEN,
        Some(
            "@id(\"all\") permit (principal, action, resource);\n@id(\"code\") @outcome(\"step_up\") \
             @factor(\"one_time_code\") @reason(\"code_wanted\") forbid (principal, action, resource) unless { \
             context.approval.one_time_code };",
        ),
        &["--simulated-clock"],
    );
    let server = ready(&exchange);
    let app = enrolled(&server);
    let mut body = super::server::withdrawal("1");
    body["channel"] = json!({ "session": {} });
    let asked = server.withdraw("k1", &body);
    assert_eq!(asked.body["status"], "awaiting_approval", "{}", asked.body);
    let id = asked.body["id"].as_str().unwrap();
    let shown = |code: &Value| {
        let body = json!({ "code": code, "client_ip": STRANGER, "withdrawal": id });
        server.post("/v1/accounts/ac_1/codes", &body)
    };
    assert_eq!(shown(&json!({ "one_time": wrong(&app, &server) })).code(), "code_wrong");
    assert_eq!(shown(&json!({ "one_time": app.code(&server, 0) })).status, 200);
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).body["status"], "approved");
    assert_eq!(shown(&json!({ "one_time": app.code(&server, 1) })).code(), "not_awaiting_factor");
}

#[test]
fn strangers_lock_strangers_out_and_never_the_owners_own_device() {
    let exchange = open();
    let server = ready(&exchange);
    let app = enrolled(&server);
    let session = json!({ "device": "owners-cookie", "ip": "203.0.113.7", "country": "MT" });
    assert_eq!(server.post("/v1/accounts/ac_1/sessions", &session).body["new_device"], true);
    let server = later(&exchange, server, 25);

    for _ in 0..5 {
        let guess = present(&server, &json!({ "one_time": wrong(&app, &server) }), None);
        assert_eq!(guess.code(), "code_wrong", "{}", guess.body);
    }
    for device in [None, Some("a-guests-cookie")] {
        let right = present(&server, &json!({ "one_time": app.code(&server, 0) }), device);
        assert_eq!((right.status, right.code()), (403, "code_locked"), "{}", right.body);
        assert!(right.body["detail"].as_str().unwrap().contains('Z'), "until when: {}", right.body);
    }
    let own = present(&server, &json!({ "one_time": app.code(&server, 0) }), Some("owners-cookie"));
    assert_eq!(own.status, 200, "{}", own.body);
    let server = later(&exchange, server, 2);
    let stranger = present(&server, &json!({ "one_time": app.code(&server, 0) }), None);
    assert_eq!(stranger.status, 200, "after waiting: {}", stranger.body);
}

#[test]
fn recovery_codes_are_shown_once_and_good_once_each() {
    let exchange = open();
    let server = ready(&exchange);
    let made = server.post("/v1/accounts/ac_1/recovery-codes", &json!({}));
    assert_eq!(made.status, 201, "{}", made.body);
    let codes: Vec<String> =
        made.body["codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    assert!(codes.len() >= 8, "{}", made.body);
    let code = json!({ "recovery": codes[0] });
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..3).map(|_| scope.spawn(|| present(&server, &code, None).status)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(present(&server, &code, None).code(), "code_used");
    assert_eq!(present(&server, &json!({ "recovery": "aaaa-aaaa-aaaa-aaaa" }), None).code(), "code_wrong");

    // Others replace them, on the word of one of them; the old ones are void then.
    let path = "/v1/accounts/ac_1/recovery-codes";
    assert_eq!(server.post(path, &json!({})).code(), "code_needed");
    let replaced = server.post(path, &json!({ "code": { "recovery": codes[1] } }));
    assert_eq!((replaced.status, &replaced.body["revision"]), (201, &json!(2)), "{}", replaced.body);
    assert_eq!(present(&server, &json!({ "recovery": codes[2] }), None).code(), "code_wrong");
    let new = replaced.body["codes"][0].as_str().unwrap();
    assert_eq!(present(&server, &json!({ "recovery": new }), None).status, 200);

    // Neither the codes nor what they are compared with lie in a file in the clear.
    assert_eq!(server.stop(), Some(0));
    super::sessions::assert_nowhere(&exchange.data(), &[&codes[3], new]);
}

#[test]
fn replacing_a_generator_takes_a_code_of_the_old_one_or_the_owners_key() {
    let exchange = open();
    let server = ready(&exchange);
    let old = enrolled(&server);
    let next = begin(&server);
    let bare = confirm(&server, &json!({ "code": next.code(&server, 0) }));
    assert_eq!((bare.status, bare.code()), (403, "code_needed"), "{}", bare.body);
    let body = json!({ "code": next.code(&server, 0), "old": { "one_time": wrong(&old, &server) } });
    let refused = confirm(&server, &body);
    assert_eq!(refused.code(), "code_wrong", "a wrong code changes nothing: {}", refused.body);
    let still = present(&server, &json!({ "one_time": next.code(&server, 0) }), None);
    assert_eq!(still.code(), "code_wrong", "the new one does not count: {}", still.body);
    let body = json!({ "code": next.code(&server, 0), "old": { "one_time": old.code(&server, 0) } });
    let made = confirm(&server, &body);
    assert_eq!((made.status, &made.body["revision"]), (200, &json!(2)), "{}", made.body);
    let void = present(&server, &json!({ "one_time": old.code(&server, 1) }), None);
    assert_eq!(void.code(), "code_wrong", "{}", void.body);
    assert_eq!(present(&server, &json!({ "one_time": next.code(&server, 1) }), None).status, 200);

    let (server, mut key) = aged_key(&exchange, server, "ac_1");
    let last = begin(&server);
    let body = json!({ "code": last.code(&server, 0), "old": { "one_time": next.code(&server, 0) } });
    assert_eq!(confirm(&server, &body).code(), "approval_required", "a code is not enough any more");
    let body = json!({ "code": last.code(&server, 0) });
    let made = approved(&server, "POST", "/v1/accounts/ac_1/one-time-codes/confirm", &body, &mut key);
    assert_eq!((made.status, &made.body["revision"]), (200, &json!(3)), "{}", made.body);
    assert_eq!(change(&server, "ac_1", &json!("remove_codes")).code(), "approval_required");
    let path = "/v1/accounts/ac_1/changes";
    let removed = approved(&server, "POST", path, &json!({ "change": "remove_codes" }), &mut key);
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(present(&server, &json!({ "one_time": last.code(&server, 1) }), None).code(), "codes_unknown");
}
