//! Commands into events. Total: whatever comes, there is an answer, and nothing here changes State.

use holdfast_policy::Factor;
use holdfast_values::{AccountId, Fingerprint, Name, OperatorPublicKey, Timestamp, UsdCents, WithdrawalId};

use crate::account::{ADDRESSES_MAX, ALLOWLIST_MAX, API_KEYS_MAX};
use crate::acts::Digest;
use crate::command::{Command, ImportedAccount, Initialise, Price, RequestWithdrawal, Scopes};
use crate::event::{AccountIndex, Event, Events, Factors, Lane, Status, WithdrawalRequested};
use crate::governance::Turn;
use crate::judge::{Subject, judge};
use crate::protection::ApiKeySpec;
use crate::reason::{Cause, Reason, Refusal, Severity};
use crate::refuse::{Answer, Refused, check_policy, known_scope};
use crate::settle::{serve, settle};
use crate::state::State;
use crate::withdrawal::Withdrawal;

/// The most open withdrawals of one account.
pub const OPEN_MAX: usize = 1_000;
/// Who freezes an account on its owner's own wish: whoever follows the link that was sent to its owner. By rules version 1
/// this is a freeze as any other.
pub const OWNER_FREEZE: &str = "panic-link";
/// The most accounts in one part of an import.
pub const IMPORT_MAX: usize = 10_000;

/// What a command leads to. `out` is cleared first. Nothing in it: there was nothing to do.
pub fn decide(state: &State, at: Timestamp, command: &Command, out: &mut Events) {
    out.clear();
    if let Err(Refused(refusal, detail)) = dispatch(state, at, command, out) {
        out.clear();
        out.push(Event::Refused { refusal, detail });
    }
}

/// When something has to be decided without being asked; `None` if never, or while the clock is under suspicion.
pub fn next_deadline(state: &State) -> Option<Timestamp> {
    if state.is_clock_suspect() || !state.is_initialised() {
        return None;
    }
    let check = state.checks.first().map(|(at, _)| *at);
    let lane = state.lane_checks.first().map(|(at, _)| *at);
    let trim = state.has_memory().then_some(state.trim_at);
    let governance = state.governance.as_ref().and_then(|governance| Some(governance.next()?.0));
    [check, lane, trim, governance].into_iter().flatten().min()
}

