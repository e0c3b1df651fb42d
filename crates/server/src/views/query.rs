//! The queries of the lists: each answers one page and the sequence that it is as of.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdfast_decision::acts::Digest;
use holdfast_decision::event::{Standing, Status};
use holdfast_values::{AccountId, Name, Network, Timestamp, WithdrawalId};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use tokio::sync::watch;

use super::rows::Listed;
use super::time::fixed;
use super::{
    AccountRow, AddressRow, AlarmRow, AuditRow, CaseRow, Cursor, DecisionRow, EnrolmentRow, Position,
    RecoveredRow, TransactionDetail, TransactionRow, ViewsError, WithdrawalRow, schema,
};
use crate::record::hex;

/// The longest page.
pub const PAGE_ROWS_MAX: u32 = 500;
/// How many idle connections are kept for the next reader.
const IDLE_MAX: usize = 8;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<String>,
    /// The last record that the views had seen.
    pub as_of: u64,
}

/// One object, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single<T> {
    /// The object.
    pub row: Option<T>,
    /// The last record that the views had seen.
    pub as_of: u64,
}

/// Which withdrawals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WithdrawalFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// That stand there.
    pub status: Option<Status>,
    /// Asked for at this time or later.
    pub from: Option<Timestamp>,
    /// Asked for before this time.
    pub to: Option<Timestamp>,
}

/// Which cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only open ones, or only closed ones.
    pub open: Option<bool>,
}

/// Which transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// That this wallet pays.
    pub wallet: Option<Name>,
    /// On this network.
    pub network: Option<Network>,
    /// That stand there.
    pub standing: Option<Standing>,
    /// That may pay this withdrawal.
    pub withdrawal: Option<WithdrawalId>,
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Records of this command.
    pub command: Option<String>,
    /// Only refused ones, or only those that were not.
    pub refused: Option<bool>,
}

/// Customers' credentials, for signers.
#[derive(Clone, Debug)]
pub struct Enrolments {
    /// Oldest first.
    pub rows: Vec<EnrolmentRow>,
    /// The last record that they know.
    pub as_of: u64,
}

/// Reads the views. Its functions block on the disk: call them where that is allowed.
#[derive(Debug)]
pub struct Views {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    position: watch::Receiver<Position>,
}

/// A list in the making: conditions with their values.
struct Select {
    table: &'static str,
    key: &'static str,
    conditions: Vec<String>,
    values: Vec<Sql>,
    /// Names list and filter for the cursor.
    name: String,
}

impl Select {
    fn from(table: &'static str, key: &'static str) -> Self {
        Self { table, key, conditions: Vec::new(), values: Vec::new(), name: table.to_owned() }
    }

    /// Adds a condition with one value; `condition` ends before the placeholder.
    fn filter(&mut self, condition: &str, value: impl Into<Sql>) {
        let value = value.into();
        self.name.push_str(&format!("|{condition}{value:?}"));
        self.place(condition, value);
    }

    fn place(&mut self, condition: &str, value: Sql) {
        self.values.push(value);
        self.conditions.push(format!("{condition}?{}", self.values.len()));
    }

    /// The same for a condition that is a query in parentheses, which end after the placeholder.
    fn filter_in(&mut self, condition: &str, value: impl Into<Sql>) {
        self.filter(condition, value);
        if let Some(condition) = self.conditions.last_mut() {
            condition.push(')');
        }
    }

    fn plain(&mut self, condition: &str) {
        self.name.push_str(&format!("|{condition}"));
        self.conditions.push(condition.to_owned());
    }

    fn text(&self) -> String {
        let conditions =
            if self.conditions.is_empty() { "1".to_owned() } else { self.conditions.join(" AND ") };
        let limit = self.values.len().saturating_add(1);
        format!(
            "SELECT *, {key} AS page_key FROM {table} WHERE {conditions} ORDER BY {key} DESC LIMIT ?{limit}",
            key = self.key,
            table = self.table
        )
    }
}

