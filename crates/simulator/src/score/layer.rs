//! Which layer makes a withdrawal wait or stops it, read off what was decided about it.

use holdfast_decision::Cause;
use serde::Serialize;

use crate::log::Why;

/// What can make a withdrawal wait or stop it. The order is that of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The account's limit.
    Limits,
    /// The ladder of refusals in code: keys, allowlists, locks, prices.
    Ladder,
    /// A policy that denies for another reason.
    PolicyDeny,
    /// A factor is asked for that nobody shows.
    StepUp,
    /// It waits, and can still be recalled.
    Dwell,
    /// A person looks at it.
    Hold,
    /// Its bucket is spent, or is too small for it.
    Buckets,
    /// The account was frozen: by its owner, or by staff.
    Freeze,
    /// Withdrawals were halted.
    Halt,
    /// The signer did not sign.
    Signer,
    /// Approved, it waits for the wallet's next batch.
    Wallet,
}

/// How many layers there are.
pub const LAYERS: usize = 11;

impl Layer {
    /// All of them, in the order of tables.
    pub const ALL: [Self; LAYERS] = [
        Self::Limits,
        Self::Ladder,
        Self::PolicyDeny,
        Self::StepUp,
        Self::Dwell,
        Self::Hold,
        Self::Buckets,
        Self::Freeze,
        Self::Halt,
        Self::Signer,
        Self::Wallet,
    ];

    /// As reports name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Ladder => "ladder",
            Self::PolicyDeny => "policy_deny",
            Self::StepUp => "step_up",
            Self::Dwell => "dwell",
            Self::Hold => "hold",
            Self::Buckets => "buckets",
            Self::Freeze => "freeze",
            Self::Halt => "halt",
            Self::Signer => "signer",
            Self::Wallet => "wallet",
        }
    }

    /// As people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Limits => "limits of the account",
            Self::Ladder => "refusals in code",
            Self::PolicyDeny => "denied by policy",
            Self::StepUp => "step-up",
            Self::Dwell => "dwell and recall",
            Self::Hold => "held for a person",
            Self::Buckets => "buckets",
            Self::Freeze => "account frozen",
            Self::Halt => "halt",
            Self::Signer => "signer",
            Self::Wallet => "batch of the wallet",
        }
    }

    /// The place in [`Layer::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The reasons that are about an account's limits, in the shipped packs and as docs/policy.md advises.
const LIMITS: [&str; 3] = ["over_daily_limit", "over_monthly_limit", "over_limit"];

/// Whether a reason says that the withdrawal does not fit its account's limits.
pub fn is_over_limit(code: &str) -> bool {
    LIMITS.contains(&code)
}

/// What makes a withdrawal wait after a decision, or has ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which layer.
    pub layer: Layer,
    /// The decisive reason's code; empty where there is none.
    pub code: Box<str>,
    /// With a dwell before it: the layer that it waits for once the dwell is over.
    pub then: Option<Layer>,
}

impl Standing {
    fn of(layer: Layer, code: &str) -> Self {
        Self { layer, code: code.into(), then: None }
    }
}

/// Reads a decision: its status and its reasons.
pub fn standing(status: &str, reasons: &[Why]) -> Standing {
    let has = |cause: Cause| reasons.iter().any(|why| &*why.code == cause.code());
    let first = |severity: &str| reasons.iter().find(|why| &*why.severity == severity);
    let frozen = Cause::AccountFrozen.code();
    match status {
        "denied" => match first("deny") {
            Some(why) if is_over_limit(&why.code) => Standing::of(Layer::Limits, &why.code),
            Some(why) if &*why.code == frozen => Standing::of(Layer::Freeze, frozen),
            Some(why) if is_ladder(&why.code) => Standing::of(Layer::Ladder, &why.code),
            Some(why) => Standing::of(Layer::PolicyDeny, &why.code),
            None => Standing::of(Layer::PolicyDeny, ""),
        },
        "held" => match first("hold") {
            Some(why) if &*why.code == frozen => Standing::of(Layer::Freeze, frozen),
            Some(why) if is_bucket(&why.code) => Standing::of(Layer::Buckets, &why.code),
            Some(why) => Standing::of(Layer::Hold, &why.code),
            None => Standing::of(Layer::Hold, ""),
        },
        "awaiting_approval" => Standing::of(Layer::StepUp, first("step_up").map_or("", |why| &why.code)),
        "dwelling" => {
            if has(Cause::Halted) {
                return Standing::of(Layer::Halt, Cause::Halted.code());
            }
            let policy = reasons.iter().find(|why| &*why.severity == "dwell" && !is_core(&why.code));
            let queued = reasons.iter().find(|why| is_bucket(&why.code));
            match (policy, queued) {
                (Some(policy), queued) => Standing {
                    layer: Layer::Dwell,
                    code: policy.code.clone(),
                    then: queued.map(|_| Layer::Buckets),
                },
                (None, Some(queued)) => Standing::of(Layer::Buckets, &queued.code),
                (None, None) => Standing::of(Layer::Dwell, first("dwell").map_or("", |why| &why.code)),
            }
        }
        _ => Standing::of(Layer::Wallet, ""),
    }
}

fn is_bucket(code: &str) -> bool {
    [Cause::BucketQueued, Cause::BucketShare, Cause::BucketMissing, Cause::QueuedTooLong]
        .iter()
        .any(|cause| cause.code() == code)
}

fn is_core(code: &str) -> bool {
    Cause::ALL.iter().any(|cause| cause.code() == code)
}

/// Refusals in code, without those that tables name apart, and without what a policy causes.
fn is_ladder(code: &str) -> bool {
    is_core(code)
        && !is_bucket(code)
        && ![Cause::NotPermitted, Cause::PolicyError, Cause::DeniedByStaff]
            .iter()
            .any(|one| one.code() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(code: &str, severity: &str) -> Why {
        Why { code: code.into(), severity: severity.into(), observed: "".into(), expected: "".into() }
    }

    #[test]
    fn layers_stand_in_the_order_of_tables() {
        for (at, layer) in Layer::ALL.iter().enumerate() {
            assert_eq!(layer.index(), at);
        }
    }

    #[test]
    fn the_layer_is_what_the_withdrawal_waits_for() {
        let dwell = why("first_withdrawal_to_address", "dwell");
        for (status, reasons, layer) in [
            ("denied", vec![dwell.clone(), why("over_daily_limit", "deny")], Layer::Limits),
            ("denied", vec![why("account_frozen", "deny")], Layer::Freeze),
            ("denied", vec![why("api_ip_not_allowed", "deny")], Layer::Ladder),
            ("denied", vec![why("not_permitted", "deny")], Layer::PolicyDeny),
            ("held", vec![dwell.clone(), why("recent_security_change", "hold")], Layer::Hold),
            ("held", vec![why("exceeds_bucket_share", "hold")], Layer::Buckets),
            (
                "awaiting_approval",
                vec![dwell.clone(), why("account_has_credential", "step_up")],
                Layer::StepUp,
            ),
            ("dwelling", vec![dwell.clone()], Layer::Dwell),
            ("dwelling", vec![why("bucket_queued", "dwell")], Layer::Buckets),
            ("dwelling", vec![dwell.clone(), why("halted", "dwell")], Layer::Halt),
            ("approved", vec![dwell.clone()], Layer::Wallet),
        ] {
            assert_eq!(standing(status, &reasons).layer, layer, "{status} {reasons:?}");
        }
        let both = standing("dwelling", &[dwell, why("bucket_queued", "dwell")]);
        assert_eq!((both.layer, both.then), (Layer::Dwell, Some(Layer::Buckets)));
    }
}
