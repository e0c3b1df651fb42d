//! An EVM node in memory: a chain of blocks, and answers in the shape of `eth_*`.

use holdfast_connectors::{Answer, NodeRefusal};
use serde_json::{Value, json};

pub(crate) const OWN: &str = "0x1111111111111111111111111111111111111111";
pub(crate) const SHOP: &str = "0x2222222222222222222222222222222222222222";
pub(crate) const TOKEN: &str = "0x3333333333333333333333333333333333333333";

/// A transaction: everything a node shows of one but its block.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Tx {
    pub(crate) hash: String,
    pub(crate) from: &'static str,
    pub(crate) nonce: u64,
    pub(crate) to: Option<&'static str>,
    pub(crate) value: u128,
    pub(crate) input: String,
    pub(crate) kind: u8,
    pub(crate) works: bool,
}

/// Number `n` of the watched account: a payment of `n`.
pub(crate) fn pay(n: u64) -> Tx {
    Tx {
        hash: format!("0x{:064x}", n + 0xa000),
        from: OWN,
        nonce: n,
        to: Some(SHOP),
        value: u128::from(n),
        input: "0x".into(),
        kind: 2,
        works: true,
    }
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) chain: u64,
    /// Hash of each block, and what is in it.
    pub(crate) blocks: Vec<(String, Vec<Tx>)>,
    pub(crate) pool: Vec<Tx>,
    salt: u64,
}

impl Node {
    /// Blocks 0 to 100, empty.
    pub(crate) fn new() -> Self {
        let mut node = Self { chain: 1, blocks: Vec::new(), pool: Vec::new(), salt: 0 };
        (0..=100).for_each(|_| node.mine(&[]));
        node
    }

    pub(crate) fn mine(&mut self, txs: &[&Tx]) {
        self.salt += 1;
        self.pool
            .retain(|waiting| !txs.iter().any(|tx| tx.from == waiting.from && tx.nonce == waiting.nonce));
        self.blocks
            .push((format!("0x{:064x}", self.salt + 0xb_0000), txs.iter().map(|tx| (*tx).clone()).collect()));
    }

    pub(crate) fn disconnect(&mut self, count: usize) {
        self.blocks.truncate(self.blocks.len() - count);
    }

    fn find(&self, hash: &Value) -> Option<(usize, &Tx)> {
        let all =
            self.blocks.iter().enumerate().flat_map(|(at, (_, txs))| txs.iter().map(move |tx| (at, tx)));
        all.into_iter().find(|(_, tx)| json!(tx.hash) == *hash)
    }

    fn show(&self, at: Option<usize>, tx: &Tx) -> Value {
        json!({
            "hash": tx.hash, "from": tx.from.to_uppercase().replace("0X", "0x"), "nonce": format!("{:#x}", tx.nonce), "to": tx.to,
            "value": format!("{:#x}", tx.value), "input": tx.input, "type": format!("{:#x}", tx.kind), "gas": "0x5208",
            "blockHash": at.map(|at| &self.blocks[at].0), "blockNumber": at.map(|at| format!("{at:#x}")),
        })
    }

    pub(crate) fn answer(&self, method: &str, params: &[Value]) -> Answer {
        let number = |value: &Value| {
            usize::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
        };
        match method {
            "eth_chainId" => Ok(json!(format!("{:#x}", self.chain))),
            "eth_blockNumber" => Ok(json!(format!("{:#x}", self.blocks.len() - 1))),
            "eth_getBlockByNumber" => {
                let at = number(&params[0]);
                let Some((hash, txs)) = self.blocks.get(at) else { return Ok(Value::Null) };
                let parent = at.checked_sub(1).map_or(format!("0x{:064x}", 0), |at| self.blocks[at].0.clone());
                let full = params[1] == json!(true);
                let shown: Vec<Value> =
                    txs.iter().map(|tx| if full { self.show(Some(at), tx) } else { json!(tx.hash) }).collect();
                Ok(json!({ "number": params[0], "hash": hash, "parentHash": parent, "transactions": shown }))
            }
            "eth_getTransactionReceipt" => Ok(self.find(&params[0]).map_or(Value::Null, |(at, tx)| {
                let status = if tx.works { "0x1" } else { "0x0" };
                json!({ "transactionHash": tx.hash, "blockHash": self.blocks[at].0, "status": status, "logs": [] })
            })),
            "eth_getTransactionByHash" => Ok(match self.find(&params[0]) {
                Some((at, tx)) => self.show(Some(at), tx),
                None => {
                    let waiting = self.pool.iter().find(|tx| json!(tx.hash) == params[0]);
                    waiting.map_or(Value::Null, |tx| self.show(None, tx))
                }
            }),
            _ => Err(NodeRefusal { code: -32601, message: "Method not found".into() }),
        }
    }
}
