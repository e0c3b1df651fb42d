//! What commands, acts and events speak of besides values: operators' keys, packs, tokens, the scope of a halt.

use holdfast_values::{AccountId, AssetSymbol, Name, OperatorProof, OperatorPublicKey};
use minicbor::{Decode, Encode};

/// An operator's name and public key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OperatorKey {
    /// Unique name.
    #[n(0)]
    pub name: Name,
    /// An Ed25519 key or a passkey.
    #[n(1)]
    pub public_key: OperatorPublicKey,
}

/// A signature that verified under the key named here.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OperatorSignature {
    /// Who signed, and with which key.
    #[n(0)]
    pub operator: OperatorKey,
    /// The signature itself: it travels in releases.
    #[n(1)]
    pub signature: OperatorProof,
}

/// A policy pack: its text, its hash and what it was compiled to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PolicySource {
    /// Hash of the files, as `holdfast policy check` prints it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// File names and their text.
    #[n(1)]
    pub files: Vec<(String, String)>,
    /// The compiled program, as `Program::to_bytes` gives it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub program: Vec<u8>,
    /// Which version of the compiler made the program; absent in records from before versions were told.
    #[n(3)]
    pub compiler: Option<u32>,
}

/// A client of the HTTP interface.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TokenSpec {
    /// The client's name.
    #[n(0)]
    pub client: Name,
    /// BLAKE3 of the token.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub token_hash: [u8; 32],
    /// What it may ask.
    #[n(2)]
    pub scopes: TokenScopes,
}

/// What a token may ask; none of it loosens anything. Bits: 1 read, 2 service, 4 prices, 8 halt,
/// 16 wallet, 32 chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct TokenScopes(#[n(0)] pub u8);

impl TokenScopes {
    /// Read everything that is not a secret.
    pub const READ: Self = Self(1);
    /// Ask for decisions, report what customers do, tighten.
    pub const SERVICE: Self = Self(2);
    /// Report prices.
    pub const PRICES: Self = Self(4);
    /// Halt.
    pub const HALT: Self = Self(8);

    /// Propose transactions and hand in signers' receipts.
    pub const WALLET: Self = Self(16);
    /// Report what a chain shows.
    pub const CHAIN: Self = Self(32);

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a halt stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Scope {
    /// Everything.
    #[n(0)]
    Overall,
    /// One asset on all networks.
    #[n(1)]
    Asset(#[n(0)] AssetSymbol),
    /// All that one wallet pays.
    #[n(2)]
    Wallet(#[n(0)] Name),
    /// One account.
    #[n(3)]
    Account(#[n(0)] AccountId),
}
