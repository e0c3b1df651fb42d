//! Bitcoin transactions: which coins pay, what the fee is, and the PSBT that says so. Decides nothing about who is paid.

use std::collections::BTreeMap;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, transaction,
};
use holdfast_values::Network;
use miniscript::psbt::{PsbtInputExt as _, PsbtOutputExt as _};
use miniscript::{DefiniteDescriptorKey, Descriptor, DescriptorPublicKey};

use super::book::{Coin, Payment};
use super::config::Bitcoin;

/// Change under this is left to the miners.
const CHANGE_LEAST: u64 = 1_000;
/// Coins of one transaction.
pub(crate) const COINS_MAX: usize = 400;

/// Why a transaction cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("the wallet has not enough confirmed coins")]
    Insufficient,
    #[error("{0} would get less than a node relays: it waits for ever")]
    Dust(String),
    #[error("{0} is no address of this network")]
    Address(String),
    #[error("the fee would be {fee}, at most {max} is allowed")]
    FeeMax { fee: u128, max: u128 },
    #[error("a descriptor gives no script: {0}")]
    Descriptor(String),
}

/// What is wanted.
pub(crate) struct Wanted<'a> {
    /// Spent in any case.
    pub(crate) must: &'a [Coin],
    /// Spent in this order as far as needed.
    pub(crate) may: &'a [Coin],
    pub(crate) payments: &'a [Payment],
    /// Satoshi for 1,000 virtual bytes.
    pub(crate) rate: u64,
    /// The least fee, whatever the rate says.
    pub(crate) fee_least: u64,
    /// The most that it may be.
    pub(crate) fee_max: u128,
    /// The change descriptor's index.
    pub(crate) change: u32,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) coins: Vec<Coin>,
    pub(crate) fee: u64,
    outputs: Vec<TxOut>,
    /// The last output is change, at this index.
    pub(crate) change: Option<u32>,
}

/// A wallet's descriptors, parsed.
pub(crate) struct Scripts {
    descriptors: Vec<Descriptor<DescriptorPublicKey>>,
    change: u8,
    network: bitcoin::Network,
}

impl Scripts {
    pub(crate) fn new(wallet: &Bitcoin, network: Network) -> Result<Self, BuildError> {
        let parse = |text: &String| {
            text.parse().map_err(|error: miniscript::Error| BuildError::Descriptor(error.to_string()))
        };
        Ok(Self {
            descriptors: wallet.descriptors.iter().map(parse).collect::<Result<_, _>>()?,
            change: wallet.change,
            network: match network {
                Network::BitcoinTestnet => bitcoin::Network::Testnet,
                Network::BitcoinSignet => bitcoin::Network::Signet,
                Network::BitcoinRegtest => bitcoin::Network::Regtest,
                _ => bitcoin::Network::Bitcoin,
            },
        })
    }

    fn at(&self, descriptor: u8, index: u32) -> Result<Descriptor<DefiniteDescriptorKey>, BuildError> {
        let found = self.descriptors.get(usize::from(descriptor));
        let found =
            found.ok_or_else(|| BuildError::Descriptor(format!("there is no descriptor {descriptor}")))?;
        found.at_derivation_index(index).map_err(|error| BuildError::Descriptor(error.to_string()))
    }

    fn script(&self, address: &str) -> Result<ScriptBuf, BuildError> {
        let parsed: Option<bitcoin::Address<_>> = address.parse().ok();
        let checked = parsed.and_then(|address| address.require_network(self.network).ok());
        checked.map(|address| address.script_pubkey()).ok_or_else(|| BuildError::Address(address.to_owned()))
    }

    fn is_taproot(&self, descriptor: u8) -> bool {
        matches!(self.descriptors.get(usize::from(descriptor)), Some(Descriptor::Tr(_)))
    }

    /// Weight units of an input with its signature.
    fn input_weight(&self, coin: &Coin) -> u64 {
        // Outpoint, empty script, sequence; then a Schnorr signature, or an ECDSA signature and a key.
        let witness = if self.is_taproot(coin.descriptor) { 66 } else { 108 };
        41 * 4 + witness
    }

