//! Events at their times, over several connections: one account's always over the same one, so that they stay in order;
//! what is nobody's own (prices, halts, operators' acts) when everything before it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use holdfast_simulator::decide::Watch;
use holdfast_simulator::format::{Bad, BadLine, Body, Entry, ReadError, Reader, To};
use holdfast_simulator::play::{Customers, StepUp};
use holdfast_values::{Micros, Timestamp, time};
use serde_json::Value;

use super::clock::Times;
use super::found::Found;
use super::hands::{Account, Did, Hands};
use crate::cli::Failure;

/// How many events wait for one connection at most.
const AHEAD: usize = 256;
/// How often the server's clock is read again.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// How often the last prices are told again by the server's clock, so that they are never stale.
const PRICES_EVERY: Micros = 5 * time::MINUTE;
/// However fast the clock runs, prices leave the server this much rest.
const PRICES_REST: Duration = Duration::from_millis(10);
/// How long after its dwell's end a withdrawal is looked at, and how soon again one that waits on: by the server's clock.
/// One that has waited for long is looked at ever more rarely, after a quarter of that time.
const LOOK_AFTER: Micros = 5 * time::SECOND;
const LOOK_EVERY: Micros = 15 * time::MINUTE;
/// However fast the clock runs, looking at it leaves the server this much rest.
const LOOK_REST: Duration = Duration::from_millis(500);
/// How long a wait lasts before it is looked whether to go on.
const NAP: Duration = Duration::from_millis(200);

/// How a file is driven.
pub(super) struct Options {
    pub(super) connections: usize,
    /// The file's time runs so many times as fast as the server's clock.
    pub(super) speed: u64,
    pub(super) skip_bad: u64,
    pub(super) with_customers: bool,
    pub(super) seed: u64,
    /// How long it is waited after the last event, in the file's time.
    pub(super) after: Micros,
}

/// Why a file was not driven to its end.
pub(super) enum Ended {
    /// A line is bad.
    Bad(BadLine),
    /// One more than may be left out.
    TooManyBad(BadLine),
    /// It cannot be read.
    Read(ReadError),
    /// Something else.
    Failed(Failure),
}

/// An event, and when it is due by the server's clock.
type Due = (Entry, Timestamp);

/// How many events are on the way.
#[derive(Default)]
struct Pending {
    count: Mutex<u64>,
    none: Condvar,
}

impl Pending {
    fn add(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_add(1);
    }

    fn done(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.none.notify_all();
        }
    }

    fn wait(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            count = self.none.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What all connections share.
struct Shared<'a> {
    hands: &'a Hands,
    options: &'a Options,
    found: &'a Mutex<Found>,
    pending: Pending,
    times: OnceLock<Times>,
    failed: Mutex<Option<Failure>>,
    /// The last that the file told, and when.
    prices: Mutex<Option<(Timestamp, Entry)>>,
    is_over: AtomicBool,
}

/// What a customer does later.
enum Todo {
    /// Looks what became of a withdrawal that waits: its owner may be asked for something by now.
    Look(Box<str>),
    Notice(Box<str>, To),
    Code(Box<str>),
    Approve(Box<str>),
    Cancel(Box<str>),
}

/// What goes over one connection: its accounts, and what their owners will do.
struct Worker<'a> {
    shared: &'a Shared<'a>,
    accounts: BTreeMap<Box<str>, Account>,
    agenda: BTreeMap<(Timestamp, u64), (Box<str>, Todo)>,
    todos: u64,
    customers: Customers,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of a text's own, to draw by and to share work by.