fn dispatch(state: &State, at: Timestamp, command: &Command, out: &mut Events) -> Answer {
    if let Command::Initialise(first) = command {
        return initialise(state, first, out);
    }
    if !state.is_initialised() {
        return Err(Refusal::NotInitialised.into());
    }
    match command {
        Command::Initialise(_) => {}
        Command::Start => {
            if at > state.time() {
                out.push(Event::DowntimeRecorded { from: state.time() });
            }
        }
        Command::Tick => tick(state, at, out),
        Command::SuspectClock { .. } => {
            if !state.is_clock_suspect() {
                out.push(Event::ClockSuspected);
            }
        }
        Command::RecordSnapshot { sequence, state_hash } => {
            out.push(Event::SnapshotRecorded { sequence: *sequence, state_hash: *state_hash });
        }
        Command::OpenAccount { account, tier } => {
            if state.account_index(account).is_some() {
                return Err(Refusal::AccountExists.into());
            }
            let tier = state.tier_index(tier).ok_or(Refusal::TierUnknown)?;
            out.push(Event::AccountOpened { account: account.clone(), tier });
        }
        Command::FreezeAccount { account, by } => freeze(state, account, by, out)?,
        Command::LowerLimits { account, usd_cents_24h, usd_cents_30d } => {
            lower_limits(state, account, *usd_cents_24h, *usd_cents_30d, out)?;
        }
        Command::RecordSecurityChange { account, kind } => {
            let account = account_of(state, account)?;
            out.push(Event::SecurityChanged { account, kind: *kind });
        }
        Command::PutApiKey { account, key, scopes, ip_allowlist } => {
            put_api_key(state, at, account, *key, *scopes, ip_allowlist, out)?;
        }
        Command::RevokeApiKey { account, key } => {
            let index = account_of(state, account)?;
            let known = state.account_at(index).and_then(|account| account.api_key(key));
            if !known.ok_or(Refusal::ApiKeyUnknown)?.is_revoked {
                out.push(Event::ApiKeyRevoked { account: index, key: *key });
            }
        }
        Command::AddAddress { account, destination } => {
            let index = account_of(state, account)?;
            if let Some(account) = state.account_at(index)
                && account.address(destination).is_none()
            {
                if state.settings_locked(at, account) {
                    return Err(Refusal::SettingsLocked.into());
                }
                if account.addresses.len() >= ADDRESSES_MAX {
                    let detail = format!("an address book holds at most {ADDRESSES_MAX} destinations");
                    return Err(Refused(Refusal::TooMany, detail));
                }
                out.push(Event::AddressRecorded { account: index, destination: *destination });
            }
        }
        Command::RemoveAddress { account, destination } => {
            let index = known_address(state, account, destination)?;
            out.push(Event::AddressRemoved { account: index, destination: *destination });
        }
        Command::RecordNoticeDelivered { account, destination } => {
            let index = known_address(state, account, destination)?;
            out.push(Event::NoticeDelivered { account: index, destination: *destination });
        }
        Command::SetPrices { prices } => set_prices(state, prices, out)?,
        Command::RequestWithdrawal(request) => request_withdrawal(state, at, request, out)?,
        Command::CancelWithdrawal { account, withdrawal } => {
            not_released(own_withdrawal(state, account, *withdrawal)?)?;
            out.push(Event::WithdrawalCancelled { withdrawal: *withdrawal });
        }
        Command::ReportOneTimeCode { account, withdrawal } => {
            report_one_time_code(state, at, account, *withdrawal, out)?;
        }
        Command::Halt { scope, by } => {
            known_scope(state, scope)?;
            crate::govern::halt(state, scope, by, out);
        }
        Command::DenyWithdrawal { withdrawal, by } => deny(state, *withdrawal, by, out)?,
        Command::OperatorAct(act) => crate::operate::operate(state, at, act, out)?,
        Command::ImportChunk { digest, accounts } => import(state, at, Digest(*digest), accounts, out)?,
        Command::RevokeToken { client, .. } => {
            if !state.tokens.contains_key(client) {
                return Err(Refusal::TokenUnknown.into());
            }
            out.push(Event::TokenRevoked(client.clone()));
        }
        Command::ProposeTransaction(proposed) => crate::release::propose(state, at, proposed, out)?,
        Command::RecordReceipt(receipt) => crate::observe::receipt(state, receipt, out)?,
        Command::RecordObservation(observation) => crate::observe::observe(state, observation, out)?,
        Command::ApproveIntent { account, withdrawal, approval } => {
            crate::approve::approve(state, at, account, *withdrawal, approval, out)?;
        }
        Command::RenewIntent { account, withdrawal, nonce } => {
            crate::approve::renew(state, at, account, *withdrawal, *nonce, out)?;
        }
        Command::ChangeProtection(asked) => crate::protect::change(state, at, asked, out)?,
        Command::PresentCode(shown) => crate::codes::present(state, at, shown, out)?,
        Command::RecordSession(session) => crate::sessions::record(state, at, session, out)?,
        Command::RevokeApiKeys { cohort, .. } => crate::keys::revoke(state, at, cohort, out)?,
        Command::RecordKeyUse { keys } => crate::keys::used(state, at, keys, out)?,
        Command::StopAct { act, by } => crate::govern::stop(state, *act, by, out)?,
    }
    Ok(())
}

fn not_released(open: &Withdrawal) -> Answer {
    if open.released.is_some() { Err(Refusal::AlreadyReleased.into()) } else { Ok(()) }
}

fn account_of(state: &State, account: &AccountId) -> Result<AccountIndex, Refused> {
    state.account_index(account).ok_or_else(|| Refusal::AccountUnknown.into())
}

fn known_address(state: &State, id: &AccountId, destination: &Fingerprint) -> Result<AccountIndex, Refused> {
    let index = account_of(state, id)?;
    match state.account_at(index).and_then(|account| account.address(destination)) {
        Some(_) => Ok(index),
        None => Err(Refusal::AddressUnknown.into()),
    }
}

