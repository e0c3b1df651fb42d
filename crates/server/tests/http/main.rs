//! The server as a process: started from the binary, spoken to over HTTP, killed, starved and traced.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure is a failed test"
)]

mod accounts;
mod approvals;
#[expect(dead_code, reason = "the keys of the verifier's own tests, of which some is needed here")]
#[path = "../../../authn/tests/webauthn/authenticator.rs"]
mod authenticator;
mod bad_input;
#[path = "../../../authn/tests/webauthn/certificate.rs"]
mod certificate;
mod codes;
mod command_line;
mod credentials;
mod customer;
mod disk;
mod documents;
mod drive;
mod evidence;
mod governance;
#[expect(dead_code, reason = "the exchange of the tests of restoring, of which some is needed here")]
#[path = "../restore/harbor.rs"]
mod harbor;
mod keys;
mod kill;
mod mandates;
mod operators;
mod panic;
mod passkeys;
mod server;
mod serving;
mod sessions;
mod shadow;
mod signing;
mod strace;
mod tightening;
mod transactions;
mod withdrawals;
