//! What a change of policy means: for each demand that either pack can make, whether the new one makes it of more
//! requests, of fewer, of the same or of others, with a request that shows it.
//!
//! The text does not matter here, nor do reasons: two packs that ask the same of every request are equal.

use core::fmt::{self, Write as _};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cedar_policy::pst::Effect as CedarEffect;
use cedar_policy_symcc::{implies_asserts, never_errors_asserts};
use holdfast_policy::{Degree, Effect, Facts};
use serde_json::{Value as Json, json};

use super::example::{Example, Judge, listed};
use super::proof::self_test;
use super::rules::{Bound, Rules, World};
use super::solver::{Failure, Session, Solver};
use super::{Progress, Watch};
use crate::cases::Outcome;
use crate::load::load_dir;
use crate::pack::{CompiledPack, with_stack};
use crate::problem::PackError;
use crate::report::{Report, hex, refused};

/// How two packs differ.
#[derive(Clone, Debug)]
pub struct Diff {
    /// The hash of the old pack.
    pub old: [u8; 32],
    /// The hash of the new pack.
    pub new: [u8; 32],
    /// A row for each demand that either pack can make, from dwells to denials.
    pub rows: Vec<Row>,
    /// The policies of the old pack that can error, which is a hold: proved, or not disproved.
    pub old_can_error: Vec<String>,
    /// The policies of the new pack that can error.
    pub new_can_error: Vec<String>,
}

/// How two packs differ in one demand.
#[derive(Clone, Debug)]
pub struct Row {
    /// The demand. A denial includes that no permit is satisfied, a hold that a policy errors.
    pub demand: Degree,
    /// A request that the new pack asks less of.
    pub looser: Way,
    /// A request that the new pack asks more of.
    pub tighter: Way,
}

/// Whether there is a request that shows a difference.
#[derive(Clone, Debug)]
pub enum Way {
    /// None: proved.
    Never,
    /// This one.
    Shown(Box<Shown>),
    /// Nobody knows.
    NotProved(Failure),
}

/// A request that two packs differ about: the engine and Cedar's authorizer agree on both.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The request.
    pub example: Example,
    /// What the old pack says of it.
    pub old: Outcome,
    /// What the new pack says of it.
    pub new: Outcome,
}

/// What a difference amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same of every request.
    Equal,
    /// Never less, and of some more.
    Tighter,
    /// Never more, and of some less.
    Looser,
    /// Of some more, of others less.
    Mixed,
    /// Nobody knows.
    NotProved,
}

impl Change {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Tighter => "tighter",
            Self::Looser => "looser",
            Self::Mixed => "mixed",
            Self::NotProved => "not_proved",
        }
    }

    const fn of(looser: bool, tighter: bool) -> Self {
        match (looser, tighter) {
            (false, false) => Self::Equal,
            (false, true) => Self::Tighter,
            (true, false) => Self::Looser,
            (true, true) => Self::Mixed,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Way {
    const fn is_shown(&self) -> bool {
        matches!(self, Self::Shown(_))
    }

    const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotProved(failure) => Some(failure),
            Self::Never | Self::Shown(_) => None,
        }
    }
}

impl Row {
    /// What the row amounts to. What is shown both ways is mixed, whatever else is not known.
    pub const fn change(&self) -> Change {
        match (self.looser.is_shown(), self.tighter.is_shown()) {
            (true, true) => Change::Mixed,
            _ if self.looser.failure().is_some() || self.tighter.failure().is_some() => Change::NotProved,
            (looser, tighter) => Change::of(looser, tighter),
        }
    }
}

impl Diff {
    /// What the whole difference amounts to.
    pub fn change(&self) -> Change {
        let any = |wanted: &dyn Fn(&Row) -> bool| self.rows.iter().any(wanted);
        match (any(&|row| row.looser.is_shown()), any(&|row| row.tighter.is_shown())) {
            (true, true) => Change::Mixed,
            _ if any(&|row| row.change() == Change::NotProved) => Change::NotProved,
            (looser, tighter) => Change::of(looser, tighter),
        }
    }
}

