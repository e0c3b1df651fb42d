//! Everything around the wallet: a folder, the chain stand-in, a signer on its socket, the fake Holdfast.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::SigningKey;
use holdfast_signer::serve::{Stop, serve};
use holdfast_signer::{Pins, Signer, system_clock};
use holdfast_transactions::Wallet;
use holdfast_values::{Destination, Network};
use serde_json::{Value, json};

use crate::holdfast::{self, Fake, Shared};

const WALLET: &str = env!("CARGO_BIN_EXE_harbor-wallet");
pub(crate) const USDT: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
pub(crate) const BTC: u64 = 100_000_000;
static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// A process that ends with the value.
pub(crate) struct Process(Child);

impl Process {
    /// As `kill -9` does it.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

pub(crate) struct Stand {
    pub(crate) folder: PathBuf,
    chain: Process,
    nodes: String,
    control: String,
    pub(crate) fake: Shared,
    stop: Option<(Stop, std::thread::JoinHandle<()>)>,
    /// Bitcoin receive addresses: segwit and taproot.
    pub(crate) receive: [String; 2],
    pub(crate) account: String,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.stop_signer();
        let _gone = self.chain.0.kill();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl Stand {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("wallet-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let (chain, nodes, control) = chain();
        let fake = Arc::new(Mutex::new(Fake::new()));
        let url = holdfast::serve(Arc::clone(&fake));
        private(
            &folder.join("keys.toml"),
            "socket = \"k\"\nsigner_socket = \"s\"\nkey_file = \"hot.keys\"\n\
             [[wallets]]\nname = \"btc-hot\"\nnetwork = \"bitcoin\"\n\
             [[wallets]]\nname = \"eth-hot\"\nnetwork = \"ethereum\"\n",
        );
        let init =
            Command::new(WALLET).arg("init").arg("--config").arg(folder.join("keys.toml")).output().unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let public = String::from_utf8(init.stdout).unwrap();
        let public: toml::Table = public.parse().unwrap();
        let descriptors: Vec<String> = public["wallets"][0]["descriptors"].clone().try_into().unwrap();
        let account = public["wallets"][1]["address"].as_str().unwrap().to_owned();
        let bitcoin = Wallet::bitcoin(Network::Bitcoin, &descriptors).unwrap();
        let receive =
            [0, 2].map(|descriptor| bitcoin.address_at(descriptor, 0).unwrap().address().to_owned());
        let evm = Wallet::evm(Network::Ethereum, &account).unwrap();
        let wallets = vec![("btc-hot".to_owned(), bitcoin), ("eth-hot".to_owned(), evm)];
        private(&folder.join("signer.toml"), &pins(&fake.lock().unwrap().key, &descriptors, &account));
        let made = Signer::init(&folder.join("signer.toml"), &folder.join("signer.db"), 1).unwrap();
        let store: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = fs::read_to_string(folder.join("signer.toml")).unwrap();
        private(&folder.join("signer.toml"), &format!("store = \"{store}\"\n{text}"));
        {
            let mut fake = fake.lock().unwrap();
            fake.wallets = wallets;
            fake.receipt_key = made.receipt_key;
        }
        private(&folder.join("token"), "tk_test\n");
        let quoted = descriptors.iter().map(|text| format!("\"{text}\", ")).collect::<String>();
        private(
            &folder.join("wallet.toml"),
            &format!(
                r#"exchange = "harbor.example"
signer = "harbor-hot"
holdfast_url = "{url}"
token_file = "token"
keys_socket = "k"
signer_socket = "s"
state = "state"
poll_ms = 20
[[wallets]]
name = "btc-hot"
network = "bitcoin"
rpc = "{nodes}/bitcoin"
descriptors = [{quoted}]
fee_max = "0.001"
[[wallets]]
name = "eth-hot"
network = "ethereum"
rpc = "{nodes}/ethereum"
address = "{account}"
fee_max = "0.05"
confirmations = 3
assets = [{{ symbol = "ETH", decimals = 18 }}, {{ symbol = "USDT", decimals = 6, contract = "{USDT}" }}]
"#
            ),
        );
        Self { folder, chain, nodes, control, fake, stop: None, receive, account }
    }

    /// With a signer and money.
    pub(crate) fn ready() -> Self {
        let mut stand = Self::new();
        stand.start_signer();
        let [segwit, taproot] = &stand.receive;
        let coins = json!([{ "address": segwit, "amount": "20000000" }, { "address": taproot, "amount": "10000000" }]);
        stand.control("bitcoin", "fund", json!({ "to": coins, "count": 3 }));
        let account = stand.account.clone();
        let money = json!([
            { "address": account, "amount": "5000000000000000000" },
            { "address": account, "amount": "900000000", "contract": USDT },
        ]);
        stand.control("ethereum", "fund", json!({ "to": money }));
        stand
    }

    pub(crate) fn start_signer(&mut self) {
        let pins = Pins::load(&self.folder.join("signer.toml")).unwrap();
        let signer = Signer::open(pins, &self.folder.join("signer.db"), system_clock()).unwrap();
        let stop = Stop::new(&self.folder.join("s"));
        let server = stop.clone();
        let thread = std::thread::spawn(move || serve(signer, &server).unwrap());
        self.stop = Some((stop, thread));
        wait("the signer listens", || self.folder.join("s").exists());
    }

    pub(crate) fn stop_signer(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            stop.stop();
            let _gone = thread.join();
        }
    }

