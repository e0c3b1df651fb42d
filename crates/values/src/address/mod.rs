//! Destinations: addresses checked by checksum, version and network, each brought to one spelling, with the tag or
//! memo that belongs to it.
//!
//! One submodule a format. Nothing here knows amounts, accounts or whether a destination is wanted. No error repeats
//! the text it refuses: what people paste here by mistake may be a private key.

mod base58;
mod bitcoin;
mod cashaddr;
mod evm;
mod secp256k1;
mod segwit;
mod solana;
mod stellar;
mod tron;
mod xrp;

use core::fmt;

use minicbor::{Decode, Encode};

use crate::network::{Family, Network};

/// Longest address text that is looked at; the longest that any network here writes has 90 characters.
pub const ADDRESS_LEN_MAX: usize = 128;
/// Longest memo text that is looked at; the longest that is accepted has 71 characters (`return:` and 64 digits).
pub const MEMO_LEN_MAX: usize = 96;

/// Why a text is no address on a network, or its memo no memo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No characters at all.
    #[error("the address is empty")]
    Empty,
    /// Too few or too many characters, or another number of bytes inside than this kind of address has.
    #[error("the address has the wrong length: it may have been cut off or joined with other text")]
    Length,
    /// A character outside the alphabet of the format, or a missing prefix.
    #[error("the address holds a character, or lacks a prefix, that addresses of this network have")]
    Encoding,
    /// Upper and lower case mixed where one of them is wanted.
    #[error("the address mixes upper and lower case: copy it again from its source")]
    MixedCase,
    /// The checksum does not fit: a mistyped or altered address.
    #[error("the checksum of the address does not fit: copy it again from its source")]
    Checksum,
    /// Bits that should be zero padding are not, or there are too many of them.
    #[error("the address ends in bits that no address has: copy it again from its source")]
    Padding,
    /// A well-formed address of another network.
    #[error("the address belongs to another network: check which network the receiver expects")]
    Network,
    /// A version or type that addresses of this network do not have.
    #[error("the text is of a kind that is no payable address on this network")]
    Version,
    /// A private key or seed where an address should be.
    #[error("this is a private key, not an address: treat it as stolen, and never paste it anywhere again")]
    PrivateKey,
    /// An address from which nobody can spend, or from which everybody can.
    #[error("coins sent to this address are lost: no one person can spend them")]
    NotPayable,
    /// A memo that is not of this network's form.
    #[error("the memo or tag is malformed: {expected}")]
    MemoInvalid {
        /// What this network's memos look like.
        expected: &'static str,
    },
    /// A memo on a network, or with an address, that has none.
    #[error("this kind of address takes no memo or tag: leave it out")]
    MemoNotSupported,
    /// The address carries a tag of its own, and the memo says another.
    #[error("the address carries a tag that differs from the one given: ask the receiver which is right")]
    MemoConflict,
}

impl AddressError {
    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "address_empty",
            Self::Length => "address_length",
            Self::Encoding => "address_encoding",
            Self::MixedCase => "address_mixed_case",
            Self::Checksum => "address_checksum",
            Self::Padding => "address_padding",
            Self::Network => "address_network",
            Self::Version => "address_version",
            Self::PrivateKey => "address_private_key",
            Self::NotPayable => "address_not_payable",
            Self::MemoInvalid { .. } => "memo_invalid",
            Self::MemoNotSupported => "memo_not_supported",
            Self::MemoConflict => "memo_conflict",
        }
    }
}

/// What sort of address a text is. The numbers are part of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum AddressKind {
    /// Base58check, pay to public key hash.
    #[n(0)]
    P2pkh,
    /// Base58check, pay to script hash.
    #[n(1)]
    P2sh,
    /// Segregated witness version 0, 20 bytes.
    #[n(2)]
    P2wpkh,
    /// Segregated witness version 0, 32 bytes.
    #[n(3)]
    P2wsh,
    /// Segregated witness version 1, 32 bytes: taproot.
    #[n(4)]
    P2tr,
    /// A witness program that has no rules yet: well formed, but anyone may spend what is sent there.
    #[n(5)]
    WitnessUnknown,
    /// Bitcoin Cash cashaddr, public key hash.
    #[n(6)]
    CashaddrP2pkh,
    /// Bitcoin Cash cashaddr, script hash.
    #[n(7)]
    CashaddrP2sh,
    /// An EVM account or contract.
    #[n(8)]
    Evm,
    /// A Tron account or contract.
    #[n(9)]
    Tron,
    /// A Solana account.
    #[n(10)]
    Solana,
    /// A classic address of the XRP Ledger.
    #[n(11)]
    XrpClassic,
    /// An X-address: a classic address and a tag in one. Its canonical form is classic.
    #[n(12)]
    XrpXAddress,
    /// A Stellar account (`G...`).
    #[n(13)]
    StellarAccount,
    /// A Stellar account with an id inside (`M...`).
    #[n(14)]
    StellarMuxed,
}

