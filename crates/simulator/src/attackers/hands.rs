//! The accounts that are in an attacker's hands, what they hold, and what he has spent. It keeps him honest: whatever he
//! has not stolen does not exist for him, an account pays no more than it holds, and a budget that is spent is spent.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::{Timestamp, time};
use rand::{Rng as _, RngExt as _};

use super::casting::Stage;
use super::coins::Coins;
use super::reach::{Budget, Cross, Insider, Loot, Reach, Sent, StolenKey};
use crate::draw;
use crate::format::{Body, Channel, Entry, Facts, KeyScope};
use crate::log::{Line, What};
use crate::play::{Answer, Seen, THEFT};
use crate::population::{Browser, ids};
use crate::truth::{Role, Truth};

/// What an attack has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Accounts that it got into.
    pub accounts: u32,
    /// Accounts that it opened.
    pub mules: u32,
    /// Requests that change something.
    pub requests: u32,
    /// Looks at pages.
    pub looks: u32,
}

/// An account that can be got into.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) loot: Loot,
    /// He has used it.
    pub(super) entered: bool,
    /// It is his own: opened with bought papers.
    pub(super) mule: bool,
    /// Its owner does himself what he is made to do: what is asked for is approved by himself.
    pub(super) deceived: Option<Box<str>>,
    /// Its owner has written, or will.
    pub(super) writes: bool,
    /// Withdrawals whose money is still reserved.
    pub(super) open: BTreeMap<Box<str>, (&'static str, Coins)>,
}

/// The attacker's side of an exchange.
pub(super) struct Hands {
    attack: &'static str,
    seed: u64,
    budget: Budget,
    /// Gives up then.
    pub(super) ends: Timestamp,
    pub(super) accounts: BTreeMap<Box<str>, Held>,
    /// The one inside, by name.
    pub(super) inside: Option<Box<str>>,
    /// So far.
    pub(super) spent: Spent,
    pub(super) truth: Truth,
    pub(super) entries: Vec<Entry>,
    pub(super) lines: Vec<Line>,
    /// What owners will write, who find their money traded away.
    pub(super) letters: BTreeMap<(Timestamp, u64), Body>,
    his: BTreeSet<Box<str>>,
    /// By the cookie that it shows.
    browsers: BTreeMap<Box<str>, Browser>,
    next: u64,
    over: bool,
}

