//! Accounts: opening, looking, freezing, limits, changes of their protection, address books.
#![expect(unused_qualifications, reason = "the code that utoipa generates for query parameters")]

use axum::Extension;
use axum::extract::{Path, State};
use holdfast_decision::State as Core;
use holdfast_decision::account::Account;
use holdfast_decision::command::{Command, Scopes, SecurityChange};
use holdfast_values::{AccountId, Amount, Destination, Name, UsdCents};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

use super::Shared;
use super::authority::Caller;
use super::body::{self, Json, Parameters};
use super::reply::{At, Recorded};

/// Carries out a command that only says that it was recorded.
pub(super) async fn record(app: &Shared, command: Command) -> Result<At<Recorded>, Problem> {
    let decided = app.intake.ask(move |desk| desk.decide(&command)?.accepted()).await?.value?;
    Ok(At::ok(decided.sequence, Recorded { sequence: decided.sequence }))
}

/// A customer's account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    /// The exchange's id.
    #[schema(example = "ac_1001")]
    account: String,
    /// The name of a configured tier.
    #[schema(example = "full")]
    tier: String,
}

/// An account as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AccountReply {
    account: String,
    tier: String,
    opened_at: String,
    frozen: bool,
    /// What it may withdraw in any 24 hours, in US dollars.
    usd_24h_max: String,
    /// What it may withdraw in any 30 days, in US dollars.
    usd_30d_max: String,
    /// The last change of its protection.
    security_changed_at: Option<String>,
    api_keys: Vec<KeyReply>,
    addresses: Vec<AddressReply>,
}

/// An API key of an account. Its id is known to Holdfast only as a keyed fingerprint.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct KeyReply {
    fingerprint: String,
    revision: u32,
    put_at: String,
    scopes: Vec<String>,
    revoked: bool,
    ip_allowlist_len: u64,
}

/// A destination in the address book, as a keyed fingerprint.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct AddressReply {
    fingerprint: String,
    recorded_at: String,
    notice_delivered_at: Option<String>,
}

fn reply(core: &Core, account: &Account) -> AccountReply {
    let configuration = core.configuration();
    let (day, month) = account.limits(configuration);
    let tier = configuration.tiers.get(usize::from(account.tier.0));
    let scope_names = |scopes: Scopes| {
        let names = [
            (Scopes::READ, "read"),
            (Scopes::TRADE, "trade"),
            (Scopes::WITHDRAW, "withdraw"),
            (Scopes::TRANSFER, "transfer"),
        ];
        names.into_iter().filter(|(s, _)| scopes.contains(*s)).map(|(_, name)| name.to_owned()).collect()
    };
    AccountReply {
        account: account.id.to_string(),
        tier: tier.map(|tier| tier.name.to_string()).unwrap_or_default(),
        opened_at: account.opened_at.to_string(),
        frozen: account.is_frozen,
        usd_24h_max: day.to_string(),
        usd_30d_max: month.to_string(),
        security_changed_at: account.security_change.map(|change| change.at.to_string()),
        api_keys: account
            .api_keys
            .iter()
            .map(|key| KeyReply {
                fingerprint: key.key.to_string(),
                revision: key.revision,
                put_at: key.put_at.to_string(),
                scopes: scope_names(key.scopes),
                revoked: key.is_revoked,
                ip_allowlist_len: u64::try_from(key.ip_allowlist.len()).unwrap_or(u64::MAX),
            })
            .collect(),
        addresses: account
            .addresses
            .iter()
            .map(|address| AddressReply {
                fingerprint: address.destination.to_string(),
                recorded_at: address.recorded_at.to_string(),
                notice_delivered_at: address.notice_at.map(|at| at.to_string()),
            })
            .collect(),
    }
}

