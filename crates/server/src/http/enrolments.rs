//! What signers are told of customers' keys and of the policy: each enrolment, removal and step as a document under the
//! release key, in order. The wallet service fetches them and hands them to its signer, which judges them by its own store
//! and its own clock.
#![expect(unused_qualifications, reason = "the code that utoipa generates for query parameters")]

use std::sync::Arc;

use axum::extract::State;
use holdfast_authn::encoding::to_base64;
use holdfast_authn::release::policy::PackFiles;
use holdfast_authn::release::{Basis as Behind, Enrolment, Kind, PolicyStep, Removal, SignedAct};
use holdfast_decision::event::{Approval, Event, PolicyMoveKind};
use holdfast_decision::protection::{Basis, Change};
use holdfast_values::texts::ExchangeName;
use holdfast_values::{AccountId, Fingerprint, OperatorText};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::record;
use crate::views::{EnrolmentRow, Views};

use super::Shared;
use super::assertion::{self, StoredCredential, base64url};
use super::body::Parameters;
use super::lists;
use super::reply::At;

/// The most documents in one answer.
const LIMIT_MAX: u32 = 200;
/// After so many bytes of documents the rest is asked for again: a step of the policy can carry two packs.
const BYTES_SOFT_MAX: usize = 4 << 20;

/// From where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct AfterQuery {
    /// `number` of the last document that was taken; 0 if absent.
    #[serde(default)]
    after: u64,
    /// Wait up to a second until the list has seen this record.
    #[serde(default)]
    min_sequence: Option<u64>,
}

/// Documents for signers, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct EnrolmentsReply {
    /// The documents.
    documents: Vec<DocumentReply>,
    /// There are more: ask again after the last one's number.
    more: bool,
}

/// One document.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DocumentReply {
    /// Its place in the order.
    number: u64,
    /// `enrolment`, `removal` or `policy`.
    kind: &'static str,
    /// Whose credential it is about; absent of a step of the policy.
    account: Option<String>,
    /// COSE_Sign1 in base64, for the signer. Absent if the account's data key was destroyed: then there is nothing to tell.
    document: Option<String>,
}

#[utoipa::path(
    get, path = "/v1/enrolments", tag = "transactions",
    summary = "Customers' keys, enrolled and removed, and steps of the policy, as documents for signers, oldest first",
    params(AfterQuery),
    responses((status = 200, body = EnrolmentsReply), (status = 503, description = "`views_behind`")),
)]
pub(super) async fn list(
    State(app): State<Shared>,
    Parameters(query): Parameters<AfterQuery>,
) -> Result<At<EnrolmentsReply>, Problem> {
    let find = move |views: &Views| views.enrolments(query.after, LIMIT_MAX.saturating_add(1));
    let found = lists::read(&app, query.min_sequence, find).await?;
    let exchange = app.intake.ask(|desk| desk.state().exchange().to_owned()).await?.value;
    let exchange: ExchangeName = exchange.parse().map_err(|_| Problem::new("internal"))?;
    let (shared, mut rows) = (Arc::clone(&app), found.rows);
    let limit = usize::try_from(LIMIT_MAX).unwrap_or(usize::MAX);
    let mut more = rows.len() > limit;
    rows.truncate(limit);
    let make = move || {
        let (mut documents, mut bytes): (Vec<DocumentReply>, usize) = (Vec::new(), 0);
        for row in &rows {
            if bytes > BYTES_SOFT_MAX {
                return Ok((documents, true));
            }
            let document = document(&shared, &exchange, row)?;
            bytes = bytes.saturating_add(document.document.as_ref().map_or(0, String::len));
            documents.push(document);
        }
        Ok::<_, Problem>((documents, false))
    };
    let (documents, cut) =
        tokio::task::spawn_blocking(make).await.map_err(|_| Problem::new("internal"))??;
    more |= cut;
    Ok(At::ok(found.as_of, EnrolmentsReply { documents, more }))
}

