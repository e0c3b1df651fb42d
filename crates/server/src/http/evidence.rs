//! The customer's signed API request: read and verified here, judged by the core.
//!
//! What is malformed or does not verify is refused and never journaled. What depends on State (revision, revocation,
//! scope, origin, time window, replay) goes into the command for `decide`.

use holdfast_authn::release::SignedHttpRequest;
use holdfast_authn::{Dialect, KeyMaterial, RawRequest, RequestError, Verified};
use holdfast_decision::command::{ApiEvidence, SessionFacts};
use holdfast_gate::IpNet;
use holdfast_values::{AccountId, AssetSymbol, Destination, Fingerprint, Micros, Name, Network, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::problem::Problem;
use crate::vault::{PURPOSE_BYTES_MAX, Vault, VaultError};

use super::{Shared, body};

/// What the raw request is sealed for.
const PURPOSE: &str = "api-request";

/// The customer's own signed API request, byte for byte as it arrived at the exchange.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiRequestBody {
    /// How it is signed: `binance`, `kraken`, `okx`, `bybit`, `kucoin`, `coinbase` or `rfc9421`.
    #[schema(example = "binance")]
    dialect: String,
    /// `POST`.
    #[schema(example = "POST")]
    method: String,
    /// The path, without query.
    #[schema(example = "/sapi/v1/capital/withdraw/apply")]
    path: String,
    /// What follows the `?`, undecoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// The same in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query_base64: Option<String>,
    /// The body, undecoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The same in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Names and values; those that matter to the dialect suffice.
    headers: Vec<(String, String)>,
    /// Where it came from, as the exchange's edge saw it.
    #[schema(example = "203.0.113.7")]
    client_ip: String,
}

/// What came with a withdrawal, proven as far as bytes go.
pub(super) enum Proven {
    /// A session.
    Session { one_time_code: bool },
    /// A session of which the backend reports more.
    Device { one_time_code: bool, facts: SessionFacts },
    /// A signed request that verified.
    ApiRequest(Box<ProvenRequest>),
}

/// A verified request and what it asks for.
pub(super) struct ProvenRequest {
    key: Fingerprint,
    revision: u32,
    signed_at: Timestamp,
    window: Micros,
    request: Fingerprint,
    ip: Fingerprint,
    verifier: u16,
    sealed: Vec<u8>,
    asset: AssetSymbol,
    network: Option<Network>,
    /// Absent if only the name of a saved destination was signed.
    address: Option<Box<str>>,
    tag: Option<Box<str>>,
    /// The amount as it was signed.
    pub(super) amount: String,
}

const DIFFERS_ASSET: u8 = 1;
const DIFFERS_NETWORK: u8 = 2;
const DIFFERS_ADDRESS: u8 = 4;
const DIFFERS_AMOUNT: u8 = 8;
const DIFFERS_MEMO: u8 = 16;

impl ProvenRequest {
    /// The evidence for the core: where the signed request says something else than the withdrawal.
    pub(super) fn judge(
        self,
        asset: &AssetSymbol,
        destination: &Destination,
        same_amount: bool,
    ) -> ApiEvidence {
        let mut differs = 0;
        if self.asset != *asset {
            differs |= DIFFERS_ASSET;
        }
        if self.network.is_some_and(|network| network != destination.network()) {
            differs |= DIFFERS_NETWORK;
        }
        // With the tag first: some addresses carry one inside.
        let network = destination.network();
        let said = self.address.as_deref().and_then(|address| {
            let said = Destination::parse(network, address, self.tag.as_deref());
            said.or_else(|_| Destination::parse(network, address, None)).ok()
        });
        match said {
            Some(said) if said == *destination => {}
            Some(said) if said.address() == destination.address() => differs |= DIFFERS_MEMO,
            _ => differs |= DIFFERS_ADDRESS,
        }
        // A tag that this address cannot take was signed nevertheless.
        if self.tag.is_some() && destination.memo().is_none() {
            differs |= DIFFERS_MEMO;
        }
        if !same_amount {
            differs |= DIFFERS_AMOUNT;
        }
        ApiEvidence {
            key: self.key,
            revision: self.revision,
            signed_at: self.signed_at,
            window: self.window,
            request: self.request,
            ip: self.ip,
            differs,
            verifier: self.verifier,
            sealed: self.sealed,
        }
    }
}

fn bytes_of(field: &str, text: Option<&str>, base64: Option<&str>) -> Result<Vec<u8>, Problem> {
    match (text, base64) {
        (Some(_), Some(_)) => {
            Err(Problem::new("body_invalid").field(field).detail("give it as text or in base64, not both"))
        }
        (Some(text), None) => Ok(text.as_bytes().to_vec()),
        (None, Some(base64)) => body::base64(field, base64),
        (None, None) => Ok(Vec::new()),
    }
}

