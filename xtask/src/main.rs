//! `cargo xtask`: the door to the workspace's habits. Everything it can do is in [`xtask::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    xtask::cli::main(&arguments)
}
