//! An exchange around one real signer: its folder, its pinned file, its clock, transactions as a wallet makes them, and
//! releases as whoever has Holdfast's key makes them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::{Input, Output, Psbt};
use bitcoin::secp256k1::{All, Secp256k1};
use bitcoin::{NetworkKind, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use holdfast_authn::encoding::{hex, to_base64url};
use holdfast_authn::release::{self, Kind, Payment, Release, SignedAct, SigningKey};
use holdfast_signer::{Clock, Pins, Refused, Signer};
use holdfast_transactions::{EvmFields, decode, evm_unsigned};
use holdfast_values::texts::{ExchangeName, Nonce, Seconds, TransferText};
use holdfast_values::{
    Amount, Destination, Network, ReleaseId, Timestamp, TransferId, WithdrawalId, WithdrawalText, time,
};

use super::super::coins::Coins;
use crate::exchange::Exchange;

const NAME: &str = "harbor.example";
const HOT: &str = "84'/0'/0'/0";
const CHANGE: &str = "84'/0'/0'/1";
/// The ether wallets: the vault, and the hot one.
pub(super) const ETH_VAULT: (&str, &str) = ("eth-vault", "0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4");
pub(super) const ETH_HOT: (&str, &str) = ("eth-hot", "0x52908400098527886E0F7030069857D2E4169EE7");
/// Invented: the thief's.
const THIEF_ETHER: &str = "0x8617E340B3D01FA5F11F306F4090FD50E238070D";
/// What each of his bitcoin transactions burns: as much as is pinned.
pub(in super::super) const FEE: Coins = Coins(100_000);
/// What the pinned file lets burn, and again in an hour.
#[cfg(test)]
pub(in super::super) const FEE_BUCKET: Coins = Coins(1_000_000);
const POLICY: [u8; 32] = [9; 32];

/// Why the rig could not be put up, or did not do what it does on good days: then the drill says nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file, or a folder.
    #[error("the signer's folder cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// Something of the rig's own is not what it should be.
    #[error("the signer's surroundings are wrong: {0}")]
    Rig(String),
    /// An honest transaction was refused.
    #[error("the signer refused what it should have signed: {0}")]
    Control(&'static str),
}

/// Errors that only a mistake in this file makes.
macro_rules! wrong {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for VaultError {
            fn from(error: $error) -> Self {
                Self::Rig(error.to_string())
            }
        })*
    };
}
wrong!(
    holdfast_signer::OpenError,
    holdfast_transactions::TransactionError,
    bitcoin::bip32::Error,
    bitcoin::psbt::Error,
    bitcoin::address::ParseError,
    bitcoin::address::FromScriptError,
);

impl VaultError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "vault_io",
            Self::Rig(_) => "vault_rig",
            Self::Control(_) => "vault_control",
        }
    }
}

static FOLDERS: AtomicU64 = AtomicU64::new(0);

pub(super) struct Rig {
    folder: PathBuf,
    secp: Secp256k1<All>,
    master: Xpriv,
    key: SigningKey,
    clock: Arc<AtomicU64>,
    next: u64,
}

impl Drop for Rig {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Rig {
    /// A signer whose buckets are the exchange's.
    pub(super) fn new(exchange: &Exchange, at: Timestamp) -> Result<Self, VaultError> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("holdfast-vault-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        let rig = Self {
            folder,
            secp: Secp256k1::new(),
            master: Xpriv::new_master(NetworkKind::Main, &[0x17; 32])?,
            key: SigningKey::from_seed(&[1; 32]),
            clock: Arc::new(AtomicU64::new(at.0)),
            next: 1,
        };
        let pins = rig.pins_text(exchange)?;
        rig.write_pins(&pins)?;
        let made = Signer::init(&rig.pins_path(), &rig.folder.join("signer.db"), 1)?;
        let id: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
        rig.write_pins(&format!("store = \"{id}\"\n{pins}"))?;
        Ok(rig)
    }

    pub(super) fn signer(&self) -> Result<Signer, VaultError> {
        let clock = Arc::clone(&self.clock);
        let clock: Clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
        Ok(Signer::open(self.pins()?, &self.folder.join("signer.db"), clock)?)
    }

