//! The evaluator held against Cedar's own authorizer, on requests drawn around the literals of the policies.
//!
//! Cedar is the definition of what a policy means; the compiled program is a claim about it. A seeded generator aims at
//! each policy in turn, to make it true and to make it false by as little as possible, and mixes in extremes,
//! overflow and facts that are missing. What each side says of each policy must be the same: true, false or error.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet,
    Request, RestrictedExpression,
};
use holdfast_policy::expr::Arithmetic;
use holdfast_policy::{
    Action, Comparison, Effect, Enumeration, Expr, Fact, FactType, Facts, Findings, Program, Value, explain,
};

use crate::cases::{ORDINARY, set};
use crate::pack::{CompiledPack, parse, with_stack};
use crate::problem::{PackError, Problem};

/// What one side says of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    False,
    True,
    Error,
}

/// How often each policy was seen in each way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many requests were compared.
    pub requests: u64,
    /// For each policy by id: how often it was true, false and an error.
    pub policies: BTreeMap<String, [u64; 3]>,
}

impl Tally {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        for (id, counts) in &other.policies {
            let sums = self.policies.entry(id.clone()).or_default();
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
    }
}

/// Where the two sides part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Cedar's side could not be set up.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// One request, two meanings.
    #[error("seed {seed}, request {number}: {what}\n{facts}")]
    Disagreement {
        /// The seed that repeats it.
        seed: u64,
        /// The number of the request, from 0.
        number: u64,
        /// What each side says.
        what: String,
        /// The facts, one `path=value` a line, as `holdfast policy explain --fact` takes them.
        facts: String,
    },
}

/// Compares the program with Cedar's authorizer over the pack's source, on as many requests as asked for.
///
/// The same seed draws the same requests. The program need not be the pack's own: one that was altered must be found out.
pub fn compare(
    pack: &CompiledPack,
    program: &Program,
    seed: u64,
    requests: u64,
) -> Result<Tally, CompareError> {
    // The outcome travels inside `Ok`, since only setting up can fail as a pack does.
    with_stack(|| Ok(compare_here(pack, program, seed, requests)))?
}

fn compare_here(
    pack: &CompiledPack,
    program: &Program,
    seed: u64,
    requests: u64,
) -> Result<Tally, CompareError> {
    let generator = Generator::new(program);
    let mut random = Random(seed);
    let drawn = (0..requests).map(|number| generator.draw(number, &mut random));
    compare_each(pack, program, seed, drawn)
}

/// As [`compare`], on the given requests instead of drawn ones.
pub fn compare_on(
    pack: &CompiledPack,
    program: &Program,
    requests: &[Facts<'_>],
) -> Result<Tally, CompareError> {
    with_stack(|| Ok(compare_each(pack, program, 0, requests.iter().cloned())))?
}

fn compare_each<'f>(
    pack: &CompiledPack,
    program: &Program,
    seed: u64,
    requests: impl Iterator<Item = Facts<'f>>,
) -> Result<Tally, CompareError> {
    let oracle = Oracle::new(pack, program)?;
    let (mut tally, mut findings) = (Tally::default(), Findings::new());
    for (number, facts) in (0u64..).zip(requests) {
        let differ = |what: String| CompareError::Disagreement {
            seed,
            number,
            what,
            facts: listed(&oracle.read, &facts),
        };
        let cedar = oracle.ask(&facts).map_err(|error| differ(format!("Cedar cannot be asked: {error}")))?;
        program.evaluate(Action::Withdraw, &facts, &mut findings);
        let mut permitted = false;
        for (at, policy) in (0u16..).zip(program.policies()) {
            let ours = match program.evaluate_one(at, Action::Withdraw, &facts) {
                Some(Ok(true)) => Verdict::True,
                Some(Ok(false)) | None => Verdict::False,
                Some(Err(_)) => Verdict::Error,
            };
            let id = &*policy.meta.id;
            let theirs = cedar.get(id).copied().unwrap_or(Verdict::False);
            if ours != theirs {
                return Err(differ(format!("policy {id}: the program says {ours:?}, Cedar says {theirs:?}")));
            }
            let forbid = matches!(policy.meta.effect, Effect::Forbid { .. });
            permitted |= !forbid && theirs == Verdict::True;
            let matched = findings.matched.contains(&at);
            let errored = findings.errored.contains(&at);
            if matched != (forbid && theirs == Verdict::True) || errored != (theirs == Verdict::Error) {
                return Err(differ(format!(
                    "policy {id}: the findings say otherwise than Cedar's {theirs:?}"
                )));
            }
            let counts = tally.policies.entry(id.to_owned()).or_default();
            let [yes, no, error] = counts;
            match theirs {
                Verdict::True => *yes += 1,
                Verdict::False => *no += 1,
                Verdict::Error => *error += 1,
            }
        }
        if findings.permitted != permitted {
            return Err(differ(format!(
                "the findings say permitted: {}, Cedar {permitted}",
                findings.permitted
            )));
        }
        tally.requests += 1;
    }
    Ok(tally)
}

