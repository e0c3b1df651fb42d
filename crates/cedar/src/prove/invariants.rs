//! Invariants: what must hold of a pack whatever the request, written in Cedar beside it.

use core::fmt;
use std::collections::BTreeSet;

use cedar_policy::Validator;
use cedar_policy::pst::Effect as CedarEffect;
use holdfast_policy::outcome::Span;
use holdfast_policy::program::NAME_MAX;
use holdfast_policy::{Action, Degree, Effect, Expr, Factor, Facts, Policy, PolicyMeta, Program};

use super::rules::{Bound, Rule, calculates};
use crate::pack::{FILE_BYTES_MAX, ParsedPolicy, first_line, parse, validate, with_stack};
use crate::problem::{PackError, Problem};
use crate::{compile, schema};

/// The most invariants beside a pack.
pub const INVARIANTS_MAX: usize = 256;
/// The longest sentence.
const SAYS_MAX: usize = 300;

/// What an invariant claims of every request that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The outcome is at least this severe.
    AtLeast(Degree),
    /// This is asked, whatever else is, or the withdrawal is denied: a dwell at least as long, this factor, a hold.
    Asks(Degree),
    /// The outcome is at most this severe; `None` is "at once".
    AtMost(Option<Degree>),
}

impl Claim {
    /// The outcomes that must not be, or those that alone may be.
    pub(crate) const fn bound(self) -> Bound {
        match self {
            Self::AtLeast(least) => Bound::Below(least),
            Self::Asks(demand) => Bound::Without(demand),
            Self::AtMost(most) => Bound::UpTo(most),
        }
    }

    /// Whether what comes of the facts is as claimed, as the engine sees it.
    pub(crate) fn holds(self, program: &Program, facts: &Facts<'_>) -> bool {
        self.bound().contains(program, facts) == matches!(self, Self::AtMost(_))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(degree) => write!(f, "at least {degree}"),
            Self::Asks(degree) => write!(f, "asks for {degree}"),
            Self::AtMost(Some(degree)) => write!(f, "at most {degree}"),
            Self::AtMost(None) => f.write_str("at once"),
        }
    }
}

/// A statement about every request that it matches.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// Its name, unique in its file.
    pub id: String,
    /// What it says, in a sentence.
    pub says: String,
    /// What it claims.
    pub claim: Claim,
    pub(crate) rule: Rule,
    /// The condition as a program of one permit, for the engine.
    pub(crate) program: Program,
}

impl Invariant {
    /// The condition.
    pub(crate) fn condition(&self) -> &Expr {
        static ALWAYS: Expr = Expr::Bool(true);
        self.program.policies().first().map_or(&ALWAYS, |policy| &policy.condition)
    }
}

/// Reads the invariants in a text: Cedar statements, each a `forbid` with `@id`, `@says`, and `@at_least`, `@asks`
/// or `@at_most`.
///
/// # Errors
/// Everything that is wrong with them, with line and place.
pub fn parse_invariants(file: &str, text: &str) -> Result<Vec<Invariant>, PackError> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return Err(Problem::of_file("file_too_large", file, message).into());
    }
    with_stack(|| parse_here((file, text)))
}

fn parse_here(source: (&str, &str)) -> Result<Vec<Invariant>, PackError> {
    let (file, text) = source;
    let parsed = parse(source).map_err(|problems| PackError { problems })?;
    if parsed.len() > INVARIANTS_MAX {
        let message = format!("more than {INVARIANTS_MAX} invariants");
        return Err(Problem::of_file("invariants_too_many", file, message).into());
    }
    let (mut problems, mut found, mut ids) = (Vec::new(), Vec::new(), BTreeSet::new());
    for one in &parsed {
        let id = one.id();
        let at = |code, message: String, help: String| {
            Problem::at(code, source, (one.place.offset, first_line(text, one.place)), message)
                .help(help)
                .policy(id)
        };
        if let Some(id) = id
            && !ids.insert(id.to_owned())
        {
            let message = format!("two invariants have the id {id:?}");
            problems.push(at("policy_id_duplicate", message, "give each an id of its own".to_owned()));
        }
        match read(one) {
            Ok(invariant) => found.push(invariant),
            Err(complaints) => {
                problems.extend(complaints.into_iter().map(|(code, message, help)| at(code, message, help)));
            }
        }
    }
    let validator = Validator::new(schema::schema()?);
    problems.append(&mut validate(&validator, source, parsed));
    PackError::unless_empty(problems)?;
    Ok(found)
}

