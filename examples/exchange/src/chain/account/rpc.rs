//! The JSON-RPC of an EVM node, as far as a wallet and a watcher of the chain ask for it.

use serde_json::{Value, json};

use super::ledger::{Block, GAS_BLOCK, GAS_NATIVE, GAS_TOKEN, Ledger, Mined, Reject, seconds_at};
use super::transaction::Signed;
use super::{Address, Hash, address, hex, keccak, unhex};
use crate::chain::rpc::{Answer, Failure, Parameters, answer};

/// Blocks in one `eth_getLogs`.
const LOG_BLOCKS_MAX: u64 = 10_000;
/// Behind the last block: what `safe` and `finalized` name.
const SAFE: u64 = 32;
const FINALIZED: u64 = 64;
/// Offered by `eth_gasPrice` on top of the base fee: 1 gwei.
const TIP: u128 = 1_000_000_000;

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::new(-32000, reject.to_string())
    }
}

fn quantity(number: impl Into<u128>) -> String {
    format!("0x{:x}", number.into())
}

fn scalar(bytes: &[u8]) -> String {
    let digits = hex(bytes);
    let digits = digits.trim_start_matches("0x").trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

fn word(amount: u128) -> String {
    format!("0x{amount:064x}")
}

fn hash(parameters: Parameters<'_>, index: usize) -> Result<Hash, Failure> {
    let bytes = unhex(parameters.text(index)?).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Failure::parameter("a hash is 0x and 64 hexadecimal digits"))
}

fn account(parameters: Parameters<'_>, index: usize) -> Result<Address, Failure> {
    address(parameters.text(index)?)
        .ok_or_else(|| Failure::parameter("an address is 0x and 40 hexadecimal digits"))
}

/// Which block a call means.
enum Place {
    At(u64),
    Pending,
}

impl Ledger {
    /// Answers one call.
    pub(crate) fn call(&mut self, method: &str, parameters: Parameters<'_>) -> Answer {
        match method {
            "eth_chainId" => answer(&quantity(self.chain_id)),
            "net_version" => answer(&self.chain_id.to_string()),
            "web3_clientVersion" => answer(&"harbor-chain/0.1.0"),
            "eth_syncing" => answer(&false),
            "eth_blockNumber" => answer(&quantity(self.height())),
            "eth_gasPrice" => answer(&quantity(self.base_fee.saturating_add(TIP))),
            "eth_maxPriorityFeePerGas" => answer(&quantity(TIP)),
            "eth_estimateGas" => {
                let data = parameters.at(0).and_then(|call| call.get("data").or(call.get("input")));
                let empty = data.and_then(Value::as_str).is_none_or(|data| data == "0x");
                answer(&quantity(if empty { GAS_NATIVE } else { GAS_TOKEN }))
            }
            "eth_getBalance" => {
                self.place(parameters.at(1))?;
                answer(&quantity(self.account(&account(parameters, 0)?).balance))
            }
            "eth_getTransactionCount" => {
                let address = account(parameters, 0)?;
                answer(&quantity(match self.place(parameters.at(1))? {
                    Place::Pending => self.pending_nonce(&address),
                    Place::At(_) => self.account(&address).nonce,
                }))
            }
            "eth_getBlockByNumber" => {
                let place = self.place(parameters.at(0))?;
                self.block_json(place, parameters.flag(1, false))
            }
            "eth_getBlockByHash" => match self.number_of(&hash(parameters, 0)?) {
                Some(number) => self.block_json(Place::At(number), parameters.flag(1, false)),
                None => answer(&Value::Null),
            },
            "eth_getTransactionByHash" => answer(&self.transaction_json(&hash(parameters, 0)?)),
            "eth_getTransactionReceipt" => answer(&self.receipt_json(&hash(parameters, 0)?)),
            "eth_getLogs" => self.logs(parameters),
            "eth_call" => self.read(parameters),
            "eth_sendRawTransaction" => {
                let bytes = unhex(parameters.text(0)?)
                    .ok_or_else(|| Failure::parameter("0x and hexadecimal digits"))?;
                let signed =
                    Signed::parse(&bytes).map_err(|error| Failure::new(-32000, error.to_string()))?;
                answer(&hex(&self.accept(signed)?))
            }
            other => Err(Failure::new(-32601, format!("the method {other} does not exist/is not available"))),
        }
    }

