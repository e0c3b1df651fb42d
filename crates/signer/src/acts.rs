//! Operators' texts as this signer understands them: who vouches for a withdrawal, and acts on the signer itself.
//! Signatures, targets and windows are judged here; what an act does is done in [`crate::signer`].

use std::collections::BTreeSet;

use holdfast_authn::release::{SignedAct, verify_act};
use holdfast_values::texts::{ExchangeName, OperatorText};
use holdfast_values::{Micros, Name, TextDigest, Timestamp, WithdrawalId, time};

use crate::pins::Pins;
use crate::refused::Refused;
use crate::store::hex;

/// How long after the end of its window an approval still vouches: what was approved in time may be signed later.
pub(crate) const APPROVAL_GRACE: Micros = 7 * time::DAY;

/// An act on the signer itself, as its text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerAct {
    /// Sign nothing until operators resume: `halt`, target `signer:NAME`, detail `-`, one signature.
    Halt,
    /// Sign again: `resume_signer`, target `signer:NAME`, detail `-`, the threshold of signatures.
    Resume,
    /// Follow Holdfast's journal after it was restored: `begin_epoch`, target `epoch:N`, detail `store=HEX counter=N`.
    BeginEpoch {
        /// Which.
        epoch: u64,
        /// At which receipt of this store its spend records were merged.
        counter: u64,
    },
    /// This copied or restored file is the store from now on: `adopt_store`, target `signer:NAME`, detail
    /// `store=HEX counter=N`.
    AdoptStore {
        /// The last receipt that the file remembers.
        counter: u64,
    },
}

impl SignerAct {
    /// The act as its text names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Resume => "resume_signer",
            Self::BeginEpoch { .. } => "begin_epoch",
            Self::AdoptStore { .. } => "adopt_store",
        }
    }

    const fn signatures(self, threshold: usize) -> usize {
        match self {
            // Anyone trusted can halt alone.
            Self::Halt => 1,
            Self::Resume | Self::BeginEpoch { .. } | Self::AdoptStore { .. } => threshold,
        }
    }
}

/// Reads and proves an act; its nonce is still to be used up.
pub(crate) fn prove(
    pins: &Pins,
    store: &[u8; 16],
    signed: &SignedAct,
    now: Timestamp,
) -> Result<(SignerAct, OperatorText), Refused> {
    let text = OperatorText::parse(signed.text.as_bytes()).map_err(Refused::ActMalformed)?;
    let act = read(pins, &pins.exchange, store, &text)?;
    // Under a simulated clock time stands still between releases: a window cannot begin by itself.
    let begun = pins.simulated_clock || text.window.not_before().timestamp() <= now;
    if !begun || text.window.not_after().timestamp() < now {
        return Err(Refused::ActNotNow);
    }
    let (needed, valid) = (act.signatures(pins.threshold), verify_act(signed, &pins.operators).len());
    if valid < needed { Err(Refused::SignaturesMissing { needed, valid }) } else { Ok((act, text)) }
}

/// What a text asks of this signer, in exactly one spelling.
fn read(
    pins: &Pins,
    exchange: &ExchangeName,
    store: &[u8; 16],
    text: &OperatorText,
) -> Result<SignerAct, Refused> {
    let (target, detail) = (text.target.as_str(), text.detail.as_str());
    let counter = || -> Option<u64> {
        let counter = detail.strip_prefix("store=")?.strip_prefix(&hex(store))?.strip_prefix(" counter=")?;
        canonical(counter)
    };
    let here = target.strip_prefix("signer:") == Some(pins.name.as_str());
    let act = match text.act.as_str() {
        "halt" if here && detail == "-" => Some(SignerAct::Halt),
        "resume_signer" if here && detail == "-" => Some(SignerAct::Resume),
        "adopt_store" if here => counter().map(|counter| SignerAct::AdoptStore { counter }),
        "begin_epoch" => {
            let epoch = target.strip_prefix("epoch:").and_then(canonical);
            epoch.zip(counter()).map(|(epoch, counter)| SignerAct::BeginEpoch { epoch, counter })
        }
        "halt" | "resume_signer" | "adopt_store" => None,
        _ => return Err(Refused::ActUnknown),
    };
    match act {
        Some(act) if text.exchange == *exchange && text.payload.is_none() => Ok(act),
        _ => Err(Refused::ActTarget),
    }
}

/// A number in its one spelling.
fn canonical(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Which pinned operators vouch for exactly this text of a withdrawal, now.
///
/// A text that is about anything else, or signed by nobody pinned, counts as nothing: then the payment is unvouched.
pub fn vouchers(
    pins: &Pins,
    withdrawal: WithdrawalId,
    intent: &str,
    approvals: &[SignedAct],
    now: Timestamp,
) -> BTreeSet<Name> {
    let target = withdrawal.to_string();
    let detail = format!("text={}", TextDigest::of(intent.as_bytes()));
    approvals
        .iter()
        .filter(|signed| {
            OperatorText::parse(signed.text.as_bytes()).is_ok_and(|text| {
                text.exchange == pins.exchange
                    && text.act.as_str() == "approve_withdrawal"
                    && text.target.as_str() == target
                    && text.detail.as_str() == detail
                    && text.payload.is_none()
                    && text.window.not_before().timestamp() <= now
                    && now <= text.window.not_after().timestamp().plus(APPROVAL_GRACE)
            })
        })
        .flat_map(|signed| verify_act(signed, &pins.operators))
        .collect()
}
