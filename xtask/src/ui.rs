//! What xtask says on the terminal: one line when a step begins, one when it ends, colour only where a person looks.
//!
//! Progress goes to standard error and results to standard output, so that a pipe gets results alone.

use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Where progress and results are written.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    colour: bool,
}

/// The colour of a word.
#[derive(Clone, Copy, Debug)]
enum Colour {
    Bold,
    Green,
    Red,
    Yellow,
}

impl Terminal {
    /// Colour is used when standard error is a terminal and `NO_COLOR` is not set.
    pub fn detect() -> Self {
        Self { colour: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Never any colour: for tests.
    pub fn plain() -> Self {
        Self { colour: false }
    }

    fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Bold => "1",
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    // A closed pipe must not end a run of checks, so a failed write is dropped.
    fn progress(text: &str) {
        drop(writeln!(std::io::stderr().lock(), "{text}"));
    }

    /// A step begins.
    pub fn begin(self, name: &str, what: &str) {
        Self::progress(&format!("{} {}", self.paint(Colour::Bold, &format!("==> {name}:")), what));
    }

    /// A step ended well.
    pub fn passed(self, name: &str, took: Duration) {
        Self::progress(&format!("    {} {name} ({:.1?})", self.paint(Colour::Green, "passed"), took));
    }

    /// A step ended badly.
    pub fn failed(self, name: &str, why: &str) {
        Self::progress(&format!("    {} {name}: {why}", self.paint(Colour::Red, "FAILED")));
    }

    /// Something was not done.
    pub fn skipped(self, name: &str, why: &str) {
        Self::progress(&format!("    {} {name}: {why}", self.paint(Colour::Yellow, "SKIPPED")));
    }

    /// Something worth knowing that is no result.
    pub fn note(self, text: &str) {
        Self::progress(&format!("    {text}"));
    }

    /// A result line, on standard output.
    pub fn result(self, text: &str) {
        drop(writeln!(std::io::stdout().lock(), "{text}"));
    }

    /// The last word of a command that could not go on.
    pub fn error(self, text: &str) {
        Self::progress(&format!("{} {text}", self.paint(Colour::Red, "error:")));
    }
}
