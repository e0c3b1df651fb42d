//! A browser and a security key in software: keys of every algorithm, and what they sign, to be spoiled at will.

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::{
    Accepted, Algorithm, Assertion, PublicKey, Registered, Registration, RelyingParty, WebAuthnError,
    verify_assertion, verify_registration,
};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};

pub(crate) const RP_ID: &str = "approve.harbor.example";
pub(crate) const ORIGIN: &str = "https://approve.harbor.example";
pub(crate) const APP_ID: &str = "https://harbor.example/app-id.json";
pub(crate) const CHALLENGE: [u8; 32] = *b"the SHA-256 of a withdrawal text";

pub(crate) const UP: u8 = 0x01;
pub(crate) const UV: u8 = 0x04;
pub(crate) const BE: u8 = 0x08;
pub(crate) const BS: u8 = 0x10;
pub(crate) const AT: u8 = 0x40;
pub(crate) const ED: u8 = 0x80;

pub(crate) fn party() -> RelyingParty {
    RelyingParty { rp_id: RP_ID.into(), origins: vec![ORIGIN.into()], app_id: None }
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// A private key.
pub(crate) enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Key {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::Es256 => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
                Self::Es256(pair.unwrap())
            }
            Algorithm::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Self::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
            // Made for this file and used nowhere else: ring makes no RSA keys.
            Algorithm::Rs256 => {
                Self::Rs256(RsaKeyPair::from_pkcs8(include_bytes!("throwaway-rsa.der")).unwrap())
            }
        }
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The public half as ring gives it: a point, 32 bytes, or PKCS#1.
    pub(crate) fn public(&self) -> &[u8] {
        match self {
            Self::Es256(pair) => pair.public_key().as_ref(),
            Self::EdDsa(pair) => pair.public_key().as_ref(),
            Self::Rs256(pair) => pair.public_key().as_ref(),
        }
    }

    pub(crate) fn cose(&self) -> Vec<u8> {
        match self {
            Self::Es256(_) => {
                let (x, y) = self.public()[1..].split_at(32);
                cbor_map(&[
                    (cbor_int(1), cbor_int(2)),
                    (cbor_int(3), cbor_int(-7)),
                    (cbor_int(-1), cbor_int(1)),
                    (cbor_int(-2), cbor_bytes(x)),
                    (cbor_int(-3), cbor_bytes(y)),
                ])
            }
            Self::EdDsa(_) => cbor_map(&[
                (cbor_int(1), cbor_int(1)),
                (cbor_int(3), cbor_int(-8)),
                (cbor_int(-1), cbor_int(6)),
                (cbor_int(-2), cbor_bytes(self.public())),
            ]),
            Self::Rs256(pair) => {
                let parts = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                cbor_rsa(&parts.n, &parts.e)
            }
        }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey::from_cose(&self.cose()).unwrap()
    }
}

pub(crate) fn cbor_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    cbor_map(&[
        (cbor_int(1), cbor_int(3)),
        (cbor_int(3), cbor_int(-257)),
        (cbor_int(-1), cbor_bytes(modulus)),
        (cbor_int(-2), cbor_bytes(exponent)),
    ])
}

fn cbor_head(kind: u8, number: u64) -> Vec<u8> {
    match number {
        0..=23 => vec![kind << 5 | number as u8],
        24..=0xff => vec![kind << 5 | 24, number as u8],
        0x100..=0xffff => [&[kind << 5 | 25][..], &(number as u16).to_be_bytes()].concat(),
        _ => unreachable!("nothing is as long"),
    }
}

pub(crate) fn cbor_int(number: i64) -> Vec<u8> {
    if number < 0 { cbor_head(1, (-1 - number) as u64) } else { cbor_head(0, number as u64) }
}

