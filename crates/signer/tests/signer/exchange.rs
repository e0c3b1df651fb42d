//! A whole exchange around one signer: its folder, its keys, its clock, and Holdfast's releases as it would make them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{
    self, Kind, OperatorSignature, Payment, Receipt, Release, SignedAct, SigningKey,
};
use holdfast_signer::{Authorised, Clock, Pins, Refused, Signer};
use holdfast_transactions::{EvmFields, decode, evm_unsigned};
use holdfast_values::texts::{ExternalPayment, Nonce, OperatorText, Purpose, Seconds, TransferText, Window};
use holdfast_values::{
    Amount, Destination, Network, OperatorProof, ReleaseId, TextDigest, Timestamp, TransferId, WithdrawalId,
    WithdrawalText, time,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::house::{CHANGE, COLD, Coin, HOT, House, TAPROOT};
use crate::keys::{APP_ID, FIRSTS, ORIGIN, RP_ID};

/// 2026-11-22T12:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_348_800_000_000);
pub(crate) const CUSTOMER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
pub(crate) const OTHER: &str = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy";
pub(crate) const EVM_HOT: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
pub(crate) const EVM_CUSTOMER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
pub(crate) const USDT: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
pub(crate) const USDC: &str = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";

pub(crate) const BTC: u64 = 100_000_000;
/// What the pinned file of these tests lets leave of BTC, and burn as its fees.
pub(crate) const UNVOUCHED: u64 = 2 * BTC;
pub(crate) const VOUCHED: u64 = 20 * BTC;
pub(crate) const FEES: u64 = 200_000;

/// The policy that is pinned.
pub(crate) const POLICY: [u8; 32] = [9; 32];

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Cargo names one for tests, not for examples.
fn folder_for_tests() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

static FOLDERS: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Exchange {
    pub(crate) folder: PathBuf,
    pub(crate) house: House,
    pub(crate) release_key: SigningKey,
    pub(crate) receipt_key: [u8; 32],
    operators: BTreeMap<&'static str, Ed25519KeyPair>,
    clock: Arc<AtomicU64>,
    ids: AtomicU64,
    pub(crate) sequence: AtomicU64,
    pub(crate) simulated: bool,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Exchange {
    pub(crate) fn new() -> Self {
        Self::with(|pins| pins)
    }

    /// With a pinned file that is changed first.
    pub(crate) fn with(change: impl FnOnce(String) -> String) -> Self {
        let folder = folder_for_tests().join(format!(
            "signer-{}-{}",
            std::process::id(),
            FOLDERS.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let seeds = [("alice", 0xa1), ("bob", 0xb0), ("carol", 0xc0)];
        let operators = seeds
            .map(|(name, seed)| (name, Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()))
            .into_iter()
            .collect();
        let mut exchange = Self {
            folder,
            house: House::new(),
            release_key: SigningKey::from_seed(&[1; 32]),
            receipt_key: [0; 32],
            operators,
            clock: Arc::new(AtomicU64::new(START.0)),
            ids: AtomicU64::new(1),
            sequence: AtomicU64::new(100),
            simulated: false,
        };
        let pins = change(exchange.pins_text());
        exchange.simulated = pins.contains("simulated_clock = true");
        exchange.write_pins(&pins);
        let made = Signer::init(&exchange.pins_path(), &exchange.store_path(), 1).unwrap();
        exchange.receipt_key = made.receipt_key;
        let id: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
        exchange.write_pins(&format!("store = \"{id}\"\n{pins}"));
        exchange
    }

    pub(crate) fn pins_path(&self) -> PathBuf {
        self.folder.join("signer.toml")
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.folder.join("signer.db")
    }

    pub(crate) fn socket_path(&self) -> PathBuf {
        self.folder.join("s")
    }

    pub(crate) fn write_pins(&self, text: &str) {
        fs::write(self.pins_path(), text).unwrap();
        fs::set_permissions(self.pins_path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn pins_text(&self) -> String {
        let house = &self.house;
        let key = |name: &str| to_base64url(self.operators[name].public_key().as_ref());
        format!(
            r#"exchange = "harbor.example"
name = "harbor-hot"
simulated_clock = false
release_keys = ["{release}"]
receipt_key_file = "receipt.key"
release_lifetime_max = "10m"

[operators]
threshold = 2
keys = {{ alice = "{alice}", bob = "{bob}", carol = "{carol}" }}

[policy]
initial = "{policy}"
setup = "0s"

[approval]
rp_id = "{RP_ID}"
origins = ["{ORIGIN}"]
app_id = "{APP_ID}"
ageing = "72h"
enrolments_per_day = {FIRSTS}
user_verification = "optional"

[[wallets]]
name = "btc-hot"
network = "bitcoin"
descriptors = ["{hot}", "{change}", "{taproot}"]
fee_max = "0.001"
fee_rate_max = "400"
fee_bucket = {{ size = "0.002", refill_per_hour = "0.001" }}

[[wallets]]
name = "btc-cold"
network = "bitcoin"
descriptors = ["{cold}"]

[[wallets]]
name = "eth-hot"
network = "ethereum"
address = "{EVM_HOT}"
fee_max = "0.05"
fee_rate_max = "500"
fee_bucket = {{ size = "0.2", refill_per_hour = "0.1" }}

[[assets]]
symbol = "BTC"
network = "bitcoin"
decimals = 8
credential_cap = "4"
buckets = {{ vouched = {{ size = "20", refill_per_hour = "5" }}, unvouched = {{ size = "2", refill_per_hour = "1" }} }}

[[assets]]
symbol = "ETH"
network = "ethereum"
decimals = 18
credential_cap = "20"
buckets = {{ vouched = {{ size = "100", refill_per_hour = "50" }}, unvouched = {{ size = "10", refill_per_hour = "5" }} }}

[[assets]]
symbol = "USDT"
network = "ethereum"
decimals = 6
contract = "{USDT}"
credential_cap = "100000"
buckets = {{ vouched = {{ size = "1000000", refill_per_hour = "0" }}, unvouched = {{ size = "10000", refill_per_hour = "0" }} }}
"#,
            release = to_base64url(&self.release_key.public_key()),
            policy = hex(&POLICY),
            alice = key("alice"),
            bob = key("bob"),
            carol = key("carol"),
            hot = house.descriptor(HOT),
            change = house.descriptor(CHANGE),
            taproot = house.descriptor(TAPROOT),
            cold = house.descriptor(COLD),
        )
    }

    pub(crate) fn pins(&self) -> Pins {
        Pins::load(&self.pins_path()).unwrap()
    }

    pub(crate) fn clock(&self) -> Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.clock.store(now.0, Ordering::SeqCst);
    }

    pub(crate) fn wait(&self, span: u64) {
        self.set_clock(self.now().plus(span));
    }

    pub(crate) fn signer(&self) -> Signer {
        self.open().unwrap()
    }

    pub(crate) fn open(&self) -> Result<Signer, holdfast_signer::OpenError> {
        Signer::open(self.pins(), &self.store_path(), self.clock())
    }

    pub(crate) fn number(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A coin of the hot wallet.
    pub(crate) fn coin(&self, sats: u64) -> Coin {
        self.house.coin(HOT, u32::try_from(self.number()).unwrap(), sats)
    }

    pub(crate) fn nonce(&self) -> Nonce {
        let mut nonce = [7; 32];
        nonce[..8].copy_from_slice(&self.number().to_be_bytes());
        Nonce(nonce)
    }

    pub(crate) fn intent_of(
        &self,
        asset: &str,
        to: Destination,
        decimals: u8,
        units: u128,
    ) -> WithdrawalText {
        WithdrawalText {
            exchange: "harbor.example".parse().unwrap(),
            account: "ac_1".parse().unwrap(),
            withdrawal: WithdrawalId(u128::from(self.number())),
            asset: asset.parse().unwrap(),
            destination: to,
            decimals,
            amount: Amount::from_base_units(units),
            fee_max: Amount::from_base_units(1_000),
            not_after: Seconds::floor(self.now().plus(7 * time::DAY)),
            nonce: self.nonce(),
        }
    }

    /// A withdrawal of bitcoin.
    pub(crate) fn intent(&self, address: &str, sats: u64) -> WithdrawalText {
        let to = Destination::parse(Network::Bitcoin, address, None).unwrap();
        self.intent_of("BTC", to, 8, sats.into())
    }

    /// A release for a Bitcoin transaction of the hot wallet.
    pub(crate) fn release(&self, transaction: &[u8], intents: &[WithdrawalText]) -> Release {
        self.release_on(Network::Bitcoin, "btc-hot", transaction, intents)
    }

    pub(crate) fn release_on(
        &self,
        network: Network,
        wallet: &str,
        transaction: &[u8],
        intents: &[WithdrawalText],
    ) -> Release {
        let pins = self.pins();
        let payer = pins.payer(network, &wallet.parse().unwrap()).unwrap();
        // What cannot be decoded has no digest: the signer refuses it before it compares them.
        let digest = decode(transaction, payer.index, payer.known).map_or([0; 32], |decoded| decoded.digest);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        Release {
            id: ReleaseId(u128::from(self.number())),
            exchange: "harbor.example".parse().unwrap(),
            audience: "harbor-hot".parse().unwrap(),
            epoch: 1,
            sequence,
            head: [u8::try_from(sequence % 251).unwrap(); 32],
            policy: POLICY,
            simulated: self.simulated,
            not_before: self.now(),
            expires: self.now().plus(time::MINUTE),
            network,
            wallet: wallet.parse().unwrap(),
            transaction: digest,
            receipts_seen: 0,
            payments: intents
                .iter()
                .map(|text| Payment {
                    intent: text.to_string(),
                    approvals: vec![],
                    assertion: None,
                    mandate: None,
                })
                .collect(),
            transfer: None,
            epochs: vec![],
        }
    }

    /// A release of an internal transaction.
    pub(crate) fn transfer_release(&self, transaction: &[u8], text: &TransferText, by: &[&str]) -> Release {
        let mut release = self.release_on(text.network, text.wallet.as_str(), transaction, &[]);
        release.transfer = Some(self.sign(&text.to_string(), by));
        release
    }

    pub(crate) fn transfer(&self, external: Option<(&str, u64)>) -> TransferText {
        TransferText {
            exchange: "harbor.example".parse().unwrap(),
            transfer: TransferId(u128::from(self.number())),
            wallet: "btc-hot".parse().unwrap(),
            network: Network::Bitcoin,
            purpose: Purpose::Consolidation,
            asset: "BTC".parse().unwrap(),
            external: external.map(|(address, sats)| ExternalPayment {
                destination: Destination::parse(Network::Bitcoin, address, None).unwrap(),
                decimals: 8,
                amount: Amount::from_base_units(sats.into()),
            }),
            fee_max: Amount::from_base_units(100_000),
            not_after: Seconds::floor(self.now().plus(time::DAY)),
            nonce: self.nonce(),
        }
    }

    pub(crate) fn seal(&self, release: &Release) -> Vec<u8> {
        release::seal(Kind::Release, &release.to_bytes(), &self.release_key)
    }

    /// A text with the signatures of operators.
    pub(crate) fn sign(&self, text: &str, by: &[&str]) -> SignedAct {
        let digest = TextDigest::of(text.as_bytes());
        let signature = |name: &&str| OperatorSignature {
            operator: name.parse().unwrap(),
            signature: OperatorProof::Ed25519(
                self.operators[*name].sign(&digest.0).as_ref().try_into().unwrap(),
            ),
        };
        SignedAct { text: text.to_owned(), signatures: by.iter().map(signature).collect() }
    }

    /// An operators' text that is valid for a day.
    pub(crate) fn act_text(&self, act: &str, target: &str, detail: &str) -> OperatorText {
        let from = Seconds::floor(self.now());
        OperatorText {
            exchange: "harbor.example".parse().unwrap(),
            act: act.parse().unwrap(),
            target: target.parse().unwrap(),
            detail: detail.parse().unwrap(),
            payload: None,
            window: Window::new(from, Seconds::floor(self.now().plus(time::DAY))).unwrap(),
            nonce: self.nonce(),
        }
    }

    pub(crate) fn act(&self, act: &str, target: &str, detail: &str, by: &[&str]) -> SignedAct {
        self.sign(&self.act_text(act, target, detail).to_string(), by)
    }

    /// Operators' word for a withdrawal.
    pub(crate) fn approval(&self, intent: &WithdrawalText, by: &[&str]) -> SignedAct {
        let detail = format!("text={}", intent.digest());
        self.act("approve_withdrawal", &intent.withdrawal.to_string(), &detail, by)
    }

    pub(crate) fn ask(
        &self,
        signer: &mut Signer,
        release: &Release,
        transaction: &[u8],
    ) -> Result<Authorised, Refused> {
        signer.authorise(&self.seal(release), transaction)
    }

    /// The code with which a release is refused.
    pub(crate) fn refusal(&self, signer: &mut Signer, release: &Release, transaction: &[u8]) -> &'static str {
        match self.ask(signer, release, transaction) {
            Ok(_) => panic!("authorised"),
            Err(error) => error.code(),
        }
    }

    /// Pays one withdrawal of bitcoin.
    pub(crate) fn pay(&self, signer: &mut Signer, sats: u64) -> Result<Authorised, Refused> {
        let intent = self.intent(CUSTOMER, sats);
        let transaction = self.psbt(&[(CUSTOMER, sats)]);
        self.ask(signer, &self.release(&transaction, &[intent]), &transaction)
    }

    /// A transaction that pays from a fresh coin, with change.
    pub(crate) fn psbt(&self, outputs: &[(&str, u64)]) -> Vec<u8> {
        let paid: u64 = outputs.iter().map(|(_, sats)| sats).sum();
        self.house.pay(&[self.coin(paid + 1_000_000)], outputs, 2_000).serialize()
    }

    pub(crate) fn receipt(&self, bytes: &[u8]) -> Receipt {
        let (payload, _) = release::open(Kind::Receipt, bytes, &[self.receipt_key]).unwrap();
        Receipt::parse(&payload).unwrap()
    }
}

/// The twenty bytes of an EVM address.
pub(crate) fn evm_bytes(address: &str) -> [u8; 20] {
    holdfast_authn::encoding::hex(address.trim_start_matches("0x").as_bytes()).unwrap()
}

/// Calldata of an ERC-20 transfer.
pub(crate) fn erc20(to: &str, units: u128) -> Vec<u8> {
    let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
    data.extend([0; 12]);
    data.extend(evm_bytes(to));
    data.extend([0; 16]);
    data.extend(units.to_be_bytes());
    data
}

/// A token payment of the EVM wallet.
pub(crate) fn token_fields(nonce: u64, contract: &str, to: &str, units: u128) -> EvmFields {
    EvmFields {
        chain_id: 1,
        nonce,
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_gas: 30_000_000_000,
        gas_limit: 100_000,
        to: evm_bytes(contract),
        value: 0,
        data: erc20(to, units),
    }
}

pub(crate) fn evm(fields: &EvmFields) -> Vec<u8> {
    evm_unsigned(fields)
}
