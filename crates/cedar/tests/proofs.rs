//! Invariants of the shipped packs are proved; what is wrong with a pack is found, and the engine confirms it.

#![expect(clippy::print_stdout, reason = "helpers of tests may fail loudly")]

use std::path::PathBuf;

use holdfast_cedar::prove::{Solver, prove_dir};

fn packs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

#[test]
fn invariants_of_the_shipped_packs_are_proved() {
    for name in ["baseline", "limits-2019"] {
        let report = prove_dir(&packs().join(name), &Solver::find(), &|_| {});
        println!("{}", report.text);
        assert!(report.ok);
    }
}