impl Views {
    pub(super) fn new(dir: &Path, position: watch::Receiver<Position>) -> Self {
        Self { path: schema::path(dir), idle: Mutex::new(Vec::new()), position }
    }

    /// Where the follower is.
    pub fn position(&self) -> Position {
        self.position.borrow().clone()
    }

    /// A channel that tells of every step of the follower.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }

    /// Waits until the views have seen `sequence`, at most `timeout`.
    ///
    /// # Errors
    /// [`ViewsError::Behind`] if they have not by then, or what stopped the follower.
    pub async fn wait_for(&self, sequence: u64, timeout: Duration) -> Result<u64, ViewsError> {
        let mut position = self.position.clone();
        let reached = async {
            position
                .wait_for(|position| position.head.sequence >= sequence || position.failed.is_some())
                .await
                .map(|position| position.clone())
        };
        let last = tokio::time::timeout(timeout, reached).await;
        let position = match last {
            Ok(Ok(position)) => position,
            Ok(Err(_)) | Err(_) => self.position(),
        };
        if position.head.sequence >= sequence {
            return Ok(position.head.sequence);
        }
        Err(position
            .failed
            .unwrap_or(ViewsError::Behind { position: position.head.sequence, wanted: sequence }))
    }

    /// Withdrawals, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn withdrawals(
        &self,
        filter: &WithdrawalFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<WithdrawalRow>, ViewsError> {
        let mut select = Select::from("withdrawals_on_chain", "sequence");
        if let Some(account) = &filter.account {
            select.filter("account = ", account.to_string());
        }
        if let Some(status) = filter.status {
            select.filter("status = ", status.name().to_owned());
        }
        self.page(select, cursor, limit, |connection, select| {
            // Time never goes back along the journal, so a span of time is a span of sequences.
            if let Some(from) = filter.from {
                let from = fixed(from);
                let first = edge(connection, &from)?.unwrap_or(i64::MAX);
                select.name.push_str(&format!("|from {from}"));
                select.place("sequence >= ", Sql::Integer(first));
            }
            if let Some(to) = filter.to {
                let to = fixed(to);
                let end = edge(connection, &to)?.unwrap_or(i64::MAX);
                select.name.push_str(&format!("|to {to}"));
                select.place("sequence < ", Sql::Integer(end));
            }
            Ok(())
        })
    }

    /// One withdrawal, open or closed.
    ///
    /// # Errors
    /// What the database says.
    pub fn withdrawal(&self, id: WithdrawalId) -> Result<Single<WithdrawalRow>, ViewsError> {
        self.single("SELECT * FROM withdrawals_on_chain WHERE id = ?1", &id.to_string())
    }

    /// Released transactions, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn transactions(
        &self,
        filter: &TransactionFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<TransactionRow>, ViewsError> {
        let mut select = Select::from("transactions", "number");
        if let Some(wallet) = &filter.wallet {
            select.filter("wallet = ", wallet.to_string());
        }
        if let Some(network) = filter.network {
            select.filter("network = ", network.name().to_owned());
        }
        if let Some(standing) = filter.standing {
            select.filter("standing = ", standing.name().to_owned());
        }
        if let Some(withdrawal) = filter.withdrawal {
            select.filter_in(
                "digest IN (SELECT digest FROM payments WHERE withdrawal = ",
                withdrawal.to_string(),
            );
        }
        self.page(select, cursor, limit, |_, _| Ok(()))
    }

