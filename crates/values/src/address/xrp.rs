//! The XRP Ledger: classic addresses (xrpl.org, base58 encodings) with a destination tag, and X-addresses (XLS-5),
//! which carry the tag inside.
//!
//! The canonical spelling is the classic address with the tag as memo, a decimal number below 2³²: on the ledger a
//! payment to an X-address is exactly that.

use super::{AddressError, AddressKind, Parsed, base58};

/// Version byte of an account id.
const ACCOUNT: u8 = 0x00;
/// Version byte of a secp256k1 seed (`s...`), and the three of an ed25519 one (`sEd...`).
const SEED: u8 = 0x21;
const SEED_ED25519: [u8; 3] = [0x01, 0xe1, 0x4b];
const X_MAIN: [u8; 2] = [0x05, 0x44];
const X_TEST: [u8; 2] = [0x04, 0x93];

const TAG: AddressError = AddressError::MemoInvalid {
    expected: "a destination tag is a whole number from 0 to 4294967295, without leading zeros",
};

/// Parses `r...` with an optional tag, or `X...`, whose tag a memo may repeat but not contradict.
pub(super) fn parse(text: &str, memo: Option<&str>) -> Result<Parsed, AddressError> {
    let payload = base58::decode_check(text, bs58::Alphabet::RIPPLE)?;
    let given = memo.map(parse_tag).transpose();
    match payload.as_slice() {
        [ACCOUNT, rest @ ..] if rest.len() == 20 => {
            Ok(Parsed { written_as: AddressKind::XrpClassic, ..classic(account(rest)?, given?) })
        }
        [SEED, rest @ ..] if rest.len() == 16 => Err(AddressError::PrivateKey),
        [a, b, c, rest @ ..] if rest.len() == 16 && [*a, *b, *c] == SEED_ED25519 => {
            Err(AddressError::PrivateKey)
        }
        [a, b, rest @ ..] if rest.len() == 29 && [*a, *b] == X_TEST => Err(AddressError::Network),
        [a, b, rest @ ..] if rest.len() == 29 && [*a, *b] == X_MAIN => {
            let (id, tail) = rest.split_at(20);
            let inside = match tail {
                [0, 0, 0, 0, 0, 0, 0, 0, 0] => None,
                [1, t0, t1, t2, t3, 0, 0, 0, 0] => Some(u32::from_le_bytes([*t0, *t1, *t2, *t3])),
                _ => return Err(AddressError::Version),
            };
            if memo.is_some() && given? != inside {
                return Err(AddressError::MemoConflict);
            }
            Ok(classic(account(id)?, inside))
        }
        [ACCOUNT, ..] => Err(AddressError::Length),
        _ => Err(AddressError::Version),
    }
}

fn account(bytes: &[u8]) -> Result<[u8; 20], AddressError> {
    let id: [u8; 20] = bytes.try_into().map_err(|_| AddressError::Length)?;
    // xrpl.org, special addresses: ACCOUNT_ZERO and ACCOUNT_ONE are black holes.
    match id {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 | 1] => Err(AddressError::NotPayable),
        _ => Ok(id),
    }
}

fn classic(id: [u8; 20], tag: Option<u32>) -> Parsed {
    let mut payload = vec![ACCOUNT];
    payload.extend_from_slice(&id);
    Parsed {
        kind: AddressKind::XrpClassic,
        written_as: AddressKind::XrpXAddress,
        address: base58::encode_check(&payload, bs58::Alphabet::RIPPLE),
        memo: tag.map(|tag| tag.to_string()),
    }
}

fn parse_tag(text: &str) -> Result<u32, AddressError> {
    let tag: u32 = text.parse().map_err(|_| TAG)?;
    // `parse` also reads "+5" and "007".
    if tag.to_string() == text { Ok(tag) } else { Err(TAG) }
}
