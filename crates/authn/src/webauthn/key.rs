//! A credential's public key: COSE as authenticators give it, SEC1 as U2F and auditors do, SubjectPublicKeyInfo as
//! certificates do; and whether a signature is its. The arithmetic is `ring`'s.

use core::fmt;

use ring::{digest, signature};

use super::WebAuthnError;
use super::cbor::{self, Reader};
use super::der;
use crate::key::check_ed25519;

/// Longest COSE key: RSA of 8192 bits, and some.
const COSE_BYTES_MAX: usize = 2_048;
/// Permitted RSA moduli, in bytes: 2048 to 8192 bits.
const RSA_MODULUS_BYTES: core::ops::RangeInclusive<usize> = 256..=1_024;

/// What a credential signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// Every algorithm, the one to prefer first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// The stable name: `es256`, `eddsa`, `rs256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "es256",
            Self::EdDsa => "eddsa",
            Self::Rs256 => "rs256",
        }
    }

    /// Its number in the COSE registry.
    pub const fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }

    /// The algorithm of a COSE number.
    pub fn from_cose(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.cose() == number)
    }
}

/// A public key, ready to verify with.
///
/// That the bytes are a point of the curve is asked when a signature is verified: one that is not verifies nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// An uncompressed point: 4, x, y.
    Es256([u8; 65]),
    EdDsa([u8; 32]),
    /// Modulus and exponent without leading zeros.
    Rs256 {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
    },
}

impl PublicKey {
    /// From a `COSE_Key` as WebAuthn section 6.5.1 wants it: canonical, with exactly the members of its kind.
    pub fn from_cose(bytes: &[u8]) -> Result<Self, WebAuthnError> {
        if bytes.len() > COSE_BYTES_MAX {
            return Err(WebAuthnError::KeyMalformed);
        }
        let reader = cbor::only(bytes)?;
        let algorithm = cose_algorithm(reader)?;
        let key = match algorithm {
            Algorithm::Es256 => cose_es256(reader).map(Kind::Es256),
            Algorithm::EdDsa => cose_eddsa(reader).map(Kind::EdDsa),
            Algorithm::Rs256 => cose_rs256(reader),
        };
        key.ok_or(WebAuthnError::KeyMalformed)?.checked()
    }

    /// From an uncompressed point of P-256 (SEC1: 65 bytes that begin with 4), as U2F gives it.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, WebAuthnError> {
        match bytes.first_chunk::<65>() {
            Some(point @ [4, ..]) if bytes.len() == point.len() => Ok(Self(Kind::Es256(*point))),
            _ => Err(WebAuthnError::KeyMalformed),
        }
    }

    /// From a SubjectPublicKeyInfo in DER.
    pub fn from_spki(der: &[u8]) -> Result<Self, WebAuthnError> {
        let (algorithm, bits) = der::spki(der).ok_or(WebAuthnError::KeyMalformed)?;
        match algorithm {
            der::P256_ALGORITHM => Self::from_sec1(bits),
            der::ED25519_ALGORITHM => {
                Kind::EdDsa(bits.try_into().map_err(|_| WebAuthnError::KeyMalformed)?).checked()
            }
            der::RSA_ALGORITHM => {
                let (modulus, exponent) = der::rsa_key(bits).ok_or(WebAuthnError::KeyMalformed)?;
                Kind::Rs256 { modulus: modulus.into(), exponent: exponent.into() }.checked()
            }
            _ => Err(WebAuthnError::KeyAlgorithm),
        }
    }

    /// The key as a canonical `COSE_Key`: [`from_cose`](Self::from_cose) takes it back, and reads nothing else as it.
    pub fn to_cose(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        match &self.0 {
            Kind::Es256([_, point @ ..]) => {
                let (x, y) = point.split_at(32);
                out.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]);
                cbor::write_bytes(&mut out, x);
                out.push(0x22);
                cbor::write_bytes(&mut out, y);
            }
            Kind::EdDsa(key) => {
                out.extend([0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21]);
                cbor::write_bytes(&mut out, key);
            }
            Kind::Rs256 { modulus, exponent } => {
                out.extend([0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20]);
                cbor::write_bytes(&mut out, modulus);
                out.push(0x21);
                cbor::write_bytes(&mut out, exponent);
            }
        }
        out
    }

    /// What it signs with.
    pub const fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Kind::Es256(_) => Algorithm::Es256,
            Kind::EdDsa(_) => Algorithm::EdDsa,
            Kind::Rs256 { .. } => Algorithm::Rs256,
        }
    }

    /// The SHA-256 of [`to_cose`](Self::to_cose): by what the key is named.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.to_cose())
    }

    /// The uncompressed point, if the key is one.
    pub const fn to_sec1(&self) -> Option<&[u8; 65]> {
        match &self.0 {
            Kind::Es256(point) => Some(point),
            _ => None,
        }
    }

    /// Whether `signature` is this key's over `message`: ES256 in DER as WebAuthn section 6.5.5 wants it.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Es256(point) => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point)
                    .verify(message, signature)
            }
            Kind::EdDsa(key) => {
                signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
            }
            Kind::Rs256 { modulus, exponent } => {
                signature::RsaPublicKeyComponents { n: modulus.as_ref(), e: exponent.as_ref() }.verify(
                    &signature::RSA_PKCS1_2048_8192_SHA256,
                    message,
                    signature,
                )
            }
        }
        .is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.digest();
        write!(f, "PublicKey({}, {a:02x}{b:02x}{c:02x}{d:02x}..)", self.algorithm().as_str())
    }
}

