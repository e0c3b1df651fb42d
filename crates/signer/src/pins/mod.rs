//! The pinned file: whose releases, whose signatures, which wallets, assets, buckets and bounds this signer goes by.
//!
//! Holdfast cannot write it. Unknown keys are refused, every value is checked, and an error names its place. Nothing here
//! decides about a release.

mod approval;
mod document;
mod policy;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast_authn::encoding;
use holdfast_authn::operator::{Operators, parse_operator_key, parse_operator_public_key};
use holdfast_transactions::{PaidAsset, Wallet};
use holdfast_values::network::Family;
use holdfast_values::texts::ExchangeName;
use holdfast_values::{
    Amount, AssetSymbol, Destination, Micros, Name, Network, OperatorPublicKey, amount, time,
};

pub use approval::{AGEING_MAX, AGEING_MIN, Approval};
pub use policy::Policy;

use crate::files::{self, FileError};
use holdfast_values::bucket::BucketSpec;

/// Longest pinned file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// Longest release lifetime that may be pinned.
pub const RELEASE_LIFETIME_MAX: Micros = 10 * time::MINUTE;
/// Most release keys, operators, wallets and assets.
const RELEASE_KEYS_MAX: usize = 16;
const OPERATORS_MAX: usize = 64;
const WALLETS_MAX: usize = 256;
const ASSETS_MAX: usize = 1_024;
/// Fewest operators that loosen anything together.
const THRESHOLD_MIN: usize = 2;

/// Why a pinned file is refused.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML of the known shape: the message names line and column.
    #[error("{}: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A value that cannot be.
    #[error("{place}: {message}")]
    Value {
        /// Where, as in `wallets[0].fee_max`.
        place: String,
        /// What is wrong and what to write.
        message: String,
    },
}

impl PinsError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Toml { .. } => "pins_malformed",
            Self::Value { .. } => "pins_value",
        }
    }
}

/// Everything that is pinned.
#[derive(Debug)]
pub struct Pins {
    /// The exchange.
    pub exchange: ExchangeName,
    /// This signer: the audience of its releases.
    pub name: Name,
    /// Time is what releases say it is: for tests and demonstrations alone.
    pub simulated_clock: bool,
    /// Which store is this signer's; `None` until `init` made one.
    pub store: Option<[u8; 16]>,
    /// Holdfast's release keys; at least one once a store is pinned.
    pub release_keys: Vec<[u8; 32]>,
    /// Where the signer's own key lies.
    pub receipt_key_file: PathBuf,
    /// The longest that a release may be valid.
    pub release_lifetime_max: Micros,
    /// How many operators must sign what loosens.
    pub threshold: usize,
    /// Their keys, and where their passkeys sign.
    pub operators: Operators,
    /// How the policy is followed; there once a store is pinned.
    pub policy: Option<Policy>,
    /// How customers' keys approve; `None`: none of them does.
    pub approval: Option<Approval>,
    /// Wallets by network.
    wallets: BTreeMap<Network, WalletsOnNetwork>,
    /// Assets by symbol and network.
    assets: BTreeMap<(AssetSymbol, Network), PinnedAsset>,
}

/// The wallets of a network, in the order that `transactions::decode` knows them by.
#[derive(Debug, Default)]
struct WalletsOnNetwork {
    pins: Vec<PinnedWallet>,
    wallets: Vec<Wallet>,
}

/// A wallet's name and what it may burn.
#[derive(Clone, Debug)]
pub struct PinnedWallet {
    /// Its name.
    pub name: Name,
    /// What bounds its fees; `None` for a wallet that only receives.
    pub fees: Option<FeeBounds>,
}

/// What bounds the network fees of a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeBounds {
    /// The most that one transaction may burn.
    pub max: Amount,
    /// The most by size: satoshi per 1,000 virtual bytes, or wei per gas.
    pub rate_max: u64,
    /// What all its transactions may burn.
    pub bucket: BucketSpec,
}

/// How an asset moves on a network.
#[derive(Clone, Debug)]
pub struct PinnedAsset {
    /// Decimals there.
    pub decimals: u8,
    /// The network's own coin or a contract.
    pub paid: PaidAsset,
    /// For payments that pinned operators or their own customers vouch for.
    pub vouched: BucketSpec,
    /// For everything else.
    pub unvouched: BucketSpec,
    /// The most that one credential, and those that it brought in, vouch for in 30 days.
    pub credential_cap: Amount,
}

/// A wallet that may pay, with all wallets of its network.
#[derive(Clone, Copy, Debug)]
pub struct Payer<'a> {
    /// Its place among `known`.
    pub index: usize,
    /// Its name and bounds.
    pub pin: &'a PinnedWallet,
    /// Every pinned wallet of the network.
    pub known: &'a [Wallet],
}

