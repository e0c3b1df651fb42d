//! What the exchange has and how much may leave: assets, wallets, tiers, buckets, parameters.
//!
//! A configuration enters in the first record and is replaced as a whole by an operator's act (`configure`).

use holdfast_values::{Amount, AssetSpec, Family, Micros, Name, Network, UsdCents, time};
use minicbor::{Decode, Encode};

mod direction;

pub use direction::Direction;
pub(crate) use direction::only_tightens;

/// The three classes of outflow, by how well somebody vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Class {
    /// An intent-bound approval, or two operators' signatures on this very withdrawal.
    #[n(0)]
    Bound,
    /// A destination past its ageing whose notice was delivered a veto window ago.
    #[n(1)]
    Aged,
    /// The rest.
    #[n(2)]
    Unvouched,
}

impl Class {
    /// All of them, by trust.
    pub const ALL: [Self; 3] = [Self::Bound, Self::Aged, Self::Unvouched];

    /// As policies and people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Aged => "aged",
            Self::Unvouched => "unvouched",
        }
    }
}

/// A token bucket's size and refill; asset buckets in base units, wallet and overall buckets in US dollar cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BucketSpec {
    /// The most that it holds, and what it starts with.
    #[n(0)]
    pub size: Amount,
    /// What flows back in an hour.
    #[n(1)]
    pub refill_per_hour: Amount,
}

/// One bucket a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BucketSpecs {
    /// For [`Class::Bound`].
    #[n(0)]
    pub bound: BucketSpec,
    /// For [`Class::Aged`].
    #[n(1)]
    pub aged: BucketSpec,
    /// For [`Class::Unvouched`].
    #[n(2)]
    pub unvouched: BucketSpec,
}

impl BucketSpecs {
    /// The bucket of `class`.
    pub const fn of(&self, class: Class) -> BucketSpec {
        match class {
            Class::Bound => self.bound,
            Class::Aged => self.aged,
            Class::Unvouched => self.unvouched,
        }
    }
}

/// An asset, what pays it on each network, and its buckets.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AssetConfiguration {
    /// Symbol, decimals, networks.
    #[n(0)]
    pub spec: AssetSpec,
    /// Which wallet pays on which network.
    #[n(1)]
    pub wallets: Vec<(Network, Name)>,
    /// In base units.
    #[n(2)]
    pub buckets: BucketSpecs,
}

/// A hot wallet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WalletConfiguration {
    /// Unique name.
    #[n(0)]
    pub name: Name,
    /// In US dollar cents.
    #[n(1)]
    pub buckets: BucketSpecs,
    /// What it is on each network that it pays on; without an entry nothing can be released there.
    #[n(2)]
    pub chains: Option<Vec<WalletChain>>,
}

impl WalletConfiguration {
    /// What it is on a network.
    pub fn on(&self, network: Network) -> Option<&WalletChain> {
        self.chains.iter().flatten().find(|chain| chain.network == network)
    }
}

/// A wallet on one network: whose coins it spends, and what its transactions may cost.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WalletChain {
    /// Which network.
    #[n(0)]
    pub network: Network,
    /// Whose coins.
    #[n(1)]
    pub source: WalletSource,
    /// The most that one transaction may cost, in the network's own units (satoshi, wei).
    #[n(2)]
    pub fee_max: Amount,
    /// What all transactions together may cost, in the same units.
    #[n(3)]
    pub fee_bucket: BucketSpec,
    /// From so many confirmations on a transaction is final.
    #[n(4)]
    pub confirmations_final: u32,
}

/// What a wallet's coins lie under. Checked where transactions are read; here it is text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum WalletSource {
    /// Output descriptors with public keys (BIP-380).
    #[n(0)]
    Descriptors(#[n(0)] Vec<String>),
    /// One account's address.
    #[n(1)]
    Address(#[n(0)] String),
}

/// A signer that Holdfast addresses releases to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignerConfiguration {
    /// Its name: the release's audience.
    #[n(0)]
    pub name: Name,
    /// The Ed25519 public key of its receipts.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub receipt_key: [u8; 32],
}

