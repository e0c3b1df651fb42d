//! What two policies say of the same facts, and what was counted.

use std::collections::{BTreeMap, VecDeque};

use holdfast_decision::event::Factors;
use holdfast_decision::reason::Severity;
use holdfast_policy::{Action, Degree, Findings, Program};
use holdfast_values::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::backtest::Way;
use crate::backtest::compare::Weight;

use super::Seen;

/// How many examples are kept each way: the last ones.
const EXAMPLES_MAX: usize = 10;
/// The most reasons of one example.
const REASONS_MAX: usize = 32;

/// One decision in which the policies differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Example {
    /// The journal's record.
    pub sequence: u64,
    /// When.
    pub time: String,
    /// Which withdrawal.
    pub withdrawal: String,
    /// Whose.
    pub account: String,
    /// What it is worth, if there is a price.
    pub usd_cents: Option<u64>,
    /// What the live policy asks for.
    pub live: Verdict,
    /// What the shadow policy would ask for.
    pub candidate: Verdict,
}

/// What a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// `allow`, `dwell`, `step_up`, `hold` or `deny`.
    pub outcome: String,
    /// Until when it waits at least.
    pub dwell_until: String,
    /// Why.
    pub reasons: Vec<String>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Decisions compared.
    pub compared: u64,
    /// The candidate asks for more.
    pub tighter: u64,
    /// For less.
    pub looser: u64,
    /// For more of one thing and less of another.
    pub mixed: u64,
    /// For the same with other reasons.
    pub reasons_only: u64,
    /// How many go from one degree to another: `allow -> hold`.
    pub transitions: BTreeMap<String, u64>,
    /// The last tighter ones, newest first.
    pub tighter_examples: VecDeque<Example>,
    /// The last looser ones, newest first.
    pub looser_examples: VecDeque<Example>,
}

impl Tally {
    pub(super) fn take(&mut self, seen: &Seen, live: &Opinion, candidate: &Opinion) {
        let up = |count: &mut u64| *count = count.saturating_add(1);
        up(&mut self.compared);
        let way = live.weight(seen).way_to(candidate.weight(seen));
        let examples = match way {
            None if live.reasons == candidate.reasons => return,
            None | Some(Way::Reasons) => return up(&mut self.reasons_only),
            Some(Way::Mixed) => return up(&mut self.mixed),
            Some(Way::Tighter) => {
                up(&mut self.tighter);
                &mut self.tighter_examples
            }
            Some(Way::Looser) => {
                up(&mut self.looser);
                &mut self.looser_examples
            }
        };
        let degrees = format!("{} -> {}", live.severity.name(), candidate.severity.name());
        up(self.transitions.entry(degrees).or_default());
        examples.push_front(Example {
            sequence: seen.sequence,
            time: seen.at.to_string(),
            withdrawal: seen.withdrawal.to_string(),
            account: seen.account.clone(),
            usd_cents: seen.usd_cents.map(|cents| cents.0),
            live: live.verdict(seen),
            candidate: candidate.verdict(seen),
        });
        examples.truncate(EXAMPLES_MAX);
    }
}

/// What one policy says: a buffer to use again and again.
#[derive(Clone, Debug)]
pub struct Opinion {
    findings: Findings,
    severity: Severity,
    dwell: Option<Timestamp>,
    factors: Factors,
    reasons: Vec<String>,
}

impl Default for Opinion {
    fn default() -> Self {
        Self {
            findings: Findings::new(),
            severity: Severity::Allow,
            dwell: None,
            factors: Factors::default(),
            reasons: Vec::new(),
        }
    }
}

impl Opinion {
    /// Asks a program. What was shown or approved is discharged, as the core does it.
    pub(super) fn form(&mut self, program: &Program, seen: &Seen) {
        let facts = seen.facts.facts();
        program.evaluate(Action::Withdraw, &facts, &mut self.findings);
        (self.severity, self.dwell, self.factors) = (Severity::Allow, None, Factors::default());
        let mut worst = Severity::Allow;
        if !self.findings.permitted {
            worst = Severity::Deny;
        }
        if !self.findings.errored.is_empty() && !seen.holds_discharged {
            worst = worst.max(Severity::Hold);
        }
        for degree in self.findings.matched.iter().filter_map(|at| program.policy(*at)?.degree()) {
            let severity = match degree {
                Degree::Dwell(span) => {
                    let until = seen.requested_at.plus(span);
                    self.dwell = self.dwell.max(Some(until));
                    if until > seen.at { Severity::Dwell } else { Severity::Allow }
                }
                Degree::StepUp(factor) if seen.discharged.contains(factor) => Severity::Allow,
                Degree::StepUp(factor) => {
                    self.factors = self.factors.with(factor);
                    Severity::StepUp
                }
                Degree::Hold if seen.holds_discharged => Severity::Allow,
                Degree::Hold => Severity::Hold,
                Degree::Deny => Severity::Deny,
            };
            worst = worst.max(severity);
        }
        self.severity = worst;
        self.reasons.clear();
        let reasons = self.findings.reasons(program);
        self.reasons.extend(reasons.into_iter().take(REASONS_MAX).map(ToOwned::to_owned));
    }

    fn dwell_until(&self, seen: &Seen) -> Timestamp {
        self.dwell.unwrap_or(seen.requested_at)
    }

    fn weight(&self, seen: &Seen) -> Weight {
        Weight { severity: self.severity, dwell_until: self.dwell_until(seen), factors: self.factors }
    }

    fn verdict(&self, seen: &Seen) -> Verdict {
        Verdict {
            outcome: self.severity.name().to_owned(),
            dwell_until: self.dwell_until(seen).to_string(),
            reasons: self.reasons.clone(),
        }
    }
}
