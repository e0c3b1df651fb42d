//! Why a policy matched, or did not: the parts of its condition that decided it, with what was observed.

use core::fmt;

use crate::expr::{EvalError, Expr};
use crate::facts::{Action, Fact, Facts, Unit, Value};
use crate::program::{PolicyMeta, Program};

/// A policy that took part in an outcome, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'p> {
    /// The policy: a permit that opens, a forbid that matches, or whichever could not be evaluated.
    pub policy: &'p PolicyMeta,
    /// Why it could not be evaluated, if so.
    pub error: Option<EvalError>,
    /// What decided it.
    pub grounds: Vec<Ground>,
}

/// Every policy that takes part in the outcome over these facts, in the order of the program.
pub fn explain<'p>(program: &'p Program, action: Action, facts: &Facts<'_>) -> Vec<Part<'p>> {
    let mut parts = Vec::new();
    for policy in program.policies().iter().filter(|policy| policy.meta.actions & action.bit() != 0) {
        let error = match policy.condition.truth(facts) {
            Ok(false) => continue,
            Ok(true) => None,
            Err(error) => Some(error),
        };
        parts.push(Part { policy: &policy.meta, error, grounds: grounds(&policy.condition, facts) });
    }
    parts
}

/// One part of a condition that decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// What holds, as a policy would write it: `amount_usd_cents > 5000000`.
    pub holds: String,
    /// The facts it reads, with what was observed: `("amount_usd_cents", "6000000 (60000.00 USD)")`.
    pub observed: Vec<(Fact, String)>,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.holds)?;
        for (place, (fact, value)) in self.observed.iter().enumerate() {
            write!(f, "{} {} is {value}", if place == 0 { ":" } else { "," }, fact.path())?;
        }
        Ok(())
    }
}

/// The grounds on which the condition is what it is: those parts that, with these values, suffice for it. Empty for a
/// condition that holds always. A part that could not be evaluated is a ground that says so.
pub fn grounds(condition: &Expr, facts: &Facts<'_>) -> Vec<Ground> {
    let mut found = Vec::new();
    walk(condition, facts, &mut found);
    found
}

/// The value of a fact in words, with its unit.
pub fn observed(fact: Fact, facts: &Facts<'_>) -> String {
    let value = facts.get(fact);
    match (value, fact.spec().map_or(Unit::None, |spec| spec.unit)) {
        (Value::Long(cents), Unit::UsdCents) => {
            let sign = if cents < 0 { "-" } else { "" };
            let cents = cents.unsigned_abs();
            format!("{value} ({sign}{}.{:02} USD)", cents / 100, cents % 100)
        }
        (Value::Long(_), unit) if unit != Unit::None => format!("{value} {unit}"),
        _ => value.to_string(),
    }
}

fn walk(expr: &Expr, facts: &Facts<'_>, found: &mut Vec<Ground>) {
    match expr {
        Expr::Bool(_) => {}
        Expr::Not(inner) if matches!(**inner, Expr::Not(_) | Expr::All(_) | Expr::Any(_) | Expr::If(_)) => {
            walk(inner, facts, found);
        }
        Expr::All(parts) | Expr::Any(parts) => {
            // The first part that settles it is ground enough; otherwise all of them are, as far as evaluation went.
            let settles = matches!(expr, Expr::Any(_));
            let end = parts.iter().find(|part| part.truth(facts) != Ok(!settles));
            match end {
                Some(part) => walk(part, facts, found),
                None => parts.iter().for_each(|part| walk(part, facts, found)),
            }
        }
        Expr::If(parts) => {
            let [condition, then, otherwise] = &**parts;
            walk(condition, facts, found);
            match condition.truth(facts) {
                Ok(true) => walk(then, facts, found),
                Ok(false) => walk(otherwise, facts, found),
                Err(_) => {}
            }
        }
        atom => {
            let holds = match atom.truth(facts) {
                Ok(true) => Shown(atom).to_string(),
                Ok(false) => Shown(&opposite(atom)).to_string(),
                Err(error) => format!("{}: {error}", Shown(atom)),
            };
            let mut read = Vec::new();
            facts_of(atom, &mut read);
            read.sort_unstable();
            read.dedup();
            let observed = read.into_iter().map(|fact| (fact, observed(fact, facts))).collect();
            let ground = Ground { holds, observed };
            if !found.contains(&ground) {
                found.push(ground);
            }
        }
    }
}

fn opposite(expr: &Expr) -> Expr {
    match expr {
        Expr::Not(inner) => (**inner).clone(),
        Expr::Compare(comparison, pair) => Expr::Compare(comparison.opposite(), pair.clone()),
        other => Expr::Not(Box::new(other.clone())),
    }
}

