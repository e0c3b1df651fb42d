//! Holdfast's core in process, and the rest of the exchange around it: the wallet, the signer's buckets, customers who
//! answer what they are asked, and the staff.
//!
//! What decides is `holdfast-decision` as it is. What happens here between two entries is drawn by the run's seed and the
//! id of the event that it is about, so that what one customer does never moves another. Time is an argument; nothing here
//! knows a clock, and what attackers did is known only to owners and to the verdicts of analysts, never to the core.

mod customers;
mod edge;
mod follow;
mod house;
mod people;
mod staff;
mod wallet;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_decision::command::{PolicySource, Price};
use holdfast_decision::event::AccountIndex;
use holdfast_decision::{Command, Event, State, decide, fold, next_deadline};
use holdfast_policy::Factor;
use holdfast_values::{AssetSymbol, Timestamp, WithdrawalId, time};
use rand::Rng as _;
use rand_distr::{Distribution as _, LogNormal};

use crate::draw::{Draw, draw};
use crate::exchange::Exchange;
use crate::format::{Body, Entry};
use crate::log::{Line, Upon, What};

pub use customers::{Customers, StepUp};
pub use house::{EXCHANGE, OPERATORS, configuration};

use edge::{Edge, Refused};
use follow::Book;
use staff::Staff;
use wallet::Wallet;

/// What an owner writes about whose money somebody else moved.
pub const THEFT: &str = "theft";
/// How often the last prices are told again, so that they are never stale.
const PRICES_EVERY: u64 = 5 * time::MINUTE;
/// A silence longer than this, in which nothing is open, has no prices.
const SILENCE: u64 = time::DAY;

/// An exchange while it is played. A clone goes on from the same instant, on its own, and is recorded by nobody.
#[derive(Debug, Clone)]
pub struct Play {
    exchange: Arc<Exchange>,
    seed: u64,
    with_staff: bool,
    with_customers: bool,
    logs_everything: bool,
    remembers_closed: bool,
    /// The first record, until it is made.
    first: Option<Box<Command>>,
    state: State,
    events: Vec<Event>,
    sink: Sink,
    commands: u64,
    log: Vec<Line>,
    edge: Edge,
    book: Book,
    wallet: Wallet,
    staff: Staff,
    marks: Marks,
    agenda: BTreeMap<(Timestamp, u64), Todo>,
    todos: u64,
    prices: BTreeMap<AssetSymbol, u64>,
    prices_at: Timestamp,
}

/// What is to be done at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Todo {
    /// The owner of a book is told of a destination.
    Notice(AccountIndex, holdfast_values::Fingerprint),
    /// A customer shows a one-time code.
    Code(WithdrawalId),
    /// A customer approves with a credential.
    Approve(WithdrawalId),
    /// A customer gives up.
    Cancel(WithdrawalId),
    /// An owner stops the account by the link in the notice.
    PanicLink(AccountIndex),
    /// The wallet asks for the release of what is approved.
    Batch,
    /// A transaction has enough blocks above it.
    Final(u64),
    /// An analyst says what a held withdrawal is.
    Verdict(WithdrawalId),
    /// The owner of a drained account writes.
    Complaint(AccountIndex, Box<str>),
    /// Everything stops.
    Halt,
    /// Operators end the halt.
    Resume,
}

/// Who takes the records; nobody takes those of a clone.
#[derive(Default)]
struct Sink(Option<Box<dyn Recorder + Send>>);

impl Clone for Sink {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl core::fmt::Debug for Sink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.0.is_some() { "Sink(recorder)" } else { "Sink(nobody)" })
    }
}

/// What is an attacker's.
#[derive(Debug, Clone, Default)]
struct Marks {
    events: BTreeSet<Box<str>>,
    /// By account: it is a mule's, so that no owner is behind it.
    accounts: BTreeMap<Box<str>, bool>,
}

/// What whoever sent an entry is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Taken,
    /// It was not, and nothing changed.
    Refused {
        /// The stable code.
        code: Box<str>,
    },
    /// How the withdrawal stands that the entry asked for, approved, showed a code for, or took back.
    Withdrawal(Seen),
}

/// How a withdrawal stands, as its owner is shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// On its way; `wants` says what its owner is asked for.
    Pending {
        /// The strongest factor that is asked for.
        wants: Option<Factor>,
    },
    /// A person looks at it.
    UnderReview,
    /// It was paid.
    Sent,
    /// It does not go.
    Refused,
    /// Its owner took it back, or its time passed.
    Cancelled,
}

/// Takes what was decided, record by record, as a journal does.
pub trait Recorder {
    /// One record: `state` is State before it.
    fn record(&mut self, at: Timestamp, command: &Command, events: &[Event], state: &State);
}

