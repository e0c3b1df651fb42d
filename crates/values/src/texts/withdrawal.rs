//! `holdfast-withdrawal/v1`: the customer approves exactly this payment.

use core::fmt;

use super::fields::{ExchangeName, FieldError, Nonce, Seconds};
use super::reader::{Reader, TextError, TextReason};
use super::{TextDigest, parse_decimal, write_text};
use crate::address::Destination;
use crate::amount::Amount;
use crate::id::{AccountId, AssetSymbol, WithdrawalId};

/// One withdrawal, in full.
///
/// Amounts count the network's own units: a text prints them with exactly `decimals` digits after the point. With more
/// than [`crate::amount::DECIMALS_MAX`] decimals it prints a text that nothing accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalText {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The account that pays.
    pub account: AccountId,
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// The asset.
    pub asset: AssetSymbol,
    /// Where it goes.
    pub destination: Destination,
    /// Decimals of the asset on the destination's network.
    pub decimals: u8,
    /// What arrives on chain.
    pub amount: Amount,
    /// The most that the customer is charged on top.
    pub fee_max: Amount,
    /// Past this the approval authorises nothing.
    pub not_after: Seconds,
    /// Makes the text, and so the challenge, unique.
    pub nonce: Nonce,
}

impl WithdrawalText {
    /// The first line.
    pub const HEADER: &'static str = "holdfast-withdrawal/v1";

    /// The fields in their order, each value as printed.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("exchange", self.exchange.to_string()),
            ("account", self.account.to_string()),
            ("withdrawal", self.withdrawal.to_string()),
            ("asset", self.asset.to_string()),
            ("network", self.destination.network().to_string()),
            ("address", self.destination.address().to_owned()),
            ("memo", self.destination.memo().unwrap_or("-").to_owned()),
            ("amount", self.amount.to_fixed(self.decimals)),
            ("fee-max", self.fee_max.to_fixed(self.decimals)),
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
        let account = reader.field("account", str::parse::<AccountId>)?;
        let withdrawal = reader.field("withdrawal", str::parse::<WithdrawalId>)?;
        let asset = reader.field("asset", str::parse::<AssetSymbol>)?;
        let network = reader.field("network", str::parse)?;
        // The memo belongs to the address, so that one is judged when both are known, and first without.
        let address = reader.field("address", |text| match Destination::parse(network, text, None) {
            Ok(found) if found.address() == text => Ok(text),
            Ok(_) => Err(TextReason::Spelling),
            Err(error) => Err(error.into()),
        })?;
        let destination = reader.field("memo", |text| {
            let memo = (text != "-").then_some(text);
            match Destination::parse(network, address, memo) {
                Ok(found) if found.memo() == memo => Ok(found),
                Ok(_) => Err(TextReason::Spelling),
                Err(error) => Err(error.into()),
            }
        })?;
        let (amount, decimals) = reader.field("amount", parse_decimal)?;
        let fee_max = reader.field("fee-max", |text| match parse_decimal(text)? {
            (fee_max, same) if same == decimals => Ok(fee_max),
            _ => Err(TextReason::Field(FieldError::Decimals)),
        })?;
        let not_after = reader.field("not-after", str::parse)?;
        let nonce = reader.field("nonce", str::parse)?;
        reader.end()?;
        Ok(Self {
            exchange,
            account,
            withdrawal,
            asset,
            destination,
            decimals,
            amount,
            fee_max,
            not_after,
            nonce,
        })
    }
}

impl fmt::Display for WithdrawalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, Self::HEADER, &self.fields())
    }
}
