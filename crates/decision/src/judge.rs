//! What is to be said of one withdrawal at one instant: the ladder of refusals, the facts, the policy.
//!
//! Buckets come after this (`settle.rs`): here nothing depends on how much is left of them.

use core::fmt::Write as _;

use holdfast_policy::{Action, Degree, Fact, Factor, Facts, Findings, Program, explain};
use holdfast_values::{
    Amount, Destination, Fingerprint, MandateId, Micros, Timestamp, UsdCents, WithdrawalId, time,
};

use crate::account::{ADDRESSES_MAX, Account};
use crate::approve::{mandate_for, stands};
use crate::command::{ApiEvidence, Evidence, RequestWithdrawal, Scope, Scopes};
use crate::configuration::Class;
use crate::event::{AccountIndex, AssetIndex, Factors, WalletIndex};
use crate::keys;
use crate::price::Quote;
use crate::protection::{ApprovalFlags, BoundApproval, CredentialUse};
use crate::reason::{Cause, Reason, Severity};
use crate::sessions::{device_age, is_known_place};
use crate::state::State;
use crate::window::Totals;
use crate::withdrawal::{Turn, Withdrawal};

/// What facts say of "never".
const NEVER_HOURS: i64 = 1_000_000;
/// How far ahead of Holdfast's time a request may have been signed.
const SIGNED_AHEAD_MAX: Micros = time::SECOND;

/// A withdrawal to judge: a new one, or an open one again.
pub(crate) struct Subject<'s> {
    pub(crate) id: WithdrawalId,
    pub(crate) account_index: AccountIndex,
    pub(crate) account: &'s Account,
    pub(crate) asset: AssetIndex,
    pub(crate) wallet: WalletIndex,
    pub(crate) destination: &'s Destination,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) amount: Amount,
    /// What windows and buckets count.
    pub(crate) usd_cents: UsdCents,
    pub(crate) requested_at: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) evidence: &'s Evidence,
    pub(crate) discharged: Factors,
    pub(crate) operators: u8,
    pub(crate) reserved: Option<Class>,
    pub(crate) queued: Option<Turn>,
    /// It stands in State already.
    pub(crate) is_open: bool,
    /// The windows count it already: it is open, and had a value when it came in.
    pub(crate) is_counted: bool,
    /// Its owner's approval of its text, by a credential that counts.
    pub(crate) bound: Option<&'s BoundApproval>,
    /// The mandate that it is asked for under, if that is in force.
    pub(crate) mandate: Option<MandateId>,
    /// Its text lapsed before: what came with the request says nothing any more.
    pub(crate) is_renewed: bool,
}

impl<'s> Subject<'s> {
    /// A withdrawal that is being asked for.
    pub(crate) fn new(
        state: &'s State,
        at: Timestamp,
        request: &'s RequestWithdrawal,
        places: (AccountIndex, AssetIndex, WalletIndex),
    ) -> Option<Self> {
        let (account_index, asset, wallet) = places;
        let account = state.account_at(account_index)?;
        let mandate = mandate_for(state, at, account, request);
        Some(Self {
            id: request.withdrawal,
            account_index,
            account,
            asset,
            wallet,
            destination: &request.destination,
            fingerprint: request.fingerprint,
            amount: request.amount,
            usd_cents: state.value(asset, request.amount, at).unwrap_or(UsdCents::MAX),
            requested_at: at,
            not_after: at.plus(state.configuration().parameters.withdrawal_lifetime),
            evidence: &request.evidence,
            discharged: discharged(Factors::default(), mandate.is_some()),
            operators: 0,
            reserved: None,
            queued: None,
            is_open: false,
            is_counted: false,
            bound: None,
            mandate,
            is_renewed: false,
        })
    }

