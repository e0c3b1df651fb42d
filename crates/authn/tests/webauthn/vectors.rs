//! The test vectors of the specification (WebAuthn Level 3, section 16), if they are there: nothing of them is kept
//! here.

use std::io::Write as _;
use std::path::Path;

use holdfast_authn::webauthn::{
    Assertion, Attestation, PublicKey, Registration, RelyingParty, WebAuthnError, verify_assertion,
    verify_registration,
};
use serde_json::Value;

use crate::authenticator::attestation_object;

const VECTORS: &str = "../../../shared/data/webauthn/w3c_level3_vectors.json";

fn vectors() -> Option<Value> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS));
    if text.is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: needs the test vectors of WebAuthn Level 3");
    }
    text.ok().map(|text| serde_json::from_str(&text).unwrap())
}

fn bytes(block: &Value, name: &str) -> Vec<u8> {
    let hex = block[name].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn party() -> RelyingParty {
    RelyingParty { rp_id: "example.org".into(), origins: vec!["https://example.org".into()], app_id: None }
}

fn register(block: &Value, attestation_object: &[u8]) -> Result<(PublicKey, Attestation), WebAuthnError> {
    let client_data = bytes(block, "clientDataJSON");
    let registration = Registration { client_data_json: &client_data, attestation_object };
    let registered = verify_registration(&party(), &bytes(block, "challenge"), &registration)?;
    assert_eq!(registered.credential_id, bytes(block, "credential_id"));
    if registered.attestation != Attestation::FidoU2f {
        assert_eq!(registered.aaguid.to_vec(), bytes(block, "aaguid"));
    }
    Ok((registered.public_key, registered.attestation))
}

fn assert(block: &Value, key: &PublicKey) -> Option<WebAuthnError> {
    let client_data = bytes(block, "clientDataJSON");
    let (data, signature) = (bytes(block, "authenticatorData"), bytes(block, "signature"));
    let assertion =
        Assertion { client_data_json: &client_data, authenticator_data: &data, signature: &signature };
    let challenge = bytes(block, "challenge");
    let verdict = verify_assertion(&party(), key, &challenge, &assertion);
    if verdict.is_ok() {
        let mut other = challenge;
        other[0] ^= 1;
        assert!(verify_assertion(&party(), key, &other, &assertion).is_err());
    }
    verdict.err()
}

/// The same registration with its attestation left out.
fn unattested(object: &[u8]) -> Vec<u8> {
    let mut decoder = minicbor::Decoder::new(object);
    for _ in 0..decoder.map().unwrap().unwrap() {
        if decoder.str().unwrap() == "authData" {
            return attestation_object("none", &[0xa0], decoder.bytes().unwrap());
        }
        decoder.skip().unwrap();
    }
    unreachable!("an attestation object has authenticator data")
}

#[test]
fn every_vector_of_the_specification_has_its_verdict() {
    let Some(vectors) = vectors() else { return };
    let packed = Ok(Attestation::Packed { self_attested: false });
    let expected = [
        ("none-es256", Ok(Attestation::None)),
        ("packed-self-es256", Ok(Attestation::Packed { self_attested: true })),
        ("none-es256-crossOrigin", Err(WebAuthnError::CrossOrigin)),
        ("none-es256-topOrigin", Err(WebAuthnError::TopOrigin)),
        ("none-es256-long-credential-id", Ok(Attestation::None)),
        ("packed-es256", packed),
        ("packed-es384", Err(WebAuthnError::KeyAlgorithm)),
        ("packed-es512", Err(WebAuthnError::KeyAlgorithm)),
        ("packed-rs256", packed),
        ("packed-eddsa", packed),
        ("packed-ed448", Err(WebAuthnError::KeyAlgorithm)),
        ("tpm-es256", Err(WebAuthnError::AttestationFormat)),
        ("android-key-es256", Err(WebAuthnError::AttestationFormat)),
        ("apple-es256", Err(WebAuthnError::AttestationFormat)),
        ("fido-u2f-es256", Ok(Attestation::FidoU2f)),
    ];
    let mut pairs = 0;
    for (name, vector) in vectors.as_object().unwrap() {
        let [create, get] = vector["blocks"].as_array().unwrap().as_slice() else { continue };
        pairs += 1;
        let (_, verdict) = expected.iter().find(|(expected, _)| expected == name).unwrap();
        let object = bytes(create, "attestationObject");
        let made = register(create, &object);
        assert_eq!(made.as_ref().map(|made| made.1).map_err(Clone::clone), *verdict, "{name}");
        for end in 0..object.len() {
            assert!(register(create, &object[..end]).is_err(), "{name} cut at {end}");
        }
        // A key whose attestation is of no use here is good for assertions all the same.
        let key = match (made, verdict) {
            (Ok((key, _)), _) => Some((key, None)),
            (_, Err(WebAuthnError::AttestationFormat)) => {
                Some((register(create, &unattested(&object)).unwrap().0, None))
            }
            (_, Err(error @ (WebAuthnError::CrossOrigin | WebAuthnError::TopOrigin))) => {
                let cose = &object[object.len() - 77..];
                Some((PublicKey::from_cose(cose).unwrap(), Some(*error)))
            }
            _ => None,
        };
        if let Some((key, verdict)) = key {
            assert_eq!(assert(get, &key), verdict, "{name}");
        }
    }
    assert_eq!(pairs, expected.len());
}
