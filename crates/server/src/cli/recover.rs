//! `holdfast recover`: the command line of `crate::recovery::Recovery`.

use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_values::{Name, OperatorProof};
use serde_json::{Value, json};

use super::operator::proof;
use super::progress::Bar;
use super::{Failure, finish, pretty};
use crate::data::{self, DataDir};
use crate::record::hex;
use crate::recovery::{Begun, Merge, Payment, Recovery, Signed};

/// A text that operators sign is far smaller.
const TEXT_BYTES_MAX: u64 = 8 << 10;

/// Let a restored journal go on, with what its signers have paid since taken in.
///
/// Each signer states what it has authorised (`holdfast-signer recover`); two operators sign that this very statement
/// begins the new epoch. With --plan nothing is changed: it prints what would be taken in and what to sign. One signer is
/// taken in at a time; the directory may be served from once all are in. See docs/recovery.md.
#[derive(Debug, clap::Args)]
pub struct RecoverArgs {
    /// The restored data directory. No server may be running on it.
    #[arg(long)]
    data: PathBuf,
    /// A signer's signed statement: give one of every signer that is not in yet.
    #[arg(long = "statement", value_name = "FILE")]
    statements: Vec<PathBuf>,
    /// Print what would be taken in and what is to be signed; change nothing.
    #[arg(long, conflicts_with_all = ["text", "signatures"])]
    plan: bool,
    /// The text that the operators signed.
    #[arg(long, requires = "signatures")]
    text: Option<PathBuf>,
    /// Who signed it, once for each: NAME=SIGNATURE, or NAME=FILE with what the operators' page gave.
    #[arg(long = "signature", value_name = "NAME=SIGNATURE|FILE")]
    signatures: Vec<String>,
    /// Leave out what this wallet paid: the restored configuration does not have it yet. Book those payments by hand.
    #[arg(long, value_name = "NAME")]
    without_wallet: Vec<Name>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &RecoverArgs) -> ExitCode {
    finish(recover(args))
}

fn recover(args: &RecoverArgs) -> Result<String, Failure> {
    let mut bar = Bar::new("journal");
    let prepared = Recovery::prepare(
        &DataDir::new(&args.data),
        &args.statements,
        &args.without_wallet,
        !args.plan,
        &mut |at, end| bar.show(at, end),
    );
    bar.clear();
    let recovery = prepared.map_err(Failure::recovery)?;
    if args.plan {
        return Ok(if args.json { plan_json(&recovery) } else { plan_text(args, &recovery) });
    }
    if recovery.merges().is_empty() {
        let epoch = recovery.epoch();
        recovery.finish().map_err(Failure::recovery)?;
        if args.json {
            return Ok(pretty(&json!({ "epoch": epoch, "waiting": [], "servable": true })));
        }
        return Ok(format!(
            "All signers' records are in epoch {epoch}: {} may be served from.\n",
            args.data.display()
        ));
    }
    let Some(path) = &args.text else {
        let message = "give the signed text and its signatures, or --plan to see what is to be signed";
        return Err(Failure::new("text_missing", message));
    };
    let text = data::read_limited(path, TEXT_BYTES_MAX).map_err(|error| Failure::new("file", error))?;
    let signatures = args.signatures.iter().map(|text| signature(text)).collect::<Result<_, _>>()?;
    let begun = recovery.begin(&Signed { text, signatures }).map_err(Failure::recovery)?;
    Ok(if args.json { begun_json(&begun) } else { begun_text(args, &begun) })
}

fn signature(text: &str) -> Result<(Name, OperatorProof), Failure> {
    let (name, signature) = text
        .split_once('=')
        .ok_or_else(|| Failure::new("signature_invalid", "write --signature NAME=SIGNATURE or NAME=FILE"))?;
    let name = name.parse().map_err(|error| Failure::new("signature_invalid", format!("{name}: {error}")))?;
    Ok((name, proof(signature)?))
}

fn plan_json(recovery: &Recovery) -> String {
    let merges: Vec<Value> = recovery.merges().iter().map(merge_json).collect();
    pretty(&json!({
        "exchange": recovery.exchange(), "sequence": recovery.head().sequence,
        "head": hex(&recovery.head().hash), "epoch": recovery.epoch(), "signatures": recovery.signatures(),
        "signers": merges,
    }))
}

fn plan_text(args: &RecoverArgs, recovery: &Recovery) -> String {
    let mut out = format!(
        "{} ends at record {}. It goes on in epoch {}.\n",
        args.data.display(),
        recovery.head().sequence,
        recovery.epoch()
    );
    for merge in recovery.merges() {
        let lines = merge.lines();
        out.push_str(&format!("\nSigner {}, counter {}:\n", merge.signer, merge.counter));
        out.push_str(&describe(merge));
        out.push_str(&format!(
            "  {} operators sign this text (the signer takes the same one):\n    holdfast operator text {} {} \
             --detail \"{}\" --exchange {} --out begin-{}.txt\n",
            recovery.signatures(),
            lines.act,
            lines.target,
            lines.detail,
            recovery.exchange(),
            merge.signer
        ));
    }
    if recovery.merges().is_empty() {
        out.push_str("All signers' records are in: run it again without --plan.\n");
    }
    out.push_str("\nNothing was changed.\n");
    out
}