    pub(crate) fn keys(&self) -> Process {
        let _gone = fs::remove_file(self.folder.join("k"));
        let process = self.wallet(&["keys"], "keys.toml");
        wait("the keys listen", || self.folder.join("k").exists());
        process
    }

    pub(crate) fn run(&self, more: &[&str]) -> Process {
        let mut arguments = vec!["run"];
        arguments.extend(more);
        self.wallet(&arguments, "wallet.toml")
    }

    fn wallet(&self, arguments: &[&str], config: &str) -> Process {
        let mut command = Command::new(WALLET);
        command.args(arguments).arg("--config").arg(self.folder.join(config));
        if std::env::var_os("SHOW_LOGS").is_none() {
            command.stderr(Stdio::null());
        }
        Process(command.spawn().unwrap())
    }

    /// A command that ends: what it prints.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(WALLET);
        let output =
            command.args(arguments).arg("--config").arg(self.folder.join("wallet.toml")).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// What is under way.
    pub(crate) fn status(&self) -> Vec<Value> {
        let status: Value = serde_json::from_str(&self.ask(&["status"]).unwrap()).unwrap();
        status["under_way"].as_array().unwrap().clone()
    }

    /// The stages of a slot's attempts.
    pub(crate) fn stages(&self) -> Vec<String> {
        let slots = self.status();
        let attempts = slots.iter().flat_map(|slot| slot["attempts"].as_array().unwrap());
        attempts.map(|attempt| attempt["stage"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn control(&self, network: &str, act: &str, body: Value) -> Value {
        post(&format!("http://{}/control/{network}/{act}", self.control), &body)
    }

    pub(crate) fn rpc(&self, network: &str, method: &str, parameters: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let reply = post(&format!("{}/{network}", self.nodes), &body);
        assert!(reply["error"].is_null(), "{method}: {reply}");
        reply["result"].clone()
    }

    pub(crate) fn mine(&self, network: &str, blocks: u32) {
        self.control(network, "mine", json!({ "blocks": blocks }));
    }

    /// Units that arrived at an address in blocks, and by how many transactions.
    pub(crate) fn paid(&self, network: &str, to: &Destination) -> (u128, usize) {
        let paid = self.control(network, "paid", json!({ "to": [to.address()] }));
        let rows = paid["paid"].as_array().unwrap();
        rows.iter().fold((0, 0), |(sum, count), row| {
            let amount: u128 = row["amount"].as_str().unwrap().parse().unwrap();
            (sum + amount, count + row["transactions"].as_array().unwrap().len())
        })
    }

    pub(crate) fn pool(&self) -> Vec<String> {
        serde_json::from_value(self.rpc("bitcoin", "getrawmempool", json!([]))).unwrap()
    }

    pub(crate) fn approve_btc(&self, to: &Destination, sats: u64) -> String {
        self.fake.lock().unwrap().approve("btc-hot", "BTC", to, 8, u128::from(sats))
    }
}

/// The chain stand-in: its process, nodes and control.
fn chain() -> (Process, String, String) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_harbor-chain"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
            "--network",
            "bitcoin",
            "--network",
            "ethereum",
        ])
        .args(["--token", &format!("ethereum:{USDT}:6")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();
    (Process(process), format!("http://{}", text("listen")), text("control"))
}

fn pins(key: &SigningKey, descriptors: &[String], account: &str) -> String {
    let quoted = descriptors.iter().map(|text| format!("\"{text}\", ")).collect::<String>();
    let [alice, bob] = [2, 3].map(|seed| to_base64url(&SigningKey::from_seed(&[seed; 32]).public_key()));
    let release = to_base64url(&key.public_key());
    let policy = "09".repeat(32);
    let buckets = |size: &str| {
        let bucket = format!("{{ size = \"{size}\", refill_per_hour = \"0\" }}");
        format!("buckets = {{ vouched = {bucket}, unvouched = {bucket} }}")
    };
    format!(
        r#"exchange = "harbor.example"
name = "harbor-hot"
release_keys = ["{release}"]
receipt_key_file = "receipt.key"
release_lifetime_max = "10m"
[operators]
threshold = 2
keys = {{ alice = "{alice}", bob = "{bob}" }}
[policy]
initial = "{policy}"
[[wallets]]
name = "btc-hot"
network = "bitcoin"
descriptors = [{quoted}]
fee_max = "0.001"
fee_rate_max = "400"
fee_bucket = {{ size = "0.01", refill_per_hour = "0" }}
[[wallets]]
name = "eth-hot"
network = "ethereum"
address = "{account}"
fee_max = "0.05"
fee_rate_max = "500"
fee_bucket = {{ size = "1", refill_per_hour = "0" }}
[[assets]]
symbol = "BTC"
network = "bitcoin"
decimals = 8
{}
[[assets]]
symbol = "ETH"
network = "ethereum"
decimals = 18
{}
[[assets]]
symbol = "USDT"
network = "ethereum"
decimals = 6
contract = "{USDT}"
{}
"#,
        buckets("2"),
        buckets("10"),
        buckets("10000"),
    )
}

/// Waits until something is so.
pub(crate) fn wait(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn post(url: &str, body: &Value) -> Value {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = config.into();
    let mut reply =
        agent.post(url).header("content-type", "application/json").send(body.to_string()).unwrap();
    let mut text = String::new();
    reply.body_mut().as_reader().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url}: {text}"))
}