fn initialise(state: &State, first: &Initialise, out: &mut Events) -> Answer {
    if state.is_initialised() {
        return Err(Refusal::AlreadyInitialised.into());
    }
    if first.rules.is_some_and(|rules| !crate::RULES.contains(&rules)) {
        return Err(Refusal::RulesUnknown.into());
    }
    let invalid = |error: String| Refused(Refusal::ConfigurationInvalid, error);
    first.configuration.validate().map_err(|error| invalid(error.to_string()))?;
    let needed = usize::try_from(first.configuration.parameters.loosening_signatures).unwrap_or(usize::MAX);
    let mut names: Vec<&Name> = first.operators.iter().map(|operator| &operator.name).collect();
    let mut keys: Vec<&OperatorPublicKey> =
        first.operators.iter().map(|operator| &operator.public_key).collect();
    names.sort_unstable();
    names.dedup();
    keys.sort_unstable();
    keys.dedup();
    if names.len() < needed || names.len() != first.operators.len() || keys.len() != first.operators.len() {
        return Err(Refusal::InitialiseInvalid.into());
    }
    if keys.iter().any(|key| key.is_passkey()) && first.configuration.operate.is_none() {
        return Err(Refusal::PartyMissing.into());
    }
    check_policy(&first.policy.program, &first.policy.hash)?;
    out.push(Event::Initialised(Box::new(first.clone())));
    Ok(())
}

/// A freeze by staff outweighs one by the owner: what the owner wished for, the owner's credential may end.
fn freeze(state: &State, account: &AccountId, by: &Name, out: &mut Events) -> Answer {
    let index = account_of(state, account)?;
    let known = state.account_at(index).ok_or(Refusal::AccountUnknown)?;
    let is_owners = by.as_str() == OWNER_FREEZE && state.rules() >= crate::RULES_LAPSE;
    if is_owners && !known.is_frozen {
        out.push(Event::OwnerFroze { account: index });
    } else if !is_owners && (!known.is_frozen || known.owner_froze.is_some()) {
        out.push(Event::AccountFrozen(index));
    }
    Ok(())
}

fn lower_limits(
    state: &State,
    account: &AccountId,
    usd_cents_24h: UsdCents,
    usd_cents_30d: UsdCents,
    out: &mut Events,
) -> Answer {
    let index = account_of(state, account)?;
    let (day, month) =
        state.account_at(index).map(|known| known.limits(state.configuration())).unwrap_or_default();
    if usd_cents_24h > day || usd_cents_30d > month {
        let detail =
            format!("limits are {day} USD in 24 h and {month} USD in 30 d; this may only lower them");
        return Err(Refused(Refusal::NotTighter, detail));
    }
    out.push(Event::LimitsSet {
        account: index,
        usd_cents_24h: Some(usd_cents_24h),
        usd_cents_30d: Some(usd_cents_30d),
    });
    crate::govern::supersede_limits(state, account, out);
    Ok(())
}

fn put_api_key(
    state: &State,
    at: Timestamp,
    id: &AccountId,
    key: Fingerprint,
    scopes: Scopes,
    ip_allowlist: &[Fingerprint],
    out: &mut Events,
) -> Answer {
    let account = account_of(state, id)?;
    let owner = state.account_at(account).ok_or(Refusal::AccountUnknown)?;
    let known = owner.api_key(&key);
    // What bounds it stays until its owner bounds it otherwise.
    let fence = known.and_then(|known| known.fenced.as_ref()).map(|fenced| fenced.fence.clone());
    let fence = fence.unwrap_or_default();
    let spec = ApiKeySpec { key, scopes, ip_allowlist: ip_allowlist.to_vec(), fence, new_material: false };
    crate::protect::check_plain_api_key(state, at, account, owner, &spec)?;
    let revision = known.map_or(1, |known| known.revision.saturating_add(1));
    out.push(Event::ApiKeyPut { account, key, revision, scopes, ip_allowlist: ip_allowlist.to_vec() });
    Ok(())
}

fn set_prices(state: &State, prices: &[Price], out: &mut Events) -> Answer {
    let mut found = Vec::with_capacity(prices.len());
    for price in prices {
        let Some(asset) = state.asset_index(&price.asset) else {
            return Err(Refused(Refusal::AssetUnknown, format!("no asset {} is configured", price.asset)));
        };
        if price.micro_usd == 0 {
            return Err(Refused(Refusal::AmountZero, format!("the price of {} is zero", price.asset)));
        }
        found.push((asset, price.micro_usd));
    }
    if !found.is_empty() {
        out.push(Event::PricesSet { prices: found });
    }
    Ok(())
}

