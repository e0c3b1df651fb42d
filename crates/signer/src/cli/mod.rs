//! The command line: what the binary `holdfast-signer` can be told. The work itself is done by the other rooms.

mod arguments;
mod assertion;
mod control;
mod credential;
mod policy;
mod report;
mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Given, Takes, Usage};
use report::{Report, Value};

use crate::client::ClientError;
use crate::files::FileError;
use crate::pins::PinsError;
use crate::refused::Refused;
use crate::serve::ServeError;
use crate::signer::OpenError;
use crate::store::StoreError;

const HELP: &str = "\
The last word beside the wallet's keys: verifies a release, compares the transaction, spends it once.

Usage: holdfast-signer COMMAND [ARGUMENTS] [--json] [--help]

  init        make the store and the signer's key, once
  verify      check a release and a transaction, and print what is paid to whom
  serve       answer wallets on a Unix socket
  status      how the signer stands
  halt        sign nothing any more
  resume      sign again, with operators' signatures
  act         do what operators signed: halt, resume_signer, begin_epoch, adopt_store
  void        never pay a withdrawal
  recover     export the signed statement of everything that was authorised
  credential  customers' keys as this signer knows them: list, enrol, remove
  policy      the policies that it follows: list, introduce, stop
  assertion   check assertions of customers' keys, away from any signer

Exit code: 0 done, 1 refused or failed (the code stands on standard error), 2 wrong usage.
";

/// One command: what it takes, how it reads, what it does.
struct Command {
    name: &'static str,
    takes: Takes,
    help: &'static str,
    run: fn(&Takes, &Given) -> Result<Report, Failure>,
}

const COMMANDS: [&Command; 12] = [
    &control::INIT,
    &verify::VERIFY,
    &control::SERVE,
    &control::STATUS,
    &control::HALT,
    &control::RESUME,
    &control::ACT,
    &control::VOID,
    &control::RECOVER,
    &credential::CREDENTIAL,
    &policy::POLICY,
    &assertion::ASSERTION,
];

/// Why a command ends with an error.
enum Failure {
    Usage(Usage),
    Refused {
        code: String,
        text: String,
    },
    /// The answer is given, and it is no.
    Told(Report),
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Refused { code: error.code().to_owned(), text: error.to_string() }
    }
}

macro_rules! failure_from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Refused { code: error.code().to_owned(), text: error.to_string() }
            }
        })*
    };
}

failure_from!(Refused, OpenError, PinsError, ServeError, FileError, StoreError);

/// Runs the command line.
pub fn main() -> ExitCode {
    let mut arguments: Vec<String> = Vec::new();
    for argument in std::env::args_os().skip(1) {
        match argument.into_string() {
            Ok(argument) => arguments.push(argument),
            Err(_) => return print("", "error: usage: arguments must be UTF-8\n", 2),
        }
    }
    let mut arguments = arguments.into_iter();
    let Some(name) = arguments.next() else { return print("", HELP, 2) };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return print(HELP, "", 0);
    }
    if matches!(name.as_str(), "--version" | "-V") {
        return print(concat!("holdfast-signer ", env!("CARGO_PKG_VERSION"), "\n"), "", 0);
    }
    let Some(command) = COMMANDS.into_iter().find(|command| command.name == name) else {
        return print("", &format!("error: usage: no command {name:?}\n\n{HELP}"), 2);
    };
    let given = match Given::parse(&command.takes, arguments) {
        Ok(given) if given.help => return print(command.help, "", 0),
        Ok(given) => given,
        Err(Usage(text)) => return usage(command, &text),
    };
    match (command.run)(&command.takes, &given) {
        Ok(report) if given.json => print(&report::json(&report), "", 0),
        Ok(report) => print(&report::lines(&report), "", 0),
        Err(Failure::Told(report)) if given.json => print(&report::json(&report), "", 1),
        Err(Failure::Told(report)) => print(&report::lines(&report), "", 1),
        Err(Failure::Usage(Usage(text))) => usage(command, &text),
        Err(Failure::Refused { code, text }) => {
            let error = format!("error: {code}: {text}\n");
            let report = if given.json {
                report::json(&vec![("ok", false.into()), ("code", code.into()), ("text", text.into())])
            } else {
                String::new()
            };
            print(&report, &error, 1)
        }
    }
}

fn usage(command: &Command, text: &str) -> ExitCode {
    print("", &format!("error: usage: {text}\n\n{}", command.help), 2)
}

/// Standard output has the answer and nothing else.
fn print(out: &str, error: &str, code: u8) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
    // If nobody reads the errors, the exit code still says it.
    let _ = std::io::stderr().write_all(error.as_bytes());
    if written.is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE }
}