    fn pins_path(&self) -> PathBuf {
        self.folder.join("signer.toml")
    }

    fn pins(&self) -> Result<Pins, VaultError> {
        Pins::load(&self.pins_path()).map_err(|error| VaultError::Rig(error.to_string()))
    }

    fn write_pins(&self, text: &str) -> Result<(), VaultError> {
        fs::write(self.pins_path(), text)?;
        Ok(fs::set_permissions(self.pins_path(), fs::Permissions::from_mode(0o600))?)
    }

    fn pins_text(&self, exchange: &Exchange) -> Result<String, VaultError> {
        let operators: Vec<String> = [("olivia", 0xa1), ("otto", 0xb0), ("oskar", 0xc0)]
            .iter()
            .map(|(name, seed)| {
                format!("{name} = \"{}\"", to_base64url(&SigningKey::from_seed(&[*seed; 32]).public_key()))
            })
            .collect();
        let assets: Vec<String> = [
            ("BTC", "bitcoin", 8, Coins::whole(exchange.hot_wallet_btc)),
            ("ETH", "ethereum", 18, Coins::whole(exchange.hot_wallet_eth)),
        ]
        .iter()
        .map(|(symbol, network, decimals, wallet)| {
            let bucket = |permille| {
                let share = wallet.permille(permille).text();
                format!("{{ size = \"{share}\", refill_per_hour = \"{share}\" }}")
            };
            format!(
                "[[assets]]\nsymbol = \"{symbol}\"\nnetwork = \"{network}\"\ndecimals = {decimals}\n\
                 credential_cap = \"{}\"\nbuckets = {{ vouched = {}, unvouched = {} }}\n",
                wallet.permille(exchange.signer_permille.credential).text(),
                bucket(exchange.signer_permille.vouched),
                bucket(exchange.signer_permille.unvouched),
            )
        })
        .collect();
        let ether: Vec<String> = [ETH_VAULT, ETH_HOT]
            .iter()
            .map(|(name, address)| {
                format!(
                    "[[wallets]]\nname = \"{name}\"\nnetwork = \"ethereum\"\naddress = \"{address}\"\nfee_max = \"0.05\"\n\
                     fee_rate_max = \"500\"\nfee_bucket = {{ size = \"0.2\", refill_per_hour = \"0.1\" }}\n"
                )
            })
            .collect();
        Ok(format!(
            r#"exchange = "{NAME}"
name = "harbor-hot"
simulated_clock = false
release_keys = ["{release}"]
receipt_key_file = "receipt.key"
release_lifetime_max = "10m"

[operators]
threshold = 2
keys = {{ {operators} }}

[policy]
initial = "{policy}"
setup = "0s"

[approval]
rp_id = "approve.{NAME}"
origins = ["https://approve.{NAME}"]
ageing = "72h"
enrolments_per_day = 10
user_verification = "optional"

[[wallets]]
name = "btc-hot"
network = "bitcoin"
descriptors = ["{hot}", "{change}"]
fee_max = "0.001"
fee_rate_max = "1000"
fee_bucket = {{ size = "0.01", refill_per_hour = "0.01" }}

{ether}
{assets}"#,
            release = to_base64url(&self.key.public_key()),
            policy = "09".repeat(32),
            operators = operators.join(", "),
            hot = self.descriptor(HOT)?,
            change = self.descriptor(CHANGE)?,
            ether = ether.join("\n"),
            assets = assets.join("\n"),
        ))
    }

    fn public(&self, branch: &str, index: u32) -> Result<bitcoin::secp256k1::PublicKey, VaultError> {
        let path: DerivationPath = format!("m/{branch}/{index}").parse()?;
        Ok(Xpub::from_priv(&self.secp, &self.master.derive_priv(&self.secp, &path)?).public_key)
    }

