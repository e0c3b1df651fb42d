//! A concrete request that the solver found: its facts, made as ordinary as they can be, and what both sides, Holdfast's
//! engine and Cedar's authorizer, say of it.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use cedar_policy::EvalResult;
use cedar_policy_symcc::Env;
use holdfast_policy::outcome::{NOT_PERMITTED, POLICY_ERROR};
use holdfast_policy::{Action, Degree, Effect, FACTS, Fact, FactType, Facts, Program, Value};

use super::solver::Failure;
use crate::cases::{ORDINARY, Outcome, set};
use crate::compare::{Oracle, Verdict, collect, facts_read};
use crate::pack::CompiledPack;
use crate::problem::PackError;
use crate::second::KeptFacts;

/// The facts of a request that shows something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    kept: KeptFacts,
}

impl Example {
    /// The facts of the request that the solver found.
    pub(crate) fn found(env: &Env) -> Result<Self, Failure> {
        let odd = |path: &str| Failure::Garbled(format!("its counter-example has no usable {path}"));
        let context = env.request.context().ok_or_else(|| odd("context"))?;
        let mut owned = Vec::new();
        for spec in &FACTS {
            let value = match spec.path.split_once('.') {
                None => context.get(spec.path),
                Some((group, name)) => match context.get(group) {
                    Some(EvalResult::Record(record)) => record.get(name).cloned(),
                    _ => None,
                },
            };
            owned.push((spec.fact, value.ok_or_else(|| odd(spec.path))?));
        }
        let mut facts = Facts::new();
        for (fact, value) in &owned {
            match (value, fact.ty()) {
                (EvalResult::Bool(value), FactType::Bool) => facts.set_bool(*fact, *value),
                (EvalResult::Long(value), FactType::Long) => facts.set_long(*fact, *value),
                (EvalResult::String(text), FactType::Text) => facts.set_text(*fact, text),
                (EvalResult::EntityUid(uid), FactType::Enum(enumeration)) => {
                    let id = uid.id().unescaped();
                    let word = enumeration.members().iter().find(|word| **word == id);
                    facts.set_text(*fact, word.ok_or_else(|| odd(fact.path()))?);
                }
                _ => return Err(odd(fact.path())),
            }
        }
        Ok(Self { kept: KeptFacts::keep(&facts) })
    }

    /// The facts.
    pub fn facts(&self) -> Facts<'_> {
        self.kept.facts()
    }

    /// What differs from an ordinary withdrawal: `path=value`, as a case and `holdfast policy explain --fact` take it.
    pub fn lines(&self) -> Vec<String> {
        let facts = self.facts();
        let differing = ORDINARY.iter().filter(|(fact, value)| facts.get(*fact) != *value);
        let lines = differing.map(|(fact, _)| match facts.get(*fact) {
            Value::Text(text) => format!("{}={text}", fact.path()),
            value => format!("{}={value}", fact.path()),
        });
        lines.collect()
    }

    /// Makes every fact ordinary that need not be otherwise, and the others as ordinary as the numbers and words allow
    /// that the rules speak of. Whatever is left still shows what it showed.
    pub(crate) fn simplify(&mut self, programs: &[&Program], shows: &dyn Fn(&Facts<'_>) -> bool) {
        let (mut numbers, mut texts) = (BTreeMap::new(), vec!["other"]);
        for program in programs {
            program.policies().iter().for_each(|policy| collect(&policy.condition, &mut numbers, &mut texts));
        }
        let kept = self.kept.clone();
        let mut facts = kept.facts();
        // All at once first: most facts do not matter, and each trial evaluates everything.
        let read: Vec<Fact> = programs.iter().flat_map(|program| facts_read(program)).collect();
        let mut calm = facts.clone();
        for (fact, value) in ORDINARY {
            if !read.contains(&fact) {
                set(&mut calm, fact, value);
            }
        }
        if shows(&calm) {
            facts = calm;
        }
        // Twice: what one fact needs may fall away with another.
        for _ in 0..2 {
            for (fact, usual) in ORDINARY {
                if facts.get(fact) == usual {
                    continue;
                }
                let mut near: Vec<Value<'_>> = match (fact.ty(), usual, facts.get(fact)) {
                    (FactType::Long, Value::Long(usual), Value::Long(now)) => {
                        let known = numbers.get(&fact).into_iter().flatten();
                        let mut near: Vec<i64> = known
                            .flat_map(|n: &i64| [n.saturating_sub(1), *n, n.saturating_add(1)])
                            .chain([0, 1])
                            .filter(|n| n.abs_diff(usual) < now.abs_diff(usual))
                            .collect();
                        near.sort_unstable_by_key(|n| (n.abs_diff(usual), *n));
                        near.dedup();
                        near.into_iter().map(Value::Long).collect()
                    }
                    (FactType::Text, ..) => texts.iter().map(|text| Value::Text(text)).collect(),
                    _ => Vec::new(),
                };
                near.insert(0, usual);
                for value in near {
                    let mut trial = facts.clone();
                    set(&mut trial, fact, value);
                    if shows(&trial) {
                        facts = trial;
                        break;
                    }
                }
                if let (Value::Long(usual), Value::Long(now)) = (usual, facts.get(fact)) {
                    facts.set_long(fact, nearest_to(usual, now, &facts, fact, shows));
                }
            }
        }
        self.kept = KeptFacts::keep(&facts);
    }
}

