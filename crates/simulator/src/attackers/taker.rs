//! How money is taken out of accounts that are in an attacker's hands: by trying, and by learning from what comes back.
//!
//! He asks for what he would like. What wants a passkey he takes back, and asks for half; what a person looks at he leaves,
//! and waits or goes on with another account; on silence he goes on. When even little does not pass although more did
//! before, he takes it for the day's limit and comes back tomorrow. What one account taught holds for all: so he begins
//! with one, where he can afford to.

use std::collections::BTreeMap;

use holdfast_policy::Factor;
use holdfast_values::{Micros, Timestamp, time};

use super::agenda::is_lost;
use super::coins::Coins;
use super::reach::{Loot, Reach};
use crate::draw::{self, Draw};
use crate::format::{Body, Channel, Facts, To};
use crate::play::{Answer, Seen};
use crate::truth::Role;

/// How an attacker goes about it.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// Which assets, the most wanted first.
    pub(super) assets: &'static [&'static str],
    /// What he asks for at first, in US cents; everything, if nothing is said.
    pub(super) first_cents: Option<u64>,
    /// What an account is not worth his while below.
    pub(super) floor_cents: u64,
    /// Between two withdrawals of one account.
    pub(super) pace: Micros,
    /// Between two looks at one that waits.
    pub(super) peek: Micros,
    /// How many of one account may wait at once.
    pub(super) open_max: usize,
    /// A waiting one is taken for silence after this, and he goes on.
    pub(super) patience: Micros,
    /// How long an account whose withdrawal is looked at by a person is left alone.
    pub(super) lie_low: Micros,
    /// Whether he creeps up to what passes, half-way between what did and what did not.
    pub(super) creeps: bool,
    /// Whether he begins low and doubles what passed, so that nobody ever looks at too much; and lies still where what used to
    /// go at once goes no more, until it does again.
    pub(super) wary: bool,
    /// What he knows to be too much, and never asks for.
    pub(super) ceiling_cents: u64,
    /// Whether he approves, unasked, with keys of his own: accounts that are his have some.
    pub(super) approves: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            assets: &["BTC", "ETH"],
            first_cents: None,
            floor_cents: 20_000,
            pace: 5 * time::MINUTE,
            peek: 5 * time::MINUTE,
            open_max: 2,
            patience: 90 * time::MINUTE,
            lie_low: 6 * time::HOUR,
            creeps: false,
            wary: false,
            ceiling_cents: u64::MAX,
            approves: false,
        }
    }
}

/// An account to be emptied.
#[derive(Clone, Debug, Default)]
pub(super) struct Purse {
    pub(super) account: Box<str>,
    /// Where its money goes, by asset; in turn.
    pub(super) targets: BTreeMap<&'static str, Vec<To>>,
    /// Whether a stolen key asks, where there is one; else a session does.
    pub(super) by_key: bool,
    /// Until when the owner's codes can be shown; for ever, if nothing is said.
    pub(super) codes_until: Option<Timestamp>,
    /// Not before then.
    pub(super) from: Timestamp,
    /// What is asked for first, if this account differs.
    pub(super) first_cents: Option<u64>,
    /// Nothing more is asked for once one is on its way.
    pub(super) once: bool,
    /// How far he has come with it.
    pub(super) state: Progress,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    cap: Option<u64>,
    /// The most that has passed, and the least that has not since.
    good: u64,
    bad: Option<u64>,
    strikes: u32,
    turn: usize,
    open: Vec<Open>,
    rests: u32,
    resting_until: Option<Timestamp>,
    signed_in: Option<Timestamp>,
    over: bool,
}

#[derive(Clone, Debug)]
struct Open {
    event: Box<str>,
    cents: u64,
    at: Timestamp,
    reviewed: bool,
    approved: bool,
}

/// What one account taught about all.
#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    /// The least for which somebody without a passkey was asked for one.
    asks_key: Option<u64>,
    /// The least that a person looked at.
    reviewed: Option<u64>,
    /// The most that was paid.
    paid: u64,
    /// Since when what he asked for has not been paid as it used to be.
    stalled: Option<Timestamp>,
}

/// Takes from many accounts, each at its own pace.
#[derive(Debug)]
pub(super) struct Taker {
    manner: Manner,
    purses: Vec<Purse>,
    due: BTreeMap<(Timestamp, usize), ()>,
    learned: Learned,
}

