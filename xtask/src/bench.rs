//! `cargo xtask bench`: builds what measures, in release, and runs it. What is measured and how is the business of
//! `holdfast-bench`; its arguments pass through.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Result;
use crate::metadata::Graph;
use crate::shell::Shell;
use crate::ui::Terminal;

/// The parts that run other binaries than the bench's own, and whose.
const SERVED: [(&str, &str); 5] = [
    ("http", "holdfast-server"),
    ("signer", "holdfast-signer"),
    ("transactions", "holdfast-server"),
    ("transactions", "holdfast-signer"),
    ("gateway", "holdfast-server"),
];
/// Where libraries in other languages are, that some parts compare with: what `cargo xtask test` installed.
const PYTHON: &str = "HOLDFAST_TEST_PYTHON";

/// Builds and runs the measurements that the arguments name, or all of them.
pub fn bench(terminal: Terminal, arguments: &[String]) -> Result<()> {
    let mut shell = Shell::new()?;
    let graph = Graph::load(&shell)?;
    let python = Path::new(&graph.target_directory).join("test-python/bin/python");
    if std::env::var_os(PYTHON).is_none() && python.is_file() {
        shell.set(PYTHON, python);
    }
    let mut build = vec!["cargo", "build", "--release", "--locked", "-p", "holdfast-bench"];
    for package in served(arguments) {
        build.extend(["-p", package]);
    }
    terminal.begin("build", &build.join(" "));
    shell.run(&build)?;
    let program = Path::new(&graph.target_directory).join("release/holdfast-bench").display().to_string();
    terminal.begin("bench", "progress follows; --quick takes about five minutes, everything about twenty");
    let line: Vec<&str> =
        [program.as_str()].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    shell.run(&line)
}

/// The packages whose binaries are run: by the parts that are named, or by all if none is.
fn served(arguments: &[String]) -> BTreeSet<&'static str> {
    let mut parts = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Its directory is no part.
            "--dir" => drop(arguments.next()),
            option if option.starts_with("--") => {}
            part => parts.push(part),
        }
    }
    let is_run = |part| parts.is_empty() || parts.contains(&part);
    SERVED.into_iter().filter(|(part, _)| is_run(part)).map(|(_, package)| package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_other_binaries_only_where_they_are_run() {
        let built = |line: &str| {
            let line: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            served(&line).into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(built(""), "holdfast-server holdfast-signer");
        assert_eq!(built("--quick"), "holdfast-server holdfast-signer");
        assert_eq!(built("size http"), "holdfast-server");
        assert_eq!(built("--dir pipeline signer"), "holdfast-signer");
        assert_eq!(built("pipeline assertions codes gate"), "");
        assert_eq!(built("gateway"), "holdfast-server");
        assert_eq!(built("--json --dir http size"), "");
    }
}
