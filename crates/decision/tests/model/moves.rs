//! Random traffic of transactions: proposals that are right, spoilt, bumped and cancelled, receipts, what chains show,
//! and restores.

use holdfast_decision::acts::{Act, Digest, EpochStart};
use holdfast_decision::command::{ChainStatus, Command, ProposeTransaction, Scope};
use holdfast_decision::event::{RecoveredTransaction, SpendRecovered, WalletIndex};
use holdfast_decision::{State, Status};
use holdfast_values::texts::{Nonce, Purpose, Seconds, WithdrawalText};
use holdfast_values::{Network, Timestamp, TransferId, WithdrawalId, time};

use crate::coins::{
    approval, authorised, bare, external, keys, observe, output, own, payment, propose, record, sealed, seen,
    text, transfer, units, voided, wallet_on,
};
use crate::play::{ACCOUNTS, Play};
use crate::world::{EXCHANGE, OPERATORS, SIGNERS, account, destination, name, place, symbol};

/// Coins and nonces that traffic speaks of: few enough to meet.
const COINS: u64 = 40;
const NETWORKS: [Network; 2] = [Network::Bitcoin, Network::Ethereum];

impl Play {
    /// Something about transactions.
    pub(crate) fn move_coins(&mut self, state: &State, now: Timestamp) -> Command {
        let has_to_recover = state.epoch() > 1 && SIGNERS.iter().any(|signer| !self.has_told(state, signer));
        if let Some(halt) = state.halts().next()
            && self.random.one_in(5)
        {
            return self.signed(Act::Resume(halt.clone()), now);
        }
        let is_anything_known = state.transactions().next().is_some();
        match self.random.below(100) {
            0..40 => {
                let made = self.proposal(state, now);
                self.made.push(made.clone());
                propose(&made)
            }
            40..52 => {
                let made = self.again(state);
                self.made.push(made.clone());
                propose(&made)
            }
            52..62 => self.receipt(state),
            62..66 if has_to_recover => self.epoch(state, now),
            66 => self.epoch(state, now),
            67 => self.stop(state),
            _ if is_anything_known || self.random.one_in(9) => self.observation(state),
            _ => {
                let made = self.proposal(state, now);
                self.made.push(made.clone());
                propose(&made)
            }
        }
    }

    /// Guesses by what the core refuses: nothing public says it.
    fn has_told(&mut self, state: &State, signer: &str) -> bool {
        state.receipts_seen(&name(signer)) > 0 && !self.random.one_in(2)
    }

    fn coins(&mut self) -> Vec<u64> {
        let many = 1 + self.random.below(2);
        (0..many).map(|_| self.random.below(COINS)).collect()
    }

    /// A transaction that was proposed; mostly one that is released.
    fn earlier(&mut self, state: &State) -> Option<ProposeTransaction> {
        let known: Vec<_> =
            self.made.iter().filter(|made| state.transaction(&made.transaction).is_some()).collect();
        let from =
            if known.is_empty() || self.random.one_in(25) { self.made.iter().collect() } else { known };
        let recent = &from[from.len().saturating_sub(12)..];
        (!recent.is_empty()).then(|| self.random.pick(recent).clone())
    }

    fn proposal(&mut self, state: &State, now: Timestamp) -> ProposeTransaction {
        if self.random.one_in(5) {
            return self.transfer(state, now);
        }
        let network = self.random.pick(&NETWORKS);
        let goes = |open: &holdfast_decision::Withdrawal| {
            let request = &open.request;
            let wallet = &state.configuration().wallets[usize::from(request.wallet.0)].name;
            request.destination.network() == network && wallet.as_str() == wallet_on(network)
        };
        let mut ids: Vec<WithdrawalId> = state
            .withdrawals()
            .filter(|(_, open)| open.status() == Status::Approved && goes(open))
            .map(|(id, _)| *id)
            .collect();
        let most = if network == Network::Bitcoin { 3 } else { 1 };
        while ids.len() > most {
            let place = self.random.below(ids.len() as u64) as usize;
            ids.swap_remove(place);
        }
        if ids.is_empty() && !self.random.one_in(6) {
            return self.transfer(state, now);
        }
        if ids.is_empty() || self.random.one_in(25) {
            ids.push(self.open(state));
        }
        let coins = self.coins();
        let made = payment(state, network, &ids, &coins);
        self.fee(made)
    }

