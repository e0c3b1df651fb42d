//! The one-feature control: what could be told of an attacker's events by looking at one raw thing about each. A generator
//! whose attackers could be told by their networks, the form of their ids or the second of a minute would flatter whoever
//! is measured with it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::{Timestamp, time};

use crate::format::{Body, Channel, Entry, Facts, To};

/// Which kind of event: each is compared with its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A sign-in.
    Session,
    /// A withdrawal.
    Withdrawal,
    /// An address put into the book.
    Address,
    /// An API key made.
    ApiKey,
    /// A security change.
    Security,
}

impl Kind {
    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Withdrawal => "withdrawal",
            Self::Address => "address",
            Self::ApiKey => "API key",
            Self::Security => "security",
        }
    }
}

/// What a feature says when it separates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It belongs to the crime: a thief is a stranger, and takes all that there is to an address of his own.
    Crime,
    /// It does not: if it separates, the generator leaks.
    Trace,
}

/// What is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Ordered: a threshold may separate.
    Number(i64),
    /// Not ordered: one of them may separate.
    Word(Box<str>),
}

/// How often a value was seen: ordinary and attacker's, each in two halves by account (train, test).
type Counts = [u32; 4];

/// Which ten days of a run: browsers get older, and customers of March must not be told from attackers of June by that.
type Slice = u64;

/// The days of a [`Slice`].
const SLICE: u64 = 10 * time::DAY;

/// A feature of one kind of event in one slice of time.
type Place = (Kind, &'static str, Side, Slice);

/// Accounts, each with the seed of its run.
type Accounts = BTreeSet<(u64, Box<str>)>;

/// What was seen of an event: feature, side, value.
type Features = Vec<(&'static str, Side, Value)>;

/// All counts of a run, or of several.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    counts: BTreeMap<Place, BTreeMap<Value, Counts>>,
    /// The attacker's accounts, by kind and half.
    accounts: BTreeMap<Kind, [Accounts; 2]>,
}

/// Whose an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// An ordinary customer's.
    Ordinary,
    /// An attacker's.
    Attacker,
}

/// What is remembered of an account, to say what is new to it.
#[derive(Clone, Debug, Default)]
struct Memory {
    opened: Option<Timestamp>,
    tier: Box<str>,
    last_session: Option<Timestamp>,
    devices: Vec<u64>,
    networks: Vec<u64>,
    addresses: Vec<u64>,
}

/// What is remembered of all accounts.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    seed: u64,
    accounts: BTreeMap<Box<str>, Memory>,
}

const REMEMBERED: usize = 64;

fn remember(list: &mut Vec<u64>, what: &str) -> bool {
    let hash = u64::from_le_bytes(*blake3::hash(what.as_bytes()).as_bytes().first_chunk().unwrap_or(&[0; 8]));
    if list.contains(&hash) {
        return false;
    }
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(hash);
    true
}

/// Every feature of an event.
struct Seen(Features);

impl Seen {
    fn number(&mut self, name: &'static str, side: Side, value: i64) {
        self.0.push((name, side, Value::Number(value)));
    }

    fn word(&mut self, name: &'static str, side: Side, value: &str) {
        self.0.push((name, side, Value::Word(value.into())));
    }

    fn yes(&mut self, name: &'static str, side: Side, value: bool) {
        self.number(name, side, i64::from(value));
    }

    /// When, and what its id looks like. The hour of a theft is the thief's choice, and so is the hour before it.
    fn form(&mut self, entry: &Entry) {
        let seconds = entry.at.0 / time::SECOND;
        let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.number("hour", Side::Crime, whole(seconds / 3_600 % 24));
        self.number("weekday", Side::Crime, whole((seconds / 86_400 + 3) % 7));
        // So are the minute and the second of a burst; before it they are nobody's choice.
        let drains = matches!(entry.body, Body::RequestWithdrawal { .. });
        let moment = if drains { Side::Crime } else { Side::Trace };
        self.number("minute", moment, whole(seconds / 60 % 60));
        self.number("second", moment, whole(seconds % 60));
        self.number("below_a_second", Side::Trace, whole(entry.at.0 % time::SECOND / 10_000));
        self.number("id_length", Side::Trace, whole(entry.id.len() as u64));
        let digit = |at: usize| i64::from(entry.id.as_bytes().get(at).copied().unwrap_or(0));
        self.number("id_order", Side::Trace, digit(1) * 256 + digit(2));
        self.number("id_end", Side::Trace, digit(entry.id.len().saturating_sub(1)));
    }