    /// An open withdrawal.
    pub(crate) fn open(state: &'s State, at: Timestamp, withdrawal: &'s Withdrawal) -> Option<Self> {
        let request = &withdrawal.request;
        let is_counted = request.usd_cents != UsdCents::MAX;
        let usd_cents = if is_counted {
            request.usd_cents
        } else {
            state.value(request.asset, request.amount, at).unwrap_or(UsdCents::MAX)
        };
        let account = state.account_at(request.account)?;
        let bound = withdrawal.bound.as_deref().filter(|approval| {
            let credential = account.credential(&approval.credential);
            credential.is_some_and(|known| state.credential_counts(at, known, CredentialUse::Approve))
        });
        let mandate = withdrawal.mandate.filter(|mandate| stands(state, at, account, *mandate));
        Some(Self {
            id: request.withdrawal,
            account_index: request.account,
            account,
            asset: request.asset,
            wallet: request.wallet,
            destination: &request.destination,
            fingerprint: request.fingerprint,
            amount: request.amount,
            usd_cents,
            requested_at: withdrawal.requested_at,
            not_after: request.not_after,
            evidence: &request.evidence,
            discharged: discharged(withdrawal.discharged, bound.is_some() || mandate.is_some()),
            operators: withdrawal.operators,
            reserved: withdrawal.reserved,
            queued: withdrawal.queued,
            is_open: true,
            is_counted,
            bound,
            mandate,
            is_renewed: withdrawal.lapse.is_some(),
        })
    }

    /// With its owner's approval, which was found to count.
    pub(crate) fn approved(self, approval: &'s BoundApproval) -> Self {
        Self { bound: Some(approval), discharged: discharged(self.discharged, true), ..self }
    }

    /// Operators have approved it: holds are discharged, and it spends the bound class.
    pub(crate) fn is_approved_by_operators(&self, state: &State) -> bool {
        u32::from(self.operators) >= state.configuration().parameters.loosening_signatures
    }
}

/// Whoever approved the text, or a mandate over the request's own signature, has shown a passkey.
const fn discharged(shown: Factors, is_vouched: bool) -> Factors {
    if is_vouched { shown.with(Factor::Passkey) } else { shown }
}

/// What is to be said, before the buckets are asked.
pub(crate) struct Judgement {
    pub(crate) class: Class,
    pub(crate) dwell_until: Timestamp,
    /// Asked for and not shown.
    pub(crate) factors: Factors,
    pub(crate) must_hold: bool,
    pub(crate) must_deny: bool,
    /// It waits for something that is not the passing of time.
    pub(crate) must_wait: bool,
    pub(crate) reasons: Vec<Reason>,
}

impl Judgement {
    fn says(&mut self, reason: Reason) {
        match reason.severity {
            Severity::Deny => self.must_deny = true,
            Severity::Hold => self.must_hold = true,
            _ => {}
        }
        self.reasons.push(reason);
    }
}

/// Judges one withdrawal.
pub(crate) fn judge(state: &State, at: Timestamp, subject: &Subject<'_>) -> Judgement {
    let mut judgement = Judgement {
        class: class_of(state, at, subject),
        dwell_until: subject.requested_at,
        factors: Factors::default(),
        must_hold: false,
        must_deny: false,
        must_wait: false,
        reasons: Vec::new(),
    };
    if let Some(reason) = ladder(state, at, subject) {
        let stops = reason.severity == Severity::Deny || !subject.is_approved_by_operators(state);
        judgement.says(reason);
        if stops {
            return judgement;
        }
        judgement.must_hold = judgement.must_hold && subject.account.is_frozen;
    }
    match state.program() {
        Some(program) => ask_policy(state, at, subject, program, &mut judgement),
        None => judgement.says(Reason::new(
            Cause::NotPermitted,
            Severity::Deny,
            "no policy is active",
            "a policy",
        )),
    }
    if subject.is_approved_by_operators(state) {
        let observed = format!("{} operators", subject.operators);
        judgement.reasons.push(Reason::new(Cause::ApprovedByOperators, Severity::Allow, observed, "-"));
    }
    if let Some(scope) = halted_by(state, subject) {
        judgement.must_wait = true;
        let observed = crate::acts::scope_text(scope);
        judgement.reasons.push(Reason::new(Cause::Halted, Severity::Dwell, observed, "resumed by operators"));
    }
    if state.is_clock_suspect() {
        judgement.must_wait = true;
        let reason =
            Reason::new(Cause::ClockSuspect, Severity::Dwell, "the clock moved", "confirmed by operators");
        judgement.reasons.push(reason);
    }
    judgement
}

