//! The networks that value moves on: their names, families and stable numbers. Whether a withdrawal there may be
//! released is known here (`is_releasable`), because it says what Holdfast can decode; nothing else is decided.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};

/// A network. The numbers are part of the journal's format: never reordered, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Network {
    /// Bitcoin, main network.
    #[n(0)]
    Bitcoin,
    /// Bitcoin's public test networks (testnet 3 and 4): prefixes `tb1`, `m`, `n`, `2`.
    #[n(1)]
    BitcoinTestnet,
    /// Bitcoin's signet, whose addresses read like testnet's.
    #[n(2)]
    BitcoinSignet,
    /// A private Bitcoin chain: prefix `bcrt1`, otherwise like testnet.
    #[n(3)]
    BitcoinRegtest,
    /// Litecoin.
    #[n(4)]
    Litecoin,
    /// Dogecoin.
    #[n(5)]
    Dogecoin,
    /// Bitcoin Cash.
    #[n(6)]
    BitcoinCash,
    /// Ethereum, main network (chain 1).
    #[n(7)]
    Ethereum,
    /// BNB Smart Chain (chain 56).
    #[n(8)]
    Bsc,
    /// Polygon PoS (chain 137).
    #[n(9)]
    Polygon,
    /// Arbitrum One (chain 42161).
    #[n(10)]
    Arbitrum,
    /// OP Mainnet (chain 10).
    #[n(11)]
    Optimism,
    /// Base (chain 8453).
    #[n(12)]
    Base,
    /// Avalanche C-Chain (chain 43114).
    #[n(13)]
    AvalancheC,
    /// Ethereum's test network Sepolia (chain 11155111).
    #[n(14)]
    EthereumSepolia,
    /// Tron.
    #[n(15)]
    Tron,
    /// Solana.
    #[n(16)]
    Solana,
    /// The XRP Ledger.
    #[n(17)]
    Xrp,
    /// Stellar.
    #[n(18)]
    Stellar,
}

/// Networks of one family share address and transaction formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Bitcoin and its test networks: outputs to scripts.
    Bitcoin,
    /// Chains that descend from Bitcoin and whose transactions Holdfast does not decode yet.
    BitcoinLike,
    /// The Ethereum virtual machine: 20-byte accounts.
    Evm,
    /// Tron.
    Tron,
    /// Solana.
    Solana,
    /// The XRP Ledger.
    Xrp,
    /// Stellar.
    Stellar,
}

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network: write its canonical name, such as bitcoin, ethereum or xrp")]
pub struct UnknownNetwork;

impl Network {
    /// Every network, in the order of its number.
    pub const ALL: [Self; 19] = [
        Self::Bitcoin,
        Self::BitcoinTestnet,
        Self::BitcoinSignet,
        Self::BitcoinRegtest,
        Self::Litecoin,
        Self::Dogecoin,
        Self::BitcoinCash,
        Self::Ethereum,
        Self::Bsc,
        Self::Polygon,
        Self::Arbitrum,
        Self::Optimism,
        Self::Base,
        Self::AvalancheC,
        Self::EthereumSepolia,
        Self::Tron,
        Self::Solana,
        Self::Xrp,
        Self::Stellar,
    ];

