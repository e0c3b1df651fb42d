//! `harbor-wallet`: the hot keys, and the process that pays with them. See the module `wallet`.

#[path = "../wallet/mod.rs"]
mod wallet;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use holdfast_authn::encoding::to_base64;
use holdfast_signer::Client;
use holdfast_values::texts::{Purpose, TransferText};
use holdfast_values::{AssetSymbol, WithdrawalId, time};
use serde_json::json;

use crate::wallet::book::{self, Signature, Transfer};
use crate::wallet::config::{self, Keys, Kind, Run};
use crate::wallet::enrol::Courier;
use crate::wallet::flow::Flow;
use crate::wallet::holdfast::Holdfast;
use crate::wallet::order::{self, Order, Wish};
use crate::wallet::secret::{Public, Secret};
use crate::wallet::serve;

/// Harbor's hot wallet: one process holds the keys, another pays with them what Holdfast released.
#[derive(Parser)]
#[command(name = "harbor-wallet", version)]
struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Print commented samples of both configuration files.
    Sample,
    /// Make the seed in `key_file`, and print what to pin at Holdfast and at the signer.
    Init(At),
    /// Print again what to pin.
    Show(At),
    /// Hold the keys: sign what the signer authorises, for `run`.
    Keys(At),
    /// Pay what is approved. Holds no key.
    Run(RunArguments),
    /// Print what is under way, as JSON.
    Status(At),
    /// Print addresses to receive at: wallet, network and address, one a line.
    Addresses {
        #[command(flatten)]
        at: At,
        /// How many of each descriptor that is not for change.
        #[arg(long, default_value_t = 1)]
        count: u32,
    },
    /// Order a transfer of the wallet's own: a consolidation, a cancellation, or a payment that operators sign.
    Transfer(TransferArguments),
    /// Order a transfer whose text operators have signed.
    Submit(SubmitArguments),
    /// Have the signer never pay a withdrawal, and hand Holdfast its receipt.
    Void {
        #[command(flatten)]
        at: At,
        /// Which.
        withdrawal: WithdrawalId,
    },
}

#[derive(clap::Args)]
struct At {
    /// The TOML configuration file.
    #[arg(long)]
    config: PathBuf,
}

#[derive(clap::Args)]
struct RunArguments {
    #[command(flatten)]
    at: At,
    /// Replace what is unconfirmed for so many seconds, whatever the configuration says.
    #[arg(long)]
    bump_after: Option<u64>,
    /// One round, and then end.
    #[arg(long)]
    once: bool,
}

#[derive(clap::Args)]
struct TransferArguments {
    #[command(flatten)]
    at: At,
    #[arg(long)]
    wallet: String,
    #[arg(long)]
    network: String,
    /// consolidation, cancel; or any other of the text's purposes, with --address and --amount.
    #[arg(long)]
    purpose: Purpose,
    #[arg(long)]
    asset: AssetSymbol,
    /// The most that the network may charge, in whole units of its coin.
    #[arg(long)]
    fee_max: String,
    /// Whom it pays outside the pinned wallets: then the text is only printed, for operators to sign.
    #[arg(long, requires = "amount")]
    address: Option<String>,
    /// What arrives there, in whole units.
    #[arg(long, requires = "address")]
    amount: Option<String>,
    /// The transaction under way that a cancellation replaces, by its id on the chain.
    #[arg(long)]
    cancel: Option<String>,
    /// For how many hours the text is good.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=168))]
    hours: u64,
}

