//! What can be checked of a release and a transaction without a store and without a clock: whose word it is, what the
//! bytes do, and that they pay exactly what the texts say. Pure.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_authn::release::{self, Kind, Release, SignedAct, verify_act};
use holdfast_transactions::{Decoded, PaidAsset, decode};
use holdfast_values::texts::{TransferText, WithdrawalText};
use holdfast_values::{Amount, AssetSymbol, Destination, Network, Timestamp, time};

use crate::approve::{self, Word};
use crate::pins::{FeeBounds, Payer, PinnedAsset, Pins};
use crate::refused::Refused;

/// A release that says what the transaction does. Whether it is fresh and not yet spent is not known.
#[derive(Debug)]
pub struct Examined {
    /// The release.
    pub release: Release,
    /// What the transaction does.
    pub decoded: Decoded,
    /// The texts of `release.payments`, in their order.
    pub payments: Vec<WithdrawalText>,
    /// What their owners' keys say to each of them: not yet whether it counts.
    pub words: Vec<Word>,
    /// The text of `release.transfer`.
    pub transfer: Option<TransferText>,
    /// What bounds the fees of the wallet that pays.
    pub fees: FeeBounds,
}

/// What one output must be to pay a text.
type Paid = (Destination, PaidAsset, Amount);

/// Checks everything that needs neither store nor clock, in a fixed order.
pub fn examine(pins: &Pins, release: &[u8], transaction: &[u8]) -> Result<Examined, Refused> {
    let (payload, _) = release::open(Kind::Release, release, &pins.release_keys)?;
    let release = Release::parse(&payload)?;
    if release.exchange != pins.exchange {
        return Err(Refused::ExchangeDiffers);
    }
    if release.audience != pins.name {
        return Err(Refused::AudienceDiffers { audience: release.audience });
    }
    match (release.simulated, pins.simulated_clock) {
        (true, false) => return Err(Refused::ClockSimulated),
        (false, true) => return Err(Refused::ClockReal),
        (true, true) | (false, false) => {}
    }
    let (network, wallet) = (release.network, &release.wallet);
    let Some(payer) = pins.payer(network, wallet) else {
        return Err(Refused::WalletUnpinned { wallet: wallet.clone(), network });
    };
    let Some(fees) = payer.pin.fees else {
        return Err(Refused::WalletReceivesOnly { wallet: wallet.clone(), network });
    };
    let decoded = decode(transaction, payer.index, payer.known)?;
    if decoded.digest != release.transaction {
        return Err(Refused::DigestDiffers);
    }
    if decoded.fee > fees.max {
        return Err(Refused::FeeOverBound { fee: decoded.fee, max: fees.max });
    }
    if decoded.fee_rate > fees.rate_max {
        return Err(Refused::FeeRateOverBound { rate: decoded.fee_rate, max: fees.rate_max });
    }
    let payments = withdrawal_texts(pins, &release)?;
    let transfer = transfer_text(pins, &release)?;
    match &transfer {
        None if payments.is_empty() => return Err(Refused::ReleaseEmpty),
        Some(_) if !payments.is_empty() => return Err(Refused::ReleaseMixed),
        None => compare_payments(pins, payer, &decoded, &payments)?,
        Some(transfer) => compare_transfer(pins, &decoded, transfer)?,
    }
    if let (Some(text), Some(signed)) = (&transfer, &release.transfer) {
        check_signatures(pins, text, signed)?;
    }
    let words = payments.iter().zip(&release.payments);
    let word = |(text, payment): (&WithdrawalText, _)| {
        approve::examine(pins, text, payment).map_err(|why| why.of(text.withdrawal))
    };
    let words = words.map(word).collect::<Result<_, _>>()?;
    Ok(Examined { release, decoded, payments, words, transfer, fees })
}

/// Whether a release is valid at `now`, and for no longer than pinned.
pub fn check_window(pins: &Pins, release: &Release, now: Timestamp) -> Result<(), Refused> {
    if now < release.not_before {
        return Err(Refused::NotYetValid { not_before: release.not_before, now });
    }
    if now >= release.expires {
        return Err(Refused::Expired { expires: release.expires, now });
    }
    let max = pins.release_lifetime_max;
    if release.expires.since(release.not_before) > max {
        return Err(Refused::LifetimeTooLong { max_seconds: max / time::SECOND });
    }
    Ok(())
}

fn withdrawal_texts(pins: &Pins, release: &Release) -> Result<Vec<WithdrawalText>, Refused> {
    let mut seen = BTreeSet::new();
    let mut texts = Vec::with_capacity(release.payments.len());
    for (place, payment) in release.payments.iter().enumerate() {
        let text = WithdrawalText::parse(payment.intent.as_bytes())
            .map_err(|error| Refused::TextMalformed { place, error })?;
        if text.exchange != pins.exchange {
            return Err(Refused::TextExchangeDiffers);
        }
        if text.destination.network() != release.network {
            return Err(Refused::TextNetworkDiffers);
        }
        if !seen.insert(text.withdrawal) {
            return Err(Refused::WithdrawalTwice { withdrawal: text.withdrawal });
        }
        texts.push(text);
    }
    Ok(texts)
}

