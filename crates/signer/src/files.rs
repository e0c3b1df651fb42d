//! Whether a file can be trusted: it exists, and nobody but its owner (the signer's user, or root) can have written it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why a file is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Not a plain file.
    #[error("{}: not a plain file", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may write it, or read what is secret.
    #[error("{}: mode {mode:03o} lets others than its owner {may} it: chmod {wanted:03o}", path.display())]
    Mode {
        /// The file or its folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What others may do.
        may: &'static str,
        /// A mode that is accepted.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error("{}: belongs to user {owner}: it must belong to root or to the signer's own user ({user})", path.display())]
    Owner {
        /// The file or its folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
}

impl FileError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "file_unreadable",
            Self::Kind { .. } => "file_kind",
            Self::Mode { .. } => "file_mode",
            Self::Owner { .. } => "file_owner",
        }
    }

    /// An IO error at a path.
    pub fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

/// Refuses a file that others can write, or that stands in a folder where others can replace it.
pub fn check_trusted(path: &Path) -> Result<Metadata, FileError> {
    let metadata = check(path, 0o022, "write", 0o640)?;
    if !metadata.is_file() {
        return Err(FileError::Kind { path: path.to_owned() });
    }
    check_folder(path)?;
    Ok(metadata)
}

/// Refuses a secret that others can read.
pub fn check_secret(path: &Path) -> Result<Metadata, FileError> {
    let metadata = check(path, 0o077, "read or write", 0o600)?;
    if !metadata.is_file() {
        return Err(FileError::Kind { path: path.to_owned() });
    }
    check_folder(path)?;
    Ok(metadata)
}

/// The folder in which a file stands: others may not rename or replace what is in it. One with the sticky bit, such as
/// the system's for temporary files, keeps them from that.
pub fn check_folder(path: &Path) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Ok(()),
    };
    let metadata = fs::metadata(folder).map_err(|error| FileError::io(folder, error))?;
    if metadata.mode() & 0o1000 != 0 {
        return Ok(());
    }
    check(folder, 0o022, "write", 0o750).map(drop)
}

fn check(path: &Path, forbidden: u32, may: &'static str, wanted: u32) -> Result<Metadata, FileError> {
    let metadata = fs::metadata(path).map_err(|error| FileError::io(path, error))?;
    let mode = metadata.mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(FileError::Mode { path: path.to_owned(), mode, may, wanted });
    }
    let user = user()?;
    match metadata.uid() {
        owner if owner == 0 || owner == user => Ok(metadata),
        owner => Err(FileError::Owner { path: path.to_owned(), owner, user }),
    }
}

/// Who runs this process, as the kernel shows it.
fn user() -> Result<u32, FileError> {
    let path = Path::new("/proc/self");
    fs::metadata(path).map(|metadata| metadata.uid()).map_err(|error| FileError::io(path, error))
}