#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", summary = "Make an account known",
    request_body = AccountBody,
    responses((status = 201, body = AccountReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn open(
    State(app): State<Shared>,
    Json { value, .. }: Json<AccountBody>,
) -> Result<At<AccountReply>, Problem> {
    let account: AccountId = body::id("account", &value.account)?;
    let tier: Name = body::id("tier", &value.tier)?;
    let answer = app
        .intake
        .ask(move |desk| {
            let decided =
                desk.decide(&Command::OpenAccount { account: account.clone(), tier })?.accepted()?;
            let opened = desk.state().account(&account).ok_or(Problem::new("internal"))?;
            Ok::<_, Problem>((decided.sequence, reply(desk.state(), opened)))
        })
        .await?;
    let (sequence, reply) = answer.value?;
    Ok(At::created(sequence, reply))
}

#[utoipa::path(
    get, path = "/v1/accounts/{id}", tag = "accounts", summary = "An account as it stands",
    params(("id" = String, Path)),
    responses((status = 200, body = AccountReply), (status = 404, description = "There is none")),
)]
pub(super) async fn get(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<At<AccountReply>, Problem> {
    let account: AccountId = body::path_id(&id)?;
    let answer = app
        .intake
        .ask(move |desk| desk.state().account(&account).map(|account| reply(desk.state(), account)))
        .await?;
    let reply = answer.value.ok_or(Problem::new("account_not_found").at(answer.sequence))?;
    Ok(At::ok(answer.sequence, reply))
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/freeze", tag = "accounts", summary = "Stop everything of an account",
    description = "Anyone trusted may freeze; unfreezing is an act of operators.",
    params(("id" = String, Path)),
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn freeze(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<At<Recorded>, Problem> {
    let account = body::path_id(&id)?;
    record(&app, Command::FreezeAccount { account, by: caller.client }).await
}

/// Lower limits, in US dollars.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsBody {
    /// At most this much in any 24 hours.
    #[schema(example = "5000.00")]
    usd_24h_max: String,
    /// At most this much in any 30 days.
    #[schema(example = "50000.00")]
    usd_30d_max: String,
}

fn usd(field: &str, text: &str) -> Result<UsdCents, Problem> {
    let cents = Amount::parse(text, 2).map_err(|error| body::amount_problem(error).field(field))?;
    u64::try_from(cents.base_units()).map(UsdCents).map_err(|_| Problem::new("amount_too_large").field(field))
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/limits", tag = "accounts", summary = "Lower what an account may withdraw",
    description = "Raising it is an act of operators.",
    params(("id" = String, Path)), request_body = LimitsBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn lower_limits(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<LimitsBody>,
) -> Result<At<Recorded>, Problem> {
    let command = Command::LowerLimits {
        account: body::path_id(&id)?,
        usd_cents_24h: usd("usd_24h_max", &value.usd_24h_max)?,
        usd_cents_30d: usd("usd_30d_max", &value.usd_30d_max)?,
    };
    record(&app, command).await
}

/// What changed about an account's protection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecurityChangeBody {
    kind: SecurityChangeKind,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SecurityChangeKind {
    Password,
    SecondFactor,
    Contact,
    Recovery,
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/security-changes", tag = "accounts",
    summary = "Its protection changed: cooling-off begins",
    params(("id" = String, Path)), request_body = SecurityChangeBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn security_change(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<SecurityChangeBody>,
) -> Result<At<Recorded>, Problem> {
    let kind = match value.kind {
        SecurityChangeKind::Password => SecurityChange::Password,
        SecurityChangeKind::SecondFactor => SecurityChange::SecondFactor,
        SecurityChangeKind::Contact => SecurityChange::Contact,
        SecurityChangeKind::Recovery => SecurityChange::Recovery,
    };
    record(&app, Command::RecordSecurityChange { account: body::path_id(&id)?, kind }).await
}

/// A destination.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AddressBody {
    /// The network.
    #[schema(example = "bitcoin")]
    network: String,
    /// The address.
    #[schema(example = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")]
    address: String,
    /// Tag or memo.
    #[serde(default)]
    memo: Option<String>,
}

impl AddressBody {
    fn parse(&self) -> Result<Destination, Problem> {
        let network = body::network("network", &self.network)?;
        body::destination(network, &self.address, self.memo.as_deref())
    }
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/addresses", tag = "accounts", summary = "Put a destination into the address book",
    description = "Its age counts from Holdfast's own first record of it.",
    params(("id" = String, Path)), request_body = AddressBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn add_address(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<AddressBody>,
) -> Result<At<Recorded>, Problem> {
    let destination = app.fingerprints.destination(&value.parse()?);
    record(&app, Command::AddAddress { account: body::path_id(&id)?, destination }).await
}

#[utoipa::path(
    delete, path = "/v1/accounts/{id}/addresses", tag = "accounts",
    summary = "Forget a destination: also its owner's veto",
    params(("id" = String, Path), AddressBody),
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn remove_address(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Parameters(value): Parameters<AddressBody>,
) -> Result<At<Recorded>, Problem> {
    let destination = app.fingerprints.destination(&value.parse()?);
    record(&app, Command::RemoveAddress { account: body::path_id(&id)?, destination }).await
}

#[utoipa::path(
    post, path = "/v1/accounts/{id}/addresses/notice-delivered", tag = "accounts",
    summary = "The notice about a destination reached its owner: the veto window begins",
    params(("id" = String, Path)), request_body = AddressBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn notice_delivered(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<AddressBody>,
) -> Result<At<Recorded>, Problem> {
    let destination = app.fingerprints.destination(&value.parse()?);
    record(&app, Command::RecordNoticeDelivered { account: body::path_id(&id)?, destination }).await
}
