//! `holdfast policy new`: a small pack to start from, with everything that belongs beside one.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde_json::json;

use crate::problem::Problem;
use crate::report::{Report, refused};

/// The files, by name.
const FILES: [(&str, &str); 6] = [
    ("README.md", include_str!("new/README.md")),
    ("limits.cedar", include_str!("new/limits.cedar")),
    ("destinations.cedar", include_str!("new/destinations.cedar")),
    ("pack.cases", include_str!("new/pack.cases")),
    ("reasons.txt", include_str!("new/reasons.txt")),
    ("invariants.cedar", include_str!("new/invariants.cedar")),
];

/// Writes a pack to start from into the directory, which is made if it is not there and must be empty if it is.
pub fn new_dir(path: &Path) -> Report {
    let shown = path.display();
    match write(path) {
        Ok(()) => Report {
            ok: true,
            text: format!("{shown}: {} files\nnext: holdfast policy check {shown}\n", FILES.len()),
            json: json!({ "ok": true, "files": FILES.map(|(name, _)| name) }),
        },
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let problem = Problem::of_pack("directory_not_empty", format!("{shown} is there and not empty"));
            refused(&problem.help("name a new directory: nothing is overwritten").into())
        }
        Err(error) => {
            let problem = Problem::of_pack("pack_unwritable", format!("cannot write {shown}: {error}"));
            refused(&problem.help("name a directory that you may write to").into())
        }
    }
}

fn write(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    if fs::read_dir(path)?.next().is_some() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    for (name, text) in FILES {
        // Another process may have come first: what is there stays.
        fs::File::create_new(path.join(name))?.write_all(text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmt::format_dir;
    use crate::judge::test_dir;
    use crate::report::check_dir;

    #[test]
    fn a_new_pack_passes_every_check_and_overwrites_nothing() {
        let path = std::env::temp_dir().join(format!("holdfast-new-{}", std::process::id())).join("pack");
        drop(fs::remove_dir_all(&path));
        for report in [new_dir(&path), check_dir(&path), test_dir(&path), format_dir(&path, true)] {
            assert!(report.ok, "{}", report.text);
        }
        let pack = crate::load_dir(&path).unwrap();
        let invariants = crate::prove::parse_invariants("i", include_str!("new/invariants.cedar"));
        assert_eq!(invariants.map(|found| found.len()), Ok(2));
        assert!(pack.files.iter().all(|(name, _)| name != "invariants.cedar"));
        let (reasons, cases) = (include_str!("new/reasons.txt"), include_str!("new/pack.cases"));
        for reason in pack.program.policies().iter().filter_map(|policy| policy.meta.reason()) {
            assert!(reasons.contains(&format!("\n{reason}: ")) && cases.contains(reason), "{reason}");
        }
        fs::write(path.join("limits.cedar"), "mine").unwrap();
        assert_eq!(new_dir(&path).json["problems"][0]["code"], "directory_not_empty");
        assert_eq!(fs::read_to_string(path.join("limits.cedar")).unwrap(), "mine");
        assert_eq!(new_dir(&path.join("limits.cedar/x")).json["problems"][0]["code"], "pack_unwritable");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
