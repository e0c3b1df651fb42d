//! A watcher's configuration: one TOML file, checked whole before anything is asked of anybody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bitcoin::hashes::{Hash as _, sha256};
use holdfast_transactions::Wallet;
use holdfast_values::network::Family;
use holdfast_values::{Destination, Name, Network};
use serde::Deserialize;

use crate::follower::{Followed, Follower};
use crate::http::{self, NodeAuth};
use crate::trail::TRAIL_BLOCKS;
use crate::{bitcoin as btc, evm};

/// The longest configuration that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
const ADDRESSES_MAX: usize = 10_000;

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}: give --config the path of a watcher's TOML file")]
    Unreadable(String),
    /// The file is no such TOML.
    #[error("{0}")]
    Malformed(String),
    /// A value makes no sense.
    #[error("{key}: {what}")]
    Value {
        /// Which.
        key: &'static str,
        /// What is wrong with it, and what is wanted.
        what: String,
    },
}

impl ConfigError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "config_unreadable",
            Self::Malformed(_) => "config_malformed",
            Self::Value { .. } => "config_value",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: String,
    wallet: String,
    descriptors: Option<Vec<String>>,
    addresses: Option<Vec<String>>,
    address: Option<String>,
    lookahead: Option<u32>,
    start_height: u64,
    poll: Option<String>,
    confirmations_final: Option<u64>,
    state: PathBuf,
    holdfast: HoldfastFile,
    node: NodeFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldfastFile {
    url: String,
    token_file: PathBuf,
    ca: Option<PathBuf>,
    timeout: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    url: Option<String>,
    url_file: Option<PathBuf>,
    cookie_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    timeout: Option<String>,
}

/// What is watched.
#[derive(Clone, Debug)]
enum Target {
    Descriptors { wallet: Wallet, lookahead: u32 },
    Addresses(Vec<Destination>),
    Account(evm::Account),
}

/// A watcher's configuration, checked.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    pub(crate) network: Network,
    pub(crate) wallet: Name,
    target: Target,
    start_height: u64,
    confirmations_final: u64,
    pub(crate) poll: Duration,
    pub(crate) state: PathBuf,
    pub(crate) holdfast_url: String,
    pub(crate) holdfast_agent: ureq::Agent,
    pub(crate) token_file: PathBuf,
    pub(crate) node_url: String,
    pub(crate) node_agent: ureq::Agent,
    pub(crate) node_auth: NodeAuth,
    pub(crate) watches: String,
}

fn value(key: &'static str, what: impl ToString) -> ConfigError {
    ConfigError::Value { key, what: what.to_string() }
}

