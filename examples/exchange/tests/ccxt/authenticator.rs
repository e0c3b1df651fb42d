//! A browser and a security key in software (ES256): the least that registers and approves.

use holdfast_authn::encoding::to_base64url;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) const RP_ID: &str = "approve.harbor.example";
pub(crate) const ORIGIN: &str = "https://approve.harbor.example";

/// User present and verified; attested data follows.
const UP_UV: u8 = 0x05;
const ATTESTED: u8 = 0x40;
const ID: &[u8] = b"the-key-of-a-market-maker";

pub(crate) struct Authenticator(EcdsaKeyPair);

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn client_data(kind: &str, challenge: &str) -> Vec<u8> {
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{ORIGIN}","crossOrigin":false}}"#)
        .into_bytes()
}

/// The head of a CBOR item of less than 64 KiB.
fn head(major: u8, length: usize) -> Vec<u8> {
    match u16::try_from(length).unwrap() {
        small @ 0..=23 => vec![major << 5 | u8::try_from(small).unwrap()],
        byte @ 24..=255 => vec![major << 5 | 24, u8::try_from(byte).unwrap()],
        two => [&[major << 5 | 25][..], &two.to_be_bytes()].concat(),
    }
}

fn text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.into()].concat()
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

impl Authenticator {
    pub(crate) fn new() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    fn data(flags: u8, more: &[u8]) -> Vec<u8> {
        // It counts nothing, as passkeys do not.
        [&sha256(RP_ID.as_bytes())[..], &[flags], &[0; 4], more].concat()
    }

    /// What `navigator.credentials.create()` gives for a challenge in base64url.
    pub(crate) fn register(&self, challenge: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21][..], &bytes(x), &[0x22], &bytes(y)].concat();
        let length = u16::try_from(ID.len()).unwrap().to_be_bytes();
        let attested = [&[0; 16][..], &length, ID, &cose].concat();
        let data = Self::data(UP_UV | ATTESTED, &attested);
        let object = [
            head(5, 3),
            [text("fmt"), text("none")].concat(),
            [text("attStmt"), head(5, 0)].concat(),
            [text("authData"), bytes(&data)].concat(),
        ];
        json!({
            "client_data_json": to_base64url(&client_data("webauthn.create", challenge)),
            "attestation_object": to_base64url(&object.concat()), "label": "the desk's key",
        })
    }

    /// The owner's word on a text: what `navigator.credentials.get()` gives over its SHA-256.
    pub(crate) fn approve(&self, approved: &str) -> Value {
        let challenge = to_base64url(&sha256(approved.as_bytes()));
        let client_data = client_data("webauthn.get", &challenge);
        let data = Self::data(UP_UV, &[]);
        let message = [&data[..], &sha256(&client_data)].concat();
        let signature = self.0.sign(&SystemRandom::new(), &message).unwrap();
        json!({
            "text": approved,
            "assertion": {
                "credential_id": to_base64url(ID), "client_data_json": to_base64url(&client_data),
                "authenticator_data": to_base64url(&data), "signature": to_base64url(signature.as_ref()),
            },
        })
    }
}
