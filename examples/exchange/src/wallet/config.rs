//! The two configuration files, in TOML; unknown keys are refused, paths are relative to the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_transactions::Wallet as Pinned;
use holdfast_values::network::Family;
use holdfast_values::texts::ExchangeName;
use holdfast_values::{Amount, AssetSymbol, Destination, Name, Network};
use serde::Deserialize;

/// A commented sample of both files.
pub(crate) const SAMPLE: &str = include_str!("sample.toml");

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    Toml { path: PathBuf, error: toml::de::Error },
    #[error("{path}: {what}")]
    Invalid { path: PathBuf, what: String },
}

/// Of `harbor-wallet keys`.
pub(crate) struct Keys {
    /// Where `run` connects.
    pub(crate) socket: PathBuf,
    /// The socket's permissions.
    pub(crate) socket_mode: u32,
    /// Where the signer listens.
    pub(crate) signer_socket: PathBuf,
    /// The seed.
    pub(crate) key_file: PathBuf,
    /// What the keys are for.
    pub(crate) wallets: Vec<KeyWallet>,
}

/// A wallet's keys: which branch of the seed.
#[derive(Clone, Debug)]
pub(crate) struct KeyWallet {
    pub(crate) name: Name,
    pub(crate) network: Network,
    /// BIP-44's account.
    pub(crate) account: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    socket: PathBuf,
    socket_mode: Option<String>,
    signer_socket: PathBuf,
    key_file: PathBuf,
    wallets: Vec<KeyWalletFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyWalletFile {
    name: String,
    network: String,
    #[serde(default)]
    account: u32,
}

/// Of `harbor-wallet run`.
pub(crate) struct Run {
    pub(crate) exchange: ExchangeName,
    /// The signer that releases are for.
    pub(crate) signer: Name,
    pub(crate) holdfast_url: String,
    pub(crate) token: String,
    pub(crate) keys_socket: PathBuf,
    /// The signer's own socket: for `void`, and to tell the signer of customers' keys.
    pub(crate) signer_socket: Option<PathBuf>,
    /// The folder with what is under way.
    pub(crate) state: PathBuf,
    pub(crate) poll: Duration,
    pub(crate) timeout: Duration,
    pub(crate) wallets: Vec<Wallet>,
}

/// One wallet on one network.
pub(crate) struct Wallet {
    pub(crate) name: Name,
    pub(crate) network: Network,
    /// The node's JSON-RPC.
    pub(crate) rpc: String,
    pub(crate) assets: Vec<Asset>,
    /// In the network's own units: what one transaction may cost.
    pub(crate) fee_max: Amount,
    /// After so long unconfirmed a transaction is sent again for more.
    pub(crate) bump_after: Option<Duration>,
    /// When a transaction is forgotten.
    pub(crate) confirmations: u64,
    pub(crate) kind: Kind,
}

/// What differs between the families.
pub(crate) enum Kind {
    /// Outputs.
    Bitcoin(Bitcoin),
    /// Accounts.
    Evm(Evm),
}

/// A Bitcoin wallet's part.
pub(crate) struct Bitcoin {
    pub(crate) descriptors: Vec<String>,
    pub(crate) pinned: Pinned,
    /// Which descriptor change goes to.
    pub(crate) change: u8,
    /// So many addresses of each other descriptor may have coins.
    pub(crate) receive_addresses: u32,
    /// Payments of one transaction.
    pub(crate) batch_max: usize,
    /// Transactions under way at a time.
    pub(crate) under_way_max: usize,
    /// Satoshi for 1,000 virtual bytes; the node's estimate if absent.
    pub(crate) fee_rate: Option<u64>,
    /// Never more than this.
    pub(crate) fee_rate_max: u64,
}

/// An EVM wallet's part.
pub(crate) struct Evm {
    pub(crate) address: Destination,
    pub(crate) chain_id: u64,
    /// Transactions under way at a time.
    pub(crate) under_way_max: usize,
    /// Wei for each gas on top of the base fee; the node's word if absent.
    pub(crate) tip: Option<u128>,
    /// Gas that a token's transfer gets.
    pub(crate) token_gas: u64,
}

/// What a wallet pays in.
pub(crate) struct Asset {
    pub(crate) symbol: AssetSymbol,
    pub(crate) decimals: u8,
    /// In the spelling of EIP-55; absent for the network's coin.
    pub(crate) contract: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFile {
    exchange: String,
    signer: String,
    holdfast_url: String,
    token_file: PathBuf,
    keys_socket: PathBuf,
    signer_socket: Option<PathBuf>,
    state: PathBuf,
    #[serde(default = "poll_ms")]
    poll_ms: u64,
    #[serde(default = "timeout_ms")]
    timeout_ms: u64,
    wallets: Vec<WalletFile>,
}

const fn poll_ms() -> u64 {
    500
}

const fn timeout_ms() -> u64 {
    10_000
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletFile {
    name: String,
    network: String,
    rpc: String,
    descriptors: Option<Vec<String>>,
    change_descriptor: Option<u8>,
    receive_addresses: Option<u32>,
    batch_max: Option<usize>,
    fee_rate: Option<u64>,
    fee_rate_max: Option<u64>,
    address: Option<String>,
    tip: Option<String>,
    token_gas: Option<u64>,
    under_way_max: Option<usize>,
    fee_max: String,
    bump_after_seconds: Option<u64>,
    confirmations: Option<u64>,
    #[serde(default)]
    assets: Vec<AssetFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetFile {
    symbol: String,
    decimals: u8,
    contract: Option<String>,
}

/// A file, and where it is.
struct Source<'a> {
    path: &'a Path,
    base: &'a Path,
}

impl<'a> Source<'a> {
    fn of(path: &'a Path) -> Self {
        Self { path, base: path.parent().unwrap_or_else(|| Path::new(".")) }
    }

    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let text = text(self.path)?;
        toml::from_str(&text).map_err(|error| ConfigError::Toml { path: self.path.into(), error })
    }

    fn invalid(&self, what: impl ToString) -> ConfigError {
        ConfigError::Invalid { path: self.path.into(), what: what.to_string() }
    }

    fn parse<T: core::str::FromStr>(&self, key: &str, text: &str) -> Result<T, ConfigError>
    where
        T::Err: core::fmt::Display,
    {
        text.parse().map_err(|error| self.invalid(format!("{key}: {error}")))
    }
}

fn text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.into(), error })
}

