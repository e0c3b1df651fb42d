//! The events format: what happens at an exchange, one JSON object a line, with its time. `docs/events.md` is its page.
//!
//! Bodies are those of the public API, with two differences: what the API verifies (signatures, assertions, codes) is here
//! the verdict, and a withdrawal is named by the id of the event that asked for it, since Holdfast mints its own ids later.

mod json;
mod read;
mod schema;
mod table;
mod write;

use holdfast_values::Timestamp;
use serde::Serialize;

pub use read::{Bad, BadLine, LINE_MAX, ReadError, Reader, parse_line};
pub use schema::schema;
pub use write::write_head;

/// The name and version that a file's first line carries.
pub const FORMAT: &str = "holdfast-events/1";

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When. Never before the line before.
    pub at: Timestamp,
    /// Unique in the file: 1 to 64 of `[A-Za-z0-9._:-]`.
    pub id: Box<str>,
    /// What.
    pub body: Body,
}

/// What happened. `type` says which, the other fields are the public API's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// `POST /v1/accounts`
    OpenAccount {
        /// The exchange's own id.
        account: Box<str>,
        /// Its tier.
        tier: Box<str>,
    },
    /// `POST /v1/accounts/{id}/freeze`
    FreezeAccount {
        /// Whose.
        account: Box<str>,
        /// Who asked: the owner (`panic-link`) or staff. Absent: staff.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
    /// `POST /v1/accounts/{id}/limits`: lowers them.
    LowerLimits {
        /// Whose.
        account: Box<str>,
        /// US dollars, decimal text.
        usd_24h: Box<str>,
        /// US dollars, decimal text.
        usd_30d: Box<str>,
    },
    /// `POST /v1/accounts/{id}/security-changes`
    SecurityChange {
        /// Whose.
        account: Box<str>,
        /// What.
        kind: SecurityKind,
    },
    /// `POST /v1/accounts/{id}/addresses`
    AddAddress {
        /// Whose book.
        account: Box<str>,
        /// Where.
        #[serde(flatten)]
        to: To,
    },
    /// `DELETE /v1/accounts/{id}/addresses`: the owner's veto, too.
    RemoveAddress {
        /// Whose book.
        account: Box<str>,
        /// Where.
        #[serde(flatten)]
        to: To,
    },
    /// `POST /v1/accounts/{id}/addresses/notice-delivered`
    NoticeDelivered {
        /// Whose notice.
        account: Box<str>,
        /// About which destination.
        #[serde(flatten)]
        to: To,
    },
    /// `PUT /v1/accounts/{id}/api-keys/{key}`
    PutApiKey {
        /// Whose.
        account: Box<str>,
        /// The key's public id.
        key: Box<str>,
        /// Of `read`, `trade`, `withdraw`, `transfer`.
        scopes: Vec<KeyScope>,
        /// Addresses and networks that it works from; needed to withdraw.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        ip_allowlist: Vec<Box<str>>,
        /// Only the customer has the private half.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        asymmetric: bool,
        /// The session that made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<Facts>,
    },
    /// `DELETE /v1/accounts/{id}/api-keys/{key}`
    RevokeApiKey {
        /// Whose.
        account: Box<str>,
        /// Which.
        key: Box<str>,
    },
    /// `POST /v1/accounts/{id}/credentials`: a passkey or security key that approves; verified.
    AddCredential {
        /// Whose.
        account: Box<str>,
        /// A name of its own: 1 to 64 of `[A-Za-z0-9._:-]`.
        credential: Box<str>,
        /// The credential that approved this, where the account has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        approved_by: Option<Box<str>>,
    },
    /// `POST /v1/accounts/{id}/sessions`: a sign-in, or a session that goes on from elsewhere.
    Session {
        /// Whose.
        account: Box<str>,
        /// What the edge knows of it.
        facts: Facts,
    },
    /// `POST /v1/withdrawals`
    RequestWithdrawal {
        /// Whose money.
        account: Box<str>,
        /// What.
        asset: Box<str>,
        /// Where to.
        #[serde(flatten)]
        to: To,
        /// What is to arrive, decimal text in whole units.
        amount: Box<str>,
        /// How it came in.
        channel: Channel,
    },
    /// `POST /v1/withdrawals/{id}/approval`: a bound approval over the withdrawal's text, verified.
    ApproveWithdrawal {
        /// Whose.
        account: Box<str>,
        /// The event that asked for it.
        withdrawal: Box<str>,
        /// Which credential.
        credential: Box<str>,
    },
    /// `POST /v1/withdrawals/{id}/one-time-code`: a right code was shown.
    OneTimeCode {
        /// Whose.
        account: Box<str>,
        /// The event that asked for it.
        withdrawal: Box<str>,
    },
    /// `POST /v1/withdrawals/{id}/cancel`
    CancelWithdrawal {
        /// Whose.
        account: Box<str>,
        /// The event that asked for it.
        withdrawal: Box<str>,
    },
    /// `POST /v1/withdrawals/{id}/deny`
    DenyWithdrawal {
        /// The event that asked for it.
        withdrawal: Box<str>,
        /// Who.
        by: Box<str>,
    },
    /// `POST /v1/operator-acts` with `approve_withdrawal`: operators let a held one go on; signatures verified.
    ApproveHeld {
        /// The event that asked for it.
        withdrawal: Box<str>,
        /// Who signed.
        operators: Vec<Box<str>>,
    },
    /// `PUT /v1/prices`
    Prices {
        /// US dollars per whole unit, decimal text, by asset.
        prices: std::collections::BTreeMap<Box<str>, Box<str>>,
    },
    /// `POST /v1/halts`
    Halt {
        /// `overall`, `asset:X`, `wallet:X` or `account:X`.
        scope: Box<str>,
        /// Who.
        by: Box<str>,
    },
    /// `POST /v1/operator-acts` with `resume`; signatures verified.
    Resume {
        /// As of the halt.
        scope: Box<str>,
        /// Who signed.
        operators: Vec<Box<str>>,
    },
    /// `POST /v1/operator-acts` with `set_limits`; signatures verified.
    SetLimits {
        /// Whose.
        account: Box<str>,
        /// US dollars, decimal text.
        usd_24h: Box<str>,
        /// US dollars, decimal text.
        usd_30d: Box<str>,
        /// Who signed.
        operators: Vec<Box<str>>,
    },
    /// `POST /v1/operator-acts` with `configure`: size and refill of every bucket, this many times what they are now;
    /// signatures verified.
    RaiseBuckets {
        /// How many times: 2 to 1,000.
        times: u32,
        /// Who signed.
        operators: Vec<Box<str>>,
    },
    /// Money came in. Context: no rule reads it yet.
    Deposit {
        /// Whose.
        account: Box<str>,
        /// What.
        asset: Box<str>,
        /// Decimal text in whole units.
        amount: Box<str>,
    },
    /// Bought or sold. Context: no rule reads it yet.
    Trade {
        /// Whose.
        account: Box<str>,
        /// What was given.
        sold: Box<str>,
        /// How much, decimal text.
        sold_amount: Box<str>,
        /// What was got.
        bought: Box<str>,
        /// How much, decimal text.
        bought_amount: Box<str>,
        /// The API key, if one traded.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<Box<str>>,
    },
    /// The customer wrote to support. Context: no rule reads it yet.
    Support {
        /// Whose.
        account: Box<str>,
        /// What about.
        about: Box<str>,
    },
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct To {
    /// `bitcoin`, `ethereum`, ...
    pub network: Box<str>,
    /// As the network writes it.
    pub address: Box<str>,
    /// Where the network has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memo: Option<Box<str>>,
}

/// What changed about an account's protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityKind {
    /// The password was changed or reset.
    Password,
    /// A second factor was added, removed or reset.
    SecondFactor,
    /// E-mail address or telephone number.
    Contact,
    /// The account went through recovery.
    Recovery,
}

