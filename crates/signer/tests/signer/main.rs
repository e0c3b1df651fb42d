//! The signer against everything that it must withstand. One program, so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cloned_ref_to_slice_refs,
    reason = "helpers of tests: what is missing or odd fails the test"
)]

mod approvals;
mod buckets;
mod caps;
mod documents;
mod enrolments;
mod evm;
mod exchange;
mod house;
mod keys;
mod mandates;
mod passkeys;
mod payments;
mod policies;
mod process;
mod process_keys;
mod releases;
mod root;
mod store;
