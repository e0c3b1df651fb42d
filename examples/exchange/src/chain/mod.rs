//! A local stand-in for the networks: Bitcoin as Bitcoin Core shows it (`utxo`), EVM chains as their nodes show them
//! (`account`), in one process and in memory, with signatures checked for real.
//!
//! `rpc` is JSON-RPC's envelope, one path a network: `POST /bitcoin`, `POST /ethereum`. `control` is what a
//! demonstration or a test does to the networks, on a port of its own: fund, mine, reorganise, fail. There is no proof
//! of work, no peer and no disk here, and nobody should point real money at it.

pub(crate) mod account;
pub(crate) mod control;
pub(crate) mod rpc;
pub(crate) mod utxo;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast_values::{Destination, Family, Network};

use crate::chain::rpc::Failure;

/// The largest request: four transactions of Bitcoin's standard size in hexadecimal, or one batch.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One network.
pub(crate) enum Ledger {
    /// Outputs and scripts.
    Utxo(Box<utxo::ledger::Ledger>),
    /// Accounts and nonces.
    Account(Box<account::ledger::Ledger>),
}

/// All the networks.
#[derive(Clone)]
pub(crate) struct Chains(Arc<BTreeMap<Network, Mutex<Ledger>>>);

/// Why the stand-in cannot be what it is asked to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("{0} is neither a Bitcoin nor an EVM network")]
    Network(Network),
    #[error(
        "a token is NETWORK:CONTRACT:DECIMALS, such as ethereum:0xdAC17F958D2ee523a2206206994597C13D831ec7:6"
    )]
    Token,
    #[error("a token's network {0} must be one of the --network options")]
    TokenNetwork(Network),
}

impl Chains {
    /// Networks, and tokens as `NETWORK:CONTRACT:DECIMALS`.
    pub(crate) fn new(networks: &[Network], tokens: &[String]) -> Result<Self, SetupError> {
        let mut contracts: BTreeMap<Network, BTreeMap<account::Address, account::ledger::Token>> =
            BTreeMap::new();
        for text in tokens {
            let mut parts = text.split(':');
            let (Some(network), Some(contract), Some(decimals), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(SetupError::Token);
            };
            let network: Network = network.parse().map_err(|_| SetupError::Token)?;
            let contract = Destination::parse(network, contract, None).map_err(|_| SetupError::Token)?;
            let contract = account::address(contract.address()).ok_or(SetupError::Token)?;
            let decimals = decimals.parse().map_err(|_| SetupError::Token)?;
            if !networks.contains(&network) {
                return Err(SetupError::TokenNetwork(network));
            }
            let token = account::ledger::Token { decimals, balances: BTreeMap::new() };
            contracts.entry(network).or_default().insert(contract, token);
        }
        let mut ledgers = BTreeMap::new();
        for network in networks {
            let ledger = match (network.family(), network.chain_id()) {
                (Family::Bitcoin, _) => {
                    let kind = match network {
                        Network::BitcoinTestnet => bitcoin::Network::Testnet,
                        Network::BitcoinSignet => bitcoin::Network::Signet,
                        Network::BitcoinRegtest => bitcoin::Network::Regtest,
                        _ => bitcoin::Network::Bitcoin,
                    };
                    Ledger::Utxo(Box::new(utxo::ledger::Ledger::new(kind)))
                }
                (Family::Evm, Some(chain_id)) => {
                    let tokens = contracts.remove(network).unwrap_or_default();
                    Ledger::Account(Box::new(account::ledger::Ledger::new(chain_id, tokens)))
                }
                _ => return Err(SetupError::Network(*network)),
            };
            ledgers.insert(*network, Mutex::new(ledger));
        }
        Ok(Self(Arc::new(ledgers)))
    }

    /// A network's ledger, locked.
    pub(crate) fn ledger(&self, network: Network) -> Option<MutexGuard<'_, Ledger>> {
        // A panic while it was locked cannot have left it half changed in a way that matters to a stand-in.
        Some(self.0.get(&network)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every network.
    pub(crate) fn networks(&self) -> impl Iterator<Item = Network> + '_ {
        self.0.keys().copied()
    }

    /// Mines one block.
    pub(crate) fn mine(&self, network: Network) -> Option<String> {
        Some(match &mut *self.ledger(network)? {
            Ledger::Utxo(ledger) => ledger.mine().to_string(),
            Ledger::Account(ledger) => account::hex(&ledger.mine()),
        })
    }
}

/// What the nodes' clients call.
pub(crate) fn router(chains: Chains) -> Router {
    Router::new()
        .route("/{network}", post(call))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(chains)
}

async fn call(State(chains): State<Chains>, Path(network): Path<String>, body: Bytes) -> Response {
    let network: Option<Network> = network.parse().ok();
    // Scripts are verified here, but one transaction at a time and only on this machine: no thread of its own.
    let (status, text) = match network.and_then(|network| chains.ledger(network)) {
        Some(mut ledger) => match &mut *ledger {
            Ledger::Utxo(ledger) => rpc::serve(&body, |method, parameters| ledger.call(method, parameters)),
            Ledger::Account(ledger) => {
                let (_, text) = rpc::serve(&body, |method, parameters| ledger.call(method, parameters));
                (StatusCode::OK, text)
            }
        },
        None => {
            let unknown = |_: &str, _: rpc::Parameters<'_>| Err(Failure::new(-32601, "no such network here"));
            let (_, text) = rpc::serve(&body, unknown);
            (StatusCode::NOT_FOUND, text)
        }
    };
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
