//! What the signer reads besides releases: its pinned file, frames on its socket, and auditors' files.

use core::fmt::Debug;
use holdfast_values::OperatorPublicKey;
use std::path::Path;

use holdfast_signer::pins::AGEING_MIN;
use holdfast_signer::wire::{
    ANSWER_BYTES_MAX, Answer, REQUEST_BYTES_MAX, Request, parse, read_frame, write_frame,
};
use holdfast_signer::{Pins, audit};
use holdfast_transactions::Wallet;
use minicbor::{Decode, Encode};

pub(super) fn pins(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let path = Path::new("signer.toml");
    let Ok(pins) = Pins::parse(text, path) else { return false };
    let again = Pins::parse(text, path).ok();
    assert_eq!(again.as_ref().map(seen), Some(seen(&pins)), "means the same twice");
    assert!(
        pins.threshold >= 2 && pins.operators.keys.len() >= pins.threshold,
        "nobody loosens anything alone"
    );
    let mut operators = pins.operators.keys.values();
    assert!(!operators.any(|operator| {
        let is_same = |key: &[u8; 32]| *operator == OperatorPublicKey::Ed25519(*key);
        pins.release_keys.iter().any(is_same)
    }));
    let has_passkey = pins.operators.keys.values().any(OperatorPublicKey::is_passkey);
    assert!(!has_passkey || pins.operators.party.is_some(), "passkeys sign somewhere");
    for (name, network, fees) in pins.payers() {
        let payer = pins.payer(network, name);
        assert_eq!(payer.and_then(|payer| payer.pin.fees), Some(fees), "a payer is found by its name");
        assert!(payer.is_some_and(|payer| payer.known.iter().all(|wallet| wallet.network() == network)));
        assert_eq!(payer.and_then(|payer| pins.wallet_name(network, payer.index)), Some(name));
    }
    for (symbol, network, asset) in pins.assets() {
        let found = pins.asset(symbol, network);
        assert_eq!(found.map(|found| &found.paid), Some(&asset.paid), "an asset is found by its symbol");
    }
    if let Some(approval) = &pins.approval {
        assert!(approval.ageing >= AGEING_MIN, "nothing counts at once");
        assert!(approval.party(false).app_id.is_none() && !approval.party(false).origins.is_empty());
    }
    true
}

/// Assertions in a file: what is judged is judged the same twice, and a list of one is the one.
pub(super) fn assertions(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let Ok(checked) = audit::check(text) else { return false };
    assert_eq!(audit::check(text).as_ref(), Ok(&checked), "means the same twice");
    if let [one] = &checked[..]
        && !text.trim_start().starts_with('[')
    {
        assert_eq!(audit::check(&format!("[{text}]")).as_deref(), Ok(&[one.clone()][..]));
    }
    true
}

/// Everything that can be seen of a pinned file.
fn seen(pins: &Pins) -> String {
    let head = (&pins.exchange, &pins.name, pins.simulated_clock, pins.store, &pins.receipt_key_file);
    let keys =
        (&pins.approval, &pins.release_keys, pins.release_lifetime_max, pins.threshold, &pins.operators);
    let first = |wallet: &Wallet| (wallet.address_at(0, 0), wallet.evm_address());
    let payers = pins.payers().map(|(name, network, fees)| {
        let known = pins.payer(network, name).map(|payer| payer.known.iter().map(first).collect::<Vec<_>>());
        (name, network, fees, known)
    });
    let assets = pins.assets().collect::<Vec<_>>();
    format!("{head:?} {keys:?} {:?} {assets:?}", payers.collect::<Vec<_>>())
}

pub(super) fn wire(bytes: &[u8]) -> bool {
    // As the server reads: frame after frame, until one is cut off or too long.
    let mut rest = bytes;
    let mut accepted = false;
    while let Ok(Some(frame)) = read_frame(&mut rest, REQUEST_BYTES_MAX) {
        assert!(frame.len() <= bytes.len(), "a frame is no longer than what was sent");
        if let Some(request) = again::<Request>(&frame, REQUEST_BYTES_MAX) {
            accepted = true;
            if let Request::Act(act) = request {
                assert!(act.into_signed().is_none_or(|signed| signed.signatures.len() <= 16));
            }
        }
        // As the client reads the answer.
        accepted |= again::<Answer>(&frame, ANSWER_BYTES_MAX).is_some();
    }
    accepted
}

/// A message that is read is written as something that reads as itself.
fn again<T>(frame: &[u8], max: usize) -> Option<T>
where
    T: for<'b> Decode<'b, ()> + Encode<()> + Debug + PartialEq,
{
    let message: T = parse(frame)?;
    assert!(parse::<T>(&[frame, &[0]].concat()).is_none(), "nothing stands behind it");
    let mut written = Vec::new();
    assert!(write_frame(&mut written, &message).is_ok());
    let back = read_frame(&mut &written[..], max).ok().flatten().unwrap_or_default();
    assert_eq!(parse::<T>(&back).as_ref(), Some(&message), "comes back");
    Some(message)
}
