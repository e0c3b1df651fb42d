//! `holdfast-mandate/v1`: the customer lets one API key withdraw to these destinations, up to these amounts, for a time.

use core::fmt;
use core::ops::Deref;

use super::fields::{ExchangeName, FieldError, Nonce, Window};
use super::reader::{Reader, TextError, TextReason};
use super::{TextDigest, parse_decimal, write_text};
use crate::address::Destination;
use crate::amount::Amount;
use crate::hex;
use crate::id::{AccountId, AssetSymbol, MandateId, Name};
use crate::network::Network;
use crate::time::{DAY, Micros};

/// The most destinations of one mandate.
pub const MANDATE_DESTINATIONS_MAX: usize = 16;
/// The longest time for which one mandate is given.
pub const MANDATE_TIME_MAX: Micros = 90 * DAY;

/// Where a mandate's key may send to: 1 to [`MANDATE_DESTINATIONS_MAX`] destinations on one releasable network, each
/// once, in the order in which they are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations {
    network: Network,
    ordered: Vec<Destination>,
}

impl Destinations {
    /// The destinations in their order; one given twice counts once.
    pub fn new(mut destinations: Vec<Destination>) -> Result<Self, FieldError> {
        destinations.sort_by_cached_key(spelled);
        destinations.dedup();
        let network = destinations.first().ok_or(FieldError::Destinations)?.network();
        if destinations.len() > MANDATE_DESTINATIONS_MAX
            || destinations.iter().any(|destination| destination.network() != network)
        {
            return Err(FieldError::Destinations);
        }
        if network.native_decimals().is_none() {
            return Err(FieldError::NotReleasable);
        }
        Ok(Self { network, ordered: destinations })
    }

    /// Where all of them are.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// All of them, in their order.
    pub fn as_slice(&self) -> &[Destination] {
        &self.ordered
    }
}

impl Deref for Destinations {
    type Target = [Destination];
    fn deref(&self) -> &[Destination] {
        &self.ordered
    }
}

/// How a mandate prints a destination: no address holds a space, so the first one separates.
fn spelled(destination: &Destination) -> String {
    format!("{} {}", destination.address(), destination.memo().unwrap_or("-"))
}

/// What one API key may withdraw without asking its owner again.
///
/// Amounts count the network's own units: a text prints them with exactly `decimals` digits after the point. With more than
/// [`crate::amount::DECIMALS_MAX`] decimals, amounts that do not fit each other, or a window longer than
/// [`MANDATE_TIME_MAX`], it prints a text that nothing accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MandateText {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The account that pays.
    pub account: AccountId,
    /// The mandate.
    pub mandate: MandateId,
    /// The API key's id.
    pub api_key: Name,
    /// SHA-256 of the DER of the API key's SubjectPublicKeyInfo.
    pub key: [u8; 32],
    /// The asset.
    pub asset: AssetSymbol,
    /// Where it may go, all on one network.
    pub destinations: Destinations,
    /// Decimals of the asset on that network.
    pub decimals: u8,
    /// The most that one withdrawal may be; not zero.
    pub amount_max: Amount,
    /// The most that withdrawals may sum up to within any 24 hours; at least `amount_max`.
    pub day_max: Amount,
    /// When the mandate may be used, at most [`MANDATE_TIME_MAX`].
    pub window: Window,
    /// Makes the text, and so the challenge, unique.
    pub nonce: Nonce,
}

impl MandateText {
    /// The first line.
    pub const HEADER: &'static str = "holdfast-mandate/v1";

    /// Where the mandate's destinations are.
    pub const fn network(&self) -> Network {
        self.destinations.network()
    }

