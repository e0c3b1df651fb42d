//! What watchers of chains report, under a token of its own. What it means is decided by the core, one observation a
//! record, in the order given.

use axum::extract::State;
use holdfast_decision::State as Core;
use holdfast_decision::acts::Digest;
use holdfast_decision::command::{ChainStatus, Command, Observation};
use holdfast_decision::event::{Event, Events, Standing};
use holdfast_transactions::{PaidAsset, outputs_digest};
use holdfast_values::{Amount, ConflictKey, Destination, Name, Network};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::intake::Desk;
use crate::problem::Problem;
use crate::record::{hex, unhex};

use super::Shared;
use super::body::{self, LargeJson};
use super::reply::At;

/// The most observations in one request.
const OBSERVATIONS_MAX: usize = 500;
/// The most inputs or outputs of one transaction.
const PARTS_MAX: usize = 20_000;

/// What a watcher saw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ObservationsBody {
    /// On which network.
    #[schema(example = "bitcoin")]
    network: String,
    /// Of which wallet: each transaction here spends its coins.
    #[schema(example = "btc-hot")]
    wallet: String,
    /// At most 500, in the order in which they were seen.
    observations: Vec<ObservationBody>,
}

/// One transaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ObservationBody {
    /// Its id, in hex as explorers write it.
    transaction: String,
    /// Everything that it spends: `TXID:VOUT`, or `CHAIN:0xSENDER:NONCE`.
    spends: Vec<String>,
    /// Everything that it pays, in order.
    outputs: Vec<OutputBody>,
    /// `pending`, `included`, `failed` or `vanished`.
    status: StatusBody,
    /// How many blocks deep: 1 for the newest block; 0 outside of blocks.
    confirmations: u32,
    /// The block's height, for people.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from watchers that know it; nothing is matched by it")]
    height: Option<u64>,
    /// The block's hash, for people.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted from watchers that know it; nothing is matched by it")]
    block: Option<String>,
}

/// One output.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OutputBody {
    /// Who is paid; null if it is no address.
    address: Option<String>,
    /// The token's contract; null for the network's own coin.
    #[serde(default)]
    contract: Option<String>,
    /// In the network's own units, a decimal text.
    #[schema(example = "75000000")]
    amount: String,
}

/// Where a node has it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StatusBody {
    Pending,
    Included,
    Failed,
    Vanished,
}

/// What came of each.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ObservationsReply {
    /// The last record.
    sequence: u64,
    /// In the order given.
    results: Vec<ObservationReply>,
}

/// What came of one.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ObservationReply {
    /// Its id, as given.
    transaction: String,
    /// The digest of the released transaction that it is.
    matched: Option<String>,
    /// `broadcast`, `confirmed`, `final`, `reorganised`, `failed`, `unknown_spend`, `deep_reorganisation` or `nothing`.
    effect: &'static str,
}

#[utoipa::path(
    post, path = "/v1/chain/observations", tag = "transactions", summary = "Report what a chain shows",
    description = "Every transaction that spends a watched wallet's coins, each time its standing changes until it is \
                   final. It is recognised by all that it spends and pays, never by its id. One that nobody released halts \
                   the wallet. The same may be reported any number of times.",
    request_body = ObservationsBody,
    responses((status = 200, body = ObservationsReply), (status = "4XX", description = "Refused: nothing was recorded")),
)]
pub(super) async fn observe(
    State(app): State<Shared>,
    LargeJson(body): LargeJson<ObservationsBody>,
) -> Result<At<ObservationsReply>, Problem> {
    let network: Network = body::network("network", &body.network)?;
    let wallet: Name = body::id("wallet", &body.wallet)?;
    if body.observations.len() > OBSERVATIONS_MAX {
        return Err(Problem::new("too_many_items").field("observations"));
    }
    let read = |seen: &ObservationBody| Ok((seen.transaction.clone(), observation(network, &wallet, seen)?));
    let seen = body.observations.iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
    let answer = app.intake.ask(move |desk| record(desk, seen)).await?;
    let results = answer.value?;
    Ok(At::ok(answer.sequence, ObservationsReply { sequence: answer.sequence, results }))
}

