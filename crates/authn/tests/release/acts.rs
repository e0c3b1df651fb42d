//! Which operators stand behind a text.

use holdfast_authn::Operators;
use holdfast_authn::release::{SignedAct, verify_act};
use holdfast_values::{Name, OperatorProof, OperatorPublicKey};

use crate::samples::{name, operator_key, sign};

const TEXT: &str = "any text\n";

fn keys(names: &[(&str, &str)]) -> Operators {
    let key = |whose| OperatorPublicKey::Ed25519(operator_key(whose).public_key());
    let keys = names.iter().map(|(who, whose)| (name(who), key(*whose))).collect();
    Operators { keys, party: None }
}

/// The act `TEXT` with signatures by `whose` under the names `who`.
fn act(signatures: &[(&str, &str)]) -> SignedAct {
    let mut act = sign(TEXT, &signatures.iter().map(|(_, whose)| *whose).collect::<Vec<_>>());
    for (signature, (who, _)) in act.signatures.iter_mut().zip(signatures) {
        signature.operator = name(who);
    }
    act
}

#[test]
fn counts_distinct_operators_and_distinct_keys() {
    let both = keys(&[("alice", "alice"), ("bob", "bob")]);
    let twins = keys(&[("alice", "alice"), ("bob", "alice"), ("carol", "carol")]);
    for (signatures, keys, expected) in [
        (&[][..], &both, &[][..]),
        (&[("alice", "alice")], &both, &["alice"]),
        (&[("bob", "bob"), ("alice", "alice")], &both, &["alice", "bob"]),
        (&[("alice", "alice"), ("alice", "alice")], &both, &["alice"]),
        (&[("alice", "bob"), ("bob", "alice")], &both, &[]),
        (&[("alice", "carol"), ("bob", "bob")], &both, &["bob"]),
        (&[("alice", "carol"), ("alice", "alice")], &both, &["alice"]),
        (&[("mallory", "alice"), ("bob", "bob")], &both, &["bob"]),
        (&[("bob", "alice"), ("alice", "alice")], &twins, &["alice"]),
        (&[("bob", "alice"), ("carol", "carol")], &twins, &["bob", "carol"]),
    ] {
        let expected: Vec<Name> = expected.iter().map(|who| name(who)).collect();
        assert_eq!(verify_act(&act(signatures), keys), expected, "{signatures:?}");
    }
}

#[test]
fn a_signature_over_another_text_counts_as_nothing() {
    let keys = keys(&[("alice", "alice")]);
    let mut act = act(&[("alice", "alice")]);
    act.text.push('\n');
    assert_eq!(verify_act(&act, &keys), []);
}

#[test]
fn a_weak_key_counts_as_nothing() {
    // Under the neutral element, R = A = 0 and s = 0 would fit every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut act = act(&[("alice", "alice")]);
    let mut signature = [0; 64];
    signature[0] = 1;
    act.signatures[0].signature = OperatorProof::Ed25519(signature);
    let keys = [(name("alice"), OperatorPublicKey::Ed25519(neutral))].into();
    assert_eq!(verify_act(&act, &Operators { keys, party: None }), []);
}
