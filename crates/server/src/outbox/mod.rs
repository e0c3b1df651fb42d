//! Signed webhooks (Standard Webhooks): what happened, told to the exchange's own systems.
//!
//! Lives here: which events become which messages, the delivery cursors in `outbox.db`, signing and sending, retries.
//! Messages leave after their record is durable, in order, at least once, each under an id that never changes. Nothing
//! here can hold up the core: every endpoint has its own task and reads the journal by itself.

mod client;
mod deliver;
mod docs;
mod message;
mod sign;
mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_journal::{JournalError, LocalReader};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use client::{ClientError, Roots};
pub use docs::webhooks_markdown;
pub use message::{MESSAGES, Message, MessageKind};

use self::sign::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, Secret};
use crate::record::RecordError;
use crate::views::{Views, ViewsError};

/// Why webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The endpoint's configuration cannot be used.
    #[error("webhook endpoint {name}: {problem}")]
    Endpoint {
        /// Which.
        name: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The cursors cannot be read or written.
    #[error("{}: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// An endpoint has been told of records that the journal no longer has.
    #[error(
        "webhook endpoint {name} was told of records up to {delivered}, and the journal ends at {head}: the journal was \
         cut; restore it"
    )]
    JournalCut {
        /// Which endpoint.
        name: String,
        /// What it was told.
        delivered: u64,
        /// Where the journal ends.
        head: u64,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The views cannot be read.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// A task of the process ended.
    #[error("a task that reads for webhooks ended unexpectedly")]
    Task,
}

impl OutboxError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Endpoint { .. } => "webhook_endpoint_invalid",
            Self::Database { .. } => "outbox_unavailable",
            Self::JournalCut { .. } => "journal_cut",
            Self::Journal(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Views(error) => error.code(),
            Self::Task => "internal",
        }
    }
}

/// One receiver.
pub struct Endpoint {
    name: String,
    url: client::Url,
    secret: Secret,
    kinds: Vec<String>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Checks an endpoint's configuration. `secret` is `whsec_` and base64; `kinds` are the types it is sent, all if
    /// there are none. Without TLS only this machine can be told.
    ///
    /// # Errors
    /// [`OutboxError::Endpoint`], which never repeats the secret.
    pub fn new(name: &str, url: &str, secret: &str, kinds: &[String]) -> Result<Self, OutboxError> {
        let error = |problem: String| OutboxError::Endpoint { name: name.to_owned(), problem };
        if name.is_empty() || name.len() > 64 {
            return Err(error("its name must have 1 to 64 characters".to_owned()));
        }
        let url = client::Url::parse(url).map_err(|problem| error(problem.to_owned()))?;
        let secret = Secret::parse(secret).ok_or_else(|| {
            error(format!(
                "its secret must read whsec_ and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} random bytes"
            ))
        })?;
        if let Some(unknown) = kinds.iter().find(|kind| !MESSAGES.iter().any(|known| known.name == **kind)) {
            let unknown: String = unknown.chars().take(64).collect();
            return Err(error(format!("there is no message {unknown:?}: see docs/webhooks.md")));
        }
        Ok(Self { name: name.to_owned(), url, secret, kinds: kinds.to_vec() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }
}

/// How often and how long is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest time for one attempt.
    pub attempt: Duration,
    /// The wait after the first failed attempt; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(15),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
        }
    }
}

/// How an endpoint is doing, for `/metrics` and `/ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// It was told of everything up to this record.
    pub delivered_sequence: u64,
    /// The last record that there is something to tell about, at most: what is between is waiting.
    pub known_sequence: u64,
    /// Messages delivered since the process started.
    pub delivered_total: u64,
    /// Failed attempts since the process started.
    pub failed_total: u64,
    /// Failed attempts at the current message; 0 if the endpoint is well.
    pub failing_attempts: u32,
    /// What the last failed attempt said.
    pub last_error: Option<String>,
    /// The endpoint's task has given up until the process is started again.
    pub stopped: bool,
}

