//! `holdfast-transfer/v1`: the exchange moves its own coins between its wallets, or out of them on operators' word.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};

use super::fields::{ExchangeName, FieldError, Nonce, Seconds};
use super::reader::{Reader, TextError, TextReason};
use super::{TextDigest, parse_decimal, write_text};
use crate::address::Destination;
use crate::amount::Amount;
use crate::id::{AssetSymbol, Name, TransferId};
use crate::network::Network;

/// What a transfer is for. The numbers are part of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// Deposits move into a wallet.
    #[n(0)]
    Sweep,
    /// Many coins of one wallet become few.
    #[n(1)]
    Consolidation,
    /// One wallet fills another, such as cold to hot.
    #[n(2)]
    Refill,
    /// The network's coin goes to where it pays fees.
    #[n(3)]
    Gas,
    /// A transaction is spent from, so that its fee rises.
    #[n(4)]
    ChildPays,
    /// A transaction is replaced by one that pays nobody.
    #[n(5)]
    Cancel,
}

impl Purpose {
    /// Every purpose, in the order of its number.
    pub const ALL: [Self; 6] =
        [Self::Sweep, Self::Consolidation, Self::Refill, Self::Gas, Self::ChildPays, Self::Cancel];

    /// The one name of this purpose.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Consolidation => "consolidation",
            Self::Refill => "refill",
            Self::Gas => "gas",
            Self::ChildPays => "child-pays",
            Self::Cancel => "cancel",
        }
    }
}

impl FromStr for Purpose {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == text).ok_or(FieldError::Purpose)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a transfer pays outside the pinned wallets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalPayment {
    /// To whom, on the transfer's network.
    pub destination: Destination,
    /// Decimals of the asset on that network.
    pub decimals: u8,
    /// What arrives there, in the network's units.
    pub amount: Amount,
}

/// One transaction that is no withdrawal, in full.
///
/// Everything that it pays goes to pinned wallets, but for `external`. With more than [`crate::amount::DECIMALS_MAX`]
/// decimals, a destination on another network, or a network that is not releasable, it prints a text that means something
/// else or that nothing accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferText {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The transfer.
    pub transfer: TransferId,
    /// The wallet that pays.
    pub wallet: Name,
    /// Where; a releasable network.
    pub network: Network,
    /// What for.
    pub purpose: Purpose,
    /// What is moved.
    pub asset: AssetSymbol,
    /// The one payment that leaves the pinned wallets, if any.
    pub external: Option<ExternalPayment>,
    /// The most that the network may charge, in units of its own coin.
    pub fee_max: Amount,
    /// Past this the text authorises nothing for the first time.
    pub not_after: Seconds,
    /// Makes the text unique.
    pub nonce: Nonce,
}

impl TransferText {
    /// The first line.
    pub const HEADER: &'static str = "holdfast-transfer/v1";

    /// The fields in their order, each value as printed.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let (address, amount) = match &self.external {
            Some(paid) => (paid.destination.address().to_owned(), paid.amount.to_fixed(paid.decimals)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        vec![
            ("exchange", self.exchange.to_string()),
            ("transfer", self.transfer.to_string()),
            ("wallet", self.wallet.to_string()),
            ("network", self.network.to_string()),
            ("purpose", self.purpose.to_string()),
            ("asset", self.asset.to_string()),
            ("address", address),
            ("amount", amount),
            ("fee-max", self.fee_max.to_fixed(self.network.native_decimals().unwrap_or_default())),
            ("not-after", self.not_after.to_string()),
            ("nonce", self.nonce.to_string()),
        ]
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
        let transfer = reader.field("transfer", str::parse::<TransferId>)?;
        let wallet = reader.field("wallet", str::parse::<Name>)?;
        let (network, decimals_native) = reader.field("network", |text| {
            let network: Network = text.parse()?;
            match network.native_decimals() {
                Some(decimals) => Ok((network, decimals)),
                None => Err(TextReason::Field(FieldError::NotReleasable)),
            }
        })?;
        let purpose = reader.field("purpose", str::parse::<Purpose>)?;
        let asset = reader.field("asset", str::parse::<AssetSymbol>)?;
        let destination = reader.field("address", |text| match text {
            "-" => Ok(None),
            text => match Destination::parse(network, text, None) {
                Ok(found) if found.address() == text => Ok(Some(found)),
                Ok(_) => Err(TextReason::Spelling),
                Err(error) => Err(error.into()),
            },
        })?;
        let external = reader.field("amount", |text| match (destination, text) {
            (None, "-") => Ok(None),
            (Some(destination), text) if text != "-" => {
                let (amount, decimals) = parse_decimal(text)?;
                Ok(Some(ExternalPayment { destination, decimals, amount }))
            }
            _ => Err(TextReason::Field(FieldError::External)),
        })?;
        let fee_max = reader.field("fee-max", |text| match parse_decimal(text)? {
            (fee_max, decimals) if decimals == decimals_native => Ok(fee_max),
            _ => Err(TextReason::Field(FieldError::FeeDecimals)),
        })?;
        let not_after = reader.field("not-after", str::parse)?;
        let nonce = reader.field("nonce", str::parse)?;
        reader.end()?;
        Ok(Self { exchange, transfer, wallet, network, purpose, asset, external, fee_max, not_after, nonce })
    }
}

impl fmt::Display for TransferText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, Self::HEADER, &self.fields())
    }
}
