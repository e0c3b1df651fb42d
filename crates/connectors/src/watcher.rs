//! The loop: ask the node, write down, tell Holdfast, wait; for ever.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::{ConfigError, WatchConfig};
use crate::deliver::{DeliveryError, Holdfast};
use crate::doubt::Doubt;
use crate::follower::{Followed, Follower};
use crate::ledger::Observation;
use crate::place::{PlaceError, PlaceFile};
use crate::rpc::{Node, RpcError};

/// The longest wait after something failed.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// The first one.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);

/// What stopped a watcher, or a poll.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state file.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// No answer from the node.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// No sense in the node's answers.
    #[error(transparent)]
    Doubt(#[from] Doubt),
    /// No acknowledgement from Holdfast.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl WatchError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Place(error) => error.code(),
            Self::Rpc(error) => error.code(),
            Self::Doubt(error) => error.code(),
            Self::Delivery(error) => error.code(),
        }
    }
}

/// What a poll came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// All that the node has was seen.
    CaughtUp,
    /// There is more to read at once.
    More,
}

/// Watches one wallet on one node for one Holdfast.
pub struct Watcher {
    poll: Duration,
    node: Node,
    holdfast: Holdfast,
    file: PlaceFile,
    follower: Follower,
    followed: Followed,
    /// What is seen and not yet acknowledged.
    outbox: Vec<Observation>,
    /// True if the file says something else.
    unsaved: bool,
}

impl Watcher {
    /// Reads the configuration and the state file.
    pub fn open(config: &Path) -> Result<Self, WatchError> {
        Self::new(WatchConfig::read(config)?)
    }

    /// A watcher of this configuration, which goes on from its state file.
    pub fn new(config: WatchConfig) -> Result<Self, WatchError> {
        let (file, followed, outbox) = PlaceFile::open(&config.state, config.watches.clone())?;
        let follower = config.follower(followed.clone());
        let follower = follower.ok_or(ConfigError::Value {
            key: "network",
            what: "it does not fit what is to be watched".into(),
        })?;
        Ok(Self {
            poll: config.poll,
            node: Node { agent: config.node_agent, url: config.node_url, auth: config.node_auth },
            holdfast: Holdfast {
                agent: config.holdfast_agent,
                url: config.holdfast_url,
                token_file: config.token_file,
                network: config.network,
                wallet: config.wallet,
            },
            file,
            follower,
            followed,
            outbox,
            unsaved: false,
        })
    }

    /// The height up to which blocks were taken.
    pub fn height(&self) -> Option<u64> {
        self.follower.height()
    }

    /// One round: what was not acknowledged is told first, then the node is asked, and what it shows is written down and
    /// told. An error leaves nothing half done: the next round goes on.
    pub fn round(&mut self) -> Result<Polled, WatchError> {
        self.tell()?;
        let asked = self.ask();
        self.outbox.append(&mut self.follower.report());
        if let Some(followed) = self.follower.changed() {
            self.followed = followed;
            self.unsaved = true;
        }
        self.tell()?;
        asked?;
        Ok(if self.follower.has_more() { Polled::More } else { Polled::CaughtUp })
    }

    fn ask(&mut self) -> Result<(), WatchError> {
        self.follower.begin();
        loop {
            let calls = self.follower.calls();
            if calls.is_empty() {
                return Ok(());
            }
            match self.node.ask(&calls) {
                Ok(answers) => {
                    if let Err(doubt) = self.follower.answers(answers) {
                        self.follower.abandon();
                        return Err(doubt.into());
                    }
                }
                Err(error) => {
                    self.follower.abandon();
                    return Err(error.into());
                }
            }
        }
    }

    /// Writes down, then tells. What is told is in the file before, so that after a crash it is told again, not forgotten.
    fn tell(&mut self) -> Result<(), WatchError> {
        if self.unsaved {
            self.file.save(&self.followed, &self.outbox)?;
            self.unsaved = false;
        }
        while !self.outbox.is_empty() {
            let told = self.holdfast.tell(&self.outbox)?;
            self.outbox.drain(..told.min(self.outbox.len()));
            if self.outbox.is_empty() {
                // The file may lag behind by what was told: told twice is told.
                self.file.save(&self.followed, &self.outbox)?;
            }
        }
        Ok(())
    }

    /// Rounds until all that the node has was seen and told; the first error ends it.
    pub fn once(&mut self) -> Result<(), WatchError> {
        while self.round()? == Polled::More {}
        Ok(())
    }

    /// Rounds for ever, or until `stop`. What goes wrong is said in the log, and tried again after a while.
    pub fn run(&mut self, stop: &AtomicBool) {
        let mut failures = 0u32;
        while !stop.load(Ordering::Relaxed) {
            let wait = match self.round() {
                Ok(polled) => {
                    if failures > 0 {
                        tracing::info!(height = self.height(), "going on");
                    }
                    failures = 0;
                    if polled == Polled::More { Duration::ZERO } else { self.poll }
                }
                // It happens with every block now and then.
                Err(WatchError::Doubt(Doubt::Moved)) if failures < 5 => {
                    failures += 1;
                    BACK_OFF_MIN.min(self.poll)
                }
                Err(error) => {
                    let wait = back_off(failures);
                    failures = failures.saturating_add(1);
                    tracing::warn!(code = error.code(), again_in_ms = wait.as_millis() as u64, "{error}");
                    wait
                }
            };
            sleep(wait, stop);
        }
    }
}

fn back_off(failures: u32) -> Duration {
    BACK_OFF_MIN.saturating_mul(1 << failures.min(16)).min(BACK_OFF_MAX)
}

fn sleep(time: Duration, stop: &AtomicBool) {
    const SLICE: Duration = Duration::from_millis(100);
    let start = Instant::now();
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(left.min(SLICE));
    }
}
