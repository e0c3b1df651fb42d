//! API keys: their material goes into the vault before the command; State knows only their fingerprint and revision.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use holdfast_authn::{KeyKind, KeyMaterial};
use holdfast_decision::command::{Command, Scopes};
use holdfast_decision::event::Event;
use holdfast_values::{AccountId, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::problem::Problem;

use super::Shared;
use super::body::{self, Json};
use super::evidence::{Algorithm, StoredKey, StoredKeys};
use super::reply::{At, Recorded};

/// An API key, or a new revision of one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyBody {
    /// What it may do: `read`, `trade`, `withdraw`, `transfer`.
    scopes: Vec<ScopeBody>,
    /// From where it may be used; required for a key that may withdraw.
    #[serde(default)]
    ip_allowlist: Vec<String>,
    /// What its requests are signed with.
    algorithm: Algorithm,
    /// The shared secret, for `hmac_sha256`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    secret: Option<Zeroizing<String>>,
    /// The public key in PEM, for `ed25519` and `rsa`.
    #[serde(default)]
    public_key: Option<String>,
}

/// One thing that a key may do.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ScopeBody {
    Read,
    Trade,
    Withdraw,
    Transfer,
}

/// A key's revision.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct ApiKeyReply {
    /// Counts from 1; its age counts from the last one.
    revision: u32,
    /// The journal's record.
    sequence: u64,
}

fn material(body: &mut ApiKeyBody) -> Result<Zeroizing<String>, Problem> {
    let mismatch = |detail: &str| Problem::new("key_algorithm_mismatch").field("algorithm").detail(detail);
    match (body.algorithm, body.secret.take(), body.public_key.take()) {
        (Algorithm::HmacSha256, Some(secret), None) => {
            KeyMaterial::hmac_sha256(secret.as_bytes())
                .map_err(|error| Problem::new(error.code()).field("secret").detail(error))?;
            Ok(secret)
        }
        (Algorithm::Ed25519 | Algorithm::Rsa, None, Some(pem)) => {
            let key = KeyMaterial::from_public_key_pem(&pem)
                .map_err(|error| Problem::new(error.code()).field("public_key").detail(error))?;
            let expected = match body.algorithm {
                Algorithm::Rsa => KeyKind::RsaPkcs1Sha256,
                _ => KeyKind::Ed25519,
            };
            if key.kind() != expected {
                return Err(mismatch("the public key is of another algorithm"));
            }
            Ok(Zeroizing::new(pem))
        }
        (Algorithm::HmacSha256, ..) => Err(mismatch("hmac_sha256 takes `secret` and no `public_key`")),
        _ => Err(mismatch("ed25519 and rsa take `public_key` and no `secret`")),
    }
}

#[utoipa::path(
    put, path = "/v1/accounts/{id}/api-keys/{key}", tag = "accounts", summary = "Record an API key, or a new revision",
    params(("id" = String, Path), ("key" = String, Path, description = "The key's id")), request_body = ApiKeyBody,
    responses((status = 200, body = ApiKeyReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn put(
    State(app): State<Shared>,
    Path((id, key)): Path<(String, String)>,
    Json { value: mut body, .. }: Json<ApiKeyBody>,
) -> Result<At<ApiKeyReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let key: Name = body::path_id(&key)?;
    let scopes = body.scopes.iter().fold(Scopes::default(), |all, scope| {
        let scope = match scope {
            ScopeBody::Read => Scopes::READ,
            ScopeBody::Trade => Scopes::TRADE,
            ScopeBody::Withdraw => Scopes::WITHDRAW,
            ScopeBody::Transfer => Scopes::TRANSFER,
        };
        Scopes(all.0 | scope.0)
    });
    if body.ip_allowlist.len() > 256 {
        return Err(Problem::new("too_many_items").field("ip_allowlist"));
    }
    let ips: Vec<IpAddr> =
        body.ip_allowlist.iter().map(|text| body::ip("ip_allowlist", text)).collect::<Result<_, _>>()?;
    let mut ip_allowlist: Vec<_> = ips.into_iter().map(|ip| app.fingerprints.ip(ip)).collect();
    ip_allowlist.sort_unstable();
    ip_allowlist.dedup();
    let material = material(&mut body)?;
    let fingerprint = app.fingerprints.api_key(&key);

    // One change at a time, so that the revision that the vault is told is the one that State gives.
    let _change = app.key_changes.lock().await;
    let asked = account.clone();
    let current = app
        .intake
        .ask(move |desk| {
            let known = desk.state().account(&asked)?;
            Some(known.api_key(&fingerprint).map_or(0, |known| known.revision))
        })
        .await?
        .value
        .ok_or(Problem::refused(holdfast_decision::reason::Refusal::AccountUnknown, ""))?;
    let next = current.saturating_add(1);
    let algorithm = body.algorithm;
    let (store, owner, name) = (Arc::clone(&app), account.clone(), key.clone());
    let keep = move || {
        let mut stored = StoredKeys::read(&store.vault, &owner, &name)?;
        stored.0.retain(|stored| stored.revision == current);
        stored.0.push(StoredKey { revision: next, algorithm, material });
        stored.write(&store.vault, &owner, &name)
    };
    tokio::task::spawn_blocking(keep).await.map_err(|_| Problem::new("internal"))??;
    let command = Command::PutApiKey { account, key: fingerprint, scopes, ip_allowlist };
    let decided = app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value?;
    let revision = decided.events.iter().find_map(|event| match event {
        Event::ApiKeyPut { revision, .. } => Some(*revision),
        _ => None,
    });
    let revision = revision.unwrap_or(current);
    Ok(At::ok(decided.sequence, ApiKeyReply { revision, sequence: decided.sequence }))
}

#[utoipa::path(
    delete, path = "/v1/accounts/{id}/api-keys/{key}", tag = "accounts", summary = "Take an API key out of use",
    params(("id" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn revoke(
    State(app): State<Shared>,
    Path((id, key)): Path<(String, String)>,
) -> Result<At<Recorded>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let key: Name = body::path_id(&key)?;
    let key = app.fingerprints.api_key(&key);
    super::accounts::record(&app, Command::RevokeApiKey { account, key }).await
}
