//! Tron: base58check of 0x41 and 20 bytes (developers.tron.network, Account). The hexadecimal form that nodes use
//! inside carries no checksum and is refused.

use super::{AddressError, AddressKind, Parsed, base58, bitcoin};

/// The version byte of Tron's main network (and of its test networks: they cannot be told apart).
const VERSION: u8 = 0x41;

/// Parses `T...`.
pub(super) fn parse(text: &str) -> Result<Parsed, AddressError> {
    let (version, account) = bitcoin::parse_hash(text)?;
    if version != VERSION {
        return Err(bitcoin::foreign(version));
    }
    if account == [0; 20] {
        return Err(AddressError::NotPayable);
    }
    let mut payload = vec![VERSION];
    payload.extend_from_slice(&account);
    Ok(Parsed::plain(AddressKind::Tron, base58::encode_check(&payload, bs58::Alphabet::BITCOIN)))
}
