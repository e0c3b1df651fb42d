//! Warnings about a pack that stands: what it says in vain, and what it leaves unsaid. Those that only a solver can give
//! are asked for apart.

use core::fmt;
use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cedar_policy::PolicySet;
use cedar_policy::pst::{Clause, Effect as CedarEffect, Policy as Syntax};
use cedar_policy_symcc::{
    disjoint_asserts, implies_asserts, matches_implies_asserts, never_errors_asserts, never_matches_asserts,
};
use holdfast_policy::outcome::{NOT_PERMITTED, POLICY_ERROR};
use holdfast_policy::{Action, Degree, Effect, Expr, Fact, FactType, Facts, Program, explain};
use serde_json::{Value as Json, json};

use super::example::{Example, Judge};
use super::proof::self_test;
use super::rules::{Bound, Rule, Rules, World, meets};
use super::solver::{Failure, Session, Solver};
use super::{Progress, Watch};
use crate::known::{Known, check_words};
use crate::load::load_dir;
use crate::pack::{CompiledPack, with_stack};
use crate::problem::PackError;
use crate::reasons::{REASONS_FILE, reason_texts};
use crate::report::{self, Report, refused};

/// The most policies of equal facts that are tried as what hides another.
const SHADOWS_MAX: usize = 64;

/// Something that is not wrong, and hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The stable code.
    pub code: &'static str,
    /// The policy, if it is about one.
    pub policy: Option<String>,
    /// What is odd, and what to do.
    pub message: String,
    /// A request that shows it, as it differs from an ordinary one.
    pub facts: Vec<String>,
}

impl Warning {
    fn new(code: &'static str, policy: Option<&str>, message: impl Into<String>) -> Self {
        Self { code, policy: policy.map(str::to_owned), message: message.into(), facts: Vec::new() }
    }

    fn json(&self) -> Json {
        json!({ "code": self.code, "policy": self.policy, "message": self.message, "facts": self.facts })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warning[{}]: ", self.code)?;
        if let Some(policy) = &self.policy {
            write!(f, "{policy}: ")?;
        }
        f.write_str(&self.message)?;
        if !self.facts.is_empty() {
            write!(f, "\n  = for an ordinary withdrawal with {}", self.facts.join(" "))?;
        }
        Ok(())
    }
}

/// The warnings that need no solver: outcomes that can never come out, reasons without a text, texts without a reason.
pub fn lints(pack: &CompiledPack, texts: &BTreeMap<String, String>) -> Vec<Warning> {
    let policies = pack.program.policies();
    let mut warnings = Vec::new();
    if !policies.iter().any(|policy| policy.meta.effect == Effect::Permit) {
        let message = "the pack has no permit: whatever is asked for is denied";
        warnings.push(Warning::new("outcome_unreachable", None, message));
    }
    for policy in policies {
        if let Effect::Forbid { degree, .. } = &policy.meta.effect
            && policy.condition == Expr::Bool(true)
        {
            let message = format!("it always matches: nothing less severe than `{degree}` ever comes out");
            warnings.push(Warning::new("outcome_unreachable", Some(&policy.meta.id), message));
        }
    }
    let mut reasons: BTreeSet<&str> = policies.iter().filter_map(|policy| policy.meta.reason()).collect();
    for reason in &reasons {
        if !texts.contains_key(*reason) {
            let message =
                format!("the reason {reason} has no text: write `{reason}: A sentence.` into {REASONS_FILE}");
            warnings.push(Warning::new("reason_text_missing", None, message));
        }
    }
    // The engine's own reasons may have a text.
    reasons.extend([POLICY_ERROR, NOT_PERMITTED]);
    for reason in texts.keys().filter(|reason| !reasons.contains(reason.as_str())) {
        let message = format!("{REASONS_FILE} explains {reason}, which no policy gives");
        warnings.push(Warning::new("reason_text_unused", None, message));
    }
    warnings
}

/// A question of a deep check.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// What there is to say of the policy of that number.
    Policy(usize),
    /// Whether that outcome comes of any request.
    Outcome(Option<Degree>),
}

/// What a deep check found.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    /// The warnings.
    pub warnings: Vec<Warning>,
    /// What is not known, and why.
    pub not_proved: Vec<(String, Failure)>,
}

