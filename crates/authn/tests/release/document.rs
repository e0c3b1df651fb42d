//! The examples of `docs/release-format.md` are what the code writes.

use std::fs;
use std::path::Path;

use holdfast_authn::release::{
    Basis, Enrolment, Kind, PolicyStep, Receipt, Release, Removal, SignedAct, Spends, key_id, open, seal,
    verify_act,
};
use holdfast_authn::{Operators, print_operator_key};
use holdfast_values::{OperatorPublicKey, OperatorText, WithdrawalText};

use crate::samples::{
    assertion, enrolments, hex, name, operator_key, policy_steps, receipt, receipt_key, release, release_key,
    release_with_words, removal, spends,
};

/// Indented, 48 bytes a line.
fn block(bytes: &[u8]) -> String {
    bytes.chunks(48).map(|line| format!("    {}\n", hex(line))).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// The part of the document behind its last heading `## Examples`, as it must read.
fn examples() -> String {
    let release = release();
    let approval = &release.payments[0].approvals[0];
    let (holdfast, signer) = (release_key().public_key(), receipt_key().public_key());
    let mut out = String::from(
        "## Examples\n\nThe keys are made from seeds that everybody knows: they sign examples and nothing else.\n\n",
    );
    out += "| Key | Seed | Public key | In base64url | Key id |\n| --- | --- | --- | --- | --- |\n";
    for (who, seed, key) in [
        ("Holdfast", "`00 01 02 ... 1f`", holdfast),
        ("signer", "32 times `33`", signer),
        ("alice", "32 times `11`", operator_key("alice").public_key()),
        ("bob", "32 times `22`", operator_key("bob").public_key()),
    ] {
        let (spelled, id) = (print_operator_key(&key), hex(&key_id(&key)));
        out += &format!("| {who} | {seed} | `{}` | `{spelled}` | `{id}` |\n", hex(&key));
    }
    out += "\nA release for one withdrawal that two operators approved. The intent:\n\n";
    out += &indented(&release.payments[0].intent);
    out += "\nThe operators' text:\n\n";
    out += &indented(&approval.text);
    let [first, rotation, _] = enrolments();
    let words = release_with_words();
    let [approved, tightened] = policy_steps();
    for (kind, what, payload, key) in [
        (Kind::Release, "release", release.to_bytes(), release_key()),
        (Kind::Receipt, "receipt for it", receipt().to_bytes(), receipt_key()),
        (Kind::Spends, "statement of spends after it", spends().to_bytes(), receipt_key()),
        (Kind::Enrolment, "enrolment of the customer's first key", first.to_bytes(), release_key()),
        (Kind::Enrolment, "enrolment of another, on that one's word", rotation.to_bytes(), release_key()),
        (Kind::Removal, "removal of the first", removal().to_bytes(), release_key()),
        (Kind::Release, "release with what customers' keys said", words.to_bytes(), release_key()),
        (Kind::Policy, "policy step that alice and bob approved", approved.to_bytes(), release_key()),
        (Kind::Policy, "policy step by which alice tightens", tightened.to_bytes(), release_key()),
    ] {
        let sealed = seal(kind, &payload, &key);
        let (before, signature) = sealed.split_at(sealed.len() - 64);
        let behind = before.strip_suffix(&[0x58, 64]).unwrap();
        let before = behind.strip_suffix(payload.as_slice()).unwrap();
        let prefix = &before[17..];
        if kind == Kind::Enrolment
            && let Basis::Rotation { text, .. } = &rotation.basis
            && payload == rotation.to_bytes()
        {
            out += "\nThe text that the first key asserts, to bring in another:\n\n";
            out += &indented(text);
        }
        if payload == approved.to_bytes() {
            out += "\nThe text by which carol proposes a policy, and the one by which others approve it:\n\n";
            out += &indented(&approved.proposal.as_ref().unwrap().text);
            out += &format!("\n{}", indented(&approved.act.text));
        }
        if payload == words.to_bytes() {
            let [one, other] = &words.payments[..] else { panic!() };
            let data = String::from_utf8(assertion(7, &one.intent).client_data_json).unwrap();
            out += "\nThe same release with its owner's assertion, and a second withdrawal of the same under a mandate. What the \
                    browser said to the key, for the first:\n\n";
            out += &indented(&data);
            out += "\nThe mandate:\n\n";
            out += &indented(&other.mandate.as_ref().unwrap().text);
        }
        out += &format!("\nThe {what}. Payload, {} bytes:\n\n{}", payload.len(), block(&payload));
        out +=
            &format!("\nEnvelope: these bytes, the payload, `5840` and the signature:\n\n{}", block(before));
        let mut signed = b"\x84\x6aSignature1".to_vec();
        signed.extend(&before[2..16]);
        signed.push(0x40 + u8::try_from(kind.aad().len()).unwrap());
        signed.extend(kind.aad().as_bytes());
        signed.extend(prefix);
        out += &format!("\nSig_structure: these bytes and the payload:\n\n{}", block(&signed));
        out += &format!("\nSignature:\n\n{}", block(signature));
        signed.extend(&payload);
        let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key.public_key());
        public.verify(&signed, signature).unwrap();
    }
    out
}

