//! What answers look like: the wire structs of single objects, made from State or from a record's events, and the
//! header that says what they are as of.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use holdfast_decision::event::{Decision, Factors, Status, WithdrawalRequested};
use holdfast_decision::reason::Reason;
use holdfast_policy::Factor;
use holdfast_values::{AccountId, AssetSymbol, CaseId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SEQUENCE_HEADER;

/// A body with the sequence it is as of.
pub(super) struct At<T> {
    pub(super) status: StatusCode,
    pub(super) sequence: u64,
    pub(super) body: T,
}

impl<T> At<T> {
    pub(super) const fn ok(sequence: u64, body: T) -> Self {
        Self { status: StatusCode::OK, sequence, body }
    }

    pub(super) const fn created(sequence: u64, body: T) -> Self {
        Self { status: StatusCode::CREATED, sequence, body }
    }
}

impl<T: Serialize> IntoResponse for At<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        response.headers_mut().insert(SEQUENCE_HEADER, HeaderValue::from(self.sequence));
        response
    }
}

/// That something was recorded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Recorded {
    /// The journal's record.
    pub(super) sequence: u64,
}

/// A withdrawal, as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WithdrawalReply {
    /// Its id.
    #[schema(example = "wd_01hqv3k2m8d6x5t7w9y0z1a2b3")]
    pub(super) id: String,
    /// Whose.
    pub(super) account: String,
    /// What.
    #[schema(example = "BTC")]
    pub(super) asset: String,
    /// On which network.
    #[schema(example = "bitcoin")]
    pub(super) network: String,
    /// Where to, in its one spelling.
    pub(super) address: String,
    /// Tag or memo.
    pub(super) memo: Option<String>,
    /// What arrives, in whole units of the asset.
    #[schema(example = "0.75000000")]
    pub(super) amount: String,
    /// What the customer is charged on top at most.
    #[schema(example = "0.00010000")]
    pub(super) fee_max: String,
    /// Where it stands: `awaiting_approval`, `dwelling`, `held`, `approved`, `denied`, `cancelled`, `expired`;
    /// then `released`, `broadcast`, `confirmed`, or `voided`, `replaced`, `failed`.
    pub(super) status: String,
    /// What was decided last.
    pub(super) outcome: OutcomeReply,
    /// Why, all of it.
    pub(super) reasons: Vec<ReasonReply>,
    /// When it was asked for.
    pub(super) requested_at: String,
    /// After that it may no longer be released.
    pub(super) not_after: String,
    /// Its value in US dollars, at the 24 h high, rounded up.
    #[schema(example = "4425.00")]
    pub(super) usd: String,
    /// The case that waits for a person, if it is held.
    pub(super) case: Option<String>,
    /// The digests of the transactions that may pay it, oldest first; of a closed one, the one that did.
    pub(super) transactions: Vec<String>,
    /// Since when its transaction is final: it arrived.
    pub(super) paid_at: Option<String>,
    /// The record of its request.
    pub(super) sequence: u64,
}

/// What was decided.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OutcomeReply {
    /// `allow`, `dwell`, `step_up`, `hold`, `deny`.
    pub(super) severity: String,
    /// It waits at least until then.
    pub(super) dwell_until: Option<String>,
    /// Factors asked for and not yet shown: `one_time_code`, `passkey`.
    pub(super) factors: Vec<String>,
    /// Whose bucket it spends: `bound`, `aged`, `unvouched`.
    pub(super) class: String,
}

/// One reason.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct ReasonReply {
    /// Stable.
    pub(super) code: String,
    /// What this reason alone asks for.
    pub(super) severity: String,
    /// What was observed.
    pub(super) observed: String,
    /// What was expected instead.
    pub(super) expected: String,
    /// Log-evidence in 1/1024 nat; zero for a rule that does not weigh.
    pub(super) weight: u32,
    /// The policy that says so.
    pub(super) policy: Option<String>,
    /// Until when, for a dwell or a queue.
    pub(super) until: Option<String>,
    /// The records behind it.
    pub(super) events: Vec<u64>,
}

impl From<&Reason> for ReasonReply {
    fn from(reason: &Reason) -> Self {
        Self {
            code: reason.code.clone(),
            severity: reason.severity.name().to_owned(),
            observed: reason.observed.clone(),
            expected: reason.expected.clone(),
            weight: reason.weight,
            policy: reason.policy.clone(),
            until: reason.until.map(|until| until.to_string()),
            events: reason.events.clone(),
        }
    }
}

pub(super) fn factor_names(factors: Factors) -> Vec<String> {
    let asked = Factor::ALL.into_iter().filter(|factor| factors.contains(*factor));
    asked.map(|factor| factor.name().to_owned()).collect()
}

/// What a withdrawal's answer is made of. All of it stands in the record of its request, so that the answer to a
/// repeated request can be made again.
pub(super) struct WithdrawalParts<'a> {
    pub(super) account: &'a AccountId,
    pub(super) asset: &'a AssetSymbol,
    pub(super) decimals: u8,
    pub(super) request: &'a WithdrawalRequested,
    pub(super) decision: &'a Decision,
    pub(super) requested_at: Timestamp,
    pub(super) sequence: u64,
}

impl From<WithdrawalParts<'_>> for WithdrawalReply {
    fn from(parts: WithdrawalParts<'_>) -> Self {
        let WithdrawalParts { account, asset, decimals, request, decision, requested_at, sequence } = parts;
        Self {
            id: request.withdrawal.to_string(),
            account: account.to_string(),
            asset: asset.to_string(),
            network: request.destination.network().to_string(),
            address: request.destination.address().to_owned(),
            memo: request.destination.memo().map(ToOwned::to_owned),
            amount: request.amount.to_fixed(decimals),
            fee_max: request.fee_max.to_fixed(decimals),
            status: decision.status.name().to_owned(),
            outcome: OutcomeReply {
                severity: decision.severity.name().to_owned(),
                dwell_until: (decision.dwell_until > requested_at).then(|| decision.dwell_until.to_string()),
                factors: factor_names(decision.factors),
                class: decision.class.name().to_owned(),
            },
            reasons: decision.reasons.iter().map(ReasonReply::from).collect(),
            requested_at: requested_at.to_string(),
            not_after: request.not_after.to_string(),
            usd: request.usd_cents.to_string(),
            case: (decision.status == Status::Held).then(|| CaseId(request.withdrawal.0).to_string()),
            transactions: Vec::new(),
            paid_at: None,
            sequence,
        }
    }
}
