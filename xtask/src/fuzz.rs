//! `cargo xtask fuzz` and `soak`: build the targets of `holdfast-fuzz` with coverage for libFuzzer, and run them one by one.
//!
//! `fuzz` is for working on a target; `soak` gives every target its minutes in turn, adds to no corpus, and ends with a
//! summary of all.
//!
//! It takes the toolchain that builds everything else: the coverage pass is in every `rustc`, the fuzzer itself is
//! compiled from the package `libfuzzer-sys`. What the tests replay is in `fuzz/corpus`; nothing is written there unless
//! `--keep` says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::agreement;
use crate::error::{Error, Result};
use crate::metadata::Graph;
use crate::report::{Counts, Report};
use crate::shell::{Shell, on_path};
use crate::ui::Terminal;

/// Where the corpora stand: a folder for each target.
const CORPORA: &str = "fuzz/corpus";
const TARGET_VARIABLE: &str = "HOLDFAST_FUZZ_TARGET";
const USAGE: &str =
    "fuzz takes [TARGET..] [--seconds N] [--keep]; soak takes [--minutes N] [TARGET..], or policy-agreement";
/// How long each target runs if nothing is said.
const SECONDS: u64 = 60;
const SOAK_MINUTES: u64 = 5;
const MINUTES_MAX: u64 = 24 * 60;
/// Up to how many files `--keep` fills a corpus (the tests take a few more), and most bytes of the inputs that `--keep` adds to one.
const FILES_MAX: usize = 45;
const KEPT_BYTES_MAX: u64 = 7_000;
/// Counters for each edge of the control flow, and what is compared. Comparisons of memory stay calls, in which the
/// fuzzer can see what would have been equal.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-max-loads-per-memcmp=0",
];

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// All if none is named.
    targets: BTreeSet<String>,
    seconds: u64,
    keep: bool,
}

impl Plan {
    fn fuzz(arguments: &[String]) -> Result<Self> {
        Self::read(arguments, "--seconds", 1, SECONDS, true)
    }

    fn soak(arguments: &[String]) -> Result<Self> {
        Self::read(arguments, "--minutes", 60, SOAK_MINUTES * 60, false)
    }

    /// `time` is the option that says how long, in so many seconds.
    fn read(arguments: &[String], time: &str, unit: u64, otherwise: u64, may_keep: bool) -> Result<Self> {
        let mut plan = Self { targets: BTreeSet::new(), seconds: otherwise, keep: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--keep" if may_keep => plan.keep = true,
                option if option == time => {
                    let number: Option<u64> = arguments.next().and_then(|text| text.parse().ok());
                    let seconds = number.and_then(|number| number.checked_mul(unit));
                    let seconds = seconds.filter(|seconds| (1..=MINUTES_MAX * 60).contains(seconds));
                    plan.seconds = seconds.ok_or_else(usage)?;
                }
                target if !target.starts_with('-') => drop(plan.targets.insert(target.to_owned())),
                _ => return Err(usage()),
            }
        }
        Ok(plan)
    }

    /// The targets that run, out of all there are.
    fn choose(&self, all: &BTreeSet<String>) -> Result<Vec<String>> {
        if let Some(unknown) = self.targets.difference(all).next() {
            let names = all.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(format!("there is no target `{unknown}`: {names}")));
        }
        let chosen = if self.targets.is_empty() { all } else { &self.targets };
        Ok(chosen.iter().cloned().collect())
    }
}

fn usage() -> Error {
    Error::Usage(USAGE.to_owned())
}

/// What the fuzzer said at its end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    coverage: u64,
    features: u64,
    /// Inputs that reached something new.
    added: u64,
    /// Where the input lies that broke something.
    broken: Option<String>,
}

impl Outcome {
    /// Reads libFuzzer's log: `#123 NEW    cov: 4 ft: 5 ...`, `stat::NAME: N`, `Test unit written to PATH`.
    fn read(log: &str) -> Self {
        let mut outcome = Self::default();
        for line in log.lines() {
            let word_after = |name: &str| {
                let rest = line.split_once(name)?.1.trim_start();
                rest.split(' ').next().and_then(|word| word.parse::<u64>().ok())
            };
            // The number of the input stands before a tab.
            if line.starts_with('#') {
                outcome.coverage = word_after(" cov: ").unwrap_or(outcome.coverage);
                outcome.features = word_after(" ft: ").unwrap_or(outcome.features);
            } else if line.starts_with("stat::number_of_executed_units:") {
                outcome.executions = word_after("units:").unwrap_or_default();
            } else if line.starts_with("stat::new_units_added:") {
                outcome.added = word_after("added:").unwrap_or_default();
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                outcome.broken = Some(path.trim().to_owned());
            }
        }
        outcome
    }
}