pub(crate) fn listed(read: &[Fact], facts: &Facts<'_>) -> String {
    read.iter().fold(String::new(), |mut text, fact| {
        let value = match facts.get(*fact) {
            Value::Text(value) => value.to_owned(),
            value => value.to_string(),
        };
        let _ = writeln!(text, "{}={value}", fact.path());
        text
    })
}

/// Cedar's side: permits and forbids apart, since Cedar names the forbids alone where both match.
pub(crate) struct Oracle {
    permits: PolicySet,
    forbids: PolicySet,
    authorizer: Authorizer,
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    words: BTreeMap<(&'static str, &'static str), EntityUid>,
    pub(crate) read: Vec<Fact>,
}

impl Oracle {
    pub(crate) fn new(pack: &CompiledPack, program: &Program) -> Result<Self, PackError> {
        let mut policies = Vec::new();
        for (name, text) in &pack.files {
            for one in parse((name, text)).map_err(|problems| PackError { problems })? {
                let id = one.id().unwrap_or_default().to_owned();
                policies.push((id, one.policy));
            }
        }
        Self::over(policies, facts_read(program))
    }

    /// Cedar's side of the policies, each by the id that verdicts name it by, and the facts that any of them reads.
    pub(crate) fn over(policies: Vec<(String, Policy)>, read: Vec<Fact>) -> Result<Self, PackError> {
        let odd = |error: &dyn core::fmt::Display| {
            PackError::from(Problem::of_pack("compare_failed", error.to_string()))
        };
        let (mut permits, mut forbids) = (PolicySet::new(), PolicySet::new());
        for (id, policy) in policies {
            let permit = policy.effect() == cedar_policy::Effect::Permit;
            let side = if permit { &mut permits } else { &mut forbids };
            side.add(policy.new_id(PolicyId::new(id))).map_err(|error| odd(&error))?;
        }
        let uid = |kind: &str, id: &str| -> Result<EntityUid, PackError> {
            let kind = kind.parse().map_err(|error: cedar_policy::ParseErrors| odd(&error))?;
            Ok(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(id)))
        };
        let mut words = BTreeMap::new();
        for enumeration in Enumeration::ALL {
            for word in enumeration.members() {
                words.insert((enumeration.name(), *word), uid(enumeration.name(), word)?);
            }
        }
        Ok(Self {
            permits,
            forbids,
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
            principal: uid("Account", "a")?,
            action: uid("Action", Action::Withdraw.name())?,
            resource: uid("Exchange", "x")?,
            words,
            read,
        })
    }

    /// The verdicts that are not `False`, by policy.
    pub(crate) fn ask(&self, facts: &Facts<'_>) -> Result<BTreeMap<String, Verdict>, String> {
        let mut groups: BTreeMap<&str, Vec<(String, RestrictedExpression)>> = BTreeMap::new();
        let mut pairs = Vec::new();
        for fact in &self.read {
            let value = match facts.get(*fact) {
                // A fact that the engine could not give is an attribute that is not there.
                Value::Unset => continue,
                Value::Bool(value) => RestrictedExpression::new_bool(value),
                Value::Long(value) => RestrictedExpression::new_long(value),
                Value::Text(text) => match fact.ty() {
                    FactType::Enum(enumeration) => {
                        let word = self
                            .words
                            .iter()
                            .find(|((name, word), _)| *name == enumeration.name() && *word == text);
                        RestrictedExpression::new_entity_uid(word.ok_or("no such word")?.1.clone())
                    }
                    _ => RestrictedExpression::new_string(text.to_owned()),
                },
            };
            match fact.path().split_once('.') {
                Some((group, name)) => groups.entry(group).or_default().push((name.to_owned(), value)),
                None => pairs.push((fact.path().to_owned(), value)),
            }
        }
        for (group, fields) in groups {
            let record = RestrictedExpression::new_record(fields).map_err(|error| error.to_string())?;
            pairs.push((group.to_owned(), record));
        }
        let context = Context::from_pairs(pairs).map_err(|error| error.to_string())?;
        let request =
            Request::new(self.principal.clone(), self.action.clone(), self.resource.clone(), context, None)
                .map_err(|error| error.to_string())?;
        let mut verdicts = BTreeMap::new();
        for (side, opens) in [(&self.permits, true), (&self.forbids, false)] {
            let response = self.authorizer.is_authorized(&request, side, &self.entities);
            for id in response.diagnostics().reason() {
                verdicts.insert(id.to_string(), Verdict::True);
            }
            for error in response.diagnostics().errors() {
                let AuthorizationError::PolicyEvaluationError(error) = error;
                verdicts.insert(error.policy_id().to_string(), Verdict::Error);
            }
            let satisfied = response.diagnostics().reason().next().is_some();
            if (response.decision() == Decision::Allow) != (opens && satisfied) {
                return Err("its decision and its reasons differ".to_owned());
            }
        }
        Ok(verdicts)
    }
}

