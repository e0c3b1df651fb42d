//! Withdrawals: asking, looking, taking back, showing a one-time code, denying.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use holdfast_decision::State as Core;
use holdfast_decision::command::{Command, Evidence, Idempotency, RequestWithdrawal};
use holdfast_decision::event::{Decision, Event, Status, WithdrawalRequested};
use holdfast_decision::reason::Refusal;
use holdfast_decision::withdrawal::Withdrawal;
use holdfast_values::{AccountId, Amount, AssetSymbol, CaseId, Destination, Fingerprint, Name, WithdrawalId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::data;
use crate::intake::{Decided, Desk};
use crate::problem::Problem;
use crate::record;
use crate::views::WithdrawalRow;

use super::authority::Caller;
use super::body::{self, Json};
use super::evidence::{self, ApiRequestBody, Proven};
use super::reply::{At, OutcomeReply, ReasonReply, WithdrawalParts, WithdrawalReply};
use super::{REPLAY_HEADER, SEQUENCE_HEADER, Shared, lists, sessions};

const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// A withdrawal to be decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WithdrawalBody {
    /// The account that pays.
    #[schema(example = "ac_1001")]
    account: String,
    /// The asset's symbol.
    #[schema(example = "BTC")]
    asset: String,
    /// The network.
    #[schema(example = "bitcoin")]
    network: String,
    /// Where to.
    #[schema(example = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")]
    address: String,
    /// Destination tag or memo, where the network has one.
    #[serde(default)]
    memo: Option<String>,
    /// What is to arrive, in whole units of the asset: a decimal text, never a number.
    #[schema(example = "0.75")]
    amount: String,
    /// What the customer is charged on top at most; nothing if absent.
    #[schema(example = "0.0001")]
    #[serde(default)]
    fee_max: Option<String>,
    /// How it came in.
    channel: ChannelBody,
}

/// How a withdrawal came in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum ChannelBody {
    /// Through a web or app session that the exchange vouches for.
    Session(SessionBody),
    /// Through the exchange's API: the customer's own signed request, byte for byte.
    ApiRequest(Box<ApiRequestBody>),
}

/// A session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionBody {
    /// The customer presented a one-time code. It proves nothing about what it approves.
    #[serde(default)]
    one_time_code: bool,
    /// What the edge knows of the session: device, address, place.
    #[serde(default)]
    facts: Option<sessions::SessionFactsBody>,
}

/// A customer's own act on a withdrawal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnerBody {
    /// Must be the withdrawal's account.
    account: String,
}

/// What of a request does not depend on State.
struct Parsed {
    account: AccountId,
    asset: AssetSymbol,
    destination: Destination,
    fingerprint: Fingerprint,
    amount: String,
    fee_max: Option<String>,
    proven: Proven,
    idempotency: Idempotency,
    random: [u8; 16],
    nonce: [u8; 32],
}

/// What the writer's thread made of it.
enum Made {
    Fresh(Box<WithdrawalReply>),
    Repeated(u64),
}

