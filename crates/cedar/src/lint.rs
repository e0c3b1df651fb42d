//! The annotations of a policy: exactly those that its effect needs, in one spelling.

use cedar_policy::pst::{Effect as CedarEffect, Template};
use holdfast_policy::outcome::Span;
use holdfast_policy::program::{NAME_MAX, is_reason};
use holdfast_policy::{Degree, Effect, Factor};

use crate::cases::nearest_of;
use crate::tighter;

const OUTCOMES: &str = "\"dwell\", \"step_up\", \"hold\" or \"deny\"";

/// A complaint: code, message, help.
pub(crate) type Complaint = (&'static str, String, String);

/// The effect that the annotations give the policy, or everything that is wrong with them.
pub(crate) fn effect(policy: &Template) -> Result<Effect, Vec<Complaint>> {
    let mut complaints: Vec<Complaint> = Vec::new();
    let given = |name: &str| policy.annotations.get(name).map(|value| value.as_str());
    if !given("id").is_some_and(is_id) {
        complaints.push((
            "policy_id_invalid",
            match given("id") {
                None => "the policy has no @id".to_owned(),
                Some(id) => format!("{id:?} is not a policy id"),
            },
            format!("write @id(\"short-name\"): 1 to {NAME_MAX} letters, digits, '-', '_' and '.'"),
        ));
    }
    let permit = policy.effect == CedarEffect::Permit;
    let outcome = given("outcome");
    let allowed: &[&str] = match (permit, outcome) {
        (true, _) => &["id"],
        (_, Some("dwell")) => &["id", "outcome", "reason", "for"],
        (_, Some("step_up")) => &["id", "outcome", "reason", "factor"],
        _ => &["id", "outcome", "reason"],
    };
    // What may be moved is said by whoever wants it moved; `tighter` checks it against the condition.
    let is_allowed = |name: &str| allowed.contains(&name) || (!permit && name == tighter::NAME);
    for name in policy.annotations.keys().filter(|name| !is_allowed(name.as_str())) {
        let takes: Vec<String> = allowed.iter().map(|name| format!("@{name}")).collect();
        let what = match (permit, outcome) {
            (true, _) => "a permit".to_owned(),
            (_, Some(outcome)) => format!("a forbid with the outcome {outcome:?}"),
            _ => "this forbid".to_owned(),
        };
        complaints.push((
            "annotation_unknown",
            format!("@{name} does not belong to {what}"),
            match nearest_of(name.as_str(), allowed.iter().copied()) {
                Some(near) if !policy.annotations.keys().any(|given| given.as_str() == near) => {
                    format!("did you mean @{near}? {what} takes exactly {}", takes.join(", "))
                }
                _ if permit => format!("{what} takes exactly {}", takes.join(", ")),
                _ => format!(
                    "{what} takes exactly {}, and @{} if its numbers may move",
                    takes.join(", "),
                    tighter::NAME
                ),
            },
        ));
    }
    if permit {
        return if complaints.is_empty() { Ok(Effect::Permit) } else { Err(complaints) };
    }
    let reason = given("reason").filter(|reason| is_reason(reason));
    if reason.is_none() {
        complaints.push((
            "policy_reason_invalid",
            match given("reason") {
                None => "the forbid has no @reason".to_owned(),
                Some(reason) => format!("{reason:?} is not a reason"),
            },
            format!(
                "write @reason(\"snake_case_code\"), 1 to {NAME_MAX} characters: replies and records carry it"
            ),
        ));
    }
    let degree = match outcome {
        Some("hold") => Some(Degree::Hold),
        Some("deny") => Some(Degree::Deny),
        Some("dwell") => {
            let span = given("for").and_then(Span::parse);
            if span.is_none() {
                complaints.push((
                    "policy_dwell_invalid",
                    match given("for") {
                        None => "the dwell has no @for".to_owned(),
                        Some(span) => format!("{span:?} is not a span of time"),
                    },
                    "write @for(\"10m\"), @for(\"1h30m\"): days, hours, minutes and seconds, at most 30d"
                        .to_owned(),
                ));
            }
            span.map(|span| Degree::Dwell(span.0))
        }
        Some("step_up") => {
            let factor = given("factor").and_then(Factor::from_name);
            if factor.is_none() {
                complaints.push((
                    "policy_factor_invalid",
                    match given("factor") {
                        None => "the step-up has no @factor".to_owned(),
                        Some(factor) => format!("{factor:?} is not a factor"),
                    },
                    format!(
                        "write @factor({:?}) or @factor({:?})",
                        Factor::Passkey.name(),
                        Factor::OneTimeCode.name()
                    ),
                ));
            }
            factor.map(Degree::StepUp)
        }
        other => {
            complaints.push((
                "policy_outcome_invalid",
                match other {
                    None => "the forbid has no @outcome".to_owned(),
                    Some(other) => format!("{other:?} is not an outcome"),
                },
                match other
                    .and_then(|other| nearest_of(other, ["dwell", "step_up", "hold", "deny"].into_iter()))
                {
                    Some(near) => format!("did you mean @outcome({near:?})? Write {OUTCOMES}"),
                    None => format!("write @outcome with {OUTCOMES}"),
                },
            ));
            None
        }
    };
    match (degree, reason) {
        (Some(degree), Some(reason)) if complaints.is_empty() => {
            Ok(Effect::Forbid { degree, reason: reason.into() })
        }
        _ => Err(complaints),
    }
}

fn is_id(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
