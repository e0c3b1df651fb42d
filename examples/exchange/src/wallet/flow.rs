//! The wallet's round: what operators ordered, then each transaction under way a step further, then new ones for what is
//! approved. How a step goes is in `step`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdfast_values::texts::{Purpose, TransferText};
use holdfast_values::{Amount, Destination};

use super::book::{Attempt, Book, Coin, Payment, Shelf, Slot, Stage, Transfer, place};
use super::coins::{BuildError, COINS_MAX, Plan, Scripts, Wanted};
use super::config::{Evm, Kind, Run, Wallet};
use super::gas::{self, Fees};
use super::holdfast::{Approved, Holdfast};
use super::node::{Node, NodeError};
use super::{hex, order};

/// How long a withdrawal rests that could not be paid just now.
const REST: Duration = Duration::from_secs(5);
/// Previous transactions that are kept in memory.
const PREVIOUS_MAX: usize = 2_000;

/// Why a round or a step did not do all that it could.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowError {
    #[error(transparent)]
    Book(#[from] super::book::BookError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Holdfast(#[from] super::holdfast::HoldfastError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A wallet with its node and scripts.
pub(crate) struct Till {
    pub(crate) wallet: Wallet,
    pub(crate) node: Node,
    scripts: Option<Scripts>,
    /// Addresses that may have coins, as far as they were derived.
    addresses: Vec<(String, u8, u32)>,
}

/// What the next attempt for a slot is to be.
pub(crate) struct Next<'a> {
    pub(crate) payments: &'a [Payment],
    pub(crate) transfer: Option<Transfer>,
    /// It must be worth more to miners than the one before.
    pub(crate) replaces: bool,
    /// What it may cost, if less than the wallet's own bound.
    pub(crate) fee_max: Option<Amount>,
}

/// The running wallet.
pub(crate) struct Flow {
    pub(crate) config: Run,
    pub(crate) tills: Vec<Till>,
    pub(crate) holdfast: Holdfast,
    pub(crate) shelf: Shelf,
    pub(crate) book: Book,
    /// When something may be tried again: by withdrawal, or by slot as `slot N`; with how often it was in vain.
    rests: BTreeMap<String, (Instant, u32)>,
    /// What was said last about something, so that it is said once.
    said: BTreeMap<String, String>,
    previous: BTreeMap<String, bitcoin::Transaction>,
}

impl Flow {
    /// Opens the state and goes on with what is under way.
    pub(crate) fn new(mut config: Run, bump_after: Option<Duration>) -> Result<Self, FlowError> {
        let shelf = Shelf::open(&config.state)?;
        let book = shelf.load()?;
        let holdfast = Holdfast::new(&config.holdfast_url, &config.token, config.timeout);
        let mut tills = Vec::new();
        for mut wallet in core::mem::take(&mut config.wallets) {
            wallet.bump_after = bump_after.or(wallet.bump_after);
            let scripts = match &wallet.kind {
                Kind::Bitcoin(bitcoin) => Some(Scripts::new(bitcoin, wallet.network)?),
                Kind::Evm(_) => None,
            };
            let node = Node::new(&wallet.rpc, config.timeout);
            tills.push(Till { wallet, node, scripts, addresses: Vec::new() });
        }
        let (rests, said, previous) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let under_way = book.slots.len();
        tracing::info!(under_way, "the wallet goes on");
        Ok(Self { config, tills, holdfast, shelf, book, rests, said, previous })
    }

    /// One round. Only a state that cannot be written ends it.
    pub(crate) fn round(&mut self) -> Result<(), FlowError> {
        self.rests.retain(|name, (until, _)| name.starts_with("slot ") || Instant::now() < *until);
        self.take_orders()?;
        let slots: Vec<u64> = self.book.slots.iter().map(|slot| slot.id).collect();
        for id in slots {
            self.pursue(id)?;
        }
        match self.holdfast.approved() {
            Ok(approved) => {
                self.quiet("holdfast");
                for till in 0..self.tills.len() {
                    let result = self.open(till, &approved);
                    self.note(&format!("wallet {till}"), result)?;
                }
                Ok(())
            }
            Err(error) => self.note("holdfast", Err(error.into())),
        }
    }

