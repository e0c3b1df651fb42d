//! Assets: a symbol, its base unit, and the networks that it moves on.
//!
//! Inside Holdfast an amount of an asset is a number of the asset's own base units, whatever the network. A network may
//! have fewer decimals (USDT has 18 on BNB Smart Chain and 6 on Ethereum); there an amount must be a multiple of what
//! the network can express.

use minicbor::{Decode, Encode};

use crate::address::{AddressError, Destination};
use crate::amount::{Amount, AmountError, DECIMALS_MAX};
use crate::id::AssetSymbol;
use crate::network::{Family, Network};

/// Most networks of one asset.
pub const NETWORKS_MAX: usize = 64;

/// One network that an asset moves on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AssetNetwork {
    /// The network.
    #[n(0)]
    pub network: Network,
    /// How many decimals the asset has there.
    #[n(1)]
    pub decimals: u8,
    /// The token's contract (or mint) in its canonical spelling; `None` for the network's own coin.
    #[n(2)]
    pub contract: Option<Box<str>>,
}

/// An asset as the exchange trades it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct AssetSpec {
    /// Its symbol.
    #[n(0)]
    pub symbol: AssetSymbol,
    /// Decimals of its base unit, at least those of each of its networks.
    #[n(1)]
    pub decimals: u8,
    /// Where it moves, in the order of the networks' numbers, each at most once.
    #[n(2)]
    pub networks: Vec<AssetNetwork>,
}

/// Why an asset cannot be as described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// More decimals than an amount can have.
    #[error("an asset has at most {DECIMALS_MAX} decimals")]
    Decimals,
    /// A network with more decimals than the asset's base unit.
    #[error(
        "{network} has more decimals than the asset: give the asset the most that any of its networks has"
    )]
    NetworkDecimals {
        /// The network.
        network: Network,
    },
    /// No network, or too many.
    #[error("an asset has 1 to {NETWORKS_MAX} networks")]
    Networks,
    /// The same network twice.
    #[error("{network} is listed twice")]
    Duplicate {
        /// The network.
        network: Network,
    },
    /// A contract where the network has none that Holdfast knows.
    #[error("assets on {network} have no contract: leave it out")]
    ContractNotSupported {
        /// The network.
        network: Network,
    },
    /// A contract that is no address of its network.
    #[error("the contract on {network}: {error}")]
    Contract {
        /// The network.
        network: Network,
        /// What is wrong with the address.
        error: AddressError,
    },
}

impl AssetError {
    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Decimals => "asset_decimals",
            Self::NetworkDecimals { .. } => "asset_network_decimals",
            Self::Networks => "asset_networks",
            Self::Duplicate { .. } => "asset_network_duplicate",
            Self::ContractNotSupported { .. } => "asset_contract_not_supported",
            Self::Contract { .. } => "asset_contract",
        }
    }
}

impl AssetSpec {
    /// Checks a description and brings it to its one form: networks in order, contracts in canonical spelling.
    pub fn new(
        symbol: AssetSymbol,
        decimals: u8,
        mut networks: Vec<AssetNetwork>,
    ) -> Result<Self, AssetError> {
        if decimals > DECIMALS_MAX {
            return Err(AssetError::Decimals);
        }
        if networks.is_empty() || networks.len() > NETWORKS_MAX {
            return Err(AssetError::Networks);
        }
        networks.sort_by_key(|at| at.network);
        let mut neighbours = networks.iter().zip(networks.iter().skip(1));
        if let Some(network) = neighbours.find_map(|(a, b)| (a.network == b.network).then_some(a.network)) {
            return Err(AssetError::Duplicate { network });
        }
        for at in &mut networks {
            if at.decimals > decimals {
                return Err(AssetError::NetworkDecimals { network: at.network });
            }
            if let Some(contract) = &mut at.contract {
                *contract = check_contract(at.network, contract)?;
            }
        }
        Ok(Self { symbol, decimals, networks })
    }

    /// How this asset moves on `network`, if it does.
    pub fn on(&self, network: Network) -> Option<&AssetNetwork> {
        self.networks.iter().find(|at| at.network == network)
    }
}

fn check_contract(network: Network, contract: &str) -> Result<Box<str>, AssetError> {
    match network.family() {
        Family::Evm | Family::Tron | Family::Solana => Destination::parse(network, contract, None)
            .map(|found| found.address().into())
            .map_err(|error| AssetError::Contract { network, error }),
        _ => Err(AssetError::ContractNotSupported { network }),
    }
}

impl AssetNetwork {
    /// Asset base units in one unit of this network; `None` if the network had more decimals than the asset.
    fn scale(&self, asset_decimals: u8) -> Option<u128> {
        10u128.checked_pow(u32::from(asset_decimals.checked_sub(self.decimals)?))
    }

