//! The core against a reference model, its properties, its ladder, its golden journals and the table of a withdrawal's
//! life. Nothing here may use a private part of the core: what is compared is what everybody can see.
//!
//! Random runs draw from seeds; a failure prints the seed that repeats it. `HOLDFAST_SEED=N` plays that one again,
//! `HOLDFAST_CASES=N` plays more of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod approvals;
mod arrivals;
mod changes;
mod codes;
mod coins;
mod compare;
mod epochs;
mod freezes;
mod golden;
mod governance;
mod harbor;
mod keys;
mod ladder;
mod lapses;
mod lifecycle;
mod moves;
mod owner;
mod play;
mod properties;
mod protection;
mod random;
mod recovery;
mod reference;
mod releases;
mod sessions;
mod standings;
mod totality;
mod words;
mod world;
