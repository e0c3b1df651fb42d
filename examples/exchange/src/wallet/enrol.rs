//! Customers' keys and the policy, carried from Holdfast to the signer: enrolments, removals and steps, in Holdfast's order.
//! What they say is between those two, under Holdfast's release key; the signer judges it by its own store and clock. How far it is, and what
//! the signer wants to see later, is in a file; without the file everything is carried again, which does no harm.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use holdfast_authn::encoding::base64;
use holdfast_signer::{Client, ClientError};
use serde::{Deserialize, Serialize};

use super::book::{self, BookError};
use super::config::Run;
use super::holdfast::{Document, Holdfast};

/// How often Holdfast is asked, and how often what waits is shown again.
const EVERY: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(30);
/// Beyond this nothing new is taken until some of it is through.
const WAITING_MAX: usize = 10_000;
/// Refusals that time may end: too many in a day, a key that does not count yet, a halted signer.
const LATER: [&str; 8] = [
    "enrolments_exhausted",
    "credential_too_young",
    "act_not_now",
    "approvals_not_pinned",
    "clock_behind",
    "policy_steps_many",
    "halted",
    "store_failed",
];

/// What the file says.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Carried {
    /// The number of the last document that was taken from Holdfast.
    after: u64,
    /// What the signer wants later, by number.
    waiting: BTreeMap<u64, Document>,
}

/// Carries documents, for as long as the wallet runs.
pub(crate) struct Courier {
    socket: PathBuf,
    folder: PathBuf,
    file: PathBuf,
    carried: Carried,
    next: Instant,
    again: Instant,
    said: String,
}

/// What became of a document.
enum Fate {
    Through,
    Later,
}

impl Courier {
    /// None without the signer's socket: then somebody else tells the signer of customers' keys, or nobody.
    pub(crate) fn new(config: &Run) -> Result<Option<Self>, BookError> {
        let Some(socket) = config.signer_socket.clone() else { return Ok(None) };
        let file = config.state.join("enrolments.json");
        let carried = match fs::read_to_string(&file) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|error| BookError::Malformed(file.clone(), error))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Carried::default(),
            Err(error) => return Err(BookError::Io { path: file, error }),
        };
        let now = Instant::now();
        let folder = config.state.clone();
        Ok(Some(Self { socket, folder, file, carried, next: now, again: now, said: String::new() }))
    }

    /// Takes what is new, and shows it to the signer. Only a file that cannot be written is an error.
    pub(crate) fn round(&mut self, holdfast: &Holdfast) -> Result<(), BookError> {
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now.checked_add(EVERY).unwrap_or(now);
        let outcome = self.carry(holdfast, now)?;
        match outcome {
            Ok(()) => self.said.clear(),
            Err(why) if why != self.said => {
                tracing::warn!("what the signer is to be told waits: {why}");
                self.said = why;
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn carry(&mut self, holdfast: &Holdfast, now: Instant) -> Result<Result<(), String>, BookError> {
        if now >= self.again && !self.carried.waiting.is_empty() {
            self.again = now.checked_add(AGAIN).unwrap_or(now);
            if let Err(why) = self.show_again()? {
                return Ok(Err(why));
            }
        }
        while self.carried.waiting.len() < WAITING_MAX {
            let (documents, more) = match holdfast.enrolments(self.carried.after) {
                Ok(page) => page,
                Err(error) => return Ok(Err(error.to_string())),
            };
            for (number, document) in documents {
                // One account's keys in their order: a later one may rest on the word of an earlier one.
                // Steps of the policy stand for themselves, and a stop waits for nothing.
                let behind = document.account.is_some()
                    && self.carried.waiting.values().any(|other| other.account == document.account);
                let fate = if behind { Ok(Fate::Later) } else { self.show(&document) };
                match fate {
                    Ok(Fate::Through) => {}
                    Ok(Fate::Later) => drop(self.carried.waiting.insert(number, document)),
                    Err(error) => return Ok(Err(error.to_string())),
                }
                self.carried.after = number;
                self.save()?;
            }
            if !more {
                break;
            }
        }
        Ok(Ok(()))
    }

    fn show_again(&mut self) -> Result<Result<(), String>, BookError> {
        let mut held: Vec<Option<String>> = Vec::new();
        for number in self.carried.waiting.keys().copied().collect::<Vec<_>>() {
            let Some(document) = self.carried.waiting.get(&number) else { continue };
            if document.account.is_some() && held.contains(&document.account) {
                continue;
            }
            match self.show(document) {
                Ok(Fate::Through) => {
                    self.carried.waiting.remove(&number);
                    self.save()?;
                }
                Ok(Fate::Later) => held.push(document.account.clone()),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(Ok(()))
    }

    fn show(&self, document: &Document) -> Result<Fate, ClientError> {
        // Without a document the account's data is gone, and there is nothing to tell.
        let Some(bytes) = document.document.as_deref().and_then(|text| base64(text.as_bytes())) else {
            return Ok(Fate::Through);
        };
        let mut signer = Client::connect(&self.socket)?;
        let answer = match document.kind.as_str() {
            "removal" => signer.remove(&bytes),
            "enrolment" => signer.enrol(&bytes).map(drop),
            "policy" => signer.introduce_policy(&bytes).map(drop),
            // Of a later version: nothing that this one could carry.
            _ => return Ok(Fate::Through),
        };
        match answer {
            Err(ClientError::Refused { code, text, .. }) => {
                let later = LATER.contains(&code.as_str());
                let (kind, account) = (&document.kind, document.account.as_deref());
                tracing::warn!(kind, account, code, later, "the signer refuses what it is told: {text}");
                Ok(if later { Fate::Later } else { Fate::Through })
            }
            answer => answer.map(|()| Fate::Through),
        }
    }

    fn save(&self) -> Result<(), BookError> {
        let text = serde_json::to_string(&self.carried)
            .map_err(|error| BookError::Malformed(self.file.clone(), error))?;
        book::write(&self.folder, &self.file, text.as_bytes())
    }
}