/// True if a rung of the ladder speaks alone, so that no policy is asked.
pub(crate) fn is_settled_by_ladder(state: &State, at: Timestamp, subject: &Subject<'_>) -> bool {
    ladder(state, at, subject)
        .is_some_and(|reason| reason.severity == Severity::Deny || !subject.is_approved_by_operators(state))
}

/// The ladder of refusals; the first rung that applies speaks. Its order is pinned by a test.
fn ladder(state: &State, at: Timestamp, subject: &Subject<'_>) -> Option<Reason> {
    if subject.account.is_frozen {
        // A new request is refused; what was under way is looked at by a person.
        let severity = if subject.is_open { Severity::Hold } else { Severity::Deny };
        return Some(Reason::new(Cause::AccountFrozen, severity, "frozen", "not frozen"));
    }
    if let Evidence::ApiRequest(evidence) = subject.evidence
        && let Some(reason) = api_ladder(state, at, subject, evidence)
    {
        return Some(reason);
    }
    let is_known = subject.account.address(&subject.fingerprint).is_some();
    if !subject.is_open && !is_known && state.settings_locked(at, subject.account) {
        let observed = "settings locked, destination new";
        return Some(Reason::new(Cause::SettingsLocked, Severity::Deny, observed, "in the address book"));
    }
    // A withdrawal puts its destination into the book. If it is there no more, its owner took it out: a veto.
    let has_room = subject.account.addresses.len() < ADDRESSES_MAX;
    if subject.is_open && has_room && subject.account.address(&subject.fingerprint).is_none() {
        let observed = "removed from the address book";
        return Some(Reason::new(
            Cause::DestinationRemoved,
            Severity::Hold,
            observed,
            "still in the address book",
        ));
    }
    if let Some(paid) = paid_before(state, subject) {
        let observed = format!("{paid} of before the restore paid the same");
        return Some(Reason::new(Cause::MayBePaid, Severity::Hold, observed, "nothing of the kind"));
    }
    if quote(state, subject.asset, at).is_none() {
        return Some(Reason::new(Cause::PriceUnknown, Severity::Hold, "no price in 24 hours", "a price"));
    }
    None
}

/// The same payment, which a signer remembers and this journal has lost.
fn paid_before(state: &State, subject: &Subject<'_>) -> Option<WithdrawalId> {
    let lost = &state.ledger.as_ref()?.lost;
    let symbol = &state.configuration().assets.get(usize::from(subject.asset.0))?.spec.symbol;
    let same = lost.iter().find(|(_, lost)| {
        lost.account == subject.account.id
            && lost.asset == *symbol
            && lost.destination == subject.fingerprint
            && lost.amount == subject.amount
    });
    same.map(|(id, _)| *id)
}