    fn fee(&mut self, mut made: ProposeTransaction) -> ProposeTransaction {
        let most = if self.random.one_in(12) { 300_000 } else { 50_000 };
        made.fee = units(u128::from(self.random.below(most)));
        let made = sealed(made);
        if self.random.one_in(8) { self.spoilt(made) } else { made }
    }

    fn spoilt(&mut self, mut made: ProposeTransaction) -> ProposeTransaction {
        match self.random.below(14) {
            0 => drop(made.outputs.pop()),
            1 => made.outputs.push(output(made.network, self.random.below(9), 1_000)),
            2 => made.outputs.push(own(made.network, wallet_on(made.network), 77)),
            3 => made.outputs.push(own(made.network, "hot-evm", 77)),
            4 => made.withdrawals.extend(made.withdrawals.first().copied()),
            5 => made.withdrawals.clear(),
            6 => made.signer = name(self.random.pick(&["signer-two", "signer-three"])),
            7 => made.wallet = name(self.random.pick(&["hot-btc", "hot-evm", "hot-pol", "cold"])),
            8 => made.network = Network::Polygon,
            9 => made.outputs.reverse(),
            10 => made.spends = keys(made.network, &[self.random.below(COINS)]),
            11 => {
                if let Some(output) = made.outputs.first_mut() {
                    output.amount = units(output.amount.base_units().wrapping_add(1));
                }
            }
            12 => {
                if let Some(output) = made.outputs.first_mut() {
                    output.destination = destination(made.network, 5);
                }
            }
            _ => made.signer = name(SIGNERS[1]),
        }
        // With the digests of before it would be another transaction that calls itself the same.
        if self.random.one_in(4) { made } else { sealed(made) }
    }

    /// Somebody who was released something is frozen, or halted.
    fn stop(&mut self, state: &State) -> Command {
        let released = state.withdrawals().filter(|(_, open)| open.status().is_released());
        let owners = released.filter_map(|(_, open)| state.account_id(open.request.account).cloned());
        let owners: Vec<_> = owners.collect();
        let by = name("dora");
        if owners.is_empty() {
            return Command::FreezeAccount { account: account(self.random.below(ACCOUNTS) as usize), by };
        }
        let owner = owners[self.random.below(owners.len() as u64) as usize].clone();
        if self.random.one_in(2) {
            return Command::FreezeAccount { account: owner, by };
        }
        Command::Halt { scope: Scope::Account(owner), by }
    }

    /// The same again, or something that replaces it, or should.
    fn again(&mut self, state: &State) -> ProposeTransaction {
        let Some(mut made) = self.earlier(state) else {
            let network = self.random.pick(&NETWORKS);
            let coins = self.coins();
            return bare(network, &coins, Vec::new());
        };
        if self.random.one_in(3) {
            return made;
        }
        match self.random.below(6) {
            0 => {
                let coins = self.coins();
                made.spends = keys(made.network, &coins);
            }
            1 => {
                let coins = self.coins();
                made.spends.extend(keys(made.network, &coins));
                made.spends.sort_unstable();
                made.spends.dedup();
            }
            2 if made.withdrawals.len() > 1 && made.outputs.len() > made.withdrawals.len() => {
                // One of them goes by this, the others by another.
                let place = self.random.below(made.withdrawals.len() as u64) as usize;
                made.withdrawals.remove(place);
                made.outputs.remove(place);
            }
            3 if made.withdrawals.len() == 1 => {
                let twin = self.open(state);
                made.withdrawals = vec![twin];
                return made;
            }
            _ => {}
        }
        self.fee(made)
    }

