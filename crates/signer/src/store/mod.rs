//! The signer's durable store: one SQLite file that one process holds, and that knows which file on which machine it is.
//!
//! `init` makes it once; nothing else ever creates one. What is written and read in it is in `records`; nothing here
//! decides about a release.

pub mod policy;
pub(crate) mod records;
pub mod registry;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use holdfast_values::TextDigest;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use crate::files::{self, FileError};
use crate::pins::Pins;

/// The shape of the tables.
const SCHEMA: i64 = 3;
/// The shape before the policy was followed.
const SCHEMA_WITHOUT_POLICY: i64 = 2;
/// The shape before customers' keys were kept.
const SCHEMA_WITHOUT_REGISTRY: i64 = 1;
const TABLES: &str = include_str!("schema.sql");
const REGISTRY: &str = include_str!("registry.sql");
const POLICY: &str = include_str!("policy.sql");
/// `hfsg`: the application that the file says it belongs to.
const APPLICATION: i64 = 0x6866_7367;
/// What names a machine.
const MACHINE_ID: &str = "/etc/machine-id";

/// Why a store cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be trusted or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// `init` found something.
    #[error("{}: exists already: a store is made once, and never over another", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The pinned file names a store, so one was made.
    #[error(
        "the pinned file names the store {store}: restore that one, or remove the line to begin without its records"
    )]
    AlreadyPinned {
        /// Its id.
        store: String,
    },
    /// Nothing is there.
    #[error("{}: no store: restore the one that was, or make one with holdfast-signer init, once", path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The pinned file does not say which store is its own.
    #[error("the pinned file names no store: add store = \"{store}\" if this is the one that init made")]
    Unpinned {
        /// The id of the store that was found.
        store: String,
    },
    /// Another store than the pinned one.
    #[error("this is the store {found}, and the pinned file names another: put the right file in place")]
    Unknown {
        /// The id of the store that was found.
        found: String,
    },
    /// The store of another signer or exchange.
    #[error("this store belongs to {name} of {exchange}, not to the signer of the pinned file")]
    Foreign {
        /// Whose it is.
        name: String,
        /// Of which exchange.
        exchange: String,
    },
    /// Another process has it.
    #[error("another process holds the store: ask it through its socket, or end it")]
    InUse,
    /// A copy, or a restored one.
    #[error(
        "the store was copied or restored: it could have forgotten what it authorised; operators adopt it with a signed adopt_store text"
    )]
    Moved,
    /// A shape that this program does not know.
    #[error("the store has the shape {found}, and this program knows {SCHEMA}")]
    Schema {
        /// What it says.
        found: i64,
    },
    /// Not a signer's store, or damaged.
    #[error("the store cannot be read: {0}")]
    Database(String),
}

impl StoreError {
    /// The stable code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Exists { .. } => "store_exists",
            Self::AlreadyPinned { .. } => "store_already_pinned",
            Self::Missing { .. } => "store_missing",
            Self::Unpinned { .. } => "store_unpinned",
            Self::Unknown { .. } => "store_unknown",
            Self::Foreign { .. } => "store_foreign",
            Self::InUse => "store_in_use",
            Self::Moved => "store_moved",
            Self::Schema { .. } => "store_schema",
            Self::Database(_) => "store_malformed",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            _ => Self::Database(error.to_string()),
        }
    }
}

/// Which file on which machine a store is. Device numbers are left out: they change from one start of a machine to the
/// next; the inode with its birth does not, and a copy has others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) inode: i64,
    /// Nanoseconds since 1970; 0 where the file system does not say.
    pub(crate) born: i64,
    pub(crate) machine: [u8; 32],
}

impl Identity {
    fn of(path: &Path) -> Result<Self, FileError> {
        // Never opened: closing any handle of a file gives up the locks that SQLite holds on it in this process.
        let metadata = fs::metadata(path).map_err(|error| FileError::io(path, error))?;
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|span| i64::try_from(span.as_nanos()).ok()).unwrap_or_default();
        let machine = match fs::read(MACHINE_ID) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(FileError::io(Path::new(MACHINE_ID), error)),
        };
        Ok(Self { inode: metadata.ino().cast_signed(), born, machine: TextDigest::of(&machine).0 })
    }
}

