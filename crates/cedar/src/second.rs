//! A second opinion: before a batch is released, Cedar's own authorizer decides the same facts again.
//!
//! The compiled program decides; here the language that it was compiled from is asked once more, where 100 microseconds
//! cost nothing. They are held equal by tests over drawn requests (`compare`); should they ever differ on a real one,
//! nothing is released. Nothing here decides what happens then.

use holdfast_policy::facts::FACTS;
use holdfast_policy::{Action, Fact, Facts, Program, Value};

use crate::compare::{Oracle, Verdict, listed};
use crate::pack::{CompiledPack, compile_pack, with_stack};
use crate::problem::{PackError, Problem};

/// The facts of one decision, kept for later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFacts(Vec<(Fact, Kept)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    Bool(bool),
    Long(i64),
    Text(String),
}

impl KeptFacts {
    /// Keeps the slots that are set.
    pub fn keep(facts: &Facts<'_>) -> Self {
        let kept = FACTS.iter().map(|spec| spec.fact).filter_map(|fact| {
            let value = match facts.get(fact) {
                Value::Unset => return None,
                Value::Bool(value) => Kept::Bool(value),
                Value::Long(value) => Kept::Long(value),
                Value::Text(text) => Kept::Text(text.to_owned()),
            };
            Some((fact, value))
        });
        Self(kept.collect())
    }

    /// The slots again.
    pub fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::new();
        for (fact, value) in &self.0 {
            match value {
                Kept::Bool(value) => facts.set_bool(*fact, *value),
                Kept::Long(value) => facts.set_long(*fact, *value),
                Kept::Text(text) => facts.set_text(*fact, text),
            }
        }
        facts
    }
}

/// Cedar's side of one pack.
pub struct SecondOpinion {
    oracle: Oracle,
    hash: [u8; 32],
}

impl core::fmt::Debug for SecondOpinion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SecondOpinion").finish_non_exhaustive()
    }
}

impl SecondOpinion {
    /// Reads the pack's text again.
    ///
    /// # Errors
    /// What [`compile_pack`] refuses, or a pack of another hash than `hash`.
    pub fn of(files: &[(String, String)], hash: [u8; 32]) -> Result<Self, PackError> {
        let pack: CompiledPack = compile_pack(files)?;
        if pack.hash != hash {
            let message = "the pack's text is not the one that the program was compiled from";
            return Err(Problem::of_pack("compare_failed", message).into());
        }
        let oracle = with_stack(|| Oracle::new(&pack, &pack.program))?;
        Ok(Self { oracle, hash })
    }

    /// The pack that this is about.
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Asks Cedar about each and compares; `None` if both sides say the same of every policy, else where they differ.
    ///
    /// # Errors
    /// If Cedar cannot be asked.
    pub fn differs(&self, program: &Program, asked: &[KeptFacts]) -> Result<Option<String>, PackError> {
        with_stack(|| {
            let failed = |error: String| PackError::from(Problem::of_pack("compare_failed", error));
            for kept in asked {
                let facts = kept.facts();
                let theirs = self.oracle.ask(&facts).map_err(failed)?;
                for (at, policy) in (0u16..).zip(program.policies()) {
                    let ours = match program.evaluate_one(at, Action::Withdraw, &facts) {
                        Some(Ok(true)) => Verdict::True,
                        Some(Ok(false)) | None => Verdict::False,
                        Some(Err(_)) => Verdict::Error,
                    };
                    let id = &*policy.meta.id;
                    let cedar = theirs.get(id).copied().unwrap_or(Verdict::False);
                    if ours != cedar {
                        let facts = listed(&self.oracle.read, &facts);
                        return Ok(Some(format!("policy {id}: {ours:?} here, {cedar:?} by Cedar\n{facts}")));
                    }
                }
            }
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = "@id(\"all\") permit (principal, action, resource);\n\
        @id(\"large\") @outcome(\"hold\") @reason(\"large\") forbid (principal, action, resource) \
        when { context.amount_usd_cents > 1000 };";

    #[test]
    fn a_program_that_says_otherwise_than_its_text_is_found_out() {
        let files = [("all.cedar".to_owned(), PACK.to_owned())];
        let pack = compile_pack(&files).unwrap();
        let second = SecondOpinion::of(&pack.files, pack.hash).unwrap();
        let asked: Vec<KeptFacts> = [1_000, 1_001]
            .map(|cents| {
                let mut facts = Facts::new();
                facts.set_long(Fact::AmountUsdCents, cents);
                KeptFacts::keep(&facts)
            })
            .into();
        assert_eq!(second.differs(&pack.program, &asked).unwrap(), None);
        let other = [("all.cedar".to_owned(), PACK.replace("> 1000", "> 1001"))];
        let other = compile_pack(&other).unwrap();
        let found = second.differs(&other.program, &asked).unwrap().unwrap();
        assert!(found.contains("policy large") && found.contains("1001"), "{found}");
        assert!(SecondOpinion::of(&other.files, pack.hash).is_err(), "another text");
    }
}
