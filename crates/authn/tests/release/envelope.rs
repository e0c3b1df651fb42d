//! The envelope: one spelling, one algorithm, one kind, known keys.

use coset::iana::{Algorithm, EnumI64 as _};
use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _};
use holdfast_authn::release::{EnvelopeError, Kind, SigningKey, key_id, open, seal};
use proptest::prelude::*;
use ring::signature::Ed25519KeyPair;

use crate::samples::{hex, release_key};

const SEED: [u8; 32] = [7; 32];
const PAYLOAD: &[u8] = b"a payload";

fn key() -> SigningKey {
    SigningKey::from_seed(&SEED)
}

fn sealed() -> Vec<u8> {
    seal(Kind::Release, PAYLOAD, &key())
}

fn code(bytes: &[u8]) -> &'static str {
    open(Kind::Release, bytes, &[key().public_key()]).unwrap_err().code()
}

/// An envelope around any protected header, properly signed over it.
fn around(protected: &[u8]) -> Vec<u8> {
    let aad = Kind::Release.aad().as_bytes();
    let mut signed = vec![0x84, 0x6a];
    signed.extend(b"Signature1");
    for part in [protected, aad, PAYLOAD] {
        signed.extend(byte_string(part));
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    let mut bytes = vec![0xd2, 0x84];
    bytes.extend(byte_string(protected));
    bytes.push(0xa0);
    bytes.extend(byte_string(PAYLOAD));
    bytes.extend(byte_string(pair.sign(&signed).as_ref()));
    bytes
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let mut out = match u8::try_from(bytes.len()).unwrap() {
        short @ 0..24 => vec![0x40 + short],
        long => vec![0x58, long],
    };
    out.extend(bytes);
    out
}

fn protected(entries: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![0xa0 + u8::try_from(entries.len()).unwrap()];
    out.extend(entries.concat());
    out
}

fn kid() -> Vec<u8> {
    [&[0x04, 0x48][..], &key_id(&key().public_key())].concat()
}

const EDDSA: &[u8] = &[0x01, 0x27];

#[test]
fn opens_what_was_sealed_and_says_who_sealed_it() {
    let keys = [release_key().public_key(), key().public_key()];
    assert_eq!(open(Kind::Release, &sealed(), &keys), Ok((PAYLOAD.to_vec(), keys[1])));
    assert_eq!(open(Kind::Release, &around(&protected(&[EDDSA, &kid()])), &keys).unwrap().1, keys[1]);
    assert_eq!(sealed(), around(&protected(&[EDDSA, &kid()])), "signing has no randomness");
    assert_eq!(open(Kind::Spends, &seal(Kind::Spends, b"", &key()), &keys).unwrap().0, b"");
}

#[test]
fn coset_reads_what_was_sealed() {
    let message = CoseSign1::from_tagged_slice(&sealed()).unwrap();
    assert_eq!(message.protected.header.key_id, key_id(&key().public_key()));
    assert_eq!(message.protected.header.alg.unwrap().to_cbor_value_i64(), Algorithm::EdDSA.to_i64());
    assert!(message.unprotected.is_empty());
}

trait AlgorithmNumber {
    fn to_cbor_value_i64(&self) -> i64;
}

impl AlgorithmNumber for coset::Algorithm {
    fn to_cbor_value_i64(&self) -> i64 {
        match self {
            Self::Assigned(algorithm) => algorithm.to_i64(),
            _ => 0,
        }
    }
}

#[test]
fn a_signature_of_one_kind_is_none_of_another() {
    let keys = [key().public_key()];
    for sealed_as in Kind::ALL {
        let bytes = seal(sealed_as, PAYLOAD, &key());
        for opened_as in Kind::ALL {
            let opened = open(opened_as, &bytes, &keys);
            if sealed_as == opened_as {
                assert!(opened.is_ok());
            } else {
                assert_eq!(opened, Err(EnvelopeError::Signature(opened_as)));
            }
        }
    }
    assert_eq!(EnvelopeError::Signature(Kind::Release).code(), "release_signature");
}

#[test]
fn unknown_and_weak_keys_are_refused() {
    let other = release_key().public_key();
    for keys in [&[][..], &[other]] {
        let error = open(Kind::Release, &sealed(), keys).unwrap_err();
        assert_eq!(error, EnvelopeError::KeyUnknown(Kind::Release));
        assert_eq!(error.code(), "release_key_unknown");
    }
    // The neutral element, under which (R = 0, s = 0) fits every message.
    let mut weak = [0; 32];
    weak[0] = 1;
    let mut signature = vec![0; 64];
    signature[0] = 1;
    let forged = CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(Algorithm::EdDSA).key_id(key_id(&weak).to_vec()).build())
        .payload(PAYLOAD.to_vec())
        .signature(signature)
        .build()
        .to_tagged_vec()
        .unwrap();
    assert_eq!(open(Kind::Release, &forged, &[weak]), Err(EnvelopeError::Signature(Kind::Release)));
}