    /// Parses a decimal text into base units of the asset; finer than this network can express is refused.
    pub fn parse_amount(&self, asset_decimals: u8, text: &str) -> Result<Amount, AmountError> {
        let finer = AmountError::Decimals { allowed: self.decimals.min(asset_decimals) };
        let amount = Amount::parse(text, asset_decimals).map_err(|error| match error {
            AmountError::Decimals { .. } => finer,
            other => other,
        })?;
        self.to_network_units(asset_decimals, amount).map(|_| amount).ok_or(finer)
    }

    /// The amount in this network's own units (satoshi, wei); `None` if the network cannot express it exactly.
    pub fn to_network_units(&self, asset_decimals: u8, amount: Amount) -> Option<Amount> {
        let scale = self.scale(asset_decimals)?;
        let units = amount.base_units();
        units.is_multiple_of(scale).then(|| Amount::from_base_units(units / scale))
    }

    /// An amount of this network's own units in base units of the asset; `None` on overflow.
    pub fn from_network_units(&self, asset_decimals: u8, units: Amount) -> Option<Amount> {
        units.base_units().checked_mul(self.scale(asset_decimals)?).map(Amount::from_base_units)
    }

    /// Prints with exactly this network's decimals, as signed texts carry it; `None` if that is not exact.
    pub fn to_fixed(&self, asset_decimals: u8, amount: Amount) -> Option<String> {
        self.to_network_units(asset_decimals, amount).map(|units| units.to_fixed(self.decimals))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on(network: Network, decimals: u8, contract: Option<&str>) -> AssetNetwork {
        AssetNetwork { network, decimals, contract: contract.map(Into::into) }
    }

    const USDT: &str = "0xdac17f958d2ee523a2206206994597c13d831ec7";

    #[test]
    fn an_asset_has_one_form() {
        let spec = AssetSpec::new(
            "USDT".parse().unwrap(),
            18,
            vec![
                on(Network::Tron, 6, Some("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")),
                on(Network::Ethereum, 6, Some(USDT)),
            ],
        )
        .unwrap();
        assert_eq!(spec.networks[0].contract.as_deref(), Some("0xdAC17F958D2ee523a2206206994597C13D831ec7"));
        assert_eq!(spec.on(Network::Tron).map(|at| at.decimals), Some(6));
        assert_eq!(spec.on(Network::Bitcoin), None);
        assert_eq!(minicbor::decode::<AssetSpec>(&minicbor::to_vec(&spec).unwrap()).unwrap(), spec);
        let again = AssetSpec::new(spec.symbol.clone(), spec.decimals, spec.networks.clone());
        assert_eq!(again, Ok(spec));
    }

    #[test]
    fn impossible_assets_are_refused() {
        let ethereum = on(Network::Ethereum, 6, None);
        for (decimals, networks, code) in [
            (25, vec![ethereum.clone()], "asset_decimals"),
            (18, vec![], "asset_networks"),
            (5, vec![ethereum.clone()], "asset_network_decimals"),
            (18, vec![ethereum.clone(), ethereum.clone()], "asset_network_duplicate"),
            (18, vec![on(Network::Bitcoin, 8, Some(USDT))], "asset_contract_not_supported"),
            (18, vec![on(Network::Ethereum, 6, Some("0xdac17f"))], "asset_contract"),
            (18, vec![on(Network::Ethereum, 6, Some(&format!("0x{}", "0".repeat(40))))], "asset_contract"),
        ] {
            let error = AssetSpec::new("X".parse().unwrap(), decimals, networks).unwrap_err();
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn amounts_finer_than_the_network_are_refused() {
        let at = on(Network::Ethereum, 6, None);
        assert_eq!(at.parse_amount(18, "1.5"), Ok(Amount::from_base_units(1_500_000_000_000_000_000)));
        assert_eq!(
            at.parse_amount(18, "1.500000000"),
            Ok(Amount::from_base_units(1_500_000_000_000_000_000))
        );
        let finer = Err(AmountError::Decimals { allowed: 6 });
        assert_eq!(at.parse_amount(18, "0.0000001"), finer);
        assert_eq!(at.parse_amount(18, "0.0000000000000000001"), finer);
        assert_eq!(at.parse_amount(18, "9999999999999999999999999"), Err(AmountError::Overflow));
        assert_eq!(at.to_fixed(18, Amount::from_base_units(1)), None);
        let coarser = on(Network::Ethereum, 20, None);
        assert_eq!(coarser.parse_amount(18, "1"), Err(AmountError::Decimals { allowed: 18 }));
    }

    proptest! {
        #[test]
        fn network_units_convert_back(units in any::<u64>(), decimals in 0u8..=8, more in 0u8..=10) {
            let at = on(Network::Bitcoin, decimals, None);
            let asset = decimals + more;
            let amount = at.from_network_units(asset, Amount::from_base_units(u128::from(units))).unwrap();
            prop_assert_eq!(at.to_network_units(asset, amount), Some(Amount::from_base_units(u128::from(units))));
            let text = at.to_fixed(asset, amount).unwrap();
            prop_assert_eq!(at.parse_amount(asset, &text), Ok(amount));
        }
    }
}
