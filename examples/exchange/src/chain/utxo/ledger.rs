//! Blocks, unspent outputs and the mempool of one Bitcoin chain.
//!
//! Scripts and signatures are verified by Bitcoin Core's own consensus library, with every spent output, so taproot as
//! well. Policy is that of a node in its default configuration as far as a wallet meets it: a least fee, no dust,
//! replacement by a higher fee. Block hashes and times follow from what is in the blocks, so that runs repeat.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash as _;
use bitcoin::opcodes::all::OP_PUSHNUM_1;
use bitcoin::script::Builder;
use bitcoin::{
    Amount, BlockHash, CompactTarget, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, WPubkeyHash, Witness, transaction,
};

/// The first block's time: 2026-01-01T00:00:00Z.
const GENESIS_SECONDS: u32 = 1_767_225_600;
/// Between two blocks.
const BLOCK_SECONDS: u32 = 600;
/// Satoshi for each virtual byte that a transaction must pay at least to be relayed.
const RELAY_FEE: u64 = 1;
/// The largest transaction that is relayed, in weight units.
const STANDARD_WEIGHT_MAX: u64 = 400_000;
/// The largest block, in weight units, with room for its coinbase.
const BLOCK_WEIGHT_MAX: u64 = 3_996_000;
/// Transactions that one replacement may drive out.
const REPLACED_MAX: usize = 100;
/// What the treasury, from which addresses are funded, begins with: 20 million coins.
const TREASURY: Amount = Amount::from_sat(2_000_000_000_000_000);

/// Why a transaction is not taken, with Core's code and words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Reject {
    /// Core's error code.
    pub(crate) code: i32,
    /// Core's words.
    pub(crate) reason: String,
}

impl Reject {
    fn new(code: i32, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn missing() -> Self {
        Self::new(-25, "bad-txns-inputs-missingorspent")
    }
}

/// An unspent output.
#[derive(Clone, Debug)]
pub(crate) struct Coin {
    /// Value and script.
    pub(crate) output: TxOut,
    /// In which block.
    pub(crate) height: u32,
    /// Made by a coinbase.
    pub(crate) coinbase: bool,
}

/// A block, its transactions by id.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The header; its nonce counts the branches, so that a block is never the same again after a reorganisation.
    pub(crate) header: Header,
    /// Coinbase first.
    pub(crate) transactions: Vec<Txid>,
    /// What it spent, to be undone.
    spent: Vec<(OutPoint, Coin)>,
}

/// A transaction that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// What it pays, in satoshi.
    pub(crate) fee: u64,
    /// Its size, in virtual bytes.
    pub(crate) vsize: u64,
    order: u64,
}

impl Waiting {
    /// Satoshi for a thousand virtual bytes, rounded down.
    fn rate(self) -> u64 {
        self.fee.saturating_mul(1_000).checked_div(self.vsize).unwrap_or(0)
    }
}

/// How a reorganisation goes.
#[derive(Debug, Default)]
pub(crate) struct Reorganisation {
    /// Blocks that are taken off.
    pub(crate) depth: u32,
    /// Transactions that are forgotten, with all that depends on them.
    pub(crate) drop: BTreeSet<Txid>,
    /// Transactions that the new blocks have from the start; what conflicts with them is gone.
    pub(crate) replace: Vec<Transaction>,
    /// Everything else goes into the new blocks again; otherwise it waits in the mempool.
    pub(crate) again: bool,
}

/// One chain.
#[derive(Clone)]
pub(crate) struct Ledger {
    /// Which one: decides how addresses are written.
    pub(crate) network: Network,
    /// Satoshi for a thousand virtual bytes under which nothing is mined.
    pub(crate) mining_rate: u64,
    blocks: Vec<Block>,
    by_hash: BTreeMap<BlockHash, u32>,
    coins: BTreeMap<OutPoint, Coin>,
    known: BTreeMap<Txid, Transaction>,
    mined: BTreeMap<Txid, u32>,
    pool: BTreeMap<Txid, Waiting>,
    pool_spends: BTreeMap<OutPoint, Txid>,
    order: u64,
    branch: u32,
}

