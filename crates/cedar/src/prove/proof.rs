//! Proving the invariants of a pack: each for every request there can be, or a concrete request that breaks it.

use core::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cedar_policy::PolicySet;
use cedar_policy::pst::Effect as CedarEffect;
use cedar_policy_symcc::{disjoint_asserts, implies_asserts, never_errors_asserts, never_matches_asserts};
use holdfast_policy::{Expr, Facts, Program};
use serde_json::{Value as Json, json};

use super::example::{Example, Judge, listed};
use super::invariants::{Claim, Invariant, matches, parse_invariants};
use super::rules::{Rule, Rules, World};
use super::solver::{Failure, Session, Solver};
use super::{Progress, Watch};
use crate::cases::Outcome;
use crate::compare::{Oracle, Verdict as Said, draw_complete, facts_read};
use crate::load::{INVARIANTS_FILE, load_dir, read_limited};
use crate::pack::{CompiledPack, with_stack};
use crate::problem::{PackError, Problem};
use crate::report::{Report, explain_program, hex, refused};

/// How many requests are drawn around the literals against a proof. A proof needs none: a solver that is wrong may be
/// found out by them.
const DRAWN: u64 = 2_000;

/// What became of an invariant.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The invariant's name.
    pub id: String,
    /// Its sentence.
    pub says: String,
    /// Its claim.
    pub claim: Claim,
    /// The answer.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// Whether an invariant holds.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// For every request in which every fact is known.
    Proved,
    /// Not for this one.
    Refuted(Box<Refutation>),
    /// It matches no request at all: it would hold of every pack.
    Vacuous,
    /// Its own condition cannot be evaluated for this request, so that it says nothing of it.
    Unsure(Box<Example>),
    /// Nobody knows.
    NotProved(Failure),
}

/// A request that an invariant does not hold for.
#[derive(Clone, Debug)]
pub struct Refutation {
    /// The request.
    pub example: Example,
    /// What the pack says of it: the engine and Cedar's authorizer alike.
    pub outcome: Outcome,
}

/// Proves the invariants beside the pack in the directory, all or none: the report is well only if each is proved.
pub fn prove_dir(path: &Path, solver: &Solver, watch: Watch<'_>) -> Report {
    let invariants_of = || {
        let file = path.join(INVARIANTS_FILE);
        let text = read_limited(&file).map_err(|error| {
            let message = format!("cannot read {}: {error}", file.display());
            Problem::of_pack("invariants_unreadable", message)
                .help("write what must hold of the pack into it: docs/policy.md, \"Invariants\"")
        })?;
        let invariants = parse_invariants(INVARIANTS_FILE, &text)?;
        if invariants.is_empty() {
            let message = format!("{} holds no invariant", file.display());
            return Err(PackError::from(Problem::of_pack("invariants_empty", message)));
        }
        Ok(invariants)
    };
    let told = load_dir(path)
        .and_then(|pack| Ok((invariants_of()?, pack)))
        .and_then(|(invariants, pack)| Ok((prove(&pack, &invariants, solver, watch)?, pack)));
    match told {
        Ok((proofs, pack)) => report(path, &pack, solver, &proofs),
        Err(error) => refused(&error),
    }
}

