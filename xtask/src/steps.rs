//! The steps of a check, in the order in which they find most for least time: rules, format, build, lints, tests.
//!
//! A step that fails does not stop those after it, so one run tells everything; only a failed build does.

use std::path::Path;
use std::time::Instant;

use crate::dependencies;
use crate::error::{Error, Result};
use crate::install;
use crate::metadata::Graph;
use crate::mutants;
use crate::report::{self, Counts, Report};
use crate::shell::Shell;
use crate::tidy::{self, Finding, Tree};
use crate::ui::Terminal;

/// The suite that the rules and cargo's own checks are counted in.
const CHECKS: &str = "checks";

/// A run of steps: where it happens and what came of it so far.
struct Run {
    shell: Shell,
    terminal: Terminal,
    report: Report,
}

/// `cargo xtask tidy`: the rules of the house alone.
pub fn tidy(terminal: Terminal) -> Result<()> {
    let shell = Shell::new()?;
    let graph = Graph::load(&shell)?;
    let mut run = Run { shell, terminal, report: Report::default() };
    run.rules(&graph)?;
    run.finish()
}

/// `cargo xtask ci`: every check and test; installs nothing.
pub fn ci(terminal: Terminal) -> Result<()> {
    let shell = Shell::new()?;
    let graph = Graph::load(&shell)?;
    let mut run = Run { shell, terminal, report: Report::default() };
    run.all(&graph)
}

/// `cargo xtask test`: installs what the tests use, then does what [`ci`] does.
pub fn test(terminal: Terminal) -> Result<()> {
    let shell = Shell::new()?;
    let graph = Graph::load(&shell)?;
    let mut run = Run { shell, terminal, report: Report::default() };
    install::everything(&mut run.shell, Path::new(&graph.target_directory), terminal, &mut run.report);
    run.all(&graph)
}

impl Run {
    fn all(&mut self, graph: &Graph) -> Result<()> {
        self.rules(graph)?;
        self.advisories();
        self.check("format", &["cargo", "fmt", "--all", "--check"]);
        if self.check("build", &["cargo", "build", "--workspace", "--all-targets", "--locked"]) {
            let clippy =
                ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
            self.check("clippy", &clippy);
            let docs = ["cargo", "doc", "--workspace", "--no-deps", "--locked"];
            self.check("docs", &[&["env", "RUSTDOCFLAGS=-D warnings"], &docs[..]].concat());
            self.tests()?;
            self.doc_tests()?;
            self.mutants()?;
        } else {
            self.report.remark("the tests were not run, since the build failed".to_owned());
        }
        self.finish()
    }

    /// Prints the report. An error if anything failed.
    fn finish(&self) -> Result<()> {
        self.report.print(self.terminal);
        match self.report.total().failed {
            0 => Ok(()),
            count => Err(Error::Findings(count)),
        }
    }

    fn rules(&mut self, graph: &Graph) -> Result<()> {
        let started = Instant::now();
        self.terminal.begin("rules", "the repository and what it is built from");
        let tree = Tree::load(&self.shell)?;
        let mut results = tidy::check_all(&tree);
        results.extend(dependencies::check_all(&self.shell, graph, &tree)?);
        for (rule, findings) in results {
            self.count_rule(rule, &findings);
        }
        self.terminal.passed("rules read", started.elapsed());
        Ok(())
    }

    fn count_rule(&mut self, rule: &str, findings: &[Finding]) {
        if findings.is_empty() {
            self.report.add(CHECKS, Counts { passed: 1, ..Counts::default() });
            return;
        }
        self.report.add(CHECKS, Counts { failed: 1, ..Counts::default() });
        self.terminal.failed(rule, &Error::Findings(findings.len()).to_string());
        for finding in findings {
            self.report.remark(format!("FAILED {finding}"));
        }
    }

    /// Known advisories need a database that is not part of this repository: they are looked up if it is there.
    fn advisories(&mut self) {
        let has_database = std::env::var_os("CARGO_HOME")
            .map(std::path::PathBuf::from)
            .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")))
            .is_some_and(|home| home.join("advisory-db").is_dir());
        if has_database && self.shell.works(&["cargo", "audit", "--version"]) {
            self.check("advisories", &["cargo", "audit", "--no-fetch"]);
        } else {
            self.skip(
                "advisories",
                "needs `cargo audit` and its database (run `cargo audit fetch` where there is a network)",
            );
        }
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.terminal.skipped(name, why);
        self.report.remark(format!("SKIPPED {name}: {why}"));
        self.report.add(CHECKS, Counts { skipped: 1, ..Counts::default() });
    }