    fn facts(&mut self, facts: &Facts, memory: &mut Memory) {
        let known = |text: &Option<Box<str>>| text.as_deref().unwrap_or("-").to_owned();
        self.word("user_agent", Side::Trace, &known(&facts.user_agent));
        self.word("tls", Side::Trace, &known(&facts.tls));
        self.word("country", Side::Trace, &known(&facts.country));
        let asn = facts.asn.map_or_else(|| "-".to_owned(), |asn| asn.to_string());
        self.word("asn", Side::Trace, &asn);
        let ip = known(&facts.ip);
        self.word("ip_8", Side::Trace, ip.split(['.', ':']).next().unwrap_or("-"));
        let mut parts = ip.split('.');
        let wide = format!("{}.{}", parts.next().unwrap_or("-"), parts.next().unwrap_or("-"));
        self.word("ip_16", Side::Trace, &wide);
        let device = known(&facts.device);
        self.number("device_length", Side::Trace, i64::try_from(device.len()).unwrap_or(0));
        self.yes("device_is_told", Side::Trace, facts.device.is_some());
        self.yes("device_is_new", Side::Crime, remember(&mut memory.devices, &device));
        self.yes("network_is_new", Side::Crime, remember(&mut memory.networks, &asn));
    }

    fn to(&mut self, to: &To, memory: &mut Memory) {
        self.word("network", Side::Crime, &to.network);
        // Which coin is taken belongs to the crime; how its addresses are written does not.
        if &*to.network == "bitcoin" {
            self.number("bitcoin_address_length", Side::Trace, i64::try_from(to.address.len()).unwrap_or(0));
            self.word("bitcoin_address_start", Side::Trace, to.address.get(..4).unwrap_or("-"));
        } else {
            let cased = to.address.bytes().any(|byte| byte.is_ascii_uppercase());
            self.yes("other_address_has_capitals", Side::Trace, cased);
        }
        let address = format!("{}:{}", to.network, to.address);
        self.yes("address_is_new", Side::Crime, remember(&mut memory.addresses, &address));
    }
}

/// How many digits of a decimal text count: neither the zeros before the first nor those after the last other digit.
fn digits_that_count(amount: &str) -> i64 {
    let digits: String = amount.chars().filter(char::is_ascii_digit).collect();
    i64::try_from(digits.trim_matches('0').len()).unwrap_or(0)
}

/// Eight steps an octave: fine enough for a threshold, few enough to count.
fn logarithm(value: u64) -> i64 {
    let Some(octave) = value.checked_ilog2() else { return -1 };
    let rest = if octave >= 3 { (value >> (octave - 3)) & 7 } else { (value << (3 - octave)) & 7 };
    i64::from(octave) * 8 + i64::try_from(rest).unwrap_or(0)
}

