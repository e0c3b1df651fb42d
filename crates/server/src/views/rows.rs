//! What the lists return: rows with readable texts, ready to be serialised.

use rusqlite::Row;
use serde::Serialize;
use serde_json::Value;

use super::time::ordinary;

/// A withdrawal as the views have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WithdrawalRow {
    /// The record that it was asked for in.
    pub sequence: u64,
    /// Its id.
    pub id: String,
    /// Whose.
    pub account: String,
    /// What.
    pub asset: String,
    /// By which network.
    pub network: String,
    /// Who pays.
    pub wallet: String,
    /// Where to.
    pub address: String,
    /// With which tag or memo.
    pub memo: Option<String>,
    /// What arrives, in whole units.
    pub amount: String,
    /// What is charged on top at most, in whole units.
    pub fee_max: String,
    /// Value at the 24 h high, in US dollars.
    pub usd: String,
    /// `session` or `api`.
    pub channel: String,
    /// For the text that may be signed, in hex.
    pub nonce: String,
    /// When it was asked for.
    pub requested_at: String,
    /// The text's not-after.
    pub not_after: String,
    /// Where it stands.
    pub status: String,
    /// The severity of its last decision.
    pub outcome: String,
    /// Whose bucket it spends.
    pub class: String,
    /// It waits at least until then.
    pub dwell_until: String,
    /// Factors asked for and not yet shown.
    pub factors: Vec<String>,
    /// Why, as in the decision.
    pub reasons: Value,
    /// The class of the buckets that hold its value at the moment.
    pub reserved: Option<String>,
    /// Its turn among its account's withdrawals in the queue, if it queues.
    pub queued_turn: Option<u32>,
    /// When it was last decided.
    pub decided_at: String,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// When the transaction that paid it became final. Its status stays `confirmed`.
    pub paid_at: Option<String>,
    /// The transaction that pays it, once one was released: of several the one that came furthest.
    pub transaction: Option<PayingRow>,
    /// The last record that changed it.
    pub updated_sequence: u64,
}

/// The transaction that pays a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PayingRow {
    /// Its digest, in hex.
    pub digest: String,
    /// Its id on the chain as explorers write it, once it was seen there.
    pub chain_id: Option<String>,
    /// Where it stands: `unseen`, `pending`, `included`, `failed`, `vanished`, `final` or `dead`.
    pub standing: String,
    /// How many blocks deep.
    pub confirmations: u32,
}

/// A transaction that a signer may have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionRow {
    /// The record that first released it, or recovered it from a signer's statement.
    pub sequence: u64,
    /// Its digest, in hex.
    pub digest: String,
    /// Its last release; none if only its signer remembers it.
    pub release_id: Option<String>,
    /// For which signer.
    pub signer: String,
    /// Who pays.
    pub wallet: String,
    /// Where.
    pub network: String,
    /// What it spends: outpoints, or a sender's nonce.
    pub spends: Vec<String>,
    /// The digest of its outputs, in hex.
    pub outputs: Option<String>,
    /// What it costs at most, in whole coins of the network.
    pub fee: Option<String>,
    /// The same in the network's own units.
    pub fee_network_units: Option<String>,
    /// The internal transfer that it is instead of a batch.
    pub transfer: Option<String>,
    /// The transfer's text.
    pub transfer_text: Option<String>,
    /// What the transfer pays outside the wallets: `asset`, `amount` and `usd`.
    pub external: Option<Value>,
    /// `unseen`, `pending`, `included`, `failed`, `vanished`, `final` or `dead`.
    pub standing: String,
    /// How many blocks deep.
    pub confirmations: u32,
    /// Its id on the chain as explorers write it, once it was seen there.
    pub chain_id: Option<String>,
    /// Its signer's receipt was seen.
    pub is_signed: bool,
    /// When it was first released or recovered.
    pub released_at: String,
    /// Until when its last release is good.
    pub expires: Option<String>,
    /// When a chain first showed it.
    pub seen_at: Option<String>,
    /// Since when it is final or dead.
    pub over_at: Option<String>,
    /// The last record that changed it.
    pub updated_sequence: u64,
}