fn transfer_text(pins: &Pins, release: &Release) -> Result<Option<TransferText>, Refused> {
    let Some(transfer) = &release.transfer else { return Ok(None) };
    let place = release.payments.len();
    let text = TransferText::parse(transfer.text.as_bytes())
        .map_err(|error| Refused::TextMalformed { place, error })?;
    if text.exchange != pins.exchange {
        return Err(Refused::TextExchangeDiffers);
    }
    if text.network != release.network || text.wallet != release.wallet {
        return Err(Refused::TextNetworkDiffers);
    }
    Ok(Some(text))
}

/// How an asset moves, if a text writes its amounts with as many decimals as are pinned.
fn pinned<'a>(
    pins: &'a Pins,
    symbol: &AssetSymbol,
    network: Network,
    decimals: Option<u8>,
) -> Result<&'a PinnedAsset, Refused> {
    let Some(asset) = pins.asset(symbol, network) else {
        return Err(Refused::AssetUnpinned { symbol: symbol.clone(), network });
    };
    match decimals {
        Some(found) if found != asset.decimals => {
            Err(Refused::DecimalsDiffer { symbol: symbol.clone(), found, pinned: asset.decimals })
        }
        _ => Ok(asset),
    }
}

/// Every output pays one withdrawal its exact amount, or is change; every withdrawal is paid by one output.
fn compare_payments(
    pins: &Pins,
    payer: Payer<'_>,
    decoded: &Decoded,
    payments: &[WithdrawalText],
) -> Result<(), Refused> {
    let mut paid: BTreeMap<Paid, Vec<usize>> = BTreeMap::new();
    for (place, output) in decoded.outputs.iter().enumerate() {
        match output.own {
            Some(own) if own == payer.index => {}
            Some(_) => return Err(Refused::OutputOtherWallet { place }),
            None => {
                let key = (output.destination.clone(), output.asset.clone(), output.amount);
                paid.entry(key).or_default().push(place);
            }
        }
    }
    for text in payments {
        let asset = pinned(pins, &text.asset, text.destination.network(), Some(text.decimals))?;
        let key = (text.destination.clone(), asset.paid.clone(), text.amount);
        if paid.get_mut(&key).and_then(Vec::pop).is_none() {
            return Err(Refused::PaymentMissing { withdrawal: text.withdrawal });
        }
    }
    nothing_left(paid)
}

/// Every output stays in pinned wallets, or is exactly the payment that the text names.
fn compare_transfer(pins: &Pins, decoded: &Decoded, text: &TransferText) -> Result<(), Refused> {
    if decoded.fee > text.fee_max {
        return Err(Refused::TransferFee { fee: decoded.fee, max: text.fee_max });
    }
    let decimals = text.external.as_ref().map(|external| external.decimals);
    let asset = pinned(pins, &text.asset, text.network, decimals)?;
    let mut paid: BTreeMap<Paid, Vec<usize>> = BTreeMap::new();
    for (place, output) in decoded.outputs.iter().enumerate() {
        if output.asset != asset.paid {
            return Err(Refused::TransferAssetDiffers { place });
        }
        if output.own.is_none() {
            let key = (output.destination.clone(), output.asset.clone(), output.amount);
            paid.entry(key).or_default().push(place);
        }
    }
    if let Some(external) = &text.external {
        let key = (external.destination.clone(), asset.paid.clone(), external.amount);
        if paid.get_mut(&key).and_then(Vec::pop).is_none() {
            return Err(Refused::TransferPaymentMissing);
        }
    }
    nothing_left(paid)
}

/// What leaves the pinned wallets without a customer's text needs operators' signatures over this very text.
fn check_signatures(pins: &Pins, text: &TransferText, signed: &SignedAct) -> Result<(), Refused> {
    if text.external.is_none() {
        return Ok(());
    }
    let (needed, valid) = (pins.threshold, verify_act(signed, &pins.operators).len());
    if valid < needed { Err(Refused::TransferUnsigned { needed, valid }) } else { Ok(()) }
}

fn nothing_left(paid: BTreeMap<Paid, Vec<usize>>) -> Result<(), Refused> {
    let left =
        paid.into_iter().find_map(|((to, _, amount), places)| Some((to, amount, places.first().copied()?)));
    match left {
        None => Ok(()),
        Some((to, amount, place)) => {
            Err(Refused::OutputUnexplained { place, address: to.address().to_owned(), amount })
        }
    }
}