impl Pins {
    /// Reads and checks a pinned file that nobody else can write.
    pub fn load(path: &Path) -> Result<Self, PinsError> {
        let metadata = files::check_trusted(path)?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(value("file", format!("longer than {FILE_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|error| FileError::io(path, error))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a pinned file; relative paths in it are relative to the file's folder.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PinsError> {
        let document: document::Document = toml::from_str(text)
            .map_err(|error| PinsError::Toml { path: path.to_owned(), message: error.to_string() })?;
        check(document, path.parent().unwrap_or(Path::new("")))
    }

    /// The wallet `name` on `network`.
    pub fn payer(&self, network: Network, name: &Name) -> Option<Payer<'_>> {
        let on = self.wallets.get(&network)?;
        let index = on.pins.iter().position(|pin| pin.name == *name)?;
        Some(Payer { index, pin: on.pins.get(index)?, known: &on.wallets })
    }

    /// The name of the wallet at a place among those of a network.
    pub fn wallet_name(&self, network: Network, index: usize) -> Option<&Name> {
        self.wallets.get(&network)?.pins.get(index).map(|pin| &pin.name)
    }

    /// How `symbol` moves on `network`.
    pub fn asset(&self, symbol: &AssetSymbol, network: Network) -> Option<&PinnedAsset> {
        // The key is owned; symbols are at most 16 bytes.
        self.assets.get(&(symbol.clone(), network))
    }

    /// Every asset, in order.
    pub fn assets(&self) -> impl Iterator<Item = (&AssetSymbol, Network, &PinnedAsset)> {
        self.assets.iter().map(|((symbol, network), asset)| (symbol, *network, asset))
    }

    /// Every wallet that may pay, in order.
    pub fn payers(&self) -> impl Iterator<Item = (&Name, Network, FeeBounds)> {
        self.wallets.iter().flat_map(|(network, on)| {
            on.pins.iter().filter_map(|pin| pin.fees.map(|fees| (&pin.name, *network, fees)))
        })
    }
}

fn value(place: impl Into<String>, message: impl fmt::Display) -> PinsError {
    PinsError::Value { place: place.into(), message: message.to_string() }
}

fn check(document: document::Document, folder: &Path) -> Result<Pins, PinsError> {
    let exchange = document.exchange.parse().map_err(|error| value("exchange", error))?;
    let name = document.name.parse().map_err(|error| value("name", error))?;
    let store = match &document.store {
        None => None,
        Some(text) if text.bytes().any(|b| b.is_ascii_uppercase()) => {
            return Err(value("store", "write it in lower case, as init printed it"));
        }
        Some(text) => Some(
            encoding::hex::<16>(text.as_bytes())
                .ok_or_else(|| value("store", "write the 32 hexadecimal digits that init printed"))?,
        ),
    };
    // Holdfast needs this signer's receipt key before it has keys of its own. Without a pinned store nothing is signed.
    let release_keys = release_keys(&document.release_keys, usize::from(store.is_some()))?;
    let (threshold, operators) = operators(&document.operators, &release_keys)?;
    let release_lifetime_max = span(&document.release_lifetime_max)
        .filter(|span| (time::SECOND..=RELEASE_LIFETIME_MAX).contains(span))
        .ok_or_else(|| value("release_lifetime_max", "write 1s to 10m, such as 60s or 10m"))?;
    if document.receipt_key_file.is_empty() {
        return Err(value("receipt_key_file", "name the file of the signer's own key"));
    }
    let policy = document.policy.as_ref().map(policy::check).transpose()?;
    if store.is_some() && policy.is_none() {
        return Err(value(
            "policy",
            "pin the policy that counts: a section [policy] with initial = \"...\", as holdfast init prints it",
        ));
    }
    let approval = document.approval.as_ref().map(approval::check).transpose()?;
    if let (Some(ours), Some(approval)) = (&operators.party, &approval)
        && ours.rp_id == approval.party(false).rp_id
    {
        let message = "customers' keys approve there: their page could ask for operators' passkeys";
        return Err(value("operators.passkeys.rp_id", message));
    }
    Ok(Pins {
        assets: assets(&document.assets, approval.is_some())?,
        approval,
        policy,
        exchange,
        name,
        simulated_clock: document.simulated_clock,
        store,
        release_keys,
        receipt_key_file: folder.join(&document.receipt_key_file),
        release_lifetime_max,
        threshold,
        operators,
        wallets: wallets(&document.wallets)?,
    })
}

fn release_keys(texts: &[String], least: usize) -> Result<Vec<[u8; 32]>, PinsError> {
    if !(least..=RELEASE_KEYS_MAX).contains(&texts.len()) {
        return Err(value("release_keys", format!("pin {least} to {RELEASE_KEYS_MAX} keys")));
    }
    let mut keys = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let place = format!("release_keys[{index}]");
        let key = parse_operator_key(text).map_err(|error| value(&place, error))?;
        if keys.contains(&key) {
            return Err(value(place, "this key is listed twice"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn operators(
    document: &document::Operators,
    release_keys: &[[u8; 32]],
) -> Result<(usize, Operators), PinsError> {
    let mut operators: BTreeMap<Name, OperatorPublicKey> = BTreeMap::new();
    if document.keys.len() > OPERATORS_MAX {
        return Err(value("operators.keys", format!("pin at most {OPERATORS_MAX} operators")));
    }
    for (name, text) in &document.keys {
        let place = format!("operators.keys.{name}");
        let name: Name = name.parse().map_err(|error| value(&place, error))?;
        let key = parse_operator_public_key(text).map_err(|error| value(&place, error))?;
        if release_keys.iter().any(|release_key| key == OperatorPublicKey::Ed25519(*release_key)) {
            return Err(value(place, "this is a release key: Holdfast would sign as this operator"));
        }
        // One key under two names would count as two operators.
        if operators.values().any(|other| *other == key) {
            return Err(value(place, "another operator has this key"));
        }
        operators.insert(name, key);
    }
    if document.threshold < THRESHOLD_MIN || document.threshold > operators.len() {
        let message =
            format!("at least {THRESHOLD_MIN}, and no more than there are keys ({})", operators.len());
        return Err(value("operators.threshold", message));
    }
    let passkey = operators.iter().find(|(_, key)| key.is_passkey());
    let party = match (&document.passkeys, passkey) {
        (None, Some((name, _))) => {
            let message =
                format!("{name} has a passkey: write for which rp_id and on which origins it signs");
            return Err(value("operators.passkeys", message));
        }
        (document, _) => document
            .as_ref()
            .map(|passkeys| approval::party("operators.passkeys", &passkeys.rp_id, &passkeys.origins))
            .transpose()?,
    };
    Ok((document.threshold, Operators { keys: operators, party }))
}

fn network(place: &str, text: &str) -> Result<(Network, u8), PinsError> {
    let network: Network = text.parse().map_err(|error| value(format!("{place}.network"), error))?;
    match network.native_decimals() {
        Some(decimals) if network.is_releasable() => Ok((network, decimals)),
        _ => Err(value(
            format!("{place}.network"),
            format!("transactions on {network} cannot be decoded here"),
        )),
    }
}

fn bucket(place: &str, document: &document::Bucket, decimals: u8) -> Result<BucketSpec, PinsError> {
    let size = parse_amount(&format!("{place}.size"), &document.size, decimals)?;
    let refill = parse_amount(&format!("{place}.refill_per_hour"), &document.refill_per_hour, decimals)?;
    BucketSpec::new(size, refill).ok_or_else(|| value(place, "too large to be counted exactly"))
}

fn parse_amount(place: &str, text: &str, decimals: u8) -> Result<Amount, PinsError> {
    Amount::parse(text, decimals).map_err(|error| value(place, error))
}

fn wallets(documents: &[document::Wallet]) -> Result<BTreeMap<Network, WalletsOnNetwork>, PinsError> {
    if !(1..=WALLETS_MAX).contains(&documents.len()) {
        return Err(value("wallets", format!("pin 1 to {WALLETS_MAX} wallets")));
    }
    let mut wallets: BTreeMap<Network, WalletsOnNetwork> = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        let place = format!("wallets[{index}]");
        let name: Name = document.name.parse().map_err(|error| value(format!("{place}.name"), error))?;
        let (network, decimals) = network(&place, &document.network)?;
        let wallet = match (&document.descriptors, &document.address, network.family()) {
            (Some(descriptors), None, Family::Bitcoin) => Wallet::bitcoin(network, descriptors)
                .map_err(|error| value(format!("{place}.descriptors"), error))?,
            (None, Some(address), Family::Evm) => {
                Wallet::evm(network, address).map_err(|error| value(format!("{place}.address"), error))?
            }
            _ => {
                let message = "give descriptors on Bitcoin networks and one address on EVM networks";
                return Err(value(place, message));
            }
        };
        let fees = fees(&place, document, network, decimals)?;
        let on = wallets.entry(network).or_default();
        if on.pins.iter().any(|pin| pin.name == name) {
            return Err(value(format!("{place}.name"), format!("{name} on {network} is pinned twice")));
        }
        // The same keys under two names would have two fee buckets.
        if on.wallets.iter().any(|other| overlap(other, &wallet)) {
            return Err(value(place, "another wallet on this network has these keys"));
        }
        on.pins.push(PinnedWallet { name, fees });
        on.wallets.push(wallet);
    }
    Ok(wallets)
}

/// Whether two wallets of a network share an address at their beginning, as the same descriptors do.
fn overlap(one: &Wallet, other: &Wallet) -> bool {
    let firsts = |wallet: &Wallet| -> Vec<Destination> {
        (0..=u8::MAX).map_while(|descriptor| wallet.address_at(descriptor, 0)).collect()
    };
    match (one.evm_address(), other.evm_address()) {
        (Some(a), Some(b)) => a == b,
        _ => {
            let seen = firsts(one);
            firsts(other).iter().any(|address| seen.contains(address))
        }
    }
}

fn fees(
    place: &str,
    document: &document::Wallet,
    network: Network,
    decimals: u8,
) -> Result<Option<FeeBounds>, PinsError> {
    let (max, rate, spec) = match (&document.fee_max, &document.fee_rate_max, &document.fee_bucket) {
        (Some(max), Some(rate), Some(spec)) => (max, rate, spec),
        (None, None, None) => return Ok(None),
        _ => {
            let message =
                "give fee_max, fee_rate_max and fee_bucket, or none of them for a wallet that only receives";
            return Err(value(place, message));
        }
    };
    let max = parse_amount(&format!("{place}.fee_max"), max, decimals)?;
    // Satoshi per virtual byte with three decimals; gwei per gas with nine.
    let rate_decimals = if network.family() == Family::Bitcoin { 3 } else { 9 };
    let rate_place = format!("{place}.fee_rate_max");
    let rate = parse_amount(&rate_place, rate, rate_decimals)?;
    let rate_max = u64::try_from(rate.base_units()).map_err(|_| value(rate_place, "too large"))?;
    let bucket = bucket(&format!("{place}.fee_bucket"), spec, decimals)?;
    Ok(Some(FeeBounds { max, rate_max, bucket }))
}

fn assets(
    documents: &[document::Asset],
    approvals: bool,
) -> Result<BTreeMap<(AssetSymbol, Network), PinnedAsset>, PinsError> {
    if documents.len() > ASSETS_MAX {
        return Err(value("assets", format!("pin at most {ASSETS_MAX} assets")));
    }
    let mut assets: BTreeMap<(AssetSymbol, Network), PinnedAsset> = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        let place = format!("assets[{index}]");
        let symbol: AssetSymbol =
            document.symbol.parse().map_err(|error| value(format!("{place}.symbol"), error))?;
        let (network, native) = network(&place, &document.network)?;
        let paid = match &document.contract {
            None if document.decimals != native => {
                let message =
                    format!("the coin of {network} has {native} decimals; a token needs its contract");
                return Err(value(format!("{place}.decimals"), message));
            }
            None => PaidAsset::Native,
            Some(text) if network.family() == Family::Evm => {
                let contract = Destination::parse(network, text, None)
                    .map_err(|error| value(format!("{place}.contract"), error))?;
                PaidAsset::Contract(contract.address().into())
            }
            Some(_) => {
                return Err(value(format!("{place}.contract"), format!("{network} has no contracts")));
            }
        };
        if document.decimals > amount::DECIMALS_MAX {
            return Err(value(format!("{place}.decimals"), format!("at most {}", amount::DECIMALS_MAX)));
        }
        // Two symbols for one coin would give it two buckets.
        let twice = |(other, asset): (&(AssetSymbol, Network), &PinnedAsset)| {
            other.1 == network && (other.0 == symbol || asset.paid == paid)
        };
        if assets.iter().any(twice) {
            return Err(value(
                place,
                format!("{symbol}, or what it stands for, is pinned twice on {network}"),
            ));
        }
        let buckets = format!("{place}.buckets");
        let vouched = bucket(&format!("{buckets}.vouched"), &document.buckets.vouched, document.decimals)?;
        let unvouched =
            bucket(&format!("{buckets}.unvouched"), &document.buckets.unvouched, document.decimals)?;
        let place = format!("{place}.credential_cap");
        let credential_cap = match &document.credential_cap {
            Some(text) if approvals => parse_amount(&place, text, document.decimals)?,
            None if !approvals => Amount::ZERO,
            Some(_) => return Err(value(place, "means something only beside a section [approval]")),
            None => {
                return Err(value(place, "write the most that one customer's key vouches for in 30 days"));
            }
        };
        let decimals = document.decimals;
        assets.insert((symbol, network), PinnedAsset { decimals, paid, vouched, unvouched, credential_cap });
    }
    Ok(assets)
}

/// `60s`, `10m`, `72h`, `7d`: one number without leading zeros and one unit.
fn span(text: &str) -> Option<Micros> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => time::SECOND,
        "m" => time::MINUTE,
        "h" => time::HOUR,
        "d" => time::DAY,
        _ => return None,
    };
    let plain = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = if plain { digits.parse().ok()? } else { return None };
    count.checked_mul(unit)
}