/// A question of a comparison.
enum Asked<'p> {
    /// Whether some request is within the bound for the first pack and not for the second.
    Row { bound: Bound, looser: bool },
    /// Whether the policy of that number can error.
    Error { rules: &'p Rules<'p>, number: usize },
}

enum Answer {
    Way(Way),
    CanError(bool),
}

/// Compares two packs.
///
/// # Errors
/// If a pack cannot be asked about at all.
pub fn diff(
    old: &CompiledPack,
    new: &CompiledPack,
    solver: &Solver,
    watch: Watch<'_>,
) -> Result<Diff, PackError> {
    with_stack(|| {
        let world = World::new()?;
        let (was, is) = (Rules::of(&world, old)?, Rules::of(&world, new)?);
        let judges = (Judge::new(old)?, Judge::new(new)?);
        let mut demands = BTreeSet::from([Degree::Deny]);
        for rule in was.rules.iter().chain(&is.rules) {
            if let Effect::Forbid { degree, .. } = rule.effect {
                demands.insert(degree);
            }
            if rule.calculates {
                demands.insert(Degree::Hold);
            }
        }
        let mut asked = Vec::new();
        for demand in &demands {
            let bound = Bound::Without(*demand);
            asked.extend([Asked::Row { bound, looser: true }, Asked::Row { bound, looser: false }]);
        }
        for rules in [&was, &is] {
            let calculating = rules.rules.iter().enumerate().filter(|(_, rule)| rule.calculates);
            asked.extend(calculating.map(|(number, _)| Asked::Error { rules, number }));
        }
        let count = AtomicUsize::new(0);
        let done = |_| {
            let done = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            watch(Progress { done, total: asked.len(), name: "" });
        };
        let answers = match self_test(&world, solver) {
            Err(failure) => asked.iter().map(|_| Err(failure.clone())).collect(),
            Ok(()) => solver.each(&asked, &done, |session, one| match one {
                Asked::Row { bound, looser } => {
                    way(session, (&was, &is), (&judges.0, &judges.1), *bound, *looser).map(Answer::Way)
                }
                Asked::Error { rules, number } => can_error(session, rules, *number).map(Answer::CanError),
            }),
        };
        let mut ways = Vec::new();
        let (mut old_can_error, mut new_can_error) = (Vec::new(), Vec::new());
        for (one, answer) in asked.iter().zip(answers) {
            match (one, answer) {
                (Asked::Row { .. }, Ok(Answer::Way(way))) => ways.push(way),
                (Asked::Row { .. }, Err(failure)) => ways.push(Way::NotProved(failure)),
                (_, Ok(Answer::CanError(false)) | Ok(Answer::Way(_))) => {}
                (Asked::Row { .. }, Ok(Answer::CanError(true))) => {}
                // What is not disproved is named.
                (Asked::Error { rules, number }, Ok(Answer::CanError(true)) | Err(_)) => {
                    let id = rules.rules.get(*number).map(|rule| rule.id.clone()).unwrap_or_default();
                    let side =
                        if core::ptr::eq(*rules, &was) { &mut old_can_error } else { &mut new_can_error };
                    side.push(id);
                }
            }
        }
        let mut ways = ways.into_iter();
        let rows = demands
            .into_iter()
            .filter_map(|demand| Some(Row { demand, looser: ways.next()?, tighter: ways.next()? }));
        Ok(Diff { old: old.hash, new: new.hash, rows: rows.collect(), old_can_error, new_can_error })
    })
}

fn way(
    session: &Session<'_>,
    (was, is): (&Rules<'_>, &Rules<'_>),
    (old, new): (&Judge<'_>, &Judge<'_>),
    bound: Bound,
    looser: bool,
) -> Result<Way, Failure> {
    let (was, is) = (was.within(bound)?, is.within(bound)?);
    let asserts = if looser { implies_asserts(&is, &was) } else { implies_asserts(&was, &is) };
    let shows = |facts: &Facts<'_>| {
        (bound.contains(new.program, facts), bound.contains(old.program, facts)) == (looser, !looser)
    };
    let Some(env) = session.example(&asserts)? else { return Ok(Way::Never) };
    let mut example = Example::found(&env)?;
    if !shows(&example.facts()) {
        return Err(Failure::Unconfirmed("the engine sees no difference".to_owned()));
    }
    example.simplify(&[old.program, new.program], &shows);
    let (old, new) = (old.agreed(&example.facts())?, new.agreed(&example.facts())?);
    Ok(Way::Shown(Box::new(Shown { example, old, new })))
}

