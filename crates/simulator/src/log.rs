//! What happened: one line for each decision, release and alarm, as `holdfast decide` writes them and `score` reads them.

use holdfast_values::Timestamp;
use serde::{Deserialize, Serialize};

/// The name and version that a file's first line carries.
pub const FORMAT: &str = "holdfast-decisions/1";

/// One line after the first. Times are microseconds since the Unix epoch inside, RFC 3339 in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Line {
    /// When.
    #[serde(with = "crate::log::rfc3339")]
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a line says. `event` is the id of the event that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum What {
    /// An event that asks for no decision was taken, or did nothing.
    Taken {
        /// Which event.
        event: Box<str>,
    },
    /// An event was refused: nothing changed.
    Refused {
        /// Which event.
        event: Box<str>,
        /// The stable code.
        code: Box<str>,
        /// What exactly.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        detail: Box<str>,
    },
    /// A withdrawal was decided, or decided again.
    Decided {
        /// The event that asked for the withdrawal.
        event: Box<str>,
        /// What brought the decision about.
        upon: Upon,
        /// `allow`, `dwell`, `step_up`, `hold`, `deny`.
        outcome: Box<str>,
        /// Where it stands after this: `approved`, `dwelling`, `awaiting_approval`, `held`, `denied`, ...
        status: Box<str>,
        /// `bound`, `aged`, `unvouched`.
        class: Box<str>,
        /// Not before then, where it waits.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::log::rfc3339_option")]
        dwell_until: Option<Timestamp>,
        /// Factors asked for and not shown: `one_time_code`, `passkey`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        factors: Vec<Box<str>>,
        /// Value in US cents.
        usd_cents: u64,
        /// Why.
        reasons: Vec<Why>,
    },
    /// A withdrawal ended without being paid: `cancelled`, `expired`, `denied`.
    Closed {
        /// The event that asked for it.
        event: Box<str>,
        /// How.
        status: Box<str>,
    },
    /// The signer would have signed: the money has left.
    Left {
        /// The event that asked for the withdrawal.
        event: Box<str>,
        /// The withdrawal's class at Holdfast.
        class: Box<str>,
        /// The signer's bucket: `vouched` or `unvouched`.
        bucket: Box<str>,
        /// Asset.
        asset: Box<str>,
        /// Decimal text in whole units.
        amount: Box<str>,
        /// At the price of then.
        usd_cents: u64,
    },
    /// The signer refused, whatever Holdfast said.
    SignerRefused {
        /// The event that asked for the withdrawal, if one did.
        event: Box<str>,
        /// The signer's code.
        code: Box<str>,
    },
    /// Somebody or something noticed.
    Alarm {
        /// `held`, `owner`, `operator_act_refused`, `signer_refused`, `chain`, `complaint`, ...
        kind: Box<str>,
        /// The event behind it.
        event: Box<str>,
    },
    /// The exchange's staff acted: `halt`, `resume`, `approve`, `deny`, `freeze`.
    Staff {
        /// What.
        did: Box<str>,
        /// To which withdrawal's event, account or scope.
        to: Box<str>,
    },
}

/// What brought a decision about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Upon {
    /// The request itself.
    Request,
    /// A factor that was shown, or an approval.
    Approval,
    /// A dwell, a queue or a deadline came to its end.
    Time,
    /// The release.
    Release,
    /// Operators, staff or a change elsewhere.
    Act,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Why {
    /// Stable code: of the core or of the policy.
    pub code: Box<str>,
    /// How much it asks for.
    pub severity: Box<str>,
    /// What was observed.
    pub observed: Box<str>,
    /// What was expected.
    pub expected: Box<str>,
}

pub(crate) mod rfc3339 {
    use holdfast_values::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        Timestamp::parse(&text).map_err(|error| D::Error::custom(format!("at: {error}")))
    }
}

pub(crate) mod rfc3339_option {
    use holdfast_values::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.collect_str(at),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<std::borrow::Cow<str>>::deserialize(from)?;
        text.map(|text| Timestamp::parse(&text)).transpose().map_err(D::Error::custom)
    }
}
