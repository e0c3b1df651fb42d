//! Records into tables: what each event changes in the read model. One transaction a batch, position included.

use std::path::{Path, PathBuf};

use holdfast_decision::acts::{Digest, scope_text};
use holdfast_decision::command::{Command, Evidence, ImportedAccount, ReceiptOutcome};
use holdfast_decision::configuration::Configuration;
use holdfast_decision::event::{
    AccountIndex, Change, Decision, Event, Status, TierIndex, WithdrawalRequested,
};
use holdfast_decision::reason::Severity;
use holdfast_journal::{Head, Record};
use holdfast_policy::Factor;
use holdfast_values::{CaseId, Fingerprint, Network, Timestamp, WithdrawalId};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::time::fixed;
use super::{ViewsError, schema};
use crate::record::chain::id_on_chain;
use crate::record::json::factor_names;
use crate::record::{self, Decoded, Names, hex};

/// The one writer of a `views.db`.
#[derive(Debug)]
pub(super) struct Projection {
    path: PathBuf,
    connection: Connection,
    head: Head,
    configuration: Option<Configuration>,
}

impl Projection {
    pub(super) fn new(path: &Path, connection: Connection) -> Result<Self, ViewsError> {
        let meta = schema::meta(&connection, path)?;
        Ok(Self { path: path.to_owned(), connection, head: meta.head, configuration: meta.configuration })
    }

    /// The last record that was folded.
    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// Folds consecutive records that follow the head, all or none.
    pub(super) fn fold(&mut self, records: &[Record]) -> Result<Head, ViewsError> {
        let mut configuration = self.configuration.clone();
        let mut head = self.head;
        let path = self.path.clone();
        let fail = |error: rusqlite::Error| ViewsError::database(&path, &error);
        let transaction = self.connection.transaction().map_err(fail)?;
        for record in records {
            let decoded = record::decode(record)?;
            let mut writer =
                Writer { connection: &transaction, configuration: &mut configuration, record: &decoded };
            writer.record().map_err(|error| match error {
                FoldError::Database(error) => ViewsError::database(&path, &error),
                FoldError::Unknown(what) => ViewsError::Unknown { sequence: decoded.sequence, what },
            })?;
            head = record.head();
        }
        schema::put_head(&transaction, head).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        self.configuration = configuration;
        self.head = head;
        Ok(head)
    }

    /// Hands the connection back, once everything is folded.
    pub(super) fn close(self) -> Result<(), ViewsError> {
        self.connection.close().map_err(|(_, error)| ViewsError::database(&self.path, &error))
    }
}

pub(super) enum FoldError {
    Database(rusqlite::Error),
    Unknown(&'static str),
}

impl From<rusqlite::Error> for FoldError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Folds one record.
pub(super) struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) configuration: &'a mut Option<Configuration>,
    pub(super) record: &'a Decoded,
}

/// Sequences fit: the journal keeps them in the same kind of column.
pub(super) const fn integer(sequence: u64) -> i64 {
    sequence.cast_signed()
}

