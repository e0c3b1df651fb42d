//! `cargo xtask soak policy-agreement`: the policy evaluator held against Cedar's own authorizer on ten million requests.
//!
//! What is compared and how is the business of `holdfast-cedar` (`examples/agreement.rs`), whose options pass through.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::metadata::Graph;
use crate::shell::Shell;
use crate::ui::Terminal;

/// The part of a soak.
pub const NAME: &str = "policy-agreement";
const OPTIONS: [&str; 4] = ["--requests", "--seed", "--from", "--seconds"];

/// Builds the comparison in release and runs it over every shipped pack.
pub fn run(terminal: Terminal, arguments: &[String]) -> Result<()> {
    let odd = arguments.iter().step_by(2).find(|name| !OPTIONS.contains(&name.as_str()));
    if odd.is_some() || !arguments.len().is_multiple_of(2) {
        return Err(Error::Usage(format!("{NAME} takes {} with a number each", OPTIONS.join(", "))));
    }
    let shell = Shell::new()?;
    let line = ["cargo", "build", "--release", "--locked", "-p", "holdfast-cedar", "--example", "agreement"];
    terminal.begin("build", &line.join(" "));
    shell.run(&line)?;
    let target = Graph::load(&shell)?.target_directory;
    let program = Path::new(&target).join("release/examples/agreement").display().to_string();
    let packs = packs(&shell.root().join("policies"))?;
    terminal.begin(NAME, &format!("{} shipped packs", packs.len()));
    let began = Instant::now();
    let line: Vec<&str> = [program.as_str()]
        .into_iter()
        .chain(arguments.iter().map(String::as_str))
        .chain(packs.iter().map(String::as_str))
        .collect();
    shell.run(&line)?;
    terminal.passed(NAME, began.elapsed());
    Ok(())
}

fn packs(within: &Path) -> Result<Vec<String>> {
    let at = |source| Error::File { path: within.to_owned(), source };
    let mut packs = Vec::new();
    for entry in fs::read_dir(within).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if path.is_dir() {
            packs.push(path.display().to_string());
        }
    }
    packs.sort();
    Ok(packs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_command_line_before_it_builds() {
        for line in ["--requests", "--requests 5 --fast 1", "psbt"] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(matches!(run(Terminal::plain(), &words), Err(Error::Usage(_))), "{line}");
        }
    }

    #[test]
    fn finds_the_shipped_packs() {
        let within = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        assert!(packs(&within).unwrap().iter().any(|pack| pack.ends_with("baseline")));
    }
}
