//! Prices, halts, tokens, and what decides at the moment: policy, operators, buckets.

use axum::Extension;
use axum::extract::{Path, State};
use holdfast_decision::State as Core;
use holdfast_decision::acts::{parse_scope, scope_text};
use holdfast_decision::command::{Command, Price};
use holdfast_decision::configuration::Class;
use holdfast_decision::governance::{BaseLeft, RESTORE_SPAN};
use holdfast_decision::state::Buckets;
use holdfast_values::{Amount, Name, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::record::hex;

use super::Shared;
use super::accounts::record;
use super::authority::Caller;
use super::body::{self, Json};
use super::reply::{At, Recorded};

/// The most prices in one request.
const PRICES_MAX: usize = 1_000;
/// Decimals of a price: micro-USD.
const PRICE_DECIMALS: u8 = 6;

/// Prices.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PricesBody {
    prices: Vec<PriceBody>,
}

/// The price of one whole unit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PriceBody {
    #[schema(example = "BTC")]
    asset: String,
    /// In US dollars, with at most six decimals.
    #[schema(example = "5900.00")]
    usd: String,
}

#[utoipa::path(
    put, path = "/v1/prices", tag = "controls", summary = "Report prices",
    request_body = PricesBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn set_prices(
    State(app): State<Shared>,
    Json { value, .. }: Json<PricesBody>,
) -> Result<At<Recorded>, Problem> {
    if value.prices.is_empty() || value.prices.len() > PRICES_MAX {
        return Err(Problem::new("too_many_items").field("prices").detail(format!("1 to {PRICES_MAX}")));
    }
    let price = |price: &PriceBody| {
        let wrong = |detail: &str| Problem::new("price_malformed").field("prices.usd").detail(detail);
        let micro_usd =
            Amount::parse(&price.usd, PRICE_DECIMALS).map_err(|error| wrong(&error.to_string()))?;
        let micro_usd = u64::try_from(micro_usd.base_units()).map_err(|_| wrong("the price is too large"))?;
        if micro_usd == 0 {
            return Err(wrong("a price is never zero"));
        }
        Ok(Price { asset: body::asset("prices.asset", &price.asset)?, micro_usd })
    };
    let prices = value.prices.iter().map(price).collect::<Result<_, _>>()?;
    record(&app, Command::SetPrices { prices }).await
}

/// What is to stop.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HaltBody {
    /// `overall`, `asset:SYMBOL`, `wallet:NAME` or `account:ID`.
    #[schema(example = "asset:BTC")]
    scope: String,
}

#[utoipa::path(
    post, path = "/v1/halts", tag = "controls", summary = "Stop",
    description = "Anyone trusted may halt; resuming is an act of operators. Nothing is lost: what waits goes on waiting.",
    request_body = HaltBody,
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn halt(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Json { value, .. }: Json<HaltBody>,
) -> Result<At<Recorded>, Problem> {
    let scope = parse_scope(&value.scope).ok_or(Problem::new("scope_invalid").field("scope"))?;
    record(&app, Command::Halt { scope, by: caller.client }).await
}

/// What is halted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct HaltsReply {
    halts: Vec<String>,
    /// Deadlines and refills stand still until operators confirm the clock.
    clock_suspect: bool,
}

#[utoipa::path(
    get, path = "/v1/halts", tag = "controls", summary = "What is halted",
    responses((status = 200, body = HaltsReply)),
)]
pub(super) async fn halts(State(app): State<Shared>) -> Result<At<HaltsReply>, Problem> {
    let answer = app
        .intake
        .ask(|desk| HaltsReply {
            halts: desk.state().halts().map(scope_text).collect(),
            clock_suspect: desk.state().is_clock_suspect(),
        })
        .await?;
    Ok(At::ok(answer.sequence, answer.value))
}

/// Who may sign acts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OperatorsReply {
    operators: Vec<OperatorReply>,
    /// How many must sign what loosens.
    loosening_signatures: u32,
}

/// An operator.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct OperatorReply {
    name: String,
    /// Ed25519 in base64url, or `passkey:` and the SHA-256 of the passkey's public key in hexadecimal.
    public_key: String,
    enrolled_at: String,
    /// From then on the signature counts.
    counts_from: String,
}

#[utoipa::path(
    get, path = "/v1/operators", tag = "controls", summary = "Who may sign acts",
    responses((status = 200, body = OperatorsReply)),
)]
pub(super) async fn operators(State(app): State<Shared>) -> Result<At<OperatorsReply>, Problem> {
    let answer = app
        .intake
        .ask(|desk| {
            let parameters = desk.state().configuration().parameters;
            let operators = desk.state().operators().map(|(name, operator)| OperatorReply {
                name: name.to_string(),
                public_key: holdfast_authn::print_operator_public_key(&operator.public_key),
                enrolled_at: operator.enrolled_at.to_string(),
                counts_from: if operator.is_founder {
                    operator.enrolled_at.to_string()
                } else {
                    operator.enrolled_at.plus(parameters.operator_ageing).to_string()
                },
            });
            OperatorsReply {
                operators: operators.collect(),
                loosening_signatures: parameters.loosening_signatures,
            }
        })
        .await?;
    Ok(At::ok(answer.sequence, answer.value))
}

