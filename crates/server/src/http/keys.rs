//! API keys: their material goes into the vault before the command; State knows only their fingerprint, revision and fence.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use holdfast_authn::{Dialect, KeyKind, KeyMaterial};
use holdfast_decision::Need;
use holdfast_decision::command::{Command, Scopes};
use holdfast_decision::event::Event;
use holdfast_decision::protection::{ApiKeySpec, Change, KeyCohort, KeyFence};
use holdfast_decision::reason::Refusal;
use holdfast_gate::IpNet;
use holdfast_values::{AccountId, Amount, Name, Timestamp, UsdCents};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::data;
use crate::problem::Problem;
use crate::record::hex;

use super::Shared;
use super::assertion::ApprovalBody;
use super::authority::Caller;
use super::body::{self, Json};
use super::changes::{self, Lines, Proof};
use super::evidence::{Algorithm, StoredKey, StoredKeys};
use super::reply::{At, Recorded};

/// An API key, or a new revision of one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyBody {
    /// What it may do: `read`, `trade`, `withdraw`, `transfer`.
    scopes: Vec<ScopeBody>,
    /// From where it may be used: addresses and networks (`203.0.113.0/24`); required for a key that may withdraw.
    #[serde(default)]
    ip_allowlist: Vec<String>,
    /// What its requests are signed with.
    algorithm: Algorithm,
    /// The dialect of its requests; `binance` if it is not said.
    #[serde(default)]
    dialect: Option<String>,
    /// The shared secret, for `hmac_sha256` and `hmac_sha512`. A new key without one gets one that is made here and shown
    /// once; a key that is there keeps its own.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    secret: Option<Zeroizing<String>>,
    /// What okx, kucoin and coinbase want beside the secret.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    passphrase: Option<Zeroizing<String>>,
    /// The public key in PEM, for `ed25519` and `rsa`. A key that is there keeps its own without one.
    #[serde(default)]
    public_key: Option<String>,
    /// Only to these destinations, if any are named; at most 64.
    #[serde(default)]
    destinations: Option<Vec<KeyDestination>>,
    /// At most so many US dollars in any 24 hours.
    #[serde(default)]
    usd_24h_max: Option<String>,
    /// Not from then on (RFC 3339).
    #[serde(default)]
    expires_at: Option<String>,
    /// Where the request to make it came from, for finding keys that were made together.
    #[serde(default)]
    client_ip: Option<String>,
    /// The owner's approval of the text that the first answer gave, where one is needed.
    #[serde(default)]
    approval: Option<ApprovalBody>,
}

/// A destination that a key may pay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyDestination {
    /// The network.
    #[schema(example = "bitcoin")]
    network: String,
    /// The address.
    address: String,
    /// Its memo or tag.
    #[serde(default)]
    memo: Option<String>,
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
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct ApiKeyReply {
    /// Counts from 1; its age counts from the last one.
    revision: u32,
    /// The journal's record.
    sequence: u64,
    /// The secret, if it was made here: it is never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    secret: Option<Zeroizing<String>>,
}

/// The most entries of an allowlist that are read at all; the core allows fewer.
const ALLOW_READ_MAX: usize = 256;
/// The most destinations that are read at all.
const DESTINATIONS_READ_MAX: usize = 256;

/// A key's material as it is kept, and the secret to show if it was made here.
struct Material {
    kept: Zeroizing<String>,
    shown: Option<Zeroizing<String>>,
}

fn dialect(body: &ApiKeyBody) -> Result<Dialect, Problem> {
    match body.dialect.as_deref() {
        None => Ok(Dialect::Binance),
        Some(name) => Dialect::from_name(name).ok_or(Problem::new("dialect_unknown").field("dialect")),
    }
}

