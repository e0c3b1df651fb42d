//! Transactions: may these bytes be signed? What signers answered. What there is of one.
//!
//! The bytes are read here, once, into everything that they do; the core holds that against what was decided. A release is
//! signed only after its record is durable, and names that record.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use holdfast_authn::encoding::to_base64;
use holdfast_authn::release::{
    Kind, OperatorSignature as Signature, Outcome, Payment, Receipt, Release, SignedAct, open,
};
use holdfast_cedar::PackError;
use holdfast_cedar::second::{KeptFacts, SecondOpinion};
use holdfast_decision::State as Core;
use holdfast_decision::acts::Digest;
use holdfast_decision::command::{
    Command, PolicySource, ProposeTransaction, ProposedOutput, ReceiptOutcome, RecordReceipt, Scope,
};
use holdfast_decision::event::{Approval, Event, Standing, TransactionReleased};
use holdfast_decision::ledger::Transaction;
use holdfast_decision::weigh;
use holdfast_policy::Program;
use holdfast_transactions::{Decoded, PaidAsset, outputs_digest};
use holdfast_values::texts::TransferText;
use holdfast_values::{Name, Network, ReleaseId, Timestamp, WithdrawalId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::data;
use crate::intake::{Desk, Wallets};
use crate::problem::Problem;
use crate::record::chain::id_on_chain;
use crate::record::{hex, unhex};

use crate::views::TransactionDetail;

use super::acts::{SignatureBody, verify};
use super::body::{self, LargeJson};
use super::reply::{At, ReasonReply};
use super::vouchers::Voucher;
use super::{Shared, lists};

/// Which reader of transactions this is: goes up with every change of what it understands.
const READER: u16 = 1;
/// The most withdrawals in one request.
const WITHDRAWALS_MAX: usize = holdfast_decision::BATCH_MAX;

/// A transaction as it would be signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionBody {
    /// The signer that the release is for.
    #[schema(example = "harbor-hot")]
    signer: String,
    /// The wallet that pays.
    #[schema(example = "btc-hot")]
    wallet: String,
    /// The network.
    #[schema(example = "bitcoin")]
    network: String,
    /// The final bytes in base64: a PSBT (BIP-174), or an unsigned EIP-1559 transaction.
    transaction: String,
    /// The withdrawals that it pays, all of them.
    #[serde(default)]
    withdrawals: Vec<String>,
    /// Those of `withdrawals` for which the release is to carry neither assertion nor mandate: a signer that refused a
    /// withdrawal's word (`withdrawal` in its answer) takes it from its unvouched bucket then. Operators' signatures stay.
    #[serde(default)]
    without_word: Vec<String>,
    /// The internal transfer that it is instead.
    #[serde(default)]
    transfer: Option<TransferBody>,
}

/// An internal transfer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    /// holdfast-transfer/v1, byte for byte.
    text: String,
    /// Operators' signatures over its SHA-256: needed if it pays anybody outside the exchange's wallets.
    #[serde(default)]
    signatures: Vec<SignatureBody>,
}

/// Whether it may be signed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct TransactionReply {
    /// `released`, or `dropped`: then it must be built again without some.
    status: &'static str,
    /// The record that says so.
    sequence: u64,
    /// The transaction's digest, in hex.
    digest: String,
    /// What it costs at most, in the network's own units.
    fee: String,
    /// The release's id.
    release_id: Option<String>,
    /// The release, COSE_Sign1 in base64: for the signer.
    release: Option<String>,
    /// From when the release is good.
    not_before: Option<String>,
    /// Until when.
    expires: Option<String>,
    /// What to leave out, and why.
    drop: Vec<DropReply>,
}

/// A withdrawal that this transaction may not pay.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DropReply {
    /// Which.
    withdrawal: String,
    /// `closed`, `not_approved`, `decided_again` or `stopped`.
    why: &'static str,
    /// Where it stands now, if it is open.
    status: Option<&'static str>,
    /// What was decided about it.
    reasons: Vec<ReasonReply>,
}

/// What the core made of it, and what its release needs.
struct Proposed {
    sequence: u64,
    fee: String,
    digest: [u8; 32],
    released: Option<(Box<TransactionReleased>, Box<Draft>)>,
    drop: Vec<DropReply>,
    opinion: Opinion,
}

/// What the policy was asked about each withdrawal: Cedar itself is asked the same once more.
struct Opinion {
    policy: PolicySource,
    asked: Vec<KeptFacts>,
}

/// A release but for the record that it names.
struct Draft {
    exchange: String,
    epoch: u64,
    simulated: bool,
    wallet: Name,
    receipts_seen: u64,
    payments: Vec<(Payment, Voucher)>,
}

