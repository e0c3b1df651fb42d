//! What an EVM node's answers must look like to be believed, and what a transaction pays.

use holdfast_values::{Destination, Network};
use serde_json::Value;

use crate::doubt::Doubt;
use crate::hash::{Hash, unhex};
use crate::ledger::ObservedOutput;

const BLOCK: &str = "eth_getBlockByNumber";

/// A hexadecimal quantity of at most 128 bits.
pub(super) fn quantity(value: &Value) -> Option<u128> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u128::from_str_radix(digits, 16).ok() } else { None }
}

fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn hash(object: &Value, name: &str) -> Option<Hash> {
    Hash::from_0x(field(object, name)?.as_str()?)
}

fn number(object: &Value, name: &str) -> Option<u64> {
    u64::try_from(quantity(field(object, name)?)?).ok()
}

fn account(value: &Value) -> Option<[u8; 20]> {
    unhex(&value.as_str()?.strip_prefix("0x")?.to_ascii_lowercase())
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) hash: Hash,
    pub(super) parent: Hash,
}

impl Header {
    /// The block at `height`. None there, although the node told a greater height, is a node that changes its mind.
    pub(super) fn read(answer: &Value, height: u64) -> Result<Self, Doubt> {
        if answer.is_null() {
            return Err(Doubt::Moved);
        }
        let wrong = |what| Doubt::Answer { method: BLOCK, what };
        if number(answer, "number").ok_or(wrong("the block has no number"))? != height {
            return Err(wrong("it is another block"));
        }
        let hash_of = |name| hash(answer, name).ok_or(wrong("the block lacks a hash"));
        Ok(Self { hash: hash_of("hash")?, parent: hash_of("parentHash")? })
    }
}

/// A transaction that the account sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) hash: Hash,
    pub(super) nonce: u64,
    to: Option<[u8; 20]>,
    value: u128,
    input: Vec<u8>,
    /// True for types that do more than call: blobs, authorisations and whatever comes after them.
    unknown: bool,
}

/// The transactions in a full block that `sender` sent, in order.
pub(super) fn sent(block: &Value, sender: [u8; 20], block_hash: Hash) -> Result<Vec<Sent>, Doubt> {
    let wrong = |what| Doubt::Answer { method: BLOCK, what };
    let all = block.get("transactions").and_then(Value::as_array).ok_or(wrong("it lists no transactions"))?;
    let mut own = Vec::new();
    for tx in all {
        let from = field(tx, "from").and_then(account).ok_or(wrong("a transaction has no sender"))?;
        if from != sender {
            continue;
        }
        if hash(tx, "blockHash") != Some(block_hash) {
            return Err(wrong("a transaction names another block"));
        }
        own.push(Sent::read(tx).ok_or(wrong("a transaction of the account cannot be read"))?);
    }
    Ok(own)
}

/// The longest calldata that is looked at: an ERC-20 transfer has 68 bytes.
const INPUT_BYTES_SEEN: usize = 69;

impl Sent {
    fn read(tx: &Value) -> Option<Self> {
        let input = tx.get("input").or_else(|| tx.get("data"))?.as_str()?.strip_prefix("0x")?;
        let to = match field(tx, "to") {
            None => None,
            Some(to) => Some(account(to)?),
        };
        Some(Self {
            hash: hash(tx, "hash")?,
            nonce: number(tx, "nonce")?,
            to,
            value: quantity(field(tx, "value")?)?,
            input: bytes(input)?,
            unknown: match field(tx, "type") {
                None => false,
                Some(kind) => quantity(kind)? > 2,
            },
        })
    }

    /// What it pays: value that goes along, then a token transfer. Anything that is neither is marked, so that it is not
    /// taken for a payment.
    pub(super) fn outputs(&self, network: Network) -> Vec<ObservedOutput> {
        let address = |account: [u8; 20]| {
            let text = format!("0x{}", account.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            Some(Destination::parse(network, &text, None).ok()?.address().to_owned())
        };
        let native =
            ObservedOutput { address: self.to.and_then(address), contract: None, amount: self.value };
        let token = self.to.and_then(address).zip(transfer(&self.input));
        let mut outputs = match token {
            Some((contract, (to, amount))) => {
                let paid = ObservedOutput { address: address(to), contract: Some(contract), amount };
                if self.value == 0 { vec![paid] } else { vec![native, paid] }
            }
            None if self.input.is_empty() => vec![native],
            None => vec![native, ObservedOutput::NO_PAYMENT],
        };
        if self.unknown {
            outputs.push(ObservedOutput::NO_PAYMENT);
        }
        outputs
    }
}

/// The bytes of calldata, as far as they matter.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || !digits.len().is_multiple_of(2) {
        return None;
    }
    let (pairs, _) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().take(INPUT_BYTES_SEEN).map(byte).collect()
}

/// ERC-20's `transfer(address,uint256)`: exactly 68 bytes, the recipient's upper bytes zero, an amount of at most 128 bits.
fn transfer(input: &[u8]) -> Option<([u8; 20], u128)> {
    const SELECTOR_AND_PADDING: [u8; 16] = [0xa9, 0x05, 0x9c, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (head, rest) = input.split_first_chunk::<16>()?;
    let (recipient, rest) = rest.split_first_chunk::<20>()?;
    let (high, rest) = rest.split_first_chunk::<16>()?;
    let low: [u8; 16] = rest.try_into().ok()?;
    (*head == SELECTOR_AND_PADDING && *high == [0; 16]).then(|| (*recipient, u128::from_be_bytes(low)))
}

/// Whether a transaction of the block worked.
pub(super) fn receipt(answer: &Value, transaction: Hash, block: Hash) -> Result<bool, Doubt> {
    let wrong = |what| Doubt::Answer { method: "eth_getTransactionReceipt", what };
    // Not yet there, or the block is no longer the chain's.
    if answer.is_null() || hash(answer, "blockHash").ok_or(wrong("it names no block"))? != block {
        return Err(Doubt::Moved);
    }
    if hash(answer, "transactionHash") != Some(transaction) {
        return Err(wrong("it is another transaction's"));
    }
    match field(answer, "status").and_then(quantity) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(wrong("its status is neither 0 nor 1")),
    }
}

/// What the node knows of a transaction that is in no block that was read.
pub(super) enum Loose {
    Unknown,
    Pending,
    Included(u64),
}

pub(super) fn loose(answer: &Value, transaction: Hash) -> Result<Loose, Doubt> {
    let wrong = |what| Doubt::Answer { method: "eth_getTransactionByHash", what };
    if answer.is_null() {
        return Ok(Loose::Unknown);
    }
    if hash(answer, "hash") != Some(transaction) {
        return Err(wrong("it is another transaction"));
    }
    match field(answer, "blockNumber") {
        None => Ok(Loose::Pending),
        Some(_) => number(answer, "blockNumber").map(Loose::Included).ok_or(wrong("its block has no number")),
    }
}
