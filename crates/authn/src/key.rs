//! Key material that signatures are checked against: HMAC secrets, Ed25519 and RSA public keys, and their PEM form.
//!
//! Private keys have no place here: a PEM that holds one is refused, and says which half to give instead.

use core::fmt;

use ring::{hmac, signature};
use zeroize::Zeroizing;

use crate::dialect::Dialect;
use crate::encoding;

/// Shortest and longest HMAC secret, in bytes.
const HMAC_SECRET_BYTES: core::ops::RangeInclusive<usize> = 16..=256;
/// Shortest and longest passphrase, in bytes.
const PASSPHRASE_BYTES: core::ops::RangeInclusive<usize> = 1..=128;
/// Permitted RSA moduli, in bytes: 2048 to 4096 bits.
const RSA_MODULUS_BYTES: core::ops::RangeInclusive<usize> = 256..=512;
/// No PEM of a permitted key is longer.
const PEM_BYTES_MAX: usize = 4096;

/// Why key material is refused. Each has a stable [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a PEM of a public key.
    #[error("give the public key as PEM: -----BEGIN PUBLIC KEY----- (SubjectPublicKeyInfo)")]
    Pem,
    /// The private half.
    #[error("this is a private key: keep it, and give its public half (openssl pkey -in KEY -pubout)")]
    PrivateKey,
    /// A key of another algorithm, or not in DER.
    #[error("give an Ed25519 public key or an RSA public key of 2048 to 4096 bits")]
    Algorithm,
    /// An RSA key that is too small, too large, or has an unusual exponent.
    #[error("RSA keys must have 2048 to 4096 bits and an odd exponent from 3 to 2^33 - 1")]
    RsaSize,
    /// An Ed25519 key under which some signature fits every message, or that has a second spelling.
    #[error("this is not a usable Ed25519 public key: make a new one")]
    WeakEd25519,
    /// An HMAC secret too short or too long.
    #[error("an HMAC secret has 16 to 256 bytes")]
    HmacLength,
    /// A secret that its dialect spells in base64 is not in base64.
    #[error("secrets of this dialect are in base64, with its padding")]
    HmacBase64,
    /// A passphrase too short or too long.
    #[error("a passphrase has 1 to 128 bytes")]
    PassphraseLength,
    /// The dialect wants a passphrase and there is none, or the other way round.
    #[error("okx and kucoin want a passphrase, coinbase takes one, the other dialects have none")]
    PassphraseUnexpected,
}

impl KeyError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Pem => "key_pem_invalid",
            Self::PrivateKey => "key_is_private",
            Self::Algorithm => "key_algorithm_unsupported",
            Self::RsaSize => "key_rsa_size",
            Self::WeakEd25519 => "key_ed25519_weak",
            Self::HmacLength => "key_hmac_length",
            Self::HmacBase64 => "key_hmac_base64",
            Self::PassphraseLength => "key_passphrase_length",
            Self::PassphraseUnexpected => "key_passphrase_unexpected",
        }
    }
}

/// An HMAC secret, ready to verify with, and the passphrase that some dialects want beside it. It never prints, and the
/// bytes of neither are kept.
#[derive(Clone)]
pub struct HmacSecret {
    key: hmac::Key,
    /// A tag over the tag of the passphrase: so neither has to be kept, and comparing is verifying.
    passphrase: Option<hmac::Tag>,
}

impl HmacSecret {
    /// For SHA-256, from the secret's bytes (for Binance: the ASCII of the secret key as shown to the customer).
    pub fn new(secret: &[u8]) -> Result<Self, KeyError> {
        Self::with(hmac::HMAC_SHA256, secret)
    }

    /// For SHA-512.
    pub fn sha512(secret: &[u8]) -> Result<Self, KeyError> {
        Self::with(hmac::HMAC_SHA512, secret)
    }

    fn with(algorithm: hmac::Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        if !HMAC_SECRET_BYTES.contains(&secret.len()) {
            return Err(KeyError::HmacLength);
        }
        Ok(Self { key: hmac::Key::new(algorithm, secret), passphrase: None })
    }

    /// The same with a passphrase, which requests then must show.
    pub fn with_passphrase(self, passphrase: &str) -> Result<Self, KeyError> {
        if !PASSPHRASE_BYTES.contains(&passphrase.len()) {
            return Err(KeyError::PassphraseLength);
        }
        let tag = hmac::sign(&self.key, passphrase.as_bytes());
        Ok(Self { passphrase: Some(hmac::sign(&self.key, tag.as_ref())), key: self.key })
    }

    /// Whether requests must show a passphrase.
    pub(crate) const fn wants_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// In constant time.
    pub(crate) fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }

    /// Whether the key has this passphrase. In constant time.
    pub(crate) fn has_passphrase(&self, said: &str) -> bool {
        self.has_passphrase_tag(hmac::sign(&self.key, said.as_bytes()).as_ref())
    }

    /// Whether the key has the passphrase of which this is the tag under the same secret. In constant time.
    pub(crate) fn has_passphrase_tag(&self, tag: &[u8]) -> bool {
        self.passphrase.is_some_and(|known| hmac::verify(&self.key, tag, known.as_ref()).is_ok())
    }
}

