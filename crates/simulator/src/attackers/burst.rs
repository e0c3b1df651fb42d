//! Many withdrawals in one instant, none of which waits for what comes of the others; and what he makes of the answers: what
//! wants a proof that he does not have he takes back, and takes what he can in smaller ones.

use std::collections::VecDeque;

use holdfast_policy::Factor;
use holdfast_values::{Timestamp, time};

use super::agenda::next_due;
use super::coins::Coins;
use super::raid::Raid;
use super::reach::{Attacker, Reach};
use crate::format::{Body, Channel, KeyScope, To};
use crate::play::{Answer, Seen};
use crate::truth::Role;

/// One of the many.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) at: Timestamp,
    pub(super) account: Box<str>,
    pub(super) asset: &'static str,
    pub(super) to: To,
    pub(super) amount: Coins,
    /// By a key of his, else by a session with whatever codes he has.
    pub(super) by_key: bool,
}

/// Before he takes back what does not pass, he looks for so long.
const LOOKS_AFTER: u64 = 90 * time::SECOND;

/// The burst, then the slices.
pub(super) struct Burst {
    asks: VecDeque<Ask>,
    sent: VecDeque<(Timestamp, Box<str>, Box<str>)>,
    raid: Raid,
}

impl Burst {
    /// `raid` prepares it, and goes on after it.
    pub(super) fn new(mut asks: Vec<Ask>, raid: Raid) -> Self {
        asks.sort_by_key(|ask| ask.at);
        Self { asks: asks.into(), sent: VecDeque::new(), raid }
    }

    fn ask(&mut self, at: Timestamp, ask: Ask, reach: &mut dyn Reach) {
        let Some(loot) = reach.spied(&ask.account) else { return };
        let key = loot.keys.iter().find(|key| ask.by_key && key.scopes.contains(&KeyScope::Withdraw));
        let channel = match key {
            Some(key) => Channel::ApiRequest { key: key.key.clone(), ip: key.ip.clone() },
            None => Channel::Session { one_time_code: loot.has_codes, facts: Some(loot.facts.clone()) },
        };
        let body = Body::RequestWithdrawal {
            account: ask.account.clone(),
            asset: ask.asset.into(),
            to: ask.to,
            amount: ask.amount.text(),
            channel,
        };
        let sent = reach.submit(Role::Drain, body);
        match sent.answer {
            Answer::Withdrawal(Seen::Pending { wants: Some(Factor::OneTimeCode) }) if loot.has_codes => {
                let body = Body::OneTimeCode { account: ask.account.clone(), withdrawal: sent.event.clone() };
                reach.submit(Role::Drain, body);
                self.sent.push_back((at.plus(LOOKS_AFTER), ask.account, sent.event));
            }
            Answer::Withdrawal(_) => self.sent.push_back((at.plus(LOOKS_AFTER), ask.account, sent.event)),
            Answer::Taken | Answer::Refused { .. } => {}
        }
    }

    fn look(&self, account: Box<str>, event: Box<str>, reach: &mut dyn Reach) {
        if let Some(Seen::Pending { wants: Some(_) }) = reach.seen(&event) {
            reach.submit(Role::Drain, Body::CancelWithdrawal { account, withdrawal: event });
        }
    }
}

impl Attacker for Burst {
    fn wakes(&self) -> Option<Timestamp> {
        let asks = self.asks.front().map(|ask| ask.at);
        let sent = self.sent.front().map(|(at, ..)| *at);
        asks.into_iter().chain(sent).chain(self.raid.wakes()).min()
    }

    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        self.raid.agenda.act(at, reach);
        while let Some(ask) = next_due(&mut self.asks, |ask| ask.at <= at) {
            self.ask(at, ask, reach);
        }
        while let Some((_, account, event)) = next_due(&mut self.sent, |(due, ..)| *due <= at) {
            self.look(account, event, reach);
        }
        self.raid.taker.act(at, reach);
    }
}