/// A complaint: code, message, help.
type Complaint = (&'static str, String, String);

fn read(one: &ParsedPolicy) -> Result<Invariant, Vec<Complaint>> {
    let mut complaints: Vec<Complaint> = Vec::new();
    let mut complain = |code, message: String, help: &str| complaints.push((code, message, help.to_owned()));
    let given = |name: &str| one.body.annotations.get(name).map(|value| value.as_str());
    if one.body.effect != CedarEffect::Forbid {
        complain("invariant_effect", "an invariant is a forbid".to_owned(), "write forbid instead of permit");
    }
    let id = given("id").filter(|id| {
        (1..=NAME_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    });
    if id.is_none() {
        let help = "write @id(\"short-name\"): 1 to 64 letters, digits, '-', '_' and '.'";
        complain("policy_id_invalid", "the invariant has no proper @id".to_owned(), help);
    }
    let says = given("says").filter(|says| {
        (1..=SAYS_MAX).contains(&says.chars().count())
            && says.trim() == *says
            && says.ends_with('.')
            && !says.contains(|c: char| c.is_control())
    });
    if says.is_none() {
        let help = "write @says(\"One sentence that a reader without Cedar understands.\")";
        complain("invariant_says_invalid", "the invariant has no proper @says".to_owned(), help);
    }
    let claim = claim(&given);
    if let Err((code, message, help)) = &claim {
        complain(code, message.clone(), help);
    }
    let kind = given("at_least").or(given("asks")).or(given("at_most"));
    let allowed: &[&str] = match kind {
        Some("dwell") => &["id", "says", "at_least", "asks", "at_most", "for"],
        Some("step_up") => &["id", "says", "at_least", "asks", "at_most", "factor"],
        _ => &["id", "says", "at_least", "asks", "at_most"],
    };
    for name in one.body.annotations.keys().filter(|name| !allowed.contains(&name.as_str())) {
        let help =
            "an invariant takes @id, @says, @at_least, @asks or @at_most, a dwell @for, a step_up @factor";
        complain("annotation_unknown", format!("@{name} does not belong to this invariant"), help);
    }
    let compiled = match compile::policy(&one.body) {
        Ok(compiled) => Some(compiled),
        Err(refusal) => {
            complain("policy_not_compilable", refusal.message, &refusal.help);
            None
        }
    };
    let (Some(id), Some(says), Ok(claim), Some((actions, condition))) = (id, says, claim, compiled) else {
        return Err(complaints);
    };
    let rule = Rule {
        id: id.to_owned(),
        effect: Effect::Permit,
        body: one.body.clone(),
        calculates: calculates(&condition),
    };
    let meta = PolicyMeta { id: id.into(), effect: Effect::Permit, actions };
    match Program::new([0; 32], vec![Policy { meta, condition }]) {
        Ok(program) if complaints.is_empty() => {
            Ok(Invariant { id: id.to_owned(), says: says.to_owned(), claim, rule, program })
        }
        Ok(_) => Err(complaints),
        Err(error) => {
            complaints.push((error.code(), error.to_string(), "simplify the condition".to_owned()));
            Err(complaints)
        }
    }
}

/// What the annotations claim.
fn claim<'a>(given: &dyn Fn(&str) -> Option<&'a str>) -> Result<Claim, (&'static str, String, &'static str)> {
    let help = "write @at_least(..), @asks(..) or @at_most(..), one of the three, with \"dwell\", \"step_up\", \
                \"hold\", \"deny\" (at least) or \"allow\" (at most)";
    let words = ["at_least", "asks", "at_most"].map(|kind| Some((kind, given(kind)?)));
    let mut words = words.into_iter().flatten();
    let (kind, word) = match (words.next(), words.next()) {
        (Some(one), None) => one,
        (None, _) => {
            return Err(("invariant_claim_invalid", "the invariant claims nothing".to_owned(), help));
        }
        (Some(_), Some(_)) => {
            let message = "the invariant claims more than one thing".to_owned();
            return Err(("invariant_claim_invalid", message, "split it"));
        }
    };
    let degree = match (word, kind) {
        ("dwell", _) => {
            let span = given("for").and_then(Span::parse).ok_or_else(|| {
                let message = "the dwell has no proper @for".to_owned();
                ("policy_dwell_invalid", message, "write @for(\"10m\"): days, hours, minutes and seconds")
            })?;
            Some(Degree::Dwell(span.0))
        }
        ("step_up", _) => {
            let factor = given("factor").and_then(Factor::from_name).ok_or_else(|| {
                let message = "the step-up has no proper @factor".to_owned();
                ("policy_factor_invalid", message, "write @factor(\"passkey\") or @factor(\"one_time_code\")")
            })?;
            Some(Degree::StepUp(factor))
        }
        ("hold", _) => Some(Degree::Hold),
        ("deny", "at_least") => Some(Degree::Deny),
        ("allow", "at_most") => None,
        (other, _) => {
            return Err(("invariant_claim_invalid", format!("{other:?} cannot be claimed here"), help));
        }
    };
    Ok(match (kind, degree) {
        ("at_least", Some(degree)) => Claim::AtLeast(degree),
        ("asks", Some(degree)) => Claim::Asks(degree),
        (_, degree) => Claim::AtMost(degree),
    })
}

/// Whether the condition holds, for the engine.
pub(crate) fn matches(invariant: &Invariant, facts: &Facts<'_>) -> bool {
    matches!(invariant.program.evaluate_one(0, Action::Withdraw, facts), Some(Ok(true)))
}
