//! What arrives on a chain, whatever wallets, nodes, crashes and restores do: no withdrawal twice; and every bucket holds
//! what it held, less what was paid and what is on its way.
//!
//! The wallet here is hostile and knows no rule: it proposes what it likes and has signed whatever was released, in any
//! order, as long as it likes. Signers know one rule, that they void nothing that they signed and sign nothing that they
//! voided. Chains take at most one of two transactions that conflict, reorganise before finality, and let some fail.
//! Buckets do not refill here, so that their levels say everything that ever happened to them.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_decision::acts::{Act, Digest, EpochStart};
use holdfast_decision::command::{ChainStatus, Command, Evidence, ProposeTransaction, ProposedOutput, Scope};
use holdfast_decision::event::{AssetIndex, Event, RecoveredTransaction, SpendRecovered, WalletIndex};
use holdfast_decision::{Class, Configuration, State, Status};
use holdfast_values::texts::Purpose;
use holdfast_values::{Amount, ConflictKey, Fingerprint, Network, UsdCents, WithdrawalId, time};

use crate::coins::{
    authorised, bare, external, observe, output, payment, propose, record, sealed, seen, text, transfer,
    units, voided, wallet_on,
};
use crate::play::{Run, is_refused};
use crate::random::{Announce, Random, seeds};
use crate::world::{SIGNERS, account, configuration, name, permit_all, place, request, usual_prices};

const NETWORKS: [Network; 2] = [Network::Bitcoin, Network::Ethereum];
const ACCOUNTS: u64 = 6;
const COINS: u64 = 60;

/// Buckets without refill, large enough for all that is asked here.
fn without_refill() -> Configuration {
    let mut all = configuration();
    let still = |spec: &mut holdfast_decision::configuration::BucketSpec, size: u128| {
        (spec.size, spec.refill_per_hour) = (units(size), Amount::ZERO);
    };
    let cents = 10u128.pow(13);
    for (asset, size) in all.assets.iter_mut().zip([10u128.pow(14), 10u128.pow(26), 10u128.pow(16)]) {
        for spec in [&mut asset.buckets.bound, &mut asset.buckets.aged, &mut asset.buckets.unvouched] {
            still(spec, size);
        }
    }
    let wallets = all.wallets.iter_mut().map(|wallet| &mut wallet.buckets);
    for specs in wallets.chain([&mut all.overall]) {
        for spec in [&mut specs.bound, &mut specs.aged, &mut specs.unvouched] {
            still(spec, cents);
        }
    }
    for chain in all.wallets.iter_mut().flat_map(|wallet| wallet.chains.iter_mut().flatten()) {
        still(&mut chain.fee_bucket, 10u128.pow(9));
    }
    all.parameters.account_share_permille = 1_000;
    all.parameters.small_reserve_permille = 1;
    all.parameters.withdrawal_lifetime = 6 * time::HOUR;
    all
}

/// Value that left a bucket of each kind for good.
#[derive(Clone, Debug)]
struct Spent {
    class: Class,
    asset: AssetIndex,
    wallet: WalletIndex,
    units: u128,
    usd: UsdCents,
}

/// What one journal has seen spent. A restored journal has the books of its backup.
#[derive(Clone, Debug, Default)]
struct Books {
    spent: Vec<Spent>,
    fees: BTreeMap<(u16, Network), u128>,
    /// Released here, ever.
    digests: BTreeMap<Digest, BTreeSet<WithdrawalId>>,
    paid: BTreeSet<WithdrawalId>,
    given_back: BTreeSet<WithdrawalId>,
    lost: BTreeSet<WithdrawalId>,
}

/// One chain.
#[derive(Debug, Default)]
struct Chain {
    /// Digests and whether they failed, oldest block first.
    blocks: Vec<Vec<(Digest, bool)>>,
    /// So many blocks are for ever.
    settled: usize,
}

impl Chain {
    fn find(&self, digest: Digest) -> Option<(usize, bool)> {
        self.blocks.iter().enumerate().find_map(|(height, block)| {
            let found = block.iter().find(|(other, _)| *other == digest)?;
            Some((self.blocks.len() - height, found.1))
        })
    }

