//! Customers' security keys and passkeys: options for the browser, registration, the list, removal, and signing in.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::{Registered, Registration, verify_registration};
use holdfast_decision::State as Core;
use holdfast_decision::acts::Digest;
use holdfast_decision::command::{Command, RecordSession, SessionFacts};
use holdfast_decision::configuration::{CREDENTIAL_AGEING, Party};
use holdfast_decision::protection::{ApprovalFlags, Basis, Change, Credential, CredentialUse, NewCredential};
use holdfast_decision::reason::Refusal;
use holdfast_values::{AccountId, Fingerprint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::challenges::{CHALLENGE_LIFETIME, Purpose};
use crate::data;
use crate::exchange::relying_party;
use crate::problem::Problem;
use crate::record::hex;
use crate::record::protection::{basis_name, use_name};

use super::Shared;
use super::assertion::{
    self, AllowedReply, ApprovalBody, AssertionBody, Shown, StoredCredential, base64url, party_of, sha256,
};
use super::body::{self, Json};
use super::changes::{self, ChangeReply, Lines, Proof};
use super::reply::{At, Recorded};

/// What sealed registrations are bound to.
const PURPOSE: &str = "registration";
const TRANSPORTS_MAX: usize = 8;
const LABEL_CHARS_MAX: usize = 64;

/// What a credential is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UseBody {
    /// Approves withdrawals, changes and mandates, on the page made for it.
    #[default]
    Approve,
    /// A master key: opens the Settings Lock, and nothing else.
    Master,
    /// Signs in, and approves nothing.
    Login,
}

impl From<UseBody> for CredentialUse {
    fn from(body: UseBody) -> Self {
        match body {
            UseBody::Approve => Self::Approve,
            UseBody::Master => Self::Master,
            UseBody::Login => Self::Login,
        }
    }
}

const fn purpose(used_for: UseBody) -> Purpose {
    match used_for {
        UseBody::Approve => Purpose::Approve,
        UseBody::Master => Purpose::Master,
        UseBody::Login => Purpose::Login,
    }
}

/// What a registration is to be for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionsBody {
    /// What the credential will be for.
    #[serde(default)]
    used_for: UseBody,
}

/// What the browser needs to make a credential, or to sign in with one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OptionsReply {
    /// 32 random bytes, base64url: good once, for five minutes.
    challenge: String,
    /// The relying party's id.
    rp_id: String,
    /// The account, as `user.id` takes it, base64url: a keyed fingerprint, so that keys do not tell who has accounts.
    user_handle: String,
    /// COSE algorithms, in order of preference.
    algorithms: Vec<i32>,
    /// Credentials that there are already: `excludeCredentials` of a registration, `allowCredentials` of a sign-in.
    credentials: Vec<AllowedReply>,
    /// The AppID of legacy U2F, for the extensions `appid` and `appidExclude`.
    app_id: Option<String>,
    /// For so many seconds.
    expires_in: u64,
}

/// ES256, EdDSA, RS256.
const ALGORITHMS: [i32; 3] = [-7, -8, -257];

async fn options(
    app: &Shared,
    account: AccountId,
    used_for: CredentialUse,
    purpose: Purpose,
) -> Result<OptionsReply, Problem> {
    let asked = account.clone();
    let found = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let known = core.account(&asked).ok_or_else(unknown_account)?;
            Ok::<_, Problem>((party_of(core, used_for)?, changes::live(Some(known), used_for)))
        })
        .await?;
    let (party, credentials) = found.value?;
    let challenge: [u8; 32] = data::random().map_err(|_| Problem::new("internal"))?;
    if !app.challenges.give(&account, purpose, challenge, Instant::now()) {
        return Err(Problem::new("too_many_challenges"));
    }
    let user_handle = to_base64url(&app.fingerprints.user_handle(&account).0);
    let shared = Arc::clone(app);
    let credentials =
        tokio::task::spawn_blocking(move || assertion::allowed(&shared, &account, &credentials))
            .await
            .map_err(|_| Problem::new("internal"))??;
    Ok(OptionsReply {
        challenge: to_base64url(&challenge),
        rp_id: party.rp_id,
        user_handle,
        algorithms: ALGORITHMS.to_vec(),
        credentials,
        app_id: party.app_id,
        expires_in: CHALLENGE_LIFETIME.as_secs(),
    })
}

