//! The packages as `cargo metadata` and `cargo tree` tell them, reduced to what the checks ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::shell::Shell;

/// The platform whose dependencies are checked: the one that Holdfast is shipped for. Fixed, so that the answer does
/// not depend on where it is asked.
pub const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// One package in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, if it states one.
    pub licence: Option<String>,
    /// Where it comes from; nothing for a member of the workspace.
    pub source: Option<String>,
    /// True for our own.
    pub is_member: bool,
    /// Ids of the packages that it is built from: normal and build dependencies.
    pub uses: BTreeSet<String>,
    /// Ids of the packages that only its tests use.
    pub tests_use: BTreeSet<String>,
}

/// All packages by their ids.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The packages.
    pub packages: BTreeMap<String, Package>,
    /// Name and version of everything that the members are built from, themselves included, their tests' needs not.
    /// Cargo's metadata also lists what only a feature that nobody asked for would need, so this is asked of its tree.
    pub built: BTreeSet<(String, String)>,
    /// Where cargo builds to.
    pub target_directory: String,
}

impl Graph {
    /// Asks cargo.
    pub fn load(shell: &Shell) -> Result<Self> {
        let line = ["cargo", "metadata", "--format-version=1", "--filter-platform", PLATFORM];
        let metadata = shell.capture(&line)?;
        let line = ["cargo", "tree", "--workspace", "--target", PLATFORM, "--edges", "normal,build"];
        let tree = shell.capture(&[&line[..], &["--prefix", "none", "--format", "{p}"]].concat())?;
        Self::parse(&metadata, &tree)
    }

    /// Reads what `cargo metadata --format-version=1` and `cargo tree --prefix none --format '{p}'` print.
    pub fn parse(metadata: &str, tree: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(metadata).map_err(|e| unexpected(&e.to_string()))?;
        let members: BTreeSet<&str> =
            array(&json, "workspace_members")?.iter().filter_map(Value::as_str).collect();
        let mut packages = BTreeMap::new();
        for package in array(&json, "packages")? {
            let id = string(package, "id")?;
            packages.insert(
                id.to_owned(),
                Package {
                    name: string(package, "name")?.to_owned(),
                    version: string(package, "version")?.to_owned(),
                    licence: package.get("license").and_then(Value::as_str).map(str::to_owned),
                    source: package.get("source").and_then(Value::as_str).map(str::to_owned),
                    is_member: members.contains(id),
                    uses: BTreeSet::new(),
                    tests_use: BTreeSet::new(),
                },
            );
        }
        let resolve = json.get("resolve").ok_or_else(|| unexpected("no `resolve`"))?;
        let nodes = array(resolve, "nodes")?;
        let present: BTreeSet<&str> = nodes.iter().filter_map(|node| node.get("id")?.as_str()).collect();
        for node in nodes {
            let Some(package) = packages.get_mut(string(node, "id")?) else { continue };
            for edge in array(node, "deps")? {
                let used = string(edge, "pkg")?.to_owned();
                let kinds = array(edge, "dep_kinds")?;
                // A normal dependency has the kind null.
                if kinds.iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev")) {
                    package.uses.insert(used);
                } else {
                    package.tests_use.insert(used);
                }
            }
        }
        packages.retain(|id, _| present.contains(id.as_str()));
        // A line of the tree is `name v1.2.3`, followed by what kind of package it is.
        let built = tree.lines().filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
        });
        let target_directory = string(&json, "target_directory")?.to_owned();
        Ok(Self { packages, built: built.collect(), target_directory })
    }

    /// Our own packages, by name.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.is_member)
    }
}

fn array<'a>(json: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    json.get(key).and_then(Value::as_array).ok_or_else(|| unexpected(&format!("no list `{key}`")))
}

fn string<'a>(json: &'a Value, key: &str) -> Result<&'a str> {
    json.get(key).and_then(Value::as_str).ok_or_else(|| unexpected(&format!("no text `{key}`")))
}

fn unexpected(found: &str) -> Error {
    Error::Unexpected { what: "cargo metadata".to_owned(), found: found.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_packages_their_edges_and_what_is_built() {
        let metadata = r#"{
            "target_directory": "/t", "workspace_members": ["a#1"],
            "packages": [
                {"id": "a#1", "name": "a", "version": "1.0.0", "license": null, "source": null},
                {"id": "b#2", "name": "b", "version": "2.0.0", "license": "MIT", "source": "registry+x"},
                {"id": "c#3", "name": "c", "version": "3.0.0", "license": "MIT", "source": "registry+x"},
                {"id": "windows#4", "name": "windows", "version": "4.0.0", "license": "MIT", "source": "registry+x"}
            ],
            "resolve": {"nodes": [
                {"id": "a#1", "deps": [
                    {"name": "b", "pkg": "b#2", "dep_kinds": [{"kind": null}, {"kind": "dev"}]},
                    {"name": "c", "pkg": "c#3", "dep_kinds": [{"kind": "dev"}]}
                ]},
                {"id": "b#2", "deps": []}, {"id": "c#3", "deps": []}
            ]}}"#;
        let graph = Graph::parse(metadata, "a v1.0.0 (/x/a)\nb v2.0.0 (proc-macro)\nb v2.0.0 (*)\n").unwrap();
        assert_eq!(graph.packages.keys().collect::<Vec<_>>(), ["a#1", "b#2", "c#3"]);
        let ours = graph.members().next().unwrap();
        assert_eq!(ours.uses.iter().collect::<Vec<_>>(), ["b#2"]);
        assert_eq!(ours.tests_use.iter().collect::<Vec<_>>(), ["c#3"]);
        let built: Vec<String> =
            graph.built.iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(built, ["a 1.0.0", "b 2.0.0"]);
    }
}