/// Proves each invariant of the pack. The answers stand in the order of the invariants.
///
/// # Errors
/// If the pack cannot be asked about at all.
pub fn prove(
    pack: &CompiledPack,
    invariants: &[Invariant],
    solver: &Solver,
    watch: Watch<'_>,
) -> Result<Vec<Proof>, PackError> {
    with_stack(|| {
        let world = World::new()?;
        let rules = Rules::of(&world, pack)?;
        let judge = Judge::new(pack)?;
        let proof_of = |invariant: &Invariant, verdict: Verdict, took: Duration| Proof {
            id: invariant.id.clone(),
            says: invariant.says.clone(),
            claim: invariant.claim,
            verdict,
            took,
        };
        if let Err(failure) = self_test(&world, solver) {
            let unproved =
                |one: &Invariant| proof_of(one, Verdict::NotProved(failure.clone()), Duration::ZERO);
            return Ok(invariants.iter().map(unproved).collect());
        }
        let count = AtomicUsize::new(0);
        let done = |at: usize| {
            let name = invariants.get(at).map_or("", |invariant| &invariant.id);
            let done = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            watch(Progress { done, total: invariants.len(), name });
        };
        let answers = solver.each(invariants, &done, |session, invariant| {
            let began = Instant::now();
            let verdict = ask(session, &rules, &judge, invariant).unwrap_or_else(Verdict::NotProved);
            if let Verdict::NotProved(failure) = &verdict
                && failure.ends_all()
            {
                return Err(failure.clone());
            }
            Ok((verdict, began.elapsed()))
        });
        let proofs = invariants.iter().zip(answers).map(|(invariant, answer)| match answer {
            Ok((verdict, took)) => proof_of(invariant, verdict, took),
            Err(failure) => proof_of(invariant, Verdict::NotProved(failure), Duration::ZERO),
        });
        Ok(proofs.collect())
    })
}

/// The answers that are known to two questions: whoever gets them wrong, or says the same to everything, proves nothing.
pub(crate) fn self_test(world: &World, solver: &Solver) -> Result<(), Failure> {
    if solver.tested().is_some() {
        return Ok(());
    }
    let version = solver.version()?;
    let known = [("true", true), ("false", false)];
    let answers = solver.each(&known, &|_| {}, |session, (_, holds)| {
        let least = if *holds { 4 } else { 6 };
        let policy = |number: i32| -> Result<_, Failure> {
            let text = format!(
                "permit(principal, action, resource) when {{ context.amount_usd_cents > {number} }};"
            );
            let odd = |error: &dyn core::fmt::Display| Failure::Unaskable(error.to_string());
            let set: PolicySet = text.parse().map_err(|error: cedar_policy::ParseErrors| odd(&error))?;
            world.set(&set)
        };
        let (more, less) = (policy(5)?, policy(least)?);
        let example = session.example(&implies_asserts(&more, &less))?;
        match (holds, example) {
            (true, None) => Ok(()),
            (false, Some(env)) => {
                let found = Example::found(&env)?;
                let amount = found.facts().get(holdfast_policy::Fact::AmountUsdCents);
                if amount == holdfast_policy::Value::Long(6) {
                    Ok(())
                } else {
                    Err(Failure::Wrong("an example"))
                }
            }
            (true, Some(_)) => Err(Failure::Wrong("it refutes what holds")),
            (false, None) => Err(Failure::Wrong("it proves what does not hold")),
        }
    });
    answers.into_iter().collect::<Result<(), Failure>>()?;
    solver.passed_its_test(version);
    Ok(())
}

