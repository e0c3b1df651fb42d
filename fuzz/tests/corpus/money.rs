//! Seeds of transactions and wallets: PSBTs as a wallet makes them, EVM transactions, descriptors.

use std::collections::BTreeMap;

use bitcoin::bip32::{DerivationPath, KeySource, Xpriv, Xpub};
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::{Input, Psbt};
use bitcoin::secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey};
use bitcoin::{
    Address, Amount, NetworkKind, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid,
    absolute::LockTime, transaction::Version,
};
use holdfast_fuzz::house::{
    COLD_ACCOUNT, COLD_BRANCH, COLD_DESCRIPTOR, HOT, HOT_ACCOUNT, HOT_BRANCHES, HOT_DESCRIPTORS, MASTER,
    evm_wallets,
};
use holdfast_transactions::{EvmFields, decode, evm_signed as signed, evm_unsigned};
use miniscript::{Descriptor, DescriptorPublicKey};

use crate::seeds::{Seed, bad, good};

const CUSTOMER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const OTHER: &str = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy";
const WPKH: &str = HOT_BRANCHES[0];
const CHANGE: &str = HOT_BRANCHES[1];
const TR: &str = HOT_BRANCHES[2];
const PKH: &str = HOT_BRANCHES[3];

struct Keys {
    secp: Secp256k1<All>,
    master: Xpriv,
}

impl Keys {
    fn new(network: NetworkKind) -> Self {
        Self { secp: Secp256k1::new(), master: Xpriv::new_master(network, &MASTER).unwrap() }
    }

    fn key(&self, path: &str) -> Xpub {
        let path: DerivationPath = format!("m/{path}").parse().unwrap();
        Xpub::from_priv(&self.secp, &self.master.derive_priv(&self.secp, &path).unwrap())
    }

    fn descriptor(&self, branch: &str) -> String {
        let (account, step) = branch.rsplit_once('/').unwrap();
        let kind = match &branch[..2] {
            "84" => "wpkh",
            "86" => "tr",
            _ => "pkh",
        };
        format!("{kind}([{}/{account}]{}/{step}/*)", self.master.fingerprint(&self.secp), self.key(account))
    }

    fn hint(&self, branch: &str, index: u32) -> (PublicKey, KeySource) {
        let path = format!("{branch}/{index}");
        let source = (self.master.fingerprint(&self.secp), format!("m/{path}").parse().unwrap());
        (self.key(&path).public_key, source)
    }

    fn script(&self, branch: &str, index: u32) -> ScriptBuf {
        let descriptor: Descriptor<DescriptorPublicKey> = self.descriptor(branch).parse().unwrap();
        descriptor.at_derivation_index(index).unwrap().script_pubkey()
    }

