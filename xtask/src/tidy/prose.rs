//! Rules about documents and what they promise: links, the list of rooms, numbered decisions, promises with tests.

use std::collections::BTreeMap;

use super::{Finding, Tree, markdown};

/// Every crate is named in ARCHITECTURE.md.
pub(super) fn architecture(tree: &Tree) -> Vec<Finding> {
    const FILE: &str = "ARCHITECTURE.md";
    let Some(text) = tree.text(FILE) else {
        return vec![Finding::new("architecture", FILE, "is missing".to_owned())];
    };
    let mut findings = Vec::new();
    for (path, manifest) in tree.texts_ending(&["Cargo.toml"]) {
        let name = package_name(manifest);
        if let Some(name) = name.filter(|name| !text.contains(&format!("`{name}`"))) {
            findings.push(Finding::new(
                "architecture",
                FILE,
                format!("does not name the crate `{name}` ({path})"),
            ));
        }
    }
    findings
}

fn package_name(manifest: &str) -> Option<&str> {
    let package = manifest.split_once("[package]")?.1;
    let line = package.lines().find_map(|line| line.strip_prefix("name = \""))?;
    line.split('"').next()
}

/// Every relative link leads to a file of the repository and, if it names a heading of a document, to that heading.
pub(super) fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(&[".md"]) {
        for link in markdown::links(text) {
            let mut report = |text: String| findings.push(Finding::at("links", path, link.line, text));
            let target = link.target.as_str();
            if target.is_empty() || target.starts_with("mailto:") || target.contains("://") {
                continue;
            }
            let (file, anchor) =
                target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let resolved = if file.is_empty() { Some(path.to_owned()) } else { resolve(path, file) };
            let Some(resolved) = resolved else {
                report(format!("`{target}` leads out of the repository"));
                continue;
            };
            if !tree.has(&resolved) {
                report(format!("`{target}` leads nowhere"));
            } else if let (Some(anchor), true) = (anchor, resolved.ends_with(".md")) {
                let anchors = markdown::anchors(tree.text(&resolved).unwrap_or_default());
                if !anchors.iter().any(|known| known == anchor) {
                    report(format!("`{target}`: {resolved} has no heading with that anchor"));
                }
            }
        }
    }
    findings
}

/// The path that `target` means in the document at `from`, or nothing if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Decision records are `NNNN-title.md`, numbered from 1 without gap or doublet, and listed in their README.
pub(super) fn decisions(tree: &Tree) -> Vec<Finding> {
    const FOLDER: &str = "docs/decisions/";
    let index = tree.text("docs/decisions/README.md").unwrap_or_default();
    let mut findings = Vec::new();
    let mut numbered: BTreeMap<usize, &str> = BTreeMap::new();
    for path in tree.paths().filter(|path| path.starts_with(FOLDER)) {
        let name = path.strip_prefix(FOLDER).unwrap_or(path);
        if name == "README.md" {
            continue;
        }
        let number = name.split_once('-').filter(|(digits, _)| digits.len() == 4 && name.ends_with(".md"));
        let Some(number) = number.and_then(|(digits, _)| digits.parse().ok()) else {
            findings.push(Finding::new("decisions", path, "must be named NNNN-title.md".to_owned()));
            continue;
        };
        if let Some(other) = numbered.insert(number, path) {
            findings.push(Finding::new("decisions", path, format!("has the number of {other}")));
        }
        if !index.contains(name) {
            findings.push(Finding::new("decisions", path, format!("is not listed in {FOLDER}README.md")));
        }
    }
    for ((number, path), expected) in numbered.iter().zip(1..) {
        if *number != expected {
            findings.push(Finding::new(
                "decisions",
                path,
                format!("leaves a gap: expected number {expected:04}"),
            ));
            break;
        }
    }
    findings
}

/// Each promise in SECURITY.md names the test that shows it, and that test exists: in each table with a column `test`,
/// every row has `path::test_name` in backticks, or says `unbounded` or `not built` in plain words.
pub(super) fn promises(tree: &Tree) -> Vec<Finding> {
    const FILE: &str = "SECURITY.md";
    let mut findings = Vec::new();
    for table in markdown::tables(tree.text(FILE).unwrap_or_default()) {
        let Some(column) = table.column("test") else { continue };
        for row in &table.rows {
            let cell = row.cell(column);
            let tests: Vec<String> =
                markdown::code_spans(cell).into_iter().filter(|span| span.contains("::")).collect();
            if tests.is_empty() && !["unbounded", "not built"].iter().any(|word| cell.contains(word)) {
                let text = "names no test: write `path::test_name`, `unbounded` or `not built`".to_owned();
                findings.push(Finding::at("promises", FILE, row.line, text));
            }
            for test in tests.iter().filter(|test| !test_exists(tree, test)) {
                findings.push(Finding::at("promises", FILE, row.line, format!("there is no test `{test}`")));
            }
        }
    }
    findings
}

