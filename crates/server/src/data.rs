//! The data directory: which files lie where, and how secret ones are made. Decides nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::vault::{ReleaseKey, ReleaseKeyError};

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A key that others can read.
    #[error("{} must be readable by its owner alone: chmod 600 it", .0.display())]
    Permissions(PathBuf),
    /// A key of the wrong length.
    #[error("{} is not a key of 32 bytes", .0.display())]
    Key(PathBuf),
    /// A release key that cannot be used.
    #[error("{}: {source}", path.display())]
    ReleaseKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ReleaseKeyError,
    },
    /// No random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    move |source| DataError::Io { path: path.to_owned(), source }
}

/// Where things lie in a data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The directory at `path`; nothing is looked at yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Secrets, enveloped.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.0.join("vault.db")
    }

    /// Keys that belong into the backup.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The key of the fingerprints.
    #[must_use]
    pub fn fingerprint_key(&self) -> PathBuf {
        self.keys().join("fingerprint.key")
    }

    /// The key-encryption key, unless the configuration names another place.
    #[must_use]
    pub fn kek(&self) -> PathBuf {
        self.keys().join("kek")
    }

    /// The key that signs releases.
    #[must_use]
    pub fn release_key(&self) -> PathBuf {
        self.keys().join("release.key")
    }

    /// The server's configuration, if there is one here.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("holdfast.toml")
    }

    /// Makes the directory and its keys, readable by their owner alone.
    ///
    /// # Errors
    /// [`DataError`]; an existing key is never overwritten.
    pub fn create(&self) -> Result<(), DataError> {
        for path in [&self.0, &self.keys()] {
            if !path.is_dir() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
            }
        }
        write_secret(&self.fingerprint_key(), &random::<32>()?)?;
        write_secret(&self.release_key(), &random::<32>()?)?;
        let keys = self.keys();
        File::open(&keys).and_then(|dir| dir.sync_all()).map_err(io(&keys))
    }

    /// Reads the key of the fingerprints.
    ///
    /// # Errors
    /// [`DataError`] if it is missing, readable by others or not 32 bytes.
    pub fn read_fingerprint_key(&self) -> Result<[u8; 32], DataError> {
        read_key(&self.fingerprint_key())
    }

    /// The key that signs releases, from its file or from the token that the file names; `None` in a directory that has
    /// none.
    ///
    /// # Errors
    /// [`DataError`] if it is readable by others, of neither form, or not to be had from its token.
    pub fn read_release_key(&self) -> Result<Option<ReleaseKey>, DataError> {
        let path = self.release_key();
        if !path.exists() {
            return Ok(None);
        }
        let content = read_private(&path, ReleaseKey::FILE_BYTES_MAX)?;
        let key = ReleaseKey::read(&content).map_err(|source| DataError::ReleaseKey { path, source })?;
        Ok(Some(key))
    }
}

/// Reads a key of 32 bytes that its owner alone may read.
fn read_key(path: &Path) -> Result<[u8; 32], DataError> {
    let bytes = read_private(path, 32)?;
    bytes.as_slice().try_into().map_err(|_| DataError::Key(path.to_owned()))
}

/// Reads a file that its owner alone may read, of at most `max` bytes and one more, by which a longer one is known.
fn read_private(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, DataError> {
    let file = File::open(path).map_err(io(path))?;
    let mode = file.metadata().map_err(io(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(DataError::Permissions(path.to_owned()));
    }
    let limit = max.saturating_add(1);
    // A vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(io(path))?;
    Ok(bytes)
}

/// Random bytes from the operating system.
///
/// # Errors
/// [`DataError::Randomness`].
pub fn random<const N: usize>() -> Result<[u8; N], DataError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| DataError::Randomness)?;
    Ok(bytes)
}

/// Writes a new file of mode 0600, durably; an existing one is left alone and refused.
///
/// # Errors
/// [`DataError::Io`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// [`DataError::Io`], also for a file that is larger.
pub fn read_limited(path: &Path, max: u64) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(io(path))?;
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(io(path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        let source = std::io::Error::other(format!("the file has more than {max} bytes"));
        return Err(DataError::Io { path: path.to_owned(), source });
    }
    Ok(bytes)
}