/// An open store, held by this process alone.
#[derive(Debug)]
pub(crate) struct Store {
    db: Connection,
    pub(crate) id: [u8; 16],
    /// Which file it is now.
    pub(crate) here: Identity,
}

/// Where a store was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where it was made or adopted.
    Home,
    /// Elsewhere: it may not sign.
    Moved,
}

impl Store {
    /// Makes a store; `id` is random.
    pub(crate) fn init(path: &Path, pins: &Pins, id: [u8; 16], epoch: i64) -> Result<(), StoreError> {
        if let Some(store) = pins.store {
            return Err(StoreError::AlreadyPinned { store: hex(&store) });
        }
        files::check_folder(path)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file.sync_all().map_err(|error| FileError::io(path, error))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Exists { path: path.to_owned() });
            }
            Err(error) => return Err(FileError::io(path, error).into()),
        }
        let identity = Identity::of(path)?;
        let mut db = connect(path)?;
        let transaction = db.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.execute_batch(REGISTRY)?;
        transaction.execute_batch(POLICY)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        transaction.execute(
            "insert into signer values (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, null, null, 0, 0)",
            params![
                SCHEMA,
                id,
                pins.exchange.as_str(),
                pins.name.as_str(),
                identity.inode,
                identity.born,
                identity.machine,
                epoch
            ],
        )?;
        transaction.commit()?;
        drop(db);
        sync_folder(path)?;
        Ok(())
    }

    /// Opens the store that the pinned file names, and says whether it is where it was made.
    pub(crate) fn open(path: &Path, pins: &Pins) -> Result<(Self, Place), StoreError> {
        match files::check_trusted(path) {
            Err(FileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { path: path.to_owned() });
            }
            other => other?,
        };
        let mut db = connect(path)?;
        let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if application != APPLICATION {
            return Err(StoreError::Database("not the store of a signer".into()));
        }
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if !(SCHEMA_WITHOUT_REGISTRY..=SCHEMA).contains(&found) {
            return Err(StoreError::Schema { found });
        }
        let (id, exchange, name, home) = db.query_row(
            "select store, exchange, name, inode, born, machine from signer",
            [],
            |row| -> rusqlite::Result<([u8; 16], String, String, Identity)> {
                let identity = Identity { inode: row.get(3)?, born: row.get(4)?, machine: row.get(5)? };
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, identity))
            },
        )?;
        match pins.store {
            None => return Err(StoreError::Unpinned { store: hex(&id) }),
            Some(pinned) if pinned != id => return Err(StoreError::Unknown { found: hex(&id) }),
            Some(_) => {}
        }
        if exchange != pins.exchange.as_str() || name != pins.name.as_str() {
            return Err(StoreError::Foreign { name, exchange });
        }
        if found != SCHEMA {
            bring_up_to_date(&mut db, found)?;
        }
        let here = Identity::of(path)?;
        let place = if here == home { Place::Home } else { Place::Moved };
        Ok((Self { db, id, here }, place))
    }

    /// Begins what is recorded whole or not at all.
    pub(crate) fn begin(&mut self) -> rusqlite::Result<records::Records<'_>> {
        Ok(records::Records::new(self.db.transaction()?))
    }
}

/// Brings a store to this shape, whole or not at all.
fn bring_up_to_date(db: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    if from < SCHEMA_WITHOUT_POLICY {
        transaction.execute_batch(REGISTRY)?;
    }
    transaction.execute_batch(POLICY)?;
    // It has run for long: nobody sets it up now.
    transaction.execute("insert into policy values (1, null, 0)", [])?;
    transaction.execute("update signer set schema = ?1", [SCHEMA])?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

/// Opens a file that exists, durable at every commit, and takes it for this process.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(path, flags)?;
    db.set_prepared_statement_cache_capacity(64);
    db.busy_timeout(std::time::Duration::ZERO)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Database(format!("the journal mode is {mode}")));
    }
    // Every commit is on the disk before it returns.
    db.pragma_update(None, "synchronous", "EXTRA")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    // Takes the lock now, not at the first release; EXCLUSIVE keeps it until the process ends.
    db.execute_batch("begin exclusive; commit")?;
    Ok(db)
}

/// The name of a new file is durable once its folder is.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| FileError::io(folder, error))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