    /// Says why something waits, once; a book that cannot be written is passed on.
    pub(crate) fn note(&mut self, about: &str, result: Result<(), FlowError>) -> Result<(), FlowError> {
        match result {
            Ok(()) => Ok(()),
            Err(FlowError::Book(error)) => Err(error.into()),
            Err(error) => {
                self.say(about, &error.to_string());
                Ok(())
            }
        }
    }

    /// Says something about something, unless it was what was said last.
    pub(crate) fn say(&mut self, about: &str, what: &str) {
        if self.said.get(about).is_none_or(|last| last != what) {
            tracing::warn!(about, "{what}");
            self.said.insert(about.to_owned(), what.to_owned());
        }
    }

    /// Forgets what was said.
    pub(crate) fn quiet(&mut self, about: &str) {
        self.said.remove(about);
    }

    /// Not before a while, longer each time.
    pub(crate) fn rest(&mut self, name: &str, least: Duration, most: Duration) {
        let times = self.rests.get(name).map_or(0, |(_, times)| *times);
        let wait = least.saturating_mul(1u32.checked_shl(times.min(16)).unwrap_or(u32::MAX)).min(most);
        if let Some(until) = Instant::now().checked_add(wait) {
            self.rests.insert(name.to_owned(), (until, times.saturating_add(1)));
        }
    }

    /// It worked: next time the wait is short again.
    pub(crate) fn rested(&mut self, name: &str) {
        self.rests.remove(name);
    }

    /// It waits.
    pub(crate) fn rests(&self, name: &str) -> bool {
        self.rests.get(name).is_some_and(|(until, _)| Instant::now() < *until)
    }

    /// What is under way, durably.
    pub(crate) fn save(&self) -> Result<(), FlowError> {
        Ok(self.shelf.save(&self.book)?)
    }

    /// The wallet of a slot.
    pub(crate) fn till_of(&self, slot: &Slot) -> Option<usize> {
        self.tills.iter().position(|till| {
            till.wallet.name.as_str() == slot.wallet && till.wallet.network.name() == slot.network
        })
    }

    /// New transactions for what is approved.
    fn open(&mut self, till: usize, approved: &[Approved]) -> Result<(), FlowError> {
        let Some(Till { wallet, .. }) = self.tills.get(till) else { return Ok(()) };
        let place = place(wallet.name.as_str(), wallet.network.name());
        let busy: BTreeSet<&str> = self.book.slots.iter().flat_map(Slot::withdrawals).collect();
        let mut payments = Vec::new();
        let mut strange = Vec::new();
        for row in approved {
            let ours = row.wallet == wallet.name.as_str() && row.network == wallet.network.name();
            if !ours || busy.contains(row.id.as_str()) || self.rests(&row.id) {
                continue;
            }
            match payment(wallet, row) {
                Ok(payment) => payments.push(payment),
                Err(why) => strange.push(format!("{}: {why}", row.id)),
            }
        }
        let (is_bitcoin, batch_max, most) = match &wallet.kind {
            Kind::Bitcoin(bitcoin) => (true, bitcoin.batch_max, bitcoin.under_way_max),
            Kind::Evm(evm) => (false, 1, evm.under_way_max),
        };
        for what in strange {
            self.say(what.split(':').next().unwrap_or_default(), &what);
        }
        let mut payments = payments.as_slice();
        while !payments.is_empty()
            && self.book.slots.iter().filter(|slot| slot.place() == place).count() < most
        {
            // A nonce that may yet be given up keeps those after it back.
            let unsure = self.book.slots.iter().filter(|slot| slot.place() == place);
            if !is_bitcoin
                && unsure.flat_map(|slot| slot.attempts.last()).any(|last| last.stage < Stage::Signed)
            {
                break;
            }
            let (batch, rest) = payments.split_at(payments.len().min(batch_max));
            payments = rest;
            let opened =
                if is_bitcoin { self.open_batch(till, batch)? } else { self.open_nonce(till, batch)? };
            if let Some(id) = opened {
                self.pursue(id)?;
            }
        }
        Ok(())
    }