/// What accounts of a tier may withdraw.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TierConfiguration {
    /// Unique name.
    #[n(0)]
    pub name: Name,
    /// In any 24 hours.
    #[n(1)]
    pub usd_cents_24h: UsdCents,
    /// In any 30 days.
    #[n(2)]
    pub usd_cents_30d: UsdCents,
}

/// Times, shares and thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Parameters {
    /// How old a destination must be to be aged.
    #[n(0)]
    pub address_ageing: Micros,
    /// How long its owner had to object, counted from the delivery of the notice.
    #[n(1)]
    pub veto_window: Micros,
    /// How long a security change counts as recent.
    #[n(2)]
    pub cooling_off: Micros,
    /// How long after enrolment an operator's signature begins to count.
    #[n(3)]
    pub operator_ageing: Micros,
    /// A withdrawal that waits for its bucket longer than this becomes a case.
    #[n(4)]
    pub queue_hold_after: Micros,
    /// How long a withdrawal may stay open without being released.
    #[n(5)]
    pub withdrawal_lifetime: Micros,
    /// A price older than this is stale.
    #[n(6)]
    pub price_stale_after: Micros,
    /// A price that moved more than this within an hour or two is a reason to hold, in 1/1000.
    #[n(7)]
    pub price_move_permille: u32,
    /// The most of a bucket that one account may take, in 1/1000.
    #[n(8)]
    pub account_share_permille: u32,
    /// What of a bucket is kept for small withdrawals of old accounts, in 1/1000.
    #[n(9)]
    pub small_reserve_permille: u32,
    /// Below this a withdrawal is small.
    #[n(10)]
    pub small_usd_cents: UsdCents,
    /// From this age on an account may use what is kept for small withdrawals.
    #[n(11)]
    pub small_account_age: Micros,
    /// How many operators must sign what loosens; never fewer than two.
    #[n(12)]
    pub loosening_signatures: u32,
    /// For how long a release is good; absent: [`RELEASE_LIFETIME`].
    #[n(13)]
    pub release_lifetime: Option<Micros>,
    /// How old a customer's credential must be to count; absent: [`CREDENTIAL_AGEING`].
    #[n(14)]
    pub credential_ageing: Option<Micros>,
    /// How long a recovery waits for a veto before operators may end it; absent: [`RECOVERY_WAIT`].
    #[n(15)]
    pub recovery_wait: Option<Micros>,
    /// How long what loosens waits between its signatures and its effect; absent: [`LOOSENING_DELAY`].
    #[n(16)]
    pub loosening_delay: Option<Micros>,
    /// How long the end of a halt waits; absent: [`RESUME_DELAY`].
    #[n(17)]
    pub resume_delay: Option<Micros>,
    /// For how long after the first record nothing waits; absent: [`SETUP_WINDOW`].
    #[n(18)]
    pub setup_window: Option<Micros>,
}

impl Parameters {
    /// How long what loosens waits.
    pub fn loosening_delay(&self) -> Micros {
        self.loosening_delay.unwrap_or(LOOSENING_DELAY)
    }

    /// How long the end of a halt waits.
    pub fn resume_delay(&self) -> Micros {
        self.resume_delay.unwrap_or(RESUME_DELAY)
    }

    /// For how long after the first record nothing waits.
    pub fn setup_window(&self) -> Micros {
        self.setup_window.unwrap_or(SETUP_WINDOW)
    }
}

/// How long what loosens waits, unless the configuration says otherwise.
pub const LOOSENING_DELAY: Micros = time::DAY;
/// The longest that it may wait.
pub const LOOSENING_DELAY_MAX: Micros = 30 * time::DAY;
/// How long the end of a halt waits, unless the configuration says otherwise.
pub const RESUME_DELAY: Micros = 10 * time::MINUTE;
/// The longest that it may wait.
pub const RESUME_DELAY_MAX: Micros = time::DAY;
/// For how long after the first record nothing waits, unless the configuration says otherwise.
pub const SETUP_WINDOW: Micros = time::HOUR;
/// The longest that this may last.
pub const SETUP_WINDOW_MAX: Micros = 7 * time::DAY;

/// How old a credential must be to count, unless the configuration says otherwise.
pub const CREDENTIAL_AGEING: Micros = 72 * time::HOUR;
/// How long a recovery waits for a veto, unless the configuration says otherwise.
pub const RECOVERY_WAIT: Micros = 72 * time::HOUR;

