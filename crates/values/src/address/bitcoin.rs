//! Bitcoin, its test networks, Litecoin and Dogecoin, and the base58 form of Bitcoin Cash.

use super::{AddressError, AddressKind, Parsed, base58, segwit};
use crate::network::Network;

/// The prefixes of one network.
struct Prefixes {
    segwit: Option<&'static str>,
    p2pkh: u8,
    p2sh: u8,
    /// A script-hash version that the network used earlier; its canonical spelling has `p2sh`.
    p2sh_legacy: Option<u8>,
}

/// Bitcoin Core's and Litecoin Core's and Dogecoin Core's `chainparams.cpp`.
const fn prefixes(network: Network) -> Option<Prefixes> {
    let (segwit, p2pkh, p2sh, p2sh_legacy) = match network {
        Network::Bitcoin => (Some("bc"), 0x00, 0x05, None),
        Network::BitcoinTestnet | Network::BitcoinSignet => (Some("tb"), 0x6f, 0xc4, None),
        Network::BitcoinRegtest => (Some("bcrt"), 0x6f, 0xc4, None),
        // Litecoin's script hashes began with 3, like Bitcoin's, until 2018: the same script, so one destination.
        Network::Litecoin => (Some("ltc"), 0x30, 0x32, Some(0x05)),
        Network::Dogecoin => (None, 0x1e, 0x16, None),
        _ => return None,
    };
    Some(Prefixes { segwit, p2pkh, p2sh, p2sh_legacy })
}

/// Version bytes of addresses of any network here, to tell another network's address from nonsense.
const ADDRESS_VERSIONS: [u8; 9] = [0x00, 0x05, 0x6f, 0xc4, 0x30, 0x32, 0x1e, 0x16, 0x41];
/// Version bytes of private keys (WIF): Bitcoin, its test networks, Litecoin, Dogecoin.
const KEY_VERSIONS: [u8; 4] = [0x80, 0xef, 0xb0, 0x9e];

/// The 20 bytes of a base58check address and its version; private keys and other payloads are refused.
pub(super) fn parse_hash(text: &str) -> Result<(u8, [u8; 20]), AddressError> {
    let payload = base58::decode_check(text, bs58::Alphabet::BITCOIN)?;
    let (version, rest) = payload.split_first().ok_or(AddressError::Length)?;
    if KEY_VERSIONS.contains(version) && (rest.len() == 32 || rest.len() == 33) {
        return Err(AddressError::PrivateKey);
    }
    let hash = rest.try_into().map_err(|_| AddressError::Length)?;
    Ok((*version, hash))
}

/// The error for a sound base58check address whose version is not one of this network's.
pub(super) fn foreign(version: u8) -> AddressError {
    if ADDRESS_VERSIONS.contains(&version) { AddressError::Network } else { AddressError::Version }
}

fn print_hash(version: u8, hash: [u8; 20]) -> String {
    let mut payload = vec![version];
    payload.extend_from_slice(&hash);
    base58::encode_check(&payload, bs58::Alphabet::BITCOIN)
}

/// Parses an address of a network that has base58check and perhaps segregated-witness addresses.
pub(super) fn parse(network: Network, text: &str) -> Result<Parsed, AddressError> {
    let prefixes = prefixes(network).ok_or(AddressError::Version)?;
    if segwit::prefix(text).is_some() {
        return segwit::parse(prefixes.segwit.unwrap_or_default(), text);
    }
    let (version, hash) = parse_hash(text)?;
    if version == prefixes.p2pkh {
        Ok(Parsed::plain(AddressKind::P2pkh, print_hash(version, hash)))
    } else if version == prefixes.p2sh || prefixes.p2sh_legacy == Some(version) {
        Ok(Parsed::plain(AddressKind::P2sh, print_hash(prefixes.p2sh, hash)))
    } else {
        Err(foreign(version))
    }
}