#[test]
fn the_documented_examples_are_what_the_code_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/release-format.md");
    let document = fs::read_to_string(path).unwrap();
    let (_, found) = document.split_once("\n## Examples\n").unwrap();
    let expected = examples();
    assert!(format!("## Examples\n{found}") == expected, "docs/release-format.md must end with\n{expected}");
}

#[test]
fn the_documented_examples_open_and_parse() {
    let holdfast = [release_key().public_key()];
    let signer = [receipt_key().public_key()];
    let bytes = seal(Kind::Release, &release().to_bytes(), &release_key());
    let opened = Release::parse(&open(Kind::Release, &bytes, &holdfast).unwrap().0).unwrap();
    assert_eq!(opened, release());
    let intent = WithdrawalText::parse(opened.payments[0].intent.as_bytes()).unwrap();
    let SignedAct { text, .. } = &opened.payments[0].approvals[0];
    let approval = OperatorText::parse(text.as_bytes()).unwrap();
    assert_eq!(approval.target.to_string(), intent.withdrawal.to_string());
    assert_eq!(approval.detail.to_string(), format!("text={}", intent.digest()));
    let key = |who| OperatorPublicKey::Ed25519(operator_key(who).public_key());
    let keys = ["alice", "bob"].into_iter().map(|who| (name(who), key(who))).collect();
    let operators = Operators { keys, party: None };
    assert_eq!(verify_act(&opened.payments[0].approvals[0], &operators), [name("alice"), name("bob")]);

    let bytes = seal(Kind::Receipt, &receipt().to_bytes(), &receipt_key());
    assert_eq!(Receipt::parse(&open(Kind::Receipt, &bytes, &signer).unwrap().0), Ok(receipt()));
    let bytes = seal(Kind::Spends, &spends().to_bytes(), &receipt_key());
    assert_eq!(Spends::parse(&open(Kind::Spends, &bytes, &signer).unwrap().0), Ok(spends()));
    for enrolment in enrolments() {
        let bytes = seal(Kind::Enrolment, &enrolment.to_bytes(), &release_key());
        let (payload, _) = open(Kind::Enrolment, &bytes, &holdfast).unwrap();
        assert_eq!(Enrolment::parse(&payload), Ok(enrolment));
    }
    for step in policy_steps() {
        let bytes = seal(Kind::Policy, &step.to_bytes(), &release_key());
        assert_eq!(PolicyStep::parse(&open(Kind::Policy, &bytes, &holdfast).unwrap().0), Ok(step));
    }
    let bytes = seal(Kind::Removal, &removal().to_bytes(), &release_key());
    assert_eq!(Removal::parse(&open(Kind::Removal, &bytes, &holdfast).unwrap().0), Ok(removal()));
}
