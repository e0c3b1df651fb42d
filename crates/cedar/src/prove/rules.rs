//! What is asked about a pack, put as questions between sets of Cedar policies. Nothing here runs a solver.
//!
//! Cedar knows allowed and forbidden, Holdfast knows degrees. A [`Bound`] is a set of outcomes; the policies that are
//! compiled for it allow exactly the requests whose outcome lies within. Cedar skips a policy that errors, Holdfast
//! makes it a hold: where a hold lies beyond the bound, every permit also demands that no policy errors, so that the
//! question is exact in both directions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::pst::Policy as Syntax;
use cedar_policy::pst::{
    BinaryOp, Clause, Effect as CedarEffect, Expr as Cedar, Literal, StaticPolicy, Template,
};
use cedar_policy::{Policy as Parsed, PolicyId, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet};
use holdfast_policy::{Action, Degree, Effect, Expr, Facts, Findings, PolicyMeta, Program};

use super::solver::Failure;
use crate::pack::{CompiledPack, parse};
use crate::problem::{PackError, Problem};
use crate::schema;

/// The most copies of conditions that a question may need: each permit demands of each policy that it does not error.
const GUARDS_MAX: usize = 4_096;

/// A set of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bound {
    /// Less severe than this.
    Below(Degree),
    /// At most as severe as this; `None` is "at once".
    UpTo(Option<Degree>),
    /// Not denied, and without this demand: no dwell as long, not this factor, no hold.
    Without(Degree),
}

impl Bound {
    /// Whether a forbid of that degree leads out of the bound.
    pub(crate) fn is_left_by(self, degree: Degree) -> bool {
        match self {
            Self::Below(least) => degree >= least,
            Self::UpTo(most) => Some(degree) > most,
            Self::Without(demand) => degree == Degree::Deny || meets(degree, demand),
        }
    }

    /// Whether the outcome lies within the bound, as the engine sees it.
    pub(crate) fn contains(self, program: &Program, facts: &Facts<'_>) -> bool {
        let mut findings = Findings::new();
        program.evaluate(Action::Withdraw, facts, &mut findings);
        let left = |number: &u16| {
            let degree = program.policy(*number).and_then(PolicyMeta::degree);
            degree.is_some_and(|degree| self.is_left_by(degree))
        };
        // No permit is a denial: beyond every bound there is.
        findings.permitted
            && !findings.matched.iter().any(left)
            && (findings.errored.is_empty() || !self.is_left_by_errors())
    }

    /// Whether a policy that errors, which is a hold, leads out of the bound.
    fn is_left_by_errors(self) -> bool {
        match self {
            Self::Below(least) => least <= Degree::Hold,
            Self::UpTo(most) => most < Some(Degree::Hold),
            Self::Without(demand) => demand == Degree::Hold,
        }
    }
}

/// Whether a forbid of that degree makes the demand: a longer dwell makes that of a shorter one, each factor its own.
pub(crate) fn meets(degree: Degree, demand: Degree) -> bool {
    match (degree, demand) {
        (Degree::Dwell(span), Degree::Dwell(least)) => span >= least,
        (degree, demand) => degree == demand,
    }
}

/// One policy, or invariant, as it is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) effect: Effect,
    /// Cedar's text of it, parsed.
    pub(crate) body: Template,
    /// Whether its condition calculates: nothing else can error where every fact is known.
    pub(crate) calculates: bool,
}

impl Rule {
    /// The rule as a policy of that effect, whatever its own is.
    pub(crate) fn as_policy(&self, effect: CedarEffect, guards: &[Clause]) -> Result<Parsed, Failure> {
        let odd = |error: &dyn core::fmt::Display| Failure::Unaskable(error.to_string());
        let mut body = self.body.clone();
        body.effect = effect;
        for guard in guards {
            body.try_add_clause(guard.clone()).map_err(|error| odd(&error))?;
        }
        let body = StaticPolicy::try_from(body).map_err(|error| odd(&error))?;
        let policy = Parsed::from_pst(Syntax::Static(body)).map_err(|error| odd(&error))?;
        Ok(policy.new_id(PolicyId::new(&self.id)))
    }

    /// Demands that the rule does not error, whether or not it matches: `(its condition) || true`.
    fn guard(&self) -> Clause {
        let truth = || Arc::new(Cedar::Literal(Literal::Bool(true)));
        let mut whole: Option<Arc<Cedar>> = None;
        for clause in self.body.clauses() {
            let part = match clause {
                Clause::When(expr) => expr.clone(),
                Clause::Unless(expr) => {
                    Arc::new(Cedar::UnaryOp { op: cedar_policy::pst::UnaryOp::Not, expr: expr.clone() })
                }
            };
            whole = Some(match whole {
                None => part,
                Some(left) => Arc::new(Cedar::BinaryOp { op: BinaryOp::And, left, right: part }),
            });
        }
        let left = whole.unwrap_or_else(truth);
        Clause::When(Arc::new(Cedar::BinaryOp { op: BinaryOp::Or, left, right: truth() }))
    }
}