#[utoipa::path(
    post, path = "/v1/withdrawals", tag = "withdrawals",
    summary = "Ask whether a withdrawal may leave",
    description = "Answers with the outcome and every reason. The same key with the same body answers as the first \
                   time for 24 hours, with `Idempotent-Replay: true`; with another body it is `idempotency_conflict`.",
    params(("Idempotency-Key" = String, Header, description = "1 to 128 visible ASCII characters, unique per intent")),
    request_body = WithdrawalBody,
    responses((status = 201, description = "Decided", body = WithdrawalReply),
              (status = "4XX", description = "Refused: nothing was decided"),
              (status = 503, description = "Wait for Retry-After and ask again with the same key")),
)]
pub(super) async fn create(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Json<WithdrawalBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let parsed = parse(&app, &caller.client, &key, body).await?;
    let answer = app.intake.ask(move |desk| request(desk, parsed)).await?;
    match answer.value? {
        Made::Fresh(reply) => Ok(At::created(reply.sequence, *reply).into_response()),
        Made::Repeated(sequence) => {
            let first = first_answer(&app, sequence).await;
            let mut response = match first {
                Ok(reply) => At::created(sequence, reply).into_response(),
                Err(problem) => problem.at(sequence).into_response(),
            };
            response.headers_mut().insert(REPLAY_HEADER, HeaderValue::from_static("true"));
            Ok(response)
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_HEADER).iter();
    let value = values.next().ok_or(Problem::new("idempotency_key_missing"))?;
    let invalid = || Problem::new("idempotency_key_invalid");
    if values.next().is_some() {
        return Err(invalid());
    }
    let key = value.to_str().map_err(|_| invalid())?;
    if (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(key.to_owned())
    } else {
        Err(invalid())
    }
}

/// Reads and proves everything that needs no State.
async fn parse(
    app: &Shared,
    client: &Name,
    key: &str,
    body: Json<WithdrawalBody>,
) -> Result<Parsed, Problem> {
    let Json { value, bytes } = body;
    let account: AccountId = body::id("account", &value.account)?;
    let asset = body::asset("asset", &value.asset)?;
    let network = body::network("network", &value.network)?;
    let destination = body::destination(network, &value.address, value.memo.as_deref())?;
    // The core says so too; here it comes before what the exchange has configured.
    if !network.is_releasable() {
        return Err(Problem::refused(Refusal::NetworkNotReleasable, "").field("network"));
    }
    body::amount_shape("amount", &value.amount)?;
    if let Some(fee) = &value.fee_max {
        body::amount_shape("fee_max", fee)?;
    }
    let idempotency = Idempotency {
        key: app.fingerprints.idempotency_key(client, key),
        body: app.fingerprints.idempotency_body("withdrawals", &bytes),
    };
    let proven = match value.channel {
        ChannelBody::Session(SessionBody { one_time_code, facts: None }) => Proven::Session { one_time_code },
        ChannelBody::Session(SessionBody { one_time_code, facts: Some(facts) }) => {
            Proven::Device { one_time_code, facts: sessions::derive(app, &account, &facts)? }
        }
        ChannelBody::ApiRequest(request) => {
            let asked = account.clone();
            let known = app.intake.ask(move |desk| {
                let keys = desk.state().account(&asked).map(|known| known.api_keys.as_slice());
                keys.unwrap_or_default().iter().map(|key| (key.key, key.revision)).collect::<Vec<_>>()
            });
            let known = known.await?.value;
            let (app, account) = (Arc::clone(app), account.clone());
            let prove = move || evidence::prove(&app, &account, &request, &known);
            tokio::task::spawn_blocking(prove).await.map_err(|_| Problem::new("internal"))??
        }
    };
    Ok(Parsed {
        account,
        asset,
        fingerprint: app.fingerprints.destination(&destination),
        destination,
        amount: value.amount,
        fee_max: value.fee_max,
        proven,
        idempotency,
        random: data::random().map_err(|_| Problem::new("internal"))?,
        nonce: data::random().map_err(|_| Problem::new("internal"))?,
    })
}

/// An amount of `asset` on the destination's network. A network that is not configured is the core's to refuse.
fn amount_on(
    core: &Core,
    field: &str,
    text: &str,
    asset: &AssetSymbol,
    destination: &Destination,
) -> Result<Amount, Problem> {
    let unknown = || Problem::refused(Refusal::AssetUnknown, "").field("asset");
    let index = core.asset_index(asset).ok_or_else(unknown)?;
    let asset = core.configuration().assets.get(usize::from(index.0)).ok_or_else(unknown)?;
    let parsed = match asset.spec.on(destination.network()) {
        Some(on) => on.parse_amount(asset.spec.decimals, text),
        None => Amount::parse(text, asset.spec.decimals),
    };
    parsed.map_err(|error| body::amount_problem(error).field(field))
}

/// On the writer's thread: builds the command, decides, and makes the answer.
fn request(desk: &mut Desk<'_>, parsed: Parsed) -> Result<Made, Problem> {
    let Parsed {
        account,
        asset,
        destination,
        fingerprint,
        amount,
        fee_max,
        proven,
        idempotency,
        random,
        nonce,
    } = parsed;
    let amount = amount_on(desk.state(), "amount", &amount, &asset, &destination)?;
    let fee_max = match fee_max {
        Some(fee) => amount_on(desk.state(), "fee_max", &fee, &asset, &destination)?,
        None => Amount::ZERO,
    };
    let evidence = match proven {
        Proven::Session { one_time_code } => Evidence::Session { one_time_code },
        Proven::Device { one_time_code, facts } => Evidence::Device { one_time_code, facts },
        Proven::ApiRequest(proven) => {
            let said = amount_on(desk.state(), "amount", &proven.amount, &asset, &destination).ok();
            Evidence::ApiRequest(Box::new(proven.judge(&asset, &destination, said == Some(amount))))
        }
    };
    let withdrawal = WithdrawalId(desk.mint(random));
    let command = Command::RequestWithdrawal(Box::new(RequestWithdrawal {
        withdrawal,
        account,
        asset,
        destination,
        fingerprint,
        amount,
        fee_max,
        nonce,
        evidence,
        idempotency,
    }));
    let decided = desk.decide(&command)?;
    if let Some(sequence) = decided.repeated() {
        return Ok(Made::Repeated(sequence));
    }
    let decided = decided.accepted()?;
    let Command::RequestWithdrawal(asked) = &command else { return Err(Problem::new("internal")) };
    let decimals = decimals(desk.state(), &asked.asset);
    answer(asked, decimals, &decided).map(|reply| Made::Fresh(Box::new(reply)))
}

/// The decimals that amounts of an asset are printed with; an asset never changes them.
fn decimals(core: &Core, asset: &AssetSymbol) -> u8 {
    let found =
        core.asset_index(asset).and_then(|index| core.configuration().assets.get(usize::from(index.0)));
    found.map_or(0, |asset| asset.spec.decimals)
}

/// Makes the answer to a request from its record alone.
fn answer(asked: &RequestWithdrawal, decimals: u8, decided: &Decided) -> Result<WithdrawalReply, Problem> {
    let mut request: Option<&WithdrawalRequested> = None;
    let mut decision: Option<&Decision> = None;
    for event in &decided.events {
        match event {
            Event::WithdrawalRequested(requested) => request = Some(requested),
            Event::WithdrawalDecided { withdrawal, decision: made } if *withdrawal == asked.withdrawal => {
                decision = Some(made);
            }
            _ => {}
        }
    }
    let (Some(request), Some(decision)) = (request, decision) else {
        return Err(Problem::new("internal").detail("the decision has no outcome").at(decided.sequence));
    };
    Ok(WithdrawalParts {
        account: &asked.account,
        asset: &asked.asset,
        decimals,
        request,
        decision,
        requested_at: decided.at,
        sequence: decided.sequence,
    }
    .into())
}

/// The first answer to a request, made again from its record.
async fn first_answer(app: &Shared, sequence: u64) -> Result<WithdrawalReply, Problem> {
    let reading = Arc::clone(app);
    let read = move || reading.read_record(sequence);
    let record = tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new("internal"))??;
    let decoded = record::decode(&record).map_err(|error| {
        tracing::error!(%error, "an earlier answer cannot be made again");
        Problem::new("internal")
    })?;
    let Command::RequestWithdrawal(asked) = decoded.command else { return Err(Problem::new("internal")) };
    let decided = Decided { sequence, at: decoded.at, events: decoded.events }.accepted()?;
    let asset = asked.asset.clone();
    let decimals = app.intake.ask(move |desk| decimals(desk.state(), &asset)).await?.value;
    answer(&asked, decimals, &decided)
}