#[utoipa::path(
    post, path = "/v1/transactions", tag = "transactions", summary = "Ask whether a transaction may be signed",
    description = "Every output pays one of the named withdrawals exactly, or is change of the wallet; nothing is missing \
                   and nothing extra; then the whole batch is decided again. The answer is a release for the signer, or \
                   which withdrawals to leave out and why. A withdrawal in `without_word` is decided as ever, and spends \
                   here what it would have spent; its release leaves out its owner's word, so that the signer takes it \
                   from its unvouched bucket.",
    request_body = TransactionBody,
    responses((status = 200, body = TransactionReply),
              (status = "4XX", description = "Refused: the bytes are not what they claim to be"),
              (status = 503, description = "Wait for Retry-After and ask again")),
)]
pub(super) async fn propose(
    State(app): State<Shared>,
    LargeJson(body): LargeJson<TransactionBody>,
) -> Result<At<TransactionReply>, Problem> {
    if app.release_key.is_none() {
        return Err(Problem::new("release_key_missing"));
    }
    let wallets = Arc::clone(&app.intake.published().wallets);
    let operators = app.intake.published();
    let random: [u8; 16] = data::random().map_err(|_| Problem::new("internal"))?;
    // Reading a large batch takes a while: not on a thread that answers requests.
    let read = move || {
        let without = without_word(&body)?;
        let approval = match &body.transfer {
            None => None,
            Some(transfer) => {
                let text = TransferText::parse(transfer.text.as_bytes()).map_err(|error| {
                    Problem::new("transfer_text_malformed").field("transfer.text").detail(error)
                })?;
                let signatures = verify(&operators.operators, &text.digest(), &transfer.signatures)?;
                Some(Box::new(Approval { text: text.to_string(), signatures }))
            }
        };
        proposal(&wallets, &body, approval).map(|proposal| (proposal, without))
    };
    let (proposal, without) =
        tokio::task::spawn_blocking(read).await.map_err(|_| Problem::new("internal"))??;
    let proposed = app.intake.ask(move |desk| decide(desk, proposal, &without, random)).await?.value?;
    let sequence = proposed.sequence;
    let finishing = Arc::clone(&app);
    let finish = move || {
        if proposed.released.is_some() {
            ask_cedar(&finishing, &proposed.opinion)?;
        }
        finish(&finishing, proposed).map_err(Unsigned::Problem)
    };
    match tokio::task::spawn_blocking(finish).await.map_err(|_| Problem::new("internal"))? {
        Ok(reply) => Ok(At::ok(reply.sequence, reply)),
        Err(Unsigned::Problem(problem)) => Err(problem.at(sequence)),
        Err(Unsigned::Disagreement(what)) => {
            tracing::error!(%what, "the evaluator and Cedar disagree: everything is halted");
            let by: Name = "second-opinion".parse().map_err(|_| Problem::new("internal"))?;
            super::accounts::record(&app, Command::Halt { scope: Scope::Overall, by }).await?;
            Err(Problem::new("policy_disagreement").at(sequence))
        }
    }
}

/// Why a release that was decided is not signed.
enum Unsigned {
    Problem(Problem),
    Disagreement(String),
}

/// Has Cedar's own authorizer decide the same facts. The release was recorded, but without a signature nobody heeds it.
fn ask_cedar(app: &Shared, opinion: &Opinion) -> Result<(), Unsigned> {
    let broken = |error: PackError| {
        tracing::error!(%error, "Cedar cannot be asked");
        Unsigned::Problem(Problem::new("internal").detail("the policy's second opinion cannot be had"))
    };
    let hash = opinion.policy.hash;
    let known = app.second_opinion.lock().ok().and_then(|known| known.clone());
    let second = match known.filter(|second| second.hash() == hash) {
        Some(second) => second,
        None => {
            let second = Arc::new(SecondOpinion::of(&opinion.policy.files, hash).map_err(broken)?);
            if let Ok(mut known) = app.second_opinion.lock() {
                *known = Some(Arc::clone(&second));
            }
            second
        }
    };
    let program = Program::from_bytes(&opinion.policy.program).map_err(|_| {
        Unsigned::Problem(Problem::new("internal").detail("the policy's program does not load"))
    })?;
    match second.differs(&program, &opinion.asked).map_err(broken)? {
        None => Ok(()),
        Some(what) => Err(Unsigned::Disagreement(what)),
    }
}