fn api_ladder(state: &State, at: Timestamp, subject: &Subject<'_>, evidence: &ApiEvidence) -> Option<Reason> {
    let deny = |cause: Cause, observed: String, expected: &str| {
        Some(Reason::new(cause, Severity::Deny, observed, expected))
    };
    let Some(key) = subject.account.api_key(&evidence.key) else {
        return deny(Cause::ApiKeyUnknown, format!("key {}", evidence.key), "a key of this account");
    };
    match keys::barred(state, key, at) {
        Some(Cause::ApiKeyRevoked) => {
            return deny(Cause::ApiKeyRevoked, "revoked".to_owned(), "a key in use");
        }
        // The passing of time ends no withdrawal that was asked for before.
        Some(cause) if !subject.is_open => {
            return deny(cause, cause.sentence().to_owned(), "a key in use");
        }
        _ => {}
    }
    if key.revision != evidence.revision {
        let observed = format!("revision {}", evidence.revision);
        return deny(Cause::ApiKeyRevision, observed, &format!("revision {}", key.revision));
    }
    if !key.scopes.contains(Scopes::WITHDRAW) {
        return deny(Cause::ApiKeyScope, format!("scopes {}", key.scopes.0), "withdraw");
    }
    if !key.ip_allowlist.contains(&evidence.ip) {
        return deny(
            Cause::ApiIpNotAllowed,
            format!("address {}", evidence.ip),
            "one on the key's allowlist",
        );
    }
    if subject.is_open {
        // Time window, replay and match were judged when it came in, and cannot change.
        return None;
    }
    let too_early = evidence.signed_at > at.plus(SIGNED_AHEAD_MAX);
    if too_early || at.since(evidence.signed_at) > evidence.window {
        let observed = format!("signed at {}, received at {at}", evidence.signed_at);
        return deny(Cause::ApiTimestamp, observed, &format!("at most {} ms ago", evidence.window / 1_000));
    }
    if state.requests.get(&evidence.request).is_some_and(|until| *until >= at) {
        return deny(Cause::ApiReplayed, format!("request {}", evidence.request), "a new request");
    }
    if evidence.differs != 0 {
        return deny(Cause::ApiMismatch, differing(evidence.differs), "the withdrawal's own fields");
    }
    keys::fence_reason(key, at, &subject.fingerprint, subject.usd_cents)
}

fn differing(bits: u8) -> String {
    let names = ["asset", "network", "address", "amount", "memo"];
    let differing: Vec<&str> = names
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, name)| name)
        .collect();
    differing.join(", ")
}

/// What a halt that applies is called.
fn halted_by<'s>(state: &'s State, subject: &Subject<'_>) -> Option<&'s Scope> {
    let asset =
        state.configuration().assets.get(usize::from(subject.asset.0)).map(|asset| &asset.spec.symbol);
    let wallet = state.configuration().wallets.get(usize::from(subject.wallet.0)).map(|wallet| &wallet.name);
    state.halts().find(|scope| match scope {
        Scope::Overall => true,
        Scope::Asset(symbol) => Some(symbol) == asset,
        Scope::Wallet(name) => Some(name) == wallet,
        Scope::Account(id) => *id == subject.account.id,
    })
}

/// Whether the destination is past its ageing and its owner had time to object.
pub(crate) fn is_aged(state: &State, at: Timestamp, account: &Account, destination: &Fingerprint) -> bool {
    let parameters = &state.configuration().parameters;
    account.address(destination).is_some_and(|entry| {
        state.steady.age(entry.recorded_at, at) >= parameters.address_ageing
            && entry.notice_at.is_some_and(|notice| state.steady.age(notice, at) >= parameters.veto_window)
    })
}

impl State {
    /// Whether an account's settings are locked: its lock's time has not run since its owner asked to unlock.
    pub fn settings_locked(&self, at: Timestamp, account: &Account) -> bool {
        let lock = account.protection.as_ref().and_then(|protection| protection.lock);
        lock.is_some_and(|lock| {
            lock.unlocking_since.is_none_or(|since| self.steady.age(since, at) < lock.wait)
        })
    }
}

/// The class whose buckets it spends: the best word that somebody has given for it.
pub(crate) fn class_of(state: &State, at: Timestamp, subject: &Subject<'_>) -> Class {
    if subject.is_approved_by_operators(state) || subject.bound.is_some() || subject.mandate.is_some() {
        Class::Bound
    } else if is_aged(state, at, subject.account, &subject.fingerprint) {
        Class::Aged
    } else {
        Class::Unvouched
    }
}

fn quote(state: &State, asset: AssetIndex, at: Timestamp) -> Option<Quote> {
    state.assets.get(usize::from(asset.0))?.prices.quote(at, &state.configuration().parameters)
}

