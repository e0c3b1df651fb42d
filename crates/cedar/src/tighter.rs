//! `@tighter("amount_usd_cents lower, account.age_hours higher")`: the numbers of a forbid that one person may move, each
//! in the direction in which the forbid matches more.
//!
//! Here is checked that the annotation tells the truth: that each fact it names is compared with a plain number, and that
//! to move that number as it says can only widen the forbid. Whether a new pack moved nothing else is not decided here.

use holdfast_policy::{Comparison, Expr, Fact, FactType};

use crate::cases::{nearest, nearest_of};
use crate::lint::Complaint;

/// The annotation.
pub(crate) const NAME: &str = "tighter";
const CODE: &str = "policy_tighter_invalid";
const HELP: &str = "write @tighter(\"amount_usd_cents lower, account.age_hours higher\"): facts that this condition compares \
                    with a number, and the way that number may move for the rule to match more";

/// Where a number may move to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Lower,
    Higher,
}

/// Whether the truth of a part widens the forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Widens,
    Narrows,
    /// Both, or nobody knows.
    Either,
}

impl Sense {
    const fn turned(self) -> Self {
        match self {
            Self::Widens => Self::Narrows,
            Self::Narrows => Self::Widens,
            Self::Either => Self::Either,
        }
    }
}

/// Everything that is wrong with the annotation of a forbid with this condition.
pub(crate) fn check(annotation: &str, condition: &Expr) -> Vec<Complaint> {
    let (mut complaints, mut named) = (Vec::new(), Vec::new());
    if calculates(condition) {
        // holdfast-values compares packs without evaluating anything: what overflows is a hold, and whether a number that
        // moved keeps it from being read cannot be seen there.
        let message = format!("@{NAME}: no number moves in a rule that calculates (+, -, *)");
        complaints.push((CODE, message, "compare facts with numbers alone, or split the rule".to_owned()));
    }
    for entry in annotation.split(',') {
        let checked = entry_of(entry).and_then(|(fact, direction)| {
            if named.contains(&fact) {
                return Err(format!("it names {} twice", fact.path()));
            }
            named.push(fact);
            agrees(fact, direction, condition)
        });
        if let Err(message) = checked {
            complaints.push((CODE, format!("@{NAME}: {message}"), HELP.to_owned()));
        }
    }
    complaints
}

fn entry_of(entry: &str) -> Result<(Fact, Direction), String> {
    let words: Vec<&str> = entry.split_whitespace().collect();
    let [path, direction] = *words else {
        let shown: String = entry.trim().chars().take(80).collect();
        return Err(format!("{shown:?} is not a fact and a direction"));
    };
    let fact = Fact::from_path(path).ok_or_else(|| {
        let near = nearest(path).map(|near| format!(": did you mean {near}?")).unwrap_or_default();
        format!("there is no fact {path:?}{near}")
    })?;
    if fact.ty() != FactType::Long {
        return Err(format!("{path} is no number"));
    }
    match direction {
        "lower" => Ok((fact, Direction::Lower)),
        "higher" => Ok((fact, Direction::Higher)),
        other => {
            let near = nearest_of(other, ["lower", "higher"].into_iter());
            let near = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            Err(format!("{other:?} is no direction, lower or higher{near}"))
        }
    }
}

fn agrees(fact: Fact, direction: Direction, condition: &Expr) -> Result<(), String> {
    let mut found = Vec::new();
    walk(condition, Sense::Widens, fact, &mut found);
    if found.is_empty() {
        return Err(format!("the condition does not compare {} with a number", fact.path()));
    }
    for widest in found {
        match widest {
            Some(widest) if widest == direction => {}
            Some(widest) => {
                let other = if widest == Direction::Lower { "lower" } else { "higher" };
                return Err(format!("the rule matches less, not more, unless {} moves {other}", fact.path()));
            }
            None => {
                let path = fact.path();
                return Err(format!(
                    "where {path} is compared, moving the number does not only widen the rule"
                ));
            }
        }
    }
    Ok(())
}

fn calculates(expr: &Expr) -> bool {
    match expr {
        Expr::Arithmetic(..) | Expr::Negate(_) | Expr::Long(..0) => true,
        Expr::Not(inner) | Expr::Among(inner, _) => calculates(inner),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(calculates),
        Expr::If(parts) => parts.iter().any(calculates),
        Expr::Compare(_, pair) => pair.iter().any(calculates),
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) | Expr::Fact(_) => false,
    }
}

/// For each comparison of the fact, standing last on its left side, with what is on its right: the direction in which the
/// number on the right widens the rule, if there is one.
fn walk(expr: &Expr, sense: Sense, fact: Fact, found: &mut Vec<Option<Direction>>) {
    match expr {
        Expr::Not(inner) => walk(inner, sense.turned(), fact, found),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| walk(part, sense, fact, found)),
        Expr::If(parts) => {
            let [condition, then, otherwise] = &**parts;
            walk(condition, Sense::Either, fact, found);
            walk(then, sense, fact, found);
            walk(otherwise, sense, fact, found);
        }
        Expr::Compare(comparison, pair) => {
            let [left, right] = &**pair;
            walk(left, Sense::Either, fact, found);
            walk(right, Sense::Either, fact, found);
            let above = match comparison {
                Comparison::Greater | Comparison::GreaterOrEqual => true,
                Comparison::Less | Comparison::LessOrEqual => false,
                // No number moves there.
                Comparison::Equal | Comparison::NotEqual => return,
            };
            if last(left) == Some(fact) {
                let plain = matches!((left, right), (Expr::Fact(_), Expr::Long(0..)));
                found.push(match sense {
                    _ if !plain => None,
                    Sense::Either => None,
                    Sense::Widens if above => Some(Direction::Lower),
                    Sense::Widens => Some(Direction::Higher),
                    Sense::Narrows if above => Some(Direction::Higher),
                    Sense::Narrows => Some(Direction::Lower),
                });
            }
        }
        Expr::Negate(inner) | Expr::Among(inner, _) => walk(inner, Sense::Either, fact, found),
        Expr::Arithmetic(_, pair) => {
            pair.iter().for_each(|part| walk(part, Sense::Either, fact, found));
        }
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) | Expr::Fact(_) => {}
    }
}

/// The fact that the text of the expression ends with.
fn last(expr: &Expr) -> Option<Fact> {
    match expr {
        Expr::Fact(fact) => Some(*fact),
        Expr::Negate(inner) => last(inner),
        Expr::Arithmetic(_, pair) => pair.last().and_then(last),
        Expr::If(parts) => parts.last().and_then(last),
        _ => None,
    }
}
