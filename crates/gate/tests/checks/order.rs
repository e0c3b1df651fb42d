//! One refusal after the other, each with everything that stands below it in order.

use holdfast_gate::{Code, Gate, Verdict};
use holdfast_values::{Timestamp, time};

use crate::house::*;

fn one(sent: &Sent) -> String {
    word(&sent.check(&gate(), NOON))
}

#[test]
fn good_requests_are_let_through_with_their_account() {
    assert_eq!(one(&order("alice", NOON)), "ac_alice");
    assert_eq!(one(&withdrawal("alice", NOON)), "ac_alice");
    assert_eq!(one(&order("bob", NOON).from(AWAY)), "ac_bob");
    assert_eq!(one(&order("alice", NOON).from("2001:db8::7")), "ac_alice");
    assert_eq!(one(&order("alice", NOON).from("::ffff:203.0.113.7")), "ac_alice");
    assert_eq!(one(&kraken("/0/private/Balance", "kay", "", NOON.0 / 1_000)), "ac_kay");
    assert_eq!(one(&Sent::new("GET", "/api/v3/time")), "public");
    let Verdict::Allow(allowed) = order("alice", NOON).check(&gate(), NOON) else { panic!("refused") };
    let headers: Vec<(&str, String)> = allowed.headers();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let expected = [
        ("x-holdfast-account", "ac_alice"),
        ("x-holdfast-key", "alice"),
        ("x-holdfast-key-revision", "1"),
        ("x-holdfast-scope", "trade"),
    ];
    assert_eq!((headers.as_slice(), allowed.weight), (&expected[..], 1));
}

#[test]
fn parameters_in_the_body_are_verified_as_they_are() {
    let mut sent = order("alice", NOON);
    sent.body = std::mem::take(&mut sent.query).into_bytes();
    let sent = sent.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(one(&sent), "ac_alice");
    for (at, byte) in [(0, b'S'), (7, b'X'), (sent.body.len() - 1, b'z')] {
        let mut altered = sent.clone();
        altered.body[at] = byte;
        assert!(["signature_invalid", "request_malformed"].contains(&one(&altered).as_str()), "{at}");
    }
}

/// Something that is done to a request or to the gate.
type Twist = fn(&Gate, &mut Sent, &mut Timestamp);

#[test]
fn refusals_come_in_this_order() {
    // Each twist is added to those above it, from the bottom up: the one added last must be the answer.
    let ladder: [(Code, Twist); 15] = [
        (Code::KeyBudget, |gate, _, now| {
            for micros in 1..=20 {
                let sent = order("alice", now.plus(micros * 1_000));
                assert_eq!(word(&sent.check(gate, *now)), "ac_alice");
            }
        }),
        (Code::SignedBeforeStart, |gate, sent, now| {
            // This gate's first trusted instant is just after 59 s before noon.
            *now = NOON.minus(59 * time::SECOND);
            *sent = order("alice", *now);
            assert_eq!(word(&order("alice", now.plus(1_000)).check(gate, *now)), "ac_alice");
        }),
        (Code::SignedTooLongAgo, |_, sent, now| {
            *now = NOON;
            *sent = order("alice", NOON.minus(5_001_000));
        }),
        (Code::ScopeMissing, |_, sent, now| {
            *sent = kraken("/0/private/Balance", "narrow", "", now.0 / 1_000);
        }),
        (Code::AddressNotAllowed, |_, sent, _| sent.ip = AWAY.parse().unwrap()),
        (Code::AccountFrozen, |gate, _, _| gate.freeze_account("ac_narrow".parse().unwrap())),
        (Code::KeyExpired, |_, sent, now| {
            *sent = kraken("/0/private/Balance", "ended", "", now.0 / 1_000).from(AWAY);
        }),
        (Code::KeyRevoked, |gate, _, _| assert!(gate.revoke_key(&"ended".parse().unwrap()))),
        (Code::SignatureInvalid, |_, sent, _| sent.body.extend_from_slice(b"&a=b")),
        (Code::KeyDialect, |_, sent, now| {
            *sent = order("kay", *now).from(AWAY);
            sent.query.push('0');
        }),
        (Code::KeyUnknown, |_, sent, now| {
            *sent = order("nobody", *now).from(AWAY);
            sent.query.push('0');
        }),
        (Code::SignatureInvalid, |_, sent, _| {
            sent.query = "timestamp=1795348800000".to_owned();
        }),
        (Code::BodyTooLarge, |_, sent, _| sent.body_truncated = true),
        (Code::HeaderRefused, |_, sent, _| {
            sent.headers.push(("X-Holdfast-Account".to_owned(), "ac_alice".to_owned()));
        }),
        (Code::RouteUnknown, |_, sent, _| sent.method = "DELETE"),
    ];
    let gate = gate();
    let mut narrow = entry("narrow", 2);
    narrow.material = holdfast_authn::KeyMaterial::hmac_sha256(SECRET.as_bytes()).unwrap();
    narrow.dialect = None;
    let kraken_material = |mut entry: holdfast_gate::KeyEntry| {
        entry.dialect = None;
        entry.material = holdfast_authn::KeyMaterial::shared(
            holdfast_authn::Dialect::Kraken,
            &holdfast_authn::encoding::to_base64(SECRET.as_bytes()),
            None,
        )
        .unwrap();
        entry
    };
    gate.put_key(kraken_material(narrow)).unwrap();
    let mut ended = kraken_material(entry("ended", 2));
    ended.expires_at = Some(NOON);
    gate.put_key(ended).unwrap();

    let (mut sent, mut now) = (order("alice", NOON), NOON);
    for (code, twist) in ladder {
        twist(&gate, &mut sent, &mut now);
        assert_eq!(word(&sent.check(&gate, now)), code.as_str());
    }
    // Whatever else is wrong: an address that has spent its minute is told so.
    for _ in 0..60 {
        sent.check(&gate, now);
    }
    assert_eq!(word(&sent.check(&gate, now)), "address_budget");
}

