//! What really left the wallets: read from the chain's own book, and only then held against what Holdfast says. And the
//! coins that the wallets begin with, and get again before each attack.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use holdfast_transactions::{Wallet, evm_parse_signed};
use holdfast_values::{Amount, Network};
use serde_json::{Value, json};

use super::client::{Client, text};
use super::coin::{Coin, SATS};
use super::hex;
use super::measure::{self, Cell, Key};

/// Coins of the hot wallet: so many of so much bitcoin, 7,075 together: 7,074, and what the network takes.
const COINS: u64 = 100;
const COIN_SATS: u64 = 7_075 * SATS / COINS;
/// Base units of 60,000 ETH and 20,000,000 USDT.
const ETHER: u128 = 60_000 * 10u128.pow(18);
const TETHER: u128 = 20_000_000 * 10u128.pow(6);
/// Change addresses that are known as the wallet's own, and others.
const CHANGE: u32 = 2_000;
const RECEIVE: u32 = 20;
/// How long payments may take until nothing is under way, in real time.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One output that left a wallet.
#[derive(Clone, Debug)]
struct Output {
    coin: Coin,
    address: String,
    units: u128,
    transaction: String,
}

/// Everything that left a pack's wallets, in blocks.
pub(crate) struct Book {
    outputs: Vec<Output>,
    /// In no block yet: how many addresses it goes to.
    pub(crate) pending: usize,
}

/// Which withdrawals were paid, and what was paid to nobody who asked.
pub(crate) struct Matched {
    /// Ids of withdrawals.
    pub(crate) paid: BTreeSet<String>,
    pub(crate) outputs: usize,
    pub(crate) unexplained: usize,
}

fn bitcoin(client: &Client) -> Result<Wallet, String> {
    Wallet::bitcoin(Network::Bitcoin, &client.stack.descriptors).map_err(|error| error.to_string())
}

fn address(wallet: &Wallet, descriptor: u8) -> Result<String, String> {
    let address = wallet.address_at(descriptor, 0);
    address.map(|address| address.address().to_owned()).ok_or_else(|| "a descriptor is missing".to_owned())
}

/// Gives the wallets what they begin with: half of the bitcoin to each kind of address.
pub(crate) fn fund(client: &Client) -> Result<(), String> {
    pay_in(client, COINS)?;
    let to = |contract: Option<&str>, amount: u128| json!({ "address": client.stack.account, "amount": amount.to_string(), "contract": contract });
    let to = json!({ "to": [to(None, ETHER), to(Some(&client.stack.usdt), TETHER)] });
    client.chain("ethereum", "fund", &to).map(drop)
}

fn pay_in(client: &Client, coins: u64) -> Result<(), String> {
    let wallet = bitcoin(client)?;
    for (descriptor, count) in [(0, coins.div_ceil(2)), (2, coins / 2)] {
        if count > 0 {
            let to = json!({ "address": address(&wallet, descriptor)?, "amount": COIN_SATS.to_string() });
            client.chain("bitcoin", "fund", &json!({ "to": [to], "count": count }))?;
        }
    }
    Ok(())
}

/// Before an attack: the wallet is as full as it was at the beginning, as if from the cold wallet.
pub(crate) fn refill(client: &Client) -> Result<(), String> {
    let gone: u128 = Book::read(client)?.of(Coin::Btc).map(|output| output.units).sum();
    let gone = u64::try_from(gone).unwrap_or(u64::MAX).div_ceil(COIN_SATS);
    let before: u64 = measure::kept(client, "refilled.json").unwrap_or(0);
    pay_in(client, gone.saturating_sub(before))?;
    measure::keep(client, "refilled.json", &gone.max(before))
}