fn refused(app: &Shared, error: RequestError) -> Problem {
    app.metrics.evidence_refused.increment();
    Problem::new(error.code()).field("channel.api_request").detail(error)
}

/// Reads, verifies and seals a signed request. Blocks: the vault is a file.
///
/// `known` are the account's keys with the revisions that State has of them.
pub(super) fn prove(
    app: &Shared,
    account: &AccountId,
    request: &ApiRequestBody,
    known: &[(Fingerprint, u32)],
) -> Result<Proven, Problem> {
    let dialect = Dialect::from_name(&request.dialect)
        .ok_or(Problem::new("dialect_unknown").field("channel.api_request.dialect"))?;
    let ip = body::ip("channel.api_request.client_ip", &request.client_ip)?;
    let query =
        bytes_of("channel.api_request.query", request.query.as_deref(), request.query_base64.as_deref())?;
    let body = bytes_of("channel.api_request.body", request.body.as_deref(), request.body_base64.as_deref())?;
    let headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let raw = RawRequest {
        method: &request.method,
        path: &request.path,
        raw_query: &query,
        raw_body: &body,
        headers: &headers,
    };
    let signed = holdfast_authn::parse(dialect, &raw).map_err(|error| refused(app, error))?;
    let (stored, verified) = verify(app, account, dialect, &signed, known)?;
    // State knows the fingerprints of the entries of the list: which of them an address lies in is seen here.
    let origin =
        stored.entry_of(ip).map_or_else(|| app.fingerprints.ip(ip), |on| app.fingerprints.network(&on));
    let revision = stored.revision;
    let sealed = serde_json::to_vec(request).map_err(|_| Problem::new("internal"))?;
    let sealed = app.vault.seal(account, PURPOSE, &sealed).map_err(|error| vault_problem(&error))?;
    Ok(Proven::ApiRequest(Box::new(ProvenRequest {
        key: app.fingerprints.api_key(&verified.api_key),
        revision,
        signed_at: verified.signed_at,
        window: verified.window,
        request: app.fingerprints.request(&verified.request_digest),
        ip: origin,
        verifier: verified.verifier_version,
        sealed,
        asset: verified.asset,
        network: verified.network,
        address: verified.address,
        tag: verified.tag,
        amount: verified.amount_text.into_string(),
    })))
}

/// Opens the request that a withdrawal was asked for with, and the public half of the key that signed it. Blocks.
pub(super) fn unseal(
    app: &Shared,
    account: &AccountId,
    evidence: &ApiEvidence,
) -> Result<(SignedHttpRequest, Vec<u8>), Problem> {
    let lost = || Problem::new("api_key_not_stored");
    let bytes =
        app.vault.unseal(account, PURPOSE, &evidence.sealed).map_err(|error| vault_problem(&error))?;
    let request: ApiRequestBody = serde_json::from_slice(&bytes).map_err(|_| Problem::new("internal"))?;
    let query = bytes_of("query", request.query.as_deref(), request.query_base64.as_deref())?;
    let body = bytes_of("body", request.body.as_deref(), request.body_base64.as_deref())?;
    let headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let raw = RawRequest {
        method: &request.method,
        path: &request.path,
        raw_query: &query,
        raw_body: &body,
        headers: &headers,
    };
    let dialect = Dialect::from_name(&request.dialect).ok_or_else(lost)?;
    let signed = holdfast_authn::parse(dialect, &raw).map_err(|_| lost())?;
    let stored = StoredKeys::read(&app.vault, account, signed.api_key())?;
    let key = stored.0.iter().find(|stored| stored.revision == evidence.revision).and_then(StoredKey::spki);
    let ApiRequestBody { dialect, method, path, headers, .. } = request;
    Ok((SignedHttpRequest { dialect, method, path, query, body, headers }, key.ok_or_else(lost)?))
}