/// The facts of a withdrawal, as the policy sees them. What cannot be known stays unset, and reading it is an error.
pub(crate) fn facts<'s>(state: &'s State, at: Timestamp, subject: &Subject<'s>) -> Facts<'s> {
    let mut facts = Facts::new();
    let account = subject.account;
    let configuration = state.configuration();
    if let Some(asset) = configuration.assets.get(usize::from(subject.asset.0)) {
        facts.set_text(Fact::Asset, asset.spec.symbol.as_str());
    }
    if let Some(tier) = configuration.tiers.get(usize::from(account.tier.0)) {
        facts.set_text(Fact::Tier, tier.name.as_str());
    }
    facts.set_text(Fact::Network, subject.destination.network().name());
    facts.set_text(Fact::Class, class_of(state, at, subject).name());
    facts.set_long(Fact::AccountAgeHours, hours(state.steady.age(account.opened_at, at)));

    let changed = account.security_change.map(|change| state.steady.age(change.at, at));
    facts.set_long(Fact::AccountHoursSinceSecurityChange, changed.map_or(NEVER_HOURS, hours));
    let cooling = changed.is_some_and(|age| age < configuration.parameters.cooling_off);
    facts.set_bool(Fact::AccountCoolingOff, cooling);

    let entry = account.address(&subject.fingerprint);
    // A withdrawal that is under way does not itself make its destination known.
    let known = entry.is_some_and(|entry| !subject.is_open || entry.recorded_at < subject.requested_at);
    facts.set_bool(Fact::DestinationKnown, known);
    facts.set_bool(Fact::DestinationAged, is_aged(state, at, account, &subject.fingerprint));
    let age = entry.map_or(0, |entry| state.steady.age(entry.recorded_at, at));
    facts.set_long(Fact::DestinationAgeHours, hours(age));

    match subject.evidence {
        Evidence::Session { one_time_code } | Evidence::Device { one_time_code, .. } => {
            facts.set_text(Fact::Channel, "session");
            facts.set_bool(Fact::ApiKeyPresent, false);
            facts.set_long(Fact::ApiKeyAgeHours, NEVER_HOURS);
            let came = *one_time_code && !subject.is_renewed;
            let shown = came || subject.discharged.contains(Factor::OneTimeCode);
            facts.set_bool(Fact::ApprovalOneTimeCode, shown);
        }
        Evidence::ApiRequest(evidence) => {
            facts.set_text(Fact::Channel, "api");
            facts.set_bool(Fact::ApiKeyPresent, true);
            if let Some(key) = account.api_key(&evidence.key) {
                facts.set_long(Fact::ApiKeyAgeHours, hours(state.steady.age(key.put_at, at)));
            }
            let shown = subject.discharged.contains(Factor::OneTimeCode);
            facts.set_bool(Fact::ApprovalOneTimeCode, shown);
        }
    }
    facts.set_bool(Fact::ApprovalBound, subject.discharged.contains(Factor::Passkey));
    facts.set_long(Fact::ApprovalOperators, i64::from(subject.operators));
    protection_facts(state, at, subject, &mut facts);

    // Without a price nothing that counts dollars can be said.
    if let Some(quote) = quote(state, subject.asset, at) {
        facts.set_bool(Fact::PriceStale, quote.stale);
        facts.set_bool(Fact::PriceMoved, quote.moved);
        let now = state.value(subject.asset, subject.amount, at).unwrap_or(UsdCents::MAX);
        facts.set_long(Fact::AmountUsdCents, cents(now.max(subject.usd_cents)));
        window_facts(state, at, subject, &mut facts);
    }
    facts
}

