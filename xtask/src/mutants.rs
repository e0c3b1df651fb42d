//! `cargo xtask mutants`: each small way of being wrong, applied to a copy of the sources, must be noticed by the test
//! that is named for it.
//!
//! The copy holds the three crates of the core alone, so that it builds in seconds; the table is
//! `crates/decision/tests/mutants.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::shell::Shell;
use crate::ui::Terminal;

/// Where the mutants stand.
pub const TABLE: &str = "crates/decision/tests/mutants.txt";
/// What is copied to be mutated.
const COPIED: [&str; 5] = ["crates/values", "crates/policy", "crates/decision", "docs", "clippy.toml"];
const MEMBERS: &str = r#"members = ["crates/values", "crates/policy", "crates/decision"]"#;
/// How many are tried where trying all would take too long.
pub const SAMPLE: usize = 5;

/// One mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its name.
    pub name: String,
    /// The file that it changes.
    pub file: String,
    /// Which test kills it.
    pub killer: Killer,
    /// What is there.
    pub old: String,
    /// What is put there instead.
    pub new: String,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Killer {
    /// Of which package.
    pub package: String,
    /// `lib`, or the name of a test target.
    pub target: String,
    /// Its path.
    pub test: String,
}

/// Reads the table.
pub fn parse(text: &str) -> Result<Vec<Mutant>> {
    let bad = |line: &str| Error::Unexpected { what: TABLE.to_owned(), found: line.to_owned() };
    let mut mutants: Vec<Mutant> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("mutant ") {
            mutants.push(Mutant {
                name: name.to_owned(),
                file: String::new(),
                killer: Killer { package: String::new(), target: String::new(), test: String::new() },
                old: String::new(),
                new: String::new(),
            });
            continue;
        }
        let mutant = mutants.last_mut().ok_or_else(|| bad(line))?;
        if let Some(file) = line.strip_prefix("file ") {
            file.clone_into(&mut mutant.file);
        } else if let Some(killer) = line.strip_prefix("killed by ") {
            let words: Vec<&str> = killer.split(' ').collect();
            let [package, target, test] = words[..] else { return Err(bad(line)) };
            mutant.killer =
                Killer { package: package.to_owned(), target: target.to_owned(), test: test.to_owned() };
        } else if let Some(old) = line.strip_prefix('-') {
            mutant.old.push_str(old);
            mutant.old.push('\n');
        } else if let Some(new) = line.strip_prefix('+') {
            mutant.new.push_str(new);
            mutant.new.push('\n');
        } else {
            return Err(bad(line));
        }
    }
    match mutants.iter().find(|mutant| mutant.file.is_empty() || mutant.killer.test.is_empty()) {
        Some(mutant) => Err(bad(&format!("mutant {} lacks a line", mutant.name))),
        None => Ok(mutants),
    }
}

/// What is wrong with a mutant, looking at the sources alone: its text is not there once, or its test is nowhere.
pub fn stale(root: &Path, mutant: &Mutant) -> Option<String> {
    let Ok(source) = fs::read_to_string(root.join(&mutant.file)) else {
        return Some(format!("{}: there is no {}", mutant.name, mutant.file));
    };
    let found = source.matches(&mutant.old).count();
    if found != 1 || mutant.old == mutant.new {
        return Some(format!("{}: its old text is in {} {found} times", mutant.name, mutant.file));
    }
    let folder = root.join("crates").join(mutant.killer.package.trim_start_matches("holdfast-"));
    let (modules, test) = mutant.killer.test.rsplit_once("::").unwrap_or(("", &mutant.killer.test));
    let mut place = match mutant.killer.target.as_str() {
        "lib" => folder.join("src"),
        target => folder.join("tests").join(target),
    };
    // A module stands in the file of its own name, or in one of a module around it.
    let is_there = modules.split("::").any(|module| {
        place.push(module);
        let says = fs::read_to_string(place.with_extension("rs")).unwrap_or_default();
        says.contains(&format!("fn {test}("))
    });
    (!is_there).then(|| format!("{}: there is no test {}", mutant.name, mutant.killer.test))
}