impl Hands {
    pub(super) fn new(attack: &'static super::Attack, seed: u64, ends: Timestamp) -> Self {
        Self {
            attack: attack.name,
            seed,
            budget: attack.budget,
            ends,
            accounts: BTreeMap::new(),
            inside: None,
            spent: Spent::default(),
            truth: Truth::default(),
            entries: Vec::new(),
            lines: Vec::new(),
            letters: BTreeMap::new(),
            his: BTreeSet::new(),
            browsers: BTreeMap::new(),
            // Each attack numbers its events apart, since several may be told of one run.
            next: draw::draw(seed, attack.name, &[]).next_u64() >> 24 << 22,
            over: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn reach<'a>(&'a mut self, at: Timestamp, stage: &'a mut dyn Stage) -> At<'a> {
        if at > self.ends {
            self.over = true;
        }
        At { hands: self, at, stage }
    }

    /// What happened beside the played exchange was all his.
    pub(super) fn tell(&mut self, lines: Vec<Line>) {
        for line in &lines {
            if let What::Left { event, .. } | What::SignerRefused { event, .. } = &line.what {
                self.truth.event(event, self.attack, Role::Drain);
            }
        }
        self.lines.extend(lines);
    }

    /// The owner of an account that was traded empty writes once: half of them within twelve hours, all within two days.
    fn will_write(&mut self, account: &str, at: Timestamp) {
        let is_new = self
            .accounts
            .get_mut(account)
            .is_some_and(|held| !held.mule && !core::mem::replace(&mut held.writes, true));
        if is_new {
            let number = u64::try_from(self.letters.len()).unwrap_or_default();
            let mut draw = draw::draw(self.seed, "letter", &[number, at.0]);
            let begins = (3 * time::HOUR) << draw.random_range(0..4u32);
            let due = at.plus(begins).plus(draw.random_range(0..begins));
            let body = Body::Support { account: account.into(), about: THEFT.into() };
            self.letters.insert((due, self.next), body);
        }
    }

    /// What he signs in with from then on, wherever its cookie is shown.
    pub(super) fn carries(&mut self, facts: &Facts, browser: Browser) {
        if let Some(device) = &facts.device {
            self.browsers.insert(device.clone(), browser);
        }
    }

    /// His browsers are renewed like everybody's: what one shows is of that day.
    fn dress(&self, body: &mut Body, at: Timestamp) {
        let facts = match body {
            Body::Session { facts, .. }
            | Body::PutApiKey { session: Some(facts), .. }
            | Body::RequestWithdrawal { channel: Channel::Session { facts: Some(facts), .. }, .. } => facts,
            _ => return,
        };
        if let Some(browser) = facts.device.as_ref().and_then(|device| self.browsers.get(device)) {
            let (agent, tls) = browser.shows(at);
            (facts.user_agent, facts.tls) = (Some(agent), Some(tls));
        }
    }

    /// The next event's id, which looks like everybody's.
    pub(super) fn id(&mut self) -> Box<str> {
        self.next = self.next.wrapping_add(1);
        ids::event(self.seed, ids::From::Other(self.next & (u64::MAX >> 1)))
    }
}

/// The reach of one instant.
pub(super) struct At<'a> {
    hands: &'a mut Hands,
    at: Timestamp,
    stage: &'a mut dyn Stage,
}

/// What the exchange's own pages answer before Holdfast is asked.
fn refused(code: &str) -> Sent {
    Sent { event: Box::default(), answer: Answer::Refused { code: code.into() } }
}

impl At<'_> {
    /// Sends an entry, if the budget still has a request.
    fn send(&mut self, role: Role, mut body: Body) -> Sent {
        self.hands.dress(&mut body, self.at);
        if self.hands.spent.requests >= self.hands.budget.requests {
            self.hands.over = true;
            return refused("out_of_budget");
        }
        self.hands.spent.requests = self.hands.spent.requests.saturating_add(1);
        let deceived = body
            .account()
            .and_then(|account| self.hands.accounts.get(account))
            .is_some_and(|held| held.deceived.is_some());
        let event = self.hands.id();
        // The owner approves none of it: no withdrawal, and no key that is not his.
        if !deceived {
            self.stage.mark_event(&event);
        }
        self.hands.truth.event(&event, self.hands.attack, role);
        let entry = Entry { at: self.at, id: event.clone(), body };
        let answer = self.stage.submit(&entry);
        self.hands.entries.push(entry);
        self.hands.his.insert(event.clone());
        Sent { event, answer }
    }

    /// Opens the door of an account, once; false if it is none of his, or one too many.
    fn enter(&mut self, account: &str) -> bool {
        let hands = &mut *self.hands;
        let Some(held) = hands.accounts.get_mut(account) else { return false };
        if !held.entered {
            if !held.mule {
                if hands.spent.accounts >= hands.budget.accounts {
                    return false;
                }
                hands.spent.accounts = hands.spent.accounts.saturating_add(1);
            }
            held.entered = true;
            hands.truth.account(account, self.at, hands.attack, held.mule);
            if held.deceived.is_none() {
                self.stage.mark_account(account, held.mule);
            }
        }
        true
    }

    /// Whether what he has stolen suffices for this.
    fn may(&self, body: &Body) -> bool {
        let Some(held) = body.account().and_then(|account| self.hands.accounts.get(account)) else {
            return false;
        };
        match body {
            Body::Session { .. }
            | Body::AddAddress { .. }
            | Body::RemoveAddress { .. }
            | Body::PutApiKey { .. }
            | Body::RevokeApiKey { .. }
            | Body::AddCredential { .. }
            | Body::SecurityChange { .. }
            | Body::LowerLimits { .. }
            | Body::CancelWithdrawal { .. }
            | Body::Support { .. } => true,
            Body::RequestWithdrawal { channel: Channel::Session { one_time_code, .. }, .. } => {
                !one_time_code || held.loot.has_codes
            }
            Body::RequestWithdrawal { channel: Channel::ApiRequest { key, .. }, .. } => {
                held.loot.keys.iter().any(|has| has.key == *key && has.scopes.contains(&KeyScope::Withdraw))
            }
            Body::OneTimeCode { .. } => held.loot.has_codes,
            Body::ApproveWithdrawal { credential, .. } => {
                held.loot.credential.as_ref() == Some(credential)
                    || held.deceived.as_ref() == Some(credential)
            }
            // Money of his own, or dust for a history that somebody will copy from.
            Body::Deposit { .. } => held.mule || held.deceived.is_some(),
            _ => false,
        }
    }

