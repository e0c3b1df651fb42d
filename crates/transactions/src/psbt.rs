//! The maps of a PSBT (BIP-174, version 0): keys and values by reference, nothing copied and nothing interpreted.
//!
//! Only the framing is read here, so that fields which nothing needs (scripts, trees, proprietary data) are never parsed.

use core::ops::Bound;
use std::collections::BTreeMap;

use bitcoin::Transaction;
use bitcoin::consensus::encode::{VarInt, deserialize, deserialize_partial};

use crate::TransactionError::{self, *};
use crate::{INPUTS_MAX, OUTPUTS_MAX, PSBT_BYTES_MAX};

const MAGIC: [u8; 5] = *b"psbt\xff";
/// Most fields of all maps together: 2,000 maps with 30 each.
const FIELDS_MAX: usize = 60_000;

/// One map: key with its type, and value.
#[derive(Debug, Default)]
pub(crate) struct Map<'a>(BTreeMap<&'a [u8], &'a [u8]>);

impl<'a> Map<'a> {
    /// The value of a field whose key is its type alone; the same type with more behind it is malformed.
    pub(crate) fn single(&self, kind: u8) -> Result<Option<&'a [u8]>, TransactionError> {
        let mut fields = self.all(kind);
        match (fields.next(), fields.next()) {
            (None, _) => Ok(None),
            (Some((&[], value)), None) => Ok(Some(value)),
            _ => Err(PsbtMalformed),
        }
    }

    /// Every field of a type: what its key has behind the type, and its value.
    pub(crate) fn all(&self, kind: u8) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let first = [kind];
        let fields = self.0.range::<[u8], _>((Bound::Included(first.as_slice()), Bound::Unbounded));
        fields.map_while(move |(key, value)| key.strip_prefix(&[kind]).map(|rest| (rest, *value)))
    }
}

/// The unsigned transaction and one map for each input and output.
pub(crate) struct Psbt<'a> {
    pub(crate) transaction: Transaction,
    pub(crate) inputs: Vec<Map<'a>>,
    pub(crate) outputs: Vec<Map<'a>>,
}

struct Cursor<'a> {
    rest: &'a [u8],
    fields: usize,
}

impl<'a> Cursor<'a> {
    /// A length in its one spelling, and that many bytes.
    fn bytes(&mut self) -> Result<&'a [u8], TransactionError> {
        let (VarInt(length), read) = deserialize_partial(self.rest).map_err(|_| PsbtMalformed)?;
        let rest = self.rest.get(read..).ok_or(PsbtMalformed)?;
        let length = usize::try_from(length).map_err(|_| PsbtMalformed)?;
        let (bytes, rest) = rest.split_at_checked(length).ok_or(PsbtMalformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Fields up to an empty key. No key may stand twice.
    fn map(&mut self) -> Result<Map<'a>, TransactionError> {
        let mut map = BTreeMap::new();
        loop {
            let key = self.bytes()?;
            if key.is_empty() {
                return Ok(Map(map));
            }
            self.fields += 1;
            if self.fields > FIELDS_MAX {
                return Err(TooManyFields);
            }
            if map.insert(key, self.bytes()?).is_some() {
                return Err(PsbtMalformed);
            }
        }
    }
}

impl<'a> Psbt<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, TransactionError> {
        if bytes.len() > PSBT_BYTES_MAX {
            return Err(TooLong);
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(PsbtMalformed)?;
        let mut cursor = Cursor { rest, fields: 0 };
        let global = cursor.map()?;
        if global.single(0xfb)?.is_some_and(|version| version != [0; 4]) {
            return Err(PsbtVersion);
        }
        let transaction = unsigned(global.single(0x00)?.ok_or(PsbtMalformed)?)?;
        let inputs = transaction.input.iter().map(|_| cursor.map()).collect::<Result<_, _>>()?;
        let outputs = transaction.output.iter().map(|_| cursor.map()).collect::<Result<_, _>>()?;
        if cursor.rest.is_empty() { Ok(Self { transaction, inputs, outputs }) } else { Err(TrailingBytes) }
    }
}

/// A transaction without witness. The number of its inputs is judged first: none would read as the mark of a witness, and
/// too many would be allocated.
fn unsigned(bytes: &[u8]) -> Result<Transaction, TransactionError> {
    let inputs = bytes.get(4..).ok_or(PsbtMalformed)?;
    let (VarInt(count), _) = deserialize_partial(inputs).map_err(|_| PsbtMalformed)?;
    match usize::try_from(count) {
        Ok(0) => return Err(NoInputs),
        Ok(1..=INPUTS_MAX) => {}
        _ => return Err(TooManyInputs),
    }
    let transaction: Transaction = deserialize(bytes).map_err(|_| PsbtMalformed)?;
    match transaction.output.len() {
        0 => Err(NoOutputs),
        1..=OUTPUTS_MAX => Ok(transaction),
        _ => Err(TooManyOutputs),
    }
}
