//! Harbor's side of Holdfast's HTTP interface. Everything about paths, bodies and codes is in this file.
//!
//! The one rule that matters: no answer is not "no". A withdrawal whose answer is unknown is asked for again with the
//! same idempotency key and the same body, and its money stays locked until Holdfast has spoken.

use std::time::Duration;

use holdfast_values::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::book::{Order, Stage};

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// A client. Calls block: they run on tokio's blocking threads.
#[derive(Clone)]
pub(crate) struct Holdfast {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

/// How a call ended.
pub(crate) enum Answer<T> {
    /// Holdfast did it, or had done it.
    Done(T),
    /// Holdfast refuses, and nothing changed.
    Refused(Problem),
    /// Nobody knows. Ask again.
    Unknown(String),
}

/// RFC 9457 problem details, as far as Harbor needs them.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) detail: Option<String>,
    /// What must be approved first, if that is why.
    #[serde(default)]
    pub(crate) approval: Option<Box<Value>>,
}

/// Where a withdrawal stands.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) id: String,
    status: String,
    outcome: Outcome,
    #[serde(default)]
    reasons: Vec<Reason>,
}

#[derive(Clone, Debug, Deserialize)]
struct Outcome {
    #[serde(default)]
    dwell_until: Option<String>,
    #[serde(default)]
    factors: Vec<String>,
}

#[derive(Deserialize)]
struct Health {
    time: String,
}

/// Why.
#[derive(Clone, Debug, Deserialize)]
struct Reason {
    code: String,
    #[serde(default)]
    severity: String,
}

impl Verdict {
    /// The code of the first reason that denies.
    pub(crate) fn denied_because(&self) -> &str {
        let reason = self.reasons.iter().find(|reason| reason.severity == "deny").or(self.reasons.first());
        reason.map(|reason| reason.code.as_str()).unwrap_or_default()
    }

    /// What it means for the customer: the stage, and a sentence.
    pub(crate) fn stage(&self) -> (Stage, String) {
        let why = |severity: &str| {
            let codes: Vec<&str> =
                self.reasons.iter().filter(|r| r.severity == severity).map(|r| r.code.as_str()).collect();
            if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) }
        };
        match self.status.as_str() {
            "approved" => (Stage::Approved, "Approved: the wallet sends it.".to_owned()),
            "released" => (Stage::Approved, "Being signed.".to_owned()),
            "broadcast" => (Stage::Approved, "Sent; it waits for confirmations.".to_owned()),
            "confirmed" => (Stage::Approved, "Paid.".to_owned()),
            "dwelling" => {
                let until = self.outcome.dwell_until.as_deref();
                let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
                (Stage::Waiting, format!("Waiting{until}{}. You can still cancel it.", why("dwell")))
            }
            "awaiting_approval" => {
                let factors = self.outcome.factors.join(" and ");
                (Stage::AwaitingApproval, format!("Confirm it with: {factors}{}.", why("step_up")))
            }
            "held" => (Stage::Held, format!("Under review by our security team{}.", why("hold"))),
            "denied" => (Stage::Denied, format!("Denied{}.", why("deny"))),
            "cancelled" => (Stage::Cancelled, "Cancelled.".to_owned()),
            "expired" => (Stage::Cancelled, "Expired before it was sent.".to_owned()),
            // A state of a later version. Nothing is given back for a word that is not understood.
            other => (Stage::Held, format!("In progress ({other}).")),
        }
    }
}

/// How the customer asked.
pub(crate) enum Evidence {
    /// By a signed API request, forwarded byte for byte.
    Api(ApiRequest),
    /// On the web page, with or without a one-time code.
    Session {
        /// The customer showed the code of the moment.
        one_time_code: bool,
    },
}

/// A customer's signed request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ApiRequest {
    pub(crate) dialect: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Where it came from, as Harbor's edge saw it.
    pub(crate) client_ip: String,
}

