//! Holdfast's core in process, and the rest of the exchange around it: the wallet, the signer's buckets, customers who
//! answer what they are asked, and the staff.
//!
//! What decides is `holdfast-decision` as it is. What happens here between two entries is drawn by the run's seed and the
//! id of the event that it is about, so that what one customer does never moves another.

use holdfast_decision::command::PolicySource;
use holdfast_decision::{Command, Event, State};
use holdfast_policy::Factor;
use holdfast_values::Timestamp;

use crate::exchange::Exchange;
use crate::format::Entry;
use crate::log::Line;

/// An exchange while it is played. A clone goes on from the same instant, on its own, and is recorded by nobody.
#[derive(Debug, Clone)]
pub struct Play {
    state: State,
    log: Vec<Line>,
    commands: u64,
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
    /// How the withdrawal that was asked for stands.
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
        let _later = (exchange, policy, seed);
        Ok(Self { state: State::new(), log: Vec::new(), commands: 0 })
    }

    /// Without staff nobody looks at held withdrawals, and nothing halts; with staff is the default.
    #[must_use]
    pub fn without_staff(self) -> Self {
        self
    }

    /// Also logs a line for each entry that asks for no decision; by default only withdrawals have lines.
    #[must_use]
    pub fn log_everything(self) -> Self {
        self
    }

    /// From now on each record goes to `recorder`, too. To hold everything, a journal must be given before the first entry.
    pub fn record_to(&mut self, recorder: Box<dyn Recorder + Send>) {
        let _later = recorder;
    }

    /// Gives the recorder back.
    pub fn take_recorder(&mut self) -> Option<Box<dyn Recorder + Send>> {
        None
    }

    /// Advances to the entry's time, then decides it. What is refused is an answer, too.
    pub fn submit(&mut self, entry: &Entry) -> Answer {
        self.advance(entry.at);
        Answer::Taken
    }

    /// Lets time pass: deadlines, notices, the wallet, customers' answers, the staff.
    pub fn advance(&mut self, to: Timestamp) {
        let _later = to;
    }

    /// The time that the exchange has reached.
    pub const fn now(&self) -> Timestamp {
        self.state.time()
    }

    /// How a withdrawal stands, as its owner is shown it; `event` is the id of the entry that asked for it.
    pub fn seen(&self, event: &str) -> Option<Seen> {
        let _later = event;
        None
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

    /// How many commands were decided, ticks included.
    pub const fn commands(&self) -> u64 {
        self.commands
    }

    /// Private knowledge of the owner and of the analyst's verdict, which never reaches the core: that event (a
    /// withdrawal) is an attacker's. To be said before the event is submitted.
    pub fn mark_attacker_event(&mut self, event: &str) {
        let _later = event;
    }

    /// The same of an account: from now on somebody else than its owner can use it. What it asks for is then an
    /// attacker's only if its event is marked, too; its owner does not approve those.
    pub fn mark_attacker_account(&mut self, account: &str) {
        let _later = account;
    }
}
