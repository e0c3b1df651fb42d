//! Where a key-encryption key is: how that is written down, and how the key is had from there.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::token::Pkcs11Uri;
use super::{Kek, VaultError};

/// Where the key-encryption key is. Written as `file:PATH`, `env:NAME` or `pkcs11:...`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum KekSource {
    /// A file of mode 0600 with 64 hexadecimal digits.
    File(PathBuf),
    /// An environment variable with the same.
    Environment(String),
    /// A key in a PKCS#11 token, which it never leaves.
    Pkcs11(Pkcs11Uri),
}

impl KekSource {
    /// Reads the one spelling.
    ///
    /// # Errors
    /// [`VaultError::Source`], [`VaultError::Token`].
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        if Pkcs11Uri::is_one(text) {
            return Ok(Self::Pkcs11(Pkcs11Uri::parse(text)?));
        }
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            _ => Err(VaultError::Source),
        }
    }

    /// The key that is there.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn load(&self) -> Result<Kek, VaultError> {
        match self {
            Self::File(path) => Kek::from_file(path),
            Self::Environment(variable) => Kek::from_env(variable),
            Self::Pkcs11(uri) => Kek::from_token(uri),
        }
    }

    /// Makes a new key there: a file of mode 0600, or a key in the token. What is there is never replaced.
    ///
    /// # Errors
    /// [`VaultError`]; nothing can be made in an environment.
    pub fn make(&self) -> Result<(), VaultError> {
        match self {
            Self::File(path) => Kek::create_file(path).map(drop),
            Self::Environment(_) => Err(VaultError::SourceUnmakeable),
            Self::Pkcs11(uri) => Kek::create_in_token(uri),
        }
    }
}

impl fmt::Display for KekSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Pkcs11(uri) => uri.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Pkcs11Uri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
