//! A customer's own word for a payment: what of it can be checked without store and clock (`examine`), and whether it
//! vouches now (`vouch`). Evidence that is wrong refuses the release: it never counts as none.

use holdfast_authn::dialect::{self, Dialect, Verified};
use holdfast_authn::release::{BoundAssertion, MandateUse, Payment, SignedHttpRequest};
use holdfast_authn::{KeyMaterial, RawRequest};
use holdfast_values::texts::{MandateText, WithdrawalText};
use holdfast_values::{Amount, Destination, Micros, TextDigest, Timestamp, time};

use crate::pins::Pins;
use crate::refused::Refused;
use crate::registry::{Counters, assert_text, counting};
use crate::store::records::Records;

/// For how long what a lineage vouched for counts against its cap.
const CAP_SPAN: Micros = 30 * time::DAY;
/// For how long what a mandate paid counts against its day.
const DAY_SPAN: Micros = time::DAY;
/// How far apart the clocks of signer and customer may be.
const SKEW: Micros = time::MINUTE;

/// What stands behind a payment besides operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nobody.
    None,
    /// Its owner's assertion.
    Asserted(BoundAssertion),
    /// Its owner's mandate and a request that is good under it.
    Mandated(Box<Mandated>),
}

/// A mandate that permits a payment, as far as can be told without store and clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandated {
    /// The mandate.
    pub mandate: MandateText,
    /// Its text, to the letter.
    pub text: String,
    /// The assertion over it: not yet verified.
    pub assertion: BoundAssertion,
    /// Names the request.
    pub request: [u8; 32],
    /// When the request was signed, by its signer's clock.
    pub signed_at: Timestamp,
}

/// Reads a payment's evidence, and checks what needs neither store nor clock.
pub(crate) fn examine(pins: &Pins, text: &WithdrawalText, payment: &Payment) -> Result<Word, Refused> {
    match (&payment.assertion, &payment.mandate) {
        (None, None) => Ok(Word::None),
        _ if pins.approval.is_none() => Err(Refused::ApprovalsNotPinned),
        (Some(assertion), None) => Ok(Word::Asserted(assertion.clone())),
        (None, Some(used)) => mandated(text, used).map(|mandated| Word::Mandated(Box::new(mandated))),
        (Some(_), Some(_)) => Err(Refused::ApprovedTwice { withdrawal: text.withdrawal }),
    }
}

fn mandated(text: &WithdrawalText, used: &MandateUse) -> Result<Mandated, Refused> {
    let mandate = MandateText::parse(used.text.as_bytes()).map_err(Refused::MandateMalformed)?;
    let differs = [
        ("exchange", mandate.exchange != text.exchange),
        ("account", mandate.account != text.account),
        ("asset", mandate.asset != text.asset),
        ("network", mandate.network() != text.destination.network()),
        ("decimals", mandate.decimals != text.decimals),
    ];
    if let Some((field, _)) = differs.into_iter().find(|(_, differs)| *differs) {
        return Err(Refused::MandateDiffers { field });
    }
    if !mandate.destinations.contains(&text.destination) {
        return Err(Refused::MandateDestination);
    }
    if text.amount > mandate.amount_max {
        return Err(Refused::MandateAmount { max: mandate.amount_max, needed: text.amount });
    }
    if TextDigest::of(&used.key).0 != mandate.key {
        return Err(Refused::MandateKey);
    }
    // A shared secret proves nothing to a third party: this reads public keys alone.
    let key = KeyMaterial::from_public_key_der(&used.key).map_err(|_| Refused::MandateKey)?;
    let verified = verify_request(&used.request, &key)?;
    check_request(text, &mandate, &verified)?;
    Ok(Mandated {
        text: used.text.clone(),
        assertion: used.assertion.clone(),
        request: verified.request_digest,
        signed_at: verified.signed_at,
        mandate,
    })
}

fn verify_request(request: &SignedHttpRequest, key: &KeyMaterial) -> Result<Verified, Refused> {
    let dialect = Dialect::from_name(&request.dialect).ok_or(Refused::MandateDialect)?;
    let headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let raw = RawRequest {
        method: &request.method,
        path: &request.path,
        raw_query: &request.query,
        raw_body: &request.body,
        headers: &headers,
    };
    let parsed = dialect::parse(dialect, &raw).map_err(Refused::MandateRequest)?;
    dialect::verify(&parsed, key).map_err(Refused::MandateRequest)
}

