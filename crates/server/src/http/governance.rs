//! Acts that wait for their time, and proposals: what became of an act that was sent, what waits, and the stop.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Extension;
use axum::extract::{Path, State};
use holdfast_decision::State as Core;
use holdfast_decision::acts::{Digest, Waits};
use holdfast_decision::command::Command;
use holdfast_decision::decide;
use holdfast_decision::event::Event;
use holdfast_decision::governance::{OpenProposal, WaitingAct};
use holdfast_values::{TextDigest, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::intake::Decided;
use crate::problem::Problem;
use crate::record::{hex, unhex};

use super::Shared;
use super::authority::Caller;
use super::reply::{At, Recorded};

/// What became of an act.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ActReply {
    /// The journal's record.
    sequence: u64,
    /// False: it waits until `due`, and can be stopped.
    in_effect: bool,
    /// When it takes effect, unless it is stopped or time is lost.
    due: Option<String>,
    /// Why now, or why then.
    why: String,
    /// What stops it: `POST /v1/operator-acts/{nonce}/stop`.
    nonce: Option<String>,
}

/// Carries out an act, and says whether it is in effect.
pub(super) async fn record(app: &Shared, command: Command) -> Result<At<ActReply>, Problem> {
    let waits = match &command {
        Command::OperatorAct(signed) => signed.act.waits(),
        _ => Waits::No,
    };
    let refused = std::sync::Arc::clone(app);
    let answer = app
        .intake
        .ask(move |desk| {
            refused.refused_acts.spare(desk.state(), desk.time(), &command)?;
            // As the act found it: what it does may end this very window.
            let setup = desk.state().setup_until(desk.time()).map(|until| until.to_string());
            let decided = desk.decide(&command)?.accepted()?;
            Ok::<_, Problem>(reply(&decided, waits, setup))
        })
        .await?
        .value?;
    Ok(At::ok(answer.sequence, answer))
}

/// How often an act that is refused was recorded: whoever has its text can send it again and again, with a payload of
/// megabytes each time, and a token that carries acts is enough for that.
#[derive(Debug, Default)]
pub struct RefusedActs(Mutex<BTreeMap<TextDigest, u32>>);

impl RefusedActs {
    /// How often one text is recorded as refused.
    const RECORDED_MAX: u32 = 4;
    /// How many texts are remembered; each has an operator's signature.
    const TEXTS_MAX: usize = 4_096;

    /// Answers what would be refused once more without a record of it.
    fn spare(&self, state: &Core, at: Timestamp, command: &Command) -> Result<(), Problem> {
        let Command::OperatorAct(signed) = command else { return Ok(()) };
        let mut events = Vec::new();
        decide(state, at, command, &mut events);
        let [Event::Refused { refusal, detail }] = events.as_slice() else { return Ok(()) };
        let mut texts = self.0.lock().map_err(|_| Problem::new("internal"))?;
        if texts.len() >= Self::TEXTS_MAX {
            texts.clear();
        }
        let count = texts.entry(TextDigest::of(signed.text.as_bytes())).or_default();
        *count = count.saturating_add(1);
        if *count > Self::RECORDED_MAX { Err(Problem::refused(*refusal, detail)) } else { Ok(()) }
    }
}

fn reply(decided: &Decided, waits: Waits, setup: Option<String>) -> ActReply {
    let scheduled = decided.events.iter().find_map(|event| match event {
        Event::ActScheduled(scheduled) => Some(scheduled),
        _ => None,
    });
    let why = match (scheduled, waits, setup) {
        (Some(_), ..) => "what loosens waits, so that somebody can object".to_owned(),
        (None, Waits::No, _) => "this act does not wait".to_owned(),
        (None, _, Some(until)) => format!("set-up window until {until}: nothing waits"),
        (None, _, None) => "it only tightens, or the configured delay is none".to_owned(),
    };
    ActReply {
        sequence: decided.sequence,
        in_effect: scheduled.is_none(),
        due: scheduled.map(|scheduled| scheduled.due.to_string()),
        why,
        nonce: scheduled.map(|scheduled| hex(&scheduled.nonce.0)),
    }
}