/// Waits until nothing that is approved is still to be paid; what stays behind is said.
pub(crate) fn settle(clients: &[Client]) -> Result<(), String> {
    let started = Instant::now();
    for client in clients {
        loop {
            let mut open = 0usize;
            for status in ["approved", "released", "broadcast"] {
                let page =
                    client.holdfast("GET", &format!("/v1/withdrawals?status={status}&limit=500"), None)?;
                open = open.saturating_add(page.get("items").and_then(Value::as_array).map_or(0, Vec::len));
            }
            if open == 0 {
                break;
            }
            if started.elapsed() > PATIENCE {
                super::progress::say(&format!("{}: {open} payments are still under way", client.stack.name));
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}

impl Book {
    /// Reads the book of both networks.
    pub(crate) fn read(client: &Client) -> Result<Self, String> {
        let wallet = bitcoin(client)?;
        let mut own = BTreeSet::from([client.stack.account.to_ascii_lowercase()]);
        for (descriptor, count) in [(0, RECEIVE), (1, CHANGE), (2, RECEIVE), (3, RECEIVE)] {
            let derived = (0..count).filter_map(|index| wallet.address_at(descriptor, index));
            own.extend(derived.map(|address| address.address().to_owned()));
        }
        let mut book = Self { outputs: Vec::new(), pending: 0 };
        for network in ["bitcoin", "ethereum"] {
            let paid = client.chain(network, "paid", &json!({}))?;
            for row in paid.get("paid").and_then(Value::as_array).into_iter().flatten() {
                let address = text(row, "address").to_ascii_lowercase();
                if own.contains(&address) {
                    continue;
                }
                let contract = row.get("contract").and_then(Value::as_str);
                let coin = match (network, contract) {
                    ("bitcoin", None) => Coin::Btc,
                    (_, None) => Coin::Eth,
                    (_, Some(contract)) if contract.eq_ignore_ascii_case(&client.stack.usdt) => Coin::Usdt,
                    (_, Some(contract)) => return Err(format!("nobody knows the token {contract}")),
                };
                book.pending = book.pending.saturating_add(usize::from(text(row, "pending") != "0"));
                for output in row.get("outputs").and_then(Value::as_array).into_iter().flatten() {
                    book.outputs.push(Output {
                        coin,
                        address: address.clone(),
                        units: text(output, "amount")
                            .parse()
                            .map_err(|_| "an amount does not read".to_owned())?,
                        transaction: text(output, "transaction").to_owned(),
                    });
                }
            }
        }
        Ok(book)
    }

    fn of(&self, coin: Coin) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(move |output| output.coin == coin)
    }

    /// The bitcoin that went to these addresses.
    pub(crate) fn to(&self, addresses: &[String]) -> Cell {
        let wanted: BTreeSet<String> = addresses.iter().map(|address| address.to_ascii_lowercase()).collect();
        let mut cell = Cell::default();
        for output in self.of(Coin::Btc).filter(|output| wanted.contains(&output.address)) {
            cell.add(u64::try_from(output.units).unwrap_or(u64::MAX));
        }
        cell
    }

    /// Every output with the withdrawal that it pays: one that Holdfast released, to its address, of its amount, once.
    pub(crate) fn matched(&self, rows: &[Value]) -> Matched {
        let mut left: BTreeMap<Key, usize> = BTreeMap::new();
        for Output { coin, address, units, .. } in &self.outputs {
            // The same number of decimals for all, as the keys of rows have.
            let scale = 10u128.saturating_pow(u32::from(18u8.saturating_sub(coin.decimals())));
            let key = (coin.symbol().to_owned(), address.clone(), units.saturating_mul(scale));
            let count = left.entry(key).or_default();
            *count = count.saturating_add(1);
        }
        let mut paid = BTreeSet::new();
        for row in
            rows.iter().filter(|row| ["released", "broadcast", "confirmed"].contains(&text(row, "status")))
        {
            let key = measure::key(text(row, "asset"), text(row, "address"), text(row, "amount"));
            if let Some(count) = left.get_mut(&key).filter(|count| **count > 0) {
                *count = count.saturating_sub(1);
                paid.insert(text(row, "id").to_owned());
            }
        }
        Matched { paid, outputs: self.outputs.len(), unexplained: left.into_values().sum() }
    }

    /// Writes down which transactions moved coins, and says for how many the wallet kept the release and exactly these
    /// bytes: an id on the chain commits to them.
    pub(crate) fn keep(&self, client: &Client) -> Result<(usize, usize), String> {
        let mut ids: BTreeMap<&str, Coin> = BTreeMap::new();
        for output in &self.outputs {
            ids.insert(&output.transaction, output.coin);
        }
        measure::keep(client, "moved.json", &ids.keys().collect::<Vec<_>>())?;
        let is_kept =
            |(id, coin): &(&&str, &Coin)| bytes_are(&client.stack.kept, id, **coin == Coin::Btc).is_some();
        Ok((ids.iter().filter(is_kept).count(), ids.len()))
    }
}

fn bytes_are(folder: &Path, id: &str, is_bitcoin: bool) -> Option<()> {
    let read = |kind: &str| std::fs::read(folder.join(format!("{id}.{kind}"))).ok();
    let unsigned = read("unsigned")?;
    read("release").filter(|release| !release.is_empty())?;
    let is_same = if is_bitcoin {
        let psbt = ::bitcoin::Psbt::deserialize(&unsigned).ok()?;
        psbt.unsigned_tx.compute_txid().to_string() == id
    } else {
        let (body, _, hash) = evm_parse_signed(&read("signed")?).ok()?;
        body == unsigned && format!("0x{}", hex(&hash)) == id
    };
    is_same.then_some(())
}

/// What a bucket of the signer lets out in so many seconds: its size, and its refill.
pub(crate) fn allowed(size: &str, seconds: u64) -> Result<u64, String> {
    let size = Amount::parse(size, 8).map_err(|error| error.to_string())?.base_units();
    let refilled = size.saturating_mul(u128::from(seconds)).div_ceil(3_600);
    Ok(u64::try_from(size.saturating_add(refilled)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(coin: Coin, address: &str, units: u128) -> Output {
        Output { coin, address: address.to_owned(), units, transaction: "tx".to_owned() }
    }

    fn row(id: &str, status: &str, asset: &str, amount: &str) -> Value {
        json!({ "id": id, "status": status, "asset": asset, "address": "0xAb", "amount": amount })
    }

    #[test]
    fn one_output_pays_one_released_withdrawal() {
        let book = Book {
            outputs: vec![
                output(Coin::Usdt, "0xab", 12_500_000),
                output(Coin::Usdt, "0xab", 12_500_000),
                output(Coin::Btc, "0xab", 100_000_000),
            ],
            pending: 0,
        };
        let rows = [row("a", "confirmed", "USDT", "12.5"), row("b", "approved", "USDT", "12.5")];
        let matched = book.matched(&rows);
        assert_eq!(matched.paid.into_iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!((matched.outputs, matched.unexplained), (3, 2), "paid twice, and paid to nobody");
        assert_eq!(book.to(&["0xAB".to_owned()]), Cell { count: 1, sats: SATS });
    }

    #[test]
    fn a_bucket_lets_out_its_size_and_its_refill() {
        assert_eq!(allowed("282.96", 1_800), Ok(424 * SATS + 44_000_000));
        assert_eq!(COIN_SATS * COINS, 7_075 * SATS);
    }
}
