//! What comes out of the generator, against what is stated.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_values::{Destination, Network};

use super::*;
use crate::format::{Channel, KeyScope, SecurityKind};

const MODELS: [Model; 2] = [Model::Strata, Model::Habits];

fn settings(model: Model, accounts: u32, thinned_days: u32, days: u32) -> Settings {
    Settings { accounts, thinned_days, days, model, ..Settings::default() }
}

/// The opening and all days, together.
fn told(settings: &Settings, seed: u64) -> Vec<Entry> {
    let mut population = Population::new(settings, seed);
    let mut entries = population.opening();
    for day in 0..settings.days_total() {
        entries.extend(population.day(day));
    }
    entries
}

fn bytes(entries: &[Entry]) -> String {
    let line = |entry: &Entry| {
        format!("{} {} {}\n", entry.at, entry.id, serde_json::to_string(&entry.body).unwrap())
    };
    entries.iter().map(line).collect()
}

/// What a careful exchange would keep of its customers.
#[derive(Default)]
struct Books {
    known: BTreeSet<(Box<str>, Box<str>)>,
    active: BTreeSet<Box<str>>,
    by_session: u64,
    by_key: u64,
    new: u64,
}

impl Books {
    fn take(&mut self, entry: &Entry, is_opening: bool) {
        match &entry.body {
            // Whatever was paid before stands in the books that the exchange begins with.
            Body::AddAddress { account, to } if is_opening => {
                self.known.insert((account.clone(), to.address.clone()));
            }
            Body::Session { account, .. } if !is_opening => {
                self.active.insert(account.clone());
            }
            Body::RequestWithdrawal { account, to, channel, .. } => {
                self.new += u64::from(self.known.insert((account.clone(), to.address.clone())));
                match channel {
                    Channel::Session { .. } => self.by_session += 1,
                    Channel::ApiRequest { .. } => self.by_key += 1,
                }
            }
            _ => {}
        }
    }

    /// Withdrawals in sessions of those who signed in, and the share of new addresses of all, in 1/1000.
    fn rates(&self) -> (u64, u64) {
        let active = u64::try_from(self.active.len()).unwrap();
        (self.by_session * 1_000 / active, self.new * 1_000 / (self.by_session + self.by_key))
    }
}

/// The rates of `months` months after a first one that is not counted.
fn rates(settings: &Settings, seed: u64) -> (u64, u64) {
    let mut population = Population::new(settings, seed);
    let mut books = Books::default();
    population.opening().iter().for_each(|entry| books.take(entry, true));
    let mut sum = (0, 0);
    let months = settings.days_total() / 30;
    for month in 0..months {
        books = Books { known: books.known, ..Books::default() };
        for day in month * 30..(month + 1) * 30 {
            population.day(day).iter().for_each(|entry| books.take(entry, false));
        }
        if month > 0 {
            let (withdrawals, new) = books.rates();
            sum = (sum.0 + withdrawals, sum.1 + new);
        }
    }
    let months = u64::from(months - 1);
    (sum.0 / months, sum.1 / months)
}