    fn descriptor(&self, branch: &str) -> Result<String, VaultError> {
        let (account, step) = branch.rsplit_once('/').unwrap_or((branch, "0"));
        let path: DerivationPath = format!("m/{account}").parse()?;
        let key = Xpub::from_priv(&self.secp, &self.master.derive_priv(&self.secp, &path)?);
        Ok(format!("wpkh([{}/{account}]{key}/{step}/*)", self.master.fingerprint(&self.secp)))
    }

    fn script(&self, branch: &str, index: u32) -> Result<ScriptBuf, VaultError> {
        let key = bitcoin::CompressedPublicKey(self.public(branch, index)?);
        Ok(ScriptBuf::new_p2wpkh(&key.wpubkey_hash()))
    }

    /// A transaction of the hot wallet that pays the thief from a fresh coin, with change, and burns what it may.
    pub(super) fn psbt(&mut self, amount: Coins) -> Result<Vec<u8>, VaultError> {
        let index = u32::try_from(self.number() % 1_000).unwrap_or_default();
        let mut id = [0x33; 32];
        let number = self.number().to_be_bytes();
        for (byte, of) in id.iter_mut().zip(number) {
            *byte = of;
        }
        let change = Coins(1_000_000);
        let value = bitcoin::Amount::from_sat(amount.plus(change).plus(FEE).0);
        let coin = transaction(
            TxIn {
                previous_output: OutPoint { txid: bitcoin::Txid::from_byte_array(id), vout: 3 },
                sequence: Sequence::MAX,
                witness: Witness::from_slice(&[[7u8; 71]]),
                ..TxIn::default()
            },
            vec![TxOut { value, script_pubkey: self.script(HOT, index)? }],
        );
        let outputs = vec![
            TxOut { value: bitcoin::Amount::from_sat(amount.0), script_pubkey: thief_script() },
            TxOut { value: bitcoin::Amount::from_sat(change.0), script_pubkey: self.script(CHANGE, 4)? },
        ];
        let spends = TxIn {
            previous_output: OutPoint { txid: coin.compute_txid(), vout: 0 },
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        };
        let mut psbt = Psbt::from_unsigned_tx(transaction(spends, outputs))?;
        let hint = |branch: &str, index: u32| -> Result<_, VaultError> {
            let path: DerivationPath = format!("m/{branch}/{index}").parse()?;
            Ok([(self.public(branch, index)?, (self.master.fingerprint(&self.secp), path))].into())
        };
        psbt.inputs = vec![Input {
            witness_utxo: coin.output.first().cloned(),
            non_witness_utxo: Some(coin),
            bip32_derivation: hint(HOT, index)?,
            ..Input::default()
        }];
        psbt.outputs =
            vec![Output::default(), Output { bip32_derivation: hint(CHANGE, 4)?, ..Output::default() }];
        Ok(psbt.serialize())
    }

    /// A transaction of an ether wallet.
    pub(super) fn ether(&mut self, to: &str, value: u128, data: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        let to = hex(to.trim_start_matches("0x").as_bytes())
            .ok_or_else(|| VaultError::Rig(format!("{to} is no address")))?;
        Ok(evm_unsigned(&EvmFields {
            chain_id: 1,
            nonce: self.number(),
            max_priority_fee_per_gas: 1_000_000_000,
            max_fee_per_gas: 30_000_000_000,
            gas_limit: if data.is_empty() { 21_000 } else { 300_000 },
            to,
            value,
            data,
        }))
    }

    pub(super) fn ether_hot(&mut self, to: &str, value: u128) -> Result<Vec<u8>, VaultError> {
        self.ether(to, value, Vec::new())
    }

