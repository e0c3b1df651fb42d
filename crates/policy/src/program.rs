//! The compiled program: policies with their effects, evaluated over the facts of one decision.

use crate::expr::{EvalError, Expr, ExprError};
use crate::facts::{Action, FactType, Facts};
use crate::outcome::{DWELL_MAX, Degree, NOT_PERMITTED, POLICY_ERROR};
use crate::slices::{Candidates, Slices};
use holdfast_values::pack_hash;

/// The most policies in one program.
pub const POLICIES_MAX: usize = 4_096;
/// The longest id or reason.
pub const NAME_MAX: usize = 64;

/// What a policy does when its condition is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Opens.
    Permit,
    /// Asks for something, or refuses.
    Forbid {
        /// How far it goes.
        degree: Degree,
        /// The stable code that replies and records carry, in snake_case.
        reason: Box<str>,
    },
}

/// What is known of a policy besides its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyMeta {
    /// The policy's own name, unique in its program.
    pub id: Box<str>,
    /// What it does.
    pub effect: Effect,
    /// The actions it applies to, as bits; all ones for every action there will ever be.
    pub actions: u64,
}

impl PolicyMeta {
    /// The degree of a forbid.
    pub fn degree(&self) -> Option<Degree> {
        match self.effect {
            Effect::Permit => None,
            Effect::Forbid { degree, .. } => Some(degree),
        }
    }

    /// The reason of a forbid.
    pub fn reason(&self) -> Option<&str> {
        match &self.effect {
            Effect::Permit => None,
            Effect::Forbid { reason, .. } => Some(reason),
        }
    }
}

/// One policy of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name, effect and scope.
    pub meta: PolicyMeta,
    /// When it takes effect.
    pub condition: Expr,
}

/// Why something is not a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// More policies than a program may have.
    #[error("more than {POLICIES_MAX} policies in one pack: split it or generalise the rules")]
    TooManyPolicies,
    /// An id that is empty, too long or of other characters.
    #[error("{0:?} is not a policy id: use 1 to {NAME_MAX} letters, digits, '-', '_' and '.'")]
    Id(String),
    /// Two policies of one id.
    #[error("two policies have the id {0:?}: ids are unique in a pack")]
    DuplicateId(String),
    /// A reason that is not snake_case.
    #[error("policy {id:?}: {reason:?} is not a reason: use snake_case, 1 to {NAME_MAX} characters")]
    Reason {
        /// The policy.
        id: String,
        /// Its reason.
        reason: String,
    },
    /// A dwell of nothing or of more than 30 days.
    #[error("policy {0:?}: a dwell lasts from 1 second to 30 days")]
    Dwell(String),
    /// A policy that applies to no action, or to one that does not exist.
    #[error("policy {0:?} applies to no action that exists")]
    Action(String),
    /// A condition that is too large or ill-typed.
    #[error("policy {id:?}: {error}")]
    Condition {
        /// The policy.
        id: String,
        /// What is wrong.
        error: ExprError,
    },
    /// A condition that is a number or a text.
    #[error("policy {0:?}: its condition is neither true nor false")]
    NotBoolean(String),
    /// Bytes that are not a compiled program.
    #[error("not a compiled policy program: {0}")]
    Bytes(&'static str),
}

impl ProgramError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyPolicies => "too_many_policies",
            Self::Id(_) => "policy_id_invalid",
            Self::DuplicateId(_) => "policy_id_duplicate",
            Self::Reason { .. } => "policy_reason_invalid",
            Self::Dwell(_) => "policy_dwell_invalid",
            Self::Action(_) => "policy_action_invalid",
            Self::Condition { .. } | Self::NotBoolean(_) => "policy_condition_invalid",
            Self::Bytes(_) => "policy_program_malformed",
        }
    }
}

/// A compiled pack of policies. It exists only checked: whatever it was made from, its evaluation ends and cannot panic.
#[derive(Clone, Debug)]
pub struct Program {
    hash: [u8; 32],
    policies: Box<[Policy]>,
    slices: Slices,
}

/// The index is made from the policies: what has the same policies has the same index.
impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        (self.hash, &self.policies) == (other.hash, &other.policies)
    }
}

impl Eq for Program {}

/// What evaluating a program found: buffers to use again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Whether any permit is satisfied.
    pub permitted: bool,
    /// The forbids that are satisfied, in the order of the program.
    pub matched: Vec<u16>,
    /// The policies, permits among them, that could not be evaluated. Each is a hold.
    pub errored: Vec<u16>,
}

impl Findings {
    /// Empty buffers.
    pub const fn new() -> Self {
        Self { permitted: false, matched: Vec::new(), errored: Vec::new() }
    }

