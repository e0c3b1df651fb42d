//! The key-encryption key: where it comes from, and that nobody else can read it there.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::VaultError;
use super::envelope::{KEY_BYTES, Key, NONCE_BYTES, associated_data, open, seal};
use super::private::{PrivateFileError, private_file};
use super::token::{Pkcs11Uri, TokenError, WrappingKey};

/// A longer file holds no key of ours.
const FILE_BYTES_MAX: usize = 128;

/// The key that wraps every account's data key. It never prints; in memory it is wiped when dropped, in a token it stays.
#[derive(Clone)]
pub struct Kek(Place);

#[derive(Clone)]
enum Place {
    Memory(Key),
    Token(Arc<WrappingKey>),
}

impl Kek {
    /// Wraps a secret of a few bytes, bound to `context`.
    pub(super) fn wrap(
        &self,
        random: &SystemRandom,
        context: &[&[u8]],
        secret: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        match &self.0 {
            Place::Memory(key) => seal(random, key, context, secret),
            Place::Token(key) => {
                let mut nonce = [0; NONCE_BYTES];
                random.fill(&mut nonce).map_err(|_| VaultError::Randomness)?;
                let wrapped = key.wrap(nonce, &associated_data(context), secret)?;
                Ok([nonce.as_slice(), &wrapped].concat())
            }
        }
    }

    /// What [`wrap`](Self::wrap) wrapped, with the same key and context.
    pub(super) fn unwrap(&self, context: &[&[u8]], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        match &self.0 {
            Place::Memory(key) => open(key, context, wrapped),
            Place::Token(key) => {
                let (nonce, rest) =
                    wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::NotAuthentic)?;
                match key.unwrap(*nonce, &associated_data(context), rest) {
                    Err(TokenError::NotAuthentic) => Err(VaultError::NotAuthentic),
                    result => Ok(result?),
                }
            }
        }
    }

    /// A key in a PKCS#11 token: only wrapped keys go in, and only data keys come out.
    pub fn from_token(uri: &Pkcs11Uri) -> Result<Self, VaultError> {
        Ok(Self(Place::Token(Arc::new(WrappingKey::open(uri)?))))
    }

    /// Makes an AES-256 key in a PKCS#11 token that nobody can read; refuses if there is one of this label.
    pub fn create_in_token(uri: &Pkcs11Uri) -> Result<(), VaultError> {
        Ok(WrappingKey::make(uri)?)
    }

    /// From 64 hexadecimal digits; white space around them is ignored.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let digits = Zeroizing::new(holdfast_authn::encoding::hex::<KEY_BYTES>(text.trim().as_bytes()));
        let bytes = digits.as_ref().ok_or(VaultError::KekMalformed)?;
        Key::from_slice(bytes).map(|key| Self(Place::Memory(key))).ok_or(VaultError::KekMalformed)
    }

    /// From a file that its owner alone can read (mode 0600 or stricter).
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        let text = private_file(path, FILE_BYTES_MAX).map_err(|error| match error {
            PrivateFileError::Missing(path) => VaultError::KekMissing(path.display().to_string()),
            PrivateFileError::NotAFile(_) => VaultError::KekMalformed,
            PrivateFileError::Permissions(path) => VaultError::Permissions(path),
            PrivateFileError::Io(error) => error.into(),
        })?;
        let text = std::str::from_utf8(&text).ok();
        Self::parse(text.ok_or(VaultError::KekMalformed)?)
    }

    /// From an environment variable. A file is better: environments are inherited and end up in crash reports.
    pub fn from_env(variable: &str) -> Result<Self, VaultError> {
        let text = std::env::var(variable)
            .map_err(|_| VaultError::KekMissing(format!("the environment variable {variable}")))?;
        Self::parse(&Zeroizing::new(text))
    }

    /// Makes a new key in a new file of mode 0600, durably; refuses to overwrite.
    pub fn create_file(path: &Path) -> Result<Self, VaultError> {
        let mut key = Key::zero();
        SystemRandom::new().fill(key.as_mut()).map_err(|_| VaultError::Randomness)?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(VaultError::Exists(path.into()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in key.as_ref() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self(Place::Memory(key)))
    }
}