    pub(super) fn thief_ether(&self) -> &'static str {
        THIEF_ETHER
    }

    pub(super) fn thief_bitcoin(&self) -> String {
        bitcoin::Address::from_script(&thief_script(), bitcoin::Network::Bitcoin)
            .map(|address| address.to_string())
            .unwrap_or_default()
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    pub(super) fn nonce(&mut self) -> Nonce {
        let mut nonce = [7; 32];
        for (byte, of) in nonce.iter_mut().zip(self.number().to_be_bytes()) {
            *byte = of;
        }
        Nonce(nonce)
    }

    pub(super) fn transfer_id(&mut self) -> TransferId {
        TransferId(u128::from(self.number()))
    }

    pub(super) fn name(&self) -> Result<ExchangeName, VaultError> {
        NAME.parse().map_err(wrong)
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    pub(super) fn wait(&self, span: u64) {
        self.clock.store(self.now().plus(span).0, Ordering::SeqCst);
    }

    pub(super) fn until(&self, span: u64) -> Seconds {
        Seconds::floor(self.now().plus(span))
    }

    /// The text of a withdrawal that no customer asked for.
    pub(super) fn intent(
        &mut self,
        asset: &str,
        network: Network,
        address: &str,
        decimals: u8,
        units: u128,
    ) -> Result<WithdrawalText, VaultError> {
        Ok(WithdrawalText {
            exchange: self.name()?,
            account: "ac_000001".parse().map_err(wrong)?,
            withdrawal: WithdrawalId(u128::from(self.number())),
            asset: asset.parse().map_err(wrong)?,
            destination: Destination::parse(network, address, None).map_err(wrong)?,
            decimals,
            amount: Amount::from_base_units(units),
            fee_max: Amount::from_base_units(100_000),
            not_after: self.until(7 * time::DAY),
            nonce: self.nonce(),
        })
    }

    /// The release of a withdrawal, of a network's hot wallet.
    pub(super) fn release(
        &mut self,
        transaction: &[u8],
        intent: &WithdrawalText,
    ) -> Result<Release, VaultError> {
        let network = intent.destination.network();
        let wallet = if network == Network::Bitcoin { "btc-hot" } else { ETH_HOT.0 };
        let mut release = self.release_on(network, wallet, transaction)?;
        let text = intent.to_string();
        release.payments = vec![Payment { intent: text, approvals: vec![], assertion: None, mandate: None }];
        Ok(release)
    }

    /// The release of an internal transaction.
    pub(super) fn transfer(
        &mut self,
        transaction: &[u8],
        text: &TransferText,
    ) -> Result<Release, VaultError> {
        let mut release = self.release_on(text.network, text.wallet.as_str(), transaction)?;
        release.transfer = Some(SignedAct { text: text.to_string(), signatures: vec![] });
        Ok(release)
    }

    fn release_on(
        &mut self,
        network: Network,
        wallet: &str,
        transaction: &[u8],
    ) -> Result<Release, VaultError> {
        let pins = self.pins()?;
        let wallet = wallet.parse().map_err(wrong)?;
        let payer =
            pins.payer(network, &wallet).ok_or_else(|| VaultError::Rig("no such wallet".to_owned()))?;
        // What cannot be decoded has no digest: the signer refuses it before it compares them.
        let digest = decode(transaction, payer.index, payer.known).map_or([0; 32], |decoded| decoded.digest);
        let sequence = self.number();
        Ok(Release {
            id: ReleaseId(u128::from(self.number())),
            exchange: self.name()?,
            audience: "harbor-hot".parse().map_err(wrong)?,
            epoch: 1,
            sequence,
            head: [u8::try_from(sequence % 251).unwrap_or_default(); 32],
            policy: POLICY,
            simulated: false,
            not_before: self.now(),
            expires: self.now().plus(time::MINUTE),
            network,
            wallet,
            transaction: digest,
            receipts_seen: 0,
            payments: vec![],
            transfer: None,
            epochs: vec![],
        })
    }

    /// What the signer says.
    pub(super) fn ask(
        &self,
        signer: &mut Signer,
        release: &Release,
        transaction: &[u8],
    ) -> Result<(), Refused> {
        let sealed = release::seal(Kind::Release, &release.to_bytes(), &self.key);
        signer.authorise(&sealed, transaction).map(drop)
    }
}

pub(super) fn wrong(error: impl std::fmt::Display) -> VaultError {
    VaultError::Rig(error.to_string())
}

fn thief_script() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_byte_array([0x66; 20]))
}

fn transaction(input: TxIn, output: Vec<TxOut>) -> Transaction {
    Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![input],
        output,
    }
}