fn request_withdrawal(state: &State, at: Timestamp, request: &RequestWithdrawal, out: &mut Events) -> Answer {
    let idempotency = &request.idempotency;
    if let Some(until) = state.idempotency.get(&idempotency.key).filter(|until| **until > at)
        && let Some((body, sequence)) = state.idempotency_until.get(&(*until, idempotency.key))
    {
        if *body != idempotency.body {
            return Err(Refusal::IdempotencyConflict.into());
        }
        out.push(Event::Repeated { sequence: *sequence });
        return Ok(());
    }
    if state.withdrawals.contains_key(&request.withdrawal) {
        return Err(Refusal::WithdrawalExists.into());
    }
    let account = account_of(state, &request.account)?;
    let network = request.destination.network();
    if !network.is_releasable() {
        return Err(Refusal::NetworkNotReleasable.into());
    }
    let asset = state.asset_index(&request.asset).ok_or(Refusal::AssetUnknown)?;
    let wallet = state.wallet_of(asset, network).ok_or(Refusal::NetworkNotConfigured)?;
    if request.amount.is_zero() {
        return Err(Refusal::AmountZero.into());
    }
    if state.open_by_account.of(account).len() >= OPEN_MAX {
        let detail = format!("an account has at most {OPEN_MAX} open withdrawals");
        return Err(Refused(Refusal::TooMany, detail));
    }
    let places = (account, asset, wallet);
    let subject = Subject::new(state, at, request, places).ok_or(Refusal::AccountUnknown)?;
    let judgement = judge(state, at, &subject);
    out.push(Event::WithdrawalRequested(Box::new(WithdrawalRequested {
        withdrawal: request.withdrawal,
        account,
        asset,
        wallet,
        destination: request.destination.clone(),
        fingerprint: request.fingerprint,
        amount: request.amount,
        fee_max: request.fee_max,
        usd_cents: subject.usd_cents,
        nonce: request.nonce,
        not_after: subject.not_after,
        evidence: request.evidence.clone(),
        idempotency: *idempotency,
    })));
    if !judgement.must_deny {
        crate::keys::woke(state, at, account, &request.evidence, out);
    }
    if let Some(mandate) = subject.mandate.filter(|_| !judgement.must_deny) {
        out.push(Event::MandateUsed { withdrawal: request.withdrawal, mandate });
    }
    let is_new = subject.account.address(&request.fingerprint).is_none();
    if is_new && !judgement.must_deny && subject.account.addresses.len() < ADDRESSES_MAX {
        out.push(Event::AddressRecorded { account, destination: request.fingerprint });
    }
    settle(state, at, &subject, judgement, false, out);
    Ok(())
}

pub(crate) fn own_withdrawal<'s>(
    state: &'s State,
    id: &AccountId,
    withdrawal: WithdrawalId,
) -> Result<&'s Withdrawal, Refused> {
    let account = account_of(state, id)?;
    let open = state.withdrawal(withdrawal).ok_or(Refusal::WithdrawalUnknown)?;
    if open.request.account == account { Ok(open) } else { Err(Refusal::WithdrawalForeign.into()) }
}

fn report_one_time_code(
    state: &State,
    at: Timestamp,
    id: &AccountId,
    withdrawal: WithdrawalId,
    out: &mut Events,
) -> Answer {
    let open = own_withdrawal(state, id, withdrawal)?;
    let waits =
        open.status() == Status::AwaitingApproval && open.decision.factors.contains(Factor::OneTimeCode);
    if !waits {
        return Err(Refusal::NotAwaitingFactor.into());
    }
    let mut subject = Subject::open(state, at, open).ok_or(Refusal::WithdrawalUnknown)?;
    subject.discharged = subject.discharged.with(Factor::OneTimeCode);
    out.push(Event::FactorDischarged { withdrawal, factor: Factor::OneTimeCode });
    let judgement = judge(state, at, &subject);
    settle(state, at, &subject, judgement, false, out);
    Ok(())
}

fn deny(state: &State, withdrawal: WithdrawalId, by: &Name, out: &mut Events) -> Answer {
    let open = state.withdrawal(withdrawal).ok_or(Refusal::WithdrawalUnknown)?;
    not_released(open)?;
    let reason = Reason::new(Cause::DeniedByStaff, Severity::Deny, format!("by {by}"), "-");
    let mut decision = open.decision.clone();
    decision.severity = Severity::Deny;
    decision.status = Status::Denied;
    decision.factors = Factors::default();
    decision.reasons = vec![reason];
    out.push(Event::WithdrawalDecided { withdrawal, decision: Box::new(decision) });
    Ok(())
}