impl WatchConfig {
    /// Reads the file; paths in it are relative to its folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        use std::io::Read as _;
        let unreadable = |error| ConfigError::Unreadable(format!("{}: {error}", path.display()));
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a configuration; paths in it are relative to `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::Malformed(error.to_string()))?;
        let network: Network = file.network.parse().map_err(|error| value("network", error))?;
        let wallet: Name = file.wallet.parse().map_err(|error| value("wallet", error))?;
        let (target, described) = target(network, &file)?;
        let default = if network.family() == Family::Evm { 64 } else { 6 };
        let confirmations_final = file.confirmations_final.unwrap_or(default);
        if !(1..=TRAIL_BLOCKS as u64).contains(&confirmations_final) {
            return Err(value("confirmations_final", format!("1 to {TRAIL_BLOCKS}")));
        }
        if file.start_height > u64::from(u32::MAX) {
            return Err(value("start_height", "no chain is that long"));
        }
        let (holdfast, node) = (file.holdfast, file.node);
        let node_url = match (node.url, node.url_file) {
            (Some(url), None) => url,
            (None, Some(path)) => {
                http::secret(&folder.join(path)).map_err(|what| value("node.url_file", what))?
            }
            _ => {
                return Err(value(
                    "node.url",
                    "give either node.url or, if the URL holds a key, node.url_file",
                ));
            }
        };
        let auth = match (node.cookie_file, node.user, node.password_file) {
            (None, None, None) => NodeAuth::None,
            (Some(path), None, None) => NodeAuth::Cookie(folder.join(path)),
            (None, Some(user), Some(path))
                if !user.contains(':') && user.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                NodeAuth::Basic { user, password_file: folder.join(path) }
            }
            _ => {
                return Err(value(
                    "node.cookie_file",
                    "give either cookie_file, or user and password_file, or none",
                ));
            }
        };
        url("holdfast.url", &holdfast.url)?;
        url("node.url", &node_url)?;
        let identity = format!("{network}\n{wallet}\n{described}");
        Ok(Self {
            network,
            wallet,
            target,
            start_height: file.start_height,
            confirmations_final,
            poll: duration("poll", file.poll.as_deref(), Duration::from_secs(10), Duration::from_secs(600))?,
            state: folder.join(file.state),
            holdfast_agent: agent("holdfast.ca", "holdfast.timeout", folder, holdfast.ca, holdfast.timeout)?,
            holdfast_url: holdfast.url,
            token_file: folder.join(holdfast.token_file),
            node_agent: agent("node.ca", "node.timeout", folder, node.ca, node.timeout)?,
            node_url,
            node_auth: auth,
            watches: sha256::Hash::hash(identity.as_bytes()).to_string(),
        })
    }

    /// A follower that goes on from where one left off.
    pub(crate) fn follower(&self, followed: Followed) -> Option<Follower> {
        let (start, last) = (self.start_height, self.confirmations_final);
        let scripts = match &self.target {
            Target::Descriptors { wallet, lookahead } => {
                btc::Scripts::derived(wallet.clone(), *lookahead, followed.used())?
            }
            Target::Addresses(addresses) => btc::Scripts::fixed(self.network, addresses)?,
            Target::Account(account) => {
                return Some(Follower::Evm(Box::new(evm::Follower::new(*account, start, last, followed))));
            }
        };
        Some(Follower::Bitcoin(Box::new(btc::Follower::new(scripts, start, last, followed))))
    }
}

/// What is watched, and the same as text.
fn target(network: Network, file: &File) -> Result<(Target, String), ConfigError> {
    let wants = "on a Bitcoin network give descriptors or addresses, on an EVM network address";
    match (network.family(), &file.descriptors, &file.addresses, &file.address) {
        (Family::Bitcoin, Some(descriptors), None, None) => {
            let lookahead = file.lookahead.unwrap_or(1_000);
            if !(1..=100_000).contains(&lookahead) {
                return Err(value("lookahead", "1 to 100000 addresses"));
            }
            let wallet =
                Wallet::bitcoin(network, descriptors).map_err(|error| value("descriptors", error))?;
            Ok((Target::Descriptors { wallet, lookahead }, descriptors.join("\n")))
        }
        (Family::Bitcoin, None, Some(addresses), None) if file.lookahead.is_none() => {
            if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
                return Err(value("addresses", format!("1 to {ADDRESSES_MAX}")));
            }
            let parse = |text: &String| Destination::parse(network, text, None);
            let mut parsed: Vec<_> = addresses
                .iter()
                .map(parse)
                .collect::<Result<_, _>>()
                .map_err(|error| value("addresses", error))?;
            parsed.sort();
            let described: Vec<&str> = parsed.iter().map(Destination::address).collect();
            let described = described.join("\n");
            Ok((Target::Addresses(parsed), described))
        }
        (Family::Evm, None, None, Some(address)) if file.lookahead.is_none() => {
            let wallet = Wallet::evm(network, address).map_err(|error| value("address", error))?;
            let account = wallet.evm_address().and_then(|bytes| evm::Account::new(network, bytes));
            let account = account.ok_or(value("address", "no account of this network"))?;
            Ok((Target::Account(account), address.to_ascii_lowercase()))
        }
        (Family::Bitcoin | Family::Evm, ..) => Err(value("network", wants)),
        _ => Err(value("network", "no watcher knows this network yet: one of Bitcoin's or an EVM network")),
    }
}

fn agent(
    ca_key: &'static str,
    timeout_key: &'static str,
    folder: &Path,
    ca: Option<PathBuf>,
    timeout: Option<String>,
) -> Result<ureq::Agent, ConfigError> {
    let timeout =
        duration(timeout_key, timeout.as_deref(), Duration::from_secs(30), Duration::from_secs(600))?;
    let pem = match ca {
        None => None,
        Some(path) => {
            let path = folder.join(path);
            Some(
                std::fs::read(&path)
                    .map_err(|error| value(ca_key, format!("{}: {error}", path.display())))?,
            )
        }
    };
    http::agent(timeout, pem.as_deref()).map_err(|what| value(ca_key, what))
}

fn url(key: &'static str, text: &str) -> Result<(), ConfigError> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let whole = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if whole && text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('@') {
        return Ok(());
    }
    Err(value(key, "write http://HOST:PORT or https://HOST, without a password"))
}

/// `250ms`, `10s`, `2m`: one number without leading zeros and one unit.
fn duration(
    key: &'static str,
    text: Option<&str>,
    default: Duration,
    max: Duration,
) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    let parsed = || {
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        if digits.is_empty() || digits.starts_with('0') {
            return None;
        }
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return None,
        };
        Some(Duration::from_millis(digits.parse::<u64>().ok()?.checked_mul(millis)?))
    };
    let wanted = || value(key, format!("write a time such as 250ms, 10s or 2m, 50ms to {} s", max.as_secs()));
    parsed().filter(|time| (Duration::from_millis(50)..=max).contains(time)).ok_or_else(wanted)
}
