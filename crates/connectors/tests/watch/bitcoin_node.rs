//! A Bitcoin node in memory: a chain, a memory pool, and answers in Bitcoin Core's shape.

use std::collections::BTreeMap;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, transaction,
};
use holdfast_connectors::{Answer, NodeRefusal};
use serde_json::{Value, json};

/// The script that number `n` pays to.
pub(crate) fn script(n: u8) -> ScriptBuf {
    let hash = bitcoin::WPubkeyHash::from_byte_array([n; 20]);
    ScriptBuf::new_p2wpkh(&hash)
}

pub(crate) fn address(n: u8) -> String {
    bitcoin::Address::from_script(&script(n), bitcoin::Network::Regtest).unwrap().to_string()
}

/// A transaction from these outpoints to these scripts and amounts.
pub(crate) fn spend(from: &[OutPoint], to: &[(ScriptBuf, u64)]) -> Transaction {
    let input = |previous_output: &OutPoint| TxIn {
        previous_output: *previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let output = |(script_pubkey, sats): &(ScriptBuf, u64)| TxOut {
        value: Amount::from_sat(*sats),
        script_pubkey: script_pubkey.clone(),
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: from.iter().map(input).collect(),
        output: to.iter().map(output).collect(),
    }
}

pub(crate) fn out(tx: &Transaction, vout: u32) -> OutPoint {
    OutPoint { txid: tx.compute_txid(), vout }
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) chain: &'static str,
    pub(crate) downloading: bool,
    pub(crate) loaded: bool,
    pub(crate) blocks: Vec<Block>,
    pub(crate) pool: BTreeMap<Txid, Transaction>,
    /// Blocks differ although they hold the same.
    salt: u32,
}

impl Node {
    /// Blocks 0 to 100, empty.
    pub(crate) fn new() -> Self {
        let (blocks, pool) = (Vec::new(), BTreeMap::new());
        let mut node = Self { chain: "regtest", downloading: false, loaded: true, blocks, pool, salt: 0 };
        (0..=100).for_each(|_| node.mine(&[]));
        node
    }

    pub(crate) fn height(&self) -> usize {
        self.blocks.len() - 1
    }

    /// One more block with these transactions, which leave the pool with all that they conflict with.
    pub(crate) fn mine(&mut self, txs: &[&Transaction]) {
        self.salt += 1;
        let mut coinbase = spend(&[OutPoint::null()], &[(script(0), 50)]);
        coinbase.lock_time = LockTime::from_consensus(self.salt);
        let txdata: Vec<Transaction> =
            core::iter::once(coinbase).chain(txs.iter().map(|tx| (*tx).clone())).collect();
        let header = Header {
            version: Version::TWO,
            prev_blockhash: self.blocks.last().map_or(BlockHash::all_zeros(), Block::block_hash),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 0,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let mut block = Block { header, txdata };
        block.header.merkle_root = block.compute_merkle_root().unwrap();
        self.blocks.push(block);
        for tx in txs {
            self.conflict_out(tx);
        }
    }

    fn conflict_out(&mut self, tx: &Transaction) {
        let spent: Vec<OutPoint> = tx.input.iter().map(|input| input.previous_output).collect();
        self.pool.retain(|_, other| !other.input.iter().any(|input| spent.contains(&input.previous_output)));
    }

    /// Into the pool, instead of all that it conflicts with.
    pub(crate) fn accept(&mut self, tx: &Transaction) {
        self.conflict_out(tx);
        self.pool.insert(tx.compute_txid(), tx.clone());
    }

    /// Takes blocks off the chain; their transactions are simply gone.
    pub(crate) fn disconnect(&mut self, count: usize) {
        self.blocks.truncate(self.blocks.len() - count);
    }

    pub(crate) fn answer(&self, method: &str, params: &[Value]) -> Answer {
        let refuse = |code, message: &str| Err(NodeRefusal { code, message: message.into() });
        let text = |place: usize| params[place].as_str().unwrap().to_owned();
        match method {
            "getblockchaininfo" => Ok(json!({
                "chain": self.chain, "blocks": self.height(), "headers": self.height(),
                "bestblockhash": self.blocks.last().unwrap().block_hash().to_string(),
                "initialblockdownload": self.downloading,
            })),
            "getbestblockhash" => Ok(json!(self.blocks.last().unwrap().block_hash().to_string())),
            "getblockhash" => match self.blocks.get(params[0].as_u64().unwrap() as usize) {
                Some(block) => Ok(json!(block.block_hash().to_string())),
                None => refuse(-8, "Block height out of range"),
            },
            "getblock" => {
                assert_eq!(params[1], json!(0), "bytes");
                match self.blocks.iter().find(|block| block.block_hash().to_string() == text(0)) {
                    Some(block) => Ok(json!(serialize_hex(block))),
                    None => refuse(-5, "Block not found"),
                }
            }
            "getmempoolinfo" => Ok(json!({ "loaded": self.loaded, "size": self.pool.len() })),
            "getrawmempool" => Ok(self.pool.keys().map(|txid| json!(txid.to_string())).collect()),
            "getrawtransaction" => match self.pool.get(&text(0).parse::<Txid>().unwrap()) {
                Some(tx) => Ok(json!(serialize_hex(tx))),
                None => refuse(-5, "No such mempool transaction"),
            },
            _ => refuse(-32601, "Method not found"),
        }
    }
}
