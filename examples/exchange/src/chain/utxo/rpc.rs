//! Bitcoin Core's JSON-RPC, as far as a wallet and a watcher of the chain ask for it. Shapes and error codes are those
//! of Core 28.

use std::collections::BTreeSet;

use bitcoin::consensus::encode::{deserialize, serialize_hex};
use bitcoin::hex::{DisplayHex as _, FromHex as _};
use bitcoin::{Address, BlockHash, Network, OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::ledger::{Ledger, Reject, seconds_at};
use crate::chain::rpc::{Answer, Failure, Parameters, answer};

/// Addresses in one `scantxoutset`.
const SCAN_MAX: usize = 10_000;
/// Outpoints in one `gettxspendingprevout`.
const OUTPOINTS_MAX: usize = 10_000;

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::new(reject.code, reject.reason)
    }
}

#[derive(Serialize)]
struct ScriptJson {
    asm: String,
    hex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct OutputJson {
    value: Box<RawValue>,
    n: usize,
    #[serde(rename = "scriptPubKey")]
    script: ScriptJson,
}

#[derive(Serialize)]
struct InputJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    coinbase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    txid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vout: Option<u32>,
    #[serde(rename = "scriptSig", skip_serializing_if = "Option::is_none")]
    script: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    txinwitness: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prevout: Option<PreviousJson>,
    sequence: u32,
}

#[derive(Serialize)]
struct PreviousJson {
    generated: bool,
    height: u32,
    value: Box<RawValue>,
    #[serde(rename = "scriptPubKey")]
    script: ScriptJson,
}

#[derive(Serialize)]
struct TransactionJson {
    txid: String,
    hash: String,
    version: i32,
    size: usize,
    vsize: u64,
    weight: u64,
    locktime: u32,
    vin: Vec<InputJson>,
    vout: Vec<OutputJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<Box<RawValue>>,
    hex: String,
    #[serde(flatten)]
    place: Option<PlaceJson>,
}

#[derive(Serialize)]
struct PlaceJson {
    blockhash: String,
    confirmations: u32,
    time: u32,
    blocktime: u32,
}

#[derive(Serialize)]
struct UnspentJson {
    txid: String,
    vout: u32,
    #[serde(rename = "scriptPubKey")]
    script: String,
    desc: String,
    amount: Box<RawValue>,
    coinbase: bool,
    height: u32,
    blockhash: Option<String>,
    confirmations: u32,
}

/// Satoshi as Core prints them: a number with eight decimals.
fn coins(satoshi: u64) -> Result<Box<RawValue>, Failure> {
    let text = holdfast_values::Amount::from_base_units(u128::from(satoshi)).to_fixed(8);
    RawValue::from_string(text).map_err(|error| Failure::new(-32603, error.to_string()))
}

fn script(script: &Script, network: Network) -> ScriptJson {
    let kind = match () {
        () if script.is_p2wpkh() => "witness_v0_keyhash",
        () if script.is_p2wsh() => "witness_v0_scripthash",
        () if script.is_p2tr() => "witness_v1_taproot",
        () if script.is_p2pkh() => "pubkeyhash",
        () if script.is_p2sh() => "scripthash",
        () if script.is_op_return() => "nulldata",
        () if script.is_witness_program() => "witness_unknown",
        () => "nonstandard",
    };
    let address = Address::from_script(script, network).ok().map(|address| address.to_string());
    ScriptJson { asm: script.to_asm_string(), hex: script.to_hex_string(), address, kind }
}

