//! By what an operator is known, and what he signs with: an Ed25519 key, or a passkey (a WebAuthn credential).
//!
//! A kind is part of the value, of its spelling and of its bytes, so that a key of one kind is never one of the other.
//! Nothing is verified here: that is `holdfast-authn`'s.

use core::fmt;
use core::str::FromStr;

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::hex;

/// What the spelling of a passkey begins with.
const PASSKEY: &str = "passkey:";
/// The variant of a passkey in records. An Ed25519 key or signature is bare bytes there, as it was before there were
/// passkeys.
const PASSKEY_VARIANT: u8 = 1;

/// Longest public key of a passkey, as COSE: RSA of 8192 bits.
pub const PASSKEY_PUBLIC_KEY_BYTES_MAX: usize = 1_100;
/// Longest client data of an operator's assertion. Browsers write 100 to 300 bytes.
pub const PASSKEY_CLIENT_DATA_BYTES_MAX: usize = 1_024;
/// Longest authenticator data of an operator's assertion: 37 bytes, and extensions.
pub const PASSKEY_AUTHENTICATOR_DATA_BYTES_MAX: usize = 512;
/// Longest signature of an operator's passkey: RSA of 8192 bits.
pub const PASSKEY_SIGNATURE_BYTES_MAX: usize = 1_024;

/// An operator's public key, by which he is one and the same under whatever name.
///
/// Printed as texts and records spell it: 64 hexadecimal digits, behind `passkey:` for a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorPublicKey {
    /// An Ed25519 public key.
    Ed25519([u8; 32]),
    /// The SHA-256 of a passkey's public key, a COSE_Key in its one spelling. The key itself comes with each signature.
    Passkey([u8; 32]),
}

/// Not an operator's key in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operator's key is 64 hexadecimal digits in lower case, behind passkey: for a passkey")]
pub struct OperatorKeyError;

/// An operator's signature over the SHA-256 of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorProof {
    /// Ed25519.
    Ed25519([u8; 64]),
    /// An assertion, whose challenge is the digest.
    Passkey(Box<PasskeyAssertion>),
}

/// A passkey's assertion with the key that it is verified with: all that there is to verify.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PasskeyAssertion {
    /// The public key as COSE. It counts if its SHA-256 is the operator's.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub public_key: Vec<u8>,
    /// clientDataJSON, byte for byte.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub client_data_json: Vec<u8>,
    /// authenticatorData, byte for byte.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub authenticator_data: Vec<u8>,
    /// The signature in the encoding of the key's algorithm.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl OperatorPublicKey {
    /// The 32 bytes, which say nothing without the kind.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Ed25519(bytes) | Self::Passkey(bytes) => bytes,
        }
    }

    /// True of a passkey.
    #[must_use]
    pub const fn is_passkey(&self) -> bool {
        matches!(self, Self::Passkey(_))
    }
}

impl OperatorProof {
    /// True of a passkey's.
    #[must_use]
    pub const fn is_passkey(&self) -> bool {
        matches!(self, Self::Passkey(_))
    }
}

impl PasskeyAssertion {
    /// True if no part is empty or longer than such parts are.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        [
            (&self.public_key, PASSKEY_PUBLIC_KEY_BYTES_MAX),
            (&self.client_data_json, PASSKEY_CLIENT_DATA_BYTES_MAX),
            (&self.authenticator_data, PASSKEY_AUTHENTICATOR_DATA_BYTES_MAX),
            (&self.signature, PASSKEY_SIGNATURE_BYTES_MAX),
        ]
        .into_iter()
        .all(|(part, max)| (1..=max).contains(&part.len()))
    }
}

impl fmt::Display for OperatorPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => f.write_str(&hex::encode(key)),
            Self::Passkey(digest) => write!(f, "{PASSKEY}{}", hex::encode(digest)),
        }
    }
}

impl FromStr for OperatorPublicKey {
    type Err = OperatorKeyError;

    fn from_str(text: &str) -> Result<Self, OperatorKeyError> {
        let key = match text.strip_prefix(PASSKEY) {
            Some(digest) => hex::decode(digest).map(Self::Passkey),
            None => hex::decode(text).map(Self::Ed25519),
        };
        key.filter(|key| key.to_string() == text).ok_or(OperatorKeyError)
    }
}

impl<C> Encode<C> for OperatorPublicKey {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Ed25519(key) => e.bytes(key)?.ok(),
            Self::Passkey(digest) => e.array(2)?.u8(PASSKEY_VARIANT)?.bytes(digest)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for OperatorPublicKey {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if is_passkey(d)? {
            exactly(d.bytes()?).map(Self::Passkey)
        } else {
            exactly(d.bytes()?).map(Self::Ed25519)
        }
    }
}