/// For how long a release is good unless the configuration says otherwise.
pub const RELEASE_LIFETIME: Micros = time::MINUTE;
/// The longest that a release may be good.
pub const RELEASE_LIFETIME_MAX: Micros = 10 * time::MINUTE;

impl Default for Parameters {
    fn default() -> Self {
        Self {
            address_ageing: time::DAY,
            veto_window: time::DAY,
            cooling_off: time::DAY,
            operator_ageing: time::DAY,
            queue_hold_after: time::DAY,
            withdrawal_lifetime: 7 * time::DAY,
            price_stale_after: 10 * time::MINUTE,
            price_move_permille: 200,
            account_share_permille: 50,
            small_reserve_permille: 300,
            small_usd_cents: UsdCents(100_000),
            small_account_age: 30 * time::DAY,
            loosening_signatures: 2,
            release_lifetime: None,
            credential_ageing: None,
            recovery_wait: None,
            loosening_delay: None,
            resume_delay: None,
            setup_window: None,
        }
    }
}

/// Everything that an exchange configures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Configuration {
    /// At most [`ASSETS_MAX`]; an asset is never removed, only halted, since the journal speaks of it.
    #[n(0)]
    pub assets: Vec<AssetConfiguration>,
    /// At most [`WALLETS_MAX`].
    #[n(1)]
    pub wallets: Vec<WalletConfiguration>,
    /// At most [`TIERS_MAX`].
    #[n(2)]
    pub tiers: Vec<TierConfiguration>,
    /// Over all assets and wallets, in US dollar cents.
    #[n(3)]
    pub overall: BucketSpecs,
    /// Times, shares and thresholds.
    #[n(4)]
    pub parameters: Parameters,
    /// At most [`SIGNERS_MAX`].
    #[n(5)]
    pub signers: Option<Vec<SignerConfiguration>>,
    /// Where customers' credentials are registered and used; without it none can be.
    #[n(6)]
    pub parties: Option<Box<Parties>>,
    /// Where operators' passkeys are registered and used; without it there are none.
    #[n(7)]
    pub operate: Option<Box<Party>>,
}

/// The WebAuthn relying parties of the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Parties {
    /// For approvals: an rpId and an origin of their own, where nothing else is served.
    #[n(0)]
    pub approve: Party,
    /// For signing in.
    #[n(1)]
    pub login: Option<Party>,
}

/// One relying party.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Party {
    /// Its id: a DNS name.
    #[n(0)]
    pub rp_id: String,
    /// The origins of its pages, as `https://host[:port]`; 1 to 8.
    #[n(1)]
    pub origins: Vec<String>,
    /// The AppID of keys that were registered under legacy U2F.
    #[n(2)]
    pub app_id: Option<String>,
}