impl Kind {
    /// Refuses keys that no signature should be trusted under.
    fn checked(self) -> Result<PublicKey, WebAuthnError> {
        match &self {
            Self::Es256(_) => {}
            Self::EdDsa(key) => check_ed25519(key).map_err(|_| WebAuthnError::KeyWeak)?,
            Self::Rs256 { modulus, exponent } => {
                if modulus.first() == Some(&0) || exponent.first() == Some(&0) {
                    return Err(WebAuthnError::KeyMalformed);
                }
                let exponent = exponent.iter().try_fold(0u64, |value, byte| {
                    value.checked_mul(256).and_then(|value| value.checked_add(u64::from(*byte)))
                });
                let usable = exponent.is_some_and(|e| (3..1 << 33).contains(&e) && e % 2 == 1)
                    && RSA_MODULUS_BYTES.contains(&modulus.len())
                    && (modulus.len() > *RSA_MODULUS_BYTES.start() || matches!(**modulus, [0x80..=0xff, ..]))
                    && modulus.last().is_some_and(|byte| byte % 2 == 1);
                if !usable {
                    return Err(WebAuthnError::KeyRsaSize);
                }
            }
        }
        Ok(PublicKey(self))
    }
}

/// Which of the supported algorithms a COSE key names.
fn cose_algorithm(mut reader: Reader<'_>) -> Result<Algorithm, WebAuthnError> {
    let number = (|| {
        reader.map()?;
        let [kind, _, name, number] =
            [reader.integer()?, reader.integer()?, reader.integer()?, reader.integer()?];
        (kind == 1 && name == 3).then_some(number)
    })();
    Algorithm::from_cose(number.ok_or(WebAuthnError::KeyMalformed)?).ok_or(WebAuthnError::KeyAlgorithm)
}

/// `{1: kty, 3: alg, -1: crv, ...}` of this many members, up to the value of -1.
fn cose_prefix(reader: &mut Reader<'_>, members: u64, kind: i64, algorithm: Algorithm) -> Option<()> {
    let expected = [1, kind, 3, algorithm.cose(), -1];
    (reader.map()? == members).then_some(())?;
    expected.into_iter().try_for_each(|number| (reader.integer()? == number).then_some(()))
}

fn cose_es256(mut reader: Reader<'_>) -> Option<[u8; 65]> {
    cose_prefix(&mut reader, 5, 2, Algorithm::Es256)?;
    let curve = reader.integer()?;
    let x_name = reader.integer()?;
    let x: &[u8; 32] = reader.bytes()?.try_into().ok()?;
    let y_name = reader.integer()?;
    let y: &[u8; 32] = reader.bytes()?.try_into().ok()?;
    ((curve, x_name, y_name) == (1, -2, -3)).then_some(())?;
    let mut point = [4; 65];
    point.iter_mut().skip(1).zip(x.iter().chain(y)).for_each(|(to, from)| *to = *from);
    Some(point)
}

fn cose_eddsa(mut reader: Reader<'_>) -> Option<[u8; 32]> {
    cose_prefix(&mut reader, 4, 1, Algorithm::EdDsa)?;
    let curve = reader.integer()?;
    let x_name = reader.integer()?;
    ((curve, x_name) == (6, -2)).then_some(())?;
    reader.bytes()?.try_into().ok()
}

fn cose_rs256(mut reader: Reader<'_>) -> Option<Kind> {
    cose_prefix(&mut reader, 4, 3, Algorithm::Rs256)?;
    let modulus = reader.bytes()?.into();
    (reader.integer()? == -2).then_some(())?;
    Some(Kind::Rs256 { modulus, exponent: reader.bytes()?.into() })
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
