//! The scripts that belong to the wallet: fixed addresses, or what its descriptors derive, some way ahead of the last one used.

use std::collections::BTreeMap;

use bitcoin::{Address, Script, ScriptBuf};
use holdfast_transactions::Wallet;
use holdfast_values::{Destination, Network};

/// Most scripts of one wallet.
pub(crate) const SCRIPTS_MAX: usize = 2_000_000;

/// Which scripts are the wallet's.
#[derive(Debug)]
pub struct Scripts {
    chain: bitcoin::Network,
    network: Network,
    known: BTreeMap<ScriptBuf, Option<(u8, u32)>>,
    wallet: Option<Wallet>,
    lookahead: u32,
    /// By descriptor: how many scripts are derived, and how many of them were used.
    branches: Vec<Branch>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Branch {
    derived: u32,
    used: u32,
}

/// The network's parameters, for networks of Bitcoin's own family.
fn chain(network: Network) -> Option<bitcoin::Network> {
    match network {
        Network::Bitcoin => Some(bitcoin::Network::Bitcoin),
        Network::BitcoinTestnet => Some(bitcoin::Network::Testnet),
        Network::BitcoinSignet => Some(bitcoin::Network::Signet),
        Network::BitcoinRegtest => Some(bitcoin::Network::Regtest),
        _ => None,
    }
}

fn script(destination: &Destination) -> Option<ScriptBuf> {
    let address: Address<bitcoin::address::NetworkUnchecked> = destination.address().parse().ok()?;
    Some(address.assume_checked().script_pubkey())
}

impl Scripts {
    /// The scripts of these addresses; `None` if one is of another network.
    pub fn fixed(network: Network, addresses: &[Destination]) -> Option<Self> {
        let mut scripts = Self::empty(network)?;
        for address in addresses {
            if address.network() != network {
                return None;
            }
            scripts.known.insert(script(address)?, None);
        }
        Some(scripts)
    }

    /// The scripts of a wallet's descriptors, always `lookahead` further than the last that was used; `used` says how many
    /// of each descriptor's were used already. `None` for a wallet of another family.
    pub fn derived(wallet: Wallet, lookahead: u32, used: &[u32]) -> Option<Self> {
        let mut scripts = Self::empty(wallet.network())?;
        let mut descriptor = 0u8;
        while wallet.address_at(descriptor, 0).is_some() {
            let used = used.get(usize::from(descriptor)).copied().unwrap_or_default();
            scripts.branches.push(Branch { derived: 0, used });
            descriptor = descriptor.checked_add(1)?;
        }
        scripts.wallet = Some(wallet);
        scripts.lookahead = lookahead.max(1);
        (0..descriptor).for_each(|descriptor| scripts.derive(descriptor));
        Some(scripts)
    }

    fn empty(network: Network) -> Option<Self> {
        let chain = chain(network)?;
        Some(Self {
            chain,
            network,
            known: BTreeMap::new(),
            wallet: None,
            lookahead: 0,
            branches: Vec::new(),
        })
    }

    fn derive(&mut self, descriptor: u8) {
        let (Some(wallet), Some(branch)) = (&self.wallet, self.branches.get_mut(usize::from(descriptor)))
        else {
            return;
        };
        let end = branch.used.saturating_add(self.lookahead);
        while branch.derived < end && self.known.len() < SCRIPTS_MAX {
            // An index that derives nothing (chance 2^-127, or past 2^31) is passed over.
            let derived = wallet.address_at(descriptor, branch.derived);
            if let Some(script) = derived.as_ref().and_then(script) {
                self.known.insert(script, Some((descriptor, branch.derived)));
            }
            branch.derived += 1;
        }
    }

    pub(crate) fn network(&self) -> Network {
        self.network
    }

    /// True if no more can be derived.
    pub(crate) fn is_full(&self) -> bool {
        self.known.len() >= SCRIPTS_MAX
    }

    /// How many of each descriptor's scripts were used.
    pub(crate) fn used(&self) -> Vec<u32> {
        self.branches.iter().map(|branch| branch.used).collect()
    }

    /// Whether the script is the wallet's; if so it counts as used, and more are derived.
    pub(crate) fn take(&mut self, script: &Script) -> bool {
        let Some(place) = self.known.get(script).copied() else { return false };
        if let Some((descriptor, index)) = place
            && let Some(branch) = self.branches.get_mut(usize::from(descriptor))
            && branch.used <= index
        {
            branch.used = index.saturating_add(1);
            self.derive(descriptor);
        }
        true
    }

    /// The address that a script pays to, in the canonical spelling; `None` if it is no address that Holdfast pays to.
    pub(crate) fn address(&self, script: &Script) -> Option<String> {
        let address = Address::from_script(script, self.chain).ok()?.to_string();
        Some(Destination::parse(self.network, &address, None).ok()?.address().to_owned())
    }
}
