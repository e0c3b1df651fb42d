//! The hot keys: a BIP-32 seed in a file that one user can read, and what is derived from it. Only `harbor-wallet keys` and
//! `harbor-wallet init` open it.
//!
//! A Bitcoin wallet has four descriptors, in this order: BIP-84 receive and change, BIP-86 receive and change. An EVM wallet
//! is the account that BIP-44 gives at index 0.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bitcoin::NetworkKind;
use bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::{All, Secp256k1, SecretKey};
use holdfast_values::network::Family;
use holdfast_values::{Destination, Network};
use miniscript::{Descriptor, DescriptorPublicKey};
use sha3::{Digest as _, Keccak256};

use super::config::KeyWallet;
use super::{hex, unhex};

/// Bytes of a seed.
const SEED_BYTES: usize = 32;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} can be read by others: chmod 600 it, and treat the keys as seen")]
    Open { path: PathBuf },
    #[error("{path} has no seed: 64 hexadecimal digits on one line are expected")]
    Malformed { path: PathBuf },
    #[error("no random bytes: {0}")]
    Random(io::Error),
    #[error("no such key can be derived: {0}")]
    Derive(String),
}

/// The seed's master key.
pub(crate) struct Secret {
    master: Xpriv,
    secp: Secp256k1<All>,
}

/// What is pinned of a wallet.
pub(crate) enum Public {
    Descriptors(Vec<String>),
    Address(String),
}

impl Secret {
    /// Makes a new seed in a file that must not be there yet.
    pub(crate) fn create(path: &Path) -> Result<(), SecretError> {
        let io = |error| SecretError::Io { path: path.into(), error };
        let mut seed = [0; SEED_BYTES];
        let mut random = fs::File::open("/dev/urandom").map_err(SecretError::Random)?;
        random.read_exact(&mut seed).map_err(SecretError::Random)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        writeln!(file, "{}", hex(&seed)).map_err(io)?;
        file.sync_all().map_err(io)
    }

    /// Reads the seed, if nobody else can.
    pub(crate) fn open(path: &Path) -> Result<Self, SecretError> {
        let io = |error| SecretError::Io { path: path.into(), error };
        if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(SecretError::Open { path: path.into() });
        }
        let text = fs::read_to_string(path).map_err(io)?;
        let seed = unhex(text.trim()).filter(|seed| seed.len() == SEED_BYTES);
        let seed = seed.ok_or_else(|| SecretError::Malformed { path: path.into() })?;
        Self::from_seed(&seed)
    }

    /// From a seed.
    pub(crate) fn from_seed(seed: &[u8]) -> Result<Self, SecretError> {
        let master = Xpriv::new_master(NetworkKind::Main, seed);
        let master = master.map_err(|error| SecretError::Derive(error.to_string()))?;
        Ok(Self { master, secp: Secp256k1::new() })
    }

    /// The curve.
    pub(crate) const fn secp(&self) -> &Secp256k1<All> {
        &self.secp
    }

    /// The key behind a descriptor of [`Secret::public`] at an index.
    pub(crate) fn bitcoin(&self, wallet: &KeyWallet, descriptor: u8, index: u32) -> Option<SecretKey> {
        let (purpose, branch) = match descriptor {
            0 | 1 => (84, u32::from(descriptor)),
            2 | 3 => (86, u32::from(descriptor.saturating_sub(2))),
            _ => return None,
        };
        let account = self.account(purpose, coin(wallet.network), wallet.account).ok()?.1;
        let steps = [ChildNumber::from_normal_idx(branch).ok()?, ChildNumber::from_normal_idx(index).ok()?];
        Some(account.derive_priv(&self.secp, &steps).ok()?.private_key)
    }

    /// The key of an EVM account.
    pub(crate) fn evm(&self, wallet: &KeyWallet) -> Option<SecretKey> {
        let account = self.account(44, 60, wallet.account).ok()?.1;
        let steps = [ChildNumber::from_normal_idx(0).ok()?; 2];
        Some(account.derive_priv(&self.secp, &steps).ok()?.private_key)
    }

    /// What Holdfast and the signer pin.
    pub(crate) fn public(&self, wallet: &KeyWallet) -> Result<Public, SecretError> {
        let derive = |what: &str| SecretError::Derive(what.to_owned());
        if wallet.network.family() == Family::Evm {
            let key = self.evm(wallet).ok_or_else(|| derive("the account"))?;
            let point = key.public_key(&self.secp).serialize_uncompressed();
            let hash = Keccak256::digest(point.get(1..).unwrap_or_default());
            let address = hex(hash.get(12..).unwrap_or_default());
            let address = Destination::parse(wallet.network, &format!("0x{address}"), None);
            let address = address.map_err(|error| SecretError::Derive(error.to_string()))?;
            return Ok(Public::Address(address.address().to_owned()));
        }
        let fingerprint = self.master.fingerprint(&self.secp);
        let mut descriptors = Vec::new();
        for (purpose, script) in [(84, "wpkh"), (86, "tr")] {
            let (path, mut account) = self.account(purpose, coin(wallet.network), wallet.account)?;
            if coin(wallet.network) != 0 {
                account.network = NetworkKind::Test;
            }
            let key = Xpub::from_priv(&self.secp, &account);
            for branch in 0..2 {
                let text = format!("{script}([{fingerprint}/{path}]{key}/{branch}/*)");
                // Parsed and printed for its checksum.
                let descriptor: Result<Descriptor<DescriptorPublicKey>, _> = text.parse();
                let descriptor = descriptor.map_err(|error| SecretError::Derive(error.to_string()))?;
                descriptors.push(descriptor.to_string());
            }
        }
        Ok(Public::Descriptors(descriptors))
    }

    fn account(&self, purpose: u32, coin: u32, account: u32) -> Result<(DerivationPath, Xpriv), SecretError> {
        let derive = |error: bitcoin::bip32::Error| SecretError::Derive(error.to_string());
        let steps = [purpose, coin, account].map(ChildNumber::from_hardened_idx);
        let steps: Vec<ChildNumber> = steps.into_iter().collect::<Result<_, _>>().map_err(derive)?;
        let path = DerivationPath::from(steps);
        let key = self.master.derive_priv(&self.secp, &path).map_err(derive)?;
        Ok((path, key))
    }
}

