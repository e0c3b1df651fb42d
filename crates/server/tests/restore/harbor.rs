//! An exchange that pays from one wallet on Ethereum, its signer, and the commands of a recovery.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holdfast_authn::encoding::{base64, to_base64, to_base64url};
use holdfast_authn::release::{
    Kind, OperatorSignature, SignedAct, SigningKey, Spend, Spends, SpentTransaction, seal,
};
use holdfast_signer::{Authorised, Clock, Pins, Refused, Signer, system_clock};
use holdfast_transactions::{EvmFields, evm_unsigned};
use holdfast_values::{Timestamp, WithdrawalId};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::server::{Answer, Exchange, HOLDFAST, OPEN, Server, holdfast};

pub(crate) const HOT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
pub(crate) const PAYEE: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
pub(crate) const OTHER: &str = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB";
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;
/// The signer's store in statements that no signer made.
pub(crate) const STORE: [u8; 16] = [5; 16];
const SEED: [u8; 32] = [9; 32];
const GWEI: u128 = 1_000_000_000;

fn receipt_key(seed: [u8; 32]) -> SigningKey {
    SigningKey::from_seed(&seed)
}

/// An exchange whose releases go to these signers; the first one's key is known to all tests.
pub(crate) fn exchange(signers: &[&str]) -> Exchange {
    Exchange::open_with(&config(signers))
}

/// The configuration of such an exchange.
pub(crate) fn config(signers: &[&str]) -> String {
    let mut config = String::from(OPEN);
    let wallet = format!(
        r#"
[[wallets]]
name = "eth-hot"
[wallets.buckets]
bound = {{ size = "1000000000000.00", refill_per_hour = "0" }}
aged = {{ size = "1000000000000.00", refill_per_hour = "0" }}
unvouched = {{ size = "1000000000000.00", refill_per_hour = "0" }}
[[wallets.chains]]
network = "ethereum"
address = "{HOT}"
fee_max = "0.01"
fee_bucket = {{ size = "1", refill_per_hour = "0" }}
confirmations_final = 3
[[assets]]"#
    );
    config = config.replacen("[[assets]]", &wallet, 1);
    config.push_str(
        r#"
[[assets]]
symbol = "ETH"
decimals = 18
networks = [{ network = "ethereum", wallet = "eth-hot" }]
[assets.buckets]
bound = { size = "1000000", refill_per_hour = "0" }
aged = { size = "1000000", refill_per_hour = "0" }
unvouched = { size = "1000000", refill_per_hour = "0" }
"#,
    );
    for (number, signer) in signers.iter().enumerate() {
        let key = receipt_key(seed(number)).public_key();
        let key = holdfast_authn::print_operator_key(&key);
        config.push_str(&format!("[[signers]]\nname = \"{signer}\"\nreceipt_key = \"{key}\"\n"));
    }
    config
}

fn seed(number: usize) -> [u8; 32] {
    let mut seed = SEED;
    seed[0] = SEED[0] + number as u8;
    seed
}

/// A server that serves, with a token of all scopes, prices and an account.
pub(crate) fn ready(exchange: &Exchange) -> Server {
    let mut server = exchange.serve(&[]);
    server.token = exchange.issue(&server, "everything", 63);
    let prices: Vec<Value> = [("BTC", "5900.00"), ("ETH", "170.00")]
        .map(|(asset, usd)| json!({ "asset": asset, "usd": usd }))
        .into();
    let body = json!({ "prices": prices }).to_string();
    assert_eq!(server.call("PUT", "/v1/prices", &[], body.as_bytes()).status, 200);
    assert_eq!(server.post("/v1/accounts", &json!({ "account": "ac_1", "tier": "full" })).status, 201);
    server
}

/// Serves from another data directory.
pub(crate) fn serve(data: &Path, token: &str) -> Result<Server, String> {
    let command =
        [HOLDFAST, "serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"].map(str::to_owned);
    Server::try_start(&command, token)
}