/// Why an exchange cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The policy's program does not load.
    #[error("the policy cannot be used: {0}")]
    Policy(String),
    /// The exchange's configuration cannot be used.
    #[error("the exchange's configuration cannot be used: {0}")]
    Configuration(#[from] holdfast_decision::configuration::ConfigurationError),
    /// The core refused the first record.
    #[error("the core refused to begin: {0}")]
    Refused(String),
}

impl PlayError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy_invalid",
            Self::Configuration(_) => "configuration_invalid",
            Self::Refused(_) => "begin_refused",
        }
    }
}

impl Play {
    /// An exchange that nothing has happened at yet. Its first record is made at the time of the first entry.
    ///
    /// # Errors
    /// [`PlayError`] if the policy or the exchange's configuration cannot be used.
    pub fn new(exchange: &Exchange, policy: PolicySource, seed: u64) -> Result<Self, PlayError> {
        let refused = |error: holdfast_values::IdError| PlayError::Refused(error.to_string());
        if let Err(error) = holdfast_policy::Program::from_bytes(&policy.program) {
            return Err(PlayError::Policy(error.to_string()));
        }
        let configuration = configuration(exchange).map_err(refused)?;
        configuration.validate()?;
        let wallet = Wallet::new(exchange, &configuration);
        let first = house::initialise(configuration, policy).map_err(refused)?;
        let mut events = Vec::new();
        let state = State::new();
        decide(&state, Timestamp::ZERO, &first, &mut events);
        if let Some(Event::Refused { refusal, detail }) = events.first() {
            return Err(PlayError::Refused(format!("{}: {detail}", refusal.code())));
        }
        let mut prices = BTreeMap::new();
        for (symbol, usd) in [("BTC", exchange.usd_per_btc), ("ETH", exchange.usd_per_eth)] {
            prices.insert(symbol.parse().map_err(refused)?, usd.saturating_mul(1_000_000));
        }
        Ok(Self {
            exchange: Arc::new(exchange.clone()),
            seed,
            with_staff: true,
            with_customers: true,
            logs_everything: false,
            remembers_closed: true,
            first: Some(Box::new(first)),
            state,
            events,
            sink: Sink::default(),
            commands: 0,
            log: Vec::new(),
            edge: Edge::new(seed),
            book: Book::default(),
            wallet,
            staff: Staff::default(),
            marks: Marks::default(),
            agenda: BTreeMap::new(),
            todos: 0,
            prices,
            prices_at: Timestamp::ZERO,
        })
    }

    /// Nobody looks at held withdrawals, and nothing halts. With staff is the default.
    #[must_use]
    pub fn without_staff(self) -> Self {
        Self { with_staff: false, ..self }
    }

    /// Nobody is told of destinations, nobody answers what a withdrawal asks for, no owner notices anything: the entries
    /// alone say what customers do. With customers is the default.
    #[must_use]
    pub fn without_customers(self) -> Self {
        Self { with_customers: false, ..self }
    }

    /// Also logs a line for each entry that asks for no decision; by default only withdrawals and refusals have lines.
    #[must_use]
    pub fn log_everything(self) -> Self {
        Self { logs_everything: true, ..self }
    }

    /// Forgets how closed withdrawals ended ([`Play::seen`] then knows open ones alone), so that memory is bounded by what
    /// is open.
    #[must_use]
    pub fn forget_closed(self) -> Self {
        Self { remembers_closed: false, ..self }
    }

    /// From now on each record goes to `recorder`, too. To hold everything, it must be given before the first entry.
    pub fn record_to(&mut self, recorder: Box<dyn Recorder + Send>) {
        self.sink = Sink(Some(recorder));
    }

    /// Gives the recorder back.
    pub fn take_recorder(&mut self) -> Option<Box<dyn Recorder + Send>> {
        self.sink.0.take()
    }

    /// The time that the exchange has reached.
    pub const fn now(&self) -> Timestamp {
        self.state.time()
    }

    /// What has happened, as far as it was not taken.
    pub fn log(&self) -> &[Line] {
        &self.log
    }

    /// Takes the log.
    pub fn take_log(&mut self) -> Vec<Line> {
        core::mem::take(&mut self.log)
    }

