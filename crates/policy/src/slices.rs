//! Which policies may take effect at all, told from a few facts before any condition is evaluated.
//!
//! A condition is mostly a chain of `&&`, and its first part mostly asks one fact: `context.class == Class::"unvouched"`.
//! Where that part is false, so is the whole. The values of a fact fall into regions in which every first part that asks
//! this fact alone has one truth: an index keeps, for each region, the policies whose first part is true there. What it
//! leaves out is false; nothing else is ever left out. A fact that is unset leaves out nothing, so that whoever reads it
//! errs as he would have.
//!
//! The index is made from the program and is no part of it: it is neither encoded nor compared.

use core::cmp::Ordering;

use crate::expr::Expr;
use crate::facts::{Action, FACTS, Fact, FactType, Facts, Value};
use crate::program::{POLICIES_MAX, Policy};

/// The most regions that the values of one fact fall into: bounds the time to build an index and its size, whatever the
/// program. A policy whose literals would make more is evaluated always.
const REGIONS_MAX: usize = 256;
/// Policies for each word of a set.
const WORD: usize = u64::BITS as usize;

/// The index of a program: a slice for each action.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slices(Box<[Slice]>);

/// The index over the policies of one action.
#[derive(Clone, Debug)]
struct Slice {
    /// Policies whose first part asks something else than one fact.
    always: Box<[u16]>,
    facts: Box<[ByFact]>,
}

/// The policies whose first part asks this fact alone.
#[derive(Clone, Debug)]
struct ByFact {
    fact: Fact,
    all: Box<[u16]>,
    regions: Regions,
}

/// A text, and the policies that its region leaves.
type Literal = (Box<str>, Box<[u16]>);

#[derive(Clone, Debug)]
enum Regions {
    /// False, true.
    Bool([Box<[u16]>; 2]),
    /// The literals, sorted, with their policies; and the policies of any other text.
    Text(Box<[Literal]>, Box<[u16]>),
    /// The borders, sorted; the policies below the first, at it, between it and the second, and so on.
    Long(Box<[i64]>, Box<[Box<[u16]>]>),
}

/// A set of policies by number.
pub(crate) struct Candidates([u64; POLICIES_MAX / WORD]);

impl Candidates {
    pub(crate) const fn none() -> Self {
        Self([0; POLICIES_MAX / WORD])
    }

    fn insert(&mut self, numbers: &[u16]) {
        for number in numbers {
            let number = usize::from(*number);
            if let Some(word) = self.0.get_mut(number / WORD) {
                *word |= 1 << (number % WORD);
            }
        }
    }

    /// The numbers below `count`, rising.
    pub(crate) fn each(&self, count: usize) -> impl Iterator<Item = u16> {
        let words = self.0.iter().take(count.div_ceil(WORD));
        words.zip((0u16..).step_by(WORD)).flat_map(|(word, first)| {
            let mut rest = *word;
            core::iter::from_fn(move || {
                let bit = u16::try_from(rest.trailing_zeros()).ok().filter(|_| rest != 0)?;
                rest &= rest.wrapping_sub(1);
                Some(first + bit)
            })
        })
    }
}

impl Slices {
    /// The index of these policies.
    pub(crate) fn of(policies: &[Policy]) -> Self {
        Self(Action::ALL.iter().map(|action| Slice::of(*action, policies)).collect())
    }

    /// Adds every policy that may be true or an error; `false` if there is no index for the action.
    pub(crate) fn candidates(&self, action: Action, facts: &Facts<'_>, found: &mut Candidates) -> bool {
        let at = Action::ALL.iter().position(|known| *known == action);
        let Some(slice) = at.and_then(|at| self.0.get(at)) else { return false };
        found.insert(&slice.always);
        for by_fact in &slice.facts {
            found.insert(by_fact.of(facts.get(by_fact.fact)));
        }
        true
    }
}

impl Slice {
    fn of(action: Action, policies: &[Policy]) -> Self {
        let mut always = Vec::new();
        let mut groups: Vec<Group<'_>> = FACTS.iter().map(|spec| Group::new(spec.fact)).collect();
        for (number, policy) in (0u16..).zip(policies) {
            if policy.meta.actions & action.bit() == 0 {
                continue;
            }
            let first = first(&policy.condition);
            let group = asks(first).and_then(|fact| groups.get_mut(usize::from(fact.code())));
            if !group.is_some_and(|group| group.take(number, first)) {
                always.push(number);
            }
        }
        let facts = groups.into_iter().filter(|group| !group.parts.is_empty()).map(Group::index).collect();
        Self { always: always.into(), facts }
    }
}

impl ByFact {
    fn of(&self, value: Value<'_>) -> &[u16] {
        match (&self.regions, value) {
            (Regions::Bool([no, yes]), Value::Bool(value)) => {
                if value {
                    yes
                } else {
                    no
                }
            }
            (Regions::Text(literals, others), Value::Text(text)) => {
                match literals.binary_search_by(|(literal, _)| compare(literal, text)) {
                    Ok(at) => literals.get(at).map_or(&*self.all, |(_, numbers)| numbers),
                    Err(_) => others,
                }
            }
            (Regions::Long(borders, lists), Value::Long(value)) => {
                let region = match borders.binary_search(&value) {
                    Ok(at) => 2 * at + 1,
                    Err(at) => 2 * at,
                };
                lists.get(region).map_or(&*self.all, |numbers| numbers)
            }
            // Unset: every one of them is an error, or does not need the fact after all.
            _ => &self.all,
        }
    }
}

