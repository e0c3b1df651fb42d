//! One-time codes and recovery codes: enrolment with its picture, showing a code, and the secrets' place in the vault.
//!
//! Codes are compared here, against the vault; whether a right one still counts, and how often somebody may be wrong, is the
//! core's to judge.

use std::sync::Arc;

use axum::extract::{Path, State};
use holdfast_decision::Need;
use holdfast_decision::command::Command;
use holdfast_decision::protection::{Change, CodeProof, CodePurpose, PresentCode};
use holdfast_decision::reason::Refusal;
use holdfast_values::texts::ExchangeName;
use holdfast_values::{AccountId, Fingerprint, Timestamp, WithdrawalId};
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::codes::{CODES, StoredCodes, TotpKey, TotpSettings, qr_svg};
use crate::problem::Problem;
use crate::vault::{Vault, VaultError};

use super::Shared;
use super::assertion::ApprovalBody;
use super::body::{self, Json};
use super::changes::{self, Lines, Proof};
use super::reply::At;

/// Steps before and after the present one whose code is taken too: RFC 6238 section 5.2.
const DRIFT: u64 = 1;
const TOTP: &str = "one-time-codes";
const TOTP_NEXT: &str = "one-time-codes-next";
const RECOVERY: &str = "recovery-codes";

/// A generator as the vault keeps it.
#[derive(Deserialize, Serialize)]
struct StoredTotp {
    revision: u32,
    key: TotpKey,
}

/// A set of recovery codes as the vault keeps it.
#[derive(Deserialize, Serialize)]
struct StoredRecovery {
    revision: u32,
    codes: StoredCodes,
}

fn read<T: serde::de::DeserializeOwned>(
    vault: &Vault,
    account: &AccountId,
    name: &str,
) -> Result<Option<T>, Problem> {
    match vault.get_secret(account, name) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| Problem::new("internal")),
        Err(VaultError::SecretMissing | VaultError::UnknownAccount | VaultError::Destroyed) => Ok(None),
        Err(error) => Err(super::evidence::vault_problem(&error)),
    }
}

fn write<T: Serialize>(vault: &Vault, account: &AccountId, name: &str, value: &T) -> Result<(), Problem> {
    let bytes = Zeroizing::new(serde_json::to_vec(value).map_err(|_| Problem::new("internal"))?);
    vault.put_secret(account, name, &bytes).map_err(|error| super::evidence::vault_problem(&error))
}

/// A code that came with something.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CodeBody {
    /// From the generator.
    #[schema(value_type = String)]
    OneTime(Zeroizing<String>),
    /// One of the recovery codes.
    #[schema(value_type = String)]
    Recovery(Zeroizing<String>),
}

/// Compares a code with what the vault holds of the sets that State knows. Recovery codes take a slow hash, so at most a few
/// at once; and nothing is compared while the source is locked, which the core then says.
pub(super) async fn compare(
    app: &Shared,
    account: &AccountId,
    code: Option<CodeBody>,
    device: Option<Fingerprint>,
) -> Result<Option<CodeProof>, Problem> {
    let Some(code) = code else { return Ok(None) };
    let asked = account.clone();
    let known = app.intake.ask(move |desk| {
        let (core, now) = (desk.state(), desk.time());
        let protection = core.account(&asked)?.protection.as_deref();
        let codes = protection.and_then(|protection| protection.codes).map_or(0, |codes| codes.revision);
        let sets = protection.and_then(|protection| protection.recovery_codes).map_or(0, |set| set.revision);
        Some((now, codes, sets, core.codes_locked_until(now, &asked, device).is_some()))
    });
    let known = known.await?.value;
    let (now, codes, sets, is_locked) = known.ok_or(Problem::refused(Refusal::AccountUnknown, ""))?;
    if is_locked {
        return Ok(Some(CodeProof::Wrong));
    }
    let (shared, owner) = (Arc::clone(app), account.clone());
    let compared = match code {
        CodeBody::OneTime(code) => {
            let compare = move || one_time(&shared.vault, &owner, now, &code, codes);
            tokio::task::spawn_blocking(compare).await
        }
        CodeBody::Recovery(code) => {
            let _turn = app.slow_hashes.acquire().await.map_err(|_| Problem::new("internal"))?;
            let compare = move || recovery(&shared.vault, &owner, &code, sets);
            tokio::task::spawn_blocking(compare).await
        }
    };
    compared.map_err(|_| Problem::new("internal"))?.map(Some)
}

