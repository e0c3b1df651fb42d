//! What one event is over HTTP: which calls, with what in them. Customers' keys are real ones, in software.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_decision::acts::Act;
use holdfast_simulator::format::{Body, Channel, Entry, Facts, KeyScope, SecurityKind, To};
use holdfast_values::{Amount, Timestamp, time};
use ring::signature::Ed25519KeyPair;
use serde_json::{Map, Value, json};

use super::clock::{Clock, Spans};
use super::keys::{ApiKey, SecurityKey};
use crate::cli::Failure;
use crate::cli::client::{Answered, Client};
use crate::cli::operator;

/// For how long one call is tried while the server is away, or busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the first and the longest pause between two tries are.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// How often a request that grew too old on the way is signed again.
const SIGNINGS_MAX: u32 = 20;
/// For how long operators' signatures are good.
const ACT_VALID: &str = "1h";

/// How an event ended.
pub(super) enum Did {
    /// The server took it, in this record, and answered this.
    Taken(Value, u64),
    /// It refused: code, and what exactly.
    Refused(String, String),
    /// There is no call for it here: why.
    NotDriven(&'static str),
    /// No rule reads it, and no route takes it.
    Context,
    /// No answer, however often.
    Lost(String),
}

/// What a customer holds.
#[derive(Default)]
pub(super) struct Account {
    credentials: BTreeMap<Box<str>, SecurityKey>,
    keys: BTreeMap<Box<str>, ApiKey>,
}

/// A withdrawal that the server knows.
#[derive(Clone)]
pub(super) struct Withdrawal {
    pub(super) id: String,
    pub(super) account: Box<str>,
}

/// What all connections share.
pub(super) struct Hands {
    pub(super) client: Client,
    pub(super) clock: Clock,
    /// Operators' keys, by name.
    pub(super) operators: BTreeMap<String, Ed25519KeyPair>,
    /// Where customers' keys are asked, if it is not the relying party's own site.
    pub(super) origin: Option<String>,
    /// Different for each run, so that a second one asks for withdrawals of its own.
    pub(super) run: String,
    /// By the event that asked for each.
    pub(super) withdrawals: Mutex<BTreeMap<Box<str>, Withdrawal>>,
    pub(super) answered: Mutex<Spans>,
    pub(super) stop: std::sync::Arc<AtomicBool>,
    /// The token does not do: nothing more is tried.
    pub(super) unauthorised: Mutex<Option<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn to_json(to: &To) -> Value {
    let mut body = json!({ "network": to.network, "address": to.address });
    if let (Some(memo), Some(body)) = (&to.memo, body.as_object_mut()) {
        body.insert("memo".to_owned(), json!(memo));
    }
    body
}

fn facts_json(facts: &Facts) -> Value {
    serde_json::to_value(facts).unwrap_or_default()
}

/// A part of a path or a query.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut to, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
        to
    })
}

