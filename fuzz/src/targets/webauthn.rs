//! What security keys and browsers give: registrations, assertions and public keys.
//!
//! Inputs begin with the length of the client data in two bytes; what follows the client data is the key's.

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::{
    Accepted, Assertion, Attestation, PublicKey, Registered, Registration, RelyingParty, verify_assertion,
    verify_registration,
};
use minicbor::Decoder;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::house::{APP_ID, APPROVE_CHALLENGE, APPROVE_ORIGIN, APPROVE_RP_ID, KEY_SEED};

const FLAG_EXTENSIONS: u8 = 0x80;

/// Client data and authenticator data, signed here by the house's key; as a whole, also a public key.
pub(super) fn assertion(bytes: &[u8]) -> bool {
    let is_key = public_key(bytes);
    let Some((client_data, data)) = split(bytes) else { return is_key };
    let Some(accepted) = sign_and_verify(&party(), client_data, data) else { return is_key };

    let id = if accepted.by_app_id { APP_ID } else { APPROVE_RP_ID };
    assert_eq!(data.get(..32), Some(sha256(id.as_bytes()).as_slice()), "for whom");
    assert_eq!(data.get(33..37), Some(accepted.counter.to_be_bytes().as_slice()), "the counter");
    let flags = data.get(32).copied().unwrap_or_default();
    assert!(flags & 1 == 1 && (flags & 4 == 4) == accepted.user_verified, "who was there");
    assert!((flags & 8 == 8) == accepted.backup_eligible && (flags & 16 == 16) == accepted.backed_up);
    assert!(accepted.backup_eligible || !accepted.backed_up);
    assert_eq!(data.len() > 37, flags & FLAG_EXTENSIONS != 0, "nothing else is behind");

    // Whoever signs it: no shorter, no longer, for nobody else, from nowhere else.
    let shorter = data.split_last().map(|(_, rest)| rest).unwrap_or_default();
    assert_eq!(sign_and_verify(&party(), client_data, shorter), None, "cut off");
    assert_eq!(sign_and_verify(&party(), client_data, &[data, &[0]].concat()), None, "a byte behind");
    let shorter = client_data.trim_ascii_end().split_last().map(|(_, rest)| rest).unwrap_or_default();
    assert_eq!(sign_and_verify(&party(), shorter, data), None, "client data cut off");
    let no_app_id = RelyingParty { app_id: None, ..party() };
    assert_eq!(sign_and_verify(&no_app_id, client_data, data).is_some(), !accepted.by_app_id);
    let elsewhere = RelyingParty { origins: vec!["https://harbor.example".into()], ..party() };
    assert_eq!(sign_and_verify(&elsewhere, client_data, data), None, "on another page");
    let other = RelyingParty { rp_id: "harbor.example".into(), app_id: None, ..party() };
    assert_eq!(sign_and_verify(&other, client_data, data), None, "for another party");

    let Some((key, signature)) = signed(client_data, data) else { return true };
    let judge = |challenge: &[u8], signature: &[u8]| {
        let assertion = Assertion { client_data_json: client_data, authenticator_data: data, signature };
        verify_assertion(&party(), &key, challenge, &assertion).ok()
    };
    assert_eq!(judge(APPROVE_CHALLENGE, &signature), Some(accepted), "the same twice");
    assert_eq!(judge(b"the SHA-256 of some other text..", &signature), None, "another challenge");
    let mut forged = signature;
    if let Some(first) = forged.first_mut() {
        *first ^= 1;
    }
    assert_eq!(judge(APPROVE_CHALLENGE, &forged), None, "another signature");
    true
}

/// Client data and an attestation object, or authenticator data for which the object is made here.
pub(super) fn registration(bytes: &[u8]) -> bool {
    let Some((client_data, rest)) = split(bytes) else { return false };
    let as_sent = register(client_data, rest);
    if let Some(registered) = &as_sent {
        let (format, data) = read_object(rest);
        let named = match registered.attestation {
            Attestation::None => "none",
            Attestation::Packed { .. } => "packed",
            Attestation::FidoU2f => "fido-u2f",
        };
        assert_eq!(format, Some(named));
        assert_eq!(register(client_data, &[rest, &[0]].concat()), None, "a byte behind");
        assert_eq!(register(client_data, rest.split_last().map_or(rest, |(_, cut)| cut)), None, "cut off");
        // Without its attestation it registers the same key.
        let bare = data.and_then(|data| register(client_data, &object("none", &[0xa0], data)));
        let mut expected = registered.clone();
        expected.attestation = Attestation::None;
        if registered.attestation == Attestation::FidoU2f {
            expected.aaguid = bare.as_ref().map_or([0; 16], |bare| bare.aaguid);
        }
        assert_eq!(bare, Some(expected));
        if registered.attestation == Attestation::None {
            assert_eq!(data.map(|data| object("none", &[0xa0], data)).as_deref(), Some(rest), "one spelling");
        }
    }
    let bare = register(client_data, &object("none", &[0xa0], rest));
    if let Some(registered) = &bare {
        credential(registered, client_data, rest);
    }
    as_sent.is_some() || bare.is_some()
}

