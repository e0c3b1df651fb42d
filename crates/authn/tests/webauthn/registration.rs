//! Registrations: every attestation, and every way to be wrong.

use holdfast_authn::webauthn::{
    Algorithm, Attestation, Registered, RelyingParty, WebAuthnError, verify_registration,
};

use crate::authenticator::{
    AAGUID, APP_ID, AT, BE, BS, CHALLENGE, CREDENTIAL_ID, ED, Key, Made, ORIGIN, RP_ID, UP, UV,
    attestation_object, attested, authenticator_data, cbor_array, cbor_bytes, cbor_int, cbor_map, cbor_text,
    client_data, party,
};
use crate::certificate::Certificate;

fn registered(key: &Key, attestation: Attestation) -> Registered {
    Registered {
        credential_id: CREDENTIAL_ID.to_vec(),
        public_key: key.public_key(),
        counter: 3,
        user_verified: true,
        backup_eligible: false,
        backed_up: false,
        aaguid: AAGUID,
        attestation,
    }
}

#[test]
fn keys_of_every_algorithm_are_registered_without_attestation_and_by_themselves() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        assert_eq!(Made::none(&key).verify(), Ok(registered(&key, Attestation::None)));
        let packed = Attestation::Packed { self_attested: true };
        assert_eq!(Made::packed_self(&key).verify(), Ok(registered(&key, packed)));
    }
}

#[test]
fn packed_attestations_are_verified_with_the_key_of_the_leaf_certificate() {
    let key = Key::new(Algorithm::Es256);
    for algorithm in Algorithm::ALL {
        let by = Key::new(algorithm);
        let leaf = Certificate::good().of(&by);
        let packed = Attestation::Packed { self_attested: false };
        let good = Made::packed(&key, &by, std::slice::from_ref(&leaf));
        assert_eq!(good.verify(), Ok(registered(&key, packed)));
        assert!(Made::packed(&key, &by, &[leaf.clone(), b"whatever".to_vec()]).verify().is_ok());
        let other = Certificate::good().of(&Key::new(Algorithm::EdDsa));
        assert!(Made::packed(&key, &by, &[other, leaf]).verify().is_err());
    }
}

#[test]
fn u2f_attestations_are_verified_with_the_key_of_their_certificate() {
    let (key, by) = (Key::new(Algorithm::Es256), Key::new(Algorithm::Es256));
    let leaf = Certificate { version: 0, is_ca: None, aaguid: None, ..Certificate::good() }.of(&by);
    let expected = Registered {
        counter: 0,
        user_verified: false,
        aaguid: [0; 16],
        ..registered(&key, Attestation::FidoU2f)
    };
    assert_eq!(Made::fido_u2f(&key, &by, std::slice::from_ref(&leaf)).verify(), Ok(expected));

    let other = Key::new(Algorithm::Es256);
    let forged = Made::fido_u2f(&key, &other, std::slice::from_ref(&leaf));
    assert_eq!(forged.verify(), Err(WebAuthnError::AttestationSignature));
    for chain in [vec![], vec![leaf.clone(), leaf.clone()]] {
        let bad = Made::fido_u2f(&key, &by, &chain);
        assert_eq!(bad.verify(), Err(WebAuthnError::AttestationStatement));
    }
    let rsa = Key::new(Algorithm::Rs256);
    let bad = Made::fido_u2f(&key, &rsa, &[Certificate::good().of(&rsa)]);
    assert_eq!(bad.verify(), Err(WebAuthnError::AttestationAlgorithm));
    let ed25519 = Key::new(Algorithm::EdDsa);
    let bad = Made::fido_u2f(&ed25519, &by, &[leaf]);
    assert_eq!(bad.verify(), Err(WebAuthnError::AttestationAlgorithm));
}