/// The warnings that a solver gives: policies that never match, can error, change nothing or stand in another's shadow,
/// and outcomes that come of no request.
///
/// # Errors
/// If the pack cannot be asked about at all.
pub fn deep_lints(pack: &CompiledPack, solver: &Solver, watch: Watch<'_>) -> Result<Deep, PackError> {
    with_stack(|| {
        let world = World::new()?;
        let rules = Rules::of(&world, pack)?;
        let judge = Judge::new(pack)?;
        let mut asked: Vec<Asked> = (0..rules.rules.len()).map(Asked::Policy).collect();
        let degrees: BTreeSet<Degree> =
            pack.program.policies().iter().filter_map(|p| p.meta.degree()).collect();
        asked.extend([Asked::Outcome(None)]);
        asked.extend(degrees.into_iter().map(|degree| Asked::Outcome(Some(degree))));
        let name = |one: &Asked| match one {
            Asked::Policy(number) => rules.rules.get(*number).map(|rule| rule.id.clone()).unwrap_or_default(),
            Asked::Outcome(outcome) => format!("outcome {}", outcome_name(*outcome)),
        };
        let count = AtomicUsize::new(0);
        let done = |at: usize| {
            let done = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            let name = asked.get(at).map(name).unwrap_or_default();
            watch(Progress { done, total: asked.len(), name: &name });
        };
        let mut deep = Deep::default();
        if let Err(failure) = self_test(&world, solver) {
            deep.not_proved.push(("the pack".to_owned(), failure));
            return Ok(deep);
        }
        let answers = solver.each(&asked, &done, |session, one| match one {
            Asked::Policy(number) => policy(session, &rules, &judge, pack, *number),
            Asked::Outcome(outcome) => reachable(session, &rules, *outcome),
        });
        for (one, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(mut found) => deep.warnings.append(&mut found),
                Err(failure) => deep.not_proved.push((name(one), failure)),
            }
        }
        Ok(deep)
    })
}

fn outcome_name(outcome: Option<Degree>) -> String {
    outcome.map_or_else(|| "allow".to_owned(), |degree| degree.to_string())
}

/// Whether some request comes out exactly so.
fn reachable(
    session: &Session<'_>,
    rules: &Rules<'_>,
    outcome: Option<Degree>,
) -> Result<Vec<Warning>, Failure> {
    let found = match outcome {
        None => {
            let at_once = rules.within(Bound::UpTo(None))?;
            session.example(&cedar_policy_symcc::always_denies_asserts(&at_once))?
        }
        Some(Degree::Deny) => {
            let undenied = rules.within(Bound::Below(Degree::Deny))?;
            session.example(&cedar_policy_symcc::always_allows_asserts(&undenied))?
        }
        Some(degree) => {
            let (within, below) = (rules.within(Bound::UpTo(outcome))?, rules.within(Bound::Below(degree))?);
            session.example(&implies_asserts(&within, &below))?
        }
    };
    Ok(match found {
        Some(_) => Vec::new(),
        None => {
            let message = format!("`{}` is the outcome of no request", outcome_name(outcome));
            vec![Warning::new("outcome_unreachable", None, message)]
        }
    })
}

fn policy(
    session: &Session<'_>,
    rules: &Rules<'_>,
    judge: &Judge<'_>,
    pack: &CompiledPack,
    number: usize,
) -> Result<Vec<Warning>, Failure> {
    let (Some(rule), Some(policy)) = (rules.rules.get(number), pack.program.policies().get(number)) else {
        return Ok(Vec::new());
    };
    let alone = rules.world.policy(&rule.as_policy(CedarEffect::Permit, &[])?)?;
    let Some(env) = session.example(&never_matches_asserts(&alone))? else {
        let message = "no request matches it: mend its condition, or delete it";
        return Ok(vec![Warning::new("policy_dead", Some(&rule.id), message)]);
    };
    let matched = Example::found(&env)?;
    let mut warnings = Vec::new();
    if rule.calculates
        && let Some(example) = error_of(session, rules, rule, judge.program, number)?
    {
        let mut warning = Warning::new(
            "policy_can_error",
            Some(&rule.id),
            "it overflows for some request, which is a hold: bound what it calculates with",
        );
        warning.facts = example.lines();
        warnings.push(warning);
    }
    if let Some(warning) = needless(session, rules, number)? {
        warnings.push(warning);
    } else if let Effect::Forbid { degree, .. } = policy.meta.effect
        && let Some(warning) = shadowed(session, rules, judge, number, degree, matched)?
    {
        warnings.push(warning);
    }
    Ok(warnings)
}

