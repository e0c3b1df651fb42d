//! What pays: proposals, observations and receipts as the edge would make them, for the journals of tests.

use holdfast_decision::acts::{Act, Digest, EpochStart};
use holdfast_decision::command::{
    ChainStatus, Command, Observation, Price, ProposeTransaction, ProposedOutput, ReceiptOutcome,
    RecordReceipt,
};
use holdfast_decision::configuration::{
    BucketSpec, Configuration, SignerConfiguration, WalletChain, WalletSource,
};
use holdfast_decision::event::{Approval, Event, Events, RecoveredTransaction, SpendRecovered, WalletIndex};
use holdfast_values::texts::{Nonce, Purpose, Seconds, TransferText};
use holdfast_values::{Amount, ConflictKey, Network, ReleaseId, TransferId, WithdrawalId, time};

use crate::fixture::{Books, Random};
use crate::world::{self, EXCHANGE, name};

/// The world's configuration with what releases need.
pub(crate) fn chains() -> Configuration {
    let mut configuration = world::configuration();
    let bucket = |units: u128| BucketSpec {
        size: Amount::from_base_units(units),
        refill_per_hour: Amount::from_base_units(units),
    };
    configuration.wallets[0].chains = Some(vec![WalletChain {
        network: Network::Bitcoin,
        source: WalletSource::Descriptors(vec!["wpkh(xpub/0/*)".to_owned(), "wpkh(xpub/1/*)".to_owned()]),
        fee_max: Amount::from_base_units(1_000_000),
        fee_bucket: bucket(1_000_000_000),
        confirmations_final: 6,
    }]);
    configuration.wallets[1].chains = Some(vec![WalletChain {
        network: Network::Ethereum,
        source: WalletSource::Address("0x00000000000000000000000000000000000000ee".to_owned()),
        fee_max: Amount::from_base_units(10u128.pow(16)),
        fee_bucket: bucket(10u128.pow(18)),
        confirmations_final: 64,
    }]);
    configuration.signers = ["harbor-hot", "harbor-warm"]
        .map(|text| SignerConfiguration {
            name: name(text),
            receipt_key: *blake3::hash(text.as_bytes()).as_bytes(),
        })
        .to_vec()
        .into();
    configuration.parameters.release_lifetime = Some(90 * time::SECOND);
    configuration
}

/// A transaction of the Bitcoin wallet: number and the coin that it spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spend {
    pub(crate) number: u8,
    pub(crate) coin: u8,
}

impl Spend {
    pub(crate) const fn digest(self) -> Digest {
        Digest([self.number; 32])
    }

    /// Explorers show the `ff` last.
    pub(crate) const fn chain_id(self) -> [u8; 32] {
        let mut id = [self.number; 32];
        id[0] = 0xff;
        id
    }

    pub(crate) fn chain_id_text(self) -> String {
        format!("{}ff", format!("{:02x}", self.number).repeat(31))
    }

    fn spends(self) -> Vec<ConflictKey> {
        vec![ConflictKey::Outpoint { txid: [self.coin; 32], vout: 0 }]
    }

    const fn outputs(self) -> Digest {
        Digest([self.number ^ 0xa5; 32])
    }
}

impl Books {
    /// Books of an exchange that can release: its configuration, a customer, prices.
    pub(crate) fn paying() -> Self {
        let mut books = Self::new();
        books.world.act(Act::Configure(Box::new(chains())), &["alice", "bob"]);
        assert!(books.world.state.configuration().signers.is_some());
        books.customer("ac_1");
        books.customer("ac_2");
        books.prices();
        books
    }

    pub(crate) fn prices(&mut self) {
        let prices = vec![
            Price { asset: "BTC".parse().unwrap(), micro_usd: 5_900_000_000 },
            Price { asset: "ETH".parse().unwrap(), micro_usd: 180_000_000 },
        ];
        self.world.say(Command::SetPrices { prices });
    }

    /// A withdrawal that is approved at once.
    pub(crate) fn approved(&mut self, label: &str, amount: &str) -> WithdrawalId {
        self.world.withdraw(label, "ac_1", "BTC", amount, "old");
        assert_eq!(self.world.status(label), Some(holdfast_decision::Status::Approved), "{label}");
        self.id(label)
    }