fn begun_json(begun: &Begun) -> String {
    let mut merged = merge_json(&begun.merge);
    if let Value::Object(fields) = &mut merged {
        let waiting: Vec<String> = begun.waiting.iter().map(ToString::to_string).collect();
        fields.insert("sequence".to_owned(), json!(begun.sequence));
        fields.insert("servable".to_owned(), json!(waiting.is_empty()));
        fields.insert("waiting".to_owned(), json!(waiting));
    }
    pretty(&merged)
}

fn begun_text(args: &RecoverArgs, begun: &Begun) -> String {
    let merge = &begun.merge;
    let mut out =
        format!("Epoch {} begins at record {} with signer {}:\n", merge.epoch, begun.sequence, merge.signer);
    out.push_str(&describe(merge));
    out.push_str(&format!(
        "Now give {} the same text: holdfast-signer act TEXT --signature NAME=SIGNATURE ...\n",
        merge.signer
    ));
    if begun.waiting.is_empty() {
        out.push_str(&format!("All signers' records are in: {} may be served from.\n", args.data.display()));
    } else {
        let waiting: Vec<String> = begun.waiting.iter().map(ToString::to_string).collect();
        out.push_str(&format!("Still missing, each with an act of its own: {}.\n", waiting.join(", ")));
    }
    out
}

fn describe(merge: &Merge) -> String {
    let mut out = String::new();
    if merge.lost_records > 0 {
        out.push_str(&format!(
            "  it has seen {} records that this journal does not have\n",
            merge.lost_records
        ));
    }
    out.push_str(&format!("  {} spends were settled in this journal\n", merge.settled));
    list(&mut out, "open here and authorised there; they count as released", &merge.released);
    list(&mut out, "LOST from this journal and authorised: book them by hand", &merge.lost);
    list(&mut out, "left out, of wallets that are not configured: book them by hand", &merge.left_out);
    if !merge.voided.is_empty() {
        out.push_str(&format!("  {} voided:\n", merge.voided.len()));
        for id in &merge.voided {
            out.push_str(&format!("    {id}\n"));
        }
    }
    if !merge.unknown_transfers.is_empty() {
        out.push_str(&format!(
            "  {} internal transactions that this journal does not know: when a watcher reports them, their wallet halts\n",
            merge.unknown_transfers.len()
        ));
    }
    out
}

fn list(out: &mut String, what: &str, payments: &[Payment]) {
    if payments.is_empty() {
        return;
    }
    out.push_str(&format!("  {} {what}:\n", payments.len()));
    for payment in payments {
        let text = &payment.text;
        let memo = text.destination.memo().map(|memo| format!(" memo {memo}")).unwrap_or_default();
        let differs = if payment.differs { "  DIFFERS from what is open here" } else { "" };
        out.push_str(&format!(
            "    {}  account {}  {} {} to {} on {}{memo}, authorised {}{differs}\n",
            payment.withdrawal,
            text.account,
            text.amount.to_fixed(text.decimals),
            text.asset,
            text.destination.address(),
            payment.network,
            payment.at,
        ));
    }
}

fn merge_json(merge: &Merge) -> Value {
    let lines = merge.lines();
    let payments = |payments: &[Payment]| -> Vec<Value> { payments.iter().map(payment_json).collect() };
    let voided: Vec<String> = merge.voided.iter().map(ToString::to_string).collect();
    json!({
        "signer": merge.signer.to_string(), "epoch": merge.epoch, "store": hex(&merge.store),
        "counter": merge.counter, "act": lines.act, "target": lines.target, "detail": lines.detail,
        "lost_records": merge.lost_records, "settled": merge.settled, "released": payments(&merge.released),
        "lost": payments(&merge.lost), "left_out": payments(&merge.left_out), "voided": voided,
        "unknown_transfers": merge.unknown_transfers,
    })
}

fn payment_json(payment: &Payment) -> Value {
    let text = &payment.text;
    json!({
        "withdrawal": payment.withdrawal.to_string(), "account": text.account.to_string(),
        "asset": text.asset.to_string(), "network": payment.network.name(),
        "address": text.destination.address(), "memo": text.destination.memo().map(|memo| memo.to_string()),
        "amount": text.amount.to_fixed(text.decimals), "wallet": payment.wallet.to_string(),
        "authorised_at": payment.at.to_string(), "transactions": payment.transactions,
        "differs": payment.differs, "text": text.to_string(),
    })
}