impl Keys {
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::of(path);
        let file: KeysFile = source.read()?;
        let mode = file.socket_mode.as_deref().unwrap_or("0600");
        let socket_mode =
            u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777 && mode & 0o007 == 0);
        let wallets = file.wallets.iter().map(|wallet| {
            let network: Network = source.parse("network", &wallet.network)?;
            if !network.is_releasable() {
                return Err(source.invalid(format!("{network}: nothing can be released there")));
            }
            Ok(KeyWallet { name: source.parse("name", &wallet.name)?, network, account: wallet.account })
        });
        Ok(Self {
            socket: source.base.join(&file.socket),
            socket_mode: socket_mode.ok_or_else(|| {
                source.invalid("socket_mode: octal digits such as 0660, and nothing for others")
            })?,
            signer_socket: source.base.join(&file.signer_socket),
            key_file: source.base.join(&file.key_file),
            wallets: wallets.collect::<Result<_, _>>()?,
        })
    }

    /// The wallet that a signer names.
    pub(crate) fn wallet(&self, name: &Name, network: Network) -> Option<&KeyWallet> {
        self.wallets.iter().find(|wallet| wallet.name == *name && wallet.network == network)
    }
}

impl Run {
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::of(path);
        let file: RunFile = source.read()?;
        let token = text(&source.base.join(&file.token_file))?.trim().to_owned();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(source.invalid("token_file: a token on one line is expected"));
        }
        let wallets = file.wallets.iter().map(|wallet| self::wallet(&source, wallet));
        Ok(Self {
            exchange: source.parse("exchange", &file.exchange)?,
            signer: source.parse("signer", &file.signer)?,
            holdfast_url: file.holdfast_url.trim_end_matches('/').to_owned(),
            token,
            keys_socket: source.base.join(&file.keys_socket),
            signer_socket: file.signer_socket.map(|socket| source.base.join(socket)),
            state: source.base.join(&file.state),
            poll: Duration::from_millis(file.poll_ms.max(10)),
            timeout: Duration::from_millis(file.timeout_ms.max(100)),
            wallets: wallets.collect::<Result<_, _>>()?,
        })
    }

    /// The wallet with a name on a network.
    pub(crate) fn wallet(&self, name: &str, network: &str) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.name.as_str() == name && wallet.network.name() == network)
    }
}

