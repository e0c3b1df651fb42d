//! Over HTTP, as everybody else: Harbor's web page and API, Harbor's back door for the director, Holdfast itself.

use std::path::Path;
use std::time::{Duration, Instant};

use holdfast_values::{Micros, Timestamp};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::coin::Coin;

/// The longest that one call may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How often a client asks again where it got no answer.
const PATIENCE: u32 = 60;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// The most that Binance's dialect lets a request be old, in milliseconds of the exchange's time.
const WINDOW_MS: u64 = 60_000;

/// One pack's servers, as `cargo xtask demo` started them. Read from a JSON file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stack {
    /// Of the policy pack.
    pub(crate) name: String,
    /// What its buckets are, in words.
    pub(crate) buckets: String,
    pub(crate) holdfast: String,
    pub(crate) harbor: String,
    pub(crate) harbor_admin: String,
    admin_token: String,
    /// Reads and halts.
    init_token: String,
    prices_token: String,
    /// Where the drill keeps what it found.
    pub(crate) results: std::path::PathBuf,
    /// Where the chain's stand-in is controlled, and shows its book.
    chain: String,
    /// The hot wallets: of Bitcoin, and the account on Ethereum; the token's contract there.
    pub(crate) descriptors: Vec<String>,
    pub(crate) account: String,
    pub(crate) usdt: String,
    /// The signer's bucket of bitcoin for whatever it has only Holdfast's word for; refilled by as much every hour.
    pub(crate) signer_btc: String,
    /// Where the wallet keeps releases and transactions.
    pub(crate) kept: std::path::PathBuf,
}

impl Stack {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Calls to one stack.
pub(crate) struct Client {
    agent: ureq::Agent,
    pub(crate) stack: Stack,
}

/// An answer: status and JSON body.
pub(crate) type Answer = (u16, Value);

/// What a customer holds to get in.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Access {
    pub(crate) session: String,
    pub(crate) api_key: String,
    pub(crate) api_secret: String,
    /// From where the key may be used.
    pub(crate) ip: String,
}

/// How a request for a withdrawal ended, for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Harbor took it: where it stands.
    Taken(String),
    /// It will not be.
    Denied(String),
    /// No answer, however often.
    Lost(String),
}

/// One withdrawal, as its customer types it.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) coin: Coin,
    pub(crate) address: &'a str,
    pub(crate) amount: &'a str,
    /// The customer's own id, different for each.
    pub(crate) id: &'a str,
}

/// Time at the exchange.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    since: Instant,
    at: Timestamp,
    rate: u32,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.at.plus(micros.saturating_mul(u64::from(self.rate)))
    }

    /// How long that is on this machine.
    pub(crate) fn real(&self, span: Micros) -> Duration {
        Duration::from_micros(span / u64::from(self.rate.max(1)))
    }

    pub(crate) fn sleep_until(&self, at: Timestamp) {
        std::thread::sleep(self.real(at.since(self.now())));
    }
}