/// The most origins of one relying party.
pub const ORIGINS_MAX: usize = 8;
/// The longest AppID.
pub const APP_ID_MAX: usize = 255;
/// The most assets.
pub const ASSETS_MAX: usize = 1_000;
/// The most wallets.
pub const WALLETS_MAX: usize = 1_000;
/// The most tiers.
pub const TIERS_MAX: usize = 100;
/// The most signers.
pub const SIGNERS_MAX: usize = 16;
/// The most networks of one wallet.
pub const CHAINS_MAX: usize = 16;
/// The most descriptors of one wallet on one network.
pub const DESCRIPTORS_MAX: usize = 8;
/// The largest bucket: levels are kept in 1/3600 of a unit, and the product must fit 128 bits.
pub const BUCKET_SIZE_MAX: u128 = u128::MAX / 3_600_000;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Too many of something.
    #[error("at most {max} {what} can be configured")]
    TooMany {
        /// Assets, wallets, tiers.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Two things of one name.
    #[error("{what} {name} is configured twice")]
    Duplicate {
        /// Asset, wallet, tier.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// An asset says something impossible.
    #[error("asset {asset}: {problem}")]
    Asset {
        /// Which.
        asset: String,
        /// What is wrong.
        problem: String,
    },
    /// A wallet cannot be on a network as it says.
    #[error("wallet {wallet} on {network}: {problem}")]
    Chain {
        /// Which wallet.
        wallet: String,
        /// On which network.
        network: Network,
        /// What is wrong.
        problem: String,
    },
    /// A relying party that credentials could not be used at, or not safely.
    #[error("the party for {party}: {problem}")]
    Party {
        /// What it is for.
        party: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A bucket above [`BUCKET_SIZE_MAX`].
    #[error("a bucket of {what} is too large: at most {BUCKET_SIZE_MAX} units")]
    Bucket {
        /// Whose bucket.
        what: String,
    },
    /// A parameter out of its range.
    #[error("parameter {name} is out of range: {expected}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// Something that the journal speaks of is missing from the new configuration.
    #[error("{what} {name} cannot be removed or reordered, nor may an asset change its decimals")]
    Removed {
        /// Asset, wallet, tier.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

const SPAN_MAX: Micros = 366 * time::DAY;

impl Configuration {
    /// Checks everything that does not depend on what was configured before.
    pub fn validate(&self) -> Result<(), ConfigurationError> {
        for (what, count, max) in [
            ("assets", self.assets.len(), ASSETS_MAX),
            ("wallets", self.wallets.len(), WALLETS_MAX),
            ("tiers", self.tiers.len(), TIERS_MAX),
            ("signers", self.signers.as_ref().map_or(0, Vec::len), SIGNERS_MAX),
        ] {
            if count > max {
                return Err(ConfigurationError::TooMany { what, max });
            }
        }
        unique("wallet", self.wallets.iter().map(|wallet| wallet.name.as_str()))?;
        unique("tier", self.tiers.iter().map(|tier| tier.name.as_str()))?;
        unique("signer", self.signers.iter().flatten().map(|signer| signer.name.as_str()))?;
        for wallet in &self.wallets {
            validate_chains(wallet)?;
        }
        unique("asset", self.assets.iter().map(|asset| asset.spec.symbol.as_str()))?;
        for asset in &self.assets {
            self.validate_asset(asset)?;
        }
        let buckets = self
            .assets
            .iter()
            .map(|asset| (asset.spec.symbol.as_str(), &asset.buckets))
            .chain(self.wallets.iter().map(|wallet| (wallet.name.as_str(), &wallet.buckets)))
            .chain([("overall", &self.overall)]);
        for (what, specs) in buckets {
            for class in Class::ALL {
                let spec = specs.of(class);
                if spec.size.base_units().max(spec.refill_per_hour.base_units()) > BUCKET_SIZE_MAX {
                    return Err(ConfigurationError::Bucket { what: what.to_owned() });
                }
            }
        }
        if let Some(operate) = &self.operate {
            operate.validate_operators(self.parties.as_deref())?;
        }
        if let Some(parties) = &self.parties {
            parties.validate()?;
        }
        self.parameters.validate()
    }

    fn validate_asset(&self, asset: &AssetConfiguration) -> Result<(), ConfigurationError> {
        let problem =
            |problem: String| ConfigurationError::Asset { asset: asset.spec.symbol.to_string(), problem };
        let spec = asset.spec.clone();
        let checked = AssetSpec::new(spec.symbol, spec.decimals, spec.networks);
        match checked {
            Ok(checked) if checked == asset.spec => {}
            Ok(_) => {
                return Err(problem("its networks are not in their canonical order or spelling".to_owned()));
            }
            Err(error) => return Err(problem(error.to_string())),
        }
        for network in &asset.spec.networks {
            let count = asset.wallets.iter().filter(|(paid, _)| *paid == network.network).count();
            if count != 1 {
                return Err(problem(format!("exactly one wallet must pay on {}", network.network)));
            }
        }
        for (network, wallet) in &asset.wallets {
            if !asset.spec.networks.iter().any(|known| known.network == *network) {
                return Err(problem(format!("wallet {wallet} pays on {network}, where the asset is not")));
            }
            if !self.wallets.iter().any(|known| known.name == *wallet) {
                return Err(problem(format!("wallet {wallet} is not configured")));
            }
        }
        Ok(())
    }

    /// Checks that this may follow `old`: what the journal speaks of keeps its place and its meaning.
    pub fn validate_after(&self, old: &Self) -> Result<(), ConfigurationError> {
        let removed = |what: &'static str, name: String| Err(ConfigurationError::Removed { what, name });
        for (place, asset) in old.assets.iter().enumerate() {
            let same = self.assets.get(place).is_some_and(|new| {
                new.spec.symbol == asset.spec.symbol && new.spec.decimals == asset.spec.decimals
            });
            if !same {
                return removed("asset", asset.spec.symbol.to_string());
            }
        }
        for (place, wallet) in old.wallets.iter().enumerate() {
            if self.wallets.get(place).is_none_or(|new| new.name != wallet.name) {
                return removed("wallet", wallet.name.to_string());
            }
        }
        for (place, tier) in old.tiers.iter().enumerate() {
            if self.tiers.get(place).is_none_or(|new| new.name != tier.name) {
                return removed("tier", tier.name.to_string());
            }
        }
        Ok(())
    }
}

impl Parties {
    /// What is approved must not be within reach of anything else that the exchange serves: the party for approvals has a
    /// name of its own, and its pages are at that very name.
    fn validate(&self) -> Result<(), ConfigurationError> {
        self.approve.validate("approvals")?;
        let problem = |party, problem| Err(ConfigurationError::Party { party, problem });
        if self.approve.hosts().any(|host| host != self.approve.rp_id) {
            return problem("approvals", "its origins are those of rp_id itself, not of names under it");
        }
        let Some(login) = &self.login else { return Ok(()) };
        login.validate("signing in")?;
        if login.rp_id == self.approve.rp_id || login.hosts().any(|host| host == self.approve.rp_id) {
            return problem("signing in", "the name for approvals serves nothing else");
        }
        Ok(())
    }
}

impl Party {
    fn validate(&self, party: &'static str) -> Result<(), ConfigurationError> {
        let problem = |problem| Err(ConfigurationError::Party { party, problem });
        if !is_dns_name(&self.rp_id) {
            return problem("rp_id is a DNS name in lower case, such as approve.harbor.example");
        }
        if !(1..=ORIGINS_MAX).contains(&self.origins.len()) {
            return problem("a party has 1 to 8 origins");
        }
        let is_under = |host: &str| {
            let label = host.strip_suffix(self.rp_id.as_str());
            label.is_some_and(|label| label.is_empty() || label.ends_with('.'))
        };
        for origin in &self.origins {
            if !host_of(origin).is_some_and(|host| is_dns_name(host) && is_under(host)) {
                return problem(
                    "an origin is https://HOST or https://HOST:PORT, where HOST is rp_id or a name under it",
                );
            }
        }
        if let Some(app_id) = &self.app_id {
            let is_url = app_id.starts_with("https://") && app_id.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_url || app_id.len() > APP_ID_MAX {
                return problem("app_id is a URL of https, of at most 255 characters");
            }
        }
        Ok(())
    }

    /// Operators' passkeys have a name of their own too: no page that customers use can ask for them.
    fn validate_operators(&self, parties: Option<&Parties>) -> Result<(), ConfigurationError> {
        const PARTY: &str = "operators";
        self.validate(PARTY)?;
        let problem = |problem| Err(ConfigurationError::Party { party: PARTY, problem });
        if self.hosts().any(|host| host != self.rp_id) {
            return problem("its origins are those of rp_id itself, not of names under it");
        }
        if self.app_id.is_some() {
            return problem("operators have no keys of legacy U2F: leave app_id out");
        }
        let customers = parties.into_iter().flat_map(|all| core::iter::once(&all.approve).chain(&all.login));
        for party in customers {
            if party.rp_id == self.rp_id || party.hosts().any(|host| host == self.rp_id) {
                return problem("the name for operators serves nothing else");
            }
        }
        Ok(())
    }

    fn hosts(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().filter_map(|origin| host_of(origin))
    }
}

/// The host of an origin in the one spelling that browsers send; `None` if it is in none.
fn host_of(origin: &str) -> Option<&str> {
    let rest = origin.strip_prefix("https://")?;
    let Some((host, port)) = rest.split_once(':') else { return Some(rest) };
    let number: u16 = port.parse().ok()?;
    // The usual port is left out, and none begins with a zero.
    (number != 0 && number != 443 && number.to_string() == port).then_some(host)
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}

impl Parameters {
    fn validate(&self) -> Result<(), ConfigurationError> {
        let spans = [
            ("address_ageing", self.address_ageing),
            ("veto_window", self.veto_window),
            ("cooling_off", self.cooling_off),
            ("operator_ageing", self.operator_ageing),
            ("queue_hold_after", self.queue_hold_after),
            ("withdrawal_lifetime", self.withdrawal_lifetime),
            ("price_stale_after", self.price_stale_after),
            ("small_account_age", self.small_account_age),
        ];
        let optional = [("credential_ageing", self.credential_ageing), ("recovery_wait", self.recovery_wait)];
        let optional = optional.into_iter().filter_map(|(name, span)| Some((name, span?)));
        for (name, span) in spans.into_iter().chain(optional) {
            if span == 0 || span > SPAN_MAX {
                return Err(ConfigurationError::Parameter {
                    name,
                    expected: "more than nothing, at most 366 days",
                });
            }
        }
        if self.release_lifetime.is_some_and(|span| !(time::SECOND..=RELEASE_LIFETIME_MAX).contains(&span)) {
            return Err(ConfigurationError::Parameter {
                name: "release_lifetime",
                expected: "1 second to 10 minutes",
            });
        }
        let delays = [
            ("loosening_delay", self.loosening_delay(), LOOSENING_DELAY_MAX, "at most 30 days"),
            ("resume_delay", self.resume_delay(), RESUME_DELAY_MAX, "at most 1 day"),
            ("setup_window", self.setup_window(), SETUP_WINDOW_MAX, "at most 7 days"),
        ];
        for (name, delay, most, expected) in delays {
            if delay > most {
                return Err(ConfigurationError::Parameter { name, expected });
            }
        }
        let shares = [
            ("price_move_permille", self.price_move_permille),
            ("account_share_permille", self.account_share_permille),
            ("small_reserve_permille", self.small_reserve_permille),
        ];
        for (name, permille) in shares {
            if permille == 0 || permille > 1_000 {
                return Err(ConfigurationError::Parameter { name, expected: "1 to 1000 thousandths" });
            }
        }
        if !(2..=16).contains(&self.loosening_signatures) {
            return Err(ConfigurationError::Parameter { name: "loosening_signatures", expected: "2 to 16" });
        }
        Ok(())
    }
}

fn validate_chains(wallet: &WalletConfiguration) -> Result<(), ConfigurationError> {
    let chains = wallet.chains.as_deref().unwrap_or_default();
    if chains.len() > CHAINS_MAX {
        return Err(ConfigurationError::TooMany { what: "networks of a wallet", max: CHAINS_MAX });
    }
    unique("network of a wallet", chains.iter().map(|chain| chain.network.name()))?;
    for chain in chains {
        let problem = |problem: &str| ConfigurationError::Chain {
            wallet: wallet.name.to_string(),
            network: chain.network,
            problem: problem.to_owned(),
        };
        let fits = match (&chain.source, chain.network.family()) {
            (WalletSource::Descriptors(list), Family::Bitcoin) => {
                (1..=DESCRIPTORS_MAX).contains(&list.len()) && list.iter().all(|text| text.len() <= 512)
            }
            (WalletSource::Address(text), Family::Evm) => text.len() <= 64,
            _ => false,
        };
        if !fits {
            return Err(problem("a Bitcoin wallet has 1 to 8 descriptors, an EVM wallet one address"));
        }
        let spec = chain.fee_bucket;
        let largest = spec.size.base_units().max(spec.refill_per_hour.base_units());
        if largest.max(chain.fee_max.base_units()) > BUCKET_SIZE_MAX || chain.fee_max.is_zero() {
            return Err(problem("fee_max and its bucket must be more than nothing and within limits"));
        }
        if !(1..=10_000).contains(&chain.confirmations_final) {
            return Err(problem("confirmations_final must be 1 to 10000"));
        }
    }
    Ok(())
}

fn unique<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), ConfigurationError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ConfigurationError::Duplicate { what, name: name.to_owned() });
        }
    }
    Ok(())
}