/// The number between the usual one and the one that shows it which still shows it, as near to the usual one as halving
/// finds.
fn nearest_to(
    usual: i64,
    now: i64,
    facts: &Facts<'_>,
    fact: Fact,
    shows: &dyn Fn(&Facts<'_>) -> bool,
) -> i64 {
    let (mut plain, mut shown) = (usual, now);
    let mut trial = facts.clone();
    while plain.abs_diff(shown) > 1 {
        let middle = i64::midpoint(plain, shown);
        trial.set_long(fact, middle);
        if shows(&trial) {
            shown = middle;
        } else {
            plain = middle;
        }
    }
    shown
}

/// A pack, as both sides see it.
pub(crate) struct Judge<'p> {
    pub(crate) program: &'p Program,
    oracle: Oracle,
}

impl<'p> Judge<'p> {
    pub(crate) fn new(pack: &'p CompiledPack) -> Result<Self, PackError> {
        Ok(Self { program: &pack.program, oracle: Oracle::new(pack, &pack.program)? })
    }

    /// What both sides say of it, if it is the same.
    pub(crate) fn agreed(&self, facts: &Facts<'_>) -> Result<Outcome, Failure> {
        let engine = Outcome::of(self.program, Action::Withdraw, facts);
        let verdicts = self.oracle.ask(facts).map_err(Failure::Unconfirmed)?;
        let cedar = outcome_of(self.program, &verdicts);
        if engine == cedar {
            return Ok(engine);
        }
        Err(Failure::Unconfirmed(format!("the engine says {engine}, Cedar's authorizer {cedar}")))
    }
}

/// The outcome that Cedar's verdicts amount to, errors counted as Holdfast counts them.
fn outcome_of(program: &Program, verdicts: &BTreeMap<String, Verdict>) -> Outcome {
    let (mut degree, mut permitted, mut reasons) = (None::<Degree>, false, Vec::new());
    for policy in program.policies() {
        match (verdicts.get(&*policy.meta.id), &policy.meta.effect) {
            (Some(Verdict::True), Effect::Permit) => permitted = true,
            (Some(Verdict::True), Effect::Forbid { degree: found, reason }) => {
                degree = degree.max(Some(*found));
                reasons.push(reason.to_string());
            }
            (Some(Verdict::Error), _) => {
                degree = degree.max(Some(Degree::Hold));
                reasons.push(POLICY_ERROR.to_owned());
            }
            (Some(Verdict::False) | None, _) => {}
        }
    }
    if !permitted {
        degree = Some(Degree::Deny);
        reasons.push(NOT_PERMITTED.to_owned());
    }
    reasons.sort_unstable();
    reasons.dedup();
    Outcome { degree, reasons }
}

/// The lines of an example, indented, as people read them.
pub(crate) fn listed(example: &Example, indent: &str) -> String {
    let lines = example.lines();
    if lines.is_empty() {
        return format!("{indent}(an ordinary withdrawal)\n");
    }
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{indent}{line}");
        text
    })
}
