//! Operators' signatures over the SHA-256 of a signed text, by Ed25519 keys and by passkeys, and how keys and signatures
//! are spelled.
//!
//! What an Ed25519 key signs is exactly the 32 bytes of the digest, nothing before or behind them; to a passkey they are
//! the challenge. Which acts need how many operators is the core's table, not this module's.

use std::collections::BTreeMap;

use holdfast_values::{Name, OperatorProof, OperatorPublicKey, PasskeyAssertion};

use crate::encoding;
use crate::key::{KeyError, check_ed25519, verify_ed25519};
use crate::webauthn::{Assertion, PublicKey, RelyingParty, WebAuthnError, flat_object, verify_assertion};

/// Why an operator's key or signature is refused. Each has a stable [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Not 32 bytes in base64url.
    #[error("write the public key as 43 characters of base64url without padding (32 bytes)")]
    KeyFormat,
    /// Neither an Ed25519 key nor a passkey.
    #[error(
        "write an Ed25519 key as 43 characters of base64url without padding, or a passkey as passkey: and 64 \
         hexadecimal digits in lower case"
    )]
    PublicKeyFormat,
    /// A key that is no good.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not 64 bytes in base64url.
    #[error("write the signature as 86 characters of base64url without padding (64 bytes)")]
    SignatureFormat,
    /// Not an assertion as the operators' page writes it, or one over its limits.
    #[error(
        "write the passkey's signature as the operators' page gives it: a JSON object of public_key, client_data_json, \
         authenticator_data and signature, each in base64url without padding"
    )]
    PasskeyFormat,
    /// An Ed25519 signature where the operator has a passkey, or the reverse.
    #[error("the operator's key is of the other kind: sign with the key that is enrolled")]
    Kind,
    /// An assertion by a key that is not the operator's.
    #[error(
        "the SHA-256 of this passkey's public key is not the one that is enrolled: use the operator's passkey"
    )]
    PasskeyDiffers,
    /// Nobody said on which page operators' passkeys sign.
    #[error("no relying party is configured for operators' passkeys")]
    PartyMissing,
    /// The passkey did not ask for its owner.
    #[error(
        "the passkey did not verify its owner (PIN, finger): operators' passkeys must, so sign again with one that does"
    )]
    UserNotVerified,
    /// What WebAuthn says of the assertion.
    #[error(transparent)]
    Passkey(#[from] WebAuthnError),
    /// The signature does not belong to this text and key.
    #[error("the signature is not this operator's over the SHA-256 of this text")]
    SignatureInvalid,
}

impl OperatorError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyFormat | Self::PublicKeyFormat => "operator_key_malformed",
            Self::Key(error) => error.code(),
            Self::SignatureFormat | Self::PasskeyFormat => "operator_signature_malformed",
            Self::Kind => "operator_signature_kind",
            Self::PasskeyDiffers => "operator_passkey_differs",
            Self::PartyMissing => "operator_party_missing",
            Self::UserNotVerified => "operator_user_not_verified",
            Self::Passkey(error) => error.code(),
            Self::SignatureInvalid => "operator_signature_invalid",
        }
    }
}

/// Operators' keys, and where their passkeys sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operators {
    /// Each one's key.
    pub keys: BTreeMap<Name, OperatorPublicKey>,
    /// The relying party of their passkeys; `None`: no passkey's signature is good.
    pub party: Option<RelyingParty>,
}

/// Verifies an operator's signature over `digest`, the SHA-256 of the text.
///
/// Of Ed25519, refuses public keys of small order and those not in canonical form (`ring` alone accepts both), and,
/// through `ring`, signatures whose second half is not reduced: a signature cannot be turned into another one. Of a
/// passkey, the public key must be the one whose digest is enrolled, and the owner must have been verified. Counters are
/// not looked at: a text is good once, whoever copied the key.
pub fn verify_operator(
    public_key: &OperatorPublicKey,
    party: Option<&RelyingParty>,
    digest: &[u8; 32],
    proof: &OperatorProof,
) -> Result<(), OperatorError> {
    match (public_key, proof) {
        (OperatorPublicKey::Ed25519(key), OperatorProof::Ed25519(signature)) => {
            check_ed25519(key)?;
            if verify_ed25519(key, digest, signature) { Ok(()) } else { Err(OperatorError::SignatureInvalid) }
        }
        (OperatorPublicKey::Passkey(enrolled), OperatorProof::Passkey(by)) => {
            verify_passkey(enrolled, party, digest, by)
        }
        _ => Err(OperatorError::Kind),
    }
}

