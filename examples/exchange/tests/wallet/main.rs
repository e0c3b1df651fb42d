//! Harbor's wallet as its two processes, with a real signer, the chain stand-in, and a Holdfast that a test holds in its hand.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure is a failed test"
)]

mod holdfast;
mod pay;
mod stand;