    /// A PSBT that spends one coin a branch.
    fn psbt(&self, coins: &[(&'static str, u32, u64)], outputs: Vec<TxOut>) -> Psbt {
        let previous = |(branch, index, sats): &(&'static str, u32, u64)| {
            let from = OutPoint { txid: Txid::from_byte_array([*index as u8; 32]), vout: 3 };
            let paid = TxOut { value: Amount::from_sat(*sats), script_pubkey: self.script(branch, *index) };
            transaction(
                vec![TxIn { previous_output: from, ..TxIn::default() }],
                vec![output(OTHER, 5_000), paid],
            )
        };
        let spend = |coin| TxIn {
            previous_output: OutPoint { txid: previous(coin).compute_txid(), vout: 1 },
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        };
        let mut psbt =
            Psbt::from_unsigned_tx(transaction(coins.iter().map(spend).collect(), outputs)).unwrap();
        for (input, coin @ (branch, index, _)) in psbt.inputs.iter_mut().zip(coins) {
            let (key, source) = self.hint(branch, *index);
            let (previous, taproot) = (previous(coin), *branch == TR);
            *input = Input {
                witness_utxo: (*branch != PKH).then(|| previous.output[1].clone()),
                non_witness_utxo: (!taproot).then_some(previous),
                ..Input::default()
            };
            if taproot {
                let key = key.x_only_public_key().0;
                input.tap_internal_key = Some(key);
                input.tap_key_origins = BTreeMap::from([(key, (vec![], source))]);
            } else {
                input.bip32_derivation = BTreeMap::from([(key, source)]);
            }
        }
        psbt
    }
}

fn transaction(input: Vec<TxIn>, output: Vec<TxOut>) -> Transaction {
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output }
}

fn output(address: &str, sats: u64) -> TxOut {
    let address: Address<_> = address.parse().unwrap();
    let script_pubkey = address.require_network(bitcoin::Network::Bitcoin).unwrap().script_pubkey();
    TxOut { value: Amount::from_sat(sats), script_pubkey }
}

pub(crate) fn psbts() -> Vec<Seed> {
    let keys = Keys::new(NetworkKind::Main);
    let change = |sats, branch, index| TxOut {
        value: Amount::from_sat(sats),
        script_pubkey: keys.script(branch, index),
    };

    let outputs = vec![output(CUSTOMER, 700_000), change(290_000, CHANGE, 9)];
    let mut segwit = keys.psbt(&[(WPKH, 5, 1_000_000)], outputs);
    segwit.outputs[1].bip32_derivation = BTreeMap::from([keys.hint(CHANGE, 9)]);

    let mut taproot = keys.psbt(&[(TR, 6, 2_000_000)], vec![output(OTHER, 1_000), change(1_990_000, TR, 1)]);
    let (key, source) = keys.hint(TR, 1);
    taproot.outputs[1].tap_key_origins = BTreeMap::from([(key.x_only_public_key().0, (vec![], source))]);

    let outputs = vec![output(OTHER, 3_000_000), output(CUSTOMER, 1), change(7, COLD_BRANCH, 0)];
    let mut mixed = keys.psbt(&[(WPKH, 1, 1_000_000), (TR, 2, 2_000_000), (PKH, 3, 3_000_000)], outputs);
    mixed.inputs[1].sighash_type = Some(bitcoin::TapSighashType::All.into());
    mixed.inputs[2].sighash_type = Some(bitcoin::EcdsaSighashType::All.into());
    mixed.outputs[2].bip32_derivation = BTreeMap::from([keys.hint(COLD_BRANCH, 0)]);

    let mut none = segwit.clone();
    none.inputs[0].sighash_type = Some(bitcoin::EcdsaSighashType::None.into());
    let mut single = taproot.clone();
    single.inputs[0].sighash_type = Some(bitcoin::TapSighashType::SinglePlusAnyoneCanPay.into());
    let mut lying = segwit.clone();
    lying.inputs[0].witness_utxo.as_mut().unwrap().value = Amount::from_sat(1_000_001);
    let mut signed = taproot.clone();
    signed.inputs[0].final_script_witness = Some(bitcoin::Witness::from_slice(&[[7u8; 64]]));
    let burnt = vec![TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return([7; 20]) }];
    vec![
        good("segwit", segwit.serialize()),
        good("taproot", taproot.serialize()),
        good("mixed", mixed.serialize()),
        bad("sighash-none", none.serialize()),
        bad("sighash-single", single.serialize()),
        bad("lying-utxo", lying.serialize()),
        bad("signed", signed.serialize()),
        bad("op-return", keys.psbt(&[(TR, 6, 2_000_000)], burnt).serialize()),
    ]
}

#[test]
fn the_house_has_the_descriptors_of_its_master_key() {
    let keys = Keys::new(NetworkKind::Main);
    assert_eq!(HOT_BRANCHES.map(|branch| keys.descriptor(branch)), HOT_DESCRIPTORS);
    assert_eq!(keys.descriptor(COLD_BRANCH), COLD_DESCRIPTOR);
}

fn payment() -> EvmFields {
    EvmFields {
        chain_id: 1,
        nonce: 300,
        max_priority_fee_per_gas: 2_000_000_000,
        max_fee_per_gas: 40_000_000_000,
        gas_limit: 65_000,
        to: [0x5a; 20],
        value: 1 << 70,
        data: vec![],
    }
}

/// `transfer(address,uint256)`.
fn transfer(to: [u8; 20], amount: u128) -> Vec<u8> {
    [&[0xa9, 0x05, 0x9c, 0xbb], &[0; 12][..], &to, &[0; 16], &amount.to_be_bytes()].concat()
}

