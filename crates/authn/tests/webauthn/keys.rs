//! Public keys in all their spellings.

use holdfast_authn::webauthn::{Algorithm, PublicKey, WebAuthnError};

use crate::authenticator::{Key, cbor_bytes, cbor_int, cbor_map, cbor_rsa, sha256};
use crate::certificate::{P256, der};

#[test]
fn keys_come_back_from_their_one_spelling() {
    for algorithm in Algorithm::ALL {
        let key = Key::new(algorithm);
        let cose = key.cose();
        let read = PublicKey::from_cose(&cose).unwrap();
        assert_eq!(read.algorithm(), algorithm);
        assert_eq!(read.to_cose(), cose);
        assert_eq!(read.digest(), *sha256(&cose));
        assert!(format!("{read:?}").len() < 40);
        for end in 0..cose.len() {
            assert!(PublicKey::from_cose(&cose[..end]).is_err(), "{end}");
        }
        let longer = [&cose[..], &[0]].concat();
        assert_eq!(PublicKey::from_cose(&longer), Err(WebAuthnError::CborTrailing));
    }
}

#[test]
fn an_uncompressed_point_is_the_same_key() {
    let key = Key::new(Algorithm::Es256);
    let point = key.public();
    let read = PublicKey::from_sec1(point).unwrap();
    assert_eq!(read, key.public_key());
    assert_eq!(read.to_sec1().map(<[u8; 65]>::as_slice), Some(point));
    let compressed = [&[2 + (point[64] & 1)][..], &point[1..33]].concat();
    let hybrid = [&[6 + (point[64] & 1)][..], &point[1..]].concat();
    for bad in [&point[..64], &[point, &[0]].concat(), &compressed, &hybrid, &point[1..], &[], &[4; 64]] {
        assert_eq!(PublicKey::from_sec1(bad), Err(WebAuthnError::KeyMalformed));
    }
}

#[test]
fn keys_of_other_algorithms_are_refused_by_name() {
    let x = cbor_bytes(&[7; 48]);
    for (kind, algorithm, curve) in
        [(2, -35, 2), (2, -36, 3), (2, -47, 8), (1, -53, 7), (3, -37, 1), (3, -65535, 1)]
    {
        let cose = cbor_map(&[
            (cbor_int(1), cbor_int(kind)),
            (cbor_int(3), cbor_int(algorithm)),
            (cbor_int(-1), cbor_int(curve)),
            (cbor_int(-2), x.clone()),
        ]);
        assert_eq!(PublicKey::from_cose(&cose), Err(WebAuthnError::KeyAlgorithm), "{algorithm}");
    }
}

#[test]
fn keys_with_other_members_are_refused() {
    let key = Key::new(Algorithm::Es256);
    let (x, y) = key.public()[1..].split_at(32);
    let members = |kind, curve, x: &[u8], y: &[u8]| {
        vec![
            (cbor_int(1), cbor_int(kind)),
            (cbor_int(3), cbor_int(-7)),
            (cbor_int(-1), cbor_int(curve)),
            (cbor_int(-2), cbor_bytes(x)),
            (cbor_int(-3), cbor_bytes(y)),
        ]
    };
    assert!(PublicKey::from_cose(&cbor_map(&members(2, 1, x, y))).is_ok());
    let mut with_operations = members(2, 1, x, y);
    with_operations.insert(2, (cbor_int(4), vec![0x81, 0x02]));
    let mut compressed = members(2, 1, x, y);
    compressed[4].1 = vec![0xf5];
    for bad in [
        members(1, 1, x, y),
        members(2, 6, x, y),
        members(2, 1, &x[1..], y),
        members(2, 1, x, &[y, &[0]].concat()),
        members(2, 1, x, y)[..4].to_vec(),
        members(2, 1, x, y)[..1].to_vec(),
        with_operations,
        compressed,
    ] {
        assert_eq!(PublicKey::from_cose(&cbor_map(&bad)), Err(WebAuthnError::KeyMalformed));
    }
    let mut unordered = members(2, 1, x, y);
    unordered.swap(0, 1);
    assert_eq!(PublicKey::from_cose(&cbor_map(&unordered)), Err(WebAuthnError::CborNotCanonical));
    let mut doubled = members(2, 1, x, y);
    doubled.insert(1, doubled[0].clone());
    assert_eq!(PublicKey::from_cose(&cbor_map(&doubled)), Err(WebAuthnError::CborDuplicateKey));
    let mut indefinite = cbor_map(&members(2, 1, x, y));
    indefinite[0] = 0xbf;
    indefinite.push(0xff);
    assert_eq!(PublicKey::from_cose(&indefinite), Err(WebAuthnError::CborNotCanonical));
    for bad in [&[0x80][..], &[0x00], &[0xa0], &[0xf6]] {
        assert_eq!(PublicKey::from_cose(bad), Err(WebAuthnError::KeyMalformed));
    }
    assert_eq!(PublicKey::from_cose(&[0x40; 2_049]), Err(WebAuthnError::KeyMalformed));
}