    /// Chooses coins, so that all is paid, the fee included.
    pub(crate) fn plan(&self, wanted: &Wanted<'_>) -> Result<Plan, BuildError> {
        let mut outputs = Vec::with_capacity(wanted.payments.len().saturating_add(1));
        let mut owed = 0u64;
        for payment in wanted.payments {
            let script_pubkey = self.script(&payment.address)?;
            let value = u64::try_from(payment.amount).map_err(|_| BuildError::Insufficient)?;
            if Amount::from_sat(value) < script_pubkey.minimal_non_dust() {
                return Err(BuildError::Dust(payment.withdrawal.clone().unwrap_or_default()));
            }
            owed = owed.checked_add(value).ok_or(BuildError::Insufficient)?;
            outputs.push(TxOut { value: Amount::from_sat(value), script_pubkey });
        }
        let change_script = self.at(self.change, wanted.change)?.script_pubkey();
        let output_weight =
            |script: &ScriptBuf| u64::try_from(script.len()).unwrap_or(u64::MAX).saturating_add(9) * 4;
        // Version, lock time, two counts of up to three bytes, and the mark of a witness.
        let fixed =
            outputs.iter().map(|output| output_weight(&output.script_pubkey)).fold(58, u64::saturating_add);
        let fee_at = |weight: u64| {
            let vsize = weight.div_ceil(4);
            let fee = vsize.saturating_mul(wanted.rate).div_ceil(1_000);
            // A replacement pays for its own relay on top of what it replaces.
            fee.max(vsize).max(if wanted.fee_least > 0 { wanted.fee_least.saturating_add(vsize) } else { 0 })
        };
        let mut coins: Vec<Coin> = Vec::new();
        let mut weight = fixed;
        let mut sum = 0u64;
        let mut more = wanted.must.iter().chain(wanted.may);
        loop {
            let enough = coins.len() >= wanted.must.len().max(1);
            let (plain, with_change) =
                (fee_at(weight), fee_at(weight.saturating_add(output_weight(&change_script))));
            let left = sum.checked_sub(owed);
            let change =
                left.and_then(|left| left.checked_sub(with_change)).filter(|left| *left >= CHANGE_LEAST);
            let paid = left.filter(|left| *left >= plain && !outputs.is_empty());
            let fee = match (change, paid) {
                (Some(_), _) => Some(with_change),
                // What is too little for change goes to the miners.
                (None, Some(left)) => Some(left),
                (None, None) => None,
            };
            if let Some(fee) = fee.filter(|_| enough) {
                if u128::from(fee) > wanted.fee_max {
                    return Err(BuildError::FeeMax { fee: u128::from(fee), max: wanted.fee_max });
                }
                if let Some(value) = change {
                    outputs.push(TxOut { value: Amount::from_sat(value), script_pubkey: change_script });
                }
                return Ok(Plan { coins, fee, outputs, change: change.map(|_| wanted.change) });
            }
            let next = more.next().filter(|_| coins.len() < COINS_MAX).ok_or(BuildError::Insufficient)?;
            weight = weight.saturating_add(self.input_weight(next));
            sum = sum.saturating_add(next.value);
            coins.push(next.clone());
        }
    }

    /// The transactions that a plan's PSBT must hold whole: a taproot signature covers its amount, others do not.
    pub(crate) fn previous_wanted<'p>(&self, plan: &'p Plan) -> impl Iterator<Item = &'p str> {
        plan.coins.iter().filter(|coin| !self.is_taproot(coin.descriptor)).map(|coin| coin.txid.as_str())
    }

    /// The PSBT, version 0, with previous transactions and derivations.
    pub(crate) fn psbt(
        &self,
        plan: &Plan,
        previous: &BTreeMap<String, Transaction>,
    ) -> Result<Vec<u8>, BuildError> {
        let broken = |what: &str| BuildError::Descriptor(what.to_owned());
        let mut input = Vec::with_capacity(plan.coins.len());
        for coin in &plan.coins {
            let txid: Txid = coin.txid.parse().map_err(|_| broken("a coin's transaction id"))?;
            input.push(TxIn {
                previous_output: OutPoint { txid, vout: coin.vout },
                script_sig: ScriptBuf::new(),
                sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
                witness: Witness::new(),
            });
        }
        let version = transaction::Version::TWO;
        let unsigned =
            Transaction { version, lock_time: LockTime::ZERO, input, output: plan.outputs.clone() };
        let mut psbt = Psbt::from_unsigned_tx(unsigned).map_err(|error| broken(&error.to_string()))?;
        for (coin, input) in plan.coins.iter().zip(&mut psbt.inputs) {
            let descriptor = self.at(coin.descriptor, coin.index)?;
            let script_pubkey = descriptor.script_pubkey();
            input.witness_utxo = Some(TxOut { value: Amount::from_sat(coin.value), script_pubkey });
            if !self.is_taproot(coin.descriptor) {
                let whole =
                    previous.get(&coin.txid).ok_or_else(|| broken("a previous transaction is missing"))?;
                input.non_witness_utxo = Some(whole.clone());
            }
            let updated = input.update_with_descriptor_unchecked(&descriptor);
            updated.map_err(|error| broken(&error.to_string()))?;
        }
        if let (Some(index), Some(output)) = (plan.change, psbt.outputs.last_mut()) {
            let descriptor = self.at(self.change, index)?;
            let updated = output.update_with_descriptor_unchecked(&descriptor);
            updated.map_err(|error| broken(&error.to_string()))?;
        }
        Ok(psbt.serialize())
    }
}