/// Asks for a withdrawal of ether; what is answered.
pub(crate) fn ask(server: &Server, key: &str, address: &str, amount: &str) -> Value {
    let body = json!({ "account": "ac_1", "asset": "ETH", "network": "ethereum", "address": address, "amount": amount,
                       "channel": { "session": { "one_time_code": true } } });
    let answer = server.withdraw(key, &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

/// The id of a withdrawal that is approved at once.
pub(crate) fn approved(server: &Server, key: &str, address: &str, amount: &str) -> String {
    let asked = ask(server, key, address, amount);
    assert_eq!(asked["status"], "approved", "{asked}");
    asked["id"].as_str().unwrap().to_owned()
}

/// The bytes of a payment of so much wei with this nonce.
pub(crate) fn payment(nonce: u64, to: &str, value: u128) -> Vec<u8> {
    evm_unsigned(&EvmFields {
        chain_id: 1,
        nonce,
        max_priority_fee_per_gas: GWEI,
        max_fee_per_gas: 30 * GWEI,
        gas_limit: 21_000,
        to: holdfast_authn::encoding::hex(&to.as_bytes()[2..]).unwrap(),
        value,
        data: Vec::new(),
    })
}

pub(crate) fn propose(server: &Server, transaction: &[u8], withdrawals: &[&str]) -> Answer {
    server.post(
        "/v1/transactions",
        &json!({ "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum",
                 "transaction": to_base64(transaction), "withdrawals": withdrawals }),
    )
}

/// The release that a proposal got.
pub(crate) fn release(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.body["status"], "released", "{}", answer.body);
    base64(answer.body["release"].as_str().unwrap().as_bytes()).unwrap()
}

/// Runs `holdfast`; what it printed, and how it ended.
pub(crate) fn run(args: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = Command::new(HOLDFAST).args(args).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

/// Runs `holdfast`, which must refuse with this code.
pub(crate) fn refused(args: &[&str], code: &str) -> String {
    let (went, said) = run(args);
    assert!(!went && said.contains(&format!("error: {code}: ")), "expected {code}: {said}");
    said
}

pub(crate) fn json_of(args: &[&str]) -> Value {
    serde_json::from_str(&holdfast(args)).unwrap()
}

/// Places beside an exchange's data directory.
pub(crate) struct Places<'a>(pub(crate) &'a Exchange);

impl Places<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Backs the exchange up; what the command says.
    pub(crate) fn backup(&self, name: &str, more: &[&str]) -> Value {
        let (data, out) = (self.0.data(), self.text(name));
        let args = ["backup", "--data", data.to_str().unwrap(), "--out", &out, "--json"];
        json_of(&[&args, more].concat())
    }

    pub(crate) fn restore(&self, backup: &str, name: &str) -> PathBuf {
        holdfast(&["restore", "--backup", &self.text(backup), "--data", &self.text(name)]);
        self.path(name)
    }

    /// Writes a file; its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }

    /// What `holdfast recover --plan --json` says.
    pub(crate) fn plan(&self, data: &str, statements: &[&str]) -> Value {
        json_of(&arguments(&self.text(data), statements, &["--plan", "--json"]))
    }

    /// A text of the act that the plan names for a signer, in a file, signed by these operators: the arguments that carry
    /// both, and the act itself.
    pub(crate) fn signed(&self, plan: &Value, name: &str, operators: &[&str]) -> (Vec<String>, SignedAct) {
        let (target, detail) = (plan["target"].as_str().unwrap(), plan["detail"].as_str().unwrap());
        let now = Timestamp(wall_now());
        let text = self.0.text(now, "begin_epoch", target, detail, None);
        let body = self.0.signed(&text, operators, None);
        let mut args = vec!["--text".to_owned(), self.file(name, &text)];
        let mut signatures = Vec::new();
        for signature in body["signatures"].as_array().unwrap() {
            let (operator, signature) =
                (signature["operator"].as_str().unwrap(), signature["signature"].as_str().unwrap());
            args.extend(["--signature".to_owned(), format!("{operator}={signature}")]);
            signatures.push(OperatorSignature {
                operator: operator.parse().unwrap(),
                signature: holdfast_authn::parse_operator_proof(signature).unwrap(),
            });
        }
        (args, SignedAct { text, signatures })
    }
}

fn wall_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

/// The arguments of `holdfast recover`.
pub(crate) fn arguments<'a>(data: &'a str, statements: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["recover", "--data", data];
    for statement in statements {
        args.extend(["--statement", statement]);
    }
    args.extend(more);
    args
}