impl Watch {
    /// Nothing is known yet; accounts fall into halves by the seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, accounts: BTreeMap::new() }
    }

    /// Sees an entry and says what could be told of it: nothing, if it is of no kind that is compared.
    fn features(&mut self, entry: &Entry) -> Option<(Kind, Features)> {
        let account = entry.body.account()?;
        if let Body::OpenAccount { tier, .. } = &entry.body {
            let memory = Memory { opened: Some(entry.at), tier: tier.clone(), ..Memory::default() };
            self.accounts.insert(account.into(), memory);
            return None;
        }
        let memory = self.accounts.entry(account.into()).or_default();
        let mut seen = Seen(Vec::with_capacity(24));
        seen.form(entry);
        seen.word("tier", Side::Crime, &memory.tier);
        let age = memory.opened.map_or(0, |opened| entry.at.since(opened) / time::DAY);
        seen.number("account_age_days", Side::Crime, logarithm(age));
        let idle = memory.last_session.map_or(0, |last| entry.at.since(last) / time::MINUTE);
        seen.number("minutes_since_session", Side::Crime, logarithm(idle));
        let kind = match &entry.body {
            Body::Session { facts, .. } => {
                seen.facts(facts, memory);
                memory.last_session = Some(entry.at);
                Kind::Session
            }
            Body::RequestWithdrawal { asset, to, amount, channel, .. } => {
                let sats = crate::attackers::coins::Coins::parse(amount).map_or(0, |coins| coins.0);
                seen.number("amount", Side::Crime, logarithm(sats));
                let decimals = amount.split_once('.').map_or(0, |(_, part)| part.len());
                // How small the last digit is follows from how much it is; how many digits count does not.
                seen.number("amount_decimals", Side::Crime, i64::try_from(decimals).unwrap_or(0));
                seen.number("amount_digits", Side::Trace, digits_that_count(amount));
                seen.word("asset", Side::Crime, asset);
                seen.to(to, memory);
                match channel {
                    Channel::Session { facts, one_time_code } => {
                        seen.word("channel", Side::Crime, "session");
                        seen.yes("code_came_along", Side::Crime, *one_time_code);
                        if let Some(facts) = facts {
                            seen.facts(facts, memory);
                        }
                    }
                    Channel::ApiRequest { .. } => seen.word("channel", Side::Crime, "api"),
                }
                Kind::Withdrawal
            }
            Body::AddAddress { to, .. } => {
                seen.to(to, memory);
                Kind::Address
            }
            Body::PutApiKey { key, scopes, ip_allowlist, asymmetric, session, .. } => {
                seen.number("key_length", Side::Trace, i64::try_from(key.len()).unwrap_or(0));
                seen.number("scopes", Side::Crime, i64::try_from(scopes.len()).unwrap_or(0));
                seen.number("allowlist", Side::Crime, i64::try_from(ip_allowlist.len()).unwrap_or(0));
                seen.yes("asymmetric", Side::Crime, *asymmetric);
                if let Some(facts) = session {
                    seen.facts(facts, memory);
                }
                Kind::ApiKey
            }
            Body::SecurityChange { kind, .. } => {
                seen.word("what", Side::Crime, &format!("{kind:?}"));
                Kind::Security
            }
            _ => return None,
        };
        Some((kind, seen.0))
    }

    /// Sees an entry without counting it.
    pub fn see(&mut self, entry: &Entry) {
        let _unused = self.features(entry);
    }

    /// Sees an entry and counts it.
    pub fn count(&mut self, entry: &Entry, whose: Whose, tallies: &mut Tallies) {
        let Some(account) = entry.body.account().map(ToOwned::to_owned) else { return };
        let half = half(self.seed, &account);
        let Some((kind, features)) = self.features(entry) else { return };
        let place = if whose == Whose::Attacker { 2 + half } else { half };
        if whose == Whose::Attacker
            && let Some(accounts) = tallies.accounts.entry(kind).or_default().get_mut(half)
        {
            accounts.insert((self.seed, account.into()));
        }
        let slice = entry.at.0 / SLICE;
        for (name, side, value) in features {
            let counts =
                tallies.counts.entry((kind, name, side, slice)).or_default().entry(value).or_default();
            if let Some(count) = counts.get_mut(place) {
                *count = count.saturating_add(1);
            }
        }
    }
}

/// The half that an account's events count in: 0 to choose the rule, 1 to try it.
fn half(seed: u64, account: &str) -> usize {
    usize::from(blake3::keyed_hash(&key(seed), account.as_bytes()).as_bytes()[0] & 1)
}

/// Whether an account is one of the few that shuffled labels call an attacker's: one of `one_of`.
pub fn is_shuffled(seed: u64, account: &str, one_of: u64) -> bool {
    let hash = blake3::keyed_hash(&key(!seed), account.as_bytes());
    let number = u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    number.checked_rem(one_of) == Some(0)
}

fn key(seed: u64) -> [u8; 32] {
    *blake3::hash(&seed.to_le_bytes()).as_bytes()
}

