//! Who is robbed, and what they hold: victims drawn from a run's customers as the attack would find them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_values::{Micros, Network, Timestamp, time};
use rand::RngExt as _;

use super::casting::Casting;
use super::catalogue::{Attack, Incident, Kind};
use super::coins::Coins;
use super::hands::{Hands, Held};
use super::reach::{Attacker, Loot, StolenKey};
use super::taker::Purse;
use super::vault::Beside;
use crate::draw::{self, Draw};
use crate::format::{Body, Entry, Facts, KeyScope, To};
use crate::play::OPERATORS;
use crate::population::{FIRST_FULL_DAY, Person, Population, Tier, Way, addresses, ids};

/// What comes with an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grip {
    /// The owner's codes can be shown.
    pub(super) codes: bool,
    /// The owner's cookies and browser were copied, and his own city is signed in from.
    pub(super) cookies: bool,
    /// The secrets of the API keys that the owner has.
    pub(super) keys: bool,
}

/// Which of many fit best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// Whoever it hits.
    Any,
    /// Those who hold most.
    Richest,
    /// Those whose limits allow most, and of those who hold most.
    WidestLimits,
}

/// Puts a casting together.
pub(super) struct Caster<'a> {
    pub(super) population: &'a Population,
    pub(super) draw: Draw,
    pub(super) hands: Hands,
    /// The earliest time at which the attacker may act.
    pub(super) from: Timestamp,
    before: Vec<(Timestamp, Body)>,
    taken: BTreeSet<u32>,
    mules: u32,
    beside: Option<(Timestamp, Beside)>,
}

/// Casts an attack.
pub(super) fn cast(attack: &'static Attack, population: &Population, seed: u64) -> Casting {
    let settings = population.settings();
    let ends = FIRST_FULL_DAY.plus(u64::from(settings.days).saturating_mul(time::DAY));
    let days_before = attack.days_before.min(settings.thinned_days);
    let from = FIRST_FULL_DAY.minus(u64::from(days_before).saturating_mul(time::DAY));
    let mut caster = Caster {
        population,
        draw: draw::draw(seed, attack.name, &[]),
        hands: Hands::new(attack, seed, ends),
        from,
        before: Vec::new(),
        taken: BTreeSet::new(),
        mules: 0,
        beside: None,
    };
    let attacker: Box<dyn Attacker> = match attack.kind {
        Kind::Stuffing => super::stuffing::cast(&mut caster),
        Kind::Relay => super::relay::cast(&mut caster),
        Kind::Patient(shared) => super::patient::cast(&mut caster, shared),
        Kind::Mules => super::mules::cast(&mut caster),
        Kind::Insider(inside) => super::insider::cast(&mut caster, inside),
        Kind::KeyLeak => super::key_leak::cast(&mut caster),
        Kind::JustUnder => super::just_under::cast(&mut caster),
        Kind::Mimicry => super::mimicry::cast(&mut caster),
        Kind::Incident(incident) => match incident {
            Incident::Binance2019 => super::incidents::binance_2019::cast(&mut caster),
            Incident::Binance2018 => super::incidents::binance_2018::cast(&mut caster),
            Incident::CryptoCom2022 => super::incidents::cryptocom_2022::cast(&mut caster),
            Incident::Bitfinex2016 => super::incidents::bitfinex_2016::cast(&mut caster),
            Incident::ThreeCommas2022 => super::incidents::three_commas_2022::cast(&mut caster),
            Incident::Bybit2025 => super::incidents::bybit_2025::cast(&mut caster),
            Incident::BigOne2025 => super::incidents::bigone_2025::cast(&mut caster),
            Incident::Poisoning2024 => super::incidents::poisoning_2024::cast(&mut caster),
        },
    };
    let Caster { mut hands, mut before, beside, .. } = caster;
    before.sort_by_key(|(at, _)| *at);
    let before: VecDeque<Entry> =
        before.into_iter().map(|(at, body)| Entry { at, id: hands.id(), body }).collect();
    let exchange = settings.exchange.clone();
    Casting { attack, attacker, hands, before, beside, exchange, broken: None }
}

impl<'a> Caster<'a> {
    /// So many days before the full days, or as early as the run allows.
    pub(super) fn days_before(&self, days: u64) -> Timestamp {
        FIRST_FULL_DAY.minus(days.saturating_mul(time::DAY)).max(self.from)
    }

    /// An instant of a full day, counted from 0; on the last one if the run has fewer.
    pub(super) fn full_day(&self, day: u32, hour: u64, minute: u64, second: u64) -> Timestamp {
        let last = self.population.settings().days.saturating_sub(1);
        let begins = FIRST_FULL_DAY.plus(u64::from(day.min(last)).saturating_mul(time::DAY));
        begins.plus(hour * time::HOUR + minute * time::MINUTE + second * time::SECOND)
    }