fn ask(
    session: &Session<'_>,
    rules: &Rules<'_>,
    judge: &Judge<'_>,
    invariant: &Invariant,
) -> Result<Verdict, Failure> {
    let world = rules.world;
    let subject = world.policy(&invariant.rule.as_policy(CedarEffect::Permit, &[])?)?;
    if invariant.rule.calculates
        && let Some(env) = session.example(&never_errors_asserts(&subject))?
    {
        let mut example = Example::found(&env)?;
        let fails = |facts: &Facts<'_>| invariant.condition().truth(facts).is_err();
        if !fails(&example.facts()) {
            return Err(Failure::Unconfirmed("the engine can evaluate the invariant for it".to_owned()));
        }
        example.simplify(&[&invariant.program], &fails);
        return Ok(Verdict::Unsure(Box::new(example)));
    }
    let whole = subject.clone().into_compiled_policyset();
    let within = rules.within(invariant.claim.bound())?;
    let asserts = match invariant.claim {
        Claim::AtLeast(_) | Claim::Asks(_) => disjoint_asserts(&whole, &within),
        Claim::AtMost(_) => implies_asserts(&whole, &within),
    };
    let breaks =
        |facts: &Facts<'_>| matches(invariant, facts) && !invariant.claim.holds(judge.program, facts);
    let Some(env) = session.example(&asserts)? else {
        // What holds of no request holds of every pack.
        if *invariant.condition() != Expr::Bool(true)
            && session.example(&never_matches_asserts(&subject))?.is_none()
        {
            return Ok(Verdict::Vacuous);
        }
        return match drawn_against(judge.program, invariant, &breaks) {
            false => Ok(Verdict::Proved),
            true => Err(Failure::Wrong("the engine has a counter-example to what it proved")),
        };
    };
    let mut example = Example::found(&env)?;
    if !breaks(&example.facts()) {
        let outcome = judge.agreed(&example.facts())?;
        return Err(Failure::Unconfirmed(format!("the engine says {outcome}, as the invariant wants it")));
    }
    example.simplify(&[judge.program, &invariant.program], &breaks);
    let outcome = judge.agreed(&example.facts())?;
    if !matched_by_cedar(invariant, &example)? {
        return Err(Failure::Unconfirmed("Cedar's authorizer does not match the invariant".to_owned()));
    }
    Ok(Verdict::Refuted(Box::new(Refutation { example, outcome })))
}

/// Whether requests drawn around the literals of the pack and the invariant break what was proved.
fn drawn_against(program: &Program, invariant: &Invariant, breaks: &dyn Fn(&Facts<'_>) -> bool) -> bool {
    let mut policies = program.policies().to_vec();
    policies.extend(invariant.program.policies().iter().cloned().map(|mut policy| {
        policy.meta.id = "..invariant".into();
        policy
    }));
    let Ok(both) = Program::new(program.hash(), policies) else { return false };
    let mut broken = false;
    draw_complete(&both, 1, DRAWN, &mut |facts| {
        broken |= breaks(facts);
        broken
    });
    broken
}

fn matched_by_cedar(invariant: &Invariant, example: &Example) -> Result<bool, Failure> {
    let rule: &Rule = &invariant.rule;
    let policy = rule.as_policy(CedarEffect::Permit, &[])?;
    let odd = |error: PackError| Failure::Unconfirmed(error.to_string());
    let oracle =
        Oracle::over(vec![(rule.id.clone(), policy)], facts_read(&invariant.program)).map_err(odd)?;
    let verdicts = oracle.ask(&example.facts()).map_err(Failure::Unconfirmed)?;
    Ok(verdicts.get(&rule.id) == Some(&Said::True))
}

fn report(path: &Path, pack: &CompiledPack, solver: &Solver, proofs: &[Proof]) -> Report {
    let count = |wanted: &dyn Fn(&Verdict) -> bool| proofs.iter().filter(|p| wanted(&p.verdict)).count();
    let proved = count(&|verdict| matches!(verdict, Verdict::Proved));
    let refuted =
        count(&|verdict| matches!(verdict, Verdict::Refuted(_) | Verdict::Vacuous | Verdict::Unsure(_)));
    let open = proofs.len().saturating_sub(proved).saturating_sub(refuted);
    let ok = proved == proofs.len();
    let by = solver.tested().map(|version| format!(", {version}")).unwrap_or_default();
    let mut text = format!("{}: {}{by}\n", path.display(), counted(proofs.len(), "invariant"));
    for proof in proofs {
        let word = match &proof.verdict {
            Verdict::Proved => "proved",
            Verdict::Refuted(_) | Verdict::Vacuous | Verdict::Unsure(_) => "REFUTED",
            Verdict::NotProved(_) => "NOT PROVED",
        };
        let took = proof.took.as_millis();
        let _ = writeln!(text, "  {word:10}  {:28}  {:>6} ms  {}", proof.id, took, proof.says);
    }
    for proof in proofs {
        text.push_str(&told(&pack.program, proof));
    }
    let mut failures: Vec<(&Failure, Vec<&str>)> = Vec::new();
    for proof in proofs {
        let Verdict::NotProved(failure) = &proof.verdict else { continue };
        match failures.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, ids)) => ids.push(&proof.id),
            None => failures.push((failure, vec![&proof.id])),
        }
    }
    for (failure, ids) in failures {
        let which = if ids.len() == proofs.len() { format!("all {}", ids.len()) } else { ids.join(", ") };
        let _ = writeln!(text, "\nNOT PROVED: {which}: {failure}");
    }
    let _ = writeln!(text, "\n{proved} proved, {refuted} refuted, {open} not proved");
    let listed: Vec<Json> = proofs.iter().map(|proof| proof.json()).collect();
    let json = json!({
        "ok": ok,
        "hash": hex(&pack.hash),
        "solver": { "program": solver.program().display().to_string(), "version": solver.tested() },
        "proved": proved,
        "refuted": refuted,
        "not_proved": open,
        "invariants": listed,
    });
    Report { ok, text, json }
}

