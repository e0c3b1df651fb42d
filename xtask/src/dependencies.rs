//! The rules about what Holdfast is built from: licences, origins, one version of each thing, crates that are refused,
//! the direction between our own crates, and what the deciding core must never reach.
//!
//! All of it is answered from the lock file and the sources that cargo already has, without a network.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::licence;
use crate::metadata::{Graph, Package};
use crate::shell::Shell;
use crate::tidy::{Finding, Tree, markdown};

/// Crates that may be there in two incompatible versions, each with the reason. A reason that no longer holds (one
/// version is left) is a finding too, so the list stays as short as it can be.
pub const DUPLICATES: &[(&str, &str)] = &[
    ("arrayvec", CEDAR),
    ("block-buffer", CEDAR_PARSER),
    ("crypto-common", CEDAR_PARSER),
    ("digest", CEDAR_PARSER),
    ("itertools", CEDAR_PARSER),
    ("keccak", CEDAR_PARSER),
    ("sha3", CEDAR_PARSER),
    ("syn", "procedural macros are moving from 2 to 3; it is in no binary"),
    ("unicode-width", CEDAR),
];

const CEDAR: &str = "Cedar's printing of errors and policies uses the older one; it decides nothing";
const CEDAR_PARSER: &str =
    "the generator of Cedar's parser uses the older one while building; it is in no binary";

/// Crates that are refused wherever they come from.
pub const REFUSED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls; a second TLS library is a second set of advisories"),
    ("openssl-sys", "TLS is rustls; a second TLS library is a second set of advisories"),
    ("native-tls", "TLS is rustls; a second TLS library is a second set of advisories"),
    ("md5", "no text or record of Holdfast is hashed with a broken function"),
    ("serde_yaml", "unmaintained; configuration is TOML"),
];

/// What the pure crates must not reach by any path, and why. The names are matched from the start of a crate's name.
pub const IMPURE: &[(&str, &str)] = &[
    ("tokio", "a runtime"),
    ("async-std", "a runtime"),
    ("hyper", "a network client or server"),
    ("axum", "a network server"),
    ("reqwest", "a network client"),
    ("rusqlite", "a database"),
    ("libsqlite3-sys", "a database"),
    ("cedar", "the policy language's own crates: too heavy, and they bring clocks"),
    ("chrono", "a clock"),
    ("time", "a clock"),
    ("jiff", "a clock"),
    ("rand", "randomness"),
    ("getrandom", "randomness"),
    ("fastrand", "randomness"),
];

/// The crates whose answers must replay: nothing in [`IMPURE`] may be below them.
pub const PURE: &[&str] = &["holdfast-values", "holdfast-policy", "holdfast-decision"];

/// Every dependency has an allowed licence.
pub fn licences(graph: &Graph) -> Vec<Finding> {
    let foreign = graph.packages.values().filter(|package| !package.is_member);
    let refused = foreign.filter(|package| !package.licence.as_deref().is_some_and(licence::is_allowed));
    refused
        .map(|package| {
            let stated = package.licence.as_deref().unwrap_or("none stated");
            let advice = "do without it, or argue for the licence in xtask/src/licence.rs";
            about(package, "licences", format!("its licence ({stated}) is not on the list: {advice}"))
        })
        .collect()
}

/// Every dependency comes from the registry: nothing from git, nothing from a path outside the workspace.
pub fn sources(graph: &Graph) -> Vec<Finding> {
    let foreign = graph.packages.values().filter(|package| !package.is_member);
    foreign
        .filter(|package| !package.source.as_deref().is_some_and(|source| source.starts_with("registry+")))
        .map(|package| {
            let source = package.source.as_deref().unwrap_or("a path outside the workspace");
            about(package, "sources", format!("comes from {source}; take a published version"))
        })
        .collect()
}

/// No refused crate is there.
pub fn refused(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in graph.packages.values() {
        if let Some((_, reason)) = REFUSED.iter().find(|(name, _)| *name == package.name) {
            findings.push(about(package, "refused", format!("is refused: {reason}")));
        }
    }
    findings
}

