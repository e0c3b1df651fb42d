//! The checks of a request, one below the other.
//!
//! The order is what protects the gate itself. First what costs nothing and needs no key; then the address pays for the
//! signature that is about to be checked, so that a stranger's requests are bounded in CPU; then the signature; and
//! only what is signed may say anything about its key, spend its budget or be remembered. A request that is let through
//! gets its address's payment back, and its key pays instead.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_authn::{Dialect, RawRequest, RequestError, SignedRequest};
use holdfast_values::{AccountId, Micros, Name, Timestamp};

use crate::answer::{Allowed, Denied, Verdict};
use crate::budget::{Addresses, seconds_left};
use crate::code::{CODES, Code};
use crate::headers;
use crate::keys::{KeyEntry, Keys, Known, PutError};
use crate::path;
use crate::replay::{Remembered, Seen};
use crate::route::{Found, Route, Routes, Scope, Unknown};
use crate::summary::{Anomalies, Summary};

/// A request as the proxy got it.
#[derive(Clone, Copy, Debug)]
pub struct CheckRequest<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The path without query, raw, as it was signed.
    pub path: &'a str,
    /// What follows the `?`, undecoded.
    pub query: &'a [u8],
    /// Names and values, without those of HTTP/2 that begin with a colon.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, undecoded.
    pub body: &'a [u8],
    /// Where it came from, as the proxy knows it and not as a header says.
    pub ip: IpAddr,
    /// The proxy kept a part of the body back.
    pub body_truncated: bool,
}

/// What costs an address one unit of its minute: any request that is refused or not yet proven.
const UNPROVEN_WEIGHT: u32 = 1;

/// The gate. It can be asked from many threads at once.
pub struct Gate {
    routes: Routes,
    /// What was signed up to this cannot be told from what was let through before the gate started.
    trusted_from: Timestamp,
    keys: Keys,
    addresses: Addresses,
    seen: Seen,
    allowed: AtomicU64,
    refused: [AtomicU64; CODES],
}

impl core::fmt::Debug for Gate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Gate").field("routes", &self.routes.count()).finish_non_exhaustive()
    }
}

/// What the gate holds and did, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Requests let through since the start.
    pub allowed: u64,
    /// Requests refused since the start, by code.
    pub refused: Vec<(Code, u64)>,
    /// Keys known.
    pub keys: usize,
    /// Requests remembered.
    pub remembered: usize,
}

/// A refusal; with what the request's reader objects to, where it is the reader's.
struct Refused {
    code: Code,
    detail: Option<RequestError>,
    /// A key that is not known.
    key: Option<Name>,
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self { code, detail: None, key: None }
    }
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        Self { code: Code::of(&error), detail: Some(error), key: None }
    }
}

/// A refusal of something that was signed, and what the key's summary notes of it.
type Noted = (Code, Anomalies);

impl Gate {
    /// A gate without keys that starts at `now`.
    pub fn new(routes: Routes, now: Timestamp) -> Self {
        // A request that a gate before this one let through was signed at most this far ahead of its clock.
        let ahead = millis(routes.limits.ahead_ms);
        Self {
            trusted_from: now.plus(ahead),
            keys: Keys::new(routes.limits.keys_max),
            addresses: Addresses::new(),
            seen: Seen::new(routes.limits.remembered_max),
            allowed: AtomicU64::new(0),
            refused: [const { AtomicU64::new(0) }; CODES],
            routes,
        }
    }

    /// Adds a key, or a new revision of one.
    ///
    /// # Errors
    /// [`PutError`], and then the key is not known.
    pub fn put_key(&self, entry: KeyEntry) -> Result<(), PutError> {
        self.keys.put(entry)
    }

    /// Takes a key out of use, for ever; false if it is not known.
    pub fn revoke_key(&self, key: &Name) -> bool {
        self.keys.change(key, |entry, _| entry.revoked = true)
    }

    /// Moves a key's end; false if it is not known.
    pub fn set_key_end(&self, key: &Name, expires_at: Option<Timestamp>) -> bool {
        self.keys.change(key, |entry, _| entry.expires_at = expires_at)
    }

