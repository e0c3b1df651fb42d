//! Deterministic CBOR (RFC 8949 section 4.2.1), written and read strictly: maps with the keys 1, 2, 3 ..., all of them,
//! in order. What it means is said by the types that are written.
//!
//! The reader refuses wrong types, missing, unknown and repeated keys and lists over their limit where it meets them;
//! everything else that is another spelling of the same value (longer integers, say) shows when the value is written
//! again and comes out otherwise.

use core::fmt;
use core::str::FromStr;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::envelope::Kind;

/// Largest integer in a payload: what a signed 64-bit column holds.
pub const INTEGER_MAX: u64 = i64::MAX.unsigned_abs();
/// Longest name, id or conflict key, in bytes. The longest is an exchange's name.
pub(super) const SHORT_BYTES_MAX: usize = 253;

/// Why a payload is refused, and where. Each has a stable [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, {field}: {fault}")]
pub struct PayloadError {
    /// What the payload should be.
    pub kind: Kind,
    /// The field that was being read.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not the CBOR type that belongs here, or the bytes end.
    #[error("another type of value belongs here, or the bytes end early")]
    Type,
    /// A map has not the number of entries of its kind.
    #[error("a key is missing or unknown: there must be exactly {0}")]
    Entries(u64),
    /// Another key than the next one.
    #[error("key {0} must stand here: keys are in order, none missing, none twice")]
    Key(u64),
    /// A text, number or length that this field does not have.
    #[error("this field has no such value")]
    Value,
    /// More than the format permits.
    #[error("more than {0} is refused")]
    Limit(usize),
    /// Another spelling than deterministic CBOR.
    #[error("not in deterministic CBOR: definite lengths, shortest integers")]
    NotCanonical,
    /// Bytes behind the value.
    #[error("bytes follow the value")]
    Trailing,
}

impl PayloadError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match (self.kind, self.fault) {
            (Kind::Release, Fault::Limit(_)) => "release_too_large",
            (Kind::Release, Fault::NotCanonical) => "release_not_canonical",
            (Kind::Release, _) => "release_malformed",
            (Kind::Receipt, Fault::Limit(_)) => "receipt_too_large",
            (Kind::Receipt, Fault::NotCanonical) => "receipt_not_canonical",
            (Kind::Receipt, _) => "receipt_malformed",
            (Kind::Enrolment, Fault::Limit(_)) => "enrolment_too_large",
            (Kind::Enrolment, Fault::NotCanonical) => "enrolment_not_canonical",
            (Kind::Enrolment, _) => "enrolment_malformed",
            (Kind::Removal, Fault::Limit(_)) => "removal_too_large",
            (Kind::Removal, Fault::NotCanonical) => "removal_not_canonical",
            (Kind::Removal, _) => "removal_malformed",
            (Kind::Policy, Fault::Limit(_)) => "policy_step_too_large",
            (Kind::Policy, Fault::NotCanonical) => "policy_step_not_canonical",
            (Kind::Policy, _) => "policy_step_malformed",
            (Kind::Spends, Fault::Limit(_)) => "spends_too_large",
            (Kind::Spends, Fault::NotCanonical) => "spends_not_canonical",
            (Kind::Spends, _) => "spends_malformed",
        }
    }
}

/// A value that is part of a payload.
pub(super) trait Wire: Sized {
    fn write(&self, w: &mut Writer);
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault>;
}

/// The bytes of a payload.
pub(super) fn to_bytes(value: &impl Wire) -> Vec<u8> {
    let mut writer = Writer(Encoder::new(Vec::new()));
    value.write(&mut writer);
    writer.0.into_writer()
}

/// A payload from exactly the bytes that [`to_bytes`] gives.
pub(super) fn parse<T: Wire>(kind: Kind, bytes: &[u8]) -> Result<T, PayloadError> {
    let error = |field, fault| PayloadError { kind, field, fault };
    let limit = kind.payload_bytes_max();
    if bytes.len() > limit {
        return Err(error("payload", Fault::Limit(limit)));
    }
    let mut reader = Reader { decoder: Decoder::new(bytes), field: "payload" };
    let value = T::read(&mut reader).map_err(|fault| error(reader.field, fault))?;
    if reader.decoder.position() != bytes.len() {
        return Err(error("payload", Fault::Trailing));
    }
    if to_bytes(&value) != bytes {
        return Err(error("payload", Fault::NotCanonical));
    }
    Ok(value)
}

/// Writes into memory, which cannot fail: the results say so only because the encoder also writes elsewhere.
pub(super) struct Writer(Encoder<Vec<u8>>);

impl Writer {
    pub(super) fn map(&mut self, entries: u64) {
        let _ = self.0.map(entries);
    }

    pub(super) fn key(&mut self, key: u64) -> &mut Self {
        let _ = self.0.u64(key);
        self
    }

    pub(super) fn uint(&mut self, value: u64) {
        let _ = self.0.u64(value);
    }

    pub(super) fn bool(&mut self, value: bool) {
        let _ = self.0.bool(value);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        let _ = self.0.bytes(value);
    }