/// `cargo xtask mutants [--only NAME] [--sample SEED]`.
pub fn mutants(terminal: Terminal, arguments: &[String]) -> Result<()> {
    let shell = Shell::new()?;
    let all = load(&shell)?;
    let chosen = match arguments {
        [] => all,
        [flag, name] if flag == "--only" => {
            let only: Vec<_> = all.into_iter().filter(|mutant| mutant.name == *name).collect();
            if only.is_empty() {
                return Err(Error::Usage(format!("there is no mutant `{name}`")));
            }
            only
        }
        [flag, seed] if flag == "--sample" => {
            let seed = seed.parse().map_err(|_| Error::Usage(format!("`{seed}` is not a number")))?;
            sample(all, seed)
        }
        _ => return Err(Error::Usage("mutants takes [--only NAME] or [--sample SEED]".to_owned())),
    };
    match try_all(terminal, &shell, &chosen)? {
        0 => Ok(()),
        survivors => Err(Error::Findings(survivors)),
    }
}

/// All mutants of the table.
pub fn load(shell: &Shell) -> Result<Vec<Mutant>> {
    parse(&read(&shell.root().join(TABLE))?)
}

/// Some of the mutants: others for another seed.
pub fn sample(all: Vec<Mutant>, seed: u64) -> Vec<Mutant> {
    let mut keyed: Vec<(u64, Mutant)> =
        all.into_iter().map(|mutant| (spread(&mutant.name, seed), mutant)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, mutant)| mutant).take(SAMPLE).collect()
}

/// FNV-1a over a name, begun at a seed.
fn spread(name: &str, seed: u64) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Tries mutants one after the other and counts those that live; an error if a test does not pass without them.
pub fn try_all(terminal: Terminal, shell: &Shell, mutants: &[Mutant]) -> Result<usize> {
    let stale: Vec<String> = mutants.iter().filter_map(|mutant| stale(shell.root(), mutant)).collect();
    for finding in &stale {
        terminal.failed("mutants", finding);
    }
    if !stale.is_empty() {
        return Err(Error::Findings(stale.len()));
    }
    let copy = Copy::make(shell)?;
    let killers: BTreeSet<&Killer> = mutants.iter().map(|mutant| &mutant.killer).collect();
    terminal.begin("mutants", &format!("{} of them; first their tests without them", mutants.len()));
    let started = Instant::now();
    for killer in &killers {
        copy.build(killer)?;
        if !copy.passes(killer)? {
            return Err(Error::Failed {
                command: killer.test.clone(),
                detail: "fails without any mutant".to_owned(),
            });
        }
    }
    terminal.passed("their tests pass", started.elapsed());
    let mut survivors = 0usize;
    for mutant in mutants {
        let started = Instant::now();
        let path = copy.folder.join(&mutant.file);
        let source = read(&path)?;
        write(&path, &source.replacen(&mutant.old, &mutant.new, 1))?;
        let killed = copy.build(&mutant.killer).and_then(|()| Ok(!copy.passes(&mutant.killer)?));
        write(&path, &source)?;
        let verdict = match killed {
            Ok(true) => "killed",
            Ok(false) => "LIVES",
            Err(error) => {
                terminal.failed(&mutant.name, &error.to_string());
                "DOES NOT BUILD"
            }
        };
        if verdict != "killed" {
            survivors = survivors.saturating_add(1);
        }
        let seconds = started.elapsed().as_secs();
        terminal.result(&format!("{:<40} {verdict:<8} {seconds:>4} s  {}", mutant.name, mutant.killer.test));
    }
    terminal.result(&format!("{} mutants, {survivors} alive", mutants.len()));
    Ok(survivors)
}

/// The copy that is mutated: a workspace of its own under `target/mutants`.
struct Copy {
    folder: PathBuf,
    cargo: std::ffi::OsString,
}