fn unknown_account() -> Problem {
    Problem::refused(Refusal::AccountUnknown, "")
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/credentials/options", tag = "protection",
    summary = "A challenge and options for registering a security key or passkey",
    params(("id" = String, Path)), request_body = OptionsBody,
    responses((status = 200, body = OptionsReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn registration_options(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<OptionsBody>,
) -> Result<axum::Json<OptionsReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    options(&app, account, value.used_for.into(), purpose(value.used_for)).await.map(axum::Json)
}

/// A credential to be registered: what the browser gave, or a key that was registered under U2F elsewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialBody {
    /// What it is for.
    #[serde(default)]
    used_for: UseBody,
    /// `response.clientDataJSON`, base64url.
    #[serde(default)]
    client_data_json: Option<String>,
    /// `response.attestationObject`, base64url.
    #[serde(default)]
    attestation_object: Option<String>,
    /// Instead of both: a key that was registered under legacy U2F.
    #[serde(default)]
    u2f: Option<U2fBody>,
    /// `response.getTransports()`.
    #[serde(default)]
    transports: Vec<String>,
    /// The owner's name for it.
    #[serde(default)]
    label: String,
    /// The owner's approval, if the account has a credential already: of the text that the first answer gave.
    #[serde(default)]
    approval: Option<ApprovalBody>,
}

/// A key as U2F registered it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct U2fBody {
    /// The key handle, base64url.
    key_handle: String,
    /// The public key, 65 bytes (SEC 1, uncompressed), base64url.
    public_key: String,
}

/// A credential as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CredentialReply {
    /// Its keyed fingerprint, by which it is removed.
    fingerprint: String,
    /// Its id, base64url.
    id: String,
    /// The owner's name for it.
    label: String,
    /// `approve`, `master` or `login`.
    used_for: &'static str,
    /// `first`: counts after its ageing; `rotation`: another key vouched, counts at once; `recovery`: operators did.
    basis: &'static str,
    /// Made under legacy U2F.
    legacy_u2f: bool,
    /// When it was recorded.
    enrolled_at: String,
    /// From when it counts, if nothing stops the clock; nothing while it waits for operators.
    counts_from: Option<String>,
    /// It is out of use.
    removed: bool,
}

fn credential_reply(core: &Core, known: &Credential, stored: &StoredCredential) -> CredentialReply {
    let ageing = core.configuration().parameters.credential_ageing.unwrap_or(CREDENTIAL_AGEING);
    let counts_from = match known.basis {
        Basis::Rotation => known.enrolled_at,
        Basis::First | Basis::Recovery => known.enrolled_at.plus(ageing),
    };
    CredentialReply {
        fingerprint: known.credential.to_string(),
        id: stored.id.clone(),
        label: stored.label.clone(),
        used_for: use_name(known.used_for),
        basis: basis_name(known.basis),
        legacy_u2f: known.legacy_u2f,
        enrolled_at: known.enrolled_at.to_string(),
        counts_from: (!known.is_pending).then(|| counts_from.to_string()),
        removed: known.is_removed,
    }
}

/// A registration that verified, and the challenge that it answers.
struct Proven {
    id: Vec<u8>,
    key: Vec<u8>,
    counter: u32,
    flags: ApprovalFlags,
    legacy_u2f: bool,
    challenge: Option<[u8; 32]>,
}