impl Writer<'_> {
    pub(super) fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, FoldError> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    pub(super) fn sequence(&self) -> i64 {
        integer(self.record.sequence)
    }

    fn record(&mut self) -> Result<(), FoldError> {
        let record = self.record;
        for (ordinal, event) in (0_i64..).zip(&record.events) {
            self.event(ordinal, event)?;
        }
        let audit = audit(record);
        self.run(
            "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.sequence(),
                fixed(record.at),
                record::command_name(&record.command),
                audit.by,
                audit.subject,
                audit.refusal,
                audit.summary
            ],
        )?;
        Ok(())
    }

    fn event(&mut self, ordinal: i64, event: &Event) -> Result<(), FoldError> {
        let at = self.record.at;
        match event {
            Event::Initialised(initialise) => {
                self.policy_pack(&initialise.policy.hash)?;
                self.configure(&initialise.configuration)
            }
            Event::Configured(configuration) => self.configure(configuration),
            Event::AccountOpened { account, tier } => {
                self.open_account(account.as_str(), *tier, at).map(drop)
            }
            Event::AccountImported { account, tier } => self.import_account(account, *tier),
            Event::AccountFrozen(account) | Event::OwnerFroze { account } => {
                self.account(*account, "frozen = 1", None)
            }
            Event::AccountUnfrozen(account) => self.account(*account, "frozen = 0", None),
            Event::TierSet { account, tier } => {
                let tier = self.tier(*tier)?;
                self.account(*account, "tier = ?3", Some(tier))
            }
            Event::LimitsSet { account, usd_cents_24h, usd_cents_30d } => {
                self.account(*account, "limit_usd_24h = ?3", usd_cents_24h.map(|cents| cents.to_string()))?;
                self.account(*account, "limit_usd_30d = ?3", usd_cents_30d.map(|cents| cents.to_string()))
            }
            Event::SecurityChanged { account, .. } => {
                self.account(*account, "security_changed_at = ?3", Some(fixed(at)))
            }
            Event::AddressRecorded { account, destination } => {
                self.record_address(account.0, destination, at)
            }
            Event::NoticeDelivered { account, destination } => {
                self.address(*account, destination, "notice_delivered_at")
            }
            Event::AddressRemoved { account, destination } => {
                self.address(*account, destination, "removed_at")
            }
            Event::WithdrawalRequested(requested) => self.request(requested),
            Event::WithdrawalDecided { withdrawal, decision } => self.decide(ordinal, *withdrawal, decision),
            Event::FactorDischarged { withdrawal, factor } => self.discharge(*withdrawal, factor.name()),
            Event::CaseApproved { withdrawal, .. } | Event::WithdrawalApproved { withdrawal, .. } => {
                self.close_case(*withdrawal, "approved")
            }
            Event::Reserved { withdrawal, class } => {
                self.withdrawal(*withdrawal, "reserved", Some(class.name().to_owned()))
            }
            Event::ReservationReturned { withdrawal } => self.withdrawal(*withdrawal, "reserved", None),
            Event::Queued { withdrawal, turn, .. } => {
                self.run(
                    "UPDATE withdrawals SET queued_turn = ?3, updated_sequence = ?2 WHERE id = ?1",
                    params![withdrawal.to_string(), self.sequence(), turn],
                )?;
                Ok(())
            }
            Event::Unqueued { withdrawal } => self.withdrawal(*withdrawal, "queued_turn", None),
            Event::WithdrawalCancelled { withdrawal } => self.close(*withdrawal, Status::Cancelled),
            Event::WithdrawalExpired { withdrawal } => self.close(*withdrawal, Status::Expired),
            Event::TransactionReleased(_)
            | Event::ReleaseDropped { .. }
            | Event::WithdrawalMoved { .. }
            | Event::WithdrawalPaid { .. }
            | Event::TransactionObserved { .. }
            | Event::ChainAlarm { .. }
            | Event::ReceiptRecorded { .. }
            | Event::EpochBegun { .. }
            | Event::SpendRecovered(_) => self.ledger(event),
            Event::IntentApproved { withdrawal, .. } => self.discharge(*withdrawal, Factor::Passkey.name()),
            Event::IntentLapsed { withdrawal } => self.lapse(*withdrawal),
            Event::IntentRenewed { withdrawal, not_after, .. } => {
                self.withdrawal(*withdrawal, "not_after", Some(fixed(*not_after)))
            }
            Event::ProtectionChanged { account, change, basis, .. } => match **change {
                Change::Unfreeze => self.account(*account, "frozen = 0", None),
                _ => self.credential(*account, change, *basis),
            },
            Event::AccountRecovered { account, credential, .. } => {
                self.recovered_account(*account, credential)
            }
            Event::PolicyActivated(source) => self.policy_pack(&source.hash),
            Event::PolicyProposed(opened) => self.policy_proposed(opened),
            Event::PolicyMoved(moved) => self.policy_moved(moved),
            Event::ActScheduled(scheduled) => self.act_scheduled(scheduled),
            // What lapsed here, because somebody who signed it was revoked for instance, must not ripen there.
            Event::ActStopped { nonce, .. } | Event::ActLapsed { nonce, .. } => self.act_stopped(nonce),
            Event::DowntimeRecorded { .. }
            | Event::ClockSuspected
            | Event::ClockConfirmed
            | Event::SnapshotRecorded { .. }
            | Event::ApiKeyPut { .. }
            | Event::ApiKeyRevoked { .. }
            | Event::PricesSet { .. }
            | Event::LaneScheduled { .. }
            | Event::Halted { .. }
            | Event::Resumed { .. }
            | Event::ActAccepted { .. }
            | Event::OperatorEnrolled(_)
            | Event::OperatorRevoked(_)
            | Event::RulesActivated(_)
            | Event::ImportAuthorised(_)
            | Event::ImportDone(_)
            | Event::TokenIssued(_)
            | Event::TokenRevoked(_)
            | Event::Refused { .. }
            | Event::Repeated { .. }
            | Event::Trimmed { .. }
            | Event::UnlockBegun { .. }
            | Event::CodeAccepted { .. }
            | Event::CodeFailed { .. }
            | Event::SessionSeen { .. }
            | Event::ApiKeysRevoked { .. }
            | Event::ApiKeysUsed { .. }
            | Event::ApiKeyWoke { .. }
            | Event::ProposalClosed { .. }
            | Event::ActTookEffect { .. }
            | Event::MandateUsed { .. } => Ok(()),
        }
    }

    fn configure(&mut self, configuration: &Configuration) -> Result<(), FoldError> {
        let bytes = minicbor::to_vec(configuration).map_err(|_| FoldError::Unknown("configuration"))?;
        schema::put(self.connection, "configuration", bytes)?;
        *self.configuration = Some(configuration.clone());
        Ok(())
    }

    fn tier(&self, tier: TierIndex) -> Result<String, FoldError> {
        let tiers = self.configuration.as_ref().map(|configuration| configuration.tiers.as_slice());
        let tier =
            tiers.and_then(|tiers| tiers.get(usize::from(tier.0))).ok_or(FoldError::Unknown("tier"))?;
        Ok(tier.name.to_string())
    }

    /// Numbers the next account as the core does: in the order of their first record.
    fn open_account(&self, account: &str, tier: TierIndex, at: Timestamp) -> Result<u32, FoldError> {
        let number: u32 = self
            .connection
            .prepare_cached("SELECT coalesce(max(number) + 1, 0) FROM accounts")?
            .query_row([], |row| row.get(0))?;
        self.run(
            "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, 0, NULL, NULL, NULL, ?5)",
            params![number, account, self.tier(tier)?, fixed(at), self.sequence()],
        )?;
        Ok(number)
    }

    fn import_account(&self, account: &ImportedAccount, tier: TierIndex) -> Result<(), FoldError> {
        let number = self.open_account(account.account.as_str(), tier, account.opened_at)?;
        for address in &account.addresses {
            self.record_address(number, &address.destination, address.first_recorded_at)?;
        }
        Ok(())
    }

    /// Changes one column of an account; `change` may use `?3`.
    fn account(&self, account: AccountIndex, change: &str, value: Option<String>) -> Result<(), FoldError> {
        let sql = format!("UPDATE accounts SET {change}, updated_sequence = ?2 WHERE number = ?1");
        let rows = if change.contains("?3") {
            self.run(&sql, params![account.0, self.sequence(), value])?
        } else {
            self.run(&sql, params![account.0, self.sequence()])?
        };
        if rows == 1 { Ok(()) } else { Err(FoldError::Unknown("account")) }
    }

    fn record_address(
        &self,
        account: u32,
        destination: &Fingerprint,
        at: Timestamp,
    ) -> Result<(), FoldError> {
        // A destination that was removed and returns is new again.
        self.run(
            "INSERT OR REPLACE INTO addresses VALUES (?1, ?2, ?3, NULL, NULL)",
            params![account, destination.to_string(), fixed(at)],
        )?;
        Ok(())
    }

    fn address(
        &self,
        account: AccountIndex,
        destination: &Fingerprint,
        column: &str,
    ) -> Result<(), FoldError> {
        self.run(
            &format!("UPDATE addresses SET {column} = ?3 WHERE account = ?1 AND destination = ?2"),
            params![account.0, destination.to_string(), fixed(self.record.at)],
        )?;
        Ok(())
    }

    fn request(&self, requested: &WithdrawalRequested) -> Result<(), FoldError> {
        let configuration = self.configuration.as_ref().ok_or(FoldError::Unknown("configuration"))?;
        let asset =
            configuration.assets.get(usize::from(requested.asset.0)).ok_or(FoldError::Unknown("asset"))?;
        let wallet =
            configuration.wallets.get(usize::from(requested.wallet.0)).ok_or(FoldError::Unknown("wallet"))?;
        let account = account_id(self.connection, requested.account)?.ok_or(FoldError::Unknown("account"))?;
        let channel = match requested.evidence {
            Evidence::Session { .. } | Evidence::Device { .. } => "session",
            Evidence::ApiRequest(_) => "api",
        };
        let decimals = asset.spec.decimals;
        // The decision follows in the same record and fills in what is empty here.
        self.run(
            "INSERT INTO withdrawals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             '', '', '', ?14, '[]', '[]', NULL, NULL, ?14, NULL, NULL, ?1)",
            params![
                self.sequence(),
                requested.withdrawal.to_string(),
                account,
                asset.spec.symbol.as_str(),
                requested.destination.network().name(),
                wallet.name.as_str(),
                requested.destination.address(),
                requested.destination.memo(),
                requested.amount.to_fixed(decimals),
                requested.fee_max.to_fixed(decimals),
                requested.usd_cents.to_string(),
                channel,
                hex(&requested.nonce),
                fixed(self.record.at),
                fixed(requested.not_after),
            ],
        )?;
        Ok(())
    }

    fn decide(&self, ordinal: i64, withdrawal: WithdrawalId, decision: &Decision) -> Result<(), FoldError> {
        let id = withdrawal.to_string();
        let at = fixed(self.record.at);
        let factors = Value::from(factor_names(decision.factors)).to_string();
        let reasons: Value = decision.reasons.iter().map(record::reason_json).collect();
        let reasons = reasons.to_string();
        let (outcome, status, class) =
            (decision.severity.name(), decision.status.name(), decision.class.name());
        let (dwell_until, usd) = (fixed(decision.dwell_until), decision.usd_cents.to_string());
        self.run(
            "INSERT INTO decisions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                self.sequence(),
                ordinal,
                id,
                at,
                outcome,
                status,
                class,
                dwell_until,
                factors,
                usd,
                reasons,
                self.record.rules,
                hex(&self.record.policy)
            ],
        )?;
        let rows = self.run(
            "UPDATE withdrawals SET status = ?3, outcome = ?4, class = ?5, dwell_until = ?6, factors = ?7, reasons = ?8, \
             usd = ?9, decided_at = ?10, updated_sequence = ?2 WHERE id = ?1",
            params![
                id,
                self.sequence(),
                status,
                outcome,
                class,
                dwell_until,
                factors,
                reasons,
                usd,
                at
            ],
        )?;
        if rows != 1 {
            return Err(FoldError::Unknown("withdrawal"));
        }
        if decision.status.is_final() {
            self.end(withdrawal)?;
        }
        match decision.status {
            Status::Held => self.open_case(withdrawal, &reasons),
            Status::Denied => self.close_case(withdrawal, "denied"),
            Status::Approved | Status::Dwelling | Status::AwaitingApproval => {
                self.close_case(withdrawal, "released")
            }
            Status::Cancelled | Status::Expired | Status::Voided | Status::Replaced | Status::Failed => {
                self.close_case(withdrawal, status)
            }
            // No decision leads there: these come with releases and from chains.
            Status::Released | Status::Broadcast | Status::Confirmed => Ok(()),
        }
    }

    fn discharge(&self, withdrawal: WithdrawalId, factor: &str) -> Result<(), FoldError> {
        let id = withdrawal.to_string();
        let factors: Option<String> = self
            .connection
            .prepare_cached("SELECT factors FROM withdrawals WHERE id = ?1")?
            .query_row([&id], |row| row.get(0))
            .optional()?;
        let factors: Vec<String> = factors
            .and_then(|text| serde_json::from_str(&text).ok())
            .ok_or(FoldError::Unknown("withdrawal"))?;
        let left: Vec<String> = factors.into_iter().filter(|left| left != factor).collect();
        self.withdrawal(withdrawal, "factors", Some(Value::from(left).to_string()))
    }

    /// Its text is past its time: nothing that was said for it holds, and its owner is asked for another.
    fn lapse(&self, withdrawal: WithdrawalId) -> Result<(), FoldError> {
        let rows = self.run(
            "UPDATE withdrawals SET status = ?3, outcome = ?4, factors = '[]', reasons = '[]', updated_sequence = ?2 \
             WHERE id = ?1",
            params![
                withdrawal.to_string(),
                self.sequence(),
                Status::AwaitingApproval.name(),
                Severity::StepUp.name()
            ],
        )?;
        if rows != 1 {
            return Err(FoldError::Unknown("withdrawal"));
        }
        self.close_case(withdrawal, "lapsed")
    }

    /// Changes one column of a withdrawal.
    pub(super) fn withdrawal(
        &self,
        withdrawal: WithdrawalId,
        column: &str,
        value: Option<String>,
    ) -> Result<(), FoldError> {
        let sql = format!("UPDATE withdrawals SET {column} = ?3, updated_sequence = ?2 WHERE id = ?1");
        match self.run(&sql, params![withdrawal.to_string(), self.sequence(), value])? {
            1 => Ok(()),
            _ => Err(FoldError::Unknown("withdrawal")),
        }
    }

    pub(super) fn close(&self, withdrawal: WithdrawalId, status: Status) -> Result<(), FoldError> {
        self.withdrawal(withdrawal, "status", Some(status.name().to_owned()))?;
        self.end(withdrawal)?;
        self.close_case(withdrawal, status.name())
    }

    /// What ends gives back what it held and waits for nothing.
    pub(super) fn end(&self, withdrawal: WithdrawalId) -> Result<(), FoldError> {
        self.run(
            "UPDATE withdrawals SET closed_at = ?3, reserved = NULL, queued_turn = NULL, updated_sequence = ?2 \
             WHERE id = ?1",
            params![withdrawal.to_string(), self.sequence(), fixed(self.record.at)],
        )?;
        Ok(())
    }

    fn open_case(&self, withdrawal: WithdrawalId, reasons: &str) -> Result<(), FoldError> {
        let id = withdrawal.to_string();
        let open: bool = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM cases WHERE withdrawal = ?1 AND closed_at IS NULL)",
            )?
            .query_row([&id], |row| row.get(0))?;
        if open {
            self.run(
                "UPDATE cases SET reasons = ?2 WHERE withdrawal = ?1 AND closed_at IS NULL",
                params![id, reasons],
            )?;
            return Ok(());
        }
        self.run(
            "INSERT INTO cases (id, withdrawal, account, opened_sequence, opened_at, reasons) \
             SELECT ?1, id, account, ?3, ?4, ?5 FROM withdrawals WHERE id = ?2",
            params![case_of(withdrawal).to_string(), id, self.sequence(), fixed(self.record.at), reasons],
        )?;
        Ok(())
    }

    /// Closes the open case about a withdrawal, if there is one.
    pub(super) fn close_case(&self, withdrawal: WithdrawalId, result: &str) -> Result<(), FoldError> {
        self.run(
            "UPDATE cases SET closed_sequence = ?2, closed_at = ?3, result = ?4 \
             WHERE withdrawal = ?1 AND closed_at IS NULL",
            params![withdrawal.to_string(), self.sequence(), fixed(self.record.at), result],
        )?;
        Ok(())
    }
}

