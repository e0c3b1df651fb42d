//! `holdfast-operator/v1`: an act of the exchange's staff that loosens.

use core::fmt;

use super::fields::{Act, Detail, ExchangeName, FieldError, Nonce, Target, Window};
use super::reader::{Reader, TextError, TextReason};
use super::{TextDigest, write_text};
use crate::hex;

/// One act of one operator. Which acts there are, and how many signatures each needs, is decided elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorText {
    /// The exchange.
    pub exchange: ExchangeName,
    /// What is done.
    pub act: Act,
    /// To what; `-` for nothing in particular.
    pub target: Target,
    /// With which parameters; `-` for none.
    pub detail: Detail,
    /// SHA-256 of an attached document, such as a policy pack.
    pub payload: Option<[u8; 32]>,
    /// When the signature may be used.
    pub window: Window,
    /// Makes the text unique.
    pub nonce: Nonce,
}

impl OperatorText {
    /// The first line.
    pub const HEADER: &'static str = "holdfast-operator/v1";

    /// The fields in their order, each value as printed.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("exchange", self.exchange.to_string()),
            ("act", self.act.to_string()),
            ("target", self.target.to_string()),
            ("detail", self.detail.to_string()),
            ("payload", self.payload.map_or_else(|| "-".to_owned(), |hash| hex::encode(&hash))),
            ("not-before", self.window.not_before().to_string()),
            ("not-after", self.window.not_after().to_string()),
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
        let act = reader.field("act", str::parse)?;
        let target = reader.field("target", str::parse)?;
        let detail = reader.field("detail", str::parse)?;
        let payload = reader.field("payload", |text| match text {
            "-" => Ok(None),
            digits => match hex::decode::<32>(digits) {
                Some(hash) if !digits.bytes().any(|b| b.is_ascii_uppercase()) => Ok(Some(hash)),
                _ => Err(FieldError::Payload),
            },
        })?;
        let not_before = reader.field("not-before", str::parse)?;
        let window =
            reader.field("not-after", |text| Ok::<_, TextReason>(Window::new(not_before, text.parse()?)?))?;
        let nonce = reader.field("nonce", str::parse)?;
        reader.end()?;
        Ok(Self { exchange, act, target, detail, payload, window, nonce })
    }
}

impl fmt::Display for OperatorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, Self::HEADER, &self.fields())
    }
}