/// The facts that any policy reads, in the order of the table. Cedar's cost grows with every attribute of a request,
/// and what no policy reads can change nothing.
pub(crate) fn facts_read(program: &Program) -> Vec<Fact> {
    let mut read = Vec::new();
    program.policies().iter().for_each(|policy| explain::facts_of(&policy.condition, &mut read));
    read.sort_unstable();
    read.dedup();
    read
}

/// Calls `seen` with that many requests, drawn around the literals of the program, in which every fact that it reads is
/// known, until it answers that it has seen enough.
pub(crate) fn draw_complete(
    program: &Program,
    seed: u64,
    count: u64,
    seen: &mut dyn FnMut(&Facts<'_>) -> bool,
) {
    let generator = Generator::new(program);
    let mut random = Random(seed);
    for number in 0..count {
        let facts = generator.draw(number, &mut random);
        if generator.read.iter().all(|fact| facts.get(*fact) != Value::Unset) && seen(&facts) {
            return;
        }
    }
}

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.next().checked_rem(of.len() as u64)?;
        of.get(usize::try_from(at).ok()?).copied()
    }
}

/// Draws the facts of requests.
struct Generator<'p> {
    program: &'p Program,
    read: Vec<Fact>,
    /// For each fact, the numbers that it is compared with.
    numbers: BTreeMap<Fact, Vec<i64>>,
    texts: Vec<&'p str>,
}

const EXTREMES: [i64; 6] = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX];

impl<'p> Generator<'p> {
    fn new(program: &'p Program) -> Self {
        let read = facts_read(program);
        let (mut numbers, mut texts) = (BTreeMap::new(), vec!["", "other"]);
        for policy in program.policies() {
            collect(&policy.condition, &mut numbers, &mut texts);
        }
        Self { program, read, numbers, texts }
    }