/// The case about a withdrawal carries its number.
pub(crate) const fn case_of(withdrawal: WithdrawalId) -> CaseId {
    CaseId(withdrawal.0)
}

fn account_id(connection: &Connection, account: AccountIndex) -> Result<Option<String>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT id FROM accounts WHERE number = ?1")?
        .query_row([account.0], |row| row.get(0))
        .optional()
}

/// The network of a transaction.
pub(super) fn network_of(connection: &Connection, digest: &str) -> Result<Option<Network>, rusqlite::Error> {
    let name: Option<String> = connection
        .prepare_cached("SELECT network FROM transactions WHERE digest = ?1")?
        .query_row([digest], |row| row.get(0))
        .optional()?;
    Ok(name.and_then(|name| name.parse().ok()))
}

/// The names behind indexes, out of the views.
#[derive(Debug)]
pub struct DbNames {
    connection: Connection,
    configuration: Option<Configuration>,
}

impl DbNames {
    /// Names as of the views' position now. Accounts that enter later are found all the same.
    ///
    /// # Errors
    /// [`ViewsError`] if the views cannot be read.
    pub fn open(dir: &Path) -> Result<Self, ViewsError> {
        let path = schema::path(dir);
        let connection = schema::open_read_only(&path)?;
        let configuration = schema::meta(&connection, &path)?.configuration;
        Ok(Self { connection, configuration })
    }