impl fmt::Debug for HmacSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacSecret(..)")
    }
}

/// An RSA public key of 2048 to 4096 bits, as PKCS#1 DER (`RSAPublicKey`).
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey(Box<[u8]>);

impl RsaPublicKey {
    /// From PKCS#1 DER, checked: minimal DER, nothing behind it, size and exponent in range.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let sequence = der_only(der, DER_SEQUENCE).ok_or(KeyError::Algorithm)?;
        let (modulus, rest) = der_unsigned(sequence).ok_or(KeyError::Algorithm)?;
        let (exponent, rest) = der_unsigned(rest).ok_or(KeyError::Algorithm)?;
        if !rest.is_empty() {
            return Err(KeyError::Algorithm);
        }
        let exponent = exponent.iter().try_fold(0u64, |value, byte| {
            value.checked_mul(256).and_then(|value| value.checked_add(u64::from(*byte)))
        });
        let usable_exponent = exponent.is_some_and(|e| (3..1 << 33).contains(&e) && e % 2 == 1);
        let top_bit_set = modulus.first().is_some_and(|byte| *byte >= 0x80);
        if !RSA_MODULUS_BYTES.contains(&modulus.len()) || !top_bit_set || !usable_exponent {
            return Err(KeyError::RsaSize);
        }
        Ok(Self(der.into()))
    }

    /// The key as PKCS#1 DER; [`from_pkcs1_der`](Self::from_pkcs1_der) takes it back.
    pub fn as_pkcs1_der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bytes)", self.0.len())
    }
}

/// What a signature algorithm is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// HMAC with SHA-256, a shared secret.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519.
    Ed25519,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaPkcs1Sha256,
}

impl KeyKind {
    /// The stable name: `hmac_sha256`, `hmac_sha512`, `ed25519`, `rsa_pkcs1_sha256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac_sha256",
            Self::HmacSha512 => "hmac_sha512",
            Self::Ed25519 => "ed25519",
            Self::RsaPkcs1Sha256 => "rsa_pkcs1_sha256",
        }
    }
}

/// What a signature is checked against.
///
/// A key is of one algorithm, not of one dialect: each dialect takes the algorithms that it knows and refuses the rest.
/// No two dialects have a signed payload in common (`docs/dialects.md` says why), so a key under two dialects lends no
/// signature of one to the other; whoever stores keys should bind each to one dialect all the same.
#[derive(Clone, Debug)]
pub enum KeyMaterial {
    /// A shared secret.
    HmacSha256(HmacSecret),
    /// A shared secret, for SHA-512.
    HmacSha512(HmacSecret),
    /// A public key, as [`KeyMaterial::ed25519`] or [`KeyMaterial::from_public_key_pem`] checked it.
    Ed25519([u8; 32]),
    /// A public key.
    Rsa(RsaPublicKey),
}

/// DER of an Ed25519 SubjectPublicKeyInfo up to its 32 key bytes (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER of the AlgorithmIdentifier of an RSA SubjectPublicKeyInfo: rsaEncryption, NULL (RFC 3279).
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

impl KeyMaterial {
    /// An HMAC-SHA256 secret.
    pub fn hmac_sha256(secret: &[u8]) -> Result<Self, KeyError> {
        HmacSecret::new(secret).map(Self::HmacSha256)
    }

    /// The shared secret of a key of `dialect`, in the spelling in which its customer has it (base64 for kraken, text
    /// otherwise), with the passphrase that the dialect wants beside it.
    pub fn shared(dialect: Dialect, secret: &str, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let secret = match dialect {
            Dialect::Kraken => {
                let bytes = Zeroizing::new(encoding::base64(secret.as_bytes()).ok_or(KeyError::HmacBase64)?);
                return match passphrase {
                    None => HmacSecret::sha512(&bytes).map(Self::HmacSha512),
                    Some(_) => Err(KeyError::PassphraseUnexpected),
                };
            }
            _ => HmacSecret::new(secret.as_bytes())?,
        };
        match (dialect, passphrase) {
            (Dialect::Okx | Dialect::Kucoin | Dialect::Coinbase, Some(passphrase)) => {
                secret.with_passphrase(passphrase).map(Self::HmacSha256)
            }
            (Dialect::Okx | Dialect::Kucoin, None) | (_, Some(_)) => Err(KeyError::PassphraseUnexpected),
            (_, None) => Ok(Self::HmacSha256(secret)),
        }
    }

    /// An Ed25519 public key, refused if it is weak.
    pub fn ed25519(key: [u8; 32]) -> Result<Self, KeyError> {
        check_ed25519(&key).map(|()| Self::Ed25519(key))
    }