    /// Takes a key for unknown until it is put again: it has changed. Its nonces and counts stay. False if it is not
    /// known.
    pub fn suspend_key(&self, key: &Name) -> bool {
        self.keys.change(key, |_, suspended| *suspended = true)
    }

    /// Takes every key for unknown until it is put again.
    pub fn suspend_all(&self) {
        self.keys.suspend_all();
    }

    /// Forgets a key. A key that may come back must be revoked instead: with it goes the memory of its nonces.
    pub fn remove_key(&self, key: &Name) {
        self.keys.remove(key);
    }

    /// Refuses all keys of an account from the next request on.
    pub fn freeze_account(&self, account: AccountId) {
        self.keys.freeze(account, true);
    }

    /// Takes an account's keys again.
    pub fn unfreeze_account(&self, account: AccountId) {
        self.keys.freeze(account, false);
    }

    /// Takes these accounts, and no others, for frozen.
    pub fn set_frozen_accounts(&self, accounts: impl IntoIterator<Item = AccountId>) {
        self.keys.set_frozen(accounts.into_iter().collect());
    }

    /// What was seen of at most `max` keys since they were last told of.
    pub fn drain(&self, at: Timestamp, max: usize) -> Summary {
        self.keys.drain(at, max)
    }

    /// What the gate holds and did.
    pub fn stats(&self) -> Stats {
        let refused = Code::ALL.iter().zip(&self.refused);
        Stats {
            allowed: self.allowed.load(Ordering::Relaxed),
            refused: refused.map(|(code, count)| (*code, count.load(Ordering::Relaxed))).collect(),
            keys: self.keys.count(),
            remembered: self.seen.len(),
        }
    }

    /// What this gate checks.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Judges a request. Total: every input has a verdict.
    pub fn check(&self, now: Timestamp, request: &CheckRequest<'_>) -> Verdict {
        // Until the route is known, a refusal is told in the default dialect.
        let mut dialect = self.routes.dialect;
        match self.judge(now, request, &mut dialect) {
            Ok(allowed) => {
                self.allowed.fetch_add(1, Ordering::Relaxed);
                Verdict::Allow(allowed)
            }
            Err(Refused { code, detail, key }) => {
                let place = Code::ALL.iter().position(|known| *known == code);
                if let Some(count) = place.and_then(|place| self.refused.get(place)) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                let detail = detail.map(|error| error.to_string());
                let denied = Denied::new(code, detail.as_deref(), dialect, seconds_left(now));
                Verdict::Deny(Denied { key, ..denied })
            }
        }
    }

    fn judge(
        &self,
        now: Timestamp,
        request: &CheckRequest<'_>,
        dialect: &mut Dialect,
    ) -> Result<Allowed, Refused> {
        let limits = &self.routes.limits;
        let pay = |weight| {
            let paid = self.addresses.spend(now, request.ip, weight, limits.address_weight_per_minute);
            if paid { Ok(()) } else { Err(Refused::from(Code::AddressBudget)) }
        };
        let found = route(&self.routes, request);
        if let Ok(Some(route)) = found {
            *dialect = route.dialect;
        }
        let found = found.and_then(|found| form(request).map(|()| found));
        // A public request pays its weight, any other one unit until its key can pay.
        let public = |route: &Route| route.scope == Scope::Public;
        let weight = match found {
            Ok(Some(route)) if public(route) => route.weight,
            _ => UNPROVEN_WEIGHT,
        };
        pay(weight)?;
        let route = match found? {
            Some(route) if !public(route) => route,
            _ => return Ok(Allowed::public(weight)),
        };
        let body_max = usize::try_from(limits.body_bytes_max).unwrap_or(usize::MAX);
        if request.body_truncated || request.body.len() > body_max {
            return Err(Code::BodyTooLarge.into());
        }
        let raw = RawRequest {
            method: request.method,
            path: request.path,
            raw_query: request.query,
            raw_body: request.body,
            headers: request.headers,
        };
        let signed = holdfast_authn::parse(route.dialect, &raw)?;
        let known = self.keys.get(signed.api_key()).filter(|known| !known.suspended);
        let unknown = || Refused { key: Some(signed.api_key().clone()), ..Code::KeyUnknown.into() };
        let known = known.ok_or_else(unknown)?;
        if known.entry.dialect.is_some_and(|own| own != route.dialect) {
            return Err(Code::KeyDialect.into());
        }
        if let Err(error) = holdfast_authn::verify_signature(&signed, &known.entry.material) {
            self.keys.note_unproven(&known);
            return Err(error.into());
        }
        match self.judge_signed(now, request.ip, route, &signed, &known) {
            Ok(()) => {
                self.addresses.give_back(now, request.ip, UNPROVEN_WEIGHT);
                self.keys.note_allowed(&known, now, request.ip);
                Ok(Allowed::signed(&known.entry, route))
            }
            Err((code, anomalies)) => {
                self.keys.note_refused(&known, request.ip, anomalies);
                Err(code.into())
            }
        }
    }

