//! What a demonstration or a test does to the networks. Everything under `/control`, JSON in and out, no token: bind
//! it to a loopback address.
//!
//! - `GET  /control` networks, heights, what waits.
//! - `POST /control/{network}/fund` `{"to":[{"address","amount","contract"?}], "count"?}`: amounts in the network's own
//!   units as text; on Bitcoin `count` outputs each, in one transaction that is mined at once.
//! - `POST /control/{network}/mine` `{"blocks"?}`; `POST /control/{network}/interval` `{"ms":n|null}`.
//! - `POST /control/{network}/fees` `{"least"}`: satoshi for 1000 vbytes under which nothing is mined, or the base fee.
//! - `POST /control/{network}/reorganise` `{"depth","drop"?:[id],"replace"?:[raw hex],"again"?}`.
//! - `POST /control/{network}/fail` `{"transaction"}` or `{"next":n}` (EVM only).
//! - `POST /control/{network}/paid` `{"from"?:[address],"to"?:[address]}`, or `GET` with the same comma-separated: what
//!   really went from these addresses (all but the treasury, if absent) to those (any but `from`, if absent).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bitcoin::consensus::encode::deserialize;
use bitcoin::hex::FromHex as _;
use bitcoin::{Address, ScriptBuf, Transaction, TxOut};
use holdfast_values::{Destination, Network};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chain::account::{self, transaction::Signed};
use crate::chain::{BODY_BYTES_MAX, Chains, Ledger, utxo};

/// Blocks that one request mines.
const MINE_MAX: u32 = 10_000;
/// Outputs that one request funds.
const FUND_MAX: usize = 2_000;

type Refused = (StatusCode, Json<Value>);
type Done = Result<Json<Value>, Refused>;

fn refused(why: impl ToString) -> Refused {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why.to_string() })))
}

/// Milliseconds between blocks, and a count of changes, which ends the task of the interval before.
type Interval = (Option<u64>, u64);

/// The networks, and how often each mines by itself.
#[derive(Clone)]
pub(crate) struct Control {
    chains: Chains,
    intervals: Arc<Mutex<BTreeMap<Network, Interval>>>,
}

fn network(text: &str) -> Result<Network, Refused> {
    text.parse().map_err(refused)
}

impl Control {
    /// Of these networks; none mines by itself.
    pub(crate) fn new(chains: Chains) -> Self {
        Self { chains, intervals: Arc::default() }
    }

    /// The routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/control", get(show))
            .route("/control/{network}/fund", post(fund))
            .route("/control/{network}/mine", post(mine))
            .route("/control/{network}/interval", post(interval))
            .route("/control/{network}/fees", post(fees))
            .route("/control/{network}/reorganise", post(reorganise))
            .route("/control/{network}/fail", post(fail))
            .route("/control/{network}/paid", get(paid_query).post(paid))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self)
    }

    /// Mines a block each so many milliseconds, or only when asked.
    pub(crate) fn set_interval(&self, network: Network, ms: Option<u64>) {
        let turn = {
            let mut intervals = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = intervals.entry(network).or_default();
            *entry = (ms, entry.1.saturating_add(1));
            *entry
        };
        let (Some(ms), control) = (ms, self.clone()) else { return };
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                let now = {
                    let intervals = control.intervals.lock().unwrap_or_else(PoisonError::into_inner);
                    intervals.get(&network).copied()
                };
                if now != Some(turn) {
                    break;
                }
                control.chains.mine(network);
            }
        });
    }

    fn with<T>(
        &self,
        name: &str,
        run: impl FnOnce(Network, &mut Ledger) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let network = network(name)?;
        let mut ledger = self.chains.ledger(network).ok_or_else(|| refused("no such network here"))?;
        run(network, &mut ledger)
    }
}

