//! What operators ask of a running wallet: a transfer of its own (`holdfast-transfer/v1`), left as a file in the state's
//! folder `orders`, where `harbor-wallet run` takes it up.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use holdfast_values::texts::{ExternalPayment, Nonce, Purpose, Seconds, TransferText};
use holdfast_values::{Amount, AssetSymbol, Destination, Micros, Timestamp, TransferId};
use serde::{Deserialize, Serialize};

use super::book::{Transfer, write};
use super::config::{Run, Wallet};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) transfer: Transfer,
    /// Which transaction it replaces, if it is a cancellation: its id on the chain.
    pub(crate) cancel: Option<String>,
}

/// What a transfer is to do.
pub(crate) struct Wish<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) asset: AssetSymbol,
    /// Address and amount in whole units.
    pub(crate) external: Option<(&'a str, &'a str)>,
    /// In whole units of the network's coin.
    pub(crate) fee_max: &'a str,
    pub(crate) lasts: Micros,
}

/// Writes the text of a transfer, to be signed by operators if it pays anybody outside.
pub(crate) fn compose(
    config: &Run,
    wallet: &Wallet,
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<TransferText, String> {
    let native = wallet.network.native_decimals().ok_or("nothing can be released on this network")?;
    let external = match wish.external {
        None => None,
        Some((address, amount)) => {
            let asset = wallet.assets.iter().find(|asset| asset.symbol == wish.asset);
            let decimals = asset.ok_or("the wallet does not pay in this asset")?.decimals;
            let destination = Destination::parse(wallet.network, address, None);
            Some(ExternalPayment {
                destination: destination.map_err(|error| error.to_string())?,
                decimals,
                amount: Amount::parse(amount, decimals).map_err(|error| format!("amount: {error}"))?,
            })
        }
    };
    let mut random = [0; 48];
    let filled = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    filled.map_err(|error| format!("no random bytes: {error}"))?;
    let (id, nonce) = random.split_at(16);
    Ok(TransferText {
        exchange: config.exchange.clone(),
        transfer: TransferId(u128::from_be_bytes(id.try_into().map_err(|_| "16 bytes")?)),
        wallet: wallet.name.clone(),
        network: wallet.network,
        purpose: wish.purpose,
        asset: wish.asset.clone(),
        external,
        fee_max: Amount::parse(wish.fee_max, native).map_err(|error| format!("fee-max: {error}"))?,
        not_after: Seconds::floor(now.plus(wish.lasts)),
        nonce: Nonce(nonce.try_into().map_err(|_| "32 bytes")?),
    })
}

/// Leaves an order for the running wallet.
pub(crate) fn leave(config: &Run, order: &Order) -> Result<PathBuf, String> {
    let text = TransferText::parse(order.transfer.text.as_bytes()).map_err(|error| error.to_string())?;
    if text.exchange != config.exchange {
        return Err("the text is for another exchange".to_owned());
    }
    if (text.purpose == Purpose::Cancel) != order.cancel.is_some() {
        return Err("a cancellation, and nothing else, names the transaction that it replaces: --cancel ID"
            .to_owned());
    }
    let wallet = config.wallet(text.wallet.as_str(), text.network.name());
    wallet.ok_or_else(|| format!("{} on {} is not configured", text.wallet, text.network))?;
    let folder = config.state.join("orders");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = folder.join(format!("{}.json", text.transfer));
    let bytes = serde_json::to_vec(order).map_err(|error| error.to_string())?;
    write(&folder, &path, &bytes).map_err(|error| error.to_string())?;
    Ok(path)
}

/// The orders that wait, in the order of their names.
pub(crate) fn waiting(state: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(state.join("orders")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files
}

/// Reads one.
pub(crate) fn read(path: &Path) -> Result<(Order, TransferText), String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let order: Order = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let text = TransferText::parse(order.transfer.text.as_bytes()).map_err(|error| error.to_string())?;
    Ok((order, text))
}
