//! The wallet's side of Holdfast's HTTP interface. Calls block. No answer is not "no": whatever is not understood is asked
//! again, with the same bytes.

use std::time::Duration;

use holdfast_authn::encoding::{base64, to_base64};
use holdfast_values::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::book::{Attempt, Transfer};
use super::unhex;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Rows on a page, and the pages that are read of approved withdrawals.
const PAGE_ROWS: usize = 500;
const PAGES_MAX: usize = 40;

/// A client.
pub(crate) struct Holdfast {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HoldfastError {
    /// Nobody knows. Ask again.
    #[error("Holdfast does not answer: {0}")]
    Unknown(String),
    /// Holdfast says no.
    #[error("Holdfast refuses: {code}: {text}")]
    Refused { code: String, text: String },
}

/// A withdrawal that may be paid.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Approved {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) network: String,
    pub(crate) wallet: String,
    pub(crate) address: String,
    /// In whole units.
    pub(crate) amount: String,
}

/// May a transaction be signed?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes, by this release in base64.
    Released(String),
    /// Not with these withdrawals; each with why.
    Dropped(Vec<(String, String)>),
}

/// What the signer is to be told of a customer's key, or of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// `enrolment`, `removal` or `policy`.
    pub(crate) kind: String,
    /// Whose key; none of a step of the policy.
    pub(crate) account: Option<String>,
    /// In base64; absent if the account's data was destroyed.
    pub(crate) document: Option<String>,
}

#[derive(Deserialize)]
struct Enrolments {
    documents: Vec<Numbered>,
    more: bool,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
    #[serde(flatten)]
    document: Document,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    release: Option<String>,
    #[serde(default)]
    drop: Vec<Dropped>,
}

#[derive(Deserialize)]
struct Dropped {
    withdrawal: String,
    #[serde(default)]
    why: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: Option<String>,
}

impl Holdfast {
    pub(crate) fn new(url: &str, token: &str, timeout: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).build();
        Self { agent: config.into(), url: url.to_owned(), authorization: format!("Bearer {token}") }
    }

    /// Approved withdrawals, oldest first.
    pub(crate) fn approved(&self) -> Result<Vec<Approved>, HoldfastError> {
        let mut found: Vec<Approved> = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let mut path = format!("/v1/withdrawals?status=approved&limit={PAGE_ROWS}");
            if let Some(cursor) = &cursor {
                path = format!("{path}&cursor={cursor}");
            }
            let page: Page = self.call("GET", &path, None)?;
            for row in page.items {
                let row = serde_json::from_value(row);
                found.push(row.map_err(|error| HoldfastError::Unknown(error.to_string()))?);
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// May this be signed?
    pub(crate) fn propose(
        &self,
        signer: &str,
        wallet: &str,
        network: &str,
        attempt: &Attempt,
    ) -> Result<Verdict, HoldfastError> {
        let bytes = unhex(&attempt.unsigned).unwrap_or_default();
        let withdrawals: Vec<&str> =
            attempt.payments.iter().filter_map(|payment| payment.withdrawal.as_deref()).collect();
        let without_word: Vec<&str> = attempt
            .payments
            .iter()
            .filter(|payment| payment.without_word)
            .filter_map(|payment| payment.withdrawal.as_deref())
            .collect();
        let transfer = attempt
            .transfer
            .as_ref()
            .map(|Transfer { text, signatures }| json!({ "text": text, "signatures": signatures }));
        let body = json!({
            "signer": signer, "wallet": wallet, "network": network, "transaction": to_base64(&bytes),
            "withdrawals": if transfer.is_some() { Vec::new() } else { withdrawals }, "transfer": transfer,
            "without_word": without_word,
        });
        let reply: Reply = self.call("POST", "/v1/transactions", Some(body.to_string()))?;
        match (reply.status.as_str(), reply.release) {
            ("released", Some(release)) if base64(release.as_bytes()).is_some() => {
                Ok(Verdict::Released(release))
            }
            ("dropped", _) if !reply.drop.is_empty() => {
                let dropped = reply.drop.into_iter().map(|dropped| {
                    let why = [dropped.why, dropped.status].into_iter().flatten().collect::<Vec<_>>();
                    (dropped.withdrawal, why.join(", "))
                });
                Ok(Verdict::Dropped(dropped.collect()))
            }
            (status, _) => Err(HoldfastError::Unknown(format!("an answer that does not read: {status}"))),
        }
    }

    /// What time it is at Holdfast, whose clock may be simulated.
    pub(crate) fn time(&self) -> Result<Timestamp, HoldfastError> {
        #[derive(Deserialize)]
        struct Health {
            time: String,
        }
        let health: Health = self.call("GET", "/health", None)?;
        Timestamp::parse(&health.time).map_err(|error| HoldfastError::Unknown(error.to_string()))
    }

    /// What signers are to be told of customers' keys after a number, oldest first, and whether there is more.
    pub(crate) fn enrolments(&self, after: u64) -> Result<(Vec<(u64, Document)>, bool), HoldfastError> {
        let page: Enrolments = self.call("GET", &format!("/v1/enrolments?after={after}"), None)?;
        let numbered = page.documents.into_iter().map(|row| (row.number, row.document));
        Ok((numbered.collect(), page.more))
    }

    /// Hands in what the signer said.
    pub(crate) fn receipt(&self, receipt: &str) -> Result<(), HoldfastError> {
        let body = json!({ "receipt": receipt }).to_string();
        self.call::<Value>("POST", "/v1/transactions/receipts", Some(body)).map(drop)
    }

    fn call<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<T, HoldfastError> {
        let unknown = |error: ureq::Error| HoldfastError::Unknown(error.to_string());
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", &self.authorization);
        let reply = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body);
                request.map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
            }
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
        };
        let mut reply = reply.map_err(unknown)?;
        let status = reply.status().as_u16();
        let text =
            reply.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(unknown)?;
        if (200..=299).contains(&status) {
            return serde_json::from_str(&text)
                .map_err(|error| HoldfastError::Unknown(format!("an answer that does not read: {error}")));
        }
        let problem: Problem = serde_json::from_str(&text).unwrap_or_default();
        let words = problem.detail.unwrap_or(problem.title);
        match status {
            // The wallet's own token is wrong, or there is too much to do: neither says anything about the transaction.
            401 | 403 | 408 | 429 | 500..=599 => {
                Err(HoldfastError::Unknown(format!("status {status}: {} {words}", problem.code)))
            }
            _ => Err(HoldfastError::Refused { code: problem.code, text: words }),
        }
    }
}
