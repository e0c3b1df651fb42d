//! What attacks are played against: a policy on an exchange, and what is left when a layer is taken away.

use holdfast_decision::command::PolicySource;
use holdfast_policy::{Degree, Program, ProgramError};

use crate::exchange::{Buckets, Exchange, SignerBuckets};

/// One defence.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Short and unique, as `--fail-if` names it.
    pub name: Box<str>,
    /// As tables say it.
    pub title: Box<str>,
    /// Why it is played.
    pub role: Role,
    /// Its policy.
    pub policy: PolicySource,
    /// Its exchange.
    pub exchange: Exchange,
}

/// Why an arm is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is what the drill is about.
    Tested,
    /// Something simpler to compare with.
    Baseline,
    /// What is tested, without one of its layers or among other customers.
    Ablation,
}

/// A layer that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Holdfast's buckets hold twice the hot wallet; the signer's stay.
    Buckets,
    /// The policy's dwells are gone.
    Dwell,
    /// What asks for a factor is gone.
    StepUp,
    /// What asks for a person is gone.
    Holds,
    /// The signer's buckets hold twice the hot wallet, and credentials vouch for as much.
    Signer,
}

impl Without {
    /// All of them.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Buckets, "no-buckets", "without buckets (the signer keeps its own)"),
        (Self::Dwell, "no-dwell", "without dwell"),
        (Self::StepUp, "no-step-up", "without step-up"),
        (Self::Holds, "no-holds", "without holds for a person"),
        (Self::Signer, "no-signer", "without the signer's buckets"),
    ];
}

/// Twice the hot wallet, in 1/1000: no bound that anything here could reach.
pub const NO_BUCKET: u32 = 2_000;
/// A signer that bounds nothing.
const NO_SIGNER: SignerBuckets =
    SignerBuckets { unvouched: NO_BUCKET, vouched: NO_BUCKET, credential: NO_BUCKET };

impl Arm {
    /// The same without one layer.
    ///
    /// # Errors
    /// [`ProgramError`] if the policy's program does not load.
    pub fn without(&self, layer: Without, name: &str, title: &str) -> Result<Self, ProgramError> {
        let mut arm = Self { name: name.into(), title: title.into(), role: Role::Ablation, ..self.clone() };
        match layer {
            Without::Buckets => arm.exchange = without_buckets(arm.exchange),
            Without::Signer => {
                arm.exchange.signer_permille = NO_SIGNER;
            }
            Without::Dwell => arm.policy = filtered(&arm.policy, |one| !matches!(one, Degree::Dwell(_)))?,
            Without::StepUp => arm.policy = filtered(&arm.policy, |one| !matches!(one, Degree::StepUp(_)))?,
            Without::Holds => arm.policy = filtered(&arm.policy, |one| !matches!(one, Degree::Hold))?,
        }
        Ok(arm)
    }
}

/// An exchange whose Holdfast has no buckets.
#[must_use]
pub fn without_buckets(exchange: Exchange) -> Exchange {
    let none = Buckets { unvouched: NO_BUCKET, aged: NO_BUCKET, bound: NO_BUCKET };
    Exchange { bucket_permille: none, configuration: None, ..exchange }
}

/// An exchange without buckets anywhere, as they were run in 2019.
#[must_use]
pub fn unbounded(exchange: Exchange) -> Exchange {
    Exchange { signer_permille: NO_SIGNER, ..without_buckets(exchange) }
}

/// The policies whose degree is kept; permits always are. Its hash says that it is another.
fn filtered(policy: &PolicySource, keep: impl Fn(Degree) -> bool) -> Result<PolicySource, ProgramError> {
    let program = Program::from_bytes(&policy.program)?;
    let kept: Vec<_> =
        program.policies().iter().filter(|one| one.meta.degree().is_none_or(&keep)).cloned().collect();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&policy.hash);
    for one in &kept {
        hasher.update(one.meta.id.as_bytes());
    }
    let hash = *hasher.finalize().as_bytes();
    let program = Program::new(hash, kept)?.to_bytes();
    Ok(PolicySource { hash, files: Vec::new(), program, compiler: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_taken_away_and_the_rest_stays() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/baseline");
        let pack = holdfast_cedar::load_dir(dir).unwrap();
        let (count, program) = (pack.program.policies().len(), pack.program.to_bytes());
        let policy = PolicySource { hash: pack.hash, files: pack.files, program, compiler: None };
        let arm = Arm {
            name: "baseline".into(),
            title: "baseline".into(),
            role: Role::Tested,
            policy,
            exchange: Exchange::default(),
        };
        let mut removed = 0;
        for (layer, name, title) in Without::ALL {
            let other = arm.without(layer, name, title).unwrap();
            let left = Program::from_bytes(&other.policy.program).unwrap();
            let of_policy = matches!(layer, Without::Dwell | Without::StepUp | Without::Holds);
            assert_eq!(left.policies().len() < count, of_policy, "{name}");
            assert_eq!(other.policy.hash == arm.policy.hash, !of_policy, "{name}");
            assert_eq!(other.exchange == arm.exchange, of_policy, "{name}");
            removed += count - left.policies().len();
        }
        let spared = |one: &holdfast_policy::Policy| matches!(one.meta.degree(), None | Some(Degree::Deny));
        let program = Program::from_bytes(&arm.policy.program).unwrap();
        assert_eq!(removed, program.policies().iter().filter(|one| !spared(one)).count(), "each once");
    }
}
