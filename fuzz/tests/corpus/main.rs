//! The committed corpora through their targets, as they are, cut off and damaged, without any fuzzer.
//!
//! A corpus holds `seed-*`, which [`seeds`] makes (`HOLDFAST_BLESS=1` writes them), and `found-*`, which the fuzzer added.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: what is missing or odd fails the test"
)]

mod customers;
mod damage;
mod dialects;
mod gate;
mod keys;
mod money;
mod seeds;
mod server;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use holdfast_fuzz::{TARGETS, Target, target};

/// How many damaged copies of each seed are tried.
const COPIES: u64 = 2_000;
/// Fewer where each takes ten milliseconds, since Cedar is not optimised here.
const COPIES_OF_POLICIES: u64 = 400;
/// Most files of one corpus, and most bytes of all together.
const FILES_MAX: usize = 60;
const BYTES_MAX: usize = 200_000;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The files of a target's corpus, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder(target)).unwrap_or_else(|error| panic!("corpus of {target}: {error}"));
    let read =
        |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap());
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// Runs a target; if a promise breaks, says with which bytes.
fn run(target: &Target, origin: &str, bytes: &[u8]) -> bool {
    match catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))) {
        Ok(accepted) => accepted,
        Err(panic) => {
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("target {}, {origin}: {text}", target.name);
            resume_unwind(panic)
        }
    }
}

fn replay(name: &str) {
    let target = target(name).unwrap();
    let files = corpus(name);
    let all: Vec<&[u8]> = files.values().map(Vec::as_slice).collect();
    let copies = if name == "policy_agreement" { COPIES_OF_POLICIES } else { COPIES };
    let mut accepted = 0;
    for (file, bytes) in &files {
        accepted += u64::from(run(target, file, bytes));
        for end in 0..bytes.len() {
            run(target, &format!("{file} cut at {end}"), &bytes[..end]);
        }
        if file.starts_with("seed-") {
            for copy in 0..copies {
                let damaged = damage::damage(bytes, &all, copy);
                run(target, &format!("{file} damaged by {copy}"), &damaged);
            }
        }
    }
    assert!(accepted > 0, "something is accepted");
}

macro_rules! replay {
    ($($name:ident),* $(,)?) => {
        mod replay {
            $( #[test] fn $name() { super::replay(stringify!($name)); } )*
        }
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replay!(
    psbt,
    evm,
    evm_signed,
    descriptors,
    release,
    receipt,
    spends,
    enrolment,
    policy_step,
    envelope,
    withdrawal_text,
    transfer_text,
    operator_text,
    change_text,
    mandate_text,
    conflict_key,
    address,
    pins,
    assertions,
    wire,
    request,
    gate,
    ext_authz,
    codes,
    token_uri,
    assertion,
    registration,
    state,
    record,
    program,
    policy_agreement,
);

#[test]
fn every_target_is_replayed_and_has_a_corpus_of_its_own() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, REPLAYED);
    let folders: BTreeSet<String> = fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(folders.iter().map(String::as_str).eq(names.iter().copied().collect::<BTreeSet<_>>()));
}

#[test]
fn corpora_stay_small() {
    let mut sum = 0;
    for target in TARGETS {
        let files = corpus(target.name);
        assert!(files.len() <= FILES_MAX, "{}: {} files", target.name, files.len());
        assert!(
            files.keys().all(|name| name.starts_with("seed-") || name.starts_with("found-")),
            "{}",
            target.name
        );
        sum += files.values().map(Vec::len).sum::<usize>();
    }
    assert!(sum <= BYTES_MAX, "{sum} bytes");
}

#[test]
fn seeds_are_what_the_generator_makes_and_are_judged_as_it_says() {
    for target in TARGETS {
        let seeds = seeds::of(target.name);
        assert!(!seeds.is_empty(), "{}", target.name);
        if std::env::var_os("HOLDFAST_BLESS").is_some() {
            fs::create_dir_all(folder(target.name)).unwrap();
            let old = corpus(target.name).into_keys().filter(|name| name.starts_with("seed-"));
            old.for_each(|name| fs::remove_file(folder(target.name).join(name)).unwrap());
            for seed in &seeds {
                fs::write(folder(target.name).join(format!("seed-{}", seed.name)), &seed.bytes).unwrap();
            }
        }
        let mut committed = corpus(target.name);
        committed.retain(|name, _| name.starts_with("seed-"));
        let made: BTreeMap<String, Vec<u8>> =
            seeds.iter().map(|seed| (format!("seed-{}", seed.name), seed.bytes.clone())).collect();
        let hint = "the seeds are not what the generator makes: run this test with HOLDFAST_BLESS=1";
        assert!(committed == made, "{}: {hint}", target.name);
        for seed in &seeds {
            let accepted = run(target, &seed.name, &seed.bytes);
            assert_eq!(accepted, seed.accepted, "{}: {}", target.name, seed.name);
        }
    }
}