fn prove(app: &Shared, account: &AccountId, party: &Party, body: &CredentialBody) -> Result<Proven, Problem> {
    let invalid = |error: holdfast_authn::webauthn::WebAuthnError| {
        app.metrics.evidence_refused.increment();
        Problem::new("registration_invalid").detail(format!("{}: {error}", error.code()))
    };
    match (&body.client_data_json, &body.attestation_object, &body.u2f) {
        (Some(client_data), Some(attestation), None) => {
            let client_data = base64url("client_data_json", client_data)?;
            let attestation = base64url("attestation_object", attestation)?;
            let registration =
                Registration { client_data_json: &client_data, attestation_object: &attestation };
            let waiting = app.challenges.waiting(account, purpose(body.used_for), Instant::now());
            let party = relying_party(party);
            let challenge = assertion::answered(&client_data, &waiting);
            let challenge = challenge.ok_or(Problem::new("challenge_unknown"))?;
            let registered = verify_registration(&party, &challenge, &registration).map_err(invalid)?;
            Ok(of_registered(&registered, challenge))
        }
        (None, None, Some(u2f)) => {
            if party.app_id.is_none() {
                return Err(Problem::new("app_id_not_configured").field("u2f"));
            }
            let id = base64url("u2f.key_handle", &u2f.key_handle)?;
            let key = base64url("u2f.public_key", &u2f.public_key)?;
            let key = holdfast_authn::webauthn::PublicKey::from_sec1(&key).map_err(invalid)?;
            Ok(Proven {
                id,
                key: key.to_cose(),
                counter: 0,
                flags: ApprovalFlags::default(),
                legacy_u2f: true,
                challenge: None,
            })
        }
        _ => Err(Problem::new("body_invalid")
            .detail("give `client_data_json` and `attestation_object`, or `u2f`, and not both")),
    }
}

fn of_registered(registered: &Registered, challenge: [u8; 32]) -> Proven {
    let flags = [
        (registered.user_verified, ApprovalFlags::USER_VERIFIED),
        (registered.backup_eligible, ApprovalFlags::BACKUP_ELIGIBLE),
        (registered.backed_up, ApprovalFlags::BACKED_UP),
    ];
    Proven {
        id: registered.credential_id.clone(),
        key: registered.public_key.to_cose(),
        counter: registered.counter,
        flags: flags
            .into_iter()
            .filter(|(said, _)| *said)
            .fold(ApprovalFlags::default(), |a, (_, f)| a.with(f)),
        legacy_u2f: false,
        challenge: Some(challenge),
    }
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/credentials", tag = "protection",
    summary = "Register a security key or passkey; a further one needs an earlier one's approval",
    params(("id" = String, Path)), request_body = CredentialBody,
    responses((status = 201, body = CredentialReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn register(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value: mut body, .. }: Json<CredentialBody>,
) -> Result<At<CredentialReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let plain = |text: &String| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if body.transports.len() > TRANSPORTS_MAX || !body.transports.iter().all(plain) {
        return Err(Problem::new("body_invalid").field("transports"));
    }
    if body.label.chars().count() > LABEL_CHARS_MAX || body.label.chars().any(char::is_control) {
        return Err(Problem::new("body_invalid").field("label").detail("at most 64 printable characters"));
    }
    let approval = body.approval.take();
    let used_for: CredentialUse = body.used_for.into();
    let asked = account.clone();
    let found = app
        .intake
        .ask(move |desk| {
            let account = desk.state().account(&asked).ok_or_else(unknown_account)?;
            let known = account.protection.as_deref().map(|p| p.credentials.clone()).unwrap_or_default();
            Ok::<_, Problem>((party_of(desk.state(), used_for)?, known))
        })
        .await?;
    let (party, known) = found.value?;

    // One at a time, so that of two registrations of one id the vault keeps the key of the one that State takes.
    let _change = app.key_changes.lock().await;
    let (shared, owner) = (Arc::clone(&app), account.clone());
    let work = move || {
        let proven = prove(&shared, &owner, &party, &body)?;
        let stored = StoredCredential {
            id: to_base64url(&proven.id),
            key: to_base64url(&proven.key),
            transports: body.transports,
            label: body.label,
        };
        let sealed = serde_json::to_vec(&stored).map_err(|_| Problem::new("internal"))?;
        let sealed = shared
            .vault
            .seal(&owner, PURPOSE, &sealed)
            .map_err(|error| super::evidence::vault_problem(&error))?;
        let credential = shared.fingerprints.credential(&proven.id);
        // The material lies in the vault before State speaks of it. Once State does, it never changes, and State's digest
        // of the key is what verification goes by.
        if !known.iter().any(|known| known.credential == credential) {
            stored.write(&shared.vault, &owner, &credential)?;
        }
        Ok::<_, Problem>((proven, stored, credential, sealed))
    };
    let (proven, stored, credential, sealed) =
        tokio::task::spawn_blocking(work).await.map_err(|_| Problem::new("internal"))??;
    let (id_digest, key_digest) = (sha256(&proven.id), sha256(&proven.key));
    let lines = Lines {
        target: format!("credential:{}", hex(&id_digest)),
        detail: format!("key={}", hex(&key_digest)),
    };
    let new = NewCredential {
        credential,
        id: Digest(id_digest),
        key: Digest(key_digest),
        legacy_u2f: proven.legacy_u2f,
        used_for,
        counter: proven.counter,
        flags: proven.flags,
        sealed,
    };
    let wanted = Change::AddCredential(Box::new(new));
    let proof = Proof { approval, ..Proof::default() };
    let decided = match changes::change(&app, account.clone(), wanted, lines, proof).await {
        Ok(decided) => decided,
        Err(refused) => {
            forget_refused(&app, &account, credential).await?;
            return Err(refused);
        }
    };
    if let Some(challenge) = proven.challenge {
        app.challenges.take(&account, &challenge);
    }
    let reply = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let known = changes::live(core.account(&account), used_for);
            let known = known.iter().find(|known| known.credential == credential)?;
            Some(credential_reply(core, known, &stored))
        })
        .await?
        .value
        .ok_or(Problem::new("internal"))?;
    Ok(At::created(decided.sequence, reply))
}