/// The withdrawals whose owners' word is to stay here.
fn without_word(body: &TransactionBody) -> Result<BTreeSet<WithdrawalId>, Problem> {
    if body.without_word.len() > body.withdrawals.len() {
        return Err(Problem::new("too_many_items").field("without_word"));
    }
    let mut without = BTreeSet::new();
    for id in &body.without_word {
        if !body.withdrawals.contains(id) {
            let detail = format!("{id} is not one of this transaction's withdrawals");
            return Err(Problem::new("withdrawal_not_named").field("without_word").detail(detail));
        }
        without.insert(body::id("without_word", id)?);
    }
    Ok(without)
}

/// Reads the bytes into a command.
fn proposal(
    wallets: &Wallets,
    body: &TransactionBody,
    transfer: Option<Box<Approval>>,
) -> Result<ProposeTransaction, Problem> {
    let network: Network = body::network("network", &body.network)?;
    let wallet: Name = body::id("wallet", &body.wallet)?;
    let bytes = body::base64("transaction", &body.transaction)?;
    if body.withdrawals.len() > WITHDRAWALS_MAX {
        return Err(Problem::new("too_many_items").field("withdrawals"));
    }
    let withdrawals = body
        .withdrawals
        .iter()
        .map(|id| body::id::<WithdrawalId>("withdrawals", id))
        .collect::<Result<Vec<_>, _>>()?;
    let (names, known) = wallets.on(network).ok_or(Problem::new("wallet_chain_unknown").field("network"))?;
    let payer = names
        .iter()
        .position(|name| *name == wallet)
        .ok_or(Problem::new("wallet_chain_unknown").field("wallet"))?;
    let decoded = holdfast_transactions::decode(&bytes, payer, known)
        .map_err(|error| Problem::new(error.code()).field("transaction").detail(error))?;
    let Decoded { digest, conflict_keys, outputs, fee, .. } = decoded;
    let parts = outputs.iter().map(|output| (Some(&output.destination), &output.asset, output.amount));
    let outputs_digest = Digest(outputs_digest(parts));
    let outputs = outputs
        .into_iter()
        .map(|output| ProposedOutput {
            own: output.own.and_then(|place| names.get(place).cloned()),
            contract: match output.asset {
                PaidAsset::Native => None,
                PaidAsset::Contract(contract) => Some(contract),
            },
            destination: output.destination,
            amount: output.amount,
        })
        .collect();
    Ok(ProposeTransaction {
        release: ReleaseId(0),
        signer: body::id("signer", &body.signer)?,
        wallet,
        network,
        transaction: Digest(digest),
        spends: conflict_keys,
        outputs,
        outputs_digest,
        fee,
        withdrawals,
        transfer,
        reader: READER,
    })
}

/// On the writer's thread: decides, and gathers what the release will say.
fn decide(
    desk: &mut Desk<'_>,
    mut proposal: ProposeTransaction,
    without: &BTreeSet<WithdrawalId>,
    random: [u8; 16],
) -> Result<Proposed, Problem> {
    proposal.release = ReleaseId(desk.mint(random));
    let (fee, digest) = (proposal.fee.base_units().to_string(), proposal.transaction.0);
    let (core, at) = (desk.state(), desk.time());
    let asked = proposal.withdrawals.iter().filter_map(|id| weigh::open(core, at, *id));
    let asked = asked.map(|weighed| KeptFacts::keep(&weighed.facts)).collect();
    let opinion = Opinion { policy: core.policy().clone(), asked };
    let decided = desk.decide(&Command::ProposeTransaction(Box::new(proposal)))?.accepted()?;
    let mut proposed =
        Proposed { sequence: decided.sequence, fee, digest, released: None, drop: Vec::new(), opinion };
    for event in decided.events {
        match event {
            Event::TransactionReleased(released) => {
                let draft = draft(desk.state(), at, &released, without).ok_or(Problem::new("internal"))?;
                proposed.released = Some((released, Box::new(draft)));
            }
            Event::ReleaseDropped { dropped } => {
                proposed.drop = dropped
                    .into_iter()
                    .map(|dropped| {
                        let open = desk.state().withdrawal(dropped.withdrawal);
                        DropReply {
                            withdrawal: dropped.withdrawal.to_string(),
                            why: dropped.why.code(),
                            status: open.map(|open| open.status().name()),
                            reasons: open
                                .map(|open| open.decision.reasons.iter().map(ReasonReply::from).collect())
                                .unwrap_or_default(),
                        }
                    })
                    .collect();
            }
            _ => {}
        }
    }
    Ok(proposed)
}

