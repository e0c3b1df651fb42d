//! Accounts of the Ethereum virtual machine: 20 bytes in hexadecimal, with the checksum of EIP-55 in the case of the
//! letters.
//!
//! All letters of one case carry no checksum and are accepted, as wallets do; mixed case must fit. The canonical
//! spelling is EIP-55's. Of the checksum's strength: about 15 bits, so it misses one typing error in 4,000.

use sha3::{Digest as _, Keccak256};

use super::{AddressError, AddressKind, Parsed};
use crate::hex;

/// Parses `0x` and 40 hexadecimal digits.
pub(super) fn parse(text: &str) -> Result<Parsed, AddressError> {
    let digits = text.strip_prefix("0x").ok_or(AddressError::Encoding)?;
    if digits.len() != 40 {
        return Err(AddressError::Length);
    }
    let account = hex::decode::<20>(digits).ok_or(AddressError::Encoding)?;
    let canonical = print(account);
    let upper = digits.bytes().any(|b| b.is_ascii_uppercase());
    let lower = digits.bytes().any(|b| b.is_ascii_lowercase());
    if upper && lower && canonical != text {
        return Err(AddressError::Checksum);
    }
    if account == [0; 20] {
        return Err(AddressError::NotPayable);
    }
    Ok(Parsed::plain(AddressKind::Evm, canonical))
}

/// EIP-55: a letter is a capital if the hash of the lower-case digits has a digit of 8 or more in its place.
fn print(account: [u8; 20]) -> String {
    let digits = hex::encode(&account);
    let hash: [u8; 32] = Keccak256::digest(digits.as_bytes()).into();
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let letters =
        digits.chars().zip(nibbles).map(|(c, nibble)| if nibble >= 8 { c.to_ascii_uppercase() } else { c });
    "0x".chars().chain(letters).collect()
}
