//! The shadow: a candidate policy beside the live one. It changes no decision.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::record::hex;
use crate::shadow::{Candidate, Example, ShadowError, Status};

use super::Shared;
use super::authority::Caller;
use super::body::LargeJson;
use super::reply::At;

/// A candidate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowBody {
    /// The pack: file names and texts.
    files: BTreeMap<String, String>,
}

/// How a candidate compares with the live policy.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ShadowReply {
    /// The candidate's hash.
    candidate: String,
    /// The live policy that it was compared with last.
    live: Option<String>,
    /// Since when.
    since: String,
    /// Whose token asked for it.
    by: String,
    /// Decisions compared.
    compared: u64,
    /// The candidate asks for more.
    tighter: u64,
    /// For less.
    looser: u64,
    /// For more of one thing and less of another.
    mixed: u64,
    /// For the same with other reasons.
    reasons_only: u64,
    /// How many go from one degree to another: `allow -> hold`.
    transitions: BTreeMap<String, u64>,
    /// Decisions that were not compared, because the comparing thread was behind.
    dropped: u64,
    /// The last tighter decisions, newest first.
    tighter_examples: Vec<Example>,
    /// The last looser decisions, newest first.
    looser_examples: Vec<Example>,
}

impl From<Status> for ShadowReply {
    fn from(status: Status) -> Self {
        let Status { hash, by, since, live, tally, dropped } = status;
        Self {
            candidate: hex(&hash),
            live: live.map(|hash| hex(&hash)),
            since: since.to_string(),
            by: by.to_string(),
            compared: tally.compared,
            tighter: tally.tighter,
            looser: tally.looser,
            mixed: tally.mixed,
            reasons_only: tally.reasons_only,
            transitions: tally.transitions,
            dropped,
            tighter_examples: tally.tighter_examples.into(),
            looser_examples: tally.looser_examples.into(),
        }
    }
}

fn problem(error: &ShadowError) -> Problem {
    if matches!(error, ShadowError::File(_)) {
        tracing::error!(%error, "the shadow policy");
    }
    Problem::new(error.code())
}

#[utoipa::path(
    put, path = "/v1/policy/shadow", tag = "controls", summary = "Compare a candidate policy with the live one",
    description = "From now on the candidate is asked whatever the live policy is asked, and compared; it decides nothing. \
                   One at a time: another takes its place, and counts start again. It goes on after a restart.",
    request_body = ShadowBody,
    responses((status = 200, body = ShadowReply), (status = "4XX", description = "Refused: the pack has problems")),
)]
pub(super) async fn start(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    LargeJson(body): LargeJson<ShadowBody>,
) -> Result<At<ShadowReply>, Problem> {
    let now = app.clock.now();
    let (shadow, by) = (app.shadow.clone(), caller.client);
    let work = move || {
        let files: Vec<(String, String)> = body.files.clone().into_iter().collect();
        let pack = holdfast_cedar::compile_pack(&files)
            .map_err(|error| Problem::new("policy_pack_invalid").field("files").detail(error))?;
        let candidate =
            Candidate { hash: pack.hash, files: body.files, program: pack.program, by, since: now };
        shadow.start(candidate).map_err(|error| problem(&error))?;
        shadow.status().ok_or_else(|| problem(&ShadowError::NotRunning))
    };
    answer(&app, tokio::task::spawn_blocking(work).await.map_err(|_| Problem::new("internal"))??)
}

#[utoipa::path(
    get, path = "/v1/policy/shadow", tag = "controls", summary = "How the candidate compares",
    responses((status = 200, body = ShadowReply), (status = 404, description = "No candidate runs")),
)]
pub(super) async fn status(State(app): State<Shared>) -> Result<At<ShadowReply>, Problem> {
    let status = app.shadow.status().ok_or_else(|| problem(&ShadowError::NotRunning))?;
    answer(&app, status)
}

#[utoipa::path(
    delete, path = "/v1/policy/shadow", tag = "controls", summary = "Compare no more",
    description = "Answers how it stood at its end; the counts are forgotten.",
    responses((status = 200, body = ShadowReply), (status = 404, description = "No candidate runs")),
)]
pub(super) async fn stop(State(app): State<Shared>) -> Result<At<ShadowReply>, Problem> {
    let shadow = app.shadow.clone();
    let stopped = tokio::task::spawn_blocking(move || shadow.stop()).await;
    answer(&app, stopped.map_err(|_| Problem::new("internal"))?.map_err(|error| problem(&error))?)
}

fn answer(app: &Shared, status: Status) -> Result<At<ShadowReply>, Problem> {
    let durable = *app.intake.durable().borrow();
    Ok(At::ok(durable, ShadowReply::from(status)))
}
