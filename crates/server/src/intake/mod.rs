//! Intake: the one place where things get their order. A single thread owns State, stamps the time, decides, and hands
//! groups of records to a committer thread; answers leave only after their group is durable.
//!
//! Lives here: the queue, the writer, the committer, recovery, the clock's supervision. HTTP and everything else that is
//! asynchronous stays outside and talks through [`Intake::ask`].

mod committer;
mod desk;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

use core::fmt;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;

use holdfast_authn::Operators;
use holdfast_decision::State;
use holdfast_decision::command::TokenSpec;
use holdfast_transactions::Wallet;
use holdfast_values::{Name, Network};
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::exchange;
use crate::gate::Keeper;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::shadow::Shadow;
use crate::views::Signal;

pub use desk::draft_of;
pub use desk::{Decided, Desk};
pub use recover::{RecoverError, Recovered, recover, recover_state};

/// The most jobs in one group.
pub const GROUP_MAX: usize = 256;

/// How intake runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// How many requests may wait for the writer and the disk before new ones are refused.
    pub queue_max: usize,
    /// Take a snapshot whenever this many records were written since the last one.
    pub snapshot_every: u64,
}

/// Why intake gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Too many requests wait.
    Overloaded,
    /// The journal cannot be written.
    Journal(String),
    /// The server is stopping.
    Stopping,
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Overloaded => Self::new("overloaded"),
            Unavailable::Journal(reason) => Self::new("journal_unavailable").detail(reason),
            Unavailable::Stopping => Self::new("shutting_down"),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Problem::from(self.clone()).message())
    }
}

/// An answer, and the last record of the State that it was given from.
#[derive(Clone, Copy, Debug)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// The sequence it is as of.
    pub sequence: u64,
}

/// What the edge may know without asking: as of the last durable group that changed it.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Clients by the hash of their token.
    pub tokens: HashMap<[u8; 32], TokenSpec>,
    /// Operators' public keys.
    pub operators: Operators,
    /// Signers' receipt keys.
    pub receipt_keys: BTreeMap<Name, [u8; 32]>,
    /// The wallets that transactions are read against.
    pub wallets: Arc<Wallets>,
    /// The exchange's DNS name.
    pub exchange: String,
    /// The journal was made with a simulated clock.
    pub simulated: bool,
}

impl Published {
    fn of(state: &State) -> Self {
        Self {
            tokens: state.tokens().map(|token| (token.token_hash, token.clone())).collect(),
            operators: Operators {
                keys: state.operators().map(|(name, operator)| (name.clone(), operator.public_key)).collect(),
                party: state.configuration().operate.as_deref().map(exchange::relying_party),
            },
            receipt_keys: state
                .configuration()
                .signers
                .iter()
                .flatten()
                .map(|signer| (signer.name.clone(), signer.receipt_key))
                .collect(),
            wallets: Arc::new(Wallets::of(state)),
            exchange: state.exchange().to_owned(),
            simulated: state.is_simulated(),
        }
    }
}

/// The configured wallets by network, as transactions are read against them.
#[derive(Clone, Debug, Default)]
pub struct Wallets(BTreeMap<Network, (Vec<Name>, Vec<Wallet>)>);

impl Wallets {
    fn of(state: &State) -> Self {
        let mut wallets = Self::default();
        for wallet in &state.configuration().wallets {
            for chain in wallet.chains.iter().flatten() {
                match exchange::chain_wallet(chain) {
                    Ok(read) => {
                        let (names, known) = wallets.0.entry(chain.network).or_default();
                        names.push(wallet.name.clone());
                        known.push(read);
                    }
                    // It was checked when it came in; should a later reader refuse it, nothing there is released.
                    Err(error) => {
                        tracing::error!(wallet = %wallet.name, network = %chain.network, %error, "the wallet cannot be read");
                    }
                }
            }
        }
        wallets
    }

    /// The wallets of a network, with their names in the same order.
    #[must_use]
    pub fn on(&self, network: Network) -> Option<(&[Name], &[Wallet])> {
        self.0.get(&network).map(|(names, known)| (names.as_slice(), known.as_slice()))
    }
}

/// What writer, committer and askers share.
struct Shared {
    waiting: AtomicUsize,
    healthy: AtomicBool,
    published: RwLock<Arc<Published>>,
    durable: watch::Sender<u64>,
    metrics: Arc<Metrics>,
    signal: Signal,
    keeper: OnceLock<Arc<Keeper>>,
    shadow: Option<Shadow>,
}

