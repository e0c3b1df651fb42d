//! The texts that people and keys sign: printed, parsed and hashed here, byte for byte. Grammars and test vectors are in
//! `docs/texts.md`. Nothing here verifies a signature or judges what a text asks for.
//!
//! A text is ASCII, one field a line, in fixed order, each value with one spelling: whatever parses prints back to the
//! same bytes, and everything else is refused with the line and the reason. What is signed is the SHA-256 of all of it.

mod change;
mod fields;
mod mandate;
mod operator;
mod reader;
#[cfg(test)]
mod tests;
mod transfer;
mod withdrawal;

use core::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use sha2::{Digest as _, Sha256};

pub use change::ChangeText;
pub use fields::{Act, Detail, ExchangeName, FieldError, Nonce, Seconds, Target, Window};
pub use mandate::{Destinations, MANDATE_DESTINATIONS_MAX, MANDATE_TIME_MAX, MandateText};
pub use operator::OperatorText;
pub use reader::{TextError, TextReason};
pub use transfer::{ExternalPayment, Purpose, TransferText};
pub use withdrawal::WithdrawalText;

use reader::Reader;

use crate::amount::{Amount, DECIMALS_MAX};

/// Longest signed text in bytes; a longer one is refused unread.
pub const TEXT_BYTES_MAX: usize = 4096;

/// The SHA-256 of a whole signed text: the message that keys sign and the challenge that assertions answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextDigest(pub [u8; 32]);

impl TextDigest {
    /// The digest of a text's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::hex::encode(&self.0))
    }
}

impl fmt::Debug for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<C> Encode<C> for TextDigest {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for TextDigest {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?.try_into().map_err(|_| decode::Error::message("digest: 32 bytes"))?;
        Ok(Self(bytes))
    }
}

/// Any signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedText {
    /// `holdfast-withdrawal/v1`.
    Withdrawal(WithdrawalText),
    /// `holdfast-operator/v1`.
    Operator(OperatorText),
    /// `holdfast-transfer/v1`.
    Transfer(TransferText),
    /// `holdfast-change/v1`.
    Change(ChangeText),
    /// `holdfast-mandate/v1`.
    Mandate(MandateText),
}

impl SignedText {
    /// Parses a text of any kind; the first line says which.
    pub fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        let mut reader = Reader::new(bytes)?;
        match reader.header()? {
            WithdrawalText::HEADER => WithdrawalText::read(reader).map(Self::Withdrawal),
            OperatorText::HEADER => OperatorText::read(reader).map(Self::Operator),
            TransferText::HEADER => TransferText::read(reader).map(Self::Transfer),
            ChangeText::HEADER => ChangeText::read(reader).map(Self::Change),
            MandateText::HEADER => MandateText::read(reader).map(Self::Mandate),
            _ => Err(TextError { line: 1, reason: TextReason::Header }),
        }
    }

    /// The first line.
    pub const fn header(&self) -> &'static str {
        match self {
            Self::Withdrawal(_) => WithdrawalText::HEADER,
            Self::Operator(_) => OperatorText::HEADER,
            Self::Transfer(_) => TransferText::HEADER,
            Self::Change(_) => ChangeText::HEADER,
            Self::Mandate(_) => MandateText::HEADER,
        }
    }

    /// The fields in their order, each value as printed. A mandate's `destination` may stand several times.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Withdrawal(text) => text.fields(),
            Self::Operator(text) => text.fields(),
            Self::Transfer(text) => text.fields(),
            Self::Change(text) => text.fields(),
            Self::Mandate(text) => text.fields(),
        }
    }

    /// The digest of the whole text.
    pub fn digest(&self) -> TextDigest {
        TextDigest::of(self.to_string().as_bytes())
    }
}

impl fmt::Display for SignedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, self.header(), &self.fields())
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, header: &str, fields: &[(&'static str, String)]) -> fmt::Result {
    writeln!(f, "{header}")?;
    fields.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
}

/// The digits after the point say how many decimals the network has.
fn parse_decimal(text: &str) -> Result<(Amount, u8), TextReason> {
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let decimals = u8::try_from(digits).ok().filter(|d| *d <= DECIMALS_MAX).ok_or(FieldError::Decimals)?;
    Ok((Amount::parse(text, decimals)?, decimals))
}
