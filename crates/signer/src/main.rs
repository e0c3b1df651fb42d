//! The binary `holdfast-signer`: all of it is in the library's `cli`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_signer::cli::main()
}
