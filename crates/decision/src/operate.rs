//! Acts of the exchange's staff: whether enough people with keys of their own have signed this very text, now, once.

use std::collections::BTreeSet;

use holdfast_values::{AccountId, CaseId, Micros, OperatorText, Timestamp, WithdrawalId, time};

use crate::acts::{Act, Digest, EpochStart};
use crate::command::{OperatorAct, OperatorKey, OperatorSignature, SecurityChange};
use crate::configuration::{Configuration, RECOVERY_WAIT};
use crate::event::{Approval, Event, Events, RecoveredTransaction, Status};
use crate::judge::{Subject, judge};
use crate::observe::Void;
use crate::reason::Refusal;
use crate::refuse::{Answer, Refused, check_policy, known_scope};
use crate::settle::settle;
use crate::state::State;

/// The longest that a signed text may be valid.
pub const TEXT_SPAN_MAX: Micros = 7 * time::DAY;
/// How far an epoch may be ahead of the journal's own. A signer that followed an earlier restore of the same journal is in
/// a later epoch than this one, and takes none twice; the bound keeps a slip of the pen from using all numbers up.
const EPOCHS_AHEAD_MAX: u64 = 1_000;
/// The most parts of an import that are open at once.
const IMPORTS_MAX: usize = 100_000;

/// Decides a signed act.
pub(crate) fn operate(state: &State, at: Timestamp, signed: &OperatorAct, out: &mut Events) -> Answer {
    let text = OperatorText::parse(signed.text.as_bytes())
        .map_err(|error| Refused(Refusal::TextDiffers, error.to_string()))?;
    let lines = signed.act.lines();
    let says_so = text.act.to_string() == lines.act
        && text.target.to_string() == lines.target
        && text.detail.to_string() == lines.detail
        && text.payload.is_some() == lines.payload;
    if !says_so {
        return Err(Refusal::TextDiffers.into());
    }
    if text.exchange.to_string() != state.exchange() {
        return Err(Refusal::TextExchange.into());
    }
    let (from, until) = (text.window.not_before().timestamp(), text.window.not_after().timestamp());
    if at < from || at > until || until.since(from) > TEXT_SPAN_MAX {
        return Err(Refusal::TextNotNow.into());
    }
    let nonce = text.nonce.0;
    if state.used_texts.contains_key(&Digest(nonce)) {
        return Err(Refusal::TextUsed.into());
    }
    let act = Signed { act: &signed.act, text: &signed.text, signatures: &signed.signatures, from };
    let terms = crate::govern::terms(state, at, act.act)?;
    let signers = crate::govern::enough(state, at, &act, terms.required)?;
    out.push(Event::ActAccepted { nonce, not_after: until });
    let before = out.len();
    // What waits is tried now too: a mistake is told to those who can sign anew, not to nobody in a day.
    perform(state, at, &act, signers, out)?;
    if terms.delay > 0 {
        out.truncate(before);
        crate::govern::schedule(state, at, (Digest(nonce), &act), (signers, terms.delay), out)?;
    } else if let Act::SetLimits { account, .. } = act.act {
        crate::govern::supersede_limits(state, account, out);
    }
    Ok(())
}

/// A signed act, as it is carried out.
pub(crate) struct Signed<'a> {
    pub(crate) act: &'a Act,
    pub(crate) text: &'a str,
    pub(crate) signatures: &'a [OperatorSignature],
    /// The text's not-before.
    pub(crate) from: Timestamp,
}

impl Signed<'_> {
    /// What travels with what it lets through.
    pub(crate) fn approval(&self) -> Approval {
        Approval { text: self.text.to_owned(), signatures: self.signatures.to_vec() }
    }
}

