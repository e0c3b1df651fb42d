//! EVM networks: unsigned EIP-1559 transactions that pay the network's coin or an ERC-20 token, and nothing else.

use holdfast_values::Destination;

use crate::wallet::EvmWallet;
use crate::{Decoded, TransactionError, Wallet};

/// An EIP-1559 transaction without its (empty) access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmFields {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The sender's nonce.
    pub nonce: u64,
    /// The tip, in wei per gas.
    pub max_priority_fee_per_gas: u128,
    /// The most that is paid, tip included, in wei per gas.
    pub max_fee_per_gas: u128,
    /// The most gas.
    pub gas_limit: u64,
    /// Who is paid or called.
    pub to: [u8; 20],
    /// Wei.
    pub value: u128,
    /// Calldata.
    pub data: Vec<u8>,
}

/// The bytes that are hashed and signed: 0x02 and the RLP of all fields with an empty access list.
pub fn evm_unsigned(_fields: &EvmFields) -> Vec<u8> {
    Vec::new()
}

/// The final bytes of an unsigned transaction and a signature; `None` if one of them is none.
pub fn evm_signed(_unsigned: &[u8], _y_parity: bool, _r: [u8; 32], _s: [u8; 32]) -> Option<Vec<u8>> {
    None
}

/// Takes a signed transaction apart: the bytes that were signed, whose signature it is, and the hash by which a chain knows it.
/// Signatures with high s are refused (EIP-2).
pub fn evm_parse_signed(_bytes: &[u8]) -> Result<(Vec<u8>, [u8; 20], [u8; 32]), TransactionError> {
    Err(TransactionError::EvmMalformed)
}

/// The 20 bytes of an EVM destination.
pub(crate) fn address_bytes(destination: &Destination) -> Option<[u8; 20]> {
    let digits = destination.address().strip_prefix("0x")?.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut bytes = [0; 20];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

pub(crate) fn decode(
    _bytes: &[u8],
    _payer: &EvmWallet,
    _known: &[Wallet],
) -> Result<Decoded, TransactionError> {
    Err(TransactionError::EvmMalformed)
}
