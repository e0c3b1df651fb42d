//! Random traffic: everything the core can be asked, well and badly, aimed at what stands in State.

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{
    ApiEvidence, Command, Evidence, Idempotency, ProposeTransaction, RequestWithdrawal, Scope, Scopes,
    SecurityChange, TokenScopes, TokenSpec,
};
use holdfast_decision::event::{Event, Events};
use holdfast_decision::{
    Configuration, OWNER_FREEZE, RULES_LATEST, State, Status, decide, fold, next_deadline,
};
use holdfast_values::{CaseId, Network, OperatorPublicKey, Timestamp, UsdCents, WithdrawalId, time};

use crate::moves::LOST_UNITS;
use crate::random::Random;
use crate::world::{
    OPERATORS, START, SYMBOLS, Signing, TIERS, account, configuration, destination, fingerprint, imported,
    initialise, name, operator, other_configuration, place, policy, prices, request, symbol, usual_prices,
};

/// One journaled command.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) command: Command,
    pub(crate) events: Events,
}

/// A core that remembers what it was told, as intake and journal would.
pub(crate) struct Run {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) records: Vec<Record>,
}

impl Run {
    pub(crate) fn empty() -> Self {
        Self { state: State::new(), now: START, records: Vec::new() }
    }

    /// A configured exchange with prices.
    pub(crate) fn new(
        configuration: Configuration,
        policy: holdfast_decision::command::PolicySource,
    ) -> Self {
        Self::by_rules(RULES_LATEST, configuration, policy)
    }

    /// The same by another version of the rules.
    pub(crate) fn by_rules(
        rules: u32,
        configuration: Configuration,
        policy: holdfast_decision::command::PolicySource,
    ) -> Self {
        let mut run = Self::empty();
        let mut first = initialise(configuration, policy);
        if let Command::Initialise(first) = &mut first {
            first.rules = Some(rules);
        }
        run.say(first);
        run.say(usual_prices());
        run
    }

    /// Decides and folds one command.
    pub(crate) fn say(&mut self, command: Command) -> Events {
        let mut events = Vec::new();
        decide(&self.state, self.now, &command, &mut events);
        if is_journaled(&events) {
            let sequence = self.state.sequence() + 1;
            fold(&mut self.state, sequence, self.now, &events);
            self.records.push(Record { sequence, at: self.now, command, events: events.clone() });
        }
        events
    }

    /// Lets time pass, with a tick at every deadline.
    pub(crate) fn wait(&mut self, span: u64) -> Vec<Events> {
        let end = self.now.plus(span);
        let mut ticks = Vec::new();
        while let Some(due) = next_deadline(&self.state).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let events = self.say(Command::Tick);
            assert!(!events.is_empty(), "a deadline that a tick does not pass: {due}");
            ticks.push(events);
            assert!(ticks.len() < 100_000, "deadlines without end");
        }
        self.now = end;
        ticks
    }

    pub(crate) fn act(&mut self, act: Act, signers: &[&str]) -> Events {
        let nonce = self.records.len() as u64 + 1_000_000;
        self.say(Signing::new(self.now, nonce, signers).sign(act))
    }
}

/// What a server would write down.
pub(crate) fn is_journaled(events: &[Event]) -> bool {
    !events.is_empty() && !matches!(events, [Event::Repeated { .. }])
}

/// The accounts that random traffic speaks of; those before [`OLD`] have history.
pub(crate) const ACCOUNTS: u64 = 14;
pub(crate) const OLD: usize = 4;
pub(crate) const PLACES: [(&str, Network, u128); 4] = [
    ("BTC", Network::Bitcoin, 100_000_000),
    ("ETH", Network::Ethereum, 10u128.pow(18)),
    ("USDX", Network::Ethereum, 1_000_000),
    ("USDX", Network::Polygon, 1_000_000),
];

/// A source of commands.
pub(crate) struct Play {
    pub(crate) random: Random,
    pub(crate) counter: u64,
    /// Times are whole seconds, as the model wants them.
    pub(crate) whole: bool,
    /// A run on the exchange: many good requests in a short time, so that buckets run dry and lines grow.
    is_run: bool,
    /// Nobody changes the configuration: what a bucket may give is then one number.
    pub(crate) is_settled: bool,
    last: Option<RequestWithdrawal>,
    part: Option<u64>,
    /// At whose codes somebody guesses.
    pub(crate) guessed: Option<usize>,
    /// The nonce of a text that was approved.
    pub(crate) said: u64,
    /// Transactions that were proposed, or might have been.
    pub(crate) made: Vec<ProposeTransaction>,
}