    /// Proposes a transaction that pays these, exactly as they are open now.
    pub(crate) fn propose(&mut self, spend: Spend, ids: &[WithdrawalId]) -> Events {
        let open = ids.iter().filter_map(|id| self.world.state.withdrawal(*id));
        let mut outputs: Vec<ProposedOutput> = open
            .map(|open| ProposedOutput {
                destination: open.request.destination.clone(),
                own: None,
                contract: None,
                amount: open.request.amount,
            })
            .collect();
        outputs.push(change());
        let proposed = ProposeTransaction { outputs, withdrawals: ids.to_vec(), ..self.draft(spend) };
        self.world.say(Command::ProposeTransaction(Box::new(proposed)))
    }

    fn draft(&mut self, spend: Spend) -> ProposeTransaction {
        ProposeTransaction {
            release: ReleaseId(u128::from(self.world.now.0) << 32 | u128::from(self.world.next())),
            signer: name("harbor-hot"),
            wallet: name("hot-btc"),
            network: Network::Bitcoin,
            transaction: spend.digest(),
            spends: spend.spends(),
            outputs: vec![change()],
            outputs_digest: spend.outputs(),
            fee: Amount::from_base_units(2_820),
            withdrawals: Vec::new(),
            transfer: None,
            reader: 1,
        }
    }

    /// Proposes to move the wallet's coins to itself.
    pub(crate) fn consolidate(&mut self, spend: Spend) -> Events {
        let until = self.world.now.plus(time::HOUR);
        let text = TransferText {
            exchange: EXCHANGE.parse().unwrap(),
            transfer: TransferId(u128::from(spend.number)),
            wallet: name("hot-btc"),
            network: Network::Bitcoin,
            purpose: Purpose::Consolidation,
            asset: "BTC".parse().unwrap(),
            external: None,
            fee_max: Amount::from_base_units(5_000),
            not_after: Seconds::floor(until),
            nonce: Nonce([spend.number; 32]),
        };
        let transfer = Some(Box::new(Approval { text: text.to_string(), signatures: Vec::new() }));
        let proposed = ProposeTransaction { transfer, ..self.draft(spend) };
        self.world.say(Command::ProposeTransaction(Box::new(proposed)))
    }

    pub(crate) fn observe(&mut self, spend: Spend, status: ChainStatus, confirmations: u32) -> Events {
        self.world.say(Command::RecordObservation(Box::new(Observation {
            wallet: name("hot-btc"),
            network: Network::Bitcoin,
            chain_id: spend.chain_id(),
            spends: spend.spends(),
            outputs: spend.outputs(),
            status,
            confirmations,
        })))
    }

    fn receipt(&mut self, counter: u64, what: ReceiptOutcome) -> Events {
        let epoch = self.world.state.epoch();
        self.world.say(Command::RecordReceipt(Box::new(RecordReceipt {
            signer: name("harbor-hot"),
            exchange: EXCHANGE.to_owned(),
            epoch,
            counter,
            what,
            receipt: vec![1, 2, 3],
        })))
    }

    pub(crate) fn authorised(&mut self, counter: u64, spend: Spend) -> Events {
        let what = ReceiptOutcome::Authorised {
            wallet: name("hot-btc"),
            network: Network::Bitcoin,
            transaction: spend.digest(),
            spends: spend.spends(),
        };
        self.receipt(counter, what)
    }

    pub(crate) fn voided(&mut self, counter: u64, withdrawal: WithdrawalId) -> Events {
        self.receipt(counter, ReceiptOutcome::Voided { withdrawal })
    }

    /// Goes on in the next epoch with what the signer remembers; the other one remembers nothing.
    pub(crate) fn begin_epoch(&mut self, spent: &[(WithdrawalId, Spend)], voided: &[WithdrawalId]) -> Events {
        let spends = spent.iter().map(|(id, spend)| self.recovered(*id, *spend)).collect();
        let start = EpochStart {
            epoch: self.world.state.epoch() + 1,
            store: [0xcd; 16],
            counter: 40,
            signer: name("harbor-hot"),
            spends,
            voided: voided.to_vec(),
        };
        let other = EpochStart {
            signer: name("harbor-warm"),
            spends: Vec::new(),
            voided: Vec::new(),
            ..start.clone()
        };
        // The other tells first: until it has, it may have signed what this one voids.
        self.world.act(Act::BeginEpoch(Box::new(other)), &["alice", "bob"]);
        self.world.act(Act::BeginEpoch(Box::new(start)), &["alice", "bob"])
    }

