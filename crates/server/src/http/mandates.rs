//! Mandates: a program's withdrawals, bound by one approval of their bounds.

use axum::extract::{Path, State};
use holdfast_authn::KeyMaterial;
use holdfast_decision::protection::{Change, CredentialUse, NewMandate};
use holdfast_decision::reason::Refusal;
use holdfast_values::texts::{Destinations, MandateText, Nonce, Seconds, Window};
use holdfast_values::{AccountId, Amount, AssetSymbol, Destination, MandateId, Name, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

use crate::data;
use crate::problem::Problem;

use super::Shared;
use super::assertion::{self, AllowedReply, ApprovalBody, party_of, sha256};
use super::body::{self, Json};
use super::changes::{self, Lines, Proof};
use super::evidence::StoredKeys;
use super::reply::At;

const DESTINATIONS_MAX: usize = holdfast_decision::protection::MANDATE_DESTINATIONS_MAX;

/// What a mandate is to allow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfferBody {
    /// The API key whose requests it binds: Ed25519 or RSA.
    api_key: String,
    /// The asset.
    #[schema(example = "BTC")]
    asset: String,
    /// The network.
    #[schema(example = "bitcoin")]
    network: String,
    /// Where to: 1 to 16.
    destinations: Vec<DestinationBody>,
    /// The most in one withdrawal.
    amount_max: String,
    /// The most in any 24 hours.
    day_max: String,
    /// For how many days: at most 90.
    days: u16,
}

/// A destination.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DestinationBody {
    /// The address.
    address: String,
    /// Its memo or tag.
    #[serde(default)]
    memo: Option<String>,
}

/// A mandate's text, for its owner to approve.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OfferReply {
    /// The mandate's id.
    mandate: String,
    /// holdfast-mandate/v1, byte for byte: its SHA-256 is the challenge.
    text: String,
    /// The relying party's id.
    rp_id: String,
    /// The AppID of legacy U2F.
    app_id: Option<String>,
    /// The keys that may approve it.
    allow: Vec<AllowedReply>,
}

/// The revision of an API key that counts, and its public half from the vault. What the vault holds beyond it was never
/// accepted.
async fn public_half(app: &Shared, account: &AccountId, key: &Name) -> Result<(u32, Vec<u8>), Problem> {
    let (asked, fingerprint) = (account.clone(), app.fingerprints.api_key(key));
    let revision = app
        .intake
        .ask(move |desk| Some(desk.state().account(&asked)?.api_key(&fingerprint)?.revision))
        .await?
        .value
        .ok_or(Problem::refused(Refusal::ApiKeyUnknown, "").field("api_key"))?;
    let (shared, owner, named) = (Arc::clone(app), account.clone(), key.clone());
    let der = tokio::task::spawn_blocking(move || spki(&shared, &owner, &named, revision))
        .await
        .map_err(|_| Problem::new("internal"))??;
    Ok((revision, der))
}

/// The public half that the vault holds of a revision. Blocks.
fn spki(app: &Shared, account: &AccountId, key: &Name, revision: u32) -> Result<Vec<u8>, Problem> {
    let stored = StoredKeys::read(&app.vault, account, key)?;
    let newest = stored.0.iter().find(|stored| stored.revision == revision);
    let newest = newest.ok_or(Problem::new("api_key_not_stored").field("api_key"))?;
    let material = newest.material().ok_or(Problem::new("api_key_not_stored").field("api_key"))?;
    match material {
        KeyMaterial::Ed25519(_) | KeyMaterial::Rsa(_) => {
            newest.spki().ok_or(Problem::new("api_key_not_stored").field("api_key"))
        }
        _ => Err(Problem::new("mandate_needs_public_key").field("api_key")),
    }
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/mandates/text", tag = "protection",
    summary = "The text of a mandate, for its owner to approve", params(("id" = String, Path)),
    request_body = OfferBody,
    responses((status = 200, body = OfferReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn offer(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<OfferBody>,
) -> Result<axum::Json<OfferReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let api_key: Name = body::id("api_key", &value.api_key)?;
    let asset: AssetSymbol = body::asset("asset", &value.asset)?;
    let network = body::network("network", &value.network)?;
    if value.destinations.is_empty() || value.destinations.len() > DESTINATIONS_MAX {
        return Err(Problem::new("too_many_items").field("destinations").detail("1 to 16 destinations"));
    }
    let destinations = value
        .destinations
        .iter()
        .map(|to| body::destination(network, &to.address, to.memo.as_deref()))
        .collect::<Result<Vec<Destination>, _>>()?;
    let destinations = Destinations::new(destinations)
        .map_err(|error| Problem::new("mandate_invalid").field("destinations").detail(error))?;
    let (_, der) = public_half(&app, &account, &api_key).await?;
    let random: [u8; 16] = data::random().map_err(|_| Problem::new("internal"))?;
    let nonce: [u8; 32] = data::random().map_err(|_| Problem::new("internal"))?;
    let (asked, wanted) = (account.clone(), asset.clone());
    let (amount_max, day_max) = (value.amount_max.clone(), value.day_max.clone());
    let found = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let known = core.account(&asked).ok_or(Problem::refused(Refusal::AccountUnknown, ""))?;
            let unknown = || Problem::refused(Refusal::AssetUnknown, "").field("asset");
            let index = core.asset_index(&wanted).ok_or_else(unknown)?;
            let spec = &core.configuration().assets.get(usize::from(index.0)).ok_or_else(unknown)?.spec;
            let on = spec.on(network).ok_or(Problem::refused(Refusal::NetworkNotConfigured, ""))?;
            let amount = |field: &str, text: &str| {
                on.parse_amount(spec.decimals, text).map_err(|error| body::amount_problem(error).field(field))
            };
            let amounts = (amount("amount_max", &amount_max)?, amount("day_max", &day_max)?);
            let party = party_of(core, CredentialUse::Approve)?;
            let live = changes::live(Some(known), CredentialUse::Approve);
            let mandate = MandateId(desk.mint(random));
            Ok::<_, Problem>((
                core.exchange().to_owned(),
                desk.time(),
                mandate,
                spec.decimals,
                amounts,
                party,
                live,
            ))
        })
        .await?;
    let (exchange, now, mandate, decimals, (amount_max, day_max), party, live) = found.value?;
    let from = Seconds::floor(now);
    let until = Seconds::floor(now.plus(u64::from(value.days).saturating_mul(holdfast_values::time::DAY)));
    let window = Window::new(from, until)
        .map_err(|error| Problem::new("mandate_invalid").field("days").detail(error))?;
    let text = MandateText {
        exchange: exchange.parse().map_err(|_| Problem::new("internal"))?,
        account: account.clone(),
        mandate,
        api_key,
        key: sha256(&der),
        asset,
        destinations,
        decimals,
        amount_max,
        day_max,
        window,
        nonce: Nonce(nonce),
    }
    .to_string();
    // The grammar has the last word about amounts, days and destinations.
    MandateText::parse(text.as_bytes()).map_err(|error| Problem::new("mandate_invalid").detail(error))?;
    let shared = Arc::clone(&app);
    let allow = tokio::task::spawn_blocking(move || assertion::allowed(&shared, &account, &live))
        .await
        .map_err(|_| Problem::new("internal"))??;
    Ok(axum::Json(OfferReply {
        mandate: mandate.to_string(),
        text,
        rp_id: party.rp_id,
        app_id: party.app_id,
        allow,
    }))
}

