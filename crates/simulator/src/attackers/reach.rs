//! What an attacker can do and see: the doors of the exchange that stand open to him, and what they show. There is no way
//! from here to State, to the policy's reasons or to another customer's account.

use std::collections::BTreeMap;

use holdfast_values::Timestamp;

use super::coins::Coins;
use crate::format::{Body, Facts, KeyScope, To};
use crate::play::{Answer, Seen};
use crate::truth::Role;

/// Somebody who is after the money.
pub trait Attacker: Send {
    /// When he next does something; never, when he is done or has given up.
    fn wakes(&self) -> Option<Timestamp>;

    /// He does what he has planned for now. After this he wakes later than `at`, or never.
    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach);
}

/// Everything that an attacker can reach.
pub trait Reach {
    /// Sends something in the name of an account that is in his hands.
    fn submit(&mut self, role: Role, body: Body) -> Sent;

    /// How one of his withdrawals stands, as the account's page shows it.
    fn seen(&mut self, event: &str) -> Option<Seen>;

    /// What an account in his hands shows of itself, and what was stolen with it; nothing once he is locked out.
    fn spied(&mut self, account: &str) -> Option<Loot>;

    /// Opens an account of his own, with bought papers.
    fn open(&mut self, account: &str, tier: &str) -> Sent;

    /// Two accounts in his hands trade with each other at a price of his making.
    fn cross(&mut self, cross: &Cross) -> Answer;

    /// US cents for a whole coin: what every ticker shows.
    fn price(&mut self, asset: &str) -> u64;

    /// What is left of his budget.
    fn left(&self) -> Budget;

    /// Someone inside, if he has one.
    fn insider(&mut self) -> Option<&mut dyn Insider>;
}

/// One member of the staff who is bribed, or whose workplace is not his own any more: one pair of hands, never two.
pub trait Insider {
    /// Which withdrawals of the attacker's an analyst has before him.
    fn cases(&mut self) -> Vec<Box<str>>;

    /// Signs alone to let a held withdrawal go on.
    fn approve(&mut self, event: &str) -> Sent;

    /// Signs alone to raise an account's limits.
    fn raise_limits(&mut self, account: &str, usd_24h: u64) -> Sent;

    /// Signs alone to raise every bucket so many times.
    fn raise_buckets(&mut self, times: u32) -> Sent;

    /// Signs alone to end a halt.
    fn resume(&mut self) -> Sent;
}

/// What was sent, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The event's id.
    pub event: Box<str>,
    /// What came back.
    pub answer: Answer,
}

/// A trade between two accounts that are both his: what one of them loses, the other one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cross {
    /// Who loses.
    pub from: Box<str>,
    /// Who gains.
    pub to: Box<str>,
    /// What changes hands.
    pub asset: &'static str,
    /// How much of it.
    pub amount: Coins,
    /// What is paid for it ...
    pub against: &'static str,
    /// ... which is far too little.
    pub paid: Coins,
    /// The API keys that trade, where keys do.
    pub keys: [Option<Box<str>>; 2],
}

/// An account, as its page shows it to whoever is signed in, and what was stolen with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loot {
    /// What it holds.
    pub balances: BTreeMap<&'static str, Coins>,
    /// Whom it pays, as its address book and history list them.
    pub pays: Vec<To>,
    /// US cents that the page says may leave in a day.
    pub usd_cents_24h: u64,
    /// Whether the page says that a passkey approves withdrawals.
    pub has_passkey: bool,
    /// Median of what its history shows as withdrawn at once, in US cents; 0 if there is no history.
    pub usual_cents: u64,
    /// The hour of the day, UTC, at which its history is busiest.
    pub usual_hour: u8,
    /// Cookie and browser of its owner, where they were stolen; else what the attacker's own proxy looks like.
    pub facts: Facts,
    /// API keys whose secrets are in his hands.
    pub keys: Vec<StolenKey>,
    /// The credential that approves in his name: his own accounts have one that is his.
    pub credential: Option<Box<str>>,
    /// Whether he can show the owner's one-time codes: through a relay, live, or by a stolen seed.
    pub has_codes: bool,
}

/// An API key whose secret leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StolenKey {
    /// Its public id.
    pub key: Box<str>,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// An address that it works from: that of the machine on which it was found.
    pub ip: Box<str>,
}

/// What an attacker can spend at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Accounts that he gets into.
    pub accounts: u32,
    /// Accounts of his own that he opens with bought papers.
    pub mules: u32,
    /// Requests that change something.
    pub requests: u32,
    /// Looks at pages.
    pub looks: u32,
    /// Days from his first act to when he gives up.
    pub days: u32,
}