fn wallet(source: &Source<'_>, file: &WalletFile) -> Result<Wallet, ConfigError> {
    let invalid = |what: String| source.invalid(format!("wallet {} on {}: {what}", file.name, file.network));
    let network: Network = source.parse("network", &file.network)?;
    let decimals =
        network.native_decimals().ok_or_else(|| invalid("not a network it can pay on".to_owned()))?;
    let kind = match (network.family(), &file.descriptors, &file.address) {
        (Family::Bitcoin, Some(descriptors), None) => {
            let pinned = Pinned::bitcoin(network, descriptors).map_err(|error| invalid(error.to_string()))?;
            let change = file.change_descriptor.unwrap_or(1);
            if usize::from(change) >= descriptors.len() {
                return Err(invalid(format!("change_descriptor {change}: count from 0")));
            }
            Kind::Bitcoin(Bitcoin {
                descriptors: descriptors.clone(),
                pinned,
                change,
                receive_addresses: file.receive_addresses.unwrap_or(20).clamp(1, 1_000),
                batch_max: file.batch_max.unwrap_or(200).clamp(1, 900),
                under_way_max: file.under_way_max.unwrap_or(20).max(1),
                fee_rate: file.fee_rate,
                fee_rate_max: file.fee_rate_max.unwrap_or(100_000),
            })
        }
        (Family::Evm, None, Some(address)) => {
            let address = Destination::parse(network, address, None);
            let tip = file.tip.as_deref().map(|tip| source.parse("tip", tip)).transpose()?;
            Kind::Evm(Evm {
                address: address.map_err(|error| invalid(error.to_string()))?,
                chain_id: network.chain_id().ok_or_else(|| invalid("no chain id".to_owned()))?,
                under_way_max: file.under_way_max.unwrap_or(64).max(1),
                tip,
                token_gas: file.token_gas.unwrap_or(100_000),
            })
        }
        _ => {
            let what = "give descriptors on a Bitcoin network, or an address on an EVM network";
            return Err(invalid(what.to_owned()));
        }
    };
    let mut assets = Vec::new();
    for asset in &file.assets {
        let contract = match &asset.contract {
            None => None,
            Some(text) => {
                let contract = Destination::parse(network, text, None);
                let contract = contract.map_err(|error| invalid(format!("contract: {error}")))?;
                Some(contract.address().to_owned())
            }
        };
        if contract.is_none() && asset.decimals != decimals {
            return Err(invalid(format!("{}: the network's coin has {decimals} decimals", asset.symbol)));
        }
        let symbol = source.parse("symbol", &asset.symbol)?;
        assets.push(Asset { symbol, decimals: asset.decimals, contract });
    }
    if assets.is_empty() && matches!(kind, Kind::Bitcoin(_)) {
        assets.push(Asset { symbol: source.parse("symbol", "BTC")?, decimals, contract: None });
    }
    if assets.is_empty() {
        return Err(invalid("name at least one asset".to_owned()));
    }
    Ok(Wallet {
        name: source.parse("name", &file.name)?,
        network,
        rpc: file.rpc.clone(),
        assets,
        fee_max: Amount::parse(&file.fee_max, decimals)
            .map_err(|error| invalid(format!("fee_max: {error}")))?,
        bump_after: file.bump_after_seconds.map(Duration::from_secs),
        confirmations: file.confirmations.unwrap_or(match network.family() {
            Family::Bitcoin => 6,
            _ => 64,
        }),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, text: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("harbor-wallet-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("wallet.token"), "tk_1\n").unwrap();
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_sample_is_two_files_that_load() {
        let (keys, run) = SAMPLE.split_once("# ==== end of keys.toml ====").unwrap();
        let keys = Keys::load(&write("keys.toml", keys)).unwrap();
        assert_eq!((keys.wallets.len(), keys.socket_mode), (2, 0o660));
        let run = Run::load(&write("wallet.toml", run)).unwrap();
        assert_eq!(run.wallets.len(), 2);
        assert!(run.wallet("eth-hot", "ethereum").is_some_and(|wallet| wallet.assets.len() == 2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (keys, run) = SAMPLE.split_once("# ==== end of keys.toml ====").unwrap();
        let open = keys.replace("0660", "0666");
        assert!(
            Keys::load(&write("open.toml", &open))
                .is_err_and(|error| error.to_string().contains("socket_mode"))
        );
        let cases = [
            ("decimals = 18", "decimals = 17", "18 decimals"),
            ("change_descriptor = 1", "change_descriptor = 2", "change_descriptor"),
            ("batch_max", "batchmax", "unknown field"),
            ("fee_max = \"0.02\"", "fee_max = \"0,02\"", "fee_max"),
            ("0xdAC17", "0xdac17", "contract"),
        ];
        for (number, (from, to, expected)) in cases.into_iter().enumerate() {
            let result = Run::load(&write(&format!("wrong-{number}.toml"), &run.replace(from, to)));
            let error = result.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
