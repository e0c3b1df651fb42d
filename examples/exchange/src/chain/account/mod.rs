//! An EVM chain in memory: `transaction` reads signed transactions and finds who signed them, `ledger` holds balances,
//! tokens, blocks and the pool, `rpc` answers as a node does. There is no virtual machine: the coin moves, and
//! configured tokens move by `transfer`; other calls succeed and do nothing.

pub(crate) mod ledger;
pub(crate) mod rpc;
pub(crate) mod transaction;

use bitcoin::hex::{DisplayHex as _, FromHex as _};
use sha3::{Digest as _, Keccak256};

/// An account or contract.
pub(crate) type Address = [u8; 20];
/// A transaction's or block's hash.
pub(crate) type Hash = [u8; 32];

/// Keccak-256.
pub(crate) fn keccak(bytes: &[u8]) -> Hash {
    Keccak256::digest(bytes).into()
}

/// `0x` and hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("0x{}", bytes.to_lower_hex_string())
}

/// The bytes of such a text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    Vec::from_hex(text.strip_prefix("0x")?).ok()
}

/// An address in hexadecimal digits, with `0x`, in any case.
pub(crate) fn address(text: &str) -> Option<Address> {
    unhex(text)?.try_into().ok()
}