    fn clear(&mut self) {
        self.permitted = false;
        self.matched.clear();
        self.errored.clear();
    }

    #[inline]
    fn weigh(&mut self, number: u16, policy: &Policy, facts: &Facts<'_>) {
        match (policy.condition.truth(facts), &policy.meta.effect) {
            (Ok(false), _) => {}
            (Ok(true), Effect::Permit) => self.permitted = true,
            (Ok(true), Effect::Forbid { .. }) => self.matched.push(number),
            (Err(_), _) => self.errored.push(number),
        }
    }

    /// The most severe thing found; `None` allows. An error is a hold, and no permit a denial.
    pub fn most_severe(&self, program: &Program) -> Option<Degree> {
        let matched = self.matched.iter().filter_map(|at| program.policy(*at)?.degree()).max();
        let errored = (!self.errored.is_empty()).then_some(Degree::Hold);
        let unopened = (!self.permitted).then_some(Degree::Deny);
        matched.max(errored).max(unopened)
    }

    /// The reasons, sorted and each once.
    pub fn reasons<'p>(&self, program: &'p Program) -> Vec<&'p str> {
        let mut reasons: Vec<&str> =
            self.matched.iter().filter_map(|at| program.policy(*at)?.reason()).collect();
        if !self.errored.is_empty() {
            reasons.push(POLICY_ERROR);
        }
        if !self.permitted {
            reasons.push(NOT_PERMITTED);
        }
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }
}

