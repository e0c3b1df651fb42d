//! What is known of open withdrawals, and what each event of the core means to the rest of the exchange.

use std::collections::BTreeMap;

use holdfast_decision::event::{Decision, Status};
use holdfast_decision::{Event, State};
use holdfast_policy::Factor;
use holdfast_values::{Timestamp, WithdrawalId};

use super::wallet::Said;
use super::{Play, Seen};
use crate::log::{Upon, What, Why};

/// Open withdrawals by the event that asked for each, and how closed ones ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    by_event: BTreeMap<Box<str>, WithdrawalId>,
    open: BTreeMap<WithdrawalId, Open>,
    closed: BTreeMap<Box<str>, Seen>,
    asking: Option<(Box<str>, bool)>,
    last_end: Option<Seen>,
}

/// What is known of an open withdrawal beside State.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) event: Box<str>,
    /// A number of its own, for drawing.
    pub(super) number: u64,
    pub(super) is_attackers: bool,
    pub(super) has_left: bool,
    /// An analyst has it on the list.
    pub(super) is_case: bool,
    /// An analyst has let it go on, and it is held all the same: nobody looks twice.
    pub(super) was_looked_at: bool,
    /// What its owner was asked for and reacts to.
    pub(super) asked: u8,
    /// The signer's bucket refused it: said once.
    pub(super) was_refused: bool,
}

impl Book {
    pub(super) fn find(&self, event: &str) -> Option<WithdrawalId> {
        self.by_event.get(event).copied()
    }

    pub(super) fn get(&self, id: WithdrawalId) -> Option<&Open> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: WithdrawalId) -> Option<&mut Open> {
        self.open.get_mut(&id)
    }

    /// Open ones of attackers that have not left, in the order of their ids.
    pub(super) fn attackers(&self) -> Vec<WithdrawalId> {
        let all = self.open.iter().filter(|(_, open)| open.is_attackers && !open.has_left);
        all.map(|(id, _)| *id).collect()
    }

    pub(super) fn open(&self) -> usize {
        self.open.values().filter(|open| !open.has_left).count()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn asks(&mut self, event: &str, is_attackers: bool) {
        self.asking = Some((event.into(), is_attackers));
        self.last_end = None;
    }

    pub(super) const fn last_end(&self) -> Option<Seen> {
        self.last_end
    }

    pub(super) fn seen(&self, state: &State, event: &str) -> Option<Seen> {
        let Some(id) = self.by_event.get(event) else { return self.closed.get(event).copied() };
        if self.open.get(id).is_some_and(|open| open.has_left) {
            return Some(Seen::Sent);
        }
        let open = state.withdrawal(*id)?;
        let factors = open.decision.factors;
        Some(match open.status() {
            Status::AwaitingApproval => {
                let strongest = [Factor::Passkey, Factor::OneTimeCode];
                Seen::Pending { wants: strongest.into_iter().find(|factor| factors.contains(*factor)) }
            }
            Status::Dwelling | Status::Approved | Status::Released => Seen::Pending { wants: None },
            Status::Held => Seen::UnderReview,
            Status::Broadcast | Status::Confirmed => Seen::Sent,
            Status::Denied => Seen::Refused,
            _ => Seen::Cancelled,
        })
    }

    fn close(&mut self, id: WithdrawalId, end: Seen, remembers: bool) -> Option<Open> {
        let open = self.open.remove(&id)?;
        self.by_event.remove(&open.event);
        self.last_end = Some(end);
        if remembers || open.is_attackers {
            self.closed.insert(open.event.clone(), end);
        }
        Some(open)
    }
}

impl Play {
    /// What an event of the core means to everybody else.
    pub(super) fn follow(&mut self, at: Timestamp, event: Event, upon: Upon) {
        match event {
            Event::WithdrawalRequested(asked) => {
                if let Some((event, is_attackers)) = self.book.asking.take() {
                    let id = asked.withdrawal;
                    self.book.by_event.insert(event.clone(), id);
                    let open = Open {
                        event,
                        // The random half of the id.
                        number: (id.0 & u128::from(u64::MAX)) as u64,
                        is_attackers,
                        has_left: false,
                        is_case: false,
                        was_looked_at: false,
                        asked: 0,
                        was_refused: false,
                    };
                    self.book.open.insert(id, open);
                    if is_attackers {
                        self.owner_is_told(at, asked.account);
                    }
                }
            }
            Event::WithdrawalDecided { withdrawal, decision } => {
                self.was_decided(at, withdrawal, *decision, upon);
            }
            Event::WithdrawalCancelled { withdrawal } => {
                self.ended(at, withdrawal, Seen::Cancelled, "cancelled")
            }
            Event::WithdrawalExpired { withdrawal } => self.ended(at, withdrawal, Seen::Cancelled, "expired"),
            Event::IntentLapsed { withdrawal } => self.wallet.not_approved(&withdrawal),
            Event::WithdrawalMoved { withdrawal, status, .. } if status.is_final() => {
                self.ended(at, withdrawal, Seen::Cancelled, status.name());
            }
            Event::WithdrawalPaid { withdrawal, .. } => {
                self.book.close(withdrawal, Seen::Sent, self.remembers_closed);
            }
            Event::AddressRecorded { account, destination } => self.notice(at, account, destination),
            Event::TransactionReleased(_) => self.wallet.said = Said::Released,
            Event::ReleaseDropped { dropped } => self.wallet.said = Said::Dropped(dropped),
            Event::ChainAlarm { alarm, .. } => {
                self.line(at, What::Alarm { kind: "chain".into(), event: alarm.name().into() });
            }
            _ => {}
        }
    }

    fn was_decided(&mut self, at: Timestamp, id: WithdrawalId, decision: Decision, upon: Upon) {
        let Some(open) = self.book.get(id) else { return };
        let event = open.event.clone();
        let status = decision.status;
        let factors: Vec<Factor> = [Factor::OneTimeCode, Factor::Passkey]
            .into_iter()
            .filter(|factor| decision.factors.contains(*factor))
            .collect();
        let reasons = decision.reasons.into_iter().map(|reason| Why {
            code: reason.code.into(),
            severity: reason.severity.name().into(),
            observed: reason.observed.into(),
            expected: reason.expected.into(),
        });
        let what = What::Decided {
            event,
            upon,
            outcome: decision.severity.name().into(),
            status: status.name().into(),
            class: decision.class.name().into(),
            dwell_until: (decision.dwell_until > at).then_some(decision.dwell_until),
            factors: factors.iter().map(|factor| factor_name(*factor).into()).collect(),
            usd_cents: decision.usd_cents.0,
            reasons: reasons.collect(),
        };
        self.line(at, what);
        if status == Status::Approved {
            self.approved(at, id);
        } else {
            self.wallet.not_approved(&id);
        }
        match status {
            Status::Held => self.held(at, id),
            Status::AwaitingApproval => self.is_asked(at, id, &factors),
            Status::Denied => self.ended(at, id, Seen::Refused, status.name()),
            _ => {}
        }
    }

    fn ended(&mut self, at: Timestamp, id: WithdrawalId, end: Seen, status: &str) {
        self.wallet.not_approved(&id);
        let Some(open) = self.book.close(id, end, self.remembers_closed) else { return };
        self.line(at, What::Closed { event: open.event, status: status.into() });
    }
}

const fn factor_name(factor: Factor) -> &'static str {
    match factor {
        Factor::OneTimeCode => "one_time_code",
        Factor::Passkey => "passkey",
    }
}