fn number(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Worker<'_> {
    fn run(mut self, work: &Receiver<Due>) {
        loop {
            match work.recv_timeout(self.act_until_next()) {
                Ok((entry, due)) => {
                    // The server may have gone away since it was given, and be back with less time gone by.
                    wait_until(self.shared.hands, due, &mut || true);
                    self.submit(&entry);
                    self.shared.pending.done();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let acts = self.agenda.values().filter(|(_, todo)| !matches!(todo, Todo::Look(_)));
                    let left = u64::try_from(acts.count()).unwrap_or(u64::MAX);
                    locked(self.shared.found).undone(left);
                    return;
                }
            }
        }
    }

    /// Does what is due, and says how long it is until the next thing. Looking may take turns with events: those are in time.
    fn act_until_next(&mut self) -> Duration {
        let hands = self.shared.hands;
        while let Some(entry) = self.agenda.first_entry() {
            let (due, now) = (entry.key().0, hands.clock.now());
            if due > now {
                return hands.clock.real(due.since(now)).min(NAP);
            }
            let (account, todo) = entry.remove();
            let is_look = matches!(todo, Todo::Look(_));
            if !hands.stop.load(Ordering::Relaxed) {
                self.act(&account, todo);
            }
            if is_look {
                return Duration::ZERO;
            }
        }
        NAP
    }

    fn later(&mut self, span: Micros, account: &str, todo: Todo) {
        let span = self.shared.times.get().map_or(span, |times| times.span(span));
        self.at(self.shared.hands.clock.now().plus(span), account, todo);
    }

    fn at(&mut self, due: Timestamp, account: &str, todo: Todo) {
        self.todos = self.todos.saturating_add(1);
        self.agenda.insert((due, self.todos), (account.into(), todo));
    }

    fn submit(&mut self, entry: &Entry) {
        let hands = self.shared.hands;
        if hands.stop.load(Ordering::Relaxed) {
            return;
        }
        let of: Box<str> = entry.body.account().unwrap_or_default().into();
        let account = self.accounts.entry(of.clone()).or_default();
        let did = match hands.submit(account, entry) {
            Ok(did) => did,
            Err(failure) => {
                hands.stop.store(true, Ordering::Relaxed);
                locked(&self.shared.failed).get_or_insert(failure);
                return;
            }
        };
        locked(self.shared.found).ended(hands.clock.now(), entry, &did);
        let Did::Taken(reply, _) = did else { return };
        match &entry.body {
            Body::AddAddress { to, .. } if self.shared.options.with_customers => {
                let span = self.customers.soon("notice", number(&to.address) ^ number(&of));
                self.later(span, &of, Todo::Notice(of.clone(), to.clone()));
            }
            Body::RequestWithdrawal { .. } => self.is_asked(&of, &entry.id, &reply),
            Body::OneTimeCode { withdrawal, .. } | Body::ApproveWithdrawal { withdrawal, .. } => {
                self.is_asked(&of, withdrawal, &reply);
            }
            _ => {}
        }
    }

    /// A withdrawal's answer may ask its owner for something, at once or when it has waited.
    fn is_asked(&mut self, of: &str, event: &str, reply: &Value) {
        let status = reply.get("status").and_then(Value::as_str);
        if !self.shared.options.with_customers {
            return;
        }
        if matches!(status, Some("dwelling" | "held")) {
            self.look_later(of, event, reply);
        }
        if status != Some("awaiting_approval") {
            return;
        }
        let factors = reply.get("outcome").and_then(|outcome| outcome.get("factors"));
        let factors: Vec<&str> =
            factors.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if factors.contains(&"one_time_code") {
            self.later(self.customers.soon("code", number(event)), of, Todo::Code(event.into()));
        } else if factors.contains(&"passkey") {
            let account = self.accounts.entry(of.into()).or_default();
            let can = self.shared.hands.can_approve(account, of);
            match self.customers.step_up(number(event), can) {
                StepUp::Approves(span) => self.later(span, of, Todo::Approve(event.into())),
                StepUp::TakesBack(span) => self.later(span, of, Todo::Cancel(event.into())),
                StepUp::Nothing => {}
            }
        }
    }

    /// When its dwell ends. What waits for other reasons does not say for how long.
    fn look_later(&mut self, of: &str, event: &str, reply: &Value) {
        let clock = &self.shared.hands.clock;
        let time =
            |value: Option<&Value>| value.and_then(Value::as_str).and_then(|at| Timestamp::parse(at).ok());
        let until = time(reply.get("outcome").and_then(|outcome| outcome.get("dwell_until")));
        let (now, soonest) = (clock.now(), clock.span(LOOK_REST));
        let waited = time(reply.get("requested_at")).map_or(0, |asked| now.since(asked));
        let due = match until.filter(|until| *until > now) {
            Some(until) => until.plus(LOOK_AFTER.max(soonest)),
            None => now.plus(LOOK_EVERY.max(soonest).max(waited / 4)),
        };
        self.at(due, of, Todo::Look(event.into()));
    }

    fn act(&mut self, of: &str, todo: Todo) {
        let hands = self.shared.hands;
        let did = match &todo {
            Todo::Look(event) => {
                match hands.look(event) {
                    Did::Taken(reply, _) => self.is_asked(of, event, &reply),
                    unanswered => locked(self.shared.found).customer(Some(event), &unanswered),
                }
                return;
            }
            Todo::Notice(account, to) => hands.notice(account, to),
            Todo::Code(event) => hands.own(event, "one-time-code"),
            Todo::Cancel(event) => hands.own(event, "cancel"),
            Todo::Approve(event) => {
                match hands.approve(self.accounts.entry(of.into()).or_default(), event, None) {
                    Ok(did) => did,
                    Err(failure) => {
                        hands.stop.store(true, Ordering::Relaxed);
                        locked(&self.shared.failed).get_or_insert(failure);
                        return;
                    }
                }
            }
        };
        let event = match todo {
            Todo::Notice(..) | Todo::Look(_) => None,
            Todo::Code(event) | Todo::Approve(event) | Todo::Cancel(event) => Some(event),
        };
        locked(self.shared.found).customer(event.as_deref(), &did);
        if let (Some(event), Did::Taken(reply, _)) = (event, &did) {
            self.is_asked(of, &event, reply);
        }
    }
}