    /// What an account can still pay of an asset.
    fn free(&self, account: &str, asset: &str) -> Coins {
        let Some(held) = self.hands.accounts.get(account) else { return Coins(0) };
        let has = held.loot.balances.get(asset).copied().unwrap_or_default();
        held.open.values().filter(|(of, _)| *of == asset).fold(has, |left, (_, amount)| left.less(*amount))
    }

    /// Writes down what changed by what was taken.
    fn after(&mut self, sent: &Sent, body: &Body) {
        if matches!(sent.answer, Answer::Refused { .. }) {
            return;
        }
        let Some(held) = body.account().and_then(|account| self.hands.accounts.get_mut(account)) else {
            return;
        };
        match body {
            Body::RequestWithdrawal { asset, amount, .. } => {
                let of = held.loot.balances.keys().copied().find(|known| *known == &**asset);
                if let (Some(asset), Some(amount)) = (of, Coins::parse(amount)) {
                    held.open.insert(sent.event.clone(), (asset, amount));
                }
            }
            Body::AddAddress { to, .. } => held.loot.pays.push(to.clone()),
            Body::PutApiKey { key, scopes, ip_allowlist, .. } => {
                let ip = ip_allowlist.first().cloned().unwrap_or_default();
                held.loot.keys.push(StolenKey { key: key.clone(), scopes: scopes.clone(), ip });
            }
            Body::AddCredential { credential, .. } => held.loot.credential = Some(credential.clone()),
            Body::Deposit { asset, amount, .. } => {
                if let (Some(has), Some(more)) = (held.loot.balances.get_mut(&**asset), Coins::parse(amount))
                {
                    *has = has.plus(more);
                }
            }
            _ => {}
        }
    }
}

impl Reach for At<'_> {
    fn submit(&mut self, role: Role, body: Body) -> Sent {
        let account: Box<str> = body.account().unwrap_or_default().into();
        if !self.enter(&account) || !self.may(&body) {
            return refused("not_in_reach");
        }
        if let Body::RequestWithdrawal { asset, amount, .. } = &body
            && Coins::parse(amount).is_none_or(|amount| amount > self.free(&account, asset))
        {
            return refused("insufficient_balance");
        }
        let sent = self.send(role, body.clone());
        self.after(&sent, &body);
        if let Answer::Withdrawal(seen) = sent.answer {
            // What is shown is the withdrawal that was asked for, or that this is about.
            let event = match &body {
                Body::CancelWithdrawal { withdrawal, .. }
                | Body::OneTimeCode { withdrawal, .. }
                | Body::ApproveWithdrawal { withdrawal, .. } => withdrawal,
                _ => &sent.event,
            };
            self.settle(event, seen);
        }
        sent
    }

    fn seen(&mut self, event: &str) -> Option<Seen> {
        if !self.look() || !self.hands.his.contains(event) {
            return None;
        }
        let seen = self.stage.seen(event)?;
        self.settle(event, seen);
        Some(seen)
    }

    fn spied(&mut self, account: &str) -> Option<Loot> {
        if !self.look() {
            return None;
        }
        let mut loot = self.hands.accounts.get(account)?.loot.clone();
        for (asset, has) in &mut loot.balances {
            *has = self.free(account, asset);
        }
        Some(loot)
    }

    fn open(&mut self, account: &str, tier: &str) -> Sent {
        let ready = self.hands.accounts.get(account).is_some_and(|held| held.mule && !held.entered);
        if !ready || self.hands.spent.mules >= self.hands.budget.mules {
            return refused("not_in_reach");
        }
        self.hands.spent.mules = self.hands.spent.mules.saturating_add(1);
        self.enter(account);
        self.send(Role::Prepare, Body::OpenAccount { account: account.into(), tier: tier.into() })
    }

    fn cross(&mut self, cross: &Cross) -> Answer {
        let Cross { from, to, asset, amount, against, paid, keys: [gives, gets] } = cross;
        let enters = self.enter(from) && self.enter(to);
        if !enters || self.free(from, asset) < *amount || self.free(to, against) < *paid {
            return Answer::Refused { code: "insufficient_balance".into() };
        }
        let trade =
            |account: &str, sold: &str, sold_amount: Coins, bought: &str, bought_amount: Coins, key| {
                Body::Trade {
                    account: account.into(),
                    sold: sold.into(),
                    sold_amount: sold_amount.text(),
                    bought: bought.into(),
                    bought_amount: bought_amount.text(),
                    key,
                }
            };
        for body in [
            trade(from, asset, *amount, against, *paid, gives.clone()),
            trade(to, against, *paid, asset, *amount, gets.clone()),
        ] {
            let sent = self.send(Role::Drain, body);
            if matches!(sent.answer, Answer::Refused { .. }) {
                return sent.answer;
            }
        }
        for (account, asset, gains, amount) in [
            (from, asset, false, amount),
            (to, asset, true, amount),
            (to, against, false, paid),
            (from, against, true, paid),
        ] {
            if let Some(has) =
                self.hands.accounts.get_mut(account).and_then(|held| held.loot.balances.get_mut(asset))
            {
                *has = if gains { has.plus(*amount) } else { has.less(*amount) };
            }
        }
        self.hands.will_write(from, self.at);
        Answer::Taken
    }

    fn price(&mut self, asset: &str) -> u64 {
        self.stage.price(asset).unwrap_or_default()
    }

    fn left(&self) -> Budget {
        let (budget, spent) = (self.hands.budget, self.hands.spent);
        Budget {
            accounts: budget.accounts.saturating_sub(spent.accounts),
            mules: budget.mules.saturating_sub(spent.mules),
            requests: budget.requests.saturating_sub(spent.requests),
            looks: budget.looks.saturating_sub(spent.looks),
            days: u32::try_from(self.hands.ends.since(self.at) / time::DAY).unwrap_or(u32::MAX),
        }
    }

    fn insider(&mut self) -> Option<&mut dyn Insider> {
        self.hands.inside.is_some().then_some(self)
    }
}