    fn transfer(&mut self, state: &State, now: Timestamp) -> ProposeTransaction {
        let network = self.random.pick(&NETWORKS);
        let number = if self.random.one_in(4) { self.random.below(6) } else { 1_000 + self.number() };
        let purpose = self.random.pick(&Purpose::ALL);
        let mut said = text(network, number, purpose, now);
        let mut spends = self.coins();
        let rival = self.earlier(state).filter(|_| purpose == Purpose::Cancel || self.random.one_in(3));
        if self.random.one_in(3) {
            let amount = u128::from(1 + self.random.below(9));
            let unit = if network == Network::Bitcoin { 1_000_000 } else { 10u128.pow(17) };
            said.external = Some(external(network, self.random.below(9), amount * unit));
        }
        match self.random.below(24) {
            0 => said.exchange = "other.example".parse().unwrap(),
            1 => said.wallet = name("hot-pol"),
            2 => said.asset = symbol(self.random.pick(&["USDX", "DOGE", "ETH", "BTC"])),
            3 => said.not_after = Seconds::floor(now.plus(8 * time::DAY)),
            4 => said.not_after = Seconds::floor(now),
            5 => said.fee_max = units(10),
            6 => said.transfer = TransferId(3),
            7 => {
                if let Some(external) = &mut said.external {
                    external.decimals -= 1;
                }
            }
            8 => {
                if let Some(external) = &mut said.external {
                    external.amount = units(10u128.pow(22));
                }
            }
            _ => {}
        }
        let signers: &[&str] = match self.random.below(5) {
            0 => &["alice"],
            1 => &["alice", "alice"],
            2 => &["dave", "erin"],
            _ => &OPERATORS,
        };
        if self.random.one_in(9) {
            spends.clear();
        }
        let mut made = transfer(&said, &spends, signers);
        made.wallet = name(wallet_on(network));
        if let Some(rival) = rival.filter(|rival| rival.network == network) {
            made.spends.extend(rival.spends);
            made.spends.sort_unstable();
            made.spends.dedup();
        }
        match self.random.below(16) {
            0 => said.external = None,
            1 => said.external = Some(external(network, 3, 1_000_000)),
            2 => made.outputs.push(output(network, 8, 4)),
            _ => {}
        }
        made.transfer = approval(&said, signers);
        self.fee(made)
    }

    fn receipt(&mut self, state: &State) -> Command {
        let counter = self.random.below(40);
        let epoch = if self.random.one_in(12) { self.random.below(4) } else { state.epoch() };
        if self.random.one_in(3) {
            let released = state.withdrawals().filter(|(_, open)| open.status().is_released());
            let ids: Vec<_> = released.map(|(id, _)| *id).collect();
            let id = if ids.is_empty() || self.random.one_in(6) {
                self.open(state)
            } else {
                self.random.pick(&ids)
            };
            return record(voided(
                self.random.pick(&["signer-one", "signer-one", "signer-two"]),
                epoch,
                id,
                counter,
            ));
        }
        let Some(mut made) = self.earlier(state) else {
            return record(voided(SIGNERS[0], epoch, WithdrawalId(7), counter));
        };
        match self.random.below(20) {
            0 => made.signer = name(self.random.pick(&["signer-two", "signer-three"])),
            1 => made.wallet = name(self.random.pick(&["hot-pol", "cold"])),
            2 => made.transaction = Digest([self.random.below(3) as u8; 32]),
            _ => {}
        }
        let mut receipt = authorised(&made, epoch, counter);
        if self.random.one_in(30) {
            receipt.exchange = "other.example".to_owned();
        }
        record(receipt)
    }

