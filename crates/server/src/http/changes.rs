//! Changes of an account's protection: asking the core, and the text that an owner must approve first.
//!
//! A change that needs an approval and has none is answered with `approval_required`, the text to approve and the keys that
//! may; the same request, sent again with the approval, carries it out. Nothing of it is kept here in between.

use axum::extract::{Path, State};
use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_decision::protection::{
    ApprovedText, Change, ChangeProtection, CodeProof, Credential, CredentialUse,
};
use holdfast_decision::reason::Refusal;
use holdfast_values::texts::{ChangeText, Nonce, Seconds};
use holdfast_values::{AccountId, Fingerprint, MandateId, Timestamp, time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::data;
use crate::intake::Decided;
use crate::problem::Problem;

use super::Shared;
use super::assertion::{self, ApprovalBody};
use super::body::{self, Json};
use super::codes::CodeBody;
use super::reply::At;

/// How long a text that is offered for approval is good.
const TEXT_LIFETIME: u64 = 10 * time::MINUTE;

/// What a change's text says about it.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) target: String,
    pub(super) detail: String,
}

impl Lines {
    /// About nothing in particular.
    pub(super) fn none() -> Self {
        Self { target: "-".to_owned(), detail: "-".to_owned() }
    }

    /// About one thing.
    pub(super) fn target(target: impl Into<String>) -> Self {
        Self { target: target.into(), detail: "-".to_owned() }
    }
}

/// What may come with a change.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// The owner's approval of its text.
    pub(super) approval: Option<ApprovalBody>,
    /// A one-time or recovery code, compared.
    pub(super) code: Option<CodeProof>,
    /// The device that it comes from.
    pub(super) device: Option<Fingerprint>,
}

/// Asks the core for a change.
pub(super) async fn change(
    app: &Shared,
    account: AccountId,
    change: Change,
    lines: Lines,
    proof: Proof,
) -> Result<Decided, Problem> {
    let approval = assertion::approved_text(app, &account, proof.approval).await?;
    if let (Some(approval), false) = (&approval, matches!(change, Change::GrantMandate(_))) {
        compare(approval, &change, &lines)?;
    }
    let name = change.name();
    let asked = account.clone();
    let master = matches!(change, Change::UnlockSettings);
    let command = Command::ChangeProtection(Box::new(ChangeProtection {
        account,
        change,
        approval,
        code: proof.code.map(Box::new),
        device: proof.device,
    }));
    let decided = app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value;
    match decided {
        Err(problem) if problem.code() == "approval_required" && name != "grant_mandate" => {
            Err(with_text(app, problem, asked, name, lines, master).await?)
        }
        // A wrong code is counted, which is a record, and changes nothing else.
        Ok(decided) if decided.events.iter().any(|event| matches!(event, Event::CodeFailed { .. })) => {
            Err(Problem::new("code_wrong").at(decided.sequence))
        }
        decided => decided,
    }
}

/// The core compares exchange, account, change and time of the text; what it is about is compared here, where it is known.
fn compare(approval: &ApprovedText, change: &Change, lines: &Lines) -> Result<(), Problem> {
    let text = ChangeText::parse(approval.text.as_bytes())
        .map_err(|error| Problem::new("change_text_malformed").field("approval.text").detail(error))?;
    let same = text.change.as_str() == change.name()
        && text.target.as_str() == lines.target
        && text.detail.as_str() == lines.detail;
    if same { Ok(()) } else { Err(Problem::new("change_text_differs").field("approval.text")) }
}

/// Adds the text that must be approved, and who may.
pub(super) async fn with_text(
    app: &Shared,
    problem: Problem,
    account: AccountId,
    change: &str,
    lines: Lines,
    master: bool,
) -> Result<Problem, Problem> {
    let nonce = data::random().map_err(|_| Problem::new("internal"))?;
    let asked = account.clone();
    let wanted = if master { CredentialUse::Master } else { CredentialUse::Approve };
    let answer = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let party = assertion::party_of(core, wanted)?;
            let credentials = live(core.account(&asked), wanted);
            Ok::<_, Problem>((core.exchange().to_owned(), desk.time(), party, credentials))
        })
        .await?;
    let (exchange, now, party, credentials) = answer.value?;
    let text = offer(&exchange, &account, change, &lines, now, nonce)?;
    let (shared, owner) = (std::sync::Arc::clone(app), account);
    let allowed = tokio::task::spawn_blocking(move || assertion::allowed(&shared, &owner, &credentials))
        .await
        .map_err(|_| Problem::new("internal"))??;
    Ok(problem.with(
        "approval",
        json!({ "text": text, "rp_id": party.rp_id, "app_id": party.app_id, "allow": allowed }),
    ))
}

/// The credentials of an account that are in use for something.
pub(super) fn live(
    account: Option<&holdfast_decision::account::Account>,
    used_for: CredentialUse,
) -> Vec<Credential> {
    let protection = account.and_then(|account| account.protection.as_deref());
    let credentials = protection.map(|protection| protection.credentials.as_slice()).unwrap_or_default();
    let live = credentials.iter().filter(|known| !known.is_removed && known.used_for == used_for);
    live.copied().collect()
}

