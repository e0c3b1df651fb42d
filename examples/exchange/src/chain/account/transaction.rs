//! Signed EIP-1559 transactions: strict RLP, and the sender by recovery from the signature.
//!
//! Written for this stand-in alone, and on purpose not with Holdfast's own decoder: the two check each other.

use alloy_rlp::{Decodable as _, Header};
use bitcoin::secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use bitcoin::secp256k1::{Message, Secp256k1};

use super::{Address, Hash, keccak};

/// Longest transaction that is looked at, as nodes have it.
const BYTES_MAX: usize = 128 * 1024;
/// The selector of ERC-20's `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// Why bytes are no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("transaction type not supported")]
    Type,
    #[error("oversized data")]
    Size,
    #[error("rlp: {0}")]
    Rlp(alloy_rlp::Error),
    #[error("contract creation and access lists are not modelled")]
    NotModelled,
    #[error("invalid transaction v, r, s values")]
    Signature,
}

impl From<alloy_rlp::Error> for ParseError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Rlp(error)
    }
}

/// A transaction and who signed it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) max_priority_fee: u128,
    pub(crate) max_fee: u128,
    pub(crate) gas_limit: u64,
    pub(crate) to: Address,
    pub(crate) value: u128,
    pub(crate) data: Vec<u8>,
    pub(crate) y_parity: bool,
    pub(crate) r: Hash,
    pub(crate) s: Hash,
    /// Recovered from the signature.
    pub(crate) sender: Address,
    pub(crate) hash: Hash,
}

impl Signed {
    /// Reads the bytes of `eth_sendRawTransaction`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > BYTES_MAX {
            return Err(ParseError::Size);
        }
        let Some((2, mut rest)) = bytes.split_first() else { return Err(ParseError::Type) };
        let payload = Header::decode_bytes(&mut rest, true)?;
        if !rest.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength.into());
        }
        let mut at = payload;
        let chain_id = u64::decode(&mut at)?;
        let nonce = u64::decode(&mut at)?;
        let max_priority_fee = u128::decode(&mut at)?;
        let max_fee = u128::decode(&mut at)?;
        let gas_limit = u64::decode(&mut at)?;
        let to = Header::decode_bytes(&mut at, false)?;
        let value = u128::decode(&mut at)?;
        let data = Header::decode_bytes(&mut at, false)?.to_vec();
        if !Header::decode_bytes(&mut at, true)?.is_empty() {
            return Err(ParseError::NotModelled);
        }
        let signed_length = payload.len().saturating_sub(at.len());
        let signed = payload.get(..signed_length).unwrap_or_default();
        let y_parity = bool::decode(&mut at)?;
        let r = scalar(Header::decode_bytes(&mut at, false)?)?;
        let s = scalar(Header::decode_bytes(&mut at, false)?)?;
        if !at.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength.into());
        }
        let mut message = vec![2];
        Header { list: true, payload_length: signed_length }.encode(&mut message);
        message.extend_from_slice(signed);
        let sender = recover(keccak(&message), y_parity, r, s).ok_or(ParseError::Signature)?;
        Ok(Self {
            chain_id,
            nonce,
            max_priority_fee,
            max_fee,
            gas_limit,
            to: to.try_into().map_err(|_| ParseError::NotModelled)?,
            value,
            data,
            y_parity,
            r,
            s,
            sender,
            hash: keccak(bytes),
        })
    }

    /// To whom and how much, if this calls a token's `transfer`.
    pub(crate) fn token_transfer(&self) -> Option<(Address, u128)> {
        let rest = self.data.strip_prefix(&TRANSFER)?;
        let (to, amount) = (rest.get(..32)?, rest.get(32..64)?);
        let to: Address = to.strip_prefix(&[0; 12])?.try_into().ok()?;
        let amount: [u8; 16] = amount.strip_prefix(&[0; 16])?.try_into().ok()?;
        (rest.len() == 64).then(|| (to, u128::from_be_bytes(amount)))
    }

    /// What the sender must have: value and the most that the gas may cost.
    pub(crate) fn cost_max(&self) -> u128 {
        self.max_fee.saturating_mul(u128::from(self.gas_limit)).saturating_add(self.value)
    }
}

/// A number of at most 32 bytes without leading zeros.
fn scalar(bytes: &[u8]) -> Result<Hash, ParseError> {
    if bytes.first() == Some(&0) {
        return Err(alloy_rlp::Error::LeadingZero.into());
    }
    let mut scalar = [0; 32];
    let start = scalar.len().checked_sub(bytes.len()).ok_or(alloy_rlp::Error::Overflow)?;
    if let Some(tail) = scalar.get_mut(start..) {
        tail.copy_from_slice(bytes);
    }
    Ok(scalar)
}

fn recover(message: Hash, y_parity: bool, r: Hash, s: Hash) -> Option<Address> {
    let mut compact = [0; 64];
    let (left, right) = compact.split_at_mut(32);
    left.copy_from_slice(&r);
    right.copy_from_slice(&s);
    let id = RecoveryId::from_i32(i32::from(y_parity)).ok()?;
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let standard = signature.to_standard();
    let mut low = standard;
    low.normalize_s();
    if low != standard {
        return None;
    }
    let key =
        Secp256k1::verification_only().recover_ecdsa(&Message::from_digest(message), &signature).ok()?;
    let hash = keccak(key.serialize_uncompressed().get(1..)?);
    hash.get(12..)?.try_into().ok()
}