impl Ledger {
    /// A chain with its first block, which pays the treasury.
    pub(crate) fn new(network: Network) -> Self {
        let mut ledger = Self {
            network,
            mining_rate: 0,
            blocks: Vec::new(),
            by_hash: BTreeMap::new(),
            coins: BTreeMap::new(),
            known: BTreeMap::new(),
            mined: BTreeMap::new(),
            pool: BTreeMap::new(),
            pool_spends: BTreeMap::new(),
            order: 0,
            branch: 0,
        };
        ledger.connect(vec![TxOut { value: TREASURY, script_pubkey: treasury_script() }], &[]);
        ledger
    }

    /// The height of the last block.
    pub(crate) fn height(&self) -> u32 {
        u32::try_from(self.blocks.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The block at a height.
    pub(crate) fn block(&self, height: u32) -> Option<&Block> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    /// The height of a block of the chain as it stands.
    pub(crate) fn height_of(&self, hash: BlockHash) -> Option<u32> {
        self.by_hash.get(&hash).copied()
    }

    /// The hash of the last block.
    pub(crate) fn tip(&self) -> BlockHash {
        self.blocks.last().map_or_else(BlockHash::all_zeros, |block| block.header.block_hash())
    }

    /// A transaction that is in a block or waits.
    pub(crate) fn transaction(&self, id: Txid) -> Option<&Transaction> {
        let here = self.mined.contains_key(&id) || self.pool.contains_key(&id);
        self.known.get(&id).filter(|_| here)
    }

    /// The height of the block that has a transaction.
    pub(crate) fn mined_at(&self, id: Txid) -> Option<u32> {
        self.mined.get(&id).copied()
    }

    /// The mempool, first come first.
    pub(crate) fn pool(&self) -> Vec<(Txid, Waiting)> {
        let mut pool: Vec<_> = self.pool.iter().map(|(id, waiting)| (*id, *waiting)).collect();
        pool.sort_by_key(|(_, waiting)| waiting.order);
        pool
    }

    /// The waiting transaction that spends an output.
    pub(crate) fn spender(&self, outpoint: OutPoint) -> Option<Txid> {
        self.pool_spends.get(&outpoint).copied()
    }

    /// An unspent output; `pool`: as if every waiting transaction were mined.
    pub(crate) fn coin(&self, outpoint: OutPoint, pool: bool) -> Option<Coin> {
        if pool && self.pool_spends.contains_key(&outpoint) {
            return None;
        }
        let waiting = || {
            let transaction = self.pool.get(&outpoint.txid).and_then(|_| self.known.get(&outpoint.txid))?;
            let output = transaction.output.get(usize::try_from(outpoint.vout).ok()?)?.clone();
            Some(Coin { output, height: self.height().saturating_add(1), coinbase: false })
        };
        self.coins.get(&outpoint).cloned().or_else(|| pool.then(waiting).flatten())
    }

    /// Every unspent output of the blocks.
    pub(crate) fn coins(&self) -> impl Iterator<Item = (OutPoint, &Coin)> {
        self.coins.iter().map(|(outpoint, coin)| (*outpoint, coin))
    }

    /// What an input spends, of any transaction that was ever taken.
    pub(crate) fn previous(&self, outpoint: OutPoint) -> Option<&TxOut> {
        self.known.get(&outpoint.txid)?.output.get(usize::try_from(outpoint.vout).ok()?)
    }

    /// What a transaction pays, if it spends only what is known.
    pub(crate) fn fee(&self, transaction: &Transaction) -> Option<u64> {
        let spent =
            transaction.input.iter().map(|input| Some(self.previous(input.previous_output)?.value.to_sat()));
        let spent = spent.sum::<Option<u64>>()?;
        spent.checked_sub(transaction.output.iter().map(|output| output.value.to_sat()).sum())
    }

    /// Checks a transaction and lets it wait. One that waits already is fine.
    pub(crate) fn accept(&mut self, transaction: Transaction) -> Result<Txid, Reject> {
        let id = transaction.compute_txid();
        if self.mined.contains_key(&id) {
            return Err(Reject::new(-27, "Transaction outputs already in utxo set"));
        }
        if self.pool.contains_key(&id) {
            return Ok(id);
        }
        let fee = self.check(&transaction)?;
        let vsize = transaction.weight().to_vbytes_ceil();
        if fee < vsize.saturating_mul(RELAY_FEE) {
            return Err(Reject::new(-26, "min relay fee not met"));
        }
        let replaced = self.replaced_by(&transaction, Waiting { fee, vsize, order: 0 })?;
        self.verify(&transaction)?;
        self.forget(replaced);
        self.wait(id, transaction, fee);
        Ok(id)
    }

    /// Pays from the treasury to new outputs, and mines a block with the payment.
    pub(crate) fn fund(&mut self, outputs: Vec<TxOut>) -> Result<Txid, Reject> {
        let script = treasury_script();
        let largest =
            |(_, a): &(OutPoint, &Coin), (_, b): &(OutPoint, &Coin)| a.output.value.cmp(&b.output.value);
        let treasury = self.coins().filter(|(_, coin)| coin.output.script_pubkey == script).max_by(largest);
        let (from, value) = treasury.map(|(at, coin)| (at, coin.output.value)).ok_or_else(Reject::missing)?;
        let total = outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
        let fee = Amount::from_sat(100_000);
        let change = total.and_then(|total| value.checked_sub(total)?.checked_sub(fee));
        let change = change.ok_or_else(|| Reject::new(-6, "the treasury has not so much"))?;
        let mut output = vec![TxOut { value: change, script_pubkey: script }];
        output.extend(outputs);
        let input = TxIn {
            previous_output: from,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[treasury_witness().into_bytes()]),
        };
        let version = transaction::Version::TWO;
        let transaction = Transaction { version, lock_time: LockTime::ZERO, input: vec![input], output };
        let id = self.accept(transaction)?;
        self.mine_only(&BTreeSet::from([id]));
        Ok(id)
    }

    /// Mines a block with all that waits, pays enough and fits.
    pub(crate) fn mine(&mut self) -> BlockHash {
        self.mine_which(&|_| true)
    }

    fn mine_only(&mut self, only: &BTreeSet<Txid>) -> BlockHash {
        self.mine_which(&|id| only.contains(&id))
    }

    fn mine_which(&mut self, wanted: &dyn Fn(Txid) -> bool) -> BlockHash {
        let mut chosen: Vec<Txid> = Vec::new();
        let mut ahead: BTreeSet<Txid> = BTreeSet::new();
        let mut weight = 0u64;
        for (id, waiting) in self.pool() {
            let Some(transaction) = self.known.get(&id) else { continue };
            let next = weight.saturating_add(transaction.weight().to_wu());
            let parents = transaction.input.iter().map(|input| input.previous_output.txid);
            let ready =
                parents.into_iter().all(|parent| !self.pool.contains_key(&parent) || ahead.contains(&parent));
            if wanted(id) && ready && waiting.rate() >= self.mining_rate && next <= BLOCK_WEIGHT_MAX {
                weight = next;
                chosen.push(id);
                ahead.insert(id);
            }
        }
        let fees = chosen.iter().filter_map(|id| self.pool.get(id)).map(|waiting| waiting.fee).sum();
        let miner = ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(b"harbor-chain miner"));
        self.connect(vec![TxOut { value: Amount::from_sat(fees), script_pubkey: miner }], &chosen);
        self.tip()
    }