fn offer(
    exchange: &str,
    account: &AccountId,
    change: &str,
    lines: &Lines,
    now: Timestamp,
    nonce: [u8; 32],
) -> Result<String, Problem> {
    let internal = || Problem::new("internal").detail("the change has no text");
    let text = ChangeText {
        exchange: exchange.parse().map_err(|_| internal())?,
        account: account.clone(),
        change: change.parse().map_err(|_| internal())?,
        target: lines.target.parse().map_err(|_| internal())?,
        detail: lines.detail.parse().map_err(|_| internal())?,
        not_after: Seconds::floor(now.plus(TEXT_LIFETIME)),
        nonce: Nonce(nonce),
    };
    Ok(text.to_string())
}

/// A change that needs nothing but its name, with what may be needed to prove that its owner wants it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    /// What changes.
    change: PlainChange,
    /// The owner's approval of the text that the first answer gave.
    #[serde(default)]
    approval: Option<ApprovalBody>,
    /// A one-time or recovery code.
    #[serde(default)]
    code: Option<CodeBody>,
    /// The device that it comes from, as sessions report it.
    #[serde(default)]
    device: Option<String>,
    /// Change nothing: answer with `approval_required` and the text, for changes that can do without an approval too, as
    /// an unlocking by time or an objection by code.
    #[serde(default)]
    text_only: bool,
}

/// Which change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum PlainChange {
    /// Freeze all security settings: an unlocking takes so many days (1 to 30).
    LockSettings(u8),
    /// Open them again: at once by the approval of a master key, else after the lock's full time.
    UnlockSettings,
    /// End the freeze of the account.
    Unfreeze,
    /// End a mandate.
    RevokeMandate(String),
    /// The owner cannot show any factor: the time begins in which anybody who still can may say no.
    BeginRecovery,
    /// Say no to a recovery.
    StopRecovery,
    /// Take one-time codes out of use.
    RemoveCodes,
    /// Forget a device, as the account's list names it.
    ForgetDevice(String),
}

/// That a change was carried out, or begun.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ChangeReply {
    /// `changed`; or `begun`: the Settings Lock opens when its time has passed.
    status: &'static str,
    /// The journal's record.
    sequence: u64,
}

impl ChangeReply {
    pub(super) fn of(decided: &Decided) -> Self {
        let begun = decided.events.iter().any(|event| matches!(event, Event::UnlockBegun { .. }));
        Self { status: if begun { "begun" } else { "changed" }, sequence: decided.sequence }
    }
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/changes", tag = "protection",
    summary = "Change an account's protection; `approval_required` carries the text to approve",
    params(("id" = String, Path)), request_body = ChangeBody,
    responses((status = 200, body = ChangeReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn plain(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value: body, .. }: Json<ChangeBody>,
) -> Result<At<ChangeReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let (wanted, lines) = match body.change {
        PlainChange::LockSettings(days) => {
            (Change::LockSettings { days }, Lines { target: "-".to_owned(), detail: format!("days={days}") })
        }
        PlainChange::UnlockSettings => (Change::UnlockSettings, Lines::none()),
        PlainChange::Unfreeze => (Change::Unfreeze, Lines::none()),
        PlainChange::RevokeMandate(mandate) => {
            let mandate: MandateId = body::id("change.revoke_mandate", &mandate)?;
            (Change::RevokeMandate { mandate }, Lines::target(mandate.to_string()))
        }
        PlainChange::BeginRecovery => (Change::BeginRecovery, Lines::none()),
        PlainChange::StopRecovery => (Change::StopRecovery, Lines::none()),
        PlainChange::RemoveCodes => (Change::RemoveCodes, Lines::none()),
        PlainChange::ForgetDevice(device) => {
            let device = fingerprint("change.forget_device", &device)?;
            (Change::ForgetDevice { device }, Lines::target(format!("device:{device}")))
        }
    };
    if body.text_only {
        let master = matches!(wanted, Change::UnlockSettings);
        let asked = Problem::refused(Refusal::ApprovalNeeded, "");
        return Err(with_text(&app, asked, account, wanted.name(), lines, master).await?);
    }
    let device = body.device.map(|device| app.fingerprints.device(&account, &device));
    let code = super::codes::compare(&app, &account, body.code, device).await?;
    let proof = Proof { approval: body.approval, code, device };
    let decided = change(&app, account, wanted, lines, proof).await?;
    Ok(At::ok(decided.sequence, ChangeReply::of(&decided)))
}

/// A fingerprint as lists print it.
pub(super) fn fingerprint(field: &str, text: &str) -> Result<Fingerprint, Problem> {
    crate::record::unhex(text)
        .map(Fingerprint)
        .ok_or_else(|| Problem::new("id_invalid").field(field).detail("32 lower-case hexadecimal digits"))
}