pub(crate) fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// A statement that says nothing but where its signer stands.
pub(crate) fn spends(signer: &str, epoch: u64) -> Spends {
    Spends {
        signer: signer.parse().unwrap(),
        exchange: "harbor.example".parse().unwrap(),
        store: STORE,
        counter: 3,
        at: Timestamp(wall_now()),
        epoch,
        sequence: 0,
        head: [0; 32],
        spends: Vec::new(),
        transfers: Vec::new(),
        voided: Vec::new(),
    }
}

/// A spend as a signer remembers it, with one transaction of this digest.
pub(crate) fn spend(intent: &str, wallet: &str, digest: u8) -> Spend {
    Spend {
        intent: intent.to_owned(),
        at: Timestamp(wall_now()),
        network: "ethereum".parse().unwrap(),
        wallet: wallet.parse().unwrap(),
        transactions: vec![SpentTransaction {
            digest: [digest; 32],
            conflict_keys: vec![format!("1:{}:{digest}", HOT.to_lowercase()).parse().unwrap()],
            at: Timestamp(wall_now()),
            outputs: [digest.wrapping_add(1); 32],
        }],
    }
}

/// The statement as the signer of this number signs it.
pub(crate) fn sealed(spends: &Spends, number: usize) -> Vec<u8> {
    seal(Kind::Spends, &spends.to_bytes(), &receipt_key(seed(number)))
}

/// The exchange's signer, with its own files: the real one.
pub(crate) struct Hot(pub(crate) Signer);

impl Hot {
    pub(crate) fn new(exchange: &Exchange) -> Self {
        Self::with(exchange, |pins| pins, system_clock())
    }

    /// The same with other pins and another clock.
    pub(crate) fn with(exchange: &Exchange, edit: impl FnOnce(String) -> String, clock: Clock) -> Self {
        let places = Places(exchange);
        let dir = places.path("signer");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
        let key = dir.join("receipt.key");
        std::fs::write(&key, format!("{}\n", to_base64url(&SEED))).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let release_key = holdfast(&["release-key", "--data", exchange.data().to_str().unwrap()]);
        let operator = |number: u8| {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
            to_base64url(pair.public_key().as_ref())
        };
        let bucket = r#"{ size = "1000", refill_per_hour = "0" }"#;
        let text = format!(
            r#"exchange = "harbor.example"
name = "harbor-hot"
release_keys = ["{}"]
receipt_key_file = "{}"
release_lifetime_max = "10m"
[operators]
threshold = 2
keys = {{ alice = "{}", bob = "{}", carol = "{}" }}
[policy]
initial = "{}"
[[wallets]]
name = "eth-hot"
network = "ethereum"
address = "{HOT}"
fee_max = "0.01"
fee_rate_max = "100"
fee_bucket = {bucket}
[[assets]]
symbol = "ETH"
network = "ethereum"
decimals = 18
buckets = {{ vouched = {bucket}, unvouched = {bucket} }}
"#,
            release_key.trim(),
            key.display(),
            operator(1),
            operator(2),
            operator(3),
            std::fs::read_to_string(places.path("policy.hash")).unwrap(),
        );
        let text = edit(text);
        let (pins, store) = (dir.join("signer.toml"), dir.join("signer.store"));
        let pin = |text: &str| {
            std::fs::write(&pins, text).unwrap();
            std::fs::set_permissions(&pins, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        pin(&text);
        let made = Signer::init(&pins, &store, 1).unwrap();
        pin(&format!("store = \"{}\"\n{text}", holdfast_server::record::hex(&made.store)));
        Self(Signer::open(Pins::load(&pins).unwrap(), &store, clock).unwrap())
    }

    pub(crate) fn authorise(&mut self, answer: &Answer, transaction: &[u8]) -> Result<Authorised, Refused> {
        self.0.authorise(&release(answer), transaction)
    }

    /// Its statement, in a file.
    pub(crate) fn statement(&mut self, places: &Places<'_>, name: &str) -> String {
        let statement = self.0.spends().unwrap();
        places.file(name, statement)
    }
}

pub(crate) fn id(text: &str) -> WithdrawalId {
    text.parse().unwrap()
}