    /// Takes blocks off the end and puts one more than those in their place. What was in them waits again, unless it
    /// is to be dropped or conflicts with a replacement. Nothing changes if a replacement is not valid.
    pub(crate) fn reorganise(&mut self, how: &Reorganisation) -> Result<(), Reject> {
        if how.depth > self.height() {
            return Err(Reject::new(-8, "the chain is not that deep"));
        }
        let mut next = self.clone();
        next.branch = next.branch.saturating_add(1);
        let mut back: Vec<Txid> = Vec::new();
        for _ in 0..how.depth {
            let mut taken = next.disconnect();
            taken.append(&mut back);
            back = taken;
        }
        back.extend(next.pool().iter().map(|(id, _)| *id));
        next.pool.clear();
        next.pool_spends.clear();
        let mut first = BTreeSet::new();
        for transaction in &how.replace {
            // Its parents may be among what was just taken off.
            next.wait_again(&back, &how.drop, Some(transaction));
            first.insert(next.accept(transaction.clone())?);
        }
        next.wait_again(&back, &how.drop, None);
        let parents: Vec<Txid> = first.iter().flat_map(|id| next.ancestors(*id)).collect();
        first.extend(parents);
        let rate = core::mem::take(&mut next.mining_rate);
        if how.again {
            next.mine();
        } else {
            next.mine_only(&first);
        }
        next.mining_rate = rate;
        for _ in 0..how.depth {
            next.mine_only(&BTreeSet::new());
        }
        *self = next;
        Ok(())
    }

