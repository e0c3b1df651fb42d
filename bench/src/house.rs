//! The hot wallet of a little exchange: its keys, coins, payments and transactions, and the pinned file of its signer.
//!
//! Everything is made of numbers: the same number gives the same payment. What is done with it is another module's.

use std::cell::Cell;
use std::collections::BTreeMap;

use bitcoin::bip32::{ChildNumber, DerivationPath, Fingerprint, KeySource, Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::{Input, Output, Psbt};
use bitcoin::secp256k1::{All, PublicKey, Secp256k1};
use bitcoin::{
    Address, Amount as Sats, CompressedPublicKey, NetworkKind, OutPoint, ScriptBuf, Sequence, Transaction,
    TxIn, TxOut, Txid, WPubkeyHash, Witness, absolute::LockTime, transaction::Version,
};
use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{OperatorSignature, SignedAct};
use holdfast_transactions::{EvmFields, evm_unsigned};
use holdfast_values::texts::{Nonce, OperatorText, Seconds, Window};
use holdfast_values::{
    Amount, Destination, Network, OperatorProof, TextDigest, Timestamp, WithdrawalId, WithdrawalText, time,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::Failure;

/// The exchange of all texts.
pub(crate) const EXCHANGE: &str = "harbor.example";
/// The signer.
pub(crate) const SIGNER: &str = "harbor-hot";
/// The token that is paid, with six decimals.
pub(crate) const TOKEN: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
/// The account that pays it.
pub(crate) const EVM_HOT: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
/// What one payment in bitcoin is worth, in satoshi.
const SATS: u64 = 100_000;
/// What one payment of the token is worth, in its base units.
const UNITS: u64 = 5_000_000;
/// What a transaction costs: so much, and so much an output or input, in satoshi.
const FEE: [u64; 2] = [1_000, 200];
/// Coins lie at indexes below this.
const INDEXES: u64 = 100_000;

/// What pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Coins of a `wpkh` descriptor, each with the transaction that made it.
    Wpkh,
    /// Coins of a `tr` descriptor.
    Taproot,
    /// An ERC-20 transfer.
    Token,
}

impl Kind {
    pub(crate) const fn network(self) -> Network {
        match self {
            Self::Wpkh | Self::Taproot => Network::Bitcoin,
            Self::Token => Network::Ethereum,
        }
    }

    pub(crate) const fn wallet(self) -> &'static str {
        match self {
            Self::Wpkh | Self::Taproot => "btc-hot",
            Self::Token => "eth-hot",
        }
    }

    pub(crate) const fn asset(self) -> &'static str {
        match self {
            Self::Wpkh | Self::Taproot => "BTC",
            Self::Token => "USDT",
        }
    }

    /// A payment's amount in whole units.
    pub(crate) const fn amount(self) -> &'static str {
        match self {
            Self::Wpkh | Self::Taproot => "0.001",
            Self::Token => "5",
        }
    }

    /// Where the descriptors of coins and of change stand in the pinned file.
    const fn branches(self) -> [usize; 2] {
        match self {
            Self::Taproot => [2, 3],
            Self::Wpkh | Self::Token => [0, 1],
        }
    }
}

/// One ranged descriptor.
#[derive(Debug)]
struct Branch {
    path: String,
    taproot: bool,
    key: Xpub,
    text: String,
}