impl Ledger {
    /// Answers one call.
    pub(crate) fn call(&mut self, method: &str, parameters: Parameters<'_>) -> Answer {
        match method {
            "getblockchaininfo" => self.info(),
            "getnetworkinfo" => answer(&json!({
                "version": 280_000, "subversion": "/harbor-chain:0.1.0/", "protocolversion": 70_016, "warnings": "",
            })),
            "getblockcount" => answer(&self.height()),
            "getbestblockhash" => answer(&self.tip().to_string()),
            "getblockhash" => {
                let hash = self.hash_at(u32::try_from(parameters.number(0)?).unwrap_or(u32::MAX));
                answer(&hash.ok_or_else(|| Failure::new(-8, "Block height out of range"))?.to_string())
            }
            "getblockheader" => self.header(parameters),
            "getblock" => self.get_block(parameters),
            "getrawmempool" => self.raw_mempool(parameters.flag(0, false)),
            "getmempoolinfo" => {
                answer(&json!({ "loaded": true, "size": self.pool().len(), "fullrbf": true }))
            }
            "getmempoolentry" => self.mempool_entry(parameters),
            "getrawtransaction" => self.raw_transaction(parameters),
            "gettxout" => self.tx_out(parameters),
            "gettxspendingprevout" => self.spending(parameters),
            "scantxoutset" => self.scan(parameters),
            "estimatesmartfee" => {
                #[derive(Serialize)]
                struct Estimate {
                    feerate: Box<RawValue>,
                    blocks: u64,
                }
                let feerate = coins(self.mining_rate.max(1_000).saturating_mul(2))?;
                answer(&Estimate { feerate, blocks: parameters.number(0)? })
            }
            "sendrawtransaction" => {
                let bytes = Vec::from_hex(parameters.text(0)?).ok();
                let transaction: Option<Transaction> = bytes.and_then(|bytes| deserialize(&bytes).ok());
                let transaction = transaction.ok_or_else(|| {
                    Failure::new(-22, "TX decode failed. Make sure the tx has at least one input.")
                })?;
                answer(&self.accept(transaction)?.to_string())
            }
            other => Err(Failure::method(other)),
        }
    }