/// A request for which the policy overflows, quantities being what they are: never negative.
fn error_of(
    session: &Session<'_>,
    rules: &Rules<'_>,
    rule: &Rule,
    program: &Program,
    number: usize,
) -> Result<Option<Example>, Failure> {
    let Some(policy) = program.policies().get(number) else { return Ok(None) };
    let mut read = Vec::new();
    explain::facts_of(&policy.condition, &mut read);
    read.retain(|fact| fact.ty() == FactType::Long);
    let bounded = bounded(rule, &read)?;
    let compiled = rules.world.policy(&bounded.as_policy(CedarEffect::Permit, &[])?)?;
    let Some(env) = session.example(&never_errors_asserts(&compiled))? else { return Ok(None) };
    let mut example = Example::found(&env)?;
    let fails = |facts: &Facts<'_>| {
        let negative = |fact: &Fact| matches!(facts.get(*fact), holdfast_policy::Value::Long(..0));
        policy.condition.truth(facts).is_err() && !read.iter().any(negative)
    };
    if !fails(&example.facts()) {
        return Err(Failure::Unconfirmed(format!("the engine can evaluate {}", rule.id)));
    }
    example.simplify(&[program], &fails);
    Ok(Some(example))
}

/// The rule, for requests only in which those facts are not negative.
fn bounded(rule: &Rule, quantities: &[Fact]) -> Result<Rule, Failure> {
    let odd = |error: &dyn fmt::Display| Failure::Unaskable(error.to_string());
    let mut clauses: Vec<Clause> = Vec::new();
    for fact in quantities {
        let text = format!("permit(principal, action, resource) when {{ context.{} >= 0 }};", fact.path());
        let set: PolicySet = text.parse().map_err(|error: cedar_policy::ParseErrors| odd(&error))?;
        for policy in set.policies() {
            if let Syntax::Static(body) = policy.to_pst().map_err(|error| odd(&error))? {
                clauses.extend(body.body().clauses().iter().cloned());
            }
        }
    }
    clauses.extend(rule.body.clauses().iter().cloned());
    let body = rule.body.clone().try_with_clauses(clauses).map_err(|error| odd(&error))?;
    Ok(Rule { body, ..rule.clone() })
}

/// Whether the pack without it asks the same of every request.
fn needless(session: &Session<'_>, rules: &Rules<'_>, number: usize) -> Result<Option<Warning>, Failure> {
    let Some(rule) = rules.rules.get(number) else { return Ok(None) };
    let others = |one: &Rule| one.id != rule.id;
    let Effect::Forbid { degree, reason } = &rule.effect else {
        // A permit opens what no other opens, or nothing.
        let with = rules.within(Bound::Below(Degree::Deny))?;
        let without = rules.compile(Bound::Below(Degree::Deny), &others)?;
        let needed = session.example(&implies_asserts(&with, &without))?.is_some();
        let message = "the other permits open everything that it opens: delete it";
        return Ok((!needed).then(|| Warning::new("policy_redundant", Some(&rule.id), message)));
    };
    let alone = rules.world.policy(&rule.as_policy(CedarEffect::Permit, &[])?)?.into_compiled_policyset();
    let open = rules.compile(Bound::Without(*degree), &others)?;
    if session.example(&disjoint_asserts(&alone, &open))?.is_some() {
        return Ok(None);
    }
    let reasoned = |one: &Rule| match &one.effect {
        Effect::Permit => true,
        Effect::Forbid { reason: other, .. } => others(one) && other == reason,
    };
    // Every forbid of that reason leads out of the bound, whatever its degree.
    let unsaid = rules.compile(Bound::UpTo(None), &reasoned)?;
    Ok(Some(if session.example(&disjoint_asserts(&alone, &unsaid))?.is_some() {
        let message =
            format!("other policies ask for all that it asks for: it only adds the reason {reason}");
        Warning::new("policy_adds_reason_only", Some(&rule.id), message)
    } else {
        let message = "other policies ask for all that it asks for, for the same reason: delete it";
        Warning::new("policy_redundant", Some(&rule.id), message)
    }))
}

