//! Following one account on an EVM node, without IO: what to ask next, what the answers mean.
//!
//! A node's word is all there is: block and transaction hashes cannot be checked without knowing every fork's header, so
//! what is checked is that the answers fit each other.

mod answers;

use std::collections::VecDeque;

use holdfast_values::{ConflictKey, Network};
use serde_json::{Value, json};

use crate::doubt::Doubt;
use crate::follower::Followed;
use crate::hash::Hash;
use crate::ledger::{Ledger, Observation, Place, TRANSACTIONS_MAX, Tracked};
use crate::rpc::{Answer, Call};
use crate::trail::{Block, Trail};
use answers::{Header, Loose, Sent, quantity};

/// Blocks taken in one poll; the next poll follows at once.
const BLOCKS_PER_POLL: u64 = 50;
/// A full block of the largest chains has a few MiB.
const BLOCK_ANSWER_BYTES_MAX: u64 = 32 << 20;
const RECEIPT_ANSWER_BYTES_MAX: u64 = 4 << 20;
const TRANSACTION_ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The account that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    network: Network,
    chain: u64,
    address: [u8; 20],
}

impl Account {
    /// An account on a network; `None` if that is no EVM network.
    pub fn new(network: Network, address: [u8; 20]) -> Option<Self> {
        Some(Self { network, chain: network.chain_id()?, address })
    }
}

/// Where a poll stands: the question that is open.
#[derive(Debug)]
enum Step {
    Idle,
    Chain,
    Height,
    /// Is our last block still in its chain?
    Tip {
        height: u64,
    },
    /// Is this one, the newest that was not compared yet?
    Fork {
        height: u64,
        next: VecDeque<Block>,
    },
    /// The block at this height, with its transactions.
    Block {
        height: u64,
        at: u64,
    },
    /// The receipt of the first of these transactions of the block.
    Receipts {
        height: u64,
        block: Block,
        sent: VecDeque<Sent>,
        known: Vec<(Sent, bool)>,
    },
    /// The first of these transactions, which are in no block.
    Loose {
        next: VecDeque<Hash>,
    },
}

/// Follows one account.
#[derive(Debug)]
pub struct Follower {
    account: Account,
    start_height: u64,
    confirmations_final: u64,
    trail: Trail,
    ledger: Ledger,
    /// The nonce that is due, once one was seen.
    nonce: Option<u64>,
    taken: u64,
    step: Step,
    more: bool,
    changed: bool,
}

impl Follower {
    /// Follows from where `followed` left off; where that is empty, from `start_height`.
    pub fn new(account: Account, start_height: u64, confirmations_final: u64, followed: Followed) -> Self {
        Self {
            account,
            start_height,
            confirmations_final,
            trail: followed.trail,
            ledger: followed.transactions,
            nonce: followed.nonce,
            taken: 0,
            step: Step::Idle,
            more: false,
            changed: false,
        }
    }

    /// Starts a poll.
    pub fn begin(&mut self) {
        self.more = false;
        self.taken = 0;
        self.step = Step::Chain;
    }

    /// What to ask the node now: one call; nothing when the poll is over.
    pub fn calls(&self) -> Vec<Call> {
        let by_hash = |method, hash: &Hash, limit| Call::new(method, vec![json!(format!("0x{hash}"))], limit);
        let call = match &self.step {
            Step::Idle => None,
            Step::Chain => Some(Call::small("eth_chainId", vec![])),
            Step::Height => Some(Call::small("eth_blockNumber", vec![])),
            Step::Tip { .. } => self.trail.tip().map(|tip| block_at(tip.height, false)),
            Step::Fork { next, .. } => next.front().map(|block| block_at(block.height, false)),
            Step::Block { at, .. } => Some(block_at(*at, true)),
            Step::Receipts { sent, .. } => {
                let first = sent.front();
                first.map(|sent| by_hash("eth_getTransactionReceipt", &sent.hash, RECEIPT_ANSWER_BYTES_MAX))
            }
            Step::Loose { next } => {
                let first = next.front();
                first.map(|hash| by_hash("eth_getTransactionByHash", hash, TRANSACTION_ANSWER_BYTES_MAX))
            }
        };
        call.into_iter().collect()
    }