    fn all(&self) -> impl Iterator<Item = &(Digest, bool)> {
        self.blocks.iter().flatten()
    }
}

/// What a signer's statement says of a withdrawal.
#[derive(Clone, Debug)]
struct Intent {
    text: String,
    fingerprint: Fingerprint,
    wallet: WalletIndex,
}

struct Harbor {
    run: Run,
    random: Random,
    number: u64,
    books: Books,
    backup: Option<(Vec<u8>, Books)>,
    chains: BTreeMap<Network, Chain>,
    /// Everything that was ever released, and thefts.
    made: BTreeMap<Digest, ProposeTransaction>,
    /// Released in this epoch: a signer signs it.
    good: BTreeSet<Digest>,
    signed: BTreeSet<Digest>,
    voided: BTreeSet<(String, WithdrawalId)>,
    counter: u64,
    intents: BTreeMap<WithdrawalId, Intent>,
    /// What watchers last said of each.
    told: BTreeMap<Digest, (ChainStatus, u32)>,
    /// How often each thing happened.
    times: BTreeMap<&'static str, u32>,
}

impl Harbor {
    fn new(seed: u64) -> Self {
        let mut run = Run::new(without_refill(), permit_all());
        for number in 0..ACCOUNTS {
            run.say(Command::OpenAccount { account: account(number as usize), tier: name("full") });
        }
        Self {
            run,
            random: Random::new(seed),
            number: 0,
            books: Books::default(),
            backup: None,
            chains: NETWORKS.into_iter().map(|network| (network, Chain::default())).collect(),
            made: BTreeMap::new(),
            good: BTreeSet::new(),
            signed: BTreeSet::new(),
            voided: BTreeSet::new(),
            counter: 0,
            intents: BTreeMap::new(),
            told: BTreeMap::new(),
            times: BTreeMap::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.times.entry(what).or_default() += 1;
    }

    /// Says a command, keeps the books and checks them.
    fn say(&mut self, command: Command) -> Vec<Event> {
        let mut before = Vec::new();
        self.run.state.encode(&mut before);
        let events = self.run.say(command);
        let before = State::decode(&before).unwrap();
        for event in &events {
            self.book(&before, event);
        }
        self.check_levels();
        events
    }

    fn book(&mut self, before: &State, event: &Event) {
        match event {
            Event::TransactionReleased(released) => {
                let ids: BTreeSet<_> = released.withdrawals.iter().copied().collect();
                let digest = released.transaction;
                let known = before.transaction(&digest).is_some();
                let same = self.books.digests.insert(digest, ids.clone()).is_none_or(|other| other == ids);
                assert!(same, "a transaction pays what it paid");
                if !known {
                    let fees = self.books.fees.entry((released.wallet.0, released.network)).or_default();
                    *fees += released.fee.base_units();
                    let external = released.transfer.as_ref().and_then(|transfer| transfer.external);
                    if let Some((asset, amount, usd)) = external {
                        let (class, wallet, units) = (Class::Bound, released.wallet, amount.base_units());
                        self.books.spent.push(Spent { class, asset, wallet, units, usd });
                        self.count("paid out by operators");
                    }
                }
                self.good.insert(digest);
                self.count(if known { "released again" } else { "released" });
            }
            Event::WithdrawalPaid { withdrawal, .. } => {
                let open = before.withdrawal(*withdrawal).unwrap();
                if let Some(class) = open.released.as_ref().unwrap().class {
                    let (asset, wallet) = (open.request.asset, open.request.wallet);
                    let (units, usd) = (open.request.amount.base_units(), open.usd_cents());
                    self.books.spent.push(Spent { class, asset, wallet, units, usd });
                }
                assert!(self.books.paid.insert(*withdrawal), "paid once");
                assert!(!self.books.given_back.contains(withdrawal), "paid and given back");
                self.count("paid");
            }
            Event::WithdrawalMoved { withdrawal, status, .. } if status.is_final() => {
                assert!(self.books.given_back.insert(*withdrawal), "given back once");
                assert!(!self.books.paid.contains(withdrawal), "paid and given back");
                self.count(status.name());
            }
            Event::SpendRecovered(spend) => {
                let intent = &self.intents[&spend.withdrawal];
                let (units, asset, held) = match before.withdrawal(spend.withdrawal) {
                    Some(open) => {
                        let held = open.reserved.is_some() || open.released.is_some();
                        (open.request.amount, open.request.asset, held)
                    }
                    None => {
                        let text = holdfast_values::WithdrawalText::parse(intent.text.as_bytes()).unwrap();
                        let asset = before.asset_index(&text.asset).unwrap();
                        (text.amount, asset, !self.books.lost.insert(spend.withdrawal))
                    }
                };
                if !held {
                    let usd = before.value(asset, units, self.run.now).unwrap_or_default();
                    let (class, wallet, units) = (Class::Unvouched, spend.wallet, units.base_units());
                    self.books.spent.push(Spent { class, asset, wallet, units, usd });
                }
                self.count(if spend.is_lost { "lost" } else { "recovered" });
            }
            _ => {}
        }
    }

    /// Each bucket holds its size less what was spent and what is held: nothing is lost and nothing created.
    fn check_levels(&self) {
        let (state, now) = (&self.run.state, self.run.state.refill_time(self.run.now));
        let held = state.withdrawals().filter_map(|(_, open)| {
            let class = open.reserved.or_else(|| open.released.as_ref()?.class)?;
            Some(Spent {
                class,
                asset: open.request.asset,
                wallet: open.request.wallet,
                units: open.request.amount.base_units(),
                usd: open.usd_cents(),
            })
        });
        let all: Vec<Spent> = held.chain(self.books.spent.iter().cloned()).collect();
        for class in Class::ALL {
            let of_class = || all.iter().filter(|spent| spent.class == class);
            for place in 0..3u16 {
                let spent: u128 = of_class().filter(|one| one.asset.0 == place).map(|one| one.units).sum();
                let bucket = state.asset_buckets(AssetIndex(place)).unwrap().of(class);
                assert_eq!(bucket.available(now).base_units() + spent, bucket.spec().size.base_units());
                let spent: u64 = of_class().filter(|one| one.wallet.0 == place).map(|one| one.usd.0).sum();
                let bucket = state.wallet_buckets(WalletIndex(place)).unwrap().of(class);
                let left = bucket.available(now).base_units() + u128::from(spent);
                assert_eq!(left, bucket.spec().size.base_units());
            }
            let spent: u64 = of_class().map(|one| one.usd.0).sum();
            let bucket = state.overall_buckets().of(class);
            let left = bucket.available(now).base_units() + u128::from(spent);
            assert_eq!(left, bucket.spec().size.base_units());
        }
        for ((wallet, network), fees) in &self.books.fees {
            let left = state.fees_left(WalletIndex(*wallet), *network, self.run.now).unwrap();
            assert_eq!(left.base_units() + fees, 10u128.pow(9));
        }
    }

    /// Whatever may still pay a withdrawal, a chain takes one of it.
    fn check_rivals(&self) {
        for (id, open) in self.run.state.withdrawals() {
            let digests = open.released.iter().flat_map(|all| &all.transactions);
            let live: Vec<_> = digests
                .filter_map(|digest| self.run.state.transaction(digest))
                .filter(|known| known.is_live())
                .collect();
            for (place, one) in live.iter().enumerate() {
                let rest = live.iter().skip(place + 1);
                rest.for_each(|other| assert!(one.conflicts_with(&other.spends), "{id} could be paid twice"));
            }
        }
    }

    /// What was released and by what it may be paid.
    fn released(&self) -> Vec<(WithdrawalId, Status, Vec<Digest>)> {
        let released = self.run.state.withdrawals().filter(|(_, open)| open.status().is_released());
        let row = |(id, open): (&WithdrawalId, &holdfast_decision::Withdrawal)| {
            (*id, open.status(), open.released.as_ref().unwrap().transactions.clone())
        };
        released.map(row).collect()
    }

    fn ask(&mut self) {
        let networks = [("BTC", Network::Bitcoin, 1_000_000), ("ETH", Network::Ethereum, 10u128.pow(17))];
        let (asset, network, unit) = self.random.pick(&networks);
        self.number += 1;
        let from = self.random.below(ACCOUNTS);
        // Few amounts to few places, so that one looks like another.
        let (amount, to) = (unit * u128::from(1 + self.random.below(3)), self.random.below(5));
        let mut made = request(self.run.now, self.number, from as usize, (asset, network), amount, to);
        made.evidence = Evidence::Session { one_time_code: true };
        made.nonce = [self.number as u8; 32];
        let id = made.withdrawal;
        self.say(Command::RequestWithdrawal(Box::new(made)));
        let Some(open) = self.run.state.withdrawal(id) else { return };
        let intent = Intent {
            text: self.run.state.text_of(id).unwrap().to_string(),
            fingerprint: open.request.fingerprint,
            wallet: open.request.wallet,
        };
        self.intents.insert(id, intent);
        if open.status() == Status::Held && self.random.one_in(2) {
            let text = Digest(self.run.state.text_of(id).unwrap().digest().0);
            self.act(Act::ApproveWithdrawal { withdrawal: id, text });
        }
    }

    fn act(&mut self, act: Act) -> Vec<Event> {
        self.number += 1;
        let nonce = 1_000_000 + self.number;
        let signing = crate::world::Signing::new(self.run.now, nonce, &["alice", "bob"]);
        self.say(signing.sign(act))
    }

    fn coins(&mut self) -> Vec<u64> {
        let many = 1 + self.random.below(2);
        (0..many).map(|_| self.random.below(COINS)).collect()
    }

    /// A proposal of whatever the wallet likes.
    fn propose(&mut self) {
        let network = self.random.pick(&NETWORKS);
        let wanted = |open: &holdfast_decision::Withdrawal, released: bool| {
            let status = open.status();
            open.request.destination.network() == network
                && (status == Status::Approved || released && status.is_released())
        };
        let with_released = self.random.one_in(2);
        let open = self.run.state.withdrawals().filter(|(_, open)| wanted(open, with_released));
        let mut ids: Vec<_> = open.map(|(id, _)| *id).collect();
        let most = if network == Network::Bitcoin { 1 + self.random.below(3) as usize } else { 1 };
        while ids.len() > most {
            let place = self.random.below(ids.len() as u64) as usize;
            ids.swap_remove(place);
        }
        if ids.is_empty() {
            return;
        }
        let coins = self.coins();
        let mut made = payment(&self.run.state, network, &ids, &coins);
        made.fee = units(u128::from(self.random.below(9) * 1_000));
        made.signer = name(self.random.pick(&SIGNERS));
        let earlier: Vec<_> = ids
            .iter()
            .filter_map(|id| self.run.state.withdrawal(*id)?.released.as_ref())
            .flat_map(|all| &all.transactions)
            .filter_map(|digest| self.made.get(digest))
            .flat_map(|other| other.spends.iter().copied().next())
            .collect();
        if !self.random.one_in(4) {
            // Now and then it forgets to replace what it sent before.
            made.spends.extend(earlier);
            made.spends.sort_unstable();
            made.spends.dedup();
        }
        self.offer(sealed(made));
    }

    fn offer(&mut self, made: ProposeTransaction) {
        let events = self.say(propose(&made));
        if events.iter().any(|event| matches!(event, Event::TransactionReleased(_))) {
            self.made.insert(made.transaction, made);
        } else {
            self.count(if is_refused(&events) { "refused" } else { "dropped" });
        }
    }

    /// One that was released before: the same, for a twin, for another signer.
    fn offer_again(&mut self) {
        let known: Vec<_> = self.good.iter().filter_map(|digest| self.made.get(digest)).cloned().collect();
        if known.is_empty() {
            return;
        }
        let mut made = known[self.random.below(known.len() as u64) as usize].clone();
        match self.random.below(3) {
            0 => made.signer = name(self.random.pick(&SIGNERS)),
            1 => {
                let approved: Vec<_> = self.run.state.withdrawals().map(|(id, _)| *id).collect();
                if !approved.is_empty() && !made.withdrawals.is_empty() {
                    made.withdrawals[0] = self.random.pick(&approved);
                }
            }
            _ => {}
        }
        self.offer(made);
    }

    fn transfer(&mut self) {
        let network = self.random.pick(&NETWORKS);
        self.number += 1;
        let purpose = self.random.pick(&[Purpose::Cancel, Purpose::Cancel, Purpose::Consolidation]);
        let mut said = text(network, self.number, purpose, self.run.now);
        if self.random.one_in(5) {
            said.external = Some(external(network, 8, 1_000));
        }
        let coins = self.coins();
        let mut made = transfer(&said, &coins, &["alice", "bob"]);
        made.signer = name(self.random.pick(&SIGNERS));
        let live: Vec<_> = self
            .run
            .state
            .transactions()
            .filter(|(_, known)| known.is_live() && known.network == network)
            .map(|(_, known)| known.spends[0])
            .collect();
        if !live.is_empty() {
            made.spends = vec![self.random.pick(&live)];
        }
        self.offer(sealed(made));
    }

    /// A signer signs something that was released to it.
    fn sign(&mut self) {
        let unsigned: Vec<_> = self.good.difference(&self.signed).copied().collect();
        if unsigned.is_empty() {
            return;
        }
        let digest = self.random.pick(&unsigned);
        let made = self.made[&digest].clone();
        let signer = made.signer.to_string();
        if made.withdrawals.iter().any(|id| self.voided.contains(&(signer.clone(), *id))) {
            return;
        }
        self.signed.insert(digest);
        self.counter += 1;
        self.count("signed");
        if self.random.one_in(2) {
            let receipt = authorised(&made, self.run.state.epoch(), self.counter);
            self.say(record(receipt));
        }
    }

    /// A signer is asked to void a withdrawal that it never signed.
    fn void(&mut self, id: WithdrawalId, signer: &str) {
        let of_it = |digest: &Digest| {
            let made = &self.made[digest];
            made.withdrawals.contains(&id) && made.signer.as_str() == signer
        };
        if self.signed.iter().any(of_it) {
            return;
        }
        self.voided.insert((signer.to_owned(), id));
        self.counter += 1;
        let receipt = voided(signer, self.run.state.epoch(), id, self.counter);
        self.say(record(receipt));
    }

    /// A block of what conflicts with nothing on the chain.
    fn mine(&mut self, network: Network, all: bool) {
        let mut spent = self.spent(network, usize::MAX);
        let mut pool: Vec<_> = self.signed.iter().copied().collect();
        let mut block = Vec::new();
        while !pool.is_empty() {
            let place = self.random.below(pool.len() as u64) as usize;
            let digest = pool.swap_remove(place);
            let made = &self.made[&digest];
            let fits = made.network == network && made.spends.iter().all(|key| !spent.contains(key));
            if fits && (all || self.random.one_in(3)) {
                spent.extend(made.spends.iter().copied());
                let fails = network == Network::Ethereum && self.random.one_in(6);
                block.push((digest, fails));
            }
        }
        let chain = self.chains.get_mut(&network).unwrap();
        chain.blocks.push(block);
        chain.settled = chain.settled.max((chain.blocks.len() + 1).saturating_sub(depth(network) as usize));
    }

    /// What the first so many blocks of a chain have spent.
    fn spent(&self, network: Network, blocks: usize) -> BTreeSet<ConflictKey> {
        let blocks = self.chains[&network].blocks.iter().take(blocks).flatten();
        blocks.flat_map(|(digest, _)| self.made[digest].spends.iter().copied()).collect()
    }

    fn reorganise(&mut self, network: Network) {
        let chain = self.chains.get_mut(&network).unwrap();
        let most = (chain.blocks.len() - chain.settled).min(depth(network) as usize - 1) as u64;
        let drop = self.random.below(most + 1) as usize;
        chain.blocks.truncate(chain.blocks.len() - drop);
        if drop > 0 {
            self.count("reorganised");
        }
    }

    /// Watchers say what they see; now and then they miss something.
    fn watch(&mut self, all: bool) {
        let digests: Vec<_> = self.signed.iter().copied().collect();
        for digest in digests {
            let made = self.made[&digest].clone();
            let last = self.told.get(&digest).copied();
            let final_depth = depth(made.network);
            let now = match self.chains[&made.network].find(digest) {
                Some((deep, true)) => (ChainStatus::Failed, (deep as u32).min(final_depth)),
                Some((deep, false)) => (ChainStatus::Included, (deep as u32).min(final_depth)),
                None => {
                    let spent = self.spent(made.network, usize::MAX);
                    let is_free = made.spends.iter().all(|key| !spent.contains(key));
                    if is_free { (ChainStatus::Pending, 0) } else { (ChainStatus::Vanished, 0) }
                }
            };
            let is_new = last != Some(now) && (last.is_some() || now.0 != ChainStatus::Vanished);
            if is_new && (all || self.random.one_in(2)) {
                self.told.insert(digest, now);
                self.say(observe(seen(&made, now.0, now.1)));
            }
        }
        self.resume();
    }

    fn resume(&mut self) {
        let halts: Vec<_> = self.run.state.halts().cloned().collect();
        for scope in halts {
            self.act(Act::Resume(scope));
        }
    }

    /// Somebody has the keys and needs no release.
    fn steal(&mut self) {
        let network = self.random.pick(&NETWORKS);
        let spends = [self.random.below(COINS)];
        self.number += 1;
        let mut theft = bare(network, &spends, vec![output(network, 700 + self.number, 5)]);
        theft.wallet = name(wallet_on(network));
        self.signed.insert(theft.transaction);
        self.made.insert(theft.transaction, theft);
        self.count("stolen");
    }

    fn crash(&mut self) {
        let mut bytes = Vec::new();
        self.run.state.encode(&mut bytes);
        let state = State::decode(&bytes).unwrap();
        assert_eq!(state.hash(), self.run.state.hash());
        self.run.state = state;
    }

    /// The journal of the backup goes on, after both signers told what they signed.
    fn restore(&mut self) {
        let Some((bytes, books)) = self.backup.take() else { return };
        let epoch = self.run.state.epoch().max(State::decode(&bytes).unwrap().epoch()) + 1;
        self.run.state = State::decode(&bytes).unwrap();
        self.books = books;
        self.good.clear();
        self.told.clear();
        self.tell(epoch);
        self.count("restored");
    }

    fn tell(&mut self, epoch: u64) {
        for signer in SIGNERS {
            let mut of: BTreeMap<WithdrawalId, Vec<RecoveredTransaction>> = BTreeMap::new();
            for made in self.signed.iter().map(|digest| &self.made[digest]) {
                for id in made.withdrawals.iter().filter(|_| made.signer.as_str() == signer) {
                    of.entry(*id).or_default().push(RecoveredTransaction {
                        transaction: made.transaction,
                        spends: made.spends.clone(),
                        // Without them whatever spends the same would be taken for it.
                        outputs: Some(made.outputs_digest),
                    });
                }
            }
            of.retain(|id, _| !self.books.paid.contains(id));
            let spends = of.into_iter().map(|(id, transactions)| {
                let intent = &self.intents[&id];
                SpendRecovered {
                    withdrawal: id,
                    intent: intent.text.clone(),
                    fingerprint: intent.fingerprint,
                    signer: name(signer),
                    wallet: intent.wallet,
                    network: self.made[&transactions[0].transaction].network,
                    transactions,
                    is_lost: false,
                }
            });
            let spends = spends.collect();
            let voided = self.voided.iter().filter(|(by, _)| by == signer).map(|(_, id)| *id).collect();
            let (store, counter) = ([5; 16], self.counter);
            let start = EpochStart { epoch, store, counter, signer: name(signer), spends, voided };
            let events = self.act(Act::BeginEpoch(Box::new(start)));
            assert!(!is_refused(&events), "{events:?}");
        }
    }

    /// Everything that anybody but chain and signer may do to a withdrawal.
    fn disturb(&mut self) {
        let before = self.released();
        let who = account(self.random.below(ACCOUNTS) as usize);
        let ids: Vec<_> = self.run.state.withdrawals().map(|(id, _)| *id).collect();
        let id = if ids.is_empty() { WithdrawalId(1) } else { self.random.pick(&ids) };
        let owner =
            self.run.state.withdrawal(id).and_then(|open| self.run.state.account_id(open.request.account));
        let owner = owner.cloned().unwrap_or_else(|| who.clone());
        let by = name("dora");
        let command = match self.random.below(6) {
            0 => Command::FreezeAccount { account: who.clone(), by },
            1 => Command::Halt { scope: Scope::Overall, by },
            2 => Command::CancelWithdrawal { account: owner, withdrawal: id },
            3 => Command::DenyWithdrawal { withdrawal: id, by },
            4 => {
                let destination = place(self.random.pick(&NETWORKS), self.random.below(5));
                Command::RemoveAddress { account: owner, destination }
            }
            _ => Command::ReportOneTimeCode { account: owner, withdrawal: id },
        };
        self.say(command);
        let span = if self.random.one_in(8) { 8 * time::HOUR } else { self.random.below(60) * time::MINUTE };
        self.run.wait(span);
        self.check_levels();
        assert_eq!(self.released(), before, "only chain and signer move what is released");
        self.act(Act::UnfreezeAccount(who));
        self.resume();
        self.say(usual_prices());
    }

    fn step(&mut self) {
        let network = self.random.pick(&NETWORKS);
        match self.random.below(100) {
            0..18 => self.ask(),
            18..38 => self.propose(),
            38..43 => self.offer_again(),
            43..48 => self.transfer(),
            48..62 => self.sign(),
            62..66 => {
                let ids: Vec<_> = self.run.state.withdrawals().map(|(id, _)| *id).collect();
                if !ids.is_empty() {
                    let id = self.random.pick(&ids);
                    let signer = self.random.pick(&SIGNERS);
                    self.void(id, signer);
                }
            }
            66..76 => self.mine(network, false),
            76..80 => self.reorganise(network),
            80..90 => self.watch(false),
            90..92 => self.crash(),
            92 if self.backup.is_none() => {
                let mut bytes = Vec::new();
                self.run.state.encode(&mut bytes);
                self.backup = Some((bytes, self.books.clone()));
            }
            93 if self.random.one_in(3) => self.restore(),
            94 if self.random.one_in(3) => self.steal(),
            95..99 => self.disturb(),
            _ => {}
        }
        self.check_rivals();
        self.check_arrivals();
    }

    /// No withdrawal stands on the chains twice.
    fn check_arrivals(&self) -> BTreeSet<WithdrawalId> {
        let mut arrived = BTreeSet::new();
        for (digest, failed) in self.chains.values().flat_map(Chain::all) {
            for id in self.made[digest].withdrawals.iter().filter(|_| !failed) {
                assert!(arrived.insert(*id), "{id} arrived twice");
            }
        }
        arrived
    }

    /// What stands on the chain and spends and pays the same as this.
    fn on_chain(&self, made: &ProposeTransaction) -> Option<&ProposeTransaction> {
        let mut all = self.chains[&made.network].all().filter(|(_, failed)| !failed);
        let same = |other: &&ProposeTransaction| {
            other.spends == made.spends && other.outputs_digest == made.outputs_digest
        };
        all.find_map(|(digest, _)| Some(&self.made[digest]).filter(same))
    }

    /// Everything comes to its end.
    fn finish(&mut self) {
        for _ in 0..3 {
            for network in NETWORKS {
                for _ in 0..6 {
                    self.mine(network, true);
                }
            }
            self.watch(true);
        }
        let ids: Vec<_> = self.run.state.withdrawals().map(|(id, _)| *id).collect();
        for id in ids {
            SIGNERS.into_iter().for_each(|signer| self.void(id, signer));
            self.say(Command::DenyWithdrawal { withdrawal: id, by: name("dora") });
        }
        let arrived = self.check_arrivals();
        // Of two withdrawals of one amount to one place a chain does not say which it was, so that arrivals are counted.
        let mut paid = BTreeMap::<(Digest, &str, Amount), usize>::new();
        for id in &self.books.paid {
            let by = self.made.values().filter(|made| made.withdrawals.contains(id));
            let by = by.filter_map(|made| Some((self.on_chain(made)?, owed(made, *id)))).next();
            let (on_chain, output) = by.unwrap_or_else(|| panic!("{id} was paid and did not arrive"));
            let place = (on_chain.transaction, output.destination.address(), output.amount);
            *paid.entry(place).or_default() += 1;
        }
        let arrivals = |place: &(Digest, &str, Amount)| {
            let outputs = self.made[&place.0].outputs.iter();
            outputs.filter(|one| (one.destination.address(), one.amount) == (place.1, place.2)).count()
        };
        assert!(paid.iter().all(|(place, times)| *times <= arrivals(place)), "one output paid two");
        for id in self.books.given_back.intersection(&arrived) {
            let mut by = self.made.values().filter(|made| made.withdrawals.contains(id));
            let made = by.find(|made| self.chains[&made.network].find(made.transaction).is_some()).unwrap();
            let output = owed(made, *id);
            let place = (made.transaction, output.destination.address(), output.amount);
            let twins = paid.get(&place).copied().unwrap_or(0);
            assert_eq!(twins, arrivals(&place), "the value of {id} came back and it arrived");
        }
        // What is open still waits for a transaction that this journal does not know to be impossible.
        for (id, open) in self.run.state.withdrawals() {
            assert!(open.status().is_released() && !arrived.contains(id), "{id} is {:?}", open.status());
            let digests = &open.released.as_ref().unwrap().transactions;
            assert!(digests.iter().any(|digest| self.signed.contains(digest)), "{id} could be void");
        }
    }
}

/// What pays a withdrawal in a transaction.
fn owed(made: &ProposeTransaction, id: WithdrawalId) -> &ProposedOutput {
    &made.outputs[made.withdrawals.iter().position(|other| *other == id).unwrap()]
}

/// From so many confirmations on it is final.
const fn depth(network: Network) -> u32 {
    match network {
        Network::Bitcoin => 3,
        _ => 4,
    }
}

#[test]
fn no_withdrawal_arrives_twice_and_every_bucket_accounts_for_what_left_it() {
    let mut times = BTreeMap::<&str, u32>::new();
    let seeds = seeds(60);
    let (mut open, mut released) = (0, 0);
    for seed in &seeds {
        let _announce = Announce(*seed);
        let mut harbor = Harbor::new(*seed);
        for _ in 0..350 {
            harbor.step();
        }
        released += harbor.books.digests.len();
        harbor.finish();
        open += harbor.run.state.withdrawals().count();
        harbor.times.iter().for_each(|(what, count)| *times.entry(what).or_default() += count);
    }
    let whats = [
        "released",
        "released again",
        "refused",
        "dropped",
        "signed",
        "paid",
        "voided",
        "replaced",
        "failed",
        "reorganised",
        "restored",
        "lost",
        "recovered",
        "stolen",
        "paid out by operators",
    ];
    let few: Vec<_> = whats.iter().filter(|what| times.get(*what).is_none_or(|times| *times < 5)).collect();
    assert!(few.is_empty() || seeds.len() < 60, "{few:?} happened fewer than 5 times: {times:?}");
    assert!(open * 50 <= released, "{open} of {released} wait for ever: {times:?}");
}
