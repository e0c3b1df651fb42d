//! Reads a text line by line, and says at which line and why it is none.

use super::TEXT_BYTES_MAX;
use super::fields::FieldError;
use crate::address::AddressError;
use crate::amount::AmountError;
use crate::id::IdError;
use crate::network::UnknownNetwork;
use crate::time::TimeError;

/// Why bytes are no signed text, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TextError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: TextReason,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextReason {
    /// More than [`TEXT_BYTES_MAX`] bytes.
    #[error("the text is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// A byte other than printable ASCII and the line feed.
    #[error("only printable ASCII may stand here, and lines end with a single line feed")]
    Character,
    /// The text ends without a line feed.
    #[error("the last line must end with a line feed")]
    Unterminated,
    /// The first line names no kind of text that is known here.
    #[error(
        "the first line must be holdfast-withdrawal/v1, holdfast-operator/v1, holdfast-transfer/v1, holdfast-change/v1 or holdfast-mandate/v1"
    )]
    Header,
    /// Another line than the field that stands here.
    #[error("here must stand \"{name}: \" and a value")]
    Expected {
        /// The field's name.
        name: &'static str,
    },
    /// The text ends where a field should stand.
    #[error("the text ends before \"{name}\"")]
    Missing {
        /// The field's name.
        name: &'static str,
    },
    /// Lines after the last field.
    #[error("nothing may follow the last field")]
    Extra,
    /// A value that would be printed in another way.
    #[error("this value has another spelling: it must be exactly as Holdfast prints it")]
    Spelling,
    /// A value of no use in this field.
    #[error("{0}")]
    Field(FieldError),
    /// Not an id.
    #[error("{0}")]
    Id(IdError),
    /// Not a network.
    #[error("{0}")]
    Network(UnknownNetwork),
    /// Not an address, or a memo that does not fit it.
    #[error("{0}")]
    Address(AddressError),
    /// Not an amount.
    #[error("{0}")]
    Amount(AmountError),
    /// Not a time.
    #[error("{0}")]
    Time(TimeError),
}

impl TextReason {
    /// The stable code of this reason.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "text_too_long",
            Self::Character => "text_character",
            Self::Unterminated => "text_unterminated",
            Self::Header => "text_header",
            Self::Expected { .. } => "text_expected",
            Self::Missing { .. } => "text_missing",
            Self::Extra => "text_extra",
            Self::Spelling => "text_spelling",
            Self::Field(error) => error.code(),
            Self::Id(_) => "text_id",
            Self::Network(_) => "text_network",
            Self::Address(error) => error.code(),
            Self::Amount(_) => "text_amount",
            Self::Time(_) => "text_time",
        }
    }
}

macro_rules! reason_from {
    ($($error:ty => $variant:ident),* $(,)?) => {
        $(impl From<$error> for TextReason {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

reason_from!(
    FieldError => Field,
    IdError => Id,
    UnknownNetwork => Network,
    AddressError => Address,
    AmountError => Amount,
    TimeError => Time,
);

/// The lines of a text that is ASCII, terminated and not too long.
pub(super) struct Reader<'a> {
    rest: &'a str,
    /// The line read last, counted from 1.
    line: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, TextError> {
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(TextError { line: 1, reason: TextReason::TooLong });
        }
        let line_of = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count() + 1;
        let foreign = bytes.iter().position(|b| !matches!(b, b' '..=b'~' | b'\n'));
        if let Some((before, _)) = foreign.and_then(|at| bytes.split_at_checked(at)) {
            return Err(TextError { line: line_of(before), reason: TextReason::Character });
        }
        if bytes.last() != Some(&b'\n') {
            return Err(TextError { line: line_of(bytes), reason: TextReason::Unterminated });
        }
        let rest =
            core::str::from_utf8(bytes).map_err(|_| TextError { line: 1, reason: TextReason::Character })?;
        Ok(Self { rest, line: 0 })
    }

    fn next_line(&mut self) -> Option<&'a str> {
        let (line, rest) = self.rest.split_once('\n')?;
        self.rest = rest;
        self.line += 1;
        Some(line)
    }

    /// An error at the line read last.
    pub(super) fn at_line(&self, reason: impl Into<TextReason>) -> TextError {
        TextError { line: self.line, reason: reason.into() }
    }

    /// The first line.
    pub(super) fn header(&mut self) -> Result<&'a str, TextError> {
        self.next_line().ok_or(TextError { line: 1, reason: TextReason::Header })
    }

    /// The value of the field that stands next; what parses it must also print it like this.
    pub(super) fn field<T, E: Into<TextReason>>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, TextError> {
        let Some(line) = self.next_line() else {
            return Err(TextError { line: self.line + 1, reason: TextReason::Missing { name } });
        };
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| self.at_line(TextReason::Expected { name }))?;
        parse(value).map_err(|error| self.at_line(error))
    }

    /// True if the next line is of this field: for fields that may stand several times.
    pub(super) fn stands(&self, name: &str) -> bool {
        self.rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "))
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), TextError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(TextError { line: self.line + 1, reason: TextReason::Extra })
        }
    }
}