/// The most days that one account is come back to.
const RESTS_MAX: u32 = 6;
/// What used to take a minute or ten and has not gone after this is stopped.
const STALLED_AFTER: Micros = 20 * time::MINUTE;
/// How often he halves before he gives an account up.
const STRIKES_MAX: u32 = 9;

impl Taker {
    pub(super) fn new(manner: Manner, purses: Vec<Purse>) -> Self {
        let due = purses.iter().enumerate().map(|(place, purse)| ((purse.from, place), ())).collect();
        Self { manner, purses, due, learned: Learned::default() }
    }

    /// One more account.
    pub(super) fn add(&mut self, purse: Purse) {
        self.due.insert((purse.from, self.purses.len()), ());
        self.purses.push(purse);
    }

    pub(super) fn wakes(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), ())| *at)
    }

    pub(super) fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        while let Some(((due, place), ())) = self.due.pop_first() {
            if due > at {
                self.due.insert((due, place), ());
                return;
            }
            let Some(purse) = self.purses.get_mut(place) else { continue };
            let mut turn = Turn { manner: &self.manner, learned: &mut self.learned, at };
            if let Some(next) = turn.take(purse, reach) {
                self.due.insert((next.max(at.plus(time::SECOND)), place), ());
            }
        }
    }
}

/// One account's turn.
struct Turn<'a> {
    manner: &'a Manner,
    learned: &'a mut Learned,
    at: Timestamp,
}

