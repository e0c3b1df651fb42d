//! A house with keys: wallets of one seed, coins, PSBTs as the library's own code makes them, and signing.

use std::collections::BTreeMap;

use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::key::TapTweak as _;
use bitcoin::psbt::{Input, Output, Psbt};
use bitcoin::secp256k1::{All, Keypair, Message, Secp256k1};
use bitcoin::{
    Address, Amount, NetworkKind, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime, transaction::Version,
};
use holdfast_values::Network;

use crate::{Decoded, Scheme, Sighash, TransactionError, Wallet, decode};

/// Where the wallets of these tests branch off.
pub(super) const WPKH: &str = "84'/0'/0'/0";
pub(super) const WPKH_CHANGE: &str = "84'/0'/0'/1";
pub(super) const TR: &str = "86'/0'/0'/0";
pub(super) const PKH: &str = "44'/0'/0'/0";
/// Another wallet of the house.
pub(super) const COLD: &str = "84'/0'/7'/0";

/// A customer's address.
pub(super) const CUSTOMER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
pub(super) const OTHER: &str = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy";

pub(super) struct House {
    secp: Secp256k1<All>,
    master: Xpriv,
}

/// One coin to spend.
#[derive(Clone)]
pub(super) struct Coin {
    branch: &'static str,
    index: u32,
    pub(super) previous: Transaction,
    pub(super) vout: u32,
}

impl House {
    pub(super) fn new() -> Self {
        let master = Xpriv::new_master(NetworkKind::Main, &[0x17; 32]).unwrap();
        Self { secp: Secp256k1::new(), master }
    }

    fn key(&self, branch: &str, index: u32) -> Xpriv {
        let path: DerivationPath = format!("m/{branch}/{index}").parse().unwrap();
        self.master.derive_priv(&self.secp, &path).unwrap()
    }

    pub(super) fn descriptor(&self, branch: &str) -> String {
        let (account, step) = branch.rsplit_once('/').unwrap();
        let path: DerivationPath = format!("m/{account}").parse().unwrap();
        let key = Xpub::from_priv(&self.secp, &self.master.derive_priv(&self.secp, &path).unwrap());
        let kind = match branch.split_once('\'').unwrap().0 {
            "84" => "wpkh",
            "86" => "tr",
            _ => "pkh",
        };
        format!("{kind}([{}/{account}]{key}/{step}/*)", self.master.fingerprint(&self.secp))
    }

    fn wallet(&self, branches: &[&str]) -> Wallet {
        let descriptors: Vec<String> = branches.iter().map(|branch| self.descriptor(branch)).collect();
        Wallet::bitcoin(Network::Bitcoin, &descriptors).unwrap()
    }

    /// The hot wallet and the cold one.
    pub(super) fn known(&self) -> Vec<Wallet> {
        vec![self.wallet(&[COLD]), self.wallet(&[WPKH, WPKH_CHANGE, TR, PKH])]
    }

    pub(super) fn script(&self, branch: &str, index: u32) -> ScriptBuf {
        let address = match self.wallet(&[branch]).address_at(0, index) {
            Some(destination) => destination.address().to_owned(),
            None => panic!("{branch}/{index}"),
        };
        script(&address)
    }

    /// A coin of `sats` at `branch`/`index`, in a previous transaction of two outputs.
    pub(super) fn coin(&self, branch: &'static str, index: u32, sats: u64) -> Coin {
        let input = TxIn {
            previous_output: OutPoint { txid: bitcoin::Txid::from_byte_array([index as u8; 32]), vout: 3 },
            sequence: Sequence::MAX,
            // A witness that the id must not cover.
            witness: Witness::from_slice(&[[7u8; 71]]),
            ..TxIn::default()
        };
        let paid = TxOut { value: Amount::from_sat(sats), script_pubkey: self.script(branch, index) };
        let previous = transaction(vec![input], vec![output(OTHER, 5_000), paid]);
        Coin { branch, index, previous, vout: 1 }
    }

    fn hint(&self, branch: &str, index: u32) -> (bitcoin::secp256k1::PublicKey, bitcoin::bip32::KeySource) {
        let path: DerivationPath = format!("m/{branch}/{index}").parse().unwrap();
        let key = Xpub::from_priv(&self.secp, &self.key(branch, index)).public_key;
        (key, (self.master.fingerprint(&self.secp), path))
    }

