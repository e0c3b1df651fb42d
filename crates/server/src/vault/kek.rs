//! The key-encryption key: where it comes from, and that nobody else can read it there.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::VaultError;
use super::envelope::{KEY_BYTES, Key};

/// The key that wraps every account's data key. It never prints and is wiped when dropped.
#[derive(Clone)]
pub struct Kek(Key);

impl Kek {
    pub(super) const fn key(&self) -> &Key {
        &self.0
    }

    /// From 64 hexadecimal digits; white space around them is ignored.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let digits = Zeroizing::new(holdfast_authn::encoding::hex::<KEY_BYTES>(text.trim().as_bytes()));
        let bytes = digits.as_ref().ok_or(VaultError::KekMalformed)?;
        Key::from_slice(bytes).map(Self).ok_or(VaultError::KekMalformed)
    }

    /// From a file that its owner alone can read (mode 0600 or stricter).
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(VaultError::KekMissing(path.display().to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        // Of the file that is open, not of its name: what is read is what was checked.
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(VaultError::KekMalformed);
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(VaultError::Permissions(path.into()));
        }
        let mut text = Zeroizing::new([0u8; 128]);
        let mut len = 0usize;
        while let Some(rest) = text.get_mut(len..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                read => len = len.saturating_add(read),
            }
        }
        let text = text.get(..len).and_then(|text| std::str::from_utf8(text).ok());
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
        Ok(Self(key))
    }
}
