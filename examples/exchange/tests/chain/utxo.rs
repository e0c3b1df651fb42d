//! The Bitcoin side.

use std::str::FromStr as _;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::key::{Keypair, TapTweak as _, UntweakedPublicKey};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{
    Address, Amount, CompressedPublicKey, EcdsaSighashType, KnownHrp, OutPoint, ScriptBuf, Sequence,
    TapSighashType, Transaction, TxIn, TxOut, Txid, Witness, transaction,
};
use serde_json::{Value, json};

use crate::stand::Stand;

const NETWORK: &str = "bitcoin-regtest";
const RECEIVER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// A key with its two addresses.
struct Key {
    secret: SecretKey,
    public: CompressedPublicKey,
}

impl Key {
    fn new(seed: u8) -> Self {
        let secp = Secp256k1::new();
        let secret = SecretKey::from_slice(&[seed; 32]).unwrap();
        Self { secret, public: CompressedPublicKey(secret.public_key(&secp)) }
    }

    fn segwit(&self) -> Address {
        Address::p2wpkh(&self.public, KnownHrp::Regtest)
    }

    fn taproot(&self) -> Address {
        let internal = UntweakedPublicKey::from(self.public.0);
        Address::p2tr(&Secp256k1::new(), internal, None, KnownHrp::Regtest)
    }
}

struct Coin {
    at: OutPoint,
    output: TxOut,
}

fn fund(stand: &Stand, address: &Address, satoshi: u64) -> Coin {
    let funded = json!({ "to": [{ "address": address.to_string(), "amount": satoshi.to_string() }] });
    let reply = stand.control(NETWORK, "fund", funded);
    let txid = Txid::from_str(reply["transaction"].as_str().unwrap()).unwrap();
    let output = TxOut { value: Amount::from_sat(satoshi), script_pubkey: address.script_pubkey() };
    Coin { at: OutPoint { txid, vout: 1 }, output }
}

/// A signed payment of all coins but a fee.
fn pay(key: &Key, coins: &[&Coin], fee: u64) -> Transaction {
    let to = Address::from_str(RECEIVER).unwrap().assume_checked().script_pubkey();
    pay_to(key, coins, fee, to)
}

fn pay_to(key: &Key, coins: &[&Coin], fee: u64, script_pubkey: ScriptBuf) -> Transaction {
    let secp = Secp256k1::new();
    let value: u64 = coins.iter().map(|coin| coin.output.value.to_sat()).sum();
    let input = |coin: &&Coin| TxIn {
        previous_output: coin.at,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let mut transaction = Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: coins.iter().map(input).collect(),
        output: vec![TxOut { value: Amount::from_sat(value - fee), script_pubkey }],
    };
    let previous: Vec<TxOut> = coins.iter().map(|coin| coin.output.clone()).collect();
    let mut cache = SighashCache::new(transaction.clone());
    for (index, coin) in coins.iter().enumerate() {
        let script = &coin.output.script_pubkey;
        transaction.input[index].witness = if script.is_p2tr() {
            let all = Prevouts::All(&previous);
            let hash = cache.taproot_key_spend_signature_hash(index, &all, TapSighashType::Default).unwrap();
            let pair = Keypair::from_secret_key(&secp, &key.secret).tap_tweak(&secp, None);
            let signature = secp.sign_schnorr_no_aux_rand(&Message::from(hash), &pair.to_keypair());
            Witness::p2tr_key_spend(&bitcoin::taproot::Signature {
                signature,
                sighash_type: TapSighashType::Default,
            })
        } else {
            let hash =
                cache.p2wpkh_signature_hash(index, script, coin.output.value, EcdsaSighashType::All).unwrap();
            let signature = secp.sign_ecdsa(&Message::from(hash), &key.secret);
            Witness::p2wpkh(&bitcoin::ecdsa::Signature::sighash_all(signature), &key.public.0)
        };
    }
    transaction
}

fn send(stand: &Stand, transaction: &Transaction) -> Result<String, (i64, String)> {
    stand
        .rpc(NETWORK, "sendrawtransaction", json!([serialize_hex(transaction)]))
        .map(|id| id.as_str().unwrap().to_owned())
}

fn pool(stand: &Stand) -> Vec<Value> {
    stand.rpc(NETWORK, "getrawmempool", json!([])).unwrap().as_array().unwrap().clone()
}

fn paid(stand: &Stand) -> String {
    let paid = stand.control(NETWORK, "paid", json!({ "to": [RECEIVER] }));
    paid["paid"][0]["amount"].as_str().unwrap_or("0").to_owned()
}

