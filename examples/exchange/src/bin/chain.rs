//! `harbor-chain`: a local stand-in for a Bitcoin node and EVM nodes. See the module `chain`.

#[path = "../chain/mod.rs"]
mod chain;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use holdfast_values::Network;
use serde_json::json;
use tokio::net::TcpListener;

use crate::chain::Chains;
use crate::chain::control::Control;

/// A stand-in for Bitcoin Core and EVM nodes, in memory, with signatures checked for real.
///
/// JSON-RPC is at POST /NETWORK of --listen. What a demonstration does to the networks (fund, mine, reorganise, fail,
/// and what was really paid) is under /control of --control. The addresses are printed as one line of JSON.
#[derive(Parser)]
#[command(name = "harbor-chain", version)]
struct Arguments {
    /// Where the nodes' clients connect; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:8440")]
    listen: SocketAddr,
    /// Where the networks are controlled; a loopback address.
    #[arg(long, default_value = "127.0.0.1:8441")]
    control: SocketAddr,
    /// A network, by Holdfast's name; give it once for each.
    #[arg(long = "network", default_values_t = [Network::Bitcoin, Network::Ethereum, Network::Bsc])]
    networks: Vec<Network>,
    /// A token contract: NETWORK:CONTRACT:DECIMALS.
    #[arg(long = "token")]
    tokens: Vec<String>,
    /// Mine a block on every network each so many milliseconds, until /control/NETWORK/interval says otherwise.
    #[arg(long)]
    mine_every_ms: Option<u64>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if !arguments.control.ip().is_loopback() || !arguments.listen.ip().is_loopback() {
        return Err(
            "both --listen and --control must be loopback addresses: nothing here asks who calls".into()
        );
    }
    let chains = Chains::new(&arguments.networks, &arguments.tokens)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(arguments, chains))
}

async fn serve(arguments: &Arguments, chains: Chains) -> Result<(), Box<dyn std::error::Error>> {
    let nodes = TcpListener::bind(arguments.listen).await?;
    let control = TcpListener::bind(arguments.control).await?;
    let ready =
        json!({ "listen": nodes.local_addr()?.to_string(), "control": control.local_addr()?.to_string() });
    let director = Control::new(chains.clone());
    for network in chains.networks() {
        director.set_interval(network, arguments.mine_every_ms.filter(|ms| *ms > 0));
    }
    writeln!(std::io::stdout(), "{ready}")?;
    tokio::select! {
        result = async { axum::serve(nodes, chain::router(chains)).await } => result?,
        result = async { axum::serve(control, director.router()).await } => result?,
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}
