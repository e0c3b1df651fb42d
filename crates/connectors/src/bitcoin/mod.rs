//! Following a wallet on a Bitcoin Core node, without IO: what to ask next, what the answers mean.
//!
//! Blocks and transactions are taken as bytes, never as the node's description of them: a block must hash to what was
//! asked for, follow the block before it and commit to its transactions; a transaction must hash to its id.

mod answers;
mod mempool;
mod scripts;

use std::collections::{BTreeMap, VecDeque};

use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, Transaction, Txid};
use holdfast_values::{ConflictKey, Network};
use serde_json::json;

use crate::doubt::Doubt;
use crate::follower::Followed;
use crate::hash::Hash;
use crate::ledger::{Ledger, Observation, ObservedOutput, PARTS_MAX, Place, Tracked};
use crate::rpc::{Answer, Call};
use crate::trail::{Block, Trail};
use answers::{Info, block, hash, info, refused};
use mempool::Mempool;
pub use scripts::Scripts;

/// Most coins that are watched.
pub(crate) const COINS_MAX: usize = 1_000_000;
/// Blocks taken in one poll; the next poll follows at once.
const BLOCKS_PER_POLL: u64 = 50;
/// A block has at most 4,000,000 bytes, each two digits.
const BLOCK_ANSWER_BYTES_MAX: u64 = 9 << 20;

/// Where a poll stands: the question that is open.
#[derive(Debug)]
enum Step {
    Idle,
    /// The node's chain, height and state.
    Info,
    /// Is our last block still in its chain?
    Tip(Info),
    /// Which of our blocks are?
    Fork(Info),
    /// The hashes of the next blocks.
    Hashes {
        info: Info,
        from: u64,
    },
    /// The first of these blocks.
    Block {
        info: Info,
        next: VecDeque<Block>,
    },
    /// The memory pool.
    Mempool,
}

/// Follows one wallet.
#[derive(Debug)]
pub struct Follower {
    scripts: Scripts,
    start_height: u64,
    confirmations_final: u64,
    trail: Trail,
    ledger: Ledger,
    /// Outputs that pay to the wallet, with their block's height; spent ones stay until no reorganisation can bring them back.
    coins: BTreeMap<OutPoint, Option<u64>>,
    mempool: Mempool,
    step: Step,
    more: bool,
    changed: bool,
}

impl Follower {
    /// Follows from where `followed` left off; where that is empty, from `start_height`.
    pub fn new(scripts: Scripts, start_height: u64, confirmations_final: u64, followed: Followed) -> Self {
        let coins =
            followed.coins.into_iter().filter_map(|(key, height)| outpoint(key).map(|coin| (coin, height)));
        Self {
            scripts,
            start_height,
            confirmations_final,
            trail: followed.trail,
            ledger: followed.transactions,
            coins: coins.collect(),
            mempool: Mempool::default(),
            step: Step::Idle,
            more: false,
            changed: false,
        }
    }

    /// Starts a poll.
    pub fn begin(&mut self) {
        self.more = false;
        self.step = Step::Info;
    }

    /// What to ask the node now, in one batch; nothing when the poll is over.
    pub fn calls(&self) -> Vec<Call> {
        match &self.step {
            Step::Idle => Vec::new(),
            Step::Info => vec![Call::small("getblockchaininfo", vec![])],
            Step::Tip(_) => self.trail.tip().into_iter().map(|tip| hash_at(tip.height)).collect(),
            Step::Fork(_) => self.trail.newest_first().map(|block| hash_at(block.height)).collect(),
            Step::Hashes { info, from } => (*from..=self.until(*info, *from)).map(hash_at).collect(),
            Step::Block { next, .. } => {
                let params = |block: &Block| vec![json!(block.hash.to_string()), json!(0)];
                let first = next.front();
                first
                    .map(|block| Call::new("getblock", params(block), BLOCK_ANSWER_BYTES_MAX))
                    .into_iter()
                    .collect()
            }
            Step::Mempool => self.mempool.calls(),
        }
    }