#[test]
fn a_key_id_of_another_key_is_refused() {
    let other = release_key().public_key();
    let bytes = around(&protected(&[EDDSA, &[&[0x04, 0x48][..], &key_id(&other)].concat()]));
    assert_eq!(code(&bytes), "release_key_unknown");
    let both = [key().public_key(), other];
    assert_eq!(open(Kind::Release, &bytes, &both), Err(EnvelopeError::Signature(Kind::Release)));
}

#[test]
fn headers_with_another_spelling_or_content_are_refused_though_signed() {
    let kid = kid();
    for (what, header, expected) in [
        ("ES256", protected(&[&[0x01, 0x26], &kid]), "envelope_algorithm"),
        ("Ed25519 by its newer number", protected(&[&[0x01, 0x32], &kid]), "envelope_algorithm"),
        ("no algorithm", protected(&[&kid]), "envelope_algorithm"),
        ("empty", vec![], "envelope_algorithm"),
        ("no key id", protected(&[EDDSA]), "release_key_unknown"),
        ("short key id", protected(&[EDDSA, &[0x04, 0x41, kid[2]]]), "release_key_unknown"),
        ("another order", protected(&[&kid, EDDSA]), "envelope_not_canonical"),
        ("indefinite", [&[0xbf], EDDSA, &kid, &[0xff]].concat(), "envelope_not_canonical"),
        ("longer integer", protected(&[&[0x01, 0x38, 0x07], &kid]), "envelope_not_canonical"),
        (
            "longer length",
            protected(&[EDDSA, &[&[0x04, 0x58, 8][..], &kid[2..]].concat()]),
            "envelope_not_canonical",
        ),
        ("something critical", protected(&[EDDSA, &[0x02, 0x81, 0x01], &kid]), "envelope_not_canonical"),
        ("something else", protected(&[EDDSA, &kid, &[0x18, 0x63, 0x01]]), "envelope_not_canonical"),
        ("behind the map", [&protected(&[EDDSA, &kid])[..], &[0]].concat(), "envelope_malformed"),
        ("no map", vec![0x01], "envelope_malformed"),
        ("twice the key id", protected(&[EDDSA, &kid, &kid]), "envelope_malformed"),
        ("twice the algorithm", protected(&[EDDSA, EDDSA, &kid]), "envelope_malformed"),
        (
            "too long",
            protected(&[EDDSA, &kid, &[&[0x18, 0x63, 0x58, 60][..], &[0; 60]].concat()]),
            "envelope_not_canonical",
        ),
    ] {
        assert_eq!(code(&around(&header)), expected, "{what}");
    }
}

/// The sealed bytes with the part that starts at `from` replaced.
fn with(from: usize, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = sealed();
    assert_eq!(&bytes[from..from + old.len()], old);
    bytes.splice(from..from + old.len(), new.iter().copied());
    bytes
}

