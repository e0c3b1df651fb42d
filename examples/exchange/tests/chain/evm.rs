//! The EVM side.

use alloy_rlp::{Encodable as _, Header};
use bitcoin::hex::DisplayHex as _;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};

use crate::stand::{Stand, TOKEN};

const NETWORK: &str = "ethereum";
const RECEIVER: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
const GWEI: u128 = 1_000_000_000;
const ETHER: u128 = GWEI * GWEI;

fn unhex(text: &str) -> Vec<u8> {
    bitcoin::hex::FromHex::from_hex(text.trim_start_matches("0x")).unwrap()
}

struct Payment {
    chain_id: u64,
    nonce: u64,
    max_fee: u128,
    to: Vec<u8>,
    value: u128,
    data: Vec<u8>,
}

impl Payment {
    fn coin(nonce: u64, value: u128) -> Self {
        Self { chain_id: 1, nonce, max_fee: 3 * GWEI, to: unhex(RECEIVER), value, data: Vec::new() }
    }

    fn token(nonce: u64, units: u128) -> Self {
        let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
        data.extend([0; 12]);
        data.extend(unhex(RECEIVER));
        data.extend([0; 16]);
        data.extend(units.to_be_bytes());
        Self { to: unhex(TOKEN), data, ..Self::coin(nonce, 0) }
    }

    /// EIP-1559, signed.
    fn sign(&self, seed: u8) -> String {
        let mut fields = Vec::new();
        self.chain_id.encode(&mut fields);
        self.nonce.encode(&mut fields);
        GWEI.encode(&mut fields);
        self.max_fee.encode(&mut fields);
        100_000u64.encode(&mut fields);
        self.to.as_slice().encode(&mut fields);
        self.value.encode(&mut fields);
        self.data.as_slice().encode(&mut fields);
        fields.push(0xc0);
        let hash: [u8; 32] = Keccak256::digest(list(&fields)).into();
        let secret = SecretKey::from_slice(&[seed; 32]).unwrap();
        let signature = Secp256k1::new().sign_ecdsa_recoverable(&Message::from_digest(hash), &secret);
        let (id, compact) = signature.serialize_compact();
        (id.to_i32() == 1).encode(&mut fields);
        for half in compact.chunks(32) {
            let start = half.iter().position(|byte| *byte != 0).unwrap();
            half[start..].encode(&mut fields);
        }
        format!("0x{}", list(&fields).to_lower_hex_string())
    }
}

fn list(fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2];
    Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
    bytes.extend_from_slice(fields);
    bytes
}

fn sender(seed: u8) -> String {
    let key = SecretKey::from_slice(&[seed; 32]).unwrap().public_key(&Secp256k1::new());
    let hash: [u8; 32] = Keccak256::digest(&key.serialize_uncompressed()[1..]).into();
    format!("0x{}", hash[12..].to_lower_hex_string())
}

fn send(stand: &Stand, payment: &Payment) -> Result<String, (i64, String)> {
    let hash = stand.rpc(NETWORK, "eth_sendRawTransaction", json!([payment.sign(9)]))?;
    Ok(hash.as_str().unwrap().to_owned())
}

fn fund(stand: &Stand, wei: u128, units: u128) {
    let to = json!([
        { "address": sender(9), "amount": wei.to_string() },
        { "address": sender(9), "amount": units.to_string(), "contract": TOKEN },
    ]);
    stand.control(NETWORK, "fund", json!({ "to": to }));
}

fn count(stand: &Stand, tag: &str) -> Value {
    stand.rpc(NETWORK, "eth_getTransactionCount", json!([sender(9), tag])).unwrap()
}

fn status(stand: &Stand, hash: &str) -> Value {
    stand.rpc(NETWORK, "eth_getTransactionReceipt", json!([hash])).unwrap()["status"].clone()
}

fn paid(stand: &Stand) -> Vec<(Value, String)> {
    let paid = stand.control(NETWORK, "paid", json!({ "from": [sender(9)], "to": [RECEIVER] }));
    let row = |row: &Value| (row["contract"].clone(), row["amount"].as_str().unwrap().to_owned());
    paid["paid"].as_array().unwrap().iter().map(row).filter(|(_, amount)| amount != "0").collect()
}

#[test]
fn coins_and_tokens_move_in_the_order_of_nonces() {
    let stand = Stand::new();
    fund(&stand, ETHER, 5_000_000);
    let token = send(&stand, &Payment::token(1, 2_000_000)).unwrap();
    stand.mine(NETWORK, 1);
    assert_eq!(status(&stand, &token), Value::Null, "nonce 0 is missing");
    let coin = send(&stand, &Payment::coin(0, ETHER / 2)).unwrap();
    assert_eq!((count(&stand, "latest"), count(&stand, "pending")), (json!("0x0"), json!("0x2")));
    stand.mine(NETWORK, 1);
    assert_eq!((status(&stand, &coin), status(&stand, &token)), (json!("0x1"), json!("0x1")));
    assert_eq!(paid(&stand), [(Value::Null, (ETHER / 2).to_string()), (json!(TOKEN), "2000000".to_owned())]);
    let block = stand.rpc(NETWORK, "eth_getBlockByNumber", json!(["latest", true])).unwrap();
    assert_eq!(block["transactions"][1]["from"], json!(sender(9)));
    assert_eq!(block["transactions"][1]["hash"], json!(token));
    let data = format!("0x70a08231{:0>64}", sender(9).trim_start_matches("0x"));
    let left = stand.rpc(NETWORK, "eth_call", json!([{ "to": TOKEN, "data": data }, "latest"])).unwrap();
    assert_eq!(left, json!(format!("0x{:064x}", 3_000_000)));
    let logs = stand.rpc(NETWORK, "eth_getLogs", json!([{ "fromBlock": "0x0", "address": TOKEN }])).unwrap();
    assert_eq!(logs[0]["transactionHash"], json!(token));
    let balance = stand.rpc(NETWORK, "eth_getBalance", json!([sender(9), "latest"])).unwrap();
    let gas = 2 * GWEI * (21_000 + 52_000);
    assert_eq!(balance, json!(format!("0x{:x}", ETHER / 2 - gas)));
}