#[test]
fn certificates_that_are_not_for_packed_attestation_are_refused() {
    let (key, by) = (Key::new(Algorithm::Es256), Key::new(Algorithm::Es256));
    let good = Certificate::good();
    let without = |kind: u8| {
        let mut subject = good.subject.clone();
        subject.retain(|part| part.0 != kind);
        Certificate { subject, ..good.clone() }
    };
    let with = |kind: u8, tag: u8, text: &'static str| {
        let mut subject = good.subject.clone();
        subject.iter_mut().filter(|part| part.0 == kind).for_each(|part| *part = (kind, tag, text));
        Certificate { subject, ..good.clone() }
    };
    let mut two_units = good.clone();
    two_units.subject.push((11, 0x0c, "Another Unit"));
    for (what, bad) in [
        ("version 1", Certificate { version: 0, ..good.clone() }),
        ("version 2", Certificate { version: 1, ..good.clone() }),
        ("a CA", Certificate { is_ca: Some(true), ..good.clone() }),
        ("no basic constraints", Certificate { is_ca: None, ..good.clone() }),
        ("critical AAGUID", Certificate { aaguid_critical: true, ..good.clone() }),
        ("no country", without(6)),
        ("no organisation", without(10)),
        ("no unit", without(11)),
        ("no name", without(3)),
        ("another unit", with(11, 0x0c, "Authenticator attestation")),
        ("no such country", with(6, 0x13, "Sweden")),
        ("empty name", with(3, 0x0c, "")),
        ("another kind of text", with(11, 0x14, "Authenticator Attestation")),
        ("two units", two_units),
    ] {
        let made = Made::packed(&key, &by, &[bad.of(&by)]);
        assert_eq!(made.verify(), Err(WebAuthnError::AttestationCertificate), "{what}");
    }
    for (aaguid, verdict) in [(None, None), (Some([7; 16]), Some(WebAuthnError::AttestationAaguid))] {
        let leaf = Certificate { aaguid, ..good.clone() }.of(&by);
        assert_eq!(Made::packed(&key, &by, &[leaf]).verify().err(), verdict);
    }
}

#[test]
fn every_prefix_of_a_certificate_and_bytes_behind_it_are_refused() {
    let (key, by) = (Key::new(Algorithm::EdDsa), Key::new(Algorithm::Es256));
    let leaf = Certificate::good().of(&by);
    for end in 0..leaf.len() {
        let made = Made::packed(&key, &by, &[leaf[..end].to_vec()]);
        assert_eq!(made.verify(), Err(WebAuthnError::AttestationCertificate), "{end}");
    }
    let made = Made::packed(&key, &by, &[[&leaf[..], &[0]].concat()]);
    assert_eq!(made.verify(), Err(WebAuthnError::AttestationCertificate));
    // Whatever is damaged: refused, or in what nobody asks for; never more than that.
    for bit in 0..leaf.len() * 8 {
        let mut damaged = leaf.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(registered) = Made::packed(&key, &by, &[damaged]).verify() {
            assert_eq!(registered.public_key, key.public_key());
        }
    }
}

#[test]
fn a_signature_by_another_key_or_under_another_name_attests_nothing() {
    let (key, other) = (Key::new(Algorithm::Es256), Key::new(Algorithm::Es256));
    let leaf = Certificate::good().of(&other);
    let forged = Made::packed(&key, &key, &[leaf]);
    assert_eq!(forged.verify(), Err(WebAuthnError::AttestationSignature));

    let data = Made::authenticator_data(&key);
    let with = |algorithm: i64, signature: &[u8]| {
        let statement =
            cbor_map(&[(cbor_text("alg"), cbor_int(algorithm)), (cbor_text("sig"), cbor_bytes(signature))]);
        let attestation_object = attestation_object("packed", &statement, &data);
        Made { client_data: Made::client_data(), attestation_object }.verify()
    };
    assert_eq!(with(-7, &[]), Err(WebAuthnError::AttestationSignature));
    assert_eq!(with(-7, &other.sign(&data)), Err(WebAuthnError::AttestationSignature));
    assert_eq!(with(-8, &[7; 64]), Err(WebAuthnError::AttestationAlgorithm));
    assert_eq!(with(-35, &[7; 64]), Err(WebAuthnError::AttestationAlgorithm));
}

#[test]
fn statements_with_other_members_are_refused() {
    let key = Key::new(Algorithm::EdDsa);
    let data = Made::authenticator_data(&key);
    let (algorithm, signature) = ((cbor_text("alg"), cbor_int(-8)), (cbor_text("sig"), cbor_bytes(&[7; 64])));
    let chain = |items: &[Vec<u8>]| (cbor_text("x5c"), cbor_array(items));
    for (format, statement) in [
        ("none", cbor_map(std::slice::from_ref(&signature))),
        ("none", cbor_array(&[])),
        ("none", cbor_bytes(&[])),
        ("packed", cbor_map(&[])),
        ("packed", cbor_map(std::slice::from_ref(&algorithm))),
        ("packed", cbor_map(std::slice::from_ref(&signature))),
        ("packed", cbor_map(&[algorithm.clone(), signature.clone(), chain(&[])])),
        ("packed", cbor_map(&[algorithm.clone(), signature.clone(), chain(&[cbor_text("a")])])),
        ("packed", cbor_map(&[algorithm.clone(), signature.clone(), (cbor_text("x5c"), cbor_bytes(&[7]))])),
        (
            "packed",
            cbor_map(&[algorithm.clone(), signature.clone(), (cbor_text("ecdaaKeyId"), cbor_bytes(&[7]))]),
        ),
        ("packed", cbor_map(&[algorithm.clone(), (cbor_text("sig"), cbor_text("7"))])),
        ("packed", cbor_map(&[algorithm, signature.clone(), chain(&vec![cbor_bytes(&[7]); 9])])),
        ("fido-u2f", cbor_map(&[])),
        ("fido-u2f", cbor_map(&[signature])),
    ] {
        let attestation_object = attestation_object(format, &statement, &data);
        let made = Made { client_data: Made::client_data(), attestation_object };
        assert_eq!(made.verify(), Err(WebAuthnError::AttestationStatement), "{format} {statement:02x?}");
    }
}

