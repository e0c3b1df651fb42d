//! A pinned wallet: what may pay, and what stays in the house. Public keys and addresses only.

use core::str::FromStr as _;

use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{CompressedPublicKey, NetworkKind, ScriptBuf};
use holdfast_values::network::Family;
use holdfast_values::{Destination, Network};
use miniscript::descriptor::{Descriptor, DescriptorPublicKey, Wildcard};

use crate::error::WalletError;

/// Most descriptors of one wallet.
pub const DESCRIPTORS_MAX: usize = 8;
/// Longest descriptor text that is read; an ordinary one has about 160 characters.
pub(crate) const DESCRIPTOR_LEN_MAX: usize = 512;
/// BIP-32 allows 255 levels below a master key.
const DEPTH_MAX: usize = 255;

/// One pinned wallet on one network.
#[derive(Clone, Debug)]
pub enum Wallet {
    /// A wallet of output descriptors.
    Bitcoin(BitcoinWallet),
    /// One account.
    Evm(EvmWallet),
}

/// What a wallet's descriptors pay to, as far as its length and prefix show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptKind {
    Pkh,
    Wpkh,
    Tr,
}

impl ScriptKind {
    pub(crate) fn of(script: &bitcoin::Script) -> Option<Self> {
        if script.is_p2wpkh() {
            Some(Self::Wpkh)
        } else if script.is_p2tr() {
            Some(Self::Tr)
        } else if script.is_p2pkh() {
            Some(Self::Pkh)
        } else {
            None
        }
    }
}

#[derive(Clone, Debug)]
struct Branch {
    kind: ScriptKind,
    /// The key that the descriptor's `*` derives from.
    key: Xpub,
}

/// A wallet of ranged single-key descriptors.
#[derive(Clone, Debug)]
pub struct BitcoinWallet {
    network: Network,
    branches: Vec<Branch>,
    secp: Secp256k1<VerifyOnly>,
}

/// One account on one EVM network.
#[derive(Clone, Debug)]
pub struct EvmWallet {
    pub(crate) destination: Destination,
    pub(crate) chain_id: u64,
    pub(crate) address: [u8; 20],
}

impl Wallet {
    /// A wallet of 1 to [`DESCRIPTORS_MAX`] ranged descriptors with public keys only: `wpkh`, `tr` without scripts, `pkh`. A checksum
    /// may be left out and is verified where it stands.
    pub fn bitcoin(network: Network, descriptors: &[String]) -> Result<Self, WalletError> {
        if network.family() != Family::Bitcoin {
            return Err(WalletError::Network);
        }
        if !(1..=DESCRIPTORS_MAX).contains(&descriptors.len()) {
            return Err(WalletError::Count);
        }
        let secp = Secp256k1::verification_only();
        let mut branches: Vec<Branch> = Vec::with_capacity(descriptors.len());
        for text in descriptors {
            let branch = branch(&secp, network, text)?;
            let first = branch.script(&secp, 0).ok_or(WalletError::DescriptorRange)?;
            if branches.iter().any(|other| other.script(&secp, 0).as_ref() == Some(&first)) {
                return Err(WalletError::DescriptorDuplicate);
            }
            branches.push(branch);
        }
        Ok(Self::Bitcoin(BitcoinWallet { network, branches, secp }))
    }

    /// The account `address` on an EVM network.
    pub fn evm(network: Network, address: &str) -> Result<Self, WalletError> {
        let chain_id = network.chain_id().ok_or(WalletError::Network)?;
        let destination = Destination::parse(network, address, None);
        let destination = destination.map_err(|error| WalletError::Address { error })?;
        let address = crate::evm::address_bytes(&destination).ok_or(WalletError::Network)?;
        Ok(Self::Evm(EvmWallet { destination, chain_id, address }))
    }

    /// The network.
    pub const fn network(&self) -> Network {
        match self {
            Self::Bitcoin(wallet) => wallet.network,
            Self::Evm(wallet) => wallet.destination.network(),
        }
    }