    /// One transaction with what it pays.
    ///
    /// # Errors
    /// What the database says.
    pub fn transaction(&self, digest: &Digest) -> Result<Single<TransactionDetail>, ViewsError> {
        let digest = hex(&digest.0);
        self.reading(|connection, as_of| {
            let transaction = connection
                .prepare_cached("SELECT * FROM transactions WHERE digest = ?1")?
                .query_row([&digest], TransactionRow::read)
                .optional()?;
            let Some(transaction) = transaction else { return Ok(Single { row: None, as_of }) };
            let payments = connection
                .prepare_cached("SELECT withdrawal FROM payments WHERE digest = ?1 ORDER BY withdrawal")?
                .query_map([&digest], |row| row.get(0))?
                .collect::<Result<Vec<String>, _>>()?;
            let withdrawals = connection
                .prepare_cached(
                    "SELECT * FROM withdrawals_on_chain \
                     WHERE id IN (SELECT withdrawal FROM payments WHERE digest = ?1) ORDER BY id",
                )?
                .query_map([&digest], WithdrawalRow::read)?
                .collect::<Result<Vec<_>, _>>()?;
            let row = Some(TransactionDetail { transaction, withdrawals, payments });
            Ok(Single { row, as_of })
        })
    }

    /// Alarms of chains and signers, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn alarms(&self, cursor: Option<&str>, limit: u32) -> Result<Page<AlarmRow>, ViewsError> {
        self.page(Select::from("alarms", "number"), cursor, limit, |_, _| Ok(()))
    }

    /// Payments that signers remembered and restored journals did not, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn recovered(&self, cursor: Option<&str>, limit: u32) -> Result<Page<RecoveredRow>, ViewsError> {
        self.page(Select::from("recovered_spends", "number"), cursor, limit, |_, _| Ok(()))
    }

    /// What signers are told of customers' credentials, oldest first, after the given number.
    ///
    /// # Errors
    /// What the database says.
    pub fn enrolments(&self, after: u64, limit: u32) -> Result<Enrolments, ViewsError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.reading(|connection, as_of| {
            let mut statement = connection
                .prepare_cached("SELECT * FROM enrolments WHERE number > ?1 ORDER BY number LIMIT ?2")?;
            let rows = statement.query_map((after, limit), EnrolmentRow::read)?.collect::<Result<_, _>>()?;
            Ok(Enrolments { rows, as_of })
        })
    }

    /// One account.
    ///
    /// # Errors
    /// What the database says.
    pub fn account(&self, id: &AccountId) -> Result<Single<AccountRow>, ViewsError> {
        self.single("SELECT * FROM accounts WHERE id = ?1", id.as_str())
    }

    /// The decisions about one withdrawal, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn decisions(
        &self,
        withdrawal: WithdrawalId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DecisionRow>, ViewsError> {
        // One record decides the same withdrawal at most a few times; those stay together on one page.
        let mut select = Select::from("decisions", "sequence * 65536 + ordinal");
        select.filter("withdrawal = ", withdrawal.to_string());
        self.page(select, cursor, limit, |_, _| Ok(()))
    }

    /// Cases, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn cases(
        &self,
        filter: CaseFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<CaseRow>, ViewsError> {
        let mut select = Select::from("cases", "number");
        match filter.open {
            Some(true) => select.plain("closed_at IS NULL"),
            Some(false) => select.plain("closed_at IS NOT NULL"),
            None => {}
        }
        self.page(select, cursor, limit, |_, _| Ok(()))
    }

    /// Accounts, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn accounts(&self, cursor: Option<&str>, limit: u32) -> Result<Page<AccountRow>, ViewsError> {
        self.page(Select::from("accounts", "number"), cursor, limit, |_, _| Ok(()))
    }

    /// The address book of an account, in no order of time.
    ///
    /// # Errors
    /// What the database says.
    pub fn addresses(&self, account: &AccountId, limit: u32) -> Result<Page<AddressRow>, ViewsError> {
        self.reading(|connection, as_of| {
            let mut statement = connection.prepare_cached(
                "SELECT addresses.* FROM addresses JOIN accounts ON accounts.number = addresses.account \
                 WHERE accounts.id = ?1 ORDER BY destination LIMIT ?2",
            )?;
            let limit = limit.min(PAGE_ROWS_MAX);
            let rows = statement
                .query_map((account.as_str(), limit), AddressRow::read)?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Page { rows, next: None, as_of })
        })
    }

    /// Records, newest first.
    ///
    /// # Errors
    /// [`ViewsError::Cursor`] for a foreign cursor, otherwise what the database says.
    pub fn audit(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditRow>, ViewsError> {
        let mut select = Select::from("audit", "sequence");
        if let Some(command) = &filter.command {
            select.filter("command = ", command.clone());
        }
        match filter.refused {
            Some(true) => select.plain("refusal IS NOT NULL"),
            Some(false) => select.plain("refusal IS NULL"),
            None => {}
        }
        self.page(select, cursor, limit, |_, _| Ok(()))
    }

    fn page<T: Listed>(
        &self,
        mut select: Select,
        cursor: Option<&str>,
        limit: u32,
        more: impl FnOnce(&Connection, &mut Select) -> Result<(), rusqlite::Error>,
    ) -> Result<Page<T>, ViewsError> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let mut foreign = false;
        let page = self.reading(|connection, as_of| {
            more(connection, &mut select)?;
            match cursor.map(|cursor| Cursor::parse(cursor, &select.name)) {
                Some(Ok(cursor)) => {
                    let key = select.key;
                    select.place(&format!("{key} < "), Sql::Integer(cursor.key()));
                }
                Some(Err(_)) => {
                    foreign = true;
                    return Ok(Page { rows: Vec::new(), next: None, as_of });
                }
                None => {}
            }
            let mut statement = connection.prepare_cached(&select.text())?;
            // One row more than asked for tells whether there is a next page.
            let values =
                select.values.iter().cloned().chain([Sql::Integer(i64::from(limit).saturating_add(1))]);
            let mut rows: Vec<(i64, T)> = statement
                .query_map(params_from_iter(values), |row| Ok((row.get("page_key")?, T::read(row)?)))?
                .collect::<Result<_, _>>()?;
            let full = usize::try_from(limit).unwrap_or(usize::MAX);
            let more = rows.len() > full;
            rows.truncate(full);
            let last = rows.last().filter(|_| more).map(|(key, _)| *key);
            let next = last.map(|key| Cursor::at(key).print(&select.name));
            Ok(Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next, as_of })
        })?;
        if foreign { Err(ViewsError::Cursor) } else { Ok(page) }
    }

    fn single<T: Listed>(&self, sql: &str, id: &str) -> Result<Single<T>, ViewsError> {
        self.reading(|connection, as_of| {
            let row = connection.prepare_cached(sql)?.query_row([id], T::read).optional()?;
            Ok(Single { row, as_of })
        })
    }

    /// Runs queries against one state of the views and says which.
    fn reading<T>(
        &self,
        query: impl FnOnce(&Connection, u64) -> Result<T, rusqlite::Error>,
    ) -> Result<T, ViewsError> {
        if let Some(failed) = self.position.borrow().failed.clone().filter(ViewsError::is_cut) {
            return Err(failed);
        }
        let fail = |error: rusqlite::Error| ViewsError::database(&self.path, &error);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_read_only(&self.path)?,
        };
        let transaction = connection.transaction().map_err(fail)?;
        let as_of: Vec<u8> = transaction
            .prepare_cached("SELECT value FROM meta WHERE key = 'position'")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(fail)?;
        let as_of = as_of.try_into().map(u64::from_be_bytes).unwrap_or_default();
        let answer = query(&transaction, as_of).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(answer)
    }
}

/// The first withdrawal asked for at `time` or later.
fn edge(connection: &Connection, time: &str) -> Result<Option<i64>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT sequence FROM withdrawals WHERE requested_at >= ?1 ORDER BY requested_at, sequence LIMIT 1")?
        .query_row([time], |row| row.get(0))
        .optional()
}
