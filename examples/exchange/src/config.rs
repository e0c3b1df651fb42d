//! Harbor's configuration: one JSON file, unknown keys refused, secrets by file path.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use holdfast_values::{Amount, AssetSymbol, Network};
use serde::Deserialize;

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    admin_token_file: PathBuf,
    holdfast: HoldfastFile,
    /// A header from which the customer's address is taken; only behind a proxy that sets it.
    client_ip_header: Option<String>,
    /// The two web origins; none, and customers have the API and bearer sessions alone.
    web: Option<WebFile>,
    assets: Vec<AssetFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebFile {
    listen: SocketAddr,
    certificate_file: PathBuf,
    key_file: PathBuf,
    app_host: String,
    approve_host: String,
    approve_folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldfastFile {
    url: String,
    token_file: PathBuf,
    #[serde(default = "poll_ms_default")]
    poll_ms: u64,
    #[serde(default = "timeout_ms_default")]
    timeout_ms: u64,
    /// Of Holdfast's simulated clock, in a demonstration.
    #[serde(default = "clock_rate_default")]
    clock_rate: u32,
}

const fn poll_ms_default() -> u64 {
    500
}

const fn clock_rate_default() -> u32 {
    1
}

const fn timeout_ms_default() -> u64 {
    5_000
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetFile {
    symbol: String,
    name: String,
    decimals: u8,
    networks: Vec<NetworkFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkFile {
    network: String,
    fee: String,
    min: String,
}

/// The configuration, checked.
pub(crate) struct Config {
    /// Where customers connect.
    pub(crate) listen: SocketAddr,
    /// Where the staff connects; a loopback address.
    pub(crate) admin_listen: SocketAddr,
    /// What the staff presents.
    pub(crate) admin_token: String,
    /// Holdfast's address, without a slash at its end.
    pub(crate) holdfast_url: String,
    /// Harbor's service token at Holdfast.
    pub(crate) holdfast_token: String,
    /// How often open withdrawals are looked up.
    pub(crate) poll: std::time::Duration,
    /// How long one call to Holdfast may take.
    pub(crate) timeout: std::time::Duration,
    /// How much faster than this machine's Holdfast's clock runs.
    pub(crate) clock_rate: u32,
    /// A header from which the customer's address is taken.
    pub(crate) client_ip_header: Option<String>,
    /// The two web origins.
    pub(crate) web: Option<Web>,
    /// By symbol.
    pub(crate) assets: BTreeMap<AssetSymbol, Asset>,
}

/// The two web origins, on one listener with TLS, told apart by the host that a request names.
#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) listen: SocketAddr,
    /// The certificate chain for both hosts, PEM.
    pub(crate) certificate_file: PathBuf,
    /// Its private key, PEM.
    pub(crate) key_file: PathBuf,
    /// Where customers sign in, such as `app.harbor.example`.
    pub(crate) app_host: String,
    /// Where their keys approve, and nothing else is served, such as `approve.harbor.example`.
    pub(crate) approve_host: String,
    /// What is served there.
    pub(crate) approve_folder: PathBuf,
}

/// Something that customers hold.
pub(crate) struct Asset {
    pub(crate) name: String,
    pub(crate) decimals: u8,
    /// The first is the default.
    pub(crate) networks: Vec<AssetNetwork>,
}

/// A way out.
#[derive(Clone, Copy)]
pub(crate) struct AssetNetwork {
    pub(crate) network: Network,
    /// What Binance clients call it.
    pub(crate) binance: &'static str,
    /// Charged on top of what arrives.
    pub(crate) fee: Amount,
    pub(crate) min: Amount,
}

/// Why Harbor does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("the configuration does not read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Invalid(String),
}

impl Config {
    /// Reads and checks the file; paths in it are relative to it.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let file: File = serde_json::from_str(&read(path)?)?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        if !file.admin_listen.ip().is_loopback() {
            return Err(ConfigError::Invalid("admin_listen must be a loopback address".to_owned()));
        }
        let assets = file.assets.iter().map(asset).collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(Self {
            listen: file.listen,
            admin_listen: file.admin_listen,
            admin_token: secret(&base.join(&file.admin_token_file))?,
            holdfast_url: file.holdfast.url.trim_end_matches('/').to_owned(),
            holdfast_token: secret(&base.join(&file.holdfast.token_file))?,
            poll: std::time::Duration::from_millis(file.holdfast.poll_ms.max(10)),
            timeout: std::time::Duration::from_millis(file.holdfast.timeout_ms.max(100)),
            clock_rate: file.holdfast.clock_rate.max(1),
            client_ip_header: file.client_ip_header,
            web: file.web.map(|web| self::web(base, web)).transpose()?,
            assets,
        })
    }
}

fn web(base: &Path, file: WebFile) -> Result<Web, ConfigError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    for host in [&file.app_host, &file.approve_host] {
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(ConfigError::Invalid(format!("web: {host:?} is no host name in lower case")));
        }
    }
    if file.app_host == file.approve_host {
        let why = "web: approve_host must be a host of its own, or a stolen session's page could ask the key";
        return Err(ConfigError::Invalid(why.to_owned()));
    }
    Ok(Web {
        listen: file.listen,
        certificate_file: base.join(file.certificate_file),
        key_file: base.join(file.key_file),
        app_host: file.app_host,
        approve_host: file.approve_host,
        approve_folder: base.join(file.approve_folder),
    })
}

fn asset(file: &AssetFile) -> Result<(AssetSymbol, Asset), ConfigError> {
    let invalid = |what: String| ConfigError::Invalid(format!("asset {}: {what}", file.symbol));
    let symbol = file.symbol.parse().map_err(|error| invalid(format!("{error}")))?;
    let networks = file
        .networks
        .iter()
        .map(|row| {
            let network: Network = row.network.parse().map_err(|error| invalid(format!("{error}")))?;
            let amount =
                |text: &str| Amount::parse(text, file.decimals).map_err(|error| invalid(format!("{error}")));
            let binance = holdfast_authn::dialect::binance::network_name(network)
                .ok_or_else(|| invalid(format!("Binance clients have no name for {network}")))?;
            Ok(AssetNetwork { network, binance, fee: amount(&row.fee)?, min: amount(&row.min)? })
        })
        .collect::<Result<Vec<_>, ConfigError>>()?;
    if networks.is_empty() {
        return Err(invalid("give at least one network".to_owned()));
    }
    Ok((symbol, Asset { name: file.name.clone(), decimals: file.decimals, networks }))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.into(), error })
}

fn secret(path: &Path) -> Result<String, ConfigError> {
    let text = read(path)?.trim().to_owned();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::Invalid(format!("{}: a token on one line is expected", path.display())));
    }
    Ok(text)
}
