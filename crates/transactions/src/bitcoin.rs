//! Bitcoin: a PSBT (BIP-174, version 0) whose every input is a coin of the paying wallet.

use bitcoin::Script;
use holdfast_values::{Destination, Network};

use crate::wallet::BitcoinWallet;
use crate::{Decoded, TransactionError, Wallet};

/// The address that a script pays, if there is one that can be paid.
pub(crate) fn destination(network: Network, script: &Script) -> Option<Destination> {
    let params = match network {
        Network::Bitcoin => bitcoin::Network::Bitcoin,
        Network::BitcoinTestnet => bitcoin::Network::Testnet,
        Network::BitcoinSignet => bitcoin::Network::Signet,
        Network::BitcoinRegtest => bitcoin::Network::Regtest,
        _ => return None,
    };
    let address = bitcoin::Address::from_script(script, params).ok()?;
    Destination::parse(network, &address.to_string(), None).ok()
}

pub(crate) fn decode(
    _bytes: &[u8],
    _payer: &BitcoinWallet,
    _known: &[Wallet],
) -> Result<Decoded, TransactionError> {
    Err(TransactionError::PsbtMalformed)
}