impl At<'_> {
    fn look(&mut self) -> bool {
        let spent = &mut self.hands.spent.looks;
        let can = *spent < self.hands.budget.looks;
        if can {
            *spent = spent.saturating_add(1);
        } else {
            self.hands.over = true;
        }
        can
    }

    /// Money that is gone, or free again.
    fn settle(&mut self, event: &str, seen: Seen) {
        if matches!(seen, Seen::Pending { .. } | Seen::UnderReview) {
            return;
        }
        for held in self.hands.accounts.values_mut() {
            if let Some((asset, amount)) = held.open.remove(event) {
                if seen == Seen::Sent
                    && let Some(has) = held.loot.balances.get_mut(asset)
                {
                    *has = has.less(amount);
                }
                return;
            }
        }
    }

    fn alone(&self) -> Vec<Box<str>> {
        self.hands.inside.iter().cloned().collect()
    }
}

impl Insider for At<'_> {
    fn cases(&mut self) -> Vec<Box<str>> {
        if !self.look() {
            return Vec::new();
        }
        let open = self.hands.accounts.values().flat_map(|held| held.open.keys());
        open.filter(|event| self.stage.seen(event) == Some(Seen::UnderReview)).cloned().collect()
    }

    fn approve(&mut self, event: &str) -> Sent {
        let operators = self.alone();
        self.send(Role::Drain, Body::ApproveHeld { withdrawal: event.into(), operators })
    }

    fn raise_limits(&mut self, account: &str, usd_24h: u64) -> Sent {
        let (day, month) = (usd_24h.to_string().into(), usd_24h.saturating_mul(30).to_string().into());
        let operators = self.alone();
        let body = Body::SetLimits { account: account.into(), usd_24h: day, usd_30d: month, operators };
        self.send(Role::Prepare, body)
    }

    fn raise_buckets(&mut self, times: u32) -> Sent {
        let operators = self.alone();
        self.send(Role::Prepare, Body::RaiseBuckets { times, operators })
    }

    fn resume(&mut self) -> Sent {
        let operators = self.alone();
        self.send(Role::Prepare, Body::Resume { scope: "overall".into(), operators })
    }
}