/// What is built holds one version of each crate, up to compatible ones, but for [`DUPLICATES`].
pub fn duplicates(graph: &Graph, allowed: &[(&str, &str)]) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in &graph.built {
        versions.entry(name).or_default().insert(version);
    }
    let is_allowed = |name: &str| allowed.iter().any(|(allowed, _)| *allowed == name);
    let mut findings = Vec::new();
    for (name, versions) in &versions {
        let lines: BTreeSet<&str> = versions.iter().map(|version| compatibility_line(version)).collect();
        if lines.len() > 1 && !is_allowed(name) {
            let list: Vec<&str> = versions.iter().copied().collect();
            let advice = "agree on one, or add it with its reason to DUPLICATES in xtask/src/dependencies.rs";
            findings.push(Finding::new(
                "duplicates",
                name,
                format!("is built as {}: {advice}", list.join(" and ")),
            ));
        } else if lines.len() == 1 && is_allowed(name) {
            let text = "is built in one version: take it off DUPLICATES in xtask/src/dependencies.rs";
            findings.push(Finding::new("duplicates", name, text.to_owned()));
        }
    }
    let gone = allowed.iter().filter(|(name, _)| !versions.contains_key(name));
    findings.extend(gone.map(|(name, _)| {
        let text = "is not built any more: take it off DUPLICATES in xtask/src/dependencies.rs";
        Finding::new("duplicates", name, text.to_owned())
    }));
    findings
}

/// The part of a version that incompatible releases differ in: `1`, `0.9`, `0.0.3`.
fn compatibility_line(version: &str) -> &str {
    let mut ends = version.match_indices('.').map(|(at, _)| at);
    let (first, second) = (ends.next(), ends.next());
    let end = if version.starts_with("0.0.") {
        None
    } else if version.starts_with("0.") {
        second
    } else {
        first
    };
    end.and_then(|end| version.get(..end)).unwrap_or(version)
}

/// The edges between our own crates are those that the table in ARCHITECTURE.md allows: columns `crate` and `may use`.
pub fn direction(graph: &Graph, tree: &Tree) -> Vec<Finding> {
    const FILE: &str = "ARCHITECTURE.md";
    let Some(text) = tree.text(FILE) else {
        return vec![Finding::new("direction", FILE, "is missing".to_owned())];
    };
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for table in markdown::tables(text) {
        let (Some(name), Some(may_use)) = (table.column("crate"), table.column("may use")) else { continue };
        for row in &table.rows {
            for member in markdown::code_spans(row.cell(name)) {
                allowed.entry(member).or_default().extend(markdown::code_spans(row.cell(may_use)));
            }
        }
    }
    let mut findings = Vec::new();
    for member in graph.members() {
        let Some(allowed) = allowed.get(&member.name) else {
            let text = format!("has no row for `{}` in its table of crates", member.name);
            findings.push(Finding::new("direction", FILE, text));
            continue;
        };
        let used = member.uses.iter().filter_map(|id| graph.packages.get(id)).filter(|used| used.is_member);
        findings.extend(used.filter(|used| !allowed.contains(&used.name)).map(|used| {
            let text = format!("uses `{}`, which {FILE} does not allow it", used.name);
            Finding::new("direction", &member.name, text)
        }));
        // Tests may look up, but only at libraries whose job is to be compared with.
        let tests_use = member.tests_use.iter().filter_map(|id| graph.packages.get(id));
        let tools = ["xtask", "holdfast-bench", "holdfast-example-exchange"];
        findings.extend(tests_use.filter(|used| tools.contains(&used.name.as_str())).map(|used| {
            let text = format!("its tests use `{}` as a library: run its binary instead", used.name);
            Finding::new("direction", &member.name, text)
        }));
    }
    findings
}