    /// Takes in a configuration that a record brings.
    pub fn learn(&mut self, event: &Event) {
        match event {
            Event::Initialised(initialise) => self.configuration = Some(initialise.configuration.clone()),
            Event::Configured(configuration) => self.configuration = Some((**configuration).clone()),
            _ => {}
        }
    }

    /// What a message about a withdrawal says of it besides the event: account, asset, network, amount.
    pub fn withdrawal(&self, withdrawal: WithdrawalId) -> Option<WithdrawalNames> {
        self.connection
            .prepare_cached("SELECT account, asset, network, amount FROM withdrawals WHERE id = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([withdrawal.to_string()], |row| {
                        Ok(WithdrawalNames {
                            account: row.get(0)?,
                            asset: row.get(1)?,
                            network: row.get(2)?,
                            amount: row.get(3)?,
                        })
                    })
                    .optional()
            })
            .ok()
            .flatten()
    }
}

impl DbNames {
    /// True if this record opened the case about a withdrawal.
    pub fn opened_case(&self, withdrawal: WithdrawalId, sequence: u64) -> bool {
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM cases WHERE withdrawal = ?1 AND opened_sequence = ?2)",
            )
            .and_then(|mut statement| {
                statement.query_row(params![withdrawal.to_string(), integer(sequence)], |row| row.get(0))
            })
            .unwrap_or(false)
    }
}