    /// A Bitcoin transaction for as many of these payments as there are coins for, oldest first.
    fn open_batch(&mut self, till: usize, batch: &[Payment]) -> Result<Option<u64>, FlowError> {
        let free = self.free_coins(till)?;
        let (rate, _) = self.rates(till)?;
        let fits = |payments: &[Payment]| self.plan(till, &[], &free, payments, rate, 0, None).map(drop);
        let mut chosen = batch.to_vec();
        let mut left = Vec::new();
        if let Err(error) = fits(batch) {
            if matches!(error, BuildError::Descriptor(_)) {
                return Err(error.into());
            }
            chosen.clear();
            for payment in batch {
                chosen.push(payment.clone());
                if let Err(error) = fits(&chosen)
                    && let Some(Payment { withdrawal: Some(id), .. }) = chosen.pop()
                {
                    left.push((id, error));
                }
            }
        }
        for (id, error) in left {
            self.say(&id, &format!("{id} waits: {error}"));
            self.rest(&id, REST, REST.saturating_mul(12));
        }
        if chosen.is_empty() {
            return Ok(None);
        }
        let plan = self.plan(till, &[], &free, &chosen, rate, 0, None)?;
        let attempt = self.finish_plan(till, plan, &chosen, None, rate)?;
        self.add_slot(till, None, attempt).map(Some)
    }

    /// An EVM transaction for one payment, at the next nonce.
    fn open_nonce(&mut self, till: usize, batch: &[Payment]) -> Result<Option<u64>, FlowError> {
        let nonce = self.next_nonce(till)?;
        let next = Next { payments: batch, transfer: None, replaces: false, fee_max: None };
        let attempt = self.evm_attempt(till, nonce, &next, None)?;
        self.add_slot(till, Some(nonce), attempt).map(Some)
    }

    /// After all that is on the chain and all that is under way.
    fn next_nonce(&self, till: usize) -> Result<u64, FlowError> {
        let Some(Till { wallet: Wallet { kind: Kind::Evm(evm), .. }, node, .. }) = self.tills.get(till)
        else {
            return Err(BuildError::Insufficient.into());
        };
        let place = self.place(till);
        let mined = node.nonce(evm.address.address())?;
        let ours = self.book.slots.iter().filter(|slot| slot.place() == place).filter_map(|slot| slot.nonce);
        Ok(ours.map(|nonce| nonce.saturating_add(1)).fold(mined, u64::max))
    }

    fn add_slot(&mut self, till: usize, nonce: Option<u64>, attempt: Attempt) -> Result<u64, FlowError> {
        let id = self.book.new_slot();
        let (wallet, network) = self.tills.get(till).map_or_else(Default::default, |till| {
            (till.wallet.name.to_string(), till.wallet.network.to_string())
        });
        let (payments, fee) = (attempt.payments.len(), attempt.fee.to_string());
        tracing::info!(slot = id, wallet, network, payments, fee, "a transaction is built");
        self.book.slots.push(Slot { id, wallet, network, nonce, attempts: vec![attempt] });
        self.save()?;
        Ok(id)
    }

    fn place(&self, till: usize) -> String {
        let wallet = self.tills.get(till).map(|till| &till.wallet);
        wallet.map(|wallet| place(wallet.name.as_str(), wallet.network.name())).unwrap_or_default()
    }