impl Copy {
    fn make(shell: &Shell) -> Result<Self> {
        let built =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell.root().join("target"), PathBuf::from);
        let folder = built.join("mutants");
        for part in COPIED {
            let (from, to) = (shell.root().join(part), folder.join(part));
            mirror(&from, &to)?;
        }
        let manifest = read(&shell.root().join("Cargo.toml"))?;
        let (head, rest) = manifest.split_once("members = [").unwrap_or((&manifest, "]"));
        let rest = rest.split_once(']').map_or("", |(_, rest)| rest);
        let rest: Vec<&str> = rest.lines().filter(|line| !line.starts_with("default-members")).collect();
        update(&folder.join("Cargo.toml"), &format!("{head}{MEMBERS}{}\n", rest.join("\n")))?;
        update(&folder.join("Cargo.lock"), &read(&shell.root().join("Cargo.lock"))?)?;
        // The scripts that are played with compiled packs need Cedar, and with it a hundred crates.
        let manifest = read(&shell.root().join("crates/decision/Cargo.toml"))?;
        let light: Vec<&str> = manifest.lines().filter(|line| !line.starts_with("holdfast-cedar")).collect();
        update(&folder.join("crates/decision/Cargo.toml"), &format!("{}\n", light.join("\n")))?;
        drop(fs::remove_file(folder.join("crates/decision/tests/scenarios.rs")));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { folder, cargo })
    }

    fn test(&self, killer: &Killer, more: &[&str]) -> Result<std::process::Output> {
        let mut command = Command::new(&self.cargo);
        command.args(["test", "--offline", "--quiet", "-p", &killer.package]);
        match killer.target.as_str() {
            "lib" => command.arg("--lib"),
            target => command.args(["--test", target]),
        };
        // What is built here is built again and again.
        command.args(more).current_dir(&self.folder).stdin(Stdio::null());
        command.env("CARGO_TARGET_DIR", self.folder.join("target")).env("CARGO_INCREMENTAL", "1");
        command.env_remove("HOLDFAST_BLESS").env_remove("HOLDFAST_GOLDEN").env_remove("HOLDFAST_SEED");
        command.output().map_err(|source| Error::File { path: self.cargo.clone().into(), source })
    }

    fn build(&self, killer: &Killer) -> Result<()> {
        let output = self.test(killer, &["--no-run"])?;
        if output.status.success() {
            return Ok(());
        }
        let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Failed { command: format!("cargo test --no-run -p {}", killer.package), detail })
    }

    /// True if the test ran and passed, false if it ran and failed.
    fn passes(&self, killer: &Killer) -> Result<bool> {
        let output = self.test(killer, &["--", "--exact", &killer.test])?;
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("running 0 tests") || !said.contains("running 1 test") {
            return Err(Error::Failed {
                command: killer.test.clone(),
                detail: "no such test ran".to_owned(),
            });
        }
        Ok(output.status.success())
    }
}

/// Makes `to` the same as `from`; what is the same already keeps its time, so that it is not built again.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        let bytes = fs::read(from).map_err(|source| at(from, source))?;
        if fs::read(to).ok().as_ref() != Some(&bytes) {
            fs::write(to, bytes).map_err(|source| at(to, source))?;
        }
        return Ok(());
    }
    fs::create_dir_all(to).map_err(|source| at(to, source))?;
    let names = |folder: &Path| -> Result<BTreeSet<std::ffi::OsString>> {
        let entries = fs::read_dir(folder).map_err(|source| at(folder, source))?;
        Ok(entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
    };
    let wanted = names(from)?;
    for extra in names(to)?.difference(&wanted) {
        let path = to.join(extra);
        drop(if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
    }
    wanted.iter().try_for_each(|name| mirror(&from.join(name), &to.join(name)))
}

fn update(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).ok().as_deref() == Some(text) { Ok(()) } else { write(path, text) }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| at(path, source))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|source| at(path, source))
}

fn at(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Mutant> {
        load(&Shell::new().unwrap()).unwrap()
    }

    #[test]
    fn every_mutant_has_a_place_and_a_test() {
        let shell = Shell::new().unwrap();
        let mutants = table();
        let stale: Vec<String> = mutants.iter().filter_map(|mutant| stale(shell.root(), mutant)).collect();
        assert!(stale.is_empty(), "{}", stale.join("\n"));
        assert!(mutants.len() >= 20, "at least twenty");
        let names: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
        assert_eq!(names.len(), mutants.len(), "each has a name of its own");
    }

    #[test]
    fn says_what_is_wrong_with_a_mutant() {
        let shell = Shell::new().unwrap();
        let mut mutant = table().remove(0);
        mutant.old = "no such text\n".to_owned();
        assert!(stale(shell.root(), &mutant).is_some_and(|finding| finding.contains("0 times")));
        let mut mutant = table().remove(0);
        mutant.killer.test = "bucket::tests::no_such_test".to_owned();
        assert!(stale(shell.root(), &mutant).is_some_and(|finding| finding.contains("no test")));
        assert!(parse("file x\n").is_err() && parse("mutant a\nfile b\n").is_err());
    }

    #[test]
    fn a_sample_is_drawn_by_its_seed() {
        let names = |seed| sample(table(), seed).into_iter().map(|mutant| mutant.name).collect::<Vec<_>>();
        assert_eq!(names(1), names(1));
        assert_eq!(names(1).len(), SAMPLE);
        assert!((2..9).any(|seed| names(seed) != names(1)));
    }
}