    fn draw(&self, number: u64, random: &mut Random) -> Facts<'p> {
        let mut facts = Facts::new();
        // Most requests are ordinary but for a few facts, so that one policy's aim is not lost among the others'.
        let wildness = if random.one_in(4) { 1 } else { 6 };
        for fact in &self.read {
            if random.one_in(wildness) {
                self.scatter(*fact, &mut facts, random);
            } else if let Some((_, value)) = ORDINARY.get(usize::from(fact.code())) {
                set(&mut facts, *fact, *value);
            }
        }
        let count = self.program.len() as u64;
        let aim =
            number.checked_rem(count).and_then(|at| self.program.policies().get(usize::try_from(at).ok()?));
        if let Some(policy) = aim
            && !random.one_in(8)
        {
            // Twice: a later part of a condition may undo what an earlier one needs, and is left alone once it holds.
            let wanted = random.one_in(2);
            self.steer(&policy.condition, wanted, &mut facts, random);
            self.steer(&policy.condition, wanted, &mut facts, random);
        }
        if random.one_in(16)
            && let Some(fact) = random.pick(&self.read)
        {
            facts.unset(fact);
        }
        facts
    }

    fn scatter(&self, fact: Fact, facts: &mut Facts<'p>, random: &mut Random) {
        match fact.ty() {
            FactType::Bool => facts.set_bool(fact, random.one_in(2)),
            FactType::Long => {
                let near = self.numbers.get(&fact).and_then(|numbers| random.pick(numbers));
                let value = match near {
                    Some(near) if !random.one_in(6) => nudged(near, random),
                    _ => random.pick(&EXTREMES).unwrap_or_default(),
                };
                facts.set_long(fact, value);
            }
            FactType::Text => facts.set_text(fact, random.pick(&self.texts).unwrap_or_default()),
            FactType::Enum(enumeration) => {
                facts.set_text(fact, random.pick(enumeration.members()).unwrap_or_default());
            }
        }
    }

    /// Changes facts until the expression has the wanted truth, by as little as its literals allow; what cannot be
    /// steered is scattered. Nothing depends on success: the tally shows what was reached.
    fn steer(&self, expr: &Expr, wanted: bool, facts: &mut Facts<'p>, random: &mut Random) {
        if expr.truth(facts) == Ok(wanted) {
            return;
        }
        match expr {
            Expr::Fact(fact) => facts.set_bool(*fact, wanted),
            Expr::Not(inner) => self.steer(inner, !wanted, facts, random),
            Expr::All(parts) | Expr::Any(parts) => {
                if matches!(expr, Expr::All(_)) == wanted {
                    parts.iter().for_each(|part| self.steer(part, wanted, facts, random));
                } else {
                    let parts: Vec<&Expr> = parts.iter().collect();
                    if let Some(part) = random.pick(&parts) {
                        self.steer(part, wanted, facts, random);
                    }
                }
            }
            Expr::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let branch = random.one_in(2);
                self.steer(condition, branch, facts, random);
                self.steer(if branch { then } else { otherwise }, wanted, facts, random);
            }
            Expr::Compare(comparison, pair) => {
                let comparison = if wanted { *comparison } else { comparison.opposite() };
                self.meet(comparison, pair, facts, random);
            }
            Expr::Among(value, set) => {
                if let Expr::Fact(fact) = **value {
                    self.place(fact, wanted, set, facts, random);
                }
            }
            _ => {}
        }
    }

    /// Sets a fact to one of the literals, or to anything at all.
    fn place(&self, fact: Fact, inside: bool, set: &[Expr], facts: &mut Facts<'p>, random: &mut Random) {
        let literals: Vec<&Expr> = set.iter().collect();
        match random.pick(&literals) {
            Some(Expr::Long(value)) if inside => facts.set_long(fact, *value),
            Some(Expr::Bool(value)) if inside => facts.set_bool(fact, *value),
            Some(Expr::Text(text) | Expr::Member(_, text)) if inside => {
                let known = self.texts.iter().find(|known| **known == &**text);
                facts.set_text(fact, known.copied().unwrap_or_default());
            }
            _ => self.scatter(fact, facts, random),
        }
    }

    /// Makes `left ? right` hold by moving one fact of the left side to the border that the right side draws.
    fn meet(&self, comparison: Comparison, pair: &[Expr; 2], facts: &mut Facts<'p>, random: &mut Random) {
        let [left, right] = pair;
        let border = match right.value(facts) {
            Ok(Value::Long(border)) => border,
            _ => {
                if let Expr::Fact(fact) = left {
                    self.place(
                        *fact,
                        comparison == Comparison::Equal,
                        core::slice::from_ref(right),
                        facts,
                        random,
                    );
                }
                return;
            }
        };
        let slack =
            if random.one_in(3) { i64::try_from(random.next() % 1_000).unwrap_or_default() } else { 0 };
        let target = match comparison {
            Comparison::Equal => Some(border),
            Comparison::NotEqual => border.checked_add(1 + slack),
            Comparison::Less => border.checked_sub(1 + slack),
            Comparison::LessOrEqual => border.checked_sub(slack),
            Comparison::Greater => border.checked_add(1 + slack),
            Comparison::GreaterOrEqual => border.checked_add(slack),
        };
        match (left, target) {
            (Expr::Fact(fact), Some(target)) => facts.set_long(*fact, target),
            (Expr::Arithmetic(operation, parts), Some(target)) => {
                // One operand becomes whatever the other leaves over.
                let [a, b] = &**parts;
                let (Expr::Fact(a), Ok(Value::Long(other))) = (a, b.value(facts)) else { return };
                let needed = match operation {
                    Arithmetic::Add => target.checked_sub(other),
                    Arithmetic::Subtract => target.checked_add(other),
                    Arithmetic::Multiply => target.checked_div(other),
                };
                if let Some(needed) = needed {
                    facts.set_long(*a, needed);
                }
            }
            _ => {}
        }
    }
}