    /// Lets transactions wait again, oldest first, as far as their inputs are there; `for_child`: only what it needs.
    fn wait_again(&mut self, back: &[Txid], drop: &BTreeSet<Txid>, for_child: Option<&Transaction>) {
        let mut wanted: Option<BTreeSet<Txid>> =
            for_child.map(|child| child.input.iter().map(|input| input.previous_output.txid).collect());
        if let Some(wanted) = &mut wanted {
            for id in back.iter().rev().filter(|_| !back.is_empty()) {
                if let Some(parent) = self.known.get(id).filter(|_| wanted.contains(id)) {
                    wanted.extend(parent.input.iter().map(|input| input.previous_output.txid));
                }
            }
        }
        for id in back {
            let skip = drop.contains(id)
                || self.pool.contains_key(id)
                || wanted.as_ref().is_some_and(|wanted| !wanted.contains(id));
            let Some(transaction) = self.known.get(id).filter(|_| !skip).cloned() else { continue };
            let free = |input: &TxIn| self.coin(input.previous_output, true).is_some();
            if transaction.input.iter().all(free)
                && let Some(fee) = self.fee(&transaction)
            {
                self.wait(*id, transaction, fee);
            }
        }
    }

    fn ancestors(&self, id: Txid) -> BTreeSet<Txid> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let inputs =
                self.known.get(&id).map(|transaction| transaction.input.as_slice()).unwrap_or_default();
            for parent in inputs.iter().map(|input| input.previous_output.txid) {
                if self.pool.contains_key(&parent) && found.insert(parent) {
                    open.push(parent);
                }
            }
        }
        found
    }

    /// Form, inputs, sums and dust: everything but scripts. The fee.
    fn check(&self, transaction: &Transaction) -> Result<u64, Reject> {
        if transaction.is_coinbase() {
            return Err(Reject::new(-26, "coinbase"));
        }
        if transaction.input.is_empty() {
            return Err(Reject::new(-26, "bad-txns-vin-empty"));
        }
        if transaction.output.is_empty() {
            return Err(Reject::new(-26, "bad-txns-vout-empty"));
        }
        if !(1..=2).contains(&transaction.version.0) {
            return Err(Reject::new(-26, "version"));
        }
        if transaction.weight().to_wu() > STANDARD_WEIGHT_MAX {
            return Err(Reject::new(-26, "tx-size"));
        }
        let inputs: BTreeSet<OutPoint> =
            transaction.input.iter().map(|input| input.previous_output).collect();
        if inputs.len() != transaction.input.len() {
            return Err(Reject::new(-26, "bad-txns-inputs-duplicate"));
        }
        let height = bitcoin::absolute::Height::from_consensus(self.height().saturating_add(1));
        let time = bitcoin::absolute::Time::from_consensus(seconds_at(self.height()));
        if let (Ok(height), Ok(time)) = (height, time)
            && !transaction.is_absolute_timelock_satisfied(height, time)
        {
            return Err(Reject::new(-26, "non-final"));
        }
        let mut spent = 0u64;
        for outpoint in &inputs {
            // What another waiting transaction spends may be spent again by a better one: see `replaced_by`.
            let coin = self.coins.get(outpoint).map(|coin| coin.output.value.to_sat());
            let waiting = || self.pool.get(&outpoint.txid).and_then(|_| self.previous(*outpoint));
            let value = coin.or_else(|| waiting().map(|output| output.value.to_sat()));
            let value = value.ok_or_else(Reject::missing)?;
            spent = spent
                .checked_add(value)
                .ok_or_else(|| Reject::new(-26, "bad-txns-inputvalues-outofrange"))?;
        }
        let mut paid = 0u64;
        for output in &transaction.output {
            if output.value < output.script_pubkey.minimal_non_dust() && !output.script_pubkey.is_op_return()
            {
                return Err(Reject::new(-26, "dust"));
            }
            paid = paid
                .checked_add(output.value.to_sat())
                .filter(|paid| *paid <= Amount::MAX_MONEY.to_sat())
                .ok_or_else(|| Reject::new(-26, "bad-txns-txouttotal-toolarge"))?;
        }
        spent.checked_sub(paid).ok_or_else(|| Reject::new(-26, "bad-txns-in-belowout"))
    }

    /// BIP-125's rules 3 to 5 without its signalling, as Core has them since 28.0: what a transaction drives out.
    fn replaced_by(&self, transaction: &Transaction, new: Waiting) -> Result<BTreeSet<Txid>, Reject> {
        let spends = transaction.input.iter().filter_map(|input| self.spender(input.previous_output));
        let direct: BTreeSet<Txid> = spends.collect();
        let replaced = self.with_descendants(&direct);
        if replaced.is_empty() {
            return Ok(replaced);
        }
        if transaction.input.iter().any(|input| replaced.contains(&input.previous_output.txid)) {
            return Err(Reject::new(-26, "bad-txns-spends-conflicting-tx"));
        }
        if replaced.len() > REPLACED_MAX {
            return Err(Reject::new(-26, "too many potential replacements"));
        }
        let old =
            |ids: &BTreeSet<Txid>| ids.iter().filter_map(|id| self.pool.get(id).copied()).collect::<Vec<_>>();
        let fees: u64 = old(&replaced).iter().map(|waiting| waiting.fee).sum();
        let relay = new.vsize.saturating_mul(RELAY_FEE);
        if new.fee < fees.saturating_add(relay) || old(&direct).iter().any(|old| new.rate() <= old.rate()) {
            return Err(Reject::new(-26, "insufficient fee, rejecting replacement"));
        }
        Ok(replaced)
    }

    fn with_descendants(&self, ids: &BTreeSet<Txid>) -> BTreeSet<Txid> {
        let mut found = ids.clone();
        let mut open: Vec<Txid> = ids.iter().copied().collect();
        while let Some(id) = open.pop() {
            let outputs = self.known.get(&id).map_or(0, |transaction| transaction.output.len());
            for vout in 0..u32::try_from(outputs).unwrap_or(u32::MAX) {
                if let Some(child) = self.spender(OutPoint { txid: id, vout })
                    && found.insert(child)
                {
                    open.push(child);
                }
            }
        }
        found
    }

    /// Every input's script, by Bitcoin Core's consensus library.
    fn verify(&self, transaction: &Transaction) -> Result<(), Reject> {
        let bytes = serialize(transaction);
        let previous: Option<Vec<&TxOut>> =
            transaction.input.iter().map(|input| self.previous(input.previous_output)).collect();
        let previous = previous.ok_or_else(Reject::missing)?;
        let length = |script: &ScriptBuf| u32::try_from(script.len()).unwrap_or(u32::MAX);
        let value = |output: &TxOut| i64::try_from(output.value.to_sat()).unwrap_or(i64::MAX);
        let spent: Vec<bitcoinconsensus::Utxo> = previous
            .iter()
            .map(|output| bitcoinconsensus::Utxo {
                script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
                script_pubkey_len: length(&output.script_pubkey),
                value: value(output),
            })
            .collect();
        for (index, output) in previous.iter().enumerate() {
            let (script, value) = (output.script_pubkey.as_bytes(), output.value.to_sat());
            bitcoinconsensus::verify(script, value, &bytes, Some(&spent), index).map_err(|_| {
                Reject::new(
                    -26,
                    format!("mandatory-script-verify-flag-failed (input {index} is not signed right)"),
                )
            })?;
        }
        Ok(())
    }

    fn wait(&mut self, id: Txid, transaction: Transaction, fee: u64) {
        for input in &transaction.input {
            self.pool_spends.insert(input.previous_output, id);
        }
        let vsize = transaction.weight().to_vbytes_ceil();
        self.order = self.order.saturating_add(1);
        self.pool.insert(id, Waiting { fee, vsize, order: self.order });
        self.known.insert(id, transaction);
    }

    /// Takes transactions out of the mempool. They stay known, for what they were.
    fn forget(&mut self, ids: BTreeSet<Txid>) {
        for id in ids {
            self.pool.remove(&id);
            let inputs =
                self.known.get(&id).map(|transaction| transaction.input.as_slice()).unwrap_or_default();
            for input in inputs {
                if self.pool_spends.get(&input.previous_output) == Some(&id) {
                    self.pool_spends.remove(&input.previous_output);
                }
            }
        }
    }

    /// Puts a block on the end.
    fn connect(&mut self, rewards: Vec<TxOut>, ids: &[Txid]) {
        let height = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        let mark =
            Builder::new().push_int(i64::from(height)).push_int(i64::from(self.branch)).push_slice(b"harbor");
        let input = TxIn {
            previous_output: OutPoint::null(),
            script_sig: mark.into_script(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let version = transaction::Version::TWO;
        let coinbase =
            Transaction { version, lock_time: LockTime::ZERO, input: vec![input], output: rewards };
        let coinbase_id = coinbase.compute_txid();
        self.known.insert(coinbase_id, coinbase);
        let mut transactions = vec![coinbase_id];
        transactions.extend(ids);
        self.forget(ids.iter().copied().collect());

        let mut spent = Vec::new();
        for id in &transactions {
            self.mined.insert(*id, height);
            let Some(transaction) = self.known.get(id) else { continue };
            for input in &transaction.input {
                if let Some(coin) = self.coins.remove(&input.previous_output) {
                    spent.push((input.previous_output, coin));
                }
            }
            for (vout, output) in (0u32..).zip(&transaction.output) {
                let coin = Coin { output: output.clone(), height, coinbase: *id == coinbase_id };
                self.coins.insert(OutPoint { txid: *id, vout }, coin);
            }
        }
        let hashes = transactions.iter().map(|id| id.to_raw_hash());
        let header = Header {
            version: Version::from_consensus(0x2000_0000),
            prev_blockhash: self.tip(),
            merkle_root: bitcoin::merkle_tree::calculate_root(hashes)
                .map_or_else(TxMerkleNode::all_zeros, TxMerkleNode::from_raw_hash),
            time: seconds_at(height),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: self.branch,
        };
        self.by_hash.insert(header.block_hash(), height);
        self.blocks.push(Block { header, transactions, spent });
    }

    /// Takes the last block off. Its transactions but the coinbase, in order.
    fn disconnect(&mut self) -> Vec<Txid> {
        let Some(block) = self.blocks.pop() else { return Vec::new() };
        self.by_hash.remove(&block.header.block_hash());
        for id in block.transactions.iter().rev() {
            self.mined.remove(id);
            let outputs = self.known.get(id).map_or(0, |transaction| transaction.output.len());
            for vout in 0..u32::try_from(outputs).unwrap_or(u32::MAX) {
                self.coins.remove(&OutPoint { txid: *id, vout });
            }
        }
        for (outpoint, coin) in block.spent {
            // What the same block had made is gone with it.
            if self.mined.contains_key(&outpoint.txid) {
                self.coins.insert(outpoint, coin);
            }
        }
        block.transactions.into_iter().skip(1).collect()
    }
}

/// The time of the block at a height.
pub(crate) fn seconds_at(height: u32) -> u32 {
    GENESIS_SECONDS.saturating_add(height.saturating_mul(BLOCK_SECONDS))
}

/// Anyone could spend it, but only [`Ledger::fund`] is asked to.
fn treasury_witness() -> ScriptBuf {
    Builder::new().push_opcode(OP_PUSHNUM_1).into_script()
}

fn treasury_script() -> ScriptBuf {
    treasury_witness().to_p2wsh()
}

/// True for the script that funds come from.
pub(crate) fn is_treasury(script: &bitcoin::Script) -> bool {
    treasury_script().as_script() == script
}
