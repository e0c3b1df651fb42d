//! One-time and recovery codes: each once, and guessing is slow without locking the owner out.
//!
//! Wrong codes are counted by where they came from: each device that the account has known for a day apart, and all other
//! sources together. After [`FREE_FAILURES`] of them that source waits, a minute at first and twice as long after each
//! further one, to an hour. So whoever is nobody's device makes at most [`GUESSES_A_DAY`] guesses a day at an account,
//! wherever they come from, and never keeps its owner's own device waiting.

use holdfast_policy::Factor;
use holdfast_values::{AccountId, Fingerprint, Micros, Timestamp, WithdrawalId, time};

use crate::account::Account;
use crate::event::{AccountIndex, Event, Events, Status};
use crate::judge::{Subject, judge};
use crate::protection::{CodeFailures, CodeProof, CodePurpose, PresentCode, Protection};
use crate::reason::Refusal;
use crate::refuse::{Answer, Refused};
use crate::sessions::is_known_device;
use crate::settle::settle;
use crate::state::State;
use crate::withdrawal::Withdrawal;

/// So many wrong codes cost no waiting.
pub const FREE_FAILURES: u32 = 5;
/// What the one after them costs; each further one costs twice as much.
pub const FIRST_WAIT: Micros = time::MINUTE;
/// The longest wait.
pub const LONGEST_WAIT: Micros = time::HOUR;
/// Failures are forgotten this long after the last of them.
pub const FAILURES_FORGOTTEN_AFTER: Micros = time::DAY;
/// The most guesses that one source, or all unknown ones together, can make in any 24 hours.
pub const GUESSES_A_DAY: u32 = 33;

pub(crate) fn present(state: &State, at: Timestamp, shown: &PresentCode, out: &mut Events) -> Answer {
    let index = state.account_index(&shown.account).ok_or(Refusal::AccountUnknown)?;
    match shown.purpose {
        CodePurpose::Login => {
            spend(state, at, index, shown.proof, shown.device, out)?;
        }
        CodePurpose::Withdrawal(id) => {
            let open = waiting(state, index, id)?;
            if matches!(shown.proof, CodeProof::Recovery { .. }) {
                return Err(Refusal::CodeNotHere.into());
            }
            if spend(state, at, index, shown.proof, shown.device, out)? {
                let mut subject = Subject::open(state, at, open).ok_or(Refusal::WithdrawalUnknown)?;
                subject.discharged = subject.discharged.with(Factor::OneTimeCode);
                out.push(Event::FactorDischarged { withdrawal: id, factor: Factor::OneTimeCode });
                let judgement = judge(state, at, &subject);
                settle(state, at, &subject, judgement, false, out);
            }
        }
    }
    Ok(())
}

/// The account's own withdrawal, if it waits for a one-time code.
fn waiting(state: &State, account: AccountIndex, id: WithdrawalId) -> Result<&Withdrawal, Refused> {
    let open = state.withdrawal(id).ok_or(Refusal::WithdrawalUnknown)?;
    if open.request.account != account {
        return Err(Refusal::WithdrawalForeign.into());
    }
    if open.lapse.is_some_and(|lapse| lapse.is_waiting) {
        return Err(Refusal::TextLapsed.into());
    }
    let waits =
        open.status() == Status::AwaitingApproval && open.decision.factors.contains(Factor::OneTimeCode);
    if waits { Ok(open) } else { Err(Refusal::NotAwaitingFactor.into()) }
}