/// How well one feature separates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separation {
    /// Of which kind of events.
    pub kind: Kind,
    /// Which feature.
    pub feature: &'static str,
    /// What it would mean.
    pub side: Side,
    /// The rule: `<= 12`, `> 3`, `is X`, `is not X`.
    pub rule: Box<str>,
    /// Balanced accuracy in millionths where the rule was chosen ...
    pub train: i128,
    /// ... and on the other half of the accounts.
    pub test: i128,
    /// The attacker's accounts in the two halves.
    pub accounts: (usize, usize),
}

/// Fewer accounts of an attacker's in a half say nothing: what one account does is not many facts.
pub const ACCOUNTS_MIN: usize = 10;

/// Shares of events by value, in millionths: ordinary and attacker's, each in two halves.
type Shares = [i128; 4];

impl Tallies {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (place, values) in &other.counts {
            let mine = self.counts.entry(*place).or_default();
            for (value, counts) in values {
                let sum = mine.entry(value.clone()).or_default();
                sum.iter_mut().zip(counts).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
            }
        }
        for (kind, halves) in &other.accounts {
            let mine = self.accounts.entry(*kind).or_default();
            mine.iter_mut().zip(halves).for_each(|(mine, more)| mine.extend(more.iter().cloned()));
        }
    }

    /// The best rule of each feature that tells the attacker's events of `attack` from these ordinary ones, those that
    /// separate best first. Ordinary events count as much in each ten days as the attacker has events in them.
    pub fn separations(&self, attack: &Self) -> Vec<Separation> {
        let mut features: BTreeMap<(Kind, &'static str, Side), BTreeMap<&Value, Shares>> = BTreeMap::new();
        let mut totals: BTreeMap<(Kind, &'static str, Side), [u64; 2]> = BTreeMap::new();
        for ((kind, name, side, _), values) in &attack.counts {
            let total = totals.entry((*kind, name, *side)).or_default();
            for counts in values.values() {
                total.iter_mut().zip(&counts[2..]).for_each(|(sum, more)| *sum += u64::from(*more));
            }
        }
        for (place, his) in &attack.counts {
            let (kind, name, side, _) = *place;
            let Some(ordinary) = self.counts.get(place) else { continue };
            let Some(total) = totals.get(&(kind, name, side)) else { continue };
            let sum = |values: &BTreeMap<Value, Counts>, at: usize| -> i128 {
                values.values().filter_map(|counts| counts.get(at)).map(|count| i128::from(*count)).sum()
            };
            let shares = features.entry((kind, name, side)).or_default();
            for (half, total) in total.iter().enumerate() {
                let (total, of_slice, all) = (i128::from(*total), sum(his, half + 2), sum(ordinary, half));
                if total == 0 || all == 0 {
                    continue;
                }
                for (value, counts) in his {
                    add_share(shares, value, half + 2, counts, 1_000_000, total);
                }
                for (value, counts) in ordinary {
                    add_share(shares, value, half, counts, 1_000_000 * of_slice / total, all);
                }
            }
        }
        let accounts = |kind: Kind| {
            attack.accounts.get(&kind).map_or((0, 0), |halves| (halves[0].len(), halves[1].len()))
        };
        let mut found: Vec<Separation> = features
            .iter()
            .filter(|((kind, ..), _)| accounts(*kind).0 >= ACCOUNTS_MIN && accounts(*kind).1 >= ACCOUNTS_MIN)
            .filter_map(|(feature, shares)| best_of(*feature, shares, accounts(feature.0)))
            .collect();
        // A leak shows in both halves: what shows in one only is chance.
        found.sort_by_key(|one| std::cmp::Reverse(one.train.min(one.test)));
        found
    }
}

fn add_share<'v>(
    shares: &mut BTreeMap<&'v Value, Shares>,
    value: &'v Value,
    at: usize,
    counts: &Counts,
    weight: i128,
    of: i128,
) {
    let count = i128::from(counts.get(at).copied().unwrap_or(0));
    if let Some(share) = shares.entry(value).or_default().get_mut(at) {
        *share += count * weight / of;
    }
}