/// The number itself, or one beside it.
fn nudged(near: i64, random: &mut Random) -> i64 {
    near.saturating_add(random.pick(&[-1, 0, 0, 1]).unwrap_or_default())
}

/// Which numbers stand in one comparison with which facts, and every text.
pub(crate) fn collect<'p>(expr: &'p Expr, numbers: &mut BTreeMap<Fact, Vec<i64>>, texts: &mut Vec<&'p str>) {
    match expr {
        Expr::Text(text) | Expr::Member(_, text) => texts.push(text),
        Expr::Not(inner) | Expr::Negate(inner) => collect(inner, numbers, texts),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| collect(part, numbers, texts)),
        Expr::If(parts) => parts.iter().for_each(|part| collect(part, numbers, texts)),
        Expr::Compare(_, pair) => share(&**pair, numbers, texts),
        Expr::Arithmetic(_, pair) => pair.iter().for_each(|part| collect(part, numbers, texts)),
        Expr::Among(value, set) => {
            share(set, numbers, texts);
            let mut read = Vec::new();
            explain::facts_of(value, &mut read);
            for fact in read {
                let near = set
                    .iter()
                    .filter_map(|literal| if let Expr::Long(n) = literal { Some(*n) } else { None });
                numbers.entry(fact).or_default().extend(near);
            }
        }
        Expr::Bool(_) | Expr::Long(_) | Expr::Fact(_) => {}
    }
}

fn share<'p>(parts: &'p [Expr], numbers: &mut BTreeMap<Fact, Vec<i64>>, texts: &mut Vec<&'p str>) {
    let (mut read, mut near) = (Vec::new(), Vec::new());
    for part in parts {
        collect(part, numbers, texts);
        explain::facts_of(part, &mut read);
        longs_of(part, &mut near);
    }
    for fact in read {
        numbers.entry(fact).or_default().extend(&near);
    }
}

fn longs_of(expr: &Expr, near: &mut Vec<i64>) {
    match expr {
        Expr::Long(value) => near.push(*value),
        Expr::Negate(inner) => longs_of(inner, near),
        Expr::Arithmetic(_, pair) => pair.iter().for_each(|part| longs_of(part, near)),
        Expr::If(parts) => parts.iter().for_each(|part| longs_of(part, near)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use holdfast_policy::FACTS;

    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_requests() {
        let program = Program::permit_all();
        let draw = |seed| Generator::new(&program).draw(0, &mut Random(seed));
        assert_eq!(
            listed(&FACTS.map(|spec| spec.fact), &draw(7)),
            listed(&FACTS.map(|spec| spec.fact), &draw(7))
        );
    }
}