    /// Another transaction for a slot's payments, or some of them: it spends all that the last one would, and so cannot
    /// be on the chain together with it.
    pub(crate) fn attempt_again(&mut self, slot: &Slot, next: &Next<'_>) -> Result<Attempt, FlowError> {
        let till = self.till_of(slot).ok_or_else(|| BuildError::Descriptor(slot.place()))?;
        let last = slot.attempts.last();
        if let Some(nonce) = slot.nonce {
            let old = last.filter(|_| next.replaces).map(|last| Fees { most: last.rate, tip: last.tip });
            return self.evm_attempt(till, nonce, next, old);
        }
        let must = last.map(|last| last.coins.clone()).unwrap_or_default();
        let used: BTreeSet<_> = must.iter().map(|coin| (&coin.txid, coin.vout)).collect();
        let free = self.free_coins(till)?;
        let free: Vec<Coin> =
            free.into_iter().filter(|coin| !used.contains(&(&coin.txid, coin.vout))).collect();
        let (rate, rate_max) = self.rates(till)?;
        let old =
            last.filter(|_| next.replaces).map_or(0, |last| u64::try_from(last.rate).unwrap_or(u64::MAX));
        let rate = rate.max(old.saturating_add(old / 2)).min(rate_max.max(old));
        let fee_least = match last.filter(|_| next.replaces) {
            Some(last) => u64::try_from(last.fee).unwrap_or(u64::MAX),
            None => 0,
        };
        let plan = self.plan(till, &must, &free, next.payments, rate, fee_least, next.fee_max)?;
        self.finish_plan(till, plan, next.payments, next.transfer.clone(), rate)
    }

    fn evm_attempt(
        &self,
        till: usize,
        nonce: u64,
        next: &Next<'_>,
        old: Option<Fees>,
    ) -> Result<Attempt, FlowError> {
        let Some(Till { wallet, node, .. }) = self.tills.get(till) else {
            return Err(BuildError::Insufficient.into());
        };
        let Kind::Evm(evm) = &wallet.kind else { return Err(BuildError::Insufficient.into()) };
        let mut fees = evm_fees(evm, node)?;
        if let Some(old) = old {
            fees = fees.over(old);
        }
        let most = next.fee_max.map_or(wallet.fee_max, |fee_max| fee_max.min(wallet.fee_max)).base_units();
        let (unsigned, fee) = gas::build(evm, nonce, next.payments.first(), fees, most)?;
        Ok(Attempt {
            unsigned: hex(&unsigned),
            payments: next.payments.to_vec(),
            transfer: next.transfer.clone(),
            fee,
            rate: fees.most,
            tip: fees.tip,
            ..Attempt::new()
        })
    }