#[test]
fn other_shapes_are_refused() {
    // d2 84 4d <13 bytes> a0 49 <9 bytes> 58 40 <64 bytes>
    let bytes = sealed();
    assert_eq!(hex(&bytes[..4]), "d2844da2");
    for (what, bytes, expected) in [
        ("nothing", vec![], "envelope_untagged"),
        ("untagged", bytes[1..].to_vec(), "envelope_untagged"),
        ("COSE_Mac0", with(0, &[0xd2], &[0xd1]), "envelope_untagged"),
        ("longer tag", with(0, &[0xd2], &[0xd8, 18]), "envelope_not_canonical"),
        ("three parts", with(1, &[0x84], &[0x83]), "envelope_malformed"),
        ("five parts", with(1, &[0x84], &[0x85]), "envelope_malformed"),
        ("indefinite array", [with(1, &[0x84], &[0x9f]), vec![0xff]].concat(), "envelope_not_canonical"),
        ("longer array", with(1, &[0x84], &[0x98, 4]), "envelope_not_canonical"),
        ("longer length", with(2, &[0x4d], &[0x58, 13]), "envelope_not_canonical"),
        ("unprotected", with(16, &[0xa0], &[0xa1, 0x04, 0x41, 0x00]), "envelope_unprotected_header"),
        ("indefinite map", with(16, &[0xa0], &[0xbf, 0xff]), "envelope_not_canonical"),
        ("no map", with(16, &[0xa0], &[0x80]), "envelope_malformed"),
        ("no payload", with(17, &[&[0x49], PAYLOAD].concat(), &[0xf6]), "envelope_malformed"),
        ("text payload", with(17, &[0x49], &[0x69]), "envelope_malformed"),
        (
            "indefinite payload",
            with(17, &[&[0x49], PAYLOAD].concat(), &[0x5f, 0x41, 0, 0xff]),
            "envelope_not_canonical",
        ),
        ("short signature", bytes[..bytes.len() - 1].to_vec(), "envelope_malformed"),
        (
            "signature of 63",
            [&bytes[..27], &[0x58, 63], &bytes[29..bytes.len() - 1]].concat(),
            "envelope_malformed",
        ),
        ("trailing", [&bytes[..], &[0]].concat(), "envelope_malformed"),
        ("twice", [&bytes[..], &bytes].concat(), "envelope_malformed"),
    ] {
        assert_eq!(code(&bytes), expected, "{what}");
    }
    let untagged = CoseSign1::from_slice(&bytes[1..]).unwrap();
    assert_eq!(untagged.to_tagged_vec().unwrap(), bytes, "coset alone takes it untagged");
}

#[test]
fn a_signature_that_is_not_reduced_is_refused() {
    let mut bytes = sealed();
    // s + L: the same signature to a verifier that reduces.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let start = bytes.len() - 32;
    let mut carry = 0u16;
    for (byte, add) in bytes[start..].iter_mut().zip(order) {
        carry += u16::from(*byte) + add;
        *byte = (carry & 0xff) as u8;
        carry >>= 8;
    }
    assert_eq!((carry, code(&bytes)), (0, "release_signature"));
}

#[test]
fn sizes_are_limited() {
    for kind in [Kind::Release, Kind::Receipt] {
        let most = vec![0; kind.payload_bytes_max()];
        let bytes = seal(kind, &most, &key());
        assert!(open(kind, &bytes, &[key().public_key()]).is_ok_and(|(payload, _)| payload == most));
        let more = vec![0; kind.payload_bytes_max() + 257];
        let error = open(kind, &seal(kind, &more, &key()), &[key().public_key()]).unwrap_err();
        assert_eq!(error, EnvelopeError::TooLarge(kind));
    }
    // A length that is not there costs nothing.
    let claimed = [&[0xd2, 0x84, 0x5b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff][..], &[0; 64]].concat();
    assert_eq!(code(&claimed), "envelope_malformed");
    assert_eq!(code(&vec![0x81; 1 << 20]), "envelope_untagged");
}

#[test]
fn the_key_does_not_print() {
    assert_eq!(format!("{:?}", key()), "SigningKey(..)");
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let bytes = sealed();
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(open(Kind::Release, &other, &[key().public_key()]).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(open(Kind::Release, &bytes[..length], &[key().public_key()]).is_err(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn any_payload_comes_back(payload in prop::collection::vec(any::<u8>(), 0..3000), seed: [u8; 32]) {
        let key = SigningKey::from_seed(&seed);
        let opened = open(Kind::Receipt, &seal(Kind::Receipt, &payload, &key), &[key.public_key()]);
        prop_assert_eq!(opened, Ok((payload, key.public_key())));
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
        prop_assert!(open(Kind::Release, &bytes, &[key().public_key()]).is_err());
        let mut spliced = sealed();
        spliced.truncate(cut);
        spliced.extend(bytes);
        prop_assume!(spliced != sealed());
        prop_assert!(open(Kind::Release, &spliced, &[key().public_key()]).is_err());
    }
}