/// Takes a key that was not accepted out of the vault again, unless State knows it from before.
async fn forget_refused(app: &Shared, account: &AccountId, credential: Fingerprint) -> Result<(), Problem> {
    let asked = account.clone();
    let known = app.intake.ask(move |desk| {
        let protection = desk.state().account(&asked).and_then(|known| known.protection.as_deref());
        let known = protection.map(|protection| protection.credentials.as_slice()).unwrap_or_default();
        known.iter().any(|known| known.credential == credential)
    });
    if known.await?.value {
        return Ok(());
    }
    let (app, account) = (Arc::clone(app), account.clone());
    let forget = move || StoredCredential::forget(&app.vault, &account, &credential);
    tokio::task::spawn_blocking(forget).await.map_err(|_| Problem::new("internal"))?
}

#[utoipa::path(
    get, path = "/v1/accounts/{id}/credentials", tag = "protection", summary = "An account's security keys and passkeys",
    params(("id" = String, Path)),
    responses((status = 200, body = [CredentialReply]), (status = "4XX", description = "Refused")),
)]
pub(super) async fn list(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<At<Vec<CredentialReply>>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let asked = account.clone();
    let answer = app
        .intake
        .ask(move |desk| {
            let known = desk.state().account(&asked).ok_or_else(unknown_account)?;
            let credentials = known.protection.as_deref().map(|p| p.credentials.clone()).unwrap_or_default();
            Ok::<_, Problem>((desk.state().sequence(), credentials))
        })
        .await?;
    let (sequence, credentials) = answer.value?;
    let (shared, owner) = (Arc::clone(&app), account);
    let read = move || {
        credentials
            .into_iter()
            .map(|known| Ok((known, StoredCredential::read(&shared.vault, &owner, &known.credential)?)))
            .collect::<Result<Vec<_>, Problem>>()
    };
    let stored = tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new("internal"))??;
    let replies = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let empty = StoredCredential {
                id: String::new(),
                key: String::new(),
                transports: Vec::new(),
                label: String::new(),
            };
            let reply = |(known, stored): &(Credential, Option<StoredCredential>)| {
                credential_reply(core, known, stored.as_ref().unwrap_or(&empty))
            };
            stored.iter().map(reply).collect::<Vec<_>>()
        })
        .await?
        .value;
    Ok(At::ok(sequence, replies))
}