/// Of these, the different operators, each with the key enrolled now and past its ageing.
pub(crate) fn count_signatures<'a>(
    state: &State,
    at: Timestamp,
    signers: impl Iterator<Item = &'a OperatorKey>,
) -> u32 {
    let ageing = state.configuration().parameters.operator_ageing;
    let mut names: Vec<_> = signers
        .filter(|signer| {
            state.operators.get(&signer.name).is_some_and(|known| {
                known.public_key == signer.public_key
                    && (known.is_founder || state.steady.age(known.enrolled_at, at) >= ageing)
            })
        })
        .map(|signer| &signer.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

/// A passkey belongs to its relying party for ever: with another one its operator could sign nothing any more, and nobody
/// might be left to undo it.
fn keep_passkeys(state: &State, new: &Configuration) -> Answer {
    let rp_id =
        |configuration: &Configuration| configuration.operate.as_ref().map(|party| party.rp_id.clone());
    if rp_id(state.configuration()) == rp_id(new) {
        return Ok(());
    }
    match state.operators().find(|(_, operator)| operator.public_key.is_passkey()) {
        Some((name, _)) => {
            let detail = format!("operate.rp_id: {name} has a passkey for it; give {name} another key first");
            Err(Refused(Refusal::ConfigurationInvalid, detail))
        }
        None => Ok(()),
    }
}

/// Carries out what has enough signatures.
pub(crate) fn perform(
    state: &State,
    at: Timestamp,
    signed: &Signed<'_>,
    signers: u32,
    out: &mut Events,
) -> Answer {
    match signed.act {
        Act::Resume(scope) => {
            known_scope(state, scope)?;
            if !state.halts.contains(scope) {
                return Err(Refusal::NotHalted.into());
            }
            out.push(Event::Resumed { scope: scope.clone() });
        }
        Act::ApproveCase(case) => approve_case(state, at, *case, signers, out)?,
        Act::UnfreezeAccount(id) => {
            let account = state.account_index(id).ok_or(Refusal::AccountUnknown)?;
            if !state.account_at(account).is_some_and(|account| account.is_frozen) {
                return Err(Refusal::NotFrozen.into());
            }
            out.push(Event::AccountUnfrozen(account));
        }
        Act::SetTier { account, tier } => {
            let account = state.account_index(account).ok_or(Refusal::AccountUnknown)?;
            let tier = state.tier_index(tier).ok_or(Refusal::TierUnknown)?;
            out.push(Event::TierSet { account, tier });
        }
        Act::SetLimits { account, usd_cents_24h, usd_cents_30d } => {
            let account = state.account_index(account).ok_or(Refusal::AccountUnknown)?;
            let (usd_cents_24h, usd_cents_30d) = (*usd_cents_24h, *usd_cents_30d);
            out.push(Event::LimitsSet { account, usd_cents_24h, usd_cents_30d });
        }
        Act::Configure(configuration) => {
            let invalid = |error: String| Refused(Refusal::ConfigurationInvalid, error);
            configuration.validate().map_err(|error| invalid(error.to_string()))?;
            configuration
                .validate_after(state.configuration())
                .map_err(|error| invalid(error.to_string()))?;
            let needed = usize::try_from(configuration.parameters.loosening_signatures).unwrap_or(usize::MAX);
            if state.operators.len() < needed {
                return Err(Refusal::OperatorsTooFew.into());
            }
            keep_passkeys(state, configuration)?;
            out.push(Event::Configured(configuration.clone()));
        }
        Act::EnrolOperator(operator) => {
            let is_taken = state
                .operators
                .iter()
                .any(|(name, known)| *name == operator.name || known.public_key == operator.public_key);
            if is_taken {
                return Err(Refusal::OperatorExists.into());
            }
            if operator.public_key.is_passkey() && state.configuration().operate.is_none() {
                return Err(Refusal::PartyMissing.into());
            }
            out.push(Event::OperatorEnrolled(operator.clone()));
        }
        Act::RevokeOperator(name) => {
            if !state.operators.contains_key(name) {
                return Err(Refusal::OperatorUnknown.into());
            }
            let needed = usize::try_from(state.configuration().parameters.loosening_signatures).unwrap_or(2);
            if state.operators.len() <= needed {
                return Err(Refusal::OperatorsTooFew.into());
            }
            out.push(Event::OperatorRevoked(name.clone()));
        }
        Act::ActivatePolicy(policy) => {
            check_policy(&policy.program, &policy.hash)?;
            out.push(Event::PolicyActivated(policy.clone()));
        }
        Act::Import(digests) => {
            if state.imports.len().saturating_add(digests.len()) > IMPORTS_MAX {
                let detail = format!("at most {IMPORTS_MAX} parts may be open at once");
                return Err(Refused(Refusal::TooMany, detail));
            }
            out.push(Event::ImportAuthorised(digests.clone()));
        }
        Act::IssueToken(token) => {
            let is_taken =
                state.tokens.contains_key(&token.client) || state.token_by_hash(&token.token_hash).is_some();
            if is_taken {
                return Err(Refusal::TokenExists.into());
            }
            out.push(Event::TokenIssued(token.clone()));
        }
        Act::ConfirmClock => {
            if !state.is_clock_suspect() {
                return Err(Refusal::ClockNotSuspect.into());
            }
            out.push(Event::ClockConfirmed);
        }
        Act::ActivateRules(version) => {
            if !crate::RULES.contains(version) {
                return Err(Refusal::RulesUnknown.into());
            }
            if *version < state.rules() && state.rules() >= crate::RULES_GOVERNED {
                return Err(Refusal::RulesOlder.into());
            }
            out.push(Event::RulesActivated(*version));
        }
        Act::ApproveWithdrawal { withdrawal, text } => {
            approve_withdrawal(state, at, (*withdrawal, *text), signed, signers, out)?;
        }
        Act::BeginEpoch(start) => begin_epoch(state, start, out)?,
        Act::RecoverAccount { account, credential, key } => {
            recover_account(state, at, account, (*credential, *key), signed, out)?;
        }
        Act::ProposePolicy(_)
        | Act::ApprovePolicy { .. }
        | Act::TightenPolicy(_)
        | Act::RestorePolicy { .. }
        | Act::StopAct(_) => crate::govern::perform(state, at, signed, out)?,
    }
    Ok(())
}

/// Operators let a held withdrawal go on, as its text says it, and no other.
fn approve_withdrawal(
    state: &State,
    at: Timestamp,
    (withdrawal, text): (WithdrawalId, Digest),
    signed: &Signed<'_>,
    signers: u32,
    out: &mut Events,
) -> Answer {
    let open = state.withdrawal(withdrawal).filter(|open| open.status() == Status::Held);
    let open = open.ok_or(Refusal::CaseUnknown)?;
    if state.text_of(withdrawal).is_none_or(|said| said.digest().0 != text.0) {
        let detail = "the withdrawal's text has another SHA-256 than the one signed".to_owned();
        return Err(Refused(Refusal::TextDiffers, detail));
    }
    let operators = u8::try_from(signers).unwrap_or(u8::MAX);
    let approval = Box::new(signed.approval());
    out.push(Event::WithdrawalApproved { withdrawal, operators, approval });
    let mut subject = Subject::open(state, at, open).ok_or(Refusal::CaseUnknown)?;
    subject.operators = operators;
    let judgement = judge(state, at, &subject);
    settle(state, at, &subject, judgement, false, out);
    Ok(())
}

/// An account goes back to its owner: nobody who still has a factor of it objected in time.
fn recover_account(
    state: &State,
    at: Timestamp,
    id: &AccountId,
    named: (Digest, Digest),
    signed: &Signed<'_>,
    out: &mut Events,
) -> Answer {
    let account = state.account_index(id).ok_or(Refusal::AccountUnknown)?;
    let protection = state.account_at(account).and_then(|account| account.protection.as_deref());
    let begun = protection.and_then(|protection| Some((protection, protection.recovery?)));
    let (protection, recovery) = begun.ok_or(Refusal::RecoveryNotBegun)?;
    let mut waiting = protection.credentials.iter().filter(|known| known.is_pending && !known.is_removed);
    let known = waiting.find(|known| (known.id, known.key) == named).ok_or(Refusal::RecoveryNotBegun)?;
    let wait = state.configuration().parameters.recovery_wait.unwrap_or(RECOVERY_WAIT);
    let waited = state.steady.age(recovery.begun_at, at);
    if waited < wait {
        let detail = format!("it has waited {} of {} s", waited / time::SECOND, wait / time::SECOND);
        return Err(Refused(Refusal::RecoveryWaits, detail));
    }
    if signed.from <= recovery.begun_at {
        let detail =
            format!("it was signed for a recovery before the one that began at {}", recovery.begun_at);
        return Err(Refused(Refusal::TextNotNow, detail));
    }
    let approval = Box::new(signed.approval());
    out.push(Event::AccountRecovered { account, credential: known.credential, approval });
    out.push(Event::SecurityChanged { account, kind: SecurityChange::Recovery });
    Ok(())
}

/// A restored journal takes in what a signer remembers, and goes on in a later epoch.
fn begin_epoch(state: &State, start: &EpochStart, out: &mut Events) -> Answer {
    let recovered = state.ledger.as_ref().and_then(|ledger| ledger.recovered.get(&start.signer));
    let is_later =
        start.epoch > state.epoch() && start.epoch <= state.epoch().saturating_add(EPOCHS_AHEAD_MAX);
    let is_further = start.epoch == state.epoch() && start.epoch > 1 && recovered != Some(&start.epoch);
    if !is_later && !is_further {
        return Err(Refusal::EpochInvalid.into());
    }
    let mut signers = state.configuration().signers.iter().flatten();
    if !signers.any(|signer| signer.name == start.signer) {
        return Err(Refusal::SignerUnknown.into());
    }
    let (epoch, signer, counter) = (start.epoch, start.signer.clone(), start.counter);
    out.push(Event::EpochBegun { epoch, signer, counter });
    for spend in &start.spends {
        // What this journal knows as released and has closed since is not lost: it was accounted for.
        let is_its_own = |recovered: &RecoveredTransaction| {
            let known = state.transaction(&recovered.transaction);
            known.is_some_and(|known| known.withdrawals.contains(&spend.withdrawal))
        };
        if state.withdrawal(spend.withdrawal).is_none() && spend.transactions.iter().any(is_its_own) {
            continue;
        }
        let mut spend = spend.clone();
        spend.is_lost = state.withdrawal(spend.withdrawal).is_none();
        out.push(Event::SpendRecovered(Box::new(spend)));
    }
    let transactions = start.spends.iter().flat_map(|spend| &spend.transactions);
    let signed: BTreeSet<Digest> = transactions.map(|recovered| recovered.transaction).collect();
    let mut voided: Vec<_> = start.voided.clone();
    voided.sort_unstable();
    voided.dedup();
    voided.retain(|id| start.spends.iter().all(|spend| spend.withdrawal != *id));
    for id in voided {
        let open = state.withdrawal(id);
        let void = open.and_then(|open| Void::by(state, start.epoch, &start.signer, open));
        if let Some(void) = void.filter(|void| void.dead.is_disjoint(&signed)) {
            void.tell(id, out);
        }
    }
    Ok(())
}

fn approve_case(state: &State, at: Timestamp, case: CaseId, signers: u32, out: &mut Events) -> Answer {
    let withdrawal = WithdrawalId(case.0);
    let open = state.withdrawal(withdrawal).filter(|open| open.status() == Status::Held);
    let open = open.ok_or(Refusal::CaseUnknown)?;
    let operators = u8::try_from(signers).unwrap_or(u8::MAX);
    out.push(Event::CaseApproved { withdrawal, operators });
    let mut subject = Subject::open(state, at, open).ok_or(Refusal::CaseUnknown)?;
    subject.operators = operators;
    let judgement = judge(state, at, &subject);
    settle(state, at, &subject, judgement, false, out);
    Ok(())
}