    /// The one name of this network, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::BitcoinTestnet => "bitcoin-testnet",
            Self::BitcoinSignet => "bitcoin-signet",
            Self::BitcoinRegtest => "bitcoin-regtest",
            Self::Litecoin => "litecoin",
            Self::Dogecoin => "dogecoin",
            Self::BitcoinCash => "bitcoin-cash",
            Self::Ethereum => "ethereum",
            Self::Bsc => "bsc",
            Self::Polygon => "polygon",
            Self::Arbitrum => "arbitrum",
            Self::Optimism => "optimism",
            Self::Base => "base",
            Self::AvalancheC => "avalanche-c",
            Self::EthereumSepolia => "ethereum-sepolia",
            Self::Tron => "tron",
            Self::Solana => "solana",
            Self::Xrp => "xrp",
            Self::Stellar => "stellar",
        }
    }

    /// Which formats this network speaks.
    pub const fn family(self) -> Family {
        match self {
            Self::Bitcoin | Self::BitcoinTestnet | Self::BitcoinSignet | Self::BitcoinRegtest => {
                Family::Bitcoin
            }
            Self::Litecoin | Self::Dogecoin | Self::BitcoinCash => Family::BitcoinLike,
            Self::Ethereum
            | Self::Bsc
            | Self::Polygon
            | Self::Arbitrum
            | Self::Optimism
            | Self::Base
            | Self::AvalancheC
            | Self::EthereumSepolia => Family::Evm,
            Self::Tron => Family::Tron,
            Self::Solana => Family::Solana,
            Self::Xrp => Family::Xrp,
            Self::Stellar => Family::Stellar,
        }
    }

    /// The EIP-155 chain id, for EVM networks.
    pub const fn chain_id(self) -> Option<u64> {
        match self {
            Self::Ethereum => Some(1),
            Self::Bsc => Some(56),
            Self::Polygon => Some(137),
            Self::Arbitrum => Some(42_161),
            Self::Optimism => Some(10),
            Self::Base => Some(8_453),
            Self::AvalancheC => Some(43_114),
            Self::EthereumSepolia => Some(11_155_111),
            _ => None,
        }
    }

    /// Decimals of the network's own coin, where Holdfast can decode what is paid in it.
    pub const fn native_decimals(self) -> Option<u8> {
        match self.family() {
            Family::Bitcoin => Some(8),
            Family::Evm => Some(18),
            Family::BitcoinLike | Family::Tron | Family::Solana | Family::Xrp | Family::Stellar => None,
        }
    }

    /// True where Holdfast can decode the final transaction, so that a withdrawal can be released at all.
    pub const fn is_releasable(self) -> bool {
        matches!(self.family(), Family::Bitcoin | Family::Evm)
    }

    /// True for networks whose coins are worth nothing.
    pub const fn is_test(self) -> bool {
        matches!(
            self,
            Self::BitcoinTestnet | Self::BitcoinSignet | Self::BitcoinRegtest | Self::EthereumSepolia
        )
    }

    /// The stable number of this network in records and fingerprints.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;
    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        Self::ALL.into_iter().find(|network| network.name() == text).ok_or(UnknownNetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_has_one_name_and_a_stable_number() {
        let mut numbers = String::new();
        for (index, network) in Network::ALL.into_iter().enumerate() {
            assert_eq!(network.name().parse(), Ok(network));
            assert_eq!(usize::from(network.number()), index);
            let bytes = minicbor::to_vec(network).unwrap();
            assert_eq!(bytes, minicbor::to_vec(network.number()).unwrap(), "one small integer in a record");
            assert_eq!(minicbor::decode::<Network>(&bytes).unwrap(), network);
            assert_eq!(network.chain_id().is_some(), network.family() == Family::Evm);
            numbers += &format!("{}={} ", network.number(), network);
        }
        assert_eq!(
            numbers,
            "0=bitcoin 1=bitcoin-testnet 2=bitcoin-signet 3=bitcoin-regtest 4=litecoin 5=dogecoin 6=bitcoin-cash \
             7=ethereum 8=bsc 9=polygon 10=arbitrum 11=optimism 12=base 13=avalanche-c 14=ethereum-sepolia 15=tron \
             16=solana 17=xrp 18=stellar ",
            "these numbers are in journals: add, never change"
        );
        for text in ["", "Bitcoin", "bitcoin ", "btc"] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_what_can_be_decoded_is_releasable() {
        for network in Network::ALL {
            let expected = network.name().starts_with("bitcoin") && network != Network::BitcoinCash
                || network.chain_id().is_some();
            assert_eq!(network.is_releasable(), expected, "{network}");
            let decimals = if network.chain_id().is_some() { 18 } else { 8 };
            assert_eq!(network.native_decimals(), expected.then_some(decimals), "{network}");
        }
    }
}
