//! What Bitcoin Core's answers must look like to be believed.

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::hashes::Hash as _;
use bitcoin::{Transaction, Txid};
use holdfast_values::Network;
use serde_json::Value;

use super::is_chain;
use crate::doubt::Doubt;
use crate::hash::Hash;
use crate::rpc::{Answer, NodeRefusal};

/// What the node says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info {
    pub(super) height: u64,
}

/// Bitcoin Core's `RPC_IN_WARMUP`.
const IN_WARMUP: i64 = -28;

pub(super) fn refused(method: &'static str, refusal: NodeRefusal) -> Doubt {
    if refusal.code == IN_WARMUP { Doubt::Syncing } else { Doubt::Refused { method, refusal } }
}

/// Reads `getblockchaininfo`. A node that still downloads the chain is not listened to, except on a private chain, where
/// one whose last block is old always says so.
pub(super) fn info(network: Network, answer: Value) -> Result<Info, Doubt> {
    let wrong = |what| Doubt::Answer { method: "getblockchaininfo", what };
    let chain = answer.get("chain").and_then(Value::as_str).ok_or(wrong("it names no chain"))?;
    if !is_chain(network, chain) {
        let node = chain.chars().take(32).filter(|c| !c.is_control()).collect();
        return Err(Doubt::WrongNetwork { node, wanted: network.name().to_owned() });
    }
    let downloading = answer.get("initialblockdownload").and_then(Value::as_bool);
    let downloading = downloading.ok_or(wrong("it does not say whether it is downloading"))?;
    if downloading && network != Network::BitcoinRegtest {
        return Err(Doubt::Syncing);
    }
    let height = answer.get("blocks").and_then(Value::as_u64).ok_or(wrong("it has no height"))?;
    if height > u64::from(u32::MAX) {
        return Err(wrong("its height is impossible"));
    }
    Ok(Info { height })
}

/// A block hash as text.
pub(super) fn hash_text(answer: &Value) -> Option<Hash> {
    answer.as_str()?.parse().ok()
}

pub(super) fn hash(answer: Answer) -> Result<Hash, Doubt> {
    // Bitcoin Core's `RPC_INVALID_PARAMETER`: the height is gone since the node told its own.
    const OUT_OF_RANGE: i64 = -8;
    let value = match answer {
        Ok(value) => value,
        Err(refusal) if refusal.code == OUT_OF_RANGE => return Err(Doubt::Moved),
        Err(refusal) => return Err(refused("getblockhash", refusal)),
    };
    hash_text(&value).ok_or(Doubt::Answer { method: "getblockhash", what: "it is no hash" })
}

/// A block's bytes: it must be the one that was asked for, whole.
pub(super) fn block(asked: Hash, answer: Value) -> Result<bitcoin::Block, Doubt> {
    let wrong = |what| Doubt::Answer { method: "getblock", what };
    let text = answer.as_str().ok_or(wrong("it is no text"))?;
    let block: bitcoin::Block = deserialize_hex(text).map_err(|_| wrong("it is no block"))?;
    if Hash::reversed(block.block_hash().to_byte_array()) != asked {
        return Err(wrong("it is another block"));
    }
    if !block.check_merkle_root() {
        return Err(wrong("the block does not commit to its transactions"));
    }
    Ok(block)
}

/// A transaction's bytes; `None` if the node does not know it any more.
pub(super) fn transaction(asked: Txid, answer: Answer) -> Result<Option<Transaction>, Doubt> {
    const METHOD: &str = "getrawtransaction";
    // Bitcoin Core's `RPC_INVALID_ADDRESS_OR_KEY`: no such transaction.
    const UNKNOWN: i64 = -5;
    let value = match answer {
        Ok(value) => value,
        Err(refusal) if refusal.code == UNKNOWN => return Ok(None),
        Err(refusal) => return Err(refused(METHOD, refusal)),
    };
    let wrong = |what| Doubt::Answer { method: METHOD, what };
    let text = value.as_str().ok_or(wrong("it is no text"))?;
    let tx: Transaction = deserialize_hex(text).map_err(|_| wrong("it is no transaction"))?;
    if tx.compute_txid() == asked { Ok(Some(tx)) } else { Err(wrong("it is another transaction")) }
}