/// `1 invariant`, `2 invariants`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What is to be said of an invariant that does not stand.
fn told(program: &Program, proof: &Proof) -> String {
    let mut text = String::new();
    match &proof.verdict {
        Verdict::Proved | Verdict::NotProved(_) => {}
        Verdict::Vacuous => {
            let _ = writeln!(
                text,
                "\nREFUTED {}: no request matches it, so that it would hold of every pack; mend its condition",
                proof.id
            );
        }
        Verdict::Unsure(example) => {
            let _ = writeln!(
                text,
                "\nREFUTED {}: its own condition overflows; bound what it calculates with (`context.x < .. &&`)\n{}",
                proof.id,
                listed(example, "    ").trim_end()
            );
        }
        Verdict::Refuted(refutation) => {
            let degree = refutation.outcome.degree.map_or_else(|| "allow".to_owned(), |d| d.to_string());
            let _ = writeln!(
                text,
                "\nREFUTED {}: {}\n  wanted {}, but it is `{degree}` for an ordinary withdrawal with",
                proof.id, proof.says, proof.claim
            );
            text.push_str(&listed(&refutation.example, "    "));
            let explained = explain_program(program, &refutation.example.lines());
            for line in explained.text.lines() {
                let _ =
                    writeln!(text, "{}", if line.is_empty() { String::new() } else { format!("  | {line}") });
            }
            text.push_str("  confirmed by Holdfast's engine and by Cedar's authorizer\n");
        }
    }
    text
}

impl Proof {
    /// For machines.
    pub fn json(&self) -> Json {
        let mut json = json!({
            "id": self.id,
            "says": self.says,
            "claim": self.claim.to_string(),
            "milliseconds": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        });
        let (result, more) = match &self.verdict {
            Verdict::Proved => ("proved", json!({})),
            Verdict::NotProved(failure) => {
                ("not_proved", json!({ "code": failure.code(), "why": failure.to_string() }))
            }
            Verdict::Vacuous => ("refuted", json!({ "code": "invariant_vacuous" })),
            Verdict::Unsure(example) => {
                ("refuted", json!({ "code": "invariant_can_error", "facts": example.lines() }))
            }
            Verdict::Refuted(refutation) => ("refuted", refutation.json()),
        };
        if let (Some(fields), Some(more)) = (json.as_object_mut(), more.as_object()) {
            fields.insert("result".to_owned(), json!(result));
            fields.extend(more.clone());
        }
        json
    }
}

impl Refutation {
    fn json(&self) -> Json {
        json!({
            "code": "invariant_broken",
            "facts": self.example.lines(),
            "outcome": self.outcome.degree.map_or_else(|| "allow".to_owned(), |degree| degree.to_string()),
            "reasons": self.outcome.reasons,
            "confirmed_by": ["engine", "authorizer"],
        })
    }
}
