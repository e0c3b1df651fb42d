//! The table of keys and what is told of them.

use holdfast_gate::{Anomalies, KeyEntry, PutError};
use holdfast_values::Timestamp;

use crate::house::*;

#[test]
fn a_change_takes_effect_on_the_next_request() {
    let gate = gate();
    let mut at = NOON;
    let mut next = || {
        at = at.plus(1_000);
        word(&order("alice", at).check(&gate, NOON))
    };
    assert_eq!(next(), "ac_alice");
    gate.freeze_account("ac_alice".parse().unwrap());
    assert_eq!(next(), "account_frozen");
    gate.unfreeze_account("ac_alice".parse().unwrap());
    assert_eq!(next(), "ac_alice");
    gate.put_key(KeyEntry { revision: 3, scopes: 1, ..entry("alice", 15) }).unwrap();
    assert_eq!(next(), "scope_missing");
    // A late word about an older revision.
    gate.put_key(KeyEntry { revision: 2, ..entry("alice", 15) }).unwrap();
    assert_eq!(next(), "scope_missing");
    assert!(gate.revoke_key(&name("alice")));
    assert_eq!(next(), "api_key_revoked");
    // What was revoked stays so, whatever is put.
    gate.put_key(KeyEntry { revision: 4, ..entry("alice", 15) }).unwrap();
    assert_eq!(next(), "api_key_revoked");
    gate.remove_key(&name("alice"));
    assert_eq!(next(), "api_key_unknown");
    assert!(!gate.revoke_key(&name("alice")));
}

#[test]
fn a_key_without_addresses_cannot_withdraw() {
    let gate = gate();
    gate.put_key(KeyEntry { allow: Vec::new(), revision: 2, ..entry("alice", 15) }).unwrap();
    assert_eq!(word(&order("alice", NOON).check(&gate, NOON)), "ac_alice");
    assert_eq!(word(&withdrawal("alice", NOON).check(&gate, NOON)), "address_not_allowed");
}

#[test]
fn a_key_ends_at_its_time() {
    let gate = gate();
    gate.put_key(KeyEntry { expires_at: Some(NOON.plus(1_000)), revision: 2, ..entry("alice", 15) }).unwrap();
    assert_eq!(word(&order("alice", NOON).check(&gate, NOON)), "ac_alice");
    assert_eq!(word(&order("alice", NOON.plus(1_000)).check(&gate, NOON.plus(1_000))), "api_key_expired");
    assert!(gate.set_key_end(&name("alice"), None));
    assert_eq!(word(&order("alice", NOON.plus(2_000)).check(&gate, NOON.plus(2_000))), "ac_alice");
}

#[test]
fn a_suspended_key_is_unknown_until_it_is_put_again_and_keeps_its_nonces() {
    let gate = gate();
    let nonce = NOON.0 / 1_000;
    let balance = |nonce| kraken("/0/private/Balance", "kay", "", nonce).check(&gate, NOON);
    assert_eq!(word(&balance(nonce)), "ac_kay");
    assert!(gate.suspend_key(&name("kay")));
    let holdfast_gate::Verdict::Deny(denied) = balance(nonce + 1) else { panic!("let through") };
    assert_eq!((denied.code.as_str(), denied.key), ("api_key_unknown", Some(name("kay"))));
    gate.put_key(KeyEntry { revision: 2, ..kay() }).unwrap();
    assert_eq!(word(&balance(nonce)), "nonce_old");
    assert_eq!(word(&balance(nonce + 1)), "ac_kay");
    gate.suspend_all();
    assert_eq!(word(&balance(nonce + 2)), "api_key_unknown");
    assert!(!gate.suspend_key(&name("nobody")));
}

#[test]
fn the_table_has_bounds() {
    let gate = gate();
    assert_eq!(
        gate.put_key(KeyEntry { account: "ac_other".parse().unwrap(), ..entry("alice", 15) }),
        Err(PutError::Foreign)
    );
    let many = vec!["203.0.113.7".parse().unwrap(); 1_025];
    assert_eq!(gate.put_key(KeyEntry { allow: many, ..entry("carl", 1) }), Err(PutError::AllowTooLong));
    let taken = (0..10_000).filter(|n| gate.put_key(entry(&format!("k{n}"), 1)).is_ok()).count();
    assert!((1_000..=2_048).contains(&taken), "{taken}");
}

#[test]
fn summaries_tell_of_each_key_once() {
    let gate = gate();
    for n in 0..3 {
        assert_eq!(word(&order("alice", NOON.plus(n * 1_000)).check(&gate, NOON)), "ac_alice");
    }
    let last = NOON.plus(7_000);
    assert_eq!(word(&order("bob", last).check(&gate, last)), "ac_bob");
    assert_eq!(word(&order("bob", last).from(AWAY).check(&gate, last)), "replayed");
    // Somebody has Alice's key and is elsewhere.
    assert_eq!(word(&order("alice", last).from(AWAY).check(&gate, last)), "address_not_allowed");
    // Somebody knows the name of Kay's key.
    let mut forged = kraken("/0/private/Balance", "kay", "", NOON.0 / 1_000);
    forged.body.extend_from_slice(b"&a=b");
    assert_eq!(word(&forged.check(&gate, last)), "signature_invalid");

    let summary = gate.drain(last, 100);
    let told: Vec<_> = summary
        .keys
        .iter()
        .map(|seen| {
            (seen.key.as_str(), seen.allowed, seen.refused, seen.unproven, seen.last_used, seen.places)
        })
        .collect();
    assert_eq!(summary.waiting, 0);
    assert_eq!(told[0], ("alice", 3, 1, 0, Some(NOON), told[0].5));
    assert_eq!(told[1], ("bob", 1, 1, 0, Some(last), told[1].5));
    assert_eq!(told[2], ("kay", 0, 0, 1, None::<Timestamp>, 0));
    assert!((1..=2).contains(&told[0].5) && (1..=2).contains(&told[1].5));
    let anomalies: Vec<Vec<&str>> =
        summary.keys.iter().map(|seen| seen.anomalies.names().collect()).collect();
    assert_eq!(anomalies, [vec!["address"], vec!["replay"], vec!["signature"]]);
    assert!(summary.keys[0].anomalies.contains(Anomalies::ADDRESS));
    assert!(gate.drain(last, 100).keys.is_empty());

    // In portions: what does not fit waits.
    for (n, key) in ["alice", "bob"].into_iter().enumerate() {
        let at = last.plus(1_000 * (1 + n as u64));
        assert_eq!(word(&order(key, at).check(&gate, last)), format!("ac_{key}"));
    }
    let first = gate.drain(last, 1);
    assert_eq!((first.keys.len(), first.waiting), (1, 1));
    let second = gate.drain(last, 1);
    assert_eq!((second.keys.len(), second.waiting), (1, 0));
    assert_ne!(first.keys[0].key, second.keys[0].key);
}

#[test]
fn stats_count_what_was_answered() {
    let gate = gate();
    order("alice", NOON).check(&gate, NOON);
    order("alice", NOON).check(&gate, NOON);
    let stats = gate.stats();
    let refused: Vec<_> =
        stats.refused.iter().filter(|(_, count)| *count > 0).map(|(code, n)| (code.as_str(), *n)).collect();
    assert_eq!((stats.allowed, refused, stats.keys, stats.remembered), (1, vec![("replayed", 1)], 3, 1));
}
