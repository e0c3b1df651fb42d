//! The journal from outside: its contract, its bad days, its damage, its snapshots.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop at the first surprise")]

mod bad_days;
mod common;
mod contract;
mod copies;
mod damage;
mod independent;
mod snapshots;