/// A member that is a text; nothing reads as the empty text.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Client {
    pub(crate) fn new(stack: Stack) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections_per_host(64)
            .build();
        Self { agent: config.into(), stack }
    }

    fn call(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body.to_string());
                self.agent.run(request.map_err(|error| error.to_string())?)
            }
            None => self.agent.run(request.body(()).map_err(|error| error.to_string())?),
        };
        let mut answer = sent.map_err(|error| format!("{url}: {error}"))?;
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.map_err(|error| format!("{url}: {error}"))?;
        Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Asks Holdfast, under the token that reads and halts.
    pub(crate) fn holdfast(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let bearer = format!("Bearer {}", self.stack.init_token);
        let url = format!("{}{path}", self.stack.holdfast);
        well(self.call(method, &url, &[("authorization", &bearer)], body)?)
    }

    /// Asks Harbor's back door.
    pub(crate) fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let bearer = format!("Bearer {}", self.stack.admin_token);
        let url = format!("{}{path}", self.stack.harbor_admin);
        again(|| match self.call(method, &url, &[("authorization", &bearer)], body) {
            Ok((503, value)) => Err(value.to_string()),
            Ok(answer) => Ok(well(answer)),
            Err(error) => Err(error),
        })?
    }

    /// Asks the chain's stand-in.
    pub(crate) fn chain(&self, network: &str, what: &str, body: &Value) -> Result<Value, String> {
        well(self.call("POST", &format!("{}/{network}/{what}", self.stack.chain), &[], Some(body))?)
    }

    /// Reports prices.
    pub(crate) fn prices(&self, prices: &Value) -> Result<(), String> {
        let bearer = format!("Bearer {}", self.stack.prices_token);
        let url = format!("{}/v1/prices", self.stack.holdfast);
        well(self.call("PUT", &url, &[("authorization", &bearer)], Some(&json!({ "prices": prices })))?)
            .map(drop)
    }

    /// Tells Harbor at which rate Holdfast was started again.
    pub(crate) fn set_rate(&self, rate: u32) -> Result<(), String> {
        self.admin("PUT", "/clock-rate", Some(&json!({ "rate": rate }))).map(drop)
    }

    /// Reads the exchange's clock: the quickest answer of a few is the most exact.
    pub(crate) fn clock(&self, rate: u32) -> Result<Clock, String> {
        let mut best: Option<(Duration, Clock)> = None;
        for _ in 0..7 {
            let asked = Instant::now();
            let health = again(|| self.holdfast("GET", "/health", None))?;
            let took = asked.elapsed();
            let at = Timestamp::parse(text(&health, "time")).map_err(|error| error.to_string())?;
            let clock = Clock { since: asked + took / 2, at, rate };
            if best.is_none_or(|(quickest, _)| took < quickest) {
                best = Some((took, clock));
            }
        }
        best.map(|(_, clock)| clock).ok_or_else(|| "no clock".to_owned())
    }

    /// A signed-in customer asks on the web page. `code` comes with the form; without it, one is shown if asked for.
    pub(crate) fn ask_on_page(
        &self,
        account: &str,
        access: &Access,
        order: Order<'_>,
        code: Option<&str>,
    ) -> Asked {
        let bearer = format!("Bearer {}", access.session);
        let page = |method: &str, path: &str, body: Option<&Value>| {
            again(|| {
                match self.call(
                    method,
                    &format!("{}{path}", self.stack.harbor),
                    &[("authorization", &bearer)],
                    body,
                ) {
                    Ok((503, value)) => Err(value.to_string()),
                    other => other,
                }
            })
        };
        let mut form = json!({ "asset": order.coin.symbol(), "network": order.coin.network(),
            "address": order.address, "amount": order.amount, "order_id": order.id });
        if let (Value::Object(fields), Some(code)) = (&mut form, code) {
            fields.insert("code".to_owned(), json!(code));
        }
        let mut shown = match page("POST", "/withdraw", Some(&form)) {
            Ok((200, shown)) => shown,
            Ok((_, problem)) => return Asked::Denied(text(&problem, "message").to_owned()),
            Err(error) => return Asked::Lost(error),
        };
        // No answer of Holdfast yet: the page goes on looking.
        for _ in 0..PATIENCE {
            if text(&shown, "stage") != "checking" {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            match page("GET", &format!("/withdrawals/{}", text(&shown, "id")), None) {
                Ok((200, now)) => shown = now,
                Ok((_, problem)) => return Asked::Denied(text(&problem, "message").to_owned()),
                Err(error) => return Asked::Lost(error),
            }
        }
        let wants_code =
            text(&shown, "stage") == "awaiting_approval" && text(&shown, "info").contains("one_time_code");
        if !wants_code {
            return Asked::Taken(text(&shown, "stage").to_owned());
        }
        let path = format!("/withdrawals/{}/code", text(&shown, "id"));
        let mut last = "no code works".to_owned();
        for _ in 0..PATIENCE {
            let code = match self.code(account) {
                Ok(code) => code,
                Err(error) => return Asked::Lost(error),
            };
            match page("POST", &path, Some(&json!({ "code": code }))) {
                Ok((200, now)) => return Asked::Taken(text(&now, "stage").to_owned()),
                Ok((403, problem)) if text(&problem, "error") == "code_wrong" => {
                    last = text(&problem, "message").to_owned();
                    std::thread::sleep(Duration::from_secs(1));
                }
                Ok((_, problem)) => return Asked::Denied(text(&problem, "message").to_owned()),
                Err(error) => return Asked::Lost(error),
            }
        }
        Asked::Lost(last)
    }

    /// Where the withdrawals of an account stand, as its page shows them; nothing if the page does not answer.
    pub(crate) fn stages(&self, access: &Access) -> Vec<String> {
        let bearer = format!("Bearer {}", access.session);
        let url = format!("{}/withdrawals", self.stack.harbor);
        let shown = self.call("GET", &url, &[("authorization", &bearer)], None);
        let rows = shown.map(|(_, rows)| rows).unwrap_or_default();
        rows.as_array().into_iter().flatten().map(|row| text(row, "stage").to_owned()).collect()
    }

    /// What the phone of the account's owner shows.
    pub(crate) fn code(&self, account: &str) -> Result<String, String> {
        self.admin("GET", &format!("/customers/{account}/code"), None)
            .map(|shown| text(&shown, "code").to_owned())
    }

    /// A customer saves an address on the web page; Harbor tells its owner.
    pub(crate) fn save_address(&self, access: &Access, coin: Coin, address: &str) -> Result<(), String> {
        let bearer = format!("Bearer {}", access.session);
        let url = format!("{}/addresses", self.stack.harbor);
        let body = json!({ "network": coin.network(), "address": address });
        again(|| match self.call("POST", &url, &[("authorization", &bearer)], Some(&body)) {
            Ok((503, value)) => Err(value.to_string()),
            Ok(answer) => Ok(well(answer).map(drop)),
            Err(error) => Err(error),
        })?
    }

    /// A program asks with a signed request. A request that grew too old on the way is signed again, as a program
    /// would: `signed_again` counts how often.
    pub(crate) fn ask_by_api(
        &self,
        access: &Access,
        order: Order<'_>,
        rate: u32,
        signed_again: &mut u64,
    ) -> Asked {
        let key = hmac::Key::new(hmac::HMAC_SHA256, access.api_secret.as_bytes());
        let (mut last, mut signed) = (String::new(), 0u32);
        for attempt in 0..PATIENCE {
            std::thread::sleep(Duration::from_millis(u64::from(attempt)));
            let time = match self.call("GET", &format!("{}/api/v3/time", self.stack.harbor), &[], None) {
                Ok((200, time)) => time.get("serverTime").and_then(Value::as_u64).unwrap_or(0),
                other => {
                    last = format!("{other:?}");
                    continue;
                }
            };
            // Never ahead of a clock that is known to a few real milliseconds only.
            let timestamp = time.saturating_sub(u64::from(rate).saturating_mul(6).min(WINDOW_MS / 4));
            let query = format!(
                "coin={}&network={}&address={}&amount={}&withdrawOrderId={}-{signed}&recvWindow={WINDOW_MS}\
                 &timestamp={timestamp}",
                order.coin.symbol(),
                order.coin.binance_network(),
                order.address,
                order.amount,
                order.id
            );
            let signature = super::hex(hmac::sign(&key, query.as_bytes()).as_ref());
            let url =
                format!("{}/sapi/v1/capital/withdraw/apply?{query}&signature={signature}", self.stack.harbor);
            let headers =
                [("x-mbx-apikey", access.api_key.as_str()), ("x-forwarded-for", access.ip.as_str())];
            match self.call("POST", &url, &headers, None) {
                Ok((200, row)) => return Asked::Taken(text(&row, "info").to_owned()),
                Ok((_, problem)) => match problem.get("code").and_then(Value::as_i64) {
                    // Too old on the way: that order is void, so the next one has another id.
                    Some(-1021) => {
                        last = text(&problem, "msg").to_owned();
                        signed = signed.saturating_add(1);
                        *signed_again = signed_again.saturating_add(1);
                    }
                    // Nobody knows: the same id again.
                    Some(-1001) => last = text(&problem, "msg").to_owned(),
                    _ => return Asked::Denied(text(&problem, "msg").to_owned()),
                },
                // Nobody knows either.
                Err(error) => last = error,
            }
        }
        Asked::Lost(last)
    }

    /// All withdrawals that Holdfast knows, oldest first.
    pub(crate) fn withdrawals(&self) -> Result<Vec<Value>, String> {
        let sequence = again(|| self.holdfast("GET", "/health", None))?;
        let sequence = sequence.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = again(|| {
                self.holdfast(
                    "GET",
                    &format!("/v1/withdrawals?limit=500&min-sequence={sequence}{cursor}"),
                    None,
                )
            })?;
            rows.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        rows.reverse();
        Ok(rows)
    }

    /// Every decision about a withdrawal, oldest first.
    pub(crate) fn decisions(&self, id: &str) -> Result<Vec<Value>, String> {
        let page =
            again(|| self.holdfast("GET", &format!("/v1/withdrawals/{id}/decisions?limit=500"), None))?;
        let mut rows: Vec<Value> =
            page.get("items").and_then(Value::as_array).into_iter().flatten().cloned().collect();
        rows.reverse();
        Ok(rows)
    }
}

fn well((status, value): Answer) -> Result<Value, String> {
    if (200..300).contains(&status) { Ok(value) } else { Err(format!("status {status}: {value}")) }
}

/// Asks until there is an answer.
fn again<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let mut last = ask();
    for attempt in 1..PATIENCE {
        if last.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(u64::from(attempt).saturating_mul(10)));
        last = ask();
    }
    last
}