impl Shared {
    fn publish(&self, published: Arc<Published>) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = published;
    }
}

/// A handle on intake; clones share it.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Message>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    queue_max: usize,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

/// What reaches the writer's thread.
enum Message {
    Job(Box<dyn Job>),
    Committed,
    Failed(String),
    Stop,
}

/// Something to be done with State, and somebody who waits for the answer.
trait Job: Send {
    fn run(self: Box<Self>, desk: &mut Desk<'_>) -> Box<dyn Reply>;
    fn refuse(self: Box<Self>, why: Unavailable);
}

/// An answer that is ready and waits for its group.
trait Reply: Send {
    fn send(self: Box<Self>, result: Result<(), Unavailable>);
}

type Sender<T> = oneshot::Sender<Result<Answer<T>, Unavailable>>;

struct Ask<T, F> {
    job: F,
    reply: Sender<T>,
}

struct Ready<T> {
    answer: Answer<T>,
    reply: Sender<T>,
}

impl<T: Send + 'static, F: FnOnce(&mut Desk<'_>) -> T + Send> Job for Ask<T, F> {
    fn run(self: Box<Self>, desk: &mut Desk<'_>) -> Box<dyn Reply> {
        let value = (self.job)(desk);
        let answer = Answer { value, sequence: desk.state().sequence() };
        Box::new(Ready { answer, reply: self.reply })
    }

    fn refuse(self: Box<Self>, why: Unavailable) {
        let _asker_gone = self.reply.send(Err(why));
    }
}

impl<T: Send> Reply for Ready<T> {
    fn send(self: Box<Self>, result: Result<(), Unavailable>) {
        let Self { answer, reply } = *self;
        let _asker_gone = reply.send(result.map(|()| answer));
    }
}

/// Counts a request as waiting for as long as it lives, whatever becomes of its future.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Intake {
    /// Starts the writer over a recovered core. Its first record is `Start`.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        options: Options,
        recovered: Recovered,
        clock: Clock,
        metrics: Arc<Metrics>,
        signal: Signal,
        shadow: Option<Shadow>,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            healthy: AtomicBool::new(true),
            published: RwLock::new(Arc::new(Published::of(&recovered.state))),
            durable: watch::Sender::new(recovered.state.sequence()),
            metrics,
            signal,
            keeper: OnceLock::new(),
            shadow,
        });
        let queue_max = options.queue_max;
        let writer = writer::Writer::new(options, clock, Arc::clone(&shared), sender.clone(), receiver);
        let thread =
            std::thread::Builder::new().name("intake".into()).spawn(move || writer.run(recovered))?;
        Ok(Self { shared, sender, thread: Arc::new(Mutex::new(Some(thread))), queue_max })
    }

    /// Runs `job` on the writer's thread, in order with everything else, and gives its answer once everything that the
    /// answer can know of is durable.
    ///
    /// # Errors
    /// [`Unavailable`], and then nothing was changed or, where a write failed, it is not known whether it was.
    pub async fn ask<T, F>(&self, job: F) -> Result<Answer<T>, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk<'_>) -> T + Send + 'static,
    {
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue_max {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.metrics.overloaded.increment();
            return Err(Unavailable::Overloaded);
        }
        let _waiting = Waiting(&self.shared.waiting);
        let (reply, answer) = oneshot::channel();
        self.sender.send(Message::Job(Box::new(Ask { job, reply }))).map_err(|_| Unavailable::Stopping)?;
        answer.await.unwrap_or(Err(Unavailable::Stopping))
    }

    /// What the edge may know without asking.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.shared.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives the gate what State knows of keys, and from then on every change of it before the answer that tells of it.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn attach(&self, keeper: Arc<Keeper>) -> Result<(), Unavailable> {
        let attached = Arc::clone(self.shared.keeper.get_or_init(|| keeper));
        self.ask(move |desk| attached.replace(desk.state())).await.map(|_| ())
    }

    /// The sequence of the last durable record, and a way to wait for the next.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.shared.durable.subscribe()
    }

    /// False while the journal cannot be written.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Relaxed)
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// True once the writer's thread has ended, whether it was told to or not.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Finishes what waits, takes a snapshot and ends the writer's thread. Blocks.
    pub fn stop(&self) {
        let _ended_already = self.sender.send(Message::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer's thread had failed");
        }
    }
}
