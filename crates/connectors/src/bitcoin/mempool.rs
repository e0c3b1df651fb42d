//! Reading a node's memory pool: its list, taken at a known tip, then each transaction that was not read before.

use std::collections::BTreeSet;

use bitcoin::{Transaction, Txid};
use serde_json::{Value, json};

use super::answers::{hash_text, transaction};
use super::only;
use crate::doubt::Doubt;
use crate::hash::Hash;
use crate::rpc::{Answer, Call};

/// Room for 470,000 ids; Bitcoin Core's default pool of 300 MB holds fewer.
const LIST_ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Transactions asked for at once, and read in one poll.
const BATCH: usize = 20;
const FETCHED_PER_POLL: usize = 20_000;
/// A transaction that nodes relay has at most 400,000 bytes, each two digits. The limits of a batch add up, so that the one
/// in a thousand that a miner's own node lets in larger fits as well.
const TRANSACTION_ANSWER_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Default)]
enum Step {
    #[default]
    Loaded,
    List,
    Tip,
    Fetch,
}

/// One reading of the pool, and what was read of it before.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    step: Step,
    /// Read before, and still there.
    read: BTreeSet<Txid>,
    listed: BTreeSet<Txid>,
    /// To read, last one first.
    todo: Vec<Txid>,
    fetched: usize,
    /// Read, spending nothing of the wallet's yet, but children of transactions that were not read yet and may be.
    waiting: Vec<Transaction>,
    more: bool,
}

impl Mempool {
    pub(super) fn open(&mut self) {
        self.close();
        self.more = false;
    }

    /// Ends a reading, also one that was not finished: what still waited for its parents is read again.
    pub(super) fn close(&mut self) {
        let mut read = core::mem::take(&mut self.read);
        for tx in &self.waiting {
            read.remove(&tx.compute_txid());
        }
        *self = Self { read, more: self.more, ..Self::default() };
    }

    pub(super) fn lists(&self, txid: Txid) -> bool {
        self.listed.contains(&txid)
    }

    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        match self.step {
            Step::Loaded => vec![Call::small("getmempoolinfo", vec![])],
            Step::List => vec![Call::new("getrawmempool", vec![], LIST_ANSWER_BYTES_MAX)],
            Step::Tip => vec![Call::small("getbestblockhash", vec![])],
            Step::Fetch => {
                let next = self.todo.iter().rev().take(BATCH);
                let call = |txid: &Txid| {
                    let params = vec![json!(txid.to_string()), json!(false)];
                    Call::new("getrawtransaction", params, TRANSACTION_ANSWER_BYTES_MAX)
                };
                next.map(call).collect()
            }
        }
    }

    /// Takes answers; true when the pool is read. `take` says whether a transaction spends from the wallet.
    pub(super) fn answers(
        &mut self,
        tip: Hash,
        answers: Vec<Answer>,
        mut take: impl FnMut(&Transaction) -> Result<bool, Doubt>,
    ) -> Result<bool, Doubt> {
        match self.step {
            Step::Loaded => {
                let info = only(answers, "getmempoolinfo")?;
                // A node that has just started lists less than it knows.
                if info.get("loaded").and_then(Value::as_bool) == Some(false) {
                    return Err(Doubt::Syncing);
                }
                self.step = Step::List;
            }
            Step::List => {
                self.listed = list(only(answers, "getrawmempool")?)?;
                self.step = Step::Tip;
            }
            Step::Tip => {
                // The list says nothing about transactions that a block took in the meantime.
                let now = only(answers, "getbestblockhash")?;
                if hash_text(&now) != Some(tip) {
                    return Err(Doubt::Moved);
                }
                self.read.retain(|txid| self.listed.contains(txid));
                self.todo = self.listed.difference(&self.read).copied().collect();
                self.step = Step::Fetch;
                if self.todo.is_empty() {
                    return Ok(true);
                }
            }
            Step::Fetch => {
                for answer in answers {
                    let Some(txid) = self.todo.pop() else { break };
                    self.fetched += 1;
                    let Some(tx) = transaction(txid, answer)? else { continue };
                    self.read.insert(txid);
                    if !take(&tx)? && tx.input.iter().any(|input| self.is_unread(input.previous_output.txid))
                    {
                        self.waiting.push(tx);
                    }
                }
                if self.todo.is_empty() || self.fetched >= FETCHED_PER_POLL {
                    self.more = !self.todo.is_empty();
                    return self.link(take).map(|()| true);
                }
            }
        }
        Ok(false)
    }

    fn is_unread(&self, txid: Txid) -> bool {
        self.listed.contains(&txid) && !self.read.contains(&txid)
    }

    /// Looks again at the children, now that their parents were read; a child whose parent was not is read again next time.
    fn link(&mut self, mut take: impl FnMut(&Transaction) -> Result<bool, Doubt>) -> Result<(), Doubt> {
        loop {
            let before = self.waiting.len();
            let mut still = Vec::with_capacity(before);
            for tx in core::mem::take(&mut self.waiting) {
                if !take(&tx)? {
                    still.push(tx);
                }
            }
            self.waiting = still;
            if self.waiting.len() == before {
                break;
            }
        }
        for tx in core::mem::take(&mut self.waiting) {
            if tx.input.iter().any(|input| self.is_unread(input.previous_output.txid)) {
                self.read.remove(&tx.compute_txid());
            }
        }
        Ok(())
    }
}

fn list(answer: Value) -> Result<BTreeSet<Txid>, Doubt> {
    let wrong = |what| Doubt::Answer { method: "getrawmempool", what };
    let Value::Array(ids) = answer else { return Err(wrong("it is no list")) };
    let id = |id: Value| id.as_str().filter(|text| text.len() == 64)?.parse().ok();
    ids.into_iter().map(|text| id(text).ok_or(wrong("it lists what is no id"))).collect()
}