/// A transaction and what it pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionDetail {
    /// The transaction.
    pub transaction: TransactionRow,
    /// The withdrawals that it pays, by id. A signer may remember one that the journal does not have: it is not here.
    pub withdrawals: Vec<WithdrawalRow>,
    /// The ids of all withdrawals that it pays, in order.
    pub payments: Vec<String>,
}

/// What a chain or a signer showed that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmRow {
    /// The record.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// `unknown_spend`, `deep_reorganisation` or `unknown_authorisation`.
    pub alarm: String,
    /// Whose coins.
    pub wallet: String,
    /// Where.
    pub network: String,
    /// The transaction's id on the chain, or the digest that a receipt names.
    pub transaction: String,
    /// What it spends.
    pub spends: Vec<String>,
}

/// A payment that a signer remembered and the restored journal did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecoveredRow {
    /// The record.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// Which withdrawal.
    pub withdrawal: String,
    /// The signer.
    pub signer: String,
    /// Who paid.
    pub wallet: String,
    /// Where.
    pub network: String,
    /// The digests of the transactions that may pay it.
    pub transactions: Vec<String>,
    /// It was not among the open withdrawals.
    pub is_lost: bool,
    /// Its text, as the signer recorded it.
    pub intent: String,
}

/// A customer's credential, enrolled or removed, or a step of the policy, for signers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnrolmentRow {
    /// Its place in the order.
    pub number: u64,
    /// The record.
    pub sequence: u64,
    /// Whose; empty for a step of the policy.
    pub account: String,
    /// Keyed fingerprint of its id, or the nonce of the step's text.
    pub credential: String,
    /// Made under legacy U2F.
    pub legacy_u2f: bool,
    /// It is gone; of a step of the policy: stopped.
    pub is_removal: bool,
    /// Of a step of the policy: the record with its text.
    pub step_source: Option<u64>,
    /// And the one with its proposal, or with the pack before.
    pub step_before: Option<u64>,
}

/// One decision about a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionRow {
    /// The record.
    pub sequence: u64,
    /// The place of the event in it.
    pub ordinal: u64,
    /// About which withdrawal.
    pub withdrawal: String,
    /// When.
    pub at: String,
    /// Its severity.
    pub outcome: String,
    /// Where the withdrawal stood after it.
    pub status: String,
    /// The class.
    pub class: String,
    /// The dwell.
    pub dwell_until: String,
    /// The factors.
    pub factors: Vec<String>,
    /// Value at the 24 h high, in US dollars.
    pub usd: String,
    /// Why.
    pub reasons: Value,
    /// The version of the rules.
    pub rules: u32,
    /// The hash of the policy.
    pub policy: String,
}

/// A case: a withdrawal that a person looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseRow {
    /// Its id.
    pub id: String,
    /// About which withdrawal.
    pub withdrawal: String,
    /// Whose.
    pub account: String,
    /// The record that opened it.
    pub opened_sequence: u64,
    /// When.
    pub opened_at: String,
    /// Why.
    pub reasons: Value,
    /// The record that closed it.
    pub closed_sequence: Option<u64>,
    /// When.
    pub closed_at: Option<String>,
    /// `approved`, `denied`, `cancelled`, `expired`, `voided`, `released` (it needs nobody any more) or `recovered` (its
    /// signer had paid it).
    pub result: Option<String>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountRow {
    /// The exchange's id.
    pub id: String,
    /// Its tier.
    pub tier: String,
    /// When it was opened.
    pub opened_at: String,
    /// Whether it stands still.
    pub frozen: bool,
    /// Its own daily limit in US dollars; none is the tier's.
    pub limit_usd_24h: Option<String>,
    /// Its own monthly limit in US dollars; none is the tier's.
    pub limit_usd_30d: Option<String>,
    /// When its protection last changed.
    pub security_changed_at: Option<String>,
    /// The last record that changed it.
    pub updated_sequence: u64,
}

