//! The server as a process: started from the binary, spoken to over HTTP, killed, starved and traced.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure is a failed test"
)]

mod accounts;
mod bad_input;
mod command_line;
mod disk;
mod documents;
mod evidence;
mod kill;
mod operators;
mod server;
mod serving;
mod strace;
mod transactions;
mod withdrawals;