fn material(body: &mut ApiKeyBody) -> Result<Material, Problem> {
    let mismatch = |detail: &str| Problem::new("key_algorithm_mismatch").field("algorithm").detail(detail);
    let dialect = dialect(body)?;
    match (body.algorithm, body.secret.take(), body.public_key.take()) {
        (Algorithm::HmacSha256 | Algorithm::HmacSha512, given, None) => {
            let wanted =
                if dialect == Dialect::Kraken { Algorithm::HmacSha512 } else { Algorithm::HmacSha256 };
            if body.algorithm != wanted {
                return Err(mismatch("kraken takes hmac_sha512, every other dialect hmac_sha256"));
            }
            let (secret, shown) = match given {
                Some(secret) => (secret, None),
                None => {
                    let random: [u8; 48] = data::random().map_err(|_| Problem::new("internal"))?;
                    let secret = Zeroizing::new(holdfast_authn::encoding::to_base64(&random));
                    (secret.clone(), Some(secret))
                }
            };
            let passphrase = body.passphrase.as_ref().map(|text| text.as_str());
            KeyMaterial::shared(dialect, &secret, passphrase)
                .map_err(|error| Problem::new(error.code()).field("secret").detail(error))?;
            Ok(Material { kept: secret, shown })
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
            if body.passphrase.is_some() {
                return Err(mismatch("ed25519 and rsa take no passphrase"));
            }
            Ok(Material { kept: Zeroizing::new(pem), shown: None })
        }
        (Algorithm::HmacSha256 | Algorithm::HmacSha512, ..) => {
            Err(mismatch("a shared secret goes with no `public_key`"))
        }
        _ => Err(mismatch("ed25519 and rsa take `public_key` and no `secret`")),
    }
}

