//! What the wallet has under way, in one file that is replaced whole and synced before anything that follows from it.
//!
//! The file is written before a transaction is shown to anybody. Whatever happens after, the same bytes are shown again;
//! other bytes for the same payments always spend one of the same coins, or the same nonce, so that at most one of them can
//! ever be on the chain.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why the file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BookError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{0} does not read: {1}. Restore it; without it the wallet cannot know what it has under way")]
    Malformed(PathBuf, serde_json::Error),
    #[error("another harbor-wallet works in {0}")]
    Locked(PathBuf),
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Built; Holdfast may have been asked.
    Proposed,
    /// Released; the keys may have been asked.
    Released,
    /// Signed; Holdfast may not have the receipt yet.
    Signed,
    /// Sent to the chain, at least once.
    Sent,
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payment {
    /// The withdrawal; none in a transfer.
    pub(crate) withdrawal: Option<String>,
    pub(crate) address: String,
    /// In the network's units.
    pub(crate) amount: u128,
    /// Absent for the network's coin.
    pub(crate) contract: Option<String>,
    /// The signer did not take its owner's word: it is asked for without.
    #[serde(default)]
    pub(crate) without_word: bool,
}

/// One coin that a transaction spends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Coin {
    /// Coins are spent oldest first.
    pub(crate) height: u64,
    pub(crate) txid: String,
    pub(crate) vout: u32,
    pub(crate) value: u64,
    pub(crate) descriptor: u8,
    pub(crate) index: u32,
}

/// What operators signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) text: String,
    pub(crate) signatures: Vec<Signature>,
}

/// One of their signatures, base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) operator: String,
    pub(crate) signature: String,
}

/// One transaction for a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) stage: Stage,
    /// The bytes that are shown to Holdfast and the signer, in hex.
    pub(crate) unsigned: String,
    pub(crate) payments: Vec<Payment>,
    pub(crate) transfer: Option<Transfer>,
    /// Bitcoin: what it spends.
    #[serde(default)]
    pub(crate) coins: Vec<Coin>,
    /// Bitcoin: where its change goes.
    pub(crate) change: Option<u32>,
    /// In the network's units.
    pub(crate) fee: u128,
    /// Satoshi for 1,000 virtual bytes, or wei for each gas at most.
    pub(crate) rate: u128,
    /// EVM: wei for each gas on top of the base fee.
    #[serde(default)]
    pub(crate) tip: u128,
    /// The keys may have seen it.
    #[serde(default)]
    pub(crate) asked: bool,
    /// Base64.
    pub(crate) release: Option<String>,
    /// The final bytes, in hex.
    pub(crate) signed: Option<String>,
    pub(crate) id: Option<String>,
    /// Base64.
    pub(crate) receipt: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) sent_ms: Option<u64>,
}

/// Some coins, or a nonce, and the transactions that would spend them. At most one can be on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) id: u64,
    pub(crate) wallet: String,
    pub(crate) network: String,
    /// EVM.
    pub(crate) nonce: Option<u64>,
    /// The last is the one that is pursued.
    pub(crate) attempts: Vec<Attempt>,
}

/// Everything under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) slots: Vec<Slot>,
    next_slot: u64,
    /// The next index of each wallet's change descriptor.
    change: BTreeMap<String, u32>,
}

/// The file, locked for this process.
pub(crate) struct Shelf {
    folder: PathBuf,
    _lock: File,
}

impl Attempt {
    /// One of which nothing is known yet.
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Proposed,
            unsigned: String::new(),
            payments: Vec::new(),
            transfer: None,
            coins: Vec::new(),
            change: None,
            fee: 0,
            rate: 0,
            tip: 0,
            asked: false,
            release: None,
            signed: None,
            id: None,
            receipt: None,
            sent_ms: None,
        }
    }
}

impl Slot {
    /// The withdrawals of all its attempts.
    pub(crate) fn withdrawals(&self) -> impl Iterator<Item = &str> {
        self.attempts
            .iter()
            .flat_map(|attempt| attempt.payments.iter())
            .filter_map(|p| p.withdrawal.as_deref())
    }

    /// `wallet on network`, for messages and keys.
    pub(crate) fn place(&self) -> String {
        place(&self.wallet, &self.network)
    }
}

/// `wallet on network`.
pub(crate) fn place(wallet: &str, network: &str) -> String {
    format!("{wallet} on {network}")
}

impl Book {
    /// A number for a new slot.
    pub(crate) fn new_slot(&mut self) -> u64 {
        self.next_slot = self.next_slot.saturating_add(1);
        self.next_slot
    }

    /// How many change addresses of a wallet were used.
    pub(crate) fn change_used(&self, place: &str) -> u32 {
        self.change.get(place).copied().unwrap_or(0)
    }

    /// The next change address's index.
    pub(crate) fn next_change(&mut self, place: &str) -> u32 {
        let next = self.change.entry(place.to_owned()).or_default();
        let index = *next;
        *next = next.saturating_add(1);
        index
    }
}

impl Shelf {
    /// Opens the folder, or makes it, for this process alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, BookError> {
        let io = |error| BookError::Io { path: folder.into(), error };
        fs::create_dir_all(folder).map_err(io)?;
        let lock = File::create(folder.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|_| BookError::Locked(folder.into()))?;
        Ok(Self { folder: folder.into(), _lock: lock })
    }

    /// What was under way. Empty in a new folder.
    pub(crate) fn load(&self) -> Result<Book, BookError> {
        read(&self.folder)
    }

    /// Replaces the file; what it says is durable when this returns.
    pub(crate) fn save(&self, book: &Book) -> Result<(), BookError> {
        let path = self.folder.join("book.json");
        let text = serde_json::to_string(book).map_err(|error| BookError::Malformed(path.clone(), error))?;
        write(&self.folder, &path, text.as_bytes())
    }

    /// Keeps by what a transaction was signed, for anybody who asks later: `released/ID.release`, `.unsigned`, `.signed`.
    /// Not synced: until the transaction is final, the book has all of it.
    pub(crate) fn keep(
        &self,
        id: &str,
        release: &[u8],
        unsigned: &[u8],
        signed: &[u8],
    ) -> Result<(), BookError> {
        let folder = self.folder.join("released");
        let io = |error| BookError::Io { path: folder.clone(), error };
        fs::create_dir_all(&folder).map_err(io)?;
        for (kind, bytes) in [("release", release), ("unsigned", unsigned), ("signed", signed)] {
            fs::write(folder.join(format!("{id}.{kind}")), bytes).map_err(io)?;
        }
        Ok(())
    }
}

/// The book in a folder, for looking only.
pub(crate) fn read(folder: &Path) -> Result<Book, BookError> {
    let path = folder.join("book.json");
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| BookError::Malformed(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Book::default()),
        Err(error) => Err(BookError::Io { path, error }),
    }
}

/// Writes a file of the folder whole: a new one is synced, then put in the old one's place.
pub(crate) fn write(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), BookError> {
    let io = |error| BookError::Io { path: path.into(), error };
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&new, path).map_err(io)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}