/// Authenticator data is what it was read as, and nothing else.
fn credential(registered: &Registered, client_data: &[u8], data: &[u8]) {
    let flags = data.get(32).copied().unwrap_or_default();
    let length = u16::try_from(registered.credential_id.len()).unwrap_or_default();
    assert!((1..=1_023).contains(&length));
    let cose = registered.public_key.to_cose();
    public_key(&cose);
    let written = [
        sha256(APPROVE_RP_ID.as_bytes()).as_slice(),
        &[flags],
        &registered.counter.to_be_bytes(),
        &registered.aaguid,
        &length.to_be_bytes(),
        &registered.credential_id,
        &cose,
    ]
    .concat();
    let behind = data.strip_prefix(written.as_slice());
    assert!(behind.is_some_and(|behind| behind.is_empty() == (flags & FLAG_EXTENSIONS == 0)), "one spelling");

    // The house's key may vouch for itself.
    let Some((key, signature)) = signed(client_data, data) else { return };
    let statement = [&b"\xa2\x63alg\x27\x63sig\x58\x40"[..], &signature].concat();
    let vouched = register(client_data, &object("packed", &statement, data));
    if key == registered.public_key {
        let attestation = Attestation::Packed { self_attested: true };
        assert_eq!(vouched, Some(Registered { attestation, ..registered.clone() }));
    } else {
        assert_eq!(vouched, None, "for itself, not for others");
    }
}

/// A key has one spelling in COSE.
fn public_key(bytes: &[u8]) -> bool {
    let cose = PublicKey::from_cose(bytes);
    if let Ok(key) = &cose {
        assert_eq!(key.to_cose(), bytes, "has one spelling");
        assert_eq!(key.digest(), sha256(bytes));
        assert!(!key.verifies(b"a message", &[0; 64]), "this is nobody's signature");
    }
    let others = [PublicKey::from_sec1(bytes), PublicKey::from_spki(bytes)];
    for key in others.iter().flatten() {
        assert_eq!(PublicKey::from_cose(&key.to_cose()).as_ref(), Ok(key));
        assert!(key.to_sec1().is_none_or(|point| PublicKey::from_sec1(point).as_ref() == Ok(key)));
    }
    cose.is_ok() || others.iter().any(Result::is_ok)
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn party() -> RelyingParty {
    RelyingParty {
        rp_id: APPROVE_RP_ID.into(),
        origins: vec![APPROVE_ORIGIN.into()],
        app_id: Some(APP_ID.into()),
    }
}

/// The house's key, and its signature over an assertion or a packed attestation.
fn signed(client_data: &[u8], data: &[u8]) -> Option<(PublicKey, Vec<u8>)> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&KEY_SEED).ok()?;
    let cose = [&b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"[..], pair.public_key().as_ref()].concat();
    let signature = pair.sign(&[data, &sha256(client_data)].concat());
    Some((PublicKey::from_cose(&cose).ok()?, signature.as_ref().to_vec()))
}

fn sign_and_verify(party: &RelyingParty, client_data: &[u8], data: &[u8]) -> Option<Accepted> {
    let (key, signature) = signed(client_data, data)?;
    let assertion =
        Assertion { client_data_json: client_data, authenticator_data: data, signature: &signature };
    let accepted = verify_assertion(party, &key, APPROVE_CHALLENGE, &assertion).ok();
    let text = core::str::from_utf8(client_data).unwrap_or_default();
    if accepted.is_some() && !text.contains('\\') {
        assert!(text.contains(&to_base64url(APPROVE_CHALLENGE)) && text.contains("\"webauthn.get\""));
    }
    accepted
}

fn register(client_data: &[u8], attestation_object: &[u8]) -> Option<Registered> {
    let registration = Registration { client_data_json: client_data, attestation_object };
    verify_registration(&party(), APPROVE_CHALLENGE, &registration).ok()
}

/// Format and authenticator data, by another reader.
fn read_object(bytes: &[u8]) -> (Option<&str>, Option<&[u8]>) {
    let mut decoder = Decoder::new(bytes);
    let (mut format, mut data) = (None, None);
    let members = decoder.map().ok().flatten().unwrap_or_default();
    for _ in 0..members {
        match decoder.str() {
            Ok("fmt") => format = decoder.str().ok(),
            Ok("authData") => data = decoder.bytes().ok(),
            _ => drop(decoder.skip()),
        }
    }
    (format, data)
}

fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    // Writing to a Vec cannot fail.
    let _ = encoder.map(3).and_then(|encoder| encoder.str("fmt")).and_then(|encoder| encoder.str(format));
    let _ = encoder.str("attStmt");
    encoder.writer_mut().extend(statement);
    let _ = encoder.str("authData").and_then(|encoder| encoder.bytes(data));
    encoder.into_writer()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}