    /// A PSBT that spends coins, as a wallet would make it. `change` says which outputs are derived from where.
    pub(super) fn psbt(&self, coins: &[Coin], outputs: &[TxOut], change: &[(usize, &str, u32)]) -> Psbt {
        let inputs = coins.iter().map(|coin| TxIn {
            previous_output: OutPoint { txid: coin.previous.compute_txid(), vout: coin.vout },
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        });
        let unsigned = transaction(inputs.collect(), outputs.to_vec());
        let mut psbt = Psbt::from_unsigned_tx(unsigned).unwrap();
        psbt.inputs = coins
            .iter()
            .map(|coin| {
                let spent = coin.previous.output[coin.vout as usize].clone();
                let (key, source) = self.hint(coin.branch, coin.index);
                let mut input = Input { witness_utxo: Some(spent), ..Input::default() };
                if coin.branch == TR {
                    let key = key.x_only_public_key().0;
                    input.tap_internal_key = Some(key);
                    input.tap_key_origins = BTreeMap::from([(key, (vec![], source))]);
                } else {
                    input.non_witness_utxo = Some(coin.previous.clone());
                    input.bip32_derivation = BTreeMap::from([(key, source)]);
                }
                if coin.branch == PKH {
                    input.witness_utxo = None;
                }
                input
            })
            .collect();
        for (place, branch, index) in change {
            psbt.outputs[*place] = self.output_hint(branch, *index);
        }
        psbt
    }

    pub(super) fn output_hint(&self, branch: &str, index: u32) -> Output {
        let (key, source) = self.hint(branch, index);
        if branch == TR {
            let origins = BTreeMap::from([(key.x_only_public_key().0, (vec![], source))]);
            Output { tap_key_origins: origins, ..Output::default() }
        } else {
            Output { bip32_derivation: BTreeMap::from([(key, source)]), ..Output::default() }
        }
    }

    /// The ordinary case: one segwit coin, one customer, change.
    pub(super) fn payment(&self) -> Psbt {
        let coins = [self.coin(WPKH, 5, 1_000_000)];
        let change = TxOut { value: Amount::from_sat(290_000), script_pubkey: self.script(WPKH_CHANGE, 9) };
        self.psbt(&coins, &[output(CUSTOMER, 700_000), change], &[(1, WPKH_CHANGE, 9)])
    }

    pub(super) fn decode(&self, psbt: &Psbt) -> Result<Decoded, TransactionError> {
        decode(&psbt.serialize(), 1, &self.known())
    }

    pub(super) fn refusal(&self, psbt: &Psbt) -> &'static str {
        match self.decode(psbt) {
            Ok(decoded) => panic!("accepted: {decoded:?}"),
            Err(error) => error.code(),
        }
    }

    /// Signs what the decoder says, with nothing but the seed, and gives the finished transaction.
    pub(super) fn sign(&self, unsigned: &Transaction, sighashes: &[Sighash]) -> Transaction {
        let mut finished = unsigned.clone();
        for sighash in sighashes {
            let branch = [WPKH, WPKH_CHANGE, TR, PKH][usize::from(sighash.descriptor)];
            let key = self.key(branch, sighash.index).private_key;
            let message = Message::from_digest(sighash.message);
            let ecdsa = || {
                let signature = self.secp.sign_ecdsa(&message, &key);
                let signature = bitcoin::ecdsa::Signature::sighash_all(signature);
                let public = bitcoin::PublicKey::new(key.public_key(&self.secp));
                (signature.to_vec(), public)
            };
            let input = &mut finished.input[sighash.input as usize];
            match sighash.scheme {
                Scheme::EcdsaAll if branch == PKH => {
                    let (signature, public) = ecdsa();
                    let signature: bitcoin::script::PushBytesBuf = signature.try_into().unwrap();
                    let script = ScriptBuf::builder().push_slice(signature).push_key(&public);
                    input.script_sig = script.into_script();
                }
                Scheme::EcdsaAll => {
                    let (signature, public) = ecdsa();
                    input.witness = Witness::from_slice(&[signature, public.to_bytes()]);
                }
                Scheme::SchnorrDefault | Scheme::SchnorrAll => {
                    let pair = Keypair::from_secret_key(&self.secp, &key).tap_tweak(&self.secp, None);
                    let signature = self.secp.sign_schnorr_no_aux_rand(&message, &pair.to_keypair());
                    let mut signature = signature.serialize().to_vec();
                    signature.extend((sighash.scheme == Scheme::SchnorrAll).then_some(1));
                    input.witness = Witness::from_slice(&[signature]);
                }
                Scheme::Evm => panic!("no EVM here"),
            }
        }
        finished
    }
}

pub(super) fn transaction(input: Vec<TxIn>, output: Vec<TxOut>) -> Transaction {
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

pub(super) fn script(address: &str) -> ScriptBuf {
    address.parse::<Address<_>>().unwrap().require_network(bitcoin::Network::Bitcoin).unwrap().script_pubkey()
}

pub(super) fn output(address: &str, sats: u64) -> TxOut {
    TxOut { value: Amount::from_sat(sats), script_pubkey: script(address) }
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

pub(super) fn print_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