/// The request asks for exactly this payment.
fn check_request(text: &WithdrawalText, mandate: &MandateText, asked: &Verified) -> Result<(), Refused> {
    let network = text.destination.network();
    // A name that stands for a destination is the word of whoever keeps the names.
    let destination = asked
        .address
        .as_deref()
        .and_then(|address| Destination::parse(network, address, asked.tag.as_deref()).ok())
        .filter(|destination| *destination == text.destination);
    let differs = [
        ("API key", asked.api_key != mandate.api_key),
        ("asset", asked.asset != text.asset),
        ("network", asked.network != Some(network)),
        ("destination", destination.is_none()),
        ("amount", Amount::parse(&asked.amount_text, text.decimals).ok() != Some(text.amount)),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((field, _)) => Err(Refused::MandateRequestDiffers { field }),
        None => Ok(()),
    }
}

/// Whether the word for a payment counts now; records what it uses up. `capped` is false where operators vouch as well: then
/// the evidence must still be good, and costs its key nothing.
pub(crate) fn vouch(
    pins: &Pins,
    records: &Records<'_>,
    text: &WithdrawalText,
    (intent, word): (&str, &Word),
    capped: bool,
    now: Timestamp,
) -> Result<bool, Refused> {
    let (signed, by, counters) = match word {
        Word::None => return Ok(false),
        Word::Asserted(by) => (intent, by, Counters::Recent),
        // A mandate is first used long after it was approved.
        Word::Mandated(mandated) => (mandated.text.as_str(), &mandated.assertion, Counters::Any),
    };
    let credential = counting(pins, records, &text.account, by, now)?;
    if credential.master {
        return Err(Refused::CredentialMaster { account: text.account.clone() });
    }
    assert_text(pins, records, &credential, (signed, by), counters, now)?;
    if let Word::Mandated(mandated) = word {
        use_mandate(records, text, mandated, now)?;
    }
    if capped {
        charge(pins, records, text, &credential.lineage, now)?;
    }
    Ok(true)
}

fn use_mandate(
    records: &Records<'_>,
    text: &WithdrawalText,
    used: &Mandated,
    now: Timestamp,
) -> Result<(), Refused> {
    let mandate = &used.mandate;
    let (not_before, not_after) =
        (mandate.window.not_before().timestamp(), mandate.window.not_after().timestamp());
    let within = |at: Timestamp| not_before <= at.plus(SKEW) && at <= not_after.plus(SKEW);
    if now < not_before || now > not_after || !within(used.signed_at) {
        return Err(Refused::MandateNotNow { not_before, not_after, now });
    }
    match records.mandate_text(mandate.mandate)? {
        Some(before) if before == used.text => {}
        Some(_) => return Err(Refused::MandateChanged { mandate: mandate.mandate }),
        None => records.add_mandate(mandate.mandate, &used.text, now)?,
    }
    if let Some(withdrawal) = records.withdrawal_of_request(&used.request)? {
        return Err(Refused::MandateRequestUsed { withdrawal });
    }
    records.add_request(&used.request, text.withdrawal, now)?;
    let paid = records.mandate_paid_since(mandate.mandate, now.minus(DAY_SPAN))?;
    let available = left(mandate.day_max, paid);
    if text.amount > available {
        return Err(Refused::MandateDay { available, needed: text.amount });
    }
    Ok(records.add_mandate_paid(mandate.mandate, now, text.amount)?)
}

/// Takes a payment from what a lineage may vouch for.
fn charge(
    pins: &Pins,
    records: &Records<'_>,
    text: &WithdrawalText,
    lineage: &[u8],
    now: Timestamp,
) -> Result<(), Refused> {
    let (symbol, network) = (&text.asset, text.destination.network());
    let Some(asset) = pins.asset(symbol, network) else {
        return Err(Refused::AssetUnpinned { symbol: symbol.clone(), network });
    };
    let vouched = records.vouched_since(lineage, symbol, network, now.minus(CAP_SPAN))?;
    let available = left(asset.credential_cap, vouched);
    if text.amount > available {
        return Err(Refused::CredentialCap {
            account: text.account.clone(),
            asset: symbol.clone(),
            network,
            available,
            needed: text.amount,
        });
    }
    Ok(records.add_vouched(lineage, symbol, network, now, text.amount)?)
}

fn left(most: Amount, used: Amount) -> Amount {
    Amount::from_base_units(most.base_units().saturating_sub(used.base_units()))
}