/// A single policy that is more severe and matches whatever this one matches.
fn shadowed(
    session: &Session<'_>,
    rules: &Rules<'_>,
    judge: &Judge<'_>,
    number: usize,
    degree: Degree,
    matched: Example,
) -> Result<Option<Warning>, Failure> {
    let Some(rule) = rules.rules.get(number) else { return Ok(None) };
    let matches = |other: usize, facts: &Facts<'_>| {
        let number = u16::try_from(other).unwrap_or(u16::MAX);
        matches!(judge.program.evaluate_one(number, Action::Withdraw, facts), Some(Ok(true)))
    };
    let severer = rules.rules.iter().enumerate().filter(|(_, other)| match other.effect {
        Effect::Forbid { degree: other, .. } => other > degree && !meets(degree, other),
        Effect::Permit => false,
    });
    let mut left: Vec<(usize, &Rule)> = severer.collect();
    let alone = rules.world.policy(&rule.as_policy(CedarEffect::Permit, &[])?)?;
    let mut seen = matched;
    // Each request that this one matches and another does not takes that other out; most go with the first.
    for _ in 0..SHADOWS_MAX {
        left.retain(|(other, _)| matches(*other, &seen.facts()));
        let Some((_, other)) = left.first().copied() else { return Ok(None) };
        let shade = rules.world.policy(&other.as_policy(CedarEffect::Permit, &[])?)?;
        match session.example(&matches_implies_asserts(&alone, &shade))? {
            None => {
                let message = format!(
                    "whatever it matches, {} matches too, and is more severe: delete it, or say what is left to it",
                    other.id
                );
                return Ok(Some(Warning::new("policy_shadowed", Some(&rule.id), message)));
            }
            Some(env) => seen = Example::found(&env)?,
        }
    }
    Ok(None)
}

/// Everything that [`report::check_dir`] checks, with warnings: those without a solver, and where one is given, those
/// that need it. What could not be asked makes the report bad; warnings do if they are denied.
pub fn check_dir(
    path: &Path,
    known: Option<&Known>,
    deep: Option<(&Solver, Watch<'_>)>,
    deny_warnings: bool,
) -> Report {
    let mut report = report::check_dir(path);
    if !report.ok {
        return report;
    }
    let found = load_dir(path).and_then(|pack| {
        known.map_or(Ok(()), |known| check_words(&pack, known))?;
        let mut warnings = lints(&pack, &reason_texts(path)?);
        let mut not_proved = Vec::new();
        if let Some((solver, watch)) = deep {
            let mut deep = deep_lints(&pack, solver, watch)?;
            // What is plain to see was said already.
            let plain = warnings.iter().any(|warning| warning.code == "outcome_unreachable");
            deep.warnings.retain(|warning| !plain || warning.code != "outcome_unreachable");
            warnings.append(&mut deep.warnings);
            not_proved = deep.not_proved;
        }
        Ok((warnings, not_proved))
    });
    let (warnings, not_proved) = match found {
        Ok(found) => found,
        Err(error) => return refused(&error),
    };
    for warning in &warnings {
        let _ = writeln!(report.text, "{warning}");
    }
    for (what, failure) in &not_proved {
        let _ = writeln!(report.text, "not proved[{}]: {what}: {failure}", failure.code());
    }
    if deep.is_some() {
        let known = if not_proved.is_empty() { "" } else { ", and not everything is known" };
        let _ = writeln!(report.text, "{} warnings{known}", warnings.len());
    }
    report.ok = not_proved.is_empty() && (warnings.is_empty() || !deny_warnings);
    if let Some(fields) = report.json.as_object_mut() {
        let warnings: Vec<Json> = warnings.iter().map(Warning::json).collect();
        let open: Vec<Json> = not_proved
            .iter()
            .map(
                |(what, failure)| json!({ "what": what, "code": failure.code(), "why": failure.to_string() }),
            )
            .collect();
        fields.insert("ok".to_owned(), json!(report.ok));
        fields.insert("warnings".to_owned(), json!(warnings));
        fields.insert("not_proved".to_owned(), json!(open));
    }
    report
}