/// What never changes about a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalNames {
    /// Whose.
    pub account: String,
    /// What.
    pub asset: String,
    /// By which network.
    pub network: String,
    /// How much, in whole units.
    pub amount: String,
}

impl Names for DbNames {
    fn account(&self, index: AccountIndex) -> Option<String> {
        account_id(&self.connection, index).ok().flatten()
    }

    fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    fn network_of(&self, transaction: &Digest) -> Option<Network> {
        network_of(&self.connection, &hex(&transaction.0)).ok().flatten()
    }
}

/// One record for the audit list.
struct Audit {
    by: Option<String>,
    subject: Option<String>,
    refusal: Option<&'static str>,
    summary: String,
}

fn audit(record: &Decoded) -> Audit {
    let (by, subject) = who_and_what(&record.command);
    let refusal = record.events.iter().find_map(|event| match event {
        Event::Refused { refusal, .. } => Some(refusal.code()),
        _ => None,
    });
    Audit { by, subject, refusal, summary: summary(&record.events) }
}

fn who_and_what(command: &Command) -> (Option<String>, Option<String>) {
    match command {
        Command::Initialise(initialise) => (None, Some(initialise.exchange.clone())),
        Command::Start
        | Command::Tick
        | Command::SuspectClock { .. }
        | Command::RecordSnapshot { .. }
        | Command::SetPrices { .. }
        | Command::RecordKeyUse { .. }
        | Command::ImportChunk { .. } => (None, None),
        Command::OpenAccount { account, .. }
        | Command::LowerLimits { account, .. }
        | Command::RecordSecurityChange { account, .. }
        | Command::PutApiKey { account, .. }
        | Command::RevokeApiKey { account, .. }
        | Command::AddAddress { account, .. }
        | Command::RemoveAddress { account, .. }
        | Command::RecordNoticeDelivered { account, .. } => (None, Some(account.to_string())),
        Command::FreezeAccount { account, by } => (Some(by.to_string()), Some(account.to_string())),
        Command::RequestWithdrawal(request) => (None, Some(request.withdrawal.to_string())),
        Command::CancelWithdrawal { withdrawal, .. } | Command::ReportOneTimeCode { withdrawal, .. } => {
            (None, Some(withdrawal.to_string()))
        }
        Command::Halt { scope, by } => (Some(by.to_string()), Some(scope_text(scope))),
        Command::DenyWithdrawal { withdrawal, by } => (Some(by.to_string()), Some(withdrawal.to_string())),
        Command::OperatorAct(act) => {
            let by: Vec<&str> =
                act.signatures.iter().map(|signature| signature.operator.name.as_str()).collect();
            let lines = act.act.lines();
            (Some(by.join(", ")), Some(format!("{} {}", lines.act, lines.target)))
        }
        Command::StopAct { act, by } => (Some(by.to_string()), Some(format!("act:{}", hex(&act.0)))),
        Command::RevokeToken { client, by } => (Some(by.to_string()), Some(client.to_string())),
        Command::ProposeTransaction(proposed) => (None, Some(hex(&proposed.transaction.0))),
        Command::RecordReceipt(receipt) => {
            let subject = match &receipt.what {
                ReceiptOutcome::Authorised { transaction, .. } => hex(&transaction.0),
                ReceiptOutcome::Voided { withdrawal } => withdrawal.to_string(),
            };
            (Some(receipt.signer.to_string()), Some(subject))
        }
        Command::ApproveIntent { withdrawal, .. } | Command::RenewIntent { withdrawal, .. } => {
            (None, Some(withdrawal.to_string()))
        }
        Command::ChangeProtection(asked) => {
            (None, Some(format!("{} {}", asked.account, asked.change.name())))
        }
        Command::PresentCode(shown) => (None, Some(shown.account.to_string())),
        Command::RecordSession(session) => (None, Some(session.account.to_string())),
        Command::RevokeApiKeys { by, .. } => (Some(by.to_string()), Some("api keys".to_owned())),
        Command::RecordObservation(seen) => (None, Some(id_on_chain(&seen.chain_id, seen.network))),
    }
}