/// Drives a file to its end, or until it is told to stop. What came of it is in `found`; the times are those of the file.
pub(super) fn drive(
    events: Box<dyn BufRead>,
    hands: &Hands,
    options: &Options,
    found: &Mutex<Found>,
    watch: &mut dyn Watch,
) -> (Option<Times>, Result<(), Ended>) {
    let shared = Shared {
        hands,
        options,
        found,
        pending: Pending::default(),
        times: OnceLock::new(),
        failed: Mutex::default(),
        prices: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let ended = std::thread::scope(|scope| {
        let mut to: Vec<SyncSender<Due>> = Vec::new();
        for _ in 0..options.connections.max(1) {
            let (send, receive) = sync_channel(AHEAD);
            to.push(send);
            let worker = Worker {
                shared: &shared,
                accounts: BTreeMap::new(),
                agenda: BTreeMap::new(),
                todos: 0,
                customers: Customers::new(options.seed),
            };
            scope.spawn(move || worker.run(&receive));
        }
        scope.spawn(|| tell_prices(&shared));
        let ended = dispatch(events, &shared, &to, watch);
        shared.is_over.store(true, Ordering::Relaxed);
        ended
    });
    let failed = locked(&shared.failed).take();
    let unauthorised = locked(&hands.unauthorised).take();
    let unauthorised = unauthorised.map(|why| {
        Failure::new(
            "token_refused",
            format!("{why}: a token of the scopes read, service, prices and halt drives everything (HOLDFAST_TOKEN)"),
        )
    });
    let ended = match failed.or(unauthorised) {
        Some(failure) => Err(Ended::Failed(failure)),
        None => ended,
    };
    (shared.times.get().copied(), ended)
}

/// Tells the last prices again and again: an exchange has a feed, a file has hours.
fn tell_prices(shared: &Shared<'_>) {
    let Shared { hands, .. } = shared;
    while !shared.is_over.load(Ordering::Relaxed) && !hands.stop.load(Ordering::Relaxed) {
        std::thread::sleep(hands.clock.real(PRICES_EVERY / 4).clamp(PRICES_REST, NAP));
        let now = hands.clock.now();
        let mut prices = locked(&shared.prices);
        if let Some((told, entry)) = &mut *prices
            && now.since(*told) >= PRICES_EVERY
        {
            *told = now;
            // One that gets no answer is told with the next.
            let _told = hands.submit(&mut Account::default(), entry);
        }
    }
}

fn dispatch(
    events: Box<dyn BufRead>,
    shared: &Shared<'_>,
    to: &[SyncSender<Due>],
    watch: &mut dyn Watch,
) -> Result<(), Ended> {
    let Shared { hands, options, found, pending, times, .. } = shared;
    let mut reader = Reader::new(events);
    let mut known: BTreeSet<Box<str>> = BTreeSet::new();
    let mut skipped = 0;
    let mut first: Option<Timestamp> = None;
    let mut last: Option<Timestamp> = None;
    let mut synced = Instant::now();
    loop {
        if !watch.goes_on(reader.bytes()) || hands.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let entry = match reader.next(|account| known.contains(account)) {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(ReadError::Line(line)) => {
                if matches!(line.bad, Bad::FormatMissing(_)) || options.skip_bad == 0 {
                    return Err(Ended::Bad(line));
                }
                if skipped >= options.skip_bad {
                    return Err(Ended::TooManyBad(line));
                }
                skipped = skipped.saturating_add(1);
                watch.skipped(&line);
                continue;
            }
            Err(error) => return Err(Ended::Read(error)),
        };
        if let Body::OpenAccount { account, .. } = &entry.body {
            known.insert(account.clone());
        }
        let begins = *first.get_or_insert(entry.at);
        last = Some(entry.at);
        let mut due = Timestamp(0);
        if entry.at > begins {
            let times = times.get_or_init(|| {
                // What stands at the file's first instant is sent as fast as it goes; the rest follows at its pace.
                pending.wait();
                Times::new(begins, hands.clock.now(), options.speed)
            });
            due = times.due(entry.at);
            if synced.elapsed() > SYNC_EVERY {
                synced = Instant::now();
                // While the server is away its events wait: each is tried until it is there again.
                let _while_it_is_away = hands.clock.sync(&hands.client);
            }
            wait_until(hands, due, &mut || watch.goes_on(reader.bytes()));
            let late = hands.clock.now().since(due);
            locked(found).late(hands.clock.real(late));
        }
        locked(found).sent(&entry);
        match entry.body.account() {
            Some(account) => give(to, number(account), (entry.clone(), due), pending),
            None => {
                if matches!(entry.body, Body::Prices { .. }) {
                    *locked(&shared.prices) = Some((hands.clock.now(), entry.clone()));
                }
                pending.wait();
                give(to, 0, (entry, due), pending);
                pending.wait();
            }
        }
    }
    pending.wait();
    if let (Some(last), Some(times)) = (last, times.get())
        && options.after > 0
    {
        let end = times.due(last.plus(options.after));
        wait_until(hands, end, &mut || watch.goes_on(reader.bytes()));
    }
    Ok(())
}

fn give(to: &[SyncSender<Due>], number: u64, entry: Due, pending: &Pending) {
    let count = u64::try_from(to.len()).unwrap_or(1).max(1);
    let which = usize::try_from(number.checked_rem(count).unwrap_or(0)).unwrap_or(0);
    pending.add();
    let is_given = to.get(which).is_some_and(|to| to.send(entry).is_ok());
    if !is_given {
        pending.done();
    }
}

/// Waits until the server's clock says so; sooner if it is told to stop.
fn wait_until(hands: &Hands, due: Timestamp, goes_on: &mut dyn FnMut() -> bool) {
    loop {
        let now = hands.clock.now();
        if now >= due || hands.stop.load(Ordering::Relaxed) || !goes_on() {
            return;
        }
        std::thread::sleep(hands.clock.real(due.since(now)).min(NAP));
        if hands.clock.stands() {
            let _while_it_is_away = hands.clock.sync(&hands.client);
        }
    }
}