pub(crate) fn evm() -> Vec<Seed> {
    let token =
        EvmFields { value: 0, to: [0xda; 20], data: transfer(COLD_ACCOUNT, 1_250_000_001), ..payment() };
    let cancel = EvmFields { value: 0, to: HOT_ACCOUNT, gas_limit: 21_000, nonce: 0, ..payment() };
    let approve = EvmFields { data: [&[0x09, 0x5e, 0xa7, 0xb3], &token.data[4..]].concat(), ..token.clone() };
    // The payload of the list, with an item behind the access list.
    let native = evm_unsigned(&payment());
    assert!((0xc0..0xf6).contains(&native[1]));
    let tenth = [&[2, native[1] + 1], &native[2..], &[0x80]].concat();
    let mut padded = token.clone();
    padded.data[15] = 1;
    vec![
        bad("tenth-item", tenth),
        bad("padding", evm_unsigned(&padded)),
        good("native", native),
        good("token", evm_unsigned(&token)),
        good("cancel", evm_unsigned(&cancel)),
        bad("approve", evm_unsigned(&approve)),
        bad("creation", [&[2, 0xca, 1, 0x80, 1, 1, 0x82, 0x52, 0x08, 0x80, 0x80, 0x80, 0xc0][..]].concat()),
        bad("elsewhere", evm_unsigned(&EvmFields { chain_id: 56, ..payment() })),
        bad("value-and-calldata", evm_unsigned(&EvmFields { value: 1, ..token })),
    ]
}

pub(crate) fn evm_signed() -> Vec<Seed> {
    let secp = Secp256k1::new();
    let sign = |fields: &EvmFields, key: [u8; 32]| {
        let unsigned = evm_unsigned(fields);
        let message = decode(&unsigned, HOT, evm_wallets()).unwrap().sighashes[0].message;
        let key = SecretKey::from_slice(&key).unwrap();
        let signature = secp.sign_ecdsa_recoverable(&Message::from_digest(message), &key);
        let (id, bytes) = signature.serialize_compact();
        let (r, s) = (bytes[..32].try_into().unwrap(), bytes[32..].try_into().unwrap());
        signed(&unsigned, id.to_i32() == 1, r, s).unwrap()
    };
    let token = EvmFields { value: 0, to: [0xda; 20], data: transfer(COLD_ACCOUNT, 5), ..payment() };
    let native = sign(&payment(), [1; 32]);
    vec![
        bad("cut-short", &native[..native.len() - 1]),
        good("native", native),
        good("token", sign(&token, [2; 32])),
        bad("unsigned", evm_unsigned(&payment())),
    ]
}

pub(crate) fn descriptors() -> Vec<Seed> {
    let wallet = |network: u8, texts: &[String]| [&[network], texts.join("\n").as_bytes()].concat();
    let main = Keys::new(NetworkKind::Main);
    let test = Keys::new(NetworkKind::Test);
    let checked = |text: String| text.parse::<Descriptor<DescriptorPublicKey>>().unwrap().to_string();
    let tests = HOT_BRANCHES.map(|branch| checked(test.descriptor(branch)));
    let hot = HOT_BRANCHES.map(|branch| main.descriptor(branch));
    // The key itself may be so deep; the step behind it may not.
    let deep = Xpub { depth: 255, ..main.key("84'/0'/0'") };
    let nested = format!("sh({})", hot[0]);
    let script =
        hot[2].replace("/*)", "/*,pk(02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5))");
    vec![
        good("bare", wallet(0, &hot)),
        good("checked", wallet(0, &[checked(hot[0].clone())])),
        good("testnet", wallet(1, &tests)),
        good("regtest", wallet(3, &tests[2..3])),
        bad("other-network", wallet(0, &tests)),
        bad("twice", wallet(0, &[hot[0].clone(), hot[0].clone()])),
        bad("too-deep", wallet(0, &[format!("wpkh({deep}/*)")])),
        bad("nested", wallet(0, &[nested])),
        bad("script-path", wallet(0, &[script])),
        bad("two-branches", wallet(0, &[hot[0].replace("/0/*", "/<0;1>/*")])),
    ]
}