    /// Some instant between two.
    pub(super) fn between(&mut self, from: Timestamp, to: Timestamp) -> Timestamp {
        from.plus(self.span(to.since(from)))
    }

    /// Some span below `most`.
    pub(super) fn span(&mut self, most: Micros) -> Micros {
        self.draw.random_range(0..most.max(1))
    }

    /// So many customers who were there before the attack began, and whom nobody has taken yet.
    pub(super) fn victims(
        &mut self,
        wanted: usize,
        rank: Rank,
        fits: impl Fn(&Person) -> bool,
    ) -> Vec<&'a Person> {
        let exchange = &self.population.settings().exchange;
        let (btc, eth) = (exchange.usd_per_btc, exchange.usd_per_eth);
        let mut fit: Vec<(u64, u64, &Person)> = self
            .population
            .people()
            .iter()
            .filter(|person| {
                person.opened_at < self.from && !self.taken.contains(&person.number) && fits(person)
            })
            .map(|person| (person.usd(btc, eth), person))
            .map(|(usd, person)| {
                let luck = self.draw.random::<u64>();
                match rank {
                    Rank::Any => (luck, 0, person),
                    Rank::Richest => (u64::MAX.saturating_sub(usd), luck, person),
                    Rank::WidestLimits => {
                        let limit = u64::MAX.saturating_sub(person.tier.usd_24h());
                        (limit, u64::MAX.saturating_sub(usd), person)
                    }
                }
            })
            .collect();
        fit.sort_by_key(|(first, second, person)| (*first, *second, person.number));
        let chosen: Vec<&Person> = fit.into_iter().take(wanted).map(|(_, _, person)| person).collect();
        self.taken.extend(chosen.iter().map(|person| person.number));
        chosen
    }

    /// Puts an account into reach: what its page shows, and what was stolen with it.
    pub(super) fn hold(&mut self, person: &Person, grip: Grip, facts: Facts) -> Box<str> {
        let account = person.account();
        let keys = if grip.keys { self.stolen_keys(person) } else { Vec::new() };
        let loot = Loot {
            balances: BTreeMap::from([("BTC", Coins(person.btc)), ("ETH", Coins(person.eth))]),
            pays: self.population.book(person),
            usd_cents_24h: person.tier.usd_24h().saturating_mul(100),
            has_passkey: person.credential_at.is_some_and(|since| since < self.from),
            usual_cents: usual_cents(person.tier),
            usual_hour: self.draw.random_range(7..23),
            facts,
            keys,
            credential: None,
            has_codes: grip.codes,
        };
        self.hands.accounts.insert(account.clone(), Held { loot, ..Held::default() });
        account
    }

    fn stolen_keys(&self, person: &Person) -> Vec<StolenKey> {
        let keys = self.population.api_keys(person).into_iter();
        // Of an asymmetric key the private half is not where keys leak: at the services that were given secrets.
        keys.filter(|key| !key.asymmetric)
            .map(|key| StolenKey {
                key: key.id,
                scopes: key.scopes,
                ip: key.ip_allowlist.first().map(|ip| first_of(ip)).unwrap_or_default(),
            })
            .collect()
    }

    /// What the edge sees of an attacker who signs in from somewhere of his own, as its customers do.
    pub(super) fn stranger(&mut self, way: Way, like: Option<&Facts>) -> Facts {
        let day = self.population.settings().thinned_days;
        let country = like.and_then(|facts| facts.country.as_deref());
        let (facts, browser) = self.population.stranger(&mut self.draw, way, country, day);
        self.hands.carries(&facts, browser);
        facts
    }

    /// What the edge usually sees of a customer.
    pub(super) fn usual(&mut self, person: &Person) -> Facts {
        let facts = self.population.usual_facts(person, self.population.settings().thinned_days);
        self.hands.carries(&facts, self.population.usual_browser(person));
        facts
    }

    /// An address of his own.
    pub(super) fn address(&mut self, asset: &str) -> To {
        let network = if asset == "BTC" { Network::Bitcoin } else { Network::Ethereum };
        addresses::drawn(&mut self.draw, network)
    }

    /// Addresses of his own for both assets, so many each.
    pub(super) fn targets(&mut self, each: usize) -> BTreeMap<&'static str, Vec<To>> {
        ["BTC", "ETH"]
            .into_iter()
            .map(|asset| (asset, (0..each).map(|_| self.address(asset)).collect()))
            .collect()
    }

    /// An account to be emptied from a time on.
    pub(super) fn purse(&mut self, account: &str, from: Timestamp, addresses: usize) -> Purse {
        Purse { account: account.into(), targets: self.targets(addresses), from, ..Purse::default() }
    }

    /// What an incident takes from an account, and no more: what else its owner has is not counted as there.
    pub(super) fn only(&mut self, account: &str, of: &[(&'static str, Coins)]) {
        for (asset, amount) in of {
            self.top_up(account, asset, *amount);
        }
        let Some(held) = self.hands.accounts.get_mut(account) else { return };
        for (asset, has) in &mut held.loot.balances {
            *has =
                of.iter().filter(|(of, _)| of == asset).fold(Coins(0), |sum, (_, amount)| sum.plus(*amount));
        }
    }

    /// Its owner was given so much more, days before, in a few deposits: the drill needs it to be there.
    pub(super) fn top_up(&mut self, account: &str, asset: &'static str, up_to: Coins) {
        let Some(held) = self.hands.accounts.get_mut(account) else { return };
        let has = held.loot.balances.entry(asset).or_default();
        let missing = up_to.less(*has);
        if missing.0 == 0 {
            return;
        }
        *has = up_to;
        let parts = u64::from(self.draw.random_range(2..6u32));
        let (first, last) = (self.from, self.from.plus(FIRST_FULL_DAY.since(self.from) / 2));
        for part in 0..parts {
            let amount = Coins(missing.0 / parts + if part == 0 { missing.0 % parts } else { 0 });
            let at = self.between(first, last.plus(1));
            self.ordinary(
                at,
                Body::Deposit { account: account.into(), asset: asset.into(), amount: amount.text() },
            );
        }
    }

    /// Its owner had asked for wider limits, and two operators signed for them: the drill needs them to be that wide.
    pub(super) fn widen(&mut self, person: &Person, account: &str, usd_24h: u64) {
        if person.tier.usd_24h() >= usd_24h {
            return;
        }
        if let Some(held) = self.hands.accounts.get_mut(account) {
            held.loot.usd_cents_24h = usd_24h.saturating_mul(100);
        }
        let at = self.from.plus(self.span(6 * time::HOUR));
        let (day, month) = (usd_24h.to_string().into(), usd_24h.saturating_mul(10).to_string().into());
        let operators = OPERATORS.into_iter().take(2).map(Into::into).collect();
        self.ordinary(
            at,
            Body::SetLimits { account: account.into(), usd_24h: day, usd_30d: month, operators },
        );
    }

    /// Something ordinary that a drill needs to have happened before.
    pub(super) fn ordinary(&mut self, at: Timestamp, body: Body) {
        self.before.push((at, body));
    }

    /// Something happens beside the played exchange, at a signer of its own.
    pub(super) fn beside(&mut self, at: Timestamp, what: Beside) {
        self.beside = Some((at, what));
    }

    /// An account of his own, to be opened by him.
    pub(super) fn mule(&mut self) -> Box<str> {
        self.mules = self.mules.saturating_add(1);
        let account = ids::account(self.population.settings().accounts.saturating_add(self.mules));
        let facts = self.stranger(Way::Home, None);
        let loot = Loot {
            balances: BTreeMap::from([("BTC", Coins(0)), ("ETH", Coins(0))]),
            usd_cents_24h: Tier::Full.usd_24h().saturating_mul(100),
            facts,
            has_codes: true,
            ..Loot::default()
        };
        self.hands.accounts.insert(account.clone(), Held { loot, mule: true, ..Held::default() });
        account
    }

    /// The name of a new API key, in the form of everybody's.
    pub(super) fn key_name(&mut self) -> Box<str> {
        let drawn = self.hands.id();
        format!("ak_{}", drawn.get(1..).unwrap_or_default()).into()
    }

    /// A key that withdraws, made by an attacker for addresses of his own.
    pub(super) fn new_key(&mut self, account: &str, session: &Facts) -> Body {
        Body::PutApiKey {
            account: account.into(),
            key: self.key_name(),
            scopes: vec![KeyScope::Read, KeyScope::Trade, KeyScope::Withdraw],
            ip_allowlist: session.ip.iter().cloned().collect(),
            asymmetric: false,
            session: Some(session.clone()),
        }
    }
}

/// What a history shows as usual, by tier: assumed, since it is not published.
const fn usual_cents(tier: Tier) -> u64 {
    match tier {
        Tier::Basic => 20_000,
        Tier::Full => 60_000,
        Tier::Vip400 => 500_000,
    }
}

/// The first address of an allowlist's entry.
fn first_of(entry: &str) -> Box<str> {
    entry.split('/').next().unwrap_or_default().into()
}