#[derive(clap::Args)]
struct SubmitArguments {
    #[command(flatten)]
    at: At,
    /// The text, as it was signed.
    #[arg(long)]
    text: PathBuf,
    /// OPERATOR=SIGNATURE, Ed25519 over the text's SHA-256 in base64url; once for each.
    #[arg(long = "signature")]
    signatures: Vec<String>,
    /// The transaction under way that a cancellation replaces, by its id on the chain.
    #[arg(long)]
    cancel: Option<String>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    match act(Arguments::parse().act) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

fn act(act: Act) -> Result<(), Box<dyn Error>> {
    match act {
        Act::Sample => Ok(print(config::SAMPLE)?),
        Act::Init(at) => {
            let config = Keys::load(&at.config)?;
            Secret::create(&config.key_file)?;
            show(&config)
        }
        Act::Show(at) => show(&Keys::load(&at.config)?),
        Act::Keys(at) => {
            let config = Keys::load(&at.config)?;
            let secret = Secret::open(&config.key_file)?;
            Ok(serve::serve(config, secret)?)
        }
        Act::Run(arguments) => run(&arguments),
        Act::Status(at) => {
            let book = book::read(&Run::load(&at.config)?.state)?;
            let slots = book.slots.iter().map(|slot| {
                let attempts = slot.attempts.iter().map(|attempt| {
                    json!({
                        "stage": attempt.stage, "id": attempt.id, "fee": attempt.fee.to_string(),
                        "payments": attempt.payments.len(), "transfer": attempt.transfer.is_some(),
                    })
                });
                json!({
                    "slot": slot.id, "wallet": slot.wallet, "network": slot.network, "nonce": slot.nonce,
                    "withdrawals": slot.withdrawals().collect::<std::collections::BTreeSet<_>>(),
                    "attempts": attempts.collect::<Vec<_>>(),
                })
            });
            let status = json!({ "under_way": slots.collect::<Vec<_>>() });
            Ok(print(&format!("{}\n", serde_json::to_string_pretty(&status)?))?)
        }
        Act::Addresses { at, count } => addresses(&Run::load(&at.config)?, count),
        Act::Transfer(arguments) => transfer(&arguments),
        Act::Submit(arguments) => submit(&arguments),
        Act::Void { at, withdrawal } => {
            let config = Run::load(&at.config)?;
            let socket = config.signer_socket.as_ref().ok_or("signer_socket is not configured")?;
            let receipt = Client::connect(socket)?.void(withdrawal)?;
            holdfast(&config).receipt(&to_base64(&receipt))?;
            Ok(print(&format!("{withdrawal} is void\n"))?)
        }
    }
}

fn holdfast(config: &Run) -> Holdfast {
    Holdfast::new(&config.holdfast_url, &config.token, config.timeout)
}

/// Prints what to pin, as TOML.
fn show(config: &Keys) -> Result<(), Box<dyn Error>> {
    let secret = Secret::open(&config.key_file)?;
    for wallet in &config.wallets {
        let mut text = format!("[[wallets]]\nname = \"{}\"\nnetwork = \"{}\"\n", wallet.name, wallet.network);
        match secret.public(wallet)? {
            Public::Address(address) => text += &format!("address = \"{address}\"\n\n"),
            Public::Descriptors(descriptors) => {
                let lines = descriptors.iter().map(|descriptor| format!("  \"{descriptor}\",\n"));
                text += &format!("descriptors = [\n{}]\n\n", lines.collect::<String>());
            }
        }
        print(&text)?;
    }
    Ok(())
}

/// Prints where the wallets receive.
fn addresses(config: &Run, count: u32) -> Result<(), Box<dyn Error>> {
    for wallet in &config.wallets {
        let addresses: Vec<String> = match &wallet.kind {
            Kind::Evm(evm) => vec![evm.address.address().to_owned()],
            Kind::Bitcoin(bitcoin) => (0..u8::try_from(bitcoin.descriptors.len())?)
                .filter(|descriptor| *descriptor != bitcoin.change)
                .flat_map(|descriptor| {
                    (0..count.min(bitcoin.receive_addresses)).map(move |index| (descriptor, index))
                })
                .filter_map(|(descriptor, index)| bitcoin.pinned.address_at(descriptor, index))
                .map(|address| address.address().to_owned())
                .collect(),
        };
        for address in addresses {
            print(&format!("{} {} {address}\n", wallet.name, wallet.network))?;
        }
    }
    Ok(())
}

fn run(arguments: &RunArguments) -> Result<(), Box<dyn Error>> {
    let config = Run::load(&arguments.at.config)?;
    let poll = config.poll;
    let mut courier = Courier::new(&config)?;
    let mut flow = Flow::new(config, arguments.bump_after.map(Duration::from_secs))?;
    loop {
        if let Some(courier) = &mut courier {
            courier.round(&flow.holdfast)?;
        }
        flow.round()?;
        if arguments.once {
            return Ok(());
        }
        std::thread::sleep(poll);
    }
}

fn transfer(arguments: &TransferArguments) -> Result<(), Box<dyn Error>> {
    let config = Run::load(&arguments.at.config)?;
    let wallet =
        config.wallet(&arguments.wallet, &arguments.network).ok_or("no such wallet on this network")?;
    let wish = Wish {
        purpose: arguments.purpose,
        asset: arguments.asset.clone(),
        external: arguments.address.as_deref().zip(arguments.amount.as_deref()),
        fee_max: &arguments.fee_max,
        lasts: arguments.hours.saturating_mul(time::HOUR),
    };
    let text = order::compose(&config, wallet, &wish, holdfast(&config).time()?)?;
    if text.external.is_some() {
        // Printed alone, so that it can be kept in a file byte for byte.
        return Ok(print(&text.to_string())?);
    }
    let transfer = Transfer { text: text.to_string(), signatures: Vec::new() };
    leave(&config, transfer, arguments.cancel.clone(), &text)
}

fn submit(arguments: &SubmitArguments) -> Result<(), Box<dyn Error>> {
    let config = Run::load(&arguments.at.config)?;
    let text = std::fs::read_to_string(&arguments.text)?;
    let parsed = TransferText::parse(text.as_bytes())?;
    let signatures = arguments.signatures.iter().map(|signature| {
        let (operator, signature) =
            signature.split_once('=').ok_or("write a signature as OPERATOR=SIGNATURE")?;
        Ok(Signature { operator: operator.to_owned(), signature: signature.to_owned() })
    });
    let signatures = signatures.collect::<Result<Vec<_>, &str>>()?;
    leave(&config, Transfer { text, signatures }, arguments.cancel.clone(), &parsed)
}

fn leave(
    config: &Run,
    transfer: Transfer,
    cancel: Option<String>,
    text: &TransferText,
) -> Result<(), Box<dyn Error>> {
    let path = order::leave(config, &Order { transfer, cancel })?;
    Ok(print(&format!("{} is ordered in {}\n", text.transfer, path.display()))?)
}