    /// Takes the answer to [`Self::calls`]. On doubt the poll is over; what was taken before stays.
    pub fn answers(&mut self, mut answers: Vec<Answer>) -> Result<(), Doubt> {
        let step = core::mem::replace(&mut self.step, Step::Idle);
        let method = match &step {
            Step::Idle => return Ok(()),
            Step::Chain => "eth_chainId",
            Step::Height => "eth_blockNumber",
            Step::Tip { .. } | Step::Fork { .. } | Step::Block { .. } => "eth_getBlockByNumber",
            Step::Receipts { .. } => "eth_getTransactionReceipt",
            Step::Loose { .. } => "eth_getTransactionByHash",
        };
        let answer = answers.pop().ok_or(Doubt::Answer { method, what: "there is none" })?;
        let answer = answer.map_err(|refusal| Doubt::Refused { method, refusal })?;
        self.step = self.take(step, &answer)?;
        Ok(())
    }

    fn take(&mut self, step: Step, answer: &Value) -> Result<Step, Doubt> {
        Ok(match step {
            Step::Idle => Step::Idle,
            Step::Chain => {
                let chain = quantity(answer)
                    .ok_or(Doubt::Answer { method: "eth_chainId", what: "it is no number" })?;
                if chain != u128::from(self.account.chain) {
                    let wanted = format!("{} ({})", self.account.chain, self.account.network);
                    return Err(Doubt::WrongNetwork { node: chain.to_string(), wanted });
                }
                Step::Height
            }
            Step::Height => {
                let height = quantity(answer).and_then(|height| u64::try_from(height).ok());
                let height =
                    height.ok_or(Doubt::Answer { method: "eth_blockNumber", what: "it is no height" })?;
                match self.trail.tip() {
                    Some(own) if own.height > height => {
                        return Err(Doubt::Behind { node: height, own: own.height });
                    }
                    Some(_) => Step::Tip { height },
                    None if self.start_height > height => {
                        return Err(Doubt::BeforeStart { node: height, start: self.start_height });
                    }
                    None => self.onward(height),
                }
            }
            Step::Tip { height } => {
                let Some(own) = self.trail.tip() else { return Err(Doubt::Moved) };
                if Header::read(answer, own.height)?.hash == own.hash {
                    self.onward(height)
                } else {
                    self.fork(height, self.trail.newest_first().skip(1).collect())?
                }
            }
            Step::Fork { height, mut next } => {
                let Some(own) = next.pop_front() else { return Err(Doubt::Moved) };
                if Header::read(answer, own.height)?.hash == own.hash {
                    self.cut(Some(own.height));
                    self.onward(height)
                } else {
                    self.fork(height, next)?
                }
            }
            Step::Block { height, at } => {
                let header = Header::read(answer, at)?;
                if self.trail.tip().is_some_and(|tip| tip.hash != header.parent) {
                    return Err(Doubt::Moved);
                }
                let block = Block { height: at, hash: header.hash };
                let sent = answers::sent(answer, self.account.address, header.hash)?;
                self.receipts(height, block, sent.into(), Vec::new())?
            }
            Step::Receipts { height, block, mut sent, mut known } => {
                let Some(first) = sent.pop_front() else { return Err(Doubt::Moved) };
                let worked = answers::receipt(answer, first.hash, block.hash)?;
                known.push((first, worked));
                self.receipts(height, block, sent, known)?
            }
            Step::Loose { mut next } => {
                let Some(hash) = next.pop_front() else { return Err(Doubt::Moved) };
                let place = match answers::loose(answer, hash)? {
                    Loose::Unknown => Some(Place::Gone),
                    Loose::Pending => Some(Place::Pending),
                    // The block will be read, and then it is known what became of it there.
                    Loose::Included(at) if self.height().is_none_or(|own| at > own) => None,
                    Loose::Included(_) => return Err(Doubt::Moved),
                };
                if let Some(place) = place {
                    self.changed |= self.ledger.stands(hash, place);
                }
                if next.is_empty() { Step::Idle } else { Step::Loose { next } }
            }
        })
    }