#[test]
fn segwit_and_taproot_payments_are_mined_and_counted() {
    let stand = Stand::new();
    let key = Key::new(7);
    let (a, b) = (fund(&stand, &key.segwit(), 100_000), fund(&stand, &key.taproot(), 70_000));
    let id = send(&stand, &pay(&key, &[&a, &b], 1_000)).unwrap();
    assert_eq!(pool(&stand), [json!(id)]);
    assert_eq!(paid(&stand), "0", "it waits");
    stand.mine(NETWORK, 3);
    assert_eq!(paid(&stand), "169000");

    let found = stand.rpc(NETWORK, "getrawtransaction", json!([id, true])).unwrap();
    assert_eq!((found["confirmations"].as_u64(), found["vin"][0]["vout"].as_u64()), (Some(3), Some(1)));
    let block = stand.rpc(NETWORK, "getblock", json!([found["blockhash"], 2])).unwrap();
    assert_eq!(block["tx"][1]["vout"][0]["scriptPubKey"]["address"], RECEIVER);
    assert_eq!(block["tx"][0]["vin"][0]["coinbase"].as_str().map(str::is_empty), Some(false));
    let best = stand.rpc(NETWORK, "getblockhash", json!([block["height"]])).unwrap();
    assert_eq!(best, block["hash"]);
    assert_eq!(
        stand.rpc(NETWORK, "gettxout", json!([a.at.txid.to_string(), 1])).unwrap(),
        Value::Null,
        "spent"
    );
    let unspent =
        stand.rpc(NETWORK, "scantxoutset", json!(["start", [format!("addr({RECEIVER})")]])).unwrap();
    assert_eq!(unspent["unspents"][0]["txid"], json!(id));
}

