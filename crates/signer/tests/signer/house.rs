//! The exchange's keys: Bitcoin wallets of one seed, coins, and PSBTs as a wallet's own library makes them.

use std::collections::BTreeMap;

use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::{Input, Output, Psbt};
use bitcoin::secp256k1::{All, Secp256k1};
use bitcoin::{
    Address, Amount, NetworkKind, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime, transaction::Version,
};

/// The hot wallet: where it receives, its change, and a taproot branch.
pub(crate) const HOT: &str = "84'/0'/0'/0";
pub(crate) const CHANGE: &str = "84'/0'/0'/1";
pub(crate) const TAPROOT: &str = "86'/0'/0'/0";
/// The cold wallet, which only receives.
pub(crate) const COLD: &str = "84'/0'/7'/0";
/// A wallet of nobody that is pinned.
pub(crate) const FOREIGN: &str = "84'/0'/9'/0";

pub(crate) struct House {
    secp: Secp256k1<All>,
    master: Xpriv,
}

/// One coin of the hot wallet.
#[derive(Clone)]
pub(crate) struct Coin {
    pub(crate) branch: &'static str,
    pub(crate) index: u32,
    pub(crate) previous: Transaction,
}

impl House {
    pub(crate) fn new() -> Self {
        let master = Xpriv::new_master(NetworkKind::Main, &[0x17; 32]).unwrap();
        Self { secp: Secp256k1::new(), master }
    }

    fn public(&self, branch: &str, index: u32) -> bitcoin::secp256k1::PublicKey {
        let path: DerivationPath = format!("m/{branch}/{index}").parse().unwrap();
        Xpub::from_priv(&self.secp, &self.master.derive_priv(&self.secp, &path).unwrap()).public_key
    }

    pub(crate) fn descriptor(&self, branch: &str) -> String {
        let (account, step) = branch.rsplit_once('/').unwrap();
        let path: DerivationPath = format!("m/{account}").parse().unwrap();
        let key = Xpub::from_priv(&self.secp, &self.master.derive_priv(&self.secp, &path).unwrap());
        let kind = if branch.starts_with("86") { "tr" } else { "wpkh" };
        format!("{kind}([{}/{account}]{key}/{step}/*)", self.master.fingerprint(&self.secp))
    }

    pub(crate) fn script(&self, branch: &str, index: u32) -> ScriptBuf {
        let key = self.public(branch, index);
        if branch == TAPROOT {
            ScriptBuf::new_p2tr(&self.secp, key.x_only_public_key().0, None)
        } else {
            ScriptBuf::new_p2wpkh(&bitcoin::CompressedPublicKey(key).wpubkey_hash())
        }
    }

    pub(crate) fn address(&self, branch: &str, index: u32) -> String {
        Address::from_script(&self.script(branch, index), bitcoin::Network::Bitcoin).unwrap().to_string()
    }

    /// A coin of `sats`; `number` makes it unlike all others.
    pub(crate) fn coin(&self, branch: &'static str, number: u32, sats: u64) -> Coin {
        let mut id = [0x33; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let input = TxIn {
            previous_output: OutPoint { txid: bitcoin::Txid::from_byte_array(id), vout: 3 },
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[7u8; 71]]),
            ..TxIn::default()
        };
        let index = number % 1_000;
        let paid = TxOut { value: Amount::from_sat(sats), script_pubkey: self.script(branch, index) };
        Coin { branch, index, previous: transaction(vec![input], vec![paid]) }
    }

    fn hint(&self, branch: &str, index: u32) -> (bitcoin::secp256k1::PublicKey, bitcoin::bip32::KeySource) {
        let path: DerivationPath = format!("m/{branch}/{index}").parse().unwrap();
        (self.public(branch, index), (self.master.fingerprint(&self.secp), path))
    }

    /// Spends coins; `own` says which outputs are derived from where.
    pub(crate) fn psbt(&self, coins: &[Coin], outputs: &[TxOut], own: &[(usize, &str, u32)]) -> Psbt {
        let inputs = coins.iter().map(|coin| TxIn {
            previous_output: OutPoint { txid: coin.previous.compute_txid(), vout: 0 },
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        });
        let mut psbt = Psbt::from_unsigned_tx(transaction(inputs.collect(), outputs.to_vec())).unwrap();
        psbt.inputs = coins
            .iter()
            .map(|coin| {
                let (key, source) = self.hint(coin.branch, coin.index);
                let mut input =
                    Input { witness_utxo: Some(coin.previous.output[0].clone()), ..Input::default() };
                if coin.branch == TAPROOT {
                    let key = key.x_only_public_key().0;
                    input.tap_internal_key = Some(key);
                    input.tap_key_origins = BTreeMap::from([(key, (vec![], source))]);
                } else {
                    input.non_witness_utxo = Some(coin.previous.clone());
                    input.bip32_derivation = BTreeMap::from([(key, source)]);
                }
                input
            })
            .collect();
        for (place, branch, index) in own {
            let (key, source) = self.hint(branch, *index);
            psbt.outputs[*place] = if *branch == TAPROOT {
                let origins = BTreeMap::from([(key.x_only_public_key().0, (vec![], source))]);
                Output { tap_key_origins: origins, ..Output::default() }
            } else {
                Output { bip32_derivation: BTreeMap::from([(key, source)]), ..Output::default() }
            };
        }
        psbt
    }

    /// Pays `outputs` from coins, the rest but `fee` to change.
    pub(crate) fn pay(&self, coins: &[Coin], outputs: &[(&str, u64)], fee: u64) -> Psbt {
        let spent: u64 = coins.iter().map(|coin| coin.previous.output[0].value.to_sat()).sum();
        let paid: u64 = outputs.iter().map(|(_, sats)| sats).sum();
        let mut outputs: Vec<TxOut> = outputs.iter().map(|(address, sats)| output(address, *sats)).collect();
        let mut own = vec![];
        if let Some(change) = spent.checked_sub(paid + fee).filter(|change| *change > 0) {
            own.push((outputs.len(), CHANGE, 4));
            outputs.push(TxOut { value: Amount::from_sat(change), script_pubkey: self.script(CHANGE, 4) });
        }
        self.psbt(coins, &outputs, &own)
    }
}

fn transaction(input: Vec<TxIn>, output: Vec<TxOut>) -> Transaction {
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

pub(crate) fn output(address: &str, sats: u64) -> TxOut {
    let address = address.parse::<Address<_>>().unwrap();
    let script_pubkey = address.require_network(bitcoin::Network::Bitcoin).unwrap().script_pubkey();
    TxOut { value: Amount::from_sat(sats), script_pubkey }
}
