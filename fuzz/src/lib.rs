//! Fuzz targets: every reader of bytes from outside, each with what must hold for whatever it accepts.
//!
//! A target is a plain function, so that the same code runs under the fuzzer (`cargo xtask fuzz`) and over the committed
//! corpora in the ordinary tests (`tests/corpus`). It says whether it accepted the bytes, and panics if a promise is
//! broken. Nothing here may be used by what is shipped.

pub mod house;
mod rlp;
mod targets;

pub use targets::{TARGETS, Target, target};

/// By what the fuzzer learns which target to run.
pub const TARGET_VARIABLE: &str = "HOLDFAST_FUZZ_TARGET";
