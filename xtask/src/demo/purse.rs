//! The part of a stack that holds coins: the chain's stand-in, the signer, the keys, the wallet and the watchers, each a
//! process of its own, with its files in one folder that Holdfast is never told of.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::process::{Process, free_port};
use super::stack::{OPERATORS, Programs, file, member, text, write_secret};
use crate::error::{Error, Result};

/// The signer's name, and the exchange's.
const SIGNER: &str = "harbor-hot";
const EXCHANGE: &str = "harbor.example";
/// The token that Harbor pays out on Ethereum.
pub(super) const USDT: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
/// A block every so many milliseconds, on both networks, whatever the exchange's clock does.
const BLOCK_MS: &str = "250";
/// What one transaction may burn, and all of them: in bitcoin and in ether.
const FEES: [(&str, &str); 2] = [("0.01", "1"), ("0.02", "10")];
/// After so many blocks a payment is final here.
const FINAL: u32 = 2;

/// The signer's own buckets: of bitcoin, ether and tether, in whole units; each refilled by its size every hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinned {
    pub(super) vouched: [&'static str; 3],
    pub(super) unvouched: [&'static str; 3],
}

/// What `harbor-wallet init` prints of a pack's wallets.
#[derive(Debug, PartialEq, Eq)]
struct Wallets {
    descriptors: Vec<String>,
    address: String,
}

/// One pack's coins.
#[derive(Debug)]
pub(super) struct Purse {
    name: &'static str,
    programs: Programs,
    folder: PathBuf,
    logs: PathBuf,
    pinned: Pinned,
    wallets: Wallets,
    receipt_key: String,
    store: String,
    node: u16,
    control: u16,
    /// In the order in which they are ended.
    wallet: Option<Process>,
    watchers: Vec<Process>,
    keys: Option<Process>,
    signer: Option<Process>,
    chain: Option<Process>,
}

fn list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

impl Wallets {
    fn read(printed: &str) -> Option<Self> {
        let quoted = |line: &str| line.split('"').nth(1).map(ToOwned::to_owned);
        let address = printed.lines().find(|line| line.starts_with("address = ")).and_then(quoted)?;
        let descriptors: Vec<String> =
            printed.lines().filter(|line| line.starts_with("  \"")).filter_map(quoted).collect();
        (!descriptors.is_empty()).then_some(Self { descriptors, address })
    }
}

impl Purse {
    /// Makes the keys and the signer's store. `logs` is the stack's folder.
    pub(super) fn make(programs: &Programs, name: &'static str, pinned: Pinned, logs: &Path) -> Result<Self> {
        let folder = logs.join("wallet");
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(file(&folder))?;
        let keys = folder.join("keys.toml");
        let configuration = "socket = \"keys.sock\"\nsigner_socket = \"signer.sock\"\nkey_file = \"hot.keys\"\n\n\
             [[wallets]]\nname = \"btc-hot\"\nnetwork = \"bitcoin\"\n\n\
             [[wallets]]\nname = \"eth-hot\"\nnetwork = \"ethereum\"\n";
        write_secret(&keys, configuration)?;
        let printed = programs.run("harbor-wallet", &[], &["init", "--config", text(&keys)])?;
        let wallets = Wallets::read(&printed).ok_or_else(|| Error::Unexpected {
            what: "harbor-wallet init".to_owned(),
            found: printed.clone(),
        })?;
        let mut purse = Self {
            name,
            programs: programs.clone(),
            folder,
            logs: logs.to_owned(),
            pinned,
            wallets,
            receipt_key: String::new(),
            store: String::new(),
            node: free_port()?,
            control: free_port()?,
            wallet: None,
            watchers: Vec::new(),
            keys: None,
            signer: None,
            chain: None,
        };
        // Holdfast has no key yet, and the store no id: both are pinned below.
        write_secret(&purse.pins(), &purse.pins_text(None)?)?;
        let (pins, store) = (purse.pins(), purse.folder.join("signer.db"));
        let line = ["init", "--pins", text(&pins), "--store", text(&store), "--json"];
        let made = programs.run("holdfast-signer", &[], &line)?;
        purse.receipt_key = member(&made, "receipt_key", "holdfast-signer init")?;
        purse.store = member(&made, "store", "holdfast-signer init")?;
        Ok(purse)
    }

    /// The signer's pinned file.
    pub(super) fn pins(&self) -> PathBuf {
        self.folder.join("signer.toml")
    }

    pub(super) fn store_file(&self) -> PathBuf {
        self.folder.join("signer.db")
    }

    pub(super) fn signer_socket(&self) -> PathBuf {
        self.folder.join("signer.sock")
    }

    /// Where the wallet keeps releases and transactions.
    pub(super) fn kept(&self) -> PathBuf {
        self.folder.join("state").join("released")
    }

    pub(super) fn chain_url(&self) -> String {
        format!("http://127.0.0.1:{}/control", self.control)
    }

    pub(super) fn descriptors(&self) -> &[String] {
        &self.wallets.descriptors
    }

    pub(super) fn address(&self) -> &str {
        &self.wallets.address
    }

    /// Bitcoin's bucket for what nobody vouches for.
    pub(super) const fn unvouched_btc(&self) -> &'static str {
        let [btc, ..] = self.pinned.unvouched;
        btc
    }

    fn pins_text(&self, holdfast: Option<(&str, &str)>) -> Result<String> {
        let mut keys = Vec::new();
        for name in OPERATORS {
            let path = self.logs.join("keys").join(format!("{name}.pub"));
            let key = fs::read_to_string(&path).map_err(file(&path))?;
            keys.push(format!("{name} = \"{}\"", key.trim()));
        }
        let store = holdfast.map(|_| format!("store = \"{}\"\n", self.store)).unwrap_or_default();
        let release_keys: Vec<String> = holdfast.map(|(key, _)| key.to_owned()).into_iter().collect();
        let policy = holdfast.map(|(_, policy)| format!("\n[policy]\ninitial = \"{policy}\"\n"));
        let mut text = format!(
            "exchange = \"{EXCHANGE}\"\nname = \"{SIGNER}\"\nsimulated_clock = true\n{store}release_keys = {}\n\
             receipt_key_file = \"receipt.key\"\nrelease_lifetime_max = \"10m\"\n\n\
             [operators]\nthreshold = {}\nkeys = {{ {} }}\n{}",
            list(&release_keys),
            OPERATORS.len(),
            keys.join(", "),
            policy.unwrap_or_default()
        );
        let places = [
            ("btc-hot", "bitcoin", format!("descriptors = {}", list(&self.wallets.descriptors)), "100"),
            ("eth-hot", "ethereum", format!("address = \"{}\"", self.wallets.address), "500"),
        ];
        for ((name, network, source, rate), (max, bucket)) in places.into_iter().zip(FEES) {
            text.push_str(&format!(
                "\n[[wallets]]\nname = \"{name}\"\nnetwork = \"{network}\"\n{source}\nfee_max = \"{max}\"\n\
                 fee_rate_max = \"{rate}\"\nfee_bucket = {{ size = \"{bucket}\", refill_per_hour = \"{bucket}\" }}\n"
            ));
        }
        let assets = [("BTC", "bitcoin", 8), ("ETH", "ethereum", 18), ("USDT", "ethereum", 6)];
        let buckets = self.pinned.vouched.iter().zip(self.pinned.unvouched);
        for ((symbol, network, decimals), (vouched, unvouched)) in assets.into_iter().zip(buckets) {
            let contract = if symbol == "USDT" { format!("contract = \"{USDT}\"\n") } else { String::new() };
            let bucket = |class: &str, size: &str| {
                format!("{class} = {{ size = \"{size}\", refill_per_hour = \"{size}\" }}\n")
            };
            text.push_str(&format!(
                "\n[[assets]]\nsymbol = \"{symbol}\"\nnetwork = \"{network}\"\ndecimals = {decimals}\n{contract}\
                 [assets.buckets]\n{}{}",
                bucket("vouched", vouched),
                bucket("unvouched", unvouched)
            ));
        }
        Ok(text)
    }

    /// The exchange's configuration with what Holdfast must know of the wallets and the signer.
    pub(super) fn configure(&self, configuration: &str) -> Result<String> {
        let mut text = configuration.to_owned();
        let places = [
            ("btc-hot", "bitcoin", format!("descriptors = {}", list(&self.wallets.descriptors))),
            ("eth-hot", "ethereum", format!("address = \"{}\"", self.wallets.address)),
        ];
        for ((name, network, source), (max, bucket)) in places.into_iter().zip(FEES) {
            let head = format!("[[wallets]]\nname = \"{name}\"\n");
            if !text.contains(&head) {
                let what = "the exchange's configuration".to_owned();
                return Err(Error::Unexpected { what, found: format!("no wallet {name}") });
            }
            let chain = format!(
                "{head}[[wallets.chains]]\nnetwork = \"{network}\"\n{source}\nfee_max = \"{max}\"\n\
                 fee_bucket = {{ size = \"{bucket}\", refill_per_hour = \"{bucket}\" }}\n\
                 confirmations_final = {FINAL}\n"
            );
            text = text.replacen(&head, &chain, 1);
        }
        Ok(format!("{text}\n[[signers]]\nname = \"{SIGNER}\"\nreceipt_key = \"{}\"\n", self.receipt_key))
    }

    fn start(&self, what: &str, program: &str, line: &[&str]) -> Result<Process> {
        let name = format!("{what} ({})", self.name);
        let log = self.logs.join(format!("{}.log", what.replace(' ', "-")));
        Process::start(&name, &log, &self.folder, &self.programs.path(program), line)
    }

    /// Pins Holdfast's key; starts the chain, the signer and the keys.
    pub(super) fn open(&mut self, release_key: &str, policy: &str) -> Result<()> {
        write_secret(&self.pins(), &self.pins_text(Some((release_key, policy)))?)?;
        let (listen, control) = (format!("127.0.0.1:{}", self.node), format!("127.0.0.1:{}", self.control));
        let token = format!("ethereum:{USDT}:6");
        let mut line = vec!["--listen", &listen, "--control", &control, "--mine-every-ms", BLOCK_MS];
        line.extend(["--network", "bitcoin", "--network", "ethereum", "--token", &token]);
        let mut chain = self.start("harbor-chain", "harbor-chain", &line)?;
        chain.ready(self.control, "/control")?;
        self.chain = Some(chain);
        // Relative to the folder: a socket's path has little room.
        let line = ["serve", "--pins", "signer.toml", "--store", "signer.db", "--socket", "signer.sock"];
        let mut signer = self.start("holdfast-signer", "holdfast-signer", &line)?;
        signer.listens(&self.signer_socket())?;
        self.signer = Some(signer);
        let mut keys =
            self.start("harbor-wallet keys", "harbor-wallet", &["keys", "--config", "keys.toml"])?;
        keys.says("the keys are ready")?;
        self.keys = Some(keys);
        Ok(())
    }

    /// Writes the wallet's and the watchers' configuration. Tokens: the wallet's and the two watchers'.
    pub(super) fn furnish(&self, holdfast: &str, [wallet, bitcoin, ethereum]: [&str; 3]) -> Result<()> {
        let tokens = [("wallet", wallet), ("watch-bitcoin", bitcoin), ("watch-ethereum", ethereum)];
        for (name, token) in tokens {
            write_secret(&self.folder.join(format!("{name}.token")), token)?;
        }
        let node = format!("http://127.0.0.1:{}", self.node);
        let [(btc_fee, _), (eth_fee, _)] = FEES;
        let (descriptors, address) = (list(&self.wallets.descriptors), &self.wallets.address);
        let wallet = format!(
            "exchange = \"{EXCHANGE}\"\nsigner = \"{SIGNER}\"\nholdfast_url = \"{holdfast}\"\n\
             token_file = \"wallet.token\"\nkeys_socket = \"keys.sock\"\nstate = \"state\"\npoll_ms = 100\n\n\
             [[wallets]]\nname = \"btc-hot\"\nnetwork = \"bitcoin\"\nrpc = \"{node}/bitcoin\"\n\
             descriptors = {descriptors}\nunder_way_max = 64\nfee_max = \"{btc_fee}\"\nconfirmations = {FINAL}\n\n\
             [[wallets]]\nname = \"eth-hot\"\nnetwork = \"ethereum\"\nrpc = \"{node}/ethereum\"\n\
             address = \"{address}\"\nfee_max = \"{eth_fee}\"\nconfirmations = {FINAL}\n\
             [[wallets.assets]]\nsymbol = \"ETH\"\ndecimals = 18\n\
             [[wallets.assets]]\nsymbol = \"USDT\"\ndecimals = 6\ncontract = \"{USDT}\"\n"
        );
        write_secret(&self.folder.join("wallet.toml"), &wallet)?;
        let watched = [
            ("bitcoin", "btc-hot", format!("descriptors = {descriptors}\nlookahead = 200")),
            ("ethereum", "eth-hot", format!("address = \"{address}\"")),
        ];
        for (network, name, what) in watched {
            let watch = format!(
                "network = \"{network}\"\nwallet = \"{name}\"\n{what}\nstart_height = 0\npoll = \"100ms\"\n\
                 confirmations_final = {FINAL}\nstate = \"watch-{network}.state\"\n\n\
                 [holdfast]\nurl = \"{holdfast}\"\ntoken_file = \"watch-{network}.token\"\n\n\
                 [node]\nurl = \"{node}/{network}\"\n"
            );
            write_secret(&self.folder.join(format!("watch-{network}.toml")), &watch)?;
        }
        Ok(())
    }

    /// Starts what talks to Holdfast: the wallet and the watchers.
    pub(super) fn start_paying(&mut self) -> Result<()> {
        for network in ["bitcoin", "ethereum"] {
            let config = format!("watch-{network}.toml");
            let mut watcher = self.start(
                &format!("holdfast watch {network}"),
                "holdfast",
                &["watch", "--config", &config],
            )?;
            watcher.says("watching")?;
            self.watchers.push(watcher);
        }
        let mut wallet =
            self.start("harbor-wallet run", "harbor-wallet", &["run", "--config", "wallet.toml"])?;
        wallet.says("the wallet goes on")?;
        self.wallet = Some(wallet);
        Ok(())
    }

    /// An error if any of it has ended.
    pub(super) fn alive(&self) -> Result<()> {
        let all = [&self.wallet, &self.keys, &self.signer, &self.chain].into_iter().flatten();
        all.chain(&self.watchers).try_for_each(Process::alive)
    }

    /// Ends what talks to Holdfast.
    pub(super) fn stop_paying(&mut self) -> Result<()> {
        let wallet = self.wallet.take().map_or(Ok(()), |mut process| process.stop());
        self.watchers.drain(..).try_fold((), |(), mut process| process.stop()).and(wallet)
    }

    /// Ends all of it.
    pub(super) fn stop(&mut self) -> Result<()> {
        let mut ended = self.stop_paying();
        for process in [&mut self.keys, &mut self.signer, &mut self.chain] {
            ended = process.take().map_or(Ok(()), |mut process| process.stop()).and(ended);
        }
        ended
    }

    /// Checks the release of a transaction as anybody can who has the pinned file: without Holdfast, without the signer.
    pub(super) fn verify(&self, id: &str) -> std::result::Result<(), String> {
        let [release, unsigned] =
            ["release", "unsigned"].map(|kind| self.kept().join(format!("{id}.{kind}")));
        let pins = self.pins();
        let line = ["verify", text(&release), text(&unsigned), "--pins", text(&pins), "--json"];
        self.programs.run("holdfast-signer", &[], &line).map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_wallet_prints_is_read() {
        let printed = "[[wallets]]\nname = \"btc-hot\"\ndescriptors = [\n  \"wpkh(a)#x\",\n  \"tr(b)#y\",\n]\n\n\
                       [[wallets]]\nname = \"eth-hot\"\naddress = \"0xAb\"\n";
        let wallets = Wallets::read(printed).unwrap();
        assert_eq!(
            (wallets.descriptors.join(" ").as_str(), wallets.address.as_str()),
            ("wpkh(a)#x tr(b)#y", "0xAb")
        );
        assert_eq!(Wallets::read("nothing"), None);
    }
}