/// True if the file, the folder or the crate before the first `::` holds a function with the name after the last one.
fn test_exists(tree: &Tree, test: &str) -> bool {
    let (Some((room, _)), Some((_, name))) = (test.split_once("::"), test.rsplit_once("::")) else {
        return false;
    };
    let room = room.trim_start_matches("holdfast-").trim_start_matches("holdfast_");
    let folders = [format!("{room}/"), format!("crates/{room}/"), format!("examples/{room}/")];
    let inside = |path: &str| path == room || folders.iter().any(|folder| path.starts_with(folder));
    let (rust, python) = (format!("fn {name}("), format!("def {name}("));
    tree.texts_ending(&[".rs", ".py"]).any(|(path, text)| {
        inside(path) && text.lines().any(|line| line.contains(&rust) || line.contains(&python))
    })
}

/// Every scenario has its expectation, and every expectation its scenario.
pub(super) fn scenarios(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in tree.paths().filter(|path| path.starts_with("scenarios/")) {
        let other = match path.rsplit_once('.') {
            Some((stem, "txt")) => format!("{stem}.expected"),
            Some((stem, "expected")) => format!("{stem}.txt"),
            _ => continue,
        };
        if !tree.has(&other) {
            findings.push(Finding::new("scenarios", path, format!("has no {other} beside it")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| format!("{}: {}", finding.place, finding.text)).collect()
    }

    #[test]
    fn finds_crates_that_the_architecture_does_not_name() {
        let tree = Tree::of([
            ("ARCHITECTURE.md", "`holdfast-a` is a room."),
            ("crates/a/Cargo.toml", "[package]\nname = \"holdfast-a\"\n"),
            ("crates/b/Cargo.toml", "[package]\nname = \"holdfast-b\"\n"),
            ("Cargo.toml", "[workspace]\n"),
        ]);
        assert_eq!(
            texts(architecture(&tree)),
            ["ARCHITECTURE.md: does not name the crate `holdfast-b` (crates/b/Cargo.toml)"]
        );
    }

    #[test]
    fn finds_links_that_lead_nowhere() {
        let tree = Tree::of([
            (
                "README.md",
                "[a](docs/a.md#one) [b](docs/b.md) [c](docs) [d](https://example.com) [e](#here)\n# Here\n",
            ),
            ("docs/a.md", "# One\n[up](../README.md) [out](../../x.md) [gone](a.md#two)\n"),
        ]);
        assert_eq!(
            texts(links(&tree)),
            [
                "README.md:1: `docs/b.md` leads nowhere",
                "docs/a.md:2: `../../x.md` leads out of the repository",
                "docs/a.md:2: `a.md#two`: docs/a.md has no heading with that anchor",
            ]
        );
    }

    #[test]
    fn decisions_are_numbered_once_without_gaps_and_listed() {
        let listed = Tree::of([
            ("docs/decisions/README.md", "0001-a.md 0002-b.md"),
            ("docs/decisions/0001-a.md", ""),
            ("docs/decisions/0002-b.md", ""),
        ]);
        assert_eq!(decisions(&listed), []);
        let broken = Tree::of([
            ("docs/decisions/README.md", "0001-a.md 0001-b.md 0004-d.md"),
            ("docs/decisions/0001-a.md", ""),
            ("docs/decisions/0001-b.md", ""),
            ("docs/decisions/0004-d.md", ""),
            ("docs/decisions/loose.md", ""),
        ]);
        assert_eq!(
            texts(decisions(&broken)),
            [
                "docs/decisions/0001-b.md: has the number of docs/decisions/0001-a.md",
                "docs/decisions/loose.md: must be named NNNN-title.md",
                "docs/decisions/0004-d.md: leaves a gap: expected number 0002",
            ]
        );
    }

    #[test]
    fn finds_promises_without_a_test_that_exists() {
        let security = "| who | what | test |\n|---|---|---|\n\
            | a | b | `crates/decision/tests/x.rs::holds` |\n\
            | a | b | `holdfast-decision::ladder::refuses` |\n\
            | a | b | `decision::no_such_test` |\n\
            | a | b | |\n\
            | a | b | unbounded |\n";
        let tree = Tree::of([
            ("SECURITY.md", security),
            ("crates/decision/tests/x.rs", "#[test]\nfn holds() {}\n"),
            ("crates/decision/src/ladder.rs", "    fn refuses() {}\n"),
            ("crates/policy/src/lib.rs", "fn no_such_test() {}\n"),
        ]);
        assert_eq!(
            texts(promises(&tree)),
            [
                "SECURITY.md:5: there is no test `decision::no_such_test`",
                "SECURITY.md:6: names no test: write `path::test_name`, `unbounded` or `not built`",
            ]
        );
        assert_eq!(promises(&Tree::of([])), []);
    }

    #[test]
    fn scenarios_come_in_pairs() {
        let tree = Tree::of([
            ("scenarios/a.txt", ""),
            ("scenarios/a.expected", ""),
            ("scenarios/b.txt", ""),
            ("scenarios/deep/c.expected", ""),
            ("scenarios/README.md", ""),
        ]);
        assert_eq!(
            texts(scenarios(&tree)),
            [
                "scenarios/b.txt: has no scenarios/b.expected beside it",
                "scenarios/deep/c.expected: has no scenarios/deep/c.txt beside it"
            ]
        );
    }
}