/// A destination of an account's address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressRow {
    /// Keyed fingerprint of the destination, in hex.
    pub destination: String,
    /// When Holdfast first recorded it.
    pub recorded_at: String,
    /// When its owner was told.
    pub notice_delivered_at: Option<String>,
    /// When it was forgotten.
    pub removed_at: Option<String>,
}

/// One record, for people who ask who did what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// The record.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// What was asked.
    pub command: String,
    /// By whom, where a command names somebody: client or operators.
    pub by: Option<String>,
    /// About what: an account, a withdrawal, a scope, a client or an operator's act.
    pub subject: Option<String>,
    /// Why it was refused, if it was.
    pub refusal: Option<String>,
    /// What happened.
    pub summary: String,
}

fn unsigned(row: &Row<'_>, column: &str) -> Result<u64, rusqlite::Error> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

fn instant(row: &Row<'_>, column: &str) -> Result<String, rusqlite::Error> {
    Ok(ordinary(&row.get::<_, String>(column)?))
}

fn maybe_instant(row: &Row<'_>, column: &str) -> Result<Option<String>, rusqlite::Error> {
    Ok(row.get::<_, Option<String>>(column)?.as_deref().map(ordinary))
}

/// Texts that the fold wrote as JSON; what somebody changed by hand reads as null.
fn json(row: &Row<'_>, column: &str) -> Result<Value, rusqlite::Error> {
    Ok(serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_default())
}

fn texts(row: &Row<'_>, column: &str) -> Result<Vec<String>, rusqlite::Error> {
    Ok(serde_json::from_value(json(row, column)?).unwrap_or_default())
}

/// A row that one list returns, and the key that its order goes by.
pub(super) trait Listed: Sized {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error>;
}

impl Listed for WithdrawalRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            sequence: unsigned(row, "sequence")?,
            id: row.get("id")?,
            account: row.get("account")?,
            asset: row.get("asset")?,
            network: row.get("network")?,
            wallet: row.get("wallet")?,
            address: row.get("address")?,
            memo: row.get("memo")?,
            amount: row.get("amount")?,
            fee_max: row.get("fee_max")?,
            usd: row.get("usd")?,
            channel: row.get("channel")?,
            nonce: row.get("nonce")?,
            requested_at: instant(row, "requested_at")?,
            not_after: instant(row, "not_after")?,
            status: row.get("status")?,
            outcome: row.get("outcome")?,
            class: row.get("class")?,
            dwell_until: instant(row, "dwell_until")?,
            factors: texts(row, "factors")?,
            reasons: json(row, "reasons")?,
            reserved: row.get("reserved")?,
            queued_turn: row.get("queued_turn")?,
            decided_at: instant(row, "decided_at")?,
            closed_at: maybe_instant(row, "closed_at")?,
            paid_at: maybe_instant(row, "paid_at")?,
            transaction: PayingRow::read(row)?,
            updated_sequence: unsigned(row, "updated_sequence")?,
        })
    }
}

impl PayingRow {
    fn read(row: &Row<'_>) -> Result<Option<Self>, rusqlite::Error> {
        let Some(digest) = row.get("paying_digest")? else { return Ok(None) };
        Ok(Some(Self {
            digest,
            chain_id: row.get("paying_chain_id")?,
            standing: row.get("paying_standing")?,
            confirmations: row.get("paying_confirmations")?,
        }))
    }
}

impl Listed for TransactionRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        let external: Option<String> = row.get("external")?;
        Ok(Self {
            sequence: unsigned(row, "sequence")?,
            digest: row.get("digest")?,
            release_id: row.get("release_id")?,
            signer: row.get("signer")?,
            wallet: row.get("wallet")?,
            network: row.get("network")?,
            spends: texts(row, "spends")?,
            outputs: row.get("outputs")?,
            fee: row.get("fee")?,
            fee_network_units: row.get("fee_network_units")?,
            transfer: row.get("transfer")?,
            transfer_text: row.get("transfer_text")?,
            external: external.and_then(|text| serde_json::from_str(&text).ok()),
            standing: row.get("standing")?,
            confirmations: row.get("confirmations")?,
            chain_id: row.get("chain_id")?,
            is_signed: row.get("is_signed")?,
            released_at: instant(row, "released_at")?,
            expires: maybe_instant(row, "expires")?,
            seen_at: maybe_instant(row, "seen_at")?,
            over_at: maybe_instant(row, "over_at")?,
            updated_sequence: unsigned(row, "updated_sequence")?,
        })
    }
}