/// What is known of whose word it is: credentials, the Settings Lock, the session, the make of the key.
fn protection_facts(state: &State, at: Timestamp, subject: &Subject<'_>, facts: &mut Facts<'_>) {
    let account = subject.account;
    let verified = subject.bound.is_some_and(|by| by.flags.contains(ApprovalFlags::USER_VERIFIED));
    facts.set_bool(Fact::ApprovalUserVerified, verified);
    facts.set_bool(Fact::ApprovalMandate, subject.mandate.is_some());
    facts.set_bool(Fact::AccountHasCredential, state.has_counting(at, account, CredentialUse::Approve));
    facts.set_bool(Fact::AccountSettingsLocked, state.settings_locked(at, account));

    // As of the request: a guest's device does not become the owner's while the withdrawal waits.
    let then = subject.requested_at;
    let (mut device_hours, mut new_place) = (NEVER_HOURS, false);
    if let Evidence::Device { facts: seen, .. } = subject.evidence {
        device_hours = seen.device.map_or(0, |device| hours(device_age(state, then, account, &device)));
        new_place = seen.place.is_some_and(|place| !is_known_place(state, then, account, place));
    }
    facts.set_long(Fact::SessionDeviceAgeHours, device_hours);
    facts.set_bool(Fact::SessionNewPlace, new_place);

    let key = match subject.evidence {
        Evidence::ApiRequest(evidence) => account.api_key(&evidence.key),
        _ => None,
    };
    let fenced = key.and_then(|key| key.fenced.as_ref());
    facts.set_bool(Fact::ApiKeyAsymmetric, fenced.is_some_and(|fenced| fenced.fence.asymmetric));
}