fn draft(
    core: &Core,
    at: Timestamp,
    released: &TransactionReleased,
    without: &BTreeSet<WithdrawalId>,
) -> Option<Draft> {
    let payment = |id: &WithdrawalId| {
        let approval = core.withdrawal(*id)?.approval.as_deref();
        let payment = Payment {
            intent: core.text_of(*id)?.to_string(),
            approvals: approval.map(signed_act).into_iter().collect(),
            assertion: None,
            mandate: None,
        };
        let voucher = if without.contains(id) { Voucher::None } else { Voucher::of(core, at, *id)? };
        Some((payment, voucher))
    };
    let wallet = core.configuration().wallets.get(usize::from(released.wallet.0))?;
    Some(Draft {
        exchange: core.exchange().to_owned(),
        epoch: core.epoch(),
        simulated: core.is_simulated(),
        wallet: wallet.name.clone(),
        receipts_seen: core.receipts_seen(&released.signer),
        payments: released.withdrawals.iter().map(payment).collect::<Option<_>>()?,
    })
}

pub(super) fn signed_act(approval: &Approval) -> SignedAct {
    let signatures = approval.signatures.iter().map(|signature| Signature {
        operator: signature.operator.name.clone(),
        signature: signature.signature.clone(),
    });
    SignedAct { text: approval.text.clone(), signatures: signatures.collect() }
}

/// After the commit: signs the release, which names the record that holds it.
fn finish(app: &Shared, proposed: Proposed) -> Result<TransactionReply, Problem> {
    let Proposed { sequence, fee, digest, released, drop, .. } = proposed;
    let mut reply = TransactionReply {
        status: "dropped",
        sequence,
        digest: hex(&digest),
        fee,
        release_id: None,
        release: None,
        not_before: None,
        expires: None,
        drop,
    };
    let Some((released, draft)) = released else { return Ok(reply) };
    let record = app.read_record(sequence)?;
    let key = app.release_key.as_ref().ok_or(Problem::new("release_key_missing"))?;
    let mut payments = Vec::with_capacity(draft.payments.len());
    for (mut payment, voucher) in draft.payments {
        voucher.open(app, &mut payment)?;
        payments.push(payment);
    }
    let release = Release {
        id: released.release,
        exchange: draft.exchange.parse().map_err(|_| Problem::new("internal"))?,
        audience: released.signer,
        epoch: draft.epoch,
        sequence,
        head: record.hash,
        policy: record.policy,
        simulated: draft.simulated,
        not_before: released.not_before,
        expires: released.expires,
        network: released.network,
        wallet: draft.wallet,
        transaction: released.transaction.0,
        receipts_seen: draft.receipts_seen,
        payments,
        transfer: released.transfer.map(|transfer| signed_act(&transfer.approval)),
        epochs: Vec::new(),
    };
    reply.status = "released";
    reply.release_id = Some(release.id.to_string());
    let sealed = key.seal(Kind::Release, &release.to_bytes()).map_err(|error| {
        tracing::error!(code = error.code(), %error, "the release key");
        Problem::new("release_key_unavailable").detail(error.code())
    })?;
    reply.release = Some(to_base64(&sealed));
    reply.not_before = Some(release.not_before.to_string());
    reply.expires = Some(release.expires.to_string());
    Ok(reply)
}

/// A signer's receipt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptBody {
    /// COSE_Sign1 in base64, as the signer gave it.
    receipt: String,
}

/// That a receipt was recorded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ReceiptReply {
    /// `authorised` or `voided`.
    kind: &'static str,
    /// The signer's counter in it.
    counter: u64,
    /// The journal's record.
    sequence: u64,
}

#[utoipa::path(
    post, path = "/v1/transactions/receipts", tag = "transactions", summary = "Hand in a signer's receipt",
    description = "That it authorised a transaction, or that it never did and never will pay a withdrawal (`voided`).",
    request_body = ReceiptBody,
    responses((status = 200, body = ReceiptReply), (status = "4XX", description = "Refused")),
)]
pub(super) async fn receipt(
    State(app): State<Shared>,
    LargeJson(body): LargeJson<ReceiptBody>,
) -> Result<At<ReceiptReply>, Problem> {
    let bytes = body::base64("receipt", &body.receipt)?;
    let invalid = |detail: String| Problem::new("receipt_invalid").field("receipt").detail(detail);
    let published = app.intake.published();
    let keys: Vec<[u8; 32]> = published.receipt_keys.values().copied().collect();
    let (payload, key) = open(Kind::Receipt, &bytes, &keys).map_err(|error| invalid(error.to_string()))?;
    let receipt = Receipt::parse(&payload).map_err(|error| invalid(error.to_string()))?;
    if published.receipt_keys.get(&receipt.signer) != Some(&key) {
        return Err(invalid("it is signed with another signer's key".to_owned()));
    }
    let (kind, what) = match receipt.what {
        Outcome::Authorised { network, wallet, transaction, conflict_keys, .. } => (
            "authorised",
            ReceiptOutcome::Authorised {
                wallet,
                network,
                transaction: Digest(transaction),
                spends: conflict_keys,
            },
        ),
        Outcome::Voided { withdrawal } => ("voided", ReceiptOutcome::Voided { withdrawal }),
    };
    let counter = receipt.counter;
    let command = Command::RecordReceipt(Box::new(RecordReceipt {
        signer: receipt.signer,
        exchange: receipt.exchange.to_string(),
        epoch: receipt.epoch,
        counter,
        what,
        receipt: bytes,
    }));
    let recorded = super::accounts::record(&app, command).await?;
    Ok(At::ok(recorded.sequence, ReceiptReply { kind, counter, sequence: recorded.sequence }))
}

