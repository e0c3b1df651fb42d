//! Stellar: strkeys (SEP-23) of accounts `G...` and muxed accounts `M...`, and memos.
//!
//! A memo is spelled `text:...` (1 to 28 printable ASCII characters, no space at either end), `id:` and a number below
//! 2⁶⁴, `hash:` or `return:` and 64 hexadecimal digits. A memo without one of these prefixes is a text, which is what a
//! bare string is on Stellar. A muxed account carries its id inside and takes no memo.

use super::{AddressError, AddressKind, Parsed};
use crate::hex;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Version bytes: account, muxed account, secret seed.
const ACCOUNT: u8 = 6 << 3;
const MUXED: u8 = 12 << 3;
const SEED: u8 = 18 << 3;

const MEMO: AddressError = AddressError::MemoInvalid {
    expected: "write text: and 1 to 28 printable characters, id: and a number, or hash: or return: and 64 hex digits",
};

/// Parses `G...` with an optional memo, or `M...`.
pub(super) fn parse(text: &str, memo: Option<&str>) -> Result<Parsed, AddressError> {
    let bytes = decode(text)?;
    let (body, sum) = bytes.split_last_chunk::<2>().ok_or(AddressError::Length)?;
    if crc16(body) != u16::from_le_bytes(*sum) {
        return Err(AddressError::Checksum);
    }
    // Strkeys are canonical: a text that decodes is the one spelling of its bytes.
    match (body.first().copied(), body.len()) {
        (Some(ACCOUNT), 33) => Ok(Parsed {
            memo: memo.map(parse_memo).transpose()?,
            ..Parsed::plain(AddressKind::StellarAccount, text.to_owned())
        }),
        (Some(MUXED), 41) if memo.is_some() => Err(AddressError::MemoNotSupported),
        (Some(MUXED), 41) => Ok(Parsed::plain(AddressKind::StellarMuxed, text.to_owned())),
        (Some(SEED), 33) => Err(AddressError::PrivateKey),
        (Some(ACCOUNT | MUXED), _) => Err(AddressError::Length),
        _ => Err(AddressError::Version),
    }
}

/// RFC 4648 base 32 without padding; left-over bits must be fewer than five and zero.
fn decode(text: &str) -> Result<Vec<u8>, AddressError> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0u16, 0u8);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|c| *c == byte).ok_or(AddressError::Encoding)?;
        buffer = (buffer << 5) | u16::try_from(value).map_err(|_| AddressError::Encoding)?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits).to_be_bytes()[1]);
            buffer &= (1 << bits) - 1;
        }
    }
    if bits >= 5 {
        return Err(AddressError::Length);
    }
    if buffer != 0 { Err(AddressError::Padding) } else { Ok(bytes) }
}

/// CRC-16/XMODEM: polynomial x¹⁶ + x¹² + x⁵ + 1, from zero.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 }
        })
    })
}

fn parse_memo(text: &str) -> Result<String, AddressError> {
    if let Some(number) = text.strip_prefix("id:") {
        let id: u64 = number.parse().map_err(|_| MEMO)?;
        return if id.to_string() == number { Ok(text.to_owned()) } else { Err(MEMO) };
    }
    for kind in ["hash:", "return:"] {
        if let Some(digits) = text.strip_prefix(kind) {
            let hash = hex::decode::<32>(digits).ok_or(MEMO)?;
            return Ok(format!("{kind}{}", hex::encode(&hash)));
        }
    }
    let body = text.strip_prefix("text:").unwrap_or(text);
    let printable = body.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !(1..=28).contains(&body.len()) || !printable || body.trim() != body {
        return Err(MEMO);
    }
    Ok(format!("text:{body}"))
}
