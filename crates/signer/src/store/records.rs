//! What the store says and is told, within one SQLite transaction. Nothing here judges; an error means that nothing of the
//! transaction was recorded.

use holdfast_authn::release::{Spend, SpentTransaction, SpentTransfer};
use holdfast_values::{ConflictKey, Name, Network, Timestamp, TransferId, WithdrawalId};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::Identity;
use crate::pins::Pins;
use crate::refused::BucketName;
use holdfast_values::bucket::Level;

pub(super) type Sql<T> = rusqlite::Result<T>;

/// Open for reading and writing; what is not committed is forgotten.
pub(crate) struct Records<'a>(Transaction<'a>);

/// Where the signer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) counter: u64,
    pub(crate) epoch: u64,
    /// Highest sequence of this epoch, and the head there.
    pub(crate) seen: Option<(u64, [u8; 32])>,
    pub(crate) highest: Timestamp,
    pub(crate) halted: bool,
}

impl Standing {
    /// The time to write beside what needs no fresh release: it never goes back.
    pub(crate) fn time(&self, pins: &Pins, clock: Timestamp) -> Timestamp {
        if pins.simulated_clock { self.highest } else { clock.max(self.highest) }
    }
}

/// A transaction as it was authorised.
#[derive(Clone, Debug)]
pub(crate) struct Authorised {
    pub(crate) counter: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) keys: Vec<ConflictKey>,
    pub(crate) at: Timestamp,
    /// The digest of its outputs.
    pub(crate) outputs: [u8; 32],
}

impl<'a> Records<'a> {
    pub(super) fn new(transaction: Transaction<'a>) -> Self {
        Self(transaction)
    }

    /// Durable once this returns.
    pub(crate) fn commit(self) -> Sql<()> {
        self.0.commit()
    }

    pub(crate) fn standing(&self) -> Sql<Standing> {
        self.one("select counter, epoch, sequence, head, highest, halted from signer", [], |row| {
            let sequence: Option<i64> = row.get(2)?;
            let head: Option<[u8; 32]> = row.get(3)?;
            Ok(Standing {
                counter: unsigned(row, 0)?,
                epoch: unsigned(row, 1)?,
                seen: sequence.map(i64::cast_unsigned).zip(head),
                highest: Timestamp(unsigned(row, 4)?),
                halted: row.get(5)?,
            })
        })
    }

    pub(crate) fn set_standing(&self, standing: &Standing) -> Sql<()> {
        let (sequence, head) = standing.seen.unzip();
        self.run(
            "update signer set counter = ?1, epoch = ?2, sequence = ?3, head = ?4, highest = ?5, halted = ?6",
            params![
                signed(standing.counter)?,
                signed(standing.epoch)?,
                sequence.map(signed).transpose()?,
                head,
                signed(standing.highest.0)?,
                standing.halted
            ],
        )
    }

    pub(crate) fn set_home(&self, identity: &Identity) -> Sql<()> {
        self.run(
            "update signer set inode = ?1, born = ?2, machine = ?3",
            params![identity.inode, identity.born, identity.machine],
        )
    }

    /// The text that a withdrawal was authorised with.
    pub(crate) fn intent(&self, withdrawal: WithdrawalId) -> Sql<Option<String>> {
        self.maybe("select intent from spends where withdrawal = ?1", [id(withdrawal.0)], |row| row.get(0))
    }

    pub(crate) fn transfer_text(&self, transfer: TransferId) -> Sql<Option<String>> {
        self.maybe("select text from transfers where transfer = ?1", [id(transfer.0)], |row| row.get(0))
    }

    /// The transactions authorised for a withdrawal, oldest first.
    pub(crate) fn transactions(&self, withdrawal: WithdrawalId) -> Sql<Vec<Authorised>> {
        self.all(
            "select counter, digest, keys, at, outputs from payments join transactions using (counter)
             where withdrawal = ?1 order by counter",
            [id(withdrawal.0)],
            authorised,
        )
    }

    pub(crate) fn transfer_transactions(&self, transfer: TransferId) -> Sql<Vec<Authorised>> {
        self.all(
            "select counter, digest, keys, at, outputs from transfer_payments join transactions using (counter)
             where transfer = ?1 order by counter",
            [id(transfer.0)],
            authorised,
        )
    }

