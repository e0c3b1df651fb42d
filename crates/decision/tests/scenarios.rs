//! Scenario scripts: what a risk analyst can read. `scenarios/NAME.txt` goes in, `scenarios/NAME.expected` comes out.
//!
//! `HOLDFAST_BLESS=1 cargo test -p holdfast-decision --test scenarios` writes the `.expected` files anew.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a script that cannot be read fails"
)]

mod support;

use std::fmt::Write as _;

use holdfast_decision::acts::{Act, parse_scope};
use holdfast_decision::command::{Command, Evidence, Price, SecurityChange};
use holdfast_decision::event::{Event, Events, Status};
use holdfast_decision::{Class, Configuration, Severity};
use holdfast_policy::outcome::Span;
use holdfast_values::{Amount, CaseId, Network, Timestamp, UsdCents};
use support::{World, account, destination, destination_key, fingerprint, name, pack, root};

#[test]
fn scenarios_come_out_as_expected() {
    let mut scripts: Vec<_> = std::fs::read_dir(root().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 3, "there are scenarios");
    let bless = std::env::var_os("HOLDFAST_BLESS").is_some();
    let mut differing = Vec::new();
    for script in scripts {
        let expected = script.with_extension("expected");
        let output = play(&std::fs::read_to_string(&script).unwrap());
        if bless {
            std::fs::write(&expected, &output).unwrap();
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if output != wanted {
            let first = output.lines().zip(wanted.lines()).position(|(a, b)| a != b);
            differing.push(format!(
                "{}: differs from line {:?}:\n{output}",
                script.display(),
                first.map(|n| n + 1)
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn play(script: &str) -> String {
    let mut world = World::new(pack("baseline"));
    let mut out = String::new();
    for line in script.lines() {
        let _ = writeln!(out, "{line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || words[0].starts_with('#') {
            continue;
        }
        step(&mut world, &words, &mut out);
    }
    out
}

fn option<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn list<'a>(words: &[&'a str], key: &str) -> Vec<&'a str> {
    option(words, key).map(|text| text.split(',').collect()).unwrap_or_default()
}

fn step(world: &mut World, words: &[&str], out: &mut String) {
    let at = |n: usize| *words.get(n).unwrap_or_else(|| panic!("a word is missing in {words:?}"));
    let by = list(words, "by");
    let to = |word: &str| destination_key(&destination(Network::Bitcoin, word));
    let withdrawal = |world: &World, label: &str| world.ids[label];
    let events = match at(0) {
        "policy" => {
            let now = world.now;
            *world = World::new(pack(at(1)));
            world.now = now;
            return;
        }
        "customer" => {
            let opened = Span::parse(option(words, "opened").unwrap_or("30d")).unwrap().0;
            let (book, keys) = (list(words, "book"), list(words, "keys"));
            return world.customer(at(1), option(words, "tier").unwrap_or("full"), opened, &book, &keys);
        }
        "wait" => {
            for (when, events) in world.wait(Span::parse(at(1)).unwrap().0) {
                print(world, Some(when), &events, out);
            }
            return;
        }
        "buckets" => return print_buckets(world, out),
        "withdraw" => {
            let mut request = world.request(at(1), at(2), at(4), at(3), option(words, "to").unwrap());
            if words.contains(&"code") {
                request.evidence = Evidence::Session { one_time_code: true };
            }
            if let Some(key) = option(words, "key") {
                let mut evidence = world.api_evidence(key);
                if let Some(ip) = option(words, "ip") {
                    evidence.ip = fingerprint("ip", ip);
                }
                if let Some(old) = option(words, "signed") {
                    evidence.signed_at = world.now.minus(Span::parse(old).unwrap().0);
                }
                if let Some(same) = option(words, "request") {
                    evidence.request = fingerprint("request", same);
                }
                if words.contains(&"altered") {
                    evidence.differs = 4 | 8;
                }
                request.evidence = Evidence::ApiRequest(Box::new(evidence));
            }
            world.say(Command::RequestWithdrawal(Box::new(request)))
        }
        "open" => world.say(Command::OpenAccount { account: account(at(1)), tier: name(at(2)) }),
        "price" => {
            let micro_usd = at(2).parse::<u64>().unwrap() * 1_000_000;
            world.say(Command::SetPrices { prices: vec![Price { asset: at(1).parse().unwrap(), micro_usd }] })
        }
        "cancel" => {
            let withdrawal = withdrawal(world, at(2));
            world.say(Command::CancelWithdrawal { account: account(at(1)), withdrawal })
        }
        "code" => {
            let withdrawal = withdrawal(world, at(2));
            world.say(Command::ReportOneTimeCode { account: account(at(1)), withdrawal })
        }
        "freeze" => world.say(Command::FreezeAccount { account: account(at(1)), by: name("analyst") }),
        "unfreeze" => world.act(Act::UnfreezeAccount(account(at(1))), &by),
        "halt" => world.say(Command::Halt { scope: parse_scope(at(1)).unwrap(), by: name("analyst") }),
        "resume" => world.act(Act::Resume(parse_scope(at(1)).unwrap()), &by),
        "raise" => {
            let raised = Some(UsdCents(at(2).parse::<u64>().unwrap() * 100));
            let account = account(at(1));
            world.act(Act::SetLimits { account, usd_cents_24h: raised, usd_cents_30d: raised }, &by)
        }
        "widen" => {
            let wider = Box::new(wider(world, at(1).parse().unwrap()));
            world.act(Act::Configure(wider), &by)
        }
        "stop" => {
            let waiting: Vec<_> =
                world.state.scheduled_acts().map(|waiting| waiting.scheduled.nonce).collect();
            let stop = |act| Command::StopAct { act, by: name("analyst") };
            waiting.into_iter().flat_map(|nonce| world.say(stop(nonce))).collect()
        }
        "approve" => {
            let case = CaseId(withdrawal(world, at(1)).0);
            world.act(Act::ApproveCase(case), &by)
        }
        "deny" => {
            let withdrawal = withdrawal(world, at(1));
            world.say(Command::DenyWithdrawal { withdrawal, by: name("analyst") })
        }
        "security" => {
            let kind = match at(2) {
                "password" => SecurityChange::Password,
                "second_factor" => SecurityChange::SecondFactor,
                "contact" => SecurityChange::Contact,
                _ => SecurityChange::Recovery,
            };
            world.say(Command::RecordSecurityChange { account: account(at(1)), kind })
        }
        "revoke" => {
            world.say(Command::RevokeApiKey { account: account(at(1)), key: fingerprint("key", at(2)) })
        }
        "address" => world.say(Command::AddAddress { account: account(at(1)), destination: to(at(2)) }),
        "notice" => {
            world.say(Command::RecordNoticeDelivered { account: account(at(1)), destination: to(at(2)) })
        }
        "veto" => world.say(Command::RemoveAddress { account: account(at(1)), destination: to(at(2)) }),
        "clock" => match at(1) {
            "jumps" => world.say(Command::SuspectClock { step: 60_000_000 }),
            _ => world.act(Act::ConfirmClock, &by),
        },
        other => panic!("no such step: {other}"),
    };
    print(world, None, &events, out);
}

/// Every bucket and every tier so many times as large.
fn wider(world: &World, times: u64) -> Configuration {
    let mut wider = world.state.configuration().clone();
    let all = wider.assets.iter_mut().map(|asset| &mut asset.buckets);
    let all = all.chain(wider.wallets.iter_mut().map(|wallet| &mut wallet.buckets));
    for buckets in all.chain([&mut wider.overall]) {
        for bucket in [&mut buckets.bound, &mut buckets.aged, &mut buckets.unvouched] {
            for amount in [&mut bucket.size, &mut bucket.refill_per_hour] {
                *amount = Amount::from_base_units(amount.base_units() * u128::from(times));
            }
        }
    }
    for tier in &mut wider.tiers {
        tier.usd_cents_24h.0 *= times;
        tier.usd_cents_30d.0 *= times;
    }
    wider
}

fn print(world: &World, when: Option<Timestamp>, events: &Events, out: &mut String) {
    let stamp = when.map_or_else(String::new, |when| format!("{} ", &when.to_string()[11..]));
    for event in events {
        let line = match event {
            Event::WithdrawalDecided { withdrawal, decision } => {
                let mut line = format!("{} {}", world.label(*withdrawal), decision.status.name());
                if decision.status == Status::Dwelling && decision.dwell_until > world.now {
                    let _ = write!(line, " until {}", &decision.dwell_until.to_string()[11..]);
                }
                let _ = write!(line, " [{}]", decision.class.name());
                for reason in decision.reasons.iter().filter(|reason| reason.severity > Severity::Allow) {
                    let _ = write!(line, " {}:{}", reason.severity.name(), reason.code);
                }
                line
            }
            Event::Refused { refusal, .. } => format!("refused {refusal}"),
            Event::ActScheduled(scheduled) => {
                format!("{} waits until {}", scheduled.act.lines().act, scheduled.due)
            }
            Event::ActStopped { by, .. } => format!("stopped by {by}"),
            Event::ActTookEffect { .. } => "takes effect".to_owned(),
            Event::ActLapsed { refusal, .. } => format!("lapsed {refusal}"),
            Event::Configured(_) => "configured".to_owned(),
            Event::LimitsSet { .. } => "limits set".to_owned(),
            Event::WithdrawalCancelled { withdrawal } => format!("{} cancelled", world.label(*withdrawal)),
            Event::WithdrawalExpired { withdrawal } => format!("{} expired", world.label(*withdrawal)),
            Event::Queued { withdrawal, turn, .. } => {
                format!("{} waits in line, turn {turn}", world.label(*withdrawal))
            }
            _ => continue,
        };
        let _ = writeln!(out, "    {stamp}{line}");
    }
}

fn print_buckets(world: &World, out: &mut String) {
    let now = world.state.refill_time(world.now);
    let asset = world.state.asset_index(&"BTC".parse().unwrap()).unwrap();
    let buckets = world.state.asset_buckets(asset).unwrap();
    for class in Class::ALL {
        let bucket = buckets.of(class);
        let (left, size) = (bucket.available(now), bucket.spec().size);
        let _ = writeln!(out, "    {} {} of {} BTC", class.name(), left.to_short(8), size.to_short(8));
    }
}