fn observation(network: Network, wallet: &Name, seen: &ObservationBody) -> Result<Observation, Problem> {
    let invalid = |field: &str, detail: &str| Problem::new("observation_invalid").field(field).detail(detail);
    let is_bitcoin = network.chain_id().is_none();
    let digits =
        if is_bitcoin { Some(seen.transaction.as_str()) } else { seen.transaction.strip_prefix("0x") };
    let mut chain_id: [u8; 32] = digits
        .and_then(unhex)
        .ok_or_else(|| invalid("transaction", "32 bytes in hex, with 0x on EVM networks"))?;
    if is_bitcoin {
        chain_id.reverse();
    }
    if seen.spends.is_empty() || seen.spends.len().max(seen.outputs.len()) > PARTS_MAX {
        return Err(invalid("spends", "1 to 20000 of what it spends, at most 20000 outputs"));
    }
    let mut spends = seen
        .spends
        .iter()
        .map(|text| text.parse::<ConflictKey>().map_err(|error| invalid("spends", &error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    spends.sort_unstable();
    spends.dedup();
    let outputs = seen
        .outputs
        .iter()
        .map(|output| {
            let address = output.address.as_deref();
            let destination = address.map(|address| body::destination(network, address, None)).transpose()?;
            let asset = match &output.contract {
                None => PaidAsset::Native,
                Some(contract) => {
                    PaidAsset::Contract(body::destination(network, contract, None)?.address().into())
                }
            };
            let amount = Amount::parse(&output.amount, 0)
                .map_err(|error| body::amount_problem(error).field("outputs"))?;
            Ok((destination, asset, amount))
        })
        .collect::<Result<Vec<(Option<Destination>, PaidAsset, Amount)>, Problem>>()?;
    let parts = outputs.iter().map(|(destination, asset, amount)| (destination.as_ref(), asset, *amount));
    let status = match seen.status {
        StatusBody::Pending => ChainStatus::Pending,
        StatusBody::Included => ChainStatus::Included,
        StatusBody::Failed => ChainStatus::Failed,
        StatusBody::Vanished => ChainStatus::Vanished,
    };
    let in_block = matches!(status, ChainStatus::Included | ChainStatus::Failed);
    if in_block == (seen.confirmations == 0) {
        return Err(invalid("confirmations", "at least 1 in a block, and 0 outside"));
    }
    Ok(Observation {
        wallet: wallet.clone(),
        network,
        chain_id,
        spends,
        outputs: Digest(outputs_digest(parts)),
        status,
        confirmations: seen.confirmations,
    })
}

/// On the writer's thread: all of them or, if one cannot be, none.
fn record(desk: &mut Desk<'_>, seen: Vec<(String, Observation)>) -> Result<Vec<ObservationReply>, Problem> {
    if let Some((_, first)) = seen.first() {
        known_chain(desk.state(), first)?;
    }
    let mut results = Vec::with_capacity(seen.len());
    for (transaction, observation) in seen {
        let command = Command::RecordObservation(Box::new(observation));
        let decided = desk.decide(&command)?.accepted()?;
        let (matched, effect) = effect(&decided.events);
        results.push(ObservationReply { transaction, matched, effect });
    }
    Ok(results)
}

fn known_chain(core: &Core, first: &Observation) -> Result<(), Problem> {
    let wallet = core.wallet_index(&first.wallet).ok_or(Problem::new("wallet_unknown").field("wallet"))?;
    let wallet = core.configuration().wallets.get(usize::from(wallet.0));
    let chain = wallet.and_then(|wallet| wallet.on(first.network));
    chain.map(|_| ()).ok_or(Problem::new("wallet_chain_unknown").field("network"))
}

fn effect(events: &Events) -> (Option<String>, &'static str) {
    for event in events {
        match event {
            Event::TransactionObserved { transaction, standing, .. } if *standing != Standing::Dead => {
                let failed = events.iter().any(|event| {
                    matches!(event, Event::WithdrawalMoved { status, .. } if status.name() == "failed")
                });
                let effect = match standing {
                    Standing::Final if failed => "failed",
                    Standing::Final => "final",
                    Standing::Included => "confirmed",
                    Standing::Failed => "failed",
                    Standing::Vanished => "reorganised",
                    _ => "broadcast",
                };
                return (Some(hex(&transaction.0)), effect);
            }
            Event::ChainAlarm { alarm, .. } => return (None, alarm.name()),
            _ => {}
        }
    }
    (None, "nothing")
}