/// Takes a code that was shown: true if it was right, and is spent now; false if it was wrong, which is counted.
/// Refused while its source waits, right or wrong: an answer would be a guess for free.
pub(crate) fn spend(
    state: &State,
    at: Timestamp,
    index: AccountIndex,
    proof: CodeProof,
    device: Option<Fingerprint>,
    out: &mut Events,
) -> Result<bool, Refused> {
    let account = state.account_at(index).ok_or(Refusal::AccountUnknown)?;
    let protection = account.protection.as_deref().ok_or(Refusal::CodesUnknown)?;
    let device = device.filter(|device| is_known_device(state, at, account, device));
    if let Some(until) = locked_until(protection, device, at) {
        let detail = format!("too many wrong codes came from there: the next is looked at from {until} on");
        return Err(Refused(Refusal::CodeLocked, detail));
    }
    let is_right = match proof {
        CodeProof::OneTime { revision, step } => {
            let codes = protection.codes.filter(|codes| !codes.is_removed && codes.revision == revision);
            if step <= codes.ok_or(Refusal::CodesUnknown)?.last_step {
                return Err(Refusal::CodeUsed.into());
            }
            true
        }
        CodeProof::Recovery { revision, nth } => {
            let codes = protection.recovery_codes.filter(|codes| codes.revision == revision);
            let bit = 1u32.checked_shl(u32::from(nth)).ok_or(Refusal::CodesUnknown)?;
            if codes.ok_or(Refusal::CodesUnknown)?.left & bit == 0 {
                return Err(Refusal::CodeUsed.into());
            }
            true
        }
        CodeProof::Wrong => {
            let has_any = protection.codes.is_some_and(|codes| !codes.is_removed)
                || protection.recovery_codes.is_some_and(|codes| codes.left != 0);
            if !has_any {
                return Err(Refusal::CodesUnknown.into());
            }
            false
        }
    };
    out.push(if is_right {
        Event::CodeAccepted { account: index, proof, device }
    } else {
        Event::CodeFailed { account: index, device }
    });
    Ok(is_right)
}

/// Until when codes from a source are not looked at; `None` if they are.
fn locked_until(protection: &Protection, device: Option<Fingerprint>, at: Timestamp) -> Option<Timestamp> {
    let failures = protection.failures.iter().find(|failures| failures.device == device)?;
    let beyond = failures.count.checked_sub(FREE_FAILURES)?;
    let wait = 1u64.checked_shl(beyond).map_or(LONGEST_WAIT, |times| FIRST_WAIT.saturating_mul(times));
    let until = failures.last.plus(wait.min(LONGEST_WAIT));
    (until > at).then_some(until)
}

impl State {
    /// Until when an account's codes from a source are not looked at; `None` if they are.
    pub fn codes_locked_until(
        &self,
        at: Timestamp,
        account: &AccountId,
        device: Option<Fingerprint>,
    ) -> Option<Timestamp> {
        let account: &Account = self.account(account)?;
        let device = device.filter(|device| is_known_device(self, at, account, device));
        locked_until(account.protection.as_deref()?, device, at)
    }

    pub(crate) fn evolve_codes(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::CodeAccepted { account, proof, device } => self.edit_protection(*account, |protection| {
                protection.failures.retain(|failures| failures.device != *device);
                match proof {
                    CodeProof::OneTime { step, .. } => {
                        if let Some(codes) = &mut protection.codes {
                            codes.last_step = codes.last_step.max(*step);
                        }
                    }
                    CodeProof::Recovery { nth, .. } => {
                        if let Some(codes) = &mut protection.recovery_codes {
                            codes.left &= !1u32.checked_shl(u32::from(*nth)).unwrap_or(0);
                        }
                    }
                    CodeProof::Wrong => {}
                }
            }),
            Event::CodeFailed { account, device } => self.edit_protection(*account, |protection| {
                let devices = &protection.devices;
                protection.failures.retain(|failures| {
                    let is_source =
                        failures.device.is_none_or(|from| devices.iter().any(|known| known.device == from));
                    is_source && at.since(failures.last) < FAILURES_FORGOTTEN_AFTER
                });
                match protection.failures.iter_mut().find(|failures| failures.device == *device) {
                    Some(failures) => {
                        failures.count = failures.count.saturating_add(1);
                        failures.last = at;
                    }
                    None => protection.failures.push(CodeFailures { device: *device, count: 1, last: at }),
                }
            }),
            _ => {}
        }
    }
}
