//! The journal from outside: its contract, its bad days, its damage, its snapshots.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod common;
mod contract;
mod damage;
