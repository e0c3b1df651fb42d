//! A little exchange: routes, two customers, and requests signed as binance's and kraken's clients sign them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: what is missing or odd fails the test"
)]

use std::net::IpAddr;

use holdfast_authn::encoding::to_base64;
use holdfast_authn::{Dialect, KeyMaterial};
use holdfast_gate::{CheckRequest, Gate, KeyEntry, Routes, Verdict};
use holdfast_values::{Name, Timestamp, time};
use ring::{digest, hmac};

/// 2026-11-22T12:00:00Z, the beginning of a minute.
pub(crate) const NOON: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
pub(crate) const HOME: &str = "203.0.113.7";
pub(crate) const AWAY: &str = "198.51.100.9";
pub(crate) const SECRET: &str = "a secret of forty letters, known to two only";
pub(crate) const ROUTES: &str = "
dialect = 'binance'

[limits]
key_weight_per_minute = 20
address_weight_per_minute = 50
body_bytes_max = 8192
remembered_max = 30
keys_max = 1000

[[route]]
prefix = '/api/v3/'
scope = 'public'
weight = 2

[[route]]
method = 'GET'
exact = '/api/v3/account'
scope = 'read'
weight = 5

[[route]]
method = 'POST'
exact = '/api/v3/order'
scope = 'trade'

[[route]]
method = 'POST'
exact = '/sapi/v1/capital/withdraw/apply'
scope = 'withdraw'

[[route]]
method = 'POST'
exact = '/0/private/Withdraw'
dialect = 'kraken'
scope = 'withdraw'

[[route]]
method = 'POST'
exact = '/0/private/Balance'
dialect = 'kraken'
scope = 'read'
";

/// A gate that started a minute before noon, with the keys `alice` (all scopes, from home) and `bob` (read and trade,
/// from anywhere) and `kay` (kraken).
pub(crate) fn gate() -> Gate {
    let gate = bare_gate(NOON.minus(time::MINUTE));
    gate.put_key(entry("alice", 15)).unwrap();
    gate.put_key(KeyEntry { allow: Vec::new(), ..entry("bob", 3) }).unwrap();
    gate.put_key(kay()).unwrap();
    gate
}

/// A key that signs as kraken's do.
pub(crate) fn kay() -> KeyEntry {
    KeyEntry {
        material: KeyMaterial::shared(Dialect::Kraken, &to_base64(SECRET.as_bytes()), None).unwrap(),
        dialect: Some(Dialect::Kraken),
        ..entry("kay", 15)
    }
}

pub(crate) fn bare_gate(started: Timestamp) -> Gate {
    Gate::new(Routes::parse(ROUTES).unwrap(), started)
}

pub(crate) fn entry(key: &str, scopes: u8) -> KeyEntry {
    KeyEntry {
        account: format!("ac_{key}").parse().unwrap(),
        key: key.parse().unwrap(),
        revision: 1,
        material: KeyMaterial::hmac_sha256(SECRET.as_bytes()).unwrap(),
        dialect: Some(Dialect::Binance),
        scopes,
        allow: vec![HOME.parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        expires_at: None,
        revoked: false,
    }
}

/// A request, owned.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) ip: IpAddr,
    pub(crate) body_truncated: bool,
}

impl Sent {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: String::new(),
            headers: vec![("host".to_owned(), "api.harbor.example".to_owned())],
            body: Vec::new(),
            ip: HOME.parse().unwrap(),
            body_truncated: false,
        }
    }

    pub(crate) fn from(mut self, ip: &str) -> Self {
        self.ip = ip.parse().unwrap();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&CheckRequest<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        use_it(&CheckRequest {
            method: self.method,
            path: &self.path,
            query: self.query.as_bytes(),
            headers: &headers,
            body: &self.body,
            ip: self.ip,
            body_truncated: self.body_truncated,
        })
    }

    pub(crate) fn check(&self, gate: &Gate, now: Timestamp) -> Verdict {
        self.with(|request| gate.check(now, request))
    }
}

/// As binance's clients sign: parameters in the query, HMAC over them.
pub(crate) fn binance(method: &'static str, path: &str, key: &str, parameters: &str, at: Timestamp) -> Sent {
    let millis = at.0 / 1_000;
    let signed = if parameters.is_empty() {
        format!("timestamp={millis}")
    } else {
        format!("{parameters}&timestamp={millis}")
    };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    let mut sent = Sent::new(method, path).header("X-MBX-APIKEY", key);
    sent.query = format!("{signed}&signature={}", hex(tag.as_ref()));
    sent
}

/// As kraken's clients sign: HMAC-SHA512 over the path and the hash of nonce and body.
pub(crate) fn kraken(path: &str, key: &str, parameters: &str, nonce: u64) -> Sent {
    let body = format!("nonce={nonce}{parameters}");
    let mut inner = digest::Context::new(&digest::SHA256);
    inner.update(nonce.to_string().as_bytes());
    inner.update(body.as_bytes());
    let message = [path.as_bytes(), inner.finish().as_ref()].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, SECRET.as_bytes()), &message);
    let mut sent = Sent::new("POST", path)
        .header("API-Key", key)
        .header("API-Sign", &to_base64(tag.as_ref()))
        .header("content-type", "application/x-www-form-urlencoded");
    sent.body = body.into_bytes();
    sent
}

pub(crate) fn order(key: &str, at: Timestamp) -> Sent {
    binance("POST", "/api/v3/order", key, "symbol=BTCUSDT&side=BUY", at)
}

pub(crate) fn withdrawal(key: &str, at: Timestamp) -> Sent {
    binance("POST", "/sapi/v1/capital/withdraw/apply", key, "coin=BTC&address=x&amount=1", at)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The verdict in a word: the account that was let through, `public`, or the code of the refusal.
pub(crate) fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(allowed) => match &allowed.signer {
            Some(signer) => signer.account.to_string(),
            None => "public".to_owned(),
        },
        Verdict::Deny(denied) => denied.code.as_str().to_owned(),
    }
}

/// The status and body of a refusal.
pub(crate) fn said(verdict: Verdict) -> (u16, String) {
    match verdict {
        Verdict::Deny(denied) => (denied.status, denied.body),
        Verdict::Allow(allowed) => panic!("let through: {allowed:?}"),
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}