    /// The core's State.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The hash of the policy that decides, in hexadecimal.
    pub fn policy_hash(&self) -> String {
        let hash = match self.first.as_deref() {
            Some(Command::Initialise(first)) => first.policy.hash,
            _ => self.state.policy_hash(),
        };
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// True if that account was opened.
    pub fn knows(&self, account: &str) -> bool {
        account.parse().is_ok_and(|id| self.state.account_index(&id).is_some())
    }

    /// How many withdrawals are open: neither paid for good nor ended.
    pub fn open(&self) -> usize {
        self.book.open()
    }

    /// How many commands were decided, ticks included.
    pub const fn commands(&self) -> u64 {
        self.commands
    }

    /// Private knowledge of the owner and of the analyst's verdict, which never reaches the core: that event (a
    /// withdrawal) is an attacker's. To be said before the event is submitted.
    pub fn mark_attacker_event(&mut self, event: &str) {
        self.marks.events.insert(event.into());
    }

    /// The same of an account: from now on somebody else than its owner can use it, too. What it asks for is an attacker's
    /// only if its event is marked; the owner does not approve those.
    pub fn mark_attacker_account(&mut self, account: &str) {
        self.marks.accounts.entry(account.into()).or_insert(false);
    }

    /// An account is a mule's: no owner is behind it who would notice or complain.
    pub fn mark_mule(&mut self, account: &str) {
        self.marks.accounts.insert(account.into(), true);
    }

    /// How a withdrawal stands, as its owner is shown it; `event` is the id of the entry that asked for it.
    pub fn seen(&self, event: &str) -> Option<Seen> {
        self.book.seen(&self.state, event)
    }

    /// Advances to the entry's time, then decides it. What is refused is an answer, too. An entry of before the time that
    /// was reached is decided now.
    pub fn submit(&mut self, entry: &Entry) -> Answer {
        self.advance(entry.at);
        let at = self.state.time().max(entry.at);
        let by_event = &self.book;
        let command =
            self.edge.command(&self.state, at, &entry.id, &entry.body, |event| by_event.find(event));
        let command = match command {
            Ok(Some(command)) => command,
            Ok(None) => {
                self.was_written_to(at, entry);
                self.taken(at, entry);
                return Answer::Taken;
            }
            Err(refused) => return self.refused(at, entry, refused),
        };
        if let Command::SetPrices { prices } = &command {
            self.remember(at, prices);
        }
        let upon = match &entry.body {
            Body::RequestWithdrawal { .. } => {
                self.book.asks(&entry.id, self.marks.events.contains(&entry.id));
                Upon::Request
            }
            Body::ApproveWithdrawal { .. } | Body::OneTimeCode { .. } | Body::ApproveHeld { .. } => {
                Upon::Approval
            }
            _ => Upon::Act,
        };
        let mut refused = self.say(at, &command, upon);
        if let (Some(first), Command::ChangeProtection(asked)) = (&refused, &command)
            && &*first.code == "approval_needed"
            && let Some(approved) = self.owner_approves_change(at, entry, asked)
        {
            refused = self.say(at, &approved, upon);
        }
        if let Some(refused) = refused {
            return self.refused(at, entry, refused);
        }
        match &entry.body {
            Body::PutApiKey { .. } => self.edge.took_key(),
            Body::RequestWithdrawal { .. } => return self.shown(&entry.id),
            Body::ApproveWithdrawal { withdrawal, .. }
            | Body::OneTimeCode { withdrawal, .. }
            | Body::CancelWithdrawal { withdrawal, .. } => return self.shown(withdrawal),
            _ => {}
        }
        self.taken(at, entry);
        Answer::Taken
    }

    fn shown(&self, event: &str) -> Answer {
        self.seen(event).or(self.book.last_end()).map_or(Answer::Taken, Answer::Withdrawal)
    }

    fn taken(&mut self, at: Timestamp, entry: &Entry) {
        if self.logs_everything {
            self.log.push(Line { at, what: What::Taken { event: entry.id.clone() } });
        }
    }

    fn refused(&mut self, at: Timestamp, entry: &Entry, refused: Refused) -> Answer {
        let Refused { code, detail } = refused;
        // Whoever signs for what he may not is noticed by that alone.
        let is_act = matches!(
            entry.body,
            Body::ApproveHeld { .. }
                | Body::Resume { .. }
                | Body::SetLimits { .. }
                | Body::RaiseBuckets { .. }
        );
        if is_act {
            let event = entry.id.clone();
            self.log.push(Line { at, what: What::Alarm { kind: "operator_act_refused".into(), event } });
        }
        let what = What::Refused { event: entry.id.clone(), code: code.clone(), detail };
        self.log.push(Line { at, what });
        Answer::Refused { code }
    }

    /// Lets time pass: deadlines, notices, the wallet, customers' answers, the staff.
    pub fn advance(&mut self, to: Timestamp) {
        self.begin(to);
        loop {
            // Deadlines of State come before what people do at the same instant, as at intake.
            let deadline = next_deadline(&self.state);
            let todo = self.agenda.first_key_value().map(|((due, _), _)| *due);
            let prices = self.prices_due(to);
            let Some(next) = [deadline, Some(prices), todo].into_iter().flatten().min() else { return };
            if next > to {
                return;
            }
            let at = next.max(self.state.time());
            if deadline == Some(next) {
                let before = self.state.sequence();
                self.say(at, &Command::Tick, Upon::Time);
                // A deadline that a tick does not pass would be one for ever.
                if self.state.sequence() == before {
                    return;
                }
            } else if prices == next {
                self.tell_prices(at);
            } else if let Some((_, todo)) = self.agenda.pop_first() {
                self.carry_out(at, todo);
            }
        }
    }

    /// The first record, if it was not made, and the first prices.
    fn begin(&mut self, at: Timestamp) {
        let Some(first) = self.first.take() else { return };
        self.say(at, &first, Upon::Act);
        let configured = |state: &State, symbol: &AssetSymbol| state.asset_index(symbol).is_some();
        let state = &self.state;
        self.prices.retain(|symbol, price| configured(state, symbol) && *price != 0);
        self.wallet.begin(at);
        self.tell_prices(at);
    }

    fn prices_due(&self, to: Timestamp) -> Timestamp {
        let due = self.prices_at.plus(PRICES_EVERY);
        if self.book.is_idle() && to.since(due) > SILENCE {
            // Nobody looks at prices in a long silence: they begin again shortly before it ends.
            return to.minus(SILENCE);
        }
        due
    }

    fn tell_prices(&mut self, at: Timestamp) {
        self.prices_at = at;
        if self.prices.is_empty() {
            return;
        }
        let prices =
            self.prices.iter().map(|(asset, price)| Price { asset: asset.clone(), micro_usd: *price });
        let command = Command::SetPrices { prices: prices.collect() };
        self.say(at, &command, Upon::Time);
    }

    fn remember(&mut self, at: Timestamp, prices: &[Price]) {
        let known = prices
            .iter()
            .filter(|price| price.micro_usd != 0 && self.state.asset_index(&price.asset).is_some());
        let known: Vec<_> = known.map(|price| (price.asset.clone(), price.micro_usd)).collect();
        let is_all = known.len() >= self.prices.len();
        self.prices.extend(known);
        if is_all {
            self.prices_at = at;
        }
    }

    fn carry_out(&mut self, at: Timestamp, todo: Todo) {
        match todo {
            Todo::Batch => self.batch(at),
            Todo::Final(number) => self.is_final(at, number),
            Todo::Verdict(withdrawal) => self.verdict(at, withdrawal),
            Todo::Complaint(account, event) => self.complaint(at, account, &event),
            Todo::Halt => self.halt(at),
            Todo::Resume => self.resume(at),
            personal => self.customer_acts(at, personal),
        }
    }

    fn later(&mut self, due: Timestamp, todo: Todo) {
        self.todos = self.todos.saturating_add(1);
        self.agenda.insert((due, self.todos), todo);
    }

    /// Decides a command, records it, folds it, and follows what happened. Gives the refusal, if it was refused.
    fn say(&mut self, at: Timestamp, command: &Command, upon: Upon) -> Option<Refused> {
        let mut events = core::mem::take(&mut self.events);
        decide(&self.state, at, command, &mut events);
        self.commands = self.commands.saturating_add(1);
        let refused = match events.as_slice() {
            [] => {
                self.events = events;
                return None;
            }
            [Event::Repeated { .. }] => {
                self.events = events;
                return Some(Refused::new("id_duplicate", "a withdrawal was asked for by this event before"));
            }
            [Event::Refused { refusal, detail }] => Some(Refused::new(refusal.code(), detail)),
            _ => None,
        };
        if let Some(recorder) = &mut self.sink.0 {
            recorder.record(at, command, &events, &self.state);
        }
        let sequence = self.state.sequence().saturating_add(1);
        fold(&mut self.state, sequence, at, &events);
        for event in events.drain(..) {
            self.follow(at, event, upon);
        }
        self.events = events;
        refused
    }

    fn draw(&self, what: &str, about: u64) -> Draw {
        draw(self.seed, what, &[about])
    }

    fn line(&mut self, at: Timestamp, what: What) {
        self.log.push(Line { at, what });
    }
}

/// True in so many of 1000 cases.
fn happens(draw: &mut Draw, permille: u32) -> bool {
    u32::try_from(draw.next_u64() % 1_000).is_ok_and(|drawn| drawn < permille)
}

/// A span around a median, log-normal.
fn around(draw: &mut Draw, median: u64, sigma: f64) -> u64 {
    let Ok(factor) = LogNormal::new(0.0, sigma) else { return median };
    let factor: f64 = factor.sample(draw);
    // In 1/1024, so that the product is exact on every platform.
    let scaled = (factor.clamp(0.0, 1_000.0) * 1_024.0) as u64;
    (median / 1_024).saturating_mul(scaled).max(time::SECOND)
}