/// The owner's approval of a removal, where one is needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovalBody {
    /// The owner's approval of the text that the first answer gave.
    #[serde(default)]
    approval: Option<ApprovalBody>,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/credentials/{credential}/remove", tag = "protection",
    summary = "Take a security key or passkey out of use, for ever",
    params(("id" = String, Path), ("credential" = String, Path, description = "Its fingerprint")),
    request_body = RemovalBody,
    responses((status = 200, body = ChangeReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn remove(
    State(app): State<Shared>,
    Path((id, credential)): Path<(String, String)>,
    Json { value, .. }: Json<RemovalBody>,
) -> Result<At<ChangeReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let credential = changes::fingerprint("credential", &credential)?;
    let asked = account.clone();
    let id_digest = app
        .intake
        .ask(move |desk| {
            let protection = desk.state().account(&asked)?.protection.as_deref()?;
            protection.credentials.iter().find(|known| known.credential == credential).map(|known| known.id)
        })
        .await?
        .value
        .ok_or(Problem::refused(Refusal::CredentialUnknown, ""))?;
    let lines = Lines::target(format!("credential:{}", hex(&id_digest.0)));
    let proof = Proof { approval: value.approval, ..Proof::default() };
    let decided =
        changes::change(&app, account, Change::RemoveCredential { credential }, lines, proof).await?;
    Ok(At::ok(decided.sequence, ChangeReply::of(&decided)))
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/sign-in/options", tag = "protection",
    summary = "A random challenge for signing in with a key",
    params(("id" = String, Path)),
    responses((status = 200, body = OptionsReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn sign_in_options(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<axum::Json<OptionsReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    options(&app, account, CredentialUse::Login, Purpose::SignIn).await.map(axum::Json)
}

/// An answer to a sign-in's challenge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInBody {
    /// The key's assertion.
    assertion: AssertionBody,
    /// What the edge knows of the session.
    #[serde(default)]
    session: super::sessions::SessionFactsBody,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/sign-in", tag = "protection", summary = "Sign in with a key",
    params(("id" = String, Path)), request_body = SignInBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn sign_in(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<SignInBody>,
) -> Result<At<Recorded>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let shown = Shown::read(&app, "assertion", &value.assertion)?;
    let (asked, credential) = (account.clone(), shown.credential);
    let found = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let live = changes::live(core.account(&asked), CredentialUse::Login);
            let known = live.into_iter().find(|known| known.credential == credential);
            let known = known.ok_or(Problem::refused(Refusal::CredentialUnknown, "").field("assertion"))?;
            Ok::<_, Problem>((known, party_of(core, CredentialUse::Login)?))
        })
        .await?;
    let (known, party) = found.value?;
    let waiting = app.challenges.waiting(&account, Purpose::SignIn, Instant::now());
    let (shared, owner) = (Arc::clone(&app), account.clone());
    let verify = move || {
        let challenge = shown.answers(&waiting).ok_or(Problem::new("challenge_unknown"))?;
        let accepted = shown.verify(&shared, &owner, &party, &known, &challenge)?;
        Ok::<_, Problem>((challenge, accepted))
    };
    let (challenge, accepted) =
        tokio::task::spawn_blocking(verify).await.map_err(|_| Problem::new("internal"))??;
    // Two answers to one challenge: only one of them signs in.
    if !app.challenges.take(&account, &challenge) {
        return Err(Problem::new("challenge_unknown"));
    }
    let (facts, sealed): (SessionFacts, Vec<u8>) =
        super::sessions::facts(&app, &account, &value.session).await?;
    let command = Command::RecordSession(Box::new(RecordSession {
        account,
        facts,
        credential: Some((credential, accepted.counter)),
        sealed,
    }));
    super::accounts::record(&app, command).await
}
