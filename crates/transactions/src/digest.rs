//! The digests of `docs/release.md`: of a Bitcoin transaction with the coins it spends, and of what a transaction pays.

use holdfast_values::{Amount, Destination};
use sha2::{Digest as _, Sha256};

use crate::PaidAsset;

/// What a transaction pays, in its order, in one number: equal for a decoded transaction and for an observation of it.
///
/// SHA-256 of the line `holdfast/outputs/v1` and, for each output, a line `ADDRESS CONTRACT AMOUNT`: the canonical address or `-`
/// for an output that has none, the token's contract or `-` for the network's own coin, the base units in decimal.
pub fn outputs_digest<'a>(
    outputs: impl Iterator<Item = (Option<&'a Destination>, &'a PaidAsset, Amount)>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"holdfast/outputs/v1\n");
    for (destination, asset, amount) in outputs {
        let address = destination.map_or("-", Destination::address);
        let contract = match asset {
            PaidAsset::Native => "-",
            PaidAsset::Contract(contract) => contract,
        };
        hash.update(format!("{address} {contract} {}\n", amount.base_units()).as_bytes());
    }
    hash.finalize().into()
}

/// The digest of a Bitcoin transaction: `holdfast/bitcoin-transaction/v1` and a line feed, the transaction without witness, and for
/// each input the output that it spends and its sighash type.
pub(crate) fn bitcoin_transaction(unsigned: &[u8], spent: impl Iterator<Item = Vec<u8>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"holdfast/bitcoin-transaction/v1\n");
    hash.update(unsigned);
    spent.for_each(|coin| hash.update(coin));
    hash.finalize().into()
}