/// `cargo xtask fuzz [TARGET..] [--seconds N] [--keep]`.
pub fn fuzz(terminal: Terminal, arguments: &[String]) -> Result<()> {
    run(terminal, "fuzz", &Plan::fuzz(arguments)?)
}

/// `cargo xtask soak [--minutes N] [TARGET..]`: every target for minutes, one after the other, and a summary. Before them,
/// or alone by its name, the policy evaluator against Cedar's authorizer.
pub fn soak(terminal: Terminal, arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((name, rest)) if name == agreement::NAME => return agreement::run(terminal, rest),
        _ => {}
    }
    let plan = Plan::soak(arguments)?;
    if plan.targets.is_empty() {
        // Somebody who gives minutes gives them to this too; otherwise it takes what its requests take.
        let bound = if arguments.is_empty() { u64::MAX } else { plan.seconds };
        agreement::run(terminal, &["--seconds".to_owned(), bound.to_string()])?;
    }
    run(terminal, "soak", &plan)
}

/// Runs the targets of a plan; findings are an error, after all targets had their time.
fn run(terminal: Terminal, suite: &str, plan: &Plan) -> Result<()> {
    let mut shell = Shell::new()?;
    let all = folders(&shell.root().join(CORPORA))?;
    let targets = plan.choose(&all)?;
    let mut report = Report::default();
    if let Some(why) = lacking() {
        terminal.skipped(suite, &why);
        report.remark(format!("SKIPPED {suite}: {why}"));
        report.add(suite, Counts { skipped: targets.len(), ..Counts::default() });
        report.print(terminal);
        return Ok(());
    }
    let folder = Path::new(&Graph::load(&shell)?.target_directory).join("fuzz");
    let fuzzer =
        Fuzzer { program: build(terminal, &mut shell, &folder)?, folder, root: shell.root().to_owned() };
    let began = Instant::now();
    let mut sum = Outcome::default();
    for (number, target) in targets.iter().enumerate() {
        terminal.begin(target, &format!("{}, {} of {}", spelled(plan.seconds), number + 1, targets.len()));
        let started = Instant::now();
        let outcome = fuzzer.run(target, plan.seconds)?;
        terminal.result(&format!(
            "{target:<16} {:>10} executions {:>6} edges {:>7} features {:>5} new inputs",
            outcome.executions, outcome.coverage, outcome.features, outcome.added
        ));
        sum.executions = sum.executions.saturating_add(outcome.executions);
        sum.added = sum.added.saturating_add(outcome.added);
        if let Some(path) = outcome.broken {
            let why = format!("this input breaks it: {path}");
            terminal.failed(target, &why);
            terminal.note(&format!("again: {TARGET_VARIABLE}={target} {} {path}", fuzzer.program.display()));
            report.remark(format!("FAILED {target}: {why}"));
            report.add(suite, Counts { failed: 1, ..Counts::default() });
            continue;
        }
        terminal.passed(target, started.elapsed());
        report.add(suite, Counts { passed: 1, ..Counts::default() });
        if plan.keep {
            let kept = fuzzer.keep(target)?;
            terminal.note(&format!("kept {kept} inputs in {CORPORA}/{target}"));
        }
    }
    report.remark(format!(
        "{} targets, {}: {} executions, {} new inputs in {}",
        targets.len(),
        spelled(began.elapsed().as_secs()),
        sum.executions,
        sum.added,
        fuzzer.folder.join("found").display()
    ));
    report.print(terminal);
    match report.total().failed {
        0 => Ok(()),
        count => Err(Error::Findings(count)),
    }
}

/// `90` as `1 min 30 s`.
fn spelled(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// What is missing for fuzzing here, if anything is.
fn lacking() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("libFuzzer is only set up for Linux here".to_owned());
    }
    let compiler = std::env::var_os("CXX").is_some_and(|name| !name.is_empty()) || on_path("c++");
    (!compiler).then(|| {
        "libFuzzer is compiled from C++: install a compiler (package g++), or name one in CXX".to_owned()
    })
}