    /// The counter and the receipt of a transaction that was authorised.
    pub(crate) fn receipt(&self, digest: &[u8; 32]) -> Sql<Option<(u64, Vec<u8>)>> {
        self.maybe("select counter, receipt from transactions where digest = ?1", [digest], |row| {
            Ok((unsigned(row, 0)?, row.get(1)?))
        })
    }

    pub(crate) fn add_transaction(&self, transaction: &Authorised, receipt: &[u8]) -> Sql<()> {
        let Authorised { counter, digest, keys, at, outputs } = transaction;
        let keys = minicbor::to_vec(keys).map_err(|error| unusable(error.to_string()))?;
        self.run(
            "insert into transactions values (?1, ?2, ?3, ?4, ?5, ?6)",
            params![signed(*counter)?, digest, keys, signed(at.0)?, receipt, outputs],
        )
    }

    pub(crate) fn add_spend(
        &self,
        withdrawal: WithdrawalId,
        intent: &str,
        at: Timestamp,
        network: Network,
        wallet: &Name,
    ) -> Sql<()> {
        self.run(
            "insert into spends values (?1, ?2, ?3, ?4, ?5)",
            params![id(withdrawal.0), intent, signed(at.0)?, network.number(), wallet.as_str()],
        )
    }

    pub(crate) fn add_payment(&self, withdrawal: WithdrawalId, counter: u64) -> Sql<()> {
        self.run("insert into payments values (?1, ?2)", params![id(withdrawal.0), signed(counter)?])
    }

    pub(crate) fn add_transfer(
        &self,
        transfer: TransferId,
        text: &str,
        at: Timestamp,
        network: Network,
        wallet: &Name,
    ) -> Sql<()> {
        self.run(
            "insert into transfers values (?1, ?2, ?3, ?4, ?5)",
            params![id(transfer.0), text, signed(at.0)?, network.number(), wallet.as_str()],
        )
    }

    pub(crate) fn add_transfer_payment(&self, transfer: TransferId, counter: u64) -> Sql<()> {
        self.run("insert into transfer_payments values (?1, ?2)", params![id(transfer.0), signed(counter)?])
    }

    /// The receipt of a voided withdrawal.
    pub(crate) fn voided(&self, withdrawal: WithdrawalId) -> Sql<Option<Vec<u8>>> {
        self.maybe("select receipt from voided where withdrawal = ?1", [id(withdrawal.0)], |row| row.get(0))
    }

    pub(crate) fn add_voided(&self, withdrawal: WithdrawalId, counter: u64, receipt: &[u8]) -> Sql<()> {
        self.run(
            "insert into voided values (?1, ?2, ?3)",
            params![id(withdrawal.0), signed(counter)?, receipt],
        )
    }

    pub(crate) fn level(&self, bucket: &BucketName) -> Sql<Option<Level>> {
        let (class, what, network) = bucket_key(bucket);
        self.maybe(
            "select scaled, at from buckets where class = ?1 and what = ?2 and network = ?3",
            params![class, what, network],
            |row| {
                let scaled: [u8; 16] = row.get(0)?;
                Ok(Level { scaled: u128::from_be_bytes(scaled), at: Timestamp(unsigned(row, 1)?) })
            },
        )
    }

    pub(crate) fn set_level(&self, bucket: &BucketName, level: Level) -> Sql<()> {
        let (class, what, network) = bucket_key(bucket);
        self.run(
            "insert into buckets values (?1, ?2, ?3, ?4, ?5)
             on conflict do update set scaled = excluded.scaled, at = excluded.at",
            params![class, what, network, level.scaled.to_be_bytes(), signed(level.at.0)?],
        )
    }

    /// After a clock that was ahead: no bucket waits for the time that it named, and none gains by it.
    pub(crate) fn pull_levels_back(&self, at: Timestamp) -> Sql<()> {
        self.run("update buckets set at = ?1 where at > ?1", [signed(at.0)?])
    }

    /// Whether a text's nonce was new; from now on it is not.
    pub(crate) fn use_nonce(&self, nonce: &[u8; 32], act: &str, at: Timestamp) -> Sql<bool> {
        let mut statement = self.0.prepare_cached("insert or ignore into nonces values (?1, ?2, ?3)")?;
        Ok(statement.execute(params![nonce, act, signed(at.0)?])? == 1)
    }