    /// Takes the answers to [`Self::calls`]. On doubt the poll is over; what was taken before stays.
    pub fn answers(&mut self, answers: Vec<Answer>) -> Result<(), Doubt> {
        let step = core::mem::replace(&mut self.step, Step::Idle);
        self.step = match step {
            Step::Idle => Step::Idle,
            Step::Info => {
                let info = info(self.scripts.network(), only(answers, "getblockchaininfo")?)?;
                match self.trail.tip() {
                    Some(own) if own.height > info.height => {
                        return Err(Doubt::Behind { node: info.height, own: own.height });
                    }
                    Some(_) => Step::Tip(info),
                    None if self.start_height > info.height => {
                        return Err(Doubt::BeforeStart { node: info.height, start: self.start_height });
                    }
                    None => Step::Hashes { info, from: self.start_height },
                }
            }
            Step::Tip(info) => {
                let node = hash(answers.into_iter().next().ok_or(Doubt::Moved)?)?;
                match self.trail.tip() {
                    Some(own) if own.hash == node => self.onward(info),
                    _ => Step::Fork(info),
                }
            }
            Step::Fork(info) => {
                let hashes: Vec<Hash> = answers.into_iter().map(hash).collect::<Result<_, _>>()?;
                if hashes.len() != self.trail.newest_first().count() {
                    return Err(Doubt::Answer { method: "getblockhash", what: "some answers are missing" });
                }
                let shared = self.trail.newest_first().zip(hashes).find(|(own, node)| own.hash == *node);
                let shared = shared.map(|(own, _)| own.height);
                // Watched from the very first block on, everything can be read again.
                let from_start = self.trail.first().is_some_and(|block| block.height == self.start_height);
                if shared.is_none() && !from_start {
                    return Err(Doubt::TooDeep);
                }
                self.cut(shared);
                self.onward(info)
            }
            Step::Hashes { info, from } => {
                let mut next = VecDeque::new();
                for (height, answer) in (from..).zip(answers) {
                    next.push_back(Block { height, hash: hash(answer)? });
                }
                Step::Block { info, next }
            }
            Step::Block { info, mut next } => {
                let Some(asked) = next.pop_front() else { return Err(Doubt::Moved) };
                let block = block(asked.hash, only(answers, "getblock")?)?;
                let parent = Hash::reversed(block.header.prev_blockhash.to_byte_array());
                if self.trail.tip().is_some_and(|tip| tip.hash != parent) {
                    return Err(Doubt::Moved);
                }
                self.take_block(asked, &block.txdata)?;
                if !next.is_empty() {
                    Step::Block { info, next }
                } else if asked.height < info.height {
                    self.more = true;
                    Step::Idle
                } else {
                    self.onward(info)
                }
            }
            Step::Mempool => self.pooled(answers)?,
        };
        Ok(())
    }

    fn pooled(&mut self, answers: Vec<Answer>) -> Result<Step, Doubt> {
        let tip = self.trail.tip().ok_or(Doubt::Moved)?;
        let mut pool = core::mem::take(&mut self.mempool);
        let taken = pool.answers(tip.hash, answers, |tx| self.take_loose(tx));
        self.mempool = pool;
        if !taken? {
            return Ok(Step::Mempool);
        }
        self.more |= self.mempool.has_more();
        // The pool was listed at this very tip: what is in neither is nowhere.
        for id in self.ledger.loose() {
            let place = if self.mempool.lists(txid(id)) { Place::Pending } else { Place::Gone };
            self.changed |= self.ledger.stands(id, place);
        }
        let coins = self.coins.len();
        let pool = &self.mempool;
        self.coins.retain(|coin, height| height.is_some() || pool.lists(coin.txid));
        self.changed |= coins != self.coins.len();
        self.mempool.close();
        Ok(Step::Idle)
    }

    /// Drops the open question: no answer came.
    pub fn abandon(&mut self) {
        self.step = Step::Idle;
        self.mempool.close();
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
        for key in self.ledger.forget(tip.height) {
            if let Some(coin) = outpoint(key) {
                self.coins.remove(&coin);
            }
        }
        self.changed |= !news.is_empty();
        news
    }

    /// Everything to go on from, if it changed since it was last asked for.
    pub fn changed(&mut self) -> Option<Followed> {
        core::mem::take(&mut self.changed).then(|| Followed {
            trail: self.trail.clone(),
            transactions: self.ledger.clone(),
            coins: self.coins.iter().map(|(coin, height)| (conflict_key(*coin), *height)).collect(),
            used: self.scripts.used(),
            nonce: None,
        })
    }

    fn until(&self, info: Info, from: u64) -> u64 {
        info.height.min(from.saturating_add(BLOCKS_PER_POLL - 1))
    }