    /// The address of a Bitcoin wallet's descriptor at an index below 2^31: for wallets that need one to receive, or for change.
    pub fn address_at(&self, descriptor: u8, index: u32) -> Option<Destination> {
        match self {
            Self::Bitcoin(wallet) => {
                let script = wallet.script_at(descriptor, index)?;
                crate::bitcoin::destination(wallet.network, &script)
            }
            Self::Evm(_) => None,
        }
    }

    /// The account of an EVM wallet.
    pub const fn evm_address(&self) -> Option<[u8; 20]> {
        match self {
            Self::Bitcoin(_) => None,
            Self::Evm(wallet) => Some(wallet.address),
        }
    }
}

impl BitcoinWallet {
    pub(crate) const fn network(&self) -> Network {
        self.network
    }

    /// The script of a descriptor at an index.
    pub(crate) fn script_at(&self, descriptor: u8, index: u32) -> Option<ScriptBuf> {
        self.branches.get(usize::from(descriptor))?.script(&self.secp, index)
    }

    /// Which descriptor gives `script` at `index`.
    pub(crate) fn find(&self, script: &bitcoin::Script, index: u32) -> Option<u8> {
        let kind = ScriptKind::of(script)?;
        let mut found = self.branches.iter().zip(0u8..);
        found
            .find(|(branch, _)| {
                branch.kind == kind && branch.script(&self.secp, index).is_some_and(|own| *own == *script)
            })
            .map(|(_, place)| place)
    }
}

impl Branch {
    fn script(&self, secp: &Secp256k1<VerifyOnly>, index: u32) -> Option<ScriptBuf> {
        // Hardened indexes have no public derivation.
        let index = ChildNumber::from_normal_idx(index).ok()?;
        let key = CompressedPublicKey(self.key.ckd_pub(secp, index).ok()?.public_key);
        Some(match self.kind {
            ScriptKind::Pkh => ScriptBuf::new_p2pkh(&key.pubkey_hash()),
            ScriptKind::Wpkh => ScriptBuf::new_p2wpkh(&key.wpubkey_hash()),
            ScriptKind::Tr => ScriptBuf::new_p2tr(secp, key.into(), None),
        })
    }
}

fn branch(secp: &Secp256k1<VerifyOnly>, network: Network, text: &str) -> Result<Branch, WalletError> {
    if text.len() > DESCRIPTOR_LEN_MAX {
        return Err(WalletError::DescriptorLength);
    }
    // A whole word: the letters "prv" may stand inside a public key by chance.
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    if words.any(|word| word.len() > 100 && (word.starts_with("xprv") || word.starts_with("tprv"))) {
        return Err(WalletError::DescriptorPrivate);
    }
    let descriptor = Descriptor::<DescriptorPublicKey>::from_str(text);
    let descriptor = descriptor.map_err(|_| WalletError::DescriptorMalformed)?;
    let (kind, key) = match &descriptor {
        Descriptor::Pkh(pkh) => (ScriptKind::Pkh, pkh.as_inner()),
        Descriptor::Wpkh(wpkh) => (ScriptKind::Wpkh, wpkh.as_inner()),
        Descriptor::Tr(tr) if tr.tap_tree().is_none() => (ScriptKind::Tr, tr.internal_key()),
        _ => return Err(WalletError::DescriptorKind),
    };
    let DescriptorPublicKey::XPub(key) = key else { return Err(WalletError::DescriptorRange) };
    let levels = usize::from(key.xkey.depth) + key.derivation_path.len() + 1;
    if key.wildcard != Wildcard::Unhardened
        || key.derivation_path.into_iter().any(|step| step.is_hardened())
        || levels > DEPTH_MAX
    {
        return Err(WalletError::DescriptorRange);
    }
    let main = key.xkey.network == NetworkKind::Main;
    if main != (network == Network::Bitcoin) {
        return Err(WalletError::DescriptorNetwork);
    }
    let key = key.xkey.derive_pub(secp, &key.derivation_path).map_err(|_| WalletError::DescriptorRange)?;
    Ok(Branch { kind, key })
}