    /// Which block a tag or number names. State is only kept as of now: calls about older blocks are refused by name.
    fn place(&self, value: Option<&Value>) -> Result<Place, Failure> {
        let text = value.map_or(Some("latest"), Value::as_str);
        let text = text.ok_or_else(|| Failure::parameter("a block is a tag or a hexadecimal number"))?;
        Ok(match text {
            "latest" => Place::At(self.height()),
            "pending" => Place::Pending,
            "earliest" => Place::At(0),
            "safe" => Place::At(self.height().saturating_sub(SAFE)),
            "finalized" => Place::At(self.height().saturating_sub(FINALIZED)),
            number => {
                let digits = number.strip_prefix("0x").unwrap_or("-");
                let number = u64::from_str_radix(digits, 16);
                Place::At(number.map_err(|_| Failure::parameter("a block is a tag or a hexadecimal number"))?)
            }
        })
    }

    fn block_json(&self, place: Place, full: bool) -> Answer {
        let (number, block) = match place {
            Place::At(number) => match self.block(number) {
                Some(block) => (number, Some(block)),
                None => return answer(&Value::Null),
            },
            Place::Pending => (self.height().saturating_add(1), None),
        };
        let transactions: Vec<Value> = match block {
            Some(Block { transactions, .. }) if full => {
                transactions.iter().filter_map(|mined| self.transaction_json(&mined.signed.hash)).collect()
            }
            Some(Block { transactions, .. }) => {
                transactions.iter().map(|mined| json!(hex(&mined.signed.hash))).collect()
            }
            None if full => self.pool().into_iter().map(|signed| self.fields(signed, None)).collect(),
            None => self.pool().iter().map(|signed| json!(hex(&signed.hash))).collect(),
        };
        let gas = block.map_or(0, |block| block.transactions.iter().map(|mined| mined.gas_used).sum::<u64>());
        let parent =
            block.map(|block| block.parent).or_else(|| self.block(self.height()).map(|last| last.hash));
        answer(&json!({
            "number": quantity(number),
            "hash": block.map(|block| hex(&block.hash)),
            "parentHash": parent.map(|hash| hex(&hash)),
            "timestamp": quantity(seconds_at(number)),
            "baseFeePerGas": quantity(block.map_or(self.base_fee, |block| block.base_fee)),
            "gasLimit": quantity(GAS_BLOCK),
            "gasUsed": quantity(gas),
            "transactions": transactions,
            "uncles": [],
        }))
    }

    /// A transaction in a block or the pool.
    fn transaction_json(&self, hash: &Hash) -> Option<Value> {
        if let Some((number, index, mined)) = self.mined(hash) {
            return Some(self.fields(&mined.signed, Some((number, index, mined))));
        }
        let waiting = self.pool().into_iter().find(|signed| signed.hash == *hash)?;
        Some(self.fields(waiting, None))
    }

    fn fields(&self, signed: &Signed, mined: Option<(u64, usize, &Mined)>) -> Value {
        let block = mined.and_then(|(number, _, _)| self.block(number));
        json!({
            "hash": hex(&signed.hash),
            "type": "0x2",
            "chainId": quantity(signed.chain_id),
            "from": hex(&signed.sender),
            "to": hex(&signed.to),
            "nonce": quantity(signed.nonce),
            "value": quantity(signed.value),
            "input": hex(&signed.data),
            "gas": quantity(signed.gas_limit),
            "gasPrice": quantity(mined.map_or(signed.max_fee, |(_, _, mined)| mined.gas_price)),
            "maxFeePerGas": quantity(signed.max_fee),
            "maxPriorityFeePerGas": quantity(signed.max_priority_fee),
            "accessList": [],
            "yParity": quantity(u8::from(signed.y_parity)),
            "v": quantity(u8::from(signed.y_parity)),
            "r": scalar(&signed.r),
            "s": scalar(&signed.s),
            "blockHash": block.map(|block| hex(&block.hash)),
            "blockNumber": mined.map(|(number, _, _)| quantity(number)),
            "transactionIndex": mined.map(|(_, index, _)| format!("0x{index:x}")),
        })
    }

    fn receipt_json(&self, hash: &Hash) -> Option<Value> {
        let (number, index, mined) = self.mined(hash)?;
        let block = self.block(number)?;
        let before = block.transactions.iter().take(index.saturating_add(1));
        Some(json!({
            "transactionHash": hex(hash),
            "transactionIndex": format!("0x{index:x}"),
            "blockHash": hex(&block.hash),
            "blockNumber": quantity(number),
            "from": hex(&mined.signed.sender),
            "to": hex(&mined.signed.to),
            "type": "0x2",
            "status": quantity(u8::from(mined.succeeded)),
            "gasUsed": quantity(mined.gas_used),
            "cumulativeGasUsed": quantity(before.map(|mined| mined.gas_used).sum::<u64>()),
            "effectiveGasPrice": quantity(mined.gas_price),
            "contractAddress": null,
            "logsBloom": hex(&[0; 256]),
            "logs": log(number, index, block, mined).into_iter().collect::<Vec<_>>(),
        }))
    }