async fn show(State(control): State<Control>) -> Json<Value> {
    let networks = control.chains.networks().filter_map(|network| {
        let (height, waiting) = match &*control.chains.ledger(network)? {
            Ledger::Utxo(ledger) => (u64::from(ledger.height()), ledger.pool().len()),
            Ledger::Account(ledger) => (ledger.height(), ledger.pool().len()),
        };
        Some((network.name().to_owned(), json!({ "height": height, "waiting": waiting })))
    });
    Json(Value::Object(networks.collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FundBody {
    to: Vec<FundTo>,
    #[serde(default = "one")]
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FundTo {
    address: String,
    amount: String,
    contract: Option<String>,
}

const fn one() -> usize {
    1
}

async fn fund(State(control): State<Control>, Path(name): Path<String>, Json(body): Json<FundBody>) -> Done {
    if body.to.len().saturating_mul(body.count) > FUND_MAX || body.count == 0 {
        return Err(refused(format!("1 to {FUND_MAX} outputs at a time")));
    }
    control.with(&name, |network, ledger| match ledger {
        Ledger::Utxo(ledger) => {
            let mut outputs = Vec::new();
            for FundTo { address, amount, .. } in &body.to {
                let value = amount.parse().map(bitcoin::Amount::from_sat).map_err(refused)?;
                let script_pubkey = ledger.address(address).map_err(|failure| refused(failure.message))?;
                outputs.extend(core::iter::repeat_n(TxOut { value, script_pubkey }, body.count));
            }
            let id = ledger.fund(outputs).map_err(refused)?;
            Ok(Json(json!({ "transaction": id.to_string(), "height": ledger.height() })))
        }
        Ledger::Account(ledger) => {
            for FundTo { address, amount, contract } in &body.to {
                let address = account_of(network, address)?;
                let amount: u128 = amount.parse().map_err(refused)?;
                match contract {
                    None => ledger.fund(address, amount),
                    Some(contract) => {
                        if !ledger.fund_token(&account_of(network, contract)?, address, amount) {
                            return Err(refused("no such token here: name it with --token"));
                        }
                    }
                }
            }
            Ok(Json(json!({ "height": ledger.height() })))
        }
    })
}

fn account_of(network: Network, text: &str) -> Result<account::Address, Refused> {
    let destination = Destination::parse(network, text, None).map_err(refused)?;
    account::address(destination.address()).ok_or_else(|| refused("not an address"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MineBody {
    #[serde(default = "one_block")]
    blocks: u32,
}

const fn one_block() -> u32 {
    1
}

async fn mine(State(control): State<Control>, Path(name): Path<String>, Json(body): Json<MineBody>) -> Done {
    if body.blocks > MINE_MAX {
        return Err(refused(format!("at most {MINE_MAX} blocks at a time")));
    }
    let network = network(&name)?;
    let mut last = None;
    for _ in 0..body.blocks {
        last = Some(control.chains.mine(network).ok_or_else(|| refused("no such network here"))?);
    }
    Ok(Json(json!({ "hash": last })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntervalBody {
    ms: Option<u64>,
}

async fn interval(
    State(control): State<Control>,
    Path(name): Path<String>,
    Json(body): Json<IntervalBody>,
) -> Done {
    let network = network(&name)?;
    if control.chains.ledger(network).is_none() {
        return Err(refused("no such network here"));
    }
    if body.ms == Some(0) {
        return Err(refused("at least a millisecond, or null to mine only when asked"));
    }
    control.set_interval(network, body.ms);
    Ok(Json(json!({ "ms": body.ms })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeesBody {
    least: String,
}

async fn fees(State(control): State<Control>, Path(name): Path<String>, Json(body): Json<FeesBody>) -> Done {
    control.with(&name, |_, ledger| {
        match ledger {
            Ledger::Utxo(ledger) => ledger.mining_rate = body.least.parse().map_err(refused)?,
            Ledger::Account(ledger) => ledger.base_fee = body.least.parse().map_err(refused)?,
        }
        Ok(Json(json!({ "least": body.least })))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReorganiseBody {
    depth: u32,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    replace: Vec<String>,
    #[serde(default)]
    again: bool,
}

async fn reorganise(
    State(control): State<Control>,
    Path(name): Path<String>,
    Json(body): Json<ReorganiseBody>,
) -> Done {
    control.with(&name, |_, ledger| match ledger {
        Ledger::Utxo(ledger) => {
            let transaction = |text: &String| {
                let bytes = Vec::from_hex(text).map_err(refused)?;
                deserialize::<Transaction>(&bytes).map_err(refused)
            };
            let how = utxo::ledger::Reorganisation {
                depth: body.depth,
                drop: body.drop.iter().map(|id| id.parse().map_err(refused)).collect::<Result<_, _>>()?,
                replace: body.replace.iter().map(transaction).collect::<Result<_, _>>()?,
                again: body.again,
            };
            ledger.reorganise(&how).map_err(refused)?;
            Ok(Json(json!({ "height": ledger.height() })))
        }
        Ledger::Account(ledger) => {
            let hash = |text: &String| {
                let bytes = account::unhex(text).and_then(|bytes| bytes.try_into().ok());
                bytes.ok_or_else(|| refused("a hash is 0x and 64 hexadecimal digits"))
            };
            let signed = |text: &String| {
                let bytes = account::unhex(text).ok_or_else(|| refused("0x and hexadecimal digits"))?;
                Signed::parse(&bytes).map_err(refused)
            };
            let how = account::ledger::Reorganisation {
                depth: u64::from(body.depth),
                drop: body.drop.iter().map(hash).collect::<Result<_, _>>()?,
                replace: body.replace.iter().map(signed).collect::<Result<_, _>>()?,
                again: body.again,
            };
            ledger.reorganise(how).map_err(refused)?;
            Ok(Json(json!({ "height": ledger.height() })))
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailBody {
    transaction: Option<String>,
    next: Option<u32>,
}

async fn fail(State(control): State<Control>, Path(name): Path<String>, Json(body): Json<FailBody>) -> Done {
    control.with(&name, |_, ledger| {
        let Ledger::Account(ledger) = ledger else { return Err(refused("nothing fails on Bitcoin")) };
        if let Some(text) = &body.transaction {
            let hash = account::unhex(text).and_then(|bytes| bytes.try_into().ok());
            ledger.failing.insert(hash.ok_or_else(|| refused("a hash is 0x and 64 hexadecimal digits"))?);
        }
        ledger.fail_next = ledger.fail_next.saturating_add(body.next.unwrap_or(0));
        Ok(Json(json!({ "next": ledger.fail_next })))
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaidBody {
    from: Option<Vec<String>>,
    to: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaidQuery {
    from: Option<String>,
    to: Option<String>,
}

/// What went to one address.
#[derive(Default, Serialize)]
struct Paid {
    /// In blocks, in the network's units.
    amount: u128,
    /// Waiting.
    pending: u128,
    /// By which transactions in blocks.
    transactions: Vec<String>,
    /// Each of its outputs in blocks.
    outputs: Vec<PaidOutput>,
}

#[derive(Serialize)]
struct PaidOutput {
    transaction: String,
    amount: String,
}

async fn paid_query(state: State<Control>, path: Path<String>, Query(query): Query<PaidQuery>) -> Done {
    let list = |text: Option<String>| text.map(|text| text.split(',').map(str::to_owned).collect());
    paid(state, path, Json(PaidBody { from: list(query.from), to: list(query.to) })).await
}

async fn paid(State(control): State<Control>, Path(name): Path<String>, Json(body): Json<PaidBody>) -> Done {
    control.with(&name, |network, ledger| {
        // By contract, or "" for the coin, and address.
        let mut sums: BTreeMap<(String, String), Paid> = BTreeMap::new();
        match ledger {
            Ledger::Utxo(ledger) => paid_utxo(ledger, &body, &mut sums)?,
            Ledger::Account(ledger) => paid_account(network, ledger, &body, &mut sums)?,
        }
        let rows = sums.into_iter().map(|((contract, address), paid)| {
            json!({
                "address": address,
                "contract": if contract.is_empty() { Value::Null } else { json!(contract) },
                "amount": paid.amount.to_string(),
                "pending": paid.pending.to_string(),
                "transactions": paid.transactions,
                "outputs": paid.outputs,
            })
        });
        Ok(Json(json!({ "paid": rows.collect::<Vec<_>>() })))
    })
}

fn count(
    sums: &mut BTreeMap<(String, String), Paid>,
    key: (String, String),
    amount: u128,
    mined: bool,
    id: &str,
) {
    let paid = sums.entry(key).or_default();
    if mined {
        paid.amount = paid.amount.saturating_add(amount);
        paid.outputs.push(PaidOutput { transaction: id.to_owned(), amount: amount.to_string() });
        if paid.transactions.last().is_none_or(|last| last != id) {
            paid.transactions.push(id.to_owned());
        }
    } else {
        paid.pending = paid.pending.saturating_add(amount);
    }
}

fn paid_utxo(
    ledger: &utxo::ledger::Ledger,
    body: &PaidBody,
    sums: &mut BTreeMap<(String, String), Paid>,
) -> Result<(), Refused> {
    let scripts = |list: &Option<Vec<String>>| {
        let list = list.as_ref()?;
        let scripts =
            list.iter().map(|text| ledger.address(text).map_err(|failure| refused(failure.message)));
        Some(scripts.collect::<Result<BTreeSet<ScriptBuf>, Refused>>())
    };
    let (from, to) = (scripts(&body.from).transpose()?, scripts(&body.to).transpose()?);
    let mined = (0..=ledger.height()).filter_map(|height| ledger.block(height));
    let mined = mined.flat_map(|block| block.transactions.iter().skip(1).map(|id| (*id, true)));
    for (id, mined) in mined.chain(ledger.pool().into_iter().map(|(id, _)| (id, false))) {
        let Some(transaction) = ledger.transaction(id) else { continue };
        let mut inputs = transaction.input.iter().filter_map(|input| ledger.previous(input.previous_output));
        let pays = inputs.any(|spent| match &from {
            Some(from) => from.contains(&spent.script_pubkey),
            None => !utxo::ledger::is_treasury(&spent.script_pubkey),
        });
        for output in transaction.output.iter().filter(|_| pays) {
            let script = &output.script_pubkey;
            let wanted = match (&to, &from) {
                (Some(to), _) => to.contains(script),
                (None, Some(from)) => !from.contains(script),
                (None, None) => true,
            };
            if wanted {
                let address = Address::from_script(script, ledger.network);
                let address = address.map_or_else(|_| script.to_hex_string(), |address| address.to_string());
                let amount = u128::from(output.value.to_sat());
                count(sums, (String::new(), address), amount, mined, &id.to_string());
            }
        }
    }
    Ok(())
}

fn paid_account(
    network: Network,
    ledger: &account::ledger::Ledger,
    body: &PaidBody,
    sums: &mut BTreeMap<(String, String), Paid>,
) -> Result<(), Refused> {
    let accounts = |list: &Option<Vec<String>>| {
        let list = list.as_ref()?;
        Some(list.iter().map(|text| account_of(network, text)).collect::<Result<BTreeSet<_>, Refused>>())
    };
    let (from, to) = (accounts(&body.from).transpose()?, accounts(&body.to).transpose()?);
    let spelled = |address: &account::Address| {
        let text = account::hex(address);
        let checked = Destination::parse(network, &text, None).ok();
        checked.map_or(text, |destination| destination.address().to_owned())
    };
    let mut add =
        |signed: &Signed, contract: String, receiver: &account::Address, amount: u128, mined: bool| {
            let pays = from.as_ref().is_none_or(|from| from.contains(&signed.sender));
            let wanted = match (&to, &from) {
                (Some(to), _) => to.contains(receiver),
                (None, Some(from)) => !from.contains(receiver),
                (None, None) => true,
            };
            if pays && wanted && amount > 0 {
                count(sums, (contract, spelled(receiver)), amount, mined, &account::hex(&signed.hash));
            }
        };
    for mined in (0..=ledger.height()).filter_map(|number| ledger.block(number)).flat_map(|b| &b.transactions)
    {
        if mined.succeeded {
            add(&mined.signed, String::new(), &mined.signed.to, mined.signed.value, true);
        }
        if let Some((contract, receiver, amount)) = &mined.token {
            add(&mined.signed, spelled(contract), receiver, *amount, true);
        }
    }
    for signed in ledger.pool() {
        add(signed, String::new(), &signed.to, signed.value, false);
        if let Some((receiver, amount)) =
            signed.token_transfer().filter(|_| ledger.token(&signed.to).is_some())
        {
            add(signed, spelled(&signed.to), &receiver, amount, false);
        }
    }
    Ok(())
}
