//! Base58check: base 58 with four bytes of double SHA-256 behind the payload, in Bitcoin's and in the XRP Ledger's
//! alphabet. What version bytes mean is the networks' matter.

use sha2::{Digest as _, Sha256};

use super::AddressError;

/// Longest base58 text that is decoded (the time grows with the square of its length); WIF keys have 52 characters.
const TEXT_MAX: usize = 64;

fn checksum(payload: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(Sha256::digest(payload)));
    [a, b, c, d]
}

/// Decodes plain base 58, without a checksum.
pub(super) fn decode(text: &str, alphabet: &bs58::Alphabet) -> Result<Vec<u8>, AddressError> {
    if text.len() > TEXT_MAX {
        return Err(AddressError::Length);
    }
    bs58::decode(text).with_alphabet(alphabet).into_vec().map_err(|_| AddressError::Encoding)
}

/// Decodes and verifies; returns the payload, version bytes included.
pub(super) fn decode_check(text: &str, alphabet: &bs58::Alphabet) -> Result<Vec<u8>, AddressError> {
    let mut bytes = decode(text, alphabet)?;
    let (payload, sum) = bytes.split_last_chunk::<4>().ok_or(AddressError::Length)?;
    if checksum(payload) != *sum {
        return Err(AddressError::Checksum);
    }
    bytes.truncate(bytes.len() - 4);
    Ok(bytes)
}

/// Prints a payload with its checksum.
pub(super) fn encode_check(payload: &[u8], alphabet: &bs58::Alphabet) -> String {
    let mut bytes = payload.to_vec();
    bytes.extend_from_slice(&checksum(payload));
    bs58::encode(bytes).with_alphabet(alphabet).into_string()
}