/// An open withdrawal as an answer.
fn open_reply(core: &Core, open: &Withdrawal) -> Option<WithdrawalReply> {
    let account = core.account_id(open.request.account)?;
    let asset = core.configuration().assets.get(usize::from(open.request.asset.0))?;
    let parts = WithdrawalParts {
        account,
        asset: &asset.spec.symbol,
        decimals: asset.spec.decimals,
        request: &open.request,
        decision: &open.decision,
        requested_at: open.requested_at,
        sequence: open.sequence,
    };
    let transactions = open.released.iter().flat_map(|releases| &releases.transactions);
    let transactions = transactions.map(|digest| record::hex(&digest.0)).collect();
    Some(WithdrawalReply { transactions, ..parts.into() })
}

#[utoipa::path(
    get, path = "/v1/withdrawals/{id}", tag = "withdrawals", summary = "A withdrawal as it stands",
    params(("id" = String, Path)),
    responses((status = 200, body = WithdrawalReply), (status = 404, description = "There is none")),
)]
pub(super) async fn get(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<At<WithdrawalReply>, Problem> {
    let id: WithdrawalId = body::path_id(&id)?;
    let answer = app
        .intake
        .ask(move |desk| desk.state().withdrawal(id).and_then(|w| open_reply(desk.state(), w)))
        .await;
    match answer {
        Ok(answer) => match answer.value {
            Some(reply) => Ok(At::ok(answer.sequence, reply)),
            None => closed(&app, id, Some(answer.sequence)).await,
        },
        // The core is gone for now: the views remember what they have seen.
        Err(crate::intake::Unavailable::Journal(_)) => closed(&app, id, None).await,
        Err(unavailable) => Err(unavailable.into()),
    }
}

/// A withdrawal from the views: closed ones leave State.
async fn closed(app: &Shared, id: WithdrawalId, as_of: Option<u64>) -> Result<At<WithdrawalReply>, Problem> {
    let found = lists::read(app, as_of, move |views| views.withdrawal(id)).await?;
    let row = found.row.ok_or(Problem::new("withdrawal_not_found"))?;
    let reply = row_reply(row).ok_or(Problem::new("internal").detail("the views do not read"))?;
    Ok(At::ok(found.as_of, reply))
}

fn row_reply(row: WithdrawalRow) -> Option<WithdrawalReply> {
    let id: WithdrawalId = row.id.parse().ok()?;
    let reasons: Vec<ReasonReply> = serde_json::from_value(row.reasons).ok()?;
    let held = row.status == Status::Held.name();
    Some(WithdrawalReply {
        id: row.id,
        account: row.account,
        asset: row.asset,
        network: row.network,
        address: row.address,
        memo: row.memo,
        amount: row.amount,
        fee_max: row.fee_max,
        status: row.status,
        outcome: OutcomeReply {
            severity: row.outcome,
            dwell_until: (row.dwell_until > row.requested_at).then_some(row.dwell_until),
            factors: row.factors,
            class: row.class,
        },
        reasons,
        requested_at: row.requested_at,
        not_after: row.not_after,
        usd: row.usd,
        case: held.then(|| CaseId(id.0).to_string()),
        transactions: row.transaction.map(|paying| paying.digest).into_iter().collect(),
        paid_at: row.paid_at,
        sequence: row.sequence,
    })
}

/// Carries out a command about one open withdrawal and answers with how it stands then, even if it left State.
pub(super) async fn act(
    app: &Shared,
    id: WithdrawalId,
    command: Command,
) -> Result<At<WithdrawalReply>, Problem> {
    let answer = app
        .intake
        .ask(move |desk| {
            let before = desk.state().withdrawal(id).cloned();
            let decided = desk.decide(&command)?.accepted()?;
            let mut standing = before.ok_or(Problem::new("withdrawal_not_found"))?;
            for event in &decided.events {
                match event {
                    Event::WithdrawalDecided { withdrawal, decision } if *withdrawal == id => {
                        standing.decision = (**decision).clone();
                    }
                    Event::WithdrawalCancelled { withdrawal } if *withdrawal == id => {
                        standing.decision.status = Status::Cancelled;
                    }
                    Event::WithdrawalExpired { withdrawal } if *withdrawal == id => {
                        standing.decision.status = Status::Expired;
                    }
                    _ => {}
                }
            }
            let standing = desk.state().withdrawal(id).unwrap_or(&standing);
            let reply = open_reply(desk.state(), standing).ok_or(Problem::new("internal"))?;
            Ok::<_, Problem>((decided.sequence, reply))
        })
        .await?;
    let (sequence, reply) = answer.value?;
    Ok(At::ok(sequence, reply))
}

#[utoipa::path(
    post, path = "/v1/withdrawals/{id}/cancel", tag = "withdrawals", summary = "The owner takes it back",
    params(("id" = String, Path)), request_body = OwnerBody,
    responses((status = 200, body = WithdrawalReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn cancel(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<OwnerBody>,
) -> Result<At<WithdrawalReply>, Problem> {
    let withdrawal = body::path_id(&id)?;
    let account = body::id("account", &value.account)?;
    act(&app, withdrawal, Command::CancelWithdrawal { account, withdrawal }).await
}

#[utoipa::path(
    post, path = "/v1/withdrawals/{id}/one-time-code", tag = "withdrawals",
    summary = "The owner presented a one-time code",
    params(("id" = String, Path)), request_body = OwnerBody,
    responses((status = 200, body = WithdrawalReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn one_time_code(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Json { value, .. }: Json<OwnerBody>,
) -> Result<At<WithdrawalReply>, Problem> {
    let withdrawal = body::path_id(&id)?;
    let account = body::id("account", &value.account)?;
    act(&app, withdrawal, Command::ReportOneTimeCode { account, withdrawal }).await
}

#[utoipa::path(
    post, path = "/v1/withdrawals/{id}/deny", tag = "withdrawals",
    summary = "Refuse an open withdrawal: anyone trusted may",
    params(("id" = String, Path)),
    responses((status = 200, body = WithdrawalReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn deny(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<At<WithdrawalReply>, Problem> {
    let withdrawal = body::path_id(&id)?;
    act(&app, withdrawal, Command::DenyWithdrawal { withdrawal, by: caller.client }).await
}

#[utoipa::path(
    get, path = "/v1/withdrawals/{id}/text", tag = "withdrawals",
    summary = "The text that its owner may sign: holdfast-withdrawal/v1",
    params(("id" = String, Path)),
    responses((status = 200, description = "The text", body = String, content_type = "text/plain"),
              (status = 404, description = "No open withdrawal has this id")),
)]
pub(super) async fn text(State(app): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: WithdrawalId = body::path_id(&id)?;
    let answer = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            core.withdrawal(id)
                .map(|_| core.text_of(id).map(|text| text.to_string()).ok_or(Problem::new("internal")))
        })
        .await?;
    let text = answer.value.ok_or(Problem::new("withdrawal_not_found"))??;
    let mut response = (StatusCode::OK, text).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=us-ascii"));
    response.headers_mut().insert(SEQUENCE_HEADER, HeaderValue::from(answer.sequence));
    Ok(response)
}

impl super::App {
    /// One record of the journal. Blocks.
    pub(super) fn read_record(&self, sequence: u64) -> Result<holdfast_journal::Record, Problem> {
        let reader = self.journal.lock().map_err(|_| Problem::new("internal"))?;
        let records = reader.read(sequence, 1).map_err(|error| {
            tracing::error!(code = error.code(), %error, "the journal cannot be read");
            Problem::new("internal")
        })?;
        records.into_iter().find(|record| record.sequence == sequence).ok_or(Problem::new("internal"))
    }
}
