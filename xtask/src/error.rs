//! Why an xtask command cannot go on. Findings of a check are not errors: they are counted in the report.

use std::fmt;
use std::path::PathBuf;

/// Why a command of xtask cannot go on.
#[derive(Debug)]
pub enum Error {
    /// The command line cannot be understood.
    Usage(String),
    /// A program that is needed is not installed.
    Missing {
        /// The program's name.
        program: String,
        /// How to get it.
        advice: String,
    },
    /// A program ran and ended with an error.
    Failed {
        /// The command line as one would type it.
        command: String,
        /// Its exit status and, where it was captured, what it said.
        detail: String,
    },
    /// A file could not be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another program's answer has not the form that it should have.
    Unexpected {
        /// Whose answer.
        what: String,
        /// What is wrong with it.
        found: String,
    },
    /// A check has findings, which were printed.
    Findings(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "{text} (try `cargo xtask --help`)"),
            Self::Missing { program, advice } => write!(f, "`{program}` is not installed: {advice}"),
            Self::Failed { command, detail } => write!(f, "`{command}` failed: {detail}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Unexpected { what, found } => {
                write!(f, "{what} gave an answer that xtask does not know: {found}")
            }
            Self::Findings(1) => write!(f, "1 finding"),
            Self::Findings(count) => write!(f, "{count} findings"),
        }
    }
}

impl std::error::Error for Error {}

/// The result of an xtask function.
pub type Result<T> = std::result::Result<T, Error>;