pub(crate) fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    [cbor_head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

pub(crate) fn cbor_text(text: &str) -> Vec<u8> {
    [cbor_head(3, text.len() as u64), text.into()].concat()
}

pub(crate) fn cbor_array(items: &[Vec<u8>]) -> Vec<u8> {
    [cbor_head(4, items.len() as u64), items.concat()].concat()
}

/// In the order given.
pub(crate) fn cbor_map(members: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let members: Vec<u8> =
        members.iter().flat_map(|(key, value)| [key.clone(), value.clone()].concat()).collect();
    [cbor_head(5, count(&members)), members].concat()
}

/// How many pairs an encoded list of pairs has.
fn count(members: &[u8]) -> u64 {
    let mut decoder = minicbor::Decoder::new(members);
    let mut items = 0;
    while decoder.position() < members.len() {
        decoder.skip().unwrap();
        items += 1;
    }
    items / 2
}

/// What the browser writes; `more` follows the members that are always there.
pub(crate) fn client_data(kind: &str, challenge: &[u8], origin: &str, more: &str) -> Vec<u8> {
    let challenge = to_base64url(challenge);
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"{more}}}"#).into_bytes()
}

pub(crate) fn authenticator_data(rp_id: &str, flags: u8, counter: u32, more: &[u8]) -> Vec<u8> {
    [&sha256(rp_id.as_bytes())[..], &[flags], &counter.to_be_bytes(), more].concat()
}

pub(crate) fn attested(aaguid: [u8; 16], credential_id: &[u8], cose: &[u8]) -> Vec<u8> {
    let length = u16::try_from(credential_id.len()).unwrap().to_be_bytes();
    [&aaguid[..], &length, credential_id, cose].concat()
}

pub(crate) fn attestation_object(format: &str, statement: &[u8], authenticator_data: &[u8]) -> Vec<u8> {
    cbor_map(&[
        (cbor_text("fmt"), cbor_text(format)),
        (cbor_text("attStmt"), statement.to_vec()),
        (cbor_text("authData"), cbor_bytes(authenticator_data)),
    ])
}

/// An assertion in the making.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) client_data: Vec<u8>,
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Signed {
    /// Signed by the key, whatever it says.
    pub(crate) fn by(key: &Key, client_data: Vec<u8>, authenticator_data: Vec<u8>) -> Self {
        let message = [&authenticator_data[..], &sha256(&client_data)].concat();
        Self { client_data, authenticator_data, signature: key.sign(&message) }
    }

    pub(crate) fn good(key: &Key) -> Self {
        let client_data = client_data("webauthn.get", &CHALLENGE, ORIGIN, r#","crossOrigin":false"#);
        Self::by(key, client_data, authenticator_data(RP_ID, UP | UV, 7, &[]))
    }

    pub(crate) fn verify(&self, key: &Key) -> Result<Accepted, WebAuthnError> {
        self.verify_for(&party(), key)
    }

    pub(crate) fn verify_for(&self, party: &RelyingParty, key: &Key) -> Result<Accepted, WebAuthnError> {
        let assertion = Assertion {
            client_data_json: &self.client_data,
            authenticator_data: &self.authenticator_data,
            signature: &self.signature,
        };
        verify_assertion(party, &key.public_key(), &CHALLENGE, &assertion)
    }
}

/// A registration in the making.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) client_data: Vec<u8>,
    pub(crate) attestation_object: Vec<u8>,
}

pub(crate) const CREDENTIAL_ID: [u8; 20] = *b"a credential's name.";
pub(crate) const AAGUID: [u8; 16] = *b"a model of a key";

impl Made {
    pub(crate) fn client_data() -> Vec<u8> {
        client_data("webauthn.create", &CHALLENGE, ORIGIN, r#","crossOrigin":false"#)
    }

    pub(crate) fn authenticator_data(key: &Key) -> Vec<u8> {
        authenticator_data(RP_ID, UP | UV | AT, 3, &attested(AAGUID, &CREDENTIAL_ID, &key.cose()))
    }

    pub(crate) fn none(key: &Key) -> Self {
        Self::none_with(&Self::authenticator_data(key))
    }

    pub(crate) fn none_with(authenticator_data: &[u8]) -> Self {
        let attestation_object = attestation_object("none", &[0xa0], authenticator_data);
        Self { client_data: Self::client_data(), attestation_object }
    }

    /// By the credential's own key.
    pub(crate) fn packed_self(key: &Key) -> Self {
        let data = Self::authenticator_data(key);
        let signature = key.sign(&[&data[..], &sha256(&Self::client_data())].concat());
        let statement = cbor_map(&[
            (cbor_text("alg"), cbor_int(key.algorithm().cose())),
            (cbor_text("sig"), cbor_bytes(&signature)),
        ]);
        let attestation_object = attestation_object("packed", &statement, &data);
        Self { client_data: Self::client_data(), attestation_object }
    }

    /// By the key of a certificate.
    pub(crate) fn packed(key: &Key, by: &Key, chain: &[Vec<u8>]) -> Self {
        let data = Self::authenticator_data(key);
        let signature = by.sign(&[&data[..], &sha256(&Self::client_data())].concat());
        let certificates: Vec<Vec<u8>> = chain.iter().map(|certificate| cbor_bytes(certificate)).collect();
        let statement = cbor_map(&[
            (cbor_text("alg"), cbor_int(by.algorithm().cose())),
            (cbor_text("sig"), cbor_bytes(&signature)),
            (cbor_text("x5c"), cbor_array(&certificates)),
        ]);
        let attestation_object = attestation_object("packed", &statement, &data);
        Self { client_data: Self::client_data(), attestation_object }
    }

    /// As U2F signs registrations.
    pub(crate) fn fido_u2f(key: &Key, by: &Key, chain: &[Vec<u8>]) -> Self {
        let data = authenticator_data(RP_ID, UP | AT, 0, &attested([0; 16], &CREDENTIAL_ID, &key.cose()));
        let client_data_hash = sha256(&Self::client_data());
        let message =
            [&[0][..], &sha256(RP_ID.as_bytes()), &client_data_hash, &CREDENTIAL_ID, key.public()].concat();
        let certificates: Vec<Vec<u8>> = chain.iter().map(|certificate| cbor_bytes(certificate)).collect();
        let statement = cbor_map(&[
            (cbor_text("sig"), cbor_bytes(&by.sign(&message))),
            (cbor_text("x5c"), cbor_array(&certificates)),
        ]);
        let attestation_object = attestation_object("fido-u2f", &statement, &data);
        Self { client_data: Self::client_data(), attestation_object }
    }

    pub(crate) fn verify(&self) -> Result<Registered, WebAuthnError> {
        let registration = Registration {
            client_data_json: &self.client_data,
            attestation_object: &self.attestation_object,
        };
        verify_registration(&party(), &CHALLENGE, &registration)
    }
}
