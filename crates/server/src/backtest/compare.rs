//! Two outcomes of one decision: which is tighter.

use holdfast_decision::event::{Decision, Factors};
use holdfast_decision::reason::{Reason, Severity};
use holdfast_policy::Factor;
use holdfast_values::{Timestamp, UsdCents};
use serde_json::{Value, json};

/// How an outcome differs from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// It asks for more.
    Tighter,
    /// It asks for less.
    Looser,
    /// For more of one thing and less of another, at the same degree.
    Mixed,
    /// For the same, with other reasons or from other buckets.
    Reasons,
}

impl Way {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tighter => "tighter",
            Self::Looser => "looser",
            Self::Mixed => "mixed",
            Self::Reasons => "reasons_only",
        }
    }
}

/// What was decided, as far as a comparison goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What is asked for.
    pub severity: Severity,
    /// Where it stands after.
    pub status: &'static str,
    /// Whose bucket it spends.
    pub class: &'static str,
    /// It waits at least until then.
    pub dwell_until: Timestamp,
    /// Factors asked for and not shown.
    pub factors: Factors,
    /// Its value.
    pub usd_cents: UsdCents,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What a comparison looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) severity: Severity,
    /// When the dwell ends.
    pub(crate) dwell_until: Timestamp,
    /// Asked for and not shown.
    pub(crate) factors: Factors,
}

impl Weight {
    /// How `new` differs; `None` if it does not. The degree goes before all else; at the same degree a later end of the
    /// dwell and more factors are tighter.
    pub(crate) fn way_to(self, new: Self) -> Option<Way> {
        if self.severity != new.severity {
            return Some(if new.severity > self.severity { Way::Tighter } else { Way::Looser });
        }
        // What is denied waits for nothing.
        if self.severity == Severity::Deny {
            return None;
        }
        let more = new.dwell_until > self.dwell_until || !new.factors.without(self.factors).is_empty();
        let less = new.dwell_until < self.dwell_until || !self.factors.without(new.factors).is_empty();
        match (more, less) {
            (true, false) => Some(Way::Tighter),
            (false, true) => Some(Way::Looser),
            (true, true) => Some(Way::Mixed),
            (false, false) => None,
        }
    }
}

/// How the decision `new` differs from `old`; `None` if it is the same.
pub(super) fn way(old: &Decision, new: &Decision) -> Option<Way> {
    if old == new {
        return None;
    }
    let weight = |decision: &Decision| Weight {
        severity: decision.severity,
        dwell_until: decision.dwell_until,
        factors: decision.factors,
    };
    Some(weight(old).way_to(weight(new)).unwrap_or(Way::Reasons))
}

impl Outcome {
    pub(super) fn of(decision: &Decision) -> Self {
        Self {
            severity: decision.severity,
            status: decision.status.name(),
            class: decision.class.name(),
            dwell_until: decision.dwell_until,
            factors: decision.factors,
            usd_cents: decision.usd_cents,
            reasons: decision.reasons.clone(),
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let factors: Vec<&str> =
            Factor::ALL.iter().filter(|factor| self.factors.contains(**factor)).map(|f| f.name()).collect();
        let reasons: Vec<Value> = self
            .reasons
            .iter()
            .map(|reason| {
                json!({
                    "code": reason.code,
                    "severity": reason.severity.name(),
                    "policy": reason.policy,
                    "observed": reason.observed,
                    "expected": reason.expected,
                })
            })
            .collect();
        json!({
            "outcome": self.severity.name(),
            "status": self.status,
            "class": self.class,
            "dwell_until": self.dwell_until.to_string(),
            "factors": factors,
            "reasons": reasons,
        })
    }

    /// In a line: `hold (large_amount, price_stale)`.
    pub fn text(&self) -> String {
        let mut codes: Vec<&str> = self.reasons.iter().map(|reason| reason.code.as_str()).collect();
        codes.dedup();
        if codes.is_empty() {
            return self.severity.name().to_owned();
        }
        format!("{} ({})", self.severity.name(), codes.join(", "))
    }
}