    fn recovered(&self, id: WithdrawalId, spend: Spend) -> SpendRecovered {
        let known = self.world.state.text_of(id).map(|text| text.to_string());
        SpendRecovered {
            withdrawal: id,
            intent: known.unwrap_or_else(|| lost_text(id)),
            fingerprint: holdfast_values::Fingerprint([7; 16]),
            signer: name("harbor-hot"),
            wallet: WalletIndex(0),
            network: Network::Bitcoin,
            transactions: vec![RecoveredTransaction {
                transaction: spend.digest(),
                spends: spend.spends(),
                outputs: Some(spend.outputs()),
            }],
            is_lost: false,
        }
    }

    /// Random payments, deterministic in the seed: released, bumped, seen, lost, voided, recovered.
    pub(crate) fn payments(&mut self, seed: u64, commands: usize) {
        let mut random = Random(seed);
        let mut spends: Vec<Spend> = Vec::new();
        for number in 0..commands {
            let known: Vec<WithdrawalId> = self.world.ids.values().copied().collect();
            let coin = random.below(12) as u8;
            match random.below(16) {
                0..=3 => {
                    let label = format!("p{seed}-{number}");
                    let amount = format!("0.0{}", 1 + random.below(99));
                    self.world.withdraw(&label, "ac_1", "BTC", &amount, "old");
                }
                4..=7 if !known.is_empty() && spends.len() < 200 => {
                    let spend = Spend { number: spends.len() as u8 + 1, coin };
                    let mut ids: Vec<WithdrawalId> = (0..=random.below(3))
                        .map(|_| known[random.below(known.len() as u64) as usize])
                        .collect();
                    ids.sort_unstable();
                    ids.dedup();
                    if random.below(3) > 0 {
                        let state = &self.world.state;
                        ids.retain(|id| {
                            state.withdrawal(*id).is_some_and(|open| {
                                open.status() == holdfast_decision::Status::Approved
                                    || open.status().is_released()
                            })
                        });
                    }
                    self.propose(spend, &ids);
                    spends.push(spend);
                }
                8 if spends.len() < 200 => {
                    let spend = Spend { number: spends.len() as u8 + 1, coin };
                    self.consolidate(spend);
                    spends.push(spend);
                }
                9..=12 if !spends.is_empty() => {
                    let spend = spends[random.below(spends.len() as u64) as usize];
                    let (status, confirmations) = match random.below(6) {
                        0 => (ChainStatus::Pending, 0),
                        1 => (ChainStatus::Vanished, 0),
                        2 => (ChainStatus::Failed, 1 + random.below(8) as u32),
                        _ => (ChainStatus::Included, 1 + random.below(8) as u32),
                    };
                    self.observe(spend, status, confirmations);
                }
                13 if !spends.is_empty() => {
                    let spend = spends[random.below(spends.len() as u64) as usize];
                    self.authorised(number as u64, spend);
                }
                14 if !known.is_empty() => {
                    let id = known[random.below(known.len() as u64) as usize];
                    match random.below(8) {
                        0 => drop(self.begin_epoch(&[(id, Spend { number: 240 + coin, coin })], &known[..1])),
                        _ => drop(self.voided(number as u64, id)),
                    }
                }
                _ => {
                    self.world.wait(random.below(5 * time::MINUTE));
                    self.prices();
                }
            }
            // An unknown spend halted the wallet: people let it go on.
            let halted = self.world.state.halts().next().cloned();
            if let Some(scope) = halted.filter(|_| random.below(4) > 0) {
                self.world.act(Act::Resume(scope), &["alice", "bob"]);
            }
        }
        self.write();
    }
}

fn change() -> ProposedOutput {
    ProposedOutput {
        destination: world::destination(Network::Bitcoin, "change"),
        own: Some(name("hot-btc")),
        contract: None,
        amount: Amount::from_base_units(123_456),
    }
}

/// The text of a withdrawal that no journal has.
fn lost_text(id: WithdrawalId) -> String {
    format!(
        "holdfast-withdrawal/v1\nexchange: {EXCHANGE}\naccount: ac_1\nwithdrawal: {id}\nasset: BTC\nnetwork: bitcoin\n\
         address: {}\nmemo: -\namount: 0.50000000\nfee-max: 0.00000000\nnot-after: 2026-11-29T12:00:00Z\nnonce: {}\n",
        world::destination(Network::Bitcoin, "old").address(),
        Nonce([3; 32]),
    )
}

/// True if this led to a release.
pub(crate) fn is_released(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::TransactionReleased(_)))
}