/// The body that asks for a withdrawal. Kept until there is an answer, so that the same bytes can be sent again.
pub(crate) fn withdrawal_body(order: &Order, decimals: u8, evidence: &Evidence) -> String {
    let channel = match evidence {
        Evidence::Api(request) => json!({ "api_request": request }),
        Evidence::Session { one_time_code } => json!({ "session": { "one_time_code": one_time_code } }),
    };
    let mut body = json!({
        "account": order.account.as_str(),
        "asset": order.asset.as_str(),
        "network": order.network.name(),
        "address": order.address,
        "amount": order.amount.to_fixed(decimals),
        "fee_max": order.fee.to_fixed(decimals),
        "channel": channel,
    });
    if let (Value::Object(fields), Some(memo)) = (&mut body, &order.memo) {
        fields.insert("memo".to_owned(), json!(memo));
    }
    body.to_string()
}

/// What an API key's requests are verified with.
pub(crate) enum KeyText<'a> {
    /// The secret, as the customer has it, and what the dialect wants beside it.
    Hmac { algorithm: &'static str, secret: &'a str, passphrase: Option<&'a str> },
    /// A public key and what Holdfast calls its algorithm.
    Public { algorithm: &'static str, pem: &'a str },
}

/// What an API key is for.
pub(crate) struct KeyTerms<'a> {
    pub(crate) dialect: &'static str,
    pub(crate) withdraw: bool,
    pub(crate) ips: &'a [String],
}

impl Holdfast {
    pub(crate) fn new(url: &str, token: &str, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .max_idle_connections_per_host(64)
            .build();
        Self { agent: config.into(), url: url.to_owned(), authorization: format!("Bearer {token}") }
    }

    /// Asks whether a withdrawal may go; `key` makes asking again safe.
    pub(crate) async fn request_withdrawal(&self, key: &str, body: String) -> Answer<Verdict> {
        self.call("POST", "/v1/withdrawals".to_owned(), Some(key.to_owned()), Some(body)).await
    }

    /// Where a withdrawal stands.
    pub(crate) async fn withdrawal(&self, id: &str) -> Answer<Verdict> {
        self.call("GET", format!("/v1/withdrawals/{id}"), None, None).await
    }

    /// The owner takes it back.
    pub(crate) async fn cancel(&self, id: &str, account: &str) -> Answer<Verdict> {
        let body = json!({ "account": account }).to_string();
        self.call("POST", format!("/v1/withdrawals/{id}/cancel"), None, Some(body)).await
    }

    /// The owner showed a one-time code for it.
    pub(crate) async fn one_time_code(&self, id: &str, account: &str) -> Answer<Verdict> {
        let body = json!({ "account": account }).to_string();
        self.call("POST", format!("/v1/withdrawals/{id}/one-time-code"), None, Some(body)).await
    }

    /// Makes an account known. Done as well if it was.
    pub(crate) async fn open_account(&self, account: &str, tier: &str) -> Answer<Value> {
        let body = json!({ "account": account, "tier": tier }).to_string();
        match self.call("POST", "/v1/accounts".to_owned(), None, Some(body)).await {
            Answer::Refused(problem) if problem.code == "account_exists" => Answer::Done(Value::Null),
            answer => answer,
        }
    }

    /// Registers an API key, or a new revision of it.
    pub(crate) async fn put_api_key(
        &self,
        account: &str,
        key: &str,
        material: KeyText<'_>,
        terms: KeyTerms<'_>,
    ) -> Answer<Value> {
        let scopes: &[&str] = if terms.withdraw { &["read", "withdraw"] } else { &["read"] };
        let (algorithm, secret, passphrase, pem) = match material {
            KeyText::Hmac { algorithm, secret, passphrase } => (algorithm, Some(secret), passphrase, None),
            KeyText::Public { algorithm, pem } => (algorithm, None, None, Some(pem)),
        };
        let body = json!({
            "scopes": scopes, "ip_allowlist": terms.ips, "dialect": terms.dialect, "algorithm": algorithm,
            "secret": secret, "passphrase": passphrase, "public_key": pem,
        });
        self.call("PUT", format!("/v1/accounts/{account}/api-keys/{key}"), None, Some(body.to_string())).await
    }

    /// Puts a destination into an account's address book: its age counts from now.
    pub(crate) async fn add_address(&self, account: &str, destination: &Value) -> Answer<Value> {
        self.call("POST", format!("/v1/accounts/{account}/addresses"), None, Some(destination.to_string()))
            .await
    }

