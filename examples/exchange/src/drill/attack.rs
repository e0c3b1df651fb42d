//! The attackers, twice: as in May 2019, and in slices that fit the buckets. And the analyst, who hears of the first
//! alarm and, so much later, halts.
//!
//! They hold, of each account, an API key that is older than a day, a session, and whatever code the owner's phone
//! shows (phished, live). Keys that may withdraw work from listed addresses only, so their requests come out of the
//! customer's own proxy, where the key was found. Destinations are new to the accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdfast_values::{Amount, Micros, Timestamp, time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Asked, Client, Clock, Order, text};
use super::coin::Coin;
use super::draw::Draw;
use super::incident::{self, Output};
use super::measure::{self, Cell, Tally};
use super::open::{self, Accesses};
use super::plan::{self, Plan, Planned, Victim};
use super::play::{self, Played};
use super::prices;
use super::progress::{Counter, Progress};

/// One slice: below 5 % of the unvouched bucket (3.537 BTC; 20,868 USD of the wallet's) and below the sum at which a
/// key alone is not enough.
const SLICE: &str = "3.4";
/// Between two slices of one account, at least: the next one is asked for when the last one has gone or cannot.
const SLICE_EVERY: Micros = 5 * time::MINUTE;
/// How often the attackers look whether it has.
const PEEK_EVERY: Micros = 30 * time::SECOND;
/// How often the analyst's screen is drawn, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(60);

/// What both attacks share.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) rate: u32,
    /// From the first alarm to the halt.
    pub(crate) analyst: Micros,
    /// The end, if there is no alarm.
    pub(crate) longest: Micros,
}

/// The first time that something was noticed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Notice {
    /// Seconds after the beginning.
    pub(crate) seconds: u64,
    /// How many withdrawals the attackers had asked for by then, this one included.
    pub(crate) asked: u64,
    /// What was said.
    pub(crate) outcome: String,
    pub(crate) codes: Vec<String>,
    pub(crate) withdrawal: String,
}

/// What the bitcoin bucket of a class allows.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Bound {
    pub(crate) class: String,
    pub(crate) size: u64,
    pub(crate) refill_per_hour: u64,
    /// Size, and refill over the time of the attack.
    pub(crate) allowed: u64,
    /// What the attackers got of it.
    pub(crate) approved: Cell,
}

/// What came of an attack, as of the halt; of one that nobody halted, as it stands when somebody looks.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Attack {
    /// The addresses are those of the incident.
    pub(crate) real_addresses: bool,
    pub(crate) tally: Tally,
    /// Seconds from its beginning to the halt, or to the look.
    pub(crate) seconds: u64,
    pub(crate) halted: bool,
    /// The first step-up, hold or denial.
    pub(crate) alarm: Option<Notice>,
    /// The first withdrawal that a spent bucket made wait.
    pub(crate) queued: Option<Notice>,
    pub(crate) bounds: Vec<Bound>,
    pub(crate) played: Played,
    /// When it began.
    pub(crate) at: String,
    /// Where the attackers want it.
    pub(crate) addresses: Vec<String>,
}

/// An attack under way.
struct Scene<'a> {
    client: &'a Client,
    plan: &'a Plan,
    accesses: Accesses,
    victims: &'a [Victim],
    clock: Clock,
    start: Timestamp,
    terms: Terms,
    stop: AtomicBool,
    counter: Arc<Counter>,
    played: Mutex<Played>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AsItWas,
    InSlices,
}

