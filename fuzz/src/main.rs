//! The fuzzer: libFuzzer around one target, named by the environment variable `HOLDFAST_FUZZ_TARGET`.

#![no_main]

use std::process;
use std::sync::OnceLock;

use holdfast_fuzz::{TARGET_VARIABLE, Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn choose() {
    let name = std::env::var(TARGET_VARIABLE).unwrap_or_default();
    match target(&name) {
        Some(target) => drop(TARGET.set(target)),
        None => {
            eprintln!("{TARGET_VARIABLE} names no target: `{name}`");
            process::exit(2);
        }
    }
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(bytes);
    }
});
