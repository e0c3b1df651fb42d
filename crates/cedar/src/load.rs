//! Reading a pack from its directory.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::pack::{CompiledPack, FILE_BYTES_MAX, FILES_MAX, compile_pack};
use crate::problem::{PackError, Problem};

/// What a pack must always do, beside it: plain statements that are proved, not evaluated, and no part of the pack.
pub const INVARIANTS_FILE: &str = "invariants.cedar";

/// Reads every `*.cedar` file of the directory, sorted by name, and compiles them. Sub-directories and other files
/// ([`INVARIANTS_FILE`], `*.cases`, `README.md`) are not part of the pack.
pub fn load_dir(path: impl AsRef<Path>) -> Result<CompiledPack, PackError> {
    compile_pack(&read_dir(path.as_ref())?)
}

/// The files of the pack in the directory, sorted by name.
pub fn read_dir(path: &Path) -> Result<Vec<(String, String)>, PackError> {
    let mut files = read_sources(path)?;
    files.retain(|(name, _)| name != INVARIANTS_FILE);
    if files.is_empty() {
        let message = format!("{} holds no *.cedar file", path.display());
        return Err(Problem::of_pack("pack_empty", message).help("name the directory of a pack").into());
    }
    Ok(files)
}

/// Every file of policy text in the directory, the invariants among them, sorted by name.
pub(crate) fn read_sources(path: &Path) -> Result<Vec<(String, String)>, PackError> {
    let unreadable = |what: &Path, error: &dyn core::fmt::Display| {
        Problem::of_pack("pack_unreadable", format!("cannot read {}: {error}", what.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
        let entry = entry.map_err(|error| unreadable(path, &error))?;
        let file = entry.path();
        if file.extension().is_none_or(|extension| extension != "cedar") {
            continue;
        }
        // One more than a pack may have: the invariants are no part of it.
        if files.len() > FILES_MAX {
            return Err(Problem::of_pack(
                "pack_too_large",
                format!("more than {FILES_MAX} files in one pack"),
            )
            .into());
        }
        let name = entry.file_name().into_string().map_err(|_| {
            Problem::of_pack("file_name_invalid", format!("{} is not a plain name", file.display()))
        })?;
        files.push((name, read_limited(&file).map_err(|error| unreadable(&file, &error))?));
    }
    files.sort();
    Ok(files)
}

/// The text of a file, one byte more than the limit at most: the compiler then says that it is too large.
pub(crate) fn read_limited(file: &Path) -> std::io::Result<String> {
    if !fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("not a plain file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let large = error.as_bytes().len() > FILE_BYTES_MAX;
        let what = if large { "too large, or not UTF-8" } else { "not UTF-8" };
        std::io::Error::other(format!("{what} (byte {at})"))
    })
}