#[test]
fn paths_and_routes_with_two_readings_are_refused() {
    for (path, code) in [
        ("/api/v3/../v3/order", "path_not_canonical"),
        ("/api//v3/order", "path_not_canonical"),
        ("/api/v3/%6Frder", "path_not_canonical"),
        ("/api/v3%2Forder", "path_not_canonical"),
        ("/api/v3/order;a", "path_not_canonical"),
        ("/api/v3/order?", "path_not_canonical"),
        ("/api/v3/order/", "route_ambiguous"),
        ("/api/v3/Order", "route_ambiguous"),
        ("/api/v4/order", "route_unknown"),
        ("/", "route_unknown"),
    ] {
        let sent = binance("POST", path, "alice", "a=b", NOON);
        assert_eq!(one(&sent), code, "{path}");
    }
    for query in ["a b", "a#b", "a\u{7f}"] {
        let mut sent = order("alice", NOON);
        sent.query = format!("{query}&{}", sent.query);
        assert_eq!(one(&sent), "path_not_canonical", "{query}");
    }
    for (method, code) in [
        ("PUT", "route_unknown"),
        ("HEAD", "route_unknown"),
        ("post", "path_not_canonical"),
        ("", "path_not_canonical"),
    ] {
        let mut sent = order("alice", NOON);
        sent.method = method;
        assert_eq!(one(&sent), code, "{method}");
    }
}

#[test]
fn times_are_held_to_the_window() {
    let gate = gate();
    for (signed, now, code) in [
        (NOON, NOON.plus(5_000_000), "ac_bob"),
        (NOON.plus(1_000), NOON.plus(5_002_000), "signed_too_long_ago"),
        (NOON.plus(1_000_000), NOON, "ac_bob"),
        (NOON.plus(1_001_000), NOON, "signed_ahead"),
        (NOON.plus(60_000_000), NOON, "signed_ahead"),
        (NOON.minus(60_000_000), NOON, "signed_too_long_ago"),
    ] {
        assert_eq!(word(&order("bob", signed).check(&gate, now)), code, "{signed} {now}");
    }
    let long = |signed| binance("POST", "/api/v3/order", "bob", "recvWindow=60000", signed);
    assert_eq!(word(&long(NOON.minus(58_000_000)).check(&gate, NOON)), "ac_bob");
    let too_long = binance("POST", "/api/v3/order", "bob", "recvWindow=60001", NOON);
    assert_eq!(word(&too_long.check(&gate, NOON)), "time_malformed");
}

#[test]
fn a_request_is_let_through_once() {
    let gate = gate();
    let sent = order("alice", NOON);
    assert_eq!(word(&sent.check(&gate, NOON)), "ac_alice");
    assert_eq!(word(&sent.check(&gate, NOON)), "replayed");
    // Neither another path, nor another place of the parameters, nor other headers make another request of it.
    let mut elsewhere = sent.clone();
    elsewhere.path = "/sapi/v1/capital/withdraw/apply".to_owned();
    assert_eq!(word(&elsewhere.check(&gate, NOON)), "replayed");
    let mut moved = sent.clone().header("user-agent", "b");
    moved.body = std::mem::take(&mut moved.query).into_bytes();
    assert_eq!(word(&moved.check(&gate, NOON)), "replayed");
    assert_eq!(word(&sent.check(&gate, NOON.plus(5_000_000))), "replayed");
    assert_eq!(word(&sent.check(&gate, NOON.plus(6_000_000))), "signed_too_long_ago");
}

