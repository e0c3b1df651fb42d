//! Bytes of a transaction to what it does: outputs, fee, conflict keys, sighashes. Pure: no clock, no IO, no randomness.
//!
//! [`decode`] reads exactly what a wallet is about to sign (a PSBT, or an unsigned EIP-1559 transaction) on behalf of one
//! pinned [`Wallet`] and says everything that it would do. What it does not know to the last byte it refuses by name.
//! Nothing here decides whether the transaction may be signed. The digests are defined in `docs/release.md`.

mod bitcoin;
mod digest;
mod error;
mod evm;
mod psbt;
#[cfg(test)]
mod tests;
mod wallet;

pub use digest::outputs_digest;
pub use error::{TransactionError, WalletError};
pub use evm::{EvmFields, SignedParts, evm_parse_signed, evm_signed, evm_unsigned};
pub use wallet::{BitcoinWallet, DESCRIPTORS_MAX, EvmWallet, Wallet};

use holdfast_values::{Amount, ConflictKey, Destination, Network};

/// Most bytes that a PSBT may have.
pub const PSBT_BYTES_MAX: usize = 4 << 20;
/// Most inputs of a Bitcoin transaction.
pub const INPUTS_MAX: usize = 1_000;
/// Most outputs of a Bitcoin transaction.
pub const OUTPUTS_MAX: usize = 1_000;
/// Most bytes that an EVM transaction may have; the longest that is understood has under 300.
pub const EVM_BYTES_MAX: usize = 4_096;

/// Everything that a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Where.
    pub network: Network,
    /// Names the transaction and, for Bitcoin, the coins that it spends (`docs/release.md`).
    pub digest: [u8; 32],
    /// What it uses up, in ascending order, each once.
    pub conflict_keys: Vec<ConflictKey>,
    /// What it pays, in the order of the transaction.
    pub outputs: Vec<Output>,
    /// The network fee in the network's own units. EVM: the most it can be, gas limit times maximum fee per gas.
    pub fee: Amount,
    /// Bitcoin: satoshi per 1,000 virtual bytes at the largest size that signatures can give, rounded up. EVM: the maximum
    /// fee per gas in wei. Saturating.
    pub fee_rate: u64,
    /// What is to be signed, in the order of the inputs.
    pub sighashes: Vec<Sighash>,
}

/// One payment of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// To whom.
    pub destination: Destination,
    /// If it goes to a known wallet: its index among the known.
    pub own: Option<usize>,
    /// In what.
    pub asset: PaidAsset,
    /// How much, in the asset's base units on this network.
    pub amount: Amount,
}

/// What is paid: the network's own coin or a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaidAsset {
    /// The network's own coin.
    Native,
    /// A token, by the address of its contract in the spelling of EIP-55.
    Contract(Box<str>),
}

/// One message that a key of the paying wallet must sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighash {
    /// The input; 0 for EVM.
    pub input: u32,
    /// The 32 bytes.
    pub message: [u8; 32],
    /// How to sign them.
    pub scheme: Scheme,
    /// The descriptor of the wallet whose key signs; 0 for EVM.
    pub descriptor: u8,
    /// The index within that descriptor; 0 for EVM.
    pub index: u32,
}

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// ECDSA in DER with the byte 0x01 (`SIGHASH_ALL`) behind it.
    EcdsaAll,
    /// BIP-340 under the tweaked key of a BIP-86 output, 64 bytes.
    SchnorrDefault,
    /// The same with the byte 0x01 (`SIGHASH_ALL`) behind it.
    SchnorrAll,
    /// ECDSA over secp256k1 with low s and the parity of R.
    Evm,
}

/// Says everything that `bytes` do if the wallet `known[payer]` signs them, or why that cannot be said.
///
/// The network is that of the paying wallet. The other known wallets only serve to recognise outputs that stay in the house.
pub fn decode(bytes: &[u8], payer: usize, known: &[Wallet]) -> Result<Decoded, TransactionError> {
    match known.get(payer) {
        Some(Wallet::Bitcoin(wallet)) => bitcoin::decode(bytes, wallet, known),
        Some(Wallet::Evm(wallet)) => evm::decode(bytes, wallet, known),
        None => Err(TransactionError::PayerUnknown),
    }
}
