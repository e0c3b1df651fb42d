//! A solver may hang, die, print rubbish, print for ever, not know, or lie: nothing of it is taken for a proof.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests may fail loudly"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_cedar::compile_pack;
use holdfast_cedar::prove::{Failure, SOLVER_VARIABLE, Solver, Verdict, parse_invariants, prove, prove_dir};
use holdfast_cedar::report::Report;

/// A program that says its version, and otherwise does as told.
fn fake(name: &str, script: &str) -> Solver {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("solvers");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    let text = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo fake 1.0 && exit 0\n{script}\n");
    // Written beside and moved: a file that is still open for writing cannot be run.
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&beside, &path).unwrap();
    Solver::at(path).timeout(Duration::from_secs(60))
}

fn asked(solver: &Solver) -> Report {
    let pack = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies/limits-2019");
    prove_dir(&pack, solver, &|_| {})
}

/// Nothing is proved, and everything says why.
fn proves_nothing(name: &str, script: &str, code: &str) {
    nothing_is_proved(name, &fake(name, script), code);
}

fn nothing_is_proved(name: &str, solver: &Solver, code: &str) {
    let report = asked(solver);
    assert!(!report.ok, "{name}");
    let invariants = report.json["invariants"].as_array().unwrap().clone();
    assert!(!invariants.is_empty());
    for one in invariants {
        assert_eq!(
            (one["result"].as_str(), one["code"].as_str()),
            (Some("not_proved"), Some(code)),
            "{name}: {one}"
        );
    }
    assert!(report.text.contains("NOT PROVED"), "{}", report.text);
}

#[test]
fn a_solver_that_is_missing_is_said_to_be_with_how_to_install_it() {
    let report = asked(&Solver::at("/nonexistent/cvc5"));
    assert!(!report.ok && report.text.contains("apt install cvc5"), "{}", report.text);
    assert_eq!(report.json["invariants"][0]["code"], "solver_missing");
}

#[test]
fn a_solver_that_hangs_is_ended() {
    let solver = fake("hangs", "exec sleep 600").timeout(Duration::from_millis(500));
    nothing_is_proved("hangs", &solver, "solver_timeout");
}

/// A real solver, but for what is asked about the number 5000: `then` is done instead.
fn sound_but_for_5000(name: &str, then: &str) -> Option<Solver> {
    let program = std::env::var_os(SOLVER_VARIABLE).unwrap_or_else(|| "cvc5".into());
    if std::process::Command::new(&program).arg("--version").output().is_err() {
        println!("skipped: no {} (apt install cvc5)", program.display());
        return None;
    }
    let script = format!(
        "asked=$(mktemp); trap 'rm -f \"$asked\"' EXIT\n\
         while read -r line; do echo \"$line\" >> \"$asked\"; [ \"$line\" = '(check-sat)' ] && break; done\n\
         if grep -q 'bv5000 \\|x0000000000001388' \"$asked\"; then {then}; exit 0; fi\n\
         {{ cat \"$asked\"; cat; }} | '{}' --lang smt",
        program.display()
    );
    Some(fake(name, &script))
}

fn verdict_on_large_ones(solver: &Solver, least: u32) -> Verdict {
    let text = "@id(\"open\") permit (principal, action, resource);\n\
                @id(\"large\") @outcome(\"hold\") @reason(\"large\") forbid (principal, action, resource) \
                when { context.amount_usd_cents > 5000 };";
    let pack = compile_pack(&[("all.cedar".to_owned(), text.to_owned())]).unwrap();
    let text = format!(
        "@id(\"held\") @says(\"Large ones wait.\") @at_least(\"hold\") forbid (principal, action, resource) \
         when {{ context.amount_usd_cents > {least} }};"
    );
    let invariants = parse_invariants("invariants.cedar", &text).unwrap();
    prove(&pack, &invariants, solver, &|_| {}).unwrap().pop().unwrap().verdict
}

#[test]
fn a_solver_that_lies_about_a_broken_pack_is_found_out_by_drawn_requests() {
    let Some(liar) = sound_but_for_5000("lies", "echo unsat; cat > /dev/null") else { return };
    let verdict = verdict_on_large_ones(&liar, 4_000);
    assert!(matches!(verdict, Verdict::NotProved(Failure::Wrong(_))), "{verdict:?}");
}

#[test]
fn a_solver_that_hangs_on_the_question_itself_is_ended() {
    let Some(slow) = sound_but_for_5000("hangs-later", "exec sleep 600") else { return };
    let slow = slow.timeout(Duration::from_secs(5));
    let verdict = verdict_on_large_ones(&slow, 4_000);
    assert!(matches!(verdict, Verdict::NotProved(Failure::TimedOut(_))), "{verdict:?}");
}

#[test]
fn the_same_questions_are_answered_by_a_sound_solver() {
    let Some(sound) = sound_but_for_5000("sound", "{ cat \"$asked\"; cat; } | cvc5 --lang smt") else {
        return;
    };
    let sound = sound.timeout(Duration::from_secs(30));
    let verdict = verdict_on_large_ones(&sound, 4_000);
    assert!(matches!(&verdict, Verdict::Refuted(found) if found.example.lines().len() == 1), "{verdict:?}");
    assert!(matches!(verdict_on_large_ones(&sound, 6_000), Verdict::Proved));
}

#[test]
fn a_solver_that_dies_is_noticed() {
    proves_nothing("dies", "exit 1", "solver_died");
    proves_nothing("dies-late", "read line; exit 0", "solver_died");
}

#[test]
fn a_solver_that_prints_rubbish_is_not_believed() {
    proves_nothing("rubbish", "echo '(error \"unsat\")'; cat > /dev/null", "solver_garbled");
    proves_nothing("binary", "printf '\\377\\376\\n'; cat > /dev/null", "solver_garbled");
    proves_nothing("no-model", "echo sat; echo unsat; cat > /dev/null", "solver_garbled");
    proves_nothing(
        "odd-model",
        "echo sat; echo '('; echo '(define-fun x () Int 1)'; echo ')'; cat > /dev/null",
        "solver_garbled",
    );
}

#[test]
fn a_solver_that_prints_for_ever_fills_no_memory() {
    proves_nothing("talks", "exec yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | tr -d '\\n'", "solver_garbled");
    proves_nothing(
        "talks-models",
        "echo sat; echo '('; exec yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "solver_garbled",
    );
}

#[test]
fn a_solver_that_does_not_know_is_no_proof() {
    proves_nothing("unknown", "echo unknown; cat > /dev/null", "solver_unknown");
}

#[test]
fn a_solver_that_says_unsat_to_everything_proves_nothing() {
    proves_nothing("yes-man", "echo unsat; cat > /dev/null", "solver_wrong");
}

#[test]
fn a_solver_is_ended_when_told_to_stop() {
    let stop = Arc::new(AtomicBool::new(false));
    let solver = fake("waits", "exec sleep 600").timeout(Duration::from_secs(300)).stopped_by(stop.clone());
    let report = std::thread::scope(|scope| {
        let asking = scope.spawn(|| asked(&solver));
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap_or_else(|_| panic!("it ended otherwise"))
    });
    assert!(!report.ok);
    assert_eq!(report.json["invariants"][0]["code"], "stopped");
}