#[test]
fn amounts_are_numbers_with_eight_decimals() {
    let stand = Stand::new();
    let coin = fund(&stand, &Key::new(7).segwit(), 10_000_000);
    let call = json!({ "id": 1, "method": "gettxout", "params": [coin.at.txid.to_string(), 1] });
    let (status, text) = stand.raw(NETWORK, &call.to_string());
    assert_eq!(status, 200);
    assert!(text.contains(r#""value":0.10000000,"#), "{text}");
    let (status, text) = stand.raw(NETWORK, r#"{"id":1,"method":"getnothing"}"#);
    assert_eq!((status, text.contains("-32601")), (404, true), "{text}");
    let (status, _) = stand.raw(NETWORK, r#"{"id":1,"method":"getblockhash","params":[99]}"#);
    assert_eq!(status, 500, "as version 1 of JSON-RPC has it at Core");
}

#[test]
fn a_wrong_signature_is_refused() {
    let stand = Stand::new();
    let (key, thief) = (Key::new(7), Key::new(8));
    for address in [key.segwit(), key.taproot()] {
        let coin = fund(&stand, &address, 100_000);
        let mut stolen = pay(&thief, &[&coin], 1_000);
        let (code, message) = send(&stand, &stolen).unwrap_err();
        assert_eq!(code, -26);
        assert!(message.starts_with("mandatory-script-verify-flag-failed"), "{message}");
        // The right key, but for other outputs.
        stolen.input[0].witness = pay(&key, &[&coin], 2_000).input[0].witness.clone();
        assert_eq!(send(&stand, &stolen).unwrap_err().0, -26);
    }
    assert_eq!(pool(&stand).len(), 0);
}

#[test]
fn a_coin_is_spent_once_unless_replaced_for_more() {
    let stand = Stand::new();
    let key = Key::new(7);
    let coin = fund(&stand, &key.segwit(), 100_000);
    let first = pay(&key, &[&coin], 1_000);
    let id = send(&stand, &first).unwrap();
    assert_eq!(send(&stand, &first), Ok(id.clone()), "sending it again is fine");
    let (code, message) = send(&stand, &pay(&key, &[&coin], 1_050)).unwrap_err();
    assert_eq!((code, message.as_str()), (-26, "insufficient fee, rejecting replacement"));
    let better = send(&stand, &pay(&key, &[&coin], 3_000)).unwrap();
    assert_eq!(pool(&stand), [json!(better)]);
    let unknown = stand.rpc(NETWORK, "getrawtransaction", json!([id, true])).unwrap_err();
    assert_eq!(unknown.0, -5);
    let prevout = json!([[{ "txid": coin.at.txid.to_string(), "vout": 1 }]]);
    assert_eq!(
        stand.rpc(NETWORK, "gettxspendingprevout", prevout).unwrap()[0]["spendingtxid"],
        json!(better)
    );

    stand.mine(NETWORK, 1);
    let late = send(&stand, &pay(&key, &[&coin], 9_000)).unwrap_err();
    assert_eq!(late, (-25, "bad-txns-inputs-missingorspent".to_owned()));
    assert_eq!(paid(&stand), "97000");
}

#[test]
fn too_little_fee_dust_and_too_much_money_are_refused() {
    let stand = Stand::new();
    let key = Key::new(7);
    let coin = fund(&stand, &key.segwit(), 100_000);
    assert_eq!(send(&stand, &pay(&key, &[&coin], 50)).unwrap_err().1, "min relay fee not met");
    assert_eq!(send(&stand, &pay(&key, &[&coin], 99_900)).unwrap_err().1, "dust");
    let more =
        Coin { at: coin.at, output: TxOut { value: Amount::from_sat(200_000), ..coin.output.clone() } };
    assert_eq!(send(&stand, &pay(&key, &[&more], 1_000)).unwrap_err().1, "bad-txns-in-belowout");
    let (code, _) = stand.rpc(NETWORK, "sendrawtransaction", json!(["00"])).unwrap_err();
    assert_eq!(code, -22);
}

#[test]
fn what_pays_too_little_for_the_miners_waits() {
    let stand = Stand::new();
    let key = Key::new(7);
    let coin = fund(&stand, &key.segwit(), 100_000);
    stand.control(NETWORK, "fees", json!({ "least": "20000" }));
    send(&stand, &pay(&key, &[&coin], 500)).unwrap();
    stand.mine(NETWORK, 2);
    assert_eq!(pool(&stand).len(), 1);
    send(&stand, &pay(&key, &[&coin], 5_000)).unwrap();
    stand.mine(NETWORK, 1);
    assert_eq!((pool(&stand).len(), paid(&stand)), (0, "95000".to_owned()));
}

#[test]
fn a_reorganisation_returns_transactions_to_the_mempool() {
    let stand = Stand::new();
    let key = Key::new(7);
    let (a, b) = (fund(&stand, &key.segwit(), 100_000), fund(&stand, &key.segwit(), 50_000));
    let first = pay_to(&key, &[&a], 1_000, key.segwit().script_pubkey());
    let change =
        Coin { at: OutPoint { txid: first.compute_txid(), vout: 0 }, output: first.output[0].clone() };
    let first = send(&stand, &first).unwrap();
    stand.mine(NETWORK, 1);
    let second = send(&stand, &pay(&key, &[&change], 1_000)).unwrap();
    let other = send(&stand, &pay(&key, &[&b], 1_000)).unwrap();
    stand.mine(NETWORK, 1);
    let height = stand.rpc(NETWORK, "getblockcount", json!([])).unwrap().as_u64().unwrap();
    let tip = stand.rpc(NETWORK, "getbestblockhash", json!([])).unwrap();

    stand.control(NETWORK, "reorganise", json!({ "depth": 2 }));
    assert_eq!(pool(&stand), [json!(first), json!(second), json!(other)], "parents first");
    assert_eq!(stand.rpc(NETWORK, "getblockcount", json!([])).unwrap(), json!(height + 1));
    assert_eq!(
        stand.rpc(NETWORK, "getblockheader", json!([tip])).unwrap_err().0,
        -5,
        "it is no longer there"
    );
    stand.mine(NETWORK, 1);
    assert_eq!((pool(&stand).len(), paid(&stand)), (0, (98_000 + 49_000).to_string()));

    stand.control(NETWORK, "reorganise", json!({ "depth": 1, "drop": [first] }));
    assert_eq!(pool(&stand), [json!(other)], "what spent the dropped one is gone with it");
    stand.control(NETWORK, "reorganise", json!({ "depth": 1, "again": true }));
    assert_eq!((pool(&stand).len(), paid(&stand)), (0, "49000".to_owned()));
}

#[test]
fn a_reorganisation_can_put_a_conflicting_transaction_in_place() {
    let stand = Stand::new();
    let key = Key::new(7);
    let coin = fund(&stand, &key.segwit(), 100_000);
    send(&stand, &pay(&key, &[&coin], 1_000)).unwrap();
    stand.mine(NETWORK, 2);
    let back = pay_to(&key, &[&coin], 400, key.segwit().script_pubkey());
    stand.control(NETWORK, "reorganise", json!({ "depth": 2, "replace": [serialize_hex(&back)] }));
    assert_eq!((pool(&stand).len(), paid(&stand)), (0, "0".to_owned()));
    let found =
        stand.rpc(NETWORK, "getrawtransaction", json!([back.compute_txid().to_string(), true])).unwrap();
    assert_eq!(found["confirmations"], json!(3));
}

#[test]
fn the_same_acts_give_the_same_blocks() {
    let tips = [0, 1].map(|_| {
        let stand = Stand::new();
        let key = Key::new(7);
        let coin = fund(&stand, &key.segwit(), 100_000);
        send(&stand, &pay(&key, &[&coin], 1_000)).unwrap();
        stand.mine(NETWORK, 2);
        stand.rpc(NETWORK, "getbestblockhash", json!([])).unwrap()
    });
    assert_eq!(tips[0], tips[1]);
}
