//! A withdrawal's approval by its owner's key: what to sign and with which keys, the approval, and a new text for one whose
//! time has passed.

use std::sync::Arc;

use axum::extract::{Path, State};
use holdfast_decision::command::Command;
use holdfast_decision::protection::CredentialUse;
use holdfast_decision::reason::Refusal;
use holdfast_values::{AccountId, WithdrawalId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::data;
use crate::problem::Problem;

use super::Shared;
use super::assertion::{self, AllowedReply, AssertionBody, party_of};
use super::body::{self, Json};
use super::changes;
use super::reply::{At, WithdrawalReply};

/// What an approval page shows and asks a key for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AskReply {
    /// holdfast-withdrawal/v1, byte for byte: its SHA-256 is the challenge.
    text: String,
    /// The withdrawal's status.
    status: String,
    /// The relying party's id.
    rp_id: String,
    /// The AppID of legacy U2F.
    app_id: Option<String>,
    /// The keys that may approve it.
    allow: Vec<AllowedReply>,
}

fn unknown() -> Problem {
    Problem::refused(Refusal::WithdrawalUnknown, "")
}

#[utoipa::path(
    get, path = "/v1/withdrawals/{id}/approval", tag = "withdrawals",
    summary = "What its owner's key is asked to approve", params(("id" = String, Path)),
    responses((status = 200, body = AskReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn ask(State(app): State<Shared>, Path(id): Path<String>) -> Result<At<AskReply>, Problem> {
    let id: WithdrawalId = body::path_id(&id)?;
    let found = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let withdrawal = core.withdrawal(id).ok_or_else(unknown)?;
            let account = core.account_at(withdrawal.request.account).ok_or_else(unknown)?;
            let party = party_of(core, CredentialUse::Approve)?;
            let text = core.text_of(id).ok_or(Problem::new("internal"))?.to_string();
            let status = withdrawal.status().name().to_owned();
            let live = changes::live(Some(account), CredentialUse::Approve);
            Ok::<_, Problem>((core.sequence(), account.id.clone(), party, text, status, live))
        })
        .await?;
    let (sequence, account, party, text, status, live) = found.value?;
    let shared = Arc::clone(&app);
    let allow = tokio::task::spawn_blocking(move || assertion::allowed(&shared, &account, &live))
        .await
        .map_err(|_| Problem::new("internal"))??;
    Ok(At::ok(sequence, AskReply { text, status, rp_id: party.rp_id, app_id: party.app_id, allow }))
}

/// The owner's approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveBody {
    /// Whose withdrawal it is.
    #[schema(example = "ac_1001")]
    account: String,
    /// The key's assertion over the SHA-256 of the withdrawal's text.
    assertion: AssertionBody,
}

#[utoipa::path(
    post, path = "/v1/withdrawals/{id}/approval", tag = "withdrawals",
    summary = "Its owner's key approves it, over its text", params(("id" = String, Path)),
    request_body = ApproveBody,
    responses((status = 200, body = WithdrawalReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn approve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<ApproveBody>,
) -> Result<At<WithdrawalReply>, Problem> {
    let withdrawal: WithdrawalId = body::path_id(&id)?;
    let account: AccountId = body::id("account", &value.account)?;
    let asked = account.clone();
    let text = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let known = core.withdrawal(withdrawal).ok_or_else(unknown)?;
            if core.account_id(known.request.account) != Some(&asked) {
                return Err(Problem::refused(Refusal::WithdrawalForeign, ""));
            }
            core.text_of(withdrawal).map(|text| text.to_string()).ok_or(Problem::new("internal"))
        })
        .await?
        .value?;
    let approval = Box::new(assertion::approve(&app, &account, text.as_bytes(), value.assertion).await?);
    super::withdrawals::act(&app, withdrawal, Command::ApproveIntent { account, withdrawal, approval }).await
}

/// Whose withdrawal is to have a new text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewBody {
    /// Whose it is.
    #[schema(example = "ac_1001")]
    account: String,
}

#[utoipa::path(
    post, path = "/v1/withdrawals/{id}/renew", tag = "withdrawals",
    summary = "A new text for a withdrawal whose text's time has passed; it must be approved again",
    params(("id" = String, Path)), request_body = RenewBody,
    responses((status = 200, body = WithdrawalReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn renew(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<RenewBody>,
) -> Result<At<WithdrawalReply>, Problem> {
    let withdrawal: WithdrawalId = body::path_id(&id)?;
    let account: AccountId = body::id("account", &value.account)?;
    let nonce = data::random().map_err(|_| Problem::new("internal"))?;
    super::withdrawals::act(&app, withdrawal, Command::RenewIntent { account, withdrawal, nonce }).await
}