/// Whether the expression calculates, and so can overflow.
pub(crate) fn calculates(expr: &Expr) -> bool {
    match expr {
        Expr::Arithmetic(..) | Expr::Negate(_) => true,
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) | Expr::Fact(_) => false,
        Expr::Not(inner) => calculates(inner),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(calculates),
        Expr::If(parts) => parts.iter().any(calculates),
        Expr::Compare(_, pair) => pair.iter().any(calculates),
        Expr::Among(value, set) => calculates(value) || set.iter().any(calculates),
    }
}

/// The rules of a pack, in the order of its program.
pub(crate) fn rules_of(pack: &CompiledPack) -> Result<Vec<Rule>, PackError> {
    let mut bodies = BTreeMap::new();
    for (name, text) in &pack.files {
        for one in parse((name, text)).map_err(|problems| PackError { problems })? {
            bodies.insert(one.id().unwrap_or_default().to_owned(), one.body);
        }
    }
    let policies = pack.program.policies().iter();
    let rules = policies.filter_map(|policy| {
        Some(Rule {
            id: policy.meta.id.to_string(),
            effect: policy.meta.effect.clone(),
            body: bodies.remove(&*policy.meta.id)?,
            calculates: calculates(&policy.condition),
        })
    });
    Ok(rules.collect())
}

/// The schema and the kind of request that everything is asked about.
pub(crate) struct World {
    schema: Schema,
    request: RequestEnv,
}

impl World {
    pub(crate) fn new() -> Result<Self, PackError> {
        use cedar_policy::{EntityId, EntityTypeName, EntityUid};
        let odd = |error: cedar_policy::ParseErrors| {
            PackError::from(Problem::of_pack("schema_invalid", error.to_string()))
        };
        let kind = |name: &str| name.parse::<EntityTypeName>().map_err(odd);
        let action =
            EntityUid::from_type_name_and_id(kind("Action")?, EntityId::new(Action::Withdraw.name()));
        let request = RequestEnv::new(kind("Account")?, action, kind("Exchange")?);
        Ok(Self { schema: schema::schema()?, request })
    }

    pub(crate) fn policy(&self, policy: &Parsed) -> Result<CompiledPolicy, Failure> {
        CompiledPolicy::compile(policy, &self.request, &self.schema)
            .map_err(|error| Failure::Unaskable(error.to_string()))
    }

    pub(crate) fn set(&self, set: &PolicySet) -> Result<CompiledPolicySet, Failure> {
        CompiledPolicySet::compile(set, &self.request, &self.schema)
            .map_err(|error| Failure::Unaskable(error.to_string()))
    }
}

/// The rules of a pack, compiled for whichever bounds are asked about.
pub(crate) struct Rules<'w> {
    pub(crate) world: &'w World,
    pub(crate) rules: Vec<Rule>,
    compiled: Mutex<BTreeMap<Bound, Arc<CompiledPolicySet>>>,
}

impl<'w> Rules<'w> {
    pub(crate) fn of(world: &'w World, pack: &CompiledPack) -> Result<Self, PackError> {
        Ok(Self { world, rules: rules_of(pack)?, compiled: Mutex::default() })
    }

    /// The policies that allow exactly the requests whose outcome lies within the bound.
    pub(crate) fn within(&self, bound: Bound) -> Result<Arc<CompiledPolicySet>, Failure> {
        if let Some(known) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(&bound) {
            return Ok(known.clone());
        }
        let set = Arc::new(self.compile(bound, &|_| true)?);
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).insert(bound, set.clone());
        Ok(set)
    }

    /// As [`Rules::within`], over those rules only that are to be kept.
    pub(crate) fn compile(
        &self,
        bound: Bound,
        keep: &dyn Fn(&Rule) -> bool,
    ) -> Result<CompiledPolicySet, Failure> {
        let kept = || self.rules.iter().filter(|rule| keep(rule));
        let guards: Vec<Clause> = if bound.is_left_by_errors() {
            kept().filter(|rule| rule.calculates).map(Rule::guard).collect()
        } else {
            Vec::new()
        };
        let permits = kept().filter(|rule| rule.effect == Effect::Permit).count();
        if guards.len().saturating_mul(permits) > GUARDS_MAX {
            let text = "too many permits and too many rules that calculate";
            return Err(Failure::Unaskable(text.to_owned()));
        }
        let mut set = PolicySet::new();
        for rule in kept() {
            let policy = match &rule.effect {
                Effect::Permit => rule.as_policy(CedarEffect::Permit, &guards)?,
                Effect::Forbid { degree, .. } if bound.is_left_by(*degree) => {
                    rule.as_policy(CedarEffect::Forbid, &[])?
                }
                Effect::Forbid { .. } => continue,
            };
            set.add(policy).map_err(|error| Failure::Unaskable(error.to_string()))?;
        }
        self.world.set(&set)
    }
}
