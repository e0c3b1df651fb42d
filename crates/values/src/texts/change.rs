//! `holdfast-change/v1`: the customer approves exactly this change, which weakens the account's protection.

use core::fmt;

use super::fields::{Act, Detail, ExchangeName, Nonce, Seconds, Target};
use super::reader::{Reader, TextError, TextReason};
use super::{TextDigest, write_text};
use crate::id::AccountId;

/// One change of one account's protection. Which changes there are, and what each needs, is decided elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeText {
    /// The exchange.
    pub exchange: ExchangeName,
    /// The account whose protection changes.
    pub account: AccountId,
    /// What is changed.
    pub change: Act,
    /// On what, such as one credential; `-` for nothing in particular.
    pub target: Target,
    /// To what; `-` for nothing to say.
    pub detail: Detail,
    /// Past this the approval authorises nothing.
    pub not_after: Seconds,
    /// Makes the text, and so the challenge, unique.
    pub nonce: Nonce,
}

impl ChangeText {
    /// The first line.
    pub const HEADER: &'static str = "holdfast-change/v1";

    /// The fields in their order, each value as printed.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("exchange", self.exchange.to_string()),
            ("account", self.account.to_string()),
            ("change", self.change.to_string()),
            ("target", self.target.to_string()),
            ("detail", self.detail.to_string()),
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
        let change = reader.field("change", str::parse)?;
        let target = reader.field("target", str::parse)?;
        let detail = reader.field("detail", str::parse)?;
        let not_after = reader.field("not-after", str::parse)?;
        let nonce = reader.field("nonce", str::parse)?;
        reader.end()?;
        Ok(Self { exchange, account, change, target, detail, not_after, nonce })
    }
}

impl fmt::Display for ChangeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, Self::HEADER, &self.fields())
    }
}
