//! What dense indexes stand for: events name accounts, assets, wallets and tiers by number.

use std::collections::BTreeMap;

use holdfast_decision::State;
use holdfast_decision::acts::Digest;
use holdfast_decision::configuration::Configuration;
use holdfast_decision::event::{AccountIndex, AssetIndex, Event, TierIndex, WalletIndex};
use holdfast_values::{AccountId, AssetNetwork, AssetSymbol, Network};

/// Looks up the names behind indexes. An index without a name prints as its number alone.
pub trait Names {
    /// The account of that number.
    fn account(&self, index: AccountIndex) -> Option<String>;
    /// The configuration that was in force.
    fn configuration(&self) -> Option<&Configuration>;

    /// Symbol and decimals of the asset of that number.
    fn asset(&self, index: AssetIndex) -> Option<(&AssetSymbol, u8)> {
        let asset = self.configuration()?.assets.get(usize::from(index.0))?;
        Some((&asset.spec.symbol, asset.spec.decimals))
    }

    /// The decimals of an asset.
    fn decimals(&self, symbol: &AssetSymbol) -> Option<u8> {
        let assets = &self.configuration()?.assets;
        assets.iter().find(|asset| asset.spec.symbol == *symbol).map(|asset| asset.spec.decimals)
    }

    /// The asset that a contract on a network (or the network's own coin) is.
    fn asset_on(&self, network: Network, contract: Option<&str>) -> Option<&AssetSymbol> {
        let assets = &self.configuration()?.assets;
        let is_it = |on: &AssetNetwork| on.contract.as_deref() == contract;
        let asset = assets.iter().find(|asset| asset.spec.on(network).is_some_and(is_it))?;
        Some(&asset.spec.symbol)
    }

    /// The network of a released transaction.
    fn network_of(&self, transaction: &Digest) -> Option<Network>;

    /// The wallet of that number.
    fn wallet(&self, index: WalletIndex) -> Option<&str> {
        self.configuration()?.wallets.get(usize::from(index.0)).map(|wallet| wallet.name.as_str())
    }

    /// The tier of that number.
    fn tier(&self, index: TierIndex) -> Option<&str> {
        self.configuration()?.tiers.get(usize::from(index.0)).map(|tier| tier.name.as_str())
    }
}

/// Knows no names.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Names for NoNames {
    fn account(&self, _: AccountIndex) -> Option<String> {
        None
    }

    fn configuration(&self) -> Option<&Configuration> {
        None
    }

    fn network_of(&self, _: &Digest) -> Option<Network> {
        None
    }
}

impl Names for State {
    fn account(&self, index: AccountIndex) -> Option<String> {
        self.account_id(index).map(ToString::to_string)
    }

    fn configuration(&self) -> Option<&Configuration> {
        Some(self.configuration())
    }

    fn network_of(&self, transaction: &Digest) -> Option<Network> {
        Some(self.transaction(transaction)?.network)
    }
}

/// Names picked up from the events of a journal, read from its beginning.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    accounts: Vec<AccountId>,
    configuration: Option<Configuration>,
    networks: BTreeMap<Digest, Network>,
}

impl Seen {
    /// Takes in the names that an event introduces.
    pub fn learn(&mut self, event: &Event) {
        match event {
            Event::Initialised(initialise) => self.configuration = Some(initialise.configuration.clone()),
            Event::Configured(configuration) => self.configuration = Some((**configuration).clone()),
            Event::AccountOpened { account, .. } => self.accounts.push(account.clone()),
            Event::AccountImported { account, .. } => self.accounts.push(account.account.clone()),
            Event::TransactionReleased(released) => {
                self.networks.insert(released.transaction, released.network);
            }
            Event::SpendRecovered(spend) => {
                let digests = spend.transactions.iter().map(|known| known.transaction);
                self.networks.extend(digests.map(|digest| (digest, spend.network)));
            }
            _ => {}
        }
    }
}

impl Names for Seen {
    fn account(&self, index: AccountIndex) -> Option<String> {
        self.accounts.get(usize::try_from(index.0).ok()?).map(ToString::to_string)
    }

    fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    fn network_of(&self, transaction: &Digest) -> Option<Network> {
        self.networks.get(transaction).copied()
    }
}
