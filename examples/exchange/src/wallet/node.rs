//! JSON-RPC of Bitcoin Core and of EVM nodes, as far as the wallet asks. Calls block.

use std::time::Duration;

use bitcoin::Transaction;
use bitcoin::consensus::encode::deserialize;
use holdfast_values::Amount;
use serde_json::{Value, json};

use super::book::Coin;
use super::{hex, unhex};

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why a node gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NodeError {
    /// Nobody knows. Ask again.
    #[error("the node does not answer: {0}")]
    Silent(String),
    /// The node says no.
    #[error("the node refuses: {message} ({code})")]
    Refused { code: i64, message: String },
    /// Something else answers.
    #[error("the node's answer to {0} cannot be read")]
    Malformed(&'static str),
}

/// A node's client.
#[derive(Clone)]
pub(crate) struct Node {
    agent: ureq::Agent,
    url: String,
}

impl Node {
    pub(crate) fn new(url: &str, timeout: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).build();
        Self { agent: config.into(), url: url.to_owned() }
    }

    fn call(&self, method: &'static str, parameters: &Value) -> Result<Value, NodeError> {
        let silent = |error: ureq::Error| NodeError::Silent(error.to_string());
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string();
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let mut reply = request.send(body).map_err(silent)?;
        let text = reply.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(silent)?;
        let mut reply: Value = serde_json::from_str(&text).map_err(|_| NodeError::Malformed(method))?;
        match reply.get("error") {
            None | Some(Value::Null) => {
                reply.get_mut("result").map(Value::take).ok_or(NodeError::Malformed(method))
            }
            Some(error) => Err(NodeError::Refused {
                code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
                message: error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Bitcoin: unspent coins of blocks at these addresses; each address with its place in the wallet.
    pub(crate) fn coins(&self, addresses: &[(String, u8, u32)]) -> Result<Vec<(Coin, String)>, NodeError> {
        const METHOD: &str = "scantxoutset";
        let wanted: Vec<String> = addresses.iter().map(|(address, ..)| format!("addr({address})")).collect();
        let found = self.call(METHOD, &json!(["start", wanted]))?;
        let read = |row: &Value| {
            let text = |name: &str| row.get(name).and_then(Value::as_str);
            let number = |name: &str| row.get(name).and_then(Value::as_u64);
            let address = text("desc")?.strip_prefix("addr(")?.split(')').next()?;
            let (address, descriptor, index) = addresses.iter().find(|(known, ..)| known == address)?;
            let coin = Coin {
                height: number("height")?,
                txid: text("txid")?.to_owned(),
                vout: u32::try_from(number("vout")?).ok()?,
                value: satoshi(row.get("amount")?)?,
                descriptor: *descriptor,
                index: *index,
            };
            Some((coin, address.clone()))
        };
        let rows = found.get("unspents").and_then(Value::as_array).ok_or(NodeError::Malformed(METHOD))?;
        rows.iter().map(read).collect::<Option<Vec<_>>>().ok_or(NodeError::Malformed(METHOD))
    }

    /// Bitcoin: a whole transaction.
    pub(crate) fn transaction(&self, txid: &str) -> Result<Transaction, NodeError> {
        const METHOD: &str = "getrawtransaction";
        let text = self.call(METHOD, &json!([txid, false]))?;
        let bytes = text.as_str().and_then(unhex).ok_or(NodeError::Malformed(METHOD))?;
        deserialize(&bytes).map_err(|_| NodeError::Malformed(METHOD))
    }

    /// Bitcoin: how often a transaction is confirmed, 0 in the mempool; `None` if the node does not have it.
    pub(crate) fn confirmations(&self, txid: &str) -> Result<Option<u64>, NodeError> {
        match self.call("getrawtransaction", &json!([txid, true])) {
            Ok(found) => Ok(Some(found.get("confirmations").and_then(Value::as_u64).unwrap_or(0))),
            Err(NodeError::Refused { code: -5, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bitcoin: satoshi for 1,000 virtual bytes that should confirm within six blocks, if the node can tell.
    pub(crate) fn fee_rate(&self) -> Result<Option<u64>, NodeError> {
        let found = self.call("estimatesmartfee", &json!([6]))?;
        Ok(found.get("feerate").and_then(satoshi))
    }

    /// Bitcoin: sends a transaction. Fine if it is known already.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), NodeError> {
        match self.call("sendrawtransaction", &json!([hex(bytes)])) {
            Err(NodeError::Refused { code: -27, .. }) => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn quantity(&self, method: &'static str, parameters: &Value) -> Result<u128, NodeError> {
        quantity(&self.call(method, parameters)?).ok_or(NodeError::Malformed(method))
    }

    /// EVM: transactions of an account that are in blocks.
    pub(crate) fn nonce(&self, address: &str) -> Result<u64, NodeError> {
        const METHOD: &str = "eth_getTransactionCount";
        let count = self.quantity(METHOD, &json!([address, "latest"]))?;
        u64::try_from(count).map_err(|_| NodeError::Malformed(METHOD))
    }

    /// EVM: wei for each gas, now.
    pub(crate) fn base_fee(&self) -> Result<u128, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = self.call(METHOD, &json!(["latest", false]))?;
        block.get("baseFeePerGas").and_then(quantity).ok_or(NodeError::Malformed(METHOD))
    }

    /// EVM: wei for each gas on top.
    pub(crate) fn tip(&self) -> Result<u128, NodeError> {
        self.quantity("eth_maxPriorityFeePerGas", &json!([]))
    }

    /// EVM: how often a transaction is confirmed, 0 in the pool; `None` if the node does not have it.
    pub(crate) fn evm_confirmations(&self, hash: &str) -> Result<Option<u64>, NodeError> {
        let receipt = self.call("eth_getTransactionReceipt", &json!([hash]))?;
        if let Some(number) = receipt.get("blockNumber").and_then(quantity) {
            let tip = self.quantity("eth_blockNumber", &json!([]))?;
            let confirmations = tip.saturating_sub(number).saturating_add(1);
            return Ok(Some(u64::try_from(confirmations).unwrap_or(u64::MAX)));
        }
        let known = self.call("eth_getTransactionByHash", &json!([hash]))?;
        Ok((!known.is_null()).then_some(0))
    }

    /// EVM: sends a transaction. Fine if it is known already.
    pub(crate) fn evm_send(&self, bytes: &[u8]) -> Result<(), NodeError> {
        match self.call("eth_sendRawTransaction", &json!([format!("0x{}", hex(bytes))])) {
            Err(NodeError::Refused { message, .. }) if message.contains("already known") => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// Coins with up to eight decimals, as Core writes them, in satoshi.
fn satoshi(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| *number >= 0.0)?;
    // 21 million coins have 51 bits in satoshi: the nearest text with eight decimals is the one that was written.
    let amount = Amount::parse(&format!("{number:.8}"), 8).ok()?;
    u64::try_from(amount.base_units()).ok()
}

fn quantity(value: &Value) -> Option<u128> {
    u128::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_core_are_exact() {
        for (text, expected) in [
            ("0.00000001", Some(1)),
            ("2e-5", Some(2_000)),
            ("20999999.97690000", Some(2_099_999_997_690_000)),
            ("0.29", Some(29_000_000)),
            ("-1", None),
            ("\"1\"", None),
        ] {
            assert_eq!(satoshi(&serde_json::from_str(text).unwrap()), expected, "{text}");
        }
    }
}