/// What an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// Read balances and history.
    Read,
    /// Place and cancel orders.
    Trade,
    /// Withdraw.
    Withdraw,
    /// Move between own sub-accounts.
    Transfer,
}

/// How a withdrawal came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Through a web or app session.
    Session {
        /// A one-time code was shown.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        one_time_code: bool,
        /// What the edge knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        facts: Option<Facts>,
    },
    /// Signed with an API key; verified.
    ApiRequest {
        /// The key's public id.
        key: Box<str>,
        /// Where it came from.
        ip: Box<str>,
    },
}

/// What the exchange's edge knows of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The device's own lasting cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Box<str>>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Box<str>>,
    /// The user agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Box<str>>,
    /// The TLS fingerprint (JA4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Box<str>>,
    /// ISO 3166-1 alpha-2, capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Box<str>>,
    /// Autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
}

impl Body {
    /// Whose it is, if it is of one account.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::OpenAccount { account, .. }
            | Self::FreezeAccount { account, .. }
            | Self::LowerLimits { account, .. }
            | Self::SecurityChange { account, .. }
            | Self::AddAddress { account, .. }
            | Self::RemoveAddress { account, .. }
            | Self::NoticeDelivered { account, .. }
            | Self::PutApiKey { account, .. }
            | Self::RevokeApiKey { account, .. }
            | Self::AddCredential { account, .. }
            | Self::Session { account, .. }
            | Self::RequestWithdrawal { account, .. }
            | Self::ApproveWithdrawal { account, .. }
            | Self::OneTimeCode { account, .. }
            | Self::CancelWithdrawal { account, .. }
            | Self::Deposit { account, .. }
            | Self::Trade { account, .. }
            | Self::Support { account, .. }
            | Self::SetLimits { account, .. } => Some(account),
            Self::DenyWithdrawal { .. }
            | Self::ApproveHeld { .. }
            | Self::Prices { .. }
            | Self::Halt { .. }
            | Self::Resume { .. }
            | Self::RaiseBuckets { .. } => None,
        }
    }
}