fn window_facts(state: &State, at: Timestamp, subject: &Subject<'_>, facts: &mut Facts<'_>) {
    let with_this = |totals: Totals| if subject.is_counted { totals } else { totals.with(subject.usd_cents) };
    let account = with_this(subject.account.window.totals(at));
    let (limit_24h, limit_30d) = subject.account.limits(state.configuration());
    let [_, usd_24h, usd_30d] = account.usd_cents;
    facts.set_long(Fact::AccountLimitUsdCents24h, cents(limit_24h));
    facts.set_long(Fact::AccountLimitUsdCents30d, cents(limit_30d));
    facts.set_bool(Fact::AccountOverLimit24h, usd_24h > limit_24h);
    facts.set_bool(Fact::AccountOverLimit30d, usd_30d > limit_30d);

    let destination = state.destinations.get(&subject.fingerprint).map(|window| window.0.totals(at));
    let asset = state.assets.get(usize::from(subject.asset.0)).map(|asset| asset.window.totals(at));
    let rows: [(Totals, [Fact; 3], [Fact; 3]); 4] = [
        (
            account,
            [Fact::AccountWithdrawals1h, Fact::AccountWithdrawals24h, Fact::AccountWithdrawals30d],
            [Fact::AccountUsdCents1h, Fact::AccountUsdCents24h, Fact::AccountUsdCents30d],
        ),
        (
            with_this(destination.unwrap_or_default()),
            [
                Fact::DestinationWithdrawals1h,
                Fact::DestinationWithdrawals24h,
                Fact::DestinationWithdrawals30d,
            ],
            [Fact::DestinationUsdCents1h, Fact::DestinationUsdCents24h, Fact::DestinationUsdCents30d],
        ),
        (
            with_this(asset.unwrap_or_default()),
            [Fact::AssetTotalWithdrawals1h, Fact::AssetTotalWithdrawals24h, Fact::AssetTotalWithdrawals30d],
            [Fact::AssetTotalUsdCents1h, Fact::AssetTotalUsdCents24h, Fact::AssetTotalUsdCents30d],
        ),
        (
            with_this(state.overall_window.totals(at)),
            [Fact::OverallWithdrawals1h, Fact::OverallWithdrawals24h, Fact::OverallWithdrawals30d],
            [Fact::OverallUsdCents1h, Fact::OverallUsdCents24h, Fact::OverallUsdCents30d],
        ),
    ];
    for (totals, counts, sums) in rows {
        for (fact, count) in counts.into_iter().zip(totals.count) {
            facts.set_long(fact, i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (fact, sum) in sums.into_iter().zip(totals.usd_cents) {
            facts.set_long(fact, cents(sum));
        }
    }
}

fn ask_policy(
    state: &State,
    at: Timestamp,
    subject: &Subject<'_>,
    program: &Program,
    judgement: &mut Judgement,
) {
    let facts = facts(state, at, subject);
    let mut findings = Findings::new();
    program.evaluate(Action::Withdraw, &facts, &mut findings);
    let discharged_holds = subject.is_approved_by_operators(state);
    if !findings.permitted {
        let reason = Reason::new(Cause::NotPermitted, Severity::Deny, "no permit matches", "a permit");
        judgement.says(reason);
    }
    for number in &findings.errored {
        let id = program.policy(*number).map_or_else(|| number.to_string(), |policy| policy.id.to_string());
        let mut reason = Reason::new(
            Cause::PolicyError,
            Severity::Hold,
            observed(program, *number, &facts),
            "a policy that can be evaluated",
        );
        reason.policy = Some(id);
        if discharged_holds {
            judgement.reasons.push(reason);
        } else {
            judgement.says(reason);
        }
    }
    for number in &findings.matched {
        let Some(policy) = program.policy(*number) else { continue };
        let (Some(degree), Some(code)) = (policy.degree(), policy.reason()) else { continue };
        let mut reason = Reason {
            code: code.to_owned(),
            severity: severity(degree),
            observed: observed(program, *number, &facts),
            expected: degree.to_string(),
            weight: 0,
            policy: Some(policy.id.to_string()),
            until: None,
            events: behind(state, subject, *number, program),
        };
        match degree {
            Degree::Dwell(span) => {
                let until = subject.requested_at.plus(span);
                reason.until = Some(until);
                judgement.dwell_until = judgement.dwell_until.max(until);
                judgement.reasons.push(reason);
            }
            Degree::StepUp(factor) => {
                if !subject.discharged.contains(factor) {
                    judgement.factors = judgement.factors.with(factor);
                }
                judgement.reasons.push(reason);
            }
            Degree::Hold if discharged_holds => judgement.reasons.push(reason),
            Degree::Hold | Degree::Deny => judgement.says(reason),
        }
    }
}

/// The facts that a policy reads, with their values.
fn observed(program: &Program, number: u16, facts: &Facts<'_>) -> String {
    let mut text = String::new();
    for fact in read_by(program, number) {
        let separator = if text.is_empty() { "" } else { ", " };
        let _infallible = write!(text, "{separator}{}={}", fact.path(), facts.get(fact));
    }
    text
}

fn read_by(program: &Program, number: u16) -> Vec<Fact> {
    let mut read = Vec::new();
    if let Some(policy) = program.policies().get(usize::from(number)) {
        explain::facts_of(&policy.condition, &mut read);
    }
    read.sort_unstable();
    read.dedup();
    read
}

/// The records behind what a policy read: as far as State knows which record a fact came from.
fn behind(state: &State, subject: &Subject<'_>, number: u16, program: &Program) -> Vec<u64> {
    let mut events = Vec::new();
    for fact in read_by(program, number) {
        match fact {
            Fact::AccountCoolingOff | Fact::AccountHoursSinceSecurityChange => {
                events.extend(subject.account.security_change.map(|change| change.sequence));
            }
            Fact::PriceStale | Fact::PriceMoved => {
                events.extend(quote(state, subject.asset, state.time()).map(|quote| quote.sequence));
            }
            Fact::AccountHasCredential => {
                let known = subject.account.protection.iter().flat_map(|known| &known.credentials);
                events.extend(known.filter(|known| !known.is_removed).map(|known| known.sequence));
            }
            Fact::ApprovalMandate => {
                let mandate = subject.mandate.and_then(|mandate| subject.account.mandate(mandate));
                events.extend(mandate.map(|mandate| mandate.sequence));
            }
            _ => {}
        }
    }
    events.sort_unstable();
    events.dedup();
    events
}

const fn severity(degree: Degree) -> Severity {
    match degree {
        Degree::Dwell(_) => Severity::Dwell,
        Degree::StepUp(_) => Severity::StepUp,
        Degree::Hold => Severity::Hold,
        Degree::Deny => Severity::Deny,
    }
}

fn hours(span: Micros) -> i64 {
    i64::try_from(span / time::HOUR).unwrap_or(i64::MAX)
}

fn cents(value: UsdCents) -> i64 {
    i64::try_from(value.0).unwrap_or(i64::MAX)
}
