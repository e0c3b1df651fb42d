//! `cargo xtask bench`: builds what measures, in release, and runs it. What is measured and how is the business of
//! `holdfast-bench`; its arguments pass through.

use std::path::Path;

use crate::error::Result;
use crate::metadata::Graph;
use crate::shell::Shell;
use crate::ui::Terminal;

/// The part that needs the server, which takes longest to build.
const SERVED: &str = "http";

/// Builds and runs the measurements that the arguments name, or all of them.
pub fn bench(terminal: Terminal, arguments: &[String]) -> Result<()> {
    let shell = Shell::new()?;
    let graph = Graph::load(&shell)?;
    let mut build = vec!["cargo", "build", "--release", "--locked", "-p", "holdfast-bench"];
    if needs_server(arguments) {
        build.extend(["-p", "holdfast-server"]);
    }
    terminal.begin("build", &build.join(" "));
    shell.run(&build)?;
    let program = Path::new(&graph.target_directory).join("release/holdfast-bench").display().to_string();
    terminal.begin("bench", "progress follows; --quick takes about a minute, everything about ten");
    let line: Vec<&str> =
        [program.as_str()].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    shell.run(&line)
}

/// True if the server is measured: it is named, or no part is.
fn needs_server(arguments: &[String]) -> bool {
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
    parts.is_empty() || parts.contains(&SERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_the_server_only_where_it_is_measured() {
        let needs =
            |line: &str| needs_server(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert!(needs("") && needs("--quick") && needs("--dir pipeline") && needs("size http"));
        assert!(!needs("pipeline") && !needs("--json --dir http size"));
    }
}