fn best_of(
    (kind, feature, side): (Kind, &'static str, Side),
    values: &BTreeMap<&Value, Shares>,
    accounts: (usize, usize),
) -> Option<Separation> {
    // What was hit into a balanced accuracy: a rule may also be turned round.
    let accuracy = |[ordinary, _, attacker, _]: Shares| (attacker + 1_000_000 - ordinary) / 2;
    let swapped = |[a, b, c, d]: Shares| [b, a, d, c];
    let mut best: Option<(i128, i128, Box<str>)> = None;
    let mut consider = |hits: Shares, yes: &dyn Fn() -> String, no: &dyn Fn() -> String| {
        let (train, test) = (accuracy(hits), accuracy(swapped(hits)));
        let ways: [(i128, i128, &dyn Fn() -> String); 2] =
            [(train, test, yes), (1_000_000 - train, 1_000_000 - test, no)];
        for (train, test, rule) in ways {
            if best.as_ref().is_none_or(|(most, _, _)| train > *most) {
                best = Some((train, test, rule().into()));
            }
        }
    };
    let mut below: Shares = [0; 4];
    for (value, shares) in values {
        below.iter_mut().zip(shares).for_each(|(sum, more)| *sum += *more);
        match value {
            Value::Number(number) => {
                consider(below, &|| format!("<= {number}"), &|| format!("> {number}"));
            }
            Value::Word(word) => consider(*shares, &|| format!("is {word}"), &|| format!("is not {word}")),
        }
    }
    let (train, test, rule) = best?;
    Some(Separation { kind, feature, side, rule, train, test, accounts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::ids;

    #[test]
    fn digits_that_count_say_nothing_of_how_much_it_is() {
        for (amount, digits) in [
            ("0.00012", 2),
            ("12", 2),
            ("120", 2),
            ("1200.50", 5),
            ("336.85714285", 11),
            ("0.5", 1),
            ("0", 0),
        ] {
            assert_eq!(digits_that_count(amount), digits, "{amount}");
        }
    }

    fn session(nth: u32, account: u32, asn: u32) -> Entry {
        let facts = Facts { asn: Some(asn), ..Facts::default() };
        Entry {
            at: Timestamp(1_772_409_600_000_000 + u64::from(nth) * 7_919_333),
            id: ids::event(1, ids::From::Other(nth.into())),
            body: Body::Session { account: ids::account(account), facts },
        }
    }

    fn separations(attackers_asn: u32, attackers: u32) -> Vec<Separation> {
        let mut watch = Watch::new(1);
        let (mut ordinary, mut his) = (Tallies::default(), Tallies::default());
        for nth in 0..20_000 {
            watch.count(&session(nth, nth % 500, nth % 7), Whose::Ordinary, &mut ordinary);
        }
        for nth in 0..600 {
            let entry = session(nth * 33, nth % attackers, attackers_asn + nth % 7);
            watch.count(&entry, Whose::Attacker, &mut his);
        }
        ordinary.separations(&his).into_iter().filter(|one| one.side == Side::Trace).collect()
    }

    #[test]
    fn a_generator_that_does_not_leak_is_at_chance_and_one_that_does_is_found() {
        let clean = separations(0, 400);
        assert!(clean.iter().all(|one| one.train.min(one.test) < 580_000), "{:?}", clean.first());
        let leaky = separations(5, 400);
        let worst = leaky.first().unwrap();
        assert_eq!((worst.kind, worst.feature), (Kind::Session, "asn"));
        assert!(worst.test > 560_000, "{worst:?}");
    }

    #[test]
    fn few_accounts_say_nothing() {
        assert!(separations(5, 12).is_empty());
    }

    #[test]
    fn an_attacker_of_the_last_days_is_not_told_by_the_age_of_browsers() {
        let mut watch = Watch::new(1);
        let (mut ordinary, mut his) = (Tallies::default(), Tallies::default());
        let day = |nth: u32| nth / 200;
        let at = |nth: u32| Entry {
            at: Timestamp(1_772_409_600_000_000 + u64::from(nth) * 432_000_000),
            ..session(nth, nth % 500, day(nth) / 10)
        };
        for nth in 0..20_000 {
            watch.count(&at(nth), Whose::Ordinary, &mut ordinary);
            if nth > 19_000 {
                watch.count(&at(nth), Whose::Attacker, &mut his);
            }
        }
        let found = ordinary.separations(&his);
        let asn = found.iter().find(|one| one.feature == "asn").unwrap();
        assert!(asn.test < 560_000, "{asn:?}");
    }
}
