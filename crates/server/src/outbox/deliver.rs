//! The task of one endpoint: read after the cursor, sign, send, advance; wait and try again until it arrives.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_journal::LocalReader;
use hyper::body::Bytes;

use super::client::{Client, ClientError, Roots};
use super::message::{self, Message};
use super::sign::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP};
use super::store::{Mark, Store};
use super::{Endpoint, EndpointStatus, OutboxError, Patience, Shared};
use crate::record;
use crate::views::{DbNames, Views};

/// Records read at once.
const BATCH: usize = 256;
/// How long to wait after the journal or the views could not be read.
const MEND: Duration = Duration::from_secs(1);

/// What a delivery shares with others.
pub(super) struct Links {
    pub(super) store: Arc<Mutex<Store>>,
    pub(super) views: Arc<Views>,
    pub(super) status: Shared,
}

pub(super) struct Delivery {
    dir: PathBuf,
    endpoint: Endpoint,
    cursor: Mark,
    links: Links,
    client: Client,
    patience: Patience,
}

/// What one read of the journal gave.
struct Batch {
    messages: Vec<Message>,
    /// The record after the last one read.
    next: u64,
}

impl Delivery {
    pub(super) fn new(
        dir: &Path,
        endpoint: Endpoint,
        cursor: Mark,
        links: Links,
        roots: &Roots,
        patience: Patience,
    ) -> Self {
        let client = Client::new(endpoint.url.clone(), roots);
        Self { dir: dir.to_owned(), endpoint, cursor, links, client, patience }
    }

    fn status(&self, change: impl FnOnce(&mut EndpointStatus)) {
        change(&mut self.links.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Delivers for as long as it is polled.
    pub(super) async fn run(mut self, reader: LocalReader) {
        let mut position = self.links.views.watch();
        let mut reader = Some(reader);
        loop {
            // Messages carry names that the views know, so the views go first.
            let next = self.cursor.sequence;
            let reached = position.wait_for(|position| position.head.sequence >= next).await;
            let Ok(known) = reached.map(|position| position.head.sequence) else {
                self.status(|status| status.stopped = true);
                return;
            };
            self.status(|status| status.known_sequence = known);
            let Some(held) = reader.take() else { return };
            let (held, batch) = match self.read(held, known).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(endpoint = self.endpoint.name, code = error.code(), %error, "webhooks cannot be read");
                    self.status(|status| {
                        status.stopped = true;
                        status.last_error = Some(error.to_string());
                    });
                    return;
                }
            };
            reader = Some(held);
            let next = batch.next;
            for message in batch.messages {
                if message.mark() < self.cursor || !self.endpoint.wants(message.kind) {
                    continue;
                }
                self.deliver(&message).await;
                let mark = Mark { sequence: message.sequence, index: message.index.saturating_add(1) };
                self.advance(mark).await;
                self.status(|status| {
                    status.delivered_total = status.delivered_total.saturating_add(1);
                    status.delivered_sequence = message.sequence.saturating_sub(1);
                });
            }
            self.advance(Mark { sequence: next, index: 0 }).await;
            self.status(|status| status.delivered_sequence = next.saturating_sub(1));
        }
    }

    /// Reads the records from the cursor up to `known` and makes their messages, off the runtime.
    async fn read(&self, reader: LocalReader, known: u64) -> Result<(LocalReader, Batch), OutboxError> {
        let (dir, from) = (self.dir.clone(), self.cursor.sequence);
        let read = tokio::task::spawn_blocking(move || {
            let mut names = DbNames::open(&dir)?;
            let mut batch = Batch { messages: Vec::new(), next: from };
            for record in reader.read(from, BATCH)? {
                if record.sequence > known {
                    break;
                }
                let decoded = record::decode(&record)?;
                for event in &decoded.events {
                    names.learn(event);
                }
                batch.messages.extend(message::of_record(&decoded, &names));
                batch.next = record.sequence.saturating_add(1);
            }
            Ok::<_, OutboxError>((reader, batch))
        });
        read.await.map_err(|_| OutboxError::Task)?
    }

    /// Sends one message until it arrives.
    async fn deliver(&mut self, message: &Message) {
        let body = Bytes::from(message.body());
        let mut attempts: u32 = 0;
        loop {
            match self.attempt(message, &body).await {
                Ok(()) => {
                    if attempts > 0 {
                        tracing::info!(
                            endpoint = self.endpoint.name,
                            attempts,
                            "webhook endpoint answers again"
                        );
                        self.status(|status| {
                            status.failing_attempts = 0;
                            status.last_error = None;
                        });
                    }
                    return;
                }
                Err(error) => {
                    attempts = attempts.saturating_add(1);
                    if attempts == 1 {
                        tracing::warn!(endpoint = self.endpoint.name, %error, "webhook not delivered; trying again");
                    }
                    self.status(|status| {
                        status.failing_attempts = attempts;
                        status.failed_total = status.failed_total.saturating_add(1);
                        status.last_error = Some(error.to_string());
                    });
                    tokio::time::sleep(wait(&self.patience, &self.endpoint.name, message, attempts)).await;
                }
            }
        }
    }

    async fn attempt(&mut self, message: &Message, body: &Bytes) -> Result<(), ClientError> {
        // The receiver compares with its own clock, so this is the real time even where Holdfast's is simulated.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let id = message.id();
        let signature = self.endpoint.secret.sign(&id, now, body);
        let headers = [(HEADER_ID, id), (HEADER_TIMESTAMP, now.to_string()), (HEADER_SIGNATURE, signature)];
        let answer = tokio::time::timeout(self.patience.attempt, self.client.post(&headers, body)).await;
        answer.unwrap_or_else(|_| {
            self.client.disconnect();
            Err(ClientError::Timeout)
        })
    }

    /// Remembers how far the endpoint was told. If that cannot be written, it is told again after a restart.
    async fn advance(&mut self, mark: Mark) {
        self.cursor = mark;
        let (store, name) = (Arc::clone(&self.links.store), self.endpoint.name.clone());
        let written = tokio::task::spawn_blocking(move || {
            store.lock().unwrap_or_else(PoisonError::into_inner).advance(&name, mark)
        });
        if let Ok(Err(error)) = written.await {
            tracing::error!(endpoint = self.endpoint.name, code = error.code(), %error, "webhook cursor not written");
            tokio::time::sleep(MEND).await;
        }
    }
}

/// Doubling, at most the longest wait, and between half and all of it: which part depends on endpoint, message and
/// attempt, so that many endpoints that fail together do not come back together.
fn wait(patience: &Patience, endpoint: &str, message: &Message, attempts: u32) -> Duration {
    let doubled = patience.first_wait.saturating_mul(1_u32 << attempts.saturating_sub(1).min(20));
    let full = doubled.min(patience.longest_wait);
    let mut hasher = blake3::Hasher::new();
    hasher.update(endpoint.as_bytes()).update(message.id().as_bytes()).update(&attempts.to_be_bytes());
    let [byte, ..] = *hasher.finalize().as_bytes();
    let half = full / 2;
    half.saturating_add(half.saturating_mul(u32::from(byte)) / 255)
}