impl Hands {
    /// One call, tried again while there is no answer. The same idempotency key makes that safe for withdrawals; everything
    /// else is the same when it is said twice.
    fn call(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Did {
        let began = Instant::now();
        let [mut pause, longest] = PAUSES;
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        loop {
            let asked = Instant::now();
            let last = match self.client.call(method, path, &headers, body.clone()) {
                Ok(answer) if !matches!(answer.status, 429 | 503) => {
                    locked(&self.answered).add(asked.elapsed());
                    if self.clock.stands() {
                        // Somebody else may have read it first; a server that goes away again is met by the next call.
                        let _read = self.clock.sync(&self.client);
                    }
                    return self.read(answer);
                }
                Ok(answer) => format!("{} (status {})", text(&answer.body, "code"), answer.status),
                Err(failure) => {
                    self.clock.stand();
                    failure.message
                }
            };
            if began.elapsed() > PATIENCE || self.stop.load(Ordering::Relaxed) {
                return Did::Lost(last);
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    fn read(&self, answer: Answered) -> Did {
        if (200..300).contains(&answer.status) {
            return Did::Taken(answer.body, answer.sequence.unwrap_or_default());
        }
        let (code, detail) = (text(&answer.body, "code"), text(&answer.body, "detail"));
        if matches!(answer.status, 401 | 403) && (code.starts_with("token_") || code == "scope_missing") {
            let title = text(&answer.body, "title");
            locked(&self.unauthorised).get_or_insert(format!("{code}: {title}"));
            self.stop.store(true, Ordering::Relaxed);
        }
        if code == "approval_required" {
            return Did::Refused(code.to_owned(), answer.body.to_string());
        }
        Did::Refused(code.to_owned(), detail.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> Did {
        self.call("POST", path, None, Some(body))
    }

    /// One event.
    pub(super) fn submit(&self, account: &mut Account, entry: &Entry) -> Result<Did, Failure> {
        let of = |account: &str, rest: &str| format!("/v1/accounts/{}{rest}", escaped(account));
        Ok(match &entry.body {
            Body::OpenAccount { account, tier } => {
                self.post("/v1/accounts", &json!({ "account": account, "tier": tier }))
            }
            Body::FreezeAccount { account, by } if by.as_deref() == Some("panic-link") => {
                match self.post(&of(account, "/panic-link"), &json!({})) {
                    Did::Taken(link, _) => self.call("POST", text(&link, "path"), None, None),
                    refused => refused,
                }
            }
            Body::FreezeAccount { account, .. } => self.post(&of(account, "/freeze"), &json!({})),
            Body::LowerLimits { account, usd_24h, usd_30d } => {
                self.post(&of(account, "/limits"), &json!({ "usd_24h_max": usd_24h, "usd_30d_max": usd_30d }))
            }
            Body::SecurityChange { account, kind } => {
                let kind = match kind {
                    SecurityKind::Password => "password",
                    SecurityKind::SecondFactor => "second_factor",
                    SecurityKind::Contact => "contact",
                    SecurityKind::Recovery => "recovery",
                };
                self.post(&of(account, "/security-changes"), &json!({ "kind": kind }))
            }
            Body::AddAddress { account, to } => self.post(&of(account, "/addresses"), &to_json(to)),
            Body::RemoveAddress { account, to } => {
                let memo = to.memo.as_deref().map(|memo| format!("&memo={}", escaped(memo)));
                let query = format!(
                    "/addresses?network={}&address={}{}",
                    escaped(&to.network),
                    escaped(&to.address),
                    memo.unwrap_or_default()
                );
                self.call("DELETE", &of(account, &query), None, None)
            }
            Body::NoticeDelivered { account, to } => self.notice(account, to),
            Body::PutApiKey { account: of, key, scopes, ip_allowlist, asymmetric, session } => {
                let ip = session.as_ref().and_then(|facts| facts.ip.as_deref());
                self.put_api_key(account, of, key, (scopes, ip_allowlist, *asymmetric, ip))?
            }
            Body::RevokeApiKey { account, key } => {
                let path = format!("/api-keys/{}", escaped(key));
                self.call("DELETE", &of(account, &path), None, None)
            }
            Body::AddCredential { account: of, credential, approved_by } => {
                self.add_credential(account, of, credential, approved_by.as_deref())?
            }
            Body::Session { account, facts } => self.post(&of(account, "/sessions"), &facts_json(facts)),
            Body::RequestWithdrawal { .. } => self.request(account, entry),
            Body::ApproveWithdrawal { withdrawal, credential, .. } => {
                self.approve(account, withdrawal, Some(credential))?
            }
            Body::OneTimeCode { withdrawal, .. } => self.own(withdrawal, "one-time-code"),
            Body::CancelWithdrawal { withdrawal, .. } => self.own(withdrawal, "cancel"),
            Body::DenyWithdrawal { withdrawal, .. } => match self.find(withdrawal) {
                Ok(known) => self.post(&format!("/v1/withdrawals/{}/deny", known.id), &json!({})),
                Err(refused) => refused,
            },
            Body::ApproveHeld { withdrawal, operators } => self.approve_held(withdrawal, operators)?,
            Body::Prices { prices } => {
                let prices: Vec<Value> =
                    prices.iter().map(|(asset, usd)| json!({ "asset": asset, "usd": usd })).collect();
                self.call("PUT", "/v1/prices", None, Some(&json!({ "prices": prices })))
            }
            Body::Halt { scope, .. } => self.post("/v1/halts", &json!({ "scope": scope })),
            Body::Resume { scope, operators } => self.act("resume", scope, "-", operators)?,
            Body::SetLimits { account, usd_24h, usd_30d, operators } => {
                let cents = |usd: &str| Amount::parse(usd, 2).map(|cents| cents.base_units());
                match (cents(usd_24h), cents(usd_30d)) {
                    (Ok(day), Ok(month)) => {
                        let detail = format!("usd-cents-24h={day} usd-cents-30d={month}");
                        self.act("set_limits", account, &detail, operators)?
                    }
                    _ => Did::Refused("amount_invalid".to_owned(), format!("{usd_24h}, {usd_30d}")),
                }
            }
            Body::RaiseBuckets { .. } => Did::NotDriven(
                "a whole configuration is what operators sign: `holdfast operator text configure`",
            ),
            Body::Deposit { .. } | Body::Trade { .. } | Body::Support { .. } => Did::Context,
        })
    }

    pub(super) fn notice(&self, account: &str, to: &To) -> Did {
        let path = format!("/v1/accounts/{}/addresses/notice-delivered", escaped(account));
        self.post(&path, &to_json(to))
    }

    fn find(&self, event: &str) -> Result<Withdrawal, Did> {
        let known = locked(&self.withdrawals).get(event).cloned();
        known.ok_or_else(|| {
            let detail = format!("no withdrawal was asked for by event {event}");
            Did::Refused("withdrawal_unknown".to_owned(), detail)
        })
    }

    /// A withdrawal as it stands.
    pub(super) fn look(&self, event: &str) -> Did {
        match self.find(event) {
            Ok(known) => self.call("GET", &format!("/v1/withdrawals/{}", known.id), None, None),
            Err(refused) => refused,
        }
    }

    /// An owner's act on a withdrawal.
    pub(super) fn own(&self, event: &str, what: &str) -> Did {
        match self.find(event) {
            Ok(known) => self
                .post(&format!("/v1/withdrawals/{}/{what}", known.id), &json!({ "account": known.account })),
            Err(refused) => refused,
        }
    }

    fn request(&self, account: &Account, entry: &Entry) -> Did {
        let Body::RequestWithdrawal { account: of, asset, to, amount, channel } = &entry.body else {
            return Did::Context;
        };
        let mut last = Did::Lost("never asked".to_owned());
        for signing in 0..SIGNINGS_MAX {
            let channel = match channel {
                Channel::Session { one_time_code, facts } => {
                    let mut session = json!({ "one_time_code": one_time_code });
                    if let (Some(facts), Some(fields)) = (facts, session.as_object_mut()) {
                        fields.insert("facts".to_owned(), facts_json(facts));
                    }
                    json!({ "session": session })
                }
                Channel::ApiRequest { key, ip } => {
                    let Some(held) = account.keys.get(key) else {
                        let detail = format!("no event made the key {key}");
                        return Did::Refused("api_key_unknown".to_owned(), detail);
                    };
                    let mut asked = to_json(to);
                    if let Some(fields) = asked.as_object_mut() {
                        fields.insert("asset".to_owned(), json!(asset));
                        fields.insert("amount".to_owned(), json!(amount));
                        let order = format!("{}-{signing}", entry.id);
                        fields.insert("client_order_id".to_owned(), json!(order));
                    }
                    let created = self.clock.now().0.checked_div(time::SECOND).unwrap_or_default();
                    held.request(key, &asked.to_string(), created, ip)
                }
            };
            let mut body = to_json(to);
            if let Some(fields) = body.as_object_mut() {
                fields.insert("account".to_owned(), json!(of));
                fields.insert("asset".to_owned(), json!(asset));
                fields.insert("amount".to_owned(), json!(amount));
                fields.insert("channel".to_owned(), channel);
            }
            let key = format!("{}:{}:{signing}", self.run, entry.id);
            last = self.call("POST", "/v1/withdrawals", Some(&key), Some(&body));
            match &last {
                // It grew old on the way, or the clock was read a little early: a program signs anew.
                Did::Taken(reply, _) if is_untimely(reply) => {}
                Did::Taken(reply, _) => {
                    let known = Withdrawal { id: text(reply, "id").to_owned(), account: of.clone() };
                    locked(&self.withdrawals).insert(entry.id.clone(), known);
                    return last;
                }
                _ => return last,
            }
        }
        last
    }

    /// A key that is asked to approve signs the withdrawal's text: the one named, or any that may.
    pub(super) fn approve(
        &self,
        account: &mut Account,
        event: &str,
        named: Option<&str>,
    ) -> Result<Did, Failure> {
        let known = match self.find(event) {
            Ok(known) => known,
            Err(refused) => return Ok(refused),
        };
        let path = format!("/v1/withdrawals/{}/approval", known.id);
        let asked = match self.call("GET", &path, None, None) {
            Did::Taken(asked, _) => asked,
            refused => return Ok(refused),
        };
        let key = match named {
            Some(name) => account.credentials.get_mut(name),
            None => allowed(account, &asked),
        };
        let Some(key) = key else {
            return Ok(Did::Refused("credential_unknown".to_owned(), "no event registered it".to_owned()));
        };
        let assertion = key.approve(text(&asked, "rp_id"), text(&asked, "text"))?;
        Ok(self.post(&path, &json!({ "account": known.account, "assertion": assertion })))
    }

    /// Whether a key that the account holds counts by now.
    pub(super) fn can_approve(&self, account: &Account, of: &str) -> bool {
        if account.credentials.is_empty() {
            return false;
        }
        let path = format!("/v1/accounts/{}/credentials", escaped(of));
        let Did::Taken(list, _) = self.call("GET", &path, None, None) else { return false };
        let now = self.clock.now();
        list.as_array().into_iter().flatten().any(|known| {
            let from = Timestamp::parse(text(known, "counts_from"));
            let is_held = account.credentials.values().any(|key| key.id() == text(known, "id"));
            is_held && from.is_ok_and(|from| from <= now)
        })
    }

    /// Sends a change; if it needs its owner's approval, a key that may gives it: the one named, or any.
    fn change(
        &self,
        account: &mut Account,
        (method, path): (&str, &str),
        mut body: Value,
        by: Option<&str>,
    ) -> Result<Did, Failure> {
        let asked = match self.call(method, path, None, Some(&body)) {
            Did::Refused(code, problem) if code == "approval_required" => problem,
            done => return Ok(done),
        };
        let problem: Value = serde_json::from_str(&asked).unwrap_or_default();
        let asked = problem.get("approval").cloned().unwrap_or_default();
        let key = match by {
            Some(name) => account.credentials.get_mut(name),
            None => allowed(account, &asked),
        };
        let Some(key) = key else {
            return Ok(Did::Refused("approval_required".to_owned(), text(&problem, "detail").to_owned()));
        };
        let said = text(&asked, "text");
        let assertion = key.approve(text(&asked, "rp_id"), said)?;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("approval".to_owned(), json!({ "text": said, "assertion": assertion }));
        }
        Ok(self.call(method, path, None, Some(&body)))
    }

    fn put_api_key(
        &self,
        account: &mut Account,
        of: &str,
        key: &str,
        (scopes, allowlist, asymmetric, ip): (&[KeyScope], &[Box<str>], bool, Option<&str>),
    ) -> Result<Did, Failure> {
        let mut body = Map::new();
        body.insert("scopes".to_owned(), serde_json::to_value(scopes).unwrap_or_default());
        body.insert("ip_allowlist".to_owned(), json!(allowlist));
        body.insert("dialect".to_owned(), json!("rfc9421"));
        let mut own = None;
        if asymmetric {
            let made = ApiKey::own()?;
            body.insert("public_key".to_owned(), json!(made.public_pem()));
            own = Some(made);
        }
        body.insert("algorithm".to_owned(), json!(if asymmetric { "ed25519" } else { "hmac_sha256" }));
        if let Some(ip) = ip {
            body.insert("client_ip".to_owned(), json!(ip));
        }
        let path = format!("/v1/accounts/{}/api-keys/{}", escaped(of), escaped(key));
        let did = self.change(account, ("PUT", &path), Value::Object(body), None)?;
        if let Did::Taken(reply, _) = &did {
            let shared = || reply.get("secret").and_then(Value::as_str).map(ApiKey::shared);
            // One that was there keeps its secret.
            if let Some(made) = own.or_else(shared) {
                account.keys.insert(key.into(), made);
            }
        }
        Ok(did)
    }

    fn add_credential(
        &self,
        account: &mut Account,
        of: &str,
        credential: &str,
        by: Option<&str>,
    ) -> Result<Did, Failure> {
        let path = format!("/v1/accounts/{}/credentials", escaped(of));
        let options = match self.post(&format!("{path}/options"), &json!({ "used_for": "approve" })) {
            Did::Taken(options, _) => options,
            refused => return Ok(refused),
        };
        let site = || format!("https://{}", text(&options, "rp_id"));
        let key = SecurityKey::new(&self.origin.clone().unwrap_or_else(site))?;
        let did = self.change(account, ("POST", &path), key.register(&options)?, by)?;
        if matches!(did, Did::Taken(..)) {
            account.credentials.insert(credential.into(), key);
        }
        Ok(did)
    }

    fn approve_held(&self, event: &str, operators: &[Box<str>]) -> Result<Did, Failure> {
        let known = match self.find(event) {
            Ok(known) => known,
            Err(refused) => return Ok(refused),
        };
        let shown = match self.call("GET", &format!("/v1/withdrawals/{}/text", known.id), None, None) {
            Did::Taken(shown, _) => shown,
            refused => return Ok(refused),
        };
        // The route answers with the text itself.
        let said = shown.as_str().map_or_else(|| text(&shown, "text").to_owned(), ToOwned::to_owned);
        let digest = operator::digest(said.as_bytes());
        self.act("approve_withdrawal", &known.id, &format!("text={digest}"), operators)
    }

    /// An act, signed by those of the named operators whose keys are here.
    fn act(&self, act: &str, target: &str, detail: &str, by: &[Box<str>]) -> Result<Did, Failure> {
        let here: Vec<(&str, &Ed25519KeyPair)> = by
            .iter()
            .filter_map(|name| self.operators.get_key_value(&**name))
            .map(|(name, key)| (name.as_str(), key))
            .collect();
        if here.is_empty() {
            return Ok(Did::NotDriven("none of the operators' keys is here: --operator NAME=FILE"));
        }
        let Some(act) = Act::parse(act, target, detail) else {
            return Ok(Did::Refused("act_invalid".to_owned(), format!("{act} {target} {detail}")));
        };
        let at: Timestamp = self.clock.now();
        let said = operator::write_text_of(&act.lines(), None, (&self.clock.exchange, at, ACT_VALID), None)?;
        Ok(self.post("/v1/operator-acts", &operator::signed(&said, &here)?))
    }

    /// Every decision about a withdrawal, oldest first, and the withdrawal as it stands.
    /// Lists are read once they have seen the record `seen`.
    pub(super) fn what_became(&self, known: &Withdrawal, seen: u64) -> Result<(Vec<Value>, Value), Failure> {
        let taken = |did: Did| match did {
            Did::Taken(value, _) => Ok(value),
            Did::Refused(code, detail) => Err(Failure::new("refused", format!("{code}: {detail}"))),
            Did::Lost(error) => Err(Failure::new("unreachable", error)),
            Did::NotDriven(_) | Did::Context => Err(Failure::new("unreachable", "no answer")),
        };
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let path =
                format!("/v1/withdrawals/{}/decisions?limit=500&min-sequence={seen}{cursor}", known.id);
            let page = taken(self.call("GET", &path, None, None))?;
            rows.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={}", escaped(next)),
                None => break,
            }
        }
        rows.reverse();
        let now = taken(self.call("GET", &format!("/v1/withdrawals/{}", known.id), None, None))?;
        Ok((rows, now))
    }
}

/// A request that was signed too long ago, or in the future.
fn is_untimely(reply: &Value) -> bool {
    let mut reasons = reply.get("reasons").and_then(Value::as_array).into_iter().flatten();
    text(reply, "status") == "denied" && reasons.any(|why| text(why, "code") == "api_timestamp")
}

/// The first of an account's keys that may approve what is asked.
fn allowed<'a>(account: &'a mut Account, asked: &Value) -> Option<&'a mut SecurityKey> {
    let allow: Vec<&str> =
        asked.get("allow").and_then(Value::as_array).into_iter().flatten().map(|a| text(a, "id")).collect();
    account.credentials.values_mut().find(|key| allow.contains(&key.id().as_str()))
}
