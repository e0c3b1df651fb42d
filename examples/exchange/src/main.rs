//! Harbor, a small exchange: shows how a backend integrates Holdfast. Balances live in memory and nothing trades.
//!
//! Customers come through a Binance-compatible API (`binance`), in other dialects (`dialects`) or a web session (`web`);
//! all end in `exchange`, which
//! locks the money in the `book` and asks `holdfast` whether it may leave.

mod admin;
mod approve;
mod binance;
mod book;
mod clock;
mod code;
mod config;
mod dialects;
mod exchange;
mod holdfast;
mod pages;
mod sign_in;
mod tls;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use clap::Parser;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::exchange::Exchange;

/// Harbor, a sample exchange that asks Holdfast before anything leaves.
#[derive(Parser)]
#[command(name = "harbor", version)]
struct Arguments {
    /// The JSON configuration file.
    #[arg(long)]
    config: PathBuf,
}

/// No request of a customer is larger.
const BODY_BYTES_MAX: usize = 16 * 1024;

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
    let config = Config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let customers = TcpListener::bind(config.listen).await?;
    let staff = TcpListener::bind(config.admin_listen).await?;
    tracing::info!(listen = %customers.local_addr()?, admin = %staff.local_addr()?, "harbor is open");
    let exchange = Exchange::new(config);
    tokio::spawn(std::sync::Arc::clone(&exchange).follow());
    pages::open(&exchange).await?;

    let limit = DefaultBodyLimit::max(BODY_BYTES_MAX);
    let front = Router::new().merge(binance::router()).merge(dialects::router()).merge(web::router());
    let front = front.layer(limit).with_state(std::sync::Arc::clone(&exchange));
    let front = front.into_make_service_with_connect_info::<SocketAddr>();
    let back = admin::router(exchange).layer(limit);
    tokio::select! {
        result = async { axum::serve(customers, front).await } => result?,
        result = async { axum::serve(staff, back).await } => result?,
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}