fn one_time(
    vault: &Vault,
    account: &AccountId,
    now: Timestamp,
    code: &str,
    revision: u32,
) -> Result<CodeProof, Problem> {
    // The generator that State knows may still lie where new ones wait, if something broke before it was moved.
    for name in [TOTP, TOTP_NEXT] {
        let stored: Option<StoredTotp> = read(vault, account, name)?;
        let Some(stored) = stored.filter(|stored| revision != 0 && stored.revision == revision) else {
            continue;
        };
        let step = stored.key.matching_step(now, code, DRIFT);
        return Ok(step.map_or(CodeProof::Wrong, |step| CodeProof::OneTime { revision, step }));
    }
    Ok(CodeProof::Wrong)
}

fn recovery(vault: &Vault, account: &AccountId, code: &str, revision: u32) -> Result<CodeProof, Problem> {
    let stored: Option<StoredRecovery> = read(vault, account, RECOVERY)?;
    let Some(stored) = stored.filter(|stored| stored.revision == revision) else {
        return Ok(CodeProof::Wrong);
    };
    let failed = |error: crate::codes::RecoveryError| Problem::new("internal").detail(error.code());
    let nth = stored.codes.matches(code).map_err(failed)?.and_then(|nth| u8::try_from(nth).ok());
    Ok(nth.map_or(CodeProof::Wrong, |nth| CodeProof::Recovery { revision, nth }))
}

/// A new generator, shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct GeneratorReply {
    /// The secret in base32, for typing.
    #[schema(value_type = String)]
    secret: Zeroizing<String>,
    /// The same as an `otpauth` address.
    #[schema(value_type = String)]
    uri: Zeroizing<String>,
    /// The address as a picture (SVG), for a camera.
    #[schema(value_type = String)]
    qr_svg: Zeroizing<String>,
    /// How many digits a code has.
    digits: u8,
    /// For how many seconds a code is.
    period: u16,
}