    /// `Transfer` events of the configured tokens, by block, contract and topics.
    fn logs(&self, parameters: Parameters<'_>) -> Answer {
        let filter = parameters.at(0).ok_or_else(|| Failure::parameter("parameter 0 must be a filter"))?;
        let (first, last) = match filter.get("blockHash").and_then(Value::as_str) {
            Some(text) => {
                let hash = unhex(text).and_then(|bytes| bytes.try_into().ok());
                let number = hash.and_then(|hash| self.number_of(&hash));
                let number = number.ok_or_else(|| Failure::new(-32000, "unknown block"))?;
                (number, number)
            }
            None => {
                let number = |place| match place {
                    Place::At(number) => number,
                    Place::Pending => self.height(),
                };
                (number(self.place(filter.get("fromBlock"))?), number(self.place(filter.get("toBlock"))?))
            }
        };
        if last.saturating_sub(first) > LOG_BLOCKS_MAX {
            return Err(Failure::new(-32005, format!("at most {LOG_BLOCKS_MAX} blocks")));
        }
        let one_of = |wanted: Option<&Value>, value: &Value| match wanted {
            None | Some(Value::Null) => true,
            Some(Value::Array(any)) => any.iter().any(|wanted| same(wanted, value)),
            Some(wanted) => same(wanted, value),
        };
        let topics = filter.get("topics").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let wanted = |found: &Value| {
            let all = found.get("topics").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            found.get("address").is_some_and(|address| one_of(filter.get("address"), address))
                && topics.len() <= all.len()
                && topics.iter().zip(all).all(|(topic, value)| one_of(Some(topic), value))
        };
        let blocks =
            (first..=last.min(self.height())).filter_map(|number| Some((number, self.block(number)?)));
        let found = blocks.flat_map(|(number, block)| {
            block
                .transactions
                .iter()
                .enumerate()
                .filter_map(move |(index, mined)| log(number, index, block, mined))
        });
        answer(&found.filter(wanted).collect::<Vec<_>>())
    }

    /// `balanceOf(address)` and `decimals()` of the configured tokens.
    fn read(&self, parameters: Parameters<'_>) -> Answer {
        self.place(parameters.at(1))?;
        let call = parameters.at(0).ok_or_else(|| Failure::parameter("parameter 0 must be a call"))?;
        let field = |name: &str| call.get(name).and_then(Value::as_str);
        let to = field("to").and_then(address).ok_or_else(|| Failure::parameter("to must be an address"))?;
        let data = field("data").or(field("input")).and_then(unhex).unwrap_or_default();
        let Some(token) = self.token(&to) else { return answer(&"0x") };
        let reverted = || Failure::new(3, "execution reverted");
        match data.split_at_checked(4).ok_or_else(reverted)? {
            ([0x70, 0xa0, 0x82, 0x31], argument) => {
                let owner = argument.strip_prefix(&[0; 12]).and_then(|owner| owner.try_into().ok());
                let owner: Address = owner.ok_or_else(reverted)?;
                answer(&word(token.balances.get(&owner).copied().unwrap_or(0)))
            }
            ([0x31, 0x3c, 0xe5, 0x67], []) => answer(&word(u128::from(token.decimals))),
            _ => Err(reverted()),
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    matches!((a.as_str(), b.as_str()), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
}

/// The event of a token's transfer.
fn log(number: u64, index: usize, block: &Block, mined: &Mined) -> Option<Value> {
    let (contract, to, amount) = mined.token?;
    let padded = |address: &Address| {
        let mut topic = vec![0; 12];
        topic.extend_from_slice(address);
        hex(&topic)
    };
    let event = hex(&keccak(b"Transfer(address,address,uint256)"));
    let before = block.transactions.iter().take(index).filter(|mined| mined.token.is_some()).count();
    Some(json!({
        "address": hex(&contract),
        "topics": [event, padded(&mined.signed.sender), padded(&to)],
        "data": word(amount),
        "blockNumber": quantity(number),
        "blockHash": hex(&block.hash),
        "transactionHash": hex(&mined.signed.hash),
        "transactionIndex": format!("0x{index:x}"),
        "logIndex": format!("0x{before:x}"),
        "removed": false,
    }))
}
