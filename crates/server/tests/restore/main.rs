//! Backups, what is restored from them, and the new epoch that follows: with the server as a process, under load, and
//! with the signer's own library.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure is a failed test")]

mod backup;
mod epoch;
mod harbor;
mod policy;
#[expect(
    dead_code,
    clippy::panic,
    reason = "the harness of the tests over HTTP, of which some is needed here"
)]
#[path = "../http/server.rs"]
mod server;
mod signer;
