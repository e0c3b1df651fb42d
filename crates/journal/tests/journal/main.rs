//! The journal from outside: its contract, its bad days, its damage, its snapshots.

mod common;
mod contract;
mod damage;