/// Whether the policy of that number errors for some request in which every fact is known.
pub(crate) fn can_error(session: &Session<'_>, rules: &Rules<'_>, number: usize) -> Result<bool, Failure> {
    let Some(rule) = rules.rules.get(number) else { return Ok(false) };
    let policy = rules.world.policy(&rule.as_policy(CedarEffect::Permit, &[])?)?;
    Ok(session.example(&never_errors_asserts(&policy))?.is_some())
}

/// Compares the packs in two directories. The report is well if everything is known, whatever the difference is.
pub fn diff_dirs(old: &Path, new: &Path, solver: &Solver, watch: Watch<'_>) -> Report {
    let told = load_dir(old)
        .and_then(|old| Ok((old, load_dir(new)?)))
        .and_then(|(old, new)| diff(&old, &new, solver, watch));
    match told {
        Ok(diff) => Report {
            ok: diff.change() != Change::NotProved
                && diff.rows.iter().all(|row| row.change() != Change::NotProved),
            text: format!(
                "old {} {}\nnew {} {}\n{}",
                old.display(),
                hex(&diff.old),
                new.display(),
                hex(&diff.new),
                diff.text()
            ),
            json: diff.json(),
        },
        Err(error) => refused(&error),
    }
}

impl Diff {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let _ = writeln!(text, "  {:22} {}", row.demand.to_string(), row.change());
        }
        let whole = match self.change() {
            Change::Equal => "the new pack asks the same of every request",
            Change::Tighter => "the new pack never asks less, and of some requests more",
            Change::Looser => "the new pack never asks more, and of some requests less",
            Change::Mixed => "the new pack asks more of some requests and less of others",
            Change::NotProved => "not everything was proved",
        };
        let _ = writeln!(text, "{whole}");
        for row in &self.rows {
            for (way, word) in [(&row.looser, "LOOSER"), (&row.tighter, "TIGHTER")] {
                match way {
                    Way::Never => {}
                    Way::NotProved(failure) => {
                        let _ = writeln!(
                            text,
                            "\nNOT PROVED ({}) at {}: {failure}",
                            word.to_lowercase(),
                            row.demand
                        );
                    }
                    Way::Shown(shown) => {
                        let _ = writeln!(text, "\n{word} at {}: an ordinary withdrawal with", row.demand);
                        text.push_str(&listed(&shown.example, "    "));
                        let _ = writeln!(text, "  old: {}\n  new: {}", shown.old, shown.new);
                    }
                }
            }
        }
        for (which, can_error) in [("old", &self.old_can_error), ("new", &self.new_can_error)] {
            if !can_error.is_empty() {
                let _ = writeln!(
                    text,
                    "\nin the {which} pack these can error, which is a hold: {}",
                    can_error.join(", ")
                );
            }
        }
        text
    }

    /// For machines; a proposal carries it.
    pub fn json(&self) -> Json {
        let way = |way: &Way| match way {
            Way::Never => json!({ "result": "never" }),
            Way::NotProved(failure) => {
                json!({ "result": "not_proved", "code": failure.code(), "why": failure.to_string() })
            }
            Way::Shown(shown) => json!({
                "result": "shown",
                "facts": shown.example.lines(),
                "old": shown.old.to_string(),
                "new": shown.new.to_string(),
                "confirmed_by": ["engine", "authorizer"],
            }),
        };
        let rows: Vec<Json> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "outcome": row.demand.to_string(),
                    "change": row.change().name(),
                    "looser": way(&row.looser),
                    "tighter": way(&row.tighter),
                })
            })
            .collect();
        json!({
            "ok": self.rows.iter().all(|row| row.change() != Change::NotProved),
            "old": hex(&self.old),
            "new": hex(&self.new),
            "change": self.change().name(),
            "outcomes": rows,
            "old_can_error": self.old_can_error,
            "new_can_error": self.new_can_error,
        })
    }
}