async fn exchange(app: &Shared, account: &AccountId) -> Result<ExchangeName, Problem> {
    let asked = account.clone();
    let found = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            core.account(&asked).map(|_| core.exchange().to_owned())
        })
        .await?;
    let exchange = found.value.ok_or(Problem::refused(Refusal::AccountUnknown, ""))?;
    exchange.parse().map_err(|_| Problem::new("internal"))
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/one-time-codes", tag = "protection",
    summary = "A new generator of one-time codes: its secret, shown once; it counts from its first right code on",
    params(("id" = String, Path)),
    responses((status = 200, body = GeneratorReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn begin(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<axum::Json<GeneratorReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let exchange = exchange(&app, &account).await?;
    let _change = app.key_changes.lock().await;
    let known = revision(&app, &account, |p| p.codes.map_or(0, |codes| codes.revision)).await?;
    let shared = Arc::clone(&app);
    let make = move || {
        let failed = |_| Problem::new("internal").detail("no code could be made");
        let key = TotpKey::generate(&SystemRandom::new(), TotpSettings::default()).map_err(failed)?;
        let uri = key.provisioning_uri(&exchange, account.as_str()).map_err(failed)?;
        let picture = qr_svg(&uri).map_err(|error| Problem::new("internal").detail(error.code()))?;
        let reply = GeneratorReply {
            secret: key.to_base32(),
            uri,
            qr_svg: Zeroizing::new(picture),
            digits: key.settings().digits(),
            period: key.settings().period(),
        };
        // One that State has come to know meanwhile moves to its last place first.
        let waiting: Option<StoredTotp> = read(&shared.vault, &account, TOTP_NEXT)?;
        if let Some(stored) = waiting.filter(|stored| known != 0 && stored.revision == known) {
            write(&shared.vault, &account, TOTP, &stored)?;
        }
        write(&shared.vault, &account, TOTP_NEXT, &StoredTotp { revision: 0, key })?;
        Ok::<_, Problem>(reply)
    };
    tokio::task::spawn_blocking(make).await.map_err(|_| Problem::new("internal"))?.map(axum::Json)
}

/// The first code of a new generator, and what may be needed to replace an old one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmBody {
    /// The new generator's code.
    #[schema(value_type = String)]
    code: Zeroizing<String>,
    /// A code of the old generator, or a recovery code.
    #[serde(default)]
    old: Option<CodeBody>,
    /// The owner's approval of the text that the first answer gave, if the account has keys.
    #[serde(default)]
    approval: Option<ApprovalBody>,
}

/// That codes were enrolled.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct CodesReply {
    /// Counts from 1.
    revision: u32,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/one-time-codes/confirm", tag = "protection",
    summary = "Take a new generator into use by its first code",
    params(("id" = String, Path)), request_body = ConfirmBody,
    responses((status = 200, body = CodesReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn confirm(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<ConfirmBody>,
) -> Result<At<CodesReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    // In a task of its own: a client that goes away must not end it between State and vault.
    tokio::spawn(confirm_in_turn(app, account, value)).await.map_err(|_| Problem::new("internal"))?
}

async fn confirm_in_turn(
    app: Shared,
    account: AccountId,
    value: ConfirmBody,
) -> Result<At<CodesReply>, Problem> {
    let code = compare(&app, &account, value.old, None).await?;
    let now = app.intake.ask(|desk| desk.time()).await?.value;
    // One at a time, so that the revision that the vault is told is the one that State gives.
    let _change = app.key_changes.lock().await;
    let next =
        revision(&app, &account, |p| p.codes.map_or(0, |codes| codes.revision)).await?.saturating_add(1);
    let (shared, owner) = (Arc::clone(&app), account.clone());
    let prove = move || {
        let mut stored: StoredTotp =
            read(&shared.vault, &owner, TOTP_NEXT)?.ok_or(Problem::new("codes_not_begun"))?;
        let step = stored.key.matching_step(now, &value.code, DRIFT);
        let step = step.ok_or(Problem::new("code_wrong").field("code"))?;
        // It has its revision before State knows it: whatever breaks after that, its codes are found.
        stored.revision = next;
        write(&shared.vault, &owner, TOTP_NEXT, &stored)?;
        Ok::<_, Problem>((step, stored))
    };
    let (step, stored) = tokio::task::spawn_blocking(prove).await.map_err(|_| Problem::new("internal"))??;
    let proof = Proof { approval: value.approval, code, device: None };
    let wanted = Change::EnrolCodes { step };
    let decided = changes::change(&app, account.clone(), wanted, Lines::none(), proof).await?;
    let shared = Arc::clone(&app);
    let keep = move || {
        write(&shared.vault, &account, TOTP, &stored)?;
        let forgotten = shared.vault.delete_secret(&account, TOTP_NEXT);
        forgotten.map(drop).map_err(|error| super::evidence::vault_problem(&error))
    };
    tokio::task::spawn_blocking(keep).await.map_err(|_| Problem::new("internal"))??;
    Ok(At::ok(decided.sequence, CodesReply { revision: next, sequence: decided.sequence }))
}

async fn revision(
    app: &Shared,
    account: &AccountId,
    of: fn(&holdfast_decision::protection::Protection) -> u32,
) -> Result<u32, Problem> {
    let asked = account.clone();
    app.intake
        .ask(move |desk| desk.state().account(&asked).map(|known| known.protection.as_deref().map_or(0, of)))
        .await?
        .value
        .ok_or(Problem::refused(Refusal::AccountUnknown, ""))
}

/// What may be needed to replace a set of recovery codes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoveryCodesBody {
    /// A one-time code, or one of the old recovery codes.
    #[serde(default)]
    code: Option<CodeBody>,
    /// The owner's approval of the text that the first answer gave, if the account has keys.
    #[serde(default)]
    approval: Option<ApprovalBody>,
}

/// A new set of recovery codes, shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryCodesReply {
    /// The codes: each is good once.
    #[schema(value_type = Vec<String>)]
    codes: Vec<Zeroizing<String>>,
    /// Counts from 1.
    revision: u32,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/recovery-codes", tag = "protection",
    summary = "A new set of recovery codes, shown once; the old ones are void",
    params(("id" = String, Path)), request_body = RecoveryCodesBody,
    responses((status = 201, body = RecoveryCodesReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn recovery_codes(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<RecoveryCodesBody>,
) -> Result<At<RecoveryCodesReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    tokio::spawn(replace_recovery_codes(app, account, value)).await.map_err(|_| Problem::new("internal"))?
}

async fn replace_recovery_codes(
    app: Shared,
    account: AccountId,
    value: RecoveryCodesBody,
) -> Result<At<RecoveryCodesReply>, Problem> {
    let code = compare(&app, &account, value.code, None).await?;
    let count = u8::try_from(CODES).unwrap_or(u8::MAX);
    let wanted = Change::PutRecoveryCodes { count };
    let lines = Lines { target: "-".to_owned(), detail: format!("count={count}") };
    let (asked, change) = (account.clone(), wanted.clone());
    let need = app.intake.ask(move |desk| desk.state().change_needs(desk.time(), &asked, &change));
    let need = need.await?.value.map_err(|refusal| Problem::refused(refusal, ""))?;
    let proof = Proof { approval: value.approval, code, device: None };
    if need != Need::Nothing && proof.approval.is_none() && proof.code.is_none() {
        // Refused, with what is missing, before anything slow is done.
        let refused = changes::change(&app, account, wanted, lines, proof).await;
        return Err(refused.err().unwrap_or(Problem::new("internal")));
    }
    let turn = app.slow_hashes.acquire().await.map_err(|_| Problem::new("internal"))?;
    let made = tokio::task::spawn_blocking(|| StoredCodes::generate(&SystemRandom::new(), CODES))
        .await
        .map_err(|_| Problem::new("internal"))?
        .map_err(|error| Problem::new("internal").detail(error.code()))?;
    drop(turn);
    let _change = app.key_changes.lock().await;
    let revision =
        revision(&app, &account, |p| p.recovery_codes.map_or(0, |set| set.revision)).await?.saturating_add(1);
    let decided = changes::change(&app, account.clone(), wanted, lines, proof).await?;
    // Not shown before they are kept. If this fails, State has a set that nobody knows, which opens nothing.
    let stored = StoredRecovery { revision, codes: made.stored };
    let shared = Arc::clone(&app);
    let keep = move || write(&shared.vault, &account, RECOVERY, &stored);
    tokio::task::spawn_blocking(keep).await.map_err(|_| Problem::new("internal"))??;
    let sequence = decided.sequence;
    Ok(At::created(sequence, RecoveryCodesReply { codes: made.codes, revision, sequence }))
}

/// A code that a customer shows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PresentBody {
    /// The code.
    code: CodeBody,
    /// The withdrawal that asks for it; without one it is for signing in.
    #[serde(default)]
    withdrawal: Option<String>,
    /// The address that it comes from.
    #[schema(example = "203.0.113.7")]
    client_ip: String,
    /// The device that it comes from, as sessions report it.
    #[serde(default)]
    device: Option<String>,
}

/// That a code was right.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct PresentReply {
    /// `accepted`.
    status: &'static str,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/codes", tag = "protection",
    summary = "A customer shows a one-time or recovery code: compared, counted, and good once",
    params(("id" = String, Path)), request_body = PresentBody,
    responses((status = 200, body = PresentReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn present(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<PresentBody>,
) -> Result<At<PresentReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let purpose = match &value.withdrawal {
        Some(withdrawal) => CodePurpose::Withdrawal(body::id::<WithdrawalId>("withdrawal", withdrawal)?),
        None => CodePurpose::Login,
    };
    let source = app.fingerprints.ip(body::ip("client_ip", &value.client_ip)?);
    let device = value.device.map(|device| app.fingerprints.device(&account, &device));
    let proof = compare(&app, &account, Some(value.code), device).await?.unwrap_or(CodeProof::Wrong);
    let shown = PresentCode { account, purpose, proof, source, device };
    let command = Command::PresentCode(Box::new(shown));
    let decided = app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value?;
    if proof == CodeProof::Wrong {
        return Err(Problem::new("code_wrong").at(decided.sequence));
    }
    Ok(At::ok(decided.sequence, PresentReply { status: "accepted", sequence: decided.sequence }))
}
