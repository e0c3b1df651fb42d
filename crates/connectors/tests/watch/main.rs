//! Watchers against nodes that a test holds in its hand: without IO as tables, and over real HTTP against a small fake that
//! speaks the nodes' own JSON-RPC.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure is a failed test"
)]

mod bitcoin;
mod bitcoin_node;
mod config;
mod evm;
mod evm_node;
mod http;
mod over_http;
