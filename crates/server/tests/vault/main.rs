//! The vault as several processes use it: keys in a PKCS#11 token, rotation beside a running server, erasure.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests: a failure is a failed test"
)]

mod erase;
mod files;
mod release_key;
mod rotate;
#[path = "../http/server.rs"]
#[expect(dead_code, reason = "the harness of the HTTP tests; not all of it is needed here")]
mod server;
mod softhsm;
mod token;