fn is_id(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether a text may be the reason of a forbid: snake_case, beginning with a letter.
pub fn is_reason(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('_')
        && !text.contains("__")
}

impl Program {
    /// Checks the policies and makes them a program. `hash` names the source that they were compiled from.
    pub fn new(hash: [u8; 32], policies: Vec<Policy>) -> Result<Self, ProgramError> {
        if policies.len() > POLICIES_MAX {
            return Err(ProgramError::TooManyPolicies);
        }
        let known = Action::ALL.iter().fold(0, |bits, action| bits | action.bit());
        let mut nodes = 0;
        for Policy { meta, condition } in &policies {
            let id = || meta.id.chars().take(NAME_MAX).collect::<String>();
            if !is_id(&meta.id) {
                return Err(ProgramError::Id(id()));
            }
            if let Effect::Forbid { degree, reason } = &meta.effect {
                if !is_reason(reason) {
                    let reason = reason.chars().take(NAME_MAX).collect();
                    return Err(ProgramError::Reason { id: id(), reason });
                }
                if matches!(degree, Degree::Dwell(span) if *span == 0 || *span > DWELL_MAX) {
                    return Err(ProgramError::Dwell(id()));
                }
            }
            if meta.actions == 0 || (meta.actions != u64::MAX && meta.actions & !known != 0) {
                return Err(ProgramError::Action(id()));
            }
            match condition.check(1, &mut nodes) {
                Ok(FactType::Bool) => {}
                Ok(_) => return Err(ProgramError::NotBoolean(id())),
                Err(error) => return Err(ProgramError::Condition { id: id(), error }),
            }
        }
        let mut ids: Vec<&str> = policies.iter().map(|policy| &*policy.meta.id).collect();
        ids.sort_unstable();
        if let Some((twice, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(ProgramError::DuplicateId((*twice).to_owned()));
        }
        let slices = Slices::of(&policies);
        Ok(Self { hash, policies: policies.into_boxed_slice(), slices })
    }

    /// The program of the empty pack: permits everything, so that only the engine's own rules decide.
    pub fn permit_all() -> Self {
        let meta = PolicyMeta { id: "permit-all".into(), effect: Effect::Permit, actions: u64::MAX };
        let policies = Box::new([Policy { meta, condition: Expr::Bool(true) }]);
        Self { hash: pack_hash([]), slices: Slices::of(&*policies), policies }
    }

    /// The hash of the pack that the program was compiled from. It is carried, not computed: whoever activates a
    /// program compiles the source again and compares.
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// How many policies there are.
    pub const fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies, in the order of their numbers.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// What is known of the policy of that number.
    pub fn policy(&self, number: u16) -> Option<&PolicyMeta> {
        self.policies.get(usize::from(number)).map(|policy| &policy.meta)
    }

    /// Evaluates every policy of the action that the facts do not rule out at a glance: what is found is what
    /// [`Self::evaluate_unsliced`] finds, in the same order. Allocates only while the buffers still grow.
    pub fn evaluate(&self, action: Action, facts: &Facts<'_>, findings: &mut Findings) {
        let mut candidates = Candidates::none();
        if !self.slices.candidates(action, facts, &mut candidates) {
            return self.evaluate_unsliced(action, facts, findings);
        }
        findings.clear();
        for number in candidates.each(self.policies.len()) {
            if let Some(policy) = self.policies.get(usize::from(number)) {
                findings.weigh(number, policy, facts);
            }
        }
    }

    /// Evaluates every policy of the action, one by one: what [`Self::evaluate`] is held against.
    pub fn evaluate_unsliced(&self, action: Action, facts: &Facts<'_>, findings: &mut Findings) {
        findings.clear();
        for (number, policy) in (0u16..).zip(&*self.policies) {
            if policy.meta.actions & action.bit() != 0 {
                findings.weigh(number, policy, facts);
            }
        }
    }

    /// Evaluates one policy alone: `None` for a number or an action that it has nothing to do with.
    pub fn evaluate_one(
        &self,
        number: u16,
        action: Action,
        facts: &Facts<'_>,
    ) -> Option<Result<bool, EvalError>> {
        let policy = self.policies.get(usize::from(number))?;
        (policy.meta.actions & action.bit() != 0).then(|| policy.condition.truth(facts))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::expr::{Arithmetic, Comparison, DEPTH_MAX};
    use crate::facts::{FACTS, Fact};
    use crate::outcome::Factor;
    use crate::wire::BYTES_MAX;

    fn policy(id: &str, effect: Effect, condition: Expr) -> Policy {
        Policy { meta: PolicyMeta { id: id.into(), effect, actions: Action::Withdraw.bit() }, condition }
    }

    fn forbid(degree: Degree, reason: &str) -> Effect {
        Effect::Forbid { degree, reason: reason.into() }
    }

    fn over(fact: Fact, limit: i64) -> Expr {
        Expr::Compare(Comparison::Greater, Box::new([Expr::Fact(fact), Expr::Long(limit)]))
    }

    fn sample() -> Program {
        let sum = Expr::Arithmetic(
            Arithmetic::Add,
            Box::new([Expr::Fact(Fact::AmountUsdCents), Expr::Fact(Fact::AccountUsdCents24h)]),
        );
        let sum_over = Expr::Compare(Comparison::Greater, Box::new([sum, Expr::Long(100)]));
        let policies = vec![
            policy("open", Effect::Permit, Expr::Not(Box::new(Expr::Fact(Fact::PriceMoved)))),
            policy("small", forbid(Degree::Dwell(60_000_000), "first"), over(Fact::AmountUsdCents, 0)),
            policy("sum", forbid(Degree::StepUp(Factor::Passkey), "large"), sum_over),
            policy("stale", forbid(Degree::Hold, "price_stale"), Expr::Fact(Fact::PriceStale)),
        ];
        Program::new([7; 32], policies).unwrap()
    }

    fn facts(amount: i64, day: i64) -> Facts<'static> {
        let mut facts = Facts::new();
        facts.set_bool(Fact::PriceMoved, false);
        facts.set_bool(Fact::PriceStale, false);
        facts.set_long(Fact::AmountUsdCents, amount);
        facts.set_long(Fact::AccountUsdCents24h, day);
        facts
    }

    #[test]
    fn all_that_match_are_reasons_and_the_most_severe_wins() {
        let (program, mut findings) = (sample(), Findings::new());
        program.evaluate(Action::Withdraw, &facts(0, 0), &mut findings);
        assert_eq!((findings.permitted, findings.most_severe(&program)), (true, None));
        program.evaluate(Action::Withdraw, &facts(1, 100), &mut findings);
        assert_eq!(findings.matched, [1, 2]);
        assert_eq!(findings.most_severe(&program), Some(Degree::StepUp(Factor::Passkey)));
        assert_eq!(findings.reasons(&program), ["first", "large"]);
    }

    #[test]
    fn an_overflow_or_an_unset_fact_is_an_error_and_a_hold() {
        let (program, mut findings) = (sample(), Findings::new());
        program.evaluate(Action::Withdraw, &facts(1, i64::MAX), &mut findings);
        assert_eq!((&findings.matched[..], &findings.errored[..]), (&[1][..], &[2][..]));
        assert_eq!(findings.most_severe(&program), Some(Degree::Hold));
        let mut lacking = facts(0, 0);
        lacking.unset(Fact::PriceStale);
        program.evaluate(Action::Withdraw, &lacking, &mut findings);
        assert_eq!((findings.errored.as_slice(), findings.reasons(&program)), (&[3][..], vec![POLICY_ERROR]));
    }

    #[test]
    fn no_satisfied_permit_is_a_denial_even_where_the_permit_errs() {
        let (program, mut findings) = (sample(), Findings::new());
        let mut moved = facts(0, 0);
        moved.set_bool(Fact::PriceMoved, true);
        program.evaluate(Action::Withdraw, &moved, &mut findings);
        assert_eq!(findings.most_severe(&program), Some(Degree::Deny));
        assert_eq!(findings.reasons(&program), [NOT_PERMITTED]);
        moved.unset(Fact::PriceMoved);
        program.evaluate(Action::Withdraw, &moved, &mut findings);
        assert_eq!(findings.most_severe(&program), Some(Degree::Deny));
        assert_eq!(findings.reasons(&program), [NOT_PERMITTED, POLICY_ERROR]);
    }

    #[test]
    fn and_or_and_if_look_no_further_than_they_need() {
        let unset = || Expr::Fact(Fact::PriceStale);
        let facts = Facts::new();
        for (expr, value) in [
            (Expr::All(Box::new([Expr::Bool(false), unset()])), Ok(false)),
            (Expr::Any(Box::new([Expr::Bool(true), unset()])), Ok(true)),
            (Expr::All(Box::new([unset(), Expr::Bool(false)])), Err(EvalError::Unset(Fact::PriceStale))),
            (Expr::Any(Box::new([unset(), Expr::Bool(true)])), Err(EvalError::Unset(Fact::PriceStale))),
            (Expr::If(Box::new([Expr::Bool(true), Expr::Bool(true), unset()])), Ok(true)),
        ] {
            assert_eq!(expr.truth(&facts), value, "{expr:?}");
        }
    }

    #[test]
    fn what_is_ill_typed_too_deep_or_ill_named_is_no_program() {
        let code = |policies| Program::new([0; 32], policies).unwrap_err().code();
        let deep = (0..DEPTH_MAX).fold(Expr::Bool(true), |inner, _| Expr::Not(Box::new(inner)));
        for condition in [
            Expr::Long(1),
            Expr::Not(Box::new(Expr::Long(1))),
            over(Fact::Asset, 1),
            Expr::Compare(Comparison::Equal, Box::new([Expr::Fact(Fact::Class), Expr::Text("bound".into())])),
            Expr::Member(crate::Enumeration::Class, "bund".into()),
            Expr::All(Box::new([])),
            Expr::Among(Box::new(Expr::Fact(Fact::Asset)), Box::new([Expr::Fact(Fact::Network)])),
            deep,
        ] {
            assert_eq!(code(vec![policy("a", Effect::Permit, condition)]), "policy_condition_invalid");
        }
        let yes = || Expr::Bool(true);
        assert_eq!(code(vec![policy("a b", Effect::Permit, yes())]), "policy_id_invalid");
        assert_eq!(
            code(vec![policy("a", Effect::Permit, yes()), policy("a", Effect::Permit, yes())]),
            "policy_id_duplicate"
        );
        assert_eq!(code(vec![policy("a", forbid(Degree::Hold, "Bad"), yes())]), "policy_reason_invalid");
        assert_eq!(code(vec![policy("a", forbid(Degree::Dwell(0), "r"), yes())]), "policy_dwell_invalid");
        let mut nowhere = policy("a", Effect::Permit, yes());
        nowhere.meta.actions = 2;
        assert_eq!(code(vec![nowhere]), "policy_action_invalid");
    }

    #[test]
    fn programs_survive_their_bytes() {
        for program in [sample(), Program::permit_all()] {
            assert_eq!(Program::from_bytes(&program.to_bytes()), Ok(program));
        }
    }

    /// The record format: these bytes are in journals. A change here is a new version of the encoding.
    #[test]
    fn the_bytes_of_a_program_do_not_change() {
        let bytes = sample().to_bytes();
        let hash = blake3::hash(&bytes).to_hex();
        assert_eq!((bytes.len(), hash.get(..16)), (141, Some("4957f60444524d17")));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_evaluate(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = sample().to_bytes();
            let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len() + 1));
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..cut]] {
                if let Ok(program) = Program::from_bytes(bytes) {
                    let mut findings = Findings::new();
                    program.evaluate(Action::Withdraw, &facts(i64::MAX, i64::MIN), &mut findings);
                    prop_assert_eq!(program.to_bytes(), bytes);
                }
            }
        }

        #[test]
        fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Program::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn bytes_that_nest_or_claim_without_end_are_refused() {
        let head: Vec<u8> = [&[0x83, 1, 0x58, 32][..], &[0; 32], &[0x81, 0x84, 0x61, b'a', 1, 0x80]].concat();
        let nested = [&head[..], &[0x82, 5].repeat(100_000)].concat();
        let claimed = [&head[..], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7]].concat();
        let policies = [&head[..36], &[0x9b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]].concat();
        for bytes in [nested, claimed, policies, vec![0; BYTES_MAX + 1]] {
            assert!(Program::from_bytes(&bytes).is_err());
        }
        assert!(FACTS.len() < usize::from(u16::MAX));
    }
}