impl Play {
    pub(crate) const fn new(seed: u64, whole: bool) -> Self {
        let is_run = seed.is_multiple_of(2);
        Self {
            random: Random::new(seed),
            counter: 0,
            whole,
            is_run,
            is_settled: false,
            last: None,
            part: None,
            guessed: None,
            said: 0,
            made: Vec::new(),
        }
    }

    /// What every run begins with.
    pub(crate) fn opening(&mut self) -> Vec<Command> {
        let mut first = initialise(configuration(), policy());
        if let Command::Initialise(first) = &mut first {
            first.rules = Some(self.random.pick(&[1, 2, 3, 3, 3, 3]));
        }
        let mut commands = vec![first, usual_prices()];
        let digest = |number: u64| Digest(*blake3::hash(&number.to_be_bytes()).as_bytes());
        let signing = Signing::new(START, 900_000, &["alice", "bob"]);
        commands.push(signing.sign(Act::Import(vec![digest(1), digest(2)])));
        let old = START.minus(20 * time::DAY);
        let history = (0..OLD).map(|number| imported(number, "full", old, number as u64 % 2 * 70));
        commands.push(Command::ImportChunk { digest: digest(1).0, accounts: history.collect() });
        for number in OLD..ACCOUNTS as usize - 2 {
            let tier = name(if self.is_run || number % 2 == 0 { "full" } else { "basic" });
            commands.push(Command::OpenAccount { account: account(number), tier });
        }
        commands.extend(self.first_words());
        commands
    }