#[track_caller]
fn about(measured: u64, stated: u64, permille: u64) {
    let off = measured.abs_diff(stated) * 1_000 / stated;
    assert!(off <= permille, "{measured} is {off} per mille off {stated}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_by_any_number_of_threads() {
    for model in MODELS {
        let one = Settings { extremes: Extreme::ALL.to_vec(), ..settings(model, 300, 10, 7) };
        let first = bytes(&told(&one, 5));
        assert!(first == bytes(&told(&one, 5)), "two runs differ");
        for threads in [2, 5] {
            assert!(
                first == bytes(&told(&Settings { threads, ..one.clone() }, 5)),
                "{threads} threads differ"
            );
        }
        assert!(first != bytes(&told(&one, 6)), "two seeds do not differ");
    }
}

#[test]
fn ids_are_unique_times_are_ordered_and_days_keep_to_themselves() {
    for model in MODELS {
        let settings = Settings { extremes: Extreme::ALL.to_vec(), ..settings(model, 1_000, 20, 7) };
        let mut population = Population::new(&settings, 2);
        let mut ids = BTreeSet::new();
        let mut last = Timestamp::ZERO;
        let mut take = |entries: Vec<Entry>, from: Timestamp, to: Timestamp| {
            for entry in entries {
                assert!(
                    entry.at >= last && entry.at >= from && entry.at < to,
                    "{} {:?}",
                    entry.at,
                    entry.body
                );
                last = entry.at;
                assert!(ids.insert(entry.id));
            }
        };
        take(population.opening(), Timestamp::ZERO, settings.begins(0));
        for day in 0..settings.days_total() {
            take(population.day(day), settings.begins(day), settings.begins(day + 1));
        }
        assert!(population.day(3).is_empty(), "a day that is over was told again");
    }
}

/// Follows every entry as Holdfast and an exchange's ledger would.
#[test]
fn every_entry_is_one_that_an_exchange_would_take() {
    for model in MODELS {
        let settings = Settings { extremes: Extreme::ALL.to_vec(), ..settings(model, 1_500, 30, 7) };
        let mut population = Population::new(&settings, 3);
        let mut keys: BTreeMap<_, (Vec<KeyScope>, Vec<Box<str>>)> = BTreeMap::new();
        let mut tiers: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
        let mut books: BTreeMap<Box<str>, BTreeSet<Box<str>>> = BTreeMap::new();
        let (mut over, mut all) = (0, 0);
        let mut entries = population.opening();
        for day in 0..settings.days_total() {
            let before = population.clone();
            let told = population.day(day);
            if !settings.is_thinned(day) {
                stays_within_what_is_owned(&before, &told);
            } else {
                let fits = |body: &Body| {
                    !matches!(body, Body::Trade { .. } | Body::Deposit { .. } | Body::Support { .. })
                };
                assert!(told.iter().all(|entry| fits(&entry.body)), "a thinned day tells too much");
            }
            entries.extend(told);
        }
        for entry in &entries {
            if let Some(account) = entry.body.account()
                && !matches!(entry.body, Body::OpenAccount { .. })
            {
                assert!(tiers.contains_key(account), "{account} acts before it is opened: {:?}", entry.body);
            }
            match &entry.body {
                Body::OpenAccount { account, tier } => {
                    assert!(tiers.insert(account.clone(), tier.clone()).is_none());
                }
                Body::AddAddress { account, to } => {
                    valid(to);
                    assert!(books.entry(account.clone()).or_default().insert(to.address.clone()));
                }
                Body::RemoveAddress { account, to } => {
                    assert!(books.get_mut(account).unwrap().remove(&to.address));
                }
                Body::PutApiKey { account, key, scopes, ip_allowlist, .. } => {
                    assert!(!scopes.contains(&KeyScope::Withdraw) || !ip_allowlist.is_empty());
                    let place = (account.clone(), key.clone());
                    assert!(keys.insert(place, (scopes.clone(), ip_allowlist.clone())).is_none());
                }
                Body::Trade { account, key: Some(key), .. } => {
                    assert!(keys[&(account.clone(), key.clone())].0.contains(&KeyScope::Trade));
                }
                Body::RequestWithdrawal { account, asset, to, amount, channel } => {
                    valid(to);
                    assert_eq!(&*to.network, if &**asset == "BTC" { "bitcoin" } else { "ethereum" });
                    all += 1;
                    let price = if &**asset == "BTC" { 5_900.0 } else { 170.0 };
                    let limit = match &*tiers[account] {
                        "basic" => 10_000.0,
                        "full" => 1_000_000.0,
                        _ => 2_360_000.0,
                    };
                    over += u64::from(amount.parse::<f64>().unwrap() * price > limit * 1.3);
                    if let Channel::ApiRequest { key, ip } = channel {
                        let (scopes, places) = &keys[&(account.clone(), key.clone())];
                        assert!(
                            scopes.contains(&KeyScope::Withdraw) && places.contains(ip),
                            "{account} {key} {ip}"
                        );
                        assert!(books[account].contains(&to.address), "a key pays where it never paid");
                    }
                }
                Body::Session { facts, .. } => {
                    let ip: std::net::IpAddr = facts.ip.as_deref().unwrap().parse().unwrap();
                    assert!(!ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified());
                    if let std::net::IpAddr::V4(ip) = ip {
                        assert!(
                            !ip.is_private()
                                && !ip.is_link_local()
                                && !ip.is_documentation()
                                && ip.octets()[0] < 224
                        );
                    }
                    assert_eq!(facts.country.as_ref().unwrap().len(), 2);
                    assert!(facts.asn.is_some() && facts.device.is_some() && facts.tls.is_some());
                }
                _ => {}
            }
        }
        assert!(books.values().all(|book| book.len() <= 256));
        // Few ask for more than their limit; it is refused, as in life.
        assert!(over * 200 < all, "{over} of {all}");
    }
}

fn valid(to: &To) {
    let network: Network = to.network.parse().unwrap();
    assert!(Destination::parse(network, &to.address, None).is_ok(), "{to:?}");
}

/// Money is followed through a full day: nobody gives what is not there.
fn stays_within_what_is_owned(before: &Population, told: &[Entry]) {
    let units = |amount: &str| {
        let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
        (format!("{whole}{part:0<8}")).parse::<i128>().unwrap()
    };
    let mut owned: BTreeMap<(Box<str>, Box<str>), i128> = BTreeMap::new();
    for person in before.people() {
        owned.insert((person.account(), "BTC".into()), person.btc.into());
        owned.insert((person.account(), "ETH".into()), person.eth.into());
    }
    // What comes in within a day counts for the whole of it: two acts of a minute may be told in the other order.
    let mut out: BTreeMap<(Box<str>, Box<str>), i128> = BTreeMap::new();
    for entry in told {
        match &entry.body {
            Body::Deposit { account, asset, amount } => {
                *owned.get_mut(&(account.clone(), asset.clone())).unwrap() += units(amount);
            }
            Body::Trade { account, sold, sold_amount, bought, bought_amount, .. } => {
                *out.entry((account.clone(), sold.clone())).or_default() += units(sold_amount);
                *owned.get_mut(&(account.clone(), bought.clone())).unwrap() += units(bought_amount);
            }
            Body::RequestWithdrawal { account, asset, amount, .. } => {
                assert!(units(amount) > 0);
                *out.entry((account.clone(), asset.clone())).or_default() += units(amount);
            }
            _ => {}
        }
    }
    for (place, given) in out {
        assert!(given <= owned[&place], "{place:?} gives {given} of {}", owned[&place]);
    }
}

#[test]
fn the_stated_rates_of_withdrawals_and_new_addresses_come_out() {
    for model in MODELS {
        let (withdrawals, new) = rates(&settings(model, 3_000, 120, 0), 1);
        about(withdrawals, 1_000, 150);
        about(new, 400, 100);
    }
}

#[test]
fn the_ends_of_the_sweep_come_out() {
    for model in MODELS {
        for (withdrawals, new) in [
            (Sweep::WITHDRAWALS.low, Sweep::NEW_ADDRESSES.high),
            (Sweep::WITHDRAWALS.high, Sweep::NEW_ADDRESSES.low),
        ] {
            let sweep = Sweep { withdrawals, new_addresses: Some(new), ..Sweep::default() };
            let settings = Settings { sweep, ..settings(model, 2_000, 120, 0) };
            let (measured, share) = rates(&settings, 4);
            about(measured, withdrawals.into(), 250);
            assert!(share.abs_diff(new.into()) <= 60, "{share} for {new}");
        }
    }
}

#[test]
fn days_have_a_rhythm_of_about_six_to_one_and_weekends_are_quieter() {
    for model in MODELS {
        let settings = settings(model, 4_000, 0, 14);
        let mut population = Population::new(&settings, 1);
        let (mut hours, mut days) = ([0u64; 24], [0u64; 14]);
        for day in 0..14 {
            for entry in population.day(day) {
                if let Body::Session { .. } = entry.body {
                    hours[usize::try_from(entry.at.0 / time::HOUR % 24).unwrap()] += 1;
                    days[usize::try_from(day).unwrap()] += 1;
                }
            }
        }
        let factor = hours.iter().max().unwrap() * 10 / hours.iter().min().unwrap();
        assert!((45..85).contains(&factor), "{model:?} {factor} {hours:?}");
        let weekend = days[5] + days[6] + days[12] + days[13];
        let other: u64 = days.iter().sum::<u64>() - weekend;
        let share = weekend * 10 * 1_000 / (other * 4);
        assert!((780..960).contains(&share), "{model:?} {share} {days:?}");
    }
}

#[test]
fn balances_are_log_normal_with_a_pareto_tail() {
    let population = Population::new(&settings(Model::Strata, 40_000, 0, 1), 1);
    let mut usd: Vec<f64> = population
        .people()
        .iter()
        .filter(|person| person.kind < Kind::MarketMaker)
        .map(|person| person.wealth as f64 / 100.0)
        .collect();
    usd.sort_by(f64::total_cmp);
    let median = usd[usd.len() / 2];
    assert!((500.0..750.0).contains(&median), "{median}");
    // Hill's estimator above where the tail begins.
    let tail: Vec<f64> = usd.into_iter().filter(|usd| *usd > money::TAIL_FROM_USD).collect();
    let mean = tail.iter().map(|usd| libm::log(usd / money::TAIL_FROM_USD)).sum::<f64>() / tail.len() as f64;
    assert!((1.05..1.4).contains(&(1.0 / mean)), "{}", 1.0 / mean);
    assert!((700..900).contains(&tail.len()), "{}", tail.len());
}

#[test]
fn resets_device_changes_and_keys_that_approve_are_as_frequent_as_stated() {
    for model in MODELS {
        let mut settings = settings(model, 6_000, 60, 0);
        settings.sweep.resets = 20;
        settings.sweep.device_changes = 50;
        settings.exchange.customers_with_key_permille = 300;
        let mut population = Population::new(&settings, 1);
        let credentials = |entries: &[Entry]| {
            entries.iter().filter(|entry| matches!(entry.body, Body::AddCredential { .. })).count()
        };
        let early = credentials(&population.opening());
        let (mut late, mut resets) = (0, 0);
        let mut kinds = BTreeSet::new();
        for day in 0..60 {
            let entries = population.day(day);
            late += credentials(&entries);
            for entry in &entries {
                if let Body::SecurityChange { kind, .. } = entry.body {
                    resets += 1;
                    kinds.insert(format!("{kind:?}"));
                }
            }
        }
        assert!(kinds.contains(&format!("{:?}", SecurityKind::Recovery)));
        about(resets, 6_000 * 2 * 20 / 1_000, 250);
        about(u64::try_from(early + late).unwrap(), 1_800, 100);
        assert!(late > 300, "{late}");
        let renewed =
            population.people().iter().filter(|p| p.devices[0].is_some_and(|d| d.serial > 0)).count();
        about(u64::try_from(renewed).unwrap(), 6_000 * 97 / 1_000, 200);
    }
}

#[test]
fn addresses_are_shared_by_carriers_and_exits_and_homes_are_not() {
    let settings = settings(Model::Strata, 4_000, 0, 7);
    let mut population = Population::new(&settings, 1);
    let mut by_ip: BTreeMap<Box<str>, BTreeSet<Box<str>>> = BTreeMap::new();
    let mut places: BTreeMap<Box<str>, u32> = BTreeMap::new();
    let mut is_v6 = 0;
    for day in 0..7 {
        for entry in population.day(day) {
            if let Body::Session { account, facts } = entry.body {
                let ip = facts.ip.unwrap();
                is_v6 += u64::from(ip.contains(':'));
                places.insert(ip.clone(), facts.asn.unwrap());
                by_ip.entry(ip).or_default().insert(account);
            }
        }
    }
    let mut shared: Vec<_> = by_ip.values().map(BTreeSet::len).collect();
    shared.sort_unstable();
    assert_eq!(shared[shared.len() / 2], 1, "half of all addresses are one account's");
    assert!(*shared.last().unwrap() >= 50, "{:?}", shared.last());
    let crowded = by_ip.values().filter(|accounts| accounts.len() >= 10).count();
    assert!(crowded >= 20, "{crowded}");
    assert!(is_v6 > 500);
    assert!(places.values().any(|asn| *asn == 9009));
}

/// Accounts that withdraw on a day, of those that are open, in 1/1000.
fn withdrawing(population: &Population, entries: &[Entry]) -> u64 {
    let who: BTreeSet<_> = entries
        .iter()
        .filter_map(|entry| match &entry.body {
            Body::RequestWithdrawal { account, .. } => Some(account),
            _ => None,
        })
        .collect();
    let last = entries.last().unwrap().at;
    let open = population.people().iter().filter(|person| person.opened_at <= last).count();
    u64::try_from(who.len() * 1_000 / open).unwrap()
}

#[test]
fn each_extreme_does_what_it_says() {
    for model in MODELS {
        for extreme in Extreme::ALL {
            let calm = settings(model, 2_000, 3, 7);
            let day = extreme.day(&calm);
            let of = |settings: &Settings| {
                let mut population = Population::new(settings, 8);
                let entries = population.day(day);
                (population, entries)
            };
            let (population, entries) = of(&Settings { extremes: vec![extreme], ..calm.clone() });
            let (_, ordinary) = of(&calm);
            let count = |entries: &[Entry], is: fn(&Body) -> bool| {
                entries.iter().filter(|entry| is(&entry.body)).count()
            };
            let is_withdrawal = |body: &Body| matches!(body, Body::RequestWithdrawal { .. });
            let is_session = |body: &Body| matches!(body, Body::Session { .. });
            let asns = |entries: &[Entry], asn: u32| {
                let facts = entries.iter().filter_map(|entry| match &entry.body {
                    Body::Session { account, facts } if facts.asn == Some(asn) => {
                        Some((facts.ip.clone(), account))
                    }
                    _ => None,
                });
                let mut by_ip: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
                for (ip, account) in facts {
                    by_ip.entry(ip).or_default().insert(account);
                }
                by_ip.into_values().map(|who| who.len()).max().unwrap_or(0)
            };
            match extreme {
                Extreme::Run => {
                    let share = withdrawing(&population, &entries);
                    assert!((220..290).contains(&share), "{share}");
                }
                Extreme::Crash => {
                    assert!(count(&entries, is_session) > count(&ordinary, is_session) * 3);
                    assert!(count(&entries, is_withdrawal) > count(&ordinary, is_withdrawal) * 2);
                    let price = |entry: &Entry| match &entry.body {
                        Body::Prices { prices } => Some(prices["BTC"].parse::<f64>().unwrap()),
                        _ => None,
                    };
                    let prices: Vec<f64> = entries.iter().filter_map(price).collect();
                    let fall = prices[18] / prices[12];
                    assert!((0.64..0.76).contains(&fall), "{fall}");
                }
                Extreme::Airdrop => {
                    let more = count(&entries, is_withdrawal) - count(&ordinary, is_withdrawal);
                    assert!((100..220).contains(&more), "{more}");
                }
                Extreme::Payday => {
                    assert!(count(&entries, is_withdrawal) > count(&ordinary, is_withdrawal) * 2);
                    let is_deposit = |body: &Body| matches!(body, Body::Deposit { .. });
                    assert!(count(&entries, is_deposit) > count(&ordinary, is_deposit) * 2);
                }
                Extreme::Payout => {
                    let more = count(&entries, is_withdrawal) - count(&ordinary, is_withdrawal);
                    assert!((270..=300).contains(&more), "{more}");
                    let first = entries.iter().filter(|entry| entry.body.account() == Some("ac_000001"));
                    let at: Vec<_> =
                        first.filter(|entry| is_withdrawal(&entry.body)).map(|entry| entry.at).collect();
                    assert!(at[at.len() - 3].since(at[2]) < 20 * time::MINUTE || at.len() < 310);
                }
                Extreme::Nat => {
                    assert!(asns(&ordinary, 6805) < 30);
                    assert!(asns(&entries, 6805) >= 30, "{}", asns(&entries, 6805));
                }
                Extreme::BrowserDay => {
                    let versions = |entries: &[Entry]| {
                        let agent = |entry: &Entry| match &entry.body {
                            Body::Session { facts, .. } => facts.user_agent.clone(),
                            _ => None,
                        };
                        let major = |agent: &str| {
                            Some(agent.split_once(" Chrome/")?.1.split('.').next()?.parse::<u32>().unwrap())
                        };
                        let found = entries.iter().filter_map(agent);
                        found.filter_map(|agent| major(&agent)).collect::<BTreeSet<_>>()
                    };
                    assert_eq!(versions(&entries), BTreeSet::from([146]));
                    assert!(versions(&ordinary).len() >= 2 && !versions(&ordinary).contains(&146));
                }
            }
        }
    }
}

#[test]
fn the_two_models_differ_in_structure() {
    // Days of the one are as alike as independent customers make them; on some days of the other many act at once.
    let spread = |model| {
        let settings = settings(model, 3_000, 120, 0);
        let mut population = Population::new(&settings, 1);
        let counts: Vec<f64> = (0..120)
            .map(|day| {
                let entries = population.day(day);
                entries.iter().filter(|entry| matches!(entry.body, Body::RequestWithdrawal { .. })).count()
                    as f64
            })
            .skip(10)
            .collect();
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / counts.len() as f64 / mean
    };
    let (strata, habits) = (spread(Model::Strata), spread(Model::Habits));
    assert!(strata < 4.0, "{strata}");
    assert!(habits > 2.5 * strata, "{habits} against {strata}");
}

#[test]
fn a_stranger_looks_like_anybody() {
    let settings = settings(Model::Strata, 2_000, 0, 1);
    let mut population = Population::new(&settings, 1);
    let shown = |facts: &Facts| [facts.tls.clone(), facts.user_agent.clone()];
    let mut everybody = BTreeSet::new();
    for entry in population.opening() {
        if let Body::Session { facts, .. } = &entry.body {
            everybody.extend(shown(facts));
        }
    }
    let draw = &mut crate::draw::draw(1, "thief", &[]);
    let mut fits = 0;
    for way in [Way::Home, Way::Mobile, Way::Vpn, Way::Hosting] {
        for _ in 0..50 {
            let (facts, _) = population.stranger(draw, way, Some("DE"), 0);
            fits += u64::from(shown(&facts).iter().all(|text| everybody.contains(text)));
            if matches!(way, Way::Home | Way::Mobile) {
                assert_eq!(facts.country.as_deref(), Some("DE"));
            }
        }
    }
    assert!(fits >= 195, "{fits} of 200");
    let person = &population.people()[5];
    let mine = population.usual_facts(person, 0);
    let account = person.account();
    let is_mine = |entry: &Entry| matches!(&entry.body, Body::Session { account: of, facts } if *of == account && *facts == mine);
    assert!(Population::new(&settings, 1).opening().iter().any(is_mine));
}

#[test]
fn a_hundred_thousand_accounts_live_a_day() {
    let settings = Settings { threads: 2, ..settings(Model::Habits, 100_000, 0, 1) };
    let mut population = Population::new(&settings, 1);
    let entries = population.day(0);
    assert!((60_000..600_000).contains(&entries.len()), "{}", entries.len());
    assert!(entries.windows(2).all(|two| two[0].at <= two[1].at));
}

#[test]
fn holdfast_refuses_no_entry() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/baseline");
    let pack = holdfast_cedar::load_dir(root).unwrap();
    for model in MODELS {
        let settings = Settings { extremes: Extreme::ALL.to_vec(), ..settings(model, 500, 20, 7) };
        let policy = holdfast_decision::command::PolicySource {
            hash: pack.hash,
            files: pack.files.clone(),
            program: pack.program.to_bytes(),
            compiler: None,
        };
        let mut play = crate::play::Play::new(&settings.exchange, policy, 1).unwrap();
        for entry in told(&settings, 1) {
            let answer = play.submit(&entry);
            assert!(!matches!(answer, crate::play::Answer::Refused { .. }), "{answer:?} {entry:?}");
        }
    }
}