/// The names of the events, each with how often it happened if more than once; outcomes with their status.
fn summary(events: &[Event]) -> String {
    let mut parts: Vec<(String, usize)> = Vec::new();
    for event in events {
        let name = match event {
            Event::WithdrawalDecided { decision, .. } => format!("decided: {}", decision.status.name()),
            Event::Refused { refusal, .. } => format!("refused: {}", refusal.code()),
            Event::WithdrawalMoved { status, .. } => format!("moved: {}", status.name()),
            Event::TransactionObserved { standing, .. } => format!("observed: {}", standing.name()),
            Event::ChainAlarm { alarm, .. } => format!("alarm: {}", alarm.name()),
            Event::ProposalClosed { why, .. } => format!("proposal_closed: {}", why.name()),
            Event::ActScheduled(scheduled) => format!("scheduled: {}", scheduled.act.lines().act),
            Event::ActLapsed { refusal, .. } => format!("lapsed: {}", refusal.code()),
            Event::PolicyMoved(moved) => format!("policy: {}", moved.how.name()),
            Event::ProtectionChanged { change, .. } => format!("changed: {}", change.name()),
            other => record::event_name(other).to_owned(),
        };
        match parts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => *times = times.saturating_add(1),
            None => parts.push((name, 1)),
        }
    }
    let texts: Vec<String> = parts
        .into_iter()
        .map(|(name, times)| if times == 1 { name } else { format!("{name} x{times}") })
        .collect();
    texts.join(", ")
}