    /// Everything that was ever authorised.
    pub(crate) fn spends(&self) -> Sql<Vec<Spend>> {
        let rows = self.all(
            "select withdrawal, intent, at, network, wallet from spends order by withdrawal",
            [],
            |row| -> Sql<([u8; 16], String, Timestamp, u8, String)> {
                Ok((row.get(0)?, row.get(1)?, Timestamp(unsigned(row, 2)?), row.get(3)?, row.get(4)?))
            },
        )?;
        let spend = |(withdrawal, intent, at, network, wallet): ([u8; 16], String, Timestamp, u8, String)| {
            let transactions = self.transactions(WithdrawalId(u128::from_be_bytes(withdrawal)))?;
            let network = Network::ALL
                .into_iter()
                .find(|known| known.number() == network)
                .ok_or_else(|| unusable(format!("no network has the number {network}")))?;
            let wallet =
                wallet.parse().map_err(|_| unusable(format!("no wallet has the name {wallet:?}")))?;
            Ok(Spend {
                intent,
                at,
                network,
                wallet,
                transactions: transactions.into_iter().map(spent).collect(),
            })
        };
        rows.into_iter().map(spend).collect()
    }

    pub(crate) fn transfers(&self) -> Sql<Vec<SpentTransfer>> {
        let rows = self.all(
            "select transfer, text from transfers order by transfer",
            [],
            |row| -> Sql<([u8; 16], String)> { Ok((row.get(0)?, row.get(1)?)) },
        )?;
        let transfer = |(transfer, text): ([u8; 16], String)| {
            let transactions = self.transfer_transactions(TransferId(u128::from_be_bytes(transfer)))?;
            Ok(SpentTransfer { text, transactions: transactions.into_iter().map(spent).collect() })
        };
        rows.into_iter().map(transfer).collect()
    }

    pub(crate) fn all_voided(&self) -> Sql<Vec<WithdrawalId>> {
        self.all("select withdrawal from voided order by withdrawal", [], |row| {
            Ok(WithdrawalId(u128::from_be_bytes(row.get(0)?)))
        })
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        with: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Sql<T>,
    ) -> Sql<T> {
        self.0.prepare_cached(sql)?.query_row(with, read)
    }

    pub(super) fn maybe<T>(
        &self,
        sql: &str,
        with: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Sql<T>,
    ) -> Sql<Option<T>> {
        self.one(sql, with, read).optional()
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        with: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> Sql<T>,
    ) -> Sql<Vec<T>> {
        self.0.prepare_cached(sql)?.query_map(with, read)?.collect()
    }

    pub(super) fn run(&self, sql: &str, with: impl rusqlite::Params) -> Sql<()> {
        self.0.prepare_cached(sql)?.execute(with).map(drop)
    }
}

fn authorised(row: &Row<'_>) -> Sql<Authorised> {
    let keys: Vec<u8> = row.get(2)?;
    let keys = minicbor::decode(&keys).map_err(|error| unusable(error.to_string()))?;
    Ok(Authorised {
        counter: unsigned(row, 0)?,
        digest: row.get(1)?,
        keys,
        at: Timestamp(unsigned(row, 3)?),
        outputs: row.get(4)?,
    })
}

fn spent(transaction: Authorised) -> SpentTransaction {
    let Authorised { digest, keys: conflict_keys, at, outputs, .. } = transaction;
    SpentTransaction { digest, conflict_keys, at, outputs }
}

fn bucket_key(bucket: &BucketName) -> (u8, &str, u8) {
    match bucket {
        BucketName::Vouched(symbol, network) => (0, symbol.as_str(), network.number()),
        BucketName::Unvouched(symbol, network) => (1, symbol.as_str(), network.number()),
        BucketName::Fee(wallet, network) => (2, wallet.as_str(), network.number()),
    }
}

pub(super) const fn id(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}

/// SQLite's integers are signed; who writes has seen that the number fits.
pub(super) fn signed(number: u64) -> Sql<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> Sql<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn unusable(message: String) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(message.into())
}
