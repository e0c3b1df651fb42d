//! Small files that hold a secret: read only if nobody else can.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why such a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrivateFileError {
    #[error("{0} is not there")]
    Missing(PathBuf),
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    #[error("{0} must be readable by its owner alone: chmod 600 it")]
    Permissions(PathBuf),
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// The first `max` bytes of a file that its owner alone can read (mode 0600 or stricter), wiped when dropped.
pub(super) fn private_file(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(PrivateFileError::Missing(path.into()));
        }
        Err(error) => return Err(error.into()),
    };
    // Of the file that is open, not of its name: what is read is what was checked.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotAFile(path.into()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(PrivateFileError::Permissions(path.into()));
    }
    // Of its full size from the start: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; max]);
    let mut len = 0usize;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => len = len.saturating_add(read),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
