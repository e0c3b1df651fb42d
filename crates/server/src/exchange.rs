//! The exchange's configuration as a document: TOML in, the core's `Configuration` out, with errors that name the place.
//!
//! It is given to `holdfast init` and, signed by operators, as the payload of a `configure` act. `examples/harbor.toml` is
//! a documented sample. Amounts of assets are in whole units, everything else in US dollars, all of it as texts.

use holdfast_authn::webauthn::RelyingParty;
use holdfast_decision::configuration::{
    AssetConfiguration, BucketSpec, BucketSpecs, Configuration, Parameters, Parties, Party,
    SignerConfiguration, TierConfiguration, WalletChain, WalletConfiguration, WalletSource,
};
use holdfast_values::{Amount, AssetNetwork, AssetSpec, Micros, Name, Network, UsdCents, time};
use serde::Deserialize;

/// Why a document is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Not such a document.
    #[error("{0}")]
    Document(String),
    /// A value that cannot be.
    #[error("{place}: {problem}")]
    Value {
        /// Where.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The parts do not fit together.
    #[error(transparent)]
    Configuration(#[from] holdfast_decision::configuration::ConfigurationError),
}

fn wrong(place: impl Into<String>, problem: impl ToString) -> ExchangeError {
    ExchangeError::Value { place: place.into(), problem: problem.to_string() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    parameters: ParametersDocument,
    tiers: Vec<Tier>,
    wallets: Vec<Wallet>,
    assets: Vec<Asset>,
    overall: Buckets,
    #[serde(default)]
    signers: Vec<Signer>,
    approve: Option<PartyDocument>,
    login: Option<PartyDocument>,
    operate: Option<PartyDocument>,
}

/// A WebAuthn relying party.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyDocument {
    rp_id: String,
    origins: Vec<String>,
    app_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signer {
    name: String,
    receipt_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    network: String,
    #[serde(default)]
    descriptors: Vec<String>,
    address: Option<String>,
    fee_max: String,
    fee_bucket: Bucket,
    confirmations_final: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    name: String,
    usd_24h: String,
    usd_30d: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wallet {
    name: String,
    buckets: Buckets,
    #[serde(default)]
    chains: Vec<Chain>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asset {
    symbol: String,
    decimals: u8,
    networks: Vec<AssetOn>,
    buckets: Buckets,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetOn {
    network: String,
    wallet: String,
    decimals: Option<u8>,
    contract: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Buckets {
    bound: Bucket,
    aged: Bucket,
    unvouched: Bucket,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    size: String,
    refill_per_hour: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParametersDocument {
    address_ageing: Option<String>,
    veto_window: Option<String>,
    cooling_off: Option<String>,
    operator_ageing: Option<String>,
    queue_hold_after: Option<String>,
    withdrawal_lifetime: Option<String>,
    price_stale_after: Option<String>,
    price_move_permille: Option<u32>,
    account_share_permille: Option<u32>,
    small_reserve_permille: Option<u32>,
    small_usd: Option<String>,
    small_account_age: Option<String>,
    loosening_signatures: Option<u32>,
    release_lifetime: Option<String>,
    credential_ageing: Option<String>,
    recovery_wait: Option<String>,
    loosening_delay: Option<String>,
    resume_delay: Option<String>,
    setup_window: Option<String>,
}

/// A configured party as the verifier of WebAuthn goes by it.
pub fn relying_party(party: &Party) -> RelyingParty {
    RelyingParty {
        rp_id: party.rp_id.as_str().into(),
        origins: party.origins.iter().map(|origin| origin.as_str().into()).collect(),
        app_id: party.app_id.as_deref().map(Into::into),
    }
}

/// Reads a document and checks it, all but what depends on the configuration before it.
///
/// # Errors
/// [`ExchangeError`], naming the place.
pub fn parse(text: &str) -> Result<Configuration, ExchangeError> {
    let document: Document =
        toml::from_str(text).map_err(|error| ExchangeError::Document(error.to_string()))?;
    let configuration = Configuration {
        assets: document.assets.iter().map(asset).collect::<Result<_, _>>()?,
        wallets: document.wallets.iter().map(wallet).collect::<Result<_, _>>()?,
        tiers: document.tiers.iter().map(tier).collect::<Result<_, _>>()?,
        overall: buckets("overall", &document.overall, 2)?,
        parameters: parameters(&document.parameters)?,
        signers: optional(document.signers.iter().map(signer).collect::<Result<_, _>>()?),
        parties: parties(document.approve, document.login)?,
        operate: document.operate.map(|operate| Box::new(party(operate))),
    };
    configuration.validate()?;
    Ok(configuration)
}

fn party(document: PartyDocument) -> Party {
    let PartyDocument { rp_id, origins, app_id } = document;
    Party { rp_id, origins, app_id }
}

fn parties(
    approve: Option<PartyDocument>,
    login: Option<PartyDocument>,
) -> Result<Option<Box<Parties>>, ExchangeError> {
    match (approve, login) {
        (Some(approve), login) => {
            Ok(Some(Box::new(Parties { approve: party(approve), login: login.map(party) })))
        }
        (None, None) => Ok(None),
        (None, Some(_)) => Err(wrong("login", "keys that sign in need `[approve]` too")),
    }
}

fn name(place: &str, text: &str) -> Result<Name, ExchangeError> {
    text.parse().map_err(|error| wrong(place, error))
}

fn usd(place: String, text: &str) -> Result<UsdCents, ExchangeError> {
    let cents = Amount::parse(text, 2).map_err(|error| wrong(place.clone(), error))?;
    u64::try_from(cents.base_units()).map(UsdCents).map_err(|_| wrong(place, "too large"))
}

fn tier(tier: &Tier) -> Result<TierConfiguration, ExchangeError> {
    let place = |field: &str| format!("tier {}: {field}", tier.name);
    Ok(TierConfiguration {
        name: name("tiers.name", &tier.name)?,
        usd_cents_24h: usd(place("usd_24h"), &tier.usd_24h)?,
        usd_cents_30d: usd(place("usd_30d"), &tier.usd_30d)?,
    })
}

fn wallet(wallet: &Wallet) -> Result<WalletConfiguration, ExchangeError> {
    let buckets = buckets(&format!("wallet {}", wallet.name), &wallet.buckets, 2)?;
    let chains = wallet.chains.iter().map(|on| chain(&wallet.name, on)).collect::<Result<_, _>>()?;
    Ok(WalletConfiguration { name: name("wallets.name", &wallet.name)?, buckets, chains: optional(chains) })
}

/// Nothing is written as absent, so that a configuration has one form.
fn optional<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn signer(signer: &Signer) -> Result<SignerConfiguration, ExchangeError> {
    let place = format!("signer {}: receipt_key", signer.name);
    Ok(SignerConfiguration {
        name: name("signers.name", &signer.name)?,
        receipt_key: holdfast_authn::parse_operator_key(&signer.receipt_key)
            .map_err(|error| wrong(place, error))?,
    })
}

/// Blocks until a Bitcoin transaction counts as final, unless the configuration says otherwise.
const BITCOIN_FINAL: u32 = 6;
/// The same for EVM networks: two epochs of Ethereum.
const EVM_FINAL: u32 = 64;

fn chain(wallet: &str, on: &Chain) -> Result<WalletChain, ExchangeError> {
    let place = format!("wallet {wallet} on {}", on.network);
    let network: Network = on.network.parse().map_err(|error| wrong(place.clone(), error))?;
    let decimals = network
        .native_decimals()
        .ok_or_else(|| wrong(place.clone(), "Holdfast cannot read this network's transactions"))?;
    let amount = |field: &str, text: &str| {
        Amount::parse(text, decimals).map_err(|error| wrong(format!("{place}: {field}"), error))
    };
    let source = match (&on.address, on.descriptors.as_slice()) {
        (Some(address), []) => WalletSource::Address(address.clone()),
        (None, [_, ..]) => WalletSource::Descriptors(on.descriptors.clone()),
        _ => return Err(wrong(place, "give descriptors (Bitcoin) or an address (EVM)")),
    };
    let default = if network.chain_id().is_some() { EVM_FINAL } else { BITCOIN_FINAL };
    let chain = WalletChain {
        network,
        source,
        fee_max: amount("fee_max", &on.fee_max)?,
        fee_bucket: BucketSpec {
            size: amount("fee_bucket.size", &on.fee_bucket.size)?,
            refill_per_hour: amount("fee_bucket.refill_per_hour", &on.fee_bucket.refill_per_hour)?,
        },
        confirmations_final: on.confirmations_final.unwrap_or(default),
    };
    chain_wallet(&chain).map_err(|error| wrong(place, error))?;
    Ok(chain)
}

/// The wallet that transactions are read against.
///
/// # Errors
/// If its descriptors or its address are none.
pub fn chain_wallet(
    chain: &WalletChain,
) -> Result<holdfast_transactions::Wallet, holdfast_transactions::WalletError> {
    match &chain.source {
        WalletSource::Descriptors(descriptors) => {
            holdfast_transactions::Wallet::bitcoin(chain.network, descriptors)
        }
        WalletSource::Address(address) => holdfast_transactions::Wallet::evm(chain.network, address),
    }
}

fn asset(asset: &Asset) -> Result<AssetConfiguration, ExchangeError> {
    let place = format!("asset {}", asset.symbol);
    let symbol = asset.symbol.parse().map_err(|error| wrong(place.clone(), error))?;
    let mut networks = Vec::new();
    let mut wallets = Vec::new();
    for on in &asset.networks {
        let network: Network =
            on.network.parse().map_err(|error| wrong(format!("{place}: network {}", on.network), error))?;
        networks.push(AssetNetwork {
            network,
            decimals: on.decimals.unwrap_or(asset.decimals),
            contract: on.contract.as_deref().map(Into::into),
        });
        wallets.push((network, name(&format!("{place}: wallet"), &on.wallet)?));
    }
    wallets.sort();
    let spec =
        AssetSpec::new(symbol, asset.decimals, networks).map_err(|error| wrong(place.clone(), error))?;
    Ok(AssetConfiguration { spec, wallets, buckets: buckets(&place, &asset.buckets, asset.decimals)? })
}

fn buckets(place: &str, buckets: &Buckets, decimals: u8) -> Result<BucketSpecs, ExchangeError> {
    let one = |class: &str, bucket: &Bucket| {
        let amount = |field: &str, text: &str| {
            Amount::parse(text, decimals)
                .map_err(|error| wrong(format!("{place}: buckets.{class}.{field}"), error))
        };
        Ok::<_, ExchangeError>(BucketSpec {
            size: amount("size", &bucket.size)?,
            refill_per_hour: amount("refill_per_hour", &bucket.refill_per_hour)?,
        })
    };
    Ok(BucketSpecs {
        bound: one("bound", &buckets.bound)?,
        aged: one("aged", &buckets.aged)?,
        unvouched: one("unvouched", &buckets.unvouched)?,
    })
}

fn parameters(document: &ParametersDocument) -> Result<Parameters, ExchangeError> {
    let default = Parameters::default();
    let span = |field: &str, text: &Option<String>, default: Micros| match text {
        None => Ok(default),
        Some(text) => duration(text)
            .ok_or_else(|| wrong(format!("parameters.{field}"), "write a duration as 90s, 10m, 24h or 7d")),
    };
    let given = |field: &str, text: &Option<String>| text.as_ref().map(|_| span(field, text, 0)).transpose();
    // A delay may be none at all; an ageing may not.
    let delay = |field: &str, text: &Option<String>| match text.as_deref() {
        Some("0s") => Ok(Some(0)),
        _ => given(field, text),
    };
    Ok(Parameters {
        address_ageing: span("address_ageing", &document.address_ageing, default.address_ageing)?,
        veto_window: span("veto_window", &document.veto_window, default.veto_window)?,
        cooling_off: span("cooling_off", &document.cooling_off, default.cooling_off)?,
        operator_ageing: span("operator_ageing", &document.operator_ageing, default.operator_ageing)?,
        queue_hold_after: span("queue_hold_after", &document.queue_hold_after, default.queue_hold_after)?,
        withdrawal_lifetime: span(
            "withdrawal_lifetime",
            &document.withdrawal_lifetime,
            default.withdrawal_lifetime,
        )?,
        price_stale_after: span("price_stale_after", &document.price_stale_after, default.price_stale_after)?,
        price_move_permille: document.price_move_permille.unwrap_or(default.price_move_permille),
        account_share_permille: document.account_share_permille.unwrap_or(default.account_share_permille),
        small_reserve_permille: document.small_reserve_permille.unwrap_or(default.small_reserve_permille),
        small_usd_cents: match &document.small_usd {
            None => default.small_usd_cents,
            Some(text) => usd("parameters.small_usd".into(), text)?,
        },
        small_account_age: span("small_account_age", &document.small_account_age, default.small_account_age)?,
        loosening_signatures: document.loosening_signatures.unwrap_or(default.loosening_signatures),
        release_lifetime: given("release_lifetime", &document.release_lifetime)?,
        credential_ageing: given("credential_ageing", &document.credential_ageing)?,
        recovery_wait: given("recovery_wait", &document.recovery_wait)?,
        loosening_delay: delay("loosening_delay", &document.loosening_delay)?,
        resume_delay: delay("resume_delay", &document.resume_delay)?,
        setup_window: delay("setup_window", &document.setup_window)?,
    })
}

/// `90s`, `10m`, `24h`, `7d`: one number without leading zeros and one unit.
#[must_use]
pub fn duration(text: &str) -> Option<Micros> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../examples/harbor.toml");

    #[test]
    fn the_sample_is_a_configuration() {
        let configuration = parse(SAMPLE).unwrap();
        let btc = &configuration.assets[0];
        assert_eq!(btc.spec.symbol.as_str(), "BTC");
        assert_eq!(btc.buckets.unvouched.size, Amount::parse("70.74", 8).unwrap(), "1 % of 7,074 BTC");
        assert_eq!(btc.buckets.aged.size, Amount::parse("212.22", 8).unwrap(), "3 %");
        assert_eq!(btc.buckets.bound.refill_per_hour, Amount::parse("1414.8", 8).unwrap(), "20 %");
        let vip = configuration.tiers.iter().find(|tier| tier.name.as_str() == "vip400").unwrap();
        assert_eq!(vip.usd_cents_24h, UsdCents(236_000_000), "400 BTC at 5,900 USD");
    }

    #[test]
    fn delays_may_be_none_and_have_bounds() {
        let with = |line: &str| parse(&SAMPLE.replace("[parameters]", &format!("[parameters]\n{line}")));
        let parameters = with("loosening_delay = \"0s\"\nsetup_window = \"2h\"").unwrap().parameters;
        assert_eq!((parameters.loosening_delay(), parameters.setup_window()), (0, 2 * time::HOUR));
        assert_eq!((parameters.resume_delay, parameters.resume_delay()), (None, 10 * time::MINUTE));
        for (line, says) in [
            ("loosening_delay = \"31d\"", "parameter loosening_delay is out of range: at most 30 days"),
            ("resume_delay = \"25h\"", "parameter resume_delay is out of range: at most 1 day"),
            ("setup_window = \"8d\"", "parameter setup_window is out of range: at most 7 days"),
            ("loosening_delay = \"0\"", "parameters.loosening_delay: write a duration"),
        ] {
            let error = with(line).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, says) in [
            (
                "size = \"70.74\"",
                "size = \"70.741234567\"",
                "asset BTC: buckets.unvouched.size: the amount has more",
            ),
            ("network = \"bitcoin\"", "network = \"bitcoins\"", "asset BTC: network bitcoins"),
            (
                "address_ageing = \"24h\"",
                "address_ageing = \"24\"",
                "parameters.address_ageing: write a duration",
            ),
            ("name = \"vip400\"", "name = \"vip 400\"", "tiers.name"),
            ("name = \"vip400\"", "name = \"vip400\"\ncolour = 1", "unknown field `colour`"),
            ("decimals = 8\n", "decimals = \"8\"\n", "decimals"),
        ] {
            assert!(SAMPLE.contains(from), "{from}");
            let error = parse(&SAMPLE.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(says), "{says:?} in {error:?}");
        }
    }

    #[test]
    fn durations_have_one_spelling() {
        assert_eq!(duration("24h"), Some(time::DAY));
        assert_eq!(duration("90s"), Some(90 * time::SECOND));
        for text in ["", "h", "0h", "01h", "1.5h", "1 h", "-1h", "1w", "99999999999999999d", "é"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }
}