fn build(terminal: Terminal, shell: &mut Shell, folder: &Path) -> Result<PathBuf> {
    let version = shell.capture(&["rustc", "-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host =
        host.ok_or_else(|| Error::Unexpected { what: "rustc -vV".to_owned(), found: version.clone() })?;
    shell.set("RUSTFLAGS", COVERAGE.join(" "));
    let into = folder.display().to_string();
    // With a target named, build scripts and macros are built without coverage.
    let line =
        ["cargo", "build", "--profile", "fuzz", "--locked", "-p", "holdfast-fuzz", "--features", "libfuzzer"];
    let line = [&line[..], &["--target", host, "--target-dir", &into]].concat();
    terminal.begin("build", "the targets with coverage; the first time takes minutes");
    let started = Instant::now();
    shell.run(&line)?;
    terminal.passed("build", started.elapsed());
    Ok(folder.join(host).join("fuzz/holdfast-fuzz"))
}

/// The built fuzzer, and where it may write.
struct Fuzzer {
    program: PathBuf,
    folder: PathBuf,
    root: PathBuf,
}

impl Fuzzer {
    fn corpus(&self, target: &str) -> PathBuf {
        self.root.join(CORPORA).join(target)
    }

    /// What the fuzzer found so far, this time and earlier ones.
    fn found(&self, target: &str) -> PathBuf {
        self.folder.join("found").join(target)
    }

    fn start(&self, target: &str, arguments: &[&str], folders: &[&Path]) -> Result<(bool, String)> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(folders).env(TARGET_VARIABLE, target).stdin(Stdio::null());
        let output = command.output().map_err(|source| at(&self.program, source))?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn run(&self, target: &str, seconds: u64) -> Result<Outcome> {
        let (found, broken) = (self.found(target), self.folder.join("broken"));
        for folder in [&found, &broken] {
            fs::create_dir_all(folder).map_err(|source| at(folder, source))?;
        }
        let prefix = format!("-artifact_prefix={}/{target}-", broken.display());
        let seconds = format!("-max_total_time={seconds}");
        let limits = ["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"];
        let arguments = [&limits[..], &[seconds.as_str(), prefix.as_str()]].concat();
        let (succeeded, log) = self.start(target, &arguments, &[&found, &self.corpus(target)])?;
        let path = broken.join(format!("{target}.log"));
        fs::write(&path, &log).map_err(|source| at(&path, source))?;
        let outcome = Outcome::read(&log);
        match outcome.broken {
            None if !succeeded => Err(Error::Failed {
                command: format!("{TARGET_VARIABLE}={target} {}", self.program.display()),
                detail: format!("see {}", path.display()),
            }),
            _ => Ok(outcome),
        }
    }

    /// Copies into the corpus some of what reaches something that the corpus does not.
    fn keep(&self, target: &str) -> Result<usize> {
        let corpus = self.corpus(target);
        let merged = self.folder.join("merged").join(target);
        if merged.exists() {
            fs::remove_dir_all(&merged).map_err(|source| at(&merged, source))?;
        }
        fs::create_dir_all(&merged).map_err(|source| at(&merged, source))?;
        let committed = files(&corpus)?;
        for (path, _) in &committed {
            let copy = merged.join(path.file_name().unwrap_or_default());
            fs::copy(path, &copy).map_err(|source| at(path, source))?;
        }
        let (succeeded, log) =
            self.start(target, &["-set_cover_merge=1", "-timeout=20"], &[&merged, &self.found(target)])?;
        if !succeeded {
            return Err(Error::Failed { command: format!("merge of {target}"), detail: log });
        }
        let names: BTreeSet<_> = committed.iter().filter_map(|(path, _)| path.file_name()).collect();
        let mut new = files(&merged)?;
        new.retain(|(path, _)| path.file_name().is_some_and(|name| !names.contains(name)));
        let had: u64 = committed.iter().filter(|(path, _)| is_found(path)).map(|(_, size)| size).sum();
        let chosen =
            spread(new, FILES_MAX.saturating_sub(committed.len()), KEPT_BYTES_MAX.saturating_sub(had));
        for path in &chosen {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let copy = corpus.join(format!("found-{}", name.get(..16).unwrap_or(&name)));
            fs::copy(path, &copy).map_err(|source| at(path, source))?;
        }
        Ok(chosen.len())
    }
}

/// As many as fit, from the shortest to the longest in even steps: many are small ways of being refused.
fn spread(mut found: Vec<(PathBuf, u64)>, files_max: usize, bytes_max: u64) -> Vec<PathBuf> {
    found.retain(|(_, size)| *size <= bytes_max / 4);
    found.sort_by(|(one, a), (other, b)| (a, one).cmp(&(b, other)));
    for step in 1..=found.len() {
        let chosen = || found.iter().rev().step_by(step);
        if chosen().count() <= files_max && chosen().map(|(_, size)| size).sum::<u64>() <= bytes_max {
            return chosen().map(|(path, _)| path.clone()).collect();
        }
    }
    Vec::new()
}

fn is_found(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("found-"))
}

fn folders(within: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(within).map_err(|source| at(within, source))?;
    let folders = entries.filter_map(|entry| entry.ok()).filter(|entry| entry.path().is_dir());
    Ok(folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// The files in a folder with their lengths.
fn files(within: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let entries = fs::read_dir(within).map_err(|source| at(within, source))?;
    Ok(entries
        .filter_map(|entry| Some((entry.as_ref().ok()?.path(), entry.as_ref().ok()?.metadata().ok()?.len())))
        .collect())
}

fn at(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn plan(targets: &[&str], seconds: u64, keep: bool) -> Plan {
        Plan { targets: targets.iter().map(|target| (*target).to_owned()).collect(), seconds, keep }
    }

    #[test]
    fn reads_its_command_line() {
        let fuzz = |line: &str| Plan::fuzz(&words(line));
        assert_eq!(fuzz("").unwrap(), plan(&[], SECONDS, false));
        assert_eq!(fuzz("--seconds 5 psbt --keep").unwrap(), plan(&["psbt"], 5, true));
        assert_eq!(fuzz("wire psbt").unwrap(), plan(&["psbt", "wire"], SECONDS, false));
        for line in ["--seconds", "--seconds 0", "--seconds x", "--minutes 1", "--fast"] {
            assert!(fuzz(line).is_err(), "{line}");
        }
        let all = BTreeSet::from(["evm".to_owned(), "psbt".to_owned()]);
        assert_eq!(fuzz("psbt").unwrap().choose(&all).unwrap(), ["psbt"]);
        assert_eq!(fuzz("").unwrap().choose(&all).unwrap(), ["evm", "psbt"]);
        assert!(fuzz("evm psb").unwrap().choose(&all).unwrap_err().to_string().contains("evm, psbt"));
    }

    #[test]
    fn soaks_for_minutes_and_keeps_nothing() {
        let soak = |line: &str| Plan::soak(&words(line));
        assert_eq!(soak("").unwrap(), plan(&[], SOAK_MINUTES * 60, false));
        assert_eq!(soak("gate --minutes 2 codes").unwrap(), plan(&["codes", "gate"], 120, false));
        for line in [
            "--minutes",
            "--minutes 0",
            "--minutes 1441",
            "--minutes 99999999999999999999",
            "--keep",
            "--seconds 1",
        ] {
            assert!(soak(line).is_err(), "{line}");
        }
        assert_eq!(["5 s", "2 min", "1 min 1 s"], [5, 120, 61].map(spelled));
    }

    #[test]
    fn keeps_short_and_long_inputs_within_bounds() {
        let all: Vec<(PathBuf, u64)> = (1..=100).map(|size| (format!("{size:03}").into(), size)).collect();
        assert_eq!(spread(all.clone(), 100, 1_000_000).len(), 100);
        let few = spread(all.clone(), 10, 1_000_000);
        assert_eq!((few.len(), few.first(), few.last()), (10, Some(&"100".into()), Some(&"010".into())));
        let small = spread(all.clone(), 100, 200);
        let sum: u64 = small.iter().map(|path| path.display().to_string().parse::<u64>().unwrap()).sum();
        assert!(small.len() > 3 && sum <= 200, "{small:?}");
        assert!(spread(all, 0, 1_000).is_empty() && spread(vec![], 10, 1_000).is_empty());
    }

    #[test]
    fn reads_what_the_fuzzer_says() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 7 ft: 8 corp: 1/1b exec/s: 0 rss: 27Mb\n\
            #2797\tDONE   cov: 615 ft: 912 corp: 175/14211b lim: 2453 exec/s: 45992 rss: 34Mb\n\
            stat::number_of_executed_units: 2797\nstat::new_units_added:          216\n";
        let outcome = Outcome { executions: 2797, coverage: 615, features: 912, added: 216, broken: None };
        assert_eq!(Outcome::read(log), outcome);
        let log = "artifact_prefix='x'; Test unit written to x/evm-crash-00\nBase64: aGVsbG8=\n";
        assert_eq!(Outcome::read(log).broken.as_deref(), Some("x/evm-crash-00"));
        let every =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CORPORA).join(name).is_dir();
        assert!(every("psbt") && every("wire"));
    }
}