    /// Runs one of cargo's checks and counts it. True if it passed.
    fn check(&mut self, name: &str, line: &[&str]) -> bool {
        let started = Instant::now();
        self.terminal.begin(name, &line.join(" "));
        match self.shell.run(line) {
            Ok(()) => {
                self.terminal.passed(name, started.elapsed());
                self.report.add(CHECKS, Counts { passed: 1, ..Counts::default() });
                true
            }
            Err(error) => {
                self.terminal.failed(name, &error.to_string());
                self.report.remark(format!("FAILED {name}: {error}"));
                self.report.add(CHECKS, Counts { failed: 1, ..Counts::default() });
                false
            }
        }
    }

    /// All tests but those in documentation, by nextest if it is there, which runs each in a process of its own.
    fn tests(&mut self) -> Result<()> {
        const NAME: &str = "tests";
        let started = Instant::now();
        let (succeeded, counts, skips);
        if self.shell.works(&["cargo", "nextest", "--version"]) {
            let line = ["cargo", "nextest", "run", "--workspace", "--locked", "--no-fail-fast"];
            self.terminal.begin(NAME, &line.join(" "));
            // Nextest keeps its reports in the workspace, wherever cargo builds to.
            let junit = self.shell.root().join("target/nextest/default/junit.xml");
            // What an earlier run left must not be read as this one's.
            drop(std::fs::remove_file(&junit));
            succeeded = self.shell.run(&line).is_ok();
            let xml = std::fs::read_to_string(&junit).unwrap_or_default();
            (counts, skips) = report::read_junit(&xml);
        } else {
            let line =
                ["cargo", "test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-fail-fast"];
            let line = [&line[..], &["--", "--show-output"]].concat();
            self.terminal.begin(NAME, &line.join(" "));
            let (ended_well, output) = self.shell.tee(&line)?;
            succeeded = ended_well;
            (counts, skips) = report::read_cargo_test(&output);
        }
        self.count_tests(NAME, succeeded, counts, skips, started);
        Ok(())
    }

    fn doc_tests(&mut self) -> Result<()> {
        const NAME: &str = "doc tests";
        let started = Instant::now();
        let line = ["cargo", "test", "--workspace", "--doc", "--locked", "--no-fail-fast"];
        self.terminal.begin(NAME, &line.join(" "));
        let (succeeded, output) = self.shell.tee(&line)?;
        let (counts, skips) = report::read_cargo_test(&output);
        self.count_tests(NAME, succeeded, counts, skips, started);
        Ok(())
    }

    /// Every small way of being wrong is noticed by the test that is named for it.
    fn mutants(&mut self) -> Result<()> {
        const NAME: &str = "mutants";
        let started = Instant::now();
        let all = mutants::load(&self.shell)?;
        let counts = match mutants::try_all(self.terminal, &self.shell, &all) {
            Ok(alive) => Counts { passed: all.len().saturating_sub(alive), failed: alive, skipped: 0 },
            Err(error) => {
                self.report.remark(format!("FAILED {NAME}: {error}"));
                Counts { failed: 1, ..Counts::default() }
            }
        };
        self.count_tests(NAME, counts.failed == 0, counts, Vec::new(), started);
        Ok(())
    }

    fn count_tests(
        &mut self,
        name: &str,
        succeeded: bool,
        counts: Counts,
        skips: Vec<String>,
        started: Instant,
    ) {
        let mut counts = counts;
        if !succeeded && counts.failed == 0 {
            // The runner itself failed, for example before its first test.
            counts.failed = 1;
        }
        for skip in skips {
            self.terminal.skipped(name, &skip);
            self.report.remark(format!("SKIPPED {skip}"));
        }
        if counts.failed == 0 {
            self.terminal.passed(name, started.elapsed());
        } else {
            let text = format!("{} failed", counts.failed);
            self.terminal.failed(name, &text);
            self.report.remark(format!("FAILED {name}: {text}"));
        }
        self.report.add(name, counts);
    }
}
