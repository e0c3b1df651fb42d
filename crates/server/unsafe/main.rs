//! The binary built to break a promise, so that a test can show that it would notice. Never to be run for anything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_server::cli::main()
}