    /// What is left once the signature is known to be good.
    fn judge_signed(
        &self,
        now: Timestamp,
        ip: IpAddr,
        route: &Route,
        signed: &SignedRequest,
        known: &Arc<Known>,
    ) -> Result<(), Noted> {
        let entry = &known.entry;
        if entry.revoked {
            return Err((Code::KeyRevoked, Anomalies::REVOKED));
        }
        if entry.expires_at.is_some_and(|end| now >= end) {
            return Err((Code::KeyExpired, Anomalies::EXPIRED));
        }
        if self.keys.is_frozen(&entry.account) {
            return Err((Code::AccountFrozen, Anomalies::FROZEN));
        }
        let anywhere = entry.allow.is_empty() && route.scope != Scope::Withdraw;
        if !anywhere && !entry.allow.iter().any(|net| net.contains(ip)) {
            return Err((Code::AddressNotAllowed, Anomalies::ADDRESS));
        }
        if entry.scopes & route.scope.bit() == 0 {
            return Err((Code::ScopeMissing, Anomalies::SCOPE));
        }
        let ahead = millis(self.routes.limits.ahead_ms);
        let end = signed.signed_at().plus(signed.window());
        if signed.signed_at() > now.plus(ahead) {
            return Err((Code::SignedAhead, Anomalies::TIME));
        }
        if now > end {
            return Err((Code::SignedTooLongAgo, Anomalies::TIME));
        }
        if signed.signed_at() <= self.trusted_from {
            return Err((Code::SignedBeforeStart, Anomalies::TIME));
        }
        let pay = || known.used.minute.spend(now, route.weight, self.routes.limits.key_weight_per_minute);
        const UNPAID: Noted = (Code::KeyBudget, Anomalies::BUDGET);
        // Whoever must count upwards cannot come twice and takes no room.
        if let Some(nonce) = signed.nonce() {
            return match known.used.rise(nonce) {
                false => Err((Code::NonceOld, Anomalies::NONCE)),
                true if pay() => Ok(()),
                true => Err(UNPAID),
            };
        }
        match self.seen.remember(now, signed.digest(), end, pay) {
            Remembered::New => Ok(()),
            Remembered::Again => Err((Code::Replayed, Anomalies::REPLAY)),
            Remembered::Full => Err((Code::MemoryFull, Anomalies::NONE)),
            Remembered::Unpaid => Err(UNPAID),
        }
    }
}

/// The route, or none where paths that no route has are public.
fn route<'a>(routes: &'a Routes, request: &CheckRequest<'_>) -> Result<Option<&'a Route>, Code> {
    let canonical = path::is_method(request.method)
        && path::is_canonical(request.path)
        && path::is_plain_query(request.query);
    if !canonical {
        return Err(Code::PathNotCanonical);
    }
    match (routes.find(request.method, request.path), routes.unknown) {
        (Found::Route(route), _) => Ok(Some(route)),
        (Found::Ambiguous, _) => Err(Code::RouteAmbiguous),
        (Found::Unknown, Unknown::Deny) => Err(Code::RouteUnknown),
        (Found::Unknown, Unknown::Public) => Ok(None),
    }
}

fn form(request: &CheckRequest<'_>) -> Result<(), Code> {
    if headers::are_plain(request.headers) { Ok(()) } else { Err(Code::HeaderRefused) }
}

fn millis(ms: u32) -> Micros {
    u64::from(ms).saturating_mul(1_000)
}