    /// Asks for the next receipt, or takes the block when all are known.
    fn receipts(
        &mut self,
        height: u64,
        block: Block,
        sent: VecDeque<Sent>,
        known: Vec<(Sent, bool)>,
    ) -> Result<Step, Doubt> {
        if !sent.is_empty() {
            return Ok(Step::Receipts { height, block, sent, known });
        }
        for (sent, worked) in known {
            if self.ledger.is_full() && !self.ledger.contains(sent.hash) {
                return Err(Doubt::Full { what: "transactions", max: TRANSACTIONS_MAX });
            }
            if self.nonce.is_some_and(|due| sent.nonce > due) {
                // Nothing is made up for them; but somebody should look. A nonce can also be spent by an EIP-7702
                // authorisation that another account's transaction carries.
                tracing::warn!(due = ?self.nonce, seen = sent.nonce, "nonces were spent by transactions that the node did not show");
            }
            self.nonce = Some(sent.nonce.saturating_add(1));
            let Account { chain, address, network } = self.account;
            let spends = vec![ConflictKey::Nonce { chain, sender: address, nonce: sent.nonce }];
            let place = Place::Included { block, failed: !worked };
            self.ledger.place(sent.hash, Tracked::new(spends, sent.outputs(network), place));
        }
        self.trail.push(block);
        self.changed = true;
        self.taken += 1;
        Ok(self.onward(height))
    }

    /// The next block, or what is in no block when there is none.
    fn onward(&mut self, height: u64) -> Step {
        let at = self.trail.tip().map_or(self.start_height, |tip| tip.height.saturating_add(1));
        if at <= height {
            self.more = self.taken >= BLOCKS_PER_POLL;
            return if self.more { Step::Idle } else { Step::Block { height, at } };
        }
        let next: VecDeque<Hash> = self.ledger.loose().into();
        if next.is_empty() { Step::Idle } else { Step::Loose { next } }
    }

    /// The next block to compare; where none is left, the fork lies below all that is remembered.
    fn fork(&mut self, height: u64, next: VecDeque<Block>) -> Result<Step, Doubt> {
        if !next.is_empty() {
            return Ok(Step::Fork { height, next });
        }
        // Watched from the very first block on, everything can be read again.
        if self.trail.first().is_none_or(|block| block.height != self.start_height) {
            return Err(Doubt::TooDeep);
        }
        self.cut(None);
        Ok(self.onward(height))
    }

    fn cut(&mut self, height: Option<u64>) {
        self.changed = true;
        // Nonces of the blocks that are gone come again.
        self.nonce = None;
        self.trail.cut(height);
        self.ledger.cut(height);
    }

    /// Drops the open question: no answer came.
    pub fn abandon(&mut self) {
        self.step = Step::Idle;
    }

    /// True if the next poll should follow at once.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// The height up to which blocks were taken.
    pub fn height(&self) -> Option<u64> {
        self.trail.tip().map(|tip| tip.height)
    }

    /// What Holdfast does not know yet. It counts as told from here on: keep it until it is delivered.
    pub fn report(&mut self) -> Vec<Observation> {
        let Some(tip) = self.trail.tip() else { return Vec::new() };
        let news = self.ledger.report(tip.height, self.confirmations_final);
        self.ledger.forget(tip.height);
        self.changed |= !news.is_empty();
        news
    }

    /// Everything to go on from, if it changed since it was last asked for.
    pub fn changed(&mut self) -> Option<Followed> {
        core::mem::take(&mut self.changed).then(|| Followed {
            trail: self.trail.clone(),
            transactions: self.ledger.clone(),
            nonce: self.nonce,
            ..Followed::default()
        })
    }
}

fn block_at(height: u64, full: bool) -> Call {
    let limit = if full { BLOCK_ANSWER_BYTES_MAX } else { TRANSACTION_ANSWER_BYTES_MAX };
    Call::new("eth_getBlockByNumber", vec![json!(format!("{height:#x}")), json!(full)], limit)
}
