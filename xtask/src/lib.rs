//! What `cargo xtask` does: the checks and tests that CI runs, the same on every machine, and the rules of the house
//! as code ([`tidy`], [`dependencies`]).
//!
//! It is compiled before anything else can start, so it depends on the standard library and `serde_json` alone, and on
//! none of our own crates. What a command needs of Holdfast it gets by running its binaries.

pub mod agreement;
pub mod bench;
pub mod cli;
pub mod demo;
pub mod dependencies;
pub mod error;
pub mod fuzz;
pub mod install;
pub mod licence;
pub mod metadata;
pub mod mutants;
pub mod report;
pub mod shell;
pub mod steps;
pub mod tidy;
pub mod ui;