/// Every fact that the expression reads, in order, with repetitions.
pub fn facts_of(expr: &Expr, read: &mut Vec<Fact>) {
    match expr {
        Expr::Fact(fact) => read.push(*fact),
        Expr::Not(inner) | Expr::Negate(inner) | Expr::Among(inner, _) => facts_of(inner, read),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| facts_of(part, read)),
        Expr::If(parts) => parts.iter().for_each(|part| facts_of(part, read)),
        Expr::Compare(_, pair) | Expr::Arithmetic(_, pair) => {
            pair.iter().for_each(|part| facts_of(part, read))
        }
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) => {}
    }
}

/// An expression as a policy would write it, without `context.`.
pub struct Shown<'e>(pub &'e Expr);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn part(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
            match expr {
                Expr::All(_) | Expr::Any(_) | Expr::If(_) | Expr::Compare(..) | Expr::Arithmetic(..) => {
                    write!(f, "({})", Shown(expr))
                }
                _ => write!(f, "{}", Shown(expr)),
            }
        }
        fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expr], sign: &str) -> fmt::Result {
            for (place, expr) in parts.iter().enumerate() {
                if place > 0 {
                    write!(f, " {sign} ")?;
                }
                part(f, expr)?;
            }
            Ok(())
        }
        match self.0 {
            Expr::Bool(value) => write!(f, "{value}"),
            Expr::Long(value) => write!(f, "{value}"),
            Expr::Text(text) => write!(f, "{text:?}"),
            Expr::Member(enumeration, word) => write!(f, "{}::{word:?}", enumeration.name()),
            Expr::Fact(fact) => f.write_str(fact.path()),
            Expr::Not(inner) => {
                f.write_str("!")?;
                part(f, inner)
            }
            Expr::Negate(inner) => {
                f.write_str("-")?;
                part(f, inner)
            }
            Expr::All(parts) => joined(f, parts, "&&"),
            Expr::Any(parts) => joined(f, parts, "||"),
            Expr::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                write!(f, "if {} then {} else {}", Shown(condition), Shown(then), Shown(otherwise))
            }
            // Arithmetic binds closer than any comparison and needs no brackets there.
            Expr::Compare(comparison, pair) => {
                let [left, right] = &**pair;
                let simple = |expr: &Expr| matches!(expr, Expr::Arithmetic(..));
                let side = |f: &mut fmt::Formatter<'_>, expr: &Expr| {
                    if simple(expr) { write!(f, "{}", Shown(expr)) } else { part(f, expr) }
                };
                side(f, left)?;
                write!(f, " {} ", comparison.sign())?;
                side(f, right)
            }
            Expr::Arithmetic(operation, pair) => joined(f, &**pair, operation.sign()),
            Expr::Among(value, set) => {
                f.write_str("[")?;
                for (place, literal) in set.iter().enumerate() {
                    write!(f, "{}{}", if place == 0 { "" } else { ", " }, Shown(literal))?;
                }
                f.write_str("].contains(")?;
                write!(f, "{})", Shown(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Arithmetic, Comparison};

    fn fact(fact: Fact) -> Expr {
        Expr::Fact(fact)
    }

    #[test]
    fn names_what_decided_and_what_was_observed() {
        let over = |limit| {
            Expr::Compare(Comparison::Greater, Box::new([fact(Fact::AmountUsdCents), Expr::Long(limit)]))
        };
        let expr = Expr::All(Box::new([
            Expr::Any(Box::new([fact(Fact::PriceStale), over(500_000)])),
            Expr::Not(Box::new(fact(Fact::ApprovalBound))),
        ]));
        let mut facts = Facts::new();
        facts.set_bool(Fact::PriceStale, false);
        facts.set_bool(Fact::ApprovalBound, false);
        facts.set_long(Fact::AmountUsdCents, 600_000);
        let said: Vec<String> = grounds(&expr, &facts).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "amount_usd_cents > 500000: amount_usd_cents is 600000 (6000.00 USD)",
                "!approval.bound: approval.bound is false"
            ]
        );
        facts.set_long(Fact::AmountUsdCents, 1);
        let said: Vec<String> = grounds(&expr, &facts).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "!price.stale: price.stale is false",
                "amount_usd_cents <= 500000: amount_usd_cents is 1 (0.01 USD)"
            ]
        );
        facts.unset(Fact::PriceStale);
        let said: Vec<String> = grounds(&expr, &facts).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["price.stale: price.stale is not known: price.stale is unset"]);
    }

    #[test]
    fn shows_expressions_as_policies_write_them() {
        let difference = Expr::Arithmetic(
            Arithmetic::Subtract,
            Box::new([fact(Fact::DestinationUsdCents24h), fact(Fact::AccountUsdCents24h)]),
        );
        let expr = Expr::Compare(Comparison::Greater, Box::new([difference, Expr::Long(-1)]));
        assert_eq!(Shown(&expr).to_string(), "destination.usd_cents_24h - account.usd_cents_24h > -1");
        let among = Expr::Among(Box::new(fact(Fact::Asset)), Box::new([Expr::Text("BTC".into())]));
        assert_eq!(Shown(&Expr::Not(Box::new(among))).to_string(), "![\"BTC\"].contains(asset)");
    }
}
