//! The measurements behind `docs/benchmarks.md`: `cargo xtask bench [--quick] [--json] [--write] [PART...]`.
//!
//! Each part is a module and prints a table. Nothing here is a test: no number of this crate fails a build.

mod assertions;
mod backtest;
mod codes;
mod cpu;
mod evaluator;
mod gate;
mod gateway;
mod house;
mod http;
mod instructions;
mod peers;
mod pipeline;
mod policies;
mod proofs;
mod report;
mod server;
mod signer;
mod simulator;
mod size;
mod transactions;
mod world;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::report::Report;

/// Whatever stops a measurement, with its text.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Smaller numbers: everything in about a minute.
    pub(crate) quick: bool,
    json: bool,
    write: bool,
    root: PathBuf,
    scratch: PathBuf,
    child: Option<(String, PathBuf)>,
    rest: Vec<String>,
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut options = Self {
            quick: false,
            json: false,
            write: false,
            root,
            scratch: std::env::temp_dir(),
            child: None,
            rest: Vec::new(),
        };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--write" => options.write = true,
                "--dir" => {
                    let dir = arguments.next().ok_or("--dir needs a directory: the disk to measure on")?;
                    options.scratch = dir.into();
                }
                "--child" => {
                    let mode = arguments.next().ok_or("--child is for this program's own use")?;
                    let dir = arguments.next().ok_or("--child is for this program's own use")?;
                    options.child = Some((mode, dir.into()));
                }
                other if other.starts_with("--") => {
                    return Err(format!("`{other}` means nothing here").into());
                }
                _ => options.rest.push(argument),
            }
        }
        Ok(options)
    }

    /// The root of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is measured is to be written down.
    pub(crate) const fn is_writing(&self) -> bool {
        self.write
    }

    /// The shipped pack.
    pub(crate) fn pack(&self) -> PathBuf {
        self.root.join("policies/baseline")
    }

    /// An empty directory of this process's own, on the disk that is measured.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, Failure> {
        let dir = self.scratch.join(format!("holdfast-bench-{name}-{}", std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        Ok(dir)
    }
}

/// A part's name and what measures it.
type Part = (&'static str, fn(&Options) -> Result<Report, Failure>);

const PARTS: [Part; 15] = [
    ("pipeline", pipeline::run),
    ("evaluator", evaluator::run),
    ("policy", policies::run),
    ("proofs", proofs::run),
    ("backtest", backtest::run),
    ("size", size::run),
    ("instructions", instructions::run),
    ("http", http::run),
    ("signer", signer::run),
    ("transactions", transactions::run),
    ("gate", gate::run),
    ("gateway", gateway::run),
    ("assertions", assertions::run),
    ("codes", codes::run),
    ("simulator", simulator::run),
];

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            progress(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    if let Some((mode, dir)) = &options.child {
        let values = match mode.strip_prefix("workload-") {
            Some(workload) => instructions::workload(workload, dir)?,
            None => size::as_child(options, mode, dir)?,
        };
        return print(&values.to_string());
    }
    let is_part = |name: &String| PARTS.iter().any(|(part, _)| part == name);
    if let Some(unknown) = options.rest.iter().find(|name| !is_part(name)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no part `{unknown}`: {}", names.join(", ")).into());
    }
    let mut values = Map::new();
    for (name, part) in PARTS {
        if !options.rest.is_empty() && !options.rest.iter().any(|wanted| wanted == name) {
            continue;
        }
        let report = part(options)?;
        if !options.json {
            print(&format!("\n{name}\n\n{}\n", report.markdown()))?;
        }
        if options.write {
            report.write(&options.root.join("docs/benchmarks.md"))?;
        }
        values.insert(name.to_owned(), report.json());
    }
    if options.json {
        print(&serde_json::to_string_pretty(&Value::Object(values))?)?;
    }
    Ok(())
}

/// A result, on standard output.
fn print(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// What is going on, on standard error; a closed pipe does not end a measurement.
pub(crate) fn progress(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
