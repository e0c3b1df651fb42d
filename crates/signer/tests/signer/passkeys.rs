//! Operators with passkeys at the signer: their word counts as an Ed25519 key's does, and nothing that is not their word.

use std::path::Path;

use holdfast_authn::release::{OperatorSignature, SignedAct};
use holdfast_signer::{Pins, Signer};
use holdfast_values::{OperatorProof, PasskeyAssertion, TextDigest};

use crate::exchange::Exchange;
use crate::keys::Key;

const RP_ID: &str = "operate.harbor.example";
const ORIGIN: &str = "https://operate.harbor.example";
const PAGE: &str = "\"origin\":\"https://operate.harbor.example\",\"crossOrigin\":false";

fn dora() -> Key {
    Key { scope: RP_ID, ..Key::passkey(0xd0) }
}

/// The line that pins a passkey.
fn pin(key: &Key) -> String {
    format!("passkey:{}", TextDigest::of(&key.cose()))
}

/// Pins with dora beside the others, and where passkeys sign.
fn with_dora(pins: &str) -> String {
    let more = format!(
        "\", dora = \"{}\" }}\n[operators.passkeys]\nrp_id = \"{RP_ID}\"\norigins = [\"{ORIGIN}\"]\n",
        pin(&dora())
    );
    let (before, after) = pins.split_once("[policy]").unwrap();
    let before = before.trim_end().strip_suffix("\" }").unwrap();
    format!("{before}{more}\n[policy]{after}")
}

fn exchange() -> Exchange {
    Exchange::with(|pins| with_dora(&pins))
}

fn proof(key: &Key, text: &str, page: &str) -> PasskeyAssertion {
    let by = key.assert_on(text, page);
    PasskeyAssertion {
        public_key: key.cose(),
        client_data_json: by.client_data_json,
        authenticator_data: by.authenticator_data,
        signature: by.signature,
    }
}

fn signed_by(name: &str, by: PasskeyAssertion) -> OperatorSignature {
    OperatorSignature { operator: name.parse().unwrap(), signature: OperatorProof::Passkey(Box::new(by)) }
}

/// The act with alice's signature and this one.
fn both(exchange: &Exchange, text: &str, other: OperatorSignature) -> SignedAct {
    let mut act = exchange.sign(text, &["alice"]);
    act.signatures.push(other);
    act
}

fn code(signer: &mut Signer, act: &SignedAct) -> Option<&'static str> {
    signer.act(act).err().map(|error| error.code())
}

#[test]
fn a_passkey_and_an_ed25519_key_are_two_operators() {
    let exchange = exchange();
    let mut signer = exchange.signer();
    signer.halt().unwrap();
    let text = exchange.act_text("resume_signer", "signer:harbor-hot", "-").to_string();
    let alone =
        SignedAct { text: text.clone(), signatures: vec![signed_by("dora", proof(&dora(), &text, PAGE))] };
    assert_eq!(code(&mut signer, &alone), Some("signatures_missing"));
    assert_eq!(code(&mut signer, &both(&exchange, &text, alone.signatures[0].clone())), None);
    assert!(!signer.status().unwrap().halted);
    // One operator can halt, with whatever key.
    let halt = exchange.act_text("halt", "signer:harbor-hot", "-").to_string();
    let act =
        SignedAct { text: halt.clone(), signatures: vec![signed_by("dora", proof(&dora(), &halt, PAGE))] };
    assert_eq!(code(&mut signer, &act), None);
    assert!(signer.status().unwrap().halted);
}

#[test]
fn what_is_not_the_operators_word_counts_as_nothing() {
    let exchange = exchange();
    let mut signer = exchange.signer();
    signer.halt().unwrap();
    let text = exchange.act_text("resume_signer", "signer:harbor-hot", "-").to_string();
    let other_text = exchange.act_text("resume_signer", "signer:harbor-hot", "-").to_string();
    let unverified = Key { flags: 0x01, ..dora() };
    let customers = Key { scope: crate::keys::RP_ID, ..dora() };
    let thief = Key { scope: RP_ID, ..Key::passkey(0x66) };
    let mut altered = proof(&dora(), &text, PAGE);
    altered.public_key = thief.cose();
    let mut another_key = proof(&thief, &text, PAGE);
    another_key.public_key = dora().cose();
    for (what, by) in [
        ("another page", proof(&dora(), &text, "\"origin\":\"https://approve.harbor.example\"")),
        ("a frame", proof(&dora(), &text, &PAGE.replace("false", "true"))),
        ("a page around it", proof(&dora(), &text, &format!("{PAGE},\"topOrigin\":\"https://x.example\""))),
        ("another party", proof(&customers, &text, PAGE)),
        ("nobody verified", proof(&unverified, &text, PAGE)),
        ("another text", proof(&dora(), &other_text, PAGE)),
        ("another passkey", proof(&thief, &text, PAGE)),
        ("another key named", altered),
        ("another key's signature", another_key),
    ] {
        let act = both(&exchange, &text, signed_by("dora", by));
        assert_eq!(code(&mut signer, &act), Some("signatures_missing"), "{what}");
    }
    // A key of the other kind, both ways; a name that is not pinned, or not any more.
    let good = proof(&dora(), &text, PAGE);
    let mut plain = exchange.sign(&text, &["alice", "bob"]);
    plain.signatures[1].operator = "dora".parse().unwrap();
    assert_eq!(code(&mut signer, &plain), Some("signatures_missing"), "an Ed25519 signature");
    for name in ["bob", "mallory"] {
        let act = both(&exchange, &text, signed_by(name, good.clone()));
        assert_eq!(code(&mut signer, &act), Some("signatures_missing"), "{name}");
    }
    assert_eq!(code(&mut signer, &both(&exchange, &text, signed_by("dora", good))), None);
}

#[test]
fn a_revoked_passkey_and_an_unpinned_party_count_as_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    signer.halt().unwrap();
    let text = exchange.act_text("resume_signer", "signer:harbor-hot", "-").to_string();
    let act = both(&exchange, &text, signed_by("dora", proof(&dora(), &text, PAGE)));
    assert_eq!(code(&mut signer, &act), Some("signatures_missing"));
}

#[test]
fn pins_name_each_key_once_and_where_passkeys_sign() {
    let exchange = exchange();
    let text = std::fs::read_to_string(exchange.pins_path()).unwrap();
    let parse = |text: &str| Pins::parse(text, Path::new("signer.toml"));
    let pins = parse(&text).unwrap();
    assert_eq!(pins.operators.keys.len(), 4);
    assert_eq!(pins.operators.party.map(|party| party.rp_id), Some(RP_ID.into()));
    let place = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        parse(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    let key = pin(&dora());
    let section = format!("[operators.passkeys]\nrp_id = \"{RP_ID}\"\norigins = [\"{ORIGIN}\"]\n");
    for (from, to, wanted) in [
        (section.as_str(), "", "operators.passkeys: dora has a passkey"),
        (key.as_str(), &key.to_uppercase().replace("PASSKEY", "passkey"), "operators.keys.dora"),
        (key.as_str(), key.trim_start_matches("passkey:"), "operators.keys.dora"),
        ("dora = ", &format!("doris = \"{key}\", dora = "), "another operator has this key"),
        (ORIGIN, "http://operate.harbor.example", "operators.passkeys.origins[0]"),
        (
            &section,
            "[operators.passkeys]\nrp_id = \"approve.harbor.example\"\norigins = [\"https://approve.harbor.example\"]\n",
            "operators.passkeys.rp_id",
        ),
    ] {
        let said = place(from, to);
        assert!(said.contains(wanted), "{said}");
    }
}