#[derive(Debug)]
pub(crate) struct House {
    secp: Secp256k1<All>,
    fingerprint: Fingerprint,
    branches: Vec<Branch>,
    operators: [(&'static str, Ed25519KeyPair); 2],
    next: Cell<u64>,
}

impl House {
    pub(crate) fn new() -> Result<Self, Failure> {
        let secp = Secp256k1::new();
        let master = Xpriv::new_master(NetworkKind::Main, &[0x17; 32])?;
        let fingerprint = master.fingerprint(&secp);
        let branch = |(account, step, taproot): (&str, u32, bool)| -> Result<Branch, Failure> {
            let path: DerivationPath = format!("m/{account}").parse()?;
            let key = Xpub::from_priv(&secp, &master.derive_priv(&secp, &path)?);
            let kind = if taproot { "tr" } else { "wpkh" };
            Ok(Branch {
                path: format!("m/{account}/{step}"),
                taproot,
                key: key.ckd_pub(&secp, ChildNumber::from_normal_idx(step)?)?,
                text: format!("{kind}([{fingerprint}/{account}]{key}/{step}/*)"),
            })
        };
        let branches = [
            ("84'/0'/0'", 0, false),
            ("84'/0'/0'", 1, false),
            ("86'/0'/0'", 0, true),
            ("86'/0'/0'", 1, true),
        ];
        let branches = branches.into_iter().map(branch).collect::<Result<_, _>>()?;
        let operator = |name, seed: u8| -> Result<_, Failure> {
            let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]);
            Ok((name, key.map_err(|error| error.to_string())?))
        };
        let operators = [operator("alice", 0xa1)?, operator("bob", 0xb0)?];
        Ok(Self { secp, fingerprint, branches, operators, next: Cell::new(1) })
    }