fn verify_passkey(
    enrolled: &[u8; 32],
    party: Option<&RelyingParty>,
    digest: &[u8; 32],
    by: &PasskeyAssertion,
) -> Result<(), OperatorError> {
    let party = party.ok_or(OperatorError::PartyMissing)?;
    if !by.is_within_limits() {
        return Err(OperatorError::PasskeyFormat);
    }
    let key = PublicKey::from_cose(&by.public_key)?;
    if key.digest() != *enrolled {
        return Err(OperatorError::PasskeyDiffers);
    }
    let assertion = Assertion {
        client_data_json: &by.client_data_json,
        authenticator_data: &by.authenticator_data,
        signature: &by.signature,
    };
    let accepted = verify_assertion(party, &key, digest, &assertion)?;
    if accepted.user_verified { Ok(()) } else { Err(OperatorError::UserNotVerified) }
}

/// Reads an Ed25519 public key: base64url without padding.
pub fn parse_operator_key(text: &str) -> Result<[u8; 32], OperatorError> {
    let key = encoding::base64url(text.as_bytes())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(OperatorError::KeyFormat)?;
    check_ed25519(&key)?;
    Ok(key)
}

/// Spells an Ed25519 public key as [`parse_operator_key`] reads it.
pub fn print_operator_key(key: &[u8; 32]) -> String {
    encoding::to_base64url(key)
}

/// Reads an operator's public key of either kind: an Ed25519 key in base64url without padding, or `passkey:` and the
/// SHA-256 of a passkey's public key in 64 hexadecimal digits.
pub fn parse_operator_public_key(text: &str) -> Result<OperatorPublicKey, OperatorError> {
    match text.parse() {
        Ok(passkey @ OperatorPublicKey::Passkey(_)) => Ok(passkey),
        // The hexadecimal spelling of texts is no spelling here: 64 digits are read by nobody's eyes as the same key.
        _ => parse_operator_key(text).map(OperatorPublicKey::Ed25519).map_err(|error| match error {
            OperatorError::KeyFormat => OperatorError::PublicKeyFormat,
            error => error,
        }),
    }
}

/// Spells an operator's public key as [`parse_operator_public_key`] reads it.
pub fn print_operator_public_key(key: &OperatorPublicKey) -> String {
    match key {
        OperatorPublicKey::Ed25519(key) => print_operator_key(key),
        passkey @ OperatorPublicKey::Passkey(_) => passkey.to_string(),
    }
}

/// The operator's key that a passkey's public key (COSE, in its one spelling) makes.
pub fn passkey_of(cose: &[u8]) -> Result<OperatorPublicKey, OperatorError> {
    Ok(OperatorPublicKey::Passkey(PublicKey::from_cose(cose)?.digest()))
}

/// Reads an Ed25519 signature: base64url without padding.
pub fn parse_operator_signature(text: &str) -> Result<[u8; 64], OperatorError> {
    encoding::base64url(text.as_bytes())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(OperatorError::SignatureFormat)
}

/// Longest signature as text: a passkey's, all of whose parts are as long as may be.
pub const PROOF_TEXT_BYTES_MAX: usize = 8 << 10;

/// Reads an operator's signature of either kind: Ed25519 in base64url without padding, or the JSON object that the
/// operators' page gives, with nothing in it but the four parts of the assertion.
pub fn parse_operator_proof(text: &str) -> Result<OperatorProof, OperatorError> {
    let text = text.trim_ascii();
    if !text.starts_with('{') {
        return parse_operator_signature(text).map(OperatorProof::Ed25519);
    }
    let members = (text.len() <= PROOF_TEXT_BYTES_MAX).then(|| flat_object(text)).flatten();
    let mut members = members.ok_or(OperatorError::PasskeyFormat)?;
    let mut part = |name: &str| {
        let text = members.remove(name).ok_or(OperatorError::PasskeyFormat)?;
        encoding::base64url(text.as_bytes()).ok_or(OperatorError::PasskeyFormat)
    };
    let assertion = PasskeyAssertion {
        public_key: part("public_key")?,
        client_data_json: part("client_data_json")?,
        authenticator_data: part("authenticator_data")?,
        signature: part("signature")?,
    };
    if members.is_empty() && assertion.is_within_limits() {
        Ok(OperatorProof::Passkey(Box::new(assertion)))
    } else {
        Err(OperatorError::PasskeyFormat)
    }
}
