//! What two transactions must share so that a chain takes at most one of them: an outpoint, or a sender's nonce.
//!
//! Two Bitcoin transactions that spend the same outpoint conflict, and so do two EVM transactions of one sender with one
//! nonce on one chain. Transaction ids say nothing about that: a fee bump has another id and must conflict.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};

use crate::hex;

/// One thing that only one transaction on a chain can ever use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum ConflictKey {
    /// A Bitcoin output that is spent. Prints as `TXID:VOUT`, the id as explorers write it (bytes reversed).
    #[n(0)]
    Outpoint {
        /// The transaction's id, in the order of its bytes on the wire.
        #[cbor(n(0), with = "minicbor::bytes")]
        txid: [u8; 32],
        /// The output's place.
        #[n(1)]
        vout: u32,
    },
    /// An EVM account's nonce. Prints as `CHAIN:0xSENDER:NONCE`, the address in lower case.
    #[n(1)]
    Nonce {
        /// EIP-155 chain id.
        #[n(0)]
        chain: u64,
        /// The account.
        #[cbor(n(1), with = "minicbor::bytes")]
        sender: [u8; 20],
        /// Its nonce.
        #[n(2)]
        nonce: u64,
    },
}

/// The text is no conflict key in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an outpoint as TXID:VOUT, or a nonce as CHAIN:0xSENDER:NONCE, in lower case and without leading zeros"
)]
pub struct ConflictKeyError;

impl fmt::Display for ConflictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outpoint { txid, vout } => {
                for byte in txid.iter().rev() {
                    write!(f, "{byte:02x}")?;
                }
                write!(f, ":{vout}")
            }
            Self::Nonce { chain, sender, nonce } => {
                write!(f, "{chain}:0x")?;
                for byte in sender {
                    write!(f, "{byte:02x}")?;
                }
                write!(f, ":{nonce}")
            }
        }
    }
}

impl FromStr for ConflictKey {
    type Err = ConflictKeyError;
    fn from_str(text: &str) -> Result<Self, ConflictKeyError> {
        let parsed = || -> Option<Self> {
            let (first, rest) = text.split_once(':')?;
            if let Some((sender, nonce)) = rest.strip_prefix("0x").and_then(|rest| rest.split_once(':')) {
                let (chain, nonce) = (first.parse().ok()?, nonce.parse().ok()?);
                return Some(Self::Nonce { chain, sender: hex::decode(sender)?, nonce });
            }
            let mut txid: [u8; 32] = hex::decode(first)?;
            txid.reverse();
            Some(Self::Outpoint { txid, vout: rest.parse().ok()? })
        };
        let key = parsed().ok_or(ConflictKeyError)?;
        if key.to_string() == text { Ok(key) } else { Err(ConflictKeyError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_keys_have_one_spelling() {
        let mut txid = [0u8; 32];
        txid[0] = 0xab;
        let outpoint = ConflictKey::Outpoint { txid, vout: 7 };
        assert_eq!(outpoint.to_string(), format!("{}ab:7", "0".repeat(62)));
        let nonce = ConflictKey::Nonce { chain: 1, sender: [0x5a; 20], nonce: 12 };
        assert_eq!(nonce.to_string(), format!("1:0x{}:12", "5a".repeat(20)));
        for key in [outpoint, nonce] {
            assert_eq!(key.to_string().parse(), Ok(key));
            let bytes = minicbor::to_vec(key).unwrap();
            assert_eq!(minicbor::decode::<ConflictKey>(&bytes).unwrap(), key);
        }
        for text in [
            String::new(),
            ":".into(),
            format!("{}:07", "0".repeat(64)),
            format!("{}:+7", "0".repeat(64)),
            format!("{}:7", "A".repeat(64)),
            format!("01:0x{}:12", "5a".repeat(20)),
            format!("1:0x{}:12", "5A".repeat(20)),
            format!("1:0x{}:", "5a".repeat(20)),
        ] {
            assert!(text.parse::<ConflictKey>().is_err(), "{text:?}");
        }
    }
}
