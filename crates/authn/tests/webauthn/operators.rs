//! Operators' passkeys: whose assertion counts under an act, how it is spelled, and that no key is of both kinds.

use holdfast_authn::operator::{OperatorError, Operators, parse_operator_proof, passkey_of, verify_operator};
use holdfast_authn::release::{OperatorSignature, SignedAct, verify_act};
use holdfast_authn::webauthn::{Algorithm, RelyingParty, WebAuthnError};
use holdfast_values::{OperatorProof, OperatorPublicKey, PasskeyAssertion, TextDigest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::authenticator::{Key, ORIGIN, RP_ID, Signed, UP, UV, authenticator_data, client_data, party};

const TEXT: &str = "any text\n";

fn digest() -> [u8; 32] {
    TextDigest::of(TEXT.as_bytes()).0
}

fn passkey(key: &Key) -> OperatorPublicKey {
    OperatorPublicKey::Passkey(key.public_key().digest())
}

fn assertion(key: &Key, signed: Signed) -> PasskeyAssertion {
    PasskeyAssertion {
        public_key: key.cose(),
        client_data_json: signed.client_data,
        authenticator_data: signed.authenticator_data,
        signature: signed.signature,
    }
}

/// What a key says over a challenge, on an origin, for a relying party.
fn said(key: &Key, challenge: &[u8], origin: &str, rp_id: &str, flags: u8, more: &str) -> OperatorProof {
    let client = client_data("webauthn.get", challenge, origin, more);
    OperatorProof::Passkey(Box::new(assertion(
        key,
        Signed::by(key, client, authenticator_data(rp_id, flags, 0, &[])),
    )))
}

fn good(key: &Key) -> OperatorProof {
    said(key, &digest(), ORIGIN, RP_ID, UP | UV, r#","crossOrigin":false"#)
}

fn verify(key: OperatorPublicKey, proof: &OperatorProof) -> Result<(), OperatorError> {
    verify_operator(&key, Some(&party()), &digest(), proof)
}

#[test]
fn a_passkey_of_every_algorithm_signs_the_digest_of_a_text() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        assert_eq!(verify(passkey(&key), &good(&key)), Ok(()), "{algorithm:?}");
        assert_eq!(passkey_of(&key.cose()), Ok(passkey(&key)));
    }
}