    fn observation(&mut self, state: &State) -> Command {
        let made = self.earlier(state).unwrap_or_else(|| {
            let coins = self.coins();
            bare(self.random.pick(&NETWORKS), &coins, Vec::new())
        });
        let known = state.transaction(&made.transaction);
        let confirmations = known.map_or(0, |known| known.confirmations);
        let (status, confirmations) = match self.random.below(12) {
            0..2 => (ChainStatus::Pending, 0),
            2..7 => (ChainStatus::Included, confirmations + 1),
            7 => (ChainStatus::Included, self.random.below(6) as u32),
            8 => (ChainStatus::Failed, self.random.below(6) as u32),
            9 => (ChainStatus::Vanished, 0),
            _ => (ChainStatus::Included, 5),
        };
        let mut shown = seen(&made, status, confirmations);
        match self.random.below(40) {
            0 => shown.outputs = Digest([9; 32]),
            1 => shown.spends = keys(made.network, &[self.random.below(COINS)]),
            2 => shown.spends.clear(),
            3..6 => shown.chain_id = [1 + self.random.below(3) as u8; 32],
            6 => shown.wallet = name(self.random.pick(&["hot-btc", "hot-evm", "cold"])),
            7 => shown.network = Network::Polygon,
            _ => {}
        }
        observe(shown)
    }

    /// What a signer remembers of a withdrawal: what this journal knows of it, or something that it has lost.
    fn spend(&mut self, state: &State, signer: &str) -> SpendRecovered {
        let id = if self.random.one_in(3) { WithdrawalId(8) } else { self.open(state) };
        let network =
            state.withdrawal(id).map_or(Network::Bitcoin, |open| open.request.destination.network());
        let coins = self.coins();
        let new = bare(network, &coins, Vec::new());
        let mut transactions = vec![RecoveredTransaction {
            transaction: new.transaction,
            spends: new.spends,
            outputs: self.random.one_in(2).then_some(new.outputs_digest),
        }];
        if let Some(made) = self.earlier(state).filter(|made| made.network == network)
            && self.random.one_in(2)
        {
            transactions.push(RecoveredTransaction {
                transaction: made.transaction,
                spends: made.spends,
                outputs: Some(made.outputs_digest),
            });
        }
        let intent = state.text_of(id).unwrap_or_else(|| self.lost_text());
        let number = u64::from(intent.nonce.0[0]);
        let open = state.withdrawal(id);
        SpendRecovered {
            withdrawal: open.map_or(intent.withdrawal, |_| id),
            fingerprint: open.map_or_else(|| place(network, number), |open| open.request.fingerprint),
            intent: if self.random.one_in(12) { "hello".to_owned() } else { intent.to_string() },
            signer: name(signer),
            wallet: open.map_or(WalletIndex(0), |open| open.request.wallet),
            network,
            transactions,
            is_lost: false,
        }
    }

    /// A payment of bitcoin that will be asked for again: amounts and places are those of few.
    fn lost_text(&mut self) -> WithdrawalText {
        let number = self.random.below(ACCOUNTS);
        WithdrawalText {
            exchange: EXCHANGE.parse().unwrap(),
            account: account(number as usize),
            withdrawal: WithdrawalId(u128::from(900 + self.random.below(5))),
            asset: symbol("BTC"),
            destination: destination(Network::Bitcoin, number),
            decimals: 8,
            amount: units(LOST_UNITS),
            fee_max: units(0),
            not_after: Seconds::floor(crate::world::START),
            nonce: Nonce([number as u8; 32]),
        }
    }

    fn epoch(&mut self, state: &State, now: Timestamp) -> Command {
        let signer =
            self.random.pick(&["signer-one", "signer-two", "signer-one", "signer-two", "signer-three"]);
        let further = match self.random.below(12) {
            0 => self.random.pick(&[1, 2, 999, 1_001]),
            1..8 if state.epoch() == 1 => 1,
            _ => 0,
        };
        let many = self.random.below(4);
        let spends = (0..many).map(|_| self.spend(state, signer)).collect();
        let voided = (0..self.random.below(3)).map(|_| self.open(state)).collect();
        let start = EpochStart {
            epoch: state.epoch() + further,
            store: [3; 16],
            counter: self.random.below(20) + 1,
            signer: name(signer),
            spends,
            voided,
        };
        self.signed(Act::BeginEpoch(Box::new(start)), now)
    }
}

/// What lost payments paid: requests ask for the same now and then.
pub(crate) const LOST_UNITS: u128 = 1_234_567;