/// Nothing below `package` is impure, as cargo itself resolves it when that package is built alone.
pub fn purity(shell: &Shell, package: &str) -> Result<Vec<Finding>> {
    let line =
        ["cargo", "tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    Ok(impurities(package, &shell.capture(&line)?))
}

/// The findings in what `cargo tree --prefix none --format '{p}'` prints: a crate's name and version on each line.
pub fn impurities(package: &str, tree: &str) -> Vec<Finding> {
    let below: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let mut findings = Vec::new();
    for name in below {
        let belongs = |family: &str| {
            name == family || name.strip_prefix(family).is_some_and(|s| s.starts_with(['-', '_']))
        };
        if let Some((_, why)) = IMPURE.iter().find(|(family, _)| belongs(family)) {
            findings.push(Finding::new(
                "purity",
                package,
                format!("reaches `{name}` ({why}); see `cargo tree --package {package} -i {name}`"),
            ));
        }
    }
    findings
}

/// Runs every rule about dependencies; each answer is the rule's name and its findings.
pub fn check_all(shell: &Shell, graph: &Graph, tree: &Tree) -> Result<Vec<(&'static str, Vec<Finding>)>> {
    let mut impure = Vec::new();
    for package in PURE {
        impure.extend(purity(shell, package)?);
    }
    Ok(vec![
        ("licences", licences(graph)),
        ("sources", sources(graph)),
        ("refused", refused(graph)),
        ("duplicates", duplicates(graph, DUPLICATES)),
        ("direction", direction(graph, tree)),
        ("purity", impure),
    ])
}

fn about(package: &Package, rule: &'static str, text: String) -> Finding {
    Finding::new(rule, &format!("{} {}", package.name, package.version), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name version licence source -> used, used`, one package a line; `@` as source is a member.
    fn graph(lines: &str) -> Graph {
        let mut graph = Graph::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (head, uses) = line.split_once("->").unwrap_or((line, ""));
            let words: Vec<&str> = head.split_whitespace().collect();
            if words[0] != "unbuilt" {
                graph.built.insert((words[0].to_owned(), words[1].to_owned()));
            }
            let package = Package {
                name: words[0].to_owned(),
                version: words[1].to_owned(),
                licence: (words[2] != "-").then(|| words[2].to_owned()),
                source: (words[3] != "@").then(|| words[3].to_owned()),
                is_member: words[3] == "@",
                uses: uses.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect(),
                tests_use: BTreeSet::new(),
            };
            graph.packages.insert(format!("{}@{}", words[0], words[1]), package);
        }
        graph
    }

    fn texts(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|f| f.place.clone()).collect()
    }

    #[test]
    fn finds_licences_that_are_not_allowed_or_not_stated() {
        let graph = graph(
            "ours 0.1.0 - @\na 1.0.0 MIT registry+x\nb 1.0.0 GPL-3.0-only registry+x\nc 1.0.0 - registry+x",
        );
        assert_eq!(texts(&licences(&graph)), ["b 1.0.0", "c 1.0.0"]);
    }

    #[test]
    fn finds_git_sources() {
        let graph = graph("ours 0.1.0 - @\na 1.0.0 MIT registry+x\nb 1.0.0 MIT git+x");
        assert_eq!(texts(&sources(&graph)), ["b 1.0.0"]);
    }

    #[test]
    fn finds_incompatible_duplicates_that_are_built_and_stale_excuses() {
        let graph = graph(
            "ours 0.1.0 - @
             a 1.0.0 MIT registry+x
             a 1.2.0 MIT registry+x
             b 0.3.1 MIT registry+x
             b 0.4.0 MIT registry+x
             unbuilt 1.0.0 MIT registry+x
             unbuilt 2.0.0 MIT registry+x",
        );
        assert_eq!(texts(&duplicates(&graph, &[])), ["b"]);
        assert_eq!(texts(&duplicates(&graph, &[("b", "why")])), [""; 0]);
        assert_eq!(texts(&duplicates(&graph, &[("b", "why"), ("a", "why"), ("gone", "why")])), ["a", "gone"]);
    }

    #[test]
    fn versions_are_compatible_by_their_first_part_that_is_not_zero() {
        for (version, line) in
            [("1.2.3", "1"), ("0.9.8", "0.9"), ("0.0.3", "0.0.3"), ("2.0.0-rc.1", "2"), ("7", "7")]
        {
            assert_eq!(compatibility_line(version), line);
        }
    }

    #[test]
    fn finds_edges_that_the_architecture_does_not_allow() {
        let architecture = "| crate | may use |\n|---|---|\n| `core` | `base` |\n| `base` | nothing |\n";
        let tree = Tree::of([("ARCHITECTURE.md", architecture)]);
        let right = graph("core 0.1.0 - @ -> base@0.1.0\nbase 0.1.0 - @");
        assert_eq!(direction(&right, &tree), []);
        let wrong = graph("core 0.1.0 - @\nbase 0.1.0 - @ -> core@0.1.0\nnew 0.1.0 - @");
        assert_eq!(texts(&direction(&wrong, &tree)), ["base", "ARCHITECTURE.md"]);
    }

    #[test]
    fn finds_impure_crates_by_name_and_family() {
        let tree = "holdfast-decision v0.1.0\nminicbor v2.0.0\nrandomize v1.0.0\ntimely v1.0.0\n";
        assert_eq!(impurities("holdfast-decision", tree), []);
        let tree = "x v1\ntokio-util v0.7.0\nrand_core v0.9.0\ntime v0.3.0 (*)\ncedar-policy-core v4.0.0\n";
        assert_eq!(impurities("x", tree).len(), 4);
    }
}