fn document(app: &Shared, exchange: &ExchangeName, row: &EnrolmentRow) -> Result<DocumentReply, Problem> {
    let internal = || Problem::new("internal").detail("the views do not read");
    if let Some(source) = row.step_source {
        let step = step(app, exchange, row, source)?;
        let document = Some(seal(app, Kind::Policy, &step.to_bytes())?);
        return Ok(DocumentReply { number: row.number, kind: "policy", account: None, document });
    }
    let account: AccountId = row.account.parse().map_err(|_| internal())?;
    let credential = record::unhex(&row.credential).map(Fingerprint).ok_or_else(internal)?;
    let kind = if row.is_removal { "removal" } else { "enrolment" };
    let reply =
        DocumentReply { number: row.number, kind, account: Some(row.account.clone()), document: None };
    let Some(stored) = StoredCredential::read(&app.vault, &account, &credential)? else { return Ok(reply) };
    let credential_id = base64url("credential", &stored.id)?;
    let sequence = row.sequence;
    let sealed = if row.is_removal {
        let removal = Removal { exchange: exchange.clone(), sequence, account, credential_id };
        seal(app, Kind::Removal, &removal.to_bytes())?
    } else {
        let read = app.read_record(sequence)?;
        let read = record::decode(&read).map_err(|_| Problem::new("internal"))?;
        let known = read.events.iter().find_map(|event| match event {
            Event::ProtectionChanged { change, basis, approval, .. } => match &**change {
                Change::AddCredential(new) if new.credential == credential => {
                    Some((new.legacy_u2f, *basis, approval.as_deref()))
                }
                _ => None,
            },
            _ => None,
        });
        let recovered = read.events.iter().find_map(|event| match event {
            Event::AccountRecovered { credential: of, approval, .. } if *of == credential => {
                Some(&**approval)
            }
            _ => None,
        });
        let (legacy_u2f, basis) = match (known, recovered) {
            (Some((legacy, Some(Basis::First), _)), _) => (legacy, Behind::First),
            (Some((legacy, Some(Basis::Rotation), Some(approved))), _) => {
                let by = assertion::unseal(app, &account, &approved.by.sealed)?;
                (legacy, Behind::Rotation { text: approved.text.clone(), by })
            }
            (_, Some(act)) => (row.legacy_u2f, Behind::Recovery { act: signed_act(act) }),
            _ => return Err(internal()),
        };
        let enrolment = Enrolment {
            exchange: exchange.clone(),
            sequence,
            at: read.at,
            account,
            credential_id,
            public_key: base64url("credential", &stored.key)?,
            legacy_u2f,
            master: false,
            basis,
        };
        seal(app, Kind::Enrolment, &enrolment.to_bytes())?
    };
    Ok(DocumentReply { document: Some(sealed), ..reply })
}

/// The payload under the release key, in base64.
fn seal(app: &Shared, kind: Kind, payload: &[u8]) -> Result<String, Problem> {
    let key = app.release_key.as_ref().ok_or(Problem::new("release_key_missing"))?;
    let sealed = key.seal(kind, payload).map_err(|error| {
        tracing::error!(code = error.code(), %error, "the release key");
        Problem::new("release_key_unavailable")
    })?;
    Ok(to_base64(&sealed))
}

/// A step of the policy, whose text is in the record `source`.
fn step(
    app: &Shared,
    exchange: &ExchangeName,
    row: &EnrolmentRow,
    source: u64,
) -> Result<PolicyStep, Problem> {
    let internal = || Problem::new("internal").detail("the journal has no such step");
    let nonce = record::unhex(&row.credential).ok_or_else(internal)?;
    let events = |sequence| {
        let read = app.read_record(sequence)?;
        record::decode(&read).map_err(|_| Problem::new("internal"))
    };
    let named = |approval: &Approval| {
        OperatorText::parse(approval.text.as_bytes()).is_ok_and(|text| text.nonce.0 == nonce)
    };
    let read = events(source)?;
    let (how, from, act) = read
        .events
        .iter()
        .find_map(|event| match event {
            Event::ActScheduled(scheduled) if scheduled.nonce.0 == nonce => {
                Some((PolicyMoveKind::Approved, None, signed_act(&scheduled.approval)))
            }
            Event::PolicyMoved(moved) if named(&moved.approval) => {
                Some((moved.how, Some(moved.from), signed_act(&moved.approval)))
            }
            _ => None,
        })
        .ok_or_else(internal)?;
    let before = row.step_before.map(events).transpose()?;
    let mut step = PolicyStep {
        exchange: exchange.clone(),
        sequence: row.sequence,
        at: read.at,
        act,
        proposal: None,
        files: PackFiles::new(),
        from_files: PackFiles::new(),
        stopped: row.is_removal,
    };
    match (how, before) {
        (PolicyMoveKind::Approved, Some(before)) => {
            let text = OperatorText::parse(step.act.text.as_bytes()).map_err(|_| internal())?;
            step.proposal = before.events.iter().find_map(|event| match event {
                Event::PolicyProposed(opened)
                    if record::hex(&opened.proposal.source.hash) == text.target.as_str() =>
                {
                    Some(signed_act(&opened.approval))
                }
                _ => None,
            });
        }
        (PolicyMoveKind::Tightened, Some(before)) => {
            step.files = pack(&read.events, None).ok_or_else(internal)?;
            step.from_files = pack(&before.events, from).ok_or_else(internal)?;
        }
        _ => {}
    }
    Ok(step)
}

/// The files of the pack that decides from a record on, in order.
fn pack(events: &[Event], hash: Option<[u8; 32]>) -> Option<PackFiles> {
    let source = events.iter().find_map(|event| match event {
        Event::PolicyActivated(source) => Some(&**source),
        Event::Initialised(initialise) => Some(&initialise.policy),
        _ => None,
    })?;
    let mut files = source.files.clone();
    files.sort();
    hash.is_none_or(|hash| hash == source.hash).then_some(files)
}

fn signed_act(approval: &Approval) -> SignedAct {
    super::transactions::signed_act(approval)
}