impl Kind {
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::AsItWas => "attack.json",
            Self::InSlices => "slices.json",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::AsItWas => 0,
            Self::InSlices => 1,
        }
    }

    /// When it begins: the second when what the first one asked for is out of the window of an hour.
    fn at(self) -> Timestamp {
        let at = Timestamp::parse(incident::AT).unwrap_or_default();
        match self {
            Self::AsItWas => at,
            Self::InSlices => at.plus(65 * time::MINUTE),
        }
    }

    /// The accounts that the attackers are in.
    pub(crate) fn victims(self, plan: &Plan) -> &[Victim] {
        match self {
            Self::AsItWas => &plan.victims,
            Self::InSlices => &plan.more_victims,
        }
    }

    /// The ordinary customers of the meantime.
    pub(crate) fn meanwhile(self, plan: &Plan) -> &[Planned] {
        plan.meanwhile.get(self.place()).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Plays an attack on all stacks side by side and writes down what came of it.
pub(crate) fn attack(
    clients: &[Client],
    plan: &Plan,
    kind: Kind,
    terms: Terms,
    data: Option<&std::path::Path>,
) -> Result<(), String> {
    clients.iter().try_for_each(|client| client.set_rate(terms.rate))?;
    prices::report(clients)?;
    let clocks = clients.iter().map(|client| client.clock(terms.rate)).collect::<Result<Vec<_>, _>>()?;
    let counters: Vec<Arc<Counter>> = clients.iter().map(|client| Counter::new(&client.stack.name)).collect();
    let Some(clock) = clocks.first().copied() else { return Ok(()) };
    let what = if kind == Kind::AsItWas { "attack as it was" } else { "attack in slices" };
    let progress = Progress::show(what, clock, kind.at(), terms.longest, counters.clone());
    let done: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .zip(clocks)
            .zip(counters)
            .map(|((client, clock), counter)| {
                scope.spawn(move || one(client, plan, kind, terms, (clock, counter), data))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread failed".into())))
            .collect()
    });
    drop(progress);
    done.into_iter().collect()
}

fn one(
    client: &Client,
    plan: &Plan,
    kind: Kind,
    terms: Terms,
    (clock, counter): (Clock, Arc<Counter>),
    data: Option<&std::path::Path>,
) -> Result<(), String> {
    let victims = kind.victims(plan);
    clock.sleep_until(kind.at());
    let scene = Scene {
        client,
        plan,
        accesses: open::read(client)?,
        victims,
        clock,
        start: clock.now(),
        terms,
        stop: AtomicBool::new(false),
        counter,
        played: Mutex::default(),
    };
    let (outputs, real_addresses) = incident::outputs(data);
    let targets = match kind {
        Kind::AsItWas => outputs.iter().map(|output| output.address.clone()).collect(),
        Kind::InSlices => own_addresses(victims.len()),
    };
    let (halted, end) = std::thread::scope(|scope| {
        scope.spawn(|| scene.meanwhile(kind));
        match kind {
            Kind::AsItWas => scope.spawn(|| scene.as_it_was(&outputs)),
            Kind::InSlices => scope.spawn(|| scene.in_slices(&targets)),
        };
        let ended = scene.watch();
        scene.stop.store(true, Ordering::Relaxed);
        ended
    })?;
    let mut attack = Attack {
        real_addresses,
        tally: Tally::default(),
        seconds: 0,
        halted,
        alarm: None,
        queued: None,
        bounds: Vec::new(),
        played: core::mem::take(&mut *scene.played()),
        at: scene.start.to_string(),
        addresses: targets,
    };
    attack.count(client, victims, end)?;
    if attack.halted {
        // What else the analyst does: what is still under way in these accounts goes to a person.
        for victim in victims {
            client.holdfast("POST", &format!("/v1/accounts/{}/freeze", victim.account), None)?;
        }
    }
    measure::keep(client, kind.file(), &attack)
}

impl Scene<'_> {
    fn meanwhile(&self, kind: Kind) {
        let part: &[Planned] = kind.meanwhile(self.plan);
        let name = format!("meanwhile-{}", kind.place());
        let times = (self.clock, self.start, self.terms.rate);
        let counter = Counter::new("");
        let played = play::play(self.client, self.plan, &self.accesses, (&name, part), times, &counter);
        let mut all = self.played();
        all.signed_again = all.signed_again.saturating_add(played.signed_again);
        all.lost.extend(played.lost);
    }

    fn played(&self) -> std::sync::MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All at once: the 21 large ones by key, then the small ones by session and code, spread over the same accounts.
    fn as_it_was(&self, outputs: &[Output]) {
        let (large, small) = outputs.split_at(incident::ACCOUNTS.min(outputs.len()));
        std::thread::scope(|scope| {
            for (victim, output) in self.victims.iter().zip(large) {
                scope.spawn(|| self.by_key(victim, &output.address, &amount(output), "large"));
            }
        });
        std::thread::scope(|scope| {
            for (place, victim) in self.victims.iter().enumerate() {
                scope.spawn(move || {
                    // One after the other: each code works once.
                    for (number, output) in small.iter().enumerate().skip(place).step_by(incident::ACCOUNTS) {
                        self.by_code(victim, output, &format!("small-{number}"));
                    }
                });
            }
        });
    }

    /// Every account asks for one slice after the other, to an address of its own, until it is over. Not for the next
    /// one while one waits: what an account has asked for on one day counts against all of it.
    fn in_slices(&self, targets: &[String]) {
        std::thread::scope(|scope| {
            for (place, (victim, target)) in self.victims.iter().zip(targets).enumerate() {
                let stagger = u64::try_from(place).unwrap_or(0).saturating_mul(2 * time::SECOND);
                scope.spawn(move || {
                    let mut at = self.start.plus(stagger);
                    for number in 0u32.. {
                        self.clock.sleep_until(at);
                        while self.has_waiting(victim) && !self.stop.load(Ordering::Relaxed) {
                            self.clock.sleep_until(self.clock.now().plus(PEEK_EVERY));
                        }
                        if self.stop.load(Ordering::Relaxed) {
                            return;
                        }
                        at = self.clock.now().plus(SLICE_EVERY);
                        self.by_key(victim, target, SLICE, &format!("slice-{number}"));
                    }
                });
            }
        });
    }

    /// What the account's page shows to whoever has its session.
    fn has_waiting(&self, victim: &Victim) -> bool {
        let Some(access) = self.accesses.get(&victim.account) else { return false };
        self.client.stages(access).iter().any(|stage| stage == "waiting" || stage == "checking")
    }

    fn by_key(&self, victim: &Victim, address: &str, amount: &str, name: &str) {
        let Some(access) = self.accesses.get(&victim.account) else { return };
        let id = format!("{}-{name}", victim.account);
        let order = Order { coin: Coin::Btc, address, amount, id: &id };
        let mut signed_again = 0;
        let asked = self.client.ask_by_api(access, order, self.terms.rate, &mut signed_again);
        self.note(asked, signed_again);
    }

    fn by_code(&self, victim: &Victim, output: &Output, name: &str) {
        let Some(access) = self.accesses.get(&victim.account) else { return };
        let id = format!("{}-{name}", victim.account);
        let order = Order { coin: Coin::Btc, address: &output.address, amount: &amount(output), id: &id };
        let asked = match self.client.code(&victim.account) {
            Ok(code) => self.client.ask_on_page(&victim.account, access, order, Some(&code)),
            Err(error) => Asked::Lost(error),
        };
        self.note(asked, 0);
    }

    fn note(&self, asked: Asked, signed_again: u64) {
        self.counter.add();
        let mut played = self.played();
        played.signed_again = played.signed_again.saturating_add(signed_again);
        if let Asked::Lost(error) = asked {
            played.lost.push(error);
        }
    }

    /// The analyst: waits for the first alarm, then as long as it takes, then halts. Whether it came to that, and when
    /// it was over.
    fn watch(&self) -> Result<(bool, Timestamp), String> {
        let end = self.start.plus(self.terms.longest);
        let alarm = loop {
            if self.clock.now() >= end {
                return Ok((false, end));
            }
            let page = self.client.holdfast("GET", "/v1/withdrawals?limit=200", None)?;
            let rows = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let alarm = rows
                .iter()
                .filter(|row| is_attack(self.victims, row) && is_alarm(text(row, "outcome")))
                .map(|row| measure::instant(row, "decided_at"))
                .min();
            match alarm {
                Some(alarm) => break alarm,
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        self.clock.sleep_until(alarm.plus(self.terms.analyst));
        self.client.holdfast("POST", "/v1/halts", Some(&json!({ "scope": "overall" })))?;
        Ok((true, self.clock.now()))
    }
}

impl Attack {
    /// Counts what it came to by `end`, from Holdfast's lists.
    pub(crate) fn count(
        &mut self,
        client: &Client,
        victims: &[Victim],
        end: Timestamp,
    ) -> Result<(), String> {
        let start = Timestamp::parse(&self.at).map_err(|error| error.to_string())?;
        let rows: Vec<Value> =
            client.withdrawals()?.into_iter().filter(|row| is_attack(victims, row)).collect();
        let mut tally = Tally::default();
        let mut notices = [None, None];
        let mut approvals = Vec::new();
        for row in &rows {
            let decisions = client.decisions(text(row, "id"))?;
            // What was approved once counts, even if a halt took it back: a wallet sends within seconds.
            let approval = decisions.iter().find(|decision| text(decision, "status") == "approved");
            tally.add_as(row, approval.map_or(text(row, "status"), |_| "approved"));
            approvals
                .extend(approval.map(|decision| (text(decision, "class").to_owned(), measure::worth(row))));
            for decision in decisions {
                let codes = measure::codes(&decision);
                let is =
                    [is_alarm(text(&decision, "outcome")), codes.iter().any(|code| code == "bucket_queued")];
                for (first, _) in notices.iter_mut().zip(is).filter(|(_, is)| *is) {
                    if first.as_ref().is_none_or(|(known, _)| sequence(&decision) < sequence(known)) {
                        *first = Some((decision.clone(), codes.clone()));
                    }
                }
            }
        }
        let [alarm, queued] = notices.map(|notice| {
            notice.map(|(decision, codes)| Notice {
                seconds: measure::instant(&decision, "at").since(start) / time::SECOND,
                asked: count(rows.iter().filter(|row| sequence(row) <= sequence(&decision))),
                outcome: text(&decision, "outcome").to_owned(),
                codes,
                withdrawal: text(&decision, "withdrawal").to_owned(),
            })
        });
        self.seconds = end.since(start) / time::SECOND;
        self.bounds = bounds(client, &approvals, self.seconds)?;
        (self.tally, self.alarm, self.queued) = (tally, alarm, queued);
        Ok(())
    }
}

fn is_attack(victims: &[Victim], row: &Value) -> bool {
    let account = text(row, "account");
    victims.iter().any(|victim| victim.account == account) && !measure::is_stale(row)
}

/// What the buckets allow from the beginning to the end, and what was taken, by class.
fn bounds(client: &Client, approvals: &[(String, u64)], seconds: u64) -> Result<Vec<Bound>, String> {
    let buckets = client.holdfast("GET", "/v1/buckets", None)?;
    let assets = buckets.get("assets").and_then(Value::as_array);
    let bitcoin = assets.into_iter().flatten().find(|asset| text(asset, "name") == "BTC");
    let classes = bitcoin.and_then(|asset| asset.get("buckets")).and_then(Value::as_array);
    let bound = |bucket: &Value| {
        let sats = |key: &str| {
            let amount = Amount::parse(text(bucket, key), 8).map(Amount::base_units);
            amount.ok().and_then(|sats| u64::try_from(sats).ok())
        };
        let (size, refill_per_hour) = (sats("size")?, sats("refill_per_hour")?);
        let refilled = u128::from(refill_per_hour).saturating_mul(seconds.into()).div_ceil(3_600);
        let class = text(bucket, "class").to_owned();
        let mut approved = Cell::default();
        approvals.iter().filter(|(of, _)| *of == class).for_each(|(_, sats)| approved.add(*sats));
        Some(Bound {
            class,
            size,
            refill_per_hour,
            allowed: size.saturating_add(u64::try_from(refilled).unwrap_or(u64::MAX)),
            approved,
        })
    };
    let bounds: Option<Vec<Bound>> = classes.into_iter().flatten().map(bound).collect();
    bounds.filter(|bounds| bounds.len() == 3).ok_or_else(|| "the buckets of BTC do not read".to_owned())
}

/// An address of the attackers' own for each account, never seen before.
fn own_addresses(count: usize) -> Vec<String> {
    let mut draw = Draw::new(2_019, "slices");
    (0..count).map(|_| plan::bitcoin_address(&mut draw)).collect()
}

fn amount(output: &Output) -> String {
    Amount::from_base_units(output.sats.into()).to_short(8)
}

fn is_alarm(outcome: &str) -> bool {
    ["step_up", "hold", "deny"].contains(&outcome)
}

fn sequence(row: &Value) -> u64 {
    row.get("sequence").and_then(Value::as_u64).unwrap_or(u64::MAX)
}

fn count(rows: impl Iterator) -> u64 {
    u64::try_from(rows.count()).unwrap_or(u64::MAX)
}