    pub(super) fn null(&mut self) {
        let _ = self.0.null();
    }

    pub(super) fn text(&mut self, value: &str) {
        let _ = self.0.str(value);
    }

    pub(super) fn printed(&mut self, value: impl fmt::Display) {
        self.text(&value.to_string());
    }

    pub(super) fn list<T>(&mut self, values: &[T], mut each: impl FnMut(&mut Self, &T)) {
        let _ = self.0.array(u64::try_from(values.len()).unwrap_or(u64::MAX));
        for value in values {
            each(self, value);
        }
    }

    pub(super) fn option<T>(&mut self, value: Option<&T>, each: impl FnOnce(&mut Self, &T)) {
        match value {
            Some(value) => each(self, value),
            None => self.null(),
        }
    }
}

/// Reads what [`Writer`] writes, and remembers at which field it is.
pub(super) struct Reader<'b> {
    decoder: Decoder<'b>,
    field: &'static str,
}

impl<'b> Reader<'b> {
    fn expect(&self, wanted: Type, indefinite: Type) -> Result<(), Fault> {
        match self.decoder.datatype() {
            Ok(found) if found == wanted => Ok(()),
            Ok(found) if found == indefinite => Err(Fault::NotCanonical),
            _ => Err(Fault::Type),
        }
    }

    /// The start of a map of this many entries.
    pub(super) fn map(&mut self, entries: u64) -> Result<(), Fault> {
        self.expect(Type::Map, Type::MapIndef)?;
        match self.decoder.map() {
            Ok(Some(found)) if found == entries => Ok(()),
            Ok(_) => Err(Fault::Entries(entries)),
            Err(_) => Err(Fault::Type),
        }
    }

    /// Whether a map is next.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(Type::Map | Type::MapIndef))
    }

    /// The next key; what follows is called `field` in errors.
    pub(super) fn key(&mut self, key: u64, field: &'static str) -> Result<&mut Self, Fault> {
        self.field = field;
        match self.decoder.u64() {
            Ok(found) if found == key => Ok(self),
            _ => Err(Fault::Key(key)),
        }
    }

    /// The next key, whichever it is.
    pub(super) fn any_key(&mut self) -> Result<u64, Fault> {
        self.decoder.u64().map_err(|_| Fault::Type)
    }

    pub(super) fn uint(&mut self) -> Result<u64, Fault> {
        let value = self.decoder.u64().map_err(|_| Fault::Type)?;
        if value > INTEGER_MAX { Err(Fault::Value) } else { Ok(value) }
    }

    pub(super) fn bool(&mut self) -> Result<bool, Fault> {
        self.decoder.bool().map_err(|_| Fault::Type)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.expect(Type::Bytes, Type::BytesIndef)?;
        self.decoder.bytes().map_err(|_| Fault::Type)?.try_into().map_err(|_| Fault::Value)
    }

    /// At most so many bytes.
    pub(super) fn bytes_within(&mut self, max: usize) -> Result<&'b [u8], Fault> {
        self.expect(Type::Bytes, Type::BytesIndef)?;
        let bytes = self.decoder.bytes().map_err(|_| Fault::Type)?;
        if bytes.len() > max { Err(Fault::Limit(max)) } else { Ok(bytes) }
    }

    /// One byte to so many.
    pub(super) fn some_bytes(&mut self, max: usize) -> Result<&'b [u8], Fault> {
        let bytes = self.bytes_within(max)?;
        if bytes.is_empty() { Err(Fault::Value) } else { Ok(bytes) }
    }

    pub(super) fn null(&mut self) -> Result<(), Fault> {
        self.expect(Type::Null, Type::Null)?;
        self.decoder.null().map_err(|_| Fault::Type)
    }

    pub(super) fn text(&mut self, bytes_max: usize) -> Result<&'b str, Fault> {
        self.expect(Type::String, Type::StringIndef)?;
        let text = self.decoder.str().map_err(|_| Fault::Type)?;
        if text.len() > bytes_max { Err(Fault::Limit(bytes_max)) } else { Ok(text) }
    }

    /// A name, id or key in its one spelling.
    pub(super) fn parsed<T: FromStr>(&mut self) -> Result<T, Fault> {
        self.text(SHORT_BYTES_MAX)?.parse().map_err(|_| Fault::Value)
    }

    pub(super) fn list<T>(
        &mut self,
        max: usize,
        mut each: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.expect(Type::Array, Type::ArrayIndef)?;
        let found = self.decoder.array().map_err(|_| Fault::Type)?.ok_or(Fault::NotCanonical)?;
        if usize::try_from(found).map_or(true, |found| found > max) {
            return Err(Fault::Limit(max));
        }
        // Grows with what is really there, not with what the length says.
        (0..found).map(|_| each(self)).collect()
    }

    pub(super) fn option<T>(
        &mut self,
        each: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        if matches!(self.decoder.datatype(), Ok(Type::Null)) {
            self.decoder.null().map_err(|_| Fault::Type)?;
            return Ok(None);
        }
        each(self).map(Some)
    }
}