impl Listed for AlarmRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            sequence: unsigned(row, "sequence")?,
            at: instant(row, "at")?,
            alarm: row.get("alarm")?,
            wallet: row.get("wallet")?,
            network: row.get("network")?,
            transaction: row.get("transaction_id")?,
            spends: texts(row, "spends")?,
        })
    }
}

impl Listed for RecoveredRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            sequence: unsigned(row, "sequence")?,
            at: instant(row, "at")?,
            withdrawal: row.get("withdrawal")?,
            signer: row.get("signer")?,
            wallet: row.get("wallet")?,
            network: row.get("network")?,
            transactions: texts(row, "transactions")?,
            is_lost: row.get("is_lost")?,
            intent: row.get("intent")?,
        })
    }
}

impl Listed for DecisionRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            sequence: unsigned(row, "sequence")?,
            ordinal: unsigned(row, "ordinal")?,
            withdrawal: row.get("withdrawal")?,
            at: instant(row, "at")?,
            outcome: row.get("outcome")?,
            status: row.get("status")?,
            class: row.get("class")?,
            dwell_until: instant(row, "dwell_until")?,
            factors: texts(row, "factors")?,
            usd: row.get("usd")?,
            reasons: json(row, "reasons")?,
            rules: row.get("rules")?,
            policy: row.get("policy")?,
        })
    }
}

impl Listed for CaseRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            id: row.get("id")?,
            withdrawal: row.get("withdrawal")?,
            account: row.get("account")?,
            opened_sequence: unsigned(row, "opened_sequence")?,
            opened_at: instant(row, "opened_at")?,
            reasons: json(row, "reasons")?,
            closed_sequence: row.get::<_, Option<i64>>("closed_sequence")?.map(i64::cast_unsigned),
            closed_at: maybe_instant(row, "closed_at")?,
            result: row.get("result")?,
        })
    }
}

impl Listed for AccountRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            id: row.get("id")?,
            tier: row.get("tier")?,
            opened_at: instant(row, "opened_at")?,
            frozen: row.get("frozen")?,
            limit_usd_24h: row.get("limit_usd_24h")?,
            limit_usd_30d: row.get("limit_usd_30d")?,
            security_changed_at: maybe_instant(row, "security_changed_at")?,
            updated_sequence: unsigned(row, "updated_sequence")?,
        })
    }
}

impl Listed for AddressRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            destination: row.get("destination")?,
            recorded_at: instant(row, "recorded_at")?,
            notice_delivered_at: maybe_instant(row, "notice_delivered_at")?,
            removed_at: maybe_instant(row, "removed_at")?,
        })
    }
}

impl Listed for EnrolmentRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            number: unsigned(row, "number")?,
            sequence: unsigned(row, "sequence")?,
            account: row.get("account")?,
            credential: row.get("credential")?,
            legacy_u2f: row.get("legacy_u2f")?,
            is_removal: row.get("is_removal")?,
            step_source: row.get::<_, Option<i64>>("step_source")?.map(i64::cast_unsigned),
            step_before: row.get::<_, Option<i64>>("step_before")?.map(i64::cast_unsigned),
        })
    }
}

impl Listed for AuditRow {
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            sequence: unsigned(row, "sequence")?,
            at: instant(row, "at")?,
            command: row.get("command")?,
            by: row.get("by")?,
            subject: row.get("subject")?,
            refusal: row.get("refusal")?,
            summary: row.get("summary")?,
        })
    }
}
