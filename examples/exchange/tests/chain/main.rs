//! `harbor-chain` as a process, over HTTP: it takes what is signed right, refuses the rest, and forgets when told to.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure is a failed test"
)]

mod evm;
mod stand;
mod utxo;