#[test]
fn formats_that_are_not_verified_are_refused_by_name() {
    let data = Made::authenticator_data(&Key::new(Algorithm::Es256));
    for format in ["tpm", "android-key", "android-safetynet", "apple", "compound", "None", "", "packed "] {
        let attestation_object = attestation_object(format, &[0xa0], &data);
        let made = Made { client_data: Made::client_data(), attestation_object };
        assert_eq!(made.verify(), Err(WebAuthnError::AttestationFormat), "{format}");
    }
}

#[test]
fn every_prefix_of_an_attestation_object_and_bytes_behind_it_are_refused() {
    let (key, by) = (Key::new(Algorithm::Es256), Key::new(Algorithm::Es256));
    let leaf = [Certificate::good().of(&by)];
    for good in [
        Made::none(&key),
        Made::packed_self(&key),
        Made::packed(&key, &by, &leaf),
        Made::fido_u2f(&key, &by, &leaf),
    ] {
        assert!(good.verify().is_ok());
        for end in 0..good.attestation_object.len() {
            let attestation_object = good.attestation_object[..end].to_vec();
            let bad = Made { attestation_object, ..good.clone() };
            assert_eq!(bad.verify(), Err(WebAuthnError::CborMalformed), "{end}");
        }
        let attestation_object = [&good.attestation_object[..], &[0]].concat();
        let bad = Made { attestation_object, ..good };
        assert_eq!(bad.verify(), Err(WebAuthnError::CborTrailing));
    }
}

#[test]
fn every_flipped_bit_of_what_a_key_attests_is_refused() {
    for algorithm in Algorithm::ALL {
        let good = Made::packed_self(&Key::new(algorithm));
        for bit in 0..good.attestation_object.len() * 8 {
            let mut bad = good.clone();
            bad.attestation_object[bit / 8] ^= 1 << (bit % 8);
            assert!(bad.verify().is_err(), "{algorithm:?} bit {bit}");
        }
        for bit in 0..good.client_data.len() * 8 {
            let mut bad = good.clone();
            bad.client_data[bit / 8] ^= 1 << (bit % 8);
            assert!(bad.verify().is_err(), "{algorithm:?} bit {bit} of the client data");
        }
    }
}

#[test]
fn attestation_objects_have_one_spelling() {
    let key = Key::new(Algorithm::Es256);
    let data = Made::authenticator_data(&key);
    let members = [
        (cbor_text("fmt"), cbor_text("none")),
        (cbor_text("attStmt"), vec![0xa0]),
        (cbor_text("authData"), cbor_bytes(&data)),
    ];
    let verdict = |attestation_object: Vec<u8>| {
        Made { client_data: Made::client_data(), attestation_object }.verify().err()
    };
    assert_eq!(verdict(cbor_map(&members)), None);
    let [format, statement, bytes] = members.clone();
    let other_order = cbor_map(&[format.clone(), bytes.clone(), statement.clone()]);
    assert_eq!(verdict(other_order), Some(WebAuthnError::CborNotCanonical));
    let doubled = cbor_map(&[format.clone(), format.clone(), statement.clone(), bytes.clone()]);
    assert_eq!(verdict(doubled), Some(WebAuthnError::CborDuplicateKey));
    let doubled = cbor_map(&[format.clone(), statement.clone(), bytes.clone(), bytes.clone()]);
    assert_eq!(verdict(doubled), Some(WebAuthnError::CborDuplicateKey));
    let more =
        cbor_map(&[format.clone(), (cbor_text("epAtt"), vec![0xf5]), statement.clone(), bytes.clone()]);
    assert_eq!(verdict(more), Some(WebAuthnError::AttestationObjectMalformed));
    assert_eq!(verdict(cbor_map(&[format, statement])), Some(WebAuthnError::AttestationObjectMalformed));
    assert_eq!(verdict(cbor_array(&[bytes.1])), Some(WebAuthnError::AttestationObjectMalformed));
    assert_eq!(verdict(vec![]), Some(WebAuthnError::CborMalformed));
    let mut indefinite = cbor_map(&members);
    indefinite[0] = 0xbf;
    indefinite.push(0xff);
    assert_eq!(verdict(indefinite), Some(WebAuthnError::CborNotCanonical));
    let mut longer = cbor_map(&members);
    longer.splice(0..1, [0xb8, 3]);
    assert_eq!(verdict(longer), Some(WebAuthnError::CborNotCanonical));
    assert_eq!(verdict(vec![0xa0; 16_385]), Some(WebAuthnError::AttestationObjectSize));
}

