//! Balances, tokens, blocks and the pool of one EVM chain. Block hashes and times follow from what is in the blocks.

use std::collections::{BTreeMap, BTreeSet};

use super::transaction::Signed;
use super::{Address, Hash, keccak};

/// The first block's time: 2026-01-01T00:00:00Z.
const GENESIS_SECONDS: u64 = 1_767_225_600;
/// Between two blocks.
const BLOCK_SECONDS: u64 = 12;
/// Gas of a plain transfer of the coin.
pub(crate) const GAS_NATIVE: u64 = 21_000;
/// Gas of a token's `transfer`, about that of a well-known one.
pub(crate) const GAS_TOKEN: u64 = 52_000;
/// The largest gas limit of a block, and so of a transaction.
pub(crate) const GAS_BLOCK: u64 = 30_000_000;
/// How far ahead of an account's nonce a transaction may wait.
const NONCE_AHEAD_MAX: u64 = 1_024;

/// Why a transaction is not taken, in a node's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reject {
    #[error("invalid chain id for signer")]
    Chain,
    #[error("nonce too low")]
    NonceLow,
    #[error("nonce too far ahead")]
    NonceFar,
    #[error("intrinsic gas too low")]
    Gas,
    #[error("exceeds block gas limit")]
    GasLimit,
    #[error("max priority fee per gas higher than max fee per gas")]
    Tip,
    #[error("already known")]
    Known,
    #[error("replacement transaction underpriced")]
    Underpriced,
    #[error("insufficient funds for gas * price + value")]
    Funds,
    #[error("the chain is not that deep")]
    Depth,
}

/// An account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    pub(crate) balance: u128,
    pub(crate) nonce: u64,
}

/// A configured ERC-20 contract.
#[derive(Clone, Debug, Default)]
pub(crate) struct Token {
    pub(crate) decimals: u8,
    pub(crate) balances: BTreeMap<Address, u128>,
}

/// A transaction in a block, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Mined {
    pub(crate) signed: Signed,
    pub(crate) succeeded: bool,
    pub(crate) gas_used: u64,
    pub(crate) gas_price: u128,
    /// Contract, to, amount.
    pub(crate) token: Option<(Address, Address, u128)>,
}

/// A block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) hash: Hash,
    pub(crate) parent: Hash,
    pub(crate) base_fee: u128,
    pub(crate) transactions: Vec<Mined>,
}

#[derive(Clone, Debug)]
struct Waiting {
    signed: Signed,
    order: u64,
}

/// How a reorganisation goes.
#[derive(Debug, Default)]
pub(crate) struct Reorganisation {
    /// Blocks that are taken off.
    pub(crate) depth: u64,
    /// Transactions that are forgotten.
    pub(crate) drop: BTreeSet<Hash>,
    /// Transactions that the new blocks have from the start, whatever had their nonces.
    pub(crate) replace: Vec<Signed>,
    /// Everything else goes into the new blocks again; otherwise it waits.
    pub(crate) again: bool,
}

/// One chain.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) chain_id: u64,
    /// Wei for each gas; who offers less waits.
    pub(crate) base_fee: u128,
    /// Transactions that will fail when they are mined, on purpose.
    pub(crate) failing: BTreeSet<Hash>,
    /// So many of the next transactions will fail.
    pub(crate) fail_next: u32,
    accounts: BTreeMap<Address, Account>,
    tokens: BTreeMap<Address, Token>,
    blocks: Vec<Block>,
    by_hash: BTreeMap<Hash, u64>,
    mined: BTreeMap<Hash, (u64, usize)>,
    pool: BTreeMap<(Address, u64), Waiting>,
    order: u64,
    branch: u32,
}

impl Ledger {
    /// A chain with its first block.
    pub(crate) fn new(chain_id: u64, tokens: BTreeMap<Address, Token>) -> Self {
        let mut ledger = Self {
            chain_id,
            base_fee: 1_000_000_000,
            failing: BTreeSet::new(),
            fail_next: 0,
            accounts: BTreeMap::new(),
            tokens,
            blocks: Vec::new(),
            by_hash: BTreeMap::new(),
            mined: BTreeMap::new(),
            pool: BTreeMap::new(),
            order: 0,
            branch: 0,
        };
        ledger.mine();
        ledger
    }