    /// The notice about a new destination reached its owner: the veto window begins.
    pub(crate) async fn notice_delivered(&self, account: &str, destination: &Value) -> Answer<Value> {
        let path = format!("/v1/accounts/{account}/addresses/notice-delivered");
        self.call("POST", path, None, Some(destination.to_string())).await
    }

    /// Tells that an account's protection changed: cooling-off begins.
    pub(crate) async fn security_change(&self, account: &str, kind: &str) -> Answer<Value> {
        let body = json!({ "kind": kind }).to_string();
        self.call("POST", format!("/v1/accounts/{account}/security-changes"), None, Some(body)).await
    }

    /// Asks about an account's protection, or changes it: the answer as it is.
    pub(crate) async fn protection(
        &self,
        method: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Answer<Value> {
        self.call(method, path, None, body.map(|body| body.to_string())).await
    }

    /// What time it is at Holdfast, in milliseconds since 1970, if it says so.
    pub(crate) async fn time_ms(&self) -> Option<u64> {
        let answer: Answer<Health> = self.call("GET", "/health".to_owned(), None, None).await;
        match answer {
            Answer::Done(health) => Timestamp::parse(&health.time).ok().map(|time| time.0 / 1_000),
            Answer::Refused(_) | Answer::Unknown(_) => None,
        }
    }

    async fn call<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        path: String,
        idempotency_key: Option<String>,
        body: Option<String>,
    ) -> Answer<T> {
        let client = self.clone();
        let call = move || client.call_blocking(method, &path, idempotency_key.as_deref(), body);
        match tokio::task::spawn_blocking(call).await {
            Ok(Ok((status, text))) => read(status, &text),
            Ok(Err(error)) => Answer::Unknown(error.to_string()),
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }

    fn call_blocking(
        &self,
        method: &str,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<String>,
    ) -> Result<(u16, String), ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", &self.authorization);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.header("content-type", "application/json").body(body)?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
        Ok((response.status().as_u16(), text))
    }
}

/// Tells a refusal from an answer that never came.
fn read<T: serde::de::DeserializeOwned>(status: u16, text: &str) -> Answer<T> {
    match status {
        200..=299 => match serde_json::from_str(text) {
            Ok(value) => Answer::Done(value),
            // It did something; what, a look at the withdrawal will tell.
            Err(error) => Answer::Unknown(format!("an answer that does not read: {error}")),
        },
        // Harbor's own token is wrong, or there is too much to do: neither says anything about the customer.
        401 | 408 | 429 | 500..=599 => Answer::Unknown(format!("status {status}: {}", problem(text).title)),
        _ => match problem(text) {
            problem if problem.code == "scope_missing" => Answer::Unknown(problem.title),
            problem => Answer::Refused(problem),
        },
    }
}

fn problem(text: &str) -> Problem {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_a_refusal() {
        let unknown = |status| matches!(read::<Value>(status, "{}"), Answer::Unknown(_));
        assert!([401, 408, 429, 500, 503, 504].into_iter().all(unknown));
        let refused = read::<Value>(422, r#"{"code":"address_checksum","title":"T","status":422}"#);
        assert!(matches!(refused, Answer::Refused(problem) if problem.code == "address_checksum"));
        assert!(matches!(read::<Verdict>(201, "{}"), Answer::Unknown(_)), "accepted, but nobody can read it");
    }

    #[test]
    fn every_status_means_something() {
        let verdict = |status: &str| {
            let text = format!(
                r#"{{"id":"wd_1","status":"{status}","outcome":{{"severity":"x","factors":["one_time_code"]}},
                    "reasons":[{{"code":"halted","severity":"dwell"}}]}}"#
            );
            serde_json::from_str::<Verdict>(&text).unwrap().stage()
        };
        for (status, stage) in [
            ("approved", Stage::Approved),
            ("released", Stage::Approved),
            ("broadcast", Stage::Approved),
            ("confirmed", Stage::Approved),
            ("dwelling", Stage::Waiting),
            ("awaiting_approval", Stage::AwaitingApproval),
            ("held", Stage::Held),
            ("denied", Stage::Denied),
            ("cancelled", Stage::Cancelled),
            ("expired", Stage::Cancelled),
            ("something new", Stage::Held),
        ] {
            assert_eq!(verdict(status).0, stage, "{status}");
        }
        assert_eq!(verdict("dwelling").1, "Waiting (halted). You can still cancel it.");
    }
}