#[test]
fn wrong_client_data_is_refused_as_in_assertions() {
    let good = Made::none(&Key::new(Algorithm::Es256));
    for (client_data, error) in [
        (client_data("webauthn.get", &CHALLENGE, ORIGIN, ""), WebAuthnError::TypeMismatch),
        (client_data("webauthn.create", &[7; 32], ORIGIN, ""), WebAuthnError::ChallengeMismatch),
        (
            client_data("webauthn.create", &CHALLENGE, "https://harbor.example", ""),
            WebAuthnError::OriginMismatch,
        ),
        (
            client_data("webauthn.create", &CHALLENGE, ORIGIN, r#","crossOrigin":true"#),
            WebAuthnError::CrossOrigin,
        ),
        (
            client_data("webauthn.create", &CHALLENGE, ORIGIN, r#","topOrigin":"https://a.example""#),
            WebAuthnError::TopOrigin,
        ),
        (
            client_data("webauthn.create", &CHALLENGE, ORIGIN, r#","type":"webauthn.create""#),
            WebAuthnError::ClientDataDuplicate,
        ),
    ] {
        assert_eq!(Made { client_data, ..good.clone() }.verify(), Err(error));
    }
}

#[test]
fn wrong_authenticator_data_is_refused() {
    let key = Key::new(Algorithm::Es256);
    let credential = attested(AAGUID, &CREDENTIAL_ID, &key.cose());
    let other_key = {
        let mut cose = key.cose();
        cose[4] = 0x27;
        attested(AAGUID, &CREDENTIAL_ID, &cose)
    };
    let id = |length: usize| attested(AAGUID, &vec![7; length], &key.cose());
    for (data, error) in [
        (authenticator_data("harbor.example", UP | AT, 0, &credential), WebAuthnError::RpIdMismatch),
        (authenticator_data(RP_ID, UV | AT, 0, &credential), WebAuthnError::UserNotPresent),
        (authenticator_data(RP_ID, UP | BS | AT, 0, &credential), WebAuthnError::BackupFlags),
        (authenticator_data(RP_ID, UP, 0, &[]), WebAuthnError::CredentialMissing),
        (authenticator_data(RP_ID, UP, 0, &credential), WebAuthnError::CredentialMissing),
        (authenticator_data(RP_ID, UP | AT, 0, &id(0)), WebAuthnError::CredentialIdLength),
        (authenticator_data(RP_ID, UP | AT, 0, &id(1_024)), WebAuthnError::CredentialIdLength),
        (authenticator_data(RP_ID, UP | AT, 0, &other_key), WebAuthnError::KeyMalformed),
        (authenticator_data(RP_ID, UP | AT | ED, 0, &credential), WebAuthnError::CborMalformed),
        (
            authenticator_data(RP_ID, UP | AT, 0, &[&credential[..], &[0xa0]].concat()),
            WebAuthnError::AuthenticatorDataMalformed,
        ),
    ] {
        assert_eq!(Made::none_with(&data).verify(), Err(error));
    }
    for length in [1, 64, 1_023] {
        let made = Made::none_with(&authenticator_data(RP_ID, UP | AT, 0, &id(length)));
        assert_eq!(made.verify().unwrap().credential_id.len(), length);
    }
    let extended = [&credential[..], &cbor_map(&[(cbor_text("credProtect"), cbor_int(2))])].concat();
    let data = authenticator_data(RP_ID, UP | BE | BS | AT | ED, 0, &extended);
    let registered = Made::none_with(&data).verify().unwrap();
    assert!(registered.backup_eligible && registered.backed_up && !registered.user_verified);
    for end in 0..data.len() {
        assert!(Made::none_with(&data[..end]).verify().is_err(), "{end}");
    }
}

#[test]
fn nothing_is_registered_for_the_app_id() {
    let key = Key::new(Algorithm::Es256);
    let data = authenticator_data(APP_ID, UP | AT, 0, &attested(AAGUID, &CREDENTIAL_ID, &key.cose()));
    let made = Made::none_with(&data);
    let party = RelyingParty { app_id: Some(APP_ID.into()), ..party() };
    let registration = holdfast_authn::webauthn::Registration {
        client_data_json: &made.client_data,
        attestation_object: &made.attestation_object,
    };
    assert_eq!(verify_registration(&party, &CHALLENGE, &registration), Err(WebAuthnError::RpIdMismatch));
}
