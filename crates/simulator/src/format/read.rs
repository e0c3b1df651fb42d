//! Reading a file of events: line by line, in bounded memory, with errors that name the line and what would be right.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, BufRead};

use holdfast_values::Timestamp;

use super::json::{Json, Object, TWICE, get};
use super::table::{Fault, ID, KEY_SCOPES, KINDS, SECURITY_KINDS, TIME, check_fields};
use super::{Body, Channel, Entry, FORMAT, Facts, KeyScope, SecurityKind, To};

/// The longest line, in bytes.
pub const LINE_MAX: usize = 65_536;
/// Fields of every entry.
const OURS: [&str; 3] = ["at", "id", "type"];

/// What is wrong with a line, or with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// The first line does not say what the file is.
    #[error("the file must begin with a line {{\"format\":\"{FORMAT}\"}}: {0}")]
    FormatMissing(String),
    /// Not JSON.
    #[error("no JSON object: {0}")]
    JsonInvalid(String),
    /// No such type.
    #[error("no type {0:?}: docs/events.md lists them")]
    TypeUnknown(String),
    /// A field is not there.
    #[error("field {0} is missing")]
    FieldMissing(String),
    /// A field that the type does not have.
    #[error("this type has no field {0}")]
    FieldUnknown(String),
    /// A field stands twice.
    #[error("field {0} stands twice")]
    FieldDuplicate(String),
    /// A field does not look as it must.
    #[error("field {0} must be {1}")]
    FieldInvalid(String, String),
    /// An id was used before.
    #[error("the id {0} was used by an earlier line: each event has one of its own")]
    IdDuplicate(String),
    /// Earlier than the line before.
    #[error("{0} is before {1}, the time of an earlier line: sort the file by time")]
    TimeBackwards(Timestamp, Timestamp),
    /// No line has opened that account.
    #[error("no earlier line opened the account {0}: put an open_account before its first event")]
    AccountUnknown(String),
    /// The file ends within a line.
    #[error("the file ends within this line: it was cut off, or is still being written")]
    LineTruncated,
    /// Longer than [`LINE_MAX`].
    #[error("longer than {LINE_MAX} bytes")]
    LineTooLong,
}

impl Bad {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::FormatMissing(_) => "format_missing",
            Self::JsonInvalid(_) => "json_invalid",
            Self::TypeUnknown(_) => "type_unknown",
            Self::FieldMissing(_) => "field_missing",
            Self::FieldUnknown(_) => "field_unknown",
            Self::FieldDuplicate(_) => "field_duplicate",
            Self::FieldInvalid(..) => "field_invalid",
            Self::IdDuplicate(_) => "id_duplicate",
            Self::TimeBackwards(..) => "time_backwards",
            Self::AccountUnknown(_) => "account_unknown",
            Self::LineTruncated => "line_truncated",
            Self::LineTooLong => "line_too_long",
        }
    }
}

/// A bad line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {bad}")]
pub struct BadLine {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub bad: Bad,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The line can be left out, and reading go on.
    #[error(transparent)]
    Line(#[from] BadLine),
    /// The file cannot be read.
    #[error("the events cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Line(line) => line.bad.code(),
            Self::Io(_) => "events_unreadable",
        }
    }
}

/// Ids that were read, as keyed 64-bit fingerprints: 10 to 21 bytes each, by how full the table is. Among ten
/// million ids the chance that two differ and look alike is one in 370,000; the later line would be called a duplicate.
#[derive(Debug, Default)]
struct Ids(HashSet<u64, BuildHasherDefault<Plain>>);

/// The fingerprint is its own hash.
#[derive(Debug, Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Ids {
    /// False if it was there.
    fn insert(&mut self, id: &str) -> bool {
        let hash = blake3::keyed_hash(b"holdfast events: ids of one file", id.as_bytes());
        let first = hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
        self.0.insert(u64::from_le_bytes(first))
    }
}

/// Reads entries, one at a time.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    line: u64,
    bytes: u64,
    buffer: Vec<u8>,
    last: Timestamp,
    ids: Ids,
    has_begun: bool,
}

/// What [`Reader`] found where a line would be.
enum Found {
    Line,
    /// The last line has no end.
    Unended,
    TooLong,
    End,
}