/// What waits, and what is proposed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ActsReply {
    scheduled: Vec<ScheduledReply>,
    proposals: Vec<ProposalReply>,
    /// While the exchange is being set up: until then nothing waits.
    setup_until: Option<String>,
}

/// An act that waits.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ScheduledReply {
    /// The nonce of its text.
    nonce: String,
    /// Its name.
    #[schema(example = "approve_policy")]
    act: String,
    target: String,
    detail: String,
    /// Whose signatures it has.
    by: Vec<String>,
    /// The text that they signed.
    text: String,
    accepted_at: String,
    /// When it takes effect, as things stand.
    due: String,
    /// The record that accepted it.
    sequence: u64,
}

/// An open proposal.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ProposalReply {
    /// The nonce of its text.
    nonce: String,
    /// The pack's hash.
    policy: String,
    /// The pack that it follows.
    from: String,
    author: String,
    reason: String,
    /// What its author found out about it.
    #[schema(value_type = Object)]
    report: serde_json::Value,
    proposed_at: String,
    /// When it closes by itself.
    expires: String,
}

fn scheduled(waiting: &WaitingAct) -> ScheduledReply {
    let act = &waiting.scheduled;
    let lines = act.act.lines();
    let signers = act.approval.signatures.iter();
    ScheduledReply {
        nonce: hex(&act.nonce.0),
        act: lines.act.to_owned(),
        target: lines.target,
        detail: lines.detail,
        by: signers.map(|signature| signature.operator.name.to_string()).collect(),
        text: act.approval.text.clone(),
        accepted_at: waiting.since.to_string(),
        due: waiting.due.to_string(),
        sequence: waiting.sequence,
    }
}

fn proposal(open: &OpenProposal) -> ProposalReply {
    let (opened, proposal) = (&open.opened, &open.opened.proposal);
    ProposalReply {
        nonce: hex(&opened.nonce.0),
        policy: hex(&proposal.source.hash),
        from: hex(&proposal.from),
        author: opened.author.to_string(),
        reason: proposal.reason.clone(),
        report: serde_json::from_str(&proposal.report).unwrap_or_default(),
        proposed_at: open.at.to_string(),
        expires: open.expires.to_string(),
    }
}

#[utoipa::path(
    get, path = "/v1/operator-acts", tag = "controls", summary = "Acts that wait for their time, and open proposals",
    responses((status = 200, body = ActsReply)),
)]
pub(super) async fn list(State(app): State<Shared>) -> Result<At<ActsReply>, Problem> {
    let answer = app
        .intake
        .ask(|desk| {
            let core: &Core = desk.state();
            let mut scheduled: Vec<_> = core.scheduled_acts().map(|one| (one.due, scheduled(one))).collect();
            scheduled.sort_by_key(|(due, _)| *due);
            ActsReply {
                scheduled: scheduled.into_iter().map(|(_, one)| one).collect(),
                proposals: core.proposals().map(proposal).collect(),
                setup_until: core.setup_until(desk.time()).map(|until| until.to_string()),
            }
        })
        .await?;
    Ok(At::ok(answer.sequence, answer.value))
}

#[utoipa::path(
    post, path = "/v1/operator-acts/{nonce}/stop", tag = "controls",
    summary = "Stop an act that waits, or take a proposal back",
    description = "Anyone trusted may. The nonce is that of the act's text, in hex.",
    params(("nonce" = String, Path)),
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn stop(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(nonce): Path<String>,
) -> Result<At<Recorded>, Problem> {
    let act = unhex(&nonce).map(Digest).ok_or(Problem::new("path_invalid").field("nonce"))?;
    super::accounts::record(&app, Command::StopAct { act, by: caller.client }).await
}