#[test]
fn nonces_rise() {
    let gate = gate();
    let balance = |nonce| word(&kraken("/0/private/Balance", "kay", "", nonce).check(&gate, NOON));
    let nonce = NOON.0 / 1_000;
    assert_eq!(balance(nonce), "ac_kay");
    assert_eq!(balance(nonce), "nonce_old");
    assert_eq!(balance(nonce - 1), "nonce_old");
    assert_eq!(balance(nonce + 1), "ac_kay");
}

#[test]
fn after_a_restart_nothing_from_before_is_believed() {
    let before = gate();
    // Signed by a clock that is a second ahead, let through just before the restart.
    let sent = order("alice", NOON.plus(900_000));
    assert_eq!(word(&sent.check(&before, NOON)), "ac_alice");
    let after = bare_gate(NOON.plus(1_000));
    after.put_key(entry("alice", 15)).unwrap();
    assert_eq!(word(&sent.check(&after, NOON.plus(1_000))), "signed_before_start");
    let later = NOON.plus(1_002_000);
    assert_eq!(word(&order("alice", later).check(&after, later)), "ac_alice");
}

#[test]
fn budgets_are_by_minute_and_said_with_the_seconds_to_wait() {
    let gate = gate();
    let at = NOON.plus(20_000_000);
    for n in 0..4 {
        let sent = binance("GET", "/api/v3/account", "bob", "", at.plus(n * 1_000));
        assert_eq!(word(&sent.check(&gate, at)), "ac_bob");
    }
    let last = binance("GET", "/api/v3/account", "bob", "", at.plus(9_000));
    let Verdict::Deny(denied) = last.check(&gate, at) else { panic!("let through") };
    assert_eq!((denied.code, denied.status, denied.retry_after_seconds), (Code::KeyBudget, 429, Some(40)));
    // What was refused for its price was not remembered, and nobody else paid for it.
    assert_eq!(word(&order("alice", at).check(&gate, at)), "ac_alice");
    let minute = NOON.plus(60_000_000);
    let sent = binance("GET", "/api/v3/account", "bob", "", minute);
    assert_eq!(word(&sent.check(&gate, minute)), "ac_bob");
}

#[test]
fn a_stranger_spends_his_own_budget_and_no_memory() {
    let gate = gate();
    let mut codes = Vec::new();
    for n in 0..60 {
        let mut sent = order("alice", NOON.plus(n * 1_000)).from(AWAY);
        sent.query.replace_range(sent.query.len() - 4.., "0000");
        codes.push(word(&sent.check(&gate, NOON)));
    }
    assert_eq!(codes.iter().filter(|code| *code == "signature_invalid").count(), 50);
    assert_eq!(codes.iter().filter(|code| *code == "address_budget").count(), 10);
    assert_eq!(gate.stats().remembered, 0);
    for n in 0..20 {
        assert_eq!(word(&order("alice", NOON.plus(n * 1_000)).check(&gate, NOON)), "ac_alice");
    }
}

#[test]
fn a_replay_spends_no_budget_of_the_key() {
    let gate = gate();
    let sent = order("bob", NOON);
    assert_eq!(word(&sent.check(&gate, NOON)), "ac_bob");
    for _ in 0..30 {
        assert_eq!(word(&sent.clone().from(AWAY).check(&gate, NOON)), "replayed");
    }
    for n in 1..20 {
        assert_eq!(word(&order("bob", NOON.plus(n * 1_000)).check(&gate, NOON)), "ac_bob");
    }
}

#[test]
fn a_full_memory_refuses_and_forgets_nothing() {
    let gate = gate();
    let first = order("alice", NOON);
    assert_eq!(word(&first.check(&gate, NOON)), "ac_alice");
    for n in 1..20 {
        assert_eq!(word(&order("alice", NOON.plus(n * 1_000)).check(&gate, NOON)), "ac_alice");
    }
    for n in 0..10 {
        assert_eq!(word(&order("bob", NOON.plus(n * 1_000)).check(&gate, NOON)), "ac_bob");
    }
    assert_eq!(word(&order("bob", NOON.plus(10_000)).check(&gate, NOON)), "memory_full");
    assert_eq!(word(&first.check(&gate, NOON)), "replayed");
    let later = NOON.plus(8_000_000);
    assert_eq!(word(&order("bob", later).check(&gate, later)), "ac_bob");
}

#[test]
fn refusals_speak_the_dialect() {
    let mut sent = order("alice", NOON);
    sent.query.replace_range(sent.query.len() - 4.., "0000");
    let (status, body) = said(sent.check(&gate(), NOON));
    assert_eq!(status, 400);
    assert!(body.starts_with("{\"code\":-1022,"), "{body}");
    let (status, body) =
        said(kraken("/0/private/Balance", "kay", "", NOON.0 / 1_000).from(AWAY).check(&gate(), NOON));
    assert_eq!(status, 200);
    assert!(body.starts_with("{\"error\":[\"EGeneral:Permission denied\"]"), "{body}");
}