enum Due {
    Governance(Turn),
    Check(WithdrawalId),
    Lane(Lane),
    Trim,
}

/// One deadline a tick: the earliest, and of equal ones the rules before withdrawals before lines before memory.
fn tick(state: &State, at: Timestamp, out: &mut Events) {
    if state.is_clock_suspect() {
        return;
    }
    let check = state.checks.first().map(|(due, id)| (*due, Due::Check(*id)));
    let lane = state.lane_checks.first().map(|(due, lane)| (*due, Due::Lane(*lane)));
    let trim = state.has_memory().then_some((state.trim_at, Due::Trim));
    let governance = state.governance.as_ref().and_then(|governance| governance.next());
    let governance = governance.map(|(due, turn)| (due, Due::Governance(turn)));
    let earliest = [governance, check, lane, trim].into_iter().flatten().min_by_key(|(due, _)| *due);
    match earliest.filter(|(due, _)| *due <= at) {
        Some((_, Due::Governance(turn))) => crate::govern::take_turn(state, at, turn, out),
        Some((_, Due::Check(id))) => check_again(state, at, id, out),
        Some((_, Due::Lane(lane))) => serve(state, at, lane, out),
        Some((_, Due::Trim)) => out.push(Event::Trimmed { until: at }),
        None => {}
    }
}

fn check_again(state: &State, at: Timestamp, id: WithdrawalId, out: &mut Events) {
    let Some(open) = state.withdrawal(id).filter(|open| open.released.is_none()) else { return };
    if open.is_lapsed() || open.request.not_after <= at {
        crate::approve::past_its_time(state, open, out);
        return;
    }
    let Some(subject) = Subject::open(state, at, open) else { return };
    let judgement = judge(state, at, &subject);
    settle(state, at, &subject, judgement, false, out);
}

fn import(
    state: &State,
    at: Timestamp,
    digest: Digest,
    accounts: &[ImportedAccount],
    out: &mut Events,
) -> Answer {
    if !state.imports.contains(&digest) {
        return Err(Refusal::ImportUnknown.into());
    }
    if accounts.len() > IMPORT_MAX {
        return Err(Refused(Refusal::TooMany, format!("a part holds at most {IMPORT_MAX} accounts")));
    }
    let mut ids = std::collections::BTreeSet::new();
    let mut keys = std::collections::BTreeSet::new();
    for account in accounts {
        let refused =
            |refusal: Refusal, what: &str| Refused(refusal, format!("account {}: {what}", account.account));
        if state.account_index(&account.account).is_some() || !ids.insert(&account.account) {
            return Err(refused(Refusal::AccountExists, "history enters once"));
        }
        let tier =
            state.tier_index(&account.tier).ok_or_else(|| refused(Refusal::TierUnknown, "unknown tier"))?;
        if account.api_keys.len() > API_KEYS_MAX || account.addresses.len() > ADDRESSES_MAX {
            return Err(refused(Refusal::TooMany, "too many keys or addresses"));
        }
        for key in &account.api_keys {
            if state.key_owner(&key.key).is_some() || !keys.insert(key.key) {
                return Err(refused(Refusal::ApiKeyForeign, "a key that another account has"));
            }
            if key.ip_allowlist.len() > ALLOWLIST_MAX {
                return Err(refused(Refusal::TooMany, "an allowlist that is too long"));
            }
            if key.scopes.contains(Scopes::WITHDRAW) && key.ip_allowlist.is_empty() {
                return Err(refused(Refusal::AllowlistRequired, "a key that may withdraw from anywhere"));
            }
        }
        let times = [account.opened_at]
            .into_iter()
            .chain(account.api_keys.iter().map(|key| key.created_at))
            .chain(account.addresses.iter().map(|address| address.first_recorded_at))
            .chain(account.withdrawals.iter().map(|withdrawal| withdrawal.at));
        let is_past = times.clone().all(|time| time <= at);
        if !is_past || !account.withdrawals.is_sorted_by_key(|withdrawal| withdrawal.at) {
            return Err(refused(Refusal::ImportTime, "history lies in the past, oldest first"));
        }
        out.push(Event::AccountImported { account: Box::new(account.clone()), tier });
    }
    out.push(Event::ImportDone(digest));
    Ok(())
}