/// SLIP-44: 0 for Bitcoin, 1 for all its test networks.
const fn coin(network: Network) -> u32 {
    match network {
        Network::Bitcoin => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use holdfast_transactions::Wallet;

    use super::*;

    /// BIP-39's seed of "abandon" eleven times and "about", which BIP-84 and BIP-86 take as their example.
    const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1\
                        9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";

    fn wallet(network: Network) -> KeyWallet {
        KeyWallet { name: "hot".parse().unwrap(), network, account: 0 }
    }

    #[test]
    fn descriptors_are_those_of_bip_84_and_bip_86() {
        let secret = Secret::from_seed(&unhex(SEED).unwrap()).unwrap();
        let Public::Descriptors(descriptors) = secret.public(&wallet(Network::Bitcoin)).unwrap() else {
            panic!("descriptors")
        };
        let pinned = Wallet::bitcoin(Network::Bitcoin, &descriptors).unwrap();
        let address = |descriptor| pinned.address_at(descriptor, 0).unwrap().address().to_owned();
        assert_eq!(
            [0, 1, 2, 3].map(address),
            [
                "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
                "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el",
                "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
                "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7",
            ]
        );
        assert!(descriptors.iter().all(|text| !text.contains("prv")));
    }

    #[test]
    fn every_network_has_keys_that_fit_what_is_pinned() {
        let secret = Secret::from_seed(&unhex(SEED).unwrap()).unwrap();
        let Public::Address(address) = secret.public(&wallet(Network::Ethereum)).unwrap() else {
            panic!("an address")
        };
        assert_eq!(address, "0x9858EfFD232B4033E47d90003D41EC34EcaEda94");
        for network in [Network::BitcoinTestnet, Network::BitcoinSignet, Network::BitcoinRegtest] {
            let Public::Descriptors(descriptors) = secret.public(&wallet(network)).unwrap() else {
                panic!("descriptors")
            };
            assert!(Wallet::bitcoin(network, &descriptors).is_ok(), "{network}");
        }
        assert!(secret.bitcoin(&wallet(Network::Bitcoin), 4, 0).is_none(), "there are four descriptors");
    }
}
