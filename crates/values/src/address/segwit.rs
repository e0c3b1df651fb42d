//! Segregated-witness addresses: bech32 for version 0 (BIP-173), bech32m from version 1 on (BIP-350).

use bech32::primitives::decode::{ChecksumError, SegwitHrpstringError, UncheckedHrpstringError};

use super::{AddressError, AddressKind, Parsed};

/// The prefix, if `text` begins as a segregated-witness address of any network known here.
pub(super) fn prefix(text: &str) -> Option<&'static str> {
    ["bc", "tb", "bcrt", "ltc"].into_iter().find(|hrp| {
        let start = text.as_bytes().get(..hrp.len());
        start.is_some_and(|s| s.eq_ignore_ascii_case(hrp.as_bytes()))
            && text.as_bytes().get(hrp.len()) == Some(&b'1')
    })
}

/// Parses a segregated-witness address that must carry the prefix `hrp`; its canonical spelling is in lower case.
pub(super) fn parse(hrp: &str, text: &str) -> Result<Parsed, AddressError> {
    let (found, version, program) = bech32::segwit::decode(text).map_err(|e| refusal(&e.0, text))?;
    if !found.as_str().eq_ignore_ascii_case(hrp) {
        return Err(AddressError::Network);
    }
    let kind = match (version.to_u8(), program.as_slice().try_into()) {
        (0, Err(_)) if program.len() == 20 => AddressKind::P2wpkh,
        (0, _) => AddressKind::P2wsh,
        (1, Ok(key)) if super::secp256k1::is_x_coordinate(key) => AddressKind::P2tr,
        // BIP-341: an output key that is no point can never be spent.
        (1, Ok(_)) => return Err(AddressError::NotPayable),
        _ => AddressKind::WitnessUnknown,
    };
    Ok(Parsed::plain(kind, text.to_ascii_lowercase()))
}

fn refusal(error: &SegwitHrpstringError, text: &str) -> AddressError {
    match error {
        SegwitHrpstringError::Unchecked(UncheckedHrpstringError::Char(_))
            if text.bytes().any(|b| b.is_ascii_uppercase())
                && text.bytes().any(|b| b.is_ascii_lowercase()) =>
        {
            AddressError::MixedCase
        }
        SegwitHrpstringError::InvalidWitnessVersion(_) => AddressError::Version,
        SegwitHrpstringError::Padding(_) => AddressError::Padding,
        SegwitHrpstringError::TooLong(_) | SegwitHrpstringError::WitnessLength(_) => AddressError::Length,
        SegwitHrpstringError::Checksum(ChecksumError::CodeLength(_)) => AddressError::Length,
        SegwitHrpstringError::Checksum(_) => AddressError::Checksum,
        _ => AddressError::Encoding,
    }
}
