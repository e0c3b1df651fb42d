//! Operators' signatures: Ed25519 over the SHA-256 of a signed text, and how an operator's public key is spelled.
//!
//! The message that is signed is exactly the 32 bytes of the digest, nothing before or behind them. Which acts need
//! how many operators is the core's table, not this module's.

use crate::encoding;
use crate::key::{KeyError, check_ed25519, verify_ed25519};

/// Why an operator's key or signature is refused. Each has a stable [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Not 32 bytes in base64url.
    #[error("write the public key as 43 characters of base64url without padding (32 bytes)")]
    KeyFormat,
    /// A key that is no good.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not 64 bytes in base64url.
    #[error("write the signature as 86 characters of base64url without padding (64 bytes)")]
    SignatureFormat,
    /// The signature does not belong to this text and key.
    #[error("the signature is not this operator's over the SHA-256 of this text")]
    SignatureInvalid,
}

impl OperatorError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyFormat => "operator_key_malformed",
            Self::Key(error) => error.code(),
            Self::SignatureFormat => "operator_signature_malformed",
            Self::SignatureInvalid => "operator_signature_invalid",
        }
    }
}

/// Verifies an operator's Ed25519 signature over `digest`, the SHA-256 of the text.
///
/// Refuses public keys of small order and those not in canonical form (`ring` alone accepts both), and, through
/// `ring`, signatures whose second half is not reduced: a signature cannot be turned into another one.
pub fn verify_operator(
    public_key: &[u8; 32],
    digest: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), OperatorError> {
    check_ed25519(public_key)?;
    if verify_ed25519(public_key, digest, signature) { Ok(()) } else { Err(OperatorError::SignatureInvalid) }
}

/// Reads an operator's public key: base64url without padding.
pub fn parse_operator_key(text: &str) -> Result<[u8; 32], OperatorError> {
    let key = encoding::base64url(text.as_bytes())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(OperatorError::KeyFormat)?;
    check_ed25519(&key)?;
    Ok(key)
}

/// Spells an operator's public key as [`parse_operator_key`] reads it.
pub fn print_operator_key(key: &[u8; 32]) -> String {
    encoding::to_base64url(key)
}

/// Reads an operator's signature: base64url without padding.
pub fn parse_operator_signature(text: &str) -> Result<[u8; 64], OperatorError> {
    encoding::base64url(text.as_bytes())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(OperatorError::SignatureFormat)
}
