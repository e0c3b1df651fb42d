//! Invariants of the shipped packs are proved; whatever is done to a pack is found, with a request that the engine and
//! Cedar's authorizer confirm. Skipped, with a message, where there is no cvc5.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use holdfast_cedar::prove::{
    Change, Claim, Invariant, SOLVER_VARIABLE, Solver, Verdict, diff, diff_dirs, parse_invariants, prove,
    prove_dir,
};
use holdfast_cedar::{CompiledPack, compile_pack, load_dir};
use holdfast_policy::{Action, Effect, Findings};

fn packs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

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

fn files(name: &str) -> Vec<(String, String)> {
    load_dir(packs().join(name)).unwrap_or_else(|error| panic!("{error}")).files
}

fn compiled(files: &[(String, String)]) -> CompiledPack {
    compile_pack(files).unwrap_or_else(|error| panic!("{error}"))
}

fn invariants(name: &str) -> Vec<Invariant> {
    let text = std::fs::read_to_string(packs().join(name).join("invariants.cedar")).unwrap();
    parse_invariants("invariants.cedar", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Keeps a counter-example for the comparison that replays them all, when asked to.
fn keep(lines: &[String]) {
    if std::env::var_os("HOLDFAST_BLESS").is_none() || lines.is_empty() {
        return;
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/counterexamples.txt");
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    let line = lines.join(" ");
    if !text.lines().any(|known| known == line) {
        writeln!(text, "{line}").unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// The invariants that the pack breaks. Each counter-example is evaluated here once more.
fn broken(pack: &CompiledPack, invariants: &[Invariant], solver: &Solver) -> BTreeSet<String> {
    let proofs = prove(pack, invariants, solver, &|_| {}).unwrap_or_else(|error| panic!("{error}"));
    let mut broken = BTreeSet::new();
    for proof in proofs {
        match proof.verdict {
            Verdict::Proved => {}
            Verdict::Refuted(refutation) => {
                keep(&refutation.example.lines());
                let mut findings = Findings::new();
                pack.program.evaluate(Action::Withdraw, &refutation.example.facts(), &mut findings);
                let degree = findings.most_severe(&pack.program);
                assert_eq!(degree, refutation.outcome.degree);
                match proof.claim {
                    Claim::AtLeast(least) => assert!(degree < Some(least), "{}", proof.id),
                    Claim::AtMost(most) => assert!(degree > most, "{}", proof.id),
                    Claim::Asks(demand) => {
                        let made = |at: &u16| {
                            pack.program.policy(*at).and_then(|meta| meta.degree()) == Some(demand)
                        };
                        assert!(!findings.matched.iter().any(made), "{}", proof.id);
                    }
                }
                broken.insert(proof.id);
            }
            other => panic!("{}: {other:?}", proof.id),
        }
    }
    broken
}

#[test]
fn invariants_of_the_shipped_packs_are_proved() {
    let Some(solver) = solver() else { return };
    for (name, at_least) in [("baseline", 20), ("limits-2019", 3), ("limits-24h", 4)] {
        let began = Instant::now();
        let report = prove_dir(&packs().join(name), &solver, &|_| {});
        println!("{}{:.1} s", report.text, began.elapsed().as_secs_f64());
        assert!(report.ok, "{name}");
        assert!(report.json["invariants"].as_array().unwrap().len() >= at_least, "{name}");
    }
}

/// The statements of a pack: file, place in the file, text.
fn statements(files: &[(String, String)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, (_, text)) in files.iter().enumerate() {
        let mut rest = text.as_str();
        while let Some(begin) = rest.find("@id(") {
            let ends = [");\n", "};\n"].map(|end| rest[begin..].find(end).unwrap_or(usize::MAX - 2));
            let end = begin + ends[0].min(ends[1]) + 2;
            found.push((at, rest[begin..end].to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

fn replaced(files: &[(String, String)], at: usize, old: &str, new: &str) -> Vec<(String, String)> {
    let mut files = files.to_vec();
    assert!(files[at].1.contains(old));
    files[at].1 = files[at].1.replacen(old, new, 1);
    if !files[at].1.contains("@id(") {
        files.remove(at);
    }
    files
}

fn id_of(statement: &str) -> &str {
    statement.strip_prefix("@id(\"").unwrap().split('"').next().unwrap()
}

/// The numbers of a statement's condition: where each begins, and how long it is.
fn numbers(statement: &str) -> Vec<(usize, usize)> {
    let body = statement.find("forbid").unwrap_or(0);
    let bytes = statement.as_bytes();
    let mut found = Vec::new();
    let mut at = body;
    while at < bytes.len() {
        if bytes[at].is_ascii_digit() && bytes[at - 1] == b' ' {
            let length = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            found.push((at, length));
            at += length;
        }
        at += 1;
    }
    found
}

/// What must come out: delete any policy, and an invariant breaks; change any number of it by one, or any word, and one
/// of those breaks that the policy is needed for, or a promise.
fn every_policy_is_needed(name: &str, spared: &[&str]) {
    let Some(solver) = solver() else { return };
    let (files, all) = (files(name), invariants(name));
    let promises = all.iter().filter(|one| matches!(one.claim, Claim::AtMost(_)));
    let promises: Vec<Invariant> = promises.cloned().collect();
    let mut needed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let found = statements(&files);
    assert_eq!(found.len(), compiled(&files).program.len(), "every statement was found");
    let program = compiled(&files).program;
    for (at, statement) in &found {
        let id = id_of(statement);
        let gone = replaced(&files, *at, statement, "");
        let policy = program.policies().iter().find(|policy| &*policy.meta.id == id).unwrap();
        // What a policy less can break: a promise if it opens, else what its severity reaches.
        let open_to = |one: &&Invariant| match (&policy.meta.effect, one.claim) {
            (Effect::Permit, claim) => matches!(claim, Claim::AtMost(_)),
            (Effect::Forbid { degree, .. }, Claim::AtLeast(least) | Claim::Asks(least)) => *degree >= least,
            (Effect::Forbid { .. }, Claim::AtMost(_)) => false,
        };
        let asked: Vec<Invariant> = all.iter().filter(open_to).cloned().collect();
        let broken = broken(&compiled(&gone), &asked, &solver);
        println!("without {id}: {broken:?}");
        assert_eq!(broken.is_empty(), spared.contains(&id), "without {id}");
        needed.insert(id.to_owned(), broken);
    }
    let mut tried = 0;
    for (at, statement) in &found {
        let id = id_of(statement);
        let wanted: Vec<Invariant> = all.iter().filter(|one| needed[id].contains(&one.id)).cloned().collect();
        let breaks = |changed: &str| {
            let changed = compiled(&replaced(&files, *at, statement, changed));
            !broken(&changed, &wanted, &solver).is_empty() || !broken(&changed, &promises, &solver).is_empty()
        };
        if spared.contains(&id) {
            continue;
        }
        for (place, length) in numbers(statement) {
            let number: i64 = statement[place..place + length].parse().unwrap();
            let found = [number - 1, number + 1].into_iter().any(|other| {
                breaks(&format!("{}{other}{}", &statement[..place], &statement[place + length..]))
            });
            assert!(found, "{id}: {number} may be one more or less and nothing breaks");
            tried += 1;
        }
        let words = [
            ("\"unvouched\"", "\"aged\""),
            ("\"aged\"", "\"bound\""),
            ("Channel::\"api\"", "Channel::\"session\""),
            ("Channel::\"session\"", "Channel::\"api\""),
            ("over_limit_24h", "over_limit_30d"),
            ("over_limit_30d", "over_limit_24h"),
            ("withdrawals_1h", "withdrawals_30d"),
            ("\"passkey\"", "\"one_time_code\""),
            ("\"hold\"", "\"deny\""),
            ("\"deny\"", "\"hold\""),
            ("@for(\"1m\")", "@for(\"59s\")"),
            ("@for(\"10m\")", "@for(\"9m\")"),
            ("@for(\"1h\")", "@for(\"59m\")"),
        ];
        for (word, other) in words {
            // To deny where a person would look is no harm that an invariant speaks of.
            if !statement.contains(word) || other == "\"deny\"" {
                continue;
            }
            assert!(breaks(&statement.replace(word, other)), "{id}: {other} for {word}, and nothing breaks");
            tried += 1;
        }
    }
    println!("{name}: {tried} changes of words and numbers found");
    assert!(tried >= found.len(), "{tried}");
}

#[test]
fn no_policy_of_baseline_can_be_deleted_or_misspelt_unnoticed() {
    every_policy_is_needed("baseline", &[]);
}

#[test]
fn no_policy_of_limits_2019_can_be_deleted_or_misspelt_unnoticed() {
    every_policy_is_needed("limits-2019", &[]);
}

#[test]
fn no_policy_of_limits_24h_can_be_deleted_or_misspelt_unnoticed() {
    every_policy_is_needed("limits-24h", &[]);
}

/// The pack with one text of it changed.
fn changed(name: &str, old: &str, new: &str) -> CompiledPack {
    let files = files(name);
    let at = files.iter().position(|(_, text)| text.contains(old)).unwrap_or_else(|| panic!("no {old:?}"));
    compiled(&replaced(&files, at, old, new))
}

#[test]
fn a_change_is_proved_looser_tighter_mixed_or_equal_at_each_outcome_with_an_example_each_way() {
    let Some(solver) = solver() else { return };
    let before = compiled(&files("baseline"));
    let dwell = |diff: &holdfast_cedar::prove::Diff, name: &str| {
        diff.rows.iter().find(|row| row.demand.to_string() == name).map(|row| row.change()).unwrap()
    };
    let compare = |after: &CompiledPack| diff(&before, after, &solver, &|_| {}).unwrap();

    let same = compare(&changed("baseline", "// Who asks", "// Whoever asks"));
    assert_eq!(same.change(), Change::Equal, "{}", same.text());
    assert_eq!(same.new_can_error, ["collecting-often", "collecting-much"], "numbers may be anything here");

    let tighter = compare(&changed(
        "baseline",
        "context.amount_usd_cents > 25000000",
        "context.amount_usd_cents > 24000000",
    ));
    assert_eq!(tighter.change(), Change::Tighter, "{}", tighter.text());
    assert_eq!(dwell(&tighter, "dwell 10m"), Change::Tighter);
    assert_eq!(dwell(&tighter, "hold"), Change::Equal);

    // A dwell that goes although a step-up stands: the outcome is the same, and yet less is asked.
    let looser = compare(&changed(
        "baseline",
        "@for(\"1h\")\n@reason(\"new_device",
        "@for(\"10m\")\n@reason(\"new_device",
    ));
    assert_eq!(looser.change(), Change::Looser, "{}", looser.text());
    assert_eq!(dwell(&looser, "dwell 1h"), Change::Looser);

    let mixed =
        compare(&changed("baseline", "context.account.over_limit_24h", "context.account.settings_locked"));
    assert_eq!(mixed.change(), Change::Mixed, "{}", mixed.text());
    assert!(mixed.text().contains("LOOSER at deny") && mixed.text().contains("TIGHTER at deny"));
    assert!(mixed.text().contains("old: deny over_daily_limit\n  new: allow"), "{}", mixed.text());
}

#[test]
fn two_packs_are_compared_by_their_directories_and_without_a_solver_nothing_is_known() {
    let (old, new) = (packs().join("limits-2019"), packs().join("baseline"));
    let none = diff_dirs(&old, &new, &Solver::at("/nonexistent/cvc5"), &|_| {});
    assert!(!none.ok && none.text.contains("apt install cvc5"), "{}", none.text);
    assert_eq!(none.json["change"], "not_proved");
    let Some(solver) = solver() else { return };
    let report = diff_dirs(&old, &new, &solver, &|_| {});
    println!("{}", report.text);
    assert!(report.ok);
    assert_eq!(report.json["change"], "mixed");
}
