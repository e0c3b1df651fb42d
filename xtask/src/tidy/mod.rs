//! The rules of the house, as functions from the files of the repository to findings.
//!
//! A rule reads nothing but the [`Tree`] that it is given, so each is tested on a few invented files. A new rule goes
//! into [`RULES`]; what it forbids is written as `concat!` of two halves where the rule's own file would break it.

pub mod markdown;
mod prose;
mod source;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};
use crate::shell::Shell;

/// One place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// The file (with a line) or the crate.
    pub place: String,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Finding {
    /// A finding about a whole file or crate.
    pub fn new(rule: &'static str, place: &str, text: String) -> Self {
        Self { rule, place: place.to_owned(), text }
    }

    /// A finding about one line, counted from 1.
    pub fn at(rule: &'static str, path: &str, line: usize, text: String) -> Self {
        Self { rule, place: format!("{path}:{line}"), text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.text, self.rule)
    }
}

/// The files of the repository by their paths from its root, with `/` between folders.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// The files that git tracks or would track.
    pub fn load(shell: &Shell) -> Result<Self> {
        let list = shell.capture(&["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let mut files = BTreeMap::new();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            let file = shell.root().join(path);
            match std::fs::read(&file) {
                Ok(bytes) => drop(files.insert(path.to_owned(), bytes)),
                // Tracked and deleted, but not yet committed so: it is not there.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::File { path: file, source }),
            }
        }
        Ok(Self { files })
    }

    /// A tree of invented files.
    pub fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self { files: files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).into() }
    }

    /// The text of a file; nothing if it is absent or no text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// True for a file, and for a folder that holds one.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.contains_key(path) || self.paths().any(|file| file.starts_with(&folder))
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// All files that are text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, bytes)| Some((path.as_str(), std::str::from_utf8(bytes).ok()?)))
    }

    /// The text files whose names end in one of `endings`.
    pub fn texts_ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts().filter(move |(path, _)| endings.iter().any(|ending| path.ends_with(ending)))
    }
}

/// A rule: its name and the function that finds where it is broken.
pub type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every rule about files.
pub const RULES: &[Rule] = &[
    ("architecture", prose::architecture),
    ("links", prose::links),
    ("decisions", prose::decisions),
    ("promises", prose::promises),
    ("scenarios", prose::scenarios),
    ("length", source::length),
    ("opening", source::opening),
    ("unfinished", source::unfinished),
    ("lints", source::lints),
    ("ignored", source::ignored),
    ("machine", source::machine),
    ("hosts", source::hosts),
];

/// Runs every rule about files; each answer is the rule's name and its findings.
pub fn check_all(tree: &Tree) -> Vec<(&'static str, Vec<Finding>)> {
    RULES.iter().map(|(name, rule)| (*name, rule(tree))).collect()
}