impl<R: BufRead> Reader<R> {
    /// Reads from there.
    pub fn new(from: R) -> Self {
        let (buffer, ids) = (Vec::new(), Ids::default());
        Self { from, line: 0, bytes: 0, buffer, last: Timestamp::ZERO, ids, has_begun: false }
    }

    /// The number of the line that was read last.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// How many bytes were read.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next entry, with what `knows` says of accounts: whether an earlier entry opened that one.
    ///
    /// # Errors
    /// [`ReadError::Line`] for a line that is wrong; the next call reads the one after it.
    pub fn next(&mut self, knows: impl Fn(&str) -> bool) -> Result<Option<Entry>, ReadError> {
        if !self.has_begun {
            self.has_begun = true;
            self.begin()?;
        }
        let found = self.fill()?;
        let read = match found {
            Found::End => return Ok(None),
            Found::TooLong => Err(Bad::LineTooLong),
            Found::Line => parse_line(&self.buffer),
            Found::Unended => parse_line(&self.buffer).map_err(|bad| match bad {
                Bad::JsonInvalid(_) => Bad::LineTruncated,
                bad => bad,
            }),
        };
        let bad = |bad| Err(ReadError::Line(BadLine { line: self.line, bad }));
        let entry = match read {
            Ok(entry) => entry,
            Err(wrong) => return bad(wrong),
        };
        if entry.at < self.last {
            return bad(Bad::TimeBackwards(entry.at, self.last));
        }
        let opens = matches!(entry.body, Body::OpenAccount { .. });
        if let Some(account) = entry.body.account().filter(|account| !opens && !knows(account)) {
            return bad(Bad::AccountUnknown(account.to_owned()));
        }
        if !self.ids.insert(&entry.id) {
            return bad(Bad::IdDuplicate(entry.id.into()));
        }
        self.last = entry.at;
        Ok(Some(entry))
    }

    fn begin(&mut self) -> Result<(), ReadError> {
        let missing =
            |line, why: &str| ReadError::Line(BadLine { line, bad: Bad::FormatMissing(why.to_owned()) });
        match self.fill()? {
            Found::End => return Err(missing(1, "it is empty")),
            Found::TooLong => return Err(missing(1, "its first line is too long")),
            Found::Line | Found::Unended => {}
        }
        let object = match serde_json::from_slice(&self.buffer) {
            Ok(Json::Object(object)) => object,
            _ => return Err(missing(1, "its first line is no JSON object")),
        };
        match get(&object, "format").and_then(Json::text) {
            Some(FORMAT) => {}
            Some(other) => return Err(missing(1, &format!("its format is {other:?}"))),
            None => return Err(missing(1, "its first line names no format")),
        }
        let fits = |(name, value): &(std::borrow::Cow<'_, str>, Json<'_>)| {
            &**name == "format"
                || (&**name == "about" && value.text().is_some_and(|text| text.chars().count() <= 1_000))
        };
        if object.iter().all(fits) {
            Ok(())
        } else {
            Err(missing(1, "beside it, only a text `about` of at most 1000 characters"))
        }
    }

    /// Reads a line into the buffer, without its end.
    fn fill(&mut self) -> io::Result<Found> {
        self.buffer.clear();
        let mut is_too_long = false;
        let mut is_empty = true;
        loop {
            let available = match self.from.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            if available.is_empty() {
                if is_empty {
                    return Ok(Found::End);
                }
                self.line = self.line.saturating_add(1);
                return Ok(if is_too_long { Found::TooLong } else { Found::Unended });
            }
            is_empty = false;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if self.buffer.len().saturating_add(part.len()) > LINE_MAX {
                is_too_long = true;
                self.buffer.clear();
            } else if !is_too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len().saturating_add(usize::from(end.is_some()));
            self.from.consume(used);
            self.bytes = self.bytes.saturating_add(u64::try_from(used).unwrap_or(u64::MAX));
            if end.is_some() {
                self.line = self.line.saturating_add(1);
                return Ok(if is_too_long { Found::TooLong } else { Found::Line });
            }
        }
    }
}

