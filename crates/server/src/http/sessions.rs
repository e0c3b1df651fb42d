//! Sessions as the exchange's edge reports them, and the devices that an account is known on.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use holdfast_decision::command::{Command, RecordSession, SessionFacts};
use holdfast_decision::event::Event;
use holdfast_decision::protection::Place;
use holdfast_decision::reason::Refusal;
use holdfast_values::AccountId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

use super::Shared;
use super::body::{self, Json};
use super::reply::At;

/// What sealed sessions are bound to.
const PURPOSE: &str = "session";
const FIELD_BYTES_MAX: usize = 512;

/// What the exchange's edge knows of a session.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionFactsBody {
    /// The device's own lasting secret, such as a cookie: kept only as a keyed fingerprint.
    #[serde(default)]
    device: Option<String>,
    /// The customer's address.
    #[serde(default)]
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// The user agent.
    #[serde(default)]
    user_agent: Option<String>,
    /// The TLS fingerprint, in whatever form the edge gives it (JA4, say).
    #[serde(default)]
    tls: Option<String>,
    /// The country, if the edge knows better than the server's own files.
    #[serde(default)]
    #[schema(example = "MT")]
    country: Option<String>,
    /// The autonomous system, if the edge knows better.
    #[serde(default)]
    asn: Option<u32>,
}

/// Keyed fingerprints and derived facts, for the core; all of it sealed, for people.
pub(super) async fn facts(
    app: &Shared,
    account: &AccountId,
    body: &SessionFactsBody,
) -> Result<(SessionFacts, Vec<u8>), Problem> {
    let facts = derive(app, account, body)?;
    let bytes = serde_json::to_vec(body).map_err(|_| Problem::new("internal"))?;
    let (shared, owner) = (Arc::clone(app), account.clone());
    let seal = move || shared.vault.seal(&owner, PURPOSE, &bytes);
    let sealed = tokio::task::spawn_blocking(seal)
        .await
        .map_err(|_| Problem::new("internal"))?
        .map_err(|error| super::evidence::vault_problem(&error))?;
    Ok((facts, sealed))
}

/// Keyed fingerprints and derived facts.
pub(super) fn derive(
    app: &Shared,
    account: &AccountId,
    body: &SessionFactsBody,
) -> Result<SessionFacts, Problem> {
    for (field, value) in [("device", &body.device), ("user_agent", &body.user_agent), ("tls", &body.tls)] {
        if value.as_ref().is_some_and(|value| value.is_empty() || value.len() > FIELD_BYTES_MAX) {
            return Err(Problem::new("body_invalid").field(field).detail("1 to 512 bytes"));
        }
    }
    let ip = body.ip.as_deref().map(|ip| body::ip("ip", ip)).transpose()?;
    let make = &app.fingerprints;
    Ok(SessionFacts {
        device: body.device.as_deref().map(|device| make.device(account, device)),
        ip: ip.map(|ip| make.ip(ip)),
        agent: body.user_agent.as_deref().map(|agent| make.client_trait("agent", agent)),
        tls: body.tls.as_deref().map(|tls| make.client_trait("tls", tls)),
        place: place(app, ip, body)?,
    })
}

/// Where an address is: the edge's word, else that of the operator's own files.
fn place(app: &Shared, ip: Option<IpAddr>, body: &SessionFactsBody) -> Result<Option<Place>, Problem> {
    let known = ip.map(|ip| app.geo.look_up(ip)).unwrap_or_default();
    let said = body
        .country
        .as_deref()
        .map(|text| match text.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => Ok([*a, *b]),
            _ => {
                Err(Problem::new("body_invalid").field("country").detail("two capital letters (ISO 3166-1)"))
            }
        })
        .transpose()?;
    let country = said.or(known.country);
    Ok(country.map(|country| Place { country, asn: body.asn.or(known.asn).unwrap_or(0) }))
}

/// What was new about a session.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct SessionReply {
    /// The account was never seen on this device.
    new_device: bool,
    /// The account was never seen in this place.
    new_place: bool,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/sessions", tag = "protection",
    summary = "Report a session: its device, address, place and agent",
    params(("id" = String, Path)), request_body = SessionFactsBody,
    responses((status = 200, body = SessionReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn report(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<SessionFactsBody>,
) -> Result<At<SessionReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let (facts, sealed) = facts(&app, &account, &value).await?;
    let command =
        Command::RecordSession(Box::new(RecordSession { account, facts, credential: None, sealed }));
    let decided = app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value?;
    let seen = decided.events.iter().find_map(|event| match event {
        Event::SessionSeen { new_device, new_place, .. } => Some((*new_device, *new_place)),
        _ => None,
    });
    let (new_device, new_place) = seen.unwrap_or_default();
    let sequence = decided.sequence;
    Ok(At::ok(sequence, SessionReply { new_device, new_place, sequence }))
}

/// A device that an account is known on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeviceReply {
    /// Its keyed fingerprint, by which it is forgotten.
    device: String,
    /// When it was first seen.
    first_seen: String,
    /// When it was last seen.
    last_seen: String,
    /// The credential that signed in on it.
    credential: Option<String>,
}

#[utoipa::path(
    get, path = "/v1/accounts/{id}/devices", tag = "protection", summary = "The devices that an account is known on",
    params(("id" = String, Path)),
    responses((status = 200, body = [DeviceReply]), (status = "4XX", description = "Refused")),
)]
pub(super) async fn devices(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<At<Vec<DeviceReply>>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let answer = app
        .intake
        .ask(move |desk| {
            let known =
                desk.state().account(&account).ok_or(Problem::refused(Refusal::AccountUnknown, ""))?;
            let devices = known.protection.as_deref().map(|p| p.devices.as_slice()).unwrap_or_default();
            let reply = devices.iter().map(|device| DeviceReply {
                device: device.device.to_string(),
                first_seen: device.first_seen.to_string(),
                last_seen: device.last_seen.to_string(),
                credential: device.credential.map(|credential| credential.to_string()),
            });
            Ok::<_, Problem>((desk.state().sequence(), reply.collect()))
        })
        .await?;
    let (sequence, devices) = answer.value?;
    Ok(At::ok(sequence, devices))
}