    fn chain_name(&self) -> &'static str {
        match self.network {
            Network::Bitcoin => "main",
            Network::Signet => "signet",
            Network::Regtest => "regtest",
            _ => "test",
        }
    }

    fn info(&self) -> Answer {
        let height = self.height();
        answer(&json!({
            "chain": self.chain_name(), "blocks": height, "headers": height, "bestblockhash": self.tip().to_string(),
            "difficulty": 1, "time": seconds_at(height), "mediantime": seconds_at(height.saturating_sub(5)),
            "verificationprogress": 1, "initialblockdownload": false, "pruned": false, "warnings": "",
        }))
    }

    fn hash_at(&self, height: u32) -> Option<BlockHash> {
        Some(self.block(height)?.header.block_hash())
    }

    fn height_named(&self, parameters: Parameters<'_>) -> Result<u32, Failure> {
        let hash: BlockHash = parse(parameters.text(0)?, "blockhash")?;
        self.height_of(hash).ok_or_else(|| Failure::new(-5, "Block not found"))
    }

    fn confirmations(&self, height: u32) -> u32 {
        self.height().saturating_sub(height).saturating_add(1)
    }

    fn header_json(&self, height: u32) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
        let block = self.block(height).ok_or_else(|| Failure::new(-5, "Block not found"))?;
        let header = block.header;
        let json = json!({
            "hash": header.block_hash().to_string(), "confirmations": self.confirmations(height), "height": height,
            "version": header.version.to_consensus(), "merkleroot": header.merkle_root.to_string(), "time": header.time,
            "mediantime": seconds_at(height.saturating_sub(5)), "nonce": header.nonce,
            "bits": format!("{:08x}", header.bits.to_consensus()), "difficulty": 1, "nTx": block.transactions.len(),
        });
        let serde_json::Value::Object(mut fields) = json else {
            return Err(Failure::new(-32603, "no object"));
        };
        if height > 0 {
            fields.insert("previousblockhash".to_owned(), json!(header.prev_blockhash.to_string()));
        }
        if let Some(next) = self.hash_at(height.saturating_add(1)) {
            fields.insert("nextblockhash".to_owned(), json!(next.to_string()));
        }
        Ok(fields)
    }

    fn header(&self, parameters: Parameters<'_>) -> Answer {
        let height = self.height_named(parameters)?;
        if parameters.flag(1, true) {
            return answer(&self.header_json(height)?);
        }
        answer(&self.block(height).map(|block| serialize_hex(&block.header)))
    }

    fn get_block(&self, parameters: Parameters<'_>) -> Answer {
        #[derive(Serialize)]
        struct Full {
            #[serde(flatten)]
            header: serde_json::Map<String, serde_json::Value>,
            tx: Vec<Box<RawValue>>,
        }
        let height = self.height_named(parameters)?;
        let verbosity = parameters.at(1).map_or(Ok(1), |_| parameters.number(1))?;
        let block = self.block(height).ok_or_else(|| Failure::new(-5, "Block not found"))?;
        let transactions = block.transactions.iter().filter_map(|id| self.transaction(*id));
        if verbosity == 0 {
            let txdata = transactions.cloned().collect();
            return answer(&serialize_hex(&bitcoin::Block { header: block.header, txdata }));
        }
        let tx = match verbosity {
            1 => block.transactions.iter().map(|id| answer(&id.to_string())).collect::<Result<_, _>>()?,
            level => transactions
                .map(|transaction| answer(&self.transaction_json(transaction, level > 2, false)?))
                .collect::<Result<_, _>>()?,
        };
        answer(&Full { header: self.header_json(height)?, tx })
    }

    fn raw_mempool(&self, verbose: bool) -> Answer {
        let pool = self.pool();
        if !verbose {
            return answer(&pool.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>());
        }
        let entries = pool.into_iter().map(|(id, _)| Ok((id.to_string(), self.entry(id)?)));
        answer(&entries.collect::<Result<std::collections::BTreeMap<String, Box<RawValue>>, Failure>>()?)
    }

    fn mempool_entry(&self, parameters: Parameters<'_>) -> Answer {
        self.entry(parse(parameters.text(0)?, "txid")?)
    }

    fn entry(&self, id: Txid) -> Answer {
        #[derive(Serialize)]
        struct Fees {
            base: Box<RawValue>,
            modified: Box<RawValue>,
        }
        #[derive(Serialize)]
        struct Entry {
            vsize: u64,
            height: u32,
            fees: Fees,
            depends: Vec<String>,
            #[serde(rename = "bip125-replaceable")]
            replaceable: bool,
        }
        let waiting = self.pool().into_iter().find(|(waiting, _)| *waiting == id);
        let (_, waiting) = waiting.ok_or_else(|| Failure::new(-5, "Transaction not in mempool"))?;
        let inputs = self.transaction(id).map(|transaction| transaction.input.as_slice()).unwrap_or_default();
        let parents = inputs.iter().map(|input| input.previous_output.txid);
        let depends: BTreeSet<Txid> = parents.filter(|parent| self.mined_at(*parent).is_none()).collect();
        answer(&Entry {
            vsize: waiting.vsize,
            height: self.height(),
            fees: Fees { base: coins(waiting.fee)?, modified: coins(waiting.fee)? },
            depends: depends.iter().map(Txid::to_string).collect(),
            replaceable: true,
        })
    }

    fn raw_transaction(&self, parameters: Parameters<'_>) -> Answer {
        let id: Txid = parse(parameters.text(0)?, "txid")?;
        let transaction = self.transaction(id).ok_or_else(|| {
            Failure::new(
                -5,
                "No such mempool or blockchain transaction. Use gettransaction for wallet transactions.",
            )
        })?;
        if !parameters.flag(1, false) {
            return answer(&serialize_hex(transaction));
        }
        let previous = parameters.at(1).and_then(serde_json::Value::as_u64).is_some_and(|level| level > 1);
        answer(&self.transaction_json(transaction, previous, true)?)
    }

    fn tx_out(&self, parameters: Parameters<'_>) -> Answer {
        #[derive(Serialize)]
        struct Out {
            bestblock: String,
            confirmations: u32,
            value: Box<RawValue>,
            #[serde(rename = "scriptPubKey")]
            script: ScriptJson,
            coinbase: bool,
        }
        let txid: Txid = parse(parameters.text(0)?, "txid")?;
        let vout =
            u32::try_from(parameters.number(1)?).map_err(|_| Failure::parameter("vout is too large"))?;
        let Some(coin) = self.coin(OutPoint { txid, vout }, parameters.flag(2, true)) else {
            return answer(&serde_json::Value::Null);
        };
        answer(&Out {
            bestblock: self.tip().to_string(),
            confirmations: self.height().saturating_add(1).saturating_sub(coin.height),
            value: coins(coin.output.value.to_sat())?,
            script: script(&coin.output.script_pubkey, self.network),
            coinbase: coin.coinbase,
        })
    }

    fn spending(&self, parameters: Parameters<'_>) -> Answer {
        #[derive(serde::Deserialize)]
        struct Asked {
            txid: String,
            vout: u32,
        }
        let list =
            parameters.at(0).cloned().ok_or_else(|| Failure::parameter("parameter 0 must be an array"))?;
        let list: Vec<Asked> =
            serde_json::from_value(list).map_err(|error| Failure::parameter(error.to_string()))?;
        if list.len() > OUTPOINTS_MAX {
            return Err(Failure::parameter(format!("at most {OUTPOINTS_MAX} outputs")));
        }
        let found = list.iter().map(|Asked { txid, vout }| {
            let outpoint = OutPoint { txid: parse(txid, "txid")?, vout: *vout };
            Ok(match self.spender(outpoint) {
                Some(spender) => json!({ "txid": txid, "vout": vout, "spendingtxid": spender.to_string() }),
                None => json!({ "txid": txid, "vout": vout }),
            })
        });
        answer(&found.collect::<Result<Vec<_>, Failure>>()?)
    }

    /// `addr(...)` and `raw(...)` descriptors, as texts or as objects with `desc`.
    fn scan(&self, parameters: Parameters<'_>) -> Answer {
        #[derive(Serialize)]
        struct Found {
            success: bool,
            txouts: usize,
            height: u32,
            bestblock: String,
            unspents: Vec<UnspentJson>,
            total_amount: Box<RawValue>,
        }
        if parameters.text(0)? != "start" {
            return Err(Failure::new(-8, "only the action start is supported"));
        }
        let wanted = parameters.at(1).and_then(serde_json::Value::as_array);
        let wanted =
            wanted.ok_or_else(|| Failure::parameter("parameter 1 must be an array of descriptors"))?;
        if wanted.len() > SCAN_MAX {
            return Err(Failure::parameter(format!("at most {SCAN_MAX} descriptors")));
        }
        let mut scripts: BTreeSet<ScriptBuf> = BTreeSet::new();
        for wanted in wanted {
            let text = wanted.as_str().or_else(|| wanted.get("desc").and_then(serde_json::Value::as_str));
            let script = text.and_then(|text| self.described(text));
            let unknown =
                || Failure::new(-5, "only the descriptors addr(ADDRESS) and raw(HEX) are supported");
            scripts.insert(script.ok_or_else(unknown)?);
        }
        let mut total = 0u64;
        let mut unspents = Vec::new();
        let mut txouts = 0usize;
        for (outpoint, coin) in self.coins() {
            txouts = txouts.saturating_add(1);
            if !scripts.contains(&coin.output.script_pubkey) {
                continue;
            }
            let value = coin.output.value.to_sat();
            total = total.saturating_add(value);
            let address = Address::from_script(&coin.output.script_pubkey, self.network);
            let hex = coin.output.script_pubkey.to_hex_string();
            unspents.push(UnspentJson {
                txid: outpoint.txid.to_string(),
                vout: outpoint.vout,
                desc: address.map_or_else(|_| format!("raw({hex})"), |address| format!("addr({address})")),
                script: hex,
                amount: coins(value)?,
                coinbase: coin.coinbase,
                height: coin.height,
                blockhash: self.hash_at(coin.height).map(|hash| hash.to_string()),
                confirmations: self.confirmations(coin.height),
            });
        }
        let (height, bestblock) = (self.height(), self.tip().to_string());
        answer(&Found { success: true, txouts, height, bestblock, unspents, total_amount: coins(total)? })
    }

    fn described(&self, text: &str) -> Option<ScriptBuf> {
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        let inner = |name: &str| text.strip_prefix(name)?.strip_suffix(')');
        if let Some(hex) = inner("raw(") {
            return ScriptBuf::from_hex(hex).ok();
        }
        self.address(inner("addr(")?).ok()
    }

    /// The script of an address of this chain.
    pub(crate) fn address(&self, text: &str) -> Result<ScriptBuf, Failure> {
        let address: Result<Address<_>, _> = text.parse();
        let address = address.ok().and_then(|address| address.require_network(self.network).ok());
        address
            .map(|address| address.script_pubkey())
            .ok_or_else(|| Failure::new(-5, "Invalid address, or an address of another network"))
    }

    fn transaction_json(
        &self,
        transaction: &Transaction,
        previous: bool,
        place: bool,
    ) -> Result<TransactionJson, Failure> {
        let txid = transaction.compute_txid();
        let height = self.mined_at(txid);
        let place = height.filter(|_| place).and_then(|height| {
            let block = self.block(height)?;
            let (blockhash, time) = (block.header.block_hash().to_string(), block.header.time);
            let confirmations = self.confirmations(height);
            Some(PlaceJson { blockhash, confirmations, time, blocktime: time })
        });
        let output = |(n, output): (usize, &TxOut)| {
            let script = script(&output.script_pubkey, self.network);
            Ok(OutputJson { value: coins(output.value.to_sat())?, n, script })
        };
        Ok(TransactionJson {
            txid: txid.to_string(),
            hash: transaction.compute_wtxid().to_string(),
            version: transaction.version.0,
            size: transaction.total_size(),
            vsize: transaction.weight().to_vbytes_ceil(),
            weight: transaction.weight().to_wu(),
            locktime: transaction.lock_time.to_consensus_u32(),
            vin: transaction
                .input
                .iter()
                .map(|input| self.input_json(input, previous))
                .collect::<Result<_, Failure>>()?,
            vout: transaction.output.iter().enumerate().map(output).collect::<Result<_, Failure>>()?,
            fee: match self.fee(transaction) {
                Some(fee) if !transaction.is_coinbase() => Some(coins(fee)?),
                _ => None,
            },
            hex: serialize_hex(transaction),
            place,
        })
    }

    fn input_json(&self, input: &bitcoin::TxIn, previous: bool) -> Result<InputJson, Failure> {
        let sequence = input.sequence.to_consensus_u32();
        if input.previous_output.is_null() {
            let coinbase = Some(input.script_sig.to_hex_string());
            let (txinwitness, prevout) = (Vec::new(), None);
            return Ok(InputJson {
                coinbase,
                txid: None,
                vout: None,
                script: None,
                txinwitness,
                prevout,
                sequence,
            });
        }
        let spent = self.previous(input.previous_output).filter(|_| previous);
        let previous = |output: &TxOut| -> Result<PreviousJson, Failure> {
            Ok(PreviousJson {
                generated: self.transaction(input.previous_output.txid).is_some_and(Transaction::is_coinbase),
                height: self.mined_at(input.previous_output.txid).unwrap_or(0),
                value: coins(output.value.to_sat())?,
                script: script(&output.script_pubkey, self.network),
            })
        };
        let (asm, hex) = (input.script_sig.to_asm_string(), input.script_sig.to_hex_string());
        Ok(InputJson {
            coinbase: None,
            txid: Some(input.previous_output.txid.to_string()),
            vout: Some(input.previous_output.vout),
            script: Some(json!({ "asm": asm, "hex": hex })),
            txinwitness: input.witness.iter().map(|item| item.to_lower_hex_string()).collect(),
            prevout: spent.map(previous).transpose()?,
            sequence,
        })
    }
}

fn parse<T: core::str::FromStr>(text: &str, what: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| {
        Failure::new(-8, format!("{what} must be of length 64 (not {}) and hexadecimal", text.len()))
    })
}
