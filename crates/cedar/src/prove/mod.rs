//! Proofs about packs: invariants, the semantic difference of two packs, and the lints that need a solver.
//!
//! The questions are put by `cedar-policy-symcc` to cvc5, a process of its own under limits (`solver`). What comes back
//! is believed only as far as it can be checked: a counter-example is evaluated by Holdfast's engine and by Cedar's
//! authorizer, and is none unless both confirm it. Without a solver nothing is proved, and nothing passes. Tokio, which
//! symcc needs, stays inside of this module.

mod deep;
mod difference;
mod example;
mod invariants;
mod proof;
mod rules;
mod solver;

pub use deep::{Deep, Warning, check_dir, deep_lints, lints};
pub use difference::{Change, Diff, Row, Shown, Way, diff, diff_dirs};
pub use example::Example;
pub use invariants::{Claim, INVARIANTS_MAX, Invariant, parse_invariants};
pub use proof::{Proof, Refutation, Verdict, prove, prove_dir};
pub use solver::{Failure, JOBS_MAX, SOLVER_VARIABLE, Solver, TIMEOUT_MAX};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'n> {
    /// How many questions are answered.
    pub done: usize,
    /// How many there are.
    pub total: usize,
    /// What was answered last.
    pub name: &'n str,
}

/// What is told of progress. It is called from several threads.
pub type Watch<'w> = &'w (dyn Fn(Progress<'_>) + Sync);