#[test]
fn what_is_not_the_operators_word_over_this_text_is_refused_by_name() {
    let key = Key::new(Algorithm::Es256);
    let other = Key::new(Algorithm::Es256);
    let spoiled = |spoil: &dyn Fn(&mut PasskeyAssertion)| {
        let OperatorProof::Passkey(mut by) = good(&key) else { unreachable!("a passkey's") };
        spoil(&mut by);
        OperatorProof::Passkey(by)
    };
    let both = UP | UV;
    for (what, proof, code) in [
        (
            "another page",
            said(&key, &digest(), "https://harbor.example", RP_ID, both, ""),
            "webauthn_origin_mismatch",
        ),
        (
            "another party",
            said(&key, &digest(), ORIGIN, "harbor.example", both, ""),
            "webauthn_rp_id_mismatch",
        ),
        ("another text", said(&key, &[7; 32], ORIGIN, RP_ID, both, ""), "webauthn_challenge_mismatch"),
        ("no PIN, no finger", said(&key, &digest(), ORIGIN, RP_ID, UP, ""), "operator_user_not_verified"),
        ("nobody there", said(&key, &digest(), ORIGIN, RP_ID, UV, ""), "webauthn_user_not_present"),
        (
            "a frame",
            said(&key, &digest(), ORIGIN, RP_ID, both, r#","crossOrigin":true"#),
            "webauthn_cross_origin",
        ),
        (
            "a page around it",
            said(&key, &digest(), ORIGIN, RP_ID, both, r#","topOrigin":"https://evil.example""#),
            "webauthn_top_origin",
        ),
        ("another passkey", good(&other), "operator_passkey_differs"),
        ("another key named", spoiled(&|by| by.public_key = other.cose()), "operator_passkey_differs"),
        ("a key in a second spelling", spoiled(&|by| by.public_key.push(0)), "webauthn_cbor_trailing"),
        ("a signature altered", spoiled(&|by| by.signature[9] ^= 1), "webauthn_signature_invalid"),
        ("data altered", spoiled(&|by| by.authenticator_data[36] ^= 1), "webauthn_signature_invalid"),
        (
            "too much said",
            spoiled(&|by| by.client_data_json = vec![b' '; 1_025]),
            "operator_signature_malformed",
        ),
        ("nothing said", spoiled(&|by| by.client_data_json.clear()), "operator_signature_malformed"),
        ("Ed25519", OperatorProof::Ed25519([1; 64]), "operator_signature_kind"),
    ] {
        assert_eq!(verify(passkey(&key), &proof).map_err(|error| error.code()), Err(code), "{what}");
    }
    let nowhere = verify_operator(&passkey(&key), None, &digest(), &good(&key));
    assert_eq!(nowhere.map_err(|error| error.code()), Err("operator_party_missing"));
    // A registration is no assertion, whatever was its challenge.
    let create = client_data("webauthn.create", &digest(), ORIGIN, "");
    let made = Signed::by(&key, create, authenticator_data(RP_ID, both, 0, &[]));
    let made = OperatorProof::Passkey(Box::new(assertion(&key, made)));
    assert_eq!(verify(passkey(&key), &made), Err(OperatorError::Passkey(WebAuthnError::TypeMismatch)));
}

#[test]
fn no_key_is_of_the_other_kind() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let plain = OperatorProof::Ed25519(pair.sign(&digest()).as_ref().try_into().unwrap());
    assert_eq!(verify(OperatorPublicKey::Ed25519(public), &plain), Ok(()));
    // The same 32 bytes, said to be a passkey's; and the bytes of a passkey, said to be a key.
    assert_eq!(verify(OperatorPublicKey::Passkey(public), &plain), Err(OperatorError::Kind));
    let key = Key::EdDsa(pair);
    let by = good(&key);
    assert_eq!(verify(passkey(&key), &by), Ok(()));
    assert_eq!(verify(OperatorPublicKey::Ed25519(public), &by), Err(OperatorError::Kind));
    assert_eq!(verify(OperatorPublicKey::Ed25519(*passkey(&key).bytes()), &by), Err(OperatorError::Kind));
    assert_eq!(verify(OperatorPublicKey::Passkey(public), &by), Err(OperatorError::PasskeyDiffers));
}

#[test]
fn operators_of_both_kinds_count_together_and_each_key_once() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let key = Key::new(Algorithm::Es256);
    let name = |text: &str| text.parse::<holdfast_values::Name>().unwrap();
    let plain = OperatorProof::Ed25519(pair.sign(&digest()).as_ref().try_into().unwrap());
    let ed25519 = OperatorPublicKey::Ed25519(pair.public_key().as_ref().try_into().unwrap());
    let operators = Operators {
        keys: [("alice", ed25519), ("bob", passkey(&key)), ("bobby", passkey(&key))]
            .map(|(who, key)| (name(who), key))
            .into(),
        party: Some(party()),
    };
    let act = |signatures: &[(&str, &OperatorProof)]| SignedAct {
        text: TEXT.to_owned(),
        signatures: signatures
            .iter()
            .map(|(who, proof)| OperatorSignature { operator: name(who), signature: (*proof).clone() })
            .collect(),
    };
    let by = good(&key);
    for (signatures, expected) in [
        (&[("bob", &by), ("alice", &plain)][..], &["alice", "bob"][..]),
        (&[("bob", &by), ("bobby", &by)], &["bob"]),
        (&[("alice", &by), ("bob", &plain)], &[]),
        (&[("carol", &by)], &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|who| name(who)).collect();
        assert_eq!(verify_act(&act(signatures), &operators), expected);
    }
    let elsewhere = RelyingParty { origins: vec!["https://other.example".into()], ..party() };
    let operators = Operators { party: Some(elsewhere), ..operators };
    assert_eq!(verify_act(&act(&[("bob", &by), ("alice", &plain)]), &operators), [name("alice")]);
}

#[test]
fn a_passkeys_signature_is_spelled_as_the_operators_page_gives_it() {
    use holdfast_authn::encoding::to_base64url;
    let key = Key::new(Algorithm::Es256);
    let OperatorProof::Passkey(by) = good(&key) else { unreachable!("a passkey's") };
    let json = |more: &str| {
        format!(
            "{{\n \"public_key\": \"{}\", \"client_data_json\": \"{}\",\n \"authenticator_data\": \"{}\", \
             \"signature\": \"{}\"{more}\n}}\n",
            to_base64url(&by.public_key),
            to_base64url(&by.client_data_json),
            to_base64url(&by.authenticator_data),
            to_base64url(&by.signature)
        )
    };
    assert_eq!(parse_operator_proof(&json("")), Ok(OperatorProof::Passkey(by.clone())));
    for bad in [
        json(", \"more\": \"\""),
        json(", \"signature\": \"\""),
        json("").replace("signature", "sig"),
        json("").replace("\"signature\": \"", "\"signature\": \"="),
        format!("{{{}", " ".repeat(9_000)),
        "{}".to_owned(),
    ] {
        assert_eq!(parse_operator_proof(&bad), Err(OperatorError::PasskeyFormat), "{bad}");
    }
    let plain = format!("{}\n", "A".repeat(86));
    assert_eq!(parse_operator_proof(&plain), Ok(OperatorProof::Ed25519([0; 64])));
    assert_eq!(parse_operator_proof("AAAA"), Err(OperatorError::SignatureFormat));
}