    /// A public key from PEM: Ed25519, or RSA of 2048 to 4096 bits, as SubjectPublicKeyInfo.
    pub fn from_public_key_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_public_key_der(&pem_body(pem)?)
    }

    /// The same from the DER that such a PEM holds.
    pub fn from_public_key_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(key) = der.strip_prefix(&ED25519_SPKI) {
            return Self::ed25519(key.try_into().map_err(|_| KeyError::Algorithm)?);
        }
        let spki = der_only(der, DER_SEQUENCE).ok_or(KeyError::Algorithm)?;
        let rest = spki.strip_prefix(&RSA_ALGORITHM).ok_or(KeyError::Algorithm)?;
        match der_only(rest, DER_BIT_STRING).ok_or(KeyError::Algorithm)? {
            [0, pkcs1 @ ..] => RsaPublicKey::from_pkcs1_der(pkcs1).map(Self::Rsa),
            _ => Err(KeyError::Algorithm),
        }
    }

    /// Which algorithm this key is of.
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::HmacSha256(_) => KeyKind::HmacSha256,
            Self::HmacSha512(_) => KeyKind::HmacSha512,
            Self::Ed25519(_) => KeyKind::Ed25519,
            Self::Rsa(_) => KeyKind::RsaPkcs1Sha256,
        }
    }
}

/// Whether `signature` is `key`'s over `message`: the equation checked is `ring`'s (RFC 8032, without cofactor).
pub(crate) fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    check_ed25519(key).is_ok()
        && signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
}

/// Whether `signature` is `key`'s over `message`, by PKCS#1 v1.5 with SHA-256.
pub(crate) fn verify_rsa(key: &RsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key.as_pkcs1_der())
        .verify(message, signature)
        .is_ok()
}

/// The y coordinates, little-endian, of the eight points of small order: 0, 1, -1 and the two of order eight.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = FIELD_PRIME;
        minus_one[0] -= 1;
        minus_one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// 2^255 - 19, little-endian.
const FIELD_PRIME: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// Refuses what `ring` would accept although nobody generates it: points of small order, under which one signature
/// fits many messages, and y coordinates that are not reduced, which give one point two spellings. A key that is no
/// point of the curve passes here and then verifies nothing.
pub(crate) fn check_ed25519(key: &[u8; 32]) -> Result<(), KeyError> {
    let mut y = *key;
    let [.., last] = &mut y;
    *last &= 0x7f;
    let reduced = y.iter().rev().lt(FIELD_PRIME.iter().rev());
    if !reduced || SMALL_ORDER_Y.contains(&y) { Err(KeyError::WeakEd25519) } else { Ok(()) }
}

/// The DER inside `-----BEGIN PUBLIC KEY-----`: one block, nothing around it but white space.
fn pem_body(pem: &str) -> Result<Vec<u8>, KeyError> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(KeyError::Pem);
    }
    if pem.contains("PRIVATE KEY-----") {
        return Err(KeyError::PrivateKey);
    }
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PUBLIC KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
        .ok_or(KeyError::Pem)?;
    let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    encoding::base64(&digits).ok_or(KeyError::Pem)
}

const DER_INTEGER: u8 = 0x02;
const DER_BIT_STRING: u8 = 0x03;
const DER_SEQUENCE: u8 = 0x30;

/// The contents of a DER element of this tag, and what follows it. Lengths must be minimal.
fn der(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match input {
        [t, len @ 0..=0x7f, rest @ ..] if *t == tag => (usize::from(*len), rest),
        [t, 0x81, len @ 0x80..=0xff, rest @ ..] if *t == tag => (usize::from(*len), rest),
        [t, 0x82, high @ 1..=0xff, low, rest @ ..] if *t == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// The contents of a DER element that nothing follows.
fn der_only(input: &[u8], tag: u8) -> Option<&[u8]> {
    match der(input, tag)? {
        (contents, []) => Some(contents),
        _ => None,
    }
}

/// The magnitude of a positive DER integer in its only spelling, and what follows it.
fn der_unsigned(input: &[u8]) -> Option<(&[u8], &[u8])> {
    match der(input, DER_INTEGER)? {
        ([0, magnitude @ ..], rest) if matches!(magnitude, [0x80..=0xff, ..]) => Some((magnitude, rest)),
        (magnitude @ [1..=0x7f, ..], rest) => Some((magnitude, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ed25519_agrees_with_rfc_8032() {
        for (key, message, signature) in [
            (
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &b""[..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                 d25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
                 387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                &[0xaf, 0x82],
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
                 4a7c15e9716ed28dc027beceea1ec40a",
            ),
        ] {
            let key = encoding::hex(key.as_bytes()).unwrap();
            let signature: [u8; 64] = encoding::hex(signature.as_bytes()).unwrap();
            assert!(verify_ed25519(&key, message, &signature));
            assert!(!verify_ed25519(&key, b"another", &signature));
        }
    }
}
