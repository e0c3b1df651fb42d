//! Rules about source files: their length, how they open, and what must not stand in them.

use super::{Finding, Tree};

/// More lines than this and a file is two files.
const LINES_MAX: usize = 800;

/// Source files are at most [`LINES_MAX`] lines long.
pub(super) fn length(tree: &Tree) -> Vec<Finding> {
    let files = tree.texts_ending(&[".rs", ".py", ".ts", ".tsx", ".js", ".mjs"]);
    let long = files.map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(path, lines)| {
        Finding::new(
            "length",
            path,
            format!("has {lines} lines; split it by what it is about (at most {LINES_MAX})"),
        )
    })
    .collect()
}

/// A Rust file opens by saying what lives in it.
pub(super) fn opening(tree: &Tree) -> Vec<Finding> {
    let silent = tree.texts_ending(&[".rs"]).filter(|(_, text)| {
        let sentence =
            text.lines().next().and_then(|line| line.strip_prefix("//!")).unwrap_or_default().trim();
        sentence.is_empty() || sentence == concat!("Place", "holder.")
    });
    silent
        .map(|(path, _)| {
            let text = "must open with `//!`: what lives here, and what may not".to_owned();
            Finding::new("opening", path, text)
        })
        .collect()
}

/// Nothing is left to be done later by a mark in the code.
pub(super) fn unfinished(tree: &Tree) -> Vec<Finding> {
    let words =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    let advice = "do it, or write down in docs/ what is missing and leave the code honest";
    lines_with(
        "unfinished",
        tree.texts_ending(&[".rs", ".py", ".ts", ".tsx", ".js", ".mjs", ".md"]),
        &words,
        advice,
    )
}

/// A lint is switched off with a reason, and so that it comes back when the reason goes.
pub(super) fn lints(tree: &Tree) -> Vec<Finding> {
    let words = [concat!("#[", "allow("), concat!("#![", "allow(")];
    lines_with("lints", tree.texts_ending(&[".rs"]), &words, "use `#[expect(..., reason = \"...\")]`")
}

/// Every test runs. One that cannot, says so when it runs, and is counted as skipped.
pub(super) fn ignored(tree: &Tree) -> Vec<Finding> {
    let words = [
        concat!("#[", "ignore]"),
        concat!("#[", "ignore ="),
        concat!("it.", "skip("),
        concat!("test.", "skip("),
    ];
    let advice = "let it run, and print `skipped: why` if it cannot do its work";
    lines_with("ignored", tree.texts_ending(&[".rs", ".ts", ".js", ".mjs"]), &words, advice)
}

/// No path of one machine is in the repository.
pub(super) fn machine(tree: &Tree) -> Vec<Finding> {
    let folders =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        for (number, line) in text.lines().enumerate() {
            let named = folders.iter().find(|folder| {
                // The same letters further down a path or an address name no folder of a machine.
                let mut hits = line.match_indices(**folder).map(|(at, _)| line.get(..at).unwrap_or_default());
                hits.any(|before| {
                    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || "._-}~*".contains(c))
                })
            });
            if let Some(folder) = named {
                let text =
                    format!("names a folder of some machine ({folder}); write a path from the repository");
                findings.push(Finding::at("machine", path, number.saturating_add(1), text));
            }
        }
    }
    findings
}

/// Packages are named, and whoever installs them chooses where from. Cargo writes its registry into its lock file.
pub(super) fn hosts(tree: &Tree) -> Vec<Finding> {
    let hosts = [
        concat!("crates", ".io"),
        concat!("registry.npm", "js.org"),
        concat!("registry.yarn", "pkg.com"),
        concat!("py", "pi.org"),
        concat!("python", "hosted.org"),
        concat!("deb.deb", "ian.org"),
        concat!("security.deb", "ian.org"),
        concat!("\"reso", "lved\":"),
    ];
    let files = tree.texts().filter(|(path, _)| *path != "Cargo.lock");
    lines_with("hosts", files, &hosts, "name the package, not the registry that serves it")
}

fn lines_with<'a>(
    rule: &'static str,
    files: impl Iterator<Item = (&'a str, &'a str)>,
    words: &[&str],
    advice: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                findings.push(Finding::at(
                    rule,
                    path,
                    number.saturating_add(1),
                    format!("`{word}`: {advice}"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn finds_files_that_are_too_long() {
        let long = "//! Long.\n".repeat(LINES_MAX + 1);
        let fits = "//! Fits.\n".repeat(LINES_MAX);
        assert_eq!(places(length(&Tree::of([("a.rs", &long), ("b.rs", &fits), ("c.md", &long)]))), ["a.rs"]);
    }

    #[test]
    fn finds_modules_that_do_not_say_what_they_hold() {
        let tree = Tree::of([
            ("a.rs", "//! Says it.\n"),
            ("b.rs", "use std::fmt;\n"),
            ("c.rs", "//!\n"),
            ("d.rs", ""),
        ]);
        assert_eq!(places(opening(&tree)), ["b.rs", "c.rs", "d.rs"]);
    }

    #[test]
    fn finds_marks_of_unfinished_work_ignored_tests_and_silenced_lints() {
        let marked = format!("//! A.\n\n{}()\n// {}\n", concat!("todo", "!"), concat!("FIX", "ME"));
        assert_eq!(places(unfinished(&Tree::of([("a.rs", &marked)]))), ["a.rs:3", "a.rs:4"]);
        let idle = format!("{}\n{} \"slow\"]\n", concat!("#[", "ignore]"), concat!("#[", "ignore ="));
        assert_eq!(places(ignored(&Tree::of([("a.rs", &idle)]))), ["a.rs:1", "a.rs:2"]);
        let lax = format!("{}dead_code)]\n#[expect(dead_code, reason = \"x\")]\n", concat!("#[", "allow("));
        assert_eq!(places(lints(&Tree::of([("a.rs", &lax)]))), ["a.rs:1"]);
    }

    #[test]
    fn finds_folders_of_a_machine_but_not_parts_of_addresses() {
        let home = concat!("/ho", "me/");
        let text = format!("see {home}ann/x\n`{home}`\nhttps://example.com{home}x\nexample{home}\n");
        assert_eq!(places(machine(&Tree::of([("a.md", &text)]))), ["a.md:1", "a.md:2"]);
    }

    #[test]
    fn finds_registry_hosts_outside_cargos_lock_file() {
        let text = format!("source = \"https://{}/\"\n", concat!("registry.npm", "js.org"));
        assert_eq!(
            places(hosts(&Tree::of([("Cargo.lock", &text), ("x/package-lock.json", &text)]))),
            ["x/package-lock.json:1"]
        );
    }
}
