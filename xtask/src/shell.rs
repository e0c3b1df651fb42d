//! Running other programs from the root of the workspace, and saying exactly what was run when one fails.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// The root of the workspace and the environment that child programs get.
#[derive(Clone, Debug)]
pub struct Shell {
    root: PathBuf,
    environment: Vec<(String, OsString)>,
}

impl Shell {
    /// A shell in the workspace that this xtask was built from.
    pub fn new() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().ok_or_else(|| Error::Unexpected {
            what: "CARGO_MANIFEST_DIR".to_owned(),
            found: manifest.display().to_string(),
        })?;
        Ok(Self { root: root.to_owned(), environment: Vec::new() })
    }

    /// The root of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Sets a variable for every program run from now on.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    fn command(&self, line: &[&str]) -> Result<Command> {
        let (program, arguments) =
            line.split_first().ok_or_else(|| Error::Usage("an empty command line".to_owned()))?;
        // `cargo` must be the one that started us, so that the toolchain stays the same.
        let program = match (*program, std::env::var_os("CARGO")) {
            ("cargo", Some(cargo)) => cargo,
            (other, _) => other.into(),
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Runs a program whose output goes where ours goes.
    pub fn run(&self, line: &[&str]) -> Result<()> {
        let status = self.command(line)?.status().map_err(|e| not_started(line, &e))?;
        if status.success() { Ok(()) } else { Err(failed(line, status.to_string())) }
    }

    /// Runs a program and returns its standard output.
    pub fn capture(&self, line: &[&str]) -> Result<String> {
        let output = self.command(line)?.output().map_err(|e| not_started(line, &e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(line, format!("{}: {}", output.status, said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a program, passes its standard output on line by line and returns it with whether the program succeeded.
    pub fn tee(&self, line: &[&str]) -> Result<(bool, String)> {
        let mut child =
            self.command(line)?.stdout(Stdio::piped()).spawn().map_err(|e| not_started(line, &e))?;
        let mut seen = String::new();
        if let Some(stdout) = child.stdout.take() {
            for text in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                drop(writeln!(std::io::stdout().lock(), "{text}"));
                seen.push_str(&text);
                seen.push('\n');
            }
        }
        let status = child.wait().map_err(|e| not_started(line, &e))?;
        Ok((status.success(), seen))
    }

    /// True if the program starts and ends well, whatever it prints.
    pub fn works(&self, line: &[&str]) -> bool {
        let Ok(mut command) = self.command(line) else { return false };
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// True if `program` is somewhere on `PATH`.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn not_started(line: &[&str], error: &std::io::Error) -> Error {
    let program = line.first().copied().unwrap_or_default().to_owned();
    if error.kind() == std::io::ErrorKind::NotFound {
        Error::Missing { program, advice: "install it, or run `cargo xtask test`, which does".to_owned() }
    } else {
        failed(line, error.to_string())
    }
}

fn failed(line: &[&str], detail: String) -> Error {
    Error::Failed { command: line.join(" "), detail }
}