/// A mandate's text and its owner's approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantBody {
    /// The approval of the text.
    approval: ApprovalBody,
}

/// A mandate in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MandateReply {
    /// Its id.
    mandate: String,
    /// Keyed fingerprint of the API key.
    key: String,
    /// The asset.
    asset: String,
    /// The most in one withdrawal, in base units.
    amount_max_base_units: String,
    /// The most in any 24 hours, in base units.
    day_max_base_units: String,
    /// What was asked for under it in the last 24 hours, in base units.
    used_24h_base_units: String,
    /// From when.
    not_before: String,
    /// Until when.
    not_after: String,
    /// Its owner ended it.
    revoked: bool,
}

/// That a mandate was granted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct GrantReply {
    /// Its id.
    mandate: String,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/mandates", tag = "protection", summary = "Grant a mandate, approved over its text",
    params(("id" = String, Path)), request_body = GrantBody,
    responses((status = 201, body = GrantReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn grant(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<GrantBody>,
) -> Result<At<GrantReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let text = MandateText::parse(value.approval.text.as_bytes())
        .map_err(|error| Problem::new("mandate_text_malformed").field("approval.text").detail(error))?;
    let (revision, der) = public_half(&app, &account, &text.api_key).await?;
    if sha256(&der) != text.key {
        return Err(Problem::new("mandate_key_differs").field("approval.text"));
    }
    let new = NewMandate {
        mandate: text.mandate,
        key: app.fingerprints.api_key(&text.api_key),
        revision,
        asset: text.asset.clone(),
        destinations: text.destinations.iter().map(|to| app.fingerprints.destination(to)).collect(),
        amount_max: text.amount_max,
        day_max: text.day_max,
        not_before: text.window.not_before().timestamp(),
        not_after: text.window.not_after().timestamp(),
    };
    let proof = Proof { approval: Some(value.approval), ..Proof::default() };
    let decided =
        changes::change(&app, account, Change::GrantMandate(Box::new(new)), Lines::none(), proof).await?;
    let sequence = decided.sequence;
    Ok(At::created(sequence, GrantReply { mandate: text.mandate.to_string(), sequence }))
}

#[utoipa::path(
    get, path = "/v1/accounts/{id}/mandates", tag = "protection", summary = "An account's mandates",
    params(("id" = String, Path)),
    responses((status = 200, body = [MandateReply]), (status = "4XX", description = "Refused")),
)]
pub(super) async fn list(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<At<Vec<MandateReply>>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let answer = app
        .intake
        .ask(move |desk| {
            let known =
                desk.state().account(&account).ok_or(Problem::refused(Refusal::AccountUnknown, ""))?;
            let mandates = known.protection.as_deref().map(|p| p.mandates.as_slice()).unwrap_or_default();
            let day_ago = Timestamp(desk.time().0.saturating_sub(holdfast_values::time::DAY));
            let replies = mandates.iter().map(|mandate| {
                let used = mandate.used.iter().filter(|(at, _)| *at > day_ago);
                let used = used.fold(Amount::ZERO, |sum, (_, amount)| sum.saturating_add(*amount));
                let terms = &mandate.terms;
                MandateReply {
                    mandate: terms.mandate.to_string(),
                    key: terms.key.to_string(),
                    asset: terms.asset.to_string(),
                    amount_max_base_units: terms.amount_max.base_units().to_string(),
                    day_max_base_units: terms.day_max.base_units().to_string(),
                    used_24h_base_units: used.base_units().to_string(),
                    not_before: terms.not_before.to_string(),
                    not_after: terms.not_after.to_string(),
                    revoked: mandate.is_revoked,
                }
            });
            Ok::<_, Problem>((desk.state().sequence(), replies.collect()))
        })
        .await?;
    let (sequence, mandates) = answer.value?;
    Ok(At::ok(sequence, mandates))
}