impl Turn<'_> {
    /// Looks at what waits, asks for the next one; when to come back.
    fn take(&mut self, purse: &mut Purse, reach: &mut dyn Reach) -> Option<Timestamp> {
        let loot = reach.spied(&purse.account)?;
        for open in core::mem::take(&mut purse.state.open) {
            if let Some(seen) = reach.seen(&open.event) {
                self.judge(purse, &loot, open, seen, reach);
            }
        }
        let state = &purse.state;
        if state.over {
            return self.after(purse);
        }
        if let Some(until) = state.resting_until.filter(|until| self.at < *until) {
            return Some(until);
        }
        let reviewed = state.open.iter().filter(|open| open.reviewed).map(|open| open.at).max();
        if let Some(asked) = reviewed
            && self.at < asked.plus(self.manner.lie_low)
        {
            return Some(asked.plus(self.manner.lie_low));
        }
        let waiting =
            state.open.iter().filter(|open| !open.reviewed && self.at < open.at.plus(self.manner.patience));
        if waiting.count() >= self.manner.open_max {
            return Some(self.at.plus(self.manner.peek));
        }
        if purse.once && (purse.state.good > 0 || !purse.state.open.is_empty()) {
            purse.state.over = true;
            return self.after(purse);
        }
        let wanted = self.wanted(purse, &loot);
        let draw = &mut draw::draw(self.at.0, &purse.account, &[]);
        let Some((asset, coins, cents)) = self.choose(draw, (&loot, wanted), reach) else {
            purse.state.over = true;
            return self.after(purse);
        };
        if let Some(rest) = self.ask(purse, &loot, (asset, coins, cents), reach) {
            return rest;
        }
        Some(self.at.plus(self.manner.pace))
    }

    /// He has given the account up; what waits may still go.
    fn after(&self, purse: &Purse) -> Option<Timestamp> {
        (!purse.state.open.is_empty()).then(|| self.at.plus(6 * self.manner.peek))
    }

    /// How much he dares to ask for.
    fn wanted(&self, purse: &Purse, loot: &Loot) -> u64 {
        let ceiling = self.manner.ceiling_cents;
        if let Some(cap) = purse.state.cap {
            return cap.min(ceiling);
        }
        let first = purse.first_cents.or(self.manner.first_cents).unwrap_or(u64::MAX);
        // What another account was asked a passkey for, or a person looked at, he does not try again.
        let [asks_key, reviewed] =
            [self.learned.asks_key, self.learned.reviewed].map(|least| least.unwrap_or(u64::MAX) / 2);
        let taught = asks_key.min(reviewed).max(self.learned.paid);
        let first = if self.manner.wary { first.max(self.learned.paid) } else { first };
        first.min(taught).min(loot.usd_cents_24h).min(ceiling)
    }

    /// The asset of which there is enough.
    fn choose(
        &self,
        draw: &mut Draw,
        (loot, wanted): (&Loot, u64),
        reach: &mut dyn Reach,
    ) -> Option<(&'static str, Coins, u64)> {
        self.manner.assets.iter().find_map(|asset| {
            let price = reach.price(asset);
            let has = loot.balances.get(asset).copied().unwrap_or_default();
            let coins = has.min(Coins::worth(wanted, price));
            // He enters amounts as people do; who looks for a line needs every digit.
            let coins = if self.manner.creeps { coins } else { coins.entered(draw) };
            let cents = coins.cents(price);
            // Rounding takes less than a tenth.
            let floor = self.manner.floor_cents.min(wanted) / 10 * 9;
            (cents >= floor && cents > 100).then_some((*asset, coins, cents))
        })
    }

    /// Asks; `Some` if what came back says when to go on.
    #[expect(
        clippy::option_option,
        reason = "the outer says whether there is a word, the inner whether there is a time"
    )]
    fn ask(
        &mut self,
        purse: &mut Purse,
        loot: &Loot,
        (asset, coins, cents): (&'static str, Coins, u64),
        reach: &mut dyn Reach,
    ) -> Option<Option<Timestamp>> {
        let Some(to) = purse.targets.get(asset).and_then(|targets| {
            let turn = purse.state.turn.checked_rem(targets.len())?;
            targets.get(turn).cloned()
        }) else {
            purse.state.over = true;
            return Some(self.after(purse));
        };
        purse.state.turn = purse.state.turn.saturating_add(1);
        let channel = self.channel(purse, loot, reach);
        let body = Body::RequestWithdrawal {
            account: purse.account.clone(),
            asset: asset.into(),
            to,
            amount: coins.text(),
            channel,
        };
        let sent = reach.submit(Role::Drain, body);
        match sent.answer {
            Answer::Withdrawal(seen) => {
                let open = Open { event: sent.event, cents, at: self.at, reviewed: false, approved: false };
                self.judge(purse, loot, open, seen, reach);
                None
            }
            Answer::Taken => None,
            Answer::Refused { code } if is_lost(&code) => Some(None),
            Answer::Refused { code } if code.contains("halt") => Some(Some(self.at.plus(time::HOUR))),
            Answer::Refused { .. } => {
                self.strike(purse, cents);
                None
            }
        }
    }

    /// A key where there is one that withdraws; else a session, which is signed in first.
    fn channel(&self, purse: &mut Purse, loot: &Loot, reach: &mut dyn Reach) -> Channel {
        let key = loot.keys.iter().find(|key| key.scopes.contains(&crate::format::KeyScope::Withdraw));
        if let Some(key) = key.filter(|_| purse.by_key) {
            return Channel::ApiRequest { key: key.key.clone(), ip: key.ip.clone() };
        }
        if purse.state.signed_in.is_none_or(|at| self.at.since(at) > 12 * time::HOUR) {
            purse.state.signed_in = Some(self.at);
            let body = Body::Session { account: purse.account.clone(), facts: loot.facts.clone() };
            reach.submit(Role::Prepare, body);
        }
        let facts = (loot.facts != Facts::default()).then(|| loot.facts.clone());
        Channel::Session { one_time_code: self.has_codes(purse, loot), facts }
    }

    fn has_codes(&self, purse: &Purse, loot: &Loot) -> bool {
        loot.has_codes && purse.codes_until.is_none_or(|until| self.at <= until)
    }

    /// What he makes of how one stands.
    fn judge(&mut self, purse: &mut Purse, loot: &Loot, mut open: Open, seen: Seen, reach: &mut dyn Reach) {
        let seen = self.approve(purse, loot, &mut open, seen, reach);
        match seen {
            Seen::Sent => {
                self.learned.paid = self.learned.paid.max(open.cents);
                self.learned.stalled = None;
                let state = &mut purse.state;
                state.good = state.good.max(open.cents);
                state.strikes = 0;
                if self.manner.wary {
                    let doubled = open.cents.saturating_mul(2);
                    let passes = [state.bad, self.learned.reviewed, self.learned.asks_key];
                    let is_over = passes.into_iter().flatten().any(|bad| doubled >= bad);
                    state.cap = Some(if is_over { state.good } else { doubled.max(self.learned.paid) });
                }
                if self.manner.creeps
                    && let Some(bad) = state.bad.filter(|bad| *bad > state.good)
                {
                    state.cap = Some(state.good.midpoint(bad));
                }
            }
            Seen::Refused => {
                self.learned.stalled = None;
                self.strike(purse, open.cents);
            }
            // Its owner was there, or its time passed: the account is watched.
            Seen::Cancelled => {
                self.learned.stalled = None;
                purse.state.strikes = purse.state.strikes.saturating_add(2);
                self.strike(purse, open.cents);
            }
            Seen::UnderReview => {
                let least = self.learned.reviewed.map_or(open.cents, |least| least.min(open.cents));
                if self.manner.wary {
                    // Before anybody comes to look at it.
                    self.learned.reviewed = Some(least);
                    let (account, withdrawal) = (purse.account.clone(), open.event.clone());
                    reach.submit(Role::Drain, Body::CancelWithdrawal { account, withdrawal });
                    self.strike(purse, open.cents);
                    return;
                }
                if !open.reviewed {
                    self.learned.reviewed = Some(least);
                    open.reviewed = true;
                    open.at = self.at;
                    self.strike(purse, open.cents);
                }
                purse.state.open.push(open);
            }
            Seen::Pending { wants: None } => {
                if self.manner.wary && self.learned.paid > 0 && self.at > open.at.plus(STALLED_AFTER) {
                    self.learned.stalled.get_or_insert(self.at);
                }
                purse.state.open.push(open);
            }
            Seen::Pending { wants: Some(factor) } => self.prove(purse, loot, open, factor, reach),
        }
    }

    /// What waits he approves himself, where the account is his own: how it stands then.
    fn approve(
        &self,
        purse: &Purse,
        loot: &Loot,
        open: &mut Open,
        seen: Seen,
        reach: &mut dyn Reach,
    ) -> Seen {
        let waits = matches!(seen, Seen::Pending { wants: None } | Seen::UnderReview);
        let Some(credential) =
            loot.credential.as_ref().filter(|_| self.manner.approves && waits && !open.approved)
        else {
            return seen;
        };
        open.approved = true;
        let (account, withdrawal) = (purse.account.clone(), open.event.clone());
        let body = Body::ApproveWithdrawal { account, withdrawal, credential: credential.clone() };
        match reach.submit(Role::Drain, body).answer {
            Answer::Withdrawal(now) => now,
            Answer::Taken | Answer::Refused { .. } => seen,
        }
    }

    /// Shows what is asked for if he has it; else takes the withdrawal back, before its owner hears of it twice.
    fn prove(&mut self, purse: &mut Purse, loot: &Loot, open: Open, factor: Factor, reach: &mut dyn Reach) {
        let (account, withdrawal) = (purse.account.clone(), open.event.clone());
        let proof = match (factor, &loot.credential) {
            (Factor::OneTimeCode, _) if self.has_codes(purse, loot) => {
                Some(Body::OneTimeCode { account: account.clone(), withdrawal: withdrawal.clone() })
            }
            (Factor::Passkey, Some(credential)) => Some(Body::ApproveWithdrawal {
                account: account.clone(),
                withdrawal: withdrawal.clone(),
                credential: credential.clone(),
            }),
            _ => None,
        };
        let shown = proof.map(|proof| reach.submit(Role::Drain, proof).answer);
        match shown {
            Some(Answer::Withdrawal(Seen::Pending { wants: Some(_) }) | Answer::Refused { .. }) | None => {
                if factor == Factor::Passkey && !loot.has_passkey {
                    let least = self.learned.asks_key.map_or(open.cents, |least| least.min(open.cents));
                    // What passed once was not what asked: it was the sum of the day.
                    if least > self.learned.paid {
                        self.learned.asks_key = Some(least);
                    }
                }
                reach.submit(Role::Drain, Body::CancelWithdrawal { account, withdrawal });
                self.strike(purse, open.cents);
            }
            Some(Answer::Withdrawal(seen)) if !matches!(seen, Seen::Pending { .. }) => {
                self.judge(purse, loot, open, seen, reach);
            }
            Some(_) => purse.state.open.push(open),
        }
    }

    /// That did not pass: less of it next time, or tomorrow, or never.
    fn strike(&self, purse: &mut Purse, cents: u64) {
        let floor = self.manner.floor_cents;
        let state = &mut purse.state;
        state.strikes = state.strikes.saturating_add(1);
        state.bad = Some(cents);
        let lower = if self.manner.creeps && state.good > 0 && cents > state.good {
            state.good.midpoint(cents).min(cents.saturating_sub(cents / 20))
        } else {
            cents / 2
        };
        state.cap = Some(lower);
        if lower >= floor && state.strikes < STRIKES_MAX {
            return;
        }
        if state.good > 0 && state.rests < RESTS_MAX {
            // More than this has passed: it is the day's limit. He comes back tomorrow.
            state.rests = state.rests.saturating_add(1);
            (state.strikes, state.bad, state.cap) = (0, None, Some(state.good));
            state.resting_until = Some(self.at.plus(24 * time::HOUR));
        } else {
            state.over = true;
        }
    }
}