    /// The number of the last block.
    pub(crate) fn height(&self) -> u64 {
        u64::try_from(self.blocks.len().saturating_sub(1)).unwrap_or(u64::MAX)
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn number_of(&self, hash: &Hash) -> Option<u64> {
        self.by_hash.get(hash).copied()
    }

    pub(crate) fn account(&self, address: &Address) -> Account {
        self.accounts.get(address).copied().unwrap_or_default()
    }

    pub(crate) fn token(&self, contract: &Address) -> Option<&Token> {
        self.tokens.get(contract)
    }

    /// Block number, place in it, and what came of it.
    pub(crate) fn mined(&self, hash: &Hash) -> Option<(u64, usize, &Mined)> {
        let (number, index) = *self.mined.get(hash)?;
        Some((number, index, self.block(number)?.transactions.get(index)?))
    }

    /// What waits, first come first.
    pub(crate) fn pool(&self) -> Vec<&Signed> {
        let mut pool: Vec<&Waiting> = self.pool.values().collect();
        pool.sort_by_key(|waiting| waiting.order);
        pool.into_iter().map(|waiting| &waiting.signed).collect()
    }

    /// The nonce after all that waits without a gap.
    pub(crate) fn pending_nonce(&self, address: &Address) -> u64 {
        let mut nonce = self.account(address).nonce;
        while self.pool.contains_key(&(*address, nonce)) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    /// Gives coins, as if they had always been there: a reorganisation does not take them back.
    pub(crate) fn fund(&mut self, address: Address, wei: u128) {
        let account = self.accounts.entry(address).or_default();
        account.balance = account.balance.saturating_add(wei);
    }

    /// Gives tokens. False if there is no such contract.
    pub(crate) fn fund_token(&mut self, contract: &Address, address: Address, units: u128) -> bool {
        let Some(token) = self.tokens.get_mut(contract) else { return false };
        let balance = token.balances.entry(address).or_default();
        *balance = balance.saturating_add(units);
        true
    }

    /// Checks a transaction and lets it wait for its turn.
    pub(crate) fn accept(&mut self, signed: Signed) -> Result<Hash, Reject> {
        let account = self.account(&signed.sender);
        let key = (signed.sender, signed.nonce);
        if signed.chain_id != self.chain_id {
            return Err(Reject::Chain);
        }
        if self.mined.contains_key(&signed.hash) {
            return Err(Reject::Known);
        }
        if signed.nonce < account.nonce {
            return Err(Reject::NonceLow);
        }
        if signed.nonce.saturating_sub(account.nonce) > NONCE_AHEAD_MAX {
            return Err(Reject::NonceFar);
        }
        if signed.max_priority_fee > signed.max_fee {
            return Err(Reject::Tip);
        }
        if signed.gas_limit > GAS_BLOCK {
            return Err(Reject::GasLimit);
        }
        if signed.gas_limit < intrinsic_gas(&signed.data) {
            return Err(Reject::Gas);
        }
        if let Some(old) = self.pool.get(&key) {
            if old.signed.hash == signed.hash {
                return Err(Reject::Known);
            }
            // Both fees a tenth higher, as geth wants it.
            let enough = |new: u128, old: u128| new.saturating_mul(10) >= old.saturating_mul(11);
            if !enough(signed.max_fee, old.signed.max_fee)
                || !enough(signed.max_priority_fee, old.signed.max_priority_fee)
            {
                return Err(Reject::Underpriced);
            }
        }
        let others = self.pool.range((signed.sender, 0)..=(signed.sender, u64::MAX));
        let others = others.filter(|(at, _)| **at != key).map(|(_, waiting)| waiting.signed.cost_max());
        let cost = others.fold(signed.cost_max(), u128::saturating_add);
        if cost > account.balance {
            return Err(Reject::Funds);
        }
        let hash = signed.hash;
        self.wait(signed);
        Ok(hash)
    }

    /// Mines a block with all that can be run.
    pub(crate) fn mine(&mut self) -> Hash {
        self.mine_which(&|_| true)
    }

    fn mine_which(&mut self, wanted: &dyn Fn(&Hash) -> bool) -> Hash {
        let mut transactions: Vec<Mined> = Vec::new();
        let mut gas = 0u64;
        loop {
            let before = transactions.len();
            let candidates = self.pool();
            let candidates: Vec<(Address, u64)> =
                candidates.into_iter().filter(|s| wanted(&s.hash)).map(|s| (s.sender, s.nonce)).collect();
            for key in candidates {
                let Some(Waiting { signed, .. }) = self.pool.get(&key) else { continue };
                let account = self.account(&signed.sender);
                let fits = gas.saturating_add(signed.gas_limit) <= GAS_BLOCK;
                let due = signed.nonce == account.nonce && signed.max_fee >= self.base_fee;
                if !fits || !due || signed.cost_max() > account.balance {
                    continue;
                }
                let Some(waiting) = self.pool.remove(&key) else { continue };
                let mined = self.run(waiting.signed);
                gas = gas.saturating_add(mined.gas_used);
                transactions.push(mined);
            }
            if transactions.len() == before {
                break;
            }
        }
        self.close(transactions)
    }

    /// Runs one transaction whose sender can pay for it.
    fn run(&mut self, signed: Signed) -> Mined {
        let asked = self.failing.contains(&signed.hash) || self.fail_next > 0;
        self.fail_next = self.fail_next.saturating_sub(1);
        let call = signed.token_transfer().filter(|_| self.tokens.contains_key(&signed.to));
        let token = call.map(|(to, amount)| (signed.to, to, amount));
        let gas = if token.is_some() { GAS_TOKEN } else { intrinsic_gas(&signed.data) };
        let held = |contract: &Address| self.token(contract)?.balances.get(&signed.sender).copied();
        let covered = token
            .is_none_or(|(contract, _, amount)| signed.value == 0 && held(&contract).unwrap_or(0) >= amount);
        let succeeded = !asked && gas <= signed.gas_limit && covered;
        let gas_used = gas.min(signed.gas_limit);
        let gas_price = self.base_fee.saturating_add(signed.max_priority_fee).min(signed.max_fee);
        let mined = Mined { signed, succeeded, gas_used, gas_price, token: token.filter(|_| succeeded) };
        self.apply(&mined);
        mined
    }

    /// Moves what a mined transaction moves.
    fn apply(&mut self, mined: &Mined) {
        let value = if mined.succeeded { mined.signed.value } else { 0 };
        let fee = mined.gas_price.saturating_mul(u128::from(mined.gas_used));
        let sender = self.accounts.entry(mined.signed.sender).or_default();
        sender.nonce = sender.nonce.saturating_add(1);
        sender.balance = sender.balance.saturating_sub(fee.saturating_add(value));
        let to = self.accounts.entry(mined.signed.to).or_default();
        to.balance = to.balance.saturating_add(value);
        if let Some((contract, to, amount)) = mined.token {
            self.move_token(&contract, mined.signed.sender, to, amount);
        }
    }

    /// Moves it back.
    fn revert(&mut self, mined: &Mined) {
        let value = if mined.succeeded { mined.signed.value } else { 0 };
        let fee = mined.gas_price.saturating_mul(u128::from(mined.gas_used));
        if let Some((contract, to, amount)) = mined.token {
            self.move_token(&contract, to, mined.signed.sender, amount);
        }
        let to = self.accounts.entry(mined.signed.to).or_default();
        to.balance = to.balance.saturating_sub(value);
        let sender = self.accounts.entry(mined.signed.sender).or_default();
        sender.nonce = sender.nonce.saturating_sub(1);
        sender.balance = sender.balance.saturating_add(fee.saturating_add(value));
    }

    fn move_token(&mut self, contract: &Address, from: Address, to: Address, amount: u128) {
        let Some(token) = self.tokens.get_mut(contract) else { return };
        let from = token.balances.entry(from).or_default();
        *from = from.saturating_sub(amount);
        let to = token.balances.entry(to).or_default();
        *to = to.saturating_add(amount);
    }

    /// Takes blocks off the end and puts one more than those in their place. What was in them waits again, unless it
    /// is to be dropped or its nonce is taken by a replacement. Nothing changes if a replacement is not valid.
    pub(crate) fn reorganise(&mut self, how: Reorganisation) -> Result<(), Reject> {
        if how.depth > self.height() {
            return Err(Reject::Depth);
        }
        let mut next = self.clone();
        next.branch = next.branch.saturating_add(1);
        for _ in 0..how.depth {
            let Some(block) = next.blocks.pop() else { break };
            next.by_hash.remove(&block.hash);
            for mined in block.transactions.iter().rev() {
                next.mined.remove(&mined.signed.hash);
                next.revert(mined);
                if !how.drop.contains(&mined.signed.hash) {
                    next.wait(mined.signed.clone());
                }
            }
        }
        // A transaction may have waited for what is now dropped: it waits on.
        let mut first = BTreeSet::new();
        for signed in how.replace {
            next.pool.remove(&(signed.sender, signed.nonce));
            first.insert(next.accept(signed)?);
        }
        let (again, base_fee) = (how.again, next.base_fee);
        next.base_fee = 0;
        next.mine_which(&|hash| again || first.contains(hash));
        next.base_fee = base_fee;
        for _ in 0..how.depth {
            next.mine_which(&|_| false);
        }
        *self = next;
        Ok(())
    }

    fn wait(&mut self, signed: Signed) {
        self.order = self.order.saturating_add(1);
        self.pool.insert((signed.sender, signed.nonce), Waiting { signed, order: self.order });
    }

    fn close(&mut self, transactions: Vec<Mined>) -> Hash {
        let number = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let parent = self.blocks.last().map_or([0; 32], |block| block.hash);
        let mut content = self.chain_id.to_be_bytes().to_vec();
        content.extend_from_slice(&number.to_be_bytes());
        content.extend_from_slice(&self.branch.to_be_bytes());
        content.extend_from_slice(&parent);
        for mined in &transactions {
            content.extend_from_slice(&mined.signed.hash);
            content.push(u8::from(mined.succeeded));
        }
        let hash = keccak(&content);
        for (index, mined) in transactions.iter().enumerate() {
            self.mined.insert(mined.signed.hash, (number, index));
        }
        self.by_hash.insert(hash, number);
        self.blocks.push(Block { hash, parent, base_fee: self.base_fee, transactions });
        hash
    }
}

/// The time of a block.
pub(crate) fn seconds_at(number: u64) -> u64 {
    GENESIS_SECONDS.saturating_add(number.saturating_mul(BLOCK_SECONDS))
}

/// What a transaction costs before anything runs.
fn intrinsic_gas(data: &[u8]) -> u64 {
    data.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).fold(GAS_NATIVE, u64::saturating_add)
}
