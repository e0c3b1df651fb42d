//! The key-encryption keys that a process holds, and how it comes by a new one.
//!
//! A rotation registers its key in `vault.db`: where it is, a probe wrapped under it, and an endorsement, which is a tag
//! over both under the key before it. So a process that holds the key before can fetch the new one by itself, and
//! nobody who can merely write the file can make it wrap data keys under a key of theirs.

use std::collections::BTreeMap;

use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, params};

use super::envelope::KEY_BYTES;
use super::{Kek, KekSource, VaultError};

/// What the probe of a key is bound to.
const PROBE: &[&[u8]] = &[b"kek-check"];

/// How it stands with a registered key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Data keys are wrapped under it.
    Current,
    /// A rotation towards it has begun.
    Next,
    /// Nothing is wrapped under it any more; it vouches for its successor.
    Retired,
}

/// A registered key.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) status: Status,
    probe: Vec<u8>,
    pub(super) source: String,
    predecessor: Option<i64>,
    endorsement: Option<Vec<u8>>,
}

impl Row {
    /// All that are registered, oldest first.
    pub(super) fn all(database: &Connection) -> Result<Vec<Self>, VaultError> {
        let mut select = database.prepare_cached(
            "SELECT id, status, probe, source, predecessor, endorsement FROM keks ORDER BY id",
        )?;
        let rows = select.query_map([], |row| {
            let status: String = row.get(1)?;
            Ok(Self {
                id: row.get(0)?,
                status: match status.as_str() {
                    "current" => Status::Current,
                    "next" => Status::Next,
                    _ => Status::Retired,
                },
                probe: row.get(2)?,
                source: row.get(3)?,
                predecessor: row.get(4)?,
                endorsement: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether this is the key that was registered. A token that fails is not a wrong key.
    pub(super) fn is_of(&self, kek: &Kek) -> Result<bool, VaultError> {
        match kek.unwrap(PROBE, &self.probe) {
            Ok(_) => Ok(true),
            Err(VaultError::NotAuthentic) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A probe of a key: random bytes, wrapped under it.
pub(super) fn probe(random: &SystemRandom, kek: &Kek) -> Result<Vec<u8>, VaultError> {
    let mut bytes = [0u8; KEY_BYTES];
    random.fill(&mut bytes).map_err(|_| VaultError::Randomness)?;
    kek.wrap(random, PROBE, &bytes)
}

/// Registers `next` as successor of the current key, which vouches for it; its id.
pub(super) fn register(
    database: &Connection,
    random: &SystemRandom,
    current: (i64, &Kek),
    next: (&KekSource, &Kek),
) -> Result<i64, VaultError> {
    let (source, probe) = (next.0.to_string(), probe(random, next.1)?);
    database.execute(
        "INSERT INTO keks (status, probe, source, predecessor) VALUES ('next', ?1, ?2, ?3)",
        params![probe, source, current.0],
    )?;
    let id = database.last_insert_rowid();
    let ids = [current.0.to_be_bytes(), id.to_be_bytes()];
    // Nothing but a zero is sealed: the tag over the context is what counts, and no secret stays behind under the old key.
    let endorsement = current.1.wrap(random, &endorsed(&ids, &source, &probe), &[0])?;
    database.execute("UPDATE keks SET endorsement = ?1 WHERE id = ?2", params![endorsement, id])?;
    Ok(id)
}

fn endorsed<'a>(ids: &'a [[u8; 8]; 2], source: &'a str, probe: &'a [u8]) -> [&'a [u8]; 5] {
    let [predecessor, id] = ids;
    [b"kek-successor", predecessor, id, source.as_bytes(), probe]
}

/// The keys that this process holds.
pub(super) struct Keyring {
    held: BTreeMap<i64, Kek>,
    /// Under which new data keys are wrapped.
    writing: i64,
}

impl Keyring {
    /// Of the key that the configuration names, and those that follow it.
    pub(super) fn open(database: &Connection, named: &Kek) -> Result<Self, VaultError> {
        for row in Row::all(database)? {
            if row.is_of(named)? {
                if row.status == Status::Retired {
                    tracing::warn!(
                        "the configuration names a key-encryption key that a rotation has retired: name the new one"
                    );
                }
                let mut ring = Self { held: BTreeMap::from([(row.id, named.clone())]), writing: row.id };
                ring.follow(database)?;
                return Ok(ring);
            }
        }
        Err(VaultError::WrongKek)
    }

    /// Fetches the keys that were registered since, and forgets those that were retired.
    ///
    /// A successor that cannot be had is struck off if nothing is wrapped under it yet: the rotation that registered it
    /// then stops and says so. If there is something, this fails.
    pub(super) fn follow(&mut self, database: &Connection) -> Result<(), VaultError> {
        let rows = Row::all(database)?;
        for row in &rows {
            let Some(predecessor) = row.predecessor.filter(|_| !self.held.contains_key(&row.id)) else {
                continue;
            };
            let Some(voucher) = self.held.get(&predecessor) else { continue };
            match fetch(row, predecessor, voucher) {
                Ok(kek) => drop(self.held.insert(row.id, kek)),
                Err(error) if row.status == Status::Next && strike(database, row.id)? => {
                    tracing::error!(
                        code = error.code(),
                        source = row.source,
                        "the next key-encryption key cannot be had here, so nothing is wrapped under it: {error}"
                    );
                }
                Err(error) => {
                    return Err(VaultError::Successor { place: row.source.clone(), cause: Box::new(error) });
                }
            }
        }
        let of = |status| rows.iter().find(|row| row.status == status && self.held.contains_key(&row.id));
        let current = of(Status::Current).ok_or(VaultError::Unfinished)?;
        self.writing = of(Status::Next).unwrap_or(current).id;
        self.held.retain(|id, _| rows.iter().any(|row| row.id == *id && row.status != Status::Retired));
        Ok(())
    }

    /// The key of this id, if it is held.
    pub(super) fn get(&self, id: i64) -> Option<&Kek> {
        self.held.get(&id)
    }

    /// The newest key that is held: under which new data keys are wrapped.
    pub(super) fn writing(&self) -> Result<(i64, &Kek), VaultError> {
        self.held.get(&self.writing).map(|kek| (self.writing, kek)).ok_or(VaultError::WrongKek)
    }

    /// The current one, whatever is next.
    pub(super) fn current(&self, rows: &[Row]) -> Result<(i64, &Kek), VaultError> {
        let row = rows.iter().find(|row| row.status == Status::Current).ok_or(VaultError::Format)?;
        self.held.get(&row.id).map(|kek| (row.id, kek)).ok_or(VaultError::WrongKek)
    }
}

fn fetch(row: &Row, predecessor: i64, voucher: &Kek) -> Result<Kek, VaultError> {
    let ids = [predecessor.to_be_bytes(), row.id.to_be_bytes()];
    let endorsement = row.endorsement.as_deref().unwrap_or_default();
    // First of all: where to look is nobody's to say who does not hold the key before.
    voucher.unwrap(&endorsed(&ids, &row.source, &row.probe), endorsement)?;
    let kek = KekSource::parse(&row.source)?.load()?;
    if row.is_of(&kek)? { Ok(kek) } else { Err(VaultError::WrongKek) }
}

/// Strikes a next key off, unless something is wrapped under it.
fn strike(database: &Connection, id: i64) -> Result<bool, VaultError> {
    let struck = database.execute(
        "DELETE FROM keks WHERE id = ?1 AND status = 'next' AND NOT EXISTS (SELECT 1 FROM data_keys WHERE kek = ?1)",
        [id],
    )?;
    Ok(struck > 0)
}
