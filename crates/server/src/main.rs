//! The binary `holdfast`: all of it is in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_server::cli::main()
}