    /// A number that was not given before.
    pub(crate) fn number(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number.saturating_add(1));
        number
    }

    /// The descriptors as `TOML` writes a list.
    pub(crate) fn descriptors(&self) -> String {
        let texts: Vec<String> = self.branches.iter().map(|branch| format!("\"{}\"", branch.text)).collect();
        format!("[{}]", texts.join(", "))
    }

    /// The signer's pinned file without its store: everything ample, so that nothing is refused.
    pub(crate) fn pins(&self, release_key: &str) -> String {
        let [alice, bob] = &self.operators;
        let key = |(name, key): &(&str, Ed25519KeyPair)| {
            format!("{name} = \"{}\"", to_base64url(key.public_key().as_ref()))
        };
        let bucket = |size: &str| format!("{{ size = \"{size}\", refill_per_hour = \"0\" }}");
        let buckets = |size: &str| format!("{{ vouched = {0}, unvouched = {0} }}", bucket(size));
        format!(
            r#"exchange = "{EXCHANGE}"
name = "{SIGNER}"
release_keys = ["{release_key}"]
receipt_key_file = "receipt.key"
release_lifetime_max = "10m"
[operators]
threshold = 2
keys = {{ {alice}, {bob} }}
[policy]
initial = "{policy}"
[[wallets]]
name = "btc-hot"
network = "bitcoin"
descriptors = {descriptors}
fee_max = "0.01"
fee_rate_max = "1000"
fee_bucket = {fees}
[[wallets]]
name = "eth-hot"
network = "ethereum"
address = "{EVM_HOT}"
fee_max = "0.05"
fee_rate_max = "500"
fee_bucket = {fees}
[[assets]]
symbol = "BTC"
network = "bitcoin"
decimals = 8
buckets = {bitcoin}
[[assets]]
symbol = "USDT"
network = "ethereum"
decimals = 6
contract = "{TOKEN}"
buckets = {token}
"#,
            policy = "09".repeat(32),
            alice = key(alice),
            bob = key(bob),
            descriptors = self.descriptors(),
            fees = bucket("100000"),
            bitcoin = buckets("1000000"),
            token = buckets("1000000000"),
        )
    }

    /// One derivation as a verifier does it for each coin, by itself: the child key, and for taproot its tweak.
    pub(crate) fn derive(&self, kind: Kind, index: u32) -> Result<ScriptBuf, Failure> {
        let [coins, _] = kind.branches();
        self.script(self.branch(coins)?, index)
    }

    fn branch(&self, place: usize) -> Result<&Branch, Failure> {
        self.branches.get(place).ok_or_else(|| "there is no such descriptor".into())
    }

    fn public(&self, branch: &Branch, index: u32) -> Result<PublicKey, Failure> {
        Ok(branch.key.ckd_pub(&self.secp, ChildNumber::from_normal_idx(index)?)?.public_key)
    }

    fn script(&self, branch: &Branch, index: u32) -> Result<ScriptBuf, Failure> {
        let key = CompressedPublicKey(self.public(branch, index)?);
        Ok(if branch.taproot {
            ScriptBuf::new_p2tr(&self.secp, key.into(), None)
        } else {
            ScriptBuf::new_p2wpkh(&key.wpubkey_hash())
        })
    }

    fn hint(&self, branch: &Branch, index: u32) -> Result<(PublicKey, KeySource), Failure> {
        let path: DerivationPath = format!("{}/{index}", branch.path).parse()?;
        Ok((self.public(branch, index)?, (self.fingerprint, path)))
    }

    /// The final bytes of a transaction that makes these payments, from so many coins of its own.
    pub(crate) fn transaction(&self, kind: Kind, coins: usize, payments: &[u64]) -> Result<Vec<u8>, Failure> {
        match kind {
            Kind::Wpkh | Kind::Taproot => self.psbt(kind, coins, payments),
            Kind::Token => self.token(payments),
        }
    }

    fn token(&self, payments: &[u64]) -> Result<Vec<u8>, Failure> {
        let [payment] = payments else { return Err("an EVM transaction makes one payment".into()) };
        let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
        data.extend([0; 12]);
        data.extend(digest(*payment).first_chunk::<20>().copied().unwrap_or_default());
        data.extend([0; 24]);
        data.extend(UNITS.to_be_bytes());
        let to = holdfast_authn::encoding::hex(TOKEN.trim_start_matches("0x").as_bytes());
        Ok(evm_unsigned(&EvmFields {
            chain_id: 1,
            nonce: self.number(),
            max_priority_fee_per_gas: 1_000_000_000,
            max_fee_per_gas: 30_000_000_000,
            gas_limit: 100_000,
            to: to.ok_or("no address")?,
            value: 0,
            data,
        }))
    }

    /// The first coin is the change of an earlier batch like this one, the others came from customers.
    fn psbt(&self, kind: Kind, coins: usize, payments: &[u64]) -> Result<Vec<u8>, Failure> {
        let [own, change] = kind.branches();
        let (own, change) = (self.branch(own)?, self.branch(change)?);
        let [base, each] = FEE;
        let counted = u64::try_from(coins.saturating_add(payments.len()))?;
        let paid = u64::try_from(payments.len())?.saturating_mul(SATS);
        let fee = base.saturating_add(each.saturating_mul(counted));
        let left = 7_654_321;
        let (mut inputs, mut maps) = (Vec::new(), Vec::new());
        for place in 0..coins {
            let first = place == 0;
            let number = self.number();
            let (branch, index) = (if first { change } else { own }, u32::try_from(number % INDEXES)?);
            let value = if first { paid.saturating_add(fee).saturating_add(left) } else { 50_000 };
            let coin = TxOut { value: Sats::from_sat(value), script_pubkey: self.script(branch, index)? };
            let others = if first { payments } else { &[number] };
            let mut outputs: Vec<TxOut> =
                others.iter().map(|payment| output(number ^ payment << 20)).collect();
            outputs.push(coin.clone());
            let previous = transaction(vec![spending(outpoint(number), &[7; 107])], outputs);
            let vout = u32::try_from(others.len())?;
            inputs.push(spending(OutPoint { txid: previous.compute_txid(), vout }, &[]));
            let (key, source) = self.hint(branch, index)?;
            let mut map = Input { witness_utxo: Some(coin), ..Input::default() };
            if branch.taproot {
                let key = key.x_only_public_key().0;
                map.tap_internal_key = Some(key);
                map.tap_key_origins = BTreeMap::from([(key, (Vec::new(), source))]);
            } else {
                map.non_witness_utxo = Some(previous);
                map.bip32_derivation = BTreeMap::from([(key, source)]);
            }
            maps.push(map);
        }
        let extra = u64::try_from(coins.saturating_sub(1))?.saturating_mul(50_000);
        let index = u32::try_from(self.number() % INDEXES)?;
        let mut outputs: Vec<TxOut> = payments.iter().map(|payment| output(*payment)).collect();
        let value = Sats::from_sat(extra.saturating_add(left));
        outputs.push(TxOut { value, script_pubkey: self.script(change, index)? });
        let mut psbt = Psbt::from_unsigned_tx(transaction(inputs, outputs))?;
        psbt.inputs = maps;
        let (key, source) = self.hint(change, index)?;
        if let Some(map) = psbt.outputs.last_mut() {
            *map = if change.taproot {
                let origins = BTreeMap::from([(key.x_only_public_key().0, (Vec::new(), source))]);
                Output { tap_key_origins: origins, ..Output::default() }
            } else {
                Output { bip32_derivation: BTreeMap::from([(key, source)]), ..Output::default() }
            };
        }
        Ok(psbt.serialize())
    }

    /// What a customer asked for, as a text.
    pub(crate) fn intent(&self, kind: Kind, payment: u64, now: Timestamp) -> Result<WithdrawalText, Failure> {
        let (decimals, units) = match kind {
            Kind::Wpkh | Kind::Taproot => (8, SATS),
            Kind::Token => (6, UNITS),
        };
        Ok(WithdrawalText {
            exchange: EXCHANGE.parse()?,
            account: format!("ac_{}", payment % 4_000).parse()?,
            withdrawal: WithdrawalId(u128::from(now.0 / 1_000) << 80 | u128::from(payment)),
            asset: kind.asset().parse()?,
            destination: Destination::parse(kind.network(), &address(kind, payment)?, None)?,
            decimals,
            amount: Amount::from_base_units(units.into()),
            fee_max: Amount::from_base_units(1_000),
            not_after: Seconds::floor(now.plus(7 * time::DAY)),
            nonce: Nonce(digest(payment)),
        })
    }

    /// Both operators' word for a withdrawal.
    pub(crate) fn approval(&self, intent: &WithdrawalText, now: Timestamp) -> Result<SignedAct, Failure> {
        let from = now.minus(time::MINUTE);
        let text = OperatorText {
            exchange: intent.exchange.clone(),
            act: "approve_withdrawal".parse()?,
            target: intent.withdrawal.to_string().parse()?,
            detail: format!("text={}", intent.digest()).parse()?,
            payload: None,
            window: Window::new(Seconds::floor(from), Seconds::floor(now.plus(time::DAY)))?,
            nonce: Nonce(digest(self.number())),
        };
        let text = text.to_string();
        let message = TextDigest::of(text.as_bytes());
        let signature = |(name, key): &(&str, Ed25519KeyPair)| -> Result<_, Failure> {
            Ok(OperatorSignature {
                operator: name.parse()?,
                signature: OperatorProof::Ed25519(key.sign(&message.0).as_ref().try_into()?),
            })
        };
        let signatures = self.operators.iter().map(signature).collect::<Result<_, _>>()?;
        Ok(SignedAct { text, signatures })
    }
}