#[test]
fn weak_ed25519_keys_are_refused() {
    for x in [[0; 32], [0xff; 32]] {
        let cose = cbor_map(&[
            (cbor_int(1), cbor_int(1)),
            (cbor_int(3), cbor_int(-8)),
            (cbor_int(-1), cbor_int(6)),
            (cbor_int(-2), cbor_bytes(&x)),
        ]);
        assert_eq!(PublicKey::from_cose(&cose), Err(WebAuthnError::KeyWeak));
    }
}

#[test]
fn rsa_keys_have_2048_to_8192_bits_and_an_odd_exponent() {
    let modulus = |bytes: usize| vec![0xff; bytes];
    let usual = [1, 0, 1];
    for bytes in [256, 384, 512, 1_024] {
        let cose = cbor_rsa(&modulus(bytes), &usual);
        assert_eq!(PublicKey::from_cose(&cose).unwrap().to_cose(), cose);
    }
    // A modulus need not fill its bytes.
    assert!(PublicKey::from_cose(&cbor_rsa(&[&[1][..], &modulus(256)].concat(), &usual)).is_ok());
    let mut even = modulus(256);
    even[255] = 0xfe;
    let mut short = modulus(256);
    short[0] = 0x7f;
    for (modulus, exponent, error) in [
        (modulus(255), &usual[..], WebAuthnError::KeyRsaSize),
        (modulus(128), &usual, WebAuthnError::KeyRsaSize),
        (modulus(1_025), &usual, WebAuthnError::KeyRsaSize),
        (even, &usual, WebAuthnError::KeyRsaSize),
        (short, &usual, WebAuthnError::KeyRsaSize),
        (modulus(256), &[1], WebAuthnError::KeyRsaSize),
        (modulus(256), &[2], WebAuthnError::KeyRsaSize),
        (modulus(256), &[], WebAuthnError::KeyRsaSize),
        (modulus(256), &[2, 0, 0, 0, 1], WebAuthnError::KeyRsaSize),
        (modulus(256), &[0, 1, 0, 1], WebAuthnError::KeyMalformed),
        ([&[0][..], &modulus(256)].concat(), &usual, WebAuthnError::KeyMalformed),
    ] {
        assert_eq!(PublicKey::from_cose(&cbor_rsa(&modulus, exponent)), Err(error));
    }
}

#[test]
fn subject_public_key_info_gives_the_same_key() {
    let key = Key::new(Algorithm::Es256);
    let spki = |algorithm: &[u8], bits: &[u8]| {
        der(0x30, &[der(0x30, algorithm), der(0x03, &[&[0], bits].concat())].concat())
    };
    let good = spki(P256, key.public());
    assert_eq!(PublicKey::from_spki(&good), Ok(key.public_key()));
    for end in 0..good.len() {
        assert_eq!(PublicKey::from_spki(&good[..end]), Err(WebAuthnError::KeyMalformed));
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(PublicKey::from_spki(&longer), Err(WebAuthnError::KeyMalformed));
    let key = Key::new(Algorithm::EdDsa);
    assert_eq!(
        PublicKey::from_spki(&spki(&[0x06, 0x03, 0x2b, 0x65, 0x70], key.public())),
        Ok(key.public_key())
    );
    let other = spki(&[0x06, 0x03, 0x2b, 0x65, 0x71], &[7; 57]);
    assert_eq!(PublicKey::from_spki(&other), Err(WebAuthnError::KeyAlgorithm));
}