/// Texts by length first: most differ there.
fn compare(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The part of a condition that is evaluated before all others.
fn first(condition: &Expr) -> &Expr {
    match condition {
        Expr::All(parts) => parts.first().map_or(condition, first),
        other => other,
    }
}

/// The one fact that the expression asks, if it asks no other and cannot fail but by that fact.
fn asks(expr: &Expr) -> Option<Fact> {
    let mut asked = None;
    asks_only(expr, &mut asked).then_some(asked).flatten()
}

fn asks_only(expr: &Expr, asked: &mut Option<Fact>) -> bool {
    match expr {
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) => true,
        Expr::Fact(fact) => *asked.get_or_insert(*fact) == *fact,
        Expr::Not(inner) | Expr::Among(inner, _) => asks_only(inner, asked),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().all(|part| asks_only(part, asked)),
        Expr::If(parts) => parts.iter().all(|part| asks_only(part, asked)),
        Expr::Compare(_, pair) => pair.iter().all(|part| asks_only(part, asked)),
        // It may overflow, and it moves borders away from the literals.
        Expr::Negate(_) | Expr::Arithmetic(..) => false,
    }
}

/// The literals of an expression.
fn literals<'e>(expr: &'e Expr, found: &mut Vec<&'e Expr>) {
    match expr {
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) => found.push(expr),
        Expr::Fact(_) => {}
        Expr::Not(inner) | Expr::Negate(inner) => literals(inner, found),
        Expr::Among(inner, set) => {
            literals(inner, found);
            found.extend(set);
        }
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| literals(part, found)),
        Expr::If(parts) => parts.iter().for_each(|part| literals(part, found)),
        Expr::Compare(_, pair) | Expr::Arithmetic(_, pair) => {
            pair.iter().for_each(|part| literals(part, found))
        }
    }
}

/// The policies whose first part asks one fact, and the borders between the regions of its values.
struct Group<'p> {
    fact: Fact,
    parts: Vec<(u16, &'p Expr)>,
    longs: Vec<i64>,
    texts: Vec<&'p str>,
}

impl<'p> Group<'p> {
    const fn new(fact: Fact) -> Self {
        Self { fact, parts: Vec::new(), longs: Vec::new(), texts: Vec::new() }
    }

    /// Takes the policy in, unless there would be too many regions.
    fn take(&mut self, number: u16, part: &'p Expr) -> bool {
        let mut found = Vec::new();
        literals(part, &mut found);
        let (longs, texts) = (self.longs.len(), self.texts.len());
        let (mut new_longs, mut new_texts) = (self.longs.clone(), self.texts.clone());
        for literal in found {
            match literal.literal() {
                Some(Value::Long(value)) => new_longs.push(value),
                Some(Value::Text(text)) => new_texts.push(text),
                _ => {}
            }
        }
        if (new_longs.len(), new_texts.len()) != (longs, texts) {
            new_longs.sort_unstable();
            new_longs.dedup();
            new_texts.sort_unstable_by(|a, b| compare(a, b));
            new_texts.dedup();
            if 2 * new_longs.len() + 1 > REGIONS_MAX || new_texts.len() + 1 > REGIONS_MAX {
                return false;
            }
            (self.longs, self.texts) = (new_longs, new_texts);
        }
        self.parts.push((number, part));
        true
    }

    /// The policies whose first part does not turn out false where the fact is so.
    fn at(&self, value: Value<'_>) -> Box<[u16]> {
        let mut facts = Facts::new();
        match value {
            Value::Bool(value) => facts.set_bool(self.fact, value),
            Value::Long(value) => facts.set_long(self.fact, value),
            Value::Text(value) => facts.set_text(self.fact, value),
            Value::Unset => {}
        }
        let stays = |(number, part): &(u16, &Expr)| (part.truth(&facts) != Ok(false)).then_some(*number);
        self.parts.iter().filter_map(stays).collect()
    }

    fn index(self) -> ByFact {
        let regions = match self.fact.ty() {
            FactType::Bool => Regions::Bool([self.at(Value::Bool(false)), self.at(Value::Bool(true))]),
            FactType::Text | FactType::Enum(_) => {
                let words = match self.fact.ty() {
                    FactType::Enum(enumeration) => enumeration.members().to_vec(),
                    _ => self.texts.clone(),
                };
                let mut words: Vec<_> =
                    words.iter().map(|w| ((*w).into(), self.at(Value::Text(w)))).collect();
                words.sort_unstable_by(|(a, _): &(Box<str>, _), (b, _)| compare(a, b));
                // A text that no literal is; a word that its enumeration lacks is unset, and never asked for.
                let other = "x".repeat(self.texts.iter().map(|text| text.len()).max().unwrap_or(0) + 1);
                Regions::Text(words.into(), self.at(Value::Text(&other)))
            }
            FactType::Long => {
                let mut lists = Vec::new();
                // Without borders there is one region; below the least of all numbers there is none.
                let below = self.longs.first().map_or(Some(0), |border| border.checked_sub(1));
                lists.push(below.map_or_else(Box::default, |value| self.at(Value::Long(value))));
                for border in &self.longs {
                    lists.push(self.at(Value::Long(*border)));
                    // Where nothing lies between two borders, nothing is looked up there.
                    let above = border.checked_add(1);
                    lists.push(above.map_or_else(Box::default, |value| self.at(Value::Long(value))));
                }
                Regions::Long(self.longs.into(), lists.into())
            }
        };
        ByFact { fact: self.fact, all: self.parts.iter().map(|(number, _)| *number).collect(), regions }
    }
}
