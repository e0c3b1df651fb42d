//! Verifiers in other languages judge the same registrations and assertions: python-fido2 and @simplewebauthn/server.
//!
//! What Holdfast accepts they accept, and read the same in it. What it refuses they refuse, but for what Holdfast alone
//! is strict about: each such case names who is laxer, and that must be so.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::{Algorithm, RelyingParty, counter_is_plausible};
use serde_json::{Value, json};

use crate::authenticator::{
    AAGUID, APP_ID, AT, BE, BS, CHALLENGE, CREDENTIAL_ID, ED, Key, Made, ORIGIN, RP_ID, Signed, UP, UV,
    attestation_object, attested, authenticator_data, cbor_bytes, cbor_int, cbor_map, cbor_text, client_data,
    party,
};
use crate::certificate::Certificate;

const FIDO2: &str = "fido2";
const SIMPLE: &str = "simplewebauthn";

/// One registration or assertion, what Holdfast says, and who is laxer than that.
struct Case {
    name: String,
    accepted: bool,
    /// What the key said, if it is accepted: for the peers to say the same.
    read: Value,
    laxer: Vec<&'static str>,
    question: Value,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn create(&mut self, name: &str, made: &Made, laxer: &[&'static str]) {
        let verdict = made.verify();
        let read = verdict.as_ref().map_or(Value::Null, |registered| {
            json!({
                "id": to_base64url(&registered.credential_id),
                "public_key": to_base64url(&registered.public_key.to_cose()),
                "counter": registered.counter,
                "user_verified": registered.user_verified,
            })
        });
        let question = json!({
            "kind": "create", "origin": ORIGIN, "rp_ids": [RP_ID], "challenge": to_base64url(&CHALLENGE),
            "id": to_base64url(&CREDENTIAL_ID), "client_data": to_base64url(&made.client_data),
            "attestation_object": to_base64url(&made.attestation_object),
        });
        let name = format!("registration: {name}");
        self.0.push(Case { name, accepted: verdict.is_ok(), read, laxer: laxer.to_vec(), question });
    }

    fn get(&mut self, name: &str, signed: &Signed, key: &Key, laxer: &[&'static str]) {
        self.get_with(name, signed, key, &party(), 0, laxer);
    }

    fn get_with(
        &mut self,
        name: &str,
        signed: &Signed,
        key: &Key,
        party: &RelyingParty,
        stored_counter: u32,
        laxer: &[&'static str],
    ) {
        let verdict = signed.verify_for(party, key).ok();
        let verdict = verdict.filter(|accepted| counter_is_plausible(stored_counter, accepted.counter));
        let read = verdict.map_or(
            Value::Null,
            |accepted| json!({ "counter": accepted.counter, "user_verified": accepted.user_verified }),
        );
        let rp_ids: Vec<&str> = [Some(RP_ID), party.app_id.as_deref()].into_iter().flatten().collect();
        let question = json!({
            "kind": "get", "origin": ORIGIN, "rp_ids": rp_ids, "challenge": to_base64url(&CHALLENGE),
            "id": to_base64url(&CREDENTIAL_ID), "client_data": to_base64url(&signed.client_data),
            "authenticator_data": to_base64url(&signed.authenticator_data),
            "signature": to_base64url(&signed.signature), "public_key": to_base64url(&key.cose()),
            "stored_counter": stored_counter,
        });
        let name = format!("assertion: {name}");
        self.0.push(Case { name, accepted: verdict.is_some(), read, laxer: laxer.to_vec(), question });
    }
}

/// Spoiled client data of either ceremony, and who takes it.
fn client_data_of(kind: &str) -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let with = |more: &str| client_data(kind, &CHALLENGE, ORIGIN, more);
    let other = if kind == "webauthn.get" { "webauthn.create" } else { "webauthn.get" };
    let simple_on_create: &[&str] = if kind == "webauthn.create" { &[SIMPLE] } else { &[] };
    vec![
        ("another ceremony", client_data(other, &CHALLENGE, ORIGIN, ""), vec![]),
        ("another challenge", client_data(kind, &[7; 32], ORIGIN, ""), vec![]),
        ("another origin", client_data(kind, &CHALLENGE, "https://harbor.example", ""), vec![]),
        ("an origin's suffix", client_data(kind, &CHALLENGE, "https://a.approve.harbor.example", ""), vec![]),
        ("a frame", with(r#","crossOrigin":true"#), vec![FIDO2, SIMPLE]),
        (
            "below another page",
            with(r#","crossOrigin":true,"topOrigin":"https://a.example""#),
            [&[FIDO2], simple_on_create].concat(),
        ),
        (
            "bound to a connection",
            with(r#","tokenBinding":{"status":"present","id":"AA"}"#),
            vec![FIDO2, SIMPLE],
        ),
        ("a member twice", with(&format!(r#","origin":"{ORIGIN}""#)), vec![FIDO2, SIMPLE]),
        ("cut off", with("")[..80].to_vec(), vec![]),
        ("more behind", [&with("")[..], b"{}"].concat(), vec![]),
    ]
}

fn registrations(cases: &mut Cases) {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let name = algorithm.as_str();
        cases.create(&format!("{name} without attestation"), &Made::none(&key), &[]);
        let packed = Made::packed_self(&key);
        cases.create(&format!("{name} by itself"), &packed, &[]);
        let mut forged = packed.clone();
        let at = forged.attestation_object.windows(3).position(|name| name == b"sig").unwrap() + 20;
        forged.attestation_object[at] ^= 1;
        cases.create(&format!("{name} forged"), &forged, &[]);
        let mut other = packed;
        other.client_data.push(b' ');
        cases.create(&format!("{name} over other client data"), &other, &[]);
    }
    let (key, by) = (Key::new(Algorithm::Es256), Key::new(Algorithm::Es256));
    let certificate = Certificate::good();
    let leaf = [certificate.of(&by)];
    cases.create("packed by a certificate", &Made::packed(&key, &by, &leaf), &[]);
    let rsa = Key::new(Algorithm::Rs256);
    cases.create("packed by an RSA certificate", &Made::packed(&key, &rsa, &[certificate.of(&rsa)]), &[]);
    cases.create("packed by another key", &Made::packed(&key, &key, &leaf), &[]);
    let other_model = Certificate { aaguid: Some([7; 16]), ..certificate.clone() }.of(&by);
    cases.create("packed for another model", &Made::packed(&key, &by, &[other_model]), &[]);
    let ca = Certificate { is_ca: Some(true), ..certificate.clone() }.of(&by);
    cases.create("packed by a CA", &Made::packed(&key, &by, &[ca]), &[]);
    let mut unit = certificate;
    unit.subject[2].2 = "Something Else";
    cases.create("packed by another unit", &Made::packed(&key, &by, &[unit.of(&by)]), &[]);
    cases.create("U2F", &Made::fido_u2f(&key, &by, &leaf), &[]);
    cases.create("U2F by another key", &Made::fido_u2f(&key, &key, &leaf), &[]);
    let two = [leaf[0].clone(), leaf[0].clone()];
    cases.create("U2F by two certificates", &Made::fido_u2f(&key, &by, &two), &[FIDO2, SIMPLE]);

    let good = Made::none(&key);
    for (name, client_data, laxer) in client_data_of("webauthn.create") {
        cases.create(name, &Made { client_data, ..good.clone() }, &laxer);
    }
    let credential = attested(AAGUID, &CREDENTIAL_ID, &key.cose());
    let with = |flags, more: &[u8]| Made::none_with(&authenticator_data(RP_ID, flags | AT, 5, more));
    cases.create("backed up", &with(UP | BE | BS, &credential), &[]);
    cases.create("with extensions", &with(UP | ED, &[&credential[..], b"\xa1\x61a\xf5"].concat()), &[]);
    cases.create("nobody present", &with(UV, &credential), &[]);
    cases.create("backed up against its word", &with(UP | BS, &credential), &[FIDO2]);
    cases.create("bytes behind", &with(UP, &[&credential[..], &[0]].concat()), &[]);
    cases.create("no credential", &Made::none_with(&authenticator_data(RP_ID, UP, 0, &[])), &[]);
    let elsewhere = authenticator_data("harbor.example", UP | AT, 0, &credential);
    cases.create("another relying party", &Made::none_with(&elsewhere), &[]);
    let data = Made::authenticator_data(&key);
    let object = |format: &str, statement: &[u8]| Made {
        client_data: Made::client_data(),
        attestation_object: attestation_object(format, statement, &data),
    };
    let statement = cbor_map(&[(cbor_text("alg"), cbor_int(-7))]);
    cases.create("none with a statement", &object("none", &statement), &[]);
    cases.create("an unknown format", &object("harbor", &[0xa0]), &[]);
    cases.create("packed without a statement", &object("packed", &[0xa0]), &[]);
    let end = good.attestation_object.len() - 1;
    let cut = Made { attestation_object: good.attestation_object[..end].to_vec(), ..good.clone() };
    cases.create("an object cut off", &cut, &[FIDO2, SIMPLE]);
    let longer = Made { attestation_object: [&good.attestation_object[..], &[0]].concat(), ..good };
    cases.create("an object with bytes behind", &longer, &[SIMPLE]);
}

fn assertions(cases: &mut Cases) {
    let get = || client_data("webauthn.get", &CHALLENGE, ORIGIN, r#","crossOrigin":false"#);
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let name = algorithm.as_str();
        let good = Signed::good(&key);
        cases.get(name, &good, &key, &[]);
        if algorithm != Algorithm::Rs256 {
            cases.get(&format!("{name} by another key"), &good, &Key::new(algorithm), &[]);
        }
        for step in 0..16 {
            let mut bad = good.clone();
            let bytes = [&mut bad.client_data, &mut bad.authenticator_data, &mut bad.signature]
                .into_iter()
                .nth(step % 3)
                .unwrap();
            let bit = (step * 7_919 + 13) % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            cases.get(&format!("{name} with a flipped bit, {step}"), &bad, &key, &[]);
        }
        let short = Signed { signature: good.signature[1..].to_vec(), ..good.clone() };
        cases.get(&format!("{name} cut off"), &short, &key, &[]);
        let long = Signed { signature: [&good.signature[..], &[0]].concat(), ..good };
        let laxer: &[&str] = if algorithm == Algorithm::Es256 { &[SIMPLE] } else { &[] };
        cases.get(&format!("{name} with bytes behind"), &long, &key, laxer);
    }
    let key = Key::new(Algorithm::Es256);
    for (name, client_data, laxer) in client_data_of("webauthn.get") {
        let signed = Signed::by(&key, client_data, authenticator_data(RP_ID, UP | UV, 7, &[]));
        cases.get(name, &signed, &key, &laxer);
    }
    let extensions = cbor_map(&[(cbor_text("a"), cbor_bytes(b"b"))]);
    let credential = attested(AAGUID, &CREDENTIAL_ID, &key.cose());
    for (name, data, laxer) in [
        ("U2F", authenticator_data(RP_ID, UP, 7, &[]), vec![]),
        ("backed up", authenticator_data(RP_ID, UP | BE | BS, 0, &[]), vec![]),
        ("with extensions", authenticator_data(RP_ID, UP | ED, 1, &extensions), vec![]),
        ("nobody present", authenticator_data(RP_ID, UV, 7, &[]), vec![]),
        ("backed up against its word", authenticator_data(RP_ID, UP | BS, 7, &[]), vec![FIDO2]),
        ("another relying party", authenticator_data("harbor.example", UP, 7, &[]), vec![]),
        ("for an AppID that is not configured", authenticator_data(APP_ID, UP, 7, &[]), vec![]),
        ("data cut off", authenticator_data(RP_ID, UP, 7, &[])[..36].to_vec(), vec![]),
        ("data with bytes behind", authenticator_data(RP_ID, UP, 7, &[0]), vec![]),
        ("extensions cut off", authenticator_data(RP_ID, UP | ED, 7, &extensions[..3]), vec![]),
        ("with a credential", authenticator_data(RP_ID, UP | AT, 7, &credential), vec![FIDO2, SIMPLE]),
    ] {
        cases.get(name, &Signed::by(&key, get(), data), &key, &laxer);
    }
    let legacy = RelyingParty { app_id: Some(APP_ID.into()), ..party() };
    let signed = Signed::by(&key, get(), authenticator_data(APP_ID, UP, 7, &[]));
    cases.get_with("for the AppID", &signed, &key, &legacy, 0, &[]);
    let good = Signed::good(&key);
    cases.get_with("counting on", &good, &key, &party(), 6, &[]);
    cases.get_with("a counter that stays", &good, &key, &party(), 7, &[FIDO2]);
    cases.get_with("a counter that goes back", &good, &key, &party(), 8, &[FIDO2]);
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a peer says of every case.
fn ask(mut command: Command, cases: &Cases) -> Vec<Value> {
    let questions: Vec<&Value> = cases.0.iter().map(|case| &case.question).collect();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&questions).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the peer failed: {:?}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn compare(peer: &'static str, command: Command) {
    let mut cases = Cases::default();
    registrations(&mut cases);
    assertions(&mut cases);
    let accepted = cases.0.iter().filter(|case| case.accepted).count();
    let refused = cases.0.len() - accepted;
    assert!(accepted >= 15 && refused >= 80, "both kinds are asked: {accepted} good, {refused} bad");

    let verdicts = ask(command, &cases);
    assert_eq!(verdicts.len(), cases.0.len());
    let mut differences = Vec::new();
    for (case, verdict) in cases.0.iter().zip(&verdicts) {
        let expected = case.accepted || case.laxer.contains(&peer);
        if verdict["accepted"] != expected {
            differences.push(format!("{}: Holdfast says {}, {peer} {verdict}", case.name, case.accepted));
        }
        for (name, value) in case.read.as_object().into_iter().flatten() {
            // Not every peer tells everything.
            if verdict.get(name).is_some_and(|told| told != value) {
                differences
                    .push(format!("{}: reads {name} as {value}, {peer} as {}", case.name, verdict[name]));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

#[test]
fn python_fido2_agrees() {
    let python = std::env::var("HOLDFAST_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_module = Command::new(&python).args(["-c", "import fido2"]).output();
    if !has_module.is_ok_and(|output| output.status.success()) {
        return skip("needs python3 with the package fido2 (tests/requirements.txt)");
    }
    let mut command = Command::new(python);
    command.arg("-B").arg(repository().join("tests/peers/fido2_check.py"));
    compare(FIDO2, command);
}

#[test]
fn simplewebauthn_agrees() {
    let module = repository().join("tests/client/node_modules/@simplewebauthn/server/package.json");
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_node || !module.exists() {
        return skip("needs node and the package @simplewebauthn/server (npm ci in tests/client)");
    }
    let mut command = Command::new("node");
    command.arg(repository().join("tests/peers/simplewebauthn_check.mjs"));
    compare(SIMPLE, command);
}