fn digest(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_be_bytes()).as_bytes()
}

fn outpoint(number: u64) -> OutPoint {
    OutPoint { txid: Txid::from_byte_array(digest(number)), vout: 3 }
}

fn spending(previous_output: OutPoint, witness: &[u8]) -> TxIn {
    TxIn {
        previous_output,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: if witness.is_empty() { Witness::new() } else { Witness::from_slice(&[witness]) },
        ..TxIn::default()
    }
}

fn transaction(input: Vec<TxIn>, output: Vec<TxOut>) -> Transaction {
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

fn payee(payment: u64) -> ScriptBuf {
    let program = digest(payment).first_chunk::<20>().copied().unwrap_or_default();
    ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(program))
}

fn output(payment: u64) -> TxOut {
    TxOut { value: Sats::from_sat(SATS), script_pubkey: payee(payment) }
}

/// To whom a payment goes: an address of its own.
pub(crate) fn address(kind: Kind, payment: u64) -> Result<String, Failure> {
    match kind {
        Kind::Wpkh | Kind::Taproot => {
            Ok(Address::from_script(&payee(payment), bitcoin::Network::Bitcoin)?.to_string())
        }
        Kind::Token => {
            let digest = digest(payment);
            let digits = digest.iter().take(20).map(|byte| format!("{byte:02x}"));
            Ok(format!("0x{}", digits.collect::<String>()))
        }
    }
}