/// Tries the key's revisions, newest first, from the one that State has: which of them counts is the core's to judge. What the
/// vault holds beyond it was never accepted, and says nothing.
fn verify(
    app: &Shared,
    account: &AccountId,
    dialect: Dialect,
    signed: &holdfast_authn::SignedRequest,
    known: &[(Fingerprint, u32)],
) -> Result<(StoredKey, Verified), Problem> {
    let key = app.fingerprints.api_key(signed.api_key());
    let accepted = known.iter().find(|(of, _)| *of == key).map_or(0, |(_, revision)| *revision);
    let stored = StoredKeys::read(&app.vault, account, signed.api_key())?;
    let mut first: Option<RequestError> = None;
    for stored in stored.0.into_iter().rev() {
        if stored.dialect() != Some(dialect) || stored.revision > accepted {
            continue;
        }
        let Some(material) = stored.material() else { continue };
        match holdfast_authn::verify(signed, &material) {
            Ok(verified) => return Ok((stored, verified)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first
        .map_or(Problem::new("api_key_not_stored").field("channel.api_request"), |error| refused(app, error)))
}

/// What the vault holds of one API key: its last two revisions. The newest may be ahead of State for a moment.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct StoredKeys(pub(super) Vec<StoredKey>);

/// One revision of a key.
#[derive(Deserialize, Serialize)]
pub(super) struct StoredKey {
    pub(super) revision: u32,
    pub(super) algorithm: Algorithm,
    /// The secret as the customer has it, or the public key in PEM.
    pub(super) material: Zeroizing<String>,
    /// What its dialect wants beside the secret.
    #[serde(default)]
    pub(super) passphrase: Option<Zeroizing<String>>,
    /// The one dialect that it signs in; without one, Binance's.
    #[serde(default)]
    pub(super) dialect: Option<String>,
    /// The addresses and networks that it may be used from, as its owner wrote them. State has their fingerprints.
    #[serde(default)]
    pub(super) allow: Vec<String>,
}

/// What a key's requests are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Algorithm {
    /// HMAC with SHA-256 under a shared secret.
    HmacSha256,
    /// HMAC with SHA-512 under a shared secret (kraken).
    HmacSha512,
    /// Ed25519.
    Ed25519,
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 to 4096 bits.
    Rsa,
}

impl StoredKey {
    /// The dialect that its requests are signed in.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        self.dialect.as_deref().map_or(Some(Dialect::Binance), Dialect::from_name)
    }

    /// The same key, for another revision.
    pub(super) fn again(&self) -> Self {
        Self {
            revision: self.revision,
            algorithm: self.algorithm,
            material: self.material.clone(),
            passphrase: self.passphrase.clone(),
            dialect: self.dialect.clone(),
            allow: Vec::new(),
        }
    }

    /// Whether whoever could sign with the one can sign with the other.
    pub(super) fn is_same_material(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && self.dialect == other.dialect
            && *self.material == *other.material
            && self.passphrase.as_deref() == other.passphrase.as_deref()
    }

    /// The entry of its allowlist that an address lies in: the narrowest.
    pub(super) fn entry_of(&self, ip: IpAddr) -> Option<IpNet> {
        let entries = self.allow.iter().filter_map(|text| text.parse::<IpNet>().ok());
        entries.filter(|entry| entry.contains(ip)).max_by_key(IpNet::prefix)
    }

    /// Its public half in DER (SubjectPublicKeyInfo), if it has one.
    pub(super) fn spki(&self) -> Option<Vec<u8>> {
        match self.algorithm {
            Algorithm::HmacSha256 | Algorithm::HmacSha512 => None,
            Algorithm::Ed25519 | Algorithm::Rsa => {
                let body: String = self.material.lines().filter(|line| !line.starts_with("-----")).collect();
                holdfast_authn::encoding::base64(body.trim().as_bytes())
            }
        }
    }

    pub(super) fn material(&self) -> Option<KeyMaterial> {
        match self.algorithm {
            Algorithm::HmacSha256 | Algorithm::HmacSha512 => {
                let passphrase = self.passphrase.as_ref().map(|text| text.as_str());
                KeyMaterial::shared(self.dialect()?, &self.material, passphrase).ok()
            }
            Algorithm::Ed25519 | Algorithm::Rsa => KeyMaterial::from_public_key_pem(&self.material).ok(),
        }
    }
}

impl StoredKeys {
    fn name(key: &Name) -> String {
        let mut name = format!("api-key/{key}");
        name.truncate(PURPOSE_BYTES_MAX);
        name
    }

    /// What the vault holds of a key; nothing if it never heard of it. Blocks.
    pub(super) fn read(vault: &Vault, account: &AccountId, key: &Name) -> Result<Self, Problem> {
        match vault.get_secret(account, &Self::name(key)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| Problem::new("internal")),
            Err(VaultError::SecretMissing | VaultError::UnknownAccount | VaultError::Destroyed) => {
                Ok(Self::default())
            }
            Err(error) => Err(vault_problem(&error)),
        }
    }

    /// Keeps them, durably. Blocks.
    pub(super) fn write(&self, vault: &Vault, account: &AccountId, key: &Name) -> Result<(), Problem> {
        let bytes = Zeroizing::new(serde_json::to_vec(self).map_err(|_| Problem::new("internal"))?);
        vault.put_secret(account, &Self::name(key), &bytes).map_err(|error| vault_problem(&error))
    }
}

/// A failure of the vault, told without a word about what lies in it.
pub(super) fn vault_problem(error: &VaultError) -> Problem {
    tracing::error!(code = error.code(), %error, "the vault");
    Problem::new("vault_unavailable").detail(error.code())
}