/// Reads one line, without its end.
///
/// # Errors
/// What is wrong with it.
pub fn parse_line(line: &[u8]) -> Result<Entry, Bad> {
    let object = match serde_json::from_slice(line) {
        Ok(Json::Object(object)) => object,
        Ok(_) => return Err(Bad::JsonInvalid("a line is one object".to_owned())),
        Err(error) => return Err(not_json(&error)),
    };
    let kind = match get(&object, "type") {
        None => return Err(Bad::FieldMissing("type".to_owned())),
        Some(Json::Text(name)) => KINDS.iter().find(|kind| kind.name == name),
        Some(_) => return Err(Bad::FieldInvalid("type".to_owned(), "a text".to_owned())),
    };
    let Some(kind) = kind else {
        let name = get(&object, "type").and_then(Json::text).unwrap_or_default();
        return Err(Bad::TypeUnknown(name.chars().take(64).collect()));
    };
    let ours = |name: &str, text: super::table::Text| match get(&object, name) {
        None => Err(Bad::FieldMissing(name.to_owned())),
        Some(Json::Text(given)) if (text.is)(given) => Ok(given.as_ref()),
        Some(_) => Err(Bad::FieldInvalid(name.to_owned(), text.expected.to_owned())),
    };
    let (at, id) = (ours("at", TIME)?, ours("id", ID)?);
    check_fields(&object, kind.fields, &OURS, "").map_err(|fault| match fault {
        Fault::Missing(field) => Bad::FieldMissing(field),
        Fault::Unknown(field) => Bad::FieldUnknown(field.chars().take(128).collect()),
        Fault::Invalid(field, expected) => Bad::FieldInvalid(field.chars().take(128).collect(), expected),
    })?;
    let at = Timestamp::parse(at).map_err(|error| Bad::FieldInvalid("at".to_owned(), error.to_string()))?;
    let body = body(kind.name, &object).ok_or_else(|| Bad::TypeUnknown(kind.name.to_owned()))?;
    Ok(Entry { at, id: id.into(), body })
}

fn not_json(error: &serde_json::Error) -> Bad {
    let message = error.to_string();
    if let Some(rest) = message.strip_prefix(TWICE) {
        let name = rest.split(" at line ").next().unwrap_or_default();
        return Bad::FieldDuplicate(name.chars().take(128).collect());
    }
    // Its line is always the first: the column is what helps.
    Bad::JsonInvalid(message.replace(" at line 1 column ", " at column ").replace(" at line 0 column 0", ""))
}