/// The id that a signed transaction has on the chain.
pub(crate) fn id_of(signed: &[u8]) -> Option<String> {
    let transaction: Transaction = bitcoin::consensus::encode::deserialize(signed).ok()?;
    let mut id = transaction.compute_txid().to_byte_array();
    id.reverse();
    Some(super::hex(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XPUB: &str = "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZX\
                        YVUhLv1VMrjPC7PW6V";
    const TO: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    fn scripts() -> Scripts {
        let descriptors = vec![format!("wpkh({XPUB}/0/*)"), format!("tr({XPUB}/1/*)")];
        let pinned = holdfast_transactions::Wallet::bitcoin(Network::Bitcoin, &descriptors).unwrap();
        let wallet = Bitcoin {
            descriptors,
            pinned,
            change: 1,
            receive_addresses: 1,
            batch_max: 200,
            under_way_max: 1,
            fee_rate: None,
            fee_rate_max: 100_000,
        };
        Scripts::new(&wallet, Network::Bitcoin).unwrap()
    }

    fn coin(height: u64, value: u64, descriptor: u8) -> Coin {
        Coin { height, txid: format!("{height:064x}"), vout: 0, value, descriptor, index: 0 }
    }

    fn payment(amount: u128) -> Payment {
        Payment {
            withdrawal: Some("wd".to_owned()),
            address: TO.to_owned(),
            amount,
            contract: None,
            without_word: false,
        }
    }

    fn plan(coins: &[Coin], payments: &[Payment], rate: u64) -> Result<Plan, BuildError> {
        let (must, fee_least, fee_max, change) = ([].as_slice(), 0, 100_000, 7);
        scripts().plan(&Wanted { must, may: coins, payments, rate, fee_least, fee_max, change })
    }

    #[test]
    fn oldest_coins_pay_and_the_rest_comes_back() {
        let coins = [coin(1, 50_000, 0), coin(2, 60_000, 1), coin(3, 70_000, 0)];
        let plan = plan(&coins, &[payment(80_000)], 5_000).unwrap();
        assert_eq!(plan.coins, coins[..2]);
        assert_eq!((plan.outputs.len(), plan.change), (2, Some(7)));
        let paid: u64 = plan.outputs.iter().map(|output| output.value.to_sat()).sum();
        assert_eq!(paid + plan.fee, 110_000, "nothing is lost");
        // Version, locktime and mark; an ECDSA and a Schnorr input; a P2WPKH and a P2TR output.
        assert!((5 * 210..5 * 216).contains(&plan.fee), "{}", plan.fee);
    }

    #[test]
    fn too_little_for_change_is_left_to_the_miners() {
        let plan = plan(&[coin(1, 81_000, 0)], &[payment(80_000)], 5_000).unwrap();
        assert_eq!((plan.fee, plan.change, plan.outputs.len()), (1_000, None, 1));
    }

    #[test]
    fn what_cannot_be_paid_is_named() {
        let coins = [coin(1, 50_000, 0)];
        let why = |payments: &[Payment], rate| plan(&coins, payments, rate).unwrap_err();
        assert_eq!(why(&[payment(49_990)], 5_000), BuildError::Insufficient);
        assert_eq!(why(&[payment(100)], 5_000), BuildError::Dust("wd".to_owned()));
        let foreign =
            Payment { address: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx".to_owned(), ..payment(5_000) };
        assert!(matches!(why(&[foreign], 5_000), BuildError::Address(_)));
        let dear = plan(&[coin(1, 5_000_000, 0)], &[payment(5_000)], 1_000_000).unwrap_err();
        assert!(matches!(dear, BuildError::FeeMax { .. }));
    }

    #[test]
    fn a_replacement_spends_the_same_and_pays_more() {
        let coins = [coin(1, 100_000, 0), coin(2, 90_000, 0)];
        let payments = [payment(80_000)];
        let first = plan(&coins, &payments, 2_000).unwrap();
        let (must, may) = (first.coins.as_slice(), &coins[1..]);
        let wanted = Wanted {
            must,
            may,
            payments: &payments,
            rate: 2_000,
            fee_least: first.fee,
            fee_max: 100_000,
            change: 8,
        };
        let second = scripts().plan(&wanted).unwrap();
        assert_eq!(second.coins, first.coins);
        assert!(second.fee >= first.fee + 140, "its own relay too: {} after {}", second.fee, first.fee);
    }
}