fn networks(texts: &[String]) -> Result<Vec<IpNet>, Problem> {
    if texts.len() > ALLOW_READ_MAX {
        return Err(Problem::new("too_many_items").field("ip_allowlist"));
    }
    let mut networks = texts
        .iter()
        .map(|text| {
            text.parse::<IpNet>()
                .map_err(|error| Problem::new("ip_invalid").field("ip_allowlist").detail(error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    networks.sort_unstable();
    networks.dedup();
    Ok(networks)
}

fn fence(app: &Shared, body: &ApiKeyBody) -> Result<KeyFence, Problem> {
    let destinations = match &body.destinations {
        None => None,
        Some(named) if named.len() > DESTINATIONS_READ_MAX => {
            return Err(Problem::new("too_many_items").field("destinations"));
        }
        Some(named) => {
            let mut found = Vec::with_capacity(named.len());
            for to in named {
                let network = body::network("destinations.network", &to.network)?;
                let to = body::destination(network, &to.address, to.memo.as_deref())?;
                found.push(app.fingerprints.destination(&to));
            }
            found.sort_unstable();
            found.dedup();
            Some(found)
        }
    };
    let usd_cents_24h = match &body.usd_24h_max {
        None => None,
        Some(text) => {
            let cents = Amount::parse(text, 2).map_err(|e| body::amount_problem(e).field("usd_24h_max"))?;
            let cents = u64::try_from(cents.base_units())
                .map_err(|_| Problem::new("amount_too_large").field("usd_24h_max"))?;
            Some(UsdCents(cents))
        }
    };
    let expires_at = match &body.expires_at {
        None => None,
        Some(text) => Some(
            Timestamp::parse(text)
                .map_err(|error| Problem::new("body_invalid").field("expires_at").detail(error))?,
        ),
    };
    let from: Option<IpAddr> = body.client_ip.as_deref().map(|ip| body::ip("client_ip", ip)).transpose()?;
    Ok(KeyFence {
        destinations,
        usd_cents_24h,
        expires_at,
        asymmetric: matches!(body.algorithm, Algorithm::Ed25519 | Algorithm::Rsa),
        asn: from.and_then(|ip| app.geo.look_up(ip).asn),
    })
}

/// What the owner reads and approves: scopes, addresses and the rest in words, and the digest of the public half.
fn lines(key: &Name, scopes: Scopes, networks: &[IpNet], body: &ApiKeyBody, material: &str) -> Lines {
    let names = [
        (Scopes::READ, "read"),
        (Scopes::TRADE, "trade"),
        (Scopes::WITHDRAW, "withdraw"),
        (Scopes::TRANSFER, "transfer"),
    ];
    let scopes: Vec<&str> =
        names.into_iter().filter(|(scope, _)| scopes.contains(*scope)).map(|(_, name)| name).collect();
    let list = |items: Vec<String>| if items.is_empty() { "any".to_owned() } else { items.join(",") };
    let from = list(networks.iter().map(ToString::to_string).collect());
    let to = body.destinations.as_ref().map_or_else(
        || "any".to_owned(),
        |named| {
            let to = named.iter().map(|to| match &to.memo {
                Some(memo) => format!("{}:{}:{memo}", to.network, to.address),
                None => format!("{}:{}", to.network, to.address),
            });
            let text = to.collect::<Vec<_>>().join(",");
            // Long lists are named by their digest; the page says so.
            if text.len() > 160 || text.contains(' ') {
                format!("sha256:{}", hex(&Sha256::digest(text)))
            } else {
                text
            }
        },
    );
    let from = if from.len() > 120 { format!("sha256:{}", hex(&Sha256::digest(from))) } else { from };
    let limit = body.usd_24h_max.as_deref().unwrap_or("none");
    let until = body.expires_at.as_deref().unwrap_or("never");
    // A secret's digest would be an oracle for guessing it: only public halves are named.
    let half = match body.algorithm {
        Algorithm::Ed25519 | Algorithm::Rsa => {
            let digest = hex(&Sha256::digest(material.trim()));
            format!(" key={}", digest.get(..32).unwrap_or_default())
        }
        Algorithm::HmacSha256 | Algorithm::HmacSha512 => String::new(),
    };
    Lines {
        target: format!("api-key:{key}"),
        detail: format!(
            "scopes={} from={from} to={to} usd-24h={limit} until={until}{half}",
            list_or(&scopes)
        ),
    }
}

fn list_or(scopes: &[&str]) -> String {
    if scopes.is_empty() { "none".to_owned() } else { scopes.join(",") }
}

#[utoipa::path(
    put, path = "/v1/accounts/{id}/api-keys/{key}", tag = "accounts",
    summary = "Record an API key, or a new revision; a new or wider one needs the owner's key where there is one",
    params(("id" = String, Path), ("key" = String, Path, description = "The key's id")), request_body = ApiKeyBody,
    responses((status = 200, body = ApiKeyReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn put(
    State(app): State<Shared>,
    Path((id, key)): Path<(String, String)>,
    Json { value: body, .. }: Json<ApiKeyBody>,
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
    let networks = networks(&body.ip_allowlist)?;
    let mut ip_allowlist: Vec<_> = networks.iter().map(|on| app.fingerprints.network(on)).collect();
    ip_allowlist.sort_unstable();
    ip_allowlist.dedup();
    let fence = fence(&app, &body)?;
    // In a task of its own: a client that goes away must not end a change in the middle, while its write is on the way.
    let put = put_in_turn(app, Put { account, key, scopes, networks, ip_allowlist, fence, body });
    tokio::spawn(put).await.map_err(|_| Problem::new("internal"))?
}

/// A key to be put, read and checked.
struct Put {
    account: AccountId,
    key: Name,
    scopes: Scopes,
    networks: Vec<IpNet>,
    ip_allowlist: Vec<holdfast_values::Fingerprint>,
    fence: KeyFence,
    body: ApiKeyBody,
}

/// Keeps a key's material, then asks the core for the key.
async fn put_in_turn(app: Shared, put: Put) -> Result<At<ApiKeyReply>, Problem> {
    let Put { account, key, scopes, networks, ip_allowlist, fence, mut body } = put;
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
        .ok_or(Problem::refused(Refusal::AccountUnknown, ""))?;
    let next = current.saturating_add(1);
    let (store, owner, name) = (Arc::clone(&app), account.clone(), key.clone());
    let read = move || StoredKeys::read(&store.vault, &owner, &name);
    let mut stored = tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new("internal"))??;
    let before = stored.0.iter().find(|stored| stored.revision == current);
    let (kept, shown) = match before.filter(|before| keeps(&body, before)) {
        Some(before) => (before.again(), None),
        None => {
            let material = material(&mut body)?;
            let fresh = StoredKey {
                revision: next,
                algorithm: body.algorithm,
                material: material.kept,
                passphrase: body.passphrase.take(),
                dialect: body.dialect.take(),
                allow: Vec::new(),
            };
            (fresh, material.shown)
        }
    };
    let new_material = !before.is_some_and(|before| before.is_same_material(&kept));
    let lines = lines(&key, scopes, &networks, &body, &kept.material);
    let new = StoredKey { revision: next, allow: networks.iter().map(ToString::to_string).collect(), ..kept };
    let spec = ApiKeySpec { key: fingerprint, scopes, ip_allowlist, fence, new_material };
    let wanted = Change::PutApiKey(Box::new(spec));
    let approval = body.approval.take();
    if approval.is_none() {
        let (asked, change) = (account.clone(), wanted.clone());
        let need = app.intake.ask(move |desk| desk.state().change_needs(desk.time(), &asked, &change));
        let need = need.await?.value.map_err(|refusal| Problem::refused(refusal, ""))?;
        // What waits for its owner's word is not kept beside what counts.
        if need == Need::Approval {
            let needed = Problem::refused(Refusal::ApprovalNeeded, "");
            return Err(changes::with_text(&app, needed, account, wanted.name(), lines, false).await?);
        }
    }
    stored.0.retain(|stored| stored.revision == current);
    stored.0.push(new);
    let stored = keep_keys(&app, &account, &key, stored).await?;
    let proof = Proof { approval, ..Proof::default() };
    let decided = match changes::change(&app, account.clone(), wanted, lines, proof).await {
        Ok(decided) => decided,
        Err(refused) => {
            // What was not accepted goes again. Should that fail: only what State knows of verifies anything.
            let mut before = stored;
            before.0.retain(|stored| stored.revision == current);
            keep_keys(&app, &account, &key, before).await?;
            return Err(refused);
        }
    };
    let asked = account;
    let revision = app
        .intake
        .ask(move |desk| Some(desk.state().account(&asked)?.api_key(&fingerprint)?.revision))
        .await?
        .value
        .unwrap_or(next);
    let sequence = decided.sequence;
    Ok(At::ok(sequence, ApiKeyReply { revision, sequence, secret: shown }))
}

async fn keep_keys(
    app: &Shared,
    account: &AccountId,
    key: &Name,
    keys: StoredKeys,
) -> Result<StoredKeys, Problem> {
    let (app, account, key) = (Arc::clone(app), account.clone(), key.clone());
    let keep = move || keys.write(&app.vault, &account, &key).map(|()| keys);
    tokio::task::spawn_blocking(keep).await.map_err(|_| Problem::new("internal"))?
}

/// Whether a request says nothing of a secret or public half, so that the one of before stays.
fn keeps(body: &ApiKeyBody, before: &StoredKey) -> bool {
    let says_nothing = body.secret.is_none() && body.public_key.is_none() && body.passphrase.is_none();
    says_nothing && before.algorithm == body.algorithm && before.dialect == body.dialect
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

/// Which API keys: every condition that is given must hold; none at all means every key there is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CohortBody {
    /// Made from then on (RFC 3339).
    #[serde(default)]
    made_from: Option<String>,
    /// Made before then.
    #[serde(default)]
    made_until: Option<String>,
    /// Made from this autonomous system.
    #[serde(default)]
    asn: Option<u32>,
    /// In existence, and in use, at some time from then on.
    #[serde(default)]
    exposed_from: Option<String>,
    /// In existence, and in use, at some time before then.
    #[serde(default)]
    exposed_until: Option<String>,
    /// Of this account alone.
    #[serde(default)]
    account: Option<String>,
    /// Must be true if no condition is given: every key of the exchange goes out of use.
    #[serde(default)]
    all: bool,
}

/// How many keys went out of use.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct CohortReply {
    /// How many.
    revoked: u32,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/api-keys/revoke", tag = "controls",
    summary = "Take a cohort of API keys out of use, from the next request on",
    request_body = CohortBody,
    responses((status = 200, body = CohortReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn revoke_cohort(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Json { value, .. }: Json<CohortBody>,
) -> Result<At<CohortReply>, Problem> {
    let time = |field: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Timestamp::parse(text)
            .map(Some)
            .map_err(|error| Problem::new("body_invalid").field(field).detail(error)),
    };
    let cohort = KeyCohort {
        made_from: time("made_from", &value.made_from)?,
        made_until: time("made_until", &value.made_until)?,
        asn: value.asn,
        exposed_from: time("exposed_from", &value.exposed_from)?,
        exposed_until: time("exposed_until", &value.exposed_until)?,
        account: value.account.as_deref().map(|id| body::id("account", id)).transpose()?,
    };
    if value.all != (cohort == KeyCohort::default()) {
        return Err(Problem::new("body_invalid")
            .field("all")
            .detail("name at least one condition; or none, and `all: true` for every key of the exchange"));
    }
    let command = Command::RevokeApiKeys { cohort: Box::new(cohort), by: caller.client };
    let decided = app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value?;
    let revoked = decided.events.iter().find_map(|event| match event {
        Event::ApiKeysRevoked { count, .. } => Some(*count),
        _ => None,
    });
    let sequence = decided.sequence;
    Ok(At::ok(sequence, CohortReply { revoked: revoked.unwrap_or(0), sequence }))
}
