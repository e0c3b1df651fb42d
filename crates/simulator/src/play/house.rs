//! The exchange as Holdfast is told of it: the configuration that the stated exchange comes to, its operators, its signer,
//! and the first record.

use holdfast_decision::RULES_LATEST;
use holdfast_decision::acts::Act;
use holdfast_decision::command::{
    Command, Initialise, OperatorAct, OperatorKey, OperatorSignature, PolicySource, TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::{
    AssetConfiguration, BucketSpec, BucketSpecs, Configuration, Parameters, Parties, Party,
    SignerConfiguration, TierConfiguration, WalletChain, WalletConfiguration, WalletSource,
};
use holdfast_values::texts::{Nonce, Seconds};
use holdfast_values::{
    Amount, AssetNetwork, AssetSpec, Family, IdError, Name, Network, OperatorProof, OperatorPublicKey,
    Timestamp, UsdCents, time,
};

use crate::exchange::{Buckets, Exchange};

/// The exchange's DNS name, as signed texts carry it.
pub const EXCHANGE: &str = "harbor.example";
/// The operators: founders, so that they count at once.
pub const OPERATORS: [&str; 3] = ["olivia", "oskar", "otto"];
/// The signer that releases are addressed to.
pub(super) const SIGNER: &str = "vault";
/// How long an operator's text is good.
const TEXT_SPAN: u64 = time::HOUR;
const WEI: u128 = 1_000_000_000_000_000_000;
const SATOSHI: u128 = 100_000_000;
/// A public key that nobody uses: what it could receive does not matter here, that it reads as one does.
const DESCRIPTOR: &str = "wpkh(xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V/0/*)";
const SENDER: &str = "0x00000000000000000000000000000000000000aa";

/// The configuration that Holdfast decides by: the exchange's own if it has one, else what its numbers come to; in either
/// case with a signer, and with a place on each network that a wallet pays on, so that releases work.
///
/// # Errors
/// Never for the names that are written here.
pub fn configuration(exchange: &Exchange) -> Result<Configuration, IdError> {
    match &exchange.configuration {
        Some(configuration) => completed(configuration.clone()),
        None => completed(stated(exchange)?),
    }
}

/// Wallets and assets of the stated exchange: 1 bitcoin wallet, 1 ethereum wallet.
fn stated(exchange: &Exchange) -> Result<Configuration, IdError> {
    let permille = exchange.bucket_permille;
    let (btc, eth) = (u128::from(exchange.hot_wallet_btc), u128::from(exchange.hot_wallet_eth));
    let btc_cents = btc.saturating_mul(u128::from(exchange.usd_per_btc)).saturating_mul(100);
    let eth_cents = eth.saturating_mul(u128::from(exchange.usd_per_eth)).saturating_mul(100);
    let asset = |symbol: &str, decimals, network, wallet: &str, hot: u128| {
        let on = AssetNetwork { network, decimals, contract: None };
        let spec = AssetSpec::new(symbol.parse()?, decimals, vec![on]);
        // A symbol of ours with its network's own decimals is always an asset.
        let spec = spec.map_err(|_| IdError::Length { max: 0 })?;
        Ok(AssetConfiguration {
            spec,
            wallets: vec![(network, wallet.parse()?)],
            buckets: buckets(hot, permille),
        })
    };
    let wallet = |name: &str, cents| {
        Ok(WalletConfiguration { name: name.parse()?, buckets: buckets(cents, permille), chains: None })
    };
    let tier = |name: &str, day: u64| {
        Ok(TierConfiguration {
            name: name.parse()?,
            usd_cents_24h: UsdCents(day.saturating_mul(100)),
            usd_cents_30d: UsdCents(day.saturating_mul(1_000)),
        })
    };
    let party = |rp_id: &str, origin: &str| Party {
        rp_id: rp_id.to_owned(),
        origins: vec![origin.to_owned()],
        app_id: None,
    };
    Ok(Configuration {
        assets: vec![
            asset("BTC", 8, Network::Bitcoin, "hot-btc", btc.saturating_mul(SATOSHI))?,
            asset("ETH", 18, Network::Ethereum, "hot-eth", eth.saturating_mul(WEI))?,
        ],
        wallets: vec![wallet("hot-btc", btc_cents)?, wallet("hot-eth", eth_cents)?],
        tiers: vec![tier("basic", 10_000)?, tier("full", 1_000_000)?, tier("vip400", 2_360_000)?],
        overall: buckets(btc_cents.saturating_add(eth_cents), permille),
        parameters: Parameters::default(),
        signers: None,
        parties: Some(Box::new(Parties {
            approve: party("approve.harbor.example", "https://approve.harbor.example"),
            login: None,
        })),
        operate: None,
    })
}

/// Shares of a hot wallet, refilled by the same share an hour.
fn buckets(hot: u128, permille: Buckets) -> BucketSpecs {
    let share = |permille: u32| {
        let size = Amount::from_base_units(hot.saturating_mul(u128::from(permille)) / 1_000);
        BucketSpec { size, refill_per_hour: size }
    };
    BucketSpecs {
        bound: share(permille.bound),
        aged: share(permille.aged),
        unvouched: share(permille.unvouched),
    }
}

/// With a signer, parties, and each wallet on every network that it pays on.
fn completed(mut configuration: Configuration) -> Result<Configuration, IdError> {
    if configuration.signers.as_ref().is_none_or(Vec::is_empty) {
        let receipt_key = key_of(SIGNER);
        configuration.signers = Some(vec![SignerConfiguration { name: SIGNER.parse()?, receipt_key }]);
    }
    let pays: Vec<(Network, Name)> =
        configuration.assets.iter().flat_map(|asset| asset.wallets.iter().cloned()).collect();
    for wallet in &mut configuration.wallets {
        let mut chains = wallet.chains.take().unwrap_or_default();
        for (network, _) in pays.iter().filter(|(_, name)| *name == wallet.name) {
            if chains.iter().all(|chain| chain.network != *network) {
                chains.push(chain_on(*network));
            }
        }
        wallet.chains = Some(chains);
    }
    Ok(configuration)
}

fn chain_on(network: Network) -> WalletChain {
    let units = Amount::from_base_units;
    let (source, coin, confirmations_final) = if network.family() == Family::Evm {
        (WalletSource::Address(SENDER.to_owned()), WEI, 64)
    } else {
        (WalletSource::Descriptors(vec![DESCRIPTOR.to_owned()]), SATOSHI, 6)
    };
    // Never in the way: a transaction of a thousand outputs costs a hundredth of a coin.
    let bucket = BucketSpec { size: units(coin * 10), refill_per_hour: units(coin * 10) };
    WalletChain { network, source, fee_max: units(coin / 10), fee_bucket: bucket, confirmations_final }
}

fn key_of(name: &str) -> [u8; 32] {
    *blake3::hash(name.as_bytes()).as_bytes()
}

pub(super) fn operator(name: Name) -> OperatorKey {
    OperatorKey { public_key: OperatorPublicKey::Ed25519(key_of(name.as_str())), name }
}

/// The first record.
pub(super) fn initialise(configuration: Configuration, policy: PolicySource) -> Result<Command, IdError> {
    let operators =
        OPERATORS.into_iter().map(|name| Ok(operator(name.parse()?))).collect::<Result<_, _>>()?;
    Ok(Command::Initialise(Box::new(Initialise {
        exchange: EXCHANGE.to_owned(),
        simulated_clock: true,
        operators,
        configuration,
        policy,
        token: TokenSpec {
            client: "init".parse()?,
            token_hash: key_of("token"),
            scopes: TokenScopes::READ.with(TokenScopes::HALT),
        },
        rules: Some(RULES_LATEST),
    })))
}

/// An act as these operators sign it. The signatures themselves are not made: what the edge would verify is here its
/// verdict, and nobody is to trust the journal of a play.
pub(super) fn act(act: Act, operators: Vec<Name>, at: Timestamp, nonce: [u8; 32]) -> Command {
    let lines = act.lines();
    let payload = if lines.payload { "00".repeat(32) } else { "-".to_owned() };
    let from = Seconds::floor(at);
    let text = format!(
        "holdfast-operator/v1\nexchange: {EXCHANGE}\nact: {}\ntarget: {}\ndetail: {}\npayload: {payload}\n\
         not-before: {from}\nnot-after: {}\nnonce: {}\n",
        lines.act,
        lines.target,
        lines.detail,
        Seconds::floor(at.plus(TEXT_SPAN)),
        Nonce(nonce),
    );
    let signatures = operators
        .into_iter()
        .map(|name| OperatorSignature {
            operator: operator(name),
            signature: OperatorProof::Ed25519([0; 64]),
        })
        .collect();
    Command::OperatorAct(Box::new(OperatorAct { text, signatures, act }))
}

/// Every bucket so many times what it is.
pub(super) fn raised(configuration: &Configuration, times: u32) -> Configuration {
    let raise = |spec: &mut BucketSpec| {
        for amount in [&mut spec.size, &mut spec.refill_per_hour] {
            *amount = Amount::from_base_units(amount.base_units().saturating_mul(u128::from(times)));
        }
    };
    let mut raised = configuration.clone();
    let assets = raised.assets.iter_mut().map(|asset| &mut asset.buckets);
    let wallets = raised.wallets.iter_mut().map(|wallet| &mut wallet.buckets);
    for specs in assets.chain(wallets).chain([&mut raised.overall]) {
        raise(&mut specs.bound);
        raise(&mut specs.aged);
        raise(&mut specs.unvouched);
    }
    raised
}