#[test]
fn used_nonces_foreign_chains_and_empty_accounts_are_refused() {
    let stand = Stand::new();
    let refusal = |payment: &Payment| send(&stand, payment).unwrap_err().1;
    assert_eq!(refusal(&Payment::coin(0, 1)), "insufficient funds for gas * price + value");
    fund(&stand, ETHER, 0);
    send(&stand, &Payment::coin(0, 1)).unwrap();
    assert_eq!(refusal(&Payment::coin(0, 1)), "already known");
    stand.mine(NETWORK, 1);
    assert_eq!(refusal(&Payment::coin(0, 2)), "nonce too low");
    assert_eq!(refusal(&Payment::coin(5_000, 2)), "nonce too far ahead");
    assert_eq!(refusal(&Payment { chain_id: 56, ..Payment::coin(1, 1) }), "invalid chain id for signer");
    assert_eq!(refusal(&Payment::coin(1, ETHER)), "insufficient funds for gas * price + value");
}

#[test]
fn an_altered_transaction_has_another_sender_or_none() {
    let stand = Stand::new();
    fund(&stand, ETHER, 0);
    let good = Payment::coin(0, 1_000).sign(9);
    for at in (8..good.len()).step_by(7) {
        let mut bad = good.clone().into_bytes();
        bad[at] = if bad[at] == b'1' { b'2' } else { b'1' };
        let bad = String::from_utf8(bad).unwrap();
        // Either it does not parse, or it is of an account that has nothing.
        let reply = stand.rpc(NETWORK, "eth_sendRawTransaction", json!([bad]));
        assert!(reply.is_err(), "{at}: {reply:?}");
    }
}

#[test]
fn a_waiting_transaction_is_replaced_for_a_tenth_more() {
    let stand = Stand::new();
    fund(&stand, ETHER, 0);
    stand.control(NETWORK, "fees", json!({ "least": (5 * GWEI).to_string() }));
    let old = send(&stand, &Payment::coin(0, 1)).unwrap();
    stand.mine(NETWORK, 1);
    assert_eq!(status(&stand, &old), Value::Null, "it offers too little");
    let little = Payment { max_fee: 3 * GWEI + 1, ..Payment::coin(0, 1) };
    assert_eq!(send(&stand, &little).unwrap_err().1, "replacement transaction underpriced");
    let same_tip = Payment { max_fee: 9 * GWEI, ..Payment::coin(0, 1) };
    assert_eq!(
        send(&stand, &same_tip).unwrap_err().1,
        "replacement transaction underpriced",
        "the tip counts too"
    );
}

#[test]
fn a_transfer_fails_on_purpose_or_for_want_of_tokens_and_costs_gas() {
    let stand = Stand::new();
    fund(&stand, ETHER, 10);
    let poor = send(&stand, &Payment::token(0, 11)).unwrap();
    let named = send(&stand, &Payment::token(1, 5)).unwrap();
    let fine = send(&stand, &Payment::token(2, 5)).unwrap();
    stand.control(NETWORK, "fail", json!({ "transaction": named }));
    stand.mine(NETWORK, 1);
    let all = [&poor, &named, &fine].map(|hash| status(&stand, hash));
    assert_eq!(all, [json!("0x0"), json!("0x0"), json!("0x1")]);
    assert_eq!(count(&stand, "latest"), json!("0x3"), "a failed transaction uses its nonce");
    assert_eq!(paid(&stand), [(json!(TOKEN), "5".to_owned())]);
}

#[test]
fn a_reorganisation_takes_back_and_can_replace() {
    let stand = Stand::new();
    fund(&stand, ETHER, 0);
    let first = send(&stand, &Payment::coin(0, 1_000)).unwrap();
    let second = send(&stand, &Payment::coin(1, 50)).unwrap();
    stand.mine(NETWORK, 2);
    stand.control(NETWORK, "reorganise", json!({ "depth": 2 }));
    assert_eq!((count(&stand, "latest"), count(&stand, "pending")), (json!("0x0"), json!("0x2")));
    assert_eq!((status(&stand, &first), paid(&stand)), (Value::Null, vec![]));
    let known = stand.rpc(NETWORK, "eth_getTransactionByHash", json!([first])).unwrap();
    assert_eq!((&known["hash"], &known["blockHash"]), (&json!(first), &Value::Null));
    stand.mine(NETWORK, 1);
    assert_eq!(paid(&stand), [(Value::Null, "1050".to_owned())]);

    let other = Payment::coin(0, 7).sign(9);
    let body = json!({ "depth": 1, "replace": [other], "drop": [second] });
    stand.control(NETWORK, "reorganise", body);
    assert_eq!(paid(&stand), [(Value::Null, "7".to_owned())]);
    assert_eq!(stand.rpc(NETWORK, "eth_getTransactionByHash", json!([first])).unwrap(), Value::Null);
    assert_eq!(count(&stand, "pending"), json!("0x1"));
}
