//! Solana: 32 bytes in base 58 (docs.solana.com, Account addresses). There is no checksum: a mistyped address that
//! still has 32 bytes is accepted, and nobody can know better.
//!
//! Addresses that are no point of ed25519 are accepted: they are program-derived, and vaults and multisig wallets live
//! there. The address of all zeros is the system program, which pays nothing back.

use super::{AddressError, AddressKind, Parsed, base58};

/// Parses the base 58 text of exactly 32 bytes; every such value has one spelling.
pub(super) fn parse(text: &str) -> Result<Parsed, AddressError> {
    let bytes = base58::decode(text, bs58::Alphabet::BITCOIN)?;
    let key: [u8; 32] = bytes.try_into().map_err(|_| AddressError::Length)?;
    if key == [0; 32] {
        return Err(AddressError::NotPayable);
    }
    Ok(Parsed::plain(AddressKind::Solana, bs58::encode(key).into_string()))
}