    /// How long until the next command.
    pub(crate) fn gap(&mut self) -> u64 {
        let seconds = match self.random.below(100) {
            0..98 if self.is_run => self.random.below(100),
            0..30 => 0,
            30..60 => self.random.below(40),
            60..80 => self.random.below(600),
            80..95 => self.random.below(3_600),
            95..99 => self.random.below(8 * 3_600),
            _ => self.random.below(40 * 3_600),
        };
        let part = if self.whole { 0 } else { self.random.below(time::SECOND) };
        seconds * time::SECOND + part
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn someone(&mut self) -> usize {
        self.random.below(ACCOUNTS) as usize
    }

    pub(crate) fn open(&mut self, state: &State) -> WithdrawalId {
        let ids: Vec<_> = state.withdrawals().map(|(id, _)| *id).collect();
        if ids.is_empty() || self.random.one_in(12) { WithdrawalId(7) } else { self.random.pick(&ids) }
    }

    fn standing(&mut self, state: &State, status: Status) -> WithdrawalId {
        let meant = state.withdrawals().filter(|(_, open)| open.status() == status);
        let ids: Vec<_> = meant.map(|(id, _)| *id).collect();
        if ids.is_empty() { self.open(state) } else { self.random.pick(&ids) }
    }

    pub(crate) fn owner(&mut self, state: &State, id: WithdrawalId) -> holdfast_values::AccountId {
        let owner = state.withdrawal(id).and_then(|open| state.account_id(open.request.account));
        match owner {
            Some(owner) if !self.random.one_in(10) => owner.clone(),
            _ => account(self.random.below(ACCOUNTS + 1) as usize),
        }
    }

    /// A destination of a small pool, so that books, windows and vetoes meet.
    fn place(&mut self) -> u64 {
        self.random.below(9)
    }

    pub(crate) fn next(&mut self, state: &State, now: Timestamp) -> Command {
        let waiting: Vec<_> = state.scheduled_acts().map(|waiting| waiting.scheduled.nonce).collect();
        if !waiting.is_empty() && self.random.one_in(60) {
            let act = if self.random.one_in(6) { Digest([6; 32]) } else { self.random.pick(&waiting) };
            return Command::StopAct { act, by: name("dora") };
        }
        let what = match self.random.below(1_600) {
            what @ 0..980 if self.is_run => what % 800,
            what => what,
        };
        match what {
            1_350.. => self.speak(state, now),
            1_000..1_350 => self.move_coins(state, now),
            580..620 if self.is_run => usual_prices(),
            0..430 => Command::RequestWithdrawal(Box::new(self.request(state, now))),
            430..480 => {
                let withdrawal = self.open(state);
                Command::CancelWithdrawal { account: self.owner(state, withdrawal), withdrawal }
            }
            480..560 => {
                let withdrawal = self.standing(state, Status::AwaitingApproval);
                Command::ReportOneTimeCode { account: self.owner(state, withdrawal), withdrawal }
            }
            560..580 => Command::DenyWithdrawal { withdrawal: self.open(state), by: name("dora") },
            580..600 => Command::Halt { scope: self.scope(state), by: name("dora") },
            600..610 => {
                let by = name(self.random.pick(&["dora", OWNER_FREEZE]));
                Command::FreezeAccount { account: account(self.someone()), by }
            }
            610..625 => {
                let kinds =
                    [SecurityChange::Password, SecurityChange::SecondFactor, SecurityChange::Recovery];
                Command::RecordSecurityChange {
                    account: account(self.someone()),
                    kind: self.random.pick(&kinds),
                }
            }
            625..655 => self.key(),
            655..720 => self.book(),
            720..810 => self.prices(),
            810..820 => Command::LowerLimits {
                account: account(self.someone()),
                usd_cents_24h: UsdCents(self.random.below(3_000_000)),
                usd_cents_30d: UsdCents(self.random.below(30_000_000)),
            },
            820..830 => Command::OpenAccount {
                account: account(self.someone()),
                tier: name(self.random.pick(&["basic", "full", "closed", "golden"])),
            },
            830..840 => Command::Tick,
            840..846 => Command::SuspectClock { step: self.random.below(60) * time::SECOND },
            846..854 => Command::Start,
            854..860 => Command::RecordSnapshot { sequence: state.sequence(), state_hash: state.hash() },
            860..866 => {
                Command::RevokeToken { client: name(self.random.pick(&["app", "first"])), by: name("dora") }
            }
            866..872 => {
                let number = self.part.take().unwrap_or(3);
                let digest = *blake3::hash(&number.to_be_bytes()).as_bytes();
                let who = self.someone();
                let imported = imported(who, "full", now.minus(20 * time::DAY), 3);
                Command::ImportChunk { digest, accounts: vec![imported] }
            }
            _ => self.act(state, now),
        }
    }

    fn scope(&mut self, state: &State) -> Scope {
        match self.random.below(6) {
            0 => Scope::Overall,
            1 | 2 => Scope::Asset(symbol(self.random.pick(&["BTC", "ETH", "USDX", "DOGE"]))),
            3 => Scope::Wallet(name(self.random.pick(&["hot-btc", "hot-evm", "cold"]))),
            4 => Scope::Account(account(self.random.below(ACCOUNTS + 1) as usize)),
            _ => state.halts().next().cloned().unwrap_or(Scope::Overall),
        }
    }

    fn request(&mut self, state: &State, now: Timestamp) -> RequestWithdrawal {
        if let Some(last) = &self.last
            && self.random.one_in(40)
        {
            let mut again = last.clone();
            if self.random.one_in(2) {
                again.idempotency.body = fingerprint("body", self.random.below(2));
            }
            if self.random.one_in(4) {
                again.idempotency.key = fingerprint("idempotency", 1_000_000 + self.random.below(9));
            }
            return again;
        }
        let number = self.number();
        if self.random.one_in(6)
            && let Some(made) = self.mandated(state, now, number)
        {
            self.last = Some(made.clone());
            return made;
        }
        let from = if self.random.one_in(60) { 99 } else { self.someone() };
        let (asset, network, unit) = self.random.pick(&PLACES);
        let dollars = match self.random.below(20) {
            0 => 0,
            1..10 if self.is_run => 4_000 + self.random.below(8_000),
            1..8 => 10 + self.random.below(1_500),
            8..16 => self.random.below(15_000),
            16..19 => self.random.below(40_000),
            _ => self.random.below(400_000),
        };
        let price = match asset {
            "BTC" => 50_000,
            "ETH" => 2_000,
            _ => 1,
        };
        let is_lost = state.epoch() > 1 && asset == "BTC" && self.random.one_in(6);
        let units = if is_lost {
            LOST_UNITS
        } else if self.random.one_in(150) {
            u128::MAX
        } else {
            u128::from(dollars) * unit / price
        };
        let to = match self.random.below(6) {
            _ if is_lost => from as u64,
            0 | 1 => from as u64,
            2 | 3 if self.is_run => 1_000 + number,
            4 if self.is_run => 50,
            _ => self.place(),
        };
        let mut made = request(now, number, from, (asset, network), units, to);
        match self.random.below(80) {
            0 => made.asset = symbol("DOGE"),
            1 => {
                made.destination = destination(Network::Litecoin, to);
                made.fingerprint = place(Network::Litecoin, to);
            }
            2 => {
                made.destination = destination(Network::Base, to);
                made.fingerprint = place(Network::Base, to);
            }
            _ => {}
        }
        made.evidence = if self.random.one_in(4) {
            Evidence::ApiRequest(Box::new(self.evidence(state, now, from)))
        } else {
            Evidence::Session { one_time_code: self.is_run || self.random.below(10) < 6 }
        };
        made.idempotency = Idempotency {
            key: fingerprint("idempotency", number),
            body: fingerprint("body", self.random.below(2)),
        };
        self.last = Some(made.clone());
        made
    }

    pub(crate) fn evidence(&mut self, state: &State, now: Timestamp, from: usize) -> ApiEvidence {
        let number = self.number();
        let key =
            fingerprint("key", if self.random.one_in(15) { self.random.below(12) } else { from as u64 });
        let known = state.account(&account(from)).and_then(|account| account.api_key(&key));
        let revision = known.map_or(1, |known| known.revision);
        let old = self.random.one_in(12);
        let signed_at = match self.random.below(12) {
            0 => now.minus(self.random.below(20) * time::SECOND),
            1 => now.plus(self.random.below(4) * time::SECOND),
            _ => now.minus(self.random.below(4) * time::SECOND),
        };
        let seen = self.last.as_ref().and_then(|last| match &last.evidence {
            Evidence::ApiRequest(evidence) => Some(evidence.request),
            Evidence::Session { .. } | Evidence::Device { .. } => None,
        });
        let replayed = seen.filter(|_| self.random.one_in(3));
        ApiEvidence {
            key,
            revision: if old { revision.saturating_sub(1) } else { revision },
            signed_at,
            window: self.random.below(11) * time::SECOND,
            request: replayed.unwrap_or_else(|| fingerprint("request", number)),
            ip: fingerprint("ip", u64::from(self.random.one_in(12))),
            differs: if self.random.one_in(20) { 1 << self.random.below(5) } else { 0 },
            verifier: 1,
            sealed: Vec::new(),
        }
    }

    fn key(&mut self) -> Command {
        let who = self.someone();
        let key = fingerprint("key", if self.random.one_in(4) { self.random.below(12) } else { who as u64 });
        if self.random.one_in(5) {
            return Command::RevokeApiKey { account: account(who), key };
        }
        let many = if self.random.one_in(20) { 40 } else { self.random.below(3) };
        Command::PutApiKey {
            account: account(who),
            key,
            scopes: Scopes(self.random.pick(&[1, 5, 7, 7, 7])),
            ip_allowlist: (0..many).map(|number| fingerprint("ip", number)).collect(),
        }
    }

    fn book(&mut self) -> Command {
        let who = self.someone();
        let networks = [Network::Bitcoin, Network::Ethereum, Network::Polygon];
        let number = self.place();
        let destination = place(self.random.pick(&networks), number);
        let account = account(who);
        match self.random.below(7) {
            0..3 => Command::AddAddress { account, destination },
            3 => Command::RemoveAddress { account, destination },
            _ => Command::RecordNoticeDelivered { account, destination },
        }
    }

    fn prices(&mut self) -> Command {
        let near = |random: &mut Random, usual: u64, permille: u64| {
            usual + random.below(usual * permille / 1_000 + 1)
        };
        let random = &mut self.random;
        match random.below(25) {
            0 => prices(&[(SYMBOLS[0], near(random, 50_000_000_000, 500))]),
            1 => prices(&[("DOGE", 100)]),
            2 => prices(&[(SYMBOLS[1], 0)]),
            _ => prices(&[
                (SYMBOLS[0], near(random, 50_000_000_000, 50)),
                (SYMBOLS[1], near(random, 2_000_000_000, 50)),
                (SYMBOLS[2], near(random, 1_000_000, 5)),
            ]),
        }
    }

    fn act(&mut self, state: &State, now: Timestamp) -> Command {
        let act = match self.random.below(130) {
            0..12 => {
                let id = self.standing(state, Status::Held);
                Act::ApproveCase(CaseId(id.0))
            }
            12..45 => {
                let withdrawal = self.standing(state, Status::Held);
                let text = state.text_of(withdrawal).map_or([0; 32], |text| text.digest().0);
                let text = Digest(if self.random.one_in(12) { [8; 32] } else { text });
                Act::ApproveWithdrawal { withdrawal, text }
            }
            45..65 => Act::Resume(state.halts().next().cloned().unwrap_or(Scope::Overall)),
            65..75 => {
                let frozen = (0..ACCOUNTS as usize)
                    .find(|number| state.account(&account(*number)).is_some_and(|account| account.is_frozen));
                Act::UnfreezeAccount(account(frozen.unwrap_or(99)))
            }
            75..80 => Act::SetTier { account: account(self.someone()), tier: name(self.random.pick(&TIERS)) },
            80..85 => Act::SetLimits {
                account: account(self.someone()),
                usd_cents_24h: self.random.one_in(2).then_some(UsdCents(self.random.below(5_000_000))),
                usd_cents_30d: None,
            },
            85..92 if !self.is_settled => {
                let mut next = if self.random.one_in(2) { configuration() } else { other_configuration() };
                match self.random.below(8) {
                    0 => next.assets.reverse(),
                    1 => next.parameters.loosening_signatures = 1,
                    2 => next.operate = None,
                    _ => {}
                }
                Act::Configure(Box::new(next))
            }
            92..96 => Act::EnrolOperator(operator(self.random.pick(&["dave", "erin", "alice"]))),
            96..99 => Act::RevokeOperator(name(self.random.pick(&["dave", "erin", "carol", "zoe"]))),
            99..102 => Act::ActivatePolicy(Box::new(policy())),
            102..107 => {
                let number = self.number() + 1_000;
                self.part = Some(number);
                Act::Import(vec![Digest(*blake3::hash(&number.to_be_bytes()).as_bytes())])
            }
            107..110 => Act::IssueToken(TokenSpec {
                client: name("app"),
                token_hash: [self.random.below(3) as u8; 32],
                scopes: TokenScopes(3),
            }),
            110..128 => Act::ConfirmClock,
            _ => Act::ActivateRules(self.random.below(4) as u32),
        };
        self.signed(act, now)
    }

    /// An act, signed well, and now and then badly.
    pub(crate) fn signed(&mut self, act: Act, now: Timestamp) -> Command {
        self.signed_by(act, now, &OPERATORS)
    }

    /// The same by these.
    pub(crate) fn signed_by(&mut self, act: Act, now: Timestamp, by: &[&str]) -> Command {
        let nonce = self.number();
        let mut signing = Signing::new(now, nonce, by);
        let signers = ["alice", "bob", "carol", "dave", "erin"];
        match self.random.below(20) {
            0 => signing.signers = vec![operator(self.random.pick(&signers))],
            1 => signing.signers = vec![operator("alice"), operator("alice")],
            2 => {
                let place = 1.min(signing.signers.len() - 1);
                let key = signing.signers[place].public_key;
                let others = [OperatorPublicKey::Ed25519([9; 32]), OperatorPublicKey::Passkey(*key.bytes())];
                signing.signers[place].public_key = self.random.pick(&others);
            }
            3 => signing.signers = vec![operator("dave"), operator("erin"), operator("alice")],
            4 => signing.exchange = "other.example",
            5 => signing.from = now.floor_second().plus(time::MINUTE),
            6 => signing.until = signing.from.plus(8 * time::DAY),
            7 => signing.nonce = self.random.below(self.counter + 1),
            8 => {
                let text = signing.text(&Act::ConfirmClock);
                return signing.sign_text(act, text);
            }
            _ => {}
        }
        signing.sign(act)
    }
}

/// True if nothing was changed.
pub(crate) fn is_refused(events: &[Event]) -> bool {
    matches!(events, [Event::Refused { .. }])
}

/// A whole random run: opening, then `steps` commands, with ticks between.
pub(crate) fn random_run(mut play: Play, steps: usize) -> Run {
    let mut run = Run::empty();
    for command in play.opening() {
        let events = run.say(command);
        assert!(!is_refused(&events), "{events:?}");
    }
    for _ in 0..steps {
        let gap = play.gap();
        run.wait(gap);
        let command = play.next(&run.state, run.now);
        run.say(command);
    }
    run
}
