//! The key that signs releases: a seed in a file of the data directory, or a key in a token.

use holdfast_authn::release::{self, Kind, SigningKey};

use super::token::{Pkcs11Uri, TokenError, TokenSigner, URI_BYTES_MAX};

/// Why a release key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseKeyError {
    /// Neither form.
    #[error("neither a key of 32 bytes nor a reference that starts with pkcs11:")]
    Malformed,
    /// The token's key cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// The key that signs releases. It never prints.
#[derive(Debug)]
pub enum ReleaseKey {
    /// Its seed is in this process's memory.
    Seed(SigningKey),
    /// It stays in a token.
    Token(TokenSigner),
}

impl ReleaseKey {
    /// The longest content of the file.
    pub const FILE_BYTES_MAX: usize = URI_BYTES_MAX + 1;

    /// From what the file says: 32 bytes of seed, or a `pkcs11:` reference on one line.
    ///
    /// # Errors
    /// [`ReleaseKeyError`].
    pub fn read(content: &[u8]) -> Result<Self, ReleaseKeyError> {
        if let Ok(seed) = content.try_into() {
            return Ok(Self::Seed(SigningKey::from_seed(seed)));
        }
        let text = std::str::from_utf8(content).map_err(|_| ReleaseKeyError::Malformed)?.trim_end();
        if !Pkcs11Uri::is_one(text) {
            return Err(ReleaseKeyError::Malformed);
        }
        Ok(Self::Token(TokenSigner::open(&Pkcs11Uri::parse(text)?)?))
    }

    /// The public half.
    pub const fn public_key(&self) -> [u8; 32] {
        match self {
            Self::Seed(key) => key.public_key(),
            Self::Token(key) => key.public_key(),
        }
    }

    /// Signs a release. A token blocks while it does.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn seal(&self, kind: Kind, payload: &[u8]) -> Result<Vec<u8>, TokenError> {
        match self {
            Self::Seed(key) => Ok(release::seal(kind, payload, key)),
            Self::Token(key) => {
                release::seal_with(kind, payload, &key.public_key(), |message| key.sign(message))
            }
        }
    }
}
