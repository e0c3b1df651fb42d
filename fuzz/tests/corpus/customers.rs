//! Seeds of what Holdfast and auditors say about customers' keys: enrolments, removals, and files of assertions.

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{
    Basis, BoundAssertion, Enrolment, MandateUse, Removal, SignedAct, SignedHttpRequest,
};
use holdfast_fuzz::house::{self, APPROVE_ORIGIN, APPROVE_RP_ID, DORA_SEED, KEY_SEED, OPERATE_RP_ID};
use holdfast_values::{PasskeyAssertion, TextDigest, Timestamp};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::seeds::{Seed, bad, good};

const CREDENTIAL_ID: &[u8; 20] = b"a credential's name.";

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&KEY_SEED).unwrap()
}

fn cose() -> Vec<u8> {
    house::cose(pair().public_key().as_ref())
}

/// The passkey of an operator signs a text, on a page of this origin.
pub(crate) fn passkey(text: &str, origin: &str) -> PasskeyAssertion {
    let dora = Ed25519KeyPair::from_seed_unchecked(&DORA_SEED).unwrap();
    let by = assert_with(&dora, text, (OPERATE_RP_ID, origin));
    PasskeyAssertion {
        public_key: house::cose(dora.public_key().as_ref()),
        client_data_json: by.client_data_json,
        authenticator_data: by.authenticator_data,
        signature: by.signature,
    }
}

/// What the house's key asserts of a text.
pub(crate) fn assertion(text: &str) -> BoundAssertion {
    assert_with(&pair(), text, (APPROVE_RP_ID, APPROVE_ORIGIN))
}

fn assert_with(key: &Ed25519KeyPair, text: &str, (rp_id, origin): (&str, &str)) -> BoundAssertion {
    let challenge = to_base64url(&TextDigest::of(text.as_bytes()).0);
    let client_data_json =
        format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}"}}"#).into_bytes();
    let authenticator_data = [&TextDigest::of(rp_id.as_bytes()).0[..], &[0x05, 0, 0, 0, 7]].concat();
    let signed = [&authenticator_data[..], &TextDigest::of(&client_data_json).0].concat();
    BoundAssertion {
        credential_id: CREDENTIAL_ID.to_vec(),
        client_data_json,
        authenticator_data,
        signature: key.sign(&signed).as_ref().to_vec(),
    }
}

/// A mandate of this text, and a request that nobody signed.
pub(crate) fn mandate(text: &str) -> MandateUse {
    MandateUse {
        assertion: assertion(text),
        text: text.to_owned(),
        key: [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], pair().public_key().as_ref()]
            .concat(),
        request: SignedHttpRequest {
            dialect: "binance".to_owned(),
            method: "POST".to_owned(),
            path: "/sapi/v1/capital/withdraw/apply".to_owned(),
            query: b"coin=BTC".to_vec(),
            body: vec![],
            headers: vec![("X-MBX-APIKEY".to_owned(), "maker-1".to_owned())],
        },
    }
}

/// Enrolments on every basis, and a removal; `change` and `act` are the words behind the second and the third.
pub(crate) fn enrolments(change: &str, act: SignedAct) -> Vec<Seed> {
    let first = Enrolment {
        exchange: "harbor.example".parse().unwrap(),
        sequence: 4_700,
        at: Timestamp(1_795_348_000_000_000),
        account: "ac_1".parse().unwrap(),
        credential_id: CREDENTIAL_ID.to_vec(),
        public_key: cose(),
        legacy_u2f: false,
        master: false,
        basis: Basis::First,
    };
    let rotation = Enrolment {
        credential_id: vec![7; 16],
        legacy_u2f: true,
        basis: Basis::Rotation { text: change.to_owned(), by: assertion(change) },
        ..first.clone()
    };
    let recovery = Enrolment { master: true, basis: Basis::Recovery { act }, ..first.clone() };
    let removal = Removal {
        exchange: first.exchange.clone(),
        sequence: 4_712,
        account: first.account.clone(),
        credential_id: first.credential_id.clone(),
    };
    let nameless = Enrolment { credential_id: vec![], ..first.clone() };
    vec![
        good("first", first.to_bytes()),
        good("rotation", rotation.to_bytes()),
        good("recovery", recovery.to_bytes()),
        good("removal", removal.to_bytes()),
        bad("nameless", nameless.to_bytes()),
        bad("trailing", [&removal.to_bytes()[..], &[0xf6]].concat()),
    ]
}

/// Auditors' files. That an assertion in one is refused is a verdict, not a fault of the file.
pub(crate) fn files() -> Vec<Seed> {
    const TEXT: &str = "a text\nof two lines\n";
    let by = assertion(TEXT);
    let rest = format!(
        r#""clientDataJSON":"{}","authenticatorData":"{}","signature":"{}","origin":"{APPROVE_ORIGIN}","rpId":"{APPROVE_RP_ID}""#,
        to_base64url(&by.client_data_json),
        to_base64url(&by.authenticator_data),
        to_base64url(&by.signature),
    );
    let key = to_base64url(&cose());
    let one = format!(r#"{{"public_key":"{key}","text":"a text\nof two \u006cines\n",{rest}}}"#);
    let challenge = to_base64url(&TextDigest::of(TEXT.as_bytes()).0);
    let another = format!(
        r#"{{ "public_key" : "04{}", "challenge":"{challenge}", "appId":"x", "name":"y", {rest} }}"#,
        "5e".repeat(64)
    );
    vec![
        good("list", format!("[{one},\n {another}]")),
        good("none", "[]"),
        bad("twice", one.replacen("{", "{\"rpId\":\"a\",", 1)),
        bad("unknown", one.replacen("{", "{\"rp\":\"a\",", 1)),
        bad("deep", "[".repeat(40)),
        good("one", one),
    ]
}
