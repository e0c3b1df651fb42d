//! Bitcoin Cash: cashaddr (bitcoincash.org, spec/cashaddr.md) with or without its prefix, and the older base58 form.
//!
//! Every spelling of a script is one destination, written as cashaddr with prefix in lower case. Token-aware addresses
//! (CHIP-2022-02 CashTokens, types 2 and 3) name the same scripts as types 0 and 1. Hash sizes that no script on the
//! chain has (all but 20 bytes, and 32 for script hashes) are refused, as the nodes do: such coins could not be spent.

use super::{AddressError, AddressKind, Parsed, bitcoin};

const PREFIX: &str = "bitcoincash";
const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Five-bit groups of the checksum.
const CHECKSUM_LEN: usize = 8;

/// Parses any spelling of a Bitcoin Cash address.
pub(super) fn parse(text: &str) -> Result<Parsed, AddressError> {
    if !text.contains(':') {
        // No cashaddr begins with 1 or 3, and no private key is one.
        match bitcoin::parse_hash(text) {
            Ok((0x00, hash)) => return Ok(legacy(AddressKind::P2pkh, hash)),
            Ok((0x05, hash)) => return Ok(legacy(AddressKind::P2sh, hash)),
            Ok((version, _)) => return Err(bitcoin::foreign(version)),
            Err(AddressError::PrivateKey) => return Err(AddressError::PrivateKey),
            Err(error) if text.starts_with(['1', '3']) => return Err(error),
            Err(_) => {}
        }
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(AddressError::MixedCase);
    }
    let lower = text.to_ascii_lowercase();
    let (prefix, payload) = lower.split_once(':').unwrap_or((PREFIX, &lower));
    let values = payload
        .bytes()
        .map(|byte| CHARSET.iter().position(|c| *c == byte).and_then(|v| u8::try_from(v).ok()))
        .collect::<Option<Vec<u8>>>()
        .ok_or(AddressError::Encoding)?;
    if polymod(prefix, values.iter().copied()) != 0 {
        let elsewhere =
            prefix == PREFIX && ["bchtest", "bchreg"].iter().any(|p| polymod(p, values.iter().copied()) == 0);
        return Err(if elsewhere { AddressError::Network } else { AddressError::Checksum });
    }
    if prefix != PREFIX {
        return Err(AddressError::Network);
    }
    let (data, _) = values.split_last_chunk::<CHECKSUM_LEN>().ok_or(AddressError::Length)?;
    let bytes = regroup(data)?;
    let (version, hash) = bytes.split_first().ok_or(AddressError::Length)?;
    let size = match version & 7 {
        small @ 0..=3 => 20 + usize::from(small) * 4,
        large => 40 + usize::from(large - 4) * 8,
    };
    if hash.len() != size {
        return Err(AddressError::Length);
    }
    let (kind, type_bits) = match (version >> 3, size) {
        (0 | 2, 20) => (AddressKind::CashaddrP2pkh, 0),
        (1 | 3, 20 | 32) => (AddressKind::CashaddrP2sh, 1),
        (0..=3, _) => return Err(AddressError::Length),
        // The reserved top bit, and types that nobody has defined.
        _ => return Err(AddressError::Version),
    };
    Ok(Parsed::plain(kind, print((type_bits << 3) | (version & 7), hash)))
}

fn legacy(written_as: AddressKind, hash: [u8; 20]) -> Parsed {
    let (kind, version) = match written_as {
        AddressKind::P2pkh => (AddressKind::CashaddrP2pkh, 0x00),
        _ => (AddressKind::CashaddrP2sh, 0x08),
    };
    Parsed { kind, written_as, address: print(version, &hash), memo: None }
}

/// The specification's `PolyMod` over prefix, separator and values: zero for a sound address.
fn polymod(prefix: &str, values: impl Iterator<Item = u8>) -> u64 {
    const GENERATOR: [u64; 5] =
        [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470];
    let input = prefix.bytes().map(|b| b & 0x1f).chain([0]).chain(values);
    let sum = input.fold(1u64, |sum, value| {
        let top = sum >> 35;
        let mut next = ((sum & 0x07_ffff_ffff) << 5) ^ u64::from(value);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                next ^= generator;
            }
        }
        next
    });
    sum ^ 1
}

/// Five-bit groups to bytes; what is left over must be fewer than five bits, all zero.
fn regroup(values: &[u8]) -> Result<Vec<u8>, AddressError> {
    let mut bytes = Vec::with_capacity(values.len() * 5 / 8);
    let (mut buffer, mut bits) = (0u16, 0u8);
    for value in values {
        buffer = (buffer << 5) | u16::from(*value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits).to_be_bytes()[1]);
            buffer &= (1 << bits) - 1;
        }
    }
    if bits >= 5 || buffer != 0 { Err(AddressError::Padding) } else { Ok(bytes) }
}

fn print(version: u8, hash: &[u8]) -> String {
    let mut values = Vec::with_capacity(64);
    let (mut buffer, mut bits) = (0u16, 0u8);
    for byte in core::iter::once(&version).chain(hash) {
        buffer = (buffer << 8) | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            values.push((buffer >> bits).to_be_bytes()[1] & 0x1f);
            buffer &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        values.push((buffer << (5 - bits)).to_be_bytes()[1] & 0x1f);
    }
    let sum = polymod(PREFIX, values.iter().copied().chain([0; CHECKSUM_LEN]));
    values.extend((0..CHECKSUM_LEN).rev().map(|place| (sum >> (place * 5)).to_be_bytes()[7] & 0x1f));
    let letters = values.iter().filter_map(|v| CHARSET.get(usize::from(*v)).copied()).map(char::from);
    PREFIX.chars().chain([':']).chain(letters).collect()
}