impl EndpointStatus {
    /// False while messages do not arrive.
    pub const fn is_well(&self) -> bool {
        self.failing_attempts == 0 && !self.stopped
    }

    /// How many records the endpoint has not been told of.
    pub const fn lag(&self) -> u64 {
        self.known_sequence.saturating_sub(self.delivered_sequence)
    }
}

/// The state of an endpoint's task, shared with those who ask.
type Shared = Arc<Mutex<EndpointStatus>>;

/// The running deliveries. Dropping it stops them; what was not delivered is delivered after the next start.
#[derive(Debug)]
pub struct Outbox {
    statuses: Vec<Shared>,
    _tasks: JoinSet<()>,
    _stop: watch::Sender<()>,
}

impl Outbox {
    /// Starts one task an endpoint on the current runtime. `reader` makes a reader of the journal for each.
    ///
    /// An endpoint that is new begins at the journal's head; one that is known continues where it was.
    ///
    /// # Errors
    /// [`OutboxError::JournalCut`] if an endpoint was told of what the journal no longer has; otherwise what the
    /// database or the journal says.
    pub fn start(
        dir: &Path,
        endpoints: Vec<Endpoint>,
        views: &Arc<Views>,
        mut reader: impl FnMut() -> Result<LocalReader, JournalError>,
        roots: &Roots,
        patience: Patience,
    ) -> Result<Self, OutboxError> {
        let store = Arc::new(Mutex::new(store::Store::open(dir)?));
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        let mut statuses = Vec::new();
        for endpoint in endpoints {
            let reader = reader()?;
            let head = reader.head()?.sequence;
            let cursor = store.lock().unwrap_or_else(PoisonError::into_inner).cursor(&endpoint.name, head)?;
            if cursor.sequence > head.saturating_add(1) {
                let delivered = cursor.sequence.saturating_sub(1);
                return Err(OutboxError::JournalCut { name: endpoint.name, delivered, head });
            }
            let status = Shared::new(Mutex::new(EndpointStatus {
                name: endpoint.name.clone(),
                delivered_sequence: cursor.sequence.saturating_sub(1),
                known_sequence: head,
                ..EndpointStatus::default()
            }));
            statuses.push(Arc::clone(&status));
            let delivery = deliver::Delivery::new(
                dir,
                endpoint,
                cursor,
                deliver::Links { store: Arc::clone(&store), views: Arc::clone(views), status },
                roots,
                patience,
            );
            let mut stopped = stopped.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = delivery.run(reader) => {}
                    _ = stopped.changed() => {}
                }
            });
        }
        Ok(Self { statuses, _tasks: tasks, _stop: stop })
    }

    /// The endpoints' Prometheus metrics. The names of endpoints are the operator's own, from the configuration.
    pub fn metrics(&self) -> String {
        use core::fmt::Write as _;
        let statuses = self.statuses();
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, value: fn(&EndpointStatus) -> u64| {
            let _infallible = writeln!(
                text,
                "# HELP holdfast_webhook_{name} {help}\n# TYPE holdfast_webhook_{name} {kind}"
            );
            for status in &statuses {
                let endpoint = status.name.replace(['\\', '"', '\n'], "_");
                let value = value(status);
                let _infallible =
                    writeln!(text, "holdfast_webhook_{name}{{endpoint=\"{endpoint}\"}} {value}");
            }
        };
        family("up", "gauge", "1 unless messages do not arrive.", |status| u64::from(status.is_well()));
        family("lag_records", "gauge", "Records that the endpoint was not told of.", EndpointStatus::lag);
        family("delivered_total", "counter", "Messages delivered since the start.", |status| {
            status.delivered_total
        });
        family("failed_total", "counter", "Attempts that failed since the start.", |status| {
            status.failed_total
        });
        text
    }

    /// How the endpoints are doing.
    pub fn statuses(&self) -> Vec<EndpointStatus> {
        self.statuses
            .iter()
            .map(|status| status.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}