    /// The next block, or the memory pool when there is none.
    fn onward(&mut self, info: Info) -> Step {
        let from = self.trail.tip().map_or(self.start_height, |tip| tip.height.saturating_add(1));
        if from <= info.height {
            return Step::Hashes { info, from };
        }
        self.mempool.open();
        Step::Mempool
    }

    fn cut(&mut self, height: Option<u64>) {
        self.changed = true;
        self.trail.cut(height);
        self.ledger.cut(height);
        for created in self.coins.values_mut() {
            if created.is_some_and(|created| height.is_none_or(|height| created > height)) {
                *created = None;
            }
        }
    }

    fn take_block(&mut self, block: Block, transactions: &[Transaction]) -> Result<(), Doubt> {
        for tx in transactions {
            self.take(tx, Place::Included { block, failed: false }, Some(block.height))?;
        }
        self.trail.push(block);
        self.changed = true;
        Ok(())
    }

    /// A transaction of the memory pool. True if it spends from the wallet.
    fn take_loose(&mut self, tx: &Transaction) -> Result<bool, Doubt> {
        self.take(tx, Place::Pending, None)
    }

    /// Notes what a transaction pays to the wallet; true if it spends from it.
    fn take(&mut self, tx: &Transaction, place: Place, height: Option<u64>) -> Result<bool, Doubt> {
        let id = tx.compute_txid();
        let shown = shown(id);
        let (own, foreign): (Vec<_>, Vec<_>) = tx
            .input
            .iter()
            .map(|input| input.previous_output)
            .partition(|spent| self.coins.contains_key(spent));
        let spends = !own.is_empty() || self.ledger.contains(shown);
        if spends {
            if self.ledger.is_full() && !self.ledger.contains(shown) {
                return Err(Doubt::Full { what: "transactions", max: crate::ledger::TRANSACTIONS_MAX });
            }
            // The wallet's own come first, in case that there are too many to report.
            let spends = own.into_iter().chain(foreign).map(conflict_key).take(PARTS_MAX + 1).collect();
            let outputs = tx.output.iter().take(PARTS_MAX + 1).map(|output| ObservedOutput {
                address: self.scripts.address(&output.script_pubkey),
                contract: None,
                amount: u128::from(output.value.to_sat()),
            });
            self.ledger.place(shown, Tracked::new(spends, outputs.collect(), place));
            self.changed = true;
        }
        for (output, vout) in tx.output.iter().zip(0u32..) {
            if !self.scripts.take(&output.script_pubkey) {
                continue;
            }
            if self.coins.len() >= COINS_MAX {
                return Err(Doubt::Full { what: "coins", max: COINS_MAX });
            }
            if self.scripts.is_full() {
                return Err(Doubt::Full { what: "addresses", max: scripts::SCRIPTS_MAX });
            }
            self.changed = true;
            let created = self.coins.entry(OutPoint { txid: id, vout }).or_insert(height);
            *created = height.or(*created);
        }
        Ok(spends)
    }
}

fn hash_at(height: u64) -> Call {
    Call::small("getblockhash", vec![json!(height)])
}

fn only(mut answers: Vec<Answer>, method: &'static str) -> Result<serde_json::Value, Doubt> {
    let answer = answers.pop().ok_or(Doubt::Answer { method, what: "there is none" })?;
    answer.map_err(|refusal| refused(method, refusal))
}

fn shown(txid: Txid) -> Hash {
    Hash::reversed(txid.to_byte_array())
}

fn txid(hash: Hash) -> Txid {
    let mut bytes = hash.bytes();
    bytes.reverse();
    Txid::from_byte_array(bytes)
}

fn conflict_key(coin: OutPoint) -> ConflictKey {
    ConflictKey::Outpoint { txid: coin.txid.to_byte_array(), vout: coin.vout }
}

fn outpoint(key: ConflictKey) -> Option<OutPoint> {
    match key {
        ConflictKey::Outpoint { txid, vout } => Some(OutPoint { txid: Txid::from_byte_array(txid), vout }),
        ConflictKey::Nonce { .. } => None,
    }
}

/// The chain that a node of this network names.
fn is_chain(network: Network, chain: &str) -> bool {
    match network {
        Network::Bitcoin => chain == "main",
        Network::BitcoinTestnet => matches!(chain, "test" | "testnet4"),
        Network::BitcoinSignet => chain == "signet",
        Network::BitcoinRegtest => chain == "regtest",
        _ => false,
    }
}
