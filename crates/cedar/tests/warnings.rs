//! What a pack says in vain, or leaves unsaid, is found; the shipped packs are free of it.

#![expect(clippy::panic, clippy::print_stdout, reason = "helpers of tests may fail loudly")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use holdfast_cedar::new::new_dir;
use holdfast_cedar::prove::{SOLVER_VARIABLE, Solver, check_dir, deep_lints, lints, prove_dir};
use holdfast_cedar::{CompiledPack, compile_pack};

fn solver() -> Option<Solver> {
    let program = std::env::var_os(SOLVER_VARIABLE).unwrap_or_else(|| "cvc5".into());
    match std::process::Command::new(&program).arg("--version").output() {
        Ok(output) if output.status.success() => Some(Solver::at(program)),
        _ => {
            println!("skipped: no {} (apt install cvc5)", program.display());
            None
        }
    }
}

fn packs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn pack(text: &str) -> CompiledPack {
    let open = "@id(\"open\") permit (principal, action, resource);\n";
    let files = [("all.cedar".to_owned(), format!("{open}{text}"))];
    compile_pack(&files).unwrap_or_else(|error| panic!("{error}"))
}

fn rule(id: &str, outcome: &str, reason: &str, condition: &str) -> String {
    let when = if condition.is_empty() { String::new() } else { format!(" when {{ {condition} }}") };
    format!(
        "@id({id:?}) @outcome({outcome}) @reason({reason:?}) forbid (principal, action, resource){when};\n"
    )
}

/// The warnings of a deep check: code and policy.
fn found(text: &str, solver: &Solver) -> Vec<(&'static str, String)> {
    let deep = deep_lints(&pack(text), solver, &|_| {}).unwrap_or_else(|error| panic!("{error}"));
    assert!(deep.not_proved.is_empty(), "{:?}", deep.not_proved);
    let named = deep.warnings.into_iter().map(|one| (one.code, one.policy.unwrap_or_default()));
    named.collect()
}

#[test]
fn the_shipped_packs_are_free_of_warnings() {
    let Some(solver) = solver() else { return };
    for name in ["baseline", "limits-2019", "limits-24h"] {
        let report = check_dir(&packs().join(name), None, Some((&solver, &|_| {})), true);
        println!("{}", report.text);
        assert!(report.ok, "{name}");
    }
}

#[test]
fn a_pack_that_was_just_begun_is_proved_and_free_of_warnings() {
    let Some(solver) = solver() else { return };
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("begun");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    assert!(new_dir(&dir).ok);
    let proved = prove_dir(&dir, &solver, &|_| {});
    assert!(proved.ok, "{}", proved.text);
    let checked = check_dir(&dir, None, Some((&solver, &|_| {})), true);
    assert!(checked.ok, "{}", checked.text);
}

#[test]
fn a_reason_without_a_text_and_a_text_without_a_reason_are_told_without_a_solver() {
    let large = rule("large", "\"hold\"", "too_large", "context.amount_usd_cents > 5");
    let texts = BTreeMap::from([("old".to_owned(), "Gone.".to_owned())]);
    let codes: Vec<&str> = lints(&pack(&large), &texts).iter().map(|one| one.code).collect();
    assert_eq!(codes, ["reason_text_missing", "reason_text_unused"]);
    let always = rule("always", "\"hold\"", "r", "");
    let told = lints(&pack(&always), &BTreeMap::from([("r".to_owned(), "R.".to_owned())]));
    assert_eq!(told.len(), 1);
    assert!(
        told.iter().all(|one| one.code == "outcome_unreachable" && one.policy.as_deref() == Some("always"))
    );
}

#[test]
fn what_never_matches_overflows_or_is_needless_is_found() {
    let Some(solver) = solver() else { return };
    let large = rule("large", "\"hold\"", "large", "context.amount_usd_cents > 100");
    assert_eq!(found(&large, &solver), []);

    let dead =
        rule("dead", "\"hold\"", "dead", "context.amount_usd_cents > 5 && context.amount_usd_cents < 3");
    assert_eq!(found(&(large.clone() + &dead), &solver), [("policy_dead", "dead".to_owned())]);

    let sum = rule("sum", "\"hold\"", "sum", "context.amount_usd_cents + context.account.usd_cents_24h > 50");
    assert_eq!(found(&sum, &solver), [("policy_can_error", "sum".to_owned())]);
    // Quantities are never negative, so that a difference of two does not overflow.
    let gap = rule("gap", "\"hold\"", "gap", "context.amount_usd_cents - context.account.usd_cents_24h > 50");
    assert_eq!(found(&gap, &solver), []);

    let larger = rule("larger", "\"hold\"", "large", "context.amount_usd_cents > 200");
    assert_eq!(found(&(large.clone() + &larger), &solver), [("policy_redundant", "larger".to_owned())]);
    let said = rule("said", "\"hold\"", "also", "context.amount_usd_cents > 200");
    assert_eq!(found(&(large.clone() + &said), &solver), [("policy_adds_reason_only", "said".to_owned())]);

    // A dwell under a hold is still asked for, but a reader should know.
    let dwell = rule("wait", "\"dwell\") @for(\"10m\"", "wait", "context.amount_usd_cents > 200");
    assert_eq!(
        found(&(large.clone() + &dwell), &solver),
        [("policy_shadowed", "wait".to_owned()), ("outcome_unreachable", String::new())]
    );
    // Nothing is left of it under a denial.
    let denied = rule("never", "\"deny\"", "never", "context.amount_usd_cents > 100");
    assert_eq!(
        found(&(denied + &dwell), &solver),
        [("policy_adds_reason_only", "wait".to_owned()), ("outcome_unreachable", String::new())]
    );
}

#[test]
fn warnings_fail_only_where_they_are_denied_and_a_missing_solver_always() {
    let none = Solver::at("/nonexistent/cvc5");
    let path = packs().join("limits-2019");
    assert!(check_dir(&path, None, None, true).ok);
    let report = check_dir(&path, None, Some((&none, &|_| {})), false);
    assert!(!report.ok && report.text.contains("apt install cvc5"), "{}", report.text);
}