/// A transaction that was released.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ReleasedReply {
    /// Its digest, in hex.
    digest: String,
    /// Its last release.
    release_id: String,
    /// For which signer.
    signer: String,
    /// Who pays.
    wallet: String,
    /// Where.
    network: String,
    /// What it spends.
    spends: Vec<String>,
    /// What it costs at most, in the network's own units.
    fee: String,
    /// What it pays.
    withdrawals: Vec<String>,
    /// The internal transfer that it is instead.
    transfer: Option<String>,
    /// Until when its last release is good.
    expires: String,
    /// The signer's receipt was seen.
    signed: bool,
    /// `unseen`, `pending`, `included`, `failed`, `vanished`, `final` or `dead`.
    standing: &'static str,
    /// How many blocks deep.
    confirmations: u32,
    /// Its id on the chain, once it was seen there.
    chain_id: Option<String>,
}

fn released_reply(core: &Core, digest: &Digest, transaction: &Transaction) -> ReleasedReply {
    let wallet = core.configuration().wallets.get(usize::from(transaction.wallet.0));
    ReleasedReply {
        digest: hex(&digest.0),
        release_id: transaction.release.to_string(),
        signer: transaction.signer.to_string(),
        wallet: wallet.map(|wallet| wallet.name.to_string()).unwrap_or_default(),
        network: transaction.network.to_string(),
        spends: transaction.spends.iter().map(ToString::to_string).collect(),
        fee: transaction.fee.base_units().to_string(),
        withdrawals: transaction.withdrawals.iter().map(ToString::to_string).collect(),
        transfer: transaction.transfer.map(|transfer| transfer.to_string()),
        expires: transaction.expires.to_string(),
        signed: transaction.is_signed,
        standing: transaction.standing.name(),
        confirmations: if transaction.standing == Standing::Unseen { 0 } else { transaction.confirmations },
        chain_id: transaction.chain_id.map(|id| id_on_chain(&id.0, transaction.network)),
    }
}

#[utoipa::path(
    get, path = "/v1/transactions/{digest}", tag = "transactions", summary = "A released transaction as it stands",
    params(("digest" = String, Path)),
    responses((status = 200, body = ReleasedReply), (status = 404, description = "There is none")),
)]
pub(super) async fn get(
    State(app): State<Shared>,
    Path(digest): Path<String>,
) -> Result<At<ReleasedReply>, Problem> {
    let digest = unhex(&digest).map(Digest).ok_or(Problem::new("path_invalid"))?;
    let answer = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            core.transaction(&digest).map(|transaction| released_reply(core, &digest, transaction))
        })
        .await?;
    if let Some(reply) = answer.value {
        return Ok(At::ok(answer.sequence, reply));
    }
    // State forgets what is over; the views remember.
    let found = lists::read(&app, Some(answer.sequence), move |views| views.transaction(&digest)).await?;
    let detail = found.row.ok_or(Problem::new("transaction_not_found"))?;
    let reply = row_reply(detail).ok_or(Problem::new("internal").detail("the views do not read"))?;
    Ok(At::ok(found.as_of, reply))
}

fn row_reply(detail: TransactionDetail) -> Option<ReleasedReply> {
    let row = detail.transaction;
    Some(ReleasedReply {
        digest: row.digest,
        release_id: row.release_id.unwrap_or_default(),
        signer: row.signer,
        wallet: row.wallet,
        network: row.network,
        spends: row.spends,
        fee: row.fee_network_units.unwrap_or_default(),
        withdrawals: detail.payments,
        transfer: row.transfer,
        expires: row.expires.unwrap_or_default(),
        signed: row.is_signed,
        standing: Standing::ALL.into_iter().find(|standing| standing.name() == row.standing)?.name(),
        confirmations: row.confirmations,
        chain_id: row.chain_id,
    })
}