impl<C> Encode<C> for OperatorProof {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, context: &mut C) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Ed25519(signature) => e.bytes(signature)?.ok(),
            Self::Passkey(assertion) => {
                e.array(2)?.u8(PASSKEY_VARIANT)?;
                assertion.encode(e, context)
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for OperatorProof {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, DecodeError> {
        if is_passkey(d)? {
            PasskeyAssertion::decode(d, context).map(|assertion| Self::Passkey(Box::new(assertion)))
        } else {
            exactly(d.bytes()?).map(Self::Ed25519)
        }
    }
}

/// Goes past the variant of a passkey, if one is next.
fn is_passkey(d: &mut Decoder<'_>) -> Result<bool, DecodeError> {
    if d.datatype()? != Type::Array {
        return Ok(false);
    }
    if d.array()? == Some(2) && d.u8()? == PASSKEY_VARIANT {
        Ok(true)
    } else {
        Err(DecodeError::message("no such kind of an operator's key"))
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::message("an operator's key or signature of another length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assertion() -> PasskeyAssertion {
        PasskeyAssertion {
            public_key: vec![1; 77],
            client_data_json: vec![2; 120],
            authenticator_data: vec![3; 37],
            signature: vec![4; 70],
        }
    }

    #[test]
    fn keys_of_both_kinds_have_one_spelling_each() {
        for (key, text) in [
            (OperatorPublicKey::Ed25519([0xab; 32]), "ab".repeat(32)),
            (OperatorPublicKey::Passkey([0xab; 32]), format!("passkey:{}", "ab".repeat(32))),
        ] {
            assert_eq!((key.to_string(), text.parse()), (text.clone(), Ok(key)));
            let another = [
                text.replace("ab", "AB"),
                format!("{text}a"),
                format!(" {text}"),
                format!("passkey:{text}x"),
            ];
            for other in another {
                assert_eq!(other.parse::<OperatorPublicKey>(), Err(OperatorKeyError), "{other}");
            }
        }
        assert_ne!(OperatorPublicKey::Ed25519([7; 32]), OperatorPublicKey::Passkey([7; 32]));
    }

    #[test]
    fn ed25519_stays_bare_bytes_in_records_and_a_passkey_is_none() {
        let key = minicbor::to_vec(OperatorPublicKey::Ed25519([7; 32])).unwrap();
        assert_eq!(key, [&[0x58, 32][..], &[7; 32]].concat());
        let proof = minicbor::to_vec(OperatorProof::Ed25519([9; 64])).unwrap();
        assert_eq!(proof, [&[0x58, 64][..], &[9; 64]].concat());

        let key = OperatorPublicKey::Passkey([7; 32]);
        let bytes = minicbor::to_vec(key).unwrap();
        assert_eq!(minicbor::decode::<OperatorPublicKey>(&bytes).unwrap(), key);
        let proof = OperatorProof::Passkey(Box::new(assertion()));
        let bytes = minicbor::to_vec(&proof).unwrap();
        assert_eq!(minicbor::decode::<OperatorProof>(&bytes).unwrap(), proof);
        for wrong in [&[0x58, 31][..], &[0x82, 2, 0x40], &[0x81, 1], &[0x83, 1, 0x40, 0x40], &[0xf6]] {
            let wrong = [wrong, &[0; 64]].concat();
            assert!(minicbor::decode::<OperatorPublicKey>(&wrong).is_err());
            assert!(minicbor::decode::<OperatorProof>(&wrong).is_err());
        }
    }

    #[test]
    fn assertions_have_limits() {
        assert!(assertion().is_within_limits());
        for spoil in [
            |a: &mut PasskeyAssertion| a.public_key = vec![0; PASSKEY_PUBLIC_KEY_BYTES_MAX + 1],
            |a: &mut PasskeyAssertion| a.client_data_json = vec![0; PASSKEY_CLIENT_DATA_BYTES_MAX + 1],
            |a: &mut PasskeyAssertion| {
                a.authenticator_data = vec![0; PASSKEY_AUTHENTICATOR_DATA_BYTES_MAX + 1]
            },
            |a: &mut PasskeyAssertion| a.signature = vec![0; PASSKEY_SIGNATURE_BYTES_MAX + 1],
            |a: &mut PasskeyAssertion| a.signature = vec![],
        ] {
            let mut spoiled = assertion();
            spoil(&mut spoiled);
            assert!(!spoiled.is_within_limits());
        }
    }
}