    fn rates(&self, till: usize) -> Result<(u64, u64), FlowError> {
        let Some(Till { wallet: Wallet { kind: Kind::Bitcoin(bitcoin), .. }, node, .. }) =
            self.tills.get(till)
        else {
            return Ok((0, 0));
        };
        let rate = match bitcoin.fee_rate {
            Some(rate) => rate,
            // Without an estimate, five satoshi a byte: a bump comes if that is too little.
            None => node.fee_rate()?.unwrap_or(5_000),
        };
        Ok((rate.clamp(1_000, bitcoin.fee_rate_max.max(1_000)), bitcoin.fee_rate_max))
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is what a plan is made of")]
    fn plan(
        &self,
        till: usize,
        must: &[Coin],
        may: &[Coin],
        payments: &[Payment],
        rate: u64,
        fee_least: u64,
        fee_max: Option<Amount>,
    ) -> Result<Plan, BuildError> {
        let Some(Till { wallet, scripts: Some(scripts), .. }) = self.tills.get(till) else {
            return Err(BuildError::Insufficient);
        };
        let fee_max = fee_max.map_or(wallet.fee_max, |fee_max| fee_max.min(wallet.fee_max)).base_units();
        let change = self.book.change_used(&self.place(till));
        scripts.plan(&Wanted { must, may, payments, rate, fee_least, fee_max, change })
    }

    fn finish_plan(
        &mut self,
        till: usize,
        plan: Plan,
        payments: &[Payment],
        transfer: Option<Transfer>,
        rate: u64,
    ) -> Result<Attempt, FlowError> {
        let place = self.place(till);
        let Some(Till { node, scripts: Some(scripts), .. }) = self.tills.get(till) else {
            return Err(BuildError::Insufficient.into());
        };
        if self.previous.len() > PREVIOUS_MAX {
            self.previous.clear();
        }
        for txid in scripts.previous_wanted(&plan) {
            if !self.previous.contains_key(txid) {
                self.previous.insert(txid.to_owned(), node.transaction(txid)?);
            }
        }
        let unsigned = scripts.psbt(&plan, &self.previous)?;
        if plan.change.is_some() {
            // Each transaction's change has an address of its own.
            self.book.next_change(&place);
        }
        Ok(Attempt {
            unsigned: hex(&unsigned),
            payments: payments.to_vec(),
            transfer,
            coins: plan.coins,
            change: plan.change,
            fee: u128::from(plan.fee),
            rate: u128::from(rate),
            ..Attempt::new()
        })
    }

    /// Confirmed coins that nothing under way spends, oldest first.
    fn free_coins(&mut self, till: usize) -> Result<Vec<Coin>, FlowError> {
        let place = self.place(till);
        let used = self.book.change_used(&place);
        let Some(Till { wallet: Wallet { kind: Kind::Bitcoin(bitcoin), .. }, node, addresses, .. }) =
            self.tills.get_mut(till)
        else {
            return Ok(Vec::new());
        };
        for descriptor in 0..u8::try_from(bitcoin.descriptors.len()).unwrap_or(u8::MAX) {
            let more = if descriptor == bitcoin.change { used } else { 0 };
            let known = addresses.iter().filter(|(_, known, _)| *known == descriptor).count();
            let known = u32::try_from(known).unwrap_or(u32::MAX);
            for index in known..bitcoin.receive_addresses.saturating_add(more) {
                if let Some(address) = bitcoin.pinned.address_at(descriptor, index) {
                    addresses.push((address.address().to_owned(), descriptor, index));
                }
            }
        }
        let spent: BTreeSet<(&str, u32)> = self
            .book
            .slots
            .iter()
            .filter(|slot| slot.place() == place)
            .flat_map(|slot| slot.attempts.iter().flat_map(|attempt| &attempt.coins))
            .map(|coin| (coin.txid.as_str(), coin.vout))
            .collect();
        let mut coins: Vec<Coin> = node.coins(addresses)?.into_iter().map(|(coin, _)| coin).collect();
        coins.retain(|coin| !spent.contains(&(coin.txid.as_str(), coin.vout)));
        coins.sort();
        Ok(coins)
    }

    /// Takes up what operators ordered. An order that cannot be carried out is put aside, with why.
    fn take_orders(&mut self) -> Result<(), FlowError> {
        for path in order::waiting(&self.config.state) {
            let about = path.display().to_string();
            let taken = match order::read(&path) {
                Ok((order, text)) => self.take_order(&order, &text),
                Err(why) => Ok(Some(why)),
            };
            match taken {
                Ok(None) => drop(std::fs::remove_file(&path)),
                Ok(Some(why)) => {
                    self.say(&about, &format!("this order is refused: {why}"));
                    drop(std::fs::rename(&path, path.with_extension("refused")));
                }
                // A node that is silent will speak again.
                Err(error) => self.note(&about, Err(error))?,
            }
        }
        Ok(())
    }

    fn take_order(&mut self, order: &order::Order, text: &TransferText) -> Result<Option<String>, FlowError> {
        let mut known = self.book.slots.iter().flat_map(|slot| &slot.attempts);
        if known.any(|attempt| attempt.transfer.as_ref() == Some(&order.transfer)) {
            return Ok(None);
        }
        let here = |till: &Till| till.wallet.name == text.wallet && till.wallet.network == text.network;
        let Some(till) = self.tills.iter().position(here) else {
            return Ok(Some("the wallet is not configured".to_owned()));
        };
        let mut payments = Vec::new();
        if let Some(external) = &text.external {
            let asset =
                self.tills.get(till).and_then(|t| t.wallet.assets.iter().find(|a| a.symbol == text.asset));
            let Some(asset) = asset.filter(|asset| asset.decimals == external.decimals) else {
                return Ok(Some("the wallet does not pay in this asset".to_owned()));
            };
            payments.push(Payment {
                withdrawal: None,
                address: external.destination.address().to_owned(),
                amount: external.amount.base_units(),
                contract: asset.contract.clone(),
                without_word: false,
            });
        }
        let (transfer, fee_max) = (Some(order.transfer.clone()), Some(text.fee_max));
        let refuse = |error: FlowError| match error {
            FlowError::Build(error) => Ok(Some(error.to_string())),
            error => Err(error),
        };
        if text.purpose == Purpose::Cancel {
            let wanted = |slot: &&Slot| slot.attempts.iter().any(|attempt| attempt.id == order.cancel);
            let Some(slot) = self.book.slots.iter().filter(|_| order.cancel.is_some()).find(wanted).cloned()
            else {
                return Ok(Some("no transaction under way has this id".to_owned()));
            };
            let next = Next { payments: &payments, transfer, replaces: true, fee_max };
            return match self.attempt_again(&slot, &next) {
                Ok(attempt) => self.push_attempt(slot.id, attempt).map(|()| None),
                Err(error) => refuse(error),
            };
        }
        let is_bitcoin = self.tills.get(till).is_some_and(|till| till.scripts.is_some());
        let attempt = if is_bitcoin {
            let free = self.free_coins(till)?;
            let (rate, _) = self.rates(till)?;
            let few: Vec<Coin> = free.iter().take(COINS_MAX.min(100)).cloned().collect();
            let must: &[Coin] = if text.purpose == Purpose::Consolidation { &few } else { &[] };
            match self.plan(till, must, &free, &payments, rate, 0, fee_max) {
                Ok(plan) => {
                    self.finish_plan(till, plan, &payments, transfer, rate).map(|attempt| (None, attempt))
                }
                Err(error) => Err(error.into()),
            }
        } else if payments.is_empty() {
            return Ok(Some("on this network a transfer pays somebody or cancels a transaction".to_owned()));
        } else {
            self.next_nonce(till).and_then(|nonce| {
                let next = Next { payments: &payments, transfer, replaces: false, fee_max };
                Ok((Some(nonce), self.evm_attempt(till, nonce, &next, None)?))
            })
        };
        match attempt {
            Ok((nonce, attempt)) => self.add_slot(till, nonce, attempt).map(|_| None),
            Err(error) => refuse(error),
        }
    }

    /// Puts an attempt behind a slot's others: it is pursued from now on.
    pub(crate) fn push_attempt(&mut self, id: u64, attempt: Attempt) -> Result<(), FlowError> {
        if let Some(slot) = self.book.slots.iter_mut().find(|slot| slot.id == id) {
            let fee = attempt.fee.to_string();
            tracing::info!(slot = id, fee, "it is built again");
            slot.attempts.push(attempt);
        }
        self.save()
    }
}

fn evm_fees(evm: &Evm, node: &Node) -> Result<Fees, NodeError> {
    let tip = match evm.tip {
        Some(tip) => tip,
        None => node.tip()?,
    };
    Ok(Fees::of(node.base_fee()?, tip))
}

/// A row of Holdfast's list as a payment in the network's units.
fn payment(wallet: &Wallet, row: &Approved) -> Result<Payment, String> {
    let asset = wallet.assets.iter().find(|asset| asset.symbol.as_str() == row.asset);
    let asset = asset.ok_or_else(|| format!("the wallet does not pay in {}", row.asset))?;
    // The list writes amounts with the asset's decimals, of which the network may have fewer.
    let text = if row.amount.contains('.') {
        row.amount.trim_end_matches('0').trim_end_matches('.')
    } else {
        row.amount.as_str()
    };
    let amount = Amount::parse(text, asset.decimals).map_err(|error| format!("amount: {error}"))?;
    let address =
        Destination::parse(wallet.network, &row.address, None).map_err(|error| error.to_string())?;
    Ok(Payment {
        withdrawal: Some(row.id.clone()),
        address: address.address().to_owned(),
        amount: amount.base_units(),
        contract: asset.contract.clone(),
        without_word: false,
    })
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