/// The body of an object whose fields were checked; nothing if the table has a type that is not here.
fn body(kind: &str, object: &Object<'_>) -> Option<Body> {
    let text = |name: &str| -> Box<str> { get(object, name).and_then(Json::text).unwrap_or_default().into() };
    let maybe = |name: &str| get(object, name).and_then(Json::text).map(Box::from);
    let texts = |name: &str| -> Vec<Box<str>> {
        let Some(Json::List(list)) = get(object, name) else { return Vec::new() };
        list.iter().filter_map(Json::text).map(Box::from).collect()
    };
    let is = |name: &str| get(object, name) == Some(&Json::Bool(true));
    let to = || To { network: text("network"), address: text("address"), memo: maybe("memo") };
    let account = text("account");
    Some(match kind {
        "open_account" => Body::OpenAccount { account, tier: text("tier") },
        "session" => Body::Session { account, facts: get(object, "facts").map(facts).unwrap_or_default() },
        "security_change" => Body::SecurityChange { account, kind: security_kind(&text("kind"))? },
        "add_credential" => {
            Body::AddCredential { account, credential: text("credential"), approved_by: maybe("approved_by") }
        }
        "put_api_key" => Body::PutApiKey {
            account,
            key: text("key"),
            scopes: texts("scopes").iter().filter_map(|scope| key_scope(scope)).collect(),
            ip_allowlist: texts("ip_allowlist"),
            asymmetric: is("asymmetric"),
            session: get(object, "session").map(facts),
        },
        "revoke_api_key" => Body::RevokeApiKey { account, key: text("key") },
        "add_address" => Body::AddAddress { account, to: to() },
        "remove_address" => Body::RemoveAddress { account, to: to() },
        "notice_delivered" => Body::NoticeDelivered { account, to: to() },
        "lower_limits" => Body::LowerLimits { account, usd_24h: text("usd_24h"), usd_30d: text("usd_30d") },
        "freeze_account" => Body::FreezeAccount { account, by: maybe("by") },
        "request_withdrawal" => Body::RequestWithdrawal {
            account,
            asset: text("asset"),
            to: to(),
            amount: text("amount"),
            channel: channel(get(object, "channel")?)?,
        },
        "one_time_code" => Body::OneTimeCode { account, withdrawal: text("withdrawal") },
        "approve_withdrawal" => Body::ApproveWithdrawal {
            account,
            withdrawal: text("withdrawal"),
            credential: text("credential"),
        },
        "cancel_withdrawal" => Body::CancelWithdrawal { account, withdrawal: text("withdrawal") },
        "deny_withdrawal" => Body::DenyWithdrawal { withdrawal: text("withdrawal"), by: text("by") },
        "approve_held" => Body::ApproveHeld { withdrawal: text("withdrawal"), operators: texts("operators") },
        "prices" => {
            let Json::Object(prices) = get(object, "prices")? else { return None };
            let price = |(asset, price): &(std::borrow::Cow<'_, str>, Json<'_>)| {
                (asset.as_ref().into(), price.text().unwrap_or_default().into())
            };
            Body::Prices { prices: prices.iter().map(price).collect() }
        }
        "halt" => Body::Halt { scope: text("scope"), by: text("by") },
        "resume" => Body::Resume { scope: text("scope"), operators: texts("operators") },
        "set_limits" => Body::SetLimits {
            account,
            usd_24h: text("usd_24h"),
            usd_30d: text("usd_30d"),
            operators: texts("operators"),
        },
        "raise_buckets" => {
            Body::RaiseBuckets { times: number(get(object, "times")?)?, operators: texts("operators") }
        }
        "deposit" => Body::Deposit { account, asset: text("asset"), amount: text("amount") },
        "trade" => Body::Trade {
            account,
            sold: text("sold"),
            sold_amount: text("sold_amount"),
            bought: text("bought"),
            bought_amount: text("bought_amount"),
            key: maybe("key"),
        },
        "support" => Body::Support { account, about: text("about") },
        _ => return None,
    })
}

fn number(value: &Json<'_>) -> Option<u32> {
    if let Json::Number(number) = value { u32::try_from(*number).ok() } else { None }
}

fn facts(value: &Json<'_>) -> Facts {
    let Json::Object(object) = value else { return Facts::default() };
    let maybe = |name: &str| get(object, name).and_then(Json::text).map(Box::from);
    Facts {
        device: maybe("device"),
        ip: maybe("ip"),
        user_agent: maybe("user_agent"),
        tls: maybe("tls"),
        country: maybe("country"),
        asn: get(object, "asn").and_then(number),
    }
}

fn channel(value: &Json<'_>) -> Option<Channel> {
    let Json::Object(object) = value else { return None };
    if let Some(Json::Object(session)) = get(object, "session") {
        return Some(Channel::Session {
            one_time_code: get(session, "one_time_code") == Some(&Json::Bool(true)),
            facts: get(session, "facts").map(facts),
        });
    }
    let Some(Json::Object(request)) = get(object, "api_request") else { return None };
    Some(Channel::ApiRequest {
        key: get(request, "key")?.text()?.into(),
        ip: get(request, "ip")?.text()?.into(),
    })
}

fn security_kind(text: &str) -> Option<SecurityKind> {
    let kinds =
        [SecurityKind::Password, SecurityKind::SecondFactor, SecurityKind::Contact, SecurityKind::Recovery];
    SECURITY_KINDS.iter().zip(kinds).find(|(name, _)| **name == text).map(|(_, kind)| kind)
}

fn key_scope(text: &str) -> Option<KeyScope> {
    let scopes = [KeyScope::Read, KeyScope::Trade, KeyScope::Withdraw, KeyScope::Transfer];
    KEY_SCOPES.iter().zip(scopes).find(|(name, _)| **name == text).map(|(_, scope)| scope)
}
