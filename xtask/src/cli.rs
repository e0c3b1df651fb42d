//! The commands of `cargo xtask` and the reading of its command line. A new command is a module beside this one and a
//! row of `COMMANDS`.

use std::process::ExitCode;

use crate::bench;
use crate::demo;
use crate::error::{Error, Result};
use crate::fuzz;
use crate::mutants;
use crate::steps;
use crate::ui::Terminal;

/// A command: what is typed, what it is for, and what does it with the arguments that follow.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(Terminal, &[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "install what the tests use, then run every check and test; this is what .ci/run runs",
        run: |terminal, arguments| no_arguments(arguments).and_then(|()| steps::test(terminal)),
    },
    Command {
        name: "ci",
        about: "run every check and test, and install nothing",
        run: |terminal, arguments| no_arguments(arguments).and_then(|()| steps::ci(terminal)),
    },
    Command {
        name: "tidy",
        about: "check the rules of the house alone: documents, sources, dependencies (seconds)",
        run: |terminal, arguments| no_arguments(arguments).and_then(|()| steps::tidy(terminal)),
    },
    Command {
        name: "demo",
        about: "play a day and an attack under two packs, show a table: [--exit] [--seed N] [--customers N] [--quick]",
        run: demo::demo,
    },
    Command {
        name: "mutants",
        about: "break the core in small ways and see the named tests notice: [--only NAME] [--sample SEED]",
        run: mutants::mutants,
    },
    Command {
        name: "fuzz",
        about: "let the fuzzer try every reader of outside bytes: [TARGET..] [--seconds N] [--keep]",
        run: fuzz::fuzz,
    },
    Command {
        name: "soak",
        about: "let the fuzzer try every reader for minutes, one after the other: [--minutes N] [TARGET..|policy-agreement]",
        run: fuzz::soak,
    },
    Command {
        name: "bench",
        about: "measure, in release: [--quick] [--json] [--write] [--dir DISK] [PART..]",
        run: bench::bench,
    },
];

/// Runs the command that the arguments name.
pub fn main(arguments: &[String]) -> ExitCode {
    let terminal = Terminal::detect();
    match dispatch(terminal, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.error(&error.to_string());
            match error {
                Error::Usage(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn dispatch(terminal: Terminal, arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Error::Usage(format!("name a command: {}", names())));
    };
    if ["--help", "-h", "help"].contains(&name.as_str()) {
        terminal.result(&help());
        return Ok(());
    }
    let command = COMMANDS.iter().find(|command| command.name == name);
    let command =
        command.ok_or_else(|| Error::Usage(format!("there is no command `{name}`: {}", names())))?;
    if rest.iter().any(|argument| ["--help", "-h"].contains(&argument.as_str())) {
        terminal.result(&format!("cargo xtask {}\n  {}", command.name, command.about));
        return Ok(());
    }
    (command.run)(terminal, rest)
}

fn no_arguments(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Error::Usage(format!("`{argument}` means nothing here"))),
    }
}

fn names() -> String {
    COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>().join(", ")
}

fn help() -> String {
    let mut text = "The habits of this workspace.\n\nUsage: cargo xtask COMMAND\n\nCommands:\n".to_owned();
    for command in COMMANDS {
        text.push_str(&format!("  {:<8} {}\n", command.name, command.about));
    }
    text.push_str(
        "\nResults go to standard output, progress to standard error. NO_COLOR switches colour off.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<()> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        dispatch(Terminal::plain(), &arguments)
    }

    #[test]
    fn says_what_is_wrong_with_a_command_line() {
        for (arguments, needle) in [
            (&[][..], "name a command: test, ci, tidy"),
            (&["tset"][..], "there is no command `tset`"),
            (&["tidy", "--fast"][..], "`--fast` means nothing here"),
        ] {
            let error = run(arguments).unwrap_err().to_string();
            assert!(error.contains(needle), "{error}");
        }
    }

    #[test]
    fn help_names_every_command() {
        assert!(run(&["--help"]).is_ok() && run(&["tidy", "-h"]).is_ok());
        assert!(COMMANDS.iter().all(|command| help().contains(command.name)));
    }
}