impl AddressKind {
    /// The stable code of this kind.
    pub const fn code(self) -> &'static str {
        match self {
            Self::P2pkh => "p2pkh",
            Self::P2sh => "p2sh",
            Self::P2wpkh => "p2wpkh",
            Self::P2wsh => "p2wsh",
            Self::P2tr => "p2tr",
            Self::WitnessUnknown => "witness_unknown",
            Self::CashaddrP2pkh => "cashaddr_p2pkh",
            Self::CashaddrP2sh => "cashaddr_p2sh",
            Self::Evm => "evm",
            Self::Tron => "tron",
            Self::Solana => "solana",
            Self::XrpClassic => "xrp_classic",
            Self::XrpXAddress => "xrp_x_address",
            Self::StellarAccount => "stellar_account",
            Self::StellarMuxed => "stellar_muxed",
        }
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// Where a withdrawal goes: network, address in its one spelling, and the tag or memo if there is one.
///
/// Two destinations are equal exactly if a payment to them is the same payment. Decoding from a record checks form
/// alone: what was accepted once stays readable when the rules of acceptance change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Destination {
    #[n(0)]
    network: Network,
    #[n(1)]
    kind: AddressKind,
    #[n(2)]
    address: Box<str>,
    #[n(3)]
    memo: Option<Box<str>>,
}

/// A well-formed address: the destination in its canonical spelling, and what the text itself was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The destination, canonical.
    pub destination: Destination,
    /// The kind of the text as written: an X-address is canonically a classic address, a legacy Bitcoin Cash address
    /// canonically a cashaddr.
    pub written_as: AddressKind,
}

/// What a format's module found.
struct Parsed {
    /// The kind of the canonical spelling.
    kind: AddressKind,
    /// The kind of the text as written.
    written_as: AddressKind,
    address: String,
    memo: Option<String>,
}

impl Parsed {
    fn plain(kind: AddressKind, address: String) -> Self {
        Self { kind, written_as: kind, address, memo: None }
    }
}

/// Checks whether `address` (and `memo`) are well formed on `network`: checksum, version, length, encoding.
///
/// Accepts more than [`Destination::parse`]: an address whose witness version has no rules yet is well formed (BIP-350
/// wants it so), but nothing that should be paid.
pub fn examine(network: Network, address: &str, memo: Option<&str>) -> Result<Examined, AddressError> {
    if address.is_empty() {
        return Err(AddressError::Empty);
    }
    if address.len() > ADDRESS_LEN_MAX {
        return Err(AddressError::Length);
    }
    if !address.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(AddressError::Encoding);
    }
    if memo.is_some_and(|memo| memo.is_empty() || memo.len() > MEMO_LEN_MAX) {
        return Err(AddressError::MemoInvalid { expected: "leave it out, or give one of ordinary length" });
    }
    let parsed = match network.family() {
        _ if network == Network::BitcoinCash => without_memo(memo, || cashaddr::parse(address)),
        Family::Bitcoin | Family::BitcoinLike => without_memo(memo, || bitcoin::parse(network, address)),
        Family::Evm => without_memo(memo, || evm::parse(address)),
        Family::Tron => without_memo(memo, || tron::parse(address)),
        Family::Solana => without_memo(memo, || solana::parse(address)),
        Family::Xrp => xrp::parse(address, memo),
        Family::Stellar => stellar::parse(address, memo),
    }?;
    let destination = Destination {
        network,
        kind: parsed.kind,
        address: parsed.address.into_boxed_str(),
        memo: parsed.memo.map(String::into_boxed_str),
    };
    Ok(Examined { destination, written_as: parsed.written_as })
}

/// [`examine`] for bytes from outside, such as one line of a file, without its line end.
pub fn examine_bytes(network: Network, address: &[u8], memo: Option<&str>) -> Result<Examined, AddressError> {
    if address.len() > ADDRESS_LEN_MAX {
        return Err(AddressError::Length);
    }
    let address = core::str::from_utf8(address).map_err(|_| AddressError::Encoding)?;
    examine(network, address, memo)
}

fn without_memo(
    memo: Option<&str>,
    parse: impl FnOnce() -> Result<Parsed, AddressError>,
) -> Result<Parsed, AddressError> {
    let parsed = parse()?;
    if memo.is_some() { Err(AddressError::MemoNotSupported) } else { Ok(parsed) }
}

impl Destination {
    /// Checks an address with its memo and brings both to their one spelling.
    pub fn parse(network: Network, address: &str, memo: Option<&str>) -> Result<Self, AddressError> {
        let examined = examine(network, address, memo)?;
        match examined.destination.kind {
            AddressKind::WitnessUnknown => Err(AddressError::NotPayable),
            _ => Ok(examined.destination),
        }
    }

    /// The network.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The address in its canonical spelling.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The tag or memo in its canonical spelling.
    pub fn memo(&self) -> Option<&str> {
        self.memo.as_deref()
    }

    /// The kind of the canonical address.
    pub const fn kind(&self) -> AddressKind {
        self.kind
    }

    /// Bytes that name this destination unambiguously, for fingerprints: network number, then address, then memo,
    /// each text after its length (two bytes, big-endian), the memo after a byte that says whether there is one.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(8 + self.address.len() + self.memo.as_ref().map_or(0, |m| m.len()));
        bytes.push(self.network.number());
        push_text(&mut bytes, &self.address);
        bytes.push(u8::from(self.memo.is_some()));
        if let Some(memo) = &self.memo {
            push_text(&mut bytes, memo);
        }
        bytes
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    // Both texts are at most a hundred characters long; saturation cannot happen and would still be unambiguous.
    bytes.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.network, self.address)?;
        if let Some(memo) = &self.memo {
            write!(f, " memo {memo}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
