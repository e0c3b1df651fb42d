//! The signer's own key, which signs receipts, and random bytes for what `init` makes.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use holdfast_authn::encoding;
use holdfast_authn::release::SigningKey;
use zeroize::Zeroizing;

use crate::files::{self, FileError};
use crate::store::sync_folder;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be trusted, read or made.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a seed.
    #[error("{}: not a key: one line of 43 characters of base64url (32 bytes)", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl KeyFileError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Malformed { .. } => "key_malformed",
        }
    }
}

/// Reads a key that nobody else can read.
pub(crate) fn load(path: &Path) -> Result<SigningKey, KeyFileError> {
    files::check_secret(path)?;
    let text = Zeroizing::new(fs::read(path).map_err(|error| FileError::io(path, error))?);
    let malformed = || KeyFileError::Malformed { path: path.to_owned() };
    let line = text.strip_suffix(b"\n").filter(|line| line.len() == 43).ok_or_else(malformed)?;
    let bytes = Zeroizing::new(encoding::base64url(line).ok_or_else(malformed)?);
    let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed())?;
    Ok(SigningKey::from_seed(seed))
}

/// Makes a key where there is none; keeps one that is there.
pub(crate) fn load_or_make(path: &Path) -> Result<SigningKey, KeyFileError> {
    files::check_folder(path)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let seed = Zeroizing::new(random::<32>()?);
            let mut line = Zeroizing::new(encoding::to_base64url(seed.as_slice()));
            line.push('\n');
            file.write_all(line.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|error| FileError::io(path, error))?;
            sync_folder(path)?;
            load(path)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(FileError::io(path, error).into()),
    }
}

/// Random bytes from the kernel.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], FileError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| FileError::io(path, error))?;
    Ok(bytes)
}