/// What decides.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PolicyReply {
    /// The pack's hash.
    hash: String,
    since: String,
    /// The last pack that the quorum approved: this one, or the one that it was tightened from.
    base: String,
    /// The pack that decided before.
    from: Option<String>,
    /// Packs that two operators can go back to at once.
    restorable: Vec<RestorableReply>,
    /// The version of the rules in the code.
    rules: u32,
    /// The policies' ids, in the order of the program.
    policies: Vec<String>,
    /// The pack's files.
    files: Vec<String>,
}

/// An approved pack that decides no more.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct RestorableReply {
    /// The pack's hash.
    hash: String,
    left_at: String,
    /// Until then `restore_policy` can go back to it.
    until: String,
}

fn restorable(core: &Core, now: Timestamp) -> Vec<RestorableReply> {
    let until = |left: Timestamp| left.plus(RESTORE_SPAN);
    let reply = |base: &BaseLeft| RestorableReply {
        hash: hex(&base.source.hash),
        left_at: base.left.to_string(),
        until: until(base.left).to_string(),
    };
    core.bases_left().filter(|base| now <= until(base.left)).map(reply).collect()
}

#[utoipa::path(
    get, path = "/v1/policy", tag = "controls", summary = "The policy that decides",
    responses((status = 200, body = PolicyReply)),
)]
pub(super) async fn policy(State(app): State<Shared>) -> Result<At<PolicyReply>, Problem> {
    let answer = app
        .intake
        .ask(|desk| {
            let core = desk.state();
            let policies = core
                .program()
                .map(|program| program.policies().iter().map(|policy| policy.meta.id.to_string()).collect());
            PolicyReply {
                hash: hex(&core.policy_hash()),
                since: core.policy_since().to_string(),
                base: hex(&core.policy_base_hash()),
                from: core.policy_from().map(|from| hex(&from)),
                restorable: restorable(core, desk.time()),
                rules: core.rules(),
                policies: policies.unwrap_or_default(),
                files: core.policy().files.iter().map(|(name, _)| name.clone()).collect(),
            }
        })
        .await?;
    Ok(At::ok(answer.sequence, answer.value))
}

/// All buckets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct BucketsReply {
    /// In whole units of the asset.
    assets: Vec<BucketSetReply>,
    /// In US dollars.
    wallets: Vec<BucketSetReply>,
    /// In US dollars.
    overall: BucketSetReply,
}

/// The buckets of one thing.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct BucketSetReply {
    name: String,
    buckets: Vec<BucketReply>,
}

/// One bucket.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct BucketReply {
    class: String,
    size: String,
    available: String,
    refill_per_hour: String,
}

fn bucket_set(
    name: &str,
    buckets: &Buckets,
    at: Timestamp,
    print: impl Fn(Amount) -> String,
) -> BucketSetReply {
    let one = |class: Class| {
        let bucket = buckets.of(class);
        let spec = bucket.spec();
        BucketReply {
            class: class.name().to_owned(),
            size: print(spec.size),
            available: print(bucket.available(at)),
            refill_per_hour: print(spec.refill_per_hour),
        }
    };
    BucketSetReply { name: name.to_owned(), buckets: Class::ALL.into_iter().map(one).collect() }
}

#[utoipa::path(
    get, path = "/v1/buckets", tag = "controls", summary = "What may still leave, by class",
    responses((status = 200, body = BucketsReply)),
)]
pub(super) async fn buckets(State(app): State<Shared>) -> Result<At<BucketsReply>, Problem> {
    let answer = app
        .intake
        .ask(|desk| {
            let core = desk.state();
            let at = core.refill_time(desk.time());
            let usd = |cents: Amount| cents.to_fixed(2);
            let assets = core.configuration().assets.iter().filter_map(|asset| {
                let buckets = core.asset_buckets(core.asset_index(&asset.spec.symbol)?)?;
                let print = |units: Amount| units.to_fixed(asset.spec.decimals);
                Some(bucket_set(asset.spec.symbol.as_str(), buckets, at, print))
            });
            let wallets = core.configuration().wallets.iter().filter_map(|wallet| {
                let buckets = core.wallet_buckets(core.wallet_index(&wallet.name)?)?;
                Some(bucket_set(wallet.name.as_str(), buckets, at, usd))
            });
            BucketsReply {
                assets: assets.collect(),
                wallets: wallets.collect(),
                overall: bucket_set("overall", core.overall_buckets(), at, usd),
            }
        })
        .await?;
    Ok(At::ok(answer.sequence, answer.value))
}

#[utoipa::path(
    delete, path = "/v1/tokens/{client}", tag = "controls", summary = "Take a client's token out of use",
    description = "Anyone trusted may; issuing one is an act of operators.",
    params(("client" = String, Path)),
    responses((status = 200, body = Recorded), (status = "4XX", description = "Refused")),
)]
pub(super) async fn revoke_token(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(client): Path<String>,
) -> Result<At<Recorded>, Problem> {
    let client: Name = body::path_id(&client)?;
    record(&app, Command::RevokeToken { client, by: caller.client }).await
}