    /// The fields in their order, each value as printed; `destination` stands once for each.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("exchange", self.exchange.to_string()),
            ("account", self.account.to_string()),
            ("mandate", self.mandate.to_string()),
            ("api-key", self.api_key.to_string()),
            ("key", hex::encode(&self.key)),
            ("asset", self.asset.to_string()),
            ("network", self.network().to_string()),
        ];
        fields.extend(self.destinations.iter().map(|destination| ("destination", spelled(destination))));
        fields.extend([
            ("amount-max", self.amount_max.to_fixed(self.decimals)),
            ("day-max", self.day_max.to_fixed(self.decimals)),
            ("not-before", self.window.not_before().to_string()),
            ("not-after", self.window.not_after().to_string()),
            ("nonce", self.nonce.to_string()),
        ]);
        fields
    }

    /// Parses exactly what printing gives.
    pub fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        let mut reader = Reader::new(bytes)?;
        match reader.header()? {
            Self::HEADER => Self::read(reader),
            _ => Err(TextError { line: 1, reason: TextReason::Header }),
        }
    }

    /// The digest of the whole text.
    pub fn digest(&self) -> TextDigest {
        TextDigest::of(self.to_string().as_bytes())
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Result<Self, TextError> {
        let exchange = reader.field("exchange", str::parse)?;
        let account = reader.field("account", str::parse::<AccountId>)?;
        let mandate = reader.field("mandate", str::parse::<MandateId>)?;
        let api_key = reader.field("api-key", str::parse::<Name>)?;
        let key = reader.field("key", |digits| match hex::decode::<32>(digits) {
            Some(hash) if !digits.bytes().any(|b| b.is_ascii_uppercase()) => Ok(hash),
            _ => Err(FieldError::Key),
        })?;
        let asset = reader.field("asset", str::parse::<AssetSymbol>)?;
        let network = reader.field("network", |text| {
            let network: Network = text.parse()?;
            match network.native_decimals() {
                Some(_) => Ok(network),
                None => Err(TextReason::Field(FieldError::NotReleasable)),
            }
        })?;
        let destinations = read_destinations(&mut reader, network)?;
        let (amount_max, decimals) = reader.field("amount-max", |text| match parse_decimal(text)? {
            (amount, _) if amount.is_zero() => Err(TextReason::Field(FieldError::Limits)),
            found => Ok(found),
        })?;
        let day_max = reader.field("day-max", |text| match parse_decimal(text)? {
            (_, other) if other != decimals => Err(TextReason::Field(FieldError::Decimals)),
            (day_max, _) if day_max < amount_max => Err(FieldError::Limits.into()),
            (day_max, _) => Ok(day_max),
        })?;
        let not_before = reader.field("not-before", str::parse)?;
        let window = reader.field("not-after", |text| {
            let window = Window::new(not_before, text.parse()?)?;
            let time = window.not_after().timestamp().since(window.not_before().timestamp());
            if time <= MANDATE_TIME_MAX {
                Ok(window)
            } else {
                Err(TextReason::Field(FieldError::MandateTime))
            }
        })?;
        let nonce = reader.field("nonce", str::parse)?;
        reader.end()?;
        Ok(Self {
            exchange,
            account,
            mandate,
            api_key,
            key,
            asset,
            destinations,
            decimals,
            amount_max,
            day_max,
            window,
            nonce,
        })
    }
}

fn read_destinations(reader: &mut Reader<'_>, network: Network) -> Result<Destinations, TextError> {
    let mut ordered = Vec::new();
    let mut last = "";
    while ordered.is_empty() || reader.stands("destination") {
        let (destination, text) = reader.field("destination", |text| {
            let (address, memo) = text.split_once(' ').ok_or(FieldError::Destinations)?;
            let memo = (memo != "-").then_some(memo);
            let found = Destination::parse(network, address, memo)?;
            if spelled(&found) != text {
                return Err(TextReason::Spelling);
            }
            if text <= last || ordered.len() == MANDATE_DESTINATIONS_MAX {
                return Err(FieldError::Destinations.into());
            }
            Ok((found, text))
        })?;
        ordered.push(destination);
        last = text;
    }
    Ok(Destinations { network, ordered })
}

impl fmt::Display for MandateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, Self::HEADER, &self.fields())
    }
}
